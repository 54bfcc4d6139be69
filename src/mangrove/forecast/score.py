# SPDX-License-Identifier: Apache-2.0
"""How good a forecast was: pinball loss, coverage of the band, error against the naive forecast.

Comes in: quantiles and what happened. Goes out: a `Score`. Steps whose value or forecast is missing do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mangrove.forecast.calendar import Floats


@dataclass(frozen=True, slots=True)
class Score:
    """The score of forecasts over some days.

    Attributes:
        days: days that count; steps: steps that count.
        mae: mean absolute error of the median, in the unit of the values.
        pinball: mean pinball loss over the quantiles divided by the mean absolute value.
        naive_pinball, naive_mae: the same of the weekly naive forecast on the same steps.
        mase: `mae` divided by the mean absolute weekly difference of the days before.
        coverage: share of values inside the outermost band; steps at which neither band nor value differs from zero do not count.
        nominal: the coverage that the bands promise: of those that begin at the lower bound only the upper end promises anything, so that
            a band of 80 % promises 90 % there; with many such steps (nights of a charging station) the mean lies between.
    """

    days: int
    steps: int
    mae: float
    pinball: float
    naive_mae: float
    naive_pinball: float
    mase: float
    coverage: float
    nominal: float

    @property
    def skill(self) -> float:
        """`1 - pinball / naive pinball`: 0 is as good as the naive forecast, 1 is perfect; NaN when that one never erred."""
        return 1 - self.pinball / self.naive_pinball if self.naive_pinball > 0 else float("nan")

    def as_dict(self) -> dict[str, float]:
        """The score as plain data, with the skill."""
        return {**asdict(self), "skill": self.skill}


def pinball(quantiles: Floats, levels: Sequence[float], actual: Floats) -> Floats:
    """The pinball loss `max(p (y - q), (p - 1)(y - q))`, shape of `quantiles`.

    Args:
        quantiles: shape (Q, ...).
        levels: probabilities p, shape (Q,).
        actual: values y, shape (...).

    Example:
        >>> pinball(np.array([[1.0]]), (0.9,), np.array([3.0])).tolist()
        [[1.8]]
    """
    p = np.asarray(levels).reshape(-1, *[1] * actual.ndim)
    miss = actual[None] - quantiles
    return np.maximum(p * miss, (p - 1) * miss)


def score(
    quantiles: Floats,
    levels: Sequence[float],
    actual: Floats,
    naive: Floats,
    scale: float,
    *,
    lower: float | None = None,
) -> Score:
    """Scores forecasts of whole days.

    Args:
        quantiles: shape (Q, n, S): quantiles of n days of S steps, ascending in Q.
        levels: probabilities, shape (Q,).
        actual: what happened, shape (n, S); NaN where missing.
        naive: quantiles of the naive forecast, shape (Q, n, S).
        scale: mean absolute weekly difference before these days, for the MASE.
        lower: no value is below it.
    """
    use = ~np.isnan(actual) & ~np.isnan(quantiles).any(axis=0) & ~np.isnan(naive).any(axis=0)
    y, q, base = actual[use], quantiles[:, use], naive[:, use]
    middle = int(np.argmin(np.abs(np.asarray(levels) - 0.5)))
    level = float(np.abs(y).mean()) if len(y) else float("nan")
    level = level or float("nan")
    informative = (y != 0) | (q[-1] > q[0])
    inside = ((y >= q[0]) & (y <= q[-1]))[informative]
    bound = (q[0] <= lower)[informative] if lower is not None else np.zeros(0)
    one_sided = float(bound.mean()) if bound.size else 0.0

    def mean(values: Floats) -> float:
        return float(values.mean()) if values.size else float("nan")

    mae = mean(np.abs(y - q[middle]))
    return Score(
        days=int(use.any(axis=1).sum()),
        steps=int(use.sum()),
        mae=mae,
        pinball=mean(pinball(q, levels, y)) / level,
        naive_mae=mean(np.abs(y - base[middle])),
        naive_pinball=mean(pinball(base, levels, y)) / level,
        mase=mae / scale if scale > 0 else float("nan"),
        coverage=mean(inside.astype(np.float64)),
        nominal=float(levels[-1] - levels[0] * (1 - one_sided)),
    )
