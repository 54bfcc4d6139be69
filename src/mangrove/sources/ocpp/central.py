# SPDX-License-Identifier: Apache-2.0
"""The central system: chargers connect here over websockets, and are told how much they may draw.

Comes in: websockets of declared chargers (`/ocpp/{identity}`, sub-protocol `ocpp1.6` or `ocpp2.0.1`, Basic authentication) and
powers over time. Goes out: values, sessions and records through the intake, profiles to the chargers, and a `Health` for each.
What a message carried is on disk before it is answered.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from mangrove.errors import MangroveError, MissingExtraError, Problem, RequestError, did_you_mean
from mangrove.ledger.types import series
from mangrove.sources.ocpp.desk import Desk, Seen
from mangrove.sources.ocpp.journal import Journal
from mangrove.sources.ocpp.link import REPLACED, GoneError, Socket
from mangrove.sources.ocpp.points import Wiring
from mangrove.sources.ocpp.profiles import Charger, Period, Sent, planned, profile_id, within
from mangrove.sources.poll import Health
from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.websockets import WebSocket

    from mangrove.ledger import Snapshot
    from mangrove.sources.intake import Intake

BEAT = 300
"""Seconds between two heartbeats unless `every` says otherwise: the value of the example in OCPP 1.6 (BootNotification.conf)."""
_UNAUTHORIZED, _UNKNOWN = 401, 404
_PROTOCOL_ERROR = 1002
"""RFC 6455: a charger that offers no version that we speak is let in and sent away at once (OCPP 1.6-J, section 3.1.2)."""
_ACCEPTED, _FREE = "Accepted", "Available"

Plan = tuple[str, int, tuple[Period, ...]]
"""Charger, connector, and powers over time."""


class Clock(Protocol):
    """The clock that everything live asks."""

    def now(self) -> datetime:
        """The instant, UTC."""


@dataclass
class _Link:
    """A connection that is open."""

    socket: Socket
    charger: Any
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)


class CentralSystem:
    """All chargers of a territory.

    Args:
        intake: the one writer; started before the first charger connects.
        territory: its devices of protocol `ocpp` may connect, by their id; its points say what their meters are.
        clock: of the server.
        authorize: whether a password is that of a charge point; it may take its time, it runs in a thread.

    Raises:
        DeclarationError: a parameter or a point of a charger makes no sense.
        MissingExtraError: the `ocpp` package is not installed.
    """

    def __init__(
        self, intake: Intake, territory: Territory, clock: Clock, authorize: Callable[[str, str], bool]
    ) -> None:
        if find_spec("ocpp") is None:
            raise MissingExtraError("devices")
        self.territory = territory
        self.loop: asyncio.AbstractEventLoop | None = None
        self._intake, self._clock, self._authorize = intake, clock, authorize
        self._devices = {id_: one for id_, one in territory.devices.items() if one.protocol == "ocpp"}
        self._chargers = {id_: Charger.of(one) for id_, one in self._devices.items()}
        self._wirings = {id_: Wiring(territory, id_, clock.now()) for id_ in self._devices}
        self._desks: dict[str, Desk] = {}
        self._links: dict[str, _Link] = {}
        self._opening: asyncio.Lock | None = None
        self._journal: Journal | None = None

    async def serve(self, websocket: WebSocket, identity: str) -> None:
        """Serves one connection until it ends; a newer one of the same charger takes its place."""
        device = self._devices.get(identity)
        if device is None:
            await _deny(websocket, _UNKNOWN)
            return
        if not await self._admitted(websocket, identity):
            await _deny(websocket, _UNAUTHORIZED)
            return
        kind = _speaks(websocket.scope.get("subprotocols", []))
        if kind is None:
            await websocket.accept()
            await websocket.close(_PROTOCOL_ERROR)
            return
        desk = await self._desk(identity)
        await websocket.accept(subprotocol=kind[0])
        socket = Socket(websocket)
        beat = round(device.every.hours * 3600) if device.every is not None else BEAT
        link = _Link(socket, None)
        link.charger = kind[1](desk, socket, self._clock.now, beat, lambda: self._booted(link, identity))
        await self._listen(identity, link, desk)

    def state(self) -> list[Health]:
        """How each charger is doing: `ok` while it is connected and speaks, `late` after two missed heartbeats."""
        return [self._health(id_) for id_ in self._devices]

    def seen(self, device: str) -> Seen:
        """What a charger said of itself; empty when it has not connected since the start."""
        return self._desks[device].seen if device in self._desks else Seen()

    def charger(self, device: str) -> Charger:
        """What is declared about a charger.

        Raises:
            RequestError: `ocpp.unknown_device`.
        """
        if device not in self._chargers:
            raise RequestError(
                "ocpp.unknown_device", device=device, hint=did_you_mean(device, self._chargers)
            )
        return self._chargers[device]

    def power(self, device: str, connector: int) -> float | None:
        """KW that a connector said last; None when it is silent or charges nobody."""
        return self.seen(device).powers.get(connector)

    async def set_profile(self, device: str, connector: int, periods: Sequence[Period]) -> Sent:
        """Tells a charger powers over time; they hold until the last period ends, then the default remains.

        Args:
            device: charge point identity.
            connector: 1 for the first.
            periods: one after the other, together at most two days; what lies outside the declared limits is moved to them.

        Raises:
            RequestError: `ocpp.unknown_device`, `ocpp.no_power`, `ocpp.bad_periods`, `ocpp.not_connected`, `ocpp.no_answer`,
                `ocpp.refused`.
        """
        charger = self.charger(device)
        fitting, reason = within(periods, charger)
        link = self._connected(device)
        number = self._running(device, connector)
        said = await link.charger.set_profile(charger, connector, fitting, number)
        if said != _ACCEPTED:
            raise RequestError("ocpp.refused", device=device, connector=connector, said=said)
        return Sent(device, connector, "TxDefaultProfile" if number is None else "TxProfile", fitting, reason)

    async def clear_profile(self, device: str, connector: int) -> bool:
        """Takes the plan of a connector back; whether the charger had one. Errors as `set_profile`."""
        link = self._connected(device)
        ids = [profile_id(connector, purpose) for purpose in ("TxDefaultProfile", "TxProfile")]
        return any([await link.charger.clear_profile(one) == _ACCEPTED for one in ids])

    async def composite(self, device: str, connector: int, duration: timedelta) -> tuple[Period, ...]:
        """What a charger says that it will allow from now on, kW; empty when it does not say. Errors as `set_profile`."""
        link = self._connected(device)
        found: tuple[Period, ...] = await link.charger.composite(self.charger(device), connector, duration)
        return found

    async def apply_schedule(
        self, snapshot: Snapshot, horizon: timedelta = timedelta(hours=24)
    ) -> list[Sent | Problem]:
        """Sends every charger what the run `schedule` of its flows says from now on; one that fails stops no other."""
        return [await self._send(plan) for plan in self._plans(snapshot, horizon)]

    async def follow(
        self,
        snapshots: Callable[[], AbstractContextManager[Snapshot]],
        every: float = 60.0,
        horizon: timedelta = timedelta(hours=24),
    ) -> None:
        """Keeps the chargers on the run `schedule` until it is canceled.

        A charger is told again when the plan changed, a step of it passed, a transaction began or ended, or it came back.

        Args:
            snapshots: opens what the ledger holds; used in a thread.
            every: seconds between two looks.
            horizon: how far ahead a charger is told.
        """

        def look() -> list[Plan]:
            with snapshots() as snapshot:
                return self._plans(snapshot, horizon)

        told: dict[tuple[str, int], object] = {}
        while True:
            with suppress(MangroveError):  # a ledger that cannot be read now is looked at again later
                for plan in await asyncio.to_thread(look):
                    device, connector, periods = plan
                    link = self._links.get(device)
                    if link is None:
                        continue
                    steps = tuple((one.end, one.power) for one in periods)
                    state = (id(link), self._running(device, connector), steps)
                    if told.get((device, connector)) != state and isinstance(await self._send(plan), Sent):
                        told[device, connector] = state
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Closes all connections; chargers keep what they were told and come again."""
        for link in list(self._links.values()):
            await link.socket.close(1001)

    def _plans(self, snapshot: Snapshot, horizon: timedelta) -> list[Plan]:
        """What the run `schedule` says from now on: charger, connector, powers.

        A flow with a schedule belongs to one connector: the one whose register, power or transactions it counts.
        """
        now = self._clock.now()
        known = set(snapshot.flow_ids())
        found: list[Plan] = []
        for device, wiring in self._wirings.items():
            flows = {(key[0], point.flow) for key, point in wiring.points.items() if key[0] > 0}
            for connector, flow in sorted(flows):
                if series(flow, "schedule") in known:
                    periods = planned(snapshot, self.territory, flow, now, now + horizon)
                    found += [(device, connector, periods)] if periods else []
        return found

    async def _send(self, plan: Plan) -> Sent | Problem:
        """Sends a plan; what went wrong when it cannot be sent."""
        try:
            return await self.set_profile(*plan)
        except MangroveError as error:
            return error.problem

    async def _listen(self, identity: str, link: _Link, desk: Desk) -> None:
        """Reads messages until the connection ends."""
        self.loop = asyncio.get_running_loop()
        older = self._links.get(identity)
        self._links[identity] = link
        if older is not None:
            await older.socket.close(REPLACED)
        try:
            while True:
                text = await link.socket.recv()
                desk.seen.last = self._clock.now()
                await link.charger.route_message(text)
        except GoneError:
            pass
        finally:
            link.charger.gone.set()
            for task in link.tasks:
                task.cancel()
            if self._links.get(identity) is link:
                del self._links[identity]

    def _booted(self, link: _Link, identity: str) -> None:
        """After a boot the default profile is sent, beside the loop that will read its answer."""
        charger = self._chargers[identity]
        if charger.power is None or charger.safe_power is None:
            return

        async def send() -> None:
            try:
                await link.charger.set_default(charger)
            except RequestError:
                return  # it did not answer: the next boot brings another attempt

        task = asyncio.get_running_loop().create_task(send())
        link.tasks.add(task)
        task.add_done_callback(link.tasks.discard)

    async def _admitted(self, websocket: WebSocket, identity: str) -> bool:
        """Basic authentication (security profile 1): the user is the identity, the password the charger's own."""
        said = _basic(websocket.headers.get("authorization", ""))
        if said is None or said[0] != identity:
            return False
        return await asyncio.to_thread(self._authorize, identity, said[1])

    async def _desk(self, identity: str) -> Desk:
        """The desk of a charger; the journal is read from the ledger when the first one connects."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._journal is None:
                self._journal = await asyncio.wrap_future(self._intake.call(Journal.read))
        if identity not in self._desks:
            self._desks[identity] = Desk(
                self._chargers[identity], self._wirings[identity], self._journal, self._intake
            )
        return self._desks[identity]

    def _running(self, device: str, connector: int) -> str | None:
        """The transaction that a connector is in; one whose end was lost does not count when the connector says that it is free."""
        desk = self._desks[device]
        running = desk.journal.running(device, connector)
        free = desk.seen.connectors.get(connector) == _FREE
        return running.number if running is not None and not free else None

    def _connected(self, device: str) -> _Link:
        self.charger(device)
        link = self._links.get(device)
        if link is None:
            raise RequestError("ocpp.not_connected", device=device)
        return link

    def _health(self, id_: str) -> Health:
        last = self.seen(id_).last
        if id_ not in self._links:
            problem = Problem("ocpp.not_connected", {"device": id_}, severity="warning")
            return Health(id_, "never" if last is None else "failing", last, problem if last else None)
        every = self._devices[id_].every
        allowed = 2 * timedelta(seconds=every.hours * 3600 if every is not None else BEAT)
        late = last is not None and self._clock.now() - last > allowed
        return Health(id_, "late" if late else "ok", last)


def router(system: CentralSystem) -> APIRouter:
    """The route `/ocpp/{identity}` for a FastAPI application."""
    from fastapi import APIRouter, WebSocket

    routes = APIRouter()

    async def charger(websocket: Any, identity: str) -> None:
        await system.serve(websocket, identity)

    charger.__annotations__["websocket"] = WebSocket
    routes.add_api_websocket_route("/ocpp/{identity}", charger)
    return routes


def _speaks(offered: Sequence[str]) -> tuple[str, Any] | None:
    """The first version that the charger offers and we speak, with its class."""
    for name in offered:
        if name == "ocpp1.6":
            from mangrove.sources.ocpp.v16 import Charger16

            return name, Charger16
        if name == "ocpp2.0.1":
            from mangrove.sources.ocpp.v201 import Charger201

            return name, Charger201
    return None


def _basic(header: str) -> tuple[str, str] | None:
    """User and password of a header `Authorization: Basic ...`; None when it is none."""
    kind, _, code = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(code.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (user, password) if colon else None


async def _deny(websocket: WebSocket, status: int) -> None:
    """Refuses the handshake with a status, where the server can say one."""
    from starlette.responses import Response

    head = {"www-authenticate": 'Basic realm="ocpp"'} if status == _UNAUTHORIZED else {}
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(Response(status_code=status, headers=head))
    else:
        await websocket.close()
