# SPDX-License-Identifier: Apache-2.0
"""What one MQTT message costs: CPU of the listener beside a bare paho consumer that drains the same messages and stores nothing.

For each consumer the same readings are published with QoS 1 while its kept session is away; then it connects and drains them. CPU is
that of the consuming process alone (all threads, system time included), from the connection to the last acknowledgement. The listener
decodes, commits with fsync and acknowledges afterwards. Needs Mosquitto.

    python benchmarks/mqtt.py [--messages 60000] [--flows 200] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mangrove.ledger import Ledger
from mangrove.sources import broker, mqtt
from mangrove.sources.intake import Intake
from mangrove.territory.model import Carrier, Device, Flow, Place, Point, Territory
from mangrove.times import Step
from mangrove.units import unit

START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
FORMS = ("json", "array", "number")
PER_ARRAY = 10


def park(flows: int, form: str) -> Territory:
    """A park with meters and, for plain numbers, their points."""
    kwh, step = unit("kWh"), Step(seconds=60)
    semantics = "state" if form == "number" else "sum"
    declared = {
        f"f{i}": Flow(f"f{i}", "p", Carrier("electricity"), kwh, step, semantics=semantics)
        for i in range(flows)
    }
    devices, points = {}, []
    if form == "number":
        devices = {"gw": Device("gw", "mqtt", "p")}
        points = [Point("gw", f"mg/gw/f{i}", f"f{i}", form="number") for i in range(flows)]
    place = {"p": Place("p", "P", "park")}
    return Territory(
        Path("p"), "P", "park", "Asia/Ho_Chi_Minh", "VND", "vi", None, place, declared, devices=devices,
        points=tuple(points),
    )  # fmt: skip


def payload(i: int, flows: int, form: str) -> bytes:
    """One message: a reading of one flow, columns of ten, or a number."""
    minute = i // flows
    if form == "number":
        return f"{i % 977 / 10}".encode()
    if form == "array":
        stamps = [START + 60 * (PER_ARRAY * minute + k) for k in range(PER_ARRAY)]
        return json.dumps({"ts": stamps, "value": [(i + k) % 977 / 10 for k in range(PER_ARRAY)]}).encode()
    at = datetime.fromtimestamp(START + 60 * minute, UTC).isoformat()
    return json.dumps({"ts": at, "value": i % 977 / 10}).encode()


def client(port: int, name: str, **options: Any) -> Any:
    """A paho client."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    made = Client(CallbackAPIVersion.VERSION2, name, **options)
    made.max_inflight_messages_set(1000)
    made.connect("127.0.0.1", port)
    return made


def publish(port: int, name: str, messages: int, flows: int, form: str) -> None:
    """Makes the broker keep the messages for a session that is away."""
    first = client(port, name, clean_session=False)
    first.loop_start()
    first.subscribe("mg/#", qos=1)
    time.sleep(0.3)
    first.disconnect()
    first.loop_stop()
    sender = client(port, "sender")
    sender.loop_start()
    for i in range(messages):
        sent = sender.publish(f"mg/gw/f{i % flows}", payload(i, flows, form), qos=1)
    sent.wait_for_publish(timeout=120)
    while sender._out_messages:  # noqa: SLF001 - the library has no other way to say that all is acknowledged
        time.sleep(0.05)
    sender.disconnect()
    sender.loop_stop()


def bare(port: int, name: str, messages: int, _form: str, _flows: int) -> None:
    """The library alone: acknowledges by hand in the callback and stores nothing."""
    seen = 0

    def on_message(one: Any, _data: Any, message: Any) -> None:
        nonlocal seen
        seen += 1
        one.ack(message.mid, message.qos)

    one = client(port, name, clean_session=False, manual_ack=True)
    one.on_message = on_message
    while seen < messages:
        one.loop(0.1)
    one.loop(0.1)
    one.disconnect()


def listening(port: int, name: str, messages: int, form: str, flows: int) -> None:
    """The listener on a ledger of its own, until nothing has come for a while."""
    last = [time.monotonic() + 5]

    def count(_: Any) -> None:
        last[0] = time.monotonic()

    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder)) as ledger:
        report = mqtt.listen(
            ledger,
            park(flows, form),
            address=mqtt.Address("127.0.0.1", port, client_id=name),
            on_commit=count,
            stop=lambda: time.monotonic() > last[0] + 1,
        )
    assert report.messages >= messages, report


def connecting(port: int, name: str, messages: int, form: str, flows: int) -> None:
    """The connector of a server, through its intake."""
    territory = park(flows, form)
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.open(Path(folder)) as ledger,
        Intake(ledger, territory) as intake,
    ):
        connector = mqtt.MqttConnector(intake, territory, mqtt.Machine(), port=port, client_id=name)
        connector.start()
        while connector.report.messages < messages:
            time.sleep(0.05)
        connector.stop()


def cpu(work: Callable[..., None], *arguments: Any) -> float:
    """CPU seconds of `work` in a process of its own, imports left out."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        import paho.mqtt.client  # noqa: F401

        before = resource.getrusage(resource.RUSAGE_SELF)
        work(*arguments)
        after = resource.getrusage(resource.RUSAGE_SELF)
        sender.send(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    while not receiver.poll(0.2):
        if not process.is_alive():
            message = "the consumer ended without a result"
            raise RuntimeError(message)
    seconds: float = receiver.recv()
    process.join()
    return seconds


def main() -> None:
    """Prints microseconds of CPU per message and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--flows", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--forms", nargs="*", default=FORMS, choices=FORMS)
    asked = parser.parse_args()
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "mosquitto"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = broker.broker_files(Path(folder), port=port)
        path.write_text(path.read_text() + "\nuser root\n")
        process = subprocess.Popen(
            [binary, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(1.0)
            for form in asked.forms:
                best: dict[str, float] = {}
                for _ in range(asked.rounds):
                    for work in (bare, listening, connecting):
                        name = f"{work.__name__}-{time.monotonic_ns()}"
                        publish(port, name, asked.messages, asked.flows, form)
                        spent = cpu(work, port, name, asked.messages, form, asked.flows) / asked.messages
                        best[work.__name__] = min(best.get(work.__name__, spent), spent)
                for name, spent in best.items():
                    ratio = spent / best["bare"]
                    print(
                        f"{form:8} {name:12} {spent * 1e6:6.1f} us/message  x {ratio:.2f}  {1 / spent:8.0f} messages/s per core"
                    )
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
