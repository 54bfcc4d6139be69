# SPDX-License-Identifier: Apache-2.0
"""Metered effluents against their limits: which days and hours were within, the worst day, the flow-weighted mean.

Comes in: states such as COD in mg/L at an outlet (`water:treated`), the discharge beside them, and the limits: those of the permit
(`QCVN40/COD` in answers.csv), else those of QCVN 40 for the declared column. Goes out: one `Outlet` per place.

    c_day = sum(c q) / sum(q) over the values of a local day

Without a metered discharge the mean is plain. A day with less than three quarters of its values is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import MangroveError, Problem, Sentence
from mangrove.ledger import COUNTED, Snapshot
from mangrove.measure.eip.answers import Answers, limit_of, value_of
from mangrove.measure.eip.year import Year
from mangrove.rules import effluent
from mangrove.territory.model import Flow
from mangrove.times import instant, to_us

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
OUTLET = "treated"
"""The code of the carrier `water:treated`: what leaves a treatment works."""
COMPLETE = 0.75
"""Share of the values of a day or an hour that must be there. A convention of this package, as for the air-quality index."""
_ALIASES = {
    "bod": "BOD5",
    "amoni": "NH4-N",
    "nh4": "NH4-N",
    "ammonium": "NH4-N",
    "tss": "TSS",
    "colour": "color",
}
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One parameter at one outlet.

    Attributes:
        parameter: key; flow: id of its meter; limit: that it is held against; None when none is known.
        days, days_within, hours, hours_within: counted and within.
        mean: of the year, weighted with the discharge when that is metered; worst: the worst daily mean, on `worst_day`.
        coverage: share of the days of the year that were judged.
    """

    parameter: str
    flow: str
    limit: effluent.Limit | None
    days: int
    days_within: int
    hours: int
    hours_within: int
    mean: float | None
    worst: float | None
    worst_day: date | None
    coverage: float
    batches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outlet:
    """An outlet with its checks.

    Attributes:
        place: id; discharge: mean in m3 a day, None when not metered; averaging: `1d` or `1h`, over which limits hold.
        checks: by parameter; volume: m3 of the days that were judged; within: m3 of those on which every limit was kept; both None
            when the discharge is not metered or a metered parameter has no limit: pH alone makes no standard.
        problems: why a parameter has no limit.
    """

    place: str
    discharge: float | None
    averaging: str
    checks: tuple[Check, ...]
    volume: float | None
    within: float | None
    problems: tuple[Problem, ...] = ()


def outlets(year: Year, answers: Answers, snapshot: Snapshot | None) -> tuple[Outlet, ...]:
    """Every outlet of the park with what its meters said in the year."""
    if snapshot is None:
        return ()
    by_place: dict[str, list[tuple[str, Flow]]] = {}
    for flow in year.territory.flows.values():
        parameter = parameter_of(flow)
        if parameter and year.inside(flow.place):
            by_place.setdefault(flow.place, []).append((parameter, flow))
    return tuple(_outlet(year, answers, snapshot, place, flows) for place, flows in by_place.items())


def parameter_of(flow: Flow) -> str | None:
    """The parameter that a state at an outlet measures: its parameter `parameter`, else the end of its meter or id.

    Example:
        >>> from mangrove import api
        >>> parameter_of(api.open("examples/park").territory.flows["wastewater_outlet_cod"])
        'COD'
    """
    if flow.carrier.kind not in ("water", "wastewater") or flow.carrier.code != OUTLET:
        return None
    if flow.semantics not in ("state", "mean"):
        return None
    keys = {key.casefold(): key for key in effluent.parameters()} | _ALIASES
    said = flow.parameters.get("parameter")
    if said is not None:
        return keys.get(str(said).casefold())
    tails = [re.split(r"[/_.\s]", text)[-1].casefold() for text in (flow.meter, flow.id) if text]
    return next((keys[tail] for tail in tails if tail in keys), None)


def _outlet(
    year: Year, answers: Answers, snapshot: Snapshot, place: str, flows: list[tuple[str, Flow]]
) -> Outlet:
    series = _Series(year, snapshot, place)
    averaging = answers.permit("averaging", place)
    by = "1d" if averaging is None else averaging.value.strip()
    checks, problems, daily = [], [], []
    for parameter, flow in flows:
        limit, problem = limit_for(year, answers, place, parameter, series.discharge)
        problems += [problem] if problem else []
        check, kept = series.check(parameter, flow, limit, by)
        checks.append(check)
        if limit is not None and kept is not None:
            daily.append(kept)
    volume = within = None
    if daily and len(daily) == len(checks) and series.volumes is not None:
        judged = np.logical_and.reduce([~np.isnan(kept) for kept in daily])
        good = np.logical_and.reduce([kept == 1 for kept in daily])
        volume, within = float(series.volumes[judged].sum()), float(series.volumes[judged & good].sum())
    return Outlet(place, series.discharge, by, tuple(checks), volume, within, tuple(problems))


def limit_for(
    year: Year, answers: Answers, place: str, parameter: str, discharge: float | None
) -> tuple[effluent.Limit | None, Problem | None]:
    """The limit that binds an outlet: its permit's, else that of QCVN 40 for the declared column; else None and why."""
    own = answers.permit(parameter, place)
    if own is not None:
        return limit_of(parameter, own.value, own.evidence or str(own.where or "")), None
    column = answers.permit("column", place)
    if column is None:
        data = {"parameter": parameter, "place": place}
        return None, Problem("eip.no_column", data, severity="warning")
    version, receiving, existing = (
        answers.permit(word, place) for word in ("version", "receiving", "existing")
    )
    is_existing = existing is None or value_of(existing) is True
    key = (
        version.value.strip()
        if version
        else effluent.version_on(date(year.year, 12, 31), existing=is_existing).key
    )
    water = effluent.Receiving.parse(receiving.value) if receiving else None
    permitted = answers.permit("discharge", place)
    said = None if permitted is None else value_of(permitted)
    flow = said if isinstance(said, float) else discharge
    try:
        found = effluent.limit(
            parameter, version=key, column=column.value.strip(), flow=flow, receiving=water
        )
    except MangroveError as error:
        data = {**error.problem.data, "place": place}
        return None, Problem(error.code, data, severity="warning")
    return found, None


class _Series:
    """The values of one outlet in a year, by local day and by hour."""

    def __init__(self, year: Year, snapshot: Snapshot, place: str) -> None:
        self.year, self.snapshot = year, snapshot
        first = date(year.year, 1, 1)
        self.days = [first + timedelta(days=n) for n in range((date(year.year + 1, 1, 1) - first).days)]
        tz = year.territory.tz
        self.edges = np.array([to_us(instant(day, tz)) for day in [*self.days, date(year.year + 1, 1, 1)]])
        self.flow_at, self.flow_of, self.volumes, self.discharge = self._discharge(place)

    def _discharge(self, place: str) -> tuple[Ints, Floats, Floats | None, float | None]:
        """Instants and rates (m3/h) of the metered discharge, m3 by day, and the mean of the metered days in m3 a day."""
        none = (np.empty(0, np.int64), np.empty(0), None, None)
        for flow in self.year.territory.flows.values():
            if flow.place != place or flow.carrier.code != OUTLET or flow.step is None:
                continue
            is_mean = flow.semantics in ("mean", "state")
            if not flow.unit.converts_to("m3/h" if is_mean else "m3"):
                continue
            at, values, _ = self._values(flow)
            if not len(at):
                continue
            hours = flow.step.hours
            rate = values * flow.unit.to("m3/h") if is_mean else values * flow.unit.to("m3") / hours
            volumes: Floats = np.bincount(self._day(at), rate * hours, len(self.days)).astype(np.float64)
            covered = np.bincount(self._day(at), minlength=len(self.days)) * hours / 24 >= COMPLETE
            mean = float(volumes[covered].mean()) if covered.any() else None
            return at, rate, volumes, mean
        return none

    def _values(self, flow: Flow) -> tuple[Ints, Floats, tuple[int, ...]]:
        """Instants (microseconds), counted values and batches, in order of time."""
        table = self.snapshot.values([flow.id], self.year.span.start, self.year.span.end)
        counted = np.isin(table.column("quality").to_numpy(), [int(code) for code in COUNTED])
        at = table.column("start").cast(pa.int64()).to_numpy()[counted]
        values = table.column("value").to_numpy()[counted]
        batches = tuple(int(one) for one in np.unique(table.column("batch").to_numpy()[counted]))
        return at, values, batches

    def _day(self, at: Ints) -> Ints:
        found: Ints = np.searchsorted(self.edges, at, side="right") - 1
        return found

    def check(
        self, parameter: str, flow: Flow, limit: effluent.Limit | None, averaging: str
    ) -> tuple[Check, Floats | None]:
        """One parameter: the check, and by day 1 (within), 0 (not) or NaN (not judged); None without a limit."""
        at, values, batches = self._values(flow)
        scale = 1.0 if parameter == "pH" or not flow.unit.converts_to("mg/L") else flow.unit.to("mg/L")
        at, values, weight = self._weighted(at, values * scale)
        step = flow.step.hours if flow.step else None
        by_day = _means(self._day(at), values, weight, len(self.days), None if step is None else 24 / step)
        hour = (at - self.edges[0]) // _HOUR_US
        count = int((self.edges[-1] - self.edges[0]) // _HOUR_US)
        by_hour = _means(hour, values, weight, count, None if step is None else max(1 / step, 1.0))
        kept = None if limit is None else _kept(by_day, limit)
        kept_hours = None if limit is None else _kept(by_hour, limit)
        worst = _worst(by_day, limit)
        judged = int((~np.isnan(by_day)).sum())
        mean = float(np.average(values, weights=weight)) if len(values) and weight.sum() > 0 else None
        check = Check(
            parameter, flow.id, limit, judged, 0 if kept is None else int((kept == 1).sum()),
            int((~np.isnan(by_hour)).sum()), 0 if kept_hours is None else int((kept_hours == 1).sum()),
            mean, None if worst is None else float(by_day[worst]), None if worst is None else self.days[worst],
            judged / len(self.days), batches,
        )  # fmt: skip
        if averaging == "1h" and kept is not None and kept_hours is not None:
            kept = self._every_hour(kept, kept_hours)
        return check, kept

    def _every_hour(self, kept: Floats, hours: Floats) -> Floats:
        """Days of which every judged hour kept the limit."""
        at = self.edges[0] + np.flatnonzero(hours == 0) * _HOUR_US
        found = np.where(np.isnan(kept), np.nan, 1.0)
        found[self._day(at)] *= 0.0
        return found

    def _weighted(self, at: Ints, values: Floats) -> tuple[Ints, Floats, Floats]:
        """The values with the discharge at their instants; all alike when none is metered."""
        if not len(self.flow_at):
            return at, values, np.ones(len(at))
        place = np.searchsorted(self.flow_at, at)
        place[place == len(self.flow_at)] = 0
        same = self.flow_at[place] == at
        return at[same], values[same], np.maximum(self.flow_of[place[same]], 0.0)


def _means(group: Ints, values: Floats, weight: Floats, count: int, full: float | None) -> Floats:
    """Weighted means by group; NaN where too few values are there or nothing flowed."""
    inside = (group >= 0) & (group < count)
    group, values, weight = group[inside], values[inside], weight[inside]
    total = np.bincount(group, weight, count)
    sums = np.bincount(group, values * weight, count)
    enough = np.bincount(group, minlength=count) >= (COMPLETE * full if full is not None else 1)
    return np.where(enough & (total > 0), sums / np.where(total > 0, total, 1.0), np.nan)


def _kept(means: Floats, limit: effluent.Limit) -> Floats:
    """1 where the limit is kept, 0 where not, NaN where there is no mean."""
    good: Mask = means <= limit.high
    if limit.low is not None:
        good &= means >= limit.low
    return np.where(np.isnan(means), np.nan, good.astype(float))


def _worst(means: Floats, limit: effluent.Limit | None) -> int | None:
    """The day farthest beyond (or nearest to) the limit."""
    if np.isnan(means).all():
        return None
    far = means if limit is None or limit.low is None else np.maximum(means - limit.high, limit.low - means)
    return int(np.nanargmax(far))


def remarks(outlet: Outlet) -> Iterator[Sentence]:
    """What a reader of the treated share should know: which parameters were metered at all."""
    named = ", ".join(check.parameter for check in outlet.checks if check.limit is not None)
    yield Sentence("eip.metered_parameters", (("place", outlet.place), ("parameters", named)))
