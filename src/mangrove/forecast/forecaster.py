# SPDX-License-Identifier: Apache-2.0
"""A forecaster of one series: it fits itself, issues quantiles and samples, learns from every value, and says how good it is.

Comes in: starts and values up to an origin, later values as they come, weather forecasts when there are any. Goes out: a `Forecast`. A
value is known when its interval has ended; what lies after the origin cannot enter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Self
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.errors import DataQualityError, RequestError
from mangrove.forecast import features
from mangrove.forecast.calendar import Clock, Floats, Ints, Times
from mangrove.forecast.daily import HISTORY, Daily
from mangrove.forecast.scenarios import Shape, sample
from mangrove.forecast.score import Score
from mangrove.forecast.table import Table
from mangrove.inference.days import day_numbers
from mangrove.times import zone

FEWEST_DAYS = 21
"""Days with values that a forecast needs: two weeks to learn from and one to prove itself."""
_HOUR = 3_600
BURN_IN = 28
"""Days before the first origin on which the weights and bands are learnt, as if each had been forecast then."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of a series from an origin on; T steps, Q quantiles.

    Attributes:
        origin: UTC; everything that was known then, and nothing later, is in it.
        starts: UTC starts of the steps, shape (T,).
        levels: probabilities, shape (Q,); quantiles: shape (Q, T), ascending in Q.
        score: how good the last weeks' day-ahead forecasts of this series were.
        weights: share of each model in the median.
    """

    origin: np.datetime64
    starts: Times
    levels: tuple[float, ...]
    quantiles: Floats
    score: Score | None
    weights: dict[str, float]
    shape: Shape = field(repr=False)

    @property
    def median(self) -> Floats:
        """The quantile nearest to one half, shape (T,)."""
        median: Floats = self.quantiles[int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))]
        return median

    def samples(self, count: int, seed: int = 0) -> Floats:
        """Possible futures, shape (count, T); the same seed gives the same ones. See `mangrove.forecast.scenarios`."""
        found: Floats = sample([self.shape], count, seed)[0]
        return found


def joint_samples(forecasts: Sequence[Forecast], count: int, seed: int = 0) -> Floats:
    """Possible futures of several series that move together as their past days did, shape (F, count, T)."""
    return sample([one.shape for one in forecasts], count, seed)


class Forecaster:
    """Forecasts one series.

    Args:
        step_hours: length of a step; a day has a whole number of them.
        tz: the territory's time zone (or its name): days are local days.
        horizon_steps: steps that a forecast reaches.
        quantiles: probabilities, ascending.
        lower: no value is below it; None for a series that may be negative.
        models: what is mixed; the seasonal naive and the usual profile always take part, so that a robust candidate exists.
            `("naive", "profile", "ridge")` is the cheap choice.
        holidays: days off, see `mangrove.rules.holidays`.
        site: latitude and longitude in degrees; gives the models the sun of a clear sky.
        seed: of the tree models.

    Attributes:
        daily: the engine: what it learnt so far, for those who want to look.

    Example:
        >>> starts = np.arange("2024-01-01", "2024-02-01", dtype="datetime64[h]").astype("datetime64[s]")
        >>> load = 10 + 5 * (np.arange(len(starts)) % 24 > 12)
        >>> one = Forecaster(1.0, "UTC", 24, models=("naive", "ridge")).fit(starts, load.astype(float))
        >>> forecast = one.issue(np.datetime64("2024-02-01", "s"))
        >>> forecast.median.round(1)[[0, 23]].tolist()
        [10.0, 15.0]
    """

    def __init__(
        self,
        step_hours: float,
        tz: ZoneInfo | str,
        horizon_steps: int,
        quantiles: Sequence[float] = (0.1, 0.5, 0.9),
        lower: float | None = 0.0,
        *,
        models: Sequence[str] = ("naive", "profile", "ridge", "boosted"),
        holidays: Collection[date] = (),
        site: tuple[float, float] | None = None,
        seed: int = 0,
    ) -> None:
        levels = tuple(float(q) for q in quantiles)
        if not levels or min(levels) <= 0 or max(levels) >= 1 or sorted(set(levels)) != list(levels):
            raise RequestError("forecast.bad_quantiles", text=", ".join(map(str, quantiles)))
        if horizon_steps < 1:
            raise RequestError("forecast.bad_horizon", steps=horizon_steps)
        self._clock = Clock.of(step_hours, zone(tz) if isinstance(tz, str) else tz)
        self._steps, self._levels, self._site = horizon_steps, levels, site
        slots = self._clock.slots
        ahead = (slots - 1 + horizon_steps - 1 + _changes(self._clock.tz) * slots // 24) // slots + 1
        names = tuple(dict.fromkeys(("naive", "profile", *models)))
        if "clear_sky" in names and site is None:
            raise RequestError("forecast.no_site")
        self.daily = Daily(
            self._clock,
            levels,
            names,
            ahead=ahead,
            lower=lower,
            off=day_numbers(holidays),
            outside=self._outside,
            seed=seed,
        )
        self._weather: Table | None = None
        self._observed: Table | None = None
        self._sky = Table(self._clock)
        self._phase = 0
        self._known: np.datetime64 = np.datetime64(0, "s")

    def fit(
        self,
        starts: Times,
        values: Floats,
        weather: tuple[Times, Floats] | None = None,
        observed: tuple[Times, Floats] | None = None,
    ) -> Self:
        """Learns from a history, up to its last value.

        Args:
            starts: UTC starts, shape (n,), a step apart from each other or whole steps.
            values: shape (n,); NaN where missing.
            weather: starts (m,) and forecasts (m, k) of the weather: for each step what was forecast the day before, over the
                history and as far ahead as it reaches.
            observed: starts (m,) and values (m, k) of what was observed beside the series (temperature, humidity, a neighbor): a day is
                described by the days before it, never by its own.

        Raises:
            DataQualityError: `forecast.too_short`, the history has too few days.
            RequestError: lengths differ, a start is off the grid, a value is infinite.
        """
        starts, values = self._checked(starts, values)
        day, _ = self._clock.locate(starts[~np.isnan(values)])
        known = np.unique(day[day > day.max(initial=0) - HISTORY])
        have = len(known)
        if have < FEWEST_DAYS:
            raise DataQualityError("forecast.too_short", days=have, needed=FEWEST_DAYS)
        self.daily.values.put(starts, values)
        self._known = self._end(starts[-1])
        if weather is not None:
            self._add_weather(*weather)
        if observed is not None:
            self._add_observed(*observed)
        today = int(self._clock.locate(np.array([self._known]))[0][0])
        first = int(known[-min(max(have // 3, 7), BURN_IN)])
        self.daily.start(first)
        self.daily.advance(today)
        return self

    def observe(self, start: np.datetime64 | datetime | Times, value: float | Floats) -> None:
        """Takes one value or several (arrays) that came after the history; a repeated start replaces its value."""
        starts = np.atleast_1d(np.asarray(start, dtype="datetime64[s]"))
        starts, values = self._checked(starts, np.atleast_1d(np.asarray(value, dtype=np.float64)))
        self.daily.values.put(starts, values)
        self._known = max(self._known, self._end(starts[-1]))

    def issue(
        self,
        origin: np.datetime64 | datetime,
        weather: tuple[Times, Floats] | None = None,
        observed: tuple[Times, Floats] | None = None,
    ) -> Forecast:
        """The forecast as of `origin`: the one of the day's first instant, corrected by what it missed since.

        Args:
            origin: UTC instant (or with a zone); not before the end of the last value that was given.
            weather: further weather forecasts, as for `fit`.
            observed: further observations, as for `fit`.

        Raises:
            RequestError: `forecast.origin_before_data`, a value that was given ends after the origin; `forecast.not_fitted`.
        """
        moment = utc(origin)
        if self.daily.day < 0:
            raise RequestError("forecast.not_fitted")
        if moment < self._known:
            raise RequestError("forecast.origin_before_data", origin=moment, known=self._known)
        if weather is not None:
            self._add_weather(*weather)
        if observed is not None:
            self._add_observed(*observed)
        starts = self._clock.steps(moment, self._steps, self._phase)
        day, slot = self._clock.locate(starts)
        today = int(self._clock.locate(np.array([moment]))[0][0])
        if today != self.daily.day:
            self.daily.advance(today)
        return self._assemble(moment, starts, day - today, slot, today)

    @property
    def score(self) -> Score | None:
        """How good the last four weeks' day-ahead forecasts were."""
        return self.daily.score

    def _assemble(self, moment: np.datetime64, starts: Times, day: Ints, slot: Ints, today: int) -> Forecast:
        """The issued quantiles at the asked steps, shifted and narrowed by what today missed."""
        daily = self.daily
        issued = daily.issues[today].issued
        lead = np.minimum(day, len(issued) - 1)
        quantiles = issued[lead, :, slot].T
        ended = int(slot[0]) if day[0] == 0 else self._clock.slots
        if ended:
            missed = daily.relative(issued[0], daily.values.day(today))[:ended]
            quantiles = self._corrected(quantiles, missed)
        days, misses = daily.misses
        shape = Shape(np.asarray(self._levels), quantiles, misses, days, lead, slot, daily.lower)
        weights = dict(zip(daily.names, daily.mix.weights[:, daily.middle].tolist(), strict=True))
        return Forecast(moment, starts, self._levels, quantiles, daily.score, weights, shape)

    def _corrected(self, quantiles: Floats, missed: Floats) -> Floats:
        daily = self.daily
        shift, narrow = daily.correction.shift(missed)
        count = min(len(shift), quantiles.shape[1])
        middle = quantiles[daily.middle, :count]
        width = quantiles[-1, :count] - quantiles[0, :count]
        near = middle + shift[:count] * width + (quantiles[:, :count] - middle) * narrow[:count]
        found = np.concatenate([near, quantiles[:, count:]], axis=1)
        return found if daily.lower is None else np.maximum(found, daily.lower)

    def _end(self, start: np.datetime64) -> np.datetime64:
        """The end of the interval that begins at `start`."""
        second = np.timedelta64(1, "s")
        if self._clock.seconds <= _HOUR:
            return np.datetime64(start + self._clock.seconds * second)
        return np.datetime64(self._clock.steps(start + second, 1, self._phase)[0])

    def _checked(self, starts: Times, values: Floats) -> tuple[Times, Floats]:
        """Starts in seconds and values as floats, in order; a located error for what makes no sense."""
        starts = np.asarray(starts, dtype="datetime64[s]")
        values = np.asarray(values, dtype=np.float64)
        if starts.shape != values.shape or starts.ndim != 1 or not len(starts):
            raise RequestError("forecast.lengths", starts=len(starts), values=values.size)
        phase = self._clock.phase(starts)
        if self.daily.day < 0:
            self._phase = int(phase[0])
        off = np.flatnonzero(phase != self._phase)
        if len(off):
            raise RequestError("forecast.off_grid", start=starts[off[0]], seconds=self._clock.seconds)
        if np.isinf(values).any():
            raise RequestError("forecast.not_finite", start=starts[np.flatnonzero(np.isinf(values))[0]])
        order = np.argsort(starts, kind="stable")
        return starts[order], values[order]

    def _add_weather(self, starts: Times, values: Floats) -> None:
        starts = np.asarray(starts, dtype="datetime64[s]")
        values = np.asarray(values, dtype=np.float64).reshape(len(starts), -1)
        if self._weather is None:
            self._weather = Table(self._clock, values.shape[1])
        self._weather.put(starts, values)

    def _add_observed(self, starts: Times, values: Floats) -> None:
        starts = np.asarray(starts, dtype="datetime64[s]")
        values = np.asarray(values, dtype=np.float64).reshape(len(starts), -1)
        if self._observed is None:
            self._observed = Table(self._clock, values.shape[1])
        self._observed.put(starts, values)

    def _outside(self, days: Ints, origins: Ints) -> Floats | None:
        """What was known of `days` from outside when `origins` began, shape (n, S, k).

        The last days observed, weather forecasts, and the clear sky of the site; the clear sky is the last column.
        """
        parts = []
        if self._observed is not None:
            parts.append(features.lately(self._observed, origins))
        if self._weather is not None:
            weather = self._weather
            parts.append(np.stack([weather.day(int(day)) for day in days]))
        if self._site is not None:
            if int(days[0]) < self._sky.first or int(days[-1]) >= self._sky.end or not len(self._sky.rows):
                self._extend_sky(int(days[0]), int(days[-1]) + 1, self._site)
            parts.append(np.stack([self._sky.day(int(day)) for day in days])[:, :, None])
        return np.concatenate(parts, axis=2) if parts else None

    def _extend_sky(self, low: int, high: int, site: tuple[float, float]) -> None:
        """Computes the clear sky of the days `[low, high)` and of two months after them."""
        from mangrove.forecast.models.clear_sky import irradiance

        days = np.arange(low, high + 60)
        sky = irradiance(days, self._clock, *site)
        self._sky.place(
            np.repeat(days, sky.shape[1]), np.tile(np.arange(sky.shape[1]), len(days)), sky.ravel()
        )


def utc(moment: np.datetime64 | datetime) -> np.datetime64:
    """An instant as UTC seconds; a naive one counts as UTC."""
    if not isinstance(moment, datetime):
        return np.datetime64(moment, "s")  # type: ignore[call-overload,no-any-return]  # numpy's stubs know no cast of a scalar
    plain = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(plain, "s")


def _changes(tz: ZoneInfo) -> bool:
    """Whether the clock of `tz` is changed in the year."""
    return datetime(2025, 1, 1, tzinfo=tz).utcoffset() != datetime(2025, 7, 1, tzinfo=tz).utcoffset()
