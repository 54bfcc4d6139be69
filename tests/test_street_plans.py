# SPDX-License-Identifier: Apache-2.0
"""Street plans from files: a small city on disk, two plans, a claim, and files that cannot be."""

import json

import pytest
from tests.traffic.small_net import grid_text, squares

from mangrove import api, street_plans
from mangrove.errors import DeclarationError, MangroveError
from mangrove.street_files import read_plan
from mangrove.traffic.sumo_net import read_net

TERRITORY = """\
name: Grid
kind: city
timezone: Asia/Ho_Chi_Minh
gwp: AR5
currency: VND
lang: en
boundary: {root: grid}
place_columns: [jobs]
"""
ROADS = """\
net: grid.net.xml
mix: {motorbike: 87 %, car: 10 %, light_truck: 3 %}
trips: trips.csv
spread: 5 %
source: made up
"""
METRO = """\
name: metro
title: A line
edits:
  - id: line_1
    type: transit_line
    from: 2028-01-01
    stations: [106.6845 10.7722, 106.6935 10.7812]
    share: 30 %
    radius: 2 km
    uncertainty: 40 %
    source: forecast of the feasibility study
"""
SWAP = """\
name: swap
edits:
  - {id: fleet, type: electrify, class: motorbike, into: electric_motorbike, share: 30 %, source: plan of the city}
claims:
  - {id: pilot, class: motorbike, vehicles: 30000, avoided: 60000 t, source: en.sggp.org.vn post104897}
"""


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "city"
    roads = folder / "roads"
    roads.mkdir(parents=True)
    (folder / "territory.yaml").write_text(TERRITORY)
    (roads / "grid.net.xml").write_text(grid_text())
    net = read_net(roads / "grid.net.xml")
    shapes = squares(net)
    features = [
        {
            "type": "Feature",
            "properties": {"id": name, "name": name, "kind": "ward", "population": 20_000, "jobs": 9_000, "parent": "grid"},
            "geometry": {"type": "Polygon", "coordinates": [[[float(x), float(y)] for x, y in shape.exterior.coords]]},
        }
        for name, shape in shapes.items()
    ]
    whole = {"id": "grid", "name": "Grid", "kind": "city"}
    features.append({"type": "Feature", "properties": whole, "geometry": None})
    (folder / "flows.csv").write_text("id,place,carrier,unit\n")
    (folder / "places.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    rows = [f"{a},{b},900" for a in shapes for b in shapes if a != b]
    (roads / "trips.csv").write_text("\n".join(["origin,destination,vehicles", *rows, ""]))
    (roads / "roads.yaml").write_text(ROADS)
    (tmp_path / "metro.yaml").write_text(METRO)
    (tmp_path / "swap.yaml").write_text(SWAP)
    return folder


def test_two_plans_are_judged_against_today_and_each_other(city):
    found = street_plans.compare(api.open(city), [city.parent / "metro.yaml", city.parent / "swap.yaml"], draws=2)
    text = found.text()
    for pair in ("metro against today", "swap against today", "swap against metro"):
        assert pair in text
    assert "pilot does not add up" in text
    assert "so với" in found.text("vi")
    said = json.loads(found.json())
    assert [plan["name"] for plan in said["plans"]] == ["metro", "swap"]
    power = next(m for m in said["measures"] if m["key"] == "electricity")
    zones = sum(zone["kwh_by_hour"]["swap"][0] for zone in said["zones"])
    assert zones == pytest.approx(power["mean"]["swap"], rel=0.5)  # the mean over factors, and the factor
    assert said["claims"][0]["holds"] is False


def test_a_plan_counts_from_its_day_on(city):
    from datetime import date

    plan = [city.parent / "metro.yaml"]
    before, after = (street_plans.compare(api.open(city), plan, on=date(y, 1, 1), draws=1) for y in (2027, 2028))
    assert before.verdict.difference("CO2", "metro").mean == 0.0
    assert after.verdict.difference("CO2", "metro").mean < 0.0


def test_trips_come_from_people_and_jobs_when_none_are_given(city):
    (city / "roads" / "roads.yaml").write_text("net: grid.net.xml\n")
    found = street_plans.compare(api.open(city), [city.parent / "swap.yaml"], draws=1)
    assert [problem.code for problem in found.problems] == ["roads.assumed"]
    assert "trips/hour" in found.problems[0].data["rows"]


def test_counts_move_the_trips(city):
    net = read_net(city / "roads" / "grid.net.xml")
    (city / "roads" / "counts.csv").write_text("edge,vehicle,count\nj1_1-j1_2,motorbike,9000\nj1_1-j1_2,car,500\n")
    open_ = [street_plans.compare(api.open(city), [city.parent / "swap.yaml"], draws=1)]
    (city / "roads" / "roads.yaml").write_text(ROADS + "counts: counts.csv\n")
    open_.append(street_plans.compare(api.open(city), [city.parent / "swap.yaml"], draws=1))
    at = net.number["j1_1-j1_2"]
    flows = []
    for one in open_:
        first = one.verdict.first[0].flows
        flows.append(first.flow[first.case.map.links_of([at])[0]])
    target = 9_000 + 500 * 3.4
    assert abs(flows[1] - target) < abs(flows[0] - target)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("type: transit_line", "type: monorail"), "roads.unknown_edit"),
        (("radius: 2 km", "radios: 2 km"), "territory.unknown_key"),
        (("radius: 2 km", "radius: 2 kg"), None),
        (("share: 30 %", "share: 30"), "territory.percent_missing"),
        (("106.6845 10.7722", "106.6845"), "roads.bad_points"),
        (("    source: forecast of the feasibility study\n", ""), "territory.missing_key"),
        (("    radius: 2 km\n", ""), "roads.edit_key"),
    ],
)
def test_plan_files_that_cannot_be_are_refused_with_their_line(city, change, code):
    path = city.parent / "metro.yaml"
    path.write_text(METRO.replace(*change))
    with pytest.raises(DeclarationError) as caught:
        read_plan(path)
    problem = caught.value.problems[0]
    assert problem.where.file == "metro.yaml"
    assert problem.where.line > 1
    assert code is None or code in [one.code for one in caught.value.problems]


@pytest.mark.parametrize(
    ("roads", "code"),
    [
        ("mix: {motorbike: 90 %}\n", None),
        (ROADS.replace("87 %", "80 %"), "roads.bad_mix"),
        (ROADS.replace("mix:", "#"), "roads.no_mix"),
        (ROADS + "kind: village\n", "roads.no_wards"),
        (ROADS + "jobs: posts\n", "roads.no_people"),
        (ROADS.replace("trips.csv", "grid.net.xml"), "roads.no_column"),
        (ROADS.replace("grid.net.xml", "none.net.xml"), "roads.no_file"),
        (ROADS + "hours: [1, 2, 3]\n", None),
    ],
)
def test_cases_that_cannot_be_are_refused_by_name(city, roads, code):
    (city / "roads" / "roads.yaml").write_text(roads)
    with pytest.raises(MangroveError) as caught:
        street_plans.compare(api.open(city), [city.parent / "swap.yaml"], draws=1)
    assert code is None or caught.value.code == code


def test_two_plans_of_one_name_are_refused(city):
    path = city.parent / "swap.yaml"
    with pytest.raises(MangroveError) as caught:
        street_plans.compare(api.open(city), [path, path])
    assert caught.value.code == "roads.plan_twice"
