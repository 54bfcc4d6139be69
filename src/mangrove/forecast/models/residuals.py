# SPDX-License-Identifier: Apache-2.0
"""Quantiles around a point forecast, from what it missed before at the same time of day.

Comes in: residuals of past days by slot. Goes out: for each slot the quantiles of the residuals of it and its neighbours.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Floats


def by_slot(residuals: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Quantiles of the residuals within an hour of each slot, shape (Q, S).

    Args:
        residuals: shape (n, S); NaN where there was no value or no forecast.
        quantiles: probabilities, shape (Q,).

    Returns:
        Shape (Q, S); slots without any residual take the quantiles of all slots, 0 when there are none at all.
    """
    slots = residuals.shape[1]
    reach = max(slots // 24, 1)
    wrapped = np.concatenate([residuals[:, -reach:], residuals, residuals[:, :reach]], axis=1)
    near = np.lib.stride_tricks.sliding_window_view(wrapped, 2 * reach + 1, axis=1)
    near = np.moveaxis(near, 1, 0).reshape(slots, -1)
    everything = residuals[~np.isnan(residuals)]
    overall = np.quantile(everything, quantiles) if len(everything) else np.zeros(len(quantiles))
    found = np.repeat(overall[:, None], slots, axis=1)
    some = ~np.isnan(near).all(axis=1)
    if some.any():
        found[:, some] = np.nanquantile(near[some], quantiles, axis=1)
    return found
