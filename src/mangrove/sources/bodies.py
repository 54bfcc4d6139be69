# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests to values: Arrow streams, columnar JSON, lists of objects, CSV.

Comes in: the bytes of a request, the `Names` that its sender may use, and the present. Goes out: `Decoded`: values, and the rows
that are none with their reasons. Columns have the names `flow`, `ts` (start of the interval; or `end`), `value`, and if wanted
`quality` and `unit`; any other name is an error, so that a typing mistake does not lose a unit. A body that has not this shape
is refused whole; a bad row in a good body is quarantined alone. The line protocol of InfluxDB is in `line_protocol.py`.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from mangrove.errors import Problem, SourceError, did_you_mean
from mangrove.ledger.types import HAPPENED, Quality, Rejected
from mangrove.sources import stamps
from mangrove.sources.sheet import (
    NO_QUALITY,
    Decoded,
    Names,
    Sheet,
    clock_of,
    encoded,
    merged,
    qualities,
    values_of,
    within,
)
from mangrove.sources.stamps import Bools, WallClock

COLUMNS = ("flow", "ts", "end", "value", "quality", "unit")
MOST_ROWS = 400_000
"""Rows of one request: what the largest body (8 MiB) holds as Arrow, and less than what the intake's queue takes."""
META = ("run", "model", "version", "inputs", "note")
"""What the metadata of an Arrow schema may say about the run that computed the values."""
_SHOWN = 200
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def decode_arrow(body: bytes, names: Names, now: datetime, *, ahead: bool = False) -> Decoded:
    """The values of an Arrow IPC stream; `ts` is a timestamp (without a zone: local time), Unix numbers or text.

    Raises:
        SourceError: `ingest.bad_body`: no such stream, another column, a wrong type; `ingest.too_many_rows`; see `values_of`.
    """
    table = _stream(body)
    meta = {
        key: value
        for key in META
        if (value := (table.schema.metadata or {}).get(key.encode(), b"").decode("utf-8", "replace"))
    }
    _check_rows(table.num_rows)
    _check_types(table)
    columns = {name: _whole(table.column(name)) for name in table.column_names}
    time = "end" if "end" in columns else "ts"
    flow, words = encoded(columns["flow"])
    value = pc.cast(columns["value"], pa.float64(), safe=False)
    sheet = Sheet(
        flow,
        words,
        [names.find(word) for word in words],
        clock_of(columns[time]),
        (pc.fill_null(value, np.nan) if value.null_count else value).to_numpy(zero_copy_only=False),
        lambda row: _shown({name: _cell(column, row) for name, column in columns.items()}),
        ending=time == "end",
        meta=meta,
    )
    if "quality" in columns:
        wide = pc.fill_null(pc.cast(columns["quality"], pa.int64()), int(Quality.GOOD)).to_numpy()
        sheet.quality = np.where((wide < 0) | (wide > max(Quality)), NO_QUALITY, wide).astype(np.uint8)
    if "unit" in columns:
        sheet.unit, sheet.units = encoded(columns["unit"])
    return values_of(sheet, names, now, ahead=ahead or meta.get("run", "measured") not in HAPPENED)


def _cell(column: pa.Array, row: int) -> Any:
    """A cell for people; an instant that Python does not know, or of an unknown zone, is its number."""
    cell = column[row]
    try:
        return cell.as_py()
    except (OverflowError, ValueError, KeyError):
        return cell.value


def _stream(body: bytes) -> pa.Table:
    """The table of an IPC stream from a stranger: not compressed (it could unfold without bound), and wholly checked."""
    try:
        _refuse_compression(body)
        table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        table.validate(full=True)
        _check_columns(table.column_names)
        _ = [getattr(field.type, "tz", None) for field in table.schema]  # a name of a zone may be no text
    except (pa.ArrowException, OSError, ValueError, struct.error, IndexError) as error:
        raise _bad(str(error)) from None
    return table


def _refuse_compression(body: bytes) -> None:
    """Refuses record batches with compressed buffers, by the `compression` field of their flatbuffer (Arrow format, Message.fbs)."""
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type in {"record batch", "dictionary"}:
            data = message.metadata.to_pybytes()
            header = _table_at(data, _field(data, _table_at(data, 0), 2))
            if message.type == "dictionary":
                header = _table_at(data, _field(data, header, 1))
            if _field(data, header, 3):
                raise _bad("compressed buffers: compress the whole body (Content-Encoding: gzip)")


def _table_at(data: bytes, at: int) -> int:
    """Where the flatbuffer table lies whose offset stands at `at`."""
    return int(at + struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, slot: int) -> int:
    """Where field number `slot` of a flatbuffer table lies; 0 when it is absent."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    entry = 4 + 2 * slot
    offset = struct.unpack_from("<H", data, vtable + entry)[0] if entry < size else 0
    return int(table + offset) if offset else 0


def _check_types(table: pa.Table) -> None:
    def text(kind: pa.DataType) -> bool:
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

    def number(kind: pa.DataType) -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    def time(kind: pa.DataType) -> bool:
        return bool(
            pa.types.is_timestamp(kind) or number(kind) or (text(kind) and not pa.types.is_dictionary(kind))
        )

    fits = {
        "flow": text,
        "unit": text,
        "value": number,
        "quality": pa.types.is_integer,
        "ts": time,
        "end": time,
    }
    for field in table.schema:
        if not fits[field.name](field.type):
            raise SourceError("ingest.wrong_column", column=field.name, found=str(field.type))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; dictionaries of several chunks become one."""
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def decode_json(body: bytes, names: Names, now: datetime, *, ahead: bool = False) -> Decoded:
    """The values of a JSON body: columns `{"flow": [..], "ts": [..], "value": [..]}`, a list of objects, or one object.

    In columns, `flow`, `ts`, `quality` and `unit` may be one word for all rows. A time is ISO 8601 or Unix time.

    Raises:
        SourceError: `ingest.bad_body`, `ingest.too_many_rows`; see `values_of`.
    """
    document = _parsed(body)
    if isinstance(document, dict) and isinstance(document.get("value"), list):
        sheet = _columns(document, names)
    elif isinstance(document, dict):
        sheet = _objects([document], names)
    elif isinstance(document, list):
        sheet = _objects(document, names)
    else:
        raise _bad(_shown(document))
    return values_of(sheet, names, now, ahead=ahead)


def _parsed(body: bytes) -> Any:
    """The document; the words NaN and Infinity, which are no JSON but are sent, become numbers that are quarantined."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if _HALF.search(body):  # half of a pair of UTF-16 is no text, and can be written nowhere
            raise _bad(str(error)) from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _bad(str(error)) from None


def _columns(document: dict[str, Any], names: Names) -> Sheet:
    _check_columns(document)
    count = len(document["value"])
    _check_rows(count)
    for name, cells in document.items():
        if isinstance(cells, list) and len(cells) != count:
            raise SourceError("ingest.column_length", column=name, found=len(cells), expected=count)
        if isinstance(cells, dict):
            raise _bad(f"{name}: {_shown(cells)}")

    def raw(row: int) -> str:
        return _shown(
            {name: cells[row] if isinstance(cells, list) else cells for name, cells in document.items()}
        )

    return _sheet(document, count, raw, names)


def _objects(document: list[Any], names: Names) -> Sheet:
    """Objects, one for each row; one that is none, or that has a key more or less, is quarantined."""
    _check_rows(len(document))
    allowed = frozenset(COLUMNS)
    ends = bool(document) and isinstance(document[0], dict) and "end" in document[0]
    time = "end" if ends else "ts"
    needed = frozenset(("value", time))
    good = [isinstance(one, dict) and needed <= one.keys() <= allowed for one in document]
    bad = [
        Rejected(shown := _shown(one), Problem("sources.bad_message", {"text": shown[:_SHOWN]}), i + 1)
        for i, (one, fine) in enumerate(zip(document, good, strict=True))
        if not fine
    ]
    rows = [one for one, fine in zip(document, good, strict=True) if fine] if bad else document
    cells: dict[str, Any] = {
        name: [one.get(name) for one in rows] for name in ("flow", time, "value", "quality", "unit")
    }
    sheet = _sheet(cells, len(rows), lambda row: _shown(rows[row]), names)
    sheet.bad = bad
    if bad:
        sheet.line = np.flatnonzero(good) + 1
    return sheet


def _sheet(cells: Mapping[str, Any], count: int, raw: Any, names: Names) -> Sheet:
    """The sheet of JSON cells: lists with one cell for each row, or one cell for all."""
    time = "end" if "end" in cells else "ts"
    flow, words = _words(cells.get("flow"), count)
    value, numeric = _numbers(cells["value"])
    sheet = Sheet(
        flow,
        words,
        [names.find(word) for word in words],
        _clock(cells[time], count),
        value,
        raw,
        numeric,
        ending=time == "end",
    )
    sheet.quality = _qualities(cells.get("quality"), count)
    written = cells.get("unit")
    if written is not None and not (isinstance(written, list) and set(map(type, written)) <= {type(None)}):
        sheet.unit, sheet.units = _words(written, count, strict=False)
    return sheet


def _words(cells: Any, count: int, *, strict: bool = True) -> tuple[np.ndarray, list[str]]:
    """Index into distinct words; what is no text names nothing (or, not `strict`, stands as its text and fails later)."""
    if not isinstance(cells, list):
        known = isinstance(cells, str)
        return np.full(count, 0 if known else -1, np.int32), [cells] if known else []
    if not set(map(type, cells)) <= {str, type(None)}:
        cells = [
            one if isinstance(one, str) else None if strict or one is None else _shown(one) for one in cells
        ]
    try:
        return encoded(pa.array(cells, pa.string()))
    except (pa.ArrowException, UnicodeError):
        raise _bad("text that is not UTF-8") from None


def _numbers(cells: Sequence[Any]) -> tuple[np.ndarray, Bools | None]:
    """Floats (NaN for null) and a mask of the cells that are numbers, None when all are."""
    kinds = set(map(type, cells))
    if kinds <= {float}:
        return np.array(cells, np.float64), None
    if kinds <= {float, int, type(None)}:
        try:
            column = pa.array(cells, pa.float64())
            return column.to_numpy(zero_copy_only=False), None
        except (pa.ArrowException, OverflowError):
            pass
    numeric = np.array([type(one) in {int, float} or one is None for one in cells], bool)
    return np.array([_float(one) for one in cells], np.float64), numeric


def _float(one: Any) -> float:
    try:
        return float(one) if type(one) in {int, float} else float("nan")
    except OverflowError:
        return float("inf")


def _clock(cells: Any, count: int) -> WallClock:
    """The times of JSON cells, numbers and texts mixed as they come."""
    if not isinstance(cells, list):
        return _clock([cells] * count, count)
    kinds = set(map(type, cells))
    try:
        if kinds <= {int}:
            return clock_of(pa.array(cells, pa.int64()))
        if kinds <= {str}:
            return clock_of(pa.array(cells, pa.string()))
    except (pa.ArrowException, OverflowError, UnicodeError):
        pass
    numbers = [one if type(one) is int and abs(one) < 2**63 else None for one in cells]
    fractions = [one if type(one) is float else None for one in cells]
    texts = [one.encode("utf-8", "replace").decode() if type(one) is str else None for one in cells]
    whole = clock_of(pa.array(numbers, pa.int64()))
    rest = merged(
        clock_of(pa.array(fractions, pa.float64())),
        clock_of(pa.array(texts, pa.string())),
        np.array([one is not None for one in fractions], bool),
    )
    return merged(whole, rest, np.array([one is not None for one in numbers], bool))


def _qualities(cells: Any, count: int) -> np.ndarray | None:
    if cells is None:
        return None
    if not isinstance(cells, list):
        return np.full(count, qualities([cells])[0], np.uint8)
    if set(map(type, cells)) <= {int}:
        known = {one: qualities([one])[0] for one in set(cells)}
        return np.array([known[one] for one in cells], np.uint8)
    return np.array(qualities(cells), np.uint8)


def decode_csv(body: bytes, names: Names, now: datetime, *, ahead: bool = False) -> Decoded:
    """The values of a CSV body with the header `flow,ts,value[,quality,unit]`; numbers have a decimal point.

    Raises:
        SourceError: `ingest.bad_body`, `ingest.too_many_rows`; see `values_of`.
    """
    table, bad, line = _read_csv(body)
    _check_columns(table.column_names)
    _check_rows(table.num_rows + len(bad))
    columns = {name: _whole(table.column(name)) for name in table.column_names}
    time = "end" if "end" in columns else "ts"
    flow, words = encoded(pc.if_else(pc.equal(columns["flow"], ""), None, columns["flow"]))
    value, numeric = _written_numbers(columns["value"])
    sheet = Sheet(
        flow,
        words,
        [names.find(word) for word in words],
        clock_of(columns[time]),
        value,
        lambda row: ",".join(str(columns[name][row]) for name in columns),
        numeric,
        ending=time == "end",
        line=line,
        bad=bad,
    )
    if "quality" in columns:
        index, written = encoded(columns["quality"])
        sheet.quality = np.array([*qualities(written), 0], np.uint8)[index]
    if "unit" in columns:
        sheet.unit, sheet.units = encoded(columns["unit"])
    return values_of(sheet, names, now, ahead=ahead)


def _read_csv(body: bytes) -> tuple[pa.Table, list[Rejected], np.ndarray]:
    """All columns as text, the rows of a wrong width, and the line of each other row."""
    bad: list[Rejected] = []

    def skip(row: pacsv.InvalidRow) -> str:
        bad.append(Rejected(str(row.text), Problem("sources.wrong_width", {}), row.number))
        return "skip"

    options = pacsv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False
    )
    try:
        body.decode("utf-8")
        table = pacsv.read_csv(
            pa.BufferReader(body),
            read_options=pacsv.ReadOptions(use_threads=False, block_size=max(len(body), 1)),
            parse_options=pacsv.ParseOptions(invalid_row_handler=skip),
            convert_options=options,
        )
    except (pa.ArrowException, UnicodeError, ValueError) as error:
        raise _bad(str(error)) from None
    line = np.arange(2, table.num_rows + len(bad) + 2)
    return table, bad, np.delete(line, [one.line - 2 for one in bad if one.line is not None])


def _written_numbers(column: pa.Array) -> tuple[np.ndarray, Bools | None]:
    """Numbers of text cells; an empty cell is none."""
    try:
        return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), None
    except pa.ArrowInvalid:
        pattern = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
        good = pc.match_substring_regex(column, pattern).to_numpy(zero_copy_only=False)
        plain = pc.utf8_ltrim(pc.utf8_trim_whitespace(column.filter(pa.array(good))), "+")
        value = np.full(len(column), np.nan)
        value[good] = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
        empty = pc.equal(column, "").to_numpy(zero_copy_only=False)
        return value, good | empty


def _check_columns(found: Any) -> None:
    """Each column once, none unknown, `flow`, `value` and one time among them."""
    listed = list(found)
    for name in listed:
        if name not in COLUMNS:
            raise SourceError(
                "ingest.unknown_column", column=str(name)[:80], hint=did_you_mean(str(name), COLUMNS)
            )
    for name in ("flow", "value"):
        if name not in listed:
            raise SourceError("ingest.missing_column", column=name)
    if ("ts" in listed) == ("end" in listed):
        raise SourceError("ingest.missing_column", column="ts")
    if len(set(listed)) < len(listed):
        raise _bad(", ".join(listed))


def _check_rows(count: int) -> None:
    if count > MOST_ROWS:
        raise SourceError("ingest.too_many_rows", rows=count, most=MOST_ROWS)


def _shown(document: Any) -> str:
    """A row as text, for quarantine."""
    try:
        return json.dumps(document, ensure_ascii=False, default=str)[:10_000]
    except RecursionError:
        raise _bad("nested too deeply") from None


def _bad(text: str) -> SourceError:
    return SourceError("ingest.bad_body", text=text[:_SHOWN])


def instants(cells: Sequence[Any], tz: ZoneInfo) -> np.ndarray:
    """UTC microseconds of times as JSON writes them; -1 where a cell is no time.

    Example:
        >>> instants(["2024-06-05T07:00:00", 1717545601, "?"], ZoneInfo("Asia/Ho_Chi_Minh")).tolist()
        [1717545600000000, 1717545601000000, -1]
    """
    clock = _clock(list(cells), len(cells))
    at, codes = stamps.to_utc(within(clock), tz)
    return np.where(np.isin(codes, (stamps.FINE, stamps.TWICE)), at, -1)
