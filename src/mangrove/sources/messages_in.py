# SPDX-License-Identifier: Apache-2.0
"""Payloads of messages to readings.

Comes in: the topic and the bytes of one message. Goes out: readings, or the reason why the message is none. Three forms of
JSON are read; keys other than these are an error, so that a typing mistake does not lose a unit:

    {"ts": "2026-11-21T09:30:00+07:00", "value": 3.2}                        one reading
    [{"flow": "mill", "ts": 1795228200, "value": 3.2, "unit": "kWh"}, ...]   several
    {"ts": [...], "value": [...], "flow": [...]}                             columns

`ts` is the start of the interval, ISO 8601 or Unix seconds or milliseconds; `end` may be given instead. A time without an
offset is the territory's local time. `flow`, `unit` and `quality` are optional; without `flow` the topic says it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mangrove.errors import MangroveError, Problem, did_you_mean
from mangrove.ledger.types import Quality
from mangrove.sources.plan import conversion
from mangrove.sources.problems import names_of
from mangrove.territory.model import Flow, Territory
from mangrove.text import fold
from mangrove.times import Step
from mangrove.units import unit

KEYS = frozenset({"ts", "end", "value", "flow", "unit", "quality"})
MOST_READINGS = 100_000
"""Readings in one message; a larger one is refused, so that one message cannot take all memory."""
AHEAD = timedelta(minutes=5)
"""A device time later than this after now is a clock error: the reading gets quality CLOCK."""
_MILLISECONDS = 100_000_000_000
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


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


@dataclass
class Decoder:
    """Reads messages for one territory.

    Attributes:
        territory: says flows, units and the local time.
        table: topic to flow id, for topics that do not end in a flow's id or meter.
    """

    territory: Territory
    table: dict[str, str]

    def __post_init__(self) -> None:
        self._names = names_of(self.territory.flows.values())
        self._factors: dict[tuple[str, str], float] = {}

    def decode(self, topic: str, payload: bytes, now: datetime) -> list[Reading]:
        """The readings of a message, all or none.

        Raises:
            BadMessageError: the message is not JSON of a known form, or one of its readings cannot be read.
        """
        try:
            document = json.loads(payload, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise BadMessageError("sources.bad_message", text=str(error)[:200]) from None
        return [self._reading(topic, one, now) for one in _objects(document)]

    def _reading(self, topic: str, one: dict[str, Any], now: datetime) -> Reading:
        strange = set(one) - KEYS
        if strange or "value" not in one or ("ts" in one) == ("end" in one):
            raise BadMessageError(
                "sources.bad_message", text=", ".join(sorted(map(str, strange or one)))[:200]
            )
        flow = self._flow(topic, one.get("flow"))
        step = flow.step if flow.step is not None else None
        at = self._instant(one.get("ts", one.get("end")))
        if "end" in one:
            if step is None or not step.seconds:
                raise BadMessageError("sources.counter_needs_step", flow=flow.id)
            at -= timedelta(seconds=step.seconds)
        value = one["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise BadMessageError("sources.bad_number", text=str(value)[:80], column="value")
        quality = _quality(one.get("quality", 0))
        if quality == Quality.GOOD and at > now + AHEAD:
            quality = Quality.CLOCK
        micro = (at - _FIRST) // timedelta(microseconds=1)
        return Reading(flow.id, micro, float(value) * self._factor(flow, step, one.get("unit")), int(quality))

    def _flow(self, topic: str, named: Any) -> Flow:
        """The flow that the message names, or the table, or the end of the topic (`mg/gateway/STATION/SO2`)."""
        if named is not None:
            found = self._names.get(fold(str(named)))
            if found is None:
                hint = did_you_mean(str(named), self.territory.flows)
                raise BadMessageError("sources.unknown_flow", flow=str(named)[:80], hint=hint, rows=1)
            return self.territory.flows[found]
        if topic in self.table:
            return self.territory.flows[self.table[topic]]
        levels = topic.split("/")
        for first in range(len(levels)):
            found = self._names.get(fold("/".join(levels[first:])))
            if found is not None:
                return self.territory.flows[found]
        hint = did_you_mean(levels[-1], self.territory.flows)
        raise BadMessageError("sources.unknown_topic", topic=topic, hint=hint)

    def _instant(self, written: Any) -> datetime:
        try:
            if isinstance(written, str):
                at = datetime.fromisoformat(written)
                at = at if at.tzinfo else at.replace(tzinfo=self.territory.tz)
                at = at.astimezone(UTC)
            elif isinstance(written, int | float) and not isinstance(written, bool):
                at = _FIRST + timedelta(seconds=written / 1000 if abs(written) > _MILLISECONDS else written)
            else:
                raise BadMessageError("sources.bad_time", text=str(written)[:80])
        except (ValueError, OverflowError):
            raise BadMessageError("sources.bad_time", text=str(written)[:80]) from None
        if not _FIRST <= at < _LAST:
            raise BadMessageError("sources.bad_year", text=str(written)[:80])
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def _factor(self, flow: Flow, step: Step | None, written: Any) -> float:
        if not written:
            return 1.0
        key = (flow.id, str(written))
        if key not in self._factors:
            try:
                self._factors[key] = conversion(unit(str(written)), flow, step)[0]
            except MangroveError:
                raise BadMessageError("sources.bad_unit", text=str(written)[:80]) from None
        return self._factors[key]


def _refuse(name: str) -> float:
    raise ValueError(name)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _quality(written: Any) -> Quality:
    try:
        return Quality(int(written))
    except (ValueError, TypeError, OverflowError):
        raise BadMessageError("sources.bad_quality", text=str(written)[:80]) from None


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """The single readings of a document, as objects."""
    if isinstance(document, dict) and isinstance(document.get("value"), list):
        yield from _columns(document)
    elif isinstance(document, dict):
        yield document
    elif isinstance(document, list) and len(document) <= MOST_READINGS:
        for one in document:
            if not isinstance(one, dict):
                raise BadMessageError("sources.bad_message", text=str(one)[:200])
            yield one
    else:
        raise BadMessageError("sources.bad_message", text=str(document)[:200])


def _columns(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    count = len(document["value"])
    lists = {key: cell for key, cell in document.items() if isinstance(cell, list)}
    if any(len(cells) != count for cells in lists.values()) or count > MOST_READINGS:
        raise BadMessageError("sources.bad_message", text=", ".join(sorted(map(str, lists)))[:200])
    single = {key: cell for key, cell in document.items() if key not in lists}
    for i in range(count):
        yield {**single, **{key: cells[i] for key, cells in lists.items()}}
