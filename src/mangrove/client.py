# SPDX-License-Identifier: Apache-2.0
"""A client of a running server: values, records and the clock over HTTP; and a ledger that writes through it.

Comes in: the address of a server, a key, tables of values with their origin. Goes out: the receipts of the server's ledger. A
`RemoteLedger` reads the files of the territory as any reader does and sends what it writes to the server, which holds the one
writer; so every verb works beside a server as it works alone.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from mangrove.errors import LedgerError, SourceError
from mangrove.handle import Handle
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Receipt, Rejected

ARROW = "application/vnd.apache.arrow.stream"
_TIMEOUT = 60.0
_BUSY = frozenset({429, 503})
_TRIES, _PAUSE = 6, 0.5
_TOO_MANY = 150_000
"""Rows of one request: Arrow rows of this kind take about 30 bytes, and a body may have 8 MiB."""


@dataclass(frozen=True)
class Client:
    """One server.

    Attributes:
        url: `http://host:port`, or https; key: an API key of it.
    """

    url: str
    key: str

    def values(self, table: pa.Table, origin: Origin) -> Receipt:
        """Stores values; the receipt comes after they are on the server's disk.

        Raises:
            SourceError: the server refuses (`client.refused`) or cannot be reached (`client.away`).
        """
        receipt = None
        for first in range(0, max(table.num_rows, 1), _TOO_MANY):
            receipt = self._values(table.slice(first, _TOO_MANY), origin, first)
        assert receipt is not None
        return receipt

    def _values(self, table: pa.Table, origin: Origin, first: int) -> Receipt:
        told = table.rename_columns({"start": "ts"})  # the name that every form of a body has for it
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, told.schema) as writer:
            writer.write_table(told)
        headers = {"content-type": ARROW, "idempotency-key": _token(f"{origin.source}|{origin.seq}|{first}")}
        if origin.run != "measured" or origin.model:
            said = {"run": origin.run, "model": origin.model, "version": origin.version, "note": origin.note}
            said["inputs"] = ",".join(origin.inputs)
            headers |= {f"mangrove-{name}": _ascii(text) for name, text in said.items() if text}
        answer = self.ask("POST", "/api/v1/values", sink.getvalue().to_pybytes(), headers)
        return Receipt(
            answer["batch"],
            answer["rows"],
            datetime.now(UTC),
            answer["hash"],
            duplicate=answer["duplicate"],
            rejected=answer["rejected"],
            unchanged=answer["unchanged"],
        )

    def record(self, kind: str, document: bytes, payload: bytes = b"") -> str:
        """Stores an immutable record and gives its id."""
        body = {"kind": kind, "document": document.decode(), "payload": base64.b64encode(payload).decode()}
        return str(self.ask("POST", "/api/v1/records", json.dumps(body).encode())["id"])

    def now(self) -> datetime:
        """What time it is at the server."""
        return datetime.fromisoformat(self.ask("GET", "/api/v1/clock")["now"])

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """One request; a busy server is asked again, a few times.

        Raises:
            SourceError: `client.away`, `client.refused`.
        """
        told = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})}
        for left in reversed(range(_TRIES)):
            status, text = self._once(method, path, body, told)
            if status not in _BUSY or not left:
                break
            time.sleep(_PAUSE)
        if status >= 400:  # noqa: PLR2004 - HTTP
            raise SourceError("client.refused", status=status, reason=_reason(text))
        return json.loads(text) if text else None

    def _once(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(
                "client.away", url=self.url, reason=str(error) or type(error).__name__
            ) from error
        finally:
            connection.close()


class RemoteLedger(Ledger):
    """The ledger of a territory that a server writes: read here, written there."""

    def __init__(self, root: Path, client: Client) -> None:
        super().__init__(root, None, None)
        self._client = client

    def append(self, values: pa.Table, origin: Origin, *, rejected: Sequence[Rejected] = ()) -> Receipt:
        """See `Ledger.append`; rejected rows belong to doors, and no model has any.

        Raises:
            LedgerError: `ledger.read_only` for rejected rows.
            SourceError: the server refuses or is away.
        """
        if rejected:
            raise LedgerError("ledger.read_only", path=self.root)
        return self._client.values(values, origin)

    def append_group(self, batches: Sequence[tuple[pa.Table, Origin, Sequence[Rejected]]]) -> list[Receipt]:
        """See `Ledger.append_group`; each batch is a commit of its own at the server."""
        return [self.append(values, origin, rejected=rejected) for values, origin, rejected in batches]

    def put_record(self, kind: str, document: bytes, payload: bytes = b"") -> str:
        """See `Ledger.put_record`."""
        return self._client.record(kind, document, payload)


@dataclass(frozen=True)
class RemoteHandle(Handle):
    """An opened territory whose ledger a server writes."""

    client: Client | None = None

    @contextmanager
    def writer(self) -> Iterator[Ledger]:
        """The ledger for writing through the server."""
        assert self.client is not None
        with RemoteLedger(self.store, self.client) as ledger:
            yield ledger


def _token(text: str) -> str:
    """A key of printable characters for what makes a batch recognizable."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _ascii(text: str) -> str:
    """A header may hold only plain characters."""
    return text.encode("ascii", "replace").decode().replace("\n", " ")[:4000]


def _reason(text: bytes) -> str:
    try:
        problems = json.loads(text)["problems"]
        return "; ".join(one["text"] for one in problems)
    except (ValueError, KeyError, TypeError):
        return text[:200].decode("utf-8", "replace")
