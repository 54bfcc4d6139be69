# SPDX-License-Identifier: Apache-2.0
"""The closed loop on a real metered load: DAEWOO's works in Gwangyang, 2018, by quarters of an hour (UCI 851)."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from tests.operate.worlds import QUARTER, START, rates

from mangrove.operate.backtest import PLAN, backtest
from mangrove.operate.outlook import Grid, perfect
from mangrove.operate.rules import RULES
from mangrove.operate.site import Battery, Generator, Site

pytestmark = pytest.mark.data
FILE = "load/uci_steel_industry_2018_15min.csv"
DAYS = 10


@pytest.fixture(scope="module")
def load():
    folder = os.environ.get("MANGROVE_DATA")
    if not folder or not (Path(folder) / FILE).is_file():
        pytest.skip("MANGROVE_DATA is not set: see docs/how-to/real-data.md for where to get the files")
    with (Path(folder) / FILE).open(encoding="utf-8") as file:
        kwh = [float(row["Usage_kWh"]) for row in csv.DictReader(file)]
    return np.array(kwh[: DAYS * 96]) * 4


def test_on_a_real_load_a_plan_that_knows_the_future_leaves_almost_nothing_to_perfect_foresight(load):
    site = Site(
        "works",
        importing=1000.0,
        batteries=(Battery("battery", 80.0, 40.0, 40.0, (0.95, 0.95)),),
        generators=(Generator("roof", 1.0),),
    )
    measured = Grid(START, QUARTER, {"works#load": load, "roof": np.zeros(len(load))})
    found = backtest(site, measured, rates(), outlook=perfect(measured, 192))
    assert found.complete
    assert found.accounts[PLAN].takeovers == {}
    assert all(found.regret(name) >= -1.0 for name in RULES)
    assert found.share_reached() > 0.97
    bought = sum(month.imported for month in found.accounts["no_storage"].months)
    assert bought == pytest.approx(load.sum() / 4)
