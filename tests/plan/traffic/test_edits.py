# SPDX-License-Identifier: Apache-2.0
"""Edits of streets and trips: what each does to flows, what stays, and what is refused by name."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.plan.traffic.streets import city
from tests.traffic.small_net import PROGRAM

from mangrove.errors import MangroveError
from mangrove.plan.traffic.case import Case
from mangrove.plan.traffic.edits import KINDS, Edit, apply, through_day
from mangrove.plan.traffic.flows import assign, standing
from mangrove.traffic.equilibrium import user_equilibrium


@pytest.fixture
def case(tmp_path):
    return city(tmp_path)


def edited(case, kind, **values):
    return apply(case, [Edit("one", kind, values)])


def balance(case, flows):
    """(N,) motorcycle units that end at a node, net."""
    roads = case.map.roads
    own = flows.flow - standing(case)
    return np.bincount(roads.head, own, roads.nodes) - np.bincount(roads.tail, own, roads.nodes)


def wanted(case):
    trips = case.trips - np.diag(np.diag(case.trips))
    found = np.zeros(case.map.roads.nodes)
    found[: len(trips)] = trips.sum(axis=0) - trips.sum(axis=1)
    return found


EVERY = {
    "add_road": {"points": [[106.6845, 10.7722], [106.6935, 10.7812]], "lanes": 2},
    "change_lanes": {"edges": ["j1_1-j1_2"], "lanes": 4},
    "toll": {"zones": ["z00"], "amount": 10_000.0, "value_of_time": 30_000.0, "classes": ["car"]},
    "bus_lane": {"edges": ["j0_0-j0_1", "j0_1-j0_2"], "per_hour": 20, "share": 0.1, "radius": 0.5},
    "bus_line": {"points": [[106.6845, 10.7722], [106.6935, 10.7812]], "per_hour": 12, "share": 0.1, "radius": 0.5},
    "transit_line": {"stations": [[106.6845, 10.7722], [106.6935, 10.7812]], "share": 0.3, "radius": 0.6},
    "low_emission_zone": {"zones": ["z00"], "classes": ["motorbike"], "into": "electric_motorbike", "switch": 0.4, "leave": 0.1},
    "electrify": {"class": "motorbike", "into": "electric_motorbike", "share": 0.5},
    "develop": {"zones": ["z01"], "population": 0.3, "jobs": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("kind", EVERY)
def test_every_trip_that_is_left_arrives(case, kind):
    after = edited(case, kind, **EVERY[kind])
    flows = assign(after)
    assert flows.unserved == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(balance(after, flows), wanted(after), atol=1e-5 * after.trips.sum())
    # vehicles by class are the same flow in other units
    np.testing.assert_allclose(
        flows.vehicles @ after.units, flows.flow - standing(after), rtol=1e-6, atol=1e-6
    )
    assert flows.gap <= 1e-4


def test_all_kinds_are_tried_here_or_below():
    assert {*EVERY, "signal_plan", "electric_buses"} == set(KINDS)


def test_two_groups_reach_the_equilibrium_of_all(case):
    # A toll of nothing for cars splits the streams but changes no cost: flows must be those of one group.
    after = edited(case, "toll", zones=["z00"], amount=1e-6, value_of_time=30_000.0, classes=["car"])
    assert len(after.streams) == 2
    one, two = assign(case, gap=1e-6), assign(after, gap=1e-6)
    total = one.flow @ one.minutes
    assert two.flow @ two.minutes == pytest.approx(total, rel=2e-4)
    assert case.map.roads.potential(two.flow) == pytest.approx(case.map.roads.potential(one.flow), rel=1e-5)


def test_streams_of_a_group_share_its_paths(case):
    whole = assign(case)
    stream = case.streams[0]
    part = replace(
        case, streams=(replace(stream, trips=0.3 * stream.trips), replace(stream, trips=0.7 * stream.trips))
    )
    np.testing.assert_allclose(assign(part).vehicles, whole.vehicles, rtol=1e-6, atol=1e-6)


def test_a_toll_drives_traffic_away_and_only_those_who_pay(case):
    edges = ["j1_1-j1_2"]
    link = case.map.links_of(np.array([case.map.net.number[edges[0]]]))[0]
    before, after = (
        assign(case),
        assign(edited(case, "toll", edges=edges, amount=20_000.0, value_of_time=30_000.0)),
    )
    assert after.flow[link] < 0.5 * before.flow[link]
    cars = assign(edited(case, "toll", edges=edges, amount=20_000.0, value_of_time=30_000.0, classes=["car"]))
    bike, car = case.number("motorbike"), case.number("car")
    assert cars.vehicles[link, car] < 0.5 * before.vehicles[link, car]
    assert cars.vehicles[link, bike] > before.vehicles[link, bike]


def test_through_traffic_of_banned_vehicles_leaves_the_zone(case):
    after = edited(
        case, "low_emission_zone", zones=["z00"], classes=["motorbike"], into="electric_motorbike", switch=1.0
    )
    flows, road = assign(after), case.map
    inside = (road.zone == 0) & (road.edge >= 0)
    assert flows.vehicles[inside][:, case.number("motorbike")].sum() == pytest.approx(0.0, abs=1e-9)
    assert flows.vehicles[inside][:, case.number("electric_motorbike")].sum() > 0
    assert after.trips.sum() == pytest.approx(case.trips.sum())


def test_a_metro_takes_its_share_between_its_stations_and_nothing_else(case):
    stations = case.map.centers[[0, 3]]
    after = edited(case, "transit_line", stations=stations, share=0.25, radius=5.0)
    np.testing.assert_allclose(after.trips, 0.75 * case.trips)
    near = edited(case, "transit_line", stations=stations, share=0.25, radius=0.2)
    ratio = near.trips[~np.eye(4, dtype=bool)] / case.trips[~np.eye(4, dtype=bool)]
    assert ratio.max() == 1.0  # wards without a station
    assert 0.75 < ratio.min() < 1.0  # 0.2 km is a small part of a ward


def test_electric_motorbikes_take_the_same_room(case):
    after = edited(case, "electrify", **EVERY["electrify"])
    assert after.trips.sum() == pytest.approx(case.trips.sum())
    assert after.streams[0].shares[case.number("motorbike")] == pytest.approx(0.435)
    np.testing.assert_allclose(assign(after).flow, assign(case).flow, rtol=1e-9)


def test_braess_a_new_road_can_slow_everybody():
    from tests.traffic.roadways import trips_of
    from tests.traffic.test_equilibrium import braess

    slow, fast = (
        user_equilibrium(braess(shortcut=s), trips_of(2, (0, 1, 6.0)), gap=1e-8, method="bush").total
        for s in (True, False)
    )
    assert slow > fast


def test_a_new_road_joins_the_junctions_at_its_ends(case):
    road = case.map
    points = road.net.lonlat[[road.net.junctions.index("j1_1"), road.net.junctions.index("j2_2")]]
    after = edited(case, "add_road", points=points, lanes=4, speed=60.0)
    assert len(after.map.roads) == len(road.roads) + 2
    assert after.map.length[-1] == pytest.approx(0.5 * np.sqrt(2), rel=0.01)
    flows = assign(after)
    assert flows.flow[-2:].max() > 0
    assert flows.flow @ flows.minutes < assign(case).flow @ assign(case).minutes


def test_lanes_that_are_taken_away_close_a_street(case):
    edges = ["j1_1-j1_2", "j1_2-j1_1"]
    flows = assign(edited(case, "change_lanes", edges=edges, lanes=0))
    links = case.map.links_of(np.array([case.map.net.number[e] for e in edges]))
    assert flows.flow[links].tolist() == [0.0, 0.0]
    assert flows.unserved == pytest.approx(0.0, abs=1e-9)


def test_a_bus_lane_takes_capacity_and_frees_the_bus(case):
    values = EVERY["bus_lane"]
    apart, mixed = edited(case, "bus_lane", **values), edited(case, "bus_lane", **values, lane=False)
    links = apart.lines[0].links
    assert (apart.map.lanes[links] == case.map.lanes[links] - 1).all()
    assert (mixed.map.lanes == case.map.lanes).all()
    assert standing(apart).sum() == 0.0
    assert standing(mixed)[links].tolist() == [210.0, 210.0]  # 20 buses of 10.5 units
    narrow = edited(case, "change_lanes", edges=values["edges"], lanes=1)
    with pytest.raises(MangroveError) as caught:
        edited(narrow, "bus_lane", edges=values["edges"], per_hour=5)
    assert caught.value.code == "roads.no_lane_left"


def test_lines_share_a_lane(case):
    edges = EVERY["bus_lane"]["edges"]
    one = edited(case, "bus_lane", edges=edges, per_hour=20)
    both = edited(one, "bus_lane", edges=edges[:1], per_hour=5)
    assert (both.map.lanes == one.map.lanes).all()
    assert [line.per_hour for line in both.lines] == [20.0, 5.0]


def test_a_drawn_line_follows_the_streets(case):
    net = case.map.net
    points = net.lonlat[[net.junctions.index(j) for j in ("j0_0", "j0_2", "j2_2")]]
    after = edited(case, "bus_lane", points=points, per_hour=10)
    named = [net.ids[case.map.edge[link]] for link in after.lines[0].links]
    assert named[:2] == ["j0_0-j0_1", "j0_1-j0_2"]
    assert named[2:] == ["j0_2-j1_2", "j1_2-j2_2"]


def test_electric_buses_replace_buses(case):
    with_bus = edited(case, "bus_lane", edges=["j0_0-j0_1"], per_hour=20)
    half = apply(with_bus, [Edit("e", "electric_buses", {"lines": "all", "share": 0.5})])
    assert [(line.vehicle, line.per_hour) for line in half.lines] == [("bus", 10.0), ("electric_bus", 10.0)]


def test_electric_buses_come_after_the_lines_that_they_name(case):
    edits = [
        Edit("a", "electric_buses", {"lines": ["b"], "share": 0.5}),
        Edit("b", "bus_line", {"edges": ["j0_0-j0_1"], "per_hour": 20}),
    ]
    assert [line.per_hour for line in apply(case, edits).lines] == [10.0, 10.0]


def test_a_signal_plan_changes_capacity_as_its_greens_do(case, tmp_path):
    path = tmp_path / "plan.add.xml"
    greens = [60, 5, 20, 5]
    phases = "".join(
        f'<phase duration="{d}" state="{s}"/>' for (s, _), d in zip(PROGRAM, greens, strict=True)
    )
    path.write_text(
        f'<additional><tlLogic id="j2_2" type="static" programID="1" offset="0">{phases}</tlLogic></additional>'
    )
    after = edited(case, "signal_plan", file=path)
    held = case.map.cycle > 0
    ratio = sorted((after.map.roads.capacity / case.map.roads.capacity)[held].round(6))
    assert ratio == pytest.approx([20 / 40] * 2 + [60 / 40] * 2)
    np.testing.assert_allclose(after.map.roads.capacity[~held], case.map.roads.capacity[~held])


def test_development_moves_people_jobs_and_trips(case):
    after = edited(case, "develop", zones=["z01"], population=0.3, jobs=0.5)
    at = case.zone("z01")
    assert after.population[at] == pytest.approx(1.3 * case.population[at])
    assert after.jobs[at] == pytest.approx(1.5 * case.jobs[at])
    assert after.trips[at].sum() > case.trips[at].sum()
    assert after.trips.sum() > case.trips.sum()


def test_edits_hold_between_their_days(case):
    edit = Edit("e", "electrify", EVERY["electrify"], first=date(2027, 1, 1), last=date(2030, 1, 1))
    shares = [apply(case, [edit], on=date(y, 6, 1)).streams[0].shares[0] for y in (2026, 2028, 2030)]
    assert shares == pytest.approx([0.87, 0.435, 0.87])


@pytest.mark.parametrize(
    ("kind", "values", "code"),
    [
        ("monorail", {}, "roads.unknown_edit"),
        ("toll", {"amount": 1.0}, "roads.edit_key"),
        ("electrify", {**EVERY["electrify"], "lanes": 2}, "roads.edit_key"),
        ("electrify", {**EVERY["electrify"], "share": 1.5}, "roads.bad_value"),
        ("electrify", {**EVERY["electrify"], "into": "horse"}, "roads.unknown_class"),
        ("electrify", {**EVERY["electrify"], "into": EVERY["electrify"]["class"]}, "roads.bad_value"),
        ("toll", {"amount": 1.0, "value_of_time": 1.0}, "roads.edges_or_zones"),
        ("toll", {"amount": -1.0, "value_of_time": 1.0, "zones": ["z00"]}, "roads.bad_value"),
        ("toll", {"amount": 1.0, "value_of_time": 1.0, "zones": ["z99"]}, "roads.unknown_zone"),
        ("change_lanes", {"edges": ["nowhere"], "lanes": 2}, "roads.unknown_edge"),
        ("low_emission_zone", {"zones": ["z00"], "classes": ["car"], "switch": 0.5}, "roads.no_into"),
        ("add_road", {"points": [[106.7, 10.7]], "lanes": 2}, "roads.bad_points"),
        ("add_road", {"points": [[106.6845, 10.7722], [106.6845, 10.7722]], "lanes": 2}, "roads.same_junction"),
        ("develop", {"zones": ["z00"], "population": -1.5}, "roads.bad_value"),
        ("electric_buses", {"lines": ["x"], "share": 0.5}, "roads.unknown_line"),
        ("bus_lane", {"edges": ["j0_0-j0_1"], "per_hour": 5, "share": 0.1}, "roads.no_radius"),
        ("bus_lane", {"edges": ["j0_0-j0_1"]}, "roads.which_line"),
        ("bus_line", {"per_hour": 5}, "roads.which_line"),
        ("bus_line", {"edges": ["j0_0-j0_1"], "per_hour": float("nan")}, "roads.bad_value"),
        ("electric_buses", {"share": 0.5}, "roads.lines_or_gtfs"),
        ("bus_line", {"edges": ["j0_0-j0_1"], "per_hour": 1e300}, "roads.bad_value"),
        ("change_lanes", {"edges": ["j0_0-j0_1"], "lanes": 1_000_000_000_000}, "roads.bad_value"),
        ("change_lanes", {"edges": ["j0_0-j0_1"], "lanes": -1}, "roads.bad_value"),
        ("change_lanes", {"edges": ["j0_0-j0_1"], "lanes": 1.5}, "roads.bad_value"),
        ("change_lanes", {"edges": ["j0_0-j0_1", "j0_0-j0_1"], "lanes": 1}, "roads.twice"),
        ("low_emission_zone", {"zones": ["z00", "z00"], "classes": ["car"]}, "roads.twice"),
        ("low_emission_zone", {"zones": ["z00"], "classes": ["car"], "leave": float("nan")}, "roads.bad_value"),
        ("low_emission_zone", {**EVERY["low_emission_zone"], "classes": ["motorbike", "electric_motorbike"]}, "roads.bad_value"),
        ("toll", {"amount": float("inf"), "value_of_time": 1.0, "zones": ["z00"]}, "roads.bad_value"),
        ("add_road", {"points": [[106.6845, 10.7722], [107.5, 10.7812]], "lanes": 2}, "roads.point_far"),
        ("add_road", {"points": [[106.6845, 10.7722], [float("nan"), 10.7812]], "lanes": 2}, "roads.bad_points"),
        ("add_road", {"points": [[106.6845, 10.7722], [106.6935]], "lanes": 2}, "roads.bad_points"),
        ("add_road", {"points": [[106.6845, 10.7722], [106.6935, 10.7812]], "lanes": 2, "length": 0.5}, "roads.too_short"),
        ("develop", {"zones": ["z00"], "jobs": float("nan")}, "roads.bad_value"),
        ("develop", {"zones": ["z00"], "jobs": 0.1, "share": 0.3}, "roads.near_share"),
        ("develop", {"zones": ["z00"], "jobs": 0.1, "share": 0.3, "near": "metro"}, "roads.unknown_near"),
    ],
)  # fmt: skip
def test_edits_that_cannot_be_are_refused_by_name(case, kind, values, code):
    assert isinstance(case, Case)
    with pytest.raises(MangroveError) as caught:
        edited(case, kind, **values)
    assert caught.value.code == code
    assert caught.value.problem.text("vi") != caught.value.problem.text("en")


def test_edits_that_contradict_each_other_are_refused(case):
    lanes = {"edges": ["j0_0-j0_1"], "lanes": 1}
    first = Edit("a", "change_lanes", lanes, first=date(2027, 1, 1))
    for other, code in (
        (Edit("a", "change_lanes", {**lanes, "edges": ["j1_1-j1_2"]}), "roads.edit_twice"),
        (Edit("b", "change_lanes", lanes), "roads.edits_overlap"),
        (Edit("b", "toll", {}, first=date(2028, 1, 1), last=date(2028, 1, 1)), "roads.dates_reversed"),
    ):
        with pytest.raises(MangroveError) as caught:
            apply(case, [first, other])
        assert caught.value.code == code
    # one after the other, and by turns, they are fine
    apply(case, [first, Edit("b", "change_lanes", lanes, last=date(2027, 1, 1))], on=date(2028, 1, 1))
    hours = tuple(hour < 12 for hour in range(24))
    morning, later = (
        replace(first, hours=hours),
        Edit("b", "change_lanes", lanes, hours=tuple(not h for h in hours)),
    )
    apply(case, [morning, later], hour=3)


def test_an_edit_of_workdays_does_not_hold_on_sunday():
    edit = Edit("e", "electrify", EVERY["electrify"], days=frozenset(range(5)))
    assert edit.holds(date(2026, 11, 20))  # a Friday
    assert not edit.holds(date(2026, 11, 22))
    assert edit.holds(None)


def test_parts_of_a_day_have_their_own_edits(tmp_path):
    case = city(tmp_path, hours=np.ones(24))
    morning, evening = (tuple(hour in hours for hour in range(24)) for hours in (range(6, 10), range(16, 20)))
    road_toll = {"zones": ["z00"], "amount": 10_000.0, "value_of_time": 30_000.0}
    zone = EVERY["low_emission_zone"]
    edits = [
        Edit("toll", "toll", road_toll, hours=tuple(a or b for a, b in zip(morning, evening, strict=True))),
        Edit("zone", "low_emission_zone", zone, hours=evening),
        Edit("fleet", "electrify", EVERY["electrify"]),
    ]
    parts = through_day(case, edits)
    assert sorted(np.concatenate([part.hours for part in parts]).tolist()) == list(range(24))
    for part in parts:
        hour = int(part.hours[0])
        tolled = any(stream.toll is not None for stream in part.case.streams)
        closed = any(stream.closed is not None for stream in part.case.streams)
        assert tolled == (morning[hour] or evening[hour])
        assert closed == evening[hour]
        same = apply(case, [edit for edit in edits if edit.hours is None or edit.hours[hour]])
        np.testing.assert_array_equal(part.case.trips, same.trips)
    assert len(parts) == 3
    (whole,) = through_day(case, edits[2:])
    assert whole.hours.tolist() == list(range(24))


def test_hours_need_the_hours_of_a_day_and_a_type_that_can_be_timed(case):
    morning = tuple(hour in range(6, 10) for hour in range(24))
    with pytest.raises(MangroveError) as caught:
        through_day(case, [Edit("toll", "toll", EVERY["toll"], hours=morning)])
    assert caught.value.code == "roads.no_hours"
    with pytest.raises(MangroveError) as caught:
        apply(case, [Edit("fleet", "electrify", EVERY["electrify"], hours=morning)])
    assert caught.value.code == "roads.edit_key"


def test_an_edge_that_nobody_may_drive_on_is_refused(tmp_path):
    from tests.traffic.small_net import grid_text, squares

    from mangrove.plan.traffic.street_edits import links_of
    from mangrove.traffic.road_map import roads_of
    from mangrove.traffic.sumo_net import read_net

    path = tmp_path / "rail.net.xml"
    street = 'id="j0_0-j0_1" from="j0_0" to="j0_1" type="highway.primary"'
    path.write_text(grid_text().replace(street, street.replace("highway.primary", "railway.rail")))
    net = read_net(path)
    road = roads_of(net, squares(net))
    assert len(links_of(road, ["j0_1-j0_0"])) == 1
    with pytest.raises(MangroveError) as caught:
        links_of(road, ["j0_1-j0_0", "j0_0-j0_1"])
    assert (caught.value.code, caught.value.problem.data["edge"]) == ("roads.no_street", "j0_0-j0_1")
