# SPDX-License-Identifier: Apache-2.0
"""The import doctor: looks at a file, decides how to read it, and says what it assumed.

Comes in: an opened table, the territory and what a mapping says about the file. Goes out: a `Plan` and the list of
assumptions behind it. What would change numbers and cannot be told from the file is refused with the line to write
into a mapping; everything else is decided and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import Problem, RuleError, did_you_mean
from mangrove.sources import clocks, numbers
from mangrove.sources.convert import resolver
from mangrove.sources.doctor_time import UNIT_IN_BRACKETS, TimeDoctor
from mangrove.sources.intervals import step_in_file
from mangrove.sources.mapping import Column, FileMapping, LongForm, Sessions
from mangrove.sources.numbers import MarkEvidence, NumberStyle
from mangrove.sources.plan import Plan, ValueColumn, conversion
from mangrove.sources.problems import RejectedError
from mangrove.sources.stamps import Ints
from mangrove.sources.tables import UNNAMED, Chunk, Table
from mangrove.territory.model import Flow, Territory
from mangrove.text import fold
from mangrove.times import Step
from mangrove.units import Unit, unit

_FLOW_NAMES = (
    "flow", "flow id", "flow_id", "meter", "meter id", "meter_id", "id", "sensor", "sensor id", "sensor_id", "channel", "tag",
    "point", "series", "name", "dong ho", "ma dong ho", "cong to", "ma cong to", "diem do", "ma diem do", "dong",
)  # fmt: skip
_VALUE_NAMES = ("value", "reading", "amount", "val", "gia tri", "chi so", "so do", "so lieu", "luong")
_UNIT_NAMES = ("unit", "units", "uom", "don vi", "dvt")
_QUALITY_NAMES = ("quality", "status", "flag", "chat luong", "trang thai")
_UNIT_AT_END = re.compile(r"^(.*?)[\s_,]+([^\s_,]+)$")


@dataclass
class Diagnosis:
    """What the doctor decided: the plan, and the assumptions and warnings behind it."""

    plan: Plan
    notes: list[Problem] = field(default_factory=list)


def examine(table: Table, territory: Territory, said: FileMapping | None = None) -> Diagnosis:
    """Decides how to read a table.

    Raises:
        RejectedError, SourceError: no time column, no column of a declared flow, a unit that is not one of the flow, or
            a date or a number that could be read in two ways.
    """
    return _Doctor(table, territory, said or FileMapping("*")).examine()


class _Doctor(TimeDoctor):
    """One examination; each method takes one decision and notes it."""

    def examine(self) -> Diagnosis:
        self.form_of_file()
        if self.said.sessions is not None:
            return self.examine_sessions(self.said.sessions)
        time = self.time_columns()
        look = self.clock_style(time)
        zone = self.zone(time)
        long, columns = self.layout(time)
        groups = self.groups(long)
        if long is None:
            self.one_row_per_time(look, time)
        file_step = clocks.usual_step(look.clock, groups)
        steps = self.steps(long, columns, look, file_step)
        ending, same_day = self.stamp_side(time, look, groups)
        style = self.number_style([long.value] if long else [c.column for c in columns.values()])
        values = () if long else tuple(self.value_columns(columns, steps))
        if long is not None:
            self.long_units(long, steps)
        if self.errors:
            raise RejectedError("sources.rejected", self.errors)
        if self.said.year_offset:
            self.note("sources.year_offset", years=self.said.year_offset)
        plan = Plan(
            time, look.style, zone, ending, same_day, style, values, long, None, steps, self.said.unit
        )
        return Diagnosis(plan, self.notes)

    def examine_sessions(self, form: Sessions) -> Diagnosis:
        """A file of sessions: only how its two time columns and its amounts are written has to be found."""
        for name in (form.start, form.end, form.value, form.column):
            if name:
                self.must_have(name)
        look = self.clock_style((form.start,))
        zone = self.zone((form.start, form.end))
        style = self.number_style([form.value])
        flows = (
            [form.flow]
            if form.flow
            else list(dict.fromkeys(form.names.values())) or list(self.territory.flows)
        )
        steps: dict[str, Step | None] = {}
        for name in flows:
            flow = self.territory.flows.get(name)
            if flow is None:
                self.error(
                    "sources.unknown_flow", flow=name, hint=did_you_mean(name, self.territory.flows), rows=0
                )
            elif flow.step is not None and flow.step.seconds:
                steps[name] = flow.step
            elif form.flow or form.names:
                self.error("sources.sessions_need_step", flow=name)
        for name in steps:
            self.session_unit(self.territory.flows[name])
        if self.errors:
            raise RejectedError("sources.rejected", self.errors)
        self.note("sources.sessions_with_zeros" if form.zeros else "sources.sessions_without_zeros")
        if self.said.year_offset:
            self.note("sources.year_offset", years=self.said.year_offset)
        plan = Plan(
            (form.start,), look.style, zone, numbers=style, sessions=form, steps=steps, unit=self.said.unit
        )
        return Diagnosis(plan, self.notes)

    def session_unit(self, flow: Flow) -> None:
        """Says or refuses the unit of the amounts."""
        if not self.said.unit:
            self.note("sources.unit_assumed", flow=flow.id, unit=flow.unit.text)
        elif not unit(self.said.unit).converts_to(flow.unit):
            self.error("base.unit_mismatch", text=self.said.unit, target=flow.unit.text)

    def form_of_file(self) -> None:
        table = self.table
        if table.kind == "text":
            if table.encoding not in ("utf-8", "utf-8-sig"):
                self.note("sources.encoding", encoding=table.encoding)
            if table.delimiter != ",":
                self.note("sources.delimiter", delimiter={"\t": "tab"}.get(table.delimiter, table.delimiter))
        if table.other_sheets:
            others = ", ".join(table.other_sheets)
            self.note("sources.one_sheet", "warning", sheet=table.sheet, others=others)
        if table.skipped:
            self.note("sources.preamble", lines=table.skipped)
        if table.repeated:
            self.note("sources.repeated_header", "warning", names=", ".join(table.repeated))
        if not len(self.sample.lines):
            raise self.stop("sources.empty")

    def layout(self, time: tuple[str, ...]) -> tuple[LongForm | None, dict[str, Column]]:
        """Long or wide, and which columns hold which flows."""
        said = self.said
        if said.long is not None:
            for name in (said.long.flow, said.long.value, said.long.unit, said.long.quality):
                if name:
                    self.must_have(name)
            return said.long, {}
        if said.columns:
            for column in said.columns.values():
                self.must_have(column.column)
            return None, dict(said.columns)
        long = self.find_long(time)
        if long is not None:
            self.note("sources.long", flow=long.flow, value=long.value)
            return long, {}
        columns = self.find_wide(time)
        self.note("sources.wide", count=len(columns))
        return None, columns

    def find_long(self, time: tuple[str, ...]) -> LongForm | None:
        rest = [name for name in self.table.header if name not in time]

        def find(names: tuple[str, ...]) -> str:
            ranked = {fold(self.base_name(h)): h for h in reversed(rest)}
            return next((ranked[name] for name in names if name in ranked), "")

        flow, value = find(_FLOW_NAMES), find(_VALUE_NAMES)
        if not flow or not value:
            return None
        return LongForm(flow, value, find(_UNIT_NAMES), find(_QUALITY_NAMES))

    def find_wide(self, time: tuple[str, ...]) -> dict[str, Column]:
        """Columns whose header is a flow's id, meter or name, with or without a unit at its end."""
        resolve = resolver({}, self.territory)
        found: dict[str, Column] = {}
        ignored: list[str] = []
        rest = [name for name in self.table.header if name not in time]
        for header in rest:
            flow = next((f for f in map(resolve, self.header_names(header)) if f), None)
            if flow and flow not in found:
                found[flow] = Column(header, where=self.where)
            else:
                ignored.append(header)
        alone = resolve(self.table.path.stem)
        if not found and alone and len(rest) == 1:
            found, ignored = {alone: Column(rest[0], where=self.where)}, []
        if not found:
            near = next(
                (h for name in rest if (h := did_you_mean(self.base_name(name), self.territory.flows))), ""
            )
            code = "sources.no_flow_column" if self.table.has_header else "sources.no_header"
            raise self.stop(code, columns=", ".join(rest[:12]), hint=near)
        for header in ignored:
            if UNNAMED.fullmatch(header):
                continue
            near = did_you_mean(self.base_name(header), self.territory.flows)
            self.note("sources.column_ignored", "warning", column=header, hint=near)
        return found

    def header_names(self, header: str) -> Iterator[str]:
        """A header, and what is left of it without a unit."""
        yield header
        for pattern in (UNIT_IN_BRACKETS, _UNIT_AT_END):
            match = pattern.match(header)
            if match and match[1]:
                yield match[1]

    def number_style(self, columns: list[str]) -> NumberStyle:
        """The decimal mark of the file: said, seen in the first rows, or seen further down; refused when never seen."""
        if self.said.decimal:
            return NumberStyle(self.said.decimal)
        evidence = self.weigh(self.sample, columns)
        if evidence.style() is None or not evidence.marked:
            evidence = sum((self.weigh(c, columns) for c in self.table.chunks(columns)), MarkEvidence())
        style = evidence.style()
        if (
            style is None
            and self.table.delimiter == ","
            and not self.table.quoted
            and not evidence.unsure_comma
        ):
            style = NumberStyle(".")
            self.note("sources.decimal_by_delimiter", sample=evidence.sample)
        if style is None:
            raise self.stop("sources.ambiguous_number", sample=evidence.sample)
        if style.decimal == ",":
            self.note("sources.decimal_comma")
        if style.grouped:
            self.note("sources.grouped", mark="," if style.decimal == "." else ".")
        return style

    def weigh(self, chunk: Chunk, columns: list[str]) -> MarkEvidence:
        texts = [
            chunk.columns[c]
            for c in columns
            if c in chunk.columns and pa.types.is_string(chunk.columns[c].type)
        ]
        return sum((numbers.weigh(text) for text in texts), MarkEvidence())

    def steps(
        self, long: LongForm | None, columns: dict[str, Column], look: clocks.Look, usual: Step | None
    ) -> dict[str, Step | None]:
        """The interval per flow: as the file has it; by the declaration where the file cannot tell or has months."""
        rows = self.rows_by_flow(long)
        steps: dict[str, Step | None] = {}
        for flow in self.flows_of(long, columns):
            mine = None if long is None else rows.get(flow.id, np.empty(0, np.int64))
            step = steps[flow.id] = step_in_file(flow, look.clock, mine, usual)
            if flow.step is None or step is None or step == flow.step:
                continue
            data = {"flow": flow.id, "seen": str(step), "declared": str(flow.step)}
            if flow.semantics == "mean" and step.seconds < flow.step.seconds:
                self.error("sources.mean_too_fine", **data)
            else:
                self.note("sources.step_differs", "warning", **data)
        return steps

    def rows_by_flow(self, long: LongForm | None) -> dict[str, Ints]:
        """Positions of the first rows of a long file that belong to each flow."""
        if long is None:
            return {}
        encoded = pc.dictionary_encode(pc.fill_null(pc.cast(self.sample.columns[long.flow], pa.string()), ""))
        resolve = resolver(long.names, self.territory)
        codes = np.asarray(encoded.indices)
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(codes, minlength=len(encoded.dictionary)))[:-1])
        rows: dict[str, list[Ints]] = {}
        for name, part in zip(encoded.dictionary.to_pylist(), parts, strict=True):
            rows.setdefault(resolve(name) or "", []).append(part)
        return {flow: np.sort(np.concatenate(found)) for flow, found in rows.items()}

    def flows_of(self, long: LongForm | None, columns: dict[str, Column]) -> list[Flow]:
        if long is None:
            unknown = [name for name in columns if name not in self.territory.flows]
            for name in unknown:
                self.error(
                    "sources.unknown_flow", flow=name, hint=did_you_mean(name, self.territory.flows), rows=0
                )
            return [self.territory.flows[name] for name in columns if name not in unknown]
        resolve = resolver(long.names, self.territory)
        written = pc.unique(pc.cast(self.sample.columns[long.flow], pa.string())).to_pylist()
        ids = {resolve(name) for name in written if name}
        found = [flow for flow in self.territory.flows.values() if flow.id in ids]
        if not found:
            first = str(next((name for name in written if name), ""))
            raise self.stop(
                "sources.no_known_flow", flow=first, hint=did_you_mean(first, self.territory.flows)
            )
        return list(self.territory.flows.values())

    def value_columns(
        self, columns: dict[str, Column], steps: dict[str, Step | None]
    ) -> Iterator[ValueColumn]:
        """Columns with their unit factor; a unit that cannot be one of the flow is an error."""
        for name, column in columns.items():
            flow = self.territory.flows.get(name)
            if flow is None:
                continue
            written = self.unit_of(column, flow)
            try:
                factor, kind = conversion(written, flow, steps.get(name))
            except RuleError as error:
                self.errors.append(Problem(error.code, error.problem.data, column.where or self.where))
                continue
            self.say_conversion(flow, written, factor, kind, steps.get(name))
            if column.scale != 1:
                self.note("sources.scale", flow=name, scale=column.scale)
            yield ValueColumn(column.column, name, factor * column.scale)

    def unit_of(self, column: Column, flow: Flow) -> Unit:
        """The unit of a column: said, in the header, or the flow's own."""
        written = column.unit or self.said.unit
        if written:
            return unit(written)
        bracket = UNIT_IN_BRACKETS.match(column.column)
        if bracket:
            try:
                return unit(bracket[2])
            except RuleError as error:
                self.errors.append(Problem(error.code, error.problem.data, self.where))
                return flow.unit
        tail = _UNIT_AT_END.match(column.column)
        if tail:
            try:
                candidate = unit(tail[2])
                conversion(candidate, flow, Step(seconds=3600))
            except RuleError:
                pass
            else:
                return candidate
        self.note("sources.unit_assumed", flow=flow.id, unit=flow.unit.text)
        return flow.unit

    def say_conversion(self, flow: Flow, written: Unit, factor: float, kind: str, step: Step | None) -> None:
        if kind != "same":
            data = {"flow": flow.id, "unit": written.text, "target": flow.unit.text, "factor": f"{factor:g}"}
            self.note(f"sources.{kind}", step=str(step), **data)

    def long_units(self, long: LongForm, steps: dict[str, Step | None]) -> None:
        """Says the conversions of a long file's units; rows with a wrong unit are rejected one by one later."""
        if not long.unit:
            if not self.said.unit:
                self.note("sources.units_assumed")
            return
        pairs = {
            (str(f), str(u))
            for f, u in zip(
                *(self.sample.columns[c].cast(pa.string()).to_pylist() for c in (long.flow, long.unit)),
                strict=True,
            )
        }
        resolve = resolver(long.names, self.territory)
        for name, written in sorted(pairs):
            flow = self.territory.flows.get(resolve(name) or "")
            if flow is None or not written.strip():
                continue
            try:
                source = unit(written.strip())
                factor, kind = conversion(source, flow, steps.get(flow.id))
            except RuleError:
                continue
            self.say_conversion(flow, source, factor, kind, steps.get(flow.id))
