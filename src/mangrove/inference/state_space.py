# SPDX-License-Identifier: Apache-2.0
"""Linear-Gaussian states in time: Kalman filter, smoother, simulation smoother, and the AR(1) process on its own.

Comes in: a model whose states each follow `x[t+1] = phi x[t] + w`, w ~ N(0, q): AR(1) for |phi| < 1, a random walk for phi = 1, a
constant for phi = 1 and q = 0; and observations `y[t, i] = h[t, i] . x[t] + e`, with gaps as NaN. Goes out: means, covariances,
possible pasts, and the log likelihood by which `fit` chooses phi and the standard deviation.

Observations of one time enter one after the other, so that no matrix is inverted in the filter (J. Durbin, S. J. Koopman, Time Series
Analysis by State Space Methods, 2nd edition 2012, section 6.4); the smoother is that of Rauch, Tung and Striebel (1965), and possible
pasts are drawn by mean corrections (Durbin and Koopman, Biometrika 89, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

VAGUE = 1e6
"""Variance of a state about which nothing is known before the first observation, for data of order one."""
_KNOWN = 1e-12
"""Variance of an observation below which it is known already."""
_FEWEST = 14
"""Observations below which `fit` keeps the values that it is given: two weeks of days."""


@dataclass(frozen=True, slots=True)
class States:
    """States that move on their own.

    Attributes:
        phi: share of each state that stays from one step to the next, shape (n,).
        noise: variance of what is added in a step, shape (n,).
        mean, variance: of the states at the first time before anything is observed, shape (n,).
    """

    phi: Floats
    noise: Floats
    mean: Floats
    variance: Floats

    @classmethod
    def ar1(cls, phi: float, sd: float) -> States:
        """One stationary AR(1) state with standard deviation `sd`.

        Example:
            >>> float(States.ar1(0.5, 2.0).noise[0])
            3.0
        """
        return cls(
            np.array([phi]), np.array([sd**2 * (1 - phi**2)]), np.zeros(1), np.array([sd**2], dtype=float)
        )

    def beside(self, other: States) -> States:
        """The states of both, independent of each other."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("phi", "noise", "mean", "variance"))
        return States(*(np.concatenate(pair) for pair in pairs))

    @classmethod
    def constants(cls, count: int, variance: float | Floats = VAGUE) -> States:
        """States that never change and about which little is known: coefficients of a regression."""
        return cls(np.ones(count), np.zeros(count), np.zeros(count), np.zeros(count) + variance)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What is known of the states from all observations.

    Attributes:
        mean: shape (T, n); variance: covariances, shape (T, n, n).
        log_likelihood: of the observations.
    """

    mean: Floats
    variance: Floats
    log_likelihood: float


def smooth(states: States, y: Floats, loadings: Floats, noise: Floats) -> Smoothed:
    """The states given all observations.

    Args:
        states: how they move; n of them.
        y: observations, shape (T, m); NaN where there is none.
        loadings: what each observation sees of the states, shape (T, m, n).
        noise: variance of the error of each observation, shape (T, m).

    Example:
        >>> seen = smooth(States.ar1(0.9, 1.0), np.array([[1.0], [np.nan]]), np.ones((2, 1, 1)), np.zeros((2, 1)))
        >>> seen.mean[:, 0].round(3).tolist(), seen.variance[:, 0, 0].round(3).tolist()
        ([1.0, 0.9], [0.0, 0.19])
    """
    before, before_var, after, after_var, likelihood = _filter(*_of(states), y, loadings, noise)
    gains = _gains(states.phi, before_var, after_var)
    mean, variance = _backward(before, before_var, after, after_var, gains)
    return Smoothed(mean, variance, float(likelihood))


def log_likelihood(states: States, y: Floats, loadings: Floats, noise: Floats) -> float:
    """The log of the density of the observations; the arguments are those of `smooth`."""
    return float(_filter(*_of(states), y, loadings, noise)[4])


def simulate(
    states: States, y: Floats, loadings: Floats, noise: Floats, *, count: int, seed: int = 0
) -> Floats:
    """Possible pasts: draws of all states given all observations, shape (count, T, n); arguments as in `smooth`.

    Each is a free run of the model plus the smoothed mean of what the observations differ from it.
    """
    steps, many = y.shape
    draw = np.random.default_rng(seed)
    free = np.empty((count, steps, len(states.phi)))
    free[:, 0] = states.mean + draw.standard_normal((count, len(states.phi))) * np.sqrt(states.variance)
    _run(free, states.phi, draw.standard_normal(free.shape) * np.sqrt(states.noise))
    errors = draw.standard_normal((count, steps, many)) * np.sqrt(noise)
    seen = np.einsum("tmn,stn->stm", loadings, free) + errors
    found = np.empty_like(free)
    zero = np.zeros_like(states.mean)
    for number in range(count):
        moved = States(states.phi, states.noise, zero, states.variance)
        parts = _filter(*_of(moved), y - seen[number], loadings, noise)
        gains = _gains(states.phi, parts[1], parts[3])
        found[number] = free[number] + _backward(*parts[:4], gains)[0]
    return found


@dataclass(frozen=True, slots=True)
class Fit:
    """A regression with AR(1) errors and gaps.

    Attributes:
        phi, sd: of the error; coefficients: of the columns, shape (p,).
        mean: the fitted or bridged series, shape (T,); spread: its standard deviation (0 where observed), shape (T,).
        log_likelihood: of the observations; estimated: whether phi and sd come from the series itself.
    """

    phi: float
    sd: float
    coefficients: Floats
    mean: Floats
    spread: Floats
    log_likelihood: float
    estimated: bool


def fit(
    y: Floats, columns: Floats, *, phi: float = 0.8, sd: float = 0.1, variance: float | Floats = VAGUE
) -> Fit:
    """Fits `y = columns . b + u`, u an AR(1), by marginal likelihood over phi and sd, and bridges the gaps.

    Args:
        y: shape (T,), NaN where nothing was observed.
        columns: regressors known at all times, shape (T, p).
        phi: what is taken when fewer than 14 values are known; the search starts there.
        sd: the same for the standard deviation of u.
        variance: of the coefficients before anything is observed, for all or shape (p,): what a gap may assume of a column that no
            observation has shown.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> u = ar1_paths(0.7, 0.2, np.ones(2000), rng.standard_normal((2000, 1)))[:, 0]
        >>> found = fit(3.0 + u, np.ones((2000, 1)))
        >>> abs(found.phi - 0.7) < 0.05, abs(found.sd - 0.2) < 0.02
        (True, True)
    """
    from scipy.optimize import minimize

    steps, many = columns.shape
    loadings = np.concatenate([np.ones((steps, 1)), columns], axis=1)[:, None, :]
    noise = np.zeros((steps, 1))
    middle = float(np.nanmean(y)) if np.isfinite(y).any() else 0.0
    rows = (y - middle)[:, None]
    known = int(np.isfinite(y).sum())

    def states(at: Floats) -> States:
        share, width = float(np.tanh(at[0])), float(np.exp(at[1]))
        return States.ar1(share, width).beside(States.constants(many, variance))

    at = np.array([np.arctanh(phi), np.log(sd)])
    estimated = known >= max(_FEWEST, 2 * many)
    if estimated:
        at = minimize(
            lambda p: -log_likelihood(states(np.clip(p, -12, 3)), rows, loadings, noise),
            np.array([at[0], np.log(max(float(np.nanstd(y)), 1e-6))]),
            method="Nelder-Mead",
            options={"xatol": 1e-3, "fatol": 1e-3, "maxiter": 200},
        ).x
        at = np.clip(at, -12, 3)
    found = smooth(states(at), rows, loadings, noise)
    mean = middle + np.einsum("tn,tn->t", loadings[:, 0], found.mean)
    spread = np.einsum("ti,tij,tj->t", loadings[:, 0], found.variance, loadings[:, 0])
    seen = np.isfinite(y)
    return Fit(
        float(np.tanh(at[0])),
        float(np.exp(at[1])),
        found.mean[-1, 1:],
        np.where(seen, y, mean),
        np.where(seen, 0.0, np.sqrt(np.maximum(spread, 0.0))),
        found.log_likelihood,
        estimated,
    )


def ar1_paths(phi: float, sd: float, gaps: Floats, normals: Floats) -> Floats:
    """Free runs of a stationary AR(1) at times `gaps` steps apart.

    Args:
        phi: share that stays from one step to the next.
        sd: standard deviation of the process.
        gaps: steps since the time before, shape (T,); the first is not used.
        normals: standard normal numbers, shape (T, count); a longer table begins with the same paths.

    Example:
        >>> ar1_paths(0.5, 1.0, np.ones(2), np.ones((2, 1))).round(3).tolist()
        [[1.0], [1.366]]
    """
    shares = np.power(phi, gaps)
    shares[:1] = 0.0
    return np.asarray(_paths(shares, sd * np.sqrt(1 - shares**2), normals))


def ar1_covariance(phi: float, sd: float, gaps: Floats, rows: Floats) -> Floats:
    """The product of the covariance of a stationary AR(1) with each row, without forming the matrix: O(T) a row.

    Args:
        phi: as in `ar1_paths`.
        sd: as in `ar1_paths`.
        gaps: as in `ar1_paths`, shape (T,).
        rows: shape (m, T).

    Example:
        >>> ar1_covariance(0.5, 2.0, np.ones(3), np.array([[1.0, 0.0, 0.0]])).tolist()
        [[4.0, 2.0, 1.0]]
    """
    shares = np.power(phi, gaps)
    shares[:1] = 0.0
    return np.asarray(sd**2 * _both_ways(shares, np.ascontiguousarray(rows)))


def _of(states: States) -> tuple[Floats, Floats, Floats, Floats]:
    return states.phi, states.noise, states.mean, states.variance


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _filter(  # noqa: PLR0917 - compiled functions take no keywords
    phi: Floats, noise: Floats, mean: Floats, variance: Floats, y: Floats, loadings: Floats, errors: Floats
) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Means and covariances of the states before and after the observations of each time, and the log likelihood."""
    steps, many = y.shape
    n = len(phi)
    before, after = np.empty((steps, n)), np.empty((steps, n))
    before_var, after_var = np.empty((steps, n, n)), np.empty((steps, n, n))
    x, p = mean.copy(), np.diag(variance)
    total = 0.0
    for t in range(steps):
        if t:
            x *= phi
            for i in range(n):
                for j in range(n):
                    p[i, j] *= phi[i] * phi[j]
                p[i, i] += noise[i]
        before[t], before_var[t] = x, p
        for m in range(many):
            if not np.isnan(y[t, m]):
                total += _observed(x, p, y[t, m], loadings[t, m], errors[t, m])
        after[t], after_var[t] = x, p
    return before, before_var, after, after_var, total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _observed(x: Floats, p: Floats, y: float, h: Floats, error: float) -> float:
    """Takes one observation into `x` and `p`; its log density. One that the states already know exactly changes nothing."""
    n = len(x)
    gain = np.zeros(n)
    size, off = error, y
    for i in range(n):
        for j in range(n):
            gain[i] += p[i, j] * h[j]
        size += h[i] * gain[i]
        off -= h[i] * x[i]
    if size <= _KNOWN:
        return 0.0
    for i in range(n):
        x[i] += gain[i] * off / size
        for j in range(n):
            p[i, j] -= gain[i] * gain[j] / size
    density: float = -0.5 * (np.log(2 * np.pi * size) + off * off / size)
    return density


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _gains(phi: Floats, before_var: Floats, after_var: Floats) -> Floats:
    """How what is learnt of the next time moves each time, shape (T, n, n)."""
    steps, n = before_var.shape[:2]
    found = np.zeros((steps, n, n))
    for t in range(steps - 1):
        found[t] = (after_var[t] * phi) @ np.linalg.pinv(before_var[t + 1])
    return found


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _backward(
    before: Floats, before_var: Floats, after: Floats, after_var: Floats, gains: Floats
) -> tuple[Floats, Floats]:
    """The smoothed means and covariances."""
    mean, variance = after.copy(), after_var.copy()
    for t in range(len(mean) - 2, -1, -1):
        gain = gains[t]
        mean[t] += gain @ (mean[t + 1] - before[t + 1])
        variance[t] += gain @ (variance[t + 1] - before_var[t + 1]) @ np.ascontiguousarray(gain.T)
    return mean, variance


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _run(free: Floats, phi: Floats, pushes: Floats) -> None:
    """Lets states run from their first values, in place; shapes (count, T, n)."""
    for t in range(1, free.shape[1]):
        free[:, t] = phi * free[:, t - 1] + pushes[:, t]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _paths(shares: Floats, widths: Floats, normals: Floats) -> Floats:
    """AR(1) paths at times of any distance, shape (T, count)."""
    found = np.empty_like(normals)
    for t in range(len(shares)):
        for s in range(normals.shape[1]):
            last = found[t - 1, s] if t else 0.0
            found[t, s] = shares[t] * last + widths[t] * normals[t, s]
    return found


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _both_ways(shares: Floats, rows: Floats) -> Floats:
    """Rows times the correlation of an AR(1): one pass forward, one back."""
    found = np.empty_like(rows)
    count, steps = rows.shape
    for r in range(count):
        run = 0.0
        for t in range(steps):
            run = shares[t] * run + rows[r, t]
            found[r, t] = run
        run = 0.0
        for t in range(steps - 2, -1, -1):
            run = shares[t + 1] * (run + rows[r, t + 1])
            found[r, t] += run
    return found
