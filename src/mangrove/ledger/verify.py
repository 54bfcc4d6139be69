# SPDX-License-Identifier: Apache-2.0
"""Verification: does the store still hold what it acknowledged?

Comes in: the ledger's folder. Goes out: a list of problems, empty when all is well. Four things are recomputed from
what is on disk: the chain of batches, the SHA-256 of every listed file, the canonical content of every batch from hot
rows and segments, and the ids of records.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mangrove.errors import Problem
from mangrove.ledger import catalog, queries
from mangrove.ledger.chain import GENESIS, Link
from mangrove.ledger.columns import ROWS, Columns, decode
from mangrove.ledger.files import group
from mangrove.ledger.records import record_id
from mangrove.ledger.sealing import union
from mangrove.ledger.types import Origin

BLOCK_ROWS = 4_000_000
"""Rows that are sorted by batch at a time."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the catalogue says of one batch."""

    batch: int
    rows: int
    content: str


def verify(root: Path) -> list[Problem]:
    """All findings, chain first."""
    with catalog.reader(root) as db:
        problems, claims = check_chain(db)
        problems += _check_records(db)
        view = catalog.view(db, None, None)
    broken = _check_files(root, (*view.segments, *view.rollups))
    problems += broken.values()
    intact = [part for part in view.segments if part.path not in broken]
    lost = [part for part in view.segments if part.path in broken]
    hot, unreadable = _hot_rows(view)
    problems += unreadable
    for claimed in _blocks(claims):
        if not any(p.batch_min <= claimed[-1].batch and p.batch_max >= claimed[0].batch for p in lost):
            problems += _check_content(root, intact, hot, claimed)
    return problems


def check_chain(db: sqlite3.Connection) -> tuple[list[Problem], list[_Claim]]:
    """Whether every batch follows from the one before it, and what the catalogue says of each."""
    problems, claims = [], []
    named: dict[int, list[tuple[int, str]]] = {}
    for id_, key, batch in db.execute("select id, key, batch from flow order by id"):
        named.setdefault(batch, []).append((id_, key))
    head, expected = GENESIS, 1
    rows = db.execute(
        "select id, source, seq, run, model, version, inputs, note, rows, unchanged, rejected, recorded_at, "
        "content, prev, hash from batch order by id"
    )
    for batch, source, seq, run, model, version, inputs, note, *rest in rows:
        count, unchanged, rejected, recorded_at, content, prev, hash_ = rest
        origin = Origin(source, seq, run, model, version, tuple(json.loads(inputs)), note)
        link = Link(
            prev, batch, origin, count, unchanged, rejected, recorded_at, content, tuple(named.get(batch, ()))
        )
        if batch != expected or prev != head or link.hash != hash_:
            problems.append(Problem("ledger.chain_broken", {"batch": batch}))
        head, expected = hash_, batch + 1
        claims.append(_Claim(batch, count, content))
    return problems, claims


def _check_records(db: sqlite3.Connection) -> list[Problem]:
    rows = db.execute("select id, kind, document, payload from record order by recorded_at")
    return [
        Problem("ledger.record_changed", {"id": id_})
        for id_, kind, document, payload in rows
        if record_id(kind, document, payload) != id_
    ]


def _check_files(root: Path, parts: Sequence[catalog.Part]) -> dict[str, Problem]:
    broken = {}
    for part in parts:
        try:
            with (root / part.path).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            broken[part.path] = Problem("ledger.file_missing", {"path": part.path})
            continue
        if found != part.sha256:
            broken[part.path] = Problem("ledger.file_changed", {"path": part.path})
    return broken


def _hot_rows(view: catalog.View) -> tuple[pa.Table, list[Problem]]:
    tables, problems = [ROWS.empty_table()], []
    for bodies in view.hot:
        try:
            tables += [decode(body).cast(ROWS) for body in bodies if body is not None]
        except (pa.ArrowException, OSError, ValueError):
            problems.append(Problem("ledger.hot_changed"))
    return pa.concat_tables(tables), problems


def _blocks(claims: Sequence[_Claim]) -> Iterator[Sequence[_Claim]]:
    for first, last in group((claim.rows for claim in claims), BLOCK_ROWS):
        yield claims[first : last + 1]


def _check_content(
    root: Path, segments: Sequence[catalog.Part], hot: pa.Table, claimed: Sequence[_Claim]
) -> list[Problem]:
    """Compares the content of consecutive batches with what the chain binds."""
    low, high = claimed[0].batch, claimed[-1].batch
    near = [part for part in segments if part.batch_min <= high and part.batch_max >= low]
    with queries.connect() as db:
        db.register("hot_rows", hot)
        rows = queries.arrow(
            db,
            f"select {queries.ROW} from {union(root, near, 'hot_rows')} "
            f"where batch between {low} and {high} order by batch, flow, start",
        )
    columns, batch = Columns.of(rows), rows.column("batch").to_numpy()
    ids = np.array([claim.batch for claim in claimed])
    firsts, lasts = np.searchsorted(batch, ids), np.searchsorted(batch, ids, side="right")
    problems = []
    for claim, first, last in zip(claimed, firsts, lasts, strict=True):
        found = columns.take(np.arange(first, last))
        if len(found) != claim.rows or found.content_hash() != claim.content:
            problems.append(Problem("ledger.content_changed", {"batch": claim.batch}))
    return problems
