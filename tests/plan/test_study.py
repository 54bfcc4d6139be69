"""One thing changed at a time, and cost against carbon: the directions that economics says, and the ends of the line."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tests.plan.worlds import factory, tiny

from mangrove.errors import RequestError
from mangrove.plan.problem import Limits, Supply, generator
from mangrove.plan.size import size
from mangrove.plan.study import (
    carbon_priced,
    costing,
    discounted,
    frontier,
    priced,
    regimes,
    sensitivity,
    stacked,
    usual,
    years,
)


@pytest.fixture(scope="module")
def case():
    return factory(days=56)


def test_dearer_energy_builds_more_and_dearer_roofs_build_less(case):
    base, dear, cheap, roof = sensitivity(
        case, [priced(case, "grid", 1.3), priced(case, "grid", 0.7), costing(case, "roof", 1.5)], days=6
    )
    assert cheap.sizes["roof"] <= base.sizes["roof"] <= dear.sizes["roof"]
    assert cheap.cost < base.cost < dear.cost
    assert cheap.saved <= base.saved <= dear.saved
    assert roof.sizes["roof"] <= base.sizes["roof"]
    assert roof.irr < base.irr
    assert roof.payback > base.payback


def test_the_first_outcome_is_the_case_itself_over_the_same_days(case):
    found = sensitivity(case, [discounted(case, case.money.discount)], days=6)
    assert found[0].kind == "case"
    assert found[1].cost == pytest.approx(found[0].cost, rel=1e-9)


def test_money_and_emissions_of_an_outcome_are_those_of_every_hour(case):
    first = sensitivity(case, [], days=6)[0]
    best = size(case, days=6)
    assert first.cost == pytest.approx(best.preview.cost, rel=1e-9)
    assert first.saved == pytest.approx(best.cost_before - best.preview.cost)
    flattered = sensitivity(case, [], days=6, check=False)[0]
    assert flattered.cost == pytest.approx(best.preview.estimate, rel=1e-9)


def test_over_every_hour_the_outcome_is_that_of_the_sizing():
    short = factory(days=7)
    assert sensitivity(short, [], full=True)[0].cost == pytest.approx(size(short, days=None).cost, rel=1e-7)


def test_the_usual_changes_cover_every_price_and_every_candidate_both_ways(case):
    names = [(one.kind, one.name) for one in usual(case)]
    assert names == [("price", "grid"), ("cost", "roof"), ("cost", "battery"), ("discount", "")] * 2


def test_two_regimes_of_the_same_year_stand_side_by_side(case):
    hour = np.arange(case.steps) % 24
    old = replace(case.supplies[0], buy=np.where((hour >= 9) & (hour < 12), 3398.0, 1500.0))
    found = sensitivity(case, regimes(case, {"legacy": old, "963": case.supplies[0]}), days=6)
    assert [one.name for one in found] == ["plan", "legacy", "963"]
    assert found[2].cost == pytest.approx(found[0].cost, rel=1e-9)
    assert found[1].sizes != found[2].sizes


def test_weather_years_are_answered_one_by_one():
    found = sensitivity(factory(days=28), years({"next": factory(days=28, seed=8)}), days=4)
    assert found[1].name == "next"
    assert found[1].cost != found[0].cost


def test_the_frontier_falls_from_the_least_cost_to_the_least_emissions(case):
    for check in (False, True):
        points = frontier(case, 5, days=5, check=check)
        assert len(points) == 5
        emissions = [point.emissions for point in points]
        costs = [point.cost for point in points]
        prices = [point.price for point in points]
        assert emissions == sorted(emissions, reverse=True)
        assert costs == sorted(costs)
        assert prices == sorted(prices)
        assert prices[0] == 0.0
        gaps = -np.diff(emissions)
        assert gaps == pytest.approx(np.full(4, gaps.mean()), rel=0.1 if check else 1e-3)


def test_points_of_the_frontier_are_on_the_same_footing_as_the_plan(case):
    best = size(case, days=None)
    points = frontier(case, 3, days=6)
    assert best.cost <= points[0].cost * (1 + 1e-9)
    assert points[0].cost == pytest.approx(best.cost, rel=0.02)
    exact = frontier(case, 3, full=True)
    assert exact[0].cost == pytest.approx(best.cost, rel=1e-6)
    assert all(ours.cost >= theirs.cost * (1 - 2e-2) for ours, theirs in zip(points, exact, strict=True))


def test_the_frontier_by_hand_is_a_straight_line_at_the_price_of_the_clean_source():
    clean = generator("clean", running=3.0, emissions=0.25, most=10.0)
    points = frontier(tiny(np.full(24, 1.0), np.full(24, 1.0), (clean,), factor=1.0), 4, days=1)
    assert points[0].emissions == pytest.approx(8.76)
    assert points[-1].emissions == pytest.approx(0.25 * 8.76, abs=0.07)
    assert [point.price for point in points[1:]] == pytest.approx([2 / 0.75 * 1000] * 3)
    line = [8760 * (1 + 2 * (8.76 - point.emissions) / (0.75 * 8.76)) for point in points]
    assert [point.cost for point in points] == pytest.approx(line)


def test_a_case_that_cannot_emit_less_has_one_point():
    assert len(frontier(tiny(np.full(24, 1.0), np.full(24, 1.0), factor=1.0), 5, days=1)) == 1


def test_a_carbon_price_moves_along_the_frontier(case):
    base, priced_ = sensitivity(case, [carbon_priced(case, 2e6)], days=5)
    assert priced_.emissions < base.emissions


def test_without_a_year_to_compare_with_there_is_no_return():
    dear = generator("diesel", running=6.0, emissions=0.7, most=10.0)
    found = sensitivity(tiny(np.full(24, 3.0), np.full(24, 1.0), (dear,), upper=2.0), [], days=1)[0]
    assert math.isnan(found.irr)
    assert math.isnan(found.payback)
    assert math.isnan(found.saved)


def test_a_name_that_does_not_exist_is_refused_with_the_nearest(case):
    with pytest.raises(RequestError) as caught:
        priced(case, "gird", 1.1)
    assert caught.value.code == "plan.unknown_supply"
    with pytest.raises(RequestError) as caught:
        costing(case, "rof", 1.1)
    assert caught.value.code == "plan.unknown_candidate"
    with pytest.raises(RequestError) as caught:
        frontier(case, 1)
    assert caught.value.code == "plan.few_points"


def test_limits_of_the_case_hold_along_the_frontier(case):
    tight = replace(case, limits=Limits(area=1000.0))
    for point in frontier(tight, 3, days=4):
        assert point.sizes["roof"] * 5.0 <= 1000.0 * (1 + 1e-6)


def test_a_supply_can_be_replaced_by_another_kind(case):
    flat = Supply("grid", buy=2000.0, factor=0.6592)
    found = sensitivity(case, regimes(case, {"flat": flat}), days=4)
    assert found[1].sizes["battery/energy"] <= found[0].sizes["battery/energy"]


def test_years_one_after_the_other_share_sizes_and_cost_their_mean():
    first, second = factory(days=56, seed=1), factory(days=56, seed=2)
    both = stacked([first, second])
    assert both.annual == pytest.approx(first.annual / 2)
    assert both.supplies[0].months == 4
    assert np.unique(both.supplies[0].month).tolist() == [0, 1, 2, 3]
    found = size(both, days=None)
    alone = [size(one, days=None) for one in (first, second)]
    assert found.cost_before == pytest.approx(np.mean([one.cost_before for one in alone]), rel=1e-9)
    assert found.cost >= np.mean([one.cost for one in alone]) * (1 - 1e-7)
    assert found.cost <= found.cost_before


def test_years_of_different_questions_cannot_be_put_together(case):
    with pytest.raises(RequestError) as caught:
        stacked([case, replace(case, candidates=case.candidates[:1])])
    assert caught.value.code == "plan.unlike_years"
