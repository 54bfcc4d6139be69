# SPDX-License-Identifier: Apache-2.0
"""Reconciliation: meters that must close a balance, adjusted by weighted least squares, and which of them is not to be believed.

Comes in: linear balances `A x = b`, readings (NaN where there is none) and their errors, for one period or many. Goes out: the
estimates nearest to the readings that close every balance, `min (x - y)' V^-1 (x - y)`, with their covariance; a global test and a test
of each meter; quantities without a meter where the balances determine them.

With `P A_u = 0` the quantities without a meter leave the balances, `G = P A_m`, and

    x = y - V G' S^-1 (G y - P b),  S = G V G',  cov x = V - V G' S^-1 G V,  chi2 = r' S^-1 r,  r = G y - P b

(Kuehn and Davidson 1961, Chem. Eng. Prog. 57(6):44; the projection: Crowe, Garcia Campos and Hrymak 1983, AIChE J. 29:881).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

ALPHA = 0.05
"""Level of both tests: one clean period in twenty is suspected (Narasimhan and Jordache 2000, chapter 7, use the same)."""
_RANK = 1e-10
"""Singular values below this share of the largest are zero: coefficients of balances are of the order of one."""
_CLOSED = 1e-9
"""A residual below this share of what flows closes."""
_TIE = 1e-6
"""Two tests within this share of each other point at both meters: the balances cannot tell them apart."""


@dataclass(frozen=True, eq=False)
class Balanced:
    """Reconciled quantities of T periods.

    Attributes:
        estimate: (T, n); NaN where the balances do not determine it, and in a period whose exact readings contradict each other.
        gain: (T, n, n) `dx/dy`; a column without a reading is zero; rows without an estimate are NaN.
        covariance: (T, n, n) of the estimates.
        adjustment: (T, n) estimate less reading; NaN without a reading.
        chi2, freedom: (T,) global test statistic and its degrees of freedom; infinity when exact readings contradict each other.
        score: (T, n) test of each meter, standard normal when its error is as declared; NaN where nothing tests it.
    """

    estimate: Floats
    gain: Floats
    covariance: Floats
    adjustment: Floats
    chi2: Floats
    freedom: npt.NDArray[np.int64]
    score: Floats

    @property
    def sd(self) -> Floats:
        """(T, n) standard deviations of the estimates."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance, axis1=1, axis2=2), 0.0))

    @property
    def observable(self) -> Mask:
        """(T, n) whether a quantity is measured or follows from the balances."""
        return ~np.isnan(np.diagonal(self.covariance, axis1=1, axis2=2))

    @property
    def p(self) -> Floats:
        """(T,) how likely a misfit as large as this one is when all errors are as declared; NaN without redundancy."""
        from scipy.special import chdtrc

        tested = self.freedom > 0
        return np.where(tested, chdtrc(np.maximum(self.freedom, 1), self.chi2), np.nan)

    def suspects(self, alpha: float = ALPHA) -> Mask:
        """(T, n) the meters that the test points at; several in a period when the balances cannot tell them apart.

        The test of the largest power against one gross error (Tamhane 1982, Technometrics 24:227); its level is shared by the
        meters tested after Šidák, `1 - (1 - alpha)^(1/n)`.
        """
        from scipy.special import ndtri

        tested = ~np.isnan(self.score)
        count = np.maximum(tested.sum(axis=1), 1)
        limit = ndtri(1 - (1 - (1 - alpha) ** (1 / count)) / 2)
        score = np.where(tested, self.score, -np.inf)
        worst = score.max(axis=1)
        near = score >= np.where(np.isinf(worst), worst, worst * (1 - _TIE))[:, None]
        return np.asarray(near & tested & (worst > limit)[:, None])


def reconcile(
    balances: npt.ArrayLike,
    readings: npt.ArrayLike,
    errors: npt.ArrayLike,
    totals: npt.ArrayLike | None = None,
) -> Balanced:
    """Adjusts readings so that they close their balances.

    Args:
        balances: A, (k, n), or (T, k, n) when coefficients change from period to period.
        readings: y, (n,) or (T, n); NaN where nothing was read.
        errors: standard deviations, (n,) or (T, n), or covariances, (n, n) given as (1, n, n) or (T, n, n); those of what was not
            read do not count. Zero is an exact reading.
        totals: b, (k,) or (T, k); zero when left out.

    Raises:
        RequestError: `inference.balance_shapes`, `inference.balance_not_finite`, `inference.balance_contradicts`.

    Example:
        >>> two = reconcile([[1.0, -1.0]], [10.0, 13.0], [1.0, 2.0])  # two meters in series
        >>> two.estimate.round(3).tolist(), two.sd.round(3).tolist(), two.chi2.round(3).tolist()
        ([[10.6, 10.6]], [[0.894, 0.894]], [1.8])
    """
    y = np.atleast_2d(np.asarray(readings, dtype=float))
    periods, n = y.shape
    a = np.asarray(balances, dtype=float)
    a = np.broadcast_to(a if a.ndim == 3 else a[None], (periods, *a.shape[-2:]))  # noqa: PLR2004 - an axis of periods
    b = np.zeros((periods, a.shape[1])) if totals is None else np.asarray(totals, dtype=float)
    b = np.broadcast_to(b, (periods, a.shape[1]))
    v = _covariances(np.asarray(errors, dtype=float), periods, n)
    if a.shape[2] != n:
        raise RequestError("inference.balance_shapes", expected=f"(k, {n})", got=str(a.shape[1:]))
    read = ~np.isnan(y)
    v = np.where(read[:, :, None] & read[:, None, :], v, 0.0)
    if not (np.isfinite(a).all() and np.isfinite(b).all() and np.isfinite(v).all()):
        raise RequestError("inference.balance_not_finite")
    out = _empty(periods, n)
    alike = [read, *([a.reshape(periods, -1)] if (a != a[0]).any() else [])]
    _, group = np.unique(np.concatenate(alike, axis=1), axis=0, return_inverse=True)
    for one in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == one)
        solved = _solved(a[rows[0]], b[rows], y[rows], v[rows])
        for part in fields(Balanced):
            getattr(out, part.name)[rows] = getattr(solved, part.name)
    return out


def _covariances(errors: Floats, periods: int, n: int) -> Floats:
    if errors.ndim == 3 and errors.shape[1:] == (n, n):  # noqa: PLR2004 - an axis of periods
        return np.broadcast_to(errors, (periods, n, n))
    if errors.shape not in ((n,), (1, n), (periods, n)):
        raise RequestError(
            "inference.balance_shapes", expected=f"({n},), ({periods}, {n})", got=str(errors.shape)
        )
    sd = np.broadcast_to(errors, (periods, n))
    return np.where(np.eye(n, dtype=bool), sd[:, :, None] ** 2, 0.0)


def _empty(periods: int, n: int) -> Balanced:
    wide, square = (periods, n), (periods, n, n)
    return Balanced(
        np.full(wide, np.nan), np.full(square, np.nan), np.full(square, np.nan), np.full(wide, np.nan),
        np.zeros(periods), np.zeros(periods, np.int64), np.full(wide, np.nan),
    )  # fmt: skip


def _solved(a: Floats, b: Floats, y: Floats, v: Floats) -> Balanced:
    """Periods in all of which the same quantities were read."""
    out = _empty(*y.shape)
    read = ~np.isnan(y[0])
    known, unknown = np.flatnonzero(read), np.flatnonzero(~read)
    of_known, of_unknown = a[:, known], a[:, unknown]
    g, c = _without_unknown(of_known, of_unknown, b)
    values, spread = y[:, known], v[:, known[:, None], known]
    residual = values @ g.T - c
    inverse, freedom, left = _inverse(g @ spread @ g.T, residual)
    scale = np.abs(values) @ np.abs(g).T + np.abs(c)
    broken = np.abs(left) > _CLOSED * np.maximum(scale, np.finfo(float).tiny)
    backwards = spread @ g.T @ inverse  # V G' S^-1
    keeps = np.eye(len(known)) - backwards @ g
    out.gain[:, known[:, None], known] = keeps
    out.estimate[:, known] = values - np.einsum("tij,tj->ti", backwards, residual)
    back = np.linalg.pinv(of_unknown, rcond=_RANK)
    out.estimate[:, unknown] = (b - out.estimate[:, known] @ of_known.T) @ back.T
    out.gain[:, unknown[:, None], known] = -(back @ of_known) @ keeps
    out.gain[:, :, unknown] = 0.0
    determined = (np.abs(np.eye(len(unknown)) - back @ of_unknown) < _CLOSED).all(axis=1)
    out.estimate[:, unknown[~determined]] = np.nan
    out.estimate[broken.any(axis=1)] = np.nan
    out.gain[np.isnan(out.estimate)] = np.nan
    out.covariance[:, known[:, None], known] = spread - backwards @ (g @ spread)
    if len(unknown):
        across = np.zeros((y.shape[1], len(known)))
        across[known], across[unknown] = np.eye(len(known)), -(back @ of_known)
        out.covariance[:] = across @ out.covariance[:, known[:, None], known] @ across.T
    lost = np.isnan(out.estimate)
    out.covariance[lost[:, :, None] | lost[:, None, :]] = np.nan
    out.adjustment[:] = out.estimate - y
    out.chi2[:] = (np.einsum("tij,tj->ti", inverse, residual) * residual).sum(axis=1)
    out.chi2[broken.any(axis=1)] = np.inf
    out.freedom[:] = np.maximum(freedom, broken.any(axis=1))
    out.score[:, known] = _scores(g, inverse, residual, broken)
    return out


def _scores(g: Floats, inverse: Floats, residual: Floats, broken: Mask) -> Floats:
    """`|G' S^-1 r| / sqrt(diag G' S^-1 G)` of every meter; infinity in a balance that no error can close."""
    power = (inverse @ g * g).sum(axis=1)
    tested = power > _RANK * np.maximum(power.max(axis=1, keepdims=True, initial=0.0), np.finfo(float).tiny)
    pressed = np.einsum("tij,tj->ti", inverse, residual) @ g
    score = np.abs(pressed) / np.sqrt(np.where(tested, power, 1.0))
    touched = broken.astype(float) @ (np.abs(g) > _RANK)
    return np.where(touched > 0, np.inf, np.where(tested, score, np.nan))


def _without_unknown(of_known: Floats, of_unknown: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Independent balances of what was read alone: `P A_m` and `P b`, with `P A_u = 0`."""
    left, size, _ = np.linalg.svd(of_unknown, full_matrices=True)
    rank = int((size > _RANK * size.max(initial=0.0)).sum())
    free = left[:, rank:].T
    balances, totals = free @ of_known, b @ free.T
    left, size, _ = np.linalg.svd(balances, full_matrices=True)
    rank = int((size > max(_RANK * size.max(initial=0.0), _RANK)).sum())
    empty = np.abs(totals @ left[:, rank:])
    if (empty > _CLOSED * np.maximum(np.abs(b).max(axis=1, initial=0.0), 1.0)[:, None]).any():
        raise RequestError("inference.balance_contradicts")
    kept = left[:, :rank].T
    return kept @ balances, totals @ kept.T


def _inverse(s: Floats, residual: Floats) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Pseudo-inverses of (T, k, k), their ranks, and the part of each residual that no error can explain."""
    if not s.shape[1]:
        return s, np.zeros(len(s), np.int64), residual
    size = np.sqrt(np.diagonal(s, axis1=1, axis2=2))
    scale = np.divide(1.0, size, out=np.ones_like(size), where=size > 0)  # balances of grams beside tonnes
    scaled = s * scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(scaled)
    sure = values > _RANK
    turned = np.divide(1.0, values, out=np.zeros_like(values), where=sure)
    inverse = (vectors * turned[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    inside = (vectors * sure[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    left = residual - np.einsum("tij,tj->ti", inside, residual * scale) / scale
    return inverse * scale[:, :, None] * scale[:, None, :], sure.sum(axis=1), left
