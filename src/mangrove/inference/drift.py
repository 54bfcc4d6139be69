# SPDX-License-Identifier: Apache-2.0
"""Alarms with a stated rate of false ones: a mean that moved, and inputs that were never like this.

Comes in: standardized misses in order of time; rows of inputs that a model was fitted on, and later ones. Goes out: where a two-sided
CUSUM calls, with the threshold that a wanted mean time between false alarms needs; and how far a row lies from what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SLACK = 0.5
"""Half the change, in standard deviations, that a CUSUM finds soonest (E. Page, Biometrika 41, 1954)."""
_OVERSHOOT = 1.166
"""Of the threshold, for normal values (D. Siegmund, Sequential Analysis, 1985)."""
_NEIGHBORS = 5
_FLOOR = 1e-3
"""Least share of the largest variance that a direction is measured with: exact copies among inputs would divide by nothing."""
_ROWS = 6_000
"""Rows kept to measure distances to, evenly thinned."""
_RUN = 24
"""Rows over which an alarm about the domain is judged."""


@dataclass(frozen=True, eq=False)
class Cusum:
    """Two-sided sums: `up`, `down` (n,), and `alarm` (n,): where either exceeds `threshold`; they start anew after an alarm."""

    up: Floats
    down: Floats
    alarm: Bools
    threshold: float


def cusum(values: Floats, between_alarms: float, slack: float = SLACK) -> Cusum:
    """Looks for a change of the mean of standardized values.

    Args:
        values: (n,) about normal with mean 0 and variance 1 while nothing changed; NaN is skipped.
        between_alarms: mean number of values between two false alarms.
        slack: in standard deviations.

    Example:
        >>> found = cusum(np.array([0.1, -0.2, 3.0, 3.0, 3.0]), 100)
        >>> np.flatnonzero(found.alarm).tolist()
        [3]
    """
    threshold = threshold_for(between_alarms, slack)
    up, down = np.zeros(len(values)), np.zeros(len(values))
    alarm = np.zeros(len(values), dtype=bool)
    high = low = 0.0
    for index, value in enumerate(values):
        if not np.isnan(value):
            high, low = max(high + value - slack, 0.0), max(low - value - slack, 0.0)
        up[index], down[index] = high, low
        if max(high, low) > threshold:
            alarm[index], high, low = True, 0.0, 0.0
    return Cusum(up, down, alarm, threshold)


def threshold_for(between_alarms: float, slack: float = SLACK) -> float:
    """The threshold of a two-sided CUSUM whose false alarms are `between_alarms` values apart on average.

    Siegmund's approximation of one side, `(exp(2 k b) - 2 k b - 1) / (2 k^2)` with `b = h + 1.166`; two sides call twice as often.

    Example:
        >>> round(threshold_for(465), 1)  # the textbook value of h = 5, k = 0.5 (D. Montgomery, Statistical Quality Control)
        5.0
    """
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        b = 2 * slack * (middle + _OVERSHOOT)
        apart = (exp(b) - b - 1) / (2 * slack**2) / 2
        low, high = (middle, high) if apart < between_alarms else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, eq=False)
class Domain:
    """Where a model was fitted: rows in whitened units, and how far an honest new row lies from them.

    Attributes:
        limit: distance that a share `rate` of the rows of a left-out stretch of time exceeds.
        false_alarms: calls of `alarmed` a 24-row stretch of left-out time.
    """

    mean: Floats
    whiten: Floats
    rows: Floats
    limit: float
    rate: float
    false_alarms: float

    def distance(self, x: Floats) -> Floats:
        """Mean distance to the nearest known rows in units of the limit, (n,): above 1 is outside; NaN where an input is missing."""
        from scipy.spatial import cKDTree

        z = (x - self.mean) @ self.whiten
        found = np.full(len(z), np.nan)
        whole = np.isfinite(z).all(axis=1)
        if whole.any():
            found[whole] = _near(cKDTree(self.rows), z[whole]) / self.limit
        return found


def domain(x: Floats, block: npt.NDArray[np.int64], rate: float = 0.01) -> Domain:
    """Measures the domain of `x` (n, p) with whole blocks of time left out, so that drifting seasons count as they will.

    Args:
        x: rows without holes.
        block: (n,) which stretch of time a row belongs to; at least two.
        rate: share of rows of an unseen stretch that may lie outside.
    """
    from scipy.spatial import cKDTree

    mean = x.mean(axis=0)
    scale = np.maximum(x.std(axis=0), 1e-12)
    values, vectors = np.linalg.eigh(np.cov(((x - mean) / scale).T).reshape(x.shape[1], x.shape[1]))
    whiten = (vectors / np.sqrt(np.maximum(values, max(_FLOOR * values.max(), 1e-12)))) / scale[:, None]
    z = (x - mean) @ whiten
    left_out = np.empty(len(z))
    for one in np.unique(block):
        mine = block == one
        left_out[mine] = _near(cKDTree(_thinned(z[~mine])), z[mine])
    limit = float(max(np.quantile(left_out, 1 - rate), 1e-9))
    called = alarmed(left_out / limit)
    begins = called & ~np.append(False, called[:-1])
    share = float(begins.sum() / max(len(z) / _RUN, 1.0))
    return Domain(mean, whiten, _thinned(z), limit, rate, share)


def alarmed(distance: Floats, share: float = 0.5) -> Bools:
    """Where more than a share of the last 24 known rows lie outside (distance above 1), (n,); a quarter of them must be known."""
    known = np.isfinite(distance)
    outside = np.cumsum(np.append(0, known & (np.nan_to_num(distance) > 1)))
    count = np.cumsum(np.append(0, known))
    last = np.arange(len(distance)) + 1
    first = np.maximum(last - _RUN, 0)
    seen = count[last] - count[first]
    return np.asarray((outside[last] - outside[first] > share * seen) & (seen >= _RUN // 4))


def _near(tree: object, z: Floats) -> Floats:
    """Mean distance to the nearest few rows, (n,)."""
    count = min(_NEIGHBORS, len(tree.data))  # type: ignore[attr-defined]
    found, _ = tree.query(z, k=np.arange(1, count + 1))  # type: ignore[attr-defined]
    return np.asarray(np.mean(found, axis=1), dtype=np.float64)


def _thinned(z: Floats) -> Floats:
    return z if len(z) <= _ROWS else z[np.linspace(0, len(z) - 1, _ROWS).astype(np.int64)]
