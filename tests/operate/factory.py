# SPDX-License-Identifier: Apache-2.0
"""A factory with every kind of unit, for the tests of the operating verb."""

from __future__ import annotations

import numpy as np
from tests.operate.worlds import measured, workshop

from mangrove.network.assets import KINDS, read
from mangrove.operate.outlook import Grid
from mangrove.operate.units import Need, Supply, Unit
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset


def unit(id_, kind, text):
    """A unit as it is declared."""
    return Unit(id_, kind, read(Asset(id_, "shop", kind, parameters(text)), KINDS[kind]))


UNITS = {
    one.id: one
    for one in (
        unit("boiler", "boiler", "capacity=200 kW; efficiency=80 %; fuel=fuel:wood; flow=boiler_heat"),
        unit("pump", "heat_pump", "capacity=60 kW; cop=3; flow=pump_heat"),
        unit("tank", "thermal_store", "capacity=400 kWh; power=100 kW; loss=0.5 %/h"),
        unit("chiller", "chiller", "capacity=60 kW; cop=4"),
        unit("ice", "thermal_store", "capacity=100 kWh; power=40 kW; loss=1 %/h; output=cooling"),
        unit(
            "chp",
            "chp",
            "capacity=40 kW; electric=30 %; thermal=50 %; condensing=35 %; fuel=fuel:gas; heat_flow=chp_heat",
        ),
        unit("splitter", "electrolyzer", "capacity=50 kW; consumption=55 kWh/kg; output_flow=hydrogen_made"),
        unit("bottle", "hydrogen_store", "capacity=20 kg"),
        unit("cell", "fuel_cell", "capacity=10 kW; efficiency=50 %"),
        unit("diesel", "generator", "capacity=50 kW; fuel=fuel:diesel; fuel_flow=diesel_used"),
        unit("wash", "shiftable_load", "share=50 %; flow=wash"),
        unit("cool", "curtailable_load", "value=20000 VND/kWh; share=30 %; flow=cool"),
        unit("oven", "batch", "power=30 kW; duration=2 h; runs=2; latest=24 h"),
        unit("lift", "pump", "capacity=20 m3/h; head=50 m; efficiency=70 %"),
        unit("cleaner", "water_treatment", "capacity=20 m3/h; consumption=0.6 kWh/m3; recovery=75 %"),
        unit("press", "compressor", "capacity=5 kg/h; consumption=1.2 kWh/kg"),
    )
}
NEEDS = (
    Need("heat", "heat"),
    Need("cold", "cooling"),
    Need("gas", "hydrogen@compressed"),
    Need("water", "water@pumped"),
)
SUPPLIES = (Supply("fuel:wood", 900.0, 0.36), Supply("fuel:gas", 1500.0), Supply("fuel:diesel", 2500.0))
LEVELS = {"battery": 60.0, "tank": 200.0, "ice": 50.0, "bottle": 5.0}


def factory(*ids, needs=None, **changes):
    """The workshop with some of the units (all of them when none is named)."""
    units = tuple(one for id_, one in UNITS.items() if not ids or id_ in ids)
    chosen = NEEDS if needs is None else tuple(need for need in NEEDS if need.id in needs)
    return workshop(
        **{"units": units, "needs": chosen, "supplies": SUPPLIES, "free": ("wastewater",), **changes}
    )


def series(site, days=4, seed=0):
    """What is measured at the factory."""
    generator = np.random.default_rng(seed)
    found = dict(measured(days, seed).values)
    wave = 1.0 + 0.3 * np.sin(np.arange(days * 96) / 10) + 0.1 * generator.random(days * 96)
    scale = {
        "heat#demand": 60.0,
        "cold#demand": 30.0,
        "gas#demand": 0.3,
        "water#demand": 5.0,
        "wash": 20.0,
        "cool": 20.0,
    }
    found.update({name: scale[name] * wave for name in site.inputs if name in scale})
    return Grid(measured(days).start, 900, found)
