# SPDX-License-Identifier: Apache-2.0
"""What a site can be supplied with, and so which of its units can be planned.

Comes in: a declared territory and a site. Goes out: the site with the supplies that flat records of `tariffs` price, without the
units that nothing could feed or whose demand nobody meters, and a note for each of those. Nothing is invented: a fuel without a
declared price feeds no plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from mangrove import rules
from mangrove.errors import Problem, RuleError
from mangrove.operate.site import Site
from mangrove.operate.units import (
    CONVERTERS,
    ELECTRICITY,
    FLEXIBLE,
    FREE,
    STORES,
    Need,
    Supply,
    Unit,
    kind_of,
    measure_of,
    metered,
    ports,
)
from mangrove.territory.model import Territory
from mangrove.units import unit as unit_of


def equip(
    territory: Territory,
    site: Site,
    on: date | None = None,
    *,
    carbon: float = 0.0,
    allow: Sequence[str] = (),
) -> Site:
    """The site as it can be planned; `gaps` says what cannot.

    Args:
        territory: as declared.
        site: see `mangrove.operate.site.sites`.
        on: the day whose records and factors hold; None: any.
        carbon: money per kg of CO2.
        allow: statuses of factors accepted besides official ones.
    """
    if not (site.units or site.needs):
        return site
    notes: list[Problem] = []
    units, needs = _metered(territory, site, notes)
    wanted = {
        carrier
        for one in units
        if one.kind in CONVERTERS
        for rates in _ports(one).values()
        for carrier in rates
    }
    wanted |= _kept(units, needs) - {ELECTRICITY}
    supplies = tuple(
        _supply(territory, site, carrier, price, on=on, carbon=carbon, allow=allow)
        for carrier in sorted(wanted - {ELECTRICITY})
        if (price := _price(territory, site.place, carrier, on)) is not None
    )
    bought = {one.carrier for one in supplies}
    free = {carrier for carrier in wanted - bought if kind_of(carrier) in FREE}
    units, needs, free = _fed(site, units, needs, bought, free, notes)
    notes.extend(_note("operate.unpriced", place=site.place, carrier=carrier) for carrier in sorted(free))
    notes.extend(
        _note("operate.no_fuel_factor", place=site.place, carrier=one.carrier)
        for one in supplies
        if on is not None and one.factor is None and kind_of(one.carrier) == "fuel"
    )
    notes.extend(
        _note("operate.flow_unit", flow=flow, carrier=carrier, unit=measure_of(carrier))
        for flow, carrier in metered(units, needs).items()
        if not counts(territory, flow, carrier)
    )
    before = {(one.code, *one.data.values()) for one in site.gaps}
    fresh = [one for one in notes if (one.code, *one.data.values()) not in before]
    return replace(
        site, units=tuple(units), needs=tuple(needs), supplies=supplies, free=tuple(sorted(free)), gaps=(*site.gaps, *fresh)
    )  # fmt: skip


def _note(code: str, **data: Any) -> Problem:
    return Problem(code, data, severity="note")


def _ports(one: Unit) -> Mapping[str, Mapping[str, float]]:
    return ports(one) if one.kind in CONVERTERS else {}


def _metered(territory: Territory, site: Site, notes: list[Problem]) -> tuple[list[Unit], list[Need]]:
    """Without the units and needs that say too little of themselves."""
    units = []
    for one in site.units:
        asked = one.kind in FLEXIBLE and one.kind != "batch"
        if asked and not (one.values.word("flow") and counts(territory, one.demand, one.carrier)):
            notes.append(_note("operate.no_demand", place=site.place, id=one.id))
        elif one.kind == "heat_pump" and not {"cop", "cold"} & one.values.keys():
            notes.append(_note("operate.no_source", place=site.place, id=one.id))
        else:
            units.append(one)
    needs = [need for need in site.needs if need.flow and counts(territory, need.flow, need.carrier)]
    notes.extend(
        _note("operate.no_demand", place=site.place, id=one.id) for one in site.needs if one not in needs
    )
    return units, needs


def _fed(  # noqa: PLR0917 - what there is, by kind
    site: Site, units: list[Unit], needs: list[Need], bought: set[str], free: set[str], notes: list[Problem]
) -> tuple[list[Unit], list[Need], set[str]]:
    """Without what nothing can feed, until nothing more falls out; `free` keeps only what no unit of the site makes."""
    made = {carrier for carrier, _ in _made(units)}
    free = free - made
    while True:
        there = {ELECTRICITY} | bought | free | {carrier for carrier, _ in _made(units)}
        starved = {one.id: missing for one in units if (missing := _missing(one, there))}
        if not starved:
            break
        for id_, missing in starved.items():
            notes.append(_note("operate.no_supply", place=site.place, id=id_, carrier=missing))
        units = [one for one in units if one.id not in starved]
    notes.extend(
        _note("operate.no_supply", place=site.place, id=need.id, carrier=need.carrier)
        for need in needs
        if need.carrier not in there
    )
    needs = [need for need in needs if need.carrier in there]
    taken = {
        carrier
        for one in units
        for rates in _ports(one).values()
        for carrier, rate in rates.items()
        if rate < 0
    }
    taken |= _kept(units, needs)
    return units, needs, free & taken


def _kept(units: Sequence[Unit], needs: Sequence[Need]) -> set[str]:
    """What needs and flexible loads take and stores keep."""
    found = {unit.carrier for unit in units if unit.kind not in CONVERTERS}
    return {*found, *(need.carrier for need in needs)}


def _made(units: Sequence[Unit]) -> Iterator[tuple[str, str]]:
    """Carriers that converters give, and by whom."""
    for one in units:
        for rates in _ports(one).values():
            for carrier, rate in rates.items():
                if rate > 0:
                    yield carrier, one.id


def _missing(one: Unit, there: set[str]) -> str:
    """The first carrier that a unit takes and nobody gives; empty when it has all."""
    if one.kind in (*STORES, *FLEXIBLE):
        return "" if kind_of(one.carrier) == ELECTRICITY or one.carrier in there else one.carrier
    for rates in _ports(one).values():
        for carrier, rate in rates.items():
            if rate < 0 and carrier not in there:
                return carrier
    return ""


def _price(territory: Territory, place: str, carrier: str, on: date | None) -> float | None:
    """VND/kWh of the flat record for exactly this carrier that covers the nearest place around `place`; None: there is none."""
    if measure_of(carrier) != "kWh":
        return None  # a price per kWh says nothing about kg and m3
    records: Any = territory.settings.get("tariffs") or ()
    chain = [one.id for one in territory.ancestors(place)]
    found: dict[int, float] = {}
    for record in records:
        start, end = record["valid_from"], record["valid_to"]
        holds = on is None or ((start is None or start <= on) and (end is None or on < end))
        if (
            str(record["carrier"]) != carrier
            or record["kind"] != "flat"
            or record["price"] is None
            or not holds
        ):
            continue
        near = [steps for steps, id_ in enumerate(chain) if id_ in record["places"]]
        distance = near[0] if near else len(chain)
        if near or not record["places"]:
            if distance in found and on is not None:
                raise RuleError("rules.two_contracts", place=place, ids=f"{carrier}, {record['id']}")
            found[distance] = float(record["price"])
    return found[min(found)] if found else None


def _supply(
    territory: Territory,
    site: Site,
    carrier: str,
    price: float,
    *,
    on: date | None,
    carbon: float,
    allow: Sequence[str],
) -> Supply:
    """A supply with the factor that a flow of its carrier at the site declares."""
    factor = None
    for flow in territory.flows.values():
        inside = site.place in {one.id for one in territory.ancestors(flow.place)}
        if on is not None and inside and str(flow.carrier) == carrier and flow.factor:
            try:
                found = rules.load().select(flow.factor, "CO2", on, local=territory.factors, allow=allow)
                factor = found.chosen.value * unit_of(found.chosen.unit).to("kg/kWh")
            except RuleError:
                continue
            break
    return Supply(carrier, price, factor, carbon * (factor or 0.0))


def counts(territory: Territory, flow: str, carrier: str) -> bool:
    """Whether the values of a flow are amounts of a carrier as a network counts it, so that they can be read and scheduled."""
    found = territory.flows.get(flow)
    if found is None or found.step is None:
        return False
    measure = measure_of(carrier)
    rate = found.semantics in ("mean", "state")
    return bool(
        found.unit.converts_to({"kWh": "kW", "kg": "kg/h", "m3": "m3/h"}[measure] if rate else measure)
    )
