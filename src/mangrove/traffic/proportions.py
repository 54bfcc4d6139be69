# SPDX-License-Identifier: Apache-2.0
"""Which trips use which links: compiled passes over the bushes of an equilibrium.

Comes in: flow by origin in equilibrium, and links or lengths that are asked about. Goes out: for the trips from one origin to every zone the
share that uses each asked link, and how far they go. A trip into a node came over a link in the proportion of the link's flow of that
origin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mangrove.traffic.compiled import compiled
from mangrove.traffic.paths import Graph


@compiled
def use(origin: int, own: Any, graph: Graph, column: Any, weight: Any, asked: int, zones: int) -> Any:
    """(zones, asked) sum of the weights of the links that a trip uses, by column.

    Args:
        origin: where the trips begin.
        own: (A,) flow of that origin in equilibrium.
        graph: the links.
        column: (A,) column that a link adds to, -1 for none.
        weight: (A, 2) what it adds there, and what it adds to the last column, which all links share.
        asked: number of columns.
        zones: number of zones.
    """
    inflow = np.zeros(graph.nodes)
    degree = np.zeros(graph.nodes, np.int32)
    for link in range(len(own)):
        if own[link] > 0.0:
            inflow[graph.head[link]] += own[link]
            degree[graph.head[link]] += 1
    share = np.zeros((graph.nodes, asked))
    waiting = np.empty(graph.nodes, np.int32)
    waiting[0], count, at = origin, 1, 0
    while at < count:
        node = waiting[at]
        at += 1
        for k in range(graph.out_ptr[node], graph.out_ptr[node + 1]):
            link = graph.out_link[k]
            if own[link] <= 0.0:
                continue
            other = graph.head[link]
            part = own[link] / inflow[other]
            share[other] += part * share[node]
            if column[link] >= 0:
                share[other, column[link]] += part * weight[link, 0]
            share[other, asked - 1] += part * weight[link, 1]
            degree[other] -= 1
            if degree[other] == 0:
                waiting[count] = other
                count += 1
    return share[:zones]


@compiled
def reloaded(own: Any, trips: Any, graph: Graph) -> tuple[Any, Any]:  # noqa: C901 - one compiled pass
    """(Z, A) flow by origin of other trips on the paths of an equilibrium, and (Z,) how many trips had such a path.

    Args:
        own: (Z, A) flow by origin in equilibrium.
        trips: (Z, Z) the other trips; those between zones that had none in the equilibrium find no path.
        graph: the links.
    """
    flow, placed = np.zeros(own.shape), np.zeros(len(trips))
    waiting, degree = np.empty(graph.nodes, np.int32), np.zeros(graph.nodes, np.int32)
    for origin in range(len(trips)):
        if trips[origin].sum() - trips[origin, origin] <= 0.0:
            continue
        volume, inflow = np.zeros(graph.nodes), np.zeros(graph.nodes)
        degree[:] = 0
        for link in range(own.shape[1]):
            if own[origin, link] > 0.0:
                inflow[graph.head[link]] += own[origin, link]
                degree[graph.tail[link]] += 1
        for zone in range(len(trips)):
            if zone != origin and inflow[zone] > 0.0:
                volume[zone] = trips[origin, zone]
                placed[origin] += trips[origin, zone]
        count, at = 0, 0
        for node in range(graph.nodes):  # what only receives comes first: each node after all that it feeds
            if inflow[node] > 0.0 and degree[node] == 0:
                waiting[count] = node
                count += 1
        while at < count:
            node = waiting[at]
            at += 1
            for k in range(graph.in_ptr[node], graph.in_ptr[node + 1]):
                link = graph.in_link[k]
                if own[origin, link] > 0.0:
                    moved = volume[node] * own[origin, link] / inflow[node]
                    before = graph.tail[link]
                    flow[origin, link] += moved
                    volume[before] += moved
                    degree[before] -= 1
                    if degree[before] == 0 and before != origin:
                        waiting[count] = before
                        count += 1
    return flow, placed


@compiled
def parted(own: Any, part: Any, graph: Graph) -> Any:
    """(A,) flow of a part of the trips, which take the same paths as all trips between the same zones; see `reloaded`."""
    return reloaded(own, part, graph)[0].sum(axis=0)
