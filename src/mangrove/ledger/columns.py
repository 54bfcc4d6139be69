# SPDX-License-Identifier: Apache-2.0
"""Values as plain arrays, and their two forms on disk: Arrow for hot batches, Parquet for sealed ones.

Comes in: arrays of flow ids, starts, values and quality codes. Goes out: the canonical bytes that the chain hashes,
an Arrow IPC stream for the catalogue, tables with the schema of a segment, and hourly partial sums.
Starts are microseconds since 1970 in UTC; files carry them as timestamps without a zone, so that no engine shifts them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.ledger.types import COUNTED, Quality

HOUR_US = 3_600_000_000
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

ROWS = pa.schema(
    [
        ("flow", pa.int32()),
        ("start", pa.timestamp("us")),
        ("value", pa.float64()),
        ("quality", pa.uint8()),
        ("batch", pa.int64()),
    ]
)
ROLLUP = pa.schema(
    [
        ("flow", pa.int32()),
        ("start", pa.timestamp("us")),
        ("total", pa.float64()),
        ("n", pa.int64()),
        ("n_excluded", pa.int64()),
        ("n_estimated", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("batch_min", pa.int64()),
        ("batch_max", pa.int64()),
        ("seal", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Values of one or more batches; all arrays have the same length."""

    flow: npt.NDArray[np.int32]
    start: Ints
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.flow)

    def take(self, index: npt.NDArray[Any]) -> Columns:
        """The rows at `index` (positions or a mask)."""
        return Columns(self.flow[index], self.start[index], self.value[index], self.quality[index])

    @classmethod
    def join(cls, parts: list[Columns]) -> Columns:
        """All rows of `parts`, one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([p.flow for p in parts]),
            np.concatenate([p.start for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.quality for p in parts]),
        )

    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical content; the rows must be sorted by flow and start.

        Row count, then the columns as little-endian fixed-width numbers without padding; an absent value is the one
        NaN of IEEE 754 that numpy writes. It does not depend on the file format, so a sealed batch can be checked.
        """
        value = np.where(np.isnan(self.value), np.nan, self.value)
        digest = hashlib.sha256(len(self).to_bytes(8, "little"))
        digest.update(self.flow.astype("<i4", copy=False).tobytes())
        digest.update(self.start.astype("<i8", copy=False).tobytes())
        digest.update(value.astype("<f8", copy=False).tobytes())
        digest.update(self.quality.tobytes())
        return digest.hexdigest()

    def to_table(self, batch: Ints) -> pa.Table:
        """A table with the schema of a segment; `batch` has one id for each row."""
        start = pa.Array.from_buffers(
            pa.timestamp("us"), len(self), [None, pa.py_buffer(np.ascontiguousarray(self.start))]
        )
        return pa.Table.from_arrays(
            [pa.array(self.flow), start, pa.array(self.value), pa.array(self.quality), pa.array(batch)],
            schema=ROWS,
        )

    @classmethod
    def of(cls, table: pa.Table) -> Columns:
        """The arrays of a table with the columns of a segment."""
        start = table.column("start").cast(pa.int64()).to_numpy()
        return cls(
            table.column("flow").to_numpy(),
            start,
            table.column("value").to_numpy(),
            table.column("quality").to_numpy(),
        )


def encode(table: pa.Table) -> bytes:
    """An Arrow IPC stream; lz4, because a hot batch lives for minutes and every commit waits for it."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode(body: bytes) -> pa.Table:
    """The table of an Arrow IPC stream."""
    with pa.ipc.open_stream(body) as stream:
        return stream.read_all()


def counted(quality: npt.NDArray[np.uint8]) -> Mask:
    """Which values enter sums."""
    return np.isin(quality, [int(code) for code in COUNTED])


def sort_rows(table: pa.Table) -> pa.Table:
    """Rows of a segment by flow, start and batch."""
    start = table.column("start").cast(pa.int64()).to_numpy()
    order = np.lexsort((table.column("batch").to_numpy(), start, table.column("flow").to_numpy()))
    return table.take(pa.array(order)).combine_chunks()


def last_of_key(columns: Columns) -> Mask:
    """For rows sorted by flow, start and batch: whether a row is the last version of its (flow, start)."""
    last = np.ones(len(columns), dtype=bool)
    last[:-1] = (columns.flow[1:] != columns.flow[:-1]) | (columns.start[1:] != columns.start[:-1])
    return last


def first_of_key(columns: Columns) -> Mask:
    """For rows sorted by flow, start and batch: whether a row is the first arrival of its (flow, start)."""
    first = np.ones(len(columns), dtype=bool)
    first[1:] = last_of_key(columns)[:-1]
    return first


def rollup(versions: pa.Table, seal: int) -> pa.Table:
    """Hourly sums of the current values among `versions` (segment rows sorted by flow, start and batch).

    One row for each (flow, hour): sum, least and greatest of the counted values (null when none is counted), how many
    are counted, excluded and estimated (a marker of a missing value is none of them), and the range of batches of all
    versions in the hour. Partial sums of disjoint sets of values add up.
    """
    everything = Columns.of(versions)
    batches = versions.column("batch").to_numpy()
    current = last_of_key(everything)
    columns = everything.take(current)
    flow, hour, edges = _hours(columns.flow, columns.start)
    enters = counted(columns.quality)
    n = np.add.reduceat(enters.astype(np.int64), edges)
    present = np.add.reduceat((columns.quality != Quality.MISSING).astype(np.int64), edges)
    none = n == 0
    _, _, all_edges = _hours(everything.flow, everything.start)
    value = columns.value
    return pa.Table.from_arrays(
        [
            pa.array(flow),
            pa.array(hour).cast(pa.timestamp("us")),
            pa.array(np.add.reduceat(np.where(enters, value, 0.0), edges), mask=none),
            pa.array(n),
            pa.array(present - n),
            pa.array(np.add.reduceat((columns.quality == Quality.FILLED).astype(np.int64), edges)),
            pa.array(np.minimum.reduceat(np.where(enters, value, np.inf), edges), mask=none),
            pa.array(np.maximum.reduceat(np.where(enters, value, -np.inf), edges), mask=none),
            pa.array(np.minimum.reduceat(batches, all_edges)),
            pa.array(np.maximum.reduceat(batches, all_edges)),
            pa.array(np.full(len(edges), seal, dtype=np.int64)),
        ],
        schema=ROLLUP,
    )


def _hours(
    flow: npt.NDArray[np.int32], start: Ints
) -> tuple[npt.NDArray[np.int32], Ints, npt.NDArray[np.intp]]:
    """Flow, hour and first position of each run of equal (flow, hour) in sorted rows."""
    hour = start - start % HOUR_US
    new = np.ones(len(flow), dtype=bool)
    new[1:] = (flow[1:] != flow[:-1]) | (hour[1:] != hour[:-1])
    edges = np.flatnonzero(new)
    return flow[edges], hour[edges], edges
