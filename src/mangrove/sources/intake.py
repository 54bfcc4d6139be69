# SPDX-License-Identifier: Apache-2.0
"""The intake: one bounded queue and one writer for everything that arrives while a server runs.

Comes in: batches of values from any number of connectors and requests, and small pieces of work for the ledger. Goes out: for each
of them a receipt, after it is on disk and not before. What waits at the same time is committed together, so many small batches
cost one sync. When the queue is full the door says so at once (`sources.busy`): a request is answered with 429, a broker gets no
acknowledgement, a poller waits. Nothing that was acknowledged is ever dropped, and memory has a bound.

Readings of counters are stored as registers, and the amounts between them are derived here, some seconds later.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa

from mangrove.errors import LedgerError, MangroveError, SourceError
from mangrove.ledger import Ledger
from mangrove.ledger.door import NEVER
from mangrove.ledger.types import Origin, Receipt, Rejected
from mangrove.sources.convert import Values
from mangrove.sources.registers import SUFFIX, Pending
from mangrove.territory.model import Territory

T = TypeVar("T")

DERIVE_EVERY = 5.0
"""Seconds between two derivations of amounts from registers."""
SEAL_EVERY = 300.0
"""Seconds after which rows that arrived are sealed into files, however few they are."""
_OWN = SUFFIX[0]
"""Registers, samples and events stand under keys of their own: the flow's id, this sign, and a word."""
COMPACT_SEALS = 72
"""Seals after which files of the same days are joined: with a seal every five minutes four times a day, so that a year is no heap of 100,000 files."""
_EMPTY_ROWS = 1
"""Rows that a batch without values counts for, so that a flood of empty batches is bounded too."""
_REFUSED = frozenset({"ledger.disk", "ledger.file", "ledger.catalog", "ledger.damaged", "ledger.read_only"})
"""Errors of the store itself: every batch of the group would meet them."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one commit brought.

    Attributes:
        receipts: one for each batch, in the order of arrival; flows: ids of the flows with values in it.
        cut: the latest batch; last: the latest start of each flow, microseconds UTC.
    """

    receipts: tuple[Receipt, ...]
    flows: frozenset[str]
    cut: int
    last: dict[str, int]


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits: rows, bytes and pieces of work."""

    rows: int
    bytes: int
    batches: int


@dataclass(slots=True)
class Counters:
    """What the intake has done since it started.

    Attributes:
        batches, rows, unchanged, rejected, duplicates: of what was committed; commits: syncs for them.
        refused: batches turned away because the queue was full; failed: batches that the store refused, and derivations and seals that went wrong.
        seconds: time spent in commits.
    """

    batches: int = 0
    rows: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicates: int = 0
    commits: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Batch:
    values: Values | pa.Table
    origin: Origin
    rejected: Sequence[Rejected]
    rows: int
    bytes: int
    done: Future[Receipt]


@dataclass(slots=True)
class _Work:
    work: Callable[[Ledger], Any]
    done: Future[Any]
    rows: int = 0
    bytes: int = 0


@dataclass
class _Queue:
    """What waits, with its bounds; `changed` wakes the writer and whoever waits for room."""

    most_rows: int
    most_bytes: int
    items: deque[_Batch | _Work] = field(default_factory=deque)
    rows: int = 0
    bytes: int = 0
    closed: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    def has_room(self, item: _Batch) -> bool:
        return not self.items or (
            self.rows + item.rows <= self.most_rows and self.bytes + item.bytes <= self.most_bytes
        )

    def push(self, item: _Batch | _Work) -> None:
        self.items.append(item)
        self.rows += item.rows
        self.bytes += item.bytes
        self.changed.notify_all()

    def take(self, most_rows: int) -> list[_Batch | _Work]:
        """The next group: batches up to `most_rows`, or one piece of work."""
        group: list[_Batch | _Work] = []
        rows = 0
        while self.items and (not group or rows + self.items[0].rows <= most_rows):
            if group and isinstance(self.items[0], _Work):
                break
            item = self.items.popleft()
            group.append(item)
            rows += item.rows
            self.bytes -= item.bytes
            if isinstance(item, _Work):
                break
        self.rows -= rows
        if group:
            self.changed.notify_all()
        return group


class Intake:
    """The one writer of a running server; use it in a `with` statement.

    Example:
        >>> import tempfile, datetime as dt, mangrove as mg
        >>> from pathlib import Path
        >>> from mangrove.testing import two_factory_park, values
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     park = mg.open(two_factory_park(Path(folder)))
        ...     rows = values([("mill.power", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), 1.5)])
        ...     with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        ...         intake.offer(rows, Origin("http:gateway", "1")).result().rows
        1
    """

    def __init__(
        self,
        ledger: Ledger,
        territory: Territory,
        *,
        most_rows: int = 500_000,
        most_bytes: int = 64 << 20,
        group_rows: int = 50_000,
    ) -> None:
        self.ledger = ledger
        self.territory = territory
        self.counters = Counters()
        self._queue = _Queue(most_rows, most_bytes)
        self._group_rows = group_rows
        self._registers = Pending(ledger, territory)
        self._hearers: list[Callable[[Arrival], None]] = []
        self._threads: list[threading.Thread] = []

    # What connectors use

    def offer(
        self, values: Values | pa.Table, origin: Origin, rejected: Sequence[Rejected] = ()
    ) -> Future[Receipt]:
        """Queues a batch; the future has its receipt once it is on disk, or the `LedgerError` that kept it off.

        Args:
            values: columns flow (declared id), start (UTC), value (in the flow's unit) and quality.
            origin: who sent it and what makes it recognizable when it comes again.
            rejected: rows that could not be read; they go to quarantine with the batch.

        Raises:
            SourceError: `sources.busy`: the queue is full; nothing was taken.
        """
        item = _batch(values, origin, rejected)
        with self._queue.changed:
            self._open()
            if not self._queue.has_room(item):
                self.counters.refused += 1
                raise SourceError("sources.busy", rows=self._queue.rows)
            self._queue.push(item)
        return item.done

    def put(
        self,
        values: Values | pa.Table,
        origin: Origin,
        rejected: Sequence[Rejected] = (),
        timeout: float = 30.0,
    ) -> Receipt:
        """Waits for room and for the commit; for connectors with a thread of their own.

        Raises:
            SourceError: `sources.busy` after `timeout` seconds.
            LedgerError: the store refuses.
        """
        item = _batch(values, origin, rejected)
        until = time.monotonic() + timeout
        with self._queue.changed:
            while not self._queue.has_room(item):
                self._open()
                if not self._queue.changed.wait(until - time.monotonic()):
                    self.counters.refused += 1
                    raise SourceError("sources.busy", rows=self._queue.rows)
            self._open()
            self._queue.push(item)
        try:
            return item.done.result(max(until - time.monotonic(), 0.1))
        except TimeoutError:
            raise SourceError("sources.busy", rows=self._queue.rows) from None

    def call(self, work: Callable[[Ledger], T]) -> Future[T]:
        """Runs `work` with the ledger on the writer's thread, after everything that was queued before it."""
        done: Future[T] = Future()
        with self._queue.changed:
            self._open()
            self._queue.push(_Work(work, done))
        return done

    def subscribe(self, hear: Callable[[Arrival], None]) -> Callable[[], None]:
        """Calls `hear` after every commit, on the writer's thread; gives back what ends it."""
        self._hearers.append(hear)

        def end() -> None:
            with suppress(ValueError):
                self._hearers.remove(hear)

        return end

    @property
    def depth(self) -> Depth:
        """What waits now."""
        return Depth(self._queue.rows, self._queue.bytes, len(self._queue.items))

    # Running

    def start(self) -> None:
        """Starts the writer and the sealer."""
        self._catch_up()
        for run in (self._write, self._seal):
            thread = threading.Thread(target=run, name=f"intake{run.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Takes nothing more, commits what waits and derives; then the ledger is the caller's again."""
        with self._queue.changed:
            self._queue.closed = True
            self._queue.changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _open(self) -> None:
        if self._queue.closed:
            raise SourceError("sources.closed")

    def _catch_up(self) -> None:
        """Derives the amounts of all registers once: an earlier writer may have died between storing and deriving."""
        with self.ledger.snapshot() as snapshot:
            known, (low, high) = set(snapshot.flow_ids()), snapshot.span()
        for flow in self.territory.flows.values():
            if flow.semantics == "counter" and flow.id + SUFFIX in known:
                self._registers.touched[flow.id] = (low, high)

    def _write(self) -> None:
        """The writer: takes groups until it is told to stop and nothing waits."""
        derived = time.monotonic() - DERIVE_EVERY
        while True:
            with self._queue.changed:
                if not self._queue.items and not self._queue.closed:
                    self._queue.changed.wait(DERIVE_EVERY if not self._registers.touched else 0.2)
                group = self._queue.take(self._group_rows)
                ended = self._queue.closed and not group
            if group:
                self._handle(group)
            if self._registers.touched and (ended or time.monotonic() - derived >= DERIVE_EVERY):
                self._derive()
                derived = time.monotonic()
            if ended:
                return

    def _handle(self, group: Sequence[_Batch | _Work]) -> None:
        if isinstance(group[0], _Work):
            _settle(group[0].done, lambda: group[0].work(self.ledger))  # type: ignore[union-attr]
            return
        batches = [item for item in group if isinstance(item, _Batch)]
        begun = time.monotonic()
        try:
            self._commit(batches)
        except LedgerError as error:
            if error.code in _REFUSED or len(batches) == 1:
                self._fail(batches, error)
            else:  # one of them is wrong in itself: the others must not wait for it
                for batch in batches:
                    self._handle([batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it and the writer must live
            self._fail(batches, error)
        self.counters.seconds += time.monotonic() - begun

    def _commit(self, batches: Sequence[_Batch]) -> None:
        renamed = [
            self._renamed(batch.values)
            if batch.origin.run == "measured" and not batch.origin.model
            else batch.values  # what a model gives are amounts, never registers
            for batch in batches
        ]
        tables = [values.table() if isinstance(values, Values) else values for values in renamed]
        receipts = self.ledger.append_group(
            [(table, batch.origin, batch.rejected) for table, batch in zip(tables, batches, strict=True)]
        )
        last: dict[str, int] = {}
        for values, table, batch, receipt in zip(renamed, tables, batches, receipts, strict=True):
            if isinstance(values, Values):
                self._registers.seen(values, receipt)
            _raise_last(last, values if isinstance(values, Values) else _as_values(table))
            self._count(receipt)
            with suppress(InvalidStateError):
                batch.done.set_result(receipt)
        self.counters.commits += 1
        names = frozenset(name.partition(_OWN)[0] for name in last)
        self._tell(Arrival(tuple(receipts), names, max(one.batch for one in receipts), last))

    def _renamed(self, values: Values | pa.Table) -> Values | pa.Table:
        """Counter readings under the key of their register; a table without counters stays as it is."""
        if isinstance(values, Values):
            return self._registers.rename(values)
        flows = self.territory.flows
        names = _names(values)
        if any(name in flows and flows[name].semantics == "counter" for name in names):
            return self._registers.rename(_as_values(values))
        return values

    def _count(self, receipt: Receipt) -> None:
        counters = self.counters
        counters.batches += 1
        if receipt.duplicate:
            counters.duplicates += 1
        else:
            counters.rows += receipt.rows
            counters.unchanged += receipt.unchanged
            counters.rejected += receipt.rejected

    def _fail(self, batches: Sequence[_Batch], error: Exception) -> None:
        self.counters.failed += len(batches)
        for batch in batches:
            with suppress(InvalidStateError):
                batch.done.set_exception(error)

    def _tell(self, arrival: Arrival) -> None:
        for hear in tuple(self._hearers):
            with suppress(Exception):  # who listens badly must not stop the writer
                hear(arrival)

    def _derive(self) -> None:
        flows = frozenset(self._registers.touched)
        try:
            receipts = [receipt for _, receipt in self._registers.derive() if receipt is not None]
        except MangroveError:  # the disk is full: `touched` keeps what is due, and it is tried again
            return
        except Exception:  # noqa: BLE001 - nobody waits for amounts, and everybody waits for the writer
            self.counters.failed += 1
            return
        if receipts:
            self._tell(Arrival(tuple(receipts), flows, max(one.batch for one in receipts), {}))

    def _seal(self) -> None:
        """The sealer: moves rows into files now and then, and joins files when there are many."""
        sealed, seals = time.monotonic(), 0
        while not self._queue.closed:
            with self._queue.changed:
                self._queue.changed.wait(1.0)
            if time.monotonic() - sealed >= SEAL_EVERY:
                try:
                    seals += bool(self.ledger.seal())
                    if seals >= COMPACT_SEALS:
                        self.ledger.compact()
                        seals = 0
                except LedgerError:  # the disk is full: it is tried again
                    pass
                except Exception:  # noqa: BLE001 - the sealer must live; what it could not seal is safe where it is
                    self.counters.failed += 1
                sealed = time.monotonic()


def _batch(values: Values | pa.Table, origin: Origin, rejected: Sequence[Rejected]) -> _Batch:
    if isinstance(values, Values):
        rows, size = len(values), 21 * len(values)
    else:
        rows, size = values.num_rows, values.nbytes
    size += sum(len(one.raw) for one in rejected)
    return _Batch(values, origin, rejected, max(rows + len(rejected), _EMPTY_ROWS), size, Future())


def _settle(done: Future[T], work: Callable[[], T]) -> None:
    """Gives a future the outcome of `work`."""
    if not done.set_running_or_notify_cancel():
        return
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - whatever it is belongs to whoever asked
        done.set_exception(error)


def _encoded(table: pa.Table) -> Any:
    column = table.column("flow").combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # an empty table keeps its chunks
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _names(table: pa.Table) -> list[str]:
    return [name for name in _encoded(table).dictionary.to_pylist() if name is not None]


def _as_values(table: pa.Table) -> Values:
    encoded = _encoded(table)
    rows = table.num_rows
    quality = (
        table.column("quality").cast(pa.uint8()).to_numpy()
        if "quality" in table.column_names
        else np.zeros(rows, dtype=np.uint8)
    )
    return Values(
        encoded.dictionary.to_pylist(),
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32),
        table.column("start").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(),
        table.column("value").cast(pa.float64()).to_numpy(),
        quality,
        np.zeros(rows, dtype=np.int64),
    )


def _raise_last(last: dict[str, int], values: Values) -> None:
    """Notes the latest start of each flow of some values."""
    if not len(values):
        return
    latest = np.full(len(values.names), NEVER)
    np.maximum.at(latest, values.flow, values.start)
    for name, at in zip(values.names, latest.tolist(), strict=True):
        if at != NEVER:
            last[name] = max(last.get(name, at), at)
