# SPDX-License-Identifier: Apache-2.0
"""Edits of buses: lines that are drawn or that a timetable draws, lanes of their own, electric buses.

Comes in: a `Case` and the keys of an edit; a timetable (`gtfs`) stands in them as something that gives ways of its routes on a day. Goes
out: the case with other lines. A lane is shared by all lines on it, so it is taken from other traffic once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from mangrove.errors import Problem, RequestError
from mangrove.plan.traffic.case import Case, Flags, Line, Transit
from mangrove.plan.traffic.street_edits import drawn, links_of, points_of
from mangrove.plan.traffic.trip_edits import covered, named, served, share
from mangrove.traffic.road_map import RoadMap
from mangrove.traffic.roads import Floats, Ints
from mangrove.traffic.routes import Track, Way, tracks

BUS, ELECTRIC = "bus", "electric_bus"
_MINUTES = 60.0
_LEAST = 0.05
"""km of a route off the streets that are not worth a note."""
_MOST_BUSES = 3600.0
"""An hour on a drawn line: one each second."""
_TRACKS: WeakKeyDictionary[Way, tuple[Any, bytes, Track]] = WeakKeyDictionary()
"""Where ways were found before, with the streets they were found on: draws repeat the same edits."""


class Timetable(Protocol):
    """What edits ask of a timetable."""

    def ways(self, routes: Sequence[str] = (), day: date | None = None) -> tuple[Way, ...]:
        """The ways of some routes (none: all of buses) on a day (None: the busiest)."""


def bus_line(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Buses along a line, among other traffic.

    Keys: edges or points (a drawn line) with per_hour (buses per hour), or gtfs and routes, which replace lines of the same names; class
    (of the buses), share of the trips between zones along the line that moves to it, with radius (km) that people walk to its stops.

    Routes of a timetable with a radius also bring people to jobs, at the speed of the timetable.
    """
    made = _line(case, values, scale, apart=False)
    if values.get("gtfs") is None or values.get("radius") is None:
        return made
    ways = ways_of(values)
    lines = [
        Transit(way.route, way.stops, way.speed, _MINUTES / per_hour, float(values["radius"]))
        for way, per_hour in zip(ways, _per_hour(case, ways), strict=True)
        if way.speed > 0 and per_hour > 0
    ]
    return replace(made, transit=(*made.transit, *lines))


def bus_lane(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Buses along a line on a lane of their own: other traffic loses that lane, buses no longer wait in it.

    Keys: as `bus_line`; and `lane` (no: among other traffic). A drawn line must have two lanes all along. Routes of a timetable get a lane
    where there are two, and drive among other traffic elsewhere, which is told.

    Raises:
        RequestError: `roads.no_lane_left`.
    """
    return _line(case, values, scale, apart=values.get("lane") is None or bool(values["lane"]))


def electric_buses(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """A share of the buses of some lines becomes electric. Keys: share; lines (ids, or `all`), or gtfs and routes that run already."""
    part, lines = min(share(values["share"]) * scale, 1.0), []
    case.number(ELECTRIC)
    if (values.get("lines") is None) == (values.get("gtfs") is None):
        raise RequestError("roads.lines_or_gtfs")
    wanted = values.get("lines") or list(dict.fromkeys(way.route for way in ways_of(values)))
    known = dict.fromkeys(line.id for line in case.lines)
    if wanted != "all" and not set(wanted) <= set(known):
        text = min(set(wanted) - set(known))
        raise RequestError("roads.unknown_line", text=text, options=", ".join(known) or "-")
    for line in case.lines:
        if line.vehicle != ELECTRIC and (wanted == "all" or line.id in wanted):
            lines += [_part(line, 1 - part), replace(_part(line, part), vehicle=ELECTRIC)]
        else:
            lines.append(line)
    return replace(case, lines=tuple(line for line in lines if line.per_hour > 0))


def with_routes(case: Case, ways: Sequence[Way], vehicle: str = BUS) -> Case:
    """The case with the buses of a timetable among other traffic; routes that run already stay as they are."""
    known = {line.id for line in case.lines}
    lines, notes = lines_of(case, [way for way in ways if way.route not in known], vehicle)
    return replace(case, lines=(*case.lines, *lines), notes=_more(case.notes, notes))


def lines_of(case: Case, ways: Sequence[Way], vehicle: str = BUS) -> tuple[list[Line], list[Problem]]:
    """Ways of a timetable as lines, and what lies off the streets of the map.

    Buses set out as the timetable says in each hour of the day. Where the case knows only one hour, it gets the buses of the hour of the
    clock in which most of all these ways set out.
    """
    case.number(vehicle)
    day = case.hours is not None
    lines: list[Line] = []
    lost: dict[str, float] = {}
    whole: dict[str, float] = {}
    for way, found, per_hour in zip(ways, _tracks(case.map, ways), _per_hour(case, ways), strict=True):
        lines.append(Line(way.route, found.links, per_hour, vehicle, by_hour=way.by_hour if day else None))
        lost[way.route] = lost.get(way.route, 0.0) + found.left_out
        whole[way.route] = whole.get(way.route, 0.0) + found.kilometers
    notes = [
        Problem(
            "roads.off_net",
            {"route": name, "km": f"{km:.1f}", "whole": f"{whole[name]:.1f}"},
            severity="note",
        )
        for name, km in lost.items()
        if km > _LEAST
    ]
    return [line for line in lines if line.per_hour > 0], notes


def _per_hour(case: Case, ways: Sequence[Way]) -> list[float]:
    """Buses of each way in the hour of the trips: so that those of the day are right, else those of the busiest hour of the clock."""
    if case.hours is not None:
        return [float(way.by_hour.sum() / max(case.hours.sum(), 1e-12)) for way in ways]
    busiest = int(np.argmax(np.sum([way.by_hour for way in ways], axis=0))) if ways else 0
    return [float(way.by_hour[busiest]) for way in ways]


def ways_of(values: Mapping[str, Any]) -> tuple[Way, ...]:
    """The ways of the routes that an edit names, on the day it names, else on that of the verdict, which `edits.apply` adds as `on`."""
    found: tuple[Way, ...] = values["gtfs"].ways(
        values.get("routes") or (), values.get("day") or values.get("on")
    )
    return found


def _line(case: Case, values: Mapping[str, Any], scale: float, *, apart: bool) -> Case:
    ways = sum(values.get(key) is not None for key in ("edges", "points", "gtfs"))
    if ways != 1 or (values.get("gtfs") is None) == (values.get("per_hour") is None):
        raise RequestError("roads.which_line")
    vehicle = values.get("class") or BUS
    case.number(vehicle)
    if values.get("gtfs") is None:
        return _drawn(case, values, scale, vehicle=vehicle, apart=apart)
    found = ways_of(values)
    made, notes = lines_of(case, found, vehicle)
    names = {way.route for way in found}
    case = replace(case, notes=_more(case.notes, notes))
    if apart:
        here = {line.id for line in case.lines}
        made = [line for line in case.lines if line.id in names] + [
            line for line in made if line.id not in here
        ]
        case, made, note = _apart(case, made)
        case = replace(case, notes=_more(case.notes, note))
    kept = [line for line in case.lines if line.id not in names]
    case = replace(case, lines=(*kept, *made))
    return _moved(case, values, scale, np.vstack([way.stops for way in found]))


def _drawn(case: Case, values: Mapping[str, Any], scale: float, *, vehicle: str, apart: bool) -> Case:
    road = case.map
    links = (
        links_of(road, values["edges"])
        if values.get("edges") is not None
        else drawn(road, points_of(values["points"]))
    )
    if apart:
        case = replace(case, map=_without_lane(case, links))
    per_hour = float(values["per_hour"])
    if not 0 <= per_hour <= _MOST_BUSES:
        raise RequestError("roads.bad_value", key="per_hour", value=values["per_hour"])
    line = Line(named(values, f"line {len(case.lines) + 1}"), links, per_hour, vehicle, apart)
    case = replace(case, lines=(*case.lines, line))
    stops = road.ends[np.append(road.roads.tail[links], road.roads.head[links[-1:]])]
    return _moved(case, values, scale, stops)


def _moved(case: Case, values: Mapping[str, Any], scale: float, stops: Floats) -> Case:
    """The case after trips have moved to buses with these stops."""
    if not values.get("share"):
        return case
    if values.get("radius") is None:
        raise RequestError("roads.no_radius")
    near = covered(case, stops, float(values["radius"]))
    return served(case, named(values, "buses"), near, share(values["share"]) * scale)


def _apart(case: Case, lines: Sequence[Line]) -> tuple[Case, list[Line], list[Problem]]:
    """Lines with a lane of their own where the street has two, and what part of their way has not."""
    taken, lanes = _taken(case), case.map.lanes
    room = taken | (lanes > 1)
    made: list[Line] = []
    for line in lines:
        own = room[line.links]
        made += [
            replace(line, links=line.links[part], apart=apart)
            for part, apart in ((own, True), (~own, False))
            if part.any()
        ]
    used: Ints = np.unique(
        np.concatenate([line.links for line in made if line.apart] or [np.zeros(0, np.int32)])
    )
    case = replace(case, map=_without_lane(case, used))
    length = case.map.length
    whole = sum(float(length[line.links].sum()) for line in made)
    own_km = sum(float(length[line.links].sum()) for line in made if line.apart)
    if own_km > whole - _LEAST:
        return case, made, []
    names = ", ".join(dict.fromkeys(line.id for line in made))
    data = {"routes": names, "km": f"{own_km:.1f}", "whole": f"{whole:.1f}"}
    return case, made, [Problem("roads.lane_in_part", data, severity="note")]


def _without_lane(case: Case, links: Ints) -> RoadMap:
    """The map with one lane less on links where no bus has one of its own yet."""
    road = case.map
    lanes = road.lanes.copy()
    new = np.unique(links)
    new = new[~_taken(case)[new]]
    lanes[new] -= 1
    bad = np.flatnonzero(lanes[new] < 1)
    if len(bad):
        edge = int(road.edge[new[bad[0]]])
        raise RequestError("roads.no_lane_left", edge=road.net.ids[edge] if edge >= 0 else int(new[bad[0]]))
    return road.with_lanes(lanes)


def _taken(case: Case) -> Flags:
    """(A,) whether buses have a lane of their own."""
    found = np.zeros(len(case.map.roads), bool)
    for line in case.lines:
        if line.apart:
            found[line.links] = True
    return found


def _tracks(road: RoadMap, ways: Sequence[Way]) -> list[Track]:
    """The links of ways, from memory where the streets are the same."""
    shape = (road.lanes > 0).tobytes()
    known = {way: _TRACKS[way] for way in ways if way in _TRACKS}
    new = [
        way
        for way in ways
        if way not in known or known[way][0] is not road.roads.tail or known[way][1] != shape
    ]
    for way, found in zip(new, tracks(road, new), strict=True):
        _TRACKS[way] = (road.roads.tail, shape, found)
    return [_TRACKS[way][2] for way in ways]


def _part(line: Line, part: float) -> Line:
    by_hour = None if line.by_hour is None else line.by_hour * part
    return replace(line, per_hour=line.per_hour * part, by_hour=by_hour)


def _more(notes: tuple[Problem, ...], new: Sequence[Problem]) -> tuple[Problem, ...]:
    return (*notes, *(note for note in new if note not in notes))
