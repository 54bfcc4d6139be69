"""Real series, day after day with what was known: better than the weekly naive, and bands that hold what they promise.

The full table over 56 days stands in `benchmarks/forecast.py`; here are the last two or three weeks.
"""

import numpy as np
import pytest

from mangrove.errors import DataQualityError
from mangrove.forecast.backtest import backtest

CHEAP = ("naive", "ridge")


def test_a_back_test_knows_each_day_only_what_was_known_then(office):
    starts, values = office
    whole = backtest(starts, values, days=7, step_hours=1.0, tz="Asia/Ho_Chi_Minh", models=CHEAP)
    changed = values.copy()
    changed[-72:] += 1000.0
    other = backtest(starts, changed, days=7, step_hours=1.0, tz="Asia/Ho_Chi_Minh", models=CHEAP)
    np.testing.assert_array_equal(whole.quantiles[:, :5], other.quantiles[:, :5])
    assert not np.array_equal(whole.quantiles[:, 5:], other.quantiles[:, 5:])
    assert whole.score.days == 7
    assert whole.score.skill > 0


def test_too_little_before_the_first_day_is_refused(office):
    with pytest.raises(DataQualityError):
        backtest(*office, days=50, step_hours=1.0, tz="Asia/Ho_Chi_Minh", models=CHEAP)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "models", "skill"),
    [
        ("steel", ("naive", "ridge", "boosted"), 0.15),
        ("homes", ("naive", "ridge", "boosted"), 0.25),
        ("homes", CHEAP, 0.25),
        ("charging", ("naive", "ridge", "boosted"), 0.15),
        ("sun", ("naive", "ridge", "boosted", "clear_sky"), 0.15),
    ],
)
def test_a_real_series_is_forecast_better_than_by_last_week(real, name, models, skill):
    score = backtest(**real(name), days=14, models=models).score
    assert score.skill > skill
    assert score.mae < score.naive_mae
    assert 0.65 < score.coverage < 0.92


@pytest.mark.data
@pytest.mark.parametrize("name", ["pm25_2", "no2_2"])
def test_the_air_is_forecast_better_than_by_last_week_and_than_by_yesterday(real, name):
    """Hourly concentrations with a third of the hours missing: states that drift, whose bands must still keep their promise."""
    made = backtest(**real(name), days=42, models=CHEAP)
    assert made.score.skill > 0.2
    assert abs(made.score.coverage - made.score.nominal) < 0.06
    yesterday = np.concatenate([np.full((1, 24), np.nan), made.actual[:-1]])
    both = ~np.isnan(made.actual) & ~np.isnan(yesterday)
    missed = np.abs(made.actual - made.quantiles[1])[both].mean()
    assert missed < 0.85 * np.abs(made.actual - yesterday)[both].mean()


@pytest.mark.data
def test_bands_of_counts_that_are_zero_most_nights_keep_their_promise(real):
    made = backtest(**real("charging"), days=42, models=CHEAP)
    assert made.quantiles.min() == 0
    assert made.score.nominal > 0.84  # half of its bands begin at zero and promise only their upper end
    assert abs(made.score.coverage - made.score.nominal) < 0.05


def test_each_model_alone_can_be_scored(office):
    made = backtest(*office, days=14, step_hours=1.0, tz="Asia/Ho_Chi_Minh", models=CHEAP)
    assert made.names == ("naive", "profile", "ridge")
    assert made.part(slice(None)) == made.score
    assert made.part(slice(None), "naive").mae == pytest.approx(made.score.naive_mae)
    assert made.part(slice(0, 7)).days == 7
