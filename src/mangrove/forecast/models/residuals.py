# SPDX-License-Identifier: Apache-2.0
"""Quantiles around a point forecast, from what it missed before at the same time of day.

Comes in: residuals of past days by slot. Goes out: for each slot the quantiles of the residuals of it and its neighbours, over all
days or by kind of day.
"""

from __future__ import annotations

import numpy as np

from mangrove.forecast.calendar import Floats, Ints
from mangrove.inference import days as days_of

_DAYS_OF_ALL = 8
"""Days of the same kind that count as much as all days together."""


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


def by_kind(residuals: Floats, kinds: Ints, quantiles: tuple[float, ...]) -> Floats:
    """Quantiles of the residuals within an hour of each slot on days of each kind, a day off like a Sunday, shape (3, Q, S).

    A factory that stands still on Sundays misses nothing then. A kind with few days leans on all days.

    Args:
        residuals: shape (n, S); NaN where there was no value or no forecast.
        kinds: kind of each day, shape (n,).
        quantiles: probabilities, shape (Q,).
    """
    everything = by_slot(residuals, quantiles)
    known = ~np.isnan(residuals).all(axis=1)
    found = []
    for kind in range(days_of.CLOSED):
        own = known & (np.minimum(kinds, days_of.SUNDAY) == kind)
        share = own.sum() / (own.sum() + _DAYS_OF_ALL)
        found.append(
            share * by_slot(residuals[own], quantiles) + (1 - share) * everything if share else everything
        )
    return np.stack(found)
