# SPDX-License-Identifier: Apache-2.0
"""Sequential Monte Carlo: draws from a posterior that may have several peaks, and its evidence, the same at every run.

Comes in: draws from the prior, and a function that gives the log-likelihood of many draws at once. Goes out: as many draws of the
posterior and the log of the evidence. Draws move from prior to posterior in steps that keep a share of them effective (Del Moral,
Doucet and Jasra 2006, J. R. Stat. Soc. B 68:411); at each step they are moved by differences of others (ter Braak 2006, Stat. Comput.
16:239), which needs no tuning and crosses between peaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_Density = Callable[[Floats], Floats]

KEPT = 0.5
"""Share of the draws that stays effective in one step of tempering."""
ROUNDS, ENOUGH = 12, 2.5
"""Most moves of every draw at one step, and the accepted moves a draw after which it is enough."""
_JUMP = 0.1
"""Share of the moves that take a whole difference, which carries a draw from one peak to another (ter Braak 2006)."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of a posterior.

    Attributes:
        rows: (n, d), all of equal weight; log_likelihood: (n,).
        log_evidence: log of the mean of the likelihood under the prior.
        steps: steps of tempering; accepted: share of the moves that were accepted at the last step.
    """

    rows: Floats
    log_likelihood: Floats
    log_evidence: float
    steps: int
    accepted: float


def temper(
    rows: Floats,
    log_prior: _Density,
    log_likelihood: _Density,
    *,
    seed: int = 0,
) -> Draws:
    """Moves draws of the prior to the posterior.

    Args:
        rows: (n, d) independent draws of the prior, n well above 10 d.
        log_prior: of rows, (n,), up to a constant; -inf outside.
        log_likelihood: of rows, (n,).
        seed: of the generator: the same draws come at every run.

    Example:
        >>> start = np.random.default_rng(1).normal(0, 3, (800, 1))
        >>> made = temper(start, lambda x: -0.5 * (x[:, 0] / 3) ** 2, lambda x: -0.5 * ((x[:, 0] - 1) / 0.3) ** 2)
        >>> bool(abs(made.rows.mean() - 0.99) < 0.05 and abs(made.rows.std() - 0.3) < 0.05)
        True
    """
    rng = np.random.default_rng(seed)
    likelihood, prior = log_likelihood(rows), log_prior(rows)
    heat, evidence, steps, share = 0.0, 0.0, 0, 1.0
    while heat < 1.0:
        rise = _rise(likelihood, 1.0 - heat)
        weight = rise * likelihood
        top = float(weight.max())
        evidence += top + math.log(float(np.exp(weight - top).mean()))
        heat = min(1.0, heat + rise)
        heat = 1.0 if heat > 1.0 - 1e-9 else heat
        kept = _resample(np.exp(weight - top), rng)
        rows, likelihood, prior = rows[kept], likelihood[kept], prior[kept]
        rows, likelihood, prior, share = _moves(
            (rows, likelihood, prior), (log_prior, log_likelihood), heat, rng
        )
        steps += 1
    return Draws(rows, likelihood, evidence, steps, share)


def _moves(
    state: tuple[Floats, Floats, Floats], of: tuple[_Density, _Density], heat: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, float]:
    """Moves draws until enough moves were accepted: rows, log-likelihood, log-prior, share accepted last."""
    rows, likelihood, prior = state
    taken, share = 0.0, 0.0
    for _ in range(ROUNDS):
        trial = _moved(rows, rng)
        fresh = of[0](trial)
        inside = np.isfinite(fresh)
        value = np.full(len(rows), -np.inf)
        value[inside] = of[1](trial[inside])
        gain = np.full(len(rows), -np.inf)
        gain[inside] = heat * (value - likelihood)[inside] + (fresh - prior)[inside]
        yes = np.log(rng.random(len(rows))) < gain
        rows = np.where(yes[:, None], trial, rows)
        likelihood, prior = np.where(yes, value, likelihood), np.where(yes, fresh, prior)
        share = float(yes.mean())
        taken += share
        if taken >= ENOUGH:
            break
    return rows, likelihood, prior, share


def _rise(likelihood: Floats, most: float) -> float:
    """The largest rise of the exponent that keeps `KEPT` of the draws effective."""
    low, high = 0.0, most
    if _effective(likelihood, most) >= KEPT:
        return most
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _effective(likelihood, middle) >= KEPT else (low, middle)
    return max(low, 1e-12)


def _effective(likelihood: Floats, rise: float) -> float:
    """Effective share of the draws when weighted by likelihood^rise."""
    weight = np.exp(rise * (likelihood - likelihood.max()))
    return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))


def _resample(weight: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Systematic resampling: (n,) indices."""
    count = len(weight)
    marks = (np.arange(count) + rng.random()) / count
    found = np.searchsorted(np.cumsum(weight) / weight.sum(), marks)
    return np.minimum(found, count - 1).astype(np.int64)


def _moved(rows: Floats, rng: np.random.Generator) -> Floats:
    """A trial for every draw: itself plus the scaled difference of two others, and a little noise."""
    count, width = rows.shape
    one, two = rng.integers(0, count, (2, count))
    scale = 2.38 / math.sqrt(2 * width) * rng.uniform(0.3, 1.1, (count,))
    scale[rng.random(count) < _JUMP] = 1.0
    noise = 1e-3 * rows.std(axis=0) * rng.standard_normal(rows.shape)
    made: Floats = rows + scale[:, None] * (rows[one] - rows[two]) + noise
    return made
