# SPDX-License-Identifier: Apache-2.0
"""Two-way vehicles: they give when energy is dear, are ready when they leave, and never hold more or less than a battery can."""

import numpy as np
import pytest
from tests.operate import park
from tests.operate.worlds import START, measured, prices, rates, two_prices, workshop

from mangrove.operate.backtest import PERFECT, PLAN, Setup, backtest
from mangrove.operate.devices import limits_at
from mangrove.operate.outlook import perfect
from mangrove.operate.plan import Options, Planner
from mangrove.operate.site import Charger, sites
from mangrove.operate.state import SECOND, Session, State
from mangrove.operate.vehicles import level_of

HOUR = 3600 * SECOND
TWO_WAY = Charger("dock", power=7.0, count=4, efficiency=0.9, discharge=6.0, vehicle=40.0, wear=100.0)
PLAIN = Charger("plugs", power=7.0, count=4, efficiency=0.92)
SITE = workshop(batteries=(), chargers=(TWO_WAY, PLAIN))
STAYS = (
    Session("a", "dock", START, START + 22 * HOUR, 4.0, level=30.0),
    Session("b", "dock", START + 9 * HOUR, START + 20 * HOUR, 10.0, power=5.0),
    Session("c", "plugs", START, START + 12 * HOUR, 12.0),
)


def replan(sessions=STAYS, site=SITE):
    outlook = perfect(measured(), 96)(START)
    planner = Planner(site, prices(two_prices()), Options(horizon=24.0))
    return planner.replan(State(START, sessions=sessions, month=0), outlook)


def follow(session, charger, power):
    """Levels of a vehicle after each step."""
    gain = np.where(power > 0, power * charger.efficiency, power / charger.efficiency) / 4
    return level_of(session, charger) + np.cumsum(gain)


def test_a_two_way_vehicle_gives_in_the_peak_and_leaves_as_full_as_promised():
    plan = replan()
    power = plan.powers["a"][0]
    level = follow(STAYS[0], TWO_WAY, power)
    assert power.min() < -1.0
    assert -6.0 - 1e-9 <= power.min() <= power.max() <= 7.0 + 1e-9
    assert -1e-6 <= level.min() <= level.max() <= 40.0 + 1e-6
    assert level[87] >= 34.0 - 1e-6
    assert np.abs(power[88:]).max() < 1e-9
    # It gives where energy is dearer than where it charges.
    buy = prices(two_prices()).buy[:96]
    assert buy[power < -0.1].min() > buy[power > 0.1].max()


def test_a_vehicle_whose_level_nobody_knows_lacked_what_it_asks_for():
    level = follow(STAYS[1], TWO_WAY, replan().powers["b"][0])
    assert level_of(STAYS[1], TWO_WAY) == 30.0
    assert level[79] == pytest.approx(40.0, abs=1e-6)


def test_a_one_way_vehicle_beside_it_only_charges():
    power = replan().powers["c"][0]
    assert power.min() >= 0.0
    assert power.sum() / 4 * 0.92 == pytest.approx(12.0)


def test_two_way_vehicles_make_a_plan_cheaper():
    one_way = workshop(batteries=(), chargers=(Charger("dock", power=7.0, count=4, efficiency=0.9), PLAIN))
    assert replan().solved.cost < replan(site=one_way).solved.cost - 100.0


def test_limits_let_a_two_way_vehicle_give():
    limits = limits_at(SITE, STAYS)
    assert (limits["a"].low, limits["a"].high) == (-6.0, 7.0)
    assert (limits["c"].low, limits["c"].high) == (0.0, 7.0)


def test_the_closed_loop_conserves_energy_and_no_policy_beats_perfect_foresight():
    grid = measured(2)
    found = backtest(
        SITE, grid, rates(two_prices()), outlook=perfect(grid, 96), options=Options(horizon=24.0),
        setup=Setup(sessions=STAYS), rules=("no_storage",),
    )  # fmt: skip
    for name, account in found.accounts.items():
        assert account.cost >= found.accounts[PERFECT].cost * (1 - 1e-9), name
        assert account.missing == pytest.approx(0.0, abs=1e-5), name
    given = found.courses[PLAN].delivered
    assert given.min() < -0.5
    assert given.sum() == pytest.approx(4.0 + 10.0 + 12.0, abs=0.01)
    assert found.accounts[PLAN].cost < found.accounts["no_storage"].cost


def test_a_declared_two_way_charger_is_read(tmp_path):
    assets = (
        park.FILES["assets.csv"]
        + "dock,works,charger,power=7 kW; count=2 item; discharge=6 kW; vehicle=40 kWh; wear=100 VND/kWh\n"
    )
    (site,) = sites(park.load(park.declare(tmp_path / "works", assets=assets)))
    assert site.chargers[0].discharge == 6.0
    assert site.chargers[0].vehicle == 40.0
