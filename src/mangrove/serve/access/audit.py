# SPDX-License-Identifier: Apache-2.0
"""The audit log: who did what and when, append-only, each record bound to the one before it.

Comes in: an action, who did it, its detail. Goes out: numbered records whose hashes form a chain; `verify`, which names the first
record that was changed, removed or moved; the head of the chain, which kept elsewhere proves that nothing was cut off since. The
database refuses to change or delete a record; whoever removes that protection is found by the chain, and whoever writes the whole
chain anew by a head that was kept elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mangrove.errors import Problem, Where
from mangrove.ledger.chain import GENESIS, fingerprint
from mangrove.serve.access.problems import AccessError
from mangrove.serve.access.store import FILE, Store, moment_of
from mangrove.serve.clock import Clock
from mangrove.serve.scope import Principal

SYSTEM = Principal("system", "mangrove", "system", "worker")
"""The server itself."""
_ACTION = re.compile(r"[a-z]+\.[a-z_]+")
_HEAD = re.compile(r"(\d{1,18}) ([0-9a-f]{64})")
_PIECE = 5_000
_COLUMNS = "id, at, who, action, detail, prev, hash"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: the number of the last record and its hash; written `17 9f2c...`.

    Example:
        >>> str(Head.parse("0 " + GENESIS)) == "0 " + GENESIS
        True
    """

    id: int = 0
    hash: str = GENESIS

    @classmethod
    def parse(cls, text: str) -> Head:
        """Reads what `str` writes; raises `AccessError` on anything else."""
        match = _HEAD.fullmatch(text.strip())
        if not match:
            raise AccessError("access.not_a_head", text=text.strip()[:80])
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.id} {self.hash}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: `who` is the id of a principal and its name, `detail` canonical JSON."""

    id: int
    stamp: int
    who: str
    action: str
    detail: str
    prev: str
    hash: str

    @property
    def at(self) -> datetime:
        """When, UTC."""
        return moment_of(self.stamp)

    @property
    def data(self) -> dict[str, Any]:
        """The detail, read."""
        found: dict[str, Any] = json.loads(self.detail)
        return found

    @property
    def seal(self) -> str:
        """The hash that this record must have."""
        fields = (self.prev, str(self.id), str(self.stamp), self.who, self.action, self.detail)
        return fingerprint(field.encode() for field in fields)


class Audit:
    """The log of one territory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, action: str, principal: Principal, detail: Mapping[str, object] | None = None) -> Record:
        """Appends a record; it is on disk when this returns, or with the transaction that it is part of.

        Args:
            action: what was done: `user.login`, `export.made`, `reading.corrected`, ...
            principal: who did it.
            detail: anything that JSON holds; never a password, a key or a token.

        Raises:
            AccessError: `access.bad_action`.
        """
        if not _ACTION.fullmatch(action):
            raise AccessError("access.bad_action", action=action)
        said = canonical(detail or {})
        who = f"{principal.id} {principal.name}"
        with self._store.write() as db:
            head = self.head()
            bare = Record(head.id + 1, self._store.stamp(), who, action, said, head.hash, "")
            made = Record(bare.id, bare.stamp, who, action, said, head.hash, bare.seal)
            values = (made.id, made.stamp, who, action, said, made.prev, made.hash)
            db.execute(f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return made

    def head(self) -> Head:
        """The end of the chain; of an empty log the genesis."""
        found = self._store.row("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
        return Head(*found) if found else Head()

    def show(self, *, last: int = 200, action: str = "") -> list[Record]:
        """The last records, newest first; with `action` (`user` or `user.login`) those of it only."""
        asked = "WHERE action = ? OR action LIKE ? || '.%'" if action else ""
        values = (action, action) if action else ()
        found = self._store.rows(
            f"SELECT {_COLUMNS} FROM audit {asked} ORDER BY id DESC LIMIT ?", *values, last
        )
        return [Record(*row) for row in found]

    def started(self, *, declaration: str, rules: str, version: str = "") -> list[str]:
        """Records that the server started, and what changed since it last did.

        Args:
            declaration: `Territory.content_hash`.
            rules: hash of the rule book.
            version: of the program.

        Returns:
            The changes that were found: `declaration.changed`, `rules.changed`.
        """
        now = {"declaration": declaration, "rules": rules, "version": version}
        found = self.show(last=1, action="server.started")
        before = found[0].data if found else now
        changed = [f"{name}.changed" for name in ("declaration", "rules") if before.get(name) != now[name]]
        with self._store.write():
            for action in changed:
                name = action.partition(".")[0]
                self.record(action, SYSTEM, {"before": before.get(name), "after": now[name]})
            self.record("server.started", SYSTEM, now)
        return changed

    def stopped(self) -> None:
        """Records that the server stopped."""
        self.record("server.stopped", SYSTEM)

    def verify(self, head: Head | None = None) -> list[Problem]:
        """Every record against its hash and its neighbor, and against a `head` that was kept elsewhere.

        Returns:
            Nothing when all is well; else the first broken record (`access.audit_changed`, `access.audit_gap`,
            `access.audit_moved`), and `access.audit_cut` or `access.audit_other` when the log does not hold `head`.
        """
        problems: list[Problem] = []
        last, kept = Head(), ""
        for record in self._each():
            problem = _broken(record, last)
            if problem and not problems:
                problems.append(problem)
            if head is not None and record.id == head.id:
                kept = record.hash
            last = Head(record.id, record.hash)
        if head is not None and head.id:
            if not kept:
                problems.append(_problem("audit_cut", head.id, last=last.id))
            elif kept != head.hash:
                problems.append(_problem("audit_other", head.id))
        return problems

    def _each(self) -> Iterator[Record]:
        """All records in order, some thousands at a time, so that others may write between."""
        after = -1
        question = f"SELECT {_COLUMNS} FROM audit WHERE id > ? ORDER BY id LIMIT {_PIECE}"
        while rows := self._store.rows(question, after):
            yield from (Record(*row) for row in rows)
            after = rows[-1][0]


def verify(folder: Path, head: Head | None = None) -> list[Problem]:
    """The findings of `Audit.verify` for the territory in `folder`; changes nothing, also while a server runs."""
    store = Store(folder, Clock(), read_only=True)
    try:
        return Audit(store).verify(head)
    finally:
        store.close()


def canonical(detail: Mapping[str, object]) -> str:
    """JSON with sorted keys and without spaces, so that the same detail is always the same bytes.

    Example:
        >>> canonical({"b": 1, "a": "Hoà"})
        '{"a":"Hoà","b":1}'
    """
    return json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _broken(record: Record, before: Head) -> Problem | None:
    """What is wrong with `record` after the record `before`, if anything is."""
    if record.id != before.id + 1:
        return _problem("audit_gap", before.id + 1, found=record.id)
    if record.seal != record.hash:
        return _problem("audit_changed", record.id)
    if record.prev != before.hash:
        return _problem("audit_moved", record.id)
    return None


def _problem(name: str, id_: int, **data: object) -> Problem:
    return Problem(f"access.{name}", {"id": id_, **data}, Where(FILE, id_))
