# SPDX-License-Identifier: Apache-2.0
"""Writing generated series as files: CSV in the dialects of meters, workbooks, station files.

Comes in: a recipe, a calendar, a seed. Goes out: files, and the paths of all that were written. Numbers are rounded here, once, to
the decimals of their column; nothing is written that was not rounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mangrove.sources import generator_models as models
from mangrove.sources.generator_recipe import (
    Again,
    Charging,
    Fault,
    File,
    Load,
    Product,
    Purchases,
    Pv,
    Recipe,
    Register,
    Site,
    State,
    Station,
)

Array = models.Array
Times = models.Times
Texts = list[str]

_MINUTE = np.timedelta64(60, "s")
_HOUR, _DAY = 3600, 86400
_EPOCH_ZIP = (2000, 1, 1, 0, 0, 0)


def write(
    root: Path, recipe: Recipe, calendar: models.Calendar, seed: int, without: Collection[str] = ()
) -> list[Path]:
    """Writes every file of the recipe below `root`, without the columns of some flows.

    Sheets of one workbook are written together; a file that has no column left is not written.
    """
    written: list[Path] = []
    books: dict[str, list[tuple[File, list[Texts]]]] = {}
    for file in filter(None, (_kept(file, without) for file in recipe.files)):
        if file.layout == "sheet":
            rows = _table(file, calendar, seed, recipe.site)
            books.setdefault(_dated(file.path, calendar), []).append((file, rows))
        elif file.layout == "sessions":
            written.append(_sessions(root, file, calendar, seed))
        else:
            written += _series(root, file, calendar, seed, recipe.site)
    for path, sheets in books.items():
        written.append(_workbook(root / path, sheets))
    return written


def _kept(file: File, without: Collection[str]) -> File | None:
    """The file without the columns of some flows and their faults; None when nothing is left."""
    columns = tuple(column for column in file.columns if column.flow not in without)
    names = {column.name for column in columns}
    faults = tuple(fault for fault in file.faults if fault.column in names)
    return file.model_copy(update={"columns": columns, "faults": faults}) if columns else None


def fill(
    spec: Load | Pv | State, calendar: models.Calendar, seed: int, *, name: str, step: int, site: Site
) -> Array:
    """The values of one model for every step of the year, shape (steps,)."""
    if isinstance(spec, Load):
        stream = models.Stream(seed, spec.stream or name)
        return spec.scale * models.load(spec.profile, calendar, stream, step)
    if isinstance(spec, Pv):
        stream = models.Stream(seed, "sun")  # all roofs of a park stand under one sky
        sky = models.sunshine(site.latitude, site.longitude, calendar, stream, step=step, offset=site.offset)
        return spec.kwp * models.parameters("sun")["performance_ratio"] * sky / 1000 * (step / 3600)
    count = len(calendar.starts(step)) if step else 12
    values = models.state(spec.mean, spec.spread, spec.decay, count, models.Stream(seed, name))
    if not spec.profile:
        return values
    shape = models.mean_shape(spec.profile, calendar)
    if step <= _HOUR:
        return values * np.repeat(shape, _HOUR // step)
    return np.asarray(values * shape.reshape(-1, step // _HOUR).mean(axis=1))


def _months(spec: Purchases, calendar: models.Calendar, seed: int, name: str) -> Array:
    """Twelve amounts whose expected sum is `annual`."""
    month = calendar.days().astype("datetime64[M]").astype(np.int64) % 12
    weight = np.bincount(month[calendar.types() == 0], minlength=12).astype(np.float64)
    weight[[m for m in range(12) if m + 1 not in spec.months]] = 0
    scatter = models.state(1.0, spec.spread, 0.0, 12, models.Stream(seed, name))
    return np.asarray(spec.annual * weight / weight.sum() * scatter)


def _columns(file: File, calendar: models.Calendar, seed: int, site: Site) -> dict[str, Array]:
    """The rounded values of every column, by heading, before any fault."""
    found: dict[str, Array] = {}
    for column in file.columns:
        spec = column.fill
        if isinstance(spec, Product):
            left, right = (found[name] for name in spec.of)
            values = left * right * spec.scale
        elif isinstance(spec, Again):
            scatter = models.state(
                1.0, spec.spread, 0.0, len(found[spec.of]), models.Stream(seed, column.flow)
            )
            values = found[spec.of] * spec.scale * scatter
        elif isinstance(spec, Purchases):
            values = _months(spec, calendar, seed, column.flow)
        elif isinstance(spec, Charging):
            continue
        else:
            values = fill(spec, calendar, seed, name=column.flow, step=file.step, site=site)
        if column.register_ is not None:
            values = _register(values, column.register_)
        found[column.name] = np.round(values, column.decimals)
    return found


def _register(values: Array, register: Register) -> Array:
    """The reading at the end of each step: a sum that returns to 0 after the last digit."""
    return np.asarray((register.first + np.cumsum(values)) % 10.0**register.digits)


def _faulty(values: Array, times: Times, fault: Fault) -> Array:
    """The values with one fault; an outage is NaN."""
    first = np.datetime64(fault.at, "s")
    at = (times >= first) & (times < first + np.timedelta64(round(fault.hours * 3600), "s"))
    changed = values.copy()
    if fault.kind == "outage":
        changed[at] = np.nan
    elif fault.kind == "stuck":
        changed[at] = values[at][:1]
    else:
        changed[at] = np.round(values[at] * fault.factor, 2)
    return changed


def _starts(file: File, calendar: models.Calendar) -> Times:
    if file.step:
        return calendar.starts(file.step)
    months = np.arange(f"{calendar.year}-01", f"{calendar.year + 1}-01", dtype="datetime64[M]")
    return months.astype("datetime64[s]")


def _cells(
    file: File, calendar: models.Calendar, seed: int, site: Site
) -> tuple[Times, Texts, dict[str, Array]]:
    """Starts, stamps as written, and the columns with their faults."""
    starts = _starts(file, calendar)
    columns = _columns(file, calendar, seed, site)
    for fault in file.faults:
        if fault.at.year == calendar.year:
            columns[fault.column] = _faulty(columns[fault.column], starts, fault)
    return starts, stamps(starts, file), columns


def stamps(starts: Times, file: File) -> Texts:
    """The stamps of intervals as the file writes them."""
    at = starts if file.stamp == "start" else starts + np.timedelta64(file.step, "s")
    shown = at - _MINUTE if file.stamp == "end24" else at
    days = np.datetime_as_string(shown, unit="D")
    clock = (at - at.astype("datetime64[D]")).astype("timedelta64[s]").astype(np.int64)
    if file.stamp == "end24":
        clock = np.where(clock == 0, _DAY, clock)
    if file.form == "dmy":
        day_texts = [f"{d[8:10]}/{d[5:7]}/{d[:4]}" for d in days.tolist()]
    else:
        day_texts = days.tolist()
    if file.step in (0, _DAY):  # a month or a day has no clock
        return day_texts
    return [
        f"{day} {second // 3600:02d}:{second % 3600 // 60:02d}{file.offset}"
        for day, second in zip(day_texts, clock.tolist(), strict=True)
    ]


def texts(values: Array, decimals: int, decimal: str = ".") -> Texts:
    """Rounded numbers as text; NaN is an empty cell."""
    shown = [f"{v:.{decimals}f}" if v == v else "" for v in values.tolist()]  # noqa: PLR0124 - NaN differs from itself
    return [text.replace(".", ",") for text in shown] if decimal == "," else shown


def _table(file: File, calendar: models.Calendar, seed: int, site: Site) -> list[Texts]:
    """Header and rows of a wide table."""
    _, stamp, columns = _cells(file, calendar, seed, site)
    cells = [texts(columns[c.name], c.decimals, file.decimal) for c in file.columns]
    header = [file.time[0], *(c.name for c in file.columns)]
    return [header, *(list(row) for row in zip(stamp, *cells, strict=True))]


def _series(root: Path, file: File, calendar: models.Calendar, seed: int, site: Site) -> list[Path]:
    """Writes a wide or long CSV with its late, repeated and station parts."""
    starts, stamp, columns = _cells(file, calendar, seed, site)
    keep = np.ones(len(starts), dtype=bool)
    written: list[Path] = []
    for part in file.parts:
        if part.start.year != calendar.year:
            continue
        chosen = (starts >= np.datetime64(part.start, "s")) & (starts < np.datetime64(part.end, "s"))
        values = dict(columns)
        if part.column:
            decimals = next(c.decimals for c in file.columns if c.name == part.column)
            values[part.column] = np.round(values[part.column] * part.factor, decimals)
        written.append(_csv(root / _dated(part.path, calendar), file, stamp, values, chosen))
        keep &= ~chosen if part.kind == "late" else True
    if file.station is not None:
        written += _station(root / _dated(file.station.folder, calendar), file, file.station, starts, columns)
        days = np.array(file.station.days, dtype="datetime64[D]")
        keep &= ~np.isin(starts.astype("datetime64[D]"), days)
    first = _csv(root / _dated(file.path, calendar), file, stamp, columns, keep)
    return [first, *written]


def _csv(path: Path, file: File, stamp: Texts, columns: dict[str, Array], keep: NDArray[np.bool_]) -> Path:
    """Writes the kept rows of one CSV file."""
    at = np.flatnonzero(keep)
    when = [stamp[i] for i in at.tolist()]
    cells = [texts(columns[c.name][at], c.decimals, file.decimal) for c in file.columns]
    lines: Iterable[Sequence[str]]
    if file.layout == "long":
        header = [file.time[0], "meter", "value", "unit"]
        lines = (
            (time, column.name, value, column.unit)
            for i, time in enumerate(when)
            for column, value in zip(file.columns, (cell[i] for cell in cells), strict=True)
            if value
        )
    else:
        header = [file.time[0], *(c.name for c in file.columns)]
        lines = chain(_opening(file, stamp, keep), zip(when, *cells, strict=True))
    return _write_lines(path, file.delimiter, header, lines)


def _opening(file: File, stamp: Texts, keep: NDArray[np.bool_]) -> list[Texts]:
    """The registers at the start of the year, for a file of registers that are read at the end of each step."""
    registers = [column.register_ for column in file.columns if column.register_ is not None]
    if len(registers) < len(file.columns) or file.stamp != "end" or not keep[0]:
        return []
    day = stamp[0].split(" ")[0]
    first = [f"{r.first:.{c.decimals}f}" for r, c in zip(registers, file.columns, strict=True)]
    return [[f"{day} 00:00{file.offset}", *(text.replace(".", file.decimal) for text in first)]]


def _write_lines(path: Path, delimiter: str, header: Sequence[str], lines: Iterable[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(delimiter.join(header) + "\n")
        out.writelines(delimiter.join(line) + "\n" for line in lines)
    return path


def _sessions(root: Path, file: File, calendar: models.Calendar, seed: int) -> Path:
    """Writes charging sessions: number, station, start, end, kWh."""
    column = file.columns[0]
    assert isinstance(column.fill, Charging)
    stream = models.Stream(seed, column.flow)
    found = models.charging(calendar, stream, column.fill.scale, column.fill.shift)
    first, last = _tests(calendar)
    inside = (found.starts > first[0]) & (found.ends < last[1])
    starts = np.concatenate([first[:1], found.starts[inside], last[:1]])
    ends = np.concatenate([first[1:], found.ends[inside], last[1:]])
    start, end = (np.datetime_as_string(t, unit="s").tolist() for t in (starts, ends))
    values = np.concatenate([[0.0], found.energy[inside], [0.0]])
    energy = texts(np.round(values, column.decimals), column.decimals, file.decimal)
    station = np.floor(stream.uniform(len(energy)) * _CHARGERS).astype(int).tolist()
    lines = (
        (str(i + 1), f"EV-{s + 1:02d}", a.replace("T", " "), b.replace("T", " "), e)
        for i, (s, a, b, e) in enumerate(zip(station, start, end, energy, strict=True))
    )
    header = ["session", "station", *file.time, column.name]
    return _write_lines(root / _dated(file.path, calendar), file.delimiter, header, lines)


def _tests(calendar: models.Calendar) -> tuple[Times, Times]:
    """Start and end of a test without energy in the first and in the last quarter hour of the year.

    With them the list says that it covers the whole year.
    """
    quarters = calendar.starts(900)
    quarter = np.timedelta64(900, "s")
    return np.array([quarters[0], quarters[0] + quarter]), np.array([quarters[-1], quarters[-1] + quarter])


_CHARGERS = 24
"""Charging points of the example car park; made up."""


def _station(
    folder: Path, file: File, station: Station, starts: Times, columns: dict[str, Array]
) -> Iterator[Path]:
    """Writes the five-minute files of some days in the form of Circular 10/2021: symbol, value, unit, time, status."""
    days = np.isin(starts.astype("datetime64[D]"), np.array(station.days, dtype="datetime64[D]"))
    faulty = {np.datetime64(datetime.fromisoformat(at), "s") for at in station.faulty}
    if days.any():
        folder.mkdir(parents=True, exist_ok=True)
    cells = {c.name: texts(columns[c.name], c.decimals) for c in file.columns}
    for i in np.flatnonzero(days).tolist():
        start = starts[i]
        time = str(start + np.timedelta64(file.step, "s")).replace("-", "").replace(":", "").replace("T", "")
        lines = []
        for position, column in enumerate(file.columns):
            broken = start in faulty and position == len(file.columns) - 1
            value = "" if broken else cells[column.name][i]
            lines.append(f"{column.name}\t{value}\t{column.unit}\t{time}\t{'02' if broken else '00'}\r\n")
        path = folder / f"{station.name}_{time}.txt"
        path.write_text("".join(lines), encoding="utf-8", newline="")
        yield path


def _workbook(path: Path, sheets: list[tuple[File, list[Texts]]]) -> Path:
    """Writes the sheets of one workbook; the bytes do not depend on the clock."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    fixed = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall-clock time in the file's properties
    book.properties.created = book.properties.modified = fixed
    for file, rows in sheets:
        sheet = book.create_sheet(file.sheet)
        for line in file.title:
            sheet.append([line])
        sheet.append(rows[0])
        for row in rows[1:]:
            sheet.append([row[0], *(_cell(text, file.decimal) for text in row[1:])])
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    _fix_times(path)
    return path


def _cell(text: str, decimal: str) -> str | float | None:
    """A typed list keeps its decimal commas as text; other sheets hold numbers."""
    if not text:
        return None
    return text if decimal == "," else float(text)


def _fix_times(path: Path) -> None:
    """Rewrites the archive with one fixed time for all members and without the time of saving."""
    with ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in members:
            if name == "docProps/core.xml":
                head, _, rest = content.partition(b"<dcterms:modified")
                content = head + rest.partition(b"</dcterms:modified>")[2]  # noqa: PLW2901 - the member as it is written
            archive.writestr(ZipInfo(name, _EPOCH_ZIP), content, ZIP_DEFLATED)


def _dated(path: str, calendar: models.Calendar) -> str:
    """A path with `{year}` filled in."""
    return path.replace("{year}", str(calendar.year))
