"""The mix follows the better model; the bands keep their promise when the models do not."""

import numpy as np

from mangrove.forecast.mix import Bands, Mix
from mangrove.forecast.score import pinball

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
        bands.update(raw, actual)
    assert 0.75 < np.mean(inside[30:120]) < 0.85
    assert 0.75 < np.mean(inside[150:]) < 0.85


def test_a_quantile_on_the_lower_bound_is_not_taken_for_one_that_is_too_high():
    bands, rng = Bands(LEVELS, lower=0.0), np.random.default_rng(3)
    raw = np.array([[0.0] * 12 + [8.7] * 12, [0.0] * 12 + [10.0] * 12, [0.0] * 12 + [11.3] * 12])
    for _ in range(60):
        actual = np.concatenate([np.zeros(12), rng.normal(10, 1, 12)])
        bands.update(raw, actual)
    assert abs(bands.apply(raw)[0, -1] - 8.7) < 0.5


def test_a_quantile_that_comes_to_the_bound_is_the_bound():
    """Else a zero counts as below a tenth of a car, and the band is widened for nothing."""
    bands = Bands((0.1, 0.5, 0.9), lower=0.0)
    raw = np.array([[0.0, 0.01, 1.0], [0.0, 0.3, 3.0], [0.5, 1.0, 6.0]])
    assert bands.apply(raw).tolist() == [[0.0, 0.0, 1.0], [0.0, 0.3, 3.0], [0.5, 1.0, 6.0]]
    assert Bands((0.1, 0.5, 0.9)).apply(raw).tolist() == raw.tolist()


def test_models_that_err_to_both_sides_are_mixed_to_where_nothing_is_missed():
    """By itself the nearer one is twice as good and would get nearly all the weight; two thirds of it with the other are exact."""
    mix = Mix(2, (0.5,))
    for _ in range(60):
        mix.update(np.array([[np.full(24, 9.0)], [np.full(24, 12.0)]]), np.full(24, 10.0))
    assert 0.58 < mix.weights[0, 0] < 0.75


def test_a_value_that_jumps_out_of_narrow_bands_does_not_blow_up_the_wide_ones_after_it():
    """Seventy widths of a band of 3 are no seventy widths of the band of 150 that the models give once they have seen the jump."""
    bands, rng = Bands(LEVELS), np.random.default_rng(4)
    narrow = 70 + 1.2 * np.repeat(NORMAL[:, None], 24, axis=1)
    for _ in range(10):
        bands.update(narrow, rng.normal(70, 1.2, 24))
    for _ in range(3):
        bands.update(narrow, rng.normal(280, 1.2, 24))
    wide = np.repeat(np.array([[100.0], [180.0], [250.0]]), 24, axis=1)
    assert bands.apply(wide).max() < 250 + 215
    assert bands.apply(wide).min() > 100 - 215


def test_of_several_steps_the_one_that_loses_less_leads():
    """Values that alternate from day to day: each step of the correction comes a day late, standing still is best."""
    raw = np.repeat(NORMAL[:, None], 24, axis=1)
    lost = {}
    for gains in ((0.0,), (0.12,), (0.0, 0.12)):
        bands, loss, rng = Bands(LEVELS, gains=gains), 0.0, np.random.default_rng(5)
        for day in range(200):
            actual = rng.normal(1.5 if day % 2 else -1.5, 0.5, 24)
            loss += pinball(bands.apply(raw), LEVELS, actual).mean() if day > 60 else 0.0
            bands.update(raw, actual)
        lost[gains] = loss
    assert lost[0.0,] < lost[0.12,]
    assert lost[0.0, 0.12] < (lost[0.0,] + lost[0.12,]) / 2
