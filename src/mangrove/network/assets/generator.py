# SPDX-License-Identifier: Apache-2.0
"""Generator: fuel to electricity, at constant efficiency or, when it is committed, by a fuel curve with an idle share.

    plain:      electricity z_t leaves,  z_t / eta of fuel goes in,  z_t <= K
    committed:  fuel_t = ((1 - i) z_t + i K on_t) / eta,  m K on_t <= z_t <= K on_t,  on_t in {0, 1}

i is the fuel at no load over the fuel at full load, m the least load. The second needs binary variables.
"""

from __future__ import annotations

from collections.abc import Iterator

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values

EFFICIENCY = 1.0 / (0.076 * 40.7)
SOURCE = (
    "0.076 gal/kWh: default of Generator in NREL's REopt.jl; 40.7 kWh/gal, higher heating value of diesel"
)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter, or with commitment one for the load and one for being on."""
    net, fuel, power = setting.network, setting.at(values.word("fuel")), setting.at("electricity")
    burn = 1.0 / values["efficiency"]
    flows = values.flows(output="flow", fuel="fuel_flow")
    size = base.size(setting, asset_id, values)
    if not (values["idle"] or values["least"]) or not isinstance(size, float):
        stream, capacities = base.converter(setting, asset_id, values, [(fuel, -burn), (power, 1.0)], size)
        return Built({"output": stream}, capacities=capacities, flows=flows)
    idle, least = values["idle"], values["least"]
    ports = [(fuel, -burn * (1.0 - idle)), (power, 1.0)]
    stream = net.converter(asset_id, ports, cost=values.get("variable_cost", 0.0), upper=size)
    on = net.converter(f"{asset_id} on", [(fuel, -burn * idle)], upper=size)
    net.minimum(on, size)
    lp = net.program
    below = lp.rows(f"{asset_id} running", stream.columns.shape, upper=0.0)
    lp.terms(below, stream.columns, 1.0)
    lp.terms(below, on.columns, -1.0)
    if least:
        above = lp.rows(f"{asset_id} least load", stream.columns.shape, lower=0.0)
        lp.terms(above, stream.columns, 1.0)
        lp.terms(above, on.columns, -least)
    return Built({"output": stream, "on": on}, flows=flows)


def check(values: Values) -> Iterator[Finding]:
    """Commitment needs a fixed size."""
    yield from base.check_sizing(values)
    if "max_capacity" in values and (values["idle"] or values["least"]):
        yield "assets.not_together", {"name": "max_capacity", "other": "idle, least"}


PARAMETERS = (
    base.capacity("Rated electric output", "Công suất điện định mức"),
    Parameter("efficiency", "1", "Electricity per unit of fuel at full load", "Điện trên mỗi đơn vị nhiên liệu khi đầy tải", EFFICIENCY, SOURCE,
              minimum=0.01, maximum=1.0),
    base.share("idle", "Fuel at no load over fuel at full load; none unless declared", "Nhiên liệu khi không tải so với khi đầy tải; bằng không nếu không khai", default=0.0),
    base.share("least", "Least load while it runs; none unless declared", "Mức tải thấp nhất khi chạy; bằng không nếu không khai", default=0.0),
    base.carrier("fuel", "Carrier that it burns", "Chất mang năng lượng đầu vào", "fuel:diesel"),
    base.variable_cost(),
    base.flow(about="Flow that meters the electricity", about_vi="Dòng đo điện"),
    base.flow("fuel_flow", "Flow that meters the fuel", "Dòng đo nhiên liệu"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("generator", "Generator", "Máy phát điện", PARAMETERS, build, check=check,
            example="capacity=800 kW; fuel=fuel:diesel")  # fmt: skip
