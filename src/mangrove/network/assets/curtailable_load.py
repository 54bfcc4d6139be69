# SPDX-License-Identifier: Apache-2.0
"""Curtailable load: a demand of which a share may be left out, at the price of what is lost.

outflow_t = d_t - c_t,  0 <= c_t <= s d_t,  cost v c_t      v the value of lost load
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Input, Kind, Parameter, Setting, Values
from mangrove.network.assets.load import TIERS


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """The fixed demand, and a source of what is left out."""
    amount = setting.read(asset_id, "demand")
    node, net = setting.at(values.word("carrier")), setting.network
    sink = net.sink(asset_id, node, amount=amount, tier=values.word("tier"))
    left = net.converter(
        f"{asset_id} curtailed",
        [(node, 1.0)],
        cost=values["value"],
        upper=values["share"] * amount,
        decided=False,
    )
    return Built({"demand": sink, "curtailed": left}, flows=values.flows(demand="flow"))


PARAMETERS = (
    Parameter("value", "VND/kWh", "What a unit left out costs its owner", "Thiệt hại khi thiếu một đơn vị năng lượng", required=True),
    base.share("share", "Largest share of the demand that may be left out", "Tỷ lệ lớn nhất của nhu cầu có thể cắt", default=1.0, source="all of it"),
    base.carrier("carrier", "Carrier that it takes", "Chất mang mà phụ tải dùng", "electricity"),
    Parameter("tier", "text", "When the rest may give way", "Mức ưu tiên của phần còn lại khi phải cắt", "promised", "as for a load", options=TIERS),
    base.flow(about="Flow that meters it", about_vi="Dòng đo phụ tải"),
)  # fmt: skip
KIND = Kind("curtailable_load", "Curtailable load", "Phụ tải cắt được", PARAMETERS, build,
            inputs=(Input("demand", "kW", "Demand of each step", "Nhu cầu từng bước"),),
            example="value=20000 VND/kWh; share=30 %; flow=cold_store")  # fmt: skip
