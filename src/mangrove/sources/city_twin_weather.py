# SPDX-License-Identifier: Apache-2.0
"""Generated hours of a city twin: weather, traffic and the levels of two tidal gauges.

Comes in: the hidden truth and local hours. Goes out: plain arrays, one for each flow. Temperature and humidity have the means, daily
courses and persistence of `city_twin_statistics.csv` (HealthyAir, Rakholia et al., Mendeley Data, CC BY 4.0: five of its six stations,
2021-02 to 2022-06; August and September, which it lacks, lie on a line). The other constants say where they come from, or that
they are assumed. Nothing here is a record of weather that was.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.measure import profiles
from mangrove.sources.city_twin_recipe import Times, Truth
from mangrove.sources.generator_models import Array, Stream

Ints = npt.NDArray[np.int64]

SEASONS = {
    **dict.fromkeys((6, 7, 8, 9, 10), (247.5, 3.6)),
    **dict.fromkeys((11, 12, 1, 2), (22.5, 2.4)),
    **dict.fromkeys((3, 4, 5), (157.5, 3.7)),
}
"""Month -> where the wind comes from (degrees) and its mean in m/s: southwest 3.6 m/s June to October, northeast 2.4 m/s November to February,
southeast March to May, as a travel guide states for the city (vietnam-travelinfo.com, unofficial); 3.7 m/s of the southeast wind is recalled."""
RAIN = (13.8, 4.1, 10.5, 50.4, 218.4, 311.7, 293.7, 269.8, 327.1, 266.7, 116.5, 48.3)
"""mm by month: climate table of Ho Chi Minh City as liquisearch.com quotes it (unofficial)."""
WET_DAYS = (2, 1, 1, 4, 13, 16, 19, 17, 18, 16, 9, 5)
"""Days with rain by month: climate table of Tân Sơn Nhất as Wikipedia quotes it (unofficial)."""
MIXING = 300.0, 1200.0
"""m at night and at noon: assumed round numbers."""
TIDES = {
    "phu-an": (-0.25, (0.70, 0.26, 0.52, 0.36), 0.0),
    "nha-be": (-0.25, (0.74, 0.28, 0.53, 0.37), 24.0),
}
"""Gauge -> mean level in m, amplitudes in m of M2, S2, K1 and O1, and degrees of M2 by which it is earlier. Assumed: of the order of
Vũng Tàu's constants; no harmonic constants of the two gauges were at hand. So hours of high water are made up, springs and neaps are not."""
_LAGS = (300.0, 345.0, 20.0, 330.0)
_SEASON, _SEASON_PEAK = 0.22, 304
"""m and day of the year of the yearly swing of the mean level: highest at the end of October, when the northeast monsoon piles up water; assumed."""
_SURGE, _SURGE_DECAY = 0.05, 0.98
_TRAFFIC, _TRAFFIC_DECAY = 0.05, 0.9
_VEER, _VEER_DECAY = 45.0, 0.93
_GUST, _GUST_DECAY = 0.35, 0.85
"""Spread and hourly persistence of the tide's residual (m), of traffic, of wind direction (degrees) and of the log of its speed: assumed."""
_SHOWER = (0.6, 0.3, 0.1)
_FIRST_SHOWER = 14
"""Shares of a shower's three hours, and the earliest local hour at which it begins: rain falls in the afternoon; assumed."""


def hours(truth: Truth, starts: Times, tz: ZoneInfo) -> dict[str, Array]:
    """Every hourly series of traffic, weather and water.

    Args:
        truth: the hidden truth.
        starts: (T,) local hours from midnight to midnight.
        tz: of the territory.
    """
    month = starts.astype("datetime64[M]").astype(np.int64) % 12
    hour = starts.astype(np.int64) % 24
    seed = truth.seed
    direction, speed = _wind(seed, month, hour)
    warm = _stream(seed, "temperature", len(starts), value("temperature_decay_hour"))
    damp = 0.8 * -warm + 0.6 * _stream(seed, "humidity", len(starts), value("humidity_decay_hour"))
    humidity = values("humidity_month")[month] + values("humidity_hour")[hour]
    return {
        "tw-traffic": traffic(truth, starts, tz),
        "tw-temperature": values("temperature_month")[month] + values("temperature_hour")[hour] + value("temperature_spread") * warm,
        "tw-humidity": np.clip(humidity + value("humidity_spread") * damp, 25.0, 100.0),
        "tw-wind_speed": speed,
        "tw-wind_from": direction,
        "tw-mixing_height": _mixing(hour),
        "tw-rain": _rain(seed, starts, month),
        **{f"tw-{name}-level": _level(seed, name, starts, tz) for name in TIDES},
    }  # fmt: skip


def traffic(truth: Truth, starts: Times, tz: ZoneInfo) -> Array:
    """Traffic, mean about 1: hours and weekdays of road emissions (`measure.profiles`), persistent scatter, and the event."""
    usual = profiles.shape(truth.road.gpc, utc(starts, tz), tz)
    scatter = np.exp(_TRAFFIC * _stream(truth.seed, "traffic", len(starts), _TRAFFIC_DECAY))
    days = starts.astype("datetime64[D]")
    within = (days >= np.datetime64(truth.event.from_)) & (days < np.datetime64(truth.event.to))
    return np.asarray(usual * scatter * np.where(within, 1.0 + truth.event.change, 1.0))


def utc(starts: Times, tz: ZoneInfo) -> Times:
    """UTC of local hours, by the offset of the first: Việt Nam has no summer time."""
    offset = starts[0].astype("datetime64[s]").item().replace(tzinfo=tz).utcoffset()
    seconds = 0 if offset is None else int(offset.total_seconds())
    return np.asarray(starts.astype("datetime64[us]") - np.timedelta64(seconds, "s"))


def _wind(seed: int, month: Ints, hour: Ints) -> tuple[Array, Array]:
    """Where it comes from, degrees, and its speed, m/s."""
    toward = np.array([SEASONS[m + 1][0] for m in range(12)])[month]
    mean = np.array([SEASONS[m + 1][1] for m in range(12)])[month]
    direction = (toward + _VEER * _stream(seed, "wind direction", len(month), _VEER_DECAY)) % 360.0
    course = 1.0 + 0.3 * np.cos(2 * np.pi * (hour - 15) / 24)
    gust = np.exp(_GUST * _stream(seed, "wind speed", len(month), _GUST_DECAY) - _GUST * _GUST / 2)
    return direction, np.asarray(mean * course * gust)


def _mixing(hour: Ints) -> Array:
    night, noon = MIXING
    return np.asarray(night + (noon - night) * np.clip(np.sin(np.pi * (hour - 6) / 12.5), 0.0, None))


def _rain(seed: int, starts: Times, month: Ints) -> Array:
    """Rain of each hour, mm: a shower of three hours on as many days as the month has, exponential amounts."""
    days = len(starts) // 24
    of_day = month.reshape(days, 24)[:, 0]
    chance, amount, first = (Stream(seed, f"rain {part}").uniform(days) for part in ("day", "amount", "hour"))
    lengths = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    wet = chance < (np.array(WET_DAYS) / lengths)[of_day]
    mean = (np.array(RAIN) / np.array(WET_DAYS))[of_day]
    total = np.where(wet, -np.log(amount) * mean, 0.0)
    begin = _FIRST_SHOWER + np.floor(first * 6).astype(np.int64)
    table = np.zeros((days, 24))
    for later, share in enumerate(_SHOWER):
        table[np.arange(days), begin + later] += share * total
    return table.ravel()


def _level(seed: int, name: str, starts: Times, tz: ZoneInfo) -> Array:
    """Level in m: its mean, its yearly swing, four constituents with their astronomical arguments, and a persistent residual.

    Mean longitudes of moon and sun: Meeus, Astronomical Algorithms (1998), chapters 25 and 47, first-order terms. Nodal corrections are left out.
    """
    mean, amplitudes, earlier = TIDES[name]
    at = utc(starts, tz).astype("datetime64[s]")
    days = (at - np.datetime64("2000-01-01T12:00:00")) / np.timedelta64(1, "D")
    moon, sun = 218.3164 + 13.17639648 * days, 280.4665 + 0.98564736 * days
    angle = 360.0 * ((days + 0.5) % 1.0)
    arguments = (
        2 * (angle + sun - moon),
        2 * angle,
        angle + sun - 90.0,
        angle + sun - 2 * moon + 90.0,
    )
    rates = (2.0, 2.0, 1.0, 1.0)
    tide = sum(
        size * np.cos(np.radians(argument - lag + earlier * rate / 2))
        for size, argument, lag, rate in zip(amplitudes, arguments, _LAGS, rates, strict=True)
    )
    day = (at - at.astype("datetime64[Y]").astype("datetime64[s]")) / np.timedelta64(1, "D")
    season = _SEASON * np.cos(2 * np.pi * (day - _SEASON_PEAK) / 365.25)
    surge = _SURGE * _stream(seed, "surge", len(starts), _SURGE_DECAY)
    return np.asarray(mean + season + tide + surge)


def _stream(seed: int, name: str, count: int, decay: float) -> Array:
    return Stream(seed, f"city twin {name}").persistent(count, decay)


def values(name: str) -> Array:
    """A statistic by month or hour, in their order."""
    return np.array(_table()[name])


def value(name: str) -> float:
    """A single statistic."""
    return _table()[name][0]


@cache
def _table() -> dict[str, list[float]]:
    text = (resources.files("mangrove.sources") / "city_twin_statistics.csv").read_text(encoding="utf-8")
    found: dict[str, list[float]] = {}
    for row in csv.DictReader(text.splitlines()):
        found.setdefault(row["statistic"], []).append(float(row["value"]))
    return found
