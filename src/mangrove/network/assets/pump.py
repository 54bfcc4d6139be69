# SPDX-License-Identifier: Apache-2.0
"""Pump: water from one place or level to another, with the electricity that lifts it.

z_t m3/h in and out,  w z_t of electricity,  w = rho g H / eta / 3.6e6 kWh/m3,  z_t <= K
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Kind, Parameter, Setting, Values

DENSITY = 997.05
"""kg/m3 of water at 25 degrees Celsius (IAPWS-95)."""
GRAVITY = 9.80665
"""m/s2, standard gravity (CGPM 1901)."""


def lift(head: float, efficiency: float) -> float:
    """Electricity per cubic meter (kWh/m3) to lift water by `head` (m), friction included.

    Example:
        >>> round(lift(50.0, 0.7), 3)
        0.194
    """
    return DENSITY * GRAVITY * head / efficiency / 3.6e6


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the volume that passes."""
    ports = [
        (setting.at(values.word("input")), -1.0),
        (setting.at(values.word("output")), 1.0),
        (setting.at("electricity"), -lift(values["head"], values["efficiency"])),
    ]
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


PARAMETERS = (
    base.capacity("Largest volume per hour", "Lưu lượng lớn nhất", "m3/h"),
    Parameter("head", "m", "Height and friction to overcome", "Cột áp cần thắng, kể cả ma sát", maximum=3000.0, required=True),
    Parameter("efficiency", "1", "Efficiency of pump and motor", "Hiệu suất bơm và động cơ", minimum=0.01, maximum=1.0, required=True),
    base.carrier("input", "Carrier before", "Chất mang trước bơm", "water"),
    base.carrier("output", "Carrier after", "Chất mang sau bơm", "water@pumped"),
    base.variable_cost("m3"),
    base.flow(about="Flow that meters the water", about_vi="Dòng đo nước"),
    *base.sizing("m3/h"),
)  # fmt: skip
KIND = Kind("pump", "Pump", "Máy bơm", PARAMETERS, build, check=base.check_sizing,
            example="capacity=200 m3/h; head=50 m; efficiency=70 %")  # fmt: skip
