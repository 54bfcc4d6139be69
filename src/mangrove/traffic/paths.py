# SPDX-License-Identifier: Apache-2.0
"""Costs of links and cheapest paths: compiled pieces that both equilibrium algorithms use.

Comes in: links as named tuples of arrays. Goes out: costs c(x) = t0 (1 + b (x / cap)^p) with their slopes, labels of cheapest paths,
loadings of all trips on them, the relative gap. Loops work on plain arrays that are taken out of their tuples before: a compiled loop
counts references each time that it takes one out, which costs more than what it does there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mangrove.traffic.compiled import compiled, inlined

_USUAL = 4.0
"""The usual power of the time function; it needs no call of pow."""


class Graph(NamedTuple):
    """Links: where they begin and end (A,), those that leave and enter each node in compressed form, which nodes are crossings."""

    tail: Any
    head: Any
    out_ptr: Any
    out_link: Any
    in_ptr: Any
    in_link: Any
    first_thru: int
    nodes: int


class Curve(NamedTuple):
    """(A,) parameters of the cost functions."""

    t0: Any
    b: Any
    cap: Any
    p: Any


class Links(NamedTuple):
    """(A,) flow, cost at the flow and slope of the cost."""

    flow: Any
    cost: Any
    slope: Any


class Heap(NamedTuple):
    """Room for a binary heap of nodes with keys, and for the order in which nodes are settled."""

    nodes: Any
    keys: Any
    order: Any


@inlined
def cost_at(x: float, t0: float, b: float, cap: float, p: float) -> float:
    """c(x) of one link."""
    if b == 0.0 or p == 0.0:
        return t0 * (1.0 + b)
    ratio = x / cap
    grown = ratio * ratio * ratio * ratio if p == _USUAL else ratio**p
    return t0 * (1.0 + b * grown)


@inlined
def slope_at(x: float, t0: float, b: float, cap: float, p: float) -> float:
    """c'(x) of one link; 0 at x = 0 where a power below one has none."""
    if b == 0.0 or p == 0.0:
        return 0.0
    ratio, steep = x / cap, t0 * b * p / cap
    if p == _USUAL:
        return steep * ratio * ratio * ratio
    if ratio == 0.0:
        return steep if p == 1.0 else 0.0
    grown: float = ratio ** (p - 1.0)
    return steep * grown


@inlined
def renew(link: int, flow: Any, cost: Any, slope: Any, t0: Any, b: Any, cap: Any, p: Any) -> None:
    """Sets the cost and the slope of one link to those at its flow."""
    cost[link] = cost_at(flow[link], t0[link], b[link], cap[link], p[link])
    slope[link] = slope_at(flow[link], t0[link], b[link], cap[link], p[link])


@compiled
def renew_all(links: Links, curve: Curve) -> None:
    """Sets the costs and slopes of all links to those at their flows."""
    flow, cost, slope = links
    t0, b, cap, p = curve
    for link in range(len(flow)):
        renew(link, flow, cost, slope, t0, b, cap, p)


@inlined
def product(one: Any, other: Any) -> float:
    """Sum of products, in four parts that do not wait for each other."""
    a, b, c, d, whole = 0.0, 0.0, 0.0, 0.0, len(one) & ~3
    for at in range(0, whole, 4):
        a += one[at] * other[at]
        b += one[at + 1] * other[at + 1]
        c += one[at + 2] * other[at + 2]
        d += one[at + 3] * other[at + 3]
    for at in range(whole, len(one)):
        a += one[at] * other[at]
    return a + b + c + d


@compiled
def heap_of(graph: Graph) -> Heap:
    """Room for the heap of `shortest` and `shortened`: every link enters at most once, or twice."""
    most = 2 * len(graph.tail) + 1
    return Heap(np.empty(most, np.int32), np.empty(most), np.empty(graph.nodes, np.int32))


@compiled
def shortest(origin: int, cost: Any, graph: Graph, label: Any, pred: Any, heap: Heap) -> int:
    """Labels and last links of the cheapest paths from `origin`: Dijkstra with a binary heap and late deletion.

    No path leads through a node below `first_thru`, which is a zone; it may begin and end there. Nodes that cannot be reached keep
    the label infinity and the link -1. Returns how many can; `heap.order` lists them, each behind the one before it on its path.
    """
    out_ptr, out_link, head, first_thru = graph.out_ptr, graph.out_link, graph.head, graph.first_thru
    nodes, keys, order = heap
    label[:] = np.inf
    pred[:] = -1
    label[origin] = 0.0
    nodes[0], keys[0] = origin, 0.0
    size, count = 1, 0
    while size:
        node, key = nodes[0], keys[0]
        size -= 1
        _sift_down(nodes, keys, size)
        if key > label[node]:
            continue
        order[count] = node
        count += 1
        for at in range(out_ptr[node], out_ptr[node + 1]):
            link = out_link[at]
            other, reached = head[link], key + cost[link]
            if reached < label[other]:
                label[other], pred[other] = reached, link
                if other >= first_thru:
                    _sift_up(nodes, keys, size, other, reached)
                    size += 1
    for zone in range(first_thru):
        if pred[zone] >= 0:
            order[count] = zone
            count += 1
    return count


@compiled
def shortened(origin: int, cost: Any, graph: Graph, label: Any, heap: Heap) -> None:
    """Labels of the cheapest paths from labels that are the costs of some paths (infinity where none is known).

    Links that shorten a label are found in one scan; what follows from them is settled as in `shortest`. Where nearly all labels are
    right this takes a fraction of its time.
    """
    out_ptr, out_link, tail, head, first_thru = (
        graph.out_ptr,
        graph.out_link,
        graph.tail,
        graph.head,
        graph.first_thru,
    )
    nodes, keys, _ = heap
    size = 0
    for part in range(2):  # links that leave the origin, and those that leave nodes which are no zones
        first, last = (origin, origin + 1) if part == 0 else (first_thru, graph.nodes)
        start, end = out_ptr[first], out_ptr[last]
        size = _relaxed(start, end, out_link, tail, head, cost, label, first_thru, nodes, keys, size)
    while size:
        node, key = nodes[0], keys[0]
        size -= 1
        _sift_down(nodes, keys, size)
        if key <= label[node]:
            start, end = out_ptr[node], out_ptr[node + 1]
            size = _relaxed(start, end, out_link, tail, head, cost, label, first_thru, nodes, keys, size)


@inlined
def _relaxed(
    start: int, end: int, listed: Any, tail: Any, head: Any, cost: Any, label: Any, first_thru: int, nodes: Any, keys: Any, size: int
) -> int:  # fmt: skip
    """Shortens the labels behind links at the places from `start` to before `end` of a list. Returns the size of the heap."""
    for at in range(start, end):
        link = listed[at]
        other, reached = head[link], label[tail[link]] + cost[link]
        if reached < label[other]:
            label[other] = reached
            if other >= first_thru:
                _sift_up(nodes, keys, size, other, reached)
                size += 1
    return size


@inlined
def _sift_up(nodes: Any, keys: Any, place: int, node: int, key: float) -> None:
    """Enters a node at the end of a heap of `place` entries."""
    while place > 0:
        above = (place - 1) >> 1
        if keys[above] <= key:
            break
        nodes[place], keys[place] = nodes[above], keys[above]
        place = above
    nodes[place], keys[place] = node, key


@inlined
def _sift_down(nodes: Any, keys: Any, size: int) -> None:
    """Puts the last entry of a heap of `size` + 1 entries in the place of the first."""
    node, key = nodes[size], keys[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and keys[below + 1] < keys[below]:
            below += 1
        if keys[below] >= key:
            break
        nodes[place], keys[place] = nodes[below], keys[below]
        place = below
    nodes[place], keys[place] = node, key


@compiled
def load(trips: Any, cost: Any, graph: Graph) -> tuple[Any, float, float]:
    """All trips on their cheapest paths: flow (A,), the sum of trips x cheapest cost, trips that no path connects."""
    tail, flow = graph.tail, np.zeros(len(graph.tail))
    label, pred, heap = np.empty(graph.nodes), np.empty(graph.nodes, np.int32), heap_of(graph)
    volume, order = np.empty(graph.nodes), heap.order
    least, lost = 0.0, 0.0
    for origin in range(len(trips)):
        if trips[origin].sum() - trips[origin, origin] <= 0.0:
            continue
        count = shortest(origin, cost, graph, label, pred, heap)
        volume[:] = 0.0
        for zone in range(len(trips)):
            if zone == origin:
                continue
            if pred[zone] >= 0:
                volume[zone] = trips[origin, zone]
                least += trips[origin, zone] * label[zone]
            else:
                lost += trips[origin, zone]
        for at in range(count - 1, 0, -1):
            node = order[at]
            if volume[node] > 0.0:
                link = pred[node]
                flow[link] += volume[node]
                volume[tail[link]] += volume[node]
    return flow, least, lost


@compiled
def skim(zones: int, cost: Any, graph: Graph) -> Any:
    """(zones, zones) cost of the cheapest path between every two zones; infinite where none is, 0 within a zone."""
    found = np.empty((zones, zones))
    label, pred, heap = np.empty(graph.nodes), np.empty(graph.nodes, np.int32), heap_of(graph)
    for origin in range(zones):
        shortest(origin, cost, graph, label, pred, heap)
        found[origin] = label[:zones]
    return found
