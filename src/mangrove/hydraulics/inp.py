# SPDX-License-Identifier: Apache-2.0
"""The text form that EPANET and SWMM share: sections in brackets, one object a line, comments after a semicolon.

Comes in: a path. Goes out: rows by section with their line numbers, so that whatever is wrong can be named with its place. Both
programs write files in the code page of their machine: UTF-8 is tried first, then Latin-1, which reads every byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mangrove.errors import SourceError, Where, did_you_mean

LARGEST = 512 * 1024 * 1024
"""Bytes of the largest file that is read; a network of a million pipes has about 100 MB."""
KNOWN = (
    "TITLE", "JUNCTIONS", "RESERVOIRS", "TANKS", "PIPES", "PUMPS", "VALVES", "TAGS", "DEMANDS", "STATUS", "PATTERNS", "CURVES",
    "CONTROLS", "RULES", "ENERGY", "EMITTERS", "QUALITY", "SOURCES", "REACTIONS", "MIXING", "TIMES", "REPORT", "OPTIONS",
    "COORDINATES", "VERTICES", "LABELS", "BACKDROP", "END", "LEAKAGE", "OUTFALLS", "STORAGE", "DIVIDERS", "CONDUITS", "ORIFICES",
    "WEIRS", "OUTLETS", "XSECTIONS", "SUBCATCHMENTS", "SUBAREAS", "INFILTRATION", "RAINGAGES", "TIMESERIES", "POLYGONS",
)  # fmt: skip
_INP_SECTION = "]"
_OUTSIDE = {
    "REPORT": ("FILE",),
    "OPTIONS": ("HYDRAULICS",),
    "FILES": ("SAVE", "USE"),
    "TEMPERATURE": ("FILE",),
}
"""First words of rows by which EPANET and SWMM read or write other files."""
_FILE_ROWS = ("TIMESERIES", "RAINGAGES")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a section: its number in the file (from 1) and its words."""

    line: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class InpFile:
    """An .inp file as text and as rows by section (upper case)."""

    path: Path
    text: str
    sections: Mapping[str, tuple[Row, ...]]

    def rows(self, *sections: str) -> list[tuple[str, Row]]:
        """The rows of some sections with the section they stand in."""
        return [(name, row) for name in sections for row in self.sections.get(name, ())]

    def where(self, line: int = 0) -> Where:
        """A place in the file."""
        return Where(str(self.path), line)

    def option(self, name: str, default: str = "", section: str = "OPTIONS") -> str:
        """The words behind an option."""
        wanted = name.upper().split()
        for row in self.sections.get(section, ()):
            if [word.upper() for word in row.words[: len(wanted)]] == wanted:
                return " ".join(row.words[len(wanted) :])
        return default

    def number(self, row: Row, at: int, default: float | None = None) -> float:
        """The number in column `at` of a row (from 0).

        Raises:
            SourceError: `hydraulics.bad_number`, with the line.
        """
        written = row.words[at] if at < len(row.words) else ""
        if not written and default is not None:
            return default
        try:
            return float(written)
        except ValueError:
            raise SourceError(
                "hydraulics.bad_number", where=self.where(row.line), text=written, column=at + 1
            ) from None


def read(path: Path) -> InpFile:
    """Reads an .inp file.

    Raises:
        SourceError: `sources.no_file`, `hydraulics.too_large`, `hydraulics.no_sections`, `hydraulics.outside`.
    """
    if not path.is_file():
        raise SourceError("sources.no_file", where=Where(str(path)), path=str(path))
    if path.stat().st_size > LARGEST:
        raise SourceError("hydraulics.too_large", where=Where(str(path)), limit=LARGEST // 2**20)
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    sections: dict[str, list[Row]] = {}
    current: list[Row] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.partition(";")[0].strip()
        if bare.startswith("["):
            current = sections.setdefault(_section(bare, Where(str(path), number)), [])
        elif bare and current is None:
            raise SourceError("hydraulics.outside", where=Where(str(path), number), text=bare[:40])
        elif bare and current is not None:
            current.append(Row(number, tuple(bare.split())))
    if not sections:
        raise SourceError("hydraulics.no_sections", where=Where(str(path)))
    return InpFile(path, text, {name: tuple(rows) for name, rows in sections.items()})


def check_closed(file: InpFile, *, rained_on: bool = False) -> None:
    """Refuses a file that makes the solver read or write other files: such a path is whatever its author wanted.

    Args:
        file: an .inp file.
        rained_on: its rain gages are replaced, so that what they read does not matter.

    Raises:
        SourceError: `hydraulics.outside_file`, with the line.
    """
    for name, row in file.rows(*_OUTSIDE, *_FILE_ROWS):
        words = [word.upper() for word in row.words]
        leads = words[0] in _OUTSIDE.get(name, ())
        names_one = name in _FILE_ROWS and "FILE" in words and not (rained_on and name == "RAINGAGES")
        if leads or names_one:
            raise SourceError(
                "hydraulics.outside_file", where=file.where(row.line), text=" ".join(row.words)[:80]
            )


def _section(bare: str, where: Where) -> str:
    """The name of a section; both programs know sections by their first letters."""
    name, closed, _ = bare[1:].partition(_INP_SECTION)
    name = name.strip().upper()
    if not closed or not name:
        hint = did_you_mean(name, KNOWN)
        raise SourceError("hydraulics.bad_section", where=where, text=bare[:40], hint=hint)
    return next((known for known in KNOWN if len(name) > 3 and known.startswith(name)), name)  # noqa: PLR2004 - [JUNC], [COOR]
