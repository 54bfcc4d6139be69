# SPDX-License-Identifier: Apache-2.0
"""Water treatment: water in, usable water out, electricity per cubic meter, and what is rejected.

z_t m3/h leave,  z_t / r go in (r the recovery),  z_t (1 / r - 1) are rejected,  w z_t of electricity,  z_t <= K
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Kind, Parameter, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the treated water."""
    recovery = values["recovery"]
    ports = [
        (setting.at(values.word("input")), -1.0 / recovery),
        (setting.at(values.word("output")), 1.0),
        (setting.at("electricity"), -values["consumption"]),
    ]
    if values.word("reject"):
        ports.append((setting.at(values.word("reject")), 1.0 / recovery - 1.0))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


PARAMETERS = (
    base.capacity("Largest treated volume per hour", "Lưu lượng nước sau xử lý lớn nhất", "m3/h"),
    Parameter("consumption", "kWh/m3", "Electricity per cubic meter treated", "Điện cho mỗi mét khối nước sau xử lý", maximum=50.0, required=True),
    Parameter("recovery", "1", "Treated water per water taken", "Tỷ lệ nước thu được trên nước đầu vào", 1.0, "no reject unless declared", minimum=0.05, maximum=1.0),
    base.carrier("input", "Carrier that it takes", "Chất mang đầu vào", "wastewater"),
    base.carrier("output", "Carrier that it gives", "Chất mang đầu ra", "water"),
    Parameter("reject", "carrier", "Carrier of the reject; absent: it leaves the network", "Chất mang của phần thải; không khai: ra khỏi mạng lưới"),
    base.variable_cost("m3"),
    base.flow(about="Flow that meters the treated water", about_vi="Dòng đo nước sau xử lý"),
    *base.sizing("m3/h"),
)  # fmt: skip
KIND = Kind("water_treatment", "Water treatment", "Xử lý nước", PARAMETERS, build, check=base.check_sizing,
            example="capacity=100 m3/h; consumption=0.6 kWh/m3; recovery=75 %")  # fmt: skip
