# SPDX-License-Identifier: Apache-2.0
"""A real Mosquitto with the shipped configuration: nothing is lost and nothing is stored twice, kills included."""

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.brokers import client, mosquitto, publish

from mangrove.errors import SourceError
from mangrove.ledger import Ledger
from mangrove.sources import broker as files
from mangrove.sources import mqtt

pytestmark = pytest.mark.mosquitto
START = datetime(2026, 11, 1, tzinfo=UTC)
CONSUMER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from mangrove.ledger import Ledger
from mangrove.sources import mqtt
from mangrove.territory.model import Carrier, Flow, Place, Territory
from mangrove.times import Step
from mangrove.units import unit
flows = {f"f{i}": Flow(f"f{i}", "p", Carrier("electricity"), unit("kWh"), Step.parse("1min")) for i in range(4)}
park = Territory(Path("p"), "P", "park", "Asia/Ho_Chi_Minh", "VND", "vi", None, {"p": Place("p", "P", "park")}, flows)
with Ledger.open(Path(sys.argv[1])) as ledger:
    print("ready", flush=True)
    mqtt.listen(ledger, park, address=mqtt.Address(port=int(sys.argv[2])), group=200, wait=0.05, on_commit=lambda r: print(r.rows, flush=True))
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The port of a broker that runs with the shipped configuration."""
    folder = tmp_path_factory.mktemp("broker")
    with mosquitto(lambda port: files.broker_files(folder, port=port)) as port:
        yield port


def reading(flow: int, minute: int, value: float) -> tuple[str, bytes]:
    at = (START + timedelta(minutes=minute)).isoformat()
    return f"mg/gateway/f{flow}", json.dumps({"ts": at, "value": value}).encode()


def register_session(port: int, name: str) -> None:
    """Makes the broker keep messages for a listener that is not there yet."""
    first = client(port, name, clean_session=False)
    first.subscribe("mg/#", qos=1)
    time.sleep(0.3)
    first.disconnect()
    first.loop_stop()


def listen_until(ledger, park, port, count, name, **options):
    """Runs the listener until `count` messages are acknowledged, or 20 seconds have passed."""
    seen = []
    deadline = time.monotonic() + 20
    return mqtt.listen(
        ledger,
        park,
        address=mqtt.Address(port=port, client_id=name),
        on_commit=seen.append,
        stop=lambda: (
            sum(r.rows + r.unchanged + r.rejected for r in seen) >= count or time.monotonic() > deadline
        ),
        **options,
    )


@pytest.fixture
def park(world, flow):
    return world(*(flow(f"f{i}", step="1min") for i in range(4)), flow("meter", semantics="counter"))


def test_readings_are_stored_and_poison_is_quarantined_and_acknowledged(broker, park, ledger, rows):
    register_session(broker, "one")
    publish(
        broker,
        [
            reading(0, 0, 1.5),
            ("mg/gateway/f0", b"junk"),
            reading(1, 0, 2.5),
            ("mg/gateway/nothing", b'{"ts": 1, "value": 1}'),
        ],
    )
    report = listen_until(ledger, park, broker, 4, "one")
    assert (report.messages, report.stored, report.quarantined) == (4, 2, 2)
    assert rows("f0") == [("2026-11-01T00:00", 1.5, 0)]
    kept = ledger.quarantine()
    assert kept.column("raw").to_pylist()[0] == b"junk"
    assert set(kept.column("code").to_pylist()) == {"sources.bad_message", "sources.unknown_topic"}
    again = mqtt.listen(
        ledger, park, address=mqtt.Address(port=broker, client_id="one"), stop=stop_after(0.6)
    )
    assert again.messages == 0


def stop_after(seconds: float):
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def test_a_value_that_is_set_back_to_what_it_was_is_not_taken_for_a_repetition(broker, park, ledger, rows):
    register_session(broker, "back")
    for value in (1.0, 2.0, 1.0):
        publish(broker, [reading(2, 7, value)])
        listen_until(ledger, park, broker, 1, "back")
    assert rows("f2") == [("2026-11-01T00:07", 1.0, 0)]


def test_registers_get_their_amounts(broker, park, ledger, rows):
    register_session(broker, "counter")
    at = [(START + timedelta(minutes=15 * i)).isoformat() for i in range(3)]
    publish(broker, [("mg/gateway/meter", json.dumps({"ts": at, "value": [100, 103, 107]}).encode())])
    listen_until(ledger, park, broker, 3, "counter")
    assert [value for _, value, _ in rows("meter")] == [3.0, 4.0]


def test_a_killed_consumer_loses_nothing_and_stores_nothing_twice(broker, tmp_path):
    register_session(broker, "mangrove")
    store = tmp_path / "store"
    source = str(Path(mqtt.__file__).parents[2])
    sent = [reading(i % 4, i // 4, float(i)) for i in range(6000)]
    publisher = threading.Thread(target=publish, args=(broker, sent), daemon=True)
    publisher.start()
    commits = 0
    for kill_after in (2, 4, 3, None):
        consumer = subprocess.Popen(
            [sys.executable, "-c", CONSUMER, str(store), str(broker), source],
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = 0
        deadline = time.monotonic() + 20
        watchdog = threading.Timer(20, consumer.kill)
        watchdog.start()
        if kill_after is None:
            publisher.join()
            while time.monotonic() < deadline and stored(store) < len(sent):
                time.sleep(0.2)
        else:
            for _ in iter(consumer.stdout.readline, ""):
                lines += 1
                if lines > kill_after:
                    break
        commits += max(lines - 1, 0)
        consumer.send_signal(signal.SIGKILL)
        watchdog.cancel()
        consumer.wait()
        consumer.stdout.close()
    assert commits >= 9
    with Ledger.open(store, read_only=True) as ledger, ledger.snapshot() as snapshot:
        found = snapshot.values([f"f{i}" for i in range(4)], START, START + timedelta(days=30))
        assert sorted(found.column("value").to_pylist()) == [float(i) for i in range(6000)]
        versions = snapshot.connection.execute("select count(*) from version").fetchall()[0][0]
        assert versions == 6000


def stored(store: Path) -> int:
    with Ledger.open(store, read_only=True) as ledger:
        return sum(ledger.batches().column("rows").to_pylist())


def test_a_broker_that_is_not_there_is_an_error_in_words(park, ledger):
    with pytest.raises(SourceError) as caught:
        mqtt.listen(ledger, park, address=mqtt.Address(port=1))
    assert caught.value.code == "sources.broker_refused"
