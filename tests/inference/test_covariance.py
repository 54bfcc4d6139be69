# ruff: noqa: N806 - the letters of the equations
"""Roots of covariances: products equal those with the covariance that is never formed."""

import array_api_strict
import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.covariance import Dense, Prior, Separable, exponential, random_walk


def covariance(root, n):
    return root.right(root.left(np.eye(n)).T)


def test_a_factor_model_is_its_shared_and_its_own_part():
    random = np.random.default_rng(0)
    F, S, D = random.normal(size=(5, 2)), np.array([0.5, 2.0]), random.uniform(0.1, 1, 5)
    np.testing.assert_allclose(covariance(Prior(np.zeros(5), F, S, D), 5), F @ np.diag(S) @ F.T + np.diag(D))


def test_a_shared_factor_keeps_the_error_of_a_sum_of_many():
    """100,000 sources of 50 % each: 0.16 % when alone, 15 % when a factor of 15 % is shared."""
    n = 100_000
    prior = Prior(np.ones(n), np.ones((n, 1)), np.array([0.15**2]), np.full(n, 0.5**2))
    total = np.full((1, n), 1 / n)
    assert np.sqrt(np.sum(prior.left(total) ** 2)) == pytest.approx(np.sqrt(0.15**2 + 0.25 / n))


def test_a_separable_covariance_is_the_product_of_its_axes():
    sd = np.random.default_rng(1).uniform(0.5, 2, 24)
    blocks = tuple(exponential(np.arange(float(n)), 2.0) for n in (2, 3, 4))
    full = np.diag(sd) @ np.kron(np.kron(blocks[0], blocks[1]), blocks[2]) @ np.diag(sd)
    np.testing.assert_allclose(covariance(Separable(np.zeros(24), sd, blocks), 24), full, atol=1e-14)


def test_correlations_fall_with_the_distance_in_the_plane():
    found = exponential(np.array([[0.0, 0.0], [3.0, 4.0]]), 5.0)
    np.testing.assert_allclose(found, [[1, np.exp(-1)], [np.exp(-1), 1]])


def test_a_random_walk_has_the_covariance_of_one():
    root = random_walk(4, 2.0, 0.5, np.zeros(1))
    expected = 4 + 0.25 * np.minimum(np.arange(4)[:, None], np.arange(4)[None, :])
    np.testing.assert_allclose(root @ root.T, expected)


def test_roots_run_on_a_strict_array_library():
    xp = array_api_strict
    blocks = tuple(exponential(xp.asarray(np.arange(float(n))), 2.0) for n in (2, 3))
    there = Separable(xp.zeros(6), xp.ones(6), blocks)
    here = Separable(np.zeros(6), np.ones(6), tuple(np.asarray(block) for block in blocks))
    np.testing.assert_allclose(np.asarray(there.left(xp.eye(6))), here.left(np.eye(6)))
    np.testing.assert_allclose(np.asarray(there.right(xp.eye(6))), here.right(np.eye(6)))
    assert random_walk(3, 1.0, 1.0, xp.zeros(1)).shape == (3, 3)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(RequestError, match="shapes"):
        Prior(np.zeros(3), np.zeros((2, 1)), np.zeros(1), np.zeros(3))
    with pytest.raises(RequestError, match="shapes"):
        Separable(np.zeros(3), np.zeros(3), (np.eye(2), np.eye(2)))
    assert Dense(np.zeros(2), np.ones((2, 3))).columns == 3
