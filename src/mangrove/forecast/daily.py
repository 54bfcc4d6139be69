# SPDX-License-Identifier: Apache-2.0
"""The day-ahead forecast, day after day: fit, issue at midnight, look at what happened, learn.

Comes in: a table of values that grows. Goes out: for each day the quantiles of it and of the days after it, as known at its first
instant. What a day teaches (weights, bands, residuals) counts from the next day on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mangrove.forecast import features, models
from mangrove.forecast.calendar import Clock, Floats, Ints
from mangrove.forecast.features import Frame
from mangrove.forecast.intraday import Correction
from mangrove.forecast.mix import Bands, Mix
from mangrove.forecast.score import Score, score
from mangrove.forecast.table import Table

MEMORY = 56
"""Days whose misses are kept for samples and for the correction during the day."""
_SCORED = 28
HISTORY = 400
"""Days before an origin that the models learn from at most: a year and the weeks that its lags need."""
_DARK = 14
"""A slot that was zero, with the hour around it, on as many days stays zero: the sun at night."""
_TINY = 0.01
"""Steps whose band is narrower than this share of the day's widest one tell nothing about misses."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What was issued at the first instant of a day; J days ahead, Q quantiles, S slots, M models.

    Attributes:
        models: what each model said of the first day, shape (M, Q, S).
        raw: the mix, shape (J, Q, S); issued: with corrected bands, shape (J, Q, S).
    """

    models: Floats
    raw: Floats
    issued: Floats


class Daily:
    """The engine behind `Forecaster`; see there for the arguments.

    Attributes:
        values: the table of values; day: the day whose forecast was issued last; issues: the last days' issues.
        mix, correction: what was learnt; scale: mean absolute weekly difference before the first forecast.
        score: how good the last four weeks' day-ahead forecasts were; None before the first day is over.
        misses: days without holes, shape (n,), and what their day-ahead forecasts missed relative to the band, shape (n, S).
    """

    def __init__(
        self,
        clock: Clock,
        levels: tuple[float, ...],
        names: tuple[str, ...],
        *,
        ahead: int,
        lower: float | None,
        off: Ints,
        outside: Callable[[Ints, Ints], Floats | None],
        seed: int,
    ) -> None:
        self.levels, self.names, self.lower, self.ahead = levels, names, lower, ahead
        self.values = Table(clock)
        self.mix = Mix(len(names), levels)
        self.correction = Correction(clock.slots)
        self.issues: dict[int, Issue] = {}
        self.day = -1
        self.score: Score | None = None
        self.misses: tuple[Ints, Floats] = (np.empty(0, dtype=np.int64), np.empty((0, clock.slots)))
        self._slots, self._off, self._outside = clock.slots, off, outside
        self._models = [models.make(name, levels, seed) for name in names]
        self._fitted = [-(10**6)] * len(names)
        self._bands = [Bands(levels, lower) for _ in range(ahead)]
        self._misses: dict[int, Floats] = {}
        self._scored: deque[tuple[Floats, Floats, Floats]] = deque(maxlen=_SCORED)
        self.scale = float("nan")

    def start(self, day: int) -> None:
        """Fits everything to the days before `day` and issues its forecast."""
        self.day = day
        past = self.values.before(day)
        self.scale = _weekly_difference(past)
        self._refit(day)
        self.issues[day] = self._issue(day)

    def advance(self, day: int) -> None:
        """Learns from all days up to `day`, refits what is due, and issues the forecast of `day`."""
        for today in range(self.day + 1, day + 1):
            self._close(today - 1)
            self._refit(today)
            self.issues[today] = self._issue(today)
            self.issues = {at: one for at, one in self.issues.items() if at > today - max(self.ahead, 2)}
            self.day = today
        self.score, self.misses = self._proven(), self._missed()

    def _proven(self) -> Score | None:
        """How good the last four weeks' day-ahead forecasts were; None before the first day is over."""
        if not self._scored:
            return None
        issued, naive, actual = (np.stack(part, axis=-2) for part in zip(*self._scored, strict=True))
        return score(issued, self.levels, actual, naive, self.scale, lower=self.lower)

    def _missed(self) -> tuple[Ints, Floats]:
        """Days without holes, and what their day-ahead forecasts missed relative to the band, shape (n, S)."""
        if not self._misses:
            return np.empty(0, dtype=np.int64), np.empty((0, self._slots))
        low, high = min(self._misses), max(self._misses) + 1
        empty = np.full(self._slots, np.nan)
        rows = [self._misses.get(day, empty)[: self._slots] for day in range(low, high)]
        return np.arange(low, high), np.stack(rows)

    def relative(self, issued: Floats, actual: Floats) -> Floats:
        """`(y - median) / width`, NaN where the value is missing, 0 where the band is next to nothing; shape of `actual`."""
        width = issued[-1] - issued[0]
        middle = issued[self.middle]
        wide = width > _TINY * max(float(np.nanmax(width, initial=0.0)), 1e-300)
        return np.where(
            wide, (actual - middle) / np.where(wide, width, 1.0), np.where(np.isnan(actual), np.nan, 0.0)
        )

    @property
    def middle(self) -> int:
        """The index of the quantile nearest to the median."""
        return int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))

    def _close(self, day: int) -> None:
        """Learns from what happened on `day`."""
        actual = self.values.day(day)
        if np.isnan(actual).all():
            return
        first = self.issues.get(day)
        if first is not None:
            self.mix.update(first.models, actual)
            self._scored.append((first.issued[0], first.models[self.names.index("naive")], actual))
            self._misses[day] = self.relative(first.issued[0], actual)
        for lead in range(self.ahead):
            one = self.issues.get(day - lead)
            if one is not None:
                self._bands[lead].update(one.raw[lead], actual)
            if lead == 1 and one is not None and day - 1 in self._misses:
                after = self.relative(one.issued[1], actual)
                self._misses[day - 1] = np.concatenate([self._misses[day - 1][: self._slots], after])
        self._misses = {at: z for at, z in self._misses.items() if at > day - MEMORY}

    def _refit(self, day: int) -> None:
        """Fits the models that are due, on the days before `day`."""
        due = [i for i, model in enumerate(self._models) if day - self._fitted[i] >= model.every]
        if not due:
            return
        low = max(self.values.first + 7, day - HISTORY)
        days = np.arange(low, day)
        frame = self._frame(self.values.before(day), days, days)
        for index in due:
            self._models[index].fit(frame)
            self._fitted[index] = day
        if self._misses:
            wide = max(len(z) for z in self._misses.values())
            padded = [np.pad(z, (0, wide - len(z)), constant_values=np.nan) for z in self._misses.values()]
            self.correction.fit(np.stack(padded))

    def _issue(self, day: int) -> Issue:
        """Forecasts `day` and the days after it; a later day takes the medians of the days before it for its lags."""
        low = max(day - features.REACH - 7, self.values.first)
        past = self.values.before(day)[low - self.values.first :]
        known = np.full((day - low, self._slots), np.nan)
        known[: len(past)] = past
        dark = _dark(known)
        raw, issued, said = [], [], None
        for lead in range(self.ahead):
            frame = self._frame(known, np.array([day + lead]), np.array([day]), low)
            found = np.stack([model.predict(frame)[:, 0] for model in self._models])
            found = np.where(dark, 0.0, found)
            if self.lower is not None:
                found = np.maximum(found, self.lower)
            said = found if said is None else said
            raw.append(self.mix.combine(found))
            banded = self._bands[lead].apply(raw[-1])
            issued.append(banded if self.lower is None else np.maximum(banded, self.lower))
            known = np.concatenate([known, issued[-1][self.middle][None]])
        assert said is not None
        return Issue(said, np.stack(raw), np.stack(issued))

    def _frame(self, values: Floats, days: Ints, origins: Ints, first: int | None = None) -> Frame:
        """Days described by `values` that begin at the day `first`, with what was known of the weather when `origins` began."""
        first = self.values.first if first is None else first
        origins = np.broadcast_to(origins, days.shape)
        return features.build(values, first, days, self._off, self._outside(days, origins))


def _dark(known: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Slots that were zero with the hour around them on each of the last days (and on no fewer than seven), shape (S,)."""
    slots = known.shape[1]
    recent = known[-_DARK:]
    lit = (np.where(np.isnan(recent), 0.0, recent) != 0).any(axis=0)
    if (~np.isnan(recent).all(axis=1)).sum() < 7:  # noqa: PLR2004 - a week
        return np.zeros(slots, dtype=bool)
    reach = max(slots // 24, 1)
    padded = np.concatenate([lit[-reach:], lit, lit[:reach]])
    return np.asarray(~np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).any(axis=1))


def _weekly_difference(values: Floats) -> float:
    """The mean absolute difference to a week before, over all days; the scale of the MASE."""
    difference = np.abs(values[7:] - values[:-7])
    there = ~np.isnan(difference)
    return float(difference[there].mean()) if there.any() else float("nan")
