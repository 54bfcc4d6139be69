# SPDX-License-Identifier: Apache-2.0
"""Stored records for pages: the newest documents of a kind, each parsed once.

Comes in: the live state and the kind of a record. Goes out: plain data as the verb wrote it, with the id and the time of the record; a record
that cannot be shown with the reason, so that a page can say that it left one out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from mangrove.errors import Problem
from mangrove.ledger.catalog import CATALOG
from mangrove.serve.state import Live

T = TypeVar("T")


@dataclass(frozen=True)
class Record:
    """One record: its id, when it was stored (UTC), its document and the bytes beside it."""

    id: str
    stored: datetime
    document: dict[str, Any]
    payload: bytes = b""


@dataclass(frozen=True)
class LeftOut:
    """A record that cannot be shown: its id, what it calls itself (empty when it does not say), when it was stored (UTC), and why."""

    id: str
    name: str
    stored: datetime
    why: Problem


def newest(live: Live, kind: str, most: int = 1) -> list[Record]:
    """The newest records of a kind, the newest first; empty without any. What is no document of JSON is left out."""
    return [one for one in found(live, kind, most) if isinstance(one, Record)]


def first(
    live: Live, kind: str, most: int, read: Callable[[Record], T | None]
) -> tuple[T | None, tuple[LeftOut, ...]]:
    """What `read` makes of the newest record of which it makes something, and the newer ones that cannot be read.

    Args:
        live: the state.
        kind: of the records.
        most: how many of the newest are tried.
        read: gives None for a record that is not wanted; what a document of another form makes it raise is the reason why that is left out.
    """
    left: list[LeftOut] = []
    for one in found(live, kind, most):
        if isinstance(one, LeftOut):
            left.append(one)
            continue
        try:
            made = read(one)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError, OSError) as error:
            left.append(left_out(one, error))
            continue
        if made is not None:
            return made, tuple(left)
    return None, tuple(left)


def left_out(record: Record, error: Exception) -> LeftOut:
    """A record whose document is another than the page needs: another version, or another hand, has written it.

    Args:
        record: as it was read.
        error: what reading it has raised; a `KeyError` names what it lacks.
    """
    why = Problem("live.record_form")
    if isinstance(error, KeyError) and error.args:
        why = Problem("live.record_lacks", {"key": str(error.args[0])[:60]})
    name = record.document.get("name")
    return LeftOut(record.id, name[:60] if isinstance(name, str) else "", record.stored, why)


def found(live: Live, kind: str, most: int = 1) -> list[Record | LeftOut]:
    """The newest records of a kind, the newest first; empty without any. What is no document of JSON is told to be none."""
    if not (live.store / CATALOG).is_file():  # records need no values
        return []
    with live.park.reader() as ledger:
        kept_ones = []
        for id_, moment in reversed(ledger.records(kind)[-most:]):
            kept = live.kept.get(("record", id_), lambda id_=id_: ledger.record(id_)[1:])  # type: ignore[misc]
            kept_ones.append((id_, moment.astimezone(UTC), kept))
    parsed = [
        (id_, moment, live.kept.get(("document", id_), lambda text=kept[0]: _document(text)), kept[1])  # type: ignore[misc]
        for id_, moment, kept in kept_ones
    ]
    return [
        LeftOut(id_, "", moment, Problem("live.record_text"))
        if document is None
        else Record(id_, moment, document, payload)
        for id_, moment, document, payload in parsed
    ]


def _document(text: bytes) -> dict[str, Any] | None:
    """A record as data; None when it is none."""
    try:
        read = json.loads(text)
    except ValueError:  # not UTF-8, or not JSON
        return None
    return read if isinstance(read, dict) else None
