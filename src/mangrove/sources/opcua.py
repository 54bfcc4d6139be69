# SPDX-License-Identifier: Apache-2.0
"""OPC UA: values of nodes, asked for in one request for all points of a device.

Comes in: a device (`opc.tcp://10.0.0.9:4840`) and its points, each the id of a node (`ns=2;s=Boiler.Power`). Goes out: numbers with
what the server says of them: a status that is not good becomes quality FAULT (MISSING when there is no value either), and a source
time that cannot be right is replaced by the server's with quality CLOCK. The connection is kept open between questions on a
thread of its own, which answers the server's keep-alives.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from mangrove.errors import MissingExtraError, Problem, SourceError
from mangrove.ledger.types import Quality
from mangrove.sources.messages_in import AHEAD
from mangrove.sources.modbus import parameter
from mangrove.sources.poll import EVERY, Answer, Clock, Sample
from mangrove.territory.model import Device, Point
from mangrove.units import Unit

T = TypeVar("T")

TIMEOUT = 4.0
"""Seconds until a server that says nothing counts as silent, unless the device's parameter `timeout` says otherwise."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""A source time before this is a clock that was never set (OPC UA counts from 1601; devices without a clock from 1970)."""
_EXAMPLE = "ns=2;s=Boiler.Power"


class OpcReader:
    """The nodes of one server; a `Reader`.

    Args:
        device: address `opc.tcp://HOST[:PORT][/PATH]`; parameters `user`, `timeout` (s), and `security` as a list
            `Policy,Mode,certificate,key` with paths beside the territory's files.
        points: of this device; addresses are node ids.
        password: of `user`.
        clock: says what a sane time is.

    Raises:
        SourceError: `devices.bad_address`, `devices.bad_node`, `devices.bad_parameter`.
        MissingExtraError: asyncua is not installed.
    """

    def __init__(self, device: Device, points: Sequence[Point], password: str, clock: Clock) -> None:
        try:
            from asyncua import ua
        except ImportError:
            raise MissingExtraError("devices") from None
        if not device.address.startswith("opc.tcp://"):
            raise SourceError(
                "devices.bad_address",
                where=device.where,
                address=device.address,
                protocol="opcua",
                example="opc.tcp://10.0.0.9:4840",
            )
        self._device, self._password, self._clock = device, password, clock
        self._timeout = parameter(device, "timeout", TIMEOUT, "s", "timeout=4 s")
        self._stale = timedelta(hours=(device.every or EVERY).hours)
        self._nodes: dict[str, Any] = {}
        for point in points:
            try:
                self._nodes[point.address] = ua.NodeId.from_string(point.address)
            except (ua.UaStringParsingError, ValueError, TypeError):
                raise SourceError(
                    "devices.bad_node", where=point.where, address=point.address, example=_EXAMPLE
                ) from None
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def read(self) -> Answer:
        """Asks for the values of all nodes in one request; connects first when there is no connection."""
        try:
            return self._run(self._read())
        except Exception as error:
            self._drop()
            if isinstance(error, SourceError):
                raise
            reason = str(error)[:200] or type(error).__name__
            raise SourceError("devices.no_answer", address=self._device.address, reason=reason) from error

    def close(self) -> None:
        """Ends the connection and its thread; the next reading begins anew."""
        self._drop()
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._thread = self._loop = None

    def unit(self, address: str) -> Unit | None:  # noqa: ARG002 - a node's unit is for people; the declaration says it
        """None: the unit of a node is declared."""
        return None

    async def _read(self) -> Answer:
        from asyncua import ua

        if self._client is None:
            self._client = await self._connect()
        values = await self._client.uaclient.read_attributes(
            list(self._nodes.values()), ua.AttributeIds.Value
        )
        now = self._clock.now()
        samples: dict[str, Sample] = {}
        problem: Problem | None = None
        for address, value in zip(self._nodes, values, strict=True):
            samples[address], wrong = _sample(address, value, now, self._stale)
            problem = problem or wrong
        return Answer(samples, problem)

    async def _connect(self) -> Any:
        from asyncua import Client

        client = Client(self._device.address, timeout=self._timeout)
        user = self._device.parameters.get("user")
        if isinstance(user, str) and user:
            client.set_user(user)
            client.set_password(self._password)
        security = self._device.parameters.get("security")
        if isinstance(security, str) and security:
            await client.set_security_string(self._secured(security))
        await client.connect()
        return client

    def _secured(self, written: str) -> str:
        """The security list with the paths of its files made whole."""
        policy, mode, *files = (part.strip() for part in written.split(","))
        where = self._device.where
        folder = Path(where.file).parent if where is not None else Path()
        return ",".join([policy, mode, *(str(folder / file) for file in files)])

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                self._run(client.disconnect())
            except Exception:  # noqa: BLE001 - the connection is given up; how it ended does not matter
                client.disconnect_socket()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` on the connection's thread and waits for it, at most twice the time limit."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name=f"opcua:{self._device.id}", daemon=True
            )
            self._thread.start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(2 * self._timeout)
        except TimeoutError:
            future.cancel()
            raise


def _sample(address: str, value: Any, now: datetime, stale: timedelta) -> tuple[Sample, Problem | None]:
    """What a `DataValue` says: number, quality and time."""
    raw = None if value.Value is None else value.Value.Value
    status = value.StatusCode
    if status is not None and not status.is_good():
        problem = Problem("devices.node_bad", {"address": address, "status": status.name}, severity="warning")
        number = _number(raw)
        return Sample(number, Quality.MISSING if number is None else Quality.FAULT), problem
    number = _number(raw)
    if raw is not None and number is None:
        data = {"address": address, "type": type(raw).__name__}
        return Sample(None, Quality.MISSING), Problem("devices.node_type", data)
    at = _utc(value.SourceTimestamp)
    if at is None or EARLIEST <= at < now - stale:  # an old time is that of the last change
        return Sample(number), None
    if EARLIEST <= at <= now + AHEAD:
        return Sample(number, at=at), None
    server = _utc(value.ServerTimestamp)
    fine = server is not None and now - stale <= server <= now + AHEAD
    return Sample(number, Quality.CLOCK, server if fine else None), None


def _number(raw: Any) -> float | None:
    if isinstance(raw, bool | int | float):
        number = float(raw)
        return number if number == number and abs(number) != float("inf") else None  # noqa: PLR0124
    return None


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
