# SPDX-License-Identifier: Apache-2.0
"""Sparkplug B: births, data and deaths of edge nodes and their devices.

Comes in: messages on `spBv1.0/GROUP/TYPE/NODE[/DEVICE]` in the order of arrival. Goes out: metrics by name with their times, problems
(a death, a gap in the numbering), and requests for a rebirth when data speaks of a metric whose birth was not heard.

The wire format is that of the public specification (Sparkplug 3.0, chapter 6: Payload of `org.eclipse.tahu.protobuf`), declared here by
its field numbers; what is not read here (metadata, properties, templates, data sets) is skipped by protobuf itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from mangrove.errors import Problem
from mangrove.sources.messages_in import BadMessageError

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
REBIRTH_EVERY = timedelta(seconds=10)
"""A node is asked for a birth at most this often: while the answer travels, more data without a birth may arrive."""
_NUMBERS = 256
"""`seq` and `bdSeq` count from 0 to 255 and start again (Sparkplug 3.0, 6.4.1)."""
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data types that are signed and stand in an unsigned field as two's complement: Int8, Int16, Int32, Int64, with their bits."""
_BOOLEAN = 11
_PAYLOAD = ((1, "timestamp", 4), (2, "metrics", 11), (3, "seq", 4), (4, "uuid", 9), (5, "body", 12))
_METRIC = (
    (1, "name", 9), (2, "alias", 4), (3, "timestamp", 4), (4, "datatype", 13), (5, "is_historical", 8), (6, "is_transient", 8),
    (7, "is_null", 8), (10, "int_value", 13), (11, "long_value", 4), (12, "float_value", 2), (13, "double_value", 1),
    (14, "boolean_value", 8), (15, "string_value", 9), (16, "bytes_value", 12),
)  # fmt: skip
"""Number, name and type of each field; types as descriptor.proto counts them: uint64 4, uint32 13, float 2, double 1, bool 8, string 9, bytes 12, message 11."""
_VALUES = ("double_value", "float_value", "long_value", "int_value", "boolean_value")
_BIRTHS, _DATA, _DEATHS = ("NBIRTH", "DBIRTH"), ("NDATA", "DDATA"), ("NDEATH", "DDEATH")
_OF_NODE, _OF_DEVICE = 4, 5


@cache
def payload_class() -> Any:
    """The protobuf class of a payload, built from the field numbers."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="mangrove/sparkplug.proto", package="mangrove", syntax="proto2"
    )
    outer = file.message_type.add(name="Payload")
    inner = outer.nested_type.add(name="Metric")
    for message, fields in ((outer, _PAYLOAD), (inner, _METRIC)):
        for number, name, kind in fields:
            made = message.field.add(name=name, number=number, type=kind, label=3 if kind == 11 else 1)  # noqa: PLR2004
            if made.type == made.TYPE_MESSAGE:
                made.type_name = ".mangrove.Payload.Metric"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mangrove.Payload"))


@dataclass(frozen=True, slots=True)
class Metric:
    """One named value: `at` in milliseconds since 1970, None for the time of arrival; `value` None when the device says that it has none."""

    source: tuple[str, ...]
    name: str
    at: int | None
    value: float | None


@dataclass
class _Node:
    """What is known of an edge node since its birth."""

    born: bool = False
    bd: int | None = None
    seq: int | None = None
    names: dict[str, dict[int, str]] = field(default_factory=dict)
    asked: datetime | None = None


@dataclass
class Nodes:
    """All edge nodes that were heard.

    Attributes:
        requests: topics and payloads to publish: rebirth requests.
        silent: sources (group, node and, if any, device) that said that they end, and did not come back.
    """

    requests: list[tuple[str, bytes]] = field(default_factory=list)
    silent: set[tuple[str, ...]] = field(default_factory=set)
    _nodes: dict[tuple[str, str], _Node] = field(default_factory=dict)

    def read(self, topic: str, payload: bytes, now: datetime) -> tuple[list[Metric], list[Problem]]:
        """The metrics of one message, and what is remarkable about it although it can be read.

        Raises:
            BadMessageError: `mqtt.bad_sparkplug`, or `mqtt.no_birth` when an alias was never named (a rebirth is requested).
        """
        levels = topic.split("/")
        kind = levels[2] if len(levels) in (_OF_NODE, _OF_DEVICE) else ""
        if kind in ("NCMD", "DCMD", "STATE"):
            return [], []
        if kind not in (*_BIRTHS, *_DATA, *_DEATHS) or kind.startswith("D") != (len(levels) == _OF_DEVICE):
            raise BadMessageError("mqtt.bad_sparkplug", topic=topic[:200], text="topic")
        message = _parsed(topic, payload)
        group, name, device = levels[1], levels[3], levels[4] if len(levels) == _OF_DEVICE else ""
        node = self._nodes.setdefault((group, name), _Node())
        source = (group, name, device) if device else (group, name)
        if kind in _DEATHS:
            return [], self._death(node, source, kind, message)
        problems = []
        if kind == "NBIRTH":
            self._born(node, source, message)
        elif gap := self._numbered(node, message):
            problems.append(Problem("mqtt.sparkplug_gap", {"topic": topic, **gap}, severity="warning"))
            self._ask(node, source, now)
        if kind in _BIRTHS:
            node.names[device] = {one.alias: one.name for one in message.metrics if one.HasField("alias")}
            self.silent.discard(source)
        elif not node.born:
            self._ask(node, source, now)
        return self._metrics(node, source, message, now), problems

    def _born(self, node: _Node, source: tuple[str, ...], message: Any) -> None:
        """A new session: devices are born again after it, and numbering starts anew."""
        for old in [one for one in self.silent if one[:2] == source[:2]]:
            self.silent.discard(old)
        node.names.clear()
        node.born, node.seq, node.asked = True, int(message.seq), None
        found = [one.long_value for one in message.metrics if one.name == "bdSeq"]
        node.bd = int(found[0]) if found else None

    def _numbered(self, node: _Node, message: Any) -> dict[str, int]:
        """The gap before a message, empty when there is none; afterwards counting goes on from it."""
        expected, node.seq = node.seq, int(message.seq)
        if expected is None or not node.born or int(message.seq) == (expected + 1) % _NUMBERS:
            return {}
        return {"expected": (expected + 1) % _NUMBERS, "seq": int(message.seq)}

    def _death(self, node: _Node, source: tuple[str, ...], kind: str, message: Any) -> list[Problem]:
        """An end; that of a node counts only when it names the birth that we know, because wills arrive late."""
        if kind == "NDEATH":
            said = [one.long_value for one in message.metrics if one.name == "bdSeq"]
            if said and node.bd is not None and int(said[0]) != node.bd:
                return []
            node.born = False
            node.names.clear()
        else:
            self._numbered(node, message)
            node.names.pop(source[2], None)
        self.silent.add(source)
        return [Problem("mqtt.silent", {"device": "/".join(source)}, severity="warning")]

    def _ask(self, node: _Node, source: tuple[str, ...], now: datetime) -> None:
        """Requests a rebirth, not more often than `REBIRTH_EVERY`."""
        if node.asked is None or now - node.asked >= REBIRTH_EVERY:
            node.asked = now
            self.requests.append((f"{NAMESPACE}/{source[0]}/NCMD/{source[1]}", rebirth(now)))

    def _metrics(self, node: _Node, source: tuple[str, ...], message: Any, now: datetime) -> list[Metric]:
        names = node.names.get(source[2] if len(source) > 2 else "", {})  # noqa: PLR2004 - group, node, device
        found = []
        for one in message.metrics:
            name = one.name or names.get(one.alias, "")
            if not name:
                self._ask(node, source, now)
                raise BadMessageError("mqtt.no_birth", device="/".join(source), alias=int(one.alias))
            at = one.timestamp or message.timestamp or None
            found.append(Metric(source, name, int(at) if at else None, _number(one)))
        return found


def _parsed(topic: str, payload: bytes) -> Any:
    from google.protobuf.message import DecodeError

    message = payload_class()()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise BadMessageError("mqtt.bad_sparkplug", topic=topic[:200], text=str(error)[:80]) from None
    return message


def _number(metric: Any) -> float | None:
    """The value as a number; NaN for one that is none (a text, a data set), None when it is declared absent."""
    if metric.is_null:
        return None
    for name in _VALUES:
        if metric.HasField(name):
            value = getattr(metric, name)
            bits = _SIGNED.get(metric.datatype)
            if bits and isinstance(value, int):
                value &= (1 << bits) - 1
                value -= (value >> (bits - 1)) << bits
            return float(value)
    return float("nan")


def rebirth(now: datetime) -> bytes:
    """The payload of a rebirth request."""
    message = payload_class()()
    message.timestamp = int(now.timestamp() * 1000)
    message.metrics.add(name=REBIRTH, timestamp=message.timestamp, datatype=_BOOLEAN, boolean_value=True)
    made: bytes = message.SerializeToString()
    return made
