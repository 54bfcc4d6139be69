# SPDX-License-Identifier: Apache-2.0
"""The sides of a comparison: a scenario, or what was measured, month by month by the one formula.

Comes in: a scenario with its base year, or the readings of a span. Goes out: emissions by group and bucket, and by every error what
they move by, so that two sides can be subtracted with what they share.

Notation: A[f, t] amount of flow f in month t, W[l, t] kg CO2e per amount of line l (the coefficients of the measuring methods), so
E = sum of A W. An amount is spread evenly over its month, as the measurement spreads values that last longer than an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import Problem, RequestError, Sentence
from mangrove.measure import amounts as measured_amounts
from mangrove.measure import plan as plans
from mangrove.measure import uncertainty
from mangrove.measure.grouping import Grouping
from mangrove.measure.question import resolve
from mangrove.measure.timeline import Timeline
from mangrove.plan.scenario import MONTH, Base, Floats, Pathway, Scenario
from mangrove.plan.scenario_file import without_actions
from mangrove.plan.scenario_territory import derive, held
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger
    from mangrove.measure.plan import Plan
    from mangrove.rules import Rules
    from mangrove.territory.model import Territory

Bools: TypeAlias = NDArray[np.bool_]
MEASURED = "measured"
ACCOUNTS = ("inventory", "avoided", "removal")
"""Accounts that are compared, each on its own; they are never added up."""
_COMPLETE = 0.9995
"""Share of a month that readings must cover before it is held against a plan; the same as a measurement calls complete."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario with all that its amounts follow from."""

    declared: Territory
    scenario: Scenario
    base: Base
    pathway: Pathway
    problems: tuple[Problem, ...] = ()

    def baseline(self, book: Rules) -> Case:
        """The same base year without any action."""
        scenario = without_actions(self.scenario)
        derived = derive(self.declared, book, scenario)
        return Case(self.declared, scenario, self.base, Pathway(scenario, derived, self.base))


def base_year(
    declared: Territory, ledger: Ledger, book: Rules, scenario: Scenario
) -> tuple[Base, list[Problem]]:
    """The amounts of the base year by month, read as the measurement reads them, and what is missing in them.

    Raises:
        RequestError: `scenario.no_values`.
    """
    baseline = scenario.baseline
    question = resolve(
        declared, str(baseline.year), every=MONTH, accounts=ACCOUNTS, gwp="AR5", run=baseline.run
    )
    plan = plans.build(declared, book, question)
    remember = (
        {line.flow for line in plan.lines if line.response} | set(plan.products) | set(plan.products.values())
    )
    kept = {
        name: flow
        for name, flow in declared.flows.items()
        if name not in remember and (flow.semantics != "state" or name in plan.flows)
    }
    found, hours, lengths = _monthly(replace(plan, flows=kept, lines=(), products={}), ledger)
    if not np.isfinite(found).any():
        raise RequestError("scenario.no_values", year=baseline.year, run=baseline.run)
    problems = [
        Problem("scenario.left_out", {"flow": name}, severity="warning")
        for name in sorted(remember & set(plan.flows))
    ]
    problems += _missing(plan, list(kept), found, hours.sum(axis=1) / lengths.sum(), baseline.year)
    return Base(tuple(kept), found, lengths), problems


def _missing(plan: Plan, names: Sequence[str], found: Floats, share: Floats, year: int) -> list[Problem]:
    """Flows of the inventory without values, or with too few."""
    problems = []
    for row, name in enumerate(names):
        if name not in plan.flows:
            continue
        if not np.isfinite(found[row]).any():
            problems.append(Problem("scenario.no_base", {"flow": name, "year": year}, severity="warning"))
        elif plan.flows[name].step and share[row] < _COMPLETE:
            data = {"flow": name, "year": year, "percent": f"{100 * share[row]:.1f}"}
            problems.append(Problem("scenario.base_incomplete", data, severity="warning"))
    return problems


def _monthly(plan: Plan, ledger: Ledger) -> tuple[Floats, Floats, Floats]:
    """Amounts (F, T) of the plan's flows by month, NaN without values; hours (F, T) that values cover; hours (T,) of the months."""
    timeline = Timeline.of(plan)
    with ledger.snapshot() as snapshot:
        measured_amounts.read(plan, timeline, snapshot)
        table = snapshot.connection.sql(
            "select flow, segment, sum(total) as total, sum(hours) as hours from amount where total is not null group by all"
        ).to_arrow_table()
    lengths = timeline.hours()
    found = np.full((len(plan.flows), len(lengths)), np.nan)
    hours = np.zeros_like(found)
    rows, segments = table.column("flow").to_numpy(), table.column("segment").to_numpy()
    found[rows, segments] = table.column("total").to_numpy()
    hours[rows, segments] = np.nan_to_num(table.column("hours").to_numpy())
    return found, hours, lengths


class Formula:
    """The lines of a measurement plan as one linear map from amounts by month to emissions by group and bucket.

    Args:
        plan: its question says groups, buckets and accounts.
        flows: the rows of the amounts; starts, end: the months.
    """

    def __init__(self, plan: Plan, flows: Sequence[str], starts: Sequence[datetime], end: datetime) -> None:
        from scipy.sparse import csr_array

        self.plan = plan
        self.count = len(flows)
        index = {name: row for row, name in enumerate(flows)}
        self.lines = [line for line in plan.lines if line.flow in index and not line.response and line.weight]
        self.rows = np.array([index[line.flow] for line in self.lines], dtype=np.intp)
        bounds = np.array([moment.timestamp() for moment in [*starts, end]])
        low = np.array([line.valid_from.timestamp() for line in self.lines])[:, None]
        high = np.array([line.valid_to.timestamp() for line in self.lines])[:, None]
        inside = np.minimum(bounds[1:], high) - np.maximum(bounds[:-1], low)
        kg = np.array([line.kg * (line.weight or 0.0) for line in self.lines])[:, None]
        self.weights: Floats = kg * np.clip(inside / np.diff(bounds), 0.0, 1.0)
        grouping = Grouping(plan, plan.question)
        self.columns = plan.question.by
        keys: dict[tuple[str, ...], int] = {}
        members: dict[str, list[tuple[int, float]]] = {}
        for flow, group, share in grouping.view.members:
            members.setdefault(flow, []).append((group, share))
        groups, labels = list(grouping.groups), list(grouping.labels)
        cells = []
        for number, line in enumerate(self.lines):
            label = grouping.view.labels[line.index]
            if label is None:
                continue
            for group, share in members.get(line.flow, ()):
                words = dict(
                    zip(
                        (*grouping.flow_columns, *grouping.gas_columns),
                        (*groups[group], *labels[label]),
                        strict=True,
                    )
                )
                key = tuple(words[column] for column in self.columns)
                cells.append((keys.setdefault(key, len(keys)), number, share))
        where = ([c[0] for c in cells], [c[1] for c in cells])
        self.keys = list(keys)
        self.sums = csr_array(([c[2] for c in cells], where), shape=(len(keys), len(self.lines)))
        every, tz = plan.question.every, plan.territory.tz
        self.starts = every.starts(plan.question.span, tz) if every else [plan.question.span.start]
        edges = np.array([moment.timestamp() for moment in self.starts])
        bucket = np.searchsorted(edges, bounds[:-1], side="right") - 1
        self.buckets = np.zeros((len(starts), len(edges)))
        span = plan.question.span
        asked = (bounds[:-1] >= span.start.timestamp()) & (bounds[1:] <= span.end.timestamp())
        self.buckets[np.flatnonzero(asked), bucket[asked]] = 1.0
        self._errors = plan.errors()

    def emissions(self, amounts: Floats) -> Floats:
        """Amounts (F, T) to kg CO2e (groups, buckets)."""
        return np.asarray(self.sums @ (amounts[self.rows] * self.weights) @ self.buckets)

    def emitting(self) -> Bools:
        """(F, T) whether any line gives the amounts of a flow in a month a weight."""
        found = np.zeros((self.count, self.weights.shape[1]), dtype=bool)
        np.logical_or.at(found, self.rows, self.weights != 0)
        return found

    def factor_errors(self, amounts: Floats, names: Mapping[str, str]) -> dict[str, Floats]:
        """By error of a factor or parameter: kg CO2e (groups, buckets) per standard deviation. `names`: other names for some errors."""
        single = (amounts[self.rows] * self.weights) @ self.buckets
        position = {line.index: number for number, line in enumerate(self.lines)}
        moved: dict[str, list[tuple[int, float]]] = {}
        for line, name, deviation in self._errors:
            if line in position and not name.startswith("meter:"):
                moved.setdefault(names.get(name, name), []).append((position[line], deviation))
        found = {}
        for name, rows in moved.items():
            lines = [row for row, _ in rows]
            found[name] = np.asarray(
                self.sums[:, lines] @ (single[lines] * np.array([[sd] for _, sd in rows]))
            )
        return found


class Side:
    """One side of a comparison: a scenario by the one formula."""

    def __init__(self, case: Case, book: Rules, span: Span, asked: Mapping[str, Any]) -> None:
        self.case, self._book, self._asked, self.span = case, book, asked, span
        self.name = case.scenario.name
        self.pathway = case.pathway
        self.flows = case.pathway.flows
        self.mask: Floats = np.ones((len(self.flows), len(case.pathway.hours)))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing in the base year, held, or not computed."""
        return (*self.case.problems, *_gaps(self.formula.plan, self.flows))

    @cached_property
    def formula(self) -> Formula:
        """The formula with the factors of all actions."""
        return self._formula(self.pathway.territory)

    def _formula(self, territory: Territory) -> Formula:
        question = resolve(
            territory, self.span.start, self.span.end, accounts=ACCOUNTS, run=self.case.scenario.run
            if self.case.scenario.actions else "plan", **self._asked,
        )  # fmt: skip
        plan = plans.build(territory, self._book, question)
        return Formula(plan, self.flows, self.pathway.starts, self.case.scenario.span(territory).end)

    @cached_property
    def emissions(self) -> Floats:
        """(groups, buckets) kg CO2e."""
        return self.formula.emissions(self.pathway.amounts() * self.mask)

    @cached_property
    def errors(self) -> dict[str, Floats]:
        """By error: (groups, buckets) kg CO2e per standard deviation."""
        amounts = self.pathway.amounts()
        found = self.formula.factor_errors(amounts * self.mask, _one_error(self.pathway.territory))
        for name in self.pathway.errors():
            moved = self.formula.emissions((self.pathway.amounts(moved=name) - amounts) * self.mask)
            found[name] = found[name] + moved if name in found else moved
        return found

    def value(self, active: Collection[int]) -> Floats:
        """(accounts, buckets) kg CO2e with some of the actions."""
        formula = self._with_factors(frozenset(n for n in active if self.case.scenario.actions[n].rows))
        found = formula.emissions(self.pathway.amounts(active) * self.mask)
        column = formula.columns.index("account")
        which = np.array(
            [[key[column] == account for key in formula.keys] for account in ACCOUNTS], dtype=float
        )
        return np.asarray(which.reshape(len(ACCOUNTS), -1) @ found)

    def _with_factors(self, active: frozenset[int]) -> Formula:
        everything = frozenset(n for n, action in enumerate(self.case.scenario.actions) if action.rows)
        if active == everything:
            return self.formula
        if active not in self._formulas:
            self._formulas[active] = self._formula(
                derive(self.case.declared, self._book, self.case.scenario, active)
            )
        return self._formulas[active]

    @cached_property
    def _formulas(self) -> dict[frozenset[int], Formula]:
        return {}


class Real:
    """The other side of a comparison with meters: what was measured, month by month."""

    def __init__(
        self, formula: Formula, flows: Sequence[str], amounts: Floats, covered: Floats, plan: Plan
    ) -> None:
        self.name, self.formula, self.flows = MEASURED, formula, tuple(flows)
        self.amounts, self.covered, self._plan = np.nan_to_num(amounts), covered, plan

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be computed."""
        return tuple(_gaps(self._plan, self.flows))

    @cached_property
    def emissions(self) -> Floats:
        """(groups, buckets) kg CO2e of the months that count."""
        return self.formula.emissions(self.amounts * self.covered)

    @cached_property
    def errors(self) -> dict[str, Floats]:
        """By error: (groups, buckets) kg CO2e per standard deviation."""
        counted = self.amounts * self.covered
        found = self.formula.factor_errors(counted, _one_error(self._plan.territory))
        meters: dict[str, Floats] = {}
        for row, name in enumerate(self.flows):
            flow = self._plan.flows[name]
            if flow.uncertainty:
                moved = meters.setdefault(f"meter:{flow.meter or flow.id}", np.zeros_like(counted))
                moved[row] = counted[row] * flow.uncertainty / uncertainty.Z95
        return found | {name: self.formula.emissions(moved) for name, moved in meters.items()}


def against_meters(
    park: Handle, ledger: Ledger, book: Rules, side: Side, asked: Mapping[str, Any]
) -> tuple[Side, Real, Span, list[Problem]]:
    """A scenario and what meters say, both cut to the months of each flow that the plan holds and that meters cover.

    Where no factor of a year is published yet, the last one holds on both sides as the scenario says it: a plan is held against
    meters, not against the calendar of a ministry.

    Raises:
        RequestError: `scenario.no_common_time`.
    """
    tz = park.territory.tz
    common = _covered_span(side, measured(park, ledger, book, side, asked), tz)
    side = Side(side.case, book, common, asked)
    real = measured(park, ledger, book, side, asked)
    problems = mask(side, real)
    last = f"{common.last_day(tz):%Y-%m}"
    data = {"first": f"{common.start.astimezone(tz):%Y-%m}", "last": last}
    return side, real, common, [*problems, Problem("scenario.covered", data, severity="note")]


def _covered_span(side: Side, real: Real, tz: ZoneInfo) -> Span:
    """From the first to the last month that any flow of both sides has."""
    shared = [row for row, name in enumerate(real.flows) if name in set(side.flows)]
    months = np.flatnonzero(real.covered[shared].any(axis=0)) if shared else np.array([], dtype=int)
    starts = MONTH.starts(side.span, tz)
    if not len(months):
        data: dict[str, Any] = {
            "first": f"{side.span.start.astimezone(tz):%Y-%m}",
            "last": f"{side.span.last_day(tz):%Y-%m}",
        }
        raise RequestError("scenario.no_common_time", **data)
    return Span(starts[months[0]], MONTH.after(starts[months[-1]], tz))


def measured(park: Handle, ledger: Ledger, book: Rules, side: Side, asked: Mapping[str, Any]) -> Real:
    """What meters say in the months of a side."""
    declared, span = park.territory, side.span
    territory = replace(declared, factors=(*declared.factors, *held(declared, book, side.case.scenario)))
    question = resolve(territory, span.start, span.end, accounts=ACCOUNTS, **asked)
    plan = plans.build(territory, book, question)
    flows = {name: flow for name, flow in plan.flows.items() if name not in plan.products}
    monthly = replace(plan, flows=flows, lines=(), products={}, question=replace(question, every=MONTH))
    amounts, hours, lengths = _monthly(monthly, ledger)
    formula = Formula(plan, list(flows), MONTH.starts(span, territory.tz), span.end)
    stepless = np.array([[flow.step is None] for flow in flows.values()])
    covered = (hours >= _COMPLETE * lengths) | (stepless & np.isfinite(amounts))
    return Real(formula, list(flows), amounts, covered.astype(float), plan)


def mask(side: Side, real: Real) -> list[Problem]:
    """Lets both sides count only the months of a flow that both have; says which flows have none."""
    starts = [moment.timestamp() for moment in side.pathway.starts]
    first = int(np.searchsorted(starts, side.span.start.timestamp()))
    months = slice(first, first + real.covered.shape[1])
    planned = side.formula.emitting()[:, months]
    known = real.formula.emitting()
    rows = {name: row for row, name in enumerate(real.flows)}
    whole = np.zeros_like(side.mask)
    problems = []
    for number, name in enumerate(side.flows):
        row = rows.get(name.partition("~")[0])
        if row is not None:
            whole[number, months] = real.covered[row] * (known[row] | ~planned[number])
        if planned[number].any() and not whole[number].any():
            problems.append(Problem("scenario.not_measured", {"flow": name}, severity="warning"))
    index = {name: number for number, name in enumerate(side.flows)}
    for name, row in rows.items():
        both = whole[index[name], months] if name in index else np.zeros(real.covered.shape[1])
        if name not in index and real.covered[row].any():
            problems.append(Problem("scenario.not_planned", {"flow": name}, severity="warning"))
        real.covered[row] = both
    side.mask = whole
    return problems


def _gaps(plan: Plan, flows: Collection[str]) -> list[Problem]:
    """What the methods could not compute of these flows: missing from the numbers, never zero."""
    said = []
    for gap in plan.gaps:
        if gap.flow in flows and gap.code.startswith("measure."):
            said.append(Problem(gap.code, {"flow": gap.flow, **gap.data}, severity="warning"))
        elif gap.flow in flows:
            data = {"flow": gap.flow, "reason": Sentence(gap.code, tuple(gap.data.items()))}
            said.append(Problem("measure.not_computed", data, severity="warning"))
    return said


def _one_error(territory: Territory) -> dict[str, str]:
    """The rows of one factor over the years are one error: who is wrong about its path is wrong every year."""
    return {
        f"local:{row.activity}:{row.gas}:{row.valid_from or ''}": f"factor:{row.activity}:{row.gas}:{row.source}"
        for row in territory.factors
    }
