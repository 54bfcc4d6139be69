# SPDX-License-Identifier: Apache-2.0
"""Ridge regression on lags, means of like days, calendar and weather; cheap, and best on regular loads.

Comes in: described days. Goes out: a linear point forecast with residual quantiles by slot and kind of day.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from mangrove.forecast.calendar import Floats, Ints
from mangrove.forecast.features import NAMES, Frame, fill
from mangrove.forecast.models.residuals import by_kind
from mangrove.inference import days as days_of

_HARMONICS = 4
_PENALTIES = (1e1, 3e1, 1e2, 3e2, 1e3, 3e3, 1e4, 1e5)
"""Weights of the squared coefficients of standardized columns, in rows. Rows of a day share its level, so that a few weeks hold far fewer
independent ones than they have rows: how much the lags of a series are worth is found out on weeks that are left out."""
_LEFT_OUT = 12
"""Weeks that are left out one by one, the newest ones."""
_ON_DAYS_OFF = [NAMES.index(name) for name in ("lag_7", "weekday_mean", "alike_mean")]
"""What a day off is like, a week ago or a Sunday, is learnt from the days off that were seen."""
_DAYS = 56
"""Days whose residuals give the quantiles."""
_HALF_LIFE = 120.0
"""Days after which a row counts half: loads drift."""


class Ridge:
    """Least squares with penalty, `min |W (y - X b)|^2 + k |b|^2`, rows weighted by age, columns standardized, k by honest validation."""

    every = 7

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self.quantiles = quantiles

    def fit(self, frame: Frame) -> None:
        """Solves the normal equations; days without targets do not count."""
        x = design(frame)
        y = frame.target.ravel()
        age = np.repeat(frame.days[-1] - frame.days, frame.target.shape[1]) if len(frame.days) else y
        use = ~np.isnan(y) & ~np.isnan(x).any(axis=1)
        weight = np.where(use, 0.5 ** (age / _HALF_LIFE), 0.0)
        x, y = np.where(use[:, None], x, 0.0), np.where(use, y, 0.0)
        total = max(float(weight.sum()), 1e-12)
        self._bounds = _reach(x, use)
        self._mean = weight @ x / total
        centered = np.where(use[:, None], x - self._mean, 0.0)
        self._scale = np.maximum(np.sqrt(weight @ centered**2 / total), 1e-9)
        self._level = float(weight @ y / total)
        week = (age // 7).astype(np.int64)
        with threadpool_limits(
            limits=1, user_api="blas"
        ):  # threads cost more than they give, and change the last digits
            self._slope = slopes(centered / self._scale, y - self._level, weight, week)
        recent = frame.pick(slice(-_DAYS, None))
        self._residuals = by_kind(recent.target - self._point(recent), recent.kinds, self.quantiles)

    def predict(self, frame: Frame) -> Floats:
        """See `Model.predict`."""
        residuals = self._residuals[np.minimum(frame.kinds, days_of.SUNDAY)]
        return np.asarray(self._point(frame)[None] + np.moveaxis(residuals, 0, 1))

    def _point(self, frame: Frame) -> Floats:
        x = (np.clip(design(frame), *self._bounds) - self._mean) / self._scale
        return np.asarray(self._level + x @ self._slope).reshape(frame.target.shape)


def _reach(x: Floats, use: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Floats, Floats]:
    """How far each column may go: beyond what was seen by as much as it was seen to move, shape (p,) each.

    A column that stood still for a year (the evenings of a meter that reads zero) says nothing of what happens when it moves.
    """
    seen = x[use] if use.any() else np.zeros((1, x.shape[1]))
    low, high = seen.min(axis=0), seen.max(axis=0)
    return low - (high - low), high + (high - low)


def slopes(x: Floats, y: Floats, weight: Floats, week: Ints) -> Floats:
    """Slopes under the penalty that misses least on weeks left out, each forecast by a fit to all the others.

    Args:
        x: standardized columns, shape (n, p).
        y: what they explain, shape (n,).
        weight: of the rows, shape (n,); 0 for one that does not count.
        week: age of each row in weeks, shape (n,).

    Returns:
        Shape (p,).
    """
    same = np.eye(x.shape[1])
    normal, cross = x.T @ (x * weight[:, None]), x.T @ (weight * y)
    penalties = np.asarray(_PENALTIES)[:, None, None] * same
    missed = np.zeros(len(penalties))
    for out in range(min(int(week.max(initial=-1)) + 1, _LEFT_OUT)):
        rows = (week == out) & (weight > 0)
        left, counts = x[rows], weight[rows]
        others = normal - left.T @ (left * counts[:, None])
        tried = np.linalg.solve(others + penalties, (cross - left.T @ (counts * y[rows]))[:, None])[:, :, 0]
        missed += np.abs(y[rows][:, None] - left @ tried.T).sum(axis=0)
    best = _PENALTIES[int(np.argmin(missed))]
    return np.asarray(np.linalg.solve(normal + best * same, cross))


def design(frame: Frame) -> Floats:
    """The columns of the regression, shape (n x S, p).

    Harmonics of the time of day for every kind of day; lags and means; the same once more on days that are not working days,
    some on days off;
    weather, its square, and its holes at the mean.
    """
    days, slots = frame.target.shape
    lags = fill(frame.lags)
    rest = (frame.kinds != days_of.WORK).astype(np.float64)[:, None, None]
    closed = (frame.kinds == days_of.CLOSED).astype(np.float64)[:, None, None]
    angle = 2 * np.pi * (np.arange(slots) + 0.5)[:, None] / slots * np.arange(1, _HARMONICS + 1)
    wave = np.concatenate([np.ones((slots, 1)), np.sin(angle), np.cos(angle)], axis=1)
    kinds = (np.minimum(frame.kinds, days_of.SUNDAY)[:, None] == np.arange(3)).astype(np.float64)
    weekday = (frame.calendar[:, :1] == np.arange(1, 5)).astype(np.float64)
    waves = np.einsum("nk,sw->nskw", kinds, wave).reshape(days, slots, -1)
    near = np.concatenate([weekday, 1 / (1 + frame.calendar[:, 2:4]), frame.calendar[:, 4:6]], axis=1)
    parts = [waves[:, :, 1:], lags, lags * rest, np.repeat(near[:, None], slots, axis=1)]
    parts.append(lags[:, :, _ON_DAYS_OFF] * closed)
    parts.append(lags[:, :, -2:].repeat(3, axis=2) * np.tile(wave[:, 1:4], 2)[None])
    if frame.weather.shape[2]:
        weather = np.where(np.isnan(frame.weather), _means(frame.weather), frame.weather)
        parts += [weather, weather**2]
    return np.concatenate(parts, axis=2).reshape(days * slots, -1)


def _means(weather: Floats) -> Floats:
    """The mean of each kind of weather, 0 where there is none at all, shape (k,)."""
    there = ~np.isnan(weather)
    total = np.where(there, weather, 0.0).sum(axis=(0, 1))
    return np.asarray(total / np.maximum(there.sum(axis=(0, 1)), 1))
