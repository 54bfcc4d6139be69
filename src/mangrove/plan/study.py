# SPDX-License-Identifier: Apache-2.0
"""What the answer depends on: one thing changed at a time, and cost against carbon.

Comes in: a case and named changes of it. Goes out: one `Outcome` a change, each with its own sizes. Sizes come from typical days,
in a fraction of a second each, and are then run over every hour of the year, because typical days flatter a plan (they miss
peaks that are billed). `check=False` leaves that out; `full=True` optimizes every hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mangrove.errors import RequestError, did_you_mean
from mangrove.network import Plan
from mangrove.plan.build import Model, View, every_step, model, over_typical_days
from mangrove.plan.finance import CashFlow, cash_flow
from mangrove.plan.problem import Candidate, Case, Supply
from mangrove.plan.problem import full as as_series
from mangrove.plan.result import State, owned, purchases, state
from mangrove.plan.size import DAYS, over_the_year, solved, without

_DEAR = 10.0
"""How many times dearer than the last tonne it is to miss a cap when given sizes are run over the year."""
_SHORT = 0.01
"""Share of the way by which a frontier stops short of the least emissions: the very last tonnes cost any price."""
_LEAST = 1e-3
"""t CO2: a smaller difference between the two ends is none."""


@dataclass(frozen=True, slots=True)
class Variation:
    """A changed case: `kind` says what was changed (`price`, `cost`, ...), `name` which of it, `value` to what."""

    kind: str
    name: str
    value: float
    case: Case


@dataclass(frozen=True, eq=False)
class Outcome:
    """The answer to a variation.

    Attributes:
        kind, name, value: the variation; sizes: what is built then.
        cost: over the study; saved: cost before less cost (NaN without a year to compare with).
        emissions: t CO2 a year, emissions_before: without building.
        flow: cash flows; None without a year to compare with.
    """

    kind: str
    name: str
    value: float
    sizes: Mapping[str, float]
    cost: float
    saved: float
    emissions: float
    emissions_before: float
    flow: CashFlow | None

    @property
    def irr(self) -> float:
        """Internal rate of return; NaN when there is none."""
        return self.flow.irr.rate if self.flow is not None else math.nan

    @property
    def payback(self) -> float:
        """Years to get the investment back; infinite if never, NaN without a year to compare with."""
        return self.flow.payback if self.flow is not None else math.nan


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the frontier.

    Attributes:
        emissions: t CO2 a year; cost: over the study; sizes: what is built.
        price: what the last tonne cost, money a tonne; limit: the cap that gave the point, None for the plan of least cost.
    """

    emissions: float
    cost: float
    sizes: Mapping[str, float]
    price: float
    limit: float | None


def sensitivity(
    case: Case,
    variations: Sequence[Variation] | None = None,
    *,
    days: int = DAYS,
    check: bool = True,
    full: bool = False,
) -> list[Outcome]:
    """Sizes and money of the case and of each variation; the first outcome is the case itself.

    Args:
        case: the problem.
        variations: what to change; None for `usual(case)`.
        days: typical days from which the sizes come.
        check: whether these sizes are run over every hour, so that money and emissions are true for them.
        full: whether every hour is optimized instead.
    """
    chosen = usual(case) if variations is None else variations
    first = Variation("case", case.name, 1.0, case)
    return [outcome(one, days=days, check=check, full=full) for one in (first, *chosen)]


def outcome(variation: Variation, *, days: int = DAYS, check: bool = True, full: bool = False) -> Outcome:
    """The answer to one variation, see `sensitivity`."""
    case = variation.case
    whole = every_step(case)
    view = whole if full else over_typical_days(case, days)
    before, cost_before = without(case, whole if check else view)
    built, plan, _ = solved(case, view, solver="auto" if full else "simplex")
    after, cost = state(built, plan), plan.cost
    if check and not full:
        after, cost = over_the_year(case, after.sizes, whole)
    flow = None
    if before is not None:
        flow = cash_flow(purchases(case, after.sizes), before.running, after.running, case.money)
    return Outcome(
        variation.kind, variation.name, variation.value, after.sizes, cost, cost_before - cost,
        after.emissions, before.emissions if before is not None else math.nan, flow,
    )  # fmt: skip


def usual(case: Case, share: float = 0.2) -> list[Variation]:
    """Prices, investment of each candidate and discount rate, each lower and higher by `share` (fraction)."""
    found: list[Variation] = []
    for factor in (1.0 - share, 1.0 + share):
        found += [priced(case, supply.name, factor) for supply in case.supplies]
        found += [costing(case, name, factor) for name in choices(case)]
        found.append(discounted(case, case.money.discount * factor))
    return found


def priced(case: Case, supply: str, factor: float) -> Variation:
    """All prices of a supply times `factor`: energy, sales and demand."""

    def change(one: Supply) -> Supply:
        return replace(
            one,
            buy=np.asarray(one.buy) * factor if np.ndim(one.buy) else one.buy * factor,
            sell=None if one.sell is None else one.sell * factor,
            demand=one.demand * factor,
            contract=None,
        )

    return Variation("price", supply, factor, _with_supply(case, supply, change))


def choices(case: Case) -> list[str]:
    """Names of what may be built: candidates, assets with a largest size, connections that may grow."""
    grown = [one.name for one in case.supplies if one.size is not None]
    assets = [one.name for one in case.assets if any(s.most > s.existing for s in one.sizes().values())]
    return [*(one.name for one in case.candidates), *assets, *grown]


def costing(case: Case, candidate: str, factor: float) -> Variation:
    """Investment and replacement of a candidate, an asset or a connection times `factor`."""

    def change(one: Candidate) -> Candidate:
        changed = one
        for name, size in one.sizes().items():
            again = None if size.again is None else size.again * factor
            changed = changed.resized(name, cost=size.cost * factor, again=again)
        return changed

    names = choices(case)
    if candidate not in names:
        raise RequestError("plan.unknown_candidate", name=candidate, hint=did_you_mean(candidate, names))
    things = tuple(change(one) if one.name == candidate else one for one in case.candidates)
    assets = tuple(one.costing(factor) if one.name == candidate else one for one in case.assets)
    supplies = tuple(
        replace(one, size=replace(one.size, cost=one.size.cost * factor))
        if one.name == candidate and one.size is not None
        else one
        for one in case.supplies
    )
    changed = replace(case, candidates=things, assets=assets, supplies=supplies)
    return Variation("cost", candidate, factor, changed)


def discounted(case: Case, rate: float) -> Variation:
    """Another discount rate."""
    return Variation("discount", "", rate, replace(case, money=replace(case.money, discount=rate)))


def carbon_priced(case: Case, price: float) -> Variation:
    """Another price per t CO2."""
    return Variation("carbon", "", price, replace(case, carbon=price))


def regimes(case: Case, supplies: Mapping[str, Supply]) -> list[Variation]:
    """The same year under other contracts: name of the regime -> the supply that takes the place of the one of its name."""
    return [
        Variation("regime", name, math.nan, _with_supply(case, supply.name, lambda _, s=supply: s))
        for name, supply in supplies.items()
    ]


def years(cases: Mapping[str, Case]) -> list[Variation]:
    """The same question in other weather or load years: name of the year -> its case."""
    return [Variation("year", name, math.nan, case) for name, case in cases.items()]


def stacked(cases: Sequence[Case]) -> Case:
    """Several years of one question as one: sizes must do for all of them, and costs are their mean.

    Contracts are left out, because bills of years that never followed each other would be priced by the wrong calendar.

    Raises:
        RequestError: `plan.unlike_years` when the cases do not have the same loads, supplies and candidates by name.
    """
    first = cases[0]
    names = [_names(case) for case in cases]
    if any(other != names[0] for other in names):
        raise RequestError("plan.unlike_years", names=", ".join(names[0]))
    loads = {carrier: np.concatenate([case.loads[carrier] for case in cases]) for carrier in first.loads}
    supplies = tuple(
        _joined_supply(several, cases) for several in zip(*(case.supplies for case in cases), strict=True)
    )
    things = tuple(
        replace(several[0], profile=_joined([one.profile for one in several], cases))
        for several in zip(*(case.candidates for case in cases), strict=True)
    )
    assets = tuple(
        replace(
            several[0],
            series={
                what: np.concatenate([one.series[what] for one in several]) for what in several[0].series
            },
        )
        for several in zip(*(case.assets for case in cases), strict=True)
    )
    return replace(first, loads=loads, supplies=supplies, candidates=things, assets=assets)


def _names(case: Case) -> list[str]:
    parts = [*case.loads, *case.names]
    return [*parts, str(case.hours)]


def _joined(values: Sequence[Any], cases: Sequence[Case]) -> Any:
    """One number when all are the same, else the series one after the other."""
    if all(np.ndim(one) == 0 and one == values[0] for one in values):
        return values[0]
    return np.concatenate([as_series(one, case.steps) for one, case in zip(values, cases, strict=True)])


def _joined_supply(several: Sequence[Supply], cases: Sequence[Case]) -> Supply:
    """A supply over all years; its billing months go on counting."""
    first, month, demand = several[0], None, _demand(several)
    months = [one.month for one in several if one.month is not None]
    if len(months) == len(several):
        offsets = np.cumsum([0, *(int(one.max()) + 1 for one in months)])
        month = np.concatenate(
            [np.where(one >= 0, one + offset, -1) for one, offset in zip(months, offsets, strict=False)]
        )
    sell = None if first.sell is None else _joined([one.sell for one in several], cases)
    return replace(
        first, buy=_joined([one.buy for one in several], cases), sell=sell,
        upper=_joined([one.upper for one in several], cases), factor=_joined([one.factor for one in several], cases),
        month=month, demand=demand, contract=None,
    )  # fmt: skip


def _demand(several: Sequence[Supply]) -> Any:
    """The demand price of all billing months: one number, or one a month."""
    if all(np.ndim(one.demand) == 0 and one.demand == several[0].demand for one in several):
        return several[0].demand
    return np.concatenate(
        [np.broadcast_to(np.asarray(one.demand, dtype=float), (one.months,)) for one in several]
    )


def _with_supply(case: Case, name: str, change: Callable[..., Any]) -> Case:
    names = [one.name for one in case.supplies]
    if name not in names:
        raise RequestError("plan.unknown_supply", name=name, hint=did_you_mean(name, names))
    return replace(case, supplies=tuple(change(one) if one.name == name else one for one in case.supplies))


def frontier(
    case: Case, points: int = 8, *, days: int = DAYS, check: bool = True, full: bool = False
) -> list[Point]:
    """Cost against carbon: from the plan of least cost to (99 % of the way to) the least emissions, with caps evenly between.

    The plan of least emissions is the cheapest of those that emit least with the sizes allowed, so give candidates a `most`.

    Args:
        case: the problem; its own cap on emissions is ignored.
        points: how many, both ends included.
        days: typical days from which the sizes come.
        check: whether these sizes are run over every hour; a point then shows what they really cost and emit, as near to its
            cap as they can come.
        full: whether every hour is optimized instead.

    Raises:
        RequestError: `plan.few_points` for less than two.
    """
    if points < 2:  # noqa: PLR2004  a line has two ends
        raise RequestError("plan.few_points", points=points)
    whole = every_step(case)
    view = whole if full else over_typical_days(case, days)
    open_ = replace(case, limits=replace(case.limits, co2=None))
    found = [_point(*_solve(open_, view, full=full), limit=None)]
    built, plan = _solve(replace(case, limits=replace(case.limits, co2=0.0)), view, full=full)
    least = state(built, plan).emissions
    way = found[0].emissions - least
    if way > _LEAST:
        for cap in found[0].emissions - way * np.linspace(0.0, 1.0 - _SHORT, points)[1:]:
            built.net.update(built.budgets["co2"], upper=float(cap))
            found.append(
                _point(built, built.net.solve(solver="auto" if full else "simplex"), limit=float(cap))
            )
    return found if full or not check else [_checked(case, one, whole) for one in found]


def _checked(case: Case, point: Point, whole: View) -> Point:
    """The sizes of a point over every hour: the cap holds as far as they can, at ten times the price of anything else."""
    limits = replace(case.limits, co2=point.limit)
    built = model(replace(case, limits=limits), whole, sizes=point.sizes)
    excess, dear = None, 0.0
    if point.limit is not None:
        dear = _DEAR * max(point.price * _years_worth(case), point.cost / max(point.emissions, 1.0))
        excess = built.net.program.columns("co2 excess", (1,), cost=dear)
        built.net.program.terms(built.budgets["co2"].rows, excess, -1.0)
    plan = built.net.solve()
    found = state(built, plan)
    over = max(0.0, found.emissions - point.limit) if point.limit is not None else 0.0
    return replace(point, emissions=found.emissions, cost=plan.cost - dear * over + owned(case, point.sizes))


def _solve(case: Case, view: View, *, full: bool) -> tuple[Model, Plan]:
    built, plan, _ = solved(case, view, solver="auto" if full else "simplex")
    return built, plan


def _point(built: Model, plan: Plan, *, limit: float | None) -> Point:
    """The point of a solved model; the price of the last tonne is the dual of the cap, spread over the years."""
    found: State = state(built, plan)
    worth = next((shadow.value for shadow in plan.shadows() if shadow.name == "co2"), 0.0)
    price = worth / _years_worth(built.case) if limit is not None else 0.0
    return Point(found.emissions, plan.cost, found.sizes, price, limit)


def _years_worth(case: Case) -> float:
    """Money of today of one unit in each year of the study, before tax."""
    money = case.money
    return float(money.discounted(np.r_[0.0, np.ones(money.years)]).sum())
