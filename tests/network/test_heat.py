# SPDX-License-Identifier: Apache-2.0
"""Pinch targets against published numbers, closed forms, and a problem table that shares no code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.heat_cases import PUBLISHED, random_streams, table

from mangrove.errors import RequestError
from mangrove.network.heat import Streams, pinch


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case.source)
def test_published_targets_are_found(case):
    found = pinch(case.streams, case.dt)
    assert (found.hot_utility, found.cold_utility) == pytest.approx((case.hot, case.cold), rel=1e-9)
    assert found.sides == (case.pinch,)


@settings(max_examples=150, deadline=None)
@given(random_streams(), st.sampled_from([0.0, 5.0, 10.0, 30.0]))
def test_targets_equal_those_of_a_slow_problem_table(streams, dt):
    found = pinch(streams, dt)
    assert (found.hot_utility, found.cold_utility) == pytest.approx(table(streams, dt), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(random_streams())
def test_energy_is_conserved_and_no_heat_flows_upward(streams):
    found = pinch(streams)
    given_, taken = streams.heat[streams.gives].sum(), streams.heat[~streams.gives].sum()
    assert found.hot_utility + given_ == pytest.approx(found.cold_utility + taken, abs=1e-6)
    assert found.recovered == pytest.approx(taken - found.hot_utility, abs=1e-6)
    assert (found.cascade >= 0).all()
    assert found.cascade.min() == 0.0


@settings(max_examples=60, deadline=None)
@given(random_streams(), st.floats(0, 20), st.floats(0, 20))
def test_a_larger_least_difference_never_needs_less(streams, one, other):
    low, high = sorted((one, other))
    assert pinch(streams, low).hot_utility <= pinch(streams, high).hot_utility + 1e-6


@settings(max_examples=60, deadline=None)
@given(random_streams())
def test_two_plants_joined_never_need_more_than_apart(streams):
    apart = sum(pinch(streams.of_plant(name)).hot_utility for name in set(streams.plants))
    assert pinch(streams).hot_utility <= apart + 1e-6


def test_the_order_and_the_splitting_of_streams_do_not_matter():
    case = PUBLISHED[0]
    supply, target, cp = (np.array(column) for column in zip(*case.rows, strict=True))
    halves = Streams.of(np.tile(supply, 2)[::-1], np.tile(target, 2)[::-1], cp=np.tile(cp, 2)[::-1] / 2)
    assert pinch(halves, case.dt).hot_utility == pytest.approx(case.hot)
    middle = (supply + target) / 2
    chain = Streams.of([*supply, *middle], [*middle, *target], cp=[*cp, *cp])
    assert pinch(chain, case.dt).hot_utility == pytest.approx(case.hot)


def test_own_contributions_of_half_the_difference_change_nothing_and_larger_ones_do():
    case = PUBLISHED[0]
    supply, target, cp = zip(*case.rows, strict=True)
    same = pinch(Streams.of(supply, target, cp=cp, contribution=5.0), 99.0)
    assert (same.hot_utility, same.cold_utility) == (20.0, 60.0)
    mixed = pinch(Streams.of(supply, target, cp=cp, contribution=[10, 5, 5, 5]), 10.0)
    assert mixed.hot_utility > 20.0
    assert mixed.sides == ()


def test_condensing_steam_serves_what_boils_at_the_least_difference_but_nothing_hotter():
    steam = {"supply": [110, 100], "target": [110, 100], "heat": [50, 50], "gives": [True, False]}
    assert pinch(Streams.of(**steam), 10.0).hot_utility == 0.0
    too_close = pinch(Streams.of(**steam), 10.2)
    assert (too_close.hot_utility, too_close.cold_utility) == (50.0, 50.0)


def test_a_stream_at_constant_temperature_is_the_limit_of_a_narrow_one():
    still = pinch(Streams.of([120, 20], [120, 180], heat=[300, 320], gives=[True, False]), 10)
    narrow = pinch(Streams.of([120, 20], [120 - 1e-3, 180], heat=[300, 320]), 10)
    assert still.hot_utility == pytest.approx(320 - 2 * 90)  # only what is colder than 110 can take it
    assert narrow.hot_utility == pytest.approx(still.hot_utility, abs=0.01)


def test_a_threshold_problem_needs_one_utility_only():
    found = pinch(Streams.of([200, 20], [100, 60], cp=[4, 2]), 10)
    assert (found.hot_utility, found.cold_utility) == (0.0, 400.0 - 80.0)
    assert found.threshold
    assert found.pinches == (195.0,)


def test_composite_curves_end_at_what_all_streams_hold():
    found = pinch(PUBLISHED[0].streams, 10)
    assert found.hot.heat[-1] == pytest.approx(3 * 110 + 1.5 * 120)
    assert found.cold.heat[[0, -1]].tolist() == pytest.approx([60, 60 + 2 * 115 + 4 * 60])
    assert found.hot.temperature.tolist() == [30, 60, 150, 170]
    at = np.linspace(found.cold.heat[0], found.hot.heat[-1], 400)
    gap = np.interp(at, found.hot.heat, found.hot.temperature) - np.interp(
        at, found.cold.heat, found.cold.temperature
    )
    assert gap.min() == pytest.approx(10, abs=0.2)
    assert gap.min() >= 10 - 1e-9


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("heat.no_streams", {"supply": [], "target": []}),
        ("heat.shape", {"supply": [1, 2], "target": [3]}),
        ("heat.shape", {"supply": [1, 2], "target": [3, 4], "cp": [1, 2, 3]}),
        ("heat.not_finite", {"supply": [np.nan], "target": [3], "heat": [1]}),
        ("heat.not_finite", {"supply": [9], "target": [3], "heat": [np.inf]}),
        ("heat.below_zero", {"supply": [9], "target": [3], "cp": [-1]}),
        ("heat.below_zero", {"supply": [9], "target": [3], "cp": [1], "contribution": -1.0}),
        ("heat.too_cold", {"supply": [-300], "target": [3], "cp": [1]}),
        ("heat.no_direction", {"supply": [100], "target": [100], "heat": [1]}),
        ("heat.no_heat", {"supply": [9], "target": [3]}),
    ],
)
def test_streams_without_sense_are_refused(code, columns):
    with pytest.raises(RequestError) as raised:
        Streams.of(**columns)
    assert raised.value.code == code
    assert "{" not in raised.value.text("vi")


@pytest.mark.parametrize("dt", [-1.0, np.nan, np.inf])
def test_a_least_difference_without_sense_is_refused(dt):
    with pytest.raises(RequestError, match="least temperature difference"):
        pinch(PUBLISHED[0].streams, dt)
