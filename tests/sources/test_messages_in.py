# SPDX-License-Identifier: Apache-2.0
"""Payloads are read strictly: all readings of a message or none, and never by guessing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import Problem
from mangrove.ledger.types import Quality
from mangrove.sources.messages_in import Reading, instants
from mangrove.sources.mqtt_decode import Decoder
from mangrove.territory.model import Device, Point

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
AT = 1_795_228_200 * 10**6  # 2026-11-21 02:30 UTC


@pytest.fixture(scope="module")
def decoder(world, flow):
    park = world(
        flow("mill"),
        flow("so2", "mg/Nm3", "5min", semantics="mean", meter="ST1/SO2"),
        flow("free", step=None),
    )
    devices = {"line": Device("line", "mqtt", "park")}
    return Decoder(replace(park, devices=devices, points=(Point("line", "plant/line/+", "free"),)))


def readings(decoder: Decoder, *messages: tuple[str, bytes]) -> tuple[list[Reading], list[Problem]]:
    """What a group of messages says, and what was set aside."""
    topics, payloads = zip(*messages, strict=True)
    found = decoder.group(topics, payloads, NOW)
    values = found.values
    rows = zip(values.flow, values.start, values.value, values.quality, strict=True)
    read = [Reading(values.names[flow], int(at), float(value), int(code)) for flow, at, value, code in rows]
    return read, [one.reason for one in found.rejected]


def read(decoder: Decoder, document: object, topic: str = "mg/gateway/mill") -> list[Reading]:
    found, problems = readings(decoder, (topic, json.dumps(document).encode()))
    assert problems == []
    return found


def refused(decoder: Decoder, payload: bytes, topic: str = "mg/gateway/mill") -> Problem:
    found, problems = readings(decoder, (topic, payload))
    assert (found, len(problems)) == ([], 1)
    return problems[0]


def test_one_reading_several_readings_and_columns_mean_the_same(decoder):
    one = {"ts": "2026-11-21T09:30:00+07:00", "value": 3.2}
    expected = [Reading("mill", AT, 3.2)]
    assert read(decoder, one) == expected
    assert read(decoder, [one]) == expected
    assert read(decoder, {"ts": [one["ts"]], "value": [3.2]}) == expected
    assert read(decoder, {"flow": "mill", "ts": [AT // 10**6], "value": [3.2]}, "mg/x") == expected


@pytest.mark.parametrize(
    "ts",
    ["2026-11-21T02:30:00Z", "2026-11-21T09:30:00", "2026-11-21 09:30", AT // 10**6, AT // 10**3, AT / 10**6],
)
def test_times_are_iso_text_local_text_or_unix_time(decoder, ts):
    assert read(decoder, {"ts": ts, "value": 1}) == [Reading("mill", AT, 1.0)]


def test_an_end_is_one_step_after_the_start(decoder):
    assert read(decoder, {"end": AT // 10**6, "value": 1})[0].start == AT - 900 * 10**6


def test_units_convert_and_power_becomes_energy(decoder):
    assert read(decoder, {"ts": AT // 10**6, "value": 2, "unit": "MWh"})[0].value == 2000.0
    assert read(decoder, {"ts": AT // 10**6, "value": 100, "unit": "kW"})[0].value == 25.0


@pytest.mark.parametrize(
    ("topic", "expected"),
    [("plant/line/4", "free"), ("mg/gw/ST1/SO2", "so2"), ("mg/gw/so2", "so2"), ("mg/gw/Mill", "mill")],
)
def test_a_topic_names_its_flow_by_the_table_by_its_end_or_by_a_meter(decoder, topic, expected):
    assert read(decoder, {"ts": AT // 10**6, "value": 1}, topic)[0].flow == expected


def test_a_time_that_is_still_to_come_is_a_clock_error(decoder):
    later = NOW + timedelta(minutes=6)
    assert read(decoder, {"ts": later.isoformat(), "value": 1})[0].quality == Quality.CLOCK


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"12.5", b"{", b"null", b'"x"', b"[1]", b"{}", b'{"value": 1}', b'{"ts": 1795228200}', b"\xff\xfe", b"[" * 100_000,
        b'{"ts": "x", "value": 1}', b'{"ts": -5, "value": 1}', b'{"ts": 1e300, "value": 1}', b'{"ts": true, "value": 1}',
        b'{"ts": 1795228200, "value": "1"}', b'{"ts": 1795228200, "value": NaN}', b'{"ts": 1795228200, "value": 1e999}',
        b'{"ts": 1795228200, "value": true}', b'{"ts": 1795228200, "value": 1, "quality": 12}',
        b'{"ts": 1795228200, "value": 1, "unit": "m3"}', b'{"ts": 1795228200, "value": 1, "vlue": 2}',
        b'{"ts": 1795228200, "value": 1, "flow": "nothing"}', b'{"ts": [1], "value": [1, 2]}', b'{"ts": 1, "end": 2, "value": 1}',
        b'{"ts": 1795228200, "value": 1' + b"0" * 400 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_reading_is_refused_with_a_reason(decoder, payload):
    problem = refused(decoder, payload)
    assert problem.text("en")
    assert problem.text("vi")


def test_one_bad_reading_refuses_its_whole_message_and_no_other(decoder):
    bad = json.dumps([{"ts": AT // 10**6, "value": 1}, {"ts": "when", "value": 2}]).encode()
    good = json.dumps({"ts": AT // 10**6, "value": 3}).encode()
    found, problems = readings(decoder, ("mg/gateway/mill", bad), ("mg/gateway/mill", good))
    assert found == [Reading("mill", AT, 3.0)]
    assert [problem.code for problem in problems] == ["sources.bad_time"]


def test_an_unknown_topic_is_answered_with_the_nearest_flow(decoder):
    problem = refused(decoder, b'{"ts": 1, "value": 1}', "mg/gateway/mil")
    assert "did you mean 'mill'" in problem.text("en")


def test_of_two_values_of_one_instant_the_later_stays_and_the_other_is_set_aside(decoder):
    sent = [json.dumps({"ts": AT // 10**6, "value": value}).encode() for value in (1, 2, 2)]
    found, problems = readings(decoder, *(("mg/gateway/mill", one) for one in sent))
    assert found == [Reading("mill", AT, 2.0)]
    assert [problem.code for problem in problems] == ["sources.repeated"]


def test_messages_that_arrive_out_of_order_give_the_same_values(decoder):
    sent = [
        ("mg/gateway/mill", json.dumps({"ts": AT // 10**6 + 900 * i, "value": i}).encode()) for i in range(5)
    ]
    forward, _ = readings(decoder, *sent)
    backward, _ = readings(decoder, *reversed(sent))
    assert sorted(forward, key=lambda one: one.start) == sorted(backward, key=lambda one: one.start)


def test_a_hundred_thousand_readings_are_one_message_and_one_more_is_too_many(decoder):
    at = [AT // 10**6 + 60 * i for i in range(100_000)]
    assert len(read(decoder, {"ts": at, "value": [1.5] * len(at)})) == 100_000
    payload = json.dumps({"ts": [*at, at[-1] + 60], "value": [1.5] * 100_001}).encode()
    assert refused(decoder, payload).code == "sources.bad_message"


def local(seconds: int) -> str:
    """An ISO text without an offset."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


@given(
    st.lists(
        st.one_of(
            st.integers(200_000, 4_000_000_000).map(local),
            st.integers(200_000, 4_000_000_000).map(local).map("{}+07:00".format),
            st.integers(),
            st.floats(),
            st.booleans(),
            st.text(max_size=6),
        ),
        max_size=6,
    )
)
def test_times_in_company_are_read_as_each_would_be_alone(written):
    tz = ZoneInfo("Asia/Ho_Chi_Minh")
    assert instants(written, tz).tolist() == [instants([one], tz).tolist()[0] for one in written]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ts", "value", "end", "flow", "unit", "quality"]), inner, max_size=4
        )
    ),
)


@given(
    st.lists(st.binary(max_size=100) | JSON.map(lambda document: json.dumps(document).encode()), max_size=4)
)
def test_no_payload_breaks_the_decoder_and_none_changes_what_its_neighbors_say(decoder, payloads):
    good = ("mg/gateway/mill", json.dumps({"ts": 4_000_000, "value": 7}).encode())
    found, _ = readings(decoder, good, *(("mg/gateway/so2", one) for one in payloads))
    assert all(one.flow in ("mill", "so2", "free") for one in found)
    assert any(one.start == 4_000_000 * 10**6 for one in found if one.flow == "mill")
