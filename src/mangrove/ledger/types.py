# SPDX-License-Identifier: Apache-2.0
"""The shapes of the ledger: a batch of values, its receipt, quality codes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from mangrove.errors import LedgerError, Problem

HAPPENED = ("measured", "estimate")
"""Runs that say what happened, when they carry no name: they share the one series of a flow, and a later one corrects an earlier one."""
RUNS = (*HAPPENED, "forecast", "schedule", "plan")
_RUN = re.compile(r"(?:measured|(?:estimate|forecast|schedule|plan)(?:/[^\s:/]+)?)")
_RESERVED = re.compile(r"(?:estimate/[^\s:/]+|(?:forecast|schedule|plan)(?:/[^\s:/]+)?):")


def check_run(run: str) -> str:
    """`run`, when it is one of `RUNS`; all but the first may carry a name (`plan/roof-2030`, `estimate/nowcast`).

    Raises:
        LedgerError: `ledger.run`.
    """
    if not _RUN.fullmatch(run):
        raise LedgerError("ledger.run", run=run, options=", ".join(RUNS))
    return run


def series(flow: str, run: str = "measured") -> str:
    """The key under which the values of `flow` from `run` stand.

    A flow has one series of what happened and one more for each other run, so that a schedule never replaces a reading.

    Raises:
        LedgerError: `ledger.run`, or `ledger.reserved_flow` when `flow` is such a key itself.

    Example:
        >>> series("oven", "measured"), series("oven", "schedule"), series("oven", "plan/roof-2030")
        ('oven', 'schedule:oven', 'plan/roof-2030:oven')
    """
    if _RESERVED.match(flow):
        raise LedgerError("ledger.reserved_flow", flow=flow)
    return flow if check_run(run) in HAPPENED else f"{run}:{flow}"


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
        run: `measured`, `estimate`, `forecast`, `schedule` or `plan`; all but the first may carry a name
            (`forecast/q10`, `estimate/nowcast`). It decides the series of the values, see `series`.
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
