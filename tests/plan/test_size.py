"""Sizes are those of least cost: by hand on small cases, by conservation and monotonicity on a seeded year."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.plan.worlds import factory, tiny, with_hydrogen

from mangrove.errors import RequestError
from mangrove.plan.finance import Money, lifecycle
from mangrove.plan.problem import Case, Limits, Size, Supply, battery, converter, generator, pv, tank, wind
from mangrove.plan.result import owned
from mangrove.plan.size import size


def cost_of(case):
    return size(case, days=None).cost


@pytest.fixture(scope="module")
def year():
    return size(factory(days=120))


def test_a_roof_is_built_up_to_the_load_when_it_pays_and_not_at_all_when_it_does_not():
    sun = np.tile([0.0, 0.5], 12)
    for cost, best in ((2100.0, 8.0), (2300.0, 0.0)):  # a kW gives 12 x 0.5 x 365 = 2,190 kWh at 1 a kWh
        roof = pv("roof", sun, cost=cost, most=20.0)
        found = size(tiny(np.full(24, 4.0), np.full(24, 1.0), (roof,)), days=None)
        assert found.sizes["roof"] == pytest.approx(best, abs=1e-6)
        assert found.npv == pytest.approx(best * (2190 - cost), abs=1e-3)


def test_a_battery_by_hand_moves_one_cheap_hour_to_one_dear_hour():
    price = np.full(24, 2.0)
    price[3], price[18] = 1.0, 5.0
    load = np.zeros(24)
    load[18] = 9.0
    bank = battery("b", power=Size(cost=10.0), energy=Size(cost=100.0), efficiency=(0.9, 0.8))
    found = size(tiny(load, price, (bank,)), days=None)
    assert found.sizes["b/energy"] == pytest.approx(9 / 0.8)
    assert found.sizes["b"] == pytest.approx(9 / 0.8 / 0.9)
    assert found.cost == pytest.approx(365 * 9 / 0.72 * 1.0 + 10 * 12.5 + 100 * 11.25)


def test_the_part_that_stays_filled_is_bought_as_well():
    price, load = np.full(24, 2.0), np.zeros(24)
    price[3], price[18], load[18] = 1.0, 5.0, 9.0
    bank = battery("b", power=Size(), energy=Size(cost=100.0), floor=0.25)
    assert size(tiny(load, price, (bank,)), days=None).sizes["b/energy"] == pytest.approx(12.0)


def test_a_demand_charge_makes_a_battery_cut_the_peak():
    load = np.full(24, 1.0)
    load[12] = 5.0
    bank = battery("b", power=Size(), energy=Size(cost=10.0))
    month = np.zeros(24, dtype=int)
    found = size(tiny(load, np.full(24, 1.0), (bank,), demand=100.0, month=month), days=None)
    mean = 28 / 24
    assert found.after.peaks["grid"] == pytest.approx([mean])
    assert found.before.peaks["grid"] == pytest.approx([5.0])
    assert found.after.running.energy == pytest.approx(365 * 28 + 1200 * mean)
    assert found.sizes["b/energy"] == pytest.approx(23 * (mean - 1))


def test_what_is_sold_stays_below_its_share_of_what_is_made():
    sun, load = np.tile([0.0, 1.0], 12), np.tile([1.0, 0.0], 12)
    roof = pv("roof", sun, cost=100.0, most=10.0)
    found = size(tiny(load, np.full(24, 1.0), (roof,), sell=1.0, share=0.2), days=None)
    assert found.after.energy["grid export"] == pytest.approx(0.0, abs=1e-6) or found.after.energy[
        "grid export"
    ] <= 0.2 * found.after.energy["roof"] * (1 + 1e-6)


def test_a_cap_on_emissions_makes_the_dearer_clean_source_worth_it_and_its_price_is_the_difference():
    clean = generator("clean", running=3.0, emissions=0.0, most=10.0)
    case = tiny(np.full(24, 1.0), np.full(24, 1.0), (clean,), factor=1.0, limits=Limits(co2=8.76 / 2))
    found = size(case, days=None)
    assert found.after.emissions == pytest.approx(4.38)
    assert found.after.energy["clean"] == pytest.approx(4380.0)
    cap = next(one for one in found.worth if one.name == "co2")
    assert cap.yearly == pytest.approx(2000.0)  # 2 a kWh more, 1 kg a kWh


def test_a_carbon_price_does_the_same_as_its_cap():
    clean = generator("clean", running=3.0, emissions=0.0, most=10.0)
    for price, made in ((1900.0, 0.0), (2100.0, 8760.0)):
        case = tiny(np.full(24, 1.0), np.full(24, 1.0), (clean,), factor=1.0, carbon=price)
        assert size(case, days=None).after.energy["clean"] == pytest.approx(made, abs=1e-6)


def test_area_and_money_limit_what_is_built_and_say_what_they_are_worth():
    sun = np.tile([0.0, 0.5], 12)
    roof = pv("roof", sun, cost=1000.0, area=5.0, most=50.0)
    base = tiny(np.full(24, 8.0), np.full(24, 1.0), (roof,))
    for limits, word, value in (
        (Limits(area=20.0), "area", 1190 / 5),
        (Limits(money=4000.0), "money", 1.19),
    ):
        found = size(replace(base, limits=limits), days=None)
        assert found.sizes["roof"] == pytest.approx(4.0)
        assert next(one for one in found.worth if one.name == word).value == pytest.approx(value)


def test_the_limit_of_the_grid_is_worth_what_replaces_it():
    dear = generator("diesel", running=6.0, emissions=0.7, most=10.0)
    found = size(tiny(np.full(24, 3.0), np.full(24, 1.0), (dear,), upper=2.0), days=None)
    grid = next(one for one in found.worth if one.name == "grid")
    assert grid.value == pytest.approx(5.0 * 8760)
    assert found.before is None
    assert math.isnan(found.npv)


def test_the_renewable_share_counts_losses_against_itself():
    sun = np.tile([0.0, 1.0], 12)
    roof = pv("roof", sun, cost=1e5, most=100.0)
    bank = battery("b", power=Size(), energy=Size(cost=1.0), efficiency=(0.8, 1.0))
    case = tiny(np.full(24, 1.0), np.full(24, 1.0), (roof, bank), limits=Limits(renewable=0.75))
    found = size(case, days=None)
    assert found.after.energy["grid"] == pytest.approx(0.25 * 8760)
    assert found.after.energy["roof"] == pytest.approx((12 + 6 / 0.8) * 365)


def test_doing_nothing_costs_what_it_did_before_and_is_worth_nothing():
    roof = pv("roof", np.tile([0.0, 0.5], 12), cost=1e9, most=5.0)
    found = size(tiny(np.full(24, 4.0), np.full(24, 1.0), (roof,)), days=None)
    assert found.npv == pytest.approx(0.0, abs=1e-6)
    assert found.flow is not None
    assert found.flow.irr.reason == "plan.no_investment"


def test_the_cost_is_what_is_bought_plus_the_years_of_operation(year):
    case, money = year.case, year.case.money
    running = year.after.running
    parts = (
        owned(case, year.sizes)
        + money.worth("energy") * running.energy
        - money.worth("export") * running.export
    )
    assert year.cost == pytest.approx(parts, rel=1e-7)
    assert year.flow is not None
    assert year.flow.npv == pytest.approx(year.npv, rel=1e-6)
    assert year.flow.irr.rate > money.discount
    assert year.flow.payback < year.flow.discounted_payback < money.years


def test_every_hour_balances(year):
    after = year.after
    total = after.series["grid"] + after.series["roof"] + after.series["battery discharge"]
    total -= after.series["battery charge"] + after.series["grid export"]
    assert total == pytest.approx(year.case.loads["electricity"], abs=1e-3)


def test_billed_peaks_are_the_highest_hours_of_their_months(year):
    months = year.case.supplies[0].month
    highest = [year.after.series["grid"][months == m].max() for m in range(4)]
    assert year.after.peaks["grid"] == pytest.approx(highest, rel=1e-5)


def test_the_preview_is_never_cheaper_than_the_optimum_when_run_over_the_year(year):
    assert year.preview is not None
    assert year.preview.cost >= year.cost * (1 - 1e-7)
    assert year.preview.cost <= year.cost * 1.02
    assert abs(year.preview.error) < 0.06
    assert year.preview.sizes["roof"] == pytest.approx(year.sizes["roof"], rel=0.15)


def test_sales_are_capped_over_the_year(year):
    assert year.after.energy["grid export"] <= 0.2 * year.after.energy["roof"] * (1 + 1e-6)


def test_the_levelized_cost_of_the_roof_is_its_cost_over_what_is_used(year):
    money = year.case.money
    roof = year.case.candidates[0]
    owned_roof = lifecycle(roof.size.purchase("roof", year.built["roof"]), money)
    first = year.after.energy["roof"] / money.level(0.005)
    years = np.arange(1, 21)
    discounted = (first * 0.995 ** (years - 1) / 1.1**years).sum()
    assert year.lcoe["roof"] == pytest.approx(owned_roof / discounted)


def test_more_room_to_build_never_costs_more():
    costs = []
    for most in (0.0, 200.0, 800.0, 3200.0):
        case = factory(days=28)
        roof, bank = case.candidates
        costs.append(cost_of(replace(case, candidates=(roof, bank.resized("battery/energy", most=most)))))
    assert all(later <= before * (1 + 1e-9) for before, later in pairwise(costs))


def test_a_tighter_cap_never_costs_less():
    case = factory(days=28)
    free = size(case, days=None)
    costs = [
        cost_of(replace(case, limits=Limits(co2=free.after.emissions * share))) for share in (1.0, 0.9, 0.8)
    ]
    assert costs[0] == pytest.approx(free.cost, rel=1e-6)
    assert costs == sorted(costs)


def test_existing_capacity_is_free_and_counts_before():
    sun = np.tile([0.0, 0.5], 12)
    roof = pv("roof", sun, cost=1000.0, most=8.0, existing=3.0)
    found = size(tiny(np.full(24, 4.0), np.full(24, 1.0), (roof,)), days=None)
    assert found.before is not None
    assert found.before.energy["roof"] == pytest.approx(3 * 2190)
    assert found.built["roof"] == pytest.approx(5.0)
    assert found.npv == pytest.approx(5 * 1190)


def test_hydrogen_is_made_and_kept_where_that_is_cheaper_than_the_truck():
    case = with_hydrogen(limits=Limits(co2=3000.0))
    found = size(case, days=6)
    made = found.after.energy["electrolyzer"] * 0.68 + found.after.energy["truck"]
    assert made == pytest.approx(20.0 * 8760, rel=1e-6)
    assert found.sizes["electrolyzer"] > 0
    assert found.cost <= found.cost_before * (1 + 1e-9) or found.after.emissions < found.before.emissions
    assert found.preview.cost >= found.cost * (1 - 1e-7)


def test_two_weather_years_cost_the_mean_when_nothing_couples_them():
    first, second = factory(days=365, seed=1), factory(days=365, seed=2)
    only_roof = tuple(one for one in first.candidates if one.name == "roof")
    both = Case(
        {"electricity": np.r_[first.loads["electricity"], second.loads["electricity"]]},
        (Supply("grid", buy=np.r_[first.supplies[0].buy, second.supplies[0].buy], factor=0.6),),
        (replace(only_roof[0], profile=np.r_[only_roof[0].profile, second.candidates[0].profile]),),
        money=first.money,
    )
    assert both.annual == 0.5
    found = size(both, days=None)
    parts = []
    for one in (first, second):
        alone = replace(one, supplies=(Supply("grid", buy=one.supplies[0].buy, factor=0.6),))
        fixed = replace(one.candidates[0].size, existing=found.sizes["roof"], most=found.sizes["roof"])
        alone = replace(alone, candidates=(replace(one.candidates[0], size=fixed),))
        parts.append(cost_of(alone))
    assert found.cost == pytest.approx(np.mean(parts) + owned(both, found.sizes), rel=1e-7)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"loads": {}}, "plan.no_load"),
        ({"loads": {"electricity": np.full(24, np.nan)}}, "plan.bad_value"),
        ({"loads": {"electricity": np.full(24, -1.0)}}, "plan.bad_value"),
        ({"supplies": (Supply(buy=np.ones(23)),)}, "plan.bad_length"),
        ({"supplies": (Supply(), Supply())}, "plan.name_twice"),
        ({"supplies": (Supply(carrier="gas"),)}, "plan.unknown_carrier"),
        ({"candidates": (pv("roof", 0.5, cost=-1.0),)}, "plan.bad_size"),
        ({"candidates": (pv("roof", 0.5, cost=1.0, existing=3.0, most=2.0),)}, "plan.bad_size"),
        ({"candidates": (pv("roof", -0.5, cost=1.0),)}, "plan.bad_value"),
        ({"candidates": (tank("tank", "hydrogen", cost=1.0),)}, "plan.unknown_carrier"),
        ({"candidates": (wind("w", 1.0, cost=1.0, life=0.0),)}, "plan.bad_size"),
        ({"candidates": (battery("b", power=Size(), energy=Size(), floor=1.0),)}, "plan.bad_size"),
        ({"candidates": (converter("c", {}),)}, "plan.bad_size"),
        ({"limits": Limits(co2=-1.0)}, "plan.bad_limit"),
    ],
)
def test_what_cannot_be_planned_with_is_refused_by_name(change, code):
    good = {"loads": {"electricity": np.ones(24)}, "supplies": (Supply(),)}
    with pytest.raises(RequestError) as caught:
        Case(**{**good, **change})
    assert caught.value.code == code


def test_asking_for_neither_preview_nor_year_is_refused():
    with pytest.raises(RequestError) as caught:
        size(tiny(np.ones(24), np.ones(24)), days=None, full=False)
    assert caught.value.code == "plan.nothing_to_do"


@pytest.mark.data
def test_a_published_case_of_reopt_comes_out_the_same(data_dir):
    """North Thuan A: fixed sizes, 25 years; the published plan cycles its battery for nothing, so ours is slightly cheaper."""
    folder = data_dir / "energy" / "reopt"
    told = json.loads((folder / "north_thuan_scenario_a_reopt-results.json").read_text())
    load = np.array(told["ElectricLoad"]["load_series_kw"])
    money = Money(years=25, discount=0.10, tax=0.20, energy=0.05, export=0.05, om=0.02, decimals=5)
    fixed = {"least": 1.0, "life": 25.0}
    things = (
        pv("pv", np.array(told["PV"]["production_factor_series"]), cost=700.0, om=8.0, degradation=0.005,
           **{**fixed, "least": 30000.0, "most": 30000.0}),
        wind("wind", np.array(told["Wind"]["production_factor_series"]), cost=1200.0, om=25.0,
             **{**fixed, "least": 20000.0, "most": 20000.0}),
        battery("battery", power=Size(cost=200.0, om=5.0, life=25.0, least=10000.0, most=10000.0),
                energy=Size(cost=200.0, om=5.0, life=25.0, least=40000.0, most=40000.0), efficiency=(0.95, 0.95), floor=0.1, begin=0.5),
    )  # fmt: skip
    grid = Supply("grid", buy=0.055, sell=0.0254, factor=1.5013 * 0.45359237)
    found = size(Case({"electricity": load}, (grid,), things, money=money), days=None, solver="simplex")
    published = told["Financial"]
    assert found.cost_before == pytest.approx(published["lcc_bau"], rel=1e-9)
    assert found.cost <= published["lcc"] * (1 + 1e-9)
    assert found.cost == pytest.approx(published["lcc"], rel=1e-5)
    assert found.after.energy["grid"] == pytest.approx(
        told["ElectricUtility"]["annual_energy_supplied_kwh"], rel=1e-4
    )
    assert found.npv == pytest.approx(published["npv"], rel=3e-4)
    assert found.flow.irr.rate == pytest.approx(published["internal_rate_of_return"], abs=5e-4)
    assert found.flow.payback == pytest.approx(published["simple_payback_years"], abs=0.01)
    share = told["Site"]["lifecycle_emissions_reduction_CO2_fraction"]
    assert found.saved / found.before.emissions == pytest.approx(share, abs=1e-4)
