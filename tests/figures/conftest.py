# SPDX-License-Identifier: Apache-2.0
"""What the tests of all figures share: reading an SVG back, with the checks that hold for every figure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pytest

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Drawing:
    """A figure read back from its text."""

    text: str
    root: ET.Element

    @property
    def words(self) -> list[str]:
        """The words drawn, without tooltips."""
        return [
            "".join(e.text or "" for e in element.iter() if e.tag != f"{SVG}title")
            for element in self.root.iter(f"{SVG}text")
        ]

    @property
    def tips(self) -> list[str]:
        """All tooltips; the first is the name of the figure."""
        return [element.text or "" for element in self.root.iter(f"{SVG}title")]

    @property
    def summary(self) -> str:
        """The description that stands for the figure where it cannot be seen."""
        return self.root.findtext(f"{SVG}desc") or ""

    def all(self, name: str) -> list[ET.Element]:
        """All elements of one name, but for those inside patterns."""
        hidden = {e for pattern in self.root.iter(f"{SVG}pattern") for e in pattern.iter()}
        return [element for element in self.root.iter(f"{SVG}{name}") if element not in hidden]


def read_figure(text: str) -> Drawing:
    """Parses a figure and checks what every figure must have: names, unique ids, no missing fill, no NaN coordinate."""
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") is not None
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    used = {
        value for element in root.iter() for name, value in element.items() if not name.startswith("aria-")
    }
    assert set(re.findall(r"url\(#([^)]+)\)", "\n".join(used))) <= set(ids)
    for element in root.iter():
        for key in ("x", "y", "width", "height", "cx", "cy", "x1", "y1", "x2", "y2", "d"):
            value = element.get(key, "")
            assert "nan" not in value, (element.tag, key, value)
            assert "inf" not in value, (element.tag, key, value)
    return Drawing(text, root)


@pytest.fixture(scope="session")
def read() -> Callable[[str], Drawing]:
    """`read_figure`, for the tests of this folder."""
    return read_figure
