"""A real Mosquitto for tests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 30.0


@contextmanager
def mosquitto(write: Callable[[int], Path]) -> Iterator[int]:
    """Runs Mosquitto with the configuration that `write(port)` makes; gives its port once it answers.

    Without the program the test fails where CI is true, and is reported as not run elsewhere.
    """
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        reason = "Mosquitto is not installed: apt-get install -y mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = write(port)
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # else it becomes another user, who cannot write here
        path.write_text(path.read_text() + "\nuser root\n")
    process = subprocess.Popen(
        [binary, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert time.monotonic() < deadline, f"after {PATIENCE} s: the broker does not answer"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
