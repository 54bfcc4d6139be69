# SPDX-License-Identifier: Apache-2.0
"""Combined heat and power, with a fixed ratio (back-pressure) or with a choice between power and heat (extraction).

Back-pressure, activity = electricity P:   fuel P / eta_e,  heat P eta_h / eta_e,  P <= K
Extraction: fuel F feeds two modes, F = P_c / eta_c + P_b / eta_e,  F <= K / eta_c
    electricity P_c + P_b,  heat P_b eta_h / eta_e        so each unit of heat costs (eta_c - eta_e) / eta_h of electricity
"""

from __future__ import annotations

from collections.abc import Iterator

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter, or three with a node of burnt fuel between them."""
    fuel, power, heat = (
        setting.at(name) for name in (values.word("fuel"), "electricity", values.word("output"))
    )
    electric, thermal = values["electric"], values["thermal"]
    flows = values.flows(output="flow", heat="heat_flow")
    if "condensing" not in values:
        ports = [(fuel, -1.0 / electric), (power, 1.0), (heat, thermal / electric)]
        stream, capacities = base.converter(setting, asset_id, values, ports)
        return Built({"output": stream}, capacities=capacities, flows=flows)
    net, condensing = setting.network, values["condensing"]
    burnt = net.node(f"{asset_id} burnt", owner=setting.owner)
    size = base.size(setting, asset_id, values)
    limit = (
        {"upper": size / condensing}
        if isinstance(size, float)
        else {"capacity": size, "profile": 1.0 / condensing}
    )
    fire = net.converter(f"{asset_id} fuel", [(fuel, -1.0), (burnt, 1.0)], **limit)
    cost = values.get("variable_cost", 0.0)
    free = net.converter(f"{asset_id} condensing", [(burnt, -1.0 / condensing), (power, 1.0)], cost=cost)
    back = net.converter(
        f"{asset_id} back-pressure",
        [(burnt, -1.0 / electric), (power, 1.0), (heat, thermal / electric)],
        cost=cost,
    )
    return Built(
        {"input": fire, "condensing": free, "output": back}, capacities=base.chosen(size), flows=flows
    )


def check(values: Values) -> Iterator[Finding]:
    """No more comes out than goes in, and taking heat costs electricity."""
    yield from base.check_sizing(values)
    if values["electric"] + values["thermal"] > 1.0 + 1e-9:
        yield "assets.creates_energy", {"names": "electric + thermal"}
    if values.get("condensing", 1.0) < values["electric"]:
        yield "assets.band", {"low": "electric", "high": "condensing"}


PARAMETERS = (
    base.capacity("Largest electric output", "Công suất điện lớn nhất"),
    base.share("electric", "Electricity per unit of fuel while it gives heat", "Điện trên mỗi đơn vị nhiên liệu khi cấp nhiệt"),
    base.share("thermal", "Heat per unit of fuel", "Nhiệt trên mỗi đơn vị nhiên liệu"),
    Parameter("condensing", "1", "Electricity per unit of fuel when no heat is taken; makes it an extraction unit",
              "Điện trên mỗi đơn vị nhiên liệu khi không lấy nhiệt; khi khai thì là loại trích hơi", minimum=0.01, maximum=1.0),
    base.carrier("fuel", "Carrier that it burns", "Chất mang năng lượng đầu vào", "fuel"),
    base.carrier("output", "Carrier of the heat: heat or steam", "Chất mang của nhiệt: heat hoặc steam", "heat"),
    base.variable_cost(),
    base.flow(about="Flow that meters the electricity", about_vi="Dòng đo điện"),
    base.flow("heat_flow", "Flow that meters the heat", "Dòng đo nhiệt"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("chp", "Combined heat and power", "Đồng phát nhiệt điện", PARAMETERS, build, check=check,
            example="capacity=2 MW; electric=30 %; thermal=50 %; condensing=38 %; output=steam")  # fmt: skip
