# SPDX-License-Identifier: Apache-2.0
"""The air-quality index of Việt Nam, and the limits that concentrations are held against.

Comes in: concentrations by pollutant (ug/m3), hour by hour. Goes out: VN_AQI by the hour (NowCast for particles) and by the day, its
level with the advice of the decision, and the limits of QCVN 05:2023/BTNMT and the guidelines of WHO 2021 beside it. The numbers
stand in `rules/data/aqi_breakpoints.csv`, `aqi_levels.csv` and `air_limits.csv`, each with its document.

    AQI_x = (I_{i+1} - I_i) / (BP_{i+1} - BP_i) (C_x - BP_i) + I_i,    AQI = max_x AQI_x

Decision 1459/QD-TCMT (2019), section 2.2. An index without PM2.5 or PM10 is no VN_AQI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import numpy.typing as npt

from mangrove.errors import RuleError
from mangrove.rules import tables
from mangrove.units import Unit

Floats = npt.NDArray[np.float64]

PARTICLES = ("pm25", "pm10")
GASES = ("o3", "co", "so2", "no2")
NOWCAST_HOURS = 12
"""Hours that a NowCast looks back over (section 1.3.5)."""
_NEWEST, _NEEDED = 3, 2
"""Two of the newest three hours must have a value (section 2.2.1 a)."""
_LEAST_WEIGHT = 0.5
DAY_HOURS, OZONE_HOURS = 24, 8
COMPLETE = 0.75
"""Share of the hours of a day or of eight hours that must have a value. A convention of this package (it is that of 40 CFR 50,
Appendix N); the decision names none."""
_OZONE_LIMIT = 400.0
"""ug/m3: above it the eight-hour index of ozone is not defined (section 2.2.2 b)."""
_MOLAR = {"co": 28.010, "no2": 46.006, "o3": 47.998, "so2": 64.066, "co2": 44.010, "ch4": 16.043}
"""g/mol, from the standard atomic weights of IUPAC (abridged, 2021)."""
_MOLAR_VOLUME = 24.465
"""L/mol of an ideal gas at 25 degC and 760 mmHg, the state of QCVN 05:2023/BTNMT, 1.3.10: 8.314463 x 298.15 / 101.325."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index of one hour or one day.

    Attributes:
        value: whole number from 0 to 500; None when no particles were measured, or too little of them.
        pollutant: the one whose index is the highest; by_pollutant: all of them.
    """

    value: int | None
    pollutant: str
    by_pollutant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Level:
    """A band of the index, with its words in both languages and its color (R, G, B)."""

    key: str
    low: int
    high: int
    name: Mapping[str, str]
    advice: Mapping[str, str]
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit on the mean of a concentration over `averaging` ("1h", "8h", "24h", "1y"), in ug/m3."""

    document: str
    pollutant: str
    averaging: str
    value: float
    status: str
    source: str


def hourly(series: Mapping[str, Floats]) -> Index:
    """VN_AQI of the last hour.

    Args:
        series: by pollutant, hourly means in ug/m3, oldest first, shape (n,), NaN where there is none; the last entry is the hour.

    Example:
        >>> hourly({"pm25": np.full(12, 25.0), "no2": np.array([150.0])}).value
        75
    """
    found: dict[str, float] = {}
    for name in PARTICLES:
        if name in series:
            found[name] = float(sub_index(name, nowcast(series[name]), DAY_HOURS))
    for name in GASES:
        if name in series and len(series[name]):
            found[name] = float(sub_index(name, float(series[name][-1]), 1))
    return _highest(found)


def daily(series: Mapping[str, Floats]) -> Index:
    """VN_AQI of one day (01:00 to 00:00 of the next day, as the decision counts).

    Args:
        series: by pollutant, the hourly means of the day in ug/m3, oldest first, shape (24,), NaN where there is none; for ozone the
            seven hours before may stand in front, shape (31,), so that every eight-hour mean that ends on the day is there.

    Example:
        >>> daily({"pm25": np.full(24, 55.7)}).value
        110
    """
    found: dict[str, float] = {}
    for name, values in series.items():
        day = values[-DAY_HOURS:]
        if name in PARTICLES:
            found[name] = float(sub_index(name, _mean(day), DAY_HOURS))
        elif name in GASES and np.isfinite(day).mean() >= COMPLETE:
            found[name] = float(sub_index(name, float(np.nanmax(day)), 1))
    if "o3" in found:
        highest = _highest_mean(series["o3"], OZONE_HOURS)
        if highest <= _OZONE_LIMIT:
            found["o3"] = max(found["o3"], float(sub_index("o3", highest, OZONE_HOURS)))
    return _highest(found)


def nowcast(values: Floats) -> float:
    """The NowCast of particles from the last twelve hourly means, oldest first; NaN without two of the newest three.

    With c_1 the newest, w = max(C_min / C_max, 1/2) and the weights w^(i-1): `sum w^(i-1) c_i / sum w^(i-1)`. For w = 1/2 the decision
    writes `sum (1/2)^i c_i`, which is the same within 1/4096 when all twelve values are there; where some are missing only the
    quotient is a mean, so it is used always.

    Example:
        >>> nowcast(np.full(12, 30.0))
        30.0
    """
    newest_first = np.asarray(values, float)[::-1][:NOWCAST_HOURS]
    have = np.isfinite(newest_first)
    if have[:_NEWEST].sum() < _NEEDED:
        return float("nan")
    known = newest_first[have]
    top = float(known.max())
    weight = max(float(known.min()) / top, _LEAST_WEIGHT) if top > 0 else 1.0
    weights = weight ** np.flatnonzero(have)
    return float(weights @ known / weights.sum())


def sub_index(pollutant: str, concentration: float | Floats, hours: int) -> Floats:
    """The index of one pollutant, not rounded, same shape as `concentration` (ug/m3, mean over `hours`); 500 beyond the table.

    Raises:
        RuleError: `rules.no_breakpoints`, the index has no such pollutant and averaging time.

    Example:
        >>> float(sub_index("o3", 136.1, 1).round())
        43.0
    """
    known = _breakpoints().get((pollutant, hours))
    if known is None:
        options = ", ".join(f"{name} {span}h" for name, span in _breakpoints())
        raise RuleError("rules.no_breakpoints", pollutant=pollutant, hours=hours, options=options)
    value = np.asarray(concentration, float)
    found = np.interp(value, *known)
    return np.where(value >= 0, found, np.nan)


def level_of(index: int) -> Level:
    """The band that an index lies in.

    Example:
        >>> level_of(110).key
        'poor'
    """
    return next(level for level in levels() if index <= level.high)


@cache
def levels() -> tuple[Level, ...]:
    """The bands of VN_AQI, best first."""
    return tuple(
        Level(
            row["key"], int(row["low"]), int(row["high"]),
            {"en": row["name_en"], "vi": row["name_vi"]}, {"en": row["advice_en"], "vi": row["advice_vi"]},
            tuple(int(part) for part in row["rgb"].split(";")),  # type: ignore[arg-type]
        )
        for row in tables.rows("aqi_levels")
    )  # fmt: skip


def limits(on: date, document: str = "") -> tuple[Limit, ...]:
    """The limits in force on a day, of one document (`QCVN05`, `WHO2021`) or of both.

    Example:
        >>> [limit.value for limit in limits(date(2026, 6, 1), "QCVN05") if (limit.pollutant, limit.averaging) == ("pm25", "24h")]
        [45.0]
    """
    found = []
    for row in tables.rows("air_limits"):
        first, last = tables.day(row["valid_from"]), tables.day(row["valid_to"])
        if (
            (first is None or first <= on)
            and (last is None or on < last)
            and document in ("", row["document"])
        ):
            found.append(
                Limit(
                    row["document"], row["pollutant"], row["averaging"], float(row["limit"]), row["status"], row["source"]
                )
            )  # fmt: skip
    return tuple(found)


def micrograms(values: Floats, measured: Unit, pollutant: str) -> Floats:
    """Concentrations in ug/m3 at 25 degC and 760 mmHg from those in a mass per volume or a share (ppm, ppb) of the volume.

    Raises:
        RuleError: `rules.no_concentration`, the unit is neither, or the gas has no molar mass here.

    Example:
        >>> from mangrove.units import unit
        >>> float(micrograms(np.array([1.0]), unit("ppm"), "co").round(1)[0])
        1144.9
    """
    for written in ("ug/m3", "ug/Nm3"):
        if measured.converts_to(written):
            return values * measured.to(written)
    if measured.converts_to("ppm") and pollutant in _MOLAR:
        return values * measured.to("ppm") * _MOLAR[pollutant] / _MOLAR_VOLUME * 1000
    raise RuleError("rules.no_concentration", unit=str(measured), pollutant=pollutant)


@cache
def _breakpoints() -> dict[tuple[str, int], tuple[Floats, Floats]]:
    """Concentrations (ug/m3) and indices by pollutant and hours of the mean."""
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in tables.rows("aqi_breakpoints"):
        key = row["pollutant"], int(row["hours"])
        found.setdefault(key, []).append((float(row["concentration"]), float(row["index"])))
    return {
        key: (np.array([c for c, _ in rows]), np.array([i for _, i in rows])) for key, rows in found.items()
    }


def _highest(found: Mapping[str, float]) -> Index:
    """The highest index of all; indices are rounded to whole numbers, halves up."""
    known = {name: int(np.floor(value + 0.5)) for name, value in found.items() if np.isfinite(value)}
    if not set(PARTICLES) & set(known):
        return Index(None, "", known)
    worst = max(known, key=known.__getitem__)
    return Index(known[worst], worst, known)


def _mean(values: Floats) -> float:
    have = np.isfinite(values)
    return float(values[have].mean()) if len(values) and have.mean() >= COMPLETE else float("nan")


def _highest_mean(values: Floats, hours: int) -> float:
    """The highest mean over `hours` in a row that has enough values; NaN when there is none."""
    if len(values) < hours:
        return float("nan")
    windows = np.lib.stride_tricks.sliding_window_view(values, hours)
    enough = windows[np.isfinite(windows).mean(axis=1) >= COMPLETE]
    return float(np.nanmean(enough, axis=1).max()) if len(enough) else float("nan")
