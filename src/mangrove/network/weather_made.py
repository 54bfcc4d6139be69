# SPDX-License-Identifier: Apache-2.0
"""A generated weather year for a coordinate, with the statistics of one real year of the coast of Khánh Hòa.

Comes in: a year, a coordinate, a seed. Goes out: an hourly `WeatherYear` whose basis is `generated`. The height of the sun is
that of the coordinate; clouds, temperature and wind have the quantiles, daily courses and persistence that
`weather_statistics.csv` holds, which `statistics` computes again from a real year. It stands in where no weather file is at
hand; it is no climate of another region.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.weather import Floats, Times, WeatherYear, parts, sun
from mangrove.network.weather_files import erbs

SOURCE = "NSRDB Himawari 2019, 12.52 N 109.03 E (Khánh Hòa), NREL public data"
QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
HEADING = ("statistic", "month", "hour", "value", "unit")
HAURWITZ = 1098.0, 0.057
"""Clear sky on the horizontal, 1098 cos z exp(-0.057 / cos z) W/m2: B. Haurwitz, Journal of Meteorology 2 (1945), 154-166."""
_PARTS = 4
_CLOUDY = 0.9
"""Share of the month's clearest day below which a day counts as cloudy: its hours scatter."""
_ROUNDS = 4
_HIGH = 100.0  # W/m2 of a clear sky: the sun well above the horizon


def generate(year: int, lat: float, lon: float, seed: int, *, zone: float | None = None) -> WeatherYear:
    """One year of hours.

    Args:
        year: calendar year in the zone; leap years have 8,784 hours.
        lat: WGS84 degrees.
        lon: WGS84 degrees.
        seed: the same seed gives the same year on every platform.
        zone: hours ahead of UTC in which the year begins; the nearest to solar time unless given.

    Raises:
        RequestError: `assets.coordinates`; `assets.weather_year` outside 1900 to 2200.
    """
    if not 1900 <= year <= 2200:  # noqa: PLR2004 - reach of the sun's algorithm with fixed corrections
        raise RequestError("assets.weather_year", year=year)
    if not -90.0 <= lat <= 90.0 or not -180.0 <= lon <= 180.0:  # noqa: PLR2004 - degrees
        raise RequestError("assets.coordinates", lat=str(lat), lon=str(lon))
    offset = round(lon / 15.0) if zone is None else zone
    local = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[h]").astype("datetime64[s]")
    starts: Times = np.subtract(local, np.timedelta64(round(offset * 3600), "s"))
    noise = np.random.Generator(np.random.PCG64(seed))
    month = local.astype("datetime64[M]").astype(np.int64) % 12
    hour = (local - local.astype("datetime64[D]")).astype(np.int64) // 3600
    ghi = _light(starts, lat, lon, month, noise)
    dni, dhi = erbs(ghi, starts, 1.0, lat, lon)
    source = f"generated with seed {seed} from the statistics of {SOURCE}"
    return WeatherYear(
        starts,
        1.0,
        ghi,
        dni,
        dhi,
        temperature=_air(month, hour, noise),
        wind=_wind(month, hour, noise),
        lat=lat,
        lon=lon,
        source=source,
        basis="generated",
    )


def _light(
    starts: Times, lat: float, lon: float, month: npt.NDArray[np.int64], noise: np.random.Generator
) -> Floats:
    """Global irradiance: clear sky x the day's clearness (a quantile of its month), scattered over the hours of cloudy days."""
    clear = clear_sky(starts, 1.0, lat, lon).reshape(-1, 24)
    table = np.array([_values(f"clearness_q{round(q * 100):03d}") for q in QUANTILES])
    level = _probability(_persistent(noise, len(clear), _value("clearness_decay_day")))
    of_day = month.reshape(-1, 24)[:, 12]
    day = np.array([np.interp(p, QUANTILES, table[:, m]) for p, m in zip(level, of_day, strict=True)])
    best = table[-1][of_day]
    scatter = _value("clearness_spread_hour") * _persistent(noise, clear.size, _value("clearness_decay_hour"))
    ratio = day[:, None] + np.where((day < _CLOUDY * best)[:, None], scatter.reshape(-1, 24), 0.0)
    ratio = np.clip(ratio, 0.02, best[:, None])
    lit = np.maximum(clear.sum(axis=1), 1e-9)
    for _ in range(_ROUNDS):
        kept = np.maximum((ratio * clear).sum(axis=1) / lit, 1e-9)
        ratio = np.minimum(ratio * (day / kept)[:, None], best[:, None])
    return np.asarray((ratio * clear).ravel())


def _air(month: npt.NDArray[np.int64], hour: npt.NDArray[np.int64], noise: np.random.Generator) -> Floats:
    """Temperature: mean of the month + course of the day + what a day is warmer or colder than its month."""
    days = len(month) // 24
    daily = _value("temperature_spread_day") * _persistent(noise, days, _value("temperature_decay_day"))
    return np.asarray(
        _values("temperature_month")[month] + _values("temperature_hour")[hour] + np.repeat(daily, 24)
    )


def _wind(month: npt.NDArray[np.int64], hour: npt.NDArray[np.int64], noise: np.random.Generator) -> Floats:
    """Speed: mean of the month x course of the day x a persistent lognormal factor of mean 1."""
    width = _value("wind_spread")
    factor = np.exp(width * _persistent(noise, len(month), _value("wind_decay_hour")) - width * width / 2)
    return np.asarray(_values("wind_month")[month] * _values("wind_hour")[hour] * factor)


def clear_sky(starts: Times, hours: float, lat: float, lon: float) -> Floats:
    """Mean irradiance of a clear sky on the horizontal in each step, W/m2, by Haurwitz."""
    zenith, _, _ = sun(parts(starts, hours, _PARTS), lat, lon)
    up = np.maximum(np.cos(np.radians(zenith)), 0.0)
    top, haze = HAURWITZ
    light = top * up * np.exp(-haze / np.maximum(up, 1e-3))
    return np.asarray(light.reshape(-1, _PARTS).mean(axis=1))


Row = tuple[str, str, str, str, str]


def statistics(real: WeatherYear, zone: float) -> list[Row]:
    """The rows of `weather_statistics.csv`, from a real year of 365 days of hours.

    Args:
        real: the year; values that stand in the middle of their step belong to the hour that begins there.
        zone: hours ahead of UTC of the hours and months in the table.
    """
    local = real.middles.astype("datetime64[h]") + np.timedelta64(round(zone), "h")
    month = (local.astype("datetime64[M]").astype(np.int64) % 12).reshape(-1, 24)[:, 12]
    clear = clear_sky(real.middles - np.timedelta64(1800, "s"), 1.0, real.lat, real.lon).reshape(-1, 24)
    air, speed = real.temperature.reshape(-1, 24), real.wind.reshape(-1, 24)
    return [
        *_light_rows(real.ghi.reshape(-1, 24), clear, month),
        *_air_rows(air, month),
        *_wind_rows(speed, month),
    ]


def _light_rows(light: Floats, clear: Floats, month: npt.NDArray[np.int64]) -> list[Row]:
    """Quantiles of the daily clearness by month, its persistence, and the scatter of hours in cloudy days."""
    day = light.sum(axis=1) / clear.sum(axis=1)
    rows = [
        _row(f"clearness_q{round(q * 100):03d}", value, month=m)
        for m in range(12)
        for q, value in zip(QUANTILES, np.quantile(day[month == m], QUANTILES), strict=True)
    ]
    best = np.array([day[month == m].max() for m in range(12)])[month]
    high = np.where(clear > _HIGH, light / np.maximum(clear, 1.0) - day[:, None], np.nan)
    rest = high[day < _CLOUDY * best]
    return [
        *rows,
        _row("clearness_decay_day", _lag(day - _of_months(day[:, None], month)[month])),
        _row("clearness_spread_hour", float(np.nanstd(rest))),
        _row("clearness_decay_hour", _lag_pairs(rest[:, :-1].ravel(), rest[:, 1:].ravel())),
    ]


def _air_rows(air: Floats, month: npt.NDArray[np.int64]) -> list[Row]:
    """Temperature: means of months, course of the day, spread and persistence of what days differ by."""
    means, course = _of_months(air, month), air.mean(axis=0)
    daily = air.mean(axis=1) - means[month]
    return [
        *(_row("temperature_month", value, "degC", month=m) for m, value in enumerate(means)),
        *(_row("temperature_hour", value, "K", hour=h) for h, value in enumerate(course - course.mean())),
        _row("temperature_spread_day", float(daily.std()), "K"),
        _row("temperature_decay_day", _lag(daily)),
    ]


def _wind_rows(speed: Floats, month: npt.NDArray[np.int64]) -> list[Row]:
    """Wind: means of months, course of the day, spread and persistence of the logarithm around them."""
    means, course = _of_months(speed, month), speed.mean(axis=0) / speed.mean()
    left = np.log(np.maximum(speed, 0.1) / (means[month][:, None] * course)).ravel()
    return [
        *(_row("wind_month", value, "m/s", month=m) for m, value in enumerate(means)),
        *(_row("wind_hour", value, hour=h) for h, value in enumerate(course)),
        _row("wind_spread", float(left.std())),
        _row("wind_decay_hour", _lag(left)),
    ]


def _row(
    name: str, value: float, unit: str = "1", *, month: int | None = None, hour: int | None = None
) -> Row:
    where = "" if month is None else str(month + 1), "" if hour is None else str(hour)
    return (name, *where, f"{value:.4f}", unit)


def _of_months(values: Floats, month: npt.NDArray[np.int64]) -> Floats:
    """The mean of each month, (12,)."""
    return np.array([values[month == m].mean() for m in range(12)])


def _lag(values: Floats) -> float:
    """Correlation of a series with itself one step later."""
    return float(np.corrcoef(values[1:], values[:-1])[0, 1])


def _lag_pairs(left: Floats, right: Floats) -> float:
    """Correlation over pairs where both are there."""
    both = np.isfinite(left) & np.isfinite(right)
    return float(np.corrcoef(left[both], right[both])[0, 1])


def _persistent(noise: np.random.Generator, count: int, decay: float) -> Floats:
    """A standard normal series with correlation `decay ** k` at lag k.

    Normals are the inverse distribution function of the generator's uniform numbers, which never change between releases.
    """
    from scipy.signal import lfilter
    from scipy.special import ndtri

    white = ndtri(np.clip(noise.random(count), 1e-12, 1.0 - 1e-12))
    white[1:] *= np.sqrt(1.0 - decay * decay)
    return np.asarray(lfilter([1.0], [1.0, -decay], white))


def _probability(hidden: Floats) -> Floats:
    """The standard normal distribution function."""
    from scipy.special import ndtr

    return np.asarray(ndtr(hidden))


@cache
def _table() -> dict[str, list[float]]:
    """Every statistic by name, in the order of months or hours."""
    text = (resources.files("mangrove.network") / "weather_statistics.csv").read_text(encoding="utf-8")
    found: dict[str, list[float]] = {}
    for row in csv.DictReader(text.splitlines()):
        found.setdefault(row["statistic"], []).append(float(row["value"]))
    return found


def _values(name: str) -> Floats:
    return np.array(_table()[name])


def _value(name: str) -> float:
    return _table()[name][0]
