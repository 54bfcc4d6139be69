# SPDX-License-Identifier: Apache-2.0
"""Vehicles in a plan: each session has a slot in the network and keeps it, so that the next solve starts from where it was.

Comes in: sessions that are there or announced, and the chargers that they stand at. Goes out: stays on the steps of the plan, the
rates of each vehicle, and what vehicles will lack because their stay is too short. One-way vehicles share a block in kWh at the socket;
each two-way charger has a block of its own in kWh at the battery, whose level may fall and must be back in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.operate.site import Charger, Site
from mangrove.operate.state import SECOND, Session

if TYPE_CHECKING:
    from mangrove.network import Network
    from mangrove.network import Plan as Solved
    from mangrove.operate.plan import Layout

Floats = npt.NDArray[np.float64]
_SMALL = 1e-6
ONE_WAY = ""
"""The block of vehicles that only charge."""


class Vehicles:
    """The vehicles of a site in one plan after the other.

    Args:
        site: with its chargers; layout: the steps of a plan; hours: length of a single step.
        slots: one-way vehicles that there is room for from the beginning.
    """

    def __init__(self, site: Site, layout: Layout, hours: float, slots: int = 0) -> None:
        self.chargers = {charger.id: charger for charger in site.chargers}
        self.layout, self.hours = layout, hours
        self.slots = {ONE_WAY: slots} if slots else {}
        self.seats: dict[str, dict[str, int]] = {}
        self.handles: dict[str, Any] = {}

    def block(self, one: Session) -> str:
        """The block that a session belongs to."""
        if one.charger not in self.chargers:
            options = ", ".join(self.chargers) or "-"
            raise RequestError("operate.unknown_charger", id=one.id, charger=one.charger, options=options)
        return one.charger if self.chargers[one.charger].discharge > 0 else ONE_WAY

    def grow(self, sessions: Sequence[Session]) -> bool:
        """Makes room for the sessions; whether there was too little."""
        counts: dict[str, int] = {}
        for one in sessions:
            counts[self.block(one)] = counts.get(self.block(one), 0) + 1
        short = {name: count for name, count in counts.items() if count > self.slots.get(name, 0)}
        self.slots.update(short)
        return bool(short)

    def build(self, net: Network, bus: Any) -> None:
        """The slots, all empty."""
        self.handles = {}
        for name, count in self.slots.items():
            empty = np.zeros(count)
            given: dict[str, Any] = dict.fromkeys(("arrive", "depart", "energy", "power"), empty)
            if name != ONE_WAY:
                charger = self.chargers[name]
                given |= {
                    "efficiency": charger.efficiency, "discharge": np.full(count, charger.discharge), "wear": charger.wear,
                    "usable": np.full(count, charger.vehicle), "level": empty,
                }  # fmt: skip
            self.handles[name] = net.sessions(f"sessions {name}".strip(), bus, **given)

    def update(self, net: Network, sessions: Sequence[Session], lead: int, at: np.datetime64) -> None:
        """Seats the sessions and writes their stays."""
        for name, handle in self.handles.items():
            mine = [one for one in sessions if self.block(one) == name]
            self._seat(name, mine)
            stays = self._stays(name, mine, lead, at)
            net.update(handle, **stays)
            if handle.level is not None:
                self._lower(net, name, mine, stays)

    def _lower(self, net: Network, name: str, sessions: Sequence[Session], stays: dict[str, Floats]) -> None:
        """A vehicle that has more than it asked for may give that back before it leaves."""
        for one in sessions:
            slot, charger = self.seats[name][one.id], self.chargers[name]
            last, wanted = int(stays["depart"][slot]), level_of(one, charger) - one.delivered + one.energy
            if last > 0 and wanted < stays["level"][slot]:
                net.program.lower[self.handles[name].level[slot, :, last - 1]] = max(wanted, 0.0)

    def rates(self, sessions: Sequence[Session], solved: Solved) -> dict[str, Floats]:
        """(S, T) kW at the socket by session; negative gives back."""
        found = {}
        for name, handle in self.handles.items():
            rates = solved.rate(handle.charging)
            if handle.discharging is not None:
                rates = rates - solved.rate(handle.discharging)
            found.update({id_: rates[slot] for id_, slot in self.seats[name].items()})
        return {one.id: found[one.id] for one in sessions}

    def missing(self, sessions: Sequence[Session], at: np.datetime64) -> dict[str, float]:
        """KWh that sessions will lack although they charge at full power for every whole step of their stay."""
        found = {}
        for one in sessions:
            charger = self.chargers[one.charger]
            arrive, depart = self._steps(one, at)
            lacking = (
                one.missing - most(one, charger) * charger.efficiency * max(depart - arrive, 0) * self.hours
            )
            if lacking > _SMALL:
                found[one.id] = lacking
        return found

    def _seat(self, name: str, sessions: Sequence[Session]) -> None:
        """A slot for every session; one that has a slot keeps it."""
        here = {one.id for one in sessions}
        seats = {id_: slot for id_, slot in self.seats.get(name, {}).items() if id_ in here}
        taken = set(seats.values())
        free = iter([slot for slot in range(self.slots[name]) if slot not in taken])
        for one in sorted(sessions, key=lambda one: (one.arrive, one.id)):
            if one.id not in seats:
                seats[one.id] = next(free)
        self.seats[name] = seats

    def _steps(self, one: Session, at: np.datetime64) -> tuple[int, int]:
        """The whole single steps of a stay, counted from now."""
        step = self.layout.seconds
        return max(-(-int((one.arrive - at) / SECOND) // step), 0), int((one.depart - at) / SECOND) // step

    def _stays(
        self, name: str, sessions: Sequence[Session], lead: int, at: np.datetime64
    ) -> dict[str, Floats]:
        """Arrival, departure, energy, power by slot (and levels of two-way vehicles); only whole steps of a stay are used."""
        edges, count = self.layout.edges, self.slots[name]
        names = (
            "arrive",
            "depart",
            "energy",
            "power",
            *(() if name == ONE_WAY else ("discharge", "usable", "level")),
        )
        found = {field: np.zeros(count) for field in names}
        for one in sessions:
            slot, charger = self.seats[name][one.id], self.chargers[one.charger]
            arrive, depart = (step + lead for step in self._steps(one, at))
            first = int(np.searchsorted(edges, arrive))
            last = int(np.searchsorted(edges, min(depart, edges[-1]), side="right")) - 1
            if last <= first:
                continue
            # What may still be charged behind the horizon is not asked for inside it.
            inside = int(edges[last] - edges[first])
            share = min(1.0, inside / max(depart - arrive, 1)) if depart > edges[-1] else 1.0
            power = most(one, charger)
            # What no plan can deliver is not asked for, so that the others are planned as if it were: see `missing`.
            at_socket = min(one.missing / charger.efficiency * share, power * inside * self.hours)
            found["arrive"][slot], found["depart"][slot], found["power"][slot] = first, last, power
            found["energy"][slot] = at_socket
            if name != ONE_WAY:
                energy, level = at_socket * charger.efficiency, level_of(one, charger)
                found["energy"][slot], found["level"][slot] = energy, level
                found["discharge"][slot] = charger.discharge
                found["usable"][slot] = max(charger.vehicle, level + energy)
        return found


def most(one: Session, charger: Charger) -> float:
    """The largest charging power of a session, kW at the socket."""
    return charger.power if one.power is None else min(one.power, charger.power)


def level_of(one: Session, charger: Charger) -> float:
    """KWh in the battery of a two-way vehicle now; one that nobody metered at arrival lacked just what it asked for.

    Example:
        >>> start = np.datetime64("2026-09-01T00:00:00", "s")
        >>> one = Session("v", "plug", start, start + 3600 * SECOND, energy=12.0, delivered=-2.0)
        >>> level_of(one, Charger("plug", 7.0, discharge=7.0, vehicle=40.0))
        26.0
    """
    begin = max(charger.vehicle - one.energy, 0.0) if one.level is None else one.level
    return max(begin + one.delivered, 0.0)
