# SPDX-License-Identifier: Apache-2.0
"""User equilibrium: flows at which no traveler can gain by another path.

Comes in: `Roads` and trips between zones. Goes out: an `Equilibrium`: flows, times, the relative gap that was reached. Two
algorithms solve the same problem: bushes, which are far ahead where roads are congested and where a small gap is wanted, and a link-based
one, which needs less memory and is ahead where nearly everybody takes the cheapest path anyway. `auto` chooses by the congestion of
one loading of all trips on empty roads. Groups of travelers with rights and tolls of their own come to a common equilibrium, with bushes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.traffic.roads import Floats, Roads

if TYPE_CHECKING:
    from mangrove.traffic.paths import Graph

Flags = npt.NDArray[np.bool_]
METHODS = ("auto", "bush", "link")
_ROUNDS = {"bush": 1_000, "link": 20_000}
_FULL = 0.8
"""A link is full when its flow on empty roads is above this part of its capacity."""
_FEW = 0.01
"""Below this share of full links, and at gaps above `_COARSE`, the link-based algorithm is chosen."""
_COARSE = 1e-4
_SAME = 1e-9
_FAR = 0.02
"""Origins whose trips cost more than they need by this part of their cost begin anew, which is faster: one loading comes closer."""


@dataclass(frozen=True)
class Equilibrium:
    """Flows in equilibrium.

    Attributes:
        roads: the network; flow: (A,), fixed flow included; cost: (A,) generalized time at the flows.
        gap: (total - cheapest) / total that was reached; rounds: how many were done; method: `bush` or `link`.
        by_origin: (Z, A) flow by origin, with bushes only; None for `link`.
        unserved: trips between zones that no path connects.
    """

    roads: Roads
    flow: Floats
    cost: Floats
    gap: float
    rounds: int
    method: str
    by_origin: Floats | None = None
    bushes: Flags | None = None
    unserved: float = 0.0

    @property
    def total(self) -> float:
        """Total generalized time of all trips (vehicle-minutes when times are minutes)."""
        return float(((self.flow - self.roads.standing) * self.cost).sum())


def user_equilibrium(
    roads: Roads, trips: Floats, *, gap: float = 1e-4, method: str = "auto", rounds: int | None = None,
    start: Equilibrium | None = None,
) -> Equilibrium:  # fmt: skip
    """Flows at which all used paths between two zones cost the same, and no path less.

    Args:
        roads: the network.
        trips: (Z, Z) trips from zone to zone; the diagonal is not assigned.
        gap: relative gap at which to stop.
        method: `auto`, `bush` or `link`.
        rounds: most rounds; the answer says which gap was reached.
        start: an equilibrium of the same trips on the same links, found with bushes, at which to begin; costs may have changed.

    Raises:
        RequestError: `traffic.bad_trips` (shape, negative, not finite), `traffic.unknown_method`.

    Example:
        >>> two = Roads([0, 0], [1, 1], [10.0, 20.0], [10.0, 10.0], [1.0, 0.0], [1.0, 1.0], zones=2, nodes=2)
        >>> found = user_equilibrium(two, np.array([[0.0, 15.0], [0.0, 0.0]]), gap=1e-9)
        >>> found.flow.round(3).tolist(), found.cost.round(3).tolist()
        ([10.0, 5.0], [20.0, 20.0])
    """
    from mangrove.traffic import link_based, paths

    trips = checked_trips(roads, trips)
    if method not in METHODS:
        raise RequestError("traffic.unknown_method", text=method, options=", ".join(METHODS))
    if method == "bush" or (method == "auto" and gap < _COARSE):
        return _by_bushes(roads, trips, gap, rounds, start)
    graph, curve, fixed = graph_of(roads), paths.Curve(*roads.function), roads.standing
    if method == "auto":
        free = paths.load(trips, roads.cost(fixed), graph)[0]
        full = float((free + fixed > _FULL * curve.cap).mean()) if len(roads) else 0.0
        if full >= _FEW:
            return _by_bushes(roads, trips, gap, rounds, start)
    most = _ROUNDS["link"] if rounds is None else rounds
    flow, reached, done, lost = link_based.assign(trips, fixed, graph, curve, gap, most)
    cost = roads.cost(flow)
    return Equilibrium(roads, flow, cost, float(reached), int(done), "link", unserved=float(lost))


def _by_bushes(
    roads: Roads, trips: Floats, gap: float, rounds: int | None, start: Equilibrium | None
) -> Equilibrium:
    """The equilibrium of one group."""
    begun = None
    if start is not None and start.by_origin is not None and start.bushes is not None:
        begun = (start.by_origin[None], start.bushes[None])
    found = shared_equilibrium(roads, [Users(trips)], gap=gap, rounds=rounds, start=begun)
    return Equilibrium(
        roads, found.flow, roads.cost(found.flow), found.gap, found.rounds, "bush", found.by_origin[0],
        found.bushes[0], float(found.unserved[0]),
    )  # fmt: skip


@dataclass(frozen=True)
class Users:
    """Travelers with the same rights: trips (Z, Z), links (A,) closed to them, toll (A,) in units of time that they pay on top."""

    trips: Floats
    closed: Flags | None = None
    toll: Floats | None = None


@dataclass(frozen=True)
class Shared:
    """Flows of groups in a common equilibrium.

    Attributes:
        flow: (A,) of all, fixed flow included; by_origin: (G, Z, A) by group and origin; bushes: likewise; gap, rounds: see `Equilibrium`;
        unserved: (G,) trips that no path open to the group connects.
    """

    flow: Floats
    by_origin: Floats
    bushes: Flags
    gap: float
    rounds: int
    unserved: Floats


def shared_equilibrium(
    roads: Roads, users: Sequence[Users], *, gap: float = 1e-4, rounds: int | None = None,
    start: tuple[Floats, Flags] | None = None,
) -> Shared:  # fmt: skip
    """Flows of groups that share the links: nobody gains by another path that is open to them, tolls of their own counted.

    Such flows are the minimum of one convex potential, Beckmann's plus toll x flow of each group, so all groups are solved at once.

    Args:
        roads: the network, with what everybody pays.
        users: the groups.
        gap: relative gap over all groups; rounds: most rounds.
        rounds: see `gap`.
        start: flow (G, Z, A) and bushes to begin at (`continued`); origins without bushes begin anew.

    Raises:
        RequestError: `traffic.bad_trips`.

    Example:
        >>> two = Roads([0, 0], [1, 1], [10.0, 20.0], [10.0, 10.0], [1.0, 0.0], [1.0, 1.0], zones=2, nodes=2)
        >>> trips = np.array([[0.0, 5.0], [0.0, 0.0]])
        >>> banned = Users(trips, closed=np.array([True, False]))
        >>> found = shared_equilibrium(two, [Users(trips), banned], gap=1e-9)
        >>> found.by_origin[:, 0].round(3).tolist()
        [[5.0, 0.0], [0.0, 5.0]]
    """
    from mangrove.traffic import bush, paths

    count, zones, groups = len(roads), roads.zones, len(users)
    trips = np.array([checked_trips(roads, one.trips) for one in users])
    if start is None:
        own, inside = np.zeros((groups * zones, count)), np.zeros((groups * zones, count), np.bool_)
    else:
        own, inside = (
            start[0].reshape(groups * zones, count).copy(),
            start[1].reshape(groups * zones, count).copy(),
        )
    flow, reached, done, lost = bush.assign(
        trips, roads.standing, graph_of(roads), _rights(roads, users), paths.Curve(*roads.function), gap,
        _ROUNDS["bush"] if rounds is None else rounds, own, inside,
    )  # fmt: skip
    shape = (groups, zones, count)
    return Shared(flow, own.reshape(shape), inside.reshape(shape), float(reached), int(done), lost)


def continued(roads: Roads, users: Sequence[Users], by_origin: Floats, bushes: Flags) -> tuple[Floats, Flags]:
    """Flow and bushes (G, Z, A) to begin at: trips take their paths in the proportions of an earlier equilibrium, where these are open.

    An origin whose trips have no such paths (a street was closed, trips go where none went), or for which they have become far too dear,
    has no bush: it begins anew.

    Args:
        roads: the network; links that the earlier one lacks stand at its end.
        users: the groups now.
        by_origin: (G', Z, A') of the earlier equilibrium, with at most so many links; groups beyond the last take its flow.
        bushes: likewise.
    """
    from mangrove.traffic import proportions

    count, zones, old = len(roads), roads.zones, by_origin.shape[2]
    own = np.zeros((len(users), zones, count))
    inside = np.zeros(own.shape, np.bool_)
    graph = graph_of(roads)
    for group, one in enumerate(users):
        at = min(group, len(by_origin) - 1)
        known = np.zeros((zones, count))
        known[:, :old] = by_origin[at]
        flow, placed = proportions.reloaded(known, one.trips, graph)
        good = placed >= (one.trips.sum(axis=1) - np.diagonal(one.trips)) * (1 - _SAME)
        inside[group, good, :old] = bushes[at][good]
        if one.closed is not None:
            good &= ~(flow[:, one.closed] > 0).any(axis=1)
            inside[group][:, one.closed] = False
        own[group, good], inside[group, ~good] = flow[good], False
    flow = roads.standing + own.sum(axis=(0, 1))
    for group, one in enumerate(users):
        far = _excess(roads, one, flow, own[group]) > _FAR
        own[group, far], inside[group, far] = 0.0, False
    return own, inside


def _excess(roads: Roads, one: Users, flow: Floats, own: Floats) -> Floats:
    """(Z,) by how much the trips of each origin cost more than on the cheapest paths, relative to what they cost."""
    from mangrove.traffic import paths

    cost = roads.cost(flow) + (0.0 if one.toll is None else one.toll)
    spent = own @ cost
    shut = cost if one.closed is None else np.where(one.closed, np.inf, cost)
    least = paths.skim(roads.zones, shut, graph_of(roads))
    cheapest = np.where(one.trips > 0, one.trips, 0.0) * np.where(np.isfinite(least), least, 0.0)
    over: Floats = np.divide(spent - cheapest.sum(axis=1), spent, out=np.zeros_like(spent), where=spent > 0)
    return over


def graph_of(roads: Roads) -> Graph:
    """The links as compiled passes take them."""
    from mangrove.traffic import paths

    return paths.Graph(
        roads.tail,
        roads.head,
        *roads.leaving,
        *roads.entering,
        min(max(roads.first_thru, 0), roads.nodes),
        roads.nodes,
    )


def _rights(roads: Roads, users: Sequence[Users]) -> Any:
    """The rights of groups as the kernel takes them."""
    from mangrove.traffic import bush
    from mangrove.traffic.roads import compressed

    leaving, entering, curves = [], [], []
    for one in users:
        kept = None if one.closed is None or not one.closed.any() else ~one.closed
        leaving.append(roads.leaving if kept is None else compressed(roads.tail, roads.nodes, kept))
        entering.append(roads.entering if kept is None else compressed(roads.head, roads.nodes, kept))
        toll = one.toll if roads.toll is None or one.toll is None else roads.toll + one.toll
        curves.append((roads if one.toll is None else replace(roads, toll=toll)).function[:2])
    (out_ptr, out_link), (in_ptr, in_link), (t0, b) = (
        [np.array([row[k] for row in rows]) for k in (0, 1)] for rows in (leaving, entering, curves)
    )
    return bush.Rights(out_ptr, out_link, in_ptr, in_link, t0, b)


def restarted(found: Equilibrium, trips: Floats) -> Equilibrium | None:
    """An equilibrium of other trips to begin at: the trips between two zones take their paths in the proportions of `found`.

    None when `found` has no bushes. Origins with trips between zones that had none begin anew.
    """
    if found.by_origin is None or found.bushes is None:
        return None
    own, bushes = continued(found.roads, [Users(trips)], found.by_origin[None], found.bushes[None])
    return replace(found, by_origin=own[0], bushes=bushes[0])


def checked_trips(roads: Roads, trips: Floats) -> Floats:
    """(Z, Z) trips that can be; see `user_equilibrium`."""
    found = np.ascontiguousarray(trips, dtype=np.float64)
    if found.shape != (roads.zones, roads.zones):
        raise RequestError("traffic.trips_shape", shape=str(found.shape), zones=roads.zones)
    bad = ~np.isfinite(found) | (found < 0)
    if bad.any():
        origin, destination = (int(i) for i in np.argwhere(bad)[0])
        value = f"{found[origin, destination]:g}"
        raise RequestError("traffic.bad_trips", origin=origin, destination=destination, value=value)
    return found
