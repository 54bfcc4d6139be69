# SPDX-License-Identifier: Apache-2.0
"""The tutorial of the first server does what it shows, with a real broker and a real server on free ports of this machine.

Every `bash` block of the page is typed in its order; those that start the broker and the server keep running in the background, as
in terminals of their own.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.test_docs import DOCS, TUTORIAL, Block, Reader, blocks_of, matches, name_of

PAGES = [DOCS / "tutorials" / name for name in ("first-server.md", "may-chu-dau-tien.md")]
_NEEDS = ("mosquitto", "mosquitto_pub", "curl")


def typed(page: Path) -> list[Block]:
    """The blocks of a page that are typed, each with the `text` that follows it."""
    found: list[Block] = []
    for block in blocks_of(page):
        if block.language == "text" and found and found[-1].output is None:
            found.append(replace(found.pop(), output=block.code))
        elif block.language == "bash":
            found.append(block)
    return found


def free_port() -> str:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return str(door.getsockname()[1])


@contextmanager
def terminals():
    """Programs that keep running until the end of the page; they are interrupted as by Ctrl-C, the newest first."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for process in reversed(running):
            os.killpg(process.pid, signal.SIGINT)
        codes = [process.wait(60) for process in running]
    assert codes[1:] == [0], "the server ends well"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def opens(port: str) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", int(port))) == 0


def until(done, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "nothing answers"
        time.sleep(0.1)


def start(reader: Reader, code: str, log: Path) -> subprocess.Popen[bytes]:
    """What a terminal of its own runs."""
    *words, last = code.strip().split("\n")
    known = f". '{reader.state}'\n"
    script = "\n".join([known, *words, f"exec {last}"])
    if (
        last.startswith("mosquitto") and os.geteuid() == 0
    ):  # Mosquitto leaves root, and cannot read the folder then
        conf = reader.folder / "broker" / "mosquitto.conf"
        conf.write_text("user root\n" + conf.read_text(encoding="utf-8"), encoding="utf-8")
    with log.open("wb") as screen:
        return subprocess.Popen(
            ["bash", "-c", script], cwd=reader.folder, env=reader.environment, stdout=screen,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in _NEEDS), reason="needs mosquitto, mosquitto-clients, curl"
)
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_tutorial_of_the_server_does_what_it_shows(page, tmp_path):
    reader = Reader(tmp_path)
    reader.follows(TUTORIAL)
    web, broker = free_port(), free_port()
    shown = {}
    with terminals() as running:
        for block in typed(page):
            code = block.code.replace("8000", web).replace("1883", broker)
            code = code.replace("mangrove broker broker", f"mangrove broker broker --port {broker}")
            code = code.replace("mangrove serve park", f"mangrove serve park --no-work --port {web}")
            if "mosquitto -c" in code:
                running.append(start(reader, code, tmp_path / "broker.log"))
                until(lambda: opens(broker))
            elif "mangrove serve" in code:
                log = tmp_path / "server.log"
                running.append(start(reader, code, log))
                until(lambda: answers(f"http://127.0.0.1:{web}/healthz"))
                assert matches(block.output.replace("8000", web), log.read_text(encoding="utf-8"))
            else:
                shown[block.line] = reader.types(
                    Block("bash", True, code.replace("curl ", "curl -sS "), block.line, None)
                )
                expected = (block.output or "").replace("8000", web)
                assert not expected or matches(expected, shown[block.line]), shown[block.line]
    proof = next(text for text in shown.values() if '"proof"' in text)
    assert re.search(r'"source":\s*"http:k\d+"', proof)
    assert '"amount":61.5' in proof.replace(" ", "")


def test_both_tutorials_of_the_server_type_the_same():
    english, vietnamese = (
        [
            (b.run, re.sub(r'\b(en|vi)\b|"[^"$]*"|,Gateway[^\n]*|,Cổng[^\n]*', "WORDS", b.code))
            for b in typed(page)
        ]
        for page in PAGES
    )
    assert len(english) > 10
    assert english == vietnamese
