# SPDX-License-Identifier: Apache-2.0
"""Files of street plans: what they say, and every mistake at its line and column, in both languages."""

from datetime import date

import pytest
from tests.plan.traffic.timetable import write_feed
from tests.street_city import ROADS, write_city

from mangrove import api
from mangrove.errors import DeclarationError, MangroveError
from mangrove.plan.traffic.edits import apply, through_day
from mangrove.street_files import read_case, read_plan
from mangrove.traffic.sumo_net import read_net

MONDAY = date(2026, 11, 16)


@pytest.fixture
def city(tmp_path):
    return write_city(tmp_path / "city")


def planned(city, *edits, head="name: made\n"):
    """A plan file; each edit is a list of lines, to which a source is added."""
    lines = [head + "edits:"]
    for at, edit in enumerate(edits):
        lines += [f"  - id: e{at}", *(f"    {line}" for line in edit), "    source: made up"]
    path = city.parent / "made.yaml"
    path.write_text("\n".join([*lines, ""]))
    return path


def made(city, path, on):
    plan = read_plan(path)
    case, _ = read_case(api.open(city).territory, [plan], on)
    return through_day(case, plan.edits, on)


def problem_of(city, path, on=None):
    """The first problem of a plan, wherever it shows."""
    with pytest.raises(MangroveError) as caught:
        made(city, path, on)
    error = caught.value
    return error.problems[0] if isinstance(error, DeclarationError) else error.problem


def test_hours_and_days_are_read(city):
    toll = [
        "type: toll",
        "zones: [z00]",
        "amount: 10000",
        "value_of_time: 30000",
        "hours: [6-9, 16-19]",
        "days: [mon-fri]",
    ]
    (edit,) = read_plan(planned(city, toll)).edits
    assert [hour for hour, held in enumerate(edit.hours) if held] == [6, 7, 8, 16, 17, 18]
    assert edit.days == frozenset(range(5))
    assert not edit.holds(date(2026, 11, 22))


def test_routes_that_a_plan_makes_electric_run_today_already(city):
    net = read_net(city / "roads" / "grid.net.xml")
    write_feed(city.parent / "feed.zip", net)
    plan = read_plan(
        planned(city, ["type: electric_buses", "gtfs: feed.zip", "routes: ['01']", "share: 50 %"])
    )
    case, _ = read_case(api.open(city).territory, [plan], MONDAY)
    assert [(line.id, line.vehicle, line.per_hour) for line in case.lines] == [("01", "bus", 8.0)] * 2
    after = apply(case, plan.edits, MONDAY)
    assert sum(line.per_hour for line in after.lines if line.vehicle == "electric_bus") == 8.0
    assert sum(line.per_hour for line in after.lines) == 16.0


def test_buses_of_today_come_from_the_timetable_of_the_city(city):
    net = read_net(city / "roads" / "grid.net.xml")
    write_feed(city / "roads" / "feed.zip", net)
    (city / "roads" / "roads.yaml").write_text(ROADS + "gtfs: feed.zip\n")
    case, _ = read_case(api.open(city).territory, (), MONDAY)
    assert {line.id for line in case.lines} == {"01", "02"}
    (city / "roads" / "roads.yaml").write_text(ROADS + "gtfs: feed.zip\nroutes: ['09']\n")
    with pytest.raises(MangroveError) as caught:
        read_case(api.open(city).territory, (), MONDAY)
    assert caught.value.code == "gtfs.unknown_route"
    assert str(caught.value.problem.where) == "roads/roads.yaml:7:10"


LANES = ["type: change_lanes", "edges: [j0_0-j0_1]", "lanes: 1"]
METRO = [
    "type: transit_line",
    "stations: [106.6845 10.7722, 106.6935 10.7812]",
    "share: 30 %",
    "radius: 2 km",
]
ROAD = ["type: add_road", "points: [106.6845 10.7722, 106.6935 10.7812]", "lanes: 2"]
ZONE = ["type: low_emission_zone", "zones: [z00]", "classes: [car]"]
BUS = ["type: bus_line", "gtfs: feed.zip", "routes: ['01']"]


def changed(edit, old, new):
    return [line.replace(old, new) for line in edit]


@pytest.mark.parametrize(
    ("edits", "code", "place"),
    [
        ([changed(LANES, "j0_0-j0_1", "j0_0-j0_1, j0_0-j0_9")], "roads.unknown_edge", "5:24"),
        ([changed(LANES, "lanes: 1", "lanes: -1")], "territory.negative", "6:12"),
        ([changed(LANES, "lanes: 1", "lanes: 1.5")], "territory.not_a_number", "6:12"),
        ([changed(LANES, "lanes: 1", "lanes: .nan")], "territory.not_a_number", "6:12"),
        ([changed(LANES, "[j0_0-j0_1]", "[]")], "roads.edit_key", "5:5"),
        ([LANES, LANES], "roads.edits_overlap", "10:13"),
        ([[*LANES, "from: 2028-01-01", "to: 2027-01-01"]], "roads.dates_reversed", "8:9"),
        ([[*METRO, "hours: [6-9]"]], "roads.edit_key", "8:5"),
        ([changed(METRO, "30 %", "130 %")], "territory.out_of_range", "6:12"),
        ([changed(METRO, "30 %", "nan %")], "territory.not_a_number", "6:12"),
        ([changed(METRO, "106.6845 10.7722", "106.6845 110.7722")], "roads.bad_points", "5:16"),
        ([changed(METRO, "106.6845 10.7722, ", "")], "roads.bad_points", "5:5"),
        ([changed(ROAD, "106.6935 10.7812", "106.9 10.7812")], "roads.point_far", "5:32"),
        ([[*ROAD, "length: 10 m"]], "roads.too_short", "7:13"),
        ([changed(ZONE, "[z00]", "[z00, z01, z00]")], "roads.twice", "5:23"),
        ([changed(ZONE, "z00", "z0O")], "roads.unknown_zone", "5:13"),
        ([changed(ZONE, "car", "cars")], "roads.unknown_class", "6:15"),
        ([[*ZONE, "hours: [6-9]"]], "roads.no_hours", "7:5"),
        ([[*ZONE, "hours: [6-30]"]], "roads.bad_times", "7:13"),
        ([[*ZONE, "days: [someday]"]], "roads.bad_days", "7:12"),
        ([["type: develop", "zones: [z00]", "population: 20 %", "near: line", "share: 30 %"]], "roads.unknown_near", "7:11"),
        ([changed(BUS, "'01'", "'03'")], "gtfs.unknown_route", "6:14"),
        ([changed(BUS, "feed", "food")], "roads.no_file", "5:11"),
        ([[*BUS, "day: 2030-01-01"]], "gtfs.no_trips", "6:14"),
        ([[*BUS, "per_hour: 5"]], "roads.which_line", "4:11"),
        ([["type: signal_plan", "file: none.add.xml"]], "roads.no_file", "5:11"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_line_and_column(city, edits, code, place):
    write_feed(city.parent / "feed.zip", read_net(city / "roads" / "grid.net.xml"))
    found = problem_of(city, planned(city, *edits), MONDAY)
    assert (found.code, str(found.where)) == (code, f"made.yaml:{place}")
    assert found.text("vi") != found.text("en")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "territory.empty_file"),
        ("# nothing\n", "territory.empty_file"),
        ("- 1\n", "territory.yaml_shape"),
        ("name: a\nedits: 7\n", "territory.yaml_shape"),
        ("name: a\nedits: &x [*x]\n", None),
        ("a: &a [x, x]\nb: &b [*a, *a]\nname: a\nedits: [*b, *b]\n", None),
        ("name: " + "[" * 5_000 + "]" * 5_000 + "\n", "territory.too_deep"),
        ("name: a\x00b\n", "territory.encoding"),
        ("name: a\nname: b\n", "territory.duplicate_key"),
        ("edits: []\n", "territory.missing_key"),
    ],
)
def test_files_that_are_no_plan_are_refused(tmp_path, text, code):
    path = tmp_path / "made.yaml"
    path.write_text(text)
    with pytest.raises(DeclarationError) as caught:
        read_plan(path)
    assert code is None or code in [problem.code for problem in caught.value.problems]
    assert all(problem.where.file == "made.yaml" for problem in caught.value.problems)


def test_a_plan_without_edits_is_the_streets_of_today(city):
    path = city.parent / "made.yaml"
    path.write_text("name: made\n")
    plan = read_plan(path)
    case, _ = read_case(api.open(city).territory, [plan])
    assert plan.edits == ()
    assert apply(case, plan.edits) == case
