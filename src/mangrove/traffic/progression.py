# SPDX-License-Identifier: Apache-2.0
"""Offsets that let platoons through: a start for the search, found without simulation.

Comes in: a plan, which vehicles pass which stages one after the other, and how long they drive between. Goes out: offsets. A platoon that
leaves in one green and arrives in another's red waits until that green begins; offsets are changed one signal after the other, as TRANSYT
climbs its hill (Robertson 1969), until none lowers the sum of waiting times. Queues and dispersion are left to the simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mangrove.traffic import demand_draws
from mangrove.traffic.fixed_plan import FixedPlan, SignalPlan, elements
from mangrove.traffic.movements import Movement

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SWEEPS = 30
_SLOWEST = 1.0
"""m/s; edges that state less are taken at this."""


@dataclass(frozen=True, slots=True)
class Link:
    """Vehicles that pass stage `leave` of signal `source` and then stage `arrive` of signal `target`: how many, and s between."""

    source: int
    leave: int
    target: int
    arrive: int
    flow: float
    seconds: float


def coordinated(plan: FixedPlan, links: Sequence[Link]) -> FixedPlan:
    """The plan with offsets, in whole seconds, that lower the waiting time of platoons; all cycles must be the same whole seconds.

    Signals are joined into groups, the busiest links first, each group moved as one so that it fits the other; then single signals
    move while that helps. The same without joining, from the offsets as they are, is kept when it is better.
    """
    if not links:
        return plan
    cycle = round(plan.signals[0].cycle)
    clocks = _Clocks(links, [_waits(plan, link, cycle) * link.flow for link in links], cycle)
    start = np.array([round(signal.offset) % cycle for signal in plan.signals])
    found = min((clocks.climbed(start), clocks.climbed(clocks.joined(start))), key=clocks.cost)
    signals = [replace(s, offset=float(o)) for s, o in zip(plan.signals, found, strict=True)]
    return replace(plan, signals=tuple(signals))


@dataclass(frozen=True)
class _Clocks:
    """Links with their waits by how much later the target's clock runs than the source's, each (cycle,)."""

    links: Sequence[Link]
    waits: Sequence[Floats]
    cycle: int

    def cost(self, offsets: Ints) -> float:
        """Flow-weighted wait of all links."""
        pairs = zip(self.links, self.waits, strict=True)
        return float(sum(w[(offsets[k.target] - offsets[k.source]) % self.cycle] for k, w in pairs))

    def joined(self, offsets: Ints) -> Ints:
        """Offsets after joining groups along the busiest links."""
        offsets = offsets.copy()
        group = np.arange(len(offsets))
        for link in sorted(self.links, key=lambda one: -one.flow):
            kept, moved = group[link.source], group[link.target]
            if kept != moved:
                inside = group == moved
                shift = int(self._shifts(offsets, inside, group == kept).argmin())
                offsets[inside] = (offsets[inside] + shift) % self.cycle
                group[inside] = kept
        return offsets

    def climbed(self, offsets: Ints) -> Ints:
        """Offsets after single signals moved while that helped."""
        offsets = offsets.copy()
        for _ in range(_SWEEPS):
            before = offsets.copy()
            for at in range(len(offsets)):
                alone = np.arange(len(offsets)) == at
                cost = self._shifts(offsets, alone, ~alone)
                if cost[0] > cost.min() + 1e-9:
                    offsets[at] = (offsets[at] + int(cost.argmin())) % self.cycle
            if (offsets == before).all():
                break
        return offsets

    def _shifts(self, offsets: Ints, moved: Bools, kept: Bools) -> Floats:
        """(cycle,) wait of the links between two groups by how far the first is moved."""
        shifts = np.arange(self.cycle)
        cost = np.zeros(self.cycle)
        for link, wait in zip(self.links, self.waits, strict=True):
            later = offsets[link.target] - offsets[link.source]
            if moved[link.target] and kept[link.source]:
                cost += wait[(later + shifts) % self.cycle]
            elif moved[link.source] and kept[link.target]:
                cost += wait[(later - shifts) % self.cycle]
        return cost


def _waits(plan: FixedPlan, link: Link, cycle: int) -> Floats:
    """(cycle,) mean wait of the platoon by how many seconds later the target's clock runs."""
    start, green = _window(plan.signals[link.source], link.leave)
    opens, width = _window(plan.signals[link.target], link.arrive)
    arrivals = start + np.arange(0.5, max(green, 1.0)) + link.seconds
    at = (arrivals[None, :] - opens - np.arange(cycle)[:, None]) % cycle
    waits: Floats = np.where(at < width, 0.0, cycle - at).mean(axis=1)
    return waits


def _window(signal: SignalPlan, stage: int) -> tuple[float, float]:
    """When a stage becomes green after the first one, and for how long, s."""
    return sum(s.green + s.lost for s in signal.stages[:stage]), signal.stages[stage].green


def links_of(
    net: Path, plan: FixedPlan, movements: Mapping[str, Sequence[Movement]], routes: Sequence[Path]
) -> list[Link]:
    """The links between stages, from vehicles that state the edges of their route (flows count with their vehicles)."""
    seconds = _seconds(net)
    stage = _stages(plan, movements)
    found: dict[tuple[int, int, int, int], tuple[float, float]] = {}
    for edges, units, fastest in demand_draws.routes_of(demand_draws.read_routes(routes)):
        last: tuple[int, int] | None = None
        driven = 0.0
        for edge, following in pairwise(edges):
            length, speed = seconds.get(edge, (0.0, 1.0))
            driven += length / min(speed, fastest)
            here = stage.get((edge, following))
            if here is None:
                continue
            if last is not None:
                flow, sum_ = found.get((*last, *here), (0.0, 0.0))
                found[*last, *here] = (flow + units, sum_ + units * driven)
            last, driven = here, 0.0
    return [Link(*key, flow, total / flow) for key, (flow, total) in found.items() if flow > 0]


def _seconds(net: Path) -> dict[str, tuple[float, float]]:
    """Length, m, and highest speed, m/s, of each edge."""
    found = {}
    for edge in elements(net, ("edge",)):
        lanes = edge.findall("lane")
        if lanes and edge.get("from"):
            length = max(float(lane.get("length", "0")) for lane in lanes)
            speed = max(float(lane.get("speed", "0")) for lane in lanes)
            found[edge.get("id", "")] = (length, max(speed, _SLOWEST))
    return found


def _stages(
    plan: FixedPlan, movements: Mapping[str, Sequence[Movement]]
) -> dict[tuple[str, str], tuple[int, int]]:
    """(signal, stage) of each turn from edge to edge: the longest stage in which it is green; turns that are always green have none."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for at, signal in enumerate(plan.signals):
        for movement in movements.get(signal.id, ()):
            green = [
                n
                for n, stage in enumerate(signal.stages)
                if movement.index < len(stage.state) and stage.state[movement.index] in "Gg"
            ]
            if movement.crossing is None and green and len(green) < len(signal.stages):
                best = max(green, key=lambda n: signal.stages[n].green)
                found.setdefault((movement.source, movement.target), (at, best))
    return found
