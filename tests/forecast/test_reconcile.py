"""Forecasts that add up: closed forms, what a projection keeps, and synthetic truth."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.forecast.reconcile import Hierarchy, reconcile, shrunk

TREE = Hierarchy(
    ("city", "north", "south", "n1", "n2", "s1", "s2", "s3"),
    {"city": ("north", "south"), "north": ("n1", "n2"), "south": ("s1", "s2", "s3")},
)


def covariance(seed, n):
    root = np.random.default_rng(seed).normal(size=(n, n))
    w = root @ root.T + np.eye(n)
    width = np.sqrt(np.diag(w))
    return w, width, w / np.outer(width, width)


def test_the_summing_matrix_says_every_series_as_a_sum_of_meters():
    s = TREE.summing.toarray()
    np.testing.assert_array_equal(s[0], np.ones(5))
    np.testing.assert_array_equal(s[1], [1, 1, 0, 0, 0])
    np.testing.assert_array_equal(s[3:], np.eye(5))
    assert np.abs(TREE.constraints @ TREE.summing).max() == 0


def test_the_result_is_the_closed_form_of_minimum_trace():
    w, width, correlation = covariance(1, 8)
    base = np.random.default_rng(2).normal(10, 3, (8, 4))
    s, inverse = TREE.summing.toarray(), np.linalg.inv(w)
    closed = s @ np.linalg.solve(s.T @ inverse @ s, s.T @ inverse @ base)
    made = reconcile(base, TREE, np.repeat(width[:, None], 4, axis=1), correlation)
    np.testing.assert_allclose(made, closed, atol=1e-7)
    diagonal = np.diag(1 / width**2)
    closed = s @ np.linalg.solve(s.T @ diagonal @ s, s.T @ diagonal @ base)
    made = reconcile(base, TREE, np.repeat(width[:, None], 4, axis=1), method="wls")
    np.testing.assert_allclose(made, closed, atol=1e-7)


@pytest.mark.parametrize("method", ["mint", "wls", "bottom_up"])
def test_samples_add_up_and_what_adds_up_already_stays(method):
    _, width, correlation = covariance(3, 8)
    widths = np.repeat(width[:, None], 6, axis=1)
    base = np.random.default_rng(4).normal(10, 3, (8, 50, 6))
    made = reconcile(base, TREE, widths, correlation, method=method)
    assert np.abs(TREE.constraints @ made.reshape(8, -1)).max() < 1e-9
    np.testing.assert_allclose(reconcile(made, TREE, widths, correlation, method=method), made, atol=1e-9)


def test_what_is_right_on_average_stays_so():
    _, width, correlation = covariance(5, 8)
    truth = (TREE.summing @ np.array([4.0, 6.0, 1.0, 2.0, 3.0]))[:, None]
    noise = np.random.default_rng(6).multivariate_normal(np.zeros(8), np.eye(8), 4000).T
    noise -= noise.mean(axis=1, keepdims=True)  # exactly unbiased
    made = reconcile((truth + noise)[:, :, None], TREE, width[:, None], correlation)
    np.testing.assert_allclose(made.mean(axis=(1, 2)), truth[:, 0], atol=1e-9)


def test_no_series_is_worse_than_before_on_synthetic_truth():
    """Misses with a known covariance: the mean squared error of each of the eight series falls or stays."""
    w, width, correlation = covariance(7, 8)
    rng = np.random.default_rng(8)
    truth = TREE.summing @ rng.uniform(5, 20, (5, 3000))
    base = truth + rng.multivariate_normal(np.zeros(8), w, 3000).T
    made = reconcile(base[:, :, None], TREE, width[:, None], correlation)[:, :, 0]
    before, after = ((base - truth) ** 2).mean(axis=1), ((made - truth) ** 2).mean(axis=1)
    assert (after <= before).all()
    assert after.sum() < 0.8 * before.sum()


def test_a_part_does_not_fall_below_its_bound_and_the_totals_follow():
    base = np.array([2.0, 0.0, 2.0, 3.0, 3.0, 0.1, 1.0, 1.0])[:, None]
    made = reconcile(base, TREE, np.array([0.1, 0.1, 0.1, 1, 1, 1, 1, 1])[:, None], lower=[0.0] * 8)
    assert made.min() >= 0
    assert np.abs(TREE.constraints @ made).max() < 1e-12


def test_a_certain_series_does_not_move():
    """The sun's meter at night: its forecast is zero and nothing is uncertain about it."""
    tree = Hierarchy(("in", "sun", "load"), {"in": ("sun", "load")})
    made = reconcile(np.array([[12.0], [0.0], [10.0]]), tree, np.array([[1.0], [0.0], [1.0]]))
    np.testing.assert_allclose(made[:, 0], [11, 0, 11])
    still = reconcile(np.array([[12.0], [2.0], [10.0]]), tree, np.zeros((3, 1)))
    np.testing.assert_array_equal(still[:, 0], [12, 2, 10])


def test_a_thousand_meters_add_up():
    wards = [f"ward{i}" for i in range(40)]
    parts = {ward: tuple(f"{ward}.{j}" for j in range(50)) for ward in wards}
    names = ("city", *wards, *(meter for group in parts.values() for meter in group))
    tree = Hierarchy(names, {"city": tuple(wards)} | parts)
    base = np.random.default_rng(9).uniform(1, 5, (len(names), 24))
    made = reconcile(base, tree, np.ones((len(names), 24)))
    np.testing.assert_allclose(made[0], made[41:].sum(axis=0), rtol=1e-12)


def test_correlation_is_drawn_to_independence_as_far_as_days_are_few():
    rng = np.random.default_rng(10)
    true = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    many = rng.multivariate_normal(np.zeros(3), true, (400, 6))
    found, share = shrunk(many)
    np.testing.assert_allclose(found, true, atol=0.12)
    assert share < 0.1
    _, more = shrunk(many[:8])
    assert more > share
    noise, share = shrunk(rng.normal(size=(10, 1, 30)))
    assert share > 0.8
    assert np.linalg.eigvalsh(noise).min() > 0
    assert shrunk(many[:3])[1] == 1.0


def test_what_is_no_tree_is_refused():
    for parts in (
        {"a": ("b",), "c": ("b",)},
        {"a": ("a",)},
        {"a": ("b",), "b": ("a",)},
        {"a": ("x",)},
        {"a": ()},
    ):
        with pytest.raises(RequestError):
            Hierarchy(("a", "b", "c"), parts)
    with pytest.raises(RequestError, match="mint"):
        reconcile(np.ones((8, 1)), TREE, np.ones((8, 1)), method="magic")
