# SPDX-License-Identifier: Apache-2.0
"""The plan by which one file is read: every decision that a mapping made or the import doctor took.

Comes in: nothing but decisions. Goes out: a frozen `Plan` whose digest changes when any decision changes, so that the
same file read in another way counts as another batch, and the same file read in the same way as the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field

from mangrove.errors import RuleError
from mangrove.sources.mapping import LongForm, Sessions
from mangrove.sources.numbers import NumberStyle
from mangrove.sources.stamps import StampStyle
from mangrove.territory.model import Flow
from mangrove.times import Step
from mangrove.units import Unit, unit


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """A column of a wide file: numbers times `factor` are values of `flow` in its unit."""

    column: str
    flow: str
    factor: float = 1.0


@dataclass(frozen=True)
class Plan:
    """How to read a file.

    Attributes:
        time: the time column, or a date column and a clock column.
        stamps: how time is written; zone: of stamps without an offset.
        ending: a stamp is the end of its interval; same_day_midnight: 00:00 of a day is that day's end.
        numbers: how numbers are written.
        columns: of a wide file; long, sessions: the other two forms.
        steps: the length of an interval per flow, as the file has it (None: not known).
        units: unit of the values per flow in a long file whose rows name no unit.
    """

    time: tuple[str, ...]
    stamps: StampStyle
    zone: str
    ending: bool = False
    same_day_midnight: bool = False
    numbers: NumberStyle = field(default_factory=NumberStyle)
    columns: tuple[ValueColumn, ...] = ()
    long: LongForm | None = None
    sessions: Sessions | None = None
    steps: MappingOf[str, Step | None] = field(default_factory=dict)
    unit: str = ""

    @property
    def wanted(self) -> list[str]:
        """The columns that have to be read, each once."""
        names = list(self.time)
        names += [column.column for column in self.columns]
        if self.long is not None:
            names += [self.long.flow, self.long.value, self.long.unit, self.long.quality]
        if self.sessions is not None:
            names += [self.sessions.start, self.sessions.end, self.sessions.value, self.sessions.column]
        return [name for name in dict.fromkeys(names) if name]

    def digest(self, flows: MappingOf[str, Flow]) -> str:
        """Twelve hex digits over every decision and what the flows declare about units, steps and meaning."""
        named = sorted({c.flow for c in self.columns} or self.steps)
        declared = [
            (f, flows[f].unit.text, str(flows[f].step), flows[f].semantics) for f in named if f in flows
        ]
        long = _plain(self.long)
        text = repr((
            self.time, self.stamps, self.zone, self.ending, self.same_day_midnight, self.numbers, self.columns, long,
            _plain(self.sessions), sorted((k, str(v)) for k, v in self.steps.items()), self.unit, declared,
        ))  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(form: LongForm | Sessions | None) -> object:
    """A form without its place in the mapping file, which is no decision."""
    if form is None:
        return None
    return [(name, getattr(form, name)) for name in form.__slots__ if name != "where"]


def conversion(written: Unit, flow: Flow, step: Step | None) -> tuple[float, str]:
    """The factor from a number in the file to a value of the flow, and what kind of conversion it is.

    The kinds are `same`, `unit` (kWh to MWh), `power_to_energy` (mean power times the hours of the step, for a flow of
    amounts) and `energy_to_power` (an amount divided by the hours of the step, for a flow of rates).

    Raises:
        RuleError: `base.unit_mismatch` when the dimensions have nothing to do with each other or the step is not known.
    """
    if written.converts_to(flow.unit):
        factor = written.to(flow.unit)
        return factor, "same" if factor == 1 else "unit"
    hours = step.hours if step is not None and step.seconds else None
    if hours and flow.semantics == "sum" and (written * unit("h")).converts_to(flow.unit):
        return (written * unit("h")).to(flow.unit) * hours, "power_to_energy"
    if hours and flow.semantics == "mean" and (written / unit("h")).converts_to(flow.unit):
        return (written / unit("h")).to(flow.unit) / hours, "energy_to_power"
    raise RuleError("base.unit_mismatch", text=written.text, target=flow.unit.text)
