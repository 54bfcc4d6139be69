# SPDX-License-Identifier: Apache-2.0
"""Devices and points are read as declared, and every wrong cell is found where it stands."""

import pytest
from world import FLOWS, good, write

from mangrove.territory import check

METERS = (
    FLOWS.replace("uncertainty\n", "uncertainty,semantics\n").replace("%\n", "%,\n")
    + "rate,north,electricity,kW,,,,,mean\n"
)
DEVICES = "id,protocol,place,address,every,parameters\n"
POINTS = "device,address,flow,unit,form,scale,parameters\n"
GATEWAY = DEVICES + "gw,mqtt,Phường Hòa Bình,,,\ninv,modbus,south,tcp://127.0.0.1:502,1min,unit=1\n"


def found(folder, devices, points, flows=METERS):
    return check(write(folder, {"flows.csv": flows, "devices.csv": devices, "points.csv": points}))[1]


def test_devices_and_points_stand_among_the_nouns(tmp_path):
    points = POINTS + "gw,site/+/power#a.b,power,kW,,0.1,time=at\ninv,holding:1:int16,power,Wh,,,\n"
    city = good(tmp_path, {"devices.csv": GATEWAY, "points.csv": points})
    gateway, inverter = city.devices["gw"], city.devices["inv"]
    assert (gateway.protocol, gateway.place, gateway.every) == ("mqtt", "north", None)
    assert (inverter.address, str(inverter.every), inverter.parameters["unit"].value) == (
        "tcp://127.0.0.1:502",
        "1min",
        1,
    )
    first, second = city.points
    assert (first.device, first.address, first.flow, first.unit.text) == (
        "gw",
        "site/+/power#a.b",
        "power",
        "kW",
    )
    assert (first.scale, first.parameters, str(first.where)) == (0.1, {"time": "at"}, "points.csv:2")
    assert (second.unit.text, second.form, second.scale) == ("Wh", "", 1.0)


def test_a_territory_without_the_two_tables_keeps_the_hash_that_it_had_before_they_existed(tmp_path):
    city = good(tmp_path)
    assert (city.devices, city.points) == ({}, ())
    assert city.content_hash == "039fe3953833f44167c7728bdb157980802a688ed94f26deb9bd86b5792f670c"


def test_every_declared_point_changes_the_hash(tmp_path):
    texts = [POINTS, POINTS + "gw,a,power,,,,\n", POINTS + "gw,b,power,,,,\n", POINTS + "gw,a,power,,,2,\n"]
    hashes = {good(tmp_path, {"devices.csv": GATEWAY, "points.csv": text}).content_hash for text in texts}
    assert len(hashes | {good(tmp_path, {"devices.csv": DEVICES, "points.csv": POINTS}).content_hash}) == 5


CASES = (
    (DEVICES + "g,mqt,north,,,\n", POINTS, "devices.csv:2:3", "not_an_option", "did you mean 'mqtt'"),
    (DEVICES + "g,mqtt,nort,,,\n", POINTS, "devices.csv:2:8", "unknown_place", "north"),
    (DEVICES + "g,mqtt,north,,,\ng,mqtt,north,,,\n", POINTS, "devices.csv:3:1", "duplicate_id", "devices.csv:2"),
    (DEVICES + "g,modbus,north,tcp://127.0.0.1:502,,\n", POINTS, "devices.csv:2:36", "device_needs", "every"),
    (DEVICES + "g,opcua,north,,1min,\n", POINTS, "devices.csv:2:15", "device_needs", "address"),
    (DEVICES + "a/b,mqtt,north,,,\n", POINTS, "devices.csv:2:1", "mqtt_id", "a/b"),
    (DEVICES + "mangrove,mqtt,north,,,\n", POINTS, "devices.csv:2:1", "mqtt_id", "user name"),
    (GATEWAY, POINTS + "invv,a,power,,,,\n", "points.csv:2:1", "unknown_device", "did you mean 'inv'"),
    (GATEWAY, POINTS + "gw,a,powr,,,,\n", "points.csv:2:6", "no_flow", "did you mean 'power'"),
    (GATEWAY, POINTS + "gw,a,power,m3,,,\n", "points.csv:2:12", "point_unit", "kWh"),
    (GATEWAY, POINTS + "gw,a,power,,sparkplg,,\n", "points.csv:2:13", "not_an_option", "did you mean 'sparkplug'"),
    (GATEWAY, POINTS + "gw,a,power,,,0,\n", "points.csv:2:14", "zero", "other than zero"),
    (GATEWAY, POINTS + "gw,a,power,,,,\ngw,a,power,kW,,,\n", "points.csv:3:4", "duplicate_id", "points.csv:2:4"),
    (GATEWAY, POINTS + "gw,a+/b,power,,,,\n", "points.csv:2:4", "bad_topic", "one whole level"),
    (GATEWAY, POINTS + "gw,a#,power,,,,\n", "points.csv:2:4", "bad_topic", "a#"),
    (GATEWAY, POINTS + "gw,a#b,rate,,number,,\n", "points.csv:2:4", "bad_topic", "number"),
    (GATEWAY, POINTS + "gw,mg/gw/swap/event#cost,power,,swap,,\n", "points.csv:2:4", "bad_topic", "swap/event#count"),
    (GATEWAY, POINTS + "gw,a,power,,number,,\n", "points.csv:2:13", "number_of_sum", "counter"),
    (GATEWAY, POINTS + "gw,spBv1.0/G/DDATA/n#m,power,,sparkplug,,\n", "points.csv:2:4", "bad_topic", "GROUP/+/NODE"),
    (GATEWAY, POINTS + "gw,application/+/up#m,power,,chirpstack,,\n", "points.csv:2:4", "bad_topic", "DEVEUI"),
)  # fmt: skip


@pytest.mark.parametrize(("devices", "points", "at", "code", "said"), CASES)
def test_a_wrong_cell_is_found_where_it_stands(tmp_path, devices, points, at, code, said):  # noqa: PLR0917
    problems = found(tmp_path, devices, points)
    assert [(str(one.where), one.code) for one in problems] == [(at, f"territory.{code}")]
    assert said in problems[0].text("en")
    assert problems[0].text("vi") != problems[0].text("en")


def test_a_power_may_feed_a_flow_of_amounts_only_when_its_step_is_known(tmp_path):
    points = POINTS + "gw,a,power,kW,,,\n"
    assert found(tmp_path, GATEWAY, points) == []
    unsteady = METERS.replace("kWh,15min", "kWh,")
    assert [one.code for one in found(tmp_path, GATEWAY, points, unsteady)] == ["territory.point_unit"]


def test_one_address_may_feed_two_flows(tmp_path):
    assert found(tmp_path, GATEWAY, POINTS + "gw,a,power,kW,,,\ngw,a,rate,kW,,,\n") == []


def test_a_flow_that_could_not_be_read_is_reported_once(tmp_path):
    flows = METERS.replace("kWh,15min", "kWhh,15min")
    problems = found(tmp_path, GATEWAY, POINTS + "gw,a,power,kW,,,\n", flows)
    assert [one.code for one in problems] == ["base.unknown_unit"]
