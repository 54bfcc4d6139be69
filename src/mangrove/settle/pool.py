# SPDX-License-Identifier: Apache-2.0
"""The pool of a community whose members only meet over prices: who gives to whom in every step, and what it costs.

Comes in: what every member still needs and has left in every step, its prices, the fee of the wires. Goes out: the exchange
of least cost, the cost of every coalition by formula, and the allocation by duals, all vectorized over time.

For one step, with demand d_i, surplus g_i, retail price p_i, one export price e and fee f per shared unit, the least cost
of coalition S is a linear program in what is exchanged; its dual has one variable, the price L inside the pool:

    c(S) = max over L of  sum_{i in S} d_i min(p_i, L) - g_i max(e, L - f)

The maximum lies at some p_i or at e + f, so the cost of many coalitions is a maximum over few arrays. The best L of all
members together is feasible for every coalition, so x_i = d_i min(p_i, L) - g_i max(e, L - f) lies in the core (Owen 1975).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mangrove.errors import RequestError
from mangrove.settle.game import Allocation, Bools, Floats, Found


@dataclass(frozen=True, eq=False)
class Pool:
    """What members bring to the pool, and the prices around it.

    Attributes:
        members: n names.
        demand: (n, T) kWh that a member still needs after its own generation, as far as its wire carries it.
        surplus: (n, T) kWh that a member has left; in one step a member has one of the two.
        buy: (T,) or (n, T) money/kWh from the grid; sell: (T,) money/kWh to the grid, not above `buy`.
        fee: money per kWh that goes from member to member, paid by who receives it.
        base: (n,) money that each member pays itself whatever the pool does (what its wire cannot carry, wear, demand charges
            of its own meter); None for nothing.
        exchange: what each member received and gave, both (n, T) kWh, when it was decided elsewhere; None: by least cost.

    Raises:
        RequestError: wrong shapes, NaN, negative amounts, an export price above a retail price.
    """

    members: tuple[str, ...]
    demand: Floats
    surplus: Floats
    buy: Floats
    sell: Floats
    fee: float = 0.0
    base: Floats | None = None
    exchange: tuple[Floats, Floats] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.members), self.demand.shape[-1])
        for name, array in (("demand", self.demand), ("surplus", self.surplus)):
            if array.shape != shape:
                raise RequestError(
                    "settle.wrong_shape", name=name, found=str(array.shape), expected=str(shape)
                )
            if not np.isfinite(array).all() or (array < 0.0).any():
                raise RequestError("settle.not_amounts", name=name)
        for name, price in (("buy", self.buy), ("sell", self.sell)):
            if price.shape != shape[1:] and (name == "sell" or price.shape != shape):
                raise RequestError("settle.wrong_length", name=name, count=price.size, expected=shape[1])
            if not np.isfinite(price).all():
                raise RequestError("settle.wrong_length", name=name, count=price.size, expected=shape[1])
        above = (np.atleast_2d(self.buy) < self.sell).any(axis=0)
        if above.any():
            raise RequestError("settle.sells_above_buys", step=int(np.argmax(above)))

    @property
    def prices(self) -> Floats:
        """(n, T) retail price of each member."""
        return np.broadcast_to(self.buy, self.demand.shape)

    @cached_property
    def level(self) -> Floats:
        """(T,) the price L inside the pool: what the next kWh brought into the pool would save."""
        steps = np.arange(self.demand.shape[1])
        values = [self._value(price) for price in self._breaks]
        best = np.argmax(values, axis=0)
        level: Floats = np.array(self._breaks)[best, steps]
        return level

    @cached_property
    def _kinds(self) -> tuple[Floats, Floats]:
        """The different retail prices (k, T), and (n,) which of them each member pays."""
        kinds, kind = np.unique(np.atleast_2d(self.buy), axis=0, return_inverse=True)
        return kinds, np.broadcast_to(kind.ravel(), (len(self.members),))

    @cached_property
    def _breaks(self) -> list[Floats]:
        """The prices at which the marginal member changes: every retail price, and the export price with the fee."""
        return [*self._kinds[0], self.sell + self.fee]

    def _value(self, level: Floats) -> Floats:
        """(T,) the dual value of all members at a price inside the pool."""
        needs = (self.demand * np.minimum(self.prices, level)).sum(axis=0)
        value: Floats = needs - self.surplus.sum(axis=0) * np.maximum(self.sell, level - self.fee)
        return value

    @cached_property
    def received(self) -> Floats:
        """(n, T) kWh that each member gets from the others: highest retail price first, then in proportion to demand."""
        if self.exchange is not None:
            return self.exchange[0]
        left = np.where(self.prices.max(axis=0) - self.sell > self.fee, self.surplus.sum(axis=0), 0.0)
        got = np.zeros_like(self.demand)
        order = -np.sort(-self._kinds[0], axis=0)
        for rank, price in enumerate(order):
            asks = (self.prices == price) & (price - self.sell > self.fee)
            if rank and (price == order[rank - 1]).any():
                asks = asks & (price < order[rank - 1])
            wants = np.where(asks, self.demand, 0.0)
            whole = wants.sum(axis=0)
            gets = np.minimum(left, whole)
            got += wants * ratio(gets, whole)
            left = left - gets
        return got

    @cached_property
    def shared(self) -> Floats:
        """(T,) kWh that go from member to member."""
        shared: Floats = self.received.sum(axis=0)
        return shared

    @cached_property
    def given(self) -> Floats:
        """(n, T) kWh that each member gives to the others, in proportion to surplus."""
        if self.exchange is not None:
            return self.exchange[1]
        return self.surplus * ratio(self.shared, self.surplus.sum(axis=0))

    @property
    def own(self) -> Floats:
        """(n,) what each member pays whatever the pool does."""
        return np.zeros(len(self.members)) if self.base is None else self.base

    @property
    def cost(self) -> float:
        """What all members pay together: the grid, the fees, and what is each member's own."""
        received = self.received
        bought = ((self.demand - received) * self.prices).sum()
        sold = (self.surplus.sum(axis=0) - received.sum(axis=0)) @ self.sell
        return float(bought - sold + self.fee * received.sum() + self.own.sum())

    @property
    def alone(self) -> Floats:
        """(n,) what each member pays without the pool."""
        costs: Floats = (self.demand * self.prices).sum(axis=1) - self.surplus @ self.sell + self.own
        return costs

    def costs(self, masks: Bools) -> Floats:
        """(k,) the cost of each of the (k, n) coalitions, by the formula of the module."""
        kinds, of_kind = self._kinds
        inside = masks.astype(float)
        needs = [(inside * (of_kind == k)) @ self.demand for k in range(len(kinds))]
        has = inside @ self.surplus
        best = np.full(has.shape, -np.inf)
        for level in self._breaks:
            value = -has * np.maximum(self.sell, level - self.fee)
            for price, need in zip(kinds, needs, strict=True):
                value += need * np.minimum(price, level)
            np.maximum(best, value, out=best)
        found: Floats = best.sum(axis=1) + inside @ self.own
        return found

    def duals(self) -> Allocation:
        """Shares by the price inside the pool: in the core, and their sum is the cost.

        Example:
            >>> pool = Pool(("a", "b"), np.array([[2.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([10.0]), np.array([4.0]))
            >>> pool.duals().shares.tolist()  # surplus is scarce, so it is worth the retail price
            [20.0, -10.0]
        """
        level = self.level
        needs = (self.demand * np.minimum(self.prices, level)).sum(axis=1)
        shares: Floats = needs - self.surplus @ np.maximum(self.sell, level - self.fee) + self.own
        return Allocation("duals", self.members, shares, Found("duals"), price=level - self.fee)

    def with_base(self, base: Floats) -> Pool:
        """The same pool, with further money that each member pays itself."""
        return replace(self, base=self.own + base)


def ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, zero where there is nothing below.

    Example:
        >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
        [0.5, 0.0]
    """
    return np.divide(
        above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0.0
    )


def block_means(load: Floats, window: int) -> Floats:
    """(..., B) means over blocks of `window` steps, as a demand meter averages; the last block may be shorter.

    Raises:
        RequestError: `settle.wrong_length` for a window that is not within the steps.

    Example:
        >>> block_means(np.array([[1.0, 3.0, 5.0]]), 2).tolist()
        [[2.0, 5.0]]
    """
    steps = load.shape[-1]
    if not 1 <= window <= steps:
        raise RequestError("settle.wrong_length", name="window", count=window, expected=steps)
    first = np.arange(0, steps, window)
    means: Floats = np.add.reduceat(load, first, axis=-1) / np.diff(np.append(first, steps))
    return means
