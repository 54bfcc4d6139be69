# SPDX-License-Identifier: Apache-2.0
"""What a basemap is made of: the places of a territory and the features around them, on the plane of web maps.

Comes in: a territory and boundary files. Goes out: features with a name in both languages and a polygon in the unit square of Web
Mercator (EPSG:3857 divided by the length of the equator; x to the east, y to the south).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from mangrove.errors import DeclarationError
from mangrove.territory import geojson
from mangrove.territory.model import Place, Territory

_ENGLISH = ("name_en", "nameEn", "name:en", "full_name_en")
_VIETNAMESE = ("name", "fullName", "full_name", "ten", "Ten", "NAME")
MOST_NORTH = 85.051129
"""Latitude at which the square of Web Mercator ends (EPSG:3857)."""


@dataclass(frozen=True, slots=True)
class MapFeature:
    """Something on the map.

    Attributes:
        id: id of the place, or empty for land that belongs to none; kind: of the place, or `land`.
        name, name_en: its name in Vietnamese (or as declared) and in English, empty when it has none.
        polygon: its area on the unit square, maybe empty; point: where its label stands, None when it has no place at all.
    """

    id: str
    kind: str
    name: str
    name_en: str
    polygon: BaseGeometry
    point: tuple[float, float] | None

    @property
    def drawn(self) -> bool:
        """Whether it has an area."""
        return not self.polygon.is_empty


def features(territory: Territory, files: Sequence[Path] = ()) -> list[MapFeature]:
    """The places that exist now and the land around them, in file order.

    Raises:
        DeclarationError: a file is no valid GeoJSON.
    """
    places = {id_: place for id_, place in territory.places.items() if place.valid_to is None}
    drawn: dict[str, geojson.Feature] = {}
    around: list[geojson.Feature] = []
    for path in files:
        read, problems = geojson.read_features(path, path.name)
        if any(problem.severity == "error" for problem in problems):
            raise DeclarationError(problems)
        matched, _ = geojson.match(read, places)
        used = {id(feature) for feature in matched.values()}
        drawn |= matched
        around += [feature for feature in read if feature.geometry and id(feature) not in used]
    found = [_place(place, drawn.get(id_)) for id_, place in places.items()]
    return [*found, *_land(around)]


def _place(place: Place, feature: geojson.Feature | None) -> MapFeature:
    geometry = feature.geometry if feature is not None else place.geometry
    polygon = polygon_of(geometry)
    english = _word(feature.properties if feature is not None else {}, _ENGLISH) or _word(
        place.props, _ENGLISH
    )
    return MapFeature(
        place.id, place.kind, place.name, english, polygon, _point(polygon, place.lon, place.lat)
    )


def _land(around: Sequence[geojson.Feature]) -> Iterator[MapFeature]:
    for feature in around:
        polygon = polygon_of(feature.geometry)
        spot = _spot(feature.geometry)
        if polygon.is_empty and spot is None:
            continue
        names = _word(feature.properties, _VIETNAMESE), _word(feature.properties, _ENGLISH)
        yield MapFeature("", "land", *names, polygon, _point(polygon, *(spot or (None, None))))


def _word(properties: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(properties[name]) for name in names if properties.get(name)), "")


def mercator(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitude and latitude (n, 2) to the unit square: x = lon/360 + 1/2, y = 1/2 - asinh(tan lat)/(2 pi).

    Example:
        >>> mercator(np.array([[0.0, 0.0], [90.0, 0.0]])).tolist()
        [[0.5, 0.5], [0.75, 0.5]]
    """
    lat = np.radians(np.clip(degrees[:, 1], -MOST_NORTH, MOST_NORTH))
    return np.column_stack([degrees[:, 0] / 360 + 0.5, 0.5 - np.arcsinh(np.tan(lat)) / (2 * math.pi)])


def degrees(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `mercator`."""
    lat = np.degrees(np.arctan(np.sinh((0.5 - square[:, 1]) * 2 * math.pi)))
    return np.column_stack([(square[:, 0] - 0.5) * 360, lat])


def polygon_of(geometry: Mapping[str, Any] | None) -> BaseGeometry:
    """The polygons of a GeoJSON geometry on the unit square, valid; empty when it has none."""
    if geometry is None or "Polygon" not in str(geometry.get("type")):
        return shapely.MultiPolygon()
    flat = shapely.transform(shapely.force_2d(shape(geometry)), mercator)
    return only_polygons(flat if flat.is_valid else shapely.make_valid(flat))


def only_polygons(geometry: BaseGeometry) -> shapely.MultiPolygon:
    """The polygons inside a geometry of any type."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.MultiPolygon([p for p in parts if p.geom_type == "Polygon" and not p.is_empty])


def _spot(geometry: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """The coordinates of a point feature."""
    if geometry is None or geometry.get("type") != "Point":
        return None
    lon, lat = geometry["coordinates"][:2]
    return float(lon), float(lat)


def _point(polygon: BaseGeometry, lon: float | None, lat: float | None) -> tuple[float, float] | None:
    """Where the label stands: the middle of the widest circle in the largest part, else the declared center."""
    if not polygon.is_empty:
        largest = max(shapely.get_parts(polygon), key=lambda part: part.area)
        size = max(largest.bounds[2] - largest.bounds[0], largest.bounds[3] - largest.bounds[1])
        center = shapely.maximum_inscribed_circle(largest, tolerance=size / 100).coords[0]
        return float(center[0]), float(center[1])
    if lon is None or lat is None:
        return None
    x, y = mercator(np.array([[lon, lat]]))[0]
    return float(x), float(y)


def bounds(found: Sequence[MapFeature]) -> tuple[float, float, float, float]:
    """West, south, east, north of the places (of everything when no place is drawn), in degrees."""
    own = [f.polygon for f in found if f.id and f.drawn] or [f.polygon for f in found if f.drawn]
    left, top, right, bottom = shapely.total_bounds(own)
    (west, north), (east, south) = degrees(np.array([[left, top], [right, bottom]]))
    return float(west), float(south), float(east), float(north)
