# SPDX-License-Identifier: Apache-2.0
"""The mapping file: what a person says about files, so that nothing about them has to be guessed.

Comes in: `mapping.yaml`. Goes out: a frozen `Mapping`, or every problem of the file with line and column. A mapping
names, for files that match a pattern, which column is which flow, in which unit, and how time and numbers are written:

    files:
      - match: "steel*.csv"
        time: date
        date_order: dmy
        stamp: end
        columns:
          mill.electricity: {column: Usage_kWh, unit: kWh}
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mangrove import units
from mangrove.errors import MangroveError, Problem, RuleError, SourceError, Where, did_you_mean
from mangrove.sources.problems import RejectedError, unknown_flow
from mangrove.sources.stamps import StampStyle
from mangrove.sources.tables import Shape
from mangrove.times import zone


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a wide file: its name, the unit written in it (empty: the flow's own) and a further factor."""

    column: str
    unit: str = ""
    scale: float = 1.0
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class LongForm:
    """The columns of a long file; `names` turns the file's meter names into flow ids."""

    flow: str
    value: str
    unit: str = ""
    quality: str = ""
    names: dict[str, str] = field(default_factory=dict)
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Sessions:
    """The columns of a file of sessions (charging): each amount lies between a start and an end.

    `flow` is one flow id for all rows; or `column` names the column of stations and `names` says which flow each is.
    """

    start: str
    end: str
    value: str
    flow: str = ""
    column: str = ""
    names: dict[str, str] = field(default_factory=dict)
    zeros: bool = True
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class FileMapping:
    """What is said about the files that match one pattern; empty fields are found out by the import doctor.

    Attributes:
        match: pattern of file names (`*`, `?`).
        shape: encoding, delimiter, header, lines to skip, sheet.
        time: the time column, or a date column and a clock column.
        time_format: `%d/%m/%Y %H:%M`, or `epoch_s`, `epoch_ms`, `excel`.
        date_order: `ymd`, `dmy` or `mdy`.
        timezone: IANA zone of stamps without an offset; empty: the territory's.
        stamp: whether a stamp is the `start` or the `end` of its interval.
        midnight: `same_day` when 00:00 of a day is the end of that day.
        year_offset: years to add.
        decimal: `.` or `,`.
        unit: unit of all values that have no unit of their own.
        columns: flow id to column (wide form); long, sessions: the other two forms.
    """

    match: str
    shape: Shape = field(default_factory=Shape)
    time: tuple[str, ...] = ()
    time_format: str = ""
    date_order: str = ""
    timezone: str = ""
    stamp: str = ""
    midnight: str = ""
    year_offset: int = 0
    decimal: str = ""
    unit: str = ""
    columns: dict[str, Column] = field(default_factory=dict)
    long: LongForm | None = None
    sessions: Sessions | None = None
    where: Where | None = None

    def flows(self) -> Iterator[tuple[str, Where | None]]:
        """Every flow id that this entry names, with its place in the mapping file."""
        for flow, column in self.columns.items():
            yield flow, column.where
        for form in (self.long, self.sessions):
            if form is not None:
                yield from ((flow, form.where) for flow in form.names.values())
        if self.sessions is not None and self.sessions.flow:
            yield self.sessions.flow, self.sessions.where


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file: entries in order; the first whose pattern matches a file's name speaks for it."""

    files: tuple[FileMapping, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Mapping:
        """Reads a mapping file.

        Raises:
            RejectedError: with every problem of the file.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError("sources.unreadable", where=Where(str(path)), reason=str(error)) from error
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, name: str = "mapping.yaml") -> Mapping:
        """Reads the text of a mapping file; raises `RejectedError` with every problem."""
        reader = _Reader(name)
        mapping = reader.mapping(text)
        if reader.problems:
            raise RejectedError("sources.mapping_rejected", reader.problems)
        return mapping

    def for_file(self, path: Path) -> FileMapping | None:
        """The entry for a file, or None."""
        return next((entry for entry in self.files if fnmatch.fnmatch(path.name, entry.match)), None)

    def unknown_flows(self, known: Sequence[str]) -> list[Problem]:
        """Problems for flow ids that the territory does not declare."""
        names = set(known)
        return [
            unknown_flow(flow, known, where, severity="error")
            for entry in self.files
            for flow, where in entry.flows()
            if flow not in names
        ]


_CHOICES = {
    "date_order": ("ymd", "dmy", "mdy"),
    "stamp": ("start", "end"),
    "midnight": ("same_day", "next_day"),
    "decimal": (".", ","),
}
_TEXT = ("match", "time_format", "timezone", "unit", *_CHOICES)
_SHAPE = ("encoding", "delimiter", "header", "skip", "sheet")
_KEYS = (*_TEXT, *_SHAPE, "time", "year_offset", "columns", "long", "sessions")


class _Reader:
    """Walks the composed nodes of a YAML document, so that every problem has a line and a column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def mapping(self, text: str) -> Mapping:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = Where(self.name, mark.line + 1, mark.column + 1) if mark else Where(self.name)
            self.problems.append(
                Problem("sources.not_yaml", {"reason": getattr(error, "problem", error)}, where)
            )
            return Mapping()
        fields = self.fields(root, ("files",), required=("files",))
        entries = fields.get("files")
        if entries is None:
            return Mapping()
        if not isinstance(entries, yaml.SequenceNode):
            self.wrong(entries, "files", "list")
            return Mapping()
        return Mapping(tuple(self.entry(node) for node in entries.value))

    def entry(self, node: yaml.Node) -> FileMapping:
        fields = self.fields(node, _KEYS, required=("match",))
        given: dict[str, Any] = {key: self.text(fields[key], key) for key in _TEXT if key in fields}
        for key, options in _CHOICES.items():
            self.choice(fields.get(key), key, given.get(key, ""), options)
        if "time" in fields:
            given["time"] = self.names(fields["time"], "time")
        if "year_offset" in fields:
            given["year_offset"] = self.number(fields["year_offset"], "year_offset", int)
        self.check(fields.get("timezone"), zone, given.get("timezone"))
        self.check(fields.get("unit"), units.unit, given.get("unit"))
        time_format = given.get("time_format", "")
        if (
            time_format not in ("", "epoch_s", "epoch_ms", "excel")
            and StampStyle.from_format(time_format) is None
        ):
            self.report("sources.bad_format", fields["time_format"], format=time_format)
        forms = [key for key in ("columns", "long", "sessions") if key in fields]
        if len(forms) > 1:
            self.report("sources.two_forms", fields[forms[1]], first=forms[0], second=forms[1])
        return FileMapping(
            **{"match": "", **given},
            shape=self.shape(fields),
            columns=self.columns(fields["columns"]) if "columns" in fields else {},
            long=self.long(fields["long"]) if "long" in fields else None,
            sessions=self.sessions(fields["sessions"]) if "sessions" in fields else None,
            where=self.where(node),
        )

    def shape(self, fields: dict[str, yaml.Node]) -> Shape:
        given: dict[str, Any] = {
            k: self.text(fields[k], k) for k in ("encoding", "delimiter", "sheet") if k in fields
        }
        if len(given.get("delimiter", ",")) > 1:
            self.report("sources.one_character", fields["delimiter"], key="delimiter")
        if "header" in fields:
            given["header"] = self.flag(fields["header"], "header")
        if "skip" in fields:
            given["skip"] = max(0, self.number(fields["skip"], "skip", int))
        return Shape(**given)

    def columns(self, node: yaml.Node) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for flow, value in self.fields(node, None).items():
            if isinstance(value, yaml.ScalarNode):
                found[flow] = Column(str(value.value), where=self.where(value))
                continue
            inner = self.fields(value, ("column", "unit", "scale"), required=("column",))
            unit = self.text(inner["unit"], "unit") if "unit" in inner else ""
            self.check(inner.get("unit"), units.unit, unit)
            scale = self.number(inner["scale"], "scale", float) if "scale" in inner else 1.0
            if not math.isfinite(scale) or (scale == 0 and "scale" in inner):
                self.wrong(inner["scale"], "scale", "factor")
            column = self.text(inner["column"], "column") if "column" in inner else ""
            found[flow] = Column(column, unit, scale, self.where(value))
        return found

    def long(self, node: yaml.Node) -> LongForm:
        fields = self.fields(node, ("flow", "value", "unit", "quality", "names"), required=("flow", "value"))
        given = {k: self.text(fields[k], k) for k in ("flow", "value", "unit", "quality") if k in fields}
        return LongForm(
            **{"flow": "", "value": "", **given}, names=self.renames(fields), where=self.where(node)
        )

    def sessions(self, node: yaml.Node) -> Sessions:
        keys = ("start", "end", "value", "flow", "column", "names", "zeros")
        fields = self.fields(node, keys, required=("start", "end", "value"))
        texts = ("start", "end", "value", "flow", "column")
        given = {
            "start": "",
            "end": "",
            "value": "",
            **{k: self.text(fields[k], k) for k in texts if k in fields},
        }
        if isinstance(node, yaml.MappingNode) and ("flow" in fields) == ("column" in fields):
            self.report("sources.flow_or_column", node)
        zeros = self.flag(fields["zeros"], "zeros") if "zeros" in fields else True
        return Sessions(**given, names=self.renames(fields), zeros=zeros, where=self.where(node))

    def renames(self, fields: dict[str, yaml.Node]) -> dict[str, str]:
        if "names" not in fields:
            return {}
        return {name: self.text(node, name) for name, node in self.fields(fields["names"], None).items()}

    def fields(
        self, node: yaml.Node | None, allowed: Sequence[str] | None, required: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The children of a mapping node; unknown, repeated and missing keys become problems."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, "", "mapping")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if allowed is not None and name not in allowed:
                self.report("sources.unknown_key", key, key=name, hint=did_you_mean(name, allowed))
            elif name in found:
                self.report("sources.repeated_key", key, key=name)
            else:
                found[name] = value
        for name in required:
            if name not in found:
                self.report("sources.missing_key", node, key=name)
        return found

    def text(self, node: yaml.Node, key: str) -> str:
        if isinstance(node, yaml.ScalarNode) and str(node.value):
            return str(node.value).replace("\\t", "\t")
        self.wrong(node, key, "text")
        return ""

    def names(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode) and 1 <= len(node.value) <= 2:  # noqa: PLR2004 - date and clock
            return tuple(self.text(child, key) for child in node.value)
        return (self.text(node, key),)

    def number(self, node: yaml.Node, key: str, kind: Callable[[str], Any]) -> Any:
        try:
            return kind(str(node.value))
        except ValueError:
            self.wrong(node, key, "number")
            return kind("0")

    def flag(self, node: yaml.Node, key: str) -> bool:
        if str(node.value).lower() in ("true", "false"):
            return bool(str(node.value).lower() == "true")
        self.wrong(node, key, "true_or_false")
        return False

    def choice(self, node: yaml.Node | None, key: str, value: str, options: Sequence[str]) -> None:
        if node is not None and value and value not in options:
            self.report("sources.bad_choice", node, key=key, value=value, options=", ".join(options))

    def check(self, node: yaml.Node | None, parse: Callable[[str], object], value: str | None) -> None:
        """Runs a parser of the house over a value and keeps its problem with this file's place."""
        if node is None or not value:
            return
        try:
            parse(value)
        except (RuleError, MangroveError) as error:
            self.problems.append(Problem(error.code, error.problem.data, self.where(node)))

    def wrong(self, node: yaml.Node | None, key: str, kind: str) -> None:
        self.report(f"sources.not_{kind}", node, key=key)

    def report(self, code: str, node: yaml.Node | None, **data: Any) -> None:
        self.problems.append(Problem(code, data, self.where(node)))

    def where(self, node: yaml.Node | None) -> Where:
        if node is None:
            return Where(self.name)
        return Where(self.name, node.start_mark.line + 1, node.start_mark.column + 1)
