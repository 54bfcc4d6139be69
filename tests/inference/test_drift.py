# SPDX-License-Identifier: Apache-2.0
"""Alarms call as rarely as promised, soon when something changed, and about inputs that were never seen."""

import numpy as np
import pytest

from mangrove.inference.drift import alarmed, cusum, domain, threshold_for
from mangrove.inference.misses import memory


@pytest.mark.parametrize("apart", [50, 200])
def test_false_alarms_are_as_far_apart_as_promised(apart):
    values = np.random.default_rng(1).normal(size=400 * apart)
    found = len(values) / cusum(values, apart).alarm.sum()
    assert found == pytest.approx(apart, rel=0.15)


def test_the_threshold_is_that_of_the_textbook():
    # h = 5, k = 0.5: 465 values on average (Montgomery, table of Siegmund's approximation)
    assert threshold_for(465) == pytest.approx(5.0, abs=0.02)


def test_a_shift_of_one_and_a_half_deviations_is_called_within_ten_values():
    rng = np.random.default_rng(3)
    delays = []
    for _ in range(200):
        values = rng.normal(size=60) + 1.5
        delays.append(np.flatnonzero(cusum(values, 200).alarm)[0])
    assert np.mean(delays) < 7


def test_missing_values_change_nothing():
    values = np.array([1.0, 2.0, 2.0, 2.0])
    holes = np.insert(values, [1, 3], np.nan)
    assert cusum(values, 20).up.tolist() == cusum(holes, 20).up[[0, 2, 3, 5]].tolist()


def plant(rows=4000, seed=0):
    """Three inputs of which two hang together."""
    rng = np.random.default_rng(seed)
    load = 0.5 + 0.4 * np.sin(np.arange(rows) / 24 * 2 * np.pi) + rng.normal(0, 0.05, rows)
    return np.column_stack([load, 3 * load + rng.normal(0, 0.02, rows), rng.normal(20, 3, rows)])


def test_about_the_promised_share_of_honest_rows_lies_outside():
    x = plant()
    found = domain(x, np.arange(len(x)) * 10 // len(x))
    share = np.mean(found.distance(plant(seed=9)) > 1)
    assert 0.003 < share < 0.03
    assert found.false_alarms == 0


def test_a_sensor_that_contradicts_the_others_is_outside_though_its_value_is_usual():
    x = plant()
    found = domain(x, np.arange(len(x)) * 10 // len(x))
    bent = plant(seed=9)
    bent[:, 1] = np.roll(bent[:, 1], 12)  # values as seen, at the wrong hours
    assert np.mean(found.distance(bent) > 1) > 0.9


def test_an_alarm_needs_most_of_a_day():
    distance = np.zeros(100)
    distance[[10, 30, 31]] = 5.0
    assert not alarmed(distance).any()
    distance[50:75] = 5.0
    assert np.flatnonzero(alarmed(distance))[0] == 62  # 13 of the last 24
    assert not alarmed(np.full(50, np.nan)).any()


def test_a_level_that_lasts_and_one_that_fades_are_told_apart():
    rng = np.random.default_rng(7)
    days = 4000  # the mean of a fading level over D days itself varies by sqrt(2 * 3 / D)
    fading = np.zeros(days)
    for day in range(1, days):
        fading[day] = np.exp(-1 / 3) * fading[day - 1] + rng.normal(0, 2 * np.sqrt(1 - np.exp(-2 / 3)))
    missed = 1.5 + np.repeat(fading, 24) + rng.normal(0, 1, days * 24)
    found = memory(missed, np.arange(len(missed)))
    assert found.lasting == pytest.approx(1.5**2, rel=0.35)
    assert found.fading == pytest.approx(4.0, rel=0.35)
    assert 24 <= found.rows <= 5 * 24
    assert found.hours < 3


def test_white_misses_have_almost_no_level():
    missed = np.random.default_rng(2).normal(size=200 * 24)
    found = memory(missed, np.arange(len(missed)))
    assert found.level < 0.2
    assert found.hours == pytest.approx(1.0, abs=0.5)
