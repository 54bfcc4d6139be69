# SPDX-License-Identifier: Apache-2.0
"""A mix of models that follows whichever proves itself, and bands that keep their promise.

Comes in: every day, what each model said and what happened. Goes out: weights for each model and quantile (exponential weights on
discounted daily pinball loss, for the median also the miss of the day's total), and corrections that bring the mixed quantiles to their
nominal share (adaptive conformal inference: I. Gibbs, E. Candès, NeurIPS 2021, arXiv:2106.00170; scores relative to the width of the band as in Y. Romano et al., NeurIPS 2019,
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
_TOTAL = 0.5
"""What the miss of the day's total counts beside the loss of its steps, for the median: stores and fleets live on totals, and the median of
each step alone is the better, the more a skewed series is underestimated as a whole."""
_DAYS = 84
"""Days whose scores correct the bands; fewer gave a higher loss on real series (benchmarks/README.md)."""
_TINY = 0.02
"""A quantile nearer to the lower bound than this share of the day's widest band lies on it."""
_GAIN = 0.12
"""Step of the adaptive correction a day for a long record; a larger one holds the coverage more closely and costs loss."""

_YOUNG = 14
"""Days of a record after which the step is half of what it becomes."""


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
        daily = np.stack(
            [pinball(moved[i], [p] * len(moved[i]), actual[use]) for i, p in enumerate(self.levels)]
        )
        loss = daily.mean(axis=2).T
        middle = int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))
        loss[:, middle] += _TOTAL * np.abs((moved[middle] - actual[use]).mean(axis=1))
        self._loss = _DISCOUNT * self._loss + loss
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

    def __init__(self, levels: Sequence[float], lower: float | None = None, gain: float = _GAIN) -> None:
        self.levels = np.asarray(levels, dtype=np.float64)
        self._gain, self._lower = gain, lower
        self._target = self.levels.copy()
        self._scores: deque[Floats] = deque(maxlen=_DAYS)
        self._shift = np.zeros(len(self.levels))

    def update(self, raw: Floats, issued: Floats, actual: Floats) -> None:
        """Learns from a day: raw and issued quantiles of shape (Q, S), `actual` of shape (S,).

        A quantile that lies on the lower bound tells nothing: no value can be below it, and many may be equal to it.
        """
        width = raw[-1] - raw[0]
        wide = ~np.isnan(actual) & ~np.isnan(raw).any(axis=0) & (width > 0)
        use = wide & self._free(raw)
        if not use.any():
            return
        count = np.maximum(use.sum(axis=1), 1)
        below = np.where(use, actual <= issued, self.levels[:, None]).sum(axis=1)
        below -= self.levels * (use.shape[1] - use.sum(axis=1))
        error = self.levels - np.where(use.any(axis=1), below / count, self.levels)
        told = (
            count / use.shape[1]
        )  # a day of which few steps tell anything moves little, and so does a young record
        sure = len(self._scores) / (len(self._scores) + _YOUNG)
        self._target = np.clip(self._target + self._gain * sure * told * error, 0.005, 0.995)
        self._scores.append(np.where(use, (actual - raw) / np.where(wide, width, 1.0), np.nan))
        scores = np.concatenate(list(self._scores), axis=1)
        for index, one in enumerate(scores):
            known = one[~np.isnan(one)]
            if self.levels[index] != 0.5 and len(known):  # noqa: PLR2004 - the median is the mix's own business
                self._shift[index] = np.quantile(known, self._target[index])

    def apply(self, raw: Floats) -> Floats:
        """The corrected quantiles, shape (Q, S), ascending in Q and around the median.

        One that comes to lie on the lower bound is that bound: a count that is zero most nights is not below a tenth of a car.
        """
        width = raw[-1] - raw[0]
        found = np.sort(raw + np.where(self._free(raw), self._shift[:, None] * width, 0.0), axis=0)
        if self._lower is None:
            return found
        return np.where(found <= self._edge(raw), self._lower, found)

    def _free(self, raw: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where the quantiles lie above the lower bound by more than next to nothing, shape (Q, S)."""
        if self._lower is None:
            return np.ones(raw.shape, dtype=bool)
        return np.asarray(raw > self._edge(raw))

    def _edge(self, raw: Floats) -> float:
        """What lies below this lies on the lower bound."""
        assert self._lower is not None
        return float(self._lower + _TINY * np.nanmax(raw[-1] - raw[0], initial=0.0))
