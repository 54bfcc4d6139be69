# SPDX-License-Identifier: Apache-2.0
"""The ledger: batches of values come in, receipts go out once they are on disk; what was stored never changes.

`Ledger` is the only writer of a territory's values and the door to reading them. Everything an append decides is
decided in memory first; then one SQLite transaction makes it durable; only then does memory follow, and the caller
gets the receipt. So an append that fails leaves no trace, and a process that dies leaves only what it acknowledged
(or at most one batch that it was about to).
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from mangrove.errors import LedgerError, Problem
from mangrove.ledger import catalog, door, files, records, sealing
from mangrove.ledger.chain import GENESIS, Link
from mangrove.ledger.columns import Columns, Ints, Mask, decode, encode
from mangrove.ledger.sealing import Hot
from mangrove.ledger.types import Origin, Receipt, Rejected, check_run, series
from mangrove.times import from_us, to_us

if TYPE_CHECKING:
    from mangrove.ledger.snapshot import Snapshot

GRACE = timedelta(hours=1)
"""How long a replaced file stays for readers that still know it: longer than the longest query."""

_BATCH = "id, source, seq, rows, unchanged, rejected, recorded_at, run, model, version, inputs, note, hash"


class Ledger:
    """The store of one territory; open it with `Ledger.open` and close it, or use it in a `with` statement.

    Invariants:
        A receipt exists only for a batch that is on disk. A batch with a known (source, seq) changes nothing.
        (flow, start) is unique within a batch. What did not happen (a forecast, a schedule, a plan) has series of its own. `recorded_at` grows with the batch id.

    Example:
        >>> import tempfile, pyarrow as pa, datetime as dt
        >>> from pathlib import Path
        >>> rows = {"flow": ["main"], "start": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "value": [1.5]}
        >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder)) as ledger:
        ...     ledger.append(pa.table(rows), Origin("file:a.csv", "1")).rows
        1
    """

    def __init__(self, root: Path, db: sqlite3.Connection | None, lock: int | None) -> None:
        self.root = root
        self._db = db
        self._lock = lock
        self._mutex = threading.RLock()
        self._sealing = threading.Lock()
        self._flows: dict[str, int] = {}
        self._names: list[str] = []
        self._watermark: Ints = np.empty(0, dtype=np.int64)
        self._hot: list[Hot] = []
        self._hot_rows = 0
        self._last, self._head, self._recorded_at = 0, GENESIS, 0

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Self:
        """Opens the ledger in `folder` (a territory's `.mangrove`), and makes it when it is opened for writing.

        Raises:
            LedgerError: another writer holds it, it is missing (read-only), damaged, or of an unknown format.
        """
        root = Path(folder)
        if read_only:
            if not (root / catalog.CATALOG).is_file():
                catalog.require_no_files(root)
                raise LedgerError("ledger.missing", path=root)
            return cls(root, None, None)
        files.prepare(root)
        with catalog.guarded():
            lock = catalog.lock_for_writing(root)
        ledger = cls(root, None, lock)
        try:
            with catalog.guarded():
                ledger._db = catalog.writer(root)
                ledger._recover()
                catalog.sync(root)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _recover(self) -> None:
        """Reads the state that the writer keeps in memory, and sweeps what an interrupted seal left."""
        db = self._writing()
        listed = {
            row[0] for table in ("segment", "rollup") for row in db.execute(f"select path from {table}")
        }
        files.sweep(self.root, listed)
        for id_, key, watermark in db.execute("select id, key, watermark from flow order by id"):
            self._flows[key] = id_
            self._names.append(key)
            self._watermark = np.append(self._watermark, door.NEVER if watermark is None else watermark)
        for last, *bodies in db.execute("select last, base, late from hot order by last"):
            base, late = (decode(body) if body else None for body in bodies)
            self._hot.append(Hot.of(last, base, late))
            self._hot_rows += self._hot[-1].rows
            if base is not None:  # a later version never starts after the first arrivals of its flow
                rows = Columns.of(base)
                np.maximum.at(self._watermark, rows.flow, rows.start)
        newest = db.execute("select id, hash, recorded_at from batch order by id desc limit 1").fetchone()
        if newest:
            self._last, self._head, self._recorded_at = newest

    def append(self, values: pa.Table, origin: Origin, *, rejected: Sequence[Rejected] = ()) -> Receipt:
        """Stores one batch; it is on disk when the receipt comes.

        Args:
            values: columns flow (key), start (timestamp with a zone), value (in the flow's unit; null or NaN only
                with a quality that is not counted) and quality (optional; good when absent).
            origin: where the batch comes from; its (source, seq) makes a re-sent batch recognizable, its run names the
                series that the values enter (see `mangrove.ledger.series`): readers ask with that key.
            rejected: rows that the caller could not read; they are kept in quarantine with the batch.

        Raises:
            LedgerError: a column or the run is missing or wrong, or the disk refuses. Nothing was stored.
        """
        return self._append([(values, origin, rejected)])[0]

    def append_group(self, batches: Sequence[tuple[pa.Table, Origin, Sequence[Rejected]]]) -> list[Receipt]:
        """Stores many small batches with one commit; all of them are on disk when the receipts come, or none is.

        Each is a table, its origin and its rejected rows, as for `append`.
        """
        return self._append(batches)

    def _append(self, batches: Sequence[tuple[pa.Table, Origin, Sequence[Rejected]]]) -> list[Receipt]:
        with self._mutex:
            receipts: dict[tuple[str, str], Receipt] = {}
            fresh = []
            for values, origin, rejected in batches:
                key = (origin.source, origin.seq)
                known = self._known(origin)
                if known:
                    receipts[key] = known
                elif key not in receipts:
                    receipts[key] = Receipt(0, 0, datetime.now(UTC), "")
                    fresh.append((values, origin, rejected))
            if fresh:
                receipts.update(self._commit(fresh))
            answers, seen = [], set()
            for _, origin, _ in batches:
                key = (origin.source, origin.seq)
                answers.append(replace(receipts[key], duplicate=True) if key in seen else receipts[key])
                seen.add(key)
        if self._hot_rows > sealing.SEAL_ROWS or len(self._hot) > sealing.SEAL_COMMITS:
            # The batch is on disk and must be acknowledged; a seal that fails is tried again by the next append.
            with suppress(LedgerError):
                self.seal()
        return answers

    def _known(self, origin: Origin) -> Receipt | None:
        """The receipt of an earlier batch with the same (source, seq), as a duplicate."""
        with catalog.guarded():
            row = self._writing().execute(
                "select id, rows, recorded_at, hash, rejected, unchanged from batch where source = ? and seq = ?",
                (origin.source, origin.seq),
            )
            found = row.fetchone()
        if found is None:
            return None
        batch, rows, recorded_at, hash_, rejected, unchanged = found
        first = Receipt(batch, rows, from_us(recorded_at), hash_, rejected=rejected, unchanged=unchanged)
        return replace(first, duplicate=True)

    def _commit(
        self, fresh: Sequence[tuple[pa.Table, Origin, Sequence[Rejected]]]
    ) -> dict[tuple[str, str], Receipt]:
        """Admits, chains and stores batches in one transaction; memory follows only after the commit."""
        for _, origin, _ in fresh:
            check_run(origin.run)
        named: list[list[tuple[int, str]]] = [[] for _ in fresh]
        added: dict[str, int] = {}

        def ids(flows: list[str], index: int) -> list[int]:
            keys = [series(flow, fresh[index][1].run) for flow in flows]
            for key in keys:
                if key not in self._flows and key not in added:
                    added[key] = len(self._names) + len(added)
                    named[index].append((added[key], key))
            return [self._flows[key] if key in self._flows else added[key] for key in keys]

        columns = [
            door.read(values, lambda keys, i=i: ids(keys, i))  # type: ignore[misc]
            for i, (values, _, _) in enumerate(fresh)
        ]
        names = [*self._names, *added] if added else self._names
        watermark = np.concatenate([self._watermark, np.full(len(added), door.NEVER)])
        now = datetime.now(UTC)
        admitted = door.admit(columns, watermark, self._stored, names.__getitem__, now)
        write = _Commit(self._last, self._head, max(to_us(now), self._recorded_at + 1))
        for (_, origin, rejected), one, flows in zip(fresh, admitted, named, strict=True):
            write.add(origin, one, (*rejected, *one.rejected), flows)
        write.finish()
        with self._transaction() as db:
            write.insert(db)
        self._flows.update(added)
        self._names = list(names)
        if write.hot:
            self._hot.append(write.hot)
            self._hot_rows += write.hot.rows
        for one in admitted:
            _raise_watermark(watermark, one.rows)
        self._watermark = watermark
        self._last, self._head, self._recorded_at = write.last, write.head, write.recorded_at
        return write.receipts

    def _stored(self, rows: Columns) -> tuple[Mask, np.ndarray, np.ndarray]:
        with catalog.guarded():
            segments = catalog.parts(self._writing(), "segment")
        with _readable():
            return sealing.lookup(rows, self.root, segments, self._hot)

    def seal(self) -> int:
        """Moves all hot batches into segments and roll-ups; returns the rows moved. Appends go on meanwhile."""
        with self._sealing:
            with self._mutex, catalog.guarded():
                segments = catalog.parts(self._writing(), "segment")
                hot, watermark = list(self._hot), self._watermark.copy()
            if not hot:
                return 0
            with _readable():
                change = sealing.seal(self.root, hot, segments)
            last, sealed = hot[-1].last, sum(one.rows for one in hot)
            with self._mutex:
                with self._transaction() as db:
                    self._list(db, change)
                    db.execute("delete from hot where last <= ?", (last,))
                    marks = [(int(m), i) for i, m in enumerate(watermark) if m != door.NEVER]
                    db.executemany("update flow set watermark = ? where id = ?", marks)
                self._hot = [one for one in self._hot if one.last > last]
                self._hot_rows -= sealed
            self._unlink_retired()
            return sealed

    def compact(self) -> int:
        """Rewrites days that lie in several files; returns how many files were replaced.

        The replaced files stay for an hour, for readers that still know them.
        """
        with self._sealing:
            with self._mutex, catalog.guarded():
                db = self._writing()
                segments, rollups = catalog.parts(db, "segment"), catalog.parts(db, "rollup")
            with _readable():
                change = sealing.compact(self.root, segments, rollups)
            with self._mutex, self._transaction() as db:
                self._list(db, change)
            self._unlink_retired()
            return len(change.retired_segments) + len(change.retired_rollups)

    def _list(self, db: sqlite3.Connection, change: sealing.Change) -> None:
        """Lists new files and retires those that they replace, inside a transaction."""
        now = to_us(datetime.now(UTC))
        for table, added, retired in (
            ("segment", change.segments, change.retired_segments),
            ("rollup", change.rollups, change.retired_rollups),
        ):
            db.executemany(
                f"update {table} set retired = ? where path = ?", [(now, path) for path in retired]
            )
            catalog.add_parts(db, table, added)

    def _unlink_retired(self) -> None:
        """Forgets and removes files that were replaced longer than the grace period ago."""
        limit = to_us(datetime.now(UTC) - GRACE)
        with self._mutex:
            old = []
            with self._transaction() as db:
                for table in ("segment", "rollup"):
                    rows = db.execute(f"delete from {table} where retired < ? returning path", (limit,))
                    old += [path for (path,) in rows.fetchall()]
        with catalog.guarded():
            for path in old:
                (self.root / path).unlink(missing_ok=True)

    def verify(self) -> list[Problem]:
        """Recomputes the chain, the files and the content of every batch; returns what does not hold."""
        from mangrove.ledger import verify

        return verify.verify(self.root)

    def cut(self, as_of: datetime | None = None) -> int:
        """The highest batch id recorded at or before `as_of`; the highest of all when None; 0 when there is none."""
        with catalog.reader(self.root) as db:
            return catalog.cut_at(db, as_of)

    def snapshot(self, *, as_of: datetime | None = None, cut: int | None = None) -> Snapshot:
        """A consistent view of what was known at `as_of`, or at `cut`, or now; close it after use."""
        from mangrove.ledger.snapshot import Snapshot

        with catalog.reader(self.root) as db:
            view = catalog.view(db, cut, as_of)
        return Snapshot(self.root, view)

    def batches(self) -> pa.Table:
        """All batches, oldest first: batch, source, seq, rows, unchanged, rejected, recorded_at, run, ..., hash."""
        return records.batches(self.root)

    def quarantine(self) -> pa.Table:
        """All refused rows: batch, source, recorded_at, line, raw (bytes), code, data (JSON)."""
        return records.quarantine(self.root)

    def put_record(self, kind: str, document: bytes, payload: bytes = b"") -> str:
        """Stores an immutable record and returns its id, the hash of its content; storing it again changes nothing.

        A record is one short transaction that touches no values, so a ledger opened for reading may store it too, also
        while another process writes: SQLite makes the two wait for each other.

        Raises:
            LedgerError: the store cannot be written to, or is busy for more than 30 seconds.
        """
        id_ = records.record_id(kind, document, payload)
        row = (id_, kind, to_us(datetime.now(UTC)), document, payload)
        with self._mutex:
            if self._db is not None:
                with self._transaction() as db:
                    db.execute(records.INSERT, row)
            else:
                with catalog.guarded(), closing(catalog.writer(self.root)) as db:
                    db.execute(records.INSERT, row)
        return id_

    def record(self, id: str) -> tuple[str, bytes, bytes]:  # noqa: A002 - the field's word
        """Kind, document and payload of a record, by its id or by its first 8 or more digits.

        Raises:
            LedgerError: no record has the id, or several begin with it.
        """
        return records.record(self.root, id)

    def records(self, kind: str) -> list[tuple[str, datetime]]:
        """Ids and times of all records of one kind, oldest first."""
        return records.records(self.root, kind)

    def close(self) -> None:
        """Closes the catalogue and lets the next writer in. Closing twice is fine."""
        with self._mutex:
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _writing(self) -> sqlite3.Connection:
        if self._db is None:
            raise LedgerError("ledger.read_only", path=self.root)
        return self._db

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction of the writer: committed and synced at the end, or undone."""
        db = self._writing()
        with catalog.guarded():
            db.execute("begin immediate")
            try:
                yield db
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _readable() -> Iterator[None]:
    """Names a damaged or missing file of values: whoever waits for the writer must hear of it, and the sealer must live."""
    from mangrove.ledger.snapshot import unreadable

    with catalog.guarded(), unreadable():
        yield


class _Commit:
    """What one transaction will insert: batches chained after `last` with hash `head`."""

    def __init__(self, last: int, head: str, recorded_at: int) -> None:
        self.last, self.head, self.recorded_at = last, head, recorded_at
        self.hot: Hot | None = None
        self.receipts: dict[tuple[str, str], Receipt] = {}
        self._batches: list[tuple[object, ...]] = []
        self._rows: list[tuple[int, Columns, Mask]] = []
        self._flows: list[tuple[int, str, int]] = []
        self._quarantine: list[tuple[object, ...]] = []

    def add(
        self,
        origin: Origin,
        one: door.Admitted,
        rejected: Sequence[Rejected],
        flows: Sequence[tuple[int, str]],
    ) -> None:
        """Chains one batch after the others."""
        if self._batches:
            self.recorded_at += 1
        batch, rows = self.last + 1, one.rows
        link = Link(
            prev=self.head,
            batch=batch,
            origin=origin,
            rows=len(rows),
            unchanged=one.unchanged,
            rejected=len(rejected),
            recorded_at=self.recorded_at,
            content=rows.content_hash(),
            flows=tuple(flows),
        )
        hash_ = link.hash
        span = (int(rows.start.min()), int(rows.start.max())) if len(rows) else (None, None)
        self._batches.append((
            batch, origin.source, origin.seq, len(rows), one.unchanged, len(rejected), self.recorded_at,
            origin.run, origin.model, origin.version, json.dumps(origin.inputs), origin.note,
            link.content, self.head, hash_, *span,
        ))  # fmt: skip
        self._flows += [(id_, key, batch) for id_, key in flows]
        self._quarantine += [(batch, *_quarantined(row)) for row in rejected]
        self._rows.append((batch, rows, one.late))
        self.receipts[origin.source, origin.seq] = Receipt(
            batch,
            len(rows),
            from_us(self.recorded_at),
            hash_,
            rejected=len(rejected),
            unchanged=one.unchanged,
        )
        self.last, self.head = batch, hash_

    def finish(self) -> None:
        """Joins the rows of all batches to the one hot entry of this commit."""
        rows = Columns.join([rows for _, rows, _ in self._rows])
        if not len(rows):
            return
        batch = np.repeat([batch for batch, _, _ in self._rows], [len(rows) for _, rows, _ in self._rows])
        late = np.concatenate([late for _, _, late in self._rows])
        if not late.any():
            self.hot = Hot.of(self.last, rows.to_table(batch), None)
        else:
            corrections = rows.take(late).to_table(batch[late])
            base = None if late.all() else rows.take(~late).to_table(batch[~late])
            self.hot = Hot.of(self.last, base, corrections)

    def insert(self, db: sqlite3.Connection) -> None:
        """Writes everything into the catalogue."""
        places = ", ".join("?" * 17)
        db.executemany(f"insert into batch values ({places})", self._batches)
        if self.hot:
            bodies = [
                encode(table) if table is not None else None for table in (self.hot.base, self.hot.late)
            ]
            db.execute("insert into hot values (?, ?, ?)", (self.hot.last, *bodies))
        db.executemany("insert into flow values (?, ?, ?, null)", self._flows)
        db.executemany(
            "insert into quarantine (batch, line, raw, code, data) values (?, ?, ?, ?, ?)", self._quarantine
        )


def _quarantined(row: Rejected) -> tuple[int | None, bytes, str, str]:
    raw = row.raw.encode() if isinstance(row.raw, str) else row.raw
    data = json.dumps(row.reason.data, default=str, ensure_ascii=False)
    return row.line, raw, row.reason.code, data


def _raise_watermark(watermark: Ints, rows: Columns) -> None:
    """Lifts the watermark of each flow to its latest start; rows are sorted by flow and start."""
    if not len(rows):
        return
    last = np.append(np.flatnonzero(rows.flow[1:] != rows.flow[:-1]), len(rows) - 1)
    flow = rows.flow[last]
    watermark[flow] = np.maximum(watermark[flow], rows.start[last])
