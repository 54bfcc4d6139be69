# SPDX-License-Identifier: Apache-2.0
"""`switch_technology`: a share of a flow's stock is done by another flow, with a ratio of what is needed for the same service.

Comes in: the flows, `share`, `into`, `ratio` ("0.03 kWh/vehicle_km"). Goes out: moves of the stock. Both flows keep their factors; the
flow that takes over is declared in flows.csv or under `flows` of the scenario, so that its meter can be declared the same way later.
"""

from __future__ import annotations

from typing import Any

from mangrove.plan.actions.asked import Asked, KeyProblemError

NEEDS = ("share", "into")
TAKES = (*NEEDS, "flow", "place", "sector", "ratio", "ratio_uncertainty")


def read(asked: Asked) -> dict[str, Any]:
    """The fields of the action."""
    target = asked.flow(asked.keys["into"], "into")
    flows = tuple(name for name in asked.selected() if name != target.id)
    if not flows:
        raise KeyProblemError("scenario.into_itself", "into", flow=target.id)
    ratios = {asked.ratio(asked.flows[name], target) for name in flows}
    if len(ratios) > 1:
        raise KeyProblemError("scenario.several_units", "flow", flows=", ".join(flows))
    return {
        "flows": flows,
        "to": target.id,
        "share": asked.keys["share"],
        "ratio": ratios.pop(),
        "ratio_error": asked.keys["ratio_uncertainty"],
    }
