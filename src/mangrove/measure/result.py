# SPDX-License-Identifier: Apache-2.0
"""The answer: an Arrow table of emissions with intervals, and every other view of the same measurement.

Comes in: a plan and a snapshot that stays as it was (a cut of the ledger). Goes out: tables by any columns and time step, flow
totals for official reports, gaps; each view is computed from the same amounts and coefficients, so they always agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mangrove.errors import MissingExtraError, Problem, RequestError
from mangrove.ledger import Ledger
from mangrove.measure import uncertainty
from mangrove.measure.engine import Engine, View, bucket_starts
from mangrove.measure.plan import Plan
from mangrove.measure.question import GAS_COLUMNS, Question, resolve
from mangrove.territory import Flow, Territory, level_of, shares
from mangrove.times import Step

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from mangrove.measure.explain import Explanation


_COMPLETE = 0.9995
"""Coverage that is shown as complete: it prints as 100.0 % or 99.9 %."""


@dataclass(frozen=True, slots=True)
class FlowCount:
    """How much of a flow stands behind a measurement.

    Attributes:
        amount: sum in the flow's unit (rates: times hours); coverage: share of the period with counted values, None
            when the step varies; counted, excluded, estimated: numbers of values.
    """

    flow: str
    amount: float
    coverage: float | None
    counted: int
    excluded: int
    estimated: int


@dataclass(frozen=True, slots=True)
class FlowEmission:
    """Emissions of one gas from one flow over the whole span: the leaves that all official tables add up."""

    flow: str
    gas: str
    account: str
    amount: float
    kg: float
    co2e: float
    line: int


class Emissions:
    """The result of a measurement.

    It is an Arrow table (`to_arrow`, `to_pandas`, `to_polars`) whose rows can be explained, and it answers every other
    view of the same question with `table(by=..., every=...)`.

    Attributes:
        plan: everything but the values; cut: the last batch of the ledger that counts; record: id of the stored
            measurement, empty when it was not stored.
    """

    def __init__(
        self, plan: Plan, folder: Path, cut: int, *, record: str = "", reading_plan: str = "auto"
    ) -> None:
        self.plan = plan
        self.cut = cut
        self.record = record
        self.folder = folder
        self._reading_plan = reading_plan

    # The table asked for

    @cached_property
    def _table(self) -> pa.Table:
        return self.table(by=self.plan.question.by, every=self.plan.question.every)

    def to_arrow(self) -> pa.Table:
        """Columns: those of `by`; `start` (UTC) when `every` is given; `kg`, `kg_low`, `kg_high` when grouped by gas;
        `co2e_kg`, `co2e_low`, `co2e_high` with a GWP set (95 % interval); `coverage` (share of flow-hours with values)."""  # noqa: D205, D209 - one list of columns
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas frame; raises `MissingExtraError` without pandas."""
        try:
            import pandas as pd  # noqa: F401 - only to say which extra is missing
        except ImportError:
            raise MissingExtraError("pandas") from None
        return self._table.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The table as a Polars frame; raises `MissingExtraError` without Polars."""
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError("polars") from None
        frame = pl.from_arrow(self._table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        question = self.plan.question
        return f"<Emissions {self.plan.territory.name}: {len(self)} rows by {', '.join(question.by) or 'nothing'}, {question.gwp}>"

    def explain(self, row: int = 0) -> Explanation:
        """The arithmetic behind one row of the table, down to batches, factors and documents.

        Raises:
            RequestError: `measure.no_such_row`.
        """
        from mangrove.measure.explain import explain_row

        if not 0 <= row < len(self):
            raise RequestError("measure.no_such_row", row=row, count=len(self))
        return explain_row(self, self._table.slice(row, 1).to_pylist()[0])

    def plot(self, *, lang: str = "en") -> Any:
        """A figure of the table for notebooks: bars with 95 % intervals, or stacked columns when it has time buckets."""
        from mangrove.measure.plot import plot

        return plot(self, lang=lang)

    # Other views of the same measurement

    def table(
        self,
        *,
        by: Sequence[str] = (),
        every: str | Step | None = None,
        with_uncertainty: bool = True,
        accounts: Sequence[str] | None = None,
    ) -> pa.Table:
        """The same measurement by other columns or another time step; same columns as `to_arrow`."""
        plan = self._plan_for(by, every)
        with self._engine(plan) as engine:
            return _Tabulator(engine, plan.question, accounts).table(with_uncertainty=with_uncertainty)

    def total(self) -> dict[str, float]:
        """`co2e_kg`, `co2e_low`, `co2e_high` of the whole span (zeros when nothing was measured)."""
        rows = self.table(accounts=("inventory",)).to_pylist()
        return {key: rows[0][key] if rows else 0.0 for key in ("co2e_kg", "co2e_low", "co2e_high")}

    @cached_property
    def flows(self) -> tuple[FlowCount, ...]:
        """Amount and coverage of every flow that takes part, in declared order; without values the amount is NaN."""
        plan = self._whole()
        with self._engine(plan) as engine:
            rows = {row["key"]: row for row in engine.counts().to_pylist()}
        hours = plan.question.span.hours
        return tuple(_flow_count(flow, rows.get(flow.id), hours) for flow in plan.flows.values())

    @cached_property
    def leaves(self) -> tuple[FlowEmission, ...]:
        """Emissions per flow, gas and coefficient over the whole span."""
        plan = self._whole()
        with self._engine(plan) as engine:
            names = list(plan.flows)
            members = [(name, number, 1.0) for number, name in enumerate(names)]
            view = View(members, [line.index for line in plan.lines])
            rows = engine.emissions(view).to_pylist()
        leaves = []
        for row in sorted(rows, key=lambda row: row["label"]):
            line = plan.lines[row["label"]]
            amount = row["kg"] / line.kg if line.kg else 0.0
            leaves.append(
                FlowEmission(line.flow, line.gas, line.account, amount, row["kg"], row["co2e"], line.index)
            )
        return tuple(leaves)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing or excluded: method gaps first, then flows without values, incomplete, excluded, estimated."""
        found = [
            Problem(gap.code, {"flow": gap.flow, **gap.data}, severity="warning") for gap in self.plan.gaps
        ]
        for count in self.flows:
            found.extend(_count_problems(count))
        return tuple(found)

    def _whole(self) -> Plan:
        """The plan for the whole span at once, whatever was asked."""
        return replace(self.plan, question=replace(self.plan.question, by=(), every=None))

    def _plan_for(self, by: Sequence[str], every: str | Step | None) -> Plan:
        """The plan with another grouping, checked like the first question."""
        old = self.plan.question
        span = old.span
        question = resolve(
            self.plan.territory,
            span.start,
            span.end,
            by=by,
            every=every,
            gwp=old.gwp,
            view=old.view,
            accounts=old.accounts,
            borders=old.borders,
        )
        return replace(self.plan, question=replace(question, as_of=old.as_of, allow=old.allow))

    @contextmanager
    def _engine(self, plan: Plan) -> Iterator[Engine]:
        with Ledger.open(self.folder, read_only=True) as ledger, ledger.snapshot(cut=self.cut) as snapshot:
            yield Engine(plan, snapshot, reading_plan=self._reading_plan)


class _Tabulator:
    """Turns grouped sums into the table that people read."""

    def __init__(self, engine: Engine, question: Question, accounts: Sequence[str] | None) -> None:
        self.engine = engine
        self.question = question
        self.flow_columns = [column for column in question.by if column not in GAS_COLUMNS]
        self.gas_columns = [column for column in question.by if column in GAS_COLUMNS]
        self.lines = engine.plan.lines
        wanted = set(accounts or question.accounts)
        self.groups: dict[tuple[Any, ...], int] = {}
        self.labels: dict[tuple[Any, ...], int] = {}
        members = list(self._members())
        labels = [
            self.labels.setdefault(
                tuple(getattr(line, column) for column in self.gas_columns), len(self.labels)
            )
            if line.account in wanted
            else -1
            for line in self.lines
        ]
        self.view = View(members, labels)

    def _members(self) -> Iterator[tuple[str, int, float]]:
        plan = self.engine.plan
        for flow in plan.flows.values():
            for key, share in _keys(plan.territory, flow, self.flow_columns, self.question):
                yield flow.id, self.groups.setdefault(key, len(self.groups)), share

    def table(self, *, with_uncertainty: bool) -> pa.Table:
        sums = self.engine.emissions(self.view)
        order = np.lexsort([sums.column(name).to_numpy() for name in ("label", "grp", "bucket")])
        keep = order[sums.column("label").to_numpy()[order] >= 0]
        sums = sums.take(keep)
        grp, label, bucket = (sums.column(name).to_numpy() for name in ("grp", "label", "bucket"))
        columns: dict[str, Any] = {}
        for position, name in enumerate(self.flow_columns):
            columns[name] = _labels([key[position] for key in self.groups], grp)
        for position, name in enumerate(self.gas_columns):
            columns[name] = _labels([key[position] for key in self.labels], label)
        columns = {name: columns[name] for name in self.question.by}
        if self.question.every is not None:
            starts = pa.array(self.engine.starts, type=pa.timestamp("us", tz="UTC"))
            columns["start"] = starts.take(pa.array(bucket))
        columns |= self._quantities(sums, with_uncertainty=with_uncertainty)
        columns["coverage"] = self._coverage(grp, bucket)
        return pa.table(columns)

    def _quantities(self, sums: pa.Table, *, with_uncertainty: bool) -> dict[str, Any]:
        kinds = [("kg", "kg", "kg")] if "gas" in self.gas_columns else []
        if self.question.gwp:
            kinds.append(("co2e", "co2e_kg", "co2e"))
        variances = self._variances(sums) if with_uncertainty else {}
        columns: dict[str, Any] = {}
        for column, name, stem in kinds:
            totals = sums.column(column).to_numpy()
            columns[name] = totals
            if with_uncertainty:
                low, high = uncertainty.intervals(totals, variances[f"{column}_variance"])
                columns[f"{stem}_low"], columns[f"{stem}_high"] = low, high
        return columns

    def _variances(self, sums: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
        """Variances in the order of `sums`; rows without any stated error have NaN, never zero."""
        found = self.engine.variances(self.view)
        keys = [_key(sums, len(self.labels)), _key(found, len(self.labels))]
        order = np.argsort(keys[1])
        at = np.searchsorted(keys[1][order], keys[0])
        at = np.minimum(at, max(len(order) - 1, 0))
        result = {}
        for name in ("kg_variance", "co2e_variance"):
            values = np.full(len(keys[0]), np.nan)
            if len(order):
                hit = keys[1][order][at] == keys[0]
                values[hit] = found.column(name).to_numpy()[order][at][hit]
            result[name] = values
        return result

    def _coverage(self, grp: np.ndarray[Any, Any], bucket: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Flow-hours with values over flow-hours of the bucket, for groups of flows with a declared step."""
        starts = [*self.engine.starts, self.question.span.end]
        lengths = np.array([(b - a).total_seconds() / 3600 for a, b in pairwise(starts)])
        flows = np.zeros(len(self.groups))
        for flow, group, _ in self.view.members:
            flows[group] += self.engine.plan.flows[flow].step is not None
        table = self.engine.coverage(self.view)
        hours = np.zeros((len(self.groups), len(lengths)))
        hours[table.column("grp").to_numpy(), table.column("bucket").to_numpy()] = np.nan_to_num(
            table.column("hours").to_numpy()
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            share = hours[grp, bucket] / (flows[grp] * lengths[bucket])
        return np.where(flows[grp] > 0, np.minimum(share, 1.0), np.nan)


def _keys(
    territory: Territory, flow: Flow, columns: Sequence[str], question: Question
) -> Iterator[tuple[tuple[Any, ...], float]]:
    """The group keys of a flow with their shares: one, or several when a flow stands for many places."""
    level = next((c for c in columns if c not in _FLOW_VALUES and c != "place"), None)
    if level is None:
        yield tuple(_flow_value(flow, column) for column in columns), 1.0
        return
    for place, share in _spread(territory, flow, level, question):
        key = tuple(
            _flow_value(flow, column)
            if column in _FLOW_VALUES or column == "place"
            else _ancestor(territory, place, column, question)
            for column in columns
        )
        yield key, share


def _spread(territory: Territory, flow: Flow, level: str, question: Question) -> list[tuple[str, float]]:
    """The places of kind `level` that a flow stands for; one that has none there is shown without a place."""
    if flow.spread:
        return shares(territory, flow.place, level, question.borders, by=flow.spread)
    place = level_of(territory, flow.place, level, question.borders)
    if place is not None:
        return [(place, 1.0)]
    own = territory.places[flow.place]
    then = own.valid_to - timedelta(days=1) if own.valid_to else own.valid_from
    gone = None if then is None else level_of(territory, flow.place, level, then)
    return [("", 1.0)] if gone is None else shares(territory, gone, level, question.borders)


def _ancestor(territory: Territory, place: str, column: str, question: Question) -> str:
    return (level_of(territory, place, column, question.borders) or "") if place else ""


_FLOW_VALUES: dict[str, Callable[[Flow], str]] = {
    "flow": lambda flow: flow.id,
    "sector": lambda flow: flow.sector,
    "scope": lambda flow: "" if flow.scope is None else str(flow.scope),
    "gpc": lambda flow: flow.gpc,
    "category": lambda flow: flow.category,
    "carrier": lambda flow: str(flow.carrier),
    "basis": lambda flow: flow.basis,
    "meter": lambda flow: flow.meter,
    "method": lambda flow: flow.method,
}


def _flow_value(flow: Flow, column: str) -> str:
    return flow.place if column == "place" else _FLOW_VALUES[column](flow)


def _labels(words: list[str], index: np.ndarray[Any, Any]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(index, type=pa.int32()), pa.array(words, type=pa.string())
    ).dictionary_decode()


def _key(table: pa.Table, labels: int) -> np.ndarray[Any, Any]:
    grp, label, bucket = (
        table.column(name).to_numpy().astype(np.int64) for name in ("grp", "label", "bucket")
    )
    return (bucket * 2_000_003 + grp) * (labels + 2) + label + 1


def _flow_count(flow: Flow, row: dict[str, Any] | None, hours: float) -> FlowCount:
    if row is None:
        return FlowCount(flow.id, float("nan"), 0.0 if flow.step else None, 0, 0, 0)
    coverage = min(row["hours"] / hours, 1.0) if flow.step and row["hours"] is not None else None
    return FlowCount(flow.id, row["amount"], coverage, row["n"], row["n_excluded"], row["n_estimated"])


def _count_problems(count: FlowCount) -> Iterator[Problem]:
    if not count.counted:
        yield Problem("measure.no_values", {"flow": count.flow}, severity="warning")
    elif count.coverage is not None and count.coverage < _COMPLETE:
        yield Problem(
            "measure.incomplete",
            {"flow": count.flow, "percent": f"{100 * count.coverage:.1f}"},
            severity="warning",
        )
    if count.excluded:
        yield Problem("measure.excluded", {"flow": count.flow, "count": count.excluded}, severity="warning")
    if count.estimated:
        yield Problem("measure.estimated", {"flow": count.flow, "count": count.estimated}, severity="note")


def local_starts(result: Emissions) -> list[datetime]:
    """The starts of the buckets in territory time."""
    return [start.astimezone(result.plan.territory.tz) for start in bucket_starts(result.plan)]
