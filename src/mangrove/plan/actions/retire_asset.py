# SPDX-License-Identifier: Apache-2.0
"""`retire_asset`: something ends; the flow that meters it ends with it, and another may take its place.

Comes in: `asset`, and its `flow` when its parameters name none; `into` and `ratio` for what takes over; `effects` for the rest. Goes
out: a move of the whole stock (to another flow, or nowhere) and effects.
"""

from __future__ import annotations

from typing import Any

from mangrove.errors import did_you_mean
from mangrove.plan.actions.asked import Asked, KeyProblemError

NEEDS = ("asset",)
TAKES = (*NEEDS, "flow", "into", "ratio", "ratio_uncertainty", "size", "effects")


def read(asked: Asked) -> dict[str, Any]:
    """The fields of the action."""
    keys = asked.keys
    asset = asked.territory.assets.get(keys["asset"])
    if asset is None:
        hint = did_you_mean(keys["asset"], asked.territory.assets)
        raise KeyProblemError("scenario.no_asset", "asset", asset=keys["asset"], hint=hint)
    metered = asset.parameters.get("flow")
    names = tuple(keys["flow"]) or ((str(metered),) if metered else ())
    if not names and not keys["effects"]:
        raise KeyProblemError("scenario.retires_nothing", "asset", asset=asset.id)
    flows = tuple(asked.flow(name, "flow").id for name in names)
    found: dict[str, Any] = {"asset": asset.id, "flows": flows, "effects": asked.effects()}
    if keys["into"] is not None:
        target = asked.flow(keys["into"], "into")
        ratios = {asked.ratio(asked.flows[name], target) for name in flows}
        if len(ratios) != 1:
            raise KeyProblemError("scenario.several_units", "flow", flows=", ".join(flows))
        found |= {"to": target.id, "ratio": ratios.pop(), "ratio_error": keys["ratio_uncertainty"]}
    return found
