# SPDX-License-Identifier: Apache-2.0
"""The equilibrium of a case: flows of all streams, which share the streets but not always the right to use them.

Comes in: a `Case` and a level of traffic. Goes out: `Flows`: vehicles by class on each link, times, and times between zones. Streams with
the same rights make a group; all groups come to their common equilibrium at once (`traffic.equilibrium.shared_equilibrium`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mangrove.plan.traffic.case import Case, Line, Stream
from mangrove.rules import roads as rules
from mangrove.traffic import paths, proportions
from mangrove.traffic.equilibrium import Shared, Users, continued, graph_of, shared_equilibrium
from mangrove.traffic.roads import LEAST_TIME, Floats, Roads

GAP = 1e-5
"""Relative gap of the equilibria of a verdict. A gap of 1e-4 blurs a change of a tenth of a percent; at 1e-5 differences are those at 1e-7 to
about one percent of themselves (`benchmarks/assignment.py gaps`)."""
_COLUMNS = ("tail", "head", "time", "capacity", "b", "power", "toll", "fixed")
_SAME = 1e-12
"""Trips that differ by less are those of another mix of vehicles only."""


@dataclass(frozen=True)
class Solved:
    """A problem with its equilibrium, so that the next one begins there, or need not be solved when it is the same."""

    roads: Roads
    users: tuple[Users, ...]
    found: Shared

    def answers(self, roads: Roads, users: tuple[Users, ...]) -> bool:
        """Whether other streets and travelers are these, rounding aside."""
        return (
            len(users) == len(self.users)
            and all(_same(getattr(roads, name), getattr(self.roads, name)) for name in _COLUMNS)
            and all(
                _same(one.closed, other.closed) and _same(one.toll, other.toll)
                and np.allclose(one.trips, other.trips, rtol=_SAME, atol=0.0)
                for one, other in zip(users, self.users, strict=True)
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Flows:
    """Flows in equilibrium.

    Attributes:
        case: what was assigned; flow: (A,) motorcycle units per hour; vehicles: (A, C) per hour, without buses; minutes: (A,).
        unserved: motorcycle units per hour that no open path serves; driven: those that are served.
        gap: relative gap of all groups; solved: to begin another equilibrium at, None when it was let go.
    """

    case: Case
    flow: Floats
    vehicles: Floats
    minutes: Floats
    unserved: float
    driven: float
    gap: float
    solved: Solved | None = None

    @cached_property
    def skim(self) -> Floats:
        """(Z, Z) minutes between zones on open roads, without tolls."""
        roads = self.case.map.roads
        return paths.skim(roads.zones, self.minutes, graph_of(roads))  # type: ignore[no-any-return]

    def mean_minutes(self, trips: Floats) -> float:
        """Mean minutes of trips between zones at the times of these flows, around what is closed to those whom it is closed to.

        Args:
            trips: (Z, Z) weights: the same for all plans, or a plan that takes short trips off the road would seem to slow it down.
        """
        roads, total, weight = self.case.map.roads, 0.0, 0.0
        whole = self.case.trips
        for streams in groups_of(self.case):
            own = np.sum([stream.trips for stream in streams], axis=0)
            part = np.divide(own, whole, out=np.zeros_like(own), where=whole > 0) * trips
            closed = streams[0].closed
            minutes = self.skim
            if closed is not None and closed.any():
                shut = np.where(closed, np.inf, self.minutes)
                minutes = paths.skim(roads.zones, shut, graph_of(roads))
            good = np.isfinite(minutes) & (part > 0)
            total += float(part[good] @ minutes[good])
            weight += float(part[good].sum())
        return total / weight if weight else 0.0

    @cached_property
    def speed(self) -> Floats:
        """(A,) km/h."""
        found: Floats = 60 * self.case.map.length / np.maximum(self.minutes, LEAST_TIME)
        return found


def assign(
    case: Case, level: float = 1.0, gap: float = GAP, *, begin: Solved | None = None, known: Solved | None = None
) -> Flows:  # fmt: skip
    """The equilibrium of a case.

    Args:
        case: with its streams and lines.
        level: trips and buses of the hour are multiplied with it.
        gap: relative gap over all groups.
        begin: an equilibrium at which to begin, of other trips, rights or capacities; links that it lacks stand at the end.
        known: is taken as it is when its problem is the same.
    """
    roads = replace(case.map.roads, fixed=standing(case) * level)
    groups = groups_of(case)
    users = tuple(
        Users(
            np.sum([stream.trips for stream in streams], axis=0) * level, streams[0].closed, streams[0].toll
        )
        for streams in groups
    )
    if known is not None and known.answers(roads, users):
        found = known.found
    else:
        start = None if begin is None else continued(roads, users, begin.found.by_origin, begin.found.bushes)
        found = shared_equilibrium(roads, users, gap=gap, start=start)
    unserved = float(found.unserved.sum())
    vehicles = np.zeros((len(roads), len(case.classes)))
    for streams, own in zip(groups, found.by_origin, strict=True):
        for stream, flow in zip(streams, _split(roads, streams, own, level), strict=True):
            vehicles += np.outer(flow / (stream.shares @ case.units), stream.shares)
    minutes = replace(roads, toll=None).cost(found.flow)
    off = ~np.eye(roads.zones, dtype=bool)
    driven = float(case.trips[off].sum()) * level - unserved
    solved = Solved(roads, users, found)
    return Flows(case, found.flow, vehicles, minutes, unserved, driven, found.gap, solved)


def standing(case: Case) -> Floats:
    """(A,) motorcycle units per hour of buses that share lanes with others."""
    found = np.zeros(len(case.map.roads))
    for line in case.lines:
        if not line.apart:
            np.add.at(found, line.links, line.per_hour * rules.motorcycle_units(line.vehicle))
    return found


def of_line(line: Line, flows: Flows) -> tuple[Floats, Floats]:
    """(k,) km/h of the buses of a line, and (k,) km, over its links: empty speed on a lane of their own, that of all else."""
    road = flows.case.map
    empty = 60 * road.length / np.maximum(road.roads.time, LEAST_TIME)
    speed = empty if line.apart else flows.speed
    return speed[line.links], road.length[line.links]


def groups_of(case: Case) -> list[list[Stream]]:
    """Streams by their rights."""
    found: dict[tuple[bytes, bytes], list[Stream]] = {}
    for stream in case.streams:
        rights = tuple(b"" if a is None or not a.any() else a.tobytes() for a in (stream.closed, stream.toll))
        found.setdefault(rights, []).append(stream)  # type: ignore[arg-type]
    return list(found.values())


def _split(roads: Roads, streams: list[Stream], own: Floats, level: float) -> list[Floats]:
    """(A,) flow of each stream of a group."""
    if len(streams) == 1:
        return [own.sum(axis=0)]
    graph = graph_of(roads)
    return [proportions.parted(own, stream.trips * level, graph) for stream in streams]


def _same(one: Any, other: Any) -> bool:
    """Whether two columns are the same; None is one without anything."""
    if one is None or other is None:
        rest = other if one is None else one
        return rest is None or not np.any(rest)
    return np.array_equal(one, other)
