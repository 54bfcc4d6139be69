"""The core against published answers, against PyPSA on drawn networks, and against laws that hold for any network."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network import built, instances

from mangrove.network import Horizon, Network

# --- published answers -------------------------------------------------------------------------------------------------


def test_the_toy_battery_of_flexmeasures_earns_what_flexmeasures_says():
    # tutorial "toy example" of FlexMeasures 1.0.1: 450 kWh, 500 kW, 90 % round trip, 225 kWh at 7:00, at least 50 kWh
    price = np.repeat([9, 9.5, 9, 8.5, 10, 8, 5, 4, 4, 5.5, 8, 12], 4) / 1000.0  # EUR/kWh
    net = Network(Horizon.regular(48, 0.25))
    bus = net.node("site")
    net.source("buy", bus, cost=price)
    net.sink("sell", bus, cost=-price)
    each_way = 0.9**0.5
    net.store(
        "battery",
        bus,
        energy=450.0,
        charge=500.0,
        discharge=500.0,
        efficiency=(each_way, each_way),
        start=225.0,
        end="free",
        floor=50.0,
    )
    assert net.solve().cost == pytest.approx(-4.655136238906, abs=1e-9)


def test_the_single_battery_of_emhass_earns_what_emhass_pins():
    # davidusb-geek/emhass@dd6425c: tests/test_multi_battery_optimization.py, TestMultiBatteryN1RegressionPin
    load = np.array([600, 550, 600, 700, 900, 1100, 1000, 800, 700, 650]) / 1000.0
    sun = np.array([0, 0, 0, 500, 3000, 4500, 3200, 800, 0, 0]) / 1000.0
    buy = np.array([0.30, 0.28, 0.28, 0.32, 0.10, 0.10, 0.12, 0.35, 0.40, 0.38])
    sell = np.array([0.05, 0.05, 0.05, 0.06, 0.04, 0.04, 0.04, 0.06, 0.07, 0.07])
    net = Network(Horizon.regular(10, 0.5))
    bus = net.node("house")
    net.source("grid", bus, cost=buy, upper=50.0)
    net.sink("export", bus, cost=-sell, upper=sun)  # set_nodischarge_to_grid
    net.source("pv", bus, upper=sun, lower=sun)
    net.sink("load", bus, amount=load)
    battery = net.store(
        "battery",
        bus,
        energy=9.0,
        charge=3.5,
        discharge=4.0,
        efficiency=(0.93, 0.94),
        start=4.0,
        end=5.0,
        floor=2.0,
        wear=0.05,
    )
    net.update(battery.charging, cost=0.05)
    assert -net.solve().cost == pytest.approx(-0.19514378860672618, abs=1e-6)


def emhass_days(path):
    """The published run in days of 48 half-hours: columns of floats by name."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith(("P_", "unit_", "cost_"))]
    table = {name: np.array([float(row[name]) for row in rows]) for name in names}
    for first in range(0, len(rows), 48):
        yield {name: column[first : first + 48] for name, column in table.items()}


def emhass_plan(day, *, import_cost, run_cost, sell, curtail):
    """Two loads of 3,000 and 750 W that run 5 and 8 hours a day, whenever it suits; each is on or off."""
    net = Network(Horizon.regular(48, 0.5))
    bus = net.node("house")
    sun = day["P_PV"] / 1000
    net.source("grid", bus, cost=import_cost, upper=9.0)
    net.sink("export", bus, cost=-sell, upper=9.0)
    net.source("pv", bus, upper=sun, lower=0.0 if curtail else sun)
    net.sink("load", bus, amount=day["P_Load"] / 1000, tier=None)
    for name, power, hours in (("first", 3.0, 5), ("second", 0.75, 8)):
        run = net.sink(name, bus, upper=power, cost=run_cost)
        net.minimum(run, power)
        net.budget(f"{name} hours", [(run, 1.0)], lower=power * hours, upper=power * hours, tier=None)
    return net.solve(gap=0.0)


@pytest.mark.data
@pytest.mark.parametrize(
    "run", ["perfect_optim_profit", "perfect_optim_cost", "perfect_optim_self-consumption", "latest"]
)
def test_published_days_of_emhass_cost_what_emhass_says(data_dir, run):
    # EMHASS maximises profit; or minimises the cost of all consumption, the sun's share included; or weighs imports 1,000 fold
    for day in emhass_days(data_dir / "energy" / "emhass" / f"opt_res_{run}.csv"):
        price, sell = day["unit_load_cost"], day["unit_prod_price"]
        weight = {"perfect_optim_cost": 0.0, "perfect_optim_self-consumption": 1000.0}.get(run, 1.0)
        all_of_it = run == "perfect_optim_cost"
        plan = emhass_plan(
            day,
            import_cost=weight * price,
            run_cost=price if all_of_it else 0.0,
            sell=np.zeros(48) if all_of_it else sell,
            curtail=run == "latest",
        )
        if all_of_it:
            published = -day["cost_fun_cost"].sum() - 0.5e-3 * float(price @ day["P_Load"])
        else:
            published = 0.5e-3 * float(weight * price @ day["P_grid_pos"] + sell @ day["P_grid_neg"])
        assert plan.cost == pytest.approx(published, rel=1e-6, abs=2e-6)  # the file rounds to 1e-4 W


@pytest.mark.data
def test_a_published_plant_of_reopt_costs_what_reopt_says(data_dir):
    # North Thuan A: fixed sizes, flat price, 8,760 h; present worth as in REopt, rounded to five decimals as it does
    folder = data_dir / "energy" / "reopt"
    case = json.loads((folder / "north_thuan_scenario_a.json").read_text(encoding="utf-8"))
    found = json.loads((folder / "north_thuan_scenario_a_reopt-results.json").read_text(encoding="utf-8"))
    money, terms, battery = found["Financial"], case["Financial"], case["ElectricStorage"]
    years = np.arange(1, terms["analysis_years"] + 1)
    ratio = {
        name: (1 + terms[f"{name}_cost_escalation_rate_fraction"])
        / (1 + terms["offtaker_discount_rate_fraction"])
        for name in ("elec", "om")
    }
    worth = {name: round(float((r**years).sum()), 5) for name, r in ratio.items()}
    kept = 1 - terms["offtaker_tax_rate_fraction"]
    r = ratio["elec"]
    level = round(float((r**years * 0.995 ** (years - 1)).sum() / (r**years).sum()), 5)
    load = np.array(case["ElectricLoad"]["loads_kw"])
    price = np.array(case["ElectricTariff"]["tou_energy_rates_per_kwh"]) * worth["elec"] * kept
    sold = case["ElectricTariff"]["wholesale_rate"] * worth["elec"] * kept
    assert float(price @ load) == pytest.approx(money["lcc_bau"], rel=1e-9)

    net = Network(Horizon.regular(8760, 1.0))
    bus, clean = net.node("plant"), net.node("clean")
    net.source("grid", bus, cost=price)
    for name, derate in (("PV", level), ("Wind", 1.0)):
        made = np.array(found[name]["production_factor_series"]) * found[name]["size_kw"] * derate
        net.source(name, clean, upper=made)
    net.link("use", clean, bus)
    net.sink("load", bus, amount=load, tier=None)
    net.sink("export", clean, cost=-sold)
    store = net.node("store")
    size, power = battery["max_kwh"], battery["max_kw"]
    into, out = (1 - battery[f"{way}_efficiency"] for way in ("charge", "discharge"))
    net.link("charge", clean, store, capacity=power, loss=into)  # from sun and wind only
    net.link("discharge", store, bus, capacity=power / (1 - out), loss=out)
    net.store(
        "cells",
        store,
        energy=size,
        charge=None,
        discharge=None,
        start=size / 2,
        end="free",
        floor=size * battery["soc_min_fraction"],
    )
    plan = net.solve()
    upkeep = sum(case[name]["om_cost_per_kw"] * found[name]["size_kw"] for name in ("PV", "Wind"))
    capital = (
        sum(case[name]["installed_cost_per_kw"] * found[name]["size_kw"] for name in ("PV", "Wind"))
        + battery["installed_cost_per_kw"] * power
        + battery["installed_cost_per_kwh"] * size
    )
    fraction = (money["year_one_om_costs_before_tax"] - upkeep) / (
        battery["installed_cost_per_kw"] * power + battery["installed_cost_per_kwh"] * size
    )
    assert fraction == pytest.approx(0.025, rel=1e-9)
    assert capital == pytest.approx(money["lifecycle_capital_costs"], rel=1e-12)
    om = money["year_one_om_costs_before_tax"] * worth["om"] * kept
    assert om == pytest.approx(money["lifecycle_om_costs_after_tax"], rel=1e-6)
    lifecycle = plan.cost + capital + om
    assert (
        lifecycle <= money["lcc"]
    )  # the published run stopped within its tolerance; the optimum is a little cheaper
    assert lifecycle == pytest.approx(money["lcc"], rel=1e-5)


# --- PyPSA on drawn networks -------------------------------------------------------------------------------------------


class Drawn:
    """A random network: nodes in a ring and some chords, a source and a load at each, stores at some. Always feasible."""

    def __init__(self, seed, nodes, steps):
        rng = np.random.default_rng(seed)
        self.nodes, self.steps = nodes, steps
        self.hours = float(rng.choice([0.25, 0.5, 1.0, 3.0]))
        self.load = rng.uniform(0, 10, (nodes, steps))
        self.price = rng.uniform(1, 50, (nodes, steps))
        self.limit = rng.uniform(2, 15, nodes)
        self.sun = rng.uniform(0, 12, (nodes, steps)) * (rng.random((nodes, 1)) < 0.5)
        pairs = [(i, j) for i in range(nodes) for j in range(nodes) if i != j and rng.random() < 0.7]
        self.start, self.end = (np.array(side, dtype=int) for side in zip(*(pairs or [(0, 1)]), strict=True))
        lines = len(self.start)
        self.line, self.loss = rng.uniform(1, 8, lines), rng.uniform(0, 0.2, lines)
        self.toll = rng.uniform(0, 3, lines)
        self.stored = np.flatnonzero(rng.random(nodes) < 0.6)
        count = len(self.stored)
        self.energy, self.power = rng.uniform(2, 20, count), rng.uniform(1, 6, count)
        self.gain, self.yield_ = rng.uniform(0.7, 1, 2)
        self.decay = float(rng.choice([0.0, 0.001, 0.02]))
        self.wear = float(rng.uniform(0, 2))


LAST_RESORT = 500.0


def core(drawn):
    net = Network(Horizon.regular(drawn.steps, drawn.hours))
    nodes = net.node([f"n{i}" for i in range(drawn.nodes)], owner=[f"o{i}" for i in range(drawn.nodes)])
    handles = {
        "source": (net.source("source", nodes, cost=drawn.price, upper=drawn.limit[:, None]), nodes, 1.0),
        "sun": (net.source("sun", nodes, upper=drawn.sun), nodes, 1.0),
        "last": (net.source("last", nodes, cost=LAST_RESORT), nodes, 1.0),
    }
    net.sink("load", nodes, amount=drawn.load)
    sent = net.link(
        "line",
        nodes[drawn.start],
        nodes[drawn.end],
        capacity=drawn.line[:, None],
        loss=drawn.loss[:, None],
        cost=drawn.toll[:, None],
    )
    store = None
    if len(drawn.stored):
        store = net.store(
            "store",
            nodes[drawn.stored],
            energy=drawn.energy[:, None],
            charge=drawn.power[:, None],
            discharge=drawn.power[:, None],
            efficiency=(drawn.gain, drawn.yield_),
            loss=drawn.decay,
            wear=drawn.wear,
        )
    return net, handles, sent, store


def pypsa_cost(drawn):
    import pandas as pd
    import pypsa

    n = pypsa.Network()
    n.set_snapshots(range(drawn.steps))
    n.snapshot_weightings = n.snapshot_weightings.astype(float) * drawn.hours
    names = [f"n{i}" for i in range(drawn.nodes)]

    def table(values, columns):
        return pd.DataFrame(values.T, index=n.snapshots, columns=columns)

    n.add("Bus", names)
    n.add("Load", names, suffix=" load", bus=names, p_set=table(drawn.load, names))
    n.add(
        "Generator",
        names,
        suffix=" source",
        bus=names,
        p_nom=drawn.limit,
        marginal_cost=table(drawn.price, names),
    )
    n.add("Generator", names, suffix=" sun", bus=names, p_nom=1.0, p_max_pu=table(drawn.sun, names))
    n.add("Generator", names, suffix=" last", bus=names, p_nom=1e4, marginal_cost=LAST_RESORT)
    n.add(
        "Link",
        [f"line {i}" for i in range(len(drawn.start))],
        bus0=[names[i] for i in drawn.start],
        bus1=[names[i] for i in drawn.end],
        p_nom=drawn.line,
        efficiency=1 - drawn.loss,
        marginal_cost=drawn.toll,
    )
    if len(drawn.stored):
        at = [names[i] for i in drawn.stored]
        n.add(
            "StorageUnit",
            at,
            suffix=" store",
            bus=at,
            p_nom=drawn.power,
            max_hours=drawn.energy / drawn.power,
            efficiency_store=drawn.gain,
            efficiency_dispatch=drawn.yield_,
            standing_loss=drawn.decay,
            cyclic_state_of_charge=True,
            marginal_cost=drawn.wear,
        )
    n.optimize(
        solver_name="highs",
        io_api="direct",
        include_objective_constant=False,
        output_flag=False,
        log_to_console=False,
    )
    return float(n.objective)


drawn_networks = st.builds(Drawn, st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 24))


@pytest.mark.filterwarnings("ignore")  # of PyPSA, xarray and pandas among themselves
@settings(max_examples=4, deadline=None, derandomize=True)
@given(drawn_networks)
def test_drawn_networks_cost_the_same_in_pypsa(drawn):
    net, *_ = core(drawn)
    assert net.solve().cost == pytest.approx(pypsa_cost(drawn), rel=1e-6)


# --- laws --------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn_networks)
def test_what_comes_into_a_node_goes_out_of_it(drawn):
    net, sources, sent, store = core(drawn)
    plan = net.solve()
    into = sum(plan.rate(stream)[:, 0] for stream, _, _ in sources.values()) - drawn.load
    flow = plan.rate(sent)[:, 0]
    np.subtract.at(into, drawn.start, flow)
    np.add.at(into, drawn.end, flow * (1 - drawn.loss[:, None]))
    if store is not None:
        charge, discharge = (plan.rate(s)[:, 0] for s in (store.charging, store.discharging))
        np.add.at(into, drawn.stored, discharge - charge)
        level = plan.level(store)[:, 0]
        before = np.roll(level, 1, axis=1) * (1 - drawn.decay) ** drawn.hours
        stored = drawn.hours * (drawn.gain * charge - discharge / drawn.yield_)
        assert level == pytest.approx(before + stored, abs=1e-6)
        assert (np.minimum(charge, discharge) <= 1e-6).all()
    assert into == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn_networks)
def test_the_shares_of_the_owners_add_up_to_the_cost_and_prices_stay_below_the_last_resort(drawn):
    net, *_ = core(drawn)
    plan = net.solve()
    assert sum(plan.shares().values()) == pytest.approx(plan.cost, rel=1e-9, abs=1e-6)
    assert plan.rate(net.handles["last"]).shape == (drawn.nodes, 1, drawn.steps)
    assert (plan._duals[net.handles["load"].rows] / drawn.hours <= LAST_RESORT * (1 + 1e-6)).all()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn_networks, st.floats(1.01, 3.0))
def test_a_larger_store_or_line_never_costs_more(drawn, factor):
    net, _, sent, store = core(drawn)
    before = net.solve().cost
    net.update(sent, upper=drawn.line[:, None] * factor)
    wider = net.solve().cost
    assert wider <= before + 1e-6 * abs(before)
    if store is not None:
        net.update(store, energy=drawn.energy[:, None] * factor)
        assert net.solve().cost <= wider + 1e-6 * abs(wider)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn_networks)
def test_a_warm_plan_costs_what_a_cold_one_costs(drawn):
    net, sources, *_ = core(drawn)
    net.solve()
    other = Drawn(7, drawn.nodes, drawn.steps)
    net.update(net.handles["load"], amount=other.load)
    net.update(sources["source"][0], cost=other.price)
    warm = net.solve().cost
    drawn.load, drawn.price = other.load, other.price
    cold, *_ = core(drawn)
    assert warm == pytest.approx(cold.solve().cost, rel=1e-9)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(4, 24))
def test_a_store_never_charges_and_discharges_at_once_even_when_energy_is_paid_for_being_burnt(seed, steps):
    rng = np.random.default_rng(seed)
    price = rng.uniform(-30, 30, steps)
    net = Network(Horizon.regular(steps, 1.0))
    bus = net.node("site")
    net.source("grid", bus, cost=price, upper=20.0)
    battery = net.store(
        "battery", bus, energy=10.0, charge=5.0, discharge=5.0, efficiency=(0.8, 0.8), start=5.0
    )
    net.sink("load", bus, amount=rng.uniform(1, 8, steps))
    plan = net.solve(gap=0.0)
    assert (np.minimum(plan[battery.charging], plan[battery.discharging]) <= 1e-6).all()


# --- the problems of the benchmarks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "network", "cost"),
    [
        (instances.site_day, lambda day: built.Site.of(day).net, 30_005_293.99396228),
        (instances.stochastic_day, lambda day: built.Site.of(day).net, 28_653_534.329503726),
        (instances.park_week, built.week_network, 7_545_672_362.026198),
    ],
)
def test_the_problems_of_the_benchmarks_cost_what_three_peers_say(problem, network, cost):
    # PyPSA 1.4.0 (not the scenarios), linopy 0.10.1 and Pyomo 6.10.1 on HiGHS 1.15.1, benchmarks/energy_peers.py, November 2026
    assert network(problem()).solve().cost == pytest.approx(cost, rel=1e-9)


def test_days_that_stand_for_themselves_cost_what_the_same_hours_in_a_row_cost():
    year = instances.sizing_year(steps=240)
    order = np.arange(10)
    profiles = {name: getattr(year, name) for name in ("load", "hydrogen", "sun", "wind", "buy", "sell")}
    group = np.zeros((12, 240), dtype=bool)
    group[year.month, np.arange(240)] = True
    in_a_row = built.year_network(year)
    days = built.year_network(year, Horizon.typical(1.0, 24, order), profiles, group)
    whole, apart = in_a_row.solve(), days.solve()
    assert apart.cost == pytest.approx(whole.cost, rel=1e-9)
    for name in vars(year.costs):
        size = whole.size(in_a_row.handles[name])
        assert apart.size(days.handles[name]) == pytest.approx(size, rel=1e-6, abs=1e-3)


def test_no_coalition_of_a_small_park_would_do_better_alone():
    week = instances.park_week(firms=6, steps=48)
    whole = built.week_network(week).solve()
    shares = whole.shares()
    per_firm = np.array([shares[f"firm {i}"] for i in range(6)])
    assert per_firm.sum() == pytest.approx(whole.cost, rel=1e-12)
    for bits in range(1, 63):
        members = np.array([bits >> i & 1 for i in range(6)], dtype=bool)
        alone = built.week_network(instances.only(week, members)).solve().cost
        assert per_firm[members].sum() <= alone + 1e-9 * whole.cost


# --- a dense program written by hand -----------------------------------------------------------------------------------


def by_hand(day, *, window, share):  # noqa: C901 - the equations, spelled out
    """The least cost of a site day by scipy, from the equations: every row and column of every scenario spelled out."""
    from scipy.optimize import linprog

    s_, t_, b_, v_ = day.scenarios, day.steps, len(day.energy), len(day.sessions.arrive)
    h, ev, there = day.hours, day.sessions, day.sessions.plugged(day.steps)
    sizes = {
        "buy": t_,
        "sell": t_,
        "pv": t_,
        "in": b_ * t_,
        "out": b_ * t_,
        "level": b_ * t_,
        "ev": v_ * t_,
        "peak": 1,
    }
    width = sum(sizes.values())
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    cost, lower, upper = np.zeros(s_ * width), np.zeros(s_ * width), np.full(s_ * width, np.inf)
    equal, right, below, most = [], [], [], []

    def row(terms):
        made = np.zeros(s_ * width)
        for at, value in terms:
            made[at] += value
        return made

    for s in range(s_):
        at = {name: s * width + first[name] for name in sizes}
        for t in range(t_):
            cost[at["buy"] + t], cost[at["sell"] + t] = h * day.buy[t] / s_, -h * day.sell[t] / s_
            upper[at["buy"] + t] = upper[at["sell"] + t] = day.connection
            upper[at["pv"] + t] = day.pv[s, t]
            terms = [(at["buy"] + t, 1), (at["sell"] + t, -1), (at["pv"] + t, 1)]
            for b in range(b_):
                k = b * t_ + t
                cost[at["out"] + k] = h * day.wear / s_
                upper[at["in"] + k] = upper[at["out"] + k] = day.power[b]
                upper[at["level"] + k] = day.energy[b]
                lower[at["level"] + k] = day.start[b] if t == t_ - 1 else 0.0
                terms += [(at["in"] + k, -1), (at["out"] + k, 1)]
                store = [
                    (at["level"] + k, 1),
                    (at["in"] + k, -h * day.efficiency),
                    (at["out"] + k, h / day.efficiency),
                ]
                equal.append(row(store + ([(at["level"] + k - 1, -1)] if t else [])))
                right.append(0.0 if t else day.start[b])
            for v in range(v_):
                upper[at["ev"] + v * t_ + t] = ev.power[v] * there[v, t]
                terms.append((at["ev"] + v * t_ + t, -1))
            equal.append(row(terms))
            right.append(day.load[s, t])
        for v in range(v_):
            equal.append(row([(at["ev"] + v * t_ + t, h * ev.efficiency) for t in range(t_)]))
            right.append(ev.energy[v])
        for begin in range(0, t_, window):
            block = range(begin, min(begin + window, t_))
            below.append(row([(at["buy"] + t, 1 / len(block)) for t in block] + [(at["peak"], -1)]))
            most.append(0.0)
        below.append(
            row([(at["sell"] + t, 1) for t in range(t_)] + [(at["pv"] + t, -share) for t in range(t_)])
        )
        most.append(0.0)
        cost[at["peak"]], lower[at["peak"]] = day.demand / s_, day.metered
        for name in ("in", "out", "ev") if s else ():
            for k in range(sizes[name]):
                if k % t_ < day.now:
                    equal.append(row([(at[name] + k, 1), (first[name] + k, -1)]))
                    right.append(0.0)
    found = linprog(
        cost, np.array(below), most, np.array(equal), right, np.column_stack([lower, upper]), method="highs"
    )
    assert found.status == 0, found.message
    return found.fun


def small_site(seed, steps, scenarios, vehicles):
    rng = np.random.default_rng(seed)
    arrive = rng.integers(0, steps - 1, vehicles)
    depart = rng.integers(arrive + 1, steps + 1)
    power = rng.uniform(3, 22, vehicles)
    return instances.SiteDay(
        hours=0.5,
        load=rng.uniform(20, 100, (scenarios, steps)),
        pv=rng.uniform(0, 120, (scenarios, steps)),
        buy=rng.uniform(1000, 3500, steps),
        sell=rng.uniform(300, 900, steps),
        demand=float(rng.uniform(0, 9000)),
        metered=float(rng.uniform(0, 80)),
        connection=400.0,
        energy=rng.uniform(20, 80, 2),
        power=rng.uniform(10, 40, 2),
        start=rng.uniform(0, 20, 2),
        efficiency=0.93,
        wear=100.0,
        sessions=instances.Sessions(
            arrive, depart, power * 0.9 * 0.5 * (depart - arrive) * rng.random(vehicles), power, 0.9
        ),
        now=int(rng.integers(0, 3)),
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.builds(
        small_site, st.integers(0, 2**32 - 1), st.integers(5, 12), st.integers(1, 3), st.integers(1, 4)
    ),
    st.integers(1, 2),
)
def test_a_site_costs_what_a_dense_program_by_hand_costs(day, window):
    share = 0.2
    net = Network(
        Horizon.regular(day.steps, day.hours),
        probabilities=np.full(day.scenarios, 1 / day.scenarios),
        here_and_now=day.now,
    )
    bus = net.node("site")
    grid = net.source("grid", bus, cost=day.buy, upper=day.connection)
    export = net.sink("export", bus, cost=-day.sell, upper=day.connection)
    pv = net.source("pv", bus, upper=day.pv[None])
    net.sink("load", bus, amount=day.load[None])
    net.store(
        "battery",
        bus[[0, 0]],
        energy=day.energy[:, None],
        charge=day.power[:, None],
        discharge=day.power[:, None],
        efficiency=(day.efficiency, day.efficiency),
        start=day.start,
        wear=day.wear,
    )
    ev = day.sessions
    net.sessions(
        "ev",
        bus,
        arrive=ev.arrive,
        depart=ev.depart,
        energy=ev.energy,
        power=ev.power,
        efficiency=ev.efficiency,
    )
    net.peak("demand", [grid], price=day.demand, metered=day.metered, window=window)
    net.budget("share", [(export, 1.0), (pv, -share)], upper=0.0)
    plan = net.solve()
    assert plan.cost == pytest.approx(by_hand(day, window=window, share=share), rel=1e-7)
    assert not plan.relaxed
