# SPDX-License-Identifier: Apache-2.0
"""Places x carriers x time as one sparse program: dispatch, sizing, sharing and symbiosis are the same kinds of rows.

Comes in: arrays. Goes out: a plan with its duals. The core knows no territory; `assets/` says how each declared asset
becomes rows.
"""

from mangrove.network.handles import (
    TIERS,
    Budget,
    Capacity,
    Condition,
    Demand,
    Fixed,
    Node,
    Peak,
    Sessions,
    Store,
    Stream,
)
from mangrove.network.horizon import Horizon
from mangrove.network.model import Network
from mangrove.network.relax import Remedy
from mangrove.network.result import Plan, Relaxation, Shadow

__all__ = [
    "TIERS",
    "Budget",
    "Capacity",
    "Condition",
    "Demand",
    "Fixed",
    "Horizon",
    "Network",
    "Node",
    "Peak",
    "Plan",
    "Relaxation",
    "Remedy",
    "Sessions",
    "Shadow",
    "Store",
    "Stream",
]
