# SPDX-License-Identifier: Apache-2.0
"""Weights of evidence learned from what really happened: a conditional logit over a fixed set of options.

Comes in: features of each option for each question, and which options were right. Goes out: one weight a feature. The fit has one
answer whatever the start (the penalty makes it convex where a question has one right option), and takes milliseconds a question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mangrove.matching.types import Floats

RIDGE = 3.0
"""Weight of the ridge penalty on standardized features: stated before the first run and left so."""
_STEPS = 200


def conditional_logit(features: Floats, right: Floats, *, ridge: float = RIDGE) -> Floats:
    """The weights w that make the right options most likely: p(option) = exp(w f) / sum of exp(w f) over all options.

    Maximizes the log of the summed probability of the right options, less `ridge`/2 |w s|^2, where s is the standard deviation of
    a feature over all options and questions (McFadden 1974, Conditional logit analysis of qualitative choice behavior).

    Args:
        features: (N, M, K) of N questions, M options, K features.
        right: (N, M), above zero where an option is right; each question has one at least.
        ridge: strength of the penalty.

    Returns:
        (K,) weights on the features as given; zero for a feature that never varies.

    Example:
        >>> f = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
        >>> float(conditional_logit(f, f[:, :, 0])[0]) > 0
        True
    """
    from scipy.optimize import minimize

    spread = features.reshape(-1, features.shape[-1]).std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    scaled = features * scale
    hit = (right > 0).astype(float)

    def loss(weights: Floats) -> tuple[float, Floats]:
        chance = softmax(scaled @ weights)
        taken = chance * hit
        likely = np.maximum(taken.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        slope = np.tensordot(chance - taken / likely, scaled, axes=([0, 1], [0, 1])) + ridge * weights
        return float(ridge / 2 * weights @ weights - np.log(likely).sum()), slope

    found = minimize(
        loss, np.zeros(features.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}
    )
    weights: Floats = found.x * scale
    return weights


def softmax(scores: Floats) -> Floats:
    """Probabilities (N, M) from scores; each row sums to one."""
    risen = np.exp(scores - scores.max(axis=1, keepdims=True))
    chance: Floats = risen / risen.sum(axis=1, keepdims=True)
    return chance
