# SPDX-License-Identifier: Apache-2.0
"""Repair: estimates for gaps, marked as estimates. Never run by itself; a person asks for it.

Comes in: one series on its grid. Goes out: values for the gaps that are short enough to be estimated honestly:

    up to 2 hours    a straight line between the neighbors
    up to 2 days     the usual value of the hour of the week times the local level (the ratio of the values of the 24 hours
                     before and after the gap to their usual values)
    longer           stays a gap

Both need good values on both sides. The lengths are the two classes that the project's ledger promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference.series import (
    DAY,
    SECOND,
    Bools,
    Floats,
    Ints,
    Series,
    local_time,
    median_by,
    on_grid,
    runs_of,
    slot_of_week,
    usable,
)
from mangrove.ledger.types import Quality

VERSION = "1"
LINEAR = 2 * 3600 * SECOND
PROFILE = 2 * DAY
_HOUR = 3600 * SECOND

REPAIRED = (Quality.MISSING, Quality.RANGE, Quality.SPIKE, Quality.STUCK)
"""What is estimated anew. Device states (01, 02) are the operator's word about the meter, and a shifted clock has its
true values elsewhere: neither is filled."""


@dataclass(frozen=True)
class Filled:
    """Estimates: rows to store, with quality FILLED.

    Attributes:
        series: the new rows.
        method: per row, `linear` or `profile`.
        left: index ranges are not kept: the spans (microseconds, half-open) of gaps that stay gaps.
    """

    series: Series
    method: tuple[str, ...]
    left: tuple[tuple[int, int], ...]


def fill(
    series: Series,
    step: int,
    tz: ZoneInfo,
    *,
    low: int | None = None,
    high: int | None = None,
    codes: Sequence[Quality] = REPAIRED,
) -> Filled:
    """Estimates the gaps of one series.

    Args:
        series: sorted by start, with what lies around the gaps: some weeks make a better profile.
        step: length of an interval in microseconds.
        tz: the zone of days and weeks.
        low: only gaps that start at or after it are filled; default: all.
        high: only gaps that start before it are filled; default: all.
        codes: the quality codes that count as gaps.

    Returns:
        New rows and the gaps that stay.
    """
    if not len(series):
        return Filled(series, (), ())
    grid = on_grid(series, step)
    gap = np.isin(grid.quality, [int(code) for code in codes])
    good = usable(grid.quality) & np.isfinite(grid.value)
    local = local_time(grid.start, tz)
    usual = profile(grid.value, good, local)
    value = grid.value.copy()
    method = np.zeros(len(grid), dtype=np.uint8)
    left: list[tuple[int, int]] = []
    for first, last in runs_of(gap):
        if (low is not None and grid.start[first] < low) or (high is not None and grid.start[first] >= high):
            continue
        found, how = _one_gap(grid, good, usual, (first, last), step)
        if how:
            value[first:last], method[first:last] = found, how
        else:
            left.append((int(grid.start[first]), int(grid.start[last - 1]) + step))
    rows = np.flatnonzero(method)
    filled = Series(grid.start[rows], value[rows], np.full(len(rows), Quality.FILLED, dtype=np.uint8))
    return Filled(
        filled, tuple("linear" if m == 1 else "profile" for m in method[rows].tolist()), tuple(left)
    )


def profile(value: Floats, good: Bools, local: Ints) -> Floats:
    """The usual value of each row: the median of the good values of its hour of the week, or else of its hour of the day.

    Shape (n,); NaN where the hour of the day has no good value at all.
    """
    week = slot_of_week(local, _HOUR)
    by_week = median_by(week[good], value[good], 168)
    by_day = median_by(week[good] % 24, value[good], 24)
    return np.where(np.isfinite(by_week[week]), by_week[week], by_day[week % 24])


def _one_gap(
    grid: Series, good: Bools, usual: Floats, rows: tuple[int, int], step: int
) -> tuple[Floats, int]:
    """Estimates for the rows `[first, last)`: values and 1 (linear), 2 (profile) or 0 (stays a gap)."""
    first, last = rows
    length = int(grid.start[last - 1]) + step - int(grid.start[first])
    nothing = np.empty(0)
    if first == 0 or last == len(grid) or length > PROFILE:
        return nothing, 0
    if length <= LINEAR and good[first - 1] and good[last]:
        x = grid.start[first:last].astype(float)
        ends = grid.start[[first - 1, last]].astype(float)
        return np.interp(x, ends, grid.value[[first - 1, last]]), 1
    level = _level(grid, good, usual, first, last)
    shape = usual[first:last]
    if level is None or not np.isfinite(shape).all():
        return nothing, 0
    return shape * level, 2


def _level(grid: Series, good: Bools, usual: Floats, first: int, last: int) -> float | None:
    """Sum of the good values within 24 hours of the gap over the sum of their usual values; None without enough of them.

    At least half of the steps of the 48 hours must be good. A usual sum of zero with values of zero gives the level 1.
    """
    low, high = grid.start[first] - DAY, grid.start[last - 1] + DAY
    near = (grid.start >= low) & (grid.start <= high)
    near[first:last] = False
    have = near & good & np.isfinite(usual)
    if 2 * have.sum() < near.sum() or not have.any():
        return None
    seen, expected = float(grid.value[have].sum()), float(usual[have].sum())
    if expected == 0:
        return 1.0 if seen == 0 else None
    return seen / expected
