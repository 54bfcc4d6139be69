# SPDX-License-Identifier: Apache-2.0
"""The seasonal naive forecast: as a week ago at this time; the yardstick of every other model.

Comes in: described days. Goes out: the value of a week ago (or of yesterday, or of the slot's usual), with the quantiles of what
that missed in the last weeks.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Floats
from mangrove.forecast.features import NAMES, Frame, fill
from mangrove.forecast.models.residuals import by_slot

_WEEKS = 8


class Naive:
    """`y(t) = y(t - 7 d)`, with empirical quantiles of the weekly differences of the last eight weeks by slot."""

    every = 7

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self.quantiles = quantiles
        self._residuals: Floats | None = None

    def fit(self, frame: Frame) -> None:
        """Keeps the residual quantiles by slot, relative to their median: the point forecast stays as it is."""
        recent = frame.pick(slice(-7 * _WEEKS, None))
        found = by_slot(recent.target - point(recent), self.quantiles)
        middle = by_slot(recent.target - point(recent), (0.5,))
        self._residuals = found - middle

    def predict(self, frame: Frame) -> Floats:
        """See `Model.predict`."""
        assert self._residuals is not None
        return np.asarray(point(frame)[None] + self._residuals[:, None, :])


def point(frame: Frame) -> Floats:
    """The value of a week ago, shape (n, S); where it is missing the slot's usual value of the last weeks stands in."""
    week: Floats = fill(frame.lags)[:, :, NAMES.index("lag_7")]
    return week
