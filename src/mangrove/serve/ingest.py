# SPDX-License-Identifier: Apache-2.0
"""Values in over HTTP: readings of devices, runs of models, corrections by people, records and sessions.

Comes in: requests with a body of readings (see `mangrove.sources.bodies`) and who sends them. Goes out: the receipt of the ledger,
given only after the batch is on disk. A request that comes again (the same `Idempotency-Key`, or the same bytes) is answered
and changes nothing. A full queue is answered with 429, a disk that refuses with 507: nothing waits in memory without bound.
Reading values back is in `mangrove.serve.values_out`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mangrove.errors import MangroveError, SourceError
from mangrove.ledger import sessions
from mangrove.ledger.store import Ledger
from mangrove.ledger.types import HAPPENED, Origin, Quality, Receipt, check_run
from mangrove.serve import requests
from mangrove.serve.access.limits import Buckets
from mangrove.serve.scope import Principal, Scope
from mangrove.serve.state import Live
from mangrove.sources import bodies
from mangrove.sources.line_protocol import decode_lines
from mangrove.sources.sheet import Decoded, Names, Sheet, clock_of, values_of
from mangrove.sources.stamps import WallClock

WRITERS = ("admin", "operator", "tenant", "device", "worker")
ARROW, JSON, CSV, LINES = "application/vnd.apache.arrow.stream", "application/json", "text/csv", "text/plain"
HEADERS = ("run", "model", "version", "inputs", "note")
"""Headers `Mangrove-Run`, `Mangrove-Model`, ... of values that a model computed; `inputs` are hashes parted by commas."""
MOST_SHOWN = 20
"""Problems listed in an answer; all of them are in quarantine."""
IN_THREAD = 256 << 10
"""Bytes of a body from which on it is decoded beside the event loop: about a millisecond of work."""
RUBBISH = 64 << 20
"""Bytes of rows that cannot be read which one sender may leave in quarantine at first; so many again in a day."""
_ROW, _DAY = 200, 86_400
LONGEST_SESSION = 31 * 86_400_000_000
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}")
Audit = Callable[[str, Principal, Mapping[str, object]], object]


class Strict(BaseModel):
    """A document of which every key is known."""

    model_config = ConfigDict(extra="forbid", str_max_length=1_000_000)


class Correction(Strict):
    """A reading that a person corrects."""

    flow: str = Field(max_length=200)
    ts: str | int | float = Field(description="start of the interval: ISO 8601 or Unix time")
    value: float
    unit: str = Field("", max_length=40)
    reason: str = Field(max_length=2000)


class Record(Strict):
    """An immutable document of a run."""

    kind: str = Field(max_length=64)
    document: dict[str, Any] | str
    payload: str = Field("", description="bytes in base64")


class Stays(Strict):
    """Sessions of one flow, as columns."""

    flow: str = Field(max_length=200)
    start: list[str | int | float] = Field(max_length=100_000)
    end: list[str | int | float] = Field(max_length=100_000)
    amount: list[float] = Field(max_length=100_000)


@dataclass
class Door:
    """What the routes share: the live state, limits, and the names that each sender may use."""

    live: Live
    most_bytes: int = requests.MOST_BYTES
    most_unpacked: int = requests.MOST_UNPACKED
    _names: dict[object, Names] = field(default_factory=dict)
    _rubbish: Buckets = field(default_factory=lambda: Buckets(RUBBISH / _DAY, RUBBISH))

    def names(self, principal: Principal) -> Names:
        """The names that `principal` may use; kept for each role, place and device until the declaration changes."""
        territory = self.live.territory
        key = (principal.key, territory.content_hash)
        found = self._names.get(key)
        if found is None:
            if len(self._names) > 1000:  # noqa: PLR2004 - devices of a large park
                self._names.clear()
            writes = Scope(territory, principal).writes
            found = self._names[key] = Names(territory, writes, principal.device)
        return found

    def _not_too_bad(self, principal: Principal, decoded: Decoded) -> None:
        """Refuses a sender whose rows are bad again and again: what cannot be read is kept, so it must have an end."""
        size = sum(_ROW + len(one.raw) for one in decoded.rejected)
        wait = self._rubbish.take(principal.id, min(size, RUBBISH)) if size else 0.0
        if wait:
            raise SourceError("limits.rubbish", seconds=math.ceil(wait))

    async def offer(self, decoded: Decoded, origin: Origin) -> Receipt:
        """Hands values to the writer and waits until they are on disk."""
        intake = self.live.intake
        if intake is None:
            raise SourceError("sources.closed")
        return await asyncio.wrap_future(intake.offer(decoded.values, origin, decoded.rejected))

    async def call(self, work: Callable[[Ledger], Any]) -> Any:
        """Runs `work` on the writer's thread."""
        if self.live.intake is None:
            raise SourceError("sources.closed")
        return await asyncio.wrap_future(self.live.intake.call(work))

    async def take(
        self, request: Request, principal: Principal, form: str, **options: Any
    ) -> tuple[Decoded, Receipt]:
        """Reads the body, decodes it and stores it."""
        body = await requests.body(request, self.most_bytes, self.most_unpacked)
        said = {name: value for name in HEADERS if (value := request.headers.get(f"mangrove-{name}"))}
        if "run" in said:
            _may_run(said["run"], principal)
            options["ahead"] = said["run"] not in HAPPENED
        decode = _DECODERS[form]
        work = (body, self.names(principal), self.live.clock.now())
        if len(body) > IN_THREAD:
            decoded = await asyncio.to_thread(decode, *work, **options)
        else:
            decoded = decode(*work, **options)
        if not decoded.rows:
            raise SourceError("sources.empty")
        self._not_too_bad(principal, decoded)
        said = {**decoded.meta, **said}
        _may_run(said.get("run", "measured"), principal)
        seq = _key(request) or _hash(body, said, decoded, self.live.clock.now().isoformat())
        return decoded, await self.offer(decoded, origin_of(f"http:{principal.id}", seq, said))


_DECODERS: dict[str, Callable[..., Decoded]] = {
    ARROW: bodies.decode_arrow,
    JSON: bodies.decode_json,
    CSV: bodies.decode_csv,
    LINES: decode_lines,
}


def router(
    live: Live,
    access: Any,
    *,
    audit: Audit | None = None,
    most_bytes: int = requests.MOST_BYTES,
    most_unpacked: int = requests.MOST_UNPACKED,
) -> APIRouter:
    """The routes that write.

    Args:
        live: what is served; its `intake` takes the values.
        access: `access.need(*roles, guests=False)` is the FastAPI dependency that gives a `Principal` with one of the roles, or refuses.
        audit: told of every correction: action, who, and what.
        most_bytes: of one body as it is sent.
        most_unpacked: of one body after it was unpacked.
    """
    door = Door(live, most_bytes, most_unpacked)
    api = APIRouter(tags=["values in"])
    _values(api, door, access)
    _influx(api, door, access)
    _corrections(api, door, access, audit)
    _runs(api, door, access)
    return api


def _values(api: APIRouter, door: Door, access: Any) -> None:
    who: Any = Depends(access.need(*WRITERS, guests=False))
    content = {form: {"schema": {"type": "string", "format": "binary"}} for form in (ARROW, CSV)}
    content[JSON] = {"schema": {"type": "object"}}
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "maxLength": 200},
    }
    extra = {"requestBody": {"required": True, "content": content}, "parameters": [key]}

    @api.post("/api/v1/values", openapi_extra=extra)
    async def post_values(request: Request, principal: Principal = who) -> Response:
        """Stores readings: Arrow stream, columnar JSON, a list of objects, or CSV."""
        lang = requests.language(request, door.live.territory.lang)
        try:
            decoded, receipt = await door.take(request, principal, _form(request))
        except MangroveError as error:
            return requests.refused(error, lang)
        return requests.answer({**receipt_of(receipt), "problems": _problems(decoded, lang)})


def _influx(api: APIRouter, door: Door, access: Any) -> None:
    who: Any = Depends(access.need(*WRITERS, guests=False))
    extra = {"requestBody": {"required": True, "content": {LINES: {"schema": {"type": "string"}}}}}

    @api.post("/api/v2/write", status_code=204, openapi_extra=extra)
    @api.post("/write", status_code=204, openapi_extra=extra, include_in_schema=False)
    async def write(request: Request, precision: str = "ns", principal: Principal = who) -> Response:
        """Stores readings in InfluxDB's line protocol; `org`, `bucket` and `db` are not looked at."""
        lang = requests.language(request, door.live.territory.lang)
        try:
            decoded, receipt = await door.take(request, principal, LINES, precision=precision)
        except MangroveError as error:
            answer = requests.refused(error, lang)
            words = {"code": _influx_code(answer.status_code), "message": error.text(lang)}
            return requests.answer({**words, "error": words["message"]}, answer.status_code, _kept(answer))
        if not len(decoded.values):
            problem = decoded.rejected[0].reason.text(lang)
            return requests.answer({"code": "invalid", "message": problem, "error": problem}, 400)
        return Response(status_code=204, headers={"mangrove-rejected": str(receipt.rejected)})


def _influx_code(status: int) -> str:
    """The word that version 2 of the interface has for a status."""
    known = {403: "forbidden", 413: "request too large", 429: "too many requests", 503: "unavailable"}
    return known.get(status, "invalid" if status < 500 else "internal error")  # noqa: PLR2004 - our fault


def _kept(response: Response) -> dict[str, str]:
    return {
        name: response.headers[name] for name in ("retry-after", "connection") if name in response.headers
    }


def _corrections(api: APIRouter, door: Door, access: Any, audit: Audit | None) -> None:
    who: Any = Depends(access.need("admin", "operator", guests=False))

    @api.post("/api/v1/corrections", openapi_extra=requests.described(Correction))
    async def correct(request: Request, principal: Principal = who) -> Response:
        """Stores what a person says a reading was: a row of a later batch, of quality MANUAL; the reading itself stays."""
        lang = requests.language(request, door.live.territory.lang)
        try:
            given = await requests.document(request, Correction)
            decoded = corrected(given, door.names(principal), door.live)
            seq = _key(request) or uuid4().hex
            receipt = await door.offer(
                decoded, Origin(f"person:{principal.id}", seq, note=given.reason.strip())
            )
        except MangroveError as error:
            return requests.refused(error, lang)
        if audit is not None and not receipt.duplicate:
            await asyncio.to_thread(
                audit,
                "reading.corrected",
                principal,
                {"batch": receipt.batch, "hash": receipt.hash, **given.model_dump()},
            )
        return requests.answer({**receipt_of(receipt), "problems": []})


def corrected(given: Correction, names: Names, live: Live) -> Decoded:
    """The one value of a correction.

    Raises:
        SourceError: `ingest.no_reason`, `ingest.bad_value`, `ingest.no_flow`, or what a reading could not be.
    """
    if not given.reason.strip():
        raise SourceError("ingest.no_reason")
    if not math.isfinite(given.value):
        raise SourceError("ingest.bad_value")
    target = names.find(given.flow)
    if target is None:
        raise SourceError("ingest.no_flow", flow=given.flow)
    sheet = Sheet(
        np.zeros(1, np.int32),
        [given.flow],
        [target],
        _moment(given.ts),
        np.array([given.value]),
        lambda _: given.model_dump_json(),
        quality=np.array([Quality.MANUAL], np.uint8),
        unit=np.array([0], np.int32) if given.unit else None,
        units=[given.unit],
    )
    decoded = values_of(sheet, names, live.clock.now())
    for one in decoded.rejected:
        raise SourceError(one.reason.code, **one.reason.data)
    return decoded


def _moment(written: str | float) -> WallClock:
    try:
        return clock_of(pa.array([written]))
    except (OverflowError, pa.ArrowException):
        raise SourceError("ingest.bad_time", text=str(written)[:40]) from None


def _runs(api: APIRouter, door: Door, access: Any) -> None:
    who: Any = Depends(access.need("admin", "worker", guests=False))

    @api.post("/api/v1/records", openapi_extra=requests.described(Record), dependencies=[who])
    async def put_record(request: Request) -> Response:
        """Stores an immutable document of a run and answers with its id, the hash of its content."""
        lang = requests.language(request, door.live.territory.lang)
        try:
            given = await requests.document(request, Record, door.most_unpacked)
            if not _KIND.fullmatch(given.kind):
                raise SourceError("ingest.bad_kind", kind=given.kind)
            document = (
                given.document
                if isinstance(given.document, str)
                else json.dumps(given.document, sort_keys=True)
            )
            payload = _bytes(given.payload)
            id_ = await door.call(lambda ledger: ledger.put_record(given.kind, document.encode(), payload))
        except MangroveError as error:
            return requests.refused(error, lang)
        return requests.answer({"id": id_})

    @api.post("/api/v1/sessions", openapi_extra=requests.described(Stays))
    async def put_sessions(request: Request, principal: Principal = who) -> Response:
        """Stores stays of vehicles (or batches, trips) of a flow: from when to when, and how much in the flow's unit."""
        lang = requests.language(request, door.live.territory.lang)
        try:
            given = await requests.document(request, Stays)
            target = door.names(principal).find(given.flow)
            if target is None:
                raise SourceError("ingest.no_flow", flow=given.flow)
            flow = door.names(principal).ids[target.flow]
            table = stays(given, door.names(principal))
            id_ = await door.call(lambda ledger: sessions.put(ledger, flow, table, f"http:{principal.id}"))
        except MangroveError as error:
            return requests.refused(error, lang)
        return requests.answer({"id": id_, "sessions": table.num_rows})


def stays(given: Stays, names: Names) -> pa.Table:
    """The table of sessions that the ledger keeps.

    Raises:
        SourceError: a column has another length, or a session cannot be.
    """
    count = len(given.amount)
    for name in ("start", "end"):
        if len(getattr(given, name)) != count:
            raise SourceError(
                "ingest.column_length", column=name, found=len(getattr(given, name)), expected=count
            )
    if not count:
        raise SourceError("sources.empty")
    ends = [bodies.instants(getattr(given, name), names.territory.tz) for name in ("start", "end")]
    amount = np.array(given.amount)
    wrong = (
        (ends[0] < 0)
        | (ends[1] <= ends[0])
        | (ends[1] - ends[0] > LONGEST_SESSION)
        | ~(amount > 0)
        | np.isinf(amount)
    )
    if wrong.any():
        raise SourceError("ingest.bad_session", line=int(np.flatnonzero(wrong)[0]) + 1)
    utc = pa.timestamp("us", "UTC")
    start, end = (pa.array(one, pa.int64()).cast(utc) for one in ends)
    return pa.table({"start": start, "end": end, "amount": pa.array(amount)})


def _bytes(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise SourceError("ingest.bad_payload") from None


def _form(request: Request) -> str:
    """The content type of a body; JSON when none is said."""
    said = (request.headers.get("content-type") or JSON).partition(";")[0].strip().lower()
    if said in {ARROW, JSON, CSV}:
        return said
    raise SourceError("ingest.bad_type", found=said[:80], options=f"{ARROW}, {JSON}, {CSV}")


def _may_run(run: str, principal: Principal) -> None:
    """Only a worker (or an administrator) computes; everyone else measures."""
    check_run(run)
    if run != "measured" and principal.role not in {"worker", "admin"}:
        raise SourceError("ingest.run_needs_worker", run=run)


def _key(request: Request) -> str:
    """The sender's own key; empty when there is none."""
    key = request.headers.get("idempotency-key", "")
    if key and not _KEY.fullmatch(key):
        raise SourceError("ingest.bad_key")
    return key


def _hash(body: bytes, said: Mapping[str, str], decoded: Decoded, now: str) -> str:
    """What makes a body without a key recognizable: its SHA-256, and the run; also the time when rows carry none."""
    digest = hashlib.sha256(body)
    if said:
        digest.update(json.dumps(said, sort_keys=True).encode())
    return digest.hexdigest() if decoded.timed else f"{digest.hexdigest()}@{now}"


def origin_of(source: str, seq: str, said: Mapping[str, str]) -> Origin:
    """The origin of a batch from what its headers or its metadata say."""
    inputs = tuple(word.strip() for word in said.get("inputs", "").split(",") if word.strip())
    words = {name: said[name] for name in ("run", "model", "version", "note") if name in said}
    return Origin(source, seq, inputs=inputs, **words)


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """What an answer says of a receipt."""
    return {
        "batch": receipt.batch,
        "rows": receipt.rows,
        "unchanged": receipt.unchanged,
        "rejected": receipt.rejected,
        "duplicate": receipt.duplicate,
        "hash": receipt.hash,
    }


def _problems(decoded: Decoded, lang: str) -> list[dict[str, Any]]:
    return [requests.said(one.reason, lang, one.line) for one in decoded.rejected[:MOST_SHOWN]]
