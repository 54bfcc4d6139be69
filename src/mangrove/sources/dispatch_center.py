# SPDX-License-Identifier: Apache-2.0
"""The national dispatch center (NSMO, before 2024 NLDC): daily generation by source, powers at two hours, and the load.

Comes in: files as the center publishes them, or as people keep them, in a folder; the network may be absent. Goes out: values of the
declared flows of the country (`electricity:coal`, `electricity:coal@low`, `electricity:load`), each day as soon as it can be
known and not before. Reading a folder again stores nothing twice. A page that repeats the day before in every figure was not
renewed: its values are kept as stuck and enter no sum. Going to the network needs a fetcher that was enabled on purpose.
"""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mangrove.errors import MangroveError, Problem, RequestError, SourceError, Where
from mangrove.ledger.types import Origin, Quality, Receipt, Rejected
from mangrove.measure.grid_intensity import SOURCES, grid_flows
from mangrove.sources.convert import Values
from mangrove.sources.dispatch_pages import line_of
from mangrove.sources.poll import Health
from mangrove.territory.model import Flow, Territory

if TYPE_CHECKING:
    from mangrove.sources.intake import Intake

VIETNAM = timezone(timedelta(hours=7))
"""The center's days are those of UTC+7."""
LOAD = ("load", "")
FORMS = ("generation", "mix", "operation", "two_hours", "load")
"""Forms of files that are read; `form_of` knows them by their first bytes."""
LOOK_EVERY = 60.0
"""Seconds between two looks into the folder."""
SITE = "https://www.nsmo.vn"
PAGES: Mapping[str, str] = {
    "operation": "/HTDThongSoVH?day={day:%d/%m/%Y}",
    "two_hours": "/HTDCongSuatHD?day={day:%d/%m/%Y}",
    "load": "/api/services/app/Pages/GetChartPhuTaiVM?day={day:%d/%m/%Y}",
}
"""Pages of the center for one day, as public programs read them (lenafam96/craw_data_nldc; the host moved from nldc.evn.vn)."""
_GENERATION: Mapping[str, tuple[str, ...]] = {
    "hydro": ("thuy_dien_mkWh",), "coal": ("nhiet_dien_than_mkWh",), "gas": ("tuabin_khi_mkWh",),
    "oil": ("nhiet_dien_dau_mkWh",), "wind": ("dien_gio_mkWh",),
    "solar": ("dmt_trang_trai_mkWh", "dmt_mai_thuong_pham_mkWh"), "import": ("nhap_khau_mkWh",), "other": ("khac_mkWh",),
}  # fmt: skip
"""Columns of the generation file. Rooftops count with what they sold (`thuong_pham`): with it the sources add up to the total sold."""
_MIX: Mapping[str, tuple[str, ...]] = {
    "hydro": ("hydro",), "coal": ("coal",), "gas": ("gas",), "oil": ("oil",), "wind": ("wind",), "solar": ("solar",),
    "import": ("imp",), "other": ("oth",),
}  # fmt: skip
_TWO_HOURS = ("hydro", "coal", "gas", "oil", "wind", "solar", "solar", "import", "other")
"""Pairs of the page of mobilized power after the totals: farms and rooftops are both solar. They add up to the totals."""
_SUM_WITHIN = 1.0
"""MW by which the pairs may miss their total: figures are rounded to 0.1."""
_FIGURE = re.compile(r"-?\d+(?:\.\d{3})*(?:,\d+)?")
_DATE_PARTS = 3
_DAYS = timedelta(days=1)

Key = tuple[str, str]
"""Source and level (empty: energy of the day in GWh; `low`, `high`: MW), or `LOAD` (MW by half hour)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One published number: what it is of, the start of its interval (UTC), the value in GWh or MW, its quality."""

    key: Key
    start: datetime
    value: float
    quality: int = 0


@dataclass
class Published:
    """What a file says, day by day, and its lines that say nothing."""

    form: str
    days: dict[date, list[Figure]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass
class Report:
    """What became of a folder: files read, days and values stored, values known before, lines set aside, notes."""

    files: int = 0
    days: int = 0
    stored: int = 0
    unchanged: int = 0
    rejected: int = 0
    waiting: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Counts another report in."""
        for name in ("files", "days", "stored", "unchanged", "rejected", "waiting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems


Put = Callable[[Values, Origin, list[Rejected]], Receipt]
"""What stores a batch and returns when it is on disk."""
Told = dict[tuple[str, date | None], int]
"""Marks of what was handed over, by form and day (and of the lines set aside, by file)."""


class Clock(Protocol):
    """The clock that everything live asks."""

    def now(self) -> datetime:
        """The instant, UTC."""


def replay(put: Put, territory: Territory, folder: Path, now: datetime, told: Told | None = None) -> Report:
    """Stores what the files of a folder say about days that are over at `now`.

    Args:
        put: stores a batch: `Intake.put`, or the `append` of a ledger behind a small function.
        territory: its flows of the country take the figures; see `mangrove.measure.grid_intensity.grid_flows`.
        folder: with files of any of the `FORMS`; what is none of them is noted and left alone.
        now: days that end later are not known yet.
        told: what earlier calls handed over; it grows. Without it everything is handed over, and the ledger finds what it has.

    Raises:
        SourceError: there is no such folder.
        RequestError: `grid.no_flows`: the territory declares no flow for any figure.
    """
    flows = grid_flows(territory)
    if not flows:
        raise RequestError("grid.no_flows", missing=", ".join(SOURCES))
    if not folder.is_dir():
        raise SourceError("sources.no_file", path=folder)
    report = Report()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        try:
            published = read_file(path)
        except MangroveError as error:
            report.problems.append(
                Problem(error.code, error.problem.data, Where(path.name), severity="warning")
            )
            continue
        one = _store(put, published, flows, name=path.name, now=now, told=told if told is not None else {})
        report.add(one)
    return report


def read_file(path: Path) -> Published:
    """Reads one file of any of the forms.

    Raises:
        SourceError: `grid.unknown_form`, or the file is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise SourceError("sources.unreadable", reason=str(error)[:200]) from None
    day = _day_in(path.name)
    if text.lstrip().startswith("<"):
        page = line_of(text, day) if day is not None else None
        if page is None:
            raise SourceError("grid.unknown_form", beginning=text.strip()[:60])
        text = page[1]
    form = form_of(text)
    published = Published(form)
    if form == "load":
        _read_load(text, day, published)
    elif form in ("generation", "mix"):
        _read_table(text, _GENERATION if form == "generation" else _MIX, published)
    else:
        reader = _read_operation if form == "operation" else _read_two_hours
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                _try(published, number, line, lambda line=line: reader(line))  # type: ignore[misc]
    _mark_stuck(published)
    return published


def form_of(text: str) -> str:
    """The form of a file by its beginning.

    Raises:
        SourceError: `grid.unknown_form`.
    """
    first = text.lstrip()[:1000].splitlines()[0] if text.strip() else ""
    if "thuy_dien_mkWh" in first and first.startswith("date,"):
        return "generation"
    if first.startswith("date,") and {"hydro", "coal", "gas", "imp"} <= set(first.split(",")):
        return "mix"
    if first.startswith("{") and "phuTais" in text:
        return "load"
    if re.match(r"\d{2}/\d{2}/\d{4}\|", first):
        return "operation" if "kWh" in first else "two_hours"
    raise SourceError("grid.unknown_form", beginning=first[:60])


def known_at(day: date) -> datetime:
    """When the figures of a day can be known at the earliest: when it is over.

    Example:
        >>> known_at(date(2024, 6, 5)).isoformat()
        '2024-06-05T17:00:00+00:00'
    """
    return _midnight(day) + _DAYS


class DispatchCenter:
    """The connector of a running server: looks into its folder now and then, and hands new days to the intake.

    Args:
        intake: the one writer.
        territory: its flows of the country take the figures.
        clock: of the server; with a clock in the past, each day arrives when it is over there.
        folder: of the stored files.
        every: seconds between two looks.
    """

    def __init__(
        self, intake: Intake, territory: Territory, clock: Clock, folder: Path, every: float = LOOK_EVERY
    ) -> None:
        self._intake, self._territory, self._clock, self._folder = intake, territory, clock, folder
        self._every = every
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem: Problem | None = None
        self._last: datetime | None = None
        self._seen: tuple[Any, ...] = ()
        self._told: Told = {}

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread = threading.Thread(target=self._run, name="dispatch-center", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends; returns when nothing of it runs any more."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def state(self) -> tuple[Health, ...]:
        """One health: `failing` with the last error, `never` before the first day."""
        status = "failing" if self._problem else "never" if self._last is None else "ok"
        return (Health("dispatch-center", status, self._last, self._problem),)

    def look(self) -> Report | None:
        """One look into the folder; None when nothing in it can have changed since the last one."""
        now = self._clock.now()
        files = tuple(
            sorted((one.name, one.stat().st_mtime_ns) for one in self._folder.iterdir() if one.is_file())
        )
        seen = (now.astimezone(VIETNAM).date(), files)
        if seen == self._seen:
            return None
        report = replay(self._intake.put, self._territory, self._folder, now, self._told)
        self._seen, self._problem = seen, None
        self._last = now if report.days else self._last
        return report

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.look()
            except MangroveError as error:
                self._problem = error.problem
            except OSError as error:
                self._problem = Problem("sources.unreadable", {"reason": str(error)[:200]})
            self._end.wait(self._every)


class Fetcher:
    """Brings pages of the center into a folder; refuses unless it was enabled on purpose.

    Args:
        get: what fetches an address; the caller's own, with its time-outs.
        enabled: set by a person who allows this server to ask the center.
    """

    def __init__(self, get: Callable[[str], bytes], *, enabled: bool = False) -> None:
        self._get, self.enabled = get, enabled

    def fetch(self, day: date, folder: Path, pages: Iterable[str] = tuple(PAGES)) -> list[Path]:
        """Keeps the pages of one day as they are, for `replay` to read.

        Raises:
            RequestError: `grid.fetch_disabled`.
        """
        if not self.enabled:
            raise RequestError("grid.fetch_disabled")
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for page in pages:
            body = self._get(SITE + PAGES[page].format(day=day))
            path = folder / f"{page}_{day.isoformat()}.{'json' if page == 'load' else 'html'}"
            part = path.with_suffix(".part")
            part.write_bytes(body)
            part.replace(path)
            found.append(path)
        return found


def _store(
    put: Put, published: Published, flows: Mapping[Key, Flow], *, name: str, now: datetime, told: Told
) -> Report:
    """Hands the days of a file over in one batch, with the instant from which they could be known."""
    report = Report(files=1)
    over = {day: figures for day, figures in published.days.items() if known_at(day) <= now}
    report.waiting = len(published.days) - len(over)
    marks: Told = {(published.form, day): hash(tuple(figures)) for day, figures in over.items()}
    ready = {
        day: figures
        for day, figures in over.items()
        if told.get((published.form, day)) != marks[published.form, day]
    }
    marks[name, None] = hash(tuple(str(one.raw) for one in published.rejected))
    rejected = published.rejected if told.get((name, None)) != marks[name, None] else []
    figures = [one for day in sorted(ready) for one in ready[day]]
    missing = sorted("@".join(filter(None, key)) for key in {one.key for one in figures} - set(flows))
    if missing:
        data = {"figures": ", ".join(missing)}
        report.problems.append(Problem("grid.no_flow", data, Where(name), severity="note"))
    values = _values(figures, flows)
    if len(values) or rejected:
        note = f"known at {known_at(max(ready)).isoformat()}" if ready else ""
        origin = Origin(
            f"dispatch:{published.form}", sha256(_content(values, rejected)).hexdigest(), note=note
        )
        receipt = put(values, origin, rejected)
        report.days = len(ready)
        if not receipt.duplicate:
            report.stored, report.unchanged, report.rejected = (
                receipt.rows,
                receipt.unchanged,
                receipt.rejected,
            )
    told.update(marks)
    return report


def _content(values: Values, rejected: list[Rejected]) -> bytes:
    """Bytes that are the same when the same figures come again."""
    parts = [
        ",".join(values.names).encode(),
        values.flow.tobytes(),
        values.start.tobytes(),
        values.value.tobytes(),
    ]
    parts += [values.quality.tobytes(), *(str(one.raw).encode() for one in rejected)]
    return b"\0".join(parts)


def _values(figures: list[Figure], flows: Mapping[Key, Flow]) -> Values:
    """Figures as columns, in the units of their flows; what has no flow is left out."""
    kept = [one for one in figures if one.key in flows]
    names = sorted({flows[one.key].id for one in kept})
    place = {name: i for i, name in enumerate(names)}
    factor = {key: _unit(key).to(flows[key].unit) for key in {one.key for one in kept}}
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return Values(
        names,
        np.array([place[flows[one.key].id] for one in kept], dtype=np.int32),
        np.array([(one.start - epoch) // timedelta(microseconds=1) for one in kept], dtype=np.int64),
        np.array([one.value * factor[one.key] for one in kept], dtype=np.float64),
        np.array([one.quality for one in kept], dtype=np.uint8),
        np.zeros(len(kept), dtype=np.int64),
    )


def _unit(key: Key) -> Any:
    from mangrove.units import unit

    return unit("MW" if key[1] or key == LOAD else "GWh")


def _read_table(text: str, columns: Mapping[str, tuple[str, ...]], published: Published) -> None:
    """A table with a header, a day a line, points as decimal marks."""

    def figures(row: Mapping[str, str]) -> tuple[date, list[Figure]]:
        day = date.fromisoformat(row["date"])
        start = _midnight(day)
        return day, [
            Figure((source, ""), start, round(sum(_plain(row[name]) for name in names), 6))
            for source, names in columns.items()
        ]

    for number, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        _try(published, number, ",".join(str(cell) for cell in row.values()), lambda row=row: figures(row))  # type: ignore[misc]


def _read_operation(line: str) -> tuple[date, list[Figure]]:
    """`01/01/2022|9:00|29358,4 MW|541,3 triệu kWh|186,5|triệu kWh|240,2|triệu kWh|...`: total, then the eight sources."""
    cells = [cell for cell in line.split("|")[4:] if _FIGURE.fullmatch(cell.strip())]
    day = _dashed(line.split("|", maxsplit=1)[0])
    start = _midnight(day)
    pairs = zip(SOURCES, cells, strict=True)
    return day, [Figure((source, ""), start, _comma(cell)) for source, cell in pairs]


def _read_two_hours(line: str) -> tuple[date, list[Figure]]:
    """`01/01/2021|20062,0|21807,7|2718,2|7895,5|...`: totals at the low and the high hour, then pairs by source, in MW."""
    cells = [_comma(cell) for cell in line.rstrip("|\r\n ").split("|")[1:]]
    day = _dashed(line.split("|", maxsplit=1)[0])
    start = _midnight(day)
    totals, pairs = cells[:2], cells[2:]
    if len(pairs) != 2 * len(_TWO_HOURS):
        raise ValueError(line)
    found: list[Figure] = []
    for level, total, powers in (("low", totals[0], pairs[0::2]), ("high", totals[1], pairs[1::2])):
        if abs(sum(powers) - total) > _SUM_WITHIN:
            raise ValueError(line)
        by_source: dict[str, float] = {}
        for source, power in zip(_TWO_HOURS, powers, strict=True):
            by_source[source] = by_source.get(source, 0.0) + power
        found += [Figure((source, level), start, round(power, 6)) for source, power in by_source.items()]
    return day, found


def _read_load(text: str, day: date | None, published: Published) -> None:
    """The answer of the load page: `result.data.phuTais`, a list of times (`thoiGian`) with the load of the system (`congSuatHT`).

    The center does not say whether a time begins or ends its half hour; it is taken as the beginning.
    """
    try:
        rows = json.loads(text)["result"]["data"]["phuTais"]
        found = {
            _moment(str(row["thoiGian"]), day): float(row["congSuatHT"])
            for row in rows
            if row.get("congSuatHT") is not None
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SourceError("grid.unknown_form", beginning=text[:60]) from None
    for start, value in found.items():
        if 0.0 <= value < float("inf"):
            of_day = published.days.setdefault(start.astimezone(VIETNAM).date(), [])
            of_day.append(Figure(LOAD, start, value))
        else:
            reason = Problem("grid.bad_line", {"text": str(value)}, severity="warning")
            published.rejected.append(Rejected(f"{start.isoformat()} {value}", reason))


def _moment(written: str, day: date | None) -> datetime:
    at = datetime.fromisoformat(written) if "T" in written or "-" in written else None
    if at is None:
        if day is None:
            raise ValueError(written)
        hour, minute = (int(part) for part in written.split(":")[:2])
        at = datetime(day.year, day.month, day.day, tzinfo=VIETNAM) + timedelta(hours=hour, minutes=minute)
    return (at if at.tzinfo else at.replace(tzinfo=VIETNAM)).astimezone(UTC)


def _try(published: Published, number: int, line: str, read: Callable[[], tuple[date, list[Figure]]]) -> None:
    """Reads one line; what cannot be read is set aside with its number."""
    try:
        day, figures = read()
    except (ValueError, KeyError, TypeError):
        reason = Problem("grid.bad_line", {"text": line[:80]}, severity="warning")
        published.rejected.append(Rejected(line[:500], reason, number))
        return
    if any(not 0.0 <= one.value < float("inf") for one in figures):
        reason = Problem("grid.bad_line", {"text": line[:80]}, severity="warning")
        published.rejected.append(Rejected(line[:500], reason, number))
        return
    published.days[day] = figures


def _mark_stuck(published: Published) -> None:
    """A day that equals the one before in every figure is marked as stuck: the center shows the last page until a new one is made."""
    if published.form == "load":
        return
    plain = {day: [(one.key, one.value) for one in figures] for day, figures in published.days.items()}
    for day, figures in list(published.days.items()):
        if plain.get(day - _DAYS) == plain[day]:
            published.days[day] = [
                Figure(one.key, one.start, one.value, int(Quality.STUCK)) for one in figures
            ]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM).astimezone(UTC)


def _dashed(written: str) -> date:
    parts = [int(part) for part in written.strip().split("/")]
    if len(parts) != _DATE_PARTS:
        raise ValueError(written)
    return date(parts[2], parts[1], parts[0])


def _day_in(name: str) -> date | None:
    found = re.search(r"\d{4}-\d{2}-\d{2}", name)
    return date.fromisoformat(found[0]) if found else None


def _plain(cell: str) -> float:
    return float(cell)


def _comma(cell: str) -> float:
    """A figure with points between thousands and a comma before decimals."""
    if not _FIGURE.fullmatch(cell.strip()) and not re.fullmatch(r"-?\d+(?:,\d+)?", cell.strip()):
        raise ValueError(cell)
    return float(cell.strip().replace(".", "").replace(",", "."))
