# SPDX-License-Identifier: Apache-2.0
"""The price of each exchange that gives every company its share, and what a missing tonne has to cost its partner's side.

Comes in: of each exchange who gives, who takes, who owns the unit between them, what each of them gains or spends before any payment, and
the amount; shares of the members. Goes out: `Prices`: what the taker pays per unit, between what the giver must have and what the taker
can give; the fee of the unit; what no price of an exchange can settle; take-or-pay by exchange.

    of exchange e with worth w_e the giver keeps z_e, the owner o_e, the taker the rest, each between 0 and w_e
    first   minimize  sum_e |b_e| + 3 sum_k |s_k| + 10 sum_i |r_i|   with  what i keeps of its exchanges + b + s + r_i = x_i
    then    minimize  sum_e (z_e - w_e / 2)^2                        with these b, s and r
    price_e = (z_e - what the giver gains without payment) / amount

b_e is paid besides the price from taker to giver (below zero: back), where one exchange enables another: clean paper that lets a mill
take dirty paper, too, is worth more than the paper that it replaces. s_k is paid by a company to one with which it could exchange and does
not: under the Shapley value who stands by gets something. r_i is what none of this can settle.
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
    """Prices of all deals in their order.

    Attributes:
        deals: the prices.
        aside: VND/yr that members get (or pay) besides, because no price settles it.
        standby: VND/yr that one company pays to another with which it could exchange and does not, by (payer, payee).
    """

    deals: tuple[Price, ...]
    aside: dict[str, float]
    standby: dict[tuple[str, str], float]


def prices(
    deals: Sequence[Deal], shares: Mapping[str, float], idle: Sequence[tuple[str, str]] = ()
) -> Prices:
    """Prices by which every member keeps its share.

    Args:
        deals: the exchanges of the plan, each with a positive amount.
        shares: VND/yr by member; they add up to the worth of the deals.
        idle: pairs of members that could exchange and do not.

    Example:
        >>> deal = Deal("mill", "works", 10.0, giver_gain=40.0, taker_gain=60.0, loss=100.0)
        >>> made = prices([deal], {"mill": 50.0, "works": 50.0})
        >>> round(made.deals[0].price, 6), made.deals[0].low, made.deals[0].high, made.aside
        (1.0, -4.0, 6.0, {})
    """
    split = _Split(deals, shares, idle)
    beside, standby, aside = split.payments()
    kept = split.evenly(beside, standby, aside)
    rows = [_price(deal, *one, float(paid)) for deal, one, paid in zip(deals, kept, beside, strict=True)]
    paid = {
        (payer, payee) if money > 0 else (payee, payer): abs(float(money))
        for (payer, payee), money in zip(split.idle, standby, strict=True)
        if money
    }
    left = {name: float(aside[row]) for name, row in split.names.items() if aside[row]}
    return Prices(tuple(rows), left, paid)


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

    def __init__(
        self, deals: Sequence[Deal], shares: Mapping[str, float], idle: Sequence[tuple[str, str]]
    ) -> None:
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
        self.idle = [pair for pair in idle if pair[0] in self.names and pair[1] in self.names]
        self.between = np.zeros((len(self.names), len(self.idle)))
        for k, (payer, payee) in enumerate(self.idle):
            self.between[self.names[payer], k] -= 1.0
            self.between[self.names[payee], k] += 1.0
        self.size = np.array([worths[e] / self.scale for e, _ in self.columns])

    def payments(self) -> tuple[Floats, Floats, Floats]:
        """(E,) paid besides, (K,) paid for standing by, (n,) what stays open, VND/yr: as little as possible, the last the least."""
        from scipy.optimize import linprog

        deals, members, width = len(self.deals), len(self.names), len(self.columns)
        if not deals:
            return np.zeros(0), np.zeros(len(self.idle)), self.right * self.scale
        ways = np.hstack([self.balance[:, :deals], self.between, np.eye(members)])
        price = np.concatenate([np.ones(deals), np.full(len(self.idle), 3.0), np.full(members, 10.0)])
        rows = np.hstack([self.balance, ways, -ways])
        limits = [(min(one, 0.0), max(one, 0.0)) for one in self.size] + [(0.0, None)] * (2 * len(price))
        cost = np.concatenate([np.zeros(width), price, price])
        found = linprog(cost, A_eq=rows, b_eq=self.right, bounds=limits, method="highs").x[width:]
        net = found[: len(price)] - found[len(price) :]
        net = np.where(np.abs(net) > _SMALL, net, 0.0) * self.scale
        return net[:deals], net[deals:-members], net[-members:]

    def evenly(self, beside: Floats, standby: Floats, aside: Floats) -> list[tuple[float, float]]:
        """(giver, owner) of each deal in VND/yr, as even as the shares allow: bounded least squares."""
        from scipy.optimize import lsq_linear

        if not self.deals:
            return []
        deals = len(self.deals)
        paid = self.balance[:, :deals] @ beside + self.between @ standby + aside
        right = self.right - paid / self.scale
        parties = np.array([3.0 if self.deals[e].owner else 2.0 for e, _ in self.columns])
        matrix = np.vstack([_FIRST * self.balance, np.eye(len(self.columns))])
        goal = np.concatenate([_FIRST * right, self.size / parties])
        # a width of 1e-12 keeps the bounds of a deal without worth apart
        bounds = np.minimum(self.size, 0.0) - 1e-12, np.maximum(self.size, 0.0) + 1e-12
        found: Floats = lsq_linear(matrix, goal, bounds, method="bvls", max_iter=2000).x * self.scale
        owner = {e: float(found[deals + k]) for k, e in enumerate(self.owned)}
        return [(float(found[e]), owner.get(e, 0.0)) for e in range(deals)]
