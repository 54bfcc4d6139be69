# SPDX-License-Identifier: Apache-2.0
"""What single readings of a device become: registers, means, states, or energy from power.

Comes in: one reading after another of one point, each with the instant at which it was taken. Goes out: readings of the point's flow
(start of the interval, value in the flow's unit, quality). What a flow means decides how:

- `counter`: the register as it was read, at the instant of the reading;
- `mean`: the mean of the readings in a step, when the step is over;
- `state`: the first reading of a step, at its start;
- `sum`: refused, because a reading is no amount. `integrate=yes` makes energy from power by the trapezoid rule, marked as an
  estimate; `amount=yes` says that the device itself gives the amount since the reading before, one `every` ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from mangrove.errors import SourceError
from mangrove.ledger.types import COUNTED, Quality
from mangrove.sources.messages_in import Reading
from mangrove.territory.model import Flow, Point
from mangrove.times import HOUR, Step
from mangrove.units import Quantity, Unit, unit

CAPTURE = 0.75
"""Share of a step that its readings must cover to be a measured mean: 45 minutes of an hour (Directive 2008/50/EC, annex XI A)."""
REACH = 1.5
"""Power is joined over this many times between two readings at most; beyond, a reading is missing and there is a gap."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = 1e-6


class Collector(Protocol):
    """Takes the readings of one point and gives those of its flow."""

    def add(self, at: datetime, value: float, quality: int) -> list[Reading]:
        """One more reading, in the unit and scale of the device."""

    def until(self, now: datetime) -> list[Reading]:
        """What is complete because its step is over."""


def collector(point: Point, flow: Flow, said: Unit | None, every: Step | None, tz: ZoneInfo) -> Collector:
    """What stands between a point and its flow.

    Args:
        point: what is read.
        flow: what it is a value of.
        said: the unit that the protocol itself knows for this address; None when it knows none.
        every: time between two readings; None for a device that sends by itself.
        tz: the zone in which days and months begin.

    Raises:
        SourceError: `devices.unit_differs`, `devices.unit` (does not convert), `devices.sum_from_power`,
            `devices.sum_from_register`, `devices.needs_step`, `devices.needs_every`.
    """
    written = _unit(point, flow, said)
    if flow.semantics == "sum" and not _yes(point, "amount"):
        return _energy(point, flow, written, every, tz)
    if not written.converts_to(flow.unit):
        raise _refused("devices.unit", point, flow, written)
    factor = point.scale * written.to(flow.unit)
    if flow.semantics == "counter":
        return _Kept(flow.id, factor)
    if flow.semantics == "sum":
        if flow.step is None:
            raise _refused("devices.needs_step", point, flow, written)
        if every is None:
            raise _refused("devices.needs_every", point, flow, written)
        return _Mean(flow.id, factor, flow.step, every, tz, total=True)
    if flow.semantics == "mean" and flow.step is not None and every is not None:
        return _Mean(flow.id, factor, flow.step, every, tz)
    return _Kept(flow.id, factor, flow.step, tz)


def _energy(point: Point, flow: Flow, written: Unit, every: Step | None, tz: ZoneInfo) -> Collector:
    """The collector of a flow of amounts: only by declared integration."""
    if not (written * unit("h")).converts_to(flow.unit):
        code = "devices.sum_from_register" if written.converts_to(flow.unit) else "devices.unit"
        raise _refused(code, point, flow, written)
    if not _yes(point, "integrate"):
        raise _refused("devices.sum_from_power", point, flow, written)
    if flow.step is None:
        raise _refused("devices.needs_step", point, flow, written)
    if every is None:
        raise _refused("devices.needs_every", point, flow, written)
    factor = point.scale * (written * unit("h")).to(flow.unit)
    return _Energy(flow.id, factor, flow.step, timedelta(hours=every.hours), tz)


def _unit(point: Point, flow: Flow, said: Unit | None) -> Unit:
    if (
        said is not None
        and point.unit is not None
        and (said.scale, said.dimension) != (point.unit.scale, point.unit.dimension)
    ):
        raise SourceError(
            "devices.unit_differs",
            where=point.where,
            address=point.address,
            unit=point.unit.text,
            said=said.text,
        )
    return point.unit or said or flow.unit


def _refused(code: str, point: Point, flow: Flow, written: Unit) -> SourceError:
    return SourceError(
        code,
        where=point.where,
        address=point.address,
        flow=flow.id,
        unit=written.text,
        target=flow.unit.text,
    )


def _yes(point: Point, name: str) -> bool:
    """Whether a parameter of a point says yes; a word that is neither yes nor no is an error."""
    said = point.parameters.get(name, "no")
    if said not in ("yes", "no"):
        text = str(said.value) if isinstance(said, Quantity) else said
        raise SourceError("devices.yes_or_no", where=point.where, name=name, text=text)
    return said == "yes"


def micro(at: datetime) -> int:
    """Microseconds since 1970, UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


@dataclass
class _Kept:
    """The reading itself: at its own instant, or the first one of a step at its start."""

    flow: str
    factor: float
    step: Step | None = None
    tz: ZoneInfo | None = None
    before: datetime | None = None

    def add(self, at: datetime, value: float, quality: int) -> list[Reading]:
        start = at if self.step is None or self.tz is None else self.step.floor(at, self.tz)
        if start == self.before:
            return []
        self.before = start
        return [Reading(self.flow, micro(start), value * self.factor, quality)]

    def until(self, now: datetime) -> list[Reading]:  # noqa: ARG002 - nothing waits here
        return []


@dataclass
class _Mean:
    """The mean of the readings in a step; one that covers less than `CAPTURE` of it is marked as filled.

    With `total` the sum of amounts, each of the time since the reading before; a step that lacks one gives none.
    """

    flow: str
    factor: float
    step: Step
    every: Step
    tz: ZoneInfo
    total: bool = False
    start: datetime | None = None
    values: list[tuple[float, int]] = field(default_factory=list)

    def add(self, at: datetime, value: float, quality: int) -> list[Reading]:
        if self.total:
            at -= timedelta(hours=self.every.hours)
        start = self.step.floor(at, self.tz)
        done = self._close() if self.start not in (None, start) else []
        self.start = start
        self.values.append((value * self.factor, quality))
        if len(self.values) >= self._expected():
            done += self._close()
        return done

    def until(self, now: datetime) -> list[Reading]:
        over = (
            timedelta(hours=self.every.hours) if self.total else timedelta(0)
        )  # the last amount comes after its step
        if self.start is None or now - over < self.step.after(self.start, self.tz):
            return []
        return self._close()

    def _expected(self) -> int:
        """Readings in a whole step: 15 of every minute in a quarter of an hour, 1 when the step is not longer."""
        assert self.start is not None
        hours = (self.step.after(self.start, self.tz) - self.start) / HOUR
        return max(1, round(hours / self.every.hours))

    def _close(self) -> list[Reading]:
        start, values = self.start, self.values
        if start is None or not values:
            return []
        expected = self._expected()
        self.start, self.values = None, []
        good = [value for value, quality in values if quality in COUNTED]
        if self.total:
            whole = len(good) >= expected
            return [Reading(self.flow, micro(start), sum(good), int(Quality.GOOD))] if whole else []
        if good:
            quality = Quality.GOOD if len(good) >= CAPTURE * expected else Quality.FILLED
            return [Reading(self.flow, micro(start), sum(good) / len(good), int(quality))]
        mean = sum(value for value, _ in values) / len(values)
        return [Reading(self.flow, micro(start), mean, max(quality for _, quality in values))]


@dataclass
class _Energy:
    """Energy of a step from power: the area under straight lines between readings, kWh = sum (p0 + p1) / 2 x (t1 - t0).

    A step gives a value only when such lines cover all of it.
    """

    flow: str
    factor: float
    step: Step
    every: timedelta
    tz: ZoneInfo
    before: tuple[datetime, float] | None = None
    start: datetime | None = None
    area: float = 0.0
    covered: timedelta = timedelta(0)

    def add(self, at: datetime, value: float, quality: int) -> list[Reading]:
        before, self.before = self.before, (at, value) if quality in COUNTED else None
        if before is None or self.before is None or not timedelta(0) < at - before[0] <= REACH * self.every:
            return []
        done: list[Reading] = []
        low, whole = before[0], at - before[0]
        while low < at:
            start = self.step.floor(low, self.tz)
            end = self.step.after(start, self.tz)
            high = min(at, end)
            middle = ((low - before[0]) + (high - before[0])) / 2 / whole
            if start != self.start:
                self.start, self.area, self.covered = start, 0.0, timedelta(0)
            self.area += (before[1] + (value - before[1]) * middle) * ((high - low) / HOUR)
            self.covered += high - low
            if high == end and self.covered >= (end - start) * (1 - _WHOLE):
                done.append(Reading(self.flow, micro(start), self.area * self.factor, int(Quality.FILLED)))
            low = high
        return done

    def until(self, now: datetime) -> list[Reading]:  # noqa: ARG002 - only a reading ends a step
        return []
