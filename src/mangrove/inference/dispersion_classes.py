# SPDX-License-Identifier: Apache-2.0
"""How much the air mixes: Pasquill's stability classes from the wind, the sun and the hour.

Comes in: wind speed with measured irradiance, or with the sun's height for a place and an hour. Goes out: classes 0 (A, most unstable) to
5 (F), as `plume.Winds` takes them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]

_WINDS = (2.0, 3.0, 5.0, 6.0)
_SUN = (175.0, 675.0, 925.0)
_DAY = np.array([[3, 1, 0, 0], [3, 2, 1, 0], [3, 2, 1, 1], [3, 3, 2, 2], [3, 3, 3, 2]])
"""Wind below 2, 3, 5, 6 m/s and above, by irradiance below 175, 675, 925 W/m2 and above: table 6-7 of EPA-454/R-99-005 (2000)."""
_NIGHT_WINDS = (2.0, 2.5)
_CLEAR, _CLOUDY = np.array([5, 4, 3]), np.array([4, 3, 3])
"""Night: F, E, D when air is warmer above than below (clear), E, D, D otherwise; the same table."""


def classes(speed: npt.ArrayLike, irradiance: npt.ArrayLike, *, clear_nights: bool = True) -> Ints:
    """Classes from wind speed (m/s) and global irradiance (W/m2), by the solar radiation / delta-T method.

    Args:
        speed: at about 10 m.
        irradiance: 0 at night.
        clear_nights: without a measured temperature gradient the sky decides: clear nights are inversions.

    Example:
        >>> classes([1.0, 4.0, 7.0, 1.0], [950.0, 500.0, 800.0, 0.0]).tolist()
        [0, 2, 3, 5]
    """
    fast, sun = np.broadcast_arrays(np.asarray(speed, dtype=float), np.asarray(irradiance, dtype=float))
    day = _DAY[np.searchsorted(_WINDS, fast, side="right"), np.searchsorted(_SUN, sun, side="right")]
    night = (_CLEAR if clear_nights else _CLOUDY)[np.searchsorted(_NIGHT_WINDS, fast, side="right")]
    return np.where(sun > 0, day, night).astype(np.int64)


def by_hour(
    speed: npt.ArrayLike, starts: Times, lon: float, lat: float, *, clear_nights: bool = True
) -> Ints:
    """Classes when no irradiance is measured: that of a clear sky stands for it.

    The clear sky is Haurwitz's (1945, J. Meteorol. 2:154): 1098 cos(Z) exp(-0.059 / cos(Z)) W/m2. Under clouds days are then called
    more unstable than they are.

    Args:
        speed: m/s.
        starts: UTC.
        lon: degrees.
        lat: degrees.
        clear_nights: as for `classes`.
    """
    up = np.maximum(sine_of_elevation(starts, lon, lat), 0.0)
    sun = np.where(up > 0, 1098.0 * up * np.exp(-0.059 / np.maximum(up, 1e-3)), 0.0)
    return classes(speed, sun, clear_nights=clear_nights)


def sine_of_elevation(starts: Times, lon: float, lat: float) -> Floats:
    """Sine of the sun's height at UTC times, by Spencer's declination and equation of time (1971, Search 2:172), to about 0.3 degrees.

    Example:
        >>> noon = np.array(["2024-03-20T12:07"], dtype="datetime64[m]")
        >>> bool(sine_of_elevation(noon, 0.0, 0.0)[0] > 0.9999)
        True
    """
    seconds = starts.astype("datetime64[s]")
    year = seconds.astype("datetime64[Y]").astype("datetime64[s]")
    day = (seconds - year).astype(np.int64) / 86400
    g = 2 * np.pi * day / 365.25
    tilt = (
        0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g) + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g) + 0.00148 * np.sin(3 * g)
    )  # fmt: skip
    minutes = 229.18 * (
        0.000075
        + 0.001868 * np.cos(g)
        - 0.032077 * np.sin(g)
        - 0.014615 * np.cos(2 * g)
        - 0.04089 * np.sin(2 * g)
    )
    angle = 2 * np.pi * ((day % 1) - 0.5 + lon / 360 + minutes / 1440)
    up = np.sin(np.radians(lat)) * np.sin(tilt) + np.cos(np.radians(lat)) * np.cos(tilt) * np.cos(angle)
    return np.asarray(up, dtype=np.float64)
