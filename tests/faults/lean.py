# SPDX-License-Identifier: Apache-2.0
"""The lean victim: ledger, intake, sealer and compaction as in the server, without the web, fed through a pipe.

`python lean.py LAND STORE` reads numbers, one a line. Number n stands for one batch: 20 minutes of five flows with the value n (every
third batch corrects the one before it) and one reading of a counter. `ACK n ROWS` goes to stdout once the receipt is there,
`TWICE n` when the ledger had the batch already. Senders overtake each other as requests do: up to 64 batches wait at once.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mangrove import api
from mangrove.errors import MangroveError
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Receipt
from mangrove.sources import intake as door
from mangrove.sources.convert import Values

FLOWS, MINUTES = 5, 20
ROWS = FLOWS * MINUTES + 1
NAMES = [*(f"f{i}" for i in range(FLOWS)), "count"]
MINUTE = 60_000_000
FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
UNSYNCED = "MANGROVE_UNSYNCED"
"""With this variable the catalogue is not synced: the proof that the tests would see it."""
PER_BATCH = 10.0
"""What the counter climbs from one batch to the next, each a minute."""


def batch(number: int) -> Values:
    """The values of a batch; the same number gives the same values, in every process."""
    at = number - 1 if number % 3 == 2 else number
    start = FIRST + (at * MINUTES + np.arange(MINUTES)) * MINUTE
    flow = np.repeat(np.arange(FLOWS, dtype=np.int32), MINUTES)
    return Values(
        NAMES,
        np.append(flow, np.int32(FLOWS)),
        np.append(np.tile(start, FLOWS), FIRST + number * MINUTE),
        np.append(np.full(FLOWS * MINUTES, float(number)), number * PER_BATCH),
        np.zeros(ROWS, np.uint8),
        np.zeros(ROWS, np.int64),
    )


def origin(number: int) -> Origin:
    """Three senders take turns."""
    return Origin(f"lean:{number % 3}", str(number))


def say(line: str) -> None:
    """Writes one line at once; a pipe keeps it when this process dies."""
    os.write(1, f"{line}\n".encode())


def tidy(ledger: Ledger) -> None:
    """Seals twenty times a second and compacts now and then, for ever."""
    for turn in range(1_000_000):
        time.sleep(0.05)
        say(f"SEALED {ledger.seal()}")
        if turn % 3 == 2:
            say(f"COMPACTED {ledger.compact()}")


def main() -> None:
    """Runs until it is killed."""
    land, store = Path(sys.argv[1]), Path(sys.argv[2])
    door.DERIVE_EVERY = 0.1
    room = threading.Semaphore(64)

    def told(number: int, done: Future[Receipt]) -> None:
        room.release()
        try:
            receipt = done.result()
        except MangroveError as error:
            say(f"REFUSED {number} {error.code}")
        else:
            say(f"{'TWICE' if receipt.duplicate else 'ACK'} {number} {receipt.rows}")

    with Ledger.open(store) as ledger, door.Intake(ledger, api.open(land).territory) as intake:
        if UNSYNCED in os.environ:
            ledger._db.execute("pragma synchronous = off")
        threading.Thread(target=tidy, args=(ledger,), daemon=True).start()
        for line in sys.stdin:
            number = int(line)
            room.acquire()
            intake.offer(batch(number), origin(number)).add_done_callback(
                lambda done, number=number: told(number, done)
            )


if __name__ == "__main__":
    main()
