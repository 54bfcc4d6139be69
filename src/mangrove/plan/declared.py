# SPDX-License-Identifier: Apache-2.0
"""A sizing problem from a territory: the meters of a site, its contract, and the assets that declare how large they may become.

Comes in: a territory, a snapshot of its ledger, a site (the place of a `grid` asset) and a span of whole days. Goes out: a `Case`.
The load is what its `load` assets meter, or what the energy balance leaves: import - export + generation + discharge - charge.
Nothing is filled in: a meter with gaps is an error that says where, and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import DataQualityError, DeclarationError, Problem, RequestError, did_you_mean
from mangrove.ledger import COUNTED, Snapshot
from mangrove.plan import defaults, prices
from mangrove.plan.finance import Money
from mangrove.plan.problem import (
    ELECTRICITY,
    SOURCE,
    Candidate,
    Case,
    Floats,
    Limits,
    Outage,
    Size,
    Supply,
    battery,
    converter,
    pv,
    tank,
    wind,
)
from mangrove.rules import contracts, load
from mangrove.territory.model import Asset, Flow, Territory
from mangrove.units import unit

GRID_FACTOR = "grid/vn"
_WHOLE = 0.999
"""Share of a step that values must cover: less is a gap; the rest is rounding of their length."""
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a plan beside what the territory declares.

    Attributes:
        money: how years are compared; None: the defaults of the rules at the discount rate that the territory declares.
        limits, outages: what must hold; carbon: price per t CO2, None for the one that the territory declares (0 without).
        areas: m2 per kW by asset, for a limit of area.
        degradation: yearly loss of output by asset.
        allow: statuses of grid factors accepted besides official ones (`unofficial`).
        name: of the plan, also of its run in the ledger (`plan/<name>`).
    """

    money: Money | None = None
    limits: Limits = field(default_factory=Limits)
    outages: tuple[Outage, ...] = ()
    carbon: float | None = None
    areas: Mapping[str, float] = field(default_factory=dict)
    degradation: Mapping[str, float] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    name: str = "plan"


def case_of(
    territory: Territory,
    snapshot: Snapshot,
    place: str,
    start: datetime,
    end: datetime,
    *,
    hours: float = 1.0,
    weather: Any = None,
    contract: contracts.Contract | None = None,
    wishes: Wishes | None = None,
    extra: tuple[Supply, ...] = (),
) -> Case:
    """The sizing problem of a site.

    Args:
        territory: the declared territory; snapshot: its values.
        snapshot: see `territory`.
        place: of the `grid` asset.
        start: first instant (UTC); end: first instant that no longer counts.
        end: see `start`.
        hours: length of a step (h).
        weather: a `network.weather.WeatherYear` for new PV and wind; None: what a metered one gives per kW.
        contract: in place of the declared one.
        wishes: money, limits and outages.
        extra: further supplies (fuels, hydrogen) that no contract prices.

    Raises:
        RequestError: `plan.no_site`, `plan.unmetered`, `plan.no_profile`.
        DataQualityError: `plan.gaps`.
        DeclarationError, RuleError: an asset, a contract or a factor is wrong or missing.
    """
    asked = wishes or Wishes()
    site = _Site.of(territory, place)
    steps = round((end - start).total_seconds() / 3600 / hours)
    window = _Window(_instant(start), hours, steps)
    metered = {flow: _power(snapshot, territory.flows[flow], window) for flow in site.flows(territory)}
    grid = _grid(territory, site, window, contract, asked.allow)
    candidates = tuple(
        _area(
            _CANDIDATES[asset.type](_Context(territory, site, window, metered, weather, asset, values)), asked
        )
        for asset, values in site.assets
        if asset.type in _CANDIDATES
    )
    energy = _energy(territory)
    paid = contract or contracts.of(territory, place, on=start.astimezone(territory.tz).date())
    on = paid.prices_on or start.astimezone(territory.tz).date()  # costs of the day whose prices hold
    money, assumed = (asked.money, ()) if asked.money else defaults.money(on, energy.get("discount"))
    carbon = asked.carbon
    if carbon is None:
        carbon = float(energy.get("carbon_price") or 0.0)
    return Case(
        _loads(site, metered), (grid, *extra), candidates, hours, window.start, money, carbon,
        asked.limits, asked.outages, asked.name, assumed,
    )  # fmt: skip


def _energy(territory: Territory) -> Mapping[str, Any]:
    found: Any = territory.settings.get("energy") or {}
    return found  # type: ignore[no-any-return]


def _area(one: Candidate, asked: Wishes) -> Candidate:
    """The candidate with what the wishes say about it."""
    area = asked.areas.get(one.name, one.size.area)
    return replace(one, size=replace(one.size, area=area), degradation=asked.degradation.get(one.name, 0.0))


@dataclass(frozen=True, slots=True)
class _Window:
    """So many steps of `hours` from `start` (UTC) on."""

    start: np.datetime64
    hours: float
    steps: int

    @property
    def edges(self) -> Floats:
        """(T + 1,) seconds since 1970."""
        first = float(self.start.astype(np.int64))
        found: Floats = first + np.arange(self.steps + 1, dtype=np.float64) * (self.hours * 3600.0)
        return found

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """(T,) starts of the steps."""
        found: npt.NDArray[np.datetime64] = self.edges[:-1].astype(np.int64).astype("datetime64[s]")
        return found


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(int(moment.timestamp()), "s")


@dataclass(frozen=True, slots=True)
class _Site:
    """The connection of a place and the assets for which it is the nearest connection, with their values."""

    grid: Asset
    values: Any
    assets: tuple[tuple[Asset, Any], ...]

    @classmethod
    def of(cls, territory: Territory, place: str) -> _Site:
        """Reads the assets of a site; all problems of their declarations at once."""
        from mangrove.network.assets import KINDS, read

        grids = {asset.place: asset for asset in territory.assets.values() if asset.type == "grid"}
        if place not in grids:
            raise RequestError(
                "plan.no_site", place=place, options=", ".join(grids) or "-", hint=did_you_mean(place, grids)
            )
        problems: list[Problem] = []
        found = []
        for asset in territory.assets.values():
            homes = (node.id for node in territory.ancestors(asset.place) if node.id in grids)
            if next(homes, None) == place and asset.type in KINDS:
                try:
                    found.append((asset, read(asset, KINDS[asset.type])))
                except DeclarationError as error:
                    problems.extend(error.problems)
        problems.extend(_unknown(territory, found))
        if problems:
            raise DeclarationError(problems)
        own = next(values for asset, values in found if asset.id == grids[place].id)
        return cls(grids[place], own, tuple((a, v) for a, v in found if a.type != "grid"))

    def flows(self, territory: Territory) -> list[str]:
        """The meters that the case needs."""
        found = [
            flow for asset, values in self.assets if asset.type == "load" and (flow := values.word("flow"))
        ]
        if not self._metered_loads():
            found += [flow for _, flow in self.balance()]
        found += [values.word("flow") for asset, values in self.assets if asset.type in {"pv", "wind"}]
        return [flow for flow in dict.fromkeys(found) if flow in territory.flows]

    def _metered_loads(self) -> bool:
        """Whether a `load` asset meters the electricity."""
        return any(
            asset.type == "load" and values.word("flow") and values.word("carrier") == ELECTRICITY
            for asset, values in self.assets
        )

    def balance(self) -> list[tuple[float, str]]:
        """Sign and flow of what adds up to the consumption that nobody controls.

        Raises:
            RequestError: `plan.unmetered`, a part of it has no meter.
        """
        parts = [(1.0, self.grid.id, self.values.word("flow"))]
        if self.values.get("export", 0.0) > 0:
            parts.append((-1.0, self.grid.id, self.values.word("export_flow")))
        for asset, values in self.assets:
            if asset.type in {"pv", "wind"} and values.get("capacity", 0.0) > 0:
                parts.append((1.0, asset.id, values.word("flow")))
            if asset.type == "battery" and values.get("energy", 0.0) > 0:
                parts.append((-1.0, asset.id, values.word("charge_flow")))
                parts.append((1.0, asset.id, values.word("discharge_flow")))
        for _, id_, flow in parts:
            if not flow:
                raise RequestError("plan.unmetered", place=self.grid.place, id=id_)
        return [(sign, flow) for sign, _, flow in parts]


def _unknown(territory: Territory, assets: list[tuple[Asset, Any]]) -> Iterator[Problem]:
    """Flows that assets name and `flows.csv` does not have."""
    for asset, values in assets:
        for name in ("flow", "export_flow", "charge_flow", "discharge_flow", "output_flow", "fuel_flow"):
            flow = values.word(name)
            if flow and flow not in territory.flows:
                data = {"id": asset.id, "flow": flow, "hint": did_you_mean(flow, territory.flows)}
                yield Problem("plan.unknown_flow", data, asset.where)


def _power(snapshot: Snapshot, flow: Flow, window: _Window) -> Floats:
    """(T,) mean rate of a flow (kW, kg/h, ...), in its canonical unit; every step must be covered by values.

    Raises:
        RequestError: `plan.flow_without_step`.
        DataQualityError: `plan.gaps`, with the number of gaps and the first one.
    """
    if flow.step is None or not flow.step.seconds:
        raise RequestError("plan.flow_without_step", flow=flow.id)
    length = float(flow.step.seconds)
    edges = window.edges
    rows = snapshot.values([flow.id], _moment(edges[0] - length), _moment(edges[-1]))
    good = np.isin(rows.column("quality").to_numpy(), [int(code) for code in COUNTED])
    start = rows.column("start").cast(pa.int64()).to_numpy()[good] / _US
    amount = rows.column("value").to_numpy()[good] * _amount(flow)
    covered = drawn = np.zeros(window.steps)
    if len(start):
        stop = np.minimum(start + length, np.append(start[1:], np.inf))
        at = np.stack([start, stop], axis=1).ravel()
        zeros = np.zeros(len(start))
        energy = np.cumsum(np.stack([zeros, amount * (stop - start) / length], axis=1).ravel())
        known = np.cumsum(np.stack([zeros, stop - start], axis=1).ravel())
        drawn, covered = np.diff(np.interp(edges, at, energy)), np.diff(np.interp(edges, at, known))
    missing = covered < _WHOLE * window.hours * 3600.0
    if missing.any():
        first = str(window.starts[int(np.argmax(missing))])
        raise DataQualityError(
            "plan.gaps", flow=flow.id, count=int(missing.sum()), first=first, steps=window.steps
        )
    found: Floats = drawn / window.hours
    return found


def _amount(flow: Flow) -> float:
    """The canonical amount (kWh, kg, m3) that a value of the flow stands for."""
    assert flow.step is not None
    rate = flow.semantics in ("mean", "state")
    for amount, per_hour in (("kWh", "kW"), ("kg", "kg/h"), ("m3", "m3/h")):
        if rate and flow.unit.converts_to(per_hour):
            return flow.unit.to(per_hour) * flow.step.hours
        if not rate and flow.unit.converts_to(amount):
            return flow.unit.to(amount)
    raise RequestError("plan.not_a_rate", flow=flow.id, unit=flow.unit.text)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _loads(site: _Site, metered: Mapping[str, Floats]) -> dict[str, Floats]:
    """The loads by carrier."""
    found: dict[str, Floats] = {}
    for asset, values in site.assets:
        if asset.type == "load" and values.word("flow"):
            carrier = values.word("carrier")
            found[carrier] = found.get(carrier, 0.0) + metered[values.word("flow")]
    if ELECTRICITY not in found:
        total = sum(sign * metered[flow] for sign, flow in site.balance())
        found[ELECTRICITY] = np.maximum(np.asarray(total, dtype=float), 0.0)
    return found


def _grid(
    territory: Territory,
    site: _Site,
    window: _Window,
    contract: contracts.Contract | None,
    allow: tuple[str, ...],
) -> Supply:
    """The connection under its contract, with the factor of the grid (official unless the territory has its own)."""
    on = _moment(window.edges[0]).astimezone(territory.tz).date()
    found = contract or contracts.of(territory, site.grid.place, ELECTRICITY, on)
    flows = {"import": site.values.word("flow"), "export": site.values.word("export_flow")}
    upper = site.values.get("capacity", math.inf)
    return prices.supply(
        found, window.starts, window.hours, territory.tz, upper=upper if upper > 0 else math.inf,
        export=site.values.get("export", 0.0), factor=grid_factor(territory, site.values.word("flow"), on, allow),
        flows={role: flow for role, flow in flows.items() if flow},
    )  # fmt: skip


def grid_factor(territory: Territory, flow: str, on: date, allow: tuple[str, ...] = ()) -> float:
    """Kg CO2 per kWh of the grid: the factor of the import flow, else that of the Vietnamese grid.

    Raises:
        RuleError: no factor holds on that day.
    """
    activity = (territory.flows[flow].factor if flow in territory.flows else "") or GRID_FACTOR
    factor = load().select(activity, "CO2", on, local=territory.factors, allow=allow).chosen
    return factor.value * unit(factor.unit).to("kg/kWh")


@dataclass(frozen=True, slots=True)
class _Context:
    """What a candidate is made from."""

    territory: Territory
    site: _Site
    window: _Window
    metered: Mapping[str, Floats]
    weather: Any
    asset: Asset
    values: Any

    def size(self, word: str = "capacity") -> Size:
        """The declared choice; without a largest size it stays as it is."""
        existing = self.values.get(word, 0.0)
        return Size(
            cost=self.values.get("cost", 0.0), om=self.values.get("om", 0.0), life=self.values.get("life", math.inf),
            existing=existing, most=self.values.get(f"max_{word}", existing),
        )  # fmt: skip

    def profile(self, simulate: Callable[[float, float], Floats]) -> Floats:
        """Output per kW: simulated from the weather, else what its own meter says."""
        if self.weather is not None:
            place = self.territory.places[self.asset.place]
            lat = self.asset.lat if self.asset.lat is not None else place.lat
            lon = self.asset.lon if self.asset.lon is not None else place.lon
            return simulate(
                self.weather.lat if lat is None else lat, self.weather.lon if lon is None else lon
            )
        flow, capacity = self.values.word("flow"), self.values.get("capacity", 0.0)
        if flow in self.metered and capacity > 0:
            given: Floats = np.maximum(self.metered[flow] / capacity, 0.0)
            return given
        raise RequestError("plan.no_profile", asset=self.asset.id)

    def flows(self, **roles: str) -> dict[str, str]:
        """Role -> declared flow."""
        return {role: flow for role, name in roles.items() if (flow := self.values.word(name))}


def _pv(made: _Context) -> Candidate:
    from mangrove.network.assets import pv as kind

    window = made.window
    profile = made.profile(
        lambda lat, lon: kind.simulate(
            made.values, made.weather, lat, lon, starts=window.starts, hours=window.hours
        )
    )
    found = pv(made.asset.id, profile)
    return replace(found, size=made.size(), flows=made.flows(output="flow"))


def _wind(made: _Context) -> Candidate:
    from mangrove.network.assets import wind as kind

    window = made.window
    profile = made.profile(
        lambda _lat, _lon: kind.simulate(made.values, made.weather, starts=window.starts, hours=window.hours)
    )
    found = wind(made.asset.id, profile)
    return replace(found, size=made.size(), flows=made.flows(output="flow"))


def _battery(made: _Context) -> Candidate:
    """Power and energy apart when power has a price; else tied by the C-rate."""
    from mangrove.network.assets.battery import wear

    values = made.values
    eta = values["round_trip"] ** 0.5
    energy = made.size("energy")
    rate = values.get("c_rate") or (
        values["power"] / values["energy"] if values.get("energy") and "power" in values else None
    )
    existing = values.get("power", (rate or 0.0) * energy.existing)
    most = values.get("max_power", math.inf if energy.most > energy.existing else existing)
    power = Size(
        cost=values.get("cost_power", 0.0), life=energy.life, existing=existing, most=max(most, existing)
    )
    tied = 1.0 / rate if rate and "cost_power" not in values and energy.most > energy.existing else None
    return replace(
        battery(
            made.asset.id, power=power, energy=energy, efficiency=(eta, eta), loss=values["self_discharge"],
            floor=values["floor"], ratio=tied, wear=wear(values),
        ),
        flows=made.flows(charge="charge_flow", discharge="discharge_flow"),
    )  # fmt: skip


def _electrolyzer(made: _Context) -> Candidate:
    ports = {ELECTRICITY: -1.0, made.values.word("output"): 1.0 / made.values["consumption"]}
    found = converter(
        made.asset.id, ports, kind="electrolyzer", running=made.values.get("variable_cost", 0.0)
    )
    return replace(found, size=made.size(), flows=made.flows(input="flow", output="output_flow"))


def _fuel_cell(made: _Context) -> Candidate:
    from mangrove.network.assets.fuel_cell import LHV

    ports = {made.values.word("fuel"): -1.0 / (made.values["efficiency"] * LHV), ELECTRICITY: 1.0}
    return _output(made, ports, "fuel_cell")


def _hydrogen_store(made: _Context) -> Candidate:
    return replace(tank(made.asset.id, made.values.word("output")), room=made.size())


def _generator(made: _Context) -> Candidate:
    ports = {made.values.word("fuel"): -1.0 / made.values["efficiency"], ELECTRICITY: 1.0}
    return _output(made, ports, "generator")


def _boiler(made: _Context) -> Candidate:
    ports = {made.values.word("fuel"): -1.0 / made.values["efficiency"], made.values.word("output"): 1.0}
    return _output(made, ports, "boiler")


def _chiller(made: _Context) -> Candidate:
    ports = {ELECTRICITY: -1.0 / made.values["cop"], made.values.word("output"): 1.0}
    return _output(made, ports, "chiller")


def _output(made: _Context, ports: Mapping[str, float], kind: str) -> Candidate:
    """A converter whose size is counted at what it gives."""
    found = converter(made.asset.id, ports, kind=kind, running=made.values.get("variable_cost", 0.0))
    return replace(found, size=made.size(), flows=made.flows(output="flow"))


_CANDIDATES: Mapping[str, Callable[[_Context], Candidate]] = {
    "pv": _pv, "wind": _wind, "battery": _battery, "electrolyzer": _electrolyzer, "fuel_cell": _fuel_cell,
    "hydrogen_store": _hydrogen_store, "generator": _generator, "boiler": _boiler, "chiller": _chiller,
}  # fmt: skip
"""Types that can be sized from a declaration; what others use is part of the load."""


def streams(case: Case) -> Iterator[tuple[str, str, float]]:
    """Declared flows of a case: (flow, stream of the result, amount of the flow per unit of the stream)."""
    for supply in case.supplies:
        for role, flow in supply.flows.items():
            yield flow, supply.name if role == "import" else f"{supply.name} {role}", 1.0
    for one in case.candidates:
        for role, flow in one.flows.items():
            stream = f"{one.name} {role}" if role in {"charge", "discharge"} else one.name
            if one.shape == SOURCE or role != "output":
                yield flow, stream, 1.0
            else:
                yield flow, stream, one.ports.get(one.carrier, 1.0)
