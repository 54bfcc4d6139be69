# SPDX-License-Identifier: Apache-2.0
"""Forecasts for an operation that plans again and again: at each moment the median, or joint samples, of every series.

Comes in: measured series on one time grid. Goes out: `outlook(at)`, a mapping from the name of a series to an array (S, N) for the N
steps from `at` on, made only from values whose interval ended by then. It is called with moments that do not go back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.errors import RequestError
from mangrove.forecast.calendar import DAY, Floats
from mangrove.forecast.forecaster import FEWEST_DAYS, Forecaster, joint_samples


class Outlook:
    """What is expected of several series, from any moment on.

    Args:
        start: UTC start of the first step; seconds: length of a step.
        values: name -> (T,) what is measured, NaN where missing; the future in it is read only when it has become the past.
        steps: N, steps of an outlook; tz: time zone of the days.
        samples: S joint samples; 1 gives the median instead.
        models: see `Forecaster`; the cheap ones unless stated, for a closed loop over a year.
        lower: no value is below it, by name; 0 unless stated.
        holidays, seed: see `Forecaster`; sites: name -> latitude and longitude, for the sun.

    Example:
        >>> load = np.tile(np.arange(24.0), 30)
        >>> ahead = Outlook(np.datetime64("2024-01-01", "s"), 3600, {"load": load}, steps=24, tz="UTC")
        >>> ahead(np.datetime64("2024-01-29", "s"))["load"][0, :3].round(1).tolist()
        [0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        start: np.datetime64,
        seconds: int,
        values: Mapping[str, Floats],
        *,
        steps: int,
        tz: ZoneInfo | str,
        samples: int = 1,
        models: tuple[str, ...] = ("naive", "profile", "ridge"),
        lower: Mapping[str, float | None] | None = None,
        holidays: Collection[date] = (),
        sites: Mapping[str, tuple[float, float]] | None = None,
        seed: int = 0,
    ) -> None:
        self._start, self._seconds, self._values = start, seconds, dict(values)
        self._steps, self._samples, self._seed = steps, samples, seed
        self._seen = 0
        self._forecasters = {
            name: Forecaster(
                seconds / 3600,
                tz,
                steps,
                lower=(lower or {}).get(name, 0.0),
                models=(*models, "clear_sky") if sites and name in sites else models,
                holidays=holidays,
                site=(sites or {}).get(name),
                seed=seed,
            )
            for name in values
        }

    def __call__(self, at: np.datetime64) -> dict[str, Floats]:
        """Arrays (S, N) by name; until three weeks have been seen, what was last measured at the same time of the week or day.

        Raises:
            RequestError: `forecast.off_grid`; `forecast.origin_before_data`, `at` lies before an earlier call.
        """
        away = int((at - self._start) / np.timedelta64(1, "s"))
        if away % self._seconds:
            raise RequestError("forecast.off_grid", start=at, seconds=self._seconds)
        now = away // self._seconds
        if now < self._seen:
            known = self._start + np.timedelta64(self._seen * self._seconds, "s")
            raise RequestError("forecast.origin_before_data", origin=at, known=known)
        ready = self._learn(now)
        found = {name: self._repeated(self._values[name], now) for name in self._values if name not in ready}
        issued = {name: self._forecasters[name].issue(at) for name in ready}
        if self._samples == 1:
            return found | {name: one.median[None] for name, one in issued.items()}
        drawn = joint_samples(list(issued.values()), self._samples, self._seed) if issued else ()
        found = {name: np.repeat(one, self._samples, axis=0) for name, one in found.items()}
        return found | dict(zip(issued, drawn, strict=True))

    def _learn(self, now: int) -> list[str]:
        """Hands over what ended since the last call; the names of the series that can be forecast."""
        ready = []
        starts = self._start + np.arange(now) * np.timedelta64(self._seconds, "s")
        for name, values in self._values.items():
            one, past = self._forecasters[name], values[:now]
            if one.daily.day >= 0:
                if now > self._seen:
                    one.observe(starts[self._seen : len(past)], past[self._seen :])
            elif (~np.isnan(past)).sum() * self._seconds >= (FEWEST_DAYS + 1) * DAY:
                one.fit(starts[: len(past)], past)
            if one.daily.day >= 0:
                ready.append(name)
        self._seen = now
        return ready

    def _repeated(self, values: Floats, now: int) -> Floats:
        """The values of a week ago, else of a day ago, else the latest one (0 at the very beginning), shape (1, N)."""
        found = np.full(self._steps, np.nan)
        ahead = now + np.arange(self._steps)
        for days in (7, 14, 1, 2, 3):
            at = ahead - days * DAY // self._seconds
            usable = (at >= 0) & (at < now) & np.isnan(found)
            found[usable] = values[at[usable]]
        past = values[:now]
        known = past[~np.isnan(past)]
        return np.where(np.isnan(found), known[-1] if len(known) else 0.0, found)[None]
