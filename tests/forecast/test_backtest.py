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
