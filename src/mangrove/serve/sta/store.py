# SPDX-License-Identifier: Apache-2.0
"""The store of entities: one SQLite file beside the ledger, `things.db`.

Comes in: the folder of the ledger. Goes out: connections for reading (one for each thread, with the functions that `$filter`
needs and a time limit) and transactions for writing (one at a time, synced at commit). The file knows its version
(`user_version`); an older one is migrated when it is opened, a newer one is refused.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Self

from mangrove.serve.sta import geometry, moments
from mangrove.serve.sta.errors import FULL, SLOW, StaError
from mangrove.times import from_us

FILE = "things.db"
PATIENCE = 10.0
"""Seconds that one statement may take before it is stopped."""
_STEPS = 20_000
"""Instructions of SQLite between two looks at the clock: some milliseconds."""
Span = Callable[[str | None, int], int | None]


def _no_span(series: str | None, edge: int) -> int | None:  # noqa: ARG001 - the shape of `Span`
    return None


class Store:
    """The file of entities of one territory.

    Args:
        folder: the ledger's folder (`.mangrove`); made when it is missing.
        span: microseconds of the first start (0), last end (1), first (2) and last (3) recording of a series of the ledger.

    Example:
        >>> import tempfile
        >>> with Store(Path(tempfile.mkdtemp())) as store, store.writing() as db:
        ...     db.execute("pragma user_version").fetchone()[0] == len(MIGRATIONS)
        True
    """

    def __init__(self, folder: Path, span: Span = _no_span) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._span = span
        self._local = threading.local()
        self._mutex = threading.RLock()
        self._listing = (
            threading.Lock()
        )  # not `_mutex`: who reads the ledger must never wait for who writes here
        self._all: list[sqlite3.Connection] = []
        self._db = self._connect()
        try:
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.close()
            raise StaError("sta.bad_store", path=self.path, reason=str(error)) from None

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        with self._listing:
            self._all.append(db)
        for name, count, function in _FUNCTIONS:
            db.create_function(name, count, function, deterministic=True)
        db.create_function("ledger_span", 2, self._span)
        return db

    def _migrate(self) -> None:
        found = self._db.execute("pragma user_version").fetchone()[0]
        if found > len(MIGRATIONS):
            raise StaError("sta.newer_store", path=self.path, found=found, known=len(MIGRATIONS))
        for number in range(found, len(MIGRATIONS)):
            text = (
                resources.files("mangrove.serve.sta").joinpath(MIGRATIONS[number]).read_text(encoding="utf-8")
            )
            self._db.executescript(f"begin immediate; {text}; pragma user_version = {number + 1}; commit;")
        self._db.execute("pragma foreign_keys = on")

    @property
    def reader(self) -> sqlite3.Connection:
        """The connection of this thread; it cannot write."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._connect()
            db.execute("pragma query_only = on")
            self._local.db = db
        return db

    def rows(self, sql: str, binds: dict[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query of this thread, or of the transaction that it is in.

        Raises:
            StaError: `sta.slow` (503) when it takes longer than `PATIENCE`.
        """
        db: sqlite3.Connection = getattr(self._local, "writing", None) or self.reader
        until = time.monotonic() + PATIENCE
        db.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            return db.execute(sql, binds).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StaError("sta.slow", SLOW, seconds=PATIENCE) from None
            raise
        except OverflowError:
            raise StaError("sta.not_a_number", text="> 2^63") from None
        finally:
            db.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything or nothing; on disk when the block is left. Inside it, `rows` sees what was written.

        Raises:
            StaError: `sta.full` (507) when the disk is full.
        """
        with self._mutex:
            if getattr(self._local, "writing", None) is not None:  # part of the transaction around it
                yield self._db
                return
            with _told():
                self._db.execute("begin immediate")
            self._local.writing = self._db
            try:
                with _told():
                    yield self._db
                    self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise
            finally:
                self._local.writing = None

    def close(self) -> None:
        """Closes all connections."""
        with self._mutex, self._listing:
            for db in self._all:
                db.close()
            self._all.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _told() -> Iterator[None]:
    """Gives a full disk its name."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise StaError("sta.full", FULL, reason=str(error)) from error
        raise


MIGRATIONS = ("things.sql",)
"""Scripts that lead from an empty file to the present form, in order."""


def _part(name: str, us: float | None) -> float | str | None:
    """A part of an instant: year, month, ..., date or time as text."""
    if not isinstance(us, int | float):
        return None
    try:
        moment = from_us(int(us))
    except OverflowError:
        return None
    if name == "fractionalseconds":
        return moment.microsecond / 1e6
    if name == "date":
        return moment.date().isoformat()
    if name == "time":
        return moment.time().isoformat("microseconds")
    return int(getattr(moment, name))


def _time(text: object) -> int | None:
    """Microseconds of what stands as text in a JSON value; None when it is no time."""
    if not isinstance(text, str):
        return None
    try:
        return moments.read_instant(text)
    except StaError:
        return None


def _mod(left: float | None, right: float | None) -> float | None:
    if not isinstance(left, int | float) or not isinstance(right, int | float) or right == 0:
        return None
    return math.fmod(left, right)


def _of_text(function: Callable[[str], str]) -> Callable[[Any], str | None]:
    return lambda text: function(text) if isinstance(text, str) else None


def _of_number(function: Callable[[float], float]) -> Callable[[Any], float | None]:
    return lambda value: (
        float(function(value)) if isinstance(value, int | float) and math.isfinite(value) else None
    )


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("sta_part", 2, _part), ("sta_time", 1, _time), ("sta_mod", 2, _mod), ("sta_geo", -1, geometry.answer),
    ("sta_tolower", 1, _of_text(str.lower)), ("sta_toupper", 1, _of_text(str.upper)),
    ("sta_trim", 1, _of_text(lambda text: text.strip(" "))),
    ("sta_floor", 1, _of_number(math.floor)), ("sta_ceiling", 1, _of_number(math.ceil)),
)  # fmt: skip
