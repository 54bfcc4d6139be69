# SPDX-License-Identifier: Apache-2.0
"""The water pinch: the least fresh water for one contaminant, read off a curve instead of a program.

Comes in: operations of fixed load, sinks and sources of fixed flow. Goes out: the target, the pinch concentration and the curve. It is the
limiting composite curve of Wang and Smith (Chem. Eng. Sci. 49 (1994) 981) with the cascade of fixed flows (Manan, Tan and Foo, AIChE J. 50
(2004) 3169): the water that is there below each concentration must be able to carry all the load that is due below it. No solver is
used, so it says independently whether `water_reuse` is right; it knows no pipes, no plants and no second contaminant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError, RequestError
from mangrove.network.water_problem import GRAM_PER_KG, Operation, Sink, Source, WaterProblem

Floats = npt.NDArray[np.float64]
_SMALL = 1e-9


def water_target(problem: WaterProblem) -> WaterTarget:
    """The least fresh water without treatment: F = max over C of D(C) / (C - c0), and at least sinks - sources.

    D(C) = sum_j F_j max(C - C_j, 0) - sum_i F_i max(C - c_i, 0) is the load (g/h) due below concentration C; an operation is a sink at its
    highest inlet and a source at its highest outlet with the flow load / (outlet - inlet). c0 is the fresh water.

    Raises:
        RequestError: `reuse.pinch_single` for several contaminants or several fresh waters.
        InfeasibleError: `reuse.infeasible` when somebody needs cleaner water than there is.

    Example:
        >>> from mangrove.network.water_reuse import Operation
        >>> rows = ((2, 0, 100), (5, 50, 100), (30, 50, 800), (4, 400, 800))
        >>> target = water_target(WaterProblem(operations=[Operation(str(k), *row) for k, row in enumerate(rows)]))
        >>> target.fresh, target.pinch
        (90.0, 100.0)
    """
    clean = _single(problem)
    levels, due = limiting_curve(problem.operations, problem.sinks, problem.sources, clean)
    net = sum(s.flow for s in problem.sinks) - sum(s.flow for s in problem.sources)
    if (due[levels <= clean] > _SMALL * max(1.0, np.abs(due).max(initial=0.0))).any():
        raise InfeasibleError("reuse.infeasible", count=len(problem.sinks) + len(problem.operations))
    above = levels > clean
    slopes = due[above] / (levels[above] - clean)
    fresh = max(float(slopes.max(initial=0.0)), net, 0.0)
    binding = (
        np.flatnonzero(slopes >= fresh - _SMALL * max(1.0, fresh))
        if fresh > 0
        else np.empty(0, dtype=np.int64)
    )
    pinch = float(levels[above][binding[-1]]) if len(binding) else None
    return WaterTarget(fresh, max(fresh - net, 0.0), pinch, levels, due)


@dataclass(frozen=True)
class WaterTarget:
    """Targets of a pinch analysis.

    Attributes:
        fresh, waste: t/h. pinch: ppm at which water is scarce; None when fresh water only makes up for a missing amount, or none is needed.
        levels: (K,) ppm; due: (K,) g/h of load due below each level.
    """

    fresh: float
    waste: float
    pinch: float | None
    levels: Floats
    due: Floats


def limiting_curve(
    operations: Sequence[Operation], sinks: Sequence[Sink], sources: Sequence[Source], clean: float = 0.0
) -> tuple[Floats, Floats]:
    """Levels (K,) in ppm, ascending, and the load (K,) in g/h due below each: D(C) of `water_target`; `clean` is a level too."""
    rows = [(o.load, o.inlet, o.outlet) for o in operations]
    load, inlet, outlet = (np.array([_one(r[k]) for r in rows], dtype=np.float64) for k in range(3))
    flow = load * GRAM_PER_KG / (outlet - inlet)
    wanted = (
        np.concatenate([flow, [s.flow for s in sinks]]),
        np.concatenate([inlet, [_one(s.ppm) for s in sinks]]),
    )
    given = (
        np.concatenate([flow, [s.flow for s in sources]]),
        np.concatenate([outlet, [_one(s.ppm) for s in sources]]),
    )
    levels = np.unique(np.concatenate([wanted[1], given[1], [clean]]))
    due = (
        np.maximum(levels[:, None] - wanted[1], 0.0) @ wanted[0]
        - np.maximum(levels[:, None] - given[1], 0.0) @ given[0]
    )
    return levels, due


def regeneration_target(problem: WaterProblem, outlet: float) -> tuple[float, float]:
    """Least fresh water, then least treated water (t/h), with treatment to a fixed outlet whose water may come around again.

    Treated water carries what is due above its outlet: fresh F = max over C <= outlet of D(C) / (C - c0), with D between its levels; treated
    R = max over C > outlet of (D(C) - F (C - c0)) / (C - outlet). Operations of fixed load only: there is always enough to treat.

    Example:
        >>> rows = ((2, 0, 100), (5, 50, 100), (30, 50, 800), (4, 400, 800))
        >>> made = WaterProblem(operations=[Operation(str(k), *row) for k, row in enumerate(rows)])
        >>> [round(x, 2) for x in regeneration_target(made, 5.0)]
        [20.0, 73.68]
    """
    clean = _single(problem)
    if problem.sinks or problem.sources:
        raise RequestError("reuse.pinch_single", what="fixed flows")
    levels, due = limiting_curve(problem.operations, (), (), clean)
    below = np.append(levels[(levels > clean) & (levels < outlet)], outlet)
    if (due[levels <= clean] > _SMALL).any() or outlet <= clean:
        raise InfeasibleError("reuse.infeasible", count=len(problem.operations))
    fresh = float((np.interp(below, levels, due, left=0.0) / (below - clean)).max(initial=0.0))
    above = levels > outlet
    treated = (due[above] - fresh * (levels[above] - clean)) / (levels[above] - outlet)
    return fresh, float(treated.max(initial=0.0))


def _single(problem: WaterProblem) -> float:
    """The concentration of the only fresh water."""
    for what, count in (("contaminants", len(problem.contaminants)), ("fresh", len(problem.fresh))):
        if count != 1:
            raise RequestError("reuse.pinch_single", what=what)
    return _one(problem.fresh[0].ppm)


def _one(ppm: object) -> float:
    """The only concentration."""
    return float(np.asarray(ppm, dtype=np.float64).reshape(-1)[0])
