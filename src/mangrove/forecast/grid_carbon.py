# SPDX-License-Identifier: Apache-2.0
"""The carbon intensity of a national grid one to seven days ahead, by day and by hour, with intervals that keep their promise.

Comes in: the daily mix and intensity up to the last published day; for hours, the intensity of past hours. Goes out: quantiles for each
day and hour, and a walk through the past that issues every forecast as it would have been issued then: penalties, trees and widths of
bands are chosen from what was known at each origin.

Two ridge regressions (a short and a long memory) and boosted trees say how the logarithm of the intensity changes from the origin; their
plain mean is the forecast, since equal weights are hard to beat (J. Bates, C. Granger, Oper. Res. Q. 20(4), 1969). Bands: quantiles of
the misses of past origins in units of their recent size, whose levels adapt to what they covered (I. Gibbs, E. Candès, NeurIPS 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from mangrove.errors import DataQualityError, RequestError
from mangrove.forecast.grid_features import DailyMix, Floats, Ints, describe
from mangrove.rules import holidays

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""The median and the edges of the 80 % and the 95 % interval."""
LONGEST = 7
FEWEST_DAYS = 120
"""Published days that a forecast needs: two months to learn from, and two to know its misses from."""
_PROVEN = 400
"""Days of the past that are walked through before a forecast, so that its bands rest on a year of misses."""
_FIRST_FIT = 40
_HALF_LIVES = (200.0, 1000.0)
"""Memories of the two regressions in days."""
_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_BLOCK, _BLOCKS = 14, 13
"""Penalties are tried on so many blocks of days, left out one by one: half a year."""
_REFIT, _REGROW = 7, 28
_TREES: dict[str, Any] = {
    "objective": "l1", "learning_rate": 0.06, "num_leaves": 8, "min_data_in_leaf": 20, "max_bin": 63, "feature_fraction": 0.4,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "seed": 1, "num_threads": 1, "deterministic": True,
    "force_col_wise": True, "verbosity": -1,
}  # fmt: skip
_ROUNDS = 80
_MEMORY = 365
"""Misses of so many days give the bands."""
_FEWEST_MISSES = 30
_GAIN = 0.01
"""Step of the adaptive level a day."""
_SIZE = 0.06
"""Weight of a new miss in the running size of misses: about a month."""
_SHAPES = 28
"""Days whose hours give the course of a day."""
_GRID = 99
"""Levels at which the distribution of a day is taken for its hours."""


@dataclass(frozen=True, eq=False)
class GridForecast:
    """The intensity of the H days after an origin.

    Attributes:
        origin: the last day that was known; levels: probabilities; quantiles: (Q, H), ascending in Q, in the unit of the intensity.
        coverage: share of the past year's days inside the 80 % and the 95 % interval, one day ahead.
        error: mean absolute error of the past year's forecasts by lead, as a share, (H,); naive: that of the last known day's value.
    """

    origin: date
    levels: tuple[float, ...]
    quantiles: Floats
    coverage: tuple[float, float]
    error: Floats
    naive: Floats

    @property
    def days(self) -> list[date]:
        """The days that are forecast."""
        return [self.origin + timedelta(days=k + 1) for k in range(self.quantiles.shape[1])]

    @property
    def median(self) -> Floats:
        """(H,)."""
        middle: Floats = self.quantiles[int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))]
        return middle


@dataclass(frozen=True, eq=False)
class Walk:
    """Forecasts as they would have been issued at the end of each of D days.

    Attributes:
        median: (D, H); quantiles: (Q, D, H), NaN before there are misses to learn from; truth: (D, H), what came; naive: (D,).
    """

    median: Floats
    quantiles: Floats
    truth: Floats
    naive: Floats

    def errors(self, where: np.ndarray[Any, np.dtype[np.bool_]] | None = None) -> tuple[Floats, Floats]:
        """Mean absolute error by lead as a share of the truth, (H,) each: ours, and the last known day's; same days for both."""
        use = np.isfinite(self.median) & np.isfinite(self.truth)
        if where is not None:
            use &= where[:, None]
        count = np.maximum(use.sum(axis=0), 1)

        def share(guess: Floats) -> Floats:
            missed = np.abs(guess - self.truth) / self.truth
            found: Floats = np.where(use, missed, 0.0).sum(axis=0) / count
            return found

        return share(self.median), share(np.broadcast_to(self.naive[:, None], self.truth.shape))

    def covered(self, low: int, high: int, where: np.ndarray[Any, Any] | None = None) -> Floats:
        """Share of the truth between two quantiles (by index), by lead, (H,)."""
        use = np.isfinite(self.quantiles[low]) & np.isfinite(self.truth)
        if where is not None:
            use &= where[:, None]
        inside = (self.quantiles[low] <= self.truth) & (self.truth <= self.quantiles[high])
        found: Floats = (inside & use).sum(axis=0) / np.maximum(use.sum(axis=0), 1)
        return found


def forecast_days(mix: DailyMix, horizon: int = LONGEST) -> GridForecast:
    """The intensity of the days after the last published one.

    Raises:
        RequestError: `gridcarbon.horizon`: not 1 to 7 days.
        DataQualityError: `gridcarbon.too_short`: fewer published days than `FEWEST_DAYS`.
    """
    if not 1 <= horizon <= LONGEST:
        raise RequestError("gridcarbon.horizon", days=horizon, most=LONGEST)
    known = np.flatnonzero(np.isfinite(mix.intensity))
    if len(known) < FEWEST_DAYS:
        raise DataQualityError("gridcarbon.too_short", days=len(known), fewest=FEWEST_DAYS)
    last = int(known[-1]) + 1
    mix = DailyMix(mix.first, {k: v[:last] for k, v in mix.energy.items()}, mix.intensity[:last], mix.zone)
    walked = walk(mix, horizon, since=max(last - _PROVEN, 0))
    recent = np.arange(last) >= last - _MEMORY
    ours, naive = walked.errors(recent)
    inside = float(walked.covered(1, 3, recent)[0]), float(walked.covered(0, 4, recent)[0])
    origin = mix.first + timedelta(days=last - 1)
    return GridForecast(origin, LEVELS, walked.quantiles[:, -1], inside, ours, naive)


def walk(mix: DailyMix, horizon: int = LONGEST, since: int = 0) -> Walk:
    """Issues a forecast at the end of every day from index `since` on; what a day brings counts from the next day on."""
    log = np.log(mix.intensity)
    days = len(log)
    change = np.full((days, horizon), np.nan)
    truth = np.full((days, horizon), np.nan)
    with threadpool_limits(limits=1, user_api="blas"):
        for lead in range(1, horizon + 1):
            truth[: max(days - lead, 0), lead - 1] = log[lead:]
            change[:, lead - 1] = _changes(describe(mix, lead), truth[:, lead - 1] - log, lead, since)
    middle = log[:, None] + change
    quantiles = _bands(middle, truth, np.asarray(LEVELS))
    return Walk(np.exp(middle), np.exp(quantiles), np.exp(truth), mix.intensity)


def hourly(found: GridForecast, history: Floats, daily: Floats, zone: str) -> Floats:
    """The intensity of each hour of the days that are forecast, (Q, H, 24).

    The course of an hour around its day is that of the last four weeks' days of the same kind (working day or not); its spread and
    that of the day are joined as independent.

    Args:
        found: the days.
        history: (D, 24) intensities of the hours of the D days up to the origin.
        daily: (D,) intensities of these days.
        zone: IANA zone, whose days off hold.

    Raises:
        DataQualityError: `gridcarbon.no_hours`: none of these days has hours.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shapes = np.log(history / daily[:, None])
    first = found.origin - timedelta(days=len(daily) - 1)
    numbers = np.array([first + timedelta(days=k) for k in range(len(daily))], dtype="datetime64[D]")
    whole = np.flatnonzero(np.isfinite(shapes).all(axis=1))
    if not len(whole):
        raise DataQualityError("gridcarbon.no_hours")
    rest = _rests(numbers.astype(np.int64), zone)
    result = np.empty((len(found.levels), len(found.days), shapes.shape[1]))
    target = _rests(np.array(found.days, dtype="datetime64[D]").astype(np.int64), zone)
    for k in range(len(found.days)):
        alike = whole[rest[whole] == target[k]][-_SHAPES:]
        rows = shapes[alike if len(alike) else whole[-_SHAPES:]]
        spread = _spread(np.log(found.quantiles[:, k]), found.levels)
        result[:, k] = np.quantile(
            (spread[:, None, None] + rows).reshape(-1, rows.shape[1]), found.levels, axis=0
        )
    return np.exp(result)


def _changes(columns: Floats, target: Floats, lead: int, since: int) -> Floats:
    """How the logarithm changes from each origin to `lead` days later, (D,); NaN where the origin itself is not known."""
    x = np.where(np.isnan(columns), 0.0, columns)
    known = np.isfinite(columns[:, 0])
    found, trees = np.zeros(len(target)), None
    for begin in range(since - since % _REGROW, len(target), _REFIT):
        rows = np.flatnonzero(np.isfinite(target[: max(begin - lead + 1, 0)]))
        if len(rows) < _FIRST_FIT:
            continue  # with too little to learn from, tomorrow is like today
        stop = begin + _REFIT
        if trees is None or begin % _REGROW == 0:
            trees = _grow(columns[rows], target[rows], begin - rows)
        ridges = [_ridge(x, target, rows, begin, half_life)[begin:stop] for half_life in _HALF_LIVES]
        grown = trees.predict(columns[begin:stop], num_threads=1)
        found[begin:stop] = np.mean([*ridges, grown], axis=0)
    return np.where(known, found, np.nan)


def _grow(x: Floats, y: Floats, age: Ints) -> Any:
    import lightgbm

    data = lightgbm.Dataset(x, y, weight=0.5 ** (age / 400.0), params=_TREES, free_raw_data=False)
    return lightgbm.train(_TREES, data, _ROUNDS)


def _ridge(x: Floats, y: Floats, rows: Ints, now: int, half_life: float) -> Floats:
    """What a weighted ridge regression on `rows` says of every row of `x`; the penalty misses least on blocks that are left out."""
    age = now - rows
    weight = 0.5 ** (age / half_life)
    mean = weight @ x[rows] / weight.sum()
    spread = np.sqrt(weight @ (x[rows] - mean) ** 2 / weight.sum())
    z = (x - mean) / np.where(spread < 1e-6, np.inf, spread)  # noqa: PLR2004 - a column that never moved says nothing
    fitted, wanted = z[rows], y[rows]
    normal, cross = fitted.T @ (fitted * weight[:, None]), fitted.T @ (weight * wanted)
    ridge = np.asarray(_PENALTIES)[:, None, None] * np.eye(x.shape[1])
    missed = np.zeros(len(_PENALTIES))
    for block in range(_BLOCKS):
        out = age // _BLOCK == block
        if out.any():
            left, counts = fitted[out], weight[out]
            others = normal - left.T @ (left * counts[:, None])
            tried = np.linalg.solve(others + ridge, (cross - left.T @ (counts * wanted[out]))[:, None])[
                :, :, 0
            ]
            missed += np.abs(wanted[out][:, None] - left @ tried.T).sum(axis=0)
    best = ridge[int(np.argmin(missed))]
    return np.asarray(z @ np.linalg.solve(normal + best, cross))


def _bands(middle: Floats, truth: Floats, levels: Floats) -> Floats:
    """Quantiles around the forecasts, (Q, D, H); each origin uses the misses that were known at its end.

    A miss is measured in units of the running size of misses of its lead, so that restless weeks have wide bands.
    """
    days, leads = middle.shape
    found = np.full((len(levels), days, leads), np.nan)
    for lead in range(1, leads + 1):
        column = lead - 1
        found[:, :, column] = _band(middle[:, column], truth[:, column], levels, lead)
    return found


def _band(middle: Floats, truth: Floats, levels: Floats, lead: int) -> Floats:
    """`_bands` of one lead, (Q, D)."""
    missed = truth - middle
    size = _running(missed, lead)
    scores = missed / size
    found = np.full((len(levels), len(middle)), np.nan)
    target = levels.copy()
    for day in range(len(middle)):
        old = day - lead  # the newest origin whose truth is known now
        if old >= 0 and np.isfinite(missed[old]) and np.isfinite(found[0, old]):
            target = np.clip(target + _GAIN * (levels - (truth[old] <= found[:, old])), 0.002, 0.998)
        window = scores[max(old - _MEMORY, 0) : max(old + 1, 0)]
        window = window[np.isfinite(window)]
        if len(window) >= _FEWEST_MISSES and np.isfinite(middle[day]):
            widths = np.sort(np.quantile(window, target))
            found[:, day] = middle[day] + size[day] * np.where(levels == 0.5, 0.0, widths)  # noqa: PLR2004
    return np.sort(found, axis=0)


def _running(missed: Floats, lead: int) -> Floats:
    """The running mean absolute miss as known at each origin, (D,)."""
    size, found = np.nan, np.empty(len(missed))
    for day in range(len(missed)):
        old = day - lead
        if old >= 0 and np.isfinite(missed[old]):
            new = abs(float(missed[old]))
            size = new if np.isnan(size) else size + _SIZE * (new - size)
        found[day] = size
    return np.where(found > 0, found, np.nan)


def _spread(quantiles: Floats, levels: Sequence[float]) -> Floats:
    """The distribution behind a few quantiles at `_GRID` levels: straight lines in normal scores, continued at both ends."""
    normal = NormalDist()
    at = np.array([normal.inv_cdf(level) for level in levels])
    asked = np.array([normal.inv_cdf((k + 0.5) / _GRID) for k in range(_GRID)])
    part = np.clip(np.searchsorted(at, asked) - 1, 0, len(at) - 2)
    slope = (quantiles[part + 1] - quantiles[part]) / (at[part + 1] - at[part])
    found: Floats = quantiles[part] + slope * (asked - at[part])
    return found


def _rests(days: Ints, zone: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether a day is a Sunday or a day off."""
    off = np.array(sorted(holidays.days(zone)), dtype="datetime64[D]").astype(np.int64)
    return np.asarray(np.isin(days, off) | ((days + 3) % 7 == 6))  # noqa: PLR2004 - Sunday
