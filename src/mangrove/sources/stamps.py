# SPDX-License-Identifier: Apache-2.0
"""Time stamps as files write them, to UTC instants.

Comes in: columns of text such as "31/12/2018 24:00" and the style in which to read them. Goes out: wall-clock
microseconds, then UTC microseconds with a code per row: fine, unreadable, a time that the clock skipped, or a time that it
showed twice. Everything works on whole columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

FINE, UNREADABLE, SKIPPED, TWICE, YEAR = 0, 1, 2, 3, 4
"""Codes of a stamp: usable; no time; skipped by a clock change; shown twice by one; a year that cannot be."""

DAY = 86_400_000_000
SECOND = 1_000_000
_HALF_HOUR = 1800 * SECOND
_SLOTS = 48
FIRST_YEAR, LAST_YEAR = 1970, 2099
"""Years outside are typing mistakes (a real file of charging sessions writes 0014): refused unless a mapping mends them."""

_TIME = (
    r"(?:[ T]+(?P<h>\d{1,2})(?:[:hH](?P<mi>\d{1,2}))?(?::(?P<s>\d{1,2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<ap>[AaPp]\.?[Mm]\.?)?)?\s*(?P<z>Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_GENERAL = r"^\s*(?P<a>\d{1,4})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{1,4})" + _TIME
_COMPACT = r"^\s*(?P<a>\d{4})(?P<b>\d{2})(?P<c>\d{2})(?:[ T_]?(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})?)?(?P<f>X)?(?P<ap>X)?(?P<z>Z)?$"
_DIRECTIVES = {
    "d": r"(?P<d>\d{1,2})", "m": r"(?P<m>\d{1,2})", "Y": r"(?P<y>\d{4})", "y": r"(?P<y>\d{2})", "H": r"(?P<h>\d{1,2})",
    "M": r"(?P<mi>\d{1,2})", "S": r"(?P<s>\d{1,2})", "f": r"(?P<f>\d{1,9})", "I": r"(?P<h>\d{1,2})",
    "p": r"(?P<ap>[AaPp]\.?[Mm]\.?)", "z": r"(?P<z>Z|UTC|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
ORDERS = {"ymd": "yxd", "dmy": "dmy", "mdy": "mdy"}


@dataclass(frozen=True, slots=True)
class StampStyle:
    """How a file writes time.

    Attributes:
        order: `ymd`, `dmy`, `mdy`; `epoch_s`, `epoch_ms` (Unix time) or `excel` (days since 30 December 1899).
        pattern: the expression with groups y, m, d, h, mi, s, f, ap, z; empty for numbers.
        year_offset: years to add, for files that write 0014 for 2014.
    """

    order: str
    pattern: str = ""
    year_offset: int = 0

    @classmethod
    def of(cls, order: str, *, compact: bool = False, year_offset: int = 0) -> StampStyle:
        """The style for dates in `order` with any usual separator; `compact` for `20240131235500`."""
        names = {"ymd": "ymd", "dmy": "dmy", "mdy": "mdy"}[order]
        pattern = _COMPACT if compact else _GENERAL
        for group, name in zip("abc", names, strict=True):
            pattern = pattern.replace(f"(?P<{group}>", f"(?P<{name}>")
        return cls(order, pattern, year_offset)

    @classmethod
    def from_format(cls, written: str, *, year_offset: int = 0) -> StampStyle | None:
        """The style for a format such as `%d/%m/%Y %H:%M`; None when it has a directive that is not known."""
        parts = re.split(r"%(.)", written)
        pattern, seen = re.escape(parts[0]), set[str]()
        for directive, literal in zip(parts[1::2], parts[2::2], strict=True):
            if directive not in _DIRECTIVES or directive in seen:
                return None
            seen.add(directive)
            pattern += _DIRECTIVES[directive] + re.escape(literal)
        if not {"d", "m"} <= seen or not seen & {"Y", "y"}:
            return None
        pattern = pattern.replace(r"\ ", r"\s+").replace(r"\-", "-")
        missing = "".join(f"(?P<{g}>X)?" for g in ("h", "mi", "s", "f", "ap", "z") if f"<{g}>" not in pattern)
        return cls("format", f"^\\s*{pattern}{missing}\\s*$", year_offset)


@dataclass(frozen=True, slots=True)
class WallClock:
    """Parsed stamps of a column.

    Attributes:
        at: microseconds since 1970 on the wall clock (or UTC where `absolute`), shape (n,).
        absolute: the stamp carried its own offset, so `at` is UTC.
        end_of_day: the stamp said 24:00.
        codes: `FINE`, `UNREADABLE` or `YEAR`.
    """

    at: Ints
    absolute: Bools
    end_of_day: Bools
    codes: Codes

    def shifted(self, where: Bools, by: int) -> WallClock:
        """A copy with `by` microseconds added to the stamps selected by `where`."""
        return replace(self, at=np.where(where, self.at + by, self.at))


def read_stamps(column: pa.Array, style: StampStyle) -> WallClock:
    """Reads a column of stamps; no row is lost, unreadable ones are marked."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _typed(column, style)
    if style.order in ("epoch_s", "epoch_ms", "excel"):
        return _numeric(column, style)
    text = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    fields, good = _fixed_width(text, style)
    rest = np.flatnonzero(~good)
    if len(rest):
        slow, readable = _by_pattern(text.take(pa.array(rest)) if len(rest) < len(text) else text, style)
        for name, values in slow.items():
            fields[name][rest] = values
        good[rest] = readable
    return _assemble(fields, good, style)


def _typed(column: pa.Array, style: StampStyle) -> WallClock:
    """Columns that are time already: with a zone they are UTC, without one they are wall-clock time."""
    aware = pa.types.is_timestamp(column.type) and column.type.tz is not None
    valid = np.asarray(pc.is_valid(column))
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    plain = pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False)
    at = np.array(pc.fill_null(pc.cast(plain, pa.int64()), 0))
    years = at.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970 + style.year_offset
    codes = np.where(valid, np.where(_possible(years), FINE, YEAR), UNREADABLE).astype(np.uint8)
    no = np.zeros(len(at), dtype=bool)
    return WallClock(at, np.full(len(at), aware), no, codes)


def _numeric(column: pa.Array, style: StampStyle) -> WallClock:
    """Unix time and spreadsheet serial days, rounded to the second where days are fractions."""
    values = np.full(len(column), np.nan)
    try:
        values = np.array(pc.fill_null(pc.cast(column, pa.float64()), float("nan")), dtype=float)
    except pa.ArrowInvalid:
        for i, cell in enumerate(column.to_pylist()):
            if cell is not None and re.fullmatch(r"\s*\d+(\.\d+)?\s*", str(cell)):
                values[i] = float(cell)
    scale = {"epoch_s": SECOND, "epoch_ms": 1000, "excel": 86400}[style.order]
    usable = np.isfinite(values) & (np.abs(values) < _FARTHEST)
    at = np.rint(np.where(usable, values, 0) * scale).astype(np.int64)
    if style.order == "excel":
        at = at * SECOND - 25569 * DAY  # 25,569 days from 30 December 1899 to 1 January 1970
    years = at.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    codes = np.where(usable, np.where(_possible(years), FINE, YEAR), UNREADABLE).astype(np.uint8)
    return WallClock(at, np.full(len(at), style.order != "excel"), np.zeros(len(at), dtype=bool), codes)


def _possible(years: Ints) -> Bools:
    return (years >= FIRST_YEAR) & (years <= LAST_YEAR)


_FIELDS = ("y", "m", "d", "h", "mi", "s", "us", "offset")


def _fixed_width(text: pa.Array, style: StampStyle) -> tuple[dict[str, Ints], Bools]:
    """Reads the rows that have exactly the layout of the first readable one, digit by digit, as one byte matrix."""
    n = len(text)
    fields = {name: np.zeros(n, dtype=np.int64) for name in _FIELDS}
    fields["offset"][:] = _NO_OFFSET
    good = np.zeros(n, dtype=bool)
    model = next((cell for cell in text[:100].to_pylist() if cell and re.match(style.pattern, cell)), None)
    if model is None or not model.isascii():
        return fields, good
    match = re.match(style.pattern, model)
    groups = match.groupdict() if match else {}
    if match is None or groups.get("ap") or groups.get("z") not in (None, "Z"):
        return fields, good
    lengths = np.asarray(pc.fill_null(pc.binary_length(text), -1))
    rows = np.flatnonzero(lengths == len(model))
    chosen = text if len(rows) == n else text.take(pa.array(rows))
    offsets = np.frombuffer(chosen.buffers()[1], dtype=np.int32)[
        chosen.offset : chosen.offset + len(rows) + 1
    ]
    body = np.frombuffer(chosen.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    matrix = body.reshape(len(rows), len(model))
    digits = [i for name in groups if groups[name] and name != "z" for i in range(*match.span(name))]
    others = [i for i in range(len(model)) if i not in digits]
    wanted = np.frombuffer(model.encode(), dtype=np.uint8)
    same = np.all(matrix[:, others] == wanted[others], axis=1)
    same &= np.all((matrix[:, digits] >= 48) & (matrix[:, digits] <= 57), axis=1)  # noqa: PLR2004 - ASCII 0 to 9
    good[rows] = same
    for name, field in (
        ("y", "y"),
        ("m", "m"),
        ("d", "d"),
        ("h", "h"),
        ("mi", "mi"),
        ("s", "s"),
        ("f", "us"),
    ):
        if groups.get(name):
            value = np.zeros(len(rows), dtype=np.int64)
            for i in range(*match.span(name)):
                value = value * 10 + (matrix[:, i].astype(np.int64) - 48)
            width = match.end(name) - match.start(name)
            fields[field][rows] = value * 10**6 // 10**width if name == "f" else value
    if groups.get("y") and len(groups["y"]) == 2:  # noqa: PLR2004 - a year written 24
        fields["y"] += 2000
    if groups.get("z") == "Z":
        fields["offset"][:] = 0
    return fields, good


_NO_OFFSET = 10**9
_FARTHEST = 1e14


def _by_pattern(text: pa.Array, style: StampStyle) -> tuple[dict[str, Ints], Bools]:
    """Reads rows of varying width with one regular expression over the column."""
    found = pc.extract_regex(text, style.pattern)
    good = np.array(pc.is_valid(found))
    names = set(re.compile(style.pattern).groupindex)

    def part(name: str) -> pa.Array:
        if name not in names:
            return pa.nulls(len(text), pa.string())
        cells = pc.fill_null(pc.struct_field(found, name), "")
        return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)

    def number(name: str) -> Ints:
        return np.array(pc.fill_null(pc.cast(part(name), pa.int64()), 0))

    fields = {name: number(name) for name in ("y", "m", "d", "h", "mi", "s")}
    years = np.array(pc.fill_null(pc.binary_length(part("y")), 0))
    fields["y"] = np.where(years <= 2, fields["y"] + 2000, fields["y"])  # noqa: PLR2004 - a year written 24
    fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(part("f"), "0"), 6, "0"), 0, 6)
    fields["us"] = np.array(pc.cast(fraction, pa.int64()))
    half = pc.utf8_lower(pc.utf8_slice_codeunits(pc.fill_null(part("ap"), ""), 0, 1))
    afternoon, marked = np.asarray(pc.equal(half, "p")), np.asarray(pc.not_equal(half, ""))
    good &= ~marked | ((fields["h"] >= 1) & (fields["h"] <= 12))  # noqa: PLR2004 - a 12-hour clock
    fields["h"] = np.where(marked, fields["h"] % 12 + 12 * afternoon, fields["h"])
    offsets = [_offset(cell) for cell in part("z").to_pylist()] if "z" in names else [_NO_OFFSET] * len(text)
    fields["offset"] = np.array(offsets, dtype=np.int64)
    return fields, good


def _offset(cell: str | None) -> int:
    """Minutes east of UTC of `Z`, `UTC`, `+07:00`, `+0700`."""
    if not cell:
        return _NO_OFFSET
    if cell in ("Z", "UTC"):
        return 0
    sign = -1 if cell[0] == "-" else 1
    return sign * (int(cell[1:3]) * 60 + int(cell[-2:]))


def _assemble(fields: dict[str, Ints], good: Bools, style: StampStyle) -> WallClock:
    """Calendar fields to microseconds, checking that the date and the time exist."""
    year, month, day = fields["y"] + style.year_offset, fields["m"], fields["d"]
    possible = _possible(year)
    calendar = good & (month >= 1) & (month <= 12) & (day >= 1)  # noqa: PLR2004 - months
    safe = possible & calendar
    index = np.where(safe, (year - 1970) * 12 + month - 1, 0)
    first = index.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (index + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    calendar &= ~safe | (day <= following - first)
    midnight = (fields["h"] == 24) & (fields["mi"] == 0) & (fields["s"] == 0)  # noqa: PLR2004 - 24:00
    clock = (fields["h"] < 24) & (fields["mi"] < 60) & (fields["s"] < 60) | midnight  # noqa: PLR2004 - a clock
    seconds = fields["h"] * 3600 + fields["mi"] * 60 + fields["s"]
    at = (first + np.where(safe, day - 1, 0)) * DAY + seconds * SECOND + fields["us"]
    absolute = fields["offset"] != _NO_OFFSET
    at = np.where(absolute, at - np.where(absolute, fields["offset"], 0) * 60 * SECOND, at)
    usable = calendar & clock
    codes = np.where(usable, np.where(possible, FINE, YEAR), UNREADABLE).astype(np.uint8)
    return WallClock(np.where(codes == FINE, at, 0), absolute & usable, midnight & usable, codes)


def to_utc(clock: WallClock, tz: ZoneInfo, groups: Ints | None = None) -> tuple[Ints, Codes]:
    """UTC microseconds and codes for wall-clock stamps of the zone `tz`.

    A time that the clock showed twice is taken as the earlier instant at its first appearance in the file (per
    group) and as the later one at its second; when it appears only once, it is marked `TWICE`. A time that the clock
    skipped is marked `SKIPPED`; the first such instant, which ends the interval before the change, is the change itself.

    Args:
        clock: the stamps.
        tz: the zone of stamps without an offset.
        groups: an integer per row; rows of one group are one series (None: a single series).
    """
    codes = clock.codes.copy()
    local = (codes == FINE) & ~clock.absolute
    if not local.any():
        return clock.at.copy(), codes
    slots, inverse = np.unique(clock.at[local] // _HALF_HOUR, return_inverse=True)
    early, late, gap, edge = _offsets(slots, tz)
    utc = clock.at.copy()
    first, second = early[inverse] * SECOND, late[inverse] * SECOND
    rows = np.flatnonzero(local)
    utc[rows] = clock.at[rows] - first
    at_edge = edge[inverse] & (clock.at[rows] % _HALF_HOUR == 0)
    codes[rows[gap[inverse] & ~at_edge]] = SKIPPED
    twice = np.flatnonzero((first != second) & ~gap[inverse])
    if len(twice):
        where = rows[twice]
        key = np.stack([np.zeros(len(where), np.int64) if groups is None else groups[where], clock.at[where]])
        nth, count = _appearance(key)
        utc[where] = np.where(nth >= 1, clock.at[where] - second[twice], utc[where])
        codes[where[count == 1]] = TWICE
    return utc, codes


def _offsets(slots: Ints, tz: ZoneInfo) -> tuple[Ints, Ints, Bools, Bools]:
    """Per half-hour of wall time: seconds east of UTC before and after a fold, whether it is skipped, and is its first.

    A day that begins and ends with the same offset has it throughout; only the others are looked at by the half-hour.
    """
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall-clock time
    days, inverse = np.unique(slots // _SLOTS, return_inverse=True)
    opening, closing = (
        np.array(
            [_seconds((epoch + timedelta(days=day + k)).replace(tzinfo=tz)) for day in days.tolist()],
            np.int64,
        )
        for k in (0, 1)
    )
    early = opening[inverse]
    late = early.copy()
    gap, edge = np.zeros(len(slots), bool), np.zeros(len(slots), bool)
    half = timedelta(minutes=30)
    for i in np.flatnonzero(early != closing[inverse]).tolist():
        wall = epoch + int(slots[i]) * half
        early[i], late[i] = (_seconds(wall.replace(tzinfo=tz, fold=fold)) for fold in (0, 1))
        if early[i] < late[i]:  # the clock jumped forward over this time
            gap[i] = True
            back = (wall - half).replace(tzinfo=tz)
            edge[i] = _seconds(back) == _seconds(back.replace(fold=1))
    return early, late, gap, edge


def _seconds(moment: datetime) -> int:
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _appearance(key: npt.NDArray[np.int64]) -> tuple[Ints, Ints]:
    """For each column of `key`: how many equal columns came before it, and how many there are."""
    _, inverse, counts = np.unique(key, axis=1, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    order = np.argsort(inverse, kind="stable")
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    nth = np.empty(len(inverse), np.int64)
    nth[order] = np.arange(len(inverse)) - starts
    return nth, counts[inverse]


def instant_of(us: int) -> datetime:
    """The UTC datetime of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(us))
