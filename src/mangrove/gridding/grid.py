# SPDX-License-Identifier: Apache-2.0
"""Regular grids, in meters of a projected system or in degrees, and the way between the two.

Comes in: shapes in WGS84 (longitude, latitude), a cell size. Goes out: a `Grid` in a projected system, the same shapes in its meters, and
the corners of its cells in degrees. The system is the UTM zone that holds the middle of what is drawn (Việt Nam
lies in the zones 48 and 49, EPSG 32648 and 32649).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import shapely

from mangrove.errors import RequestError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Floats = npt.NDArray[np.float64]
Shapes = npt.NDArray[np.object_]

MOST_CELLS = 50_000_000
"""A grid of more cells is refused: one map of it takes 400 MB."""
_WGS84 = 4326
_NORTH, _SOUTH, _ZONE_WIDTH = (
    32600,
    32700,
    6.0,
)  # EPSG codes of WGS 84 / UTM, and the width of a zone in degrees
_HALF_TURN = 180.0
_EQUATOR, _FLATTENING = (
    6_378_137.0,
    298.257223563,
)  # of WGS84: half axis in m, inverse flattening (NIMA TR8350.2)
_LATITUDES = (-80.0, 84.0)  # where UTM is defined


@dataclass(frozen=True, slots=True)
class Grid:
    """Square or oblong cells, row by row from the south-west corner.

    The cell in column `i` and row `j` has the number `j * nx + i` and holds the points with `x0 + i dx <= x < x0 + (i + 1) dx`, and the
    same in y: half-open, so that every point inside lies in exactly one cell.

    Attributes:
        x0, y0: south-west corner; dx, dy: size of a cell; in meters of a projected system, or in degrees of WGS84 (longitude is x).
        nx, ny: number of columns and rows.
        epsg: code of the system, 4326 for degrees; 0 when there is none.

    Example:
        >>> Grid(0.0, 0.0, 100.0, 100.0, 3, 2).cells
        6
    """

    x0: float
    y0: float
    dx: float
    dy: float
    nx: int
    ny: int
    epsg: int = 0

    def __post_init__(self) -> None:
        sizes = (self.x0, self.y0, self.dx, self.dy)
        if not all(map(math.isfinite, sizes)) or min(self.dx, self.dy) <= 0 or min(self.nx, self.ny) < 1:
            raise RequestError("gridding.bad_grid", grid=str(self))
        if self.nx * self.ny > MOST_CELLS:
            raise RequestError("gridding.too_many_cells", cells=self.nx * self.ny, most=MOST_CELLS)

    @classmethod
    def around(cls, shapes: Sequence[BaseGeometry] | Shapes, cell: float, epsg: int = 0) -> Grid:
        """The grid of square cells of the size `cell` whose lines are whole multiples of it, and that holds all `shapes` (in its units).

        Raises:
            RequestError: `gridding.nothing_drawn` without any coordinates, `gridding.bad_cell`, `gridding.too_many_cells`.
        """
        if not (math.isfinite(cell) and cell > 0):
            raise RequestError("gridding.bad_cell", cell=cell)
        west, south, east, north = _bounds(shapes)
        x0, y0 = math.floor(west / cell), math.floor(south / cell)
        nx, ny = math.floor(east / cell) + 1 - x0, math.floor(north / cell) + 1 - y0
        return cls(x0 * cell, y0 * cell, cell, cell, nx, ny, epsg)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.nx * self.ny

    @property
    def in_degrees(self) -> bool:
        """Whether the cells are bounded by meridians and parallels."""
        return self.epsg == _WGS84

    def areas(self) -> Floats:
        """Area of the cells in m2, shape (ny, nx): on the map of a projected system, on the ellipsoid for degrees."""
        if not self.in_degrees:
            return np.full((self.ny, self.nx), self.dx * self.dy)
        zones = np.diff(_zone_area(self.y0 + np.arange(self.ny + 1, dtype=np.float64) * self.dy))
        return np.repeat(zones[:, None] * np.radians(self.dx), self.nx, axis=1)

    def centers(self) -> tuple[Floats, Floats]:
        """Middles of the cells: x of the columns, shape (nx,), and y of the rows, shape (ny,)."""
        columns, rows = np.arange(self.nx, dtype=np.float64), np.arange(self.ny, dtype=np.float64)
        return self.x0 + (columns + 0.5) * self.dx, self.y0 + (rows + 0.5) * self.dy

    def boxes(self, cells: npt.ArrayLike | None = None) -> Shapes:
        """The cells as polygons, all of them or those with the numbers `cells`."""
        number = np.arange(self.cells) if cells is None else np.asarray(cells)
        west = self.x0 + number % self.nx * self.dx
        south = self.y0 + number // self.nx * self.dy
        return np.asarray(shapely.box(west, south, west + self.dx, south + self.dy), dtype=object)

    def degrees(self, corners: bool = False) -> tuple[Floats, Floats]:  # noqa: FBT001, FBT002 - reads as a word
        """Longitude and latitude of the middles, shape (ny, nx), or of the corners of the cells, shape (ny, nx, 4), counterclockwise.

        Raises:
            RequestError: `gridding.no_projection` for a grid without a projected system.
        """
        if not self.epsg:
            raise RequestError("gridding.no_projection")
        x, y = (part[..., None] for part in np.meshgrid(*self.centers()))
        if corners:
            x = x + self.dx / 2 * np.array([-1, 1, 1, -1])
            y = y + self.dy / 2 * np.array([-1, -1, 1, 1])
        lon, lat = _transformer(self.epsg, _WGS84).transform(x, y)
        return (lon, lat) if corners else (lon[..., 0], lat[..., 0])


def utm(shapes: Sequence[BaseGeometry] | Shapes) -> int:
    """The EPSG code of the UTM zone that holds the middle of `shapes` (WGS84 degrees).

    Raises:
        RequestError: `gridding.nothing_drawn`; `gridding.not_degrees` when coordinates are no longitudes and latitudes.

    Example:
        >>> utm([shapely.Point(106.7, 10.8)]), utm([shapely.Point(109.2, 12.2)])
        (32648, 32649)
    """
    west, south, east, north = _bounds(shapes)
    if west < -_HALF_TURN or east > _HALF_TURN or south < _LATITUDES[0] or north > _LATITUDES[1]:
        bounds = f"{west:g}, {south:g}, {east:g}, {north:g}"
        raise RequestError("gridding.not_degrees", bounds=bounds)
    zone = min(int(((west + east) / 2 + _HALF_TURN) // _ZONE_WIDTH) + 1, 60)
    return (_NORTH if south + north >= 0 else _SOUTH) + zone


def _zone_area(latitude: Floats) -> Floats:
    """Area of the ellipsoid WGS84 between the equator and a parallel (degrees), m2 for each radian of longitude.

    `b2 / 2 (sin p / (1 - e2 sin2 p) + ln((1 + e sin p) / (1 - e sin p)) / 2e)` (Snyder, Map Projections, USGS 1395, 1987, Eq. 3-12).
    """
    sine = np.sin(np.radians(latitude))
    polar = _EQUATOR * (1 - 1 / _FLATTENING)
    e = math.sqrt(1 - (polar / _EQUATOR) ** 2)
    return np.asarray(polar**2 / 2 * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e))


def _bounds(shapes: Sequence[BaseGeometry] | Shapes) -> tuple[float, float, float, float]:
    drawn = np.asarray(shapes, dtype=object)
    found = shapely.total_bounds(drawn) if drawn.size else np.full(4, np.nan)
    if not np.isfinite(found).all():
        raise RequestError("gridding.nothing_drawn")
    west, south, east, north = found.tolist()
    return west, south, east, north


def project(shapes: Sequence[BaseGeometry] | Shapes, epsg: int) -> Shapes:
    """Shapes in WGS84 degrees (longitude first) in the meters of the system `epsg`; edges stay straight between their ends.

    Raises:
        RequestError: `gridding.not_degrees`.
    """
    return _moved(shapes, _WGS84, epsg)


def unproject(shapes: Sequence[BaseGeometry] | Shapes, epsg: int) -> Shapes:
    """Shapes in meters of the system `epsg` in WGS84 degrees (longitude first)."""
    return _moved(shapes, epsg, _WGS84)


def _moved(shapes: Sequence[BaseGeometry] | Shapes, source: int, target: int) -> Shapes:
    drawn = np.asarray(shapes, dtype=object)
    transformer = _transformer(source, target)

    def move(points: Floats) -> Floats:
        x, y = transformer.transform(points[:, 0], points[:, 1])
        moved = np.column_stack([x, y])
        wrong = np.isfinite(points).all(axis=1) & ~np.isfinite(moved).all(axis=1)
        if wrong.any():
            first = points[wrong][0]
            raise RequestError("gridding.not_degrees", bounds=f"{first[0]:g}, {first[1]:g}")
        return moved

    return np.asarray(shapely.transform(drawn, move), dtype=object)


def _transformer(source: int, target: int) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True)
