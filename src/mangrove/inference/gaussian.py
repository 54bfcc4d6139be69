# SPDX-License-Identifier: Apache-2.0
"""The linear-Gaussian estimate: every fact is an observation `y = H x + e` of a state with a known prior.

Comes in: the observation matrix, what was observed, its noise, a prior (`covariance.py`). Goes out: a `Posterior` with the mean, the
standard deviation of any linear functional, samples, the log evidence and diagnostics. The algebra runs on any library of the array
API, in either precision; NumPy on the processor is the tested default.

With `B = L L'`, rows divided by the standard deviation of their noise, `W = R^-1/2 H L` and `d = R^-1/2 (y - H m)`, two forms give the same
numbers: observation space, `x = m + L W' (I + W W')^-1 d`, and information space, `x = m + L (I + W' W)^-1 W' d`. The smaller system is solved.
Noise that observations share is one more part of the state that nobody asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.inference.covariance import Array, Dense, Prior, Root, Separable, Stacked, like, namespace

__all__ = ["Dense", "LeftOut", "Noise", "Posterior", "Prior", "Root", "Separable", "Stacked", "posterior"]


@dataclass(frozen=True, eq=False)
class Noise:
    """The errors of observations: `R = diag(variance) + G diag(scales) G'`.

    Attributes:
        variance: (n,) of each observation alone, positive; factors: G, (n, g), what groups of observations share; scales: (g,) variances.
    """

    variance: Array
    factors: Array | None = None
    scales: Array | None = None

    def shared(self) -> Array | None:
        """`G diag(sqrt(scales))`, or None."""
        if self.factors is None or self.scales is None:
            return None
        return self.factors * namespace(self.scales).sqrt(self.scales)[None, :]


def posterior(h: Array, y: Array, noise: Array | Noise, prior: Root, *, form: str = "auto") -> Posterior:
    """Estimates the state from observations.

    Args:
        h: (n, m), the observation matrix.
        y: (n,), finite.
        noise: (n,) variances, or a `Noise`.
        prior: of m states.
        form: `observation`, `information` or `auto` (the smaller system).

    Raises:
        RequestError: shapes that do not fit, arrays of different libraries, noise that is not positive, an unknown form.

    Example:
        >>> import numpy as np
        >>> twice = posterior(np.ones((2, 1)), np.array([1.0, 3.0]), np.ones(2), Prior.independent(np.zeros(1), np.ones(1)))
        >>> round(float(twice.mean[0]), 4), round(float(twice.sd()[0]), 4)
        (1.3333, 0.5774)
    """
    noise = noise if isinstance(noise, Noise) else Noise(noise)
    xp = namespace(h, y, noise.variance, prior.mean)
    n, m = h.shape
    if y.shape != (n,) or noise.variance.shape != (n,) or prior.mean.shape != (m,):
        got = f"{tuple(y.shape)}, {tuple(noise.variance.shape)}, {tuple(prior.mean.shape)}"
        raise RequestError("sensing.shapes", expected=f"({n},), ({n},), ({m},)", got=got)
    if not bool(xp.all(noise.variance > 0)):
        raise RequestError("sensing.noise_not_positive")
    weight = 1.0 / xp.sqrt(noise.variance)
    mixed = prior.left(h) * weight[:, None]
    state = mixed.shape[1]
    shared = noise.shared()
    if shared is not None:
        mixed = xp.concat([mixed, shared * weight[:, None]], axis=1)
    misfit = (y - h @ prior.mean) * weight
    chosen = _chosen(form, n, mixed.shape[1])
    return Posterior(h, prior, weight=weight, mixed=mixed, state=state, misfit=misfit, form=chosen)


def _chosen(form: str, n: int, q: int) -> str:
    forms = ("observation", "information")
    if form == "auto":
        return forms[n > q]
    if form not in forms:
        raise RequestError("sensing.form", form=form, options=", ".join(("auto", *forms)))
    return form


class _Cholesky:
    """`I + M` with its Cholesky factor; triangular solves where the library has them."""

    def __init__(self, product: Array) -> None:
        self._xp = xp = namespace(product)
        n = product.shape[0]
        matrix = product + xp.eye(n, **like(product))
        if isinstance(product, np.ndarray):
            from scipy.linalg import cholesky

            self.lower = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        else:
            self.lower = xp.linalg.cholesky(matrix)

    @cached_property
    def log_determinant(self) -> float:
        return 2.0 * float(self._xp.sum(self._xp.log(self._xp.linalg.diagonal(self.lower))))

    def half(self, columns: Array) -> Array:
        """`L^-1 columns`."""
        if isinstance(columns, np.ndarray):
            from scipy.linalg import solve_triangular

            return solve_triangular(self.lower, columns, lower=True, check_finite=False)
        return self._xp.linalg.solve(self.lower, columns)

    def solve(self, columns: Array) -> Array:
        """`(L L')^-1 columns`."""
        if isinstance(columns, np.ndarray):
            from scipy.linalg import cho_solve

            return cho_solve((self.lower, True), columns, check_finite=False)
        return self._xp.linalg.solve(self._xp.matrix_transpose(self.lower), self.half(columns))

    def trace_of_inverse(self) -> float:
        """Sum of the squares of `L^-1`."""
        n = self.lower.shape[0]
        half = self.half(self._xp.eye(n, **like(self.lower)))
        return float(self._xp.sum(half * half))


class Posterior:
    """The state after the observations; made by `posterior`.

    Attributes:
        mean: (m,); form: which system was solved; whitened: (q,) the estimate in the coordinates of the prior's root, standard
            normal before the observations.
    """

    def __init__(
        self, h: Array, prior: Root, *, weight: Array, mixed: Array, state: int, misfit: Array, form: str
    ) -> None:
        self._operator, self._weight, self._prior, self._mixed, self._state = h, weight, prior, mixed, state
        self._misfit, self.form = misfit, form
        self._xp = xp = namespace(misfit)
        across = xp.matrix_transpose(mixed)
        self._system = _Cholesky(mixed @ across if form == "observation" else across @ mixed)
        self.whitened = self._gain(misfit)[:state]
        self.mean = prior.mean + prior.right(self.whitened[:, None])[:, 0]

    def _gain(self, misfit: Array) -> Array:
        """`W' (I + W W')^-1 misfit`."""
        across = self._xp.matrix_transpose(self._mixed)
        if self.form == "observation":
            return across @ self._system.solve(misfit)
        return self._system.solve(across @ misfit)

    @cached_property
    def _unexplained(self) -> Array:
        """`(I + W W')^-1 d`."""
        if self.form == "observation":
            return self._system.solve(self._misfit)
        return self._misfit - self._mixed @ self._system.solve(
            self._xp.matrix_transpose(self._mixed) @ self._misfit
        )

    def covariance(self, functionals: Array | None = None) -> Array:
        """`A C A'` of functionals `A`, (k, m): (k, k); of the state itself when left out."""
        spread, half = self._spread(functionals)
        across = self._xp.matrix_transpose
        if self.form == "observation":
            return spread @ across(spread) - across(half) @ half
        return across(half) @ half

    def sd(self, functionals: Array | None = None) -> Array:
        """Standard deviations of functionals, (k,); of the state itself, (m,), when left out."""
        xp = self._xp
        spread, half = self._spread(functionals)
        variance = xp.sum(half * half, axis=0)
        if self.form == "observation":
            variance = xp.sum(spread * spread, axis=1) - variance
        return xp.sqrt(xp.where(variance > 0, variance, xp.zeros_like(variance)))

    def _spread(self, functionals: Array | None) -> tuple[Array, Array]:
        """`A L`, and what the observations take off (observation space) or leave of it (information space)."""
        xp = self._xp
        if functionals is None:
            functionals = xp.eye(self.mean.shape[0], **like(self.mean))
        spread = self._prior.left(functionals)
        across = xp.matrix_transpose(spread)
        if self.form == "observation":
            return spread, self._system.half(self._mixed[:, : self._state] @ across)
        rest = xp.zeros((self._mixed.shape[1] - self._state, across.shape[1]), **like(across))
        return spread, self._system.half(xp.concat([across, rest], axis=0))

    def samples(self, count: int, seed: int = 0) -> Array:
        """Draws of the state, (count, m): draws of the prior, corrected by what they would have made us observe."""
        xp, beside = self._xp, like(self.mean)
        random = np.random.default_rng(seed)
        drawn = xp.asarray(random.standard_normal((self._mixed.shape[1], count)), **beside)
        errors = xp.asarray(random.standard_normal((self._mixed.shape[0], count)), **beside)
        correction = self._gain(self._misfit[:, None] - self._mixed @ drawn - errors)
        states = self._prior.right((drawn + correction)[: self._state, :])
        return self._prior.mean[None, :] + xp.matrix_transpose(states)

    @cached_property
    def log_evidence(self) -> float:
        """The log density of the observations under prior and noise, all states integrated out."""
        n = self._misfit.shape[0]
        xp = self._xp
        spread = self._system.log_determinant - 2.0 * float(xp.sum(xp.log(self._weight)))
        density: float = -0.5 * (n * math.log(2 * math.pi) + spread + self._surprise)
        return density

    @cached_property
    def chi2(self) -> float:
        """Reduced chi-square `d' S^-1 d / n`: about 1 when prior and noise say the truth about themselves."""
        count: int = self._misfit.shape[0]
        return self._surprise / count

    @cached_property
    def _surprise(self) -> float:
        """`d' S^-1 d`."""
        return float(self._xp.sum(self._misfit * self._unexplained))

    @cached_property
    def dofs(self) -> float:
        """Degrees of freedom for signal, `tr(I - C B^-1)`: how many independent numbers the observations say about the state."""
        xp, q = self._xp, self._mixed.shape[1]
        if self.form == "observation":
            everything: float = self._mixed.shape[0] - self._system.trace_of_inverse()
            if q == self._state:
                return everything
            half = self._system.half(self._mixed[:, self._state :])
            return everything - float(xp.sum(half * half))
        half = self._system.half(xp.eye(q, **like(self.mean)))
        unknown = float(xp.sum(half[:, : self._state] * half[:, : self._state]))
        return self._state - unknown

    @cached_property
    def resolved(self) -> Array:
        """`1 - C_qq` in the coordinates of the prior's root, (q,): 0 where nothing was learned, 1 where all was."""
        xp = self._xp
        if self.form == "observation":
            half = self._system.half(self._mixed[:, : self._state])
            return xp.sum(half * half, axis=0)
        half = self._system.half(xp.eye(self._mixed.shape[1], **like(self.mean)))
        return (1.0 - xp.sum(half * half, axis=0))[: self._state]

    @cached_property
    def residual(self) -> Array:
        """What the posterior leaves of each observation, in units of its own noise, (n,)."""
        return self._misfit - self._mixed @ self._gain(self._misfit)

    def averaging_kernel(self, functionals: Array | None = None) -> Array:
        """`A (I - C B^-1)`, (k, m): what a unit of each true state adds to the estimate of each functional."""
        xp = self._xp
        if functionals is None:
            functionals = xp.eye(self.mean.shape[0], **like(self.mean))
        spread = xp.matrix_transpose(self._prior.left(functionals))
        if self.form == "observation":
            gain = self._system.solve(self._mixed[:, : self._state] @ spread)
        else:
            rest = xp.zeros((self._mixed.shape[1] - self._state, spread.shape[1]), **like(spread))
            gain = self._mixed @ self._system.solve(xp.concat([spread, rest], axis=0))
        return xp.matrix_transpose(gain * self._weight[:, None]) @ self._operator

    def leave_out(self, groups: Sequence[int] | Array) -> dict[int, LeftOut]:
        """Predicts each group of observations from all the others, by block formulas and without estimating anew.

        With `P = S^-1`, `u = P d`: the group's misfit to what the others predict is `P_gg^-1 u_g`, with the covariance `P_gg^-1`.

        Args:
            groups: (n,) numbers of the groups (of stations).
        """
        xp = self._xp
        labels = np.asarray(groups)
        found: dict[int, LeftOut] = {}
        for group in np.unique(labels).tolist():
            rows = xp.asarray(np.flatnonzero(labels == group), device=like(self.mean)["device"])
            found[group] = self._left_out(rows)
        return found

    def _left_out(self, rows: Array) -> LeftOut:
        xp, count = self._xp, rows.shape[0]
        if self.form == "observation":
            unit = xp.take(xp.eye(self._misfit.shape[0], **like(self.mean)), rows, axis=1)
            half = self._system.half(unit)
            block = xp.matrix_transpose(half) @ half
        else:
            half = self._system.half(xp.matrix_transpose(xp.take(self._mixed, rows, axis=0)))
            block = xp.eye(count, **like(self.mean)) - xp.matrix_transpose(half) @ half
        rest = xp.take(self._unexplained, rows)
        lower = xp.linalg.cholesky(block)
        misfit = xp.linalg.solve(block, rest)
        inverse = xp.linalg.inv(block)
        scale = 1.0 / xp.take(self._weight, rows)
        surprise = float(xp.sum(rest * misfit))
        log_score = (
            -0.5 * (count * math.log(2 * math.pi) + surprise)
            + float(xp.sum(xp.log(xp.linalg.diagonal(lower))))
            - float(xp.sum(xp.log(scale)))
        )
        sd = xp.sqrt(xp.linalg.diagonal(inverse)) * scale
        return LeftOut(misfit * scale, sd, surprise / count, log_score)


@dataclass(frozen=True, eq=False)
class LeftOut:
    """How well the others predict a group of observations.

    Attributes:
        misfit: (k,) observed less predicted; sd: (k,) of the prediction of an observation, noise and all; chi2: reduced, about 1 when
            the group says what the others expect; log_score: log density of the group given the others.
    """

    misfit: Any
    sd: Any
    chi2: float
    log_score: float
