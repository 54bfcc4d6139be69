# SPDX-License-Identifier: Apache-2.0
"""What is expected of the coming hours: the series that a plan needs, on its finest steps, in one or several scenarios.

Comes in: measured series on one time grid, or forecasts. Goes out: `outlook(at)`, a mapping from the name of a series to kW of shape
(S, N) for the N steps from `at` on. Perfect knowledge and persistence live here; the forecasting verb brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.operate.state import SECOND

Floats = npt.NDArray[np.float64]
Outlook = Callable[[np.datetime64], Mapping[str, Floats]]
"""(S, N) kW by name of series, from the given moment on."""
WEEK = 7 * 86_400
DAY = 86_400


@dataclass(frozen=True)
class Grid:
    """Series on one regular time grid.

    Attributes:
        start: of the first step (UTC, datetime64[s]); seconds: length of a step; values: name -> (T,) kW, NaN where unknown.

    Raises:
        RequestError: `operate.lengths_differ`, `operate.not_finite`.
    """

    start: np.datetime64
    seconds: int
    values: Mapping[str, Floats]

    def __post_init__(self) -> None:
        lengths = {name: len(series) for name, series in self.values.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
            raise RequestError("operate.lengths_differ", series=listed)
        for name, series in self.values.items():
            if np.isinf(series).any():
                raise RequestError("operate.not_finite", name=name, step=int(np.argmax(np.isinf(series))))

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return max((len(series) for series in self.values.values()), default=0)

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """(T,) starts of the steps."""
        return self.start + np.arange(self.steps) * (self.seconds * SECOND)

    def index(self, at: np.datetime64) -> int:
        """The number of the step that begins at `at`; raises `RequestError` `operate.off_grid` between two steps."""
        away = int((at - self.start) / SECOND)
        if away % self.seconds:
            raise RequestError("operate.off_grid", at=str(at), start=str(self.start), seconds=self.seconds)
        return away // self.seconds


def perfect(grid: Grid, steps: int) -> Outlook:
    """Everybody knows what will be measured; behind the end of the data the last day repeats itself."""

    def outlook(at: np.datetime64) -> Mapping[str, Floats]:
        first = grid.index(at)
        day = DAY // grid.seconds
        at_step = np.arange(first, first + steps)
        beyond = at_step >= grid.steps
        at_step[beyond] -= ((at_step[beyond] - grid.steps) // day + 1) * day
        at_step = np.clip(at_step, 0, grid.steps - 1)
        return {name: series[at_step][None] for name, series in grid.values.items()}

    return outlook


def persistence(
    grid: Grid, steps: int, *, scenarios: int = 1, seasons: Mapping[str, int] | None = None
) -> Outlook:
    """What was measured a season ago will be measured again; with scenarios, off by what persistence missed before.

    Only what lies before the moment is read. A value that is missing there falls back by one season more, up to four;
    at the beginning of the data, where no season has passed, the latest value stands.

    Args:
        grid: measured series.
        steps: N, steps of the outlook.
        scenarios: S; scenario s repeats the misses of the s-th last whole season.
        seasons: seconds after which a series repeats itself, by name; a week unless stated, a day for generation.
    """
    seasons = seasons or {}

    def outlook(at: np.datetime64) -> Mapping[str, Floats]:
        now = grid.index(at)
        found = {}
        for name, series in grid.values.items():
            season = max(seasons.get(name, WEEK) // grid.seconds, 1)
            base = _repeated(series, now, steps, season)
            found[name] = np.maximum(base[None] + _misses(series, now, steps, season, scenarios), 0.0)
        return found

    return outlook


def _repeated(series: Floats, now: int, steps: int, season: int) -> Floats:
    """(N,) the series `now - season` and on, repeated; holes are filled from earlier seasons, then with the latest value."""
    ahead = np.arange(steps) % season
    found = np.full(steps, np.nan)
    for back in range(1, 5):
        at = now - back * season + ahead
        usable = (at >= 0) & (at < now) & np.isnan(found)
        found[usable] = series[at[usable]]
    hole = np.isnan(found)
    if hole.any():
        before = series[max(now - season, 0) : now]
        known = before[~np.isnan(before)]
        found[hole] = known[-1] if len(known) else 0.0
    return found


def _misses(series: Floats, now: int, steps: int, season: int, scenarios: int) -> Floats:
    """(S, N) what persistence missed in earlier seasons; zero where that is not known, and for a single scenario."""
    if scenarios == 1:
        return np.zeros((1, steps))
    ahead = np.arange(steps) % season
    back = np.arange(1, scenarios + 1)[:, None]
    # Days repeat their errors better than weeks do, and there are more of them.
    lag = min(season, steps)
    then = now - back * lag + ahead[None, :] % lag
    before = then - season
    usable = (before >= 0) & (then < now) & (then >= 0)
    missed = np.where(usable, series[np.clip(then, 0, None)] - series[np.clip(before, 0, None)], 0.0)
    known: Floats = np.nan_to_num(missed)
    centered: Floats = known - known.mean(axis=0, keepdims=True)
    return centered
