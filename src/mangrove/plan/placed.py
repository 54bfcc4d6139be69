# SPDX-License-Identifier: Apache-2.0
"""Declared assets in a sizing problem, built by the same files as in operation: `KINDS[type].build`, whatever the kind.

Comes in: an asset with its values and series (`Placed`), the network of a case, sizes or none. Goes out: its rows and columns in
that network with what they cost over the study, its series, its sizes, and its part in an outage. Whatever stands in a declaration
goes this way. A `Candidate` is for plain arrays without a declaration: sun, wind, batteries, tanks, converters in a few numbers,
built as the same rows (a level counted above its floor, a size tied by one row). The tests hold both to the same optimum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.network import Capacity, Horizon, Network, Node, Plan, Stream
from mangrove.network.assets import KINDS
from mangrove.network.assets.base import Built, Setting, Values
from mangrove.plan.finance import Money
from mangrove.plan.problem import ELECTRICITY, Floats, Size

if TYPE_CHECKING:
    from mangrove.plan.build import Model

LOADS = frozenset({"curtailable_load", "shiftable_load", "swap_station", "charger", "batch", "load"})
"""Kinds that use; in an outage only the critical share of the loads is promised, so these may be dropped."""
BURNING = frozenset({"generator", "chp"})
"""Kinds whose electricity counts as burnt."""
RENEWABLE = frozenset({"pv", "wind"})
STORING = frozenset({"battery", "thermal_store", "hydrogen_store"})
VENTED = ("heat", "steam", "wastewater", "CO2")
_NEUTRAL = RENEWABLE | STORING | {"fuel_cell"}
"""Kinds whose electricity counts neither as bought or burnt nor as used."""
_SIZED = (("capacity", "max_capacity"), ("energy", "max_energy"), ("power", "max_power"))
_ELSEWHERE = {("generator", "fuel"): "fuel", ("chp", "heat"): "output", ("electrolyzer", "output"): "output",
              ("chp", "output"): ELECTRICITY}  # fmt: skip
"""Meters that count another carrier than the activity of the asset: (kind, role) -> the word that names it."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A declared asset.

    Attributes:
        name: unique in the case; kind: its type, one of `KINDS`; values: what it declares.
        series: its inputs, (T,) each; place: where it stands; area: m2 taken by one unit of its size.
        degradation: yearly loss of output (sun, wind).
    """

    name: str
    kind: str
    values: Values
    series: Mapping[str, Floats] = field(default_factory=dict)
    place: str = ""
    area: float = 0.0
    degradation: float = 0.0

    def sizes(self) -> dict[str, Size]:
        """What is chosen or stands, by name; a battery has a power and an energy."""
        v, life = self.values, self.values.get("life", math.inf)
        if self.kind == "battery":
            energy, rate = v.get("energy", 0.0), v.get("c_rate", 0.0)
            power = v.get("power", rate * energy)
            choice = "max_energy" in v
            room = Size(cost=v.get("cost", 0.0), om=v.get("om", 0.0) + v.get("calendar", 0.0), life=life, existing=energy,
                        most=v.get("max_energy", energy))  # fmt: skip
            most = v.get("max_power", math.inf) if choice else power
            return {
                self.name: Size(cost=v.get("cost_power", 0.0), life=life, existing=power, most=most),
                f"{self.name}/energy": room,
            }
        if "capacity" not in v and "max_capacity" not in v:
            return {}
        have = v.get("capacity", 0.0)
        size = Size(cost=v.get("cost", 0.0), om=v.get("om", 0.0), life=life, existing=have, most=v.get("max_capacity", have),
                    area=self.area)  # fmt: skip
        return {self.name: size}

    @property
    def units(self) -> dict[str, str]:
        """The unit of each size."""
        if self.kind == "battery":
            return {self.name: "kW", f"{self.name}/energy": "kWh"}
        return {self.name: next((p.unit for p in KINDS[self.kind].parameters if p.name == "capacity"), "kW")}

    @property
    def named(self) -> dict[str, str]:
        """Words that the asset's file puts behind its name for a size -> the name of that size."""
        return {"power": self.name, "energy": f"{self.name}/energy"} if self.kind == "battery" else {}

    @property
    def inner(self) -> list[str]:
        """Limits whose shadow price says nothing to people: they tie parts of the asset to each other."""
        words = ["usable", "C-rate", "unserved", "curtailed", "swaps"]
        words += ["charge", "discharge"] if self.kind == "swap_station" else []
        return [f"{self.name} {word}" for word in words]

    def resized(self, sizes: Mapping[str, float]) -> Placed:
        """The same asset with fixed sizes; those that are not named stay as they stand."""
        fixed = {name: float(sizes.get(name, size.existing)) for name, size in self.sizes().items()}
        numbers = {k: n for k, n in self.values.items() if k not in {most for _, most in _SIZED}}
        if self.kind == "battery":
            numbers |= {"power": fixed[self.name], "energy": fixed[f"{self.name}/energy"]}
        elif fixed:
            numbers["capacity"] = fixed[self.name]
        return replace(self, values=self.values.changed(numbers))

    def levelled(self, money: Money) -> dict[str, Floats]:
        """Its series, with the output per unit of size as the constant one that is worth as much over the study."""
        level = money.level(self.degradation)
        return {name: values * level if name == "profile" else values for name, values in self.series.items()}

    def costing(self, factor: float) -> Placed:
        """The same asset with its investment times `factor`."""
        changed = {name: self.values[name] * factor for name in ("cost", "cost_power") if name in self.values}
        return replace(self, values=self.values.changed({**self.values, **changed}))

    @property
    def steps(self) -> int:
        """T where the asset reads a series, else one."""
        return next((len(values) for values in self.series.values()), 1)

    @cached_property
    def ports(self) -> dict[str, dict[str, Floats]]:
        """What one unit of each stream brings to (or takes from) each carrier: role -> carrier -> (T,) or (1,).

        Read from the rows that the asset's own file makes in a network of its own, so no physics is written twice.
        """
        net, nodes, built = self._alone
        matrix = net.program.matrix()
        found: dict[str, dict[str, Floats]] = {}
        for role, stream in built.streams.items():
            if isinstance(stream, Stream):
                columns = stream.columns[0, 0]
                found[role] = {
                    carrier: values
                    for carrier, node in nodes.items()
                    if (values := np.asarray(matrix[node.rows[0, 0], columns]).ravel()).any()
                }
        return found

    @cached_property
    def carriers(self) -> tuple[frozenset[str], frozenset[str]]:
        """Carriers that it can bring, and carriers that it works on."""
        nodes = self._alone[1]
        if self.kind in LOADS | STORING:
            return frozenset(), frozenset(nodes)
        gives = {c for ports in self.ports.values() for c, values in ports.items() if (values > 0).any()}
        return frozenset(gives), frozenset(nodes)

    @cached_property
    def _alone(self) -> tuple[Network, dict[str, Any], Built]:
        """The asset in a network of its own, with sizes as they stand; nodes by carrier."""
        net, nodes = Network(Horizon.regular(self.steps, 1.0)), {}

        def node(_: str, carrier: str) -> Any:
            if carrier not in nodes:
                nodes[carrier] = net.node(carrier)
            return nodes[carrier]

        setting = Setting(net, node, self.place, self.series)
        return net, nodes, KINDS[self.kind].build(setting, self.name, self.resized({}).values)

    def stream(self, role: str) -> str:
        """The name of a stream for people: that of the asset for its activity."""
        return self.name if role in {"input", "output"} and self._main == role else f"{self.name} {role}"

    @property
    def _main(self) -> str:
        roles = self.ports
        return "output" if "output" in roles else "input"

    def shown(self) -> dict[str, str]:
        """The carrier that each stream counts, `item` for swaps; an activity counts what the size of its kind does."""
        found = {self.stream(role): next(iter(ports), "item") for role, ports in self.ports.items()}
        unit = next((p.unit for p in KINDS[self.kind].parameters if p.name == "capacity"), "kW")
        carrier = {"kg/h": "hydrogen", "kg": "hydrogen", "m3/h": "water"}.get(unit, ELECTRICITY)
        return {**found, self.name: carrier}

    def metered(self) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Declared flows: (flow, streams of the result with the amount of the flow per unit of each)."""
        for role, flow in self._alone[2].flows.items():
            word = _ELSEWHERE.get((self.kind, role))
            if word is not None:
                carrier = word if word == ELECTRICITY else self.values.word(word)
                parts = [
                    (self.stream(r), abs(float(c[carrier].mean())))
                    for r, c in self.ports.items()
                    if carrier in c
                ]
                yield flow, parts
            elif role == "demand":
                yield flow, [(f"{self.name} used", 1.0)]
            else:
                yield flow, [(self.stream(role), 1.0)]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An asset in a network: itself, and what its file built; `streams` by their names for people."""

    asset: Placed
    built: Built
    streams: Mapping[str, Stream]


def vented(assets: Sequence[Placed]) -> list[str]:
    """Carriers that assets give and whose surplus may leave at no price: heat to the air, steam, reject water, flue gas.

    Cold cannot be thrown away without work; fuel and hydrogen may not be.
    """
    given = set().union(*(one.carriers[0] for one in assets))
    return sorted(carrier for carrier in given if carrier.partition(":")[0].partition("@")[0] in VENTED)


def add(model: Model, one: Placed, sizes: Mapping[str, float] | None) -> None:
    """Builds an asset into the network of a case; running costs become those of every year of the study.

    Columns cost what a step costs today; times the share of a year and the worth of a yearly cost they are money of the study.
    The price of a size is money of the study already, so it is divided by the same factor first.
    """
    money, lp = model.case.money, model.net.program
    yearly = money.worth("energy") * model.case.annual
    asset = one if sizes is None else one.resized(sizes)
    first = lp.width

    def price(cost: float, om: float, life: float) -> float:
        return Size(cost=cost, om=om, life=life).worth(money) / yearly

    series = {
        name: np.asarray(model.view.pick(one.name, name, values)) for name, values in one.series.items()
    }
    series = replace(one, series=series).levelled(money)
    if model.view.days is not None:
        asset, one = _over_days(asset), replace(one, series=series)
    setting = Setting(
        model.net,
        lambda _, carrier: model.nodes[carrier],
        one.place,
        series,
        price=price if sizes is None else None,
    )
    built = KINDS[one.kind].build(setting, one.name, asset.values)
    lp.cost[first:] *= yearly
    streams = {
        one.stream(role): stream
        for role, stream in built.streams.items()
        if isinstance(stream, Stream) and one.kind not in STORING
    }
    model.parts[one.name] = Part(one, built, streams)
    if "energy" in built.stores:
        model.stores[one.name] = built.stores["energy"]
    for name, size in asset.sizes().items():
        role = "energy" if name.endswith("/energy") else "power" if one.kind == "battery" else "capacity"
        model.sizes[name] = built.capacities.get(role, size.existing)


def _over_days(asset: Placed) -> Placed:
    """A power that tapers near full needs the level of every hour: it is left to the run over the year."""
    numbers = {name: value for name, value in asset.values.items() if name != "taper_from"}
    return replace(asset, values=asset.values.changed(numbers))


def series(model: Model, plan: Plan, part: Part) -> Iterator[tuple[str, Floats]]:
    """(T,) rates of each stream of an asset; for a load also `<name> used`, what it draws."""
    rates = {name: plan.rate(stream).sum(axis=0)[0] for name, stream in part.streams.items()}
    yield from rates.items()
    demand = part.built.streams.get("demand")
    if demand is not None:
        carrier = part.asset.values.word("carrier")
        used = demand.amount[0, 0] - plan.shortfall(demand)[0, 0] / model.view.horizon.amount
        for role, ports in part.asset.ports.items():
            used = used - ports.get(carrier, 0.0) * rates[part.asset.stream(role)]
        yield f"{part.asset.name} used", used


def levels(model: Model, plan: Plan, part: Part) -> Floats | None:
    """(T,) level of the asset's store at the end of each step, floor included; None for an asset without."""
    name = part.asset.name
    if name not in model.stores:
        return None
    found: Floats = plan.level(model.stores[name])[0, 0]
    room, floor = model.sizes.get(f"{name}/energy"), part.asset.values.get("floor", 0.0)
    return found + floor * float(plan.size(room)[0]) if isinstance(room, Capacity) else found


def running(model: Model, plan: Plan, part: Part) -> float:
    """What the streams of an asset cost in a year at prices of today: wear, upkeep by use, the value of what is lost."""
    lp = model.net.program
    cost = sum(
        float((lp.cost[stream.columns] * plan.rate(stream)).sum())
        for stream in part.built.streams.values()
        if isinstance(stream, Stream)
    )
    return cost / model.case.money.worth("energy")


def served(model: Model, plan: Plan, part: Part) -> float | None:
    """The share of an asset's demand that is met; None for one without."""
    asset = part.asset
    if "demand" not in asset.series:
        return None
    names = {asset.name, f"{asset.name} window", f"{asset.name} service"}
    lost = sum(one.amount for one in plan.relaxed if one.name in names)
    horizon = model.view.horizon
    per_step = horizon.weights if asset.kind == "swap_station" else horizon.amount
    return 1.0 - lost / max(float(asset.series["demand"] @ per_step), 1e-300)


def renewable_terms(model: Model, share: float) -> Iterator[tuple[Stream, Floats]]:
    """Terms of the renewable share (kWh a step): what is burnt, less (1 - share) x what is used; see `build`."""
    for part in model.parts.values():
        for role, ports in part.asset.ports.items():
            name = part.asset.stream(role)
            if ELECTRICITY not in ports or name not in part.streams:
                continue
            kind, rate = part.asset.kind, ports[ELECTRICITY]
            if kind in BURNING:
                yield part.streams[name], np.maximum(rate, 0.0)
            elif kind not in _NEUTRAL:
                yield part.streams[name], (1.0 - share) * rate


def fixed_use(model: Model) -> float:
    """Electricity that assets use whatever is decided, kWh over all steps of the case."""
    total = 0.0
    for part in model.parts.values():
        demand = part.built.streams.get("demand")
        if demand is not None and part.asset.values.word("carrier") == ELECTRICITY:
            total += float((demand.amount[0, 0] * model.view.horizon.amount).sum())
    return total


def electric(one: Placed, found: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    """Electricity of each stream of an asset in a result, positive into the site."""
    for role, ports in one.ports.items():
        name = one.stream(role)
        if ELECTRICITY in ports and name in found:
            yield name, found[name] * ports[ELECTRICITY]
    if f"{one.name} used" in found and one.values.word("carrier") == ELECTRICITY:
        yield f"{one.name} used", -found[f"{one.name} used"]


class Island(Network):
    """The hours of an outage as a network inside the program of the year: the same sizes, stores that begin as the plan left them.

    Assets are built into it by their own files. It has no costs and no sizes of its own.
    """

    def __init__(self, model: Model, steps: int, before: Any) -> None:
        super().__init__(Horizon.regular(steps, model.case.hours))
        self.model, self.before = model, before
        self.program = model.net.program

    def set_cost(self, stream: Stream, cost: Any) -> None:
        """Nothing costs anything in an outage."""

    def capacity(self, name: str, **_: Any) -> Any:
        """The size that the plan chooses."""
        found = self.handles[name] = self.model.net.handles[name]
        return found

    def adopt(self, name: str, carrier: str, balance: Any) -> Node:
        """A node whose balances are rows of the outage."""
        return self.keep(Node(name, (carrier,), balance, ("",)))

    def budget(self, name: str, *_: Any, **__: Any) -> Any:
        """Sizes are tied in the plan already."""
        return SimpleNamespace(name=name)

    def store(self, name: str, node: Any, **given: Any) -> Any:
        """A store that begins at the level of the plan and ends anywhere."""
        made = super().store(name, node, **{**given, "start": 0.0, "end": "free", "wear": 0.0})
        rows, rate = (
            (made.first, -1.0)
            if made.first is not None
            else (node.rows[:, :, 0], 1.0 / self.model.case.hours)
        )
        keep = float(made.keep.ravel()[0])
        for column, share in self.before(name, keep):
            self.program.terms(rows, np.full(rows.shape, column), rate * keep * share)
        return made


def survive(island: Island, one: Placed, nodes: Mapping[str, Any], when: Any) -> None:
    """Builds an asset into an outage; loads of assets may be dropped, so they are not there."""
    if one.kind in LOADS:
        return
    model = island.model
    fixed = {name: size for name, size in model.sizes.items() if isinstance(size, float)}
    chosen = any(name not in fixed for name in one.sizes())
    asset = one if chosen else one.resized(fixed)
    series = {name: values[when] for name, values in one.levelled(model.case.money).items()}
    setting = Setting(
        island,
        lambda _, carrier: nodes[carrier],
        one.place,
        series,
        price=(lambda *_: 0.0) if chosen else None,
    )
    KINDS[one.kind].build(setting, one.name, asset.values)
