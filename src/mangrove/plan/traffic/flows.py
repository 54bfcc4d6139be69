# SPDX-License-Identifier: Apache-2.0
"""The equilibrium of a case: flows of all streams, which share the streets but not always the right to use them.

Comes in: a `Case` and a level of traffic. Goes out: `Flows`: vehicles by class on each link, times, and times between zones. Streams with
the same rights are assigned together. Several groups are assigned in turn, each with the flow of the others standing: this
is block descent on Beckmann's potential, which is convex in all flows together, so it ends in the common equilibrium.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mangrove.plan.traffic.case import Case, Flags, Line, Stream
from mangrove.rules import roads as rules
from mangrove.traffic import paths, proportions
from mangrove.traffic.equilibrium import Equilibrium, user_equilibrium
from mangrove.traffic.roads import LEAST_TIME, Floats, Roads

GAP = 1e-4
_SWEEPS = 40
_ROUNDS = 1
"""Rounds of a group before the next has its turn."""
_SETTLED = 5e-3
"""Groups are in common equilibrium when no sweep moves more than this part of the flow."""


@dataclass(frozen=True)
class Flows:
    """Flows in equilibrium.

    Attributes:
        case: what was assigned; flow: (A,) motorcycle units per hour; vehicles: (A, C) per hour, without buses; minutes: (A,).
        unserved: motorcycle units per hour that no open path serves; driven: those that are served.
        gap: largest relative gap of the groups.
    """

    case: Case
    flow: Floats
    vehicles: Floats
    minutes: Floats
    unserved: float
    driven: float
    gap: float

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
        for streams in _groups(self.case):
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


def assign(case: Case, level: float = 1.0, gap: float = GAP) -> Flows:
    """The equilibrium of a case.

    Args:
        case: with its streams and lines.
        level: trips and buses of the hour are multiplied with it.
        gap: relative gap of each group.
    """
    roads = case.map.roads
    fixed = standing(case) * level
    groups = _groups(case)
    flows = [np.zeros(len(roads)) for _ in groups]
    found: list[Equilibrium | None] = [None for _ in groups]
    alone = len(groups) == 1
    for _ in range(1 if alone else _SWEEPS):
        moved = 0.0
        for at, streams in enumerate(groups):
            others = fixed + sum((f for k, f in enumerate(flows) if k != at), np.zeros(len(roads)))
            before = flows[at]
            found[at], flows[at] = _group(
                roads, streams, others, level, gap, found[at], rounds=None if alone else _ROUNDS
            )
            moved += float(np.abs(flows[at] - before).sum())
        settled = moved <= _SETTLED * max(sum(float(f.sum()) for f in flows), 1e-12)
        if settled and all(one is not None and one.gap <= gap for one in found):
            break
    reached = max((one.gap for one in found if one), default=0.0)
    unserved = sum(one.unserved for one in found if one)
    whole = fixed + sum(flows, np.zeros(len(roads)))
    vehicles = np.zeros((len(roads), len(case.classes)))
    for streams, one, own in zip(groups, found, flows, strict=True):
        for stream, flow in zip(streams, _split(streams, one, own, level), strict=True):
            vehicles += np.outer(flow / (stream.shares @ case.units), stream.shares)
    minutes = replace(roads, toll=None).cost(whole)
    off = ~np.eye(roads.zones, dtype=bool)
    driven = float(case.trips[off].sum()) * level - unserved
    return Flows(case, whole, vehicles, minutes, unserved, driven, reached)


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


def graph_of(roads: Roads) -> paths.Graph:
    """The links as compiled passes take them."""
    return paths.Graph(roads.tail, roads.head, *roads.leaving, *roads.entering, roads.first_thru, roads.nodes)


def _groups(case: Case) -> list[list[Stream]]:
    """Streams by their rights."""
    found: dict[tuple[bytes, bytes], list[Stream]] = {}
    for stream in case.streams:
        rights = tuple(b"" if a is None or not a.any() else a.tobytes() for a in (stream.closed, stream.toll))
        found.setdefault(rights, []).append(stream)  # type: ignore[arg-type]
    return list(found.values())


def _group(  # noqa: PLR0917 - one turn of one group
    roads: Roads, streams: list[Stream], others: Floats, level: float, gap: float, start: Equilibrium | None,
    *, rounds: int | None,
) -> tuple[Equilibrium, Floats]:  # fmt: skip
    """The equilibrium of a group among the flow of the others, and (A,) its flow."""
    toll, open_ = streams[0].toll, _open(streams[0], len(roads))
    if toll is not None:
        roads = replace(roads, toll=toll if roads.toll is None else roads.toll + toll)
    roads = replace(roads, fixed=others)
    if not open_.all():
        roads = roads.only(open_)
    trips = np.sum([stream.trips for stream in streams], axis=0) * level
    found = user_equilibrium(roads, trips, gap=gap, method="bush", rounds=rounds, start=start)
    flow = np.zeros(len(open_))
    flow[open_] = np.maximum(found.flow - roads.standing, 0.0)
    return found, flow


def _split(streams: list[Stream], found: Equilibrium | None, flow: Floats, level: float) -> list[Floats]:
    """(A,) flow of each stream of a group."""
    if len(streams) == 1 or found is None or found.by_origin is None:
        return [flow]
    open_, graph, split = _open(streams[0], len(flow)), graph_of(found.roads), []
    for stream in streams:
        part = np.zeros(len(flow))
        part[open_] = proportions.parted(found.by_origin, stream.trips * level, graph)
        split.append(part)
    return split


def _open(stream: Stream, links: int) -> Flags:
    return np.ones(links, bool) if stream.closed is None else ~stream.closed
