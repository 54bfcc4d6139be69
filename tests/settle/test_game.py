# SPDX-License-Identifier: Apache-2.0
"""Cost games: the axioms of the Shapley value, published games, the search for objections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.settle.games import concave, tabled, tables, tennessee

from mangrove.errors import RequestError
from mangrove.settle.game import (
    Game,
    every_coalition,
    objections,
    sampled_coalitions,
    shapley,
    worst_objection,
)


def test_the_shapley_value_of_the_tennessee_valley_authority_is_the_published_one():
    assert shapley(tennessee()).shares.tolist() == pytest.approx([117_829.0, 100_756.5, 193_998.5])


@given(tables(4))
@settings(max_examples=50, deadline=None)
def test_shapley_shares_sum_to_the_cost_of_all(costs):
    game = tabled(costs)
    assert shapley(game).total == pytest.approx(game.grand, abs=1e-9)


@given(tables(4), st.permutations(range(4)))
@settings(max_examples=50, deadline=None)
def test_shapley_shares_follow_members_whatever_they_are_called(costs, order):
    plain = shapley(tabled(costs)).shares
    masks = every_coalition(4)
    renamed = np.asarray(costs)[masks[:, order] @ (1 << np.arange(4))]
    assert shapley(tabled(renamed)).shares[list(order)] == pytest.approx(plain, abs=1e-9)


@given(tables(3))
@settings(max_examples=50, deadline=None)
def test_equal_members_pay_equal_shapley_shares(costs):
    by_size = [costs[0], costs[1], costs[2], costs[3]]
    sizes = every_coalition(3).sum(axis=1)
    shares = shapley(tabled(np.asarray(by_size)[sizes])).shares
    assert shares == pytest.approx(np.full(3, shares[0]), abs=1e-9)


@given(tables(3), st.integers(-100, 100))
@settings(max_examples=50, deadline=None)
def test_a_member_that_only_adds_its_own_cost_pays_exactly_that(costs, own):
    with_dummy = np.concatenate([costs, np.asarray(costs) + own])
    assert shapley(tabled(with_dummy)).shares[3] == pytest.approx(own, abs=1e-9)


@given(tables(3), tables(3))
@settings(max_examples=50, deadline=None)
def test_shapley_shares_of_two_bills_add_up(first, second):
    both = np.asarray(first) + np.asarray(second)
    parts = shapley(tabled(first)).shares + shapley(tabled(second)).shares
    assert shapley(tabled(both)).shares == pytest.approx(parts, abs=1e-9)


def airport_shares(needs):
    """The published formula: each stretch of the runway is divided among those who need it."""
    order, shares = np.argsort(needs), np.zeros(len(needs))
    steps = np.diff(needs[order], prepend=0.0) / np.arange(len(needs), 0, -1)
    shares[order] = np.cumsum(steps)
    return shares


def test_exact_shapley_shares_of_an_airport_are_the_closed_formula():
    needs = np.random.default_rng(3).uniform(1.0, 10.0, 12)
    assert shapley(concave(12)).shares == pytest.approx(airport_shares(needs), abs=1e-12)


def test_sampled_shapley_shares_lie_within_their_errors_and_sum_exactly():
    needs = np.random.default_rng(3).uniform(1.0, 10.0, 20)
    game = concave(20)
    found = shapley(game, permutations=400, seed=1)
    assert found.found.how == "sample"
    assert found.total == pytest.approx(game.grand, rel=1e-12)
    assert (np.abs(found.shares - airport_shares(needs)) <= 4.0 * found.errors + 1e-9).all()
    assert shapley(concave(20), permutations=400, seed=1).shares.tolist() == found.shares.tolist()


def test_the_worst_objection_is_the_largest_of_all():
    game = tennessee()
    shares = np.array([206_292.0, 0.0, 206_292.0])
    found = worst_objection(game, shares)
    assert (found.coalition, found.excess) == (("1",), 206_292.0 - 163_520.0)
    assert found.objects
    assert found.found.count == 6


def test_nobody_objects_to_the_shapley_value_of_an_airport():
    game = concave(12)
    assert not worst_objection(game, shapley(game).shares).objects
    assert not objections(game, shapley(game).shares, every_coalition(12)[1:]).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_what_looking_at_all_coalitions_finds(seed):
    game = concave(14, seed)
    shares = np.full(14, game.grand / 14)
    searched = worst_objection(game, shares, exact=4, seed=seed)
    assert searched.found.how == "sample"
    assert searched.excess == pytest.approx(worst_objection(game, shares).excess)


def test_sampled_coalitions_are_neither_none_nor_all():
    for n in (2, 3, 50):
        masks = sampled_coalitions(n, 150)
        assert masks.any(axis=1).all()
        assert not masks.all(axis=1).any()


def test_every_cost_is_computed_once():
    asked = []
    game = Game(("a", "b", "c"), lambda s: asked.append(s) or float(len(s)))
    shapley(game)
    worst_objection(game, np.ones(3))
    assert len(asked) == len(set(asked)) == 7


def test_a_coalition_that_cannot_serve_itself_cannot_object_and_has_no_shapley_value():
    game = Game(("a", "b"), lambda s: np.inf if s == {"a"} else float(len(s)))
    assert worst_objection(game, np.array([5.0, -3.0])).coalition == ("b",)
    with pytest.raises(RequestError, match="cannot serve itself"):
        shapley(game)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Game((), float), "settle.members"),
        (lambda: Game(("a", "a"), float), "settle.members"),
        (lambda: Game(("a",)), "settle.no_cost"),
        (lambda: Game(("a",), lambda _: float("nan")).grand, "settle.cost_unknown"),
        (lambda: Game(("a",), lambda _: 1.0).cost(["b"]), "settle.unknown_member"),
        (lambda: worst_objection(Game(("a",), lambda _: 1.0), np.array([1.0, 2.0])), "settle.wrong_length"),
        (lambda: shapley(concave(20), permutations=2), "settle.too_few_orders"),
        (lambda: concave(20).table, "settle.too_many_members"),
    ],
)
def test_a_game_that_makes_no_sense_is_refused(make, code):
    with pytest.raises(RequestError) as error:
        make()
    assert error.value.code == code
