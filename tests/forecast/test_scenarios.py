"""Samples have the quantiles of the forecast, the course of real days, and come again with their seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.forecast.scenarios import Shape, sample

LEVELS = np.array([0.1, 0.5, 0.9])


def shape(seed=0, *, persistence=0.9, slots=24, days=50, lower=None, common=None):
    """A forecast of a day around 10 whose past misses persist over the day."""
    rng = np.random.default_rng(seed)
    fresh = rng.normal(size=(days, slots))
    if common is not None:
        fresh = 0.8 * common + 0.6 * fresh
    walk = np.zeros((days, slots))
    walk[:, 0] = fresh[:, 0]
    for slot in range(1, slots):
        walk[:, slot] = persistence * walk[:, slot - 1] + np.sqrt(1 - persistence**2) * fresh[:, slot]
    width = np.linspace(1, 4, slots)
    middle = 10 + np.sin(np.arange(slots))
    quantiles = np.stack([middle - width / 2, middle, middle + width / 2])
    zeros = np.zeros(slots, dtype=np.int64)
    return Shape(LEVELS, quantiles, walk / 2.56, np.arange(100, 100 + days), zeros, np.arange(slots), lower)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), count=st.integers(200, 400))
def test_samples_reproduce_the_quantiles_of_the_forecast(seed, count):
    one = shape()
    drawn = sample([one], count, seed)[0]
    assert drawn.shape == (count, 24)
    np.testing.assert_allclose(np.quantile(drawn, LEVELS, axis=0), one.quantiles, atol=0.12)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_the_same_seed_gives_the_same_samples(seed, count):
    np.testing.assert_array_equal(sample([shape()], count, seed), sample([shape()], count, seed))


def test_another_seed_gives_others():
    assert not np.array_equal(sample([shape()], 20, 1), sample([shape()], 20, 2))


def test_a_sample_that_is_high_stays_high_as_past_days_did():
    steady, jumpy = (sample([shape(persistence=p)], 300, 0)[0] for p in (0.95, 0.0))
    assert np.corrcoef(steady[:, 10], steady[:, 12])[0, 1] > 0.7
    assert abs(np.corrcoef(jumpy[:, 10], jumpy[:, 12])[0, 1]) < 0.5


def test_flows_that_moved_together_are_sampled_together():
    common = np.random.default_rng(9).normal(size=(50, 24))
    one, other = sample([shape(1, common=common), shape(2, common=common)], 300, 4)
    alone, apart = sample([shape(1), shape(2)], 300, 4)
    assert np.corrcoef(one[:, 12], other[:, 12])[0, 1] > 0.4
    assert abs(np.corrcoef(alone[:, 12], apart[:, 12])[0, 1]) < 0.35


def test_no_sample_is_below_the_lower_bound():
    assert sample([shape(lower=9.5)], 200, 0).min() == 9.5


def test_without_past_days_a_sample_keeps_its_own_quantile():
    one = shape()
    bare = Shape(
        LEVELS, one.quantiles, np.empty((0, 24)), np.empty(0, dtype=np.int64), one.day, one.slot, None
    )
    drawn = sample([bare], 9, 0)[0]
    assert (np.argsort(drawn, axis=0) == np.argsort(drawn, axis=0)[:, :1]).all()


def test_no_samples_and_unlike_steps_are_refused():
    with pytest.raises(RequestError, match="at least one sample"):
        sample([shape()], 0, 0)
    with pytest.raises(RequestError, match="the same steps"):
        sample([shape(), shape(slots=12)], 3, 0)
