# SPDX-License-Identifier: Apache-2.0
"""Pooling solved exactly by SCIP, which branches on flow x content itself; needs the extra `mangrove[scip]`.

Comes in: a `Pooling` with scaled contents. Goes out: a plan whose gap is the one that was asked for, or what was left when time ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mangrove.errors import MissingExtraError, RequestError
from mangrove.network.pooling import Pooling, PoolingPlan, cost_of, true_contents, with_contents
from mangrove.network.pooling_levels import content_ranges

_TOLERANCE = 1e-5


def solve(problem: Pooling, *, gap: float, time_limit: float) -> PoolingPlan | None:
    """The cheapest plan up to `gap`; None when nothing is feasible.

    Raises:
        MissingExtraError: PySCIPOpt is not installed.
        RequestError: `reuse.time_limit` when no plan was found in time; `reuse.unbounded`.
    """
    try:
        import pyscipopt
    except ImportError:
        raise MissingExtraError("scip") from None

    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", gap)
    model.setParam("limits/time", time_limit)
    model.setParam("parallel/maxnthreads", 1)
    made = _build(model, pyscipopt.quicksum, problem)
    model.optimize()
    if model.getStatus() == "infeasible":
        return None
    if not model.getNSols():
        raise RequestError("reuse.time_limit", seconds=time_limit)
    best: Any = model.getBestSol()
    x = np.maximum(np.array([best[v] for v in made.flow]), 0.0)
    found = PoolingPlan(x, true_contents(problem, x), cost_of(problem, x), model.getDualbound(), "scip")
    declared = problem.outlet.copy()
    for (u, q), variable in made.contents.items():
        declared[u, q] = best[variable]
    # SCIP holds products to 1e-6: the linear program for its contents gives flows that obey every limit to HiGHS's
    near = np.where(np.isclose(declared, problem.outlet, rtol=0.0, atol=_TOLERANCE), problem.outlet, declared)
    for contents in (near, np.round(near, 6), declared):
        sharp = with_contents(problem, contents, time_limit=time_limit)
        if sharp is not None and sharp.cost <= found.cost + max(gap, 1e-6) * max(abs(found.cost), 1e-9):
            found = replace(sharp, bound=found.bound, method="scip")
            break
    return replace(found, bound=min(found.bound, found.cost))


@dataclass(frozen=True)
class _Made:
    """A model of SCIP: `flow` x_a, `contents` c_uq, `total` (its sum of expressions)."""

    model: Any
    total: Any
    problem: Pooling
    flow: list[Any]
    contents: dict[tuple[int, int], Any]

    def load(self, a: int, q: int) -> Any:
        """Flow x content of arc a: linear behind a supply or a known unit, else a product of two variables."""
        p, start = self.problem, int(self.problem.start[a])
        i = len(p.supplies)
        if start < i:
            return float(p.content[start, q]) * self.flow[a]
        return self.flow[a] * self.contents.get((start - i, q), float(p.outlet[start - i, q]))

    def between(self, least: float, value: Any, most: float) -> None:
        """Keeps least <= value <= most."""
        if least > 0:
            self.model.addCons(value >= float(least))
        if np.isfinite(most):
            self.model.addCons(value <= float(most))

    def flows(self, arcs: Any) -> Any:
        """The sum of some flows."""
        return self.total(self.flow[a] for a in np.flatnonzero(arcs))


def _build(model: Any, total: Any, problem: Pooling) -> _Made:
    """The rows of `pooling.flow_rows` and `pooling.content_rows`, with flow x content as a product."""
    i, u = len(problem.supplies), len(problem.units)
    low, high = content_ranges(problem)
    flow = [model.addVar(lb=0.0, ub=_end(most)) for most in problem.most]
    contents = {
        (int(k), q): model.addVar(lb=float(low[k, q]), ub=float(high[k, q]))
        for k in np.flatnonzero(~problem.known)
        for q in range(problem.contents)
    }
    made = _Made(model, total, problem, flow, contents)
    for k in range(i):
        made.between(problem.supply_least[k], made.flows(problem.start == k), problem.supply_most[k])
    for j in range(len(problem.demands)):
        made.between(problem.demand_least[j], made.flows(problem.end == u + j), problem.demand_most[j])
    for k in range(u):
        _unit(made, k)
    limits = np.concatenate([problem.inlet, problem.limit])
    for e, q in zip(*np.nonzero(np.isfinite(limits)), strict=True):
        arcs = np.flatnonzero(problem.end == e)
        if len(arcs):
            loads = total(made.load(a, q) for a in arcs.tolist())
            model.addCons(loads <= float(limits[e, q]) * made.flows(problem.end == e))
    money = total(float(cost) * flow[a] for a, cost in enumerate(problem.cost) if cost)
    for a in np.flatnonzero(problem.fixed > 0):
        opened = model.addVar(vtype="B")
        model.addCons(flow[a] <= float(problem.most[a]) * opened)
        money += float(problem.fixed[a]) * opened
    model.setObjective(money)
    return made


def _unit(made: _Made, k: int) -> None:
    """Flow and loads of one unit."""
    p = made.problem
    out, into = p.start == len(p.supplies) + k, p.end == k
    made.between(0.0, made.flows(into), p.unit_most[k])
    if not out.any() and not into.any():
        return
    made.model.addCons(made.flows(out) == float(p.recovery[k]) * made.flows(into))
    for q in range(p.contents):
        came = made.total(made.load(a, q) for a in np.flatnonzero(into).tolist())
        left = made.total(made.load(a, q) for a in np.flatnonzero(out).tolist())
        behind = float(p.keep[k, q]) * came + float(p.load[k, q])
        made.model.addCons(behind <= left if p.known[k] else behind == left)


def _end(most: float) -> float | None:
    """An upper bound as SCIP takes it."""
    return float(most) if np.isfinite(most) else None
