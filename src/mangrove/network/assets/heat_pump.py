# SPDX-License-Identifier: Apache-2.0
"""Heat pump: electricity and heat of a cold source to heat, at a COP that follows the temperatures.

COP_t = q T_hot / (T_hot - T_cold,t)  (kelvin),  q the share of Carnot's limit that a machine reaches
heat z_t leaves,  z_t / COP_t of electricity and z_t (1 - 1 / COP_t) of source heat go in,  z_t <= K
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Floats, Input, Kind, Parameter, Setting, Values

KELVIN = 273.15
QUALITY = 0.4
SOURCE = (
    "air source: VDE study 'Potenziale für Strom im Wärmemarkt bis 2050' (2015), as cited by oemof.thermal"
)
HIGHEST = 12.0
"""Limit of the COP, so that a source nearly as warm as the sink stays a machine: Carnot's formula grows without bound there."""


def cop(hot: float, cold: npt.ArrayLike, quality: float = QUALITY) -> Floats:
    """COP for a sink at `hot` and a source at `cold`, degrees Celsius, at most `HIGHEST`.

    Example:
        >>> round(float(cop(55.0, 5.0)), 3)
        2.625
    """
    lift = np.maximum(hot - np.asarray(cold, dtype=np.float64), 1e-9)
    return np.clip(quality * (hot + KELVIN) / lift, 1.0, HIGHEST)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """One converter whose activity is the heat; source heat is free unless a carrier is named for it."""
    if "cop" in values:
        gain: float | Floats = values["cop"]
    else:
        cold = (
            setting.read(asset_id, "temperature", -60.0, 150.0)
            if setting.has("temperature")
            else values["cold"]
        )
        gain = cop(values["hot"], cold, values["quality"])
    ports = [(setting.at("electricity"), -1.0 / gain), (setting.at(values.word("output")), 1.0)]
    if values.word("source"):
        ports.append((setting.at(values.word("source")), -(1.0 - 1.0 / gain)))
    stream, capacities = base.converter(setting, asset_id, values, ports)
    return Built({"output": stream}, capacities=capacities, flows=values.flows(output="flow"))


def check(values: Values) -> Iterator[Finding]:
    """Temperatures or a COP must be there, and the sink must be the warmer one."""
    yield from base.check_sizing(values)
    if "cop" not in values and "hot" not in values:
        yield "assets.missing_parameter", {"name": "hot / cop"}
    if "cop" not in values and values.get("hot", 1e3) <= values.get("cold", -1e3):
        yield "assets.band", {"low": "cold", "high": "hot"}


PARAMETERS = (
    base.capacity("Largest heat output", "Công suất nhiệt lớn nhất"),
    Parameter("cop", "1", "Fixed COP, in place of temperatures", "COP cố định, thay cho nhiệt độ", minimum=1.0, maximum=20.0),
    Parameter("hot", "degC", "Temperature of the heat", "Nhiệt độ của nhiệt cấp ra", minimum=0.0, maximum=200.0),
    Parameter("cold", "degC", "Temperature of the source, where no series is given", "Nhiệt độ nguồn, khi không có chuỗi số liệu",
              minimum=-60.0, maximum=150.0),
    Parameter("quality", "1", "Share of Carnot's limit that the machine reaches", "Tỷ lệ đạt được so với giới hạn Carnot", QUALITY,
              SOURCE, minimum=0.05, maximum=0.9),
    base.carrier("output", "Carrier that it gives", "Chất mang năng lượng đầu ra", "heat"),
    Parameter("source", "carrier", "Carrier of the source heat; absent: air or ground, free", "Chất mang của nguồn nhiệt; không khai: không khí hoặc đất, miễn phí"),
    base.variable_cost(),
    base.flow(about="Flow that meters the heat", about_vi="Dòng đo nhiệt"),
    *base.sizing(),
    base.once(),
)  # fmt: skip
KIND = Kind("heat_pump", "Heat pump", "Bơm nhiệt", PARAMETERS, build, check=check,
            inputs=(Input("temperature", "degC", "Temperature of the source in each step", "Nhiệt độ nguồn từng bước", required=False),),
            example="capacity=300 kW; hot=65 degC; cold=25 degC")  # fmt: skip
