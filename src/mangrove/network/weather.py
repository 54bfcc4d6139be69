# SPDX-License-Identifier: Apache-2.0
"""Weather over a year at one place: irradiance, temperature and wind, and how to read them at any moment.

Comes in: arrays of a measured, typical or generated year (files are read by `weather_files`, generated years made by
`weather_made`). Goes out: the same quantities at the moments that a simulation asks for, in that year or, by season, in
any other. Irradiance between two values follows the clearness of the sky, not a straight line over the sunrise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
Bools = npt.NDArray[np.bool_]

LOWEST_SUN = 0.065
"""Cosine of the zenith angle (86.3 degrees) below which clearness is not derived; pvlib's `clearness_index` has the same limit."""
FULL_YEAR = 8736.0
"""Hours (52 weeks) from which a series counts as a year that may stand for other years."""
_DAY = 86400.0
_FEBRUARY_29 = 59
_QUARTERS = 4
_BASES = ("fact", "derived", "assumed", "generated")


@dataclass(frozen=True, slots=True, eq=False)
class WeatherYear:
    """Weather at equal steps.

    Attributes:
        starts: (T,) datetime64[s], UTC, the beginning of each step.
        hours: length of a step.
        ghi, dni, dhi: (T,) global horizontal, direct normal and diffuse horizontal irradiance, W/m2.
        temperature: (T,) of the air at 2 m, degrees Celsius.
        wind: (T,) speed at `wind_height`, m/s.
        lat, lon: WGS84 degrees.
        source: where the values come from, in words.
        basis: `fact`, `derived`, `assumed` or `generated`.
        instant: whether a value holds at the middle of its step (satellite files); else it is the mean of the step.
        wind_height: m above ground.

    Invariants:
        All series are finite and have the length of `starts`; irradiance and wind are not negative.
    """

    starts: Times
    hours: float
    ghi: Floats
    dni: Floats
    dhi: Floats
    temperature: Floats
    wind: Floats
    lat: float
    lon: float
    source: str
    basis: str = "fact"
    instant: bool = False
    wind_height: float = 10.0

    def __post_init__(self) -> None:
        if self.basis not in _BASES:
            raise RequestError("assets.weather_basis", basis=self.basis, options=", ".join(_BASES))
        if not -90.0 <= self.lat <= 90.0 or not -180.0 <= self.lon <= 180.0:  # noqa: PLR2004 - degrees
            raise RequestError("assets.coordinates", lat=str(self.lat), lon=str(self.lon))
        for name in ("ghi", "dni", "dhi", "temperature", "wind"):
            values = getattr(self, name)
            if np.shape(values) != np.shape(self.starts):
                raise RequestError(
                    "assets.weather_length", name=name, have=np.size(values), want=len(self.starts)
                )
            bad = ~np.isfinite(values) if name == "temperature" else ~(np.isfinite(values) & (values >= 0.0))
            if bad.any():
                first = int(np.argmax(bad))
                raise RequestError(
                    "assets.weather_bad", name=name, time=str(self.starts[first]), value=str(values[first])
                )

    @property
    def middles(self) -> Times:
        """(T,) the middle of each step."""
        return self.starts + np.timedelta64(round(self.hours * 1800), "s")

    @property
    def whole_year(self) -> bool:
        """Whether the series may stand for other years."""
        return len(self.starts) * self.hours >= FULL_YEAR

    def sample(self, moments: Times) -> Moments:
        """The weather at `moments` (M,), UTC.

        Moments outside the series take the weather of the same season, when the series is a year; 29 February repeats the
        28th in a series that has none. Irradiance is clearness x extraterrestrial irradiance, with the clearness index
        and the diffuse share linear in time between the values; temperature and wind are linear.

        Raises:
            RequestError: `assets.weather_not_covered`.
        """
        own = self._seconds(self.middles)
        asked = self._seconds(self._in_year(moments))
        period = len(self.starts) * self.hours * 3600.0 if self.whole_year else None
        sky = self._sky()
        clearness, diffuse = (_interpolate(asked, own[up], share[up], period) for share, up in sky)
        zenith, azimuth, top = sun(moments, self.lat, self.lon)
        up = np.cos(np.radians(zenith))
        ghi = np.where(up > 0.0, clearness * top * up, 0.0)
        dhi = np.minimum(diffuse, 1.0) * ghi
        dni = np.clip((ghi - dhi) / np.maximum(up, LOWEST_SUN), 0.0, top)
        return Moments(
            moments, zenith, azimuth, top, ghi, dni, dhi,
            temperature=_interpolate(asked, own, self.temperature, period),
            wind=_interpolate(asked, own, self.wind, period),
        )  # fmt: skip

    def _sky(self) -> tuple[tuple[Floats, Bools], tuple[Floats, Bools]]:
        """Clearness index and diffuse share of every step, each with where the sun is high enough to derive it."""
        if self.instant:
            zenith, _, top = sun(self.middles, self.lat, self.lon)
            beyond = top * np.maximum(np.cos(np.radians(zenith)), 0.0)
        else:
            zenith, _, top = sun(parts(self.starts, self.hours, _QUARTERS), self.lat, self.lon)
            beyond = (top * np.maximum(np.cos(np.radians(zenith)), 0.0)).reshape(-1, _QUARTERS).mean(axis=1)
        high = beyond > LOWEST_SUN * 1361.0
        if not high.any():
            high = np.ones(len(beyond), dtype=bool)  # a polar night, or a series that has only a night
        clearness = np.clip(self.ghi / np.maximum(beyond, 1.0), 0.0, 1.2)
        lit = high & (self.ghi > 0.0)
        lit = lit if lit.any() else high
        return (clearness, high), (np.clip(self.dhi / np.maximum(self.ghi, 1e-9), 0.0, 1.0), lit)

    def _seconds(self, times: Times) -> Floats:
        return np.asarray((times.astype("datetime64[s]") - self.starts[0]).astype(np.float64))

    def _in_year(self, moments: Times) -> Times:
        """The same moments, or those of the same season inside the series."""
        end = self.starts[-1] + np.timedelta64(round(self.hours * 3600), "s")
        outside = (moments < self.starts[0]) | (moments > end)
        if not outside.any():
            return moments
        if not self.whole_year:
            raise RequestError(
                "assets.weather_not_covered", first=str(moments.min()), last=str(moments.max()),
                start=str(self.starts[0]), end=str(end),
            )  # fmt: skip
        year = self.middles[len(self.starts) // 2].astype("datetime64[Y]")
        first = moments.astype("datetime64[Y]")
        day = (moments.astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64)
        second = (moments - moments.astype("datetime64[D]")).astype("timedelta64[s]")
        own = bool(leap(np.array([year]))[0]) and len(self.starts) * self.hours > 8760.0  # noqa: PLR2004 - hours of 365 days
        late = day >= _FEBRUARY_29
        day += np.where(leap(first), 0 if own else -1, 1 if own else 0) * late
        moved: Times = year.astype("datetime64[s]") + day.astype("timedelta64[D]") + second
        return np.where(outside, moved, moments)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The sun and the weather at M moments.

    Attributes:
        times: (M,) UTC.
        zenith, azimuth: (M,) of the sun, degrees; azimuth from north, clockwise.
        top: (M,) extraterrestrial irradiance on a plane that faces the sun, W/m2.
        ghi, dni, dhi, temperature, wind: (M,) as in `WeatherYear`.
    """

    times: Times
    zenith: Floats
    azimuth: Floats
    top: Floats
    ghi: Floats
    dni: Floats
    dhi: Floats
    temperature: Floats
    wind: Floats


def sun(times: Times, lat: float, lon: float) -> tuple[Floats, Floats, Floats]:
    """The sun's true zenith and azimuth (degrees), and the extraterrestrial irradiance (W/m2), each (M,).

    Position by NREL's algorithm (Reda and Andreas, NREL/TP-560-34302), distance by Spencer (1971), both through pvlib.
    """
    import pandas as pd
    from pvlib import irradiance, solarposition

    index = pd.DatetimeIndex(times).tz_localize("UTC")
    place = solarposition.get_solarposition(index, lat, lon)
    top = irradiance.get_extra_radiation(index.day_of_year.to_numpy().astype(np.float64), method="spencer")
    return place["zenith"].to_numpy(), place["azimuth"].to_numpy(), np.asarray(top, dtype=np.float64)


def day_of_year(times: Times) -> Floats:
    """(M,) number of the day, 1 on 1 January.

    Example:
        >>> day_of_year(np.array(["2024-03-01T12:00"], dtype="datetime64[s]")).tolist()
        [61.0]
    """
    days = times.astype("datetime64[D]") - times.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray(days.astype(np.float64) + 1.0)


def parts(starts: Times, hours: npt.ArrayLike, count: int) -> Times:
    """The middles of `count` equal parts of every step, in order, shape (T x count,)."""
    length = np.broadcast_to(np.asarray(hours, dtype=np.float64), np.shape(starts)) * 3600.0
    offsets = np.round(length[:, None] * (np.arange(count) + 0.5) / count).astype("timedelta64[s]")
    moments: Times = (starts.astype("datetime64[s]")[:, None] + offsets).ravel()
    return moments


def leap(years: Times) -> Bools:
    """Whether each year (datetime64[Y]) has a 29 February.

    Example:
        >>> leap(np.array(["2023", "2024", "1900"], dtype="datetime64[Y]")).tolist()
        [False, True, False]
    """
    number = years.astype("datetime64[Y]").astype(np.int64) + 1970
    return np.asarray((number % 4 == 0) & ((number % 100 != 0) | (number % 400 == 0)))


def _interpolate(asked: Floats, own: Floats, values: Floats, period: float | None) -> Floats:
    """Linear in time; a year closes on itself."""
    return np.asarray(np.interp(asked, own, values, period=period))
