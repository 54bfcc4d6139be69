# SPDX-License-Identifier: Apache-2.0
"""A plan of exchanges hour by hour: what the meters, the contracts and the grid say about some days, handed to the plan.

Comes in: an opened territory and a day. Goes out: an `Hourly`, which says itself in Vietnamese or English. A course is read from the flow that
a listing names (`flow=...` among its parameters): its hours of the month over their mean; without one the listing is even. Electricity
costs what the contract of a unit's place says; the grid emits what ran in each hour where that is known for all hours, else its official factor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError, RuleError
from mangrove.exchange import Planned, again
from mangrove.plan import symbiosis
from mangrove.plan.symbiosis import Course, Hours
from mangrove.rules import contracts
from mangrove.times import Span, Step, parse_date

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Snapshot
    from mangrove.plan.symbiosis import Party

Floats = npt.NDArray[np.float64]
MOST_DAYS = 31
"""Days that are planned at once: longer spans are the months' plan."""
_HOUR = Step(seconds=3600)
_LONGEST = 3600.0
_FULL = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class Hourly:
    """Some days of a plan hour by hour.

    Attributes:
        hours: what flows when; planned: the plan of the year; day, days: which days.
        problems: what people should know.
    """

    hours: Hours
    planned: Planned
    day: date
    days: int
    problems: tuple[Problem, ...] = ()

    def text(self, lang: str = "en") -> str:
        """The days for people."""
        from mangrove import printing_exchange_hours

        return printing_exchange_hours.hours_text(self, lang)

    def document(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "territory": self.planned.territory, "day": self.day.isoformat(), "days": self.days, **self.hours.document(),
            "notes": [{"code": one.code, "severity": one.severity, "en": one.line("en"), "vi": one.line("vi")} for one in self.problems],
        }  # fmt: skip


def hours(
    park: Handle,
    day: str | date,
    days: int = 1,
    *,
    planned: Planned | None = None,
    power_price: float | None = None,
    **asked: Any,
) -> Hourly:
    """See `mangrove.exchange.hours`."""
    if not 1 <= days <= MOST_DAYS:
        raise RequestError("exchange.bad_days", text=days, most=MOST_DAYS)
    tz = park.territory.tz
    began = day if isinstance(day, date) else parse_date(day)
    span = Span.between(began, began + timedelta(days=days), tz)
    planned = planned or again(park, **asked)
    starts = tuple(one.astimezone(tz) for one in _HOUR.starts(span, tz))
    month = np.array([one.month - 1 for one in starts], dtype=np.int64)
    notes: list[Problem] = []
    shapes = _shapes(park, planned, starts, notes)
    price = _prices(park, planned, starts, notes, flat=power_price)
    carbon = _carbon(park, planned, span, len(starts), notes)
    found = symbiosis.hours(planned.plan, Course(starts, month, shapes, price, carbon))
    if planned.plan.case.least.any():
        notes.append(Problem("exchange.hours_least", {}, severity="note"))
    return Hourly(found, planned, began, days, tuple(notes))


def as_json(found: Hourly) -> str:
    """The days as JSON."""
    return json.dumps(found.document(), ensure_ascii=False, indent=1)


# --- courses --------------------------------------------------------------------------------------------------------------


def _shapes(
    park: Handle, planned: Planned, starts: Sequence[datetime], notes: list[Problem]
) -> dict[str, Floats]:
    """Rate over mean rate of the month in each hour, of the offers and needs that name a meter and take part in the plan."""
    plan = planned.plan
    taking = {end for one in plan.exchanges for end in (one.offer, one.need)}
    named = {
        one.id: (one, str(one.listing.parameters["flow"]))
        for one in (*plan.case.offers, *plan.case.needs)
        if one.id in taking and "flow" in one.listing.parameters
    }
    known = {}
    for id_, (one, flow) in named.items():
        problem = _unusable(park, one, flow)
        if problem is None:
            known[id_] = flow
        else:
            notes.append(problem)
    if not known or not park.store.is_dir():
        notes += [_unread(named[id_][0], flow) for id_, flow in known.items()]
        return {}
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        read = {flow: _course(park, snapshot, flow, starts) for flow in set(known.values())}
    notes += [_unread(named[id_][0], flow) for id_, flow in known.items() if read[flow] is None]
    return {id_: course for id_, flow in known.items() if (course := read[flow]) is not None}


def _unusable(park: Handle, one: Party, flow: str) -> Problem | None:
    """Why a flow has no hours: nobody declared it, it counts no amounts, or its steps are longer than an hour."""
    declared = park.territory.flows.get(flow)
    if declared is None:
        return Problem("exchange.unknown_flow", {"id": one.id, "flow": flow}, one.listing.where, "warning")
    if declared.step is None or not 0 < declared.step.seconds <= _LONGEST or declared.semantics == "state":
        return Problem("exchange.no_course", {"id": one.id, "flow": flow}, one.listing.where, "warning")
    return None


def _unread(one: Party, flow: str) -> Problem:
    return Problem("exchange.course_unread", {"id": one.id, "flow": flow}, one.listing.where, "warning")


def _course(park: Handle, snapshot: Snapshot, flow: str, starts: Sequence[datetime]) -> Floats | None:
    """(T,) of one flow: its hours over the mean of the month that each is in; None when some month has no hour.

    An hour that is not metered takes the mean of its hour of the day in that month.
    """
    from mangrove.measure.symbiosis.meters import read

    tz, found = park.territory.tz, np.zeros(len(starts))
    months = {f"{one.astimezone(tz):%Y-%m}" for one in starts}
    place = {one: i for i, one in enumerate(starts)}
    for month in sorted(months):
        meters = read(park.territory, snapshot, [flow], span=Span.parse(month, tz), every=_HOUR)
        whole = meters.hours[0] >= _FULL
        values = np.where(whole & np.isfinite(meters.total[0]), np.maximum(meters.total[0], 0.0), np.nan)
        filled = _filled(values, np.array([one.astimezone(tz).hour for one in meters.starts]))
        if filled is None or not filled.mean() > 0:
            return None
        for one, share in zip(meters.starts, (filled / filled.mean()).tolist(), strict=True):
            if one in place:
                found[place[one]] = share
    return found


def _filled(values: Floats, hour: npt.NDArray[np.int64]) -> Floats | None:
    """Hours with the mean of their hour of the day where they are missing, of all where that is missing, too; None without any."""
    known = np.isfinite(values)
    if not known.any():
        return None
    count = np.bincount(hour[known], minlength=24)
    total = np.bincount(hour[known], values[known], minlength=24)
    usual = np.where(count > 0, total / np.maximum(count, 1), values[known].mean())
    return np.where(known, values, usual[hour])


# --- electricity ----------------------------------------------------------------------------------------------------------


def _prices(
    park: Handle, planned: Planned, starts: Sequence[datetime], notes: list[Problem], *, flat: float | None
) -> Mapping[str, Floats]:
    """(T,) VND/kWh at each place of a unit that uses electricity: one price when it is asked for, else the place's contract."""
    case, found = planned.plan.case, {}
    at = np.array(
        [one.replace(tzinfo=None) - (one.utcoffset() or timedelta()) for one in starts], "datetime64[s]"
    )
    usual = case.terms.power_price or 0.0
    for place in dict.fromkeys(one.place for one in case.units if one.power):
        found[place] = np.full(len(starts), usual if flat is None else flat)
        if flat is not None:
            continue
        try:
            terms = contracts.of(park.territory, place, on=starts[0].date()).terms(at, 1.0, park.territory.tz)
            found[place] = np.asarray(terms.buy, dtype=float)
        except RuleError as error:
            data = {"place": place, "price": round(usual), "why": error.text()}
            notes.append(Problem("exchange.hours_flat", data, severity="note"))
    return found


def _carbon(park: Handle, planned: Planned, span: Span, steps: int, notes: list[Problem]) -> Floats:
    """(T,) kg CO2e/kWh: what ran in each hour when that is known for all hours, else the factor of the plan; never a mix of both."""
    from mangrove.measure.grid_intensity import hourly_intensity

    terms = planned.plan.case.terms
    usual = np.full(steps, terms.power_carbon)
    if not any(one.power for one in planned.plan.case.units):
        return usual
    try:
        if park.store.is_dir():
            with park.reader() as ledger, ledger.snapshot() as snapshot:
                table = hourly_intensity(snapshot, span, park.territory.tz, territory=park.territory)
            known = np.asarray(
                table.column("physical_kg_per_kwh").to_numpy(zero_copy_only=False), dtype=float
            )
            if len(known) == steps and np.isfinite(known).all():
                return known
    except RequestError:
        pass
    notes.append(Problem("exchange.hours_carbon", {"factor": round(terms.power_carbon, 4)}, severity="note"))
    return usual
