# SPDX-License-Identifier: Apache-2.0
"""The statistical models behind the generated example data: loads, sun, charging sessions, states.

Comes in: the small tables of statistics beside this file, a calendar and a stream of random numbers. Goes out: plain
arrays. A load is a Gaussian copula: each (day type, hour) has its own quantiles, taken from a real series, and a hidden
standard normal series says which quantile comes next; its persistence is that of the real series. Random numbers use
only what is fixed for all platforms and releases: the raw 64-bit output of PCG64, turned into normals by the
inverse distribution function of Python's standard library.
"""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mangrove import messages, text
from mangrove.errors import RequestError
from mangrove.rules import holidays

Array = NDArray[np.float64]
Times = NDArray[np.datetime64]

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Probabilities of the quantiles that a row of `profiles.csv` holds."""

DAY_TYPES = ("work", "saturday", "sunday", "closed")

HAURWITZ = 1098.0, 0.057
"""Coefficients of Haurwitz's clear sky (W/m2 and 1): B. Haurwitz, Journal of Meteorology 2 (1945), 154-166."""

_FALLBACK = {"saturday": ("sunday", "work"), "closed": ("sunday", "work"), "sunday": ("work",)}
"""Where a profile has no rows for a day type, the first of these that it has stands in."""

_DAY = 86400
_ROUNDS = 4
"""Times that the hours of a day are scaled to the day's clearness, because each time some reach the clear sky."""


class Stream:
    """Random numbers of one named series: the same for the same seed and name, whatever else is generated."""

    def __init__(self, seed: int, name: str) -> None:
        key = np.random.SeedSequence([seed, zlib.crc32(name.encode())])
        self._bits = np.random.PCG64(key)

    def uniform(self, count: int) -> Array:
        """`count` numbers in the open interval (0, 1): the upper 53 bits of the raw output, centered."""
        raw = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        return (np.right_shift(raw, np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, count: int) -> Array:
        """`count` standard normal numbers."""
        inverse = NormalDist().inv_cdf
        return np.fromiter(map(inverse, self.uniform(count).tolist()), np.float64, count)

    def persistent(self, count: int, decay: float) -> Array:
        """A standard normal series with correlation `decay ** k` at lag k, by doubling (no loop over steps)."""
        series = self.normal(count)
        series[1:] *= math.sqrt(1 - decay * decay)
        reach, weight = 1, decay
        while reach < count and weight > 1e-12:  # noqa: PLR2004 - below the precision of the sum
            series[reach:] = series[reach:] + weight * series[:-reach]
            reach, weight = reach * 2, weight * weight
        return series


@dataclass(frozen=True)
class Calendar:
    """The days of one year: which are closed beside the weekends.

    Example:
        >>> Calendar.of(2024).types()[38:42].tolist()  # 8 to 11 February: Tết
        [3, 3, 3, 3]
    """

    year: int
    closed: frozenset[date]

    @classmethod
    def of(cls, year: int) -> Calendar:
        """Việt Nam's public holidays of `year`; `RequestError` when the table has none."""
        closed = holidays.of(year)
        if not closed:
            options = ", ".join(map(str, holidays.years()))
            raise RequestError("generator.no_calendar", year=year, options=options)
        return cls(year, closed)

    def days(self) -> Times:
        """Every day of the year, shape (365 or 366,)."""
        return np.arange(f"{self.year}-01-01", f"{self.year + 1}-01-01", dtype="datetime64[D]")

    def types(self) -> NDArray[np.int64]:
        """The day type of every day, index into `DAY_TYPES`."""
        days = self.days()
        weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
        types = np.maximum(0, weekday - 4)
        types[np.isin(days, np.array(sorted(self.closed), dtype="datetime64[D]"))] = DAY_TYPES.index("closed")
        return types

    def starts(self, step: int) -> Times:
        """The local start of every step of `step` seconds in the year."""
        first, last = np.datetime64(f"{self.year}-01-01", "s"), np.datetime64(f"{self.year + 1}-01-01", "s")
        return np.arange(first, last, np.timedelta64(step, "s"))


def native_step(profile: str) -> int:
    """The step of a load profile, in seconds; `RequestError` when there is no such profile."""
    quantiles(profile)
    return 3600 // int(parameters(profile)["steps_per_hour"])


def load(profile: str, calendar: Calendar, stream: Stream, step: int) -> Array:
    """Amounts per step of a load with the statistics of `profile`, in the profile's own unit.

    Args:
        profile: a load profile of `profiles.csv`; amounts there are per native step of the profile.
        calendar: the year.
        stream: the random numbers.
        step: seconds; a multiple of the native step, whose amounts are added up.

    Returns:
        Shape (steps of the year,); never negative.

    Raises:
        RequestError: `generator.unknown_profile`; `generator.bad_step`.
    """
    native = native_step(profile)
    if step % native or _DAY % step:
        raise RequestError("generator.bad_step", profile=profile, seconds=step, native=native)
    values = draw(quantiles(profile), parameters(profile), calendar.types(), stream)
    return values.reshape(-1, step // native).sum(axis=1) if step > native else values


def draw(table: Array, p: Mapping[str, float], types: NDArray[np.int64], stream: Stream) -> Array:
    """Amounts per native step for days of the given types.

    The hidden series is `sqrt(a) D + sqrt(b) S + sqrt(1 - a - b) F`: a part for the day, a slow and a fast one, each of
    unit variance; `a` is `share_day`, `b` is `share_slow`. The amount is the quantile of its hour at the hidden value's
    probability.
    """
    per_hour = int(p["steps_per_hour"])
    count = len(types) * 24 * per_hour
    fast_share = max(0.0, 1 - p["share_day"] - p["share_slow"])
    hidden = math.sqrt(p["share_day"]) * np.repeat(
        stream.persistent(len(types), p["decay_day"]), 24 * per_hour
    )
    hidden += math.sqrt(p["share_slow"]) * stream.persistent(count, p["decay_slow"])
    hidden += math.sqrt(fast_share) * stream.persistent(count, p["decay_fast"])
    hours = np.tile(np.repeat(np.arange(24), per_hour), len(types))
    return lookup(table[np.repeat(types, 24 * per_hour), hours], probability(hidden))


def mean_shape(profile: str, calendar: Calendar) -> Array:
    """The median activity of every hour of the year for `profile`, shape (hours of the year,)."""
    table = quantiles(profile)
    middle = LEVELS.index(0.5)
    shape: Array = table[
        np.repeat(calendar.types(), 24), np.tile(np.arange(24), len(calendar.types())), middle
    ]
    return shape


def sunshine(
    latitude: float,
    longitude: float,
    calendar: Calendar,
    stream: Stream,
    *,
    step: int = 900,
    offset: float = 7.0,
) -> Array:
    """Irradiance on the horizontal in the middle of each step (W/m2), shape (steps of the year,).

    Clear sky by Haurwitz, scaled to the satellite's clear sky; each day's clearness from the quantiles of its month; the
    hours of a cloudy day scatter around it. `offset` is local time minus UTC in hours.
    """
    p = parameters("sun")
    times = calendar.starts(step)
    clear = p["clear_sky_scale"] * haurwitz(cos_zenith(times, step, latitude, longitude, offset))
    days = calendar.days()
    months = days.astype("datetime64[M]").astype(np.int64) % 12
    table = np.array([_table()["clearness"][f"month_{m + 1:02d}", 0] for m in range(12)])
    clearness = lookup(table[months], probability(stream.persistent(len(days), p["clearness_decay_day"])))
    per_day, per_hour = _DAY // step, max(1, 3600 // step)
    decay = p["clearness_decay_hour"] ** (1 / per_hour)
    noise = p["clearness_spread_hour"] * stream.persistent(len(times), decay).reshape(-1, per_day)
    ratio = np.clip(clearness[:, None] + np.where(clearness[:, None] < 1, noise, 0), 0.05, 1.0)
    bright = clear.reshape(-1, per_day)
    for _ in range(_ROUNDS):
        kept = (ratio * bright).sum(axis=1) / bright.sum(axis=1)
        ratio = np.minimum(ratio * (clearness / kept)[:, None], 1.0)
    return (ratio * bright).ravel()


def haurwitz(cos_zenith: Array) -> Array:
    """Irradiance of a clear sky on the horizontal (W/m2): 1098 cos z exp(-0.057 / cos z), 0 below the horizon."""
    top, haze = HAURWITZ
    up = np.maximum(cos_zenith, 1e-3)
    return np.where(cos_zenith > 0, top * up * np.exp(-haze / up), 0.0)


def cos_zenith(times: Times, step: int, latitude: float, longitude: float, offset: float) -> Array:
    """Cosine of the sun's zenith angle in the middle of each step.

    Declination and equation of time by Spencer's series (J. W. Spencer, Search 2 (5), 1971, p. 172).
    """
    seconds = (times - times[0].astype("datetime64[Y]")).astype("timedelta64[s]").astype(
        np.float64
    ) + step / 2
    g = 2 * np.pi * np.floor(seconds / _DAY) / 365
    declination = 0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g)
    declination += 0.000907 * np.sin(2 * g) - 0.002697 * np.cos(3 * g) + 0.00148 * np.sin(3 * g)
    equation = 0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g)
    equation -= 0.04089 * np.sin(2 * g)  # radians of hour angle
    hour = seconds % _DAY / 3600 - offset
    angle = np.radians(15 * (hour - 12) + longitude) + equation
    high = np.radians(latitude)
    sine: Array = np.sin(high) * np.sin(declination) + np.cos(high) * np.cos(declination) * np.cos(angle)
    return sine


@dataclass(frozen=True)
class Charging:
    """Charging sessions, sorted by start: local starts and ends (whole seconds), energy in kWh; shape (n,)."""

    starts: Times
    ends: Times
    energy: Array


def charging(calendar: Calendar, stream: Stream, scale: float = 1.0, shift: int = 0) -> Charging:
    """A year of workplace charging sessions.

    Args:
        calendar: the year; there are no sessions on closed days.
        stream: the random numbers.
        scale: sessions a day, relative to the real car parks.
        shift: hours added to the hour of arrival as it is written in the real file.

    Returns:
        Sessions with distinct starts. Energy and duration have the real quantiles and rank correlation, and no session
        draws more than the 99th percentile of the real mean powers.
    """
    p = parameters("ev_workplace")
    days = calendar.days()
    rate = np.array([p[f"sessions_day_{day}"] for day in range(7)])[(days.astype(np.int64) + 3) % 7] * scale
    rate[calendar.types() == DAY_TYPES.index("closed")] = 0
    counts = np.floor(rate + stream.uniform(len(days))).astype(np.int64)
    total = int(counts.sum())
    shares = np.array([p[f"arrival_{hour:02d}"] for hour in range(24)])
    hour = np.searchsorted(np.cumsum(shares) / shares.sum(), stream.uniform(total)) + shift
    second = (hour % 24) * 3600 + np.floor(stream.uniform(total) * 3600).astype(np.int64)
    starts = np.repeat(days, counts).astype("datetime64[s]") + second.astype("timedelta64[s]")
    correlation = 2 * math.sin(math.pi * p["rank_correlation"] / 6)  # Pearson's for a given Spearman's
    first, other = stream.normal(total), stream.normal(total)
    second_score = correlation * first + math.sqrt(1 - correlation**2) * other
    table = _table()
    energy = lookup(np.array([table["ev_energy"]["work", 0]]), probability(first))
    length = lookup(np.array([table["ev_duration"]["work", 0]]), probability(second_score))
    energy = np.minimum(energy, length * p["power_p99"])
    starts, keep = np.unique(starts, return_index=True)
    ends = starts + np.round(length[keep] * 3600).astype("timedelta64[s]")
    return Charging(starts, ends, energy[keep])


def state(mean: float, spread: float, decay: float, count: int, stream: Stream) -> Array:
    """A persistent positive quantity around `mean` with relative standard deviation `spread`, shape (count,)."""
    hidden = stream.persistent(count, decay)
    width = math.sqrt(math.log1p(spread * spread))
    return mean * np.exp(width * np.clip(hidden, -3, 3) - width * width / 2)


def probability(hidden: Array) -> Array:
    """The standard normal distribution function."""
    scaled = (hidden / math.sqrt(2)).tolist()
    return 0.5 + 0.5 * np.fromiter(map(math.erf, scaled), np.float64, len(scaled))


def lookup(rows: Array, p: Array) -> Array:
    """The quantile at `p` of each row, linear between the levels; rows of shape (n, levels) or (1, levels), p (n,)."""
    levels = np.array(LEVELS)
    right = np.clip(np.searchsorted(levels, p, side="right"), 1, len(levels) - 1)
    left = right - 1
    at = np.arange(len(p)) if len(rows) > 1 else np.zeros(len(p), dtype=np.int64)
    share = (p - levels[left]) / (levels[right] - levels[left])
    return np.asarray(rows[at, left] * (1 - share) + rows[at, right] * share)


def quantiles(profile: str) -> Array:
    """The quantiles of a load profile, shape (4 day types, 24 hours, levels)."""
    cells = _table().get(profile)
    if cells is None or ("work", 23) not in cells:
        options = [name for name, rows in _table().items() if ("work", 23) in rows]
        near = text.suggest(profile, options)
        hint = messages.render("base.did_you_mean", word=near) if near else ""
        raise RequestError("generator.unknown_profile", text=profile, hint=hint, options=", ".join(options))
    table = np.empty((len(DAY_TYPES), 24, len(LEVELS)))
    for index, kind in enumerate(DAY_TYPES):
        have = next(k for k in (kind, *_FALLBACK.get(kind, ())) if (k, 0) in cells)
        table[index] = [cells[have, hour] for hour in range(24)]
    return table


@cache
def parameters(profile: str) -> dict[str, float]:
    """The parameters of a profile by name."""
    rows = _rows("profile_parameters.csv")
    return {row["parameter"]: float(row["value"]) for row in rows if row["profile"] == profile}


@cache
def _table() -> dict[str, dict[tuple[str, int], list[float]]]:
    """Every row of `profiles.csv`: profile -> (day type, hour) -> quantiles."""
    table: dict[str, dict[tuple[str, int], list[float]]] = {}
    for row in _rows("profiles.csv"):
        values = [float(value) for name, value in row.items() if name.startswith("q")]
        table.setdefault(row["profile"], {})[row["day_type"], int(row["hour"])] = values
    return table


def _rows(name: str) -> Iterable[dict[str, str]]:
    """The rows of a table shipped beside this file."""
    path = resources.files("mangrove.sources") / name
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
