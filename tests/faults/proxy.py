# SPDX-License-Identifier: Apache-2.0
"""A wire tap between a broker and its consumer: which messages the consumer has acknowledged, seen from outside.

Comes in: the port of a broker. Goes out: a port that leads there, and the payloads of all messages of QoS 1 whose PUBACK came past. A
killed consumer cannot lie about it: what it wrote before its death stands in the socket.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

PUBLISH, PUBACK = 3, 4


class Tap:
    """A listening port; use it in a `with` statement.

    Attributes:
        port: where the consumer connects; acknowledged: payloads whose PUBACK came past.
        open: whether connections are let through; `cut()` ends those that there are.
    """

    def __init__(self, broker: int) -> None:
        self.broker = broker
        self.acknowledged: list[bytes] = []
        self.delivered = 0
        self.open = True
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._pairs: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        """Ends all connections, as a network does that breaks."""
        while self._pairs:
            one = self._pairs.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if not self.open:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.broker))
            except OSError:
                near.close()
                continue
            self._pairs += [near, far]
            flying: dict[bytes, bytes] = {}
            out, back = (
                Reader(lambda *frame, f=flying: self._to(f, *frame)),
                Reader(lambda *frame, f=flying: self._from(f, *frame)),
            )
            threading.Thread(target=_pump, args=(far, near, out), daemon=True).start()
            threading.Thread(target=_pump, args=(near, far, back), daemon=True).start()

    def _to(self, flying: dict[bytes, bytes], head: int, body: bytes) -> None:
        """A frame for the consumer."""
        if head >> 4 == PUBLISH and head & 0x06:
            length = int.from_bytes(body[:2], "big")
            flying[body[2 + length : 4 + length]] = body[4 + length :]
            self.delivered += 1

    def _from(self, flying: dict[bytes, bytes], head: int, body: bytes) -> None:
        """A frame of the consumer."""
        if head >> 4 == PUBACK and (payload := flying.pop(body[:2], None)) is not None:
            self.acknowledged.append(payload)


class Reader:
    """Cuts a stream into MQTT frames (3.1.1, section 2.2): one byte, a length of up to four bytes, the rest."""

    def __init__(self, found: Callable[[int, bytes], None]) -> None:
        self._found = found
        self._left = b""

    def feed(self, data: bytes) -> None:
        """Takes what came next."""
        data, at = self._left + data, 0
        while True:
            size, shift, body = 0, 0, at + 1
            while body < len(data):
                size |= (data[body] & 0x7F) << shift
                shift += 7
                body += 1
                if not data[body - 1] & 0x80:
                    break
            else:
                break
            if body + size > len(data):
                break
            self._found(data[at], data[body : body + size])
            at = body + size
        self._left = data[at:]


def _pump(source: socket.socket, sink: socket.socket, reader: Reader) -> None:
    """Passes bytes on until one side ends; what came is counted although the other side is gone."""
    gone = False
    while True:
        try:
            data = source.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            break
        reader.feed(data)
        if not gone:
            try:
                sink.sendall(data)
            except OSError:
                gone = True
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
