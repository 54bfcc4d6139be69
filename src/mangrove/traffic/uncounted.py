# SPDX-License-Identifier: Apache-2.0
"""Flows on streets that nobody counts: trips that fit the counts, assigned to the network.

Comes in: a network and counts on some of its edges, in motorcycle units per hour. Goes out: flow and speed of every edge, and how far
off they are where counts were held back. Trips begin and end at the fringe of the network and at points spread over it, because no
better zones are known; what the counts say of them is `trips.estimate_trips`. Then what enters a junction leaves it: one linear-Gaussian
update y = H x + e with counts and junctions, the assigned flows being the prior. It is an estimate, and far worse than any count: half
of the streets of District 1/3 counted, single others were off by 54 % of their mean, the distance by 9 %; of its field counts, which
contradict each other, single ones held back by 43 to 78 %, their sum by 21 to 37 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangrove.errors import DataQualityError
from mangrove.traffic.equilibrium import user_equilibrium
from mangrove.traffic.road_map import RoadMap, distance, roads_of
from mangrove.traffic.roads import Floats, Ints
from mangrove.traffic.sumo_net import SumoNet
from mangrove.traffic.trips import Spread, estimate_trips

LEAST_COUNTS = 8
"""Counted edges below which nothing is estimated of others: a fifth of them is held back to see how good it is."""
FOLDS = 4
MOST_ZONES, LEAST_ZONES = 100, 24
_SPREAD = Spread(0.7, 0.7, 0.7)
"""How little the prior trips are worth: standard deviations of logarithms by origin, destination and pair."""
_ROUNDS = 4
_PRIOR, _LEAST_PRIOR, _JUNCTION, _SMALL = 0.7, 0.4, 0.1, 0.05
"""Standard deviations of an assigned flow (relative, and at least of the mean count), of what a junction keeps (of the mean count; parking
and houses), and the least count that an error is a part of."""


@dataclass(frozen=True)
class Everywhere:
    """Estimates of all edges of a network.

    Attributes:
        flow: (E,) motorcycle units per hour, NaN for edges that no vehicle may use; speed: (E,) km/h at these flows.
        error: relative root mean square error on counts that were held back, weighted with their size.
        distance: motorcycle-unit-km per hour; distance_error: relative root mean square error of sums over a fold of counts held back.
    """

    flow: Floats
    speed: Floats
    error: float
    distance: float
    distance_error: float


def estimate(net: SumoNet, edges: Ints, counts: Floats, *, error: float = 0.1, seed: int = 0) -> Everywhere:
    """Flows of all edges from counts on some.

    Args:
        net: the network.
        edges: (m,) counted edges, each once.
        counts: (m,) motorcycle units per hour.
        error: relative standard deviation of counts.
        seed: of the edges that are held back.

    Raises:
        DataQualityError: `vehicles.too_few_counts`.
    """
    roads = _roads(net)
    place = {int(edge): link for link, edge in enumerate(roads.edge) if edge >= 0}
    usable = [row for row, edge in enumerate(edges.tolist()) if edge in place and counts[row] > 0]
    if len(usable) < LEAST_COUNTS:
        raise DataQualityError("vehicles.too_few_counts", count=len(usable), least=LEAST_COUNTS)
    links = np.array([place[int(edges[row])] for row in usable], dtype=np.int32)
    seen = np.asarray(counts, dtype=np.float64)[usable]
    prior = _prior(roads, links, seen)
    flow, minutes = _fitted(net, roads, prior, links, seen, error)
    fold = np.random.default_rng(seed).permutation(len(links)) % FOLDS
    square, sums = 0.0, []
    for held in range(FOLDS):
        known = fold != held
        part = _fitted(net, roads, prior, links[known], seen[known], error)[0]
        off = part[roads.edge[links[~known]]] - seen[~known]
        square += float((off**2).sum())
        sums.append(float(off.sum() / seen[~known].sum()))
    street = roads.edge >= 0
    speed = np.full(len(net), np.nan)
    speed[roads.edge[street]] = 60 * roads.length[street] / np.maximum(minutes[street], 1e-9)
    far = float(np.nansum(flow * net.length))
    return Everywhere(
        flow,
        speed,
        float(np.sqrt(square / len(links)) / seen.mean()),
        far,
        float(np.sqrt(np.mean(np.square(sums)))),
    )


def _fitted(
    net: SumoNet, roads: RoadMap, prior: Floats, links: Ints, seen: Floats, error: float
) -> tuple[Floats, Floats]:
    """(E,) flows of edges, NaN where no vehicle may drive, and (A,) minutes on links."""
    made = estimate_trips(
        roads.roads, prior, links, seen, error, spread=_SPREAD, gap=1e-3, rounds=_ROUNDS
    ).equilibrium
    flow = np.full(len(net), np.nan)
    street = roads.edge >= 0
    flow[roads.edge[street]] = made.flow[street]
    return _conserved(net, flow, _zones_of(net, roads), roads.edge[links], seen, error), roads.roads.cost(
        made.flow
    )


def _conserved(net: SumoNet, flow: Floats, zones: Ints, edges: Ints, seen: Floats, error: float) -> Floats:
    """Flows after counts and junctions: least sum of squares over the variances of prior, counts and what junctions keep.

    x = argmin |(x - x0) / s|^2 + |(x_counted - y) / (error y)|^2 + |(in - out) / j|^2
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    used = np.flatnonzero(np.isfinite(flow))
    count, at = len(used), np.full(len(net), -1)
    at[used] = np.arange(count)
    mean = float(seen.mean())
    spread = np.maximum(_PRIOR * flow[used], _LEAST_PRIOR * mean)
    into, out = (np.bincount(ends[used], minlength=len(net.xy)) for ends in (net.end, net.start))
    inner = (into > 0) & (out > 0)
    inner[zones] = False  # trips begin and end there
    rows = [(ends[used], sign) for ends, sign in ((net.end, 1.0), (net.start, -1.0))]
    kept = sum(
        sparse.csr_array(
            (np.where(inner[node], sign, 0.0), (node, np.arange(count))), shape=(len(net.xy), count)
        )
        for node, sign in rows
    )
    noise = (error * np.maximum(seen, _SMALL * mean)) ** 2
    precision = np.bincount(at[edges], 1 / noise, count)
    pull = np.bincount(at[edges], seen / noise, count)
    system = sparse.diags_array(1 / spread**2 + precision) + kept.T @ kept / (_JUNCTION * mean) ** 2
    solved = spsolve(sparse.csc_array(system), flow[used] / spread**2 + pull)
    found = np.full(len(net), np.nan)
    found[used] = np.maximum(solved, 0.0)
    return found


def _zones_of(net: SumoNet, roads: RoadMap) -> Ints:
    """Junctions that are zones."""
    number = {name: node for node, name in enumerate(net.junctions)}
    return np.array([number[name] for name in roads.zones], dtype=np.int32)


def _roads(net: SumoNet) -> RoadMap:
    """The network with zones at its fringe and spread over it."""
    used = net.lanes > 0
    into = np.bincount(net.end[used], minlength=len(net.xy))
    out = np.bincount(net.start[used], minlength=len(net.xy))
    reached = np.flatnonzero(into + out > 0).astype(np.int32)
    fringe = reached[(into[reached] == 0) | (out[reached] == 0) | (into[reached] + out[reached] <= 2)]  # noqa: PLR2004 - one street
    chosen = fringe.tolist()[:MOST_ZONES]
    if len(chosen) < LEAST_ZONES:
        chosen = _spread_out(net.lonlat, reached, chosen)
    return roads_of(net, net.lonlat[chosen], names=[net.junctions[node] for node in chosen], gates=True)


def _spread_out(places: Floats, reached: Ints, chosen: list[int]) -> list[int]:
    """Adds the junction farthest from all chosen, again and again."""
    picked = chosen or [int(reached[0])]
    gap = np.min(
        [distance(places[reached], np.broadcast_to(places[node], (len(reached), 2))) for node in picked],
        axis=0,
    )
    while len(picked) < min(LEAST_ZONES, len(reached)):
        node = int(reached[int(np.argmax(gap))])
        picked.append(node)
        gap = np.minimum(gap, distance(places[reached], np.broadcast_to(places[node], (len(reached), 2))))
    return picked


def _prior(roads: RoadMap, links: Ints, counts: Floats) -> Floats:
    """Trips that fall with distance, as many as the counts ask for in all."""
    zones = len(roads.zones)
    apart = distance(np.repeat(roads.centers, zones, axis=0), np.tile(roads.centers, (zones, 1))).reshape(
        zones, zones
    )
    trips = np.exp(-apart / max(float(apart.mean()), 1e-6))
    np.fill_diagonal(trips, 0.0)
    trips *= counts.mean() / max(float(trips.sum()), 1e-9)
    for _ in range(3):
        flow = user_equilibrium(roads.roads, trips, gap=1e-2).flow[links]
        trips = trips * (counts.sum() / max(float(flow.sum()), 1e-9))
    return trips
