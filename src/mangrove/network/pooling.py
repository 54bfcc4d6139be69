# SPDX-License-Identifier: Apache-2.0
"""Pooling: flows that mix on their way, with limits on what is in them; the generalized pooling problem.

Comes in: supplies of known content, units where streams mix (pools, operations that add a load, treatment that removes a share),
demands with limits, and the arcs between them, all as arrays. Goes out: flows, contents and cost, with a bound and a gap. When the
content behind every unit is given, this is a linear program and exact. Else flow x content is bilinear: quality levels on HiGHS
(`pooling_levels`) give a feasible plan and a bound; SCIP (`pooling_scip`, an extra) solves it exactly. Water reuse is built on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError, RequestError
from mangrove.network.arrays import finite, numbers
from mangrove.network.program import FREE, Program

if TYPE_CHECKING:
    from mangrove.network.solver import Outcome

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
METHODS = ("auto", "levels", "scip")


def solve_pooling(
    problem: Pooling,
    *,
    method: str = "auto",
    gap: float = 1e-3,
    time_limit: float = 60.0,
    objective: Floats | None = None,
) -> PoolingPlan:
    """The flows of least cost.

    Args:
        problem: what stands where; linear when `problem.linear`, then every method is the same exact linear program.
        method: `levels` (HiGHS: feasible plan, bound and gap), `scip` (exact up to the gap; needs `mangrove[scip]`), `auto`: SCIP where
            it is installed, else levels.
        gap: relative gap between cost and bound at which the search ends.
        time_limit: seconds for the search; the plan then says which gap is left.
        objective: (A,) cost per unit on the arcs instead of the problem's own, without fixed costs.

    Raises:
        InfeasibleError: `reuse.infeasible`.
        MissingExtraError: `scip` was asked for and is not installed.
        RequestError: `reuse.unknown_method`; `reuse.time_limit` when no plan was found in time.

    Example:
        >>> lake = Pooling(
        ...     supplies=("dirty", "clean"), content=[[100.0], [0.0]], supply_most=[50.0, np.inf],
        ...     demands=("wash",), demand_least=[40.0], demand_most=[40.0], limit=[[25.0]],
        ...     start=[0, 1], end=[0, 0], cost=[0.0, 1.0],
        ... )
        >>> [float(round(x, 6)) for x in solve_pooling(lake).flow]
        [10.0, 30.0]
    """
    if method not in METHODS:
        raise RequestError("reuse.unknown_method", text=method, options=", ".join(METHODS))
    scaled, scale = problem.scaled(objective)
    if problem.linear and not scaled.fixed.any():
        found = with_contents(scaled, scaled.outlet)
    elif problem.linear:
        found = with_contents(scaled, scaled.outlet, gap=min(gap, 1e-6), time_limit=time_limit)
    elif method == "scip" or (method == "auto" and has_scip()):
        from mangrove.network import pooling_scip

        found = pooling_scip.solve(scaled, gap=gap, time_limit=time_limit)
    else:
        from mangrove.network import pooling_levels

        found = pooling_levels.solve(scaled, gap=gap, time_limit=time_limit)
    if found is None:
        raise InfeasibleError("reuse.infeasible", count=len(problem.demands))
    return replace(found, content=found.content * scale)


@dataclass(frozen=True, eq=False)
class Pooling:
    """A problem with I supplies, U units, J demands, Q contents and A arcs. Flows in one unit (t/h), contents in another (ppm, %).

    Attributes:
        supplies, units, demands: names.
        content: (I, Q) of the supplies; supply_least, supply_most: (I,) what leaves them.
        demand_least, demand_most: (J,); limit: (J, Q) highest content; infinite: none.
        load: (U, Q) flow x content that a unit adds; keep: (U, Q) share of the arriving load that stays (1 - removal ratio).
        recovery: (U,) outflow per inflow; unit_most: (U,) largest inflow.
        inlet, outlet: (U, Q) highest content before and behind a unit.
        shared: (U,) units with the same number (not negative) share the sum of their loads as they like; they must be `known`.
        known: (U,) the content behind the unit is taken as its `outlet`, which the true one never exceeds.
        start: (A,) 0 .. I-1 supplies, I .. I+U-1 units; end: (A,) 0 .. U-1 units, U .. U+J-1 demands.
        cost: (A,) money per unit of flow; most: (A,) largest flow; fixed: (A,) money when the arc is used at all.

    Invariants:
        All contents and loads are finite and not negative; limits may be infinite.
    """

    supplies: tuple[str, ...]
    demands: tuple[str, ...]
    content: Any
    limit: Any
    start: Any
    end: Any
    units: tuple[str, ...] = ()
    supply_least: Any = 0.0
    supply_most: Any = FREE
    demand_least: Any = 0.0
    demand_most: Any = FREE
    load: Any = 0.0
    keep: Any = 1.0
    recovery: Any = 1.0
    unit_most: Any = FREE
    inlet: Any = FREE
    outlet: Any = FREE
    known: Any = False
    shared: Any = -1
    cost: Any = 0.0
    most: Any = FREE
    fixed: Any = 0.0
    _checked: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self._checked:
            return
        count = np.asarray(self.content, dtype=np.float64)
        wide = count.shape[1] if count.ndim == 2 else 1  # noqa: PLR2004 - a table
        arcs, i, u, j = len(np.atleast_1d(self.start)), len(self.supplies), len(self.units), len(self.demands)
        shapes = {
            **dict.fromkeys(("content",), (i, wide)), **dict.fromkeys(("limit",), (j, wide)),
            **dict.fromkeys(("load", "keep", "inlet", "outlet"), (u, wide)), "recovery": (u,), "unit_most": (u,),
            "supply_least": (i,), "supply_most": (i,), "demand_least": (j,), "demand_most": (j,),
            "cost": (arcs,), "most": (arcs,), "fixed": (arcs,),
        }  # fmt: skip
        for name, shape in shapes.items():
            object.__setattr__(self, name, _table(name, getattr(self, name), shape))
        for name in ("content", "load", "keep", "recovery", "cost", "fixed", "supply_least", "demand_least"):
            finite("pooling", name, getattr(self, name))
        object.__setattr__(self, "known", np.broadcast_to(np.asarray(self.known, dtype=bool), (u,)))
        object.__setattr__(self, "shared", np.broadcast_to(np.asarray(self.shared, dtype=np.int64), (u,)))
        for name, last in (("start", i + u), ("end", u + j)):
            at = np.asarray(getattr(self, name), dtype=np.int64)
            if at.shape != (arcs,) or (arcs and not (at.min() >= 0 and at.max() < last)):
                raise RequestError(
                    "network.bad_shape",
                    name="pooling",
                    what=name,
                    got=str(at.shape),
                    wanted=f"0 ... {last - 1}",
                )
            object.__setattr__(self, name, at)
        object.__setattr__(self, "_checked", True)

    @property
    def contents(self) -> int:
        """Q, how many contents are followed."""
        return int(self.content.shape[1])

    @property
    def linear(self) -> bool:
        """Whether the content behind every unit is given, so that a linear program is exact."""
        return bool(self.known.all())

    def incoming(self, unit: int) -> Bools:
        """(A,) the arcs into a unit."""
        into: Bools = self.end == unit
        return into

    def scaled(self, objective: Floats | None = None) -> tuple[Pooling, Floats]:
        """The same problem with contents around 1 and arcs no wider than their ends; and the scale (Q,) of the contents."""
        tables = (self.content, self.limit, self.inlet, self.outlet)
        tall = [np.where(np.isfinite(t), t, 0.0).max(axis=0, initial=0.0) for t in tables]
        scale = np.maximum.reduce(tall)
        scale[scale <= 0] = 1.0
        divided = {
            name: getattr(self, name) / scale for name in ("content", "limit", "inlet", "outlet", "load")
        }
        own: dict[str, Any] = {"most": arc_limits(self)}
        if objective is not None:
            own |= {"cost": np.asarray(objective, dtype=np.float64), "fixed": np.zeros(len(self.cost))}
        return replace(self, **divided, **own), scale


@dataclass(frozen=True, eq=False)
class PoolingPlan:
    """Flows and what is in them.

    Attributes:
        flow: (A,) on the arcs; content: (U, Q) true content behind each unit (0 where nothing flows).
        cost: money; bound: no plan is cheaper than this; gap: (cost - bound) / |cost|.
        method: `linear`, `levels` or `scip`; opened: (A,) which arcs are used.
    """

    flow: Floats
    content: Floats
    cost: float
    bound: float
    method: str

    @property
    def gap(self) -> float:
        """How far the cost may be from the least one, relative to it."""
        return max(self.cost - self.bound, 0.0) / max(abs(self.cost), 1e-9)

    @property
    def opened(self) -> Bools:
        """(A,) arcs with a flow."""
        return self.flow > 1e-7 * max(1.0, float(self.flow.max(initial=0.0)))


def with_contents(
    problem: Pooling, contents: Floats, *, gap: float = 1e-6, time_limit: float | None = None
) -> PoolingPlan | None:
    """The best plan in which the content behind each unit is at most `contents` (U, Q) and is taken as that; None: there is none.

    A linear program (a search over binaries where arcs have fixed costs). Feasible for any `contents`, since what truly flows is
    never worse than what was taken.
    """
    program, x = flow_rows(problem)
    quality = np.concatenate([problem.content, contents])
    loads = [(x, quality[problem.start, q]) for q in range(problem.contents)]
    content_rows(program, problem, x, loads, exact=False)
    outcome, bound = run(program, open_arcs(program, problem, x), gap=gap, time_limit=time_limit)
    if outcome is None:
        return None
    flow = np.maximum(outcome.columns[x], 0.0)
    cost = cost_of(problem, flow)
    return PoolingPlan(flow, true_contents(problem, flow), cost, min(bound, cost), "linear")


def flow_rows(problem: Pooling) -> tuple[Program, Ints]:
    """A program with the flow x_a of every arc and what flows alone must obey.

    supply: least_i <= sum_out x <= most_i;  demand: least_j <= sum_in x <= most_j;  unit: sum_out x = recovery sum_in x, sum_in x <= most_u
    """
    i, u, j = len(problem.supplies), len(problem.units), len(problem.demands)
    program = Program()
    x = program.columns("flow", (len(problem.start),), upper=problem.most, cost=problem.cost)
    supply = program.rows("supply", (i,), lower=problem.supply_least, upper=problem.supply_most)
    demand = program.rows("demand", (j,), lower=problem.demand_least, upper=problem.demand_most)
    balance = program.rows("unit", (u,), lower=0.0, upper=0.0)
    most = program.rows("unit size", (u,), upper=problem.unit_most)
    from_supply, to_unit = problem.start < i, problem.end < u
    program.terms(supply[problem.start[from_supply]], x[from_supply], 1.0)
    program.terms(balance[problem.start[~from_supply] - i], x[~from_supply], 1.0)
    into = problem.end[to_unit]
    program.terms(balance[into], x[to_unit], -problem.recovery[into])
    program.terms(most[into], x[to_unit], 1.0)
    program.terms(demand[problem.end[~to_unit] - u], x[~to_unit], 1.0)
    return program, x


def content_rows(
    program: Program, problem: Pooling, x: Ints, loads: list[tuple[Ints, Floats]], *, exact: bool
) -> None:
    """What contents must obey; the load of arc a in content q is `coefficient_a x column_a`, given as pairs a content.

    limit of an end e: sum_in (load_a - limit_e x_a) <= 0
    unit:              keep_u sum_in load_a + load_u <= (or =) sum_out load_a
    units that share:  each of them with a load of 0, and all of them together with the sum of their loads

    Args:
        program: gets the rows.
        problem: the problem.
        x: (A,) columns of the flows.
        loads: for each content (columns (A,), coefficients (A,)).
        exact: whether the load behind a unit is the true one, else one that the true one never exceeds.
    """
    i, u = len(problem.supplies), len(problem.units)
    limits = np.concatenate([problem.inlet, problem.limit])
    into, out = problem.end < u, problem.start >= i
    for q, (columns, coefficient) in enumerate(loads):
        limit = limits[problem.end, q]
        bound = np.isfinite(limit)
        ends, at = np.unique(problem.end[bound], return_inverse=True)
        rows = program.rows(f"limit {q}", (len(ends),), upper=0.0)
        program.terms(rows[at], columns[bound], coefficient[bound])
        program.terms(rows[at], x[bound], -limit[bound])
        keep = problem.keep[problem.end[into], q]
        for name, member, added in _balances(problem, q):
            rows = program.rows(name, added.shape, lower=added, upper=added if exact else FREE)
            for at, arcs, factor in (
                (problem.start[out] - i, out, coefficient[out]),
                (problem.end[into], into, -keep * coefficient[into]),
            ):
                counted = member[at] >= 0
                program.terms(rows[member[at][counted]], columns[arcs][counted], factor[counted])


def _balances(problem: Pooling, q: int) -> list[tuple[str, Ints, Floats]]:
    """Balances of loads: (name, row of each unit or -1, load of each row): one a unit, and one for all that share."""
    alone = problem.shared < 0
    found = [(f"load {q}", np.arange(len(problem.units)), np.where(alone, problem.load[:, q], 0.0))]
    if not alone.all():
        groups, at = np.unique(problem.shared[~alone], return_inverse=True)
        row = np.full(len(problem.units), -1)
        row[~alone] = at
        found.append((f"shared load {q}", row, np.bincount(at, problem.load[~alone, q], len(groups))))
    return found


def open_arcs(program: Program, problem: Pooling, x: Ints) -> Ints:
    """Binaries y_a of arcs with a fixed cost, x_a <= most_a y_a with the tightest `most` known; returns their columns."""
    paid = np.flatnonzero(problem.fixed > 0)
    if not len(paid):
        return np.empty(0, dtype=np.int64)
    if not np.isfinite(problem.most[paid]).all():
        raise RequestError("reuse.unbounded", name="fixed")
    y = program.columns("opened", (len(paid),), upper=1.0, cost=problem.fixed[paid])
    rows = program.rows("opened", (len(paid),), upper=0.0)
    program.terms(rows, x[paid], 1.0)
    program.terms(rows, y, -problem.most[paid])
    return y


def run(
    program: Program, integers: Ints, *, gap: float, time_limit: float | None
) -> tuple[Outcome | None, float]:
    """Solves; gives the outcome (None: infeasible) and a bound on the cost.

    Raises:
        RequestError: `network.unbounded`; `reuse.time_limit` when the time ended before a plan was found.
    """
    from mangrove.network.solver import INFEASIBLE, UNBOUNDED, Solver

    solver = Solver(program, integers=integers if len(integers) else None)
    outcome = solver.solve(
        program, solver="auto" if len(integers) else "simplex", gap=gap, time_limit=time_limit
    )
    if outcome.status == INFEASIBLE:
        return None, np.inf
    if outcome.status == UNBOUNDED:
        raise RequestError("network.unbounded", names="flow")
    if np.isnan(outcome.columns).any():
        raise RequestError("reuse.time_limit", seconds=time_limit or 0.0)
    cost = float(program.cost @ outcome.columns)
    return outcome, outcome.bound if len(integers) else cost


def true_contents(problem: Pooling, flow: Floats) -> Floats:
    """(U, Q) what truly is behind each unit: out_u c_u - keep_u sum_in x_a c_start(a) = load_u, for all units at once.

    A unit that keeps nothing and adds nothing gives its outlet, whatever comes in.
    """
    i, u = len(problem.supplies), len(problem.units)
    out, into = problem.start >= i, problem.end < u
    leaving = np.bincount(problem.start[out] - i, flow[out], u)[:u].astype(np.float64)
    load = _shares(problem, flow, leaving)
    runs = leaving > 1e-9 * max(1.0, float(flow.max(initial=0.0)))
    sets = problem.known[:, None] & (problem.keep == 0) & (problem.load == 0)
    inner, outer = into & out, into & ~out
    found = np.zeros((u, problem.contents))
    for q in range(problem.contents):
        open_ = runs & ~sets[:, q]
        mix = np.diag(np.where(open_, leaving, 1.0))
        np.add.at(
            mix,
            (problem.end[inner], problem.start[inner] - i),
            -flow[inner] * problem.keep[problem.end[inner], q],
        )
        mix[~open_] = np.eye(u)[~open_]
        arriving = (
            flow[outer] * problem.content[problem.start[outer], q] * problem.keep[problem.end[outer], q]
        )
        right = load[:, q] + np.bincount(problem.end[outer], arriving, u)[:u]
        right[~open_] = np.where(runs & sets[:, q], problem.outlet[:, q], 0.0)[~open_]
        found[:, q] = np.maximum(np.linalg.lstsq(mix, right, rcond=None)[0], 0.0)
    return found


def _shares(problem: Pooling, flow: Floats, leaving: Floats) -> Floats:
    """(U, Q) loads, with those that are shared given to the members in order, each as much as its outlet allows."""
    load: Floats = problem.load.copy()
    quality = np.concatenate([problem.content, np.where(problem.known[:, None], problem.outlet, 0.0)])
    for group in np.unique(problem.shared[problem.shared >= 0]):
        left = load[problem.shared == group].sum(axis=0)
        for k in np.flatnonzero(problem.shared == group):
            into = problem.end == k
            room = leaving[k] * problem.outlet[k] - flow[into] @ quality[problem.start[into]]
            load[k] = np.clip(np.minimum(room, left), 0.0, None)
            left = left - load[k]
    return load


def cost_of(problem: Pooling, flow: Floats) -> float:
    """Money of a plan, fixed costs of the arcs that it uses included."""
    used = flow > 1e-7 * max(1.0, float(flow.max(initial=0.0)))
    return float(problem.cost @ flow + problem.fixed[used].sum())


def arc_limits(problem: Pooling) -> Floats:
    """(A,) the widest flow that an arc can have: its own limit and those of its two ends (still infinite when nothing limits it)."""
    before = np.concatenate([problem.supply_most, problem.unit_most * problem.recovery])
    behind = np.concatenate([problem.unit_most, problem.demand_most])
    limits: Floats = np.minimum(problem.most, np.minimum(before[problem.start], behind[problem.end]))
    return limits


def has_scip() -> bool:
    """Whether SCIP is installed (the extra `mangrove[scip]`)."""
    from importlib.util import find_spec

    return find_spec("pyscipopt") is not None


def _table(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    """`value` as floats of `shape`, no NaN, not negative but for costs."""
    array = numbers("pooling", name, value)
    try:
        table = np.array(np.broadcast_to(array, shape), dtype=np.float64)
    except ValueError:
        got, wanted = (" x ".join(map(str, s)) for s in (array.shape, shape))
        raise RequestError("network.bad_shape", name="pooling", what=name, got=got, wanted=wanted) from None
    if name != "cost" and (table < 0).any():
        at = int(np.argmax((table < 0).ravel()))
        raise RequestError(
            "network.negative", name="pooling", what=name, first=at, value=float(table.ravel()[at])
        )
    return table
