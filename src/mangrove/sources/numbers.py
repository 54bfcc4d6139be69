# SPDX-License-Identifier: Apache-2.0
"""Numbers as people write them: "1.234,5", "1,234.5", "1 234", "−3".

Comes in: a column of text. Goes out: the decimal mark that the column uses, with the evidence for it, and the numbers.
A mark that could be read both ways ("1.234" and nothing else) is reported as ambiguous: a guess would be wrong by a
factor of a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

OK, MISSING, BAD = 0, 1, 2
"""What a cell turned out to be: a number, an empty cell, or something that is neither."""

_EMPTY = ("", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing")
_SPACES = "\u0020\u00a0\u2007\u2009\u202f'\u2019"
_MARKED = ("point", "comma", "group_point", "group_comma", "unsure_point", "unsure_comma")
_FEW = 5
"""Marked numbers needed before their shape counts as evidence."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a file writes numbers.

    Attributes:
        decimal: `.` or `,`; the other one, spaces and apostrophes may group thousands.
        grouped: whether thousands were seen to be grouped.
    """

    decimal: str = "."
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class MarkEvidence:
    """How often a column shows each use of a mark; evidence of several columns adds up.

    Attributes:
        point, comma: numbers in which that mark can only be the decimal mark.
        group_point, group_comma: numbers in which that mark can only group thousands.
        unsure_point, unsure_comma: numbers such as "1.234" and "1,234".
        plain_small, plain_large: unmarked whole numbers from 100 to 999, and from 1,000.
        sample: one unsure number, as written.
    """

    point: int = 0
    comma: int = 0
    group_point: int = 0
    group_comma: int = 0
    unsure_point: int = 0
    unsure_comma: int = 0
    plain_small: int = 0
    plain_large: int = 0
    sample: str = ""

    def __add__(self, other: MarkEvidence) -> MarkEvidence:
        counts = {
            f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self) if f.name != "sample"
        }
        return MarkEvidence(**counts, sample=self.sample or other.sample)

    @property
    def marked(self) -> bool:
        """Whether any number with a mark was seen; whole numbers alone say nothing about those further down."""
        return any(getattr(self, name) for name in _MARKED)

    def style(self) -> NumberStyle | None:
        """The style that the evidence supports, or None when a mark can be read both ways.

        "1.234" alone is ambiguous. It groups thousands when at least five numbers have that shape, unmarked numbers
        from 100 to 999 occur, which are next to it in size only when it does, and unmarked ones above do not: a format
        with fixed decimals would mark those too.
        """
        if self.comma or self.group_point:
            if self.point > self.comma + self.group_point:
                return NumberStyle(".", grouped=bool(self.group_comma))
            return NumberStyle(",", grouped=bool(self.group_point or self.unsure_point))
        if self.point or self.group_comma:
            return NumberStyle(".", grouped=bool(self.group_comma or self.unsure_comma))
        if not (self.unsure_point or self.unsure_comma):
            return NumberStyle()
        unsure, other = sorted((self.unsure_point, self.unsure_comma), reverse=True)
        grouping = not other and unsure >= _FEW and self.plain_small and not self.plain_large
        if not grouping:
            return None
        return NumberStyle(",", grouped=True) if self.unsure_point else NumberStyle(".", grouped=True)


def weigh(column: pa.Array) -> MarkEvidence:
    """The evidence in a column of text for the meaning of `.` and `,`."""
    cells = pc.drop_null(_trim(column))
    cells = pc.replace_substring_regex(cells, rf"(\d)[{_SPACES}](\d{{3}})", r"\1\2")

    def count(pattern: str) -> int:
        return int(pc.sum(pc.match_substring_regex(cells, rf"^[-+−]?(?:{pattern})$")).as_py() or 0)

    unsure = pc.filter(cells, pc.match_substring_regex(cells, r"^[-+−]?[1-9]\d{0,2}[.,]\d{3}$"))
    return MarkEvidence(
        point=count(r"\d*\.(?:\d{1,2}|\d{4,})|0+\.\d{3}|\d{4,}\.\d{3}|\d{1,3}(?:,\d{3})+\.\d+"),
        comma=count(r"\d*,(?:\d{1,2}|\d{4,})|0+,\d{3}|\d{4,},\d{3}|\d{1,3}(?:\.\d{3})+,\d+"),
        group_point=count(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d*)?|\d{1,3}\.\d{3},\d+"),
        group_comma=count(r"\d{1,3}(?:,\d{3}){2,}(?:\.\d*)?|\d{1,3},\d{3}\.\d+"),
        unsure_point=count(r"[1-9]\d{0,2}\.\d{3}"),
        unsure_comma=count(r"[1-9]\d{0,2},\d{3}"),
        plain_small=count(r"[1-9]\d{2}"),
        plain_large=count(r"[1-9]\d{3,}"),
        sample=unsure[0].as_py() if len(unsure) else "",
    )


def parse(column: pa.Array, style: NumberStyle) -> tuple[Floats, Codes]:
    """Numbers of a column, with a code per cell (`OK`, `MISSING`, `BAD`).

    Args:
        column: text, or numbers that a spreadsheet or Parquet file already holds as numbers.
        style: the marks to read by. Scientific notation always has a decimal point.

    Returns:
        Values (NaN unless `OK`) and codes, both of the column's length.
    """
    if pa.types.is_boolean(column.type):  # yes and no are no amounts
        return np.full(len(column), np.nan), np.where(pc.is_valid(column), BAD, MISSING).astype(np.uint8)
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return _native(column)
    if style.decimal == ".":
        try:  # the common clean case, ten times faster than looking at every cell
            return _native(pc.cast(column, pa.float64()))
        except pa.ArrowInvalid:
            pass
    text = pc.fill_null(_trim(column), "")
    empty = pc.fill_null(pc.is_in(pc.utf8_lower(text), value_set=pa.array(_EMPTY)), fill_value=True)
    bare = pc.replace_substring(_strip_marks(text, style), "−", "-")
    shape = pc.fill_null(
        pc.match_substring_regex(bare, r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$"), fill_value=False
    )
    plus = pc.replace_substring_regex(bare, r"^\+", "")
    values = pc.cast(pc.if_else(shape, plus, pa.scalar(None, pa.string())), pa.float64())
    numbers, codes = _native(values)
    codes[(codes == MISSING) & ~np.asarray(empty)] = BAD
    return numbers, codes


def _strip_marks(text: pa.Array, style: NumberStyle) -> pa.Array:
    """Well-formed groups of thousands closed up and the decimal mark turned into a point; other cells stay as they are.

    A cell with the wrong grouping ("1,23,456") is blanked to something that is no number, so that it is refused.
    """
    group = "," if style.decimal == "." else r"\."
    mark = r"\." if style.decimal == "." else ","
    grouped = pc.match_substring_regex(
        text, rf"^[-+−]?\d{{1,3}}(?:(?:{group}\d{{3}})+|(?:[{_SPACES}]\d{{3}})+)(?:{mark}\d*)?$"
    )
    closed = pc.replace_substring_regex(text, rf"{group}|[{_SPACES}]", "")
    if style.decimal == ".":
        return pc.if_else(grouped, closed, text)
    scientific = pc.match_substring_regex(text, r"^[-+]?\d+(?:\.\d+)?[eE][-+]?\d+$")
    pointed = pc.match_substring(text, ".")
    comma = pc.replace_substring(pc.if_else(grouped, closed, text), ",", ".")
    foreign = pc.and_(pc.and_not(pointed, grouped), pc.invert(scientific))
    return pc.if_else(scientific, text, pc.if_else(foreign, "?", comma))


def _native(column: pa.Array) -> tuple[Floats, Codes]:
    """Numbers that are numbers already: NaN and null are missing, infinity is bad."""
    values = np.array(pc.fill_null(pc.cast(column, pa.float64()), float("nan")), dtype=np.float64)
    codes = np.where(np.isnan(values), MISSING, OK).astype(np.uint8)
    infinite = np.isinf(values)
    codes[infinite] = BAD
    values[infinite] = np.nan
    return values, codes


def _trim(column: pa.Array) -> pa.Array:
    text = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    return pc.utf8_trim_whitespace(text)
