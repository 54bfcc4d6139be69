# SPDX-License-Identifier: Apache-2.0
"""Chiller: electricity to cooling, with the heat that leaves the condenser when somebody wants it.

cooling z_t leaves,  z_t / COP of electricity goes in,  z_t (1 + 1 / COP) of heat leaves,  z_t <= K
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Input, Kind, Parameter, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the cooling; its COP is a number or a series (T,)."""
    cop = setting.read(asset_id, "cop", 0.1, 50.0) if setting.has("cop") else values["cop"]
    ports = [(setting.at("electricity"), -1.0 / cop), (setting.at(values.word("output")), 1.0)]
    if values.word("heat"):
        ports.append((setting.at(values.word("heat")), 1.0 + 1.0 / cop))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


PARAMETERS = (
    base.capacity("Largest cooling output", "Công suất lạnh lớn nhất"),
    Parameter("cop", "1", "Cooling per unit of electricity", "Lạnh thu được trên mỗi đơn vị điện", minimum=0.1, maximum=50.0, required=True),
    base.carrier("output", "Carrier that it gives", "Chất mang năng lượng đầu ra", "cooling"),
    Parameter("heat", "carrier", "Carrier that takes the heat of the condenser, which must use all of it; absent: to the air",
              "Chất mang nhận nhiệt ngưng tụ và phải dùng hết; không khai: thải ra không khí"),
    base.variable_cost(),
    base.flow(about="Flow that meters the cooling", about_vi="Dòng đo lạnh"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("chiller", "Chiller", "Máy làm lạnh", PARAMETERS, build, check=base.check_sizing,
            inputs=(Input("cop", "1", "COP of each step, in place of the declared one", "COP từng bước, thay cho giá trị khai", required=False),),
            example="capacity=500 kW; cop=4.5")  # fmt: skip
