# SPDX-License-Identifier: Apache-2.0
"""What gives way when not everything can hold: the least violation by tier, then the cheapest plan that lives with it.

Comes in: a network whose program has no solution. First, a program without prices finds the least total violation, with a
weight for each tier so large that a lower tier always gives way before a higher one. Then the violations are written
into right-hand sides and bounds, and the original costs decide again. When even that fails, everything may give way, and
what then does is the conflict that the error names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError
from mangrove.network.core import Core
from mangrove.network.handles import TIERS, Wish
from mangrove.network.program import FREE, Program
from mangrove.network.solver import OPTIMAL, Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_STEP = 100.0
"""Weight of a tier over the next lower one."""
_SMALL = 1e-6
"""Violations below this are rounding of the solver."""
_SIGN = {"both": 1.0, "lower": 1.0, "upper": -1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """How much of a wish was given up: `violation` has the shape of `wish.at`."""

    wish: Wish
    violation: Floats


@dataclass(frozen=True, slots=True)
class Remedy:
    """One unit more of the limit `name` would reduce what gives way by `gain` units."""

    name: str
    gain: float


def least_violation(net: Core) -> tuple[list[Given], Remedy | None]:
    """The least violation by tier, and the limit whose widening would help most.

    Raises:
        InfeasibleError: `network.infeasible` with the names of what contradicts itself.
    """
    lp, slacks = _elastic(net.program, net.wishes)
    solver = Solver(lp)
    found = solver.solve(lp)
    if found.status != OPTIMAL:
        raise _conflict(net)
    given = []
    for wish, columns in slacks:
        violation = found.columns[columns]
        if (violation > _SMALL).any():
            given.append(Given(wish, np.where(violation > _SMALL, violation, 0.0)))
    return given, _remedy(net, found.row_duals, found.bound_duals, given)


def accept(lp: Program, given: list[Given]) -> Callable[[], None]:
    """Writes the violations into the program; the function returned takes them back."""
    before = [array.copy() for array in (lp.lower, lp.upper, lp.row_lower, lp.row_upper)]
    for one in given:
        at, by = one.wish.at, one.violation * (1.0 + 1e-9) + np.where(one.violation > 0, 1e-9, 0.0)
        if one.wish.side in ("both", "lower"):
            np.subtract.at(lp.row_lower, at, by)
        if one.wish.side == "both":
            np.subtract.at(lp.row_upper, at, by)
        if one.wish.side == "upper":
            np.add.at(lp.row_upper, at, by)
        if one.wish.side == "floor":
            lp.lower[at] -= by
        if one.wish.side == "ceiling":
            lp.upper[at] += by

    def undo() -> None:
        for array, old in zip((lp.lower, lp.upper, lp.row_lower, lp.row_upper), before, strict=True):
            array[:] = old

    return undo


def _elastic(lp: Program, wishes: list[Wish]) -> tuple[Program, list[tuple[Wish, Ints]]]:
    """A copy of the program in which every wish has a slack column with the price of its tier."""
    twin = lp.copy()
    slacks = []
    for wish in wishes:
        price = _STEP ** (len(TIERS) - 1 - TIERS.index(wish.tier)) * wish.weight
        later = np.linspace(1.0, 1.0 + 1e-4, wish.at.shape[-1])  # of equal violations the earlier one
        most = FREE if wish.most is None else np.maximum(wish.most.amount, 0.0)
        slack = twin.columns(wish.name, wish.at.shape, upper=most, cost=price * later)
        if wish.side in _SIGN:
            twin.terms(wish.at, slack, _SIGN[wish.side])
        else:
            _elastic_bound(twin, wish, slack)
        slacks.append((wish, slack))
    return twin, slacks


def _elastic_bound(twin: Program, wish: Wish, slack: Ints) -> None:
    """X + v >= floor, or x - v <= ceiling, as rows instead of the bound."""
    floor = wish.side == "floor"
    side = twin.lower if floor else twin.upper
    bound = side[wish.at]
    rows = (
        twin.rows(wish.name, wish.at.shape, lower=bound)
        if floor
        else twin.rows(wish.name, wish.at.shape, upper=bound)
    )
    twin.terms(rows, wish.at, 1.0)
    twin.terms(rows, slack, 1.0 if floor else -1.0)
    side[wish.at] = -FREE if floor else FREE


def _remedy(net: Core, row_duals: Floats, bound_duals: Floats, given: list[Given]) -> Remedy | None:
    """The limit with the largest effect on the violation, in units of the highest tier that gave way."""
    if not given:
        return None
    tier = min(TIERS.index(one.wish.tier) for one in given)
    unit = _STEP ** (len(TIERS) - 1 - tier)
    best = None
    for limit in net.limits:
        gain = float(limit.worth(net.program, row_duals, bound_duals).sum()) / unit
        if gain > _SMALL and (best is None or gain > best.gain * (1 + 1e-6)):
            best = Remedy(limit.name, gain)
    return best


def _conflict(net: Core) -> InfeasibleError:
    """Lets everything give way and names what does: the smallest relaxation that would make a plan possible."""
    lp = net.program
    twin, _ = _elastic(lp, net.wishes)
    names: list[tuple[str, float]] = []
    height, width = lp.height, lp.width
    rows = np.arange(height)
    low, high = twin.columns("low", (height,), cost=1e6), twin.columns("high", (height,), cost=1e6)
    twin.terms(rows, low, 1.0)
    twin.terms(rows, high, -1.0)
    columns = np.arange(width)
    floors = twin.rows("floor", (width,), lower=twin.lower[:width].copy(), upper=twin.upper[:width].copy())
    under, over = twin.columns("under", (width,), cost=1e6), twin.columns("over", (width,), cost=1e6)
    twin.terms(floors, columns, 1.0)
    twin.terms(floors, under, 1.0)
    twin.terms(floors, over, -1.0)
    twin.lower[:width], twin.upper[:width] = -FREE, FREE
    found = Solver(twin).solve(twin)
    if found.status == OPTIMAL:
        for blocks, most in (
            (lp.row_blocks, found.columns[low] + found.columns[high]),
            (lp.column_blocks, found.columns[under] + found.columns[over]),
        ):
            for block in blocks:
                worst = float(most[block.start : block.stop].sum())
                if worst > _SMALL:
                    names.append((block.name, worst))
    names.sort(key=lambda pair: -pair[1])
    listed = "; ".join(f"{name} ({amount:.4g})" for name, amount in names[:5]) or "-"
    return InfeasibleError("network.infeasible", names=listed, first=names[0][0] if names else "-")
