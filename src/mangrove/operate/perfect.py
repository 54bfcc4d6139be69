# SPDX-License-Identifier: Apache-2.0
"""Perfect foresight: the course of least cost for somebody who knew every value beforehand, as one linear program.

Comes in: a site, measured series, prices and vehicles. Goes out: a `Course` that no controller can beat: it may do all that the devices
can do, and some more (it may charge and discharge at once, which never pays while energy is lost on the way). Regret is what a policy
cost above it. Batteries that end emptier than they began are recharged in a last step at the mean price, as in every account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.operate.loop import Course, series
from mangrove.operate.machines import Machines, Moment, ends
from mangrove.operate.outlook import Grid
from mangrove.operate.plan import feed_in
from mangrove.operate.prices import Prices
from mangrove.operate.site import Site
from mangrove.operate.state import SECOND, Session
from mangrove.operate.units import STORES, making
from mangrove.operate.vehicles import level_of
from mangrove.operate.works import LACK

if TYPE_CHECKING:
    from mangrove.network import Network

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_ALMOST = 1 - 1e-9
"""Of what a vehicle needs: room for rounding when its stay is just long enough."""
_REFILL_HOURS = 1e4
"""Length of the step in which batteries are recharged at the end: longer than any battery takes."""


def perfect_foresight(
    site: Site,
    measured: Grid,
    prices: Prices,
    *,
    levels: dict[str, float] | None = None,
    sessions: Sequence[Session] = (),
    carbon: float = 0.0,
    steps: int | None = None,
    solver: str = "auto",
) -> Course:
    """The course of least cost over all measured steps.

    Args:
        site: what is operated.
        measured: as for `mangrove.operate.loop.run`.
        prices: cover the measured steps.
        levels: kWh in the batteries at the beginning; their floors when left out.
        sessions: vehicles; they get what fits into the whole steps of their stay.
        carbon: money per kWh drawn, beside its price.
        steps: of the measured ones that count; all of them when left out.
        solver: see `Network.solve`.
    """
    from mangrove.network import Horizon, Network

    load, available = series(site, measured, prices)
    count = measured.steps if steps is None else steps
    load, available = load[:count], available[:count]
    stores = [unit for unit in site.units if unit.kind in STORES]
    start = {b.id: b.floor for b in site.batteries} | {unit.id: 0.0 for unit in stores} | (levels or {})
    first = prices.index(measured.start)
    span = slice(first, first + count)
    net = Network(Horizon.chronological(np.r_[np.full(count, prices.hours), _REFILL_HOURS]))
    bus = net.node(site.place)
    buy = prices.buy[span]
    most = np.maximum(site.importing, load)  # nobody can turn down the load
    grid = net.source("import", bus, cost=np.r_[buy + carbon, 0.0], upper=np.r_[most, 0.0])
    net.source("refill", bus, cost=float(buy.mean()), upper=np.r_[np.zeros(count), np.inf])
    net.sink("load", bus, amount=np.r_[load, 0.0], tier=None)
    own = net.source("generation", bus, upper=np.r_[available, 0.0])
    export = sale = None
    if site.exporting > 0:
        price = np.r_[prices.sell[span], 0.0]
        export, sale = feed_in(net, bus, site.exporting, price, capped=prices.cap is not None)
    batteries = {
        b.id: net.store(
            b.id, bus, energy=b.energy, charge=b.charge, discharge=b.discharge, efficiency=b.efficiency,
            loss=b.loss, floor=b.floor, wear=b.wear, start=start[b.id], end="free",
        )
        for b in site.batteries
    }  # fmt: skip
    for b in site.batteries:
        net.program.lower[batteries[b.id].level[0, 0, -1]] = max(start[b.id], b.floor)
    _demand(net, grid, prices, span)
    _caps(net, sale, own, prices, span)
    fleet = _fleet(net, bus, site, _stays(site, measured.start, prices, sessions, count), prices.hours)
    machines = (
        _Units(net, bus, site, measured, start, float(buy.mean())) if site.units or site.needs else None
    )
    net.minima.clear()
    net.pairs.clear()  # a bound may do a little more than devices can
    solved = net.solve(solver=solver)
    course = Course("perfect", load, available, start, steps=count)
    course.imported[:] = solved[grid][:count]
    course.generated[:] = solved[own][:count]
    if export is not None:
        course.exported[:] = solved[export][:count]
    course.overload[:] = np.maximum(course.imported - site.importing, 0.0)
    for id_, store in batteries.items():
        course.powers[id_][:] = _power(solved, store)[:count]
        course.levels[id_][:] = solved.level(store)[0, 0, :count]
    if machines is not None:
        machines.note(course, solved, count)
    _note_vehicles(course, solved, fleet, sessions, measured.start, prices)
    return course


def _note_vehicles(  # noqa: PLR0917 - a solution and what it is told by
    course: Course,
    solved: Any,
    fleet: _Fleet | None,
    sessions: Sequence[Session],
    start: np.datetime64,
    prices: Prices,
) -> None:
    """Writes down what vehicles got and gave, and what they lacked when they left."""
    end = start + course.steps * (prices.seconds * SECOND)
    lacking = {one.id: one.missing for one in sessions if one.depart <= end}
    if fleet is not None:
        energy = solved.rate(fleet.stream)[0, 0] * fleet.share - solved.rate(fleet.given)[0, 0] * fleet.taken
        np.add.at(course.delivered, fleet.step, energy)
        np.add.at(course.paid, fleet.step, solved.rate(fleet.given)[0, 0] * fleet.wear * prices.hours)
        for id_, got in zip(fleet.ids, np.bincount(fleet.owner, energy).tolist(), strict=True):
            if id_ in lacking:
                lacking[id_] = max(lacking[id_] - got, 0.0)
    course.missing[-1:] = sum(lacking.values())


def _power(solved: Any, store: Any) -> Floats:
    """(T,) kW into a battery; negative out of it."""
    into, out = solved.rate(store.charging)[0, 0], solved.rate(store.discharging)[0, 0]
    power: Floats = into - out
    return power


def _demand(net: Network, grid: Any, prices: Prices, span: slice) -> None:
    """The highest mean power of each month; the last step belongs to none."""
    month = prices.month[span]
    if not prices.has_demand():
        return
    groups = np.r_[month - month[0], -1]
    block = np.arange(len(groups)) // prices.window
    block[-1] = block[-2] + 1
    price = prices.demand[month[0] : month[-1] + 1]
    net.peak("demand", [grid], price=price, group=groups, window=block)


def _caps(net: Network, sale: Any, own: Any, prices: Prices, span: slice) -> None:
    """What is sold in a calendar year is at most a share of what was generated in it."""
    if sale is None or prices.cap is None:
        return
    year, cap = prices.year[span], prices.cap[span]
    for one in np.unique(year):
        inside = np.r_[year == one, False].astype(np.float64)
        net.budget(f"export cap {one}", [(sale, inside), (own, -inside * np.r_[cap, 0.0])], upper=0.0)


@dataclass(frozen=True, eq=False)
class _Stays:
    """The whole steps of all stays, one entry each: whose, when, largest kW, kWh into the battery for one kW; kWh at the socket by vehicle.

    Of two-way vehicles also: largest kW back; and by vehicle the level at arrival, what fits in (kWh), money per kWh given back.
    """

    ids: tuple[str, ...]
    owner: Ints
    step: Ints
    power: Floats
    share: Floats
    back: Floats
    need: Floats
    level: Floats
    room: Floats
    wear: Floats


@dataclass(frozen=True, eq=False)
class _Fleet:
    """One column for every whole step of every stay: whose, its step, kWh into the battery for one kW in, and out of it for one kW back."""

    stream: Any
    given: Any
    ids: tuple[str, ...]
    owner: Ints
    step: Ints
    share: Floats
    taken: Floats
    wear: Floats


def _stays(
    site: Site, start: np.datetime64, prices: Prices, sessions: Sequence[Session], count: int
) -> _Stays | None:
    """What the stays allow and need, as far as they lie in the `count` steps from `start` on."""
    chargers = {charger.id: charger for charger in site.chargers}
    parts: list[tuple[Floats, ...]] = []
    need: list[tuple[float, float, float, float]] = []
    ids: list[str] = []
    for one in sessions:
        arrive = max(-(-int((one.arrive - start) / SECOND) // prices.seconds), 0)
        depart = min(int((one.depart - start) / SECOND) // prices.seconds, count)
        if depart <= arrive:
            continue
        charger = chargers[one.charger]
        most = charger.power if one.power is None else min(one.power, charger.power)
        inside = np.arange(arrive, depart, dtype=np.float64)
        alike = np.ones(len(inside))
        share = charger.efficiency * prices.hours
        parts.append((alike * len(need), inside, alike * most, alike * share, alike * charger.discharge))
        ids.append(one.id)
        asked = min(one.missing / charger.efficiency, most * len(inside) * prices.hours)
        level = level_of(one, charger)
        room = max(charger.vehicle, level + asked * charger.efficiency)
        need.append((asked, level, room, charger.wear))
    if not need:
        return None
    owner, step, power, each, back = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Stays(
        tuple(ids), owner.astype(np.int64), step.astype(np.int64), power, each, back, *np.array(need).T
    )


def _fleet(net: Network, bus: Any, site: Site, stays: _Stays | None, hours: float) -> _Fleet | None:
    """Columns for the stays, and one row a vehicle: what it needs, as far as its stay allows."""
    from mangrove.network.handles import Stream

    if stays is None:
        return None
    lp = net.program
    columns = lp.columns(f"{site.place} vehicles", stays.step.shape, upper=stays.power)
    lp.terms(bus.rows[0, 0, stays.step], columns, -1.0)
    two = np.flatnonzero(stays.back > 0)
    given = lp.columns(
        f"{site.place} given back", stays.step.shape, upper=stays.back, cost=stays.wear[stays.owner] * hours
    )
    lp.terms(bus.rows[0, 0, stays.step], given, 1.0)
    taken = hours * hours / stays.share  # kWh out of the battery for one kW back
    most = stays.need.copy()
    most[stays.owner[two]] = np.inf
    rows = lp.rows(f"{site.place} vehicles", stays.need.shape, lower=stays.need * _ALMOST, upper=most)
    lp.terms(rows[stays.owner], columns, hours)
    lp.terms(rows[stays.owner[two]], given[two], -taken[two] * hours / stays.share[two])
    if len(two):
        owner = stays.owner[two]
        first = np.r_[True, owner[1:] != owner[:-1]]
        level = lp.columns(f"{site.place} vehicle level", two.shape, upper=stays.room[owner])
        begin = np.where(first, stays.level[owner], 0.0)
        chain = lp.rows(f"{site.place} vehicle level", two.shape, lower=begin, upper=begin)
        lp.terms(chain, level, 1.0)
        lp.terms(chain[~first], level[np.flatnonzero(~first) - 1], -1.0)
        lp.terms(chain, columns[two], -stays.share[two])
        lp.terms(chain, given[two], taken[two])
    return _Fleet(
        Stream("vehicles", columns[None, None]), Stream("given back", given[None, None]),
        stays.ids, stays.owner, stays.step, stays.share, taken, stays.wear[stays.owner],
    )  # fmt: skip


class _Units:
    """The units of a site in the program of perfect foresight; a store that ends emptier pays what refilling it costs."""

    def __init__(  # noqa: PLR0917 - what it stands in, and its data
        self,
        net: Network,
        bus: Any,
        site: Site,
        measured: Grid,
        start: dict[str, float],
        price: float,
    ) -> None:
        count = net.horizon.steps - 1
        series = {need.name: np.r_[measured.values[need.name][:count], 0.0][None] for need in site.needs}
        self.now = Moment(series, start)
        self.machines = Machines(net, bus, site, self.now)
        for stream in self.machines.streams.values():
            net.program.upper[stream.columns[:, :, -1]] = 0.0
        worth = ends(site, making(site.units), price)
        dearest = max([price, *(one.cost for one in site.supplies)])
        self.lack = {
            c: net.source(f"{c} lacking", node, cost=LACK * dearest)
            for c, node in self.machines.nodes.items()
        }
        for unit in site.units:
            if unit.kind in STORES:
                level = self.machines.stores[unit.id].level[0, 0, count - 1]
                owed = net.program.columns(f"{unit.id} owed", (1,), cost=worth.get(unit.carrier, 0.0))
                row = net.program.rows(f"{unit.id} owed", (1,), lower=start[unit.id])
                net.program.terms(row, np.array([level]), 1.0)
                net.program.terms(row, owed, 1.0)

    def note(self, course: Course, solved: Any, count: int) -> None:
        """Writes down what the units did."""
        m = self.machines
        for id_, rates in m.setpoints(solved, self.now).items():
            course.powers[id_] = rates[0][:count]
        for drawn in m.electric(solved, self.now).values():
            course.electric[:] += drawn[0][:count]
        for id_, store in m.stores.items():
            course.levels[id_] = solved.level(store)[0, 0, :count]
        course.bought = {carrier: solved.rate(one)[0, 0, :count] for carrier, one in m.bought.items()}
        course.lacking = {carrier: solved.rate(one)[0, 0, :count] for carrier, one in self.lack.items()}
