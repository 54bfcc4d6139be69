# SPDX-License-Identifier: Apache-2.0
"""Orders that reach devices: what the plan or a person says is told to every declared device, renewed, and taken back in time.

Comes in: the live state with its records of schedules and decisions, and devices that can be told a power. Goes out: set-points through
a guard that keeps the declared limits, a record of each answer, and the health of the devices. Without a declared device nothing
happens. A device that was told something falls back to its safe power when no order holds any more: the guard says so, and the
device itself forgets what it was told after a quarter of an hour in any case.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from mangrove.errors import LedgerError, MangroveError, Problem, RequestError
from mangrove.operate.devices import Device, Guard, Reading, Setpoint, Written
from mangrove.operate.site import Site, sites
from mangrove.serve import schedules
from mangrove.serve.schedules import TOLD, Order, Told
from mangrove.serve.state import Live
from mangrove.sources.poll import Health
from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from mangrove.sources.ocpp.central import CentralSystem

LOOK = 1.0
"""Real seconds from one look to the next: a decision reaches its device about that soon."""
RETRY = timedelta(seconds=30)
"""A device that was not reached is tried again after this."""
_RENEW = 1 / 3
"""A set-point is renewed when this share of its heartbeat is left."""
_EXACT = 1e-6
_JOIN = 10.0


class Setpoints:
    """Keeps declared devices on their orders, in a thread of its own.

    Args:
        live: what is served; its clock decides what holds, its intake keeps the answers.
        devices: by id of the asset; what is not a battery, charger, swap station or unit of a site is refused.

    Raises:
        RequestError: `page_operate.no_device`.
    """

    def __init__(self, live: Live, devices: Mapping[str, Device]) -> None:
        self._live = live
        self._kept = {id_: _Kept(id_, *_limited(live.territory, id_, one)) for id_, one in devices.items()}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self) -> list[Written]:
        """One look: tells what is new or due, and gives what was written."""
        if not self._kept:
            return []
        now = self._live.clock.now()
        wanted = self._orders(now)
        found = []
        for one in self._kept.values():
            written = one.follow(wanted.get(one.id), now)
            if written is not None:
                found.append(written)
                self._note(one, written, now)
        return found

    def start(self) -> None:
        """Begins; returns at once."""
        if self._kept:
            self._thread = threading.Thread(target=self._run, name="setpoints", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends; devices keep what they were told until it expires."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_JOIN)

    def state(self) -> tuple[Health, ...]:
        """One health for each device."""
        return tuple(one.health(self._live.territory) for one in self._kept.values())

    def _orders(self, now: datetime) -> dict[str, Order]:
        """The orders that hold for the devices of all sites."""
        places = {one.place for one in self._kept.values()}
        stored = schedules.schedules(self._live, places)
        decided = schedules.decisions(self._live, now)
        found: dict[str, Order] = {}
        for place in places:
            own = {id_: one for id_, one in decided.items() if one.site == place}
            found |= schedules.orders(stored.get(place), own, now)
        return found

    def _note(self, one: _Kept, written: Written, now: datetime) -> None:
        """Keeps an answer as a record when it says something new."""
        said = (written.asked.power, written.sent, written.reason)
        if said == one.noted or self._live.intake is None:
            return
        one.noted = said
        document = Told(
            one.id, written.asked.power, written.sent, written.reason, written.asked.expires, now
        ).document()
        try:
            self._live.intake.call(lambda ledger: ledger.put_record(TOLD, document))
        except MangroveError:
            one.noted = None  # the writer has no room or is stopping: the next answer is kept

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            try:
                self.step()
            except LedgerError:  # records that cannot be read now are looked at again
                continue


class _Kept:
    """One device behind its guard, and what it was told last."""

    def __init__(self, id_: str, place: str, guard: Guard) -> None:
        self.id, self.place, self.guard = id_, place, guard
        self.noted: tuple[float, float | None, str] | None = None
        self._asked: tuple[float, str] | None = None
        self._last: datetime | None = None
        self._tried: datetime | None = None
        self._failed = False
        self._commanded = False

    def follow(self, order: Order | None, now: datetime) -> Written | None:
        """Tells the device what holds when it is new, due, or over; None when there is nothing to tell."""
        if self._failed and self._tried is not None and now - self._tried < RETRY:
            return None
        if order is None or not math.isfinite(order.power):
            if self._asked is not None:
                self.guard.expires = (
                    None  # what was asked is over or was taken back: the safe power holds at once
                )
            written = self.guard.beat(now) if self._commanded else None
        elif self._due(order, now):
            setpoint = Setpoint(self.id, order.power, now, order.expires, order.source)
            written = self.guard.write(setpoint, now)
        else:
            return None
        if written is not None:
            self._after(written, order, now)
        return written

    def _due(self, order: Order, now: datetime) -> bool:
        """Whether an order differs from what the device was told, or what it was told is about to expire."""
        if self._asked != (order.power, order.source) or self.guard.expires is None:
            return True
        left = self.guard.expires - now
        return left < self.guard.limits.heartbeat * _RENEW and order.expires > self.guard.expires

    def _after(self, written: Written, order: Order | None, now: datetime) -> None:
        self._failed = written.sent is None
        self._tried = now
        self._commanded = True
        self._asked = None if order is None else (order.power, order.source)
        if not self._failed:
            self._last = now

    def health(self, territory: Territory) -> Health:
        """How it takes its orders."""
        device = device_of(territory, self.id) or self.id
        if self._failed:
            problem = Problem("page_operate.unreachable", {"asset": self.id})
            return Health(device, "failing", self._last, problem)
        return Health(device, "ok" if self._last is not None else "never", self._last)


def _limited(territory: Territory, id_: str, device: Device) -> tuple[str, Guard]:
    """The site of a device, and the guard with what it may be told."""
    options = []
    for site in sites(territory):
        limits = schedules.limits_of(site)
        if id_ in limits:
            return site.place, Guard(device, limits[id_])
        options += list(limits)
    raise RequestError("page_operate.no_device", device=id_, hint="", options=", ".join(options) or "–")


# The declared devices


class Broker(Protocol):
    """What a swap station needs of the connector to the broker."""

    def set_swap(self, device: str, power: float, until: datetime) -> None:
        """Asks a station for a power until a time."""


@dataclass
class SwapStation:
    """A swap station behind a broker, as a device; what it says of itself comes in by its topics."""

    id: str
    device: str
    broker: Broker
    power: float = 0.0

    def read(self) -> Reading:
        """What it was told last."""
        return Reading(self.power)

    def write(self, setpoint: Setpoint) -> None:
        """Publishes the set-point; it expires at the station."""
        self.broker.set_swap(self.device, setpoint.power, setpoint.expires)
        self.power = setpoint.power


@dataclass(frozen=True)
class Sockets:
    """Several connectors as one device: each gets its share of the power."""

    id: str
    parts: Sequence[Device]

    def read(self) -> Reading:
        """What they draw together, and what they may draw at most."""
        found = [part.read() for part in self.parts]
        low, high = math.fsum(x.low for x in found), math.fsum(x.high for x in found)
        return Reading(math.fsum(x.power for x in found), None, low, high)

    def write(self, setpoint: Setpoint) -> None:
        """Tells each its share; one that fails does not keep the others from theirs, but the whole has failed."""
        failed: Exception | None = None
        for part in self.parts:
            share = setpoint.power / len(self.parts)
            try:
                part.write(Setpoint(part.id, share, setpoint.start, setpoint.expires, setpoint.reason))
            except Exception as error:  # noqa: BLE001 - a driver may fail in any way
                failed = error
        if failed is not None:
            raise failed


def setpoints(live: Live, connectors: Iterable[Any], chargers: CentralSystem | None) -> Setpoints:
    """The orders of the declared devices of a server.

    Args:
        live: what is served.
        connectors: of the server; the one to a broker speaks to swap stations.
        chargers: the central system; None without chargers.
    """
    broker = next((one for one in connectors if hasattr(one, "set_swap")), None)
    return Setpoints(live, declared(live, broker, chargers))


def declared(live: Live, broker: Broker | None, chargers: CentralSystem | None) -> dict[str, Device]:
    """The declared devices that can be told what to do, by asset.

    Args:
        live: what is served.
        broker: speaks to swap stations; None without one.
        chargers: the central system; None without chargers.

    Raises:
        SourceError: a device names what is no battery.
    """
    territory, found = live.territory, dict[str, Device]()
    if any(one.protocol == "modbus" and "asset" in one.parameters for one in territory.devices.values()):
        from mangrove.sources import sunspec

        found.update(sunspec.batteries(territory, live.clock.now))
    if not any(asset.type == "grid" for asset in territory.assets.values()):
        return {}
    for site in sites(territory):
        if broker is not None:
            for station in site.stations:
                device = device_of(territory, station.id, "mqtt")
                if device:
                    found[station.id] = SwapStation(station.id, device, broker)
        if chargers is not None:
            found |= {id_: one for id_, one in _sockets(territory, site, chargers).items() if one.parts}
    known = {id_ for site in sites(territory) for id_ in schedules.limits_of(site)}
    return {id_: one for id_, one in found.items() if id_ in known}


def device_of(territory: Territory, asset: str, protocol: str = "") -> str:
    """The id of the declared device that is an asset: named by its parameter `asset`, else the one whose points are its flows.

    Args:
        territory: as declared.
        asset: id.
        protocol: of the device; any when empty.
    """
    words = {str(word) for word in territory.assets[asset].parameters.values()} & set(territory.flows)
    for device in territory.devices.values():
        if protocol and device.protocol != protocol:
            continue
        flows = {point.flow for point in territory.points if point.device == device.id}
        if str(device.parameters.get("asset", "")) == asset or flows & words:
            return device.id
    return ""


def _sockets(territory: Territory, site: Site, chargers: CentralSystem) -> dict[str, Sockets]:
    """The connectors whose meters are the flow of a charger, by charger."""
    from mangrove.sources.ocpp.points import parse_address
    from mangrove.sources.ocpp.profiles import OcppCharger

    found = {}
    for charger in site.chargers:
        ends = sorted(
            {
                (point.device, parse_address(point.address)[0])
                for point in territory.points
                if point.flow == charger.flow and territory.devices[point.device].protocol == "ocpp"
            }
        )
        parts = [OcppCharger(chargers, device, number) for device, number in ends if number > 0]
        found[charger.id] = Sockets(charger.id, parts)
    return found


__all__ = ["Setpoints", "Sockets", "SwapStation", "declared", "device_of", "setpoints"]
