# SPDX-License-Identifier: Apache-2.0
"""Fuel cell: hydrogen to electricity and heat.

electricity z_t leaves,  z_t / (eta_e LHV) kg/h of hydrogen go in,  heat z_t eta_h / eta_e leaves,  z_t <= K
"""

from __future__ import annotations

from collections.abc import Iterator

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values

LHV = 119.96 / 3.6
"""Lower heating value of hydrogen, kWh/kg: 119.96 MJ/kg (formation of water vapor, 241.83 kJ/mol, CODATA; 2.01588 g/mol)."""


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the electricity that it gives."""
    efficiency = values["efficiency"]
    ports = [(setting.at(values.word("fuel")), -1.0 / (efficiency * LHV)), (setting.at("electricity"), 1.0)]
    if values.word("heat"):
        ports.append((setting.at(values.word("heat")), values["thermal"] / efficiency))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


def check(values: Values) -> Iterator[Finding]:
    """No more comes out than goes in."""
    yield from base.check_sizing(values)
    if values["efficiency"] + values["thermal"] > 1.0 + 1e-9:
        yield "assets.creates_energy", {"names": "efficiency + thermal"}


PARAMETERS = (
    base.capacity("Largest electric output", "Công suất điện lớn nhất"),
    base.share("efficiency", "Electricity per unit of hydrogen (lower heating value)", "Điện trên mỗi đơn vị hydro (nhiệt trị thấp)"),
    base.share("thermal", "Usable heat per unit of hydrogen; none unless declared", "Nhiệt dùng được trên mỗi đơn vị hydro; bằng không nếu không khai", default=0.0),
    base.carrier("fuel", "Carrier that it takes", "Chất mang đầu vào", "hydrogen"),
    Parameter("heat", "carrier", "Carrier that takes the heat; absent: to the air", "Chất mang nhận nhiệt; không khai: thải ra không khí"),
    base.variable_cost(),
    base.flow(about="Flow that meters the electricity", about_vi="Dòng đo điện"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("fuel_cell", "Fuel cell", "Pin nhiên liệu", PARAMETERS, build, check=check,
            example="capacity=500 kW; efficiency=50 %")  # fmt: skip
