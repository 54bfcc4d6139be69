# SPDX-License-Identifier: Apache-2.0
"""User equilibrium by bushes (Algorithm B): the kernels, compiled.

Comes in: a road network as arrays and demand matrices of one or more groups of travelers, who share the links but not always the right to
use them. Goes out: flows by group and origin in which nobody can gain by another path, to a relative gap. Every origin of a group keeps an
acyclic set of links, its bush; flow is shifted from the costliest used path into a node to its cheapest one, from their last common node
on, by a Newton step; links that would make a path shorter join the bush, links without flow leave it (Dial 2006, "A path-based
user-equilibrium traffic assignment algorithm that obviates path storage and enumeration", Transportation Research B 40, 917-936). Between two
changes of a bush only the nodes are visited where paths to a destination join, and those that lead there: a tenth of all on real networks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mangrove.traffic.compiled import compiled, inlined
from mangrove.traffic.paths import (
    Curve,
    Graph,
    Heap,
    Links,
    heap_of,
    product,
    renew,
    renew_all,
    shortened,
    shortest,
)

_TINY = 1e-12
"""Relative difference of costs below which two paths cost the same; rounding of sums over some hundred links is smaller."""
_SWEEPS = 8
"""Sweeps over all bushes in a round; the first one changes the bushes."""


class Rights(NamedTuple):
    """What groups may use and what it costs them: links that leave and enter nodes in compressed form, t0 and b of each group (G, ...)."""

    out_ptr: Any
    out_link: Any
    in_ptr: Any
    in_link: Any
    t0: Any
    b: Any


class Bush(NamedTuple):
    """The bush of one origin.

    `inside` (A,): whether a link is in it; `own` (A,): its flow of this origin; `order`: nodes in topological order; `place`: that of each
    node, -1 outside; `sole`: the link of the bush into a node, -1 where there are several or none. `node`, `first`, `link`: nodes where paths to a destination join or that lead to such, the last ones first, and for
    each of them its links of the bush.
    """

    inside: Any
    own: Any
    order: Any
    place: Any
    sole: Any
    node: Any
    first: Any
    link: Any
    load: Any


class Rows(NamedTuple):
    """The bushes of all origins of all groups: fields of `Bush` by row, and how many nodes each has, and how many it lists."""

    inside: Any
    own: Any
    order: Any
    place: Any
    sole: Any
    node: Any
    first: Any
    link: Any
    load: Any
    size: Any
    count: Any


class Labels(NamedTuple):
    """By node: cost of the cheapest and of the costliest path, their last links by entry in the list of the bush; marks; place in the list.

    The marks say whether a node leads to a destination, and whether flow feeds it or it is listed.
    """

    low: Any
    high: Any
    least: Any
    most: Any
    leads: Any
    fed: Any
    place: Any


@compiled
def assign(
    trips: Any, fixed: Any, graph: Graph, rights: Rights, curve: Curve, gap: float, rounds: int, own: Any, inside: Any
) -> tuple[Any, float, int, Any]:  # fmt: skip
    """Equilibrium flows of groups.

    Args:
        trips: (G, Z, Z); the diagonal is not assigned. Zones are the nodes 0 to Z - 1.
        fixed: (A,) flow that is there whatever trips choose.
        graph: the links.
        rights: of the groups; curve: cost functions, with the t0 and b of nobody.
        curve: see `rights`.
        gap: relative gap to reach.
        rounds: most rounds.
        own: (G Z, A) flow by group and origin: nothing, or that of an equilibrium of the same trips. Changed in place.
        inside: (G Z, A) bushes likewise; a row without any begins anew.

    Returns:
        Flow (A,) with the fixed one, the gap reached, rounds done, trips (G,) that no path connects.
    """
    groups, zones, links_, nodes = len(trips), trips.shape[1], len(graph.tail), graph.nodes
    links = Links(fixed + own.sum(axis=0), np.empty(links_), np.empty(links_))
    labels = Labels(
        np.empty(nodes), np.empty(nodes), np.empty(nodes, np.int32), np.empty(nodes, np.int32),
        np.empty(nodes, np.bool_), np.empty(nodes, np.bool_), np.empty(nodes, np.int32),
    )  # fmt: skip
    rows, count = _rows(own, inside, nodes), groups * zones
    heap, active = heap_of(graph), np.zeros(count, np.bool_)
    lost = _begin_all(trips, graph, rights, curve, rows, active, links, labels, heap)
    reached, done = 1.0, 0
    while done < rounds and reached > gap:
        done += 1
        _round(trips, graph, rights, curve, rows, active, links, labels)
        enough = gap if done < rounds else 1.0
        reached = _gap(trips, graph, rights, curve, rows, active, links, labels, heap, enough)
    return links.flow, reached, done, lost


@compiled
def _begin_all(
    trips: Any, graph: Graph, rights: Rights, curve: Curve, rows: Rows, active: Any, links: Links, labels: Labels, heap: Heap
) -> Any:  # fmt: skip
    """Bushes of all origins that have trips, which are marked as active. Returns the trips (G,) that no path connects."""
    zones, lost = trips.shape[1], np.zeros(len(trips))
    for group in range(len(trips)):
        mine, costs = _of_group(group, graph, rights, curve)
        renew_all(links, costs)
        for origin in range(zones):
            row, away = group * zones + origin, trips[group, origin]
            active[row] = away.sum() - away[origin] > 0.0
            if active[row]:
                rows.size[row] = _begun(origin, row, away, rows, mine, costs, links, labels, heap)
                lost[group] += away[rows.place[row, :zones] < 0].sum()
    return lost


@compiled
def _round(
    trips: Any, graph: Graph, rights: Rights, curve: Curve, rows: Rows, active: Any, links: Links, labels: Labels
) -> None:  # fmt: skip
    """Changes every bush and sweeps over all; a bush that was changed comes to its equilibrium before the next one is."""
    groups, zones = len(trips), trips.shape[1]
    for sweep in range(_SWEEPS):
        for group in range(groups):
            mine, costs = _of_group(group, graph, rights, curve)
            if groups > 1:
                renew_all(links, costs)
            start, end = group * zones, (group + 1) * zones
            if sweep > 0:
                _sweep(start, end, zones, rows, mine, costs, links, labels)
                continue
            for row in range(start, end):
                if active[row]:
                    bush, origin, size = _of(rows, row), row - start, rows.size[row]
                    _improve(origin, bush, mine, links, labels, size)
                    rows.count[row] = _visit(origin, trips[group, origin], bush, mine, links, labels, size)
                    _sweep(row, row + 1, zones, rows, mine, costs, links, labels)
    for row in range(len(active)):
        _settle(row % zones, _of(rows, row), graph, links, labels, rows.count[row])


@compiled
def _rows(own: Any, inside: Any, nodes: int) -> Rows:
    """Room for all bushes."""
    count, links = own.shape
    return Rows(
        inside, own, np.empty((count, nodes), np.int32), np.empty((count, nodes), np.int32),
        np.full((count, nodes), -1, np.int32), np.empty((count, nodes), np.int32), np.empty((count, nodes + 1), np.int32),
        np.empty((count, links), np.int32), np.empty((count, links)), np.zeros(count, np.int64), np.zeros(count, np.int64),
    )  # fmt: skip


@inlined
def _of(rows: Rows, row: int) -> Bush:
    """One bush."""
    return Bush(
        rows.inside[row], rows.own[row], rows.order[row], rows.place[row], rows.sole[row],
        rows.node[row], rows.first[row], rows.link[row], rows.load[row],
    )  # fmt: skip


@inlined
def _of_group(group: int, graph: Graph, rights: Rights, curve: Curve) -> tuple[Graph, Curve]:
    """The links that a group may use, and what they cost it."""
    mine = Graph(
        graph.tail, graph.head, rights.out_ptr[group], rights.out_link[group], rights.in_ptr[group],
        rights.in_link[group], graph.first_thru, graph.nodes,
    )  # fmt: skip
    return mine, Curve(rights.t0[group], rights.b[group], curve.cap, curve.p)


@compiled
def _begun(
    origin: int, row: int, trips: Any, rows: Rows, graph: Graph, curve: Curve, links: Links, labels: Labels, heap: Heap
) -> int:  # fmt: skip
    """A bush that is there is sorted and made to reach every node that can be reached, another one made. Returns its number of nodes."""
    mine = _of(rows, row)
    if not mine.inside.any():
        return _begin(origin, trips, mine, graph, curve, links, labels, heap)
    size = _sort(origin, mine, graph)
    if size < graph.nodes:
        size = _mended(origin, mine, graph, links, labels, heap)
    for node in mine.order[1:size]:
        count = 0
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            if mine.inside[graph.in_link[k]]:
                mine.sole[node] = graph.in_link[k] if count == 0 else -1
                count += 1
    return size


@compiled
def _mended(origin: int, mine: Bush, graph: Graph, links: Links, labels: Labels, heap: Heap) -> int:
    """Nodes that a bush does not reach hang from it by their cheapest paths, if they have any. Returns the new size."""
    pred = labels.least
    shortest(origin, links.cost, graph, labels.low, pred, heap)
    for link in range(len(graph.tail)):
        if mine.inside[link] and mine.place[graph.tail[link]] < 0:
            mine.inside[link] = False
    for node in range(graph.nodes):
        if mine.place[node] < 0 and pred[node] >= 0:
            mine.inside[pred[node]] = True
    return _sort(origin, mine, graph)


@compiled
def _gap(  # noqa: C901 - one compiled pass
    trips: Any, graph: Graph, rights: Rights, curve: Curve, rows: Rows, active: Any, links: Links, labels: Labels, heap: Heap,
    enough: float,
) -> float:  # fmt: skip
    """(total - cheapest) / total over all groups: how far flows are from equilibrium; 0 without traffic.

    What it exceeds already, if it exceeds `enough`: then not all origins are looked at.
    """
    zones = trips.shape[1]
    spent, excess = np.zeros(len(active)), 0.0
    for group in range(len(trips)):
        _, costs = _of_group(group, graph, rights, curve)
        if len(trips) > 1:
            renew_all(links, costs)
        for row in range(group * zones, (group + 1) * zones):
            if active[row]:
                spent[row] = product(rows.own[row], links.cost)
    total = spent.sum()
    for group in range(len(trips) - 1, -1, -1):
        mine, costs = _of_group(group, graph, rights, curve)
        if group < len(trips) - 1:
            renew_all(links, costs)
        for origin in range(zones):
            row = group * zones + origin
            if not active[row] or excess > enough * total:
                continue
            _cheapest_inside(origin, _of(rows, row), mine, links, labels.low, rows.size[row])
            shortened(origin, links.cost, mine, labels.low, heap)
            excess += spent[row]
            for zone in range(zones):
                if zone != origin and trips[group, origin, zone] > 0.0 and rows.place[row, zone] >= 0:
                    excess -= trips[group, origin, zone] * labels.low[zone]
    return max(excess, 0.0) / total if total > 0.0 else 0.0


@compiled
def _cheapest_inside(origin: int, mine: Bush, graph: Graph, links: Links, low: Any, size: int) -> None:
    """Labels of the cheapest paths inside a bush; infinity outside."""
    low[:] = np.inf
    low[origin] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        sole = mine.sole[node]
        if sole >= 0:
            low[node] = low[graph.tail[sole]] + links.cost[sole]
            continue
        best = np.inf
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                best = min(best, low[graph.tail[link]] + links.cost[link])
        low[node] = best


@compiled
def _visit(  # noqa: C901 - one compiled pass
    origin: int, trips: Any, mine: Bush, graph: Graph, links: Links, labels: Labels, size: int
) -> int:
    """Lists nodes of a bush where paths to a destination join, and those that lead there, with their links. Returns how many there are.

    Elsewhere no flow can be shifted. Flow of links that lead nowhere is what rounding has left, and taken off.
    """
    leads, listed = labels.leads, labels.fed
    leads[:] = False
    listed[:] = False
    for zone in range(len(trips)):
        leads[zone] = trips[zone] > 0.0 and zone != origin
    count, entry = 0, 0
    for at in range(size - 1, 0, -1):
        node, first = mine.order[at], entry
        sole = mine.sole[node]
        if sole >= 0 and not listed[node]:
            if leads[node]:
                leads[graph.tail[sole]] = True
            else:
                _clear(sole, mine, links)
            continue
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                if leads[node]:
                    leads[graph.tail[link]] = True
                    mine.link[entry] = link
                    entry += 1
                else:
                    _clear(link, mine, links)
        if entry > first:
            mine.node[count], mine.first[count] = node, first
            count += 1
            for k in range(first, entry):
                listed[graph.tail[mine.link[k]]] = True
    mine.first[count] = entry
    for k in range(entry):
        mine.load[k] = mine.own[mine.link[k]]
    return count


@inlined
def _clear(link: int, mine: Bush, links: Links) -> None:
    """Takes the flow of one origin off a link."""
    if mine.own[link] > 0.0:
        links.flow[link] = max(links.flow[link] - mine.own[link], 0.0)
        mine.own[link] = 0.0


@compiled
def _begin(
    origin: int, trips: Any, mine: Bush, graph: Graph, curve: Curve, links: Links, labels: Labels, heap: Heap
) -> int:  # fmt: skip
    """Makes the tree of cheapest paths a bush, loads the trips of its origin on it and renews costs. Returns its number of nodes."""
    pred, volume, nodes, tail = labels.least, labels.high, heap.order, graph.tail
    inside, own, order, place, sole = mine.inside, mine.own, mine.order, mine.place, mine.sole
    flow, cost, slope = links
    t0, b, cap, p = curve
    size = shortest(origin, cost, graph, labels.low, pred, heap)
    place[:] = -1
    volume[:] = 0.0
    volume[: len(trips)] = trips
    for at in range(size - 1, -1, -1):
        node = nodes[at]
        order[at], place[node] = node, at
        if at > 0:
            link = pred[node]
            inside[link], sole[node] = True, link
            if volume[node] > 0.0:
                own[link] = volume[node]
                flow[link] += volume[node]
                renew(link, flow, cost, slope, t0, b, cap, p)
                volume[tail[link]] += volume[node]
    return size


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
def _improve(origin: int, mine: Bush, graph: Graph, links: Links, labels: Labels, size: int) -> None:
    """Drops links that carry nothing and are on no cheapest path, adds links that shorten a longest path."""
    _drop(origin, mine, graph, links, labels, size)
    high, start, end = labels.high, size, 0
    for part in range(2):  # links that leave the origin, and those that leave nodes which are no zones
        first, last = (origin, origin + 1) if part == 0 else (graph.first_thru, graph.nodes)
        for k in range(graph.out_ptr[first], graph.out_ptr[last]):
            link = graph.out_link[k]
            before, node = graph.tail[link], graph.head[link]
            # What shortens a longest path leads forward, so the bush stays without circles.
            shorter = high[before] + links.cost[link] < high[node] * (1.0 - _TINY)
            if shorter and mine.place[node] > 0 and not mine.inside[link]:
                mine.inside[link], mine.sole[node] = True, -1
                if mine.place[before] > mine.place[node]:
                    start, end = min(start, mine.place[node]), max(end, mine.place[before])
    if start < end:
        _reorder(mine, graph, labels.least, start, end)


@compiled
def _drop(origin: int, mine: Bush, graph: Graph, links: Links, labels: Labels, size: int) -> None:
    """Drops links of a bush without flow, except the last links of cheapest paths, and finds the costs of its longest paths."""
    low, high = labels.low, labels.high
    high[:] = np.inf
    low[origin] = high[origin] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        sole = mine.sole[node]
        if sole >= 0:
            before = graph.tail[sole]
            low[node], high[node] = low[before] + links.cost[sole], high[before] + links.cost[sole]
            continue
        best, kept, count = np.inf, -1, 0
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                count += 1
                reached = low[graph.tail[link]] + links.cost[link]
                if reached < best:
                    best, kept = reached, link
        most = high[graph.tail[kept]] + links.cost[kept]
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link] and link != kept:
                if mine.own[link] > 0.0:
                    most = max(most, high[graph.tail[link]] + links.cost[link])
                else:
                    mine.inside[link] = False
                    count -= 1
        if count == 1:
            mine.sole[node] = kept
        low[node], high[node] = best, most


@compiled
def _reorder(mine: Bush, graph: Graph, waiting: Any, start: int, end: int) -> None:
    """Puts the nodes at the places from `start` to `end` in topological order: who does not stand behind all before it goes back."""
    order, place, unplaced = mine.order, mine.place, graph.nodes
    count = 0
    for at in range(start, end + 1):
        waiting[count] = order[at]
        place[order[at]] = unplaced
        count += 1
    at = start
    while count:
        left = 0
        for k in range(count):
            node = waiting[k]
            if _ready(node, mine, graph, unplaced):
                order[at], place[node] = node, at
                at += 1
            else:
                waiting[left] = node
                left += 1
        count = left


@inlined
def _ready(node: int, mine: Bush, graph: Graph, unplaced: int) -> bool:
    """Whether all nodes before one have their places."""
    sole = mine.sole[node]
    if sole >= 0:
        return mine.place[graph.tail[sole]] < unplaced  # type: ignore[no-any-return]
    ready = True
    for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
        link = graph.in_link[k]
        if mine.inside[link] and mine.place[graph.tail[link]] >= unplaced:
            ready = False
    return ready


@inlined
def _settle(origin: int, mine: Bush, graph: Graph, links: Links, labels: Labels, count: int) -> None:
    """Writes back the flow of the links of a list.

    What rounding has left on links that no flow feeds is taken off: it would keep them in the bush, and their cost would bar others.
    """
    labels.fed[origin] = True
    for at in range(count - 1, -1, -1):
        node = mine.node[at]
        flows = False
        for k in range(mine.first[at], mine.first[at + 1]):
            link = mine.link[k]
            mine.own[link] = mine.load[k]
            if mine.load[k] > 0.0:
                if labels.fed[graph.tail[link]]:
                    flows = True
                else:
                    _clear(link, mine, links)
        labels.fed[node] = flows


@compiled
def _sweep(
    start: int, end: int, zones: int, rows: Rows, graph: Graph, curve: Curve, links: Links, labels: Labels
) -> None:
    """Shifts flow at every listed node of the bushes from row `start` to before `end`, the last node of each first.

    All arrays are taken out of their tuples before the loops, which count references each time that they take one out.
    """
    low, high, least, most, place = labels.low, labels.high, labels.least, labels.most, labels.place
    nodes, firsts, listed, loads, counts = rows.node, rows.first, rows.link, rows.load, rows.count
    tail, flow, costs, slope = graph.tail, links.flow, links.cost, links.slope
    t0, b, cap, p = curve.t0, curve.b, curve.cap, curve.p
    for row in range(start, end):
        origin, count = row % zones, counts[row]
        low[origin] = high[origin] = 0.0
        place[origin] = count
        for at in range(count - 1, -1, -1):
            node = nodes[row, at]
            small, large = np.inf, -np.inf
            cheap, dear = -1, -1
            for k in range(firsts[row, at], firsts[row, at + 1]):
                link = listed[row, k]
                before, cost = tail[link], costs[link]
                if low[before] + cost < small:
                    small, cheap = low[before] + cost, k
                if loads[row, k] > 0.0 and high[before] + cost > large:
                    large, dear = high[before] + cost, k
            low[node], high[node], least[node], most[node], place[node] = small, large, cheap, dear, at
        for at in range(count):
            node = nodes[row, at]
            if most[node] >= 0 and most[node] != least[node]:
                _shift(node, row, listed, loads, tail, flow, costs, slope, least, most, place, t0, b, cap, p)


@inlined
def _shift(
    node: int, row: int, listed: Any, loads: Any, tail: Any, flow: Any, costs: Any, slope: Any, least: Any, most: Any, place: Any,
    t0: Any, b: Any, cap: Any, p: Any,
) -> None:  # fmt: skip
    """One Newton step from the costliest used path into a node to the cheapest one, from their last common node on."""
    first, last = listed[row, least[node]], listed[row, most[node]]
    cheap, dear = tail[first], tail[last]
    low, high = costs[first], costs[last]
    steep, room = slope[first] + slope[last], loads[row, most[node]]
    while cheap != dear:
        if place[cheap] < place[dear]:
            link = listed[row, least[cheap]]
            low += costs[link]
            cheap = tail[link]
        else:
            k = most[dear]
            if k < 0:
                room = 0.0  # an earlier shift of this pass has emptied what was used
                break
            link = listed[row, k]
            high += costs[link]
            room = min(room, loads[row, k])
            dear = tail[link]
        steep += slope[link]
    gain = high - low
    if gain > _TINY * high and room > 0.0:
        step = room if steep * room <= gain else gain / steep
        for sign in range(2):
            at = node
            while at != cheap:
                k = least[at] if sign else most[at]
                link, before = listed[row, k], loads[row, k]
                after = before + (step if sign else -step)
                if after < _TINY * before:
                    after = 0.0
                loads[row, k] = after
                flow[link] = max(flow[link] + (after - before), 0.0)
                renew(link, flow, costs, slope, t0, b, cap, p)
                at = tail[link]
