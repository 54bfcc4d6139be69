# SPDX-License-Identifier: Apache-2.0
"""The broker's files let each device write its own topics and nothing else, checked on a real Mosquitto."""

import base64
import csv
import hashlib
import threading
import time
from dataclasses import replace

import pytest
from tests.brokers import PATIENCE, Mosquitto, client, until

from mangrove.sources.broker import access_list, broker_files, hashed, password_of
from mangrove.territory.model import Device, Point


@pytest.fixture(scope="module")
def park(world, flow):
    made = world(flow("energy"), flow("power", "kW", semantics="mean"), flow("swaps", "item"))
    devices = {id_: Device(id_, "mqtt", "park") for id_ in ("a", "b", "hub", "edge")}
    points = (
        Point("a", "site/a/+#e", "energy"),
        Point("hub", "mg/hub/swap/event#count", "swaps"),
        Point("edge", "spBv1.0/P/+/n/d#Power", "power", None, "sparkplug"),
    )
    return replace(made, devices={**devices, "plc": Device("plc", "modbus", "park")}, points=points)


@pytest.fixture(scope="module")
def broker(park, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broker")
    with Mosquitto(lambda port: broker_files(folder, park, port)) as running:
        yield running.port, folder


def test_a_hash_is_that_of_pbkdf2_with_its_salt_and_rounds():
    _, kind, rounds, salt, key = hashed("secret").split("$")
    made = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), int(rounds))
    assert (kind, base64.b64decode(key)) == ("7", made)
    assert hashed("secret") != hashed("secret")


def test_passwords_are_for_the_owner_only_and_stay_when_the_files_are_written_again(park, tmp_path):
    broker_files(tmp_path, park)
    first = password_of(tmp_path, "a")
    hashes = (tmp_path / "passwords").read_text()
    assert {oct((tmp_path / name).stat().st_mode & 0o777) for name in ("passwords", "credentials.csv")} == {
        "0o600"
    }
    more = replace(park, devices={**park.devices, "new": Device("new", "mqtt", "park")})
    broker_files(tmp_path, more)
    assert password_of(tmp_path, "a") == first
    assert (tmp_path / "passwords").read_text().startswith(hashes)
    (tmp_path / "credentials.csv").unlink()  # carried to the devices and deleted, as it should be
    fewer = replace(more, devices={id_: one for id_, one in more.devices.items() if id_ != "b"}, points=())
    broker_files(tmp_path, fewer)
    users = [line.split(":")[0] for line in (tmp_path / "passwords").read_text().splitlines()]
    assert users == ["mangrove", "a", "hub", "edge", "new"]
    with (tmp_path / "credentials.csv").open() as file:
        assert list(csv.DictReader(file)) == []


def test_only_mqtt_devices_are_users_and_none_may_write_everything(park):
    text = access_list(park)
    assert [line for line in text.splitlines() if line.startswith("user ")] == [
        "user mangrove", "user a", "user b", "user hub", "user edge",
    ]  # fmt: skip
    assert not [line for line in text.splitlines() if line.startswith("topic write") and line.endswith(" #")]
    assert "topic write spBv1.0/P/DDATA/n/d" in text.split("user edge")[1]
    assert "topic write spBv1.0/P/NCMD/n" in text.split("user a")[0]


def test_without_a_territory_only_this_machine_may_connect_and_a_network_listener_asks_for_passwords(
    park, tmp_path
):
    text = broker_files(tmp_path / "demo").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert "max_inflight_messages 0" in lines
    assert "persistence true" in lines
    assert [line for line in lines if line.startswith("listener")] == ["listener 1883 127.0.0.1"]
    assert "allow_anonymous true" in lines
    text = broker_files(tmp_path / "plant", park, tls_port=8883).read_text()
    assert text.count("allow_anonymous false") == 2
    assert "allow_anonymous true" not in text
    assert "listener 8883" in text.split("certfile")[0]


def connected(port, user, password):
    """The reason that the broker gives to a user."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    answer, heard = [], threading.Event()
    one = Client(CallbackAPIVersion.VERSION2, f"try-{time.monotonic_ns()}")
    one.on_connect = lambda *said: (answer.append(said[3].is_failure), heard.set())
    if user is not None:
        one.username_pw_set(user, password)
    one.connect("127.0.0.1", port)
    one.loop_start()
    assert heard.wait(PATIENCE)
    one.disconnect()
    one.loop_stop()
    return not answer[0]


@pytest.mark.mosquitto
def test_strangers_are_refused(broker):
    port, folder = broker
    assert connected(port, "a", password_of(folder, "a"))
    assert not connected(port, None, None)
    assert not connected(port, "a", password_of(folder, "b"))
    assert not connected(port, "plc", "")


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("user", "allowed", "denied"),
    [
        ("a", ["site/a/1", "mg/a/x"], ["mg/b/x", "site/b/1", "mg/hub/swap/set", "spBv1.0/P/NCMD/n"]),
        ("b", ["mg/b/x"], ["site/a/1", "mg/a/x"]),
        ("hub", ["mg/hub/swap/event", "mg/hub/swap/state"], ["mg/a/x"]),
        ("edge", ["spBv1.0/P/DDATA/n/d", "spBv1.0/P/NBIRTH/n"], ["spBv1.0/P/NCMD/n", "spBv1.0/P/NBIRTH/m"]),
        ("mangrove", ["mg/hub/swap/set", "spBv1.0/P/NCMD/n"], ["mg/a/x", "site/a/1"]),
    ],
)
def test_a_user_writes_its_own_topics_and_no_other(broker, user, allowed, denied):
    """Messages are heard through the listener's own account and, for its set-points, the device's."""
    port, folder = broker
    heard: list[tuple[str, bytes]] = []
    ears = []
    for who, topics in (
        ("mangrove", ["mg/#", "site/a/+", "spBv1.0/P/+/n", "spBv1.0/P/+/n/d"]),
        ("hub", ["mg/hub/swap/set"]),
        ("edge", ["spBv1.0/P/NCMD/n"]),
    ):
        ear = client(port, f"ear-{who}-{user}", who, password_of(folder, who))
        ready = threading.Event()
        ear.on_message = lambda _c, _d, message: heard.append((message.topic, message.payload))
        ear.on_subscribe = lambda *_, ready=ready: ready.set()
        ear.subscribe([(topic, 1) for topic in topics])
        assert ready.wait(PATIENCE)
        ears.append(ear)
    mark = f"{user}-{time.monotonic_ns()}".encode()
    sender = client(port, f"sender-{user}", user, password_of(folder, user))
    for topic in (*denied, *allowed):  # in this order: what is allowed arrives last
        sender.publish(topic, mark, qos=1).wait_for_publish(PATIENCE)
    until(lambda: {topic for topic, payload in heard if payload == mark} >= set(allowed), str(heard))
    assert {topic for topic, payload in heard if payload == mark} == set(allowed)
    for one in (sender, *ears):
        one.disconnect()
        one.loop_stop()


def test_a_device_with_a_key_has_no_other_password(tmp_path, park):
    plain = password_of
    broker_files(tmp_path / "b", park)
    device = next(one.id for one in park.devices.values() if one.protocol == "mqtt")
    assert plain(tmp_path / "b", device)
    broker_files(tmp_path / "b", park, keys={device: hashed("key", b"0123456789ab", 101)})
    assert plain(tmp_path / "b", device) is None
    lines = (tmp_path / "b" / "passwords").read_text().splitlines()
    assert f"{device}:{hashed('key', b'0123456789ab', 101)}" in lines
