# SPDX-License-Identifier: Apache-2.0
"""Kills writers and looks at what is left: the parent's side of the crash tests."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def compile_shim(folder: Path) -> Path:
    """The power-loss library; without a compiler the test is skipped, but never in continuous integration."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("the power-loss tests need a C compiler (Debian package gcc), and CI is set")
        pytest.skip("the power-loss tests need a C compiler (Debian package gcc)")
    library = folder / "shim.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(HERE / "shim.c"), "-ldl", "-lpthread"],
        check=True,
    )
    return library


class Victim:
    """A folder that a child writes to, with an image of what a disk would hold when there is a shim."""

    def __init__(self, folder: Path, shim: Path | None = None) -> None:
        self.data, self.image, self.shim = folder / "data", folder / "image", shim
        self.data.mkdir(parents=True)

    def kill_after(
        self, script: str, arguments: Sequence[str], seconds: float, *, acks: int = 1
    ) -> list[str]:
        """Runs a script of this folder on the data; see `live`."""
        return self.live([sys.executable, str(HERE / script), str(self.data), *arguments], seconds, acks=acks)

    def live(
        self,
        command: Sequence[str],
        seconds: float,
        *,
        acks: int,
        stdin: int | None = None,
        folder: Path | None = None,
    ) -> list[str]:
        """Starts the child in a folder, kills it so many seconds after so many `ACK`, and returns every whole line that it wrote."""
        environment = dict(os.environ)
        if self.shim:
            environment |= {
                "LD_PRELOAD": str(self.shim),
                "MANGROVE_WATCH": str(self.data),
                "MANGROVE_IMAGE": str(self.image),
            }
        with subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, env=environment, text=True, cwd=folder
        ) as child:
            lines = []
            for line in child.stdout:
                lines.append(line)
                acks -= line.startswith("ACK")
                if not acks:
                    break
            timer = threading.Timer(seconds, child.send_signal, [signal.SIGKILL])
            timer.start()
            lines += list(child.stdout)
            child.wait()
            timer.cancel()
        assert child.returncode == -signal.SIGKILL, (child.returncode, lines[-3:])
        if self.shim:
            self.lose_power()
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # the kill met the line
        return [line.strip() for line in lines]

    def lose_power(self) -> None:
        """Replaces the folder by the image: every byte that was not synced is gone."""
        for leftover in self.image.rglob("*.shim-*"):
            leftover.unlink()  # a copy that the kill interrupted; its sync had not returned
        shutil.rmtree(self.data)
        shutil.copytree(self.image, self.data)


def acknowledged(lines: Sequence[str]) -> list[int]:
    """The numbers of the `ACK` lines that arrived whole."""
    return [int(line.split()[1]) for line in lines if line.startswith("ACK ")]


def moment(rng: random.Random) -> float:
    """A random time to live after the first acknowledgement."""
    return rng.uniform(0.1, 0.8)
