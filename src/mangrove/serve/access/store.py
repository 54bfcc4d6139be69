# SPDX-License-Identifier: Apache-2.0
"""The file of accounts: one SQLite database beside the ledger, readable by its owner only.

Comes in: the folder of a territory and a clock. Goes out: a connection on which every change is one transaction that is on disk
when it ends (WAL, `synchronous=FULL`). The shape of the tables is numbered (`user_version`) and older files are brought up to date.
Times are whole microseconds since 1970, UTC. No secret stands in the file: passwords as Argon2id, keys and tokens as SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from mangrove.handle import STORE
from mangrove.serve.access.problems import AccessError, DeniedError

FILE = "access.db"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BUSY = 10_000  # milliseconds that a command waits for the server's transaction, and the other way round

_FIRST = (
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, name_key TEXT NOT NULL UNIQUE,
        lang TEXT NOT NULL DEFAULT '', role TEXT NOT NULL, place TEXT NOT NULL DEFAULT '', hash TEXT,
        disabled INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, last_login INTEGER,
        failed INTEGER NOT NULL DEFAULT 0, locked_until INTEGER, issuer TEXT, subject TEXT, UNIQUE (issuer, subject))""",
    """CREATE TABLE keys (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, role TEXT NOT NULL, place TEXT NOT NULL DEFAULT '',
        device TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL, broker TEXT NOT NULL DEFAULT '',
        created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, last_used INTEGER)""",
    "CREATE INDEX keys_of_device ON keys (device)",
    """CREATE TABLE sessions (
        digest TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users (id), created INTEGER NOT NULL,
        seen INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE links (
        digest TEXT PRIMARY KEY, purpose TEXT NOT NULL, user INTEGER REFERENCES users (id), created INTEGER NOT NULL,
        expires INTEGER NOT NULL, used INTEGER) WITHOUT ROWID""",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL,
        prev TEXT NOT NULL, hash TEXT NOT NULL)""",
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END",
    # INSERT OR REPLACE would delete a row without asking the trigger above
    """CREATE TRIGGER audit_next BEFORE INSERT ON audit WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM audit)
       BEGIN SELECT RAISE(ABORT, 'append only'); END""",
)
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
"""The statements that lead from each version to the next; a new version is added at the end, none is ever changed."""


class Tells(Protocol):
    """A clock (see `mangrove.serve.clock.Clock`)."""

    def now(self) -> datetime:
        """The present instant, UTC."""


class Store:
    """The connection to `.mangrove/access.db`; may be used from any thread, one at a time.

    Raises:
        AccessError: `access.no_store` (read only, and there is none), `access.newer_store`, `access.bad_store`.
    """

    def __init__(self, folder: Path, clock: Tells, *, read_only: bool = False) -> None:
        self.path = folder / STORE / FILE
        self.clock = clock
        self._lock = threading.RLock()
        self._depth = 0
        if read_only and not self.path.is_file():
            raise AccessError("access.no_store", path=self.path)
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
        mode = "ro" if read_only else "rw"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute(f"PRAGMA busy_timeout = {_BUSY}")
            self._prepare(read_only=read_only)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise AccessError("access.bad_store", path=self.path, reason=error) from None
        except AccessError:
            self._db.close()
            raise

    def _prepare(self, *, read_only: bool) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise AccessError("access.newer_store", path=self.path, version=version, known=len(MIGRATIONS))
        if read_only:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")
        with self.write() as db:  # another process may have brought it up to date since
            (version,) = db.execute("PRAGMA user_version").fetchone()
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is on disk when the outermost block ends, or nothing of it.

        Raises:
            DeniedError: `access.store_refuses`: the file is locked (503) or the disk is full (507).
        """
        with self._lock:
            if self._depth == 0:
                self._run("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._db
            except BaseException as error:
                self._depth -= 1
                if self._depth == 0 and self._db.in_transaction:  # a full disk has undone it already
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise _refusal(error) from None
                raise
            self._depth -= 1
            if self._depth == 0:
                self._run("COMMIT")

    def _run(self, statement: str) -> None:
        """Begins or ends a transaction; a file that is locked or a disk that is full is told, and nothing was written."""
        try:
            self._db.execute(statement)
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise _refusal(error) from None

    def note(self, sql: str, *values: object) -> None:
        """Writes down what nobody is refused for when it cannot be written, such as the time of last use."""
        with suppress(DeniedError), self.write() as db:
            db.execute(sql, values)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """The first row of a question, or None."""
        with self._lock:
            found: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return found

    def stamp(self) -> int:
        """The present instant as it is stored."""
        return stamp(self.clock.now())

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            self._db.close()


def _refusal(error: sqlite3.OperationalError) -> DeniedError:
    full = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
    return DeniedError("access.store_refuses", status=507 if full else 503, reason=error)


def stamp(moment: datetime) -> int:
    """Microseconds since 1970.

    Example:
        >>> moment_of(stamp(datetime(2024, 6, 5, tzinfo=UTC))).isoformat()
        '2024-06-05T00:00:00+00:00'
    """
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(stored: int) -> datetime:
    """The instant of a stored time."""
    return _EPOCH + timedelta(microseconds=stored)


def maybe(stored: int | None) -> datetime | None:
    """The instant of a stored time, None for one that never was."""
    return None if stored is None else moment_of(stored)


def digest(secret: str) -> str:
    """SHA-256 (hex) of a secret of at least 160 random bits, which needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
