# SPDX-License-Identifier: Apache-2.0
"""The shape of an official report before it becomes a file: grids, sections, a document.

Comes in: headings, paragraphs and rows from the rooms that know the law. Goes out: frozen values that `writers` turns into
.xlsx and .docx, and that a test can compare with what was written. `None` in a grid is a number or fact that is not known:
it is written as a visible blank, never as zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from mangrove import messages

Value: TypeAlias = str | float | int | None
BLANK = "……"
"""What stands where a fact is not known and must be filled in by hand."""
DASH = "–"
"""What stands where there is no number to show."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        title: stands above it; columns: headings; rows: as wide as `columns`.
        notes: stand below it; sheet: name of its worksheet (at most 31 letters), empty to derive it from the title.
        decimals: of all numbers that are not whole counts, for columns that add up; None shows significant figures.

    A row whose first cell is an empty text is a sum of rows above it and is set in bold.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()
    sheet: str = ""
    decimals: int | None = None

    def shown(self, value: Value, lang: str) -> str:
        """A cell of this grid for people."""
        if self.decimals is not None and isinstance(value, float):
            return number(value, lang, self.decimals)
        return significant(value, lang)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands under it: paragraphs first, then tables. `level` 1 is a part, 2 an item, 3 below."""

    heading: str
    level: int
    paragraphs: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A report in the form of a Vietnamese administrative document.

    Attributes:
        form: small print in the top right corner ("Mẫu số 06"); left, right: lines of the two columns of the head.
        title: lines of the title, the first one largest; sections: in order; signature: line at the end, right.
        sources: further tables that only the workbook carries.
        lang: `vi` or `en`, for numbers.
    """

    form: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    title: tuple[str, ...]
    sections: tuple[Section, ...]
    signature: str
    sources: tuple[Grid, ...] = ()
    lang: str = "vi"

    def grids(self) -> tuple[Grid, ...]:
        """All tables in order: those of the sections, then those for the workbook alone."""
        return tuple(grid for section in self.sections for grid in section.grids) + self.sources


def dashed(values: Iterable[Value]) -> tuple[Value, ...]:
    """A row in which what does not exist is a dash; in tables of results nothing is filled in by hand."""
    return tuple(DASH if value is None else value for value in values)


def say(code: str, lang: str, **data: object) -> str:
    """The sentence `reports.<code>`."""
    return messages.render(f"reports.{code}", lang, **data)


def number(value: float | None, lang: str, digits: int) -> str:
    """A number for people: `1.234.567,89` in Vietnamese, `1,234,567.89` in English; a blank when it is not known.

    Example:
        >>> number(1234567.891, "vi", 2), number(1234567.891, "en", 2), number(None, "vi", 2)
        ('1.234.567,89', '1,234,567.89', '……')
    """
    if value is None:
        return BLANK
    written = f"{value:,.{digits}f}"
    return written.translate(str.maketrans(",.", ".,")) if lang == "vi" else written


def significant(value: Value, lang: str, digits: int = 6) -> str:
    """A cell for people: text as it is, whole numbers whole, others to about `digits` significant figures.

    Example:
        >>> significant(0.0000359, "en"), significant(1234.5678, "en"), significant(409456.99, "vi")
        ('0.0000359', '1,234.57', '409.456,99')
    """
    if value is None or isinstance(value, str):
        return BLANK if value is None else value
    if isinstance(value, int) or value == int(value):
        return number(value, lang, 0)
    decimals = min(max(2, digits - 1 - math.floor(math.log10(abs(value)))), 12)
    return number(value, lang, decimals).rstrip("0").rstrip(",.")
