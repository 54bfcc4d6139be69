# SPDX-License-Identifier: Apache-2.0
"""SUMO on this machine: where its programs are, how one of them is run and stopped, and what its failure means.

Comes in: a command line. Goes out: the seconds of CPU it took, or a named error with the last lines that the program wrote. Every
simulation is a process of its own, so that one can be stopped at any time and a crash takes nothing with it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from mangrove.errors import LedgerError, MangroveError, MissingExtraError, SourceError, Where

Progress = Callable[[float], None]

_STEP = re.compile(rb"Step #(\d+(?:\.\d+)?)")
_PLACE = re.compile(r"\s*In file '([^']+)'\s+At line/column (\d+)/(\d+)\.?")
_TAIL = 12
"""Lines of a failed program that an error carries."""
_CHUNK = 1 << 14


class Processes:
    """The simulations that run at this moment: all of them end when one caller gives up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def start(self, command: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program; refused once `stop` was called."""
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(  # noqa: S603 - SUMO or this interpreter, with a list of arguments
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a program, and end it when it still runs."""
        with self._lock:
            self._running.discard(process)
        if process.returncode is None:
            _kill(process)
            process.wait()
        if process.stdout:
            process.stdout.close()

    def stop(self) -> None:
        """End all programs and let none start any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def run(
    command: Sequence[str],
    folder: Path,
    *,
    progress: Callable[[float], None] | None = None,
    processes: Processes | None = None,
) -> float:
    """Run a program of SUMO to its end; returns its seconds of CPU.

    Whatever ends the wait (an interruption, an exception of `progress`) ends the program too.

    Args:
        command: the program and its arguments.
        folder: where its error lines are kept.
        progress: is called with the simulated second that SUMO reports on its standard output.
        processes: the family that the program belongs to.

    Raises:
        MangroveError: the program failed; see `trouble`.
    """
    family = processes or Processes()
    log = folder / "errors.txt"
    with log.open("wb") as errors:
        process = family.start(command, errors)
        try:
            _listen(process, progress)
            seconds = _wait(process)
        finally:
            family.end(process)
    if process.returncode:
        raise trouble(log.read_text(encoding="utf-8", errors="replace"), folder, process.returncode)
    return seconds


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: each is the first of a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _listen(process: subprocess.Popen[bytes], progress: Callable[[float], None] | None) -> None:
    """Read what the program says until it closes its output."""
    assert process.stdout is not None
    rest = b""
    while chunk := os.read(process.stdout.fileno(), _CHUNK):
        rest = (rest + chunk)[-2 * _CHUNK :]
        # the last report may be cut in the middle of its number
        found = [*_STEP.finditer(rest, 0, max(rest.rfind(b"\n"), rest.rfind(b"\r"), 0))]
        if found and progress:
            progress(float(found[-1].group(1)))
            rest = rest[found[-1].end() :]


def _wait(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end; the seconds of CPU of this one program."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def trouble(said: str, folder: Path, status: int) -> MangroveError:
    """What the error lines of a failed program mean."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    tail = "\n".join(line for line in lines if not line.startswith("Warning"))[-2000:]
    tail = "\n".join(tail.splitlines()[-_TAIL:])
    if full(folder) or "No space left" in said:
        return LedgerError("traffic.disk_full", folder=str(folder))
    if re.search(r"no valid route|within the route|is not known|not connected|No connection between", tail):
        return SourceError("traffic.routes_misfit", detail=tail)
    if place := _PLACE.search(tail):
        where = Where(place[1], int(place[2]), int(place[3]))
        detail = tail[: place.start()].removeprefix("Error: ")
        return SourceError("traffic.net_unreadable", where=where, detail=detail)
    if re.search(r"net-file|No nets? loaded|parsing.*net|Net-File|is not accessible|invalid document", tail):
        return SourceError("traffic.net_unreadable", detail=tail)
    return SourceError("traffic.sumo_failed", status=status, detail=tail or "-")


def binary(name: str = "sumo") -> str:
    """The path of a program of SUMO: of the installed package, else of SUMO_HOME, else of the PATH.

    Raises:
        MissingExtraError: it is nowhere.
    """
    for home in homes():
        if (program := home / "bin" / name).is_file():
            return str(program)
    if found := shutil.which(name):
        return found
    raise MissingExtraError("traffic")


def homes() -> list[Path]:
    """Folders in which SUMO may be installed, the nearest first."""
    spec = find_spec("sumo")
    packaged = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    return packaged + ([Path(os.environ["SUMO_HOME"])] if "SUMO_HOME" in os.environ else [])


def environment() -> Mapping[str, str]:
    """The environment of a program of SUMO: its own files are found, and so is this package in a child interpreter."""
    found = dict(os.environ)
    if places := homes():
        found["SUMO_HOME"] = str(places[0])
        tools = [str(place / "tools") for place in places if (place / "tools" / "libsumo").is_dir()]
        found["PYTHONPATH"] = os.pathsep.join([*filter(None, sys.path), *tools])
    else:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return found


def need_control() -> None:
    """Raises MissingExtraError when neither libsumo nor the tools of an installed SUMO can be imported."""
    if find_spec("libsumo") is None and not any((home / "tools" / "libsumo").is_dir() for home in homes()):
        raise MissingExtraError("traffic")


def need_file(path: Path) -> None:
    """Raises SourceError unless the file can be read."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        raise SourceError("traffic.no_file", where=Where(str(path)), reason=reason) from None


def full(folder: Path) -> bool:
    """Whether the disk of `folder` has no room left for results."""
    return shutil.disk_usage(folder).free < 1 << 20
