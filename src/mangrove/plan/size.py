# SPDX-License-Identifier: Apache-2.0
"""Sizing: the capacities of least cost over the life of the plan.

Comes in: a `Case`. Goes out: a `Sizing`. First a dozen typical days give sizes in a fraction of a second; these sizes are then
run over every hour of the year, which says how wrong the preview is; then every hour of the year is optimized with the sizes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from mangrove.errors import RequestError
from mangrove.network import Plan
from mangrove.plan.build import Model, View, every_step, model, over_typical_days
from mangrove.plan.problem import Case
from mangrove.plan.result import Effort, Preview, Sizing, State, bills_of, owned, state, worth_of

DAYS = 12


def size(
    case: Case,
    *,
    days: int | None = DAYS,
    full: bool = True,
    solver: str = "auto",
    timezone: str = "UTC",
    shown: Callable[[Preview], None] | None = None,
) -> Sizing:
    """Finds the capacities of least cost.

    Args:
        case: the problem.
        days: typical days of the preview (the highest day of each load comes on top); None for no preview.
        full: whether every hour of the year is optimized; else the sizes are those of the preview, run over the year.
        solver: see `Network.solve`.
        timezone: of the meters, for the months of itemized bills.
        shown: called with the preview as soon as it is there.

    Raises:
        RequestError: `plan.nothing_to_do` when neither a preview nor the full year is asked for.
        InfeasibleError: what never gives way contradicts itself.

    Example:
        >>> import numpy as np
        >>> from mangrove.plan.problem import Supply, pv
        >>> sun = np.tile([0.0, 1.0], 12)
        >>> roof = pv("roof", sun, cost=1000.0, most=10.0)
        >>> case = Case({"electricity": np.full(24, 2.0)}, (Supply(buy=1.0),), (roof,))
        >>> found = size(case, days=None)
        >>> round(found.sizes["roof"], 6), round(found.after.energy["grid"])
        (2.0, 8760)
    """
    if days is None and not full:
        raise RequestError("plan.nothing_to_do")
    whole = every_step(case)
    before, cost_before = without(case, whole)
    preview, checked = None, None
    if days is not None:
        preview, checked = previewed(case, days, whole)
        if shown is not None:
            shown(preview)
    if full:
        built, plan, effort = solved(case, whole, solver=solver)
        after, cost, worth = state(built, plan), plan.cost, worth_of(case, plan)
    else:
        assert preview is not None
        assert checked is not None
        after, cost, effort, worth = checked, preview.cost, preview.effort, ()
    after = replace(after, bills=bills_of(case, after.series, timezone))
    if before is not None:
        before = replace(before, bills=bills_of(case, before.series, timezone))
    return Sizing(case, cost, after, before, cost_before, preview, worth, effort, full)


def solved(
    case: Case,
    view: View,
    *,
    sizes: Mapping[str, float] | None = None,
    limits: bool = True,
    solver: str = "auto",
) -> tuple[Model, Plan, Effort]:
    """Builds and solves; `plan.cost` is the cost of operation alone when the sizes are given."""
    began = time.perf_counter()
    built = model(case, view, sizes=sizes, limits=limits)
    plan = built.net.solve(solver=solver)
    if (
        plan.status != "optimal"
    ):  # an interior-point method that stops short; the other one is slower and surer
        plan = built.net.solve(solver="ipx")
    program = built.net.program
    effort = Effort(
        plan.solver, program.height, program.width, plan.iterations, time.perf_counter() - began, plan.status
    )
    return built, plan, effort


def without(case: Case, view: View) -> tuple[State | None, float]:
    """A year without building and without the limits of the plan, and its cost; None when the loads cannot be met."""
    built, plan, _ = solved(case, view, sizes=case.existing(), limits=False)
    found = state(built, plan)
    return (found, plan.cost) if found.complete else (None, float("nan"))


def previewed(case: Case, days: int, whole: View) -> tuple[Preview, State]:
    """Sizes from typical days, and a year of operation with them."""
    began = time.perf_counter()
    view = over_typical_days(case, days)
    built, plan, effort = solved(case, view, solver="simplex")
    seconds = time.perf_counter() - began
    sizes = state(built, plan).sizes
    assert view.days is not None
    again = time.perf_counter()
    checked, cost = over_the_year(case, sizes, whole)
    effort = replace(effort, seconds=seconds)
    count = len(view.days.days)
    return Preview(count, sizes, plan.cost, cost, effort, time.perf_counter() - again), checked


def over_the_year(case: Case, sizes: Mapping[str, float], whole: View) -> tuple[State, float]:
    """Every hour of the year with given sizes, and the cost over the study."""
    built, plan, _ = solved(case, whole, sizes=sizes)
    return state(built, plan), plan.cost + owned(case, sizes)
