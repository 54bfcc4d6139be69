# SPDX-License-Identifier: Apache-2.0
"""The catalogue: one SQLite file that says what is stored; its commit is the acknowledgement.

Comes in: rows for the tables of `sql/catalog.sql`. Goes out: connections with the right durability, one consistent
`View` of the store for readers, and `LedgerError` instead of the errors of SQLite and the file system. A writer
holds an exclusive lock on the folder; readers never create a file in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mangrove.errors import LedgerError
from mangrove.ledger import queries
from mangrove.times import to_us

CATALOG = "catalog.db"
LOCK = "lock"
FORMAT = "1"
LOCK_PATIENCE = 2.0
"""Seconds that a writer waits for readers, who hold the lock for milliseconds when no writer is there."""
CHECKPOINT_PAGES = 4000
"""Pages (of 4 KiB) in the write-ahead log before they move into the catalogue: a hundred commits of 10,000 rows."""

_REFUSED = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS}
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class Part:
    """One listed Parquet file: a segment of values or of hourly roll-ups.

    `part` is `base` or `late`; `start_min` and `start_max` are microseconds; `batch_min` and `batch_max` bound the
    batches that its rows come from.
    """

    path: str
    part: str
    sha256: str
    bytes: int
    rows: int
    start_min: int
    start_max: int
    batch_min: int
    batch_max: int

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a row of the file may start in `[start, end)` microseconds."""
        return self.start_min < end and self.start_max >= start


@dataclass(frozen=True, slots=True)
class View:
    """All that a reader needs, taken in one read transaction: consistent, and valid for the grace period."""

    cut: int
    latest: int
    flows: tuple[tuple[int, str], ...]
    segments: tuple[Part, ...]
    rollups: tuple[Part, ...]
    hot: tuple[tuple[bytes | None, bytes | None], ...]
    """Arrow streams of first arrivals and of later versions, one pair for each commit; some may be after `cut`."""


@contextmanager
def guarded() -> Iterator[None]:
    """Turns the errors of SQLite and of the file system into `LedgerError`s."""
    try:
        yield
    except sqlite3.Error as error:
        primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if primary in _FULL:
            raise LedgerError("ledger.disk", reason=str(error)) from error
        code = "ledger.damaged" if primary in _DAMAGED else "ledger.catalog"
        raise LedgerError(code, reason=str(error)) from error
    except OSError as error:
        code = "ledger.disk" if error.errno in _REFUSED else "ledger.file"
        raise LedgerError(code, reason=str(error)) from error


def sync(path: Path) -> None:
    """Makes the bytes of a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock_for_writing(folder: Path) -> int:
    """Takes the writer's lock and returns its handle; `LedgerError` when another writer holds it."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    patience = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                os.close(handle)
                raise LedgerError("ledger.locked", path=folder) from None
            time.sleep(0.02)
        else:
            return handle


def writer(folder: Path) -> sqlite3.Connection:
    """A connection that writes: write-ahead log, a sync at every commit; makes the tables when they are missing.

    Raises:
        LedgerError: `ledger.no_catalog` when there are files of values but no catalogue: a new one would list none of them,
            and the next sweep would take them for leftovers and delete them.
    """
    if not (folder / CATALOG).is_file():
        require_no_files(folder)
    db = sqlite3.connect(folder / CATALOG, isolation_level=None, check_same_thread=False, timeout=30)
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.execute(f"pragma wal_autocheckpoint = {CHECKPOINT_PAGES}")
    if db.execute("select count(*) from sqlite_master where name = 'meta'").fetchone()[0] == 0:
        try:
            require_no_files(folder)
        except LedgerError:
            db.close()
            raise
        ddl = queries.text("catalog")
        db.executescript(f"begin immediate; {ddl} insert into meta values ('format', '{FORMAT}'); commit;")
    found = db.execute("select value from meta where key = 'format'").fetchone()[0]
    if found != FORMAT:
        db.close()
        raise LedgerError("ledger.format", found=found, known=FORMAT)
    return db


def require_no_files(folder: Path) -> None:
    """Raises `ledger.no_catalog` when a folder without a catalogue holds files of values."""
    if next(folder.glob("segments/*.parquet"), None) is not None:
        raise LedgerError("ledger.no_catalog", path=folder / CATALOG)


@contextmanager
def reader(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads and creates no file, beside a writer or without one.

    Without a write-ahead log SQLite would create one even for a reader. So when there is none and no writer holds
    the lock, the catalogue is read as the plain immutable file that it is then, under a shared lock that keeps a
    writer out for these milliseconds.
    """
    path = folder / CATALOG
    if not path.is_file():
        raise LedgerError("ledger.missing", path=folder)
    handle = _shared_lock(folder) if not Path(f"{path}-wal").exists() else None
    mode = "mode=ro" if handle is None else "immutable=1"
    try:
        with guarded():
            db = sqlite3.connect(
                f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None, timeout=30
            )
            try:
                db.execute("begin")
                yield db
            finally:
                db.close()
    finally:
        if handle is not None:
            os.close(handle)


def _shared_lock(folder: Path) -> int | None:
    """A handle that keeps writers out, or None while a writer is there."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:  # every writer makes it first, so there is none
        return os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def cut_at(db: sqlite3.Connection, as_of: datetime | None) -> int:
    """The highest batch recorded at or before `as_of` (now, when None); 0 when there was none."""
    if as_of is None:
        row = db.execute("select max(id) from batch").fetchone()
    else:
        row = db.execute("select max(id) from batch where recorded_at <= ?", (to_us(as_of),)).fetchone()
    return int(row[0] or 0)


def parts(db: sqlite3.Connection, table: str) -> tuple[Part, ...]:
    """The files of `segment` or `rollup` that are in use, in the order of their names."""
    columns = "path, part, sha256, bytes, rows, start_min, start_max, batch_min, batch_max"
    rows = db.execute(f"select {columns} from {table} where retired is null order by path")
    return tuple(Part(*row) for row in rows)


def add_parts(db: sqlite3.Connection, table: str, added: list[Part]) -> None:
    """Lists files in `segment` or `rollup`; a file that was written again with the very same bytes stays."""
    rows = [
        (p.path, p.part, p.sha256, p.bytes, p.rows, p.start_min, p.start_max, p.batch_min, p.batch_max)
        for p in added
    ]
    db.executemany(
        f"insert into {table} values (?, ?, ?, ?, ?, ?, ?, ?, ?, null) "
        "on conflict (path) do update set part = excluded.part, retired = null",
        rows,
    )


def view(db: sqlite3.Connection, cut: int | None, as_of: datetime | None) -> View:
    """The store at `cut`, or as known at `as_of`; call it inside one read transaction."""
    latest = cut_at(db, None)
    chosen = cut_at(db, as_of) if cut is None else min(cut, latest)
    hot = db.execute("select base, late from hot order by last")
    return View(
        cut=chosen,
        latest=latest,
        flows=tuple(db.execute("select id, key from flow where batch <= ? order by id", (chosen,))),
        segments=parts(db, "segment"),
        rollups=parts(db, "rollup"),
        hot=tuple(hot),
    )
