# SPDX-License-Identifier: Apache-2.0
"""User equilibrium: flows at which no traveler can gain by another path.

Comes in: `Roads` and trips between zones. Goes out: an `Equilibrium`: flows, times, the relative gap that was reached. Two
algorithms solve the same problem: bushes, which are far ahead where roads are congested and where a small gap is wanted, and a link-based
one, which needs less memory and is ahead where nearly everybody takes the cheapest path anyway. `auto` chooses by the congestion of
one loading of all trips on empty roads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.traffic.roads import Floats, Roads

METHODS = ("auto", "bush", "link")
_ROUNDS = {"bush": 1_000, "link": 20_000}
_FULL = 0.8
"""A link is full when its flow on empty roads is above this part of its capacity."""
_FEW = 0.01
"""Below this share of full links, and at gaps above `_COARSE`, the link-based algorithm is chosen."""
_COARSE = 1e-4
_SAME = 1e-9


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
    bushes: npt.NDArray[np.bool_] | None = None
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
    from mangrove.traffic import bush, link_based, paths

    trips = checked_trips(roads, trips)
    if method not in METHODS:
        raise RequestError("traffic.unknown_method", text=method, options=", ".join(METHODS))
    graph = paths.Graph(
        roads.tail, roads.head, *roads.leaving, *roads.entering, roads.first_thru, roads.nodes
    )
    curve = paths.Curve(*roads.function)
    fixed = roads.standing
    if method == "auto":
        free = paths.load(trips, roads.cost(fixed), graph)[0]
        full = float((free + fixed > _FULL * curve.cap).mean()) if len(roads) else 0.0
        method = "link" if full < _FEW and gap >= _COARSE else "bush"
    most = _ROUNDS[method] if rounds is None else rounds
    if method == "link":
        flow, reached, done, lost = link_based.assign(trips, fixed, graph, curve, gap, most)
        own = bushes = None
    else:
        own, bushes = _begun(start, roads.zones, len(roads))
        flow, reached, done, lost = bush.assign(trips, fixed, graph, curve, gap, most, own, bushes)
    return Equilibrium(
        roads, flow, roads.cost(flow), float(reached), int(done), method, own, bushes, float(lost)
    )


def restarted(found: Equilibrium, trips: Floats) -> Equilibrium | None:
    """An equilibrium of other trips to begin at: the trips between two zones take their paths in the proportions of `found`.

    None when `found` has no bushes, or when there are trips between zones that had none.
    """
    from mangrove.traffic import paths, proportions

    roads = found.roads
    if found.by_origin is None or found.bushes is None:
        return None
    graph = paths.Graph(
        roads.tail, roads.head, *roads.leaving, *roads.entering, roads.first_thru, roads.nodes
    )
    own, placed = proportions.reloaded(found.by_origin, trips, graph)
    away = float(trips.sum() - np.trace(trips))
    if abs(placed + found.unserved - away) > _SAME * away and placed < away * (1 - _SAME):
        return None
    return replace(found, by_origin=own)


def _begun(start: Equilibrium | None, zones: int, links: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Flow by origin and bushes at which to begin."""
    if start is None or start.by_origin is None or start.bushes is None:
        return np.zeros((zones, links)), np.zeros((zones, links), dtype=np.bool_)
    return start.by_origin.copy(), start.bushes.copy()


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
