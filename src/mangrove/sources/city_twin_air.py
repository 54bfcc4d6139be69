# SPDX-License-Identifier: Apache-2.0
"""Generated air of a city twin: what six stations and a ring of methane sensors would say if the hidden truth were so.

Comes in: the truth, the territory, the twin's own wind. Goes out: hourly readings by flow. Emissions of the published inventory, changed as
the truth says and shared over the wards by population, go through the plume (`inference.plume`); a background that wanders, errors
of transport, the noise and the drift of each instrument, and gaps come on top.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import numpy as np
import pyproj
import shapely

from mangrove.figures import geo
from mangrove.inference.concentration import to_kg
from mangrove.inference.dispersion_classes import by_hour
from mangrove.inference.plume import Winds, footprint
from mangrove.measure import profiles
from mangrove.measure.sensing_ratios import ratio
from mangrove.sources.city_twin_recipe import Drift, Times, Truth
from mangrove.sources.city_twin_weather import utc, value, values
from mangrove.sources.generator_models import Array, Stream
from mangrove.territory.model import Place, Territory

INVENTORY = "values/inventory_2016.csv"
OLD_CITY = "hcmc-old"
BURNT = re.compile(r"(I\.[1-5]|II\.[1-5])\.")
"""References of burnt fuel: their CO2e is CO2 but for a few percent. Waste, land and processes give the stations nothing here."""
EPSG = 32648
CELL = 1500.0
"""m: side of the squares in which a ward emits evenly."""
RELEASE, INLET = 10.0, 3.0
BACKGROUND = {"co2": 425.0, "ch4": 2.0}
"""ppm outside the city: assumed, near the present global means of NOAA."""
_LEAST_BACKGROUND = 0.3
"""Share of the median reading of HealthyAir that is background at least, where the plume alone would explain all of it."""
_WANDER, _WANDER_DECAY = {"co2": 0.004, "ch4": 0.01}, 0.97
"""Spread of the background's logarithm: of CO2 and CH4 assumed, of the others half the common part of HealthyAir's residuals."""
_TRANSPORT, _TRANSPORT_DECAY = 0.2, 0.6
"""Spread of the log of what the plume gives, station by station, and of its memory over hours: what a plume of a steady wind misses; assumed."""
_NOISE = {"co2": 0.0015, "co": 0.04, "no2": 0.07, "pm25": 0.07, "ch4": 0.01}
"""Relative noise of an hour: assumed, about half of the `uncertainty` that the flows state."""
_GAP, _GAP_HOURS = 0.004, 6
"""Chance of an hour to begin a gap, and its length: about 2 percent are missing."""
_YEAR_HOURS, _UG, _SECONDS = 8784.0, 1e9, 3600.0


def stations(
    truth: Truth, territory: Territory, weather: Mapping[str, Array], starts: Times
) -> dict[str, Array]:
    """Readings of the air stations over the hours from `truth.air_from` on, by flow; NaN where one is silent.

    Args:
        truth: the hidden truth.
        territory: with the stations and the wards.
        weather: the twin's own hours.
        starts: (T,) their local starts.
    """
    late = starts >= np.datetime64(truth.air_from, "h")
    hours = starts[late]
    winds = _winds({name: series[late] for name, series in weather.items()}, hours, territory.tz)
    sensors = [f for f in territory.flows.values() if f.id.startswith("tw-air-")]
    places = list(dict.fromkeys(flow.place for flow in sensors))
    reached = _reached(territory, [territory.places[name] for name in places], winds)
    emitted = _emitted(truth, territory, hours, weather["tw-traffic"][late])
    found = {}
    for flow in sensors:
        species = flow.carrier.code
        plume = reached[places.index(flow.place)] * emitted[species]
        wrong = _persistent(truth, f"transport {flow.place}", len(hours), _TRANSPORT_DECAY)
        signal = plume * np.exp(_TRANSPORT * wrong - _TRANSPORT**2 / 2)
        mean = float((reached.mean(axis=0) * emitted[species]).mean())
        reading = signal + _background(truth, species, mean, len(hours))
        found[flow.id] = _instrument(truth, flow.id, species, reading, hours, unit=flow.unit.text)
    return found


def methane(
    truth: Truth, territory: Territory, weather: Mapping[str, Array], starts: Times
) -> dict[str, Array]:
    """Readings in ppm of the sensors around the unknown source, from its first day on, by flow."""
    within = starts >= np.datetime64(truth.source.from_, "h")
    hours = starts[within]
    winds = _winds({name: series[within] for name, series in weather.items()}, hours, territory.tz)
    sensors = [f for f in territory.flows.values() if f.id.startswith("tw-ch4-")]
    flat = _meters([territory.places[flow.place] for flow in sensors])
    there = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{EPSG}", always_xy=True)
    x, y = there.transform(truth.source.lon, truth.source.lat)
    at = np.array([[x, y, truth.source.height.to("m")]])
    plume = footprint(np.column_stack([flat, np.full(len(flat), INLET)]), at, winds)[:, :, 0]
    rate = truth.source.rate.to("kg/h") / _SECONDS
    found = {}
    for flow, reached in zip(sensors, plume, strict=True):
        wrong = _persistent(truth, f"transport {flow.place}", len(hours), _TRANSPORT_DECAY)
        signal = reached * rate * _UG * np.exp(_TRANSPORT * wrong - _TRANSPORT**2 / 2)
        reading = signal + _background(truth, "ch4", 0.0, len(hours))
        found[flow.id] = _instrument(truth, flow.id, "ch4", reading, hours, unit="ppm")
    return found


def outlines(territory: Territory) -> list[dict[str, object]]:
    """Schematic areas of the wards that have a center, as GeoJSON features: nearer to their own center than to any other."""
    wards = [
        p for p in territory.places.values() if p.kind == "ward" and p.lon is not None and p.valid_to is None
    ]
    drawn = geo.voronoi_cells([geo.Point(p.id, p.name, p.lon or 0.0, p.lat or 0.0) for p in wards])
    features: list[dict[str, object]] = []
    for shape in drawn:
        if shape.geometry is not None:
            area = shapely.set_precision(shapely.geometry.shape(shape.geometry), 1e-5)
            features.append(
                {
                    "type": "Feature",
                    "id": shape.id,
                    "properties": {},
                    "geometry": {**shapely.geometry.mapping(area), "schematic": True},
                }
            )
    return features


def _emitted(truth: Truth, territory: Territory, hours: Times, traffic: Array) -> dict[str, Array]:
    """kg/s of each species over the hours, (T,): inventory x shape x ratio, the road by the truth."""
    starts = utc(hours, territory.tz)
    found = {name: np.zeros(len(hours)) for name in ("co2", "co", "no2", "pm25")}
    for name, rate in rates(territory).items():
        flow = territory.flows[name]
        if flow.scope != 1 or not BURNT.match(flow.gpc):
            continue
        road = flow.gpc == truth.road.gpc
        course = traffic * truth.road.multiplier if road else profiles.shape(flow.gpc, starts, territory.tz)
        for species in found:
            known = None if species == "co2" else ratio(species, flow.gpc)
            share = 1.0 if species == "co2" else 0.0 if known is None else known.value
            found[species] += rate * course * share
    return found


def rates(territory: Territory) -> dict[str, float]:
    """What each flow emits in a second, kg CO2e: the published inventory, even over its leap year."""
    with (territory.path / INVENTORY).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["unit"] == "t"]
    return {row["flow"]: float(row["value"]) * 1000.0 / _YEAR_HOURS / _SECONDS for row in rows}


def _reached(territory: Territory, places: list[Place], winds: Winds) -> Array:
    """(stations, T) ug/m3 at each station for a kg/s that the wards emit by population."""
    cells, shares = _cells(territory)
    at = np.column_stack([_meters(places), np.full(len(places), INLET)])
    plumes = footprint(at, cells, winds, cell_size=CELL, dtype=np.float32)
    return np.asarray(plumes @ shares.astype(np.float32), dtype=float) * _UG


def _cells(territory: Territory) -> tuple[Array, Array]:
    """Middles of squares inside the wards of the old city, (n, 3) m, and the share of people in each, (n,)."""
    old = {
        name
        for name, place in territory.places.items()
        if any(node.id == OLD_CITY for node in (place, *territory.ancestors(name)))
    }
    names = sorted({one.new for one in territory.crosswalk if one.old in old})
    flat = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{EPSG}", always_xy=True)
    middles, people = [], []
    for name in names:
        place = territory.places[name]
        if place.geometry is None or not place.population:
            continue
        area = shapely.transform(
            shapely.geometry.shape(place.geometry), lambda at: np.column_stack(flat.transform(*at.T))
        )
        inside = _squares(area)
        middles.append(inside)
        people.append(np.full(len(inside), place.population / len(inside)))
    xy, weight = np.concatenate(middles), np.concatenate(people)
    return np.column_stack([xy, np.full(len(xy), RELEASE)]), weight / weight.sum()


def _squares(area: shapely.Geometry) -> Array:
    """Middles of the squares of a fixed grid that lie inside, at least the area's own."""
    west, south, east, north = (math.floor(edge / CELL) for edge in area.bounds)
    x, y = np.meshgrid(np.arange(west, east + 1), np.arange(south, north + 1))
    points = (np.column_stack([x.ravel(), y.ravel()]) + 0.5) * CELL
    inside = points[shapely.contains_xy(area, points[:, 0], points[:, 1])]
    return inside if len(inside) else np.array([[area.centroid.x, area.centroid.y]])


def _background(truth: Truth, species: str, plume: float, count: int) -> Array:
    """ug/m3: a level that wanders; where the plume leaves something of HealthyAir's mean to explain, that is the level."""
    wander = _WANDER.get(species)
    if wander is None:
        spread, shared = value(f"{species}_spread"), value(f"{species}_common")
        wander = spread * math.sqrt(shared) / 2
        median = float(values(f"{species}_hour").mean())
        level = max(median - plume, _LEAST_BACKGROUND * median)
    else:
        level = float(to_kg(np.array([BACKGROUND[species]]), "ppm", species)[0]) * _UG
    return np.asarray(
        level * np.exp(wander * _persistent(truth, f"background {species}", count, _WANDER_DECAY))
    )


def _instrument(truth: Truth, flow: str, species: str, air: Array, hours: Times, *, unit: str) -> Array:
    """What an instrument writes: noise, drift, gaps, in its own unit."""
    noise = Stream(truth.seed, f"noise {flow}").normal(len(air))
    reading = air * (1.0 + _NOISE[species] * noise)
    if flow == truth.drift.flow:
        reading = reading * _gain(truth.drift, hours)
    silent = Stream(truth.seed, f"gaps {flow}").uniform(len(air)) < _GAP
    gaps = np.convolve(silent, np.ones(_GAP_HOURS))[: len(air)] > 0
    if unit == "ppm":
        reading = reading / (float(to_kg(np.array([1.0]), "ppm", species)[0]) * _UG)
    return np.where(gaps, np.nan, reading)


def _gain(drift: Drift, hours: Times) -> Array:
    first, last = np.datetime64(drift.from_, "h"), np.datetime64(drift.to, "h")
    part = np.clip((hours - first) / (last - first), 0.0, 1.0)
    return np.asarray(1.0 + (drift.gain - 1.0) * part)


def _winds(weather: Mapping[str, Array], hours: Times, tz: ZoneInfo) -> Winds:
    speed = weather["tw-wind_speed"]
    stability = by_hour(speed, utc(hours, tz), 106.66, 10.82)
    return Winds.coming_from(
        speed, weather["tw-wind_from"], mixing=weather["tw-mixing_height"], stability=stability
    )


def _meters(places: list[Place]) -> Array:
    flat = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{EPSG}", always_xy=True)
    x, y = flat.transform([p.lon for p in places], [p.lat for p in places])
    return np.column_stack([x, y])


def _persistent(truth: Truth, name: str, count: int, decay: float) -> Array:
    return Stream(truth.seed, f"city twin {name}").persistent(count, decay)
