# SPDX-License-Identifier: Apache-2.0
"""The linear program of a community, and what its solution says about each member.

Comes in: a `Community`. Goes out: its network (firms are nodes behind the park's node), its plan, the shares by duals, and
the exchange that the plan contains. Every right-hand side and bound belongs to a member; only the limit of the park's own
connection is common, and its rent is given back by rights or left to the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mangrove.errors import InfeasibleError, RequestError
from mangrove.network import Horizon, Network, Plan, Stream
from mangrove.settle.community import Community
from mangrove.settle.game import Allocation, Floats, Found
from mangrove.settle.pool import Pool
from mangrove.settle.rates import coincident_peak

PARK = "park"
RENTS = ("rights", "operator")


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The handles of a community's network; `grid` and `export` have n items, or one at a park meter."""

    grid: Stream
    export: Stream
    sun: Stream
    give: Stream
    take: Stream
    store: Any


def network(community: Community) -> tuple[Network, Parts]:
    """The network of all members of `community`."""
    steps = community.load.shape[1]
    net = Network(Horizon.regular(steps, community.hours))
    firms = net.node(list(community.members), owner=list(community.members))
    park = net.node(PARK)
    own = community.meter == "own"
    where = firms if own else park
    wire = np.full(len(community.members), np.inf) if community.wire is None else community.wire
    grid = net.source("grid", where, cost=_over(community.buy), upper=community.limit)
    export = net.sink("export", where, cost=-_over(community.sell))
    sun = net.source("generation", firms, upper=_cube(community.generation))
    net.sink("load", firms, amount=_cube(community.load), tier=None)
    give = net.link("give", firms, park, capacity=_cube(_givable(community, wire)), cost=community.fee)
    take = net.converter("take", [(firms, 1.0), (park, -1.0)], upper=_cube(wire[:, None]))
    store = _batteries(net, community, firms)
    _demand(net, community, grid, own=own)
    return net, Parts(grid, export, sun, give, take, store)


def _cube(table: Floats) -> Floats:
    """(n, T) or (n, 1) as (n, 1, T): members by scenarios by steps."""
    return table[:, None, :]


def _over(price: Floats) -> Floats:
    """A price over time, or for each member over time."""
    return price[None, None, :] if price.ndim == 1 else price[:, None, :]


def _givable(community: Community, wire: Floats) -> Floats:
    """(n, T) kW that a member may give: within its wire; with its own contract, only what its load leaves or it has stored."""
    most = np.broadcast_to(wire[:, None], community.load.shape)
    if community.meter != "own":
        return most
    stored = 0.0 if community.storage is None else community.storage.discharge[:, None]
    left = community.surplus
    if left is None:
        left = np.maximum(community.generation - community.load, 0.0)
    return np.minimum(most, left + stored)


def _batteries(net: Network, community: Community, firms: Any) -> Any:
    held = community.storage
    if held is None or not held.energy.any():
        return None
    n = len(community.members)
    into, out, wear = (np.broadcast_to(v, (n,))[:, None, None] for v in (*held.efficiency, held.wear))
    return net.store(
        "battery",
        firms,
        energy=held.energy[:, None, None],
        charge=held.charge[:, None, None],
        discharge=held.discharge[:, None, None],
        efficiency=(into, out),
        wear=wear,
    )


def _demand(net: Network, community: Community, grid: Stream, *, own: bool) -> None:
    """Demand charges: one peak for each member with its own meter, else one for the park."""
    if not community.demand:
        return
    terms: dict[str, Any] = {
        "price": community.demand, "group": community.group, "window": community.window
    }  # fmt: skip
    if not own:
        net.peak("peak", [grid], **terms)
        return
    for i, name in enumerate(community.members):
        mine = Stream(f"grid {name}", grid.columns[i : i + 1])
        net.peak(f"peak {name}", [mine], owner=name, **terms)


def solve(community: Community) -> tuple[Plan, Parts]:
    """The plan of least cost of all members together.

    Raises:
        InfeasibleError: a load cannot be served within the wires and limits.
    """
    net, parts = network(community)
    return net.solve(), parts


def coalition_cost(community: Community) -> float:
    """What the members of `community` pay together; infinite when they cannot serve themselves."""
    if community.has_formula:  # a coalition may have nothing to store where the whole has
        return float(community.costs(np.ones((1, len(community.members)), dtype=bool))[0])
    try:
        return solve(community)[0].cost
    except InfeasibleError:
        return np.inf


def dual_shares(community: Community, plan: Plan, rent: str = "rights") -> tuple[Allocation, float]:
    """Shares by duals (Owen 1975) and the rent of the common limit (money that the limit costs the members, not negative).

    With `rights` the rent is divided by the members' rights to the limit, so the shares sum to the cost; with `operator`
    members pay it to the park's operator, and the shares sum to the cost plus the rent.

    Raises:
        RequestError: `settle.unknown_rent`.
    """
    if rent not in RENTS:
        raise RequestError("settle.unknown_rent", word=rent, options=", ".join(RENTS))
    found = plan.shares()
    shares = np.array([found.get(name, 0.0) for name in community.members])
    common = sum(money for owner, money in found.items() if owner not in community.members)
    if rent == "rights":
        shares = shares + common * community.right
    return Allocation("duals", community.members, shares, Found("duals")), -common


def planned_pool(community: Community, plan: Plan, parts: Parts) -> Pool:
    """What members bring to the pool in a plan; their wear and demand charges stand in its `base`.

    With demand charges on each member's own meter the exchange is that of the plan; otherwise the pool is divided by the rule
    of `Pool`, because plans of equal cost may divide it in any way.
    """
    rate = {
        name: plan.rate(getattr(parts, name))[:, 0, :] for name in ("sun", "give", "take", "grid", "export")
    }
    charged = discharged = np.zeros_like(community.load)
    wear = np.zeros(len(community.members))
    if parts.store is not None and community.storage is not None:
        charged = plan.rate(parts.store.charging)[:, 0, :]
        discharged = plan.rate(parts.store.discharging)[:, 0, :]
        wear = discharged.sum(axis=1) * community.hours * community.storage.wear
    net = community.load - rate["sun"] + charged - discharged
    if community.meter == "own" and community.demand:
        return _exchanged(community, rate, wear)
    pool = community.pool(net).with_base(wear)
    if not community.demand:
        return pool
    return pool.with_base(demand_shares(community, pool))


def demand_shares(community: Community, pool: Pool) -> Floats:
    """(n,) the park's demand charge by each member's part of what is taken in the common peak."""
    taken = (pool.demand - pool.received) / community.hours
    groups = np.zeros(taken.shape[1], np.int64) if community.group is None else community.group
    shares = np.zeros(len(community.members))
    for group, peak in zip(np.unique(groups), community.peaks(taken.sum(axis=0)), strict=True):
        mine = np.where(groups == group, taken, 0.0)
        shares += coincident_peak(mine, community.demand * float(peak), community.window)
    return shares


def _exchanged(community: Community, rate: dict[str, Floats], wear: Floats) -> Pool:
    """The pool with the exchange of the plan; flows that go round in a circle are taken out."""
    got = (rate["take"] - rate["give"]) * community.hours
    received, given = np.maximum(got, 0.0), np.maximum(-got, 0.0)
    charges = community.demand * community.peaks(rate["grid"]).sum(axis=0)
    return Pool(
        community.members,
        received + np.maximum(rate["grid"], 0.0) * community.hours,
        given + np.maximum(rate["export"], 0.0) * community.hours,
        community.buy,
        community.export,
        community.fee,
        wear + charges,
        (received, given),
    )
