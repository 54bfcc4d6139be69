# SPDX-License-Identifier: Apache-2.0
"""How a network is solved: the linear program first; binaries only where it cheats; what cannot hold gives way.

Comes in: a network. Goes out: its `Plan`. Duals always come back: when binaries were needed, they are fixed as found and the
linear program is solved once more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import relax
from mangrove.network.core import Core
from mangrove.network.program import Program
from mangrove.network.result import Plan
from mangrove.network.solver import INFEASIBLE, LIMIT, OPTIMAL, UNBOUNDED, Outcome, Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TOUCH = 1e-6
"""Rates below this share of the larger of two are rounding, not running."""
_ROUNDS = 12
EARLIER = 1e-6
"""Tie-break: charging in the last step costs this share of a typical price more than in the first, so that of two equal
plans the one that charges earlier is taken, always. It is not part of any cost that is reported."""


def solve(net: Core, *, solver: str, time_limit: float | None, gap: float) -> Plan:
    """See `Network.solve`."""
    lp = net.program
    true_cost = lp.cost.copy()
    if net.solver is None:
        net.solver = Solver(lp)  # before the tie-break: its small costs would mislead the scaling
    _prefer_earlier(net)
    try:
        outcome = net.solver.solve(lp, solver=solver, time_limit=time_limit, gap=gap)
        given: list[relax.Given] = []
        remedy = None
        undo = None
        if outcome.status == INFEASIBLE:
            given, remedy = relax.least_violation(net)
            if not given:
                raise _unbounded(net)
            undo = relax.accept(lp, given)
            outcome = net.solver.solve(lp, solver=solver, time_limit=time_limit, gap=gap)
        if outcome.status == UNBOUNDED:
            raise _unbounded(net)
        if outcome.status == LIMIT and not np.isfinite(outcome.columns).all():
            raise RequestError("network.time_limit", seconds=time_limit or 0.0)
        outcome = _without_cheating(net, outcome, time_limit=time_limit, gap=gap)
        plan = Plan(net, outcome, true_cost, tuple(given), remedy)
        if undo is not None:
            undo()
        return plan
    finally:
        lp.cost[:] = true_cost


def _prefer_earlier(net: Core) -> None:
    """Adds the tie-break to charging columns; see `EARLIER`."""
    if not net.earlier:
        return
    cost = net.program.cost
    used = np.abs(cost[cost != 0.0])
    typical = float(np.median(used)) if len(used) else 1.0
    slope = EARLIER * typical * np.arange(1, net.horizon.steps + 1) / net.horizon.steps
    for columns in net.earlier:
        cost[columns] += slope


def _without_cheating(net: Core, outcome: Outcome, *, time_limit: float | None, gap: float) -> Outcome:
    """Adds binaries for the steps in which pairs run together or streams run below their minimum, until none is left."""
    flagged = _Flagged(net)
    lp = net.program
    held = lp.lower.copy(), lp.upper.copy()
    for _ in range(_ROUNDS):
        if not flagged.grow(outcome.columns):
            return outcome
        best = flagged.search(time_limit=time_limit, gap=gap)
        flagged.fix(best)
        assert net.solver is not None
        outcome = replace(net.solver.solve(lp), solver=f"{outcome.solver.removesuffix('+milp')}+milp")
        lp.lower[:], lp.upper[:] = held
        if outcome.status != OPTIMAL:
            raise RequestError("network.time_limit", seconds=time_limit or 0.0)
    return outcome


class _Flagged:
    """The positions that need a binary variable, growing from round to round."""

    def __init__(self, net: Core) -> None:
        self.net = net
        self.pairs = [np.zeros(pair.first.size, bool) for pair in net.pairs]
        self.minima = [np.zeros(one.columns.size, bool) for one in net.minima]

    def grow(self, x: Floats) -> bool:
        """Marks what the solution violates; whether anything is new."""
        new = False
        for pair, seen in zip(self.net.pairs, self.pairs, strict=True):
            first, second = x[pair.first].ravel(), x[pair.second].ravel()
            scale = max(1.0, float(np.abs(first).max(initial=0.0)), float(np.abs(second).max(initial=0.0)))
            bad = (np.minimum(first, second) > _TOUCH * scale) & ~seen
            seen |= bad
            new |= bool(bad.any())
        for one, seen in zip(self.net.minima, self.minima, strict=True):
            rate, least = x[one.columns].ravel(), one.least.ravel()
            bad = (rate > _TOUCH * np.maximum(least, 1.0)) & (rate < least * (1 - _TOUCH)) & ~seen
            seen |= bad
            new |= bool(bad.any())
        return new

    def search(self, *, time_limit: float | None, gap: float) -> Floats:
        """Solves with binaries at the flagged positions; returns the column values of the original program."""
        lp = self.net.program
        twin = lp.copy()
        twin.cost[: lp.width] = lp.cost
        binaries = []
        for pair, seen in zip(self.net.pairs, self.pairs, strict=True):
            first, second = pair.first.ravel()[seen], pair.second.ravel()[seen]
            binaries.append(_either(twin, first, self._most(first), second, self._most(second)))
        for one, seen in zip(self.net.minima, self.minima, strict=True):
            at = one.columns.ravel()[seen]
            binaries.append(_off_or_at_least(twin, at, one.least.ravel()[seen], self._most(at)))
        found = Solver(twin, integers=np.concatenate(binaries)).solve(twin, time_limit=time_limit, gap=gap)
        if not np.isfinite(found.columns).all():
            raise RequestError("network.time_limit", seconds=time_limit or 0.0)
        return found.columns[: lp.width]

    def fix(self, x: Floats) -> None:
        """Writes the choice of the binaries into bounds."""
        lp = self.net.program
        for pair, seen in zip(self.net.pairs, self.pairs, strict=True):
            first, second = pair.first.ravel()[seen], pair.second.ravel()[seen]
            idle = x[first] <= x[second]
            lp.upper[first[idle]] = 0.0
            lp.upper[second[~idle]] = 0.0
        for one, seen in zip(self.net.minima, self.minima, strict=True):
            at, least = one.columns.ravel()[seen], one.least.ravel()[seen]
            off = x[at] < 0.5 * least
            lp.upper[at[off]] = 0.0
            lp.lower[at[~off]] = least[~off]

    def _most(self, columns: Ints) -> Floats:
        """A finite upper bound of columns: their own, or one that follows from the sizes in the network."""
        upper = self.net.program.upper[columns]
        if np.isfinite(upper).all():
            return upper
        finite = self.net.program.upper[np.isfinite(self.net.program.upper)]
        sides = np.abs(self.net.program.row_upper[np.isfinite(self.net.program.row_upper)])
        bound = float(max(finite.max(initial=0.0), sides.max(initial=0.0), 1.0)) * 10.0
        return np.where(np.isfinite(upper), upper, bound)


def _either(twin: Program, first: Ints, most_first: Floats, second: Ints, most_second: Floats) -> Ints:
    """Either: x <= X b and y <= Y (1 - b) with b in {0, 1}: not both at once."""
    b = twin.columns("either", first.shape, upper=1.0)
    one = twin.rows("either", first.shape, upper=0.0)
    twin.terms(one, first, 1.0)
    twin.terms(one, b, -most_first)
    other = twin.rows("or", first.shape, upper=most_second)
    twin.terms(other, second, 1.0)
    twin.terms(other, b, most_second)
    return b


def _off_or_at_least(twin: Program, columns: Ints, least: Floats, most: Floats) -> Ints:
    """Semicontinuous: l b <= x <= X b with b in {0, 1}: off, or at least l."""
    b = twin.columns("on", columns.shape, upper=1.0)
    low, high = twin.rows("at least", columns.shape, lower=0.0), twin.rows("off", columns.shape, upper=0.0)
    twin.terms(low, columns, 1.0)
    twin.terms(low, b, -least)
    twin.terms(high, columns, 1.0)
    twin.terms(high, b, -most)
    return b


def _unbounded(net: Core) -> RequestError:
    """Names the columns that can grow without end: those that reach a limit put on all of them."""
    lp, far = net.program, 1e9
    open_ = ~np.isfinite(lp.upper)
    lp.upper[open_] = far
    found = Solver(lp).solve(lp)
    lp.upper[open_] = np.inf
    high = open_ & (found.columns > far / 1e3)
    names = [b.name for b in lp.column_blocks if high[b.start : b.stop].any()]
    return RequestError("network.unbounded", names=", ".join(dict.fromkeys(names)) or "-")
