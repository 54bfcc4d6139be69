# SPDX-License-Identifier: Apache-2.0
"""Buses of a timetable in plans: where they drive, how many, and kilometers that are those of the timetable."""

from datetime import date

import numpy as np
import pytest
from tests.plan.traffic.streets import city
from tests.plan.traffic.timetable import SHAPES, edges, write_feed

from mangrove.errors import MangroveError
from mangrove.plan.traffic.bus_routes import with_routes
from mangrove.plan.traffic.edits import Edit, apply
from mangrove.plan.traffic.flows import assign, standing
from mangrove.plan.traffic.observe import by_transit
from mangrove.sources.gtfs_ways import Timetable

MONDAY = date(2026, 11, 16)


@pytest.fixture
def case(tmp_path):
    return city(tmp_path)


@pytest.fixture
def table(tmp_path, case):
    return Timetable(write_feed(tmp_path / "feed.zip", case.map.net))


def edited(case, kind, on=MONDAY, **values):
    return apply(case, [Edit("one", kind, values)], on)


def names(case, line):
    return [case.map.net.ids[case.map.edge[link]] for link in line.links]


def test_routes_drive_their_streets_as_often_as_the_timetable_says(case, table):
    after = edited(case, "bus_line", gtfs=table, routes=["01"])
    assert [line.id for line in after.lines] == ["01", "01"]
    assert {tuple(names(case, line)) for line in after.lines} == {
        tuple(edges(way)) for way in SHAPES.values()
    }
    assert [line.per_hour for line in after.lines] == [8.0, 8.0]  # every 450 s in the busiest hour
    both = edited(case, "bus_line", gtfs=table, routes=["R1", "02"])
    assert [line.per_hour for line in both.lines if line.id == "02"] == [1.0]


def test_a_day_has_the_buses_and_kilometers_of_its_timetable(tmp_path, table):
    hours = np.full(24, 0.5)
    hours[7:9] = 1.0
    case = city(tmp_path, hours=hours)
    after = edited(case, "bus_line", gtfs=table, routes=["01", "02"])
    runs = np.sum([line.by_hour for line in after.lines], axis=0)
    assert {hour: n for hour, n in enumerate(runs.tolist()) if n} == {7: 17.0, 8: 16.0, 16: 4.0, 0: 1.0}
    km = sum(line.by_hour.sum() * case.map.length[line.links].sum() for line in after.lines)
    assert km == pytest.approx(36 * 2.0 + 2 * 1.5)  # four and three blocks of 500 m
    # whoever knows no hours of lines still has the buses of the day
    assert sum(line.per_hour for line in after.lines) * hours.sum() == pytest.approx(38)


def test_a_lane_for_routes_that_run_already_adds_no_bus(case, table):
    today = with_routes(case, table.ways(["01"], MONDAY))
    assert standing(today).sum() == pytest.approx(8 * 8 * 10.5)
    after = edited(today, "bus_lane", gtfs=table, routes=["01"])
    assert [line.per_hour for line in after.lines] == [line.per_hour for line in today.lines]
    assert all(line.apart for line in after.lines)
    assert standing(after).sum() == 0.0
    lost = np.flatnonzero(after.map.lanes != case.map.lanes)
    assert len(lost) == 8
    assert (case.map.lanes[lost] - after.map.lanes[lost] == 1).all()


def test_where_the_street_has_one_lane_the_bus_stays_among_the_others(case, table):
    narrow = edited(case, "change_lanes", edges=["j0_0-j0_1"], lanes=1)
    after = edited(narrow, "bus_lane", gtfs=table, routes=["01"])
    shared = [line for line in after.lines if not line.apart]
    assert [names(case, line) for line in shared] == [["j0_0-j0_1"]]
    assert [note.code for note in after.notes] == ["roads.lane_in_part"]
    assert sum(case.map.length[line.links].sum() for line in after.lines) == pytest.approx(4.0)


def test_a_new_timetable_takes_the_place_of_the_old(case, table, tmp_path):
    today = with_routes(case, table.ways(["01", "02"], MONDAY))
    other = Timetable(write_feed(tmp_path / "new.zip", case.map.net, shapes=False))
    after = edited(today, "bus_line", gtfs=other, routes=["02"])
    assert sorted(line.id for line in after.lines) == ["01", "01", "02"]


def test_electric_buses_are_those_of_the_routes_named(case, table):
    today = with_routes(case, table.ways(["01", "02"], MONDAY))
    after = edited(today, "electric_buses", gtfs=table, routes=["01"], share=0.25)
    runs = {}
    for line in after.lines:
        runs[line.id, line.vehicle] = runs.get((line.id, line.vehicle), 0.0) + line.per_hour
    assert runs == {("01", "bus"): 12.0, ("01", "electric_bus"): 4.0, ("02", "bus"): 1.0}
    with pytest.raises(MangroveError) as caught:
        edited(case, "electric_buses", gtfs=table, routes=["01"], share=0.25)
    assert caught.value.code == "roads.unknown_line"


def test_trips_move_to_buses_near_their_stops(case, table):
    after = edited(case, "bus_line", gtfs=table, routes=["01"], share=0.2, radius=5.0)
    np.testing.assert_allclose(after.trips, 0.8 * case.trips)
    assert [one.id for one in after.served] == ["one"]
    assert assign(after).unserved == 0.0


def test_routes_and_days_that_there_are_not_are_refused(case, table, tmp_path):
    far = Timetable(write_feed(tmp_path / "far.zip", case.map.net, away=1.0))
    for values, on, code in (
        ({"gtfs": table, "routes": ["03"]}, MONDAY, "gtfs.unknown_route"),
        ({"gtfs": table, "routes": ["01"]}, date(2026, 11, 22), "gtfs.no_trips"),
        ({"gtfs": far, "routes": ["01"]}, MONDAY, "roads.route_far"),
        ({"gtfs": table, "routes": ["01"], "per_hour": 4}, MONDAY, "roads.which_line"),
    ):
        with pytest.raises(MangroveError) as caught:
            edited(case, "bus_line", on=on, **values)
        assert caught.value.code == code
    # a day of the timetable can be named when the plan is looked at later
    assert edited(case, "bus_line", on=date(2030, 1, 1), gtfs=table, routes=["01"], day=MONDAY).lines


def test_buses_of_a_new_line_bring_people_to_jobs(case, table):
    """Route 01 is 2 km long, between stops as the crow flies too, and takes 20 minutes; 8 buses an hour."""
    after = edited(case, "bus_line", gtfs=table, routes=["01"], radius=0.5)
    assert [(line.id, line.headway) for line in after.transit] == [("01", 7.5)] * 2
    assert [line.speed for line in after.transit] == pytest.approx([6.0, 6.0], rel=1e-2)
    far = after.transit[0].stations
    assert by_transit(after, after.transit[0]).shape == (4, 4)
    assert far.shape == (5, 2)
    assert not edited(case, "bus_line", gtfs=table, routes=["01"]).transit
