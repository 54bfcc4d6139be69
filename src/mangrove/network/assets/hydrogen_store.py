# SPDX-License-Identifier: Apache-2.0
"""Hydrogen store: a tank whose level stands in the balance itself, without streams in and out (the lean form).

inflow_t - (e_t - e_{t-1}) / h = outflow_t,  0 <= e_t <= E
"""

from __future__ import annotations

from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Kind, Setting, Values


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A lossless store at the hydrogen node; over representative days, where a level needs streams, it gets them."""
    size = base.size(setting, asset_id, values)
    node = setting.at(values.word("output"))
    lean = {"charge": None, "discharge": None} if setting.network.horizon.order is None else {}
    store = setting.network.store(
        asset_id, node, energy=size, start=None if setting.start is None else setting.start * values.get("capacity", 0.0),
        **lean,
    )  # fmt: skip
    return Built({}, {"energy": store}, base.chosen(size))


PARAMETERS = (
    base.capacity("Hydrogen that fits in", "Lượng hydro chứa được", "kg"),
    base.carrier("output", "Carrier that it keeps", "Chất mang được trữ", "hydrogen"),
    *base.sizing("kg"),
)  # fmt: skip
KIND = Kind("hydrogen_store", "Hydrogen store", "Bồn chứa hydro", PARAMETERS, build, check=base.check_sizing,
            example="capacity=500 kg")  # fmt: skip
