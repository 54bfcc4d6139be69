# SPDX-License-Identifier: Apache-2.0
"""A sizing problem from a territory: the meters of a site, its contracts, and its assets by the same files as in operation.

Comes in: a territory, a snapshot of its ledger, a site (the place of a `grid` asset) and a span of whole days. Goes out: a `Case`.
Nothing is filled in: a meter with gaps is an error that says where; an asset that nothing can feed, or whose product nobody takes,
stays outside, and a note says so. The places of a site share one node per carrier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from mangrove.errors import DataQualityError, Problem, RequestError
from mangrove.inference.power import Window, count, rate
from mangrove.ledger import Snapshot
from mangrove.plan import defaults, prices
from mangrove.plan.finance import Money
from mangrove.plan.placed import Placed
from mangrove.plan.problem import ELECTRICITY, Case, Floats, Limits, Outage, Size, Supply
from mangrove.plan.sites import Site, fed, grid_factor
from mangrove.rules import contracts
from mangrove.territory.model import Asset, Territory


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a plan beside what the territory declares.

    Attributes:
        money: how years are compared; None: the defaults of the rules at the discount rate that the territory declares.
        limits, outages: what must hold; carbon: price per t CO2, None for the one that the territory declares (0 without).
        areas: m2 per kW by asset, for a limit of area.
        degradation: yearly loss of output by asset.
        supplies: what else can be bought (hydrogen by truck), with its price; electricity and fuels come from the contracts.
        allow: statuses of grid factors accepted besides official ones (`unofficial`).
        name: of the plan, also of its run in the ledger (`plan/<name>`).
        run: whose values count where it has any (`plan/metro`: what the vehicles of a street plan charge), before those that were measured.
    """

    money: Money | None = None
    limits: Limits = field(default_factory=Limits)
    outages: tuple[Outage, ...] = ()
    carbon: float | None = None
    areas: Mapping[str, float] = field(default_factory=dict)
    degradation: Mapping[str, float] = field(default_factory=dict)
    supplies: tuple[Supply, ...] = ()
    allow: tuple[str, ...] = ()
    name: str = "plan"
    run: str = ""


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
) -> Case:
    """The sizing problem of a site.

    Args:
        territory: the declared territory; snapshot: its values.
        snapshot: see `territory`.
        place: of the `grid` asset.
        start: first instant (UTC); end: first instant that no longer counts.
        end: see `start`.
        hours: length of a step (h).
        weather: a `network.weather.WeatherYear` for new sun and wind and for heat from the air; None: what a meter gives per kW.
        contract: in place of the declared one.
        wishes: money, limits and outages.

    Raises:
        RequestError: `plan.no_site`, `plan.unmetered`, `plan.no_profile`, `plan.flow_without_step`.
        DataQualityError: `plan.gaps`.
        DeclarationError, RuleError: an asset, a contract or a factor is wrong or missing.
    """
    asked = wishes or Wishes()
    site = Site.of(territory, place)
    steps = round((end - start).total_seconds() / 3600 / hours)
    window = Window(np.datetime64(int(start.timestamp()), "s"), round(hours * 3600), steps)
    meters = _Meters(territory, snapshot, window, run=asked.run)
    on = start.astimezone(territory.tz).date()
    notes: list[Problem] = []
    made = [
        one for asset, values in site.assets
        if (one := _placed(_Context(territory, meters, weather, asked, asset, values), notes)) is not None
    ]  # fmt: skip
    assets, bought = fed(territory, site, made, asked.supplies, on, notes, allow=asked.allow)
    loads = site.loads(assets, meters.rate)
    paid = contract or contracts.of(territory, place, ELECTRICITY, on)
    grid = _grid(
        territory, site, window, paid, grid_factor(territory, site.values.word("flow"), on, asked.allow)
    )
    energy: Any = territory.settings.get("energy") or {}
    money, assumed = (
        (asked.money, ()) if asked.money else defaults.money(paid.prices_on or on, energy.get("discount"))
    )
    carbon = float(energy.get("carbon_price") or 0.0) if asked.carbon is None else asked.carbon
    return Case(
        loads, (grid, *bought), (), hours, window.start, money, carbon, asked.limits, asked.outages, asked.name, assumed,
        tuple(assets), tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Meters:
    """The meters of a territory over the steps of a case; each is read once."""

    territory: Territory
    snapshot: Snapshot
    window: Window
    known: dict[tuple[str, bool], Floats] = field(default_factory=dict)
    run: str = ""

    def rate(self, flow: str, *, items: bool = False) -> Floats:
        """(T,) mean rate of a flow (kW, kg/h, m3/h), or counted items a step; every step must be covered by values.

        Raises:
            RequestError: `plan.flow_without_step`, and `inference.not_a_rate`.
            DataQualityError: `plan.gaps`, with the number of gaps and the first one.
        """
        if (flow, items) in self.known:
            return self.known[flow, items]
        declared = self.territory.flows[flow]
        if declared.step is None or not declared.step.seconds:
            raise RequestError("plan.flow_without_step", flow=flow)
        read = count if items else rate
        found = read(self.snapshot, declared, self.window, run=self.run or "measured").power
        if self.run and np.isnan(found).all():
            found = read(self.snapshot, declared, self.window).power
        missing = np.isnan(found)
        if missing.any():
            first = str(self.starts[int(np.argmax(missing))])
            raise DataQualityError(
                "plan.gaps", flow=flow, count=int(missing.sum()), first=first, steps=self.window.steps
            )
        self.known[flow, items] = found
        return found

    @property
    def starts(self) -> Any:
        """(T,) starts of the steps, UTC."""
        return self.window.edges[:-1].astype(np.int64).astype("datetime64[s]")

    @property
    def hours(self) -> float:
        """Length of a step."""
        return self.window.seconds / 3600.0


def _grid(
    territory: Territory, site: Site, window: Window, contract: contracts.Contract, factor: float
) -> Supply:
    """The connection under its contract, with the factor of the grid (official unless the territory has its own).

    With `max_capacity` its size is a choice, as for every other asset.
    """
    values = site.values
    flows = {"import": values.word("flow"), "export": values.word("export_flow")}
    have = values.get("capacity", 0.0)
    size = None
    if "max_capacity" in values:
        size = Size(
            cost=values["cost"],
            om=values.get("om", 0.0),
            life=values["life"],
            existing=have,
            most=values["max_capacity"],
        )
    starts = window.edges[:-1].astype(np.int64).astype("datetime64[s]")
    return prices.supply(
        contract, starts, window.seconds / 3600.0, territory.tz, upper=have if have > 0 and size is None else math.inf, size=size,
        export=values.get("export", 0.0), factor=factor,
        flows={role: flow for role, flow in flows.items() if flow},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Context:
    """What an asset of a case is made from."""

    territory: Territory
    meters: _Meters
    weather: Any
    asked: Wishes
    asset: Asset
    values: Any

    @property
    def where(self) -> tuple[float, float]:
        """Latitude and longitude of the asset, of its place, or of the weather."""
        place = self.territory.places[self.asset.place]
        lat = self.asset.lat if self.asset.lat is not None else place.lat
        lon = self.asset.lon if self.asset.lon is not None else place.lon
        return (self.weather.lat if lat is None else lat, self.weather.lon if lon is None else lon)


def _placed(made: _Context, notes: list[Problem]) -> Placed | None:
    """The asset with the series that its file reads; None, with a note, when one of them is not known."""
    asset, values = made.asset, made.values
    series: dict[str, Floats] = {}
    if asset.type in _PROFILE:
        series["profile"] = _profile(made)
    if asset.type in {"curtailable_load", "shiftable_load", "swap_station"}:
        flow = values.word("demand_flow" if asset.type == "swap_station" else "flow")
        if not flow:
            notes.append(Problem("plan.no_demand", {"id": asset.id}, asset.where, "note"))
            return None
        series["demand"] = made.meters.rate(flow, items=asset.type == "swap_station")
    if asset.type == "heat_pump" and not {"cop", "cold"} & values.keys():
        if made.weather is None:
            notes.append(Problem("plan.no_source", {"id": asset.id}, asset.where, "note"))
            return None
        middle = made.meters.starts + np.timedelta64(made.meters.window.seconds // 2, "s")
        series["temperature"] = made.weather.sample(middle).temperature
    if values.get("idle") or values.get("least"):
        notes.append(Problem("plan.no_commitment", {"id": asset.id}, asset.where, "note"))
    if "taper_from" in values or asset.type == "swap_station":
        notes.append(Problem("plan.coarse_preview", {"id": asset.id}, asset.where, "note"))
    return Placed(
        asset.id, asset.type, values, series, asset.place, made.asked.areas.get(asset.id, 0.0),
        made.asked.degradation.get(asset.id, 0.0),
    )  # fmt: skip


_PROFILE = frozenset({"pv", "wind"})


def _profile(made: _Context) -> Floats:
    """Output per kW: simulated from the weather, else what its own meter says of the part that stands.

    Raises:
        RequestError: `plan.no_profile`.
    """
    from mangrove.network.assets import pv, wind

    values, meters = made.values, made.meters
    if made.weather is not None:
        if made.asset.type == "wind":
            return wind.simulate(values, made.weather, starts=meters.starts, hours=meters.hours)
        return pv.simulate(values, made.weather, *made.where, starts=meters.starts, hours=meters.hours)
    flow, capacity = values.word("flow"), values.get("capacity", 0.0)
    if not flow or capacity <= 0:
        raise RequestError("plan.no_profile", asset=made.asset.id)
    found: Floats = np.maximum(meters.rate(flow) / capacity, 0.0)
    return found
