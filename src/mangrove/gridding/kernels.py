# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of exact rasterization, compiled: which share of a line or a polygon lies in which cell.

Comes in: coordinates in flat arrays, with offsets of parts and rings. Goes out: triplets `(shape, cell, share)`. Nothing is sampled:

- a line is cut where it crosses the lines of the grid; a piece counts by its length in the cell that holds its middle;
- a polygon is added up edge by edge: a piece of an edge that rises by `dy` in a row leaves `dy` of area in every cell to its right and
  the trapezoid beside it in its own cell; sums along the rows then give the area in each cell, in O(edges + cells). Holes take away
  because their rings run the other way round, whatever way they were drawn. Cells that no edge touches are inside or outside as a
  whole, so their areas are rounded to that.

All work is done in units of cells, relative to a corner of the cell in which the shape begins, so that small shapes far from the
origin keep their digits.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST = 1e-14
"""Shares below it are rounding of a touched edge."""


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _grown(rows: Ints, cells: Ints, shares: Floats, need: int) -> tuple[Ints, Ints, Floats]:
    """The three arrays with room for `need` entries."""
    if need <= len(rows):
        return rows, cells, shares
    size = max(need, 2 * len(rows))
    new_rows = np.empty(size, np.int64)
    new_cells = np.empty(size, np.int64)
    new_shares = np.empty(size, np.float64)
    new_rows[: len(rows)] = rows
    new_cells[: len(rows)] = cells
    new_shares[: len(rows)] = shares
    return new_rows, new_cells, new_shares


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _clipped(a: float, b: float, least: float, most: float, first: float, last: float) -> tuple[float, float]:  # noqa: PLR0917 - compiled functions take no keywords
    """The part of `[first, last]` in which `a + t (b - a)` lies between `least` and `most`; reversed when there is none."""
    if a == b:
        if a < least or a >= most:
            return 1.0, 0.0
        return first, last
    low, high = (least - a) / (b - a), (most - a) / (b - a)
    if low > high:
        low, high = high, low
    return max(first, low), min(last, high)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _crossing(a: float, b: float, line: int) -> float:
    """Where along the segment the grid line number `line` is crossed; infinity when never again."""
    if a == b:
        return math.inf
    return (line - a) / (b - a)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _walk(ax: float, ay: float, bx: float, by: float, t: float, end: float, ends: Floats, cells: Ints) -> int:  # noqa: PLR0917 - compiled functions take no keywords
    """Cuts the segment from `t` to `end` where it crosses lines of the grid; the number of pieces.

    Args:
        ax: the segment in units of cells, with `ay`, `bx`, `by`.
        ay: see `ax`.
        bx: see `ax`.
        by: see `ax`.
        t: where the part of it begins that is looked at, from 0 to 1.
        end: where this part ends.
        ends: gets where each piece ends; it holds as many pieces as there are crossings.
        cells: gets the column and row of each piece, shape (n, 2).
    """
    step_x, step_y = (1 if bx > ax else -1), (1 if by > ay else -1)
    px, py = ax + t * (bx - ax), ay + t * (by - ay)
    line_x = math.floor(px) + 1 if step_x > 0 else math.ceil(px) - 1
    line_y = math.floor(py) + 1 if step_y > 0 else math.ceil(py) - 1
    count = 0
    while t < end:
        cross_x, cross_y = _crossing(ax, bx, line_x), _crossing(ay, by, line_y)
        after = min(cross_x, cross_y, end)
        if cross_x <= after:
            line_x += step_x
        if cross_y <= after:
            line_y += step_y
        if after > t:
            middle = 0.5 * (t + after)
            ends[count] = after
            cells[count, 0] = math.floor(ax + middle * (bx - ax))
            cells[count, 1] = math.floor(ay + middle * (by - ay))
            count += 1
            t = after
    return count


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def lines(  # noqa: PLR0917 - compiled functions take no keywords
    xy: Floats,
    parts: Ints,
    owners: Ints,
    lengths: Floats,
    x0: float,
    y0: float,
    dx: float,
    dy: float,
    nx: int,
    ny: int,
) -> tuple[Ints, Ints, Floats]:
    """Shares of length: triplets `(owner, cell, share)`; a cell may stand more than once for an owner.

    Args:
        xy: coordinates of all parts, shape (n, 2), in meters.
        parts: offsets of the parts in `xy`, shape (p + 1,).
        owners: number of the shape of each part, shape (p,).
        lengths: length of each shape, all its parts together, in meters.
        x0: the grid, with `y0`.
        y0: see `x0`.
        dx: size of its cells, with `dy`.
        dy: see `dx`.
        nx: number of its columns.
        ny: number of its rows.
    """
    rows = np.empty(1024, np.int64)
    cells = np.empty(1024, np.int64)
    shares = np.empty(1024, np.float64)
    ends, found = np.empty(64), np.empty((64, 2), np.int64)
    count = 0
    for part in range(len(parts) - 1):
        owner = owners[part]
        for i in range(parts[part], parts[part + 1] - 1):
            length = math.hypot(xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1])
            left, bottom = math.floor((xy[i, 0] - x0) / dx), math.floor((xy[i, 1] - y0) / dy)
            corner_x, corner_y = x0 + left * dx, y0 + bottom * dy
            ax, ay = (xy[i, 0] - corner_x) / dx, (xy[i, 1] - corner_y) / dy
            bx, by = (xy[i + 1, 0] - corner_x) / dx, (xy[i + 1, 1] - corner_y) / dy
            t, end = _clipped(ax, bx, -left, nx - left, 0.0, 1.0)
            t, end = _clipped(ay, by, -bottom, ny - bottom, t, end)
            if length == 0.0 or t >= end:
                continue
            most = int((end - t) * (abs(bx - ax) + abs(by - ay))) + 8
            if most > len(ends):
                ends, found = np.empty(2 * most), np.empty((2 * most, 2), np.int64)
            rows, cells, shares = _grown(rows, cells, shares, count + most)
            for piece in range(_walk(ax, ay, bx, by, t, end, ends, found)):
                column, row = left + found[piece, 0], bottom + found[piece, 1]
                if 0 <= column < nx and 0 <= row < ny:
                    rows[count], cells[count] = owner, row * nx + column
                    shares[count] = (ends[piece] - t) * length / lengths[owner]
                    count += 1
                t = ends[piece]
    return rows[:count], cells[:count], shares[:count]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _in_row(  # noqa: PLR0917 - compiled functions take no keywords
    area: Floats, touched: npt.NDArray[np.bool_], base: int, columns: int, ax: float, bx: float, rise: float
) -> None:
    """Adds a piece of an edge that stays in one row: from column position `ax` to `bx`, rising by `rise` (signed).

    `area[base:]` holds the row; what lies left of the buffer counts in full, what lies right of it not at all.
    """
    if ax > bx:
        ax, bx = bx, ax
    if ax >= columns:
        return
    if bx <= 0.0:
        area[base] += rise
        return
    width = bx - ax
    x = ax
    if x < 0.0:
        area[base] += rise * (-x / width)
        x = 0.0
    column = min(math.floor(x), columns - 1)
    while True:
        right = min(bx, column + 1.0)
        share = rise if width == 0.0 else rise * ((right - x) / width)
        inside = share * (column + 1.0 - 0.5 * (x + right))
        area[base + column] += inside
        area[base + column + 1] += share - inside
        touched[base + column] = True
        x = right
        column += 1
        if x >= bx or column >= columns:
            return


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _edge(  # noqa: PLR0917 - compiled functions take no keywords
    area: Floats,
    touched: npt.NDArray[np.bool_],
    stride: int,
    columns: int,
    height: int,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    sign: float,
) -> None:
    """Adds one edge, cut at the rows of the buffer; a horizontal one only marks the cells that it touches."""
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
        sign = -sign
    if by < 0.0 or ay >= height:
        return
    if ay == by:
        row = math.floor(ay)
        for column in range(max(math.floor(min(ax, bx)), 0), min(math.floor(max(ax, bx)), columns - 1) + 1):
            touched[row * stride + column] = True
        return
    y = max(ay, 0.0)
    top = min(by, float(height))
    x = ax if y == ay else ax + (y - ay) / (by - ay) * (bx - ax)
    row = min(math.floor(y), height - 1)
    while y < top:
        after = min(top, row + 1.0)
        x_after = bx if after == by else ax + (after - ay) / (by - ay) * (bx - ax)
        _in_row(area, touched, row * stride, columns, x, x_after, sign * (after - y))
        y, x = after, x_after
        row += 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _signed_area(xy: Floats, first: int, last: int) -> float:
    """Area of a ring by the shoelace formula around its first corner, positive when it runs counterclockwise."""
    total = 0.0
    cx, cy = xy[first, 0], xy[first, 1]
    for i in range(first, last - 1):
        total += (xy[i, 0] - cx) * (xy[i + 1, 1] - cy) - (xy[i + 1, 0] - cx) * (xy[i, 1] - cy)
    return 0.5 * total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def polygons(  # noqa: PLR0917 - compiled functions take no keywords
    xy: Floats,
    rings: Ints,
    holes: npt.NDArray[np.bool_],
    shapes: Ints,
    owners: Ints,
    x0: float,
    y0: float,
    dx: float,
    dy: float,
    nx: int,
    ny: int,
) -> tuple[Ints, Ints, Floats]:
    """Shares of area: triplets `(owner, cell, share)`, each pair at most once.

    Args:
        xy: coordinates of all rings (closed), shape (n, 2), in meters.
        rings: offsets of the rings in `xy`, shape (r + 1,).
        holes: whether a ring is a hole, shape (r,).
        shapes: offsets of the shapes in the rings, shape (s + 1,).
        owners: number of each shape, shape (s,).
        x0: the grid, with `y0`.
        y0: see `x0`.
        dx: size of its cells, with `dy`.
        dy: see `dx`.
        nx: number of its columns.
        ny: number of its rows.
    """
    rows = np.empty(1024, np.int64)
    cells = np.empty(1024, np.int64)
    shares = np.empty(1024, np.float64)
    count = 0
    for shape in range(len(shapes) - 1):
        first, last = rings[shapes[shape]], rings[shapes[shape + 1]]
        west, east = xy[first:last, 0].min(), xy[first:last, 0].max()
        south, north = xy[first:last, 1].min(), xy[first:last, 1].max()
        left = max(math.floor((west - x0) / dx), 0)
        right = min(math.floor((east - x0) / dx), nx - 1)
        bottom = max(math.floor((south - y0) / dy), 0)
        top = min(math.floor((north - y0) / dy), ny - 1)
        if left > right or bottom > top:
            continue
        columns, height = right - left + 1, top - bottom + 1
        corner_x, corner_y = x0 + left * dx, y0 + bottom * dy
        stride = columns + 1
        area = np.zeros(height * stride)
        touched = np.zeros(height * stride, np.bool_)
        whole = 0.0
        for ring in range(shapes[shape], shapes[shape + 1]):
            signed = _signed_area(xy, rings[ring], rings[ring + 1])
            whole += -abs(signed) if holes[ring] else abs(signed)
            # An edge that falls leaves area to its right in a ring that runs counterclockwise.
            sign = -1.0 if (signed > 0.0) != holes[ring] else 1.0
            for i in range(rings[ring], rings[ring + 1] - 1):
                _edge(
                    area, touched, stride, columns, height,
                    (xy[i, 0] - corner_x) / dx, (xy[i, 1] - corner_y) / dy,
                    (xy[i + 1, 0] - corner_x) / dx, (xy[i + 1, 1] - corner_y) / dy,
                    sign,
                )  # fmt: skip
        whole /= dx * dy
        rows, cells, shares = _grown(rows, cells, shares, count + height * columns)
        for row in range(height):
            total = 0.0
            for column in range(columns):
                at = row * stride + column
                total += area[at]
                share = (total if touched[at] else float(round(total))) / whole
                if share > _LEAST:
                    rows[count] = owners[shape]
                    cells[count] = (bottom + row) * nx + left + column
                    shares[count] = share
                    count += 1
    return rows[:count], cells[:count], shares[:count]
