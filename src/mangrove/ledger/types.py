# SPDX-License-Identifier: Apache-2.0
"""The shapes of the ledger: a batch of values, its receipt, quality codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from mangrove.errors import Problem


class Quality(IntEnum):
    """One byte a value; 0 to 2 are the device states 00, 01, 02 of Circular 10/2021.

    Only `GOOD`, `FILLED` and `MANUAL` enter sums. A value stored with another code stays visible and is counted
    as excluded.
    """

    GOOD = 0
    CALIBRATING = 1
    FAULT = 2
    RANGE = 3
    SPIKE = 4
    STUCK = 5
    CLOCK = 6
    FILLED = 7
    MANUAL = 8
    MISSING = 9


COUNTED = (Quality.GOOD, Quality.FILLED, Quality.MANUAL)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch comes from.

    Attributes:
        source: who sent it ("file:meters.csv", "mqtt:gateway-3", "model:screening").
        seq: key that makes a re-sent batch recognizable within its source (a counter, the SHA-256 of a file).
        run: `measured`, `estimate`, `forecast`, `schedule` or `plan`.
        model, version: what computed it; empty for measured values.
        inputs: content hashes of what went in.
        note: free text for people.
    """

    source: str
    seq: str
    run: str = "measured"
    model: str = ""
    version: str = ""
    inputs: tuple[str, ...] = field(default_factory=tuple)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an append. It is given only after the batch is on disk.

    Attributes:
        batch: id of the batch (of the earlier one when `duplicate`).
        rows: rows stored with it; rejected: rows quarantined.
        recorded_at: UTC; hash: hex SHA-256 of the chain at this batch.
        duplicate: the same (source, seq) was stored before; nothing changed.
        unchanged: rows left out because they equal the current value of their (flow, start).
    """

    batch: int
    rows: int
    recorded_at: datetime
    hash: str
    duplicate: bool = False
    rejected: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be stored: its raw form, why, and its line in the file that brought it."""

    raw: bytes | str
    reason: Problem
    line: int | None = None


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """One batch as `explain` shows it: where it comes from, when it was known, and how many values it gave.

    `used` counts the current values that come from the batch in the window that was asked for.
    """

    batch: int
    source: str
    seq: str
    run: str
    model: str
    version: str
    inputs: tuple[str, ...]
    note: str
    recorded_at: datetime
    rows: int
    hash: str
    used: int
