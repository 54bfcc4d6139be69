# SPDX-License-Identifier: Apache-2.0
"""The price of each exchange that gives every company its share, and what a missing tonne has to cost its partner's side.

Comes in: of each exchange who gives, who takes, who owns the unit between them, what each of them gains or spends before any payment, and
the amount; shares of the members. Goes out: `Prices`: what the taker pays per unit, between what the giver must have and what the taker
can give; the fee of the unit; what no price of an exchange can settle; take-or-pay by exchange.

    of exchange e with worth w_e the giver keeps z_e, the owner o_e, the taker the rest, each between 0 and w_e
    minimize  sum_i (x_i - what i keeps of its exchanges)^2, then  sum_e (z_e - w_e / 2)^2
    price_e = (z_e - what the giver gains without payment) / amount
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.settle.game import Floats

_FIRST = 1e4
"""Weight of the shares against even splits: what is left of a share by it is 1e-8 of the worth, less than a dong."""
_SMALL = 1e-6


@dataclass(frozen=True, slots=True)
class Deal:
    """One exchange before any payment.

    Attributes:
        giver, taker, owner: names of members; owner is empty where no unit is between them.
        amount: units a year.
        giver_gain, taker_gain, owner_gain: VND/yr before any payment (below zero: spent).
        loss: VND/yr that are lost when it stops and everybody makes the best of the rest.
    """

    giver: str
    taker: str
    amount: float
    giver_gain: float
    taker_gain: float
    owner: str = ""
    owner_gain: float = 0.0
    loss: float = 0.0

    @property
    def worth(self) -> float:
        """VND/yr of all three together."""
        return self.giver_gain + self.taker_gain + self.owner_gain


@dataclass(frozen=True, slots=True)
class Price:
    """What is paid for one exchange.

    Attributes:
        low, high: VND per unit, the least that the giver must have and the most that the taker can give (with the fee).
        price: VND per unit that the taker pays to the giver; below zero: the giver pays.
        fee: VND per unit that the taker pays to the owner of the unit.
        giver, taker, owner: VND/yr that each of them keeps.
        if_taker_stops, if_giver_stops: VND per unit that is missing, which makes the other side whole (take or pay, deliver or pay).
    """

    low: float
    high: float
    price: float
    fee: float
    giver: float
    taker: float
    owner: float
    if_taker_stops: float
    if_giver_stops: float


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of all deals in their order, and `aside`: VND/yr that members get (or pay) besides, because no price settles it."""

    deals: tuple[Price, ...]
    aside: dict[str, float]


def prices(deals: Sequence[Deal], shares: dict[str, float]) -> Prices:
    """Prices by which every member keeps its share.

    Args:
        deals: the exchanges of the plan, each with a positive amount.
        shares: VND/yr by member; they add up to the worth of the deals.

    Example:
        >>> deal = Deal("mill", "works", 10.0, giver_gain=40.0, taker_gain=60.0, loss=100.0)
        >>> made = prices([deal], {"mill": 50.0, "works": 50.0})
        >>> round(made.deals[0].price, 6), made.deals[0].low, made.deals[0].high, made.aside
        (1.0, -4.0, 6.0, {})
    """
    kept = _kept(deals, shares)
    rows, held = [], dict.fromkeys(shares, 0.0)
    for deal, (giver, owner) in zip(deals, kept, strict=True):
        taker = deal.worth - giver - owner
        for name, money in ((deal.giver, giver), (deal.taker, taker), (deal.owner, owner)):
            if name:
                held[name] = held.get(name, 0.0) + money
        rows.append(_price(deal, giver, taker, owner))
    size = max(sum(abs(deal.worth) for deal in deals), 1.0)
    rest = {name: shares.get(name, 0.0) - money for name, money in held.items()}
    return Prices(tuple(rows), {name: money for name, money in rest.items() if abs(money) > _SMALL * size})


def _price(deal: Deal, giver: float, taker: float, owner: float) -> Price:
    """Prices of one deal from what each side keeps; a partner loses its part of what cannot be replaced."""
    lost = min(max(deal.loss / deal.worth, 0.0), 1.0) if deal.worth > 0 else 0.0
    return Price(
        -deal.giver_gain / deal.amount, (deal.taker_gain + deal.owner_gain) / deal.amount,
        (giver - deal.giver_gain) / deal.amount, (owner - deal.owner_gain) / deal.amount if deal.owner else 0.0,
        giver, taker, owner,
        max(giver + owner, 0.0) * lost / deal.amount, max(taker + owner, 0.0) * lost / deal.amount,
    )  # fmt: skip


def _kept(deals: Sequence[Deal], shares: dict[str, float]) -> list[tuple[float, float]]:
    """(giver, owner) of each deal in VND/yr: bounded least squares, shares first, even splits second."""
    from scipy.optimize import lsq_linear

    if not deals:
        return []
    names = {
        name: row
        for row, name in enumerate(
            dict.fromkeys([*shares, *(n for d in deals for n in (d.giver, d.taker, d.owner) if n)])
        )
    }
    worths = np.array([deal.worth for deal in deals])
    scale = max(float(np.abs(worths).max()), 1e-300)
    owned = [e for e, deal in enumerate(deals) if deal.owner]
    columns = [*((e, "giver") for e in range(len(deals))), *((e, "owner") for e in owned)]
    balance = np.zeros((len(names), len(columns)))
    right = np.array([shares.get(name, 0.0) for name in names]) / scale
    for deal, worth in zip(deals, worths / scale, strict=True):
        right[names[deal.taker]] -= worth  # the taker keeps all that the others do not
    for c, (e, role) in enumerate(columns):
        balance[names[getattr(deals[e], role)], c] += 1.0
        balance[names[deals[e].taker], c] -= 1.0
    parties = np.array([3.0 if deal.owner else 2.0 for deal in deals])
    size = np.array([worths[e] / scale for e, _ in columns])
    even = size / parties[[e for e, _ in columns]]
    low, high = np.minimum(size, 0.0), np.maximum(size, 0.0)
    matrix = np.vstack([_FIRST * balance, np.eye(len(columns))])
    goal = np.concatenate([_FIRST * right, even])
    # a width of 1e-12 keeps the bounds of a deal without worth apart
    found: Floats = (
        lsq_linear(matrix, goal, (low - 1e-12, high + 1e-12), method="bvls", max_iter=2000).x * scale
    )
    owner = {e: float(found[len(deals) + k]) for k, e in enumerate(owned)}
    return [(float(found[e]), owner.get(e, 0.0)) for e in range(len(deals))]
