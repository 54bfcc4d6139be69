# SPDX-License-Identifier: Apache-2.0
"""The reference page says everything about every method, in two languages."""

from pathlib import Path

import pytest

from mangrove.measure.methods import METHODS
from mangrove.measure.methods.document import page
from mangrove.units import unit

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "methods.md"


def test_the_page_is_current():
    """Write it anew with `python -m mangrove.measure.methods.document docs/reference/methods.md`."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
def test_a_method_is_documented(method):
    text = PAGE.read_text(encoding="utf-8")
    for part in (
        f"## {method.name}\n",
        method.title_en,
        method.title_vi,
        method.equation,
        method.units,
        method.source,
    ):
        assert part
        assert part in text
    for parameter in method.parameters:
        assert f"| `{parameter.name}` | {parameter.unit} |" in text
        assert parameter.description_en in text
        assert parameter.description_vi in text
        assert parameter.unit == "text" or unit(parameter.unit)
    assert method.function.__doc__


def test_every_carrier_has_one_default():
    carriers = [carrier for method in METHODS.values() for carrier in method.carriers]
    assert len(carriers) == len(set(carriers))
