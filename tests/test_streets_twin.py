# SPDX-License-Identifier: Apache-2.0
"""The twin of some streets: what cameras count is what vehicles did, the demand is that of the scenario with other vehicles, nothing is hidden."""

import csv
from collections import Counter
from datetime import timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mangrove import api, streets_demand, streets_twin, traffic_state
from mangrove.errors import MissingExtraError, RequestError, SourceError
from mangrove.measure.traffic.state import Basis
from mangrove.rules.roads import motorcycle_units

pytest.importorskip("sumo")
pytest.importorskip("sumo_rl")

SHARE = 0.2
CLASSES = ("motorbike", "car", "light_truck")


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """Three signals of Cologne with a fifth of the demand: seconds of SUMO."""
    return streets_twin.build(
        tmp_path_factory.mktemp("twin") / "streets", net="cologne3", share=SHARE, cameras=12, lang="vi"
    )


@pytest.fixture(scope="module")
def park(twin):
    opened = api.open(twin.folder)
    report = api.ingest(opened, *twin.values, screen=False)
    assert not report.failed
    return opened


def demand(path):
    return [one for one in ET.parse(path).getroot() if one.tag in ("trip", "vehicle")]


def test_the_demand_is_that_of_the_scenario_in_motorcycle_units_with_the_stated_mix(tmp_path):
    folder = streets_twin.scenario("cologne8")
    source = folder / "cologne8.rou.xml"
    trips = demand(source)
    count = streets_demand.write([source], tmp_path / "out.rou.xml", seed=1, hours={7: 1.0})
    made = demand(tmp_path / "out.rou.xml")
    assert len(made) == count
    kinds = Counter(one.get("type") for one in made)
    for kind, share in streets_demand.MIX.items():
        assert kinds[kind] / count == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / count))
    room = sum(motorcycle_units(kind) * number for kind, number in kinds.items())
    cars = motorcycle_units("car") * len(trips)
    assert room == pytest.approx(cars, rel=4 * np.sqrt(1 / len(trips)))
    ways = {(one.get("from"), one.get("to")) for one in trips}
    assert {(one.get("from"), one.get("to")) for one in made} <= ways
    departs = [float(one.get("depart")) for one in made]
    assert departs == sorted(departs)
    assert 7 * 3600 <= departs[0] <= departs[-1] < 8 * 3600


def test_the_same_seed_draws_the_same_vehicles_whatever_hours_stand_beside_them(tmp_path):
    source = streets_twin.scenario("cologne8") / "cologne8.rou.xml"

    def drawn(name, seed, hours):
        streets_demand.write([source], tmp_path / name, seed=seed, hours=hours)
        return [dict(one.attrib) for one in demand(tmp_path / name) if float(one.get("depart")) >= 7 * 3600]

    alone = drawn("a.xml", 1, {7: 1.0})
    assert alone == drawn("b.xml", 1, {6: 0.5, 7: 1.0})
    assert alone != drawn("c.xml", 2, {7: 1.0})


def test_vehicles_of_a_scenario_with_motorbikes_keep_their_class(tmp_path):
    source = tmp_path / "own.rou.xml"
    vehicles = "".join(
        f'<vehicle id="v{n}" type="{kind}" depart="{n}"><route edges="a b"/></vehicle>'
        for n, kind in enumerate(["moto"] * 300 + ["big"] * 100)
    )
    source.write_text(
        '<routes><vType id="moto" vClass="motorcycle"/><vType id="big" vClass="passenger" emissionClass="HBEFA4/PC_petrol_Euro-4"/>'
        f"{vehicles}</routes>"
    )
    count = streets_demand.write([source], tmp_path / "out.xml", seed=3, hours={7: 1.0})
    kinds = Counter(one.get("type") for one in demand(tmp_path / "out.xml"))
    assert set(kinds) == {"motorbike", "car"}
    assert count == pytest.approx(400, abs=4 * np.sqrt(400))
    assert kinds["car"] / count == pytest.approx(0.25, abs=0.09)


def test_the_fullest_hour_of_a_scenario_is_taken_and_one_without_trips_refused(tmp_path):
    source = tmp_path / "r.rou.xml"
    hours = [3500, *range(7300, 10_700, 20), 10_900]
    trips = "".join(f'<trip id="t{n}" depart="{time}" from="a{n}" to="b"/>' for n, time in enumerate(hours))
    source.write_text(f"<routes>{trips}</routes>")
    streets_demand.write([source], tmp_path / "out.xml", seed=1, hours={7: 1.0})
    assert not {"a0", f"a{len(hours) - 1}"} & {one.get("from") for one in demand(tmp_path / "out.xml")}
    source.write_text('<routes><flow id="f" begin="0" end="10" number="3" from="a" to="b"/></routes>')
    with pytest.raises(SourceError) as caught:
        streets_demand.write([source], tmp_path / "out.xml", seed=1, hours={7: 1.0})
    assert caught.value.code == "streets.no_trips"


def test_the_twin_is_a_territory_without_errors_that_says_what_is_generated(twin, park):
    assert not [problem for problem in api.check(twin.folder) if problem.severity == "error"]
    assert "sinh ra" in park.territory.name
    assert {flow.basis for flow in park.territory.flows.values()} == {"generated"}
    areas = [place for place in park.territory.places.values() if place.kind == "ward"]
    assert len(areas) == 6
    assert all(place.geometry["schematic"] for place in areas)


def test_cameras_stand_before_every_signal_where_anybody_drives(twin):
    from mangrove.traffic.sumo_net import read_net

    net = read_net(twin.net)
    link = net.connections
    signaled = {net.ids[edge] for edge in link.source[link.signal >= 0]}
    assert len(twin.links) == 12
    counted = [one in signaled for one in twin.links]
    assert counted == sorted(counted, reverse=True)


def test_counts_are_what_drove_and_their_emissions_what_vehicles_emitted(twin, park):
    """Kilometers of the counts are those of the vehicles; emissions by curves of another city come near the truth of this one."""
    state = traffic_state.state(park, twin.start, twin.end)
    assert state.classes == CLASSES
    counted = state.flow.sum(axis=(0, 1))
    shares = counted / counted.sum()
    assert shares == pytest.approx(list(streets_demand.MIX.values()), abs=0.03)
    report = traffic_state.traffic(park, twin.start, twin.end)
    assert report.total.amount == pytest.approx(twin.truth["CO2"], rel=0.15)
    assert report.total.low < twin.truth["CO2"] < report.total.high
    assert 0 < twin.truth["CO2"] < twin.whole["CO2"]
    trips = twin.drive.trips
    assert (
        twin.whole["CO2"] < trips.emissions[:, 0].sum() / 1000
    )  # the truth begins after the streets have filled


def test_hourly_values_of_the_areas_add_up_to_the_counted_streets(twin, park):
    report = traffic_state.traffic(park, twin.start, twin.end)
    found = api.measure(park, twin.start, twin.end, by=["gas"], run="estimate/traffic", store=False)
    assert found.total()["co2e_kg"] == pytest.approx(report.total.amount, rel=1e-6)


def test_one_camera_is_silent_and_is_filled_from_earlier_days(twin, park):
    flows, first, last = twin.silent
    assert last - first == timedelta(minutes=20)
    assert len(flows) == 2 * len(CLASSES)
    with twin.values[-1].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    silent = [row["time"] for row in rows if all(row[flow] == "" for flow in flows)]
    assert silent == ["2026-06-03T07:20", "2026-06-03T07:25", "2026-06-03T07:30", "2026-06-03T07:35"]
    state = traffic_state.state(park, twin.start, twin.end)
    filled = np.argwhere(state.basis == Basis.FILLED)
    camera = park.territory.flows[flows[0]].parameters["link"]
    assert {state.streets.ids[link] for _, link in filled} == {camera}
    assert len(filled) == 4


def test_the_same_seed_makes_the_same_counts_and_another_one_others(twin, tmp_path):
    again = streets_twin.build(tmp_path / "a", net="cologne3", share=SHARE, cameras=12, earlier=0, lang="vi")
    assert again.values[-1].read_bytes() == twin.values[-1].read_bytes()
    assert again.truth == twin.truth
    other = streets_twin.build(tmp_path / "b", net="cologne3", share=SHARE, cameras=12, earlier=0, seed=1)
    assert other.values[-1].read_bytes() != twin.values[-1].read_bytes()


def test_hours_after_the_first_come_from_the_same_day(tmp_path):
    made = streets_twin.build(tmp_path / "a", net="cologne3", share=0.05, cameras=3, earlier=0, until=9)
    with made.values[0].open(encoding="utf-8") as file:
        times = [row["time"] for row in csv.DictReader(file)]
    assert (times[0], times[-1], len(times)) == ("2026-06-03T07:00", "2026-06-03T08:55", 24)


def test_what_cannot_be_made_is_refused_by_name(tmp_path, monkeypatch):
    small = [
        ({name: value}, "streets.too_small")
        for name, value in (
            ("cameras", 0),
            ("earlier", -1),
            ("share", 0.0),
            ("seed", -1),
            ("share", float("nan")),
        )
    ]
    for words, code in (
        ({"net": "cologne9"}, "streets.unknown_net"),
        ({"until": 7}, "streets.bad_hours"),
        *small,
    ):
        with pytest.raises(RequestError) as caught:
            streets_twin.build(tmp_path / "a", **words)
        assert caught.value.code == code
    with pytest.raises(SourceError) as caught:
        streets_twin.build(tmp_path / "a", data=tmp_path)
    assert caught.value.code == "streets.no_data"
    monkeypatch.setattr(streets_twin, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError):
        streets_twin.build(tmp_path / "a")


@pytest.mark.data
def test_district_1_and_3_is_built_from_the_real_network(data_dir, tmp_path):
    made = streets_twin.build(tmp_path / "a", data=data_dir, share=0.15, earlier=1)
    opened = api.open(made.folder)
    api.ingest(opened, *made.values, screen=False)
    assert made.real
    assert opened.territory.tz.key == "Asia/Ho_Chi_Minh"
    report = traffic_state.traffic(opened, made.start, made.end, by="ward", store=False)
    assert len(report.rows) == 6
    assert report.total.amount == pytest.approx(made.truth["CO2"], rel=0.1)
