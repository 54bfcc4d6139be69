# SPDX-License-Identifier: Apache-2.0
"""From shapes to weights: the share of each point, line and polygon that lies in each cell of a grid, or in each of a set of polygons.

Comes in: shapes in meters, a `Grid` or polygons. Goes out: a sparse matrix, one row a shape. A row adds up to the share of the shape that
lies inside: what lies outside is dropped, and the row says so. A shape that has no size, no position or crosses itself is an error
that names it; with `repair` it is mended as GEOS mends it, or its row stays empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse
import shapely

from mangrove.errors import RequestError
from mangrove.gridding import cache as kept
from mangrove.gridding.grid import Floats, Grid, Shapes
from mangrove.gridding.zones import on_zones

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    Target: TypeAlias = Grid | Sequence[BaseGeometry] | Shapes

POINTS, LINES, POLYGONS = (0, 4), (1, 2, 5), (3, 6)
"""Type numbers of GEOS: single, closed and multiple shapes of each kind."""
_NAMED = 3


def weights(
    shapes: Sequence[BaseGeometry] | Shapes,
    target: Target,
    *,
    names: Sequence[str] = (),
    repair: bool = False,
    cache: Path | None = None,
) -> scipy.sparse.csr_array:
    """The share of each shape in each cell: shape (n_shapes, n_cells).

    A point lies in one cell; several points count alike; a line counts by length, a polygon by area. Cells of a grid are half-open;
    what lies on the border of two polygons, or in an overlap of them, belongs to the first.

    Args:
        shapes: points, lines, polygons, single or multiple, in meters of the system of the target.
        target: a grid, or polygons that cover what they cover.
        names: what errors call the shapes; their positions when left out.
        repair: mend polygons that cross themselves (`shapely.make_valid`) and leave the rows of shapes without size or position empty.
        cache: folder that keeps the matrix under the hash of all that goes in; a damaged file is computed again.

    Raises:
        RequestError: `gridding.no_position`, `gridding.no_size`, `gridding.crosses_itself`, `gridding.collection`, each with names.

    Example:
        >>> grid = Grid(0, 0, 10, 10, 2, 1)
        >>> weights([shapely.box(5, 0, 15, 10), shapely.LineString([(0, 5), (40, 5)])], grid).toarray().tolist()
        [[0.5, 0.5], [0.25, 0.25]]
    """
    drawn = np.asarray(shapes, dtype=object)
    if cache is None:
        return _computed(drawn, target, names, repair=repair)
    key = kept.key(drawn, target, repair=repair)
    found = kept.load(cache, key)
    if found is None:
        found = _computed(drawn, target, names, repair=repair)
        kept.save(cache, key, found)
    return found


def _computed(drawn: Shapes, target: Target, names: Sequence[str], *, repair: bool) -> scipy.sparse.csr_array:
    good, numbers = checked(drawn, names, repair=repair)
    if isinstance(target, Grid):
        rows, cells, shares = on_grid(good, target)
        size = target.cells
    else:
        zones, _ = checked(np.asarray(target, dtype=object), (), repair=repair)
        rows, cells, shares = on_zones(good, zones)
        size = len(zones)
    matrix = scipy.sparse.coo_array((shares, (numbers[rows], cells)), shape=(len(drawn), size)).tocsr()
    matrix.sort_indices()
    return matrix


def on_grid(shapes: Shapes, grid: Grid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Triplets `(shape, cell, share)` of good shapes on a grid; a line may name a cell more than once."""
    from mangrove.gridding import kernels

    kinds = shapely.get_type_id(shapes)
    frame = (grid.x0, grid.y0, grid.dx, grid.dy, grid.nx, grid.ny)
    found = []
    if (chosen := np.flatnonzero(np.isin(kinds, POINTS))).size:
        found.append(_points(shapes, chosen, grid))
    if (chosen := np.flatnonzero(np.isin(kinds, LINES))).size:
        parts, part_of = shapely.get_parts(shapes[chosen], return_index=True)
        xy, offsets = _flat(parts)
        lengths = shapely.length(shapes[chosen])
        rows, cells, shares = kernels.lines(xy, offsets, part_of.astype(np.int64), lengths, *frame)
        found.append((chosen[rows], cells, shares))
    if (chosen := np.flatnonzero(np.isin(kinds, POLYGONS))).size:
        polygons, part_of = shapely.get_parts(shapes[chosen], return_index=True)
        rings, ring_of = shapely.get_rings(polygons, return_index=True)
        xy, offsets = _flat(rings)
        holes = np.concatenate([[False], ring_of[1:] == ring_of[:-1]])
        starts = np.searchsorted(part_of[ring_of], np.arange(len(chosen) + 1)).astype(np.int64)
        found.append(kernels.polygons(xy, offsets, holes, starts, chosen.astype(np.int64), *frame))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    rows, cells, shares = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, cells, shares


def _points(
    shapes: Shapes, chosen: npt.NDArray[np.int64], grid: Grid
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Points in their cells; the points of one shape count alike."""
    xy, owner = shapely.get_coordinates(shapes[chosen], return_index=True)
    column = np.floor((xy[:, 0] - grid.x0) / grid.dx)
    row = np.floor((xy[:, 1] - grid.y0) / grid.dy)
    inside = (column >= 0) & (column < grid.nx) & (row >= 0) & (row < grid.ny)
    share = 1.0 / np.bincount(owner, minlength=len(chosen))[owner]
    cells = (row[inside] * grid.nx + column[inside]).astype(np.int64)
    return chosen[owner[inside]], cells, share[inside]


def _flat(parts: Shapes) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Coordinates of all parts after each other, shape (n, 2), and where each begins."""
    counts = shapely.get_num_coordinates(parts)
    return shapely.get_coordinates(parts), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def checked(drawn: Shapes, names: Sequence[str], *, repair: bool) -> tuple[Shapes, npt.NDArray[np.int64]]:
    """The shapes that can be rasterized and their positions in `drawn`; see `weights` for what is refused or mended."""
    kinds = shapely.get_type_id(drawn)
    xy, owner = shapely.get_coordinates(drawn, return_index=True)
    broken = np.zeros(len(drawn), dtype=bool)
    broken[owner[~np.isfinite(xy).all(axis=1)]] = True
    nowhere = broken | shapely.is_missing(drawn) | shapely.is_empty(drawn)
    _refuse("gridding.collection", ~nowhere & (kinds > max(POLYGONS)), names)
    areas, polygons = shapely.area(drawn), np.isin(kinds, POLYGONS)
    lines = np.isin(kinds, LINES)
    crossed = np.zeros(len(drawn), dtype=bool)
    crossed[polygons & ~nowhere] = ~shapely.is_valid(drawn[polygons & ~nowhere])
    if repair and crossed.any():
        drawn = drawn.copy()
        drawn[crossed] = [_polygons_of(shape) for shape in shapely.make_valid(drawn[crossed])]
        areas = shapely.area(drawn)
        crossed[:] = False
    flat = ~nowhere & ~crossed & ((polygons & ~(areas > 0)) | (lines & ~(shapely.length(drawn) > 0)))
    if not repair:
        _refuse("gridding.no_position", nowhere, names)
        reason = shapely.is_valid_reason(drawn[np.argmax(crossed)]) if crossed.any() else ""
        _refuse("gridding.crosses_itself", crossed, names, reason=reason)
        _refuse("gridding.no_size", flat, names)
    numbers = np.flatnonzero(~nowhere & ~flat).astype(np.int64)
    return drawn[numbers], numbers


def _polygons_of(shape: BaseGeometry) -> BaseGeometry:
    """The polygons of a mended shape, without the lines and points that are left of what was folded flat."""
    parts = [part for part in shapely.get_parts(shape) if shapely.get_type_id(part) in POLYGONS]
    return shapely.union_all(np.array(parts, dtype=object)) if parts else shapely.Polygon()


def _refuse(code: str, wrong: npt.NDArray[np.bool_], names: Sequence[str], **data: Any) -> None:
    """Raises `RequestError` when any shape is wrong, and names the first few."""
    found = np.flatnonzero(wrong)
    if found.size:
        listed = [names[i] if i < len(names) else f"#{i}" for i in found[:_NAMED]]
        more = "" if found.size <= _NAMED else ", …"
        raise RequestError(code, names=", ".join(listed) + more, count=int(found.size), **data)
