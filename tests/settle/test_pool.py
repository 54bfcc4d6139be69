# SPDX-License-Identifier: Apache-2.0
"""The pool by formula: the same cost and shares as the linear program that it stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from mangrove.settle.game import Game, every_coalition, worst_objection
from mangrove.settle.pool import Pool


def random_pool(seed: int, n: int = 5, steps: int = 6, kinds: int = 3) -> Pool:
    """Members with one of several retail prices, demand or surplus in each step."""
    rng = np.random.default_rng(seed)
    net = rng.normal(0.0, 3.0, (n, steps)).round(1)
    prices = rng.uniform(700.0, 3500.0, (kinds, steps)).round()
    return Pool(
        tuple(f"m{i}" for i in range(n)), np.maximum(net, 0.0), np.maximum(-net, 0.0),
        prices[rng.integers(0, kinds, n)], np.full(steps, 671.0), float(rng.choice([0.0, 30.0, 900.0])), rng.uniform(0, 5, n),
    )  # fmt: skip


def least_cost(pool: Pool, mask) -> float:
    """Step by step with a solver: x_i received, y_i given, sum x = sum y."""
    total = float(pool.own[mask].sum())
    n = int(mask.sum())
    for t in range(len(pool.sell)):
        demand, surplus = pool.demand[mask, t], pool.surplus[mask, t]
        gains = np.r_[pool.fee - pool.prices[mask, t], np.full(n, pool.sell[t])]
        whole = np.r_[np.ones(n), -np.ones(n)][None]
        bounds = [(0.0, high) for high in np.r_[demand, surplus]]
        done = linprog(gains, A_eq=whole, b_eq=[0.0], bounds=bounds)
        total += done.fun + float(demand @ pool.prices[mask, t] - surplus.sum() * pool.sell[t])
    return total


@pytest.mark.parametrize("seed", range(6))
def test_the_formula_gives_the_least_cost_of_every_coalition(seed):
    pool = random_pool(seed, n=4, steps=4)
    masks = every_coalition(4)[1:]
    solved = [least_cost(pool, mask) for mask in masks]
    assert pool.costs(masks) == pytest.approx(solved, rel=1e-9, abs=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_the_exchange_costs_what_the_formula_says(seed):
    pool = random_pool(seed)
    everyone = np.ones((1, len(pool.members)), dtype=bool)
    assert pool.cost == pytest.approx(float(pool.costs(everyone)[0]), rel=1e-12, abs=1e-6)
    assert pool.alone == pytest.approx(pool.costs(np.eye(len(pool.members), dtype=bool)), rel=1e-12, abs=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_shares_by_duals_sum_to_the_cost_and_nobody_objects(seed):
    pool = random_pool(seed)
    shares = pool.duals().shares
    assert shares.sum() == pytest.approx(pool.cost, rel=1e-12, abs=1e-6)
    game = Game(pool.members, many=pool.costs)
    assert worst_objection(game, shares).excess <= 1e-6


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_nobody_receives_more_than_it_needs_or_gives_more_than_it_has(seed):
    pool = random_pool(seed)
    assert (pool.received >= -1e-12).all()
    assert (pool.received <= pool.demand + 1e-9).all()
    assert (pool.given <= pool.surplus + 1e-9).all()
    assert pool.given.sum(axis=0) == pytest.approx(pool.received.sum(axis=0))


def test_the_dearest_contract_is_served_first():
    demand, surplus = np.array([[3.0], [3.0], [0.0]]), np.array([[0.0], [0.0], [4.0]])
    pool = Pool(("cheap", "dear", "sun"), demand, surplus, np.array([[9.0], [20.0], [9.0]]), np.array([2.0]))
    assert pool.received[:, 0].tolist() == [1.0, 3.0, 0.0]
    assert pool.level.tolist() == [9.0]
    assert pool.duals().shares.tolist() == [27.0, 27.0, -36.0]
