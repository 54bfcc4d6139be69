# SPDX-License-Identifier: Apache-2.0
"""Footprints of transport models (STILT, FLEXPART, NAME) in the place of the plume, for the stations that have a file.

Comes in: files, stations, cells. Goes out: the same array of footprints with the rows of those stations replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from mangrove.errors import RequestError
from mangrove.gridding import unproject
from mangrove.inference.concentration import GAS_CONSTANT, KELVIN, STANDARD_PRESSURE, STANDARD_TEMPERATURE
from mangrove.inference.footprint_files import read

if TYPE_CHECKING:
    from mangrove.measure.sensing_prior import Sources
    from mangrove.measure.sensing_readings import Readings

AIR = 100.0 * STANDARD_PRESSURE / (GAS_CONSTANT * (STANDARD_TEMPERATURE + KELVIN))
"""mol/m3 of air at 25 degC and 1013.25 hPa: a mole fraction times it and the molar mass is a mass concentration."""


def replace_by_files(
    found: npt.NDArray[np.float32], files: Sequence[str | Path], seen: Readings, prior: Sources
) -> None:
    """Writes the footprints of each file into the rows of the station whose id is the file's name.

    A file says mol/mol per mol/(m2 s): divided by the area of its cell and times the moles in a m3 of air that is s/m3. Hours that a file
    does not hold keep the plume.

    Raises:
        RequestError: `sensing.footprint_station`: no station has that name; `sensing.footprint_model`: a file of one observation; see `inference.footprint_files.read`.
    """
    points = unproject([shapely.Point(x, y) for x, y in prior.cells[:, :2]], prior.epsg)
    degrees = shapely.get_coordinates(points)
    for file in files:
        name = Path(file).stem
        if name not in seen.stations:
            raise RequestError("sensing.footprint_station", file=str(file), options=", ".join(seen.stations))
        model = read(file)
        if model.model != "name":
            raise RequestError("sensing.footprint_model", file=str(file), model=model.model)
        nearest = np.array([model.nearest(lon, lat) for lon, lat in degrees])
        rows = np.flatnonzero(seen.station == seen.stations.index(name))
        hours = seen.starts.astype("datetime64[h]")
        at = {hour: number for number, hour in enumerate(model.times.astype("datetime64[h]"))}
        scale = AIR / model.areas()[nearest]
        for t, hour in enumerate(hours):
            if hour in at:
                found[rows, t] = model.matrix[[at[hour]]].toarray().ravel()[nearest] * scale
