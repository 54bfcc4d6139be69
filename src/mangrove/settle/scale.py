# SPDX-License-Identifier: Apache-2.0
"""A thousand homes or five hundred firms by aggregation, with a gap that is proved: similar members become one, then many again.

Comes in: a `Community` with batteries. Goes out: an `Estimate`: a plan for every member that can be carried out, what it costs (an
upper bound of the optimum), a lower bound, and the gap between them.

Members with the same contract, battery efficiency and wear, and about the same power for their energy, form a group.
- Lower bound: the group may use the sums of its members' loads, suns, wires, energies and powers. Every plan of the members, summed,
  is such a plan and costs as much, so the optimum of the groups is not above the optimum of the members.
- Upper bound: the power of a group is cut to what lets each member run the same part of the group's schedule as it owns of its
  energy. Then every member's schedule is feasible, and its cost is computed member by member, with all fees and wires.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import InfeasibleError, RequestError
from mangrove.network import Plan
from mangrove.settle import programs
from mangrove.settle.community import Community, Storage
from mangrove.settle.game import Floats

Ints = NDArray[np.int64]
_DIGITS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A plan for every member, and how far from the best it can be.

    Attributes:
        upper: money, the cost of the plan; lower: no plan costs less.
        groups: (n,) number of the group of each member.
        charge, discharge: (n, T) kW of each member's battery.
        fixed: the community with these schedules as given loads, ready for `settle` by formula.
        wear: (n,) money, the wear of each battery (part of `upper`, not of the cost of `fixed`).
    """

    upper: float
    lower: float
    groups: Ints
    charge: Floats
    discharge: Floats
    fixed: Community
    wear: Floats

    @property
    def gap(self) -> float:
        """(upper - lower) / |upper|: the optimum lies within this part of the cost."""
        return (self.upper - self.lower) / max(abs(self.upper), 1e-300)


def aggregate(community: Community, *, bins: int = 4, shapes: int = 16, solver: str = "auto") -> Estimate:
    """Plans a large community by groups of similar members.

    Args:
        community: with storage; demand charges only at a park meter.
        bins: groups that the ratio of power to energy is divided into; more give a smaller gap and a larger program.
        shapes: groups by the shape of the day (k-means); members of a group then want the same of their batteries, and little
            is netted inside a group that would pay the fee. More give a smaller gap and a larger program.
        solver: see `Network.solve`.

    Raises:
        RequestError: `settle.cannot_aggregate` for demand charges on each member's own meter.
        InfeasibleError: the loads cannot be served; or only the groups can serve them and not their members.
    """
    if community.meter == "own" and community.demand:
        raise RequestError("settle.cannot_aggregate")
    held = community.storage or _no_storage(len(community.members))
    groups = _groups(community, held, bins, shapes)
    wide = _grouped(community, held, groups, tight=False)
    plan, parts = _solve(wide, solver)
    lower = plan.cost
    if not _same_power(held, groups):
        plan, parts = _solve(_grouped(community, held, groups, tight=True), solver)
    charge, discharge = _schedules(plan, parts, held, groups, community.load.shape)
    fixed = fixed_plan(community, charge, discharge)
    wear = discharge.sum(axis=1) * community.hours * held.wear
    upper = _cost(fixed) + float(np.sum(wear))
    return Estimate(upper, min(lower, upper), groups, charge, discharge, fixed, wear)


def fixed_plan(community: Community, charge: Floats, discharge: Floats) -> Community:
    """The community with given battery schedules (n, T) kW: what is left to decide is only who gives to whom."""
    net = community.load - community.generation + charge - discharge
    return replace(
        community,
        load=np.maximum(net, 0.0),
        generation=np.maximum(-net, 0.0),
        storage=None,
        rights=community.right,
    )


def _solve(community: Community, solver: str) -> tuple[Plan, programs.Parts]:
    net, parts = programs.network(community)
    return net.solve(solver=solver), parts


def _schedules(
    plan: Plan, parts: programs.Parts, held: Storage, groups: Ints, shape: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """(n, T) kW into and out of each battery: each member's part of its group's schedule."""
    if parts.store is None:
        return np.zeros(shape), np.zeros(shape)
    part = _parts(held.energy, groups)[:, None]
    into, out = (plan.rate(s)[:, 0, :][groups] for s in (parts.store.charging, parts.store.discharging))
    return np.maximum(part * into, 0.0), np.maximum(part * out, 0.0)


def _cost(fixed: Community) -> float:
    """The exact cost of the members' plan."""
    cost = fixed.cost() if fixed.has_formula else programs.solve(fixed)[0].cost
    if not np.isfinite(cost):
        raise InfeasibleError("settle.members_cannot")
    return cost


def _no_storage(n: int) -> Storage:
    return Storage(np.zeros(n), np.zeros(n), np.zeros(n), (1.0, 1.0), 0.0)


def _groups(community: Community, held: Storage, bins: int, shapes: int) -> Ints:
    """(n,) group of each member: same contract, efficiencies and wear, about the same power for energy and shape of the day."""
    n = len(community.members)
    has = held.energy > 0.0
    energy = np.where(has, held.energy, 1.0)
    into, out, wear = (np.broadcast_to(v, (n,)) for v in (*held.efficiency, held.wear))
    ratios = [
        _binned(np.where(has, power / energy, 0.0), has, bins) for power in (held.charge, held.discharge)
    ]
    contract = np.zeros(n)
    if np.ndim(community.buy) != 1:
        contract = np.unique(community.buy, axis=0, return_inverse=True)[1].ravel().astype(float)
    shape = _shapes(community, energy, has, shapes)
    kinds = np.column_stack(
        [contract, has, *(np.where(has, v, 0.0) for v in (into, out, wear)), *ratios, shape]
    )
    return np.unique(kinds.round(_DIGITS), axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _shapes(community: Community, energy: Floats, has: NDArray[np.bool_], shapes: int) -> Floats:
    """(n,) cluster of each member's mean day: net power for the energy of its battery, or for its own size without one.

    Seeded k-means (scipy), apart for members with and without batteries; the same community always gives the same clusters.
    """
    from scipy.cluster.vq import kmeans2

    net = community.load - community.generation
    day = min(max(round(24.0 / community.hours), 1), net.shape[1])
    mean = np.array([net[:, k::day].mean(axis=1) for k in range(day)]).T
    size = np.where(has, energy, np.maximum(np.abs(mean).max(axis=1), 1e-9))
    found = np.zeros(len(net))
    for some in (has, ~has):
        features = (mean / size[:, None])[some]
        count = min(shapes, len(np.unique(features.round(_DIGITS), axis=0)))
        if count > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a cluster that ends empty is one group less
                found[some] = kmeans2(features, count, minit="++", seed=0)[1]
    return found


def _binned(ratio: Floats, has: NDArray[np.bool_], bins: int) -> Floats:
    """(n,) bin of each ratio; equal ratios stay together, so few different ones need no bins."""
    values = np.unique(ratio[has].round(_DIGITS))
    if len(values) <= bins:
        return np.searchsorted(values, ratio.round(_DIGITS)).astype(float)
    edges = np.quantile(ratio[has], np.arange(1, bins) / bins)
    return np.searchsorted(edges, ratio, side="right").astype(float)


def _parts(energy: Floats, groups: Ints) -> Floats:
    """(n,) what part of its group's energy each member owns."""
    whole = np.bincount(groups, energy)[groups]
    return np.divide(energy, whole, out=np.zeros_like(energy), where=whole > 0.0)


def _same_power(held: Storage, groups: Ints) -> bool:
    """Whether each member has the same part of its group's power as of its energy."""
    part = _parts(held.energy, groups)
    powers = (held.charge, held.discharge)
    return all(np.allclose(power, part * np.bincount(groups, power)[groups], rtol=1e-9) for power in powers)


def _grouped(community: Community, held: Storage, groups: Ints, *, tight: bool) -> Community:
    """One member for each group; `tight` cuts the power to what every member can do in its part."""
    count = int(groups.max()) + 1
    first = np.array([int(np.argmax(groups == g)) for g in range(count)])
    member = (groups[None, :] == np.arange(count)[:, None]).astype(float)
    into, out, wear = (np.broadcast_to(v, groups.shape)[first] for v in (*held.efficiency, held.wear))
    powers = [_power(power, held.energy, groups, tight=tight) for power in (held.charge, held.discharge)]
    left = np.maximum(community.generation - community.load, 0.0)
    wire = None
    if community.wire is not None:
        wire = np.array([community.wire[groups == g].sum() for g in range(count)])
    return replace(
        community,
        members=tuple(f"group {g}" for g in range(count)),
        load=member @ community.load,
        generation=member @ community.generation,
        buy=community.buy if np.ndim(community.buy) == 1 else community.buy[first],
        storage=Storage(_sums(groups, held.energy), powers[0], powers[1], (into, out), wear),
        wire=wire,
        rights=_sums(groups, community.right),
        surplus=member @ left,
    )


def _sums(groups: Ints, values: Floats) -> Floats:
    """(groups,) the sum of each group."""
    return np.bincount(groups, values).astype(np.float64)


def _power(power: Floats, energy: Floats, groups: Ints, *, tight: bool) -> Floats:
    """(groups,) power of each group: the sum, or the least that a member allows for its part of the energy."""
    if not tight:
        return _sums(groups, power)
    part = _parts(energy, groups)
    allows = np.divide(power, part, out=np.full(len(power), np.inf), where=part > 0.0)
    least = np.full(int(groups.max()) + 1, np.inf)
    np.minimum.at(least, groups, allows)
    return np.where(np.isfinite(least), least, 0.0)
