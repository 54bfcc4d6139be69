# SPDX-License-Identifier: Apache-2.0
"""Features for day-ahead forecasts that cannot leak: each target day is described by rows of earlier days alone.

Comes in: a table of values (local days x slots, NaN where missing), the days to describe, weather forecasts. Goes out: a `Frame`. The
origin of a day's forecast is its first instant, so everything that a feature may use lies in rows before that day. A value that is
missing is never zero: the same slot of an earlier week stands in for it, then other days of the slot, then nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.forecast import calendar
from mangrove.forecast.calendar import Floats, Ints
from mangrove.forecast.table import Table
from mangrove.inference import days as days_of

REACH = 28
"""Days that features look back."""
LAGS = (1, 2, 7, 14)
_ALIKE = 4
"""Earlier days of the same kind whose mean is a feature."""
NAMES = (
    *(f"lag_{lag}" for lag in LAGS), "around_1", "week_mean", "weekday_mean", "alike_mean", "alike_around", "month_spread",
    "day_1", "day_7", "days_7", "days_28", "evening", "evening_usual",
)  # fmt: skip
DAILY = 6
"""The last of `NAMES` are the same for all slots of a day."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Days described for the models; n days, S slots, p features.

    Attributes:
        days: day numbers, shape (n,).
        calendar: features of the days, shape (n, 6), see `calendar.features`.
        lags: features from earlier values, shape (n, S, len(NAMES)).
        weather: weather forecasts, shape (n, S, k); k = 0 without. The sun of a clear sky is the last of them where the site is known.
        target: the values of the days, shape (n, S); NaN where missing or not yet known.
    """

    days: Ints
    calendar: Floats
    lags: Floats
    weather: Floats
    target: Floats

    @property
    def kinds(self) -> Ints:
        """The kind of each day, shape (n,)."""
        return self.calendar[:, 1].astype(np.int64)

    def pick(self, chosen: npt.NDArray[np.bool_] | slice) -> Frame:
        """The chosen days."""
        return Frame(
            self.days[chosen], self.calendar[chosen], self.lags[chosen], self.weather[chosen], self.target[chosen]
        )  # fmt: skip


def build(values: Floats, first: int, days: Ints, off: Ints, weather: Floats | None = None) -> Frame:
    """Describes `days` by the rows of `values` before each of them.

    Args:
        values: shape (D, S), row i is the local day `first + i`; NaN where missing.
        first: number of the first day.
        days: the days to describe, shape (n,); they may lie behind the table.
        off: sorted numbers of the days off.
        weather: forecasts for `days`, shape (n, S, k).

    Returns:
        The frame; changing rows of `values` at or after a day changes nothing but that day's `target`.
    """
    slots = values.shape[1]
    padded = np.full((max(len(values), int(days.max(initial=first)) - first + 1) + REACH, slots), np.nan)
    padded[REACH : REACH + len(values)] = values
    at = days - first + REACH  # row of each day in the padded table
    month = _from_earlier_weeks(padded)[at[:, None] - np.arange(1, REACH + 1)]  # (n, 28, S): yesterday first
    alike = _alike(month, days, off)
    smooth = _around(month[:, 0])
    week = _mean(month[:, :7], 1)
    weekday = _mean(month[:, 6::7], 1)
    per_slot = [month[:, lag - 1] for lag in LAGS]
    per_slot += [smooth, week, weekday, alike, _around(alike), _spread(month)]
    level = _mean(month, 2)  # (n, 28)
    evening = max(slots // 6, 1)
    late = _mean(month[:, :, -evening:], 2)
    per_day = [
        level[:, 0],
        level[:, 6],
        _mean(level[:, :7], 1),
        _mean(level, 1),
        late[:, 0],
        _mean(late[:, 1:], 1),
    ]
    lags = np.empty((len(days), slots, len(NAMES)))
    for index, column in enumerate(per_slot):
        lags[:, :, index] = column
    lags[:, :, len(per_slot) :] = np.stack(per_day, axis=1)[:, None, :]
    outside = np.empty((len(days), slots, 0)) if weather is None else weather
    return Frame(days, calendar.features(days, off), lags, outside, padded[at])


def lately(observed: Table, origins: Ints) -> Floats:
    """What was observed on the day before each origin, shape (n, S, 3 k).

    For each of the k columns: the mean of that day, of its last four hours, and of the week before; the same in all slots. The
    day of an origin and those after it are never read.
    """
    slots = observed.day(0).shape[0]
    evening = max(slots // 6, 1)
    week = np.stack([[observed.day(int(origin) - back) for back in range(1, 8)] for origin in origins])
    parts = [_mean(week[:, 0], 1), _mean(week[:, 0, -evening:], 1), _mean(_mean(week, 2), 1)]
    return np.repeat(np.concatenate(parts, axis=1)[:, None], slots, axis=1)


def _from_earlier_weeks(values: Floats) -> Floats:
    """The table with holes filled by the same slot one to four weeks before, so that a hole does not change what means are of."""
    filled = values.copy()
    for week in range(1, 5):
        hole = np.isnan(filled[7 * week :])
        filled[7 * week :] = np.where(hole, values[: -7 * week], filled[7 * week :])
    return filled


def fill(lags: Floats) -> Floats:
    """Lags without holes, for models that cannot take any: per-slot holes take the other days of the slot, then the day's level.

    Args:
        lags: shape (n, S, len(NAMES)).

    Returns:
        Shape (n, S, len(NAMES)); NaN only where a day and its month hold no value at all.
    """
    filled = lags.copy()
    slot = len(NAMES) - DAILY
    usual = _mean(lags[:, :, LAGS_AND_MEANS], 2)
    day = _mean(lags[:, :, slot : slot + 4], 2)
    usual = np.where(np.isnan(usual), day, usual)
    for index in range(len(NAMES)):
        stand_in = day if index >= slot else usual
        filled[:, :, index] = np.where(np.isnan(lags[:, :, index]), stand_in, lags[:, :, index])
    return filled


LAGS_AND_MEANS = [NAMES.index(name) for name in ("lag_1", "lag_7", "week_mean", "weekday_mean", "alike_mean")]


def _alike(month: Floats, days: Ints, off: Ints) -> Floats:
    """The mean of the last four days of the month that are of the same kind (a day off is like a Sunday), shape (n, S)."""
    past = days[:, None] - np.arange(1, REACH + 1)
    same = _class(past.ravel(), off).reshape(past.shape) == _class(days, off)[:, None]
    same &= ~np.isnan(month).all(axis=2)
    same &= np.cumsum(same, axis=1) <= _ALIKE
    return _mean(np.where(same[:, :, None], month, np.nan), 1)


def _class(days: Ints, off: Ints) -> Ints:
    return np.minimum(days_of.kinds(days, off), days_of.SUNDAY)


def _around(values: Floats) -> Floats:
    """The mean over an hour before and after each slot, shape (n, S); days do not wrap around."""
    slots = values.shape[1]
    reach = max(slots // 24, 1)
    padded = np.pad(values, ((0, 0), (reach, reach)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)
    return _mean(windows, 2)


def _spread(month: Floats) -> Floats:
    """The mean absolute deviation of a slot over the month."""
    return _mean(np.abs(month - _mean(month, 1)[:, None]), 1)


def _mean(values: Floats, axis: int) -> Floats:
    """The mean of what is there along an axis; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
