# SPDX-License-Identifier: Apache-2.0
"""Alarm levels of rivers and tides, and classes of rain and heat: dated tables, crossings with hysteresis, the heat index.

Comes in: the name of a gauging station, levels or amounts as arrays. Goes out: the three alarm levels (báo động 1 to 3) of the
station, which level a series has reached and since when, the classes of rain, heat and heat index. The numbers stand in
`rules/data/flood_levels.csv` and `hazard_classes.csv`, each with its document, status and how it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from mangrove.rules import tables
from mangrove.text import fold

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HYSTERESIS = 0.05
"""m that water must fall below an alarm level before the level counts as left. An assumption: gauges are read to 0.01 m and waves of
boats and gusts move them by a few; `hysteresis=` on the flow sets another."""


@dataclass(frozen=True, slots=True)
class AlarmLevels:
    """The levels of one station in m above its datum, lowest first; None where a source was not found."""

    station: str
    river: str
    levels: tuple[float | None, ...]
    status: str
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class HazardClass:
    """A class of rain, heat or heat index: amounts `above` a threshold over `hours`."""

    kind: str
    hours: int
    level: int
    above: float
    unit: str
    name: dict[str, str]
    status: str
    source: str


def alarm_levels(station: str, on: date) -> AlarmLevels | None:
    """The alarm levels of a station in force on a day; None for a station that the table does not hold.

    Example:
        >>> alarm_levels("phu an", date(2026, 1, 1)).levels
        (1.4, 1.5, 1.6)
    """
    for row in tables.rows("flood_levels"):
        if fold(row["station"]) == fold(station) and _holds(row, on):
            levels = tuple(tables.number(row[f"level{n}"]) for n in (1, 2, 3))
            return AlarmLevels(
                row["station"], row["river"], levels, row["status"], row["source"], row["note"]
            )
    return None


def stations() -> tuple[str, ...]:
    """The names of all stations with levels."""
    return tuple(row["station"] for row in tables.rows("flood_levels"))


def classes(kind: str, on: date) -> tuple[HazardClass, ...]:
    """The classes of `rain`, `heat` or `heat_index` in force on a day, lowest first.

    Example:
        >>> [one.above for one in classes("heat", date(2026, 6, 1))]
        [35.0, 37.0, 39.0]
    """
    found = [
        HazardClass(
            row["kind"], int(row["hours"]), int(row["level"]), float(row["above"]), row["unit"],
            {"en": row["name_en"], "vi": row["name_vi"]}, row["status"], row["source"],
        )
        for row in tables.rows("hazard_classes") if row["kind"] == kind and _holds(row, on)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.level, one.hours)))


def reached(values: Floats, thresholds: tuple[float | None, ...], hysteresis: float = HYSTERESIS) -> Ints:
    """The level that a series has reached at each row, shape (n,): 0 below all of them.

    A level is entered at `value >= threshold` and left at `value < threshold - hysteresis`; in between, and where a value is missing,
    the state before holds.

    Example:
        >>> reached(np.array([1.3, 1.41, 1.38, 1.34, 1.62]), (1.4, 1.5, 1.6)).tolist()
        [0, 1, 1, 0, 3]
    """
    found = np.zeros(len(values), np.int64)
    for level, threshold in enumerate(thresholds, start=1):
        if threshold is not None:
            found[_inside(values, threshold, hysteresis)] = level
    return found


def _inside(values: Floats, threshold: float, hysteresis: float) -> npt.NDArray[np.bool_]:
    """Whether each row is inside a level: the last entering or leaving up to it was an entering."""
    event = np.where(values >= threshold, 1, np.where(values < threshold - hysteresis, -1, 0))
    last = np.maximum.accumulate(np.where(event != 0, np.arange(len(values)), -1))
    return np.asarray((last >= 0) & (event[np.maximum(last, 0)] == 1))


def heat_index(temperature: Floats, humidity: Floats) -> Floats:
    """The heat index in degrees Fahrenheit: what shaded air feels like to someone who walks in it.

    The regression of Rothfusz (1990) with its adjustments, and Steadman's simple formula where the index stays below 80 degF, as the
    US National Weather Service computes it (wpc.ncep.noaa.gov/html/heatindex_equation.shtml).

    Args:
        temperature: degC, shape (n,).
        humidity: relative, %, shape (n,).

    Example:
        >>> float(heat_index(np.array([32.2222]), np.array([60.0])).round(1)[0])
        99.7
    """
    t, rh = np.asarray(temperature, float) * 9 / 5 + 32, np.asarray(humidity, float)
    simple = (0.5 * (t + 61.0 + (t - 68.0) * 1.2 + rh * 0.094) + t) / 2
    full = (
        -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 0.00683783 * t * t
        - 0.05481717 * rh * rh + 0.00122874 * t * t * rh + 0.00085282 * t * rh * rh - 0.00000199 * t * t * rh * rh
    )  # fmt: skip
    dry = (13 - rh) / 4 * np.sqrt(np.clip((17 - np.abs(t - 95)) / 17, 0, None))
    full = full - np.where((rh < 13) & (t >= 80) & (t <= 112), dry, 0.0)  # noqa: PLR2004 - the formula's own bounds
    wet = (rh - 85) / 10 * (87 - t) / 5
    full = full + np.where((rh > 85) & (t >= 80) & (t <= 87), wet, 0.0)  # noqa: PLR2004 - the formula's own bounds
    return np.where(simple < 80, simple, full)  # noqa: PLR2004 - the formula's own bounds


def _holds(row: dict[str, str], on: date) -> bool:
    first, last = tables.day(row["valid_from"]), tables.day(row["valid_to"])
    return (first is None or first <= on) and (last is None or on < last)
