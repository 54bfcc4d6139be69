# SPDX-License-Identifier: Apache-2.0
"""What stands between a park and certification: what is missing, by how much, and what would close it.

Comes in: `Indicators`. Goes out: one `Gap` for each target that is missed or not known, missed ones first. The amounts follow from the
indicator's own measure (percentage points of the whole, as hectares, cubic meters, tonnes, kilowatt-hours or firms); nothing is advice
beyond that arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from mangrove.errors import Sentence
from mangrove.measure.eip.answers import expected
from mangrove.measure.eip.indicators import written
from mangrove.measure.eip.types import ANSWERED, MISSED, Indicators, Reading
from mangrove.measure.report_model import significant
from mangrove.rules import eip

_BY_AMOUNT = {
    "energy_metered", "renewable_share", "wastewater_treated", "wastewater_reused", "waste_reused", "landfill_diverted",
    "shared_land", "native_land",
}  # fmt: skip
_BIGGEST = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap.

    Attributes:
        reading: the indicator with its value and target.
        missing: how much, in words (`12 percentage points`); empty when the value is not known.
        closes: sentences: what would close it, or who must answer what.
    """

    reading: Reading
    missing: str
    closes: tuple[Sentence, ...]

    def text(self, lang: str = "en") -> str:
        """What would close it, in words."""
        *first, last = [said.text(lang) for said in self.closes]
        return " ".join([*(text if text.endswith(".") else f"{text}." for text in first), last])


def gaps(found: Indicators, lang: str = "en") -> tuple[Gap, ...]:
    """The gaps of an assessment, missed targets first.

    Args:
        found: the indicators.
        lang: `en` or `vi`, for numbers.
    """
    return tuple(Gap(one, missing(one, lang), tuple(_closes(one, found.year, lang))) for one in found.gaps)


def missing(one: Reading, lang: str) -> str:
    """How much a missed target lacks; empty when there is no number."""
    if one.verdict != MISSED or one.gap is None:
        return ""
    return written(one.gap, one.indicator.unit, lang)


def _closes(one: Reading, year: int, lang: str) -> list[Sentence]:
    if one.verdict != MISSED:
        return _unknown(one, year)
    how, measure = one.indicator.how, one.measure
    if one.amount is not None and how in _BY_AMOUNT:
        amount = significant(_rounded(one.amount), lang)
        said = [Sentence(f"eip.close_{how}", (("amount", amount), ("unit", measure.unit if measure else "")))]
        return said + _named(one, lang)
    if (
        how in (eip.FIRMS, eip.LARGE_FIRMS)
        and measure
        and measure.whole
        and one.origin != ANSWERED
        and one.gap
    ):
        more = ceil(one.gap / 100 * measure.whole - 1e-9)
        return [Sentence("eip.close_firms", (("count", more),))]
    if how == "symbioses" and one.gap:
        return [Sentence("eip.close_symbioses", (("count", ceil(one.gap)),))]
    if isinstance(one.target, bool):
        return [Sentence("eip.close_yes", (("indicator", one.indicator.code),))]
    return [Sentence("eip.close_value", (("indicator", one.indicator.code),))]


def _unknown(one: Reading, year: int) -> list[Sentence]:
    """Why it is not known, and the line of answers.csv that would say it."""
    lacking = list(one.measure.lacking) if one.measure and one.value is None else []
    if one.value is None:
        line = f"{one.indicator.code},{year},{expected(one.indicator.code)}"
        return [*lacking, Sentence("eip.close_answer", (("line", line),))]
    fact = one.indicator.target
    return [*lacking, Sentence("eip.close_bar", (("line", f"{fact},{year},{expected(fact)}"),))]


def _named(one: Reading, lang: str) -> list[Sentence]:
    """The biggest of what stands in the way."""
    if one.measure is None or not one.measure.biggest:
        return []
    unit = one.measure.unit
    rows = [
        f"{name} ({significant(_rounded(size), lang)} {unit})"
        for name, size in one.measure.biggest[:_BIGGEST]
    ]
    return [Sentence("eip.biggest", (("rows", "; ".join(rows)),))]


def _rounded(amount: float) -> float:
    """An amount to three figures: an annual gap is not known better."""
    return float(f"{amount:.3g}")
