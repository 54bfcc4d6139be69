# SPDX-License-Identifier: Apache-2.0
"""Thermal store: a tank of hot or chilled water, with a loss per hour.

e_t = (1 - loss)^h e_{t-1} + h (u+_t - u-_t),  0 <= e_t <= E,  0 <= u+, u- <= P
"""

from __future__ import annotations

from collections.abc import Iterator

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Kind, Parameter, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A store at the node of its carrier."""
    size = base.size(setting, asset_id, values)
    power = values.get("power", float("inf"))
    store = setting.network.store(
        asset_id, setting.at(values.word("output")), energy=size, charge=power, discharge=power, loss=values["loss"],
        start=None if setting.start is None else setting.start * values.get("capacity", 0.0),
    )  # fmt: skip
    flows = values.flows(charge="charge_flow", discharge="discharge_flow")
    return Built(
        {"charge": store.charging, "discharge": store.discharging},
        {"energy": store},
        base.chosen(size),
        flows,
    )


def check(values: Values) -> Iterator[Finding]:
    """As for every capacity."""
    yield from base.check_sizing(values)


PARAMETERS = (
    base.capacity("Heat (or cooling) that fits in", "Lượng nhiệt (hoặc lạnh) chứa được", "kWh"),
    Parameter("power", "kW", "Largest rate in and out; unlimited unless declared", "Công suất nạp và lấy lớn nhất; không giới hạn nếu không khai"),
    Parameter("loss", "1/h", "Share of the content lost in an hour", "Tỷ lệ nhiệt mất mỗi giờ", maximum=0.5, required=True),
    base.carrier("output", "Carrier that it keeps: heat, steam, cooling", "Chất mang được trữ: heat, steam, cooling", "heat"),
    base.flow("charge_flow", "Flow that meters what goes in", "Dòng đo lượng nạp"),
    base.flow("discharge_flow", "Flow that meters what comes out", "Dòng đo lượng lấy ra"),
    *base.sizing("kWh"),
)  # fmt: skip
KIND = Kind("thermal_store", "Thermal store", "Bồn trữ nhiệt", PARAMETERS, build, check=check,
            example="capacity=5 MWh; power=1 MW; loss=0.5 %/h; output=cooling")  # fmt: skip
