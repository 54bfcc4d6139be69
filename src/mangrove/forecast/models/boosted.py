# SPDX-License-Identifier: Apache-2.0
"""Gradient-boosted trees (LightGBM) with the quantile loss; best on irregular loads, charging and sun.

Comes in: described days. Goes out: quantiles, one ensemble each. One thread and fixed seeds: the same days give the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mangrove.forecast.calendar import Floats
from mangrove.forecast.features import NAMES, Frame

_TREES = 220
_ROWS = 16_000
"""Rows of a fit at most; older days are thinned first."""
_LEAST = 0.05
"""A month's mean below this share of the usual one is no scale."""
_PARAMETERS: dict[str, Any] = {
    "objective": "quantile", "learning_rate": 0.05, "num_leaves": 24, "min_data_in_leaf": 30, "max_bin": 63,
    "feature_fraction": 0.6, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 1.0,
    "num_threads": 1, "deterministic": True, "force_col_wise": True, "verbosity": -1, "feature_pre_filter": False,
}  # fmt: skip


class Boosted:
    """One ensemble a quantile on the same binned rows."""

    every = 14

    def __init__(self, quantiles: tuple[float, ...], seed: int = 0) -> None:
        self.quantiles = quantiles
        self._seed = seed
        self._ensembles: list[Any] = []

    def fit(self, frame: Frame) -> None:
        """Grows the ensembles on the rows that have a target."""
        import lightgbm

        known = np.abs(frame.target[~np.isnan(frame.target)])
        self._usual = float(known.mean()) if known.any() else 1.0
        scale = level(frame, self._usual)
        y = (frame.target / scale).ravel()
        rows = _thin(np.flatnonzero(~np.isnan(y)))
        x = columns(frame, scale)[rows]
        data = lightgbm.Dataset(x, y[rows], params=_PARAMETERS, free_raw_data=False)
        self._ensembles = []
        for alpha in self.quantiles:
            parameters = {**_PARAMETERS, "alpha": alpha, "seed": self._seed}
            self._ensembles.append(lightgbm.train(parameters, data, _TREES))

    def predict(self, frame: Frame) -> Floats:
        """See `Model.predict`."""
        scale = level(frame, self._usual)
        x = columns(frame, scale)
        found = [ensemble.predict(x, num_threads=1) for ensemble in self._ensembles]
        return np.asarray(np.stack(found).reshape(len(self.quantiles), *frame.target.shape) * scale)


def level(frame: Frame, usual: float) -> Floats:
    """What values are measured in, shape (n, 1): the mean of the month before, so that a load that grows is not new to the trees.

    `usual` stands in for months without values or with next to none.
    """
    month = np.abs(frame.lags[:, :1, NAMES.index("days_28")])
    return np.where(month >= _LEAST * usual, month, usual)


def columns(frame: Frame, scale: Floats) -> Floats:
    """The columns of the trees, shape (n x S, p): slot, calendar, lags with their holes and in units of `scale`, weather."""
    days, slots = frame.target.shape
    slot = np.broadcast_to(np.arange(slots, dtype=np.float64)[None, :, None], (days, slots, 1))
    dates = np.broadcast_to(frame.calendar[:, None, :4], (days, slots, 4))
    lags = frame.lags / scale[:, :, None]
    lags[:, :, NAMES.index("days_28")] = scale
    return np.concatenate([slot, dates, lags, frame.weather], axis=2).reshape(days * slots, -1)


def _thin(rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """At most `_ROWS` rows: the newer half whole, the older ones evenly spaced."""
    if len(rows) <= _ROWS:
        return rows
    keep = _ROWS // 2
    old = rows[: len(rows) - keep]
    picked = old[np.linspace(0, len(old) - 1, keep).astype(np.int64)]
    return np.concatenate([picked, rows[len(rows) - keep :]])
