# SPDX-License-Identifier: Apache-2.0
"""The Shapley value: its axioms, a published game, arrays, and sampled orders against all of them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.inference.shapley import from_table, shapley

TABLES = st.lists(st.floats(-1e3, 1e3), min_size=16, max_size=16)


def tabled(table):
    return lambda members: table[sum(1 << i for i in members)]


@given(TABLES)
@settings(max_examples=50, deadline=None)
def test_it_is_the_mean_of_what_a_cause_adds_over_all_orders(table):
    value = tabled(table)
    means = np.zeros(4)
    for order in permutations(range(4)):
        for count, cause in enumerate(order):
            means[cause] += (value(frozenset(order[: count + 1])) - value(frozenset(order[:count]))) / 24
    parts, error = shapley(value, 4)
    assert parts == pytest.approx(means, abs=1e-9)
    assert not error.any()


def test_the_glove_game_gives_the_published_value():
    # One left and two right gloves; a pair is worth 1: 2/3, 1/6, 1/6.
    parts, _ = shapley(lambda s: float(0 in s and len(s) > 1), 3)
    assert parts == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_values_may_be_arrays_and_every_entry_is_a_game_of_its_own():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(16, 3, 2))
    parts, error = shapley(tabled(table), 4)
    assert parts.shape == error.shape == (4, 3, 2)
    assert parts.sum(axis=0) == pytest.approx(table[15] - table[0])
    assert parts[:, 2, 1] == pytest.approx(from_table(table[:, 2, 1]))


def test_each_coalition_is_valued_once():
    asked = []
    shapley(lambda s: asked.append(s) or 0.0, 5)
    assert len(asked) == len(set(asked)) == 32


def test_sampled_orders_close_and_agree_with_all_within_their_error():
    rng = np.random.default_rng(2)
    table = rng.normal(size=1 << 8)
    exact, _ = shapley(tabled(table), 8)
    parts, error = shapley(tabled(table), 8, samples=400, seed=3)
    assert parts.sum() == pytest.approx(table[-1] - table[0], abs=1e-9)
    assert (np.abs(parts - exact) < 4 * error).all()
    assert (error > 0).all()


def test_no_cause_has_no_part_and_too_few_orders_are_refused():
    parts, error = shapley(lambda s: np.ones(3), 0)
    assert parts.shape == error.shape == (0, 3)
    with pytest.raises(RequestError) as caught:
        shapley(lambda s: 0.0, 3, samples=3)
    assert caught.value.code == "inference.few_orders"
