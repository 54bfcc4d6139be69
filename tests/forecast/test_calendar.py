"""Days and slots follow the clock on the wall."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.forecast import calendar
from mangrove.forecast.calendar import Clock
from mangrove.inference import days as days_of
from mangrove.rules import holidays

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_same_wall_time_is_the_same_slot_before_and_after_the_clock_changes():
    clock = Clock.of(1.0, BERLIN)
    noon = np.array(["2024-03-30T11", "2024-03-31T10"], dtype="datetime64[s]")
    _, slot = clock.locate(noon)
    assert slot.tolist() == [12, 12]


def test_midnight_is_where_the_local_day_begins():
    clock = Clock.of(0.25, BERLIN)
    for written in ("2024-03-31", "2024-10-27", "2024-06-01"):
        day = int(np.datetime64(written, "D").astype(int))
        found, slot = clock.locate(
            np.array([clock.midnight(day), clock.midnight(day) - np.timedelta64(1, "s")])
        )
        assert found.tolist() == [day, day - 1]
        assert slot[0] == 0


@pytest.mark.parametrize("hours", [0.0, -1.0, 0.007, 5.0, 48.0, 0.7])
def test_a_step_that_does_not_divide_a_day_is_refused(hours):
    with pytest.raises(RequestError) as error:
        Clock.of(hours, BERLIN)
    assert error.value.code == "forecast.bad_step"


def test_tet_is_a_day_off_and_the_days_around_it_say_how_near_it_is():
    off = days_of.day_numbers(holidays.days("Asia/Ho_Chi_Minh"))
    days = np.arange("2024-02-05", "2024-02-19", dtype="datetime64[D]").astype(int)
    kinds = days_of.kinds(days, off)
    assert kinds[3:10].tolist() == [days_of.CLOSED] * 7  # 8 to 14 February
    until, since = calendar.features(days, off)[:, 3], calendar.features(days, off)[:, 2]
    assert until[:4].tolist() == [3, 2, 1, 0]
    assert since[9:12].tolist() == [0, 1, 2]


def test_other_countries_have_no_vietnamese_holidays():
    assert holidays.days("Asia/Tokyo") == frozenset()
    assert len(holidays.of(2024)) == 13
    assert holidays.of(1999) == frozenset()
