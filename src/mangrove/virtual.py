# SPDX-License-Identifier: Apache-2.0
"""Virtual meters of a territory: reads the process data, estimates what no analyser measured, keeps what was done and how good it is.

Comes in: a handle whose territory declares `virtual.csv`, a period. Goes out: estimates (run `estimate`, quality FILLED) where nothing was
measured and the inputs are such as were seen before; a record of kind `virtual` with the model card, the validation by time, campaigns,
alarms and the reference measurements that the meter asks for.

A meter learns from what lies before the period; reference readings inside the period recalibrate it from their end on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, Problem, RequestError, Sentence, did_you_mean
from mangrove.times import Span, from_us, to_us
from mangrove.units import Quantity
from mangrove.verbs import make_callable

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.handle import Handle
    from mangrove.inference.virtual import Meter
    from mangrove.inference.virtual_track import Tracked, Wanted
    from mangrove.ledger import Ledger, Receipt, Snapshot
    from mangrove.territory.model import Flow, Territory, VirtualMeter

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KIND, MODEL, VERSION = "virtual", "virtual", "1"
_HISTORY = timedelta(days=3 * 366)
"""What a meter learns from at most."""
_SECOND = 1_000_000


@dataclass(frozen=True, eq=False)
class Estimated:
    """One meter over a period.

    Attributes:
        flow: its id; starts: (T,) microseconds UTC; readings: (T,) what was measured of it, NaN where nothing was; meter, tracked: the engine's answers.
        trained: starts of the first and the last row learnt from; stored: (T,) rows that are estimates to keep.
    """

    flow: Flow
    starts: npt.NDArray[np.int64]
    readings: Floats
    stored: Bools
    meter: Meter
    tracked: Tracked
    trained: tuple[int, int]
    digest: str

    @property
    def trusted(self) -> bool:
        """Whether it beat the mean of the last block of readings on blocks it had not seen."""
        return self.meter.skill > 0


@dataclass
class VirtualReport:
    """What was estimated, why others were not, where it is stored.

    Attributes:
        meters: by flow; reasons: by flow, why there is no estimate; records: by flow, ids; receipts: of the batches.
    """

    meters: dict[str, Estimated] = field(default_factory=dict)
    reasons: dict[str, Problem] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    zone: Any = UTC

    def problems(self) -> list[Problem]:
        """The reasons, then for each meter how good it is, its alarms and what it asks for."""
        found = list(self.reasons.values())
        for one in self.meters.values():
            found += _told(one, self.zone)
        return found

    def to_arrow(self) -> pa.Table:
        """One row a step: flow, start (UTC), estimate, low80, high80, low95, high95, domain (above 1 outside), measured (null: not)."""
        import pyarrow as pa

        tables = [_table(one) for one in self.meters.values()]
        return pa.concat_tables(tables) if tables else pa.table({"flow": [], "start": []})

    def validation(self) -> pa.Table:
        """One row a block of time that was predicted from earlier ones: miss, bias, misses of simpler answers, coverage."""
        import pyarrow as pa

        rows = [
            {
                "flow": name,
                "block": number,
                "rows": fold.last - fold.first + 1,
                "miss": fold.mae,
                "bias": fold.bias,
                "miss_of_mean": fold.constant,
                "miss_of_block_before": fold.latest,
                "in80": fold.covered[0],
                "in95": fold.covered[1],
            }
            for name, one in self.meters.items()
            for number, fold in enumerate(one.meter.folds, start=1)
        ]
        return pa.Table.from_pylist(rows)


def virtual(
    park: Handle,
    flow: str | None = None,
    start: str | date | datetime = "",
    end: str | date | datetime | None = None,
    *,
    store: bool = True,
) -> VirtualReport:
    """Estimates the declared virtual meters over a period.

    Args:
        park: the territory.
        flow: id of one estimated flow; all when left out.
        start: a period, or its first instant; what lies before it is learnt from.
        end: first instant that no longer counts.
        store: keep estimates and records.

    Raises:
        RequestError: `virtual.none_declared`, `virtual.unknown`.
    """
    territory = park.territory
    chosen = _chosen(territory, flow)
    span = Span.asked(start, end, territory.tz)
    report = VirtualReport(zone=territory.tz)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        cut = snapshot.cut
        for one in chosen:
            try:
                report.meters[one.flow] = _estimate(snapshot, territory, one, span)
            except (DataQualityError, RequestError) as error:
                report.reasons[one.flow] = _named(error.problem, one.flow)
    if store and report.meters:
        with park.writer() as ledger:
            for name, meter in report.meters.items():
                _store(ledger, report, name, meter, cut)
    return report


def _chosen(territory: Territory, flow: str | None) -> list[VirtualMeter]:
    declared = {one.flow: one for one in territory.virtual}
    if not declared:
        raise RequestError("virtual.none_declared")
    if flow is not None and flow not in declared:
        raise RequestError("virtual.unknown", flow=flow, hint=did_you_mean(flow, declared))
    return [declared[flow]] if flow is not None else list(declared.values())


def _named(problem: Problem, flow: str) -> Problem:
    return Problem(problem.code, {**problem.data, "flow": flow}, problem.where, problem.severity)


def _estimate(snapshot: Snapshot, territory: Territory, declared: VirtualMeter, span: Span) -> Estimated:
    """Fits a meter to what lies before the span and runs it over the span."""
    from mangrove.inference.virtual import fit
    from mangrove.inference.virtual_track import BETWEEN_ALARMS, track
    from mangrove.ledger.types import Quality

    flow = territory.flows[declared.flow]
    step = _step(flow)
    begin, middle, stop = _window(snapshot, span, step)
    starts = np.arange(begin, stop, step, dtype=np.int64)
    counted = (Quality.GOOD, Quality.MANUAL, Quality.FILLED)
    real = (Quality.GOOD, Quality.MANUAL)
    columns = [_aligned(snapshot, territory.flows[name], starts, step, counted) for name in declared.inputs]
    x = np.column_stack(columns)
    own = _aligned(snapshot, flow, starts, step, real)
    reference = own
    if declared.reference is not None:
        source = territory.flows[declared.reference]
        reference = _aligned(snapshot, source, starts, step, real) * source.unit.to(flow.unit)
    past = starts < middle
    meter = fit(x[past], reference[past])
    wanted, apart = _wanted(declared, flow, step)
    tracked = track(meter, x[~past], reference[~past], wanted, between_alarms=apart or BETWEEN_ALARMS)
    learnt = starts[past][np.isfinite(reference[past]) & np.isfinite(x[past]).all(axis=1)]
    kept = np.isnan(own[~past]) & np.isfinite(tracked.value) & ~tracked.outside & (meter.skill > 0)
    digest = sha256(np.ascontiguousarray(x).tobytes() + reference.tobytes()).hexdigest()
    return Estimated(
        flow, starts[~past], own[~past], kept, meter, tracked, (int(learnt[0]), int(learnt[-1])), digest
    )


def _step(flow: Flow) -> int:
    """The step of a flow in microseconds."""
    if flow.step is None or not flow.step.seconds:
        raise RequestError("virtual.no_step", flow=flow.id)
    return flow.step.seconds * _SECOND


def _window(snapshot: Snapshot, span: Span, step: int) -> tuple[int, int, int]:
    """First row, first row of the span, and end, in microseconds; rows lie on the steps of the span."""
    low, high = snapshot.span()
    middle, stop = (to_us(moment) for moment in (span.start, span.end))
    earliest = max(low, middle - int(_HISTORY.total_seconds()) * _SECOND)
    before = max((middle - earliest) // step, 0)
    return middle - before * step, middle, max(min(stop, high + step), middle + step)


def _aligned(snapshot: Snapshot, flow: Flow, starts: npt.NDArray[np.int64], step: int, codes: Any) -> Floats:
    """The values of a flow on the rows that begin at `starts`, (T,): means of rates and states, sums of amounts.

    A value of a longer step holds for all rows inside it (an amount is spread evenly); a row that is not covered by half is NaN.
    """
    from mangrove.inference.runs import read_series

    own = _step(flow)
    if flow.semantics == "counter":
        raise RequestError("virtual.counter", flow=flow.id)
    series = read_series(snapshot, flow.id, int(starts[0]) - own, int(starts[-1]) + step)
    series = series.pick(np.isin(series.quality, [int(code) for code in codes]))
    found = np.full(len(starts), np.nan)
    if not len(series):
        return found
    if own > step:
        at = np.searchsorted(series.start, starts, side="right") - 1
        inside = (at >= 0) & (starts - series.start[at] < own)
        scale = step / own if flow.semantics == "sum" else 1.0
        return np.where(inside, series.value[at] * scale, np.nan)
    row = (series.start - starts[0]) // step
    use = (row >= 0) & (row < len(starts))
    count = np.bincount(row[use], minlength=len(starts))
    total = np.bincount(row[use], series.value[use], minlength=len(starts))
    enough = count * own >= step / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    return np.where(enough, mean * (step / own) if flow.semantics == "sum" else mean, np.nan)


def _wanted(declared: VirtualMeter, flow: Flow, step: int) -> tuple[Wanted, float]:
    """What the declaration wants: `every`, `limit`, `width`, `campaign`, `between_alarms`."""
    from mangrove.inference.virtual_track import Wanted

    def value(name: str, unit: Any) -> float | None:
        given = declared.parameters.get(name)
        if given is None:
            return None
        quantity = given if isinstance(given, Quantity) else Quantity.parse(str(given))
        return quantity.to(unit)

    hours = step / _SECOND / 3600
    every, campaign = value("every", "h"), value("campaign", "h")
    limit, width = value("limit", flow.unit), value("width", flow.unit)
    wanted = Wanted(
        every=np.inf if every is None else every / hours,
        limit=np.inf if limit is None else limit,
        width=np.inf if width is None else width,
        longest=24 if campaign is None else max(round(campaign / hours), 1),
    )
    return wanted, value("between_alarms", "1") or 0.0


def _store(ledger: Ledger, report: VirtualReport, name: str, one: Estimated, cut: int) -> None:
    """Keeps the record, then the estimates with it as an input; the same estimates again change nothing."""
    import pyarrow as pa

    from mangrove.ledger import Origin, Quality

    record = ledger.put_record(KIND, json.dumps(_document(one, cut), sort_keys=True).encode())
    report.records[name] = record
    rows = np.flatnonzero(one.stored)
    if not len(rows):
        return
    table = pa.table(
        {
            "flow": pa.array([name] * len(rows), pa.string()),
            "start": pa.array(one.starts[rows]).cast(pa.timestamp("us", tz="UTC")),
            "value": pa.array(one.tracked.value[rows]),
            "quality": pa.array(np.full(len(rows), int(Quality.FILLED), np.uint8)),
        }
    )
    inputs = (f"cut:{cut}", f"record:{record}", f"values:{one.digest}")
    note = f"virtual meter ({one.meter.name}), skill over the block before {one.meter.skill:.2f}"
    origin = Origin("model:virtual", f"estimate:{record}", "estimate", MODEL, VERSION, inputs, note)
    report.receipts.append(ledger.append(table, origin))


def _document(one: Estimated, cut: int) -> dict[str, Any]:
    """The record: model card, validation, campaigns, alarms, requests."""
    meter, tracked = one.meter, one.tracked
    return {
        "flow": one.flow.id,
        "unit": one.flow.unit.text,
        "model": MODEL,
        "version": VERSION,
        "cut": cut,
        "inputs": one.digest,
        "start": _written(int(one.starts[0])),
        "end": _written(int(one.starts[-1])),
        "card": {
            "chosen": meter.name,
            "misses": meter.misses,
            "trained": [_written(moment) for moment in one.trained],
            "rows": round(meter.length * (len(meter.folds) + 3)),
            "skill": meter.skill,
            "lasting": meter.memory.lasting**0.5,
            "fading": meter.memory.fading**0.5,
            "fading_rows": meter.memory.rows,
            "domain_rate": meter.domain.rate,
        },
        "validation": [
            {
                "miss": fold.mae, "bias": fold.bias, "constant": fold.constant, "latest": fold.latest,
                "in80": fold.covered[0], "in95": fold.covered[1],
            }
            for fold in meter.folds
        ],
        "campaigns": [
            {
                "first": _written(int(one.starts[c.first])), "last": _written(int(one.starts[c.last])),
                "readings": c.readings, "before": c.before, "after": c.after, "surprise": c.surprise, "drift": c.alarm,
            }
            for c in tracked.campaigns
        ],
        "outside": int(tracked.outside.sum()),
        "requests": [
            {"from": _written(int(one.starts[r.row])), "reasons": list(r.reasons)} for r in tracked.requests
        ],
        "estimates": int(one.stored.sum()),
    }  # fmt: skip


def _told(one: Estimated, zone: Any) -> list[Problem]:
    """How good a meter is, what it found, what it asks for."""
    flow, unit = one.flow.id, _unit(one)
    found = [_card(one, zone)]
    if not one.trusted:
        found.append(Problem("virtual.no_skill", {"flow": flow}, severity="warning"))
    campaigns = one.tracked.campaigns
    if campaigns:
        data = {
            "count": len(campaigns),
            "before": _short(campaigns[-1].before),
            "after": _short(campaigns[-1].after),
        }
        start = _day(int(one.starts[campaigns[-1].first]), zone)
        found.append(
            Problem(
                "virtual.recalibrated", {"flow": flow, "unit": unit, "start": start, **data}, severity="note"
            )
        )

    def call(code: str, row: int, **data: Any) -> None:
        start = _day(int(one.starts[row]), zone)
        found.append(Problem(f"virtual.{code}", {"flow": flow, "start": start, **data}, severity="warning"))

    for campaign in campaigns:
        if campaign.alarm:
            call("drift", campaign.first, surprise=_short(campaign.surprise))
    outside = np.flatnonzero(one.tracked.outside)
    if len(outside):
        call("outside", int(outside[0]), count=len(outside))
    for request in one.tracked.requests:
        for reason in request.reasons:
            call(f"ask_{reason}", request.row)
    rows = {"flow": flow, "count": int(one.stored.sum()), "all": len(one.starts)}
    return [*found, Problem("virtual.estimates", rows, severity="note")]


def _card(one: Estimated, zone: Any) -> Problem:
    """What a meter is and how it did on blocks that it had not seen."""
    folds = one.meter.folds

    def mean(values: Iterable[float]) -> float:
        return _short(float(np.mean(list(values))))

    card = {
        "flow": one.flow.id,
        "model": Sentence(f"virtual.model_{one.meter.name.replace(' ', '_')}"),
        "first": _day(one.trained[0], zone),
        "last": _day(one.trained[1], zone),
        "miss": mean(fold.mae for fold in folds),
        "latest": mean(fold.latest for fold in folds),
        "constant": mean(fold.constant for fold in folds),
        "unit": _unit(one),
        "in80": mean(100 * fold.covered[0] for fold in folds),
        "in95": mean(100 * fold.covered[1] for fold in folds),
    }
    return Problem("virtual.card", card, severity="note")


def _unit(one: Estimated) -> str:
    """The unit as it follows a number, with its space; nothing for a pure number."""
    text = one.flow.unit.text
    return "" if text == "1" else f" {text}"


def _short(value: float) -> float:
    """Three digits are enough for people."""
    return float(f"{value:.3g}")


def _table(one: Estimated) -> pa.Table:
    import pyarrow as pa

    from mangrove.inference.virtual import names_of

    def column(values: Floats) -> pa.Array:
        return pa.array(values, mask=~np.isfinite(values))

    edges = dict(zip(names_of(), one.tracked.bounds, strict=True))
    return pa.table(
        {
            "flow": pa.array([one.flow.id] * len(one.starts), pa.string()),
            "start": pa.array(one.starts).cast(pa.timestamp("us", tz="UTC")),
            "estimate": column(one.tracked.value),
            **{name: column(edges[name]) for name in ("low80", "high80", "low95", "high95")},
            "domain": column(one.tracked.distance),
            "measured": column(one.readings),
        }
    )


def _written(us: int) -> str:
    return from_us(us).isoformat()


def _day(us: int, zone: Any) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
        .astimezone(zone)
        .strftime("%Y-%m-%d %H:%M")
    )


make_callable(__name__)
