# SPDX-License-Identifier: Apache-2.0
"""Immutable Parquet files named by their content: segments of values and hourly roll-ups.

Comes in: tables sorted by flow, start and batch. Goes out: files that are on disk, name included, before anyone lists
them, and their catalogue entries. A file that no catalogue lists is a leftover of an interrupted seal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mangrove.ledger.catalog import Part, guarded, sync
from mangrove.times import from_us

SEGMENTS = "segments"
ROLLUPS = "rollups"
LOST = "lost"
FILE_ROWS = 1 << 20
"""Rows of one segment: days are kept whole below it, and a scan opens one file for a million rows."""
ROW_GROUP = 131_072
DAY_US = 86_400_000_000


def write(folder: Path, table: pa.Table, part: str) -> Part:
    """Writes `table` under `folder` and returns its entry; the bytes are on disk, its name is not synced yet.

    Args:
        folder: the ledger's `segments` or `rollups`.
        table: rows with `flow`, `start` and `batch` (or `batch_min`, `batch_max`), sorted, in one chunk.
        part: `base` or `late`.
    """
    low, high = ("batch", "batch") if "batch" in table.column_names else ("batch_min", "batch_max")
    # Starts and batches run in regular steps: their differences take almost no room. Values repeat (a meter shows
    # few digits), so a dictionary suits them; where they do not, Parquet leaves the dictionary by itself.
    steps = {"start", low, high}
    body = pa.BufferOutputStream()
    pq.write_table(
        table,
        body,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=[name for name in table.column_names if name not in steps],
        column_encoding=dict.fromkeys(steps, "DELTA_BINARY_PACKED"),
    )
    data = body.getvalue()
    sha256 = hashlib.sha256(data).hexdigest()
    starts = pc.min_max(table.column("start").cast(pa.int64())).as_py()
    name = f"{from_us(starts['min']):%Y-%m-%d}.{sha256}.parquet"
    with guarded():
        temporary = folder / f"{name}.tmp"
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / name)
    return Part(
        path=f"{folder.name}/{name}",
        part=part,
        sha256=sha256,
        bytes=len(data),
        rows=table.num_rows,
        start_min=starts["min"],
        start_max=starts["max"],
        batch_min=pc.min(table.column(low)).as_py(),
        batch_max=pc.max(table.column(high)).as_py(),
    )


def write_by_day(folder: Path, table: pa.Table, part: str) -> list[Part]:
    """Writes `table` as one file, or as several that hold whole days, each of about `FILE_ROWS` rows."""
    return [write(folder, piece, part) for piece in by_day(table, FILE_ROWS)]


def by_day(table: pa.Table, limit: int) -> Iterator[pa.Table]:
    """Pieces of `table` along UTC days: days join while they have at most `limit` rows together."""
    if table.num_rows <= limit:
        if table.num_rows:
            yield table
        return
    day = table.column("start").cast(pa.int64()).to_numpy() // DAY_US
    days, rows = np.unique(day, return_counts=True)
    for first, last in group(rows, limit):
        chosen = (day >= days[first]) & (day <= days[last])
        yield table.filter(pa.array(chosen)).combine_chunks()


def group(rows: Iterable[int], limit: int) -> list[tuple[int, int]]:
    """Runs of neighbors, as (first, last) positions, of at most `limit` rows together; one alone may exceed it.

    Example:
        >>> group([3, 3, 9, 1], 6)
        [(0, 1), (2, 2), (3, 3)]
    """
    runs: list[tuple[int, int]] = []
    total = 0
    for index, count in enumerate(rows):
        if runs and total + count <= limit:
            runs[-1] = (runs[-1][0], index)
            total += count
        else:
            runs.append((index, index))
            total = count
    return runs


def prepare(root: Path) -> None:
    """Makes the folders of a new ledger durable."""
    with guarded():
        fresh = not root.is_dir()
        root.mkdir(parents=True, exist_ok=True)
        for name in (SEGMENTS, ROLLUPS):
            (root / name).mkdir(exist_ok=True)
        sync(root)
        if fresh:
            sync(root.parent)


def sweep(root: Path, listed: set[str]) -> int:
    """Clears away the files that no catalogue row lists; only the writer may call it, when it opens the store.

    Half-written files go. Whole ones are moved to `lost/`: most hold rows that are still hot, but after the catalogue was
    restored from an older copy they hold the values that came since, and a person may want them.
    """
    swept = 0
    with guarded():
        for name in (SEGMENTS, ROLLUPS):
            for path in (root / name).iterdir():
                if f"{name}/{path.name}" in listed:
                    continue
                if name == SEGMENTS and path.suffix == ".parquet":
                    (root / LOST).mkdir(exist_ok=True)
                    path.replace(root / LOST / path.name)
                else:
                    path.unlink()
                swept += 1
    return swept
