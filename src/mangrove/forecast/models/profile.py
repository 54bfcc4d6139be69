# SPDX-License-Identifier: Apache-2.0
"""The usual day: quantiles of each slot over the last weeks, for working days, Saturdays and Sundays; the robust candidate of the mix.

Comes in: described days. Goes out: for each kind of day the weighted quantiles of its slots. It follows no lag, so a series whose days have
nothing to do with each other (a few swaps here, a few arrivals there) cannot lead it astray.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Floats
from mangrove.forecast.features import Frame
from mangrove.inference import days as days_of

_DAYS = 56
"""Days that make the usual day: eight of each weekday."""
_HALF_LIFE = 21.0
"""Days after which a day counts half."""
_OTHER_KIND = 0.02
"""What a day of another kind counts: next to nothing, unless there are only such days."""
_NEAR_SLOT = 0.5
"""What the slots before and after count, where slots are shorter than an hour."""
_HOURLY = 24
_GOLDEN = (5**0.5 - 1) / 2
"""Its multiples fill the unit interval evenly."""


class Profile:
    """Weighted empirical quantiles by slot and kind of day; a day off is like a Sunday."""

    every = 7

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self.quantiles = quantiles
        self._usual: Floats = np.empty((0, len(quantiles), 0))

    def fit(self, frame: Frame) -> None:
        """Keeps the quantiles of every kind of day, shape (3, Q, S)."""
        recent = frame.pick(slice(-_DAYS, None))
        slots = recent.target.shape[1]
        reach = 1 if slots > _HOURLY else 0
        wrapped = np.pad(_spread(recent.target), ((0, 0), (reach, reach)), mode="wrap")
        near = np.lib.stride_tricks.sliding_window_view(wrapped, 2 * reach + 1, axis=1)  # (n, S, 3 or 1)
        values = np.moveaxis(near, 1, 0).reshape(slots, -1)
        age = frame.days[-1] - recent.days if len(recent.days) else recent.days
        beside = np.where(np.arange(-reach, reach + 1) == 0, 1.0, _NEAR_SLOT)
        kinds = np.minimum(recent.kinds, days_of.SUNDAY)
        usual = []
        for kind in range(days_of.CLOSED):
            weight = 0.5 ** (age / _HALF_LIFE) * np.where(kinds == kind, 1.0, _OTHER_KIND)
            usual.append(weighted_quantiles(values, (weight[:, None] * beside).ravel(), self.quantiles))
        self._usual = np.stack(usual)

    def predict(self, frame: Frame) -> Floats:
        """See `Model.predict`."""
        return np.moveaxis(self._usual[np.minimum(frame.kinds, days_of.SUNDAY)], 0, 1)


def weighted_quantiles(values: Floats, weight: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Quantiles of each row where column j counts `weight[j]`, linear between the middles of the weights.

    Args:
        values: shape (S, m); NaN does not count.
        weight: positive, shape (m,).
        quantiles: probabilities, shape (Q,).

    Returns:
        Shape (Q, S), NaN for a row without values.

    Example:
        >>> weighted_quantiles(np.array([[3.0, 1.0, 2.0]]), np.array([1.0, 1.0, 1.0]), (0.5,)).tolist()
        [[2.0]]
    """
    order = np.argsort(values, axis=1)  # NaN comes last
    ranked = np.take_along_axis(values, order, axis=1)
    mass = np.where(np.isnan(ranked), 0.0, weight[order])
    total = mass.sum(axis=1, keepdims=True)
    middle = (np.cumsum(mass, axis=1) - mass / 2) / np.maximum(total, 1e-300)
    last = np.maximum((~np.isnan(ranked)).sum(axis=1) - 1, 0)
    rows = np.arange(len(values))
    found = np.empty((len(quantiles), len(values)))
    for index, level in enumerate(quantiles):
        right = np.minimum((middle < level).sum(axis=1), last)
        left = np.maximum(right - 1, 0)
        gap = middle[rows, right] - middle[rows, left]
        share = np.clip((level - middle[rows, left]) / np.where(gap > 0, gap, 1.0), 0, 1)
        found[index] = ranked[rows, left] + share * (ranked[rows, right] - ranked[rows, left])
    return found


def _spread(values: Floats) -> Floats:
    """Counts (whole numbers, some of them one apart) spread evenly half a unit to both sides; other values stay as they are.

    The quantiles of small counts are whole numbers and add up to far too little or too much over a day.
    """
    known = np.unique(values[~np.isnan(values)])
    if len(known) < 3 or (known % 1).any() or np.diff(known).min() != 1:  # noqa: PLR2004 - two values are a switch
        return values
    turns = (np.arange(values.size) * _GOLDEN % 1.0 - 0.5).reshape(values.shape)
    return np.asarray(values + turns)
