# SPDX-License-Identifier: Apache-2.0
"""What keeps single wrong readings and single wrong instruments from deciding: weights, heavy tails, hours that count less.

Comes in: residuals in units of their error, hours of the day. Goes out: weights between 0 and 1, factors of standard deviations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HUBER = 2.5
"""Residuals up to so many standard deviations count in full: 98.8 % of Gaussian ones."""
STUDENT = 4.0
"""Degrees of freedom of Student's t, as Lange, Little and Taylor (1989, JASA 84:881) suggest for data with gross errors."""
LIKELIHOODS = ("gaussian", "huber", "student")
_AFTERNOON, _DAY = (12, 16), (9, 18)
_DAY_FACTOR, _NIGHT_FACTOR = 1.5, 3.0


def weights(standardized: Floats, likelihood: str = "huber") -> Floats:
    """Weights of iteratively reweighted least squares; the variance of a reading is divided by its weight.

    Huber: `min(1, k / |r|)`; Student: `(nu + 1) / (nu + r^2)`, at most 1.

    Example:
        >>> weights(np.array([0.0, 2.0, 10.0])).tolist()
        [1.0, 1.0, 0.25]
    """
    size = np.abs(standardized)
    if likelihood == "gaussian":
        return np.ones_like(size)
    if likelihood == "huber":
        return np.minimum(1.0, HUBER / np.maximum(size, HUBER))
    if likelihood == "student":
        return np.minimum(1.0, (STUDENT + 1) / (STUDENT + size**2))
    raise RequestError("sensing.likelihood", likelihood=likelihood, options=", ".join(LIKELIHOODS))


def loss(standardized: Floats, likelihood: str = "huber") -> float:
    """Twice the negative log likelihood, but for constants: what the weights minimize."""
    size = np.abs(standardized)
    if likelihood == "huber":
        return float(np.sum(np.where(size <= HUBER, size**2, 2 * HUBER * size - HUBER**2)))
    if likelihood == "student":
        beyond = 1 + (STUDENT + 1) * np.log((STUDENT + size**2) / (STUDENT + 1))
        return float(np.sum(np.where(size <= 1, size**2, beyond)))
    return float(np.sum(size**2))


def hour_factor(local_hour: Ints) -> Floats:
    """How much wider the error of transport is by the hour of the day: 1 from 12 to 16 h, when the air is well mixed.

    Urban inversions use afternoons only, or afternoons first (Lian et al. 2021, ACP 21:10707: the misfit at night is several times
    larger). Here the other hours stay, with 1.5 times the standard deviation by day (9 to 18 h) and 3 times at night.

    Example:
        >>> hour_factor(np.array([3, 10, 13])).tolist()
        [3.0, 1.5, 1.0]
    """
    hour = np.asarray(local_hour)
    day = np.where((hour >= _DAY[0]) & (hour < _DAY[1]), _DAY_FACTOR, _NIGHT_FACTOR)
    return np.where((hour >= _AFTERNOON[0]) & (hour < _AFTERNOON[1]), 1.0, day)


def heavy_tails(squares: Floats, labels: Ints, count: int, freedom: float) -> Floats:
    """Scales, 1 or more, of groups of standard-normal states when the scale of each group is unknown: (count,).

    Each group's variance has a scaled inverse chi-square prior with `freedom` degrees around 1, so that the group is multivariate
    Student: a group that must move far is given room; the others keep the prior. `squares`: expected squares of the states in units of the
    unscaled prior (estimate squared plus its variance).

    Example:
        >>> heavy_tails(np.array([1.0, 1.0, 25.0, 1.0]), np.array([0, 0, 1, 1]), 2, 2.0).round(3).tolist()
        [1.0, 2.646]
    """
    sums = np.bincount(labels, squares, count)
    sizes = np.bincount(labels, minlength=count)
    return np.maximum(1.0, np.sqrt((freedom + sums) / (freedom + sizes)))
