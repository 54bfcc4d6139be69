# SPDX-License-Identifier: Apache-2.0
"""The carbon of the grid ahead: nothing leaks from the future, bands cover, and the real grid is forecast better than by yesterday."""

import csv
from datetime import date

import numpy as np
import pytest

from mangrove.errors import DataQualityError, RequestError
from mangrove.forecast.grid_carbon import LEVELS, forecast_days, hourly, walk
from mangrove.forecast.grid_features import DailyMix, describe, trailing

ZONE = "Asia/Ho_Chi_Minh"


def grid(days=320, seed=4, noise=0.02, weekly=0.08):
    """A grid whose coal follows the week and a level that wanders; made up."""
    rng = np.random.default_rng(seed)
    first = date(2023, 1, 2)
    level = np.cumsum(rng.normal(0, noise, days)) * 0.5 + rng.normal(0, noise / 4, days)
    sunday = np.arange(days) % 7 == 6
    coal = 400 * np.exp(level) * np.where(sunday, 1 - weekly, 1.0)
    energy = {
        "hydro": np.full(days, 250.0),
        "coal": coal,
        "gas": np.full(days, 60.0),
        "oil": np.zeros(days),
        "wind": np.full(days, 30.0),
        "solar": np.full(days, 70.0),
    }
    whole = sum(energy.values())
    return DailyMix(first, energy, (0.95 * coal + 0.4 * 60) / whole, ZONE)


def cut(mix, days):
    return DailyMix(mix.first, {k: v[:days] for k, v in mix.energy.items()}, mix.intensity[:days], mix.zone)


def test_what_comes_later_does_not_change_an_earlier_forecast():
    mix = grid(230)
    whole, part = walk(mix, 3), walk(cut(mix, 200), 3)
    np.testing.assert_array_equal(whole.median[:200], part.median)
    np.testing.assert_array_equal(whole.quantiles[:, :200], part.quantiles)


def test_the_columns_of_an_origin_hold_nothing_of_later_days():
    mix = grid(100)
    for lead in (1, 7):
        np.testing.assert_array_equal(describe(mix, lead)[:80], describe(cut(mix, 80), lead))


def test_a_week_that_repeats_is_found_out():
    mix = grid(noise=0.002)
    found = walk(mix, 7)
    ours, naive = found.errors(np.arange(320) > 150)
    assert ours[0] < 0.5 * naive[0]
    assert ours[4] < 0.6 * naive[4]


def test_bands_cover_what_they_promise():
    found = walk(grid(700), 2)
    after = np.arange(700) > 200
    assert 0.75 < found.covered(1, 3, after).mean() < 0.85
    assert 0.92 < found.covered(0, 4, after).mean() < 0.98


def test_days_that_were_not_published_are_no_zeros():
    mix = grid(260)
    holes = mix.intensity.copy()
    holes[[150, 151, 200]] = np.nan
    found = walk(DailyMix(mix.first, mix.energy, holes, ZONE), 2)
    assert np.isnan(found.median[[150, 151, 200]]).all()
    assert np.isfinite(found.median[152:200]).all()
    assert np.isnan(found.truth[149, 0])


def test_the_forecast_begins_after_the_last_published_day():
    mix = grid(300)
    open_end = np.append(mix.intensity[:290], np.full(10, np.nan))
    found = forecast_days(DailyMix(mix.first, mix.energy, open_end, ZONE), 3)
    assert found.origin == date(2023, 10, 18)
    assert [day.day for day in found.days] == [19, 20, 21]
    assert found.quantiles.shape == (len(LEVELS), 3)
    assert (np.diff(found.quantiles, axis=0) >= 0).all()
    width = found.quantiles[-1] - found.quantiles[0]
    assert width[2] > width[0]


def test_too_short_a_past_and_too_long_a_future_are_refused():
    with pytest.raises(DataQualityError, match="119"):
        forecast_days(grid(119))
    with pytest.raises(RequestError, match="8"):
        forecast_days(grid(200), 8)


def test_hours_follow_the_course_of_past_days_and_their_bands_hold_the_day():
    mix = grid(200)
    found = forecast_days(mix, 2)
    course = 1 + 0.2 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    daily = mix.intensity[-40:]
    by_hour = hourly(found, daily[:, None] * course, daily, ZONE)
    np.testing.assert_allclose(by_hour[2], found.median[:, None] * course, rtol=1e-6)
    # a course that never varies leaves the relative width of the day
    np.testing.assert_allclose(
        by_hour[3] / by_hour[2], (found.quantiles[3] / found.median)[:, None] + 0 * course, rtol=2e-3
    )
    with pytest.raises(DataQualityError):
        hourly(found, np.full((40, 24), np.nan), daily, ZONE)


def test_a_trailing_mean_leaves_holes_out():
    values = np.array([1.0, np.nan, 3.0, 5.0])
    np.testing.assert_array_equal(trailing(values, 2, 1), [1.0, 1.0, 3.0, 4.0])
    np.testing.assert_array_equal(trailing(values, 3, 2), [np.nan, np.nan, 2.0, 4.0])


@pytest.mark.data
def test_the_real_grid_is_forecast_better_than_by_the_last_known_day(data_dir):
    path = data_dir / "grid" / "vn_daily_mix_clean_2022_2025.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    at = np.array([row["date"] for row in rows], dtype="datetime64[D]").astype(np.int64)
    at -= at[0]

    def column(name):
        found = np.full(at[-1] + 1, np.nan)
        found[at] = [float(row[name]) for row in rows]
        return found

    names = ("hydro", "coal", "gas", "oil", "wind", "solar", "imp", "oth")
    mix = DailyMix(date(2022, 1, 1), {name: column(name) for name in names}, column("ci"), ZONE)
    found = walk(mix, 1, since=900)
    ours, naive = found.errors(np.arange(len(found.naive)) >= 950)
    assert ours[0] < 0.92 * naive[0]
    assert ours[0] < 0.031
