"""Features use only the days before the day that they describe."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mangrove.forecast import features

NO_DAYS = np.empty(0, dtype=np.int64)


def build(values, days, first=100):
    return features.build(values, first, np.asarray(days), NO_DAYS)


@given(day=st.integers(130, 159), seed=st.integers(0, 99))
def test_nothing_on_or_after_a_day_changes_its_features(day, seed):
    values = np.random.default_rng(seed).normal(size=(60, 24))
    before = build(values, [day])
    changed = values.copy()
    changed[day - 100 :] = -999.0
    after = build(changed, [day])
    np.testing.assert_array_equal(before.lags, after.lags)
    np.testing.assert_array_equal(before.calendar, after.calendar)


def test_lags_are_the_same_slot_of_earlier_days():
    values = np.arange(60 * 24, dtype=float).reshape(60, 24)
    frame = build(values, [140])
    for lag in features.LAGS:
        np.testing.assert_array_equal(frame.lags[0, :, features.NAMES.index(f"lag_{lag}")], values[40 - lag])


def test_a_day_behind_the_table_can_be_described():
    values = np.ones((40, 24))
    frame = build(values, [140])
    assert np.isnan(frame.target).all()
    assert np.isfinite(frame.lags).all()


def test_a_missing_value_is_stood_in_for_by_earlier_weeks_and_is_never_zero():
    values = np.full((40, 24), 5.0)
    values[39] = np.nan
    frame = build(values, [140])
    assert (frame.lags[0, :, : -features.DAILY][:, [0, 4, 5, 6, 7, 8]] == 5.0).all()
    assert np.isnan(build(values, [139]).target).sum() == 24
    nothing = features.fill(build(np.full((40, 24), np.nan), [140]).lags)
    assert np.isnan(nothing).all()


def test_like_days_leave_out_the_weekend():
    values = np.ones((42, 24))
    days = np.arange(100, 142)
    values[(days + 3) % 7 > 4] = 0.0
    monday = int(days[(days + 3) % 7 == 0][-1])
    frame = build(values, [monday])
    np.testing.assert_array_equal(frame.lags[0, :, features.NAMES.index("alike_mean")], 1.0)
