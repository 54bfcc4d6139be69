# SPDX-License-Identifier: Apache-2.0
"""The shipped priors against the data that they were read from, and how a flow finds its row."""

import csv
import re
from collections import defaultdict
from dataclasses import replace
from datetime import date

import numpy as np
import openpyxl
import pytest
from tests.measure.nowcast.twins import flow

from mangrove.inference import state_space
from mangrove.measure.nowcast import default
from mangrove.measure.nowcast.drivers import columns
from mangrove.rules import lunar
from mangrove.territory.model import Carrier

EPOCH = date(1970, 1, 1)


def number(cell):
    """The number in a cell, or None for a notation key."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


@pytest.fixture(scope="module")
def changes(data_dir):
    """Log changes between consecutive years by GPC reference and (city, year); references above 0.5 % of their city."""
    book = openpyxl.load_workbook(
        data_dir / "inventory" / "C40_GPC_Database.xlsx", read_only=True, data_only=True
    )
    rows = list(book["GHG Dashboard Data - Inventory"].iter_rows(values_only=True))
    refs = {i: name for i, name in enumerate(rows[0]) if re.fullmatch(r"[IV]+\.\d+(\.\d+)?", str(name))}
    cities = defaultdict(dict)
    for row in rows[1:]:
        if row[2] and number(row[6]):
            cities[row[2]][int(float(row[6]))] = {name: number(row[i]) for i, name in refs.items()}
    found = defaultdict(dict)
    for city, years in cities.items():
        for year, now in years.items():
            after = years.get(year + 1)
            total = sum(value for value in now.values() if value)
            for name, value in now.items() if after else ():
                later = after[name]
                if value and later and value > 0 and later > 0 and value > 0.005 * total:
                    found[name][city, year] = float(np.log(later / value))
    return found


@pytest.mark.data
def test_purchased_electricity_of_one_city_moves_together(changes):
    a, b = changes["I.1.2"], changes["I.2.2"]
    both = [key for key in a if key in b]
    x, y = (np.clip([one[key] for key in both], -0.5, 0.5) for one in (a, b))
    assert np.mean(x * y) > 0.8 * np.sqrt(np.mean(x * x) * np.mean(y * y))
    c, d = changes["I.1.1"], changes["II.1.1"]
    both = [key for key in c if key in d]
    x, y = (np.clip([one[key] for key in both], -0.5, 0.5) for one in (c, d))
    assert abs(np.mean(x * y)) < 0.005


@pytest.mark.data
def test_the_dip_of_tet_and_the_memory_of_days_are_those_of_national_generation(data_dir):
    with (data_dir / "grid" / "vn_daily_mix_clean_2022_2025.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            ((date.fromisoformat(row["date"][:10]) - EPOCH).days, float(row["tot"]))
            for row in csv.DictReader(file)
        ]
    days = np.arange(rows[0][0], rows[-1][0] + 1)
    y = np.full(len(days), np.nan)
    for at, value in rows:
        y[at - days[0]] = np.log(value)
    dips = []
    for year in (2023, 2024, 2025):
        at = (lunar.new_year(year) - EPOCH).days - days[0]
        around = np.concatenate([y[at - 24 : at - 10], y[at + 14 : at + 28]])
        dips.append(np.nanmean(y[at - 3 : at + 7]) - np.nanmean(around))
    assert np.mean(dips) == pytest.approx(default().effect("tet", "I.2.2").mean, abs=0.02)
    angle = 4 * np.pi * days / 365.2425
    shown = np.column_stack(
        [columns(days, "Asia/Ho_Chi_Minh", 2000), (days - days.mean()) / 365, np.sin(angle), np.cos(angle)]
    )
    variance = np.full(shown.shape[1], 0.25)
    variance[0] = 1e6
    found = state_space.fit(y, shown, variance=variance)
    assert found.sd == pytest.approx(default().day_sd, abs=0.005)
    assert found.phi == pytest.approx(default().day_phi, abs=0.02)
    assert found.coefficients[7] == pytest.approx(default().effect("holiday", "I.1.1").mean, abs=0.02)


def test_a_flow_finds_the_longest_row_that_fits_and_only_reported_electricity_shares_the_grid():
    priors = default()
    power = replace(flow("p", "I.2.2"), scope=2)
    assert priors.annual_of(power).grid > 0.1
    assert (
        default("high").drift_of(power)
        == default("high").drift["grid"]
        < default("high").drift_of(flow("r", "II.1.1"))
        < 0
    )
    assert default("high").drift_of(flow("x", "IV.1")) == default().drift_of(power) == 0
    assert priors.annual_of(replace(power, carrier=Carrier("electricity"))).grid == 0
    assert priors.annual_of(flow("r", "II.1.1")).own == priors.annual["II.1"].own
    assert priors.annual_of(flow("x", "VI.1")).own == priors.annual[""].own
    assert priors.effect("tet", "III.1.1").mean == 0
    assert priors.effect("tet", "I.1.1").mean < -0.3
