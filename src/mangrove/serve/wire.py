# SPDX-License-Identifier: Apache-2.0
"""The wire: HTTP connections with an end. A client that sends a head without end, or nothing at all, costs little and not for long.

Comes in: bytes of clients, good and bad. Goes out: requests for the application, as uvicorn's own protocol gives them. It adds what that protocol
does not bound: the bytes of a head, the time for a head and for a body, and the number of connections, so that files of the ledger can always
be opened.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 << 10
"""Bytes of a head: what h11 allows, and twice what nginx does (`large_client_header_buffers` 4 x 8 KiB)."""
HEAD_SECONDS = 60.0
"""For a head, from the first byte or from the connection; nginx `client_header_timeout`."""
BODY_SECONDS = 300.0
"""For a whole body: 8 MiB at 28 kB/s, slower than any modem of a gateway."""
RESERVE = 256
"""Files that connections must leave to the ledger, the accounts and the connectors."""
_KINDS = 100
_PER_CHUNK = 8
"""Bytes around one byte of a body that is sent in chunks of one byte (RFC 9112, 7.1), rounded up."""
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def most_connections() -> int:
    """How many connections there may be, by the number of files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(soft - RESERVE, soft // 2)


class Seldom(logging.Filter):
    """Lets a line of the log pass once a minute: strangers cause them (a request that is none, a charger with a wrong password).

    A log that is written as fast as strangers like fills the disk; where it goes to a pipe that nobody reads, it stops the server.

    Args:
        every: seconds between two lines of the same kind.
        now: tells seconds.
    """

    def __init__(self, every: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every, self._now = every, now
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now, kind = self._now(), f"{record.msg}{record.exc_info[0] if record.exc_info else ''}"[:200]
        if now - self._last.get(kind, -self._every) < self._every:
            return False
        if len(self._last) >= _KINDS:
            self._last.clear()
        self._last[kind] = now
        return True


class Bounded(HttpToolsProtocol):  # type: ignore[misc]  # uvicorn has no types for it here
    """Uvicorn's protocol with bounds."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._frame, self._body = 0, 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Refuses a connection when there are too many, and gives it some time for its first head."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._until(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the clock."""
        self._until(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what is not body."""
        self._frame += len(data)
        super().data_received(data)
        if self._frame - self._body > MOST_HEAD + _PER_CHUNK * self._body and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Leaves the connection to the protocol of WebSockets."""
        self._until(None)
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._body = 0
        self._until(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        """The head is whole: now the body."""
        self._until(BODY_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; what comes next is the next one."""
        self._until(None)
        self._frame = self._body = 0
        super().on_message_complete()

    def _until(self, seconds: float | None) -> None:
        """Closes the connection after so many seconds, unless told otherwise before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self.transport.close()
