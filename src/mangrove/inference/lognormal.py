# SPDX-License-Identifier: Apache-2.0
"""Multipliers that cannot be negative: their logarithm is Gaussian, and what is said of them takes the means and not the medians.

Comes in: mean and covariance of logarithms. Goes out: means, covariances and intervals of the multipliers and of sums of them.
"""

from __future__ import annotations

from mangrove.inference.covariance import Array, namespace

Z95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


def means(log_mean: Array, log_sd: Array) -> Array:
    """`E exp(x) = exp(mu + s^2 / 2)`.

    Example:
        >>> import numpy as np
        >>> means(np.array([0.0]), np.array([0.5])).round(4).tolist()
        [1.1331]
    """
    return namespace(log_mean, log_sd).exp(log_mean + 0.5 * log_sd * log_sd)


def intervals(log_mean: Array, log_sd: Array) -> tuple[Array, Array]:
    """The central 95 % interval of each multiplier: `exp(mu -+ 1.96 s)`."""
    xp = namespace(log_mean, log_sd)
    return xp.exp(log_mean - Z95 * log_sd), xp.exp(log_mean + Z95 * log_sd)


def total(weights: Array, log_mean: Array, log_covariance: Array) -> tuple[float, float]:
    """Mean and standard deviation of `sum_i w_i exp(x_i)`, exact: `cov = m_i m_j (exp(c_ij) - 1)`."""
    xp = namespace(weights, log_mean, log_covariance)
    sizes = weights * means(log_mean, xp.sqrt(xp.linalg.diagonal(log_covariance)))
    variance = sizes @ (xp.expm1(log_covariance) @ sizes)
    return float(xp.sum(sizes)), max(float(variance), 0.0) ** 0.5


def of_moments(mean: float, sd: float) -> tuple[float, float]:
    """Mean and sd of the logarithm of a lognormal that has this mean and sd itself.

    Example:
        >>> log_mean, log_sd = of_moments(10.0, 2.0)
        >>> import math
        >>> round(math.exp(log_mean + log_sd**2 / 2), 6)
        10.0
    """
    import math

    variance = math.log1p((sd / mean) ** 2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


def interval_of_total(mean: float, sd: float) -> tuple[float, float]:
    """The 95 % interval of a positive sum: that of the lognormal with the same mean and sd (Fenton 1960)."""
    import math

    log_mean, log_sd = of_moments(mean, sd)
    return math.exp(log_mean - Z95 * log_sd), math.exp(log_mean + Z95 * log_sd)
