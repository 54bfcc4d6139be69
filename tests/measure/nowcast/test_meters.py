# SPDX-License-Identifier: Apache-2.0
"""Metered flows: what was read stands to the last digit, what is missing is bridged with an honest width."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.measure.nowcast.twins import day, flow

from mangrove.inference.state_space import ar1_paths
from mangrove.measure.nowcast.drivers import columns
from mangrove.measure.nowcast.hours import Hours
from mangrove.measure.nowcast.inputs import Daily
from mangrove.measure.nowcast.meters import metered
from mangrove.measure.timeline import microseconds
from mangrove.times import Step

UTC_ZONE = ZoneInfo("Etc/UTC")
FIRST, LENGTH, WINDOW = day(2026), 200, 60
METER = replace(flow("m", uncertainty=0.0), step=Step(seconds=3600))


def world(seed: int, hidden: slice | None, scale: float = 1.0, shift: float = 0.0):
    """Hourly values of 200 days, some of the last sixty hidden; the truth by day."""
    draw = np.random.default_rng(seed)
    level = np.exp(ar1_paths(0.8, 0.15, np.ones(LENGTH), draw.standard_normal((LENGTH, 1)))[:, 0])
    wave = 1 + 0.5 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    hours = scale * np.outer(level, wave) + shift
    truth = hours.sum(axis=1)
    if hidden is not None:
        hours = hours.copy()
        hours[hidden] = np.nan
    value = np.where(np.isnan(hours).any(axis=1), np.nan, np.nan_to_num(hours).sum(axis=1))
    daily = Daily(FIRST, value, hours, hourly=True, last=datetime(2026, 7, 19, tzinfo=UTC))
    start = microseconds(datetime(2026, 1, 1, tzinfo=UTC)) + (LENGTH - WINDOW) * 86_400_000_000
    frame = Hours.of(start, start + WINDOW * 86_400_000_000, UTC_ZONE)
    return metered(
        METER, daily, frame, columns(FIRST + np.arange(LENGTH), "Etc/UTC", LENGTH), pairs=64, seed=seed
    ), truth[-WINDOW:]


@pytest.mark.parametrize("shift", [0.0, -20.0])
def test_what_was_read_stands_in_all_samples_also_when_it_is_negative(shift):
    made, truth = world(0, None, shift=shift)
    np.testing.assert_allclose(made.mean, truth, rtol=1e-9)
    np.testing.assert_allclose(made.samples, np.tile(truth, (128, 1)), rtol=1e-9)
    assert made.missing == 0


@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_the_bands_of_bridged_days_hold_the_truth_as_often_as_they_say(shift):
    inside = []
    for seed in range(60):
        made, truth = world(seed, slice(165, 170), shift=shift)
        low, high = np.quantile(made.samples, [0.1, 0.9], axis=0)
        hidden = slice(25, 30)
        inside.append(((low < truth) & (truth < high))[hidden].mean())
        np.testing.assert_allclose(made.mean[:25], truth[:25], rtol=1e-9)
    assert abs(np.mean(inside) - 0.8) < 0.12


def test_half_a_day_is_kept_and_the_other_half_follows_the_usual_day():
    made, truth = world(1, (170, slice(12, 24)))
    at = 170 - (LENGTH - WINDOW)
    assert made.missing == 1
    hours = made.mean[at] * made.shares[at * 24 : at * 24 + 24]
    wave = 1 + 0.5 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    np.testing.assert_allclose(hours[:12], truth[at] * wave[:12] / wave.sum(), rtol=1e-9)
    assert hours.sum() == pytest.approx(truth[at], rel=0.25)
    assert np.log(made.samples[:, at]).std() < 0.15
