# SPDX-License-Identifier: Apache-2.0
"""Time: UTC inside, territory time outside; a value carries the start of its interval.

Comes in: what people write ("2024", "2024-03", "15min"). Goes out: `Span`, a half-open UTC interval, and `Step`,
a fixed or calendar length of time.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mangrove.errors import RequestError

if TYPE_CHECKING:
    import numpy as np

_STEP = re.compile(r"(\d{1,10})\s*(s|min|h|d|w|mo|y)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_MONTHS = {"mo": 1, "y": 12}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LONGEST = timedelta(days=36_525)  # a century; longer steps leave the calendar
HOUR = timedelta(hours=1)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 - a wall-clock time, from which weeks are counted


def zone(name: str) -> ZoneInfo:
    """The time zone `name`; raises `RequestError` when the IANA database has no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RequestError("base.unknown_zone", text=name) from None


@dataclass(frozen=True, slots=True)
class Step:
    """A length of time: fixed (`seconds`) or by the calendar (`months`); exactly one of the two is not zero.

    Example:
        >>> Step.parse("15min").hours
        0.25
    """

    seconds: int = 0
    months: int = 0

    @classmethod
    def parse(cls, text: str) -> Step:
        """Reads `5min`, `1h`, `1d`, `1w`, `1mo`, `1y`, to a century; raises `RequestError` on anything else."""
        match = _STEP.fullmatch(text.strip())
        if not match or int(match[1]) == 0:
            raise RequestError("base.not_a_step", text=text)
        count, unit = int(match[1]), match[2]
        step = cls(months=count * _MONTHS[unit]) if unit in _MONTHS else cls(seconds=count * _SECONDS[unit])
        if step.hours > _LONGEST / HOUR:
            raise RequestError("base.not_a_step", text=text)
        return step

    @property
    def hours(self) -> float:
        """The length in hours; a month counts 730.5 h (a twelfth of a mean year of 8,766 h)."""
        return self.seconds / 3600 if self.seconds else self.months * 730.5

    def __str__(self) -> str:
        if self.months:
            return f"{self.months // 12}y" if self.months % 12 == 0 else f"{self.months}mo"
        for unit in ("d", "h", "min"):
            if self.seconds % _SECONDS[unit] == 0:
                return f"{self.seconds // _SECONDS[unit]}{unit}"
        return f"{self.seconds}s"

    def after(self, start: datetime, tz: ZoneInfo) -> datetime:
        """The UTC instant one step after the UTC instant `start`; days and months follow the calendar of `tz`.

        Hours are time that passes: a value of a six-hour step lasts six hours also on the day on which the clock changes,
        while a bucket of six hours (see `starts`) then lasts an hour more or less. A month after the 31st is the last
        day of the next month.
        """
        if self.seconds and self.seconds % 86400:
            return start + timedelta(seconds=self.seconds)
        wall = start.astimezone(tz).replace(tzinfo=None)
        return self._wall_after(wall).replace(tzinfo=tz).astimezone(UTC)

    def floor(self, instant: datetime, tz: ZoneInfo) -> datetime:
        """The start of the step of `tz`'s calendar that holds the UTC `instant`; weeks start on Monday."""
        local = instant.astimezone(tz).replace(tzinfo=None)
        if self._divides_an_hour:
            return instant.astimezone(UTC) - (local - _MONDAY) % timedelta(seconds=self.seconds)
        return self._wall_floor(local).replace(tzinfo=tz).astimezone(UTC)

    def starts(self, span: Span, tz: ZoneInfo) -> list[datetime]:
        """The start of `span`, and every later instant in it at which a step of `tz`'s calendar begins (UTC).

        Steps longer than an hour follow the clock on the wall: every third hour begins at 00:00, 03:00, ... on each
        day, also after the clock was changed, so that a step lasts an hour more or less on that day.

        Example:
            >>> march = Span.parse("2024-03-31", ZoneInfo("Europe/Berlin"))
            >>> [start.hour for start in Step.parse("6h").starts(march, ZoneInfo("Europe/Berlin"))]
            [23, 4, 10, 16]
        """
        found = [span.start]
        if self._divides_an_hour:
            moment = self.floor(span.start, tz) + timedelta(seconds=self.seconds)
            while moment < span.end:
                found.append(moment)
                moment += timedelta(seconds=self.seconds)
            return found
        wall = self._wall_floor(span.start.astimezone(tz).replace(tzinfo=None))
        while (moment := wall.replace(tzinfo=tz).astimezone(UTC)) < span.end:
            if moment > found[-1]:
                found.append(moment)
            wall = self._wall_after(wall)
        return found

    @property
    def _divides_an_hour(self) -> bool:
        return 0 < self.seconds <= _SECONDS["h"]

    def _wall_after(self, wall: datetime) -> datetime:
        """One step later on the clock on the wall; a month after the 31st is the last day of the next month."""
        if self.months:
            index = wall.year * 12 + wall.month - 1 + self.months
            year, month = index // 12, index % 12 + 1
            return wall.replace(year=year, month=month, day=min(wall.day, monthrange(year, month)[1]))
        return wall + timedelta(seconds=self.seconds)

    def _wall_floor(self, wall: datetime) -> datetime:
        """The start of the step on the clock on the wall."""
        if self.months:
            index = (wall.year * 12 + wall.month - 1) // self.months * self.months
            return datetime(index // 12, index % 12 + 1, 1)  # noqa: DTZ001 - a wall-clock time
        return wall - (wall - _MONDAY) % timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval `[start, end)` in UTC.

    Example:
        >>> Span.parse("2024-03", ZoneInfo("Asia/Ho_Chi_Minh")).start.isoformat()
        '2024-02-29T17:00:00+00:00'
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise RequestError("base.period_reversed", start=self.start, end=self.end)

    @classmethod
    def parse(cls, text: str, tz: ZoneInfo) -> Span:
        """Reads a year, a month, a day or an instant (one second long) in local time; `RequestError` otherwise."""
        text = text.strip()
        if re.fullmatch(r"\d{4}", text, re.ASCII):
            first, step = f"{text}-01-01", Step(months=12)
        elif re.fullmatch(r"\d{4}-\d{2}", text, re.ASCII):
            first, step = f"{text}-01", Step(months=1)
        elif _DATE.fullmatch(text):
            first, step = text, Step(seconds=86400)
        elif _DATE.match(text) and text[10:11] in ("T", " "):
            first, step = text, Step(seconds=1)
        else:  # "20240301" and "2024-W05" are ISO 8601 too, but nobody who writes them means one second
            raise RequestError("base.not_a_period", text=text)
        try:
            start = instant(datetime.fromisoformat(first), tz)
            return cls(start, step.after(start, tz))
        except (ValueError, OverflowError):  # no such day, or beyond the years 1 to 9999
            raise RequestError("base.not_a_period", text=text) from None

    @classmethod
    def between(cls, start: str | date | datetime, end: str | date | datetime, tz: ZoneInfo) -> Span:
        """From the beginning of `start` to the beginning of `end` (a written period counts from its first instant)."""
        first, last = instant(start, tz), instant(end, tz)
        if last <= first:  # said in the words of the question, not in UTC
            raise RequestError("base.period_reversed", start=start, end=end)
        return cls(first, last)

    @classmethod
    def asked(cls, start: str | date | datetime, end: str | date | datetime | None, tz: ZoneInfo) -> Span:
        """The period that people name: `start` alone is a whole one ("2024"); with `end` as `between`."""
        return cls.parse(str(start), tz) if end is None else cls.between(start, end, tz)

    def last_day(self, tz: ZoneInfo) -> date:
        """The last local day that the span touches."""
        return (self.end - timedelta(microseconds=1)).astimezone(tz).date()

    @property
    def hours(self) -> float:
        """The length in hours."""
        return (self.end - self.start) / HOUR


def instant(value: str | date | datetime, tz: ZoneInfo) -> datetime:
    """The UTC instant at which `value` begins; dates and naive times are read in `tz`."""
    if isinstance(value, str):
        return Span.parse(value, tz).start
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=tz)
    return (value if value.tzinfo else value.replace(tzinfo=tz)).astimezone(UTC)


def parse_date(text: str) -> date:
    """A calendar date written `2024-12-31`; raises `RequestError` on anything else."""
    try:
        if _DATE.fullmatch(text.strip()):
            return date.fromisoformat(text.strip())
    except ValueError:
        pass
    raise RequestError("base.not_a_date", text=text)


def to_us(instant: datetime) -> int:
    """Microseconds since 1970 in UTC; a naive time is read as UTC.

    Example:
        >>> to_us(datetime(1970, 1, 2, tzinfo=UTC))
        86400000000
    """
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """The UTC instant of `us` microseconds since 1970."""
    return _EPOCH + int(us) * _MICROSECOND


def utc(moment: np.datetime64) -> datetime:
    """The UTC instant of a numpy time, to the second.

    Example:
        >>> import numpy
        >>> utc(numpy.datetime64("2024-06-05T09:00")).isoformat()
        '2024-06-05T09:00:00+00:00'
    """
    return datetime.fromtimestamp(int(moment.astype("datetime64[s]").astype("int64")), UTC)
