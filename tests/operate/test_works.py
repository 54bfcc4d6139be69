# SPDX-License-Identifier: Apache-2.0
"""A factory with sun, a battery, a heat pump, a store of heat and a boiler in closed loop: every node balances, every bill adds up."""

from dataclasses import replace

import numpy as np
import pytest
from tests.operate.factory import UNITS, factory, series, unit
from tests.operate.worlds import START, prices, rates, two_part, two_prices

from mangrove.errors import RequestError
from mangrove.operate.backtest import PERFECT, PLAN, Setup, backtest
from mangrove.operate.execute import Orders, Plant
from mangrove.operate.outlook import perfect
from mangrove.operate.plan import Options
from mangrove.operate.rules import RULES
from mangrove.operate.units import Supply
from mangrove.operate.works import Works

WOOD = Supply("fuel:wood", 900.0, 0.36, carbon=0.36 * 50.0)
SITE = factory("boiler", "pump", "tank", needs=("heat",), supplies=(WOOD,))
DAYS = 2
LEVELS = {"battery": 60.0, "tank": 100.0}


def closed(units=(), **changes):
    grid = series(SITE, days=DAYS)
    return grid, backtest(
        SITE,
        grid,
        rates(factor=0.66, carbon=50.0),
        outlook=perfect(grid, 96),
        options=Options(horizon=24.0, fine=12.0, carbon=33.0),
        setup=Setup(levels=LEVELS, units=units),
        **changes,
    )


@pytest.fixture(scope="module")
def result():
    return closed()


def test_every_node_balances_in_every_step_of_every_policy(result):
    grid, found = result
    assert set(found.courses) == {PLAN, PERFECT, *RULES}
    for name, course in found.courses.items():
        kw = course.powers
        heat = kw["boiler"] + kw["pump"] - kw["tank"] - grid.values["heat#demand"]
        assert np.abs(heat).max() < 1e-6, name
        bus = (
            course.imported
            + course.generated
            - course.exported
            - course.load
            - kw["battery"]
            - kw["pump"] / 3
        )
        assert np.abs(bus).max() < 1e-6, name
        assert course.bought["fuel:wood"] == pytest.approx(kw["boiler"] / 0.8, abs=1e-6), name
        keep, level = (1 - 0.005) ** 0.25, LEVELS["tank"]
        for into, after in zip(kw["tank"], course.levels["tank"], strict=True):
            level = level * keep + into / 4
            assert after == pytest.approx(level, abs=1e-5), name


def test_units_keep_their_limits_and_nothing_is_lacking(result):
    _, found = result
    for name, course in found.courses.items():
        assert -1e-7 <= course.powers["boiler"].min() <= course.powers["boiler"].max() <= 200 + 1e-7
        assert -1e-7 <= course.powers["pump"].min() <= course.powers["pump"].max() <= 60 + 1e-7
        assert -1e-6 <= course.levels["tank"].min() <= course.levels["tank"].max() <= 400 + 1e-6
        assert found.accounts[name].lacking == pytest.approx(0.0, abs=1e-6)


def test_no_policy_beats_perfect_foresight_and_the_plan_comes_close(result):
    _, found = result
    for name, account in found.accounts.items():
        assert account.cost >= found.accounts[PERFECT].cost * (1 - 1e-9), name
    assert found.share_reached() > 0.9
    assert found.accounts[PLAN].cost < min(found.accounts[name].cost for name in RULES)


def test_fuel_and_its_carbon_stand_in_the_account(result):
    _, found = result
    account, course = found.accounts["no_storage"], found.courses["no_storage"]
    burnt = float(course.bought["fuel:wood"].sum()) / 4
    assert burnt > 100.0
    assert account.fuel == pytest.approx(burnt * 900.0)
    assert account.emissions == pytest.approx(course.imported.sum() / 4 * 0.66 + burnt * 0.36)
    assert account.carbon == pytest.approx(50.0 * account.emissions)


def test_a_boiler_that_is_worse_than_declared_burns_more():
    worn = unit("boiler", "boiler", "capacity=200 kW; efficiency=60 %; fuel=fuel:wood")
    grid, found = closed((worn,), rules=("no_storage",), foresight=False)
    course = found.courses["no_storage"]
    assert course.bought["fuel:wood"] == pytest.approx(course.powers["boiler"] / 0.6, abs=1e-6)
    heat = (
        course.powers["boiler"] + course.powers["pump"] - course.powers["tank"] - grid.values["heat#demand"]
    )
    assert np.abs(heat).max() < 1e-6


def test_needs_come_before_set_points_and_the_store_strays_before_a_machine():
    works = Works(SITE, 0.25, levels={"tank": 100.0})
    done = works.step({"heat#demand": 90.0}, {"boiler": 20.0, "pump": 60.0, "tank": 0.0}, 2000.0, 100.0)
    assert done.powers == pytest.approx({"boiler": 20.0, "pump": 60.0, "tank": -10.0})
    assert done.electric == pytest.approx(20.0)
    empty = Works(SITE, 0.25).step(
        {"heat#demand": 300.0}, {"boiler": 20.0, "pump": 60.0, "tank": 0.0}, 2000.0, 100.0
    )
    assert empty.powers == pytest.approx({"boiler": 200.0, "pump": 60.0, "tank": 0.0})
    assert empty.lacking == pytest.approx({"heat": 40.0, "fuel:wood": 0.0})


def test_a_set_point_outside_the_limits_does_not_reach_a_unit():
    done = Works(SITE, 0.25, levels={"tank": 0.0}).step(
        {"heat#demand": 0.0}, {"pump": 900.0, "boiler": -5.0}, 2000.0, 0.0
    )
    assert done.powers["pump"] == pytest.approx(60.0)
    assert done.powers["boiler"] == pytest.approx(0.0)


def test_a_plant_gives_no_more_than_the_connection_lets_out():
    site = factory("chp", needs=("heat",), exporting=10.0)
    plant = Plant(site, levels={"battery": 200.0})
    done = plant.step(START, 900, 5.0, 0.0, Orders({"chp": 40.0}), needs={"heat#demand": 0.0}, price=2000.0)
    assert done.exported == pytest.approx(10.0)
    assert done.worked.powers["chp"] == pytest.approx(15.0)


def test_flexible_loads_stay_in_the_load_of_the_closed_loop():
    site = replace(SITE, units=(UNITS["wash"],), needs=())
    with pytest.raises(RequestError) as refused:
        backtest(site, series(factory(), days=1), rates(two_prices()))
    assert refused.value.code == "operate.no_flexible_loop"
    assert prices(two_part()).offset == 7 * 3600
