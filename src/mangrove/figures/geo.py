# SPDX-License-Identifier: Apache-2.0
"""Geometry for maps: a local flat projection, far islands set apart, outlines simplified to what a screen can show.

Comes in: GeoJSON geometries and centers in WGS84 degrees. Goes out: kilometers on a local plane, SVG paths, and
schematic Voronoi cells where no boundaries are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape as from_geojson
from shapely.geometry.base import BaseGeometry

EARTH_KM_PER_DEGREE = 111.195
"""Kilometers per degree of a great circle on the mean Earth radius of 6,371.0088 km (IUGG)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One area of a map.

    Attributes:
        id: key of the values; name: shown to people.
        geometry: a GeoJSON geometry in WGS84 degrees, or None when no boundary is known.
        schematic: the outline was made up from centers and is no boundary.
    """

    id: str
    name: str
    geometry: Mapping[str, object] | None
    schematic: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """The center of an area, in WGS84 degrees."""

    id: str
    name: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Part:
    """One polygon of an area on the local plane (kilometers)."""

    owner: int
    polygon: shapely.Polygon
    bounds: tuple[float, float, float, float] = field(default=(0.0, 0.0, 0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Panel:
    """Parts that are drawn together: the main body, or a group of far islands."""

    parts: tuple[Part, ...]
    bounds: tuple[float, float, float, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in kilometers; never zero."""
        west, south, east, north = self.bounds
        return max(east - west, 1e-3), max(north - south, 1e-3)


def project(coordinates: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """Equirectangular projection with the true scale at latitude `middle`; (n, 2) degrees to (n, 2) kilometers."""
    scale = np.array([math.cos(math.radians(middle)), 1.0]) * EARTH_KM_PER_DEGREE
    return coordinates * scale


def middle_of(shapes: Sequence[Shape]) -> float:
    """The latitude at which the plane of `parts_of` has its true scale."""
    return _middle([_read(shape.geometry) for shape in shapes])


def _middle(geometries: Sequence[BaseGeometry | None]) -> float:
    latitudes = [bounds[1] + bounds[3] for g in geometries if g is not None and (bounds := g.bounds)]
    return float(np.median(latitudes)) / 2 if latitudes else 0.0


def parts_of(shapes: Sequence[Shape]) -> list[Part]:
    """All polygons of all areas on one local plane, north up, in the order of the areas."""
    geometries = [_read(shape.geometry) for shape in shapes]
    middle = _middle(geometries)
    found: list[Part] = []
    for owner, geometry in enumerate(geometries):
        if geometry is None:
            continue
        flat = shapely.transform(geometry, lambda xy: project(xy, middle))
        found.extend(Part(owner, polygon, polygon.bounds) for polygon in _polygons(flat))
    return found


def panels(parts: Sequence[Part], *, gap_share: float = 0.2, most: int = 3) -> list[Panel]:
    """The main body first, then groups of parts that lie far from it; each panel gets its own frame.

    A group is far when the gap to everything else exceeds `gap_share` of the diagonal of the central nine tenths. With
    more than `most` far groups all is drawn in one panel, at its true place.
    """
    if not parts:
        return []
    boxes = np.array([part.bounds for part in parts])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.percentile(centers, [5, 95], axis=0)
    reach = max(gap_share * float(np.hypot(*(high - low))), 1e-6)
    groups = _groups(boxes, reach)
    if not 1 < len(groups) <= most + 1:
        groups = [list(range(len(parts)))]
    groups.sort(key=lambda group: (-len({parts[i].owner for i in group}), group[0]))
    return [_panel([parts[i] for i in group]) for group in groups]


def _panel(parts: list[Part]) -> Panel:
    boxes = np.array([part.bounds for part in parts])
    west, south = boxes[:, :2].min(axis=0)
    east, north = boxes[:, 2:].max(axis=0)
    return Panel(tuple(parts), (float(west), float(south), float(east), float(north)))


def _groups(boxes: NDArray[np.float64], reach: float) -> list[list[int]]:
    """Single-linkage groups of boxes whose gaps are at most `reach`."""
    gap = np.maximum(boxes[:, None, :2] - boxes[None, :, 2:], boxes[None, :, :2] - boxes[:, None, 2:])
    near = np.hypot(*np.moveaxis(np.maximum(gap, 0.0), -1, 0)) <= reach
    left, groups = set(range(len(boxes))), []
    while left:
        front, group = [min(left)], set()
        while front:
            index = front.pop()
            if index in group:
                continue
            group.add(index)
            front.extend(int(i) for i in np.flatnonzero(near[index]) if int(i) not in group)
        groups.append(sorted(group))
        left -= group
    return groups


def path(
    polygons: Iterable[shapely.Polygon], place: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> str:
    """The `d` attribute of polygons after `place` maps kilometers to pixels; steps are relative, in tenths of a pixel.

    Rings smaller than a tenth of a pixel shrink to a dot rather than vanish.
    """
    commands = []
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.interiors):
            pixels = np.asarray(place(np.asarray(ring.coords)[:, :2]))
            simple = np.asarray(shapely.LineString(pixels).simplify(0.3).coords)
            commands.append(_ring(np.rint(simple * 10).astype(np.int64)))
    return "".join(commands)


def _ring(points: NDArray[np.int64]) -> str:
    steps = np.diff(points[:-1], axis=0)
    steps = steps[np.any(steps != 0, axis=1)]
    moves = " ".join(f"{_tenth(dx)},{_tenth(dy)}" for dx, dy in steps.tolist())
    first = f"M{_tenth(int(points[0, 0]))},{_tenth(int(points[0, 1]))}"
    return f"{first}l{moves}z" if moves else f"{first}h.1z"


def _tenth(value: int) -> str:
    whole, rest = divmod(abs(value), 10)
    text = f"{whole or (0 if not rest else '')}" + (f".{rest}" if rest else "")
    return f"-{text}" if value < 0 else text


def voronoi_cells(points: Sequence[Point], outline: Mapping[str, object] | None = None) -> list[Shape]:
    """Schematic areas around centers: every place is nearer to its own center than to any other.

    Cells are clipped to `outline` (a GeoJSON geometry) or, without one, to a hull around each group of neighboring
    centers, so that a far island does not own the sea between. A center without finite coordinates gets no geometry.

    Args:
        points: the centers; two at one spot are moved apart by a few meters.
        outline: the true outer boundary, when it is known.
    """
    known = [i for i, point in enumerate(points) if math.isfinite(point.lon) and math.isfinite(point.lat)]
    if not known:
        return [Shape(point.id, point.name, None, schematic=True) for point in points]
    degrees = np.array([[points[i].lon, points[i].lat] for i in known], float)
    middle = float(np.median(degrees[:, 1]))
    centers = _apart(project(degrees, middle))
    border = _read(outline)
    if border is None:
        limits = _hulls(centers)
    else:
        flat = shapely.transform(border, lambda xy: project(xy, middle))
        limits = [flat] * len(known)
    scale = project(np.ones((1, 2)), middle)[0]
    cells = _cells(centers, limits)
    geometries = {
        i: _geojson(shapely.transform(c, lambda xy: xy / scale)) for i, c in zip(known, cells, strict=True)
    }
    return [Shape(p.id, p.name, geometries.get(i), schematic=True) for i, p in enumerate(points)]


def _apart(centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centers at one spot, moved apart on a small spiral of 5 m steps."""
    seen: dict[tuple[float, float], int] = {}
    moved = centers.copy()
    for index, (x, y) in enumerate(np.round(centers, 3).tolist()):
        count = seen.get((x, y), 0)
        seen[x, y] = count + 1
        if count:
            moved[index] += 0.005 * count * np.array([math.cos(count), math.sin(count)])
    return moved


def _spacing(centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of every center to its nearest neighbor, km; 1 km when it is alone."""
    if len(centers) == 1:
        return np.ones(1)
    distance = np.hypot(*np.moveaxis(centers[:, None] - centers[None, :], -1, 0))
    np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.min(axis=1))


def _hulls(centers: NDArray[np.float64]) -> list[BaseGeometry]:
    """For every center the hull of its group of neighbors, widened by half their usual distance."""
    near = _spacing(centers)
    boxes = np.hstack([centers, centers])
    usual = float(np.percentile(near, 90))
    limits: list[BaseGeometry] = [shapely.Point()] * len(centers)
    for group in _groups(boxes, 3 * usual):
        cloud = shapely.MultiPoint(centers[group])
        hull = shapely.concave_hull(cloud, ratio=0.35)
        width = 0.6 * usual if len(group) > 1 else 0.6 * float(np.median(near))
        limit = hull.buffer(max(width, 0.05), quad_segs=6)
        for index in group:
            limits[index] = limit
    return limits


def _cells(centers: NDArray[np.float64], limits: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """The clipped Voronoi cell of every center."""
    if len(centers) == 1:
        return [limits[0]]
    extent = shapely.union_all(limits).envelope.buffer(1.0)
    diagram = shapely.voronoi_polygons(shapely.MultiPoint(centers), extend_to=extent)
    cells = shapely.get_parts(diagram)
    tree = shapely.STRtree(cells)
    _, owner = tree.query_nearest(shapely.points(centers), return_distance=False, all_matches=False)
    return [shapely.intersection(cells[cell], limit) for cell, limit in zip(owner, limits, strict=True)]


def _read(geometry: Mapping[str, object] | None) -> BaseGeometry | None:
    """The polygons of a GeoJSON geometry; None when it has none."""
    if geometry is None:
        return None
    found = from_geojson(geometry)
    polygons = _polygons(found)
    return shapely.MultiPolygon(polygons) if polygons else None


def _polygons(geometry: BaseGeometry) -> list[shapely.Polygon]:
    """All polygons in a geometry of any type."""
    parts = shapely.get_parts(shapely.get_parts(geometry)) if not geometry.is_empty else []
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def _geojson(geometry: BaseGeometry) -> Mapping[str, object]:
    polygons = _polygons(geometry)
    return {
        "type": "MultiPolygon",
        "coordinates": [
            [[list(point[:2]) for point in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]
            for polygon in polygons
        ],
    }
