# SPDX-License-Identifier: Apache-2.0
"""The door: what may enter the ledger, and as what.

Comes in: tables of values with the territory's flow keys, several batches at a time. Goes out, for each batch: rows
sorted by flow and start, each marked as first arrival or as a later version of a value that exists; the rows that were
refused, with the reason; and the count of rows that say nothing new. Everything is done on whole arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import LedgerError, Problem
from mangrove.ledger.columns import Columns, Ints, Mask, counted
from mangrove.ledger.types import Quality, Rejected
from mangrove.times import from_us, to_us

FUTURE = timedelta(days=3653)
"""How far ahead of the clock a value may start: plans reach decades in years, readings never ten years."""
NEVER = np.iinfo(np.int64).min
"""The watermark of a flow without values, and the start of a row without one."""

_REASONS = (
    "",
    "ledger.no_flow",
    "ledger.no_start",
    "ledger.before_1970",
    "ledger.far_future",
    "ledger.unknown_quality",
    "ledger.not_finite",
    "ledger.repeated",
)
_REPEATED = _REASONS.index("ledger.repeated")

Stored = Callable[[Columns], tuple[Mask, npt.NDArray[np.float64], npt.NDArray[np.uint8]]]
"""Looks up current values: which (flow, start) are stored, and with what value and quality."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What one batch adds: `rows` sorted by flow and start, `late` marks later versions among them."""

    rows: Columns
    late: Mask
    rejected: tuple[Rejected, ...]
    unchanged: int


def read(table: pa.Table, ids: Callable[[list[str]], list[int]]) -> Columns:
    """The arrays of a table with the columns flow, start, value and maybe quality.

    Args:
        table: flow (text), start (timestamp with a zone), value (number), quality (integer; absent means good).
        ids: the ids of flow keys; it numbers keys that it has not seen.

    Returns:
        Columns with flow -1 and start `NEVER` where they were null, NaN where the value was.

    Raises:
        LedgerError: a column is missing or of another type; a wrong column is never cast to another meaning.
    """
    _check_types(table)
    start = pc.fill_null(table.column("start").cast(pa.timestamp("us", "UTC")).cast(pa.int64()), NEVER)
    value = pc.fill_null(table.column("value").cast(pa.float64()), float("nan"))
    if "quality" in table.column_names:
        wide = pc.fill_null(table.column("quality").cast(pa.int64()), int(Quality.GOOD)).to_numpy()
        quality = np.where((wide < 0) | (wide > max(Quality)), 255, wide).astype(np.uint8)
    else:
        quality = np.zeros(table.num_rows, dtype=np.uint8)
    return Columns(_flow_ids(table.column("flow"), ids), start.to_numpy(), value.to_numpy(), quality)


def _check_types(table: pa.Table) -> None:
    checks: dict[str, tuple[Callable[[pa.DataType], bool], str]] = {
        "flow": (lambda t: _is_text(t.value_type if pa.types.is_dictionary(t) else t), "string"),
        "start": (lambda t: pa.types.is_timestamp(t) and t.tz is not None, "timestamp[us, UTC]"),
        "value": (lambda t: pa.types.is_floating(t) or pa.types.is_integer(t), "float64"),
        "quality": (pa.types.is_integer, "uint8"),
    }
    for name, (fits, expected) in checks.items():
        if name not in table.column_names:
            if name == "quality":
                continue
            raise LedgerError("ledger.missing_column", column=name, expected=expected)
        found = table.schema.field(name).type
        if not fits(found):
            raise LedgerError("ledger.wrong_column", column=name, expected=expected, found=found)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _flow_ids(column: pa.ChunkedArray, ids: Callable[[list[str]], list[int]]) -> npt.NDArray[np.int32]:
    """Ids for flow keys, -1 for null; only each distinct key is looked up."""
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    used = pc.unique(encoded.indices.drop_null()).to_numpy(zero_copy_only=False)
    keys = encoded.dictionary.take(pa.array(np.sort(used)))
    known = np.full(len(encoded.dictionary) + 1, -1, dtype=np.int32)
    known[np.sort(used)] = ids(keys.to_pylist())
    index = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    ids_of_rows: npt.NDArray[np.int32] = known[index]
    return ids_of_rows


def admit(
    batches: Sequence[Columns], watermark: Ints, stored: Stored, name: Callable[[int], str], now: datetime
) -> list[Admitted]:
    """Splits each of `batches` into new rows, later versions, rows that say nothing new, and refused rows.

    Args:
        batches: in the order in which they count; a later batch may correct an earlier one.
        watermark: the latest stored start of each flow id; a row after it is new without a look-up.
        stored: finds current values for the other rows.
        name: the key of a flow id, for the reasons of refused rows.
        now: the clock, for starts that lie absurdly far ahead.

    Returns:
        One entry for each batch.
    """
    rows = Columns.join(list(batches))
    ordinal = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
    fault = _faults(rows, now)
    order = _sorted_order(rows, np.flatnonzero(fault == 0))
    key = rows.take(order)
    same = np.zeros(len(order), dtype=bool)  # whether a row has the (flow, start) of the row before it
    same[1:] = (key.flow[1:] == key.flow[:-1]) & (key.start[1:] == key.start[:-1])
    repeated = np.zeros(len(order), dtype=bool)
    repeated[:-1] = same[1:] & (ordinal[order[1:]] == ordinal[order[:-1]])
    if repeated.any():
        fault[order[repeated]] = _REPEATED
        order = order[~repeated]
        key = rows.take(order)
        same = np.zeros(len(order), dtype=bool)
        same[1:] = (key.flow[1:] == key.flow[:-1]) & (key.start[1:] == key.start[:-1])
    exists, equal = _compare(key, same, watermark, stored)
    admitted = _by_batch(rows, ordinal, len(batches), (order[~equal], exists[~equal]), order[equal])
    refused: dict[int, list[Rejected]] = {}
    for position in np.flatnonzero(fault):
        reason = _reject(rows, int(position), _REASONS[fault[position]], name)
        refused.setdefault(int(ordinal[position]), []).append(reason)
    return [replace(one, rejected=tuple(refused.get(i, ()))) for i, one in enumerate(admitted)]


def _faults(rows: Columns, now: datetime) -> npt.NDArray[np.uint8]:
    """The index of the reason why a row cannot enter, 0 for the others."""
    fault = np.zeros(len(rows), dtype=np.uint8)
    missing = np.isnan(rows.value)
    fault[np.isinf(rows.value) | (missing & counted(rows.quality))] = 6
    fault[rows.quality > max(Quality)] = 5
    fault[rows.start > to_us(now + FUTURE)] = 4
    fault[rows.start < 0] = 3
    fault[rows.start == NEVER] = 2
    fault[rows.flow < 0] = 1
    return fault


def _sorted_order(rows: Columns, usable: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Positions of the usable rows by flow and start; rows with the same key keep their order."""
    flow, start = rows.flow[usable], rows.start[usable]
    ascending = (flow[1:] > flow[:-1]) | ((flow[1:] == flow[:-1]) & (start[1:] >= start[:-1]))
    return usable if ascending.all() else usable[np.lexsort((start, flow))]


def _compare(key: Columns, same: Mask, watermark: Ints, stored: Stored) -> tuple[Mask, Mask]:
    """Which rows have an earlier version, and which of them say the same as it."""
    exists = same.copy()
    before, grade = np.roll(key.value, 1), np.roll(key.quality, 1)
    asked = np.flatnonzero(~same & (key.start <= watermark[key.flow]))
    if len(asked):
        found, value, quality = stored(key.take(asked))
        exists[asked], before[asked], grade[asked] = found, value, quality
    alike = (before == key.value) | (np.isnan(before) & np.isnan(key.value))
    return exists, exists & alike & (grade == key.quality)


def _by_batch(
    rows: Columns,
    ordinal: npt.NDArray[np.intp],
    count: int,
    entering: tuple[npt.NDArray[np.intp], Mask],
    unchanged: npt.NDArray[np.intp],
) -> list[Admitted]:
    """Hands each batch its rows back; they stay sorted by flow and start."""
    order, late = entering
    by_batch = np.argsort(ordinal[order], kind="stable")
    ends = np.searchsorted(ordinal[order][by_batch], np.arange(count + 1))
    same = np.bincount(ordinal[unchanged], minlength=count)
    admitted = []
    for index in range(count):
        chosen = by_batch[ends[index] : ends[index + 1]]
        admitted.append(Admitted(rows.take(order[chosen]), late[chosen], (), int(same[index])))
    return admitted


def _reject(rows: Columns, position: int, code: str, name: Callable[[int], str]) -> Rejected:
    start = int(rows.start[position])
    try:
        shown = "" if start == NEVER else from_us(start).isoformat()
    except OverflowError:
        shown = str(start)
    flow = int(rows.flow[position])
    data = {
        "flow": name(flow) if flow >= 0 else "",
        "start": shown,
        "value": str(rows.value[position]),
        "quality": int(rows.quality[position]),
    }
    return Rejected(",".join(str(item) for item in data.values()), Problem(code, data))
