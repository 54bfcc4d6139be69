# SPDX-License-Identifier: Apache-2.0
"""All indicators of a park for one year: computed where the ledger can say it, else answered, else asked, with a verdict and the gap.

Comes in: an opened territory and a year. Goes out: `Indicators`. A computed number stands above an answer; an answer that differs is
flagged, never dropped in silence.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import MAXYEAR, MINYEAR, date
from typing import TYPE_CHECKING

from mangrove import messages, rules
from mangrove.errors import Problem, RequestError, RuleError
from mangrove.ledger.catalog import CATALOG
from mangrove.measure.eip import computed, effluent
from mangrove.measure.eip.answers import Answers, value_of
from mangrove.measure.eip.land import land
from mangrove.measure.eip.types import (
    ANSWERED,
    COMPUTED,
    MET,
    MISSED,
    OPEN,
    REPORTED,
    UNKNOWN,
    Indicators,
    Measure,
    Reading,
    Value,
)
from mangrove.measure.eip.year import Year
from mangrove.measure.report_model import BLANK, significant
from mangrove.rules import eip
from mangrove.territory.model import Territory
from mangrove.times import parse_date

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger, Snapshot

_SAME = 0.5
"""An answer that differs from what was computed by more than this (in the indicator's unit) is flagged."""


def indicators(
    park: Handle, year: int, *, framework: str = "all", on: str | date | None = None
) -> Indicators:
    """The indicators of a park for one year; see `assessment`."""
    return assessment(park, year, framework=framework, on=on)[0]


def assessment(
    park: Handle, year: int, *, framework: str = "all", on: str | date | None = None
) -> tuple[Indicators, tuple[effluent.Outlet, ...]]:
    """The indicators of a park for one year, and its effluents against their limits.

    Args:
        park: an opened territory.
        year: calendar year in the territory's time zone.
        framework: `vn`, `international`, `all`, or one framework (`ND35`, `A.5`, ...).
        on: the day whose rules hold; the last day of the year after, in which the report is made, when left out.

    Raises:
        DeclarationError: answers that nothing asks for or that cannot be read, all of them.
        RequestError: `eip.no_data_in_year`.
        RuleError: `eip.unknown_framework`, `eip.nothing_in_force`.
    """
    day = parse_date(on) if isinstance(on, str) else on
    require_year(year)
    answers = Answers(park.territory, year)
    with reading(park) as ledger, _snapshot(ledger) as snapshot:
        evidence = gather(park.territory, answers, snapshot)
        return assess(evidence, framework=framework, on=day), evidence.outlets


def require_year(year: int) -> None:
    """Raises `RequestError` for a year that no calendar has."""
    if not MINYEAR < year < MAXYEAR:
        raise RequestError("base.not_a_period", text=year)


def assess(evidence: computed.Evidence, *, framework: str = "all", on: date | None = None) -> Indicators:
    """The indicators on what was gathered."""
    year, answers = evidence.year, evidence.answers
    day = on or date(answers.year + 1, 12, 31)
    chosen = eip.in_force(framework, day)
    if not chosen:
        raise RuleError("eip.nothing_in_force", framework=framework, day=day)
    year.require_data(len(answers))
    readings = tuple(_reading(evidence, indicator) for indicator in chosen)
    problems = tuple(problem for outlet in evidence.outlets for problem in outlet.problems)
    return Indicators(year.territory.name, answers.year, framework, day.isoformat(), readings, problems)


def gather(territory: Territory, answers: Answers, snapshot: Snapshot | None) -> computed.Evidence:
    """What the functions that compute indicators look at."""
    year = Year(territory, answers.year, snapshot)
    area = land(territory, date(answers.year, 12, 31), year.inside, year.root)
    outlets = effluent.outlets(year, answers, snapshot)
    return computed.Evidence(year, answers, area, outlets, rules.load())


def reading(park: Handle) -> AbstractContextManager[Ledger | None]:
    """The ledger for reading; None when nothing was ever ingested."""
    return park.reader() if (park.store / CATALOG).is_file() else nullcontext(None)


def _snapshot(ledger: Ledger | None) -> AbstractContextManager[Snapshot | None]:
    return nullcontext(None) if ledger is None else ledger.snapshot()


def _reading(evidence: computed.Evidence, indicator: eip.Indicator) -> Reading:
    """One indicator: value, origin, verdict, gap."""
    measure = computed.measure(evidence, indicator)
    answer = evidence.answers.of(indicator.code)
    if answer is None and indicator.same:
        answer = evidence.answers.of(indicator.same)
    said: Value = None if answer is None else value_of(answer)
    value, origin = (measure.value, COMPUTED) if measure and measure.value is not None else (said, ANSWERED)
    if value is None:
        origin = OPEN
    problems = []
    if answer is not None and origin == COMPUTED and _differs(value, said):
        data = {"indicator": indicator.code, "said": answer.value, "computed": written(value, indicator.unit)}
        problems.append(Problem("eip.answer_differs", data, answer.where, severity="warning"))
    target = _target(indicator, evidence.answers)
    verdict = verdict_of(indicator, value, target)
    gap = _gap(value, target) if verdict == MISSED else None
    return Reading(
        indicator, value, origin, target, verdict, gap, _amount(measure, gap, origin),
        answer.evidence if answer else "", answer.where if answer else None, measure, tuple(problems),
    )  # fmt: skip


def _differs(left: Value, right: Value) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is not right
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) > _SAME
    return left != right


def _target(indicator: eip.Indicator, answers: Answers) -> Value:
    """The bar: a number, True for `yes`, the answer to the fact that it names; None when there is none or it is not known."""
    if not indicator.target:
        return None
    if indicator.target == "yes":
        return True
    if "/" in indicator.target:
        return answers.value(indicator.target)
    return float(indicator.target)


def verdict_of(indicator: eip.Indicator, value: Value, target: Value) -> str:
    """Whether the value meets the target of the indicator."""
    if not indicator.target:
        return REPORTED if value is not None else UNKNOWN
    if value is None or target is None:
        return UNKNOWN
    if isinstance(target, bool):
        return MET if value is target else MISSED
    if not isinstance(value, float) or not isinstance(target, float):
        return UNKNOWN
    good = value <= target if indicator.sense == "<=" else value >= target
    return MET if good else MISSED


def _gap(value: Value, target: Value) -> float | None:
    if isinstance(value, float) and isinstance(target, float):
        return abs(target - value)
    return None


def _amount(measure: Measure | None, gap: float | None, origin: str) -> float | None:
    """The gap in the unit of what was measured: percentage points of the whole."""
    if measure is None or measure.whole is None or gap is None or origin != COMPUTED or not measure.unit:
        return None
    return gap / 100 * measure.whole


def written(value: Value, unit: str, lang: str = "en") -> str:
    """A value for people: `45.2 %`, `yes`, `3`."""
    if value is None:
        return BLANK
    if isinstance(value, bool):
        return messages.render("eip.yes" if value else "eip.no", lang)
    if isinstance(value, str):
        return value
    number = significant(round(value, 1) if unit == "%" else value, lang)
    mark = {"%": " %", "count": "", "yes/no": ""}.get(unit, f" {unit}")
    return number + mark
