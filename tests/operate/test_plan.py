# SPDX-License-Identifier: Apache-2.0
"""The rolling plan: what it promises happens, a warm plan is as good as a cold one, and bad input is named."""

from dataclasses import replace

import numpy as np
import pytest
from tests.operate.worlds import (
    BATTERY,
    HCM,
    QUARTER,
    START,
    charging,
    measured,
    prices,
    two_part,
    two_prices,
    workshop,
)

from mangrove.errors import RequestError
from mangrove.operate.execute import Orders, Plant
from mangrove.operate.outlook import perfect, persistence
from mangrove.operate.plan import Layout, Options, Planner
from mangrove.operate.prices import Prices
from mangrove.operate.site import Battery
from mangrove.operate.state import SECOND, Session, State

STEP = QUARTER * SECOND
OUTLOOK = perfect(measured(), 192)


def state(at=START, level=100.0, **changes):
    return State(at, {"battery": level}, month=0, **changes)


def test_what_is_planned_is_what_happens_when_the_forecast_is_right():
    site, grid, tariff = workshop(), measured(), prices()
    planner, plant = Planner(site, tariff), Plant(site, levels={"battery": 100.0})
    now = state(allowance=0.0)
    for step in range(60):
        plan = planner.replan(now, OUTLOOK(now.at))
        lead = plan.lead
        done = plant.step(
            now.at,
            QUARTER,
            grid.values["shop#load"][step],
            grid.values["roof"][step],
            Orders(plan.setpoints(), plan.ceiling()),
        )
        assert done.imported == pytest.approx(plan.imported[0, lead], abs=1e-5)
        assert done.exported == pytest.approx(plan.exported[0, lead], abs=1e-5)
        assert plant.levels["battery"] == pytest.approx(plan.levels["battery"][0, lead], abs=1e-5)
        now = now.after(now.at + STEP, done.imported, 0, window=2, levels=plant.levels, allowance=0.0)
        now = replace(now, allowance=0.0)


@pytest.mark.parametrize("contract", [two_part(), two_prices(export="law")])
def test_a_warm_plan_costs_as_much_as_a_cold_one(contract):
    site, tariff = workshop(), prices(contract)
    warm = Planner(site, tariff)
    now = state(allowance=40.0)
    for step in range(0, 96, 7):
        now = replace(now, at=START + step * STEP, window=(120.0,) * (step % tariff.window), peak=100.0)
        one = warm.replan(now, OUTLOOK(now.at))
        other = Planner(site, tariff).replan(now, OUTLOOK(now.at))
        assert one.solved.cost == pytest.approx(other.solved.cost, rel=1e-7)


def test_energy_is_conserved_in_a_plan():
    plan = Planner(workshop(), prices()).replan(state(), OUTLOOK(START))
    layout = Layout.of(Options())
    load = layout.join(measured().values["shop#load"][:192][None])
    inflow = plan.imported + plan.generated["roof"]
    assert inflow == pytest.approx(load + plan.exported + plan.powers["battery"], abs=1e-6)
    power, level = plan.powers["battery"][0], plan.levels["battery"][0]
    gained = np.where(power > 0, power * 0.95, power / 0.94) * plan.hours
    assert np.diff(np.r_[100.0, level]) == pytest.approx(gained, abs=1e-6)


def test_the_running_window_of_the_meter_is_billed_as_it_was_metered():
    now = state(START + STEP, level=0.0, window=(300.0,), peak=0.0)
    outlook = {"shop#load": np.full(192, 100.0), "roof": np.zeros(192)}
    plan = Planner(workshop(), prices()).replan(now, outlook)
    assert plan.lead == 1
    assert plan.starts[0] == START
    assert plan.peak >= (300.0 + plan.imported[0, 1]) / 2 - 1e-6
    assert plan.peak == pytest.approx(
        max((300.0 + plan.imported[0, 1]) / 2, plan.imported[0, 2:].max()), abs=1.0
    )


def test_a_peak_that_is_billed_already_is_free():
    outlook = {"shop#load": np.full(192, 100.0), "roof": np.zeros(192)}
    free = Planner(workshop(batteries=(BATTERY,)), prices()).replan(state(level=0.0, peak=180.0), outlook)
    assert free.peak == pytest.approx(180.0)
    assert free.imported.max() > 170.0


def test_the_peak_of_the_next_month_is_counted_apart():
    first = np.datetime64("2026-09-29T17:00:00", "s")
    tariff = Prices.of(two_part(), START, 32 * 96, QUARTER, HCM)
    outlook = {"shop#load": np.r_[np.full(96, 50.0), np.full(96, 150.0)], "roof": np.zeros(192)}
    plan = Planner(workshop(batteries=()), tariff).replan(State(first, month=0, peak=20.0), outlook)
    peaks = np.atleast_2d(plan.solved.peak(plan.solved._net.handles["demand"]))[0]
    assert peaks == pytest.approx([50.0, 150.0])
    assert plan.peak == pytest.approx(50.0)


def test_exports_stay_within_the_allowance_and_the_share_of_generation():
    sunny = {"shop#load": np.zeros(192), "roof": np.full(192, 60.0)}
    site = workshop(batteries=(), exporting=500.0)
    tariff = prices(two_prices(export="law", export_cap=0.2))
    plan = Planner(site, tariff).replan(State(START, month=0, allowance=100.0), sunny)
    sale = plan.solved[plan.solved._net.handles["sale"]]
    made = float((plan.generated["roof"][0] * plan.hours).sum())
    assert float((sale * plan.hours).sum()) == pytest.approx(100.0 + 0.2 * made, rel=1e-6)
    assert plan.exported[0] == pytest.approx(60.0)
    owing = Planner(site, tariff).replan(State(START, month=0, allowance=-1e6), sunny)
    assert owing.solved[owing.solved._net.handles["sale"]].max() == 0.0
    assert not owing.relaxed


def test_with_scenarios_the_next_set_points_are_the_same_in_all_of_them():
    grid = measured(days=5)
    outlook = persistence(grid, 192, scenarios=4, seasons={"shop#load": 86_400, "roof": 86_400})
    now = START + 3 * 96 * STEP
    plan = Planner(workshop(), prices(days=5), Options(scenarios=4)).replan(state(now), outlook(now))
    assert plan.powers["battery"].shape == (4, 120)
    assert np.ptp(plan.powers["battery"][:, :4], axis=0) == pytest.approx(0.0, abs=1e-9)
    assert np.ptp(plan.powers["battery"], axis=0).max() > 1.0
    assert np.ptp(plan.imported[:, :4], axis=0).max() > 0.1


def test_vehicles_get_what_they_need_by_departure_at_the_cheapest_time():
    stay = Session("a", "plugs", START, START + 8 * 3600 * SECOND, energy=20.0)
    long = Session("b", "plugs", START, START + 80 * 3600 * SECOND, energy=20.0)
    plan = Planner(charging(), prices(two_prices())).replan(
        state(sessions=(stay, long)), {"shop#load": np.full(192, 50.0), "roof": np.zeros(192)}
    )
    energy = float((plan.powers["a"][0] * plan.hours).sum()) * 0.92
    assert energy == pytest.approx(20.0)
    assert plan.powers["a"].max() <= 7.0 + 1e-9
    assert plan.powers["a"][0, 32:].max() == 0.0
    assert not plan.relaxed


def test_a_vehicle_that_cannot_be_ready_gets_all_it_can_and_is_named():
    stay = Session("a", "plugs", START, START + 3600 * SECOND, energy=50.0)
    plan = Planner(charging(), prices()).replan(state(sessions=(stay,)), OUTLOOK(START))
    assert plan.powers["a"][0, :4] == pytest.approx(7.0)
    assert plan.missing == {"a": pytest.approx(50.0 - 7.0 * 0.92)}
    assert not plan.relaxed


def test_vehicles_that_the_connection_cannot_all_charge_give_way_by_name():
    stays = tuple(Session(f"{i}", "plugs", START, START + 3600 * SECOND, energy=6.0) for i in range(4))
    site = replace(charging(), importing=60.0, batteries=(), generators=())
    plan = Planner(site, prices()).replan(
        State(START, sessions=stays, month=0), {"shop#load": np.full(192, 50.0)}
    )
    assert sum(gave.amount for gave in plan.relaxed) == pytest.approx(4 * 6.0 / 0.92 - 10.0, rel=1e-6)
    assert {gave.tier for gave in plan.relaxed} == {"promised"}
    assert not plan.missing


def test_more_vehicles_than_slots_make_room():
    planner = Planner(charging(), prices(), Options(slots=1))
    stays = tuple(Session(str(i), "plugs", START, START + 7200 * SECOND, 5.0) for i in range(3))
    plan = planner.replan(state(sessions=stays), OUTLOOK(START))
    assert set(plan.powers) == {"battery", "0", "1", "2"}
    assert planner.replan(state(START + STEP, window=(1.0,)), OUTLOOK(START + STEP)).powers.keys() == {
        "battery"
    }


def test_a_tapered_battery_is_not_asked_for_what_it_refuses():
    battery = Battery("battery", 200.0, 80.0, 100.0, taper=(0.5, 0.0))
    cheap = {"shop#load": np.full(192, 50.0), "roof": np.zeros(192)}
    plan = Planner(workshop(batteries=(battery,)), prices(two_prices())).replan(state(level=0.0), cheap)
    level, power = plan.levels["battery"][0], plan.powers["battery"][0]
    allowed = np.array([battery.acceptance(one) for one in level])
    assert (power <= allowed + 1e-6).all()
    assert level.max() > 150.0


def test_an_announced_plan_is_kept_when_nothing_speaks_against_it():
    tariff = prices(two_prices())
    tariff = replace(tariff, buy=np.full_like(tariff.buy, 2000.0))
    site = workshop(batteries=(Battery("battery", 200.0, 80.0, 80.0),), generators=())
    outlook = {"shop#load": np.full(192, 100.0)}
    told = np.zeros(120)
    told[40:44], told[60:64] = 50.0, -50.0
    planner = Planner(site, tariff)
    plan = planner.replan(state(level=0.0), outlook, announced={"battery": told})
    assert plan.powers["battery"][0, 40:44].sum() > 100.0
    calm = Planner(site, tariff).replan(state(level=0.0), outlook)
    assert np.abs(calm.powers["battery"]).max() == pytest.approx(0.0, abs=1e-6)
    cost = [float((one.imported[0] * one.hours).sum()) for one in (plan, calm)]
    assert cost[0] == pytest.approx(cost[1], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"roof": None}, "operate.no_outlook"),
        ({"roof": np.full(192, np.nan)}, "operate.outlook_value"),
        ({"roof": np.full(192, -1.0)}, "operate.outlook_value"),
        ({"roof": np.zeros(100)}, "operate.outlook_shape"),
        ({"roof": np.zeros((3, 192))}, "operate.outlook_shape"),
    ],
)
def test_an_outlook_that_cannot_be_used_is_named(change, code):
    outlook = {**OUTLOOK(START), **change}
    outlook = {name: values for name, values in outlook.items() if values is not None}
    with pytest.raises(RequestError) as refused:
        Planner(workshop(), prices()).replan(state(), outlook)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (state(START + 60 * SECOND), "operate.off_grid"),
        (state(START + 96 * 40 * STEP), "operate.off_grid"),
        (state(START + 96 * 4 * STEP), "operate.no_prices"),
        (state(window=(1.0, 1.0)), "operate.window_over"),
        (State(START), "operate.no_level"),
        (state(sessions=(Session("a", "x", START, START + STEP, 1.0),)), "operate.unknown_charger"),
    ],
)
def test_a_state_that_cannot_be_planned_from_is_named(now, code):
    with pytest.raises(RequestError) as refused:
        Planner(workshop(), prices()).replan(now, {"shop#load": np.zeros(192), "roof": np.zeros(192)})
    assert refused.value.code == code


def test_impossible_options_are_refused():
    for options in ({"seconds": 700}, {"fine": 50.0}, {"scenarios": 0}, {"now": 0}):
        with pytest.raises(RequestError) as refused:
            Options(**options)
        assert refused.value.code == "operate.bad_options"


def test_on_the_day_the_clock_changes_steps_go_on_and_the_local_hour_sets_the_price():
    from zoneinfo import ZoneInfo

    from mangrove.rules.contracts import Contract

    berlin = ZoneInfo("Europe/Berlin")
    start = np.datetime64("2026-03-28T00:00:00", "s")
    contract = Contract("flat", price=2000.0, demand=100.0, vat=0.0)
    tariff = Prices.of(contract, start, 4 * 96, QUARTER, berlin)
    planner = Planner(workshop(), tariff)
    outlook = {"shop#load": np.full(192, 100.0), "roof": np.zeros(192)}
    for hour in (0, 24, 25, 26, 40):
        plan = planner.replan(State(start + hour * 3600 * SECOND, {"battery": 50.0}, month=0), outlook)
        assert np.diff(plan.starts[:96]).min() == np.diff(plan.starts[:96]).max() == STEP
