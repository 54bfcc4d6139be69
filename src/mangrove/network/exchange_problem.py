# SPDX-License-Identifier: Apache-2.0
"""What an exchange problem is made of, and its check: every number that is missing, negative or endless is named with its place.

Comes in: `Exchanges` as callers write them, with numbers, lists or tables. Goes out: `Data`, arrays of full shape with the tightest
bound of every link, ready to become rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network.arrays import finite, numbers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_NAME = "exchanges"
_TABLE = 2
"""Dimensions of a table: items x steps, or items x contaminants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Treatment units that may be built: what goes in comes out with the content `content`, whatever it was (a fixed outlet).

    A link into unit u ends at J + u, a link out of it starts at I + u.

    Attributes:
        capacity: (U,) or (U, T) most that goes in.
        cost: (U,) or (U, T) money per unit that goes in, with its electricity (see `treatment_cost`).
        fixed: (U,) money for building it, over all steps; size_cost: (U,) money for each unit of the most that goes in in any step.
        recovery: (U,) share of the inlet that comes out.
        content: (U, Q) at the outlet, needed when the problem has contents. inlet: (U, Q) most at the inlet; infinite for none.
    """

    capacity: Any
    cost: Any = 0.0
    fixed: Any = 0.0
    size_cost: Any = 0.0
    recovery: Any = 1.0
    content: Any = None
    inlet: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanges:
    """I supplies, J demands, U units and A links over T steps. Amounts are in one unit per link (t, m3, MWh) and step.

    Attributes:
        supply: (I,) or (I, T) what there is to give, infinite for no limit.
        demand: (J,) or (J, T) what can be taken.
        start, end: (A,) the supply (or I + unit) and the demand (or J + unit) of each link.
        value: (A,) or (A, T) money per unit over the link: what both sides avoid, less transport and handling (see `worth`).
        capacity: number, (A,) or (A, T) most over the link.
        fixed: number or (A,) money for having the link, once over all steps; only `design` counts it.
        lot: number or (A,) a link carries nothing or at least this in a step; only `design` keeps it.
        content: (I, Q) contents of what is supplied. limit: (J, Q) of what a demand takes all together; infinite for none.
        sense: Q words `<=` (at most; the default) or `>=` (at least).
        most_share: of what a demand gets in a step, the largest share of one supplier (or unit).
        units: treatment units.
        supply_store, demand_store: number, (I,) or (J,) amount that can wait from one step to the next (and from the last to
            the first). store_cost: money per unit and step of waiting. Without stores every step is planned apart.

    Example:
        >>> from mangrove.network.exchange import exchange_lp
        >>> plan = exchange_lp(Exchanges(supply=[5.0], demand=[3.0, 4.0], start=[0, 0], end=[0, 1], value=[2.0, 1.0]))
        >>> plan.amount[:, 0].tolist(), plan.worth, plan.supply_price.tolist(), plan.demand_price.tolist()
        ([3.0, 2.0], 8.0, [[1.0]], [[1.0], [0.0]])
    """

    supply: Any
    demand: Any
    start: Any
    end: Any
    value: Any
    capacity: Any = np.inf
    fixed: Any = 0.0
    lot: Any = 0.0
    content: Any = None
    limit: Any = None
    sense: Sequence[str] = ()
    most_share: float | None = None
    units: Units | None = None
    supply_store: Any = 0.0
    demand_store: Any = 0.0
    store_cost: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """The problem as arrays of full shape: nodes that give are supplies, then units; nodes that take demands, then units."""

    supply: Floats
    demand: Floats
    start: Ints
    end: Ints
    value: Floats
    capacity: Floats
    fixed: Floats
    lot: Floats
    content: Floats
    limit: Floats
    sign: Floats
    most_share: float | None
    unit_capacity: Floats
    unit_cost: Floats
    unit_fixed: Floats
    unit_size_cost: Floats
    recovery: Floats
    supply_store: Floats
    demand_store: Floats
    store_cost: float
    most: Floats = field(default_factory=lambda: np.zeros(0))
    unit_most: Floats = field(default_factory=lambda: np.zeros(0))


def checked(problem: Exchanges) -> Data:
    """The problem in full shapes.

    Raises:
        RequestError: `network.not_a_number`, `network.negative`, `network.bad_shape`, `network.bad_index`, `network.endless`,
            `network.unit_to_unit`, `network.no_quality`, `network.unknown_sense` or `network.share_range`.
    """
    units = Units(capacity=np.zeros(0)) if problem.units is None else problem.units
    sides = {"supply": problem.supply, "demand": problem.demand, "unit capacity": units.capacity}
    gives, takes, count = (len(np.atleast_1d(numbers(_NAME, what, side))) for what, side in sides.items())
    in_time = {**sides, "value": problem.value, "capacity": problem.capacity, "unit cost": units.cost}
    steps = max(_steps(what, value) for what, value in in_time.items())
    start, end = index("start", problem.start, gives + count), index("end", problem.end, takes + count)
    links = len(start)
    if len(end) != links:
        raise RequestError("network.bad_shape", name=_NAME, what="end", got=str(len(end)), wanted=str(links))
    for both in np.flatnonzero((start >= gives) & (end >= takes))[:1]:
        raise RequestError("network.unit_to_unit", name=_NAME, first=int(both))
    content, limit, sign = _quality(problem, units, gives, takes, count)
    data = Data(
        supply=_table("supply", problem.supply, gives, steps, endless=True),
        demand=_table("demand", problem.demand, takes, steps, endless=True),
        start=start, end=end,
        value=_table("value", problem.value, links, steps, signed=True),
        capacity=_table("capacity", problem.capacity, links, steps, endless=True),
        fixed=_row("fixed", problem.fixed, links),
        lot=_row("lot", problem.lot, links),
        content=content, limit=limit, sign=sign,
        most_share=None if problem.most_share is None else float(_share("most_share", problem.most_share, 1)[0]),
        unit_capacity=_table("unit capacity", units.capacity, count, steps, endless=True),
        unit_cost=_table("unit cost", units.cost, count, steps, signed=True),
        unit_fixed=_row("unit fixed", units.fixed, count),
        unit_size_cost=_row("unit size cost", units.size_cost, count),
        recovery=_share("recovery", units.recovery, count),
        supply_store=_row("supply_store", problem.supply_store, gives),
        demand_store=_row("demand_store", problem.demand_store, takes),
        store_cost=float(_row("store_cost", problem.store_cost, 1)[0]),
    )  # fmt: skip
    return _with_most(data)


def _steps(what: str, value: Any) -> int:
    """T, as far as this table tells."""
    array = numbers(_NAME, what, value)
    return array.shape[1] if array.ndim == _TABLE else 1


def _with_most(data: Data) -> Data:
    """The tightest bound of every link, min(what its start can give, what its end can take, its capacity), and of every unit.

    Raises:
        RequestError: `network.endless`: nothing limits a link.
    """
    takes = len(data.demand)
    out = _with_store(data.supply, data.supply_store)
    room = _with_store(data.demand, data.demand_store)
    into = data.end >= takes
    inflow = np.zeros_like(data.unit_capacity)
    np.add.at(inflow, data.end[into] - takes, np.minimum(out[data.start[into]], data.capacity[into]))
    unit_most = np.minimum(data.unit_capacity, inflow)
    out = np.concatenate([out, data.recovery[:, None] * unit_most])
    room = np.concatenate([room, unit_most])
    most = np.minimum(np.minimum(out[data.start], room[data.end]), data.capacity)
    endless = ~np.isfinite(most).all(axis=1)
    if endless.any():
        first = int(np.argmax(endless))
        raise RequestError(
            "network.endless", name=_NAME, first=first, start=int(data.start[first]), end=int(data.end[first])
        )
    return replace(data, most=most, unit_most=unit_most)


def _with_store(amount: Floats, store: Floats) -> Floats:
    """(n, T) most that can flow in one step when up to `store` of other steps can be there too."""
    others = amount.sum(axis=1, keepdims=True) - np.where(np.isfinite(amount), amount, 0.0)
    most: Floats = amount + np.minimum(store[:, None], others)
    return most


def _quality(
    problem: Exchanges, units: Units, gives: int, takes: int, count: int
) -> tuple[Floats, Floats, Floats]:
    """Contents (I + U, Q), limits (J + U, Q) and signs (Q,)."""
    if problem.content is None or problem.limit is None:
        if problem.content is not None or problem.limit is not None:
            missing = "limit" if problem.limit is None else "content"
            raise RequestError("network.no_quality", name=_NAME, what=missing)
        return np.zeros((gives + count, 0)), np.zeros((takes + count, 0)), np.zeros(0)
    kinds = np.shape(problem.content)[1] if np.ndim(problem.content) == _TABLE else 1
    content = _table("content", problem.content, gives, kinds)
    limit = _table("limit", problem.limit, takes, kinds, endless=True)
    if count:
        if units.content is None:
            raise RequestError("network.no_quality", name=_NAME, what="unit content")
        inlet = np.inf if units.inlet is None else units.inlet
        content = np.concatenate([content, _table("unit content", units.content, count, kinds)])
        limit = np.concatenate([limit, _table("unit inlet", inlet, count, kinds, endless=True)])
    return content, limit, constraints.signs(_NAME, problem.sense or ("<=",) * kinds, kinds)


def _table(
    what: str, value: Any, count: int, width: int, *, endless: bool = False, signed: bool = False
) -> Floats:
    """`value` as (count, width) numbers: a number, one an item, or the whole table."""
    array = numbers(_NAME, what, value)
    if array.ndim == 1:
        array = array[:, None]
    wanted_shape = (count, width)
    fits = array.ndim in (0, _TABLE) and all(
        own in (1, wanted) for own, wanted in zip(array.shape, wanted_shape, strict=False)
    )
    if not fits:
        got = " x ".join(map(str, np.shape(value)))
        raise RequestError("network.bad_shape", name=_NAME, what=what, got=got, wanted=f"{count} x {width}")
    if not endless:
        finite(_NAME, what, array)
    if not signed and (array < 0).any():
        at = int(np.argmax((array < 0).ravel()))
        raise RequestError(
            "network.negative", name=_NAME, what=what, first=at, value=float(array.ravel()[at])
        )
    return np.array(np.broadcast_to(array, (count, width)))


def _row(what: str, value: Any, count: int) -> Floats:
    """`value` as (count,) finite numbers that are not negative."""
    return _table(what, value, count, 1)[:, 0]


def _share(what: str, value: Any, count: int) -> Floats:
    """`value` as (count,) numbers between 0 and 1."""
    share = _row(what, value, count)
    if (share > 1).any():
        raise RequestError("network.share_range", name=_NAME, what=what, value=float(share.max()))
    return share


def index(what: str, value: Any, count: int) -> Ints:
    """`value` as (n,) positions below `count`.

    Raises:
        RequestError: `network.bad_index`.
    """
    array = np.atleast_1d(numbers(_NAME, what, value))
    bad = (array < 0) | (array >= count) | (array % 1 != 0) if array.ndim == 1 else np.ones(1, bool)
    if bad.any():
        first = int(np.argmax(bad))
        raise RequestError(
            "network.bad_index",
            name=_NAME,
            what=what,
            first=first,
            value=float(array.ravel()[first]),
            most=count - 1,
        )
    return array.astype(np.int64)
