# SPDX-License-Identifier: Apache-2.0
"""Sessions (charging stays, batches, trips) as they were reported: from when to when, and how much in all.

Comes in: a table of sessions of one flow. Goes out: an immutable record beside the values, and later the sessions of a
window. The values of the flow hold the same amounts spread over steps, which is what accounting needs; operating needs the
stays themselves, because their hours are the freedom that a plan can use. A file that is read twice is one record.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mangrove.ledger import records

if TYPE_CHECKING:
    from mangrove.ledger.store import Ledger

KIND = "sessions"
COLUMNS = pa.schema(
    [("start", pa.timestamp("us", tz="UTC")), ("end", pa.timestamp("us", tz="UTC")), ("amount", pa.float64())]
)


def put(ledger: Ledger, flow: str, table: pa.Table, source: str) -> str:
    """Stores the sessions of one flow and returns the id of the record.

    Args:
        ledger: opened for writing.
        flow: the declared flow, in whose unit the amounts are.
        table: columns start, end (UTC) and amount.
        source: who sent it.
    """
    document = json.dumps({"flow": flow, "source": source}, sort_keys=True).encode()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, COLUMNS) as writer:
        writer.write_table(table.select(COLUMNS.names).cast(COLUMNS).sort_by("start"))
    return ledger.put_record(KIND, document, sink.getvalue().to_pybytes())


def read(root: Path, flow: str, start: datetime, end: datetime) -> pa.Table:
    """The sessions of a flow that overlap `[start, end)`, by start; the same session reported twice counts once.

    Args:
        root: the folder of the ledger.
        flow: the declared flow.
        start: first instant (with a zone).
        end: first instant after.

    Returns:
        Columns start, end (UTC) and amount.
    """
    parts = [COLUMNS.empty_table()]
    for id_, _ in records.records(root, KIND):
        _, document, payload = records.record(root, id_)
        if json.loads(document)["flow"] == flow:
            parts.append(pa.ipc.open_stream(payload).read_all())
    table = pa.concat_tables(parts)
    inside = table.filter((pc.field("start") < end) & (pc.field("end") > start))
    distinct = inside.group_by(COLUMNS.names).aggregate([])
    return distinct.select(COLUMNS.names).sort_by([("start", "ascending"), ("end", "ascending")])
