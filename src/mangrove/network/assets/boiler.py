# SPDX-License-Identifier: Apache-2.0
"""Boiler: fuel or electricity to heat or steam.

    heat z_t >= 0 leaves,  z_t / eta of fuel goes in,  z_t <= K

Fuel is counted by its lower heating value, in kW, unless the efficiency was stated for the higher one.
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Kind, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the heat that it gives."""
    ports = [
        (setting.at(values.word("fuel")), -1.0 / values["efficiency"]),
        (setting.at(values.word("output")), 1.0),
    ]
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


PARAMETERS = (
    base.capacity("Largest heat output", "Công suất nhiệt lớn nhất"),
    base.share("efficiency", "Heat per unit of fuel", "Nhiệt thu được trên mỗi đơn vị nhiên liệu"),
    base.carrier("fuel", "Carrier that it burns; electricity for an electric boiler", "Chất mang năng lượng đầu vào; electricity nếu là nồi hơi điện", "fuel"),
    base.carrier("output", "Carrier that it gives: heat or steam", "Chất mang năng lượng đầu ra: heat hoặc steam", "heat"),
    base.variable_cost(),
    base.flow(about="Flow that meters the heat", about_vi="Dòng đo nhiệt"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("boiler", "Boiler", "Nồi hơi", PARAMETERS, build, check=base.check_sizing,
            example="capacity=1.2 MW; efficiency=78 %; fuel=fuel:wood; output=steam")  # fmt: skip
