# SPDX-License-Identifier: Apache-2.0
"""What one plan comes to in one draw: equilibrium by level of traffic, then kilometers, times, access, emissions and kWh by zone and hour.

Comes in: a `Case`. Goes out: an `Observation`. Emissions are flow x length x factor(class, speed), the same arithmetic that measures them
(`traffic.emissions`). Hours of a day are gathered in a few levels of traffic; inside one, flows follow the hour at the speed of the level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from mangrove.errors import Problem
from mangrove.plan.traffic.case import HOURS, Case, Transit
from mangrove.plan.traffic.edits import Period
from mangrove.plan.traffic.flows import GAP, Flows, Solved, assign, of_line
from mangrove.traffic.emissions import by_class
from mangrove.traffic.road_map import distance
from mangrove.traffic.roads import Floats, Ints

WITHIN = 30.0
"""Minutes within which jobs count as reached."""
_BORDERS = (0.35, 0.75)
"""Levels of traffic: hours up to these parts of the busiest hour, and the rest."""
_WALK = 4.8
"""km/h on foot: Highway Capacity Manual 2010 uses 4 ft/s (4.4 km/h) at crossings; transit studies 4.8 (3 mph)."""
_ELASTIC_ROUNDS = 4


@dataclass(frozen=True)
class Observation:
    """One plan in one draw; sums are of the hour of the trips, or of the day when the hours of a day are known.

    Attributes:
        flows: of the busiest level.
        km, hours: vehicle-km and vehicle-hours; minutes: mean of today's trips in the busiest level; access: jobs within 30 minutes of
            the average resident; unserved: motorcycle units per hour that find no way.
        zone: (Z + 1, C, P) grams (kWh) by zone, the last row outside all; exposure: (C,) grams per km2 at the average resident's zone;
            None without areas.
        kwh: (H, Z + 1) electricity by hour (one row when hours are not known); by_class: (H, C) likewise.
        skims: (Z, Z) minutes by step (`steps`), by level without edits of some hours; solved: the equilibria likewise, until `light`;
            ends: (2, C, Z) see `power.ends`, None until `light`; notes: of the cases, each once.
    """

    flows: Flows
    km: float
    hours: float
    minutes: float
    access: float
    unserved: float
    zone: Floats
    exposure: Floats | None
    kwh: Floats
    by_class: Floats
    skims: tuple[Floats, ...]
    solved: tuple[Solved, ...] = ()
    ends: Floats | None = None
    notes: tuple[Problem, ...] = ()

    def light(self, ends: Floats | None = None) -> Observation:
        """Without the flow by origin, which takes most of the memory."""
        return replace(self, flows=replace(self.flows, solved=None), solved=(), ends=ends)


def observe(
    day: Case | Sequence[Period], before: tuple[Floats, ...] | None = None, pollutant: int = -2,
    trips: Floats | None = None, *, near: Near | None = None,
) -> Observation:  # fmt: skip
    """Assigns a case at each level of its day and measures it.

    Args:
        day: what is judged: one case, or the cases of the parts of a day.
        before: skims of the plan that trips were known for: with an elasticity, trips follow the change.
        pollutant: whose density is the exposure (number among the factors).
        trips: (Z, Z) weights of the mean travel time, those of today when plans are compared; None: its own.
        near: where equilibria begin, and how exact they are.
    """
    parts = steps(day)
    case, near = parts[0].case, near or Near()
    rows = 1 if case.hours is None else len(case.hours)
    count = len(case.map.zones) + 1
    zone = np.zeros((count, len(case.classes), len(case.factors.pollutants)))
    kwh, by_class = np.zeros((rows, count)), np.zeros((rows, len(case.classes)))
    km = spent = 0.0
    found: list[Flows] = []
    for at, step in enumerate(parts):
        flows = _settled(
            step,
            None if before is None else before[step.number],
            near.begin[at] if near.begin else None,
            near,
        )
        weight = step.weight
        here = emitted(flows, step.level)
        zone += here * weight.sum()
        kwh[step.hours] += np.outer(weight, here[:, :, -1].sum(axis=1))
        by_class[step.hours] += np.outer(weight, here[:, :, -1].sum(axis=0))
        km += float(flows.vehicles.sum(axis=1) @ flows.case.map.length) * weight.sum()
        spent += float(flows.vehicles.sum(axis=1) @ flows.minutes) / 60 * weight.sum()
        found.append(flows)
    # levels rise, the last is the busiest; an edit may hold in some of its hours only
    busy = [
        (step, flows) for step, flows in zip(parts, found, strict=True) if step.number == parts[-1].number
    ]
    share = np.array([step.weight.sum() for step, _ in busy])
    share /= share.sum()
    minutes = [flows.mean_minutes(step.case.trips if trips is None else trips) for step, flows in busy]
    reached = [access(step.case, flows.skim) for step, flows in busy]
    return Observation(
        busy[int(share.argmax())][1], km, spent, float(share @ minutes), float(share @ reached),
        float(share @ [flows.unserved for _, flows in busy]), zone, _exposure(case, zone[:-1, :, pollutant]), kwh, by_class,
        tuple(flows.skim for flows in found), tuple(flows.solved for flows in found if flows.solved),
        notes=tuple({note.text(): note for step in parts for note in step.case.notes}.values()),
    )  # fmt: skip


@dataclass(frozen=True)
class Near:
    """Equilibria near those that are wanted: by step those at which to begin, by level those of today; the relative gap."""

    begin: Sequence[Solved] = ()
    known: Sequence[Solved] = ()
    gap: float = GAP


@dataclass(frozen=True)
class Step:
    """One equilibrium of a day: the case, its level of traffic and the number of that, the hours (numbers) that it stands for."""

    case: Case
    level: float
    number: int
    hours: Ints

    @property
    def weight(self) -> Floats:
        """(k,) traffic of the hours relative to the level."""
        hours = self.case.hours
        whole: Floats = np.ones(1) if hours is None else hours[self.hours] / self.level
        return whole


def steps(day: Case | Sequence[Period]) -> list[Step]:
    """The equilibria of a day: one for each level of traffic in each part of the day in which the same edits hold."""
    hours = np.arange(HOURS, dtype=np.int32)
    parts = [Period(day, hours)] if isinstance(day, Case) else day
    found = []
    for number, (level, at) in enumerate(levels(parts[0].case.hours)):
        for part in parts:
            mine = np.intersect1d(at, part.hours).astype(np.int32)
            if len(mine):
                found.append(_scheduled(Step(part.case, level, number, mine)))
    return found


def _scheduled(step: Step) -> Step:
    """Buses of a timetable are as many as it says in these hours, whatever the traffic."""
    if step.case.hours is None or all(line.by_hour is None for line in step.case.lines):
        return step
    units = step.level * step.weight.sum()
    lines = tuple(
        line
        if line.by_hour is None
        else replace(line, per_hour=float(line.by_hour[step.hours].sum() / units))
        for line in step.case.lines
    )
    return replace(step, case=replace(step.case, lines=lines))


def levels(hours: Floats | None) -> list[tuple[float, Ints]]:
    """Levels of traffic with the hours that belong to each, rising; hours without traffic belong to none.

    Example:
        >>> [(round(level, 2), at.tolist()) for level, at in levels(np.array([0.0, 0.1, 0.3, 1.0, 0.9]))]
        [(0.2, [1, 2]), (0.95, [3, 4])]
    """
    if hours is None:
        return [(1.0, np.zeros(1, dtype=np.int32))]
    which = np.searchsorted(np.array(_BORDERS) * hours.max(), hours, side="left")
    groups = [np.flatnonzero((which == k) & (hours > 0)).astype(np.int32) for k in range(len(_BORDERS) + 1)]
    return [(float(hours[at].mean()), at) for at in groups if len(at)]


def emitted(flows: Flows, level: float) -> Floats:
    """(Z + 1, C, P) grams (kWh) per hour by zone, class and pollutant, buses included."""
    case = flows.case
    road = case.map
    used = np.flatnonzero((flows.vehicles.sum(axis=1) > 0) & (road.length > 0))
    vehicles, speeds, lengths, limits, zones = (
        [flows.vehicles[used]],
        [flows.speed[used]],
        [road.length[used]],
        [road.speed[used]],
        [road.zone[used]],
    )
    for line in case.lines:
        speed, length = of_line(line, flows)
        buses = np.zeros((len(length), len(case.classes)))
        buses[:, case.number(line.vehicle)] = line.per_hour * level
        good = length > 0
        vehicles.append(buses[good])
        speeds.append(speed[good])
        lengths.append(length[good])
        limits.append(road.speed[line.links][good])
        zones.append(road.zone[line.links][good])
    vehicle, speed, length, limit = map(np.concatenate, (vehicles, speeds, lengths, limits))
    mass = by_class(vehicle, speed, length, case.factors, limit=limit)
    where = np.concatenate(zones)
    rows = np.where(where < 0, len(road.zones), where)
    gather = csr_array(
        (np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(len(road.zones) + 1, len(rows))
    )
    return (gather @ mass.reshape(len(rows), math.prod(mass.shape[1:]))).reshape(-1, *mass.shape[1:])  # type: ignore[no-any-return]


def access(case: Case, minutes: Floats) -> float:
    """Jobs that the average resident reaches within 30 minutes, by road or by a line of the plan."""
    best = minutes
    for line in case.transit:
        best = np.minimum(best, by_transit(case, line))
    reached = (best <= WITHIN) @ case.jobs
    return float(case.population @ reached / max(case.population.sum(), 1e-12))


def by_transit(case: Case, line: Transit) -> Floats:
    """(Z, Z) minutes from zone to zone: on foot to a station, half a headway, the ride, on foot; infinite beyond the radius."""
    stops = line.stations
    far = np.array([distance(case.map.centers, np.broadcast_to(s, case.map.centers.shape)) for s in stops]).T
    walk = np.where(far <= line.radius, 60 * far / _WALK, np.inf)
    along = np.concatenate([[0.0], np.cumsum(distance(stops[:-1], stops[1:]))])
    ride = 60 * np.abs(along[:, None] - along) / line.speed
    arrived = np.min(walk[:, :, None] + ride, axis=1) + line.headway / 2
    whole: Floats = np.min(arrived[:, None, :] + walk[None], axis=2)
    np.fill_diagonal(whole, 0.0)
    return whole


def _settled(step: Step, before: Floats | None, begin: Solved | None, near: Near) -> Flows:
    """The equilibrium; with an elasticity trips follow times: T = T0 (c / c0)^e, averaged from round to round."""
    case, known = step.case, near.known[step.number] if near.known else None
    flows = assign(case, step.level, near.gap, begin=begin, known=known)
    if before is None or not case.elasticity:
        return flows
    first, share = case.streams, np.ones_like(before)
    for turn in range(_ELASTIC_ROUNDS):
        both = np.isfinite(before) & np.isfinite(flows.skim) & (before > 0)
        ratio = np.divide(flows.skim, before, out=np.ones_like(before), where=both)
        wanted = ratio**case.elasticity
        share += (wanted - share) / (1.0 if turn == 0 else 2.0)
        streams = tuple(replace(stream, trips=stream.trips * share) for stream in first)
        flows = assign(replace(case, streams=streams), step.level, near.gap, begin=flows.solved)
    return flows


def _exposure(case: Case, grams: Floats) -> Floats | None:
    """(C,) grams per km2 in the zone of the average resident, from vehicles of each class."""
    if case.map.polygons is None:
        return None
    density = grams / areas(case)[:, None]
    whole: Floats = case.population @ density / max(case.population.sum(), 1e-12)
    return whole


def areas(case: Case) -> Floats:
    """(Z,) km2 of the zones, on a sphere."""
    from pyproj import Geod

    assert case.map.polygons is not None
    earth = Geod(ellps="WGS84")
    return np.array([abs(earth.geometry_area_perimeter(p)[0]) / 1e6 for p in case.map.polygons])
