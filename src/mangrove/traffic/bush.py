# SPDX-License-Identifier: Apache-2.0
"""User equilibrium by bushes (Algorithm B): the kernels, compiled.

Comes in: a road network as arrays and demand matrices of one or more groups of travelers, who share the links but not always the right to
use them. Goes out: flows by group and origin in which nobody can gain by another path, to a relative gap. Every origin of a group keeps an
acyclic set of links, its bush; flow is shifted from the costliest used path into a node to its cheapest one, from their last common node
on, by a Newton step; links that would make a path shorter join the bush, links without flow leave it (Dial 2006, "A path-based
user-equilibrium traffic assignment algorithm that obviates path storage and enumeration", Transportation Research B 40, 917-936). Between two
changes of a bush only the part of it that leads to a destination is visited.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mangrove.traffic.compiled import compiled, inlined
from mangrove.traffic.paths import Curve, Graph, Heap, Links, heap_of, renew, shortened, shortest

_TINY = 1e-12
"""Relative difference of costs below which two paths cost the same; rounding of sums over some hundred links is smaller."""
_SWEEPS = 8
"""Sweeps over all bushes in a round; the first one changes the bushes."""
_PASSES = 1
"""Equilibrations of a bush in a sweep."""


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
    node, -1 outside. `useful`, `first`, `link`: the nodes that lead to a destination, in order, and for each of them its links of the bush.
    """

    inside: Any
    own: Any
    order: Any
    place: Any
    useful: Any
    first: Any
    link: Any


class Rows(NamedTuple):
    """The bushes of all origins of all groups: fields of `Bush` by row, and how many nodes each has, useful ones among them."""

    inside: Any
    own: Any
    order: Any
    place: Any
    useful: Any
    first: Any
    link: Any
    size: Any
    count: Any


class Labels(NamedTuple):
    """By node: cost of the cheapest and the costliest path from the origin, their last links, whether it leads on, whether flow feeds it."""

    low: Any
    high: Any
    least: Any
    most: Any
    leads: Any
    fed: Any


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
        np.empty(nodes, np.bool_), np.empty(nodes, np.bool_),
    )  # fmt: skip
    rows, count = _rows(own, inside, nodes), groups * zones
    lost, active = np.zeros(groups), np.zeros(count, np.bool_)
    for group in range(groups):
        mine, costs = _of_group(group, graph, rights, curve)
        _renew_all(links, costs)
        for origin in range(zones):
            row = group * zones + origin
            active[row] = trips[group, origin].sum() - trips[group, origin, origin] > 0.0
            if active[row]:
                rows.size[row] = _begun(origin, row, trips[group, origin], rows, mine, costs, links)
                lost[group] += trips[group, origin][rows.place[row, :zones] < 0].sum()
    reached, done, heap = 1.0, 0, heap_of(graph)
    while done < rounds and reached > gap:
        done += 1
        for sweep in range(_SWEEPS):
            for group in range(groups):
                mine, costs = _of_group(group, graph, rights, curve)
                if groups > 1:
                    _renew_all(links, costs)
                for origin in range(zones):
                    if active[group * zones + origin]:
                        _sweep(
                            origin,
                            group * zones + origin,
                            trips[group, origin],
                            rows,
                            mine,
                            costs,
                            links,
                            labels,
                            sweep,
                        )
        reached = _gap(trips, graph, rights, curve, rows, active, links, labels, heap)
    return links.flow, reached, done, lost


@compiled
def _rows(own: Any, inside: Any, nodes: int) -> Rows:
    """Room for all bushes."""
    count, links = own.shape
    return Rows(
        inside, own, np.empty((count, nodes), np.int32), np.empty((count, nodes), np.int32), np.empty((count, nodes), np.int32),
        np.empty((count, nodes + 1), np.int32), np.empty((count, links), np.int32), np.zeros(count, np.int64), np.zeros(count, np.int64),
    )  # fmt: skip


@inlined
def _of(rows: Rows, row: int) -> Bush:
    """One bush."""
    return Bush(
        rows.inside[row], rows.own[row], rows.order[row], rows.place[row], rows.useful[row], rows.first[row], rows.link[row]
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
def _renew_all(links: Links, curve: Curve) -> None:
    for link in range(len(links.flow)):
        renew(link, links, curve)


@compiled
def _begun(origin: int, row: int, trips: Any, rows: Rows, graph: Graph, curve: Curve, links: Links) -> int:
    """A bush that is there is sorted and made to reach every node that can be reached, another one made. Returns its number of nodes."""
    mine = _of(rows, row)
    if not mine.inside.any():
        return _begin(origin, trips, mine, graph, curve, links)
    size = _sort(origin, mine, graph)
    return size if size == graph.nodes else _mended(origin, mine, graph, links)


@compiled
def _mended(origin: int, mine: Bush, graph: Graph, links: Links) -> int:
    """Nodes that a bush does not reach hang from it by their cheapest paths, if they have any. Returns the new size."""
    label, pred = np.empty(graph.nodes), np.empty(graph.nodes, np.int32)
    shortest(origin, links.cost, graph, label, pred, heap_of(graph))
    for link in range(len(graph.tail)):
        if mine.inside[link] and mine.place[graph.tail[link]] < 0:
            mine.inside[link] = False
    for node in range(graph.nodes):
        if mine.place[node] < 0 and pred[node] >= 0:
            mine.inside[pred[node]] = True
    return _sort(origin, mine, graph)


@compiled
def _sweep(
    origin: int,
    row: int,
    trips: Any,
    rows: Rows,
    graph: Graph,
    curve: Curve,
    links: Links,
    labels: Labels,
    sweep: int,
) -> None:
    """Equilibrates one bush, in the first sweep of a round after it was changed."""
    mine = _of(rows, row)
    if sweep == 0:
        rows.size[row] = _improve(origin, mine, graph, links, labels, rows.size[row])
        rows.count[row] = _visit(origin, trips, mine, graph, links, labels, rows.size[row])
    for _ in range(_PASSES):
        if _equilibrate(origin, mine, graph, curve, links, labels, rows.count[row]) == 0.0:
            break


@compiled
def _gap(
    trips: Any, graph: Graph, rights: Rights, curve: Curve, rows: Rows, active: Any, links: Links, labels: Labels, heap: Heap
) -> float:  # fmt: skip
    """(total - cheapest) / total over all groups: how far flows are from equilibrium; 0 without traffic."""
    total, least, zones = 0.0, 0.0, trips.shape[1]
    for group in range(len(trips)):
        mine, costs = _of_group(group, graph, rights, curve)
        if len(trips) > 1:
            _renew_all(links, costs)
        for origin in range(zones):
            row = group * zones + origin
            if not active[row]:
                continue
            total += (rows.own[row] * links.cost).sum()
            _cheapest_inside(origin, _of(rows, row), mine, links, labels.low, rows.size[row])
            shortened(origin, links.cost, mine, labels.low, heap)
            for zone in range(zones):
                if zone != origin and trips[group, origin, zone] > 0.0 and rows.place[row, zone] >= 0:
                    least += trips[group, origin, zone] * labels.low[zone]
    return (total - least) / total if total > 0.0 else 0.0


@compiled
def _cheapest_inside(origin: int, mine: Bush, graph: Graph, links: Links, low: Any, size: int) -> None:
    """Labels of the cheapest paths inside a bush; infinity outside."""
    low[:] = np.inf
    low[origin] = 0.0
    for at in range(1, size):
        node = mine.order[at]
        best = np.inf
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                best = min(best, low[graph.tail[link]] + links.cost[link])
        low[node] = best


@compiled
def _visit(origin: int, trips: Any, mine: Bush, graph: Graph, links: Links, labels: Labels, size: int) -> int:
    """Lists the nodes of a bush that lead to a destination, with their links. Returns how many there are, the origin left out."""
    _tidy(origin, mine, graph, links, labels.fed, size)
    leads = labels.leads
    leads[:] = False
    for zone in range(len(trips)):
        leads[zone] = trips[zone] > 0.0 and zone != origin
    for at in range(size - 1, 0, -1):
        node = mine.order[at]
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link]:
                if leads[node]:
                    leads[graph.tail[link]] = True
                else:
                    _clear(link, mine, links)
    count, entry = 0, 0
    for at in range(1, size):
        node = mine.order[at]
        if leads[node]:
            mine.useful[count], mine.first[count] = node, entry
            for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
                link = graph.in_link[k]
                if mine.inside[link]:
                    mine.link[entry] = link
                    entry += 1
            count += 1
    mine.first[count] = entry
    return count


@compiled
def _tidy(origin: int, mine: Bush, graph: Graph, links: Links, fed: Any, size: int) -> None:
    """Takes off what rounding has left on links that no flow feeds: it would keep them in the bush, and their cost would bar others."""
    fed[origin] = True
    for at in range(1, size):
        node = mine.order[at]
        fed[node] = False
        for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
            link = graph.in_link[k]
            if mine.inside[link] and mine.own[link] > 0.0:
                if fed[graph.tail[link]]:
                    fed[node] = True
                else:
                    _clear(link, mine, links)


@inlined
def _clear(link: int, mine: Bush, links: Links) -> None:
    """Takes the flow of one origin off a link."""
    if mine.own[link] > 0.0:
        links.flow[link] = max(links.flow[link] - mine.own[link], 0.0)
        mine.own[link] = 0.0


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
def _equilibrate(
    origin: int, mine: Bush, graph: Graph, curve: Curve, links: Links, labels: Labels, count: int
) -> float:
    """Shifts flow at every node of one bush that leads to a destination, the last node first. Returns the flow that was moved."""
    low, high, least, most = labels.low, labels.high, labels.least, labels.most
    low[origin] = high[origin] = 0.0
    for at in range(count):
        node = mine.useful[at]
        small, large = np.inf, -np.inf
        cheap, dear = -1, -1
        for k in range(mine.first[at], mine.first[at + 1]):
            link = mine.link[k]
            before = graph.tail[link]
            reached = low[before] + links.cost[link]
            if reached < small:
                small, cheap = reached, link
            if mine.own[link] > 0.0:
                reached = high[before] + links.cost[link]
                if reached > large:
                    large, dear = reached, link
        low[node], high[node], least[node], most[node] = small, large, cheap, dear
    moved = 0.0
    for at in range(count - 1, -1, -1):
        node = mine.useful[at]
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
