# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: one small message to every open page when something changed.

Comes in: messages from any thread. Goes out: one stream for each page. A message is written to bytes once, whatever the number of
pages; a page that reads slowly keeps only the latest message, so five hundred open pages cost little memory.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

HEARTBEAT = 20.0
"""Seconds after which a silent stream says that it lives: proxies close silent connections after 60 (nginx `proxy_read_timeout`)."""
MOST_STREAMS = 2_000
"""Streams at the same time; each keeps a connection and a file of the process open."""
MOST_OF_ONE = 100
"""Streams of one principal at the same time, so that nobody takes the place of all others."""


class Hub:
    """All open streams; `publish` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self._owned: Counter[str] = Counter()
        self._latest = b""

    def __len__(self) -> int:
        return len(self._streams)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop in which the streams live."""
        self._loop = loop

    def publish(self, event: str, data: Mapping[str, Any]) -> None:
        """Sends one message to every stream."""
        message = f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
        self._latest = message
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, message)

    def close(self) -> None:
        """Ends every stream."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, None)

    def _spread(self, message: bytes | None) -> None:
        for queue in self._streams:
            with suppress(asyncio.QueueEmpty):
                queue.get_nowait()  # what was not read yet is older than this
            queue.put_nowait(message)

    def full(self, owner: str) -> bool:
        """Whether no further stream of `owner` is opened."""
        return len(self._streams) >= MOST_STREAMS or self._owned[owner] >= MOST_OF_ONE

    async def stream(self, alive: Callable[[], bool] = lambda: True, owner: str = "") -> AsyncIterator[bytes]:
        """The messages of one page, beginning with the latest one, as long as the reader may have them (`alive`)."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._streams.add(queue)
        self._owned[owner] += 1
        try:
            yield b"retry: 3000\n\n" + self._latest
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), HEARTBEAT)
                except TimeoutError:
                    message = b": here\n\n"
                if message is None or not alive():
                    return
                yield message
        finally:
            self._streams.discard(queue)
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]
