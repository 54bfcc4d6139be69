# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: significant digits, Vietnamese or English separators, units as officials write them.

Comes in: floats and units ("t CO2e", "kWh"). Goes out: text such as `1.234,5` or `46,9 triệu tấn CO2tđ`. A value that is
not a number becomes the words for "no data", never a zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from mangrove import messages

_SEPARATORS = {"en": (",", "."), "vi": (".", ",")}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = "\u2212"
_LARGEST_PLAIN, _SMALLEST_PLAIN = 1e15, 1e-4

_TONNE_STEPS = ((1e6, "Mt"), (1e3, "kt"))
_WORDS_VI = {
    "t": "tấn", "kt": "nghìn tấn", "Mt": "triệu tấn", "person": "người", "km2": "km²", "m3": "m³", "day": "ngày",
    "yr": "năm", "h": "giờ", "head": "con", "vehicle": "xe", "month": "tháng", "%": "%",
}  # fmt: skip
_WORDS_EN = {"km2": "km²", "m3": "m³"}
_FORMULAS = (("CO2", "CO₂"), ("CH4", "CH₄"), ("N2O", "N₂O"), ("SF6", "SF₆"), ("NF3", "NF₃"))


def is_number(value: float | None) -> bool:
    """Whether `value` is a finite number; None, NaN and infinities are not."""
    return value is not None and math.isfinite(value)


def no_data(lang: str = "vi") -> str:
    """The words shown in the place of a missing number."""
    return messages.render("figures.no_data", lang)


def number(value: float | None, lang: str = "vi", *, digits: int = 3) -> str:
    """`value` rounded to `digits` significant digits, with the separators of `lang`.

    Example:
        >>> number(1234567.8, "vi"), number(1234567.8, "en", digits=5)
        ('1.230.000', '1,234,600')
        >>> number(-0.012345, "vi")
        '−0,0123'
    """
    if value is None or not math.isfinite(value):
        return no_data(lang)
    if value and not _SMALLEST_PLAIN <= abs(value) < _LARGEST_PLAIN:
        mantissa, exponent = f"{value:.{max(digits, 1) - 1}e}".split("e")
        power = str(int(exponent)).translate(_SUPERSCRIPT)
        return f"{_bare(fixed(float(mantissa), lang, decimals=max(digits, 1) - 1), lang)}×10{power}"
    rounded = significant(value, digits)
    decimals = 0 if not rounded else max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return _bare(fixed(rounded, lang, decimals=decimals), lang)


def _bare(text: str, lang: str) -> str:
    """A number without zeros at the end of its decimals."""
    comma = _SEPARATORS[lang][1]
    return text.rstrip("0").rstrip(comma) if comma in text else text


def fixed(value: float | None, lang: str = "vi", *, decimals: int = 0) -> str:
    """`value` with a fixed number of decimals, so that columns of numbers line up.

    Example:
        >>> fixed(1234.5, "vi", decimals=2), fixed(-1234.5, "en", decimals=1)
        ('1.234,50', '−1,234.5')
    """
    if value is None or not math.isfinite(value):
        return no_data(lang)
    thousands, decimal = _SEPARATORS[lang]
    text = f"{abs(value):,.{decimals}f}".translate({ord(","): thousands, ord("."): decimal})
    negative = value < 0 and any(char in "123456789" for char in text)
    return (_MINUS if negative else "") + text


def significant(value: float, digits: int = 3) -> float:
    """`value` rounded to `digits` significant digits; zero and non-numbers come back as they are."""
    if not value or not math.isfinite(value):
        return value
    return float(f"{value:.{max(digits, 1) - 1}e}")


def percent(fraction: float | None, lang: str = "vi", *, decimals: int = 1) -> str:
    """A fraction as a percentage.

    Example:
        >>> percent(0.4567, "vi"), percent(0.5, "en", decimals=0)
        ('45,7 %', '50 %')
    """
    if fraction is None or not math.isfinite(fraction):
        return no_data(lang)
    return f"{fixed(fraction * 100, lang, decimals=decimals)} %"


@dataclass(frozen=True, slots=True)
class Scale:
    """A common divisor for all numbers of one figure or column, and its unit in words."""

    divisor: float
    label: str
    lang: str

    def text(self, value: float | None, *, digits: int = 3) -> str:
        """`value`, given in the unscaled unit, as a number of this scale without the unit."""
        return no_data(self.lang) if value is None else number(value / self.divisor, self.lang, digits=digits)

    def full(self, value: float | None, *, digits: int = 3) -> str:
        """As `text`, followed by the unit."""
        shown = self.text(value, digits=digits)
        return f"{shown} {self.label}" if is_number(value) and self.label else shown

    def decimals(self, largest: float, *, digits: int = 3) -> int:
        """The decimals with which a column whose largest number is `largest` shows `digits` significant digits."""
        scaled = abs(largest / self.divisor)
        if not scaled or not math.isfinite(scaled):
            return 0
        return min(max(0, digits - 1 - math.floor(math.log10(scaled))), 6)

    def even(self, value: float | None, *, decimals: int) -> str:
        """As `column`, but a number too small for the decimals keeps two significant digits."""
        if value is None or not math.isfinite(value) or abs(value / self.divisor) >= 10.0 ** (1 - decimals):
            return self.column(value, decimals=decimals)
        return self.text(value, digits=2)

    def column(self, value: float | None, *, decimals: int) -> str:
        """`value` with fixed decimals, for a column in which the decimal marks stand below each other."""
        return fixed(None if value is None else value / self.divisor, self.lang, decimals=decimals)


def scale(largest: float | None, unit: str, lang: str = "vi") -> Scale:
    """The scale for numbers up to `largest` in `unit`: tonnes become kt and Mt (nghìn tấn, triệu tấn) when large.

    Example:
        >>> scale(46.9e6, "t CO2e", "vi").full(46.9e6)
        '46,9 triệu tấn CO2tđ'
        >>> scale(46.9e6, "t CO2e", "en").full(46.9e6)
        '46.9 Mt CO2e'
    """
    if largest is None or not math.isfinite(largest) or not (unit == "t" or unit.startswith(("t ", "t/"))):
        return Scale(1.0, unit_label(unit, lang), lang)
    divisor, prefix = next((step for step in _TONNE_STEPS if abs(largest) >= step[0]), (1.0, "t"))
    return Scale(divisor, unit_label(prefix + unit[1:], lang), lang)


def unit_label(unit: str, lang: str = "vi") -> str:
    """A unit as officials write it in `lang`.

    Example:
        >>> unit_label("t CO2e/person", "vi"), unit_label("t CO2e", "en"), unit_label("kWh", "vi")
        ('tấn CO2tđ/người', 't CO2e', 'kWh')
    """
    words = _WORDS_VI if lang == "vi" else _WORDS_EN
    parts = []
    for part in unit.split("/"):
        head, _, rest = part.strip().partition(" ")
        parts.append(" ".join(p for p in (words.get(head, head), _substance(rest, lang)) if p))
    return "/".join(parts)


def _substance(name: str, lang: str) -> str:
    """Carbon dioxide equivalent is `CO2tđ` (tương đương) in Vietnamese documents."""
    return name.replace("CO2e", "CO2tđ") if lang == "vi" else name


def interval(value: float | None, low: float | None, high: float | None, scaling: Scale) -> tuple[str, str]:
    """The number and its 95 % interval as texts, rounded to two digits of the half-width (JCGM 100:2008, 7.2.6).

    Without an interval the value has three significant digits and the second text is empty.

    Example:
        >>> interval(46_912_345, 43_800_000, 50_020_000, scale(46_912_345, "t CO2e", "en"))
        ('46.9', '43.8–50.0')
    """
    if value is None or not math.isfinite(value):
        return no_data(scaling.lang), ""
    if low is None or high is None or not math.isfinite(high - low):
        return scaling.text(value), ""
    half = abs(high - low) / 2 / scaling.divisor
    decimals = min(max(0, 1 - math.floor(math.log10(half))), 9) if half else scaling.decimals(value)
    ends = (scaling.column(end, decimals=decimals) for end in (low, high))
    joiner = " … " if min(low, high) < 0 else "–"
    return scaling.column(value, decimals=decimals), joiner.join(ends)


def typeset(text: str) -> str:
    """`text` with the formulas of the gases set with subscripts, for display: `CO2tđ` becomes `CO₂tđ`."""
    for plain, pretty in _FORMULAS:
        text = text.replace(plain, pretty)
    return text


def day(value: date, lang: str = "vi") -> str:
    """A date as it is written in `lang`.

    Example:
        >>> day(date(2025, 7, 1), "vi"), day(date(2025, 7, 1), "en")
        ('01/07/2025', '1 Jul 2025')
    """
    if lang == "vi":
        return f"{value:%d/%m/%Y}"
    return f"{value.day} {month(value.month, 'en')} {value.year}"


def month(index: int, lang: str = "vi") -> str:
    """The short name of a month, counted from 1.

    Example:
        >>> month(3, "vi"), month(3, "en")
        ('T3', 'Mar')
    """
    if lang == "vi":
        return f"T{index}"
    return ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[index - 1]
