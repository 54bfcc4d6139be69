# SPDX-License-Identifier: Apache-2.0
"""How long `mangrove --help` takes: CPU milliseconds of the whole process, beside `python -c pass` in the same run.

Run: `python benchmarks/startup.py [ROUNDS]`. The best of all rounds counts. CPU time is that of the child process, user and system,
imports included; what runs beside it on the machine does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import typer": [sys.executable, "-c", "import typer"],
    "mangrove --help": [str(Path(sys.executable).with_name("mangrove")), "--help"],
    "mangrove version": [str(Path(sys.executable).with_name("mangrove")), "version"],
}
BARE = "python -c pass"
LIMIT = 150.0
"""CPU milliseconds that `mangrove --help` may take."""


def cpu(command: Sequence[str]) -> float:
    """CPU milliseconds of one run of a command."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return 1000 * (usage.ru_utime + usage.ru_stime)


def main() -> None:
    """Measures and prints."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for command in COMMANDS.values():
        cpu(command)  # byte code is compiled once, not measured
    best = {name: min(cpu(command) for _ in range(rounds)) for name, command in COMMANDS.items()}
    print(f"CPU milliseconds of a fresh process (best of {rounds})")
    for name, milliseconds in best.items():
        print(f"  {name:18} {milliseconds:6.1f}  = {milliseconds / best[BARE]:.1f} x {BARE}")
    print(f"  limit for mangrove --help: {LIMIT:.0f}")


if __name__ == "__main__":
    main()
