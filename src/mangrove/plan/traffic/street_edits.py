# SPDX-License-Identifier: Apache-2.0
"""Edits of streets: new roads, lanes, bus lanes, tolls, signal programs.

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
from mangrove.plan.traffic.case import Case, Line, Stream, parted
from mangrove.plan.traffic.trip_edits import covered, fewer
from mangrove.rules import roads as rules
from mangrove.traffic import sumo_net
from mangrove.traffic.road_map import CONNECTOR, RoadMap, capacity_of, distance, empty_time
from mangrove.traffic.roads import Floats, Ints


def add_road(case: Case, values: Mapping[str, Any], scale: float) -> Case:  # noqa: ARG001 - every edit takes a scale
    """A road between the junctions nearest to its points, in both directions unless `one_way`.

    Keys: points (k, 2) lon, lat; lanes of each direction; speed km/h; length km of the whole (else along the points).
    """
    points = _points(values["points"])
    nodes = np.array([_nearest(case.map, point) for point in points])
    if (np.diff(nodes) == 0).any():
        raise RequestError("roads.same_junction", number=int(np.flatnonzero(np.diff(nodes) == 0)[0]))
    tail, head = nodes[:-1], nodes[1:]
    far = distance(points[:-1], points[1:])
    if values.get("length"):
        far *= float(values["length"]) / far.sum()
    if not values.get("one_way"):
        tail, head, far = np.append(tail, head), np.append(head, tail), np.append(far, far)
    count, lanes = len(tail), int(values["lanes"])
    _need(lanes > 0, "lanes", lanes)
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
    links = _links(case.map, values["edges"])
    lanes, speed = case.map.lanes.copy(), case.map.speed.copy()
    _need(int(values["lanes"]) >= 0, "lanes", values["lanes"])
    lanes[links] = int(values["lanes"])
    if values.get("speed") is not None:
        _need(float(values["speed"]) > 0, "speed", values["speed"])
        speed[links] = float(values["speed"])
    changed = replace(case, map=case.map.with_lanes(lanes, speed=speed))
    shut = np.zeros(len(lanes), bool)
    shut[links] = True
    return closed(changed, shut) if int(values["lanes"]) == 0 else changed


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
    _need(amount >= 0, "amount", amount)
    _need(worth > 0, "value_of_time", worth)
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


def bus_lane(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """A bus route, with a lane of its own unless `lane` is no: other traffic loses that lane, buses no longer wait in it.

    Keys: edges or points (a drawn line), per_hour (buses per hour), lane, class (of the buses), share of the trips between zones along the
    route that moves to it, with radius (km) that people walk.
    """
    road = case.map
    links = (
        _links(road, values["edges"])
        if values.get("edges")
        else drawn(road, _points(() if values.get("points") is None else values["points"]))
    )
    apart = values.get("lane") is None or bool(values["lane"])
    vehicle = values.get("class") or "bus"
    case.number(vehicle)
    if apart:
        lanes = road.lanes.copy()
        lanes[links] -= 1
        bad = np.flatnonzero(lanes[links] < 1)
        if len(bad):
            edge = int(road.edge[links[bad[0]]])
            raise RequestError(
                "roads.no_lane_left", edge=road.net.ids[edge] if edge >= 0 else int(links[bad[0]])
            )
        case = replace(case, map=road.with_lanes(lanes))
    line = Line(f"line {len(case.lines) + 1}", links, float(values["per_hour"]), vehicle, apart)
    case = replace(case, lines=(*case.lines, line))
    if values.get("share"):
        if values.get("radius") is None:
            raise RequestError("roads.no_radius")
        stops = road.ends[np.append(road.roads.tail[links], road.roads.head[links[-1:]])]
        case = fewer(case, covered(case, stops, float(values["radius"])), float(values["share"]) * scale)
    return case


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

    roads, nodes = road.roads, [_nearest(road, point) for point in points]
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
        return _links(case.map, values["edges"])
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


def _links(road: RoadMap, ids: Any) -> Ints:
    return road.links_of(sumo_net.edge_numbers(road.net, tuple(ids)))


def _points(written: Any) -> Floats:
    points = np.asarray(written, dtype=np.float64)
    if points.ndim != 2 or points.shape[1:] != (2,) or len(points) < 2:  # noqa: PLR2004 - at least two points of lon, lat
        raise RequestError("roads.bad_points")
    return points


def _nearest(road: RoadMap, point: Floats) -> int:
    """The junction nearest to a point."""
    zones = road.roads.zones
    used = np.unique(np.append(road.roads.tail, road.roads.head))
    used = used[used >= zones]
    far = distance(road.ends[used], np.broadcast_to(point, (len(used), 2)))
    return int(used[far.argmin()])


def _zone_at(road: RoadMap, place: Floats) -> int:
    """The zone in which a place lies, -1: in none."""
    import shapely

    if road.polygons is None:
        return int(distance(road.centers, np.broadcast_to(place, road.centers.shape)).argmin())
    inside = [at for at, p in enumerate(road.polygons) if shapely.contains_xy(p, *place)]
    return inside[0] if inside else CONNECTOR


def _need(good: bool, key: str, value: Any) -> None:  # noqa: FBT001 - a small check
    if not good:
        raise RequestError("roads.bad_value", key=key, value=value)
