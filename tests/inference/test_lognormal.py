"""Moments of lognormal multipliers against a large sample."""

import numpy as np
import pytest

from mangrove.inference.lognormal import interval_of_total, intervals, means, of_moments, total


def test_the_mean_of_a_sum_and_its_spread_are_those_of_many_draws():
    mu, cov, weights = np.array([0.1, -0.2]), np.array([[0.09, 0.04], [0.04, 0.16]]), np.array([3.0, 5.0])
    drawn = np.exp(np.random.default_rng(0).multivariate_normal(mu, cov, 400_000)) @ weights
    mean, sd = total(weights, mu, cov)
    assert mean == pytest.approx(drawn.mean(), rel=2e-3)
    assert sd == pytest.approx(drawn.std(), rel=5e-3)
    low, high = interval_of_total(mean, sd)
    assert np.mean((drawn > low) & (drawn < high)) == pytest.approx(0.95, abs=0.005)


def test_single_multipliers_hold_their_interval():
    low, high = intervals(np.array([0.0]), np.array([0.3]))
    drawn = np.exp(0.3 * np.random.default_rng(1).standard_normal(200_000))
    assert np.mean((drawn > low[0]) & (drawn < high[0])) == pytest.approx(0.95, abs=0.003)
    assert means(np.array([0.0]), np.array([0.3]))[0] == pytest.approx(drawn.mean(), rel=5e-3)


def test_moments_go_there_and_back():
    log_mean, log_sd = of_moments(7.0, 3.0)
    mean, sd = total(np.ones(1), np.array([log_mean]), np.array([[log_sd**2]]))
    assert (mean, sd) == (pytest.approx(7.0), pytest.approx(3.0))
