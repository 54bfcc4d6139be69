# SPDX-License-Identifier: Apache-2.0
"""User equilibrium by bushes (Algorithm B): the kernels, compiled.

Comes in: a road network as arrays and a demand matrix. Goes out: link flows by origin in which nobody can gain by another path, to a
relative gap. Every origin keeps an acyclic set of links, its bush; flow is shifted from the costliest used path into a node to its
cheapest one, from their last common node on, by a Newton step; links that would make a path shorter join the bush, links without
flow leave it (Dial 2006, "A path-based user-equilibrium traffic assignment algorithm that obviates path storage and
enumeration", Transportation Research B 40, 917-936).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mangrove.traffic.compiled import compiled, inlined
from mangrove.traffic.paths import Curve, Graph, Links, heap_of, relative_gap, renew, shortest

_TINY = 1e-12
"""Relative difference of costs below which two paths cost the same; rounding of sums over some hundred links is smaller."""
_SWEEPS = 3
"""Sweeps over all bushes in a round; the first one changes the bushes."""
_PASSES = 3
"""Equilibrations of a bush in a sweep."""


class Bush(NamedTuple):
    """The bush of one origin: whether a link is inside (A,), its flow of this origin (A,), nodes in topological order, the place of each."""

    inside: Any
    own: Any
    order: Any
    place: Any


class Labels(NamedTuple):
    """By node: cost of the cheapest and the costliest path from the origin, and the last links of both."""

    low: Any
    high: Any
    least: Any
    most: Any


@compiled
def assign(  # noqa: C901 - one loop over rounds, sweeps and origins
    trips: Any, fixed: Any, graph: Graph, curve: Curve, gap: float, rounds: int, own: Any, inside: Any
) -> tuple[Any, float, int, float]:
    """Equilibrium flows.

    Args:
        trips: (Z, Z); the diagonal is not assigned. Zones are the nodes 0 to Z - 1.
        fixed: (A,) flow that is there whatever trips choose.
        graph: the links.
        curve: their cost functions.
        gap: relative gap to reach.
        rounds: most rounds.
        own: (Z, A) flow by origin: nothing, or that of an equilibrium of the same trips. Changed in place.
        inside: (Z, A) bushes likewise.

    Returns:
        Flow (A,) with the fixed one, the gap reached, rounds done, trips that no path connects.
    """
    zones, count, nodes = len(trips), len(graph.tail), graph.nodes
    links = Links(fixed + own.sum(axis=0), np.empty(count), np.empty(count))
    for link in range(count):
        renew(link, links, curve)
    labels = Labels(np.empty(nodes), np.empty(nodes), np.empty(nodes, np.int32), np.empty(nodes, np.int32))
    orders, places = np.empty((zones, nodes), np.int32), np.empty((zones, nodes), np.int32)
    lost = 0.0
    sizes, active = np.zeros(zones, np.int64), np.zeros(zones, np.bool_)
    for origin in range(zones):
        active[origin] = trips[origin].sum() - trips[origin, origin] > 0.0
        if active[origin]:
            mine = Bush(inside[origin], own[origin], orders[origin], places[origin])
            if inside[origin].any():
                sizes[origin] = _sort(origin, mine, graph)
            else:
                sizes[origin] = _begin(origin, trips[origin], mine, graph, curve, links)
            lost += trips[origin][mine.place[:zones] < 0].sum()
    reached, done = 1.0, 0
    while done < rounds and reached > gap:
        done += 1
        for sweep in range(_SWEEPS):
            for at in np.flatnonzero(active):
                origin = int(at)
                mine = Bush(inside[origin], own[origin], orders[origin], places[origin])
                if sweep == 0:
                    sizes[origin] = _improve(origin, mine, graph, links, labels, sizes[origin])
                for _ in range(_PASSES):
                    if _equilibrate(mine, graph, curve, links, labels, sizes[origin]) == 0.0:
                        break
        reached = relative_gap(trips, fixed, graph, links)
    return links.flow, reached, done, lost


@compiled
def _begin(origin: int, trips: Any, mine: Bush, graph: Graph, curve: Curve, links: Links) -> int:
    """Makes the tree of cheapest paths a bush, loads the trips of its origin on it and renews costs. Returns its number of nodes."""
    label, pred = np.empty(graph.nodes), np.empty(graph.nodes, np.int32)
    shortest(origin, links.cost, graph, label, pred, heap_of(graph))
    volume = np.zeros(graph.nodes)
    for zone in range(len(trips)):
        if zone != origin and pred[zone] >= 0:
            volume[zone] = trips[zone]
    for node in np.argsort(-label):
        link = pred[node]
        if link >= 0:
            mine.inside[link] = True
            if volume[node] > 0.0:
                mine.own[link] += volume[node]
                links.flow[link] += volume[node]
                renew(link, links, curve)
                volume[graph.tail[link]] += volume[node]
    return _sort(origin, mine, graph)


@compiled
def _sort(origin: int, mine: Bush, graph: Graph) -> int:
    """Puts the nodes of a bush in topological order (Kahn); `place` is -1 outside. Returns how many there are."""
    order, place = mine.order, mine.place
    degree = np.zeros(graph.nodes, np.int32)
    place[:] = -1
    order[0], place[origin] = origin, 0
    count, at = 1, 0
    while at < count:  # the nodes that the bush reaches, and the number of its links into each
        node = order[at]
        at += 1
        for k in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
            link = graph.out_link[k]
            if mine.inside[link]:
                other = graph.head[link]
                degree[other] += 1
                if place[other] < 0:
                    place[other], order[count] = count, other
                    count += 1
    count, at = 1, 0
    while at < count:
        node = order[at]
        place[node] = at
        at += 1
        for k in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
            link = graph.out_link[k]
            if mine.inside[link]:
                other = graph.head[link]
                degree[other] -= 1
                if degree[other] == 0:
                    order[count] = other
                    count += 1
    return count


@compiled
def _improve(origin: int, mine: Bush, graph: Graph, links: Links, labels: Labels, size: int) -> int:
    """Drops links that carry nothing and are on no cheapest path, adds links that shorten a longest path. Returns the new size."""
    if _drop(mine, graph, links, labels, size):
        size = _sort(origin, mine, graph)
    high = labels.high
    high[origin] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        most = 0.0
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                most = max(most, high[graph.tail[link]] + links.cost[link])
        high[node] = most
    added = False
    for at in range(size):
        node = mine.order[at]
        if node < graph.first_thru and node != origin:
            continue
        for k in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
            link = graph.out_link[k]
            other = graph.head[link]
            # What shortens a longest path leads forward, so the bush stays without circles.
            shorter = high[node] + links.cost[link] < high[other] * (1.0 - _TINY)
            if shorter and mine.place[other] > 0 and not mine.inside[link]:
                mine.inside[link] = added = True
    return _sort(origin, mine, graph) if added else size


@compiled
def _drop(mine: Bush, graph: Graph, links: Links, labels: Labels, size: int) -> bool:
    """Drops links of a bush without flow, except the last links of cheapest paths. Returns whether any was dropped."""
    low, dropped = labels.low, False
    low[mine.order[0]] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        best, kept = np.inf, -1
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                reached = low[graph.tail[link]] + links.cost[link]
                if reached < best:
                    best, kept = reached, link
        low[node] = best
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link] and link != kept and mine.own[link] <= 0.0:
                mine.inside[link] = False
                dropped = True
    return dropped


@compiled
def _equilibrate(mine: Bush, graph: Graph, curve: Curve, links: Links, labels: Labels, size: int) -> float:
    """Shifts flow at every node of one bush, the last node first. Returns the flow that was moved."""
    low, high, least, most = labels
    low[mine.order[0]] = high[mine.order[0]] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        small, large = np.inf, -np.inf
        least[node] = most[node] = -1
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                before = graph.tail[link]
                reached = low[before] + links.cost[link]
                if reached < small:
                    small, least[node] = reached, link
                reached = high[before] + links.cost[link]
                if mine.own[link] > 0.0 and reached > large:
                    large, most[node] = reached, link
        low[node], high[node] = small, large
    moved = 0.0
    for at in range(size - 1, 0, -1):
        node = mine.order[at]
        if most[node] >= 0 and most[node] != least[node]:
            moved += _shift(node, mine, graph, curve, links, labels)
    return moved


@inlined
def _shift(node: int, mine: Bush, graph: Graph, curve: Curve, links: Links, labels: Labels) -> float:
    """One Newton step from the costliest used path into a node to the cheapest one, from their last common node on."""
    least, most, place, tail = labels.least, labels.most, mine.place, graph.tail
    first, last = least[node], most[node]
    cheap, dear = tail[first], tail[last]
    low, high = links.cost[first], links.cost[last]
    steep, room = links.slope[first] + links.slope[last], mine.own[last]
    while cheap != dear:
        if place[cheap] > place[dear]:
            link = least[cheap]
            low += links.cost[link]
            cheap = tail[link]
        else:
            link = most[dear]
            if link < 0:
                return 0.0  # an earlier shift of this pass has emptied what was used
            high += links.cost[link]
            room = min(room, mine.own[link])
            dear = tail[link]
        steep += links.slope[link]
    gain = high - low
    if gain <= _TINY * high or room <= 0.0:
        return 0.0
    step: float = room if steep * room <= gain else gain / steep
    _move(node, cheap, -step, most, mine, graph, curve, links)
    _move(node, cheap, step, least, mine, graph, curve, links)
    return step


@inlined
def _move(
    node: int, common: int, step: float, along: Any, mine: Bush, graph: Graph, curve: Curve, links: Links
) -> None:
    """Adds `step` to the links of one path from `common` to `node` and renews their costs."""
    while node != common:
        link = along[node]
        before = mine.own[link]
        after = before + step
        if after < _TINY * before:
            after = 0.0
        mine.own[link] = after
        links.flow[link] = max(links.flow[link] + (after - before), 0.0)
        renew(link, links, curve)
        node = graph.tail[link]
