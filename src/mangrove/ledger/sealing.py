# SPDX-License-Identifier: Apache-2.0
"""Sealing and compaction: hot batches become immutable files, many small files become few.

Comes in: hot batches, or listed files. Goes out: new files on disk with their catalogue entries, which the writer then
lists in one transaction together with what they replace. Nothing in between is visible to a reader.

First arrivals of a (flow, start) are the family `base`, later versions are the family `late`. Hourly sums of first
arrivals add up however often an hour is sealed in parts; an hour that a later version touches is computed anew from
all versions, and that row replaces the partial sums before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.ledger import queries
from mangrove.ledger.catalog import Part, guarded, sync
from mangrove.ledger.columns import HOUR_US, ROWS, Columns, Mask, first_of_key, rollup, sort_rows
from mangrove.ledger.files import DAY_US, FILE_ROWS, ROLLUPS, SEGMENTS, group, write, write_by_day

SEAL_ROWS = 1_000_000
SEAL_COMMITS = 10_000
"""Hot rows, or commits, that make an append seal them; the second is for senders of single values."""


@dataclass(frozen=True, slots=True)
class Hot:
    """The rows of one commit that is not sealed yet.

    Attributes:
        last: the last batch of the commit.
        base, late: first arrivals and later versions, with the schema of a segment, or None.
        low, high: the first and last start, microseconds.
    """

    last: int
    base: pa.Table | None
    late: pa.Table | None
    low: int
    high: int

    @classmethod
    def of(cls, last: int, base: pa.Table | None, late: pa.Table | None) -> Hot:
        """The rows of one commit; at least one of the two families is there."""
        starts = pa.chunked_array([t.column("start").combine_chunks() for t in (base, late) if t is not None])
        ends = pc.min_max(starts.cast(pa.int64())).as_py()
        return cls(last, base, late, ends["min"], ends["max"])

    @property
    def rows(self) -> int:
        """Rows of both families."""
        return sum(table.num_rows for table in (self.base, self.late) if table is not None)


@dataclass(frozen=True, slots=True)
class Change:
    """Files to list, and files that they replace."""

    segments: list[Part]
    rollups: list[Part]
    retired_segments: list[str]
    retired_rollups: list[str]


def gather(hot: Sequence[Hot], part: str) -> pa.Table:
    """The rows of one family of all hot batches, in batch order."""
    tables = [table for one in hot if (table := getattr(one, part)) is not None]
    return pa.concat_tables(tables) if tables else ROWS.empty_table()


def union(root: Path, parts: Sequence[Part], *tables: str) -> str:
    """A relation of all versions in listed files and in the registered `tables`."""
    selects = [f"select {queries.ROW} from {table}" for table in tables]
    if parts:
        selects.insert(0, f"select {queries.ROW} from {queries.files(str(root / p.path) for p in parts)}")
    return "(" + " union all ".join(selects) + ")"


def lookup(
    rows: Columns, root: Path, segments: Sequence[Part], hot: Sequence[Hot]
) -> tuple[Mask, np.ndarray, np.ndarray]:
    """Current values of the (flow, start) of `rows`: whether stored, value, quality.

    Args:
        rows: keys to look up; each at most once.
        root: the ledger's folder.
        segments: all listed segments.
        hot: all rows that are not sealed.
    """
    low, high = int(rows.start.min()), int(rows.start.max())
    near = [part for part in segments if part.overlaps(low, high + 1)]
    near_hot = [one for one in hot if one.low <= high and one.high >= low]
    found = np.zeros(len(rows), dtype=bool)
    value = np.full(len(rows), np.nan)
    quality = np.zeros(len(rows), dtype=np.uint8)
    if not near and not near_hot:
        return found, value, quality
    door = rows.to_table(np.arange(len(rows))).rename_columns(
        ["flow", "start", "value", "quality", "position"]
    )
    with queries.connect() as db:
        db.register("door", door)
        db.register("hot_base", gather(near_hot, "base"))
        db.register("hot_late", gather(near_hot, "late"))
        relation = union(root, near, "hot_base", "hot_late")
        answer = queries.arrow(db, queries.fill("stored", door="door", rows=relation))
    position = answer.column("position").to_numpy()
    order = np.lexsort((answer.column("batch").to_numpy(), position))
    position = position[
        order
    ]  # several versions of one position: the last one written below is the current one
    last = np.append(position[1:] != position[:-1], True)[: len(position)]
    chosen = order[last]
    found[position[last]] = True
    value[position[last]] = answer.column("value").to_numpy()[chosen]
    quality[position[last]] = answer.column("quality").to_numpy()[chosen]
    return found, value, quality


def seal(root: Path, hot: Sequence[Hot], segments: Sequence[Part]) -> Change:
    """Writes the hot rows as segments and roll-ups.

    Args:
        root: the ledger's folder.
        hot: committed batches, all up to the last one given.
        segments: the listed segments, for the hours that corrections touch.
    """
    number = hot[-1].last
    base, late = sort_rows(gather(hot, "base")), sort_rows(gather(hot, "late"))
    change = Change(
        segments=write_by_day(root / SEGMENTS, base, "base") + write_by_day(root / SEGMENTS, late, "late"),
        rollups=[],
        retired_segments=[],
        retired_rollups=[],
    )
    if base.num_rows:
        change.rollups.append(write(root / ROLLUPS, rollup(base, number), "base"))
    if late.num_rows:
        versions = _touched(root, hot, segments, late)
        change.rollups.append(write(root / ROLLUPS, rollup(versions, number), "late"))
    _sync(root)
    return change


def _touched(root: Path, hot: Sequence[Hot], segments: Sequence[Part], late: pa.Table) -> pa.Table:
    """All versions, sealed and hot, of the values in the hours that `late` touches."""
    hour = late.column("start").cast(pa.int64()).to_numpy() // HOUR_US * HOUR_US
    keys = np.unique(np.stack([late.column("flow").to_numpy().astype(np.int64), hour]), axis=1)
    touched = pa.table(
        {"flow": pa.array(keys[0], pa.int32()), "start": pa.array(keys[1]).cast(pa.timestamp("us"))}
    )
    low, high = int(hour.min()), int(hour.max()) + HOUR_US
    near = [part for part in segments if part.overlaps(low, high)]
    with queries.connect() as db:
        db.register("touched", touched)
        db.register("hot_base", gather(hot, "base"))
        db.register("hot_late", gather(hot, "late"))
        relation = union(root, near, "hot_base", "hot_late")
        versions = queries.arrow(db, queries.fill("touched", touched="touched", rows=relation))
    return sort_rows(versions.cast(ROWS))


def compact(root: Path, segments: Sequence[Part], rollups: Sequence[Part]) -> Change:
    """Rewrites the days that lie in several files, so that each span of days is one file of each family.

    First arrivals are found anew, so what came late but alone moves to `base`.
    """
    change = Change([], [], [], [])
    for cluster in clusters([*segments, *rollups]):
        own = [part for part in cluster if part.path.startswith(SEGMENTS)]
        sums = [part for part in cluster if part.path.startswith(ROLLUPS)]
        if len(own) == 1 and len(sums) == 1:
            continue
        _rewrite(root, own, change)
        change.retired_segments.extend(part.path for part in own)
        change.retired_rollups.extend(part.path for part in sums)
    _sync(root)
    return change


def clusters(parts: Sequence[Part]) -> list[list[Part]]:
    """Groups of files whose UTC days overlap; files of different groups share no day."""
    grouped: list[list[Part]] = []
    reach = -1
    for part in sorted(parts, key=lambda p: p.start_min):
        if part.start_min // DAY_US > reach:
            grouped.append([])
        grouped[-1].append(part)
        reach = max(reach, part.start_max // DAY_US)
    return grouped


def _rewrite(root: Path, own: Sequence[Part], change: Change) -> None:
    """Writes the rows of `own` again, by spans of days, and notes the new files in `change`."""
    number = max(part.batch_max for part in own)
    with queries.connect() as db:
        days = db.execute(queries.fill("days", rows=union(root, own))).fetchall()
        for first, last in group([n for _, n in days], FILE_ROWS):
            start, end = days[first][0], days[last][0]
            near = f"start >= timestamp '{start}' and start < timestamp '{end}' + interval '1' day"
            table = queries.arrow(db, f"select {queries.ROW} from {union(root, own)} where {near}")
            versions = sort_rows(table.cast(ROWS))
            arrival = first_of_key(Columns.of(versions))
            for part, mask in (("base", arrival), ("late", ~arrival)):
                if mask.any():
                    rows = versions.filter(pa.array(mask)).combine_chunks()
                    change.segments.append(write(root / SEGMENTS, rows, part))
            change.rollups.append(write(root / ROLLUPS, rollup(versions, number), "base"))


def _sync(root: Path) -> None:
    with guarded():
        sync(root / SEGMENTS)
        sync(root / ROLLUPS)
