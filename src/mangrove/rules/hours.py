# SPDX-License-Identifier: Apache-2.0
"""Which part of each step lies in which period of a time-of-use calendar, for all steps of a year at once.

Comes in: starts in UTC, the length of a step, a time zone, the schedule of each day. Goes out: whole seconds by step, validity
and period. An edge that falls inside a step (17:30 in an hourly series) shares the step by time; nothing is rounded to hours.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.rules.tariffs import PERIODS, Schedule
from mangrove.times import zone

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_DAY, _MINUTE, _DAY_MINUTES, _SUNDAY = 86400, 60, 1440, 6
_LONGEST = 31 * _DAY


@dataclass(frozen=True, eq=False)
class Clock:
    """Steps on the clock on the wall.

    Attributes:
        seconds: (T,) local seconds since 1970-01-01 00:00 of the start of each step.
        instants: (T,) the same in UTC.
        step: seconds of one step.
        first: the first local day that is touched; `days` of them follow each other without a gap.
        days: how many days there are, up to the day in which the last step ends.
        month: (T,) number of the billing month of each step, counted from that of the earliest step.
        months: their names in order, `2026-04`, also of months without a step.
    """

    seconds: Ints
    instants: Ints
    step: int
    first: date
    days: int
    month: Ints
    months: tuple[str, ...]

    @property
    def hours(self) -> float:
        """The length of one step in hours."""
        return self.step / 3600

    @property
    def day(self) -> Ints:
        """(T,) number of the local day in which each step starts, counted from `first`."""
        return self.seconds // _DAY - _number(self.first)

    @property
    def dates(self) -> list[date]:
        """(D,) the local days."""
        return [date.fromordinal(self.first.toordinal() + n) for n in range(self.days)]

    def by_month(self, amounts: Floats) -> Floats:
        """(months,) sums of (T,) amounts."""
        return np.asarray(np.bincount(self.month, weights=amounts, minlength=len(self.months)), np.float64)

    def years(self) -> list[slice]:
        """The months of each calendar year."""
        year = [name[:4] for name in self.months]
        firsts = [n for n in range(len(year)) if n == 0 or year[n] != year[n - 1]]
        return [slice(a, b) for a, b in zip(firsts, [*firsts[1:], len(year)], strict=True)]

    def part_of_month(self, month: int) -> tuple[float, float]:
        """Hours of the month that have steps, and hours of the whole month (24 a day)."""
        year, number = map(int, self.months[month].split("-"))
        covered = float(np.count_nonzero(self.month == month) * self.hours)
        return covered, 24.0 * monthrange(year, number)[1]

    def highest(self, amounts: Floats, window: float) -> Floats:
        """(months,) the highest mean rate over `window` hours (counted from local midnight) of (T,) amounts.

        Steps longer than the window have one mean each. A window that the series cuts off counts by what it has.

        Raises:
            RequestError: `rules.step_not_in_window` for steps that are shorter and do not divide it.
        """
        length = round(window * 3600)
        most = np.zeros(len(self.months))
        if self.step >= length:
            np.maximum.at(most, self.month, amounts / self.hours)
            return most
        if length % self.step:
            raise RequestError("rules.step_not_in_window", hours=f"{self.hours:g}", window=f"{window:g}")
        _, first, group, count = np.unique(
            self.seconds // length, return_index=True, return_inverse=True, return_counts=True
        )
        mean = np.bincount(group, weights=amounts) / (count * self.hours)
        np.maximum.at(most, self.month[first], mean)
        return most


def seconds_by_period(
    clock: Clock, schedules: Sequence[Schedule], of_day: Ints, sunday: npt.NDArray[np.bool_], version: Ints
) -> Ints:
    """Whole seconds of each step by validity version and period.

    With F(t) the seconds of a period from the first midnight to the local time t, a step has F(end) - F(start) of them. F is
    a sum of whole days and a look-up within the day, so the answer is exact and needs no loop over steps.

    Args:
        clock: the steps.
        schedules: the schedules that occur.
        of_day: (D,) number of the schedule of each day.
        sunday: (D,) whether the day counts as a Sunday.
        version: (D,) number (from 0) of the price version of each day.

    Returns:
        (T, versions, 3), the periods in the order of `PERIODS`; each row adds up to the step.
    """
    kind = of_day * 2 + sunday
    minute, before = _minutes(schedules)
    versions = int(version.max()) + 1
    base = np.zeros((clock.days + 1, versions, len(PERIODS)), np.int64)
    base[np.arange(1, clock.days + 1), version] = before[kind, -1] * _MINUTE
    base = base.cumsum(axis=0)

    def until(local: Ints) -> Ints:
        day, rest = np.divmod(local - _number(clock.first) * _DAY, _DAY)
        at, second = np.divmod(rest, _MINUTE)
        in_day = before[kind[day], at] * _MINUTE
        in_day[np.arange(len(day)), minute[kind[day], at]] += second
        total = base[day]
        total[np.arange(len(day)), version[day]] += in_day
        return total

    return until(clock.seconds + clock.step) - until(clock.seconds)


def clock(starts: npt.ArrayLike, hours: float, tz: ZoneInfo | str) -> Clock:
    """Puts steps on the wall clock of `tz`.

    Args:
        starts: (T,) starts in UTC, `datetime64` without gaps in meaning: any order and any gaps between steps are allowed.
        hours: the length of one step; a whole number of seconds, at most 31 days.
        tz: the time zone of the meter; a step keeps the offset from UTC that holds at its start.

    Raises:
        RequestError: `rules.bad_starts`, `rules.bad_step`.

    Example:
        >>> clock(["2026-01-31T17:00"], 0.25, "Asia/Ho_Chi_Minh").months
        ('2026-02',)
    """
    instants = _instants(starts)
    step = round(hours * 3600) if np.isfinite(hours) else 0
    if not 0 < step <= _LONGEST or abs(hours * 3600 - step) > 1e-6:  # noqa: PLR2004 - a third of an hour is 1200 s
        raise RequestError("rules.bad_step", hours=f"{hours:g}")
    local = instants + _offsets(instants, zone(tz) if isinstance(tz, str) else tz)
    first, last = int(local.min()) // _DAY, (int(local.max()) + step) // _DAY
    month = (local // _DAY).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    low, high = int(month.min()), int(month.max())
    names = tuple(f"{1970 + n // 12:04d}-{n % 12 + 1:02d}" for n in range(low, high + 1))
    return Clock(local, instants, step, _date(first), last - first + 1, month - low, names)


def no_gaps(clock: Clock) -> None:
    """Refuses steps that do not follow each other; raises `RequestError` (`rules.gap_in_steps`) with the first place."""
    wrong = np.flatnonzero(np.diff(clock.instants) != clock.step)
    if wrong.size:
        at = clock.instants[wrong[0] : wrong[0] + 2].astype("datetime64[s]")
        raise RequestError(
            "rules.gap_in_steps",
            index=int(wrong[0]) + 1,
            before=f"{at[0]}Z",
            found=f"{at[1]}Z",
            hours=f"{clock.hours:g}",
        )


def sundays(days: Sequence[date], holidays: frozenset[date] = frozenset()) -> npt.NDArray[np.bool_]:
    """(D,) whether each day counts as a Sunday: it is one, or it stands among `holidays`."""
    return np.array([day.weekday() == _SUNDAY or day in holidays for day in days], dtype=bool)


def numbers(values: npt.ArrayLike, name: str, count: int) -> Floats:
    """(T,) amounts that are there, finite and not negative.

    Raises:
        RequestError: `rules.wrong_length`, `rules.not_finite`, `rules.negative_energy`, each with the first bad step.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,):
        raise RequestError("rules.wrong_length", name=name, found=str(array.shape), expected=count)
    for code, bad in (("rules.not_finite", ~np.isfinite(array)), ("rules.negative_energy", array < 0)):
        if bad.any():
            raise RequestError(code, name=name, index=int(np.argmax(bad)))
    return array


def _minutes(schedules: Sequence[Schedule]) -> tuple[Ints, Ints]:
    """By kind of day (schedule, Sunday or not): the period of each minute, and the minutes of each period before it."""
    minute = np.zeros((2 * len(schedules), _DAY_MINUTES), np.int64)
    for number, schedule in enumerate(schedules):
        for sunday in (0, 1):
            for start, end, period in schedule.day(_SUNDAY if sunday else 0):
                minute[2 * number + sunday, start:end] = PERIODS.index(period)
    before = np.zeros((len(minute), _DAY_MINUTES + 1, len(PERIODS)), np.int64)
    before[:, 1:] = (minute[:, :, None] == np.arange(len(PERIODS))).cumsum(axis=1)
    return minute, before


def _instants(starts: npt.ArrayLike) -> Ints:
    """(T,) seconds since 1970 in UTC."""
    try:
        array: Any = np.asarray(starts, dtype="datetime64[s]")
    except (ValueError, TypeError):
        raise RequestError("rules.bad_starts", index=0) from None
    if array.ndim != 1 or not array.size or np.isnat(array).any():
        index = int(np.argmax(np.isnat(array))) if array.ndim == 1 and array.size else 0
        raise RequestError("rules.bad_starts", index=index)
    return np.asarray(array.astype(np.int64))


def _offsets(instants: Ints, tz: ZoneInfo) -> Ints:
    """(T,) seconds that the wall clock is ahead of UTC; asked once a day, and for each step of a day on which it changes."""
    day = instants // _DAY
    first = int(day.min())
    present = np.unique(day)
    asked = {int(d): _offset(int(d) * _DAY, tz) for d in np.unique(np.concatenate((present, present + 1)))}
    table = np.zeros(int(day.max()) - first + 2, np.int64)
    table[np.array(list(asked)) - first] = list(asked.values())
    found = table[day - first]
    changing = found != table[day - first + 1]
    if changing.any():
        found[changing] = [_offset(int(at), tz) for at in instants[changing]]
    return found


def _offset(instant: int, tz: ZoneInfo) -> int:
    ahead = datetime.fromtimestamp(instant, UTC).astimezone(tz).utcoffset()
    return int(ahead.total_seconds()) if ahead is not None else 0


def _number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _date(number: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)
