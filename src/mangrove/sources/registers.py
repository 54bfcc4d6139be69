# SPDX-License-Identifier: Apache-2.0
"""Counter registers: readings that only grow, and the amounts between them.

Comes in: readings of flows whose semantics is `counter`. They are stored as they are under `<flow>#register`. Goes out:
amounts per step under `<flow>`, in a batch of its own that names its inputs (model `register`).

A reading counts for the boundary of the flow's step that it is nearest to; of several, the nearest one, and of equally near
ones the earlier. Between two neighboring boundaries with readings r0 and r1, n steps apart, each step holds (r1 - r0) / n;
the sum over any span of boundaries is therefore the difference of its registers. With n > 1 the distribution is an estimate
and the steps are marked FILLED. A drop from close below a power of ten to close above zero is a roll-over of the register:
the modulus is added. Any other drop is not explainable: its steps are marked SPIKE and enter no sum.

A reading that leaves the register and comes back to it within a week (0 while the line was down, 99,999 by a broken frame)
would add the whole register to the sum, on its way out or back. All steps between the readings on either side are SPIKE.

The amounts are a function of the set of readings. When a reading arrives late, the steps between its neighbors are computed
again, so the order of arrival does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem
from mangrove.inference.runs import as_table, read_series
from mangrove.inference.series import Series, local_time, usable
from mangrove.ledger import Ledger, Snapshot
from mangrove.ledger.types import Origin, Quality, Receipt
from mangrove.sources import stamps
from mangrove.sources.convert import Values
from mangrove.sources.stamps import DAY, SECOND, Ints, WallClock
from mangrove.territory.model import Flow, Territory
from mangrove.times import Step
from mangrove.units import Quantity

SUFFIX = "#register"
VERSION = "1"
NEAR = 0.1
"""A roll-over leaves at most 10 % of the register's range on either side: beyond, the meter was changed or read wrongly."""
AROUND = 45 * DAY
"""How far neighbors of a new reading are looked for before all of the register is read."""
EXCURSION = 7 * DAY
"""Time within which a register that comes back to its old level was misread, and not changed for another meter."""
REACH = 2 * EXCURSION
"""How far a reading can matter: it decides about drops of a week around it, and they about the amounts of a week."""
AT_ONCE = 0.9
"""Share of the way back (or out) in a single step that shows a misreading: a changed meter climbs step by step."""
_END = 253_402_300_799 * SECOND


@dataclass(frozen=True)
class Increments:
    """Amounts per step between the first and the last boundary, and the roll-overs and drops met on the way."""

    series: Series
    rollovers: int
    drops: int


def increments(registers: Series, step: Step, tz: ZoneInfo, modulus: float | None = None) -> Increments:
    """Amounts per step from register readings.

    Args:
        registers: good readings sorted by time.
        step: fixed or calendar length of an interval.
        tz: the zone in which days and months begin.
        modulus: the value at which the register starts again; None: the next power of ten above a reading.
    """
    index = boundary_index(registers.start, step, tz)
    keep = _nearest(registers.start, index, step, tz)
    at, reading = index[keep], registers.value[keep]
    if len(at) < 2:  # noqa: PLR2004 - an amount needs two readings
        return Increments(Series.empty(), 0, 0)
    amount = np.diff(reading)
    rolled = np.zeros(len(amount), dtype=bool)
    misread = _excursions(registers.start[keep], reading)
    for i in np.flatnonzero((amount < 0) & ~misread).tolist():
        whole = modulus if modulus is not None else _next_power(float(reading[i]))
        if reading[i] >= (1 - NEAR) * whole and reading[i + 1] <= NEAR * whole:
            amount[i] += whole
            rolled[i] = True
    steps = np.diff(at)
    owner = np.repeat(np.arange(len(amount)), steps)
    place = np.arange(at[0], at[-1])
    quality = np.where(steps > 1, Quality.FILLED, Quality.GOOD)
    quality = np.where((amount < 0) | misread, Quality.SPIKE, quality).astype(np.uint8)
    series = Series(boundary_start(place, step, tz), (amount / steps)[owner], quality[owner])
    return Increments(series, int(rolled.sum()), int(np.sum(amount < 0)))


def _excursions(at: Ints, reading: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which amounts lie between a register and its return, shape (n - 1,).

    A drop is the way out of an excursion below, or the way back from one above. When it can be both, the side on which most
    readings of that week before and after lie is the true one.
    """
    found = np.zeros(len(reading) - 1, dtype=bool)
    for i in np.flatnonzero(np.diff(reading) < 0).tolist():
        below = above = None
        end = int(np.searchsorted(at, at[i] + EXCURSION, side="right"))
        back = np.flatnonzero(reading[i + 2 : end] >= reading[i])
        if len(back):
            j = i + 2 + int(back[0])
            if reading[j] - reading[j - 1] >= AT_ONCE * (reading[j] - reading[i + 1]):
                below = slice(i, j)
        begin = int(np.searchsorted(at, at[i + 1] - EXCURSION))
        out = np.flatnonzero(reading[begin:i] <= reading[i + 1])
        if len(out):
            k = begin + int(out[-1])
            if reading[k + 1] - reading[k] >= AT_ONCE * (reading[i] - reading[k]):
                above = slice(k, i + 1)
        usual = float(np.median(reading[begin:end]))
        nearer_below = usual - reading[i + 1] < reading[i] - usual
        span = above if below is None or (above is not None and nearer_below) else below
        if span is not None:
            found[span] = True
    return found


def _next_power(reading: float) -> float:
    """The power of ten above a reading: 99,950 gives 100,000."""
    return float(10.0 ** (np.floor(np.log10(max(reading, 1.0))) + 1))


def _nearest(at: Ints, index: Ints, step: Step, tz: ZoneInfo) -> npt.NDArray[np.int64]:
    """Positions of the readings that count: per boundary the nearest, of equally near ones the earlier."""
    distance = np.abs(at - boundary_start(index, step, tz))
    order = np.lexsort((at, distance, index))
    first = np.ones(len(order), dtype=bool)
    first[1:] = index[order][1:] != index[order][:-1]
    return np.asarray(order[first])


def boundary_index(utc: Ints, step: Step, tz: ZoneInfo) -> Ints:
    """The number of the step boundary nearest to each instant; days, weeks and months are those of the zone."""
    if step.months:
        local = local_time(utc, tz)
        month = local.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) // step.months
        low, high = (_month_start(month + k, step.months) for k in (0, 1))
        return np.asarray(np.where(high - local < local - low, month + 1, month))
    size = step.seconds * SECOND
    wall = local_time(utc, tz) if size % DAY == 0 else utc
    return np.asarray((wall + size // 2) // size)


def boundary_start(index: Ints, step: Step, tz: ZoneInfo) -> Ints:
    """The UTC instant of each boundary."""
    size = step.seconds * SECOND
    if not step.months and size % DAY:
        return index * size
    wall = _month_start(index, step.months) if step.months else index * size
    no = np.zeros(len(wall), dtype=bool)
    return stamps.to_utc(WallClock(wall, no, no, np.zeros(len(wall), np.uint8)), tz)[0]


def _month_start(index: Ints, months: int) -> Ints:
    return np.asarray((index * months).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64))


def register_modulus(flow: Flow) -> float | None:
    """The declared parameter `modulus` in the flow's unit, or None."""
    written = flow.parameters.get("modulus")
    return written.to(flow.unit) if isinstance(written, Quantity) else None


@dataclass
class Pending:
    """The registers of one ingest: renames them on the way in and derives their amounts at the end."""

    ledger: Ledger
    territory: Territory
    touched: dict[str, tuple[int, int]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)

    def rename(self, values: Values) -> Values:
        """The same values with counter flows under their register key."""
        flows = self.territory.flows
        names = [
            name + SUFFIX if name in flows and flows[name].semantics == "counter" else name
            for name in values.names
        ]
        return Values(names, values.flow, values.start, values.value, values.quality, values.line)

    def seen(self, values: Values, receipt: Receipt) -> None:
        """Remembers which registers a stored batch touched, and when."""
        for index, name in enumerate(values.names):
            if not name.endswith(SUFFIX):
                continue
            starts = values.start[values.flow == index]
            if len(starts):
                flow = name.removesuffix(SUFFIX)
                low, high = self.touched.get(flow, (int(starts.min()), int(starts.max())))
                self.touched[flow] = (min(low, int(starts.min())), max(high, int(starts.max())))
                self.inputs.append(receipt.hash)

    def derive(self) -> Iterator[tuple[Problem, Receipt | None]]:
        """Stores the amounts around everything touched; what is the same as before is not stored again."""
        for name, window in self.touched.items():
            flow = self.territory.flows[name]
            if flow.step is None:
                yield Problem("sources.counter_needs_step", {"flow": name}, severity="warning"), None
                continue
            yield derive(self.ledger, flow, self.territory.tz, window, tuple(dict.fromkeys(self.inputs)))
        self.touched.clear()
        self.inputs.clear()


def derive(
    ledger: Ledger, flow: Flow, tz: ZoneInfo, touched: tuple[int, int], inputs: tuple[str, ...] = ()
) -> tuple[Problem, Receipt | None]:
    """Computes the amounts of a flow between the neighbors of `touched` and stores those that changed.

    Args:
        ledger: holds the register; open for writing.
        flow: a counter with a step.
        tz: the territory's zone.
        touched: the earliest and the latest new reading (microseconds, UTC).
        inputs: hashes of the batches that brought the readings.
    """
    step = flow.step if flow.step is not None else Step(seconds=3600)
    with ledger.snapshot() as snapshot:
        registers, low, high = _around(snapshot, flow, step, tz, touched)
        found = increments(registers, step, tz, register_modulus(flow))
        rows = found.series.pick((found.series.start >= low) & (found.series.start < high))
        known = (
            read_series(snapshot, flow.id, int(rows.start[0]), int(rows.start[-1]) + 1) if len(rows) else rows
        )
        cut = snapshot.cut
    data = {"flow": flow.id, "rollovers": found.rollovers, "drops": found.drops, "rows": len(rows)}
    note = Problem("sources.register", data, severity="warning" if found.drops or found.rollovers else "note")
    changed = rows.pick(~same_rows(rows, known))
    if not len(changed):
        return note, None
    key = sha256(changed.start.tobytes() + changed.value.tobytes() + changed.quality.tobytes()).hexdigest()
    origin = Origin(
        "model:register",
        f"{flow.id}:{cut}:{key}",
        "measured",
        model="register",
        version=VERSION,
        inputs=inputs,
    )
    return note, ledger.append(as_table(flow.id, changed), origin)


def _around(
    snapshot: Snapshot, flow: Flow, step: Step, tz: ZoneInfo, touched: tuple[int, int]
) -> tuple[Series, int, int]:
    """The good readings around `touched`, and the instants between which their amounts may have changed.

    A new reading changes the amounts to its neighbors, and those of excursions that it begins, ends or refutes; to judge
    what reaches over the edge, readings are handed out as far again on either side.
    """
    low, high = touched[0] - REACH, touched[1] + REACH
    first, last = boundary_index(np.array([low, high]), step, tz).tolist()
    for reach, ahead in ((AROUND, AROUND), (AROUND, _END), (_END, _END)):
        found = read_series(snapshot, flow.id + SUFFIX, low - reach, high + ahead)
        found = found.pick(usable(found.quality))
        index = boundary_index(found.start, step, tz)
        before, after = index[index < first], index[index > last]
        if (len(before) or reach == _END) and (len(after) or ahead == _END):
            break
    if not len(found):
        return found, low, high
    lower = int(before.max()) if len(before) else int(index.min())
    upper = int(after.min()) if len(after) else int(index.max())
    begin, end = boundary_start(np.array([lower, upper]), step, tz).tolist()
    margin = REACH + int(step.hours * 3600 * SECOND)  # a reading may stand beside its boundary
    nearby = (found.start >= begin - margin) & (found.start <= end + margin)
    return found.pick(nearby), begin, end


def same_rows(rows: Series, known: Series) -> npt.NDArray[np.bool_]:
    """Which rows the ledger holds already, with the same value and code."""
    if not len(known):
        return np.zeros(len(rows), dtype=bool)
    place = np.minimum(np.searchsorted(known.start, rows.start), len(known) - 1)
    return np.asarray(
        (known.start[place] == rows.start)
        & (known.value[place] == rows.value)
        & (known.quality[place] == rows.quality)
    )
