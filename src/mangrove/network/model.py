# SPDX-License-Identifier: Apache-2.0
"""The network: nodes, streams, stores, sessions, sizes, peaks and budgets, built as arrays over time.

Comes in: what stands at which node, with prices, limits and demands as numbers or time series. Goes out: handles, and from
`solve` a `Plan`. Rates are in any unit per hour (kW), amounts are rate x hours (kWh), money is in one currency. Every verb
adds a block of rows or columns for all items, scenarios and steps at once. `update` changes data and keeps the structure,
so that the next solve starts from the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network.arrays import cube, numbers, ordered, per_item
from mangrove.network.handles import (
    TIERS,
    Budget,
    Capacity,
    Demand,
    Handle,
    Limit,
    Minimum,
    Node,
    Pair,
    Peak,
    Sessions,
    Store,
    Stream,
    Wish,
)
from mangrove.network.horizon import Horizon
from mangrove.network.program import FREE, Program, owners_of

if TYPE_CHECKING:
    from mangrove.network.result import Plan
    from mangrove.network.solver import Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Port = tuple[Node, Any]
Limited = float | Floats | Sequence[float] | Capacity
EARLIER = 1e-6
"""Tie-break: charging in the last step costs this share of a typical price more than in the first, so that of two equal
plans the one that charges earlier is taken, always. It is not part of any cost that is reported."""


class Network:
    """A flow network over one horizon and S scenarios.

    Args:
        horizon: the time axis.
        probabilities: (S,) weight of each scenario; adds up to 1.
        here_and_now: in that many first steps, streams that are decided (stores, sessions, converters) are equal in
            all scenarios, because one does not know yet which of them comes.

    Example:
        >>> net = Network(Horizon.regular(2, 1.0))
        >>> bus = net.node("factory")
        >>> grid = net.source("grid", bus, cost=[1.0, 3.0])
        >>> load = net.sink("load", bus, amount=[2.0, 2.0])
        >>> battery = net.store("battery", bus, energy=1.0, charge=1.0, discharge=1.0)
        >>> plan = net.solve()
        >>> round(plan.cost, 6), [float(x) for x in plan[grid]]
        (6.0, [3.0, 1.0])
    """

    def __init__(
        self, horizon: Horizon, *, probabilities: Sequence[float] | Floats = (1.0,), here_and_now: int = 0
    ) -> None:
        self.horizon = horizon
        self.program = Program()
        self.probabilities = per_item("scenarios", "probability", probabilities, len(probabilities), least=0.0)
        if abs(self.probabilities.sum() - 1.0) > 1e-9:  # noqa: PLR2004 - rounding of shares
            raise RequestError("network.probabilities", total=float(self.probabilities.sum()))
        self.here_and_now = min(max(here_and_now, 0), horizon.steps)
        self.wishes: list[Wish] = []
        self.limits: list[Limit] = []
        self.pairs: list[Pair] = []
        self.minima: list[Minimum] = []
        self.handles: dict[str, Handle] = {}
        self.solver: Solver | None = None
        self._money = self.probabilities[:, None] * horizon.amount
        self._earlier: list[Ints] = []

    @property
    def scenarios(self) -> int:
        """S, the number of scenarios."""
        return len(self.probabilities)

    def node(self, name: str | Sequence[str], *, owner: str | Sequence[str] = "") -> Node:
        """One node, or several at once: inflow = outflow in every step and scenario.

        Args:
            name: one name or one per node.
            owner: to whom the right-hand sides at the node belong (see `Plan.shares`).
        """
        names = (name,) if isinstance(name, str) else tuple(name)
        owners = owners_of(owner if isinstance(owner, str) else tuple(owner), len(names))
        title = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
        rows = self.program.rows(title, self._shape(len(names)), lower=0.0, upper=0.0, owners=owners)
        return self._keep(Node(title, names, rows, owners))

    def source(
        self,
        name: str,
        node: Node,
        *,
        cost: Any = 0.0,
        upper: Any = FREE,
        lower: Any = 0.0,
        capacity: Capacity | None = None,
        profile: Any = 1.0,
        also: Sequence[Port] = (),
    ) -> Stream:
        """A rate into the node: a grid connection, a photovoltaic roof, a fuel delivery.

        Args:
            name: unique in the network.
            node: n nodes give n items.
            cost: money per unit. upper, lower: limits of the rate; numbers, (T,), (n,) , (n, T), (S, T) or (n, S, T).
            capacity: a size that the plan chooses: lower x size <= rate <= profile x size.
            profile: output per unit of size, (T,) or per item and scenario.
            also: further (node, coefficient): what one unit also brings there, e.g. its CO2.
        """
        return self._flow(name, [(node, 1.0), *also], cost, upper, lower, capacity, profile)

    def sink(
        self,
        name: str,
        node: Node,
        *,
        amount: Any = None,
        tier: str | None = "promised",
        cost: Any = 0.0,
        upper: Any = FREE,
        lower: Any = 0.0,
        capacity: Capacity | None = None,
        profile: Any = 1.0,
        also: Sequence[Port] = (),
    ) -> Any:
        """A rate out of the node. With `amount` a fixed `Demand`, else a `Stream` that the plan chooses (an export, a vent).

        Args:
            name: unique in the network.
            node: n nodes give n items.
            amount: the demand, (T,) or per item and scenario; it stands on the right-hand side of the balance.
            tier: when a fixed demand may give way; None or `safety`: never.
            cost: money per unit (negative: income). upper, lower, capacity, profile, also: as for `source`.
        """
        if amount is None:
            return self._flow(name, [(node, -1.0), *also], cost, upper, lower, capacity, profile)
        wanted = cube(name, "amount", amount, self._shape(len(node)))
        held = np.array(np.broadcast_to(wanted, self._shape(len(node))))
        if not np.isfinite(held).all():
            raise RequestError("network.not_a_number", name=name, what="amount", first=int(np.argmin(np.isfinite(held).ravel())))
        demand = Demand(name, node.rows, held)
        self._shift(demand.rows, held)
        self._wish(name, tier, node.names, "both", node.rows, most=demand)
        return self._keep(demand)

    def link(
        self,
        name: str,
        start: Node,
        end: Node,
        *,
        capacity: Limited = FREE,
        loss: Any = 0.0,
        cost: Any = 0.0,
        also: Sequence[Port] = (),
    ) -> Stream:
        """A one-way connection; of one unit sent from `start`, 1 - loss arrives at `end`. Two of them make a two-way line."""
        size, upper = (capacity, FREE) if isinstance(capacity, Capacity) else (None, capacity)
        lost = numbers(name, "loss", loss)
        if ((lost < 0) | (lost > 1)).any():
            raise RequestError("network.share_range", name=name, what="loss", value=float(lost.max()))
        return self._flow(name, [(start, -1.0), (end, 1.0 - lost), *also], cost, upper, 0.0, size, 1.0)

    def converter(
        self,
        name: str,
        ports: Sequence[Port],
        *,
        cost: Any = 0.0,
        upper: Any = FREE,
        lower: Any = 0.0,
        capacity: Capacity | None = None,
        profile: Any = 1.0,
        decided: bool = True,
    ) -> Stream:
        """A process with any number of ports: at activity z the rate into each node is coefficient x z (negative: out of it).

        Args:
            name: unique in the network.
            ports: (node, coefficient); a coefficient may be (T,), e.g. a coefficient of performance that follows the weather.
            cost: money per unit of activity. upper, lower, capacity, profile: as for `source`, of the activity.
            decided: whether the activity must be chosen before one knows the scenario (see `here_and_now`).
        """
        return self._flow(name, ports, cost, upper, lower, capacity, profile, decided=decided)

    def store(
        self,
        name: str,
        node: Node,
        *,
        energy: Limited,
        charge: Limited | None = FREE,
        discharge: Limited | None = FREE,
        efficiency: tuple[Any, Any] = (1.0, 1.0),
        loss: float = 0.0,
        start: Any = None,
        end: Any = "cyclic",
        floor: Any = 0.0,
        wear: Any = 0.0,
    ) -> Store:
        """A store of the node's carrier.

        Args:
            name: unique in the network.
            node: n nodes give n items.
            energy: largest level, in amounts (kWh); a number, a series or a `Capacity`.
            charge, discharge: largest rates at the node; None for both makes a lean store without streams of its own, for which
                efficiency must be 1: its level stands in the node's balance.
            efficiency: (in, out): of a unit taken from the node eta_in is stored; of a unit of level eta_out comes back.
            loss: share of the level lost in an hour.
            start: level before the first step; None: as after the last (cyclic).
            end: `cyclic` (at least the start), `free`, or an amount that must be there at the end (tier comfort).
            floor: lowest level (a share of nothing: an amount).
            wear: money per unit discharged.
        """
        n = len(node)
        gain, yield_ = (cube(name, "efficiency", eta, self._shape(n), least=0.0) for eta in efficiency)
        if (gain > 1).any() or (yield_ > 1).any() or (yield_ <= 0).any():
            raise RequestError("network.share_range", name=name, what="efficiency", value=float(max(gain.max(), yield_.max())))
        if not 0 <= loss < 1:
            raise RequestError("network.share_range", name=name, what="loss", value=float(loss))
        hours = self.horizon.hours
        keep = ((1.0 - loss) ** hours)[None, None, :]
        most = FREE if isinstance(energy, Capacity) else cube(name, "energy", energy, self._shape(n), least=0.0)
        least = cube(name, "floor", floor, self._shape(n), least=0.0)
        across = self.horizon.order is not None
        if not isinstance(energy, Capacity) and not across:
            ordered(name, least, np.asarray(most))
        level = self._level_columns(name, node, least, most, across)
        lean = charge is None and discharge is None
        into = out = None
        flows: list[tuple[Ints, Floats]] = []
        if lean:
            if (gain != 1).any() or (yield_ != 1).any() or across:
                raise RequestError("network.lean_store", name=name)
            return self._lean_store(name, node, energy, level, keep, start, end)
        into = self._flow(f"{name} charge", [(node, -1.0)], 0.0, *self._sized(charge), decided=True)
        out = self._flow(f"{name} discharge", [(node, 1.0)], wear, *self._sized(discharge), decided=True)
        flows = [(into.columns, hours * gain), (out.columns, -hours / yield_)]
        self._earlier.append(into.columns)
        self.exclusive(into, out)
        if across:
            return self._store_across(name, node, energy, level, flows, keep, least, most, into, out)
        rows = constraints.store_level(
            self.program, name, level, tuple(flows), keep, node.owners, cyclic=start is None and end != "free"
        )
        return self._finish_store(name, node, energy, level, rows, keep, start, end, into, out)

    def sessions(
        self,
        name: str,
        node: Node,
        *,
        arrive: Any,
        depart: Any,
        energy: Any,
        power: Any,
        efficiency: Any = 1.0,
        discharge: Any = 0.0,
        usable: Any = None,
        level: Any = 0.0,
        wear: Any = 0.0,
        cost: Any = 0.0,
        tier: str | None = "promised",
    ) -> Sessions:
        """Vehicles that stay from step `arrive` to the end of step `depart` - 1 and must have got `energy` by then.

        Args:
            name: unique in the network.
            node: the node that they hang on, or one per session.
            arrive, depart: (n,) step numbers; equal for a slot that is not used.
            energy: (n,) amount to be in the battery above `level` at departure.
            power: (n,) largest charging rate at the node. efficiency: share that reaches the battery.
            discharge: (n,) largest rate back to the node; anything above 0 makes two-way vehicles with levels.
            usable: (n,) largest level; level: (n,) level at arrival (two-way only).
            wear: money per unit given back. cost: money per unit taken.
            tier: when the energy may give way.
        """
        from mangrove.network import sessions

        return self._keep(
            sessions.add(
                self, name, node, tier,
                {
                    "arrive": arrive, "depart": depart, "energy": energy, "power": power, "efficiency": efficiency,
                    "discharge": discharge, "usable": FREE if usable is None else usable, "level": level,
                    "wear": wear, "cost": cost,
                },
            )
        )  # fmt: skip

    def capacity(
        self,
        name: str,
        *,
        cost: Any = 0.0,
        existing: Any = 0.0,
        lower: Any = 0.0,
        upper: Any = FREE,
        life: int | None = None,
        count: int = 1,
        owner: str = "",
    ) -> Capacity:
        """Sizes that the plan chooses.

        Args:
            name: unique in the network.
            cost: money per unit built, over the horizon (an annuity for a year); (Y,) for several investment years.
            existing: size that is there already, (Y,) when it retires. lower, upper: limits of the size in place.
            life: investment years that a unit lasts; None: to the end.
            count: n sizes at once.
            owner: to whom its limit belongs.
        """
        years = self.horizon.years
        there = np.broadcast_to(numbers(name, "existing", existing), (count, years)).astype(np.float64)
        least, most = (np.broadcast_to(numbers(name, w, v), (count, years)) for w, v in (("lower", lower), ("upper", upper)))
        ordered(name, np.asarray(least), np.asarray(most))
        if (np.asarray(least) < 0).any() or (there < 0).any():
            raise RequestError("network.negative", name=name, what="lower", first=0, value=float(min(least.min(), there.min())))
        money = np.broadcast_to(numbers(name, "cost", cost), (count, years))
        built = np.arange(years)
        age = built[None, :] - built[:, None]
        alive = (age >= 0) & (age < (years if life is None else max(life, 1)))
        owners = (owner,) * count
        single = years == 1
        columns = self.program.columns(
            name, (count, years), cost=money, owners=owners,
            lower=np.maximum(least - there, 0.0) if single else 0.0,
            upper=np.maximum(most - there, 0.0) if single else FREE,
        )  # fmt: skip
        handle = Capacity(name, columns, there, alive)
        at = columns
        if not single:
            at = constraints.size_limit(self.program, name, handle, np.asarray(least), np.asarray(most), owners)
        self.limits.append(Limit(name, "size", at, rows=not single))
        return self._keep(handle)

    def peak(
        self,
        name: str,
        streams: Sequence[Stream],
        *,
        price: Any,
        group: Any = None,
        window: int | Ints = 1,
        metered: Any = 0.0,
        owner: str = "",
    ) -> Peak:
        """A charge on the highest mean rate of each group of steps (a demand charge).

        Args:
            name: unique in the network.
            streams: their sum is metered.
            price: money per unit of rate, one a group.
            group: (T,) group of each step, -1 for none; or (G, T) membership; None: one group.
            window: number of steps that are averaged, from the first one on; or (T,) block numbers.
            metered: (G,) peak that is billed already.
            owner: who pays.
        """
        steps = self.horizon.steps
        groups = np.zeros(steps, np.int64) if group is None else np.asarray(group)
        if groups.shape[-1:] != (steps,) or groups.ndim > 2:  # noqa: PLR2004 - a table
            raise RequestError("network.bad_shape", name=name, what="group", got=str(groups.shape), wanted=str(steps))
        member = groups.astype(bool) if groups.ndim == 2 else groups == np.arange(groups.max() + 1)[:, None]  # noqa: PLR2004
        block = np.arange(steps) // window if isinstance(window, int) else np.asarray(window)
        count = len(member)
        money = self.probabilities[:, None] * per_item(name, "price", price, count)
        floor = per_item(name, "metered", metered, count, least=0.0)
        columns = self.program.columns(name, money.shape, cost=money, lower=floor, owners=(owner,) * self.scenarios)
        rows = constraints.peak(
            self.program, name, columns, tuple(s.columns for s in streams), member, block, self.horizon
        )
        return self._keep(Peak(name, columns, rows))

    def budget(
        self,
        name: str,
        terms: Sequence[tuple[Stream | Capacity, Any]],
        *,
        upper: float = FREE,
        lower: float = -FREE,
        tier: str | None = "contract",
        owner: str = "",
    ) -> Budget:
        """A limit on the sum over all steps of coefficient x rate x hours (and of coefficient x size).

        CO2 caps, export shares (exports minus share x generation <= 0), renewable shares, land and money are budgets.
        """
        rates, sizes = [], []
        for handle, given in terms:
            if isinstance(handle, Capacity):
                value = per_item(name, handle.name, given, 1)
                sizes.append((handle.columns, np.broadcast_to(value[0], handle.columns.shape)[:, :, None]))
            else:
                value = cube(name, handle.name, given, self._shape(handle.columns.shape[0]))
                rates.append((handle.columns, value))
        rows = constraints.budget(
            self.program, name, tuple(rates), tuple(sizes), self.scenarios, self.horizon.amount, owner
        )
        self.program.row_lower[rows], self.program.row_upper[rows] = lower, upper
        self.limits.append(Limit(name, "budget", rows, rows=True))
        for side, bound in (("upper", upper), ("lower", lower)):
            if np.isfinite(bound):
                self._wish(name, tier, (name,), side, rows[None])
        return self._keep(Budget(name, rows))

    def exclusive(self, first: Stream, second: Stream) -> None:
        """The two streams never run at the same time. Only steps whose plan would violate it get a binary variable."""
        self.pairs.append(Pair(f"{first.name} / {second.name}", first.columns, second.columns))

    def minimum(self, stream: Stream, least: Any) -> None:
        """The stream is off or at least at `least` (rate). Only steps whose plan would violate it get a binary variable."""
        floor = cube(stream.name, "least", least, self._shape(stream.columns.shape[0]), least=0.0)
        self.minima.append(Minimum(stream.name, stream.columns, np.array(np.broadcast_to(floor, stream.columns.shape))))

    def inject(self, node: Node, columns: Ints, coefficients: Any) -> None:
        """Adds coefficient x column to the inflow of the node, for assets that bring their own columns."""
        self.program.terms(node.rows, columns, coefficients)

    def update(self, handle: Handle, **data: Any) -> None:
        """Changes data of something built before: prices, limits, demands, levels. The structure stays, so the next solve is warm.

        Raises:
            RequestError: `network.cannot_update`, with what can be.
        """
        from mangrove.network import updates

        updates.apply(self, handle, data)

    def solve(self, *, solver: str = "auto", time_limit: float | None = None, gap: float = 1e-4) -> Plan:
        """The plan of least cost; what cannot hold gives way in its tier, and the plan says so.

        Args:
            solver: `auto` (simplex below 50,000 rows, HiPO above), `simplex`, `hipo` or `ipx`.
            time_limit: seconds; None for none. gap: relative gap at which a search over binaries stops.

        Raises:
            InfeasibleError: what never gives way contradicts itself; the error names it.
            RequestError: the cost has no lower end (`network.unbounded`), or the limit of time came first.
        """
        from mangrove.network import strategy

        return strategy.solve(self, solver=solver, time_limit=time_limit, gap=gap)

    # What the building verbs share.

    def _shape(self, items: int) -> tuple[int, int, int]:
        return items, self.scenarios, self.horizon.steps

    def _keep(self, handle: Any) -> Any:
        if handle.name in self.handles:
            raise RequestError("network.name_twice", name=handle.name)
        self.handles[handle.name] = handle
        self.solver = None
        return handle

    def _shift(self, rows: Ints, amount: Floats) -> None:
        """Adds to the right-hand side of balances; rows may repeat (several items at one node)."""
        for side in (self.program.row_lower, self.program.row_upper):
            side[rows] += amount

    def _wish(
        self, name: str, tier: str | None, items: tuple[str, ...], side: str, at: Ints, *, most: Demand | None = None
    ) -> None:
        if tier is None or tier == TIERS[0]:
            return
        if tier not in TIERS:
            raise RequestError("network.unknown_tier", name=name, text=tier, options=", ".join(TIERS))
        weight = np.broadcast_to(self.horizon.amount, at.shape) if at.shape[-1] == self.horizon.steps else np.ones(at.shape)
        self.wishes.append(Wish(name, tier, items, side, at, weight, most))

    def _sized(self, limit: Limited | None) -> tuple[Any, Any, Capacity | None, Any]:
        """(upper, lower, capacity, profile) of a limit that is a number, a series or a size."""
        if isinstance(limit, Capacity):
            return FREE, 0.0, limit, 1.0
        return (FREE if limit is None else limit), 0.0, None, 1.0

    def _rates(self, name: str, items: int, owners: tuple[str, ...], *, decided: bool) -> Ints:
        """Columns (n, S, T); those of the first steps are the same in all scenarios when they are decided."""
        now = self.here_and_now if decided and self.scenarios > 1 else 0
        if not now:
            return self.program.columns(name, self._shape(items), owners=owners)
        later = self.horizon.steps - now
        width = now + self.scenarios * later
        flat = self.program.columns(name, (items, width), owners=owners)
        shared = np.broadcast_to(flat[:, None, :now], (items, self.scenarios, now))
        return np.concatenate([shared, flat[:, now:].reshape(items, self.scenarios, later)], axis=2)

    def _set_cost(self, stream: Stream, cost: Any) -> None:
        """Money per column: cost x hours x occurrences x probability, added up where scenarios share a column."""
        money = cube(stream.name, "cost", cost, stream.columns.shape) * self._money  # type: ignore[arg-type]
        if not np.isfinite(money).all():
            raise RequestError("network.not_a_number", name=stream.name, what="cost", first=int(np.argmin(np.isfinite(money).ravel())))
        if stream.decided and self.here_and_now and self.scenarios > 1:
            self.program.cost[stream.columns] = 0.0
            np.add.at(self.program.cost, stream.columns, money)
        else:
            self.program.cost[stream.columns] = money

    def _set_bounds(self, stream: Stream, lower: Any, upper: Any) -> None:
        low = cube(stream.name, "lower", lower, stream.columns.shape)  # type: ignore[arg-type]
        high = cube(stream.name, "upper", upper, stream.columns.shape)  # type: ignore[arg-type]
        ordered(stream.name, low, high)
        self.program.lower[stream.columns] = low
        self.program.upper[stream.columns] = high

    def _flow(
        self,
        name: str,
        ports: Sequence[Port],
        cost: Any,
        upper: Any,
        lower: Any,
        capacity: Capacity | None,
        profile: Any,
        *,
        decided: bool = False,
    ) -> Stream:
        """A stream with its ports, cost and limits."""
        if not ports:
            raise RequestError("network.no_ports", name=name)
        items = max(len(node) for node, _ in ports)
        owner = next(node.owners for node, _ in ports if len(node) == items)
        columns = self._rates(name, items, owner, decided=decided)
        stream = Stream(name, columns, capacity, decided)
        self._set_cost(stream, cost)
        for node, given in ports:
            if len(node) not in (1, items):
                raise RequestError("network.bad_shape", name=name, what="nodes", got=str(len(node)), wanted=str(items))
            value = cube(name, "coefficient", given, columns.shape)  # type: ignore[arg-type]
            self.program.terms(node.rows, columns, value)
        if capacity is None:
            self._set_bounds(stream, lower, upper)
            self.limits.append(Limit(name, "capacity", columns, rows=False))
            return self._keep(stream)
        share = cube(name, "profile", profile, columns.shape)  # type: ignore[arg-type]
        constraints.within_capacity(self.program, name, columns, capacity, share, self.horizon, owner)
        least = cube(name, "lower", lower, columns.shape, least=0.0)  # type: ignore[arg-type]
        if (least > 0).any():
            constraints.at_least_capacity(self.program, name, columns, capacity, least, self.horizon, owner)
        return self._keep(stream)

    def _level_columns(self, name: str, node: Node, least: Floats, most: Any, across: bool) -> Ints:  # noqa: FBT001
        """Levels: within floor and size, or of free sign inside representative days."""
        low, high = (-FREE, FREE) if across else (least, most)
        level = self.program.columns(f"{name} level", self._shape(len(node)), lower=low, upper=high, owners=node.owners)
        if not across and np.any(np.asarray(least) > 0):
            self._wish(f"{name} level", "comfort", node.names, "floor", level)
        return level

    def _lean_store(
        self, name: str, node: Node, energy: Limited, level: Ints, keep: Floats, start: Any, end: Any
    ) -> Store:
        """A lossless store whose level stands in the balance: inflow - (e_t - k e_{t-1}) / h = demand."""
        hours = self.horizon.hours
        self.program.terms(node.rows, level, -1.0 / hours)
        self.program.terms(node.rows[:, :, 1:], level[:, :, :-1], (keep / hours)[:, :, 1:])
        if start is None and end != "free":
            self.program.terms(node.rows[:, :, :1], level[:, :, -1:], (keep / hours)[:, :, :1])
        wanted = start if start is not None and end == "cyclic" else end
        store = self._finish_store(name, node, energy, level, None, keep, None, wanted, None, None)
        if start is None:
            return store
        given = per_item(name, "start", start, len(node), least=0.0)
        self.program.row_lower[node.rows[:, :, 0]] -= (keep[..., 0] * given[:, None]) / hours[0]
        self.program.row_upper[node.rows[:, :, 0]] -= (keep[..., 0] * given[:, None]) / hours[0]
        return store

    def _store_across(
        self, name: str, node: Node, energy: Limited, level: Ints, flows: list[tuple[Ints, Floats]], keep: Floats,
        least: Floats, most: Any, into: Stream, out: Stream,
    ) -> Store:  # fmt: skip
        """A store over representative days; it is cyclic over the year."""
        lp = self.program
        days, low, high = constraints.store_across_days(lp, name, level, tuple(flows), keep, self.horizon, node.owners)
        lp.lower[low] = least[:, :, :1]
        if isinstance(energy, Capacity):
            constraints.within_capacity(lp, name, high, energy, np.ones((1, 1, 1)), self.horizon, node.owners)
        else:
            lp.upper[high] = np.asarray(most)[:, :, :1]
            self.limits.append(Limit(name, "energy", high, rows=False))
        return self._keep(Store(name, level, into, out, None, keep, None, days))

    def _finish_store(
        self, name: str, node: Node, energy: Limited, level: Ints, rows: Ints | None, keep: Floats,
        start: Any, end: Any, into: Stream | None, out: Stream | None,
    ) -> Store:  # fmt: skip
        """Size, start and end of a chronological store."""
        lp, n = self.program, len(node)
        if isinstance(energy, Capacity):
            constraints.within_capacity(lp, name, level, energy, np.ones((1, 1, 1)), self.horizon, node.owners)
        else:
            self.limits.append(Limit(name, "energy", level, rows=False))
        first = rows[:, :, 0] if rows is not None and start is not None else None
        target = None
        if start is not None or not isinstance(end, str):
            if end == "cyclic" and start is not None:
                end = start
            if not isinstance(end, str):
                wanted = per_item(name, "end", end, n, least=0.0)
                target = lp.rows(f"{name} end", (n, self.scenarios), lower=wanted[:, None], owners=node.owners)
                lp.terms(target, level[:, :, -1], 1.0)
                self._wish(f"{name} end", "comfort", node.names, "lower", target)
        store = Store(name, level, into, out, first, keep, target)
        if first is not None:
            self._set_start(store, start)
        return self._keep(store)

    def _set_start(self, store: Store, start: Any) -> None:
        """The level before the first step, on the right-hand side."""
        if store.first is None:
            raise RequestError("network.cannot_update", name=store.name, what="start", options="-")
        given = per_item(store.name, "start", start, len(store.level), least=0.0)[:, None] * store.keep[..., 0]
        self.program.row_lower[store.first] = given
        self.program.row_upper[store.first] = given
