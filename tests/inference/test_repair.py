# SPDX-License-Identifier: Apache-2.0
"""Repair estimates short gaps, says how, and leaves long ones open."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.inference.repair import fill
from mangrove.inference.series import DAY, SECOND, Series
from mangrove.ledger.types import Quality

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
QUARTER = 900 * SECOND
MIDNIGHT = 1_704_042_000 * SECOND  # 2024-01-01 00:00 in Ha Noi


def week_pattern(days: int = 56, noise: float = 0.0) -> Series:
    """A load with a weekly pattern by the hour, and noise."""
    start = MIDNIGHT + np.arange(days * 96) * QUARTER
    hour = (start - MIDNIGHT) // (4 * QUARTER) % 168
    value = 50 + 30 * np.sin(hour / 24 * 2 * np.pi) + 10 * (hour < 120)
    value = value * np.random.default_rng(3).normal(1, noise, len(start)) if noise else value
    return Series(start, value, np.zeros(len(start), np.uint8))


def without(series: Series, first: int, last: int) -> Series:
    keep = np.ones(len(series), dtype=bool)
    keep[first:last] = False
    return series.pick(keep)


def test_up_to_two_hours_a_line_joins_the_neighbors():
    start = MIDNIGHT + np.arange(20) * QUARTER
    series = without(Series(start, np.arange(20.0), np.zeros(20, np.uint8)), 5, 13)
    found = fill(series, QUARTER, HANOI)
    assert found.series.value.tolist() == pytest.approx(list(range(5, 13)))
    assert set(found.method) == {"linear"}
    assert set(found.series.quality.tolist()) == {Quality.FILLED}


def test_up_to_two_days_the_usual_week_is_scaled_to_the_level_around_the_gap():
    series = week_pattern()
    scaled = Series(
        series.start, np.where(series.start >= MIDNIGHT + 38 * DAY, 1.5, 1.0) * series.value, series.quality
    )
    first, last = 40 * 96, 42 * 96
    found = fill(without(scaled, first, last), QUARTER, HANOI)
    assert set(found.method) == {"profile"}
    assert found.series.value == pytest.approx(scaled.value[first:last], rel=0.02)


def test_longer_gaps_and_open_ends_stay():
    series = week_pattern()
    found = fill(without(series, 40 * 96, 42 * 96 + 1), QUARTER, HANOI)
    assert not len(found.series)
    assert found.left == ((MIDNIGHT + 40 * DAY, MIDNIGHT + 42 * DAY + QUARTER),)
    quality = series.quality.copy()
    quality[:4] = quality[-4:] = Quality.MISSING
    ends = fill(Series(series.start, series.value, quality), QUARTER, HANOI)
    assert not len(ends.series)
    assert len(ends.left) == 2


def test_flagged_values_are_estimated_anew_but_device_states_and_shifted_clocks_are_not():
    series = week_pattern()
    quality = series.quality.copy()
    for place, code in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9)):
        quality[1000 + 10 * place] = code
    value = series.value.copy()
    value[quality > 0] = 9e9
    value[quality == Quality.MISSING] = np.nan
    found = fill(Series(series.start, value, quality), QUARTER, HANOI)
    at = ((found.series.start - MIDNIGHT) // QUARTER).tolist()
    assert at == [1020, 1030, 1040, 1080]
    assert found.series.value == pytest.approx(series.value[at], rel=0.2)


def test_only_gaps_in_the_asked_span_are_filled():
    series = without(without(week_pattern(), 3000, 3004), 1000, 1004)
    found = fill(series, QUARTER, HANOI, low=MIDNIGHT + 2000 * QUARTER)
    assert len(found.series) == 4
    assert int(found.series.start[0]) == MIDNIGHT + 3000 * QUARTER


@settings(max_examples=40, deadline=None)
@given(st.integers(10 * 96, 50 * 96), st.integers(1, 192))
def test_estimates_stay_within_what_the_meter_has_shown(first, length):
    series = week_pattern(noise=0.05)
    found = fill(without(series, first, first + length), QUARTER, HANOI)
    assert len(found.series) == length
    assert found.series.value.min() > 0.5 * series.value.min()
    assert found.series.value.max() < 1.5 * series.value.max()


@pytest.mark.data
def test_estimates_of_real_gaps_are_better_than_the_mean_of_the_day_before(data_dir):
    lines = (
        (data_dir / "load" / "uci_steel_industry_2018_15min.csv").read_text(encoding="utf-8-sig").splitlines()
    )
    value = np.array([float(line.split(",")[1]) for line in lines[1:]])
    start = 1_514_732_400 * SECOND + np.arange(len(value)) * QUARTER
    series = Series(start, value, np.zeros(len(value), np.uint8))
    ours, naive = [], []
    for first in range(60 * 96, 330 * 96, 1237):
        window = slice(first - 56 * 96, first + 30 * 96)
        found = fill(
            without(series, first, first + 96).pick(np.arange(window.start, window.stop - 96)),
            QUARTER,
            ZoneInfo("Asia/Seoul"),
        )
        truth = value[first : first + 96]
        ours.append(np.abs(found.series.value - truth).mean())
        naive.append(np.abs(value[first - 96 : first].mean() - truth).mean())
    assert np.mean(ours) < 0.8 * np.mean(naive)
