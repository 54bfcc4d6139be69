# SPDX-License-Identifier: Apache-2.0
"""The files of a streets twin: places, flows, counts day by day, and the case that street plans are judged on.

Comes in: a network, the streets with a camera, what was seen on each day. Goes out: the folder of a territory. Areas are
rectangles over the streets; their people and jobs follow from the trips that begin and end there, by the rates of
`rules/data/road_parameters.csv`, and stand for nobody.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove import messages
from mangrove.rules import roads
from mangrove.streets_demand import HOUR, PEAK

if TYPE_CHECKING:
    from mangrove.traffic.sumo_net import SumoNet

Floats = npt.NDArray[np.float64]

NET, ROUTES = "streets.net.xml", "streets.rou.xml"
CELL = 300
"""s of an interval of the counts."""
CITY = "streets"
PLAN = "roads/electrify.yaml"
"""A plan to judge: part of the motorbikes become electric, and what a pilot claims to avoid."""
_ACROSS, _DOWN = 3, 2
"""Areas from west to east, and from south to north in each column."""
_MARGIN = 0.0005
"""Degrees around the outermost street."""
_TARGETS = ("CO2", "NOx")
_FLOWS = (
    "id", "place", "carrier", "unit", "step", "semantics", "scope", "gpc", "method", "parameters", "account", "basis", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What cameras on all streets count in a day.

    Attributes:
        ids: (L,) edges; classes: (C,); vehicles: (T, L, C) in an interval; speed: (T, L, C) km/h, NaN without vehicles.
        mass: (T, L) g that all vehicles emitted, by pollutant: the truth that no camera sees.
        first: local hour in which the first interval begins.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    vehicles: Floats
    speed: Floats
    mass: Mapping[str, Floats]
    first: int = PEAK

    def around(self, other: Counts) -> Counts:
        """These intervals, with those of another simulation of the same day in place of their own."""
        begin = (other.first - self.first) * HOUR // CELL
        end = begin + len(other.vehicles)

        def laid(own: Floats, new: Floats) -> Floats:
            return np.concatenate([own[:begin], new, own[end:]])

        mass = {name: laid(one, other.mass[name]) for name, one in self.mass.items()}
        vehicles, speed = laid(self.vehicles, other.vehicles), laid(self.speed, other.speed)
        return Counts(self.ids, self.classes, vehicles, speed, mass, self.first)

    def kilograms(self, links: Any) -> dict[str, float]:
        """Kg that vehicles emitted on some streets, by pollutant."""
        return {name: float(mass[:, links].sum() / 1000) for name, mass in self.mass.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """The count feed, one file a day, and the flows that fall silent."""

    values: tuple[Path, ...]
    silent: tuple[str, ...]


def copied_net(source: Path, target: Path) -> SumoNet:
    """Copies a network into the folder and reads it."""
    from mangrove.traffic.sumo_net import read_net

    shutil.copyfile(source, target)
    return read_net(target)


def write(
    folder: Path, net: SumoNet, links: Sequence[str], days: Mapping[date, Counts], *,
    name: str, note: str, tz: ZoneInfo, silent: tuple[int, int], lang: str,
) -> Written:  # fmt: skip
    """Writes the territory; the latest of the days is the day of the twin."""
    areas = _Areas.over(net)
    where = areas.of(net, links)
    known = {"name": name, "tz": tz.key, "lang": lang, "note": note}
    (folder / "territory.yaml").write_text(_TERRITORY.format(**known), encoding="utf-8")
    today = max(days)
    seen = days[today]
    meters = _meters(links, seen.classes)
    _flows(folder / "flows.csv", meters, links, [areas.ids[area] for area in where], areas.ids)
    at = [seen.ids.index(one) for one in links]
    loud = int(np.argmax(seen.mass["CO2"][:, at].sum(axis=0)))
    lost = tuple(meter.id for meter in meters if meter.link == loud)
    files = []
    (folder / "values").mkdir(exist_ok=True)
    for day, counts in days.items():
        kept = _Silence(lost, *silent) if day == today else None
        files.append(_values(folder / "values" / f"{day}.csv", day, counts, at, meters, silence=kept))
    trips = _trips(net, areas, folder / ROUTES)
    _places(folder / "places.geojson", areas, trips, name, lang)
    _roads(folder / "roads", trips)
    plan = _PLAN.format(title=messages.render("streets.plan_electrify", lang))
    (folder / PLAN).write_text(plan, encoding="utf-8")
    return Written(tuple(files), lost)


_TERRITORY = """\
# A real road network with vehicles that nobody counted: every count in values/ is generated.
name: {name}
kind: city
timezone: {tz}
currency: VND
lang: {lang}
gwp: AR5
note: {note}
boundary: {{root: streets}}
place_columns: [jobs]
traffic:
  network: streets.net.xml
  technologies: {{motorbike: Euro-3, car: petrol Euro-4, light_truck: diesel Euro-4}}
"""
_ROADS = """\
net: ../streets.net.xml
kind: ward
trips: trips.csv
spread: 10 %
technologies: {motorbike: Euro-3, car: petrol Euro-4, light_truck: diesel Euro-4}
source: generated demand of the streets twin
mix: {motorbike: 87 %, car: 10 %, light_truck: 3 %}
"""


_PLAN = """\
name: electrify
title: {title}
edits:
  - id: fleet
    type: electrify
    class: motorbike
    into: electric_motorbike
    share: 30 %
    uncertainty: 20 %
    source: assumed, a question and no forecast
claims:
  - {{id: pilot, class: motorbike, vehicles: 30000, avoided: 60000 t, source: en.sggp.org.vn post104897}}
"""


@dataclass(frozen=True)
class _Areas:
    """Rectangles over the streets.

    Attributes:
        ids; west, south, east, north: (Z,) degrees.
    """

    ids: tuple[str, ...]
    west: Floats
    south: Floats
    east: Floats
    north: Floats

    @classmethod
    def over(cls, net: SumoNet) -> _Areas:
        """Of the whole network: columns with equally many junctions, each cut in two likewise, so that none is empty."""
        points = np.concatenate([*net.shapes, net.lonlat])
        low, high = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN
        x = np.quantile(net.lonlat[:, 0], np.arange(1, _ACROSS) / _ACROSS)
        sides = []
        for west, east in pairwise([low[0], *x, high[0]]):
            own = net.lonlat[(net.lonlat[:, 0] >= west) & (net.lonlat[:, 0] < east), 1]
            y = np.quantile(own, np.arange(1, _DOWN) / _DOWN)
            sides += [(west, south, east, north) for south, north in pairwise([low[1], *y, high[1]])]
        names = tuple(f"area_{number}" for number in range(1, len(sides) + 1))
        return cls(names, *np.array(sides).T)

    def of(self, net: SumoNet, links: Sequence[str]) -> list[int]:
        """In which area the middle of each street lies."""
        middles = np.array([_middle(net.shapes[net.number[one]]) for one in links])
        inside = (
            (middles[:, :1] >= self.west) & (middles[:, :1] < self.east)
            & (middles[:, 1:] >= self.south) & (middles[:, 1:] < self.north)
        )  # fmt: skip
        return [int(at) for at in inside.argmax(axis=1)]

    def ring(self, area: int) -> list[list[float]]:
        """Its outline."""
        w, s, e, n = (round(float(side[area]), 6) for side in (self.west, self.south, self.east, self.north))
        return [[w, s], [e, s], [e, n], [w, n], [w, s]]


def _middle(line: Floats) -> Floats:
    return np.asarray((line[0] + line[-1]) / 2)


@dataclass(frozen=True, slots=True)
class _Meter:
    """A flow of a camera: its id, the number of its street, `vehicles` or `speed`, the class and its number."""

    id: str
    link: int
    kind: str
    vehicle: str
    number: int


def _meters(links: Sequence[str], classes: Sequence[str]) -> list[_Meter]:
    """The flows of the cameras: counts and speeds of each class."""
    return [
        _Meter(f"cam{link + 1:02d}_{kind}_{name}", link, kind, name, number)
        for link in range(len(links))
        for kind in ("vehicles", "speed")
        for number, name in enumerate(classes)
    ]


def _flows(
    path: Path, meters: Sequence[_Meter], links: Sequence[str], where: Sequence[str], areas: Sequence[str]
) -> None:
    """Writes the flows: what cameras count, and what takes the emissions of each area."""
    rows: list[dict[str, str]] = []
    for meter in meters:
        counted = meter.kind == "vehicles"
        link = links[meter.link]
        rows.append(
            {
                "id": meter.id, "place": where[meter.link], "carrier": f"{meter.kind}:{meter.vehicle}",
                "unit": "vehicle" if counted else "km/h", "step": "5min", "semantics": "sum" if counted else "state",
                "parameters": f"link='{link}'", "account": "memo", "basis": "generated",
            }
        )  # fmt: skip
    for area in areas:
        rows += [
            {
                "id": f"{area}_{pollutant}", "place": area, "carrier": f"reported:{pollutant}", "unit": "kg", "step": "1h",
                "semantics": "sum", "scope": "1", "gpc": "II.1.1", "method": "reported", "parameters": "vehicles=all",
                "account": "inventory", "basis": "generated",
            }
            for pollutant in _TARGETS
        ]  # fmt: skip
    _table(path, _FLOWS, ([row.get(name, "") for name in _FLOWS] for row in rows))


def _values(
    path: Path, day: date, counts: Counts, at: Sequence[int], meters: Sequence[_Meter], *, silence: _Silence | None
) -> Path:  # fmt: skip
    """Writes the feed of one day: local start of each five minutes, a column for each flow, nothing where a camera says nothing."""
    columns = []
    steps = np.arange(len(counts.vehicles)) * CELL // 60 + (counts.first - PEAK) * 60
    for meter in meters:
        values = (counts.vehicles if meter.kind == "vehicles" else counts.speed)[
            :, at[meter.link], meter.number
        ]
        if silence is not None and meter.id in silence.flows:
            values = np.where((steps >= silence.first) & (steps < silence.end), np.nan, values)
        columns.append(
            ["" if gap else f"{value:.4g}" for value, gap in zip(values, np.isnan(values), strict=True)]
        )
    first = datetime(day.year, day.month, day.day, PEAK)  # noqa: DTZ001 - local time, as files of cameras write it
    times = [f"{first + timedelta(minutes=int(minute)):%Y-%m-%dT%H:%M}" for minute in steps]
    _table(path, ["time", *(meter.id for meter in meters)], zip(times, *columns, strict=True))
    return path


@dataclass(frozen=True, slots=True)
class _Silence:
    """Flows that stop between two minutes after the hour `PEAK` began."""

    flows: tuple[str, ...]
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class _Trips:
    """(Z, Z) vehicles of the hour between areas."""

    areas: tuple[str, ...]
    vehicles: Floats


def _trips(net: SumoNet, areas: _Areas, routes: Path) -> _Trips:
    """Trips of the hour `PEAK` between the areas where vehicles set off and arrive."""
    from mangrove.traffic.demand_draws import read_routes, time

    area = areas.of(net, net.ids)
    elements = read_routes([routes])
    named = {one.get("id"): one for one in elements if one.tag == "route"}
    found = np.zeros((len(areas.ids), len(areas.ids)))
    for one in elements:
        if (time(one.get("depart")) or 0.0) < PEAK * 3600:
            continue
        route = one.find("route") if one.get("route") is None else named.get(one.get("route"))
        edges = [one.get("from"), one.get("to")] if route is None else route.get("edges", "").split()
        found[area[net.number[edges[0]]], area[net.number[edges[-1]]]] += 1.0
    return _Trips(areas.ids, found)


def _places(path: Path, areas: _Areas, trips: _Trips, name: str, lang: str) -> None:
    """Writes the city and its areas, with the people and jobs that its trips would need."""
    each = roads.value("trips", "person_day") * roads.value("trips", "hour")
    riders = roads.value("occupancy", "motorbike")
    people = (trips.vehicles.sum(axis=1) * riders / each).round(-1)
    jobs = (trips.vehicles.sum(axis=0) * riders / each).round(-1)
    features: list[dict[str, Any]] = [
        {"type": "Feature", "properties": {"id": CITY, "name": name, "kind": "city"}, "geometry": None}
    ]
    for area, key in enumerate(areas.ids):
        said = {
            "id": key, "name": messages.render("streets.area", lang, number=area + 1), "kind": "ward", "parent": CITY,
            "population": int(people[area]), "jobs": int(jobs[area]),
        }  # fmt: skip
        shape = {"type": "Polygon", "coordinates": [areas.ring(area)], "schematic": True}
        features.append({"type": "Feature", "properties": said, "geometry": shape})
    path.write_text(
        json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, indent=1),
        encoding="utf-8",
    )


def _roads(folder: Path, trips: _Trips) -> None:
    """Writes the case that street plans are judged on."""
    folder.mkdir(exist_ok=True)
    (folder / "roads.yaml").write_text(_ROADS, encoding="utf-8")
    pairs = [
        (trips.areas[a], trips.areas[b], f"{trips.vehicles[a, b]:g}")
        for a, b in zip(*np.nonzero(trips.vehicles), strict=True)
    ]
    _table(folder / "trips.csv", ("origin", "destination", "vehicles"), pairs)


def _table(path: Path, head: Sequence[str], rows: Any) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
