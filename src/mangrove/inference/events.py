# SPDX-License-Identifier: Apache-2.0
"""What an event changed, and how often such a change would be seen without any event.

Comes in: a daily series, series that the event could not touch (controls), and the day of the event. Goes out: the change against what
was expected without it, an interval and a p-value from placebo events: the same question asked at days on which nothing happened.
For many series at once, the false discovery rate is held (Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289-300; under any
dependence with the factor of Y. Benjamini and D. Yekutieli, Ann. Stat. 29 (2001) 1165-1188).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, RequestError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FEWEST_BEFORE = 56
"""Days before an event from which the expectation may be learned: eight weeks."""
FEWEST_PLACEBOS = 19
"""With fewer placebo events no p-value of 0.05 can be told: 1 / (19 + 1)."""
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Effect:
    """The change that an event made, as a share of what was expected.

    Attributes:
        change: mean of `actual / expected - 1` over the days after, in logarithms turned back; low, high: 95 % interval, low80, high80: 80 %.
        p: chance of a change at least as large without an event; placebos: how many days without an event it was compared with.
        expected: (D,) of all days; days: how many days after the event count.
    """

    change: float
    low: float
    high: float
    low80: float
    high80: float
    p: float
    placebos: int
    expected: Floats
    days: int


def effect(
    values: npt.ArrayLike, controls: npt.ArrayLike, at: int, *, after: int = 28, guard: int = 0
) -> Effect:
    """The change of a series from day `at` on against what its controls lead one to expect.

    The expectation is a ridge regression of the logarithm on the controls, learned on the days before only. The same is done at every
    possible placebo day before the event, with as many days after it; their errors give the interval and the p-value, and so hold the
    persistence of the series as it is, without a model of it.

    Args:
        values: daily amounts, shape (D,); NaN where nothing was measured; must be positive where measured.
        controls: what the event could not change (calendar, weather, other places), shape (D, C); NaN makes a day unusable.
        at: index of the first day of the event.
        after: days after the beginning that count at most.
        guard: days right before the event that are not learned from.

    Raises:
        RequestError: `why.event_outside`, `why.controls`.
        DataQualityError: `why.event_short`: too few days before, or after, or placebos; `why.event_zero`: values that are not positive.
    """
    y, x = np.asarray(values, np.float64), np.asarray(controls, np.float64)
    if x.ndim != 2 or len(x) != len(y):  # noqa: PLR2004 - days x controls
        raise RequestError("why.controls", values=len(y), controls=str(x.shape))
    if not 0 < at < len(y):
        raise RequestError("why.event_outside", day=at, days=len(y))
    if (y[~np.isnan(y)] <= 0).any():
        raise DataQualityError("why.event_zero")
    good = ~np.isnan(y) & ~np.isnan(x).any(axis=1)
    log = np.log(np.where(good, y, 1.0))
    stop = min(at + after, len(y))
    learned = _learn(x, log, good, at - guard)
    if learned is None or not good[at:stop].any():
        raise DataQualityError("why.event_short", days=int(good[: at - guard].sum()), fewest=FEWEST_BEFORE)
    expected = _predict(x, learned)
    found = _mean(log - expected, good, at, stop)
    length = stop - at
    placebos = _placebos(x, log, good, at - guard, length=length, guard=guard)
    if len(placebos) < FEWEST_PLACEBOS:
        raise DataQualityError("why.event_short", days=int(good[: at - guard].sum()), fewest=FEWEST_BEFORE)
    low, low80, high80, high = found - np.quantile(placebos, [0.975, 0.9, 0.1, 0.025])
    p = (1 + int((np.abs(placebos) >= abs(found)).sum())) / (1 + len(placebos))
    low, high, low80, high80 = np.expm1([low, high, low80, high80]).tolist()
    days = int(good[at:stop].sum())
    return Effect(float(np.expm1(found)), low, high, low80, high80, p, len(placebos), np.exp(expected), days)


def discoveries(p: npt.ArrayLike, rate: float = 0.1, *, dependent: bool = False) -> Bools:
    """Which of many p-values may be called a finding when at most a share `rate` of the findings may be false, shape (n,).

    Args:
        p: p-values, shape (n,).
        rate: false discovery rate.
        dependent: whether the series may depend on each other in any way (harmonic factor); otherwise positive dependence is assumed.

    Example:
        >>> discoveries([0.001, 0.2, 0.04, 0.9]).tolist()
        [True, False, True, False]
    """
    found = np.asarray(p, np.float64)
    count = len(found)
    if not count:
        return np.zeros(0, np.bool_)
    factor = float((1 / np.arange(1, count + 1)).sum()) if dependent else 1.0
    order = np.sort(found)
    passed = np.flatnonzero(order <= rate * np.arange(1, count + 1) / (count * factor))
    limit = order[passed[-1]] if len(passed) else -1.0
    return np.asarray(found <= limit)


def _placebos(x: Floats, log: Floats, good: Bools, end: int, *, length: int, guard: int) -> Floats:
    """The errors of the same method at days before the event, every day that has enough before and after it."""
    found = []
    for day in range(FEWEST_BEFORE + guard, end - length + 1):
        learned = _learn(x, log, good, day - guard)
        if learned is not None and good[day : day + length].any():
            found.append(_mean(log - _predict(x, learned), good, day, day + length))
    return np.array(found)


def _learn(x: Floats, log: Floats, good: Bools, end: int) -> tuple[Floats, Floats, Floats] | None:
    """Coefficients on standardized controls from the good days before `end`; None when there are too few."""
    rows = np.flatnonzero(good[: max(end, 0)])
    if len(rows) < FEWEST_BEFORE:
        return None
    seen = x[rows]
    mean, size = seen.mean(axis=0), seen.std(axis=0)
    size = np.where(size > 0, size, 1.0)
    scaled = (seen - mean) / size
    middle = log[rows].mean()
    gram = scaled.T @ scaled + _RIDGE * len(rows) * np.eye(x.shape[1])
    slope = np.linalg.solve(gram, scaled.T @ (log[rows] - middle))
    return slope / size, mean, np.array([middle])


def _predict(x: Floats, learned: tuple[Floats, Floats, Floats]) -> Floats:
    slope, mean, middle = learned
    return np.asarray((np.nan_to_num(x) - mean) @ slope + middle[0])


def _mean(error: Floats, good: Bools, start: int, stop: int) -> float:
    return float(error[start:stop][good[start:stop]].mean())
