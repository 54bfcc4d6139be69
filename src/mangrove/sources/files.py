# SPDX-License-Identifier: Apache-2.0
"""`ingest`: files in, batches into the ledger, a report out.

Comes in: paths of CSV, TSV, Excel, Parquet and monitoring files. Each is opened, examined by the import doctor (or read
by its mapping), and stored in batches of bounded size whose keys are the file's SHA-256 and the way it was read: the same
file again changes nothing. Rows that cannot be values go to quarantine with their batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from mangrove.errors import Problem, SourceError, Where
from mangrove.inference import runs
from mangrove.ledger import Ledger, sessions
from mangrove.ledger.types import Origin, Rejected
from mangrove.sources import monitoring, registers
from mangrove.sources.convert import Bad, Outcome, convert
from mangrove.sources.doctor import examine
from mangrove.sources.intervals import without_doubled
from mangrove.sources.mapping import Mapping
from mangrove.sources.plan import Plan
from mangrove.sources.problems import RejectedError
from mangrove.sources.report import DoctorReport, IngestReport
from mangrove.sources.sessions import read_sessions
from mangrove.sources.stamps import instant_of
from mangrove.sources.tables import CHUNK_ROWS, SUFFIXES, Table, open_table
from mangrove.territory.model import Territory

MAPPING_NAME = "mapping.yaml"
Progress = Callable[[Path, int], None]
"""Called with the file and the number of its rows that are done."""
Touched = dict[str, tuple[int, int]]
"""Flow to the earliest and the latest start (microseconds, UTC) that came in."""


def ingest(
    ledger: Ledger,
    territory: Territory,
    paths: Sequence[Path],
    *,
    mapping: Mapping | Path | None = None,
    screen: bool = True,
    progress: Progress | None = None,
) -> IngestReport:
    """Stores the values of files.

    Args:
        ledger: open for writing.
        territory: its flows say what may come in and in which unit.
        paths: files; a folder stands for all files in it that can be read.
        mapping: what is known about the files; by default `mapping.yaml` beside each file, when there is one.
        screen: whether to screen what came in; findings become quality codes in a later batch.
        progress: told about every stored batch.

    Returns:
        The report. A file that cannot be read at all is reported in `failed`, and the others are stored.

    Raises:
        RejectedError: the mapping has errors, or not one of the files could be read.
        LedgerError: the ledger refuses.
    """
    given = Mapping.read(mapping) if isinstance(mapping, Path) else mapping
    if given is not None:
        _check(given, territory)
    door = _Door(ledger, territory, given, progress)
    report = IngestReport()
    for path in _expand(paths):
        one = DoctorReport(path)
        report.files.append(one)
        try:
            door.take(one)
        except SourceError as error:
            one.error = list(error.problems)
    if report.files and len(report.failed) == len(report.files):
        raise RejectedError("sources.rejected", [p for file in report.failed for p in file.error])
    if screen and door.touched and not all(file.duplicate for file in report.files if not file.error):
        found = runs.screen_flows(ledger, territory, door.touched)
        report.findings, report.screening = found.problems(), found.receipts
    return report


def _check(mapping: Mapping, territory: Territory) -> None:
    unknown = mapping.unknown_flows(list(territory.flows))
    if unknown:
        raise RejectedError("sources.mapping_rejected", unknown)


def _expand(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are; folders as all files below them that have a readable form, by name, hidden ones left out."""
    for path in map(Path, paths):
        if path.is_dir():
            below = (f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
            yield from sorted(
                f for f in below if not any(n.startswith(".") for n in f.relative_to(path).parts)
            )
        else:
            yield path


@dataclass
class _Door:
    """One ingest: where values go, and what came in so far."""

    ledger: Ledger
    territory: Territory
    mapping: Mapping | None
    progress: Progress | None
    touched: Touched = field(default_factory=dict)

    def take(self, report: DoctorReport) -> None:
        """Stores one file and fills in its report."""
        path = report.path
        mapping = self.mapping or self._mapping_beside(path)
        said = mapping.for_file(path) if mapping is not None else None
        if said is None and monitoring.looks_like(path):
            merge(self.touched, monitoring.store_file(self.ledger, self.territory, path, report))
            return
        if said is not None and said.where is not None:
            report.assumptions.append(
                Problem("sources.by_mapping", {"match": said.match}, said.where, "note")
            )
        try:
            with open_table(path, said.shape if said else None) as table:
                found = examine(table, self.territory, said)
                report.assumptions += found.notes
                self._store(table, found.plan, report)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
            raise SourceError("sources.unreadable", where=Where(str(path)), reason=str(error)) from error

    def _mapping_beside(self, path: Path) -> Mapping | None:
        beside = path.parent / MAPPING_NAME
        if not beside.is_file():
            return None
        mapping = Mapping.read(beside)
        _check(mapping, self.territory)
        return mapping

    def _store(self, table: Table, plan: Plan, report: DoctorReport) -> None:
        """Stores a table in batches of at most about `CHUNK_ROWS` values."""
        key = f"{table.sha256}:{plan.digest(self.territory.flows)}"
        lines = _RawLines(table)
        derived = registers.Pending(self.ledger, self.territory)
        mine: Touched = {}
        for part, outcome in enumerate(_outcomes(table, plan, self.territory)):
            doubled = without_doubled(outcome, plan.steps, self.territory.flows, self.ledger)
            rejected = [_as_rejected(bad, lines) for bad in sorted(outcome.bad, key=lambda bad: bad.line)]
            _note_flows(outcome, report, mine)
            values = derived.rename(outcome.values)
            origin = Origin(f"file:{table.path.name}", f"{key}:{part}" + (f":{doubled}" if doubled else ""))
            receipt = self.ledger.append(values.table(), origin, rejected=rejected)
            derived.seen(values, receipt)
            for flow, stays in outcome.sessions.items():
                sessions.put(self.ledger, flow, stays, origin.source)
            report.rows += outcome.rows
            report.empty += outcome.empty
            report.repeated += outcome.repeated
            report.add(receipt, rejected)
            if self.progress is not None:
                self.progress(table.path, report.rows)
        for problem, derivation in derived.derive():
            report.assumptions.append(problem)
            if derivation is not None:
                report.derived.append(derivation)
        _finish_span(report, mine)
        merge(self.touched, mine)


def _outcomes(table: Table, plan: Plan, territory: Territory) -> Iterator[Outcome]:
    if plan.sessions is not None:
        yield read_sessions(table, plan, plan.sessions, territory)
        return
    size = max(1000, CHUNK_ROWS // max(1, len(plan.columns)))
    for chunk in table.chunks(plan.wanted, size):
        yield convert(chunk, plan, territory)


def _note_flows(outcome: Outcome, report: DoctorReport, touched: Touched) -> None:
    values = outcome.values
    for index, name in enumerate(values.names):
        starts = values.start[values.flow == index]
        if len(starts):
            report.flows[name] += len(starts)
            merge(touched, {name: (int(starts.min()), int(starts.max()))})


def merge(touched: Touched, more: Touched) -> None:
    """Widens the spans in `touched` by those in `more`."""
    for name, (low, high) in more.items():
        old = touched.get(name, (low, high))
        touched[name] = (min(old[0], low), max(old[1], high))


def _finish_span(report: DoctorReport, touched: Touched) -> None:
    if touched:
        report.first = instant_of(min(low for low, _ in touched.values()))
        report.last = instant_of(max(high for _, high in touched.values()))


class _RawLines:
    """The text of rejected lines, read in one forward pass that starts at the first rejection."""

    def __init__(self, table: Table) -> None:
        self._lines = table.numbered_lines()
        self._at = (0, "")

    def get(self, line: int) -> str:
        """The text of a line; lines must be asked for in ascending order."""
        while self._at[0] < line:
            step = next(self._lines, None)
            if step is None:
                return ""
            self._at = step
        return self._at[1] if self._at[0] == line else ""


def _as_rejected(bad: Bad, lines: _RawLines) -> Rejected:
    raw = bad.text or lines.get(bad.line) or str(bad.data.get("text", ""))
    return Rejected(raw, Problem(bad.code, bad.data, severity="warning"), bad.line or None)
