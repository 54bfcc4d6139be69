# SPDX-License-Identifier: Apache-2.0
"""Electrolyzer: electricity (and water) to hydrogen, with the heat that its cooling gives off when somebody wants it.

electricity z_t goes in,  z_t / k kg/h of hydrogen leave (k in kWh/kg),  z_t <= K
heat of the cooling z_t (1 - HHV / k) r,  HHV = 39.39 kWh/kg, r the share that can be used
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Kind, Parameter, Setting, Values

HHV = 141.80 / 3.6
"""Higher heating value of hydrogen, kWh/kg: 141.80 MJ/kg (formation of liquid water, 285.83 kJ/mol, CODATA; 2.01588 g/mol)."""
WATER = 18.01528 / 2.01588 / 997.05
"""m3 of water (25 degrees) that make 1 kg of hydrogen: molar masses, 997.05 kg/m3."""


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the electricity that it takes."""
    need = values["consumption"]
    ports = [(setting.at("electricity"), -1.0), (setting.at(values.word("output")), 1.0 / need)]
    if values.word("water"):
        ports.append((setting.at(values.word("water")), -values["water_use"] / need))
    if values.word("heat"):
        ports.append((setting.at(values.word("heat")), max(0.0, 1.0 - HHV / need) * values["heat_share"]))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built(
        {"input": stream}, capacities=capacities, flows=values.flows(input="flow", output="output_flow")
    )


PARAMETERS = (
    base.capacity("Largest electric input", "Công suất điện đầu vào lớn nhất"),
    Parameter("consumption", "kWh/kg", "Electricity per kg of hydrogen, whole system", "Điện tiêu thụ cho mỗi kg hydro, cả hệ thống",
              minimum=HHV, maximum=100.0, required=True),
    base.carrier("output", "Carrier that it gives", "Chất mang đầu ra", "hydrogen"),
    Parameter("water", "carrier", "Carrier of the water that it takes; absent: not counted", "Chất mang của nước đầu vào; không khai: không tính"),
    Parameter("water_use", "m3/kg", "Water per kg of hydrogen", "Nước cho mỗi kg hydro", WATER,
              "stoichiometry (molar masses of water and hydrogen); real plants take more", maximum=1.0),
    Parameter("heat", "carrier", "Carrier that takes the heat of the cooling; absent: to the air", "Chất mang nhận nhiệt làm mát; không khai: thải ra không khí"),
    base.share("heat_share", "Share of the waste heat that can be used", "Tỷ lệ nhiệt thải dùng được", default=0.0),
    base.variable_cost(),
    base.flow("flow", "Flow that meters the electricity", "Dòng đo điện"),
    base.flow("output_flow", "Flow that meters the hydrogen", "Dòng đo hydro"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("electrolyzer", "Electrolyzer", "Máy điện phân", PARAMETERS, build, check=base.check_sizing,
            example="capacity=5 MW; consumption=55 kWh/kg")  # fmt: skip
