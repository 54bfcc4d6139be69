# SPDX-License-Identifier: Apache-2.0
"""Outlines of places for one map: true ones where they are declared, schematic cells around centers where they are not.

Comes in: a territory and ids of places. Goes out: shapes for the drawn map, and a GeoJSON collection for the interactive one, with
borders simplified together to what a large screen shows and coordinates of five decimals (a meter).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import mapping, shape

from mangrove.figures import Point, Shape, voronoi_cells
from mangrove.figures.geo import EARTH_KM_PER_DEGREE, panels, parts_of
from mangrove.serve.basemap import coverage, gather
from mangrove.territory.model import Place, Territory

_SCREEN = 2048
"""Pixels across which a border still looks smooth."""
_DECIMALS = 5


def shapes(territory: Territory, rows: Sequence[str]) -> list[Shape]:
    """The areas of places: as declared where all have an outline, else schematic for all that have a center.

    A declared outline says with the member `schematic` of its geometry that it is none of the true ones.
    """
    places = [territory.places[id_] for id_ in rows]
    if places and all(_outlined(place) for place in places):
        return [
            Shape(p.id, p.name, p.geometry, schematic=bool((p.geometry or {}).get("schematic")))
            for p in places
        ]
    points = [Point(place.id, place.name, *_center(place)) for place in places]
    return voronoi_cells(points) if points else []


def frame(drawn: Sequence[Shape]) -> tuple[float, float, float, float] | None:
    """West, south, east, north of the main body in degrees, far islands left out; None when nothing is drawn."""
    groups = panels(parts_of(drawn))
    if not groups:
        return None
    whole = shapely.total_bounds([shape(one.geometry) for one in drawn if one.geometry is not None])
    every = [edge for group in groups for edge in (group.bounds[0], group.bounds[2])]
    # the plane of `parts_of` is linear in both directions, so the ends of all parts give its scale
    across = (max(every) - min(every)) / max(float(whole[2] - whole[0]), 1e-9)
    west, south, east, north = groups[0].bounds
    left = float(whole[0]) + (west - min(every)) / across
    right = float(whole[0]) + (east - min(every)) / across
    return left, south / EARTH_KM_PER_DEGREE, right, north / EARTH_KM_PER_DEGREE


def _outlined(place: Place) -> bool:
    return place.geometry is not None and "Polygon" in str(place.geometry.get("type"))


def _center(place: Place) -> tuple[float, float]:
    """Longitude and latitude: as declared, or of the outline; NaN when neither is there."""
    if place.lon is not None and place.lat is not None:
        return place.lon, place.lat
    if place.geometry is None:
        return math.nan, math.nan
    spot = shape(place.geometry).representative_point()
    return float(spot.x), float(spot.y)


def collection(territory: Territory, rows: Sequence[str], sees: Callable[[str], bool]) -> dict[str, Any]:
    """A GeoJSON collection of the places; `sees` says whose names the reader may know."""
    drawn = [one for one in shapes(territory, rows) if one.geometry is not None]
    found = [
        gather.MapFeature(one.id, "", one.name, "", gather.polygon_of(one.geometry), None) for one in drawn
    ]
    features = []
    for area in _simple(found) if found else []:
        properties: dict[str, Any] = {"id": area.id, "schematic": drawn[0].schematic}
        if sees(area.id):
            properties["name"] = territory.places[area.id].name
        features.append({"type": "Feature", "properties": properties, "geometry": mapping(area.polygon)})
    return {"type": "FeatureCollection", "features": features}


def _simple(found: Sequence[gather.MapFeature]) -> list[gather.MapFeature]:
    """The features in degrees, simplified for a screen that shows them all."""
    left, top, right, bottom = shapely.total_bounds([feature.polygon for feature in found])
    wide = max(right - left, bottom - top, 1e-9)
    zoom = min(max(math.ceil(math.log2(_SCREEN / 512 / wide)), 0), 22)
    areas = coverage.at_zoom(coverage.prepare(found, zoom), zoom).areas
    steps = coverage.EXTENT * 2**zoom

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(gather.degrees(xy / steps), _DECIMALS)

    return [replace(area, polygon=shapely.transform(area.polygon, place)) for area in areas]
