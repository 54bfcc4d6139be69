"""What gives way: the order of tiers, the least amount, its cost, the remedy, and that nothing of it stays behind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import InfeasibleError
from mangrove.network import TIERS, Horizon, Network

HOUR = Horizon.regular(1, 1.0)


def test_a_demand_that_is_too_large_is_served_as_far_as_possible():
    net = Network(Horizon.regular(4, 0.5))
    bus = net.node("factory")
    net.source("grid", bus, cost=3.0, upper=10.0)
    load = net.sink("load", bus, amount=[8.0, 14.0, 12.0, 9.0])
    plan = net.solve()
    (found,) = plan.relaxed
    assert (found.name, found.item, found.tier) == ("load", "factory", "promised")
    assert (found.first, found.last, found.steps) == (1, 2, 2)
    assert found.amount == pytest.approx((4 + 2) * 0.5)
    assert found.unit_cost == pytest.approx(3.0)
    assert found.remedy.name == "grid"
    assert found.remedy.gain == pytest.approx(2 * 0.5)  # one kW more serves half a kWh in each of two steps
    np.testing.assert_allclose(plan.shortfall(load)[0, 0], np.array([0, 4, 2, 0]) * 0.5)
    assert plan.cost == pytest.approx((8 + 10 + 10 + 9) * 0.5 * 3.0)


def test_only_the_item_that_lacks_something_is_named():
    net = Network(HOUR)
    nodes = net.node(["a", "b", "c"])
    net.source("grid", nodes, upper=[5.0, 3.0, 5.0])
    load = net.sink("load", nodes, amount=4.0)
    plan = net.solve()
    assert [(r.item, r.amount) for r in plan.relaxed] == [("b", pytest.approx(1.0))]
    np.testing.assert_allclose(plan.shortfall(load).ravel(), [0, 1, 0])


def test_of_two_equal_shortfalls_the_earlier_is_taken():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, upper=10.0)
    net.budget("quota", [(grid, 1.0)], upper=6.0, tier=None)
    load = net.sink("load", bus, amount=[5.0, 5.0])
    np.testing.assert_allclose(net.solve().shortfall(load).ravel(), [4.0, 0.0])


# --- tiers --------------------------------------------------------------------------------------------------------------


def quarrel(first, second, weight=1.0):
    """Two demands for 5 of one thing, in two tiers; a unit of the second needs `weight`."""
    net = Network(HOUR)
    a, b, tap = net.node("a"), net.node("b"), net.node("tap")
    net.source("supply", tap, upper=5.0)
    net.converter("to a", [(tap, -1.0), (a, 1.0)])
    net.converter("to b", [(tap, -1.0), (b, 1.0 / weight)])
    net.sink("one", a, amount=5.0, tier=first)
    net.sink("two", b, amount=5.0 / weight, tier=second)
    return net


@pytest.mark.parametrize("weight", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(
    ("high", "low"), [(a, b) for i, a in enumerate(TIERS[1:]) for b in TIERS[i + 2 :]] + [(None, "promised")]
)
def test_a_lower_tier_gives_way_whatever_the_units(high, low, weight):
    (found,) = quarrel(high, low, weight).solve().relaxed
    assert (found.name, found.tier) == ("two", low)
    assert found.amount == pytest.approx(5.0 / weight)
    (found,) = quarrel(low, high, weight).solve().relaxed
    assert (found.name, found.tier) == ("one", low)
    assert found.amount == pytest.approx(5.0)


def test_a_contract_gives_way_before_a_level_and_a_level_before_a_promise():
    def world(load, tier="promised"):
        net = Network(Horizon.regular(2, 1.0))
        bus = net.node("bus")
        grid = net.source("grid", bus, cost=1.0, upper=4.0)
        net.sink("load", bus, amount=[0.0, load], tier=tier)
        net.store("battery", bus, energy=5.0, charge=9.0, discharge=9.0, start=3.0, end="free", floor=2.0)
        net.budget("quota", [(grid, 1.0)], upper=3.0)
        return {r.name: r.amount for r in net.solve().relaxed}

    assert world(4.0) == {}
    assert world(6.0) == {"quota": pytest.approx(2.0)}  # 4 of the grid now, 1 before
    # the battery of 5 is full with 2 more: 4 + 2 - 3 over the quota
    assert world(8.0) == {"quota": pytest.approx(3.0), "battery level": pytest.approx(1.0)}
    assert world(12.0) == {
        "quota": pytest.approx(3.0), "battery level": pytest.approx(2.0), "load": pytest.approx(3.0)
    }  # fmt: skip


def test_a_budget_in_money_does_not_outweigh_a_promise():
    net = Network(HOUR)
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=1.0)
    net.sink("load", bus, amount=1.0)
    net.budget("money", [(grid, 235_414.0)], upper=0.0)
    (found,) = net.solve().relaxed
    assert (found.name, found.amount) == ("money", pytest.approx(235_414.0))


def test_what_belongs_to_safety_never_gives_way_and_the_error_names_it():
    net = Network(HOUR)
    bus = net.node("bus")
    net.source("grid", bus, upper=3.0)
    net.sink("pumps", bus, amount=5.0, tier="safety")
    with pytest.raises(InfeasibleError) as refused:
        net.solve()
    assert refused.value.code == "network.infeasible"
    assert refused.value.exit_code == 3
    for lang in ("en", "vi"):
        assert "(2)" in refused.value.text(lang)
    assert "bus" in refused.value.text() or "grid" in refused.value.text()


def test_after_an_error_the_network_is_as_it_was():
    net = Network(HOUR)
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=2.0, upper=3.0)
    net.sink("pumps", bus, amount=5.0, tier="safety")
    held = [
        side.copy()
        for side in (net.program.cost, net.program.lower, net.program.upper, net.program.row_lower)
    ]
    with pytest.raises(InfeasibleError):
        net.solve()
    now = (net.program.cost, net.program.lower, net.program.upper, net.program.row_lower)
    for before, after in zip(held, now, strict=True):
        np.testing.assert_array_equal(before, after)
    net.update(grid, upper=5.0)
    assert net.solve().cost == pytest.approx(10.0)


# --- levels and vehicles ------------------------------------------------------------------------------------------------


def test_an_end_that_cannot_be_reached_is_missed_by_as_little_as_possible():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=1.0)
    net.store(
        "battery", bus, energy=9.0, charge=2.0, discharge=2.0, efficiency=(0.5, 1.0), start=1.0, end=5.0
    )
    plan = net.solve()
    (found,) = plan.relaxed
    assert (found.name, found.item, found.tier) == ("battery end", "bus", "comfort")
    assert found.amount == pytest.approx(2.0)
    assert found.remedy.name == "battery charge"
    assert found.remedy.gain == pytest.approx(2 * 0.5)
    assert found.unit_cost == pytest.approx(1.0 / 0.5)


def test_a_level_below_its_floor_is_told_by_its_deepest_point_and_never_falls_below_zero():
    net = Network(Horizon.regular(3, 0.5))
    bus = net.node("bus")
    net.source("grid", bus, cost=1.0, upper=2.0)
    store = net.store("battery", bus, energy=9.0, charge=2.0, discharge=2.0, start=1.0, end="free", floor=3.0)
    plan = net.solve()
    (found,) = plan.relaxed
    np.testing.assert_allclose(plan.level(store).ravel(), [2.0, 3.0, 3.0], atol=1e-6)
    assert (found.name, found.first, found.steps) == ("battery level", 0, 1)
    assert found.amount == pytest.approx(1.0)
    assert found.remedy.name in ("battery charge", "grid")

    net.sink("drain", bus, amount=9.0, tier="promised")
    plan = net.solve()
    assert plan.level(store).min() > -1e-6


@pytest.mark.parametrize("discharge", [0.0, 3.0])
def test_a_vehicle_that_leaves_too_early_gets_what_its_plug_can_give(discharge):
    net = Network(Horizon.regular(4, 0.5))
    bus = net.node("bus")
    net.source("grid", bus, cost=2.0)
    ev = net.sessions(
        "ev", bus, arrive=[0, 1], depart=[4, 3], energy=[3.0, 10.0], power=7.0, efficiency=0.8, usable=60.0,
        discharge=discharge, level=1.0,
    )  # fmt: skip
    plan = net.solve()
    (found,) = plan.relaxed
    assert (found.name, found.item, found.tier) == ("ev", "ev 2", "promised")
    assert found.amount == pytest.approx(10.0 - 2 * 0.5 * 7.0 * 0.8)
    assert found.remedy.name == "ev"
    assert found.remedy.gain == pytest.approx(2 * 0.5 * 0.8)
    np.testing.assert_allclose(plan.shortfall(ev).ravel(), [0.0, 4.4], atol=1e-6)


def test_what_gives_way_is_expected_over_the_scenarios():
    net = Network(HOUR, probabilities=[0.25, 0.75])
    bus = net.node("bus")
    net.source("grid", bus, cost=3.0, upper=10.0)
    load = net.sink("load", bus, amount=np.array([[14.0], [12.0]]))
    plan = net.solve()
    (found,) = plan.relaxed
    np.testing.assert_allclose(plan.shortfall(load).ravel(), [4.0, 2.0])
    assert found.amount == pytest.approx(0.25 * 4 + 0.75 * 2)
    assert found.unit_cost == pytest.approx(3.0)


def test_as_many_scenarios_as_steps_confuse_nothing():
    net = Network(Horizon.regular(2, 0.5), probabilities=[0.5, 0.5])
    bus = net.node("bus")
    net.source("grid", bus)
    net.store("battery", bus, energy=9.0, charge=2.0, discharge=2.0, start=1.0, end=5.0)
    (found,) = net.solve().relaxed
    assert found.amount == pytest.approx(2.0)
    assert (found.first, found.last) == (0, 1)


def test_a_demand_at_a_node_without_supply_is_not_served():
    net = Network(Horizon.regular(2, 1.0))
    load = net.sink("load", net.node("island"), amount=[1000.0, 2000.0])
    plan = net.solve()
    assert plan.relaxed[0].amount == pytest.approx(3000.0)
    np.testing.assert_allclose(plan.shortfall(load).ravel(), [1000.0, 2000.0])


def test_a_minimum_that_cannot_run_lets_a_demand_give_way():
    net = Network(HOUR)
    bus = net.node("bus")
    unit = net.source("unit", bus, cost=1.0, upper=9.0)
    net.minimum(unit, 5.0)
    net.sink("load", bus, amount=3.0)
    plan = net.solve()
    assert plan[unit] == pytest.approx(0.0)
    assert [(r.name, r.amount) for r in plan.relaxed] == [("load", pytest.approx(3.0))]


def test_a_shortage_that_is_only_rounding_is_no_news():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=1.0, upper=10.0)
    net.sink("load", bus, amount=10.0 + 5e-7)
    plan = net.solve()
    assert plan.relaxed == ()
    assert plan.cost == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3, 1e6])
def test_a_shortage_is_found_in_any_unit(unit):
    net = Network(Horizon.regular(3, 0.25))
    bus = net.node("bus")
    net.source("grid", bus, cost=1.0 / unit, upper=100.0 * unit)
    net.sink("load", bus, amount=np.array([90.0, 130.0, 110.0]) * unit)
    plan = net.solve()
    assert plan.relaxed[0].amount == pytest.approx(40.0 * 0.25 * unit, rel=1e-6)
    assert plan.cost == pytest.approx(290.0 * 0.25, rel=1e-6)


# --- nothing is left behind ---------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_in_a_rolling_loop_a_shortage_leaves_nothing_behind(seed):
    rng = np.random.default_rng(seed)

    def build(load, start):
        net = Network(Horizon.regular(6, 0.5))
        bus = net.node("bus")
        grid = net.source("grid", bus, cost=price, upper=6.0)
        net.sink("load", bus, amount=load)
        net.store(
            "battery", bus, energy=8.0, charge=3.0, discharge=3.0, start=start, end=2.0, floor=1.0, wear=0.1
        )
        net.budget("quota", [(grid, 1.0)], upper=14.0)
        return net

    price = rng.uniform(1, 4, 6)
    net = build(rng.uniform(0, 5, 6), 4.0)
    relaxed = 0
    for _ in range(8):
        load, start = rng.uniform(0, rng.choice([4.0, 14.0]), 6), rng.uniform(0.0, 8.0)
        net.update(net.handles["load"], amount=load)
        net.update(net.handles["battery"], start=start)
        warm, cold = net.solve(), build(load, start).solve()
        assert warm.cost == pytest.approx(cold.cost, rel=1e-8, abs=1e-8)
        assert [(r.name, pytest.approx(r.amount, abs=1e-6)) for r in cold.relaxed] == [
            (r.name, r.amount) for r in warm.relaxed
        ]
        relaxed += bool(warm.relaxed)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_least_total_of_the_highest_tier_is_found(seed):
    """Demands on a line of nodes with limits: the least shortage is the total less the largest flow, counted by hand."""
    rng = np.random.default_rng(seed)
    net = Network(HOUR)
    nodes = net.node([f"n{i}" for i in range(4)])
    supply, wires, load = rng.uniform(5, 15), rng.uniform(1, 9, 3), rng.uniform(1, 6, 4)
    net.source("grid", nodes[0], cost=1.0, upper=supply)
    for i, wire in enumerate(wires):
        net.link(f"wire {i}", nodes[i], nodes[i + 1], capacity=wire)
    net.sink("load", nodes, amount=load)
    reach = load[3]
    for i in (2, 1, 0):
        reach = load[i] + min(wires[i], reach)
    expected = load.sum() - min(supply, reach)
    assert sum(r.amount for r in net.solve().relaxed) == pytest.approx(expected, abs=1e-6)
