# SPDX-License-Identifier: Apache-2.0
"""Water of a territory: the energy and emissions of pumping hour by hour, and the stress of drains under rain, ward by ward.

Comes in: an opened territory and an .inp file of EPANET or SWMM. Goes out: what the simulation said, values of electricity flows as the
run `estimate/water` (so that the one formula makes emissions of them: `mangrove measure --run estimate/water`), tables, a GeoPackage,
and rows of places and flows for a declaration.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.ledger.types import COUNTED, Origin
from mangrove.territory.model import Flow, Place, Territory
from mangrove.text import fold
from mangrove.times import Span, instant

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.hydraulics import Drainage, Network, Rain, Supply

RUN = "estimate/water"
"""The run under which the energy of pumps is stored: a named estimate, beside what meters say."""
_VERSION = "1"
_HOUR = timedelta(hours=1)


@dataclass
class WaterRun:
    """A simulated supply network.

    Attributes:
        supply: the hydraulics; start: the first hour (UTC); rows: values stored.
        matched: number of each pump to the flow that takes its energy; indicators: see `Supply.indicators`.
        emissions: kg CO2e of the stored hours; None when nothing was stored or the territory has no factor for it.
    """

    supply: Supply
    start: datetime
    matched: dict[int, str] = field(default_factory=dict)
    indicators: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    emissions: float | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass
class DrainRun:
    """A simulated drainage network; `wards`: flooded m3 and flooded nodes by place, for places with a boundary."""

    drainage: Drainage
    wards: dict[str, tuple[float, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def simulate(
    park: Handle,
    path: str | Path,
    start: str | date | datetime,
    *,
    hours: float | None = None,
    flow: str = "",
    crs: str = "",
    store: bool = True,
) -> WaterRun:
    """Runs EPANET on a supply network and stores the energy of its pumps by the hour.

    A pump belongs to the electricity flow whose meter, name or id is the id of the pump; `flow` takes all the others.

    Args:
        park: an opened territory.
        path: the .inp file.
        start: the first hour, local time.
        hours: length of the run; the file's own when left out.
        flow: id of the electricity flow for pumps that have none of their own.
        crs: reference system of the file's coordinates ("EPSG:9210").
        store: write the energy to the ledger.

    Raises:
        SourceError, RequestError: the file or an argument makes no sense.
        MissingExtraError: the extra `water` is not installed.
    """
    from mangrove.hydraulics import read_network, simulate_supply

    first = instant(start, park.territory.tz)
    supply = simulate_supply(read_network(path, crs), hours=hours)
    made = WaterRun(supply, first, indicators=supply.indicators())
    made.matched, lost = _matched(park.territory, supply, flow)
    if lost:
        data = {"count": len(lost), "pumps": ", ".join(lost[:5]) + ("..." if len(lost) > 5 else "")}  # noqa: PLR2004
        made.problems.append(Problem("hydraulics.unmatched", data, severity="warning"))
    made.problems += [
        Problem("hydraulics.warning", {"text": one}, severity="warning") for one in supply.warnings
    ]
    if store and made.matched:
        made.rows = _store(park, made, Path(path))
        made.emissions = _emissions(park, made)
    return made


def drain(
    park: Handle,
    path: str | Path,
    rain: Rain | None = None,
    *,
    crs: str = "",
    by: str = "ward",
    after: float = 6.0,
) -> DrainRun:
    """Runs SWMM on a drainage network under a rain.

    Args:
        park: an opened territory; its places of kind `by` with a boundary divide what floods.
        path: the .inp file.
        rain: see `hydraulics.storm` and `measured_rain`; None: the file's own.
        crs: reference system of the file's coordinates.
        by: kind of place ("ward").
        after: hours simulated after the rain.

    Raises:
        SourceError, RequestError: the file or an argument makes no sense.
        MissingExtraError: the extra `water` is not installed.
    """
    from mangrove.hydraulics import read_network, simulate_drainage

    drainage = simulate_drainage(read_network(path, crs), rain, after=after)
    made = DrainRun(drainage, wards=_by_place(park.territory, drainage, by))
    made.problems = [
        Problem("hydraulics.warning", {"text": one}, severity="warning") for one in drainage.warnings
    ]
    if drainage.doubtful:
        data = {"runoff": round(drainage.runoff_error, 1), "routing": round(drainage.routing_error, 1)}
        made.problems.append(Problem("hydraulics.mass_error", data, severity="warning"))
    return made


def measured_rain(
    park: Handle, start: str | date | datetime, end: str | date | datetime | None = None, flow: str = ""
) -> Rain:
    """The rain of a period from the ledger, at the step of its flow; steps without a value count as dry.

    Raises:
        RequestError: `hydraulics.no_rain_flow`, `hydraulics.no_rain_values`, `measure.unknown_flow`.
    """
    from mangrove.hydraulics import Rain

    declared = {f.id: f for f in park.territory.flows.values() if (f.carrier.kind, f.carrier.code) == ("weather", "rain")}  # fmt: skip
    if flow and flow not in declared:
        raise RequestError("measure.unknown_flow", flow=flow, hint=did_you_mean(flow, declared))
    found = declared.get(flow) or next(iter(declared.values()), None)
    if found is None or found.step is None:
        raise RequestError("hydraulics.no_rain_flow")
    span = Span.asked(start, end, park.territory.tz)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = snapshot.values([found.id], span.start, span.end)
    good = np.isin(table["quality"].to_numpy(), [int(code) for code in COUNTED])
    if not good.any():
        raise RequestError("hydraulics.no_rain_values", flow=found.id)
    seconds = table["start"].to_numpy().astype("datetime64[s]").astype(np.int64)[good]
    step = found.step.seconds
    first = int(span.start.timestamp())
    amounts = np.zeros(int(np.ceil((span.end.timestamp() - first) / step)))
    np.add.at(amounts, (seconds - first) // step, table["value"].to_numpy()[good] * found.unit.to("mm"))
    return Rain(span.start.astimezone(park.territory.tz).replace(tzinfo=None), step, amounts)


def _matched(territory: Territory, supply: Supply, flow: str) -> tuple[dict[int, str], list[str]]:
    """The flow of each pump, and the pumps that have none."""
    if flow:
        _check_flow(territory, flow)
    names: dict[str, str] = {}
    for one in territory.flows.values():
        if one.carrier.kind == "electricity" and one.unit.converts_to("kWh"):
            names |= {fold(name): one.id for name in (one.name, one.meter, one.id) if name}
    found, lost = {}, []
    for number, pump in enumerate(supply.pump_ids):
        target = names.get(fold(pump), flow)
        if target:
            found[number] = target
        else:
            lost.append(pump)
    return found, lost


def _check_flow(territory: Territory, flow: str) -> Flow:
    if flow not in territory.flows:
        raise RequestError("measure.unknown_flow", flow=flow, hint=did_you_mean(flow, territory.flows))
    found = territory.flows[flow]
    if found.carrier.kind != "electricity" or not found.unit.converts_to("kWh"):
        raise RequestError("hydraulics.flow_not_electricity", flow=flow)
    return found


def _store(park: Handle, made: WaterRun, path: Path) -> int:
    """Writes the energy of each matched flow; pumps that share a flow are added up."""
    import pyarrow as pa

    energy: dict[str, npt.NDArray[np.float64]] = {}
    for number, target in made.matched.items():
        energy[target] = energy.get(target, 0.0) + made.supply.energy[:, number]
    starts = [made.start + _HOUR * hour for hour in range(len(made.supply.energy))]
    tables = []
    for target, values in energy.items():
        scaled = values / park.territory.flows[target].unit.to("kWh")
        tables.append(pa.table({"flow": [target] * len(starts), "start": starts, "value": scaled}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    key = f"{digest}:{made.start.isoformat()}:{len(starts)}:{sorted(made.matched.items())}"
    origin = Origin(
        f"model:epanet:{path.name}", hashlib.sha256(key.encode()).hexdigest(), run=RUN, model="EPANET 2.2",
        version=_VERSION, inputs=(digest,),
    )  # fmt: skip
    with park.writer() as ledger:
        return ledger.append(pa.concat_tables(tables), origin).rows


def _emissions(park: Handle, made: WaterRun) -> float | None:
    """The kg CO2e of the stored hours, by the formula that measures everything else; None without a factor or a GWP set."""
    from mangrove import api
    from mangrove.errors import MangroveError

    end = made.start + _HOUR * len(made.supply.energy)
    try:
        table = api.measure(park, made.start, end, by=("flow",), run=RUN, store=False).to_arrow()
    except MangroveError:
        return None
    mine = set(made.matched.values())
    rows = [row["co2e_kg"] for row in table.to_pylist() if row["flow"] in mine and row["co2e_kg"] is not None]
    return float(sum(rows)) if rows else None


def _by_place(territory: Territory, drainage: Drainage, by: str) -> dict[str, tuple[float, int]]:
    """m3 and number of flooded nodes inside each place of a kind that has a boundary."""
    import shapely
    from shapely.geometry import shape

    network = drainage.network
    xy = network.xy if network.lonlat is None else network.lonlat
    places = [one for one in territory.places.values() if one.kind == by and one.geometry is not None]
    wet = np.flatnonzero((drainage.flooded > 0) & np.isfinite(xy).all(axis=1))
    if not places or not len(wet):
        return {}
    tree = shapely.STRtree(shapely.points(xy[wet]))
    found = {}
    for place in places:
        inside = wet[tree.query(shape(place.geometry), predicate="intersects")]
        if len(inside):
            found[place.id] = float(drainage.flooded[inside].sum()), len(inside)
    return found


def declaration(network: Network, parent: str) -> tuple[list[Place], list[dict[str, str]]]:
    """Places and flows that a network suggests, to be looked at and put into a territory.

    Stations (pumps with their nodes), tanks, reservoirs, outfalls and storages become places inside `parent`; each pump becomes an
    electricity flow whose meter is the id of the pump. Junctions and pipes stay in the GeoPackage: a territory is not a drawing.

    Returns:
        Places, and rows of flows.csv.
    """
    lonlat = network.lonlat if network.lonlat is not None else np.full((len(network.nodes), 2), np.nan)

    def place(id_: str, kind: str, node: int) -> Place:
        lon, lat = (float(one) if np.isfinite(one) else None for one in lonlat[node])
        return Place(id_, id_, kind, parent, lon=lon, lat=lat)

    places = [
        place(name, kind, number)
        for number, (name, kind) in enumerate(zip(network.nodes, network.node_kinds, strict=True))
        if kind != "junction"
    ]
    flows = []
    for link, kind, (start, _) in zip(network.links, network.link_kinds, network.ends.tolist(), strict=True):
        if kind == "pump":
            places.append(place(f"pump-{link}", "facility", start))
            flows.append({
                "id": f"pump-{link}.power", "place": f"pump-{link}", "carrier": "electricity", "unit": "kWh", "step": "1h",
                "semantics": "sum", "scope": "2", "meter": link, "basis": "derived", "name": f"pump {link}",
            })  # fmt: skip
    return places, flows


def write_declaration(network: Network, parent: str, folder: Path) -> tuple[int, int]:
    """Writes `places.csv` and `flows.csv` of what a network suggests; returns how many of each."""
    places, flows = declaration(network, parent)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"id": one.id, "name": one.name, "kind": one.kind, "parent": parent, "lon": one.lon, "lat": one.lat}
        for one in places
    ]
    for name, table in (("places", rows), ("flows", flows)):
        (folder / f"{name}.csv").write_text(_csv(table), encoding="utf-8")
    return len(places), len(flows)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    sink = io.StringIO()
    if rows:
        writer = csv.DictWriter(sink, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return sink.getvalue()


def supply_json(made: WaterRun) -> str:
    """A simulated supply network as JSON: indicators, kWh by pump and hour, emissions."""
    supply = made.supply
    pumps = [
        {"pump": pump, "flow": made.matched.get(n), "kwh": round(float(supply.energy[:, n].sum()), 3),
         "by_hour": supply.energy[:, n].round(4).tolist()}
        for n, pump in enumerate(supply.pump_ids)
    ]  # fmt: skip
    found = {"start": made.start.isoformat(), "indicators": made.indicators, "rows": made.rows, "run": RUN,
             "co2e_kg": made.emissions, "pumps": pumps}  # fmt: skip
    return json.dumps(found, ensure_ascii=False, indent=1)


def supply_text(made: WaterRun, lang: str = "en") -> str:
    """A simulated supply network for people."""
    from mangrove import messages
    from mangrove.figures.numbers import number, percent
    from mangrove.printing import grid

    def word(name: str) -> str:
        return messages.render(f"water.{name}", lang)

    shown = made.indicators
    body = [
        [word("delivered"), f"{number(shown['delivered'], lang)} m3"],
        [word("leaked"), f"{number(shown['leaked'], lang)} m3 ({percent(shown['leak_share'], lang)})"],
        [word("energy"), f"{number(shown['energy'], lang)} kWh"],
        [word("specific"), f"{number(shown['specific_energy'], lang)} kWh/m3"],
        [word("least_pressure"), f"{number(shown['least_pressure'], lang)} m"],
        [word("below_lowest"), percent(shown["below_lowest"], lang)],
    ]
    if made.emissions is not None:
        body.append([word("emissions"), f"{number(made.emissions / 1000, lang)} t CO2e"])
    pumps = [
        [pump, made.matched.get(n, "-"), number(float(made.supply.energy[:, n].sum()), lang)]
        for n, pump in enumerate(made.supply.pump_ids)
    ]
    lines = grid([word("figure"), word("value")], body, left={0})
    return "\n".join([*lines, "", *grid([word("pump"), word("flow"), "kWh"], pumps, left={0, 1})])


def drain_json(made: DrainRun) -> str:
    """A drained rain as JSON."""
    drainage = made.drainage
    ids, links = drainage.network.nodes, drainage.network.links
    found = {
        "rain_mm": drainage.rain.depth if drainage.rain else drainage.runoff["rainfall"],
        "flooded_m3": float(drainage.flooded.sum()),
        "nodes": [
            {"node": name, "m3": float(drainage.flooded[ids.index(name)]), "hours": float(drainage.flooded_hours[ids.index(name)])}
            for name in drainage.flooded_nodes
        ],
        "full": [{"link": links[n], "hours": float(drainage.full_hours[n])} for n in np.flatnonzero(drainage.full_hours > 0)],
        "places": {place: {"m3": volume, "nodes": count} for place, (volume, count) in made.wards.items()},
        "runoff_error_percent": drainage.runoff_error, "routing_error_percent": drainage.routing_error,
    }  # fmt: skip
    return json.dumps(found, ensure_ascii=False, indent=1)


def drain_text(made: DrainRun, territory: Territory, lang: str = "en") -> str:
    """A drained rain for people: the ten worst nodes, places, errors."""
    from mangrove import messages
    from mangrove.figures.numbers import number
    from mangrove.printing import grid

    def word(name: str) -> str:
        return messages.render(f"water.{name}", lang)

    drainage = made.drainage
    ids = drainage.network.nodes
    most = 10
    body = [
        [name, number(float(drainage.flooded[ids.index(name)]), lang), number(float(drainage.flooded_hours[ids.index(name)]), lang)]
        for name in drainage.flooded_nodes[:most]
    ]  # fmt: skip
    rain = drainage.rain.depth if drainage.rain else drainage.runoff["rainfall"]
    told = messages.render(
        "water.drained", lang, rain=float(rain), nodes=len(drainage.flooded_nodes), volume=round(float(drainage.flooded.sum()), 1),
        conduits=int((drainage.full_hours > 0).sum()), runoff=round(drainage.runoff_error, 3), routing=round(drainage.routing_error, 3),
    )  # fmt: skip
    lines = [told]
    if body:
        lines += ["", *grid([word("node"), "m3", word("hours")], body, left={0})]
    if made.wards:
        rows = [
            [territory.places[place].name, number(volume, lang), str(count)]
            for place, (volume, count) in sorted(made.wards.items(), key=lambda one: -one[1][0])
        ]
        lines += ["", *grid([word("place"), "m3", word("nodes")], rows, left={0})]
    return "\n".join(lines)


def local_start(written: str, territory: Territory) -> datetime:
    """A moment as the clock on the wall shows it, without a zone: what a drainage model reads."""
    return instant(written, territory.tz).astimezone(territory.tz).replace(tzinfo=None)
