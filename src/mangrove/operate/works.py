# SPDX-License-Identifier: Apache-2.0
"""The simulated units of a site: boilers, heat pumps and stores follow their set-points as far as the needs of the moment allow.

Comes in: set-points, the measured needs of a step, the price of electricity. Goes out: what each unit really did, what it drew from
the bus, what was bought, what is in the stores. The fast control of a plant room is one small program a step: every carrier balances,
needs come first, then the set-points of converters and stores, and among equals the cheapest way. A rule without set-points for units
thus runs them in the order of their cost and lets the stores rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mangrove.operate.devices import NO_LIMIT, limits_of_unit
from mangrove.operate.machines import Machines, Moment
from mangrove.operate.site import Site
from mangrove.operate.units import FLEXIBLE, STORES, Unit

STRAY, LACK = 1e2, 1e5
"""What a unit of deviation from a set-point and of unmet need weigh, against the dearest price of the site as one."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What the units did in a step, kW (or units per hour) each.

    Attributes:
        powers: of the activity by unit; stores positive while they charge; electric: drawn from the bus (negative: given).
        bought: by carrier; lacking: by carrier, what no unit could give.
    """

    powers: Mapping[str, float]
    electric: float
    bought: Mapping[str, float]
    lacking: Mapping[str, float]


class Works:
    """The units of one site, simulated.

    Args:
        site: with converters and stores (flexible loads stay in the load).
        hours: length of a step.
        levels: amounts in the stores at the beginning; empty where nothing is said.
        units: what units really are, where that is not what is declared.
    """

    def __init__(
        self,
        site: Site,
        hours: float,
        *,
        levels: Mapping[str, float] | None = None,
        units: Sequence[Unit] = (),
    ) -> None:
        from mangrove.network import Horizon, Network

        real = {unit.id: unit for unit in (*site.units, *units)}
        own = tuple(real[unit.id] for unit in site.units if unit.kind not in FLEXIBLE)
        self.site = replace(site, units=own)
        self.limits = {
            unit.id: limits_of_unit(unit) for unit in site.units if unit.id in {one.id for one in own}
        }
        self.levels = {unit.id: (levels or {}).get(unit.id, 0.0) for unit in own if unit.kind in STORES}
        self.net = net = Network(Horizon.regular(1, hours))
        bus = net.node(site.place)
        self.grid = net.source("electricity", bus, lower=-NO_LIMIT, upper=NO_LIMIT)
        self.moment = Moment({need.name: np.zeros((1, 1)) for need in site.needs}, self.levels)
        self.machines = Machines(net, bus, self.site, self.moment)
        top = max([one.cost for one in site.supplies], default=0.0)
        self.dearest = max(top, 1.0)
        self.lack = {c: net.source(f"{c} lacking", node) for c, node in self.machines.nodes.items()}
        self.stray: dict[str, Any] = {
            unit.id: self._follow(unit) for unit in own if unit.kind != "hydrogen_store"
        }

    def _follow(self, unit: Unit) -> tuple[Any, Any]:
        """Activity - above + below = set-point: the two columns and the row."""
        lp, streams = self.net.program, self.machines.streams
        signs = (
            {"charge": 1.0, "discharge": -1.0}
            if unit.kind == "thermal_store"
            else {"output": 1.0, "condensing": 1.0}
        )
        if unit.kind == "electrolyzer":
            signs = {"input": 1.0}
        columns = lp.columns(f"{unit.id} stray", (2,))
        row = lp.rows(f"{unit.id} stray", (1,))
        for role, sign in signs.items():
            if f"{unit.id} {role}" in streams:
                lp.terms(row, streams[f"{unit.id} {role}"].columns.ravel(), sign)
        lp.terms(row, columns[:1], -1.0)
        lp.terms(row, columns[1:], 1.0)
        return columns, row

    def step(
        self, needs: Mapping[str, float], orders: Mapping[str, float], price: float, room: float
    ) -> Worked:
        """Runs one step.

        Args:
            needs: measured, by name of `Site.needs`, in units per hour.
            orders: set-points by unit; converters without one run in the order of their cost.
            price: money per kWh of electricity.
            room: kW that may be given to the bus at the most.
        """
        net, lp = self.net, self.net.program
        series = {need.name: np.full((1, 1), needs[need.name]) for need in self.site.needs}
        self.machines.update(Moment(series, self.levels))
        money = max(self.dearest, price)
        net.update(self.grid, cost=price, lower=-max(room, 0.0), upper=NO_LIMIT)
        for source in self.lack.values():
            net.update(source, cost=LACK * money)
        for unit in self.site.units:
            if unit.id in self.stray:
                columns, row = self.stray[unit.id]
                store = unit.kind in STORES
                wanted = orders.get(unit.id, 0.0)
                limits = self.limits[unit.id]
                lp.row_lower[row] = lp.row_upper[row] = min(max(wanted, limits.low), limits.high)
                # A store may stray before a converter does: it is there for that.
                free = not store and unit.id not in orders
                lp.cost[columns] = (
                    0.0 if free else STRAY * money * (0.5 if store else 1.0) * net.horizon.hours[0]
                )
        solved = net.solve()
        for id_, store in self.machines.stores.items():
            self.levels[id_] = max(float(solved.level(store)[0, 0, 0]), 0.0)
        one = {id_: float(kw[0, 0]) for id_, kw in self.machines.setpoints(solved, self.moment).items()}
        bought = {c: float(solved.rate(stream)[0, 0, 0]) for c, stream in self.machines.bought.items()}
        lacking = {c: float(solved.rate(stream)[0, 0, 0]) for c, stream in self.lack.items()}
        return Worked(one, float(solved.rate(self.grid)[0, 0, 0]), bought, lacking)
