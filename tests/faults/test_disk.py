# SPDX-License-Identifier: Apache-2.0
"""A disk that is full: values are refused by name, nothing that was answered is lost, and the server goes on when there is room again."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.whole import COUNTER, END, FIRST, ROWS, START, Server, kept, land, post, server, stored
from tests.servers import key

from mangrove.ledger import Ledger

pytestmark = pytest.mark.crash


class Sender:
    """Requests to one server."""

    def __init__(self, running: Server, secret: str) -> None:
        self.running, self.secret = running, secret

    def ask(self, method: str, path: str, document: object = None, secret: str = "") -> tuple[int, str]:
        headers = {"authorization": f"Bearer {secret or self.secret}", "content-type": "application/json"}
        with kept(self.running.port) as connection:
            connection.request(method, path, None if document is None else json.dumps(document), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def send(self, flow: str, number: int) -> int:
        with kept(self.running.port) as connection:
            status, answer = post(connection, self.secret, flow, number)
        if status == 507:
            assert answer["problems"][0]["code"] == "ledger.disk"
        return status

    def read(self, number: int) -> int:
        """A reading of the counter."""
        return self.ask(
            "POST", "/api/v1/values", {"flow": COUNTER, "ts": [FIRST + 60 * number], "value": [number]}
        )[0]


@contextmanager
def limited(running: Server, _: Path) -> Iterator[None]:
    """No file of the server may grow beyond what the smallest log has, as under a quota."""
    hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def filled(_: Server, folder: Path) -> Iterator[None]:
    """Not one byte is left on the disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


def check(folder: Path, full: Callable[[Server, Path], object], logs: Path) -> None:
    """The whole story on one disk."""
    park = land(folder / "park", logs)
    first, second = key(park), key(park)
    with server(park, logs=logs) as running:
        sender = Sender(running, first)
        acked = [number for number in range(20) if sender.send("a0", number) == 200]
        read = [number for number in range(10) if sender.read(number) == 200]
        assert len(acked) == 20
        assert len(read) == 10
        with full(running, folder):
            statuses = [sender.send("a0", number) for number in range(20, 400)]
            acked += [20 + i for i, status in enumerate(statuses) if status == 200]
            assert set(statuses) <= {200, 507}, set(statuses)
            assert statuses[-50:] == [507] * 50
            read += [number for number in range(10, 15) if sender.read(number) == 200]
            # Who reads is still let in, also with a key that was never used: noting its use is not worth a refusal.
            assert sender.ask("GET", "/healthz")[0] == 200
            assert sender.ask("GET", "/api/v1/clock", secret=second)[0] == 200
            assert sender.ask("GET", "/sta/v1.1/Datastreams")[0] == 200
            status, text = sender.ask("POST", "/sta/v1.1/Things", {"name": "t", "description": "d"})
            assert status == 507, (status, text)
            status, text = sender.ask(
                "POST",
                "/api/v1/corrections",
                {"flow": "a0", "ts": FIRST, "value": 3.0, "reason": "test"},
            )
            assert status == 507, (status, text)
            assert running.process.poll() is None
        for number in range(400, 420):
            assert sender.send("a0", number) == 200
            acked.append(number)
        assert sender.read(20) == 200
        assert sender.ask("POST", "/sta/v1.1/Things", {"name": "t", "description": "d"})[0] == 201
    assert "Traceback" not in running.said(), running.said()
    found = stored(park)
    assert set(acked) <= set(found["a0"])
    assert set(found["a0"].values()) == {ROWS}
    assert {*read, 20} <= set(found[f"{COUNTER}#register"])
    with Ledger.open(park / ".mangrove") as ledger:
        assert ledger.verify() == []
        with ledger.snapshot() as snapshot:
            amounts = snapshot.values([COUNTER], START, END).column("value").to_numpy()
    assert amounts.sum() == pytest.approx(20)


def test_files_that_may_not_grow_refuse_values_and_lose_none(tmp_path):
    check(tmp_path, limited, tmp_path)


def test_a_full_disk_refuses_values_and_loses_none(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root; the test with a file size limit covers the rest")
    try:
        check(mount, filled, tmp_path)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
