# SPDX-License-Identifier: Apache-2.0
"""From the columns of a request to values: names, times, units and qualities of whole columns at once.

Comes in: a `Sheet`, which a decoder made of a body (Arrow, JSON, CSV, line protocol), and the `Names` that its sender may use. Goes
out: `Values` and the rows that cannot be values, each with its reason and its text. One bad row never keeps the others out; only a
body in which thousands are bad is refused whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import MangroveError, Problem, SourceError, did_you_mean
from mangrove.ledger.columns import counted
from mangrove.ledger.types import Quality, Rejected
from mangrove.sources import stamps
from mangrove.sources.convert import REASONS, Values
from mangrove.sources.plan import conversion
from mangrove.sources.problems import names_of
from mangrove.sources.stamps import SECOND, Bools, Ints, StampStyle, WallClock
from mangrove.territory.model import Flow, Point, Territory
from mangrove.text import fold
from mangrove.times import zone
from mangrove.units import unit

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

MOST_BAD = 10_000
"""Bad rows of one body that are quarantined one by one; a body with more is not what it says it is, and is refused whole."""
AHEAD = timedelta(minutes=5)
"""A device time later than this after now is a clock error: the reading gets quality CLOCK, as in `messages_in`."""
NO_QUALITY = 255
_LAST_US = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * SECOND
_UNIX = ((10**11, SECOND), (10**14, 1000), (10**17, 1))
"""Unix time below 1e11 is seconds (until the year 5138), below 1e14 milliseconds, below 1e17 microseconds, above it nanoseconds."""
_ISO = StampStyle.of("ymd")
_SHOWN = 80
FINE, NO_FLOW, UNKNOWN, TIME, STEP, UNIT, QUALITY, NUMBER = range(8)


class Target(NamedTuple):
    """The flow that a name means: its position in `Names.flows`, the factor of numbers without a unit, and the bare scale."""

    flow: int
    factor: float
    scale: float = 1.0


@dataclass(slots=True)
class Sheet:
    """The columns of one body, n rows, before their meaning is known.

    Attributes:
        flow: index into `words`, -1 where a row names none; words: names as written; targets: the flow of each word, or None.
        clock: the times; value: the numbers, NaN where there is none; numeric: False where a cell holds something else (None: all).
        quality: codes, `NO_QUALITY` where unreadable (None: all good); unit: index into `units` (-1: none) or None.
        ending: a time is the end of its interval; raw: the text of a row, for quarantine; line: where it stood (None: position).
        bad: rows that could not even be parted into columns; timed: every row carried its own time.
        meta: what the body says about its run.
    """

    flow: npt.NDArray[np.int32]
    words: list[str]
    targets: list[Target | None]
    clock: WallClock
    value: Floats
    raw: Callable[[int], str]
    numeric: Bools | None = None
    quality: Bytes | None = None
    unit: npt.NDArray[np.int32] | None = None
    units: list[str] = field(default_factory=list)
    ending: bool = False
    line: Ints | None = None
    bad: list[Rejected] = field(default_factory=list)
    timed: bool = True
    meta: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.flow)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body says: values, the rows that are none, and whether every row carried its own time."""

    values: Values
    rejected: list[Rejected]
    timed: bool = True
    meta: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows of the body."""
        return len(self.values) + len(self.rejected)


class Names:
    """The names that one sender may use for flows: addresses of its device's points, then ids, meters and names.

    Args:
        territory: declares flows, devices and points.
        writes: ids of the flows that the sender may write; None means all.
        device: the declared device that sends, empty for others: those may use the addresses of every device that speaks HTTP.
    """

    def __init__(self, territory: Territory, writes: frozenset[str] | None = None, device: str = "") -> None:
        self.territory = territory
        self.flows: list[Flow] = list(territory.flows.values())
        self.ids = [flow.id for flow in self.flows]
        self.limited = writes is not None and not writes >= set(self.ids)
        self.writes = frozenset(self.ids) if writes is None else writes
        self.own = device
        self._index = {flow.id: i for i, flow in enumerate(self.flows)}
        self._outside = names_of(self.flows)
        senders = {one.id for one in territory.devices.values() if one.protocol == "http"}
        self.points = [p for p in territory.points if (p.device == device if device else p.device in senders)]
        self._points = _once(self.points)
        self._found: dict[str, Target | None] = {}

    def find(self, word: str) -> Target | None:
        """The flow that `word` means; None when it means none, or none that the sender may write."""
        if word not in self._found:
            if len(self._found) > 100_000:  # noqa: PLR2004 - names that nobody declared must not fill the memory
                self._found.clear()
            point = self._points.get(word)
            self._found[word] = self.of_point(point) if point is not None else self.of_flow(word)
        return self._found[word]

    def of_flow(self, word: str) -> Target | None:
        """The flow with this id, meter or name."""
        id_ = self._outside.get(fold(word))
        return Target(self._index[id_], 1.0) if id_ is not None and id_ in self.writes else None

    def of_point(self, point: Point) -> Target | None:
        """The flow of a declared point, with its unit and scale."""
        if point.flow not in self.writes:
            return None
        flow = self.flows[self._index[point.flow]]
        factor = 1.0 if point.unit is None else conversion(point.unit, flow, flow.step)[0]
        return Target(self._index[flow.id], factor * point.scale, point.scale)

    def hint(self, word: str) -> Any:
        """The nearest name among the flows that the sender may write."""
        return did_you_mean(word, self.writes)


def _once(points: Iterable[Point]) -> dict[str, Point]:
    """Points by address; an address that two devices share names neither."""
    found: dict[str, Point] = {}
    twice: set[str] = set()
    for point in points:
        if point.address in found:
            twice.add(point.address)
        found[point.address] = point
    return {address: point for address, point in found.items() if address not in twice}


def values_of(sheet: Sheet, names: Names, now: datetime, *, ahead: bool = False) -> Decoded:
    """The values of a sheet, and the rows that are none.

    Args:
        sheet: the columns.
        names: of the sender.
        now: the present; a good reading more than `AHEAD` later gets quality CLOCK.
        ahead: the values are of a forecast, a schedule or a plan, so they may lie ahead.

    Raises:
        SourceError: `ingest.not_yours`: a name is unknown or of a flow that a limited sender may not write (it is not told
            which); `ingest.too_many_bad`.
    """
    used = sorted({target.flow for target in sheet.targets if target is not None})
    position = {index: i for i, index in enumerate(used)}
    places = np.array([-1 if t is None else position[t.flow] for t in sheet.targets] or [-1], dtype=np.int32)
    flow = places[sheet.flow]
    fault = np.zeros(len(sheet), dtype=np.uint8)
    if len(sheet) and ((places < 0).any() or sheet.flow.min() < 0):
        fault[flow < 0] = UNKNOWN
        fault[sheet.flow < 0] = NO_FLOW
        if names.limited and (fault == UNKNOWN).any():
            first = int(np.flatnonzero(fault == UNKNOWN)[0])
            raise SourceError("ingest.not_yours", line=_line(sheet, first))
    flows = [names.flows[index] for index in used]
    start, codes = _starts(sheet, flow, fault, flows, zone(names.territory.timezone))
    quality = np.zeros(len(sheet), np.uint8) if sheet.quality is None else sheet.quality
    value = _converted(sheet, fault, names)
    wrong = ~np.isfinite(value)
    if sheet.numeric is not None or wrong.any():
        missing = np.isnan(value) & ~counted(quality)
        wrong &= ~missing
        if sheet.numeric is not None:
            wrong |= ~sheet.numeric
        fault[wrong & (fault == 0)] = NUMBER
    fault[(quality == NO_QUALITY) & (fault == 0)] = QUALITY
    if not ahead and len(start):
        late = start > int((now + AHEAD).timestamp() * SECOND)
        if late.any():
            quality = np.where(late & (quality == Quality.GOOD), np.uint8(Quality.CLOCK), quality)
    line = np.arange(1, len(sheet) + 1) if sheet.line is None else sheet.line
    found = Values([one.id for one in flows], flow, start, value, quality, line)
    faulty = np.flatnonzero(fault)
    if len(faulty) + len(sheet.bad) > MOST_BAD:
        raise SourceError("ingest.too_many_bad", count=len(faulty) + len(sheet.bad), most=MOST_BAD)
    if not len(faulty):
        return Decoded(found, sheet.bad, sheet.timed, sheet.meta)
    rejected = [_reject(sheet, names, i, int(fault[i]), int(codes[i])) for i in faulty.tolist()]
    return Decoded(found.pick(fault == 0), [*sheet.bad, *rejected], sheet.timed, sheet.meta)


def _starts(
    sheet: Sheet, flow: npt.NDArray[np.int32], fault: Bytes, flows: Sequence[Flow], tz: ZoneInfo
) -> tuple[Ints, npt.NDArray[np.uint8]]:
    """UTC starts and the codes of the stamps; marks rows whose time cannot be used."""
    clock = sheet.clock
    if clock.absolute.all():
        at, codes = clock.at, clock.codes
    else:
        at, codes = stamps.to_utc(within(clock), tz, flow.astype(np.int64))
        codes = np.where(codes == stamps.TWICE, stamps.FINE, codes).astype(np.uint8)
    if sheet.ending:
        seconds = np.array([one.step.seconds if one.step is not None else 0 for one in flows] or [0])[flow]
        fault[(seconds == 0) & (fault == 0)] = STEP
        at = at - seconds * SECOND
    outside = (at < 0) | (at >= _LAST_US)
    if outside.any():
        codes = np.where(outside & (codes == stamps.FINE), stamps.YEAR, codes).astype(np.uint8)
    if codes.any():
        fault[(codes != stamps.FINE) & (fault == 0)] = TIME
    return at, codes


def _converted(sheet: Sheet, fault: Bytes, names: Names) -> Floats:
    """Values in the unit of their flow; marks rows whose unit is none of it."""
    factor = np.array([1.0 if t is None else t.factor for t in sheet.targets] or [1.0])
    if sheet.unit is None:
        return sheet.value if (factor == 1).all() else _times(sheet.value, factor[sheet.flow])
    width = len(sheet.units) + 1
    pairs, inverse = np.unique(sheet.flow.astype(np.int64) * width + sheet.unit + 1, return_inverse=True)
    table, wrong = np.ones(len(pairs)), np.zeros(len(pairs), bool)
    for i, pair in enumerate(pairs.tolist()):
        word, which = divmod(pair, width)
        target = sheet.targets[word] if word >= 0 else None
        if target is None:
            continue
        written = sheet.units[which - 1].strip() if which else ""
        declared = names.flows[target.flow]
        try:
            table[i] = (
                target.scale * conversion(unit(written), declared, declared.step)[0]
                if written
                else target.factor
            )
        except MangroveError:
            wrong[i] = True
    if wrong.any():
        fault[wrong[inverse] & (fault == 0)] = UNIT
    return _times(sheet.value, table[inverse.ravel()])


def _times(value: Floats, factor: Floats) -> Floats:
    with np.errstate(over="ignore"):  # what becomes infinite is refused as such
        return value * factor


def _line(sheet: Sheet, row: int) -> int:
    return row + 1 if sheet.line is None else int(sheet.line[row])


def _reject(sheet: Sheet, names: Names, row: int, fault: int, code: int) -> Rejected:
    """The bad row with its reason."""
    raw = sheet.raw(row)
    word = sheet.words[int(sheet.flow[row])] if sheet.flow[row] >= 0 else ""
    text = raw[:_SHOWN]
    reasons: dict[int, Callable[[], Problem]] = {
        NO_FLOW: lambda: Problem("ledger.no_flow", {}),
        UNKNOWN: lambda: Problem("sources.unknown_flow", {"flow": word[:_SHOWN], "hint": str(names.hint(word)), "rows": 1}),
        TIME: lambda: Problem(REASONS[code], {"text": text}),
        STEP: lambda: Problem("ingest.end_needs_step", {"flow": word[:_SHOWN]}),
        UNIT: lambda: Problem("sources.bad_unit", {"text": _unit(sheet, row)}),
        QUALITY: lambda: Problem("sources.bad_quality", {"text": text}),
        NUMBER: lambda: Problem("sources.bad_number", {"text": text, "column": "value"}),
    }  # fmt: skip
    return Rejected(raw, reasons[fault](), _line(sheet, row))


def _unit(sheet: Sheet, row: int) -> str:
    which = -1 if sheet.unit is None else int(sheet.unit[row])
    return sheet.units[which][:_SHOWN] if which >= 0 else ""


# Times


def clock_of(column: pa.Array) -> WallClock:
    """A column of times: timestamps, Unix numbers (seconds to nanoseconds, told by their size) or ISO 8601 text."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _typed(column)
    if pa.types.is_integer(kind):
        wide = np.asarray(pc.fill_null(pc.cast(column, pa.int64()), 0))
        return _clock(unix(wide), _valid(column))
    if pa.types.is_floating(kind):
        number = np.asarray(pc.fill_null(pc.cast(column, pa.float64()), np.nan))
        usable = np.isfinite(number) & (np.abs(number) < 9e18)  # noqa: PLR2004 - what 64 bits hold
        return _clock(unix(np.where(usable, number, 0.0)), usable)
    return _text(column)


def _valid(column: pa.Array) -> Bools:
    return (
        np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False))
        if column.null_count
        else np.ones(len(column), bool)
    )


def _clock(at: Ints, usable: Bools, *, absolute: bool = True) -> WallClock:
    n = len(at)
    codes = np.where(usable, stamps.FINE, stamps.UNREADABLE).astype(np.uint8)
    return WallClock(at, np.full(n, absolute), np.zeros(n, bool), codes)


def _typed(column: pa.Array) -> WallClock:
    aware = pa.types.is_timestamp(column.type) and column.type.tz is not None
    zoned = pa.timestamp("us", tz=column.type.tz if aware else None)
    plain = pc.cast(pc.cast(column, zoned, safe=False), pa.int64())
    at = (pc.fill_null(plain, 0) if column.null_count else plain).to_numpy(zero_copy_only=False)
    return _clock(at, _valid(column), absolute=aware)


def unix(number: npt.NDArray[Any]) -> Ints:
    """Microseconds since 1970 of Unix times in seconds, milliseconds, microseconds or nanoseconds, told by their size.

    Example:
        >>> unix(np.array([1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000_000])).tolist()
        [1700000000000000, 1700000000000000, 1700000000000000]
    """
    size = np.abs(number)
    low, high = (size.min(), size.max()) if len(number) else (0, 0)
    for bound, factor in _UNIX:
        if high < bound and (factor == SECOND or low >= bound // 1000):
            return _whole(number * factor)
    scales = [number * factor for _, factor in _UNIX]
    return _whole(np.select([size < bound for bound, _ in _UNIX], scales, number // 1000))


def _whole(number: npt.NDArray[Any]) -> Ints:
    return number if number.dtype == np.int64 else np.rint(number).astype(np.int64)


def _text(column: pa.Array) -> WallClock:
    text = pc.cast(column, pa.string())
    plain = len(text) and (text[0].as_py() or "").strip().isdigit()
    for kind, absolute in () if plain else ((pa.timestamp("us", "UTC"), True), (pa.timestamp("us"), False)):
        try:
            at = pc.cast(pc.cast(text, kind), pa.int64())
        except pa.ArrowInvalid:
            continue
        return _clock(np.asarray(pc.fill_null(at, 0)), _valid(text), absolute=absolute)
    digits = pc.fill_null(pc.match_substring_regex(text, r"^\s*-?\d{1,19}(\.\d+)?\s*$"), False)  # noqa: FBT003 - a value
    numeric = digits.to_numpy(zero_copy_only=False)
    if not numeric.any():
        return stamps.read_stamps(text, _ISO)
    number = np.zeros(len(text))
    exact = np.zeros(len(text), np.int64)
    chosen = pc.utf8_trim_whitespace(text.filter(digits))
    try:
        exact[numeric] = unix(np.asarray(pc.cast(chosen, pa.int64())))
    except pa.ArrowInvalid:
        number[numeric] = np.asarray(pc.cast(chosen, pa.float64()))
        exact[numeric] = unix(number[numeric])
    found = _clock(exact, numeric)
    return found if numeric.all() else merged(found, stamps.read_stamps(text, _ISO), numeric)


def within(clock: WallClock) -> WallClock:
    """The same stamps, those outside the years that can be marked so: a zone knows no rule for the year 100,000."""
    outside = (clock.at < -stamps.DAY) | (clock.at >= _LAST_US + stamps.DAY)
    if not outside.any():
        return clock
    codes = np.where(outside & (clock.codes == stamps.FINE), np.uint8(stamps.YEAR), clock.codes)
    return replace(clock, at=np.where(outside, 0, clock.at), codes=codes)


def merged(first: WallClock, second: WallClock, where: Bools) -> WallClock:
    """The stamps of `first` where `where`, else those of `second`."""
    return WallClock(
        np.where(where, first.at, second.at),
        np.where(where, first.absolute, second.absolute),
        np.where(where, first.end_of_day, second.end_of_day),
        np.where(where, first.codes, second.codes).astype(np.uint8),
    )


def encoded(column: pa.Array) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Index into the distinct words of a text column (-1 where null), and those words."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    index = column.indices
    if index.null_count:
        index = pc.fill_null(pc.cast(index, pa.int32()), -1)
    words = column.dictionary.to_pylist()
    return index.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), [w or "" for w in words]


def qualities(written: Sequence[Any]) -> list[int]:
    """Quality codes of distinct cells: `0` to `9`, `00` to `02`, or a name such as `filled`; empty means good."""
    return [_quality(one) for one in written]


def _quality(one: Any) -> int:
    if one is None or one == "":
        return int(Quality.GOOD)
    if isinstance(one, bool) or not isinstance(one, int | float | str):
        return NO_QUALITY
    text = str(one).strip()
    if text.upper() in Quality.__members__:
        return int(Quality[text.upper()])
    number = text.removesuffix(".0")
    known = number.isascii() and number.isdigit() and len(number) <= 2 and int(number) in set(Quality)  # noqa: PLR2004 - `02`
    return int(number) if known else NO_QUALITY
