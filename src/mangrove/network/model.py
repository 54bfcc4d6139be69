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
from mangrove.network import conditions, constraints, sessions, stores
from mangrove.network.arrays import by_year, cube, finite, numbers, ordered, per_item
from mangrove.network.core import Core, Limited, Port
from mangrove.network.handles import (
    Budget,
    Capacity,
    Condition,
    Demand,
    Fixed,
    Handle,
    Limit,
    Minimum,
    Node,
    Pair,
    Peak,
    Sessions,
    Store,
    Stream,
)
from mangrove.network.program import FREE, owners_of

if TYPE_CHECKING:
    from mangrove.network.result import Plan

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


MOST_GROUPS = 100_000
"""More groups of steps than any horizon has: numbers above it are stamps or codes that were not counted from 0."""


class Network(Core):
    """A flow network over one horizon and S scenarios.

    Args:
        horizon: the time axis.
        probabilities: (S,) weight of each scenario; adds up to 1.
        here_and_now: in that many first steps, streams that are decided (stores, sessions, converters) are equal in
            all scenarios, because one does not know yet which of them comes.

    Example:
        >>> from mangrove.network import Horizon
        >>> net = Network(Horizon.regular(2, 1.0))
        >>> bus = net.node("factory")
        >>> grid = net.source("grid", bus, cost=[1.0, 3.0])
        >>> load = net.sink("load", bus, amount=[2.0, 2.0])
        >>> battery = net.store("battery", bus, energy=1.0, charge=1.0, discharge=1.0)
        >>> plan = net.solve()
        >>> round(plan.cost, 6), [float(x) for x in plan[grid]]
        (6.0, [3.0, 1.0])
    """

    def node(self, name: str | Sequence[str], *, owner: str | Sequence[str] = "") -> Node:
        """One node, or several at once: inflow = outflow in every step and scenario.

        Args:
            name: one name or one per node.
            owner: to whom the right-hand sides at the node belong (see `Plan.shares`).
        """
        names = (name,) if isinstance(name, str) else tuple(name)
        if not names:
            raise RequestError("network.no_ports", name="node")
        owners = owners_of(owner if isinstance(owner, str) else tuple(owner), len(names))
        if len(owners) != len(names):
            got, wanted = str(len(owners)), str(len(names))
            raise RequestError("network.bad_shape", name=names[0], what="owner", got=got, wanted=wanted)
        if len(set(names)) < len(names):
            raise RequestError("network.name_twice", name=next(n for n in names if names.count(n) > 1))
        title = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]}"
        self.claim(title)
        rows = self.program.rows(title, self.shape(len(names)), lower=0.0, upper=0.0, owners=owners)
        return self.keep(Node(title, names, rows, owners))

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
            cost: money per unit; a number, (T,), (n,), (n, T), (S, T) or (n, S, T).
            upper: highest rate, in the same shapes.
            lower: lowest rate; with a capacity per unit of size.
            capacity: a size that the plan chooses: lower x size <= rate <= profile x size.
            profile: output per unit of size, (T,) or per item and scenario.
            also: further (node, coefficient): what one unit also brings there, e.g. its CO2.
        """
        ports = [(node, 1.0), *also]
        return self.stream(
            name, ports, cost=cost, upper=upper, lower=lower, capacity=capacity, profile=profile
        )

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
            cost: money per unit (negative: income).
            upper: as for `source`.
            lower: as for `source`.
            capacity: as for `source`.
            profile: as for `source`.
            also: as for `source`.
        """
        if amount is None:
            ports = [(node, -1.0), *also]
            return self.stream(
                name, ports, cost=cost, upper=upper, lower=lower, capacity=capacity, profile=profile
            )
        self.claim(name)
        self.own(name, "node", node)
        wanted = cube(name, "amount", amount, self.shape(len(node)))
        held = np.array(np.broadcast_to(wanted, self.shape(len(node))))
        finite(name, "amount", held)
        demand = Demand(name, node.rows, held)
        self.shift(demand.rows, held)
        self.wish(name, tier, node.names, "both", node.rows, most=demand)
        return self.keep(demand)

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
            bad = lost[(lost < 0) | (lost > 1)]
            raise RequestError("network.share_range", name=name, what="loss", value=float(bad.ravel()[0]))
        ports = [(start, -1.0), (end, 1.0 - lost), *also]
        return self.stream(name, ports, cost=cost, upper=upper, capacity=size)

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
            cost: money per unit of activity.
            upper: highest activity.
            lower: lowest activity; with a capacity per unit of size.
            capacity: as for `source`, of the activity.
            profile: as for `source`, of the activity.
            decided: whether the activity must be chosen before one knows the scenario (see `here_and_now`).
        """
        return self.stream(
            name,
            ports,
            cost=cost,
            upper=upper,
            lower=lower,
            capacity=capacity,
            profile=profile,
            decided=decided,
        )

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
            charge: largest rate taken from the node; None for both makes a lean store without streams of its own, for which
                efficiency must be 1: its level stands in the node's balance.
            discharge: largest rate given back to the node.
            efficiency: (in, out): of a unit taken from the node eta_in is stored; of a unit of level eta_out comes back.
            loss: share of the level lost in an hour.
            start: level before the first step; None: as after the last (cyclic).
            end: `cyclic` (at least the start), `free`, or an amount that must be there at the end (tier comfort). Over
                representative days a store is always cyclic over the year.
            floor: lowest level, an amount (tier comfort).
            wear: money per unit discharged.
        """
        self.claim(name)
        self.own(name, "node", node)
        given = stores.Given(energy, charge, discharge, efficiency, loss, start, end, floor, wear)
        return stores.add(self, name, node, given)

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
            arrive: (n,) first step of the stay, from 0 up.
            depart: (n,) the step after its last one; equal to `arrive` for a slot that is not used, which needs nothing.
            energy: (n,) amount to be in the battery above `level` at departure.
            power: (n,) largest charging rate at the node.
            efficiency: (n,) share that reaches the battery (and that comes back from it).
            discharge: (n,) largest rate back to the node; anything above 0 makes two-way vehicles with levels.
            usable: (n,) largest level.
            level: (n,) level at arrival.
            wear: money per unit given back.
            cost: money per unit taken.
            tier: when the energy may give way.
        """
        self.claim(name)
        self.own(name, "node", node)
        stays = {
            "arrive": arrive, "depart": depart, "energy": energy, "power": power, "efficiency": efficiency,
            "discharge": discharge, "usable": FREE if usable is None else usable, "level": level,
        }  # fmt: skip
        return self.keep(sessions.add(self, name, node, tier, stays, cost=cost, wear=wear))

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
            existing: size that is there already; (n,), or (Y,) when it retires, or (n, Y).
            lower: least size in place.
            upper: largest size in place (what exists may be larger).
            life: investment years that a unit lasts; None: to the end.
            count: n sizes at once.
            owner: to whom its limit belongs.
        """
        self.claim(name)
        years = self.horizon.years
        there, least, most = (
            by_year(name, what, value, count, years, least=0.0)
            for what, value in (("existing", existing), ("lower", lower), ("upper", upper))
        )
        money = by_year(name, "cost", cost, count, years)
        for what, array in (("existing", there), ("lower", least), ("cost", money)):
            finite(name, what, array)
        ordered(name, least, most)
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
            at = constraints.size_limit(
                self.program, name, handle, lower=least, upper=np.maximum(most, there), owners=owners
            )
        self.limits.append(Limit(name, "size", at, rows=not single))
        return self.keep(handle)

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
            window: number of steps that are averaged, from the first one on; or (T,) block numbers that never fall. A block
                belongs to the group of its first step.
            metered: (G,) peak that is billed already.
            owner: who pays.
        """
        self.claim(name)
        steps = self.horizon.steps
        groups = np.zeros(steps, np.int64) if group is None else numbers(name, "group", group)
        if groups.shape[-1:] != (steps,) or groups.ndim > 2:  # noqa: PLR2004 - a table
            raise RequestError(
                "network.bad_shape", name=name, what="group", got=str(groups.shape), wanted=str(steps)
            )
        if groups.ndim == 1 and (groups.max() >= MOST_GROUPS or (groups % 1).any()):
            raise RequestError("network.bad_group", name=name, most=MOST_GROUPS - 1)
        member = groups.astype(bool) if groups.ndim == 2 else groups == np.arange(groups.max() + 1)[:, None]  # noqa: PLR2004
        block = _blocks(name, window, steps)
        count = len(member)
        money = self.probabilities[:, None] * per_item(name, "price", price, count)
        floor = per_item(name, "metered", metered, count, least=0.0)
        finite(name, "price", money)
        finite(name, "metered", floor)
        columns = self.program.columns(
            name, money.shape, cost=money, lower=floor, owners=(owner,) * self.scenarios
        )
        rows = constraints.peak(
            self.program,
            name,
            columns,
            tuple(s.columns for s in streams),
            member=member,
            block=block,
            horizon=self.horizon,
        )
        return self.keep(Peak(name, columns, rows))

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
        """A limit on the sum over all steps of coefficient x rate x hours (and of coefficient x what is built).

        CO2 caps, export shares (exports minus share x generation <= 0), renewable shares, land and money are budgets.

        Args:
            name: unique in the network.
            terms: streams with money, kg, ... per unit; capacities with the same per unit built (existing sizes do not count).
            upper: most that the sum may be, in every scenario.
            lower: least that it must be.
            tier: when the limit may give way; None or `safety`: never.
            owner: to whom the limit belongs (see `Plan.shares`).
        """
        self.claim(name)
        sides = [per_item(name, w, v, self.scenarios) for w, v in (("lower", lower), ("upper", upper))]
        ordered(name, *sides)
        rates, sizes = [], []
        for handle, given in terms:
            if isinstance(handle, Capacity):
                value = per_item(name, handle.name, given, 1)
                sizes.append((handle.columns, np.broadcast_to(value[0], handle.columns.shape)[:, :, None]))
            else:
                value = cube(name, handle.name, given, self.shape(handle.columns.shape[0]))
                rates.append((handle.columns, value))
            finite(name, handle.name, value)
        rows = constraints.budget(
            self.program,
            name,
            rates=tuple(rates),
            sizes=tuple(sizes),
            scenarios=self.scenarios,
            amount=self.horizon.amount,
            owner=owner,
        )
        self.program.row_lower[rows], self.program.row_upper[rows] = sides
        self.limits.append(Limit(name, "budget", rows, rows=True))
        for side in ("upper", "lower"):  # both: an update may set a side that is open now
            self.wish(name, tier, (name,), side, rows[None])
        return self.keep(Budget(name, rows))

    def exclusive(self, first: Stream, second: Stream) -> None:
        """The two streams never run at the same time. Only steps whose plan would violate it get a binary variable."""
        name, shapes = f"{first.name} / {second.name}", (first.columns.shape, second.columns.shape)
        if shapes[0] != shapes[1]:
            got, wanted = (" x ".join(map(str, shape)) for shape in reversed(shapes))
            raise RequestError("network.bad_shape", name=name, what="items", got=got, wanted=wanted)
        self.pairs.append(Pair(name, first.columns, second.columns))

    def minimum(self, stream: Stream, least: Any) -> None:
        """The stream is off or at least at `least` (rate). Only steps whose plan would violate it get a binary variable."""
        floor = cube(stream.name, "least", least, self.shape(stream.columns.shape[0]), least=0.0)
        self.minima.append(
            Minimum(stream.name, stream.columns, np.array(np.broadcast_to(floor, stream.columns.shape)))
        )

    def blend(
        self,
        name: str,
        node: Node,
        parts: Sequence[tuple[Stream, Any]],
        limit: Any,
        sense: str | Sequence[str] = "<=",
    ) -> Condition:
        """Limits on the quality of what flows into a node together, in every step; they never give way.

        Args:
            name: unique in the network.
            node: n nodes at once.
            parts: (stream, content) of what flows in; a content is a number, (m,) one an item, (Q,) one a contaminant of a
                single item, or (m, Q).
            limit: of the mixture: a number, (n,), (Q,) of a single node, or (n, Q); infinite for none.
            sense: `<=` (at most) or `>=` (at least), for all or one a contaminant.

        Raises:
            RequestError: a content or limit is negative or no number, or a stream does not flow into the node.
        """
        return conditions.blend(self, name, node, parts, limit=limit, sense=sense)

    def share(self, name: str, node: Node, streams: Sequence[Stream], most: Any) -> Condition:
        """Of what the streams bring to each node in a step, no origin sends more than the share `most`; a number or (n,).

        A node that only one origin can reach gets nothing then. Bounds of the streams limit the share of a demand instead.
        """
        return conditions.share(self, name, node, streams, most)

    def fixed(self, name: str, stream: Stream, cost: Any, *, most: Any = None) -> Fixed:
        """Money for each item of a stream that carries anything over the horizon: a pipe, a contract, a treatment unit.

        Args:
            name: unique in the network.
            stream: n items, each open or not in all steps and scenarios.
            cost: money over the horizon; a number or (n,).
            most: highest rate of each item, in the shapes of `upper`; None: what follows from the supplies, demands and
                sizes around it. The tighter, the better `Plan.bound`.
        """
        return conditions.fixed(self, name, stream, cost, most)

    def inject(self, node: Node, columns: Ints, coefficients: Any) -> None:
        """Adds coefficient x column to the inflow of the node, for assets that bring their own columns."""
        self.program.terms(node.rows, columns, coefficients)
        self.solver = None

    def update(self, handle: Handle, **data: Any) -> None:
        """Changes data of something built before: prices, limits, demands, levels. The structure stays, so the next solve is warm.

        Raises:
            RequestError: `network.cannot_update`, with what can be.
        """
        from mangrove.network import updates

        self.own("update", "handle", handle)
        updates.apply(self, handle, data)

    def solve(self, *, solver: str = "auto", time_limit: float | None = None, gap: float = 1e-4) -> Plan:
        """The plan of least cost; what cannot hold gives way in its tier, and the plan says so.

        Args:
            solver: `auto` (simplex below 50,000 rows, HiPO above), `simplex`, `hipo` or `ipx`.
            time_limit: seconds; None for none.
            gap: relative gap at which a search over binaries stops; with many fixed costs no promise: see `Plan.gap`.

        Raises:
            InfeasibleError: what never gives way contradicts itself; the error names it.
            RequestError: the cost has no lower end (`network.unbounded`), or the limit of time came first.
        """
        from mangrove.network import strategy

        return strategy.solve(self, solver=solver, time_limit=time_limit, gap=gap)


def _blocks(name: str, window: int | Ints, steps: int) -> Ints:
    """(T,) number of the averaging block of each step, from 0 up."""
    if isinstance(window, int | np.integer) and window >= 1:
        return np.arange(steps) // window
    block = np.asarray(window)
    if block.shape != (steps,) or block.dtype.kind not in "iu" or block[0] < 0 or (np.diff(block) < 0).any():
        got = str(window) if block.ndim == 0 else " x ".join(map(str, block.shape))
        raise RequestError("network.bad_shape", name=name, what="window", got=got, wanted=str(steps))
    return block
