# SPDX-License-Identifier: Apache-2.0
"""Units of a site beside its batteries and chargers: boilers, heat pumps, stores of heat and hydrogen, flexible loads, and what they need.

Comes in: declared values of the kinds of `mangrove.network.assets`. Goes out: frozen `Unit`, `Need` and `Supply`, what a unit brings
to each carrier (read from the rows that its own file makes, so no physics is written twice), and what a unit of each carrier costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.network.assets.base import Values

Floats = npt.NDArray[np.float64]
ELECTRICITY = "electricity"
STORES = ("thermal_store", "hydrogen_store")
FLEXIBLE = ("shiftable_load", "curtailable_load", "batch")
CONVERTERS = (
    "boiler", "chiller", "heat_pump", "chp", "electrolyzer", "fuel_cell", "compressor", "water_treatment", "pump", "generator",
)  # fmt: skip
KINDS = (*CONVERTERS, *STORES, *FLEXIBLE)
"""Types of assets that are units here; the others have parts of their own in `mangrove.operate.site`."""
ELECTRIC = ("chp", "fuel_cell", "generator", "electrolyzer")
"""Kinds whose activity is electricity; that of the other converters is what they give."""
WEIGHED = ("hydrogen", "material", "CO2", "gas", "waste")
"""Kinds of carriers that are counted in kg."""
VENTED = ("heat", "steam", "wastewater", "CO2")
"""Kinds of carriers whose surplus may leave at no price: heat to the air, steam over the roof, reject water, flue gas. Cold cannot be
thrown away without work, fuel and hydrogen may not be."""
FREE = ("water", "wastewater")
"""Kinds of carriers that a site takes from outside without a price when none is declared; a note says so."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A declared asset of one of `KINDS`.

    Attributes:
        id: of the asset; kind: its type; values: what it declares, in canonical units.
    """

    id: str
    kind: str
    values: Values

    @property
    def carrier(self) -> str:
        """What a store keeps or a flexible load takes."""
        return self.values.word("carrier" if self.kind in FLEXIBLE else "output")

    @property
    def capacity(self) -> float:
        """What fits into a store, or the largest activity."""
        return self.values.get("capacity", 0.0)

    @property
    def demand(self) -> str:
        """The name of the series that a flexible load would draw if nobody moved it: its flow, or `<id>#demand`."""
        return self.values.word("flow") or f"{self.id}#demand"

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows that it names."""
        named = ("flow", "heat_flow", "fuel_flow", "output_flow", "charge_flow", "discharge_flow")
        return tuple(word for name in named if (word := self.values.word(name)))


@dataclass(frozen=True, slots=True)
class Need:
    """Consumption of another carrier than electricity: heat, steam, cooling, hydrogen, water.

    Attributes:
        id: of the `load` asset; carrier: what it takes; flow: the flow that meters it; tier: when it may give way.
    """

    id: str
    carrier: str
    flow: str = ""
    tier: str = "promised"

    @property
    def name(self) -> str:
        """The name of its series."""
        return self.flow or f"{self.id}#demand"


@dataclass(frozen=True, slots=True)
class Supply:
    """A carrier that is bought: fuel, steam of a network.

    Attributes:
        carrier: as declared; price: money per unit (kWh); factor: kg of CO2 per unit, None: not declared.
        carbon: money per unit that the price of carbon adds.
    """

    carrier: str
    price: float
    factor: float | None = None
    carbon: float = 0.0

    @property
    def cost(self) -> float:
        """Money per unit with its carbon."""
        return self.price + self.carbon


def metered(units: Sequence[Unit], needs: Sequence[Need] = ()) -> dict[str, str]:
    """The carrier that each declared flow of units and needs counts.

    Example:
        >>> metered([Unit("b", "boiler", Values({}, {"fuel": "fuel:wood", "output": "steam", "flow": "heat_out"}))])
        {'heat_out': 'steam'}
    """
    found = {need.flow: need.carrier for need in needs if need.flow}
    for unit in units:
        word = unit.values.word
        activity = (
            ELECTRICITY
            if unit.kind in ELECTRIC
            else word("carrier")
            if unit.kind in FLEXIBLE
            else word("output")
        )
        found[word("flow")] = activity
        for name in ("charge_flow", "discharge_flow", "heat_flow", "output_flow"):
            found[word(name)] = word("output")
        found[word("fuel_flow")] = word("fuel")
    found.pop("", None)
    return found


def measure_of(carrier: str) -> str:
    """The amount in which a network counts a carrier: kWh, kg or m3."""
    kind = kind_of(carrier)
    return "kg" if kind in WEIGHED else "m3" if kind in ("water", "wastewater") else "kWh"


def kind_of(carrier: str) -> str:
    """The kind of a carrier as it is declared.

    Example:
        >>> kind_of("fuel:diesel"), kind_of("heat@120degC")
        ('fuel', 'heat')
    """
    return carrier.partition("@")[0].partition(":")[0]


def ports(unit: Unit) -> dict[str, dict[str, float]]:
    """What one unit of each stream of a converter brings to each carrier (negative: takes): role -> carrier -> amount.

    Example:
        >>> boiler = Unit("b", "boiler", Values({"capacity": 9.0, "efficiency": 0.8}, {"fuel": "fuel:wood", "output": "heat"}))
        >>> ports(boiler)
        {'output': {'fuel:wood': -1.25, 'heat': 1.0}}
    """
    from mangrove.network import Horizon, Network
    from mangrove.network.assets import KINDS as ALL
    from mangrove.network.assets import Setting

    net = Network(Horizon.regular(1, 1.0))
    nodes: dict[str, Any] = {}

    def node(_: str, carrier: str) -> Any:
        if carrier not in nodes:
            nodes[carrier] = net.node(carrier)
        return nodes[carrier]

    built = ALL[unit.kind].build(Setting(net, node, ""), unit.id, unit.values)
    matrix = net.program.matrix().toarray()
    found: dict[str, dict[str, float]] = {}
    for role, stream in built.streams.items():
        column = matrix[:, stream.columns[0, 0, 0]]
        rates = {carrier: float(column[one.rows[0, 0, 0]]) for carrier, one in nodes.items()}
        found[role] = {carrier: rate for carrier, rate in rates.items() if rate}
    return found


def electricity(unit: Unit) -> float:
    """KW that a converter gives (negative: takes) per unit of what its `flow` meters; zero for one without electricity."""
    roles = ports(unit)
    main = roles.get("output") or roles.get("input") or {}
    return main.get(ELECTRICITY, 0.0)


Making = list[tuple[dict[str, float], float]]
"""What each stream brings to each carrier, and what one unit of it costs beside."""


def making(units: Sequence[Unit]) -> Making:
    """The ways in which converters make one carrier of others; one whose efficiency nobody knows is left out."""
    return [
        (rates, unit.values.get("variable_cost", 0.0))
        for unit in units
        if unit.kind in CONVERTERS and (unit.kind != "heat_pump" or {"cop", "cold"} & unit.values.keys())
        for rates in ports(unit).values()
    ]


def worths(ways: Making, bought: Mapping[str, float]) -> dict[str, float]:
    """Money for which one more unit of each carrier can be made or bought at the least.

    By-products earn nothing here, and no limit counts: it prices what a store holds when a plan ends.

    Args:
        ways: see `making`.
        bought: money per unit of what comes from outside, electricity among it.

    Example:
        >>> pump = Unit("p", "heat_pump", Values({"capacity": 9.0, "cop": 4.0}, {"output": "heat"}))
        >>> worths(making([pump]), {"electricity": 2000.0})["heat"]
        500.0
    """
    found = dict(bought)
    for _ in ways:  # a chain is no longer than its machines
        for rates, running in ways:
            taken = {carrier: -rate for carrier, rate in rates.items() if rate < 0}
            if not all(carrier in found for carrier in taken):
                continue
            cost = running + sum(found[carrier] * rate for carrier, rate in taken.items())
            for carrier, rate in rates.items():
                if rate > 0 and carrier != ELECTRICITY:
                    found[carrier] = min(found.get(carrier, np.inf), cost / rate)
    return found
