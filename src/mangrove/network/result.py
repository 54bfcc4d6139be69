# SPDX-License-Identifier: Apache-2.0
"""A plan: rates, levels, sizes, prices, what gave way, and what one more unit of each limit would save.

Comes in: a network and what its solver found. Goes out: arrays by handle, costs by name, shadow prices, and the share of
each owner in the cost. Duals are in money per unit: the price at a node is what one more unit delivered there costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.core import Core
from mangrove.network.design import gap_of
from mangrove.network.handles import (
    Budget,
    Capacity,
    Demand,
    Fixed,
    Node,
    Peak,
    Sessions,
    Store,
    Stream,
    Wish,
)
from mangrove.network.program import Block
from mangrove.network.relax import Given, Remedy
from mangrove.network.solver import Outcome

Floats = npt.NDArray[np.float64]
_SMALL = 1e-9
_ROUNDING = 1e-8
"""Share of the largest amount below which an item carries nothing."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """Something that gave way.

    Attributes:
        name, item: the wish and which of its items; tier: how strong it was.
        first, last: the steps in which it gave way (of a vehicle: its stay); steps: how many.
        amount: how much, in units (kWh), expected over the scenarios; of a level: how far below its floor at the worst.
        unit_cost: what the last unit of it would have cost, as far as money could buy it.
        remedy: the limit whose widening would help most, and by how many units for one unit of it; None when there is none.
    """

    name: str
    item: str
    tier: str
    first: int
    last: int
    steps: int
    amount: float
    unit_cost: float
    remedy: Remedy | None


@dataclass(frozen=True, slots=True)
class Shadow:
    """What one more unit of a limit would save, in money over the horizon; `steps` is in how many steps it binds."""

    name: str
    kind: str
    value: float
    steps: int


class Plan:
    """The solution of a network.

    Attributes:
        cost: money, without penalties; status: `optimal` or `limit` (of time).
        relaxed: what gave way.
        solver, iterations, seconds: how it was found.
        bound: no plan costs less (with what gave way); the cost itself when it is a linear program.
        gap: (cost - bound) / |bound|, never negative.
    """

    def __init__(
        self,
        net: Core,
        outcome: Outcome,
        cost: Floats,
        given: tuple[Given, ...],
        remedies: dict[str, Remedy],
        *,
        floor: float = -np.inf,
    ) -> None:
        self._net = net
        self._x, self._rows = outcome.columns, outcome.rows
        self._duals, self._reduced = outcome.row_duals, outcome.bound_duals
        self._prices = cost
        self._worth = [(limit, limit.worth(net.program, self._duals, self._reduced)) for limit in net.limits]
        self._given = given
        self.status, self.solver = outcome.status, outcome.solver
        self.iterations, self.seconds = outcome.iterations, outcome.seconds
        self._open = {one.name: self._carries(one) for one in net.fixes}
        once = sum(float(one.cost[self._open[one.name]].sum()) for one in net.fixes)
        self.cost = float(cost @ outcome.columns) + once
        linear = not net.fixes and "milp" not in outcome.solver
        self.bound = self.cost if linear else min(floor, self.cost)
        self.gap = gap_of(self.cost, self.bound)
        self._amount = net.money
        self.relaxed = tuple(
            entry for one in given for entry in self._relaxations(one, remedies.get(one.wish.tier))
        )

    def __getitem__(self, handle: Stream) -> Floats:
        """Rates of a stream without the dimensions of length one: (T,) for one item and one scenario."""
        found = self.rate(handle)
        return found.squeeze(axis=tuple(i for i in (0, 1) if found.shape[i] == 1))

    def rate(self, handle: Stream) -> Floats:
        """Rates of a stream, (n, S, T)."""
        return self._x[handle.columns]

    def level(self, handle: Store | Sessions) -> Floats:
        """Levels at the end of each step, (n, S, T); over representative days: relative to the beginning of the day.

        Raises:
            RequestError: `network.no_level`: one-way vehicles have none.
        """
        if handle.level is None:
            raise RequestError("network.no_level", name=handle.name)
        return self._x[handle.level]

    def size(self, handle: Capacity) -> Floats:
        """Sizes in place, (n,), or (n, Y) with several investment years."""
        built = self._x[handle.columns]
        total: Floats = handle.existing + np.einsum("nv,vy->ny", built, handle.alive.astype(np.float64))
        return total[:, 0] if total.shape[1] == 1 else total

    def peak(self, handle: Peak) -> Floats:
        """Billed peaks, (G,), or (S, G) with several scenarios."""
        found = self._x[handle.columns]
        return found[0] if len(found) == 1 else found

    def opened(self, handle: Fixed) -> npt.NDArray[np.bool_]:
        """Which items of a stream carry anything, and so cost their fixed cost, (n,)."""
        return self._open[handle.name].copy()

    def used(self, handle: Budget) -> Floats:
        """What the budget's sum came to, (S,)."""
        return self._rows[handle.rows]

    def price(self, node: Node) -> Floats:
        """Money per unit delivered at each node, (n, S, T); NaN in scenarios of probability 0."""
        duals = self._duals[node.rows]
        price = np.full(duals.shape, np.nan)
        np.divide(duals, self._amount, out=price, where=self._amount > 0)
        return price

    def shortfall(self, handle: Demand | Sessions) -> Floats:
        """What gave way, in units: (n, S, T) of a demand, (n, S) of sessions."""
        shape = handle.rows.shape if isinstance(handle, Demand) else handle.charging.columns.shape[:2]
        total = np.zeros(shape)
        for one in self._given:
            if one.wish.name == handle.name:
                lost = one.violation * one.wish.weight
                total += lost if lost.shape == shape else lost.sum(axis=-1)
        return total

    def shadows(self) -> tuple[Shadow, ...]:
        """What one more unit of each binding limit would save, largest first."""
        found = []
        for limit, worth in self._worth:
            value = float(worth.sum())
            if value > _SMALL:
                binding = int((worth > _SMALL).sum())
                found.append(Shadow(limit.name, limit.kind, value, binding))
        return tuple(sorted(found, key=lambda shadow: -shadow.value))

    def costs(self) -> dict[str, float]:
        """Money by name of what causes it; adds up to `cost`."""
        money = self._prices * self._x
        total: dict[str, float] = {}
        for block in self._net.program.column_blocks:
            amount = float(money[block.start : block.stop].sum())
            if amount:
                total[block.name] = total.get(block.name, 0.0) + amount
        for one in self._net.fixes:
            amount = float(one.cost[self._open[one.name]].sum())
            if amount:
                total[one.name] = total.get(one.name, 0.0) + amount
        return total

    def shares(self) -> dict[str, float]:
        """The cost by owner: right-hand sides x duals + bounds x reduced costs; adds up to `cost` (Owen 1975).

        The duals of the whole are feasible for every group of owners, so no group would do better alone, as long
        as nothing that binds is common: give each row and bound an owner. A fixed cost stays with the owner of its stream, and
        with fixed costs there may be no division that holds every group.
        """
        total: dict[str, float] = {}
        lp = self._net.program
        for blocks, money in (
            (lp.row_blocks, self._duals * self._rows),
            (lp.column_blocks, self._reduced * self._x),
        ):
            for block in blocks:
                _add(total, block, money[block.start : block.stop])
        for one in self._net.fixes:
            first = int(one.stream.columns.ravel()[0])
            owners = next(block.owners for block in lp.column_blocks if block.start <= first < block.stop)
            money = np.where(self._open[one.name], one.cost, 0.0)
            for owner, amount in zip(np.broadcast_to(owners, money.shape), money, strict=True):
                total[str(owner)] = total.get(str(owner), 0.0) + float(amount)
        return total

    def _carries(self, one: Fixed) -> npt.NDArray[np.bool_]:
        """Which items of a stream carry more than a rounding of the solver, (n,)."""
        amount = self._x[one.stream.columns].sum(axis=(1, 2))
        some: npt.NDArray[np.bool_] = amount > _ROUNDING * max(float(amount.max(initial=0.0)), 1.0)
        return some

    def _relaxations(self, one: Given, remedy: Remedy | None) -> Sequence[Relaxation]:
        """One entry an item that gave way."""
        wish = one.wish
        entries = []
        lost = one.violation * wish.weight
        chance = self._net.probabilities.reshape((-1,) + (1,) * (wish.at.ndim - 2))
        duals = self._duals if wish.side in ("both", "lower", "upper") else self._reduced
        for i, item in enumerate(wish.items):
            mine: Any = lost[i]
            if not (mine > 0).any():
                continue
            first, last, count = self._when(wish, i, mine)
            known = (mine > 0) & (chance > 0)
            per_unit = np.zeros(mine.shape)
            np.divide(np.abs(duals[wish.at[i]]), wish.weight[i] * chance, out=per_unit, where=known)
            worth = float(per_unit.max())
            worst = mine.max(axis=-1, keepdims=True) if wish.side == "floor" and mine.ndim > 1 else mine
            entries.append(
                Relaxation(
                    wish.name, item, wish.tier, first, last, count, float((worst * chance).sum()), worth, remedy,
                )
            )  # fmt: skip
        return entries

    def _when(self, wish: Wish, item: int, lost: Floats) -> tuple[int, int, int]:
        """First and last step in which an item gave way, and how many: the stay of a vehicle, the horizon of a sum over it."""
        handle = self._net.handles.get(wish.name)
        if isinstance(handle, Sessions):
            arrive, depart = (int(handle.settings[name][item]) for name in ("arrive", "depart"))
            return arrive, depart - 1, depart - arrive
        steps = self._net.horizon.steps
        if wish.at.shape[2:] != (steps,):
            return 0, steps - 1, steps
        at = np.flatnonzero((lost > 0).any(axis=tuple(range(lost.ndim - 1))))
        return int(at[0]), int(at[-1]), len(at)


def _add(total: dict[str, float], block: Block, money: Floats) -> None:
    """Adds the money of a block to the owners of its items."""
    owners = block.owners
    if len(set(owners)) == 1:
        amount = float(money.sum())
        if amount:
            total[owners[0]] = total.get(owners[0], 0.0) + amount
        return
    for owner, amount in zip(owners, money.reshape(len(owners), -1).sum(axis=1), strict=True):
        total[owner] = total.get(owner, 0.0) + float(amount)
