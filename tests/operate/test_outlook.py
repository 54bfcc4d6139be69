# SPDX-License-Identifier: Apache-2.0
"""What is expected, and that it never looks ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operate.worlds import START, measured

from mangrove.errors import RequestError
from mangrove.operate.outlook import Grid, perfect, persistence
from mangrove.operate.state import SECOND


@given(now=st.integers(0, 3 * 96 - 1), scenarios=st.integers(1, 4), seed=st.integers(0, 9))
def test_persistence_knows_nothing_of_what_is_to_come(now, scenarios, seed):
    grid = measured(days=3)
    at = START + now * 900 * SECOND
    noise = np.random.default_rng(seed)
    changed = {name: values.copy() for name, values in grid.values.items()}
    for values in changed.values():
        values[now:] = noise.random(len(values) - now) * 1e3
    seasons = {"roof": 86_400, "shop#load": 86_400}
    told = persistence(grid, 192, scenarios=scenarios, seasons=seasons)(at)
    again = persistence(Grid(START, 900, changed), 192, scenarios=scenarios, seasons=seasons)(at)
    for name, values in told.items():
        assert values.shape == (scenarios, 192)
        assert (values >= 0).all()
        assert np.array_equal(values, again[name])


def test_persistence_repeats_yesterday():
    grid = measured(days=3)
    told = persistence(grid, 96, seasons={"shop#load": 86_400, "roof": 86_400})(START + 192 * 900 * SECOND)
    assert np.array_equal(told["roof"][0], grid.values["roof"][96:192])


def test_a_hole_in_the_readings_is_filled_from_the_day_before_it():
    grid = measured(days=3)
    grid.values["roof"][100:110] = np.nan
    told = persistence(grid, 96, seasons={"roof": 86_400, "shop#load": 86_400})(START + 192 * 900 * SECOND)
    assert np.array_equal(told["roof"][0, 4:14], grid.values["roof"][4:14])


def test_scenarios_of_persistence_have_its_mean():
    grid = measured(days=9)
    seasons = {"shop#load": 86_400, "roof": 86_400}
    at = START + 8 * 96 * 900 * SECOND
    one = persistence(grid, 96, seasons=seasons)(at)["shop#load"]
    many = persistence(grid, 96, scenarios=5, seasons=seasons)(at)["shop#load"]
    assert np.allclose(many.mean(axis=0), one[0])
    assert many.std(axis=0).max() > 1.0


def test_perfect_knowledge_is_what_will_be_measured_and_repeats_the_last_day_behind_it():
    grid = measured(days=2)
    told = perfect(grid, 192)(START + 96 * 900 * SECOND)["roof"][0]
    assert np.array_equal(told[:96], grid.values["roof"][96:])
    assert np.array_equal(told[96:], grid.values["roof"][96:])


def test_a_moment_between_two_steps_and_unequal_series_are_refused():
    grid = measured(days=1)
    with pytest.raises(RequestError) as refused:
        perfect(grid, 4)(START + 60 * SECOND)
    assert refused.value.code == "operate.off_grid"
    with pytest.raises(RequestError) as refused:
        Grid(START, 900, {"a": np.zeros(3), "b": np.zeros(4)})
    assert refused.value.code == "operate.lengths_differ"
    with pytest.raises(RequestError) as refused:
        Grid(START, 900, {"a": np.array([1.0, np.inf])})
    assert refused.value.code == "operate.not_finite"
