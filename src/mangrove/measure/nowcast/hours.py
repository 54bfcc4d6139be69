# SPDX-License-Identifier: Apache-2.0
"""The hours of a window and how a day's emissions lie in them.

Comes in: local days, live indices, GPC references. Goes out: the share of each hour in its day, so that hours always add up to days: from
an hourly index of that very day where there is one, else from the shapes of `measure/profiles.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference.series import local_time
from mangrove.measure import profiles
from mangrove.measure.nowcast.drivers import Index
from mangrove.measure.nowcast.inputs import DAY_US, HOUR_US, Daily, Floats, Ints, midnight, usual_day
from mangrove.measure.timeline import microseconds
from mangrove.territory.model import Driver


@dataclass(frozen=True, slots=True)
class Hours:
    """Whole local days in hours, and the window inside them.

    Attributes:
        start: UTC starts in microseconds, shape (T,); day: position of each hour's day, shape (T,); clock: local hour 0 to 23.
        days: local day numbers, shape (D,); inside: the hours of the window, a slice.
    """

    start: Ints
    day: Ints
    clock: Ints
    days: Ints
    inside: slice

    @classmethod
    def of(cls, first: int, last: int, tz: ZoneInfo) -> Hours:
        """The hours that start in `[first, last)` (microseconds, UTC) and those that complete their local days."""
        wall = local_time(np.array([first, last - 1]), tz) // DAY_US
        begin, end = (microseconds(midnight(int(day), tz)) for day in (wall[0], wall[1] + 1))
        start = np.arange(begin, end, HOUR_US, dtype=np.int64)
        local = local_time(start, tz)
        inside = slice(int(np.searchsorted(start, first)), int(np.searchsorted(start, last)))
        days = np.arange(wall[0], wall[1] + 1)
        return cls(start, local // DAY_US - wall[0], local % DAY_US // HOUR_US, days, inside)

    def shares(self, weight: Floats) -> Floats:
        """Weights of hours as shares of their day, shape (T,); a day without weight is even."""
        total = np.bincount(self.day, weights=weight, minlength=len(self.days))
        count = np.bincount(self.day, minlength=len(self.days))
        even = total[self.day] <= 0
        return np.where(even, 1.0 / count[self.day], weight / np.where(even, 1.0, total[self.day]))


def within_day(
    hours: Hours, gpc: str, drivers: Sequence[Driver], indices: dict[str, Index], tz: ZoneInfo
) -> Floats:
    """The share of each hour in its day for one target, shape (T,)."""
    starts = hours.start.astype("datetime64[us]").astype("datetime64[s]")
    made = hours.shares(profiles.shape(gpc, starts, tz))
    live = [one for one in drivers if one.index in indices and indices[one.index].daily.hourly]
    if live:
        driver = max(live, key=lambda one: abs(one.elasticity))
        seen = _seen(hours, indices[driver.index].daily)
        if seen is not None:
            made = hours.shares(seen**driver.elasticity)
    return made


def _seen(hours: Hours, daily: Daily) -> Floats | None:
    """The values of a series at hours, those that are missing as on the usual day; None where no whole day shows one."""
    usual = usual_day(daily.value, daily.hours)
    if usual is None or (usual <= 0).any():
        return None
    table = daily.hours_on(hours.days)
    known = table > 0
    sums = np.where(known, table, 0.0).sum(axis=1)
    share = (known * usual).sum(axis=1)
    level = np.divide(sums, share, out=np.ones_like(sums), where=share > 0)
    return np.asarray(np.where(known, table, level[:, None] * usual)[hours.day, hours.clock])


def even_days(hours: Hours, gpc: str, tz: ZoneInfo) -> Floats:
    """What the calendar alone says of each day of a reference: logs of daily means with mean one over a year, shape (D,)."""
    starts = hours.start.astype("datetime64[us]").astype("datetime64[s]")
    shape = profiles.shape(gpc, starts, tz, holidays=False)
    total = np.bincount(hours.day, weights=shape, minlength=len(hours.days))
    count = np.bincount(hours.day, minlength=len(hours.days))
    return np.asarray(np.log(np.maximum(total / count, 1e-6)))
