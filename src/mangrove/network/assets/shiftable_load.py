# SPDX-License-Identifier: Apache-2.0
"""Shiftable load: energy that must be used within its window, at any time inside it.

fixed part (1 - s) d_t;  0 <= x_t <= P;  sum of h_t x_t over window w = s x sum of h_t d_t over it, in tier comfort
"""

from __future__ import annotations

import numpy as np

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Floats, Input, Kind, Parameter, Setting, Values
from mangrove.network.handles import Wish


def windows(hours: Floats, length: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(T,) number of the window in which each step begins, from 0.

    Example:
        >>> windows(np.full(6, 0.5), 1.0).tolist()
        [0, 0, 1, 1, 2, 2]
    """
    begun = np.cumsum(hours) - hours
    return np.floor(begun / length + 1e-9).astype(np.int64)


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A fixed part, a free part, and one row per window and scenario."""
    net, demand = setting.network, setting.read(asset_id, "demand")
    node, share, hours = setting.at(values.word("carrier")), values["share"], setting.hours
    rest = net.sink(asset_id, node, amount=(1.0 - share) * demand)
    power = values.get("power", float(share * demand.max()))
    moved = net.converter(f"{asset_id} shifted", [(node, -1.0)], upper=power, cost=0.0)
    window = (
        setting.read(asset_id, "window", 0.0).astype(np.int64)
        if setting.has("window")
        else windows(hours, values["window"])
    )
    count, scenarios = int(window.max()) + 1, moved.columns.shape[1]
    need = np.zeros((scenarios, count))
    np.add.at(need.T, window, np.broadcast_to(share * demand * hours, (scenarios, len(hours))).T)
    rows = net.program.rows(
        f"{asset_id} window", (scenarios, count), lower=need, upper=need, owners=node.owners * scenarios
    )
    net.program.terms(rows[:, window], moved.columns[0], hours[None, :])
    net.wishes.append(
        Wish(
            f"{asset_id} window", "comfort", (asset_id,), "lower", rows[None], np.ones((1, scenarios, count))
        )
    )
    return Built(
        {"demand": rest, "shifted": moved}, flows=values.flows(demand="flow"), extra={"window": rows}
    )


PARAMETERS = (
    Parameter("window", "h", "Length of the windows inside which energy may move, from the first step on",
              "Độ dài cửa sổ mà năng lượng có thể dịch chuyển, tính từ bước đầu", 24.0, "a day", minimum=0.25, maximum=8784.0),
    base.share("share", "Share of the demand that may move", "Tỷ lệ nhu cầu dịch chuyển được", default=1.0, source="all of it"),
    Parameter("power", "kW", "Largest power of the movable part; its highest demand unless declared",
              "Công suất lớn nhất của phần dịch chuyển; bằng nhu cầu cao nhất nếu không khai"),
    base.carrier("carrier", "Carrier that it takes", "Chất mang mà phụ tải dùng", "electricity"),
    base.flow(about="Flow that meters it", about_vi="Dòng đo phụ tải"),
)  # fmt: skip
KIND = Kind("shiftable_load", "Shiftable load", "Phụ tải dịch chuyển được", PARAMETERS, build,
            inputs=(Input("demand", "kW", "Demand of each step, before it moves", "Nhu cầu từng bước, trước khi dịch chuyển"),
                    Input("window", "1", "Number of the window of each step, from 0", "Số thứ tự cửa sổ của từng bước, từ 0", required=False)),
            example="window=24 h; share=40 %; flow=pumps")  # fmt: skip
