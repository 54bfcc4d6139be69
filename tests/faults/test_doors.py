# SPDX-License-Identifier: Apache-2.0
"""Bad rows, wrong clocks and repetitions over every door: one bad row of a thousand costs one row, and nothing is counted twice."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from tests.brokers import Mosquitto, publish, until
from tests.faults.whole import ARROW, FIRST, kept, land, server, stored
from tests.servers import key

import mangrove as mg
from mangrove.ledger import Ledger, Quality
from mangrove.ledger.types import Origin
from mangrove.sources.broker import broker_files
from mangrove.testing import park_of, values

pytestmark = pytest.mark.crash
COUNT, BAD = 1000, 500
STARTS = [FIRST + 60 * i for i in range(COUNT)]


@pytest.fixture
def park(tmp_path):
    return land(tmp_path / "park")


class Door:
    """Requests with a key."""

    def __init__(self, connection, secret):
        self.connection, self.secret = connection, secret

    def send(self, path, body, kind="application/json", **headers):
        told = {"authorization": f"Bearer {self.secret}", "content-type": kind, **headers}
        self.connection.request(
            "POST", path, body if isinstance(body, bytes) else json.dumps(body).encode(), told
        )
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}

    def get(self, path):
        self.connection.request("GET", path, headers={"authorization": f"Bearer {self.secret}"})
        answer = self.connection.getresponse()
        return json.loads(answer.read())


@contextmanager
def opened(park, *options):
    secret = key(park)
    with server(park, *options) as running, kept(running.port) as connection:
        yield Door(connection, secret)


@pytest.fixture(scope="module")
def running_park(tmp_path_factory):
    """One server for the forms of a body; each has a flow of its own."""
    park = land(tmp_path_factory.mktemp("doors") / "park")
    with opened(park) as door:
        yield park, door


def quarantine(park):
    with Ledger.open(park / ".mangrove", read_only=True) as ledger:
        return ledger.quarantine().to_pylist()


def texts(bad):
    """The thousand values as text; the one at `BAD` is `bad`."""
    return [bad if i == BAD else f"{i}.5" for i in range(COUNT)]


def as_arrow(flow, cells):
    table = pa.table({"flow": [flow] * COUNT, "ts": STARTS, "value": cells})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def numbers(bad):
    """The thousand values; the one at `BAD` is `bad`."""
    return [bad if i == BAD else i + 0.5 for i in range(COUNT)]


FORMS = {
    "arrow": (ARROW, "a0", lambda flow, _: as_arrow(flow, numbers(None))),
    "columns": (
        "application/json",
        "a1",
        lambda flow, bad: {"flow": flow, "ts": STARTS, "value": numbers(bad)},
    ),
    "objects": (
        "application/json",
        "j0",
        lambda flow, bad: [
            {"flow": flow, "ts": at, "value": value} for at, value in zip(STARTS, numbers(bad), strict=True)
        ],
    ),
    "csv": (
        "text/csv",
        "j1",
        lambda flow, bad: "\n".join(
            ["flow,ts,value", *(f"{flow},{at},{text}" for at, text in zip(STARTS, texts(bad), strict=True))]
        ).encode(),
    ),
}
"""Content type, flow, and the body with one bad value."""


@pytest.mark.parametrize("form", FORMS)
def test_one_bad_row_of_a_thousand_over_http_costs_one_row(running_park, form):
    park, door = running_park
    kind, flow, make = FORMS[form]
    status, answer = door.send("/api/v1/values", make(flow, "poison"), kind)
    assert status == 200, answer
    assert (answer["rows"], answer["rejected"]) == (COUNT - 1, 1)
    (row,) = [one for one in quarantine(park) if one["batch"] == answer["batch"]]
    (problem,) = answer["problems"]
    assert problem["code"] == row["code"]
    assert sum(stored(park)[flow].values()) == COUNT - 1


def test_one_bad_line_of_a_thousand_in_line_protocol_costs_one_row(running_park):
    park, door = running_park
    before = len(quarantine(park))
    lines = "\n".join(f"m0 value={text} {at}" for at, text in zip(STARTS, texts("poison"), strict=True))
    status, answer = door.send("/api/v2/write?precision=s", lines.encode(), "text/plain")
    assert status == 204, answer
    assert len(quarantine(park)) == before + 1
    assert sum(stored(park)["m0"].values()) == COUNT - 1


def test_one_bad_observation_of_a_thousand_is_answered_as_an_error_and_costs_one_row(running_park):
    park, door = running_park
    streams = door.get("/sta/v1.1/Datastreams?$top=100")["value"]
    (stream,) = [one["@iot.id"] for one in streams if "m1" in json.dumps([one["name"], one["properties"]])]
    rows = [
        ["no time" if i == BAD else datetime.fromtimestamp(at, UTC).isoformat(), i + 0.5]
        for i, at in enumerate(STARTS)
    ]
    body = [
        {"Datastream": {"@iot.id": stream}, "components": ["phenomenonTime", "result"], "dataArray": rows}
    ]
    status, answer = door.send("/sta/v1.1/CreateObservations", body)
    assert status == 201, answer
    assert [i for i, one in enumerate(answer) if one == "error"] == [BAD]
    assert sum(stored(park)["m1"].values()) == COUNT - 1


@pytest.mark.mosquitto
def test_one_bad_message_of_a_thousand_goes_to_quarantine_and_does_not_come_back(park, tmp_path):
    with Mosquitto(lambda port: broker_files(tmp_path / "broker", port=port)) as broker:
        with opened(park, "--mqtt", f"127.0.0.1:{broker.port}"):
            time.sleep(0.5)
            publish(
                broker.port,
                [
                    ("mg/gw/m0", b"poison" if i == BAD else json.dumps({"ts": at, "value": i}).encode())
                    for i, at in enumerate(STARTS)
                ],
            )
            until(lambda: sum(stored(park).get("m0", {}).values()) == COUNT - 1, "all arrive")
            until(lambda: len(quarantine(park)) == 1, "it is in quarantine")
        with opened(park, "--mqtt", f"127.0.0.1:{broker.port}"):
            time.sleep(1.0)
    (row,) = quarantine(park)
    assert row["raw"] == b"poison"


def qualities(park, flow):
    with Ledger.open(park / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        table = snapshot.values([flow], datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        return dict(
            zip(
                table.column("start").cast(pa.int64()).to_pylist(),
                table.column("quality").to_pylist(),
                strict=True,
            )
        )


def test_a_device_clock_ahead_is_marked_and_one_that_jumps_loses_nothing(park):
    now = datetime.now(UTC).replace(microsecond=0, second=0)
    offsets = [
        timedelta(),
        timedelta(days=1),
        timedelta(minutes=-1),
        timedelta(days=-1),
        timedelta(minutes=4),
    ]
    at = [now + one for one in offsets]
    with opened(park) as door:
        for number, one in enumerate(at):
            body = {"flow": "a0", "ts": [one.isoformat()], "value": [number]}
            assert door.send("/api/v1/values", body)[0] == 200
        status, answer = door.send(
            "/api/v1/values", {"flow": "a0", "ts": [(now + timedelta(days=5000)).isoformat()], "value": [1]}
        )
    found = qualities(park, "a0")
    us = [int(one.timestamp()) * 1_000_000 for one in at]
    assert [found[one] for one in us] == [
        Quality.GOOD, Quality.CLOCK, Quality.GOOD, Quality.GOOD, Quality.GOOD,
    ]  # fmt: skip
    assert (status, answer["rejected"]) == (200, 1)
    assert len(found) == len(at)


def test_recorded_at_grows_although_the_clock_of_the_machine_steps_back(tmp_path, monkeypatch):
    from mangrove.ledger import store

    real, back = datetime, [timedelta()]

    class Stepping(datetime):
        @classmethod
        def now(cls, tz=None):
            return real.now(tz) - back[0]

    monkeypatch.setattr(store, "datetime", Stepping)
    receipts = []
    for hours in (0, 1, 26, 0.5):
        back[0] = timedelta(hours=hours)
        with Ledger.open(tmp_path) as ledger:  # also after a restart
            for _ in range(3):
                rows = values([("m", real(2024, 1, 1, tzinfo=UTC) + timedelta(hours=len(receipts)), 1.0)])
                receipts.append(ledger.append(rows, Origin("t", str(len(receipts)))))
            assert ledger.verify() == []
    times = [one.recorded_at for one in receipts]
    assert all(one < two for one, two in pairwise(times))


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime (Debian package faketime)")
def test_a_server_whose_clock_is_a_day_behind_after_a_restart_keeps_the_order(park):
    import subprocess

    library = subprocess.run(
        ["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=True
    ).stdout
    preload = next(line.partition("=")[2] for line in library.splitlines() if line.startswith("LD_PRELOAD="))
    secret = key(park)
    for turn, env in enumerate(({}, {"LD_PRELOAD": preload, "FAKETIME": "-1d", "DONT_FAKE_MONOTONIC": "1"})):
        with server(park, env=env) as running, kept(running.port) as connection:
            door = Door(connection, secret)
            for number in range(3):
                at = FIRST + 60 * (10 * turn + number)
                assert door.send("/api/v1/values", {"flow": "a0", "ts": [at], "value": [number]})[0] == 200
    with Ledger.open(park / ".mangrove") as ledger:
        recorded = ledger.batches().column("recorded_at").cast(pa.int64()).to_numpy()
        assert ledger.verify() == []
    assert (np.diff(recorded) > 0).all()


def test_the_hour_that_comes_twice_and_the_hour_that_does_not_exist(tmp_path):
    # Berlin, 27 October 2024: 03:00 summer time is 02:00 winter time (01:00 UTC); 31 March: 02:00 is 03:00.
    folder = park_of(
        tmp_path / "park",
        [{"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1h", "scope": "2"}],
        timezone="Europe/Berlin",
    )
    berlin = ZoneInfo("Europe/Berlin")
    with opened(folder) as door:
        autumn = [datetime(2024, 10, 26, 22, tzinfo=UTC) + timedelta(hours=i) for i in range(25)]
        body = {
            "flow": "m",
            "ts": [one.astimezone(berlin).isoformat() for one in autumn],
            "value": [1.0] * 25,
        }
        status, answer = door.send("/api/v1/values", body)
        assert (status, answer["rows"]) == (200, 25)
        status, answer = door.send(
            "/api/v1/values",
            {
                "flow": "m",
                "ts": ["2024-03-31T01:00:00", "2024-03-31T02:30:00", "2024-03-31T03:00:00"],
                "value": [1, 2, 3],
            },
        )
        assert (status, answer["rows"], answer["rejected"]) == (200, 2, 1), answer
    with mg.open(folder).reader() as ledger, ledger.snapshot() as snapshot:
        day = snapshot.values(
            ["m"],
            datetime(2024, 10, 27, tzinfo=berlin).astimezone(UTC),
            datetime(2024, 10, 28, tzinfo=berlin).astimezone(UTC),
        )
        assert day.num_rows == 25


def test_the_same_values_over_two_doors_and_after_a_restart_are_stored_once(park, tmp_path):
    body = {"flow": "m0", "ts": STARTS[:50], "value": [float(i) for i in range(50)]}
    with Mosquitto(lambda port: broker_files(tmp_path / "broker", port=port)) as broker:
        mqtt = ("--mqtt", f"127.0.0.1:{broker.port}")
        with opened(park, *mqtt) as door:
            time.sleep(0.5)
            first = door.send("/api/v1/values", body)[1]
            again = door.send("/api/v1/values", body)[1]
            other = door.send("/api/v1/values", body, **{"idempotency-key": "other"})[1]
            messages = [
                ("mg/gw/m0", json.dumps({"ts": at, "value": float(i)}).encode())
                for i, at in enumerate(STARTS[:50])
            ]
            publish(broker.port, messages)
            until(lambda: known(park, "mqtt:"), "the messages arrive")
        with opened(park, *mqtt) as door:
            later = door.send("/api/v1/values", body)[1]
    assert first["rows"] == 50
    assert again["duplicate"]
    assert (other["rows"], other["unchanged"], other["duplicate"]) == (0, 50, False)
    assert (later["rows"], later["unchanged"]) == (
        0,
        50,
    )  # another key, so another sender with the same values
    assert stored(park)["m0"] == dict.fromkeys(range(50), 1)


def known(park, source):
    with Ledger.open(park / ".mangrove", read_only=True) as ledger:
        batches = ledger.batches().to_pylist()
    return sum(one["rows"] + one["unchanged"] for one in batches if one["source"].startswith(source)) >= 50


def test_out_of_order_rows_and_two_values_for_one_minute_end_in_one_current_value(park):
    order = np.random.default_rng(1).permutation(100)
    with opened(park) as door:
        body = {"flow": "a0", "ts": [STARTS[i] for i in order], "value": [float(i) for i in order]}
        assert door.send("/api/v1/values", body)[1]["rows"] == 100
        for i in (40, 10, 60):  # late corrections
            assert (
                door.send("/api/v1/values", {"flow": "a0", "ts": [STARTS[i]], "value": [1000.0 + i]})[0]
                == 200
            )
        status, answer = door.send(
            "/api/v1/values", {"flow": "a0", "ts": [STARTS[200], STARTS[200]], "value": [7.0, 8.0]}
        )
    assert status == 200, answer
    with Ledger.open(park / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        found = snapshot.values(["a0"], datetime(2023, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    starts = found.column("start").cast(pa.int64()).to_numpy() // 1_000_000
    current = dict(zip(starts.tolist(), found.column("value").to_pylist(), strict=True))
    assert len(current) == found.num_rows == 101
    expected = {STARTS[i]: float(i) for i in range(100)} | {STARTS[i]: 1000.0 + i for i in (10, 40, 60)}
    assert {at: current[at] for at in expected} == expected
    assert (answer["rows"], answer["rejected"]) == (1, 1)
    assert [one["code"] for one in quarantine(park)] == ["ledger.repeated"]
    assert current[STARTS[200]] == 8
