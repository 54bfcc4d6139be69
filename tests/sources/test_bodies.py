# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests: the same readings in every form, and one bad row apart from the others."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mangrove as mg
from mangrove.errors import SourceError
from mangrove.ledger.types import Quality
from mangrove.sources.bodies import decode_arrow, decode_csv, decode_json, instants
from mangrove.sources.line_protocol import decode_lines, parse_line, split_key
from mangrove.sources.sheet import Names, unix
from mangrove.testing import park_of, two_factory_park

NOW = datetime(2024, 6, 5, 12, tzinfo=UTC)
HOUR = 3_600_000_000
FIRST = int(datetime(2024, 6, 5, tzinfo=UTC).timestamp()) * 1_000_000
FLOWS = ["mill.power", "shop.power"]


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return mg.open(two_factory_park(tmp_path_factory.mktemp("park"))).territory


@pytest.fixture(scope="module")
def names(park):
    return Names(park)


def rows(count=1000):
    return [(FLOWS[i % 2], FIRST + i // 2 * 1_000_000, round(0.25 * i, 2)) for i in range(count)]


def iso(us):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).isoformat()


def stream(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, **options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def columns(listed, time=lambda us: us // 1000):
    flow, ts, value = zip(*listed, strict=True)
    return {"flow": list(flow), "ts": [time(us) for us in ts], "value": list(value)}


def as_arrow(listed, time="timestamp"):
    flow, ts, value = zip(*listed, strict=True)
    start = pa.array(ts, pa.int64())
    if time == "timestamp":
        start = start.cast(pa.timestamp("us", "UTC"))
    return stream(
        pa.table({"flow": pa.array(flow).dictionary_encode(), "ts": start, "value": pa.array(value)})
    )


def as_csv(listed):
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(["flow", "ts", "value"])
    writer.writerows((flow, iso(us), value) for flow, us, value in listed)
    return sink.getvalue().encode()


def as_lines(listed):
    return "\n".join(f"{flow},gateway=g1 value={value} {us}000" for flow, us, value in listed).encode()


FORMS = {
    "arrow": lambda listed: (decode_arrow, as_arrow(listed)),
    "arrow, plain numbers": lambda listed: (decode_arrow, as_arrow(listed, "int")),
    "columns, milliseconds": lambda listed: (decode_json, orjson.dumps(columns(listed))),
    "columns, ISO": lambda listed: (decode_json, orjson.dumps(columns(listed, iso))),
    "columns, seconds with a fraction": lambda listed: (
        decode_json, orjson.dumps(columns(listed, lambda us: us / 1e6)),
    ),
    "columns, nanoseconds": lambda listed: (decode_json, orjson.dumps(columns(listed, lambda us: us * 1000))),
    "objects": lambda listed: (
        decode_json, orjson.dumps([{"flow": f, "ts": iso(us), "value": v} for f, us, v in listed]),
    ),
    "csv": lambda listed: (decode_csv, as_csv(listed)),
    "line protocol": lambda listed: (decode_lines, as_lines(listed)),
}  # fmt: skip


def seen(decoded):
    values = decoded.values
    return [
        (values.names[flow], int(start), float(value))
        for flow, start, value in zip(values.flow, values.start, values.value, strict=True)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_readings(form, names):
    decode, body = FORMS[form](rows())
    decoded = decode(body, names, NOW)
    assert seen(decoded) == rows()
    assert decoded.rejected == []
    assert not decoded.values.quality.any()


@pytest.mark.parametrize("form", FORMS)
def test_one_unknown_flow_does_not_keep_999_readings_out(form, names):
    listed = rows()
    listed[500] = ("mil.power", *listed[500][1:])
    decode, body = FORMS[form](listed)
    decoded = decode(body, names, NOW)
    assert seen(decoded) == [row for row in listed if row[0] != "mil.power"]
    (bad,) = decoded.rejected
    assert bad.reason.code == "sources.unknown_flow"
    assert bad.line == {"csv": 502}.get(form, 501)
    assert "mil.power" in bad.raw
    assert "mill.power" in bad.reason.text("en")


POISON = {
    "unit": ({"unit": "m3"}, "sources.bad_unit"),
    "nonsense unit": ({"unit": "bananas"}, "sources.bad_unit"),
    "NaN": ({"value": float("nan")}, "sources.bad_number"),
    "infinite": ({"value": float("inf")}, "sources.bad_number"),
    "no number": ({"value": None}, "sources.bad_number"),
    "number as text": ({"value": "3.2"}, "sources.bad_number"),
    "true": ({"value": True}, "sources.bad_number"),
    "too great": ({"value": 10**400}, "sources.bad_number"),
    "time in words": ({"ts": "yesterday"}, "sources.bad_time"),
    "no time": ({"ts": None}, "sources.bad_time"),
    "time true": ({"ts": True}, "sources.bad_time"),
    "year 14": ({"ts": "0014-01-01T00:00:00Z"}, "sources.bad_year"),
    "before 1970": ({"ts": -5}, "sources.bad_year"),
    "year 5000": ({"ts": 95_617_584_000}, "sources.bad_year"),
    "31 June": ({"ts": "2024-06-31T00:00:00Z"}, "sources.bad_time"),
    "quality": ({"quality": 77}, "sources.bad_quality"),
    "flow as number": ({"flow": 7}, "ledger.no_flow"),
    "flow null": ({"flow": None}, "ledger.no_flow"),
}


@pytest.mark.parametrize("name", POISON)
@pytest.mark.parametrize("shape", ["columns", "objects"])
def test_a_poisoned_cell_of_json_is_named_and_quarantined_alone(name, shape, names):
    change, code = POISON[name]
    good = {"flow": "mill.power", "ts": iso(FIRST), "value": 1.5, "quality": 0, "unit": "kWh"}
    listed = [{**good, "ts": iso(FIRST + i * HOUR)} for i in range(9)]
    listed[4] |= change
    document = listed if shape == "objects" else {key: [row[key] for row in listed] for key in good}
    decoded = decode_json(json.dumps(document).encode(), names, NOW)
    assert [(bad.line, bad.reason.code) for bad in decoded.rejected] == [(5, code)]
    assert len(decoded.values) == 8
    assert decoded.rejected[0].reason.text("vi") != decoded.rejected[0].reason.text("en")


def test_bad_cells_of_csv_are_named_with_their_line(names):
    body = (
        b"flow,ts,value,quality,unit\r\n"
        b"mill.power,2024-06-05T00:00:00Z,1.5,0,kWh\r\n"
        b"mill.power,2024-06-05T01:00:00Z,nan,,\r\n"
        b"mill.power,2024-06-05T02:00:00Z,one,,\r\n"
        b"mill.power,never,2,,\r\n"
        b"mill.power,2024-06-05T04:00:00Z,2,9x,\r\n"
        b"mill.power,2024-06-05T05:00:00Z,2,0,m3\r\n"
        b"mill.power,2024-06-05T06:00:00Z\r\n"
        b"nobody,2024-06-05T07:00:00Z,2,,\r\n"
        b"mill.power,2024-06-05T08:00:00Z,,,\r\n"
        b"Th\xc3\xa9p,2024-06-05T08:00:00Z,2,,\r\n"
        b"mill.power,2024-06-05T09:00:00Z,+2.5e0,filled,MWh\r\n"
    )
    decoded = decode_csv(body, names, NOW)
    found = {bad.line: bad.reason.code for bad in decoded.rejected}
    assert found == {
        3: "sources.bad_number", 4: "sources.bad_number", 5: "sources.bad_time", 6: "sources.bad_quality",
        7: "sources.bad_unit", 8: "sources.wrong_width", 9: "sources.unknown_flow", 10: "sources.bad_number",
        11: "sources.unknown_flow",
    }  # fmt: skip
    assert decoded.values.value.tolist() == [1.5, 2500.0]
    assert decoded.values.quality.tolist() == [Quality.GOOD, Quality.FILLED]
    assert decoded.values.line.tolist() == [2, 12]


def test_units_convert_as_files_do(names):
    mean_power = {"flow": "mill.power", "ts": iso(FIRST), "value": [3.0], "unit": "MW"}
    assert decode_json(json.dumps(mean_power).encode(), names, NOW).values.value.tolist() == [3000.0]
    energy = {"flow": ["mill.power", "mill.coal"], "ts": iso(FIRST), "value": [2, 500], "unit": ["MWh", "kg"]}
    assert decode_json(json.dumps(energy).encode(), names, NOW).values.value.tolist() == [2000.0, 0.5]


def test_a_time_without_an_offset_is_local_and_an_end_gives_its_start(names):
    body = {"flow": "mill.power", "ts": ["2024-06-05T07:00:00", "2024-06-05 07:00"], "value": [1, 2]}
    assert decode_json(json.dumps(body).encode(), names, NOW).values.start.tolist() == [FIRST, FIRST]
    ending = {"flow": "mill.power", "end": ["2024-06-05T01:00:00Z"], "value": [1]}
    assert decode_json(json.dumps(ending).encode(), names, NOW).values.start.tolist() == [FIRST]
    month = {"flow": "shop.diesel", "end": ["2024-07-01"], "value": [1]}
    (bad,) = decode_json(json.dumps(month).encode(), names, NOW).rejected
    assert bad.reason.code == "ingest.end_needs_step"


def test_a_time_that_a_clock_change_skipped_is_refused(tmp_path):
    flows = [{"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"}]
    berlin = Names(mg.open(park_of(tmp_path, flows, timezone="Europe/Berlin")).territory)
    body = {
        "flow": "m",
        "ts": ["2024-03-31T01:30:00", "2024-03-31T02:30:00", "2024-03-31T03:30:00"],
        "value": [1, 2, 3],
    }
    decoded = decode_json(json.dumps(body).encode(), berlin, NOW)
    assert [one.reason.code for one in decoded.rejected] == ["sources.skipped_time"]
    assert np.diff(decoded.values.start).tolist() == [HOUR]


def test_a_device_clock_that_runs_ahead_is_marked(names):
    late = [NOW + timedelta(minutes=4), NOW + timedelta(minutes=6), NOW + timedelta(days=3)]
    body = {
        "flow": "mill.power",
        "ts": [at.isoformat() for at in late],
        "value": [1, 2, 3],
        "quality": [0, 0, 2],
    }
    text = json.dumps(body).encode()
    assert decode_json(text, names, NOW).values.quality.tolist() == [0, Quality.CLOCK, Quality.FAULT]
    assert decode_json(text, names, NOW, ahead=True).values.quality.tolist() == [0, 0, Quality.FAULT]


def test_an_absent_value_needs_a_quality_that_is_not_counted(names):
    body = {
        "flow": "mill.power",
        "ts": [iso(FIRST), iso(FIRST + HOUR)],
        "value": [None, None],
        "quality": [9, 0],
    }
    decoded = decode_json(json.dumps(body).encode(), names, NOW)
    assert np.isnan(decoded.values.value).tolist() == [True]
    assert [one.reason.code for one in decoded.rejected] == ["sources.bad_number"]


def test_a_limited_sender_is_not_told_whether_a_flow_exists(park):
    limited = Names(park, frozenset({"mill.power"}))
    texts = []
    for flow in ("shop.power", "no.such.flow"):
        body = {"flow": ["mill.power", flow], "ts": iso(FIRST), "value": [1, 2]}
        with pytest.raises(SourceError) as error:
            decode_json(json.dumps(body).encode(), limited, NOW)
        assert error.value.code == "ingest.not_yours"
        texts.append(error.value.text())
    assert texts[0] == texts[1]
    assert "shop" not in texts[0]
    with pytest.raises(SourceError, match="line 1 "):
        decode_lines(b"shop.power value=1", limited, NOW)


BROKEN = {
    "no JSON": (decode_json, b"{"),
    "a number": (decode_json, b"3"),
    "deep": (decode_json, b"[" * 100_000),
    "typing mistake": (decode_json, b'{"flow": "mill.power", "ts": [1], "value": [1], "units": "kWh"}'),
    "no flow": (decode_json, b'{"ts": [1], "value": [1]}'),
    "no time": (decode_json, b'{"flow": "mill.power", "value": [1]}'),
    "two times": (decode_json, b'{"flow": "mill.power", "ts": [1], "end": [1], "value": [1]}'),
    "lengths": (decode_json, b'{"flow": "mill.power", "ts": [1, 2], "value": [1]}'),
    "object as column": (decode_json, b'{"flow": {}, "ts": [1], "value": [1]}'),
    "no Arrow": (decode_arrow, b"ARROW1"),
    "half Arrow": (decode_arrow, as_arrow(rows(10))[:200]),
    "csv header": (decode_csv, b"flow;ts;value\na;b;c\n"),
    "csv empty": (decode_csv, b""),
    "csv not UTF-8": (decode_csv, b"flow,ts,value\n\xff\xfe,1,2\n"),
    "lines not UTF-8": (decode_lines, b"\xff\xfe"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_body_of_another_shape_is_refused_whole(name, names):
    decode, body = BROKEN[name]
    with pytest.raises(SourceError) as error:
        decode(body, names, NOW)
    assert error.value.code.startswith("ingest.")
    assert error.value.text("vi") != error.value.text("en")


@pytest.mark.parametrize(
    ("column", "values"),
    [("flow", pa.array([1])), ("value", pa.array(["1"])), ("value", pa.nulls(1)), ("ts", pa.array([True])), ("value", pa.array([[1.0]]))],
)  # fmt: skip
def test_an_arrow_column_of_another_type_is_refused(column, values, names):
    table = pa.table({"flow": ["mill.power"], "ts": [FIRST], "value": [1.0]})
    wrong = table.set_column(table.column_names.index(column), column, values)
    with pytest.raises(SourceError, match=f"the column {column} has the type"):
        decode_arrow(stream(wrong), names, NOW)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_arrow_buffers_are_refused_before_they_unfold(codec, names):
    table = pa.table({"flow": ["mill.power"] * 5000, "ts": [FIRST] * 5000, "value": [0.0] * 5000})
    packed = stream(table, options=pa.ipc.IpcWriteOptions(compression=codec))
    with pytest.raises(SourceError, match="compressed buffers"):
        decode_arrow(packed, names, NOW)


def test_arrow_streams_of_several_batches_and_dictionaries_are_read(names):
    parts = [
        pa.record_batch(
            {"flow": pa.array([flow]).dictionary_encode(), "ts": pa.array([FIRST]), "value": [float(i)]}
        )
        for i, flow in enumerate(FLOWS)
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, parts[0].schema) as writer:
        for part in parts:
            writer.write_batch(part)
    decoded = decode_arrow(sink.getvalue().to_pybytes(), names, NOW)
    assert seen(decoded) == [("mill.power", FIRST, 0.0), ("shop.power", FIRST, 1.0)]


def test_arrow_metadata_says_which_run_computed_the_values(names):
    table = pa.table(
        {"flow": ["mill.power"], "ts": [int((NOW + timedelta(hours=9)).timestamp())], "value": [1.0]}
    )
    decoded = decode_arrow(
        stream(table.replace_schema_metadata({"run": "forecast", "model": "m"})), names, NOW
    )
    assert decoded.meta == {"run": "forecast", "model": "m"}
    assert decoded.values.quality.tolist() == [Quality.GOOD]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_bytes_changed_at_random_never_do_more_than_be_refused(data):
    decode, body = FORMS[data.draw(st.sampled_from(sorted(FORMS)))](rows(20))
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(changed), FUZZED, NOW)
    except SourceError:
        return
    assert all(one.reason.text("en") for one in decoded.rejected)
    assert np.isfinite(decoded.values.value[decoded.values.quality == 0]).all()


@pytest.fixture(scope="module", autouse=True)
def _fuzzed(names):
    global FUZZED  # noqa: PLW0603 - Hypothesis and fixtures of a test do not go together
    FUZZED = names


FUZZED = None


def test_lines_follow_the_grammar_of_the_line_protocol(names):
    body = (
        b"# a comment\n\n"
        b"mill.power value=1i 1717545600\r\n"
        b"mill.power,host=a value=2u,other=7 1717549200\n"
        b'power,flow=shop.power note="a, b=\\"c\\" ",value=-3.5e0 1717552800\n'
        b"mill.power value=t 1717556400\n"
        b'mill.power value="4" 1717560000\n'
        b"mill.power 1717560000\n"
        b"cpu usage=5 1717560000\n"
    )
    decoded = decode_lines(body, names, NOW, precision="s")
    assert seen(decoded) == [
        ("mill.power", FIRST, 1.0), ("mill.power", FIRST + HOUR, 2.0), ("shop.power", FIRST + 2 * HOUR, -3.5),
    ]  # fmt: skip
    assert {one.line: one.reason.code for one in decoded.rejected} == {
        6: "sources.bad_number", 7: "sources.bad_number", 8: "sources.bad_message", 9: "sources.unknown_flow",
    }  # fmt: skip
    assert decoded.timed


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("ns", FIRST * 1000), ("us", FIRST), ("u", FIRST), ("ms", FIRST // 10**3), ("s", FIRST // 10**6),
     ("m", FIRST // 10**6 // 60), ("h", FIRST // 10**6 // 3600)],
)  # fmt: skip
def test_each_precision_of_a_line_gives_the_same_instant(precision, stamp, names):
    decoded = decode_lines(f"mill.power value=1 {stamp}".encode(), names, NOW, precision=precision)
    assert decoded.values.start.tolist() == [FIRST]
    far = decode_lines(b"mill.power value=1 9223372036854775807", names, NOW, precision=precision)
    assert [one.reason.code for one in far.rejected] == ["sources.bad_year"]


def test_a_line_without_a_time_is_of_now_and_says_so(names):
    decoded = decode_lines(b"mill.power value=1", names, NOW)
    assert decoded.values.start.tolist() == [int(NOW.timestamp()) * 1_000_000]
    assert not decoded.timed


def test_points_of_a_device_say_which_field_is_which_flow(tmp_path):
    folder = two_factory_park(tmp_path)
    (folder / "devices.csv").write_text("id,protocol,place\ngw,http,mill\nother,http,shop\n")
    (folder / "points.csv").write_text(
        'device,address,flow,unit,scale\ngw,"power,phase=all#total",mill.power,Wh,10\ngw,weight,mill.coal,kg,1\nother,total,shop.power,,1\n'
    )
    names = Names(mg.open(folder).territory, frozenset({"mill.power", "mill.coal"}), "gw")
    body = b"power,phase=all,site=x total=250,l1=80,l2=85 1717545600000000000\nweight value=500 1717545600000000000"
    decoded = decode_lines(body, names, NOW)
    assert seen(decoded) == [("mill.power", FIRST, 2.5), ("mill.coal", FIRST, 0.5)]
    as_json = decode_json(b'{"flow": ["weight"], "ts": 1717545600, "value": [2], "unit": "t"}', names, NOW)
    assert seen(as_json) == [("mill.coal", FIRST, 2.0)]
    with pytest.raises(SourceError):
        decode_json(b'{"flow": ["total"], "ts": 1717545600, "value": [2]}', names, NOW)


@given(
    st.dictionaries(
        st.text("abc=, \\é", min_size=1, max_size=5), st.text("xyz=, é", min_size=1, max_size=5), max_size=3
    )
)
def test_escaped_names_come_back(tags):
    tags = {name: value for name, value in tags.items() if "\\" not in name}

    def escaped(word):
        return word.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")

    key = ",".join(["m\\ 1", *(f"{escaped(name)}={escaped(value)}" for name, value in tags.items())])
    assert split_key(key) == ("m 1", tags)
    parsed = parse_line(f"{key} value=1.5 7")
    assert parsed == (key, {"value": 1.5}, 7)


def test_a_body_in_which_thousands_are_bad_is_refused_whole(names):
    body = {"flow": "nobody", "ts": [1] * 10_001, "value": [1] * 10_001}
    with pytest.raises(SourceError) as error:
        decode_json(json.dumps(body).encode(), names, NOW)
    assert error.value.code == "ingest.too_many_bad"
    much = {"flow": "mill.power", "ts": 1, "value": [1] * 400_001}
    with pytest.raises(SourceError) as error:
        decode_json(json.dumps(much).encode(), names, NOW)
    assert error.value.code == "ingest.too_many_rows"


@given(st.integers(10**9, 4 * 10**9))
def test_unix_time_is_told_by_its_size(seconds):
    forms = [seconds * factor for factor in (1, 10**3, 10**6, 10**9)]
    assert [int(unix(np.array([one]))[0]) for one in forms] == [seconds * 10**6] * 4
    assert unix(np.array(forms)).tolist() == [seconds * 10**6] * 4


def test_instants_mix_numbers_and_words(park):
    found = instants(
        ["2024-06-05T07:00:00", FIRST // 10**6, FIRST / 10**6, "2024-06-05T00:00:00Z", None, []], park.tz
    )
    assert found.tolist() == [FIRST] * 4 + [-1, -1]
