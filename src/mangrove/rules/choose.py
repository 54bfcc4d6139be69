# SPDX-License-Identifier: Apache-2.0
"""Which factor holds: priority between sources, dates, and what may not be used silently.

Comes in: all rows of one activity and gas, a day, the territory's own rows, and what a flow allows by name. Goes out:
one chosen row with everything else that was on offer, or a `RuleError` that says why there is none. The order is that of
Circular 38/2023/TT-BCT, Article 18: the facility's own approved factor, then Decision 2626/QD-BTNMT (and the yearly
grid factor of the same ministry), then IPCC, the newest guidelines first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mangrove.errors import RuleError
from mangrove.rules.types import Conflict, Factor, Selection
from mangrove.units import unit

TOLERANCE = 0.005
"""Two sources conflict when their values differ by more than half a percent."""

_AUTHORITY = {"local": 0, "QD2626": 1, "DCC": 1, "IPCC2019": 2, "IPCC2006": 3, "GHGP": 4}
_LAST = 9
_STATUS = {"official": 0, "unofficial": 1, "recalled": 2, "alternate": 3}
_SHOWN = 4
_ALWAYS = "official"
_FALLBACKS = ("recalled", "alternate")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: an activity as written, a gas, a day (None: any day) and what is allowed by name."""

    activity: str
    gas: str
    on: date | None
    allow: Collection[str] = ()


def authority(factor: Factor) -> int:
    """The rank of the factor's source; 0 stands highest."""
    return _AUTHORITY.get(factor.id.split(":", 1)[0], _LAST)


def rank(factor: Factor) -> tuple[int, int, str]:
    """Sorts rows: status first, then authority, then id."""
    return _STATUS[factor.status], authority(factor), factor.id


def choose(question: Question, rows: Sequence[Factor]) -> Selection:
    """The row that holds for `question` among `rows` (all of the same activity and gas, of usable kinds).

    `official` rows always count. `unofficial` rows count only when `allow` names the status or the row's id. A row whose
    id is allowed stands above all but the territory's own. `recalled`, then `alternate` rows are used only when the
    activity has no official row at any date, and the selection carries a caution.

    Raises:
        RuleError: `rules.no_factor`, `rules.not_printed` or `rules.ambiguous`.
    """
    valid = [row for row in rows if question.on is None or row.valid_on(question.on)]
    usable = _usable(question, rows, valid)
    if not usable:
        raise RuleError(
            "rules.no_factor",
            activity=question.activity,
            gas=question.gas or "-",
            on=question.on or "-",
            available=_offer(rows, question.on),
        )
    best = usable[0]
    if not best.printed:
        raise RuleError("rules.not_printed", activity=question.activity, gas=question.gas, source=best.source)
    _refuse_ambiguous(question, best, usable)
    others = tuple(sorted((row for row in valid if row is not best), key=rank))
    return Selection(
        chosen=best,
        alternatives=others,
        conflict=any(differ(best, row) for row in others),
        caution="" if best.status == _ALWAYS else f"rules.caution_{best.status}",
    )


def _usable(question: Question, rows: Sequence[Factor], valid: Sequence[Factor]) -> list[Factor]:
    """The rows that may be chosen, best first."""
    allow = question.allow
    own = [row for row in valid if authority(row) == 0]
    named = [row for row in valid if row.id in allow]
    sure = sorted((row for row in valid if row.status == _ALWAYS or row.status in allow), key=rank)
    usable = own + named + sure
    if not usable and not any(row.status == _ALWAYS for row in rows):
        usable = sorted((row for row in valid if row.status in _FALLBACKS), key=rank)
    return usable


def _refuse_ambiguous(question: Question, best: Factor, usable: Iterable[Factor]) -> None:
    """Refuses two different values of one document that claim the same thing at the same time."""
    if best.id in question.allow or authority(best) == 0:
        return
    twins = [row for row in usable if row.source.document == best.source.document and differ(best, row)]
    if twins:
        ids = ", ".join([best.id, *(row.id for row in twins)])
        raise RuleError("rules.ambiguous", activity=question.activity, gas=question.gas or "-", ids=ids)


def _offer(rows: Iterable[Factor], on: date | None) -> str:
    """The rows that there are, those nearest to the day first, for an error message."""

    def distance(row: Factor) -> int:
        if on is None or row.valid_on(on):
            return 0
        return min(abs((day - on).days) for day in (row.valid_from, row.valid_to) if day is not None)

    nearest = sorted(rows, key=distance)
    shown = [
        f"{row.id} {row.value:g} {row.unit} ({row.status}, {row.valid_from or '...'} - {row.valid_to or '...'})"
        for row in nearest[:_SHOWN]
    ]
    return "; ".join([*shown, *(["..."] if len(nearest) > _SHOWN else [])]) or "-"


def common(factor: Factor, target: str) -> float | None:
    """The value in the unit `target`, or None when the units do not convert or no number is printed."""
    here, there = unit(factor.unit), unit(target)
    if not factor.printed or not here.converts_to(there):
        return None
    return factor.value * here.to(there)


def spread(values: Iterable[float]) -> float:
    """(largest - smallest) / largest magnitude; 0 when all are equal."""
    listed = list(values)
    largest = max((abs(value) for value in listed), default=0.0)
    return (max(listed) - min(listed)) / largest if largest else 0.0


def differ(left: Factor, right: Factor) -> bool:
    """Whether two rows state different values (rows in units that do not convert always do)."""
    if not (left.printed and right.printed):
        return left.printed != right.printed
    value = common(right, left.unit)
    return value is None or spread((left.value, value)) > TOLERANCE


def conflicts_of(rows: Sequence[Factor]) -> list[Conflict]:
    """The conflicts among `rows`: same activity and gas, days in common, different values.

    Validity edges cut time into pieces; a conflict names the rows that hold together in its piece, and pieces with the
    same rows are one conflict.
    """
    groups: dict[tuple[str, str], list[Factor]] = {}
    for row in rows:
        groups.setdefault((row.activity, row.gas), []).append(row)
    found = []
    for (activity, gas), members in groups.items():
        seen: dict[tuple[str, ...], tuple[Factor, ...]] = {}
        for day in _pieces(members):
            clash = _clash([row for row in members if row.valid_on(day)])
            seen.setdefault(tuple(row.id for row in clash), clash)
        for clash in seen.values():
            if clash:
                values = [value for row in clash if (value := common(row, clash[0].unit)) is not None]
                found.append(Conflict(activity, gas, clash, spread(values)))
    return found


def _pieces(rows: Iterable[Factor]) -> list[date]:
    """One day in each piece of time between validity edges."""
    edges = {edge for row in rows for edge in (row.valid_from, row.valid_to) if edge}
    return [date.min, *sorted(edges)]


def _clash(rows: Sequence[Factor]) -> tuple[Factor, ...]:
    """The rows that differ from another one, best first."""
    return tuple(sorted((row for row in rows if any(differ(row, other) for other in rows)), key=rank))
