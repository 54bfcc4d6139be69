# ruff: noqa: N806 - the letters of the equations
"""Facts one by one give the same estimate as all of them at once."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.covariance import Prior
from mangrove.inference.gaussian import posterior
from mangrove.inference.running import Running

N = 12


def prior():
    random = np.random.default_rng(2)
    return Prior(np.ones(N), random.normal(size=(N, 3)), np.array([1.0, 0.5, 0.2]), random.uniform(0.1, 1, N))


def dense(p):
    return p.factors @ np.diag(p.scales) @ p.factors.T + np.diag(p.own)


def facts(count):
    random = np.random.default_rng(4)
    return [
        (random.choice(N, 2, replace=False), random.normal(size=2), random.normal(), 0.3)
        for _ in range(count)
    ]


def at_once(p, listed):
    H = np.zeros((len(listed), N))
    for row, (states, weights, _, _) in enumerate(listed):
        H[row, states] = weights
    return posterior(H, np.array([f[2] for f in listed]), np.array([f[3] for f in listed]), p)


@pytest.mark.parametrize("kind", ["factors", "dense"])
def test_facts_one_by_one_equal_facts_at_once(kind):
    p, listed, city = prior(), facts(150), np.arange(1.0, N + 1)
    state = Running.factors(p) if kind == "factors" else Running.dense(p.mean, dense(p))
    state.watch("city", city)
    for fact in listed:
        state.observe(*fact)
    expected = at_once(p, listed)
    np.testing.assert_allclose(state.mean, expected.mean, atol=1e-8)
    mean, sd = state.total("city")
    assert mean == pytest.approx(city @ expected.mean)
    assert sd == pytest.approx(float(expected.sd(city[None])[0]), rel=1e-6)


def test_a_fact_taken_back_leaves_no_trace():
    p, listed = prior(), facts(6)
    state = Running.factors(p)
    state.watch("city", np.ones(N))
    for fact in listed:
        state.observe(*fact)
    state.withdraw(*listed[2])
    expected = at_once(p, listed[:2] + listed[3:])
    np.testing.assert_allclose(state.mean, expected.mean, atol=1e-9)
    assert state.total("city")[1] == pytest.approx(float(expected.sd(np.ones((1, N)))[0]))


def test_a_corrected_value_moves_the_mean_and_no_interval():
    p, listed = prior(), facts(6)
    state = Running.factors(p)
    state.watch("city", np.ones(N))
    for fact in listed:
        state.observe(*fact)
    before = state.total("city")[1]
    states, weights, value, variance = listed[4]
    state.revise(states, weights, 2.5, variance)
    changed = [*listed[:4], (states, weights, value + 2.5, variance), listed[5]]
    np.testing.assert_allclose(state.mean, at_once(p, changed).mean, atol=1e-9)
    assert state.total("city")[0] == pytest.approx(float(at_once(p, changed).mean.sum()))
    assert state.total("city")[1] == before


def test_a_fact_that_was_never_there_cannot_be_taken_back():
    state = Running.factors(Prior.independent(np.zeros(2), np.ones(2)))
    with pytest.raises(RequestError, match="not in the estimate"):
        state.withdraw([0], [1.0], 1.0, 0.1)
