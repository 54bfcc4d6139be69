# SPDX-License-Identifier: Apache-2.0
"""Water reuse: the least fresh water, or the least cost, with which a site or several plants can run.

Comes in: operations that add a load to water, sources and sinks of fixed flow, fresh waters, treatment, pipes. Goes out: a plan with
every match (from, to, flow, concentration), fresh water, wastewater, electricity and money; the same for each coalition of plants,
which is a game to share. Flows are in t/h (= m3/h of water), concentrations in ppm (= mg/L = g/t), loads in kg/h. One contaminant:
a linear program and exact, because an outlet at its highest concentration is optimal (Savelski and Bagajewicz, Chem. Eng. Sci. 55
(2000) 5035): water that need not run through an operation may pass beside it. Where pipes cost money or are missing on that way, the plan
is the best among those whose outlets are at their highest. Fixed flows with treatment of fixed outlet stay linear for any number of
contaminants; operations with several contaminants, removal ratios and limits on the discharge make it bilinear (`pooling`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError, RequestError
from mangrove.network.pooling import (
    PoolingPlan,
    content_rows,
    cost_of,
    flow_rows,
    run,
    solve_pooling,
    true_contents,
)
from mangrove.network.water_problem import (
    WASTE,
    Discharge,
    Fresh,
    Operation,
    Pipe,
    Sink,
    Source,
    Treatment,
    WaterModel,
    WaterProblem,
    water_model,
)

Floats = npt.NDArray[np.float64]
OBJECTIVES = ("fresh", "cost")
_NOTHING = 1e-6
"""t/h: what a solver calls zero."""


def reuse_water(
    problem: WaterProblem,
    *,
    objective: str = "fresh",
    method: str = "auto",
    gap: float = 1e-3,
    time_limit: float = 60.0,
) -> WaterPlan:
    """The plan with the least fresh water, or of the least cost.

    Args:
        problem: who needs and gives what.
        objective: `fresh`: least fresh water; among those least treated water; among those least cost (and water that crosses from
            plant to plant). `cost`: least money, fixed costs of pipes included.
        method: see `solve_pooling`; only matters when contents are open.
        gap: relative gap at which a search ends.
        time_limit: seconds of a search.

    Treatment that water may pass only `once` splits each operation: its part on treated water is called `name *`.

    Raises:
        InfeasibleError: `reuse.infeasible`: no water is clean enough, or discharge limits cannot be kept.
        RequestError: `reuse.range`, `reuse.shape`, `network.name_twice`, `reuse.unknown_method`.

    Example:
        >>> ops = ((2, 0, 100), (5, 50, 100), (30, 50, 800), (4, 400, 800))  # Wang and Smith 1994
        >>> plan = reuse_water(WaterProblem(operations=[Operation(f"op {k}", *row) for k, row in enumerate(ops, 1)]))
        >>> round(plan.fresh, 6), round(plan.no_reuse, 6)
        (90.0, 112.5)
    """
    if objective not in OBJECTIVES:
        raise RequestError("reuse.unknown_method", text=objective, options=", ".join(OBJECTIVES))
    if not (problem.operations or problem.sinks or problem.sources):
        return WaterPlan(0.0, {}, 0.0, {}, (), {}, 0.0, 0.0, 0.0, 0.0, 0.0, "linear")
    model = water_model(problem)
    search: dict[str, Any] = {"method": method, "gap": gap, "time_limit": time_limit}
    found, bound = _staged(model, objective, search)
    return _plan(problem, model, found, bound, objective)


@dataclass(frozen=True, slots=True)
class Match:
    """Water from one to another: t/h and ppm by contaminant. Names of fresh waters and `WASTE` stand at the ends."""

    start: str
    end: str
    flow: float
    ppm: tuple[float, ...]


@dataclass(frozen=True)
class WaterPlan:
    """What a plan uses.

    Attributes:
        fresh, by_fresh: t/h; waste: t/h discharged; treated: t/h taken by each treatment; matches: flows above 1e-6 t/h.
        outlets: true ppm behind each operation and treatment. no_reuse: t/h of fresh water without reuse and treatment; NaN when
            that cannot be.
        cost: money per hour; electricity: kW.
        value, bound: of the objective; gap: between them, 0 for a linear program.
        method: `linear` (exact), `levels`, `scip`.
    """

    fresh: float
    by_fresh: Mapping[str, float]
    waste: float
    treated: Mapping[str, float]
    matches: tuple[Match, ...]
    outlets: Mapping[str, tuple[float, ...]]
    no_reuse: float
    cost: float
    electricity: float
    value: float
    bound: float
    method: str

    @property
    def gap(self) -> float:
        """(value - bound) / |value|."""
        return max(self.value - self.bound, 0.0) / max(abs(self.value), 1e-9)

    @property
    def saved(self) -> float:
        """Fresh water saved by reuse and treatment, t/h."""
        return self.no_reuse - self.fresh


def no_reuse(problem: WaterProblem) -> float:
    """Fresh water (t/h) when nothing is used again and nothing treated; NaN when fresh water alone cannot serve all."""
    alone = replace(
        problem, treatments=(), between=None, inside=Pipe(most=0.0), pipes={}, discharge=Discharge()
    )
    if not (problem.operations or problem.sinks):
        return 0.0
    model = water_model(alone)
    open_ = replace(model.pooling, known=np.ones(len(model.pooling.units), dtype=bool))
    try:
        found = solve_pooling(open_, objective=model.fresh.astype(float))
    except InfeasibleError:
        return float("nan")
    return float(found.flow[model.fresh].sum())


def water_game(
    problem: WaterProblem, *, objective: str = "fresh", method: str = "auto", gap: float = 1e-3
) -> tuple[tuple[str, ...], Callable[[frozenset[str]], float]]:
    """Members and the value of a coalition (t/h of fresh water, or money per hour): what a sharing rule needs.

    Example:
        >>> from mangrove.network.water_reuse import Sink, Source
        >>> two = WaterProblem(sinks=[Sink("wash", 10, 50, "a")], sources=[Source("rinse", 10, 50, "b")])
        >>> members, cost = water_game(two)
        >>> cost(frozenset("a")), cost(frozenset("ab"))
        (10.0, 0.0)
    """

    def value(coalition: frozenset[str]) -> float:
        part = problem.of(coalition)
        return reuse_water(part, objective=objective, method=method, gap=gap).value if coalition else 0.0

    return problem.plants, value


def _staged(
    model: WaterModel, objective: str, search: dict[str, Any]
) -> tuple[PoolingPlan, tuple[float, float]]:
    """The plan, and (value, bound) of the objective: money, or fresh water, then treated water, then money and crossing water."""
    if objective == "cost":
        found = solve_pooling(model.pooling, **search)
        return found, (found.cost, found.bound)
    fresh = model.fresh.astype(float)
    first = solve_pooling(model.pooling, objective=fresh, **search)
    value, bound = float(fresh @ first.flow), first.bound
    if not model.pooling.linear:  # keep the contents that were found; what follows is linear
        declared = np.where(model.pooling.known[:, None], model.pooling.outlet, first.content)
        outlet = np.minimum(declared * (1 + 1e-7), model.pooling.outlet)
        model = replace(model, pooling=replace(model.pooling, outlet=outlet, known=True, _checked=False))
    money = model.pooling.cost + model.crossing * 1e-6 * max(
        1.0, float(np.abs(model.pooling.cost).max(initial=0.0))
    )
    held, best = [(fresh, value)], first
    for stage in (model.treated.astype(float), money):
        if not stage.any():
            continue
        next_ = _held(model, stage, held)
        if next_ is None:
            break
        best = replace(next_, method=first.method)
        held.append((stage, float(stage @ next_.flow)))
    return best, (value, bound)


def _held(model: WaterModel, objective: Floats, held: Sequence[tuple[Floats, float]]) -> PoolingPlan | None:
    """The linear program with earlier objectives held at their values (up to rounding)."""
    scaled, scale = model.pooling.scaled(objective)
    program, x = flow_rows(scaled)
    quality = np.concatenate([scaled.content, scaled.outlet])
    loads = [(x, quality[scaled.start, q]) for q in range(scaled.contents)]
    content_rows(program, scaled, x, loads, exact=False)
    for weights, value in held:
        row = program.rows("held", (1,), upper=value + 1e-10 * max(1.0, abs(value)))
        program.terms(row, x, weights)
    outcome, _ = run(program, np.empty(0, dtype=np.int64), gap=0.0, time_limit=None)
    if outcome is None:
        return None
    flow = np.maximum(outcome.columns[x], 0.0)
    cost = float(objective @ flow)
    return PoolingPlan(flow, true_contents(scaled, flow) * scale, cost, cost, "linear")


def _plan(
    problem: WaterProblem, model: WaterModel, found: PoolingPlan, worth: tuple[float, float], objective: str
) -> WaterPlan:
    """Sums and matches of the flows."""
    flow, p = np.where(found.flow > _NOTHING, found.flow, 0.0), model.pooling
    quality = np.concatenate([p.content, found.content])
    by_fresh = {f.name: float(flow[p.start == k].sum()) for k, f in enumerate(problem.fresh)}
    first = len(problem.operations)
    treated = {t.name: float(flow[p.end == first + k].sum()) for k, t in enumerate(problem.treatments)}
    matches = tuple(
        Match(
            model.starts[p.start[a]],
            model.ends[p.end[a]],
            float(flow[a]),
            tuple(map(float, quality[p.start[a]])),
        )
        for a in np.flatnonzero(flow)
    )
    runs = {name: flow[p.end == k].sum() > 0 for k, name in enumerate(p.units)}
    value = worth[0] if objective == "cost" else float(flow[model.fresh].sum())
    return WaterPlan(
        fresh=float(flow[model.fresh].sum()),
        by_fresh=by_fresh,
        waste=float(flow[model.waste].sum()),
        treated=treated,
        matches=matches,
        outlets={n: tuple(map(float, found.content[k])) for k, n in enumerate(p.units) if runs[n]},
        no_reuse=no_reuse(problem),
        cost=cost_of(p, flow),
        electricity=sum(t.electricity * treated[t.name] for t in problem.treatments),
        value=value,
        bound=min(worth[1], value),
        method=found.method,
    )


__all__ = [
    "WASTE", "Discharge", "Fresh", "Match", "Operation", "Pipe", "Sink", "Source", "Treatment", "WaterPlan", "WaterProblem", "no_reuse",
    "reuse_water", "water_game",
]  # fmt: skip
