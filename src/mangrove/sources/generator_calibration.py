# SPDX-License-Identifier: Apache-2.0
"""The statistics behind the generated example data, computed again from the real files.

Comes in: the folder of real metered files (steel works, homes, workplace charging, satellite irradiance). Goes out: the
two small tables that the generator reads, `profiles.csv` and `profile_parameters.csv`. Nobody needs this to run
the example; it is here so that each number of those tables can be checked and renewed:

    python -m mangrove.sources.generator_calibration DIR

prints where the tables stand and rewrites them. `docs/explanation/example-data.md` describes every statistic.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mangrove.sources.generator_models import DAY_TYPES, LEVELS, Array, Stream, draw, haurwitz

STEEL_FILE = "load/uci_steel_industry_2018_15min.csv"
HOME_FILE = "load/citylearn2022_fontana/Building_{number}.csv"
EV_FILE = "ev/workplace_ev_asensio.csv"
SUN_FILE = "weather/ninhsim_himawari_2019_60min.csv"

STEEL_SOURCE = (
    "UCI Machine Learning Repository 851, Steel Industry Energy Consumption (Gwangyang, 2018), CC BY 4.0"
)
HOME_SOURCE = "CityLearn Challenge 2022, Building_{number} (EPRI, Fontana CA, 2016-17), MIT"
EV_SOURCE = "Asensio et al. 2020, workplace charging sessions 2014-15, Harvard Dataverse, CC0"
SUN_SOURCE = "NSRDB Himawari 2019, 12.53 N 109.03 E (Khánh Hòa), NREL public data"
MADE_UP = "made up for the example: no metered series of this kind is at hand"

CLOSED_BELOW = 700.0
"""kWh a day: a weekday of the steel series below it was a day without production.

The thirteen days found so are Korean public holidays and a summer shutdown; the next weekday uses 1,088 kWh.
"""


@dataclass(frozen=True)
class Series:
    """A real load series, in its own unit.

    Attributes:
        values: amounts per step, shape (n,).
        hours: hour of the day in which each step begins (0 to 23), shape (n,).
        types: day type of each step, index into `DAY_TYPES`, shape (n,).
        per_day: steps a day.
    """

    values: Array
    hours: NDArray[np.int64]
    types: NDArray[np.int64]
    per_day: int


def read_rows(path: Path, skip: int = 0) -> list[dict[str, str]]:
    """The rows of a CSV file by heading, after `skip` lines."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        for _ in range(skip):
            file.readline()
        return list(csv.DictReader(file))


def steel(data: Path) -> tuple[Series, set[date]]:
    """The steel works' 35,040 quarter hours of 2018 (kWh) and the weekdays without production.

    The row of midnight carries the date of the day that it ends and stands last in that day, so the order of the file
    is the order of time, and row i begins i quarter hours after the start of the year.
    """
    rows = read_rows(data / STEEL_FILE)
    values = np.array([float(row["Usage_kWh"]) for row in rows])
    days = values.reshape(-1, 96).sum(axis=1)
    first = date(2018, 1, 1)
    dates = [first + timedelta(days=i) for i in range(len(days))]
    closed = {d for d, total in zip(dates, days, strict=True) if d.weekday() < 5 and total < CLOSED_BELOW}  # noqa: PLR2004 - Monday to Friday
    types = np.repeat([day_type(d, closed) for d in dates], 96)
    hours = np.tile(np.repeat(np.arange(24), 4), len(days))
    return Series(values, hours, types, 96), closed


def day_type(day: date, closed: Iterable[date]) -> int:
    """Index into `DAY_TYPES`: a day in `closed`, else by the day of the week."""
    if day in closed:
        return 3
    return max(0, day.weekday() - 4)


def home(data: Path, number: int) -> Series:
    """One home's hourly non-shiftable load (kWh); hour 24 ends the day, so hour h begins at h - 1."""
    rows = read_rows(data / HOME_FILE.format(number=number))
    rows = (
        rows[1:] + rows[:1]
    )  # the file begins with the last hour of a Sunday; it closes the last day, a Monday, instead
    values = np.array([float(row["non_shiftable_load"]) for row in rows])
    hours = np.array([int(row["hour"]) - 1 for row in rows])
    weekend = 6
    types = np.array([2 if int(row["day_type"]) >= weekend else 0 for row in rows])
    return Series(values, hours, types, 24)


def pv_yield(data: Path, number: int) -> Array:
    """One home's hourly PV generation per installed kW (W/kW), shape (n,)."""
    rows = read_rows(data / HOME_FILE.format(number=number))
    return np.array([float(row["solar_generation"]) for row in rows])


@dataclass(frozen=True)
class Sessions:
    """Charging sessions: start, energy (kWh) and duration (h), each of shape (n,)."""

    starts: list[datetime]
    energy: Array
    hours: Array


def sessions(data: Path) -> Sessions:
    """The workplace sessions that lasted at most a day; the years are written 0014 and 0015 and mean 2014 and 2015."""
    starts, energy, hours = [], [], []
    for row in read_rows(data / EV_FILE):
        length = float(row["chargeTimeHrs"])
        if length <= 24:  # noqa: PLR2004 - hours in a day
            starts.append(datetime.fromisoformat("20" + row["created"][2:]))
            energy.append(float(row["kwhTotal"]))
            hours.append(length)
    return Sessions(starts, np.array(energy), np.array(hours))


@dataclass(frozen=True)
class Sun:
    """Hourly irradiance on the horizontal, W/m2: measured from space, of a clear sky, and by Haurwitz; shape (365, 24)."""

    measured: Array
    clear: Array
    haurwitz: Array
    months: NDArray[np.int64]


def sun(data: Path) -> Sun:
    """The satellite year 2019."""
    rows = read_rows(data / SUN_FILE, skip=2)
    measured = np.array([float(row["GHI"]) for row in rows]).reshape(-1, 24)
    clear = np.array([float(row["Clearsky GHI"]) for row in rows]).reshape(-1, 24)
    zenith = np.array([float(row["Solar Zenith Angle"]) for row in rows]).reshape(-1, 24)
    months = np.array([int(row["Month"]) for row in rows]).reshape(-1, 24)[:, 0]
    return Sun(measured, clear, haurwitz(np.cos(np.radians(zenith))), months)


def normal_scores(values: Array, cells: NDArray[np.int64]) -> Array:
    """Each value's rank within its cell as a standard normal score, shape (n,); ties share the mean rank."""
    scores = np.empty(len(values))
    inverse = NormalDist().inv_cdf
    for cell in np.unique(cells):
        at = np.flatnonzero(cells == cell)
        ordered = np.sort(values[at])
        low = np.searchsorted(ordered, values[at], side="left")
        high = np.searchsorted(ordered, values[at], side="right")
        scores[at] = [inverse(p) for p in (low + high) / 2 / len(at)]
    return scores


def autocorrelation(values: Array, lag: int) -> float:
    """Pearson's correlation of a series with itself `lag` steps later."""
    return float(np.corrcoef(values[lag:], values[:-lag])[0, 1])


def quantile_rows(profile: str, series: Series) -> list[list[str]]:
    """One row of quantiles for every day type and hour that the series has."""
    rows = []
    for kind in np.unique(series.types):
        for hour in range(24):
            cell = series.values[(series.types == kind) & (series.hours == hour)]
            quantiles = [f"{q:.4g}" for q in np.quantile(cell, LEVELS)]
            rows.append([profile, DAY_TYPES[kind], str(hour), *quantiles])
    return rows


SHAPES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "office": {
        "work": (*[0.25] * 6, 0.3, 0.6, *[1.0] * 4, 0.75, *[1.0] * 4, 0.7, 0.45, 0.35, *[0.25] * 4),
        "saturday": (*[0.25] * 7, 0.4, *[0.6] * 4, 0.35, *[0.25] * 11),
        "sunday": (0.22,) * 24,
    },
    "three_shift": {
        "work": (*[0.85] * 6, 0.8, *[1.0] * 4, 0.9, *[1.0] * 6, 0.9, *[0.95] * 3, 0.8, 0.85),
        "saturday": (*[0.8] * 7, *[0.9] * 10, *[0.8] * 7),
        "sunday": (0.35,) * 24,
        "closed": (0.12,) * 24,
    },
    "cold_store": {
        "work": (*[0.8] * 7, 0.9, *[1.0] * 3, *[1.15] * 6, *[1.0] * 3, *[0.85] * 4),
        "sunday": (*[0.75] * 10, *[0.95] * 7, *[0.8] * 7),
    },
    "wastewater": {
        "work": (*[0.55] * 6, 0.8, *[1.1] * 4, 1.25, *[1.15] * 5, 0.95, *[0.8] * 4, 0.6, 0.55),
        "sunday": (*[0.35] * 7, *[0.5] * 12, *[0.4] * 5),
        "closed": (0.2,) * 24,
    },
}
"""Shapes of loads of which no real series is at hand: 1 is full activity; made up, and said so in every table."""

SHAPE_SPREAD = 0.1
"""Standard deviation of the logarithm around such a shape; made up."""


def shape_rows() -> list[list[str]]:
    """Rows of quantiles for the made-up shapes: shape x exp(spread x z), z cut at 2.5 standard deviations."""
    rows = []
    z = [max(-2.5, min(2.5, NormalDist().inv_cdf(p))) if 0 < p < 1 else (2.5 if p else -2.5) for p in LEVELS]
    for profile, types in SHAPES.items():
        for kind, shape in types.items():
            for hour, level in enumerate(shape):
                row = [f"{level * np.exp(SHAPE_SPREAD * score):.4g}" for score in z]
                rows.append([profile, kind, str(hour), *row])
    return rows


SWAPS: Mapping[str, tuple[float, ...]] = {
    "work": (0.3, 0.2, 0.1, 0.1, 0.2, 0.8, 2.6, 3.0, 1.4, 0.9, 0.8, 1.6, 1.8, 1.0, 0.8, 1.2, 2.4, 3.6, 3.2, 2.2, 1.6, 1.5, 2.2, 0.8),
    "sunday": (0.3, 0.2, 0.1, 0.1, 0.1, 0.3, 0.8, 1.0, 1.2, 1.2, 1.2, 1.4, 1.2, 1.0, 1.0, 1.2, 1.6, 1.8, 1.6, 1.4, 1.2, 1.0, 0.8, 0.5),
}  # fmt: skip
"""Mean swaps of motorbike batteries in 15 minutes, by hour: shift changes and evenings; made up, no public record is at hand."""


def swap_rows() -> list[list[str]]:
    """Rows of quantiles of Poisson counts with the means of `SWAPS`, from 0 to the 99.9 % quantile."""
    return [
        ["swaps", kind, str(hour), *(str(_poisson(mean, min(max(p, 1e-9), 0.999))) for p in LEVELS)]
        for kind, means in SWAPS.items()
        for hour, mean in enumerate(means)
    ]


def _poisson(mean: float, probability: float) -> int:
    """The least count whose cumulative probability reaches `probability`."""
    count, term = 0, math.exp(-mean)
    total = term
    while total < probability:
        count += 1
        term *= mean / count
        total += term
    return count


def persistence(series: Series, day_share: float, slow_share: float) -> dict[str, float]:
    """How long a deviation lasts: shares and decays of a day part, a slow part and a fast part of the normal scores.

    The shares are chosen. The decays of the day part and of the slow part follow from the autocorrelation of the
    scores (of daily means at one day; at two hours `day_share + slow_share slow^k = acf(k)`). The decay of the fast part is
    fitted: with it, a generated series has the autocorrelation of the real one at one step.
    """
    cells = series.types * 24 + series.hours
    of_day = normal_scores(series.values, cells).reshape(-1, series.per_day)
    lag = series.per_day // 12
    two_hours = float(np.corrcoef(of_day[:, lag:].ravel(), of_day[:, :-lag].ravel())[0, 1])
    found = {
        "share_day": day_share,
        "share_slow": slow_share,
        "decay_day": autocorrelation(of_day.mean(axis=1), 1),
        "decay_slow": (max(0.0, two_hours - day_share) / slow_share) ** (1 / lag),
    }
    return {**found, "decay_fast": fitted_decay(series, found)}


def fitted_decay(series: Series, found: Mapping[str, float]) -> float:
    """The decay of the fast part, by bisection over a series generated with one fixed stream (eight halvings)."""
    table = np.zeros((len(DAY_TYPES), 24, len(LEVELS)))
    for kind in np.unique(series.types):
        for hour in range(24):
            cell = series.values[(series.types == kind) & (series.hours == hour)]
            table[kind, hour] = np.quantile(cell, LEVELS)
    types = series.types[:: series.per_day]
    target, low, high = autocorrelation(series.values, 1), 0.0, 0.99
    for _ in range(8):
        middle = (low + high) / 2
        p = {**found, "decay_fast": middle, "steps_per_hour": series.per_day / 24}
        made = draw(table, p, types, Stream(0, "calibration"))
        low, high = (middle, high) if autocorrelation(made, 1) < target else (low, middle)
    return (low + high) / 2


def load_parameters(
    profile: str, series: Series, shares: tuple[float, float], source: str
) -> list[list[str]]:
    """Rows of `profile_parameters.csv` for one real load series."""
    rows = [
        [profile, name, f"{value:.4f}", "1", "assumed" if name.startswith("share") else "derived", source]
        for name, value in persistence(series, *shares).items()
    ]
    return [[profile, "steps_per_hour", str(series.per_day // 24), "1", "fact", source], *rows]


def ev_rows(found: Sessions) -> tuple[list[list[str]], list[list[str]]]:
    """Quantiles of energy and duration, and the parameters of arrivals."""
    quantiles = [
        ["ev_energy", "work", "0", *[f"{q:.4g}" for q in np.quantile(found.energy, LEVELS)]],
        ["ev_duration", "work", "0", *[f"{q:.4g}" for q in np.quantile(found.hours, LEVELS)]],
    ]
    hours = np.bincount([start.hour for start in found.starts], minlength=24) / len(found.starts)
    rows = [[f"arrival_{hour:02d}", f"{share:.5f}", "1"] for hour, share in enumerate(hours)]
    month = [start for start in found.starts if (start.year, start.month) == (2015, 9)]
    for day in range(7):
        dates = sum(date(2015, 9, d).weekday() == day for d in range(1, 31))
        mean = sum(start.weekday() == day for start in month) / dates
        rows.append([f"sessions_day_{day}", f"{mean:.3f}", "session/day"])
    power = found.energy / found.hours
    energy_rank, hours_rank = (np.argsort(np.argsort(x)).astype(float) for x in (found.energy, found.hours))
    rows.append(["rank_correlation", f"{np.corrcoef(energy_rank, hours_rank)[0, 1]:.4f}", "1"])
    rows.append(["power_p99", f"{np.quantile(power, 0.99):.3f}", "kW"])
    return quantiles, [["ev_workplace", *row, "derived", EV_SOURCE] for row in rows]


def sun_rows(found: Sun) -> tuple[list[list[str]], list[list[str]]]:
    """Quantiles of each month's daily clearness (0 to 1), and the parameters of cloud."""
    daily = found.measured.sum(axis=1) / found.clear.sum(axis=1)
    quantiles = []
    for month in range(1, 13):
        row = np.quantile(daily[found.months == month], LEVELS)
        quantiles.append(["clearness", f"month_{month:02d}", "0", *[f"{q:.4f}" for q in row]])
    bright = found.clear > 100  # noqa: PLR2004 - W/m2, the sun well above the horizon
    ratio = np.where(bright, found.measured / np.maximum(found.clear, 1.0), np.nan)
    rest = ratio - daily[:, None]
    left, right = rest[:, :-1].ravel(), rest[:, 1:].ravel()
    both = ~np.isnan(left) & ~np.isnan(right)
    cloudy = daily < 0.9  # noqa: PLR2004 - days with cloud
    rows = [
        ["clear_sky_scale", f"{found.clear.sum() / found.haurwitz.sum():.4f}"],
        ["clearness_decay_day", f"{autocorrelation(normal_scores(daily, found.months), 1):.4f}"],
        ["clearness_spread_hour", f"{np.nanstd(rest[cloudy]):.4f}"],
        ["clearness_decay_hour", f"{np.corrcoef(left[both], right[both])[0, 1]:.4f}"],
    ]
    parameters = [["sun", name, value, "1", "derived", SUN_SOURCE] for name, value in rows]
    ratio_source = (
        "PVWatts 1,528.9 kWh/kW (11.55 N, in a published REopt case) over NSRDB 2,042.3 kWh/m2 (12.53 N)"
    )
    parameters.append(["sun", "performance_ratio", f"{1528.9 / 2042.3:.3f}", "1", "derived", ratio_source])
    return quantiles, parameters


def tables(data: Path) -> tuple[list[list[str]], list[list[str]]]:
    """The rows of `profiles.csv` and of `profile_parameters.csv`, computed from the real files in `data`."""
    mill, _ = steel(data)
    profiles = quantile_rows("steel", mill)
    parameters = load_parameters("steel", mill, (0.30, 0.467), STEEL_SOURCE)
    for number, shares in ((1, (0.12, 0.4)), (4, (0.25, 0.4))):
        series, source = home(data, number), HOME_SOURCE.format(number=number)
        profiles += quantile_rows(f"home_{number}", series)
        parameters += load_parameters(f"home_{number}", series, shares, source)
    profiles += [*shape_rows(), *swap_rows()]
    for profile in (*SHAPES, "swaps"):
        made_up = {
            "steps_per_hour": 4,
            "share_day": 0.3,
            "share_slow": 0.5,
            "decay_day": 0.5,
            "decay_slow": 0.95,
        }
        parameters += [[profile, name, str(v), "1", "assumed", MADE_UP] for name, v in made_up.items()]
        parameters.append([profile, "decay_fast", "0.3", "1", "assumed", MADE_UP])
    for more_profiles, more_parameters in (ev_rows(sessions(data)), sun_rows(sun(data))):
        profiles += more_profiles
        parameters += more_parameters
    return profiles, parameters


PROFILE_HEAD = ["profile", "day_type", "hour", *[f"q{round(p * 100):02d}" for p in LEVELS]]
PARAMETER_HEAD = ["profile", "parameter", "value", "unit", "basis", "source"]


def write(data: Path, folder: Path) -> list[Path]:
    """Writes both tables into `folder` and returns their paths."""
    written = []
    names = ("profiles.csv", "profile_parameters.csv")
    for name, head, rows in zip(names, (PROFILE_HEAD, PARAMETER_HEAD), tables(data), strict=True):
        path = folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            writer.writerows(rows)
        written.append(path)
    return written


if __name__ == "__main__":
    for table in write(Path(sys.argv[1]), Path(__file__).parent):
        sys.stdout.write(f"{table}\n")
