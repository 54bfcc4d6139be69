# SPDX-License-Identifier: Apache-2.0
"""The amounts of most worth: as one network, or on plain arrays where nothing but supplies and needs meet.

Comes in: a `Case`. Goes out: a `Solution`: amounts by arc and month, worth, a bound that no plan exceeds and the gap to it, what one more
unit of each offer and need would be worth, and who would get what by these prices (Owen 1975).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mangrove.errors import RequestError
from mangrove.network import design as designs
from mangrove.network.exchange import ExchangePlan, Exchanges, exchange_lp
from mangrove.network.exchange import design as exchange_design
from mangrove.network.result import Plan
from mangrove.plan.symbiosis import amounts
from mangrove.plan.symbiosis.build import Built, build
from mangrove.plan.symbiosis.model import MONTHS, Bools, Case, Floats

GAP = 0.01
"""Relative distance from the bound at which a search over links stops; up to 300 links that hang together are searched whole."""
TIME_LIMIT = 10.0
SMALL = 1e-6
"""Share of what is there below which nothing flows, and nothing is built."""
WAYS = ("auto", "arrays", "network")


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What was found.

    Attributes:
        amount: (A, 12) units of the offer.
        worth: VND/yr, less fixed costs of the links that are opened; bound: no plan is worth more; gap: (bound - worth) / worth.
        supply_price, demand_price: (I, 12), (J, 12) VND per unit, what one more unit would be worth.
        by_price: VND/yr of each place when everybody is paid what one more unit is worth; adds up to worth.
        way: `arrays` or `network`; complete: False when the limit of time ended the search.
        sizes: (U,) new capacity of each unit, units a month; empty where no unit is a choice.
    """

    amount: Floats
    worth: float
    bound: float
    gap: float
    supply_price: Floats
    demand_price: Floats
    by_price: dict[str, float]
    way: str
    complete: bool = True
    sizes: Floats = field(default_factory=lambda: np.zeros(0))


def solve(
    case: Case, *, way: str = "auto", gap: float = GAP, time_limit: float | None = TIME_LIMIT
) -> Solution:
    """The plan of most worth.

    Args:
        case: the exchanges.
        way: `arrays` (offers and needs only), `network` (everything), `auto`: arrays where they suffice.
        gap: of the search over links with fixed costs.
        time_limit: seconds of that search.

    Raises:
        RequestError: `exchange.unknown_way`, or `arrays` for a case that needs the network.
        InfeasibleError: least amounts contradict limits.
    """
    if way not in WAYS or (way == "arrays" and not plain(case)):
        raise RequestError("exchange.unknown_way", text=way, options=", ".join(WAYS))
    if not len(case):
        none = np.zeros((len(case.offers), MONTHS)), np.zeros((len(case.needs), MONTHS))
        return Solution(np.zeros((0, MONTHS)), 0.0, 0.0, 0.0, *none, {}, "arrays")
    if way == "arrays" or (way == "auto" and plain(case)):
        return _on_arrays(case, gap, time_limit)
    return _on_network(build(case), gap, time_limit)


def plain(case: Case) -> bool:
    """Whether supplies, needs, limits of arcs and mixes are all there is: months then do not depend on each other."""
    alone = all(len(group.arcs) == 1 for group in case.groups)
    kept = any(amounts.storage(one) for one in (*case.offers, *case.needs))
    return bool(
        alone and not kept and not len(case.units) and not case.least.any() and (case.ratio == 1.0).all()
    )


def problem_of(case: Case) -> Exchanges:
    """A plain case as the arrays of `network.exchange`; each limit on a mix has a column of its own."""
    capacity = case.capacity.copy()
    for group in case.groups:
        capacity[group.arcs[0]] = np.minimum(capacity[group.arcs[0]], group.limit)
    content, limit = _mixes(case)
    return Exchanges(
        supply=case.supply, demand=case.demand, start=case.offer, end=case.need, value=case.worth, capacity=capacity,
        fixed=case.fixed, content=content, limit=limit,
    )  # fmt: skip


def _mixes(case: Case) -> tuple[Floats | None, Floats | None]:
    """Contents (I, Q) and limits (J, Q): a column for each limit, shifted so that nothing is below zero."""
    if not case.blends:
        return None, None
    content = np.zeros((len(case.offers), len(case.blends)))
    limit = np.full((len(case.needs), len(case.blends)), np.inf)
    for q, blend in enumerate(case.blends):
        scale = float(np.abs(blend.excess).max())
        shift = max(-float(blend.excess.min()), 0.0)
        content[case.offer[blend.arcs], q] = (blend.excess + shift) / scale
        limit[blend.need, q] = shift / scale
    return content, limit


def _on_arrays(case: Case, gap: float, time_limit: float | None) -> Solution:
    problem = problem_of(case)
    if (case.fixed > 0).any():
        plan = exchange_design(problem, gap=gap, time_limit=time_limit)
    else:
        plan = exchange_lp(problem)
    return Solution(
        plan.amount, plan.worth, plan.bound, plan.gap, plan.supply_price, plan.demand_price,
        _by_price(case, plan), "arrays", plan.complete,
    )  # fmt: skip


def _by_price(case: Case, plan: ExchangePlan) -> dict[str, float]:
    """Supplies, needs and limits of arcs at their prices; a limit of an arc and its fixed cost by halves to both ends."""
    found: dict[str, float] = {}
    for parties, money in (
        (case.offers, (plan.supply_price * case.supply).sum(axis=1)),
        (case.needs, (plan.demand_price * case.demand).sum(axis=1)),
    ):
        for one, amount in zip(parties, money.tolist(), strict=True):
            found[one.place] = found.get(one.place, 0.0) + amount
    rent = np.where(plan.link_price > 0, plan.link_price * plan.amount, 0.0).sum(axis=1)
    halves = (rent - np.where(plan.opened, case.fixed, 0.0)) / 2
    for arc in np.flatnonzero(halves):
        for place in (case.offers[case.offer[arc]].place, case.needs[case.need[arc]].place):
            found[place] = found.get(place, 0.0) + float(halves[arc])
    return found


def _on_network(built: Built, gap: float, time_limit: float | None) -> Solution:
    """The network; links with fixed costs are chosen first, then the linear program of what is open gives amounts and prices."""
    case, lp = built.case, built.net.program
    bound, complete, spent = np.nan, True, 0.0
    opened = np.zeros(len(case), bool)
    once = np.zeros(len(case.units))
    openings = built.openings()
    if len(openings.cost):
        found = designs.design(lp, openings, gap=gap, time_limit=time_limit)
        bound, complete = -found.bound, found.complete
        lp.upper[openings.columns[found.shut]] = 0.0
        opened, once = _opened(built, openings, found)
        spent = float(case.fixed[opened].sum() + once.sum())
    plan = built.net.solve()
    amount = np.maximum(read_amounts(built, plan), 0.0)
    worth = -plan.cost - spent
    bound = worth if np.isnan(bound) else max(bound, worth)
    shares = {place: -money for place, money in plan.shares().items() if place}
    for unit, money in zip(case.units, once.tolist(), strict=True):
        shares[unit.place] = shares.get(unit.place, 0.0) - money
    for arc in np.flatnonzero(opened):
        places = case.places(int(arc))
        for place in places:
            shares[place] = shares.get(place, 0.0) - float(case.fixed[arc]) / len(places)
    return Solution(
        amount, worth, bound, designs.gap_of(-worth, -bound),
        np.maximum(plan.price(built.offers)[:, 0], 0.0), np.maximum(-plan.price(built.needs)[:, 0], 0.0), shares,
        "network", complete, _sizes(built, plan, once),
    )  # fmt: skip


def _opened(built: Built, openings: designs.Openings, found: designs.Design) -> tuple[Bools, Floats]:
    """(A,) the links that carry anything, and (U,) VND/yr for having units that are built."""
    case = built.case
    links = np.flatnonzero(case.fixed > 0)
    opened = np.zeros(len(case), bool)
    opened[links] = found.opened[: len(links)]
    made = openings.columns[np.isin(openings.item, len(links) + np.flatnonzero(found.opened[len(links) :]))]
    return opened, np.where(np.isin(built.sizes, made), [one.fixed for one in case.units], 0.0)


def _sizes(built: Built, plan: Plan, once: Floats) -> Floats:
    """(U,) what is built of each unit; where more of it costs nothing, all that may be when anything is."""
    sizes = np.zeros(len(built.sizes))
    for u, unit in enumerate(built.case.units):
        if unit.most is None:
            continue
        size = float(plan.size(built.net.handles[f"size {unit.id}"])[0]) - unit.capacity  # type: ignore[arg-type]
        used = size > SMALL * max(unit.most, 1.0)
        sizes[u] = (size if unit.price > 0 else unit.most - unit.capacity) if used or once[u] else 0.0
    return sizes


def read_amounts(built: Built, plan: Plan) -> Floats:
    """(A, 12) amounts of the arcs, from the streams that they lie in."""
    found = np.zeros(built.columns.shape)
    for name in ("exchange", "treated", "given"):
        stream = built.net.handles.get(name)
        if stream is not None:
            rates = plan.rate(stream)[:, 0]  # type: ignore[arg-type]
            at = np.isin(built.columns[:, 0], stream.columns[:, 0, 0])  # type: ignore[union-attr]
            found[at] = rates
    return found
