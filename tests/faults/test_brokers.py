# SPDX-License-Identifier: Apache-2.0
"""A broker that goes and comes back, a network that breaks, a backlog, and two servers with one name: every message arrives, once.

`MANGROVE_BACKLOG` sets the messages that wait (default 4,000; a night's run 50,000).
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from tests.brokers import Mosquitto, publish
from tests.faults.proxy import Tap
from tests.faults.whole import COUNTER, FIRST, METERS, Meters, arrived, land, server, stored

from mangrove.ledger import Ledger
from mangrove.sources.broker import broker_files

pytestmark = [pytest.mark.crash, pytest.mark.mosquitto]
BACKLOG = int(os.environ.get("MANGROVE_BACKLOG", "4000"))
GROWTH = 200.0
"""MiB that draining may take: a group of messages, its values, and what Arrow and the broker's client keep."""


@pytest.fixture
def park(tmp_path):
    return land(tmp_path / "park")


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(lambda port: broker_files(tmp_path / "broker", port=port)) as one:
        yield one


def messages(count, first=0):
    flows = (*METERS, COUNTER)
    return [
        (f"mg/gw/{flows[i % 3]}", json.dumps({"ts": FIRST + 60 * i, "value": i}).encode())
        for i in range(first, first + count)
    ]


def known_to(broker, park):
    """Lets a server make its session at the broker."""
    with server(park, "--mqtt", f"127.0.0.1:{broker.port}"):
        time.sleep(0.5)


def wait(done, what, seconds=120):
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def assert_once(park, count):
    found = stored(park)
    numbers = [found.get(name, {}) for name in (*METERS, f"{COUNTER}#register")]
    assert sum(len(one) for one in numbers) == count
    assert all(set(one.values()) <= {1} for one in numbers)
    with Ledger.open(park / ".mangrove") as ledger:
        assert ledger.verify() == []


def test_a_backlog_arrives_although_broker_and_server_are_killed_meanwhile(park, broker):
    known_to(broker, park)
    publish(broker.port, messages(BACKLOG))
    broker.stop()  # it saves what it holds
    broker.start()
    options = ("--mqtt", f"127.0.0.1:{broker.port}")
    with server(park, *options, env={"MANGROVE_SYNC_DELAY": "0.1"}) as running:
        before = running.memory()
        wait(lambda: arrived(park) > 0, "the first arrive")
        grown = running.peak() - before
        running.kill()
    with server(park, *options) as running:
        before = running.memory()
        wait(lambda: arrived(park) == BACKLOG, "all arrive")
        grown = max(grown, running.peak() - before)
    assert grown < GROWTH
    assert_once(park, BACKLOG)


def test_messages_arrive_once_over_a_network_that_breaks(park, broker):
    known_to(broker, park)
    rng = random.Random(1)
    with Tap(broker.port) as tap, server(park, "--mqtt", f"127.0.0.1:{tap.port}") as running:
        meters = Meters(broker.port, rate=500)
        for _ in range(6):
            time.sleep(rng.uniform(0.1, 0.6))
            tap.cut()
        meters.stop()
        wait(lambda: arrived(park) == meters.count, "all arrive")
        assert running.process.poll() is None
    assert_once(park, meters.count)


def test_a_broker_that_is_gone_and_back_finds_the_server_again(park, broker):
    with server(park, "--mqtt", f"127.0.0.1:{broker.port}"):
        time.sleep(0.5)
        publish(broker.port, messages(300))
        broker.stop()
        time.sleep(0.5)
        broker.start()
        publish(broker.port, messages(300, first=300))
        wait(lambda: arrived(park) == 600, "all arrive")
    assert_once(park, 600)


def test_two_servers_with_one_name_take_turns_and_lose_nothing(tmp_path, broker):
    parks = [land(tmp_path / name / "park") for name in ("one", "two") if not (tmp_path / name).mkdir()]
    known_to(broker, parks[0])
    options = ("--mqtt", f"127.0.0.1:{broker.port}")
    with server(parks[0], *options) as one, server(parks[1], *options) as two:
        meters = Meters(broker.port, rate=300)
        time.sleep(3.0)
        meters.stop()

        def both():
            found = [stored(park) if (park / ".mangrove/catalog.db").exists() else {} for park in parks]
            return {
                (name, value)
                for one in found
                for name in (*METERS, f"{COUNTER}#register")
                for value in one.get(name, ())
            }

        wait(lambda: len(both()) == meters.count, "all arrive here or there")
        assert one.process.poll() is None
        assert two.process.poll() is None
    for park in parks:
        with Ledger.open(park / ".mangrove") as ledger:
            assert ledger.verify() == []
