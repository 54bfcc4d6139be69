# SPDX-License-Identifier: Apache-2.0
"""The public verbs, the same in Python and on the command line.

Comes in: a folder, files, a question. Goes out: a `Handle`, a report of what was stored, a result that explains itself. Each
verb opens the ledger for as long as it works and closes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove.errors import Problem, RequestError
from mangrove.handle import STORE, Handle
from mangrove.times import Span, Step

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.inference.runs import RepairReport
    from mangrove.measure.record import Change
    from mangrove.measure.result import Emissions
    from mangrove.sources import IngestReport


def open(folder: str | Path) -> Handle:  # noqa: A001 - the verb of the public surface, always used as mg.open
    """Opens the territory declared in `folder`.

    Raises:
        DeclarationError: the declaration has problems; all of them are listed.
    """
    from mangrove import territory

    path = Path(folder)
    return Handle(territory.load(path), path / STORE)


def check(folder: str | Path) -> list[Problem]:
    """All problems of the declaration in `folder`, with file, line and column; empty when there are none."""
    from mangrove import rules, territory
    from mangrove.measure import methods

    book = rules.load()
    known = set(book.activities)
    return territory.check(
        Path(folder),
        factor_exists=lambda key: key.partition("@")[0] in known,
        method_exists=methods.METHODS.__contains__,
        fuels=book.fuels,
        activities=known,
    )[1]


def ingest(
    park: Handle, *paths: str | Path, mapping: str | Path | None = None, screen: bool = True
) -> IngestReport:
    """Reads meter files into the ledger and says what was assumed; bad rows are quarantined, the rest goes in.

    Args:
        park: an opened territory.
        *paths: CSV, Excel, Parquet or monitoring files, or folders of them.
        mapping: a mapping file (see docs/how-to/ingest.md); without one the import doctor guesses and says so.
        screen: look for gaps, stuck values, spikes and clock shifts afterwards and store the findings as quality codes.

    Raises:
        SourceError: a file cannot be read at all.
        LedgerError: the store refuses; nothing of the batch was acknowledged.
    """
    from mangrove import sources

    with park.writer() as ledger:
        return sources.ingest(
            ledger,
            park.territory,
            [Path(path) for path in paths],
            mapping=Path(mapping) if mapping else None,
            screen=screen,
        )


def measure(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    by: Sequence[str] = (),
    every: str | Step | None = None,
    gwp: str | None = None,
    view: str = "location",
    accounts: Sequence[str] = ("inventory",),
    borders: str | date | None = None,
    as_of: str | datetime | None = None,
    allow: Sequence[str] = (),
    run: str = "measured",
    store: bool = True,
) -> Emissions:
    """Measures emissions: flows x factors, by any columns, with 95 % intervals.

    Args:
        park: an opened territory with values in its ledger.
        start: a period ("2024", "2024-03"), or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        by: columns: flow, place, sector, scope, gpc, category, carrier, basis, meter, method, gas, account, or a kind of place ("ward").
        every: length of the time buckets ("1h", "1d", "1mo"); None for one number per group.
        gwp: GWP set (SAR, AR4, AR5, AR6); the territory's own when left out.
        view: `location` or `market` for purchased electricity.
        accounts: accounts to add up; only the inventory unless named.
        borders: the day whose places count; the last day of the span unless named.
        as_of: only what was known then.
        allow: statuses of factors accepted besides official and default ones ("unofficial").
        run: whose values: what was `measured`, or those of a `forecast`, `schedule` or `plan` ("plan/roof-2030").
        store: keep the measurement, so that it can be replayed and compared.

    Raises:
        RequestError: the question makes no sense, or sums gases without a GWP set.
        LedgerError: there is no store yet, or it is damaged.
    """
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import question as questions
    from mangrove.measure import record
    from mangrove.measure.result import Emissions

    question = questions.resolve(
        park.territory,
        start,
        end,
        by=by,
        every=every,
        gwp=gwp,
        view=view,
        accounts=accounts,
        borders=borders,
        as_of=as_of,
        allow=allow,
        run=run,
    )
    book = rules.load()
    plan = plans.build(park.territory, book, question)
    with park.reader() as ledger:
        result = Emissions(plan, park.store, ledger.cut(question.as_of))
        if store:
            result.record = record.store(result, ledger, book.content_hash)
    return result


def replay(park: Handle | str | Path, record: str) -> Emissions:
    """Computes a stored measurement again from its record and the ledger, and checks every number.

    A folder will do: the declaration that counts is the one kept with the record, so today's may be broken or gone.

    Raises:
        RequestError, LedgerError, DataQualityError: see `mangrove.measure.record.replay`.
    """
    from mangrove.measure import record as records

    store = park.store if isinstance(park, Handle) else Path(park) / STORE
    return records.replay(store, record)


def records(park: Handle | str | Path) -> list[tuple[str, datetime, dict[str, Any]]]:
    """The stored measurements, oldest first: id, when, and the question as plain data."""
    from mangrove.measure import record as kept

    return kept.listed(park.store if isinstance(park, Handle) else Path(park) / STORE)


def readings(
    park: Handle,
    flow: str,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    run: str = "measured",
) -> pa.Table:
    """The readings behind a number: every version of a flow's values, with its quality, batch, source and time of record.

    Columns: start (UTC), value, quality, batch, recorded_at, source, run; sorted by start, then batch. The last row of a
    start is the one that counts. `run` names another series of the flow: a `forecast`, a `schedule`, a `plan`.

    Raises:
        RequestError: `measure.unknown_flow`, `measure.unknown_run`, or a period that cannot be read.
    """
    from mangrove.errors import did_you_mean
    from mangrove.ledger import series
    from mangrove.measure import question as questions

    if flow not in park.territory.flows:
        raise RequestError("measure.unknown_flow", flow=flow, hint=did_you_mean(flow, park.territory.flows))
    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    key = series(flow, questions.known_run(run))
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = snapshot.history(key, span.start, span.end)
    return table.select(["start", "value", "quality", "batch", "recorded_at", "source", "run"])


def diff(park: Handle, before: str, after: str | None = None) -> list[Change]:
    """What changed between two stored measurements, or between one and the same question asked now.

    Each change is split exactly into activity, factor and GWP. See `mangrove.measure.record.Change`.
    """
    from mangrove import rules
    from mangrove.measure import plan as plans
    from mangrove.measure import record as records
    from mangrove.measure.result import Emissions

    old = records.document_of(park.store, before)
    if after is not None:
        return records.diff(old, records.document_of(park.store, after))
    plan = plans.build(park.territory, rules.load(), records.question_in(old["question"]))
    with park.reader() as ledger:
        now = Emissions(plan, park.store, ledger.cut())
    return records.diff(old, records.document(now))


def repair(
    park: Handle,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    flows: Sequence[str] = (),
) -> RepairReport:
    """Estimates missing values (linear to 2 h, profile x local level to 2 days) and stores them, marked as estimates.

    Longer gaps stay gaps. Nothing is overwritten: estimates are a later batch with quality `filled`.

    Raises:
        LedgerError: there is no store yet, or another process writes to it.
    """
    from mangrove.inference import runs

    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    with park.reader():
        pass  # without a ledger there is nothing to repair, and none is made
    with park.writer() as ledger:
        return runs.repair(ledger, park.territory, list(flows) or list(park.territory.flows), span)
