# SPDX-License-Identifier: Apache-2.0
"""From the equilibrium of a plan to the electricity that its vehicles charge: who drives how much from where to where.

Comes in: flows of the busiest hours, kWh driven by hour and class, modes of charging. Goes out: what each class drives in a day (`Driven`), and
kWh charged by hour and zone. Classes of which no mode speaks charge where and when they drive.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mangrove.plan.traffic.case import HOURS
from mangrove.plan.traffic.flows import Flows, groups_of
from mangrove.traffic.charging import Driven, Mode, charged, of_class
from mangrove.traffic.equilibrium import graph_of
from mangrove.traffic.roads import Floats

AS_DRIVEN = "as_driven"
"""The mode of classes that no mode of charging speaks of."""


def ends(flows: Flows) -> Floats:
    """(2, C, Z) vehicle-km an hour by class and the zone in which trips begin, and in which they end."""
    case = flows.case
    found = np.zeros((2, len(case.classes), len(case.map.zones)))
    if flows.solved is None:
        return found
    for streams, own in zip(groups_of(case), flows.solved.found.by_origin, strict=True):
        km = _distances(flows, own)
        for stream in streams:
            driven = stream.trips * km
            per_vehicle = stream.shares / float(stream.shares @ case.units)
            found[0] += np.outer(per_vehicle, driven.sum(axis=1))
            found[1] += np.outer(per_vehicle, driven.sum(axis=0))
    return found


def _distances(flows: Flows, own: Floats) -> Floats:
    """(Z, Z) km of a trip on the paths that a group takes; zero between zones without flow."""
    from mangrove.traffic import proportions

    roads = flows.case.map.roads
    column = np.full(len(roads), -1, dtype=np.int32)
    weight = np.column_stack([np.zeros(len(roads)), flows.case.map.length])
    graph, found = graph_of(roads), np.zeros((roads.zones, roads.zones))
    for origin in np.flatnonzero(own.any(axis=1)):
        found[origin] = proportions.use(int(origin), own[origin], graph, column, weight, 1, roads.zones)[:, 0]
    np.fill_diagonal(found, 0.0)
    return found


def driven(flows: Flows, at: Floats, by_class: Floats) -> dict[str, Driven]:
    """What each electric class drives in a day.

    Args:
        flows: of the busiest hours; at: (2, C, Z) its `ends`.
        at: see `flows`.
        by_class: (H, C) kWh by hour.
    """
    case = flows.case
    hours = 1.0 if case.hours is None else float(case.hours.sum())
    vehicles = np.zeros(len(case.classes))
    for stream in case.streams:
        away = float(stream.trips.sum() - np.trace(stream.trips))
        vehicles += away * stream.shares / float(stream.shares @ case.units)
    return {
        name: Driven(by_class[:, k], at[0, k], at[1, k], float(vehicles[k]) * hours)
        for k, name in enumerate(case.classes)
        if by_class[:, k].sum() > 0
    }


def loads(
    classes: Mapping[str, Driven], where: Floats, modes: tuple[Mode, ...], zones: tuple[str, ...]
) -> dict[tuple[str, str], Floats]:
    """(24, Z + 1) kWh charged by hour and zone, the last column outside all, by class and mode (`as_driven` for classes without any).

    Args:
        classes: what each drives.
        where: (24, Z + 1) kWh driven by hour and zone, all classes together.
        modes: of charging.
        zones: ids, without the empty one.
    """
    found: dict[tuple[str, str], Floats] = {}
    whole = where.sum(axis=1)
    spread = np.divide(where, whole[:, None], out=np.zeros_like(where), where=whole[:, None] > 0)
    for name, one in classes.items():
        own = of_class(modes, name)
        if not own:
            found[name, AS_DRIVEN] = one.hours[:, None] * spread
        for mode in own:
            here = found.setdefault((name, mode.name), np.zeros((HOURS, len(zones) + 1)))
            here[:, :-1] += charged(one, mode, zones)
    return found
