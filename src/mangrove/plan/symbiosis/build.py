# SPDX-License-Identifier: Apache-2.0
"""A case as one network of twelve months: material, water, heat and electricity are the same rows.

Comes in: a `Case`. Goes out: a `Built`: the network and the columns of every arc. A rate is an amount per month (a step counts as one
hour of the network's clock).

    x[a,t] >= 0                          units of the offer on arc a in month t
    sum over arcs of offer i  x  (+ store) = s[i,t],          s <= supply
    sum over arcs of need j   ratio x = d[j,t],               d <= demand
    sum over arcs of unit u   recovery x <= capacity;         power x <= grid + offered electricity
    sum over arcs of need j   (content - limit) ratio x <= 0  for each property that a mix must meet
    sum over arcs of place p into need j  ratio x <= share x demand
    minimize  - sum worth x + price x grid
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.network import Horizon, Network
from mangrove.network.handles import Node
from mangrove.plan.symbiosis import amounts
from mangrove.plan.symbiosis.model import MONTHS, Case, Floats, Ints

_KILO = 1000.0


@dataclass(eq=False)
class Built:
    """The network of a case: `columns` (A, 12) of its arcs, the nodes of offers and needs."""

    case: Case
    net: Network
    columns: Ints
    offers: Node
    needs: Node

    def most(self) -> Floats:
        """(A, 12) the largest amount that any plan can have on each arc: the tighter, the better the bound of a design."""
        case = self.case
        kept = np.array([amounts.storage(one) for one in case.offers])[case.offer][:, None]
        supply = np.where(
            kept > 0, case.supply[case.offer].sum(axis=1, keepdims=True), case.supply[case.offer]
        )
        taken = case.demand[case.need] / case.ratio[:, None]
        bought = np.full(MONTHS, np.inf)
        limit = np.where((case.need >= 0)[:, None], taken, bought)
        return np.minimum(np.minimum(supply, limit), case.capacity)


def build(case: Case) -> Built:
    """The network of a case with at least one arc."""
    net = Network(Horizon.regular(MONTHS, 1.0))
    offers, needs = _parties(net, case)
    columns = np.zeros((len(case), MONTHS), dtype=np.int64)
    direct = np.flatnonzero(case.unit < 0)
    if len(direct):
        ports = [
            (offers[_list(case.offer[direct])], -1.0),
            (needs[_list(case.need[direct])], _deep(case.ratio[direct])),
        ]
        columns[direct] = _arcs(net, "exchange", case, direct, ports)
    if len(case.units):
        _treatment(net, case, offers, needs, columns)
    _blends(net, case, columns)
    _groups(net, case, columns)
    return Built(case, net, columns, offers, needs)


def _parties(net: Network, case: Case) -> tuple[Node, Node]:
    """Nodes of offers and needs, what comes in and goes out at most, and stores."""
    offers = net.node([f"offer {one.id}" for one in case.offers], owner=[one.place for one in case.offers])
    needs = net.node([f"need {one.id}" for one in case.needs], owner=[one.place for one in case.needs])
    net.source("supply", offers, upper=case.supply[:, None, :])
    net.sink("demand", needs, upper=case.demand[:, None, :])
    kept = np.array([amounts.storage(one) for one in case.offers])
    stored = np.flatnonzero(kept > 0)
    if len(stored):
        net.store("store", offers[_list(stored)], energy=kept[stored][:, None, None])
    return offers, needs


def _arcs(net: Network, name: str, case: Case, arcs: Ints, ports: Sequence[tuple[Node, object]]) -> Ints:
    """(k, 12) columns of some arcs."""
    stream = net.converter(
        name, ports, cost=_deep(-case.worth[arcs]), upper=case.capacity[arcs][:, None, :],
        lower=case.least[arcs][:, None, :],
    )  # fmt: skip
    return stream.columns[:, 0, :]


def _treatment(net: Network, case: Case, offers: Node, needs: Node, columns: Ints) -> None:
    """Units: what leaves them is limited, and their electricity is bought or offered."""
    owners = [unit.place for unit in case.units]
    rooms = net.node([f"unit {unit.id}" for unit in case.units], owner=owners)
    most = np.array([unit.capacity for unit in case.units])
    net.source("unit capacity", rooms, upper=np.broadcast_to(most[:, None, None], (len(most), 1, MONTHS)))
    power = net.node([f"power {unit.id}" for unit in case.units], owner=owners)
    net.source("grid", power, cost=_KILO * case.power_price)
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
