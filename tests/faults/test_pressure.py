# SPDX-License-Identifier: Apache-2.0
"""Too much of everything: senders faster than the disk, bodies and heads without end, connections that hang, pages that never read."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack

import pytest
from tests.brokers import Mosquitto, publish, until
from tests.faults.whole import COUNTER, FIRST, ROWS, arrived, kept, land, post, server, stored
from tests.servers import key

from mangrove.serve import wire
from mangrove.sources.broker import broker_files

pytestmark = pytest.mark.crash
GROWTH = 150.0
"""MiB that a server may grow under pressure: its queue, and what Arrow keeps for later."""


@pytest.fixture
def park(tmp_path):
    return land(tmp_path / "park")


def test_senders_faster_than_the_disk_are_told_to_wait_and_lose_nothing(park):
    secret = key(park)
    slow = {"MANGROVE_SYNC_DELAY": "0.15", "MANGROVE_QUEUE": "2000"}
    acked, refused = set(), []

    def hurry(port, first):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(first, first + 10):
            headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
            starts = [FIRST + 60 * (number * 500 + i) for i in range(500)]
            body = {"flow": "a0", "ts": starts, "value": [float(number)] * 500}
            connection.request("POST", "/api/v1/values", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                acked.add(number)
            else:
                refused.append((answer.status, answer.getheader("retry-after")))
        connection.close()

    with server(park, env=slow) as running:
        before = running.memory()
        threads = [threading.Thread(target=hurry, args=(running.port, 100 * i)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert running.peak() - before < GROWTH
        running.kill()
    assert refused
    assert set(refused) == {(429, "2")}
    found = stored(park)["a0"]
    assert acked <= set(found)
    assert {found[number] for number in acked} == {500}


@pytest.mark.mosquitto
def test_a_broker_keeps_what_a_slow_disk_cannot_take(park, tmp_path):
    count = 6000
    with Mosquitto(lambda port: broker_files(tmp_path / "broker", port=port)) as broker:
        options = ("--mqtt", f"127.0.0.1:{broker.port}")
        with server(park, *options):
            time.sleep(0.5)
        messages = [
            (f"mg/gw/{('m0', 'm1', COUNTER)[i % 3]}", json.dumps({"ts": FIRST + 60 * i, "value": i}).encode())
            for i in range(count)
        ]
        publish(broker.port, messages)
        with server(park, *options, env={"MANGROVE_SYNC_DELAY": "0.5", "MANGROVE_QUEUE": "100"}) as running:
            before = running.memory()
            until(lambda: arrived(park) == count, "all messages arrive")
            assert running.peak() - before < GROWTH


def test_heads_and_bodies_without_end_are_ended_and_take_little_memory(park):
    secret = key(park)
    with server(park) as running:
        before = running.memory()
        with ExitStack() as stack:
            for start in (
                b"GET / HTTP/1.1\r\nhost: a\r\nx: ",
                b"GET /",
                b"POST /api/v1/values HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
            ):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
                one.sendall(start)
                assert flood(one, 64 << 20) < 8 << 20, start
        one = socket.create_connection(("127.0.0.1", running.port))
        one.sendall(
            f"POST /api/v1/values HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {secret}\r\n"
            "content-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        assert flood(one, 256 << 20, chunked=True) < 64 << 20
        one.close()
        assert running.peak() - before < GROWTH
        assert healthy(running.port)


def flood(one, most, *, chunked=False):
    """Bytes that the other side took before it had enough."""
    sent, piece = 0, b"a" * 65536
    if chunked:
        piece = b"10000\r\n" + piece + b"\r\n"
    one.settimeout(5)
    try:
        while sent < most:
            sent += one.send(piece)
    except OSError:
        pass
    return sent


def healthy(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    return status == 200


def test_hanging_connections_keep_nobody_out_and_are_ended(park):
    secret = key(park)
    with server(park, env={"MANGROVE_HEAD_SECONDS": "2"}) as running, ExitStack() as stack:
        before = running.memory()
        hanging = []
        for i in range(200):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            one.sendall(
                (
                    b"",
                    b"GET / HT",
                    b"POST /api/v1/values HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n",
                    f"POST /api/v1/values HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {secret}\r\n"
                    "content-length: 100\r\n\r\n{".encode(),
                )[i % 4]
            )
            hanging.append(one)
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        assert post(connection, secret, "a0", 1)[0] == 200
        connection.close()
        for one in hanging:  # closed by the server, not by us
            one.settimeout(20)
            assert ended(one)
        assert running.memory() - before < GROWTH
        assert healthy(running.port)
    assert "Traceback" not in running.said(), running.said()


def ended(one):
    try:
        while one.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_more_connections_than_files_leave_the_ledger_its_files(park):
    secret = key(park)
    with server(park) as running, ExitStack() as stack:
        import resource

        hard = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (wire.RESERVE + 40, hard))
        connection = stack.enter_context(kept(running.port))
        assert post(connection, secret, "a0", 0)[0] == 200
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        for number in range(1, 20):
            assert post(connection, secret, "a0", number)[0] == 200
    assert set(stored(park)["a0"].values()) == {ROWS}


def test_pages_that_never_read_their_events_take_little_memory(park):
    secret = key(park)
    with server(park) as running, ExitStack() as stack:
        connection = stack.enter_context(kept(running.port))
        assert post(connection, secret, "a0", 0)[0] == 200
        for _ in range(200):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(f"GET /events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {secret}\r\n\r\n".encode())
        time.sleep(1.0)
        before = running.memory()
        for number in range(1, 100):
            assert post(connection, secret, "a0", number)[0] == 200
        assert running.memory() - before < GROWTH
        assert healthy(running.port)
