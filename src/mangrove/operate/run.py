# SPDX-License-Identifier: Apache-2.0
"""One planning round of a site on its ledger: read, plan, store the schedule, then tell the devices.

Comes in: a territory with its ledger, a moment, and (unless persistence will do) an outlook. Goes out: a `Schedule`: set-points for
the next step, kWh of every declared flow over the horizon, what had to give way and what each limit costs, and which inputs were
stale. The schedule is on disk, as a batch of run `schedule`, before the first device hears of it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import MangroveError, Problem, RequestError
from mangrove.ledger import Ledger, Origin, Receipt, Snapshot, series
from mangrove.operate import readings
from mangrove.operate.account import rates_of
from mangrove.operate.devices import Device, Guard, Setpoint, Written, limits_at
from mangrove.operate.machines import MOVING
from mangrove.operate.outlook import Grid, Outlook, persistence
from mangrove.operate.plan import Options, Plan, Planner
from mangrove.operate.prices import Prices, Tariff
from mangrove.operate.readings import Measured, Window
from mangrove.operate.rules import View
from mangrove.operate.safe import Freshness, safe_rule, stale, why
from mangrove.operate.site import Battery, Site, sites
from mangrove.operate.state import HOUR_SECONDS, SECOND, Session, State, metered_peak
from mangrove.operate.supplies import counts, equip
from mangrove.operate.timing import windows_of
from mangrove.operate.units import STORES, Unit, metered
from mangrove.territory.model import Territory
from mangrove.times import utc

if TYPE_CHECKING:
    from mangrove.network import Relaxation, Shadow

Floats = npt.NDArray[np.float64]
VERSION = "1"
RUN = "schedule"
DAY = 86_400
_BOTH_WAYS = 2
_MEMORY = 35 * DAY
"""Seconds of readings that a round looks at: the billing month, and five weeks for persistence."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a round is asked to do.

    Attributes:
        contract: the tariff; None: the one that the territory declares for the site.
        outlook: see `mangrove.operate.outlook.Outlook`; None: forecasts of the ledger where they are, else persistence.
        options, freshness: see there; the carbon price of the territory is set when it declares one.
        sessions: vehicles that are there or announced; without any, charging is part of the load.
        levels: kWh in the batteries as their devices say; what is missing is followed from their meters.
        packs: packs of each class in the swap stations, by id; without them the plan assumes that the day repeats itself.
        devices: by id of the battery, swap station, unit or session; what has none is in the schedule, but is told nothing.
    """

    contract: Tariff | None = None
    outlook: Outlook | None = None
    options: Options = field(default_factory=Options)
    freshness: Freshness = field(default_factory=Freshness)
    sessions: Sequence[Session] = ()
    levels: Mapping[str, float] | None = None
    packs: Mapping[str, Floats] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Schedule:
    """What a site is going to do, and why.

    Attributes:
        place: of the site; at: the moment (UTC); by: `plan`, or `safe` when the safe rule ruled; reason: its code then.
        setpoints: for the next step; written: what became of them.
        flows: (starts, values) by declared flow, in its unit and step: what the ledger holds under the run `schedule`.
        plan: the whole plan; None when the safe rule ruled.
        problems: inputs that are stale or guessed, what gave way, what is not operated.
        receipt: of the ledger; None when nothing was stored.
    """

    place: str
    at: np.datetime64
    by: str
    reason: str
    setpoints: tuple[Setpoint, ...]
    written: tuple[Written, ...]
    flows: Mapping[str, tuple[npt.NDArray[np.datetime64], Floats]]
    plan: Plan | None
    problems: tuple[Problem, ...]
    receipt: Receipt | None = None

    @property
    def relaxed(self) -> tuple[Relaxation, ...]:
        """What had to give way, how much and at what cost."""
        return () if self.plan is None else self.plan.relaxed

    @property
    def shadows(self) -> tuple[Shadow, ...]:
        """What one more unit of each binding limit would save over the horizon, largest first."""
        return () if self.plan is None else self.plan.solved.shadows()


def operate(
    territory: Territory,
    ledger: Ledger,
    now: np.datetime64,
    *,
    requests: Mapping[str, Request] | None = None,
    request: Request | None = None,
    places: Sequence[str] = (),
    store: bool = True,
) -> tuple[Schedule, ...]:
    """Plans every site of a territory (or those at `places`) at the step that holds `now`.

    Args:
        territory: as declared.
        ledger: open for writing, or for reading when `store` is false.
        now: a moment in UTC; the round plans from the beginning of its step.
        requests: what each site is asked, by place.
        request: what the others are asked.
        places: sites; all of them when empty.
        store: write the schedules to the ledger and set-points to the devices.

    Raises:
        DeclarationError, RequestError: the declaration does not make a site; see `mangrove.operate.site.sites`.
        RuleError: no contract covers the site.
        LedgerError: the store refuses; no device was told anything then.
    """
    known = {site.place: site for site in sites(territory)}
    for place in places:
        if place not in known:
            raise RequestError("operate.unknown_site", place=place, hint="", options=", ".join(known))
    own, common = requests or {}, request or Request()
    found = []
    for place in places or known:
        asked = own.get(place, common)
        with ledger.snapshot() as snapshot:
            schedule = _plan_site(territory, known[place], snapshot, floor(now, asked.options.seconds), asked)
        found.append(_publish(territory, known[place], ledger, schedule, asked) if store else schedule)
    return tuple(found)


def floor(now: np.datetime64, seconds: int) -> np.datetime64:
    """The beginning of the step that holds `now`."""
    since = int(now.astype("datetime64[s]").astype(np.int64))
    return np.datetime64(since - since % seconds, "s")


@dataclass(frozen=True, eq=False)
class _Round:
    """What one round knows of one site."""

    territory: Territory
    site: Site
    snapshot: Snapshot
    at: np.datetime64
    asked: Request
    meters: Measured
    prices: Prices
    contract: Tariff


def _plan_site(
    territory: Territory, site: Site, snapshot: Snapshot, at: np.datetime64, asked: Request
) -> Schedule:
    """Reads what is known and plans; the safe rule stands in when that cannot be trusted."""
    options = asked.options
    steps = _MEMORY // options.seconds
    past = Window(at - steps * (options.seconds * SECOND), options.seconds, steps)
    day = utc(at).astimezone(territory.tz).date()
    rates = rates_of(territory, site, day, contract=asked.contract)
    site = equip(territory, site, day, carbon=rates.carbon)
    meters = readings.measured(snapshot, territory, site, past, controlled=bool(asked.sessions), planned=True)
    site = readings.heard(site, meters)
    count = steps + int(options.horizon * HOUR_SECONDS // options.seconds) + 1
    prices = Prices.of(rates.contract, past.start, count, options.seconds, territory.tz)
    now = _Round(territory, site, snapshot, at, asked, meters, prices, rates.contract)
    state, guessed = state_of(site, meters, prices, at, asked)
    state = replace(state, allowance=_allowance(now))
    outlook, made, notes = _outlook(now)
    needed = {name: until for name, until in meters.until.items() if name in _needed(site)}
    old = stale(at, made, needed, asked.freshness)
    problems = [
        *site.gaps,
        *readings.guesses(site, meters.flows),
        *guessed,
        *notes,
        *old,
    ]
    plan, reason = None, old[0].code if old else ""
    expected: Mapping[str, Floats] = {}
    if not reason:
        try:
            planner = Planner(site, prices, replace(options, carbon=rates.per_kwh))
            expected = outlook(at)
            plan = planner.replan(state, expected, announced=_announced(now, planner, len(state.window)))
        except Exception as error:  # noqa: BLE001 - whatever fails, the devices still need orders
            reason = why(error)
            problems.append(Problem("operate.no_plan", {"reason": _said(error)}, severity="warning"))
    flows = {} if plan is None else flows_of(territory, site, plan, expected)
    return Schedule(
        place=site.place,
        at=at,
        by="safe" if plan is None else "plan",
        reason=reason,
        setpoints=_setpoints(now, state, plan, reason),
        written=(),
        flows=flows,
        plan=plan,
        problems=(*problems, *_gave_way(plan)),
    )


def _announced(now: _Round, planner: Planner, lead: int) -> dict[str, Floats]:
    """(T,) kW by battery that the last schedule of the ledger announced for these steps; NaN where it says nothing."""
    found = {}
    stored = now.snapshot.flow_ids()
    options = now.asked.options
    ahead = Window(now.at - lead * (options.seconds * SECOND), options.seconds, planner.layout.count)
    for b in now.site.batteries:
        flows = [now.territory.flows[flow] for flow in (b.charge_flow, b.discharge_flow) if flow]
        if len(flows) == _BOTH_WAYS and all(series(flow.id, RUN) in stored for flow in flows):
            into, out = (readings.power(now.snapshot, flow, ahead, run=RUN).power for flow in flows)
            found[b.id] = planner.layout.join(into - out)
    return found


def _said(error: Exception) -> str:
    """What an error says, in one line."""
    return error.text() if isinstance(error, MangroveError) else f"{type(error).__name__}: {error}"


def state_of(
    site: Site, meters: Measured, prices: Prices, at: np.datetime64, asked: Request
) -> tuple[State, list[Problem]]:
    """What is carried over, from the meters of the past weeks (without the export allowance); notes on what had to be guessed."""
    notes: list[Problem] = []
    levels = {}
    for b in site.batteries:
        given = (asked.levels or {}).get(b.id)
        if given is None:
            metered = [meters.flows[f].power if f else None for f in (b.charge_flow, b.discharge_flow)]
            code = "operate.level_guessed"
            given = b.floor
            if metered[0] is not None and metered[1] is not None and readings.was_there(b, meters.flows):
                code, given = (
                    "operate.level_followed",
                    readings.level(b, metered[0], metered[1], prices.hours),
                )
            notes.append(Problem(code, {"id": b.id, "level": round(given, 1)}, severity="note"))
        levels[b.id] = min(max(given, 0.0), b.energy)
    for unit in site.units:
        if unit.kind in STORES:
            levels[unit.id], note = _stored(unit, meters, prices, asked)
            notes.extend(note)
    here = prices.index(at)
    month = int(prices.month[here])
    drawn = readings.imported(site, meters)
    within = drawn[:here][prices.month[:here] == month]
    # The first window of the month may begin before the readings; whole windows count back from now.
    lead = int(at.astype(np.int64)) // prices.seconds % prices.window
    whole = within[: len(within) - lead]
    peak, _ = metered_peak(whole[len(whole) % prices.window :], prices.window)
    window = np.nan_to_num(within[len(within) - lead :]) if lead else np.zeros(0)
    running = tuple(float(x) for x in window)
    owed, done = _moved(site, meters, prices, here)
    state = State(
        at, levels, tuple(asked.sessions), month, peak, running, packs=asked.packs, owed=owed, done=done
    )
    return state, notes


def _stored(unit: Unit, meters: Measured, prices: Prices, asked: Request) -> tuple[float, list[Problem]]:
    """The level of a store of heat or hydrogen: as its device says, followed from its meters, or taken for empty with a note."""
    given = (asked.levels or {}).get(unit.id)
    if given is not None:
        return min(max(given, 0.0), unit.capacity), []
    flows = [meters.flows.get(unit.values.word(name)) for name in ("charge_flow", "discharge_flow")]
    code, level = "operate.store_guessed", 0.0
    if all(one is not None and one.until is not None for one in flows):
        power = unit.values.get("power", unit.capacity)
        like = Battery(unit.id, unit.capacity, power, power, loss=unit.values.get("loss", 0.0))
        into, out = (one.power for one in flows if one is not None)
        code, level = "operate.level_followed", readings.level(like, into, out, prices.hours)
    return level, [Problem(code, {"id": unit.id, "level": round(level, 1)}, severity="note")]


def _moved(
    site: Site, meters: Measured, prices: Prices, here: int
) -> tuple[dict[str, float], dict[str, float]]:
    """KWh that shiftable loads owe in their running window, and kWh that the runs of batches have drawn today.

    What a load would have drawn since its window began is what persistence expected then; what it drew is metered.
    """
    owed, done = {}, {}
    clock = int(prices.start.astype(np.int64)) + prices.offset + np.arange(here + 1) * prices.seconds
    for unit in site.units:
        metered_here = meters.flows.get(unit.values.word("flow"))
        if unit.kind not in MOVING or metered_here is None:
            continue
        number = windows_of(clock, unit.values["window"] if unit.kind == "shiftable_load" else 24.0)
        first = int(np.searchsorted(number, number[-1]))
        drawn = float(np.nansum(metered_here.power[first:here])) * prices.hours
        if unit.kind == "batch":
            done[unit.id] = drawn
        elif first < here:
            begun = prices.start + first * (prices.seconds * SECOND)
            expected = persistence(meters.grid, here - first)(begun)[unit.demand][0]
            known = ~np.isnan(metered_here.power[first:here])
            owed[unit.id] = float(expected[known].sum()) * prices.hours - drawn
    return owed, done


def _allowance(now: _Round) -> float | None:
    """KWh that may still be sold this calendar year: share of the generation so far less what was sold; None without a cap."""
    site, prices, tz = now.site, now.prices, now.territory.tz
    if prices.cap is None or site.exporting <= 0 or not site.export_flow:
        return None
    local = utc(now.at).astimezone(tz)
    first_day = datetime(local.year, 1, 1, tzinfo=tz)
    days = [first_day + timedelta(days=day) for day in range(local.timetuple().tm_yday)]
    starts = np.array([np.datetime64(round(day.timestamp()), "s") for day in days])
    cap = now.contract.terms(starts, 24.0, tz).export_cap
    caps = np.broadcast_to(np.asarray(cap, dtype=np.float64), (len(starts),))
    first = floor(starts[0], prices.seconds)
    window = Window(first, prices.seconds, round(float((now.at - first) / SECOND)) // prices.seconds)
    begins = first + np.arange(window.steps) * (prices.seconds * SECOND)
    share = caps[np.clip(np.searchsorted(starts, begins, side="right") - 1, 0, None)]
    own = np.zeros(window.steps)
    for generator in site.generators:
        if generator.flow:
            flow = now.territory.flows[generator.flow]
            own += np.nan_to_num(readings.power(now.snapshot, flow, window).power)
    sold = np.nan_to_num(readings.power(now.snapshot, now.territory.flows[site.export_flow], window).power)
    return float((share * own - sold).sum() * prices.hours)


def _needed(site: Site) -> set[str]:
    """The flows without whose readings the present is unknown."""
    others = {*(need.flow for need in site.needs), *(unit.demand for unit in site.flexible)}
    return {site.import_flow, *site.load_flows, *others} - {""}


def _outlook(now: _Round) -> tuple[Outlook, dict[str, np.datetime64 | None], list[Problem]]:
    """What is expected, when each forecast was made, and notes: forecasts of the ledger, else persistence of the readings.

    Where a forecast ends before the horizon does, persistence goes on, and a note says so.
    """
    if now.asked.outlook is not None:
        return now.asked.outlook, {}, []
    options, site = now.asked.options, now.site
    count = int(options.horizon * HOUR_SECONDS // options.seconds)
    ahead = Window(now.at, options.seconds, count)
    seasons = dict.fromkeys(site.generation, DAY)
    values = dict(persistence(now.meters.grid, count, scenarios=options.scenarios, seasons=seasons)(now.at))
    made: dict[str, np.datetime64 | None] = {}
    notes = []
    stored = now.snapshot.flow_ids()
    for name in site.inputs:
        if name in now.territory.flows and series(name, "forecast") in stored:
            swaps = {station.demand for station in site.stations}
            read = readings.count if name in swaps else readings.rate
            forecast = read(now.snapshot, now.territory.flows[name], ahead, run="forecast").power
            made[name] = _made(now.snapshot, name, ahead)
            known = ~np.isnan(forecast)
            values[name] = np.where(known, np.maximum(forecast, 0.0), values[name])
            if not known.all():
                data = {"name": name, "hours": round(float(known.sum()) * options.seconds / HOUR_SECONDS, 1)}
                notes.append(Problem("operate.forecast_short", data, severity="note"))
        else:
            notes.append(Problem("operate.persistence", {"name": name}, severity="note"))
    return (lambda _: values), made, notes


def _made(snapshot: Snapshot, name: str, ahead: Window) -> np.datetime64 | None:
    """When the newest forecast of the coming hours was recorded; None when there is none."""
    batches = snapshot.lineage([series(name, "forecast")], utc(ahead.start), utc(ahead.end))
    if not batches:
        return None
    return np.datetime64(max(round(batch.recorded_at.timestamp()) for batch in batches), "s")


def _setpoints(now: _Round, state: State, plan: Plan | None, reason: str) -> tuple[Setpoint, ...]:
    """Set-points for the next step, of the plan or of the safe rule."""
    seconds = now.prices.seconds
    if plan is not None:
        powers: Mapping[str, float] = plan.setpoints()
    else:
        load, *own = (now.meters.grid.values[name][-1] for name in (now.site.load, *now.site.generation))
        period = int(now.prices.period[now.prices.index(state.at)])
        powers = safe_rule(
            now.site, View(state, seconds, float(load), float(sum(own)), period), reason
        ).powers
    start = utc(state.at)
    expires = start + timedelta(seconds=seconds)
    by = "plan" if plan is not None else reason
    return tuple(Setpoint(id_, power, start, expires, by) for id_, power in powers.items())


def flows_of(
    territory: Territory, site: Site, plan: Plan, outlook: Mapping[str, Floats]
) -> dict[str, tuple[npt.NDArray[np.datetime64], Floats]]:
    """The plan as values of declared flows, each in its unit and step; the mean over scenarios.

    Only whole steps of a flow that lie inside the plan are given.
    """
    lead = plan.lead
    edges = (plan.starts.astype(np.int64)).astype(np.float64)[lead:]
    edges = np.append(edges, edges[-1] + plan.hours[-1] * HOUR_SECONDS)
    mean: dict[str, Any] = {
        site.import_flow: plan.imported, site.export_flow: plan.exported,
        **{g.flow: plan.generated[g.id] for g in site.generators},
    }  # fmt: skip
    meters = [(b.id, b.charge_flow, b.discharge_flow) for b in site.batteries]
    meters += [(one.id, one.charge_flow, one.discharge_flow) for one in site.stations]
    for id_, into, out in meters:
        mean[into], mean[out] = np.maximum(plan.powers[id_], 0.0), np.maximum(-plan.powers[id_], 0.0)
    readable = metered(site.units, site.needs)
    mean.update({f: kw for f, kw in plan.flows.items() if counts(territory, f, readable[f])})
    rates = {flow: np.atleast_2d(kw).mean(axis=0)[lead:] for flow, kw in mean.items() if flow}
    if site.load_flows == (site.load,):
        load = np.atleast_2d(outlook[site.load]).mean(axis=0)
        steps = np.round((edges - edges[0]) / (plan.hours[0] * HOUR_SECONDS)).astype(int)
        sums = np.concatenate([[0.0], np.cumsum(load)])
        rates[site.load] = np.diff(sums[np.minimum(steps, len(load))]) / np.diff(steps)
    return {flow: _on_steps(territory, flow, edges, kw) for flow, kw in rates.items()}


def _on_steps(
    territory: Territory, flow_id: str, edges: Floats, kw: Floats
) -> tuple[npt.NDArray[np.datetime64], Floats]:
    """Starts and values of the whole steps of a flow inside `edges` (seconds since 1970)."""
    flow = territory.flows[flow_id]
    unit = readings.amount(flow)
    assert flow.step is not None
    length = flow.step.hours * HOUR_SECONDS
    first = math.ceil(edges[0] / length)
    last = math.floor(edges[-1] / length)
    marks = np.arange(first, last + 1) * length
    energy = np.concatenate([[0.0], np.cumsum(kw * np.diff(edges) / HOUR_SECONDS)])
    values = np.diff(np.interp(marks, edges, energy)) / unit
    return marks[:-1].astype(np.int64).astype("datetime64[s]"), values


def _publish(
    territory: Territory, site: Site, ledger: Ledger, schedule: Schedule, asked: Request
) -> Schedule:
    """Stores the schedule; once it is on disk, tells the devices."""
    receipt = None
    if schedule.flows:
        table = _table(schedule)
        digest = hashlib.sha256(repr(table.to_pydict()).encode()).hexdigest()
        origin = Origin(
            f"operate:{schedule.place}", f"{schedule.at}:{digest[:16]}", RUN, model="operate", version=VERSION,
            inputs=(territory.content_hash,),
        )  # fmt: skip
        receipt = ledger.append(table, origin)
    limits = limits_at(site, asked.sessions)
    written = []
    for setpoint in schedule.setpoints:
        if setpoint.device in asked.devices:
            guard = Guard(asked.devices[setpoint.device], limits[setpoint.device])
            written.append(guard.write(setpoint, setpoint.start))
    return replace(schedule, receipt=receipt, written=tuple(written))


def _table(schedule: Schedule) -> pa.Table:
    """The schedule as the ledger takes it."""
    flow = [name for name, (starts, _) in schedule.flows.items() for _ in starts]
    start = np.concatenate([starts for starts, _ in schedule.flows.values()]).astype("datetime64[us]")
    value = np.concatenate([values for _, values in schedule.flows.values()])
    when = pa.array(start, pa.timestamp("us")).cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
    return pa.table(
        {"flow": pa.array(flow, pa.string()), "start": when, "value": pa.array(value, pa.float64())}
    )


def _gave_way(plan: Plan | None) -> list[Problem]:
    """One warning for each thing that had to give way, with the cheapest remedy."""
    found = []
    for id_, lacking in ({} if plan is None else plan.missing).items():
        data = {"id": id_, "energy": round(lacking, 2)}
        found.append(Problem("operate.not_ready", data, severity="warning"))
    for one in () if plan is None else plan.relaxed:
        remedy = one.remedy.name if one.remedy else "-"
        first = utc(plan.starts[one.first]) if plan is not None else ""
        data = {
            "name": one.name, "item": one.item, "tier": one.tier, "amount": round(one.amount, 2), "first": str(first),
            "remedy": remedy,
        }  # fmt: skip
        found.append(Problem("operate.gave_way", data, severity="warning"))
    return found


__all__: Sequence[str] = ("Grid", "Request", "Schedule", "floor", "flows_of", "operate", "state_of")
