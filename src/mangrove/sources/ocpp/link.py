# SPDX-License-Identifier: Apache-2.0
"""One connection of a charger: frames in and out, and what both versions do alike.

Comes in: a websocket that was accepted. Goes out: messages for the `ocpp` package, one at a time, and answers. A frame that is no
message is answered with an error where it can be; nothing that a charger sends ends the server or grows its memory.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mangrove.errors import RequestError

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

MOST_BYTES = 1 << 20
"""Bytes of one message. OCPP sets no limit; the largest real ones, parts of a NotifyReport, have tens of thousands."""
TOO_BIG, WRONG_KIND, REPLACED = 1009, 1003, 1008
"""Close codes of RFC 6455, section 7.4.1: message too big, data of an unacceptable kind, policy (a newer connection came)."""
LOGGER = logging.getLogger("mangrove.sources.ocpp")
LOGGER.addHandler(logging.NullHandler())
_UNSAID = "-1"
"""Message id of an error about a frame whose id cannot be read (OCPP 2.0.1 part 4, section 4.2.3)."""


class GoneError(Exception):
    """The connection is closed."""


class Socket:
    """A websocket as the `ocpp` package uses it: `recv` and `send` of text."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._sending = asyncio.Lock()

    async def recv(self) -> str:
        """The next text frame; raises `GoneError` when there is none any more or it is not one to read."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise GoneError
        text = message.get("text")
        if text is None:
            await self.close(WRONG_KIND)
            raise GoneError
        if len(text) > MOST_BYTES:
            await self.close(TOO_BIG)
            raise GoneError
        return str(text)

    async def send(self, text: str) -> None:
        """Sends a text frame; a connection that is closing takes none."""
        async with self._sending:
            try:
                await self._websocket.send_text(text)
            except Exception as error:
                raise GoneError from error

    async def close(self, code: int = 1000) -> None:
        """Closes, also what is closed."""
        try:
            await self._websocket.close(code)
        except Exception:  # noqa: BLE001 - it is closed already, in one of several ways
            return


class Guarded:
    """Mixed into a charge point of the `ocpp` package: no frame ends the loop, and no answer nobody waits for is kept.

    `gone` is set when the connection has ended, so that nobody waits for an answer that cannot come.
    """

    id: str
    gone: asyncio.Event
    _ocpp_version: str
    _call_lock: asyncio.Lock
    _response_queue: asyncio.Queue[Any]
    _connection: Any

    async def route_message(self, raw_msg: str) -> None:
        """Hands a frame to the package when it is one, and answers it with an error when it is not."""
        try:
            frame = json.loads(raw_msg)
        except (ValueError, RecursionError):
            await self._complain(_UNSAID)
            return
        match frame:
            case [2, str(unique), str(), dict()]:
                try:
                    await super().route_message(raw_msg)  # type: ignore[misc]
                except GoneError:
                    raise
                except Exception:  # noqa: BLE001 - whatever a message brings about must not end the connection
                    await self._complain(unique, "InternalError")
            case [3 | 4, str(), *_]:
                if self._call_lock.locked():
                    await super().route_message(raw_msg)  # type: ignore[misc]
            case [_, str(unique), *_]:
                await self._complain(unique)
            case _:
                await self._complain(_UNSAID)

    async def _complain(self, unique: str, code: str = "") -> None:
        """Answers with an error; 1.6 has no way to speak of a frame whose id cannot be read, so such a one is passed over."""
        if self._ocpp_version == "1.6" and unique == _UNSAID:
            return
        code = code or ("FormationViolation" if self._ocpp_version == "1.6" else "RpcFrameworkError")
        await self._connection.send(json.dumps([4, unique[:36], code, "", {}], separators=(",", ":")))

    async def ask(self, payload: Any) -> Any:
        """Calls the charger and gives its answer.

        Raises:
            RequestError: `ocpp.no_answer` when it does not answer in time, answers with an error, or the connection ends.
        """
        action = type(payload).__name__
        call = asyncio.ensure_future(self.call(payload, suppress=False))  # type: ignore[attr-defined]
        gone = asyncio.ensure_future(self.gone.wait())
        try:
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
            error = call.exception() if call.done() else GoneError("closed")
        finally:
            call.cancel()
            gone.cancel()
        if error is None:
            return call.result()
        raise RequestError(
            "ocpp.no_answer", device=self.id, action=action, reason=_first_words(error)
        ) from error


def routes(answers: Mapping[str, Callable[..., Any]]) -> dict[str, dict[str, Any]]:
    """A table of handlers as the `ocpp` package keeps it."""
    return {
        action: {"_on_action": handler, "_skip_schema_validation": False}
        for action, handler in answers.items()
    }


def _first_words(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]
