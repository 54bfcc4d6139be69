# SPDX-License-Identifier: Apache-2.0
"""The desk of one charger: what its messages mean, whichever version it speaks.

Comes in: boots, meter values, starts and ends of transactions, read by `v16` and `v201` from what came over the wire. Goes out:
batches and records for the intake, awaited until they are on disk, so that an answer is an acknowledgement. A message that comes
again is recognized by its transaction and number, or by its words, and counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa

from mangrove.errors import Problem
from mangrove.ledger import Ledger, sessions
from mangrove.ledger.types import Origin, Rejected
from mangrove.sources.ocpp import journal as journals
from mangrove.sources.ocpp.journal import End, Journal, Start, energy, micros, moment
from mangrove.sources.ocpp.points import POWER, REGISTER, Sample, Wiring, table_of, wrong_clock
from mangrove.sources.ocpp.profiles import Charger
from mangrove.sources.registers import register_modulus
from mangrove.units import unit

if TYPE_CHECKING:
    from mangrove.sources.intake import Intake

NOTHING = table_of({})
MOST_FOLLOWED = 1000
"""Transactions of one charger whose registers are held in memory; one that never ends must not stay for ever."""
_OWN_MAIN = ("", "Outlet")


@dataclass(slots=True)
class Seen:
    """What is known of a charger now, for pages: version, maker and model, words of its connectors, powers in kW."""

    version: str = ""
    model: str = ""
    connectors: dict[int, str] = field(default_factory=dict)
    powers: dict[int, float] = field(default_factory=dict)
    last: datetime | None = None


@dataclass
class Desk:
    """Turns what one charger says into values, sessions and records.

    Attributes:
        charger: what is declared; wiring: its points; journal: of all transactions; intake: the one writer.
        registers: register of a running transaction (Wh) when it was first and last said: 2.0.1 has no meter start of its own.
    """

    charger: Charger
    wiring: Wiring
    journal: Journal
    intake: Intake
    seen: Seen = field(default_factory=Seen)
    registers: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The charge point identity."""
        return self.charger.device

    def allows(self, tag: str) -> bool:
        """Whether a card may charge: all may unless the charger declares `tags`."""
        return self.charger.tags is None or tag in self.charger.tags

    def status(self, connector: int, word: str) -> None:
        """Notes what a connector says of itself."""
        self.seen.connectors[connector] = word

    async def meter(self, samples: Sequence[Sample], key: str, now: datetime) -> None:
        """Stores the samples of one message; returns when they are on disk."""
        for sample in samples:
            if sample.measurand == POWER and (sample.phase, sample.location) == _OWN_MAIN:
                known = sample.value * (1.0 if sample.unit == "kW" else 0.001)
                self.seen.powers[sample.connector] = known
        values, rejected = self.wiring.values(samples, now)
        if values.num_rows or rejected:
            await self._offer(values, key, rejected)

    async def begin(
        self, connector: int, at: datetime, meter: float | None, tag: str, *, now: datetime, number: str = ""
    ) -> Start:
        """Keeps the start of a transaction; with `number` when the charger gives its own, else with a number of ours."""
        known = self.journal.starts.get((self.device, number)) if number else None
        start = known or (
            Start(self.device, connector, number, micros(at), meter, tag, ours=False)
            if number
            else self.journal.begin(self.device, connector, at, meter, tag)
        )
        if (self.device, start.number) not in self.journal.starts:
            await self._call(start)
        if meter is not None:
            await self.meter([Sample(connector, REGISTER, at, meter, "Wh")], f"start:{start.number}", now)
        await self._finish(start.number, now)
        return start

    async def end(
        self, number: str, at: datetime, meter: float | None, samples: Sequence[Sample], now: datetime
    ) -> None:
        """Keeps the end of a transaction, and its session when its start is known."""
        start = self.journal.starts.get((self.device, number))
        every = list(samples)
        if start is not None and meter is not None:
            every.append(Sample(start.connector, REGISTER, at, meter, "Wh"))
            self.seen.powers.pop(start.connector, None)
        await self.meter(every, f"end:{number}", now)
        if (self.device, number) not in self.journal.ends:
            await self._call(End(self.device, number, micros(at), meter))
        if start is None:
            await self.refuse(
                f"end:{number}:unknown", Problem("ocpp.unknown_transaction", {"number": number[:64]})
            )
        await self._finish(number, now)

    def follow(self, number: str, samples: Sequence[Sample]) -> None:
        """Remembers the register of a running transaction."""
        own = [
            one.value * (1000.0 if one.unit == "kWh" else 1.0)
            for one in samples
            if one.measurand == REGISTER and (one.phase, one.location) == _OWN_MAIN
        ]
        if own:
            if number not in self.registers and len(self.registers) >= MOST_FOLLOWED:
                self.registers.pop(next(iter(self.registers)))
            first, _ = self.registers.get(number, (own[0], own[0]))
            self.registers[number] = (first, own[-1])

    async def refuse(self, key: str, problem: Problem, raw: str = "") -> None:
        """Sets something aside with its reason."""
        reason = Problem(problem.code, problem.data, severity="warning")
        await self._offer(NOTHING, key, [Rejected(raw or f"{self.device} {key}", reason)])

    async def _finish(self, number: str, now: datetime) -> None:
        """Stores the session of a transaction of which both ends are known."""
        start = self.journal.starts.get((self.device, number))
        end = self.journal.ends.get((self.device, number))
        if start is None or end is None:
            return
        flow = self.wiring.session_flow(start.connector)
        first, last = self.registers.pop(number, (None, None))
        if flow is None:
            return
        declared = self.wiring.territory.flows[flow]
        whole = register_modulus(declared)
        gained = energy(
            start.meter if start.meter is not None else first,
            end.meter if end.meter is not None else last,
            None if whole is None else whole * declared.unit.to("Wh"),
        )
        code = ""
        if end.at <= start.at or wrong_clock(moment(end.at), now):
            code = "ocpp.bad_session"
        elif gained is None:
            code = "ocpp.no_energy"
        if code:
            await self.refuse(f"session:{number}", Problem(code, {"number": number[:64]}))
            return
        amount = (gained or 0.0) * unit("Wh").to(declared.unit)
        stamp = pa.timestamp("us", tz="UTC")
        stay = pa.table(
            {
                "start": pa.array([start.at]).cast(stamp),
                "end": pa.array([end.at]).cast(stamp),
                "amount": pa.array([amount], pa.float64()),
            }
        )
        source = f"ocpp:{self.device}:{number}"
        await asyncio.wrap_future(self.intake.call(lambda ledger: sessions.put(ledger, flow, stay, source)))

    async def _call(self, one: Start | End) -> None:
        """Writes a start or an end to the ledger, then to memory."""

        def write(ledger: Ledger) -> str:
            return journals.record(ledger, one)

        await asyncio.wrap_future(self.intake.call(write))
        self.journal.note(one)

    async def _offer(self, values: pa.Table, key: str, rejected: Sequence[Rejected]) -> None:
        origin = Origin(f"ocpp:{self.device}", key)
        await asyncio.wrap_future(self.intake.offer(values, origin, rejected))


def words_key(action: str, words: object) -> str:
    """What makes a message recognizable that has no number of its own: its words."""
    return f"{action}:{sha256(repr(words).encode()).hexdigest()}"
