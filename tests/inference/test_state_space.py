# SPDX-License-Identifier: Apache-2.0
"""The filter, the smoother and the simulation smoother against dense Gaussian conditioning, and the AR(1) against its definition."""

import numpy as np
import pytest

from mangrove.inference import state_space
from mangrove.inference.state_space import States

PHI, STEPS = 0.8, 30


@pytest.fixture(scope="module")
def world():
    """One AR(1) and two constants, seen by two instruments with gaps; and the same as one dense Gaussian."""
    draw = np.random.default_rng(5)
    states = States.ar1(PHI, 1.0).beside(States.constants(2, 4.0))
    loadings = draw.standard_normal((STEPS, 2, 3))
    y, noise = draw.standard_normal((STEPS, 2)), np.full((STEPS, 2), 0.3)
    y[10:20] = np.nan
    y[5, 1] = np.nan
    at = np.arange(STEPS)
    prior = np.zeros((STEPS, 3, STEPS, 3))
    prior[:, 0, :, 0] = PHI ** np.abs(at[:, None] - at)
    prior[:, 1, :, 1] = prior[:, 2, :, 2] = 4.0
    prior = prior.reshape(3 * STEPS, 3 * STEPS)
    see = np.zeros((STEPS, 2, STEPS, 3))
    see[at, :, at] = loadings
    see = see.reshape(2 * STEPS, 3 * STEPS)
    seen = np.isfinite(y.ravel())
    see, values = see[seen], y.ravel()[seen]
    system = see @ prior @ see.T + 0.3 * np.eye(len(values))
    gain = np.linalg.solve(system, see @ prior).T
    mean, covariance = gain @ values, prior - gain @ see @ prior
    density = -0.5 * (np.linalg.slogdet(2 * np.pi * system)[1] + values @ np.linalg.solve(system, values))
    return (states, y, loadings, noise), mean.reshape(STEPS, 3), covariance, density


def test_the_smoother_is_dense_conditioning_with_gaps_and_two_instruments(world):
    question, mean, covariance, density = world
    found = state_space.smooth(*question)
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    blocks = covariance.reshape(STEPS, 3, STEPS, 3)[np.arange(STEPS), :, np.arange(STEPS)]
    np.testing.assert_allclose(found.variance, blocks, atol=1e-10)
    assert found.log_likelihood == pytest.approx(density, abs=1e-9)
    assert state_space.log_likelihood(*question) == pytest.approx(density, abs=1e-9)


def test_drawn_pasts_have_the_smoothed_mean_and_covariance_also_between_times(world):
    question, mean, covariance, _ = world
    drawn = state_space.simulate(*question, count=3000, seed=1).reshape(3000, -1)
    spread = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean.ravel()) / spread).max() < 5 / np.sqrt(3000)
    found = np.cov(drawn.T)
    assert np.abs(found - covariance).max() / np.abs(covariance).max() < 0.1


def test_a_random_walk_forgets_nothing_and_grows_by_its_noise():
    walk = States(np.ones(1), np.array([0.25]), np.zeros(1), np.array([1e6]))
    y = np.full((5, 1), np.nan)
    y[0] = 3.0
    found = state_space.smooth(walk, y, np.ones((5, 1, 1)), np.zeros((5, 1)))
    np.testing.assert_allclose(found.mean[:, 0], 3.0, rtol=1e-6)
    np.testing.assert_allclose(found.variance[:, 0, 0], 0.25 * np.arange(5), atol=1e-6)


def test_without_observations_the_states_keep_their_prior():
    found = state_space.smooth(
        States.ar1(0.5, 2.0), np.full((4, 1), np.nan), np.ones((4, 1, 1)), np.ones((4, 1))
    )
    np.testing.assert_allclose(found.variance[:, 0, 0], 4.0)
    assert found.log_likelihood == 0.0


def test_an_observation_that_is_known_exactly_already_changes_nothing():
    y = np.array([[1.0, 1.0]])
    found = state_space.smooth(States.ar1(0.5, 1.0), y, np.ones((1, 2, 1)), np.zeros((1, 2)))
    assert found.mean[0, 0] == pytest.approx(1.0)
    assert np.isfinite(found.log_likelihood)


def test_a_fit_finds_the_memory_the_width_and_the_coefficients_and_bridges_gaps():
    draw = np.random.default_rng(3)
    gaps, count = np.ones(1500), 1500
    u = state_space.ar1_paths(0.85, 0.1, gaps, draw.standard_normal((count, 1)))[:, 0]
    weekend = (np.arange(count) % 7 >= 5).astype(float)
    truth = 2.0 - 0.3 * weekend + u
    y = truth.copy()
    hidden = np.zeros(count, dtype=bool)
    hidden[100::9] = hidden[700:730] = True
    y[hidden] = np.nan
    found = state_space.fit(y, np.column_stack([np.ones(count), weekend]))
    assert found.phi == pytest.approx(0.85, abs=0.04)
    assert found.sd == pytest.approx(0.1, abs=0.015)
    assert found.coefficients[1] == pytest.approx(-0.3, abs=0.01)
    assert (found.spread[~hidden] == 0).all()
    off = (found.mean - truth)[hidden] / found.spread[hidden]
    assert 0.8 < off.std() < 1.2
    assert found.spread[715] > found.spread[100]


def test_a_short_series_keeps_the_width_that_was_given():
    found = state_space.fit(np.array([0.1, np.nan, -0.1]), np.ones((3, 1)), phi=0.5, sd=0.2)
    assert not found.estimated
    assert (found.phi, found.sd) == (pytest.approx(0.5), pytest.approx(0.2))


def test_a_column_that_no_value_has_shown_is_as_open_as_its_prior():
    columns = np.column_stack([np.ones(60), np.arange(60) == 59])
    y = np.where(np.arange(60) < 59, 1.0 + 1e-3 * np.sin(np.arange(60)), np.nan)
    found = state_space.fit(y, columns, variance=np.array([1e6, 0.25]))
    assert found.spread[59] == pytest.approx(0.5, abs=0.01)


def test_products_with_an_ar1_covariance_are_those_of_the_matrix_also_over_gaps_in_time():
    days = np.array([0, 1, 2, 9, 10, 40])
    gaps = np.diff(days, prepend=-1).astype(float)
    matrix = 0.3**2 * 0.9 ** np.abs(days[:, None] - days)
    rows = np.random.default_rng(0).standard_normal((3, 6))
    np.testing.assert_allclose(state_space.ar1_covariance(0.9, 0.3, gaps, rows), rows @ matrix, atol=1e-14)
    drawn = state_space.ar1_paths(0.9, 0.3, gaps, np.random.default_rng(1).standard_normal((6, 40_000)))
    np.testing.assert_allclose(np.cov(drawn), matrix, atol=0.003)


def test_a_longer_table_of_numbers_begins_with_the_same_paths():
    numbers = np.random.default_rng(2).standard_normal((10, 3))
    short = state_space.ar1_paths(0.7, 1.0, np.ones(6), numbers[:6])
    np.testing.assert_array_equal(state_space.ar1_paths(0.7, 1.0, np.ones(10), numbers)[:6], short)
