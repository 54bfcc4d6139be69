# SPDX-License-Identifier: Apache-2.0
"""The physical baseline for the sun: the clear sky of each step, times how clear the last days were.

Comes in: described days whose last column of weather is the irradiance of the clear sky. Goes out: that irradiance times the ratio of
value to clear sky over the last days, with residual quantiles by slot.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Clock, Floats, Ints
from mangrove.forecast.features import NAMES, Frame
from mangrove.forecast.models.residuals import by_slot

_DAYS = 56


class ClearSky:
    """`y = c k`: clear sky c, and k = sum of the last week's values / sum of their clear sky, by slot and for the day.

    A site without sun in a slot gives zero there. The ratio of a slot keeps what the roof's tilt and shades do; yesterday's level
    against the week's keeps how cloudy it is now.
    """

    every = 7

    def __init__(self, quantiles: tuple[float, ...]) -> None:
        self.quantiles = quantiles

    def fit(self, frame: Frame) -> None:
        """Learns how much of yesterday's clearness stays, and the residual quantiles."""
        x, usual = self._excess(frame), _usual(frame)
        use = np.isfinite(x) & np.isfinite(frame.target) & (usual > 0)
        y = frame.target / np.where(use, usual, 1.0) - 1
        weight = np.where(use, usual, 0.0)
        x, y = np.where(use, x, 0.0), np.where(use, y, 0.0)
        self._stays = float(np.clip((weight * x * y).sum() / max((weight * x * x).sum(), 1e-9), 0, 1))
        recent = frame.pick(slice(-_DAYS, None))
        self._residuals = by_slot(recent.target - self._point(recent), self.quantiles)

    def predict(self, frame: Frame) -> Floats:
        """See `Model.predict`."""
        return np.asarray(self._point(frame)[None] + self._residuals[:, None, :])

    def _point(self, frame: Frame) -> Floats:
        excess = self._excess(frame)
        return np.asarray(_usual(frame) * (1 + self._stays * np.where(np.isfinite(excess), excess, 0.0)))

    def _excess(self, frame: Frame) -> Floats:
        """How much clearer yesterday was than the week, as a fraction; shape (n, S), equal over a day."""
        day, week = (frame.lags[:, :, NAMES.index(name)] for name in ("day_1", "days_7"))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.clip(day / week - 1, -1, 1))


def _usual(frame: Frame) -> Floats:
    """The week's mean of each slot, 0 where the sun is down."""
    week = frame.lags[:, :, NAMES.index("week_mean")]
    return np.where(frame.weather[:, :, -1] > 0, week, 0.0) if frame.weather.shape[2] else week


def irradiance(days: Ints, clock: Clock, latitude: float, longitude: float) -> Floats:
    """Clear-sky irradiance on the horizontal in the middle of each step of local `days`, W/m2, shape (n, S).

    Haurwitz's formula through pvlib; B. Haurwitz, Journal of Meteorology 2 (1945), 154-166.
    """
    import pandas as pd
    import pvlib

    midnights = np.array([clock.midnight(int(day)) for day in days], dtype="datetime64[s]")
    middle = np.arange(clock.slots) * clock.seconds + clock.seconds // 2
    times = pd.DatetimeIndex((midnights[:, None] + middle.astype("timedelta64[s]")).ravel(), tz="UTC")
    zenith = pvlib.solarposition.get_solarposition(times, latitude, longitude)["apparent_zenith"]
    clear = pvlib.clearsky.haurwitz(zenith)["ghi"].to_numpy()
    return np.asarray(clear, dtype=np.float64).reshape(len(days), clock.slots)
