# SPDX-License-Identifier: Apache-2.0
"""The line protocol of InfluxDB to values: what Telegraf and many gateways send.

Comes in: lines `measurement,tag=value field=number[i|u],other=... timestamp`. Goes out: `Decoded`, see `bodies.py`. Which flow a
field means is said by a point of a device that speaks HTTP, at an address such as `power,meter=EVN-1#kwh` (the line may have
more tags; without `#` the field is `value`), or by the tag `flow`, or by the measurement's own name; the last two mean the field
`value`. Of a line with a declared field the other fields are not read; a line without one is quarantined.

Lines are taken apart column by column; only lines with a backslash or a quotation mark are walked character by character.
The grammar is that of the InfluxDB documentation ("Line protocol", InfluxDB v2 reference).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import Problem, SourceError
from mangrove.ledger.types import Rejected
from mangrove.sources import stamps
from mangrove.sources.bodies import MOST_ROWS
from mangrove.sources.sheet import Decoded, Names, Sheet, Target, values_of
from mangrove.sources.stamps import Bools, Ints, WallClock
from mangrove.territory.model import Point

PRECISIONS = {"ns": 1e-3, "us": 1, "u": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6}
"""Microseconds of one unit of a timestamp; `m`, `h` and `u` are of version 1 of the interface."""
_SIMPLE = r"^(?P<key>[^ ]+) +(?P<fields>[^ ,=]+=[^ ,=]+(?:,[^ ,=]+=[^ ,=]+)*)(?: +(?P<at>-?\d{1,19}))? *$"
_FIELD = r"^(?P<name>[^=]+)=(?P<text>(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)[iu]?|.*)$"
_WORD = re.compile(r"(?:\\.|[^\\, =])*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[iu]?")
_NO_TIME = np.iinfo(np.int64).min
_SHOWN = 200


@dataclass(slots=True)
class _Fields:
    """Every field of every line: the line's position, index into `keys`, index into `fields`, the number (NaN: none)."""

    row: Ints
    key: npt.NDArray[np.int32]
    name: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    keys: list[str]
    names: list[str]
    at: Ints
    """Timestamp of each line, `_NO_TIME` where it has none."""
    broken: list[int] = field(default_factory=list)
    """Positions of lines that follow no rule."""


def decode_lines(
    body: bytes, names: Names, now: datetime, *, precision: str = "ns", ahead: bool = False
) -> Decoded:
    """The values of a body in line protocol; a line without a timestamp is of now.

    Raises:
        SourceError: `ingest.bad_precision`; `ingest.bad_body`: not UTF-8; `ingest.too_many_rows`; see `values_of`.
    """
    if precision not in PRECISIONS:
        raise SourceError("ingest.bad_precision", found=precision[:20], options=", ".join(PRECISIONS))
    try:
        written = body.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise SourceError("ingest.bad_body", text=str(error)[:_SHOWN]) from None
    if len(written) > MOST_ROWS:
        raise SourceError("ingest.too_many_rows", rows=len(written), most=MOST_ROWS)
    kept = [i for i, line in enumerate(written) if line and line[0] != "#" and not line.isspace()]
    lines = [written[i].rstrip("\r") for i in kept]
    return values_of(
        _sheet(lines, np.array(kept, np.int64) + 1, names, now, precision), names, now, ahead=ahead
    )


def _sheet(lines: list[str], number: Ints, names: Names, now: datetime, precision: str) -> Sheet:
    """One row for each field that means a flow; lines without such a field are bad."""
    found = _fields(lines)
    if len(found.row) > MOST_ROWS:
        raise SourceError("ingest.too_many_rows", rows=len(found.row), most=MOST_ROWS)
    width = max(len(found.names), 1)
    pairs, word = np.unique(found.key.astype(np.int64) * width + found.name, return_inverse=True)
    meaning = _Meaning(names)
    words: list[str] = []
    targets: list[Target | None] = []
    for pair in pairs.tolist():
        key, name = found.keys[pair // width], found.names[pair % width]
        words.append(f"{key}#{name}")
        targets.append(meaning.of(key, name))
    means = np.array([target is not None for target in targets] or [False])[word]
    silent = np.ones(len(lines), bool)
    silent[found.row[means]] = False
    if names.limited and silent.any():
        raise SourceError("ingest.not_yours", line=int(number[np.flatnonzero(silent)[0]]))
    row = found.row[means]
    at = _instants(found.at, precision)
    absent = found.at == _NO_TIME
    at[absent] = int(now.timestamp() * stamps.SECOND)
    n = len(row)
    clock = WallClock(at[row], np.ones(n, bool), np.zeros(n, bool), np.zeros(n, np.uint8))
    value = found.value[means]
    return Sheet(
        word[means].astype(np.int32),
        words,
        targets,
        clock,
        value,
        lambda i: lines[int(row[i])],
        None,
        line=number[row],
        bad=_bad(lines, number, silent, found.broken, names),
        timed=not absent[row].any(),
    )


def _instants(at: Ints, precision: str) -> Ints:
    """Microseconds since 1970; what does not fit is out of range, and so is a year that cannot be."""
    if precision == "ns":
        return at // 1000
    factor = int(PRECISIONS[precision])
    fits = np.abs(at) < 2**62 // factor
    return np.where(fits, at * np.where(fits, factor, 0), -1)


def _bad(lines: list[str], number: Ints, silent: Bools, broken: list[int], names: Names) -> list[Rejected]:
    """The lines that are no line protocol, and those whose fields mean no flow."""
    wrong = set(broken)
    rejected = []
    for i in np.flatnonzero(silent).tolist():
        text = lines[i][:_SHOWN]
        if i in wrong:
            reason = Problem("sources.bad_message", {"text": text})
        else:
            series = text.split(" ", 1)[0]
            reason = Problem(
                "sources.unknown_flow", {"flow": series, "hint": str(names.hint(series)), "rows": 1}
            )
        rejected.append(Rejected(lines[i], reason, int(number[i])))
    return rejected


class _Meaning:
    """Which flow a series and a field mean."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._points: dict[str, list[tuple[dict[str, str], str, Point]]] = {}
        for point in names.points:
            series, _, name = point.address.partition("#")
            measurement, tags = split_key(series)
            self._points.setdefault(measurement, []).append((tags, name or "value", point))

    def of(self, key: str, name: str) -> Target | None:
        """The point with the most tags that fits; then the tag `flow`; then the measurement."""
        measurement, tags = split_key(key)
        fitting = [
            (len(wanted), point)
            for wanted, named, point in self._points.get(measurement, ())
            if named == name and wanted.items() <= tags.items()
        ]
        if fitting:
            most = max(count for count, _ in fitting)
            best = [point for count, point in fitting if count == most]
            return self._names.of_point(best[0]) if len(best) == 1 else None
        if name != "value":
            return None
        return self._names.of_flow(tags.get("flow", measurement))


def split_key(key: str) -> tuple[str, dict[str, str]]:
    r"""Measurement and tags of a series key; `\,`, `\=` and `\ ` are the characters themselves.

    Example:
        >>> split_key(r"boiler\ 2,site=mill,fuel=coal")
        ('boiler 2', {'site': 'mill', 'fuel': 'coal'})
    """
    if "\\" not in key:
        measurement, *pairs = key.split(",")
        return measurement, {name: value for name, _, value in (pair.partition("=") for pair in pairs)}
    first, *parts = re.split(r"(?<!\\),", key)
    tags = [re.split(r"(?<!\\)=", part, maxsplit=1) for part in parts]
    return _plain(first), {_plain(tag[0]): _plain(tag[1]) for tag in tags if len(tag) == 2}  # noqa: PLR2004 - name and value


def _plain(word: str) -> str:
    return re.sub(r"\\([, =])", r"\1", word)


def _fields(lines: list[str]) -> _Fields:
    """All fields of all lines; simple lines by regular expressions over the column, the others one by one."""
    column = pa.array(lines, pa.string())
    marked = pc.match_substring_regex(column, r'[\\"]').to_numpy(zero_copy_only=False)
    simple = pc.extract_regex(column, _SIMPLE)
    good = pc.is_valid(simple).to_numpy(zero_copy_only=False) & ~marked
    position = np.flatnonzero(good)
    chosen = simple.filter(pa.array(good))
    keys = pc.struct_field(chosen, "key").dictionary_encode()
    parts = pc.split_pattern(pc.struct_field(chosen, "fields"), ",")
    parent = pc.list_parent_indices(parts).to_numpy(zero_copy_only=False)
    split = pc.extract_regex(pc.list_flatten(parts), _FIELD)
    text = pc.struct_field(split, "number")
    number = pc.cast(pc.if_else(pc.equal(text, ""), None, text), pa.float64())
    label = pc.fill_null(pc.struct_field(split, "name"), "").dictionary_encode()
    at = np.full(len(lines), _NO_TIME)
    stamp = pc.struct_field(chosen, "at")
    known = pc.not_equal(stamp, "").to_numpy(zero_copy_only=False)
    at[position[known]] = _integers(stamp.filter(pa.array(known)))
    found = _Fields(
        position[parent].astype(np.int64),
        keys.indices.to_numpy(zero_copy_only=False).astype(np.int32)[parent],
        label.indices.to_numpy(zero_copy_only=False).astype(np.int32),
        pc.fill_null(number, np.nan).to_numpy(zero_copy_only=False),
        keys.dictionary.to_pylist(),
        label.dictionary.to_pylist(),
        at,
    )
    if good.all():
        return found
    return _with_marked(found, lines, np.flatnonzero(~good).tolist())


def _integers(text: pa.Array) -> Ints:
    """Whole numbers of up to 19 digits; the few that 64 bits cannot hold are far out of range."""
    try:
        return np.asarray(pc.cast(text, pa.int64()))
    except pa.ArrowInvalid:
        return np.array([max(min(int(one), 2**63 - 1), -(2**63) + 1) for one in text.to_pylist()], np.int64)


def _with_marked(found: _Fields, lines: list[str], rest: list[int]) -> _Fields:
    """Adds the lines that need a walk."""
    keys = {key: i for i, key in enumerate(found.keys)}
    names = {name: i for i, name in enumerate(found.names)}
    row: list[int] = []
    key: list[int] = []
    name: list[int] = []
    value: list[float] = []
    for i in rest:
        parsed = parse_line(lines[i])
        if parsed is None:
            found.broken.append(i)
            continue
        series, fields, at = parsed
        if at is not None:
            found.at[i] = at
        for label, number in fields.items():
            row.append(i)
            key.append(keys.setdefault(series, len(keys)))
            name.append(names.setdefault(label, len(names)))
            value.append(number)
    return _Fields(
        np.append(found.row, np.array(row, np.int64)),
        np.append(found.key, np.array(key, np.int32)),
        np.append(found.name, np.array(name, np.int32)),
        np.append(found.value, np.array(value, np.float64)),
        list(keys),
        list(names),
        found.at,
        found.broken,
    )


def parse_line(line: str) -> tuple[str, Mapping[str, float], int | None] | None:
    r"""Series key (escapes kept), fields with their numbers (NaN when text or true/false) and timestamp of one line.

    None when the line follows no rule.

    Example:
        >>> parse_line(r'a\ b,t=1 value=2.5,note="x, y",n=3i 17')
        ('a\\ b,t=1', {'value': 2.5, 'note': nan, 'n': 3.0}, 17)
    """
    key = re.match(r"(?:\\.|[^\\ ])+", line)
    if key is None:
        return None
    at, fields = key.end(), dict[str, float]()
    while at < len(line) and line[at] == " ":
        at += 1
    while True:
        label = _WORD.match(line, at)
        if label is None or label.end() == at or line[label.end() : label.end() + 1] != "=":
            return None
        end = _value_end(line, label.end() + 1)
        if end is None:
            return None
        text = line[label.end() + 1 : end]
        fields[_plain(label[0])] = float(text.rstrip("iu")) if _NUMBER.fullmatch(text) else float("nan")
        at = end
        if line[at : at + 1] != ",":
            break
        at += 1
    stamp = line[at:].strip()
    if not stamp:
        return key[0], fields, None
    if not re.fullmatch(r"-?\d{1,18}", stamp) and not re.fullmatch(r"[1-8]\d{18}", stamp):
        return None
    return key[0], fields, int(stamp)


def _value_end(line: str, at: int) -> int | None:
    """Where a field's value ends: after its closing quotation mark, or before a comma or blank; None when it does not."""
    if line[at : at + 1] == '"':
        closing = re.compile(r'"(?:\\.|[^\\"])*"', re.DOTALL).match(line, at)
        return closing.end() if closing else None
    plain = re.compile(r"[^, ]+").match(line, at)
    return plain.end() if plain else None
