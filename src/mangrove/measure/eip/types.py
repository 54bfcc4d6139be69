# SPDX-License-Identifier: Apache-2.0
"""The shapes of an assessment: a measure with its provenance, the reading of one indicator, and all of them for one year.

Comes in: nothing. Goes out: frozen values that pages, forms and prints read. What is not known is None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from mangrove.errors import Problem, Sentence, Where
from mangrove.rules.eip import Indicator

Value: TypeAlias = float | bool | str | None

MET, MISSED, UNKNOWN, REPORTED = "met", "missed", "unknown", "reported"
VERDICTS = (MET, MISSED, UNKNOWN, REPORTED)
"""The target is met; it is missed; the value or the bar is not known; the indicator has no target."""
COMPUTED, ANSWERED, OPEN = "computed", "answered", "asked"
ORIGINS = (COMPUTED, ANSWERED, OPEN)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a function found in the ledger and the declaration.

    Attributes:
        value: a number in the indicator's unit, True, or None when it cannot be said.
        part, whole: value is 100 x part / whole for a percentage, both in `unit`.
        flows, exchanges, places: ids of what it rests on; batches: of the values.
        remarks: what a reader should know; lacking: why there is no value.
        biggest: what stands most in the way, largest first: name and amount in `unit`.
    """

    value: float | bool | None
    part: float | None = None
    whole: float | None = None
    unit: str = ""
    flows: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    remarks: tuple[Sentence, ...] = ()
    lacking: tuple[Sentence, ...] = ()
    biggest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One indicator in one year.

    Attributes:
        value: that counts: the computed one, else the answered one; origin: `computed`, `answered` or `asked`.
        target: the bar that it is held against (a number, or `yes`), None without one.
        verdict: see `VERDICTS`.
        gap: how much the value lacks, in the indicator's unit; amount: the same in the unit of the measure (ha, m3, t, kWh).
        evidence: of the answer; where: its place in the file; measure: provenance when computed.
        problems: warnings: an answer that differs from what was computed, values that are incomplete.
    """

    indicator: Indicator
    value: Value
    origin: str
    target: Value
    verdict: str
    gap: float | None = None
    amount: float | None = None
    evidence: str = ""
    where: Where | None = None
    measure: Measure | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Indicators:
    """All indicators of a park for one year.

    Attributes:
        territory: name of the park; year: that the figures are about; framework: as asked for; day: whose rules hold.
        readings: in the order of the rules.

    Invariants:
        every indicator in force has exactly one reading; `met`, `missed`, `unknown` and `reported` add up to all.
    """

    territory: str
    year: int
    framework: str
    day: str
    readings: tuple[Reading, ...]
    problems: tuple[Problem, ...] = field(default=())

    def __iter__(self) -> Iterator[Reading]:
        return iter(self.readings)

    def __len__(self) -> int:
        return len(self.readings)

    def reading(self, code: str) -> Reading:
        """The reading of one indicator; raises KeyError when it is not in force."""
        return {one.indicator.code: one for one in self.readings}[code]

    def count(self, verdict: str, framework: str | None = None) -> int:
        """How many readings have a verdict, of one framework when named."""
        return sum(
            one.verdict == verdict and framework in (None, one.indicator.framework) for one in self.readings
        )

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks with rows, in order."""
        return tuple(dict.fromkeys(one.indicator.framework for one in self.readings))

    @property
    def gaps(self) -> tuple[Reading, ...]:
        """What stands between the park and certification: missed targets first, then what is not known."""
        open_ones = [one for one in self.readings if one.verdict in (MISSED, UNKNOWN)]
        return tuple(sorted(open_ones, key=lambda one: one.verdict != MISSED))

    @property
    def questions(self) -> tuple[Reading, ...]:
        """Indicators without a value: somebody must answer them."""
        return tuple(one for one in self.readings if one.value is None)
