# SPDX-License-Identifier: Apache-2.0
"""Tables of any kind as a stream of text columns.

Comes in: a CSV, TSV, Excel or Parquet file. Goes out: its header and chunks of columns with the line number of every
row, in bounded memory. A row with too many or too few cells is handed out beside the chunk, never guessed at. Nothing
here knows what a column means.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mangrove.errors import SourceError, Where

CHUNK_ROWS = 200_000
"""Rows handed out at once: some tens of megabytes of text."""

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".xlsx", ".xlsm", ".parquet")
_BLOCK = 8 << 20
_DELIMITERS = "\t;|,"
_PROBE = 64
_HUGE = 1e300
UNNAMED = re.compile(r"#\d+")
"""The name that a column without a header gets: `#` and its position."""
_LIKE_VALUE = re.compile(r"[-+−]?[\d.,\s\u00a0]+(?:[eE][-+]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a mapping file says about the form of a file; empty fields are found out."""

    encoding: str = ""
    delimiter: str = ""
    header: bool | None = None
    skip: int = 0
    sheet: str = ""


@dataclass(slots=True)
class Chunk:
    """Some rows: equally long columns by name, their line numbers, and rows that do not fit the header (line, text)."""

    columns: dict[str, pa.Array]
    lines: npt.NDArray[np.int64]
    broken: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Table(AbstractContextManager["Table"]):
    """An opened file.

    Attributes:
        path, kind: the file; `text`, `excel` or `parquet`.
        sha256: hex digest of the file's bytes.
        header: unique names of the columns ("1", "2", ... when the file has no header).
        encoding, delimiter: of a text file.
        has_header: whether the names were written in the file.
        repeated: names that the header repeats.
        skipped: lines before the header.
        sheet, other_sheets: of a workbook: the sheet that is read, and those that are not.
    """

    path: Path
    kind: str
    sha256: str
    header: list[str] = field(default_factory=list)
    encoding: str = ""
    delimiter: str = ""
    has_header: bool = True
    repeated: list[str] = field(default_factory=list)
    skipped: int = 0
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)
    _clean: Path | None = None
    _first: int = 1
    quoted: bool = False
    _bad_lines: list[tuple[int, str]] = field(default_factory=list)

    def chunks(self, columns: Sequence[str] | None = None, size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows, in file order; only the named columns where the format can skip the others."""
        if self.kind == "parquet":
            yield from self._parquet(columns, size)
        elif self.kind == "excel":
            yield from self._excel(size)
        else:
            yield from self._text(columns, size)

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """Line numbers and lines exactly as a text file has them; nothing for the other kinds."""
        if self.kind == "text":
            with self.path.open(encoding=self.encoding, errors="replace", newline="") as lines:
                for number, line in enumerate(lines, start=1):
                    yield number, line.rstrip("\r\n")

    def _text(self, columns: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        source = self._clean or self.path
        if source.stat().st_size == 0 or not self.header:
            return
        broken: list[tuple[int, str]] = list(self._bad_lines)
        left_out: set[int] = set()

        def keep(row: Any) -> str:
            left_out.add(row.number)
            broken.append((row.number, row.text))
            return "skip"

        reader = pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=self.header, skip_rows=self._first - 1, block_size=_BLOCK
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self.delimiter or ",",
                quote_char='"' if self.quoted else False,
                invalid_row_handler=keep,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(self.header, pa.string()),
                strings_can_be_null=False,
                include_columns=list(columns) if columns else self.header,
            ),
        )
        cursor = self._first - 1
        for batch in reader:
            lines, cursor = _line_numbers(cursor, batch.num_rows, left_out)
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            for start in range(0, batch.num_rows, size):
                part = {name: array.slice(start, size) for name, array in arrays.items()}
                yield _without_blank_rows(part, lines[start : start + size], broken)
                broken = []
        if broken:
            yield Chunk({}, np.empty(0, np.int64), broken)

    def _parquet(self, columns: Sequence[str] | None, size: int) -> Iterator[Chunk]:
        line = 1
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=size, columns=list(columns) if columns else None):
                arrays = {
                    name: _decoded(array)
                    for name, array in zip(batch.schema.names, batch.columns, strict=True)
                }
                yield Chunk(arrays, np.arange(line, line + batch.num_rows, dtype=np.int64))
                line += batch.num_rows

    def _excel(self, size: int) -> Iterator[Chunk]:
        for rows, first in _excel_rows(self.path, self.sheet, self._first, size):
            columns = list(zip(*[_padded(row, len(self.header)) for row in rows], strict=True))
            arrays = {name: cells_to_array(cells) for name, cells in zip(self.header, columns, strict=True)}
            yield _without_blank_rows(arrays, np.arange(first, first + len(rows), dtype=np.int64), [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._clean is not None:
            self._clean.unlink(missing_ok=True)
            self._clean = None


def open_table(path: Path, shape: Shape | None = None) -> Table:
    """Opens a file and finds its form: encoding, delimiter, header. Use it as a context manager.

    Raises:
        SourceError: `sources.no_file`, `sources.unreadable`, `sources.empty`, `sources.unknown_format`.
    """
    shape = shape or Shape()
    where = Where(str(path))
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SourceError("sources.no_file", where=where, path=str(path))
    if suffix not in SUFFIXES:
        raise SourceError("sources.unknown_format", where=where, suffix=suffix, options=", ".join(SUFFIXES))
    try:
        if suffix == ".parquet":
            return _open_parquet(path)
        if suffix in (".xlsx", ".xlsm"):
            return _open_excel(path, shape)
        return _open_text(path, shape)
    except SourceError:
        raise
    except (OSError, ValueError, KeyError, LookupError, csv.Error, pa.ArrowException) as error:
        raise SourceError("sources.unreadable", where=where, reason=str(error)) from error
    except Exception as error:  # a damaged workbook raises whatever its zip or XML reader raises
        if suffix not in (".xlsx", ".xlsm"):
            raise
        raise SourceError("sources.unreadable", where=where, reason=repr(error)) from error


def _open_parquet(path: Path) -> Table:
    with pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise SourceError("sources.same_name", where=Where(str(path)), names=", ".join(repeated))
    return Table(path, "parquet", file_sha256(path), names)


def file_sha256(path: Path) -> str:
    """The hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- text ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Facts:
    """What one pass over the bytes shows."""

    sha256: str
    bom: str = ""
    lines: int = 0
    undecodable: int = 0
    quotes: bool = False
    odd_quotes: bool = False
    nul: bool = False


def _look(path: Path) -> _Facts:
    """One pass over the bytes: digest, encoding errors, quotes. Lines are looked at only in blocks that need it."""
    digest = hashlib.sha256()
    facts = _Facts("")
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            if not facts.bom and facts.lines == 0 and not rest:
                facts.bom = _bom(block)
            block, cut = _at_line_end(rest + block)
            _weigh_block(block, facts)
            rest = cut
    _weigh_block(rest, facts)
    facts.sha256 = digest.hexdigest()
    return facts


def _bom(block: bytes) -> str:
    if block.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    return "utf-16" if block[:2] in (b"\xff\xfe", b"\xfe\xff") else ""


def _at_line_end(block: bytes) -> tuple[bytes, bytes]:
    """A block split after its last line end."""
    cut = block.rfind(b"\n") + 1
    return block[:cut], block[cut:]


def _weigh_block(block: bytes, facts: _Facts) -> None:
    facts.lines += block.count(b"\n")
    facts.nul |= b"\0" in block
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        facts.undecodable += sum(not _decodes(line) for line in block.split(b"\n"))
    if b'"' in block:
        facts.quotes = True
        facts.odd_quotes |= any(line.count(b'"') % 2 for line in block.split(b"\n") if b'"' in line)


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _open_text(path: Path, shape: Shape) -> Table:
    facts = _look(path)
    encoding = shape.encoding or facts.bom or _encoding(facts)
    clean = (
        encoding in ("utf-8", "utf-8-sig")
        and not facts.undecodable
        and not facts.odd_quotes
        and not facts.nul
    )
    table = Table(path, "text", facts.sha256, encoding=encoding, quoted=facts.quotes)
    if not clean:
        table._clean, table._bad_lines = _cleaned(path, encoding)  # noqa: SLF001 - this module builds it
    try:
        _find_form(table, shape)
    except BaseException:
        table.__exit__(None, None, None)
        raise
    return table


def _encoding(facts: _Facts) -> str:
    """UTF-8 unless more than one line in a hundred cannot be read so; then the Vietnamese Windows code page."""
    return "cp1258" if facts.undecodable * 100 > max(facts.lines, 1) else "utf-8"


def _cleaned(path: Path, encoding: str) -> tuple[Path, list[tuple[int, str]]]:
    """A UTF-8 copy with the same line numbers, in which lines with an unclosed quote are empty; and those lines."""
    broken: list[tuple[int, str]] = []
    with (
        path.open(encoding=encoding, errors="replace", newline="") as source,
        tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".csv", delete=False) as copy,
    ):
        for number, line in enumerate(source, start=1):
            if line.count('"') % 2:
                broken.append((number, line.rstrip("\r\n")))
                copy.write("\n")
            else:
                copy.write(line.replace("\0", "\ufffd"))
    return Path(copy.name), broken


def _find_form(table: Table, shape: Shape) -> None:
    """Finds delimiter, preamble and header from the first lines."""
    with (table._clean or table.path).open(encoding="utf-8-sig", newline="", errors="replace") as stream:  # noqa: SLF001
        lines = [line.rstrip("\r\n") for line in islice(stream, shape.skip + _PROBE)][shape.skip :]
    if not any(line.strip() for line in lines):
        raise SourceError("sources.empty", where=Where(str(table.path)))
    table.delimiter = shape.delimiter or _delimiter(lines)
    rows = [next(csv.reader(io.StringIO(line), delimiter=table.delimiter), []) for line in lines]
    widths = Counter(len(row) for row in rows if any(cell.strip() for cell in row))
    width = max(widths, key=lambda w: (widths[w], w))
    top = next(i for i, row in enumerate(rows) if len(row) == width)
    table.skipped = shape.skip + top
    _name_columns(table, rows[top], header=shape.header)


def _name_columns(table: Table, row: Sequence[str], *, header: bool | None) -> None:
    """Takes `row` as the header unless a cell of it looks like a value."""
    names = [" ".join(str(cell).replace("\ufeff", "").split()) for cell in row]
    table.has_header = (
        header if header is not None else not any(n and _LIKE_VALUE.fullmatch(n) for n in names)
    )
    if not table.has_header:
        table.header = [str(i) for i in range(1, len(names) + 1)]
        table._first = table.skipped + 1  # noqa: SLF001 - this module builds it
        return
    seen: Counter[str] = Counter()
    for position, name in enumerate(names, start=1):
        unique = name or f"#{position}"
        seen[unique] += 1
        table.header.append(unique if seen[unique] == 1 else f"{unique} ({seen[unique]})")
    table.repeated = [name for name, count in seen.items() if count > 1]
    table._first = table.skipped + 2  # noqa: SLF001 - this module builds it


def _delimiter(lines: Sequence[str]) -> str:
    """The mark that cuts most lines into the same number of cells; of several, tab, `;`, `|`, `,` in this order."""

    def steadiness(mark: str) -> float:
        counts = Counter(
            len(next(csv.reader(io.StringIO(line), delimiter=mark), [])) for line in lines if line.strip()
        )
        width, lines_of_it = max(counts.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        return lines_of_it / sum(counts.values()) if width > 1 else 0.0

    best = max(_DELIMITERS, key=lambda mark: round(steadiness(mark), 1))
    return best if steadiness(best) > 0 else ","


def _line_numbers(cursor: int, count: int, skipped: set[int]) -> tuple[npt.NDArray[np.int64], int]:
    """The next `count` line numbers after `cursor` that are not among `skipped`; and the last of them.

    Lines that a cleaned copy blanked still stand in the batch as empty rows, so they are numbered, and dropped later.
    """
    if count == 0:
        return np.empty(0, np.int64), cursor
    reach = cursor + count + len(skipped) + 1
    candidates = np.arange(cursor + 1, reach, dtype=np.int64)
    if skipped:
        candidates = candidates[~np.isin(candidates, np.fromiter(skipped, np.int64))]
    return candidates[:count], int(candidates[count - 1])


def _without_blank_rows(
    columns: dict[str, pa.Array], lines: npt.NDArray[np.int64], broken: list[tuple[int, str]]
) -> Chunk:
    blank = np.ones(len(lines), dtype=bool)
    for array in columns.values():
        empty = pc.is_null(array)
        if pa.types.is_string(array.type):
            empty = pc.or_(empty, pc.equal(pc.fill_null(array, ""), ""))
        blank &= np.asarray(empty)
        if not blank.any():
            return Chunk(columns, lines, broken)
    keep = pa.array(~blank)
    return Chunk({name: array.filter(keep) for name, array in columns.items()}, lines[~blank], broken)


def _decoded(array: pa.Array) -> pa.Array:
    """Dictionary and large strings as plain strings."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return pc.cast(array, pa.string()) if pa.types.is_large_string(array.type) else array


# --- Excel --------------------------------------------------------------------------------------------------------


def _open_excel(path: Path, shape: Shape) -> Table:
    sheet, others = _sheets(path, shape.sheet)
    table = Table(path, "excel", file_sha256(path), sheet=sheet, other_sheets=others)
    rows = next(_excel_rows(path, sheet, 1 + shape.skip, _PROBE), ([], 1))[0]
    filled = [sum(cell not in (None, "") for cell in row) for row in rows]
    if not any(filled):
        raise SourceError("sources.empty", where=Where(str(path)))
    width = max(filled)
    top = next(i for i, count in enumerate(filled) if count == width)
    table.skipped = shape.skip + top
    last = max(i for i, cell in enumerate(rows[top]) if cell not in (None, "")) + 1
    names = ["" if cell is None else str(cell) for cell in rows[top][:last]]
    typed = any(not isinstance(cell, str) and cell is not None for cell in rows[top])
    _name_columns(table, names, header=(False if typed else None) if shape.header is None else shape.header)
    return table


def _sheets(path: Path, wanted: str) -> tuple[str, list[str]]:
    """The sheet to read (the wanted one, else the first that a person sees) and the names of the others."""
    import openpyxl  # slow to import, and most files are text

    book = openpyxl.load_workbook(path, read_only=True)
    try:
        names = [sheet.title for sheet in book.worksheets]
        seen = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"]
    finally:
        book.close()
    if wanted and wanted not in names:
        raise SourceError("sources.no_sheet", where=Where(str(path)), sheet=wanted, options=", ".join(names))
    if not names:  # a workbook of charts
        raise SourceError("sources.empty", where=Where(str(path)))
    sheet = wanted or next(iter(seen or names))
    return sheet, [name for name in names if name != sheet]


def _excel_rows(path: Path, sheet: str, first: int, size: int) -> Iterator[tuple[list[tuple[Any, ...]], int]]:
    """Blocks of rows of a sheet with the number of their first row."""
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        cells = book[sheet].iter_rows(min_row=first, values_only=True)
        while rows := list(islice(cells, size)):
            yield rows, first
            first += len(rows)
    finally:
        book.close()


def _padded(row: tuple[Any, ...], width: int) -> tuple[Any, ...]:
    return (*row, *[None] * (width - len(row)))[:width]


def cells_to_array(cells: Sequence[Any]) -> pa.Array:
    """A column of spreadsheet cells: numbers when all are numbers, else text.

    In a mixed column a true number is written in scientific notation, which `numbers.parse` reads the same way whatever
    the decimal mark of the text beside it; dates are written in ISO form, to the second.
    """
    kinds = {type(cell) for cell in cells if cell is not None and cell != ""}
    if kinds and kinds <= {int, float}:
        return pa.array([None if cell == "" else cell for cell in cells], pa.float64())
    return pa.array([_cell_text(cell) for cell in cells], pa.string())


def _cell_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int | float):
        return f"{cell:.17e}" if abs(cell) < _HUGE else str(cell)
    if hasattr(cell, "isoformat"):
        return _iso_seconds(cell)
    return str(cell)


def _iso_seconds(cell: Any) -> str:
    """ISO text of a date, a time or a datetime; a serial day is exact to about a microsecond, so seconds are rounded."""
    if isinstance(cell, datetime):
        return str((cell + timedelta(microseconds=500_000)).replace(microsecond=0).isoformat(sep=" "))
    return str(cell.isoformat())
