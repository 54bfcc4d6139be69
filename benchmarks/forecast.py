# SPDX-License-Identifier: Apache-2.0
"""Day-ahead forecasts of real series, beside the weekly naive, yesterday's values and every model alone, in the same run.

Each day is forecast at its first instant with what was known then. Two windows: the last 56 days, and the
112 days before them, by which settings were picked (benchmarks/README.md says how, and what was seen of the last 56). Columns: mean pinball loss / mean value of the mix; its ratio
to the best single model in that window (known only afterwards); coverage of the 80 % band and what the bands promise (one that begins
at zero promises only its upper end, see `mangrove.forecast.score`); skill over the weekly naive; by how much the mean absolute error of the
median is below that of repeating yesterday. Coverage leaves out steps at which neither the value nor the band differs from zero.

    MANGROVE_DATA=/path/to/data python benchmarks/forecast.py [--series steel,homes] [--models naive,profile,ridge,boosted] [--year] [--totals]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import real

HOUR = np.timedelta64(3600, "s")


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def steel(data: Path) -> dict[str, Any]:
    """A steel works, kWh in 15 min, 2018; rows are in order though the midnight row is stamped at the day's beginning."""
    values = np.array(
        [float(row["Usage_kWh"]) for row in rows(data / "load/uci_steel_industry_2018_15min.csv")]
    )
    starts = np.datetime64("2018-01-01", "s") - 9 * HOUR + np.arange(len(values)) * np.timedelta64(900, "s")
    return {"starts": starts, "values": values, "step_hours": 0.25, "tz": "Asia/Seoul"}


def homes(data: Path, column: str = "non_shiftable_load") -> dict[str, Any]:
    """The sum of 17 homes in California, kWh, hourly from August 2016."""
    folder = data / "load/citylearn2022_fontana"
    total = sum(
        np.array([float(row[column]) for row in rows(folder / f"Building_{i}.csv")]) for i in range(1, 18)
    )
    values = np.asarray(total)
    starts = np.datetime64("2016-07-31T23", "s") + 8 * HOUR + np.arange(len(values)) * HOUR
    return {"starts": starts, "values": values, "step_hours": 1.0, "tz": "Etc/GMT+8"}


def sun(data: Path) -> dict[str, Any]:
    """The PV of 17 homes in Fontana (W per kWp, summed), with the 24 h weather forecasts of the data set."""
    found = homes(data, "solar_generation")
    table = rows(data / "load/citylearn2022_fontana/weather.csv")
    columns = [name for name in table[0] if name.endswith("predicted_3")]
    weather = np.array([[float(row[name]) for name in columns] for row in table])
    return {**found, "weather": (found["starts"] + 24 * HOUR, weather), "site": (34.1, -117.4)}


def charging(data: Path) -> dict[str, Any]:
    """Workplace charging, kWh an hour, from February 2015; the energy of a session is spread evenly over its time."""
    first = np.datetime64("2015-02-01", "s")
    sessions = rows(data / "ev/workplace_ev_asensio.csv")
    begin, end = (
        np.array([(np.datetime64("20" + row[name][2:], "s") - first) / HOUR for row in sessions])
        for name in ("created", "ended")
    )
    energy = np.array([float(row["kwhTotal"]) for row in sessions])
    hours = np.arange(int(end.max()) // 24 * 24)[:, None]
    share = np.clip(np.minimum(end, hours + 1) - np.maximum(begin, hours), 0, None)
    values = (share * (energy / np.maximum(end - begin, 1e-3))).sum(axis=1)
    return {"starts": first + hours[:, 0] * HOUR, "values": values, "step_hours": 1.0, "tz": "UTC"}


def air(data: Path, station: int, column: str) -> dict[str, Any]:
    """A pollutant at a station of Ho Chi Minh City, hourly, February 2021 to June 2022 with gaps; ug/m3."""
    path = data / "air/healthyair_hcmc_hourly.csv"
    found = {
        np.datetime64(datetime.strptime(row["date"], "%d-%m-%Y %H:%M"), "s"): float(row[column])  # noqa: DTZ007 - local
        for row in rows(path)
        if int(row["Station_No"]) == station and row[column]
    }
    local = np.array(sorted(found))
    values = np.array([found[at] for at in local])
    return {"starts": local - 7 * HOUR, "values": values, "step_hours": 1.0, "tz": "Asia/Ho_Chi_Minh"}


SERIES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "steel": steel,
    "homes": homes,
    "charging": charging,
    "sun": sun,
    **{f"pm25_{i}": partial(air, station=i, column="PM2.5") for i in range(1, 7)},
    **{f"no2_{i}": partial(air, station=i, column="NO2") for i in range(2, 7)},
    "o3_2": partial(air, station=2, column="O3"),
    "co_4": partial(air, station=4, column="CO"),
}
"""NO2 of station 1 has no values in the last year."""
JUDGED, CHOSEN = 56, 112


def main() -> None:
    """Prints two rows a series."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", default=",".join(SERIES))
    parser.add_argument("--models", default="naive,profile,ridge,boosted")
    parser.add_argument(
        "--year", action="store_true", help="time a closed loop over all that the series holds"
    )
    parser.add_argument("--totals", action="store_true", help="17 homes and their sum, made to add up")
    asked = parser.parse_args()
    data = real.folder("load").parent
    if asked.totals:
        totals(data)
        return
    if not asked.year:
        print(
            "series     days         MASE  pinball  to best alone    coverage promised  skill  below yesterday  CPU s"
        )
    for name in asked.series.split(","):
        models = tuple(asked.models.split(","))
        if asked.year:
            year(name, SERIES[name](data), models)
        else:
            days(name, SERIES[name](data), models)


def days(name: str, series: dict[str, Any], models: tuple[str, ...]) -> None:
    """Day-ahead forecasts over both windows."""
    from mangrove.forecast.backtest import backtest

    before = time.process_time()
    made = backtest(**series, days=JUDGED + CHOSEN, models=(*models, *["clear_sky"] * ("site" in series)))
    spent = time.process_time() - before
    yesterday = np.concatenate([np.full((1, made.actual.shape[1]), np.nan), made.actual[:-1]])
    for label, part in (("last 56", slice(CHOSEN, None)), ("112 before", slice(0, CHOSEN))):
        mix = made.part(part)
        alone = {one: made.part(part, one).pinball for one in made.names}
        best = min(alone, key=lambda one: alone[one])
        happened, median = made.actual[part], made.quantiles[1][part]
        both = ~np.isnan(happened) & ~np.isnan(yesterday[part]) & ~np.isnan(median)
        missed = np.abs(happened - median)[both].mean() / np.abs(happened - yesterday[part])[both].mean()
        print(
            f"{name:10s} {label:10s}  {mix.mase:6.3f}  {mix.pinball:.4f}  {mix.pinball / alone[best]:.3f} {best:10s}"
            f"  {mix.coverage:.3f}    {mix.nominal:.3f}     {mix.skill:.3f}  {1 - missed:6.1%}           {spent:.1f}"
        )


def totals(data: Path, count: int = 56) -> None:
    """17 homes and their sum, day-ahead by the cheap mix: each by itself, added up from the homes, and reconciled."""
    from mangrove.forecast.forecaster import Forecaster
    from mangrove.forecast.reconcile import Hierarchy
    from mangrove.forecast.score import pinball
    from mangrove.forecast.totals import Reconciler

    folder = data / "load/citylearn2022_fontana"
    parts = {
        f"home{i}": np.array([float(row["non_shiftable_load"]) for row in rows(folder / f"Building_{i}.csv")])
        for i in range(1, 18)
    }
    values = {"sum": np.sum(list(parts.values()), axis=0)} | parts
    tree = Hierarchy(tuple(values), {"sum": tuple(parts)})
    starts = homes(data)["starts"]
    first = len(starts) - count * 24
    models = ("naive", "profile", "ridge")
    each = {name: Forecaster(1.0, "Etc/GMT+8", 24, models=models) for name in values}
    for name, one in each.items():
        one.fit(starts[:first], values[name][:first])
    levels = (0.1, 0.5, 0.9)
    missed: dict[str, list[Any]] = {"each by itself": [], "sum of homes": [], "reconciled": []}
    spent = 0.0
    for day in range(first, first + count * 24, 24):
        issued = {name: one.issue(starts[day]) for name, one in each.items()}
        before = time.process_time()
        reconciled = Reconciler.of(tree, issued).forecasts()
        spent += time.process_time() - before
        real = {name: one[day : day + 24] for name, one in values.items()}
        added = np.sum([issued[name].median for name in parts], axis=0)
        for label, found in (("each by itself", issued), ("reconciled", reconciled)):
            of_homes = np.mean([np.abs(real[name] - found[name].median).mean() for name in parts])
            loss = pinball(found["sum"].quantiles, levels, real["sum"]).mean()
            inside = (real["sum"] >= found["sum"].quantiles[0]) & (real["sum"] <= found["sum"].quantiles[2])
            missed[label].append(
                (np.abs(real["sum"] - found["sum"].median).mean(), of_homes, loss, inside.mean())
            )
        missed["sum of homes"].append((np.abs(real["sum"] - added).mean(), np.nan, np.nan, np.nan))
        for name, one in each.items():
            one.observe(starts[day : day + 24], values[name][day : day + 24])
    print("17 homes and their sum    MAE of the sum  MAE of a home  pinball of the sum  coverage of the sum")
    for label, lines in missed.items():
        print(f"{label:24s}  " + "  ".join(f"{value:14.4f}" for value in np.mean(lines, axis=0)))
    print(f"reconciling a day of 18 series: {1000 * spent / count:.0f} ms")


def year(name: str, series: dict[str, Any], models: tuple[str, ...]) -> None:
    """A forecast at every step of the series after the first six weeks, each with what was known then."""
    from mangrove.forecast.forecaster import Forecaster

    starts, values, hours = series["starts"], series["values"], series["step_hours"]
    slots = round(24 / hours)
    first = 42 * slots
    one = Forecaster(hours, series["tz"], 2 * slots, models=models)
    before = time.process_time()
    one.fit(starts[:first], values[:first], series.get("weather"))
    for step in range(first, len(values)):
        one.issue(starts[step])
        one.observe(starts[step], values[step])
    spent = time.process_time() - before
    issues = len(values) - first
    print(
        f"{name:10s}  {issues} forecasts, {spent:.0f} CPU s, {1000 * spent / issues:.2f} ms each with all refits"
    )


if __name__ == "__main__":
    main()
