# SPDX-License-Identifier: Apache-2.0
"""`change_activity`: flows become larger or smaller, by a share of what they would be or by an amount.

Comes in: `change` (and the flows that place, sector and flow mean) or `amount` (of one flow). Goes out: a scale, or an effect.
"""

from __future__ import annotations

from typing import Any

from mangrove.plan.actions.asked import Asked, KeyProblemError
from mangrove.plan.scenario import Effect

NEEDS: tuple[str, ...] = ()
TAKES = ("flow", "place", "sector", "change", "amount")


def read(asked: Asked) -> dict[str, Any]:
    """The fields of the action."""
    keys = asked.keys
    if (keys["change"] is None) == (keys["amount"] is None):
        raise KeyProblemError("scenario.change_or_amount", "type")
    flows = asked.selected()
    if keys["change"] is not None:
        if keys["change"] < -1:
            low = {"text": f"{100 * keys['change']:g} %", "low": "-100 %", "high": "..."}
            raise KeyProblemError("territory.out_of_range", "change", **low)
        return {"flows": flows, "change": keys["change"]}
    if len(flows) != 1:
        raise KeyProblemError("scenario.one_flow", "amount", count=len(flows))
    amount = asked.hourly(keys["amount"], asked.flows[flows[0]], "amount")
    return {"flows": flows, "effects": (Effect(flows[0], amount),)}
