# SPDX-License-Identifier: Apache-2.0
"""Uncertainty as a factor model: what shares an error moves together.

Comes in: amounts, the errors that they carry and which of those errors are the same one (a grid factor, a meter,
a provider). Goes out: variances of any grouping, 95 % intervals, and Monte Carlo samples to check them with.

The covariance of emissions is `B = F S F' + D`. A row of `F` is a flow, a column is one shared error; its entry is
the signed change of the flow's emission per standard deviation of that error, `power x E x u`. `S` is the
identity, and an error that nobody shares is a column with one entry, so `D` needs no code of its own. A group of
flows therefore has

    Var = sum over errors t of ( sum over flows f in the group that carry t of E[f] x u[f, t] x power[f, t] )^2

Half-widths are of the 95 % interval, as fractions (IPCC 2006 Guidelines, Volume 1, Chapter 3, section 3.1.3); a
relative standard deviation is the half-width over 1.96.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

NORMAL_LIMIT = 0.3
"""Largest relative standard deviation at which an interval is taken as symmetric.

IPCC 2006 Guidelines, Volume 1, Chapter 3, section 3.2.3.1: error propagation with symmetric intervals is meant for
a standard deviation below 0.3 of the mean; above it a quantity that cannot be negative is skewed, and the same
chapter (section 3.2.2.4) takes the lognormal distribution for it.
"""

SKEW_LIMIT = math.sqrt(math.expm1(Z95**2))
"""Relative standard deviation (6.7) beyond which a lognormal's upper bound shrinks again.

`exp(1.96 s - s^2/2)` is largest at `s = 1.96`. A total so uncertain is a difference of large numbers, so its
interval is symmetric.
"""

_BLOCK = 4_000_000  # random numbers held at once in a Monte Carlo block: 32 MB


def combine_product(halfwidths: ArrayLike) -> float:
    """The half-width of a product of independent quantities: `sqrt(sum U_i^2)` (IPCC 2006 V1 Ch3, Eq 3.1).

    Args:
        halfwidths: 95 % half-widths, as fractions (or all in percent), shape (n,).

    Example:
        >>> round(combine_product([5, 10, 5]), 6)
        12.247449
    """
    return float(np.linalg.norm(np.asarray(halfwidths, dtype=np.float64)))


def combine_sum(values: ArrayLike, halfwidths: ArrayLike, shared: Sequence[str] | None = None) -> float:
    """The half-width of a sum, as a fraction of the sum (IPCC 2006 V1 Ch3, Eq 3.2, with shared errors).

    Eq 3.2 takes all quantities as independent. Quantities with the same id in `shared` carry one error and are
    added before squaring; an empty id is an error of its own.

    Args:
        values: the quantities, shape (n,), all in one unit.
        halfwidths: their 95 % half-widths as fractions, shape (n,).
        shared: id of each one's error, length n; None when all are independent.

    Returns:
        The half-width over the absolute sum; `inf` when the sum is zero and the variance is not.

    Example:
        >>> combine_sum([1, 1], [0.1, 0.1], ["grid", "grid"])
        0.1
        >>> round(combine_sum([1, 1], [0.1, 0.1]), 4)
        0.0707
    """
    amounts = np.asarray(values, dtype=np.float64)
    if shared is None:
        errors = np.arange(len(amounts))
    else:
        names = [name or f"\0{index}" for index, name in enumerate(shared)]
        errors = np.unique(np.asarray(names), return_inverse=True)[1]
    width = amounts * np.asarray(halfwidths, dtype=np.float64)
    variance = float(group_variance(np.zeros(len(amounts), np.int64), errors, width, 1)[0])
    total = abs(float(amounts.sum()))
    if total == 0.0:
        return math.inf if variance else 0.0
    return math.sqrt(variance) / total


def group_variance(group: ArrayLike, source: ArrayLike, contribution: ArrayLike, groups: int) -> Floats:
    """The variance of each group's total: contributions of one error are added, then squared.

    Args:
        group: index of the group of each entry, 0 to `groups` - 1, shape (n,).
        source: index of the shared error of each entry, at least 0, shape (n,).
        contribution: signed change of the emission per standard deviation of that error, `E x u x power`,
            shape (n,), in the unit of the emission.
        groups: number of groups.

    Returns:
        Variances, shape (groups,), in the squared unit of the emission. One sort over the entries, no n x n matrix.

    Example:
        >>> group_variance([0, 0], [7, 7], [3.0, 4.0], 1)
        array([49.])
    """
    rows, columns = np.asarray(group, np.int64), np.asarray(source, np.int64)
    if rows.size == 0:
        return np.zeros(groups)
    width = int(columns.max()) + 1
    pairs, inverse = np.unique(rows * width + columns, return_inverse=True)
    moved = np.bincount(inverse, weights=np.asarray(contribution, np.float64), minlength=len(pairs))
    variances: Floats = np.bincount(pairs // width, weights=moved * moved, minlength=groups).astype(
        np.float64
    )
    return variances


def interval(total: float, variance: float, *, net: bool = False) -> tuple[float, float]:
    """The 95 % interval of a total.

    Symmetric (normal) up to a relative standard deviation of `NORMAL_LIMIT`; above it lognormal with the same mean
    and variance, so that a source stays a source and a sink stays a sink; beyond `SKEW_LIMIT` symmetric again.

    Args:
        total: the mean, in any unit; negative for a removal.
        variance: its variance, in that unit squared.
        net: whether the total is a difference of sources and sinks, whose sign is open: always symmetric.

    Returns:
        (low, high) with low <= high.

    Example:
        >>> low, high = interval(100.0, 5.0**2)
        >>> round(low, 1), round(high, 1)
        (90.2, 109.8)
        >>> low, high = interval(100.0, 100.0**2)
        >>> round(low, 1), round(high, 1)
        (13.8, 361.5)
    """
    low, high = intervals(np.array([total]), np.array([variance]), net=net)
    return float(low[0]), float(high[0])


def intervals(
    totals: ArrayLike, variances: ArrayLike, *, net: bool = False, skewed: ArrayLike = False
) -> tuple[Floats, Floats]:
    """`interval` for arrays of the same shape: all lows and all highs; `skewed`: those that are lognormal however narrow."""
    mean = np.asarray(totals, np.float64)
    deviation = np.sqrt(np.maximum(np.asarray(variances, np.float64), 0.0))
    size = np.abs(mean)
    low, high = mean - Z95 * deviation, mean + Z95 * deviation
    wide = (deviation > NORMAL_LIMIT * size) | (np.asarray(skewed) & (size > 0))
    wide &= deviation <= SKEW_LIMIT * size
    if net or not wide.any():
        return low, high
    spread = np.sqrt(np.log1p((deviation[wide] / size[wide]) ** 2))
    middle = size[wide] * np.exp(-0.5 * spread**2)
    small, large = middle * np.exp(-Z95 * spread), middle * np.exp(Z95 * spread)
    positive = mean[wide] > 0
    low[wide] = np.where(positive, small, -large)
    high[wide] = np.where(positive, large, -small)
    return low, high


def monte_carlo(
    values: ArrayLike,
    flow: ArrayLike,
    source: ArrayLike,
    deviation: ArrayLike,
    *,
    power: ArrayLike | None = None,
    n: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Samples of the total of `values` when every error is a lognormal multiplier with mean 1 (IPCC Approach 2).

    A term with relative standard deviation `u` is multiplied by `exp(s z - s^2/2)` with `s^2 = ln(1 + u^2)`; `z` is
    one standard normal number per error and sample, the same for all that share it. A term that divides
    (power -1) divides by its multiplier.

    Args:
        values: emissions, shape (flows,).
        flow: index of the emission that each term belongs to, shape (terms,).
        source: index of the error that each term carries, shape (terms,).
        deviation: relative standard deviation of each term, shape (terms,).
        power: +1 or -1 of each term, shape (terms,); all +1 when None.
        n: number of samples.
        seed: of the random generator.

    Returns:
        Totals, shape (n,), in the unit of `values`.
    """
    amounts = np.asarray(values, np.float64)
    rows, columns = np.asarray(flow, np.int64), np.asarray(source, np.int64)
    signs = np.ones(len(rows)) if power is None else np.asarray(power, np.float64)
    errors = int(columns.max()) + 1 if columns.size else 0
    log_variance = np.log1p(np.asarray(deviation, np.float64) ** 2)
    slope = np.sqrt(log_variance) * signs
    shift = np.bincount(rows, weights=-0.5 * log_variance * signs, minlength=len(amounts))
    order = np.argsort(rows, kind="stable")
    carried, starts = np.unique(rows[order], return_index=True)
    generator = np.random.default_rng(seed)
    totals = np.empty(n)
    block = max(1, _BLOCK // max(errors, len(rows), len(amounts), 1))
    for first in range(0, n, block):
        size = min(block, n - first)
        normal = generator.standard_normal((size, errors))
        exponent = np.tile(shift, (size, 1))
        if carried.size:
            moved = normal[:, columns[order]] * slope[order]
            exponent[:, carried] += np.add.reduceat(moved, starts, axis=1)
        totals[first : first + size] = np.exp(exponent) @ amounts
    return totals
