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
from mangrove.operate.outlook import Grid
from mangrove.operate.plan import feed_in
from mangrove.operate.prices import Prices
from mangrove.operate.site import Site
from mangrove.operate.state import SECOND, Session

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
    start = levels or {b.id: b.floor for b in site.batteries}
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
    stores = {
        b.id: net.store(
            b.id, bus, energy=b.energy, charge=b.charge, discharge=b.discharge, efficiency=b.efficiency,
            loss=b.loss, floor=b.floor, wear=b.wear, start=start[b.id], end="free",
        )
        for b in site.batteries
    }  # fmt: skip
    for b in site.batteries:
        net.program.lower[stores[b.id].level[0, 0, -1]] = max(start[b.id], b.floor)
    _demand(net, grid, prices, span)
    _caps(net, sale, own, prices, span)
    fleet = _fleet(net, bus, site, _stays(site, measured.start, prices, sessions, count), prices.hours)
    net.pairs.clear()  # a bound may do a little more than devices can
    solved = net.solve(solver=solver)
    course = Course("perfect", load, available, start, steps=count)
    course.imported[:] = solved[grid][:count]
    course.generated[:] = solved[own][:count]
    if export is not None:
        course.exported[:] = solved[export][:count]
    course.overload[:] = np.maximum(course.imported - site.importing, 0.0)
    for id_, store in stores.items():
        course.powers[id_][:] = _power(solved, store)[:count]
        course.levels[id_][:] = solved.level(store)[0, 0, :count]
    end = measured.start + count * (prices.seconds * SECOND)
    lacking = {one.id: one.missing for one in sessions if one.depart <= end}
    if fleet is not None:
        energy = solved.rate(fleet.stream)[0, 0] * fleet.share
        np.add.at(course.delivered, fleet.step, energy)
        for id_, got in zip(fleet.ids, np.bincount(fleet.owner, energy).tolist(), strict=True):
            if id_ in lacking:
                lacking[id_] = max(lacking[id_] - got, 0.0)
    course.missing[-1:] = sum(lacking.values())
    return course


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
    """The whole steps of all stays, one entry each: whose, when, largest kW; and kWh at the socket by vehicle."""

    ids: tuple[str, ...]
    owner: Ints
    step: Ints
    power: Floats
    share: Floats
    need: Floats


@dataclass(frozen=True, eq=False)
class _Fleet:
    """One column for every whole step of every stay: whose, its step, and kWh into the battery for one kW."""

    stream: Any
    ids: tuple[str, ...]
    owner: Ints
    step: Ints
    share: Floats


def _stays(
    site: Site, start: np.datetime64, prices: Prices, sessions: Sequence[Session], count: int
) -> _Stays | None:
    """What the stays allow and need, as far as they lie in the `count` steps from `start` on."""
    chargers = {charger.id: charger for charger in site.chargers}
    parts: list[tuple[Floats, ...]] = []
    need: list[float] = []
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
        parts.append((alike * len(need), inside, alike * most, alike * charger.efficiency * prices.hours))
        ids.append(one.id)
        need.append(min(one.missing / charger.efficiency, most * len(inside) * prices.hours))
    if not need:
        return None
    owner, step, power, share = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Stays(tuple(ids), owner.astype(np.int64), step.astype(np.int64), power, share, np.array(need))


def _fleet(net: Network, bus: Any, site: Site, stays: _Stays | None, hours: float) -> _Fleet | None:
    """Columns for the stays, and one row a vehicle: what it needs, as far as its stay allows."""
    from mangrove.network.handles import Stream

    if stays is None:
        return None
    lp = net.program
    columns = lp.columns(f"{site.place} vehicles", stays.step.shape, upper=stays.power)
    lp.terms(bus.rows[0, 0, stays.step], columns, -1.0)
    rows = lp.rows(f"{site.place} vehicles", stays.need.shape, lower=stays.need * _ALMOST, upper=stays.need)
    lp.terms(rows[stays.owner], columns, hours)
    stream = Stream("vehicles", columns[None, None])
    return _Fleet(stream, stays.ids, stays.owner, stays.step, stays.share)
