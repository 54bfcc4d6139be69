# SPDX-License-Identifier: Apache-2.0
"""Pooling by quality levels on HiGHS: a plan that is feasible, a bound that nothing can beat, and the gap between them.

Comes in: a `Pooling` whose content behind some units is open. Goes out: a plan. Two mixed-integer programs share one grid of levels
for each open content: in the *restriction* a unit declares one level that its true content does not exceed (feasible, cost from
above); in the *relaxation* it chooses an interval between two levels, and flow x content lies in the McCormick envelope of that
interval (cost from below). A plan is polished by declaring its true contents and solving the linear program again, which never
makes it worse. The grid is then split where the relaxation errs most, until the two costs meet.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.pooling import (
    Pooling,
    PoolingPlan,
    content_rows,
    flow_rows,
    open_arcs,
    run,
    true_contents,
    with_contents,
)
from mangrove.network.program import FREE, Program

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Grid = dict[tuple[int, int], Floats]
"""(unit, content) -> levels, ascending."""
FIRST_LEVELS = 5
_CLOSE = 1e-6
_SHORTEST = 1e-3


def solve(problem: Pooling, *, gap: float, time_limit: float, rounds: int = 60) -> PoolingPlan | None:
    """The best plan found and its bound; None when nothing is feasible. Contents of `problem` are scaled to about 1.

    Raises:
        RequestError: `reuse.unbounded` when a flow or content has no upper end; `reuse.time_limit`.
    """
    until = time.monotonic() + time_limit
    ranges = content_ranges(problem)
    grid = first_grid(problem, *ranges)
    found = relaxation(problem, grid, gap=gap, until=until, whole=False)
    if found is None:
        return None
    best = _best(problem, None, restriction(problem, grid, gap=gap, until=until), ranges, until)
    best = _best(problem, best, found.contents, ranges, until)
    bound = found.bound
    for _ in range(rounds):
        try:
            found = relaxation(problem, grid, gap=gap / 2, until=until)
        except RequestError as error:
            if error.code != "reuse.time_limit":
                raise
            break
        if found is None:
            return None if best is None else replace(best, bound=best.cost, method="levels")
        bound = max(bound, found.bound)
        best = _best(problem, best, found.contents, ranges, until)
        if not _close(best, bound, gap):
            nearby = restriction(problem, around(grid, found), gap=gap, until=until)
            best = _best(problem, best, nearby, ranges, until)
        if _close(best, bound, gap) or time.monotonic() > until or not split(grid, found):
            break
    if best is None:
        raise RequestError("reuse.time_limit", seconds=time_limit)
    return replace(best, bound=min(bound, best.cost), method="levels")


def _best(
    problem: Pooling,
    best: PoolingPlan | None,
    contents: Floats | None,
    ranges: tuple[Floats, Floats],
    until: float,
) -> PoolingPlan | None:
    """The best plan so far, or the one that contents lead to when that is cheaper, improved."""
    found = polish(problem, contents, until)
    if found is None or (best is not None and found.cost >= best.cost):
        return best
    now = time.monotonic()
    return improve(problem, found, ranges, now + 0.2 * max(until - now, 0.0))


def _close(best: PoolingPlan | None, bound: float, gap: float) -> bool:
    """Whether the plan is as near to the bound as was asked for."""
    return best is not None and best.cost - bound <= gap * max(abs(best.cost), 1e-9)


@dataclass(frozen=True, slots=True)
class Relaxed:
    """What the relaxation chose: contents (U, Q); how far flow x content is off, by open content; a bound on the cost."""

    contents: Floats
    error: dict[tuple[int, int], float]
    bound: float


def restriction(problem: Pooling, grid: Grid, *, gap: float, until: float) -> Floats | None:
    """Contents (U, Q) of the best plan in which each open content is declared as one of its levels; None: none was found.

    sum_l y_l = 1,  x_a = sum_l x_al,  x_al <= most_a y_l,  load_a = sum_l g_l x_al >= true load
    """
    program, x, load, arcs = _open_loads(problem, grid, exact=False)
    binaries = [open_arcs(program, problem, x)]
    chosen: dict[tuple[int, int], Ints] = {}
    for (u, q), levels in grid.items():
        at = arcs[u]
        y, split_flow = _choice(program, problem, x[at], at, len(levels))
        rows = program.rows("declared load", (len(at),), lower=0.0, upper=0.0)
        program.terms(rows, load[u, q], 1.0)
        program.terms(rows[:, None], split_flow, -levels[None, :])
        binaries.append(y)
        chosen[u, q] = y
    left = max(until - time.monotonic(), 1.0)
    try:
        outcome, _ = run(program, np.concatenate(binaries), gap=max(gap, 1e-3), time_limit=left / 4)
    except RequestError as error:
        if error.code == "reuse.time_limit":
            return None
        raise
    if outcome is None:
        return None
    contents: Floats = problem.outlet.copy()
    for (u, q), y in chosen.items():
        contents[u, q] = grid[u, q] @ np.round(outcome.columns[y])
    return contents


def relaxation(
    problem: Pooling, grid: Grid, *, gap: float, until: float, whole: bool = True
) -> Relaxed | None:
    """The cost that no plan can beat, by piecewise McCormick envelopes over the intervals of the grid; None: infeasible.

    Without `whole` the choice of intervals may be fractional: a linear program, and a weaker bound at once.

    For interval k = [g, h] with z_k = 1 and arc a: w = load, x = flow, c = content, X = most_a
    w >= g x,  w >= h x + X (c - h z),  w <= h x,  w <= g x + X (c - g z)
    """
    program, x, load, arcs = _open_loads(problem, grid, exact=True)
    binaries = [open_arcs(program, problem, x)]
    content: dict[tuple[int, int], Ints] = {}
    for (u, q), levels in grid.items():
        at = arcs[u]
        z, part = _choice(program, problem, x[at], at, len(levels) - 1)
        content[u, q] = _envelopes(program, problem.most[at], load[u, q], z=z, part=part, levels=levels)
        binaries.append(z)
    left = max(until - time.monotonic(), 1.0)
    chosen = np.concatenate(binaries) if whole else np.empty(0, dtype=np.int64)
    outcome, bound = run(program, chosen, gap=gap, time_limit=left)
    if outcome is None:
        return None
    contents = problem.outlet.copy()
    error = {}
    for (u, q), c in content.items():
        contents[u, q] = float(outcome.columns[c].sum())
        off = outcome.columns[load[u, q]] - contents[u, q] * outcome.columns[x[arcs[u]]]
        error[u, q] = float(np.abs(off).max(initial=0.0))
    return Relaxed(contents, error, bound)


def polish(problem: Pooling, contents: Floats | None, until: float) -> PoolingPlan | None:
    """The plan for declared contents, improved by declaring what truly comes out until nothing changes."""
    best: PoolingPlan | None = None
    for _ in range(30):
        if contents is None or (best is not None and time.monotonic() > until):
            break
        found = with_contents(problem, contents, time_limit=60.0)
        if found is None or (best is not None and found.cost > best.cost - 1e-9 * max(1.0, abs(best.cost))):
            break
        best = found
        true = true_contents(problem, found.flow)
        contents = np.where(problem.known[:, None], problem.outlet, np.minimum(true, problem.outlet))
    return best


def improve(problem: Pooling, plan: PoolingPlan, ranges: tuple[Floats, Floats], until: float) -> PoolingPlan:
    """The plan after steps of sequential linear programming within a shrinking trust region; never a worse one.

    Each step moves the contents as the linear program about the plan suggests, and `polish` makes a feasible plan of them.
    """
    low, high = ranges
    radius = 0.25
    while radius > _SHORTEST and time.monotonic() < until:
        runs = plan.content.any(axis=1, keepdims=True)
        here = np.clip(np.where(runs, plan.content, 0.5 * (low + high)), low, high)
        reach = radius * (high - low)
        there = _toward(
            problem, plan.flow, here, (np.maximum(low, here - reach), np.minimum(high, here + reach))
        )
        found = polish(problem, there, until)
        if found is not None and found.cost < plan.cost - 1e-6 * max(1.0, abs(plan.cost)):
            plan = found
        else:
            radius *= 0.3
    return plan


def _toward(problem: Pooling, flow: Floats, here: Floats, box: tuple[Floats, Floats]) -> Floats | None:
    """Contents (U, Q) within the box that are best when load = x0 c + c0 x - x0 c0, about flows x0 and contents c0; None: infeasible."""
    program, x = flow_rows(problem)
    i, u = len(problem.supplies), len(problem.units)
    behind = np.flatnonzero((problem.start >= i) & ~np.append(np.ones(i, bool), problem.known)[problem.start])
    unit = problem.start[behind] - i
    content = program.columns("content", (u, problem.contents), lower=box[0], upper=box[1])
    quality = np.concatenate([problem.content, np.where(problem.known[:, None], problem.outlet, 1.0)])
    pairs = []
    for q in range(problem.contents):
        load = program.columns("load", (len(behind),))
        rows = program.rows(
            "about", (len(behind),), lower=-flow[behind] * here[unit, q], upper=-flow[behind] * here[unit, q]
        )
        for columns, factor in ((load, 1.0), (x[behind], -here[unit, q]), (content[unit, q], -flow[behind])):
            program.terms(rows, columns, factor * np.ones(len(behind)))
        columns = x.copy()
        columns[behind] = load
        pairs.append((columns, quality[problem.start, q]))
    content_rows(program, problem, x, pairs, exact=False)
    outcome, _ = run(program, np.empty(0, dtype=np.int64), gap=0.0, time_limit=60.0)
    return (
        None
        if outcome is None
        else np.where(problem.known[:, None], problem.outlet, outcome.columns[content])
    )


def split(grid: Grid, found: Relaxed) -> bool:
    """Adds a level where the relaxation errs: at its own content, or in the middle when that is a level already. False: nowhere."""
    worst = max(found.error.values(), default=0.0)
    changed = False
    for key, off in found.error.items():
        if off <= max(1e-7, 0.05 * worst):
            continue
        levels, at = grid[key], found.contents[key]
        k = int(np.clip(np.searchsorted(levels, at, side="right") - 1, 0, len(levels) - 2))
        low, high = levels[k], levels[k + 1]
        if high - low < _CLOSE:
            continue
        inside = low + 0.1 * (high - low) < at < high - 0.1 * (high - low)
        grid[key] = np.insert(levels, k + 1, at if inside else 0.5 * (low + high))
        changed = True
    return changed


def around(grid: Grid, found: Relaxed) -> Grid:
    """A small grid about what the relaxation chose: its content, the ends of its interval and what lies between them."""
    near: Grid = {}
    for key, levels in grid.items():
        at = float(np.clip(found.contents[key], levels[0], levels[-1]))
        k = int(np.clip(np.searchsorted(levels, at, side="right") - 1, 0, len(levels) - 2))
        low, high = levels[k], levels[k + 1]
        tried = np.unique([low, 0.5 * (low + at), at, 0.5 * (at + high), high])
        near[key] = tried[np.concatenate([[True], np.diff(tried) > _CLOSE / 2])]
    return near


def content_ranges(problem: Pooling) -> tuple[Floats, Floats]:
    """(U, Q) lowest and highest content that can be behind each unit, from what can arrive, tightened until it stands still.

    Raises:
        RequestError: `reuse.unbounded` for a unit whose content or flow has no upper end.
    """
    i, u = len(problem.supplies), len(problem.units)
    low = np.where(problem.known[:, None], problem.outlet, 0.0)
    ratio = problem.keep / problem.recovery[:, None]
    high = np.where(problem.known[:, None], problem.outlet, _highest(problem, ratio))
    for _ in range(2 * u + 2):
        below, above = (np.concatenate([problem.content, side])[problem.start] for side in (low, high))
        for k in np.flatnonzero(~problem.known):
            into = problem.incoming(int(k))
            if not into.any():
                low[k], high[k] = 0.0, 0.0
                continue
            most = problem.unit_most[k] * problem.recovery[k]
            added = problem.load[k] / most if np.isfinite(most) else 0.0
            low[k] = ratio[k] * below[into].min(axis=0) + added
            entering = np.minimum(above[into].max(axis=0), problem.inlet[k])
            high[k] = np.where(
                problem.load[k] > 0, problem.outlet[k], np.minimum(ratio[k] * entering, problem.outlet[k])
            )
    leaving = problem.start >= i
    wide = ~np.isfinite(problem.most[leaving] * (~problem.known[problem.start[leaving] - i]))
    for bad in (np.flatnonzero(~np.isfinite(high).all(axis=1)), problem.start[leaving][wide] - i):
        if len(bad):
            raise RequestError("reuse.unbounded", name=problem.units[int(bad[0])])
    return np.minimum(low, high), high


def _highest(problem: Pooling, ratio: Floats) -> Floats:
    """(Q,) what no mixture exceeds: the dirtiest that comes in from outside or is added; infinite where a unit makes it denser."""
    adds = problem.known[:, None] | (problem.load > 0)
    outside = problem.content.max(axis=0, initial=0.0)
    added = np.where(adds, problem.outlet, 0.0).max(axis=0, initial=0.0)
    denser = (~adds & (ratio > 1)).any(axis=0)
    highest: Floats = np.where(denser, np.inf, np.maximum(outside, added))
    return highest


def first_grid(problem: Pooling, low: Floats, high: Floats) -> Grid:
    """`FIRST_LEVELS` levels for every open content; the limits of those who may receive it are levels too, where they fall inside."""
    grid: Grid = {}
    limits = np.concatenate([problem.inlet, problem.limit])
    i = len(problem.supplies)
    for u in np.flatnonzero(~problem.known):
        receives = problem.end[problem.start == i + u]
        for q in range(problem.contents):
            g, h = low[u, q], high[u, q]
            even = np.linspace(g, h, FIRST_LEVELS) if h - g > _CLOSE else np.array([g, max(h, g + _CLOSE)])
            wanted = limits[receives, q]
            wanted = wanted[(wanted > g + _CLOSE) & (wanted < h - _CLOSE)]
            levels = np.unique(np.concatenate([even, wanted]))
            grid[int(u), q] = levels[np.concatenate([[True], np.diff(levels) > _CLOSE / 2])]
    return grid


def _open_loads(
    problem: Pooling, grid: Grid, *, exact: bool
) -> tuple[Program, Ints, dict[tuple[int, int], Ints], dict[int, Ints]]:
    """The program with a load column for every arc behind an open content; and the arcs that leave each unit."""
    program, x = flow_rows(problem)
    i = len(problem.supplies)
    quality = np.concatenate([problem.content, np.where(problem.known[:, None], problem.outlet, 1.0)])
    arcs = {int(u): np.flatnonzero(problem.start == i + u) for u in np.flatnonzero(~problem.known)}
    load: dict[tuple[int, int], Ints] = {}
    pairs = []
    for q in range(problem.contents):
        columns = x.copy()
        for u, at in arcs.items():
            load[u, q] = program.columns("load", (len(at),), upper=problem.most[at] * grid[u, q][-1])
            columns[at] = load[u, q]
        pairs.append((columns, quality[problem.start, q]))
    content_rows(program, problem, x, pairs, exact=exact)
    return program, x, load, arcs


def _choice(program: Program, problem: Pooling, x: Ints, at: Ints, count: int) -> tuple[Ints, Ints]:
    """One of `count` is chosen, and the flows are split among them: columns z (count,) and x_ak (arcs, count)."""
    z = program.columns("chosen", (count,), upper=1.0)
    program.terms(program.rows("one", (1,), lower=1.0, upper=1.0), z, 1.0)
    most = problem.most[at]
    part = program.columns("part", (len(at), count), upper=most[:, None])
    whole = program.rows("parts", (len(at),), lower=0.0, upper=0.0)
    program.terms(whole, x, -1.0)
    program.terms(whole[:, None], part, 1.0)
    within = program.rows("within", (len(at), count), upper=0.0)
    program.terms(within, part, 1.0)
    program.terms(within, z[None, :], -most[:, None])
    return z, part


def _envelopes(program: Program, most: Floats, load: Ints, *, z: Ints, part: Ints, levels: Floats) -> Ints:
    """The envelopes of `relaxation` for all arcs behind one content; returns the columns c_k whose sum is the content."""
    low, high = levels[:-1], levels[1:]
    count = len(low)
    c = program.columns("content", (count,))
    for sign, side in ((1.0, low), (-1.0, high)):  # low_k z_k <= c_k <= high_k z_k
        rows = program.rows("interval", (count,), lower=0.0)
        program.terms(rows, c, sign)
        program.terms(rows, z, -sign * side)
    w = program.columns("part load", part.shape)
    whole = program.rows("part loads", (len(load),), lower=0.0, upper=0.0)
    program.terms(whole, load, -1.0)
    program.terms(whole[:, None], w, 1.0)
    shape = part.shape
    for slope, other, lower in (
        (low, None, True),
        (high, high, True),
        (high, None, False),
        (low, low, False),
    ):
        rows = program.rows("envelope", shape, lower=0.0 if lower else -FREE, upper=FREE if lower else 0.0)
        program.terms(rows, w, 1.0)
        program.terms(rows, part, -slope[None, :])
        if other is not None:
            program.terms(rows, c[None, :], -most[:, None])
            program.terms(rows, z[None, :], most[:, None] * other[None, :])
    return c
