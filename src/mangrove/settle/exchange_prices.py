# SPDX-License-Identifier: Apache-2.0
"""The price of each exchange that gives every company its share, and what a missing tonne has to cost its partner's side.

Comes in: of each exchange who gives, who takes, who owns the unit between them, what each of them gains or spends before any payment, and
the amount; shares of the members. Goes out: `Prices`: what the taker pays per unit, between what the giver must have and what the taker
can give; the fee of the unit; what no price of an exchange can settle; take-or-pay by exchange.

    of exchange e with worth w_e the giver keeps z_e, the owner o_e, the taker the rest, each between 0 and w_e
    first   minimize  sum_e |b_e| + 10 sum_i |r_i|   with  what i keeps of its exchanges + b + r_i = x_i
    then    minimize  sum_e (z_e - w_e / 2)^2        with these b and r
    price_e = (z_e - what the giver gains without payment) / amount

b_e is paid besides the price from taker to giver (below zero: back), where one exchange enables another: clean paper that lets a mill
take dirty paper, too, is worth more than the paper that it replaces. r_i is what no exchange of i can settle: under the Shapley value
a company gets something for standing by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        beside: VND/yr that the taker pays besides the price (below zero: the giver), because the exchange enables others.
        if_taker_stops, if_giver_stops: VND per unit that is missing, which makes the other side whole (take or pay, deliver or pay).
    """

    low: float
    high: float
    price: float
    fee: float
    giver: float
    taker: float
    owner: float
    beside: float
    if_taker_stops: float
    if_giver_stops: float


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of all deals in their order, and `aside`: VND/yr that members get (or pay) besides, because no price settles it."""

    deals: tuple[Price, ...]
    aside: dict[str, float]


def prices(deals: Sequence[Deal], shares: Mapping[str, float]) -> Prices:
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
    split = _Split(deals, shares)
    beside, aside = split.payments()
    kept = split.evenly(beside, aside)
    rows = [_price(deal, *one, float(paid)) for deal, one, paid in zip(deals, kept, beside, strict=True)]
    return Prices(tuple(rows), {name: float(aside[row]) for name, row in split.names.items() if aside[row]})


def _price(deal: Deal, giver: float, owner: float, beside: float) -> Price:
    """Prices of one deal from what each side keeps.

    Take or pay: when the deal stops and everybody makes the best of the rest, the part min(loss / worth, 1) of it cannot be replaced, and
    a partner loses that part of what it keeps. What is lost beyond the worth of the deal, because it made others possible, is lost on the
    taker's side: so it stands in what the giver has to deliver or pay.
    """
    more = max(deal.loss - deal.worth, 0.0)
    lost = min(max(deal.loss / deal.worth, 0.0), 1.0) if deal.worth > 0 else 0.0
    small = _SMALL * abs(deal.worth)  # what the solver leaves of nothing
    giver, owner, taker = (0.0 if abs(x) < small else x for x in (giver, owner, deal.worth - giver - owner))
    return Price(
        -deal.giver_gain / deal.amount, (deal.taker_gain + deal.owner_gain) / deal.amount,
        (giver - deal.giver_gain) / deal.amount, (owner - deal.owner_gain) / deal.amount if deal.owner else 0.0,
        giver, taker, owner, beside,
        max((giver + beside + owner) * lost, 0.0) / deal.amount, max((taker - beside + owner) * lost + more, 0.0) / deal.amount,
    )  # fmt: skip


class _Split:
    """The linear system: columns are what giver (all deals) and owner (deals with a unit) keep, rows are members; money over `scale`."""

    def __init__(self, deals: Sequence[Deal], shares: Mapping[str, float]) -> None:
        self.deals = deals
        ends = [name for deal in deals for name in (deal.giver, deal.taker, deal.owner) if name]
        self.names = {name: row for row, name in enumerate(dict.fromkeys([*shares, *ends]))}
        worths = np.array([deal.worth for deal in deals])
        self.scale = max(float(np.abs(worths).max(initial=0.0)), 1e-300)
        self.owned = [e for e, deal in enumerate(deals) if deal.owner]
        self.columns = [*((e, "giver") for e in range(len(deals))), *((e, "owner") for e in self.owned)]
        self.balance = np.zeros((len(self.names), len(self.columns)))
        self.right = np.array([shares.get(name, 0.0) for name in self.names]) / self.scale
        for deal, worth in zip(deals, worths / self.scale, strict=True):
            self.right[self.names[deal.taker]] -= worth  # the taker keeps all that the others do not
        for c, (e, role) in enumerate(self.columns):
            self.balance[self.names[getattr(deals[e], role)], c] += 1.0
            self.balance[self.names[deals[e].taker], c] -= 1.0
        self.size = np.array([worths[e] / self.scale for e, _ in self.columns])

    def payments(self) -> tuple[Floats, Floats]:
        """(E,) what is paid besides and (n,) what stays open, VND/yr: as little as possible, the first before the second."""
        from scipy.optimize import linprog

        deals, members, width = len(self.deals), len(self.names), len(self.columns)
        if not deals:
            return np.zeros(0), self.right * self.scale
        between, open_ = self.balance[:, :deals], np.eye(members)
        rows = np.hstack([self.balance, between, -between, open_, -open_])
        cost = np.concatenate([np.zeros(width), np.ones(2 * deals), np.full(2 * members, 10.0)])
        limits = [(min(one, 0.0), max(one, 0.0)) for one in self.size] + [(0.0, None)] * (
            2 * (deals + members)
        )
        found = linprog(cost, A_eq=rows, b_eq=self.right, bounds=limits, method="highs").x[width:]
        beside, aside = (
            found[:deals] - found[deals : 2 * deals],
            found[2 * deals : -members] - found[-members:],
        )
        small = [np.where(np.abs(one) > _SMALL, one, 0.0) * self.scale for one in (beside, aside)]
        return small[0], small[1]

    def evenly(self, beside: Floats, aside: Floats) -> list[tuple[float, float]]:
        """(giver, owner) of each deal in VND/yr, as even as the shares allow: bounded least squares."""
        from scipy.optimize import lsq_linear

        if not self.deals:
            return []
        deals = len(self.deals)
        right = self.right - self.balance[:, :deals] @ beside / self.scale - aside / self.scale
        parties = np.array([3.0 if self.deals[e].owner else 2.0 for e, _ in self.columns])
        matrix = np.vstack([_FIRST * self.balance, np.eye(len(self.columns))])
        goal = np.concatenate([_FIRST * right, self.size / parties])
        # a width of 1e-12 keeps the bounds of a deal without worth apart
        bounds = np.minimum(self.size, 0.0) - 1e-12, np.maximum(self.size, 0.0) + 1e-12
        found: Floats = lsq_linear(matrix, goal, bounds, method="bvls", max_iter=2000).x * self.scale
        owner = {e: float(found[deals + k]) for k, e in enumerate(self.owned)}
        return [(float(found[e]), owner.get(e, 0.0)) for e in range(deals)]
