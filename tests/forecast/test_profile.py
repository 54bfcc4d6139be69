# SPDX-License-Identifier: Apache-2.0
"""The usual day is a robust candidate: right for its kind of day, deaf to noise, and given weight only for honest forecasts."""

import numpy as np
import pytest

from mangrove.forecast import features, models
from mangrove.forecast.backtest import backtest
from mangrove.forecast.forecaster import Forecaster
from mangrove.forecast.mix import Mix
from mangrove.forecast.models.profile import weighted_quantiles
from mangrove.forecast.models.ridge import slopes

LEVELS = (0.1, 0.5, 0.9)
HOUR = np.timedelta64(3600, "s")
MONDAY = 19_723  # 1 January 2024
SHAPE = np.array([1, 1, 0, 0, 0, 1, 3, 6, 5, 3, 2, 4, 5, 3, 2, 3, 6, 8, 7, 5, 4, 3, 2, 1.0])


def counts(days, seed=7):
    """Hourly swaps, UTC: a usual day times a level that each day draws anew; nothing of it is known the day before."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(9.0, 1 / 9.0, days)
    starts = np.datetime64("2024-01-01", "s") + np.arange(days * 24) * HOUR
    return starts, rng.poisson(level[:, None] * SHAPE).ravel().astype(float)


def said_of(monkeypatch, starts, values):
    """What the models said of each day before the first issue, as the weights were given it."""
    seen, update = [], Mix.update
    monkeypatch.setattr(
        Mix, "update", lambda self, said, actual: (seen.append(said.copy()), update(self, said, actual))[1]
    )
    one = Forecaster(1.0, "UTC", 24, models=("ridge",)).fit(starts, values)
    monkeypatch.undo()
    return one, seen


def test_weights_come_from_forecasts_made_without_the_values_that_judge_them(monkeypatch):
    starts, values = counts(42)
    _, whole = said_of(monkeypatch, starts, values)
    assert len(whole) == 14
    for day in (0, 6, 13):  # of the days that are judged: what is said of it must not move with it
        changed = values.copy()
        changed[(28 + day) * 24 :] = np.random.default_rng(day).uniform(50, 90, (14 - day) * 24)
        _, other = said_of(monkeypatch, starts, changed)
        np.testing.assert_array_equal(whole[day], other[day])


@pytest.mark.parametrize("seed", range(4))
def test_where_days_have_nothing_to_do_with_each_other_the_usual_day_wins_not_what_fits_the_past_best(seed):
    starts, values = counts(42, seed)
    one = Forecaster(1.0, "UTC", 24, models=("ridge",)).fit(starts, values)
    weights = one.issue(starts[-1] + HOUR).weights
    assert weights["profile"] > 0.6
    assert (
        weights["ridge"] < 0.35
    )  # judged on the days it was fitted to, ridge would get 0.42 or more of three of the four
    score = backtest(starts, values, days=14, step_hours=1.0, tz="UTC", models=("ridge",)).score
    assert score.skill > 0.1


def test_a_count_series_is_covered_as_promised_and_its_days_add_up():
    starts, values = counts(120)
    found = backtest(starts, values, days=60, step_hours=1.0, tz="UTC", models=("ridge",))
    assert 0.72 < found.score.coverage < 0.9
    assert found.score.skill > 0.15
    assert abs(found.quantiles[1].sum() / values[-60 * 24 :].sum() - 1) < 0.12
    again = backtest(starts, values, days=60, step_hours=1.0, tz="UTC", models=("ridge",))
    np.testing.assert_array_equal(found.quantiles, again.quantiles)


def test_ridge_trusts_its_columns_as_far_as_they_help_on_weeks_left_out():
    rng = np.random.default_rng(2)
    days, rows = 49, 24
    week = np.repeat(np.arange(days)[::-1] // 7, rows)
    x = np.repeat(
        rng.normal(size=(days, 30)), rows, axis=0
    )  # columns of the day: 49 independent rows, not 1,176
    alone = np.repeat(rng.normal(size=days), rows) + 0.1 * rng.normal(size=days * rows)
    driven = x[:, 0] * 2 + 0.1 * rng.normal(size=days * rows)
    weight = np.ones(days * rows)
    plain = np.linalg.solve(x.T @ x + 10 * np.eye(30), x.T @ alone)
    assert np.abs(slopes(x, alone, weight, week)).sum() < 0.25 * np.abs(plain).sum()
    np.testing.assert_allclose(slopes(x, driven, weight, week)[0], 2, atol=0.1)


def fitted(values, off=()):
    """A profile that learnt from `values` (days x slots from a Monday on); the frame of the seven days after them."""
    end = MONDAY + len(values)
    off = np.array(off, dtype=np.int64)
    model = models.make("profile", LEVELS)
    model.fit(features.build(values, MONDAY, np.arange(MONDAY + 7, end), off))
    return model.predict(features.build(values, MONDAY, np.arange(end, end + 7), off))


def test_each_kind_of_day_has_its_own_usual_day_and_a_day_off_is_like_a_sunday():
    weekday = np.arange(70) % 7
    values = np.where(weekday < 5, 50.0, np.where(weekday == 5, 20.0, 5.0))[:, None] + np.zeros(24)
    said = fitted(values, off=[MONDAY + 72])  # a Wednesday
    np.testing.assert_allclose(said[1, :, 12], [50, 50, 5, 50, 50, 20, 5])
    assert said.shape == (3, 7, 24)


def test_one_wild_day_hardly_moves_the_usual_one():
    values = 10 + np.random.default_rng(0).normal(0, 1, (56, 24))
    wild = values.copy()
    wild[-3] = 1e6
    assert np.abs(fitted(wild)[1] - fitted(values)[1]).max() < 1


def test_newer_days_count_more():
    values = np.repeat(np.r_[np.full(28, 10.0), np.full(28, 30.0)][:, None], 24, axis=1)
    assert (fitted(values)[1, :5] > 25).all()


def test_the_median_of_counts_lies_between_them_and_zero_stays_zero_where_values_are_measured():
    rng = np.random.default_rng(4)
    middle = fitted(rng.poisson(1.3, (56, 24)).astype(float))[1, :5]
    assert 0.8 < middle.mean() < 1.4
    measured = np.where(rng.random((56, 24)) < 0.7, 0.0, rng.uniform(1, 5, (56, 24)))
    assert np.abs(fitted(measured)[1]).max(initial=0) < 5
    assert (np.abs(fitted(measured)[1, :5]) < 0.01).mean() > 0.9


def test_weighted_quantiles_are_those_of_repeated_values_and_pass_over_holes():
    values = np.array([[1.0, 5.0, np.nan, 3.0], [np.nan] * 4])
    found = weighted_quantiles(values, np.array([1.0, 1.0, 9.0, 1.0]), (0.01, 0.5, 0.99))
    np.testing.assert_allclose(found[:, 0], [1, 3, 5])
    assert np.isnan(found[:, 1]).all()
    heavy = weighted_quantiles(np.array([[1.0, 5.0, 9.0]]), np.array([1.0, 8.0, 1.0]), (0.5,))
    assert heavy[0, 0] == 5


def test_of_two_models_with_equal_steps_the_one_whose_days_add_up_gets_the_median():
    mix = Mix(2, (0.5,))
    actual = np.tile([0.0, 2.0], 12)
    low, even = np.zeros(24), np.ones(24)  # both miss by 1 a step on average
    for _ in range(5):
        mix.update(np.stack([low, even])[:, None], actual)
    assert mix.weights[1, 0] > 0.95
