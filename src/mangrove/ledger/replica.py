# SPDX-License-Identifier: Apache-2.0
"""A ledger to carry away: a copy of the catalogue at one moment, and the immutable files that it lists.

Comes in: the folder of a ledger, which another process may be writing to. Goes out: a catalogue of its own that is consistent and
holds what is not sealed yet, and the names of the files that belong to it; and, for whoever receives them, the checks that a copy
continues the one before it. Files stay for the grace period after they were replaced, so there is an hour to copy them.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mangrove.errors import LedgerError, Problem
from mangrove.ledger import catalog, verify
from mangrove.ledger.chain import GENESIS

_PATH = re.compile(r"(?:segments|rollups)/\d{4}-\d{2}-\d{2}\.([0-9a-f]{64})\.parquet")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that belongs to a copy: its path, its SHA-256 (hex) and its size in bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Head:
    """How far a catalogue goes: the latest batch and the hash of the chain there."""

    batch: int = 0
    hash: str = GENESIS


def copy_catalog(root: Path, out: Path) -> None:
    """Writes the catalogue of the ledger in `root`, as it is at this moment, to the new file `out`; it is on disk then.

    Files that a compaction replaced are no longer listed in the copy.

    Raises:
        LedgerError: there is no ledger, or it cannot be read, or `out` cannot be written.
    """
    out.unlink(missing_ok=True)
    with catalog.reader(root) as db:
        db.execute("rollback")  # `vacuum` stands in no transaction
        db.execute("vacuum into ?", (str(out),))
    with catalog.guarded(), closing(sqlite3.connect(out, isolation_level=None)) as copy:
        for table in ("segment", "rollup"):
            copy.execute(f"delete from {table} where retired is not null")
    with catalog.guarded():
        catalog.sync(out)


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def head(file: Path) -> Head:
    """How far the catalogue in `file` goes."""
    with _open(file) as db:
        row = db.execute("select id, hash from batch order by id desc limit 1").fetchone()
    return Head(*row) if row else Head()


def files(file: Path) -> list[Entry]:
    """The files that the catalogue in `file` lists.

    Raises:
        LedgerError: `ledger.catalog`: a name is not one that a ledger gives.
    """
    with _open(file) as db:
        parts = [part for table in ("segment", "rollup") for part in catalog.parts(db, table)]
    found = [Entry(part.path, part.sha256, part.bytes) for part in parts]
    for entry in found:
        if not well_named(entry):
            raise LedgerError("ledger.catalog", reason=entry.path[:200])
    return found


def well_named(entry: Entry) -> bool:
    """Whether a path is one that a ledger gives to a file of this content."""
    named = _PATH.fullmatch(entry.path)
    return named is not None and named[1] == entry.sha256


def chain_problems(file: Path) -> list[Problem]:
    """What does not hold in the chain of the catalogue in `file`."""
    with _open(file) as db:
        return verify.check_chain(db)[0]


def continues(new: Path, old: Head) -> bool:
    """Whether the chain of the catalogue in `new` has the same hash at the last batch of `old`."""
    if not old.batch:
        return True
    with _open(new) as db:
        row = db.execute("select hash from batch where id = ?", (old.batch,)).fetchone()
    return row is not None and row[0] == old.hash


def keep_records(old: Path, new: Path) -> None:
    """Adds the records of the catalogue `old` to `new`: what was computed at the copy itself is not lost."""
    with catalog.guarded(), closing(sqlite3.connect(new, uri=True, isolation_level=None)) as db:
        db.execute("attach database ? as old", (f"{old.resolve().as_uri()}?mode=ro",))
        db.execute("insert into main.record select * from old.record where true on conflict (id) do nothing")
        db.execute("detach database old")


def fold(file: Path) -> None:
    """Moves what stands in the write-ahead log of `file` into it and removes the log, so that the file can be replaced.

    Raises:
        LedgerError: somebody is writing to it.
    """
    with catalog.guarded(), closing(sqlite3.connect(file, isolation_level=None, timeout=5)) as db:
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("pragma journal_mode = delete")


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    """A catalogue that nobody writes to, opened as the plain file that it is."""
    address = f"{file.resolve().as_uri()}?immutable=1"
    with catalog.guarded(), closing(sqlite3.connect(address, uri=True, isolation_level=None)) as db:
        yield db
