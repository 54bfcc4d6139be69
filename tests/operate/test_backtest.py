# SPDX-License-Identifier: Apache-2.0
"""A span in closed loop: energy is conserved, bills are those of the contract, and nobody beats perfect foresight."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operate.worlds import (
    HCM,
    QUARTER,
    START,
    charging,
    measured,
    prices,
    rates,
    two_prices,
    workshop,
)

from mangrove.errors import DataQualityError, RequestError
from mangrove.operate.account import settle
from mangrove.operate.backtest import PERFECT, PLAN, Setup, backtest
from mangrove.operate.execute import Orders, Plant
from mangrove.operate.loop import ByPlan, run
from mangrove.operate.outlook import Grid, perfect, persistence
from mangrove.operate.plan import Options, Planner
from mangrove.operate.rules import RULES
from mangrove.operate.site import Battery
from mangrove.operate.state import SECOND, Session

DAYS = 3
SHORT = Options(horizon=24.0, fine=12.0)


def stays(count=12, days=DAYS, seed=1):
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        arrive = START + int(generator.integers(0, days * 96 - 40)) * 600 * SECOND
        depart = arrive + int(generator.integers(4000, 30_000)) * SECOND
        found.append(Session(f"v{number}", "plugs", arrive, depart, float(generator.uniform(2, 30))))
    return found


@pytest.fixture(scope="module")
def result():
    grid = measured(DAYS)
    return backtest(
        charging(),
        grid,
        rates(factor=0.66, carbon=50.0),
        outlook=perfect(grid, 96),
        options=replace(SHORT, carbon=33.0),
        setup=Setup(levels={"battery": 60.0}, sessions=stays()),
    )


def test_no_policy_beats_perfect_foresight(result):
    best = result.accounts[PERFECT].cost
    assert set(result.accounts) == {PLAN, PERFECT, *RULES}
    for name, account in result.accounts.items():
        assert account.cost >= best * (1 - 1e-9), name
        assert result.regret(name) == pytest.approx(account.cost - best)
    assert result.complete


def test_a_plan_that_knows_the_future_comes_close_to_perfect_foresight(result):
    assert result.share_reached() > 0.9
    assert result.accounts[PLAN].cost < min(result.accounts[name].cost for name in RULES)


def test_energy_is_conserved_over_the_whole_loop(result):
    for name, course in result.courses.items():
        power = course.powers["battery"]
        draw = course.imported - course.exported + course.generated - course.load - power
        if name == PERFECT:  # vehicles, with what their chargers lose
            assert draw.sum() * 0.25 * 0.92 == pytest.approx(course.delivered.sum(), rel=1e-6)
            continue
        assert draw * 0.25 * 0.92 == pytest.approx(course.delivered, abs=1e-6)
        gained = np.where(power > 0, power * 0.95, power / 0.94) * 0.25
        assert course.levels["battery"][-1] == pytest.approx(60.0 + gained.sum(), abs=1e-6)


def test_vehicles_get_the_same_from_everybody(result):
    missing = [account.missing for account in result.accounts.values()]
    assert missing == pytest.approx([missing[0]] * len(missing), abs=1e-3)
    assert missing[0] > 1.0
    delivered = {name: course.delivered.sum() for name, course in result.courses.items()}
    assert delivered[PERFECT] == pytest.approx(delivered["no_storage"], rel=1e-6)


def test_the_bills_are_those_of_the_contract(result):
    course, account = result.courses["self_consumption"], result.accounts["self_consumption"]
    starts = START + np.arange(DAYS * 96) * QUARTER * SECOND
    bills = rates().contract.bills(
        starts, 0.25, HCM, course.imported / 4, course.exported / 4, course.generated / 4
    )
    assert account.bills == pytest.approx(sum(bill.subtotal for bill in bills))
    discharged = np.maximum(-course.powers["battery"], 0.0).sum() / 4
    assert account.wear == pytest.approx(10.0 * discharged)
    assert account.emissions == pytest.approx(course.imported.sum() / 4 * 0.66)
    assert account.carbon == pytest.approx(account.emissions * 50.0)
    table = result.to_arrow().to_pylist()
    mine = [row for row in table if row["policy"] == "self_consumption"]
    assert sum(row["cost"] for row in mine) == pytest.approx(account.bills)
    assert mine[0]["peak"] == pytest.approx(course.imported.reshape(-1, 2).mean(axis=1).max())


def test_energy_taken_out_of_the_battery_is_paid_for():
    grid = measured(1)
    flat = {"setup": Setup(levels={"battery": 200.0}), "options": SHORT, "outlook": perfect(grid, 96)}
    found = backtest(workshop(), grid, rates(two_prices()), rules=("self_consumption",), **flat)
    for account in found.accounts.values():
        end = found.courses[account.name].levels["battery"][-1]
        mean = prices(two_prices(), days=1).buy[:96].mean()
        assert account.owed == pytest.approx(max(200.0 - end, 0.0) / 0.95 * mean, abs=1.0)
    assert found.accounts[PERFECT].cost <= found.accounts["self_consumption"].cost


def test_the_cap_on_exports_holds_for_the_best_possible_course():
    grid = measured(2)
    site = workshop(
        batteries=(), exporting=500.0, generators=(replace(workshop().generators[0], capacity=500.0),)
    )
    sunny = Grid(
        START, QUARTER, {"shop#load": grid.values["shop#load"] * 0.1, "roof": grid.values["roof"] * 4}
    )
    found = backtest(
        site, sunny, rates(two_prices(export="law", export_cap=0.2)), options=SHORT, rules=("no_storage",)
    )
    account = found.accounts[PERFECT]
    made = found.courses[PERFECT].generated.sum() / 4
    assert account.lines["export"] == pytest.approx(-671.0 * 0.2 * made, rel=1e-3)
    assert found.regret("no_storage") >= -1e-3


def test_a_forecast_that_fails_hands_over_to_the_safe_rule_and_says_why():
    grid = measured(1)
    right = perfect(grid, 96)
    broken = START + 40 * QUARTER * SECOND

    def outlook(at):
        if at >= broken:
            raise DataQualityError("operate.stale_forecast", name="roof", hours=9, most=6)
        return right(at)

    found = backtest(workshop(), grid, rates(), outlook=outlook, options=SHORT, rules=(), foresight=False)
    assert found.accounts[PLAN].takeovers == {"operate.stale_forecast": 56}
    assert PERFECT not in found.accounts


def test_an_interrupt_keeps_what_is_done():
    grid = measured(2)

    def stop(name, done, steps):
        if name == "no_storage":
            raise KeyboardInterrupt

    found = backtest(workshop(), grid, rates(), outlook=perfect(grid, 96), options=SHORT, progress=stop)
    assert not found.complete
    assert {account.steps for account in found.accounts.values()} == {96}
    assert found.accounts[PERFECT].cost <= found.accounts[PLAN].cost * (1 + 1e-9)


def test_a_plan_may_be_made_every_hour_only():
    grid = measured(1)
    tariff = prices(days=1)
    controller = ByPlan(Planner(workshop(), tariff, SHORT), perfect(grid, 96), every=4)
    course = run(workshop(), grid, tariff, controller)
    assert len(controller.seconds) == 24
    assert course.steps == 96


def test_devices_that_are_worse_than_declared_do_not_break_the_loop():
    grid = measured(1)
    worn = Battery("battery", 120.0, 40.0, 50.0, (0.85, 0.85))
    found = backtest(
        workshop(),
        grid,
        rates(),
        outlook=perfect(grid, 96),
        options=SHORT,
        rules=(),
        foresight=False,
        setup=Setup(batteries=(worn,), ramp=30.0),
    )
    level, power = found.courses[PLAN].levels["battery"], found.courses[PLAN].powers["battery"]
    assert 0.0 <= level.min() <= level.max() <= 120.0
    assert np.abs(np.diff(power)).max() <= 100.0
    assert not found.accounts[PLAN].takeovers


def test_a_gap_a_missing_series_and_a_start_inside_a_window_are_named():
    grid, tariff = measured(1), prices(days=1)
    rest = type("Rest", (), {"name": "rest", "decide": lambda self, view: Orders({}, by="rest")})()
    holed = Grid(
        START, QUARTER, {**grid.values, "roof": np.where(np.arange(96) == 7, np.nan, grid.values["roof"])}
    )
    with pytest.raises(DataQualityError) as refused:
        run(workshop(), holed, tariff, rest)
    assert (refused.value.code, refused.value.problem.data["count"]) == ("operate.gap", 1)
    with pytest.raises(RequestError) as refused:
        run(workshop(), Grid(START, QUARTER, {"roof": grid.values["roof"]}), tariff, rest)
    assert refused.value.code == "operate.no_series"
    with pytest.raises(RequestError) as refused:
        run(workshop(), Grid(START + QUARTER * SECOND, QUARTER, grid.values), tariff, rest)
    assert refused.value.code == "operate.not_a_window"
    with pytest.raises(RequestError) as refused:
        backtest(workshop(), grid, rates(), rules=("self_consumtion",))
    assert refused.value.code == "operate.unknown_rule"
    assert "self_consumption" in str(refused.value)


def test_an_interrupt_before_the_first_day_is_over_gives_an_empty_account():
    grid = measured(1)

    def outlook(at):
        raise KeyboardInterrupt

    found = backtest(workshop(), grid, rates(), outlook=outlook, options=SHORT)
    assert (found.complete, found.accounts[PLAN].steps, found.accounts[PLAN].cost) == (False, 0, 0.0)
    assert np.isnan(found.regret())
    assert found.to_arrow().num_rows == 0


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999), level=st.floats(0, 200), sure=st.booleans())
def test_whatever_is_expected_nothing_leaves_its_limits(seed, level, sure):
    grid = measured(1, seed=seed)
    generator = np.random.default_rng(seed)
    right = perfect(grid, 96)

    def outlook(at):
        told = right(at)
        return (
            told
            if sure
            else {name: values * generator.uniform(0, 3, values.shape) for name, values in told.items()}
        )

    tariff = prices(days=1)
    controller = ByPlan(Planner(workshop(importing=150.0), tariff, SHORT), outlook, every=8)
    plant = Plant(workshop(importing=150.0), levels={"battery": level})
    course = run(workshop(importing=150.0), grid, tariff, controller, plant=plant)
    assert course.powers["battery"].min() >= -100.0
    assert course.powers["battery"].max() <= 80.0
    assert course.exported.max() <= 60.0 + 1e-9
    assert -1e-9 <= course.levels["battery"].min() <= course.levels["battery"].max() <= 200.0 + 1e-9
    over = course.imported > 150.0 + 1e-6
    # Above the connection's limit the battery gives all it can.
    room = np.minimum(100.0, np.r_[level, course.levels["battery"][:-1]] * 0.94 / 0.25)
    assert (course.powers["battery"][over] <= -room[over] + 1e-6).all()


def test_hourly_steps_will_do_where_nobody_bills_the_highest_power():
    grid = measured(2)
    hourly = Grid(
        START, 3600, {name: series.reshape(-1, 4).mean(axis=1) for name, series in grid.values.items()}
    )
    options = Options(seconds=3600, horizon=24.0, fine=24.0)
    factor = np.linspace(0.5, 0.8, 48)
    found = backtest(
        workshop(), hourly, rates(two_prices(), factor=factor), options=options, outlook=perfect(hourly, 24)
    )
    assert found.regret() >= -1e-3
    assert found.share_reached() > 0.9
    course = found.courses[PLAN]
    assert found.accounts[PLAN].emissions == pytest.approx(float(course.imported @ factor))
    with pytest.raises(RequestError) as refused:
        backtest(workshop(), hourly, rates(), options=options, outlook=perfect(hourly, 24))
    assert refused.value.code == "operate.window"


class Deaf(ByPlan):
    """The plan whose fast loop keeps to the set-points."""

    def decide(self, view):
        return replace(super().decide(view), worth={})


def test_a_plan_whose_fast_loop_knows_the_worth_of_energy_costs_less_when_the_forecast_fails():
    grid = measured(6, seed=3)
    site = workshop(batteries=(Battery("battery", 400.0, 80.0, 80.0, (0.95, 0.95)),), exporting=60.0)
    sunny = Grid(
        grid.start, grid.seconds, {"shop#load": grid.values["shop#load"] / 3, "roof": grid.values["roof"]}
    )
    rated, charged = prices(two_prices(export="law"), days=6), rates(two_prices(export="law"))
    outlook = persistence(sunny, 96, seasons={"roof": 86_400})
    cost = {}
    for kind in (ByPlan, Deaf):
        controller = kind(Planner(site, rated, Options(horizon=24.0)), outlook)
        course = run(site, sunny, rated, controller)
        balance = (
            course.imported + course.generated - course.exported - course.load - course.powers["battery"]
        )
        assert np.abs(balance).max() < 1e-9
        cost[kind] = settle(site, course, rated, charged, sunny.start).cost
    assert cost[ByPlan] < cost[Deaf] * 0.99
