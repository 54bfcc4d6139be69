"""An operation that plans again and again is told what to expect, and nothing that it cannot know."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.forecast.outlook import Outlook

HOUR = np.timedelta64(3600, "s")


def ahead(starts, values, **options):
    return Outlook(starts[0], 3600, values, steps=24, tz="Asia/Ho_Chi_Minh", **options)


def test_the_future_of_a_series_is_read_only_when_it_is_past(office):
    starts, values = office
    changed = values.copy()
    changed[800:] = -7.0
    for at in (10, 200, 700, 800):
        told = [ahead(starts, {"load": series})(starts[at])["load"] for series in (values, changed)]
        assert told[0].shape == (1, 24)
        np.testing.assert_array_equal(*told)


def test_it_begins_with_what_was_and_becomes_better_than_that(office):
    starts, values = office
    outlook = ahead(starts, {"load": values})
    early = outlook(starts[10 * 24])["load"][0]
    np.testing.assert_array_equal(early, values[3 * 24 : 4 * 24])
    misses, naive = [], []
    for day in range(35, 55):
        told = outlook(starts[day * 24])["load"][0]
        misses.append(np.abs(told - values[day * 24 : (day + 1) * 24]).mean())
        naive.append(
            np.abs(values[(day - 7) * 24 : (day - 6) * 24] - values[day * 24 : (day + 1) * 24]).mean()
        )
    assert np.mean(misses) < 0.9 * np.mean(naive)


def test_samples_of_all_series_have_the_same_shape_also_when_one_is_too_short(office):
    starts, values = office
    short = np.full(len(values), np.nan)
    short[-100:] = 3.0
    found = ahead(starts, {"load": values, "new": short}, samples=5)(starts[-24])
    assert found["load"].shape == found["new"].shape == (5, 24)
    assert (found["new"] == 3.0).all()
    assert np.ptp(found["load"], axis=0).max() > 1


def test_time_does_not_go_back_and_stays_on_the_grid(office):
    starts, values = office
    outlook = ahead(starts, {"load": values})
    outlook(starts[800])
    with pytest.raises(RequestError, match="must not see"):
        outlook(starts[700])
    with pytest.raises(RequestError, match="whole steps"):
        outlook(starts[900] + np.timedelta64(60, "s"))
