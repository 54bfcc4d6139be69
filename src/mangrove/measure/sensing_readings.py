# SPDX-License-Identifier: Apache-2.0
"""What sensors and weather stations of a territory said, hour by hour, on one flat map.

Comes in: a snapshot, a territory, a period. Goes out: positions in meters, hourly readings in ug/m3 (NaN where nothing counts was
measured), and the winds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from mangrove.errors import DataQualityError, Problem, RequestError, did_you_mean
from mangrove.gridding import project
from mangrove.inference.concentration import to_kg
from mangrove.inference.dispersion_classes import by_hour, classes
from mangrove.inference.plume import Winds
from mangrove.inference.runs import read_series
from mangrove.inference.series import usable
from mangrove.inference.wind import toward
from mangrove.ledger import Snapshot
from mangrove.territory.model import Flow, Place, Territory
from mangrove.times import Span, to_us

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
_MICRO_HOUR = 3_600_000_000
_UG = 1e9
INLET = 3.0
"""m: height of a sensor without a declared one. Directive 2008/50/EC, annex III C: inlets stand between 1.5 m and 4 m."""
MIXING = (1500.0, 1500.0, 1000.0, 800.0, 300.0, 100.0)
"""m: mixing height by Pasquill class A to F where none is measured. Assumed round numbers, no measurement: the factor of dilution of each
day is a state of the inversion, and a note says that they stand in."""


@dataclass(frozen=True, eq=False)
class Readings:
    """Sensors and air over T hours.

    Attributes:
        flows: of each series (one species at one station); species: names; of: (series,) number of the species.
        stations: ids of places; station: (series,) number of the station.
        start, end: (series, 3) m, equal for points; values: (series, T) ug/m3; error: (series,) relative sd of the instrument.
        winds: of the hours; direction: (T,) degrees as measured; known: (T,) whether there was a wind.
        starts: (T,) UTC.
    """

    flows: tuple[Flow, ...]
    species: tuple[str, ...]
    of: npt.NDArray[np.int64]
    stations: tuple[str, ...]
    station: npt.NDArray[np.int64]
    start: Floats
    end: Floats
    values: Floats
    error: Floats
    winds: Winds
    direction: Floats
    known: npt.NDArray[np.bool_]
    starts: Times
    problems: tuple[Problem, ...]


_ERROR = 0.25 / 1.96
"""Relative standard deviation of an hourly value whose flow states no uncertainty: 25 % with 95 % confidence, the quality objective of
indicative measurements of NO2 and CO in Directive 2008/50/EC, annex I, section A."""


def read(  # noqa: PLR0917 - the parts of one question
    snapshot: Snapshot, territory: Territory, span: Span, species: tuple[str, ...], epsg: int, terrain: str
) -> Readings:
    """Readings of a period.

    Raises:
        DataQualityError: `sensing.no_sensors`, `sensing.no_wind`, `sensing.no_readings`.
        RequestError: `sensing.no_species`.
    """
    flows, problems = sensors(territory, species)
    starts = np.arange(to_us(span.start), to_us(span.end), _MICRO_HOUR)
    hours = starts.astype("datetime64[us]")
    direction, winds, known = _winds(snapshot, territory, span, flows, terrain)
    kept, values = [], []
    for flow in flows:
        raw = _hourly(snapshot, flow.id, span)
        if np.isfinite(raw).any():
            kept.append(flow)
            values.append(np.asarray(to_kg(raw, flow.unit.text, flow.carrier.code)) * _UG)
        else:
            problems.append(Problem("sensing.silent", {"flow": flow.id}, severity="warning"))
    if not kept:
        raise DataQualityError("sensing.no_readings", flows=", ".join(flow.id for flow in flows))
    names = tuple(dict.fromkeys([*species, *(flow.carrier.code for flow in kept)]))
    names = tuple(name for name in names if any(flow.carrier.code == name for flow in kept))
    stations = tuple(dict.fromkeys(flow.place for flow in kept))
    return Readings(
        flows=tuple(kept),
        species=names,
        of=np.array([names.index(flow.carrier.code) for flow in kept]),
        stations=stations,
        station=np.array([stations.index(flow.place) for flow in kept]),
        start=_positions(territory, kept, epsg, far=False),
        end=_positions(territory, kept, epsg, far=True),
        values=np.array(values),
        error=np.array(
            [_ERROR if flow.uncertainty is None else max(flow.uncertainty / 1.96, 0.0005) for flow in kept]
        ),
        winds=winds,
        direction=direction,
        known=known,
        starts=hours,
        problems=tuple(problems),
    )


def sensors(territory: Territory, species: tuple[str, ...]) -> tuple[list[Flow], list[Problem]]:
    """Flows of the kind `air` at places with a position, and those that have none."""
    air = [flow for flow in territory.flows.values() if flow.carrier.kind == "air"]
    known = sorted({flow.carrier.code for flow in air})
    for name in species:
        if name not in known:
            raise RequestError(
                "sensing.no_species",
                species=name,
                options=", ".join(known) or "-",
                hint=did_you_mean(name, known),
            )
    wanted = [flow for flow in air if not species or flow.carrier.code in species]
    placed = [
        flow
        for flow in wanted
        if all(_at(territory.places[p]) for p in (flow.place, flow.to_place or flow.place))
    ]
    if not placed:
        raise DataQualityError("sensing.no_sensors", flows=", ".join(flow.id for flow in wanted) or "-")
    lost = [flow.id for flow in wanted if flow not in placed]
    return placed, [Problem("sensing.no_position", {"flow": name}, severity="warning") for name in lost]


def _at(place: Place) -> bool:
    return place.lon is not None and place.lat is not None


def _positions(territory: Territory, flows: list[Flow], epsg: int, *, far: bool) -> Floats:
    places = [territory.places[flow.to_place if far and flow.to_place else flow.place] for flow in flows]
    points: list[BaseGeometry] = [shapely.Point(place.lon, place.lat) for place in places]
    plane = shapely.get_coordinates(project(points, epsg))
    heights = [flow.parameters.get("height") for flow in flows]
    up = [INLET if height is None or isinstance(height, str) else height.to("m") for height in heights]
    return np.column_stack([plane, up])


def _hourly(snapshot: Snapshot, flow: str, span: Span, *, columns: bool = False) -> Floats:
    """(T,) means of the usable values that start in each hour, NaN without any; of a direction, (T, 2) of its vectors."""
    low, high = to_us(span.start), to_us(span.end)
    rows = read_series(snapshot, flow, low, high)
    rows = rows.pick(usable(rows.quality))
    hour, count = (rows.start - low) // _MICRO_HOUR, -(-(high - low) // _MICRO_HOUR)
    number = np.bincount(hour, minlength=count).astype(float)
    number[number == 0] = np.nan
    parts = list(toward(rows.value)) if columns else [rows.value]
    means = [np.bincount(hour, part, minlength=count) / number for part in parts]
    found: Floats = np.column_stack(means) if columns else means[0]
    return found


def _winds(
    snapshot: Snapshot, territory: Territory, span: Span, flows: list[Flow], terrain: str
) -> tuple[Floats, Winds, npt.NDArray[np.bool_]]:
    """Direction, winds and where they are known; the vane with the most hours counts, gaps are calm and known to be gaps."""
    weather = {
        code: [f for f in territory.flows.values() if f.carrier.kind == "weather" and f.carrier.code == code]
        for code in ("wind_speed", "wind_from", "mixing_height", "irradiance")
    }
    best: tuple[int, Floats, Floats] | None = None
    for vane in weather["wind_from"]:
        for fan in weather["wind_speed"]:
            if fan.place == vane.place:
                air, fast = _hourly(snapshot, vane.id, span, columns=True), _hourly(snapshot, fan.id, span)
                fast = fast * fan.unit.to("m/s")
                hours = int((np.isfinite(fast) & np.isfinite(air[:, 0])).sum())
                if best is None or hours > best[0]:
                    best = hours, air, fast
    if best is None or not best[0]:
        raise DataQualityError("sensing.no_wind")
    _, air, fast = best
    length = np.hypot(air[:, 0], air[:, 1])
    known = np.isfinite(fast) & (length > 0)
    unit = np.where(known[:, None], air / np.where(known, length, 1.0)[:, None], [1.0, 0.0])
    speed = np.where(known, fast, 0.0)
    sun = _first(snapshot, weather["irradiance"], span, "W/m2")
    at = territory.places[flows[0].place]
    starts = np.arange(to_us(span.start), to_us(span.end), _MICRO_HOUR).astype("datetime64[us]")
    clear = by_hour(speed, starts, float(at.lon or 0.0), float(at.lat or 0.0))
    stability = (
        clear if sun is None else np.where(np.isfinite(sun), classes(speed, np.nan_to_num(sun)), clear)
    )
    measured = _first(snapshot, weather["mixing_height"], span, "m")
    usual = np.array(MIXING)[stability]
    mixing = usual if measured is None else np.where(measured > 0, measured, usual)
    direction = np.degrees(np.arctan2(-unit[:, 0], -unit[:, 1])) % 360
    return direction, Winds(speed, unit[:, 0].copy(), unit[:, 1].copy(), mixing, stability, terrain), known


def _first(snapshot: Snapshot, flows: list[Flow], span: Span, unit: str) -> Floats | None:
    """The hours of the first flow that has any, in `unit`."""
    for flow in flows:
        hours = _hourly(snapshot, flow.id, span)
        if np.isfinite(hours).any():
            return hours * flow.unit.to(unit)
    return None
