# SPDX-License-Identifier: Apache-2.0
"""Who gives what to whom: the exchange program on plain arrays, for ten thousand offers and wants at once.

Comes in: what each supplier has and each consumer can take in every step (a month), the links between them that somebody found
possible, what a unit over each is worth, and the conditions: quality, lots, one-source shares, treatment, stores. Goes out: the
amounts of most worth, which links to open, what one more unit of each supply and demand would be worth, and what the loss of a
partner costs. The rows are those of `Network` (`constraints`), put together without handles; tests hold the two together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network import design as designs
from mangrove.network.exchange_problem import Data, Exchanges, Units, checked, index
from mangrove.network.parts import Pieces
from mangrove.network.program import Program

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
__all__ = [
    "ExchangePlan",
    "Exchanges",
    "Units",
    "design",
    "exchange_lp",
    "treatment_cost",
    "without",
    "worth",
]


@dataclass(frozen=True, slots=True, eq=False)
class ExchangePlan:
    """What to exchange.

    Attributes:
        amount: (A, T). worth: money, less all fixed costs of what is opened.
        supply_price, demand_price: (I, T) and (J, T) what one more unit of a supply or demand would be worth; NaN never.
            Without capacities, stores and units the sum of price x quantity is the worth, and no group of members could get
            more on its own (Owen, Mathematical Programming 9 (1975) 358).
        link_price: (A, T) what one more unit of capacity of a link would be worth.
        opened: (A,) bool, the links that carry something. built: (U,) bool. treated: (U, T) what goes into each unit, size: (U,) the most of it in a step.
        supply_stored, demand_stored: (I, T) and (J, T) what waits at the end of each step.
        bound: no plan is worth more. gap: (bound - worth) / bound, never negative; 0 for a linear program.
        designed: whether fixed costs and lots count (`design`). complete: False when the limit of time ended a search.
        seconds: of CPU.
    """

    amount: Floats
    worth: float
    supply_price: Floats
    demand_price: Floats
    link_price: Floats
    opened: Bools
    built: Bools
    treated: Floats
    size: Floats
    supply_stored: Floats
    demand_stored: Floats
    bound: float
    gap: float
    designed: bool
    complete: bool
    seconds: float


def exchange_lp(problem: Exchanges) -> ExchangePlan:
    """The amounts of most worth over all links; fixed costs and lots are left out (see `design`).

    Raises:
        RequestError: a number is missing, negative or infinite, an index points nowhere, shapes differ; the error says where.
    """
    began = time.process_time()
    built = _Built(checked(problem))
    pieces = Pieces(built.lp)
    pieces.solve()
    worth = -float(built.lp.cost @ pieces.x)
    return built.plan(pieces, worth, worth, designed=False, complete=True, began=began)


def design(problem: Exchanges, *, gap: float = 0.05, time_limit: float | None = 10.0) -> ExchangePlan:
    """Which links and units to open, with their fixed costs and lots: slope scaling, then a search (see `network.design`).

    Args:
        problem: the exchanges.
        gap: relative distance from the bound at which the search stops. Small components are always searched whole.
        time_limit: seconds for the searches, after slope scaling; None for none.

    Raises:
        RequestError: as `exchange_lp`.
    """
    for what, value in (("time_limit", 0.0 if time_limit is None else time_limit), ("gap", gap)):
        if not value >= 0:  # NaN too
            raise RequestError("network.bad_limit", what=what, value=value)
    began = time.process_time()
    built = _Built(checked(problem))
    openings = built.openings()
    found = designs.design(built.lp, openings, gap=gap, time_limit=time_limit)
    found.write(built.lp, openings)
    pieces = Pieces(built.lp)
    pieces.solve()
    cost = float(built.lp.cost @ pieces.x + openings.cost[openings.used(pieces.x)].sum())
    return built.plan(
        pieces, -cost, max(-found.bound, -cost), designed=True, complete=found.complete, began=began
    )


def without(
    problem: Exchanges,
    plan: ExchangePlan,
    *,
    suppliers: Any = None,
    demands: Any = None,
    members: Sequence[tuple[Any, Any]] | None = None,
) -> Floats:
    """What the loss of each partner costs when the rest then do the best they can over the links of the plan (N-1).

    Who exchanges nothing is not missed: the plan without him is the same plan. The others are taken out one at a time, and only
    the part of the program that they are in is solved again, from where it is. Fixed costs are spent; lots do not count.

    Args:
        problem: the exchanges.
        plan: what `exchange_lp` or `design` gave: links that it does not open stay shut after a `design`, open after an LP.
        suppliers: numbers of supplies to take out, one after the other.
        demands: numbers of demands, likewise.
        members: (supplies, demands) of each member; all of them go at once.

    Returns:
        (K,) money over all steps, one for each given partner.

    Raises:
        RequestError: as `exchange_lp`; a partner does not exist, or the plan is one of another problem.
    """
    data = checked(problem)
    if plan.amount.shape != data.value.shape or len(plan.built) != len(data.recovery):
        got, wanted = (" x ".join(map(str, shape)) for shape in (plan.amount.shape, data.value.shape))
        raise RequestError("network.bad_shape", name="exchanges", what="plan", got=got, wanted=wanted)
    groups: list[tuple[Ints, Ints]] = []
    none = np.zeros(0, np.int64)
    if suppliers is not None:
        groups += [(np.array([i]), none) for i in index("suppliers", suppliers, len(data.supply))]
    if demands is not None:
        groups += [(none, np.array([j])) for j in index("demands", demands, len(data.demand))]
    for gives, takes in members or ():
        groups.append((index("members", gives, len(data.supply)), index("members", takes, len(data.demand))))
    built = _Built(data)
    if plan.designed:
        built.lp.upper[built.x[~plan.opened]] = 0.0
        built.lp.upper[built.z[~plan.built]] = 0.0
    return _Without(built).losses(groups)


def worth(
    avoided_purchase: Any = 0.0,
    avoided_disposal: Any = 0.0,
    *,
    transport_cost_per_tkm: Any = 0.0,
    distance: Any = 0.0,
    carbon_price: Any = 0.0,
    delta_co2: Any = 0.0,
) -> Any:
    """Money per t over a link: purchase + disposal avoided - transport cost x distance - carbon price x change of CO2e.

    Args:
        avoided_purchase: money per t that the taker need not buy.
        avoided_disposal: money per t that the giver need not pay.
        transport_cost_per_tkm: money per t and km.
        distance: km.
        carbon_price: money per kg CO2e.
        delta_co2: kg CO2e per t that the exchange adds (its trucks, its treatment), less what
            it avoids; negative when it saves.

    Example:
        >>> worth(20.0, 12.0, transport_cost_per_tkm=0.1, distance=50.0, carbon_price=0.02, delta_co2=-300.0).item()
        33.0
    """
    return (
        np.asarray(avoided_purchase)
        + np.asarray(avoided_disposal)
        - np.asarray(transport_cost_per_tkm) * np.asarray(distance)
        - np.asarray(carbon_price) * np.asarray(delta_co2)
    )[()]


def treatment_cost(
    cost: Any, kwh: Any = 0.0, *, price: Any = 0.0, carbon_price: Any = 0.0, kg_per_kwh: Any = 0.0
) -> Any:
    """Money per unit that a treatment unit takes in: other cost + kWh x (price + carbon price x kg CO2e per kWh).

    Example:
        >>> treatment_cost(1.0, 2.0, price=0.5, carbon_price=0.1, kg_per_kwh=0.5).item()
        2.1
    """
    energy = np.asarray(price) + np.asarray(carbon_price) * np.asarray(kg_per_kwh)
    return (np.asarray(cost) + np.asarray(kwh) * energy)[()]


# --- rows --------------------------------------------------------------------------------------------------------------


class _Built:
    """The program of a problem.

    Attributes:
        x: (A, T) columns. z: (U, T) what goes into units; size: (U,) its most in any step, -1 where that costs nothing. give, take: (I, T) and (J, T) rows.
        supply_level, demand_level: (I, T) and (J, T) columns of what waits, -1 without a store.
    """

    def __init__(self, data: Data) -> None:
        self.data, self.lp = data, Program()
        lp = self.lp
        self.x = lp.columns("link", data.value.shape, cost=-data.value, upper=data.capacity)
        self.z = lp.columns("unit", data.unit_cost.shape, cost=data.unit_cost, upper=data.unit_capacity)
        self.give = lp.rows("supply", data.supply.shape, upper=data.supply)
        self.take = lp.rows("demand", data.demand.shape, upper=data.demand)
        inlet = lp.rows("unit in", self.z.shape, lower=0.0, upper=0.0)
        outlet = lp.rows("unit out", self.z.shape, upper=0.0)
        lp.terms(np.concatenate([self.give, outlet])[data.start], self.x, 1.0)
        lp.terms(np.concatenate([self.take, inlet])[data.end], self.x, 1.0)
        lp.terms(inlet, self.z, -1.0)
        lp.terms(outlet, self.z, -data.recovery[:, None])
        self._conditions()
        self._sizes()
        self.supply_level = self._store("supply store", self.give, data.supply_store, 1.0)
        self.demand_level = self._store("demand store", self.take, data.demand_store, -1.0)

    def _conditions(self) -> None:
        """Quality at demands and units, and the largest share of one supplier at each demand."""
        data, steps, takes = self.data, self.x.shape[1], len(self.take)
        gain, columns = np.ones((1, 1, 1)), self.x[:, None, :]
        if data.limit.size:
            part = constraints.Arriving(columns, data.end, gain, data.content[data.start], data.start)
            owners = ("",) * len(data.limit)
            constraints.blend(
                self.lp, "quality", (part,), limit=data.limit, sign=data.sign, shape=(1, steps), owners=owners
            )
        if data.most_share is not None and data.most_share < 1:
            to = np.flatnonzero(data.end < takes)
            part = constraints.Arriving(
                columns[to], data.end[to], gain, np.zeros((len(to), 0)), data.start[to]
            )
            share, owners = np.full(takes, data.most_share), ("",) * takes
            constraints.most_share(self.lp, "share", (part,), share=share, shape=(1, steps), owners=owners)

    def _sizes(self) -> None:
        """z_ut - k_u <= 0: what goes into a unit stays within a size that is paid for."""
        data, lp = self.data, self.lp
        sized = np.flatnonzero(data.unit_size_cost > 0)
        self.size = np.full(len(data.unit_size_cost), -1)
        if not len(sized):
            return
        self.size[sized] = lp.columns("unit size", (len(sized),), cost=data.unit_size_cost[sized])
        rows = lp.rows("unit size", self.z[sized].shape, upper=0.0)
        lp.terms(rows, self.z[sized], 1.0)
        lp.terms(rows, self.size[sized][:, None], -1.0)

    def _store(self, name: str, rows: Ints, capacity: Floats, sign: float) -> Ints:
        """out_t + e_t - e_{t-1} <= S_t at a supply, in_t - e_t + e_{t-1} <= D_t at a demand; e_0 = e_T. (n, T), -1: none."""
        level = np.full(rows.shape, -1)
        held = np.flatnonzero(capacity > 0)
        if not len(held) or rows.shape[1] == 1:
            return level
        lp = self.lp
        shape = (len(held), rows.shape[1])
        columns = lp.columns(name, shape, upper=capacity[held, None], cost=self.data.store_cost)
        lp.terms(rows[held], columns, sign)
        lp.terms(np.roll(rows[held], -1, axis=1), columns, -sign)
        level[held] = columns
        return level

    def openings(self) -> designs.Openings:
        """Links and units that cost once, and columns with lots."""
        data = self.data
        link = np.flatnonzero((data.fixed > 0) | (data.lot > 0))
        unit = np.flatnonzero(data.unit_fixed > 0)
        steps = self.x.shape[1]
        return designs.Openings(
            columns=np.concatenate([self.x[link].ravel(), self.z[unit].ravel()]),
            item=np.repeat(np.arange(len(link) + len(unit)), steps),
            most=np.concatenate([data.most[link].ravel(), data.unit_most[unit].ravel()]),
            cost=np.concatenate([data.fixed[link], data.unit_fixed[unit]]),
            least=np.concatenate([np.repeat(data.lot[link], steps), np.zeros(len(unit) * steps)]),
        )

    def plan(
        self, pieces: Pieces, worth: float, bound: float, *, designed: bool, complete: bool, began: float
    ) -> ExchangePlan:
        """What the solver found, as a plan."""
        x, rows = pieces.x, pieces.row_duals
        amount, treated = x[self.x], x[self.z]
        enough = designs.nothing(self.data.most.sum(axis=1)), designs.nothing(self.data.unit_most.sum(axis=1))
        x_or_none = np.append(x, 0.0)  # position -1: no store
        stored = [x_or_none[level] for level in (self.supply_level, self.demand_level)]
        return ExchangePlan(
            amount=np.maximum(amount, 0.0),
            worth=worth,
            supply_price=np.maximum(-rows[self.give], 0.0),
            demand_price=np.maximum(-rows[self.take], 0.0),
            link_price=np.maximum(-pieces.bound_duals[self.x], 0.0),
            opened=amount.sum(axis=1) > enough[0],
            built=treated.sum(axis=1) > enough[1],
            treated=np.maximum(treated, 0.0),
            size=np.where(self.size >= 0, x_or_none[self.size], treated.max(axis=1, initial=0.0)),
            supply_stored=stored[0],
            demand_stored=stored[1],
            bound=bound,
            gap=designs.gap_of(-worth, -bound),
            designed=designed,
            complete=complete,
            seconds=time.process_time() - began,
        )


class _Without:
    """The program solved once, then again and again without somebody."""

    def __init__(self, built: _Built) -> None:
        self.built, self.pieces = built, Pieces(built.lp)
        self.pieces.solve()
        lp, pieces = built.lp, self.pieces
        self.part = np.bincount(
            pieces.of_column, lp.cost * pieces.x, minlength=len(pieces.parts)
        )  # the cost of each part
        amount = pieces.x[built.x].sum(axis=1)
        gives, takes = len(built.give) + len(built.z), len(built.take) + len(built.z)
        self.given = np.bincount(built.data.start, amount, minlength=gives)
        self.taken = np.bincount(built.data.end, amount, minlength=takes)

    def losses(self, groups: Sequence[tuple[Ints, Ints]]) -> Floats:
        """(K,) what each group is missed."""
        return np.array([self._loss(gives, takes) for gives, takes in groups])

    def _loss(self, gives: Ints, takes: Ints) -> float:
        """Puts the quantities of a group to zero, solves the parts that it is in, and puts them back."""
        built, lp, pieces = self.built, self.built.lp, self.pieces
        gives, takes = gives[self.given[gives] > 0], takes[self.taken[takes] > 0]
        if not len(gives) and not len(takes):
            return 0.0
        rows = np.concatenate([built.give[gives].ravel(), built.take[takes].ravel()])
        held = lp.row_upper[rows].copy()
        lp.row_upper[rows] = 0.0
        touched = np.unique(pieces.of_row[rows])
        pieces.solve(touched)
        lp.row_upper[rows] = held
        lost = 0.0
        for number in touched:
            at = pieces.parts[number].columns
            lost += float(lp.cost[at] @ pieces.x[at]) - float(self.part[number])
        return max(lost, 0.0)
