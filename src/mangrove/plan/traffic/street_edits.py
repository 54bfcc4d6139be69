# SPDX-License-Identifier: Apache-2.0
"""Edits of streets: new roads, lanes, tolls, signal programs; and drawn lines as links.

Comes in: a `Case` and the keys of an edit. Goes out: the case with other links, capacities, times or tolls. `scale` multiplies uncertain
shares in a draw; edits without any leave it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.plan.traffic.case import Case, Stream, parted
from mangrove.rules import roads as rules
from mangrove.traffic import sumo_net
from mangrove.traffic.road_map import CONNECTOR, FARTHEST, RoadMap, capacity_of, distance, empty_time
from mangrove.traffic.roads import Floats, Ints

_SHORTEST = 0.99
"""A road as long as this part of the straight line is still one: junctions lie a little beside the points."""
_MOST_LANES = 100
"""No direction of a street has more: a number above is a slip of the hand."""


def add_road(case: Case, values: Mapping[str, Any], scale: float) -> Case:  # noqa: ARG001 - every edit takes a scale
    """A road between the junctions nearest to its points, in both directions unless `one_way`.

    Keys: points (k, 2) lon, lat; lanes of each direction; speed km/h; length km of the whole (else along the points).
    """
    points = points_of(values["points"])
    nodes = np.array([_nearest(case.map, point, number) for number, point in enumerate(points)])
    if (np.diff(nodes) == 0).any():
        raise RequestError("roads.same_junction", number=int(np.flatnonzero(np.diff(nodes) == 0)[0]) + 1)
    tail, head = nodes[:-1], nodes[1:]
    far = distance(points[:-1], points[1:])
    if values.get("length"):
        length = float(values["length"])
        if length < _SHORTEST * far.sum():
            raise RequestError("roads.too_short", length=f"{length:.2f}", far=f"{far.sum():.2f}")
        far *= length / far.sum()
    if not values.get("one_way"):
        tail, head, far = np.append(tail, head), np.append(head, tail), np.append(far, far)
    count, lanes = len(tail), _whole(values["lanes"])
    _need(lanes > 0, "lanes", values["lanes"])
    limit = rules.value("fastest", "2" if lanes > 1 else "1")
    speed = np.full(count, float(values.get("speed") or limit))
    _need(bool((speed > 0).all()), "speed", float(speed[0]))
    one, none = np.ones(count), np.zeros(count)
    road, old = case.map, case.map.roads
    several = np.full(count, lanes, dtype=np.int32)
    columns = {
        "tail": tail, "head": head, "time": empty_time(far, speed, one, none), "capacity": capacity_of(several),
        "b": one * rules.value("travel_time", "b"), "power": one * rules.value("travel_time", "power"),
        "length": far, "toll": none, "fixed": none,
    }  # fmt: skip
    merged: dict[str, Any] = {
        name: None if getattr(old, name) is None else np.append(getattr(old, name), column)
        for name, column in columns.items()
    }
    inside = np.array(
        [_zone_at(road, (road.ends[a] + road.ends[b]) / 2) for a, b in zip(tail, head, strict=True)]
    )
    own = {
        "edge": none + CONNECTOR, "zone": inside, "lanes": several, "speed": speed, "green": one, "cycle": none,
    }  # fmt: skip
    kept: dict[str, Any] = {name: np.append(getattr(road, name), column) for name, column in own.items()}
    kept = {name: c.astype(getattr(road, name).dtype) for name, c in kept.items()}
    return case.with_links(replace(road, roads=replace(old, **merged), **kept))


def change_lanes(case: Case, values: Mapping[str, Any], scale: float) -> Case:  # noqa: ARG001 - every edit takes a scale
    """Other lanes on some edges; 0 closes them. Keys: edges (ids), lanes, speed km/h."""
    links = links_of(case.map, values["edges"])
    lanes, speed = case.map.lanes.copy(), case.map.speed.copy()
    lanes[links] = count = _whole(values["lanes"])
    if values.get("speed") is not None:
        _need(float(values["speed"]) > 0, "speed", values["speed"])
        speed[links] = float(values["speed"])
    changed = replace(case, map=case.map.with_lanes(lanes, speed=speed))
    shut = np.zeros(len(lanes), bool)
    shut[links] = True
    return closed(changed, shut) if count == 0 else changed


def signal_plan(case: Case, values: Mapping[str, Any], scale: float) -> Case:  # noqa: ARG001 - every edit takes a scale
    """Other programs: a SUMO additional file (or net) with `tlLogic` elements. Greens change capacities, cycles change waits.

    Offsets change nothing here: an equilibrium knows no platoons; judge them by simulation.
    """
    road = case.map
    programs = sumo_net.read_programs(Path(values["file"]), road.net)
    share, cycle = road.net.green(programs)
    green, long = road.green.copy(), road.cycle.copy()
    known = road.edge >= 0
    green[known], long[known] = share[road.edge[known]], cycle[road.edge[known]]
    return replace(case, map=road.with_lanes(road.lanes, green=green, cycle=long))


def toll(case: Case, values: Mapping[str, Any], scale: float) -> Case:  # noqa: ARG001 - every edit takes a scale
    """A toll on edges, or on every link that enters an area of zones.

    Keys: amount (money), value_of_time (money per hour of a vehicle), edges or zones, classes that pay (all when left out).
    """
    amount, worth = float(values["amount"]), float(values["value_of_time"])
    _need(0 <= amount < np.inf, "amount", amount)
    _need(0 < worth < np.inf, "value_of_time", worth)
    links = _tolled(case, values)
    minutes = np.zeros(len(case.map.roads))
    minutes[links] = 60 * amount / worth
    paying = [case.number(name) for name in values.get("classes") or case.classes]
    streams: list[Stream] = []
    for stream in case.streams:
        for part, pays in parted(case, stream, paying):
            added = minutes if part.toll is None else part.toll + minutes
            streams.append(replace(part, toll=added) if pays else part)
    return replace(case, streams=tuple(streams))


def closed(case: Case, links: Any) -> Case:
    """The case with links (flags) that nobody may use."""
    streams = tuple(
        replace(stream, closed=links if stream.closed is None else stream.closed | links)
        for stream in case.streams
    )
    return replace(case, streams=streams)


def drawn(road: RoadMap, points: Floats) -> Ints:
    """Links of the shortest way through the junctions nearest to the points of a drawn line."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    roads, nodes = road.roads, [_nearest(road, point, number) for number, point in enumerate(points)]
    street = np.flatnonzero((roads.tail >= roads.zones) & (roads.head >= roads.zones))
    order = street[np.argsort(-road.length[street], kind="stable")]  # of parallel links the shortest stays
    link = {(int(roads.tail[a]), int(roads.head[a])): int(a) for a in order}
    ends = np.array(list(link))
    weights = road.length[list(link.values())]
    matrix = csr_array((weights, (ends[:, 0], ends[:, 1])), shape=(roads.nodes, roads.nodes))
    found: list[int] = []
    for start, end in pairwise(nodes):
        before = dijkstra(matrix, indices=start, return_predecessors=True)[1]
        way: list[int] = []
        while end != start:
            if before[end] < 0:
                raise RequestError(
                    "roads.no_way", start=f"{road.ends[start][0]:.5f}, {road.ends[start][1]:.5f}"
                )
            way.append(link[int(before[end]), int(end)])
            end = int(before[end])  # noqa: PLW2901 - the way is followed back
        found += way[::-1]
    if not found:
        raise RequestError("roads.no_way", start="-")
    return np.array(found, dtype=np.int32)


def _tolled(case: Case, values: Mapping[str, Any]) -> Ints:
    """Links on which a toll is paid."""
    if (values.get("edges") is None) == (values.get("zones") is None):
        raise RequestError("roads.edges_or_zones")
    if values.get("edges"):
        return links_of(case.map, values["edges"])
    roads, chosen = case.map.roads, [case.zone(name) for name in values["zones"]]
    place = np.full(roads.nodes, -1)
    place[: roads.zones] = np.arange(roads.zones)
    street = case.map.zone >= 0
    # a junction lies in the zone of the links that leave it
    place[roads.tail[street]] = np.where(
        roads.tail[street] < roads.zones, roads.tail[street], case.map.zone[street]
    )
    inside = np.isin(place, chosen)
    entering: Ints = np.flatnonzero(
        ~inside[roads.tail] & inside[roads.head] & (roads.tail >= roads.zones)
    ).astype(np.int32)
    return entering


def links_of(road: RoadMap, ids: Any) -> Ints:
    """The links of some edges by their ids.

    Raises:
        RequestError: `roads.unknown_edge`, `roads.no_street` (an edge that no motor vehicle may use).
    """
    numbers = sumo_net.edge_numbers(road.net, tuple(ids))
    shut = np.flatnonzero(~np.isin(numbers, road.edge))
    if len(shut):
        raise RequestError("roads.no_street", edge=road.net.ids[numbers[shut[0]]])
    return road.links_of(numbers)


def points_of(written: Any) -> Floats:
    """(k, 2) lon, lat of at least two points."""
    try:
        points = np.asarray(written, dtype=np.float64)
    except ValueError:  # rows of several lengths
        raise RequestError("roads.bad_points") from None
    shaped = points.ndim == 2 and points.shape[1:] == (2,) and len(points) > 1  # noqa: PLR2004 - at least two points of lon, lat
    if not shaped or not np.isfinite(points).all():
        raise RequestError("roads.bad_points")
    return points


def _nearest(road: RoadMap, point: Floats, number: int) -> int:
    """The junction nearest to a point of a line, which counts its points from 0."""
    zones = road.roads.zones
    used = np.unique(np.append(road.roads.tail, road.roads.head))
    used = used[used >= zones]
    far = distance(road.ends[used], np.broadcast_to(point, (len(used), 2)))
    if far.min() > FARTHEST:
        raise RequestError("roads.point_far", number=number + 1, km=f"{far.min():.1f}")
    return int(used[far.argmin()])


def _zone_at(road: RoadMap, place: Floats) -> int:
    """The zone in which a place lies, -1: in none."""
    import shapely

    if road.polygons is None:
        return int(distance(road.centers, np.broadcast_to(place, road.centers.shape)).argmin())
    inside = [at for at, p in enumerate(road.polygons) if shapely.contains_xy(p, *place)]
    return inside[0] if inside else CONNECTOR


def _whole(written: Any) -> int:
    """A number of lanes."""
    value = float(written)
    _need(0 <= value <= _MOST_LANES and value.is_integer(), "lanes", written)
    return int(value)


def _need(good: bool, key: str, value: Any) -> None:  # noqa: FBT001 - a small check
    if not good:
        raise RequestError("roads.bad_value", key=key, value=value)
