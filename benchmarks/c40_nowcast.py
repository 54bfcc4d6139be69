# SPDX-License-Identifier: Apache-2.0
"""The nowcast of a year against what the city published later: 79 cities of the C40 database, inventories one and two years old.

    MANGROVE_DATA=FOLDER OPENBLAS_NUM_THREADS=1 python benchmarks/c40_nowcast.py [--every 1] [--rows FILE]

Beside it stands persistence: last year's inventory taken for this year. Whatever is believed before the city's own facts is estimated
anew for every year, from what all cities had published by then (see tests/measure/nowcast/c40_cities.py). `--every 10` takes each tenth pair.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable
from dataclasses import astuple, fields
from functools import cache
from pathlib import Path

import numpy as np

import real

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.measure.nowcast.c40_cities import (  # noqa: E402
    HIGH,
    Changes,
    Guess,
    activity,
    bounds,
    by_city,
    errors,
    guess,
    inside,
    pairs,
)

from mangrove import rules  # noqa: E402

EARLY = 2016
"""The last year by which the few choices were made: how many changes the first assumption counts for, and where a change is cut."""

PANDEMIC = 2020


def run(folder: Path, every: int) -> tuple[list[Guess], set[str], set[str]]:
    """All nowcasts; the cities with three inventories; those of high income."""
    cities = by_city(folder / "inventory" / "C40_GPC_Database.xlsx")
    live = activity(folder / "inventory" / "carbon_monitor_cities_annual.csv")
    changes, book = Changes.of(cities), rules.load()
    beliefs = cache(lambda year: changes.known(year).beliefs())
    found = [
        guess(cities[city], year, lag, book=book, priors=beliefs(year - lag), live=live)
        for lag in (1, 2)
        for city, year in pairs(cities, lag)[::every]
    ]
    many = {city for city, years in cities.items() if len(years) >= 3}
    rich = {city for city, years in cities.items() if next(iter(years.values())).country in HIGH}
    return found, many, rich


def line(label: str, these: list[Guess]) -> None:
    """One row of the table."""
    if not these:
        return
    old, new = errors(these)
    row = f"{label:34} {len(these):4} {100 * old.mean():6.2f} {100 * new.mean():6.2f} {100 * np.median(old):6.2f} {100 * np.median(new):6.2f}"
    for level, hits in zip((0.8, 0.95), inside(these), strict=True):
        low, high = bounds(level, len(these))
        row += f"   {100 * hits.mean():5.1f} ({100 * low:.0f}-{100 * high:.0f})"
    width = np.median([one.band95[1] / one.band95[0] for one in these])
    print(f"{row} {width:7.3f}")


def main() -> None:
    """The table."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--every", type=int, default=1)
    ask.add_argument("--rows", type=Path, help="write every nowcast to this CSV file")
    given = ask.parse_args()
    begin = time.process_time()
    found, many, rich = run(real.folder("inventory").parent, given.every)
    spent = time.process_time() - begin
    print(f"{'':39} {'mean error, %':>13} {'median, %':>13}   in the band of, %: 80 (95 % of runs)   95")
    print(f"{'':34} {'n':>4} {'last':>6} {'ours':>6} {'last':>6} {'ours':>6} {'':31} width95")
    kinds: list[tuple[str, Callable[[Guess], bool]]] = [
        ("all", lambda _: True),
        ("44 cities of 3 years", lambda one: one.city in many),
        (f"until {EARLY}", lambda one: one.year <= EARLY),
        (f"after {EARLY}", lambda one: one.year > EARLY),
        ("2020 alone", lambda one: one.year == PANDEMIC),
        ("all but 2020", lambda one: one.year != PANDEMIC),
        ("high income", lambda one: one.city in rich),
        ("other", lambda one: one.city not in rich),
    ]
    for lag in (1, 2):
        for label, chosen in kinds:
            line(
                f"{lag} year{'s'[: lag - 1]} old: {label}",
                [one for one in found if one.lag == lag and chosen(one)],
            )
    print(f"{len(found)} nowcasts in {spent:.0f} CPU seconds")
    if given.rows:
        with given.rows.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([[one.name for one in fields(Guess)], *map(astuple, found)])


if __name__ == "__main__":
    main()
