# SPDX-License-Identifier: Apache-2.0
"""Gridded emissions as NetCDF for models of the air: CF conventions, one variable for each gas and sector, written step by step.

Comes in: layers, a grid or zones, steps. Goes out: a file that xarray, emiproc and the tools of ICON-ART and WRF read: `gas_sector(time, y, x)`
as mean flux in kg m-2 s-1 with the attributes `substance` and `category`, longitude and latitude of middles and corners, projected `x` and
`y` with their grid mapping, `cell_area`, bounds of time; beside them the sum of all sectors, and the exact kilograms of every step. Zones get
a dimension of their own and rates in kg s-1; a grid in degrees has `lat` and `lon` as its dimensions, which is what emiproc's `NetcdfRaster`
reads without being told anything. Fields are single precision; totals, areas and coordinates are double.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from mangrove.errors import RequestError
from mangrove.gridding.grid import Floats, Grid
from mangrove.gridding.layers import Layer, Steps, Zones, check, maps, plain_word, variable_names, written
from mangrove.gridding.sink import Sink

CONVENTIONS = "CF-1.10"
NAMES = {
    "CO2": "carbon_dioxide",
    "CH4": "methane",
    "CO": "carbon_monoxide",
    "SO2": "sulfur_dioxide",
    "NH3": "ammonia",
}
"""Gases whose emission flux has a name in the CF standard name table: `tendency_of_atmosphere_mass_content_of_X_due_to_emission`."""
_DEGREES = {"lon": ("longitude", "degrees_east", "X"), "lat": ("latitude", "degrees_north", "Y")}
_EPOCH = "1970-01-01"
_LEVEL = 4
"""Of the compression: higher ones hardly help sparse maps."""
_BLOCK = 64 << 20
"""Bytes of maps that are gathered before they are written: one call for each map would cost more than the map."""


def write(
    path: Path,
    layers: Sequence[Layer],
    frame: Grid | Zones,
    steps: Steps,
    *,
    attributes: Mapping[str, str] | None = None,
) -> Path:
    """Writes the layers; `path` is replaced only when all was written.

    Args:
        path: the file.
        layers: kilograms per fine step and cell.
        frame: the grid (with a projected system) or the zones of the layers.
        steps: what the fine steps are added up to.
        attributes: global attributes: title, institution, source, history, references, comment, ...

    Raises:
        RequestError: `gridding.nothing_measured`, `gridding.wrong_zones`, `gridding.no_projection`, `gridding.not_written` (a full disk).
    """
    import h5netcdf

    check(layers, frame)
    with written(path) as temporary, temporary.open("r+b", buffering=0) as raw:
        sink = Sink(raw)
        with h5netcdf.File(sink, "w") as file:
            file.attrs.update({"Conventions": CONVENTIONS, **(attributes or {})})
            _time(file, steps)
            space = _grid(file, frame) if isinstance(frame, Grid) else _zones(file, frame)
            _fields(file, layers, steps, space, sink)
        sink.check()
    return path


class _Space:
    """How a map lies in the file.

    Attributes:
        dimensions, shape: of one map; area: m2 that kilograms are divided by, of the shape of a map; ones for zones.
        units: of a rate; attributes: that every field shares.
    """

    def __init__(self, frame: Grid | Zones) -> None:
        on_grid = isinstance(frame, Grid)
        in_degrees = isinstance(frame, Grid) and frame.in_degrees
        self.dimensions: tuple[str, ...] = (
            ("lat", "lon") if in_degrees else ("y", "x") if on_grid else ("zone",)
        )
        self.shape = (frame.ny, frame.nx) if isinstance(frame, Grid) else (len(frame.ids),)
        self.area = frame.areas() if isinstance(frame, Grid) else np.ones(self.shape)
        self.units = "kg m-2 s-1" if on_grid else "kg s-1"
        self.attributes = {"coordinates": "lon lat", "cell_methods": "time: mean area: mean"}
        if on_grid:
            self.attributes |= {"grid_mapping": "crs", "cell_measures": "area: cell_area"}
            if in_degrees:
                del self.attributes["coordinates"]
        else:
            self.attributes = {
                "coordinates": "lon lat zone_id zone_name",
                "cell_methods": "time: mean zone: sum",
            }


def _time(file: Any, steps: Steps) -> None:
    """`time` in the middle of each step, with its bounds: so that a year that begins abroad still bears its own number."""
    hours = steps.times.astype("datetime64[s]").astype(np.float64) / 3600
    file.dimensions["time"] = len(steps)
    file.dimensions["nv"] = 2
    _variable(
        file, "time", ("time",), (hours[:-1] + hours[1:]) / 2,
        standard_name="time", long_name="middle of the step", units=f"hours since {_EPOCH} 00:00:00",
        calendar="proleptic_gregorian", axis="T", bounds="time_bnds",
    )  # fmt: skip
    _variable(file, "time_bnds", ("time", "nv"), np.column_stack([hours[:-1], hours[1:]]))


def _grid(file: Any, grid: Grid) -> _Space:
    """Coordinates of a grid, its areas and its system."""
    from pyproj import CRS

    if not grid.epsg:
        raise RequestError("gridding.no_projection")
    space = _Space(grid)
    (_meridians if grid.in_degrees else _projected)(file, grid)
    _variable(
        file, "cell_area", space.dimensions, space.area,
        standard_name="cell_area", units="m2", grid_mapping="crs",
        long_name="area of the cell" + ("" if grid.in_degrees else " on the map"),
    )  # fmt: skip
    system = CRS.from_epsg(grid.epsg)
    _variable(file, "crs", (), np.int32(0), **{**_plain(system.to_cf()), "epsg_code": f"EPSG:{grid.epsg}"})
    return space


def _meridians(file: Any, grid: Grid) -> None:
    """Longitudes and latitudes as dimensions."""
    for name, middles, size in zip(("lon", "lat"), grid.centers(), (grid.dx, grid.dy), strict=True):
        file.dimensions[name] = len(middles)
        word, units, axis = _DEGREES[name]
        _variable(
            file, name, (name,), middles, standard_name=word, long_name=word, units=units, axis=axis,
            bounds=f"{name}_bnds",
        )  # fmt: skip
        _variable(
            file, f"{name}_bnds", (name, "nv"), np.column_stack([middles - size / 2, middles + size / 2])
        )


def _projected(file: Any, grid: Grid) -> None:
    """Projected coordinates, and longitudes and latitudes of middles and corners."""
    longitudes, latitudes = grid.degrees()
    corners = grid.degrees(corners=True)
    for dimension, count in (("y", grid.ny), ("x", grid.nx), ("corner", 4)):
        file.dimensions[dimension] = count
    for name, middles, size in zip("xy", grid.centers(), (grid.dx, grid.dy), strict=True):
        bounds = np.column_stack([middles - size / 2, middles + size / 2])
        _variable(
            file, name, (name,), middles, standard_name=f"projection_{name}_coordinate", units="m",
            axis=name.upper(), bounds=f"{name}_bnds",
        )  # fmt: skip
        _variable(file, f"{name}_bnds", (name, "nv"), bounds)
    _degrees(file, ("y", "x"), longitudes, latitudes, bounds=True)
    for name, corner in zip(("lon_bnds", "lat_bnds"), corners, strict=True):
        _variable(file, name, ("y", "x", "corner"), corner)


def _zones(file: Any, zones: Zones) -> _Space:
    """Coordinates of zones: ids, names, a point inside each."""
    import h5py

    file.dimensions["zone"] = len(zones.ids)
    for name, texts in (("zone_id", zones.ids), ("zone_name", zones.names)):
        made = file.create_variable(name, ("zone",), dtype=h5py.string_dtype())
        made[...] = np.array(texts, dtype=object)
    inside = shapely.point_on_surface(zones.shapes)
    _degrees(file, ("zone",), shapely.get_x(inside), shapely.get_y(inside), bounds=False)
    return _Space(zones)


def _degrees(file: Any, dimensions: tuple[str, ...], lon: Floats, lat: Floats, *, bounds: bool) -> None:
    for name, values in (("lon", lon), ("lat", lat)):
        word, units, _ = _DEGREES[name]
        further = {"bounds": f"{name}_bnds"} if bounds else {}
        _variable(file, name, dimensions, values, standard_name=word, long_name=word, units=units, **further)


def _fields(file: Any, layers: Sequence[Layer], steps: Steps, space: _Space, sink: Sink) -> None:
    """The layers, their sums over sectors and their totals, map after map."""
    names = variable_names(layers)
    gases = list(dict.fromkeys(layer.gas for layer in layers))
    fields = {
        name: _field(file, name, layer.gas, layer.sector or "other", space)
        for name, layer in zip(names, layers, strict=True)
    }
    sums = {gas: _field(file, f"emi_{plain_word(gas)}_all_sectors", gas, "", space) for gas in gases}
    totals = {
        gas: _variable(
            file, f"emi_{plain_word(gas)}_total", ("time",), np.zeros(len(steps)),
            long_name=f"{gas} of all sectors and cells in the step", units="kg", cell_methods="time: sum",
        )
        for gas in gases
    }  # fmt: skip
    kilograms = {gas: np.zeros(len(steps)) for gas in gases}
    block = max(1, _BLOCK // (4 * int(np.prod(space.shape)) * (len(layers) + len(gases))))
    running = [maps(layer, steps) for layer in layers]
    for first in range(0, len(steps), block):
        sink.check()
        span = slice(first, min(first + block, len(steps)))
        rates = steps.seconds()[span].reshape(-1, *(1 for _ in space.shape)) * space.area
        together = {gas: np.zeros((span.stop - first, *space.shape)) for gas in gases}
        for name, layer, following in zip(names, layers, running, strict=True):
            found = np.stack([np.asarray(part) for part in islice(following, span.stop - first)])
            found = found.reshape(-1, *space.shape)
            together[layer.gas] += found
            fields[name][span] = (found / rates).astype(np.float32)
        for gas, found in together.items():
            sums[gas][span] = (found / rates).astype(np.float32)
            kilograms[gas][span] = found.reshape(len(found), -1).sum(axis=1)
    for gas, total in totals.items():
        total[...] = kilograms[gas]


def _field(file: Any, name: str, gas: str, category: str, space: _Space) -> Any:
    """One empty field, kept in chunks of one map."""
    made = file.create_variable(
        name,
        ("time", *space.dimensions),
        dtype=np.float32,
        chunks=(1, *space.shape),
        compression="gzip",
        compression_opts=_LEVEL,
        shuffle=True,
        fillvalue=np.float32(np.nan),
    )
    of = f"emissions of {gas}" + (f" from {category}" if category else " from all sectors")
    attributes = {"long_name": of, "units": space.units}
    if category:  # emiproc adds up what has one, so the sum of all sectors must not
        attributes |= {"substance": gas, "category": category}
    if gas in NAMES and space.units == "kg m-2 s-1":
        known = f"tendency_of_atmosphere_mass_content_of_{NAMES[gas]}_due_to_emission"
        attributes["standard_name"] = known
    made.attrs.update(attributes | space.attributes)
    return made


def _variable(file: Any, name: str, dimensions: tuple[str, ...], values: Any, **attributes: Any) -> Any:
    data = np.asarray(values)
    made = file.create_variable(name, dimensions, dtype=data.dtype)
    made[...] = data
    made.attrs.update(attributes)
    return made


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as NetCDF takes them: texts and numbers, lists as arrays."""
    return {
        key: np.asarray(value) if isinstance(value, list | tuple) else value
        for key, value in attributes.items()
    }
