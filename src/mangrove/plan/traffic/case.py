# SPDX-License-Identifier: Apache-2.0
"""What a plan for streets is judged on: roads, who drives where with what, people and jobs, factors.

Comes in: a `RoadMap`, a `Demand`, population and jobs by zone. Goes out: a frozen `Case`; edits make another one of it. Trips are held in
streams: those of one stream have the same mix of vehicles and may use the same links, so that a zone or a toll for some
classes splits a stream in two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError
from mangrove.rules import roads as rules
from mangrove.traffic.demand import Demand
from mangrove.traffic.emissions import Factors, factors
from mangrove.traffic.road_map import RoadMap
from mangrove.traffic.roads import Floats, Ints
from mangrove.traffic.trips import Spread

POLLUTANTS = ("CO2", "CO", "NOx", "HC", "PM")
ELECTRICITY = "electricity"
HOURS = 24
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stream:
    """Trips with one mix of vehicles.

    Attributes:
        trips: (Z, Z) motorcycle units in the hour; shares: (C,) of the vehicles; closed: (A,) links it must not use; toll: (A,)
            minutes that it feels on top.
    """

    trips: Floats
    shares: Floats
    closed: Flags | None = None
    toll: Floats | None = None


@dataclass(frozen=True)
class Line:
    """Buses of a route along one of its ways; several lines may have the id of one route.

    Attributes:
        id: of the edit, or the name of the route in a timetable; links: (k,) that they drive.
        per_hour: in the hour of the trips; vehicle: their class; apart: on a lane of their own.
        by_hour: (24,) by hour of the day, when a timetable says so; None: they are as many as the traffic of the hour wants.
    """

    id: str
    links: Ints
    per_hour: float
    vehicle: str
    apart: bool = False
    by_hour: Floats | None = None


@dataclass(frozen=True)
class Transit:
    """A line that trips move to: stations (S, 2) lon, lat in order, km/h on the way, minutes between trains, km that people walk."""

    id: str
    stations: Floats
    speed: float
    headway: float
    radius: float


@dataclass(frozen=True)
class Served:
    """Trips that moved to a line: id of the edit, (Z,) part of each zone that is near it, share of the trips between such places."""

    id: str
    near: Floats
    share: float


@dataclass(frozen=True)
class Case:
    """Everything that a verdict is computed from.

    Attributes:
        map: the roads; streams: the trips; classes: (C,) vehicle classes; factors: of these classes, electricity last.
        population, jobs: (Z,).
        hours: (24,) traffic of each hour of the day, relative to the hour of the trips; None: only that hour is judged.
        lines: buses; transit: other lines; served: trips that moved to lines, by edit.
        elasticity: of trips between two zones with respect to their travel time; 0: trips stay.
        spread: how far trips may be off, for the draws.
        notes: what a reader of the verdict should know.
    """

    map: RoadMap
    streams: tuple[Stream, ...]
    classes: tuple[str, ...]
    factors: Factors
    population: Floats
    jobs: Floats
    hours: Floats | None = None
    lines: tuple[Line, ...] = ()
    transit: tuple[Transit, ...] = ()
    served: tuple[Served, ...] = ()
    elasticity: float = 0.0
    spread: Spread = field(default_factory=lambda: Spread(0.1, 0.1, 0.1))
    notes: tuple[Problem, ...] = ()

    @property
    def units(self) -> Floats:
        """(C,) motorcycle units of a vehicle of each class."""
        return np.array([rules.motorcycle_units(name) for name in self.classes])

    @property
    def trips(self) -> Floats:
        """(Z, Z) motorcycle units per hour of all streams."""
        whole: Floats = np.sum([stream.trips for stream in self.streams], axis=0)
        return whole

    def number(self, vehicle: str) -> int:
        """The number of a class.

        Raises:
            RequestError: `roads.unknown_class`.
        """
        if vehicle not in self.classes:
            raise RequestError("roads.unknown_class", text=vehicle, options=", ".join(self.classes))
        return self.classes.index(vehicle)

    def zone(self, name: str) -> int:
        """The number of a zone.

        Raises:
            RequestError: `roads.unknown_zone`.
        """
        from mangrove.errors import did_you_mean

        if name not in self.map.zones:
            raise RequestError("roads.unknown_zone", zone=name, hint=did_you_mean(name, self.map.zones))
        return self.map.zones.index(name)

    def with_links(self, changed: RoadMap) -> Case:
        """The case on roads with further links at the end; what streams may use is open on these."""
        more = len(changed.roads) - len(self.map.roads)
        streams = tuple(
            replace(
                stream,
                closed=None if stream.closed is None else np.append(stream.closed, np.zeros(more, bool)),
                toll=None if stream.toll is None else np.append(stream.toll, np.zeros(more)),
            )
            for stream in self.streams
        )
        return replace(self, map=changed, streams=streams)


def case_of(
    roads: RoadMap, demand: Demand, population: Floats, jobs: Floats, *, pollutants: Sequence[str] = POLLUTANTS,
    technologies: Mapping[str, str] | None = None, source: str = "", more: Sequence[str] = (), **others: Any,
) -> Case:  # fmt: skip
    """A case from roads and trips.

    Args:
        roads: the roads.
        demand: trips and the mix of vehicles.
        population: (Z,) persons.
        jobs: (Z,).
        pollutants: that are computed; electricity always is.
        technologies: emission standards by class.
        source: of factors; see `traffic.emissions.factors`.
        more: classes that edits bring, electric ones for example.
        others: further fields of `Case`.

    Raises:
        RequestError: `traffic.trips_shape`, `roads.bad_people`.
    """
    count = len(roads.zones)
    people, work = (np.asarray(column, dtype=np.float64) for column in (population, jobs))
    if people.shape != (count,) or work.shape != (count,) or (people < 0).any() or (work < 0).any():
        raise RequestError("roads.bad_people", zones=count)
    if demand.trips.shape != (count, count):
        raise RequestError("traffic.trips_shape", shape=str(demand.trips.shape), zones=count)
    hours = others.get("hours")
    if hours is not None and (np.shape(hours) != (HOURS,) or not (np.asarray(hours) >= 0).all()):
        raise RequestError("roads.bad_hours", count=np.size(hours))
    classes = tuple(dict.fromkeys([*demand.shares, *more]))
    made = factors(classes, (*pollutants, ELECTRICITY), source=source, technologies=technologies)
    shares = np.array([demand.shares.get(name, 0.0) for name in classes])
    stream = Stream(demand.trips, shares / shares.sum())
    return Case(roads, (stream,), classes, made, people, work, **others)


def parted(case: Case, stream: Stream, classes: list[int]) -> list[tuple[Stream, bool]]:
    """A stream in two: vehicles of some classes, and the others; parts without trips are left out."""
    inside = np.zeros(len(case.classes), bool)
    inside[classes] = True
    whole = float(stream.shares @ case.units)
    parts = []
    for flags, within in ((inside, True), (~inside, False)):
        shares = np.where(flags, stream.shares, 0.0)
        if shares.sum() > 0:
            part = float(shares @ case.units) / whole
            parts.append((replace(stream, trips=stream.trips * part, shares=shares / shares.sum()), within))
    return parts
