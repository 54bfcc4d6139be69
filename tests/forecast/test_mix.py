"""The mix follows the better model; the bands keep their promise when the models do not."""

import numpy as np

from mangrove.forecast.mix import Bands, Mix

LEVELS = (0.1, 0.5, 0.9)
NORMAL = np.array([-1.2816, 0.0, 1.2816])


def test_the_better_model_gets_the_weight_and_loses_it_when_it_fails():
    mix, rng = Mix(2, LEVELS), np.random.default_rng(1)
    good, bad = np.repeat(NORMAL[:, None], 24, axis=1), np.repeat(NORMAL[:, None] + 4, 24, axis=1)
    for _ in range(30):
        mix.update(np.stack([good, bad]), rng.normal(size=24))
    assert (mix.weights[0] > 0.95).all()
    for _ in range(60):
        mix.update(np.stack([good, bad]), 4 + rng.normal(size=24))
    assert (mix.weights[1] > 0.95).all()


def test_combined_quantiles_ascend_and_a_silent_model_leaves_its_weight_to_the_others():
    mix = Mix(2, LEVELS)
    said = np.array([[[1.0], [2.0], [3.0]], [[np.nan], [np.nan], [np.nan]]])
    np.testing.assert_allclose(mix.combine(said)[:, 0], [1, 2, 3])
    crossing = np.array([[[3.0], [2.0], [1.0]], [[3.0], [2.0], [1.0]]])
    np.testing.assert_allclose(mix.combine(crossing)[:, 0], [1, 2, 3])


def test_missing_days_teach_nothing():
    mix = Mix(2, LEVELS)
    mix.update(np.zeros((2, 3, 24)), np.full(24, np.nan))
    assert (mix.weights == 0.5).all()


def test_bands_that_are_too_narrow_widen_to_their_nominal_coverage_also_after_a_change():
    bands, rng = Bands(LEVELS), np.random.default_rng(2)
    raw = np.repeat(0.3 * NORMAL[:, None], 48, axis=1)
    inside = []
    for day in range(240):
        issued = bands.apply(raw)
        actual = rng.normal(0, 1 if day < 120 else 2, 48)
        inside.append(((actual >= issued[0]) & (actual <= issued[-1])).mean())
        bands.update(raw, issued, actual)
    assert 0.75 < np.mean(inside[30:120]) < 0.85
    assert 0.75 < np.mean(inside[150:]) < 0.85


def test_a_quantile_on_the_lower_bound_is_not_taken_for_one_that_is_too_high():
    bands, rng = Bands(LEVELS, lower=0.0), np.random.default_rng(3)
    raw = np.array([[0.0] * 12 + [8.7] * 12, [0.0] * 12 + [10.0] * 12, [0.0] * 12 + [11.3] * 12])
    for _ in range(60):
        actual = np.concatenate([np.zeros(12), rng.normal(10, 1, 12)])
        bands.update(raw, bands.apply(raw), actual)
    assert abs(bands.apply(raw)[0, -1] - 8.7) < 0.5


def test_a_quantile_that_comes_to_the_bound_is_the_bound():
    """Else a zero counts as below a tenth of a car, and the band is widened for nothing."""
    bands = Bands((0.1, 0.5, 0.9), lower=0.0)
    raw = np.array([[0.0, 0.01, 1.0], [0.0, 0.3, 3.0], [0.5, 1.0, 6.0]])
    assert bands.apply(raw).tolist() == [[0.0, 0.0, 1.0], [0.0, 0.3, 3.0], [0.5, 1.0, 6.0]]
    assert Bands((0.1, 0.5, 0.9)).apply(raw).tolist() == raw.tolist()
