# SPDX-License-Identifier: Apache-2.0
"""What meters say of periods: amounts of flows, how much of the time they stand for, means of states.

Comes in: flows, a time line with the days on which exchanges begin and end, a snapshot of the ledger. Goes out: amounts by flow and
segment, read exactly as a measurement reads them (`measure.amounts`): sums, means times hours, increments of counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.ledger import Snapshot
from mangrove.measure import amounts
from mangrove.measure.plan import Line, Plan, is_rate
from mangrove.measure.question import Question
from mangrove.measure.timeline import Timeline, instants
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span, Step, instant
from mangrove.units import Unit, unit

Floats = npt.NDArray[np.float64]

COMPLETE = 0.99
"""Share of a period that values must stand for before their sum counts as its amount; below it the period is a gap of that meter."""


@dataclass(frozen=True, slots=True)
class Window:
    """When something runs: UTC, half-open; None is open."""

    first: datetime | None = None
    last: datetime | None = None

    @classmethod
    def of(cls, first: date | None, last: date | None, tz: ZoneInfo) -> Window:
        """From the local midnight of the first day to that of the first day after."""
        return cls(*(None if day is None else instant(day, tz) for day in (first, last)))

    def around(self, other: Window) -> Window:
        """The smallest window that holds both."""
        first = None if self.first is None or other.first is None else min(self.first, other.first)
        last = None if self.last is None or other.last is None else max(self.last, other.last)
        return Window(first, last)

    def within(self, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """The part of `[start, end)` inside the window; the second is not after the first when there is none."""
        return max(start, self.first or start), min(end, self.last or end)


@dataclass(frozen=True, eq=False)
class Meters:
    """Amounts of flows in segments of time.

    Attributes:
        flows: by id, in the order of the rows; starts, ends: of the periods, UTC.
        total: (F, S) amounts, NaN without a counted value; hours: (F, S) that values stand for, NaN when the flow states no step.
        edges: (S + 1,) microseconds since 1970 of the segments; period: (S,) of which period a segment is a part.
    """

    flows: dict[str, Flow]
    starts: tuple[datetime, ...]
    ends: tuple[datetime, ...]
    total: Floats
    hours: Floats
    edges: npt.NDArray[np.int64]
    period: npt.NDArray[np.int64]

    def amount(self, flow: str, to: Unit, window: Window) -> tuple[Floats, Floats]:
        """Amounts in the unit `to` and covered shares by period, (T,) each; an amount is NaN when it is not complete.

        Negative amounts are given as they are.
        """
        row = self._position[flow]
        total, covered = self.total[row], self._running(window)
        found = _by_period(np.where(covered, np.nan_to_num(total), 0.0), self.period, len(self.starts))
        some = _by_period((covered & ~np.isnan(total)).astype(float), self.period, len(self.starts)) > 0
        length = _by_period(
            np.where(covered, np.diff(self.edges) / 3.6e9, 0.0), self.period, len(self.starts)
        )
        hours = _by_period(np.where(covered, self.hours[row], 0.0), self.period, len(self.starts))
        coverage = np.divide(hours, length, out=np.full_like(hours, np.nan), where=length > 0)
        complete = some & ~(coverage < COMPLETE)
        return np.where(complete, found * _summed(self.flows[flow]).to(to), np.nan), coverage

    def mean(self, flow: str) -> Floats:
        """(T,) time means of a state or a rate; NaN without values."""
        row = self._position[flow]
        total = _by_period(np.nan_to_num(self.total[row]), self.period, len(self.starts))
        hours = _by_period(np.nan_to_num(self.hours[row]), self.period, len(self.starts))
        return np.divide(total, hours, out=np.full_like(total, np.nan), where=hours > 0)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.flows)}

    def _running(self, window: Window) -> npt.NDArray[np.bool_]:
        """(S,) the segments inside a window; segments are cut where windows begin and end."""
        first, last = self.edges[0], self.edges[-1]
        if window.first is not None:
            first = instants([window.first])[0]
        if window.last is not None:
            last = instants([window.last])[0]
        return np.asarray((self.edges[:-1] >= first) & (self.edges[1:] <= last))


def read(
    territory: Territory,
    snapshot: Snapshot,
    flows: Iterable[str],
    *,
    span: Span,
    every: Step | None,
    windows: Sequence[Window] = (),
) -> Meters:
    """Reads the amounts of flows in periods of `every`, cut where windows begin and end."""
    wanted = {name: territory.flows[name] for name in dict.fromkeys(flows)}
    lines = [_cut(window, span) for window in windows]
    question = Question(span=span, every=every, accounts=("avoided",))
    plan = Plan(question, territory, None, wanted, tuple(line for line in lines if line))
    timeline = Timeline.of(plan)
    amounts.read(plan, timeline, snapshot)
    bounds = timeline.bounds()
    total, hours = (np.full((len(wanted), len(bounds) - 1), np.nan) for _ in range(2))
    rows = snapshot.connection.sql(
        "select flow, segment, sum(total), sum(hours) from amount group by flow, segment"
    ).fetchnumpy()
    flow, segment, sums, times = (np.ma.filled(rows[name].astype(float), np.nan) for name in rows)
    at = flow.astype(int), segment.astype(int)
    total[at], hours[at] = sums, times
    stated = np.array([one.step is not None for one in wanted.values()], dtype=bool)
    hours[np.isnan(hours) & stated[:, None]] = 0.0
    starts = tuple(timeline.starts)
    return Meters(wanted, starts, (*starts[1:], span.end), total, hours, bounds, timeline.buckets())


def _summed(flow: Flow) -> Unit:
    """The unit in which the ledger's amounts are added up: that of the flow, times an hour for a rate."""
    return flow.unit * unit("h") if is_rate(flow) else flow.unit


def _cut(window: Window, span: Span) -> Line | None:
    """A line that emits nothing, so that the time line is cut where the window begins and ends."""
    first, last = window.within(span.start, span.end)
    return Line(0, "", "", "avoided", 0.0, 0.0, first, last, ()) if first < last else None


def _by_period(values: Floats, period: npt.NDArray[np.int64], count: int) -> Floats:
    return np.bincount(period, weights=values, minlength=count).astype(np.float64)
