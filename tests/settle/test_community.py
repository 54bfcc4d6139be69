# SPDX-License-Identifier: Apache-2.0
"""Communities: the formula is the network's optimum, shares by duals are in the core, bad input is named."""

from dataclasses import replace

import numpy as np
import pytest
from tests.settle.communities import park

from mangrove.errors import InfeasibleError, RequestError
from mangrove.settle import programs
from mangrove.settle.community import Community
from mangrove.settle.game import objections, sampled_coalitions
from mangrove.settle.settlement import RULES, settle

VARIANTS = {
    "own meters": {},
    "own meters, thin wires": {"wire": np.full(8, 60.0)},
    "own meters, several contracts": {"buy": "mixed"},
    "one meter": {"meter": "park"},
    "one meter, demand charge": {"meter": "park", "demand": 60_000.0},
    "one meter, demand charge over two steps": {"meter": "park", "demand": 60_000.0, "window": 2},
    "one meter, thin wires out": {"meter": "park", "wire": np.full(8, 850.0)},
}


def variant(name: str, n: int = 8, steps: int = 48, **change) -> Community:
    change = VARIANTS[name] | change
    prices = change.pop("buy", None)
    change |= {"wire": change["wire"][:n]} if "wire" in change else {}
    made = park(n, steps, **change)
    return replace(made, buy=made.buy * np.linspace(0.8, 1.4, n).round(1)[:, None]) if prices else made


@pytest.mark.parametrize("name", VARIANTS)
def test_without_storage_the_formula_is_the_optimum_of_the_network(name):
    community = variant(name, batteries=0.0)
    assert community.has_formula
    plan, _ = programs.solve(community)
    assert plan.cost == pytest.approx(community.cost(), rel=1e-9)
    part = community.subset(community.game.mask(community.members[2:5]))
    assert programs.solve(part)[0].cost == pytest.approx(community.cost(community.members[2:5]), rel=1e-9)


@pytest.mark.parametrize("name", VARIANTS)
def test_shares_by_duals_sum_to_the_cost_and_no_coalition_of_eight_objects(name):
    found = settle(variant(name, batteries=0.0), ["duals"])
    assert found.objections["duals"].found.count == 254
    assert_nobody_objects(found)


@pytest.mark.parametrize("name", VARIANTS)
def test_with_batteries_no_coalition_of_five_objects_either(name):
    assert_nobody_objects(settle(variant(name, 5, 24, batteries=0.6), ["duals"]))


def test_demand_charges_on_own_meters_leave_no_coalition_of_five_that_objects():
    """Sharing lowers each member's own peak, so there is no formula; every coalition is a program."""
    community = park(5, 24, batteries=0.6, demand=60_000.0, window=2)
    assert not community.has_formula
    found = settle(community, ["duals", "mmr", "pro_rata"])
    assert_nobody_objects(found)
    for allocation in found.allocations.values():
        assert allocation.total == pytest.approx(found.cost, rel=1e-7)


def test_eight_firms_with_batteries_and_a_common_peak_all_254_coalitions_solved():
    found = settle(variant("one meter, demand charge", steps=24), ["duals"])
    assert found.objections["duals"].found.count == 254
    assert_nobody_objects(found)


def assert_nobody_objects(found):
    assert found.allocations["duals"].total == pytest.approx(found.cost, rel=1e-9)
    assert not found.objections["duals"].objects
    assert found.objections["duals"].excess <= 1e-9 * abs(found.cost)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_rule_divides_exactly_what_is_paid(name):
    found = settle(variant(name, batteries=0.0))
    assert set(found.allocations) == set(RULES)
    for allocation in found.allocations.values():
        assert allocation.total == pytest.approx(found.cost, rel=1e-9)


def test_with_batteries_the_price_rules_divide_the_cost_of_the_plan():
    for change in ({}, {"demand": 60_000.0}, {"meter": "park", "demand": 60_000.0}):
        found = settle(park(6, 48, **change), ["mmr", "sdr", "pro_rata"], samples=10)
        for allocation in found.allocations.values():
            assert allocation.total == pytest.approx(found.cost, rel=1e-7)


def test_the_nearest_core_and_the_least_core_are_where_nobody_objects():
    found = settle(variant("own meters", batteries=0.0), ["shapley", "nearest_core", "least_core"])
    for rule in ("nearest_core", "least_core"):
        assert not found.objections[rule].objects
    assert found.objections["least_core"].excess <= found.objections["shapley"].excess + 1e-6


def test_no_member_pays_more_than_alone_or_less_than_it_adds():
    found = settle(variant("one meter, demand charge", 5, 24), ["duals"])
    shares = found.allocations["duals"].shares
    assert (shares <= found.alone + 1e-6 * found.cost).all()
    assert (shares >= found.marginal - 1e-6 * found.cost).all()


def test_fifty_firms_for_a_week_with_batteries_and_none_of_150_coalitions_objects():
    """The pool by formula decides in milliseconds; one coalition in ten is solved as a program of its own too."""
    community = park(50, 168, meter="park", demand=60_000.0, batteries=0.0)
    found = settle(community, ["duals", "pro_rata"])
    masks = sampled_coalitions(50, 150, seed=4)[100:]
    assert len(masks) == 150
    assert not objections(community.game, found.allocations["duals"].shares, masks).any()
    assert objections(community.game, found.allocations["pro_rata"].shares, masks).any()


def test_of_twenty_firms_with_batteries_no_sampled_coalition_objects():
    community = park(20, 48, meter="park", demand=60_000.0)
    plan, _ = programs.solve(community)
    shares, rent = programs.dual_shares(community, plan)
    assert rent == 0.0
    assert not objections(community.game, shares.shares, sampled_coalitions(20, 10, seed=2)).any()


def test_the_rent_of_a_binding_common_limit_goes_back_by_rights_and_nobody_objects():
    free = park(5, 48, meter="park", batteries=1.0)
    plan, parts = programs.solve(free)
    tight = replace(free, limit=0.6 * float(plan.rate(parts.grid).max()))
    found = settle(tight, ["duals"])
    assert found.rent > 0.0
    assert found.allocations["duals"].total == pytest.approx(found.cost, rel=1e-9)
    assert not found.objections["duals"].objects


def test_the_rent_may_go_to_the_operator_of_the_park_instead():
    free = park(5, 48, meter="park", batteries=1.0)
    plan, parts = programs.solve(free)
    tight = replace(free, limit=0.6 * float(plan.rate(parts.grid).max()))
    found = settle(tight, ["duals"], rent="operator", samples=1)
    assert found.operator
    assert found.rent > 0.0
    assert found.allocations["duals"].total == pytest.approx(found.cost + found.rent, rel=1e-9)


def test_a_member_with_its_own_contract_does_not_resell_grid_energy():
    """A cheap contract beside a dear one: without sun there is nothing to give."""
    buy = np.array([[1000.0] * 24, [3000.0] * 24])
    two = Community(("cheap", "dear"), np.ones((2, 24)), np.zeros((2, 24)), buy, np.full(24, 671.0))
    assert programs.solve(two)[0].cost == pytest.approx(two.cost()) == pytest.approx(24 * 4000.0)


def test_a_load_that_the_wire_cannot_carry_is_infeasible_not_cheap():
    thin = replace(park(3, 24, meter="park"), wire=np.full(3, 1.0))
    with pytest.raises(InfeasibleError):
        settle(thin, ["duals"])


def test_one_member_alone_pays_what_it_pays():
    one = park(1, 24, batteries=1.0)
    found = settle(one)
    assert found.saving == pytest.approx(0.0, abs=1e-6)
    for allocation in found.allocations.values():
        assert allocation.shares.tolist() == pytest.approx([found.cost])


def test_without_the_check_nothing_but_the_optimum_and_each_alone_is_solved():
    community = park(6, 24)
    found = settle(community, ["duals", "mmr"], check=False)
    assert found.objections == {}
    assert np.isnan(found.marginal).all()
    assert community.game.evaluations == 6


def test_rules_that_need_too_many_solved_coalitions_are_left_out_and_named():
    found = settle(park(20, 24), ["duals", "shapley"], budget=40, samples=2)
    assert found.left_out == ("shapley",)
    many = settle(park(201, 24, batteries=0.0), ["duals", "least_core", "mmr"], check=False)
    assert many.left_out == ("least_core",)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"load": np.full((3, 24), np.nan)}, "settle.not_amounts"),
        ({"generation": np.full((3, 24), -1.0)}, "settle.not_amounts"),
        ({"generation": np.zeros((3, 23))}, "settle.wrong_shape"),
        ({"buy": np.ones(23)}, "settle.wrong_length"),
        ({"sell": np.full(24, 9999.0)}, "settle.sells_above_buys"),
        ({"wire": np.ones(2)}, "settle.wrong_length"),
        ({"wire": np.array([1.0, -1.0, 1.0])}, "settle.not_amounts"),
        ({"fee": float("nan")}, "settle.not_amounts"),
        ({"meter": "roof"}, "settle.unknown_meter"),
        ({"limit": 10.0}, "settle.limit_needs_park"),
        ({"window": 0}, "settle.wrong_length"),
        ({"group": np.zeros(3, int)}, "settle.wrong_length"),
        ({"members": ("a", "a", "b")}, "settle.members"),
        ({"meter": "park", "buy": np.full((3, 24), 3000.0)}, "settle.one_price_at_park"),
    ],
)
def test_a_community_that_makes_no_sense_is_refused(change, code):
    with pytest.raises(RequestError) as error:
        replace(park(3, 24), **change)
    assert error.value.code == code


def test_unknown_rules_and_rents_are_named():
    with pytest.raises(RequestError, match="did you mean 'shapley'"):
        settle(park(2, 24), ["shaply"])
    with pytest.raises(RequestError, match="rights, operator"):
        settle(park(2, 24), ["duals"], rent="king")
