# SPDX-License-Identifier: Apache-2.0
"""A site as a plan sees it: its connection, the assets behind it, what they are fed with, and what nobody controls.

Comes in: a declared territory and the place of a `grid` asset. Goes out: a `Site` with checked values; what its assets can be bought
carriers from, with notes on those that must stay outside; the loads by carrier, by the energy balance where no asset meters them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from mangrove.errors import DeclarationError, Problem, RequestError, RuleError, did_you_mean
from mangrove.plan.placed import LOADS, STORING, Placed
from mangrove.plan.problem import ELECTRICITY, Floats, Supply
from mangrove.rules import load
from mangrove.territory.model import Asset, Carrier, Territory
from mangrove.units import unit

GRID_FACTOR = "grid/vn"
FREE = ("water", "wastewater")
"""Kinds of carriers that a site takes from outside without a price when none is declared; a note says so."""
COUNTED = ("hydrogen", "material", "CO2", "gas", "waste")
"""Kinds of carriers that are not counted in kWh, so a declared price per kWh says nothing about them."""
_USING = ("charger", "batch")
"""Kinds that are part of the load: their times are decided from day to day, not over the years of a plan."""
_FLOWS = (
    "flow",
    "export_flow",
    "charge_flow",
    "discharge_flow",
    "output_flow",
    "fuel_flow",
    "heat_flow",
    "demand_flow",
)
_BURNT = "combustion/manufacturing/{code}"


@dataclass(frozen=True, slots=True)
class Site:
    """The connection of a place, and the assets for which it is the nearest connection, with their values.

    Attributes:
        grid, values: the connection; assets: what a plan builds; using: loads, chargers and batch processes.
    """

    grid: Asset
    values: Any
    assets: tuple[tuple[Asset, Any], ...]
    using: tuple[tuple[Asset, Any], ...]

    @classmethod
    def of(cls, territory: Territory, place: str) -> Site:
        """Reads the assets of a site; all problems of their declarations at once.

        Raises:
            RequestError: `plan.no_site`.
            DeclarationError: what is wrong with an asset, and `plan.unknown_flow`.
        """
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
        using = tuple((a, v) for a, v in found if a.type in {"load", *_USING})
        return cls(
            grids[place],
            own,
            tuple(pair for pair in found if pair[0].type != "grid" and pair not in using),
            using,
        )

    def loads(self, assets: Sequence[Placed], rate: Callable[[str], Floats]) -> dict[str, Floats]:
        """The load of each carrier: what `load` assets meter; for electricity without one, what the energy balance leaves."""
        found: dict[str, Floats] = {}
        for asset, values in self.using:
            flow, carrier = values.word("flow"), values.word("carrier", ELECTRICITY)
            if flow and (asset.type == "load" or self.metered):
                found[carrier] = found.get(carrier, 0.0) + rate(flow)
        if not self.metered:
            found[ELECTRICITY] = np.maximum(self._balance(assets, rate), 0.0)
        return found

    @property
    def metered(self) -> bool:
        """Whether a `load` asset meters the electricity."""
        return any(
            asset.type == "load" and values.word("flow") and values.word("carrier") == ELECTRICITY
            for asset, values in self.using
        )

    def _balance(self, assets: Sequence[Placed], rate: Callable[[str], Floats]) -> Floats:
        """Import - export + what the assets of the plan give - what they take: the consumption that nobody controls.

        Raises:
            RequestError: `plan.unmetered`, a part of it has no meter.
        """
        parts = [(1.0, self.grid.id, self.values.word("flow"))]
        if self.values.get("export", 0.0) > 0:
            parts.append((-1.0, self.grid.id, self.values.word("export_flow")))
        for one in assets:
            parts += [(sign, one.name, flow) for sign, flow in _electric_meters(one)]
        total: Any = 0.0
        for sign, id_, flow in parts:
            if not flow:
                raise RequestError("plan.unmetered", place=self.grid.place, id=id_)
            total = total + sign * rate(flow)
        return np.asarray(total, dtype=float)


def _unknown(territory: Territory, assets: list[tuple[Asset, Any]]) -> Iterator[Problem]:
    """Flows that assets name and `flows.csv` does not have."""
    for asset, values in assets:
        for name in _FLOWS:
            flow = values.word(name)
            if flow and flow not in territory.flows:
                data = {"id": asset.id, "flow": flow, "hint": did_you_mean(flow, territory.flows)}
                yield Problem("plan.unknown_flow", data, asset.where)


def _electric_meters(one: Placed) -> Iterator[tuple[Any, str]]:
    """Meters from which the electricity of what stands of an asset follows: kW into the site per unit of each, and its flow.

    The meter of a heat pump counts its heat, that of a pump its water: what one unit of that takes stands in the asset's file.
    """
    word = one.values.word
    if one.kind == "battery":
        if one.values.get("energy", 0.0) > 0:
            yield from ((-1.0, word("charge_flow")), (1.0, word("discharge_flow")))
    elif one.kind == "swap_station":
        yield -1.0, word("flow")
        if word("two_way") == "yes":
            yield 1.0, word("discharge_flow")
    elif one.kind in LOADS:
        if word("carrier") == ELECTRICITY:
            yield -1.0, word("flow")
    elif one.kind not in STORING and one.values.get("capacity", 0.0) > 0:
        role = next(role for role in one.ports if one.stream(role) == one.name)
        electricity = one.ports[role].get(ELECTRICITY)
        if electricity is not None:
            flow, streams = next(iter(one.metered()), ("", []))
            yield electricity / dict(streams).get(one.name, 1.0), flow


def fed(  # noqa: PLR0917 - where, what, when
    territory: Territory,
    site: Site,
    assets: Sequence[Placed],
    supplies: Sequence[Supply],
    on: date,
    notes: list[Problem],
    *,
    allow: tuple[str, ...] = (),
) -> tuple[list[Placed], tuple[Supply, ...]]:
    """The assets that something feeds and whose product somebody takes, and what is bought for them.

    Those that are left out keep what they use in the load, and a note says so.
    """
    needed = {v.word("carrier") for a, v in site.using if a.type == "load" and v.word("flow")} | {ELECTRICITY}
    wanted = set(needed).union(*(one.carriers[1] for one in assets)) - {
        ELECTRICITY,
        *(s.carrier for s in supplies),
    }
    bought = [*supplies]
    for carrier in sorted(wanted):
        price = _price(territory, site.grid.place, carrier, on)
        if price is not None:
            bought.append(_supply(territory, site, carrier, price, on, notes, allow))
    there = {one.carrier for one in bought} | {ELECTRICITY}
    made = set().union(*(one.carriers[0] for one in assets))
    for carrier in sorted(wanted - there - made):
        if Carrier.parse(carrier).kind in FREE:
            notes.append(Problem("plan.unpriced", {"carrier": carrier}, severity="note"))
            bought.append(Supply(carrier, carrier))
            there.add(carrier)
    return _kept(list(assets), there, needed, notes), tuple(bought)


def _kept(assets: list[Placed], there: set[str], needed: set[str], notes: list[Problem]) -> list[Placed]:
    """Without what nothing feeds or nobody wants, until nothing more falls out."""
    while True:
        made = there.union(*(one.carriers[0] for one in assets))
        taken = needed.union(*(_takes(one) for one in assets))
        out = {}
        for one in assets:
            gives = one.carriers[1] if one.kind in STORING else one.carriers[0]
            missing = sorted((one.carriers[1] if one.kind in STORING else _takes(one)) - made)
            if missing:
                out[one.name] = Problem(
                    "plan.no_supply", {"id": one.name, "carrier": missing[0]}, severity="note"
                )
            elif gives and not gives & taken:
                data = {"id": one.name, "carrier": ", ".join(sorted(gives))}
                out[one.name] = Problem("plan.no_taker", data, severity="note")
        if not out:
            return assets
        notes.extend(out.values())
        assets = [one for one in assets if one.name not in out]


def _takes(one: Placed) -> set[str]:
    """Carriers that an asset uses up; a store uses up none."""
    if one.kind in STORING:
        return set()
    if one.kind in LOADS:
        return set(one.carriers[1])
    return {c for ports in one.ports.values() for c, values in ports.items() if (values < 0).any()}


def _price(territory: Territory, place: str, carrier: str, on: date) -> float | None:
    """VND/kWh of the flat record for exactly this carrier that covers the nearest place around `place`; None: there is none.

    Raises:
        RuleError: `rules.two_contracts`.
    """
    if Carrier.parse(carrier).kind in (*COUNTED, *FREE):
        return None
    chain = [one.id for one in territory.ancestors(place)]
    found: dict[int, tuple[float, str]] = {}
    records: Any = territory.settings.get("tariffs") or ()
    for record in records:
        start, end = record["valid_from"], record["valid_to"]
        holds = (start is None or start <= on) and (end is None or on < end)
        if (
            str(record["carrier"]) != carrier
            or record["kind"] != "flat"
            or record["price"] is None
            or not holds
        ):
            continue
        near = min((steps for steps, id_ in enumerate(chain) if id_ in record["places"]), default=len(chain))
        if near == len(chain) and record["places"]:
            continue
        if near in found:
            raise RuleError("rules.two_contracts", place=place, ids=f"{found[near][1]}, {record['id']}")
        found[near] = float(record["price"]), str(record["id"])
    return found[min(found)][0] if found else None


def _supply(  # noqa: PLR0917 - one supply is these facts
    territory: Territory,
    site: Site,
    carrier: str,
    price: float,
    on: date,
    notes: list[Problem],
    allow: tuple[str, ...],
) -> Supply:
    """What is bought of a carrier, with what a kWh of it emits.

    That is the factor of the site's flow of that carrier, else that of burning the fuel; of a biogenic one it is zero, as in
    measuring, where that CO2 stands apart.
    """
    flows = [
        flow
        for flow in territory.flows.values()
        if str(flow.carrier) == carrier
        and site.grid.place in {one.id for one in territory.ancestors(flow.place)}
    ]
    parsed = Carrier.parse(carrier)
    if parsed.kind == "fuel" and parsed.code in load().fuels and load().fuel(parsed.code).biogenic:
        factor = 0.0
    else:
        named = next((flow.factor for flow in flows if flow.factor), "")
        if not named and parsed.kind == "fuel" and parsed.code:
            named = _BURNT.format(code=parsed.code)
        if not named:
            notes.append(Problem("plan.no_factor", {"carrier": carrier}, severity="note"))
        factor = _factor(territory, named, on, allow) if named else 0.0
    meter = {"import": flows[0].id} if len(flows) == 1 else {}
    return Supply(carrier, carrier, buy=price, factor=factor, flows=meter)


def grid_factor(territory: Territory, flow: str, on: date, allow: tuple[str, ...] = ()) -> float:
    """Kg CO2 per kWh of the grid: the factor of the import flow, else that of the Vietnamese grid.

    Raises:
        RuleError: no factor holds on that day.
    """
    activity = (territory.flows[flow].factor if flow in territory.flows else "") or GRID_FACTOR
    return _factor(territory, activity, on, allow)


def _factor(territory: Territory, activity: str, on: date, allow: tuple[str, ...]) -> float:
    """Kg CO2 per kWh of an activity on a day."""
    factor = load().select(activity, "CO2", on, local=territory.factors, allow=allow).chosen
    return factor.value * unit(factor.unit).to("kg/kWh")
