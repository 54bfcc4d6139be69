# SPDX-License-Identifier: Apache-2.0
"""Load: a demand that nobody controls.

outflow_t = d_t      it gives way only in its tier
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Input, Kind, Parameter, Setting, Values

TIERS = ("safety", "promised", "comfort", "contract", "preference")


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A fixed sink."""
    amount = setting.read(asset_id, "demand")
    node = setting.at(values.word("carrier"))
    sink = setting.network.sink(asset_id, node, amount=amount, tier=values.word("tier"))
    return Built({"demand": sink}, flows=values.flows(demand="flow"))


PARAMETERS = (
    base.carrier("carrier", "Carrier that it takes", "Chất mang mà phụ tải dùng", "electricity"),
    Parameter("tier", "text", "When it may give way: safety (never), promised, comfort, contract, preference",
              "Mức ưu tiên khi phải cắt: safety (không bao giờ), promised, comfort, contract, preference", "promised",
              "the order of the design: safety, promised energy, comfort, contract, preference", options=TIERS),
    base.flow(about="Flow that meters it", about_vi="Dòng đo phụ tải"),
)  # fmt: skip
KIND = Kind("load", "Load", "Phụ tải", PARAMETERS, build,
            inputs=(Input("demand", "kW", "Demand of each step", "Nhu cầu từng bước"),), example="flow=mill_power")  # fmt: skip
