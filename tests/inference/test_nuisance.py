"""Walks have the covariance of a Kalman filter's random walk; the background comes from upwind."""

import numpy as np

from mangrove.inference.nuisance import by_label, upwind_background, walk_basis, walk_sd


def test_a_walk_at_its_knots_is_a_random_walk():
    basis = walk_basis(np.array([0.0, 24.0, 48.0, 72.0]), 24.0, 72.0)
    sd = walk_sd(4, np.array([2.0]), np.array([0.5]))
    covariance = (basis * sd**2) @ basis.T
    np.testing.assert_allclose(
        covariance, 4 + 0.25 * np.minimum(np.arange(4)[:, None], np.arange(4)[None, :])
    )


def test_each_label_walks_alone():
    basis = walk_basis(np.array([0.0, 0.0]), 24.0, 24.0)
    both = by_label(basis, np.array([0, 1]), 2)
    assert (both[0] @ both[1]) == 0
    np.testing.assert_allclose(both[1, 2:], basis[1])


def test_the_background_is_read_where_the_wind_comes_from():
    position = np.array([[0.0, 0.0], [5000.0, 0.0], [10_000.0, 0.0]])
    reading = np.array([[10.0, 40.0], [20.0, 30.0], [40.0, 12.0]])
    toward = np.array([[1.0, 0.0], [-1.0, 0.0]])
    background, giver = upwind_background(reading, position, toward)
    assert background.tolist() == [10.0, 12.0]
    assert giver.tolist() == [0, 2]


def test_without_an_upwind_reading_there_is_no_background():
    background, giver = upwind_background(
        np.array([[np.nan], [3.0], [4.0]]), np.array([[0.0, 0], [1, 0], [2, 0]]), np.array([[1.0, 0]])
    )
    assert np.isnan(background[0])
    assert giver[0] == -1
