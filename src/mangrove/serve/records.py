# SPDX-License-Identifier: Apache-2.0
"""Stored records for pages: the newest documents of a kind, each parsed once.

Comes in: the live state and the kind of a record. Goes out: plain data as the verb wrote it, with the id and the time of the record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mangrove.ledger.catalog import CATALOG
from mangrove.serve.state import Live


@dataclass(frozen=True)
class Record:
    """One record: its id, when it was stored (UTC), its document and the bytes beside it."""

    id: str
    stored: datetime
    document: dict[str, Any]
    payload: bytes = b""


def newest(live: Live, kind: str, most: int = 1) -> list[Record]:
    """The newest records of a kind, the newest first; empty without any. What is no document of JSON is left out."""
    if not (live.store / CATALOG).is_file():  # records need no values
        return []
    with live.park.reader() as ledger:
        found = []
        for id_, moment in reversed(ledger.records(kind)[-most:]):
            kept = live.kept.get(("record", id_), lambda id_=id_: ledger.record(id_)[1:])  # type: ignore[misc]
            found.append((id_, moment.astimezone(UTC), kept))
    parsed = [
        (id_, moment, live.kept.get(("document", id_), lambda text=kept[0]: _document(text)), kept[1])  # type: ignore[misc]
        for id_, moment, kept in found
    ]
    return [
        Record(id_, moment, document, payload)
        for id_, moment, document, payload in parsed
        if document is not None
    ]


def _document(text: bytes) -> dict[str, Any] | None:
    """A record as data; None when it is none."""
    try:
        read = json.loads(text)
    except ValueError:  # not UTF-8, or not JSON
        return None
    return read if isinstance(read, dict) else None
