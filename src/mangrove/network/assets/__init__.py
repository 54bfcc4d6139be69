# SPDX-License-Identifier: Apache-2.0
"""Every kind of asset that a network can run: what it may declare, and how it becomes rows and columns.

Comes in: declared assets of a territory. Goes out: their values in canonical units and, in a network, their streams. The
table `KINDS` is the only list; documentation and checks follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from mangrove.territory.model import Asset

KINDS: Mapping[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (
        grid, load, pv, wind, battery, charger, swap_station, curtailable_load, shiftable_load, batch, boiler, chiller,
        heat_pump, chp, thermal_store, electrolyzer, hydrogen_store, fuel_cell, compressor, water_treatment, pump, generator,
    )
}  # fmt: skip
"""By the `type` that an asset declares. Assets of other types (a furnace, a power plant) stay outside the network."""


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
    "read",
]
