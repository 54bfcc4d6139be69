# SPDX-License-Identifier: Apache-2.0
"""How a network is solved: the linear program first; binaries only where it cheats; what cannot hold gives way.

Comes in: a network. Goes out: its `Plan`. Duals always come back: when binaries were needed, they are fixed as found and the
linear program is solved once more. Whatever happens, the network's data are as before afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import conditions, relax
from mangrove.network.core import Core
from mangrove.network.design import Design, Openings, design
from mangrove.network.program import Program
from mangrove.network.result import Plan
from mangrove.network.solver import (
    INFEASIBLE,
    LIMIT,
    OPTIMAL,
    TYPICAL_COST,
    UNBOUNDED,
    Outcome,
    Solver,
    cost_scale,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_TOUCH = 1e-6
"""Rates below this share of the larger of two are rounding, not running."""
_ROUNDS = 12
"""Searches with a growing set of binaries; the last one has them all."""
_MARGINS = (1e-9, 1e-7, 1e-5)
"""What a violation is widened by until the solver, whose own tolerance is 1e-7, finds a plan."""
EARLIER, OTHER = 1e-4, 1e-6
"""Tie-break, as shares of a typical price: charging in the last step costs up to `EARLIER` more than in the first, and every
rate up to `OTHER` by its position, so that of equal plans always the same one is taken. A second solve from there, with the
true prices, leaves that plan where it is and gives true costs and duals."""


def solve(net: Core, *, solver: str, time_limit: float | None, gap: float) -> Plan:
    """See `Network.solve`."""
    for what, value in (("time_limit", 0.0 if time_limit is None else time_limit), ("gap", gap)):
        if not value >= 0:  # NaN too
            raise RequestError("network.bad_limit", what=what, value=value)
    lp = net.program
    true_cost = lp.cost.copy()
    if net.solver is None:
        net.solver = Solver(lp)
    net.solver.scale = cost_scale(
        true_cost
    )  # before the tie-break: its small costs would mislead the scaling
    held = _sides(lp)
    try:
        search = _Search(net, net.solver, held, solver=solver, time_limit=time_limit, gap=gap)
        outcome = search.run()
        return Plan(
            net, outcome, true_cost, relax.worth_telling(search.given), search.remedies, floor=search.floor
        )
    finally:
        lp.cost[:] = true_cost
        _restore(lp, held)


def _tie_break(net: Core, typical: float) -> Floats:
    """What is added to the costs so that no two plans cost the same; see `EARLIER`."""
    lp = net.program
    nudge = OTHER * typical * _scattered(lp.width)
    nudge[~np.isfinite(lp.lower)] = 0.0  # a free column could fall without end
    slope = EARLIER * typical * np.arange(1, net.horizon.steps + 1) / net.horizon.steps
    for columns in net.earlier:
        nudge[columns] = slope + OTHER * typical * _scattered(columns.size).reshape(columns.shape)
    return nudge


def _scattered(count: int) -> Floats:
    """Fixed numbers in [0, 1) without pattern (the mixing step of SplitMix64, Steele et al., OOPSLA 2014)."""
    x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _sides(lp: Program) -> tuple[Floats, ...]:
    return lp.lower.copy(), lp.upper.copy(), lp.row_lower.copy(), lp.row_upper.copy()


def _restore(lp: Program, held: tuple[Floats, ...]) -> None:
    for side, old in zip((lp.lower, lp.upper, lp.row_lower, lp.row_upper), held, strict=True):
        side[:] = old


class _Search:
    """One solve: what gave way so far, and which binaries are fixed.

    Attributes:
        given, remedies: see `relax`. choice: column values that the binaries follow; None without binaries. cut: whether the
            limit of time ended a search. openings, design: what costs once, and the choice; None without. floor: no plan costs
            less (with what gave way).
    """

    def __init__(self, net: Core, engine: Solver, held: tuple[Floats, ...], **how: Any) -> None:
        self.net, self.engine, self.held, self.how = net, engine, held, how
        self.flagged = _Flagged(net)
        self.given: list[relax.Given] = []
        self.remedies: dict[str, relax.Remedy] = {}
        self.choice: Floats | None = None
        self.cut = False
        self.openings: Openings | None = None
        self.design: Design | None = None
        self.floor = -np.inf
        self.cost = net.program.cost.copy()
        self.nudge = _tie_break(net, TYPICAL_COST / engine.scale)

    def run(self) -> Outcome:
        """The linear program; what to open; then searches with binaries on what violates them, until nothing does."""
        outcome = self._linear()
        self.floor = float(self.cost @ outcome.columns)
        if self.net.fixes:
            outcome = self._open()
        for left in reversed(range(_ROUNDS)):
            if not self.flagged.grow(outcome.columns):
                return outcome
            if not left:
                self.flagged.all()
            method = outcome.solver.removesuffix("+milp")
            self.choice = None
            self.choice = self._binary()
            outcome = self._linear()
            status = LIMIT if self.cut else outcome.status
            outcome = replace(outcome, solver=f"{method}+milp", status=status)
        return outcome

    def _open(self) -> Outcome:
        """Chooses what to open, while the program stands as the linear one was solved; then the plan that lives with it."""
        self.openings = conditions.openings(self.net)
        self.design = design(
            self.net.program, self.openings, gap=self.how["gap"], time_limit=self.how["time_limit"]
        )
        self.floor, self.cut = self.design.bound, not self.design.complete
        outcome = self._linear()
        return replace(
            outcome, solver=f"{outcome.solver}+slopes", status=LIMIT if self.cut else outcome.status
        )

    def _write(self, given: list[relax.Given], margin: float = 0.0) -> None:
        """The program as declared, with what gave way and the binaries as fixed."""
        _restore(self.net.program, self.held)
        relax.accept(self.net.program, given, margin)
        conditions.hold(self.net)
        if self.design is not None and self.openings is not None:
            self.design.write(self.net.program, self.openings)
        if self.choice is not None:
            self.flagged.fix(self.choice)

    def _linear(self) -> Outcome:
        """The cheapest plan without binaries; what cannot hold gives way."""
        for margin in _MARGINS if self.given else _MARGINS[:1]:
            self._write(self.given, margin)
            outcome = self._optimum()
            if outcome.status != INFEASIBLE:
                return self._checked(outcome)
        self._write([])
        self.given, self.remedies = relax.least_violation(self.net)
        for margin in _MARGINS:
            self._write(self.given, margin)
            outcome = self._optimum()
            if outcome.status != INFEASIBLE:
                break
        return self._checked(outcome)

    def _optimum(self) -> Outcome:
        """Solves the program as it stands: with the tie-break, then with the true prices, where only duals change.

        Interior-point methods start from scratch each time, so that equal data give equal plans by themselves.
        """
        lp = self.net.program
        if self.engine.method(self.how["solver"], lp.height) != "simplex":
            return self.engine.solve(lp, **self.how)
        lp.cost[:] = self.cost + self.nudge
        first = self.engine.solve(lp, **self.how)
        lp.cost[:] = self.cost
        if first.status != OPTIMAL:
            return first
        then = self.engine.solve(lp, **self.how)
        iterations, seconds = first.iterations + then.iterations, first.seconds + then.seconds
        return replace(then, iterations=iterations, seconds=seconds)

    def _binary(self) -> Floats:
        """Column values of the cheapest plan with binaries at the flagged positions."""
        for margin in _MARGINS if self.given else _MARGINS[:1]:
            self._write(self.given, margin)
            found = self.flagged.search(**self.how)
            if found.status != INFEASIBLE:
                self.cut |= found.status == LIMIT
                if self.design is None and np.isfinite(found.bound):
                    self.floor = max(self.floor, found.bound)
                return self._checked(found).columns[: self.net.program.width]
        self._write([])
        self.given, self.remedies = relax.least_violation(self.net, self.flagged.bind)
        self.floor = -np.inf  # more gives way now, so what was a floor before may be none
        for margin in _MARGINS:
            self._write(self.given, margin)
            found = self.flagged.search(**self.how)
            if found.status != INFEASIBLE:
                break
        self.cut |= found.status == LIMIT
        return self._checked(found).columns[: self.net.program.width]

    def _checked(self, outcome: Outcome) -> Outcome:
        """The outcome when it holds a plan.

        Raises:
            RequestError: `network.unbounded` or `network.time_limit`.
        """
        if outcome.status in (UNBOUNDED, INFEASIBLE):  # HiGHS does not always tell one from the other
            raise _unbounded(self.net)
        if outcome.status == LIMIT and not np.isfinite(outcome.columns).all():
            raise RequestError("network.time_limit", seconds=self.how["time_limit"] or 0.0)
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
            seen[bad] = True
            new |= bool(bad.any())
        for one, seen in zip(self.net.minima, self.minima, strict=True):
            rate, least = x[one.columns].ravel(), one.least.ravel()
            bad = (rate > _TOUCH * np.maximum(least, 1.0)) & (rate < least * (1 - _TOUCH)) & ~seen
            seen[bad] = True
            new |= bool(bad.any())
        return new

    def all(self) -> None:
        """Marks every position."""
        for seen in (*self.pairs, *self.minima):
            seen[:] = True

    def search(self, *, time_limit: float | None, gap: float, **_: Any) -> Outcome:
        """Solves with binaries at the flagged positions; their columns come after those of the program."""
        lp = self.net.program
        twin = lp.copy()
        twin.cost[: lp.width] = lp.cost
        return Solver(twin, integers=self.bind(twin)).solve(twin, time_limit=time_limit, gap=gap)

    def bind(self, twin: Program) -> Ints:
        """Adds the binaries and their rows to a copy of the program; returns their columns."""
        binaries = []
        for pair, seen in zip(self.net.pairs, self.pairs, strict=True):
            first, second = pair.first.ravel()[seen], pair.second.ravel()[seen]
            binaries.append(_either(twin, first, self._most(first), second, self._most(second)))
        for one, seen in zip(self.net.minima, self.minima, strict=True):
            at = one.columns.ravel()[seen]
            binaries.append(_off_or_at_least(twin, at, one.least.ravel()[seen], self._most(at)))
        return np.concatenate(binaries)

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
    """Names the columns that can grow without end: those that grow with a limit put on all of them."""
    lp, far = net.program, 1e9
    held = _sides(lp)
    open_ = ~np.isfinite(lp.upper) | ~np.isfinite(lp.lower)
    solver = Solver(lp)
    found = []
    for most in (far, 2.0 * far):
        np.minimum(lp.upper, most, out=lp.upper, where=open_)
        np.maximum(lp.lower, -most, out=lp.lower, where=open_)
        found.append(solver.solve(lp).columns)
        _restore(lp, held)
    grown = open_ & (np.abs(found[1] - found[0]) > far * 1e-3)
    names = [b.name for b in lp.column_blocks if grown[b.start : b.stop].any()]
    return RequestError("network.unbounded", names=", ".join(dict.fromkeys(names)) or "-")
