# SPDX-License-Identifier: Apache-2.0
"""Outlines for one zoom: simplified together, so that neighbors keep one common border, and never losing an island.

Comes in: features on the unit square. Goes out: for a zoom, features on the integer grid of its tiles. Features of one kind lie side by
side, so their small gaps and overlaps are closed first and they are simplified as one coverage (Visvalingam and Whyatt). Where features
of one kind truly overlap, they are simplified one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mangrove.serve.basemap.gather import MapFeature, only_polygons

EXTENT = 4096
"""Grid steps along the side of a tile (Mapbox Vector Tile specification 2.1, 4.1: the usual extent)."""
PIXEL = EXTENT // 512
"""Grid steps of a pixel: MapLibre draws a vector tile on 512 pixels."""
_GAP_PIXELS = 4
_CHANGED = 0.05
"""A feature whose area changes by more than this share when gaps and overlaps are closed was meant to overlap."""


@dataclass(frozen=True)
class Layered:
    """What is drawn at one zoom, on the integer grid of the zoom (the whole world is `2**zoom * EXTENT` steps wide).

    Attributes:
        areas: features with polygons on the grid, places before land; outlines: lines by kind.
        points: label points by feature, with the rank of its size (0 is the largest).
    """

    zoom: int
    areas: Sequence[MapFeature]
    outlines: Sequence[tuple[str, BaseGeometry]]
    points: Sequence[tuple[MapFeature, int]]


@dataclass(frozen=True)
class Prepared:
    """Features whose neighbors share their borders, in groups that are simplified together or one by one."""

    groups: Sequence[tuple[str, bool, Sequence[MapFeature]]]
    islands: frozenset[tuple[str, int, int]]
    points: Sequence[tuple[MapFeature, int]]


def prepare(found: Sequence[MapFeature], deepest: int) -> Prepared:
    """Closes gaps and overlaps between the features of each kind; `deepest` is the last zoom.

    Gaps up to four pixels of the last zoom are closed.
    """
    kinds = dict.fromkeys(feature.kind for feature in found if feature.drawn)
    groups, islands = [], set()
    for kind in kinds:
        members = [feature for feature in found if feature.kind == kind and feature.drawn]
        shared, clean = _closed([f.polygon for f in members], _GAP_PIXELS / (512 * 2**deepest))
        groups.append((kind, shared, [replace(f, polygon=p) for f, p in zip(members, clean, strict=True)]))
        islands |= {(kind, *key) for key in _islands(clean)}
    ordered = sorted((f for f in found if f.point is not None), key=lambda f: -f.polygon.area)
    points = [(feature, rank) for rank, feature in enumerate(ordered)]
    return Prepared(groups, frozenset(islands), points)


def _closed(polygons: Sequence[BaseGeometry], gap: float) -> tuple[bool, list[BaseGeometry]]:
    """The polygons as a coverage, and whether they are one; as they were when they truly overlap."""
    clean = [only_polygons(p) for p in shapely.coverage_clean(np.asarray(polygons, object), gap_width=gap)]
    before, after = shapely.area(polygons), shapely.area(clean)
    if np.any(np.abs(after - before) > _CHANGED * before + gap * shapely.length(polygons)):
        return False, list(polygons)
    return True, clean


def _islands(polygons: Sequence[BaseGeometry]) -> set[tuple[int, int]]:
    """Which parts (feature, part) touch no other feature."""
    parts, owner = shapely.get_parts(np.asarray(polygons, object), return_index=True)
    number = np.arange(len(parts)) - np.searchsorted(owner, owner)
    one, other = shapely.STRtree(parts).query(parts, predicate="intersects")
    touching = set(one[owner[one] != owner[other]].tolist())
    return {(int(owner[i]), int(number[i])) for i in range(len(parts)) if i not in touching}


def at_zoom(prepared: Prepared, zoom: int) -> Layered:
    """The features of one zoom: details below half a pixel are gone, coordinates are integers.

    An island smaller than a pixel becomes a pixel; of several in one pixel, one remains.
    """
    steps = float(EXTENT * 2**zoom)
    areas: list[MapFeature] = []
    lines: list[tuple[str, BaseGeometry]] = []
    for kind, shared, members in prepared.groups:
        polygons = np.asarray([feature.polygon for feature in members], object)
        tolerance = PIXEL / 2 / steps
        simple = (
            shapely.coverage_simplify(polygons, tolerance)
            if shared
            else shapely.simplify(polygons, tolerance, preserve_topology=True)
        )
        dots = [
            _dots(polygon, [i for k, o, i in prepared.islands if k == kind and o == index], steps)
            for index, polygon in enumerate(polygons)
        ]
        gridded = [_grid(polygon, dot, steps) for polygon, dot in zip(simple, dots, strict=True)]
        areas += [replace(f, polygon=p) for f, p in zip(members, gridded, strict=True) if not p.is_empty]
        outer = shapely.union_all(
            [_grid(shapely.union_all(simple), [], steps), *(d for dot in dots for d in dot)]
        )
        lines.append((kind, outer.boundary))
    areas.sort(key=lambda feature: (not feature.id, -feature.polygon.area, feature.id))
    return Layered(zoom, areas, lines, prepared.points)


def _grid(polygon: BaseGeometry, dots: Sequence[BaseGeometry], steps: float) -> shapely.MultiPolygon:
    """A polygon on the integer grid; what has no area there is gone, but for `dots`."""

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.rint(xy * steps)

    parts = []
    for part in shapely.get_parts(polygon):
        flat = shapely.transform(part, place)
        if not flat.is_valid:
            flat = shapely.make_valid(flat)
        parts += [p for p in shapely.get_parts(only_polygons(flat)) if p.area >= 1]
    return only_polygons(shapely.union_all([*parts, *dots]) if dots else shapely.MultiPolygon(parts))


def _dots(polygon: BaseGeometry, islands: Sequence[int], steps: float) -> list[BaseGeometry]:
    """Squares of one pixel in the place of islands smaller than that."""
    parts = shapely.get_parts(polygon)
    cells: dict[tuple[int, int], BaseGeometry] = {}
    for index in islands:
        left, top, right, bottom = (edge * steps for edge in parts[index].bounds)
        if right - left >= PIXEL or bottom - top >= PIXEL:
            continue
        x, y = (round((a + b) / 2 / PIXEL - 0.5) * PIXEL for a, b in ((left, right), (top, bottom)))
        cells[x, y] = shapely.box(x, y, x + PIXEL, y + PIXEL)
    return list(cells.values())
