# SPDX-License-Identifier: Apache-2.0
"""Observations written: numbers of declared flows into the ledger, everything else into the store.

Comes in: Observations of clients, one or many. Goes out: their ids, after they are on disk. A number for a declared flow becomes a
value of the ledger and counts; what a client said beside it (resultTime, validTime, parameters) is kept and shown with it. A
change is a later version, a deletion is a row with the quality MISSING. Text, objects and truth values, and Observations with a
Feature of their own, stand in the store.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mangrove.ledger.door import FUTURE
from mangrove.ledger.types import Origin, Quality
from mangrove.serve.clock import Clock
from mangrove.serve.sta import moments
from mangrove.serve.sta.errors import CONFLICT, FORBIDDEN, StaError
from mangrove.serve.sta.model import Model
from mangrove.serve.sta.readings import Readings
from mangrove.serve.sta.rows import Row
from mangrove.serve.sta.store import Store
from mangrove.serve.sta.write import Writer, result_of
from mangrove.times import to_us

if TYPE_CHECKING:
    from mangrove.sources.intake import Intake

AHEAD = timedelta(minutes=5)
"""A value that starts later than this after the server's clock comes from a device whose clock is wrong."""
_WAIT = 30.0


@dataclass(frozen=True)
class Stream:
    """A Datastream as far as writing needs it; `series` is empty when its values stand in the store."""

    id: int
    flow: str = ""
    series: str = ""
    feature: int | None = None
    writable: bool = True


@dataclass
class Value:
    """A value for the ledger, and what was said beside it."""

    stream: Stream
    start: int
    value: float | None
    quality: Quality
    extra: dict[str, Any] = field(default_factory=dict)


class Observer:
    """Writes Observations for one caller.

    Args:
        who: names the source of the batches; seq: key of the request, so that the same request sent again changes nothing.
    """

    def __init__(
        self,
        store: Store,
        readings: Readings,
        intake: Intake | None,
        clock: Clock,
        who: str,
        *,
        seq: str = "",
    ) -> None:
        self.store, self.readings, self.intake, self.clock = store, readings, intake, clock
        self.origin = Origin(f"sta:{who}", seq or uuid.uuid4().hex)

    def stream(self, id_: int) -> Stream | None:
        """The Datastream with this id."""
        rows = self.store.rows(
            "select id, flow, series, feature, writable from datastream where id = ?", (id_,)
        )
        return Stream(id_, rows[0][1] or "", rows[0][2] or "", rows[0][3], bool(rows[0][4])) if rows else None

    def for_ledger(self, stream: Stream, body: Mapping[str, Any], model: Model) -> Value | None:
        """The value that a body means; None when it belongs into the store.

        Raises:
            StaError: it is meant for the ledger and cannot stand there.
        """
        result = body.get("result")
        own = body.get("FeatureOfInterest" if model.prefix else "ProximateFeatureOfInterest")
        if not stream.series or isinstance(result, bool) or not isinstance(result, int | float):
            return None
        if own is not None and not self._is_default(own, stream, model):
            return None
        if not stream.writable:
            raise StaError("sta.amounts", CONFLICT, path=f"Datastreams({stream.id})")
        said = body.get("phenomenonTime")
        now = to_us(self.clock.now())
        start, end = (now, None) if said is None else moments.read_period(said)
        if end not in (None, start, self.readings.end_of(stream.series, start)):
            step = self.readings.territory.flows[stream.flow].step
            raise StaError("sta.not_the_step", flow=stream.flow, step=step, text=said)
        if not 0 <= start <= now + FUTURE // timedelta(microseconds=1):
            raise StaError(
                "sta.refused_row", reason="ledger.before_1970" if start < 0 else "ledger.far_future"
            )
        quality = read_quality(body.get("resultQuality"))
        if quality == Quality.GOOD and start > now + AHEAD // timedelta(microseconds=1):
            quality = Quality.CLOCK
        return Value(stream, start, float(result), quality, self._extra(body, model))

    def _is_default(self, own: Any, stream: Stream, model: Model) -> bool:
        id_ = own.get(model.control("id")) if isinstance(own, dict) else None
        text = str(id_).rpartition("(")[2].rstrip(")")
        return text.isdecimal() and int(text) == stream.feature

    def _extra(self, body: Mapping[str, Any], model: Model) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if body.get("resultTime") is not None:
            extra["result_time"] = moments.read_period(body["resultTime"])[0]
        if body.get("validTime") is not None:
            extra["valid_start"], extra["valid_end"] = moments.read_period(body["validTime"])
        parameters = body.get("parameters" if model.prefix else "properties")
        if parameters is not None:
            if not isinstance(parameters, dict):
                raise StaError("sta.bad_value", kind="Observation", name="parameters", expected="{...}")
            extra["parameters"] = json.dumps(parameters, ensure_ascii=False)
        return extra

    def put(self, values: Sequence[Value]) -> list[str]:
        """Writes values as one batch; their ids, once they are on disk.

        Raises:
            SourceError: `sources.busy`. LedgerError: the store refuses. Nothing was written then.
        """
        if self.intake is None:
            raise StaError("sta.forbidden", FORBIDDEN, who="read-only")
        last = {(value.stream.series, value.start): value for value in values}
        rows = list(last.values())
        table = pa.table(
            {
                "flow": [value.stream.flow for value in rows],
                "start": pa.array([value.start for value in rows], pa.int64()).cast(
                    pa.timestamp("us", "UTC")
                ),
                "value": pa.array([value.value for value in rows], pa.float64()),
                "quality": pa.array([int(value.quality) for value in rows], pa.uint8()),
            }
        )
        receipt = self.intake.offer(table, self.origin).result(_WAIT)
        self.readings.touch()
        if receipt.rejected:
            raise StaError("sta.refused_row", reason="ledger.rejected")
        noted = [value for value in rows if value.extra]
        if noted:
            with self.store.writing() as db:
                for value in noted:
                    keys = ", ".join(["series", "start", *value.extra])
                    marks = ", ".join("?" * (len(value.extra) + 2))
                    sets = ", ".join(f"{name} = excluded.{name}" for name in value.extra)
                    db.execute(
                        f"insert into extra ({keys}) values ({marks}) on conflict do update set {sets}",
                        [value.stream.series, value.start, *value.extra.values()],
                    )
        return [f"{self.readings.number(value.stream.series)}-{value.start}" for value in values]

    def change(self, row: Row, body: Mapping[str, Any], model: Model) -> None:
        """A later version of a value of the ledger."""
        stream = self.stream(row["datastream"])
        assert stream is not None
        if not stream.writable:
            raise StaError("sta.amounts", CONFLICT, path=f"Datastreams({stream.id})")
        said = body.get("phenomenonTime")
        if said is not None and moments.read_period(said)[0] != row["phen_start"]:
            raise StaError("sta.time_is_identity", CONFLICT, path=f"Observations('{row['id']}')")
        result = body.get("result", row["result"])
        if isinstance(result, bool) or not isinstance(result, int | float):
            raise StaError("sta.bad_value", kind="Observation", name="result", expected="number")
        quality = Quality(row["quality"]["code"])
        if "resultQuality" in body:
            quality = read_quality(body["resultQuality"])
        self.put([Value(stream, row["phen_start"], float(result), quality, self._extra(body, model))])

    def forget(self, row: Row) -> None:
        """A version that says: there is no value."""
        stream = self.stream(row["datastream"])
        assert stream is not None
        if not stream.writable:
            raise StaError("sta.amounts", CONFLICT, path=f"Datastreams({stream.id})")
        self.put([Value(stream, row["phen_start"], None, Quality.MISSING)])
        with self.store.writing() as db:
            db.execute("delete from extra where series = ? and start = ?", (stream.series, row["phen_start"]))


def read_quality(said: Any) -> Quality:
    """The quality code in `resultQuality`: 0 to 8, a name, or `{"code": 0}`; absent means good.

    Raises:
        StaError: `sta.bad_quality`.

    Example:
        >>> read_quality({"code": 8}), read_quality("filled"), read_quality(None)
        (<Quality.MANUAL: 8>, <Quality.FILLED: 7>, <Quality.GOOD: 0>)
    """
    value = said.get("code") if isinstance(said, dict) else said
    if said is None:
        return Quality.GOOD
    if isinstance(value, str) and value.upper() in Quality.__members__:
        value = int(Quality[value.upper()])
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < Quality.MISSING:
        raise StaError("sta.bad_quality", text=str(said)[:80])
    return Quality(value)


def store_observation(writer: Writer, stream: Stream, body: Mapping[str, Any]) -> str:
    """Writes an Observation into the store, inside the writer's transaction; its id."""
    result_of(body.get("result"))
    kind = writer.model.kinds["Observation"]
    return f"s{writer.create(kind, body, {'datastream': stream.id})}"
