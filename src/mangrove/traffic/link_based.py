# SPDX-License-Identifier: Apache-2.0
"""User equilibrium by links: biconjugate Frank-Wolfe, for large networks with little congestion.

Comes in: a road network as arrays and a demand matrix. Goes out: link flows. Each step loads all trips on the cheapest paths, mixes that
with the last two directions so that they are conjugate, and searches along the line (Mitradjieva and Lindberg 2013, "The
stiff is moving: conjugate direction Frank-Wolfe methods with applications to traffic assignment", Transportation Science 47, 280-293).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mangrove.traffic.compiled import compiled
from mangrove.traffic.paths import Curve, Graph, Links, cost_at, load, renew_all

_BISECTIONS = 40
_NEARLY = 0.99
"""Weights of earlier directions stay below this, so that every direction holds some of the newest loading."""


@compiled
def assign(
    trips: Any, fixed: Any, graph: Graph, curve: Curve, gap: float, rounds: int
) -> tuple[Any, float, int, float]:
    """Equilibrium flows (A,), the gap reached, rounds done, trips that no path connects; arguments as in `bush.assign`."""
    count = len(graph.tail)
    links = Links(fixed.copy(), np.empty(count), np.empty(count))
    renew_all(links, curve)
    loaded, _, lost = load(trips, links.cost, graph)
    links.flow[:] = fixed + loaded
    last, before, step = links.flow.copy(), links.flow.copy(), 1.0
    reached, done, fresh = 1.0, 0, 0
    while done < rounds:
        done += 1
        renew_all(links, curve)
        total = ((links.flow - fixed) * links.cost).sum()
        target, least, _ = load(trips, links.cost, graph)
        target += fixed
        reached = (total - least) / total if total > 0.0 else 0.0
        if reached <= gap:
            break
        fresh = fresh if step < _NEARLY else 0
        if fresh > 1:
            mu, nu = _weights(links, target, last, before, step)
            target = (target + nu * last + mu * before) / (1.0 + mu + nu)
        elif fresh:
            share = _conjugate(links, target, last)
            target = share * last + (1.0 - share) * target
        direction = target - links.flow
        step = _step(links.flow, direction, curve)
        links.flow[:] = np.maximum(links.flow + step * direction, 0.0)
        before, last = last, target
        fresh += 1
    return links.flow, reached, done, lost


@compiled
def _step(flow: Any, direction: Any, curve: Curve) -> float:
    """The step in [0, 1] at which the potential is least: its derivative is zero there."""
    t0, b, cap, p = curve
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        slope = 0.0
        for link in range(len(flow)):
            if direction[link] != 0.0:
                at = max(flow[link] + middle * direction[link], 0.0)
                slope += direction[link] * cost_at(at, t0[link], b[link], cap[link], p[link])
        if slope > 0.0:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@compiled
def _conjugate(links: Links, target: Any, last: Any) -> float:
    """Weight of the last direction that makes the new one conjugate to it."""
    old = (last - links.flow) * links.slope
    d = (old * (target - last)).sum()
    return min(max((old * (target - links.flow)).sum() / d, 0.0), _NEARLY) if d != 0.0 else 0.0


@compiled
def _weights(links: Links, target: Any, last: Any, before: Any, step: float) -> tuple[float, float]:
    """Weights (mu, nu) of the direction before the last one and of the last one."""
    mixed = (step * last + (1.0 - step) * before - links.flow) * links.slope
    d = (mixed * (before - last)).sum()
    mu = max(0.0, -(mixed * (target - links.flow)).sum() / d) if d != 0.0 else 0.0
    old = (last - links.flow) * links.slope
    d = (old * (last - links.flow)).sum()
    if d <= 0.0:
        return mu, 0.0
    return mu, max(0.0, -(old * (target - links.flow)).sum() / d + mu * step / (1.0 - step))
