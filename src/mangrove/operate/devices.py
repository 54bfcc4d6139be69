# SPDX-License-Identifier: Apache-2.0
"""The device layer: set-points reach a device only through a guard that keeps what was declared.

Comes in: set-points in kW (positive takes power, negative gives it) with a time after which they no longer hold. Goes out: writes to
a `Device` (simulated, journal, and later the protocols) that never leave the declared limits, and a `Written` that says what was
sent and why it differs from what was asked. Nothing a device answers can widen its limits.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from mangrove.errors import RequestError
from mangrove.operate.site import Battery, Site
from mangrove.operate.state import Session
from mangrove.operate.units import Unit

NO_LIMIT = 1e9
"""kW where nothing is declared: a number that a guard can hold."""
HEARTBEAT = timedelta(minutes=15)
"""How long a set-point holds when nobody renews it: one planning step."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device may be told.

    Attributes:
        low, high: kW; low is negative for a device that can give power back.
        ramp: largest change from one set-point to the next, kW.
        safe: kW that it is told when no set-point holds.
        heartbeat: how long a set-point holds at most.
    """

    low: float
    high: float
    ramp: float = math.inf
    safe: float = 0.0
    heartbeat: timedelta = HEARTBEAT

    def __post_init__(self) -> None:
        fine = math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.safe <= self.high
        if not fine or not self.ramp > 0 or self.heartbeat <= timedelta(0):
            raise RequestError(
                "operate.bad_limits", low=self.low, high=self.high, safe=self.safe, ramp=self.ramp
            )


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What a device is asked to do: kW from `start` until `expires` (UTC), and why."""

    device: str
    power: float
    start: datetime
    expires: datetime
    reason: str = "plan"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device says: kW now, kWh in it (None when it holds nothing), and its own limits of the moment when it has any."""

    power: float
    level: float | None = None
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a set-point.

    Attributes:
        asked: the set-point; sent: kW that the device was told, None when it could not be reached.
        reason: `sent`, or why it differs: `limit`, `ramp`, `device` (its own limit of the moment), `expired`, `unreachable`.
    """

    asked: Setpoint
    sent: float | None
    reason: str = "sent"


class Device(Protocol):
    """Something that can be read and told a power; protocols implement this and nothing more."""

    @property
    def id(self) -> str:
        """The id of the asset."""

    def read(self) -> Reading:
        """What it does now."""

    def write(self, setpoint: Setpoint) -> None:
        """Tells it a power that holds until the set-point expires."""


class Guard:
    """Stands before a device and keeps its limits, whatever is asked and whatever the device answers.

    Invariants:
        Every power written lies in the declared limits, and differs from the one written before by at most the ramp, unless
        the limits themselves demand more.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> guard = Guard(SimulatedBattery(Battery("b", 100.0, 50.0, 50.0)), Limits(-50.0, 50.0))
        >>> guard.write(Setpoint("b", 80.0, noon, noon + HEARTBEAT), noon).sent
        50.0
    """

    def __init__(self, device: Device, limits: Limits) -> None:
        self.device = device
        self.limits = limits
        self.last: float | None = None
        self.expires: datetime | None = None

    def write(self, setpoint: Setpoint, now: datetime) -> Written:
        """Sends a set-point within the limits.

        Raises:
            RequestError: `operate.not_a_setpoint` (not a number), `operate.wrong_device`. Nothing was sent.
        """
        if setpoint.device != self.device.id:
            raise RequestError("operate.wrong_device", asked=setpoint.device, device=self.device.id)
        if not math.isfinite(setpoint.power):
            raise RequestError("operate.not_a_setpoint", device=setpoint.device, value=str(setpoint.power))
        if now >= setpoint.expires:
            return Written(setpoint, None, "expired")
        power, reason = self._within(setpoint.power)
        expires = min(setpoint.expires, now + self.limits.heartbeat)
        return self._send(
            Setpoint(setpoint.device, power, setpoint.start, expires, setpoint.reason), setpoint, reason
        )

    def beat(self, now: datetime) -> Written | None:
        """Tells the device its safe power when no set-point holds any more; None when one does."""
        if self.expires is not None and now < self.expires:
            return None
        asked = Setpoint(self.device.id, self.limits.safe, now, now + self.limits.heartbeat, "expired")
        power, _ = self._within(self.limits.safe)
        return self._send(Setpoint(asked.device, power, now, asked.expires, "expired"), asked, "expired")

    def previous(self) -> float | None:
        """KW from which the next set-point may differ by the ramp: the last one, or what the device does now."""
        if self.last is not None:
            return self.last
        try:
            power = float(self.device.read().power)
        except Exception:  # noqa: BLE001 - a driver may fail in any way
            return None
        return min(max(power, self.limits.low), self.limits.high) if math.isfinite(power) else None

    def _send(self, sent: Setpoint, asked: Setpoint, reason: str) -> Written:
        try:
            self.device.write(sent)
        except Exception:  # noqa: BLE001 - a driver may fail in any way; it must not stop the others
            self.expires = None
            return Written(asked, None, "unreachable")
        self.last, self.expires = sent.power, sent.expires
        return Written(asked, sent.power, reason)

    def _within(self, power: float) -> tuple[float, str]:
        """The nearest power that the limits allow, and which of them moved it."""
        low, high = self.limits.low, self.limits.high
        reason = "sent"
        own_low, own_high = self._own_limits()
        if own_low > low or own_high < high:
            low, high = min(max(low, own_low), high), max(min(high, own_high), low)
            if not low <= power <= high:
                reason = "device"
        allowed = min(max(power, low), high)
        if reason == "sent" and allowed != power:
            reason = "limit"
        before = self.previous() if math.isfinite(self.limits.ramp) else None
        if before is not None and abs(allowed - before) > self.limits.ramp:
            allowed = before + math.copysign(self.limits.ramp, allowed - before)
            reason = "ramp"
        return min(max(allowed, self.limits.low), self.limits.high), reason

    def _own_limits(self) -> tuple[float, float]:
        """What the device says of its limits; nonsense and silence count for nothing."""
        try:
            reading = self.device.read()
            low, high = float(reading.low), float(reading.high)
        except Exception:  # noqa: BLE001 - a driver may fail in any way
            return -math.inf, math.inf
        fine = not (math.isnan(low) or math.isnan(high)) and low <= high
        return (low, high) if fine else (-math.inf, math.inf)


class SimulatedBattery:
    """A battery of its own efficiency that refuses to charge when full and to discharge when empty.

    Args:
        battery: what it really is; a plan may believe something else.
        level: kWh at the beginning; None: its floor.
    """

    def __init__(self, battery: Battery, level: float | None = None) -> None:
        self.battery = battery
        self.level = battery.floor if level is None else level
        self.power = 0.0

    @property
    def id(self) -> str:
        """The id of the asset."""
        return self.battery.id

    def read(self) -> Reading:
        """Its power, level and limits of the moment."""
        return Reading(self.power, self.level, -self.battery.discharge, self._acceptance())

    def write(self, setpoint: Setpoint) -> None:
        """Takes the power on, as far as it can."""
        self.power = min(max(setpoint.power, -self.battery.discharge), self._acceptance())

    def room(self, hours: float) -> tuple[float, float]:
        """The least and the greatest mean power (kW) that it can hold for so many hours."""
        b = self.battery
        kept = self.level * (1.0 - b.loss) ** hours
        least = -min(b.discharge, max(kept - b.floor, 0.0) * b.efficiency[1] / hours)
        most = min(self._acceptance(), max(b.energy - kept, 0.0) / b.efficiency[0] / hours)
        return least, most

    def advance(self, hours: float) -> float:
        """Runs for so many hours and returns the mean power that really flowed, kW at the bus."""
        b = self.battery
        least, most = self.room(hours)
        power = min(max(self.power, least), most)
        gained = power * b.efficiency[0] if power > 0 else power / b.efficiency[1]
        level = self.level * (1.0 - b.loss) ** hours + gained * hours
        self.level = min(max(level, 0.0), b.energy)
        return power

    def _acceptance(self) -> float:
        return self.battery.acceptance(self.level)


class Journal:
    """A device that only keeps a record: one line a set-point in a CSV file, for devices that people set by hand.

    Args:
        id: of the asset.
        path: the file; it is made with its head when it is missing.
        then: also told of every set-point.
    """

    def __init__(self, id: str, path: Path, then: Callable[[Setpoint], None] | None = None) -> None:  # noqa: A002
        self._id = id
        self.path = Path(path)
        self.then = then
        self.power = 0.0

    @property
    def id(self) -> str:
        """The id of the asset."""
        return self._id

    def read(self) -> Reading:
        """What it was told last: nobody measures it."""
        return Reading(self.power)

    def write(self, setpoint: Setpoint) -> None:
        """Appends a line."""
        fresh = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow(["device", "power_kw", "start", "expires", "reason"])
            start, expires = setpoint.start.isoformat(), setpoint.expires.isoformat()
            writer.writerow([setpoint.device, f"{setpoint.power:.6g}", start, expires, setpoint.reason])
        self.power = setpoint.power
        if self.then:
            self.then(setpoint)


def limits_of(battery: Battery, ramp: float = math.inf) -> Limits:
    """The declared limits of a battery."""
    return Limits(-battery.discharge, battery.charge, ramp)


def limits_at(site: Site, sessions: Sequence[Session] = ()) -> dict[str, Limits]:
    """The declared limits of everything at a site that takes set-points: batteries, swap stations, units, vehicles."""
    found = {battery.id: limits_of(battery) for battery in site.batteries}
    for station in site.stations:
        found[station.id] = Limits(-station.power if station.two_way else 0.0, station.power)
    found.update({unit.id: limits_of_unit(unit) for unit in site.units if unit.kind != "hydrogen_store"})
    chargers = {charger.id: charger for charger in site.chargers}
    for one in sessions:
        charger = chargers.get(one.charger)
        power, back = (charger.power, charger.discharge) if charger else (0.0, 0.0)
        found[one.id] = Limits(-back, power if one.power is None else min(one.power, power))
    return found


def limits_of_unit(unit: Unit) -> Limits:
    """The declared limits of a unit, in kW (kg/h, m3/h) of its activity; a load that declares none may draw what it asks for."""
    v = unit.values
    if unit.kind == "thermal_store":
        power = v.get("power", NO_LIMIT)
        return Limits(-power, power)
    if unit.kind == "batch":
        return Limits(0.0, v["power"] * v["lines"])
    return Limits(0.0, v.get("capacity", NO_LIMIT))
