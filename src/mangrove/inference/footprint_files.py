# SPDX-License-Identifier: Apache-2.0
"""Footprints that a transport model computed: STILT, FLEXPART and NAME files as rows of observations and columns of cells.

Comes in: NetCDF files. Goes out: a sparse matrix (times of observation x cells), mol/mol per mol/(m2 s), with the cells' positions
and areas, so that `matrix @ flux` is a concentration. Cells are row-major from the south-west corner, as everywhere; a file that
runs from north to south, or holds its axes in another order, comes out the same. Nothing is guessed: a file without the names of one of
the three models, without axes or with units of another kind is an error that says where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, Where

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

EARTH = 6_371_008.8
"""m: mean radius R1 of WGS84 (Moritz 2000, Geodetic Reference System 1980, J. Geod. 74:128)."""
_MOLAR_AIR = 0.02896546
"""kg/mol of dry air: Picard et al. 2008 (CIPM-2007), Metrologia 45:149, equation 3."""
_LAYOUTS = {
    "name": ("fp", ("lat", "latitude"), ("lon", "longitude"), ("time",)),
    "stilt": ("foot", ("lat",), ("lon",), ("time",)),
    "flexpart": ("spec001_mr", ("latitude",), ("longitude",), ("time",)),
}
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_EVEN = 0.01
_RESIDENCE = {"sm3kg-1", "sm3/kg"}
_PER_FLUX = {
    "(mol/mol)/(mol/m2/s)", "molmol-1/(molm-2s-1)", "(molmol-1)/(molm-2s-1)", "m2smol-1", "m2s1mol-1", "ppm(umol-1m2s)",
    "ppm/(umolm-2s-1)", "ppm/(umol/m2/s)", "ppmumol-1m2s",
}  # fmt: skip
"""Spellings without blanks, stars and dots; a unit that is not here is not guessed."""


@dataclass(frozen=True, slots=True)
class Footprints:
    """Sensitivities of observations to the fluxes of cells.

    Attributes:
        model: `name`, `stilt` or `flexpart`; path: the file.
        matrix: (n_times, n_cells), sparse rows, mol/mol per mol/(m2 s).
        times: (n_times,) UTC. In a NAME file those of the observation; in STILT and FLEXPART files those at which the flux is emitted
            (their files hold one observation, see `summed`).
        lon, lat: middles of the columns (west to east) and of the rows (south to north), degrees.
    """

    model: str
    path: Path
    matrix: sparse.csr_array
    times: Times
    lon: Floats
    lat: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the cells."""
        return len(self.lat), len(self.lon)

    def areas(self) -> Floats:
        """(n_cells,) areas of the cells on the sphere, m2."""
        dx, half = np.radians(_step(self.lon)), _step(self.lat) / 2
        band = np.sin(np.radians(self.lat + half)) - np.sin(np.radians(self.lat - half))
        return np.repeat(EARTH**2 * dx * band, len(self.lon))

    def summed(self) -> sparse.csr_array:
        """(1, n_cells): one observation's sensitivity to a flux that does not change."""
        from scipy import sparse

        return sparse.csr_array(self.matrix.sum(axis=0).reshape(1, -1))

    def nearest(self, lon: float, lat: float) -> int:
        """The cell that holds a position.

        Raises:
            RequestError: it lies outside.
        """
        column = round((lon - self.lon[0]) / _step(self.lon))
        row = round((lat - self.lat[0]) / _step(self.lat))
        if not (0 <= column < len(self.lon) and 0 <= row < len(self.lat)):
            raise RequestError("locate.outside_footprint", lon=lon, lat=lat, file=self.path.name)
        return int(row * len(self.lon) + column)


def read(path: str | Path) -> Footprints:
    """Reads one file of STILT, FLEXPART or NAME (openghg's layout), told apart by its variables.

    Raises:
        RequestError: `locate.not_netcdf`, `locate.no_footprint` and others, each with the file and the variable.
    """
    import h5netcdf

    path = Path(path)
    try:
        file = h5netcdf.File(path, "r")
    except (OSError, ValueError, KeyError) as error:
        raise RequestError("locate.not_netcdf", where=Where(path.name), reason=_first_line(error)) from error
    with file:
        model = next((name for name, (key, *_) in _LAYOUTS.items() if key in file.variables), "")
        if not model:
            raise RequestError(
                "locate.no_footprint", where=Where(path.name), found=", ".join(sorted(file.variables)) or "-"
            )
        return _footprints(file, model, path)


def _footprints(file: Any, model: str, path: Path) -> Footprints:
    """The footprints in an open file."""
    from scipy import sparse

    key, lats, lons, clocks = _LAYOUTS[model]
    variable = file.variables[key]
    dims = list(variable.dimensions)
    axes = [next((d for d in names if d in dims), "") for names in (clocks, lats, lons)]
    if not all(axes):
        raise _error("locate.footprint_axes", path, key, found=", ".join(dims))
    lat, lon = (_axis(file, path, axis) for axis in axes[1:])
    values = _values(variable)
    others = tuple(i for i, d in enumerate(dims) if d not in axes)
    if any(values.shape[i] != 1 for i in others if dims[i] != "height"):
        raise _error("locate.footprint_axes", path, key, found=", ".join(dims))
    values = np.moveaxis(values, [dims.index(a) for a in axes], [0, 1, 2])
    values = values.reshape(*values.shape[:3], -1)[..., 0]  # the lowest layer, where emissions are
    if not np.isfinite(values).all() or values.min() < 0:
        raise _error("locate.footprint_values", path, key)
    rows, columns = np.argsort(lat), np.argsort(lon)
    flat = values[:, rows][:, :, columns].reshape(len(values), -1)
    flat *= _per_flux(file, model, _text(variable.attrs.get("units", "")), path)
    times = _times(file.variables[axes[0]], path)
    return Footprints(model, path, sparse.csr_array(flat), times, lon[columns], lat[rows])


def _values(variable: Any) -> Floats:
    """The numbers, NaN where the file has its fill value."""
    raw = np.asarray(variable[...])
    values = raw.astype(np.float64)
    fill = variable.attrs.get("_FillValue")
    if fill is not None:
        values[raw == np.asarray(fill).ravel()[0]] = np.nan
    return values


def _per_flux(file: Any, model: str, written: str, path: Path) -> float:
    """What the numbers are multiplied with to be mol/mol per mol/(m2 s).

    NAME writes that; STILT writes ppm / (umol m-2 s-1), which is the same. FLEXPART's backward runs give kg/kg per kg/(m3 s) (Seibert and
    Frank 2004, Atmos. Chem. Phys. 4:51, table 1: s m3 kg-1): a flux spreads in the lowest layer of the output, and the molar mass of air
    makes moles of it.
    """
    plain = re.sub(r"[\s*^.]", "", written.lower())
    key = _LAYOUTS[model][0]
    if model == "flexpart":
        if plain not in _RESIDENCE:
            raise _error("locate.footprint_unit", path, key, unit=written or "-", known="s m3 kg-1")
        if "height" not in file.variables:
            raise _error("locate.footprint_axes", path, "height", found=", ".join(sorted(file.variables)))
        return _MOLAR_AIR / float(np.asarray(file.variables["height"][...]).ravel()[0])
    if plain not in _PER_FLUX:
        raise _error("locate.footprint_unit", path, key, unit=written or "-", known="(mol/mol)/(mol/m2/s)")
    return 1.0


def _axis(file: Any, path: Path, name: str) -> Floats:
    """Middles of evenly spaced cells."""
    if name not in file.variables:
        raise _error("locate.footprint_axes", path, name, found=", ".join(sorted(file.variables)))
    values = np.asarray(file.variables[name][...], dtype=np.float64)
    gaps = np.diff(np.sort(values))
    if not len(gaps) or not (gaps > 0).all() or gaps.max() - gaps.min() > _EVEN * gaps.mean():
        raise _error("locate.footprint_uneven", path, name)
    return values


def _step(middles: Floats) -> float:
    return float((middles[-1] - middles[0]) / (len(middles) - 1))


def _times(variable: Any, path: Path) -> Times:
    """UTC times from `seconds since ...`."""
    written = _text(variable.attrs.get("units", ""))
    word, _, since = written.partition(" since ")
    length = next(
        (seconds for name, seconds in _SECONDS.items() if word.strip().rstrip("s").lower() == name), None
    )
    try:
        origin = datetime.fromisoformat(since.strip().replace(" UTC", "").replace("Z", ""))
    except ValueError:
        length, origin = None, datetime(1970, 1, 1, tzinfo=UTC)
    if length is None:
        raise _error("locate.footprint_time", path, variable.name, unit=written or "-")
    begin = np.datetime64(origin.replace(tzinfo=None), "ms")
    offset = np.asarray(variable[...], dtype=np.float64).ravel() * length * 1000
    return np.asarray(begin + np.round(offset).astype("timedelta64[ms]"))


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else str(value)


def _error(code: str, path: Path, variable: str, **data: Any) -> RequestError:
    return RequestError(code, where=Where(path.name), variable=variable.rsplit("/", 1)[-1], **data)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
