# SPDX-License-Identifier: Apache-2.0
"""The handle that `mangrove.open` gives: a declared territory and its ledger, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from mangrove.ledger import Ledger

STORE = ".mangrove"
"""Name of the folder of the embedded store, inside the territory's folder."""


@dataclass(frozen=True)
class Handle:
    """An opened territory.

    Attributes:
        territory: what is declared, checked; store: the folder of the ledger (made by the first ingest).

    Example:
        >>> import mangrove as mg
        >>> park = mg.open("examples/park")
        >>> park.territory.kind
        'park'
    """

    territory: Territory
    store: Path

    def __repr__(self) -> str:
        declared = self.territory
        return f"<Handle {declared.name}: {len(declared.places)} places, {len(declared.flows)} flows, {declared.path}>"

    @contextmanager
    def writer(self) -> Iterator[Ledger]:
        """The ledger for writing; one process at a time, `LedgerError` for the second."""
        from mangrove.ledger import Ledger

        with Ledger.open(self.store) as ledger:
            yield ledger

    @contextmanager
    def reader(self) -> Iterator[Ledger]:
        """The ledger for reading, from any number of processes."""
        from mangrove.ledger import Ledger

        with Ledger.open(self.store, read_only=True) as ledger:
            yield ledger

    def newest(self, kind: str) -> dict[str, Any] | None:
        """The newest record of a kind, as the plain data that was stored; None without any."""
        with self.reader() as ledger:
            stored = ledger.records(kind)
            document: dict[str, Any] | None = json.loads(ledger.record(stored[-1][0])[1]) if stored else None
            return document
