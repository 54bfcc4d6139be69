# SPDX-License-Identifier: Apache-2.0
"""Price rules for a pool, the ones that energy communities use: mid-market rate, supply-demand ratio, pro-rata.

Comes in: a `Pool`: what every member needs from and gives to the others in every step. Goes out: what every member pays, whose
sum is exactly what the pool pays the grid. Rules differ only in the price inside the pool; none of them looks at
coalitions, so none of them promises that nobody objects.

With D the demand and G the surplus of a step, p the retail and e the export price, m = (p + e)/2:

    mid-market rate (Long et al. 2017, "Peer-to-peer energy trading in a community microgrid", IEEE PES General Meeting)
        G >= D:  buy m,                    sell (m D + e (G - D)) / G
        G <  D:  buy (m G + p (D - G)) / D,  sell m
    supply-demand ratio R = G / D (Liu et al. 2017, "Energy-sharing model with price-based demand response for microgrids of
    peer-to-peer prosumers", IEEE Transactions on Power Systems 32(5))
        R <= 1:  sell p e / ((p - e) R + e),  buy sell R + p (1 - R)
        R >  1:  buy e, sell e

The second rule needs e > 0. Where the fee is more than p - e nobody shares. Where members have different retail prices,
each receiver's price follows from its own p, and givers divide what receivers pay in proportion to what they give; with one
p for all these are the formulas above.
"""

from __future__ import annotations

import numpy as np

from mangrove.errors import RequestError
from mangrove.settle.core import proportional
from mangrove.settle.game import Allocation, Floats, Found
from mangrove.settle.pool import Pool, block_means, ratio


def mid_market_rate(pool: Pool) -> Allocation:
    """Shares by the mid-market rate: the middle of retail and export price inside the pool.

    Example:
        >>> pool = Pool(("a", "b"), np.array([[2.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([10.0]), np.array([4.0]))
        >>> mid_market_rate(pool).shares.tolist()  # a: 1 kWh at 7, 1 kWh at 10; b is paid 7
        [17.0, -7.0]
    """
    return _priced("mmr", pool, (pool.prices + pool.sell) / 2)


def supply_demand_ratio(pool: Pool) -> Allocation:
    """Shares by the supply-demand ratio: the scarcer the surplus, the nearer its price is to retail.

    Raises:
        RequestError: `settle.needs_export_price` when a step in which members share has no positive export price.
    """
    shared = pool.shared > 0.0
    if (shared & (pool.sell <= 0.0)).any():
        raise RequestError("settle.needs_export_price", step=int(np.argmax(shared & (pool.sell <= 0.0))))
    demand, surplus = pool.demand.sum(axis=0), pool.surplus.sum(axis=0)
    part = np.minimum(ratio(surplus, demand), 1.0)
    below = np.where(shared, (pool.prices - pool.sell) * part + pool.sell, 1.0)
    return _priced("sdr", pool, np.where(surplus >= demand, pool.sell, pool.prices * pool.sell / below))


def _priced(rule: str, pool: Pool, inside: Floats) -> Allocation:
    """Shares when receivers pay `inside` (n, T) and the fee, givers divide that, and the rest goes at the grid's prices."""
    received, given = pool.received, pool.given
    paid = (received * inside).sum(axis=0)
    shares: Floats = (
        (received * (inside + pool.fee)).sum(axis=1)
        - given @ ratio(paid, given.sum(axis=0))
        + ((pool.demand - received) * pool.prices).sum(axis=1)
        - (pool.surplus - given) @ pool.sell
        + pool.own
    )
    return Allocation(rule, pool.members, shares, Found("rule"), price=inside)


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
        load: (n, T) kW taken from the grid.
        charge: money for the whole peak.
        window: steps that the meter averages, from the first on.

    Raises:
        RequestError: `settle.wrong_length` for a window longer than the load.

    Example:
        >>> coincident_peak(np.array([[1.0, 3.0], [5.0, 1.0]]), 600.0).tolist()
        [100.0, 500.0]
    """
    means = block_means(load, window)
    together = means.sum(axis=0)
    peak = int(np.argmax(together))
    if together[peak] <= 0.0:
        return np.full(len(load), charge / len(load))
    share: Floats = charge * means[:, peak] / together[peak]
    return share
