# SPDX-License-Identifier: Apache-2.0
"""A seeded demand of motorbikes out of the trips of a simulation scenario: the same ways at the same minutes, other vehicles.

Comes in: the routes of a scenario, a seed, the hours that are wanted. Goes out: a routes file whose times are seconds since local midnight
and whose vehicle types are named by their class. Scenarios of Europe bring cars. Each trip of a car is drawn as many times (Poisson) as
gives the traffic the same room on the street, in motorcycle units, and every copy is a vehicle of a class drawn from `MIX`. Routes that
bring motorbikes of their own keep their vehicles. Hours without trips of their own take those of the scenario's hour, more or fewer of them by the
daily shape of road transport (`temporal_shapes.csv`, category F). All of it is generated: nobody counted this traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from mangrove.errors import SourceError, Where
from mangrove.rules import roads, tables, vehicles
from mangrove.traffic import demand_draws

MIX: Mapping[str, float] = {"motorbike": 0.87, "car": 0.10, "light_truck": 0.03}
"""Shares of vehicles: those of the District 1/3 model of Ho Chi Minh City, whose counts nobody has verified (docs/how-to/traffic.md)."""
PEAK = 7
"""Local hour that the trips of the scenario stand for: 7 to 8 in the morning, as in the scenarios of Cologne."""
HOUR = 3600
_JITTER = 60.0
"""s by which the copies of a trip leave earlier or later; a modelling choice, as in `traffic.demand_draws`."""
_TYPES: Mapping[str, Mapping[str, str]] = {
    "motorbike": {
        "vClass": "motorcycle", "length": "1.9", "width": "0.75", "minGap": "0.8", "accel": "2.5", "decel": "5", "sigma": "0.5",
        "maxSpeed": "14", "speedDev": "0.15", "latAlignment": "arbitrary", "minGapLat": "0.25", "lcSublane": "1.5", "maxSpeedLat": "1.2",
    },
    "car": {"vClass": "passenger", "minGapLat": "0.4", "speedDev": "0.1"},
    "light_truck": {"vClass": "truck", "minGapLat": "0.4", "speedDev": "0.1", "length": "7.5"},
}  # fmt: skip
"""Types of SUMO of the District 1/3 model: starting values that nobody calibrated."""
_ENTERS = {"departLane": "best", "departSpeed": "max"}


def write(
    routes: Sequence[Path], out: Path, *, seed: int, hours: Mapping[int, float], share: float = 1.0
) -> int:
    """Writes the demand of some local hours; gives how many vehicles it has.

    Args:
        routes: files of SUMO with vehicles or trips; those of the fullest hour are taken.
        out: the file written, sorted by departure.
        seed: the same seed gives the same demand; an hour is the same whatever stands beside it.
        hours: what is written, by local hour: the traffic relative to the hour of the scenario (see `shape`).
        share: of all trips that drive at all.

    Raises:
        SourceError: `signals.routes_unreadable`, `signals.no_vehicles`, `streets.no_trips` (only flows).
    """
    elements = demand_draws.read_routes(routes)
    trips = [one for one in elements if one.tag in ("trip", "vehicle")]
    if not trips:
        raise SourceError("streets.no_trips", where=Where(Path(routes[0]).name))
    departs = np.array([demand_draws.time(one.get("depart")) or 0.0 for one in trips])
    fullest = np.bincount((departs // HOUR).astype(np.int64)).argmax() * HOUR
    within = np.flatnonzero((departs >= fullest) & (departs < fullest + HOUR))
    trips, departs = [trips[at] for at in within], departs[within] - fullest
    own = classes_of(elements)
    kept = "motorbike" in own.values()
    copies = share * (1.0 if kept else room())
    rows: list[tuple[float, Any]] = []
    for hour, weight in hours.items():
        random = np.random.default_rng((seed, hour))
        numbers = random.poisson(copies * weight, len(trips))
        which = np.repeat(np.arange(len(trips)), numbers)
        moved = departs[which] + random.uniform(-_JITTER, _JITTER, len(which))
        times = np.round(hour * HOUR + np.clip(moved, 0.0, HOUR - 1.0), 1)
        drawn = random.choice(list(MIX), len(which), p=list(MIX.values()))
        for number, (trip, time, kind) in enumerate(zip(which, times, drawn, strict=True)):
            one = trips[trip]
            vehicle = own.get(one.get("type", ""), "car") if kept else str(kind)
            rows.append((float(time), _copy(one, f"{hour}.{number}", float(time), vehicle)))
    rows.sort(key=lambda row: row[0])
    root = ET.Element("routes")
    root.extend([*types(), *(one for one in elements if one.tag == "route"), *(row for _, row in rows)])
    ET.ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)
    return len(rows)


def shape(first: int, last: int) -> dict[int, float]:
    """Traffic of local hours from `first` to before `last`, relative to that of the hour `PEAK`.

    Example:
        >>> {hour: round(part, 2) for hour, part in shape(5, 9).items()}
        {5: 0.12, 6: 0.47, 7: 1.0, 8: 1.01}
    """
    row = next(r for r in tables.rows("temporal_shapes") if (r["category"], r["cycle"]) == ("F", "hour"))
    values = [float(word) for word in row["values"].split()]
    return {hour: values[hour % 24] / values[PEAK] for hour in range(first, last)}


def room() -> float:
    """Vehicles of the mix that take the room of one car, in motorcycle units (ASCE JTE 138(6) 2012, Hanoi; light trucks assumed).

    Example:
        >>> round(room(), 2)
        2.59
    """
    units = {kind: roads.motorcycle_units(kind) for kind in MIX}
    return units["car"] / sum(share * units[kind] for kind, share in MIX.items())


def types() -> list[Any]:
    """The vehicle types of SUMO, named by their class."""
    made = []
    for kind, words in _TYPES.items():
        emission = vehicles.vehicle_class(kind).sumo_emission_class
        made.append(ET.Element("vType", {"id": kind, **words, "emissionClass": emission}))
    return made


def classes_of(elements: Sequence[Any]) -> dict[str, str]:
    """Classes of the rules by the vehicle types of routes: by emission class, else by SUMO's class; what is neither is a car."""
    emission = {
        one.sumo_emission_class: one.key for one in vehicles.vehicle_classes() if one.sumo_emission_class
    }
    driven = {
        "motorcycle": "motorbike",
        "moped": "motorbike",
        "truck": "light_truck",
        "delivery": "light_truck",
    }
    return {
        one.get("id", ""): emission.get(
            one.get("emissionClass", ""), driven.get(one.get("vClass", ""), "car")
        )
        for one in elements
        if one.tag == "vType"
    }


def _copy(one: Any, name: str, time: float, kind: str) -> Any:
    """A vehicle that drives as `one` does."""
    kept = {word: one.get(word) for word in ("from", "to", "via", "route") if one.get(word)}
    made = ET.Element(one.tag, {"id": name, "type": kind, "depart": f"{time:.1f}", **kept, **_ENTERS})
    made.extend(list(one))
    return made
