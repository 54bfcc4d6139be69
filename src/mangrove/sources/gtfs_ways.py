# SPDX-License-Identifier: Apache-2.0
"""The routes of a timetable as ways on the map: where their buses drive on a day, and how many set out in each hour.

Comes in: a GTFS feed, names of routes, a day. Goes out: `traffic.routes.Way`, one for each shape of a route, or for each sequence of stops
where the feed draws no shapes. A trip counts in the hour of the clock in which it sets out, so a bus at 24:10 counts as one at 0:10.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import SourceError, Where, did_you_mean
from mangrove.sources import gtfs
from mangrove.sources.gtfs_tables import Tables
from mangrove.traffic.routes import HOURS, Way

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_HOUR, _SOME = 3600, 12


class Timetable:
    """A feed that is read once, when something is asked of it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._made: dict[tuple[int, date], tuple[Way, ...]] = {}

    def ways(self, routes: Sequence[str] = (), day: date | None = None) -> tuple[Way, ...]:
        """The ways of some routes on a day.

        Args:
            routes: ids or short names; none: all routes of buses.
            day: a service day; None: the one on which most of their trips run, the earliest of these.

        Raises:
            SourceError: `gtfs.unknown_route`, `gtfs.no_bus`, `gtfs.no_trips` (none of a route runs on the day), and what a feed can be wrong in.
        """
        chosen = self._chosen(routes)
        day = self._busiest(chosen) if day is None else day
        found: list[Way] = []
        for route in chosen:
            if (route, day) not in self._made:
                self._made[route, day] = self._ways(route, day)
            found += self._made[route, day]
            if not self._made[route, day] and routes:
                data = {"route": self.feed.names[route], "day": day.isoformat(), **self._span()}
                raise SourceError("gtfs.no_trips", where=self.where, **data)
        if not found:
            raise SourceError(
                "gtfs.no_trips", where=self.where, route="-", day=day.isoformat(), **self._span()
            )
        return tuple(found)

    @property
    def where(self) -> Where:
        """The file, for problems."""
        return Where(self.path.name)

    @cached_property
    def feed(self) -> gtfs.Feed:
        """The feed."""
        return gtfs.read(self.path)

    @cached_property
    def _shapes(self) -> tuple[list[str], dict[str, Floats]]:
        """The shape of each trip (empty: none), and the lines of the shapes as lon, lat."""
        tables = Tables(self.path)
        names, shape, lat, lon = gtfs.shape_points(tables)
        parts = np.split(np.column_stack([lon, lat]), np.flatnonzero(np.diff(shape)) + 1) if names else []
        lines = {
            names[int(number)]: part
            for number, part in zip(dict.fromkeys(shape.tolist()), parts, strict=True)
        }
        trips = tables.need("trips", "trip_id")
        own = trips["shape_id"].to_pylist() if "shape_id" in trips.column_names else [""] * trips.num_rows
        return own, {name: line for name, line in lines.items() if len(line) > 1}

    @cached_property
    def _calls(self) -> tuple[Ints, Ints, Ints]:
        """Stops in the order of trips, and where each trip begins and ends among them."""
        trip, stop, _ = self.feed.called
        numbers = np.arange(len(self.feed.trips))
        return stop, np.searchsorted(trip, numbers), np.searchsorted(trip, numbers, side="right")

    def _chosen(self, routes: Sequence[str]) -> list[int]:
        feed = self.feed
        if not routes:
            buses = [at for at, mode in enumerate(feed.modes) if mode in ("bus", "trolleybus", "coach")]
            if not buses:
                raise SourceError("gtfs.no_bus", where=self.where, modes=", ".join(dict.fromkeys(feed.modes)))
            return buses
        found: dict[int, None] = {}
        for name in routes:
            same = [at for at, pair in enumerate(zip(feed.routes, feed.names, strict=True)) if name in pair]
            if not same:
                known = tuple(dict.fromkeys([*feed.names, *feed.routes]))
                options = ", ".join(feed.names[:_SOME]) + (" ..." if len(feed.names) > _SOME else "")
                data = {"route": name, "hint": did_you_mean(name, known), "options": options}
                raise SourceError("gtfs.unknown_route", where=self.where, **data)
            found |= dict.fromkeys(same)
        return list(found)

    def _busiest(self, routes: list[int]) -> date:
        """The day on which most trips of some routes run."""
        trips = np.bincount(self.feed.service[np.isin(self.feed.route, routes)], minlength=1)
        counted: dict[date, int] = {}
        for service, days in self.feed.days.items():
            runs = int(trips[service]) if service < len(trips) else 0
            for day in days if runs else ():
                counted[day] = counted.get(day, 0) + runs
        if not counted:
            raise SourceError("gtfs.no_trips", where=self.where, route="-", day="-", **self._span())
        return min(counted, key=lambda day: (-counted[day], day))

    def _span(self) -> dict[str, Any]:
        days = [day for held in self.feed.days.values() for day in held]
        return {
            "first": min(days).isoformat() if days else "-",
            "last": max(days).isoformat() if days else "-",
        }

    def _ways(self, route: int, day: date) -> tuple[Way, ...]:
        """The ways of a route on a day, the one with most buses first."""
        feed, (shapes, lines) = self.feed, self._shapes
        stop, first, last = self._calls
        running = [number for number, days in feed.days.items() if day in days]
        trips = np.flatnonzero((feed.route == route) & np.isin(feed.service, running) & (feed.begins >= 0))
        places = np.array(list(feed.stops.values())).reshape(-1, 2)[:, ::-1]
        found: dict[Any, list[Any]] = {}
        for trip in trips.tolist():
            called = stop[first[trip] : last[trip]]
            key = shapes[trip] if shapes[trip] in lines else called.tobytes()
            starts = feed.repeated.get(trip, feed.begins[[trip]])
            runs = np.bincount((starts // _HOUR) % HOURS, minlength=HOURS).astype(np.float64)
            known = found.setdefault(key, [trip, called, np.zeros(HOURS)])
            known[:2] = [trip, called] if len(called) > len(known[1]) else known[:2]
            known[2] = known[2] + runs
        made = []
        for key, (trip, called, runs) in found.items():
            shaped = isinstance(key, str)
            points = lines[key] if shaped else places[called]
            speed = self._speed(trip, places[called])
            made.append(Way(feed.names[route], points, places[called], runs, shaped, self.where, speed))
        return tuple(sorted(made, key=lambda way: -way.by_hour.sum()))

    def _speed(self, trip: int, stops: Floats) -> float:
        """Kilometers per hour of a trip, along straight lines between its stops; 0 where it takes no time."""
        own = self.feed.segment_trip == trip
        if not own.any():
            return 0.0
        seconds = float(self.feed.arrive[own].max() - self.feed.depart[own].min())
        lon, lat = stops.T
        km = float(gtfs.distance(lat[:-1], lon[:-1], lat[1:], lon[1:]).sum())
        return km * _HOUR / seconds if seconds > 0 else 0.0
