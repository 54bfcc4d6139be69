"""A real Mosquitto for tests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

PATIENCE = 30.0


@contextmanager
def mosquitto(write: Callable[[int], Path]) -> Iterator[int]:
    """Runs Mosquitto with the configuration that `write(port)` makes; gives its port once it answers.

    Without the program the test fails where CI is true, and is reported as not run elsewhere.
    """
    with Mosquitto(write) as broker:
        yield broker.port


class Mosquitto:
    """A broker that can be killed and started again on the same port with what it had saved."""

    def __init__(self, write: Callable[[int], Path]) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if binary is None:
            reason = "Mosquitto is not installed: apt-get install -y mosquitto"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        self.binary, self.port = binary, free_port()
        self.path = write(self.port)
        if (
            hasattr(os, "geteuid") and os.geteuid() == 0
        ):  # else it becomes another user, who cannot write here
            self.path.write_text(self.path.read_text() + "\nuser root\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns when it answers."""
        self.process = subprocess.Popen(
            [self.binary, "-c", str(self.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while not answers(self.port):
            assert time.monotonic() < deadline, f"after {PATIENCE} s: the broker does not answer"
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        """Ends it, at once with `kill`."""
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(timeout=PATIENCE)
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def client(port: int, name: str, user: str | None = None, password: str | None = None, **options):
    """A paho client whose network runs in a thread of its own."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    made = Client(CallbackAPIVersion.VERSION2, name, **options)
    made.max_inflight_messages_set(1000)
    if user is not None:
        made.username_pw_set(user, password)
    made.connect("127.0.0.1", port)
    made.loop_start()
    return made


def publish(
    port: int, messages: list[tuple[str, bytes]], user: str | None = None, password: str | None = None
):
    """Publishes with QoS 1 and returns when the broker has all messages."""
    sender = client(port, f"sender-{time.monotonic_ns()}", user, password)
    for one in [sender.publish(topic, payload, qos=1) for topic, payload in messages]:
        one.wait_for_publish(timeout=PATIENCE)
    sender.disconnect()
    sender.loop_stop()


def until(done: Callable[[], object], what: str) -> None:
    """Waits until `done()` is true; a machine that is busy gets time."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"after {PATIENCE} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
