# SPDX-License-Identifier: Apache-2.0
"""Screening and repair over a ledger: read values, run the engines, store what they say as later batches.

Comes in: a ledger, a territory, flows and spans. Goes out: batches of quality codes (the same values, another code) or of
estimates (quality FILLED), and a report. Values that came in are never changed; both runs can be read as of before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mangrove.errors import Problem, RequestError, RuleError, did_you_mean
from mangrove.inference import nature, screening
from mangrove.inference import repair as repairing
from mangrove.inference.screening import Finding, Limits
from mangrove.inference.series import DAY, SECOND, Series
from mangrove.ledger import Ledger, Snapshot
from mangrove.ledger.types import Origin, Quality, Receipt
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span, Step, from_us, to_us
from mangrove.units import Quantity, unit

CONTEXT = timedelta(days=63)
"""What is read before (and, for repair, after) the asked span: nine weeks, more than any rule looks back."""
BATCH_ROWS = 200_000
FLOWS_AT_ONCE = 32
"""Flows per query when the span is a quarter of a year; fewer for longer spans, so that memory stays bounded."""
_QUARTER_YEAR = 92 * DAY
_END = 253_402_300_799 * SECOND
_WINDOW = tuple[int, int]


@dataclass
class ScreeningReport:
    """What screening found, per flow, and the receipts of the batches that hold the codes."""

    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    marked: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    zone: tzinfo = UTC

    def problems(self) -> list[Problem]:
        """The findings as messages, at most one line per flow and rule: count, rows, first span."""
        found: list[Problem] = []
        for flow, findings in self.findings.items():
            for rule in dict.fromkeys(one.rule for one in findings):
                these = [one for one in findings if one.rule == rule]
                rows = sum(one.rows for one in these)
                data = {
                    "flow": flow,
                    "count": len(these),
                    "rows": rows,
                    "start": _written(these[0].start, self.zone),
                    "end": _written(these[0].end, self.zone),
                    "detail": _detail(rule, these[0].detail),
                }
                found.append(Problem(f"inference.{rule}", data, severity="warning"))
        return found


@dataclass
class RepairReport:
    """What repair estimated: rows by flow and method, and the spans that stay gaps."""

    filled: dict[str, dict[str, int]] = field(default_factory=dict)
    left: dict[str, tuple[_WINDOW, ...]] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    zone: tzinfo = UTC

    @property
    def rows(self) -> int:
        """Estimates stored."""
        return sum(receipt.rows for receipt in self.receipts)

    def problems(self) -> list[Problem]:
        """One note per flow and method, one warning per flow with gaps that stay."""
        notes = [
            Problem(f"inference.filled_{method}", {"flow": flow, "rows": rows}, severity="note")
            for flow, methods in self.filled.items()
            for method, rows in methods.items()
        ]
        for flow, spans in self.left.items():
            hours = sum(high - low for low, high in spans) / SECOND / 3600
            data = {
                "flow": flow,
                "count": len(spans),
                "hours": f"{hours:g}",
                "start": _written(spans[0][0], self.zone),
            }
            notes.append(Problem("inference.left", data, severity="warning"))
        return notes


def screen_flows(
    ledger: Ledger,
    territory: Territory,
    flows: Mapping[str, _WINDOW] | Iterable[str],
    span: Span | None = None,
) -> ScreeningReport:
    """Screens flows and stores the codes as later batches with the same values.

    Args:
        ledger: open for writing.
        territory: says step, meaning and limits of each flow.
        flows: flow ids; or, per flow, the earliest and latest start (microseconds, UTC) of what came in. Only rows from the
            first to the last of these get a new code; nine weeks before them give the rules their context.
        span: with plain flow ids: what to screen; gaps are looked for in all of it. Default: all that is stored.

    Returns:
        Findings and receipts. Flows without a fixed step are skipped: nothing says when a value is missing.
    """
    report = ScreeningReport(zone=territory.tz)
    windows = _windows(ledger, territory, flows, span)
    with ledger.snapshot() as snapshot:
        cut = snapshot.cut
        tables: list[pa.Table] = []
        screened = {name: window for name, window in windows.items() if _step_us(territory.flows[name])}
        around = int(CONTEXT / timedelta(microseconds=1))
        for name, (low, high), series in read_windows(snapshot, screened, around, 0):
            flow = territory.flows[name]
            asked = (low, high + 1) if span is not None else (None, None)
            changed, findings = _screen_one(series, flow, territory, (low, high), asked)
            if findings:
                report.findings[name] = findings
            if len(changed):
                tables.append(as_table(name, changed))
    report.receipts = _append(ledger, tables, "screening", screening.VERSION, run="measured", cut=cut)
    report.marked = sum(receipt.rows for receipt in report.receipts)
    return report


def _screen_one(
    series: Series, flow: Flow, territory: Territory, window: _WINDOW, asked: tuple[int | None, int | None]
) -> tuple[Series, tuple[Finding, ...]]:
    """New codes inside the window (gaps that reach back to the last row before it included), and findings there."""
    low, high = window
    before = series.start[series.start < low]
    if len(before):
        low = int(before[-1]) + 1
    begin, end = asked
    if begin is not None and len(series) and int(series.start[0]) < begin:
        begin = int(series.start[0])
    found = screening.screen(series, _step_us(flow), limits_of(flow), territory.tz, low=begin, high=end)
    inside = found.changed & (found.series.start >= low) & (found.series.start <= high)
    findings = tuple(one for one in found.findings if one.end > low and one.start <= high)
    return found.series.pick(inside), findings


def repair(
    ledger: Ledger,
    territory: Territory,
    flows: Iterable[str] | None = None,
    span: Span | None = None,
    *,
    codes: Sequence[Quality] = repairing.REPAIRED,
) -> RepairReport:
    """Estimates short gaps and stores them with quality FILLED, as a run of its own.

    Args:
        ledger: open for writing.
        territory: says the step of each flow.
        flows: flow ids; default: all flows that have values and amounts or rates (a state is not estimated).
        span: only gaps that start in it; default: all.
        codes: the quality codes that count as gaps.

    Raises:
        RequestError: a flow is not declared.
    """
    report = RepairReport(zone=territory.tz)
    windows = _windows(ledger, territory, flows if flows is not None else territory.flows, span)
    around = int(CONTEXT / timedelta(microseconds=1))
    with ledger.snapshot() as snapshot:
        cut = snapshot.cut
        tables: list[pa.Table] = []
        repairable = {
            name: window
            for name, window in windows.items()
            if territory.flows[name].semantics != "state" and _step_us(territory.flows[name])
        }
        for name, (low, high), series in read_windows(snapshot, repairable, around, around):
            flow = territory.flows[name]
            bounds = (low, high + 1) if span is not None else (None, None)
            found = repairing.fill(
                series, _step_us(flow), territory.tz, low=bounds[0], high=bounds[1], codes=codes
            )
            if found.left:
                report.left[name] = found.left
            if len(found.series):
                methods = {m: found.method.count(m) for m in dict.fromkeys(found.method)}
                report.filled[name] = methods
                tables.append(as_table(name, found.series))
    report.receipts = _append(ledger, tables, "repair", repairing.VERSION, run="estimate", cut=cut)
    return report


def limits_of(flow: Flow) -> Limits:
    """The bounds of a flow's values from its parameters `minimum` and `maximum`.

    A bound may be written in the flow's unit, or for a flow of amounts as a rate ("200 kW" for kWh in 15 minutes). Air, weather and
    water levels have bounds of nature besides (see `inference.nature`); a declared bound stands before them.
    """
    hours = flow.step.hours if flow.step is not None else None

    def bound(name: str) -> float | None:
        written = flow.parameters.get(name)
        if not isinstance(written, Quantity):
            return None
        if written.unit.converts_to(flow.unit):
            return written.to(flow.unit)
        if hours is None or flow.semantics not in ("sum", "counter"):
            return None
        try:
            return written.value * (written.unit * unit("h")).to(flow.unit) * hours
        except RuleError:
            return None

    semantics = "sum" if flow.semantics == "counter" else flow.semantics
    lowest, highest = nature.bounds(flow)
    low, high = bound("minimum"), bound("maximum")
    return Limits(
        lowest if low is None else low, highest if high is None else high, semantics, nature.rules(flow)
    )


def read_series(snapshot: Snapshot, flow: str, low: int, high: int) -> Series:
    """The current values of a flow that start in `[low, high)` (microseconds, UTC)."""
    return _as_series(snapshot.values([flow], from_us(max(low, 0)), from_us(min(high, _END))))


def _as_series(table: pa.Table) -> Series:
    return Series(
        pc.cast(table.column("start"), pa.int64()).to_numpy(),
        table.column("value").to_numpy().astype(np.float64),
        table.column("quality").to_numpy().astype(np.uint8),
    )


def read_windows(
    snapshot: Snapshot, windows: Mapping[str, _WINDOW], before: int, after: int
) -> Iterator[tuple[str, _WINDOW, Series]]:
    """Flows with their window and their current values in it, `before` and `after` it too; several flows per query."""
    names = list(windows)
    longest = max((high - low for low, high in windows.values()), default=0) + before + after
    count = max(1, min(FLOWS_AT_ONCE, FLOWS_AT_ONCE * _QUARTER_YEAR // max(longest, 1)))
    for first in range(0, len(names), count):
        group = names[first : first + count]
        low = max(min(windows[name][0] for name in group) - before, 0)
        high = min(max(windows[name][1] for name in group) + after + 1, _END)
        table = snapshot.values(group, from_us(low), from_us(high))
        keys = table.column("flow").combine_chunks().dictionary_encode()
        place = {key: i for i, key in enumerate(keys.dictionary.to_pylist())}
        index = np.asarray(keys.indices)
        everything = _as_series(table)
        for name in group:
            mine = everything.pick(index == place[name]) if name in place else Series.empty()
            yield name, windows[name], mine.between(windows[name][0] - before, windows[name][1] + after + 1)


def as_table(flow: str, series: Series) -> pa.Table:
    """Rows of one flow as the ledger takes them."""
    return pa.table(
        {
            "flow": pa.array([flow] * len(series), pa.string()),
            "start": pa.array(series.start, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            "value": pa.array(series.value, pa.float64()),
            "quality": pa.array(series.quality, pa.uint8()),
        }
    )


def _step_us(flow: Flow) -> int:
    """The fixed step of a flow in microseconds; 0 when it has none or counts months."""
    return flow.step.seconds * SECOND if flow.step is not None else 0


def _windows(
    ledger: Ledger, territory: Territory, flows: Mapping[str, _WINDOW] | Iterable[str], span: Span | None
) -> dict[str, _WINDOW]:
    """Per declared flow the earliest and the latest start to look at."""
    if isinstance(flows, Mapping) and all(isinstance(window, tuple) for window in flows.values()):
        return {name: window for name, window in flows.items() if name in territory.flows}
    names = list(flows)
    for name in names:
        if name not in territory.flows:
            raise RequestError("inference.unknown_flow", flow=name, hint=did_you_mean(name, territory.flows))
    if span is not None:
        window = (to_us(span.start), to_us(span.end) - 1)
    else:
        with ledger.snapshot() as snapshot:
            first, end = snapshot.span()
        window = (first, end - 1)
    return dict.fromkeys(names, window) if window[1] > window[0] else {}


def _append(
    ledger: Ledger, tables: Sequence[pa.Table], model: str, version: str, *, run: str, cut: int
) -> list[Receipt]:
    """Stores rows in batches of bounded size; the key holds the cut that was read and the content."""
    receipts: list[Receipt] = []
    pending: list[pa.Table] = []

    def flush() -> None:
        table = pa.concat_tables(pending).combine_chunks()
        digest = sha256(str((cut, version)).encode())
        for name, kind in (("start", pa.int64()), ("value", pa.float64()), ("quality", pa.uint8())):
            digest.update(table.column(name).cast(kind).to_numpy().tobytes())
        digest.update("\n".join(pc.unique(table.column("flow")).to_pylist()).encode())
        key = f"{cut}:{digest.hexdigest()}"
        inputs = (f"cut:{cut}",)
        receipts.append(
            ledger.append(
                table, Origin(f"model:{model}", key, run, model=model, version=version, inputs=inputs)
            )
        )
        pending.clear()

    for table in tables:
        for start in range(0, table.num_rows, BATCH_ROWS):
            pending.append(table.slice(start, BATCH_ROWS))
            if sum(part.num_rows for part in pending) >= BATCH_ROWS:
                flush()
    if pending:
        flush()
    return receipts


def _detail(rule: str, amount: float) -> str:
    """The number of a finding for people; a distance between values as a step."""
    return str(Step(seconds=round(amount))) if rule == "step" else f"{amount:g}"


def _written(us: int, zone: tzinfo) -> str:
    """An instant for people: territory time."""
    return from_us(us).astimezone(zone).strftime("%Y-%m-%d %H:%M")
