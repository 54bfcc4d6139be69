# SPDX-License-Identifier: Apache-2.0
"""A mix of models that follows whichever proves itself, and bands that keep their promise.

Comes in: every day, what each model said and what happened. Goes out: weights for each model and quantile, and corrections that bring the
mixed quantiles to their nominal share. The weights are those whose mix would have lost least in the last weeks (exponentiated gradient: J.
Kivinen, M. Warmuth, Information and Computation 132, 1997), held near what each model alone deserves (exponential weights on discounted daily
pinball loss, for the median also the miss of the day's total). The corrections are adaptive conformal inference (I. Gibbs, E. Candès,
NeurIPS 2021, arXiv:2106.00170; scores relative to the width of the band as in Y. Romano et al., NeurIPS 2019, arXiv:1905.03222) with
several steps, weighed by their loss in the manner of M. Zaffran et al., ICML 2022, arXiv:2202.07282.
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
"""Sharpness of the weights of single models: one that is 10 % worse than the best gets a quarter of its weight."""
_TOTAL = 0.5
"""What the miss of the day's total counts beside the loss of its steps, for the median: stores and fleets live on totals, and the median of
each step alone is the better, the more a skewed series is underestimated as a whole."""

_POOL_DAYS = 56
_POOL_DISCOUNT = 0.97
"""Days whose loss decides about the mix as a whole, and how much less a day counts a day later."""
_PULL = 0.7
"""How firmly that mix is held near the weights of single models, over the days that it knows: relative loss for a unit of their divergence."""
_STEPS, _STRIDE = 8, 0.7
"""Steps of the gradient a day, from yesterday's weights on, and the first one's size in logarithms of weights."""
_LEAST = 1e-4
"""No model's weight is taken for less, so that it can come back."""

_DAYS = 84
"""Days whose scores correct the bands; fewer gave a higher loss on real series (benchmarks/README.md)."""
_TINY = 0.02
"""A quantile nearer to the lower bound than this share of the day's widest band lies on it."""
_GAINS = (0.0, 0.05, 0.12)
"""Steps of the adaptive corrections a day for a long record: a larger one holds the coverage more closely, a smaller one loses less."""
_GAIN_RATE = 40.0
"""Sharpness of the weights of the corrections: they differ by little, so that one which is 2 % worse gets less than half."""
_MOST = 0.9
"""No correction is larger than this share of the misses were: a miss of many narrow bands says nothing about wide ones."""
_YOUNG = 14
"""Days of a record after which the step is half of what it becomes."""


class Mix:
    """Weights of M models for Q quantiles.

    Example:
        >>> mix = Mix(2, (0.5,))
        >>> mix.update(np.array([[[1.0, 1.0]], [[3.0, 3.0]]]), np.array([1.0, 1.2]))
        >>> bool(mix.weights[0, 0] > 0.9)
        True
    """

    def __init__(self, models: int, levels: Sequence[float]) -> None:
        self.levels = tuple(levels)
        self._loss = np.zeros((models, len(self.levels)))
        self._mass = 0.0
        self._past: deque[tuple[Floats, Floats]] = deque(maxlen=_POOL_DAYS)
        self.weights = np.full((models, len(self.levels)), 1 / models)

    def update(self, predictions: Floats, actual: Floats) -> None:
        """Learns from a day: `predictions` of shape (M, Q, S), `actual` of shape (S,); missing values do not count."""
        use = ~np.isnan(actual) & ~np.isnan(predictions).any(axis=(0, 1))
        if not use.any():
            return
        moved = np.ascontiguousarray(np.moveaxis(predictions[:, :, use], 0, 1))  # (Q, M, S)
        daily = np.stack(
            [pinball(moved[i], [p] * len(moved[i]), actual[use]) for i, p in enumerate(self.levels)]
        )
        loss = daily.mean(axis=2).T
        middle = int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))
        loss[:, middle] += _TOTAL * np.abs((moved[middle] - actual[use]).mean(axis=1))
        self._loss = _DISCOUNT * self._loss + loss
        self._mass = _DISCOUNT * self._mass + 1
        self._past.append((moved, actual[use]))
        self.weights = self._pooled(exponential(self._loss, self._mass, _RATE))

    def _pooled(self, alone: Floats) -> Floats:
        """The weights whose mix lost least, from yesterday's on, near those of single models; both of shape (M, Q)."""
        said = np.concatenate([one for one, _ in self._past], axis=2)  # (Q, M, N)
        happened = np.concatenate([one for _, one in self._past])
        counts = np.array([len(one) for _, one in self._past])
        share = _POOL_DISCOUNT ** np.arange(len(counts))[::-1]
        each = np.repeat(share / share.sum() / counts, counts)
        levels = np.asarray(self.levels)[:, None]
        scale = np.maximum(self._loss.min(axis=0) / self._mass, 1e-12)[:, None]
        pull, near = _PULL / share.sum(), np.log(np.maximum(alone, _LEAST)).T
        weights = np.maximum(self.weights, _LEAST).T
        weights /= weights.sum(axis=1, keepdims=True)
        late = np.zeros_like(weights)
        for step in range(_STEPS):
            mixed = np.matmul(weights[:, None], said)[:, 0]
            slope = np.where(happened < mixed, 1 - levels, -levels) * each
            gradient = np.matmul(said, slope[:, :, None])[:, :, 0] / scale + pull * (np.log(weights) - near)
            gradient -= (weights * gradient).sum(axis=1, keepdims=True)
            length = np.maximum(np.abs(gradient).max(axis=1, keepdims=True), 0.05)
            weights = np.maximum(
                weights * np.exp(-_STRIDE / np.sqrt(1 + step) * gradient / length), _LEAST / 10
            )
            weights /= weights.sum(axis=1, keepdims=True)
            late += weights if step >= _STEPS // 2 else 0.0
        return np.asarray((late / late.sum(axis=1, keepdims=True)).T)

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

    The score of a value is `(y - q) / w` with the width `w` of the raw band at that step; a corrected quantile is `q + w Q`, where `Q` is
    the quantile `a` of the last weeks' scores and `a` moves by `gain (p - share below)` a day. G gains correct side by side, and
    what is issued is their mean, weighed by the loss of each.
    """

    def __init__(
        self, levels: Sequence[float], lower: float | None = None, gains: Sequence[float] = _GAINS
    ) -> None:
        self.levels = np.asarray(levels, dtype=np.float64)
        self._gains, self._lower = np.asarray(gains, dtype=np.float64)[:, None], lower
        self._target = np.tile(self.levels, (len(gains), 1))
        self._shift = np.zeros((len(gains), len(self.levels)))
        self._most = np.zeros(len(self.levels))
        self._loss, self._mass = np.zeros((len(gains), len(self.levels))), 0.0
        self._past: deque[tuple[Floats, Floats]] = deque(maxlen=_DAYS)

    def update(self, raw: Floats, actual: Floats) -> None:
        """Learns from a day: raw quantiles of shape (Q, S), `actual` of shape (S,).

        A quantile that lies on the lower bound tells nothing: no value can be below it, and many may be equal to it.
        """
        width = raw[-1] - raw[0]
        wide = ~np.isnan(actual) & ~np.isnan(raw).any(axis=0) & (width > 0)
        use = wide & self._free(raw)
        if not use.any():
            return
        count = use.sum(axis=1)
        found = self._each(raw)
        missed = np.where(use, actual - found, 0.0)  # (G, Q, S)
        lost = np.maximum(self.levels[:, None] * missed, (self.levels[:, None] - 1) * missed).sum(axis=2)
        self._loss = _DISCOUNT * self._loss + lost / np.maximum(count, 1)
        self._mass = _DISCOUNT * self._mass + 1
        below = (use & (actual <= found)).sum(axis=2) / np.maximum(count, 1)
        # a day of which few steps tell anything moves little, and so does a young record
        told = np.maximum(count, 1) / use.shape[1] * len(self._past) / (len(self._past) + _YOUNG)
        error = np.where(count > 0, self.levels - below, 0.0)
        self._target = np.clip(self._target + self._gains * told * error, 0.005, 0.995)
        miss = np.where(use, actual - raw, np.nan)
        self._past.append((miss / np.where(wide, width, 1.0), np.abs(miss)))
        self._learn()

    def _learn(self) -> None:
        """The shifts that the remembered scores ask for."""
        scores, misses = (np.concatenate(part, axis=1) for part in zip(*self._past, strict=True))
        for index, one in enumerate(scores):
            known = ~np.isnan(one)
            if self.levels[index] != 0.5 and known.any():  # noqa: PLR2004 - the median is the mix's own business
                self._shift[:, index] = np.quantile(one[known], self._target[:, index])
                self._most[index] = np.quantile(misses[index][known], _MOST)

    def apply(self, raw: Floats) -> Floats:
        """The corrected quantiles, shape (Q, S), ascending in Q and around the median.

        One that comes to lie on the lower bound is that bound: a count that is zero most nights is not below a tenth of a car.
        """
        weights = exponential(self._loss, self._mass, _GAIN_RATE)
        moved = (weights[:, :, None] * (self._each(raw) - raw)).sum(axis=0)
        return self._bounded(np.sort(raw + moved, axis=0), raw)

    def _each(self, raw: Floats) -> Floats:
        """What each gain makes of the raw quantiles, shape (G, Q, S)."""
        most = self._most[:, None]
        moved = np.clip(self._shift[:, :, None] * (raw[-1] - raw[0]), -most, most)
        return self._bounded(np.sort(raw + np.where(self._free(raw), moved, 0.0), axis=1), raw)

    def _bounded(self, found: Floats, raw: Floats) -> Floats:
        """With what lies next to the bound on it."""
        return found if self._lower is None else np.where(found <= self._edge(raw), self._lower, found)

    def _free(self, raw: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Where the quantiles lie above the lower bound by more than next to nothing, shape (Q, S)."""
        if self._lower is None:
            return np.ones(raw.shape, dtype=bool)
        return np.asarray(raw > self._edge(raw))

    def _edge(self, raw: Floats) -> float:
        """What lies below this lies on the lower bound."""
        assert self._lower is not None
        return float(self._lower + _TINY * np.nanmax(raw[-1] - raw[0], initial=0.0))


def exponential(loss: Floats, mass: float, rate: float) -> Floats:
    """Weights that fall with the loss relative to the best one, shape (n, Q), each column adding up to one.

    Args:
        loss: discounted sums of losses, shape (n, Q).
        mass: the discounted number of days.
        rate: a loss that is `1 / rate` larger has 1 / e of the weight.

    Example:
        >>> exponential(np.array([[1.0], [1.1]]), 1.0, 10.0).round(2).tolist()
        [[0.73], [0.27]]
    """
    best = np.maximum(loss.min(axis=0), 1e-12 * max(mass, 1.0))
    raw = np.exp(-rate * np.minimum(loss / best - 1, 30))
    return np.asarray(raw / raw.sum(axis=0))
