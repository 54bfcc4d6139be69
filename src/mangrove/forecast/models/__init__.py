# SPDX-License-Identifier: Apache-2.0
"""The models that a forecast mixes: each learns from described days and says quantiles of another one.

Comes in: a `Frame` with targets. Goes out: for another frame quantiles by day and slot. All are deterministic.
"""

from __future__ import annotations

from typing import Protocol

from mangrove.errors import RequestError, did_you_mean
from mangrove.forecast.calendar import Floats
from mangrove.forecast.features import Frame


class Model(Protocol):
    """What the mix asks of a model."""

    every: int
    """Days between two fits."""

    def fit(self, frame: Frame) -> None:
        """Learns from the days of `frame` that have targets."""

    def predict(self, frame: Frame) -> Floats:
        """Quantiles of the days of `frame`, shape (Q, n, S); NaN where the model cannot say anything."""


NAMES = ("naive", "profile", "ridge", "boosted", "clear_sky")


def make(name: str, quantiles: tuple[float, ...], seed: int = 0) -> Model:
    """The model `name`: `naive`, `profile`, `ridge`, `boosted` (LightGBM) or `clear_sky` (needs the column of the clear sky).

    Raises:
        RequestError: `forecast.unknown_model`.
    """
    if name == "naive":
        from mangrove.forecast.models.naive import Naive

        return Naive(quantiles)
    if name == "profile":
        from mangrove.forecast.models.profile import Profile

        return Profile(quantiles)
    if name == "ridge":
        from mangrove.forecast.models.ridge import Ridge

        return Ridge(quantiles)
    if name == "boosted":
        from mangrove.forecast.models.boosted import Boosted

        return Boosted(quantiles, seed)
    if name == "clear_sky":
        from mangrove.forecast.models.clear_sky import ClearSky

        return ClearSky(quantiles)
    raise RequestError(
        "forecast.unknown_model", text=name, hint=did_you_mean(name, NAMES), options=", ".join(NAMES)
    )
