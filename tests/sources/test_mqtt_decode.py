# SPDX-License-Identifier: Apache-2.0
"""Every form in which devices speak over MQTT becomes values of the declared flows, or is set aside with its reason."""

import json
import math
import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mangrove.ledger.types import Quality
from mangrove.sources.mqtt_decode import Decoder
from mangrove.sources.mqtt_sparkplug import payload_class
from mangrove.territory.model import Device, Point
from mangrove.units import unit

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
AT = 1_795_228_200  # 2026-11-21 02:30 UTC
MICRO = 10**6
DEVICES = ("gw", "meter", "lora", "hub")


@pytest.fixture(scope="module")
def park(world, flow):
    made = world(
        flow("energy"),
        flow("power", "kW", semantics="mean"),
        flow("register", semantics="counter"),
        flow("level", "%", semantics="state"),
        flow("swaps", "item"),
        flow("swapped"),
        flow("packs", "item", semantics="state"),
        flow("free"),
        flow("others"),
    )
    return replace(made, devices={id_: Device(id_, "mqtt", "park") for id_ in DEVICES})


def decoder(park, *points: Point) -> Decoder:
    return Decoder(replace(park, points=points))


def said(decoder: Decoder, *messages, now=NOW):
    """The values as (name, seconds, value, quality), and the codes of what was set aside."""
    topics, payloads = zip(*messages, strict=True)
    payloads = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in payloads]
    found = decoder.group(topics, payloads, now)
    v = found.values
    rows = [
        (v.names[flow], int(at) / MICRO, float(value), int(code))
        for flow, at, value, code in zip(v.flow, v.start, v.value, v.quality, strict=True)
    ]
    return rows, [one.reason.code for one in found.rejected], found.answers


# --- JSON with a path, numbers ---------------------------------------------------------------------------------------


def test_a_value_deep_inside_any_document_is_scaled_and_converted(park):
    one = decoder(park, Point("gw", "site/+/meter#a.0.e", "energy", unit("MWh"), scale=0.5))
    document = {"ts": AT, "a": [{"e": 4, "other": "x"}], "fw": "1.2"}
    assert said(one, ("site/7/meter", document))[0] == [("energy", AT, 2000.0, 0)]


def test_several_points_of_one_message_are_read_and_an_absent_one_is_not_invented(park):
    one = decoder(
        park, Point("gw", "m#e", "energy", parameters={"time": "when.at"}), Point("gw", "m#r", "register")
    )
    rows, problems, _ = said(
        one, ("m", {"when": {"at": AT}, "e": 1, "r": 2, "ts": AT + 60}), ("m", {"ts": AT, "r": 1})
    )
    assert sorted(rows) == [("energy", AT, 1.0, 0), ("register", AT, 1.0, 0), ("register", AT + 60, 2.0, 0)]
    assert problems == []


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"ts": AT, "x": 1}, "mqtt.no_path"), ({"ts": AT, "e": "1"}, "sources.bad_number"), ({"ts": AT, "e": True}, "sources.bad_number"),
        ({"ts": "noon", "e": 1}, "sources.bad_time"), ({"ts": AT, "e": [1, 2]}, "sources.bad_message"), ([1], "mqtt.no_path"),
        (b"\xff\xfe", "sources.bad_message"), (b"[" * 100_000, "sources.bad_message"), (b'{"e":' * 50_000, "sources.bad_message"),
        (b'{"ts": 1795228200, "e": 1' + b"0" * 400 + b"}", "sources.bad_number"), ({"ts": {"e": 1}, "e": 1}, "sources.bad_time"),
    ],
)  # fmt: skip
def test_a_document_without_a_readable_value_is_set_aside(park, document, code):
    one = decoder(park, Point("gw", "m#e", "energy"))
    rows, problems, _ = said(one, ("m", document))
    assert (rows, problems) == ([], [code])


def test_null_at_a_path_is_a_gap_that_says_so(park):
    one = decoder(park, Point("gw", "m#e", "energy"))
    ((name, at, value, quality),), problems, _ = said(one, ("m", {"ts": AT, "e": None}))
    assert (name, at, quality, problems) == ("energy", AT, Quality.MISSING, [])
    assert math.isnan(value)


def test_columns_at_a_path_have_times_as_long(park):
    one = decoder(park, Point("gw", "m#d.e", "energy", parameters={"time": "d.t"}))
    rows, _, _ = said(one, ("m", {"d": {"t": [AT, AT + 900], "e": [1, 2]}}))
    assert rows == [("energy", AT, 1.0, 0), ("energy", AT + 900, 2.0, 0)]


def test_a_plain_number_gets_the_time_of_arrival_and_means_what_its_flow_means(park):
    one = decoder(
        park,
        Point("gw", "a", "register", unit("Wh"), "number"),
        Point("gw", "b", "power", None, "number"),
        Point("gw", "c", "level", None, "number"),
    )
    later = NOW.replace(minute=7)
    rows, problems, _ = said(one, ("a", b"12500"), ("b", b"3.5"), ("c", b" 80 "), ("c", b"70"), now=later)
    assert sorted(rows) == [
        ("level", NOW.timestamp(), 70.0, 0),  # the last of the step
        ("power#sample", later.timestamp(), 3.5, 0),
        ("register", later.timestamp(), 12.5, 0),
    ]
    assert problems == []


@pytest.mark.parametrize(
    "payload", [b"", b"nan", b"+1", b"1_0", b"true", b'"1"', b"1e999", b"12 kW", b"\xff"]
)
def test_what_is_no_number_is_set_aside_and_its_neighbors_are_read(park, payload):
    one = decoder(park, Point("gw", "a", "register", None, "number"))
    rows, problems, _ = said(one, ("a", b"1"), ("a", payload))
    assert (rows, problems) == ([("register", NOW.timestamp(), 1.0, 0)], ["sources.bad_message"])


# --- whose flow ------------------------------------------------------------------------------------------------------


def test_a_flow_that_points_give_to_a_device_is_taken_from_no_other(park):
    one = decoder(park, Point("gw", "a", "energy"), Point("meter", "b", "others"))
    reading = {"ts": AT, "value": 1}
    assert said(one, ("mg/meter/energy", reading))[1] == ["mqtt.not_its_flow"]
    assert said(one, ("b", {**reading, "flow": "energy"}))[1] == ["mqtt.not_its_flow"]
    assert said(one, ("mg/gw/energy", reading))[0] == [("energy", AT, 1.0, 0)]
    assert said(one, ("mg/anyone/free", reading))[0] == [("free", AT, 1.0, 0)]


def test_our_own_set_points_that_come_back_are_no_readings(park):
    assert said(decoder(park), ("mg/hub/swap/set", b"{}"))[:2] == ([], [])


# --- ChirpStack ------------------------------------------------------------------------------------------------------

# The fields of an uplink event as the ChirpStack 4 documentation lists them.
UPLINK = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2026-11-21T02:30:00.123456789+00:00",
    "deviceInfo": {"applicationName": "meters", "devEui": "0101010101010101", "tags": {}},
    "devAddr": "00189440",
    "fCnt": 10,
    "fPort": 1,
    "data": "AAEC",
    "object": {"energy": 5120.4, "temperature": 31.5},
    "rxInfo": [],
}


def test_an_uplink_is_read_at_its_own_time_and_twice_is_once(park):
    address = "application/+/device/0101010101010101/event/up#energy"
    one = decoder(park, Point("lora", address, "register", None, "chirpstack"))
    topic = "application/8d1c/device/0101010101010101/event/up"
    assert said(one, (topic, UPLINK), (topic, UPLINK))[:2] == ([("register", AT + 0.123, 5120.4, 0)], [])
    bare = {key: value for key, value in UPLINK.items() if key != "object"}
    assert said(one, (topic, bare))[1] == ["mqtt.no_path"]


# --- Sparkplug B -----------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low | 0x80]) + varint(number >> 7) if number > 0x7F else bytes([low])


def field(number: int, value: int | float | bytes | str) -> bytes:
    """One field in protobuf's wire format, written by its rules and not by the library."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def metric(name=None, alias=None, value=None, datatype=10, *, at=AT * 1000, null=False) -> bytes:
    """A metric of Sparkplug B by its public field numbers: 10 is a Double, 3 an Int32, 8 a UInt64."""
    parts = [] if name is None else [field(1, name)]
    parts += [] if alias is None else [field(2, alias)]
    parts += [field(3, at), field(4, datatype)]
    if null:
        parts.append(field(7, 1))
    elif datatype == 3:
        parts.append(field(10, value & 0xFFFFFFFF))
    elif datatype == 8:
        parts.append(field(11, value))
    elif datatype == 12:
        parts.append(field(15, value))
    else:
        parts.append(field(13, float(value)))
    return field(2, b"".join(parts))


def message(seq, *metrics: bytes) -> bytes:
    return field(1, AT * 1000) + b"".join(metrics) + (b"" if seq is None else field(3, seq))


def bd(number: int) -> bytes:
    return metric("bdSeq", None, number, 8)


NODE = Point("gw", "spBv1.0/P/+/edge#Site/Power", "power", unit("W"), "sparkplug")
DEVICE = Point("meter", "spBv1.0/P/+/edge/m1#Energy", "register", None, "sparkplug")


def topic(kind: str) -> str:
    return f"spBv1.0/P/{kind}/edge" + ("/m1" if kind.startswith("D") else "")


def test_aliases_of_a_birth_name_the_metrics_of_later_data(park):
    one = decoder(park, NODE, DEVICE)
    rows, problems, answers = said(
        one,
        (topic("NBIRTH"), message(0, bd(3), metric("Site/Power", 1, 1500))),
        (topic("DBIRTH"), message(1, metric("Energy", 1, 100), metric("Other", 2, 1))),
        (topic("DDATA"), message(2, metric(None, 1, 101, at=AT * 1000 + 5000), metric(None, 2, 9))),
        (topic("NDATA"), message(3, metric(None, 1, -200, datatype=3, at=AT * 1000 + 5000))),
    )
    assert sorted(rows) == [
        ("power#sample", AT, 1.5, 0),
        ("power#sample", AT + 5, -0.2, 0),
        ("register", AT, 100.0, 0),
        ("register", AT + 5, 101.0, 0),
    ]
    assert (problems, answers) == ([], [])


def test_data_before_a_birth_is_set_aside_and_a_rebirth_is_asked_for_once(park):
    one = decoder(park, NODE, DEVICE)
    data = message(7, metric(None, 1, 5))
    rows, problems, answers = said(one, (topic("DDATA"), data), (topic("DDATA"), data))
    assert (rows, problems) == ([], ["mqtt.no_birth", "mqtt.no_birth"])
    ((where, payload),) = answers
    asked = payload_class().FromString(payload)
    assert where == "spBv1.0/P/NCMD/edge"
    assert [(one.name, one.boolean_value) for one in asked.metrics] == [("Node Control/Rebirth", True)]


def test_a_gap_in_the_numbers_is_reported_and_the_values_are_kept(park):
    one = decoder(park, NODE)
    rows, problems, answers = said(
        one,
        (topic("NBIRTH"), message(0, bd(0), metric("Site/Power", 1, 1000))),
        (topic("NDATA"), message(5, metric(None, 1, 2000, at=AT * 1000 + 1000))),
        (topic("NDATA"), message(6, metric(None, 1, 3000, at=AT * 1000 + 2000))),
    )
    assert [value for _, _, value, _ in rows] == [1.0, 2.0, 3.0]
    assert (problems, len(answers)) == (["mqtt.sparkplug_gap"], 1)


def test_the_numbers_start_again_after_255(park):
    one = decoder(park, NODE)
    sent = [(topic("NBIRTH"), message(0, bd(0), metric("Site/Power", 1, 0)))]
    sent += [
        (topic("NDATA"), message(i % 256, metric(None, 1, i, at=(AT + i) * 1000))) for i in range(1, 300)
    ]
    assert said(one, *sent)[1:] == ([], [])


def test_a_death_counts_only_for_the_birth_that_it_names(park):
    one = decoder(park, NODE, DEVICE)
    birth = (topic("NBIRTH"), message(0, bd(4), metric("Site/Power", 1, 1000)))
    assert said(one, birth, (topic("NDEATH"), message(None, bd(3))))[1] == []
    assert said(one, (topic("NDEATH"), message(None, bd(4))))[1] == ["mqtt.silent"]
    assert one.nodes.silent == {("P", "edge")}
    assert said(one, (topic("NDATA"), message(1, metric(None, 1, 1))))[1] == ["mqtt.no_birth"]
    assert said(one, birth)[1] == []
    assert one.nodes.silent == set()


def test_a_device_may_die_alone(park):
    one = decoder(park, NODE, DEVICE)
    _, problems, _ = said(
        one,
        (topic("NBIRTH"), message(0, bd(1), metric("Site/Power", 1, 1000))),
        (topic("DBIRTH"), message(1, metric("Energy", 9, 1))),
        (topic("DDEATH"), message(2)),
        (topic("NDATA"), message(3, metric(None, 1, 1000))),
    )
    assert (problems, one.nodes.silent) == (["mqtt.silent"], {("P", "edge", "m1")})


def test_a_metric_that_is_null_is_a_gap_and_one_that_is_a_text_is_no_value(park):
    one = decoder(park, NODE)
    rows, problems, _ = said(one, (topic("NBIRTH"), message(0, bd(0), metric("Site/Power", 1, null=True))))
    assert ([quality for *_, quality in rows], problems) == ([Quality.MISSING], [])
    text = message(0, bd(1), metric("Site/Power", 1, "on", datatype=12))
    assert said(one, (topic("NBIRTH"), text))[:2] == ([], ["sources.bad_number"])


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"{}", b"\x12\x7f"])
def test_what_is_no_sparkplug_payload_is_set_aside(park, payload):
    assert said(decoder(park, NODE), (topic("NBIRTH"), payload))[:2] == ([], ["mqtt.bad_sparkplug"])


def test_commands_and_states_of_others_are_no_readings(park):
    one = decoder(park, NODE)
    assert said(one, ("spBv1.0/P/NCMD/edge", b"x"), ("spBv1.0/P/WRONG/edge", b"x"))[1] == [
        "mqtt.bad_sparkplug"
    ]


# --- battery-swap stations -------------------------------------------------------------------------------------------

STATION = (
    Point("hub", "mg/hub/swap/event#count", "swaps"),
    Point("hub", "mg/hub/swap/event#energy", "swapped"),
    Point("hub", "mg/hub/swap/meter#import", "register"),
    Point("hub", "mg/hub/swap/state#full", "packs"),
)
SWAP = {"id": "s-1", "ts": AT, "pack_in": "A", "pack_out": "B", "soc_in": 0.2, "soc_out": 0.97, "energy": 1.2}


def test_a_swap_is_an_event_of_its_own_however_often_it_is_reported(park):
    one = decoder(park, *STATION)
    rows, problems, _ = said(
        one, *[("mg/hub/swap/event", SWAP)] * 3, ("mg/hub/swap/event", {**SWAP, "id": "s-2"})
    )
    counts = [row for row in rows if row[0] == "swaps#event"]
    assert ([value for _, _, value, _ in counts], problems) == ([1.0, 1.0], [])
    assert [int(at * 1000) for _, at, _, _ in counts] == [AT * 1000] * 2
    assert sum(row[2] for row in rows if row[0] == "swapped#event") == pytest.approx(2.4)
    again, _, _ = said(decoder(park, *STATION), ("mg/hub/swap/event", SWAP))
    assert set(again) <= set(rows)


def test_a_swap_without_identity_is_set_aside(park):
    nameless = {key: value for key, value in SWAP.items() if key != "id"}
    assert said(decoder(park, *STATION), ("mg/hub/swap/event", nameless))[:2] == ([], ["mqtt.no_identity"])


def test_meter_and_slots_of_a_station_are_read(park):
    slots = [{"slot": i, "status": status} for i, status in enumerate(["full", "empty", "charging", "full"])]
    one = decoder(park, *STATION)
    rows, problems, _ = said(
        one,
        ("mg/hub/swap/meter", {"ts": AT, "import": 77.5}),
        ("mg/hub/swap/state", {"ts": AT + 60, "slots": slots}),
    )
    assert (sorted(rows), problems) == ([("packs", AT, 2.0, 0), ("register", AT, 77.5, 0)], [])
    strange = {"ts": AT, "slots": [{"slot": 1, "status": "melting"}]}
    assert said(one, ("mg/hub/swap/state", strange))[:2] == ([], ["mqtt.bad_slots"])
