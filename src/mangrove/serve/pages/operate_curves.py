# SPDX-License-Identifier: Apache-2.0
"""The curves of the screen "Operate": what the ledger holds of a site on the steps of the page.

Comes in: a site, the live state, the steps. Goes out: for the connection and each device what was measured, expected and scheduled,
in kW with NaN where nobody knows; the prices of the site's contract; the newest plan on the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import MangroveError, Problem
from mangrove.ledger import series
from mangrove.operate import readings
from mangrove.operate.account import rates_of
from mangrove.operate.site import Site
from mangrove.operate.state import HOUR_SECONDS
from mangrove.serve.schedules import Stored
from mangrove.serve.state import Live
from mangrove.times import utc

if TYPE_CHECKING:
    from mangrove.ledger import Snapshot

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
SECONDS = 900
"""Length of a step of the page: that of a plan."""
BACK, AHEAD = 24, 48
"""Hours shown before and after now."""
STEPS = (BACK + AHEAD) * HOUR_SECONDS // SECONDS
PAST = BACK * HOUR_SECONDS // SECONDS
RUNS = {
    "actual": "measured",
    "forecast": "forecast",
    "low": "forecast/q10",
    "high": "forecast/q90",
    "schedule": "schedule",
}
"""Columns of a curve, and the runs that hold them."""
GRID = "grid"


@dataclass(frozen=True, eq=False)
class Curve:
    """One device, or the connection, over the window.

    Attributes:
        id: of the asset, or `grid`; kind: `grid`, `generator`, `battery`, `charger`, `swap_station` or `unit`; name: for people.
        actual, forecast, low, high, schedule: (T,) kW, NaN where nothing is known; positive takes power (a generator gives it).
        level: (T,) kWh planned at the end of each step; empty when it stores nothing.
    """

    id: str
    kind: str
    name: str
    actual: Floats
    forecast: Floats
    low: Floats
    high: Floats
    schedule: Floats
    level: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def known(self) -> bool:
        """Whether there is anything to draw."""
        return bool(np.isfinite([self.actual, self.forecast, self.schedule]).any())

    def lines(self) -> dict[str, Floats]:
        """What is drawn as lines: what happened first; what nobody knows is left out."""
        named = {"actual": self.actual, "schedule": self.schedule, "forecast": self.forecast}
        return {name: line for name, line in named.items() if name == "actual" or np.isfinite(line).any()}


@dataclass(frozen=True, eq=False)
class Prices:
    """(T,) money per kWh drawn and sold, and the level of the price: 0 off-peak, 1 normal, 2 peak; kg CO2 per kWh drawn."""

    buy: Floats
    sell: Floats
    period: npt.NDArray[np.int64]
    factor: float | None


def starts_of(now: datetime) -> Times:
    """(T,) the steps of the page: a day back from the running step, two days ahead."""
    at = int(now.timestamp()) // SECONDS * SECONDS
    return np.datetime64(at, "s") + np.arange(-PAST, STEPS - PAST) * np.timedelta64(SECONDS, "s")


def curves_of(live: Live, site: Site, starts: Times, name: str) -> tuple[list[Curve], list[Problem]]:
    """The connection (called `name`) and each device; problems say what could not be added up."""
    if not live.cut():
        return [], []
    window = readings.Window(starts[0], SECONDS, STEPS)
    with live.snapshot() as snapshot:
        kept = cast("Snapshot", _Loaded(snapshot, site, utc(starts[0])))
    reader = _Reader(live, site, kept, window)
    grid, problems = reader.grid(name)
    return [grid, *(reader.curve(part) for part in _parts(site))], problems


def prices_of(live: Live, site: Site, starts: Times) -> tuple[Prices | None, list[Problem]]:
    """The prices of the site's contract; None and why when there are none."""
    territory = live.territory
    try:
        rates = rates_of(territory, site, utc(starts[PAST]).astimezone(territory.tz).date())
        terms = rates.contract.terms(starts, SECONDS / HOUR_SECONDS, territory.tz)
    except MangroveError as error:
        return None, [error.problem]
    factor = None if rates.factor is None else float(np.mean(rates.factor))
    buy = np.asarray(terms.buy, dtype=np.float64)
    sell = np.nan_to_num(np.asarray(terms.sell, dtype=np.float64))
    return Prices(buy, np.broadcast_to(sell, buy.shape), np.asarray(terms.period), factor), []


@dataclass(frozen=True, slots=True)
class _Part:
    """A device and the flows that meter what it takes and gives."""

    id: str
    kind: str
    into: str
    out: str = ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads curves from what was loaded."""

    live: Live
    site: Site
    kept: Snapshot
    window: readings.Window

    def curve(self, part: _Part) -> Curve:
        """What goes in, less what comes out."""
        flows = self.live.territory.flows
        lines = {}
        for name, run in RUNS.items():
            sides = [
                readings.power(self.kept, flows[flow], self.window, run=run).power if flow in flows else None
                for flow in (part.into, part.out)
            ]
            # the lowest of a difference is not the difference of the lowest: a band needs one flow
            single = name not in {"low", "high"} or not part.out
            lines[name] = _difference(sides[0], sides[1]) if single else np.full(STEPS, math.nan)
        lines["actual"][PAST:] = math.nan
        asset = self.live.territory.assets.get(part.id)
        return Curve(part.id, part.kind, (asset.name if asset else "") or part.id, **lines)

    def grid(self, name: str) -> tuple[Curve, list[Problem]]:
        """The connection: its meters, or what the meters behind it add up to."""
        site, problems = self.site, []
        curve = replace(self.curve(_Part(GRID, GRID, site.import_flow, site.export_flow)), name=name)
        if not site.import_flow:
            try:
                past = readings.Window(self.window.start, SECONDS, PAST)
                meters = readings.measured(self.kept, self.live.territory, site, past, planned=True)
                drawn = np.full(STEPS, math.nan)
                bought = readings.imported(readings.heard(site, meters), meters)
                drawn[:PAST] = np.where(bought == 0.0, np.minimum(_surplus(site, meters), 0.0), bought)
                curve = replace(curve, actual=drawn)
            except MangroveError as error:
                problems.append(error.problem)
        return curve, problems


class _Loaded:
    """The readings and runs of a site, read in one question and asked for flow by flow."""

    def __init__(self, snapshot: Snapshot, site: Site, first: datetime) -> None:
        others = [name for name in site.inputs if "#" not in name]
        names = dict.fromkeys((*site.flows, *others, *(unit.values.word("flow") for unit in site.units)))
        keys = [series(name, run) for name in names if name for run in RUNS.values()]
        stored = snapshot.flow_ids()
        self._known = stored
        self._rows = snapshot.values(
            [key for key in keys if key in stored],
            first - timedelta(days=1),
            first + timedelta(hours=BACK + AHEAD),
        )
        self._of: dict[str, pa.Table] = {}

    def values(self, flows: Sequence[str], start: datetime, end: datetime) -> pa.Table:
        """As `Snapshot.values`."""
        (key,) = flows
        if key not in self._of:
            self._of[key] = self._rows.filter(pc.equal(self._rows.column("flow").cast(pa.string()), key))
        table = self._of[key]
        at, utc = table.column("start"), pa.timestamp("us", "UTC")
        low, high = (pa.scalar(moment.astimezone(UTC), utc) for moment in (start, end))
        return table.filter(pc.and_(pc.greater_equal(at, low), pc.less(at, high)))

    def flow_ids(self) -> dict[str, int]:
        """As `Snapshot.flow_ids`."""
        return self._known


def _parts(site: Site) -> Iterator[_Part]:
    """Every device with its kind and the flows that meter what it takes and gives."""
    for battery in site.batteries:
        yield _Part(battery.id, "battery", battery.charge_flow, battery.discharge_flow)
    for station in site.stations:
        yield _Part(station.id, "swap_station", station.charge_flow, station.discharge_flow)
    for charger in site.chargers:
        yield _Part(charger.id, "charger", charger.flow)
    for generator in site.generators:
        yield _Part(generator.id, "generator", generator.flow)


def _surplus(site: Site, meters: readings.Measured) -> Floats:
    """(T,) kW: the consumption less own generation, negative where that is more than is consumed."""
    net: Floats = meters.grid.values[site.load] - sum(meters.grid.values[name] for name in site.generation)
    meters_of = [(one.charge_flow, one.discharge_flow) for one in site.batteries]
    meters_of += [(one.charge_flow, one.discharge_flow) for one in site.stations]
    for into, out in meters_of:
        for flow, sign in ((into, 1.0), (out, -1.0)):
            if flow:
                net = net + sign * np.nan_to_num(meters.flows[flow].power)
    return net


def planned(stored: Stored | None, starts: Times) -> dict[str, tuple[Floats, Floats]]:
    """(T,) kW and kWh of the newest plan on the steps of the page, by device and for the connection."""
    if stored is None or not stored.starts:
        return {}
    begins = np.array([int(moment.timestamp()) for moment in stored.starts])
    last = int(stored.ends[-1].timestamp())
    clock = starts.astype(np.int64)
    index = np.searchsorted(begins, clock, side="right") - 1
    inside = (index >= 0) & (clock < last)

    def on(values: Sequence[float]) -> Floats:
        found: Floats = np.where(inside, np.asarray(values, dtype=np.float64)[np.maximum(index, 0)], math.nan)
        return found

    grid = on([into - out for into, out in zip(stored.drawn, stored.sold, strict=True)])
    found = {GRID: (grid, np.zeros(0))}
    for device in stored.devices.values():
        found[device.id] = (on(device.power), on(device.level) if device.level else np.zeros(0))
    return found


def _difference(into: Floats | None, out: Floats | None) -> Floats:
    """What goes in less what comes out; a meter that is not there counts for nothing, one that is silent for NaN."""
    if into is None and out is None:
        return np.full(STEPS, math.nan)
    return (np.zeros(STEPS) if into is None else into.copy()) - (0.0 if out is None else out)
