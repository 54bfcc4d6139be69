# SPDX-License-Identifier: Apache-2.0
"""Declared tables: CSV files as people and Excel write them, read by column, with the place of every cell.

Comes in: the path of a CSV file and the list of columns that it may have. Goes out: parsed values by column and all
problems, each with line and column of the cell. A file is read once; the column of a cell is looked for only when a
problem has to name it. Delimiters `,`, `;` and tab are told apart by the header (Vietnamese Excel writes `;` and
decimal commas); the file must be UTF-8.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mangrove.errors import MangroveError, Problem, Where, did_you_mean

_DELIMITER_NAMES = {";": ";", "\t": "TAB"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What neither a report in XML nor a terminal should be given."""
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([.,])\d{3}(?:\1\d{3})*")


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table may hold: the row of the format's own specification.

    Attributes:
        name: the header, in lower case.
        parse: text (stripped, not empty) to value; raises a `MangroveError` for text that makes no sense.
        about: what it holds, in one sentence: shown in the JSON schema and the reference.
        required: a blank cell is an error.
        default: the value of a blank cell.
        numeric: the cell is one plain number, so a decimal comma is read in files with `;` or tab.
        canon: the value as text that does not depend on how it was written, for the content hash.
    """

    name: str
    parse: Callable[[str], Any]
    about: str
    required: bool = False
    default: Any = None
    numeric: bool = False
    canon: Callable[[Any], str] = str


@dataclass(frozen=True)
class Table:
    """The cells of one CSV file, by column, with what is needed to find a cell again."""

    file: str
    lines: Sequence[str] = ()
    header: Sequence[str] = ()
    starts: Sequence[int] = ()
    cells: Sequence[Sequence[str]] = ()
    delimiter: str = ","
    header_line: int = 1

    @property
    def rows(self) -> int:
        """How many rows of data the file has."""
        return len(self.starts)

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers may be written with a decimal comma, as Excel does where it separates cells by `;`."""
        return self.delimiter != ","

    def column(self, name: str) -> Sequence[str] | None:
        """The texts of one column, or None when the file does not have it."""
        return self.cells[self.header.index(name)] if name in self.header else None

    def where(self, row: int, column: str = "") -> Where:
        """The place of a cell (of the whole line without `column`, or when the file lacks that column)."""
        line = self.starts[row]
        if column not in self.header:
            return Where(self.file, line)
        return Where(self.file, *cell_position(self.lines, line, self.header.index(column), self.delimiter))

    def header_where(self, index: int) -> Where:
        """The place of a column's name."""
        return Where(self.file, *cell_position(self.lines, self.header_line, index, self.delimiter))


@dataclass
class Parsed:
    """The values of one table: `values[column][row]`; `texts` holds the same in canonical spelling."""

    table: Table
    values: dict[str, list[Any]] = field(default_factory=dict)
    texts: list[list[str]] = field(default_factory=list)

    def where(self, row: int, column: str = "") -> Where:
        """The place of a cell."""
        return self.table.where(row, column)

    def fields(self, names: Sequence[str]) -> list[list[Any]]:
        """Columns in the order of a noun's fields, with the places of the rows at the end."""
        return [
            *(self.values[name] for name in names),
            [Where(self.table.file, line) for line in self.table.starts],
        ]

    def records(self) -> Iterable[tuple[Any, ...]]:
        """The rows, as tuples in the order of the declared columns."""
        return zip(*self.values.values(), strict=True)


@dataclass(frozen=True, slots=True)
class _Bad:
    """A cell that could not be read."""

    code: str
    data: dict[str, Any]


class _Memo(dict[str, Any]):
    """Parses every different text of a column once; units, carriers and steps repeat on thousands of rows."""

    def __init__(self, column: Column, *, decimal_comma: bool) -> None:
        super().__init__()
        self.column = column
        self.decimal_comma = decimal_comma and column.numeric
        self.bad = False

    def __missing__(self, text: str) -> Any:
        value = self._parse(text.strip())
        self.bad = self.bad or isinstance(value, _Bad)
        self[text] = value
        return value

    def _parse(self, text: str) -> Any:
        column = self.column
        if not text:
            return _Bad("territory.blank", {"column": column.name}) if column.required else column.default
        try:
            if self.decimal_comma:
                text = _with_point(text)
            return column.parse(text)
        except MangroveError as error:
            return _Bad(error.code, error.problem.data)


def _with_point(text: str) -> str:
    """A number with a decimal comma in the usual form; refuses what could also be a thousands separator."""
    if _GROUPED.fullmatch(text):
        raise MangroveError("territory.ambiguous_number", text=text)
    return text.replace(",", ".") if "." not in text else text


def read_text(path: Path, file: str) -> tuple[str, list[Problem]]:
    """The text of a UTF-8 file, with or without byte-order mark; anything else is a problem that names the likely encoding."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return "", [Problem("territory.file_missing", {"file": file}, Where(file))]
    except OSError as error:
        return "", [Problem("territory.unreadable", {"text": error.strerror or str(error)}, Where(file))]
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:4096]:
        return "", [Problem("territory.encoding", {"encoding": "UTF-16"}, Where(file, 1, 1))]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        return "", [Problem("territory.encoding", {"encoding": "Windows-1258"}, _behind(before, file))]
    control = _CONTROL.search(text)
    if control:
        code = f"U+{ord(control[0]):04X}"
        return "", [
            Problem("territory.control_character", {"text": code}, _behind(text[: control.start()], file))
        ]
    return text, []


def _behind(before: str, file: str) -> Where:
    """The place of the character that follows `before`."""
    return Where(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def read_table(path: Path, file: str) -> tuple[Table, list[Problem]]:
    """Reads a CSV file into columns of text; rows without any content are skipped."""
    text, problems = read_text(path, file)
    if problems:
        return Table(file), problems
    lines = list(io.StringIO(text, newline=""))
    if not text.strip():
        return Table(file), [Problem("territory.empty_file", {}, Where(file, 1, 1))]
    delimiter = _sniff(text)
    if delimiter != ",":
        data = {"delimiter": _DELIMITER_NAMES[delimiter]}
        problems.append(Problem("territory.delimiter_assumed", data, Where(file, 1), "note"))
    rows, starts = _rows(lines, delimiter, file, problems)
    if not rows:
        return Table(file), problems
    header = [cell.strip() for cell in rows[0]]
    header_line, rows, starts = starts[0], rows[1:], starts[1:]
    width = len(header)
    for index, row in enumerate(rows):
        if len(row) != width:
            sizes = {"expected": width, "found": len(row)}
            problems.append(Problem("territory.row_length", sizes, Where(file, starts[index], 1)))
            rows[index] = (row + [""] * width)[:width]
    columns = list(zip(*rows, strict=True)) if rows else [()] * width
    return Table(file, lines, header, starts, columns, delimiter, header_line), problems


def _sniff(text: str) -> str:
    """The delimiter of the header line: the one of `,`, `;`, tab that stands there most often."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _rows(
    lines: Sequence[str], delimiter: str, file: str, problems: list[Problem]
) -> tuple[list[list[str]], list[int]]:
    """All rows with content, and the line on which each one starts."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    starts: list[int] = []
    line = 1
    try:
        for row in reader:
            if any(cell and not cell.isspace() for cell in row):
                rows.append(row)
                starts.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(Problem("territory.csv_broken", {"text": str(error)}, Where(file, line, 1)))
    return rows, starts


def cell_position(lines: Sequence[str], line: int, index: int, delimiter: str) -> tuple[int, int]:
    r"""Line and column (from 1) at which cell number `index` (from 0) of the row that starts on `line` begins.

    Example:
        >>> cell_position(['a,"b\n', 'c",d\n'], 1, 2, ",")
        (2, 4)
    """
    column, cell, quoted, at_start = 1, 0, False, True
    while cell < index and line <= len(lines):
        for position, char in enumerate(lines[line - 1], start=1):
            if char == '"' and (quoted or at_start):
                quoted = not quoted
            elif char == delimiter and not quoted:
                cell, at_start = cell + 1, True
                if cell == index:
                    column = position + 1
                    break
                continue
            at_start = char == '"' and not quoted
        else:
            line += 1
    return min(line, len(lines)), column


def parse_table(
    table: Table, schema: Sequence[Column], extra: Sequence[str] = ()
) -> tuple[Parsed, list[Problem]]:
    """Parses every declared column of `table`; `extra` names further columns that are kept as text."""
    problems = _header_problems(table, schema, extra)
    parsed = Parsed(table)
    further = [Column(name, str, "", default="") for name in extra if name in table.header]
    for column in [*schema, *further]:
        cells = table.column(column.name)
        if cells is None:
            parsed.values[column.name] = [column.default] * table.rows
            parsed.texts.append([_canon(column, column.default)] * table.rows)
            continue
        memo = _Memo(column, decimal_comma=table.decimal_comma)
        values = [memo[cell] for cell in cells]
        if memo.bad:
            for row, value in enumerate(values):
                if isinstance(value, _Bad):
                    problems.append(Problem(value.code, value.data, table.where(row, column.name)))
                    values[row] = memo[cells[row]] = column.default
        canon = {text: _canon(column, value) for text, value in memo.items()}
        parsed.values[column.name] = values
        parsed.texts.append([canon[cell] for cell in cells])
    return parsed, problems


def _canon(column: Column, value: Any) -> str:
    return "" if value is None else column.canon(value)


def _header_problems(table: Table, schema: Sequence[Column], extra: Sequence[str]) -> list[Problem]:
    """Columns that are unknown, written twice or missing."""
    if not table.header:
        return []
    known = [column.name for column in schema] + list(extra)
    problems = []
    for index, name in enumerate(table.header):
        where = table.header_where(index)
        if name not in known:
            data = {"column": name, "hint": did_you_mean(name, known), "options": ", ".join(known)}
            problems.append(Problem("territory.unknown_column", data, where))
        elif name in table.header[:index]:
            problems.append(Problem("territory.duplicate_column", {"column": name}, where))
    for column in schema:
        if column.required and column.name not in table.header:
            where = Where(table.file, table.header_line, 1)
            problems.append(Problem("territory.missing_column", {"column": column.name}, where))
    return problems
