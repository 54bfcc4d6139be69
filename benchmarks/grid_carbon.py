# SPDX-License-Identifier: Apache-2.0
"""Forecasts of Việt Nam's daily carbon intensity one to seven days ahead, beside the constant, yesterday and last week.

Each forecast is issued at the end of its day with what was published by then; the file is the daily mix of 2022 to 2025 with its own
column of intensity. All columns are over the same pairs of days.

    MANGROVE_DATA=/path/to/data python benchmarks/grid_carbon.py
"""

from __future__ import annotations

import csv
import time
from datetime import date
from pathlib import Path

import numpy as np

import real
from mangrove.forecast.grid_carbon import walk
from mangrove.forecast.grid_features import DailyMix

SOURCES = {
    "hydro": "hydro",
    "coal": "coal",
    "gas": "gas",
    "oil": "oil",
    "wind": "wind",
    "solar": "solar",
    "import": "imp",
    "other": "oth",
}
CONSTANT = 336.0
"""g/kWh: the constant that a public map of the world's grids shows for Việt Nam (direct, mix of 2022)."""


def read(path: Path) -> DailyMix:
    """The file as days in a row."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    days = np.array([row["date"] for row in rows], dtype="datetime64[D]").astype(np.int64)
    at = days - days[0]

    def column(name: str) -> np.ndarray:
        found = np.full(at[-1] + 1, np.nan)
        found[at] = [float(row[name]) for row in rows]
        return found

    first = date.fromisoformat(rows[0]["date"])
    return DailyMix(first, {name: column(given) for name, given in SOURCES.items()}, column("ci"))


def main() -> None:
    """Prints a row for each lead."""
    mix = read(real.folder("grid") / "vn_daily_mix_clean_2022_2025.csv")
    began = time.process_time()
    found = walk(mix)
    spent = time.process_time() - began
    truth, days = found.truth, len(found.naive)
    use = np.isfinite(found.median) & np.isfinite(truth)
    print("lead   days  constant  last known  same weekday  forecast  ratio  80 %   95 %")
    banded = np.isfinite(found.quantiles[0]) & use
    for lead in range(1, 8):
        k = lead - 1
        rows = np.flatnonzero(use[:, k])
        week = np.full(days, np.nan)
        back = rows + lead - 7
        week[rows[back >= 0]] = mix.intensity[back[back >= 0]]
        both = rows[np.isfinite(week[rows])]

        def mape(guess: np.ndarray, at: np.ndarray, k: int = k) -> float:
            return 100 * float(np.mean(np.abs(guess[at] - truth[at, k]) / truth[at, k]))

        ours, naive = mape(found.median[:, k], rows), mape(found.naive, rows)
        wide = banded[:, k]
        inside = [
            100
            * np.mean(
                (found.quantiles[a, wide, k] <= truth[wide, k])
                & (truth[wide, k] <= found.quantiles[b, wide, k])
            )
            for a, b in ((1, 3), (0, 4))
        ]
        constant = mape(np.full(days, CONSTANT), rows)
        print(
            f"{lead:4d} {len(rows):6d} {constant:9.2f} {naive:11.2f} {mape(week, both):13.2f} {ours:9.2f} {ours / naive:6.3f}"
            f" {inside[0]:5.1f} {inside[1]:6.1f}"
        )
    print(f"{spent:.1f} CPU s for {days} origins and 7 leads")


if __name__ == "__main__":
    main()
