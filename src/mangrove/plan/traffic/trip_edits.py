# SPDX-License-Identifier: Apache-2.0
"""Edits of who drives where with what: transit lines, low-emission zones, electric fleets.

Comes in: a `Case` and the keys of an edit. Goes out: the case with other streams. Shares that move are stated by whoever plans, with a
source; `scale` multiplies them in a draw, and none grows beyond all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.plan.traffic.case import Case, Flags, Served, Stream, Transit, parted
from mangrove.traffic.road_map import distance
from mangrove.traffic.roads import Floats

_SPEED = 35.0
_HEADWAY = 6.0
_GRID = 12
"""Points by side with which the part of a zone near a line is measured."""


def transit_line(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Trips between zones near the stations move from the road to a line.

    T' = T (1 - share x near(origin) x near(destination)), where near is the part of a zone within the radius of a station.

    Keys: stations (k, 2) lon, lat in order; share of such trips; radius km; speed km/h with stops and headway min, which only access asks.
    """
    stations = np.asarray(values["stations"], dtype=np.float64).reshape(-1, 2)
    radius = float(values["radius"])
    if len(stations) < 2 or not np.isfinite(stations).all() or not 0 < radius < np.inf:  # noqa: PLR2004 - a line has two ends
        raise RequestError("roads.bad_points")
    line = Transit(
        named(values, f"transit {len(case.transit) + 1}"), stations, float(values.get("speed") or _SPEED),
        float(values.get("headway") or _HEADWAY), radius,
    )  # fmt: skip
    case = replace(case, transit=(*case.transit, line))
    return served(case, line.id, covered(case, stations, radius), share(values["share"]) * scale)


def low_emission_zone(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """Classes that may not enter some zones: trips through them go around, of those that end there parts switch or leave.

    Keys: zones, classes; of the trips that begin or end inside, `switch` take a vehicle of the class `into`, `leave` no longer drive, and
    the rest comes as before (exempt, or not caught).
    """
    zones = [case.zone(name) for name in values["zones"]]
    banned = [case.number(name) for name in values["classes"]]
    switch = min(share(values.get("switch") or 0.0) * scale, 1.0)
    leave = min(share(values.get("leave") or 0.0) * scale, 1.0 - switch)
    if switch and not values.get("into"):
        raise RequestError("roads.no_into")
    if switch and case.number(values["into"]) in banned:
        raise RequestError("roads.bad_value", key="into", value=values["into"])
    ends = np.zeros((len(case.map.zones),) * 2, bool)
    ends[zones], ends[:, zones] = True, True
    roads = case.map.roads
    street = (roads.tail >= roads.zones) & (roads.head >= roads.zones)
    area = np.isin(case.map.zone, zones) & street
    streams: list[Stream] = []
    for stream in case.streams:
        for part, inside in parted(case, stream, banned):
            streams += (
                _banned(case, part, ends, area, (switch, leave, values.get("into"))) if inside else [part]
            )
    return replace(case, streams=tuple(streams))


def electrify(case: Case, values: Mapping[str, Any], scale: float) -> Case:
    """A share of the vehicles of a class becomes electric. Keys: class, into, share."""
    old, new = case.number(values["class"]), case.number(values["into"])
    if old == new:
        raise RequestError("roads.bad_value", key="into", value=values["into"])
    part = min(share(values["share"]) * scale, 1.0)
    streams = []
    for stream in case.streams:
        shares = stream.shares.copy()
        shares[new] += part * shares[old]
        shares[old] *= 1 - part
        ratio = float(shares @ case.units) / float(stream.shares @ case.units)
        streams.append(replace(stream, shares=shares, trips=stream.trips * ratio))
    return replace(case, streams=tuple(streams))


def served(case: Case, name: str, near: Floats, part: float) -> Case:
    """The case after trips have moved to a line, which is remembered by the id of its edit; see `fewer`."""
    part = min(max(part, 0.0), 1.0)
    return replace(fewer(case, near, part), served=(*case.served, Served(name, near, part)))


def fewer(case: Case, near: Floats, part: float) -> Case:
    """The case after a part of the trips between zones near a line has left the road; near: (Z,) part of each zone that is."""
    kept = 1 - min(max(part, 0.0), 1.0) * np.outer(near, near)
    streams = tuple(replace(stream, trips=stream.trips * kept) for stream in case.streams)
    return replace(case, streams=streams)


def covered(case: Case, stops: Floats, radius: float) -> Floats:
    """(Z,) part of each zone within the radius (km) of a stop: of its area, or all or nothing for a zone that is a point."""
    import shapely

    found = np.zeros(len(case.map.zones))
    for at, center in enumerate(case.map.centers):
        places = center[None]
        if case.map.polygons is not None:
            west, south, east, north = case.map.polygons[at].bounds
            x, y = np.meshgrid(_middles(west, east), _middles(south, north))
            inside = shapely.contains_xy(case.map.polygons[at], x.ravel(), y.ravel())
            places = np.column_stack([x.ravel(), y.ravel()])[inside] if inside.any() else places
        far = [distance(places, np.broadcast_to(stop, places.shape)) for stop in stops]
        found[at] = (np.min(far, axis=0) <= radius).mean()
    return found


def named(values: Mapping[str, Any], otherwise: str) -> str:
    """The id of the edit, which `edits.apply` adds to its keys."""
    return str(values.get("id") or otherwise)


def share(written: Any) -> float:
    """A share from 0 to 1."""
    value = float(written)
    if not 0 <= value <= 1:
        raise RequestError("roads.bad_value", key="share", value=written)
    return value


def _middles(low: float, high: float) -> Floats:
    middles: Floats = low + (high - low) * (np.arange(_GRID) + 0.5) / _GRID
    return middles


def _banned(
    case: Case, stream: Stream, ends: Flags, area: Flags, moved: tuple[float, float, str | None]
) -> list[Stream]:
    """A stream of banned vehicles as those that go around, those that come anyway and those that switch."""
    switch, leave, into = moved
    shut = area if stream.closed is None else stream.closed | area
    made = [
        replace(stream, trips=np.where(ends, 0.0, stream.trips), closed=shut),
        replace(stream, trips=np.where(ends, stream.trips * (1 - switch - leave), 0.0)),
    ]
    if switch and into:
        shares = np.zeros(len(case.classes))
        shares[case.number(into)] = 1.0
        ratio = float(shares @ case.units) / float(stream.shares @ case.units)
        made.append(replace(stream, trips=np.where(ends, stream.trips * switch * ratio, 0.0), shares=shares))
    return [part for part in made if part.trips.any()]
