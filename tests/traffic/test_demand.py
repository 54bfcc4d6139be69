# SPDX-License-Identifier: Apache-2.0
"""Trips without a survey: margins, what decay does, units, and what cannot be balanced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.rules import roads as rules
from mangrove.traffic.demand import Rates, fitted_decay, four_step, furness, gravity, grown, units_per_vehicle


def places(seed, count=8):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 20, (count, 2))
    minutes = np.hypot(*(xy[:, None] - xy).T)
    return rng.uniform(10, 100, count), rng.uniform(10, 100, count), minutes


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), decay=st.floats(0.0, 0.4))
def test_gravity_keeps_both_margins_and_sends_nobody_home_to_home(seed, decay):
    produced, attracted, minutes = places(seed)
    trips = gravity(produced, attracted, minutes, decay)
    np.testing.assert_allclose(trips.sum(axis=1), produced, rtol=1e-6)
    np.testing.assert_allclose(trips.sum(axis=0), attracted * produced.sum() / attracted.sum(), rtol=1e-6)
    assert (np.diag(trips) == 0).all()
    # the doubly constrained form: odds ratios are those of the friction
    odds = lambda m: m[0, 1] * m[2, 3] / (m[0, 3] * m[2, 1])  # noqa: E731
    assert odds(trips) == pytest.approx(odds(np.exp(-decay * minutes)), rel=1e-6)


def test_furness_reaches_the_sums_and_keeps_the_pattern():
    base = np.array([[5.0, 50, 100, 200], [50, 5, 100, 300], [50, 100, 5, 100], [100, 200, 250, 20]])
    rows, columns = np.array([400.0, 460, 400, 702]), np.array([260.0, 400, 500, 802])
    found = furness(rows, columns, base)
    np.testing.assert_allclose(found.sum(axis=1), rows, rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), columns, rtol=1e-6)
    # and every cross-ratio is that of the table before (the balanced table is unique: Bregman 1967)
    for i, j in ((0, 1), (1, 2), (2, 3)):
        before = base[i, i] * base[j, j] / (base[i, j] * base[j, i])
        assert found[i, i] * found[j, j] / (found[i, j] * found[j, i]) == pytest.approx(before)


def test_the_fitted_decay_gives_the_mean_time_that_was_asked_for():
    produced, attracted, minutes = places(3)
    flat = gravity(produced, attracted, minutes, 0.0)
    longest = (flat * minutes).sum() / flat.sum()
    decay = fitted_decay(produced, attracted, minutes, 0.8 * longest)
    trips = gravity(produced, attracted, minutes, decay)
    assert (trips * minutes).sum() / trips.sum() == pytest.approx(0.8 * longest, rel=1e-3)
    assert fitted_decay(produced, attracted, minutes, 2 * longest) == 0.0


def test_trips_of_the_default_are_people_times_rates_in_motorcycle_units():
    people, jobs, minutes = places(5)
    rates = Rates(
        person_day=2.0, hour=0.1, outward=1.0, mean_minutes=8.0, person_share={"motorbike": 0.8, "car": 0.1},
        occupancy={"motorbike": 1.0, "car": 2.0},
    )  # fmt: skip
    made = four_step(people, jobs, minutes, rates)
    # of 0.2 trips per person, 0.8 ride alone and 0.1 share cars of 3.4 units
    np.testing.assert_allclose(made.trips.sum(axis=1), people * 0.2 * (0.8 + 0.1 / 2 * 3.4), rtol=1e-6)
    assert made.shares == pytest.approx({"motorbike": 0.8 / 0.85, "car": 0.05 / 0.85})
    assert made.vehicles == pytest.approx(people.sum() * 0.2 * 0.85)
    assert made.rows == ()


def test_defaults_are_named_with_their_rows():
    people, jobs, minutes = places(5)
    made = four_step(people, jobs, minutes)
    assert "trips/hour" in made.rows
    assert all(rules.parameters()[row].document for row in made.rows)
    assert {rules.parameters()[row].status for row in made.rows} <= {"assumed", "recalled", "unofficial"}


def test_everybody_comes_home_again():
    people, jobs, minutes = places(7)
    away = four_step(people, jobs, minutes, Rates(outward=1.0)).trips
    both = four_step(people, jobs, minutes, Rates(outward=0.5)).trips
    np.testing.assert_allclose(both, both.T, rtol=1e-9)
    assert both.sum() == pytest.approx(away.sum())


def test_growth_that_is_the_same_everywhere_scales_all_trips():
    trips = gravity(*places(9), 0.1)
    np.testing.assert_allclose(grown(trips, np.full(8, 1.2), np.full(8, 1.2)), 1.2 * trips, rtol=1e-6)
    more = np.ones(8)
    more[2] = 1.5
    found = grown(trips, more, np.ones(8), outward=1.0)
    assert found[2].sum() == pytest.approx(1.5 * trips[2].sum(), rel=0.05)
    assert found.sum() > trips.sum()


def test_units_are_those_measured_in_hanoi():
    assert [rules.motorcycle_units(c) for c in ("motorbike", "car", "bus", "minibus")] == [1, 3.4, 10.5, 8.3]
    assert units_per_vehicle({"motorbike": 0.5, "bus": 0.5}) == pytest.approx(5.75)


def test_a_zone_that_nobody_can_leave_is_named():
    with pytest.raises(RequestError) as caught:
        furness(np.array([1.0, 1]), np.array([1.0, 1]), np.array([[0.0, 0], [1, 1]]))
    assert caught.value.code == "roads.no_balance"
    with pytest.raises(RequestError) as caught:
        four_step(np.array([1.0, -1]), np.array([1.0, 1]), np.ones((2, 2)))
    assert caught.value.code == "roads.bad_zones"


@pytest.mark.parametrize("grown", [1e154, 1e300])
def test_sums_that_nothing_can_reach_are_refused_without_a_number(grown):
    rows = np.array([grown, 1.0, 1.0])
    seed = np.ones((3, 3)) - np.eye(3)
    with pytest.raises(RequestError) as caught:
        furness(rows, np.ones(3), seed * grown)
    assert caught.value.code == "roads.no_balance"
