"""What a plan tells: costs by name, shares by owner, prices, shadow prices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.network.solver import SOLVERS

SEEDS = st.integers(0, 10_000)


def park(seed, relaxed=False):
    """Three firms behind a park, with everything that has a right-hand side or a bound."""
    rng = np.random.default_rng(seed)
    net = Network(Horizon.regular(8, 0.5), probabilities=[0.3, 0.7], here_and_now=2)
    firms = net.node(["a", "b", "c"], owner=["a", "b", "c"])
    gate = net.node("gate")
    grid = net.source("grid", gate, cost=rng.uniform(1, 4, 8), upper=6.0 if relaxed else 60.0)
    net.source("sun", firms, upper=rng.uniform(0, 6, (3, 2, 8)))
    net.link("in", gate, firms, cost=0.1, loss=0.02)
    net.link("out", firms, gate, cost=0.1, capacity=3.0)
    net.sink("load", firms, amount=rng.uniform(1, 5, (3, 2, 8)) + 9.0 * relaxed)
    net.store(
        "battery", firms, energy=5.0, charge=2.0, discharge=2.0, efficiency=(0.9, 0.9), start=1.0, wear=0.1
    )
    net.sessions("ev", firms, arrive=[0, 1, 2], depart=[5, 6, 8], energy=2.0, power=3.0, efficiency=0.9)
    net.peak("peak", [grid], price=5.0, window=2, metered=2.0, owner="gate")
    net.budget("co2", [(grid, 1.0)], upper=60.0, owner="gate")
    roof = net.capacity("roof", cost=2.0, existing=0.5, upper=3.0, owner="a")
    net.source("panels", firms[0], capacity=roof, profile=rng.uniform(0, 1, 8))
    return net, firms, grid


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.booleans())
def test_shares_and_costs_add_up_to_the_cost(seed, relaxed):
    plan = park(seed, relaxed)[0].solve()
    assert sum(plan.shares().values()) == pytest.approx(plan.cost, rel=1e-9, abs=1e-9)
    assert sum(plan.costs().values()) == pytest.approx(plan.cost, rel=1e-9, abs=1e-9)
    assert bool(plan.relaxed) == relaxed


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_method_gives_shares_that_add_up(solver):
    net = park(3)[0]
    plan = net.solve(solver=solver)
    assert plan.cost == pytest.approx(park(3)[0].solve().cost, rel=1e-7)
    assert sum(plan.shares().values()) == pytest.approx(plan.cost, rel=1e-7)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(0, 2), st.integers(0, 1), st.integers(0, 7))
def test_a_price_is_what_one_more_unit_costs(seed, firm, scenario, step):
    net, firms, _ = park(seed)
    plan = net.solve()
    load = net.handles["load"]
    more = load.amount.copy()
    more[firm, scenario, step] += 1e-4
    net.update(load, amount=more)
    chance = (0.3, 0.7)[scenario]
    extra = (net.solve().cost - plan.cost) / (1e-4 * 0.5 * chance)
    less = load.amount.copy()
    less[firm, scenario, step] -= 2e-4
    net.update(load, amount=less)
    saved = (plan.cost - net.solve().cost) / (1e-4 * 0.5 * chance)
    assert saved - 1e-4 <= plan.price(firms)[firm, scenario, step] <= extra + 1e-4


def test_the_shadow_of_a_limit_is_what_one_more_unit_saves():
    net = Network(Horizon.regular(4, 0.5))
    bus = net.node("bus")
    cheap = net.source("cheap", bus, cost=1.0, upper=4.0)
    net.source("dear", bus, cost=3.0)
    net.sink("load", bus, amount=[2.0, 6.0, 6.0, 3.0])
    plan = net.solve()
    (found,) = plan.shadows()
    assert (found.name, found.kind, found.steps) == ("cheap", "capacity", 2)
    assert found.value == pytest.approx(2 * 0.5 * (3.0 - 1.0))
    net.update(cheap, upper=4.5)
    assert plan.cost - net.solve().cost == pytest.approx(0.5 * found.value)


def test_the_shadow_of_a_budget_is_the_price_of_what_it_limits():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=1.0)
    net.source("clean", bus, cost=1.6)
    net.sink("load", bus, amount=5.0)
    net.budget("co2", [(grid, 0.5)], upper=2.0)
    (found,) = net.solve().shadows()
    assert (found.name, found.kind) == ("co2", "budget")
    assert found.value == pytest.approx(0.6 / 0.5)  # 1.2 a kg


def test_owen_shares_leave_no_firm_worse_off_than_alone():
    sun, load = np.array([[4.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [2.0, 2.0]])

    def world(members):
        net = Network(Horizon.regular(2, 1.0))
        names = [("a", "b")[i] for i in members]
        firms, gate = net.node(names, owner=names), net.node("gate")
        net.source("grid", gate, cost=4.0)
        net.sink("export", gate, cost=-1.0)
        net.link("in", gate, firms)
        net.link("out", firms, gate)
        net.source("sun", firms, upper=sun[members][:, None])
        net.sink("load", firms, amount=load[members][:, None])
        return net.solve()

    both = world([0, 1])
    shares = both.shares()
    assert sum(shares.values()) == pytest.approx(both.cost)
    assert shares["a"] <= world([0]).cost + 1e-9
    assert shares["b"] <= world([1]).cost + 1e-9


def test_one_item_and_one_scenario_come_without_their_dimensions():
    net, _, grid = park(1)
    plan = net.solve()
    assert plan[grid].shape == (2, 8)
    assert plan.rate(grid).shape == (1, 2, 8)
    assert plan.peak(net.handles["peak"]).shape == (2, 1)


def test_an_empty_network_costs_nothing():
    plan = Network(Horizon.regular(2, 1.0)).solve()
    assert (plan.cost, plan.costs(), plan.shares(), plan.shadows(), plan.relaxed) == (0.0, {}, {}, (), ())


def test_a_plan_stays_as_it_was_when_the_network_changes():
    net, _, grid = park(5)
    plan = net.solve()
    cost, shares, rates = plan.cost, plan.shares(), plan[grid].copy()
    net.update(grid, cost=99.0)
    net.solve()
    assert (plan.cost, plan.shares()) == (cost, shares)
    np.testing.assert_array_equal(plan[grid], rates)


def test_one_way_vehicles_have_no_levels_and_say_so():
    net, _, _ = park(1)
    with pytest.raises(RequestError, match="two-way"):
        net.solve().level(net.handles["ev"])


@pytest.mark.parametrize("discharge", [0.0, 3.0])
def test_a_vehicle_that_lacks_energy_is_told_with_the_steps_of_its_stay(discharge):
    net = Network(Horizon.regular(8, 0.5))
    bus = net.node("bus")
    net.source("grid", bus, cost=2.0)
    ev = net.sessions(
        "ev",
        bus,
        arrive=[0, 5],
        depart=[4, 7],
        energy=[3.0, 10.0],
        power=7.0,
        usable=60.0,
        discharge=discharge,
    )
    (found,) = net.solve().relaxed
    assert (found.item, found.first, found.last, found.steps) == ("ev 2", 5, 6, 2)
    net.update(ev, arrive=[0, 6])
    (found,) = net.solve().relaxed
    assert (found.item, found.first, found.last, found.steps) == ("ev 2", 6, 6, 1)
