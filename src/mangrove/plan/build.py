# SPDX-License-Identifier: Apache-2.0
"""From a sizing problem to a network: over every hour of its years, or over typical days.

Comes in: a `Case`, a `View` that says which steps stand for the year, and either nothing (sizes are chosen) or the sizes.
Goes out: a `Model` that holds the network and its handles. The objective is the cost over the life of the plan in money of
today: what a unit costs to build and keep, plus a year of operation times its present worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mangrove.network import Budget, Capacity, Horizon, Network, Node, Peak, Store, Stream
from mangrove.network.typical import TypicalDays, typical_days
from mangrove.plan import placed
from mangrove.plan.problem import (
    CONVERTER,
    ELECTRICITY,
    SOURCE,
    STORE,
    Candidate,
    Case,
    Floats,
    Ints,
    Series,
    Size,
    Supply,
    full,
)

DAY = 24.0
_KINDS = 4
"""Most price patterns of a day that are kept apart; with more, the price is one of the profiles that days are compared by."""
KILO = 1e-3
"""Budgets are written in tonnes and thousands of units, so that their rows are as large as the others."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Which steps a network has.

    Attributes:
        horizon: its time axis; days: the typical days, None for every step.
        profiles: series over the steps of the view, by (whose, what).
    """

    horizon: Horizon
    days: TypicalDays | None = None
    profiles: Mapping[tuple[str, str], Floats] = field(default_factory=dict)

    def pick(self, whose: str, what: str, values: Series) -> Series:
        """A number, or the series over the steps of this view."""
        return values if np.ndim(values) == 0 else self.profiles.get((whose, what), np.asarray(values))

    def months(self, month: Ints) -> Any:
        """The group of each step for a demand charge, or (G, steps) membership over typical days."""
        if self.days is None:
            return month
        steps = self.days.occurs(month[:: self.days.steps])
        member = np.zeros((int(month.max()) + 1, self.horizon.steps), dtype=bool)
        for group, at in steps.items():
            member[group, at] = True
        return member

    def spread(self, values: Floats) -> Floats:
        """Values over the steps of the view, written out over all steps of the case."""
        return values if self.days is None else self.days.spread(values)


def every_step(case: Case) -> View:
    """The view of every step of the case."""
    return View(Horizon.regular(case.steps, case.hours))


def over_typical_days(case: Case, count: int = 12) -> View:
    """The view of `count` typical days and the day of the highest load of each carrier.

    Days with different prices are not mixed when there are up to four such patterns (working day and Sunday).

    Raises:
        RequestError: `network.not_whole_days`.
    """
    series = {
        (whose, what): full(v, case.steps)
        for whose, what, v in case.series()
        if np.ndim(v) and what != "upper"
    }
    prices = [key for key in series if key[1] in {"buy", "sell"}]
    patterns, kinds = np.zeros((1, 1)), None
    if prices and case.steps * case.hours % DAY == 0:
        each = round(DAY / case.hours)
        table = np.hstack([series[key].reshape(-1, each) for key in prices])
        patterns, kinds = np.unique(table.round(9), axis=0, return_inverse=True)
    apart = kinds is not None and len(patterns) <= _KINDS
    compared = {f"{a}/{b}": v for (a, b), v in series.items() if not (apart and (a, b) in prices)}
    exact = [] if apart else [f"{a}/{b}" for a, b in prices]
    loads = [f"{a}/{b}" for a, b in series if b in {"load", "demand"} and np.ptp(series[a, b]) > 0]
    days = typical_days(
        compared, count=count, hours=case.hours, highest=loads, exact=exact,
        kinds=kinds.ravel() if apart and kinds is not None else None,
    )  # fmt: skip
    profiles = {
        key: days.profiles[f"{key[0]}/{key[1]}"] for key in series if f"{key[0]}/{key[1]}" in days.profiles
    }
    for whose, what, values in case.series():
        if np.ndim(values) and (whose, what) not in profiles:
            profiles[whose, what] = np.asarray(values).reshape(-1, days.steps)[days.days].ravel()
    return View(days.horizon, days, profiles)


@dataclass(slots=True, eq=False)
class Model:
    """A network of a case with its handles.

    Attributes:
        case, view: what it was built from; net: the network; nodes: by carrier.
        bought, sold: streams by supply; peaks: by supply.
        made: streams of sources and activities of converters, by candidate; stores: by candidate or asset.
        parts: what declared assets became, by asset.
        sizes: capacity handles or numbers, by name of the size; budgets: by name.
        relative: stores whose level is counted above a part that always stays filled.
    """

    case: Case
    view: View
    net: Network
    nodes: dict[str, Node] = field(default_factory=dict)
    bought: dict[str, Stream] = field(default_factory=dict)
    sold: dict[str, Stream] = field(default_factory=dict)
    peaks: dict[str, Peak] = field(default_factory=dict)
    made: dict[str, Stream] = field(default_factory=dict)
    parts: dict[str, placed.Part] = field(default_factory=dict)
    stores: dict[str, Store] = field(default_factory=dict)
    sizes: dict[str, Capacity | float] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)

    def candidate(self, name: str) -> Candidate:
        """The candidate `name`."""
        return next(one for one in self.case.candidates if one.name == name)


def model(case: Case, view: View, *, sizes: Mapping[str, float] | None = None, limits: bool = True) -> Model:
    """Builds the network.

    Args:
        case: what is asked.
        view: which steps.
        sizes: fixed sizes by name; None: they are chosen.
        limits: whether the limits on emissions, shares, area and money and the outages hold.
    """
    built = Model(case, view, Network(view.horizon))
    built.nodes = {carrier: built.net.node(f"{carrier} balance") for carrier in _carriers(case)}
    for carrier, load in case.loads.items():
        built.net.sink(f"load {carrier}", built.nodes[carrier], amount=view.pick(carrier, "load", load))
    for carrier in placed.vented(case.assets):
        built.net.sink(f"vent {carrier}", built.nodes[carrier])
    for supply in case.supplies:
        _supply(built, supply, sizes)
    for one in case.candidates:
        _SHAPE[one.shape](built, one, sizes)
    for asset in case.assets:
        placed.add(built, asset, sizes)
    for supply in case.supplies:
        _export_share(built, supply)
    if limits:
        _limits(built, choose=sizes is None)
        if case.outages:
            from mangrove.plan import outages

            outages.add(built)
    built.net.minima.clear()  # a linear plan of a year: the least load of a generator is left to operation, and a note says so
    built.net.pairs.clear()  # running both ways at once only wastes energy, which shutting off the sun does for nothing
    return built


def _carriers(case: Case) -> list[str]:
    """Every carrier that something of the case buys, needs or works on."""
    found = [supply.carrier for supply in case.supplies] + list(case.loads)
    for one in case.candidates:
        found += [one.carrier, *one.ports]
    for asset in case.assets:
        found += sorted(asset.carriers[1])
    return list(dict.fromkeys(found))


def _supply(built: Model, supply: Supply, sizes: Mapping[str, float] | None) -> None:
    """Buying and selling at a connection, and its demand charge.

    Money: worth of energy x yearly share x price, and the carbon price on what a unit emits.
    """
    case, view, net = built.case, built.view, built.net
    node = built.nodes[supply.carrier]
    buy = np.asarray(view.pick(supply.name, "buy", supply.buy)) * case.money.worth("energy")
    factor = np.asarray(view.pick(supply.name, "factor", supply.factor))
    carbon = factor * KILO * case.carbon * case.money.worth("carbon")
    cost = (buy + carbon) * case.annual
    limit: dict[str, Any] = {"upper": view.pick(supply.name, "upper", supply.upper)}
    if supply.size is not None:
        limit = _limited(_size(built, supply.name, supply.size, sizes))
    built.bought[supply.name] = net.source(supply.name, node, cost=cost, **limit)
    if supply.sell is not None and supply.export > 0:
        sell = np.asarray(view.pick(supply.name, "sell", supply.sell)) * case.money.worth("export")
        built.sold[supply.name] = net.sink(
            f"{supply.name} export", node, cost=-sell * case.annual, upper=supply.export
        )
    if supply.months and supply.month is not None:
        price = np.broadcast_to(np.asarray(supply.demand, dtype=float), (supply.months,))
        built.peaks[supply.name] = net.peak(
            f"{supply.name} demand",
            [built.bought[supply.name]],
            price=price * 12.0 / supply.months * case.money.worth("energy"),
            group=view.months(supply.month),
            window=max(1, round(supply.window / case.hours)),
        )


def _export_share(built: Model, supply: Supply) -> None:
    """Sum of sales - share x sum of what renewable candidates give <= 0, over the year."""
    if supply.share is None or supply.name not in built.sold:
        return
    own = [
        (stream, -supply.share * KILO)
        for name, stream in built.made.items()
        if (one := built.candidate(name)).renewable and one.carrier == supply.carrier
    ]
    for part in built.parts.values():
        if part.asset.kind in placed.RENEWABLE and supply.carrier == ELECTRICITY:
            own += [(stream, -supply.share * KILO) for stream in part.streams.values()]
    name = f"{supply.name} export share"
    built.budgets[name] = built.net.budget(
        name, [(built.sold[supply.name], KILO), *own], upper=0.0, tier=None
    )


def _size(built: Model, name: str, size: Size, sizes: Mapping[str, float] | None) -> Capacity | float:
    """The capacity as a choice with its cost over the life of the plan, or the number that was given."""
    if sizes is not None:
        built.sizes[name] = float(sizes.get(name, size.existing))
    elif size.most <= size.existing:
        built.sizes[name] = size.existing
    else:
        cost = size.worth(built.case.money)
        built.sizes[name] = built.net.capacity(
            f"{name} size", cost=cost, existing=size.existing, lower=size.least, upper=size.most
        )
    return built.sizes[name]


def _limited(size: Capacity | float, profile: Series = 1.0) -> dict[str, Any]:
    """The arguments that keep a stream below profile x size."""
    if isinstance(size, Capacity):
        return {"capacity": size, "profile": profile}
    return {"upper": np.asarray(profile) * size}


def _source(built: Model, one: Candidate, sizes: Mapping[str, float] | None) -> None:
    """A rate up to profile x size; output that degrades is levelized over the study."""
    size = _size(built, one.name, one.size, sizes)
    profile = np.asarray(built.view.pick(one.name, "profile", one.profile)) * built.case.money.level(
        one.degradation
    )
    cost = _running(built, one)
    built.made[one.name] = built.net.source(
        one.name, built.nodes[one.carrier], cost=cost, **_limited(size, profile)
    )


def _converter(built: Model, one: Candidate, sizes: Mapping[str, float] | None) -> None:
    """An activity up to profile x size, with a rate at each port."""
    size = _size(built, one.name, one.size, sizes)
    ports = [(built.nodes[carrier], rate) for carrier, rate in one.ports.items()]
    profile = built.view.pick(one.name, "profile", one.profile)
    cost = _running(built, one)
    built.made[one.name] = built.net.converter(one.name, ports, cost=cost, **_limited(size, profile))


def _running(built: Model, one: Candidate) -> float:
    """Money of today for one unit of output in every year of the study."""
    money = built.case.money
    carbon = one.emissions * KILO * built.case.carbon * money.worth("carbon")
    return (one.running * money.worth("energy") + carbon) * built.case.annual


def _store(built: Model, one: Candidate, sizes: Mapping[str, float] | None) -> None:
    """A store; its level is counted above the share of the room that stays filled, so the room is smaller by that share."""
    assert one.room is not None
    node, net = built.nodes[one.carrier], built.net
    name = f"{one.name}/energy"
    room = _size(built, name, one.room, sizes)
    rate = np.inf if one.lean else _size(built, one.name, one.size, sizes)
    if not isinstance(room, Capacity) and room <= 0:
        return
    usable = 1.0 - one.floor
    energy: Capacity | float = (
        room * usable if not isinstance(room, Capacity) else _usable(built, name, room, usable)
    )
    begin = one.begin if built.view.days is None else None
    if one.lean and built.view.days is None and one.loss == 0 and begin is None:
        built.stores[one.name] = net.store(one.name, node, energy=energy, charge=None, discharge=None)
        return
    built.stores[one.name] = net.store(
        one.name,
        node,
        energy=energy,
        charge=rate,
        discharge=rate,
        efficiency=one.efficiency,
        start=None if begin is None else max(0.0, begin - one.floor) * one.room.most,
        end="cyclic" if begin is None else "free",
        loss=one.loss,
        wear=one.running * built.case.annual * built.case.money.worth("energy"),
    )
    if one.ratio is not None and isinstance(room, Capacity) and isinstance(rate, Capacity):
        net.budget(f"{one.name} hours", [(room, 1.0), (rate, -one.ratio)], lower=0.0, upper=0.0, tier=None)


def _usable(built: Model, name: str, room: Capacity, share: float) -> Capacity:
    """The part of a room that may be used, as a size of its own: usable = share x room."""
    if share == 1.0:
        return room
    usable = built.net.capacity(f"{name} usable", cost=0.0)
    row = built.net.program.rows(f"{name} usable", (1,), lower=0.0, upper=share * float(room.existing[0, 0]))
    built.net.program.terms(row, usable.columns[0], 1.0)
    built.net.program.terms(row, room.columns[0], -share)
    return usable


_SHAPE: dict[str, Callable[[Model, Candidate, Mapping[str, float] | None], None]] = {
    SOURCE: _source, CONVERTER: _converter, STORE: _store,
}  # fmt: skip


def emitting(built: Model) -> list[tuple[Stream | Capacity, Any]]:
    """Streams with what a unit of them emits in a year, t."""
    terms: list[tuple[Stream | Capacity, Any]] = []
    for supply in built.case.supplies:
        factor = np.asarray(built.view.pick(supply.name, "factor", supply.factor))
        if factor.any():
            terms.append((built.bought[supply.name], factor * KILO * built.case.annual))
    for name, stream in built.made.items():
        if built.candidate(name).emissions:
            terms.append((stream, built.candidate(name).emissions * KILO * built.case.annual))
    return terms


def _limits(built: Model, *, choose: bool) -> None:
    """Emissions, renewable share, area and money of the case, as budgets."""
    limits, net = built.case.limits, built.net
    if limits.co2 is not None:
        built.budgets["co2"] = net.budget("co2", emitting(built), upper=limits.co2)
    if limits.renewable is not None:
        _renewable(built, limits.renewable)
    if not choose:
        return
    chosen = {name: size for name, size in built.sizes.items() if isinstance(size, Capacity)}
    for word, limit, weights in (
        ("area", limits.area, {n: s.area for n, s in built.case.sizes().items()}),
        ("money", limits.money, {n: s.cost for n, s in built.case.sizes().items()}),
    ):
        terms = [(size, weights[name]) for name, size in chosen.items() if weights[name] > 0]
        if limit is not None and terms:  # a roof does not grow because something else is wished for
            taken = (
                sum(weights[name] * built.case.sizes()[name].existing for name in weights)
                if word == "area"
                else 0
            )
            built.budgets[word] = net.budget(word, terms, upper=max(0.0, limit - taken), tier=None)


def _renewable(built: Model, share: float) -> None:
    """Bought + burnt electricity <= (1 - share) x (loads + what converters take): losses count against the renewable part."""
    case = built.case
    terms: list[tuple[Stream | Capacity, Any]] = [
        (built.bought[supply.name], KILO * case.annual)
        for supply in case.supplies
        if supply.carrier == ELECTRICITY
    ]
    for name, stream in built.made.items():
        one = built.candidate(name)
        taken = -min(one.ports.get(ELECTRICITY, 0.0), 0.0)
        if one.shape == SOURCE and one.carrier == ELECTRICITY and not one.renewable:
            terms.append((stream, KILO * case.annual))
        elif taken:
            terms.append((stream, -(1.0 - share) * taken * KILO * case.annual))
    terms += [(stream, rate * KILO * case.annual) for stream, rate in placed.renewable_terms(built, share)]
    used = placed.fixed_use(built) * case.annual * KILO
    used += (
        float(case.loads[ELECTRICITY].sum()) * case.hours * case.annual * KILO
        if ELECTRICITY in case.loads
        else 0.0
    )
    built.budgets["renewable"] = built.net.budget("renewable", terms, upper=(1.0 - share) * used)
