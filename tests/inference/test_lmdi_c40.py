# SPDX-License-Identifier: Apache-2.0
"""The decomposition on real cities: what people, wealth and intensity did to the emissions of each sector adds up to what changed."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest

from mangrove.inference.lmdi import decompose
from mangrove.sources.c40 import read_c40

SECTORS = ("I", "II", "III", "IV", "V")


def factors(row):
    """People, GDP per head and emissions per GDP by sector, shape (sectors, 3); removals are left out."""
    amounts = np.zeros(len(SECTORS))
    for reference, value in row.entries.items():
        sector = reference.split(".")[0]
        if sector in SECTORS and isinstance(value, (int, float)) and value > 0:
            amounts[SECTORS.index(sector)] += value
    ones = np.ones(len(SECTORS))
    return np.column_stack(
        [row.population * ones, row.gdp / row.population * ones, amounts / row.gdp]
    ), amounts


@pytest.mark.data
def test_population_wealth_and_intensity_explain_all_of_every_city_of_three_years(data_dir):
    cities = defaultdict(dict)
    for row in read_c40(data_dir / "inventory" / "C40_GPC_Database.xlsx"):
        cities[row.city][row.year] = row
    many = {city: years for city, years in cities.items() if len(years) >= 3}
    assert len(many) == 44
    checked = set()
    for city, years in many.items():
        known = [years[year] for year in sorted(years) if years[year].population and years[year].gdp]
        for before, after in pairwise(known):
            (x, first), (y, last) = factors(before), factors(after)
            effects = decompose(x, y)
            total = first.sum() + last.sum()
            np.testing.assert_allclose(effects.sum(axis=1), last - first, rtol=0, atol=1e-9 * total)
            assert abs(effects.sum() - (last - first).sum()) < 1e-9 * total
            assert np.sign(effects[:, 0].sum()) == np.sign(after.population - before.population)
            checked.add(city)
    assert len(checked) >= 40
