# SPDX-License-Identifier: Apache-2.0
"""The child process of a controlled simulation: SUMO as a library, one simulation, one controller.

Comes in: a file with the command line and the controller. Goes out: the files of SUMO and what the controller hands back. A process of
its own, because SUMO as a library holds one simulation at a time and does not live beside every version of other libraries.
"""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_REPORT = 100.0
"""Simulated seconds between two signs of life."""


def main(path: Path) -> None:
    """Run the job in the file `path`."""
    program, arguments, begin, end, control = pickle.loads(path.read_bytes())  # noqa: S301 - our own parent wrote it
    sim = _library()
    try:
        sim.start([program, "--no-step-log", "true", *arguments])
    except Exception as error:  # noqa: BLE001 - libsumo and traci have classes of their own
        sys.exit(f"Error: {error}")
    try:
        drive(sim, control, begin, end)
    finally:
        sim.close()
    report = control.finish() if hasattr(control, "finish") else None
    path.with_name("control.pickle").write_bytes(pickle.dumps(report))


def drive(sim: Any, control: Any, begin: float, end: float) -> None:
    """Move the simulation to its end, with a word to the controller each second."""
    control.start(sim)
    t, due, told = begin, begin, begin
    while t < end:
        if t >= due:
            control.step(sim, t)
            due += 1.0
        sim.simulationStep()
        t = sim.simulation.getTime()
        if t >= told + _REPORT:
            told = t
            sys.stdout.write(f"Step #{t:.2f}\n")
            sys.stdout.flush()


def _library() -> Any:
    """libsumo, or traci where libsumo cannot be loaded."""
    try:
        return import_module("libsumo")
    except ImportError:
        return import_module("traci")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
