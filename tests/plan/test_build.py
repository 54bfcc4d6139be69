"""The network of a case is the linear program that its equations say: an independent one finds the same cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.plan.worlds import factory

from mangrove.plan.build import every_step, model, over_typical_days
from mangrove.plan.finance import Money
from mangrove.plan.problem import Case, Size, Supply, battery, pv
from mangrove.plan.size import size

STEPS = 24


def by_hand(*, load, sun, buy, sell, share, demand, roof, bank, eta):
    """Cost of the same problem, written down once more: x = (grid, export, sun, charge, discharge, level, peak, K, P, E)."""
    t, eye, zero = STEPS, np.eye(STEPS), np.zeros((STEPS, STEPS))
    one = np.zeros((t, 4))
    balance = np.hstack([eye, -eye, eye, -eye, eye, zero, one])
    level = np.hstack([zero, zero, zero, -eta * eye, eye / eta, eye - np.roll(eye, -1, axis=1), one])
    below = []
    for block, column, profile in ((2, 1, sun), (3, 2, np.ones(t)), (4, 2, np.ones(t)), (5, 3, np.ones(t))):
        rows = [zero] * 6
        rows[block] = eye
        limit = np.zeros((t, 4))
        limit[:, column] = -profile
        below.append(np.hstack([*rows, limit]))
    peak = np.zeros((t, 4))
    peak[:, 0] = -1.0
    below.append(np.hstack([eye, zero, zero, zero, zero, zero, peak]))
    sold = np.concatenate([np.zeros(t), np.ones(t), -share * np.ones(t), np.zeros(3 * t + 4)])
    cost = np.concatenate([365 * buy, -365 * sell, np.zeros(4 * t), [12 * demand, roof, bank[0], bank[1]]])
    found = linprog(
        cost,
        A_ub=np.vstack([*below, sold]),
        b_ub=np.zeros(5 * t + 1),
        A_eq=np.vstack([balance, level]),
        b_eq=np.concatenate([load, np.zeros(t)]),
        method="highs",
    )
    assert found.status == 0
    return found.fun


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_an_independent_program_finds_the_same_cost(seed):
    rng = np.random.default_rng(seed)
    load, sun = rng.uniform(0, 10, STEPS), rng.uniform(0, 1, STEPS)
    buy, sell = rng.uniform(1, 4, STEPS), np.full(STEPS, 0.5)
    share, demand, eta = rng.uniform(0, 0.6), rng.uniform(0, 60), rng.uniform(0.7, 1.0)
    roof, bank = rng.uniform(1000, 12000), (rng.uniform(1, 200), rng.uniform(1, 400))
    case = Case(
        {"electricity": load},
        (Supply("grid", buy=buy, sell=sell, share=share, demand=demand, month=np.zeros(STEPS, dtype=int)),),
        (
            pv("roof", sun, cost=roof),
            battery("bank", power=Size(cost=bank[0]), energy=Size(cost=bank[1]), efficiency=(eta, eta)),
        ),
        money=Money(years=1, discount=0.0),
    )
    expected = by_hand(
        load=load, sun=sun, buy=buy, sell=sell, share=share, demand=demand, roof=roof, bank=bank, eta=eta
    )
    assert size(case, days=None).cost == pytest.approx(expected, rel=1e-6)


def test_as_many_typical_days_as_there_are_days_give_the_answer_of_every_hour():
    case = factory(days=14)
    exact = model(case, every_step(case)).net.solve(solver="simplex")
    same = model(case, over_typical_days(case, 14)).net.solve(solver="simplex")
    assert same.cost == pytest.approx(exact.cost, rel=1e-6)


def test_working_days_and_sundays_keep_their_own_prices():
    case = factory(days=28)
    view = over_typical_days(case, 5)
    assert view.days is not None
    price = view.pick("grid", "buy", case.supplies[0].buy)
    assert view.spread(price) == pytest.approx(case.supplies[0].buy)


def test_billing_months_keep_their_days():
    case = factory(days=56)
    view = over_typical_days(case, 6)
    member = view.months(case.supplies[0].month)
    assert member.shape == (2, view.horizon.steps)
    assert member.any(axis=0).all()


def test_fixed_sizes_have_no_capacities_to_choose():
    case = factory(days=7)
    built = model(case, every_step(case), sizes={"roof": 100.0, "battery": 10.0, "battery/energy": 20.0})
    assert built.sizes == {"roof": 100.0, "battery": 10.0, "battery/energy": 20.0}
    plan = built.net.solve()
    assert plan[built.made["roof"]].max() <= 100.0
    assert plan.level(built.stores["battery"]).max() <= 20.0 * 0.9 + 1e-6
