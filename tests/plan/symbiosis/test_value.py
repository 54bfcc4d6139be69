"""What groups of companies are worth: every coalition as its own optimum, warm as cold, and losses that are never gains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.symbiosis.parks import asset, best, case, drawn, need, offer, park
from tests.plan.symbiosis.test_optimum import parks

from mangrove.plan import symbiosis
from mangrove.plan.symbiosis import Values


def every(n):
    return (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(bool)


def cold(made, inside):
    """The worth of some members, from a case with only their arcs, solved from the beginning."""
    able = ~(made.seats & ~inside).any(axis=1)
    return symbiosis.solve(symbiosis.only(made, np.flatnonzero(able))).worth if able.any() else 0.0


@settings(max_examples=20, deadline=None)
@given(parks(), st.sampled_from((0.0, 300.0)))
def test_coalitions_solved_warm_are_worth_what_they_are_worth_alone(drawn_park, fixed):
    offers, needs, edges = drawn_park
    territory, but = drawn(offers[:3], needs[:2], {(i, j) for i, j in edges if i < 3 and j < 2} or {(0, 0)})
    made = case(territory, but=but, fixed_cost=fixed)
    values, masks = Values(made), every(len(made.members))
    found = values.many(masks)
    assert found == pytest.approx([cold(made, mask) for mask in masks], rel=1e-3, abs=1e-3)
    assert (values.losses() >= 0).all()
    assert values.losses().max(initial=0.0) <= values.all + 1e-6
    assert (values.losses_of_arcs(np.arange(len(made))) >= 0).all()


def test_companies_that_no_exchange_joins_have_programs_of_their_own():
    made = case(
        park(offer("o", "a", "1 t/month", "1 VND/t"), need("n", "b", "1 t/month", "1 VND/t"),
             offer("p", "c", "1 t/month", "1 VND/t"), need("m", "d", "1 t/month", "2 VND/t")),
        but={("o", "m"), ("p", "n")},
    )  # fmt: skip
    values = Values(made)
    assert [tuple(made.members[i] for i in group) for group in values.groups] == [("a", "b"), ("c", "d")]
    assert values.all == pytest.approx(12 * 2 + 12 * 3)
    assert values.losses() == pytest.approx([24.0, 24.0, 36.0, 36.0])


def test_an_exchange_that_another_replaces_is_missed_by_the_difference():
    made = best(
        park(
            offer("o", "a", "10 t/month", "5 VND/t"),
            offer("p", "b", "10 t/month", "3 VND/t"),
            need("n", "c", "10 t/month", "1 VND/t"),
        )
    )
    (one,) = made.exchanges
    values = Values(made.case)
    assert values.losses_of_arcs(np.array([one.arc])) == pytest.approx([120 * 2.0])
    assert dict(zip(values.members, values.losses(), strict=True)) == pytest.approx(
        {"a": 240.0, "b": 0.0, "c": 720.0}
    )


def test_the_owner_of_a_treatment_plant_is_missed_too():
    plant = asset(
        "uf",
        "works",
        "water_treatment",
        capacity="10 m3/h",
        recovery="100 %",
        consumption="2 kWh/m3",
        outlets="COD=30 mg/L",
    )
    made = case(
        park(offer("drain", "mill", "10 m3/month", "1 VND/m3", carrier="wastewater", has="COD=300 mg/L"),
             need("cooling", "tower", "10 m3/month", "9 VND/m3", carrier="water@reuse", bears="COD<=40 mg/L"), assets=[plant]),
        but={("drain", "cooling")},
    )  # fmt: skip
    values = Values(made)
    assert values.members == ("mill", "tower", "works")
    assert values.losses() == pytest.approx([1200.0] * 3)
