# SPDX-License-Identifier: Apache-2.0
"""Footprints that a transport model computed: STILT, FLEXPART and NAME files as rows of observations and columns of cells.

Comes in: NetCDF files. Goes out: a sparse matrix (observations and hours of emission x cells), mol/mol per mol/(m2 s), with the cells'
positions and areas, so that `matrix @ flux` is a mole fraction. Each row knows when its air was sampled and when the flux was emitted.
Cells are row-major from the south-west corner, as everywhere; a file that runs from north to south, or holds its axes in another order,
comes out the same. Nothing is guessed: a file without the names of one of the three models, without axes or with units of another kind
is an error that says where.
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
from mangrove.inference.concentration import GAS_CONSTANT, KELVIN, STANDARD_PRESSURE, STANDARD_TEMPERATURE

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

EARTH = 6_371_008.8
"""m: mean radius R1 of WGS84 (Moritz 2000, Geodetic Reference System 1980, J. Geod. 74:128)."""
_MOLAR_AIR = 0.02896546
"""kg/mol of dry air: Picard et al. 2008 (CIPM-2007), Metrologia 45:149, equation 3."""
AIR = 100.0 * STANDARD_PRESSURE / (GAS_CONSTANT * (STANDARD_TEMPERATURE + KELVIN))
"""mol/m3 of air at 25 degC and 1013.25 hPa: a mole fraction times it and the molar mass is a mass concentration as readings are stated."""
_LAYOUTS = {
    "name": ("fp", ("lat", "latitude"), ("lon", "longitude"), ("time",)),
    "stilt": ("foot", ("lat",), ("lon",), ("time",)),
    "flexpart": ("spec001_mr", ("latitude",), ("longitude",), ("time",)),
}
_RELEASES, _LAYERS = "pointspec", "height"
"""FLEXPART's axes of releases, one for each observation, and of layers, of which the lowest counts: emissions are there."""
_RUN = re.compile(r"(\d{12}|\d{10})_")
"""How STILT begins the name of a file: the instant of the receptor in UTC, `%Y%m%d%H%M_lon_lat_height_foot.nc` (uataq/stilt, r/src/simulation_step.r;
hours alone in earlier versions). Nothing inside the file says it."""
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_EVEN = 0.01
_HOUR = 3600.0
_RESIDENCE = {"sm3kg-1", "sm3/kg"}
_MASSES = (1, 1)
"""`ind_source` and `ind_receptor` of a FLEXPART run in masses at both ends, whose unit is s (netcdf_output_mod.f90, output_units); so is that of
mixing ratios at both ends, which needs the density at the source and is not read."""
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
        matrix: (rows, n_cells), sparse rows, mol/mol per mol/(m2 s).
        times: (rows,) UTC, when the flux is emitted: the beginning of a span of `emitted` hours. A NAME file sums over all hours before the
            observation; its flux is taken at the time of the observation.
        observed: (rows,) UTC, when the air was sampled, the beginning of a span of `lasting` hours; not a time where the file does not say.
        lon, lat: middles of the columns (west to east) and of the rows (south to north), degrees.
    """

    model: str
    path: Path
    matrix: sparse.csr_array
    times: Times
    observed: Times
    lon: Floats
    lat: Floats
    emitted: int = 1
    lasting: int = 1

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
    if any(variable.shape[i] != 1 for i, d in enumerate(dims) if d not in (*axes, _RELEASES, _LAYERS)):
        raise _error("locate.footprint_axes", path, key, found=", ".join(dims))
    factor = _per_flux(file, model, _text(variable.attrs.get("units", "")), path)
    north, east = np.argsort(lat), np.argsort(lon)
    releases = variable.shape[dims.index(_RELEASES)] if _RELEASES in dims else 1
    blocks = []
    for release in range(releases):  # each is as large as a file of another model
        values = _values(variable, {_LAYERS: 0, _RELEASES: release}, axes)
        if not np.isfinite(values).all() or values.min() < 0:
            raise _error("locate.footprint_values", path, key)
        blocks.append(sparse.csr_array(values[:, north][:, :, east].reshape(len(values), -1) * factor))
    times = _times(file.variables[axes[0]], path)
    observed, lasting = _observed(file, model, path, times, releases)
    return Footprints(
        model,
        path,
        sparse.csr_array(sparse.vstack(blocks)),
        np.tile(times, releases),
        np.repeat(observed, len(times)) if len(observed) == releases and model != "name" else observed,
        np.sort(lon),
        np.sort(lat),
        emitted=1 if model == "stilt" else _hours_apart(times),
        lasting=lasting,
    )


def _observed(file: Any, model: str, path: Path, times: Times, releases: int) -> tuple[Times, int]:
    """When the air of each release was sampled and for how many hours: of every time in a NAME file, whose times are those."""
    nothing = np.full(releases, np.datetime64("NaT", "ms"))
    if model == "name":
        return times, _hours_apart(times)
    if model == "stilt":
        run = _RUN.match(path.name)
        if run is None:
            return nothing, 1
        moment = datetime.strptime(run[1].ljust(12, "0"), "%Y%m%d%H%M").replace(tzinfo=UTC)
        return np.array([moment.replace(tzinfo=None)], dtype="datetime64[ms]"), 1
    ends = [file.variables.get(name) for name in ("RELSTART", "RELEND")]
    if any(end is None or end.shape != (releases,) for end in ends):
        return nothing, 1
    seconds = np.sort([np.asarray(end[...], dtype=np.float64) for end in ends], axis=0)
    begin = np.asarray(
        _since(file.variables["time"], path)[0] + (seconds[0] * 1000).astype("timedelta64[ms]")
    )
    return begin, max(round(float(np.median(seconds[1] - seconds[0])) / _HOUR), 1)


def _hours_apart(times: Times) -> int:
    """Whole hours between neighbors, at least one."""
    gaps = np.diff(np.sort(times)).astype("timedelta64[ms]").astype(np.float64) / 1000
    return max(round(float(gaps.min()) / _HOUR), 1) if len(gaps) else 1


def _values(variable: Any, at: dict[str, int], axes: list[str]) -> Floats:
    """The numbers at one place of some axes, (time, lat, lon), NaN where the file has its fill value."""
    dims = list(variable.dimensions)
    raw = np.asarray(variable[tuple(at.get(d, slice(None)) for d in dims)])
    values = raw.astype(np.float64)
    fill = variable.attrs.get("_FillValue")
    if fill is not None:
        values[raw == np.asarray(fill).ravel()[0]] = np.nan
    left = [d for d in dims if d not in at]
    moved = np.moveaxis(values, [left.index(axis) for axis in axes], [0, 1, 2])
    return moved.reshape(moved.shape[:3])


def _per_flux(file: Any, model: str, written: str, path: Path) -> float:
    """What the numbers are multiplied with to be mol/mol per mol/(m2 s).

    NAME writes that; STILT writes ppm / (umol m-2 s-1), which is the same. FLEXPART's backward runs give residence times (Seibert and Frank
    2004, Atmos. Chem. Phys. 4:51, table 1): a flux of the ground spreads in the lowest layer of the output, h high, so that a source of
    kg/(m3 s) is a flux divided by h. `s m3 kg-1`, kg/kg per kg/(m3 s): times M_air / h. `s`, kg/m3 per kg/(m3 s): over h times the
    moles in a m3 of air at the receptor, taken at 25 degC and 1013.25 hPa.
    """
    plain = re.sub(r"[\s*^.]", "", written.lower())
    key = _LAYOUTS[model][0]
    if model == "flexpart":
        masses = tuple(int(np.ravel(file.attrs.get(name, 0))[0]) for name in ("ind_source", "ind_receptor"))
        if plain not in _RESIDENCE and not (plain == "s" and masses == _MASSES):
            raise _error("locate.footprint_unit", path, key, unit=written or "-", known=_FLEXPART)
        if "height" not in file.variables:
            raise _error("locate.footprint_axes", path, "height", found=", ".join(sorted(file.variables)))
        layer = float(np.asarray(file.variables["height"][...]).ravel()[0])
        return (_MOLAR_AIR if plain in _RESIDENCE else 1 / AIR) / layer
    if plain not in _PER_FLUX:
        raise _error("locate.footprint_unit", path, key, unit=written or "-", known="(mol/mol)/(mol/m2/s)")
    return 1.0


_FLEXPART = "s m3 kg-1, or s with ind_source = ind_receptor = 1"


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
    begin, length = _since(variable, path)
    offset = np.asarray(variable[...], dtype=np.float64).ravel() * length * 1000
    return np.asarray(begin + np.round(offset).astype("timedelta64[ms]"))


def _since(variable: Any, path: Path) -> tuple[np.datetime64, float]:
    """The origin of an axis of time and the seconds of its unit."""
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
    return np.datetime64(origin.replace(tzinfo=None), "ms"), length


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode() if isinstance(value, bytes) else str(value)


def _error(code: str, path: Path, variable: str, **data: Any) -> RequestError:
    return RequestError(code, where=Where(path.name), variable=variable.rsplit("/", 1)[-1], **data)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
