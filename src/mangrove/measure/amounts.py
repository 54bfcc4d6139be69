# SPDX-License-Identifier: Apache-2.0
"""From the values of the ledger to amounts: how much of every flow lies in every segment of time.

Comes in: a plan, its time line and a snapshot. Goes out: the table `amount` on the snapshot's connection, in the flow's unit
(rates already multiplied by hours). Two rules give the time of a value, whatever is asked:

- a value that stands for at most an hour counts where it starts;
- a longer one is spread evenly over the time that it stands for.

So roll-ups serve the first kind, and a span that cuts through a month takes its share of a monthly value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from string import Template
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mangrove.ledger import COUNTED, Quality, Snapshot
from mangrove.measure.plan import Line, Plan, hours_per_value, is_rate
from mangrove.measure.timeline import EPOCH, Ints, Timeline, instants, microseconds
from mangrove.territory.model import Flow
from mangrove.times import HOUR, Step

_YEAR = Step(months=12)
_LONGEST = 1.1
"""How much longer than its mean a step of the calendar may be: a month has up to 31 days, a day up to 25 hours."""
_HOUR_US = 3_600_000_000
Mask: TypeAlias = NDArray[np.bool_]
_STRETCH = pa.schema(
    [
        ("flow", pa.int32()),
        ("t0", pa.int64()),
        ("t1", pa.int64()),
        ("total", pa.float64()),
        ("hours", pa.float64()),
        *((name, pa.bool_()) for name in ("n", "n_excluded", "n_estimated")),
    ]
)
"""An amount that is spread evenly over `[t0, t1)`, microseconds since 1970."""


@cache
def sql(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return (resources.files("mangrove.measure") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def table(columns: Mapping[str, tuple[pa.DataType, Any]]) -> pa.Table:
    """A table from columns `name: (type, values)`."""
    return pa.table({name: pa.array(values, type=kind) for name, (kind, values) in columns.items()})


def read(plan: Plan, timeline: Timeline, snapshot: Snapshot, reading_plan: str = "auto") -> None:
    """Makes the table `amount(flow, segment, total, hours, n, n_excluded, n_estimated)` on the snapshot's connection.

    What is excluded or estimated is counted for the span as a whole only; with buckets these two columns are zero.

    Args:
        plan: which flows take part; `flow` is their position in it (see `Plan.sources`).
        timeline: the segments.
        snapshot: an open snapshot.
        reading_plan: how the ledger sums short values: `auto`, `rollup`, `raw` or `naive`.
    """
    reader = _Reader(plan, timeline, snapshot)
    reader.register_short(reading_plan)
    reader.register_stretches()
    whole = plan.question.every is None
    counts = "a.n_excluded, a.n_estimated" if whole else "0 as n_excluded, 0 as n_estimated"
    rows = Template(sql("amount")).substitute(counts=counts)
    if timeline.is_coarse:
        rows = Template(sql("amount_sums")).substitute(rows=rows)
    snapshot.connection.execute(f"create or replace temp table amount as {rows}")


class _Reader:
    """Reads the values of one plan."""

    def __init__(self, plan: Plan, timeline: Timeline, snapshot: Snapshot) -> None:
        self.plan, self.timeline, self.snapshot = plan, timeline, snapshot
        self.tz = plan.territory.tz
        self.numbers = plan.sources()
        known = snapshot.flow_ids()
        self.ids = {flow: known[key] for flow in plan.territory.flows if (key := plan.series(flow)) in known}
        stored = [
            flow for flow in plan.flows.values() if flow.id in self.ids and flow.id not in plan.products
        ]
        self.short = [flow for flow in stored if not _is_longer(flow, timeline.stored)]
        self.long = [flow for flow in stored if _is_longer(flow, timeline.stored)]

    def register_short(self, reading_plan: str) -> None:
        """`fine`: sums of short values by stored bucket; `source`: their flows; `slot`: the segments of their starts."""
        window, flows = self.timeline.window, self.short
        self.snapshot.activity(
            window.start,
            window.end,
            flows=[self.plan.series(flow.id) for flow in flows],
            edges=self.timeline.cuts(),
            bucket=Step(seconds=int(self.timeline.stored.total_seconds())),
            plan=reading_plan,
            view="fine",
        )
        self._register(
            "source",
            {
                "stored": (pa.int32(), [self.ids[flow.id] for flow in flows]),
                "flow": (pa.int32(), [self.numbers[flow.id] for flow in flows]),
                "scale": (pa.float64(), [_scale(flow) for flow in flows]),
                "step_hours": (pa.float64(), [hours_per_value(flow) for flow in flows]),
                "most_hours": (
                    pa.float64(),
                    [None if flow.step is None else self.timeline.stored / HOUR for flow in flows],
                ),
            },
        )
        starts, segments = self.timeline.slots()
        self.snapshot.connection.register(
            "slot",
            pa.table(
                {
                    "start": pa.array(starts, pa.int64()).cast(pa.timestamp("us")),
                    "segment": pa.array(segments, pa.int32()),
                }
            ),
        )

    def register_stretches(self) -> None:
        """`stretch`: amounts that are spread over a stretch of time; `segment`: the pieces that they are cut into."""
        found = [*self._long(), *self._products(), *self._responses()]
        self.snapshot.connection.register("stretch", pa.concat_tables([_STRETCH.empty_table(), *found]))
        bounds = self.timeline.bounds()
        self._register(
            "segment",
            {
                "segment": (pa.int32(), np.arange(len(bounds) - 1)),
                "t0": (pa.int64(), bounds[:-1]),
                "t1": (pa.int64(), bounds[1:]),
            },
        )

    def _register(self, name: str, columns: Mapping[str, tuple[pa.DataType, Any]]) -> None:
        self.snapshot.connection.register(name, table(columns))

    # Values that are spread over the time that they stand for

    def _long(self) -> Iterator[pa.Table]:
        """Values that last longer than a stored bucket."""
        for step in sorted({flow.step for flow in self.long if flow.step}, key=str):
            flows = {flow.id: flow for flow in self.long if flow.step == step}
            rows = self._values(list(flows), self._first(step))
            yield self._lasting(step, flows, rows)

    def _products(self) -> Iterator[pa.Table]:
        """Products of two flows at equal instants; each lasts one step of the first."""
        pairs = {a: b for a, b in self.plan.products.items() if a in self.ids and b in self.ids}
        for step in sorted({self.plan.flows[a].step or Step(seconds=1) for a in pairs}, key=str):
            flows = {a: self.plan.flows[a] for a in pairs if (self.plan.flows[a].step or step) == step}
            both = list(dict.fromkeys([*flows, *(pairs[a] for a in flows)]))
            values = self._values(both, self._first(step))
            connection = self.snapshot.connection
            connection.register("operand", values)
            connection.register(
                "product", pa.table({"flow": list(flows), "other": [pairs[a] for a in flows]})
            )
            yield self._lasting(step, flows, connection.sql(sql("product")).to_arrow_table())

    def _values(self, flows: Sequence[str], first: datetime) -> pa.Table:
        return current(self.plan, self.snapshot, flows, first, self.timeline.window.end)

    def _first(self, step: Step) -> datetime:
        """The start of the earliest value that can reach into the window."""
        window, span = self.timeline.window, self.plan.question.span
        first = window.start - timedelta(hours=step.hours * _LONGEST)
        return max(first, span.start) if step.hours * HOUR <= HOUR else first

    def _lasting(self, step: Step, flows: Mapping[str, Flow], rows: pa.Table) -> pa.Table:
        """Values of flows with one step, as stretches; `rows` has the columns flow, start, value, quality."""
        names = list(flows)
        index = pc.index_in(rows.column("flow"), pa.array(names)).to_numpy()
        start = rows.column("start").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
        value = rows.column("value").to_numpy().astype(float)
        quality = rows.column("quality").to_numpy()
        nominal = _after(step, start, self.tz)
        stop = nominal
        if step.hours * HOUR <= HOUR:
            clips = np.append(self.timeline.clips, np.iinfo(np.int64).max)
            stop = np.minimum(nominal, clips[np.searchsorted(clips, start, side="right")])
        hours = (nominal - start) / _HOUR_US
        rate = np.array([is_rate(flow) for flow in flows.values()], dtype=bool)[index]
        counted = np.isin(quality, [int(code) for code in COUNTED]) & ~np.isnan(value)
        made = {
            "flow": np.array([self.numbers[name] for name in names])[index],
            "t0": start,
            "t1": stop,
            "total": np.where(rate, value * hours, value),
            "hours": hours,
            "n": counted,
            "n_excluded": ~counted & (quality != Quality.MISSING),
            "n_estimated": counted & (quality == Quality.FILLED),
        }
        keep = stop > microseconds(self.timeline.window.start)
        return _stretches({name: column[keep] for name, column in made.items()}, counted[keep])

    # Releases after deposits

    def _responses(self) -> Iterator[pa.Table]:
        """Kilograms that first-order decay releases in each calendar year, from all deposits known."""
        lines = [line for line in self.plan.lines if line.response and line.flow in self.ids]
        if not lines:
            return
        years = calendar_years(self.timeline.window.start, self.timeline.window.end, self.tz)
        history = deposits(self.plan, self.snapshot, {line.flow for line in lines}, years[-1][2])
        rows = [(line, *year) for line in lines for year in years]
        made = {
            "flow": [self.plan.source_of(line) for line, *_ in rows],
            "t0": [microseconds(start) for _, _, start, _ in rows],
            "t1": [microseconds(stop) for *_, stop in rows],
            "total": np.array([released(line, history[line.flow], year) for line, year, _, _ in rows]),
            "hours": np.zeros(len(rows)),
            **dict.fromkeys(("n", "n_excluded", "n_estimated"), np.zeros(len(rows), dtype=bool)),
        }
        yield _stretches(made, np.ones(len(rows), dtype=bool))


def current(plan: Plan, snapshot: Snapshot, flows: Sequence[str], start: datetime, end: datetime) -> pa.Table:
    """The current values of `flows` in the run that is asked about, under the flows' own ids; see `Snapshot.values`."""
    keys = [plan.series(flow) for flow in flows]
    rows = snapshot.values(keys, start, end)
    if keys == list(flows) or not rows.num_rows:
        return rows
    names = pa.array(flows).take(pc.index_in(rows.column("flow").combine_chunks(), pa.array(keys)))
    return rows.set_column(0, "flow", names)


def calendar_years(start: datetime, end: datetime, tz: Any) -> list[tuple[int, datetime, datetime]]:
    """The local calendar years that touch a span: year, start and end in UTC."""
    found = []
    moment = _YEAR.floor(start, tz)
    while moment < end:
        stop = _YEAR.after(moment, tz)
        found.append((moment.astimezone(tz).year, moment, stop))
        moment = stop
    return found


def deposits(
    plan: Plan, snapshot: Snapshot, flows: Collection[str], end: datetime
) -> dict[str, dict[int, float]]:
    """The amounts of each flow by local calendar year, from the beginning of the ledger to `end`."""
    found: dict[str, dict[int, float]] = {name: {} for name in flows}
    rows = current(plan, snapshot, sorted(flows), EPOCH, end)
    counted = pc.is_in(rows.column("quality"), pa.array([int(code) for code in COUNTED], pa.uint8()))
    for name, start, value in zip(
        *(rows.filter(counted).column(column).to_pylist() for column in ("flow", "start", "value")),
        strict=True,
    ):
        year = start.astimezone(plan.territory.tz).year
        found[name][year] = found[name].get(year, 0.0) + value
    return found


def released(line: Line, history: Mapping[int, float], year: int) -> float:
    """Kilograms released in `year` by all earlier deposits (IPCC 2006, Vol. 5, Ch. 3, eq. 3.4 to 3.6)."""
    kernel = line.response.kernel if line.response else ()
    return sum(
        amount * kernel[year - then]
        for then, amount in sorted(history.items())
        if 0 <= year - then < len(kernel)
    )


def _stretches(rows: Mapping[str, Any], counted: Mask) -> pa.Table:
    """Rows of `stretch`; an amount that is not counted is null and stands for no hours."""
    columns = {field.name: pa.array(rows[field.name], field.type) for field in _STRETCH if field.name in rows}
    columns["total"] = pa.array(rows["total"], pa.float64(), mask=~counted)
    columns["hours"] = pa.array(np.where(counted, rows["hours"], 0.0))
    return pa.table(columns).select(_STRETCH.names)


def _after(step: Step, start: Ints, tz: Any) -> Ints:
    """The ends of values that start at `start`; days and months follow the calendar."""
    if step.seconds and step.seconds % 86400:
        return start + step.seconds * 1_000_000
    unique, position = np.unique(start, return_inverse=True)
    moments = [step.after(EPOCH + timedelta(microseconds=int(moment)), tz) for moment in unique]
    return instants(moments)[position]


def _is_longer(flow: Flow, stored: timedelta) -> bool:
    """Whether one value lasts longer than a stored bucket."""
    return flow.step is not None and flow.step.hours * HOUR > stored


def _scale(flow: Flow) -> float:
    """Hours of one value of a rate; 1 for an amount."""
    return (hours_per_value(flow) or 0.0) if is_rate(flow) else 1.0
