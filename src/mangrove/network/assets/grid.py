# SPDX-License-Identifier: Apache-2.0
"""Grid connection: what a site buys and sells under its contract, and the peak that is billed.

0 <= import_t <= K,  cost buy_t;   0 <= export_t <= X,  income sell_t;   never both at once
P_m >= mean power of each averaging window in month m,  cost demand x P_m;   kg of CO2 = factor_t x import
sum of export <= share x sum of own generation                      see `cap_exports`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Input, Kind, Parameter, Setting, Values, checked


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """Import, export, and a charge on the monthly peak, at the prices of `setting.terms`."""
    if setting.terms is None:
        raise RequestError("assets.no_terms", asset=asset_id)
    net, terms, node = setting.network, setting.terms, setting.at("electricity")
    buy = checked(asset_id, "buy", terms.buy, setting.steps, minimum=-np.inf)
    also = []
    if setting.has("carbon"):
        also.append((setting.at("CO2"), setting.read(asset_id, "carbon")))
    size = base.size(setting, asset_id, values)
    bought = net.source(asset_id, node, cost=buy, also=also, **base.limit(size))
    streams: dict[str, Any] = {"import": bought}
    if terms.sell is not None and values["export"] > 0.0:
        sell = checked(asset_id, "sell", terms.sell, setting.steps, minimum=-np.inf)
        streams["export"] = net.sink(f"{asset_id} export", node, cost=-sell, upper=values["export"])
        net.exclusive(bought, streams["export"])
    extra = {"peak": demand_charge(setting, asset_id, bought)} if terms.demand else {}
    flows = values.flows(**{"import": "flow", "export": "export_flow"})
    return Built(streams, capacities=base.chosen(size), flows=flows, extra=extra)


def demand_charge(setting: Setting, asset_id: str, bought: Any) -> Any:
    """The charge on the highest mean power of each billing month, above what the meter has seen already."""
    terms, hours = setting.terms, setting.hours
    assert terms is not None
    month = np.asarray(terms.month, dtype=np.int64)
    edges = np.cumsum(hours) - hours
    block = np.floor(edges / max(terms.window, float(hours.min())) + 1e-9).astype(np.int64)
    rates = np.broadcast_to(np.asarray(terms.demand, dtype=np.float64), (int(month.max()) + 1,))
    return setting.network.peak(
        f"{asset_id} peak", [bought], price=rates, group=month, window=block,
        metered=setting.now.get("metered", 0.0), owner=setting.owner,
    )  # fmt: skip


def cap_exports(
    network: Any,
    name: str,
    exports: Sequence[Any],
    generation: Sequence[Any],
    share: float,
    *,
    allowance: float = 0.0,
) -> Any:
    """Sum export - share x sum generation <= allowance: a rule on what of the own generation may be sold.

    Args:
        network: the network.
        name: unique in the network.
        exports: streams out of the site.
        generation: streams of its own generation.
        share: of the generation, 0 to 1.
        allowance: kWh still allowed from earlier in the year (share x generation - export so far; may be negative).

    Raises:
        RequestError: `assets.share_range`.
    """
    if not 0.0 <= share <= 1.0:
        raise RequestError("assets.share_range", name=name, value=str(share))
    terms = [(stream, 1.0) for stream in exports] + [(stream, -share) for stream in generation]
    return network.budget(name, terms, upper=allowance)


PARAMETERS = (
    base.capacity("Largest import", "Công suất mua lớn nhất"),
    Parameter("export", "kW", "Largest export; none unless declared", "Công suất bán lớn nhất; không bán nếu không khai", 0.0),
    base.flow(about="Flow that meters the import", about_vi="Dòng đo điện mua"),
    base.flow("export_flow", "Flow that meters the export", "Dòng đo điện bán"),
    *base.sizing(),
)  # fmt: skip
KIND = Kind("grid", "Grid connection", "Điểm đấu nối lưới", PARAMETERS, build, check=base.check_sizing,
            inputs=(Input("carbon", "kg/kWh", "CO2e of the grid in each step; needs a node for CO2", "CO2tđ của lưới từng bước; cần nút CO2", required=False),),
            example="capacity=10 MW; export=2 MW; flow=mill_import; export_flow=mill_export")  # fmt: skip
