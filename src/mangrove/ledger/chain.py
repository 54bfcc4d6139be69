# SPDX-License-Identifier: Apache-2.0
"""The hash chain: every batch binds its content, its origin and the batch before it.

Comes in: the fields of a batch. Goes out: a SHA-256 that changes when any of them, or anything before them, changes.
Every field is written with its length in front, so that no two different batches give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from mangrove.ledger.types import Origin

GENESIS = "0" * 64


def fingerprint(fields: Iterable[bytes]) -> str:
    """SHA-256 (hex) over length-prefixed fields.

    Example:
        >>> fingerprint([b"ab", b"c"]) == fingerprint([b"a", b"bc"])
        False
    """
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field).to_bytes(8, "little"))
        digest.update(field)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """What one batch adds to the chain; `flows` are the (id, key) that it named for the first time."""

    prev: str
    batch: int
    origin: Origin
    rows: int
    unchanged: int
    rejected: int
    recorded_at: int
    content: str
    flows: tuple[tuple[int, str], ...] = ()

    @property
    def hash(self) -> str:
        """The chain at this batch."""
        origin = self.origin
        numbers = (self.batch, self.rows, self.unchanged, self.rejected, self.recorded_at)
        words = (origin.source, origin.seq, origin.run, origin.model, origin.version, origin.note)
        fields = [bytes.fromhex(self.prev), *(str(number).encode() for number in numbers)]
        fields += [word.encode() for word in words]
        fields.append(fingerprint(text.encode() for text in origin.inputs).encode())
        fields.append(self.content.encode())
        fields.append(fingerprint(f"{id_} {key}".encode() for id_, key in self.flows).encode())
        return fingerprint(fields)
