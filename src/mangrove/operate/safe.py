# SPDX-License-Identifier: Apache-2.0
"""The safe rule: what a site does when no plan can be trusted, and why it took over.

Comes in: what is seen in a step, and the reason. Goes out: orders: own generation is used first and stored, a reserve stays in the
batteries, vehicles charge at once within the connection. Everything it needs is measured at the site itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mangrove.errors import InfeasibleError, MangroveError, Problem
from mangrove.operate.execute import Orders
from mangrove.operate.rules import View, at_once, follow
from mangrove.operate.site import Site
from mangrove.operate.state import HOUR_SECONDS, SECOND

RESERVE = 0.2
"""Share of a battery that the safe rule keeps, for the hour in which the plan comes back (a convention, not a measurement)."""
FRESH_HOURS = 6.0
"""A forecast older than this is stale: weather services renew theirs every six hours (00, 06, 12, 18 UTC runs)."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old inputs may be, in hours: `forecasts` since they were made, `readings` since the last one."""

    forecasts: float = FRESH_HOURS
    readings: float = 1.0


def safe_rule(site: Site, view: View, reason: str, *, reserve: float = RESERVE) -> Orders:
    """Self-consumption with a reserve; vehicles at once; nothing above the peak that is billed already, as far as possible.

    Readings that are no numbers count as no surplus: the batteries then rest.
    """
    known = math.isfinite(view.load) and math.isfinite(view.generated)
    powers = at_once(site, view) if known else {}
    if known:
        powers.update(_stations(site, view, sum(powers.values())))
        net = view.load + sum(powers.values()) - view.generated
        powers.update(follow(site, view, net, reserve))
    else:
        powers.update(dict.fromkeys((b.id for b in site.batteries), 0.0))
    return Orders(powers, ceiling=view.state.peak or math.inf, by="safe", reason=reason)


def _stations(site: Site, view: View, vehicles: float) -> dict[str, float]:
    """KW by swap station: all bays charge, within the connection; full packs refuse by themselves."""
    left = max(site.importing - max(view.load + vehicles - view.generated, 0.0), 0.0)
    found = {}
    for station in site.stations:
        found[station.id] = min(station.power, left)
        left -= found[station.id]
    return found


def why(error: Exception) -> str:
    """The code of the reason that an error gives for taking over."""
    if isinstance(error, InfeasibleError):
        return "operate.safe_infeasible"
    if isinstance(error, MangroveError):
        return "operate.safe_late" if error.code == "network.time_limit" else error.code
    return "operate.safe_solver"


def stale(
    now: np.datetime64,
    made: Mapping[str, np.datetime64 | None],
    read: Mapping[str, np.datetime64 | None],
    limits: Freshness,
) -> list[Problem]:
    """The inputs that are too old to plan with, each with its age.

    Args:
        now: the moment.
        made: forecast -> when it was made; None: there is none.
        read: flow -> end of its last reading; None: it was never read.
        limits: how old they may be.
    """
    found = []
    for code, ages, most in (
        ("operate.stale_forecast", made, limits.forecasts),
        ("operate.stale_reading", read, limits.readings),
    ):
        for name, moment in ages.items():
            hours = math.inf if moment is None else float((now - moment) / SECOND) / HOUR_SECONDS
            if hours > most:
                age = "-" if moment is None else f"{hours:.1f}"
                found.append(Problem(code, {"name": name, "hours": age, "most": most}, severity="warning"))
    return found
