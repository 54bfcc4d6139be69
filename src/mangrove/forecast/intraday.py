# SPDX-License-Identifier: Apache-2.0
"""The correction of a day-ahead forecast during its day, from what it missed so far.

Comes in: what earlier forecasts missed over their days, relative to their band. Goes out: for the next steps how far the forecast
shifts, and by how much its band narrows.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Floats

_PENALTY = 20.0
_LIMIT = 4.0
"""Misses beyond four widths of the band count as four."""


class Correction:
    """`z(t + l) = a(l) z(t - 1) + b(l) mean z(t - 3 h .. t - 1)`, least squares with penalty, for each lead l of a day.

    z is `(y - median) / width` of the forecast that was issued at the beginning of the day.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._reach = max(slots // 8, 2)
        self.slope: Floats = np.zeros((slots, 2))
        self.narrow: Floats = np.ones(slots)

    def fit(self, misses: Floats) -> None:
        """Learns from past days.

        Args:
            misses: shape (n, S or more): z over the day for which a forecast was issued and over the days after it.
        """
        slots = self._slots
        z = np.clip(np.where(np.isnan(misses), 0.0, misses), -_LIMIT, _LIMIT)
        z = np.pad(z, ((0, 0), (0, max(2 * slots - z.shape[1], 0))))
        normal: Floats = np.diag(np.full(2, _PENALTY))
        cross: Floats = np.zeros((2, slots))
        total: Floats = np.full(slots, 1e-9)
        for slot in range(1, slots):
            x = np.stack([z[:, slot - 1], z[:, max(slot - self._reach, 0) : slot].mean(axis=1)])
            ahead = z[:, slot : slot + slots]
            normal += x @ x.T
            cross += x @ ahead
            total += (ahead**2).sum(axis=0)
        slope = np.linalg.solve(normal, cross)
        explained = np.clip((slope * cross).sum(axis=0) / total, 0, 0.9)
        self.slope = np.asarray(slope.T, dtype=np.float64)
        self.narrow = np.sqrt(1 - explained)

    def shift(self, today: Floats) -> tuple[Floats, Floats]:
        """How far the next steps shift (in widths of their band) and how much narrower their bands are, both of shape (S,).

        Args:
            today: z of the steps of this day that are known to have ended, in order; NaN where no value came.
        """
        near = today[-self._reach :]
        there = near[~np.isnan(near)]
        if not len(there):
            return np.zeros(self._slots), np.ones(self._slots)
        recent = float(np.clip(there, -_LIMIT, _LIMIT).mean())
        last = recent if np.isnan(near[-1]) else float(np.clip(near[-1], -_LIMIT, _LIMIT))
        return self.slope @ np.array([last, recent]), self.narrow
