# SPDX-License-Identifier: Apache-2.0
"""Weather files as `WeatherYear`: EPW, NSRDB, PVGIS typical years, and any CSV whose columns are named.

Comes in: a path. Goes out: a year in UTC, or an error with file, line and column. The stamps of these formats mean
different things: EPW stamps the end of an hour, NSRDB and PVGIS the moment of a satellite image; each reader says which,
and moves the steps so that they start where their values begin to hold. Nothing is filled in silently.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, SourceError, Where, did_you_mean
from mangrove.network.weather import FULL_YEAR, Floats, Times, WeatherYear, day_of_year, leap, sun

QUANTITIES = ("ghi", "dni", "dhi", "temperature", "wind")
_LIMITS = {
    "ghi": (0.0, 1600.0), "dni": (0.0, 1400.0), "dhi": (0.0, 1000.0), "temperature": (-90.0, 60.0), "wind": (0.0, 110.0),
}  # fmt: skip
"""Readings outside are no weather: irradiance up to the solar constant with cloud enhancement, world records of the rest (WMO archive)."""
_STAMPS = {"start": 0.0, "middle": 0.5, "end": 1.0}
_HOUR, _DAY = 3600, 86400


@dataclass(frozen=True)
class Table:
    """What a reader found: local stamps and values, with the line of each row and the column of each quantity."""

    path: Path
    stamps: Times
    values: Mapping[str, Floats]
    lines: npt.NDArray[np.int64]
    columns: Mapping[str, int]


def read(path: Path) -> WeatherYear:
    """A weather file in EPW, NSRDB or PVGIS format, told apart by their first lines.

    Raises:
        SourceError: `assets.weather_format` and the errors of the readers.
    """
    first = _rows(path, limit=3)
    if not first:
        raise SourceError("assets.weather_empty", where=Where(path.name))
    if first[0][0].strip() == "LOCATION":
        return read_epw(path)
    if first[0][0].strip() == "Source":
        return read_nsrdb(path)
    if first[0][0].lower().startswith("latitude"):
        return read_pvgis(path)
    raise SourceError("assets.weather_format", where=Where(path.name, 1), formats="EPW, NSRDB, PVGIS")


def read_epw(path: Path) -> WeatherYear:
    """EnergyPlus weather: stamps are the end of an hour (1 to 24) in local standard time; values are means of that hour.

    Columns and missing codes: EnergyPlus Auxiliary Programs, "EPW data dictionary" (irradiance 9999, temperature 99.9, wind 999).
    """
    rows = _rows(path)
    if len(rows) < 10 or len(rows[0]) < 9:  # noqa: PLR2004 - header of 8 lines, location of 10 fields
        raise SourceError("assets.weather_format", where=Where(path.name, 1), formats="EPW")
    lat, lon, zone = (_float(path, 1, at + 1, rows[0][at]) for at in (6, 7, 8))
    data = rows[8:]
    lines = 9 + np.arange(len(data))
    head = np.array(
        [[_float(path, int(n), i + 1, row[i]) for i in range(4)] for n, row in zip(lines, data, strict=True)]
    )
    columns = {"temperature": 6, "ghi": 13, "dni": 14, "dhi": 15, "wind": 21}
    missing = {"temperature": 99.9, "ghi": 9999.0, "dni": 9999.0, "dhi": 9999.0, "wind": 999.0}
    values = {name: _column(path, data, lines, at, missing[name]) for name, at in columns.items()}
    stamps = _stamps(head[:, 0], head[:, 1], head[:, 2]) + (head[:, 3] * _HOUR).astype("timedelta64[s]")
    table = Table(path, stamps, values, lines, {name: at + 1 for name, at in columns.items()})
    title = f"EPW {path.name}: {rows[0][1].strip()}, {rows[0][3].strip()}"
    return _assemble(table, "end", zone, lat=lat, lon=lon, source=title, instant=False)


def read_nsrdb(path: Path) -> WeatherYear:
    """A CSV of the National Solar Radiation Database (NREL): stamps in its declared zone, values of that moment.

    The solar zenith column of these files is that of the stamp itself, so the value stands in the middle of its step.
    Wind is at 10 m (NSRDB data dictionary).
    """
    rows = _rows(path)
    if len(rows) < 4 or "Latitude" not in rows[0]:  # noqa: PLR2004 - two lines of header, names, one row
        raise SourceError("assets.weather_format", where=Where(path.name, 1), formats="NSRDB")
    about = dict(zip(rows[0], rows[1], strict=False))
    names = [name.strip() for name in rows[2]]
    wanted = {"ghi": "GHI", "dni": "DNI", "dhi": "DHI", "temperature": "Temperature", "wind": "Wind Speed"}
    columns = {key: _position(path, 3, names, word) for key, word in wanted.items()}
    data = [row for row in rows[3:] if row and row[0].strip()]
    lines = np.arange(4, 4 + len(data))
    values = {key: _column(path, data, lines, at) for key, at in columns.items()}
    parts = [
        _column(path, data, lines, _position(path, 3, names, w))
        for w in ("Year", "Month", "Day", "Hour", "Minute")
    ]
    seconds = parts[3] * _HOUR + parts[4] * 60
    stamps = _stamps(*parts[:3]) + seconds.astype("timedelta64[s]")
    lat, lon, zone = (
        _float(path, 2, 0, about.get(word, "")) for word in ("Latitude", "Longitude", "Time Zone")
    )
    table = Table(path, stamps, values, lines, {key: at + 1 for key, at in columns.items()})
    title = f"NSRDB {path.name}, location {about.get('Location ID', '')}"
    return _assemble(table, "middle", zone, lat=lat, lon=lon, source=title, instant=True)


def read_pvgis(path: Path) -> WeatherYear:
    """A typical year of PVGIS (Joint Research Centre): stamps `yyyymmdd:hhmm` in UTC, values of that moment.

    The header may give an offset of the satellite image in hours ("Irradiance Time Offset"), which is added to the stamps.
    """
    rows = _rows(path)
    about = {
        parts[0].strip().lower(): parts[1].strip()
        for row in rows[:40]
        if len(parts := ",".join(row).split(":", 1)) == 2  # noqa: PLR2004 - name: value
    }
    at = next((i for i, row in enumerate(rows) if row and row[0].strip().startswith("time")), None)
    if at is None:
        raise SourceError("assets.weather_format", where=Where(path.name, 1), formats="PVGIS")
    names = [name.strip() for name in rows[at]]
    wanted = {"ghi": "G(h)", "dni": "Gb(n)", "dhi": "Gd(h)", "temperature": "T2m", "wind": "WS10m"}
    columns = {key: _position(path, at + 1, names, word) for key, word in wanted.items()}
    data, lines = [], []
    for number, row in enumerate(rows[at + 1 :], at + 2):
        if not row or len(row[0].strip()) != len("yyyymmdd:hhmm"):
            break  # the legend below the table
        data.append(row)
        lines.append(number)
    where = np.array(lines, dtype=np.int64)
    values = {key: _column(path, data, where, column) for key, column in columns.items()}
    stamps = np.array(
        [_compact(path, n, row[0].strip()) for n, row in zip(lines, data, strict=True)], "datetime64[s]"
    )
    offset = next((value for name, value in about.items() if name.startswith("irradiance time offset")), "0")
    stamps += np.timedelta64(round(_float(path, 0, 0, offset) * _HOUR), "s")
    lat, lon = (
        _float(path, 1, 0, next((v for name, v in about.items() if name.startswith(word)), ""))
        for word in ("latitude", "longitude")
    )
    table = Table(path, stamps, values, where, {key: column + 1 for key, column in columns.items()})
    return _assemble(table, "middle", 0.0, lat=lat, lon=lon, source=f"PVGIS {path.name}", instant=True)


def read_csv(
    path: Path, columns: Mapping[str, str], *, time: str, zone: float, stamp: str, lat: float, lon: float,
    source: str, basis: str = "fact",
) -> WeatherYear:  # fmt: skip
    """A table with a line of names.

    Args:
        path: the file.
        columns: quantity -> name of its column; `ghi`, `temperature` and `wind` must be there. Without `dni` and `dhi` the
            irradiance is split by Erbs, Klein and Duffie (Solar Energy 28, 1982, 293), and the basis is `derived`.
        time: name of the column of stamps, ISO 8601 without a zone.
        zone: hours ahead of UTC of the stamps.
        stamp: what a stamp marks: `start`, `middle` or `end` of the interval.
        lat: WGS84 degrees.
        lon: WGS84 degrees.
        source: where the values come from, in words.
        basis: of the values.

    Raises:
        SourceError: with file, line and column. RequestError: an unknown quantity or stamp.
    """
    for key in columns:
        if key not in QUANTITIES:
            hint = did_you_mean(key, QUANTITIES)
            raise RequestError("assets.weather_quantity", name=key, options=", ".join(QUANTITIES), hint=hint)
    if stamp not in _STAMPS:
        raise RequestError("assets.weather_stamp", stamp=stamp, options=", ".join(_STAMPS))
    rows = _rows(path)
    if len(rows) < 3:  # noqa: PLR2004 - names and two steps
        raise SourceError("assets.weather_empty", where=Where(path.name))
    names = [name.strip() for name in rows[0]]
    for needed in ("ghi", "temperature", "wind"):
        if needed not in columns:
            raise RequestError("assets.weather_needs", name=needed)
    at = {key: _position(path, 1, names, word) for key, word in columns.items()}
    lines = np.arange(2, 1 + len(rows))
    values = {key: _column(path, rows[1:], lines, column) for key, column in at.items()}
    clock = _position(path, 1, names, time)
    stamps = np.array(
        [_iso(path, int(n), clock + 1, row[clock]) for n, row in zip(lines, rows[1:], strict=True)]
    )
    table = Table(path, stamps.astype("datetime64[s]"), values, lines, {key: n + 1 for key, n in at.items()})
    return _assemble(table, stamp, zone, lat=lat, lon=lon, source=source, instant=False, basis=basis)


def _assemble(
    table: Table,
    stamp: str,
    zone: float,
    *,
    lat: float,
    lon: float,
    source: str,
    instant: bool,
    basis: str = "fact",
) -> WeatherYear:
    """Checks steps, gaps and values; moves stamps to the start of their steps in UTC."""
    if len(table.stamps) < 2:  # noqa: PLR2004 - a step needs two stamps
        raise SourceError("assets.weather_empty", where=Where(table.path.name))
    stamps = _one_year(table.stamps)
    steps = np.diff(stamps).astype(np.int64)
    length = int(np.median(steps))
    odd = np.flatnonzero(steps != length)
    if len(odd):
        at = int(odd[0])
        raise SourceError(
            "assets.weather_gap", where=Where(table.path.name, int(table.lines[at + 1])), before=str(stamps[at]),
            after=str(stamps[at + 1]), step=f"{length // 60} min",
        )  # fmt: skip
    _complete(table)
    starts = stamps - np.timedelta64(round(_STAMPS[stamp] * length + zone * _HOUR), "s")
    values = dict(table.values)
    if "dni" not in values or "dhi" not in values:
        values["dni"], values["dhi"] = erbs(values["ghi"], starts, length / _HOUR, lat, lon)
        basis = "derived" if basis == "fact" else basis
    return WeatherYear(
        starts,
        length / _HOUR,
        ghi=values["ghi"],
        dni=values["dni"],
        dhi=values["dhi"],
        temperature=values["temperature"],
        wind=values["wind"],
        lat=lat,
        lon=lon,
        source=source,
        basis=basis,
        instant=instant,
    )


def erbs(ghi: Floats, starts: Times, hours: float, lat: float, lon: float) -> tuple[Floats, Floats]:
    """Direct normal and diffuse horizontal irradiance (W/m2) from the global one by the correlation of Erbs et al. (1982)."""
    from pvlib import irradiance

    middles = starts + np.timedelta64(round(hours * 1800), "s")
    zenith, _, _ = sun(middles, lat, lon)
    split = irradiance.erbs(ghi, zenith, day_of_year(middles))
    return np.maximum(np.asarray(split["dni"]), 0.0), np.maximum(np.asarray(split["dhi"]), 0.0)


def _one_year(stamps: Times) -> Times:
    """Stamps of a typical year, whose months come from several years, or that lacks 29 February, in one common year."""
    years = stamps.astype("datetime64[Y]")
    step = np.median(np.diff(stamps).astype(np.int64))
    backwards = (np.diff(stamps).astype(np.int64) < 0).any()
    jump = np.flatnonzero(np.diff(stamps).astype(np.int64) == _DAY + step)
    no_leap_day = len(jump) == 1 and str(stamps[jump[0] + 1].astype("datetime64[D]"))[5:] == "03-01"
    jumps_a_year = (np.abs(np.diff(stamps).astype(np.int64)) > FULL_YEAR * _HOUR / 2).any()
    if not (backwards or no_leap_day or jumps_a_year):
        return stamps
    whole = len(stamps) * step > 365 * _DAY
    first = years[0]
    while bool(leap(np.array([first]))[0]) != whole:
        first = first - 1
    moved = first + (stamps.astype("datetime64[M]") - years.astype("datetime64[M]"))
    inside: Times = moved.astype("datetime64[s]") + (stamps - stamps.astype("datetime64[M]"))
    wrap = np.r_[False, np.cumsum(np.diff(inside).astype(np.int64) < 0) > 0]
    year = (first + 1).astype("datetime64[s]") - first.astype("datetime64[s]")
    return np.where(wrap, inside + year, inside)  # the end of the last hour of December


def _complete(table: Table) -> None:
    """Raises on the first missing or impossible value of a quantity, and says how many there are."""
    for name, values in table.values.items():
        low, high = _LIMITS[name]
        missing = np.isnan(values)
        bad = missing | (values < low) | (values > high)
        if not bad.any():
            continue
        at = int(np.argmax(bad))
        where = Where(table.path.name, int(table.lines[at]), table.columns[name])
        if missing[at]:
            raise SourceError("assets.weather_missing", where=where, name=name, count=int(missing.sum()))
        raise SourceError(
            "assets.weather_value",
            where=where,
            name=name,
            value=f"{values[at]:g}",
            minimum=f"{low:g}",
            maximum=f"{high:g}",
        )


def _rows(path: Path, limit: int | None = None) -> list[list[str]]:
    """The cells of a file, in UTF-8 or, where that fails, Latin-1 (old NSRDB downloads)."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SourceError("assets.weather_unreadable", where=Where(str(path)), reason=str(error)) from error
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        content = raw.decode("latin-1")
    lines = content.splitlines()
    return list(csv.reader(lines[:limit] if limit else lines))


def _position(path: Path, line: int, names: Sequence[str], word: str) -> int:
    """The index of a column by its name."""
    if word not in names:
        hint = did_you_mean(word, names)
        raise SourceError("assets.weather_column", where=Where(path.name, line), name=word, hint=hint)
    return names.index(word)


def _column(
    path: Path,
    rows: Sequence[Sequence[str]],
    lines: npt.NDArray[np.int64],
    at: int,
    missing: float | None = None,
) -> Floats:
    """One column as numbers; empty cells and the missing code become NaN, which `_complete` reports."""
    words = [row[at].strip() if at < len(row) else "" for row in rows]
    try:
        values = np.array([word or "nan" for word in words], dtype=np.float64)
    except ValueError:
        for line, word in zip(lines, words, strict=True):
            if word:
                _float(path, int(line), at + 1, word)
        raise
    return np.where(values == missing, np.nan, values) if missing is not None else values


def _float(path: Path, line: int, column: int, word: str) -> float:
    """A number, or an error that says where it should have stood."""
    try:
        return float(word)
    except ValueError:
        raise SourceError(
            "assets.weather_number", where=Where(path.name, int(line), column), text=word
        ) from None


def _stamps(year: Floats, month: Floats, day: Floats) -> Times:
    """Local midnight of each date, (n,) datetime64[s]."""
    months = (year.astype(np.int64) - 1970) * 12 + month.astype(np.int64) - 1
    return (months.astype("datetime64[M]").astype("datetime64[D]") + (day.astype(np.int64) - 1)).astype(
        "datetime64[s]"
    )


def _compact(path: Path, line: int, text: str) -> np.datetime64:
    """`20160101:0010` as a moment."""
    return _iso(path, line, 1, f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}")


def _iso(path: Path, line: int, column: int, text: str) -> np.datetime64:
    try:
        return np.datetime64(text.strip().replace(" ", "T"), "s")
    except ValueError:
        raise SourceError(
            "assets.weather_number", where=Where(path.name, int(line), column), text=text
        ) from None


Reader = Callable[[Path], WeatherYear]
READERS: Mapping[str, Reader] = {"EPW": read_epw, "NSRDB": read_nsrdb, "PVGIS": read_pvgis}
"""The formats that need no description, by name."""
