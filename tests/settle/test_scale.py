# SPDX-License-Identifier: Apache-2.0
"""Planning by groups: the optimum lies between the bounds, and every member's schedule can be carried out."""

from dataclasses import replace

import numpy as np
import pytest
from tests.settle.communities import park

from mangrove.errors import RequestError
from mangrove.settle import programs
from mangrove.settle.community import Storage
from mangrove.settle.scale import aggregate
from mangrove.settle.settlement import settle


def mixed(n: int, steps: int, **change):
    """Batteries of different sizes, powers and efficiencies."""
    rng = np.random.default_rng(5)
    made = park(n, steps, batteries=0.6, **change)
    held = made.storage
    other = Storage(
        held.energy * rng.uniform(0.6, 1.7, n), held.charge, held.discharge,
        (rng.choice([0.9, 0.95], n), rng.choice([0.9, 0.95], n)), 30.0,
    )  # fmt: skip
    return replace(made, storage=other)


CASES = {
    "own meters": {},
    "thin wires": {"wire": np.full(24, 90.0)},
    "one meter with a demand charge": {"meter": "park", "demand": 60_000.0},
}


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_lies_between_the_bounds_and_the_gap_is_small(name):
    community = mixed(24, 48, **CASES[name])
    found = aggregate(community)
    best = programs.solve(community)[0].cost
    assert found.lower <= best * (1 + 1e-9)
    assert best <= found.upper * (1 + 1e-9)
    assert 0.0 <= found.gap < 0.01


def test_the_bounds_hold_with_several_contracts():
    community = mixed(24, 48)
    dear = replace(community, buy=community.buy * np.repeat([0.8, 1.4], 12)[:, None])
    found = aggregate(dear)
    best = programs.solve(dear)[0].cost
    assert found.lower <= best * (1 + 1e-9) <= found.upper * (1 + 2e-9)


@pytest.mark.parametrize("bins", [1, 4])
def test_every_member_can_carry_out_its_schedule(bins):
    community = mixed(24, 48)
    held, found = community.storage, aggregate(community, bins=bins)
    assert (found.charge <= held.charge[:, None] + 1e-6).all()
    assert (found.discharge <= held.discharge[:, None] + 1e-6).all()
    into, out = held.efficiency
    level = np.cumsum(found.charge * into[:, None] - found.discharge / out[:, None], axis=1)
    assert level[:, -1] == pytest.approx(np.zeros(24), abs=1e-5)  # as full at the end as at the beginning
    assert (np.ptp(np.column_stack([np.zeros(24), level]), axis=1) <= held.energy + 1e-5).all()


def test_equal_homes_without_a_fee_have_no_gap():
    """500 homes with batteries of the same kind behind one meter: one group of them is exact."""
    community = replace(park(500, 24, batteries=0.5, meter="park"), fee=0.0)
    found = aggregate(community, shapes=1)
    assert len(np.unique(found.groups)) == 2
    assert found.gap < 1e-9


def test_more_shapes_of_the_day_make_the_gap_smaller():
    community = mixed(60, 48)
    coarse, fine = aggregate(community, bins=1, shapes=1), aggregate(community, bins=4, shapes=12)
    assert fine.gap < coarse.gap
    assert fine.lower >= coarse.lower - 1e-6 * abs(coarse.lower)


def test_a_plan_by_groups_is_settled_by_formula():
    found = aggregate(mixed(24, 48))
    settled = settle(found.fixed, ["duals", "mmr"], samples=20)
    assert settled.cost + found.wear.sum() == pytest.approx(found.upper)
    assert not settled.objections["duals"].objects


def test_a_community_without_batteries_needs_no_plan():
    found = aggregate(park(30, 24, batteries=0.0))
    assert found.upper == pytest.approx(park(30, 24, batteries=0.0).cost())
    assert not found.charge.any()


def test_demand_charges_on_own_meters_are_not_aggregated():
    with pytest.raises(RequestError, match="as groups"):
        aggregate(park(4, 24, demand=1.0))
