"""The problems of `instances.py` as networks: what the tests solve and the benchmarks time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tests.network.instances import Array, ParkWeek, SiteDay, SizingYear

from mangrove.network import Horizon, Network
from mangrove.network.typical import typical_days


@dataclass
class Site:
    """A site day as a network, with the handles that a new plan updates."""

    net: Network
    grid: Any
    export: Any
    pv: Any
    load: Any
    batteries: Any
    vehicles: Any
    peak: Any

    @classmethod
    def of(cls, day: SiteDay) -> "Site":
        """The network of one site under all scenarios of the day."""
        shares = np.full(day.scenarios, 1 / day.scenarios)
        net = Network(
            Horizon.regular(day.steps, day.hours), probabilities=tuple(shares), here_and_now=day.now
        )
        bus = net.node("factory")
        grid = net.source("grid", bus, cost=day.buy, upper=day.connection)
        export = net.sink("export", bus, cost=-day.sell, upper=day.connection)
        pv = net.source("pv", bus, upper=day.pv[None])
        load = net.sink("load", bus, amount=day.load[None])
        batteries = net.store(
            "battery",
            bus if len(day.energy) == 1 else bus[[0] * len(day.energy)],
            energy=day.energy,
            charge=day.power,
            discharge=day.power,
            efficiency=(day.efficiency, day.efficiency),
            start=day.start,
            end="cyclic",
            wear=day.wear,
        )
        ev = day.sessions
        vehicles = net.sessions(
            "ev",
            bus,
            arrive=ev.arrive,
            depart=ev.depart,
            energy=ev.energy,
            power=ev.power,
            efficiency=ev.efficiency,
        )
        peak = net.peak("demand", [grid], price=day.demand, metered=[day.metered])
        return cls(net, grid, export, pv, load, batteries, vehicles, peak)


def week_network(week: ParkWeek) -> Network:
    """Firms behind the park bus; every node belongs to its firm."""
    net = Network(Horizon.regular(week.steps, week.hours))
    names = [f"firm {i}" for i in range(week.firms)]
    firms, park = net.node(names, owner=names), net.node("park", owner="park")
    net.link("out", firms, park, capacity=week.wire)
    net.link("in", park, firms, capacity=week.wire, cost=week.fee)
    roofs, stores = np.flatnonzero(week.pv.max(axis=1) > 0), np.flatnonzero(week.power > 0)
    if len(roofs):
        net.source("pv", firms[roofs], upper=week.pv[roofs])
    if len(stores):
        net.store(
            "battery",
            firms[stores],
            energy=week.energy[stores],
            charge=week.power[stores],
            discharge=week.power[stores],
            efficiency=(week.efficiency, week.efficiency),
            wear=week.wear,
        )
    grid = net.source("grid", park, cost=week.buy)
    net.sink("export", park, cost=-week.sell)
    net.sink("load", firms, amount=week.load)
    net.peak("demand", [grid], price=week.demand, owner="park")
    return net


def year_network(
    year: SizingYear,
    horizon: Horizon | None = None,
    profiles: dict[str, Array] | None = None,
    group: Any = None,
) -> Network:
    """The sizing year, or the same plant over representative days."""
    at = profiles or vars(year)
    net = Network(horizon or Horizon.regular(year.steps, year.hours))
    bus, gas = net.node("plant"), net.node("hydrogen")
    cost = year.costs
    size = {
        name: net.capacity(name, cost=price, upper=year.most.get(name, np.inf))
        for name, price in vars(cost).items()
    }
    grid = net.source("grid", bus, cost=at["buy"], upper=year.connection)
    export = net.sink("export", bus, cost=-at["sell"], upper=year.connection)
    pv = net.source("sun", bus, capacity=size["pv"], profile=at["sun"])
    wind = net.source("breeze", bus, capacity=size["wind"], profile=at["wind"])
    eta = year.battery_efficiency
    net.store(
        "cells",
        bus,
        energy=size["battery_energy"],
        charge=size["battery_power"],
        discharge=size["battery_power"],
        efficiency=(eta, eta),
        wear=year.wear,
    )
    net.converter(
        "electrolysis", [(bus, -1.0), (gas, year.electrolyzer_efficiency)], capacity=size["electrolyzer"]
    )
    net.converter("cell", [(gas, -1 / year.fuel_cell_efficiency), (bus, 1.0)], capacity=size["fuel_cell"])
    lean = {} if profiles else {"charge": None, "discharge": None}
    net.store("gas tank", gas, energy=size["tank"], **lean)
    net.sink("load", bus, amount=at["load"])
    net.sink("process", gas, amount=at["hydrogen"])
    net.peak("demand", [grid], price=year.demand, group=year.month if group is None else group)
    net.budget(
        "export share", [(export, 1.0), (pv, -year.export_share), (wind, -year.export_share)], upper=0.0
    )
    net.budget("co2", [(grid, year.factor)], upper=year.co2_cap)
    return net


def preview_network(year: SizingYear, count: int = 12) -> Network:
    """The year as a dozen representative days and the day of the highest load; peaks once for each month and day."""
    names = ("load", "hydrogen", "sun", "wind", "buy", "sell")
    days = typical_days(
        {name: getattr(year, name) for name in names}, count=count, highest=("load",), exact=("buy", "sell")
    )
    months = year.month[::24]
    group = np.zeros((12, len(days.days) * 24), dtype=bool)
    for month, steps in days.occurs(months).items():
        group[month, steps] = True
    return year_network(year, days.horizon, dict(days.profiles), group)
