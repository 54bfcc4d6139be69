# SPDX-License-Identifier: Apache-2.0
"""The problems of `benchmarks/energy.py` built in PyPSA, linopy and Pyomo, each in the leanest form that the tool has.

Run by `energy.py`, one process for each tool and problem (HiGHS starts its threads once a process): `python benchmarks/energy_peers.py
TOOL JOB ROUNDS` prints one line of JSON with the objective and the least CPU seconds. Needs `benchmarks/requirements-peers.in`
and numpy, not Mangrove. Every tool gets the same HiGHS, one thread, the same solver by name, and no output.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from tests.network import instances
from tests.network.instances import ParkWeek, SiteDay, SizingYear

QUIET = {"output_flag": False, "threads": 1}
YEAR = {**QUIET, "solver": "hipo", "run_crossover": "off"}
JOBS: dict[str, Callable[[], Any]] = {
    "day": instances.site_day,
    "scenarios": instances.stochastic_day,
    "week": instances.park_week,
    "year": instances.sizing_year,
}


# --- PyPSA -----------------------------------------------------------------------------------------------------------


def _pypsa_network(steps: int, hours: float) -> Any:
    import pypsa

    network = pypsa.Network()
    network.set_snapshots(range(steps))
    network.snapshot_weightings = network.snapshot_weightings.astype(float) * hours
    return network


def _pypsa_solve(network: Any, options: dict[str, Any], rows: Any = None) -> float:
    network.optimize(
        solver_name="highs",
        io_api="direct",
        include_objective_constant=False,
        extra_functionality=rows,
        log_to_console=False,
        **options,
    )
    return float(network.objective)


def pypsa_day(day: SiteDay) -> tuple[Any, Callable[[], float]]:
    """The demand charge is the cost of an extendable import; a vehicle is a negative generator with a fixed sum of energy."""
    import pandas as pd

    n = _pypsa_network(day.steps, day.hours)
    steps = n.snapshots
    n.add("Bus", "bus")
    n.add("Load", "load", bus="bus", p_set=pd.Series(day.load[0], steps))
    n.add(
        "Generator",
        "import",
        bus="bus",
        p_nom_extendable=True,
        capital_cost=day.demand,
        p_nom_min=day.metered,
        p_nom_max=day.connection,
        marginal_cost=pd.Series(day.buy, steps),
    )
    n.add(
        "Generator",
        "export",
        bus="bus",
        sign=-1,
        p_nom=day.connection,
        marginal_cost=pd.Series(-day.sell, steps),
    )
    n.add("Generator", "pv", bus="bus", p_nom=1.0, p_max_pu=pd.Series(day.pv[0], steps))
    batteries = ["battery 1", "battery 2"]
    end = pd.DataFrame(np.nan, index=steps, columns=batteries)
    end.iloc[-1] = day.start
    n.add(
        "StorageUnit",
        batteries,
        bus="bus",
        p_nom=day.power,
        max_hours=day.energy / day.power,
        efficiency_store=day.efficiency,
        efficiency_dispatch=day.efficiency,
        state_of_charge_initial=day.start,
        state_of_charge_set=end,
        marginal_cost=day.wear,
    )
    ev = day.sessions
    names = [f"ev {i}" for i in range(len(ev.arrive))]
    there = pd.DataFrame(ev.plugged(day.steps).T.astype(float), index=steps, columns=names)
    wanted = ev.energy / ev.efficiency
    n.add(
        "Generator",
        names,
        bus="bus",
        sign=-1,
        p_nom=ev.power,
        p_max_pu=there,
        e_sum_min=wanted,
        e_sum_max=wanted,
    )
    return n, lambda: _pypsa_solve(n, QUIET)


def pypsa_week(week: ParkWeek) -> tuple[Any, Callable[[], float]]:
    """A bus for each firm, a link each way between firm and park."""
    import pandas as pd

    n = _pypsa_network(week.steps, week.hours)
    steps = n.snapshots
    names = [f"firm {i}" for i in range(week.firms)]
    n.add("Bus", ["park", *names])
    n.add("Load", names, suffix=" load", bus=names, p_set=pd.DataFrame(week.load.T, steps, names))
    roofs = np.flatnonzero(week.pv.max(axis=1) > 0)
    owners = [names[i] for i in roofs]
    n.add(
        "Generator",
        owners,
        suffix=" pv",
        bus=owners,
        p_nom=1.0,
        p_max_pu=pd.DataFrame(week.pv[roofs].T, steps, owners),
    )
    stores = np.flatnonzero(week.power > 0)
    owners = [names[i] for i in stores]
    n.add(
        "StorageUnit",
        owners,
        suffix=" battery",
        bus=owners,
        p_nom=week.power[stores],
        max_hours=week.energy[stores] / week.power[stores],
        efficiency_store=week.efficiency,
        efficiency_dispatch=week.efficiency,
        cyclic_state_of_charge=True,
        marginal_cost=week.wear,
    )
    n.add("Link", names, suffix=" out", bus0=names, bus1="park", p_nom=week.wire)
    n.add("Link", names, suffix=" in", bus0="park", bus1=names, p_nom=week.wire, marginal_cost=week.fee)
    n.add(
        "Generator",
        "import",
        bus="park",
        p_nom_extendable=True,
        capital_cost=week.demand,
        marginal_cost=pd.Series(week.buy, steps),
    )
    n.add("Generator", "export", bus="park", sign=-1, p_nom=1e6, marginal_cost=pd.Series(-week.sell, steps))
    return n, lambda: _pypsa_solve(n, QUIET)


def pypsa_year(year: SizingYear) -> tuple[Any, Callable[[], float]]:
    """Monthly peaks, the export share and the one converter of the battery are rows of our own; the CO2 cap is PyPSA's."""
    import pandas as pd

    n = _pypsa_network(year.steps, year.hours)
    steps, cost = n.snapshots, year.costs
    n.add("Carrier", "grid", co2_emissions=year.factor)
    n.add("Bus", ["bus", "battery", "hydrogen"])
    n.add("Load", "load", bus="bus", p_set=pd.Series(year.load, steps))
    n.add("Load", "process", bus="hydrogen", p_set=pd.Series(year.hydrogen, steps))
    n.add(
        "Generator",
        "import",
        bus="bus",
        carrier="grid",
        p_nom=year.connection,
        marginal_cost=pd.Series(year.buy, steps),
    )
    n.add(
        "Generator",
        "export",
        bus="bus",
        sign=-1,
        p_nom=year.connection,
        marginal_cost=pd.Series(-year.sell, steps),
    )
    for name, profile, price in (("pv", year.sun, cost.pv), ("wind", year.wind, cost.wind)):
        n.add(
            "Generator",
            name,
            bus="bus",
            p_nom_extendable=True,
            p_nom_max=year.most[name],
            capital_cost=price,
            p_max_pu=pd.Series(profile, steps),
        )
    eta, fuel = year.battery_efficiency, year.fuel_cell_efficiency
    n.add(
        "Store",
        "cells",
        bus="battery",
        e_nom_extendable=True,
        e_cyclic=True,
        capital_cost=cost.battery_energy,
    )
    n.add(
        "Link",
        ["charge", "discharge", "electrolyzer", "fuel cell"],
        bus0=["bus", "battery", "bus", "hydrogen"],
        bus1=["battery", "bus", "hydrogen", "bus"],
        efficiency=[eta, eta, year.electrolyzer_efficiency, fuel],
        capital_cost=[cost.battery_power, 0.0, cost.electrolyzer, cost.fuel_cell * fuel],
        marginal_cost=[0.0, year.wear * eta, 0.0, 0.0],
        p_nom_extendable=True,
    )
    n.add("Store", "tank", bus="hydrogen", e_nom_extendable=True, e_cyclic=True, capital_cost=cost.tank)
    n.add("GlobalConstraint", "co2", carrier_attribute="co2_emissions", sense="<=", constant=year.co2_cap)

    def rows(network: Any, _: Any) -> None:
        import xarray as xr

        m = network.model
        p, size = m.variables["Generator-p"], m.variables["Link-p_nom"]
        peak = m.add_variables(lower=0, coords=[pd.RangeIndex(12, name="month")], name="peak")
        month = xr.DataArray(year.month, coords={"snapshot": network.snapshots})
        m.add_constraints(p.sel(name="import") - peak.sel(month=month) <= 0, name="peak")
        made = p.sel(name=["pv", "wind"]).sum()
        m.add_constraints(p.sel(name="export").sum() - year.export_share * made <= 0, name="export")
        m.add_constraints(size.sel(name="charge") - eta * size.sel(name="discharge") == 0, name="converter")
        m.objective = m.objective + year.demand * peak.sum()

    return n, lambda: _pypsa_solve(n, YEAR, rows)


# --- linopy ----------------------------------------------------------------------------------------------------------


def _linopy_solve(model: Any, options: dict[str, Any]) -> float:
    model.solve("highs", io_api="direct", log_to_console=False, **options)
    return float(model.objective.value)


def linopy_day(day: SiteDay) -> tuple[Any, Callable[[], float]]:
    """Also with scenarios: then every stream but size-free ones has a further dimension, and the first steps are tied."""
    import linopy
    import pandas as pd
    import xarray as xr

    m = linopy.Model()
    s, t = pd.RangeIndex(day.scenarios, name="scenario"), pd.RangeIndex(day.steps, name="step")
    b = pd.RangeIndex(2, name="battery")
    v = pd.RangeIndex(len(day.sessions.arrive), name="vehicle")

    def over(values: Any, *dims: pd.Index) -> xr.DataArray:
        return xr.DataArray(values, coords=[(d.name, d) for d in dims])

    wide = {"coords": [s, t]}
    bought = m.add_variables(0, day.connection, name="import", **wide)
    sold = m.add_variables(0, day.connection, name="export", **wide)
    pv = m.add_variables(0, over(day.pv, s, t), name="pv", **wide)
    power, energy = over(day.power, b), over(day.energy, b)
    charge = m.add_variables(0, power, coords=[b, s, t], name="charge")
    discharge = m.add_variables(0, power, coords=[b, s, t], name="discharge")
    floor = xr.where(over(np.arange(day.steps) == day.steps - 1, t), over(day.start, b), 0.0)
    level = m.add_variables(floor, energy, coords=[b, s, t], name="level")
    ev = day.sessions
    limit = over(ev.plugged(day.steps) * ev.power[:, None], v, t)
    drive = m.add_variables(0, limit, coords=[v, s, t], mask=limit > 0, name="ev")
    peak = m.add_variables(day.metered, coords=[s], name="peak")
    change = day.hours * (day.efficiency * charge - discharge / day.efficiency)
    start = xr.where(over(np.arange(day.steps) == 0, t), over(day.start, b), 0.0)
    m.add_constraints(level - level.shift(step=1) - change == start, name="level")
    m.add_constraints(drive.sum("step") * day.hours == over(ev.energy / ev.efficiency, v), name="need")
    balance = bought - sold + pv + discharge.sum("battery") - charge.sum("battery") - drive.sum("vehicle")
    m.add_constraints(balance == over(day.load, s, t), name="balance")
    m.add_constraints(bought - peak <= 0, name="peak")
    if day.now:
        first, later = t[: day.now], s[1:]
        for name, stream in (("charge", charge), ("discharge", discharge), ("ev", drive)):
            tied = stream.sel(step=first, scenario=later) - stream.sel(step=first, scenario=0)
            m.add_constraints(tied == 0, name=f"same {name}")
    weight = day.hours / day.scenarios
    cost = (weight * over(day.buy, t) * bought - weight * over(day.sell, t) * sold).sum()
    m.add_objective(cost + weight * day.wear * discharge.sum() + day.demand / day.scenarios * peak.sum())
    return m, lambda: _linopy_solve(m, QUIET)


def linopy_week(week: ParkWeek) -> tuple[Any, Callable[[], float]]:
    """All firms at once."""
    import linopy
    import pandas as pd
    import xarray as xr

    m = linopy.Model()
    f, t = pd.RangeIndex(week.firms, name="firm"), pd.RangeIndex(week.steps, name="step")
    stores = f[week.power > 0]
    roofs = f[week.pv.max(axis=1) > 0]

    def over(values: Any, *dims: pd.Index) -> xr.DataArray:
        return xr.DataArray(values, coords=[("firm" if d.name == "firm" else d.name, d) for d in dims])

    wire, power = over(week.wire, f), over(week.power[stores], stores)
    send = m.add_variables(0, wire, coords=[f, t], name="out")
    take = m.add_variables(0, wire, coords=[f, t], name="in")
    pv = m.add_variables(0, over(week.pv[roofs], roofs, t), coords=[roofs, t], name="pv")
    charge = m.add_variables(0, power, coords=[stores, t], name="charge")
    discharge = m.add_variables(0, power, coords=[stores, t], name="discharge")
    level = m.add_variables(0, over(week.energy[stores], stores), coords=[stores, t], name="level")
    bought = m.add_variables(0, coords=[t], name="import")
    sold = m.add_variables(0, 1e6, coords=[t], name="export")
    peak = m.add_variables(0, name="peak")
    change = week.hours * (week.efficiency * charge - discharge / week.efficiency)
    m.add_constraints(level - level.roll(step=1) - change == 0, name="level")
    own = (pv + 0).reindex(firm=f) + (discharge - charge).reindex(firm=f)
    m.add_constraints(take - send + own == over(week.load, f, t), name="firm")
    m.add_constraints(bought - sold + send.sum("firm") - take.sum("firm") == 0, name="park")
    m.add_constraints(bought - peak <= 0, name="peak")
    cost = (over(week.buy, t) * bought - over(week.sell, t) * sold).sum()
    fees = week.fee * take.sum() + week.wear * discharge.sum()
    m.add_objective(week.hours * (cost + fees) + week.demand * peak)
    return m, lambda: _linopy_solve(m, QUIET)


def linopy_year(year: SizingYear) -> tuple[Any, Callable[[], float]]:
    """Hydrogen without an in/out pair at the tank; the night's sun left out of the rows by a mask."""
    import linopy
    import pandas as pd
    import xarray as xr

    m = linopy.Model()
    t = pd.RangeIndex(year.steps, name="step")
    hours, cost = year.hours, year.costs

    def over(values: Any) -> xr.DataArray:
        return xr.DataArray(values, coords=[("step", t)])

    def stream(name: str, upper: float = np.inf) -> Any:
        return m.add_variables(0, upper, coords=[t], name=name)

    bought, sold = stream("import", year.connection), stream("export", year.connection)
    pv, wind = stream("pv"), stream("wind")
    charge, discharge, level = stream("charge"), stream("discharge"), stream("level")
    electrolyzer, cell, tank = stream("electrolyzer"), stream("fuel cell"), stream("tank")
    size = {name: m.add_variables(0, year.most.get(name, np.inf), name=f"size {name}") for name in vars(cost)}
    peak = m.add_variables(0, coords=[pd.RangeIndex(12, name="month")], name="peak")
    m.add_constraints(
        bought - sold + pv + wind + discharge - charge - electrolyzer + cell == over(year.load), name="bus"
    )
    made = year.electrolyzer_efficiency * electrolyzer - cell / year.fuel_cell_efficiency
    m.add_constraints(tank - tank.roll(step=1) - hours * made == -hours * over(year.hydrogen), name="h2")
    eta = year.battery_efficiency
    change = hours * (eta * charge - discharge / eta)
    m.add_constraints(level - level.roll(step=1) - change == 0, name="level")
    m.add_constraints(pv - over(year.sun) * size["pv"] <= 0, name="pv")
    m.add_constraints(wind - over(year.wind) * size["wind"] <= 0, name="wind")
    for name, what, limit in (
        ("charge", charge, "battery_power"),
        ("discharge", discharge, "battery_power"),
        ("level limit", level, "battery_energy"),
        ("electrolyzer", electrolyzer, "electrolyzer"),
        ("cell", cell, "fuel_cell"),
        ("tank", tank, "tank"),
    ):
        m.add_constraints(what - size[limit] <= 0, name=name)
    month = xr.DataArray(year.month, coords={"step": t})
    m.add_constraints(bought - peak.sel(month=month) <= 0, name="peak")
    m.add_constraints(sold.sum() - year.export_share * (pv.sum() + wind.sum()) <= 0, name="export share")
    m.add_constraints(hours * year.factor * bought.sum() <= year.co2_cap, name="co2")
    running = (over(year.buy) * bought - over(year.sell) * sold + year.wear * discharge).sum()
    built = sum(price * size[name] for name, price in vars(cost).items())
    m.add_objective(hours * running + year.demand * peak.sum() + built)
    return m, lambda: _linopy_solve(m, YEAR)


# --- Pyomo -----------------------------------------------------------------------------------------------------------


def _pyomo_solve(model: Any, options: dict[str, Any]) -> float:
    from pyomo.contrib.appsi.solvers import Highs

    solver = Highs()
    solver.highs_options = {name: value for name, value in options.items() if name != "output_flag"}
    return float(solver.solve(model).best_feasible_objective)


def pyomo_day(day: SiteDay) -> tuple[Any, Callable[[], float]]:
    """Rows by list comprehension, as Pyomo's users write them."""
    import pyomo.environ as po

    m = po.ConcreteModel()
    ev, eta, h = day.sessions, day.efficiency, day.hours
    buy, sell = day.buy.tolist(), day.sell.tolist()
    load, sun = day.load.tolist(), day.pv.tolist()
    power, energy, start = day.power.tolist(), day.energy.tolist(), day.start.tolist()
    s_, t_, b_, v_ = range(day.scenarios), range(day.steps), range(2), range(len(ev.arrive))
    last = day.steps - 1
    inside = [(v, s, t) for v in v_ for s in s_ for t in range(int(ev.arrive[v]), int(ev.depart[v]))]
    m.buy = po.Var(s_, t_, bounds=(0, day.connection))
    m.sell = po.Var(s_, t_, bounds=(0, day.connection))
    m.pv = po.Var(s_, t_, bounds=lambda _, s, t: (0, sun[s][t]))
    m.charge = po.Var(b_, s_, t_, bounds=lambda _, b, _s, _t: (0, power[b]))
    m.discharge = po.Var(b_, s_, t_, bounds=lambda _, b, _s, _t: (0, power[b]))
    m.level = po.Var(b_, s_, t_, bounds=lambda _, b, _s, t: (start[b] if t == last else 0, energy[b]))
    m.ev = po.Var(inside, bounds=lambda _, v, _s, _t: (0, float(ev.power[v])))
    m.peak = po.Var(s_, bounds=(day.metered, None))
    there: dict[tuple[int, int], list[int]] = {(s, t): [] for s in s_ for t in t_}
    for v, s, t in inside:
        there[s, t].append(v)

    def balance(_: Any, s: int, t: int) -> Any:
        flow = m.buy[s, t] - m.sell[s, t] + m.pv[s, t] - sum(m.ev[v, s, t] for v in there[s, t])
        return flow + sum(m.discharge[b, s, t] - m.charge[b, s, t] for b in b_) == load[s][t]

    def store(_: Any, b: int, s: int, t: int) -> Any:
        before = m.level[b, s, t - 1] if t else start[b]
        change = h * (eta * m.charge[b, s, t] - m.discharge[b, s, t] / eta)
        return m.level[b, s, t] - before - change == 0

    def need(_: Any, v: int, s: int) -> Any:
        span = range(int(ev.arrive[v]), int(ev.depart[v]))
        return sum(m.ev[v, s, t] for t in span) * h == float(ev.energy[v] / ev.efficiency)

    m.balance = po.Constraint(s_, t_, rule=balance)
    m.store = po.Constraint(b_, s_, t_, rule=store)
    m.need = po.Constraint(v_, s_, rule=need)
    m.over = po.Constraint(s_, t_, rule=lambda _, s, t: m.buy[s, t] - m.peak[s] <= 0)
    if day.now:
        pairs = [(s, t) for s in s_[1:] for t in range(day.now)]
        m.same_in = po.Constraint(b_, pairs, rule=lambda _, b, s, t: m.charge[b, s, t] == m.charge[b, 0, t])
        m.same_out = po.Constraint(
            b_, pairs, rule=lambda _, b, s, t: m.discharge[b, s, t] == m.discharge[b, 0, t]
        )
        early = [(v, s, t) for v, s, t in inside if s and t < day.now]
        m.same_ev = po.Constraint(early, rule=lambda _, v, s, t: m.ev[v, s, t] == m.ev[v, 0, t])
    w = h / day.scenarios
    cost = sum(w * (buy[t] * m.buy[s, t] - sell[t] * m.sell[s, t]) for s in s_ for t in t_)
    wear = sum(w * day.wear * m.discharge[b, s, t] for b in b_ for s in s_ for t in t_)
    m.cost = po.Objective(expr=cost + wear + sum(day.demand / day.scenarios * m.peak[s] for s in s_))
    return m, lambda: _pyomo_solve(m, QUIET)


def pyomo_week(week: ParkWeek) -> tuple[Any, Callable[[], float]]:
    """A row for each firm and step."""
    import pyomo.environ as po

    m = po.ConcreteModel()
    h, eta = week.hours, week.efficiency
    load, sun, wire = week.load.tolist(), week.pv.tolist(), week.wire.tolist()
    buy, sell = week.buy.tolist(), week.sell.tolist()
    power, energy = week.power.tolist(), week.energy.tolist()
    f_, t_ = range(week.firms), range(week.steps)
    stores, roofs = [i for i in f_ if power[i] > 0], [i for i in f_ if max(sun[i]) > 0]
    m.send = po.Var(f_, t_, bounds=lambda _, i, _t: (0, wire[i]))
    m.take = po.Var(f_, t_, bounds=lambda _, i, _t: (0, wire[i]))
    m.pv = po.Var(roofs, t_, bounds=lambda _, i, t: (0, sun[i][t]))
    m.charge = po.Var(stores, t_, bounds=lambda _, i, _t: (0, power[i]))
    m.discharge = po.Var(stores, t_, bounds=lambda _, i, _t: (0, power[i]))
    m.level = po.Var(stores, t_, bounds=lambda _, i, _t: (0, energy[i]))
    m.buy, m.sell = po.Var(t_, bounds=(0, None)), po.Var(t_, bounds=(0, 1e6))
    m.peak = po.Var(bounds=(0, None))
    has_store, has_roof = set(stores), set(roofs)

    def firm(_: Any, i: int, t: int) -> Any:
        flow = m.take[i, t] - m.send[i, t]
        if i in has_roof:
            flow += m.pv[i, t]
        if i in has_store:
            flow += m.discharge[i, t] - m.charge[i, t]
        return flow == load[i][t]

    def store(_: Any, i: int, t: int) -> Any:
        change = h * (eta * m.charge[i, t] - m.discharge[i, t] / eta)
        return m.level[i, t] - m.level[i, (t - 1) % week.steps] - change == 0

    m.firm = po.Constraint(f_, t_, rule=firm)
    m.store = po.Constraint(stores, t_, rule=store)
    m.park = po.Constraint(
        t_, rule=lambda _, t: m.buy[t] - m.sell[t] + sum(m.send[i, t] - m.take[i, t] for i in f_) == 0
    )
    m.over = po.Constraint(t_, rule=lambda _, t: m.buy[t] - m.peak <= 0)
    fees = sum(h * week.fee * m.take[i, t] for i in f_ for t in t_)
    wear = sum(h * week.wear * m.discharge[i, t] for i in stores for t in t_)
    gate = sum(h * (buy[t] * m.buy[t] - sell[t] * m.sell[t]) for t in t_)
    m.cost = po.Objective(expr=gate + fees + wear + week.demand * m.peak)
    return m, lambda: _pyomo_solve(m, QUIET)


def pyomo_year(year: SizingYear) -> tuple[Any, Callable[[], float]]:
    """The same rows as in linopy."""
    import pyomo.environ as po

    m = po.ConcreteModel()
    h, eta, last = year.hours, year.battery_efficiency, year.steps
    load, hydrogen, sun, wind = (a.tolist() for a in (year.load, year.hydrogen, year.sun, year.wind))
    buy, sell, month = year.buy.tolist(), year.sell.tolist(), year.month.tolist()
    t_, prices = range(last), vars(year.costs)
    m.size = po.Var(list(prices), bounds=lambda _, name: (0, year.most.get(name)))
    m.buy, m.sell = (po.Var(t_, bounds=(0, year.connection)) for _ in range(2))
    m.pv, m.wind, m.charge, m.discharge, m.level = (po.Var(t_, bounds=(0, None)) for _ in range(5))
    m.electrolyzer, m.cell, m.tank = (po.Var(t_, bounds=(0, None)) for _ in range(3))
    m.peak = po.Var(range(12), bounds=(0, None))

    def bus(_: Any, t: int) -> Any:
        store = m.discharge[t] - m.charge[t] - m.electrolyzer[t] + m.cell[t]
        return m.buy[t] - m.sell[t] + m.pv[t] + m.wind[t] + store == load[t]

    def gas(_: Any, t: int) -> Any:
        made = year.electrolyzer_efficiency * m.electrolyzer[t] - m.cell[t] / year.fuel_cell_efficiency
        return m.tank[t] - m.tank[(t - 1) % last] - h * made == -h * hydrogen[t]

    def store(_: Any, t: int) -> Any:
        change = h * (eta * m.charge[t] - m.discharge[t] / eta)
        return m.level[t] - m.level[(t - 1) % last] - change == 0

    m.bus, m.gas, m.store = (po.Constraint(t_, rule=rule) for rule in (bus, gas, store))
    m.sun_limit = po.Constraint(t_, rule=lambda _, t: m.pv[t] - sun[t] * m.size["pv"] <= 0)
    m.wind_limit = po.Constraint(t_, rule=lambda _, t: m.wind[t] - wind[t] * m.size["wind"] <= 0)
    for name, what, limit in (
        ("charge_limit", m.charge, "battery_power"),
        ("discharge_limit", m.discharge, "battery_power"),
        ("level_limit", m.level, "battery_energy"),
        ("electrolyzer_limit", m.electrolyzer, "electrolyzer"),
        ("cell_limit", m.cell, "fuel_cell"),
        ("tank_limit", m.tank, "tank"),
    ):
        rows = po.Constraint(t_, rule=lambda _, t, what=what, limit=limit: what[t] - m.size[limit] <= 0)
        setattr(m, name, rows)
    m.over = po.Constraint(t_, rule=lambda _, t: m.buy[t] - m.peak[month[t]] <= 0)
    made = sum(m.pv[t] + m.wind[t] for t in t_)
    m.share = po.Constraint(expr=sum(m.sell[t] for t in t_) - year.export_share * made <= 0)
    m.co2 = po.Constraint(expr=sum(h * year.factor * m.buy[t] for t in t_) <= year.co2_cap)
    running = sum(h * (buy[t] * m.buy[t] - sell[t] * m.sell[t] + year.wear * m.discharge[t]) for t in t_)
    built = sum(price * m.size[name] for name, price in prices.items())
    m.cost = po.Objective(expr=running + year.demand * sum(m.peak[k] for k in range(12)) + built)
    return m, lambda: _pyomo_solve(m, YEAR)


BUILDERS: dict[str, Callable[[Any], tuple[Any, Callable[[], float]]]] = {
    "pypsa day": pypsa_day,
    "pypsa week": pypsa_week,
    "pypsa year": pypsa_year,
    "linopy day": linopy_day,
    "linopy scenarios": linopy_day,
    "linopy week": linopy_week,
    "linopy year": linopy_year,
    "pyomo day": pyomo_day,
    "pyomo scenarios": pyomo_day,
    "pyomo week": pyomo_week,
    "pyomo year": pyomo_year,
}
"""PyPSA has no dispatch under scenarios (its scenarios are for investments), so it has no fourth row."""


def main() -> None:
    """Builds and solves ROUNDS times and prints the fastest round."""
    tool, job, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    problem, builder = JOBS[job](), BUILDERS[f"{tool} {job}"]
    best: dict[str, Any] = {}
    for _ in range(rounds):
        begin = time.process_time()
        _, solve = builder(problem)
        built = time.process_time()
        objective = solve()
        end = time.process_time()
        if not best or end - begin < best["total"]:
            best = {
                "build": built - begin,
                "solve": end - built,
                "total": end - begin,
                "objective": objective,
            }
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best |= {
        "tool": tool,
        "job": job,
        "memory": memory,
        "version": version(tool),
        "highs": version("highspy"),
    }
    print(json.dumps(best))


if __name__ == "__main__":
    main()
