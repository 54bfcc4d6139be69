# SPDX-License-Identifier: Apache-2.0
"""From values in the ledger to rates on regular steps, whatever the unit and the step of a flow: the one reader of every verb.

Comes in: a snapshot, a declared flow, a window of steps. Goes out: mean kW, kg/h, m3/h or items a step, NaN where nothing counts was
measured, and when the flow was read last. Nothing is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import RequestError, RuleError
from mangrove.ledger import COUNTED, Snapshot, series
from mangrove.territory.model import Flow
from mangrove.times import utc

Floats = npt.NDArray[np.float64]
HOUR_SECONDS = 3600
SECOND = np.timedelta64(1, "s")
_US = 1_000_000
_WHOLE = 0.999
"""Share of a step that values must cover: less is a gap; the rest is rounding of their length."""
_CANONICAL = (("kWh", "kW"), ("kg", "kg/h"), ("m3", "m3/h"))
"""The amounts that a flow may be read in, each with its rate."""


@dataclass(frozen=True, slots=True)
class Window:
    """So many steps of `seconds` from `start` (UTC) on."""

    start: np.datetime64
    seconds: int
    steps: int

    @property
    def end(self) -> np.datetime64:
        """The first instant after it."""
        return self.start + self.steps * (self.seconds * SECOND)

    @property
    def edges(self) -> Floats:
        """(T + 1,) seconds since 1970."""
        first = float(self.start.astype("datetime64[s]").astype(np.int64))
        marks: Floats = first + np.arange(self.steps + 1, dtype=np.float64) * self.seconds
        return marks


@dataclass(frozen=True, eq=False)
class Series:
    """Mean kW a step (NaN: nothing measured), and the end of the last value that counts; None when there is none."""

    power: Floats
    until: np.datetime64 | None


def power(
    snapshot: Snapshot,
    flow: Flow,
    window: Window,
    *,
    run: str = "measured",
) -> Series:
    """One flow of the ledger on the steps of `window`.

    A value longer than a step is spread evenly over the time that it stands for; shorter ones are averaged.

    Raises:
        RequestError: `inference.flow_without_step`, `inference.not_power` (its unit is neither energy nor power).
    """
    return _hourly(snapshot, flow, window, run, kilowatt_hours(flow))


def rate(snapshot: Snapshot, flow: Flow, window: Window, *, run: str = "measured") -> Series:
    """A flow of energy, mass or volume on the steps of `window`, in kW, kg/h or m3/h; see `power`.

    Raises:
        RequestError: `inference.flow_without_step`, `inference.not_a_rate`.
    """
    return _hourly(snapshot, flow, window, run, amount(flow))


def count(snapshot: Snapshot, flow: Flow, window: Window, *, run: str = "measured") -> Series:
    """A flow of counted things on the steps of `window`: how many in each step; see `power`."""
    found = _hourly(snapshot, flow, window, run, 1.0)
    return Series(found.power * window.seconds / HOUR_SECONDS, found.until)


def _hourly(snapshot: Snapshot, flow: Flow, window: Window, run: str, per_value: float) -> Series:
    """Amounts per hour on the steps of `window`; one unit of a value is `per_value`."""
    if flow.step is None:
        raise RequestError("inference.flow_without_step", flow=flow.id)
    seconds = flow.step.hours * HOUR_SECONDS
    key = series(flow.id, run)
    first, last = window.start - round(seconds) * SECOND, window.end
    rows = snapshot.values([key], utc(first), utc(last))
    good = np.isin(rows.column("quality").to_numpy(), [int(code) for code in COUNTED])
    start = rows.column("start").cast(pa.int64()).to_numpy()[good] / _US
    given = rows.column("value").to_numpy()[good] * per_value
    if not len(start):
        return Series(np.full(window.steps, np.nan), None)
    stop = np.minimum(start + seconds, np.append(start[1:], np.inf))
    given = given * (stop - start) / seconds
    at = np.stack([start, stop], axis=1).ravel()
    energy = np.cumsum(np.stack([np.zeros(len(given)), given], axis=1).ravel())
    known = np.cumsum(np.stack([np.zeros(len(given)), stop - start], axis=1).ravel())
    edges = window.edges
    drawn = np.diff(np.interp(edges, at, energy))
    covered = np.diff(np.interp(edges, at, known))
    found = np.where(covered >= _WHOLE * window.seconds, drawn / (window.seconds / HOUR_SECONDS), np.nan)
    return Series(found, np.datetime64(round(float(stop[-1])), "s"))


def kilowatt_hours(flow: Flow) -> float:
    """KWh that one unit of a value of `flow` stands for.

    Raises:
        RequestError: `inference.not_power`, `inference.flow_without_step`.
    """
    if flow.step is None:
        raise RequestError("inference.flow_without_step", flow=flow.id)
    rate = flow.semantics in ("mean", "state")
    try:
        return flow.unit.to("kW") * flow.step.hours if rate else flow.unit.to("kWh")
    except RuleError:
        raise RequestError("inference.not_power", flow=flow.id, unit=flow.unit.text) from None


def amount(flow: Flow) -> float:
    """The canonical amount (kWh, kg, m3) that one unit of a value of `flow` stands for.

    Raises:
        RequestError: `inference.not_a_rate`, `inference.flow_without_step`.
    """
    if flow.step is None:
        raise RequestError("inference.flow_without_step", flow=flow.id)
    mean = flow.semantics in ("mean", "state")
    for total, per_hour in _CANONICAL:
        if flow.unit.converts_to(per_hour if mean else total):
            return flow.unit.to(per_hour) * flow.step.hours if mean else flow.unit.to(total)
    raise RequestError("inference.not_a_rate", flow=flow.id, unit=flow.unit.text)
