# SPDX-License-Identifier: Apache-2.0
"""The files that a judgement of street plans is made from: `roads/roads.yaml` of a territory, and one file for each plan.

Comes in: YAML and CSV files in the folder `roads` of the territory, and what the territory declares of its wards. Goes out: a `Case` and lists of edits
and claims; every problem with file, line and column, all of them at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.errors import DeclarationError, MangroveError, Problem, RequestError, Where
from mangrove.street_charging import CHARGING, modes_of
from mangrove.street_claims import CLAIM, claims_of
from mangrove.street_words import (
    DAY,
    SIDES,
    change,
    days_of,
    flag,
    hours_of,
    measured,
    part,
    point,
    under,
    whole,
)
from mangrove.territory import cells
from mangrove.territory.schema import BASES, Key
from mangrove.territory.settings import read_settings
from mangrove.times import parse_date

if TYPE_CHECKING:
    from datetime import date

    from mangrove.plan.traffic.case import Case
    from mangrove.plan.traffic.claims import Claim
    from mangrove.plan.traffic.edits import Edit
    from mangrove.sources.gtfs_ways import Timetable
    from mangrove.territory.model import Territory
    from mangrove.traffic.charging import Mode
    from mangrove.traffic.road_map import RoadMap
    from mangrove.traffic.sumo_net import SumoNet

_RUNNING = ("bus_lane", "electric_buses")
"""Types of edits that do something with routes of a timetable that run already."""
FOLDER = "roads"
FILE = f"{FOLDER}/roads.yaml"
RATES = (
    Key("person_day", "trips of a person on a day", cells.not_negative),
    Key("hour", "part of them in the hour that is judged: `10 %`", cells.percentage),
    Key("outward", "part of these from home to work: `85 %`", cells.percentage),
    Key("mean_minutes", "mean minutes of a trip on empty streets", cells.not_negative),
    Key("decay", "decay of trips per minute, instead of the mean", cells.not_negative),
)
ROADS = (
    Key("net", "road network of SUMO, `.net.xml` or `.net.xml.gz`"),
    Key("extract", "instead: an extract of OpenStreetMap, `.osm.pbf`"),
    Key("box", "west, south, east, north of what is cut out of the extract", cells.number, shape="list", default=[]),
    Key("kind", "kind of the places that are zones", cells.identifier, default="ward"),
    Key("jobs", "name of the column of places.csv with the jobs of a ward", default="jobs"),
    Key("trips", "trips of the hour: CSV with origin, destination, vehicles; left out: from population and jobs"),
    Key("counts", "counts of the hour: CSV with edge, vehicle, count"),
    Key("mix", "vehicle classes and their shares: `motorbike: 87 %`", cells.percentage, shape="map", default={}),
    Key("rates", "rates of trips from population and jobs", shape="record", keys=RATES, default={}),
    Key("gtfs", "timetable of the buses that run today: zip or folder; without them in the mix"),
    Key("routes", "ids or short names of its routes; left out: all of buses", shape="list"),
    Key("day", "day of the timetable; left out: that of the verdict, else the busiest", parse_date),
    Key("hours", "traffic of the 24 hours of a day, relative to the hour of the trips", cells.not_negative, shape="list", default=[]),
    Key("technologies", "emission standards by class", shape="map", default={}),
    Key("spread", "how far trips may be off: standard deviation of origins, destinations and pairs", cells.percentage, default=0.1),
    Key("charging", "how vehicles charge", shape="records", keys=CHARGING, default=[]),
    Key("elasticity", "of trips with respect to their travel time: `-0.3`", cells.number, default=0.0),
    Key("source", "where the numbers come from", default=""),
)  # fmt: skip
EDIT = (
    Key("id", "unique key", cells.identifier, required=True),
    Key("type", "what it does", cells.identifier, required=True),
    Key("from", "first day", parse_date),
    Key("to", "first day on which it no longer holds", parse_date),
    Key("hours", "hours of the day in which it holds: `6-9` from six to nine; left out: all", hours_of, shape="list"),
    Key("days", "days of the week on which it holds: `mon-fri`; left out: all", days_of, shape="list"),
    Key("uncertainty", "half-width of the 95 % interval of its shares, relative to them", cells.percentage, default=0.0),
    Key("source", "document behind its numbers; for assumed ones the reasoning", required=True),
    Key("status", "where they come from", cells.choice(BASES), default="assumed", options=BASES),
    Key("points", "a drawn line: `106.70 10.77` for each point", point, shape="list"),
    Key("stations", "stations in order, likewise", point, shape="list"),
    Key("edges", "ids of edges of the net", shape="list"),
    Key("zones", "ids of zones", shape="list"),
    Key("classes", "vehicle classes", shape="list"),
    Key("lines", "ids of bus lines", shape="list"),
    Key("gtfs", "timetable that draws bus lines: zip or folder"),
    Key("routes", "ids or short names of its routes; left out: all of buses", shape="list"),
    Key("day", "day of the timetable; left out: that of the verdict, else the busiest", parse_date),
    Key("class", "a vehicle class"),
    Key("into", "the class that vehicles switch to"),
    Key("lanes", "lanes of a direction", whole),
    Key("speed", "km/h: `40 km/h`", measured("km/h")),
    Key("length", "of the whole: `1.2 km`", measured("km")),
    Key("one_way", "only in the order of the points", flag),
    Key("lane", "whether buses get a lane of their own", flag),
    Key("per_hour", "buses an hour", cells.not_negative),
    Key("share", "part that moves: `30 %`", part),
    Key("switch", "part that switches vehicles", part),
    Key("leave", "part that no longer drives", part),
    Key("near", "id of the edit whose line is built beside"),
    Key("within", "part of what is built that is near the line: `80 %`", part),
    Key("radius", "how far people walk: `800 m`", measured("km")),
    Key("headway", "minutes between trains: `5 min`", measured("min")),
    Key("amount", "toll, in money", cells.not_negative),
    Key("value_of_time", "of a vehicle, in money an hour", cells.not_negative),
    Key("file", "SUMO additional file with signal programs"),
    Key("population", "relative change: `20 %`", change),
    Key("jobs", "relative change: `-5 %`", change),
)  # fmt: skip
PLAN = (
    Key("name", "short name of the plan", cells.identifier, required=True),
    Key("title", "name for people", default=""),
    Key("note", "for people", default=""),
    Key("edits", "what changes", shape="records", keys=EDIT, default=[]),
    Key("claims", "what the proposal says", shape="records", keys=CLAIM, default=[]),
    Key(
        "charging",
        "how vehicles charge, in place of what roads.yaml says",
        shape="records",
        keys=CHARGING,
        default=[],
    ),
)
_COMMON = ("id", "type", "from", "to", "hours", "days", "uncertainty", "source", "status")


@dataclass(frozen=True)
class Plan:
    """A plan as its file says it."""

    name: str
    title: str
    edits: tuple[Edit, ...]
    claims: tuple[Claim, ...]
    digest: str
    charging: tuple[Mode, ...] = ()


def read_plan(path: Path) -> Plan:
    """A plan from its file.

    Raises:
        DeclarationError: all problems, with line and column.
    """
    from mangrove.plan.traffic.edits import checked, contradictions

    settings, places, problems = read_settings(path, PLAN, path.name or str(path))
    edits = []
    for number, row in enumerate(settings.get("edits", ())):
        if not row["id"] or not row["type"]:
            continue
        here = under(places, "edits", number)
        edit = _edit(path, row, here, problems)
        try:
            checked(edit)
        except MangroveError as error:
            key = error.problem.data.get("key")
            if key not in here or row.get(key) is not None:  # else what stands there was refused already
                problems.append(edit.located(error).problem)
        edits.append(edit)
    problems += [error.problem for _, error in contradictions(edits)]
    _refuse(problems)
    claims = claims_of(settings["claims"], places, problems)
    charging = modes_of(settings["charging"], places, problems)
    _refuse(problems)
    text = json.dumps(settings, default=str, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Plan(settings["name"], settings["title"], tuple(edits), claims, digest, charging)


def read_charging(territory: Territory) -> tuple[Mode, ...]:
    """How vehicles charge, as `roads/roads.yaml` says it.

    Raises:
        DeclarationError: problems of the file.
    """
    settings, places, problems = read_settings(Path(territory.path) / FILE, ROADS, FILE)
    _refuse(problems)
    found = modes_of(settings["charging"], places, problems)
    _refuse(problems)
    return found


def is_plan(path: Path) -> bool:
    """Whether a file is a plan for streets: YAML with edits, where a scenario has actions."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return False
    return any(
        line.startswith("edits:") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    )


def _edit(path: Path, row: Mapping[str, Any], here: Mapping[Any, Where], problems: list[Problem]) -> Edit:
    """A row of a plan as an edit; files that it names are looked for."""
    from mangrove.plan.traffic.edits import Edit

    values = {key: value for key, value in row.items() if key not in _COMMON and value not in (None, [])}
    problems += [
        Problem("roads.no_file", {"path": values[key]}, here.get(key))
        for key in ("file", "gtfs")
        if key in values and not (path.parent / values[key]).exists()
    ]
    if "file" in values:
        values["file"] = path.parent / values["file"]
    if "gtfs" in values:
        values["gtfs"] = _timetable(path.parent / values["gtfs"])
    if row["lines"] == ["all"]:
        values["lines"] = "all"
    hours = {hour for hours in row["hours"] or () for hour in hours or ()}
    days = frozenset(day for days in row["days"] or () for day in days or ())
    return Edit(
        row["id"], row["type"], values, row["from"], row["to"], row["uncertainty"], row["source"] or "", row["status"],
        tuple(hour in hours for hour in range(DAY)) if hours else None, days or None, here,
    )  # fmt: skip


def _timetable(path: Path) -> Timetable:
    """A timetable; the same file is read once."""
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    return _read_once(path.resolve(), stamp)


@lru_cache(maxsize=4)
def _read_once(path: Path, stamp: int) -> Timetable:  # noqa: ARG001 - another stamp is another file
    from mangrove.sources.gtfs_ways import Timetable

    return Timetable(path)


def read_case(
    territory: Territory, plans: Sequence[Plan] = (), on: date | None = None
) -> tuple[Case, tuple[str, ...]]:
    """The case of a territory, and the rows of defaults (`rules.roads`) that its trips were made with.

    Routes of a timetable that plans make electric or give a lane run today, so they are in the case before all plans.

    Args:
        territory: with `roads/roads.yaml` in its folder.
        plans: whose vehicle classes must be among those of the case.
        on: the day of the verdict, for timetables.

    Raises:
        DeclarationError: problems of the file. SourceError: of the network or a table. RequestError: wards without people, ...
    """
    import numpy as np

    from mangrove.plan.traffic.case import case_of
    from mangrove.traffic.trips import Spread

    folder = Path(territory.path) / FOLDER
    settings, places, problems = read_settings(Path(territory.path) / FILE, ROADS, FILE)
    if settings and bool(settings["net"]) == bool(settings["extract"]):
        problems.append(Problem("roads.net_or_extract", {}, places.get(("net",), Where(FILE))))
    if settings and settings["hours"] and len(settings["hours"]) != DAY:
        problems.append(Problem("roads.bad_hours", {"count": len(settings["hours"])}, places.get(("hours",))))
    _refuse(problems)
    road, people, jobs = _roads(territory, folder, settings)
    demand = _demand(folder, settings, road, people, jobs)
    spread = settings["spread"]
    case = case_of(
        road, demand, people, jobs, technologies=settings["technologies"], more=_classes(plans, settings),
        hours=np.array(settings["hours"]) if settings["hours"] else None,
        elasticity=settings["elasticity"], spread=Spread(spread, spread, spread),
    )  # fmt: skip
    return _with_buses(case, folder, settings, places, plans, on), demand.rows


def _with_buses(  # noqa: PLR0917 - what the buses of today come from
    case: Case, folder: Path, settings: Mapping[str, Any], places: Mapping[Any, Where], plans: Sequence[Plan], on: date | None
) -> Case:  # fmt: skip
    """The case with the buses that run today: those of `roads.yaml`, and those that plans do something with."""
    from mangrove.plan.traffic.bus_routes import ways_of, with_routes
    from mangrove.plan.traffic.edits import Edit

    found = [edit for plan in plans for edit in plan.edits if edit.type in _RUNNING and "gtfs" in edit.values]
    if settings["gtfs"]:
        path = folder / settings["gtfs"]
        if not path.exists():
            raise DeclarationError(
                [Problem("roads.no_file", {"path": settings["gtfs"]}, places.get(("gtfs",)))]
            )
        values = {"gtfs": _timetable(path), "routes": settings["routes"], "day": settings["day"]}
        here = {at[0] if len(at) == 1 else at: where for at, where in places.items()}
        found.insert(0, Edit(FILE, "bus_line", values, places={**here, "type": places[("gtfs",)]}))
    for edit in found:
        try:
            case = with_routes(case, ways_of({**edit.values, "on": on}))
        except MangroveError as error:
            raise edit.located(error) from None
    return case


def _refuse(problems: Sequence[Problem]) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise DeclarationError(sorted(problems, key=lambda p: (p.where or Where(""), p.code)))


def _classes(plans: Sequence[Plan], settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Vehicle classes that plans and timetables bring."""
    found: list[str] = ["bus"] if settings["gtfs"] else []
    for edit in (edit for plan in plans for edit in plan.edits):
        found += [edit.values[key] for key in ("into", "class") if edit.values.get(key)]
        if edit.type in ("bus_lane", "bus_line") and not edit.values.get("class"):
            found.append("bus")
        if edit.type in _RUNNING and "gtfs" in edit.values:
            found.append("bus")
        if edit.type == "electric_buses":
            found += ["bus", "electric_bus"]
    return tuple(dict.fromkeys(found))


def _roads(territory: Territory, folder: Path, settings: Mapping[str, Any]) -> tuple[RoadMap, Any, Any]:
    """The roads between the wards, and their people and jobs."""
    import numpy as np

    from mangrove.traffic.road_map import roads_of

    chosen = [place for place in territory.places.values() if place.kind == settings["kind"]]
    if not chosen:
        raise RequestError("roads.no_wards", kind=settings["kind"])
    missing = [
        place.id for place in chosen if place.population is None or settings["jobs"] not in place.props
    ]
    if missing:
        raise RequestError("roads.no_people", place=missing[0], column=settings["jobs"])
    net = _net(folder, settings)
    ids = [place.id for place in chosen]
    if all(place.geometry for place in chosen):
        road = roads_of(net, {place.id: dict(place.geometry or {}) for place in chosen})
    else:
        placed = [[np.nan if x is None else x for x in (place.lon, place.lat)] for place in chosen]
        road = roads_of(net, np.array(placed, dtype=np.float64), names=ids)
    people = np.array([place.population for place in chosen], dtype=np.float64)
    jobs = np.array([cells.not_negative(place.props[settings["jobs"]]) for place in chosen])
    return road, people, jobs


def _net(folder: Path, settings: Mapping[str, Any]) -> SumoNet:
    """The network: read, or made of an extract once."""
    from mangrove.traffic.sumo_net import read_net

    if settings["net"]:
        return read_net(folder / settings["net"])
    from mangrove.traffic.osm import extract

    box = settings["box"]
    if len(box) != SIDES:
        raise RequestError("roads.bad_box", box=", ".join(f"{edge:g}" for edge in box))
    key = hashlib.sha256(json.dumps([settings["extract"], *box]).encode()).hexdigest()[:12]
    made = folder.parent / ".mangrove" / "roads" / f"{key}.net.xml.gz"
    if not made.is_file():
        made.parent.mkdir(parents=True, exist_ok=True)
        extract(folder / settings["extract"], tuple(box), made)
    return read_net(made)


def _demand(folder: Path, settings: Mapping[str, Any], road: RoadMap, people: Any, jobs: Any) -> Any:
    """Trips: given, or from population and jobs, and fitted to counts where there are any."""
    from dataclasses import replace

    from mangrove.traffic import demand, paths
    from mangrove.traffic.equilibrium import graph_of

    mix = settings["mix"]
    if mix and abs(sum(mix.values()) - 1) > 1e-6:  # noqa: PLR2004 - rounding
        raise RequestError("roads.bad_mix", percent=f"{100 * sum(mix.values()):g}")
    if settings["trips"]:
        if not mix:
            raise RequestError("roads.no_mix")
        made = demand.Demand(_trips(folder / settings["trips"], road, demand.units_per_vehicle(mix)), mix)
    else:
        minutes = paths.skim(road.roads.zones, road.roads.time, graph_of(road.roads))
        made = demand.four_step(people, jobs, minutes, demand.Rates(**(settings["rates"] or {})))
        made = replace(made, shares=mix or made.shares)
    if settings["counts"]:
        links, counts = _counts(folder / settings["counts"], road)
        made, _ = demand.from_counts(road.roads, made, links, counts)
    return made


def _trips(path: Path, road: RoadMap, units: float) -> Any:
    """(Z, Z) motorcycle units from a table of vehicles."""
    import numpy as np

    number = {name: at for at, name in enumerate(road.zones)}
    trips = np.zeros((len(number), len(number)))
    for line, row in _table(path, ("origin", "destination", "vehicles")):
        for key in ("origin", "destination"):
            if row[key] not in number:
                raise RequestError("roads.unknown_zone", where=Where(path.name, line), zone=row[key], hint="")
        trips[number[row["origin"]], number[row["destination"]]] += units * cells.not_negative(
            row["vehicles"]
        )
    return trips


def _counts(path: Path, road: RoadMap) -> tuple[Any, Any]:
    """Counted links and their motorcycle units per hour."""
    import numpy as np

    from mangrove.rules import roads as rules
    from mangrove.traffic.sumo_net import edge_numbers

    units: dict[str, float] = {}
    for _, row in _table(path, ("edge", "vehicle", "count")):
        counted = cells.not_negative(row["count"]) * rules.motorcycle_units(row["vehicle"])
        units[row["edge"]] = units.get(row["edge"], 0.0) + counted
    edges = edge_numbers(road.net, tuple(units))
    link = {int(edge): at for at, edge in enumerate(road.edge) if edge >= 0}
    kept = [
        (link[int(edge)], count)
        for edge, count in zip(edges, units.values(), strict=True)
        if int(edge) in link
    ]
    return np.array([at for at, _ in kept], dtype=np.int32), np.array([count for _, count in kept])


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with their lines."""
    import csv

    from mangrove.territory.tables import read_text

    text, problems = read_text(path, path.name)
    _refuse(problems)
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise RequestError("roads.no_column", where=Where(path.name, 1), column=missing[0])
    return [(reader.line_num, row) for row in reader]
