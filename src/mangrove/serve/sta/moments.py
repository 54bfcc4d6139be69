# SPDX-License-Identifier: Apache-2.0
"""Instants, intervals and durations as SensorThings writes them.

Comes in: ISO 8601 text of a request or of a filter. Goes out: microseconds since 1970 in UTC, and text again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mangrove.serve.sta.errors import StaError
from mangrove.times import from_us, to_us

EARLIEST = to_us(datetime(1, 1, 1, tzinfo=UTC))
LATEST = to_us(datetime.max.replace(tzinfo=UTC))
SECOND = 1_000_000
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2})(:\d{2})?(?:[.,](\d{1,9})\d*)?(Z|z|[+\- ]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?", re.ASCII
)


def read_instant(text: str) -> int:
    """Microseconds of an ISO 8601 instant; a time without an offset is UTC.

    Raises:
        StaError: `sta.not_a_time`.

    Example:
        >>> read_instant("1970-01-01T07:00:01.5+07:00")
        1500000
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        raise StaError("sta.not_a_time", text=text)
    day, clock, seconds, fraction, offset = match.groups()
    zone = "+00:00" if offset in (None, "Z", "z") else offset.replace(" ", "+")
    if len(zone) == 3:  # noqa: PLR2004 - "+07"
        zone += ":00"
    micro = f"{(fraction or '0')[:6]:0<6}"
    try:
        return to_us(datetime.fromisoformat(f"{day}T{clock}{seconds or ':00'}.{micro}{zone}").astimezone(UTC))
    except (ValueError, OverflowError):
        raise StaError("sta.not_a_time", text=text) from None


def read_period(text: object) -> tuple[int, int | None]:
    """An instant, an interval `start/end`, or `{"start": ..., "end": ...}`: start and end (None for an instant).

    Raises:
        StaError: `sta.not_a_time`, `sta.reversed`.
    """
    if isinstance(text, dict):
        start, end = text.get("start"), text.get("end")
        if not isinstance(start, str) or not isinstance(end, str | None) or set(text) - {"start", "end"}:
            raise StaError("sta.not_a_time", text=text)
    elif isinstance(text, str):
        start, slash, rest = text.partition("/")
        end = rest if slash else None
    else:
        raise StaError("sta.not_a_time", text=text)
    first = read_instant(start)
    last = None if end is None else read_instant(end)
    if last is not None and last < first:
        raise StaError("sta.reversed", text=text)
    return first, last


def read_duration(text: str) -> int:
    """Microseconds of an ISO 8601 duration of days, hours, minutes and seconds.

    Raises:
        StaError: `sta.not_a_duration`.

    Example:
        >>> read_duration("PT1H30M") == 90 * 60 * SECOND
        True
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or text.strip().endswith(("P", "T")):
        raise StaError("sta.not_a_duration", text=text)
    sign, days, hours, minutes, seconds = match.groups()
    length = timedelta(
        days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0)
    )
    return (-1 if sign == "-" else 1) * (length // timedelta(microseconds=1))


def write_instant(us: int) -> str:
    """ISO 8601 in UTC with `Z`; a fraction only when there is one.

    Example:
        >>> write_instant(1500000), write_instant(0)
        ('1970-01-01T00:00:01.500Z', '1970-01-01T00:00:00Z')
    """
    moment = from_us(us)
    fraction = us % SECOND
    if not fraction:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year > 999 else moment.isoformat()[:19] + "Z"  # noqa: PLR2004
    digits = f"{fraction // 1000:03}" if fraction % 1000 == 0 else f"{fraction:06}"
    return f"{moment.isoformat()[:19]}.{digits}Z"


def write_period(start: int, end: int | None) -> str:
    """An instant or `start/end`."""
    return write_instant(start) if end is None else f"{write_instant(start)}/{write_instant(end)}"
