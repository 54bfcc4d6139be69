# SPDX-License-Identifier: Apache-2.0
"""How large prior and noise are, read from the data: the marginal likelihood of a few scales, with its exact gradient.

Comes in: the whitened observation matrix, the misfit, which column belongs to which scale. Goes out: the scales of the groups of
columns and of the noise. With `S = sigma^2 I + W diag(theta^2) W'`: `-2 log L = log |S| + d' S^-1 d`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scales:
    """What the marginal likelihood says.

    Attributes:
        groups: (G,) factor of the prior standard deviation of each group; noise: factor of the noise; log_evidence: there.
    """

    groups: Floats
    noise: float
    log_evidence: float


class Evidence:
    """The log evidence of scales for one linear problem; one evaluation costs O(q^3), whatever the number of readings.

    Args:
        matrix: W, (n, q): whitened and divided by the standard deviations of the readings.
        misfit: d, (n,) likewise; labels: (q,) the group of each column, -1 for columns whose scale stays 1.
        count: groups.
    """

    def __init__(self, matrix: Floats, misfit: Floats, labels: Ints, count: int) -> None:
        self.n, self.count = matrix.shape[0], count
        self._gram = matrix.T @ matrix
        self._right = matrix.T @ misfit
        self._square = float(misfit @ misfit)
        self._labels = labels

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        """Log evidence and gradient at the logarithms of (group scales..., noise scale).

        With `z` the whitened estimate and `C` its covariance: `d/dlog theta_g = |z_g|^2 - (q_g - tr C_gg)` and
        `d/dlog sigma = |r|^2 / sigma^2 - (n - (q - tr C))`.
        """
        from scipy.linalg import cholesky, solve_triangular

        scale = np.append(np.exp(logs[:-1]), 1.0)[self._labels]  # label -1 is the last: 1
        variance = math.exp(2 * logs[-1])
        system = self._gram * (scale[:, None] * scale[None, :] / variance)
        system[np.diag_indices_from(system)] += 1.0
        lower = cholesky(system, lower=True, overwrite_a=True, check_finite=False)
        half = solve_triangular(lower, np.eye(len(scale)), lower=True, check_finite=False)
        right = scale * self._right / variance
        z = half.T @ (half @ right)
        value = -0.5 * (
            self.n * (math.log(2 * math.pi) + 2 * logs[-1])
            + 2 * float(np.sum(np.log(np.diag(lower))))
            + self._square / variance
            - float(z @ right)
        )
        learned = 1.0 - np.sum(half * half, axis=0)
        inside = self._labels >= 0
        slopes = np.bincount(self._labels[inside], (z**2 - learned)[inside], self.count)
        state = scale * z
        rest = self._square - 2 * float(state @ self._right) + float(state @ self._gram @ state)
        noise = rest / variance - (self.n - float(np.sum(learned)))
        return value, np.append(slopes, noise)


def fit_scales(
    evidence: Evidence,
    start: Floats,
    *,
    bounds: tuple[float, float] = (0.3, 3.0),
    noise_bounds: tuple[float, float] = (0.05, 5.0),
    spread: float = 0.3,
    steps: int = 12,
) -> Scales:
    """The most likely scales, within bounds and with a lognormal prior around 1.

    Args:
        evidence: of the problem.
        start: (G + 1,) scales to begin with; the last is that of the noise.
        bounds: least and largest scale of a group.
        noise_bounds: least and largest scale of the noise.
        spread: standard deviation of the logarithm of a scale before the data; a group that the data say nothing about stays at 1.
        steps: iterations at most.
    """
    from scipy.optimize import minimize

    def cost(logs: Floats) -> tuple[float, Floats]:
        value, slope = evidence(logs)
        return -value + 0.5 * float(logs @ logs) / spread**2, -slope + logs / spread**2

    limits = [(math.log(low), math.log(high)) for low, high in [bounds] * (len(start) - 1) + [noise_bounds]]
    begin = np.clip(np.log(start), [low for low, _ in limits], [high for _, high in limits])
    found = minimize(cost, begin, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": steps})
    value, _ = evidence(found.x)
    return Scales(np.exp(found.x[:-1]), float(np.exp(found.x[-1])), value)
