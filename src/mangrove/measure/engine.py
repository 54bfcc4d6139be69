# SPDX-License-Identifier: Apache-2.0
"""The formula on one snapshot: amounts x coefficients, in any view, with the variance of every number.

Comes in: a `Plan` and an open `Snapshot`. Goes out: Arrow columns of kilograms, CO2 equivalents, variances and covered hours
per group, label and time bucket. All sums are plain SQL over tables registered here; only first-order decay, which
remembers years, is computed before and handed in as amounts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources

import pyarrow as pa

from mangrove.ledger import COUNTED, Quality, Snapshot
from mangrove.measure.plan import Line, Plan, hours_per_value, is_coarse, is_rate
from mangrove.territory.model import Flow
from mangrove.times import HOUR, Step

_TIME = pa.timestamp("us")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = Step(months=12)


@cache
def _sql(name: str) -> str:
    return (resources.files("mangrove.measure") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class View:
    """How lines and places are grouped.

    Attributes:
        members: `(flow, group, share)`: the share of the flow that belongs to the group.
        labels: for every line its label, a small integer.
    """

    members: Sequence[tuple[str, int, float]]
    labels: Sequence[int]


class Engine:
    """One plan on one snapshot; every view of it is one query.

    Args:
        plan: what to measure.
        snapshot: an open snapshot of the ledger; its connection gets the engine's tables.
        reading_plan: how the ledger sums readings (`auto`, `rollup`, `raw` or `naive`).
    """

    def __init__(self, plan: Plan, snapshot: Snapshot, *, reading_plan: str = "auto") -> None:
        self.plan = plan
        self.snapshot = snapshot
        self._ids = snapshot.flow_ids()
        self._bucket = _stored_bucket(plan.question.every)
        self.starts = bucket_starts(plan)
        self._segments = sorted({*self.starts, *plan.edges()})
        self._register_amounts(reading_plan)
        self._register_lines()

    def emissions(self, view: View) -> pa.Table:
        """Columns grp, label, bucket (int32), kg, co2e (float64), one row per combination that has values."""
        self._register_view(view)
        return self._run(_sql("emission"))

    def variances(self, view: View) -> pa.Table:
        """Columns grp, label, bucket, kg_variance, co2e_variance; groups without any stated error are absent."""
        self._register_view(view)
        return self._run(_sql("variance"))

    def coverage(self, view: View) -> pa.Table:
        """Columns grp, bucket (int32), hours (float64): flow-hours covered by counted values."""
        self._register_view(view)
        return self._run(_sql("coverage"))

    def counts(self) -> pa.Table:
        """Per flow of the plan: key, amount, hours, n, n_excluded, n_estimated; flows without any value are absent."""
        return self._run(
            "select f.key, sum(a.total) as amount, sum(a.hours) as hours, sum(a.n)::bigint as n, "
            "sum(a.n_excluded)::bigint as n_excluded, sum(a.n_estimated)::bigint as n_estimated "
            "from amount a join flow f on f.flow = a.flow group by f.key order by f.key"
        )

    def _run(self, sql: str) -> pa.Table:
        return self.snapshot.connection.sql(sql).to_arrow_table()

    def _register(self, name: str, columns: dict[str, tuple[pa.DataType, Sequence[object]]]) -> None:
        arrays = {column: pa.array(values, type=kind) for column, (kind, values) in columns.items()}
        self.snapshot.connection.register(name, pa.table(arrays))

    # Amounts

    def _register_amounts(self, reading_plan: str) -> None:
        plan, span = self.plan, self.plan.question.span
        responses = {line.flow for line in plan.lines if line.response}
        plain = [
            f
            for f in plan.flows.values()
            if f.id in self._ids and f.id not in responses and f.id not in plan.products
        ]
        fine = [f for f in plain if not is_coarse(f, self._bucket)]
        edges = [moment for moment in self._segments if (moment - _EPOCH) % self._bucket]
        self.snapshot.activity(
            span.start,
            span.end,
            flows=[f.id for f in fine],
            edges=edges,
            bucket=_as_step(self._bucket),
            plan=reading_plan,
            view="fine",
        )
        scales = [(hours_per_value(f) or 1.0) if is_rate(f) else 1.0 for f in fine]
        self._register(
            "flow_scale",
            {
                "flow": (pa.int32(), [self._ids[f.id] for f in fine]),
                "scale": (pa.float64(), scales),
                "step_hours": (pa.float64(), [hours_per_value(f) for f in fine]),
            },
        )
        coarse = [f for f in plain if is_coarse(f, self._bucket)]
        rows = [*self._coarse(coarse), *self._products(), *self._responses()]
        self._register_coarse(rows)
        self._register_segments(edges)
        self.snapshot.connection.execute(_sql("amount"))

    def _coarse(self, flows: Sequence[Flow]) -> Iterator[_Stretch]:
        """Values that last longer than a stored bucket, as stretches of time."""
        span, tz = self.plan.question.span, self.plan.territory.tz
        for step in {flow.step for flow in flows if flow.step}:
            ids = {flow.id: flow for flow in flows if flow.step == step}
            first = span.start - timedelta(hours=step.hours * 1.1)
            table = self.snapshot.values(list(ids), first, span.end)
            for key, start, value, quality in zip(
                *_columns(table, "flow", "start", "value", "quality"), strict=True
            ):
                stop = step.after(start, tz)
                if stop > span.start:
                    yield _stretch(self._ids[key], (start, stop), value, quality, rate=is_rate(ids[key]))

    def _products(self) -> Iterator[_Stretch]:
        """Products of two flows at equal instants; each lasts one step of the first."""
        pairs = {a: b for a, b in self.plan.products.items() if a in self._ids and b in self._ids}
        if not pairs:
            return
        span = self.plan.question.span
        self._register(
            "product",
            {
                "flow": (pa.int32(), [self._ids[a] for a in pairs]),
                "with_flow": (pa.int32(), [self._ids[b] for b in pairs.values()]),
            },
        )
        sql = _sql("product").replace("$first", _literal(span.start)).replace("$last", _literal(span.end))
        flows = {self._ids[a]: self.plan.flows[a] for a in pairs}
        for flow, start, value, counted, estimated in zip(
            *_columns(self._run(sql), "flow", "start", "value", "counted", "estimated"), strict=True
        ):
            declared = flows[flow]
            begin = start.replace(tzinfo=UTC)
            stop = (declared.step or Step(seconds=3600)).after(begin, self.plan.territory.tz)
            quality = (Quality.FILLED if estimated else Quality.GOOD) if counted else Quality.FAULT
            yield _stretch(flow, (begin, stop), value, quality, rate=is_rate(declared))

    def _responses(self) -> Iterator[_Stretch]:
        """Releases after deposits (first-order decay): kilograms per calendar year, from all deposits known."""
        span, tz = self.plan.question.span, self.plan.territory.tz
        lines = [line for line in self.plan.lines if line.response and line.flow in self._ids]
        deposits = {flow: self._deposits(flow) for flow in {line.flow for line in lines}}
        start = _YEAR.floor(span.start, tz)
        while start < span.end:
            stop = _YEAR.after(start, tz)
            year = start.astimezone(tz).year
            for line in lines:
                yield _Stretch(
                    flow=_response_id(line),
                    t0=_us(start),
                    t1=_us(stop),
                    per_us=_released(line, deposits[line.flow], year) / (_us(stop) - _us(start)),
                    counted=1,
                )
            start = stop

    def _deposits(self, flow: str) -> dict[int, float]:
        """Amount deposited per local calendar year, over the whole history."""
        tz = self.plan.territory.tz
        table = self.snapshot.values([flow], _EPOCH, self.plan.question.span.end)
        years: dict[int, float] = {}
        for start, value, quality in zip(*_columns(table, "start", "value", "quality"), strict=True):
            if quality in COUNTED:
                year = start.astimezone(tz).year
                years[year] = years.get(year, 0.0) + value
        return years

    def _register_coarse(self, rows: Sequence[_Stretch]) -> None:
        self._register(
            "coarse",
            {
                "flow": (pa.int32(), [row.flow for row in rows]),
                "t0": (pa.int64(), [row.t0 for row in rows]),
                "t1": (pa.int64(), [row.t1 for row in rows]),
                "per_us": (pa.float64(), [row.per_us for row in rows]),
                "counted": (pa.int64(), [row.counted for row in rows]),
                "excluded": (pa.int64(), [row.excluded for row in rows]),
                "estimated": (pa.int64(), [row.estimated for row in rows]),
            },
        )

    def _register_segments(self, edges: Sequence[datetime]) -> None:
        """`segment`: the pieces that coarse values are cut into; `slot`: the bucket of every instant that an amount can start at."""
        span = self.plan.question.span
        bounds = [*self._segments, span.end]
        self._register(
            "segment",
            {
                "start": (_TIME, [_naive(moment) for moment in self._segments]),
                "t0": (pa.int64(), [_us(moment) for moment in bounds[:-1]]),
                "t1": (pa.int64(), [_us(moment) for moment in bounds[1:]]),
            },
        )
        first = span.start - (span.start - _EPOCH) % self._bucket
        count = -((first - span.end) // self._bucket)
        instants = (
            {max(first + i * self._bucket, span.start) for i in range(count)}
            | set(edges)
            | set(self._segments)
        )
        ordered = sorted(instants)
        buckets, position = [], -1
        for moment in ordered:
            while position + 1 < len(self.starts) and self.starts[position + 1] <= moment:
                position += 1
            buckets.append(position)
        self._register(
            "slot", {"start": (_TIME, [_naive(m) for m in ordered]), "bucket": (pa.int32(), buckets)}
        )

    # Lines and views

    def _line_flow(self, line: Line) -> int:
        return _response_id(line) if line.response else self._ids.get(line.flow, -1)

    def _register_lines(self) -> None:
        errors = self.plan.errors()
        ids = {name: number for number, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
        self._register(
            "error",
            {
                "line": (pa.int32(), [line for line, _, _ in errors]),
                "error": (pa.int32(), [ids[name] for _, name, _ in errors]),
                "sd": (pa.float64(), [sd for _, _, sd in errors]),
            },
        )

    def _register_view(self, view: View) -> None:
        lines = self.plan.lines
        self._register(
            "coefficient",
            {
                "line": (pa.int32(), [line.index for line in lines]),
                "flow": (pa.int32(), [self._line_flow(line) for line in lines]),
                "label": (pa.int32(), view.labels),
                "kg": (pa.float64(), [line.kg for line in lines]),
                "weight": (pa.float64(), [line.weight for line in lines]),
                "valid_from": (_TIME, [_naive(line.valid_from) for line in lines]),
                "valid_to": (_TIME, [_naive(line.valid_to) for line in lines]),
            },
        )
        by_flow: dict[str, list[int]] = {}
        for line in lines:
            number = self._line_flow(line)
            if number not in by_flow.setdefault(line.flow, []):
                by_flow[line.flow].append(number)
        rows = [
            (number, group, share) for flow, group, share in view.members for number in by_flow.get(flow, [])
        ]
        self._register(
            "member",
            {
                "flow": (pa.int32(), [row[0] for row in rows]),
                "grp": (pa.int32(), [row[1] for row in rows]),
                "share": (pa.float64(), [row[2] for row in rows]),
            },
        )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """An amount spread evenly over `[t0, t1)` (microseconds since 1970), per microsecond."""

    flow: int
    t0: int
    t1: int
    per_us: float
    counted: int = 0
    excluded: int = 0
    estimated: int = 0


def _stretch(
    flow: int, interval: tuple[datetime, datetime], value: float | None, quality: int, *, rate: bool
) -> _Stretch:
    t0, t1 = _us(interval[0]), _us(interval[1])
    if quality not in COUNTED or value is None:
        return _Stretch(flow, t0, t1, 0.0, excluded=int(quality != Quality.MISSING))
    per_us = value / 3_600_000_000 if rate else value / (t1 - t0)
    return _Stretch(flow, t0, t1, per_us, counted=1, estimated=int(quality == Quality.FILLED))


def _released(line: Line, deposits: dict[int, float], year: int) -> float:
    """Kilograms released in `year` by all earlier deposits (IPCC 2006, Vol. 5, Ch. 3, eq. 3.4 to 3.6)."""
    kernel = line.response.kernel if line.response else ()
    return sum(
        amount * kernel[year - then] for then, amount in deposits.items() if 0 <= year - then < len(kernel)
    )


def _response_id(line: Line) -> int:
    """A flow number of its own for the kilograms that a response releases; stored flows count from 0 or 1 up."""
    return -1000 - line.index


def bucket_starts(plan: Plan) -> list[datetime]:
    """The UTC starts of the buckets of the question; the first is the start of the span."""
    span, every, tz = plan.question.span, plan.question.every, plan.territory.tz
    if every is None:
        return [span.start]
    starts = [span.start]
    moment = every.after(every.floor(span.start, tz), tz)
    while moment < span.end:
        starts.append(moment)
        moment = every.after(moment, tz)
    return starts


def _stored_bucket(every: Step | None) -> timedelta:
    """The bucket that the ledger sums into: an hour, or the asked step when it is finer."""
    return min(timedelta(seconds=every.seconds), HOUR) if every and every.seconds else HOUR


def _as_step(bucket: timedelta) -> Step:
    return Step(seconds=int(bucket.total_seconds()))


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _literal(moment: datetime) -> str:
    return f"timestamp '{_naive(moment).isoformat(sep=' ')}'"


def _columns(table: pa.Table, *names: str) -> list[list[object]]:
    return [table.column(name).to_pylist() for name in names]
