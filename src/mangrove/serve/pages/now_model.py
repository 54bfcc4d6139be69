# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the Now screen: emissions by flow and hour, set beside those of a plan or of another time, like for like.

Comes in: measurements of two runs by flow and hour. Goes out: differences by any groups of flows with their 95 % intervals, what
has no counterpart, and what the period will come to. Plain arrays of shape (flows, hours); nothing here knows of pages.

Like for like: of a flow and an hour only the part counts that both sides have. With coverages `c_a` and `c_b` in [0, 1] and
`m = min(c_a, c_b)` these are `A m / c_a` and `B m / c_b`.

The difference `D = sum(A) - sum(B)` has `Var D = sum over errors e of (sum over lines l of (A_l - B_l) u_le)^2`: a factor that
both sides share moves them together, so its error cancels but for the difference itself. A plan is a decision: the error of a
meter moves only what was measured, so its `B_l` is zero there (see `mangrove.measure.uncertainty`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import RequestError
from mangrove.ledger import catalog
from mangrove.ledger.types import HAPPENED
from mangrove.measure.plan import Line, Plan, is_rate
from mangrove.measure.timeline import instants
from mangrove.measure.uncertainty import Z95
from mangrove.plan.budget import MODEL as BUDGET
from mangrove.plan.scenario_store import MODEL as SCENARIO
from mangrove.serve.state import Live
from mangrove.times import Span, Step
from mangrove.units import unit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOURLY = Step(seconds=3600)
MOST = 0.5
"""Least share of all emissions compared with that an answer must speak of: most of them, due or not."""
THRESHOLD = 0.75
"""Least share of the emissions compared with and due that must have a counterpart before an answer is given: the share of its parts that a
mean value needs to be valid in Directive 2008/50/EC on ambient air quality, annex XI (75 % of the hours of a day)."""
_ACCOUNTS = ("inventory", "avoided")
LONGEST = 5
"""Years of hours that the page computes: memory and time grow with flows and hours (40 flows: 170 MB and 2.5 s of a core), and
whoever may look at the page chooses the period."""
_YEAR_HOURS = 8784


@dataclass(frozen=True)
class Grid:
    """Emissions of one run by flow and hour.

    Attributes:
        run: whose values; span: what time; plan: lines, factors and errors; flows: ids, the rows.
        starts: starts of the hours, microseconds since 1970, shape (H,).
        co2e: kg of the inventory, 0 where nothing came; cover: share of the hour with counted values, both (F, H).
        avoided: kg of the account of avoided emissions, (F, H).
    """

    run: str
    span: Span
    plan: Plan
    flows: tuple[str, ...]
    starts: Ints
    co2e: Floats
    cover: Floats
    avoided: Floats

    @cached_property
    def coefficients(self) -> Floats:
        """Mass (kg CO2e) of the inventory per unit of the flow, (F, H); 0 where a flow has no factor."""
        return self._coefficients("inventory")

    def _coefficients(self, account: str) -> Floats:
        total = np.zeros(self.co2e.shape)
        for line in self.plan.lines:
            if line.account == account:
                total[self.row[line.flow], self.slice_of(line)] += line.kg * (line.weight or 0.0)
        return total

    @cached_property
    def row(self) -> dict[str, int]:
        """The row of each flow."""
        return {flow: number for number, flow in enumerate(self.flows)}

    def slice_of(self, line: Line) -> slice:
        """The hours in which a line holds."""
        first, last = np.searchsorted(self.starts, instants([line.valid_from, line.valid_to]))
        return slice(int(first), int(last))

    def amounts(self, account: str = "inventory") -> Floats:
        """Amounts in the unit of each flow, (F, H); 0 where a flow has no factor."""
        coefficients = self._coefficients(account)
        kg = self.co2e if account == "inventory" else self.avoided
        return np.divide(kg, coefficients, out=np.zeros(kg.shape), where=coefficients != 0.0)

    def energy(self, wanted: npt.NDArray[np.bool_], account: str = "inventory") -> Floats:
        """Energy (kWh) by hour of the wanted flows that count energy, (H,)."""
        amounts, total = self.amounts(account), np.zeros(len(self.starts))
        for flow in np.flatnonzero(wanted):
            declared = self.plan.flows[self.flows[flow]]
            counted = declared.unit * unit("h") if is_rate(declared) else declared.unit
            if counted.converts_to("kWh"):
                total += amounts[flow] * counted.to("kWh")
        return total

    def lines(self, weight: Floats) -> Floats:
        """Emissions of each line when the hours of each flow count with `weight`, (F, H), in place of all of them: (lines,)."""
        kg = self.co2e * weight
        share = np.divide(kg, self.coefficients, out=np.zeros(kg.shape), where=self.coefficients != 0.0)
        totals = np.zeros(len(self.plan.lines))
        for line in self.plan.lines:
            if line.account == "inventory" and line.weight:
                totals[line.index] = (
                    line.kg * line.weight * share[self.row[line.flow], self.slice_of(line)].sum()
                )
        return totals

    def of(self, name: str, flows: Sequence[str], hours_: slice) -> Floats:
        """The rows of `flows` in `co2e` or `cover`, (flows, hours); zeros for a flow that takes no part."""
        values = getattr(self, name)[:, hours_]
        found = np.zeros((len(flows), values.shape[1]))
        rows = [self.row.get(flow, -1) for flow in flows]
        there = np.array(rows, dtype=np.int64) >= 0
        found[there] = values[[row for row in rows if row >= 0]]
        return found

    def window(self, start: datetime, end: datetime) -> slice:
        """The hours that start in `[start, end)`."""
        first, last = np.searchsorted(self.starts, instants([start, end]))
        return slice(int(first), int(last))


def grid(live: Live, span: Span, run: str = "measured", stamp: int = 0) -> Grid:
    """The emissions of a run by flow and hour; asked for once however many pages need it.

    Args:
        live: what is served.
        span: what time.
        run: whose values.
        stamp: the last batch of the run, when that is known: then batches of other runs do not make it be read again.

    Raises:
        RequestError: `limits.long_period`: longer than `LONGEST` years.
    """
    if span.hours > (LONGEST + 1) * _YEAR_HOURS:  # a year more, for the hours before that are compared with
        raise RequestError("limits.long_period", most=LONGEST)
    key = ("now.grid", run, span, stamp or live.cut(), live.territory.content_hash)
    return live.kept.get(key, lambda: _grid(live, span, run))


def _grid(live: Live, span: Span, run: str) -> Grid:
    result = live.measure(span, by=("flow",), every=HOURLY, run=run, accounts=_ACCOUNTS)
    table = result.table(by=("flow",), every=HOURLY, with_uncertainty=False)
    flows = tuple(result.plan.flows)
    starts = instants(HOURLY.starts(span, live.territory.tz))
    shape = (len(flows), len(starts))
    made = Grid(run, span, result.plan, flows, starts, *(np.zeros(shape) for _ in range(3)))
    row = pc.index_in(table.column("flow"), pa.array(flows, pa.string())).to_numpy()
    hour = np.searchsorted(
        starts, table.column("start").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    )
    own = pc.equal(table.column("account"), "inventory").to_numpy()
    kg = np.nan_to_num(table.column("co2e_kg").to_numpy())
    cover = np.nan_to_num(table.column("coverage").to_numpy(), nan=1.0)
    made.co2e[row[own], hour[own]] = kg[own]
    made.cover[row[own], hour[own]] = cover[own]
    made.avoided[row[~own], hour[~own]] = kg[~own]
    return made


@dataclass(frozen=True)
class Runs:
    """The runs of the ledger besides what was measured: the last batch of each, and the plans that people adopted."""

    last: Mapping[str, int]
    budgets: Mapping[str, int]

    def stamp(self, run: str) -> int:
        """The last batch of a run; 0 when it has none, or when it is what was measured."""
        return self.last.get(run, 0)

    @property
    def plan(self) -> str:
        """The plan to compare with unless another is asked for: the one adopted last, else the last one of any kind."""
        found = self.budgets or {
            run: batch for run, batch in self.last.items() if run.partition("/")[0] == "plan"
        }
        return max(found, key=lambda run: found[run], default="")


def runs(live: Live) -> Runs:
    """The runs at the present cut."""
    return live.kept.get(("now.runs", live.cut()), lambda: _runs(live))


def _runs(live: Live) -> Runs:
    if not live.cut():
        return Runs({}, {})
    marks = ", ".join("?" for _ in HAPPENED)
    query = f"select run, model, max(id) from batch where id <= ? and run not in ({marks}) and rows > 0 group by run, model"
    with catalog.reader(live.store) as db:
        rows = db.execute(query, (live.cut(), *HAPPENED)).fetchall()
    last: dict[str, int] = {}
    for run, model, batch in rows:
        if model == SCENARIO:
            continue  # its values stand by months, in a territory of its own: nothing to hold an hour against
        last[run] = max(last.get(run, 0), batch)
    return Runs(last, {run: batch for run, model, batch in rows if model == BUDGET})


@dataclass(frozen=True)
class Comparison:
    """Two grids like for like, over the hours of the first.

    Attributes:
        actual, base: kg by flow and hour that have a counterpart, (F, H), rows of the actual grid.
        waiting: kg of the base without a counterpart that should be there, (F, H); early: the same where the value is not due yet,
            because it stands for a day or a month that is not over; alone: kg measured that the base knows nothing of, (F, H).
        errors: signed change of the difference per standard deviation of each error, (F, E).
        causes: per flow the difference by amount and by factor, (F, 2).
        shifts: kg by which the middle of what is possible lies above the difference, (F,): see `mangrove.measure.plan.Doubt`.
    """

    flows: tuple[str, ...]
    actual: Floats
    base: Floats
    waiting: Floats
    early: Floats
    alone: Floats
    errors: Floats
    causes: Floats
    shifts: Floats

    def difference(self, shares: Floats) -> tuple[float, float, float]:
        """Difference of a group, and its 95 % interval (NaN where no error is stated).

        Args:
            shares: how much of each flow belongs to the group, (F,).
        """
        value = float(shares @ (self.actual - self.base).sum(axis=1))
        if not self.errors.any():
            return value, math.nan, math.nan
        half = Z95 * float(np.sqrt(((shares @ self.errors) ** 2).sum()))
        middle = value + float(shares @ self.shifts)
        return value, middle - half, middle + half

    def total(self, shares: Floats, part: str) -> float:
        """Mass (kg CO2e) of a group in one of the arrays `actual`, `base`, `waiting`, `early`, `alone`."""
        return float(shares @ getattr(self, part).sum(axis=1))

    def share(self, shares: Floats, *, due: bool) -> float:
        """Share of the base of a group that has a counterpart, of all of it or of what is `due`; NaN without a base."""
        both, waiting = self.total(shares, "base"), self.total(shares, "waiting")
        waiting += 0.0 if due else self.total(shares, "early")
        return both / (both + waiting) if both + waiting else math.nan


def compare(actual: Grid, base: Grid, span: Span, base_start: datetime, now: datetime) -> Comparison:
    """Sets the hours of `span` beside those of the base that begin at `base_start`, in order.

    Hours that the base does not hold have no counterpart. What stands for a time that is not over at `now` is not due yet.
    """
    mine = actual.window(span.start, span.end)
    count = mine.stop - mine.start
    first = int(np.searchsorted(base.starts, instants([base_start]))[0])
    have = min(count, len(base.starts) - first)
    theirs = slice(first, first + have)
    b, cover_b = (_wide(base.of(name, actual.flows, theirs), count, 0.0) for name in ("co2e", "cover"))
    a, cover_a = actual.co2e[:, mine], actual.cover[:, mine]
    both = np.minimum(cover_a, cover_b)
    part_a = np.divide(both, cover_a, out=np.zeros(a.shape), where=cover_a > 0)
    part_b = np.divide(both, cover_b, out=np.zeros(a.shape), where=cover_b > 0)
    due = _due(actual, span, now)
    weight_a = np.zeros(actual.co2e.shape)
    weight_a[:, mine] = part_a
    weight_b = np.zeros(base.co2e.shape)
    for row, flow in enumerate(actual.flows):
        if flow in base.row:
            weight_b[base.row[flow], theirs] = part_b[row, :have]
    return Comparison(
        flows=actual.flows,
        actual=a * part_a,
        base=b * part_b,
        waiting=b * (1 - part_b) * due,
        early=b * (1 - part_b) * ~due,
        alone=a * (1 - part_a),
        errors=_errors(actual, weight_a, base, weight_b),
        causes=_causes(actual, weight_a, base, weight_b),
        shifts=_shifts(actual, weight_a, actual) - _shifts(base, weight_b, actual),
    )


def _due(actual: Grid, span: Span, now: datetime) -> npt.NDArray[np.bool_]:
    """Whether a value of each flow and hour can be there at `now`: when the time that it stands for is over, (F, H)."""
    hours_ = actual.starts[actual.window(span.start, span.end)]
    found = np.ones((len(actual.flows), len(hours_)), dtype=bool)
    tz = actual.plan.territory.tz
    ends: dict[Step, npt.NDArray[np.bool_]] = {}
    for row, flow in enumerate(actual.flows):
        step = actual.plan.flows[flow].step
        if step is None or step.hours <= 1:
            continue
        if step not in ends:
            running = step.floor(now, tz)  # the step that is not over
            ends[step] = hours_ < instants([running])[0]
        found[row] = ends[step]
    return found


def alone(actual: Grid, span: Span) -> Comparison:
    """What was measured, compared with nothing: the difference is the amount itself."""
    mine = actual.window(span.start, span.end)
    weight = np.zeros(actual.co2e.shape)
    weight[:, mine] = 1.0
    kg = actual.co2e[:, mine]
    nothing = np.zeros(kg.shape)
    errors = _errors(actual, weight, None, weight)
    shifts = _shifts(actual, weight, actual)
    return Comparison(
        actual.flows, kg, nothing, nothing, nothing, nothing, errors, np.zeros((len(kg), 2)), shifts
    )


def _shifts(one: Grid, weight: Floats, actual: Grid) -> Floats:
    """By how many kg the middle of what is possible lies above the values of one side, by flow of `actual`: (F,)."""
    found = np.zeros(len(actual.flows))
    for flow, shift in one.plan.shifts().items():
        if flow in one.row and flow in actual.row:
            row = one.row[flow]
            found[actual.row[flow]] = shift * float((one.co2e[row] * weight[row]).sum())
    return found


def _errors(actual: Grid, weight: Floats, base: Grid | None, base_weight: Floats) -> Floats:
    """Signed change of the difference per standard deviation of every error, by flow of `actual`: (F, E)."""
    ids: dict[str, int] = {}
    entries: list[tuple[int, int, float]] = []
    for one, parts, sign in ((actual, weight, 1.0), (base, base_weight, -1.0)):
        if one is None:
            continue
        lines = one.lines(parts)
        measured = one.run in HAPPENED
        for index, name, deviation in one.plan.errors():
            row = actual.row.get(one.plan.lines[index].flow)
            if row is not None and lines[index] and (measured or not name.startswith("meter:")):
                entries.append((row, ids.setdefault(name, len(ids)), sign * lines[index] * deviation))
    found = np.zeros((len(actual.flows), len(ids)))
    for row, error, change in entries:
        found[row, error] += change
    return found


def _causes(actual: Grid, weight: Floats, base: Grid, base_weight: Floats) -> Floats:
    """The difference of each flow split exactly into amount and factor, half of the cross term each: (F, 2).

    With amounts x and mean factors f of both sides: `(x_a - x_b) (f_a + f_b) / 2 + (f_a - f_b) (x_a + x_b) / 2`.
    """
    found = np.zeros((len(actual.flows), 2))
    mine, theirs = (actual.amounts() * weight).sum(axis=1), (base.amounts() * base_weight).sum(axis=1)
    kg, other = (actual.co2e * weight).sum(axis=1), (base.co2e * base_weight).sum(axis=1)
    for row, flow in enumerate(actual.flows):
        before = base.row.get(flow, -1)
        x_a, x_b = mine[row], theirs[before] if before >= 0 else 0.0
        e_a, e_b = kg[row], other[before] if before >= 0 else 0.0
        if x_a and x_b:
            f_a, f_b = e_a / x_a, e_b / x_b
            found[row] = (x_a - x_b) * (f_a + f_b) / 2, (f_a - f_b) * (x_a + x_b) / 2
        else:
            found[row, 0] = e_a - e_b
    return found


@dataclass(frozen=True, slots=True)
class Projection:
    """What a period will come to, kg CO2e.

    Attributes:
        done: measured so far; forecast, planned: of what is still to come, what the forecast says and what only the plan says.
        plan: the plan of the whole period.
        unknown: flows that were measured but that neither a forecast nor a plan speaks of.
    """

    done: float
    forecast: float
    planned: float
    plan: float
    unknown: tuple[str, ...]

    @property
    def total(self) -> float:
        """The end of the period."""
        return self.done + self.forecast + self.planned


def project(
    actual: Grid, plan: Grid, forecast: Grid | None, shares: Floats, *, whole: Span, until: datetime
) -> Projection:
    """Measured so far, then the forecast where there is one, else the plan; the same for what has not arrived.

    Args:
        actual: what was measured.
        plan: over the whole period.
        forecast: of the same hours as the plan; None without one.
        shares: how much of each flow of `actual` belongs to the group, (F,).
        whole: the period.
        until: up to when values count.
    """
    past, rest = actual.window(whole.start, until), plan.window(whole.start, whole.end)
    measured = actual.co2e[:, past].sum(axis=1)
    open_ = np.ones((len(actual.flows), rest.stop - rest.start))
    open_[:, : past.stop - past.start] -= actual.cover[:, past]
    planned, cover = (plan.of(name, actual.flows, rest) for name in ("co2e", "cover"))
    sure = np.zeros(planned.shape, dtype=bool)
    expected = np.zeros(planned.shape)
    if forecast is not None:
        sure = forecast.of("cover", actual.flows, rest) > 0
        expected = forecast.of("co2e", actual.flows, rest)
    nowhere = (shares > 0) & (measured > 0) & ~cover.any(axis=1) & ~sure.any(axis=1)
    return Projection(
        done=float(shares @ measured),
        forecast=float(shares @ (open_ * expected * sure).sum(axis=1)),
        planned=float(shares @ (open_ * planned * ~sure).sum(axis=1)),
        plan=float(shares @ planned.sum(axis=1)),
        unknown=tuple(flow for flow, lost in zip(actual.flows, nowhere, strict=True) if lost),
    )


@dataclass(frozen=True)
class Hours:
    """The last hours and the next ones, by hour, kg CO2e; NaN where a number is not known.

    Attributes:
        starts: UTC; actual, plan: of the flows whose values come in; low, middle, high: 10 %, 50 % and 90 % of the forecast.
        until: where the measured values end; left_out: how many flows come in too rarely to be drawn.
    """

    starts: Sequence[datetime]
    actual: Floats
    plan: Floats
    low: Floats
    middle: Floats
    high: Floats
    until: datetime
    left_out: int


def hours(
    actual: Grid,
    plan: Grid | None,
    bands: Mapping[str, Grid],
    shares: Floats,
    *,
    span: Span,
    until: datetime,
) -> Hours:
    """The hours of `span`: what was measured until `until`, the plan, and the band of the forecast.

    Flows of which less than half came in are left out of every line, so that the lines can be compared; of those that are read less often than by the
    hour all must be there, for their last value is always still to come. An hour in which others are
    missing is NaN. The band is drawn where forecasts exist for `THRESHOLD` of the planned emissions; the rest is taken from the plan.
    Its ends add up the ends of the flows, as if all went wrong together: it is the widest that fits.

    Args:
        actual: what was measured.
        plan: the plan of the same hours and the next ones; None without one.
        bands: forecasts by `low`, `middle`, `high`.
        shares: how much of each flow of `actual` belongs to the group, (F,).
        span: the hours that are drawn.
        until: up to when values count.
    """
    starts = HOURLY.starts(span, actual.plan.territory.tz)
    count = len(starts)
    past = actual.window(span.start, min(until, span.end))
    seen = past.stop - past.start
    cover = actual.cover[:, past]
    mine = shares > 0
    came = np.where(fine(actual), cover.mean(axis=1) >= 0.5, (cover > 1 - 1e-9).all(axis=1)) if seen else mine  # noqa: PLR2004 - half
    kept = mine & came if (mine & came).any() else mine
    weight = np.where(kept, shares, 0.0)
    line = np.full(count, np.nan)
    if seen and mine.any():
        whole = (cover[kept] > 1 - 1e-9).all(axis=0)
        line[:seen] = np.where(whole, weight @ actual.co2e[:, past], np.nan)
    planned, ends = np.full(count, np.nan), {}
    if plan is not None:
        there = plan.window(span.start, span.end)
        kg, cover = (plan.of(name, actual.flows, there) for name in ("co2e", "cover"))
        planned = _wide(np.where((cover[kept] > 0).any(axis=0), weight @ kg, np.nan), count, np.nan)
        kg = _wide(kg, count, 0.0)
        ends = {name: _band(kg, weight, one, actual.flows, span) for name, one in bands.items()}
    low, middle, high = (ends.get(name, np.full(count, np.nan)) for name in ("low", "middle", "high"))
    return Hours(starts, line, planned, low, middle, high, until, int((mine & ~kept).sum()))


def fine(grid: Grid) -> npt.NDArray[np.bool_]:
    """Which flows are read by the hour or more often."""
    flows = grid.plan.territory.flows
    steps = [flows[name].step for name in grid.flows]
    return np.array([step is not None and 0 < step.hours <= 1 for step in steps], dtype=bool)


def _band(plan: Floats, weight: Floats, one: Grid, flows: Sequence[str], span: Span) -> Floats:
    """One end of the band, (H,); `plan` is (F, H)."""
    there = one.window(span.start, span.end)
    sure = _wide(one.of("cover", flows, there), plan.shape[1], 0.0) > 0
    kg = _wide(one.of("co2e", flows, there), plan.shape[1], 0.0)
    known, whole = weight @ (plan * sure), weight @ plan
    drawn = (whole > 0) & (known >= THRESHOLD * whole)
    return np.where(drawn, weight @ np.where(sure, kg, plan), np.nan)


def _wide(values: Floats, count: int, filler: float) -> Floats:
    """Values of `count` hours: those given, then `filler`."""
    found = np.full((*values.shape[:-1], count), filler)
    length = min(count, values.shape[-1])
    found[..., :length] = values[..., :length]
    return found


def floor_hour(moment: datetime) -> datetime:
    """The last whole hour: values of an hour and of its quarters are compared when the hour is over."""
    return moment.replace(minute=0, second=0, microsecond=0)


def before(span: Span, most: timedelta) -> datetime:
    """The start of `span`, or as long before its end as asked when that is earlier."""
    return min(span.start, floor_hour(span.end - most))
