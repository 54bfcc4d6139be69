# SPDX-License-Identifier: Apache-2.0
"""How scenarios are joined with measurement: the base year is measured, a pathway is multiplied by the one formula, two are compared.

Comes in: an opened territory and the names or files of two scenarios (`baseline` and `measured` are names too). Goes out: emissions of
both sides and their difference by any columns and year, with 95 % intervals in which errors that both sides share cancel; the part of
each action; what meters say against a plan. Verbs do not know each other; this module hands the arrays of one to the next.

Notation: A[f, t] amount of flow f in month t, W[l, t] kg CO2e per amount of line l (the coefficients of the measuring methods), so
E = sum of A W. Each error e moves E by dE_e per standard deviation, and the two sides by their difference:
Var(E_a - E_b) = sum over e of (dE_a,e - dE_b,e)^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mangrove import rules as rule_book
from mangrove.compare_sides import ACCOUNTS, MEASURED, Case, Real, Side, against_meters, base_year
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.inference.shapley import shapley
from mangrove.ledger import Ledger
from mangrove.measure import uncertainty
from mangrove.plan import scenario_store
from mangrove.plan.scenario import Floats, Pathway, Scenario
from mangrove.plan.scenario_file import read
from mangrove.plan.scenario_territory import derive, notes
from mangrove.times import Span, Step
from mangrove.verbs import make_callable

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.rules import Rules
    from mangrove.territory.model import Territory

BASELINE = "baseline"
_ASSUMED = ("assumed", "generated")


def compare(
    park: Handle,
    a: str | Path,
    b: str | Path,
    start: str | date | datetime | None = None,
    end: str | date | datetime | None = None,
    *,
    by: Sequence[str] = (),
    every: str | Step = "1y",
    gwp: str | None = None,
    view: str = "location",
    allow: Sequence[str] = (),
    orders: int = 0,
    seed: int = 0,
) -> Comparison:
    """Compares two scenarios, a scenario with its baseline, or a scenario with what meters say.

    Args:
        park: an opened territory.
        a: a scenario file, the name of an adopted plan, `baseline` or `measured`.
        b: the same; the difference is a minus b.
        start: first instant, or a whole period when there is no `end`; the whole time that both cover when left out.
        end: first instant that no longer counts.
        by: columns as in `mangrove.measure` (place, sector, ward, gas, ...).
        every: length of the time buckets: whole months or years.
        gwp: GWP set; the territory's own when left out.
        view: `location` or `market` for purchased electricity.
        allow: statuses of factors accepted besides official and default ones.
        orders: orders of actions to sample for the attribution; 0: exact up to 12 actions.
        seed: of these orders.

    Raises:
        DeclarationError: a scenario file has problems.
        RequestError: `scenario.unknown`, `scenario.two_special`, `scenario.no_common_time`, shares above the stock, ...
    """
    step = Step.parse(every) if isinstance(every, str) else every
    if not step.months:
        raise RequestError("scenario.no_step", step=str(step))
    book = rule_book.load()
    with park.reader() as ledger:
        cases = _cases(park, ledger, book, a, b)
        span = _span(park, cases, start, end)
        asked = {"by": tuple(by), "every": step, "gwp": gwp, "view": view, "allow": tuple(allow)}
        sides: list[Side | Real] = [Side(case, book, span, asked) for case in cases if case is not None]
        problems: list[Problem] = []
        if None in cases:
            plan, real, span, problems = against_meters(park, ledger, book, sides[0], asked)  # type: ignore[arg-type]
            sides = [plan if case is not None else real for case in cases]
    return Comparison((sides[0], sides[1]), span, step, (orders, seed), tuple(problems))


def adopt(park: Handle, file: str | Path) -> scenario_store.Adopted:
    """Takes a scenario file as the plan `plan/<name>`: its values by month, and everything they were computed from.

    Raises:
        DeclarationError: the file has problems; all of them are listed with line and column.
        RequestError: shares above the stock, a flow below zero.
    """
    path = Path(file)
    scenario = read(park.territory, path)
    with park.writer() as ledger:
        case = _case_of(park.territory, ledger, rule_book.load(), scenario)
        return scenario_store.adopt(ledger, park.territory, case.pathway, case.base, path)


def adopted(park: Handle, left_out: list[Problem] | None = None) -> list[scenario_store.Stored]:
    """The adopted scenarios, oldest first; `left_out` takes what is wrong with records that cannot be read."""
    with park.reader() as ledger:
        return scenario_store.stored(ledger, left_out)


def territory_of(park: Handle, run: str) -> Territory:
    """The territory in which the values of a run count: the derived one of an adopted scenario, else the declared one."""
    if run.startswith("plan/") and park.store.is_dir():
        with park.reader() as ledger:
            for one in scenario_store.stored(ledger):
                if f"plan/{one.name}" == run:
                    return scenario_store.derived_of(ledger, one)
    return park.territory


def _cases(park: Handle, ledger: Ledger, book: Rules, a: str | Path, b: str | Path) -> list[Case | None]:
    """The two cases; None stands for what was measured."""
    words = [str(a), str(b)]
    named = [None if word in (BASELINE, MEASURED) else _case(park, ledger, book, word) for word in words]
    if not any(named):
        raise RequestError("scenario.two_special")
    other = next(case for case in named if case is not None)
    return [
        other.baseline(book) if word == BASELINE else case for word, case in zip(words, named, strict=True)
    ]


def _case(park: Handle, ledger: Ledger, book: Rules, word: str) -> Case:
    """The scenario of a file, or the adopted one of that name."""
    path = Path(word)
    if path.suffix in (".yaml", ".yml"):
        return _case_of(park.territory, ledger, book, read(park.territory, path))
    left_out: list[Problem] = []
    known = {one.name: one for one in scenario_store.stored(ledger, left_out)}
    if word not in known:
        scenario_store.missed(word, left_out)
        hint = did_you_mean(word, [*known, BASELINE, MEASURED])
        raise RequestError("scenario.unknown", text=word, hint=hint)
    declared, scenario, base = scenario_store.again(ledger, known[word])
    derived = scenario_store.derived_of(ledger, known[word])
    pathway = Pathway(scenario, derived, base)
    return Case(declared, scenario, base, pathway, tuple(notes(declared, book, scenario)))


def _case_of(declared: Territory, ledger: Ledger, book: Rules, scenario: Scenario) -> Case:
    """A scenario over the base year that the ledger holds now, checked against its stock."""
    base, problems = base_year(declared, ledger, book, scenario)
    pathway = Pathway(scenario, derive(declared, book, scenario), base)
    pathway.amounts(strict=True)
    problems += notes(declared, book, scenario)
    problems += [
        Problem("scenario.begins_at_zero", {"flow": name, "year": scenario.baseline.year}, severity="note")
        for name in pathway.unmeasured
    ]
    return Case(declared, scenario, base, pathway, tuple(problems))


def _span(
    park: Handle,
    cases: Sequence[Case | None],
    start: str | date | datetime | None,
    end: str | date | datetime | None,
) -> Span:
    """The time that is asked about and that all scenarios cover."""
    tz = park.territory.tz
    spans = [case.scenario.span(case.declared) for case in cases if case is not None]
    if start is not None:
        spans.append(Span.asked(start, end, tz))
    first, last = max(span.start for span in spans), min(span.end for span in spans)
    if first >= last:
        data: dict[str, Any] = {
            "first": f"{first.astimezone(tz):%Y-%m}",
            "last": f"{last.astimezone(tz):%Y-%m}",
        }
        raise RequestError("scenario.no_common_time", **data)
    return Span(first, last)


@dataclass(frozen=True, slots=True)
class Part:
    """What one action does in one account and bucket, in kg CO2e against the baseline of its scenario (negative: less).

    Attributes:
        value: Shapley value; error: its standard error, 0 when exact.
        last_in: with all actions minus with all others; alone: with this one only minus without any.
    """

    scenario: str
    action: str
    account: str
    start: datetime
    value: float
    error: float
    last_in: float
    alone: float


@dataclass(frozen=True)
class Comparison:
    """Two sides and their difference.

    Attributes:
        sides: a, then b; span: the time compared; every: its buckets; sampling: orders and seed of the attribution.
    """

    sides: tuple[Side | Real, Side | Real]
    span: Span
    every: Step
    sampling: tuple[int, int] = (0, 0)
    found: tuple[Problem, ...] = field(default=())

    @property
    def names(self) -> tuple[str, str]:
        """The names of both sides."""
        return self.sides[0].name, self.sides[1].name

    @property
    def gwp(self) -> str:
        """The GWP set of the numbers."""
        scenario = next(side for side in self.sides if isinstance(side, Side))
        return str(scenario._asked["gwp"] or scenario.case.declared.gwp)  # noqa: SLF001 - the two belong together

    @property
    def starts(self) -> list[datetime]:
        """UTC starts of the buckets."""
        return self.sides[0].formula.starts

    @property
    def labels(self) -> dict[str, str]:
        """What people call the actions: their names, or ids; an id where two have one name."""
        actions = [one for side in self.sides if isinstance(side, Side) for one in side.case.scenario.actions]
        called = {one.id: one.name or one.id for one in actions}
        return {id_: name if list(called.values()).count(name) == 1 else id_ for id_, name in called.items()}

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What is missing, held or assumed on either side, each said once."""
        said: dict[str, Problem] = {}
        for problem in (
            *self.sides[0].problems,
            *self.sides[1].problems,
            *self._assumed(),
            *self._bases(),
            *self.found,
        ):
            said.setdefault(problem.text(), problem)
        return tuple(said.values())

    def total(self) -> pa.Table:
        """The same as `to_arrow` by account alone, with the intervals of the sums."""
        return self._table(("account",))

    def to_arrow(self) -> pa.Table:
        """One row per group and bucket, in kg CO2e with 95 % intervals.

        Columns: account and those of `by`; `start` (UTC); `a`, `a_low`, `a_high`, `b`, ...; `difference` (a - b), `difference_low`,
        `difference_high`. Bounds are NaN where no error is stated. Against `measured` also `verdict`: ahead, behind, on_plan.
        """
        return self._table(self.sides[0].formula.columns)

    def _table(self, names: Sequence[str]) -> pa.Table:
        """The table by some of the columns that were asked for: errors add up within a row as the emissions do."""
        where = [self.sides[0].formula.columns.index(name) for name in names]
        every = (*self.sides[0].formula.keys, *self.sides[1].formula.keys)
        keys = list(dict.fromkeys(tuple(key[n] for n in where) for key in every))
        count = len(self.starts)
        columns: dict[str, Any] = {
            name: [key[n] for key in keys for _ in range(count)] for n, name in enumerate(names)
        }
        columns["start"] = pa.array(self.starts * len(keys), pa.timestamp("us", tz="UTC"))
        laid = [_Laying(side, keys, where) for side in self.sides]
        a, b = (one(side.emissions) for one, side in zip(laid, self.sides, strict=True))
        moved = [
            {name: one(error) for name, error in side.errors.items()}
            for one, side in zip(laid, self.sides, strict=True)
        ]
        for name, total, errors in zip("ab", (a, b), moved, strict=True):
            columns |= _with_interval(name, total, list(errors.values()), net=False)
        zero = np.zeros_like(a)
        shared = [moved[0].get(name, zero) - moved[1].get(name, zero) for name in {**moved[0], **moved[1]}]
        stated = (
            np.sum([one != 0 for errors in moved for one in errors.values()], axis=0) if any(moved) else zero
        )
        columns |= _with_interval("difference", a - b, shared, net=True, stated=stated)
        if MEASURED in self.names:
            columns["verdict"] = self._verdicts(columns)
        return pa.table(columns)

    def parts(self) -> tuple[Part, ...]:
        """What each action does against the baseline of its own scenario; the parts of a scenario sum to what it changes."""
        return tuple(part for side in self.sides if isinstance(side, Side) for part in self._parts(side))

    def _parts(self, side: Side) -> list[Part]:
        actions = side.case.scenario.actions
        if not actions:
            return []
        known: dict[frozenset[int], Floats] = {}

        def value(active: frozenset[int]) -> Floats:
            if active not in known:
                known[active] = side.value(active)
            return known[active]

        orders, seed = self.sampling
        values, errors = shapley(value, len(actions), samples=orders, seed=seed)
        everything, nothing = frozenset(range(len(actions))), frozenset[int]()
        return [
            Part(
                side.name, action.id, account, start, float(values[n, row, column]), float(errors[n, row, column]),
                float((value(everything) - value(everything - {n}))[row, column]),
                float((value(frozenset({n})) - value(nothing))[row, column]),
            )
            for n, action in enumerate(actions)
            for row, account in enumerate(ACCOUNTS)
            for column, start in enumerate(self.starts)
        ]  # fmt: skip

    def _verdicts(self, columns: Mapping[str, Any]) -> list[str]:
        """What meters say against the plan: less than planned is ahead. Of avoided emissions and removals, more is."""
        sign = 1 if self.names[0] == MEASURED else -1
        said = []
        for account, low, high in zip(
            columns["account"], columns["difference_low"], columns["difference_high"], strict=True
        ):
            way = sign if account == "inventory" else -sign
            ends = sorted((way * low, way * high))
            said.append(
                "behind" if ends[0] > 0 else "ahead" if ends[1] < 0 else "" if np.isnan(low) else "on_plan"
            )
        return said

    def _assumed(self) -> list[Problem]:
        said = []
        for side in self.sides:
            actions = side.case.scenario.actions if isinstance(side, Side) else ()
            assumed = [action.id for action in actions if action.status in _ASSUMED]
            if assumed:
                data = {"count": len(assumed), "total": len(actions), "ids": ", ".join(assumed)}
                said.append(Problem("scenario.assumed", data, severity="note"))
        return said

    def _bases(self) -> list[Problem]:
        a, b = (side.case.scenario.baseline if isinstance(side, Side) else None for side in self.sides)
        return [Problem("scenario.other_baseline", {}, severity="warning")] if a and b and a != b else []


class _Laying:
    """Lays the numbers of a side out in the order of common keys, one after another; zero where it has no such group."""

    def __init__(self, side: Side | Real, keys: Sequence[tuple[str, ...]], where: Sequence[int]) -> None:
        rows = {key: row for row, key in enumerate(keys)}
        found = [rows[tuple(key[n] for n in where)] for key in side.formula.keys]
        self._sums = np.zeros((len(keys), len(found)))
        self._sums[found, np.arange(len(found))] = 1.0

    def __call__(self, cells: Floats) -> Floats:
        return np.asarray(self._sums @ cells).ravel()


def _with_interval(
    name: str, total: Floats, errors: Sequence[Floats], *, net: bool, stated: Floats | None = None
) -> dict[str, Floats]:
    """A number with its 95 % interval; NaN where no error is stated."""
    variance = np.sum([error**2 for error in errors], axis=0) if errors else np.zeros_like(total)
    low, high = uncertainty.intervals(total, variance, net=net)
    known = (variance if stated is None else stated) > 0
    return {
        name: total,
        f"{name}_low": np.where(known, low, np.nan),
        f"{name}_high": np.where(known, high, np.nan),
    }


make_callable(__name__)
