# SPDX-License-Identifier: Apache-2.0
"""The victim as a whole: `mangrove` with the arguments that it is given, sealing and compacting all the time.

A server seals every five minutes and would die in these tests before the first time. Here it seals and derives several times a
second, and with `MANGROVE_TIDY` compacts too, so that a kill meets every moment of it. `MANGROVE_SYNC_DELAY` makes every commit take so many seconds more, as
on a slow disk; `MANGROVE_QUEUE` bounds the rows that may wait for it; `MANGROVE_HEAD_SECONDS` is the time that a head and a body may take.
"""

from __future__ import annotations

import os
import threading
import time

from mangrove.cli import main
from mangrove.ledger import Ledger
from mangrove.sources import intake as door


def tidy(intake: door.Intake) -> None:
    """Seals five times a second and compacts now and then, for ever."""
    for turn in range(1_000_000):
        time.sleep(0.2)
        intake.ledger.seal()
        if turn % 4 == 3:
            intake.ledger.compact()


def start(intake: door.Intake) -> None:
    """Starts the intake, and what keeps its store tidy."""
    _start(intake)
    threading.Thread(target=tidy, args=(intake,), daemon=True).start()


def slow(ledger: Ledger, batches):
    """Commits as slowly as told."""
    time.sleep(float(os.environ["MANGROVE_SYNC_DELAY"]))
    return _append(ledger, batches)


_start, _append = door.Intake.start, Ledger.append_group
if __name__ == "__main__":
    door.DERIVE_EVERY = 0.2
    if "MANGROVE_SYNC_DELAY" in os.environ:
        Ledger.append_group = slow
    if "MANGROVE_TIDY" in os.environ:
        door.Intake.start = start
    if "MANGROVE_HEAD_SECONDS" in os.environ:
        from mangrove.serve import wire

        wire.HEAD_SECONDS = wire.BODY_SECONDS = float(os.environ["MANGROVE_HEAD_SECONDS"])
    if "MANGROVE_QUEUE" in os.environ:
        door.Intake.__init__.__kwdefaults__["most_rows"] = int(os.environ["MANGROVE_QUEUE"])
    main()
