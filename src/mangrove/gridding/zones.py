# SPDX-License-Identifier: Apache-2.0
"""The share of shapes in polygons that follow no grid: wards, districts, lots.

Comes in: good shapes and good polygons in the same meters. Goes out: triplets `(shape, zone, share)`. A spatial index finds what may meet,
GEOS cuts it. Where two zones meet or overlap the first one has what lies there, so that no shape counts for more than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from mangrove.gridding.grid import Floats, Shapes

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Ints = npt.NDArray[np.int64]
_POINTS = (0, 4)
_LINE, _AREA = 1, 2  # dimensions
_OVER = 1e-9
"""Shares may exceed one by rounding; beyond it the zones share ground."""


def on_zones(shapes: Shapes, zones: Shapes) -> tuple[Ints, Ints, Floats]:
    """Triplets `(shape, zone, share)` of shapes in polygons, each pair at most once.

    Args:
        shapes: points, lines and polygons, valid, with a size; shape (n,).
        zones: valid polygons, shape (z,).
    """
    shapely.prepare(zones)
    pieces, owners, parts = _singles(shapes)
    rows, cells, shares = _pieces(pieces, zones)
    return _summed(owners[rows], cells, shares * parts[rows], len(zones))


def _singles(shapes: Shapes) -> tuple[Shapes, Ints, Floats]:
    """The shapes, whose number each is, and its share: the points of one shape apart, and the edges of a line that meets itself.

    GEOS cuts sets of points of the plane, so a stretch that a line runs twice would count once.
    """
    kinds, lines = shapely.get_type_id(shapes), shapely.get_dimensions(shapes) == _LINE
    several = kinds == _POINTS[1]
    tangled = np.zeros(len(shapes), dtype=bool)
    tangled[lines] = ~shapely.is_simple(shapes[lines])
    whole = np.flatnonzero(~several & ~tangled)
    points, point_of = shapely.get_parts(_only(shapes, several), return_index=True)
    edges, edge_of = _edges(_only(shapes, tangled))
    counts = np.bincount(point_of, minlength=len(shapes)) if len(point_of) else np.ones(len(shapes))
    share = shapely.length(edges) / shapely.length(shapes[edge_of])
    return (
        np.concatenate([shapes[whole], points, edges]),
        np.concatenate([whole, point_of, edge_of]).astype(np.int64),
        np.concatenate([np.ones(len(whole)), 1.0 / counts[point_of], share]),
    )


def _only(shapes: Shapes, chosen: npt.NDArray[np.bool_]) -> Shapes:
    """The chosen shapes at their positions, and nothing at the others."""
    found = np.full(len(shapes), None, dtype=object)
    found[chosen] = shapes[chosen]
    return found


def _edges(lines: Shapes) -> tuple[Shapes, Ints]:
    """The straight pieces of lines that have a length, and the number of the line of each."""
    parts, line_of = shapely.get_parts(lines, return_index=True)
    xy, part_of = shapely.get_coordinates(parts, return_index=True)
    joined = (part_of[1:] == part_of[:-1]) & (xy[1:] != xy[:-1]).any(axis=1) if len(xy) else np.empty(0, bool)
    first = np.flatnonzero(joined)
    edges = (
        shapely.linestrings(np.stack([xy[first], xy[first + 1]], axis=1))
        if first.size
        else np.empty(0, object)
    )
    return edges, line_of[part_of[first]].astype(np.int64)


def _pieces(shapes: Shapes, zones: Shapes) -> tuple[Ints, Ints, Floats]:
    """Shares of single shapes."""
    tree = shapely.STRtree(shapes)
    zone, shape = tree.query(zones, predicate="intersects")
    order = np.lexsort((zone, shape))
    zone, shape = zone[order], shape[order]
    points = shapely.get_type_id(shapes) == _POINTS[0]
    first = np.concatenate([[True], shape[1:] != shape[:-1]]) if len(shape) else np.zeros(0, bool)
    keep = first | ~points[shape]
    zone, shape = zone[keep], shape[keep]
    sizes = measure(shapes)
    shares = np.ones(len(shape))
    cut = ~points[shape]
    alone = np.bincount(shape, minlength=len(shapes))[shape] == 1
    inside = cut & alone
    inside[inside] = shapely.covers(zones[zone[inside]], shapes[shape[inside]])
    cut &= ~inside
    shares[cut] = measure(shapely.intersection(shapes[shape[cut]], zones[zone[cut]]), shapes[shape[cut]])
    shares[cut] /= sizes[shape[cut]]
    totals = np.bincount(shape, weights=shares, minlength=len(shapes))
    for i in np.flatnonzero(totals > 1 + _OVER):
        mine = shape == i
        shares[mine] = _in_turn(shapes[i], zones[zone[mine]])
    kept = shares > 0
    return shape[kept].astype(np.int64), zone[kept].astype(np.int64), shares[kept]


def _in_turn(shape: BaseGeometry, zones: Shapes) -> Floats:
    """Shares of one shape in zones that share ground: each takes what those before it left."""
    size = float(measure(np.array([shape], dtype=object))[0])
    shares = np.zeros(len(zones))
    rest = shape
    like = np.array([shape], dtype=object)
    for number, zone in enumerate(zones):
        taken = np.array([shapely.intersection(rest, zone)], dtype=object)
        shares[number] = measure(taken, like)[0] / size
        rest = shapely.difference(rest, zone)
    return shares


def measure(shapes: Shapes, like: Shapes | None = None) -> Floats:
    """Area of polygons, length of lines, one for points; shape (n,). `like`: the shapes whose kind counts (pieces of them are measured)."""
    dimension = shapely.get_dimensions(shapes if like is None else like)
    return np.where(
        dimension == _AREA, shapely.area(shapes), np.where(dimension == _LINE, shapely.length(shapes), 1.0)
    )


def _summed(rows: Ints, cells: Ints, shares: Floats, zones: int) -> tuple[Ints, Ints, Floats]:
    """Entries of the same pair added up."""
    pairs, inverse = np.unique(rows * zones + cells, return_inverse=True)
    found: Floats = np.bincount(inverse, weights=shares, minlength=len(pairs)).astype(np.float64)
    return pairs // zones, pairs % zones, found
