# SPDX-License-Identifier: Apache-2.0
"""The answer: an Arrow table of emissions with intervals, and every other view of the same measurement.

Comes in: a plan and a snapshot that stays as it was (a cut of the ledger). Goes out: tables by any columns and time step, flow
totals for official reports, gaps; each view is computed from the same amounts and coefficients, so they always agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mangrove.errors import MissingExtraError, Problem, RequestError, Sentence
from mangrove.measure import uncertainty
from mangrove.measure.engine import Engine, View, on_amounts, on_ledger
from mangrove.measure.grouping import Grouping
from mangrove.measure.plan import Plan
from mangrove.measure.question import Question, resolve
from mangrove.measure.types import Gap
from mangrove.measure.uncertainty import Floats
from mangrove.territory import Flow
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
    """Emissions of one gas from one flow over the whole span: the leaves that all official tables add up.

    `amount` is in the unit of `Plan.amount_unit`; for a method with memory it is the released kilograms themselves.
    `co2e` is 0 for a gas that the GWP set does not know: it is left out of the CO2 equivalents, and a problem says so.
    """

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
        """The table asked for, one row per group and time bucket that has values.

        Columns: those of `by`; `start` (UTC) when `every` is given; `kg`, `kg_low`, `kg_high` when grouped by gas;
        `co2e_kg`, `co2e_low`, `co2e_high` with a GWP set (95 % interval); `coverage` (share of flow-hours with values).
        Bounds are NaN when no error is stated, and so is `co2e_kg` when the set knows none of the row's gases.
        """
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The table as a pandas frame; raises `MissingExtraError` without pandas."""
        try:
            frame: pd.DataFrame = self._table.to_pandas()
        except ImportError:
            raise MissingExtraError("pandas") from None
        return frame

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
        """The same measurement by other columns or another time step; same columns as `to_arrow`.

        Args:
            by: columns, as in `mangrove.measure`.
            every: length of the time buckets; None for the whole span at once.
            with_uncertainty: whether to compute intervals.
            accounts: some of the accounts of the question; all of them when None.
        """
        plan = self._plan_for(by, every, accounts)
        with self._engine(plan) as engine:
            return _tabulate(engine, Grouping(plan, plan.question), with_uncertainty=with_uncertainty)

    def total(self) -> dict[str, float]:
        """`co2e_kg`, `co2e_low`, `co2e_high` of the whole span (NaN when nothing was measured).

        Accounts are never added up: the total is that of the inventory, or else of the first account asked for.
        """
        asked = self.plan.question.accounts
        account = "inventory" if "inventory" in asked else asked[0]
        rows = self.table(accounts=(account,)).to_pylist()
        return {key: rows[0][key] if rows else math.nan for key in ("co2e_kg", "co2e_low", "co2e_high")}

    def simulate(self, *, n: int = 10_000, seed: int = 0) -> tuple[float, float]:
        """The 95 % interval of the total in kg CO2e by Monte Carlo (IPCC Approach 2), to check the analytic one.

        Every error is one lognormal multiplier that moves all lines which share it; see `uncertainty.monte_carlo`.
        """
        kg = [0.0] * len(self.plan.lines)
        moved = {flow: 1 + shift for flow, shift in self.plan.shifts().items()}
        for leaf in self.leaves:
            kg[leaf.line] += leaf.co2e * moved.get(leaf.flow, 1.0)
        middle = [moved.get(line.flow, 1.0) for line in self.plan.lines]
        errors = self.plan.errors()
        names = {name: number for number, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
        totals = uncertainty.monte_carlo(
            kg,
            [line for line, _, _ in errors],
            [names[name] for _, name, _ in errors],
            [abs(deviation) / middle[line] for line, _, deviation in errors],
            power=[1 if deviation > 0 else -1 for _, _, deviation in errors],
            n=n,
            seed=seed,
        )
        low, high = np.quantile(totals, [0.025, 0.975])
        return float(low), float(high)

    def by_line(self, by: Sequence[str]) -> tuple[list[tuple[str, ...]], Floats]:
        """Kg CO2e of the inventory over the whole span by group and line: the groups' keys, and an array (groups, lines).

        Errors belong to lines (`Plan.errors`), so this is what joint samples of the groups are made of.
        """
        plan = self._plan_for(by, None, None)
        grouping = Grouping(plan, plan.question)
        counted = [line.index if line.account == "inventory" else None for line in plan.lines]
        with self._engine(plan) as engine:
            rows = engine.emissions(View(grouping.view.members, counted), with_uncertainty=False)
        found = np.zeros((len(grouping.groups), len(plan.lines)))
        found[rows["grp"].to_numpy(), rows["label"].to_numpy()] = rows["co2e"].fill_null(0.0).to_numpy()
        return list(grouping.groups), found

    @cached_property
    def flows(self) -> tuple[FlowCount, ...]:
        """Amount and coverage of every flow that takes part, in declared order; without values the amount is NaN."""
        plan = self._whole()
        with self._engine(plan) as engine:
            rows = engine.counts()
        hours = plan.question.span.hours
        return tuple(_flow_count(flow, rows.get(flow.id), hours) for flow in plan.flows.values())

    @cached_property
    def leaves(self) -> tuple[FlowEmission, ...]:
        """Emissions per flow, gas and coefficient over the whole span."""
        plan = self._whole()
        with self._engine(plan) as engine:
            members = [(name, number, 1.0) for name, number in plan.sources().items()]
            view = View(members, [line.index for line in plan.lines])
            rows = engine.emissions(view, with_uncertainty=False).to_pylist()
        leaves = []
        for row in sorted(rows, key=lambda row: row["label"]):
            line = plan.lines[row["label"]]
            leaves.append(
                FlowEmission(
                    line.flow,
                    line.gas,
                    line.account,
                    row["amount"],
                    row["kg"],
                    row["co2e"] or 0.0,
                    line.index,
                )
            )
        return tuple(leaves)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing or excluded: gaps of methods first, then of values, then what the rules and errors lack."""
        found = list(gap_problems(self.plan.gaps))
        for count in self.flows:
            found.extend(_count_problems(count))
        found.extend(self._weak_factors())
        found.extend(self._unstated())
        if self.plan.question.run.startswith("estimate/") and self.plan.errors() and not self.plan.doubts:
            data = {"run": self.plan.question.run}
            found.append(Problem("measure.interval_of_estimate", data, severity="note"))
        return tuple(found)

    def _weak_factors(self) -> Iterator[Problem]:
        """One note per status other than official: the factors of that status that were used."""
        used: dict[str, dict[str, None]] = {}
        for line in self.plan.lines:
            for term in line.terms:
                if term.factor is not None and term.factor.status != "official":
                    used.setdefault(term.factor.status, {})[term.factor.id] = None
        for status, ids in used.items():
            data = {"status": Sentence(f"measure.status_{status}"), "count": len(ids), "ids": ", ".join(ids)}
            yield Problem("measure.weak_factors", data, severity="note")

    def _unstated(self) -> Iterator[Problem]:
        """One note on the measured flows that state no uncertainty of their values, beside an interval that leaves it out."""
        measured = {leaf.flow for leaf in self.leaves} - {one.flow for one in self.plan.doubts}
        silent = [
            name for name in measured if any(flow.uncertainty is None for flow in self.plan.measured_by(name))
        ]
        if silent and self.plan.errors():
            data = {"count": len(silent), "total": len(measured)}
            yield Problem("measure.no_uncertainty", data, severity="note")

    def _whole(self) -> Plan:
        """The plan for the whole span at once, whatever was asked."""
        return replace(self.plan, question=replace(self.plan.question, by=(), every=None))

    def _plan_for(self, by: Sequence[str], every: str | Step | None, accounts: Sequence[str] | None) -> Plan:
        """The plan with another grouping, checked like the first question."""
        old = self.plan.question
        if accounts is not None:
            accounts = [account for account in accounts if account in old.accounts]
        question = resolve(
            self.plan.territory,
            old.span.start,
            old.span.end,
            by=by,
            every=every,
            gwp=old.gwp,
            view=old.view,
            accounts=old.accounts if accounts is None else accounts,
            borders=old.borders,
            run=old.run,
            place=old.place,
        )
        return replace(self.plan, question=replace(question, as_of=old.as_of, allow=old.allow))

    @contextmanager
    def _engine(self, plan: Plan) -> Iterator[Engine]:
        """The engine for a plan; amounts of the whole span are read once, whatever they are grouped by."""
        if plan.question.every is None:
            with on_amounts(plan, self._amounts) as engine:
                yield engine
        else:
            with on_ledger(plan, self.folder, self.cut, reading_plan=self._reading_plan) as (engine, _):
                yield engine

    @cached_property
    def _amounts(self) -> pa.Table:
        """Amounts of every flow, cut only where a coefficient changes."""
        with on_ledger(self._whole(), self.folder, self.cut, reading_plan=self._reading_plan) as (
            _,
            snapshot,
        ):
            return snapshot.connection.sql("select * from amount").to_arrow_table()


def _tabulate(engine: Engine, grouping: Grouping, *, with_uncertainty: bool) -> pa.Table:
    """Grouped sums as the table that people read."""
    question = grouping.question
    sums = engine.emissions(grouping.view, with_uncertainty=with_uncertainty)
    grp, label, bucket = (sums.column(name) for name in ("grp", "label", "bucket"))
    words = {name: ([key[i] for key in grouping.groups], grp) for i, name in enumerate(grouping.flow_columns)}
    words |= {
        name: ([key[i] for key in grouping.labels], label) for i, name in enumerate(grouping.gas_columns)
    }
    columns: dict[str, Any] = {
        name: pa.array(words[name][0], pa.string()).take(words[name][1]) for name in question.by
    }
    if question.every is not None:
        starts = pa.array(engine.timeline.starts, type=pa.timestamp("us", tz="UTC"))
        columns["start"] = starts.take(bucket)
    columns |= _quantities(sums, question, with_uncertainty=with_uncertainty)
    columns["coverage"] = _coverage(sums, grouping.sizes(), engine.timeline.hours())
    return pa.table(columns)


def _quantities(sums: pa.Table, question: Question, *, with_uncertainty: bool) -> dict[str, Any]:
    """The numbers of a table with their intervals; NaN where no error is stated, never a width of zero."""
    kinds = [("kg", "kg", "kg")] if "gas" in question.by else []
    if question.gwp:
        kinds.append(("co2e", "co2e_kg", "co2e"))
    columns: dict[str, Any] = {}
    for column, name, stem in kinds:
        totals = sums.column(column).to_numpy()
        columns[name] = totals
        if with_uncertainty:
            variances = sums.column(f"{column}_variance").to_numpy()
            middle = sums.column(f"{column}_middle").to_numpy()
            columns[f"{stem}_low"], columns[f"{stem}_high"] = uncertainty.intervals(
                middle, variances, skewed=~np.isclose(middle, totals, rtol=1e-12)
            )
    return columns


def _coverage(sums: pa.Table, sizes: Sequence[int], lengths: Floats) -> Floats:
    """Flow-hours with values over flow-hours of the bucket, for groups of flows with a declared step."""
    flows = np.array(sizes, dtype=float)[sums.column("grp").to_numpy()]
    expected = flows * lengths[sums.column("bucket").to_numpy()]
    covered = np.nan_to_num(sums.column("hours").to_numpy())
    share: Floats = np.full(len(covered), np.nan)
    np.divide(np.minimum(covered, expected), expected, out=share, where=flows > 0)
    return share


def _flow_count(flow: Flow, row: dict[str, Any] | None, hours: float) -> FlowCount:
    if row is None:
        return FlowCount(flow.id, float("nan"), 0.0 if flow.step else None, 0, 0, 0)
    coverage = min(row["hours"] / hours, 1.0) if flow.step and row["hours"] is not None else None
    return FlowCount(flow.id, row["amount"], coverage, row["n"], row["n_excluded"], row["n_estimated"])


def nothing_in(code: str, *results: Emissions) -> RequestError:
    """The error that a measurement holds nothing; with `code` and `_because` when it names a reason, such as a missing factor."""
    for result in results:
        for one in gap_problems(result.plan.gaps):
            if one.code == "measure.not_computed":
                return RequestError(f"{code}_because", reason=Sentence(one.code, tuple(one.data.items())))
    return RequestError(code)


def gap_problems(gaps: Iterable[Gap]) -> Iterator[Problem]:
    """Gaps as findings that name their flows; flows with the same reason share one."""
    shared: dict[tuple[str, str], tuple[Sentence, dict[str, None]]] = {}
    for gap in gaps:
        if gap.code.startswith("measure."):
            yield Problem(gap.code, {"flow": gap.flow, **gap.data}, severity="warning")
        else:
            reason = Sentence(gap.code, tuple(gap.data.items()))
            shared.setdefault((gap.code, reason.text()), (reason, {}))[1][gap.flow] = None
    for reason, flows in shared.values():
        data = {"flow": ", ".join(flows), "reason": reason}
        yield Problem("measure.not_computed", data, severity="warning")


def _count_problems(count: FlowCount) -> Iterator[Problem]:
    if not count.counted:
        yield Problem("measure.no_values", {"flow": count.flow}, severity="warning")
    elif count.coverage is not None and count.coverage < _COMPLETE:
        yield Problem(
            "measure.incomplete",
            {"flow": count.flow, "percent": round(100 * count.coverage, 1)},
            severity="warning",
        )
    if count.excluded:
        yield Problem("measure.excluded", {"flow": count.flow, "count": count.excluded}, severity="warning")
    if count.estimated:
        yield Problem("measure.estimated", {"flow": count.flow, "count": count.estimated}, severity="note")
