"""Scores are what their definitions say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.forecast.score import pinball, score

LEVELS = (0.1, 0.5, 0.9)


@given(st.lists(st.floats(-100, 100), min_size=30, max_size=60), st.sampled_from(LEVELS))
def test_the_empirical_quantile_has_the_least_pinball_loss(values, level):
    values = np.sort(np.array(values))
    losses = [pinball(np.full((1, len(values)), q), (level,), values).mean() for q in values]
    best = pinball(
        np.full((1, len(values)), np.quantile(values, level, method="inverted_cdf")), (level,), values
    )
    assert best.mean() <= min(losses) + 1e-9


def test_the_median_loses_half_the_absolute_error():
    actual = np.array([1.0, 4.0, -2.0])
    np.testing.assert_allclose(pinball(np.zeros((1, 3)), (0.5,), actual)[0], np.abs(actual) / 2)


def test_coverage_skill_and_mase_of_a_small_case():
    actual = np.array([[1.0, 2.0, 3.0, 4.0, np.nan]])
    quantiles = np.array([[[0.0] * 5], [[2.0] * 5], [[3.5] * 5]])
    naive = np.array([[[0.0] * 5], [[0.0] * 5], [[8.0] * 5]])
    found = score(quantiles, LEVELS, actual, naive, scale=2.0)
    assert found.steps == 4
    assert found.coverage == 0.75
    assert found.mae == 1.0
    assert found.mase == 0.5
    assert found.naive_mae == 2.5
    assert abs(found.nominal - 0.8) < 1e-12
    assert 0 < found.skill < 1


def test_steps_where_nothing_can_happen_do_not_count_as_covered():
    actual = np.array([[0.0, 0.0, 5.0]])
    quantiles = np.array([[[0.0, 0.0, 6.0]], [[0.0, 0.0, 7.0]], [[0.0, 0.0, 8.0]]])
    assert score(quantiles, LEVELS, actual, quantiles, 1.0).coverage == 0.0


def test_a_band_that_begins_at_the_bound_promises_only_its_upper_end():
    quantiles = np.array([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0], [2.0, 2.0, 3.0, 3.0]])[:, None]
    actual = np.array([[0.0, 1.0, 2.0, 5.0]])
    half = score(quantiles, (0.1, 0.5, 0.9), actual, quantiles, 1.0, lower=0.0)
    assert half.nominal == pytest.approx((0.9 + 0.8) / 2)
    assert half.coverage == 0.75
    assert score(quantiles, (0.1, 0.5, 0.9), actual, quantiles, 1.0).nominal == pytest.approx(0.8)
