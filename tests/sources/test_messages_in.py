# SPDX-License-Identifier: Apache-2.0
"""Payloads are read strictly: all readings of a message or none, and never by guessing."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.ledger.types import Quality
from mangrove.sources.messages_in import BadMessageError, Decoder, Reading

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
AT = 1_795_228_200 * 10**6  # 2026-11-21 02:30 UTC


@pytest.fixture(scope="module")
def decoder(world, flow):
    park = world(
        flow("mill"),
        flow("so2", "mg/Nm3", "5min", semantics="mean", meter="ST1/SO2"),
        flow("free", step=None),
    )
    return Decoder(park, {"plant/line/4": "mill"})


def read(decoder: Decoder, document: object, topic: str = "mg/gateway/mill") -> list[Reading]:
    return decoder.decode(topic, json.dumps(document).encode(), NOW)


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
    [("plant/line/4", "mill"), ("mg/gw/ST1/SO2", "so2"), ("mg/gw/so2", "so2"), ("mg/gw/Mill", "mill")],
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
    with pytest.raises(BadMessageError) as caught:
        decoder.decode("mg/gateway/mill", payload, NOW)
    assert caught.value.problem.text("en")
    assert caught.value.problem.text("vi")


def test_one_bad_reading_refuses_its_whole_message(decoder):
    with pytest.raises(BadMessageError):
        read(decoder, [{"ts": AT // 10**6, "value": 1}, {"ts": AT // 10**6, "value": None}])


def test_an_unknown_topic_is_answered_with_the_nearest_flow(decoder):
    with pytest.raises(BadMessageError) as caught:
        read(decoder, {"ts": AT // 10**6, "value": 1}, "mg/gateway/mil")
    assert "did you mean 'mill'" in caught.value.problem.text("en")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ts", "value", "end", "flow", "unit", "quality"]), inner, max_size=4
        )
    ),
)


@given(st.binary(max_size=100) | JSON.map(lambda document: json.dumps(document).encode()))
def test_no_payload_breaks_the_decoder(decoder, payload):
    try:
        readings = decoder.decode("mg/gateway/mill", payload, NOW)
    except BadMessageError:
        return
    assert all(one.flow in ("mill", "so2", "free") for one in readings)
