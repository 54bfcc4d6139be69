# SPDX-License-Identifier: Apache-2.0
"""The tables of a GTFS feed, out of a zip or a folder, with limits: text columns, numbers, and references checked at once.

Comes in: a path. Goes out: Arrow tables of text. A zip that would unpack to more than the limits is refused before it is unpacked; a
missing file or column, a number that is none and a name that is not declared are errors with file and line.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from mangrove.errors import SourceError, Where, did_you_mean

LARGEST = 2 * 1024**3
"""Bytes of all tables together: the largest national feeds have about 1.5 GB."""
RATIO = 100
"""A table that unpacks to more than this many times its packed size is no text that people wrote; it packs about 10 to 1."""
_SMALL = 1024 * 1024
_FILES = 10_000


class Tables:
    """The tables of one feed; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, str] = {}
        if path.is_dir():
            self._members = {one.name.lower(): str(one) for one in path.glob("*.txt")}
            self._limit("", sum(Path(one).stat().st_size for one in self._members.values()), 0)
            return
        if not path.is_file():
            raise SourceError("sources.no_file", where=Where(str(path)), path=str(path))
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise SourceError("gtfs.bad_zip", where=Where(str(path)), reason=str(error)) from None
        infos = self._zip.infolist()
        if len(infos) > _FILES:
            raise SourceError("gtfs.too_large", where=Where(str(path)), limit=LARGEST // 2**20)
        self._limit("", sum(one.file_size for one in infos), 0)
        for one in infos:
            if one.filename.lower().endswith(".txt"):
                self._limit(one.filename, one.file_size, one.compress_size)
                self._members.setdefault(one.filename.rpartition("/")[2].lower(), one.filename)

    def _limit(self, name: str, size: int, packed: int) -> None:
        where = Where(f"{self.path}/{name}" if name else str(self.path))
        if size > LARGEST or (name and size > _SMALL and size > RATIO * max(packed, 1)):
            raise SourceError("gtfs.too_large", where=where, limit=LARGEST // 2**20)

    def has(self, name: str) -> bool:
        """Whether the feed has a table."""
        return f"{name}.txt" in self._members

    def where(self, name: str, row: int = -1) -> Where:
        """A place in a table: the line of a row (from 0) below the header."""
        return Where(f"{self.path.name}/{name}.txt", row + 2 if row >= 0 else 0)

    def need(self, name: str, *columns: str) -> pa.Table:
        """A table with text columns, blanks as empty text.

        Raises:
            SourceError: `gtfs.missing_file`, `gtfs.missing_column`, `gtfs.bad_table`.
        """
        if not self.has(name):
            hint = did_you_mean(f"{name}.txt", self._members)
            raise SourceError("gtfs.missing_file", where=self.where(name), file=f"{name}.txt", hint=hint)
        raw = self._raw(self._members[f"{name}.txt"])
        try:
            header = raw[: raw.find(b"\n") + 1 or len(raw)].decode("utf-8-sig").strip()
            named = [column.strip().strip('"') for column in header.split(",")]
            table = csv.read_csv(
                io.BytesIO(raw),
                read_options=csv.ReadOptions(column_names=named, skip_rows=1),
                parse_options=csv.ParseOptions(newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(named, pa.string()), strings_can_be_null=False
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            if "Empty CSV" in str(error):
                return pa.table({column: pa.array([], pa.string()) for column in {*named, *columns}})
            raise SourceError("gtfs.bad_table", where=self.where(name), reason=str(error)[:200]) from None
        for column in columns:
            if column not in table.column_names:
                hint = did_you_mean(column, table.column_names)
                raise SourceError("gtfs.missing_column", where=self.where(name), column=column, hint=hint)
        return table

    def _raw(self, member: str) -> bytes:
        if self._zip is None:
            return Path(member).read_bytes()
        try:
            return self._zip.read(member)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            RuntimeError,
            ValueError,
        ) as error:
            raise SourceError("gtfs.bad_zip", where=Where(str(self.path)), reason=str(error)) from None

    def floats(
        self, table: pa.Table, name: str, column: str, blank: float | None = None
    ) -> npt.NDArray[np.float64]:
        """A column as numbers; `blank` stands for empty cells, which are errors without it."""
        text = pc.utf8_trim_whitespace(table[column])
        empty = pc.equal(text, "")
        if blank is not None:
            text = pc.if_else(empty, "nan", text)
        try:
            found = np.asarray(pc.cast(text, pa.float64()).to_numpy(), float)
        except pa.ArrowInvalid:
            row, written = next((i, t) for i, t in enumerate(text.to_pylist()) if not _is_number(t))
            raise SourceError("gtfs.bad_number", where=self.where(name, row), text=written) from None
        return found if blank is None or np.isnan(blank) else np.where(np.asarray(empty), blank, found)

    def numbers(self, table: pa.Table, name: str, column: str, known: Sequence[str]) -> npt.NDArray[np.int64]:
        """A column of names as numbers of `known`; an unknown name is an error with its line."""
        found = pc.index_in(table[column].combine_chunks(), pa.array(known, pa.string()))
        if found.null_count:
            row = int(np.flatnonzero(np.asarray(found.is_null()))[0])
            written = str(table[column][row].as_py())
            hint = did_you_mean(written, known[:5000])
            raise SourceError(
                "gtfs.unknown", where=self.where(name, row), column=column, text=written, hint=hint
            )
        return np.asarray(found, np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
