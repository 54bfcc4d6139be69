# SPDX-License-Identifier: Apache-2.0
"""A growing table of local days x slots, into which values fall by their UTC start.

Comes in: starts and values. Goes out: rows of days, NaN where nothing came. When the clock is set back an hour comes twice; the later
value stands. When it is set forward an hour is missing and stays missing.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Clock, Floats, Ints, Times


class Table:
    """Values by local day and slot.

    Attributes:
        first: number of the day of row 0; rows: shape (D, S), or (D, S, k) with k columns.
    """

    def __init__(self, clock: Clock, columns: int | None = None) -> None:
        self._clock = clock
        self._shape = (clock.slots,) if columns is None else (clock.slots, columns)
        self._room = np.empty((0, *self._shape))
        self._used = 0
        self.first = 0

    @property
    def rows(self) -> Floats:
        """The rows from the first day to the last that holds a value."""
        return self._room[: self._used]

    @property
    def end(self) -> int:
        """The number of the day after the last row."""
        return self.first + self._used

    def put(self, starts: Times, values: Floats) -> None:
        """Stores values of shape (T,) or (T, k); a value that is there already is replaced."""
        if len(starts):
            day, slot = self._clock.locate(starts)
            self.place(day, slot, values)

    def place(self, day: Ints, slot: Ints, values: Floats) -> None:
        """Stores values by day number and slot."""
        low, high = int(day.min()), int(day.max()) + 1
        if not self._used:
            self.first = low
        if low < self.first:
            older = np.full((self.first - low, *self._shape), np.nan)
            self._room = np.concatenate([older, self.rows])
            self._used += self.first - low
            self.first = low
        if high > self.first + len(self._room):
            more = np.full((high - self.first - self._used + 64, *self._shape), np.nan)
            self._room = np.concatenate([self.rows, more])
        self._used = max(self._used, high - self.first)
        self._room[day - self.first, slot] = values

    def day(self, number: int) -> Floats:
        """The row of a day, shape (S,) or (S, k); NaN when there is none."""
        at = number - self.first
        return self._room[at] if 0 <= at < self._used else np.full(self._shape, np.nan)

    def before(self, day: int) -> Floats:
        """The rows of the days before the day number `day`."""
        return self._room[: max(min(day - self.first, self._used), 0)]
