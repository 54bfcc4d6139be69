# SPDX-License-Identifier: Apache-2.0
"""Kills servers and looks at what is left: the parent's side of the tests and of `benchmarks/crash.py`.

Comes in: an empty folder, a number of kills, a seed. Goes out: a `Tally`. After each kill the store is read as any reader reads it, and
compared with what was acknowledged; `lost`, `torn`, `duplicated` and `problems` must stay zero.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tests.faults import lean
from tests.ledger.crash.harness import Victim

from mangrove import api
from mangrove.ledger import Ledger
from mangrove.sources.intake import Intake
from mangrove.testing import park_of

HERE = Path(__file__).parent
RESENT = 5
MEMORY = 20
"""Kills after which a store is looked at as a whole and a new one begins: checks stay short."""


@dataclass
class Tally:
    """What was counted.

    Attributes:
        kills: processes that were killed; acknowledged: batches (requests, messages) whose acknowledgement the sender had;
            stored: batches found.
        lost: acknowledged and not found; torn: found with other rows than its receipt says; duplicated: found twice.
        recognized: sent again and answered as known; problems: findings of `ledger.verify`, and sums that do not hold.
        seals, compactions: that had work and ended before the kills.
    """

    kills: int = 0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    torn: int = 0
    duplicated: int = 0
    recognized: int = 0
    problems: int = 0
    seals: int = 0
    compactions: int = 0

    def add(self, other: Tally) -> None:
        """Adds the counts of another."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, torn, duplicated or found wrong."""
        return not (self.lost or self.torn or self.duplicated or self.problems)

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def lean_land(folder: Path) -> Path:
    """A park with the flows of the lean victim."""
    flows = [{"id": name, "carrier": "electricity", "unit": "kWh", "step": "1min"} for name in lean.NAMES]
    flows[-1]["semantics"] = "counter"
    return park_of(folder, flows)


def kill_lean(
    folder: Path,
    kills: int,
    *,
    seed: int,
    shim: Path | None = None,
    live: tuple[float, float] = (0.02, 0.6),
    acks: int = 1,
    until: float = float("inf"),
    keep: bool = False,
) -> Tally:
    """Kills the lean victim again and again.

    Args:
        folder: empty.
        kills: how many.
        seed: of the moments.
        shim: the library that loses what was not synced; None: the process dies and the machine lives.
        live: seconds from an acknowledgement to the kill, drawn evenly.
        acks: which acknowledgement of a life that is.
        until: `time.monotonic()` at which it ends early.
        keep: leave the stores there.
    """
    rng, total, world = random.Random(seed), Tally(), 0
    land = lean_land(folder / "land")
    while total.kills < kills and time.monotonic() < until:
        root = folder / f"world-{world}"
        victim, acked = Victim(root, shim), dict[int, int]()
        for _ in range(min(MEMORY, kills - total.kills)):
            total.add(_phase(victim, land, acked, rng.uniform(*live), acks))
            if time.monotonic() > until or not total.clean:
                break
        total.add(_balance(victim.data, land))
        if not total.clean:
            return total  # what is left is evidence
        if not keep:
            shutil.rmtree(root)
        world += 1
    return total


def _phase(victim: Victim, land: Path, acked: dict[int, int], seconds: float, acks: int) -> Tally:
    """One life of the victim, and what is found after it."""
    known = sorted(acked)
    numbers = [*known[-RESENT:], *range(known[-1] + 1 if known else 0, (known[-1] if known else 0) + 100_000)]
    tally = Tally(kills=1)
    for line in _lines(victim, land, numbers, seconds, acks):
        word, *rest = line.split()
        if word == "ACK" or (word == "TWICE" and int(rest[0]) not in acked):
            # Known before it was answered: it was stored just before an earlier kill.
            acked[int(rest[0])] = int(rest[1])
            tally.acknowledged += 1
        elif word == "TWICE":
            tally.recognized += 1
        elif word in {"SEALED", "COMPACTED"}:
            tally.seals += word == "SEALED" and rest != ["0"]
            tally.compactions += word == "COMPACTED" and rest != ["0"]
        else:
            raise AssertionError(line)
    tally.add(found(victim.data, acked))
    return tally


def _lines(victim: Victim, land: Path, numbers: Sequence[int], seconds: float, acks: int) -> list[str]:
    """What a life of the victim said."""
    command = [sys.executable, "-m", "tests.faults.lean", str(land), str(victim.data)]
    source, sink = os.pipe()
    threading.Thread(target=_feed, args=(sink, numbers), daemon=True).start()
    try:
        return victim.live(command, seconds, acks=acks, stdin=source, folder=HERE.parent.parent)
    finally:
        os.close(source)


def _feed(sink: int, numbers: Sequence[int]) -> None:
    """Writes numbers until the reader is dead."""
    try:
        for first in range(0, len(numbers), 50):
            os.write(sink, "".join(f"{number}\n" for number in numbers[first : first + 50]).encode())
    except BrokenPipeError:
        pass
    finally:
        os.close(sink)


def found(store: Path, acked: dict[int, int]) -> Tally:
    """Compares what is stored with what was acknowledged."""
    tally = Tally()
    with Ledger.open(store, read_only=True) as ledger:
        batches = ledger.batches()
        with ledger.snapshot() as snapshot:
            rows = dict(
                snapshot.connection.execute("select batch, count(*) from version group by 1").fetchall()
            )
    stored: dict[int, int] = {}
    for batch, source, seq, count in zip(
        *(batches.column(name).to_pylist() for name in ("batch", "source", "seq", "rows")), strict=True
    ):
        tally.torn += rows.get(batch, 0) != count
        if source.startswith("lean:"):
            tally.duplicated += int(seq) in stored
            stored[int(seq)] = count
    tally.lost = sum(number not in stored for number in acked)
    tally.torn += sum(count != lean.ROWS for count in stored.values())
    return tally


def _balance(store: Path, land: Path) -> Tally:
    """Opens a store once more as a server does, and checks the whole: the chain, the files, the sum of the counter."""
    with Ledger.open(store) as ledger:
        with Intake(ledger, api.open(land).territory):
            pass
        ledger.seal()
        problems = len(ledger.verify())
        batches = ledger.batches()
        sent = [
            int(seq)
            for source, seq in zip(
                batches.column("source").to_pylist(), batches.column("seq").to_pylist(), strict=True
            )
            if source.startswith("lean:")
        ]
        with ledger.snapshot() as snapshot:
            amount = _amount(snapshot)
    expected = lean.PER_BATCH * (max(sent) - min(sent)) if sent else 0.0
    leftover = [p for kind in ("segments", "rollups") for p in (store / kind).glob("*.tmp")]
    return Tally(stored=len(sent), problems=problems + (not np.isclose(amount, expected)) + len(leftover))


def _amount(snapshot) -> float:
    """The sum of the amounts that were derived from the counter."""
    rows = snapshot.values(["count"], datetime(2023, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    return float(np.sum(rows.column("value").to_numpy())) if rows.num_rows else 0.0
