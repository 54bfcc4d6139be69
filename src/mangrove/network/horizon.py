# SPDX-License-Identifier: Apache-2.0
"""The time axis of a network: chronological steps, or representative days that stand for a year.

Comes in: how long each step lasts, how often it occurs, to which representative day and investment year it belongs. Goes
out: a frozen `Horizon` of arrays over the T steps, which every constraint reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """The steps of a network.

    Attributes:
        hours: (T,) length of each step in hours.
        weights: (T,) how often each step occurs: 1, or the number of days that a representative day stands for.
        period: (T,) index of the representative day; all 0 when the steps are chronological.
        order: (D,) for each day of the year, in order, its representative day; None when the steps are chronological.
        year: (T,) index of the investment year.

    Invariants:
        hours and weights are positive; the steps of a representative day are contiguous and equally many.

    Example:
        >>> Horizon.regular(96, 0.25).steps
        96
    """

    hours: Floats
    weights: Floats
    period: Ints
    order: Ints | None = None
    year: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if not len(self.year):
            object.__setattr__(self, "year", np.zeros(len(self.hours), dtype=np.int64))
        for what, array in (
            ("hours", self.hours), ("weights", self.weights), ("period", self.period), ("year", self.year)
        ):  # fmt: skip
            if array.shape != (len(self.hours),):
                got = " x ".join(map(str, array.shape))
                wanted = str(len(self.hours))
                raise RequestError("network.bad_shape", name="horizon", what=what, got=got, wanted=wanted)
        bad = ~(np.isfinite(self.hours) & (self.hours > 0) & np.isfinite(self.weights) & (self.weights > 0))
        bad |= (self.year < 0) | (self.period < 0)
        if not len(self.hours) or bad.any():
            raise RequestError("network.bad_step", first=int(np.argmax(bad)) if len(bad) else 0)

    @classmethod
    def regular(cls, steps: int, hours: float) -> Horizon:
        """`steps` steps of equal length, one after the other."""
        return cls.chronological(np.full(max(steps, 0), float(hours)))

    @classmethod
    def chronological(cls, hours: npt.ArrayLike, year: npt.ArrayLike | None = None) -> Horizon:
        """Steps of any lengths, one after the other; `year` (T,) when they belong to several investment years."""
        lengths = np.atleast_1d(np.asarray(hours, dtype=np.float64))
        years = np.zeros(len(lengths), np.int64) if year is None else np.asarray(year, np.int64)
        return cls(lengths, np.ones(len(lengths)), np.zeros(len(lengths), np.int64), None, years)

    @classmethod
    def typical(cls, hours: float, steps: int, order: Sequence[int] | Ints) -> Horizon:
        """Representative days of `steps` steps of `hours`; `order` names the representative day of each real day.

        Raises:
            RequestError: `network.bad_step`: a representative day that stands for no day, or no positive length.

        Example:
            >>> year = Horizon.typical(1.0, 24, [0, 0, 1])
            >>> year.steps, float(year.weights[0]), float(year.weights[-1])
            (48, 2.0, 1.0)
        """
        days = np.asarray(order, dtype=np.int64)
        if days.ndim != 1 or not len(days) or days.min() < 0 or steps < 1:
            raise RequestError("network.bad_step", first=0)
        counts = np.bincount(days).astype(np.float64)
        period = np.repeat(np.arange(len(counts)), steps)
        return cls(np.full(len(period), float(hours)), counts[period], period, days)

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.hours)

    @property
    def years(self) -> int:
        """Y, the number of investment years."""
        return int(self.year.max()) + 1

    @property
    def amount(self) -> Floats:
        """(T,) hours that a rate in the step stands for: length x occurrences."""
        return self.hours * self.weights
