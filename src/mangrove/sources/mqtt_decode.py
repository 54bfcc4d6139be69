# SPDX-License-Identifier: Apache-2.0
"""A group of MQTT messages to values: one way for all forms, and most of it done once for the group.

Comes in: topics and payloads in the order of arrival, and what the clock says. Goes out: values in the units of their flows, the
messages that are none with their reasons, and what has to be published in answer. The usual message, `{"ts": ..., "value": ...}` on a
topic of one flow, costs one typed decoding and four list entries; times and units are worked out on arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import UNSET

from mangrove.ledger.types import Quality, Rejected
from mangrove.sources import events
from mangrove.sources.convert import Values
from mangrove.sources.messages_in import (
    MOST_READINGS,
    UNREADABLE,
    BadMessageError,
    Columns,
    Document,
    quality_code,
    read_any,
    read_document,
    read_number,
    read_plain,
)
from mangrove.sources.mqtt_points import Route, Routes, Target
from mangrove.sources.mqtt_sparkplug import Nodes
from mangrove.territory.model import Territory

_ABSENT = object()


@dataclass(slots=True)
class Group:
    """What a group of messages held: values, messages set aside, and what to publish in answer."""

    values: Values
    rejected: list[Rejected]
    answers: list[tuple[str, bytes]] = field(default_factory=list)


class Decoder:
    """Reads messages for one territory.

    Example:
        >>> import tempfile, datetime as dt, mangrove as mg
        >>> from pathlib import Path
        >>> from mangrove.testing import two_factory_park
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     decoder = Decoder(mg.open(two_factory_park(Path(folder))).territory)
        >>> now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
        >>> decoder.group(["mg/gw/mill.power"], [b'{"ts": 1795219200, "value": 2}'], now).values.value.tolist()
        [2.0]
    """

    def __init__(self, territory: Territory) -> None:
        self.territory = territory
        self.routes = Routes(territory)
        self.nodes = Nodes()

    def group(self, topics: Sequence[str], payloads: Sequence[bytes], now: datetime) -> Group:
        """All readings of a group of messages, one per flow and start (the last), and the messages to set aside.

        Args:
            topics: of the messages, in the order of arrival.
            payloads: as many.
            now: the time of arrival.
        """
        columns = Columns(self.territory.tz)
        noted: list[Rejected] = []
        of_topic: dict[str, list[int]] = {}
        for i, topic in enumerate(topics):
            if topic in of_topic:
                of_topic[topic].append(i)
            else:
                of_topic[topic] = [i]
        sparkplug = []
        for topic, mine in of_topic.items():
            route = self.routes.find(topic)
            if route.sparkplug:
                sparkplug += mine
            elif not route.ignored:
                self._read(route, mine, payloads, columns, now)
        for i in sorted(sparkplug):  # a birth says what later data on another topic means
            _whole(columns, i, partial(self._sparkplug, (topics[i], payloads[i]), i, columns, noted, now))
        values, rejected = columns.finish(self.routes.channels, payloads, now)
        answers, self.nodes.requests = self.nodes.requests, []
        return Group(values, rejected + noted, answers)

    def _read(
        self, route: Route, mine: list[int], payloads: Sequence[bytes], columns: Columns, now: datetime
    ) -> None:
        if not self._usual(route, mine, payloads, columns, now):
            for i in mine:
                _whole(columns, i, partial(self._message, route, i, payloads[i], columns, now))

    def _usual(
        self, route: Route, mine: list[int], payloads: Sequence[bytes], columns: Columns, now: datetime
    ) -> bool:
        """Reads all messages of a topic at once, when each holds one value with its time and nothing else, or one number."""
        if route.targets or bool(route.plain) == bool(route.numbers):
            return False
        try:
            if route.plain:
                found = [read_plain(payloads[i]) for i in mine]
                at: list[Any] = [one.ts for one in found]
                value = [one.value for one in found]
            else:
                value = [read_number(payloads[i]) for i in mine]
                at = [arrival(now)] * len(mine)
        except UNREADABLE:
            return False
        for channel in route.numbers or [channel for channel, _, _ in route.plain]:
            columns.add_many(mine, channel, at, value)
        return True

    def _message(self, route: Route, i: int, payload: bytes, columns: Columns, now: datetime) -> None:
        """The readings of one message, in whatever forms its topic has.

        Raises:
            BadMessageError: it is none; what was added for it is taken back by the caller.
        """
        try:
            if route.plain or route.refused is not None:
                self._document(route, i, read_document(payload), columns)
            if route.numbers:
                number = read_number(payload)
                for channel in route.numbers:
                    columns.add(i, channel, arrival(now), number)
            if route.targets:
                self._targets(route, i, read_any(payload), columns, now)
        except UNREADABLE as error:
            raise BadMessageError("sources.bad_message", text=str(error)[:200]) from None

    def _document(self, route: Route, i: int, document: Document | list[Document], columns: Columns) -> None:
        """The usual JSON forms: an object, several, or columns."""
        several = document if isinstance(document, list) else [document]
        if len(several) > MOST_READINGS:
            raise BadMessageError("sources.bad_message", text=f"> {MOST_READINGS}")
        for one in several:
            count = one.columns()
            ending = one.end is not UNSET
            at, value = one.cells("end" if ending else "ts", count), one.cells("value", count)
            if not isinstance(one.flow, list) and not isinstance(one.unit, list) and one.quality == 0:
                for channel in self._channels(route, one.flow, one.unit, ending=ending):
                    columns.add_columns(i, channel, at, value)
                continue
            quality = [quality_code(code) for code in one.cells("quality", count)]
            named = zip(one.cells("flow", count), one.cells("unit", count), strict=True)
            for row, key in enumerate(named):
                for channel in self._channels(route, *key, ending=ending):
                    columns.add(i, channel, at[row], value[row], quality[row])

    def _channels(self, route: Route, flow: str | None, unit: str | None, *, ending: bool) -> list[int]:
        """Where readings go that name (or do not name) a flow and a unit."""
        if flow is not None:
            return [self.routes.usual(self.routes.named(route, flow), None, unit, ending=ending)]
        if route.refused is not None:
            raise route.refused
        return [self.routes.usual(its, point, unit, ending=ending) for _, its, point in route.plain]

    def _targets(self, route: Route, i: int, document: Any, columns: Columns, now: datetime) -> None:
        """Values inside any JSON document; a message that has none of them is no reading."""
        before = len(columns.at)
        for target in route.targets:
            said = walk(document, target.path)
            if said is _ABSENT:
                continue
            said = target.take(said) if target.take is not None else said
            identity = _identity(document, target)
            at = next(
                (one for path in target.time if (one := walk(document, path)) is not _ABSENT),
                arrival(now),
            )
            if isinstance(said, list):
                _several(i, target, said, at, columns)
            else:
                number, quality = _value(said)
                columns.add(i, target.channel, at, number, quality)
                columns.stand_apart(identity)
        if len(columns.at) == before:
            paths = ", ".join(".".join(target.path) for target in route.targets)
            raise BadMessageError("mqtt.no_path", text=paths[:200])

    def _sparkplug(
        self, message: tuple[str, bytes], i: int, columns: Columns, noted: list[Rejected], now: datetime
    ) -> None:
        """The metrics of one Sparkplug message that are points."""
        metrics, problems = self.nodes.read(*message, now)
        noted += [Rejected(message[1], problem) for problem in problems]
        for metric in metrics:
            for channel in self.routes.metrics.get(metric.source, {}).get(metric.name, ()):
                if metric.value is not None and not math.isfinite(metric.value):
                    raise BadMessageError("sources.bad_number", text=str(metric.value), column=metric.name)
                at = arrival(now) if metric.at is None else metric.at
                if metric.value is None:
                    columns.add(i, channel, at, math.nan, int(Quality.MISSING))
                else:
                    columns.add(i, channel, at, metric.value)


def arrival(now: datetime) -> int:
    """The time of arrival as a device would write it: Unix milliseconds."""
    return int(now.timestamp() * 1000)


def walk(document: Any, path: Sequence[str]) -> Any:
    """What stands at a path of keys and list positions; a marker of its own when nothing does."""
    for key in path:
        if isinstance(document, dict) and key in document:
            document = document[key]
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return _ABSENT
    return document


def _whole(columns: Columns, message: int, read: Callable[[], Any]) -> None:
    """Lets `read` add the readings of a message, all or none of them."""
    before = len(columns.at)
    try:
        read()
    except BadMessageError as error:
        columns.cut(before)
        columns.bad[message] = error.problem


def _identity(document: Any, target: Target) -> int:
    """What sets an event apart from others of its millisecond."""
    if target.identity is None:
        return 0
    said = walk(document, target.identity)
    if isinstance(said, bool) or not isinstance(said, str | int) or said == "":
        raise BadMessageError("mqtt.no_identity", text=".".join(target.identity))
    return events.apart(str(said))


def _several(i: int, target: Target, said: list[Any], at: Any, columns: Columns) -> None:
    """A list of values with a list of times as long."""
    if not isinstance(at, list) or len(at) != len(said) or len(said) > MOST_READINGS or target.identity:
        raise BadMessageError("sources.bad_message", text=".".join(target.path))
    for one, its in zip(said, at, strict=True):
        number, quality = _value(one)
        columns.add(i, target.channel, its, number, quality)


def _value(said: Any) -> tuple[float, int]:
    """A number, or the gap that `null` says.

    Raises:
        BadMessageError: `sources.bad_number`.
    """
    if said is None:
        return math.nan, int(Quality.MISSING)
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise BadMessageError("sources.bad_number", text=str(said)[:80], column="value")
    try:
        return float(said), 0
    except OverflowError:
        raise BadMessageError("sources.bad_number", text=str(said)[:80], column="value") from None
