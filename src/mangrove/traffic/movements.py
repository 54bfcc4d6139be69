# SPDX-License-Identifier: Apache-2.0
"""What the letters of a signal mean on the ground: which roads meet there, how wide they are, and how long people need to cross them.

Comes in: a SUMO network and a plan. Goes out: the movements of each signal, and the least green of each stage: the declared minimum, and
where people cross beside the green traffic, the time to walk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mangrove.errors import RequestError
from mangrove.traffic.fixed_plan import FixedPlan, SignalPlan, elements
from mangrove.traffic.guards import WALK_MIN, WALK_SPEED

MINIMUM_GREEN = 7.0
"""s: the least green that the signal controller of this package keeps too; a declared default, to be set by who owns the signals."""
PEDESTRIANS = ("roads", "crossings", "none")
"""Whose crossing time is kept: of the crossings drawn in the network, and where none is, of the roads themselves; of drawn crossings
alone; of nobody."""
_LANE_WIDTH = 3.2
"""m: SUMO's default where a lane states no width (SUMO, netconvert option `default.lanewidth`)."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What one letter of a signal controls.

    Attributes:
        index: of the letter.
        source, target: edges.
        source_name, target_name: streets; empty where the network has no names.
        turn: s straight, l left, r right, t back (SUMO's `dir`), "" for a crossing.
        crossing: length of the pedestrian crossing, m; None for vehicles.
        width: of the road that the vehicles come from, both directions, m.
        lanes: of the source edge.
    """

    index: int
    source: str
    target: str
    source_name: str = ""
    target_name: str = ""
    turn: str = "s"
    crossing: float | None = None
    width: float = 0.0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class _Edge:
    start: str
    end: str
    name: str
    width: float
    lanes: int
    length: float


def least_greens(
    plan: FixedPlan,
    movements: Mapping[str, Sequence[Movement]],
    minimum: float = MINIMUM_GREEN,
    pedestrians: str | float = "roads",
    *,
    walk: float = WALK_MIN,
    speed: float = WALK_SPEED,
) -> dict[str, tuple[float, ...]]:
    """The least green of each stage by signal, whole seconds.

    A stage beside whose traffic people cross lasts at least `walk + length / speed - clearing`, where `clearing` is what follows its
    green before other traffic moves. A drawn crossing is kept wherever its letter is green; a road without one is crossed in the
    stage with the longest green among those in which it stands still (right turns apart).

    Args:
        plan: the stages.
        movements: of `read_movements`.
        minimum: least green of every stage, s.
        pedestrians: one of `PEDESTRIANS`, or a declared least green in s for all stages.
        walk: least walk interval, s.
        speed: of walking, m/s.

    Raises:
        RequestError: `signals.unknown_pedestrians`.
    """
    if isinstance(pedestrians, str) and pedestrians not in PEDESTRIANS:
        raise RequestError("signals.unknown_pedestrians", text=pedestrians, options=", ".join(PEDESTRIANS))
    found = {}
    for signal in plan.signals:
        least = [minimum] * len(signal.stages)
        if isinstance(pedestrians, float | int):
            least = [max(minimum, float(pedestrians))] * len(signal.stages)
        elif pedestrians != "none":
            known = movements.get(signal.id, ())
            needs = _drawn(signal, known)
            if not needs and pedestrians == "roads":
                needs = _roads(signal, known)
            for stage, length in needs:
                enough = walk + length / speed - signal.stages[stage].lost
                least[stage] = max(least[stage], enough)
        found[signal.id] = tuple(float(math.ceil(value - 1e-9)) for value in least)
    return found


def read_movements(net: Path) -> dict[str, tuple[Movement, ...]]:
    """The movements of each signal of a network, by index.

    Raises:
        SourceError: `signals.unreadable`.
    """
    edges: dict[str, _Edge] = {}
    connections = []
    for element in elements(net, ("edge", "connection")):
        if element.tag == "edge":
            edges[element.get("id", "")] = _edge(element)
        elif element.get("tl") is not None and element.get("linkIndex") is not None:
            connections.append(element)
    between = {(edge.start, edge.end): edge.width for edge in edges.values() if edge.start}
    found: dict[str, list[Movement]] = {}
    for link in connections:
        source, target = edges.get(link.get("from", "")), edges.get(link.get("to", ""))
        if source is None or target is None:
            continue
        crossing = target.length if not target.start else None
        found.setdefault(link.get("tl", ""), []).append(
            Movement(
                int(link.get("linkIndex", "0")), link.get("from", ""), link.get("to", ""), source.name, target.name,
                "" if crossing is not None else link.get("dir", "s").lower(), crossing,
                source.width + between.get((source.end, source.start), 0.0), source.lanes,
            )
        )  # fmt: skip
    return {name: tuple(sorted(rows, key=lambda row: row.index)) for name, rows in found.items()}


def _edge(element: Any) -> _Edge:
    """Only lanes for vehicles count; crossings keep their length."""
    lanes = element.findall("lane")
    drive = [lane for lane in lanes if lane.get("allow", "") != "pedestrian"]
    width = sum(float(lane.get("width", _LANE_WIDTH)) for lane in drive)
    length = max((float(lane.get("length", "0")) for lane in lanes), default=0.0)
    words = (element.get("from", ""), element.get("to", ""), element.get("name", ""))
    return _Edge(*words, width, len(drive), length)


def _drawn(signal: SignalPlan, movements: Sequence[Movement]) -> list[tuple[int, float]]:
    """(stage, length) of crossings drawn in the network: over neighboring stages with a green crossing the longest carries it."""
    needs: list[tuple[int, float]] = []
    for movement in movements:
        if movement.crossing is None:
            continue
        green = [_letter(stage.state, movement.index) in "Gg" for stage in signal.stages]
        longest = [max(run, key=lambda at: signal.stages[at].green) for run in _runs(green)]
        needs.extend((at, movement.crossing) for at in longest)
    return needs


def _roads(signal: SignalPlan, movements: Sequence[Movement]) -> list[tuple[int, float]]:
    """(stage, width) of the roads that people cross while they stand still."""
    needs = []
    for source in dict.fromkeys(m.source for m in movements if m.crossing is None):
        held = [m for m in movements if m.source == source and m.turn not in ("r", "t")]
        red = [
            at
            for at, stage in enumerate(signal.stages)
            if held and all(_letter(stage.state, m.index) not in "Gg" for m in held)
        ]
        if red:
            needs.append((max(red, key=lambda at: signal.stages[at].green), held[0].width))
    return needs


def _runs(green: Sequence[bool]) -> list[list[int]]:
    """Stages in a row (round the cycle) that are green."""
    count = len(green)
    if all(green):
        return [list(range(count))]
    first = next(at for at in range(count) if not green[at])
    runs: list[list[int]] = []
    for step in range(1, count + 1):
        at = (first + step) % count
        if green[at]:
            if not green[at - 1] or not runs:
                runs.append([])
            runs[-1].append(at)
    return runs


def _letter(state: str, index: int) -> str:
    return state[index] if index < len(state) else "r"
