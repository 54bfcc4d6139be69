# SPDX-License-Identifier: Apache-2.0
"""The connector of a server against a real Mosquitto: acknowledged means stored, whatever breaks on the way."""

import json
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.brokers import Mosquitto, client, free_port, publish, until
from tests.swap_station import SwapStation

from mangrove.errors import LedgerError, SourceError
from mangrove.ledger import Ledger, Quality
from mangrove.sources import mqtt
from mangrove.sources.broker import broker_files, password_of
from mangrove.sources.intake import Intake
from mangrove.sources.mqtt import MqttConnector
from mangrove.sources.mqtt_sparkplug import payload_class
from mangrove.territory.model import Device, Point

pytestmark = pytest.mark.mosquitto
START = datetime(2026, 11, 1, tzinfo=UTC)
LATER = START + timedelta(days=2)


class Stopped:
    """A clock that stands where the test puts it."""

    def __init__(self, at: datetime = LATER) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@pytest.fixture(scope="module")
def park(world, flow):
    made = world(
        flow("f0", step="1min"),
        flow("f1", step="1min"),
        flow("draw", "kW", semantics="mean"),
        flow("import", semantics="counter"),
        flow("swaps", "item"),
        flow("swapped"),
        flow("full", "item", semantics="state"),
    )
    devices = {"gateway": Device("gateway", "mqtt", "park"), "hub": Device("hub", "mqtt", "park")}
    points = (
        Point("gateway", "mg/gateway/f0", "f0"),
        Point("hub", "mg/hub/swap/event#count", "swaps"),
        Point("hub", "mg/hub/swap/event#energy", "swapped"),
        Point("hub", "mg/hub/swap/meter#import", "import"),
        Point("hub", "mg/hub/swap/meter#power", "draw"),
        Point("hub", "mg/hub/swap/state#full", "full"),
    )
    return replace(made, devices=devices, points=points)


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(lambda port: broker_files(tmp_path / "broker", port=port)) as running:
        yield running


@contextmanager
def serving(park, ledger, port, clock=None, intake=None, **options):
    """A connector that runs, subscribed; its intake is the ledger's own unless another is given."""
    with Intake(ledger, park) as own:
        connector = MqttConnector(intake or own, park, clock or Stopped(), port=port, wait=0.05, **options)
        connector.start()
        try:
            until(lambda: connector.connected, "the broker did not let us in")
            time.sleep(0.2)  # the subscription is not visible from outside
            yield connector
        finally:
            connector.stop()


def reading(flow: int, minute: int, value: float) -> tuple[str, bytes]:
    at = (START + timedelta(minutes=minute)).isoformat()
    return f"mg/gateway/f{flow}", json.dumps({"ts": at, "value": value}).encode()


def test_a_station_is_heard_and_followed_and_a_swap_counts_once_over_restarts(park, tmp_path, rows, ledger):
    folder = tmp_path / "broker"
    with Mosquitto(lambda port: broker_files(folder, park, port)) as running:
        access = {"username": "mangrove", "password": password_of(folder)}
        station = SwapStation(running.port, "hub", "hub", password_of(folder, "hub"))
        clock = Stopped()
        with serving(park, ledger, running.port, clock, **access) as connector:
            station.run(0)
            station.swap(times=3)
            connector.set_swap("hub", 2.0, START + timedelta(minutes=20))
            assert station.heard.wait(30)
            station.run(15)
            station.run(15)
            station.swap()
            station.swap()
            until(lambda: connector.report.messages >= 11, str(connector.report))
            assert {one.device: one.status for one in connector.state()} == {"gateway": "never", "hub": "ok"}
            clock.at += timedelta(hours=1)
            assert connector.state()[1].status == "late"
        with serving(park, ledger, running.port, **access) as connector:
            station.swaps -= 1
            station.slots[3].update(status="full")
            station.swap()  # the last event once more, after a restart on both sides
            until(lambda: connector.report.messages >= 1, str(connector.report))
        station.close()
    assert rows("swaps") == [
        ("2026-11-01T00:00", 1.0, 0),
        ("2026-11-01T00:15", 0.0, 0),
        ("2026-11-01T00:30", 2.0, 0),
    ]
    assert sum(value for _, value, _ in rows("swapped")) == pytest.approx(3 * 1.28)
    assert [value for _, value, _ in rows("import")] == pytest.approx(
        [2.0 / 4, 5.0 / 4]
    )  # kWh in 15 min at the asked, the usual power
    assert [(at, value) for at, value, _ in rows("draw")] == [
        ("2026-11-01T00:00", 5.0), ("2026-11-01T00:15", 2.0), ("2026-11-01T00:30", 5.0),
    ]  # fmt: skip
    assert rows("full")[0] == ("2026-11-01T00:00", 4.0, 0)


def test_a_broker_that_is_stopped_and_started_again_while_meters_publish_loses_nothing(
    broker, park, ledger, rows
):
    with serving(park, ledger, broker.port) as connector:
        sender = client(broker.port, "meters", clean_session=False)
        for minute in range(400):
            sender.publish(*reading(0, minute, minute), qos=1)
        until(lambda: connector.report.messages >= 100, "nothing arrived")
        broker.stop()
        for minute in range(400):  # the meter keeps them until somebody takes them
            sender.publish(*reading(1, minute, minute), qos=1)
        until(lambda: not connector.connected, "the connector did not notice")
        assert [one.problem.code for one in connector.state()] == ["mqtt.broker_gone"] * 2
        broker.start()
        until(lambda: len(rows("f0")) == 400 and len(rows("f1")) == 400, "not all arrived")
        sender.disconnect()
        sender.loop_stop()
    for flow in ("f0", "f1"):
        assert [value for _, value, _ in rows(flow)] == [float(minute) for minute in range(400)]


def test_a_broker_that_is_killed_forgets_us_and_is_told_again(broker, park, ledger, rows):
    with serving(park, ledger, broker.port) as connector:
        publish(broker.port, [reading(0, 0, 1.0)])
        until(lambda: rows("f0"), "nothing arrived")
        broker.stop(kill=True)
        until(lambda: not connector.connected, "the connector did not notice")
        broker.start()
        until(lambda: connector.connected, "the connector did not come back")
        time.sleep(0.2)
        publish(broker.port, [reading(0, 0, 1.0), reading(0, 1, 2.0)])
        until(lambda: len(rows("f0")) == 2, "nothing arrived after the restart")
    assert [value for _, value, _ in rows("f0")] == [1.0, 2.0]


class Refusing:
    """An intake that refuses some times before it works, and notes what it took."""

    def __init__(self, intake: Intake, *errors: Exception) -> None:
        self.intake, self.errors, self.took = intake, list(errors), 0

    def put(self, *batch, **options):
        if self.errors:
            raise self.errors.pop(0)
        self.took += 1
        return self.intake.put(*batch, **options)

    def call(self, work):
        return self.intake.call(work)


def test_what_a_full_intake_or_a_full_disk_refuses_is_not_acknowledged_and_comes_again(
    broker, park, ledger, rows
):
    with Intake(ledger, park) as intake:
        refusing = Refusing(
            intake,
            SourceError("sources.busy", rows=1),
            LedgerError("ledger.disk", reason="full"),
            TimeoutError(),
        )
        connector = MqttConnector(refusing, park, Stopped(), port=broker.port, wait=0.05)
        connector.start()
        until(lambda: connector.connected, "the broker did not let us in")
        time.sleep(0.2)
        publish(broker.port, [reading(0, minute, minute) for minute in range(50)])
        until(lambda: len(rows("f0")) == 50, "what was refused did not come again")
        until(lambda: connector.state()[0].problem is None, "the health still says that it fails")
        assert (refusing.errors, connector.report.messages) == ([], 50)
        connector.stop()


def test_messages_wait_at_the_broker_while_nobody_listens(broker, park, ledger, rows):
    with serving(park, ledger, broker.port):
        pass
    publish(broker.port, [reading(0, minute, minute) for minute in range(30)])
    with serving(park, ledger, broker.port) as connector:
        until(lambda: connector.report.messages >= 30, "what was kept did not arrive")
    assert len(rows("f0")) == 30


def test_poison_is_set_aside_and_acknowledged_once(broker, park, ledger, rows):
    huge = json.dumps({"ts": list(range(100_001)), "value": [1] * 100_001}).encode()
    poison = [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"ts": 1, "value": 1e999}',
        b'{"ts": "x", "value": 1}',
        huge,
    ]
    with serving(park, ledger, broker.port) as connector:
        publish(broker.port, [("mg/gateway/f0", one) for one in poison] + [reading(0, 1, 7.0)])
        until(lambda: connector.report.messages >= 7, str(connector.report))
    assert [value for _, value, _ in rows("f0")] == [7.0]
    assert sorted(map(len, ledger.quarantine().column("raw").to_pylist())) == sorted(map(len, poison))
    with serving(park, ledger, broker.port) as connector:
        time.sleep(0.5)
        assert connector.report.messages == 0


def test_a_hundred_thousand_readings_arrive_as_one_message(broker, park, ledger, rows):
    at = [int(START.timestamp()) + 60 * i for i in range(100_000)]
    payload = json.dumps({"ts": at, "value": [i % 7 for i in range(100_000)]}).encode()
    with serving(park, ledger, broker.port, Stopped(START + timedelta(days=100))) as connector:
        publish(broker.port, [("mg/gateway/f0", payload)])
        until(lambda: connector.report.messages >= 1, "the message did not arrive")
    assert [value for _, value, _ in rows("f0")] == [float(i % 7) for i in range(100_000)]


def test_readings_out_of_order_twice_and_from_a_wrong_clock_are_each_what_they_are(
    broker, park, ledger, rows
):
    clock = Stopped(START + timedelta(minutes=10))
    sent = [reading(0, minute, minute) for minute in (3, 1, 2, 2, 60, 0, 1)]
    with serving(park, ledger, broker.port, clock) as connector:
        publish(broker.port, sent)
        until(lambda: connector.report.messages >= 7, str(connector.report))
    assert [(value, quality) for _, value, quality in rows("f0")] == [
        (0.0, 0), (1.0, 0), (2.0, 0), (3.0, 0), (60.0, Quality.CLOCK),
    ]  # fmt: skip


def test_a_broker_that_is_not_there_yet_is_waited_for(broker, park, ledger, rows):
    broker.stop()
    with Intake(ledger, park) as intake:
        connector = MqttConnector(intake, park, Stopped(), port=broker.port, wait=0.05)
        connector.start()
        until(lambda: connector.state()[0].problem is not None, "the health does not say what is wrong")
        broker.start()
        until(lambda: connector.connected, "the connector did not find the broker")
        connector.stop()
    assert threading.active_count() < 20


CONSUMER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from datetime import UTC, datetime
from mangrove.ledger import Ledger
from mangrove.sources.intake import Intake
from mangrove.sources.mqtt import Machine, MqttConnector
from mangrove.territory.model import Carrier, Device, Flow, Place, Point, Territory
from mangrove.times import Step
from mangrove.units import unit
step = Step.parse("15min")
flows = {
    "f0": Flow("f0", "p", Carrier("electricity"), unit("kWh"), Step.parse("1min")),
    "swaps": Flow("swaps", "p", Carrier("material", "battery_pack"), unit("item"), step),
}
park = Territory(
    Path("p"), "P", "park", "Asia/Ho_Chi_Minh", "VND", "vi", None, {"p": Place("p", "P", "park")}, flows,
    devices={"hub": Device("hub", "mqtt", "p")}, points=(Point("hub", "mg/hub/swap/event#count", "swaps"),),
)
with Ledger.open(Path(sys.argv[1])) as ledger, Intake(ledger, park) as intake:
    intake.subscribe(lambda arrival: print(arrival.cut, flush=True))
    MqttConnector(intake, park, Machine(), port=int(sys.argv[2]), group=100, wait=0.05).start()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_killed_server_loses_nothing_and_counts_no_swap_twice(broker, tmp_path):
    first = client(
        broker.port, "mangrove", clean_session=False
    )  # from now on the broker keeps messages for it
    first.subscribe("mg/#", qos=1)
    time.sleep(0.3)
    first.disconnect()
    first.loop_stop()
    sent = [reading(0, minute, minute) for minute in range(1500)]
    for i in range(300):
        swap = {"ts": (START + timedelta(minutes=2 * i)).isoformat(), "id": f"s{i}"}
        sent[5 * i] = ("mg/hub/swap/event", json.dumps(swap).encode())
    publisher = threading.Thread(target=publish, args=(broker.port, sent), daemon=True)
    publisher.start()
    store, source = tmp_path / "store", str(Path(mqtt.__file__).parents[2])
    for commits in (2, 3, None):
        consumer = subprocess.Popen(
            [sys.executable, "-c", CONSUMER, str(store), str(broker.port), source],
            stdout=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(30, consumer.kill)
        watchdog.start()
        if commits is None:
            publisher.join()
            until(lambda: counted(store) == (1200, 300.0), str(counted(store)))
        else:
            for _ in zip(range(commits + 1), iter(consumer.stdout.readline, ""), strict=False):
                pass
        consumer.kill()
        watchdog.cancel()
        consumer.wait()
        consumer.stdout.close()
    with Ledger.open(store, read_only=True) as ledger, ledger.snapshot() as snapshot:
        versions = snapshot.connection.execute("select count(*) from version").fetchall()[0][0]
        steps = snapshot.values(["swaps"], START, START + timedelta(days=2))
    assert steps.num_rows == 300 * 2 // 15
    assert versions >= 1200 + 300 + 300 * 2 // 15


def counted(store: Path) -> tuple[int, float]:
    """How many readings of f0 are stored, and how many swaps were counted."""
    if not store.exists():
        return 0, 0.0
    with Ledger.open(store, read_only=True) as ledger, ledger.snapshot() as snapshot:
        readings, swaps = (
            snapshot.values([flow], START, START + timedelta(days=2)) for flow in ("f0", "swaps")
        )
    return readings.num_rows, sum(swaps.column("value").to_pylist())


def test_a_sparkplug_node_is_asked_for_its_birth_and_understood_after_it(broker, park, ledger, rows):
    point = Point("gateway", "spBv1.0/P/+/edge#Energy", "import", None, "sparkplug")
    asked = threading.Event()
    node = client(broker.port, "edge")
    node.on_message = lambda *_: asked.set()
    node.subscribe("spBv1.0/P/NCMD/edge")
    said = payload_class()
    at = int(START.timestamp() * 1000)

    def say(kind: str, seq: int, **metric: object) -> None:
        message = said(timestamp=at, seq=seq)
        message.metrics.add(timestamp=at + seq * 900_000, datatype=10, **metric)
        node.publish(f"spBv1.0/P/{kind}/edge", message.SerializeToString())

    world = replace(park, points=(point,))
    with serving(world, ledger, broker.port) as connector:
        say("NDATA", 4, alias=7, double_value=1.0)
        assert asked.wait(30)
        say("NBIRTH", 0, alias=7, name="Energy", double_value=100.0)
        say("NDATA", 1, alias=7, double_value=103.5)
        until(lambda: connector.report.messages >= 3, str(connector.report))
    node.disconnect()
    node.loop_stop()
    assert rows("import") == [("2026-11-01T00:00", 3.5, 0)]
    assert ledger.quarantine().column("code").to_pylist() == ["mqtt.no_birth"]


def test_a_network_listener_speaks_tls(park, tmp_path, rows, ledger):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder, tls = tmp_path / "broker", free_port()
    folder.mkdir()
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", folder / "server.key", "-out", folder / "server.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip

    def write(port: int) -> Path:
        path = broker_files(folder, park, port, tls_port=tls)
        path.write_text(path.read_text().replace(f"listener {tls}", f"listener {tls} 127.0.0.1"))
        return path

    with Mosquitto(write) as running:
        access = {"username": "mangrove", "password": password_of(folder), "ca_file": folder / "server.crt"}
        with serving(park, ledger, tls, **access) as connector:
            sent = [reading(0, minute, minute) for minute in range(3000)]
            publish(running.port, sent, "gateway", password_of(folder, "gateway"))
            until(lambda: connector.report.messages >= 3000, str(connector.report))
        with serving(park, ledger, tls, **access) as connector:
            time.sleep(0.5)
            assert connector.report.messages == 0  # all were acknowledged
    assert len(rows("f0")) == 3000
