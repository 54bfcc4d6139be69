# SPDX-License-Identifier: Apache-2.0
"""How the misses of a model hang together in time: a level that lasts, one that fades within days, and noise from hour to hour.

Comes in: misses in order of time, with gaps. Goes out: the variances of the three parts and how long the second remembers, so that a
short campaign teaches what it can and not more: what fades in two days says nothing about next month.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY = 24
"""Rows whose mean is one value: a day by the hour."""
_TIMES = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0)
"""Days over which the fading part may fall to 1/e."""
_SHORT, _LONG = 10, 60
"""Lags in days up to which the fading part is looked for, and between which the lasting part stands alone."""
_PAIRS = 5
_LEAST = 0.05
"""Least part of the variance of a day's mean that is taken to last: a campaign always teaches something."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The parts of a miss.

    Attributes:
        lasting, fading: variances of levels; rows: over which the fading one falls to 1/e.
        hours: rows that count as one when a mean of a campaign is taken.
    """

    lasting: float
    fading: float
    rows: float
    hours: float

    @property
    def level(self) -> float:
        """Standard deviation of the mean miss of a day, without the noise."""
        return float(np.sqrt(self.lasting + self.fading))


def memory(missed: Floats, row: Ints) -> Memory:
    """Reads the parts from the covariances of daily means.

    Args:
        missed: (n,) misses of forecasts of unseen time.
        row: (n,) ascending, their rows in the table that they come from: days are counted in it.
    """
    day = row // DAY - row[0] // DAY
    count = np.bincount(day)
    with np.errstate(invalid="ignore"):
        means = np.where(count >= DAY // 4, np.bincount(day, missed) / count, np.nan)
    within = missed - (np.bincount(day, missed) / np.maximum(count, 1))[day]
    noise = float(max(np.mean(within**2), 1e-24))
    if not np.isfinite(means).any():
        return Memory(float(np.mean(missed) ** 2) + _LEAST * noise, 0.0, DAY, 1.0)
    whole = float(np.nanmean(means**2))
    products, pairs = _covariances(means)
    lags = np.arange(1, len(products) + 1)
    far = (lags > _SHORT) & (pairs >= _PAIRS)
    near = (lags <= _SHORT) & (pairs >= _PAIRS)
    if not near.any():
        return Memory(whole, 0.0, DAY, 1.0)
    lasting = (
        float(np.average(products[far], weights=pairs[far])) if far.any() else float(products[near].min())
    )
    lasting = min(max(lasting, _LEAST * whole), whole)
    fading, time = _fading(products[near] - lasting, pairs[near], lags[near], whole - lasting)
    white = max(whole - lasting - fading, noise / DAY)
    return Memory(lasting, fading, time * DAY, min(max(white * DAY / noise, 1.0), DAY))


def _covariances(means: Floats) -> tuple[Floats, Floats]:
    """Mean products of daily means so many days apart, and of how many pairs, (K,) each."""
    most = min(_LONG, len(means) - 1)
    products, pairs = np.zeros(max(most, 0)), np.zeros(max(most, 0))
    for lag in range(1, most + 1):
        both = means[lag:] * means[:-lag]
        known = np.isfinite(both)
        pairs[lag - 1] = known.sum()
        products[lag - 1] = both[known].mean() if known.any() else 0.0
    return products, pairs


def _fading(rest: Floats, pairs: Floats, lags: Ints, most: float) -> tuple[float, float]:
    """The variance and the time of `a exp(-lag / time)` nearest to the rest, `a` between 0 and `most`."""
    best = (np.inf, 0.0, 1.0)
    for time in _TIMES:
        shape = np.exp(-lags / time)
        a = min(max(float(pairs @ (shape * rest) / (pairs @ shape**2)), 0.0), max(most, 0.0))
        missed = float(pairs @ (rest - a * shape) ** 2)
        best = min(best, (missed, a, time))
    return best[1], best[2]
