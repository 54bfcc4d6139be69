# SPDX-License-Identifier: Apache-2.0
"""The import doctor's eye for time: which column it is, how it is written, and which side of the interval a stamp is.

Comes in: an opened table and its first rows. Goes out: decisions, each noted as an assumption or refused with the line to
write into a mapping. `doctor.py` decides the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import Problem, SourceError, Where, did_you_mean
from mangrove.sources import clocks, stamps
from mangrove.sources.convert import time_text
from mangrove.sources.mapping import FileMapping, LongForm
from mangrove.sources.tables import Chunk, Table
from mangrove.territory.model import Territory
from mangrove.text import fold
from mangrove.times import Step

SAMPLE_ROWS = 20_000
"""Rows looked at before deciding; columns that stay ambiguous are looked at to the end."""

FEW_ROWS = 20
"""Fewer rows say nothing about repeated times."""

_TIME_NAMES = (
    "time", "timestamp", "date", "datetime", "date time", "date_time", "date/time", "stamp", "ts", "start", "start time",
    "end", "end time", "utc", "time utc", "thoi gian", "thoi diem", "ngay", "ngay gio", "ngay thang", "period", "day", "month",
)  # fmt: skip
_CLOCK_NAMES = ("time", "hour", "clock", "gio", "thoi gian", "interval")
_END_WORDS = re.compile(r"\bend(?:ing)?\b|ket thuc|\bden\b")
_START_WORDS = re.compile(r"\bstart(?:ing)?\b|\bbegin|bat dau|\btu\b")
UNIT_IN_BRACKETS = re.compile(r"^(.*?)[\s_]*[(\[]\s*([^)\]]+?)\s*[)\]]\s*$")


class Reporter:
    """Notes assumptions and errors about one table."""

    def __init__(self, table: Table, territory: Territory, said: FileMapping) -> None:
        self.table, self.territory, self.said = table, territory, said
        self.where = Where(str(table.path))
        self.notes: list[Problem] = []
        self.errors: list[Problem] = []
        self.sample = _first_chunk(table)

    def note(self, code: str, severity: str = "note", **data: Any) -> None:
        """Keeps an assumption (or a warning)."""
        self.notes.append(Problem(code, data, self.where, severity))

    def error(self, code: str, **data: Any) -> None:
        """Keeps a problem that stops the file after everything was looked at."""
        self.errors.append(Problem(code, data, self.where))

    def stop(self, code: str, **data: Any) -> SourceError:
        """The error that stops the file at once."""
        return SourceError(code, where=self.where, **data)

    def must_have(self, column: str) -> None:
        """Refuses a mapping that names a column which the file lacks."""
        if column not in self.table.header:
            options = self.table.header
            raise self.stop(
                "sources.no_column",
                column=column,
                hint=did_you_mean(column, options),
                options=", ".join(options),
            )

    def base_name(self, header: str) -> str:
        """A header without a unit in brackets."""
        match = UNIT_IN_BRACKETS.match(header)
        return (match[1] if match else header).strip()


class TimeDoctor(Reporter):
    """Decisions about time; each method takes one and notes it."""

    def time_columns(self) -> tuple[str, ...]:
        """The time column, or a date column with a clock column."""
        header = self.table.header
        if self.said.time:
            for name in self.said.time:
                self.must_have(name)
            return self.said.time
        named = [h for h in header if fold(self.base_name(h)) in _TIME_NAMES]
        for name in [*named, *(h for h in header if h not in named)]:
            share = clocks.readable_share(self.sample.columns[name])
            if share >= (0.5 if name in named else 0.9) or (self.said.time_format and name in named):
                clock = self.clock_column(name)
                found = (name, clock) if clock else (name,)
                self.note("sources.time_column", column=" + ".join(found))
                return found
        code = "sources.no_time_column" if self.table.has_header else "sources.no_header"
        raise self.stop(code, columns=", ".join(header[:12]))

    def clock_column(self, date: str) -> str | None:
        """A second column with the time of day, when the date column holds dates only."""
        if not clocks.dates_only(self.sample.columns[date]):
            return None
        for name in self.table.header:
            if (
                name != date
                and fold(self.base_name(name)) in _CLOCK_NAMES
                and clocks.clock_only(self.sample.columns[name])
            ):
                return name
        return None

    def clock_style(self, time: tuple[str, ...]) -> clocks.Look:
        """How stamps are written; the day-month order from the whole column when the first rows do not settle it."""

        def everything() -> Iterator[pa.Array]:
            for chunk in self.table.chunks(time):
                if len(chunk.lines):
                    yield time_text(chunk, time)

        step = self.declared_step()
        look = clocks.look(time_text(self.sample, time), self.said, everything, step, self.territory.lang)
        if look.refusal:
            raise self.stop(look.refusal, column=" + ".join(time), sample=look.sample)
        if look.note:
            self.note(look.note, look.severity, order=look.order_text, sample=look.sample)
        return look

    def declared_step(self) -> Step | None:
        """The step that all flows share, when they do: it helps to tell days from months."""
        steps = {flow.step for flow in self.territory.flows.values()}
        return steps.pop() if len(steps) == 1 else None

    def one_row_per_time(self, look: clocks.Look, time: tuple[str, ...]) -> None:
        """Refuses a wide file in which one time in ten or more comes again with other values: series under each other."""
        at = look.clock.at
        times = len(np.unique(at))
        if len(at) < FEW_ROWS or 10 * times > 9 * len(at):
            return
        cells = [self.sample.columns[name].to_pylist() for name in self.table.header if name not in time]
        if len(set(zip(at.tolist(), *cells, strict=True))) > times:
            others = [name for name in self.table.header if name not in time]
            raise self.stop("sources.repeated_times", column=" + ".join(time), options=", ".join(others[:8]))

    def zone(self, time: tuple[str, ...]) -> str:
        """The zone of stamps without an offset: said, in the header, or the territory's."""
        if self.said.timezone:
            return self.said.timezone
        if any("utc" in re.split(r"[\W_]+", fold(name)) for name in time):
            self.note("sources.zone_utc", column=" + ".join(time))
            return "UTC"
        self.note("sources.zone", zone=self.territory.timezone)
        return self.territory.timezone

    def groups(self, long: LongForm | None) -> npt.NDArray[np.int64] | None:
        """Which series each of the first rows belongs to (None: one series)."""
        if long is None:
            return None
        encoded = pc.dictionary_encode(pc.fill_null(pc.cast(self.sample.columns[long.flow], pa.string()), ""))
        return np.asarray(encoded.indices).astype(np.int64)

    def stamp_side(
        self, time: tuple[str, ...], look: clocks.Look, groups: npt.NDArray[np.int64] | None
    ) -> tuple[bool, bool]:
        """Whether stamps end their interval, and whether 00:00 stands for the end of its own day."""
        rows = clocks.midnight_rows(look.clock, groups)
        same_day = self.said.midnight == "same_day" or (rows.same_day and self.said.midnight != "next_day")
        if same_day and self.said.stamp != "start":
            self.note("sources.midnight_same_day", "warning", rows=rows.count)
            return True, True
        if look.clock.end_of_day.any():
            self.note("sources.end_of_day", rows=int(look.clock.end_of_day.sum()))
        if self.said.stamp:
            self.note(f"sources.stamp_said_{self.said.stamp}")
            return self.said.stamp == "end", False
        header = fold(" ".join(time))
        if _END_WORDS.search(header) or _START_WORDS.search(header):
            end = bool(_END_WORDS.search(header))
            self.note(f"sources.stamp_header_{'end' if end else 'start'}", column=" + ".join(time))
            return end, False
        if look.clock.end_of_day.any():
            self.note("sources.stamp_24")
            return True, False
        if rows.starts_after_midnight and self.ends_at_midnight(time, look):
            self.note("sources.stamp_first_row", "warning", sample=look.first)
            return True, False
        self.note("sources.stamp_start")
        return False, False

    def ends_at_midnight(self, time: tuple[str, ...], look: clocks.Look) -> bool:
        """Whether the latest stamp of the whole file is a midnight."""
        parts = (time_text(chunk, time) for chunk in self.table.chunks(time) if len(chunk.lines))
        latest = max((int(stamps.read_stamps(part, look.style).at.max()) for part in parts), default=1)
        return latest % stamps.DAY == 0


def _first_chunk(table: Table) -> Chunk:
    for chunk in table.chunks(size=SAMPLE_ROWS):
        if len(chunk.lines):
            return chunk
    empty = pa.array([], pa.string())
    return Chunk(dict.fromkeys(table.header, empty), np.empty(0, np.int64))
