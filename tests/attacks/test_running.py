# SPDX-License-Identifier: Apache-2.0
"""A server in a process of its own, knocked at by strangers."""

from __future__ import annotations

import csv
import http.client
import logging
import socket
import stat
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from tests import servers
from tests.serve.whole import six_companies, write

from mangrove.serve import hub
from mangrove.serve.wire import Seldom

KNOCKS = 1_500
"""More lines than a pipe holds (64 KiB) if each knock wrote one."""
WRONG = b"GET / HTTP/9.9\r\nhost: x\r\n\r\n"
CHARGER = (
    b"GET /ocpp/cp1 HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: ocpp1.6\r\nauthorization: Basic Y3AxOng=\r\n\r\n"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running") / "park"
    six_companies(folder)
    counter = {
        "id": "mill.charge",
        "place": "mill",
        "carrier": "electricity",
        "unit": "kWh",
        "semantics": "counter",
    }
    write(folder, "flows.csv", [*rows(folder / "flows.csv"), counter])
    write(
        folder,
        "devices.csv",
        [*rows(folder / "devices.csv"), {"id": "cp1", "protocol": "ocpp", "place": "mill"}],
    )
    point = {
        "device": "cp1",
        "address": "connector/1/Energy.Active.Import.Register",
        "flow": "mill.charge",
        "unit": "kWh",
    }
    write(folder, "points.csv", [point])
    with servers.running(folder) as (url, process, _):
        yield url, process, folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def knock(url, what):
    host, port = url.rpartition("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as knocking:
        knocking.sendall(what)
        return knocking.recv(200)


@pytest.mark.parametrize("what", [WRONG, CHARGER, b"\x16\x03\x01\x02\x00\x01\x00"])
def test_strangers_cannot_stop_a_server_whose_log_nobody_reads(running, what):
    url, *_ = running
    for _ in range(KNOCKS):
        knock(url, what)
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        assert answer.status == 200


def test_a_line_of_the_log_that_strangers_cause_is_written_once_a_minute():
    now = [0.0]
    seldom = Seldom(now=lambda: now[0])
    record = logging.makeLogRecord({"msg": "Invalid HTTP request received."})
    assert [seldom.filter(record) for _ in range(3)] == [True, False, False]
    assert seldom.filter(logging.makeLogRecord({"msg": "something else"}))
    now[0] = 61.0
    assert seldom.filter(record)


def test_one_key_opens_so_many_streams_and_no_more(running):
    url, _, folder = running
    key, open_ = servers.key(folder), []
    request = f"GET /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    host, port = url.rpartition("/")[2].split(":")
    try:
        for _ in range(hub.MOST_OF_ONE + 5):
            stream = socket.create_connection((host, int(port)), timeout=10)
            stream.sendall(request)
            open_.append((stream, stream.recv(12).decode()))
    finally:
        for stream, _ in open_:
            stream.close()
    assert Counter(said for _, said in open_) == {"HTTP/1.1 200": hub.MOST_OF_ONE, "HTTP/1.1 503": 5}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1@evil.example", "evil.example:80", ""])
def test_no_redirection_takes_its_host_from_the_request(running, host):
    client = http.client.HTTPConnection(running[0].rpartition("/")[2], timeout=10)
    client.putrequest("GET", "/now", skip_host=True)
    client.putheader("host", host)
    client.putheader("accept", "text/html")
    client.endheaders()
    assert client.getresponse().headers["location"] == "/login?next=/now"
    client.close()


def test_who_names_another_address_for_itself_has_no_more_tries(running):
    client = http.client.HTTPConnection(running[0].rpartition("/")[2], timeout=10)
    statuses = []
    for i in range(15):
        forged = {
            "authorization": f"Bearer mg_{i}",
            "x-forwarded-for": f"10.0.0.{i}",
            "forwarded": f"for=10.0.0.{i}",
        }
        client.request("GET", "/now.json", headers=forged)
        answer = client.getresponse()
        answer.read()
        statuses.append(answer.status)
    client.close()
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_the_file_of_accounts_is_for_its_owner_and_no_secret_stands_in_the_command(running):
    _, process, folder = running
    for path in (folder / ".mangrove").glob("access.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert "mg_" not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
