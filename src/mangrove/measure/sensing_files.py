# SPDX-License-Identifier: Apache-2.0
"""Footprints of transport models (STILT, FLEXPART, NAME) in the place of the plume, for the stations that have files.

Comes in: files, readings, the inventory on its cells. Goes out: what each source adds to the readings of those stations, in the hours that
the files hold. The inventory moves to the file's own longitudes and latitudes by exact areas; what a file says of earlier hours meets
the emissions of those hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse
import shapely

from mangrove.errors import RequestError
from mangrove.gridding import project, unproject, weights
from mangrove.inference.footprint_files import AIR, Footprints, read

if TYPE_CHECKING:
    from mangrove.measure.sensing_prior import Sources
    from mangrove.measure.sensing_readings import Readings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_UG, _SECONDS, _DAY = 1e9, 3600.0, 24
_EDGES = 9
"""Corners along a side of a cell that spans degrees: meridians are curves on a flat map."""
_LEAST_INSIDE = 0.999


def replace_by_files(
    response: Floats, files: Sequence[str | Path], seen: Readings, prior: Sources, ratios: Floats
) -> npt.NDArray[np.bool_]:
    """Writes what each source adds to the readings of a station that has files; the hours that no file holds keep the plume.

    With F in mol/mol per mol/(m2 s), a the area of a cell of the file and n the moles in a m3 of air, `F n / a` is s/m3: the kg/m3 at the
    station for each kg/s of the cell. An hour of which files hold several observations takes their mean. Emissions of hours before the period
    are those of the same hour of its first day.

    Args:
        response: (series, T, sectors, zones), ug/m3; changed in place.
        files: a file whose name is the id of its station, or a folder of that name with files.
        seen: the readings and their hours.
        prior: the inventory.
        ratios: (species, classes) kg of each species per kg of the class.

    Returns:
        (series, T): which readings a file explains.

    Raises:
        RequestError: `sensing.footprint_station`: no station has that name; `sensing.footprint_receptor`: a file does not say when its
            air was sampled; `locate.outside_footprint`: cells of the inventory lie outside; see `inference.footprint_files.read`.
    """
    zones = _by_zone(prior)
    known: dict[bytes, tuple[Ints, scipy.sparse.csr_array]] = {}
    sums: dict[str, tuple[Floats, Ints]] = {}
    for name, path in _named(files, seen.stations):
        model = read(path)
        grid = model.lon.tobytes() + model.lat.tobytes()
        if grid not in known:
            boxes, shares = _shares(model, prior)
            known[grid] = boxes, scipy.sparse.csr_array(shares.T @ zones)
        added, count = _observed(model, seen, prior, path, *known[grid])
        before = sums.get(name, (0.0, 0))
        sums[name] = before[0] + added, before[1] + count
    held = np.zeros(response.shape[:2], dtype=bool)
    for name, (total, number) in sums.items():
        hours = np.flatnonzero(number)
        mean = total[hours] / number[hours, None, None] * (_UG / _SECONDS)
        for row in np.flatnonzero(seen.station == seen.stations.index(name)):
            response[row, hours] = 0.0
            for c, sector in enumerate(prior.sector.tolist()):
                response[row, hours, sector] += ratios[seen.of[row], c] * mean[:, c]
            held[row, hours] = True
    return held


def _by_zone(prior: Sources) -> scipy.sparse.csr_array:
    """(cells, classes x zones): the share of each class in each cell, in the columns of the cell's zone."""
    maps = prior.maps.tocoo()
    columns = maps.row * len(prior.zones) + prior.zone[maps.col]
    shape = (len(prior.cells), len(prior.gas) * len(prior.zones))
    return scipy.sparse.csr_array((maps.data, (maps.col, columns)), shape=shape)


def _observed(  # noqa: PLR0917 - private
    model: Footprints, seen: Readings, prior: Sources, path: Path, boxes: Ints, flux: scipy.sparse.csr_array
) -> tuple[Floats, Ints]:
    """(T, classes, zones) kg/m3 s per hour, summed over the observations of each hour, and how many those are."""
    at, count = _hours(model, seen, path)
    on = scipy.sparse.csr_array(model.matrix[:, boxes] * (AIR / model.areas()[boxes])[None, :])
    near = (np.diff(on.indptr) > 0) & (at >= 0).any(axis=1)  # of days of travel few hours touch the city
    rows, classes, zones = np.flatnonzero(near), len(prior.gas), len(prior.zones)
    reached = (on[rows] @ flux).toarray().reshape(len(rows), classes, zones)
    each = reached * _emitted(model, seen, prior)[:, rows].T[:, :, None]
    summed = _sum_rows(at[rows], len(count)) @ each.reshape(len(rows), classes * zones)
    return np.asarray(summed).reshape(-1, classes, zones), count


def _named(files: Sequence[str | Path], stations: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The station of each file, by its name or that of its folder; folders stand for the files in them."""
    for file in map(Path, files):
        for path in sorted(file.glob("*.nc")) or [file]:
            name = next((name for name in (path.stem, path.parent.name) if name in stations), None)
            if name is None:
                raise RequestError("sensing.footprint_station", file=str(path), options=", ".join(stations))
            yield name, path


def _hours(model: Footprints, seen: Readings, path: Path) -> tuple[npt.NDArray[np.int64], Ints]:
    """The hour of the period that each row of a file was observed in, (rows, lasting), -1 outside, and how many observations each has."""
    if np.isnat(model.observed).any():
        raise RequestError("sensing.footprint_receptor", file=str(path), model=model.model)
    first = seen.starts[0].astype("datetime64[h]").astype(np.int64)
    begin = model.observed.astype("datetime64[h]").astype(np.int64) - first
    at = begin[:, None] + np.arange(model.lasting)[None, :]
    at = np.where((at >= 0) & (at < len(seen.starts)), at, -1)
    _, one = np.unique(model.observed, return_index=True)
    count = np.bincount(at[one][at[one] >= 0], minlength=len(seen.starts))
    return at, count


def _sum_rows(at: Ints, hours: int) -> scipy.sparse.csr_array:
    """(hours, rows): adds the rows that belong to each hour."""
    row = np.repeat(np.arange(len(at)), at.shape[1])
    inside = at.ravel() >= 0
    return scipy.sparse.csr_array(
        (np.ones(inside.sum()), (at.ravel()[inside], row[inside])), shape=(hours, len(at))
    )


def _emitted(model: Footprints, seen: Readings, prior: Sources) -> Floats:
    """(classes, rows) kg in an hour: the mean over the hours in which the flux of each row is emitted."""
    first = seen.starts[0].astype("datetime64[h]").astype(np.int64)
    hours = prior.hourly.shape[1]
    begin = model.times.astype("datetime64[h]").astype(np.int64) - first
    each = begin[:, None] + np.arange(model.emitted)[None, :]
    each = np.where(each < 0, each % min(_DAY, hours), np.minimum(each, hours - 1))
    found: Floats = prior.hourly[:, each].mean(axis=2)
    return found


def _shares(model: Footprints, prior: Sources) -> tuple[Ints, scipy.sparse.csr_array]:
    """Numbers of the file's cells under the inventory, and the share of each cell of the inventory in each of them."""
    half = prior.size / 2
    x, y = prior.cells[:, 0], prior.cells[:, 1]
    squares = shapely.box(x - half, y - half, x + half, y + half)
    west, south, east, north = shapely.total_bounds(unproject(list(squares), prior.epsg)).tolist()
    dx, dy = (float(axis[1] - axis[0]) for axis in (model.lon, model.lat))
    columns = np.flatnonzero((model.lon + dx / 2 > west) & (model.lon - dx / 2 < east))
    rows = np.flatnonzero((model.lat + dy / 2 > south) & (model.lat - dy / 2 < north))
    boxes = (rows[:, None] * len(model.lon) + columns[None, :]).ravel()
    degrees = [_box(float(model.lon[i]), float(model.lat[j]), dx, dy) for j in rows for i in columns]
    found = weights(list(squares), list(project(degrees, prior.epsg))) if degrees else None
    covered = np.zeros(len(squares)) if found is None else np.asarray(found.sum(axis=1)).ravel()
    if found is None or covered.min() < _LEAST_INSIDE:
        lon, lat = shapely.get_coordinates(
            unproject([shapely.centroid(squares[int(np.argmin(covered))])], prior.epsg)
        )[0].tolist()
        raise RequestError(
            "locate.outside_footprint", lon=round(lon, 4), lat=round(lat, 4), file=model.path.name
        )
    return boxes, found


def _box(lon: float, lat: float, dx: float, dy: float) -> shapely.Polygon:
    """A cell of a file, with corners along its sides."""
    step = np.linspace(-0.5, 0.5, _EDGES)[:-1]
    x = np.concatenate([step, np.full(len(step), 0.5), -step, np.full(len(step), -0.5)]) * dx + lon
    y = np.concatenate([np.full(len(step), -0.5), step, np.full(len(step), 0.5), -step]) * dy + lat
    return shapely.Polygon(np.column_stack([x, y]))
