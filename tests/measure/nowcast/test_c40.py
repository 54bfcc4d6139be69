# SPDX-License-Identifier: Apache-2.0
"""The nowcast of real cities is nearer to what they published later than their last inventory is, and its bands hold what they promise."""

from functools import cache

import numpy as np
import pytest
from tests.measure.nowcast.c40_cities import (
    CLIP,
    HIGH,
    Changes,
    activity,
    bounds,
    by_city,
    errors,
    guess,
    inside,
    pairs,
)

from mangrove import rules
from mangrove.measure.nowcast import default
from mangrove.rules import tables
from mangrove.sources.c40 import CityInventory

EVERY = 12
"""Each twelfth city and year; benchmarks/c40_nowcast.py takes all."""


@pytest.fixture(scope="module")
def cities(data_dir):
    """The inventories of the database by city and year."""
    return by_city(data_dir / "inventory" / "C40_GPC_Database.xlsx")


@pytest.fixture(scope="module")
def changes(cities):
    """The changes of their references from year to year."""
    return Changes.of(cities)


@pytest.fixture(scope="module")
def guesses(cities, changes, data_dir):
    """Nowcasts with inventories one and two years old; what is believed before was known by then."""
    live = activity(data_dir / "inventory" / "carbon_monitor_cities_annual.csv")
    book, beliefs = rules.load(), cache(lambda year: changes.known(year).beliefs())
    return [
        guess(cities[city], year, lag, book=book, priors=beliefs(year - lag), live=live, samples=100)
        for lag in (1, 2)
        for city, year in pairs(cities, lag)[::EVERY]
    ]


@pytest.mark.data
def test_the_last_inventory_is_off_by_six_and_eight_percent(cities):
    for lag, count, mean in ((1, 190, 0.058), (2, 175, 0.078)):
        both = [
            (cities[c][y - lag].totals["BASIC"], cities[c][y].totals["BASIC"]) for c, y in pairs(cities, lag)
        ]
        old, new = np.array(both).T
        assert len(both) == count
        assert np.mean(np.abs(old - new) / new) == pytest.approx(mean, abs=0.0005)


@pytest.mark.data
def test_the_nowcast_is_nearer_than_the_last_inventory_and_its_bands_hold(guesses):
    old, new = errors(guesses)
    assert new.mean() < old.mean()
    for level, hits in zip((0.8, 0.95), inside(guesses), strict=True):
        low, high = bounds(level, len(hits))
        assert low <= hits.mean() <= high


def test_an_index_that_began_after_the_inventory_counts_from_its_first_year():
    years = {
        year: CityInventory(
            "A", "USA", year, "BASIC", None, None, None, {"I.1.1": 100.0}, {"BASIC": 100.0}, {}
        )
        for year in (2018, 2020)
    }
    given = {"book": rules.load(), "priors": {"high": default("high")}, "samples": 50}
    lower = guess(years, 2020, 2, live={"US": {2020: np.log(0.8)}}, **given)
    still = guess(years, 2020, 2, live={}, **given)
    assert lower.mean / still.mean == pytest.approx(0.8, rel=0.01)
    assert lower.band95[1] / lower.band95[0] > still.band95[1] / still.band95[0]


@pytest.mark.data
def test_what_a_nowcast_believes_of_a_year_does_not_depend_on_later_ones(cities, changes):
    early = {city: {y: row for y, row in years.items() if y <= 2014} for city, years in cities.items()}
    for income, all_ in changes.known(2014).beliefs().items():
        alone = Changes.of(early).beliefs()[income]
        assert all_.drift == pytest.approx(alone.drift, abs=1e-12)
        assert {k: one.own for k, one in all_.annual.items()} == pytest.approx(
            {k: one.own for k, one in alone.annual.items()}
        )
        assert (all_.annual[""].common, all_.annual[""].grid) == pytest.approx(
            (alone.annual[""].common, alone.annual[""].grid)
        )


@pytest.mark.data
def test_the_shipped_tables_are_what_the_whole_database_says(changes):
    found = changes.beliefs()
    for row in tables.rows("annual_change"):
        these = found["high"].annual[row["gpc"]]
        for name in ("own", "common", "grid"):
            assert float(row[f"{name}_sd"]) == pytest.approx(getattr(these, name), abs=0.0051), (
                row["gpc"],
                name,
            )
    for income in ("high", "other"):
        shipped = default(income).drift
        assert shipped.keys() == found[income].drift.keys()
        for kind, drift in shipped.items():
            assert drift == pytest.approx(found[income].drift[kind], abs=0.0006)


@pytest.mark.data
def test_no_drift_of_cities_without_high_income_nor_of_single_cities_can_be_told_from_none(cities):
    others, products = [], []
    for years in cities.values():
        rich = next(iter(years.values())).country in HIGH
        mean = -0.021 if rich else 0.0  # of high income, all years
        steps = {
            year: np.clip(np.log(years[year].totals["BASIC"] / years[year - 1].totals["BASIC"]), -CLIP, CLIP)
            - mean
            for year in years
            if year - 1 in years
        }
        others += [] if rich else list(steps.values())
        products += [steps[a] * steps[b] for a in steps for b in steps if b - a >= 2]
    assert len(others) == 57
    assert abs(np.mean(others)) < np.std(others) / len(others) ** 0.5
    assert np.mean(products) < 0.01**2
