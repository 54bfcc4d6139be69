# SPDX-License-Identifier: Apache-2.0
"""Forecasts of past days, each issued with what was known then, beside what happened.

Comes in: a series with its history. Goes out: the quantiles issued for each day at its first instant, and their score.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.errors import DataQualityError
from mangrove.forecast.calendar import Clock, Floats, Ints, Times
from mangrove.forecast.forecaster import FEWEST_DAYS, Forecaster
from mangrove.forecast.score import Score, score
from mangrove.times import zone


@dataclass(frozen=True, slots=True)
class Backtest:
    """Day-ahead forecasts of n days of S slots.

    Attributes:
        days: local day numbers, shape (n,); actual: what happened, shape (n, S).
        quantiles: issued, shape (Q, n, S); naive: those of the weekly naive forecast.
        score: over all days; levels: probabilities, shape (Q,).
        names: of the models that were mixed; models: what each alone would have said, shape (M, Q, n, S).
        scale, lower: see `mangrove.forecast.score.score`.
    """

    days: Ints
    actual: Floats
    quantiles: Floats
    naive: Floats
    score: Score
    levels: tuple[float, ...]
    names: tuple[str, ...]
    models: Floats
    scale: float
    lower: float | None

    def part(self, chosen: slice, model: str = "") -> Score:
        """The score of some of the days, of the mix or of one model alone (its own quantiles, nothing corrected)."""
        said = self.models[self.names.index(model)] if model else self.quantiles
        return score(
            said[:, chosen],
            self.levels,
            self.actual[chosen],
            self.naive[:, chosen],
            self.scale,
            lower=self.lower,
        )


def backtest(
    starts: Times,
    values: Floats,
    *,
    days: int,
    step_hours: float,
    tz: ZoneInfo | str,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    lower: float | None = 0.0,
    models: Sequence[str] = ("naive", "profile", "ridge", "boosted"),
    holidays: Collection[date] = (),
    weather: tuple[Times, Floats] | None = None,
    site: tuple[float, float] | None = None,
) -> Backtest:
    """Forecasts each of the last `days` local days at its first instant; the arguments are those of `Forecaster`.

    Raises:
        DataQualityError: `forecast.too_short`, the history before these days has too few days.
    """
    where = zone(tz) if isinstance(tz, str) else tz
    clock = Clock.of(step_hours, where)
    number, _ = clock.locate(np.asarray(starts, dtype="datetime64[s]"))
    low = int(number.max()) + 1 - days
    before = number < low
    if len(np.unique(number[before])) < FEWEST_DAYS:
        raise DataQualityError("forecast.too_short", days=len(np.unique(number[before])), needed=FEWEST_DAYS)
    one = Forecaster(
        step_hours, where, clock.slots, quantiles, lower, models=models, holidays=holidays, site=site
    )  # fmt: skip
    one.fit(starts[before], values[before], weather)
    issued, said, actual = [], [], []
    levels = tuple(quantiles)
    for day in range(low, low + days):
        one.issue(clock.midnight(day))
        today = one.daily.issues[day]
        issued.append(today.issued[0])
        said.append(today.models)
        now = number == day
        if now.any():
            one.observe(starts[now], values[now])
        actual.append(one.daily.values.day(day).copy())
    found, alone = np.stack(issued, axis=1), np.stack(said, axis=2)
    happened, naive, scale = np.stack(actual), alone[0], one.daily.scale
    total = score(found, levels, happened, naive, scale, lower=lower)
    return Backtest(
        np.arange(low, low + days),
        happened,
        found,
        naive,
        total,
        levels,
        one.daily.names,
        alone,
        scale,
        lower,
    )
