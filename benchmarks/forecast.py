# SPDX-License-Identifier: Apache-2.0
"""Day-ahead forecasts of real series over their last 56 days, beside the weekly naive in the same run and earlier measurements.

Each day is forecast at its first instant with what was known then. The reference columns are an earlier mix of the same kinds of models on
the same files (November 2026, 2 cores): MASE, mean pinball loss / mean load, coverage of the 80 % band. Coverage here leaves out steps at
which neither the value nor the band differs from zero (the night, for the sun).

    MANGROVE_DATA=/path/to/data python benchmarks/forecast.py [--days 56] [--series steel,homes] [--models naive,profile,ridge,boosted] [--year]
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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


SERIES: dict[str, tuple[Callable[[Path], dict[str, Any]], tuple[float, float, float]]] = {
    "steel": (steel, (0.59, 0.1288, 0.80)),
    "homes": (homes, (0.68, 0.0426, 0.78)),
    "charging": (charging, (1.28, 0.1020, 0.78)),
    "sun": (sun, (0.417, 0.0404, 0.82)),
}


def main() -> None:
    """Prints one row a series."""
    from mangrove.forecast.backtest import backtest

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=56)
    parser.add_argument("--series", default=",".join(SERIES))
    parser.add_argument("--models", default="naive,profile,ridge,boosted")
    parser.add_argument(
        "--year", action="store_true", help="time a closed loop over all that the series holds"
    )
    asked = parser.parse_args()
    data = Path(os.environ.get("MANGROVE_DATA", ""))
    if not (data / "load").is_dir():
        print("not run: MANGROVE_DATA names no folder of the real files, see docs/how-to/real-data.md")
        return
    print("series      MASE   ref    pinball  ref     coverage ref   skill  naive MASE/pinball  CPU s")
    for name in asked.series.split(","):
        read, (mase, pinball, coverage) = SERIES[name]
        series = read(data)
        if asked.year:
            year(name, series, tuple(asked.models.split(",")))
            continue
        before = time.process_time()
        models = asked.models.split(",") + ["clear_sky"] * ("site" in series)
        score = backtest(**series, days=asked.days, models=models).score
        spent = time.process_time() - before
        base = score.mase * score.naive_mae / score.mae
        print(
            f"{name:10s}  {score.mase:.3f}  {mase:.3f}  {score.pinball:.4f}   {pinball:.4f}  {score.coverage:.3f}"
            f"    {coverage:.2f}  {score.skill:.3f}  {base:.2f} / {score.naive_pinball:.4f}       {spent:.1f}"
        )


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
