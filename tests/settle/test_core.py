# SPDX-License-Identifier: Apache-2.0
"""The least core against a published game and against the linear program over all coalitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.settle.games import concave, tabled, tables, tennessee

from mangrove.errors import RequestError
from mangrove.settle.core import Search, least_core, nearest_core, project
from mangrove.settle.game import Game, every_coalition, shapley, worst_objection


def test_the_least_core_of_the_tennessee_valley_authority_is_the_published_nucleolus():
    """Straffin and Heaney 1981: (116,234, 93,540, 202,810); here the least core is that one point."""
    found = least_core(tennessee())
    assert found.shares == pytest.approx([116_234.0, 93_540.0, 202_810.0], abs=0.01)
    assert found.epsilon == pytest.approx(-47_286.0, abs=0.01)


@given(tables(4))
@settings(max_examples=40, deadline=None)
def test_row_generation_finds_the_least_core_of_the_program_over_all_coalitions(costs):
    game = tabled(costs)
    masks = every_coalition(4)[1:-1].astype(float)
    rows = np.column_stack([masks, -np.ones(len(masks))])
    full = linprog(
        [0, 0, 0, 0, 1], rows, np.asarray(costs, dtype=float)[1:-1], [[1, 1, 1, 1, 0]], [costs[-1]], bounds=(None, None)
    )  # fmt: skip
    found = least_core(game)
    assert found.epsilon == pytest.approx(full.fun, abs=1e-5)
    assert found.total == pytest.approx(game.grand, abs=1e-6)
    assert worst_objection(game, found.shares).excess == pytest.approx(found.epsilon, abs=1e-5)


def test_a_game_with_an_empty_core_says_how_much_somebody_objects():
    """Three members, any two of which pay as much as all three less 30: the least core is the equal split."""
    game = tabled([0, 100, 100, 90, 100, 90, 90, 150])
    found = least_core(game)
    assert found.shares == pytest.approx([50.0, 50.0, 50.0])
    assert found.epsilon == pytest.approx(10.0)


def test_the_nearest_core_point_of_shares_in_the_core_is_themselves():
    game = concave(8)
    value = shapley(game).shares
    assert nearest_core(game, value).shares == pytest.approx(value, abs=1e-8)


def test_the_nearest_core_point_takes_no_more_than_it_must():
    game = tennessee()
    found = nearest_core(game, np.array([206_292.0, 0.0, 206_292.0]))
    assert worst_objection(game, found.shares).excess <= 1e-3
    # a pays at most what it would alone; what is left over goes to the others in equal parts
    assert found.shares == pytest.approx([163_520.0, 33_763.0, 215_301.0], abs=1.0)


def test_beyond_sixteen_members_objections_are_searched_and_the_answer_says_so():
    game = concave(24)
    found = least_core(game, search=Search(samples=60))
    assert found.found.how == "rows"
    assert found.total == pytest.approx(game.grand)
    assert not worst_objection(game, found.shares, samples=500, seed=9).objects


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_projection_meets_the_conditions_of_an_optimum(seed):
    """Nothing feasible lies nearer: against random feasible points, (x - t) (y - x) >= 0 for all feasible y."""
    rng = np.random.default_rng(seed)
    target, rows = rng.normal(size=5), rng.integers(0, 2, (6, 5)).astype(float)
    inside = rng.normal(size=5)
    limits = rows @ inside + 0.1
    x = project(target, rows, limits, float(inside.sum()))
    assert x.sum() == pytest.approx(inside.sum())
    assert (rows @ x <= limits + 1e-7).all()
    assert (x - target) @ (inside - x) >= -1e-6


def test_rows_that_contradict_the_total_are_refused():
    with pytest.raises(RequestError):
        project(np.zeros(2), np.eye(2), np.array([0.0, 0.0]), 1.0)


def test_one_member_pays_all():
    assert least_core(Game(("a",), lambda _: 7.0)).shares.tolist() == [7.0]
    assert nearest_core(Game(("a",), lambda _: 7.0), np.array([7.0])).shares.tolist() == [7.0]
