# SPDX-License-Identifier: Apache-2.0
"""What the ledger knows of the weather around a flow: forecasts as they stood when a day began, and what was observed before.

Comes in: an open snapshot, a territory, an origin. Goes out: for one flow, columns for `Forecaster.fit`. For a past day only the forecast
that was recorded before the day began counts: what came later was not known, and weather that was observed on the day itself never
is. So a history that was imported in one piece holds no forecasts to learn from, and none are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.forecast.calendar import DAY, Clock, Floats, Ints, Times
from mangrove.forecast.daily import HISTORY
from mangrove.forecast.table import Table
from mangrove.inference.runs import read_series
from mangrove.inference.series import SECOND, usable
from mangrove.ledger import Snapshot
from mangrove.ledger.types import series
from mangrove.territory.model import Flow, Territory
from mangrove.times import to_us

FEWEST = 28
"""Days with a weather forecast in time that a model needs to learn what it is worth."""
_MINUTE = 60
_KINDS = ("weather",)
Columns = tuple[Times, Floats] | None


@dataclass(frozen=True, slots=True)
class _Issued:
    """Versions of a forecast series: starts and values, and when each was recorded (microseconds), oldest record first."""

    start: Ints
    value: Floats
    recorded: Ints


class Outside:
    """Reads each weather flow once.

    Args:
        snapshot: what was known; territory: the weather flows and where they are.
        origin: nothing that was recorded or ended after it counts.
        lagged: whether observations of the days before are offered where there is no forecast.
    """

    def __init__(self, snapshot: Snapshot, territory: Territory, origin: datetime, *, lagged: bool) -> None:
        self._snapshot, self._territory, self._origin, self._lagged = snapshot, territory, origin, lagged
        self._known = snapshot.flow_ids()
        self._tables: dict[tuple[str, int], Table | None] = {}

    def of(self, flow: Flow, step: int, horizon: int) -> tuple[Columns, Columns]:
        """Weather forecasts and lagged observations for `flow` with steps of `step` seconds, `horizon` seconds ahead; None without."""
        near = self._near(flow)
        clock = Clock.of(step / 3600, self._territory.tz)
        told = [table for one in near if (table := self._forecasts(one, clock, horizon)) is not None]
        if told or not self._lagged:
            return _columns(told, clock), None
        return None, _columns(
            [table for one in near if (table := self._observed(one, clock)) is not None], clock
        )

    def _near(self, flow: Flow) -> list[Flow]:
        """For each kind of weather the flow whose place shares the smallest surroundings with that of `flow`."""
        if flow.carrier.kind in _KINDS:
            return []
        above = [node.id for node in self._territory.ancestors(flow.place)]
        found: dict[str, tuple[int, Flow]] = {}
        for one in self._territory.flows.values():
            if one.carrier.kind not in _KINDS or one.carrier.code == "wind_from":  # an angle has no mean
                continue
            if not self._known.keys() & {one.id, series(one.id, "forecast")}:
                continue
            shared = [node.id for node in self._territory.ancestors(one.place) if node.id in above]
            if shared:
                away = above.index(shared[0])
                if one.carrier.code not in found or away < found[one.carrier.code][0]:
                    found[one.carrier.code] = (away, one)
        return [one for _, (_, one) in sorted(found.items())]

    def _forecasts(self, flow: Flow, clock: Clock, horizon: int) -> Table | None:
        """The forecasts of a weather flow by day, each as it stood when the day began; those after the origin as they stand then."""
        key = (series(flow.id, "forecast"), clock.seconds)
        if key not in self._tables:
            self._tables[key] = (
                self._read_forecasts(key[0], flow, clock, horizon) if key[0] in self._known else None
            )
        return self._tables[key]

    def _read_forecasts(self, key: str, flow: Flow, clock: Clock, horizon: int) -> Table | None:
        low = self._origin - timedelta(days=HISTORY)
        rows = self._snapshot.history(key, low, self._origin + timedelta(seconds=horizon + DAY))
        if not rows.num_rows:
            return None
        issued = _Issued(
            _us_of(rows.column("start")), rows.column("value").to_numpy().astype(np.float64),
            _us_of(rows.column("recorded_at")),
        )  # fmt: skip
        native = _native(flow, clock)
        if native is None:
            return None
        day, slot = native.locate(issued.start.astype("datetime64[us]").astype("datetime64[s]"))
        begun = {int(one): int(native.midnight(int(one)).astype(np.int64)) * SECOND for one in np.unique(day)}
        limit = np.minimum(np.array([begun[int(one)] for one in day]), to_us(self._origin))
        intime = np.flatnonzero(issued.recorded <= limit)
        order = intime[np.argsort(issued.recorded[intime], kind="stable")]
        if len(np.unique(day[order])) < FEWEST:
            return None
        table = Table(native)
        table.place(day[order], slot[order], issued.value[order])
        return _stretched(table, native, clock)

    def _observed(self, flow: Flow, clock: Clock) -> Table | None:
        """What was observed of a weather flow and had ended by the origin."""
        key = (flow.id, clock.seconds)
        if key not in self._tables:
            native = _native(flow, clock)
            self._tables[key] = None
            if native is not None and flow.id in self._known:
                end = to_us(self._origin) - native.seconds * SECOND
                read = read_series(self._snapshot, flow.id, end - HISTORY * DAY * SECOND, end + 1)
                read = read.pick(usable(read.quality))
                if len(read):
                    table = Table(native)
                    table.put(read.start.astype("datetime64[us]").astype("datetime64[s]"), read.value)
                    self._tables[key] = _stretched(table, native, clock)
        return self._tables[key]


def _native(flow: Flow, clock: Clock) -> Clock | None:
    """The clock of a weather flow's own steps, where they are whole parts or multiples of `clock`'s."""
    seconds = flow.step.seconds if flow.step is not None else 0
    if seconds < _MINUTE or DAY % seconds or (seconds % clock.seconds and clock.seconds % seconds):
        return None
    return Clock(clock.tz, seconds)


def _stretched(table: Table, native: Clock, clock: Clock) -> Table:
    """The table on the steps of `clock`: means of shorter steps, repetitions of longer ones."""
    rows = table.rows
    if native.seconds < clock.seconds:
        parts = rows.reshape(len(rows), clock.slots, -1)
        there = ~np.isnan(parts)
        total = np.where(there, parts, 0.0).sum(axis=2)
        rows = np.where(there.any(axis=2), total / np.maximum(there.sum(axis=2), 1), np.nan)
    else:
        rows = np.repeat(rows, native.seconds // clock.seconds, axis=1)
    found = Table(clock)
    days = table.first + np.arange(len(rows))
    found.place(np.repeat(days, clock.slots), np.tile(np.arange(clock.slots), len(rows)), rows.ravel())
    return found


def _columns(tables: list[Table], clock: Clock) -> Columns:
    """Tables side by side as starts (m,) and values (m, k)."""
    if not tables:
        return None
    days = np.arange(min(one.first for one in tables), max(one.end for one in tables))
    values = np.stack([np.stack([one.day(int(day)) for day in days]) for one in tables], axis=2)
    starts = np.concatenate(
        [
            clock.midnight(int(day)) + np.arange(clock.slots) * np.timedelta64(clock.seconds, "s")
            for day in days
        ]
    )
    values = values.reshape(len(starts), -1)
    known = ~np.isnan(values).all(axis=1)
    return starts[known], values[known]


def _us_of(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.cast(column.cast(pa.timestamp("us", "UTC")), pa.int64()).to_numpy())
