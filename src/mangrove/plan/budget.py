# SPDX-License-Identifier: Apache-2.0
"""A plan that people wrote down: amounts by flow and month or year, spread over time so that a day can be compared with it.

Comes in: a CSV file `flow,period,amount,unit` and the readings of the weeks before. Goes out: values of the run `plan/<name>` in
the ledger, each flow at its own step, so that `measure(park, "2024-06", run="plan/<name>")` gives the planned emissions by the
same formula as those of the meters. The values of a period add up to the amount that the file says.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from mangrove.errors import (
    DeclarationError,
    Problem,
    RequestError,
    RuleError,
    Where,
    did_you_mean,
)
from mangrove.inference.series import SECOND, Floats, Ints, local_time, median_by, slot_of_week, usable
from mangrove.ledger import Ledger, Origin, Receipt, Snapshot
from mangrove.ledger.types import check_run
from mangrove.plan import scenario_store
from mangrove.territory import cells
from mangrove.territory.model import Flow, Territory
from mangrove.territory.tables import Column, Parsed, parse_table, read_table
from mangrove.times import Span, Step
from mangrove.units import Unit, unit

MODEL = "plan/budget"
KIND = "budget"
"""The model of its batches, and the kind of its records."""
WEEKS = 8
"""Weeks of readings that show how a flow usually runs: what the repair of gaps and the forecast look back on as well."""
_PERIOD = re.compile(r"\d{4}(?:-\d{2})?", re.ASCII)
_SLOTS = 168
_HOURLY = Step(seconds=3600)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file.

    Attributes:
        flow: whose amount; period: the month or year, `text` as written.
        amount: in `unit`, as written; own: in the unit of the flow (of a rate: unit x hours; of a state: its mean).
    """

    flow: Flow
    period: Span
    text: str
    amount: float
    unit: str
    own: float


@dataclass(frozen=True, slots=True)
class Budget:
    """A file that makes sense.

    Attributes:
        name: of the plan; file: name of the file; digest: SHA-256 of what it says about which flows; lines: its rows.
    """

    name: str
    file: str
    digest: str
    lines: tuple[Line, ...]

    @property
    def run(self) -> str:
        """The run of the ledger."""
        return f"plan/{self.name}"

    @property
    def span(self) -> Span:
        """From the begin of the first period to the end of the last."""
        return Span(min(x.period.start for x in self.lines), max(x.period.end for x in self.lines))

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The flows that it names, in the order of the file."""
        return tuple({line.flow.id: line.flow for line in self.lines}.values())


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of a file.

    Attributes:
        budget: the file; receipt: of its values; record: id of the record, empty when the same file was adopted before.
        patterns: by flow, where its course within a period comes from: `before` (readings of the weeks before the plan),
            `begin` (those of its first weeks), `even` (none: evenly), `level` (a state: the same all the time).
    """

    budget: Budget
    receipt: Receipt
    record: str
    patterns: dict[str, str]


def adopt(ledger: Ledger, territory: Territory, path: Path, name: str = "") -> Adopted:
    """Takes a file as the plan `plan/<name>`; the same file about the same flows changes nothing when it comes again.

    Args:
        ledger: open for writing.
        territory: what is declared.
        path: the CSV file.
        name: of the plan; the file's own without its ending when empty.

    Raises:
        DeclarationError: the file has problems; all of them are listed with line and column.
        LedgerError: the name cannot be one of a run, or the store refuses.
        RequestError: `scenario.name_adopted`, a scenario has this name.
    """
    budget = read(territory, path, name)
    if any(one.name == budget.name for one in scenario_store.stored(ledger)):
        raise RequestError("scenario.name_adopted", name=budget.name)
    with ledger.snapshot() as snapshot:
        table, patterns = values(territory, budget, snapshot)
    origin = Origin(
        "model:budget", f"{budget.run}:{budget.digest}", budget.run, MODEL, version("mangrove"),
        (budget.digest,), f"declared in {budget.file}",
    )  # fmt: skip
    receipt = ledger.append(table, origin)
    if receipt.duplicate:
        return Adopted(budget, receipt, "", patterns)
    text = json.dumps(document(budget, patterns, receipt), sort_keys=True, ensure_ascii=False)
    return Adopted(budget, receipt, ledger.put_record(KIND, text.encode()), patterns)


def read(territory: Territory, path: Path, name: str = "") -> Budget:
    """Reads a file strictly.

    Raises:
        DeclarationError: an unknown flow, a period that is none, a unit that does not convert, two rows for one time.
        LedgerError: `ledger.run`: the name holds a space, a colon or a slash.
    """
    name = name or path.stem
    check_run(f"plan/{name}")
    table, problems = read_table(path, path.name)
    schema = (
        Column("flow", cells.identifier, "id of a flow", required=True),
        Column("period", lambda text: _period(text, territory.tz), "2024-06 or 2024", required=True),
        Column("amount", cells.not_negative, "of the whole period", required=True, numeric=True),
        Column("unit", unit, "of the amount", required=True),
    )
    parsed, more = parse_table(table, schema)
    problems += more
    broken = any(problem.severity == "error" for problem in problems)
    rows = {} if broken else dict(_lines(territory, parsed, problems))
    problems += _twice(rows, parsed)
    lines = tuple(rows.values())
    if not lines and not any(x.severity == "error" for x in problems):
        problems.append(Problem("plan.budget_empty", {}, Where(path.name, 1)))
    if any(problem.severity == "error" for problem in problems):
        raise DeclarationError(problems)
    return Budget(name, path.name, _digest(lines), lines)


def values(
    territory: Territory, budget: Budget, snapshot: Snapshot | None = None
) -> tuple[pa.Table, dict[str, str]]:
    """The plan as rows (flow, start, value), each flow at its own step, and where the course of each flow comes from.

    Within a period a flow follows its usual course, the median of each hour of the week; see `Adopted.patterns`. A flow whose
    values stand for a month or longer is spread evenly, as the measurement does with its readings.

    Args:
        territory: its zone counts the hours of the week.
        budget: the file.
        snapshot: the ledger; without one everything is spread evenly.
    """
    span = budget.span
    fine = [flow for flow in budget.flows if _follows(flow)]
    eight = timedelta(weeks=WEEKS)
    windows = {"before": Span(span.start - eight, span.start), "begin": Span(span.start, span.start + eight)}
    usual: dict[str, tuple[str, Floats]] = {}
    for word, window in windows.items():
        asked = [flow.id for flow in fine if flow.id not in usual]
        if snapshot is not None and asked:
            found = _usual(snapshot, asked, window, territory.tz)
            usual |= {flow: (word, course) for flow, course in found.items()}
    parts, patterns = [], {}
    for line in budget.lines:
        word, course = usual.get(line.flow.id, ("level" if line.flow.semantics == "state" else "even", None))
        patterns[line.flow.id] = word
        starts, amounts = spread(line, course, territory.tz)
        parts.append(_rows(line.flow.id, starts, amounts))
    return pa.concat_tables(parts), patterns


def spread(line: Line, course: Floats | None, tz: ZoneInfo) -> tuple[Ints, Floats]:
    """The values of one row of the file: starts (microseconds since 1970) and values in the flow's unit and step, shape (n,).

    Args:
        line: the row.
        course: the usual value of each hour of the local week, shape (168,), not negative; None for an even course.
        tz: the zone of the week.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> from mangrove.territory.model import Carrier
        >>> flow = Flow("m", "site", Carrier("electricity"), unit("kWh"), Step.parse("1h"))
        >>> june = Span.parse("2024-06", ZoneInfo("Asia/Ho_Chi_Minh"))
        >>> _, hourly = spread(Line(flow, june, "2024-06", 72.0, "MWh", 72_000.0), None, ZoneInfo("Asia/Ho_Chi_Minh"))
        >>> len(hourly), float(hourly[0])
        (720, 100.0)
    """
    step = line.flow.step or _HOURLY
    moments = [_microseconds(moment) for moment in step.starts(line.period, tz)]
    starts = np.array(moments, dtype=np.int64)
    hours = np.diff(np.append(starts, _microseconds(line.period.end))) / (3600 * SECOND)
    if line.flow.semantics == "state":
        return starts, np.full(len(starts), line.own)
    weight = np.ones(len(starts))
    if course is not None:
        expected = course[slot_of_week(local_time(starts, tz), 3600 * SECOND)]
        weight = expected if expected.sum() > 0 else weight
    amounts = line.own * weight * hours / float((weight * hours).sum())
    amounts[np.argmax(amounts)] += line.own - math.fsum(amounts)
    return starts, amounts / hours if line.flow.semantics == "mean" else amounts


def told(adopted: Adopted, tz: ZoneInfo) -> Iterator[tuple[str, dict[str, Any]]]:
    """What people should know of an adopted plan: ends of the codes `plan.budget_...` with their placeholders."""
    budget, receipt = adopted.budget, adopted.receipt
    if receipt.duplicate:
        yield "known", {"name": budget.name, "batch": receipt.batch}
        return
    span = budget.span
    yield (
        "adopted",
        {
            "name": budget.name,
            "flows": len(budget.flows),
            "first": span.start.astimezone(tz).date(),
            "last": span.last_day(tz),
            "rows": receipt.rows,
            "run": budget.run,
            "batch": receipt.batch,
        },
    )
    for word, count in Counter(adopted.patterns.values()).items():
        yield word, {"count": count}


def document(budget: Budget, patterns: dict[str, str], receipt: Receipt) -> dict[str, Any]:
    """The file and what was made of it, as plain data."""
    return {
        "name": budget.name,
        "file": budget.file,
        "digest": budget.digest,
        "basis": "declared",
        "batch": receipt.batch,
        "patterns": patterns,
        "weeks": WEEKS,
        "lines": [
            {"flow": x.flow.id, "period": x.text, "amount": x.amount, "unit": x.unit} for x in budget.lines
        ],
    }


def _period(text: str, tz: ZoneInfo) -> tuple[str, Span]:
    """A month or a year."""
    if not _PERIOD.fullmatch(text):
        raise RequestError("plan.budget_period", text=text)
    return text, Span.parse(text, tz)


def _lines(territory: Territory, parsed: Parsed, problems: list[Problem]) -> Iterator[tuple[int, Line]]:
    """The rows that make sense, by number; what does not goes to `problems`."""
    for row, (name, (text, period), amount, written) in enumerate(parsed.records()):
        flow = territory.flows.get(name)
        if flow is None:
            data = {"flow": name, "hint": did_you_mean(name, territory.flows)}
            problems.append(Problem("plan.budget_flow", data, parsed.where(row, "flow")))
            continue
        target = _target(flow)
        try:
            factor = written.to(target)
        except RuleError as error:
            problems.append(Problem(error.code, error.problem.data, parsed.where(row, "unit")))
            continue
        if not _fits(flow, period, territory.tz):
            data = {"flow": name, "period": text, "step": str(flow.step)}
            problems.append(Problem("plan.budget_step", data, parsed.where(row, "period")))
            continue
        yield row, Line(flow, period, text, amount, written.text, amount * factor)


def _target(flow: Flow) -> Unit:
    """The unit of an amount of a flow."""
    return flow.unit * unit("h") if flow.semantics == "mean" else flow.unit


def _fits(flow: Flow, period: Span, tz: ZoneInfo) -> bool:
    """Whether a period is a whole number of the flow's steps."""
    step = flow.step or _HOURLY
    return step.floor(period.start, tz) == period.start and (
        step.after(step.floor(period.end - timedelta(microseconds=1), tz), tz) == period.end
    )


def _twice(lines: Mapping[int, Line], parsed: Parsed) -> Iterator[Problem]:
    """Rows that speak of a time that an earlier row of the same flow spoke of."""
    seen: dict[str, list[Line]] = {}
    for row, line in lines.items():
        for other in seen.setdefault(line.flow.id, []):
            if other.period.start < line.period.end and line.period.start < other.period.end:
                data = {"flow": line.flow.id, "period": line.text, "other": other.text}
                yield Problem("plan.budget_twice", data, parsed.where(row, "period"))
                break
        seen[line.flow.id].append(line)


def _digest(lines: Sequence[Line]) -> str:
    """SHA-256 of the rows and of how the flows they name count."""
    said = [
        (x.flow.id, x.text, x.amount, x.unit, x.flow.unit.text, str(x.flow.step), x.flow.semantics)
        for x in lines
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def _follows(flow: Flow) -> bool:
    """Whether a flow has a course within a month."""
    step = flow.step or _HOURLY
    return flow.semantics != "state" and not step.months


def _usual(snapshot: Snapshot, flows: Sequence[str], window: Span, tz: ZoneInfo) -> dict[str, Floats]:
    """The usual value of each hour of the week of the flows that have readings in `window`, each of shape (168,).

    The median of the hour of the week; where that has none, of the hour of the day; and where that has none either, of all.
    """
    rows = snapshot.values(flows, window.start, window.end)
    if not rows.num_rows:
        return {}
    names = np.asarray(rows.column("flow").to_pylist(), dtype=object)
    start = rows.column("start").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    value = rows.column("value").to_numpy().astype(float)
    good = usable(rows.column("quality").to_numpy()) & np.isfinite(value)
    found = {}
    for flow in flows:
        mine = good & (names == flow)
        if not mine.any():
            continue
        slot = slot_of_week(local_time(start[mine], tz), 3600 * SECOND)
        week = median_by(slot, value[mine], _SLOTS)
        day = np.tile(median_by(slot % 24, value[mine], 24), 7)
        course = np.where(np.isfinite(week), week, day)
        course = np.where(np.isfinite(course), course, np.median(value[mine]))
        found[flow] = np.maximum(course, 0.0)
    return found


def _rows(flow: str, starts: Ints, amounts: Floats) -> pa.Table:
    return pa.table(
        {
            "flow": pa.array([flow] * len(starts), pa.string()),
            "start": pa.array(starts, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            "value": pa.array(amounts, pa.float64()),
        }
    )


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp()) * SECOND
