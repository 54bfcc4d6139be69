# SPDX-License-Identifier: Apache-2.0
"""Local time for forecasts: which day and which slot of the day a step is, and what kind of day that is.

Comes in: UTC starts, a time zone, a step, days off. Goes out: day numbers, slots and features of days. Forecasts work on a table of
local days x slots of the day, so that "the same time yesterday" is what the clock on the wall says, also on the day on which the clock
is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.inference.days import kinds, weekdays
from mangrove.inference.series import local_time

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

DAY = 86_400
_HOUR = 3_600
_NEAR = 7
"""Days around a day off in which loads still differ: factories stop before Tết and start again slowly."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Places instants in a table of local days x slots.

    Attributes:
        tz: the territory's time zone.
        seconds: length of a slot; it divides a day.

    Example:
        >>> clock = Clock.of(0.25, ZoneInfo("Asia/Ho_Chi_Minh"))
        >>> day, slot = clock.locate(np.array(["2023-12-31T17:15"], dtype="datetime64[s]"))
        >>> np.datetime64(int(day[0]), "D"), int(slot[0])
        (np.datetime64('2024-01-01'), 1)
    """

    tz: ZoneInfo
    seconds: int

    @classmethod
    def of(cls, hours: float, tz: ZoneInfo) -> Clock:
        """The clock for steps of `hours`; `RequestError` (`forecast.bad_step`) when a day has no whole number of them."""
        seconds = round(hours * 3600)
        if seconds < 60 or DAY % seconds or abs(seconds - hours * 3600) > 1e-6:  # noqa: PLR2004 - a minute
            raise RequestError("forecast.bad_step", hours=hours)
        return cls(tz, seconds)

    @property
    def slots(self) -> int:
        """Slots of a day."""
        return DAY // self.seconds

    def locate(self, starts: Times) -> tuple[Ints, Ints]:
        """Local day numbers (days since 1970) and slots of UTC starts, both of shape (T,)."""
        local = local_time(starts.astype("datetime64[us]").astype(np.int64), self.tz) // 1_000_000
        return local // DAY, local % DAY // self.seconds

    def midnight(self, day: int) -> np.datetime64:
        """The UTC instant at which the local day number `day` begins."""
        return self._instant(day, 0)

    def phase(self, starts: Times) -> Ints:
        """How far after the beginning of a slot each start lies, in seconds on the wall, shape (T,); equal on a regular grid."""
        local = local_time(starts.astype("datetime64[us]").astype(np.int64), self.tz) // 1_000_000
        return local % self.seconds

    def steps(self, moment: np.datetime64, count: int, phase: int = 0) -> Times:
        """The first `count` starts at or after `moment` that lie `phase` seconds after the beginning of a slot, shape (count,), UTC.

        Steps up to an hour follow each other in time that passes; longer ones follow the clock on the wall, so that a daily step begins
        at the same wall time on the days on which the clock is changed.
        """
        second = np.timedelta64(1, "s")
        ahead = (phase - int(self.phase(np.array([moment]))[0])) % self.seconds
        first = moment + ahead * second
        if self.seconds <= _HOUR:
            return np.asarray(first + np.arange(count) * self.seconds * second)
        day, slot = (int(part[0]) for part in self.locate(np.array([first])))
        at = slot + np.arange(count)
        found = [
            self._instant(day + int(i) // self.slots, int(i) % self.slots * self.seconds + phase) for i in at
        ]
        return np.array(found, dtype="datetime64[s]")

    def _instant(self, day: int, seconds: int) -> np.datetime64:
        """The UTC instant at which the clock shows `seconds` after midnight of a local day."""
        wall = datetime(1970, 1, 1, tzinfo=self.tz) + timedelta(
            days=day, seconds=seconds
        )  # arithmetic on the wall
        return np.datetime64(wall.astimezone(UTC).replace(tzinfo=None), "s")


def features(days: Ints, off: Ints) -> Floats:
    """What the calendar alone says about days, shape (n, 6).

    Columns: weekday, kind, days since the last day off and days to the next (7 and more count as 7), sine and cosine of the year.
    """
    since = np.full(len(days), float(_NEAR))
    until = since.copy()
    if len(off):
        at = np.searchsorted(off, days, side="right")
        since = np.where(at > 0, np.minimum(days - off[np.maximum(at - 1, 0)], _NEAR), _NEAR)
        at = np.searchsorted(off, days, side="left")
        until = np.where(at < len(off), np.minimum(off[np.minimum(at, len(off) - 1)] - days, _NEAR), _NEAR)
    angle = 2 * np.pi * days / 365.2425
    return np.column_stack([weekdays(days), kinds(days, off), since, until, np.sin(angle), np.cos(angle)])
