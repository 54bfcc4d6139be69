# SPDX-License-Identifier: Apache-2.0
"""Chunks of text to values: the plan applied to whole columns.

Comes in: a `Chunk` and a `Plan`. Goes out: `Values` (flow, start in UTC, value, quality, line) and the rows that cannot be
values, each with a reason. Nothing is dropped silently: a row is stored, empty, a repetition, or rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import RuleError, did_you_mean
from mangrove.inference.series import local_time
from mangrove.ledger.types import Quality
from mangrove.sources import numbers, stamps
from mangrove.sources.mapping import LongForm
from mangrove.sources.plan import Plan, conversion
from mangrove.sources.problems import names_of
from mangrove.sources.stamps import DAY, SECOND, Bools, Ints, WallClock
from mangrove.sources.tables import Chunk
from mangrove.territory.model import Territory
from mangrove.text import fold
from mangrove.times import Step, zone
from mangrove.units import unit

REASONS = {
    stamps.UNREADABLE: "sources.bad_time",
    stamps.SKIPPED: "sources.skipped_time",
    stamps.YEAR: "sources.bad_year",
}


class Bad(NamedTuple):
    """A row that cannot be a value: its line, the reason and what the reason needs; `text` when the row is at hand."""

    line: int
    code: str
    data: dict[str, Any]
    text: str = ""


@dataclass(slots=True)
class Values:
    """Columns of equal length n; `flow` indexes `names`."""

    names: list[str]
    flow: npt.NDArray[np.int32]
    start: Ints
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint8]
    line: Ints

    def __len__(self) -> int:
        return len(self.flow)

    def pick(self, where: npt.NDArray[Any]) -> Values:
        """The rows selected by a mask or by indices."""
        cut = (array[where] for array in (self.flow, self.start, self.value, self.quality, self.line))
        return Values(self.names, *cut)

    def table(self) -> pa.Table:
        """The rows as the ledger takes them: flow (dictionary of strings), start (timestamp us, UTC), value, quality."""
        flow = pa.DictionaryArray.from_arrays(
            pa.array(self.flow, pa.int32()), pa.array(self.names, pa.string())
        )
        return pa.table(
            {
                "flow": flow,
                "start": pa.array(self.start, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
                "value": pa.array(self.value, pa.float64()),
                "quality": pa.array(self.quality, pa.uint8()),
            }
        )


@dataclass(slots=True)
class Outcome:
    """What became of a chunk: values, rejected rows, counts of rows, empty cells and repetitions; sessions by flow."""

    values: Values
    bad: list[Bad] = field(default_factory=list)
    rows: int = 0
    empty: int = 0
    repeated: int = 0
    sessions: dict[str, pa.Table] = field(default_factory=dict)


def convert(chunk: Chunk, plan: Plan, territory: Territory) -> Outcome:
    """Reads one chunk of a wide or long file by the plan."""
    bad = [Bad(line, "sources.wrong_width", {}, text) for line, text in chunk.broken]
    if not len(chunk.lines):
        return Outcome(_none([]), bad, rows=len(bad))
    clock = wall_clock(chunk, plan)
    outcome = _wide(chunk, clock, plan) if plan.long is None else _long(chunk, clock, plan, territory)
    outcome.bad[:0] = bad
    outcome.rows = len(chunk.lines) + len(bad)
    return without_repeats(outcome)


def time_text(chunk: Chunk, time: Sequence[str]) -> pa.Array:
    """The time column, or a date and a clock joined by a space."""
    if len(time) == 1:
        return chunk.columns[time[0]]
    day, hour = (chunk.columns[name] for name in time)
    if pa.types.is_floating(hour.type) or pa.types.is_integer(hour.type):
        hour = pc.cast(pc.cast(hour, pa.int64(), safe=False), pa.string())
    day = pc.replace_substring_regex(pc.cast(day, pa.string()), r"[ T]00:00(:00)?(\.0+)?$", "")
    return pc.binary_join_element_wise(day, pc.cast(hour, pa.string()), " ")


def wall_clock(chunk: Chunk, plan: Plan) -> WallClock:
    """The chunk's stamps, with midnight moved to the end of its day where the plan says so."""
    clock = stamps.read_stamps(time_text(chunk, plan.time), plan.stamps)
    if not plan.same_day_midnight:
        return clock
    midnight = (clock.at % DAY == 0) & ~clock.end_of_day & (clock.codes == stamps.FINE)
    return clock.shifted(midnight, DAY)


def starts(
    clock: WallClock, step: Step | None, plan: Plan, groups: Ints | None = None
) -> tuple[Ints, Bools, Any]:
    """UTC start of every interval, a mask of clock-change doubts, and the codes of `stamps.to_utc`.

    Steps of days and months begin at local midnight of the calendar; shorter ones are exact lengths of time.
    """
    tz = zone(plan.zone)
    if step is not None and (step.months or step.seconds % 86400 == 0):
        at = np.where(clock.absolute, local_time(clock.at, tz), clock.at)
        at = _floor(at - (1 if plan.ending else 0), step)
        clock = replace(clock, at=at, absolute=np.zeros(len(at), dtype=bool))
    utc, codes = stamps.to_utc(clock, tz, groups)
    if plan.ending and step is not None and step.seconds % 86400:
        utc = utc - step.seconds * SECOND
    doubtful = codes == stamps.TWICE
    return utc, doubtful, np.where(doubtful, stamps.FINE, codes)


def _floor(local: Ints, step: Step) -> Ints:
    """The beginning of the calendar step that holds a wall-clock time; weeks begin on Monday."""
    if step.months:
        month = (
            local.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
            // step.months
            * step.months
        )
        return month.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    monday = 4 * DAY  # 5 January 1970
    return np.asarray((local - monday) // (step.seconds * SECOND) * (step.seconds * SECOND) + monday)


def _wide(chunk: Chunk, clock: WallClock, plan: Plan) -> Outcome:
    names = [column.flow for column in plan.columns]
    step_of = [plan.steps.get(name) for name in names]
    timed = {step: starts(clock, step, plan) for step in dict.fromkeys(step_of)}
    bad = _bad_times(chunk, np.max([codes for *_, codes in timed.values()], axis=0), plan)
    parts: list[Values] = []
    empty = 0
    for index, column in enumerate(plan.columns):
        utc, doubtful, codes = timed[step_of[index]]
        good = codes == stamps.FINE
        values, cells = numbers.parse(chunk.columns[column.column], plan.numbers)
        empty += int(np.sum(good & (cells == numbers.MISSING)))
        bad += _bad_numbers(chunk, good & (cells == numbers.BAD), column.column)
        rows = np.flatnonzero(good & (cells == numbers.OK))
        quality = np.where(doubtful[rows], Quality.CLOCK, Quality.GOOD).astype(np.uint8)
        flow = np.full(len(rows), index, dtype=np.int32)
        parts.append(Values(names, flow, utc[rows], values[rows] * column.factor, quality, chunk.lines[rows]))
    return Outcome(joined(names, parts), bad, empty=empty)


def _long(chunk: Chunk, clock: WallClock, plan: Plan, territory: Territory) -> Outcome:
    form = plan.long or LongForm("", "")
    names, flow, unknown = _flow_codes(chunk.columns[form.flow], form, territory)
    utc = np.zeros(len(flow), dtype=np.int64)
    doubtful, codes = np.zeros(len(flow), bool), clock.codes.copy()
    step_of = [plan.steps.get(name) for name in names]
    for step in dict.fromkeys(step_of):
        members = [i for i, s in enumerate(step_of) if s == step]
        rows = np.flatnonzero(np.isin(flow, members))
        part = WallClock(clock.at[rows], clock.absolute[rows], clock.end_of_day[rows], clock.codes[rows])
        utc[rows], doubtful[rows], codes[rows] = starts(part, step, plan, flow[rows].astype(np.int64))
    values, cells = numbers.parse(chunk.columns[form.value], plan.numbers)
    factor, unit_bad = _factors(chunk, flow, names, plan, territory)
    quality, quality_bad = _qualities(chunk, form)
    quality = np.where(doubtful & (quality == Quality.GOOD), Quality.CLOCK, quality).astype(np.uint8)
    good = (codes == stamps.FINE) & (flow >= 0)
    bad = _bad_times(chunk, np.where(flow < 0, stamps.FINE, codes), plan) + unknown_rows(
        chunk, unknown, territory
    )
    bad += _bad_numbers(chunk, good & (cells == numbers.BAD), form.value)
    for mask, code, column in (
        (unit_bad, "sources.bad_unit", form.unit),
        (quality_bad, "sources.bad_quality", form.quality),
    ):
        for i in np.flatnonzero(mask & good & (cells != numbers.BAD)).tolist():
            bad.append(Bad(int(chunk.lines[i]), code, {"text": _cell(chunk, column, i)}))
    empty = int(np.sum(good & (cells == numbers.MISSING)))
    rows = np.flatnonzero(good & (cells == numbers.OK) & ~unit_bad & ~quality_bad)
    found = Values(
        names, flow[rows], utc[rows], values[rows] * factor[rows], quality[rows], chunk.lines[rows]
    )
    return Outcome(found, bad, empty=empty)


def _flow_codes(
    column: pa.Array, form: LongForm, territory: Territory
) -> tuple[list[str], npt.NDArray[np.int32], dict[int, str]]:
    """Flow ids, an index into them per row (-1: not known), and the unknown names by row."""
    written = pc.dictionary_encode(pc.fill_null(pc.cast(column, pa.string()), ""))
    resolve = resolver(form.names, territory)
    options = [resolve(name) for name in written.dictionary.to_pylist()]
    names = list(dict.fromkeys(name for name in options if name))
    index = {name: i for i, name in enumerate(names)}
    codes = np.array([index[name] if name else -1 for name in options] or [-1], dtype=np.int32)
    flow = codes[np.asarray(written.indices)] if len(column) else np.empty(0, np.int32)
    texts = written.dictionary.to_pylist()
    unknown = {int(i): texts[written.indices[int(i)].as_py()] for i in np.flatnonzero(flow < 0)}
    return names, flow, unknown


def resolver(renames: dict[str, str], territory: Territory) -> Any:
    """A function from a name in a file to a flow id or None: the mapping's names first, then ids, meters and names."""
    known = names_of(territory.flows.values())
    given = {fold(name): flow for name, flow in renames.items()}

    def resolve(name: str) -> str | None:
        key = fold(name)
        return given.get(key) or known.get(key)

    return resolve


def unknown_rows(chunk: Chunk, unknown: dict[int, str], territory: Territory) -> list[Bad]:
    """Rejections for rows whose flow is not declared; the hint is worked out once per name."""
    hints = {name: did_you_mean(name, territory.flows) for name in set(unknown.values())}
    return [
        Bad(int(chunk.lines[i]), "sources.unknown_flow", {"flow": name, "hint": hints[name], "rows": 1})
        for i, name in unknown.items()
    ]


def _factors(
    chunk: Chunk, flow: npt.NDArray[np.int32], names: list[str], plan: Plan, territory: Territory
) -> tuple[npt.NDArray[np.float64], Bools]:
    """The unit factor per row of a long file, and the rows whose unit cannot be one of the flow."""
    n = len(flow)
    form = plan.long
    if form is None or not form.unit:
        written, column = [plan.unit], np.zeros(n, dtype=np.int64)
    else:
        encoded = pc.dictionary_encode(pc.fill_null(pc.cast(chunk.columns[form.unit], pa.string()), ""))
        written, column = encoded.dictionary.to_pylist(), np.asarray(encoded.indices).astype(np.int64)
    pairs, inverse = np.unique(flow.astype(np.int64) * max(len(written), 1) + column, return_inverse=True)
    table = np.ones(len(pairs))
    wrong = np.zeros(len(pairs), dtype=bool)
    for i, pair in enumerate(pairs.tolist()):
        which, text = divmod(pair, max(len(written), 1))
        if which < 0 or not written[text].strip():
            continue
        target = territory.flows[names[which]]
        try:
            table[i] = conversion(unit(written[text].strip()), target, plan.steps.get(target.id))[0]
        except RuleError:
            wrong[i] = True
    return table[inverse.ravel()], wrong[inverse.ravel()]


def _qualities(chunk: Chunk, form: LongForm) -> tuple[npt.NDArray[np.uint8], Bools]:
    """Quality codes per row (0 when the cell is empty) and the rows whose code does not exist."""
    n = len(chunk.lines)
    if not form.quality:
        return np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=bool)
    encoded = pc.dictionary_encode(pc.fill_null(pc.cast(chunk.columns[form.quality], pa.string()), ""))
    codes = [_quality(text.strip()) for text in encoded.dictionary.to_pylist()]
    found = np.array(codes or [0], dtype=np.int64)[np.asarray(encoded.indices)]
    return np.where(found < 0, 0, found).astype(np.uint8), found < 0


def _quality(text: str) -> int:
    """A quality code from `0`..`9`, `00`..`02` or a name such as `filled`; -1 when it is none."""
    if not text:
        return 0
    if text.upper() in Quality.__members__:
        return int(Quality[text.upper()])
    number = text.removesuffix(".0")
    return int(number) if number.isdigit() and int(number) in set(Quality) else -1


def _bad_times(chunk: Chunk, codes: npt.NDArray[Any], plan: Plan) -> list[Bad]:
    return [
        Bad(
            int(chunk.lines[i]),
            REASONS[int(codes[i])],
            {"text": " ".join(_cell(chunk, c, i) for c in plan.time)},
        )
        for i in np.flatnonzero(codes != stamps.FINE).tolist()
    ]


def _bad_numbers(chunk: Chunk, mask: Bools, column: str) -> list[Bad]:
    return [
        Bad(int(chunk.lines[i]), "sources.bad_number", {"text": _cell(chunk, column, i), "column": column})
        for i in np.flatnonzero(mask).tolist()
    ]


def _cell(chunk: Chunk, column: str, row: int) -> str:
    if column not in chunk.columns:
        return ""
    cell = chunk.columns[column][row]
    try:
        return str(cell.as_py())
    except (OverflowError, ValueError):  # an instant outside the years of Python
        return str(cell.value)


def _none(names: list[str]) -> Values:
    whole = np.empty(0, np.int64)
    return Values(names, np.empty(0, np.int32), whole, np.empty(0), np.empty(0, np.uint8), whole)


def joined(names: list[str], parts: Sequence[Values]) -> Values:
    """Several values with the same names as one."""
    if not parts:
        return _none(names)

    def stack(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return Values(names, *(stack(name) for name in ("flow", "start", "value", "quality", "line")))


def without_repeats(outcome: Outcome) -> Outcome:
    """One value per flow and start: the last in the file stays; equal ones are counted, different ones are rejected."""
    values = outcome.values
    if len(values) < 2:  # noqa: PLR2004 - nothing can repeat
        return outcome
    order = np.lexsort((np.arange(len(values)), values.start, values.flow))
    ordered = values.pick(order)
    same = (np.diff(ordered.flow) == 0) & (np.diff(ordered.start) == 0)
    if not same.any():
        outcome.values = ordered
        return outcome
    earlier = np.append(same, [False])
    winners = np.flatnonzero(~earlier)
    for i in np.flatnonzero(earlier).tolist():
        last = int(winners[np.searchsorted(winners, i)])
        if ordered.value[i] == ordered.value[last] and ordered.quality[i] == ordered.quality[last]:
            outcome.repeated += 1
        else:
            name, line = ordered.names[ordered.flow[i]], int(ordered.line[last])
            data = {"flow": name, "text": f"{ordered.value[i]:g}", "line": line}
            outcome.bad.append(Bad(int(ordered.line[i]), "sources.repeated", data))
    outcome.values = ordered.pick(~earlier)
    return outcome
