# SPDX-License-Identifier: Apache-2.0
"""Surviving a failure of the grid: as rows of the sizing problem, and as a probability for every hour of the year.

Comes in: outages of a case and a network under construction; later the sizes and the levels of a plan. Goes out: rows that
hold the plan to what it promises, and for each starting hour how long the critical load is kept up.

Each outage is a small network of its own beside the year: the same sizes, the real load and sun of its hours, and stores
that begin at the level that the plan itself keeps at that moment (over typical days: the level of that real day). This is
exact for a chosen window. A fixed reserve in the store, which others use, is not: it ignores the sun that shines during the
outage and the rate of the battery, and it holds energy back in hours for which nobody asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mangrove.network import Capacity, Stream
from mangrove.network.handles import Wish
from mangrove.network.program import Program
from mangrove.plan import placed
from mangrove.plan.build import Model
from mangrove.plan.problem import (
    CONVERTER,
    ELECTRICITY,
    SOURCE,
    STORE,
    Candidate,
    Case,
    Floats,
    Ints,
    Outage,
    Series,
    full,
)

TIER = "promised"


def add(built: Model) -> None:
    """Adds every outage of the case to the network: critical load <= what sources, stores and converters can give.

    For an outage at step s of H steps, with k = 0..H-1 and the level e of the plan:
        sum_f g_fk + sum_l a_l z_lk + sum_b (d_bk - c_bk) >= share x load_{s+k}      every carrier
        g_fk <= profile_{s+k} K_f;  z_lk <= K_l;  c_bk, d_bk <= K_b
        l_bk = keep l_b,k-1 + h eta+ c_bk - h d_bk / eta-;  l_b,-1 = e_{s-1};  0 <= l_bk <= E_b
    What cannot be served gives way in the tier of promised energy, and is reported.
    """
    for number, outage in enumerate(built.case.outages):
        _one(built, outage, f"outage {number + 1}")


def _one(built: Model, outage: Outage, name: str) -> None:
    case, lp = built.case, built.net.program
    when = hours_of(case, outage)
    count = len(when)
    rows = {}
    for carrier in built.nodes:
        share = outage.critical.get(carrier, 0.0)
        need = (
            share * full(case.loads[carrier], case.steps)[when] if carrier in case.loads else np.zeros(count)
        )
        rows[carrier] = lp.rows(f"{name} {carrier}", (1, 1, count), lower=need)
        if share > 0:
            wish = Wish(
                f"{name} {carrier}", TIER, (name,), "lower", rows[carrier], np.full((1, 1, count), case.hours)
            )
            built.net.wishes.append(wish)
    _supplies(built, outage, name, rows, when)
    for one in case.candidates:
        if one.shape == STORE:
            if one.name in built.stores:
                _store(built, one, when, rows[one.carrier], name)
            continue
        stream = lp.columns(f"{name} {one.name}", (count,))
        _below(lp, stream, built.sizes[one.name], _profile(case, one, when))
        ports = {one.carrier: 1.0} if one.shape == SOURCE else one.ports
        for carrier, rate in ports.items():
            lp.terms(rows[carrier][0, 0], stream, rate)
    island = placed.Island(built, count, lambda one, keep: _level_before(built, one, int(when[0]), keep))
    nodes = {
        carrier: island.adopt(f"{name} {carrier}", carrier, balance) for carrier, balance in rows.items()
    }
    for asset in case.assets:
        placed.survive(island, asset, nodes, when)


def _supplies(built: Model, outage: Outage, name: str, rows: Mapping[str, Ints], when: Ints) -> None:
    """What can still be bought."""
    case, lp, count = built.case, built.net.program, len(when)
    fails = outage.fails or tuple(s.name for s in case.supplies if s.carrier == ELECTRICITY)
    for supply in case.supplies:
        if supply.name not in fails:
            stream = lp.columns(f"{name} {supply.name}", (count,), upper=full(supply.upper, case.steps)[when])
            if supply.size is not None:
                _below(lp, stream, built.sizes[supply.name])
            lp.terms(rows[supply.carrier][0, 0], stream, 1.0)


def hours_of(case: Case, outage: Outage) -> Ints:
    """The steps of an outage; one that begins late goes on at the beginning of the data."""
    count = math.ceil(outage.hours / case.hours - 1e-9)
    return (outage.start + np.arange(count)) % case.steps


def _profile(case: Case, one: Candidate, when: Ints) -> Floats:
    return full(one.profile, case.steps)[when] * case.money.level(one.degradation)


def _below(lp: Program, columns: Ints, size: Capacity | float, profile: Series = 1.0) -> None:
    """x_k <= profile_k x (existing + new)."""
    share = np.broadcast_to(np.asarray(profile, dtype=float), columns.shape)
    if not isinstance(size, Capacity):
        lp.upper[columns] = share * size
        return
    rows = lp.rows("size in outage", columns.shape, upper=share * float(size.existing[0, 0]))
    lp.terms(rows, columns, 1.0)
    lp.terms(rows, np.broadcast_to(size.columns[0], columns.shape), -share)


def _store(built: Model, one: Candidate, when: Ints, balance: Ints, name: str) -> None:
    """A store that begins at the level of the plan and is cut off from then on."""
    lp, case = built.net.program, built.case
    count, hours = len(when), case.hours
    keep = (1.0 - one.loss) ** hours
    level = lp.columns(f"{name} {one.name} level", (count,))
    into, out = (lp.columns(f"{name} {one.name} {word}", (count,)) for word in ("charge", "discharge"))
    room = built.sizes[f"{one.name}/energy"]
    if isinstance(room, Capacity):
        _below(lp, level, room, 1.0 - one.floor)
    else:
        lp.upper[level] = room * (1.0 - one.floor)
    if not one.lean:
        for stream in (into, out):
            _below(lp, stream, built.sizes[one.name])
    rows = lp.rows(f"{name} {one.name}", (count,), lower=0.0, upper=0.0)
    lp.terms(rows, level, 1.0)
    lp.terms(rows[1:], level[:-1], -keep)
    lp.terms(rows, into, -hours * one.efficiency[0])
    lp.terms(rows, out, hours / one.efficiency[1])
    for column, share in _level_before(built, one.name, int(when[0]), keep):
        lp.terms(rows[:1], np.array([column]), -keep * share)
    lp.terms(balance[0, 0], out, 1.0)
    lp.terms(balance[0, 0], into, -1.0)


def _level_before(built: Model, name: str, step: int, keep: float) -> list[tuple[int, float]]:
    """The level of the plan before a step, as (column, coefficient)."""
    store, days = built.stores[name], built.view.days
    if days is None or store.days is None:
        return [(int(store.level[0, 0, step - 1]), 1.0)]  # before the first step: after the last
    day, inside = divmod(step, days.steps)
    found = [(int(store.days[0, 0, day]), keep**inside)]
    if inside:
        found.append((int(store.level[0, 0, days.order[day] * days.steps + inside - 1]), 1.0))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """How long the critical load is kept up when the grid fails, for every starting step.

    Attributes:
        hours: (T,) time survived, at most the longest that was looked at; longest: that (h).
    """

    hours: Floats
    longest: float

    def probability(self, hours: float) -> float:
        """The share of starting steps from which at least `hours` are survived."""
        return float((self.hours >= hours - 1e-9).mean())


def survival(
    case: Case, sizes: Mapping[str, float], levels: Mapping[str, Floats], *, critical: float, longest: float
) -> Survival:
    """Simulates a failure of the grid that begins at every step of the year.

    Sources run as far as they are needed or can be stored, stores give and take within their rates, generators fill the
    rest, fuel cells use what their tank holds. Stores begin at the level of the plan. Combined heat and power is left out,
    because nothing says who takes its heat then: with it the answer is a lower bound.

    Args:
        case: the problem.
        sizes: sizes by name.
        levels: by store, (T,) usable level of the plan at the end of each step.
        critical: share of the electricity load that must be served.
        longest: hours looked at.
    """
    steps, hours = case.steps, case.hours
    need = critical * full(case.loads[ELECTRICITY], steps)
    free = np.zeros(steps)
    firm = 0.0
    for one in case.candidates:
        if one.shape == SOURCE and one.carrier == ELECTRICITY:
            if one.renewable:
                free += _profile(case, one, np.arange(steps)) * sizes[one.name]
            else:
                firm += sizes[one.name] * float(np.min(np.asarray(one.profile)))
    firm += sum(sizes[one.name] for one in case.assets if one.kind == "generator")
    for asset in case.assets:
        if asset.kind in placed.RENEWABLE:
            free += asset.levelled(case.money)["profile"] * sizes[asset.name]
    banks = _banks(case, sizes, levels)
    content = [bank.level.copy() for bank in banks]
    alive = np.ones(steps, dtype=bool)
    survived = np.zeros(steps)
    at = np.arange(steps)
    for _ in range(math.ceil(longest / hours - 1e-9)):  # over the hours of an outage, for all starts at once
        net = need[at] - free[at]
        missing = np.maximum(net, 0.0)
        spare = np.maximum(-net, 0.0)
        for bank, level in zip(banks, content, strict=True):
            _exchange(bank, level, missing, spare, hours)
        alive &= missing <= firm + 1e-6 * np.maximum(need[at], 1.0)
        survived += alive * hours
        if not alive.any():
            break
        at = (at + 1) % steps
    return Survival(np.minimum(survived, longest), longest)


@dataclass(frozen=True, slots=True, eq=False)
class _Bank:
    """A store seen from the electricity side: level (T,) before each starting step, room, rates, efficiencies."""

    level: Floats
    room: float
    give: float
    take: float
    eta_in: float
    eta_out: float
    keep: float


def _exchange(bank: _Bank, level: Floats, missing: Floats, spare: Floats, hours: float) -> None:
    """One step of a store: gives what is missing, takes what is left over; changes its arguments."""
    level *= bank.keep
    given = np.minimum(np.minimum(missing, bank.give), level * bank.eta_out / hours)
    taken = np.minimum(np.minimum(spare, bank.take), (bank.room - level) / (bank.eta_in * hours))
    level += hours * (taken * bank.eta_in - given / bank.eta_out)
    missing -= given
    spare -= taken


def _banks(case: Case, sizes: Mapping[str, float], levels: Mapping[str, Floats]) -> list[_Bank]:
    """Batteries, and tanks behind converters that make electricity from what they hold."""
    found: list[_Bank] = []
    cells: list[tuple[float, Mapping[str, float]]] = [
        (sizes[one.name], one.ports) for one in case.candidates if one.shape == CONVERTER
    ]
    for asset in case.assets:
        if asset.kind == "fuel_cell":
            rates = asset.ports["output"].items()
            cells.append((sizes[asset.name], {carrier: float(rate.mean()) for carrier, rate in rates}))
    for one in _kept(case, sizes):
        if one.name not in levels:
            continue
        before = np.clip(np.roll(levels[one.name], 1) - one.below, 0.0, one.room)
        keep = (1.0 - one.loss) ** case.hours
        if one.carrier == ELECTRICITY:
            found.append(_Bank(before, one.room, one.rate, one.rate, *one.efficiency, keep))
            continue
        for size, ports in cells:
            taken, made = -ports.get(one.carrier, 0.0), ports.get(ELECTRICITY, 0.0)
            if taken > 0 and made > 0:
                yield_ = made / taken * one.efficiency[1]
                found.append(_Bank(before, one.room, size * made, 0.0, 1.0, yield_, keep))
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """A store with its size: usable room, the level below which it is never drawn, rate, efficiencies, loss an hour."""

    name: str
    carrier: str
    room: float
    below: float
    rate: float
    efficiency: tuple[float, float]
    loss: float


def _kept(case: Case, sizes: Mapping[str, float]) -> Iterator[_Kept]:
    """The stores of a case, candidates and assets."""
    for one in case.candidates:
        if one.shape == STORE:
            room = sizes[f"{one.name}/energy"] * (1.0 - one.floor)
            rate = np.inf if one.lean else sizes[one.name]
            yield _Kept(one.name, one.carrier, room, 0.0, rate, one.efficiency, one.loss)
    for asset in case.assets:
        values = asset.values
        if asset.kind == "battery":
            room, eta = sizes[f"{asset.name}/energy"], values["round_trip"] ** 0.5
            below = room * values["floor"]
            rate, loss = sizes[asset.name], values["self_discharge"]
            yield _Kept(asset.name, ELECTRICITY, room - below, below, rate, (eta, eta), loss)
        elif asset.kind == "hydrogen_store":
            yield _Kept(asset.name, values.word("output"), sizes[asset.name], 0.0, np.inf, (1.0, 1.0), 0.0)


def streams_of(built: Model) -> dict[str, Stream]:
    """Every stream of a model by a name for people, in the order of the balance."""
    found = dict(built.bought)
    found |= built.made
    for name, store in built.stores.items():
        if store.discharging is not None and store.charging is not None:
            found |= {f"{name} discharge": store.discharging, f"{name} charge": store.charging}
    return found | {f"{name} export": stream for name, stream in built.sold.items()}
