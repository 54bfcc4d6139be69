# SPDX-License-Identifier: Apache-2.0
"""Clock shifts: weeks whose mean day fits the weeks before only when it is moved by whole hours.

Comes in: wall-clock times and values. Goes out: spans of days with the shift. A meter whose clock jumped (summer time in a
country that has none, a wrong zone after a repair) keeps its shape and loses its place. The method compares the mean day of
each block of seven days with the mean day of the four blocks before it at shifts of -3 to +3 hours, by correlation, and
then finds the first and the last shifted day. Real schedules and the sun move too, so the fit must be close and the rest of
the misfit must shrink several times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SHIFTS = (-3, -2, -1, 1, 2, 3)
"""Hours looked for: summer time is one, a neighboring zone up to three."""
REFERENCE_BLOCKS = 4
"""Weeks that make the usual day; at least half of them must be there."""
FIT = 0.9
"""Least correlation of the moved mean day with the usual one: a loose profile tells nothing about the clock."""
GAIN = 0.06
"""Least gain of correlation over no move."""
SHRINK = 4.0
"""The misfit (1 - correlation) must shrink at least this many times by the move."""
AGREE = 5
"""Of the seven days of a block, so many must by themselves fit better when moved."""
MOST = 4
"""After so many shifted weeks in a row the new time is the usual one: a schedule that changed for good."""
COVERED = 0.8
"""Share of a block's steps that must have a value."""

_DAY = 86_400_000_000
_HOUR = 3_600_000_000
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Shift:
    """Days from `first` to `last` (wall-clock microseconds, half-open) run `hours` late (positive) or early."""

    first: int
    last: int
    hours: int


def find(local: Ints, value: Floats, step: int, offset: Ints | None = None) -> list[Shift]:
    """Finds shifted days.

    Args:
        local: wall-clock microseconds, sorted, shape (n,).
        value: NaN where there is no good value.
        step: microseconds; an hour must be a multiple of it, otherwise nothing is looked for.
        offset: how far the zone's wall clock is from UTC at each row. Where it changes, people move with the clock and the
            sun does not, so no comparison reaches across the change.

    Returns:
        Spans of neighboring shifted days with one shift, in order of time.
    """
    if not len(local) or _HOUR % step:
        return []
    days = _by_day(local, value, step)
    hours = np.zeros(len(days), dtype=np.int64)
    usual: list[Floats] = []
    streak = 0
    changes = set() if offset is None else set(_changed_weeks(local, offset))
    for first in range(0, len(days) - _WEEK + 1, _WEEK):
        block = days[first : first + _WEEK]
        if first // _WEEK in changes:
            usual, streak = [], 0
            continue
        if np.mean(np.isfinite(block)) < COVERED:
            continue
        reference = _mean_day(np.concatenate(usual)) if 2 * len(usual) >= REFERENCE_BLOCKS else None
        shift = 0 if reference is None else _block_shift(block, reference, step)
        if reference is not None and shift:
            _mark_days(hours, days, first, reference, shift, step)
            streak += 1
        else:
            streak = 0
        if streak > MOST:
            usual, streak = [], 0
        if streak == 0:
            usual = [*usual[-(REFERENCE_BLOCKS - 1) :], block]
    return _spans(hours, int(local[0]) // _DAY)


def _changed_weeks(local: Ints, offset: Ints) -> list[int]:
    """The numbers of the blocks of seven days in which the zone's offset changes."""
    rows = np.flatnonzero(np.diff(offset)) + 1
    return ((local[rows] // _DAY - local[0] // _DAY) // _WEEK).tolist()  # type: ignore[no-any-return]


def _by_day(local: Ints, value: Floats, step: int) -> Floats:
    """Values as a matrix of days x steps of a day; NaN where there is none."""
    per_day = _DAY // step
    index = (local - local[0] // _DAY * _DAY) // step
    matrix: Floats = np.full((int(index.max()) // per_day + 1) * per_day, np.nan)
    matrix[index] = value
    return matrix.reshape(-1, per_day)


def _mean_day(days: Floats) -> Floats:
    """The mean of some days, step by step; NaN for a step that none of them has."""
    have = np.isfinite(days)
    total, count = np.where(have, days, 0).sum(axis=0), have.sum(axis=0)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _fit(values: Floats, usual: Floats) -> float:
    """The correlation over the steps that both have; 0 when either side is constant."""
    have = np.isfinite(values) & np.isfinite(usual)
    a, b = values[have], usual[have]
    if 2 * len(a) < len(values):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    scale = float(a @ a) * float(b @ b)
    return float(a @ b) / scale**0.5 if scale > 0 else 0.0


def _moved(day: Floats, hours: int, step: int) -> Floats:
    """The usual day as a clock that runs `hours` late would stamp it (circular)."""
    return np.roll(day, hours * _HOUR // step)


def _block_shift(block: Floats, usual: Floats, step: int) -> int:
    """The shift in hours that the block needs; 0 when it needs none or none explains it well enough."""
    mean = _mean_day(block)
    here = _fit(mean, usual)
    fits = {hours: _fit(mean, _moved(usual, hours, step)) for hours in SHIFTS}
    best = max(fits, key=lambda hours: fits[hours])
    close = fits[best] >= FIT and fits[best] - here >= GAIN and 1 - here >= SHRINK * (1 - fits[best])
    return best if close else 0


def _mark_days(hours: Ints, days: Floats, first: int, usual: Floats, shift: int, step: int) -> None:  # noqa: PLR0917
    """Marks the shifted days of a block, and those that lead up to it in the block before, when enough days agree."""
    moved = _moved(usual, shift, step)

    def fits_better(day: int) -> bool:
        return _fit(days[day], moved) > _fit(days[day], usual)

    agreeing = [day for day in range(first, first + _WEEK) if fits_better(day)]
    if len(agreeing) < AGREE:
        return
    hours[agreeing[0] : agreeing[-1] + 1] = shift
    for day in range(first - 1, max(first - _WEEK, -1), -1):
        if agreeing[0] != first or hours[day] or not fits_better(day):
            break
        hours[day] = shift


def _spans(hours: Ints, first_day: int) -> list[Shift]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hours, [0]])))
    spans = []
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if hours[low]:
            spans.append(Shift((first_day + low) * _DAY, (first_day + high) * _DAY, int(hours[low])))
    return spans
