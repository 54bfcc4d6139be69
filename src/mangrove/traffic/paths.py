# SPDX-License-Identifier: Apache-2.0
"""Costs of links and cheapest paths: compiled pieces that both equilibrium algorithms use.

Comes in: links as named tuples of arrays. Goes out: costs c(x) = t0 (1 + b (x / cap)^p) with their slopes, labels of cheapest paths,
loadings of all trips on them, the relative gap.
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
    """Room for a binary heap of nodes with keys."""

    nodes: Any
    keys: Any


@inlined
def cost_at(x: float, link: int, curve: Curve) -> float:
    """c(x) of one link."""
    if curve.b[link] == 0.0 or curve.p[link] == 0.0:
        return curve.t0[link] * (1.0 + curve.b[link])  # type: ignore[no-any-return]
    ratio = x / curve.cap[link]
    grown = ratio * ratio * ratio * ratio if curve.p[link] == _USUAL else ratio ** curve.p[link]
    return curve.t0[link] * (1.0 + curve.b[link] * grown)  # type: ignore[no-any-return]


@inlined
def slope_at(x: float, link: int, curve: Curve) -> float:
    """c'(x) of one link; 0 at x = 0 where a power below one has none."""
    if curve.b[link] == 0.0 or curve.p[link] == 0.0:
        return 0.0
    ratio, power = x / curve.cap[link], curve.p[link]
    steep = curve.t0[link] * curve.b[link] * power / curve.cap[link]
    if power == _USUAL:
        return steep * ratio * ratio * ratio  # type: ignore[no-any-return]
    if ratio == 0.0:
        return steep if power == 1.0 else 0.0
    return steep * ratio ** (power - 1.0)  # type: ignore[no-any-return]


@inlined
def renew(link: int, links: Links, curve: Curve) -> None:
    """Sets the cost and the slope of one link to those at its flow."""
    links.cost[link] = cost_at(links.flow[link], link, curve)
    links.slope[link] = slope_at(links.flow[link], link, curve)


@compiled
def heap_of(graph: Graph) -> Heap:
    """Room for the heap of `shortest` and `shortened`: every link enters at most once, or twice."""
    most = 2 * len(graph.tail) + 1
    return Heap(np.empty(most, np.int32), np.empty(most))


@compiled
def shortest(origin: int, cost: Any, graph: Graph, label: Any, pred: Any, heap: Heap) -> None:
    """Labels and last links of the cheapest paths from `origin`: Dijkstra with a binary heap and late deletion.

    No path leads through a node below `first_thru`, which is a zone; it may begin and end there. Nodes that cannot be reached keep
    the label infinity and the link -1.
    """
    label[:] = np.inf
    pred[:] = -1
    label[origin] = 0.0
    heap.nodes[0], heap.keys[0] = origin, 0.0
    size = 1
    while size:
        node, key = heap.nodes[0], heap.keys[0]
        size -= 1
        _sift_down(heap, size)
        if key > label[node] or (node < graph.first_thru and node != origin):
            continue
        for at in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
            link = graph.out_link[at]
            other = graph.head[link]
            reached = key + cost[link]
            if reached < label[other]:
                label[other], pred[other] = reached, link
                _sift_up(heap, size, other, reached)
                size += 1


@compiled
def shortened(origin: int, cost: Any, graph: Graph, label: Any, heap: Heap) -> None:
    """Labels of the cheapest paths from labels that are the costs of some paths (infinity where none is known).

    Links that shorten a label are found in one scan; what follows from them is settled as in `shortest`. Where nearly all labels are
    right this takes a fraction of its time.
    """
    size = 0
    for node in range(graph.nodes):
        if label[node] == np.inf or (node < graph.first_thru and node != origin):
            continue
        size = _relaxed(node, cost, graph, label, heap, size)
    while size:
        node, key = heap.nodes[0], heap.keys[0]
        size -= 1
        _sift_down(heap, size)
        if key > label[node] or (node < graph.first_thru and node != origin):
            continue
        size = _relaxed(node, cost, graph, label, heap, size)


@inlined
def _relaxed(node: int, cost: Any, graph: Graph, label: Any, heap: Heap, size: int) -> int:
    """Shortens the labels of the nodes behind one. Returns the size of the heap."""
    for at in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
        link = graph.out_link[at]
        other, reached = graph.head[link], label[node] + cost[link]
        if reached < label[other]:
            label[other] = reached
            _sift_up(heap, size, other, reached)
            size += 1
    return size


@compiled
def _sift_up(heap: Heap, place: int, node: int, key: float) -> None:
    """Enters a node at the end of a heap of `place` entries."""
    while place > 0:
        above = (place - 1) >> 1
        if heap.keys[above] <= key:
            break
        heap.nodes[place], heap.keys[place] = heap.nodes[above], heap.keys[above]
        place = above
    heap.nodes[place], heap.keys[place] = node, key


@compiled
def _sift_down(heap: Heap, size: int) -> None:
    """Puts the last entry of a heap of `size` + 1 entries in the place of the first."""
    node, key = heap.nodes[size], heap.keys[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and heap.keys[below + 1] < heap.keys[below]:
            below += 1
        if heap.keys[below] >= key:
            break
        heap.nodes[place], heap.keys[place] = heap.nodes[below], heap.keys[below]
        place = below
    heap.nodes[place], heap.keys[place] = node, key


@compiled
def load(trips: Any, cost: Any, graph: Graph) -> tuple[Any, float, float]:
    """All trips on their cheapest paths: flow (A,), the sum of trips x cheapest cost, trips that no path connects."""
    flow = np.zeros(len(graph.tail))
    label, pred, heap = np.empty(graph.nodes), np.empty(graph.nodes, np.int32), heap_of(graph)
    volume = np.empty(graph.nodes)
    least, lost = 0.0, 0.0
    for origin in range(len(trips)):
        if trips[origin].sum() - trips[origin, origin] <= 0.0:
            continue
        shortest(origin, cost, graph, label, pred, heap)
        volume[:] = 0.0
        for zone in range(len(trips)):
            if zone == origin:
                continue
            if pred[zone] >= 0:
                volume[zone] = trips[origin, zone]
                least += trips[origin, zone] * label[zone]
            else:
                lost += trips[origin, zone]
        for node in np.argsort(-label):
            link = pred[node]
            if link >= 0 and volume[node] > 0.0:
                flow[link] += volume[node]
                volume[graph.tail[link]] += volume[node]
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
