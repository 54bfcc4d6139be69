# SPDX-License-Identifier: Apache-2.0
"""What the catalogue says about itself: batches, quarantined rows, and the immutable records of runs.

Comes in: the ledger's folder. Goes out: Arrow tables and records, each read in one short transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import LedgerError
from mangrove.ledger.catalog import reader
from mangrove.ledger.chain import fingerprint
from mangrove.ledger.types import BatchInfo
from mangrove.times import from_us

_UTC = pa.timestamp("us", "UTC")
BATCHES = pa.schema(
    [
        ("batch", pa.int64()),
        ("source", pa.string()),
        ("seq", pa.string()),
        ("rows", pa.int64()),
        ("unchanged", pa.int64()),
        ("rejected", pa.int64()),
        ("recorded_at", _UTC),
        ("run", pa.string()),
        ("model", pa.string()),
        ("version", pa.string()),
        ("inputs", pa.string()),
        ("note", pa.string()),
        ("start_min", _UTC),
        ("start_max", _UTC),
        ("hash", pa.string()),
    ]
)
QUARANTINE = pa.schema(
    [
        ("batch", pa.int64()),
        ("source", pa.string()),
        ("recorded_at", _UTC),
        ("line", pa.int64()),
        ("raw", pa.binary()),
        ("code", pa.string()),
        ("data", pa.string()),
    ]
)
_SHORT_ID = re.compile(r"[0-9a-f]{8,64}")


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [
        pa.array(column, pa.int64()).cast(field.type)
        if pa.types.is_timestamp(field.type)
        else pa.array(column, field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def batches(root: Path, cut: int | None = None) -> pa.Table:
    """All batches (up to `cut`), oldest first, with the schema `BATCHES`; `inputs` is a JSON list."""
    columns = ", ".join("id" if name == "batch" else name for name in BATCHES.names)
    bound = "" if cut is None else f"where id <= {cut}"
    with reader(root) as db:
        rows = db.execute(f"select {columns} from batch {bound} order by id").fetchall()
    return _table(rows, BATCHES)


def quarantine(root: Path) -> pa.Table:
    """All refused rows in the order in which they came, with the schema `QUARANTINE`."""
    with reader(root) as db:
        rows = db.execute(
            "select q.batch, b.source, b.recorded_at, q.line, q.raw, q.code, q.data "
            "from quarantine q join batch b on b.id = q.batch order by q.id"
        ).fetchall()
    return _table(rows, QUARANTINE)


def refused(root: Path) -> list[tuple[str, str, int, datetime]]:
    """How many rows were refused, by source and code, and when the first came; no row itself is read, however many there are."""
    with reader(root) as db:
        rows = db.execute(
            "select b.source, q.code, count(*), min(b.recorded_at) "
            "from quarantine q join batch b on b.id = q.batch group by 1, 2 order by min(q.id)"
        ).fetchall()
    return [(source, code, count, from_us(at)) for source, code, count, at in rows]


INSERT = "insert into record values (?, ?, ?, ?, ?) on conflict (id) do nothing"


def record_id(kind: str, document: bytes, payload: bytes) -> str:
    """The content hash that names a record."""
    return fingerprint([kind.encode(), document, payload])


def record(root: Path, id_: str) -> tuple[str, bytes, bytes]:
    """Kind, document and payload of the one record whose id begins with `id_`."""
    if not _SHORT_ID.fullmatch(id_):
        raise LedgerError("ledger.not_an_id", id=id_)
    with reader(root) as db:
        rows = db.execute(
            "select kind, document, payload from record where id >= ? and id < ? limit 2",
            (id_, id_ + "g"),  # "g" sorts after every hexadecimal digit
        ).fetchall()
    if len(rows) != 1:
        raise LedgerError("ledger.ambiguous_record" if rows else "ledger.no_record", id=id_)
    kind, document, payload = rows[0]
    return kind, bytes(document), bytes(payload)


def records(root: Path, kind: str) -> list[tuple[str, datetime]]:
    """Ids and times of all records of one kind, oldest first."""
    with reader(root) as db:
        rows = db.execute(
            "select id, recorded_at from record where kind = ? order by recorded_at, id", (kind,)
        ).fetchall()
    return [(id_, from_us(at)) for id_, at in rows]


def infos(root: Path, used: Mapping[int, int]) -> list[BatchInfo]:
    """The batches that are keys of `used`, oldest first; `used` says how many current values each gives."""
    rows = batches(root).filter(pc.field("batch").isin(pa.array(used, pa.int64()))).to_pylist()
    return [
        BatchInfo(
            batch=row["batch"],
            source=row["source"],
            seq=row["seq"],
            run=row["run"],
            model=row["model"],
            version=row["version"],
            inputs=tuple(json.loads(row["inputs"])),
            note=row["note"],
            recorded_at=row["recorded_at"].astimezone(UTC),
            rows=row["rows"],
            hash=row["hash"],
            used=used[row["batch"]],
        )
        for row in rows
    ]
