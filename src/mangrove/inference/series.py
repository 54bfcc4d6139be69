# SPDX-License-Identifier: Apache-2.0
"""One series as arrays on a regular grid, and where each of its rows stands in the week.

Comes in: starts (microseconds since 1970, UTC), values and quality codes. Goes out: the same rows on a complete grid, local
time, slots of the week. Everything that screening and repair share.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.ledger.types import COUNTED, Quality

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
WEEK = 7 * DAY
_MONDAY = 4 * DAY
"""5 January 1970 was a Monday."""
_ZONE_UNIT = 1800 * SECOND


@dataclass(frozen=True, slots=True)
class Series:
    """Rows of one flow sorted by start, without repetitions; all arrays have shape (n,)."""

    start: Ints
    value: Floats
    quality: Codes

    def __len__(self) -> int:
        return len(self.start)

    @classmethod
    def empty(cls) -> Series:
        """A series without rows."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))

    def pick(self, where: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Series:
        """The rows selected by a mask or by indices."""
        return Series(self.start[where], self.value[where], self.quality[where])

    def between(self, low: int, high: int) -> Series:
        """The rows that start in `[low, high)`."""
        return self.pick((self.start >= low) & (self.start < high))


def usable(quality: Codes) -> Bools:
    """Rows whose values enter sums."""
    return np.isin(quality, [int(code) for code in COUNTED])


def on_grid(series: Series, step: int, low: int | None = None, high: int | None = None) -> Series:
    """The series with a row for every step from its first to its last row, or over `[low, high)`.

    Rows that are not there have quality MISSING and no value. The grid runs through the commonest phase of the starts;
    rows off the grid keep their place beside it.

    Args:
        series: at least one row, unless both `low` and `high` are given.
        step: length of an interval in microseconds.
        low: begin of the asked span in microseconds.
        high: end of the asked span in microseconds.
    """
    phase = common_phase(series.start, step)
    first = int(series.start[0]) if low is None else low
    last = int(series.start[-1]) + 1 if high is None else high
    begin = first + (phase - first) % step
    expected = np.arange(begin, last, step, dtype=np.int64)
    missing = np.setdiff1d(expected, series.start, assume_unique=True)
    start = np.concatenate([series.start, missing])
    value = np.concatenate([series.value, np.full(len(missing), np.nan)])
    quality = np.concatenate([series.quality, np.full(len(missing), Quality.MISSING, dtype=np.uint8)])
    order = np.argsort(start, kind="stable")
    return Series(start[order], value[order], quality[order])


def common_phase(start: Ints, step: int) -> int:
    """The commonest remainder of the starts by the step; 0 for an empty series."""
    if not len(start):
        return 0
    phases, counts = np.unique(start % step, return_counts=True)
    return int(phases[np.argmax(counts)])


def usual_distance(start: Ints) -> int:
    """The commonest distance between neighbouring starts in microseconds; 0 when there is none."""
    if len(start) < 2:  # noqa: PLR2004 - a distance needs two
        return 0
    found, counts = np.unique(np.diff(start), return_counts=True)
    return int(found[np.argmax(counts)])


def local_time(utc: Ints, tz: ZoneInfo) -> Ints:
    """Microseconds on the wall clock of `tz` for UTC microseconds.

    The offset is asked for once a day; only days on which it changes are looked at by the half-hour.
    """
    if not len(utc):
        return utc
    first, last = int(utc.min()) // DAY, int(utc.max()) // DAY
    edges = np.array([_offset(day * DAY, tz) for day in range(first, last + 2)], dtype=np.int64)
    day = utc // DAY - first
    seconds = edges[day]
    changing = np.flatnonzero(edges[day] != edges[day + 1])
    if len(changing):
        units, inverse = np.unique(utc[changing] // _ZONE_UNIT, return_inverse=True)
        offsets = np.array([_offset(unit * _ZONE_UNIT, tz) for unit in units.tolist()], dtype=np.int64)
        seconds[changing] = offsets[inverse.ravel()]
    return np.asarray(utc + seconds * SECOND)


def _offset(at: int, tz: ZoneInfo) -> int:
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(tz)
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def slot_of_week(local: Ints, slot: int) -> Ints:
    """Which slot of the local week (beginning on Monday) holds a wall-clock time; `slot` in microseconds."""
    return np.asarray((local - _MONDAY) % WEEK // slot)


def runs_of(flags: Bools) -> list[tuple[int, int]]:
    """Half-open index ranges of consecutive true entries."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def median_by(group: Ints, value: Floats, count: int) -> Floats:
    """The median of the values of each group `0 <= g < count`, shape (count,); NaN for a group without values."""
    result = np.full(count, np.nan)
    order = np.lexsort((value, group))
    ordered, keys = value[order], group[order]
    edges = np.searchsorted(keys, np.arange(count + 1))
    size = np.diff(edges)
    have = size > 0
    low = edges[:-1][have] + (size[have] - 1) // 2
    high = edges[:-1][have] + size[have] // 2
    result[have] = (ordered[low] + ordered[high]) / 2
    return result
