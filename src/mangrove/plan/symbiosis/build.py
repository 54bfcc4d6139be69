# SPDX-License-Identifier: Apache-2.0
"""A case as one network of twelve months, or of hours: material, water, heat and electricity are the same rows.

Comes in: a `Case`. Goes out: a `Built`: the network and the columns of every arc. A rate is an amount per step (which counts as one
hour of the network's clock).

    x[a,t] >= 0                          units of the offer on arc a in month t
    sum over arcs of offer i  x  (+ store) = s[i,t],          s <= supply
    sum over arcs of need j   ratio x = d[j,t],               d <= demand
    sum over arcs of unit u   recovery x <= capacity + k[u];  power x <= grid + offered electricity
    k[u] <= (most - capacity) y[u],   y[u] in {0, 1}          for a unit that is to be built
    sum over arcs of need j   (content - limit) ratio x <= 0  for each property that a mix must meet
    sum over arcs of place p into need j  ratio x <= share x demand
    minimize  - sum worth x + price x grid + price x k + fixed x y
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.network import Horizon, Network
from mangrove.network.design import Openings
from mangrove.network.handles import Node, Store
from mangrove.plan.symbiosis import amounts
from mangrove.plan.symbiosis.model import Case, Floats, Ints, Party

_KILO = 1000.0


@dataclass(eq=False)
class Built:
    """The network of a case: `columns` (A, T) of its arcs, the nodes of offers, needs and of electricity for units.

    `sizes` (U,) are the columns of what is built of each unit, -1 where nothing can be; T is twelve months, or hours.
    """

    case: Case
    net: Network
    columns: Ints
    offers: Node
    needs: Node
    sizes: Ints
    stores: dict[str, Store]

    def most(self) -> Floats:
        """(A, T) the largest amount that any plan can have on each arc: the tighter, the better the bound of a design."""
        case = self.case
        supply = _reach(case.supply, case.offers)[case.offer]
        taken = _reach(case.demand, case.needs)[case.need] / case.ratio[:, None]
        limit = np.where((case.need >= 0)[:, None], taken, np.inf)
        return np.minimum(np.minimum(supply, limit), case.capacity)

    def openings(self) -> Openings:
        """What costs once: links that carry anything, and units that are built, each with the tightest bounds."""
        case, most = self.case, self.most()
        links = np.flatnonzero(case.fixed > 0)
        once = np.array([one.fixed for one in case.units])
        wanted = [int(u) for u in np.flatnonzero((self.sizes >= 0) & (once > 0)) if (case.unit == u).any()]
        room = [self._room(u, most) for u in wanted]
        steps = most.shape[1]
        return Openings(
            columns=np.concatenate([self.columns[links].ravel(), self.sizes[wanted]]),
            item=np.concatenate(
                [np.repeat(np.arange(len(links)), steps), len(links) + np.arange(len(wanted))]
            ),
            most=np.concatenate([most[links].ravel(), room]),
            cost=np.concatenate([case.fixed[links], once[wanted]]),
            least=np.zeros(links.size * steps + len(wanted)),
        )

    def _room(self, u: int, most: Floats) -> float:
        """The largest new capacity of a unit that any plan can use."""
        case, unit = self.case, self.case.units[u]
        arcs = np.flatnonzero((case.unit == u) & (case.need >= 0))
        flow = float((unit.recovery * most[arcs]).sum(axis=0).max(initial=0.0))
        return max(min(unit.largest, flow) - unit.capacity, 0.0)


def build(case: Case) -> Built:
    """The network of a case with at least one arc."""
    net = Network(Horizon.regular(case.steps, 1.0))
    offers, needs, stores = _parties(net, case)
    columns = np.zeros((len(case), case.steps), dtype=np.int64)
    sizes = np.full(len(case.units), -1)
    direct = np.flatnonzero(case.unit < 0)
    if len(direct):
        ports = [
            (offers[_list(case.offer[direct])], -1.0),
            (needs[_list(case.need[direct])], _deep(case.ratio[direct])),
        ]
        columns[direct] = _arcs(net, "exchange", case, direct, ports)
    if len(case.units):
        rooms, sizes = _units(net, case)
        _treatment(net, case, (offers, needs, rooms), columns)
    _blends(net, case, columns)
    _groups(net, case, columns)
    return Built(case, net, columns, offers, needs, sizes, stores)


def _parties(net: Network, case: Case) -> tuple[Node, Node, dict[str, Store]]:
    """Nodes of offers and needs, what comes in and goes out at most, and stores."""
    offers = net.node([f"offer {one.id}" for one in case.offers], owner=[one.place for one in case.offers])
    needs = net.node([f"need {one.id}" for one in case.needs], owner=[one.place for one in case.needs])
    net.source("supply", offers, upper=case.supply[:, None, :])
    net.sink("demand", needs, upper=case.demand[:, None, :])
    stores = {}
    for name, parties, nodes in (("store", case.offers, offers), ("stock", case.needs, needs)):
        kept = np.array([amounts.storage(one) for one in parties])
        stored = np.flatnonzero(kept > 0)
        if len(stored):
            size = kept[stored][:, None, None]
            stores[name] = net.store(name, nodes[_list(stored)], energy=size, charge=None, discharge=None)
    return offers, needs, stores


def _reach(amount: Floats, parties: Sequence[Party]) -> Floats:
    """(n, T) the most that can flow in a step: a store brings at most what it holds, and what the other steps have."""
    kept = np.array([amounts.storage(one) for one in parties])[:, None]
    most: Floats = amount + np.minimum(kept, amount.sum(axis=1, keepdims=True) - amount)
    return most


def _units(net: Network, case: Case) -> tuple[Node, Ints]:
    """Nodes that what leaves a unit uses room at, limited by what stands and what is built, and (U,) columns of the latter."""
    rooms = net.node([f"unit {unit.id}" for unit in case.units], owner=[unit.place for unit in case.units])
    sizes = np.full(len(case.units), -1)
    stands = np.flatnonzero([unit.most is None for unit in case.units])
    if len(stands):
        most = np.array([case.units[u].capacity for u in stands])
        net.source(
            "unit capacity",
            rooms[_list(stands)],
            upper=np.broadcast_to(most[:, None, None], (len(most), 1, case.steps)),
        )
    for u, unit in enumerate(case.units):
        if unit.most is None:
            continue
        size = net.capacity(
            f"size {unit.id}", cost=unit.price, existing=unit.capacity, upper=unit.most, owner=unit.place
        )
        net.source(f"capacity {unit.id}", rooms[u], capacity=size)
        sizes[u] = size.columns[0, 0]
    return rooms, sizes


def _arcs(net: Network, name: str, case: Case, arcs: Ints, ports: Sequence[tuple[Node, object]]) -> Ints:
    """(k, 12) columns of some arcs."""
    stream = net.converter(
        name, ports, cost=_deep(-case.worth[arcs]), upper=case.capacity[arcs][:, None, :],
        lower=case.least[arcs][:, None, :],
    )  # fmt: skip
    return stream.columns[:, 0, :]


def _treatment(net: Network, case: Case, nodes: tuple[Node, Node, Node], columns: Ints) -> None:
    """Arcs through units, whose electricity is bought or offered."""
    offers, needs, rooms = nodes
    power = net.node([f"power {unit.id}" for unit in case.units], owner=[unit.place for unit in case.units])
    net.source("grid", power, cost=_KILO * case.power_cost)
    recovery = np.array([unit.recovery for unit in case.units])
    through = np.flatnonzero((case.unit >= 0) & (case.need >= 0))
    if len(through):
        at = _list(case.unit[through])
        ports = [
            (offers[_list(case.offer[through])], -1.0),
            (needs[_list(case.need[through])], _deep(case.ratio[through])),
            (rooms[at], _deep(-recovery[case.unit[through]])),
            (power[at], _deep(-case.power[through] / _KILO)),
        ]
        columns[through] = _arcs(net, "treated", case, through, ports)
    given = np.flatnonzero((case.unit >= 0) & (case.need < 0))
    if len(given):
        ports = [
            (offers[_list(case.offer[given])], -1.0),
            (power[_list(case.unit[given])], _deep(case.ratio[given])),
        ]
        # the grid's price is already on what the units use: what is given only saves it, so its own worth leaves the purchase out
        own = case.worth[given] - case.money["purchase"][given] - case.money["carbon"][given]
        stream = net.converter("given", ports, cost=_deep(-own))
        columns[given] = stream.columns[:, 0, :]


def _blends(net: Network, case: Case, columns: Ints) -> None:
    """Each limit on a mix as a balance with a slack: sum of excess x amount + slack = 0."""
    if not case.blends:
        return
    nodes = net.node([f"mix {n} {blend.name}" for n, blend in enumerate(case.blends)])
    net.source("slack of mixes", nodes)
    for n, blend in enumerate(case.blends):
        net.inject(nodes[n], columns[blend.arcs][:, None, :], _deep(blend.excess))


def _groups(net: Network, case: Case, columns: Ints) -> None:
    """Each limit on dependence as a balance: what one place brings into a need = a rate that is limited."""
    if not case.groups:
        return
    owners = [case.needs[case.need[group.arcs[0]]].place for group in case.groups]
    nodes = net.node([f"share {n}" for n in range(len(case.groups))], owner=owners)
    net.source("most share", nodes, upper=np.array([group.limit for group in case.groups])[:, None, :])
    for n, group in enumerate(case.groups):
        net.inject(nodes[n], columns[group.arcs][:, None, :], _deep(-case.ratio[group.arcs]))


def _deep(values: Floats) -> Floats:
    """(k,) as (k, 1, 1): one an item, whatever the number of months."""
    return np.asarray(values, dtype=float)[:, None, None]


def _list(positions: Ints) -> list[int]:
    return [int(one) for one in positions]
