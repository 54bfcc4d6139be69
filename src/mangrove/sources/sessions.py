# SPDX-License-Identifier: Apache-2.0
"""Sessions (charging, batches, trips): an amount between a start and an end, spread evenly over the steps between.

Comes in: a file whose mapping has the form `sessions`. Goes out: one value per flow and step, the sum over all sessions
of `amount x (overlap with the step) / (length of the session)`. The total is kept exactly. A list of sessions is
complete by nature, so steps without a session hold zero (`zeros: false` leaves them out). When within a session the
energy flowed is not known, so a step that shares a session with another step is marked FILLED: it counts, and is shown as
estimated. The sessions themselves are kept beside the values. A row that equals an earlier one in every column of the file
is a repetition and counts once; rows that differ in any column are sessions of their own. All sessions of a flow must
stand in one file: a later file that touches the same steps corrects them, it does not add to them.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.ledger.types import Quality
from mangrove.sources import numbers, stamps
from mangrove.sources.convert import REASONS, Bad, Outcome, Values, joined, resolver, unknown_rows
from mangrove.sources.mapping import Sessions
from mangrove.sources.plan import Plan
from mangrove.sources.stamps import SECOND, Bools, Ints
from mangrove.sources.tables import Chunk, Table
from mangrove.territory.model import Territory
from mangrove.times import zone
from mangrove.units import unit

LONGEST = 31 * 24 * 3600 * SECOND
"""A session of more than 31 days is taken for a typing mistake and refused."""


def read_sessions(table: Table, plan: Plan, form: Sessions, territory: Territory) -> Outcome:
    """Reads a whole file of sessions; memory grows with the number of sessions and of steps, not with both."""
    bad: list[Bad] = []
    found: dict[str, list[tuple[Ints, Ints, npt.NDArray[np.float64]]]] = {}
    seen: set[bytes] = set()
    rows = empty = repeated = 0
    for chunk in table.chunks():
        bad += [Bad(line, "sources.wrong_width", {}, text) for line, text in chunk.broken]
        rows += len(chunk.lines) + len(chunk.broken)
        if not len(chunk.lines):
            continue
        names, flow, refused = _flows(chunk, form, plan, territory)
        begin, end, amount, usable, missing = _rows(chunk, form, plan, bad, flow >= 0)
        bad += refused
        empty += missing
        again = _again(chunk, usable, seen)
        repeated += int(again.sum())
        usable &= ~again
        for index, name in enumerate(names):
            mine = usable & (flow == index)
            found.setdefault(name, []).append((begin[mine], end[mine], amount[mine]))
    parts = []
    stays: dict[str, pa.Table] = {}
    order = list(found)
    for index, name in enumerate(order):
        begin, end, amount = (np.concatenate(column) for column in zip(*found[name], strict=True))
        target = territory.flows[name]
        factor = unit(plan.unit).to(target.unit) if plan.unit else 1.0
        step = plan.steps[name]
        if len(begin) and step is not None:
            start, value, estimated = spread(
                begin, end, amount * factor, step.seconds * SECOND, zeros=form.zeros
            )
            parts.append(_as_values(order, index, start, value, estimated))
            stays[name] = _as_stays(begin, end, amount * factor)
    return Outcome(joined(order, parts), bad, rows=rows, empty=empty, repeated=repeated, sessions=stays)


def spread(
    begin: Ints, end: Ints, amount: npt.NDArray[np.float64], step: int, *, zeros: bool = True
) -> tuple[Ints, npt.NDArray[np.float64], Bools]:
    """Amounts of sessions `[begin, end)` spread evenly in time over steps.

    Args:
        begin: microseconds, shape (n,).
        end: microseconds, shape (n,), after `begin`.
        amount: shape (n,).
        step: microseconds; steps begin at multiples of it.
        zeros: whether steps between the first and the last session that no session touches hold zero.

    Returns:
        Starts of the steps, their amounts (with the same sum), and which of them hold a part of a longer session.
    """
    first, last = begin // step, (end - 1) // step
    low = int(first.min())
    count = int(last.max()) - low + 1
    counts = last - first + 1
    owner = np.repeat(np.arange(len(begin)), counts)
    offset = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    index = first[owner] + offset
    overlap = np.minimum(end[owner], (index + 1) * step) - np.maximum(begin[owner], index * step)
    share = amount[owner] * overlap / (end - begin)[owner]
    total = np.bincount(index - low, weights=share, minlength=count).astype(np.float64)
    estimated = np.bincount(index - low, weights=counts[owner] > 1, minlength=count) > 0
    starts = (np.arange(count, dtype=np.int64) + low) * step
    if zeros:
        return starts, total, estimated
    touched = np.bincount(index - low, minlength=count) > 0
    return starts[touched], total[touched], estimated[touched]


def _again(chunk: Chunk, usable: Bools, seen: set[bytes]) -> Bools:
    """Which usable rows equal an earlier one in every column; adds the others to `seen`, by their digests."""
    columns = [_as_text(chunk.columns[name].filter(pa.array(usable))) for name in sorted(chunk.columns)]
    again = np.zeros(len(usable), dtype=bool)
    at = np.flatnonzero(usable).tolist()
    for i, cells in zip(at, zip(*columns, strict=True), strict=True):
        key = hashlib.blake2b(repr(cells).encode(), digest_size=16).digest()
        again[i] = key in seen
        seen.add(key)
    return again


def _as_text(column: pa.Array) -> list[str | None]:
    """Cells as written; those of a binary file as Python shows them."""
    cells = column.to_pylist()
    return cells if pa.types.is_string(column.type) else [repr(cell) for cell in cells]


def _as_stays(begin: Ints, end: Ints, amount: npt.NDArray[np.float64]) -> pa.Table:
    """The sessions themselves; see `mangrove.ledger.sessions`."""
    instants = [pa.array(at).cast(pa.timestamp("us", tz="UTC")) for at in (begin, end)]
    return pa.table({"start": instants[0], "end": instants[1], "amount": amount})


def _as_values(
    names: list[str], index: int, start: Ints, value: npt.NDArray[np.float64], estimated: Bools
) -> Values:
    n = len(start)
    quality = np.where(estimated, Quality.FILLED, Quality.GOOD).astype(np.uint8)
    return Values(names, np.full(n, index, np.int32), start, value, quality, np.zeros(n, np.int64))


def _flows(
    chunk: Chunk, form: Sessions, plan: Plan, territory: Territory
) -> tuple[list[str], npt.NDArray[np.int32], list[Bad]]:
    """Flow per row: the one that the mapping names, or by the column of stations."""
    if form.flow:
        return [form.flow], np.zeros(len(chunk.lines), dtype=np.int32), []
    written = pc.dictionary_encode(pc.fill_null(pc.cast(chunk.columns[form.column], pa.string()), ""))
    resolve = resolver(form.names, territory)
    options = [
        name if (name := resolve(text)) in plan.steps else None for text in written.dictionary.to_pylist()
    ]
    names = [name for name in dict.fromkeys(options) if name]
    codes = np.array([names.index(name) if name else -1 for name in options] or [-1], dtype=np.int32)
    flow = codes[np.asarray(written.indices)]
    texts = chunk.columns[form.column]
    unknown = {int(i): str(texts[int(i)].as_py()) for i in np.flatnonzero(flow < 0)}
    return names, flow, unknown_rows(chunk, unknown, territory)


def _rows(
    chunk: Chunk, form: Sessions, plan: Plan, bad: list[Bad], known: Bools
) -> tuple[Ints, Ints, npt.NDArray[np.float64], Bools, int]:
    """Start, end and amount per session, which of them can be used, and how many have no amount."""
    tz = zone(plan.zone)
    ends: list[Ints] = []
    usable = known.copy()
    for column in (form.start, form.end):
        clock = stamps.read_stamps(chunk.columns[column], plan.stamps)
        utc, codes = stamps.to_utc(clock, tz)
        for i in np.flatnonzero(usable & (codes != stamps.FINE) & (codes != stamps.TWICE)).tolist():
            text = str(chunk.columns[column][i].as_py())
            bad.append(Bad(int(chunk.lines[i]), REASONS[int(codes[i])], {"text": text}))
            usable[i] = False
        ends.append(utc)
    amount, cells = numbers.parse(chunk.columns[form.value], plan.numbers)
    missing = usable & (cells == numbers.MISSING)
    _refuse(chunk, usable & (cells == numbers.BAD), "sources.bad_number", form.value, bad)
    usable &= cells == numbers.OK
    length = ends[1] - ends[0]
    _refuse(chunk, usable & ((length <= 0) | (length > LONGEST)), "sources.bad_session", form.end, bad)
    usable &= (length > 0) & (length <= LONGEST)
    _refuse(chunk, usable & (amount < 0), "sources.negative_session", form.value, bad)
    usable &= amount >= 0
    return ends[0], ends[1], amount, usable, int(missing.sum())


def _refuse(chunk: Chunk, mask: Bools, code: str, column: str, bad: list[Bad]) -> None:
    for i in np.flatnonzero(mask).tolist():
        data = {"text": str(chunk.columns[column][i].as_py()), "column": column}
        bad.append(Bad(int(chunk.lines[i]), code, data))
