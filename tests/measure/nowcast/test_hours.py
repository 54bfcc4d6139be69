# SPDX-License-Identifier: Apache-2.0
"""Hours of whole local days: they add up to their days, also on days of 23 and 25 hours, and follow a live index."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mangrove.measure.nowcast.drivers import Index
from mangrove.measure.nowcast.hours import Hours, even_days, within_day
from mangrove.measure.nowcast.inputs import Daily
from mangrove.measure.timeline import microseconds
from mangrove.territory.model import Driver

BERLIN, HANOI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Ho_Chi_Minh")


def spring() -> Hours:
    """From noon of 30 to noon of 31 March 2024, when the clocks of Berlin go forward."""
    first, last = (microseconds(datetime(2024, 3, day, 11, tzinfo=UTC)) for day in (30, 31))
    return Hours.of(first, last, BERLIN)


def test_the_hours_of_local_days_are_counted_by_the_clock_on_the_wall():
    hours = spring()
    assert np.bincount(hours.day).tolist() == [24, 23]
    assert hours.inside == slice(12, 36)
    assert 2 not in hours.clock[24:28]


@pytest.mark.parametrize("gpc", ["", "I.1.1", "II.1.1", "III.4.1"])
def test_shares_add_up_to_one_on_every_day(gpc):
    hours = spring()
    share = within_day(hours, gpc, (), {}, BERLIN)
    np.testing.assert_allclose(np.bincount(hours.day, weights=share), 1.0, rtol=1e-12)


def live(table: np.ndarray, first: int) -> dict[str, Index]:
    daily = Daily(first, table.mean(axis=1), table, hourly=True, last=datetime(2026, 1, 1, tzinfo=UTC))
    zero = np.zeros(1)
    return {"i": Index("i", zero, zero, 0.5, 0.0, (0, 1), whole=True, daily=daily)}


def test_an_hourly_index_gives_the_days_their_shape_and_a_thin_day_is_as_usual():
    first, last = (microseconds(datetime(2026, 1, day, 17, tzinfo=UTC)) for day in (1, 3))
    hours = Hours.of(first, last, HANOI)
    table = np.tile(np.arange(1.0, 25.0), (2, 1))
    table[1, 3:] = np.nan
    made = within_day(hours, "II.1.1", (Driver("x", "i", 0.5),), live(table, int(hours.days[0])), HANOI)
    shape = np.sqrt(np.arange(1.0, 25.0)) / np.sqrt(np.arange(1.0, 25.0)).sum()
    np.testing.assert_allclose(made, np.tile(shape, 2))


def test_an_index_that_never_had_a_whole_day_gives_no_shape():
    first, last = (microseconds(datetime(2026, 1, day, 17, tzinfo=UTC)) for day in (1, 2))
    hours = Hours.of(first, last, HANOI)
    table = np.full((1, 24), np.nan)
    table[0, :20] = 1.0
    made = within_day(hours, "II.1.1", (Driver("x", "i", 1.0),), live(table, int(hours.days[0])), HANOI)
    np.testing.assert_allclose(made, within_day(hours, "II.1.1", (), {}, HANOI))


def test_a_missing_hour_of_a_known_day_is_as_on_the_usual_day():
    first, last = (microseconds(datetime(2026, 1, day, 17, tzinfo=UTC)) for day in (1, 3))
    hours = Hours.of(first, last, HANOI)
    table = np.tile(np.arange(1.0, 25.0), (2, 1))
    table[1] *= 3
    table[1, 5] = np.nan
    made = within_day(hours, "II.1.1", (Driver("x", "i", 1.0),), live(table, int(hours.days[0])), HANOI)
    np.testing.assert_allclose(made[24:], made[:24], rtol=1e-12)


def test_the_calendar_alone_has_mean_one_over_a_year_and_quiet_sundays_for_roads():
    first, last = (microseconds(datetime(year, 12, 31, 17, tzinfo=UTC)) for year in (2024, 2025))
    hours = Hours.of(first, last, HANOI)
    days = even_days(hours, "II.1.1", HANOI)
    assert np.exp(days).mean() == pytest.approx(1.0, abs=1e-9)
    sunday = (hours.days + 3) % 7 == 6
    assert days[sunday].max() < days[~sunday].min() + 1e-12
