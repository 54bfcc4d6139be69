# SPDX-License-Identifier: Apache-2.0
"""Commands that keep running: they take what arrives, stop when told to, and lose nothing; monitoring files go out as they came in."""

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.brokers import mosquitto
from tests.doors import COMMAND, mangrove, station_park

from mangrove import api, live, testing
from mangrove.errors import RequestError
from mangrove.ledger import Ledger, Quality
from mangrove.sources import monitoring

START = datetime(2026, 11, 1, tzinfo=UTC)
PATIENCE = 30.0


def stored(folder: Path) -> dict[str, list[tuple[datetime, float, int]]]:
    """The current values in the ledger of a territory, by flow."""
    park = api.open(folder)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values(
            list(park.territory.flows), START - timedelta(days=9), START + timedelta(days=999)
        )
    found: dict[str, list[tuple[datetime, float, int]]] = {}
    for row in rows.to_pylist():
        found.setdefault(row["flow"], []).append((row["start"], row["value"], row["quality"]))
    return {flow: sorted(values, key=lambda value: value[0]) for flow, values in found.items()}


def until(done, what: str) -> None:
    """Waits until `done()` is true; a machine that is busy gets time."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"after {PATIENCE} s: {what}"
        time.sleep(0.05)


@contextmanager
def running(*words: object, stderr: Path):
    """A command that keeps running; it is stopped with SIGTERM and must end well."""
    with (
        stderr.open("w") as said,
        subprocess.Popen([COMMAND, *map(str, words)], stdout=subprocess.PIPE, stderr=said) as process,
    ):
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE) == 0, stderr.read_text()
            assert process.stdout.read() == b"", "stdout is for data"
        finally:
            process.kill()


# --- broker ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path):
    """The port of a Mosquitto that runs with the configuration that `mangrove broker` writes."""

    def written(port: int) -> Path:
        done = mangrove("broker", tmp_path / "broker", "--port", port)
        assert done.code == 0, done.err
        return Path(done.out.split("mosquitto -c ")[1].strip())

    with mosquitto(written) as port:
        yield port


def publish(port: int, messages: list[tuple[str, object]]) -> None:
    """Publishes with QoS 1 and returns when the broker has all messages."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, f"sender-{time.monotonic_ns()}")
    client.connect("127.0.0.1", port)
    client.loop_start()
    for sent in [client.publish(topic, json.dumps(payload), qos=1) for topic, payload in messages]:
        sent.wait_for_publish(timeout=PATIENCE)
    client.disconnect()
    client.loop_stop()


def reading(topic: str, hour: int, value: float) -> tuple[str, object]:
    return topic, {"ts": (START + timedelta(hours=hour)).isoformat(), "value": value}


@pytest.mark.mosquitto
def test_listening_stores_what_is_published_and_stops_on_sigterm(broker, tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    place = next(iter(api.open(folder).territory.places))
    (folder / "devices.csv").write_text(f"id,protocol,place\ngateway,mqtt,{place}\n", encoding="utf-8")
    (folder / "points.csv").write_text(
        "device,address,flow\ngateway,meter/7,mill.power\ngateway,meter/8,shop.power\n", encoding="utf-8"
    )
    said = tmp_path / "said"
    with running("listen", folder, "--host", "127.0.0.1", "--port", broker, stderr=said):
        until((folder / ".mangrove").exists, "no ledger was made")
        time.sleep(
            1.0
        )  # the subscription is not visible from outside; what is published before it is kept only from the second time on
        publish(broker, [reading("meter/7", hour, 100.0 + hour) for hour in range(48)])
        publish(broker, [reading("meter/8", 0, 5.0), ("meter/8", {"ts": "yesterday", "value": 1})])
        until(lambda: said.read_text().count("batch ") >= 1 and len(stored(folder)) == 2, said.read_text())
        until(lambda: len(stored(folder)["mill.power"]) == 48, "not all values arrived")
        until(lambda: "1 in quarantine" in said.read_text(), "the bad message was not set aside")
    assert stored(folder) == {
        "mill.power": [(START + timedelta(hours=hour), 100.0 + hour, 0) for hour in range(48)],
        "shop.power": [(START, 5.0, 0)],
    }
    last = said.read_text().splitlines()[-1]
    assert last == "50 messages, 49 values stored, 1 in quarantine"
    assert mangrove("verify", folder).code == 0


@pytest.mark.mosquitto
def test_what_is_published_while_nobody_listens_is_stored_by_the_next_listener(broker, tmp_path):
    folder = testing.two_factory_park(tmp_path / "park")
    call = ("listen", folder, "--host", "127.0.0.1", "--port", broker, "--lang", "vi")
    with running(*call, stderr=tmp_path / "first"):
        until((folder / ".mangrove").exists, "no ledger was made")
        publish(broker, [reading("mg/mill.power", 0, 1.0)])
        until(
            lambda: publish(broker, [reading("mg/mill.power", 0, 1.0)]) or "mill.power" in stored(folder),
            "nothing arrived",
        )
    publish(broker, [reading("mg/mill.power", hour, 2.0) for hour in range(1, 25)])
    with running(*call, stderr=tmp_path / "second"):
        until(lambda: len(stored(folder)["mill.power"]) == 25, "what was kept did not arrive")
    assert [value for _, value, _ in stored(folder)["mill.power"]] == [1.0] + [2.0] * 24
    assert "đang nghe 127.0.0.1" in (tmp_path / "second").read_text()


# --- drop folder -------------------------------------------------------------------------------------------------------


def line(symbol: str, value: str, unit: str, at: str, status: str = "00") -> str:
    return f"{symbol}\t{value}\t{unit}\t{at}\t{status}\r\n"


def arrive(inbox: Path, at: str, value: float, status: str = "00") -> Path:
    """A file as an FTP server puts it down: written under another name first."""
    path = inbox / f"MILL_{at}.txt"
    part = path.with_suffix(".part")
    part.write_text(
        line("NO2", str(value), "mg/Nm3", at, status) + line("Flow", "1000", "Nm3/h", at), newline=""
    )
    part.rename(path)
    return path


def test_a_drop_folder_is_emptied_once(tmp_path):
    folder, inbox = station_park(tmp_path / "park"), tmp_path / "inbox"
    inbox.mkdir()
    arrive(inbox, "20261101070500", 12.5)
    arrive(inbox, "20261101071000", 99.0, status="01")
    (inbox / "MILL_20261101071500.txt").write_text("not a monitoring file\n")
    done = mangrove("drop", folder, inbox)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("2 files taken (0 lines in quarantine), 1 refused")
    assert sorted(path.name for path in inbox.iterdir()) == ["done", "failed"]
    assert (inbox / "failed" / "MILL_20261101071500.txt.reason").read_text()
    assert stored(folder)["stack.no2"] == [  # 07:05 local is the end of the five minutes from 00:00 UTC
        (START, 12.5, Quality.GOOD),
        (START + timedelta(minutes=5), 99.0, Quality.CALIBRATING),
    ]
    assert "0 files taken" in mangrove("drop", folder, inbox).err


def test_a_watched_drop_folder_takes_files_as_they_arrive_until_sigterm(tmp_path):
    folder, inbox = station_park(tmp_path / "park"), tmp_path / "inbox"
    inbox.mkdir()
    old = arrive(inbox, "20261101070500", 12.5)
    os.utime(old, (time.time() - 60, time.time() - 60))
    fresh = inbox / "MILL_20261101071000.txt"
    with running("drop", folder, inbox, "--watch", stderr=tmp_path / "said"):
        until((inbox / "done" / old.name).exists, "the file was not taken")
        until(lambda: "1 files taken" in (tmp_path / "said").read_text(), "nothing was said")
        arrive(inbox, "20261101071000", 13.5)  # still fresh: it is left alone until it has settled
    assert fresh.exists()
    assert [value for _, value, _ in stored(folder)["stack.no2"]] == [12.5]
    assert mangrove("drop", folder, inbox).code == 0
    assert [value for _, value, _ in stored(folder)["stack.no2"]] == [12.5, 13.5]


def test_other_commands_may_write_between_two_looks_into_a_watched_folder(tmp_path):
    folder, inbox = station_park(tmp_path / "park"), tmp_path / "inbox"
    inbox.mkdir()
    with running("drop", folder, inbox, "--watch", stderr=tmp_path / "said"):
        until((folder / ".mangrove").exists, "no ledger was made")
        (tmp_path / "no2.csv").write_text(
            "time,stack.no2\n2026-11-01T07:00,1\n2026-11-01T07:05,2\n", encoding="utf-8"
        )
        until(
            lambda: mangrove("ingest", folder, tmp_path / "no2.csv", "--no-screen").code == 0,
            "the ledger stays taken",
        )
    assert len(stored(folder)["stack.no2"]) == 2


def test_a_watcher_waits_while_another_process_writes(tmp_path):
    folder, inbox = station_park(tmp_path / "park"), tmp_path / "inbox"
    inbox.mkdir()
    arrived = arrive(inbox, "20261101070500", 12.5)
    os.utime(arrived, (time.time() - 60, time.time() - 60))
    said = tmp_path / "said"
    with api.open(folder).writer() as _:
        with running("drop", folder, inbox, "--watch", "--lang", "vi", stderr=said):
            until(lambda: "tiến trình khác" in said.read_text(), "it does not say why it waits")
        assert arrived.exists()
    assert "1 files taken" in mangrove("drop", folder, inbox).err


# --- files for the authority -------------------------------------------------------------------------------------------


def test_files_for_the_authority_give_the_same_values_in_another_copy(tmp_path):
    folder, copy = station_park(tmp_path / "park"), station_park(tmp_path / "copy")
    steps = [START + timedelta(minutes=5 * i) for i in range(288)]
    quality = [
        Quality.CALIBRATING if i % 50 == 0 else Quality.FAULT if i % 77 == 0 else Quality.GOOD
        for i in range(288)
    ]
    with api.open(folder).writer() as ledger:
        fill(ledger, "stack.no2", steps, [10 + (i % 37) / 8 for i in range(288)], quality)
        fill(ledger, "stack.gas", steps[::2], [1000.0 + i for i in range(144)], [Quality.GOOD] * 144)
    done = mangrove(
        "station",
        folder,
        "MILL",
        "--from",
        "2026-11-01",
        "--to",
        "2026-11-03",
        "--out",
        tmp_path / "out" / "files",
    )
    assert done.code == 0, done.err
    files = sorted((tmp_path / "out" / "files").iterdir())
    assert len(files) == 288
    assert done.out.startswith("288 monitoring files")
    assert files[0].name == "MILL_20261101070500.txt"
    assert files[0].read_bytes().count(b"\r\n") == 2
    assert mangrove("drop", copy, tmp_path / "out" / "files").err.startswith(
        "288 files taken (0 lines in quarantine)"
    )
    assert stored(copy) == stored(folder)


def fill(ledger: Ledger, flow: str, starts, values, quality) -> None:
    from mangrove.ledger import Origin

    for code in set(quality):
        rows = [
            (flow, start, value)
            for start, value, own in zip(starts, values, quality, strict=True)
            if own == code
        ]
        ledger.append(testing.values(rows, code), Origin(f"test:{flow}", str(int(code))))


def test_only_the_period_that_was_asked_is_written(tmp_path):
    folder = station_park(tmp_path / "park")
    steps = [START + timedelta(minutes=5 * i) for i in range(36)]
    with api.open(folder).writer() as ledger:
        fill(ledger, "stack.no2", steps, [1.0] * 36, [Quality.GOOD] * 36)
    paths = live.write_station(
        api.open(folder), "MILL", "2026-11-01T08:00", "2026-11-01T09:00", tmp_path / "files"
    )
    assert [path.name for path in paths] == [
        f"MILL_2026110108{minute:02}00.txt" for minute in range(5, 60, 5)
    ] + ["MILL_20261101090000.txt"]
    (record,) = monitoring.read(paths[0]).records
    assert (record.symbol, record.value, record.unit, record.status) == ("NO2", 1.0, "mg/Nm3", "00")


def test_a_station_without_flows_is_refused_with_the_stations_there_are(tmp_path):
    folder = station_park(tmp_path / "park")
    with pytest.raises(RequestError) as refused:
        live.write_station(api.open(folder), "MIL", "2026", None, tmp_path / "files")
    assert refused.value.code == "cli.no_station"
    assert "MILL" in refused.value.text("vi")
    assert not (tmp_path / "files").exists()
