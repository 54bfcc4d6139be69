# SPDX-License-Identifier: Apache-2.0
"""Files of automatic monitoring stations (Circular 10/2021/TT-BTNMT): read, write, and take in from a drop folder.

A file is one station's report of one moment, a line per parameter, fields parted by tabs, lines ended by CRLF:

    symbol TAB value TAB unit TAB yyyyMMddHHmmss TAB status

`status` is 00 measuring, 01 calibrating, 02 device error; rows with 01 and 02 are stored with that quality and never
enter sums. Times are Vietnamese local time without an offset (UTC+7). The value is the mean of the cycle before the
stamp (`frequency` in the annex: "value = cycle average, not instantaneous"), so the stamp ends its interval.
Line form: Circular 24/2017/TT-BTNMT, carried into Circular 10/2021 chapter VIII, appendix 15. File names: the form
`<STATION>_<yyyyMMddHHmmss>.txt` is read from station firmware; the official `AA_BBBB_CCCCCC_<time>.txt` (province,
facility, station) is recalled and not verified, so both are read and the first one is written.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from mangrove.errors import Problem, RuleError, SourceError, Where, did_you_mean
from mangrove.ledger import Ledger
from mangrove.ledger.types import Origin, Quality, Rejected
from mangrove.sources.convert import Values
from mangrove.sources.plan import conversion
from mangrove.sources.report import DoctorReport
from mangrove.sources.stamps import SECOND, instant_of
from mangrove.territory.model import Flow, Territory
from mangrove.text import fold
from mangrove.times import Step
from mangrove.units import unit

VIETNAM = timezone(timedelta(hours=7))
"""Files carry local time without an offset; Viet Nam has had UTC+7 all year since 1975."""

CYCLE = Step(seconds=300)
"""One file every five minutes (annex, "frequency"); used when a flow declares no step."""

STATUS = {"00": Quality.GOOD, "01": Quality.CALIBRATING, "02": Quality.FAULT}
_CODES = {int(quality): status for status, quality in STATUS.items()}

SYMBOLS = (
    "Flow", "Temp", "Color", "pH", "TSS", "COD", "NH4", "TP", "TN", "TOC", "Cl", "RH", "P", "NO", "NO2", "CO", "SO2",
    "O2", "H2S", "NH3", "VHg", "PM", "O3", "PM10", "PM2,5",
)  # fmt: skip
"""The 25 symbols of appendix 15, table 34 of Circular 10/2021/TT-BTNMT."""

_BY_FOLD = {fold(symbol): symbol for symbol in SYMBOLS}
_UNITS = {"c": "degC", "oc": "degC", "°c": "degC", "0c": "degC"}
"""How stations write degrees Celsius."""

_NAME = re.compile(r"(?P<station>.+)_(?P<time>\d{14})", re.ASCII)
_OFFICIAL = re.compile(r"(?P<province>[^_]{2})_(?P<facility>[^_]{4})_(?P<station>[^_]{6})", re.ASCII)
_LINE = re.compile(r"[^\t]*\t[^\t]*\t[^\t]*\t\d{14}\t\d{2}\s*", re.ASCII)
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Record:
    """One line: `value` is None when the station sent none; `at` is UTC; `line` counts from 1."""

    symbol: str
    value: float | None
    unit: str
    at: datetime
    status: str
    line: int = 0

    @property
    def quality(self) -> Quality:
        """The quality code of the status; a measured line without a value is missing."""
        state = STATUS[self.status]
        return Quality.MISSING if self.value is None and state == Quality.GOOD else state


@dataclass(frozen=True)
class StationFile:
    """A parsed file.

    Attributes:
        station: from the file's name ("HP_NCK1_KHITHAI"); empty when the name has another form.
        at: the time in the name, UTC.
        official: whether the name has the form AA_BBBB_CCCCCC.
        records: the readable lines; rejected: the others.
    """

    station: str
    at: datetime | None
    official: bool
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...] = field(default=())


def read(source: Path | bytes, *, name: str = "") -> StationFile:
    """Parses a monitoring file; a line that cannot be read is rejected with its reason, and the rest stands.

    Args:
        source: the file, or its bytes.
        name: the file's name when bytes are given.

    Raises:
        SourceError: the file cannot be opened.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            body = source.read_bytes()
        except OSError as error:
            raise SourceError("sources.unreadable", where=Where(str(source)), reason=str(error)) from error
    else:
        body = source
    station, at, official = parse_name(name)
    records: list[Record] = []
    rejected: list[Rejected] = []
    text = body.decode("utf-8-sig", errors="replace")
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if line.strip():
            parsed = _line(line, number)
            (records if isinstance(parsed, Record) else rejected).append(parsed)  # type: ignore[arg-type]
    return StationFile(station, at, official, tuple(records), tuple(rejected))


def parse_name(name: str) -> tuple[str, datetime | None, bool]:
    """Station, time (UTC) and whether the form is the official one; an unknown form gives no station."""
    match = _NAME.fullmatch(Path(name).stem)
    at = _time(match["time"]) if match else None
    if match is None or at is None:
        return "", None, False
    return match["station"], at, _OFFICIAL.fullmatch(match["station"]) is not None


def _line(line: str, number: int) -> Record | Rejected:
    fields = [cell.strip() for cell in line.split("\t")]
    fault = ("sources.monitoring_fields", str(len(fields))) if len(fields) != _FIELDS else _fault(*fields)
    if fault is not None:
        code, text = fault
        return Rejected(line, Problem(code, {"text": text, "column": ""}, severity="warning"), number)
    symbol, value, written, stamp, status = fields
    amount = float(value.replace(",", ".")) if value else None
    at = _time(stamp)
    return Record(
        _BY_FOLD[fold(symbol)], amount, written, at or datetime.max.replace(tzinfo=UTC), status, number
    )


def _fault(symbol: str, value: str, _unit: str, stamp: str, status: str) -> tuple[str, str] | None:
    """Why the fields of a line cannot be a record, or None."""
    if fold(symbol) not in _BY_FOLD:
        return "sources.monitoring_symbol", symbol
    if _time(stamp) is None:
        return "sources.bad_time", stamp
    if status not in STATUS:
        return "sources.monitoring_status", status
    if value and not (_NUMBER.fullmatch(value) and np.isfinite(float(value.replace(",", ".")))):
        return "sources.bad_number", value
    return None


def _time(text: str) -> datetime | None:
    """The UTC instant of `yyyyMMddHHmmss` in Vietnamese time; None when there is no such time."""
    if not re.fullmatch(r"\d{14}", text, re.ASCII):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=VIETNAM).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def write(records: Iterable[Record]) -> bytes:
    """The bytes of a file: one line per record, in the given order.

    Raises:
        SourceError: `sources.monitoring_symbol`, `sources.monitoring_status` or `sources.monitoring_text` for a
            record that the format cannot hold.
    """
    lines = []
    for record in records:
        if record.symbol not in SYMBOLS:
            raise SourceError("sources.monitoring_symbol", text=record.symbol, column="")
        if record.status not in STATUS:
            raise SourceError("sources.monitoring_status", text=record.status, column="")
        if re.search(r"[\t\r\n]", record.unit):
            raise SourceError("sources.monitoring_text", text=record.unit)
        value = "" if record.value is None or np.isnan(record.value) else repr(float(record.value))
        stamp = record.at.astimezone(VIETNAM).strftime("%Y%m%d%H%M%S")
        lines.append(f"{record.symbol}\t{value}\t{record.unit}\t{stamp}\t{record.status}\r\n")
    return "".join(lines).encode()


def file_name(station: str, at: datetime) -> str:
    """The name `<STATION>_<yyyyMMddHHmmss>.txt` in Vietnamese time."""
    return f"{station}_{at.astimezone(VIETNAM):%Y%m%d%H%M%S}.txt"


def write_files(folder: Path, station: str, records: Iterable[Record]) -> list[Path]:
    """Writes one file per moment, oldest first, each under a temporary name first so that no reader sees half of it."""
    moments: dict[datetime, list[Record]] = {}
    for record in records:
        moments.setdefault(record.at, []).append(record)
    paths = []
    for at in sorted(moments):
        path = folder / file_name(station, at)
        part = path.with_suffix(".part")
        part.write_bytes(write(moments[at]))
        part.replace(path)
        paths.append(path)
    return paths


def status_of(quality: int) -> str:
    """The status code of a quality code; every code that is not 1 and not 2 is written as measuring."""
    return _CODES.get(int(quality), "00")


def looks_like(path: Path) -> bool:
    """Whether a text file has the form of a monitoring file: its first non-empty line has."""
    if path.suffix.lower() != ".txt" or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line for line in lines if line.strip()), "")
    return _LINE.fullmatch(first.rstrip("\r\n")) is not None


def to_values(file: StationFile, territory: Territory) -> tuple[Values, list[Rejected]]:
    """Values of declared flows: a flow whose `meter` is `STATION/SYMBOL` takes the lines of that symbol.

    The stamp ends the interval; the start is one step of the flow earlier (five minutes when none is declared). A line
    that says "measuring" without a value becomes a value with quality MISSING.
    """
    meters = {fold(flow.meter): flow for flow in territory.flows.values() if flow.meter}
    rejected = list(file.rejected)
    names: list[str] = []
    rows: dict[tuple[int, int], tuple[float, int, int]] = {}
    for record in file.records:
        key = f"{file.station}/{record.symbol}"
        flow = meters.get(fold(key))
        if flow is None:
            near = did_you_mean(key, [f.meter for f in territory.flows.values() if f.meter])
            rejected.append(_rejected(record, "sources.monitoring_flow", {"flow": key, "hint": near}))
            continue
        step = flow.step if flow.step is not None and flow.step.seconds else CYCLE
        try:
            factor = _factor(record, flow, step)
        except RuleError as error:
            rejected.append(_rejected(record, error.code, dict(error.problem.data)))
            continue
        if flow.id not in names:
            names.append(flow.id)
        start = int(record.at.timestamp()) * SECOND - step.seconds * SECOND
        value = float("nan") if record.value is None else record.value * factor
        rows[names.index(flow.id), start] = (value, int(record.quality), record.line)
    keys = sorted(rows)
    return Values(
        names,
        np.array([flow for flow, _ in keys], dtype=np.int32),
        np.array([start for _, start in keys], dtype=np.int64),
        np.array([rows[key][0] for key in keys], dtype=np.float64),
        np.array([rows[key][1] for key in keys], dtype=np.uint8),
        np.array([rows[key][2] for key in keys], dtype=np.int64),
    ), rejected


def _factor(record: Record, flow: Flow, step: Step) -> float:
    if not record.unit:
        return 1.0
    return conversion(unit(_UNITS.get(record.unit.casefold(), record.unit)), flow, step)[0]


def _rejected(record: Record, code: str, data: dict[str, object]) -> Rejected:
    raw = write([record]).decode().rstrip("\r\n")
    return Rejected(raw, Problem(code, data, severity="warning"), record.line)


def store_file(
    ledger: Ledger,
    territory: Territory,
    path: Path,
    report: DoctorReport,
) -> dict[str, tuple[int, int]]:
    """Stores one monitoring file; a file sent again changes nothing. Returns the span of starts per flow.

    Raises:
        SourceError: no line of the file can be read, or its name names no station.
    """
    body = path.read_bytes()
    file = read(body, name=path.name)
    report.rows = len(file.records) + len(file.rejected)
    if not file.station:
        raise SourceError("sources.monitoring_name", where=Where(str(path)), name=path.name)
    if not file.records:
        raise SourceError("sources.monitoring_empty", where=Where(str(path)))
    values, rejected = to_values(file, territory)
    report.assumptions.append(
        Problem("sources.monitoring", {"station": file.station}, Where(str(path)), "note")
    )
    origin = Origin(f"station:{file.station}", hashlib.sha256(body).hexdigest())
    receipt = ledger.append(values.table(), origin, rejected=rejected)
    report.add(receipt, rejected)
    touched: dict[str, tuple[int, int]] = {}
    for index, name in enumerate(values.names):
        starts = values.start[values.flow == index]
        touched[name] = int(starts.min()), int(starts.max())
        report.flows[name] += len(starts)
    if len(values):
        report.first, report.last = (instant_of(int(us)) for us in (values.start.min(), values.start.max()))
    return touched


@dataclass
class DropReport:
    """What a pass over a drop folder did: files stored, files set aside with the reason, files still being written."""

    done: list[DoctorReport] = field(default_factory=list)
    failed: list[DoctorReport] = field(default_factory=list)
    waiting: list[Path] = field(default_factory=list)


def drop(
    ledger: Ledger,
    territory: Territory,
    folder: Path,
    *,
    settle: float = 2.0,
    limit: int | None = None,
) -> DropReport:
    """Takes in the files of a drop folder (the landing folder of an FTP server), oldest first.

    A file moves to `done/` only after the ledger has committed it, so a crash repeats files and the ledger recognizes
    them. A file that cannot be read moves to `failed/` with its reason beside it (`<name>.reason`). A file that
    changed within the last `settle` seconds is left for the next pass: it may still be uploading.

    Args:
        ledger: open for writing.
        territory: its flows say which station and symbol they are (`meter` = `STATION/SYMBOL`).
        folder: the landing folder; `done/` and `failed/` are made in it.
        settle: seconds without change after which a file counts as complete.
        limit: at most this many files in one pass.
    """
    report = DropReport()
    now = datetime.now(UTC).timestamp()
    for path in _oldest_first(folder)[:limit]:
        if now - path.stat().st_mtime < settle:
            report.waiting.append(path)
            continue
        one = DoctorReport(path)
        try:
            store_file(ledger, territory, path, one)
        except SourceError as error:
            one.error = list(error.problems)
            target = move_aside(path, folder / "failed")
            target.with_name(target.name + ".reason").write_text(error.text() + "\n", encoding="utf-8")
            report.failed.append(one)
        else:
            move_aside(path, folder / "done")
            report.done.append(one)
    return report


def _oldest_first(folder: Path) -> list[Path]:
    """Files by the time in their name, then by name; files of another form come last and fail."""
    latest = datetime.max.replace(tzinfo=UTC)
    found: Sequence[Path] = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    complete = [p for p in found if p.suffix.lower() not in (".part", ".tmp", ".filepart")]
    return sorted(complete, key=lambda p: (parse_name(p.name)[1] or latest, p.name))


def move_aside(path: Path, folder: Path) -> Path:
    """Moves a file into a folder without ever overwriting another one."""
    folder.mkdir(exist_ok=True)
    target, count = folder / path.name, 1
    while target.exists():
        target = folder / f"{path.stem}~{count}{path.suffix}"
        count += 1
    path.rename(target)
    return target
