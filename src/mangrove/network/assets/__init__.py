# SPDX-License-Identifier: Apache-2.0
"""Every kind of asset that a network can run: what it may declare, and how it becomes rows and columns.

Comes in: declared assets of a territory. Goes out: their values in canonical units and, in a network, their streams. The
table `KINDS` is the only list; documentation and checks follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mangrove.errors import DeclarationError, MangroveError, Problem, did_you_mean
from mangrove.network.assets import (
    batch,
    battery,
    boiler,
    charger,
    chiller,
    chp,
    compressor,
    curtailable_load,
    electrolyzer,
    fuel_cell,
    generator,
    grid,
    heat_pump,
    hydrogen_store,
    load,
    pump,
    pv,
    shiftable_load,
    swap_station,
    thermal_store,
    water_treatment,
    wind,
)
from mangrove.network.assets.base import Built, Input, Kind, Parameter, Setting, Terms, Values, annuity, read
from mangrove.rules import contracts
from mangrove.territory.model import Asset, Territory

KINDS: Mapping[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        grid, load, pv, wind, battery, charger, swap_station, curtailable_load, shiftable_load, batch, boiler, chiller,
        heat_pump, chp, thermal_store, electrolyzer, hydrogen_store, fuel_cell, compressor, water_treatment, pump, generator,
    )
}  # fmt: skip
"""By the `type` that an asset declares. Assets of other types (a furnace, a power plant) stay outside the network."""


def problems(territory: Territory) -> Iterator[Problem]:
    """What is wrong with the declared assets, before any plan is made: parameters, units, flows, sites, a mistyped type.

    A type that no kind resembles is somebody's own (a furnace) and no problem; one that looks like a slip is a warning.
    """
    for asset in territory.assets.values():
        kind = KINDS.get(asset.type)
        if kind is None:
            hint = did_you_mean(asset.type, KINDS)
            if hint:
                data = {"asset": asset.id, "type": asset.type, "hint": hint}
                yield Problem("assets.unknown_type", data, asset.where, severity="warning")
            continue
        try:
            values = read(asset, kind)
        except DeclarationError as error:
            yield from error.problems
            continue
        for parameter in kind.parameters:
            flow = values.word(parameter.name)
            if parameter.name.endswith("flow") and flow and flow not in territory.flows:
                data = {"asset": asset.id, "type": asset.type, "name": parameter.name, "flow": flow}
                data["hint"] = did_you_mean(flow, territory.flows)
                yield Problem("assets.unknown_flow", data, asset.where)
    yield from _site_problems(territory)


def _site_problems(territory: Territory) -> Iterator[Problem]:
    """Places with a second grid connection, and sites whose electricity has no price: measuring needs none, plans do."""
    first: dict[str, str] = {}
    for asset in territory.assets.values():
        if asset.type != grid.KIND.name:
            continue
        if asset.place in first:
            data = {"asset": asset.id, "first": first[asset.place], "place": asset.place}
            yield Problem("assets.two_grids", data, asset.where)
            continue
        first[asset.place] = asset.id
        try:
            contracts.of(territory, asset.place)
        except MangroveError as error:
            if error.code == "rules.no_contract":
                data = {"asset": asset.id, "place": asset.place}
                yield Problem("assets.no_contract", data, asset.where, severity="warning")


def build(setting: Setting, asset: Asset) -> Built:
    """Reads and builds one declared asset; its type must stand in `KINDS`."""
    kind = KINDS[asset.type]
    return kind.build(setting, asset.id, read(asset, kind))


__all__ = [
    "KINDS",
    "Built",
    "Input",
    "Kind",
    "Parameter",
    "Setting",
    "Terms",
    "Values",
    "annuity",
    "build",
    "problems",
    "read",
]
