# SPDX-License-Identifier: Apache-2.0
"""The journal of transactions: which charging stays began and ended, kept so that no number is ever given twice.

Comes in: starts and ends as chargers report them, also late, repeated, and in the wrong order. Goes out: transaction numbers, and
finished stays with their energy. Every start and every end is an immutable record of the ledger; what is held in memory is read
from there when the server starts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference.series import SECOND, Series
from mangrove.ledger import Ledger
from mangrove.ledger.catalog import reader
from mangrove.sources.registers import increments
from mangrove.times import Step

START, END = "ocpp.start", "ocpp.end"
"""Kinds of the records."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of a transaction.

    Attributes:
        device, connector: where.
        number: the transaction id as text: given by us (1.6) or by the charger (2.0.1).
        at: microseconds UTC; meter: register of the connector in Wh, None when it was not said.
        tag: who charges.
        ours: whether we gave the number.
    """

    device: str
    connector: int
    number: str
    at: int
    meter: float | None
    tag: str
    ours: bool = True

    @property
    def said(self) -> tuple[str, int, int, float | None, str]:
        """What a charger repeats when it sends the same start again."""
        return self.device, self.connector, self.at, self.meter, self.tag


@dataclass(frozen=True, slots=True)
class End:
    """The end of a transaction: when (microseconds UTC) and the register in Wh."""

    device: str
    number: str
    at: int
    meter: float | None


@dataclass
class Journal:
    """All transactions of a territory, in memory as in the ledger."""

    starts: dict[tuple[str, str], Start] = field(default_factory=dict)
    ends: dict[tuple[str, str], End] = field(default_factory=dict)
    last: int = 0
    _said: dict[tuple[str, int, int, float | None, str], Start] = field(default_factory=dict)
    _open: dict[tuple[str, int], dict[str, Start]] = field(default_factory=dict)

    @classmethod
    def read(cls, ledger: Ledger) -> Journal:
        """The journal as the ledger has it."""
        journal = cls()
        with reader(ledger.root) as db:
            rows = db.execute(
                "select kind, document from record where kind in (?, ?) order by recorded_at, id",
                (START, END),
            ).fetchall()
        for kind, document in rows:
            said: dict[str, Any] = json.loads(bytes(document))
            if kind == START:
                journal.note(Start(**said))
            else:
                journal.note(End(**said))
        return journal

    def begin(self, device: str, connector: int, at: datetime, meter: float | None, tag: str) -> Start:
        """The start that a charger reports, with the number that it had before or with a new one; keep it with `note`."""
        known = self._said.get((device, connector, micros(at), meter, tag))
        if known is not None:
            return known
        self.last += 1
        one = Start(device, connector, str(self.last), micros(at), meter, tag)
        self._said[one.said] = one  # also before it is stored: who repeats it meanwhile gets the same number
        return one

    def note(self, one: Start | End) -> None:
        """Keeps in memory what stands in the ledger; the first word about a transaction counts."""
        key = (one.device, one.number)
        if isinstance(one, End):
            self.ends.setdefault(key, one)
        else:
            self.starts.setdefault(key, one)
            self._said.setdefault(one.said, one)
            self.last = max(self.last, int(one.number)) if one.ours else self.last
        start = self.starts.get(key)
        if start is not None:
            of_connector = self._open.setdefault((start.device, start.connector), {})
            if key in self.ends:
                of_connector.pop(start.number, None)
            else:
                of_connector[start.number] = start

    def running(self, device: str, connector: int) -> Start | None:
        """The transaction that began last on a connector and has not ended."""
        found = self._open.get((device, connector), {})
        return max(found.values(), key=lambda one: one.at, default=None)


def record(ledger: Ledger, one: Start | End) -> str:
    """Stores one start or end; storing it again changes nothing."""
    kind = START if isinstance(one, Start) else END
    return ledger.put_record(kind, json.dumps(asdict(one), sort_keys=True).encode())


def energy(begin: float | None, end: float | None, modulus: float | None = None) -> float | None:
    """Wh between two readings of a register by the rule of all registers; None when they do not say.

    A register that starts again at zero (a roll-over) is counted on; one that fell for another reason says nothing.

    Example:
        >>> energy(1000.0, 8500.0), energy(999_900.0, 400.0), energy(8500.0, 1000.0)
        (7500.0, 500.0, None)
    """
    if begin is None or end is None:
        return None
    hour = Step(seconds=3600)
    at = np.array([0, 3600 * SECOND], dtype=np.int64)
    found = increments(
        Series(at, np.array([begin, end]), np.zeros(2, np.uint8)), hour, ZoneInfo("UTC"), modulus
    )
    gained = float(found.series.value[0])
    return gained if not found.drops and gained >= 0.0 else None


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The instant of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)
