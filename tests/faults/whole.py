# SPDX-License-Identifier: Apache-2.0
"""Kills `mangrove serve` while gateways send over HTTP and meters publish over MQTT.

Comes in: an empty folder, a number of kills, a seed. Goes out: a `Tally` over both doors. A request counts as acknowledged when its answer came,
a message when its PUBACK passed the tap between the server and the broker. What the broker had acknowledged to the meters must all be there in
the end.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.brokers import Mosquitto, client
from tests.faults.kills import HERE, Tally
from tests.faults.proxy import Tap
from tests.servers import key

from mangrove.ledger import Ledger
from mangrove.sources.broker import broker_files
from mangrove.testing import park_of

ARROW, JSON = "application/vnd.apache.arrow.stream", "application/json"
SENDERS = {"a0": ARROW, "a1": ARROW, "j0": JSON, "j1": JSON}
"""Gateways, each with a flow of its own."""
METERS = ("m0", "m1")
COUNTER = "mc"
ROWS = 50
FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
PATIENCE = 60.0


def land(folder: Path, beside: Path | None = None) -> Path:
    """The park of these tests; settings in the folder `beside` (or around it) let a sender send as fast as it can."""
    flows = [
        {"id": name, "carrier": "electricity", "unit": "kWh", "step": "1min", "scope": "2"}
        for name in (*SENDERS, *METERS, COUNTER)
    ]
    flows[-1]["semantics"] = "counter"
    park_of(folder, flows)
    ((beside or folder.parent) / "settings.yaml").write_text(
        "access: {api_rate: 100000, api_burst: 100000}\n"
    )
    return folder


@dataclass(frozen=True)
class Server:
    """A server that answers: its port, its process, and the file with what it said."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """What it said on stderr."""
        return self.log.read_text(encoding="utf-8")

    def kill(self) -> None:
        """Ends it as the kernel does when memory is short."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory(self) -> float:
        """MiB that it holds now."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """MiB that it held at most."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{name}:\s+(\d+)", text).group(1)) / 1024


def launch(
    folder: Path, *options: str, env: dict[str, str] | None = None, logs: Path | None = None
) -> tuple[subprocess.Popen[bytes], Path]:
    """Starts a server without waiting for it; gives the process and the file in `logs` with what it says."""
    logs = logs or folder.parent
    log = logs / f"server-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "tests.faults.full", "serve", str(folder), "--port", "0", "--no-work"]
    settings = logs / "settings.yaml"
    command += ["--settings", str(settings)] if settings.exists() else []
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, **(env or {})},
            cwd=HERE.parent.parent,
        )
    return process, log


@contextmanager
def server(folder: Path, *options: str, **how: Any) -> Iterator[Server]:
    """A server that answers; it is told to stop at the end when it still lives."""
    process, log = launch(folder, *options, **how)
    try:
        yield Server(_port(process, log), process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return int(found.group(1))
        assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
        time.sleep(0.03)
    raise AssertionError(log.read_text(encoding="utf-8")[-3000:])


def body(flow: str, number: int, rows: int = ROWS) -> bytes:
    """Request `number` of a gateway: so many minutes of its flow, all with the value `number`."""
    starts = FIRST + 60 * (number * rows + np.arange(rows))
    if SENDERS.get(flow, ARROW) == JSON:
        return json.dumps({"flow": flow, "ts": starts.tolist(), "value": [float(number)] * rows}).encode()
    table = pa.table(
        {
            "flow": pa.array([flow] * rows),
            "ts": pa.array(starts).cast(pa.timestamp("s", "UTC")),
            "value": np.full(rows, float(number)),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def post(
    connection: http.client.HTTPConnection, secret: str, flow: str, number: int, again: str = ""
) -> tuple[int, dict]:
    """Sends a request of a gateway; its status and its answer. `again` makes it another request with the same values."""
    headers = {
        "authorization": f"Bearer {secret}",
        "content-type": SENDERS.get(flow, ARROW),
        "idempotency-key": f"{flow}-{number}{again}",
    }
    connection.request("POST", "/api/v1/values", body(flow, number), headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else {}


@contextmanager
def kept(port: int) -> Iterator[http.client.HTTPConnection]:
    """A connection that is closed at the end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


@dataclass
class Gateway:
    """One sender over HTTP: what it has been answered."""

    flow: str
    secret: str
    acked: set[int] = field(default_factory=set)
    answers: int = 0
    recognized: int = 0

    def send(self, port: int, stop: threading.Event) -> None:
        """Sends the last acknowledged request again, then new ones, until the server is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        last = max(self.acked, default=-1)
        number = max(last, 0)
        try:
            while not stop.is_set():
                status, answer = post(connection, self.secret, self.flow, number)
                if status == 429:
                    time.sleep(0.01)
                    continue
                assert status == 200, (status, answer)
                assert answer["rows"] + answer["unchanged"] == ROWS, answer
                if number == last:
                    assert answer["duplicate"], answer
                    self.recognized += 1
                self.acked.add(number)
                self.answers += 1
                number += 1
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()


class Meters:
    """Publishes with QoS 1 until it is stopped; `held` are the messages that the broker has acknowledged."""

    def __init__(self, port: int, rate: float = 1500.0) -> None:
        self.held: set[int] = set()
        self.count = 0
        self._numbers: dict[int, int] = {}
        self._rate = rate
        self._stop = threading.Event()
        self._client = client(port, "meters")
        self._client.on_publish = lambda *told: self.held.add(told[2])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for _ in range(int(self._rate * 0.02)):
                number, self.count = self.count, self.count + 1
                flow = (*METERS, COUNTER)[number % 3]
                payload = json.dumps({"ts": FIRST + 60 * number, "value": number}).encode()
                self._client.publish(f"mg/gw/{flow}", payload, qos=1)

    def stop(self) -> None:
        """Publishes no more and waits until the broker has all."""
        self._stop.set()
        self._thread.join()
        until = time.monotonic() + PATIENCE
        while len(self.held) < self.count and time.monotonic() < until:
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()


def kill_server(
    folder: Path,
    kills: int,
    *,
    seed: int,
    live: tuple[float, float] = (0.2, 1.0),
    until: float = float("inf"),
) -> Tally:
    """Kills a server with both doors open again and again; see `mangrove.tests.faults.kills.kill_lean`."""
    rng, total = random.Random(seed), Tally()
    park = land(folder / "park")
    secret = key(park)
    gateways = [Gateway(flow, secret) for flow in SENDERS]
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(lambda port: broker_files(folder / "broker", port=port)))
        tap = stack.enter_context(Tap(broker.port))
        options = ("--mqtt", f"127.0.0.1:{tap.port}")
        with server(park, *options):
            pass  # the first start makes the session at the broker
        meters = Meters(broker.port)
        stack.callback(meters.stop)
        while total.kills < kills and time.monotonic() < until and total.clean:
            _life(park, options, gateways, rng.uniform(*live))
            total.kills += 1
            found = compare(park, gateways, tap)
            total.lost, total.torn, total.duplicated = found.lost, found.torn, found.duplicated
        meters.stop()
        with server(park, *options):
            _drained(park, meters)
        found = compare(park, gateways, tap)
        found.add(_whole(park, meters))
    found.kills = total.kills
    found.recognized = sum(one.recognized for one in gateways)
    return found


def _life(park: Path, options: Sequence[str], gateways: Sequence[Gateway], seconds: float) -> None:
    """One life of a server, ended `seconds` after its first answer."""
    stop = threading.Event()
    with server(park, *options, env={"MANGROVE_TIDY": "1"}) as running:
        before = sum(one.answers for one in gateways)
        threads = [threading.Thread(target=one.send, args=(running.port, stop)) for one in gateways]
        for thread in threads:
            thread.start()
        until = time.monotonic() + PATIENCE
        while sum(one.answers for one in gateways) == before:
            assert time.monotonic() < until, running.said()
            time.sleep(0.005)
        time.sleep(seconds)
        running.kill()
        stop.set()
        for thread in threads:
            thread.join()


def stored(park: Path) -> dict[str, Counter[int]]:
    """How often each value stands in each series of a store, counted over all versions."""
    with Ledger.open(park / ".mangrove", read_only=True) as ledger, ledger.snapshot() as snapshot:
        names = {id_: name for name, id_ in snapshot.flow_ids().items()}
        rows = snapshot.connection.execute(
            "select flow, cast(value as bigint), count(*) from version group by all"
        ).fetchall()
    found: dict[str, Counter[int]] = {}
    for flow, value, count in rows:
        found.setdefault(names[flow], Counter())[value] = count
    return found


def compare(park: Path, gateways: Sequence[Gateway], tap: Tap) -> Tally:
    """What was acknowledged over both doors against what is stored."""
    tally, found = Tally(), stored(park)
    for one in gateways:
        there = found.get(one.flow, Counter())
        tally.acknowledged += len(one.acked)
        tally.stored += len(there)
        tally.lost += len(one.acked - set(there))
        tally.torn += sum(count < ROWS for count in there.values())
        tally.duplicated += sum(count > ROWS for count in there.values())
    arrived = Counter[int]()
    for name in (*METERS, f"{COUNTER}#register"):
        arrived.update(found.get(name, Counter()))
    acked = {int(json.loads(payload)["value"]) for payload in tuple(tap.acknowledged)}
    tally.acknowledged += len(acked)
    tally.stored += len(arrived)
    tally.lost += len(acked - set(arrived))
    tally.duplicated += sum(count > 1 for count in arrived.values())
    return tally


def arrived(park: Path) -> int:
    """Messages whose values are stored."""
    found = stored(park)
    return sum(len(found.get(name, ())) for name in (*METERS, f"{COUNTER}#register"))


def _drained(park: Path, meters: Meters) -> None:
    """Waits until as many messages are stored as the broker has acknowledged."""
    until = time.monotonic() + PATIENCE
    while arrived(park) < meters.count and time.monotonic() < until:
        time.sleep(0.2)


def _whole(park: Path, meters: Meters) -> Tally:
    """All messages of the broker are there, the chain holds, the counter adds up."""
    with Ledger.open(park / ".mangrove") as ledger:
        problems = len(ledger.verify())
        with ledger.snapshot() as snapshot:
            derived = snapshot.values([COUNTER], START, END).column("value").to_numpy()
            read = snapshot.values([f"{COUNTER}#register"], START, END).column("value").to_numpy()
    climbed = read.max() - read.min() if len(read) else 0.0
    problems += not np.isclose(derived.sum(), climbed)
    return Tally(lost=meters.count - arrived(park), problems=int(problems))
