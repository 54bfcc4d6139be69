# SPDX-License-Identifier: Apache-2.0
"""Pages of the dispatch center as HTML, turned into the lines that `dispatch_center` reads.

Comes in: the page of operation or of mobilized power of one day, and the day. Goes out: the form and one line of figures, or the word
that it is neither. The elements are those by which a public program read the pages of nldc.evn.vn (lenafam96/craw_data_nldc,
`a.py`): `td` of class `text-center` in pairs; `div` of the exact classes below. Whether the new host keeps them has not been seen,
so a page that differs is refused and never guessed at.
"""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser

_HEAD = "row px-5 py-3 fw-bold fs-6 text-gray-800"
_CELL, _UNIT = "col px-5", "col px-5 text-left"
_POWERS = 20
"""Cells of the page of mobilized power: two totals, and two for each of nine groups."""
_SOURCES = 8


class _Cells(HTMLParser):
    """Collects the text of `td` and `div` elements with their classes, in the order in which they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, list[str]]] = []
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "div"):
            classes = " ".join((dict(attrs).get("class") or "").split())
            self._open.append((tag, len(self.found)))
            self.found.append((tag, classes, []))

    def handle_endtag(self, tag: str) -> None:
        for i in range(len(self._open) - 1, -1, -1):
            if self._open[i][0] == tag:
                del self._open[i:]
                return

    def handle_data(self, data: str) -> None:
        for _, index in self._open:
            self.found[index][2].append(data)


def line_of(html: str, day: date) -> tuple[str, str] | None:
    """The form (`operation` or `two_hours`) of a page and its figures as one line; None when it is neither.

    Example:
        >>> cells = "".join(f"<td class='text-center'>{n},0</td>" for n in range(20))
        >>> line_of(f"<table><tr>{cells}</tr></table>", date(2021, 1, 1))[1][:22]
        '01/01/2021|0,0|1,0|2,0'
    """
    parser = _Cells()
    parser.feed(html)
    cells = [(tag, classes, " ".join("".join(text).split())) for tag, classes, text in parser.found]
    powers = [text for tag, classes, text in cells if tag == "td" and "text-center" in classes.split()]
    if len(powers) == _POWERS:
        return "two_hours", f"{day:%d/%m/%Y}|{'|'.join(powers)}|"
    heads = [text for tag, classes, text in cells if tag == "div" and classes == _HEAD]
    values = [text for tag, classes, text in cells if tag == "div" and classes == _CELL][1::2]
    units = [text for tag, classes, text in cells if tag == "div" and classes == _UNIT]
    peak = re.search(r":\s*(?P<power>[\d.,]+ MW)\s*\(Lúc (?P<time>[\d:]+)\)", heads[0]) if heads else None
    if peak is None or len(heads) < 2 or len(units) != _SOURCES or len(values) < _SOURCES:  # noqa: PLR2004 - peak and total
        return None
    total = heads[1].partition(":")[2].strip()
    pairs = "".join(f"{value}|{unit}|" for value, unit in zip(values, units, strict=False))
    return "operation", f"{day:%d/%m/%Y}|{peak['time']}|{peak['power']}|{total}|{pairs}"
