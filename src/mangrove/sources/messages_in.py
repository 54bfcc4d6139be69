# SPDX-License-Identifier: Apache-2.0
"""Payloads of messages to readings: the forms of JSON, times, and the columns in which a group of messages is collected.

Comes in: payloads, many at a time. Goes out: columns of readings and, for each message that is none, the reason. Three forms of JSON
are read; keys other than these are an error, so that a typing mistake does not lose a unit:

    {"ts": "2026-11-21T09:30:00+07:00", "value": 3.2}                        one reading
    [{"flow": "mill", "ts": 1795228200, "value": 3.2, "unit": "kWh"}, ...]   several
    {"ts": [...], "value": [...], "flow": [...]}                             columns

`ts` is the start of the interval, ISO 8601 or Unix seconds or milliseconds; `end` may be given instead. A time without an
offset is the territory's local time. `flow`, `unit` and `quality` are optional; without `flow` the topic says it.

A message gives all of its readings or none. Nothing is done for single readings that can be done for the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import Problem
from mangrove.ledger.types import Quality, Rejected
from mangrove.sources.convert import Values
from mangrove.sources.events import step_start
from mangrove.sources.stamps import Bools, Ints
from mangrove.times import Step

MOST_READINGS = 100_000
"""Readings in one message; a larger one is refused, so that one message cannot take all memory."""
AHEAD = timedelta(minutes=5)
"""A device time later than this after now is a clock error: the reading gets quality CLOCK."""
_MILLISECONDS = 100_000_000_000
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_LAST_MICRO = 4_102_444_800_000_000
_BAD, _FAR = -1, -2
"""What is no time, and a time outside the years 1970 to 2099."""
_QUALITIES = frozenset(int(quality) for quality in Quality)
Stamp = int | float | str


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a declared flow: start in microseconds UTC, value in the flow's unit, quality code."""

    flow: str
    start: int
    value: float
    quality: int = 0


class BadMessageError(Exception):
    """A message that is no reading; `problem` says why."""

    def __init__(self, code: str, **data: Any) -> None:
        self.problem = Problem(code, data, severity="warning")
        super().__init__(code)


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual message: one value with its time."""

    ts: Stamp
    value: float


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """All that an object may hold; a list in one key makes it columns."""

    value: float | list[float]
    ts: Stamp | list[Stamp] | msgspec.UnsetType = msgspec.UNSET
    end: Stamp | list[Stamp] | msgspec.UnsetType = msgspec.UNSET
    flow: str | list[str | None] | None = None
    unit: str | list[str | None] | None = None
    quality: int | list[int] = 0

    def columns(self) -> int:
        """How many readings it holds, once it is known to make sense.

        Raises:
            BadMessageError: `sources.bad_message`: no time or two, lists of different lengths, too long a list.
        """
        if (self.ts is msgspec.UNSET) == (self.end is msgspec.UNSET):
            raise BadMessageError("sources.bad_message", text="ts, end")
        names = ("value", "ts", "end", "flow", "unit", "quality")
        lists = {name: len(cell) for name in names if isinstance(cell := getattr(self, name), list)}
        count = lists.get("value", 1)
        if (lists and "value" not in lists) or set(lists.values()) - {count} or count > MOST_READINGS:
            raise BadMessageError("sources.bad_message", text=", ".join(lists))
        return count

    def cells(self, name: str, count: int) -> Sequence[Any]:
        """One key as a list of `count` cells."""
        cell = getattr(self, name)
        return cell if isinstance(cell, list) else [cell] * count


read_plain = msgspec.json.Decoder(Plain).decode
read_document = msgspec.json.Decoder(Document | list[Document]).decode
read_number = msgspec.json.Decoder(float).decode
read_any = msgspec.json.Decoder().decode
UNREADABLE = (ValueError, RecursionError)
"""What the decoders raise: not JSON, not of the form, not UTF-8, nested too deeply."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where readings go and what is done with them on the way.

    Attributes:
        name: key in the ledger: the flow's id, or the one of its events.
        factor: a number as sent times this is a value in the flow's unit.
        shift: microseconds that a time lies behind the start of its interval (`end` was given).
        hold: the step whose start the reading gets; None: the time is the start already.
    """

    name: str
    factor: float = 1.0
    shift: int = 0
    hold: Step | None = None


@dataclass
class Columns:
    """The readings of one group of messages, as they are found; one list entry each, and what is wrong by message."""

    tz: ZoneInfo
    message: list[int] = field(default_factory=list)
    channel: list[int] = field(default_factory=list)
    at: list[Any] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    apart: dict[int, int] = field(default_factory=dict)
    """Microseconds by which an event stands behind its millisecond, by row."""
    bad: dict[int, Problem] = field(default_factory=dict)

    def add_many(
        self, messages: Sequence[int], channel: int, at: Sequence[Any], value: Sequence[float]
    ) -> None:
        """One good reading of each of several messages."""
        self.message += messages
        self.channel += repeat(channel, len(messages))
        self.at += at
        self.value += value
        self.quality += repeat(0, len(messages))

    def add(self, message: int, channel: int, at: Any, value: float, quality: int = 0) -> None:
        """One reading."""
        self.message.append(message)
        self.channel.append(channel)
        self.at.append(at)
        self.value.append(value)
        self.quality.append(quality)

    def add_columns(self, message: int, channel: int, at: Sequence[Any], value: Sequence[float]) -> None:
        """Several good readings of one message."""
        self.add_many([message] * len(value), channel, at, value)

    def stand_apart(self, micro: int) -> None:
        """Sets the reading that was added last apart from others of its millisecond."""
        if micro:
            self.apart[len(self.at) - 1] = micro

    def cut(self, rows: int) -> None:
        """Takes back all readings after the first `rows`: their message turned out to be bad."""
        for column in (self.message, self.channel, self.at, self.value, self.quality):
            del column[rows:]
        for row in [row for row in self.apart if row >= rows]:
            del self.apart[row]

    def finish(
        self, channels: Sequence[Channel], payloads: Sequence[bytes], now: datetime
    ) -> tuple[Values, list[Rejected]]:
        """Everything as arrays: times in UTC, values in the unit of the flow, the last of each flow and start."""
        at, channel, value, quality = self._arrays()
        message = np.array(self.message, dtype=np.int64)
        keep = self._judge(at, message)
        if not keep.all():
            at, channel, message = at[keep], channel[keep], message[keep]
            value, quality = value[keep], quality[keep]
        late = (at > _micro(now + AHEAD)) & (quality == Quality.GOOD)
        quality = np.where(late, np.uint8(Quality.CLOCK), quality)
        used = np.unique(channel)
        start = self._starts(at, channel, used, channels)
        names = list(dict.fromkeys(channels[one].name for one in used.tolist()))
        place = {name: i for i, name in enumerate(names)}
        flow_of, factor_of = np.zeros(len(channels), np.int32), np.ones(len(channels))
        for one in used.tolist():
            flow_of[one], factor_of[one] = place[channels[one].name], channels[one].factor
        values = Values(names, flow_of[channel], start, value * factor_of[channel], quality, message)
        held = np.array([one.hold is not None for one in channels], dtype=bool)[channel]
        values, rejected = _last_of_each(values, payloads, held)
        rejected += [Rejected(payloads[i], problem) for i, problem in sorted(self.bad.items())]
        values.line = np.zeros(len(values), dtype=np.int64)
        return values, rejected

    def _arrays(
        self,
    ) -> tuple[Ints, npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        at = instants(self.at, self.tz)
        if self.apart:
            rows = np.fromiter(self.apart.keys(), dtype=np.int64)
            good = at[rows] >= 0
            at[rows[good]] += np.fromiter(self.apart.values(), dtype=np.int64)[good]
        return (
            at,
            np.array(self.channel, dtype=np.int32),
            np.array(self.value, dtype=np.float64),
            np.array(self.quality, dtype=np.uint8),
        )

    def _judge(self, at: Ints, message: Ints) -> Bools:
        """Which rows stay: those of messages without any fault; times that are none are faults."""
        for row in np.flatnonzero(at < 0).tolist():
            code = "sources.bad_time" if at[row] == _BAD else "sources.bad_year"
            problem = Problem(code, {"text": str(self.at[row])[:80]}, severity="warning")
            self.bad.setdefault(self.message[row], problem)
        if not self.bad:
            return np.ones(len(at), dtype=bool)
        return ~np.isin(message, np.fromiter(self.bad, dtype=np.int64))

    def _starts(
        self, at: Ints, channel: npt.NDArray[np.int32], used: Any, channels: Sequence[Channel]
    ) -> Ints:
        start = at.copy()
        for one in used.tolist():
            shift, hold = channels[one].shift, channels[one].hold
            if shift or hold is not None:
                rows = channel == one
                start[rows] = at[rows] - shift
                if hold is not None:
                    start[rows] = step_start(start[rows], hold, self.tz)
        return start


def _last_of_each(values: Values, payloads: Sequence[bytes], held: Bools) -> tuple[Values, list[Rejected]]:
    """One value per flow and start, that of the latest message; a different earlier one is set aside with its reason.

    Of the states in one step (`held`) the last stands for it, and the earlier ones are not remarkable.
    """
    count = len(values)
    order = np.lexsort((np.arange(count), values.line, values.start, values.flow))
    ordered = values.pick(order)
    same = (np.diff(ordered.flow) == 0) & (np.diff(ordered.start) == 0) if count > 1 else np.zeros(0, bool)
    if not same.any():
        return values, []
    rejected = []
    for i in np.flatnonzero(same).tolist():
        alike = ordered.value[i] == ordered.value[i + 1] and ordered.quality[i] == ordered.quality[i + 1]
        if not alike and not held[order[i]]:
            data = {"flow": ordered.names[ordered.flow[i]], "text": f"{ordered.value[i]:g}", "line": 0}
            problem = Problem("sources.repeated", data, severity="warning")
            rejected.append(Rejected(payloads[int(ordered.line[i])], problem))
    return ordered.pick(np.append(~same, [True])), rejected


def instants(written: Sequence[Any], tz: ZoneInfo) -> Ints:
    """Times as sent to microseconds UTC, cut to milliseconds; -1 for what is no time, -2 for one outside 1970 to 2099.

    Example:
        >>> instants(["1980-01-01T07:00:00", 2, 2e12, "x"], ZoneInfo("Asia/Ho_Chi_Minh")).tolist()
        [315532800000000, 2000000, 2000000000000000, -1]
    """
    found = np.empty(len(written), dtype=np.int64)
    kinds = set(map(type, written))
    for kind in kinds:
        rows = (
            range(len(written))
            if len(kinds) == 1
            else [i for i, one in enumerate(written) if type(one) is kind]
        )
        some = written if len(kinds) == 1 else [written[i] for i in rows]
        quick = _texts(some) if kind is str else _numbers(some) if kind in (int, float) else None
        if quick is None:
            quick = np.fromiter((_instant(one, tz) for one in some), dtype=np.int64, count=len(some))
        found[rows] = quick
    whole = found - found % 1000
    return np.asarray(np.where(found < 0, found, np.where(found < _LAST_MICRO, whole, _FAR)))


def _numbers(written: Sequence[Any]) -> Ints | None:
    """Unix seconds or milliseconds; None when a number is out of reach of the arithmetic here."""
    numbers = np.array(written)
    reach = _MILLISECONDS * 1000
    if (
        numbers.dtype.kind not in "if" or not ((numbers > -reach) & (numbers < reach)).all()
    ):  # NaN is not either
        return None
    scale = np.where(np.abs(numbers) > _MILLISECONDS, 1000, 1_000_000)
    if numbers.dtype.kind == "f":
        found = np.rint(numbers * scale)
        return np.asarray(np.where(found < 0, _FAR, found).astype(np.int64))
    return np.asarray(np.where(numbers < 0, _FAR, numbers * scale))


def _texts(written: Sequence[str]) -> Ints | None:
    """ISO 8601 with offsets, all at once; None when any text needs a closer look."""
    try:
        parsed = pc.cast(pa.array(written, pa.string()), pa.timestamp("us", "UTC"))
    except (pa.ArrowInvalid, UnicodeError):
        return None
    found = parsed.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.asarray(np.where(found < 0, _FAR, found))


def _instant(written: Any, tz: ZoneInfo) -> int:
    """One time, by itself."""
    try:
        if isinstance(written, str):
            at = datetime.fromisoformat(written)
            at = (at if at.tzinfo else at.replace(tzinfo=tz)).astimezone(UTC)
        elif isinstance(written, datetime):
            at = written.astimezone(UTC)
        elif isinstance(written, int | float) and not isinstance(written, bool):
            at = _FIRST + timedelta(seconds=written / 1000 if abs(written) > _MILLISECONDS else written)
        else:
            return _BAD
    except OverflowError:
        return _FAR
    except ValueError:
        return _BAD
    return _micro(at) if _FIRST <= at < _LAST else _FAR


def _micro(at: datetime) -> int:
    return (at - _FIRST) // timedelta(microseconds=1)


def quality_code(written: int) -> int:
    """`written` when it is a quality code.

    Raises:
        BadMessageError: `sources.bad_quality`.
    """
    if written not in _QUALITIES:
        raise BadMessageError("sources.bad_quality", text=str(written)[:80])
    return written


def as_values(readings: Sequence[Reading]) -> Values:
    """Readings as columns."""
    names = list(dict.fromkeys(one.flow for one in readings))
    index = {name: i for i, name in enumerate(names)}
    return Values(
        names,
        np.array([index[one.flow] for one in readings], dtype=np.int32),
        np.array([one.start for one in readings], dtype=np.int64),
        np.array([one.value for one in readings], dtype=np.float64),
        np.array([one.quality for one in readings], dtype=np.uint8),
        np.zeros(len(readings), dtype=np.int64),
    )
