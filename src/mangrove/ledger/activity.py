# SPDX-License-Identifier: Apache-2.0
"""Sums of values by flow and bucket, from hourly roll-ups, from raw values, or by definition.

Comes in: a question (window, flows, edges, bucket) and a snapshot. Goes out: one view. The time line is cut into
*units*, an hour or the bucket when that is shorter. Most units are summed whole; a unit that an edge or an end of the
window cuts is summed in *pieces* from raw values. Units and pieces carry the label of their bucket, so that a bucket
split by an edge becomes two rows and nothing that multiplies the sums changes inside a row.

The roll-up plan takes stored hourly sums, adds the hot rows, and recomputes from raw values only the *dirty* hours: those
with a correction that no roll-up holds yet, and those whose roll-up knows more than the cut allows.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from mangrove.errors import RequestError
from mangrove.ledger import queries
from mangrove.ledger.columns import HOUR_US
from mangrove.times import Step

if TYPE_CHECKING:
    import duckdb

    from mangrove.ledger.snapshot import Snapshot, Window

PLANS = ("auto", "rollup", "raw", "naive")
SUMS = ("flow", "start", "total", "n", "n_excluded", "n_estimated", "low", "high", "batch_max")
_DAY = 86_400
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """What to sum; instants are microseconds since 1970 in UTC, `bucket` is in seconds, `edges` are sorted."""

    start: int
    end: int
    flow_filter: str
    edges: tuple[int, ...]
    bucket: int
    view: str

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise RequestError("ledger.window_reversed")
        if not _NAME.fullmatch(self.view):
            raise RequestError("ledger.view_name", name=self.view)

    @property
    def unit(self) -> int:
        """Length of a unit in seconds."""
        return min(self.bucket, queries.HOUR_S)

    def label(self, instant: int) -> int:
        """The start of the row that holds `instant`: its bucket's start, a later edge, or the window's start."""
        before = bisect_right(self.edges, instant)
        edge = self.edges[before - 1] if before else self.start
        return max(instant - instant % (self.bucket * _US), edge, self.start)

    def cut_units(self) -> list[int]:
        """The starts of the units that an edge or an end of the window cuts."""
        unit = self.unit * _US
        cuts = [self.start, self.end, *(edge for edge in self.edges if self.start < edge < self.end)]
        return sorted({cut - cut % unit for cut in cuts if cut % unit})

    def pieces(self, unit_start: int) -> list[Window]:
        """The pieces of a cut unit that lie in the window."""
        low, high = max(unit_start, self.start), min(unit_start + self.unit * _US, self.end)
        inside = [edge for edge in self.edges if low < edge < high]
        return list(pairwise([low, *inside, high]))


def check_bucket(bucket: Step) -> int:
    """The bucket in seconds; `RequestError` when it neither divides an hour nor is whole hours up to a day."""
    seconds = bucket.seconds
    if seconds and (3600 % seconds == 0 or (seconds % 3600 == 0 and seconds <= _DAY)):
        return seconds
    raise RequestError("ledger.bucket", bucket=bucket)


def check_plan(plan: str) -> str:
    """`plan` when it exists; `RequestError` otherwise."""
    if plan not in PLANS:
        raise RequestError("ledger.plan", plan=plan, options=", ".join(PLANS))
    return plan


def create(snapshot: Snapshot, question: Question, plan: str) -> None:
    """Makes the view `question.view` on the snapshot's connection."""
    db = snapshot.connection
    if plan == "naive":
        body = _naive(snapshot, db, question)
    else:
        from_sums = plan != "raw" and question.unit == queries.HOUR_S
        body = _assemble(snapshot, db, question, from_sums=from_sums)
    db.execute(f"create or replace temp view {question.view} as {body}")


def _assemble(snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question, *, from_sums: bool) -> str:
    """Whole units, with the label of their bucket, and pieces of cut units."""
    cut = ask.cut_units()
    whole = _whole_units(ask, cut)
    parts = []
    if whole:
        sums = _from_rollups(snapshot, db, ask, whole) if from_sums else _from_raw(snapshot, ask, whole)
        parts.append(sums)
    if ask.bucket > ask.unit and whole:
        parts = [_labelled(snapshot, db, ask, sums)]
    if cut:
        parts.append(_from_pieces(snapshot, db, ask, cut))
    union = " union all ".join(f"select {', '.join(SUMS)} from ({part})" for part in parts)
    partial = (from_sums and not _is_unique(snapshot, ask)) or ask.bucket > ask.unit
    return queries.fill("combine", unit="start", parts=f"({union})") if partial else union


def _whole_units(ask: Question, cut: Sequence[int]) -> list[Window]:
    """The stretches of the window between cut units; each begins and ends with a whole unit."""
    unit = ask.unit * _US
    stretches = []
    low = ask.start
    for start in cut:
        if start > low:
            stretches.append((low, start))
        low = max(low, start + unit)
    if ask.end > low:
        stretches.append((low, ask.end))
    return stretches


def _from_raw(snapshot: Snapshot, ask: Question, windows: Sequence[Window]) -> str:
    rows = snapshot.readings(windows, ask.flow_filter)
    return queries.fill("aggregate", unit=queries.unit(ask.unit), rows=f"({rows})", where="")


def _from_pieces(snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question, cut: Sequence[int]) -> str:
    """Sums of the pieces of cut units, from raw values."""
    pieces = [(unit, low, high, ask.label(low)) for unit in cut for low, high in ask.pieces(unit)]
    table = f"{ask.view}_piece"
    db.register(table, _instants(pieces, ("unit", "low", "high", "label")))
    windows = [(unit, unit + ask.unit * _US) for unit in cut]
    rows = (
        f"select r.flow, p.label as start, r.value, r.quality, r.batch "
        f"from ({snapshot.readings(windows, ask.flow_filter)}) r "
        f"join {table} p on r.start >= p.low and r.start < p.high"
    )
    return queries.fill("aggregate", unit="start", rows=f"({rows})", where="")


def _labelled(snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question, sums: str) -> str:
    """Sums of units with the start of their bucket instead of their own."""
    low, high = snapshot.span()
    first = max(ask.start, low) // HOUR_US * HOUR_US
    units = [(unit, ask.label(max(unit, ask.start))) for unit in range(first, min(ask.end, high), HOUR_US)]
    table = f"{ask.view}_label"
    db.register(table, _instants(units, ("unit", "label")))
    columns = ", ".join(f"s.{name}" for name in SUMS if name not in {"flow", "start"})
    return f"select s.flow, l.label as start, {columns} from ({sums}) s join {table} l on l.unit = s.start"


def _instants(rows: Sequence[tuple[int, ...]], names: Sequence[str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    arrays = [pa.array(column, pa.int64()).cast(pa.timestamp("us")) for column in columns]
    return pa.table(arrays, names=list(names))


def _from_rollups(
    snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question, windows: Sequence[Window]
) -> str:
    """Hourly sums: stored ones, those of hot first arrivals, and those of dirty hours from raw values.

    The parts of one hour are disjoint, so they add up.
    """
    within = " or ".join(
        f"start >= {queries.instant(low)} and start < {queries.instant(high)}" for low, high in windows
    )
    wanted = f"({within})" + (f" and {ask.flow_filter}" if ask.flow_filter else "")
    dirty = _dirty(snapshot, db, ask, wanted)
    parts = []
    stored = _stored_sums(snapshot, ask, wanted)
    if stored:
        parts.append(stored)
    if snapshot.has_hot:
        parts.append(
            queries.fill(
                "aggregate", unit=queries.unit(queries.HOUR_S), rows="hot_base", where=f"where {wanted}"
            )
        )
    selects = [f"select {', '.join(SUMS)} from ({part})" for part in parts]
    if dirty:
        clean = f"not exists (select 1 from {ask.view}_dirty d where d.flow = s.flow and d.start = s.start)"
        selects = [f"{select} s where {clean}" for select in selects]
        rows = queries.fill(
            "touched", touched=f"{ask.view}_dirty", rows=f"({snapshot.readings(dirty, ask.flow_filter)})"
        )
        again = queries.fill("aggregate", unit=queries.unit(queries.HOUR_S), rows=f"({rows})", where="")
        selects.append(f"select {', '.join(SUMS)} from ({again})")
    return " union all ".join(selects) or f"select * from ({_from_raw(snapshot, ask, windows)}) where false"


def _is_unique(snapshot: Snapshot, ask: Question) -> bool:
    """Whether no hour has sums in two places, as after a compaction; then nothing needs to be added up."""
    window = (ask.start, ask.end)
    listed = sorted(snapshot.rollups("base", window), key=lambda part: part.start_min)
    apart = all(one.start_max < other.start_min for one, other in pairwise(listed))
    return apart and not snapshot.has_hot and not snapshot.rollups("late", window)


def _stored_sums(snapshot: Snapshot, ask: Question, wanted: str) -> str:
    """The stored hourly sums that hold at the cut, but for the dirty hours among them."""
    window = (ask.start, ask.end)
    families = {}
    for part in ("base", "late"):
        listed = snapshot.rollups(part, window)
        known = wanted
        if any(one.batch_max > snapshot.cut for one in listed) and part == "base":
            known = f"{wanted} and batch_max <= {snapshot.cut}"
        source = queries.files(snapshot.path(one) for one in listed)
        families[part] = f"(select * from {source} where {known})" if listed else ""
    columns = [f"b.{name}" for name in SUMS]
    if not families["late"]:
        return families["base"] and f"select {', '.join(columns)} from {families['base']} b"
    return queries.fill("rollup", columns=", ".join(columns), **families)


def _dirty(snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question, wanted: str) -> list[Window]:
    """Fills the table of dirty (flow, hour) and returns the days that hold them."""
    cut, window = snapshot.cut, (ask.start, ask.end)
    selects = []
    if snapshot.has_corrections_in_hot:
        selects.append(f"select flow, {queries.unit(queries.HOUR_S)} as start from hot_late where {wanted}")
    for part, knows_more in (
        ("base", f"batch_min <= {cut} and batch_max > {cut}"),
        ("late", f"batch_max > {cut}"),
    ):
        newer = [one for one in snapshot.rollups(part, window) if one.batch_max > cut]
        if newer:
            source = queries.files(snapshot.path(one) for one in newer)
            selects.append(f"select flow, start from {source} where {wanted} and {knows_more}")
    if not selects:
        return []
    table = f"{ask.view}_dirty"
    db.execute(
        f"create or replace temp table {table} as select distinct * from ({' union all '.join(selects)})"
    )
    days = db.execute(
        f"select distinct epoch_us(date_trunc('day', start)) from {table} order by 1"
    ).fetchall()
    return _join([(day, day + _DAY * _US) for (day,) in days])


def _join(windows: Sequence[Window]) -> list[Window]:
    """Sorted windows with those that touch made one."""
    joined: list[Window] = []
    for low, high in windows:
        if joined and joined[-1][1] >= low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def _naive(snapshot: Snapshot, db: duckdb.DuckDBPyConnection, ask: Question) -> str:
    """The definition: the last version of every value, at the last boundary before it."""
    low, high = snapshot.span()
    first, last = max(ask.start, low), min(ask.end, high)
    bucket = ask.bucket * _US
    starts = {ask.start, *range(first - first % bucket, last, bucket), *ask.edges}
    inside = sorted(start for start in starts if ask.start <= start < ask.end)
    table = f"{ask.view}_boundary"
    db.register(table, _instants([(start,) for start in inside], ("start",)))
    return queries.fill(
        "naive",
        versions=f"({snapshot.versions(None, ask.flow_filter)})",
        boundaries=table,
        cut=snapshot.cut,
        first=queries.instant(ask.start),
        last=queries.instant(ask.end),
    )
