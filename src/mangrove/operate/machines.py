# SPDX-License-Identifier: Apache-2.0
"""The units of a site in the network of a plan: built by the files of their kinds, on one node a carrier, then changed from round to round.

Comes in: a network with its bus, a site with units, series of what is needed. Goes out: `Machines`, which updates what changes between
two rounds (demands, limits of steps that are over, levels, what energy is worth at the end) and reads set-points, electricity and
declared flows from a solution. The assets at all places of a site share one node a carrier, as they share its connection.

A site with shiftable loads or batches, or with a series of temperatures, is built anew at each round: windows move with the clock, and
a coefficient of performance stands in the matrix. All other sites keep their structure, so that the next plan starts warm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.operate.site import Site
from mangrove.operate.units import ELECTRICITY, STORES, VENTED, Making, Unit, kind_of, worths

if TYPE_CHECKING:
    from mangrove.network import Network
    from mangrove.network import Plan as Solved

Floats = npt.NDArray[np.float64]
MOVING = ("shiftable_load", "batch")
"""Kinds whose windows move with the clock."""
WEATHER = ("temperature", "cop")
"""Series that a unit may read: `<id>#temperature`, `<id>#cop`."""


@dataclass(frozen=True, eq=False)
class Moment:
    """What units need to know of a round.

    Attributes:
        series: (S, T) by name: needs, demands of flexible loads, weather.
        levels: amount in each store, by id; lead: steps of the horizon that are over.
        windows: (T,) number of the window of each step by shiftable load; owed: kWh that still have to move in the first one.
        days: by batch: (first hour, last hour, runs) of each day that is planned, from the beginning of the horizon.
        going: (T,) kW by batch of runs that have begun.
        worth: money per unit of each carrier at the end of the horizon.
    """

    series: Mapping[str, Floats]
    levels: Mapping[str, float] = field(default_factory=dict)
    lead: int = 0
    windows: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    owed: Mapping[str, float] = field(default_factory=dict)
    days: Mapping[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    going: Mapping[str, Floats] = field(default_factory=dict)
    worth: Mapping[str, float] = field(default_factory=dict)


class Machines:
    """The units of one site in one network.

    Args:
        net: the network; bus: its node of electricity.
        site: with `units`, `needs`, `supplies`.
        now: the first round.

    Invariants:
        Every carrier but electricity balances at its own node in every step and scenario.
    """

    def __init__(self, net: Network, bus: Any, site: Site, now: Moment) -> None:
        self.net, self.site = net, site
        self.nodes: dict[str, Any] = {}
        self.bus = bus
        self.built: dict[str, Any] = {}
        self.upper: dict[str, Floats] = {}
        self.needs = {
            need.id: net.sink(
                need.id, self.node("", need.carrier), amount=now.series[need.name], tier=need.tier
            )
            for need in site.needs
        }
        for unit in site.units:
            self._build(unit, now)
        self.bought = {
            one.carrier: net.source(f"{one.carrier} bought", self.node("", one.carrier), cost=one.cost)
            for one in site.supplies
            if one.carrier in self.nodes
        }
        for carrier in site.free:
            if carrier in self.nodes:
                net.source(f"{carrier} taken", self.nodes[carrier])
        for carrier, node in self.nodes.items():
            if kind_of(carrier) in VENTED:
                net.sink(f"{carrier} vented", node)
        self.starts = dict.fromkeys(self.stores, 0.0)
        self.ports = self._ports()
        self.update(now)

    @property
    def stores(self) -> dict[str, Any]:
        """The stores by id."""
        return {
            unit.id: self.built[unit.id].stores["energy"] for unit in self.site.units if unit.kind in STORES
        }

    @property
    def streams(self) -> dict[str, Any]:
        """The streams that are chosen: `<id> <role>`."""
        from mangrove.network import Stream

        return {
            f"{id_} {role}": stream
            for id_, one in self.built.items()
            for role, stream in one.streams.items()
            if isinstance(stream, Stream)
        }

    def node(self, _: str, carrier: str) -> Any:
        """The node of a carrier; it is made at need."""
        if kind_of(carrier) == ELECTRICITY:
            return self.bus
        if carrier not in self.nodes:
            self.nodes[carrier] = self.net.node(f"{self.site.place} {carrier}")
        return self.nodes[carrier]

    def _build(self, unit: Unit, now: Moment) -> None:
        """One unit by the file of its kind; a batch once for each day."""
        from mangrove.network.assets import KINDS, Setting

        series = _series(unit, now)
        start = 0.0 if unit.kind in STORES else None
        setting = Setting(self.net, self.node, self.site.place, series=series, start=start)
        parts = {unit.id: unit.values}
        if unit.kind == "batch":
            parts = {}
            for number, (first, last, runs) in enumerate(now.days[unit.id]):
                numbers = {**unit.values, "earliest": first, "latest": last, "runs": runs}
                parts[f"{unit.id}@{number}"] = unit.values.changed(numbers)
            if unit.id in now.going:
                self.net.sink(
                    f"{unit.id} going", self.node("", unit.carrier), amount=now.going[unit.id], tier=None
                )
        for name, values in parts.items():
            built = KINDS[unit.kind].build(setting, name, values)
            self.built[name] = built
            for role in built.streams:
                key = f"{name} {role}"
                if key in self.streams:
                    self.upper[key] = self.net.program.upper[self.streams[key].columns].copy()

    def update(self, now: Moment) -> None:
        """Writes the data of a round; the structure stays."""
        net, lead = self.net, now.lead
        for need in self.site.needs:
            net.update(self.needs[need.id], amount=now.series[need.name])
        for unit in self.site.units:
            if unit.kind == "curtailable_load":
                demand = now.series[unit.demand]
                net.update(self.built[unit.id].streams["demand"], amount=demand)
                self.upper[f"{unit.id} curtailed"][...] = unit.values["share"] * demand
            if unit.kind == "shiftable_load":
                self._owe(unit, now)
        for key, stream in self.streams.items():
            upper = self.upper[key].copy()
            upper[:, :, :lead] = 0.0
            net.program.upper[stream.columns] = upper
        for unit in self.site.units:
            if unit.kind in STORES:
                self._store(unit, now)

    def _owe(self, unit: Unit, now: Moment) -> None:
        """The running window still owes what was put off before, or less when it was brought forward."""
        rows, lp = self.built[unit.id].extra["window"], self.net.program
        demand = np.broadcast_to(now.series[unit.demand], (self.net.scenarios, self.net.horizon.steps))
        first = now.windows[unit.id] == 0
        need = (unit.values["share"] * demand * self.net.horizon.hours)[:, first].sum(axis=1)
        need = np.maximum(need + now.owed.get(unit.id, 0.0), 0.0)
        lp.row_lower[rows[:, 0]] = lp.row_upper[rows[:, 0]] = need

    def _store(self, unit: Unit, now: Moment) -> None:
        """The level now, and what is left at the end: worth what it would cost to make, never worth making more."""
        if unit.id not in now.levels:
            raise RequestError("operate.no_level", id=unit.id)
        store, net = self.built[unit.id].stores["energy"], self.net
        lead = float(np.prod(store.keep[0, 0, : now.lead]))
        level = min(max(now.levels[unit.id], 0.0) / lead, unit.capacity)
        if store.first is not None:
            net.update(store, start=level)
        else:  # a lean store has its level in the balance of its node
            rows = self.nodes[unit.carrier].rows[:, :, 0]
            moved = store.keep[..., 0] * (level - self.starts[unit.id]) / net.horizon.hours[0]
            net.shift(rows, -np.broadcast_to(moved, rows.shape))
            self.starts[unit.id] = level
        if store.end is not None:
            net.program.row_lower[store.end] = 0.0
        worth = max(now.worth.get(unit.carrier, 0.0), 0.0)
        net.program.cost[store.level[:, :, -1]] = -worth * net.probabilities

    # Reading a solution

    def setpoints(self, solved: Solved, now: Moment) -> dict[str, Floats]:
        """(S, T) by unit: kW (kg/h, m3/h) of its activity, of a flexible load what it draws; stores positive while they charge."""
        found: dict[str, Floats] = {}
        for unit in self.site.units:
            rates = self._rates(unit, solved)
            if unit.kind == "thermal_store":
                found[unit.id] = rates["charge"] - rates["discharge"]
            elif unit.kind in ("shiftable_load", "curtailable_load"):
                found[unit.id] = self._drawn(unit, rates, now)
            elif unit.kind == "batch":
                found[unit.id] = self._running(unit, solved, now)
            elif unit.kind == "chp":
                found[unit.id] = rates["output"] + rates.get("condensing", 0.0)
            elif unit.kind != "hydrogen_store":
                found[unit.id] = rates["output"] if "output" in rates else rates["input"]
        return found

    def _rates(self, unit: Unit, solved: Solved) -> dict[str, Floats]:
        """(S, T) of each chosen stream of a unit, by role."""
        return {
            role: solved.rate(self.streams[f"{unit.id} {role}"])[0]
            for role in (self.built[unit.id].streams if unit.id in self.built else ())
            if f"{unit.id} {role}" in self.streams
        }

    def _drawn(self, unit: Unit, rates: Mapping[str, Floats], now: Moment) -> Floats:
        """What a flexible load draws."""
        demand = np.broadcast_to(now.series[unit.demand], (self.net.scenarios, self.net.horizon.steps))
        if unit.kind == "curtailable_load":
            return demand - rates["curtailed"]
        return (1.0 - unit.values["share"]) * demand + rates["shifted"]

    def _running(self, unit: Unit, solved: Solved, now: Moment) -> Floats:
        """What the runs of a batch draw, those that have begun among them."""
        from mangrove.network.assets.batch import power

        hours = self.net.horizon.hours
        total = np.zeros((self.net.scenarios, self.net.horizon.steps)) + now.going.get(unit.id, 0.0)
        for name, one in self.built.items():
            if name.partition("@")[0] == unit.id:
                starts = solved.rate(one.streams["starts"])[0]
                total = total + np.array([power(row, one.extra["course"], hours) for row in starts])
        return total

    def electric(self, solved: Solved, now: Moment) -> dict[str, Floats]:
        """(S, T) kW of electricity by unit: positive takes it from the bus, negative gives it."""
        found: dict[str, Floats] = {}
        points = self.setpoints(solved, now)
        for unit in self.site.units:
            if unit.kind in ("shiftable_load", "curtailable_load", "batch"):
                if kind_of(unit.carrier) == ELECTRICITY:
                    found[unit.id] = points[unit.id]
                continue
            total = self._brought(unit, ELECTRICITY, solved)
            if np.any(total):
                found[unit.id] = -total
        return found

    def _ports(self) -> dict[str, dict[str, Floats]]:
        """What one unit of each stream brings to each carrier, (T,): `<id> <role>` -> carrier -> rates, as built."""
        matrix = self.net.program.matrix().tocsr()
        nodes = {ELECTRICITY: self.bus, **self.nodes}
        found: dict[str, dict[str, Floats]] = {}
        for key, stream in self.streams.items():
            columns = stream.columns[0, 0]
            found[key] = {
                carrier: rates
                for carrier, node in nodes.items()
                if (rates := np.asarray(matrix[node.rows[0, 0], columns]).ravel()).any()
            }
        return found

    def _brought(self, unit: Unit, carrier: str, solved: Solved) -> Floats:
        """(S, T) what a unit brings to the node of a carrier."""
        total = np.zeros((self.net.scenarios, self.net.horizon.steps))
        for role, rate in self._rates(unit, solved).items():
            total = total + rate * self.ports[f"{unit.id} {role}"].get(carrier, 0.0)
        return total

    def flows(self, solved: Solved, now: Moment) -> dict[str, Floats]:
        """(S, T) rates by declared flow (kW, kg/h, m3/h)."""
        found: dict[str, Floats] = {}
        points = self.setpoints(solved, now)
        for unit in self.site.units:
            rates = self._rates(unit, solved)
            for what, name, flow in _named(unit):
                if what == "activity":
                    found[flow] = points[unit.id]
                elif what == "role":
                    found[flow] = rates[name]
                else:
                    found[flow] = np.abs(self._brought(unit, name, solved))
        for need in self.site.needs:
            if need.flow:
                short = solved.shortfall(self.needs[need.id])[0] / self.net.horizon.hours
                found[need.flow] = self.needs[need.id].amount[0] - short
        return found


def _series(unit: Unit, now: Moment) -> dict[str, Any]:
    """The inputs of a unit by their names in its kind."""
    found: dict[str, Any] = {}
    if unit.demand in now.series:
        found["demand"] = now.series[unit.demand]
    if unit.id in now.windows:
        found["window"] = now.windows[unit.id]
    for name in WEATHER:
        if f"{unit.id}#{name}" in now.series:
            found[name] = now.series[f"{unit.id}#{name}"][0]
    return found


def _named(unit: Unit) -> list[tuple[str, str, str]]:
    """The declared flows of a unit: what they count (its activity, a role, a carrier), the name of that, the flow."""
    word = unit.values.word
    found = [
        ("activity", "", word("flow")),
        ("role", "charge", word("charge_flow")),
        ("role", "discharge", word("discharge_flow")),
        ("carrier", word("output"), word("heat_flow")),
        ("carrier", word("fuel"), word("fuel_flow")),
        ("carrier", word("output"), word("output_flow")),
    ]
    return [(what, name, flow) for what, name, flow in found if flow]


def ends(site: Site, ways: Making, power: float) -> dict[str, float]:
    """Money per unit of each carrier when a kWh of electricity costs `power`."""
    bought = {ELECTRICITY: power, **{one.carrier: one.cost for one in site.supplies}}
    return worths(ways, bought | dict.fromkeys(site.free, 0.0))
