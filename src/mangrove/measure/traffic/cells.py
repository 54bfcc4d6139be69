# SPDX-License-Identifier: Apache-2.0
"""Values of meters laid on a grid of streets, classes and five minutes.

Comes in: `Streets`, a span, a snapshot of the ledger. Goes out: `Cells`: vehicles and speeds, NaN where nothing was read. Values that
cannot be (a count below zero or above what roads bear, a speed of zero) are left out and said; shorter intervals are added up and
longer ones, of up to an hour, spread evenly. A device's clock may run a tenth of its step early.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem
from mangrove.ledger import COUNTED, Quality, Snapshot
from mangrove.measure.traffic.streets import CELL, COUNT, Floats, Meter, Streets
from mangrove.times import Span, from_us, to_us

SECONDS = CELL
"""Length of a cell."""
FASTEST = 160.0
"""km/h above which a mean speed is no speed of a street."""
MOST = 20_000.0
"""Vehicles on one street in five minutes above which a value is no count: ten times the capacity of four lanes (24,335 motorcycles an
hour; ASCE J. Transp. Eng. 138(6), 2012, Ha Noi)."""
_Values: TypeAlias = tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.bool_]]
_NOTHING: _Values = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, dtype=bool)
_EARLY = 0.1
_US = 1_000_000


@dataclass(frozen=True)
class Cells:
    """What was read: T cells in time, L links, C classes.

    Attributes:
        starts: (T,) microseconds since 1970; classes: (C,).
        count: (T, L, C) vehicles of a class; total: (T, L) of all; speed: (T, L, C) km/h; common: (T, L) of all vehicles.
        count_error, total_error, speed_error, common_error: (L, C) or (L,) relative standard deviations that the flows state.
        repaired: (T, L) whether a value that stands there was itself estimated; problems: values that were left out.
    """

    starts: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    count: Floats
    total: Floats
    speed: Floats
    common: Floats
    count_error: Floats
    total_error: Floats
    speed_error: Floats
    common_error: Floats
    repaired: npt.NDArray[np.bool_]
    problems: tuple[Problem, ...]


def read(streets: Streets, classes: Sequence[str], span: Span, snapshot: Snapshot) -> Cells:
    """Lays the values of all meters in the span on the grid."""
    first, last = to_us(span.start), to_us(span.end)
    step = SECONDS * _US
    first -= first % step
    starts = np.arange(first, last, step, dtype=np.int64)
    shape = (len(starts), len(streets.ids), len(classes))
    count, speed = np.full(shape, np.nan), np.full(shape, np.nan)
    total, common = np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    count_error, speed_error = np.zeros(shape[1:]), np.zeros(shape[1:])
    total_error, common_error = np.zeros(shape[1]), np.zeros(shape[1])
    repaired = np.zeros(shape[:2], dtype=bool)
    problems: list[Problem] = []
    at = {name: number for number, name in enumerate(classes)}
    values = _by_flow(snapshot, [meter.flow.id for meter in streets.meters], _reach(streets, span))
    for meter in streets.meters:
        when, value, estimated = values.get(meter.flow.id, _NOTHING)
        if estimated.any() and meter.flow.step:
            repaired[:, meter.link] |= _under(when[estimated], starts, meter.flow.step.seconds)
        is_count = meter.kind == COUNT
        found = _cells(meter, when, value, starts, problems, counts=is_count)
        error = (meter.flow.uncertainty or 0.0) / 1.96
        if meter.vehicle:
            (count if is_count else speed)[:, meter.link, at[meter.vehicle]] = found
            (count_error if is_count else speed_error)[meter.link, at[meter.vehicle]] = error
        else:
            (total if is_count else common)[:, meter.link] = found
            (total_error if is_count else common_error)[meter.link] = error
    return Cells(
        starts,
        tuple(classes),
        count,
        total,
        speed,
        common,
        count_error,
        total_error,
        speed_error,
        common_error,
        repaired,
        tuple(problems),
    )


def _reach(streets: Streets, span: Span) -> Span:
    """The span with the longest interval before it, which may reach into it."""
    longest = max(meter.flow.step.seconds for meter in streets.meters if meter.flow.step)
    return Span(span.start - timedelta(seconds=longest), span.end)


def _under(when: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], seconds: int) -> npt.NDArray[np.bool_]:
    """(T,) the cells that values of intervals of `seconds` lie in."""
    index = ((when - starts[0]) // (SECONDS * _US))[:, None] + np.arange(max(seconds // SECONDS, 1))
    found = np.zeros(len(starts), dtype=bool)
    found[index[(index >= 0) & (index < len(starts))]] = True
    return found


def _by_flow(snapshot: Snapshot, flows: list[str], span: Span) -> dict[str, _Values]:
    """Starts and good values of each flow, and whether they are estimates."""
    table = snapshot.values(flows, span.start, span.end)
    kept = np.isin(table["quality"].to_numpy(), [int(one) for one in COUNTED])
    names = table["flow"].combine_chunks().dictionary_encode() if table.num_rows else None
    if names is None:
        return {}
    from pyarrow import DictionaryArray

    coded = names if isinstance(names, DictionaryArray) else names.combine_chunks()
    code = coded.indices.to_numpy()[kept]
    order = np.argsort(code, kind="stable")
    when = table["start"].cast("int64").to_numpy()[kept][order]
    value = table["value"].to_numpy()[kept][order]
    estimated = table["quality"].to_numpy()[kept][order] == int(Quality.FILLED)
    known = coded.dictionary.to_pylist()
    ends = np.searchsorted(code[order], np.arange(len(known) + 1))
    return {
        name: (when[first:last], value[first:last], estimated[first:last])
        for name, first, last in zip(known, ends, ends[1:], strict=False)
        if last > first
    }


def _cells(
    meter: Meter, when: npt.NDArray[np.int64], value: Floats, starts: npt.NDArray[np.int64], problems: list[Problem], *, counts: bool
) -> Floats:  # fmt: skip
    """(T,) of one meter in vehicles per cell or km/h."""
    flow = meter.flow
    assert flow.step is not None
    seconds = flow.step.hours * 3600
    if flow.semantics == "mean" and counts:
        value = value * flow.unit.to("vehicle/h") * seconds / 3600
    else:
        value = value * flow.unit.to("vehicle" if counts else "km/h")
    most = MOST * max(seconds / SECONDS, 1.0)
    bad = ~np.isfinite(value) | ((value < 0) | (value > most) if counts else (value <= 0) | (value > FASTEST))
    if bad.any():
        at = from_us(int(when[bad][0]))
        code = "vehicles.values_below_zero" if counts else "vehicles.no_speeds"
        data = {
            "flow": flow.id,
            "count": int(bad.sum()),
            "value": f"{value[bad][0]:g}",
            "at": f"{at:%Y-%m-%d %H:%M}Z",
        }
        problems.append(Problem(code, data, flow.where, "warning"))
        when, value = when[~bad], value[~bad]
    found, crowded = _spread(when, value, starts, seconds, counts=counts)
    if crowded >= 0:
        data = {
            "flow": flow.id,
            "at": f"{from_us(int(starts[crowded])):%Y-%m-%d %H:%M}Z",
            "step": str(flow.step),
        }
        problems.append(Problem("vehicles.crowded", data, flow.where, "warning"))
    return found


def _spread(
    when: npt.NDArray[np.int64], value: Floats, starts: npt.NDArray[np.int64], seconds: float, *, counts: bool
) -> tuple[Floats, int]:
    """Values of intervals of `seconds` on cells: added up (speeds: harmonic means) when shorter, spread when longer.

    A cell that its values do not fill is NaN when they are counts: part of a count is none. Counts that are more than fit a cell count as
    their mean; the first such cell is told, else -1.
    """
    cells = len(starts)
    found = np.full(cells, np.nan)
    if not len(when):
        return found, -1
    width = SECONDS * _US
    step = round(seconds * _US)
    when = (when + round(_EARLY * step)) // step * step
    if seconds > SECONDS:
        pieces = max(round(seconds / SECONDS), 1)
        index = ((when - starts[0]) // width)[:, None] + np.arange(pieces)
        spread = np.repeat(value / pieces if counts else value, pieces)
        flat = index.ravel()
        inside = (flat >= 0) & (flat < cells)
        found[flat[inside]] = spread[inside]
        return found, -1
    index = (when - starts[0]) // width
    inside = (index >= 0) & (index < cells)
    index, value = index[inside], value[inside]
    number = np.bincount(index, minlength=cells)
    if counts:
        whole = round(SECONDS / seconds)
        crowded = np.flatnonzero(number > whole)
        amount = np.bincount(index, value, cells) * whole / np.maximum(number, whole)
        return np.where(number >= whole, amount, np.nan), int(crowded[0]) if len(crowded) else -1
    slow = np.bincount(index, 1 / value, cells)
    np.divide(number, slow, out=found, where=number > 0)
    return found, -1
