# SPDX-License-Identifier: Apache-2.0
"""Price rules for a pool, the ones that energy communities use: mid-market rate, supply-demand ratio, pro-rata.

Comes in: what every member took from and gave to the pool in every step (n, T), the retail price and the export price (T,).
Goes out: what every member pays, whose sum is exactly what the pool pays the grid. Rules differ only in the price inside
the pool; none of them looks at coalitions, so none of them promises that nobody objects.

With D the demand and G the surplus of a step, p the retail and e the export price, m = (p + e)/2:

    mid-market rate (Long et al. 2017, "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting)
        G >= D:  buy m,                    sell (m D + e (G - D)) / G
        G <  D:  buy (m G + p (D - G)) / D,  sell m
    supply-demand ratio R = G / D (Liu et al. 2017, "Energy-sharing model with price-based demand response for microgrids of
    peer-to-peer prosumers", IEEE Transactions on Power Systems 32(5))
        R <= 1:  sell p e / ((p - e) R + e),  buy sell R + p (1 - R)
        R >  1:  buy e, sell e

The second rule needs e > 0. Where the sharing fee is more than p - e nobody shares, and prices are those of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.settle.core import proportional
from mangrove.settle.game import Allocation, Floats, Found


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """What members bring to the pool, and the prices around it.

    Attributes:
        members: n names.
        demand: (n, T) kWh that a member still needs after its own generation.
        surplus: (n, T) kWh that a member has left; in one step a member has one of the two.
        buy: (T,) money/kWh from the grid; sell: (T,) money/kWh to the grid; not above `buy`.
        fee: money per kWh that goes from member to member, paid by who receives it.
        base: (n,) money that each member pays itself whatever the pool does (what its wire cannot carry, wear, demand charges
            of its own meter); None for nothing.

    Raises:
        RequestError: wrong shapes, NaN, negative amounts, an export price above the retail price.
    """

    members: tuple[str, ...]
    demand: Floats
    surplus: Floats
    buy: Floats
    sell: Floats
    fee: float = 0.0
    base: Floats | None = None

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
            if price.shape != shape[1:] or not np.isfinite(price).all():
                raise RequestError("settle.wrong_length", name=name, count=price.size, expected=shape[1])
        if (self.sell > self.buy).any():
            raise RequestError("settle.sells_above_buys", step=int(np.argmax(self.sell > self.buy)))

    @property
    def shared(self) -> Floats:
        """(T,) kWh that go from member to member: the smaller of demand and surplus, where sharing pays its fee."""
        least = np.minimum(self.demand.sum(axis=0), self.surplus.sum(axis=0))
        return np.where(self.buy - self.sell > self.fee, least, 0.0)

    @property
    def received(self) -> Floats:
        """(n, T) kWh that each member gets from the others: the pool is divided in proportion to demand."""
        return self.demand * _ratio(self.shared, self.demand.sum(axis=0))

    @property
    def given(self) -> Floats:
        """(n, T) kWh that each member gives to the others, in proportion to surplus."""
        return self.surplus * _ratio(self.shared, self.surplus.sum(axis=0))

    @property
    def own(self) -> Floats:
        """(n,) what each member pays whatever the pool does."""
        return np.zeros(len(self.members)) if self.base is None else self.base

    @property
    def cost(self) -> float:
        """What all members pay together: the grid, the fees, and what is each member's own."""
        bought = (self.demand.sum(axis=0) - self.shared) @ self.buy
        sold = (self.surplus.sum(axis=0) - self.shared) @ self.sell
        return float(bought - sold + self.fee * self.shared.sum() + self.own.sum())

    @property
    def alone(self) -> Floats:
        """(n,) what each member pays without the pool."""
        costs: Floats = self.demand @ self.buy - self.surplus @ self.sell + self.own
        return costs


def mid_market_rate(pool: Pool) -> Allocation:
    """Shares by the mid-market rate: the middle of retail and export price inside the pool.

    Example:
        >>> one = np.ones((1, 1))
        >>> pool = Pool(("a", "b"), np.array([[2.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([10.0]), np.array([4.0]))
        >>> mid_market_rate(pool).shares.tolist()  # a: 1 kWh at 7, 1 kWh at 10; b is paid 7
        [17.0, -7.0]
    """
    middle = (pool.buy + pool.sell) / 2
    return _priced("mmr", pool, middle)


def supply_demand_ratio(pool: Pool) -> Allocation:
    """Shares by the supply-demand ratio: the scarcer the surplus, the nearer its price is to retail.

    Raises:
        RequestError: `settle.needs_export_price` when a step with both demand and surplus has no positive export price.
    """
    demand, surplus = pool.demand.sum(axis=0), pool.surplus.sum(axis=0)
    meets = pool.shared > 0.0
    if (meets & (pool.sell <= 0.0)).any():
        raise RequestError("settle.needs_export_price", step=int(np.argmax(meets & (pool.sell <= 0.0))))
    ratio = np.minimum(_ratio(surplus, demand), 1.0)
    below = np.where(meets, (pool.buy - pool.sell) * ratio + pool.sell, 1.0)
    inside = np.where(surplus >= demand, pool.sell, pool.buy * pool.sell / below)
    return _priced("sdr", pool, inside)


def _priced(rule: str, pool: Pool, inside: Floats) -> Allocation:
    """Shares when what is shared is paid at `inside` (T,), the rest at the grid's prices, and receivers pay the fee."""
    received, given = pool.received, pool.given
    shares: Floats = (
        received @ (inside + pool.fee)
        - given @ inside
        + (pool.demand - received) @ pool.buy
        - (pool.surplus - given) @ pool.sell
        + pool.own
    )
    return Allocation(rule, pool.members, shares, Found("rule"))


def pro_rata(members: tuple[str, ...], total: float, weights: Floats, rule: str = "pro_rata") -> Allocation:
    """The total in proportion to `weights`: what each pays alone (`pro_rata`), or its energy (`energy`).

    Raises:
        RequestError: `settle.wrong_length`.

    Example:
        >>> pro_rata(("a", "b"), 90.0, np.array([60.0, 40.0])).shares.tolist()
        [54.0, 36.0]
    """
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (len(members),) or not np.isfinite(weights).all():
        raise RequestError("settle.wrong_length", name="weights", count=weights.size, expected=len(members))
    return Allocation(rule, members, proportional(total, weights), Found("rule"))


def coincident_peak(load: Floats, charge: float, window: int = 1) -> Floats:
    """(n,) a demand charge divided by what each member took in the window in which all together took most.

    Args:
        load: (n, T) kW taken from the grid, net of what a member gives (negative).
        charge: money for the whole peak.
        window: steps over which the meter averages.

    Raises:
        RequestError: `settle.wrong_length` for a window longer than the load.

    Example:
        >>> coincident_peak(np.array([[1.0, 3.0], [5.0, 1.0]]), 600.0).tolist()
        [100.0, 500.0]
    """
    steps = load.shape[-1]
    if not 1 <= window <= steps:
        raise RequestError("settle.wrong_length", name="window", count=window, expected=steps)
    summed = np.cumsum(np.concatenate([np.zeros((len(load), 1)), load], axis=1), axis=1)
    means = (summed[:, window:] - summed[:, :-window]) / window
    peak = int(np.argmax(means.sum(axis=0)))
    whole = float(means[:, peak].sum())
    if whole <= 0.0:
        return np.full(len(load), charge / len(load))
    share: Floats = charge * means[:, peak] / whole
    return share


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, zero where there is nothing below."""
    return np.divide(
        above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0.0
    )
