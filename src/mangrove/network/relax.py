# SPDX-License-Identifier: Apache-2.0
"""What gives way when not everything can hold: the least violation by tier, then the cheapest plan that lives with it.

Comes in: a network whose program has no solution. First, programs without prices find the least total violation, tier by tier
from the highest down: what a higher tier needs is settled before a lower one is looked at, so no amount of a lower tier ever
weighs against a higher one. Then the violations are written into right-hand sides and bounds, and the original costs decide
again. When even that fails, everything may give way, and what then does is the conflict that the error names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import InfeasibleError
from mangrove.network.core import Core
from mangrove.network.handles import TIERS, Wish
from mangrove.network.program import FREE, Program
from mangrove.network.solver import OPTIMAL, Outcome, Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Slack = tuple[Wish, Ints]
SMALL = 1e-6
"""Violations below this are rounding of the solver: they are allowed, and nobody is told."""
_HOLD = (1e-9, 1e-6)
"""By how much the total of a settled tier may be exceeded: a share of it; when that is too tight, a share of it or of 1."""
_LATER = 1e-4
"""How much more a violation in the last step counts than one in the first: of equal ones the earlier is taken."""
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


def least_violation(
    net: Core, binaries: Callable[[Program], Ints] | None = None
) -> tuple[list[Given], dict[str, Remedy]]:
    """The least violation, tier by tier, and for each tier the limit whose widening would help most.

    Args:
        net: the network.
        binaries: adds binary variables to a copy of the program and returns them; None for a program without.

    Raises:
        InfeasibleError: `network.infeasible` with the names of what contradicts itself.
    """
    twin, slacks = _elastic(net.program, net.wishes)
    integers = None if binaries is None else binaries(twin)
    tiers = [tier for tier in TIERS if any(wish.tier == tier for wish, _ in slacks)]
    totals = twin.rows("total", (len(tiers),))
    for row, tier in zip(totals, tiers, strict=True):
        for wish, slack in slacks:
            if wish.tier == tier:
                twin.terms(row, slack, wish.weight)
    solver = Solver(twin, integers=integers)
    found = None
    remedies: dict[str, Remedy] = {}
    for row, tier in zip(totals, tiers, strict=True):
        latest = _settle(solver, twin, slacks, tier, held=found is not None, totals=totals)
        if latest is None:
            break
        found = latest
        remedy = _remedy(net, found, [(w, s) for w, s in slacks if w.tier == tier])
        if remedy is not None:
            remedies[tier] = remedy
        least = max(float(found.rows[row]), 0.0)
        twin.row_upper[row] = least * (1.0 + _HOLD[0])
    if found is None:
        raise _conflict(net)
    given = [Given(wish, np.maximum(found.columns[columns], 0.0)) for wish, columns in slacks]
    return [one for one in given if (one.violation > 0).any()], remedies


def _settle(
    solver: Solver, twin: Program, slacks: Sequence[Slack], tier: str, *, held: bool, totals: Ints
) -> Outcome | None:
    """Least total of one tier, those above it held; None when there is no solution."""
    mine = [(wish, slack) for wish, slack in slacks if wish.tier == tier]
    found = _least(solver, twin, mine)
    if found.status != OPTIMAL and held:
        tight = totals[np.isfinite(twin.row_upper[totals])]
        twin.row_upper[tight] += _HOLD[1] * np.maximum(twin.row_upper[tight], 1.0)
        found = _least(solver, twin, mine)
    return found if found.status == OPTIMAL else None


def _least(solver: Solver, twin: Program, slacks: Sequence[Slack]) -> Outcome:
    """Least total of some slacks, early ones first; then once more from there, for duals that count all steps alike."""
    for later in (_LATER, 0.0):
        twin.cost[:] = 0.0
        for wish, slack in slacks:
            twin.cost[slack] = wish.weight * np.linspace(1.0, 1.0 + later, slack.shape[-1])
        found = solver.solve(twin, gap=0.0)
        if found.status != OPTIMAL or solver.searches:
            break
    return found


def worth_telling(given: Sequence[Given]) -> tuple[Given, ...]:
    """What gave way by more than rounding."""
    cleaned = (Given(one.wish, np.where(one.violation > SMALL, one.violation, 0.0)) for one in given)
    return tuple(one for one in cleaned if one.violation.any())


def accept(lp: Program, given: Sequence[Given], margin: float) -> None:
    """Writes the violations into the program, each a little larger by `margin` (a share of it, or of 1)."""
    for one in given:
        at, exact = one.wish.at, one.violation
        by = exact + np.where(exact > 0, margin * np.maximum(exact, 1.0), 0.0)
        side = one.wish.side
        if one.wish.most is not None:  # a demand ends at zero
            by = np.minimum(by, np.maximum(one.wish.most.amount, 0.0))
        if side in ("both", "lower"):
            np.subtract.at(lp.row_lower, at, by)
        if side == "both":
            np.subtract.at(lp.row_upper, at, np.minimum(exact, by))
        if side == "upper":
            np.add.at(lp.row_upper, at, by)
        if side == "floor":
            lp.lower[at] = np.maximum(lp.lower[at] - by, np.minimum(lp.lower[at], 0.0))
        if side == "ceiling":
            lp.upper[at] += by


def _elastic(lp: Program, wishes: Sequence[Wish]) -> tuple[Program, list[Slack]]:
    """A copy of the program without prices, in which every wish has a slack column."""
    twin = lp.copy()
    slacks = []
    for wish in wishes:
        most = FREE if wish.most is None else np.maximum(wish.most.amount, 0.0)
        slack = twin.columns(wish.name, wish.at.shape, upper=most)
        if wish.side in _SIGN:
            twin.terms(wish.at, slack, _SIGN[wish.side])
        else:
            _elastic_bound(twin, wish, slack)
        slacks.append((wish, slack))
    return twin, slacks


def _elastic_bound(twin: Program, wish: Wish, slack: Ints) -> None:
    """X + v >= floor, or x - v <= ceiling, as rows instead of the bound. A level never falls below zero."""
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
    side[wish.at] = np.minimum(bound, 0.0) if floor else FREE


def _remedy(net: Core, found: Outcome, slacks: Sequence[Slack]) -> Remedy | None:
    """The limit with the largest effect on the violation of a tier, other than what gives way itself."""
    if not any((found.columns[slack] > SMALL).any() for _, slack in slacks):
        return None
    best = None
    giving = [wish.at.ravel() for wish, _ in slacks if wish.side in _SIGN]
    rows = np.concatenate(giving) if giving else np.zeros(0, np.int64)
    for limit in net.limits:
        if limit.rows and np.isin(limit.at, rows).any():
            continue
        gain = float(limit.worth(net.program, found.row_duals, found.bound_duals).sum())
        if gain > SMALL and (best is None or gain > best.gain * (1 + 1e-6)):
            best = Remedy(limit.name, gain)
    return best


def _conflict(net: Core) -> InfeasibleError:
    """Lets everything give way and names what does: the smallest relaxation that would make a plan possible."""
    lp = net.program
    twin, _ = _elastic(lp, net.wishes)
    names: list[tuple[str, float]] = []
    height, width = lp.height, lp.width
    rows = np.arange(height)
    low, high = twin.columns("low", (height,), cost=1.0), twin.columns("high", (height,), cost=1.0)
    twin.terms(rows, low, 1.0)
    twin.terms(rows, high, -1.0)
    columns = np.arange(width)
    floors = twin.rows("floor", (width,), lower=twin.lower[:width].copy(), upper=twin.upper[:width].copy())
    under, over = twin.columns("under", (width,), cost=1.0), twin.columns("over", (width,), cost=1.0)
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
                if worst > SMALL:
                    names.append((block.name, worst))
    names.sort(key=lambda pair: -pair[1])
    listed = "; ".join(f"{name} ({amount:.4g})" for name, amount in names[:5]) or "-"
    return InfeasibleError("network.infeasible", names=listed, first=names[0][0] if names else "-")
