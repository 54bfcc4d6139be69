# SPDX-License-Identifier: Apache-2.0
"""Which links to open when opening costs money once: slope scaling on warm linear programs, then searches of what is small.

Comes in: a program that minimizes cost, and the columns that each opening allows, each with its tightest bound. Goes out: what is
open, the plan that lives with it, and a bound below which no plan can cost, so that everybody sees how far off it may be.

Slope scaling (Kim and Pardalos, Operations Research Letters 24 (1999) 195) charges each opening by the unit, f / X with X the
amount of the last round, so that at a fixed point the linear program pays just what the openings cost. It has no guarantee;
hence the bound: f / U by the unit, with U the most that the opening allows, never charges more than the opening costs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.network.neighborhoods import Neighborhoods
from mangrove.network.parts import Part, Pieces, components, split
from mangrove.network.program import Program
from mangrove.network.solver import OPTIMAL, Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
ROUNDS = 25
"""Rounds of slope scaling; the cost hardly falls after fifteen."""
EXACT = 300
"""Columns that openings allow in a component that is searched whole, so that its cost is a proven least (within the gap)."""
PROVEN = 1e-4
"""Gap of a search over one component."""
_WEIGHTS, _STEP, _SHRINK = 12, 3.0, 0.75
"""Rounds of multiplicative weights, their first step and by what it shrinks (tried: steps of 1 to 6, shrinking by 0.7 to 1)."""
_TOGETHER = 50
"""Columns up to which small components share a search."""


@dataclass(frozen=True, slots=True, eq=False)
class Openings:
    """K things that cost once when they are used: x_m <= most_m y_k for the columns m of opening k, y_k in {0, 1}.

    Attributes:
        columns: (M,) columns of the program, each once.
        item: (M,) the opening that each belongs to.
        most: (M,) the largest value of each column that any plan can have: the tighter, the better the bound.
        cost: (K,) money.
        least: (M,) a column is 0 or at least this (a lot); 0 for none.
    """

    columns: Ints
    item: Ints
    most: Floats
    cost: Floats
    least: Floats

    @property
    def total(self) -> Floats:
        """U (K,), the most that each opening allows over all its columns."""
        return _by(self.item, self.most, len(self.cost))

    def amount(self, x: Floats) -> Floats:
        """X (K,), what each opening carries."""
        return _by(self.item, x[self.columns], len(self.cost))

    def used(self, x: Floats) -> Bools:
        """Which openings carry something (K,)."""
        return self.amount(x) > self.least_amount

    @property
    def least_amount(self) -> Floats:
        """(K,) what counts as nothing: a rounding of the solver (its tolerance is 1e-7)."""
        return nothing(self.total)

    def short(self, x: Floats) -> Bools:
        """Which columns (M,) carry something, but less than their lot."""
        mine = x[self.columns]
        return (mine > nothing(self.most)) & (mine < self.least * (1 - 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What slope scaling and the search found.

    Attributes:
        opened: (K,) bool. shut: (M,) columns that stay at zero. bound: no plan costs less. cost: of this plan.
        complete: False when the limit of time ended a search.
    """

    opened: Bools
    shut: Bools
    bound: float
    cost: float
    complete: bool

    @property
    def gap(self) -> float:
        """See `gap_of`."""
        return gap_of(self.cost, self.bound)

    def write(self, lp: Program, openings: Openings) -> None:
        """Fixes the choice as bounds: what is shut stays at zero, a lot that is used is full."""
        lp.upper[openings.columns[self.shut]] = 0.0
        lots = ~self.shut & (openings.least > 0)
        at = openings.columns[lots]
        lp.lower[at] = np.maximum(lp.lower[at], openings.least[lots])


def design(lp: Program, openings: Openings, *, gap: float, time_limit: float | None = None) -> Design:
    """The cheapest choice of openings that was found; the program's costs and bounds are as before afterwards.

    Args:
        lp: a program with a solution when everything is open, and whose cost has a lower end.
        openings: what costs once.
        gap: relative distance from the bound at which the search stops. Components of up to `EXACT` columns are always
            searched whole, as far as time allows.
        time_limit: seconds for all searches, after slope scaling; None for none.
    """
    return _Designer(lp, openings, gap, time_limit).run()


def gap_of(cost: float, bound: float) -> float:
    """(cost - bound) / |bound|, never negative; infinite when the bound is zero or there is none."""
    distance = max(cost - bound, 0.0)
    if distance <= 1e-12 * max(abs(cost), 1.0):
        return 0.0
    return distance / abs(bound) if bound and np.isfinite(bound) else float("inf")


class _Designer:
    """One design: the pieces of the program, the best plan so far and what is known about its cost by component."""

    def __init__(self, lp: Program, openings: Openings, gap: float, time_limit: float | None) -> None:
        self.lp, self.openings, self.gap = lp, openings, gap
        self.time_limit, self.until = time_limit, np.inf
        self.true, self.upper = lp.cost.copy(), lp.upper.copy()
        self.pieces = Pieces(lp)
        self.best: Floats = np.zeros(lp.width)
        self.cost = np.inf
        self.complete = True
        self.begin: Floats = np.zeros(0)
        self.where = np.full(lp.width, -1)
        self.where[openings.columns] = np.arange(len(openings.columns))

    def run(self) -> Design:
        """Bound, slopes, lots, search."""
        lp, openings = self.lp, self.openings
        try:
            linear = self._slopes()
            twin, y, on = self._twin()
            label, _ = components(twin)
            bounds = _by(label[: lp.width], linear, int(label.max(initial=0)) + 1)
            self._clear_lots()
            self._tighten(label, bounds)
            self.until = np.inf if self.time_limit is None else time.perf_counter() + self.time_limit
            self._search(twin, y, on, label, bounds)
            opened, shut = openings.used(self.best), self.best[openings.columns] <= nothing(openings.most)
            bound = float(bounds.sum())
            return Design(opened, shut, min(bound, self.cost), self.cost, self.complete)
        finally:
            lp.cost[:], lp.upper[:] = self.true, self.upper

    def price(self, x: Floats) -> float:
        """The true cost of a plan."""
        return float(self.true @ x + self.openings.cost[self.openings.used(x)].sum())

    def _slopes(self) -> Floats:
        """Slope scaling; returns the cost of each column (as charged) at the optimum of the first program, the bound."""
        lp, openings = self.lp, self.openings
        total = openings.total
        slope = np.divide(openings.cost, total, out=np.zeros(len(total)), where=total > 0)
        linear: Floats = np.zeros(lp.width)
        before = None
        for number in range(ROUNDS):
            lp.cost[:] = self.true
            lp.cost[openings.columns] += slope[openings.item]
            self.pieces.solve()
            x = self.pieces.x
            if not number:
                linear = lp.cost * x
            used = openings.used(x)
            cost = self.price(x)
            if cost < self.cost:
                self.cost, self.best = cost, x.copy()
            if before is not None and (used == before).all() and number > 2:  # noqa: PLR2004 - the first rounds move
                break
            before = used
            slope = np.where(used, openings.cost / np.where(used, openings.amount(x), 1.0), slope)
        return linear

    def _tighten(self, label: Ints, bounds: Floats) -> None:
        """Raises the bounds of openings with several columns, which f / U holds too low.

        From x_m <= u_m y follows f y >= f sum_m w_m x_m / u_m for all weights w that add up to one, so every choice of weights
        gives a bound, component by component. Weight moves to the columns that are fullest (multiplicative weights, Arora,
        Hazan, Kale, Theory of Computing 8 (2012) 121).
        """
        lp, openings = self.lp, self.openings
        if len(openings.columns) == len(openings.cost) or gap_of(self.cost, float(bounds.sum())) <= self.gap:
            return
        some = openings.most > 0
        most = np.where(some, openings.most, 1.0)
        weight = np.where(some, openings.most, 0.0)
        for number in range(_WEIGHTS):
            total = _by(openings.item, weight, len(openings.cost))
            weight /= np.where(total > 0, total, 1.0)[openings.item]
            lp.cost[:] = self.true
            lp.cost[openings.columns] += openings.cost[openings.item] * weight / most
            self.pieces.solve()
            np.maximum(bounds, _by(label[: lp.width], lp.cost * self.pieces.x, len(bounds)), out=bounds)
            weight *= np.exp(_STEP * _SHRINK**number * self.pieces.x[openings.columns] / most)

    def _clear_lots(self) -> None:
        """Shuts columns that carry less than their lot, the smallest share first, until every lot is full."""
        lp, openings = self.lp, self.openings
        if not openings.short(self.best).any():
            return
        shut = self.best[openings.columns] <= nothing(openings.most)
        lp.cost[:] = self.true
        while True:
            lp.upper[openings.columns[shut]] = 0.0
            self.pieces.solve()
            x = self.pieces.x
            short = openings.short(x)
            if not short.any():
                break
            share = np.where(short, x[openings.columns] / np.where(short, openings.least, 1.0), np.inf)
            worst = np.full(len(self.pieces.parts), np.inf)
            part = self.pieces.of_column[openings.columns]
            np.minimum.at(worst, part, share)
            shut |= short & (share <= worst[part])
        lp.upper[:] = self.upper
        self.cost, self.best = self.price(x), x.copy()

    def _twin(self) -> tuple[Program, Ints, Ints]:
        """The program with its binaries: columns y (K,), one an opening, and b, one a column with a lot."""
        lp, openings = self.lp, self.openings
        twin = lp.copy()
        twin.cost[: lp.width] = self.true
        y = twin.columns("open", openings.cost.shape, upper=1.0, cost=openings.cost)
        lots = openings.least > 0
        open_(twin, openings.columns[~lots], y[openings.item[~lots]], openings.most[~lots])
        b = lot(
            twin, openings.columns[lots], y[openings.item[lots]], openings.least[lots], openings.most[lots]
        )
        on = np.full(len(openings.columns), -1)
        on[lots] = b
        return twin, y, on

    def _search(self, twin: Program, y: Ints, on: Ints, label: Ints, bounds: Floats) -> None:
        """Searches small components whole, large ones in neighborhoods."""
        openings = self.openings
        many = np.bincount(label[openings.columns], minlength=len(bounds))
        integer = np.zeros(twin.width, bool)
        integer[y], integer[on[on >= 0]] = True, True
        self.begin = self._binaries()
        large = openings.used(self.best) & (many > EXACT)[label[y]]
        now = time.perf_counter()
        until = now + (self.until - now) * (0.5 if large.any() else 1.0)
        for part in split(twin, keep=((many > 0) & (many <= EXACT))[label], size=_TOGETHER):
            floor, mine = self._improve(part, integer, until), np.unique(label[part.columns])
            if floor > bounds[mine].sum():
                bounds[mine], bounds[mine[0]] = 0.0, floor
        self.cost, self.begin = self.price(self.best), self._binaries()
        if large.any():
            self._around(twin, integer, np.r_[y, on], np.flatnonzero(large), float(bounds.sum()))

    def _around(self, twin: Program, integer: Bools, binary: Ints, centers: Ints, bound: float) -> None:
        """Searches neighborhoods of the openings in use until the gap is small enough, or time is up."""
        openings = self.openings
        owner = np.full(twin.width, -1)
        owner[openings.columns] = openings.item
        item = np.r_[np.arange(len(openings.cost)), openings.item]
        owner[binary[binary >= 0]] = item[binary >= 0]
        plan = np.concatenate([self.best, self.begin])
        order = np.random.default_rng(0).permutation(centers)

        def more(cost: float) -> bool:
            late = time.perf_counter() > self.until
            self.complete &= not late
            return not late and gap_of(cost, bound) > self.gap

        found = Neighborhoods(twin, integer, owner, plan).search(order, more)
        candidate = found[: self.lp.width]
        if self.price(candidate) < self.cost:
            self.best = candidate
            self.cost = self.price(candidate)

    def _improve(self, part: Part, integer: Bools, until: float) -> float:
        """Searches one part from the best plan on; returns what it proved (-inf: nothing)."""
        binary, left = integer[part.columns], until - time.perf_counter()
        if not binary.any():
            return -np.inf
        if left <= 0:
            self.complete = False
            return -np.inf
        engine = Solver(part.program, integers=np.flatnonzero(binary))
        engine.begin(self._start(part, len(binary)))
        gap = min(self.gap, PROVEN)
        found = engine.solve(part.program, time_limit=left if np.isfinite(left) else None, gap=gap)
        self.complete &= found.status == OPTIMAL
        mine = part.columns < self.lp.width
        at = part.columns[mine]
        if np.isfinite(found.columns).all():
            values = found.columns[mine]
            if self._local(at, values) < self._local(at, self.best[at]):
                self.best[at] = values
        return found.bound if np.isfinite(found.bound) else -np.inf

    def _binaries(self) -> Floats:
        """Values of the binaries for the best plan, in the order of the twin: openings, then lots."""
        openings = self.openings
        lots = (self.best[openings.columns] > nothing(openings.most))[openings.least > 0]
        return np.concatenate([openings.used(self.best), lots]).astype(np.float64)

    def _start(self, part: Part, count: int) -> Floats:
        """The best plan so far as values of all columns of a part, binaries too; the search goes on from there."""
        width = self.lp.width
        values = np.zeros(count)
        real = part.columns < width
        values[real] = self.best[part.columns[real]]
        values[~real] = self.begin[part.columns[~real] - width]
        return values

    def _local(self, at: Ints, values: Floats) -> float:
        """The true cost of some columns, with all that opens for them."""
        openings = self.openings
        where = self.where[at]
        item, local = np.unique(openings.item[where[where >= 0]], return_inverse=True)
        amount = _by(local, values[where >= 0], len(item))
        return float(self.true[at] @ values + openings.cost[item][amount > openings.least_amount[item]].sum())


def _by(label: Ints, amount: Floats, count: int) -> Floats:
    """Sums of amounts by label, (count,)."""
    return np.bincount(label, amount, minlength=count).astype(np.float64)


def nothing(most: Floats) -> Floats:
    """What is a rounding of the solver, whose tolerance is 1e-7, and not an amount."""
    tiny: Floats = np.minimum(1e-6 + 1e-8 * most, 1e-3 * most)
    return tiny


def open_(twin: Program, columns: Ints, y: Ints, most: Floats) -> Ints:
    """x_m - u_m y <= 0: nothing flows unless it is open; u_m is the least that never cuts off a plan."""
    rows = twin.rows("if open", columns.shape, upper=0.0)
    twin.terms(rows, columns, 1.0)
    twin.terms(rows, y, -most)
    return rows


def lot(twin: Program, columns: Ints, y: Ints, least: Floats, most: Floats) -> Ints:
    """l_m b_m <= x_m <= u_m b_m, b_m <= y, b_m in {0, 1}: nothing, or at least a lot, and only what is open."""
    b = twin.columns("lot", columns.shape, upper=1.0)
    low, high = (
        twin.rows("at least a lot", columns.shape, lower=0.0),
        twin.rows("or nothing", columns.shape, upper=0.0),
    )
    for rows, size in ((low, least), (high, most)):
        twin.terms(rows, columns, 1.0)
        twin.terms(rows, b, -size)
    allowed = twin.rows("lot if open", columns.shape, upper=0.0)
    twin.terms(allowed, b, 1.0)
    twin.terms(allowed, y, -1.0)
    return b
