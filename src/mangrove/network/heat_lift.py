# SPDX-License-Identifier: Apache-2.0
"""Where a heat pump pays: from what streams have to spare below the pinch to what they lack above it.

Comes in: pinch targets. Goes out: the heat pump that saves most money for a given ratio of prices, with its temperatures, its
heat, its coefficient of performance and its electricity. A pump on one side of the pinch only turns electricity into heat that
was not needed or cools what needs heat (Linnhoff & Townsend 1983); so only pumps across it are looked at.

    COP = q T_cond / (T_cond - T_evap) (kelvin);   heat given Q <= what passes down at the sink's level;
    Q (1 - 1 / COP) <= what passes down at the source's level;   saved, in units of the price of heat: Q (1 - r / COP)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.network.assets.heat_pump import HIGHEST, KELVIN, QUALITY
from mangrove.network.heat import Targets

Floats = npt.NDArray[np.float64]
HOTTEST = 200.0
"""Degrees Celsius; the highest heat that the asset `heat_pump` may give."""
_MOST, _BETWEEN = 500, 201


@dataclass(frozen=True, slots=True)
class Lift:
    """A heat pump across the pinch.

    Attributes:
        source, sink: shifted temperatures of the heat that it takes and gives.
        evaporating, condensing: temperatures inside the pump, degrees Celsius.
        heat: what it gives, which is hot utility saved; cooling: what it takes, which is cold utility saved.
        power: electricity.
        cop: heat / power.
    """

    source: float
    sink: float
    evaporating: float
    condensing: float
    heat: float
    cooling: float
    power: float
    cop: float


def lift(targets: Targets, *, ratio: float, approach: float = 5.0, quality: float = QUALITY) -> Lift | None:
    """The pump that saves most when electricity costs `ratio` times as much as heat; None when none saves anything.

    Args:
        targets: of the streams.
        ratio: price of a kWh of electricity over that of a kWh of heat.
        approach: K between the pump and the shifted levels that it serves, on either side.
        quality: share of Carnot's limit; the default and its source are those of the asset `heat_pump`.

    Example:
        >>> from mangrove.network.heat import Streams, pinch
        >>> found = lift(pinch(Streams.of([90, 60], [60, 90], cp=[10, 10])), ratio=2.0)
        >>> found.source, found.sink, round(found.cop, 2), round(found.heat), round(found.power)
        (58.0, 95.0, 3.18, 100, 31)
    """
    if targets.threshold or not targets.pinches:
        return None
    between = np.setdiff1d(np.linspace(targets.levels[0], targets.levels[-1], _BETWEEN), targets.levels)
    levels = np.concatenate([targets.levels, between])
    order = np.argsort(levels, kind="stable")
    cascade = np.concatenate([targets.cascade, np.interp(between, targets.levels, targets.cascade)])[order]
    levels = levels[order]
    above, below = levels >= targets.pinches[-1], levels <= targets.pinches[0]
    lacking = np.minimum.accumulate(cascade[above][::-1])[::-1]
    spare = np.minimum.accumulate(cascade[below])
    sinks, need = _thin(levels[above], lacking)
    sources, have = _thin(levels[below], spare)
    hot, cold = sinks[:, None] + approach, sources[None, :] - approach
    gain = np.minimum(quality * (hot + KELVIN) / np.maximum(hot - cold, 1e-9), HIGHEST)
    works = (gain > 1.0) & (hot <= HOTTEST)
    gain = np.maximum(gain, 1.0 + 1e-12)
    heat = np.minimum(need[:, None], have[None, :] * gain / (gain - 1.0))
    saved = np.where(works, heat * (1.0 - ratio / gain), -np.inf)
    i, j = np.unravel_index(int(np.argmax(saved)), saved.shape)
    if saved[i, j] <= 0.0:
        return None
    amount, cop = float(heat[i, j]), float(gain[i, j])
    ends = (float(sources[j]), float(sinks[i]), float(cold[0, j]), float(hot[i, 0]))
    return Lift(*ends, amount, amount * (1.0 - 1.0 / cop), amount / cop, cop)


def _thin(levels: Floats, heat: Floats) -> tuple[Floats, Floats]:
    """Levels with heat, at most `_MOST` of them, evenly chosen: more would not move the best pump by a kelvin."""
    used = np.flatnonzero(heat > 0)
    used = used[np.unique(np.linspace(0, len(used) - 1, min(len(used), _MOST)).astype(int))]
    return levels[used], heat[used]
