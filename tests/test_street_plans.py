# SPDX-License-Identifier: Apache-2.0
"""Street plans from files: a small city on disk, two plans, a claim, and files that cannot be."""

import json

import pytest
from tests.street_city import MAP, METRO, ROADS, write_city

from mangrove import api, street_plans
from mangrove.errors import DeclarationError, MangroveError
from mangrove.street_files import read_plan
from mangrove.traffic.sumo_net import read_net


@pytest.fixture
def city(tmp_path):
    return write_city(tmp_path / "city")


def test_two_plans_are_judged_against_today_and_each_other(city):
    found = street_plans.compare(
        api.open(city), [city.parent / "metro.yaml", city.parent / "swap.yaml"], draws=2
    )
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
    before, after = (
        street_plans.compare(api.open(city), plan, on=date(y, 1, 1), draws=1) for y in (2027, 2028)
    )
    assert before.verdict.difference("CO2", "metro").mean == 0.0
    assert after.verdict.difference("CO2", "metro").mean < 0.0


def test_trips_come_from_people_and_jobs_when_none_are_given(city):
    (city / "roads" / "roads.yaml").write_text("net: grid.net.xml\n")
    found = street_plans.compare(api.open(city), [city.parent / "swap.yaml"], draws=1)
    assert [problem.code for problem in found.problems] == ["roads.assumed"]
    assert "trips/hour" in found.problems[0].data["rows"]


def test_counts_move_the_trips(city):
    net = read_net(city / "roads" / "grid.net.xml")
    (city / "roads" / "counts.csv").write_text(
        "edge,vehicle,count\nj1_1-j1_2,motorbike,9000\nj1_1-j1_2,car,500\n"
    )
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


def test_a_map_of_four_streets_becomes_a_network_of_four(tmp_path):
    pytest.importorskip("osmium")
    pytest.importorskip("sumo")
    from mangrove.traffic.osm import extract

    source = tmp_path / "map.osm"
    source.write_text(MAP)
    net = read_net(extract(source, (106.69, 10.76, 106.71, 10.78), tmp_path / "net.net.xml"))
    assert set(net.kinds) == {"highway.primary"}  # no footway
    assert net.length.sum() == pytest.approx(
        2 * (2 * 0.4375 + 2 * 0.4424), rel=0.02
    )  # both directions of 0.004 degrees
