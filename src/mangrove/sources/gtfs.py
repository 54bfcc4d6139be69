# SPDX-License-Identifier: Apache-2.0
"""Timetables of public transport (GTFS Schedule): a zip of tables in, vehicle-kilometers and trips by route and hour out.

Comes in: a feed (zip or folder) with agency, routes, stops, trips, stop_times, calendar and calendar_dates, and where they are there
shapes and frequencies. Goes out: a `Feed`, and its `Service` over a period. Times are seconds after noon minus twelve hours of the
service day, so 25:10:00 lies on the next day and a day on which clocks change is still right (GTFS reference, field types: Time). The
length of a trip is that of its shape, else that of straight lines between its stops. What is wrong is an error with its file and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from mangrove.errors import SourceError
from mangrove.sources.gtfs_tables import Tables
from mangrove.times import Span, zone

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EARTH = 6371.0088
"""km, mean radius (IUGG)."""
_TIME = re.compile(r"\s*(\d{1,3}):([0-5]\d):([0-5]\d)\s*", re.ASCII)
_HOUR, _DAY_HOURS = 3600, 24
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ADDED = "1"
_DETOUR = 20.0
"""A shape more than this many times longer than straight lines between the stops belongs to something else and is not used."""
_MODES = {0: "tram", 1: "metro", 2: "rail", 3: "bus", 4: "ferry", 5: "cable_tram", 6: "aerial_lift", 7: "funicular", 11: "trolleybus", 12: "monorail"}  # fmt: skip
_EXTENDED = {1: "rail", 2: "coach", 4: "metro", 7: "bus", 8: "trolleybus", 9: "tram", 10: "ferry", 11: "air", 12: "ferry", 13: "aerial_lift", 14: "funicular", 15: "taxi"}  # fmt: skip
"""Modes by hundreds of the extended route types of Google Transit."""


@dataclass(frozen=True, eq=False)
class Feed:
    """A timetable as arrays.

    Attributes:
        routes: ids; names: short names; modes: `bus`, `metro`, ... of each.
        trips: ids; route, service: (K,) numbers of the route and service of each trip; begins: (K,) s, its first departure.
        segment_trip: (S,) trip of each way between two stops; depart, arrive: (S,) s; km: (S,).
        called: trips, stops (numbers) and arrivals (s) of all rows of stop_times.
        days: service number to its service days.
        repeated: trip number to starts of its runs, for trips by frequency.
    """

    tz: ZoneInfo
    routes: tuple[str, ...]
    names: tuple[str, ...]
    modes: tuple[str, ...]
    stops: Mapping[str, tuple[float, float]]
    trips: tuple[str, ...]
    route: Ints
    service: Ints
    begins: Ints
    segment_trip: Ints
    depart: Ints
    arrive: Ints
    km: Floats
    called: tuple[Ints, Ints, Ints]
    days: Mapping[int, frozenset[date]]
    repeated: Mapping[int, Ints] = field(default_factory=dict)

    @cached_property
    def arrivals(self) -> Mapping[tuple[str, str], int]:
        """(trip id, stop id) to the scheduled arrival in s (the first, when a stop is served twice)."""
        found: dict[tuple[str, str], int] = {}
        stops = list(self.stops)
        for trip, stop, at in zip(*(column.tolist() for column in self.called), strict=True):
            found.setdefault((self.trips[trip], stops[stop]), at)
        return found

    @property
    def trip_numbers(self) -> dict[str, int]:
        """Trip ids to numbers."""
        return {name: number for number, name in enumerate(self.trips)}


@dataclass(frozen=True, eq=False)
class Service:
    """What runs by route and hour: `km` and `trips` (that begin) have shape (R, H); the hours begin at `start` (UTC)."""

    start: datetime
    km: Floats
    trips: Floats


def read(path: str | Path) -> Feed:
    """Reads a feed.

    Raises:
        SourceError: a file is missing or too large, a time, a number or a name makes no sense: with its file and line.
    """
    tables = Tables(Path(path))
    tz = _zone(tables)
    routes = tables.need("routes", "route_id", "route_type")
    route_ids = routes["route_id"].to_pylist()
    modes = tuple(_mode(tables, row, text) for row, text in enumerate(routes["route_type"].to_pylist()))
    names = routes["route_short_name"].to_pylist() if "route_short_name" in routes.column_names else route_ids
    stops = _stops(tables)
    trips = tables.need("trips", "trip_id", "route_id", "service_id")
    trip_ids = trips["trip_id"].to_pylist()
    services = list(dict.fromkeys(trips["service_id"].to_pylist()))
    number = {name: i for i, name in enumerate(services)}
    timed = _stop_times(tables, trip_ids, stops)
    timed.measure(_shapes(tables), trips)
    depart, arrive, km, of_trip = timed.segments()
    repeated = _frequencies(tables, trip_ids)
    days = _days(tables)
    return Feed(
        tz=tz, routes=tuple(route_ids), names=tuple(name or id_ for name, id_ in zip(names, route_ids, strict=True)), modes=modes,
        stops=stops, trips=tuple(trip_ids), route=tables.numbers(trips, "trips", "route_id", route_ids),
        service=np.array([number[name] for name in trips["service_id"].to_pylist()], np.int64), begins=timed.begins(len(trip_ids)),
        segment_trip=of_trip, depart=depart, arrive=arrive, km=km, called=(timed.trip, timed.stop, timed.arrive),
        days={number[name]: held for name, held in days.items() if name in number}, repeated=repeated,
    )  # fmt: skip


def service(feed: Feed, span: Span) -> Service:
    """What is scheduled in each hour of a period: vehicle-kilometers and trips that begin, by route.

    A way between two stops is spread evenly over its time. Service days that begin up to four days before the period count, because
    their last trips may run into it.
    """
    first, last = int(span.start.timestamp()) // _HOUR, -(-int(span.end.timestamp()) // _HOUR)
    km = np.zeros((len(feed.routes), last - first))
    trips = np.zeros_like(km)
    profiles: dict[tuple[int, int], tuple[Floats, Floats]] = {}
    day = (span.start - timedelta(days=4)).astimezone(feed.tz).date()
    while day <= span.end.astimezone(feed.tz).date():
        begin = day_start(feed, day)
        for number in [n for n, held in feed.days.items() if day in held]:
            phase = begin % _HOUR
            key = number, phase
            if key not in profiles:
                profiles[key] = _profile(feed, number, phase)
            _add(km, profiles[key][0], begin // _HOUR - first)
            _add(trips, profiles[key][1], begin // _HOUR - first)
        day += timedelta(days=1)
    return Service(datetime.fromtimestamp(first * _HOUR, UTC), km, trips)


def day_start(feed: Feed, day: date) -> int:
    """The instant that times of a service day count from: local noon minus twelve hours, in s since 1970."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=feed.tz)
    return int(noon.timestamp()) - 12 * _HOUR


def by_hour(begin: Ints, end: Ints, amount: Floats) -> tuple[Ints, Floats, Ints]:
    """Amounts between two instants (s) spread evenly over the hours between: hour, share of the amount, row that it comes from.

    Example:
        >>> hours, shares, rows = by_hour(np.array([1800]), np.array([5400]), np.array([10.0]))
        >>> hours.tolist(), shares.tolist()
        ([0, 1], [5.0, 5.0])
    """
    first = begin // _HOUR
    last = np.maximum(end - 1, begin) // _HOUR
    counts = last - first + 1
    rows = np.repeat(np.arange(len(begin)), counts)
    offset = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    hour = first[rows] + offset
    length = np.maximum(end - begin, 1)[rows]
    overlap = np.minimum(np.maximum(end, begin + 1)[rows], (hour + 1) * _HOUR) - np.maximum(
        begin[rows], hour * _HOUR
    )
    return hour, amount[rows] * overlap / length, rows


def seconds_of(written: str) -> int | None:
    """Seconds of `H:MM:SS` after the start of a service day, to 999 hours; None for what is no time.

    Example:
        >>> seconds_of("25:10:00"), seconds_of("7h10")
        (90600, None)
    """
    match = _TIME.fullmatch(written)
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3]) if match else None


def distance(lat: Floats, lon: Floats, lat2: Floats, lon2: Floats) -> Floats:
    """Great-circle distances in km (haversine), all in degrees and of one shape."""
    a, b = np.radians(lat), np.radians(lat2)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon2 - lon) / 2) ** 2
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def _profile(feed: Feed, number: int, phase: int) -> tuple[Floats, Floats]:
    """Km and trips by route and hour after the start of a service day, for one service whose day begins `phase` s past an hour."""
    mine = feed.service == number
    once = mine.copy()
    once[list(feed.repeated)] = False
    ways = np.flatnonzero(once[feed.segment_trip])
    depart, arrive = feed.depart[ways], feed.arrive[ways]
    trips, begins = np.flatnonzero(once), feed.begins[np.flatnonzero(once)]
    for trip, starts in feed.repeated.items():
        if mine[trip]:
            own = np.flatnonzero(feed.segment_trip == trip)
            shift = (starts - feed.begins[trip])[:, None]
            ways = np.append(ways, np.tile(own, len(starts)))
            depart = np.append(depart, (feed.depart[own] + shift).ravel())
            arrive = np.append(arrive, (feed.arrive[own] + shift).ravel())
            trips, begins = np.append(trips, np.full(len(starts), trip)), np.append(begins, starts)
    hour, share, rows = by_hour(depart + phase, arrive + phase, feed.km[ways])
    timed = begins >= 0
    start_hour = (begins[timed] + phase) // _HOUR
    hours = int(max(hour.max(initial=0), start_hour.max(initial=0))) + 1
    km, count = np.zeros((len(feed.routes), hours)), np.zeros((len(feed.routes), hours))
    np.add.at(km, (feed.route[feed.segment_trip[ways[rows]]], hour), share)
    np.add.at(count, (feed.route[trips[timed]], start_hour), 1.0)
    return km, count


def _add(total: Floats, part: Floats, at: int) -> None:
    """Adds hours of a day to those of the period where they overlap."""
    low, high = max(at, 0), min(at + part.shape[1], total.shape[1])
    if low < high:
        total[:, low:high] += part[:, low - at : high - at]


def _zone(tables: Tables) -> ZoneInfo:
    found = tables.need("agency", "agency_timezone")
    if not found.num_rows:
        raise SourceError("gtfs.empty", where=tables.where("agency"))
    return zone(str(found["agency_timezone"][0].as_py()))


def _mode(tables: Tables, row: int, text: str) -> str:
    try:
        kind = int(text)
    except ValueError:
        raise SourceError("gtfs.bad_number", where=tables.where("routes", row), text=text) from None
    return _MODES.get(kind) or _EXTENDED.get(kind // 100, "other")


def _stops(tables: Tables) -> dict[str, tuple[float, float]]:
    found = tables.need("stops", "stop_id", "stop_lat", "stop_lon")
    lat, lon = (tables.floats(found, "stops", name, blank=np.nan) for name in ("stop_lat", "stop_lon"))
    return dict(zip(found["stop_id"].to_pylist(), zip(lat.tolist(), lon.tolist(), strict=True), strict=True))


@dataclass
class _StopTimes:
    """Rows of stop_times in the order of their trips: trip numbers, stops, times in s, positions, km from the row before."""

    tables: Tables
    trip: Ints
    stop: Ints
    arrive: Ints
    depart: Ints
    rows: Ints
    dist: Floats
    step: Floats
    ways: npt.NDArray[np.bool_]

    def measure(self, shapes: Mapping[str, float], trips: pa.Table) -> None:
        """Stretches the straight ways of each trip to the length of its shape."""
        if not shapes or "shape_id" not in trips.column_names:
            return
        lengths = np.array([shapes.get(name, np.nan) for name in trips["shape_id"].to_pylist()])
        straight = np.bincount(self.trip, weights=self.step, minlength=len(lengths))
        along = np.where(self.ways, np.diff(self.dist, prepend=np.nan), np.nan)
        marked = np.bincount(self.trip[self.ways], weights=along[self.ways], minlength=len(lengths))
        with np.errstate(divide="ignore", invalid="ignore"):
            by_marks = np.where(np.isfinite(marked) & (marked > 0), lengths / marked, np.nan)
            by_line = lengths / straight
        usable = np.isfinite(lengths) & (straight > 0) & (lengths < _DETOUR * straight) & (lengths > 0)
        marks = usable & np.isfinite(by_marks)
        own = self.trip
        self.step = np.where(
            marks[own] & self.ways, np.nan_to_num(along) * np.nan_to_num(by_marks)[own], self.step
        )
        plain = usable & ~marks
        self.step = np.where(plain[own], self.step * np.nan_to_num(by_line, posinf=0.0)[own], self.step)

    def segments(self) -> tuple[Ints, Ints, Floats, Ints]:
        """Departure, arrival, km and trip of each way."""
        to = np.flatnonzero(self.ways)
        depart, arrive = self.depart[to - 1], self.arrive[to]
        back = np.flatnonzero(arrive < depart)
        if len(back):
            row = int(self.rows[to[back[0]]])
            raise SourceError("gtfs.backwards", where=self.tables.where("stop_times", row))
        return depart, arrive, self.step[to], self.trip[to]

    def begins(self, count: int) -> Ints:
        """(K,) the first departure of each trip in s; -1 for a trip without times."""
        found = np.full(count, -1, np.int64)
        first = np.flatnonzero(~self.ways)
        found[self.trip[first]] = self.depart[first]
        return found


def _stop_times(
    tables: Tables, trip_ids: Sequence[str], stops: Mapping[str, tuple[float, float]]
) -> _StopTimes:
    found = tables.need("stop_times", "trip_id", "stop_id", "stop_sequence", "arrival_time", "departure_time")
    trip = tables.numbers(found, "stop_times", "trip_id", trip_ids)
    stop_ids = list(stops)
    stop = tables.numbers(found, "stop_times", "stop_id", stop_ids)
    order = np.lexsort((tables.floats(found, "stop_times", "stop_sequence"), trip))
    arrive, depart = (
        _times(tables, found, "stop_times", column)[order] for column in ("arrival_time", "departure_time")
    )
    arrive, depart = np.where(arrive < 0, depart, arrive), np.where(depart < 0, arrive, depart)
    trip, stop = trip[order], stop[order]
    dist = np.full(len(trip), np.nan)
    if "shape_dist_traveled" in found.column_names:
        dist = tables.floats(found, "stop_times", "shape_dist_traveled", blank=np.nan)[order]
    place = np.array([stops[name] for name in stop_ids]).reshape(-1, 2)[stop]
    ways = np.append(False, trip[1:] == trip[:-1])[: len(trip)]
    step = np.zeros(len(trip))
    to = np.flatnonzero(ways)
    step[to] = distance(place[to - 1, 0], place[to - 1, 1], place[to, 0], place[to, 1])
    lost = np.flatnonzero(~np.isfinite(step))
    if len(lost):
        raise SourceError("gtfs.no_position", where=tables.where("stop_times", int(order[lost[0]])))
    arrive, depart = _between(tables, arrive, depart, ways, way=np.cumsum(step), order=order)
    return _StopTimes(tables, trip, stop, arrive, depart, order, dist, step, ways)


def _between(
    tables: Tables, arrive: Ints, depart: Ints, ways: npt.NDArray[np.bool_], *, way: Floats, order: Ints
) -> tuple[Ints, Ints]:
    """Times with blanks filled by the distance between the departure before and the arrival after; the ends of a trip must have one."""
    blank = arrive < 0
    ends = ~ways | np.append(~ways[1:], True)[: len(ways)]
    wrong = np.flatnonzero(blank & ends)
    if len(wrong):
        raise SourceError("gtfs.no_time", where=tables.where("stop_times", int(order[wrong[0]])))
    if not blank.any():
        return arrive, depart
    at = np.arange(len(blank))
    before = np.maximum.accumulate(np.where(blank, 0, at))
    after = np.minimum.accumulate(np.where(blank, len(blank) - 1, at)[::-1])[::-1]
    key = way + 1e-9 * at
    share = (key - key[before]) / np.where(blank, key[after] - key[before], 1.0)
    filled = np.rint(depart[before] + share * (arrive[after] - depart[before])).astype(np.int64)
    return np.where(blank, filled, arrive), np.where(blank, filled, depart)


def _times(tables: Tables, found: pa.Table, name: str, column: str) -> Ints:
    """Seconds of `H:MM:SS`, to 999 hours; -1 for a blank."""
    coded = pc.dictionary_encode(pc.fill_null(found[column], "").combine_chunks())
    seconds = []
    for text in coded.dictionary.to_pylist():
        found_time = seconds_of(text)
        if found_time is None and text.strip():
            row = pc.index(found[column], text).as_py()
            raise SourceError("gtfs.bad_time", where=tables.where(name, row), text=text)
        seconds.append(-1 if found_time is None else found_time)
    return np.array(seconds or [-1], np.int64)[np.asarray(coded.indices, np.int64)]


def shape_points(tables: Tables) -> tuple[list[str], Ints, Floats, Floats]:
    """Ids of the shapes; number of the shape, latitude and longitude of each of their points, in order."""
    none = np.zeros(0)
    if not tables.has("shapes"):
        return [], none.astype(np.int64), none, none
    found = tables.need("shapes", "shape_id", "shape_pt_lat", "shape_pt_lon", "shape_pt_sequence")
    if not found.num_rows:
        return [], none.astype(np.int64), none, none
    coded = pc.dictionary_encode(found["shape_id"].combine_chunks())
    shape = np.asarray(coded.indices, np.int64)
    order = np.lexsort((tables.floats(found, "shapes", "shape_pt_sequence"), shape))
    lat, lon = (tables.floats(found, "shapes", name)[order] for name in ("shape_pt_lat", "shape_pt_lon"))
    return coded.dictionary.to_pylist(), shape[order], lat, lon


def _shapes(tables: Tables) -> dict[str, float]:
    """The length of each shape in km."""
    names, shape, lat, lon = shape_points(tables)
    step = np.where(shape[1:] == shape[:-1], distance(lat[:-1], lon[:-1], lat[1:], lon[1:]), 0.0)
    lengths = np.bincount(shape[1:], weights=step, minlength=len(names))
    return dict(zip(names, lengths.tolist(), strict=True))


def _frequencies(tables: Tables, trip_ids: Sequence[str]) -> dict[int, Ints]:
    if not tables.has("frequencies"):
        return {}
    found = tables.need("frequencies", "trip_id", "start_time", "end_time", "headway_secs")
    trip = tables.numbers(found, "frequencies", "trip_id", trip_ids)
    start, end = (_times(tables, found, "frequencies", column) for column in ("start_time", "end_time"))
    headway = tables.floats(found, "frequencies", "headway_secs")
    wrong = np.flatnonzero((headway < 1) | (end < start) | (start < 0))
    if len(wrong):
        raise SourceError("gtfs.bad_frequency", where=tables.where("frequencies", int(wrong[0])))
    runs: dict[int, list[Ints]] = {}
    for number, a, b, every in zip(
        trip.tolist(), start.tolist(), end.tolist(), headway.tolist(), strict=True
    ):
        runs.setdefault(number, []).append(np.arange(a, b, int(every), dtype=np.int64))
    return {number: np.concatenate(parts) for number, parts in runs.items()}


def _days(tables: Tables) -> dict[str, frozenset[date]]:
    """The service days of each service: its weekdays between two dates, and the exceptions."""
    days: dict[str, set[date]] = {}
    if not (tables.has("calendar") or tables.has("calendar_dates")):
        raise SourceError("gtfs.no_calendar", where=tables.where("calendar"))
    if tables.has("calendar"):
        found = tables.need("calendar", "service_id", "start_date", "end_date", *_WEEKDAYS)
        for number, row in enumerate(found.to_pylist()):
            first, last = (
                _date(tables, "calendar", number, row[name]) for name in ("start_date", "end_date")
            )
            held = days.setdefault(row["service_id"], set())
            for ordinal in range(first.toordinal(), min(last.toordinal(), first.toordinal() + 3660) + 1):
                day = date.fromordinal(ordinal)
                if row[_WEEKDAYS[day.weekday()]] == _ADDED:
                    held.add(day)
    if tables.has("calendar_dates"):
        found = tables.need("calendar_dates", "service_id", "date", "exception_type")
        for number, row in enumerate(found.to_pylist()):
            day = _date(tables, "calendar_dates", number, row["date"])
            held = days.setdefault(row["service_id"], set())
            held.add(day) if row["exception_type"] == _ADDED else held.discard(day)
    return {name: frozenset(held) for name, held in days.items()}


def _date(tables: Tables, name: str, row: int, text: str) -> date:
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()  # noqa: DTZ007 - a date, not an instant
    except (ValueError, AttributeError):
        raise SourceError("gtfs.bad_date", where=tables.where(name, row), text=text) from None
