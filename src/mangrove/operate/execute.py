# SPDX-License-Identifier: Apache-2.0
"""What really happens in a step: orders meet the measured load, and the fast loop of the site keeps the limits of its connection.

Comes in: orders (kW), the measured load and generation of a step, devices behind their guards. Goes out: what was drawn, sold,
generated, charged and delivered. A plan is made before a step from what is expected; inside the step a site controller sees the
real load every second. It holds the import below the ceiling, never gives back more than the connection may, and only turns down
generation when no battery can take it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from mangrove.operate.devices import Guard, Setpoint, SimulatedBattery, Written, limits_of
from mangrove.operate.site import Battery, Site
from mangrove.operate.state import SECOND, Session
from mangrove.operate.units import STORES, Unit
from mangrove.operate.vehicles import level_of, most
from mangrove.operate.works import Worked, Works
from mangrove.times import utc

_EXACT = 1e-9
_TIE = 1e-3
"""Share of a price by which the worth of energy must differ from it before the fast loop acts."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the devices of a site are to do in a step.

    Attributes:
        powers: kW by battery (positive charges), by session, and by unit (of its activity).
        ceiling: kW that the import is to stay below, as far as the batteries can.
        worth: money per kWh in each battery; with it the fast loop acts on what was not foreseen. Empty: it keeps to the powers.
        buy, sell: money per kWh in the step.
        by: who ordered: `plan`, `safe`, or the name of a rule; reason: why, when it is not the plan.
    """

    powers: Mapping[str, float] = field(default_factory=dict)
    ceiling: float = math.inf
    worth: Mapping[str, float] = field(default_factory=dict)
    buy: float = 0.0
    sell: float = 0.0
    by: str = "plan"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What happened in a step: mean kW, and kWh by session.

    Attributes:
        imported, exported: at the connection; generated: what was used of `available`.
        powers: by battery, positive charges; delivered: kWh into the battery of each session, negative out of it.
        overload: kW above the limit of the connection that nothing could take away.
        written: what the guards sent.
        worked: what the units did; None for a site without any.
        paid: money to drivers for what their vehicles gave.
    """

    imported: float
    exported: float
    generated: float
    powers: Mapping[str, float]
    delivered: Mapping[str, float]
    overload: float
    written: tuple[Written, ...]
    worked: Worked | None = None
    paid: float = 0.0


class Plant:
    """The simulated devices of a site behind their guards.

    Args:
        site: what is declared, and what the guards hold.
        batteries: what batteries really are, where that is not what is declared.
        levels: amounts at the beginning, by battery and store.
        units: what units really are, where that is not what is declared.
        ramp: largest change of a battery's set-point from step to step, kW.
    """

    def __init__(
        self,
        site: Site,
        *,
        batteries: Sequence[Battery] = (),
        levels: Mapping[str, float] | None = None,
        ramp: float = math.inf,
        units: Sequence[Unit] = (),
    ) -> None:
        self.site = site
        self.real = units
        self.works: Works | None = None
        start = self.start = dict(levels or {})
        real = {b.id: b for b in (*site.batteries, *batteries)}
        made = [SimulatedBattery(real[b.id], start.get(b.id)) for b in site.batteries]
        self.devices = {device.id: device for device in made}
        self.guards = {b.id: Guard(self.devices[b.id], limits_of(b, ramp)) for b in site.batteries}

    @property
    def levels(self) -> dict[str, float]:
        """KWh in each battery and store of heat (kg in a store of hydrogen)."""
        stores = {unit.id: self.start.get(unit.id, 0.0) for unit in self.site.units if unit.kind in STORES}
        if self.works is not None:
            stores = dict(self.works.levels)
        return {**{id_: device.level for id_, device in self.devices.items()}, **stores}

    def step(  # noqa: PLR0917 - one step is these six facts
        self,
        at: np.datetime64,
        seconds: int,
        load: float,
        available: float,
        orders: Orders,
        sessions: Sequence[Session] = (),
        *,
        needs: Mapping[str, float] | None = None,
        price: float = 0.0,
    ) -> Done:
        """Runs one step.

        Args:
            at: its start (UTC).
            seconds: its length.
            load: measured consumption that nobody controls, kW.
            available: what own generation could give, kW.
            orders: see `Orders`.
            sessions: vehicles; those that are not there for the whole step get nothing.
            needs: of other carriers, by name, in units per hour; price: money per kWh of electricity, by which units run that
                have no set-point.
            price: see `needs`.
        """
        hours = seconds / 3600
        delivered = self._charge(at, seconds, orders, sessions)
        draw = load + sum(
            self._socket(one, delivered[one.id]) / hours for one in sessions if one.id in delivered
        )
        worked = self._work(hours, needs or {}, orders, price, draw)
        draw += worked.electric if worked else 0.0
        rooms = {id_: self._room(id_, hours) for id_ in self.guards}
        wanted = balance(
            self._react(orders, rooms, draw - available),
            rooms,
            draw - available,
            min(orders.ceiling, self.site.importing),
            self.site.exporting,
        )
        start = utc(at)
        written, powers = [], {}
        for id_, guard in self.guards.items():
            setpoint = Setpoint(id_, wanted[id_], start, start + timedelta(seconds=seconds), orders.by)
            written.append(guard.write(setpoint, start))
            powers[id_] = self.devices[id_].advance(hours)
        net = draw + sum(powers.values()) - available
        curtailed = min(max(-net - self.site.exporting, 0.0), available)
        net += curtailed
        return Done(
            imported=max(net, 0.0),
            exported=max(-net, 0.0),
            generated=available - curtailed,
            powers=powers,
            delivered=delivered,
            overload=max(net - self.site.importing, 0.0),
            written=tuple(written),
            worked=worked,
            paid=self._paid(delivered, sessions),
        )

    def _work(
        self, hours: float, needs: Mapping[str, float], orders: Orders, price: float, draw: float
    ) -> Worked | None:
        """What the units do; they give no more to the bus than the site takes and the connection lets out."""
        if not (self.site.units or self.site.needs):
            return None
        if self.works is None:
            self.works = Works(self.site, hours, levels=self.start, units=self.real)
        return self.works.step(needs, orders.powers, price, draw + self.site.exporting)

    def _react(
        self, orders: Orders, rooms: Mapping[str, tuple[float, float]], net: float
    ) -> Mapping[str, float]:
        """The orders, corrected for what the plan did not foresee, as the worth of the energy in each battery says.

        An import that nobody planned is covered when the energy is worth less than it costs to buy, a surplus is kept when
        the energy is worth more than it earns; else the batteries keep to their orders.
        """
        if not orders.worth:
            return orders.powers
        found = {id_: min(max(orders.powers.get(id_, 0.0), low), high) for id_, (low, high) in rooms.items()}
        for b in self.site.batteries:
            if b.id in orders.worth:
                others = net + sum(found.values()) - found[b.id]
                found[b.id] = react(b, found[b.id], others, orders, rooms[b.id])
        return {**orders.powers, **found}

    def _room(self, id_: str, hours: float) -> tuple[float, float]:
        """What a battery can hold for a step, within what its guard will let through."""
        least, most = self.devices[id_].room(hours)
        guard = self.guards[id_]
        low, high = guard.limits.low, guard.limits.high
        before = guard.previous() if math.isfinite(guard.limits.ramp) else None
        if before is not None:
            low, high = max(low, before - guard.limits.ramp), min(high, before + guard.limits.ramp)
        return max(min(least, high), low), min(max(most, low), high)

    def _charge(
        self, at: np.datetime64, seconds: int, orders: Orders, sessions: Sequence[Session]
    ) -> dict[str, float]:
        """KWh that reach the battery of each vehicle that is there for the whole step."""
        chargers = {charger.id: charger for charger in self.site.chargers}
        end, found = at + seconds * SECOND, {}
        for one in sessions:
            if one.arrive <= at and end <= one.depart:
                charger = chargers[one.charger]
                asked, top = orders.powers.get(one.id, 0.0), most(one, charger)
                hours, level = seconds / 3600, level_of(one, charger)
                if asked >= 0.0:
                    room = max(charger.vehicle - level, one.missing) if charger.discharge > 0 else one.missing
                    found[one.id] = min(min(asked, top) * charger.efficiency * hours, room)
                elif charger.discharge > 0:
                    found[one.id] = -min(min(-asked, charger.discharge) / charger.efficiency * hours, level)
        return found

    def _paid(self, delivered: Mapping[str, float], sessions: Sequence[Session]) -> float:
        """Money to the drivers of vehicles that gave energy, by kWh at the socket."""
        wear = {charger.id: charger.wear for charger in self.site.chargers}
        return sum(
            wear[one.charger] * max(-self._socket(one, delivered[one.id]), 0.0)
            for one in sessions
            if one.id in delivered
        )

    def _socket(self, one: Session, delivered: float) -> float:
        """KWh at the socket; negative when the vehicle gives."""
        share = next(charger.efficiency for charger in self.site.chargers if charger.id == one.charger)
        return delivered / share if delivered >= 0.0 else delivered * share


def react(battery: Battery, power: float, net: float, orders: Orders, room: tuple[float, float]) -> float:
    """The power of a battery that an economic fast loop takes in place of the ordered one, kW.

    Charging saves eta_in x worth a kWh, discharging costs worth / eta_out and wear. The power moves towards no exchange with
    the grid, through charging and discharging apart, as far as each pays.

    Example:
        >>> pack = Battery("b", energy=100.0, charge=50.0, discharge=50.0)
        >>> react(pack, -20.0, 35.0, Orders(worth={"b": 1000.0}, buy=2000.0, sell=500.0), (-50.0, 50.0))
        -35.0
    """
    worth = orders.worth[battery.id]
    kept, given = worth * battery.efficiency[0], worth / battery.efficiency[1] + battery.wear
    even = -net  # the power at which nothing is exchanged with the grid
    slack = _TIE * max(abs(orders.buy), 1.0)
    if power > even:  # importing
        if power > 0.0 and orders.buy > kept + slack:
            power = max(even, 0.0)
        if 0.0 >= power > even and orders.buy > given + slack:
            power = max(even, room[0])
    elif power < even:  # exporting
        if power < 0.0 and orders.sell < given - slack:
            power = min(even, 0.0)
        if 0.0 <= power < even and orders.sell < kept - slack:
            power = min(even, room[1])
    return power


def balance(
    powers: Mapping[str, float],
    rooms: Mapping[str, tuple[float, float]],
    net: float,
    ceiling: float,
    exporting: float,
) -> dict[str, float]:
    """The powers of the batteries after the fast loop.

    First each order is held to what the battery can do. Then, as far as the batteries can: the import is brought below
    the ceiling; a battery does not give what the connection cannot take; what would be turned down is stored.

    Args:
        powers: ordered kW by battery, positive charges.
        rooms: least and greatest kW of each battery in this step.
        net: kW of load less generation.
        ceiling: largest import, kW.
        exporting: largest export, kW.

    Example:
        >>> balance({"b": 0.0}, {"b": (-50.0, 50.0)}, net=120.0, ceiling=100.0, exporting=0.0)
        {'b': -20.0}
    """
    found = {id_: min(max(powers.get(id_, 0.0), low), high) for id_, (low, high) in rooms.items()}
    over = net + sum(found.values()) - ceiling
    if over > _EXACT:
        over = _shift(found, rooms, -over)
    under = -exporting - (net + sum(found.values()))
    if under > _EXACT:
        _shift(found, rooms, under)
    return found


def _shift(powers: dict[str, float], rooms: Mapping[str, tuple[float, float]], amount: float) -> float:
    """Moves the batteries by `amount` kW in all, one after the other; what is left over."""
    for id_, (low, high) in rooms.items():
        moved = min(max(powers[id_] + amount, low), high) - powers[id_]
        powers[id_] += moved
        amount -= moved
    return amount
