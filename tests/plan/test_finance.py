"""Money over years: factors, rates of return and cash flows agree with closed forms and with published results of REopt."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.plan.finance import (
    Money,
    Purchase,
    Running,
    annuity,
    cash_flow,
    irr,
    lcoe,
    left_over,
    levelized,
    lifecycle,
    npv,
    payback,
    present_worth,
    replacement_years,
)

REOPT = Money(years=25, discount=0.10, tax=0.20, energy=0.05, om=0.02, decimals=5)
rate = st.floats(-0.05, 0.25)


@given(st.integers(1, 60), rate, rate)
def test_the_present_worth_is_the_closed_form_of_the_geometric_sum(years, escalation, discount):
    ratio = (1 + escalation) / (1 + discount)
    assume(abs(ratio - 1) > 1e-6)
    assert present_worth(years, escalation, discount) == pytest.approx(
        ratio * (ratio**years - 1) / (ratio - 1), rel=1e-6
    )


@given(st.integers(1, 60), st.floats(0, 0.3))
def test_an_annuity_pays_back_one_unit(years, discount):
    assert annuity(years, discount) * present_worth(years, 0.0, discount) == pytest.approx(1.0)


def test_no_degradation_levels_to_one_and_more_degradation_to_less():
    assert levelized(0.0, 25, 0.05, 0.1) == pytest.approx(1.0)
    assert levelized(0.01, 25, 0.05, 0.1) < levelized(0.005, 25, 0.05, 0.1) < 1.0


@pytest.mark.parametrize(
    ("life", "years", "bought"),
    [
        (10, 25, (10, 20)),
        (25, 25, ()),
        (30, 25, ()),
        (12.5, 25, (13,)),
        (math.inf, 25, ()),
        (1, 3, (1, 2)),
    ],
)
def test_a_thing_is_bought_again_when_its_life_ends_before_the_study(life, years, bought):
    assert replacement_years(life, years) == bought


def test_what_is_left_of_the_last_purchase_is_its_unused_share():
    assert left_over(10, 25) == pytest.approx(0.5)
    assert left_over(30, 15) == pytest.approx(0.5)
    assert left_over(5, 25) == 0.0


def test_replacement_depreciation_and_salvage_by_hand():
    money = Money(years=4, discount=0.10, tax=0.25, depreciation=2, salvage=True)
    bought = Purchase("battery", cost=100.0, om=8.0, life=3.0, again=60.0)
    by_hand = 100 - (12.5 / 1.1 + 12.5 / 1.21) + 60 * 0.75 / 1.331 + 6 * present_worth(4, 0.0, 0.1)
    by_hand -= 60 * (2 / 3) * 0.75 / 1.1**4
    assert lifecycle(bought, money) == pytest.approx(by_hand)


def test_a_tax_holiday_takes_the_place_of_the_rate_in_the_first_years():
    money = Money(years=3, discount=0.0, tax=0.2, holiday=(0.0, 0.1))
    assert money.worth("energy") == pytest.approx(1.0 + 0.9 + 0.8)
    assert Money(years=3, discount=0.0, tax=0.2, holiday=(0.2,)).worth() == pytest.approx(
        Money(years=3, discount=0.0, tax=0.2).worth()
    )


@given(
    st.floats(-0.9, 5.0),
    st.lists(st.floats(1.0, 100.0), min_size=1, max_size=30),
)
def test_the_rate_of_return_of_an_ordinary_project_makes_its_value_zero(true, income):
    worth = sum(flow / (1 + true) ** (k + 1) for k, flow in enumerate(income))
    found = irr([-worth, *income])
    assert found.reason == ""
    assert found.rate == pytest.approx(true, abs=1e-7)


@settings(max_examples=200)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
def test_a_rate_of_return_is_either_a_root_or_a_reason(flows):
    found = irr(flows)
    assert math.isnan(found.rate) == bool(found.reason)
    for root in found.rates:
        powers = (1.0 + root) ** -np.arange(len(flows), dtype=float)
        scale = float(np.abs(np.array(flows) * powers).max())
        assert abs(npv(flows, root)) <= 1e-6 * scale


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20), st.floats(0.001, 1e6))
def test_the_rate_of_return_does_not_depend_on_the_currency(flows, factor):
    ours, theirs = irr(flows), irr([flow * factor for flow in flows])
    assert ours.reason == theirs.reason
    if not ours.reason:
        assert ours.rate == pytest.approx(theirs.rate, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("flows", "reason"),
    [
        ([0.0, 0.0], "plan.no_investment"),
        ([5.0, 5.0], "plan.no_investment"),
        ([-1.0, -1.0], "plan.no_income"),
        ([-1.0, 2.0, -1.5], "plan.no_rate"),
        ([-100.0, 230.0, -132.0], "plan.several_rates"),
    ],
)
def test_where_there_is_no_rate_of_return_the_reason_is_named(flows, reason):
    assert irr(flows).reason == reason


def test_several_rates_are_all_listed():
    assert irr([-100.0, 230.0, -132.0]).rates == pytest.approx((0.10, 0.20))


def test_payback_counts_from_when_the_sum_stays_positive():
    assert payback([-100.0, 60.0, 60.0]) == pytest.approx(1 + 40 / 60)
    assert payback([-100.0, 150.0, -80.0, 50.0]) == pytest.approx(2 + 30 / 50)
    assert payback([-100.0, 10.0]) == math.inf


def test_doing_nothing_is_worth_nothing():
    flow = cash_flow([], Running(1e6, 5.0, 3.0), Running(1e6, 5.0, 3.0), REOPT)
    assert flow.npv == 0.0
    assert flow.payback == 0.0
    assert flow.irr.reason == "plan.no_investment"


def test_the_table_by_year_adds_up():
    flow = cash_flow([Purchase("pv", 1e5, 1e3, 10, 4e4)], Running(5e4), Running(2e4, 1e3, 50.0), REOPT)
    rows = flow.rows()
    assert [row["year"] for row in rows] == list(range(26))
    for row in rows:
        parts = [row[name] for name in flow.columns]
        assert sum(parts) == pytest.approx(row["net"])
    assert rows[-1]["cumulative"] == pytest.approx(flow.npv)


@given(st.floats(0, 0.02), st.floats(1, 1e6), st.floats(1, 1e6))
def test_the_levelized_cost_of_energy_pays_the_cost(degradation, cost, energy):
    money = Money(years=20, discount=0.08)
    price = lcoe(cost, energy, money, degradation)
    income = [price * energy * (1 - degradation) ** k for k in range(20)]
    assert npv([0.0, *income], 0.08) == pytest.approx(cost)


@pytest.mark.parametrize(
    "change",
    [
        {"years": 0},
        {"years": 25.0},
        {"discount": -1.0},
        {"discount": math.nan},
        {"tax": 1.2},
        {"tax": -0.1},
        {"holiday": (0.0, 2.0)},
        {"energy": math.inf},
        {"decimals": -1},
    ],
)
def test_a_rate_that_makes_no_sense_is_refused_by_name(change):
    with pytest.raises(RequestError) as caught:
        Money(**change)
    assert caught.value.code == "plan.bad_money"
    assert caught.value.problem.data["name"] == next(iter(change))


@pytest.mark.data
def test_published_results_of_reopt_are_reproduced(data_dir):
    path = data_dir / "energy" / "reopt" / "north_thuan_scenario_a_reopt-results.json"
    told = json.loads(path.read_text())
    money, tariff = told["Financial"], told["ElectricTariff"]
    bought = [
        Purchase("pv", 21e6, 240e3),
        Purchase("wind", 24e6, 500e3),
        Purchase("battery", 10e6, 250e3),
    ]
    before, after = tariff["year_one_bill_before_tax_bau"], tariff["year_one_bill_before_tax"]
    assert REOPT.worth("energy") * before == pytest.approx(money["lcc_bau"], rel=1e-12)
    owned = sum(lifecycle(one, REOPT) for one in bought)
    assert owned == pytest.approx(money["lifecycle_capital_costs_plus_om_after_tax"], rel=1e-9)
    flow = cash_flow(bought, Running(before), Running(after), REOPT)
    assert flow.npv == pytest.approx(money["npv"], rel=1e-5)
    assert flow.irr.rate == pytest.approx(money["internal_rate_of_return"], abs=5e-4)
    assert flow.payback == pytest.approx(money["simple_payback_years"], abs=0.005)
    assert flow.net[1:] == pytest.approx(
        np.array(money["offtaker_annual_free_cashflows"])[1:]
        - np.array(money["offtaker_annual_free_cashflows_bau"])[1:],
        abs=0.02,
    )
    wind = lcoe(lifecycle(bought[1], REOPT), told["Wind"]["annual_energy_produced_kwh"], REOPT)
    assert wind == pytest.approx(told["Wind"]["lcoe_per_kwh"], abs=5e-5)
    sun = lcoe(lifecycle(bought[0], REOPT), told["PV"]["year_one_energy_produced_kwh"], REOPT, 0.005)
    assert sun == pytest.approx(told["PV"]["lcoe_per_kwh"], abs=5e-5)
