# SPDX-License-Identifier: Apache-2.0
"""A site as its operator sees it: one grid connection and everything behind it.

Comes in: the declared territory (a site is the place of a `grid` asset with what lies inside it), or numbers. Goes out: a frozen
`Site` in kW and kWh that names the flows by which its parts are measured and scheduled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mangrove.errors import DeclarationError, Problem, RequestError, did_you_mean
from mangrove.operate.units import ELECTRICITY, FLEXIBLE, KINDS, Need, Supply, Unit, kind_of
from mangrove.territory.model import Asset, Territory

UNLIMITED = 1e9
"""kW of a connection without a declared limit: more than any site can draw, yet a number that a solver can hold."""
STANDARD = ("grid", "battery", "pv", "wind", "charger", "swap_station", "load")
"""Types of assets that have a part of their own in a `Site`; the others of the network are its `units`."""


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery that takes set-points.

    Attributes:
        id: of the asset; energy: kWh that it holds; charge, discharge: largest rates at the site's bus, kW.
        efficiency: shares that get in and out; floor: kWh that are never taken out; loss: share of the level lost in an hour.
        wear: money per kWh discharged.
        taper: (level, share): above this share of the energy the charging power falls, linearly, to this share of it when
            full, as the management systems of real batteries do; None: it does not.
        charge_flow, discharge_flow: flows that meter it; empty when there are none.
    """

    id: str
    energy: float
    charge: float
    discharge: float
    efficiency: tuple[float, float] = (1.0, 1.0)
    floor: float = 0.0
    loss: float = 0.0
    wear: float = 0.0
    taper: tuple[float, float] | None = None
    charge_flow: str = ""
    discharge_flow: str = ""

    def __post_init__(self) -> None:
        _require(self.id, "energy", self.energy, 0.0)
        _require(self.id, "charge", self.charge, 0.0)
        _require(self.id, "discharge", self.discharge, 0.0)
        _require(self.id, "floor", self.floor, 0.0, self.energy)
        _require(self.id, "loss", self.loss, 0.0, 1.0)
        _require(self.id, "wear", self.wear, 0.0)
        for share in self.efficiency:
            _require(self.id, "efficiency", share, 1e-6, 1.0)
        if self.taper is not None:
            _require(self.id, "taper_from", self.taper[0], 0.0, 0.99)
            _require(self.id, "taper_to", self.taper[1], 0.0, 1.0)

    def acceptance(self, level: float) -> float:
        """The charging power that the battery accepts at a level, kW.

        Example:
            >>> Battery("b", energy=100.0, charge=50.0, discharge=50.0, taper=(0.8, 0.0)).acceptance(90.0)
            25.0
        """
        if self.taper is None or self.energy == 0.0:
            return self.charge
        begin, left = self.taper
        full = max(level / self.energy - begin, 0.0) / (1.0 - begin)
        return self.charge * max(1.0 - (1.0 - left) * full, 0.0)


@dataclass(frozen=True, slots=True)
class Generator:
    """Own generation that nobody schedules (sun, wind): it gives what it can, or less when nothing can take it.

    Attributes:
        id: of the asset; capacity: kW; flow: the flow that meters it; it also names its forecast.
    """

    id: str
    capacity: float
    flow: str = ""

    def __post_init__(self) -> None:
        _require(self.id, "capacity", self.capacity, 0.0)


@dataclass(frozen=True, slots=True)
class Charger:
    """Sockets for vehicles whose sessions are known.

    Attributes:
        id: of the asset; power: kW of one socket; count: sockets; efficiency: share that reaches the batteries (and comes back);
        flow: the flow that meters them all.
        discharge: kW of one socket back to the site, above 0 for two-way vehicles; vehicle: usable kWh of a vehicle's battery;
        wear: money per kWh given back.
    """

    id: str
    power: float
    count: int = 1
    efficiency: float = 1.0
    flow: str = ""
    discharge: float = 0.0
    vehicle: float = 0.0
    wear: float = 0.0

    def __post_init__(self) -> None:
        _require(self.id, "power", self.power, 0.0)
        _require(self.id, "count", self.count, 0)
        _require(self.id, "efficiency", self.efficiency, 1e-6, 1.0)
        _require(self.id, "discharge", self.discharge, 0.0)
        _require(self.id, "vehicle", self.vehicle, 0.0)
        _require(self.id, "wear", self.wear, 0.0)


@dataclass(frozen=True, slots=True)
class Station:
    """A battery-swap station.

    Attributes:
        id: of the asset; values: its declared parameters, see `mangrove.network.assets.swap_station`.
        demand_flow: counts the swaps that are wanted; charge_flow, discharge_flow: meters.
    """

    id: str
    values: Any
    demand_flow: str = ""
    charge_flow: str = ""
    discharge_flow: str = ""

    @property
    def power(self) -> float:
        """KW with all bays charging."""
        return float(self.values["bays"] * self.values["charger"])

    @property
    def two_way(self) -> bool:
        """Whether its packs may give energy to the site."""
        return bool(self.values.word("two_way") == "yes")

    @property
    def demand(self) -> str:
        """The name of the series of swaps: its flow, or `<id>#swaps`."""
        return self.demand_flow or f"{self.id}#swaps"


@dataclass(frozen=True, slots=True)
class Site:
    """One grid connection and what is behind it.

    Attributes:
        place: id of the place; importing, exporting: limits of the connection, kW.
        batteries, generators, chargers, stations: what is operated or read.
        import_flow, export_flow: meters of the connection.
        load_flows: meters of the consumption that nobody controls; empty: it is what the energy balance leaves.
        units: every other asset of the network: converters, stores of heat and hydrogen, flexible loads.
        needs: consumption of other carriers; supplies: what is bought beside electricity; free: carriers taken without a price.
        gaps: what is declared and cannot be planned, and why.

    Example:
        >>> Site("mill", batteries=(Battery("b", energy=100.0, charge=50.0, discharge=50.0),)).load
        'mill#load'
    """

    place: str
    importing: float = UNLIMITED
    exporting: float = 0.0
    batteries: tuple[Battery, ...] = ()
    generators: tuple[Generator, ...] = ()
    chargers: tuple[Charger, ...] = ()
    stations: tuple[Station, ...] = ()
    import_flow: str = ""
    export_flow: str = ""
    load_flows: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    needs: tuple[Need, ...] = ()
    supplies: tuple[Supply, ...] = ()
    free: tuple[str, ...] = ()
    gaps: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        _require(self.place, "importing", self.importing, 0.0)
        _require(self.place, "exporting", self.exporting, 0.0)
        parts = (*self.batteries, *self.generators, *self.chargers, *self.stations, *self.units, *self.needs)
        ids = [part.id for part in cast("tuple[Battery, ...]", parts)]
        if len(set(ids)) < len(ids):
            raise RequestError(
                "operate.asset_twice", place=self.place, id=next(i for i in ids if ids.count(i) > 1)
            )

    @property
    def load(self) -> str:
        """The name of the consumption that nobody controls, as a series: its meter, or `<place>#load`."""
        return self.load_flows[0] if len(self.load_flows) == 1 else f"{self.place}#load"

    @property
    def flows(self) -> tuple[str, ...]:
        """The flows by which its parts are measured."""
        named = [self.import_flow, self.export_flow, *self.load_flows]
        named += [flow for b in self.batteries for flow in (b.charge_flow, b.discharge_flow)]
        named += [flow for one in self.stations for flow in (one.charge_flow, one.discharge_flow)]
        named += [part.flow for part in self.generators] + [part.flow for part in self.chargers]
        return tuple(dict.fromkeys(flow for flow in named if flow))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the series that a plan needs.

        First the load and each generator (kW), then the swaps of each station, the needs of other carriers (units per hour),
        and what each flexible load would draw if nobody moved it (kW).
        """
        asked = [station.demand for station in self.stations] + [need.name for need in self.needs]
        return (self.load, *self.generation, *asked, *(unit.demand for unit in self.flexible))

    @property
    def flexible(self) -> tuple[Unit, ...]:
        """The loads that can be moved or left out, whose demand is a series."""
        return tuple(unit for unit in self.units if unit.kind in FLEXIBLE and unit.kind != "batch")

    @property
    def generation(self) -> tuple[str, ...]:
        """The names of the series of the generators."""
        return tuple(generator.flow or generator.id for generator in self.generators)


def _require(name: str, what: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuses a number that no device has."""
    if not (math.isfinite(value) and least <= value <= most):
        raise RequestError("operate.bad_number", id=name, name=what, value=str(value), least=least, most=most)


def sites(territory: Territory) -> tuple[Site, ...]:
    """The sites of a territory, in the order of its `grid` assets.

    An asset belongs to the nearest place with a grid connection around it.

    Raises:
        DeclarationError: a parameter is wrong, a named flow does not exist, two connections at one place; all at once.
        RequestError: `operate.no_site`, nothing declares a grid connection.
    """
    from mangrove.operate.supplies import equip

    grids: dict[str, Asset] = {}
    problems: list[Problem] = []
    for asset in territory.assets.values():
        if asset.type == "grid":
            if asset.place in grids:
                data = {"place": asset.place, "first": grids[asset.place].id, "second": asset.id}
                problems.append(Problem("operate.two_grids", data, asset.where))
            grids.setdefault(asset.place, asset)
    if not grids:
        raise RequestError("operate.no_site")
    behind: dict[str, list[Asset]] = {place: [] for place in grids}
    for asset in territory.assets.values():
        home = next((place.id for place in territory.ancestors(asset.place) if place.id in grids), None)
        if home is not None and asset.type in (*STANDARD, *KINDS) and asset.type != "grid":
            behind[home].append(asset)
    found = [_site(territory, grids[place], behind[place], problems) for place in grids]
    if problems:
        raise DeclarationError(problems)
    return tuple(equip(territory, site) for site in found if site is not None)


def site_at(territory: Territory, place: str) -> Site:
    """The site at `place`; raises `RequestError` `operate.unknown_site` with the ones that exist."""
    known = {site.place: site for site in sites(territory)}
    if place not in known:
        hint = did_you_mean(place, known)
        raise RequestError("operate.unknown_site", place=place, hint=hint, options=", ".join(known))
    return known[place]


def _site(territory: Territory, grid: Asset, assets: list[Asset], problems: list[Problem]) -> Site | None:
    """One site; what is wrong with its declaration goes to `problems`."""
    from mangrove.network import assets as network_assets
    from mangrove.network.assets import base

    parts: dict[str, list[Any]] = {kind: [] for kind in (*STANDARD, "need", "unit")}
    for asset in (grid, *assets):
        try:
            values = base.read(asset, network_assets.KINDS[asset.type])
            if _SIZE.get(asset.type, "capacity" if "max_capacity" in values else "") not in ("", *values):
                continue  # not there yet: a plan may size it
            problems.extend(_unknown_flows(territory, asset, values))
            if asset.type in KINDS:
                parts["unit"].append(Unit(asset.id, asset.type, values))
            elif asset.type == "load" and kind_of(values.word("carrier")) != ELECTRICITY:
                need = Need(asset.id, values.word("carrier"), values.word("flow"), values.word("tier"))
                parts["need"].append(need)
            else:
                parts[asset.type].append(_READ[asset.type](asset.id, values))
        except DeclarationError as error:
            problems.extend(error.problems)
        except RequestError as error:
            problems.append(Problem(error.code, error.problem.data, asset.where))
    if problems or not parts["grid"]:
        return None
    return Site(
        place=grid.place,
        batteries=tuple(parts["battery"]),
        generators=(*parts["pv"], *parts["wind"]),
        chargers=tuple(parts["charger"]),
        stations=tuple(parts["swap_station"]),
        load_flows=tuple(flow for flow in parts["load"] if flow),
        units=tuple(parts["unit"]),
        needs=tuple(parts["need"]),
        **parts["grid"][0],
    )


_SIZE = {"battery": "energy", "pv": "capacity", "wind": "capacity"}
"""The parameter that says how much of an asset is there."""


def _unknown_flows(territory: Territory, asset: Asset, values: Any) -> Iterator[Problem]:
    """The declared flows of an asset that `flows.csv` does not have."""
    names = (
        "flow",
        "export_flow",
        "charge_flow",
        "discharge_flow",
        "demand_flow",
        "heat_flow",
        "fuel_flow",
        "output_flow",
    )
    for name in names:
        flow = values.word(name)
        if flow and flow not in territory.flows:
            data = {"id": asset.id, "flow": flow, "hint": did_you_mean(flow, territory.flows)}
            yield Problem("operate.unknown_flow", data, asset.where)


def _grid(_: str, values: Any) -> dict[str, Any]:
    return {
        "importing": values.get("capacity", UNLIMITED),
        "exporting": values.get("export", 0.0),
        "import_flow": values.word("flow"),
        "export_flow": values.word("export_flow"),
    }


def _battery(id_: str, values: Any) -> Battery:
    """A battery; a round trip is shared equally between the way in and the way out."""
    from mangrove.network.assets.battery import wear

    way = math.sqrt(values["round_trip"])
    power = values["power"] if "power" in values else values["c_rate"] * values["energy"]
    tapers = "taper_from" in values and values["taper_from"] < 1.0
    return Battery(
        id_,
        energy=values["energy"],
        charge=power,
        discharge=power,
        efficiency=(way, way),
        floor=values.get("floor", 0.0) * values["energy"],
        loss=values.get("self_discharge", 0.0),
        wear=wear(values),
        taper=(values["taper_from"], values.get("taper_to", 0.0)) if tapers else None,
        charge_flow=values.word("charge_flow"),
        discharge_flow=values.word("discharge_flow"),
    )


def _generator(id_: str, values: Any) -> Generator:
    return Generator(id_, values["capacity"], values.word("flow"))


def _charger(id_: str, values: Any) -> Charger:
    count = int(values.get("count", 1.0))
    back = {name: values.get(name, 0.0) for name in ("discharge", "vehicle", "wear")}
    return Charger(id_, values["power"], count, values.get("efficiency", 1.0), values.word("flow"), **back)


def _station(id_: str, values: Any) -> Station:
    return Station(
        id_, values, values.word("demand_flow"), values.word("flow"), values.word("discharge_flow")
    )


def _load(_: str, values: Any) -> str:
    return str(values.word("flow"))


_READ: Mapping[str, Any] = {
    "grid": _grid, "battery": _battery, "pv": _generator, "wind": _generator, "charger": _charger,
    "swap_station": _station, "load": _load,
}  # fmt: skip
