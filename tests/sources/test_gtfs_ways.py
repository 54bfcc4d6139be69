# SPDX-License-Identifier: Apache-2.0
"""Routes of a timetable as ways: buses counted by hand for each hour of a day, and routes and days that there are not."""

from datetime import date

import numpy as np
import pytest
from tests.sources.feeds import FEED, feed

from mangrove.errors import SourceError
from mangrove.sources.gtfs_ways import Timetable

MONDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 22)


def test_buses_are_counted_in_the_hour_in_which_they_set_out(tmp_path):
    table = Timetable(feed(tmp_path))
    ways = table.ways(["01"], MONDAY)
    assert [way.route for way in ways] == ["01", "01"]  # the night bus calls at other stops
    hours = np.sum([way.by_hour for way in ways], axis=0)
    assert {hour: runs for hour, runs in enumerate(hours.tolist()) if runs} == {7: 1.0, 23: 1.0}
    (metro,) = table.ways(["M1"], MONDAY)
    assert metro.by_hour[6] == metro.by_hour.sum() == 6, "every ten minutes; the template itself does not run"


def test_shapes_are_lines_and_stops_stand_in_for_them(tmp_path):
    table = Timetable(feed(tmp_path))
    (bend,) = table.ways(["R2"], SUNDAY)
    assert (bend.route, bend.shaped) == ("02", True)
    assert bend.points.tolist() == [[106.0, 0.0], [106.0, 0.01], [106.02, 0.01], [106.02, 0.0]]
    assert bend.stops.tolist() == [[106.0, 0.0], [106.02, 0.0]]
    plain = table.ways(["R1"], MONDAY)[0]
    assert not plain.shaped
    assert plain.points.tolist() == plain.stops.tolist()


def test_without_names_all_buses_run_and_without_a_day_the_busiest(tmp_path):
    table = Timetable(feed(tmp_path))
    assert {way.route for way in table.ways()} == {"01", "02"}
    assert {way.route for way in table.ways((), SUNDAY)} == {"02"}


@pytest.mark.parametrize(
    ("changes", "routes", "day", "code"),
    [
        ({}, ["O1"], MONDAY, "gtfs.unknown_route"),
        ({}, ["01"], SUNDAY, "gtfs.no_trips"),
        ({}, ["02"], date(2030, 1, 1), "gtfs.no_trips"),
        ({}, [], date(2030, 1, 1), "gtfs.no_trips"),
        (
            {"routes": FEED["routes"].replace(",3\n", ",1\n").replace(",700\n", ",1\n")},
            [],
            MONDAY,
            "gtfs.no_bus",
        ),
        ({"stops": None}, ["01"], MONDAY, "gtfs.missing_file"),
    ],
)
def test_what_a_feed_has_not_is_named(tmp_path, changes, routes, day, code):
    with pytest.raises(SourceError) as caught:
        Timetable(feed(tmp_path, **changes)).ways(routes, day)
    assert caught.value.code == code
    if code == "gtfs.unknown_route":
        assert "01" in caught.value.problem.text("en")
    if code == "gtfs.no_trips":
        assert "2026-11-30" in caught.value.problem.text("vi")
