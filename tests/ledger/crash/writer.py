# SPDX-License-Identifier: Apache-2.0
"""The victim: appends batches until it is killed, while a second thread seals and compacts.

Batch n holds 500 rows that all carry the value n; every second batch corrects the one before it. `ACK n` goes to
stdout only after the receipt. `python writer.py FOLDER FIRST RESEND` begins with batch FIRST and sends the batches
in RESEND (numbers with commas) again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from mangrove.errors import LedgerError
from mangrove.ledger import Ledger, Origin

ROWS = 500
FLOWS = 5


def batch(number: int) -> pa.Table:
    """500 rows with the value `number`: new starts when it is even, the starts of the batch before when odd."""
    first = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=number // 2 * ROWS // FLOWS)
    minutes = [first + timedelta(minutes=i) for i in range(ROWS // FLOWS)]
    return pa.table(
        {
            "flow": [f"flow-{i}" for i in range(FLOWS) for _ in minutes],
            "start": pa.array(minutes * FLOWS, pa.timestamp("us", "UTC")),
            "value": pa.array([float(number)] * ROWS),
        }
    )


def say(line: str) -> None:
    """Writes one line at once; a pipe keeps it when this process dies."""
    os.write(1, f"{line}\n".encode())


def tidy(ledger: Ledger) -> None:
    """Seals every 50 ms and compacts now and then, for ever."""
    for turn in range(1_000_000):
        time.sleep(0.05)
        say(f"SEALED {ledger.seal()}")
        if turn % 4 == 3:
            ledger.compact()


def main() -> None:
    """Runs until killed, or until the disk refuses; then it says why and ends."""
    folder, first, resend = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ledger = Ledger.open(folder)
    for number in map(int, filter(None, resend.split(","))):
        assert ledger.append(batch(number), Origin("crash", str(number))).duplicate
    if "--no-seal" not in sys.argv:
        threading.Thread(target=tidy, args=(ledger,), daemon=True).start()
    try:
        for number in range(first, first + 1_000_000):
            receipt = ledger.append(batch(number), Origin("crash", str(number)))
            assert receipt.duplicate or receipt.rows == ROWS
            say(f"ACK {number}")
    except LedgerError as error:
        say(f"REFUSED {error.code}")


if __name__ == "__main__":
    main()
