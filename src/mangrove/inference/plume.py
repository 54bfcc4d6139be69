# SPDX-License-Identifier: Apache-2.0
"""Gaussian plume: how much of what each cell emits arrives at each sensor, hour by hour.

Comes in: positions of sensors (points or open paths) and of cells, in meters of one projected frame, and the wind. Goes out: footprints,
s/m3: the concentration in kg/m3 at the sensor for each kg/s that the cell emits. The plume is steady, reflected by the ground and by
the top of the mixing layer, and its widths are Briggs' curves (or any others of their form). The compiled kernel runs on one core;
`footprint_array` is the same equation in the array API, for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, did_you_mean

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CALM = 1.0
"""m/s: slower winds are read as this in the plume's dilution, which has no meaning without wind. EPA-454/R-99-005 (Meteorological
Monitoring Guidance for Regulatory Modeling Applications, 2000), section 6.9. Use puffs (`puff.py`) for calm air."""
REACH = 7.0
"""Crosswind widths after which a plume is nothing: exp(-7^2 / 2) = 2e-11 of its axis."""
PIECES = 24
"""Pieces of an open path; on each the width is that of its middle and the crosswind integral is exact."""
_TERRAINS = ("rural", "urban")
_ROOT_2PI = math.sqrt(2 * math.pi)
_CLASSES, _AXES = 6, 2
_NARROW = 0.3
"""Width of a piece in widths of the plume below which its mean needs no error function."""
_DUAL = 0.63
"""sigma_z over mixing height from which the cosine series converges faster than the images."""

BRIGGS = {
    "rural": (
        (0.22, 1e-4, -0.5, 0.20, 0.0, 0.0),
        (0.16, 1e-4, -0.5, 0.12, 0.0, 0.0),
        (0.11, 1e-4, -0.5, 0.08, 2e-4, -0.5),
        (0.08, 1e-4, -0.5, 0.06, 1.5e-3, -0.5),
        (0.06, 1e-4, -0.5, 0.03, 3e-4, -1.0),
        (0.04, 1e-4, -0.5, 0.016, 3e-4, -1.0),
    ),
    "urban": (
        (0.32, 4e-4, -0.5, 0.24, 1e-3, 0.5),
        (0.32, 4e-4, -0.5, 0.24, 1e-3, 0.5),
        (0.22, 4e-4, -0.5, 0.20, 0.0, 0.0),
        (0.16, 4e-4, -0.5, 0.14, 3e-4, -0.5),
        (0.11, 4e-4, -0.5, 0.08, 1.5e-3, -0.5),
        (0.11, 4e-4, -0.5, 0.08, 1.5e-3, -0.5),
    ),
}
"""Classes A to F: a, c, p of sigma_y and of sigma_z = a x (1 + c x)^p, x in m. Briggs (1973), Diffusion estimation for small
emissions, ATDL contribution 79, as tabled in Hanna, Briggs and Hosker (1982), Handbook on Atmospheric Diffusion, DOE/TIC-11223,
table 4.5. Meant for 100 m to 10 km."""

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """`function`, compiled on first use and kept on disk; division by zero gives infinity as in arrays."""
    made: _F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return made


@dataclass(frozen=True, slots=True)
class Winds:
    """The air at T times; every array has shape (T,).

    Attributes:
        speed: m/s at the height of the sensors and sources, 0 or more.
        toward_x, toward_y: unit vector that the air moves to (east, north).
        mixing: height of the mixing layer in m, above 0; infinity: no lid.
        stability: Pasquill class, 0 (A, most unstable) to 5 (F).
        terrain: `urban` or `rural`: which of Briggs' curves hold.
        widths: (T, 6) coefficients as in `BRIGGS` that stand in their place, for example from measured turbulence.
        calm: m/s, the least speed that dilutes.

    Example:
        >>> west = Winds.coming_from([3.0], [270.0])
        >>> float(west.toward_x[0].round(6)), float(abs(west.toward_y[0]).round(6))
        (1.0, 0.0)
    """

    speed: Floats
    toward_x: Floats
    toward_y: Floats
    mixing: Floats
    stability: Ints
    terrain: str = "urban"
    widths: Floats | None = None
    calm: float = CALM

    def __post_init__(self) -> None:
        count = len(self.speed)
        arrays = (self.toward_x, self.toward_y, self.mixing, self.stability)
        require_terrain(self.terrain)
        if any(len(a) != count for a in arrays):
            raise RequestError("locate.winds_differ")
        finite = all(np.isfinite(a).all() for a in (self.speed, self.toward_x, self.toward_y))
        if not finite or (self.speed < 0).any() or not (self.mixing > 0).all():
            raise RequestError("locate.winds_not_numbers")
        if ((self.stability < 0) | (self.stability >= _CLASSES)).any():
            raise RequestError("locate.no_such_stability")
        if self.widths is not None and np.shape(self.widths) != (count, 6):
            raise RequestError("locate.winds_differ")

    def __len__(self) -> int:
        return len(self.speed)

    @classmethod
    def coming_from(
        cls,
        speed: npt.ArrayLike,
        degrees: npt.ArrayLike,
        *,
        mixing: npt.ArrayLike = math.inf,
        stability: npt.ArrayLike = 3,
        terrain: str = "urban",
    ) -> Winds:
        """Winds of the meteorological convention: the direction they come from, degrees clockwise from north."""
        fast = np.atleast_1d(np.asarray(speed, dtype=float))
        angle = np.radians(np.broadcast_to(np.asarray(degrees, dtype=float), fast.shape))
        return cls(
            fast,
            -np.sin(angle),
            -np.cos(angle),
            np.broadcast_to(np.asarray(mixing, dtype=float), fast.shape).copy(),
            np.broadcast_to(np.asarray(stability, dtype=np.int64), fast.shape).copy(),
            terrain,
        )

    def turned(self, degrees: float) -> Winds:
        """The same winds blowing `degrees` further clockwise."""
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x, y = self.toward_x, self.toward_y
        return replace(self, toward_x=x * cos + y * sin, toward_y=y * cos - x * sin)

    def pick(self, rows: npt.NDArray[Any]) -> Winds:
        """The times selected by a mask or by indices."""
        widths = None if self.widths is None else self.widths[rows]
        names = ("speed", "toward_x", "toward_y", "mixing", "stability")
        return replace(self, **{name: getattr(self, name)[rows] for name in names}, widths=widths)

    def coefficients(self) -> Floats:
        """(T, 6): a, c, p of sigma_y and of sigma_z at each time."""
        if self.widths is not None:
            return np.ascontiguousarray(self.widths, dtype=np.float64)
        return np.asarray(BRIGGS[self.terrain])[self.stability]

    def rows(self) -> Floats:
        """(T, 10): diluting speed, direction, mixing height and coefficients, as the kernels take them."""
        columns = [np.maximum(self.speed, self.calm), self.toward_x, self.toward_y, self.mixing]
        return np.ascontiguousarray(np.column_stack([*columns, self.coefficients()]), dtype=np.float64)


def require_terrain(terrain: str) -> None:
    """Raises `RequestError` (`locate.no_such_terrain`) unless Briggs' curves are known for the terrain."""
    if terrain not in _TERRAINS:
        hint, options = did_you_mean(terrain, _TERRAINS), ", ".join(_TERRAINS)
        raise RequestError("locate.no_such_terrain", text=terrain, hint=hint, options=options)


def footprint(
    receptors: npt.ArrayLike,
    cells: npt.ArrayLike,
    winds: Winds,
    *,
    cell_size: float = 0.0,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[Any]:
    """What each cell gives to each receptor at each time.

    C = Q / (sqrt(2 pi) sigma_y u) exp(-y^2 / (2 sigma_y^2)) V(z, h; sigma_z, M), where V is the vertical part with reflections at the ground
    and at the mixing height M (images, or their cosine series when well mixed), x and y are along and across the wind.

    Args:
        receptors: (m, 3) positions x, y, height in m.
        cells: (n, 3) the same of the middles of the cells, and the height of release.
        winds: T times.
        cell_size: side of a square cell in m. Its crosswind variance, side^2 / 12, is added to sigma_y^2; only the part of the cell
            that lies upwind of a receptor counts, at the distance of that part's middle. 0: point sources.
        dtype: of the result; float32 halves the memory.

    Returns:
        (m, T, n) in s/m3.

    Example:
        >>> near = footprint([[200.0, 0, 0]], [[0.0, 0, 0]], Winds.coming_from([2.0], [270.0], terrain="rural"))
        >>> y, z = 0.08 * 200 / 1.02**0.5, 0.06 * 200 / 1.3**0.5
        >>> bool(np.isclose(near[0, 0, 0], 1 / (np.pi * 2.0 * y * z)))
        True
    """
    at, of = _positions(receptors), _positions(cells)
    found: npt.NDArray[Any] = np.empty((len(at), len(winds), len(of)), dtype=dtype)
    _fill(at, of, winds.rows(), float(cell_size), found)
    return found


def path_footprint(
    starts: npt.ArrayLike,
    ends: npt.ArrayLike,
    cells: npt.ArrayLike,
    winds: Winds,
    *,
    cell_size: float = 0.0,
    pieces: int = PIECES,
    dtype: npt.DTypeLike = np.float64,
) -> npt.NDArray[Any]:
    """The mean of `footprint` along open paths, (m, T, n) in s/m3.

    A path is cut in `pieces`; on each the widths are those of its middle and the crosswind Gaussian is integrated exactly, so that a
    narrow plume between two sampling points is never missed.

    Args:
        starts: (m, 3) positions of the instruments.
        ends: (m, 3) positions of the reflectors.
        cells: as for `footprint`, like `winds`, `cell_size` and `dtype`.
        winds: T times.
        cell_size: side of a square cell in m.
        pieces: parts of a path.
        dtype: of the result.

    Returns:
        (m, T, n) in s/m3.
    """
    first, last, of = _positions(starts), _positions(ends), _positions(cells)
    if first.shape != last.shape or pieces < 1:
        raise RequestError("locate.bad_positions")
    found: npt.NDArray[Any] = np.empty((len(first), len(winds), len(of)), dtype=dtype)
    _fill_paths(first, last, of, winds.rows(), float(cell_size), pieces, found)
    return found


def projected(
    receptors: npt.ArrayLike,
    cells: npt.ArrayLike,
    winds: Winds,
    maps: npt.ArrayLike,
    *,
    cell_size: float = 0.0,
) -> Floats:
    """`footprint @ maps` without the footprint: (m, T, k) for maps of shape (n, k), such as the shares of k sources in the cells."""
    at, of = _positions(receptors), _positions(cells)
    shares = np.ascontiguousarray(maps, dtype=np.float64)
    found = np.zeros((len(at), len(winds), shares.shape[1]))
    _fill_projected(at, of, winds.rows(), float(cell_size), shares, found)
    return found


def _positions(rows: npt.ArrayLike) -> Floats:
    """(n, 3) contiguous positions; `RequestError` when they are not."""
    at = np.ascontiguousarray(rows, dtype=np.float64)
    if at.ndim != _AXES or at.shape[1] != _AXES + 1 or not np.isfinite(at).all():
        raise RequestError("locate.bad_positions")
    return at


@compiled
def _vertical(z: float, h: float, sigma: float, lid: float) -> float:
    """Vertical density in 1/m at height z of a release at h: reflected at the ground and at `lid`."""
    if z > lid or h > lid:  # nothing crosses the lid
        if z <= lid or h <= lid:
            return 0.0
        return _pair(z - h, z + h - 2 * lid, sigma)
    if 7.0 * sigma < 2 * lid - z - h:
        return _pair(z - h, z + h, sigma)
    if sigma > _DUAL * lid:
        total = 1.0
        for k in range(1, 6):
            decay = math.exp(-0.5 * (k * math.pi * sigma / lid) ** 2)
            total += 2 * decay * math.cos(k * math.pi * z / lid) * math.cos(k * math.pi * h / lid)
        return total / lid
    total = 0.0
    for n in range(-3, 4):
        total += _pair(z - h + 2 * n * lid, z + h + 2 * n * lid, sigma)
    return total


@compiled
def _pair(direct: float, mirrored: float, sigma: float) -> float:
    """The Gaussian densities at two distances, summed, 1/m."""
    a, b = direct / sigma, mirrored / sigma
    first = math.exp(-0.5 * a * a)
    second = first if b * b == a * a else math.exp(-0.5 * b * b)
    return (first + second) / (_ROOT_2PI * sigma)


@compiled
def _power(base: float, exponent: float) -> float:
    """base^exponent, quick for the exponents of Briggs' curves."""
    if exponent == 0.0:
        return 1.0
    if exponent == -0.5:  # noqa: PLR2004 - Briggs' own
        return 1.0 / math.sqrt(base)
    if exponent == -1.0:
        return 1.0 / base
    return float(base**exponent)


@compiled
def _spread(x: float, a: float, c: float, p: float) -> float:
    """Width a x (1 + c x)^p in m."""
    return a * x * _power(1.0 + c * x, p)


@compiled
def _upwind(along: float, size: float) -> tuple[float, float]:
    """Share of a cell that lies upwind of a receptor `along` meters downwind of its middle, and the mean distance of that part."""
    half = 0.5 * size
    if along >= half:
        return 1.0, along
    if along <= -half:
        return 0.0, 0.0
    return (along + half) / size, 0.5 * (along + half)


@compiled
def _plume(dx: float, dy: float, z: float, h: float, row: Any, size: float) -> float:  # noqa: PLR0917 - compiled functions take no keywords
    """The footprint of one cell at a point (dx, dy) from its middle."""
    share, x = _upwind(dx * row[1] + dy * row[2], size)
    if x <= 0.0:
        return 0.0
    across = dy * row[1] - dx * row[2]
    side = _spread(x, row[4], row[5], row[6])
    var = side * side + size * size / 12.0
    if across * across > REACH * REACH * var:
        return 0.0
    thick = _spread(x, row[7], row[8], row[9])
    level = math.exp(-0.5 * across * across / var) / (_ROOT_2PI * math.sqrt(var) * row[0])
    return float(share * level * _vertical(z, h, thick, row[3]))


@compiled
def _fill(at: Any, of: Any, rows: Any, size: float, found: Any) -> None:
    for i in range(at.shape[0]):
        for t in range(rows.shape[0]):
            row = rows[t]
            for j in range(of.shape[0]):
                dx, dy = at[i, 0] - of[j, 0], at[i, 1] - of[j, 1]
                found[i, t, j] = _plume(dx, dy, at[i, 2], of[j, 2], row, size)


@compiled
def _fill_projected(at: Any, of: Any, rows: Any, size: float, maps: Any, found: Any) -> None:  # noqa: PLR0917 - compiled functions take no keywords
    for i in range(at.shape[0]):
        for t in range(rows.shape[0]):
            row = rows[t]
            for j in range(of.shape[0]):
                dx, dy = at[i, 0] - of[j, 0], at[i, 1] - of[j, 1]
                one = _plume(dx, dy, at[i, 2], of[j, 2], row, size)
                if one > 0.0:
                    for k in range(maps.shape[1]):
                        found[i, t, k] += one * maps[j, k]


@compiled
def _piece(low: float, high: float, sigma: float) -> float:
    """Mean of exp(-y^2 / (2 sigma^2)) for y going evenly from low to high."""
    width = abs(high - low) / sigma
    if width < _NARROW:  # the middle and the curvature there: off by width^4 / 640
        middle = 0.5 * (low + high) / sigma
        square = middle * middle
        return math.exp(-0.5 * square) * (1.0 + width * width * (square - 1.0) / 24.0)
    scale = 1.0 / (math.sqrt(2.0) * sigma)
    return math.sqrt(math.pi / 2) * abs(math.erf(high * scale) - math.erf(low * scale)) / width


@compiled
def _along(first: Any, last: Any, cell: Any, row: Any, size: float, pieces: int) -> float:  # noqa: PLR0917 - compiled functions take no keywords
    """The mean footprint of one cell along one path."""
    dx, dy = first[0] - cell[0], first[1] - cell[1]
    x0, y0 = dx * row[1] + dy * row[2], dy * row[1] - dx * row[2]
    dx, dy = last[0] - cell[0], last[1] - cell[1]
    x1, y1 = dx * row[1] + dy * row[2], dy * row[1] - dx * row[2]
    if max(x0, x1) <= -0.5 * size:
        return 0.0
    total = 0.0
    for k in range(pieces):
        low, high = k / pieces, (k + 1) / pieces
        middle = 0.5 * (low + high)
        share, x = _upwind(x0 + (x1 - x0) * middle, size)
        if x <= 0.0:
            continue
        side = _spread(x, row[4], row[5], row[6])
        sigma = math.sqrt(side * side + size * size / 12.0)
        a, b = y0 + (y1 - y0) * low, y0 + (y1 - y0) * high
        if min(abs(a), abs(b)) > REACH * sigma and a * b > 0.0:
            continue
        thick = _spread(x, row[7], row[8], row[9])
        z = first[2] + (last[2] - first[2]) * middle
        across = _piece(a, b, sigma) / (_ROOT_2PI * sigma * row[0])
        total += share * across * _vertical(z, cell[2], thick, row[3])
    return total / pieces


@compiled
def _fill_paths(first: Any, last: Any, of: Any, rows: Any, size: float, pieces: int, found: Any) -> None:  # noqa: PLR0917 - compiled functions take no keywords
    for i in range(first.shape[0]):
        for t in range(rows.shape[0]):
            for j in range(of.shape[0]):
                found[i, t, j] = _along(first[i], last[i], of[j], rows[t], size, pieces)


def footprint_array(receptors: Any, cells: Any, rows: Any, *, cell_size: float = 0.0) -> Any:
    """`footprint` in the array API: the same numbers on NumPy, CuPy, PyTorch or any library that follows it.

    Args:
        receptors: (m, 3) positions; all arrays are of one library and device.
        cells: (n, 3) positions.
        rows: (T, 10), what `Winds.rows()` gives.
        cell_size: as for `footprint`.

    Returns:
        (m, T, n) of the same library; memory is several times that of the result.
    """
    import array_api_compat

    xp = array_api_compat.array_namespace(receptors, cells, rows)
    delta = receptors[:, None, None, :2] - cells[None, None, :, :2]
    column = [rows[:, k][None, :, None] for k in range(10)]
    along = delta[..., 0] * column[1] + delta[..., 1] * column[2]
    across = delta[..., 1] * column[1] - delta[..., 0] * column[2]
    half = 0.5 * cell_size
    partial = xp.clip(along + half, min=0.0, max=cell_size) if cell_size else xp.zeros_like(along)
    inside = along < half
    share = (
        xp.where(inside, partial / cell_size, 1.0 + 0 * along)
        if cell_size
        else xp.where(along > 0, 1.0 + 0 * along, 0 * along)
    )
    x = xp.where(inside, 0.5 * partial, along)
    x = xp.where(x > 0, x, xp.ones_like(x))  # a harmless distance where the share is nothing
    side = column[4] * x * (1.0 + column[5] * x) ** column[6]
    thick = column[7] * x * (1.0 + column[8] * x) ** column[9]
    var = side**2 + cell_size**2 / 12.0
    level = share * xp.exp(-0.5 * across**2 / var) / (_ROOT_2PI * xp.sqrt(var) * column[0])
    heights = receptors[:, None, None, 2], cells[None, None, :, 2]
    return level * _vertical_array(xp, heights, thick, column[3])


def _vertical_array(xp: Any, heights: tuple[Any, Any], sigma: Any, lid: Any) -> Any:
    """`_vertical` for arrays that broadcast; every branch is computed, and one chosen."""
    z, h = heights

    def pair(direct: Any, mirrored: Any) -> Any:
        near = xp.exp(-0.5 * (direct / sigma) ** 2) + xp.exp(-0.5 * (mirrored / sigma) ** 2)
        return near / (_ROOT_2PI * sigma)

    free = xp.isinf(lid)
    top = xp.where(free, xp.ones_like(lid), lid)
    ground = pair(z - h, z + h)
    images = ground
    for n in (-3, -2, -1, 1, 2, 3):
        images = images + pair(z - h + 2 * n * top, z + h + 2 * n * top)
    series = xp.ones_like(ground)
    for k in range(1, 6):
        decay = xp.exp(-0.5 * (k * math.pi * sigma / top) ** 2)
        series = series + 2 * decay * xp.cos(k * math.pi * z / top) * xp.cos(k * math.pi * h / top)
    below = xp.where(sigma > _DUAL * top, series / top, images)
    below = xp.where(free, ground, below)
    over = (z > lid, h > lid)
    beyond = xp.where(over[0] & over[1], pair(z - h, z + h - 2 * top), xp.zeros_like(below))
    return xp.where(over[0] | over[1], beyond, below)
