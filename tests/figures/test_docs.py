# SPDX-License-Identifier: Apache-2.0
"""The reference page of the figures names every public name, and its example runs."""

import re
from pathlib import Path

from mangrove import figures

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "figures.md"


def test_every_public_name_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in figures.__all__ if not re.search(rf"`{name}\b", text)]
    assert missing == []


def test_the_example_draws_a_figure(read):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, str] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert "Công nghiệp" in read(names["svg"]).words
