# SPDX-License-Identifier: Apache-2.0
"""What really runs (GTFS-Realtime): positions of vehicles, delays, canceled trips and alerts, out of protocol buffers.

Comes in: one message or a folder of them (an archive of what a feed said), and the timetable that its names belong to. Goes out: a
`Record`: vehicle-kilometers driven by route and hour, the mean delay, the share of the scheduled trips that ran, alerts. A vehicle
whose position is silent for more than ten minutes is not guessed between; jumps faster than any bus are faults of its receiver.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError, SourceError, Where
from mangrove.sources.gtfs import Feed, by_hour, day_start, distance, seconds_of, service
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LARGEST = 64 * 1024 * 1024
"""Bytes of one message; the largest cities send about 5 MB."""
STALE = timedelta(minutes=10)
"""A newest message older than this says nothing of now."""
SILENCE = 600
"""s between two positions of a vehicle over which its way is still counted."""
FASTEST = 150.0
"""km/h; a faster change of position is no way."""
NEAREST = 0.015
"""km; smaller changes of position are the noise of a receiver (about 5 m, 95 %, at both ends) and no way."""
_HOUR = 3600
_FIRST, _LAST = 946_684_800, 4_102_444_800
"""2000 and 2100 in s since 1970: a message of another time has no clock."""
_NEAR = 86_400
"""s by which the time of a vehicle or an update may differ from that of its message."""
_LONGEST = 366 * 24
"""Hours of the longest archive that is read at once."""
_SUFFIXES = (".pb", ".bin", ".gtfsrt", ".proto")


@dataclass(frozen=True, slots=True)
class ServiceAlert:
    """A notice of the operator: routes that it holds for (none: all), its text, cause and effect as the feed names them."""

    routes: tuple[str, ...]
    text: str
    cause: str
    effect: str
    start: datetime | None
    end: datetime | None


@dataclass(eq=False)
class Record:
    """What ran, by route and hour from `start` (UTC) on; arrays have shape (R, H), NaN where nothing is known.

    Attributes:
        km: driven; delay: mean delay in s; scheduled, ran: trips; only hours that the messages cover whole are known.
    """

    start: datetime
    km: Floats
    delay: Floats
    scheduled: Floats
    ran: Floats
    alerts: list[ServiceAlert] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    newest: datetime | None = None
    messages: int = 0

    @property
    def delivered(self) -> Floats:
        """(R, H) the share of the scheduled trips that ran."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.scheduled > 0, np.minimum(self.ran / self.scheduled, 1.0), np.nan)


def read(path: str | Path, feed: Feed, *, now: datetime | None = None) -> Record | None:
    """Reads one message or a folder of messages; None for an empty folder.

    Args:
        path: a file, or a folder whose files end in .pb, .bin, .gtfsrt or .proto.
        feed: the timetable.
        now: when the answer is for this moment: an old newest message is then a problem.

    Raises:
        SourceError: `gtfs.bad_message`, `gtfs.too_large`, `sources.no_file`.
    """
    files = _files(Path(path))
    found = _Found(feed)
    for one in files:
        found.take(_message(one))
    if not found.heard:
        return None
    record = found.record()
    if now is not None and record.newest is not None and now - record.newest > STALE:
        shown = record.newest.astimezone(feed.tz).strftime("%Y-%m-%d %H:%M")
        record.problems.append(Problem("gtfs.stale", {"newest": shown}, severity="warning"))
    return record


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES and one.is_file())
    if not path.is_file():
        raise SourceError("sources.no_file", where=Where(str(path)), path=str(path))
    return [path]


def _message(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from google.transit import gtfs_realtime_pb2

    if path.stat().st_size > LARGEST:
        raise SourceError("gtfs.too_large", where=Where(str(path)), limit=LARGEST // 2**20)
    message = gtfs_realtime_pb2.FeedMessage()
    try:
        message.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise SourceError("gtfs.bad_message", where=Where(str(path)), reason=str(error)) from None
    if not _FIRST <= message.header.timestamp < _LAST:
        reason = f"timestamp {message.header.timestamp}"
        raise SourceError("gtfs.bad_message", where=Where(str(path)), reason=reason)
    return message


Trip = tuple[str, str, str]
"""Trip id, start date (YYYYMMDD) and start time (for trips by frequency), empty when the feed does not say."""


class _Found:
    """What the messages said so far."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.trips = feed.trip_numbers
        self.routes = {name: number for number, name in enumerate(feed.routes)}
        self.heard: list[int] = []
        self.positions: list[tuple[str, int, int, float, float]] = []
        self.delays: dict[tuple[Trip, int], tuple[int, float]] = {}
        self.seen: set[Trip] = set()
        self.canceled: set[Trip] = set()
        self.unknown: set[str] = set()
        self.alerts: dict[str, ServiceAlert] = {}

    def take(self, message: Any) -> None:
        """Takes one message."""
        stamp = int(message.header.timestamp)
        self.heard.append(stamp)
        for entity in message.entity:
            if entity.HasField("vehicle"):
                self._vehicle(entity.id, entity.vehicle, stamp)
            if entity.HasField("trip_update"):
                self._update(entity.trip_update, stamp)
            if entity.HasField("alert"):
                self.alerts[_word(entity.id)] = _alert(entity.alert)

    def _route(self, trip: Any) -> int:
        """The number of the route of a trip; -1 (and a note) when the timetable does not know it."""
        name, route = _word(trip.trip_id), _word(trip.route_id)
        number = self.trips.get(name)
        found = int(self.feed.route[number]) if number is not None else self.routes.get(route, -1)
        if found < 0 and (name or route):
            self.unknown.add(name or route)
        return found

    def _vehicle(self, id_: str, vehicle: Any, stamp: int) -> None:
        route = self._route(vehicle.trip)
        if route < 0 or not vehicle.HasField("position"):
            return
        if vehicle.trip.trip_id:
            self.seen.add(_trip(vehicle.trip))
        at = _near(int(vehicle.timestamp), stamp)
        name = _word(vehicle.vehicle.id) or _word(id_)
        where = float(vehicle.position.latitude), float(vehicle.position.longitude)
        if all(map(np.isfinite, where)) and where != (0.0, 0.0):
            self.positions.append((name, route, at, *where))

    def _update(self, update: Any, stamp: int) -> None:
        trip = update.trip
        route = self._route(trip)
        if route < 0:
            return
        key = _trip(trip)
        if trip.schedule_relationship == trip.CANCELED:
            self.canceled.add(key)
            return
        self.canceled.discard(key)
        delay = self._delay(update)
        at = _near(int(update.timestamp), stamp)
        if delay is not None:
            self.seen.add(key)
            self.delays[key, at // _HOUR] = route, delay

    def _delay(self, update: Any) -> float | None:
        """The delay at the stop that the update names last: as it says, else its time less that of the timetable."""
        trip, written, begin = _trip(update.trip)
        for stop in reversed(update.stop_time_update):
            for event in (stop.arrival, stop.departure):
                if event.HasField("delay"):
                    return float(event.delay)
                planned = self.feed.arrivals.get((trip, _word(stop.stop_id)))
                day = _day(written)
                if event.time and planned is not None and day is not None:
                    number = self.trips[trip]
                    shift = self._begin(number, begin) - int(self.feed.begins[number])
                    return float(event.time - day_start(self.feed, day) - planned - shift)
        return float(update.delay) if update.HasField("delay") else None

    def _begin(self, number: int, written: str) -> int:
        """The first departure of a run in s of its service day: as the feed says for trips by frequency, else the timetable's."""
        if number in self.feed.repeated and written:
            return int(seconds_of(written) or 0)
        return int(self.feed.begins[number])

    def record(self) -> Record:
        """Everything by route and hour."""
        feed = self.feed
        times = [*self.heard, *(row[2] for row in self.positions)]
        first, last = min(times) // _HOUR, max(times) // _HOUR
        if last - first > _LONGEST:
            raise RequestError("gtfs.too_long", hours=_LONGEST)
        shape = len(feed.routes), last - first + 1
        found = Record(
            datetime.fromtimestamp(first * _HOUR, UTC), self._driven(first, shape), self._late(first, shape),
            np.full(shape, np.nan), np.full(shape, np.nan), list(self.alerts.values()),
            newest=datetime.fromtimestamp(max(self.heard), UTC), messages=len(self.heard),
        )  # fmt: skip
        self._delivered(found, first, last)
        if self.unknown:
            some = ", ".join(sorted(self.unknown)[:5])
            found.problems.append(Problem("gtfs.unknown_trips", {"count": len(self.unknown), "some": some}, severity="warning"))  # fmt: skip
        return found

    def _driven(self, first: int, shape: tuple[int, int]) -> Floats:
        """(R, H) km between successive positions of each vehicle on one route; NaN for routes without positions."""
        km = np.full(shape, np.nan)
        if not self.positions:
            return km
        names = {name: number for number, name in enumerate(dict.fromkeys(row[0] for row in self.positions))}
        vehicle = np.array([names[row[0]] for row in self.positions], np.int64)
        route, at = (np.array([row[i] for row in self.positions], np.int64) for i in (1, 2))
        lat, lon = (np.array([row[i] for row in self.positions]) for i in (3, 4))
        order = np.lexsort((at, vehicle))
        vehicle, route, at, lat, lon = vehicle[order], route[order], at[order], lat[order], lon[order]
        way = distance(lat[:-1], lon[:-1], lat[1:], lon[1:])
        span = np.diff(at)
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = way / (span / _HOUR)
        good = (np.diff(vehicle) == 0) & (np.diff(route) == 0) & (span > 0) & (span <= SILENCE)
        good &= (speed <= FASTEST) & (way >= NEAREST)
        hour, share, rows = by_hour(at[:-1][good], at[1:][good], way[good])
        heard = np.zeros(shape, bool)
        heard[route, at // _HOUR - first] = True
        total = np.zeros(shape)
        np.add.at(total, (route[:-1][good][rows], hour - first), share)
        return np.where(heard, total, km)

    def _late(self, first: int, shape: tuple[int, int]) -> Floats:
        total, count = np.zeros(shape), np.zeros(shape)
        for (_, hour), (route, delay) in self.delays.items():
            if 0 <= hour - first < shape[1]:
                total[route, hour - first] += delay
                count[route, hour - first] += 1
        with np.errstate(invalid="ignore"):
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _delivered(self, found: Record, first: int, last: int) -> None:
        """Scheduled trips and those that ran, for the hours that the messages cover from end to end."""
        low, high = -(-min(self.heard) // _HOUR), max(self.heard) // _HOUR
        if low >= high:
            return
        span = Span(*(datetime.fromtimestamp(hour * _HOUR, UTC) for hour in (first, last + 1)))
        planned = service(self.feed, span).trips
        ran = np.zeros_like(planned)
        for name, written, begin in self.seen - self.canceled:
            number = self.trips.get(name)
            day = _day(written) or datetime.fromtimestamp(min(self.heard), self.feed.tz).date()
            if number is not None and self.feed.begins[number] >= 0:
                hour = (day_start(self.feed, day) + self._begin(number, begin)) // _HOUR - first
                if 0 <= hour < ran.shape[1]:
                    ran[self.feed.route[number], hour] += 1
        whole = slice(low - first, high - first)
        found.scheduled[:, whole], found.ran[:, whole] = planned[:, whole], ran[:, whole]


def _word(said: str | bytes) -> str:
    """Text of a message; what is no UTF-8 comes as bytes."""
    return said if isinstance(said, str) else said.decode("utf-8", "replace")


def _near(said: int, stamp: int) -> int:
    """The time that an entity says, when it is near that of its message; else that of the message."""
    return said if abs(said - stamp) <= _NEAR else stamp


def _trip(trip: Any) -> Trip:
    return _word(trip.trip_id), _word(trip.start_date), _word(trip.start_time)


def _day(written: str) -> date | None:
    try:
        return datetime.strptime(written, "%Y%m%d").date()  # noqa: DTZ007 - a date, not an instant
    except ValueError:
        return None


def _alert(alert: Any) -> ServiceAlert:
    def moment(at: int) -> datetime | None:
        return datetime.fromtimestamp(at, UTC) if 0 < at < _LAST else None

    period = alert.active_period[0] if alert.active_period else None
    return ServiceAlert(
        tuple(dict.fromkeys(_word(one.route_id) for one in alert.informed_entity if one.route_id)), _text(alert.header_text.translation),
        alert.Cause.Name(alert.cause), alert.Effect.Name(alert.effect),
        moment(period.start) if period else None, moment(period.end) if period else None,
    )  # fmt: skip


def _text(translations: Iterable[Any]) -> str:
    found: Sequence[Any] = list(translations)
    return _word(found[0].text) if found else ""
