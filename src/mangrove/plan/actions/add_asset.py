# SPDX-License-Identifier: Apache-2.0
"""`add_asset`: something is built; what it does to flows is stated, so much a year or so much per size.

Comes in: `asset`, `kind`, `place`, `parameters` as in assets.csv, `size`, `effects`. Goes out: the asset and its effects. An effect is a
column of numbers on flows: what a later optimization of sizes needs is the same column with the size left open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mangrove.network import assets
from mangrove.plan.actions.asked import Asked, KeyProblemError
from mangrove.territory.model import Asset

NEEDS = ("asset", "kind", "place", "effects")
TAKES = (*NEEDS, "parameters", "size")


def read(asked: Asked) -> dict[str, Any]:
    """The fields of the action."""
    keys = asked.keys
    if keys["asset"] in asked.territory.assets:
        raise KeyProblemError("scenario.asset_declared", "asset", asset=keys["asset"])
    _check(asked, Asset(keys["asset"], keys["place"], keys["kind"], keys["parameters"]))
    return {
        "asset": keys["asset"],
        "kind": keys["kind"],
        "place": keys["place"],
        "parameters": keys["parameters"],
        "effects": asked.effects(),
    }


def _check(asked: Asked, asset: Asset) -> None:
    """The asset is checked as one of assets.csv: its parameters, their units, a mistyped type."""
    world = replace(asked.territory, assets={asset.id: asset}, flows=asked.flows)
    for problem in assets.problems(world):
        if problem.code == "assets.unknown_type" or problem.severity == "error":
            key = "kind" if problem.code == "assets.unknown_type" else "parameters"
            raise KeyProblemError(problem.code, key, **problem.data)
