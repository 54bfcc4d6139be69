# SPDX-License-Identifier: Apache-2.0
"""A mix of models that follows whichever proves itself, and bands that keep their promise.

Comes in: every day, what each model said and what happened. Goes out: weights for each model and quantile (exponential weights on
discounted daily pinball loss), and corrections that bring the mixed quantiles to their nominal share (adaptive conformal inference:
I. Gibbs, E. Candès, NeurIPS 2021, arXiv:2106.00170; scores relative to the width of the band as in Y. Romano et al., NeurIPS 2019,
arXiv:1905.03222).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from mangrove.forecast.calendar import Floats
from mangrove.forecast.score import pinball

_DISCOUNT = 0.95
"""A day's loss counts this much less a day later: about three weeks are remembered."""
_RATE = 14.0
"""Sharpness of the weights: a model that is 10 % worse than the best gets a quarter of its weight."""
_DAYS = 42
"""Days whose scores correct the bands."""
_GAIN = 0.05
"""Step of the adaptive correction a day."""


class Mix:
    """Weights of M models for Q quantiles.

    Example:
        >>> mix = Mix(2, (0.5,))
        >>> mix.update(np.array([[[1.0, 1.0]], [[3.0, 3.0]]]), np.array([1.0, 1.2]))
        >>> bool(mix.weights[0, 0] > 0.99)
        True
    """

    def __init__(self, models: int, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)
        self._loss = np.zeros((models, len(self.levels)))
        self._mass = 0.0
        self.weights = np.full((models, len(self.levels)), 1 / models)

    def update(self, predictions: Floats, actual: Floats) -> None:
        """Learns from a day: `predictions` of shape (M, Q, S), `actual` of shape (S,); missing values do not count."""
        use = ~np.isnan(actual) & ~np.isnan(predictions).any(axis=(0, 1))
        if not use.any():
            return
        moved = np.moveaxis(predictions[:, :, use], 0, 1)  # (Q, M, S)
        daily = np.stack([pinball(moved[i], [p] * len(moved[i]), actual[use]) for i, p in enumerate(self.levels)])
        self._loss = _DISCOUNT * self._loss + daily.mean(axis=2).T
        self._mass = _DISCOUNT * self._mass + 1
        best = np.maximum(self._loss.min(axis=0), 1e-12 * self._mass)
        raw = np.exp(-_RATE * np.minimum(self._loss / best - 1, 30))
        self.weights = raw / raw.sum(axis=0)

    def combine(self, predictions: Floats) -> Floats:
        """The weighted mean over models, shape (Q, ...) for predictions (M, Q, ...), ascending in Q.

        A model that says nothing at a step gives its weight there to the others.
        """
        weights = self.weights.reshape(*self.weights.shape, *[1] * (predictions.ndim - 2))
        there = ~np.isnan(predictions)
        mass = np.where(there, weights + 1e-12, 0.0)
        total = (mass * np.where(there, predictions, 0.0)).sum(axis=0)
        share = mass.sum(axis=0)
        return np.sort(np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan), axis=0)


class Bands:
    """Corrections of quantiles so that a share p of the values lies below the quantile p, day after day.

    The score of a value is `(y - q) / w` with the width `w` of the raw band at that step; the corrected quantile is
    `q + w Q`, where `Q` is the quantile `a` of the last weeks' scores and `a` moves by `gain (p - share below)` a day.
    """

    def __init__(self, levels: Sequence[float], gain: float = _GAIN) -> None:
        self.levels = np.asarray(levels, dtype=np.float64)
        self._gain = gain
        self._target = self.levels.copy()
        self._scores: deque[Floats] = deque(maxlen=_DAYS)
        self._shift = np.zeros(len(self.levels))

    def update(self, raw: Floats, issued: Floats, actual: Floats) -> None:
        """Learns from a day: raw and issued quantiles of shape (Q, S), `actual` of shape (S,)."""
        width = raw[-1] - raw[0]
        use = ~np.isnan(actual) & ~np.isnan(raw).any(axis=0) & (width > 0)
        if not use.any():
            return
        below = (actual[use] <= issued[:, use]).mean(axis=1)
        self._target = np.clip(self._target + self._gain * (self.levels - below), 0.005, 0.995)
        self._scores.append((actual[use] - raw[:, use]) / width[use])
        scores = np.concatenate(list(self._scores), axis=1)
        self._shift = np.array([np.quantile(s, a) for s, a in zip(scores, self._target, strict=True)])
        self._shift[self.levels == 0.5] = 0.0  # noqa: PLR2004 - the median is the mix's own business

    def apply(self, raw: Floats) -> Floats:
        """The corrected quantiles, shape (Q, S), ascending in Q and around the median."""
        width = raw[-1] - raw[0]
        return np.sort(raw + self._shift[:, None] * width, axis=0)
