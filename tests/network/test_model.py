"""Networks against hand-solved cases, an independent program written with loops, and laws that any plan obeys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network

SEEDS = st.integers(0, 10_000)


def site(seed, steps=12, hours=0.5):
    """A drawn site: grid, sun, export, battery, a demand charge over two steps."""
    rng = np.random.default_rng(seed)
    data = {
        "buy": rng.uniform(1.0, 4.0, steps),
        "load": rng.uniform(2.0, 9.0, steps),
        "sun": np.maximum(rng.uniform(-4.0, 8.0, steps), 0.0),
    }
    net = Network(Horizon.regular(steps, hours))
    bus = net.node("bus")
    h = {
        "bus": bus,
        "grid": net.source("grid", bus, cost=data["buy"], upper=20.0),
        "sun": net.source("sun", bus, upper=data["sun"]),
        "export": net.sink("export", bus, cost=-0.5),
        "load": net.sink("load", bus, amount=data["load"]),
        "battery": net.store(
            "battery", bus, energy=6.0, charge=4.0, discharge=5.0, efficiency=(0.9, 0.8), loss=0.02, wear=0.1
        ),
    }
    h["peak"] = net.peak("peak", [h["grid"]], price=3.0, window=2, metered=1.0)
    return net, h, data


def by_loops(data, hours=0.5):
    """The same site, row by row: x = (grid, sun, export, charge, discharge, level) by step, then the peak."""
    steps = len(data["load"])
    width = 6 * steps + 1
    cost = np.zeros(width)
    equal, right, less, most = [], [], [], []
    bounds = [(0.0, None)] * width
    for t in range(steps):
        g, s, x, c, d, e = (k * steps + t for k in range(6))
        before = 5 * steps + (t - 1) % steps
        cost[g], cost[x], cost[d] = data["buy"][t] * hours, -0.5 * hours, 0.1 * hours
        bounds[g], bounds[s], bounds[c], bounds[d], bounds[e] = (
            (0, 20), (0, data["sun"][t]), (0, 4), (0, 5), (0, 6)
        )  # fmt: skip
        row = np.zeros(width)
        row[[g, s, d]], row[[x, c]] = 1.0, -1.0
        equal.append(row)
        right.append(data["load"][t])
        row = np.zeros(width)
        row[e] += 1.0
        row[before] -= 0.98**hours
        row[c], row[d] = -hours * 0.9, hours / 0.8
        equal.append(row)
        right.append(0.0)
        if t % 2 == 0:
            row = np.zeros(width)
            row[[g, g + 1]], row[-1] = 0.5, -1.0
            less.append(row)
            most.append(0.0)
    cost[-1], bounds[-1] = 3.0, (1.0, None)
    return linprog(cost, less, most, equal, right, bounds, method="highs").fun


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_drawn_site_costs_what_a_program_written_with_loops_says(seed):
    net, _, data = site(seed)
    assert net.solve().cost == pytest.approx(by_loops(data), rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_what_flows_in_flows_out_and_every_limit_holds(seed):
    net, h, data = site(seed)
    plan = net.solve()
    into, out = plan[h["battery"].charging], plan[h["battery"].discharging]
    balance = plan[h["grid"]] + plan[h["sun"]] + out - into - plan[h["export"]] - data["load"]
    np.testing.assert_allclose(balance, 0.0, atol=1e-6)
    level = plan.level(h["battery"])[0, 0]
    expected = 0.98**0.5 * np.roll(level, 1) + 0.5 * (0.9 * into - out / 0.8)
    np.testing.assert_allclose(level, expected, atol=1e-6)
    assert level.min() > -1e-6
    assert level.max() < 6 + 1e-6
    assert plan.peak(h["peak"])[0] == pytest.approx(
        max(1.0, plan[h["grid"]].reshape(-1, 2).mean(axis=1).max())
    )


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_two_runs_are_equal_to_the_bit(seed):
    first, h = site(seed)[:2]
    second, g = site(seed)[:2]
    one, two = first.solve(), second.solve()
    assert one.cost == two.cost
    for name in ("grid", "sun", "export"):
        np.testing.assert_array_equal(one[h[name]], two[g[name]])
    np.testing.assert_array_equal(one.price(h["bus"]), two.price(g["bus"]))


def test_a_unit_sent_over_a_lossy_line_costs_its_price_over_what_arrives():
    net = Network(Horizon.regular(2, 0.25))
    nodes = net.node(["a", "b"])
    a, b = nodes[0], nodes[1]
    net.source("grid", a, cost=9.0)
    line = net.link("line", a, b, capacity=12.0, loss=0.1, cost=1.0)
    net.sink("load", b, amount=[9.0, 4.5])
    plan = net.solve()
    np.testing.assert_allclose(plan[line], [10.0, 5.0])
    assert plan.cost == pytest.approx((9.0 + 1.0) * 15.0 * 0.25)
    np.testing.assert_allclose(plan.price(b), 10.0 / 0.9)
    np.testing.assert_allclose(plan.price(a), 9.0)


def test_a_converter_meets_heat_with_gas_and_its_carbon_is_priced_at_its_own_node():
    net = Network(Horizon.regular(1, 1.0))
    gas, heat, co2 = net.node("gas"), net.node("heat"), net.node("co2")
    net.source("supply", gas, cost=2.0)
    net.converter("boiler", [(gas, -1.0), (heat, 0.8), (co2, 0.2)])
    air = net.sink("air", co2, cost=5.0)
    net.sink("load", heat, amount=8.0)
    plan = net.solve()
    assert plan.cost == pytest.approx(10 * 2.0 + 2 * 5.0)
    assert plan[air] == pytest.approx(2.0)
    assert plan.price(heat)[0, 0, 0] == pytest.approx((2.0 + 0.2 * 5.0) / 0.8)
    assert plan.price(co2)[0, 0, 0] == pytest.approx(-5.0)


def test_several_demands_at_one_node_add_up():
    net = Network(Horizon.regular(2, 1.0))
    nodes = net.node(["a", "b"])
    grid = net.source("grid", nodes, cost=1.0)
    net.sink("loads", nodes[[0, 0, 1]], amount=np.array([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]))
    np.testing.assert_allclose(net.solve()[grid], [[3.0, 3.0], [5.0, 5.0]])


# --- scenarios ----------------------------------------------------------------------------------------------------------


def uncertain(now):
    """A store may be filled at 1 before it is known whether the next step costs 0 (0.6) or 5 (0.4)."""
    net = Network(Horizon.regular(2, 1.0), probabilities=[0.6, 0.4], here_and_now=now)
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=np.array([[1.0, 0.0], [1.0, 5.0]]))
    net.sink("load", bus, amount=[0.0, 10.0])
    store = net.store("tank", bus, energy=10.0, charge=10.0, discharge=10.0, start=0.0, end="free")
    return net, grid, store


def test_what_is_decided_now_is_equal_in_all_scenarios_and_the_cost_is_the_expected_one():
    net, grid, store = uncertain(1)
    plan = net.solve()
    into = plan.rate(store.charging)[0]
    np.testing.assert_allclose(into[:, 0], 10.0)  # 1 now beats 0.4 x 5 later
    assert plan.cost == pytest.approx(10.0)
    paid = (plan.rate(grid)[0] * np.array([[1.0, 0.0], [1.0, 5.0]])).sum(axis=1)
    assert plan.cost == pytest.approx(0.6 * paid[0] + 0.4 * paid[1])


def test_who_knows_the_scenario_pays_less():
    net, _, store = uncertain(0)
    plan = net.solve()
    assert plan.cost == pytest.approx(0.4 * 10.0)
    np.testing.assert_allclose(plan.rate(store.charging)[0, :, 0], [0.0, 10.0], atol=1e-9)


def test_a_lean_store_decides_for_all_scenarios_too():
    net = Network(Horizon.regular(2, 1.0), probabilities=[0.6, 0.4], here_and_now=1)
    bus = net.node("bus")
    net.source("grid", bus, cost=np.array([[1.0, 0.0], [1.0, 5.0]]))
    net.sink("load", bus, amount=[0.0, 10.0])
    tank = net.store("tank", bus, energy=10.0, charge=None, discharge=None, start=0.0, end="free")
    plan = net.solve()
    np.testing.assert_allclose(plan.level(tank)[0, :, 0], 10.0)
    assert plan.cost == pytest.approx(10.0)


def test_a_decided_rate_keeps_the_tightest_of_its_scenarios_limits():
    net = Network(Horizon.regular(1, 1.0), probabilities=[0.5, 0.5], here_and_now=1)
    bus = net.node("bus")
    unit = net.converter("unit", [(bus, 1.0)], upper=np.array([[3.0], [9.0]]))
    net.source("grid", bus, cost=1.0)
    net.sink("load", bus, amount=9.0)
    np.testing.assert_allclose(net.solve().rate(unit).ravel(), 3.0)


@pytest.mark.parametrize("bad", [[0.5, 0.4], [1.5, -0.5], [], [float("nan"), 1.0]])
def test_chances_that_are_none_are_refused(bad):
    with pytest.raises(RequestError):
        Network(Horizon.regular(2, 1.0), probabilities=bad)


def test_a_scenario_without_a_chance_has_no_price_and_does_not_disturb():
    net = Network(Horizon.regular(1, 1.0), probabilities=[1.0, 0.0])
    bus = net.node("bus")
    net.source("grid", bus, cost=3.0)
    net.sink("load", bus, amount=np.array([[2.0], [4.0]]))
    plan = net.solve()
    assert plan.cost == pytest.approx(6.0)
    assert plan.price(bus)[0, 0, 0] == pytest.approx(3.0)
    assert np.isnan(plan.price(bus)[0, 1, 0])


# --- sizes --------------------------------------------------------------------------------------------------------------


def test_a_size_is_built_as_long_as_it_saves_more_than_it_costs():
    # a unit of sun (1, 0.5) saves 4 x 1 + 4 x 0.5 = 6 as long as the load of (3, 2) takes it; beyond 3 only 0.5 x 4 = 2
    def size(cost):
        net = Network(Horizon.regular(2, 1.0))
        bus = net.node("bus")
        roof = net.capacity("roof", cost=cost, upper=50.0)
        net.source("grid", bus, cost=4.0)
        net.source("sun", bus, capacity=roof, profile=[1.0, 0.5])
        net.sink("load", bus, amount=[3.0, 2.0])
        return net.solve().size(roof)[0]

    assert size(6.5) == pytest.approx(0.0)
    assert size(5.5) == pytest.approx(3.0)
    assert size(1.5) == pytest.approx(4.0)


def test_what_wears_out_is_replaced_when_its_life_is_over():
    net = Network(Horizon.chronological([1.0] * 3, year=[0, 1, 2]))
    bus = net.node("bus")
    unit = net.capacity("unit", cost=[10.0, 8.0, 6.0], existing=[2.0, 2.0, 0.0], life=2)
    net.source("engine", bus, capacity=unit)
    net.sink("load", bus, amount=[5.0, 5.0, 5.0])
    plan = net.solve()
    # 3 are missing in years 0 and 1 (built once, alive in both), 5 in year 2
    np.testing.assert_allclose(plan.size(unit), [[5.0, 5.0, 5.0]])
    assert plan.cost == pytest.approx(3 * 10.0 + 5 * 6.0)


def test_several_sizes_at_once_have_their_own_limits():
    net = Network(Horizon.regular(1, 1.0))
    nodes = net.node(["a", "b", "c"])
    roofs = net.capacity(
        "roof", count=3, cost=[1.0, 2.0, 9.0], existing=[0.0, 1.0, 0.0], upper=[2.0, 9.0, 9.0]
    )
    net.source("sun", nodes, capacity=roofs)
    net.source("grid", nodes, cost=5.0)
    net.sink("load", nodes, amount=4.0)
    plan = net.solve()
    np.testing.assert_allclose(plan.size(roofs), [2.0, 4.0, 0.0])
    assert plan.cost == pytest.approx(2 * 1 + 2 * 5 + 3 * 2 + 4 * 5)


def test_sizes_that_do_not_match_the_items_are_refused():
    net = Network(Horizon.regular(1, 1.0))
    bus = net.node("bus")
    three = net.capacity("three", count=3)
    for build in (
        lambda: net.source("sun", bus, capacity=three),
        lambda: net.store("tank", bus, energy=three),
        lambda: net.capacity("wrong", count=3, existing=[1.0, 2.0]),
    ):
        with pytest.raises(RequestError) as refused:
            build()
        assert refused.value.code == "network.bad_shape"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"existing": -1.0}, "network.negative"),
        ({"lower": -1.0}, "network.negative"),
        ({"upper": -1.0}, "network.negative"),
        ({"cost": np.nan}, "network.not_a_number"),
        ({"cost": np.inf}, "network.not_a_number"),
        ({"existing": np.inf}, "network.not_a_number"),
        ({"lower": 5.0, "upper": 4.0}, "network.bounds_crossed"),
    ],
)
def test_an_impossible_size_is_refused(data, code):
    with pytest.raises(RequestError) as refused:
        Network(Horizon.regular(1, 1.0)).capacity("roof", **data)
    assert refused.value.code == code


# --- peaks --------------------------------------------------------------------------------------------------------------


def shifted(**terms):
    """Load 4 in step 2 of four, a store that can spread it; energy is free, only the peak costs."""
    net = Network(Horizon.regular(4, 0.25))
    bus = net.node("bus")
    grid = net.source("grid", bus)
    net.sink("load", bus, amount=[0.0, 0.0, 4.0, 0.0])
    net.store("tank", bus, energy=9.0, charge=9.0, discharge=9.0)
    return net, net.peak("peak", [grid], price=8.0, **terms)


def test_a_peak_is_flattened_to_the_mean():
    net, peak = shifted()
    plan = net.solve()
    assert plan.peak(peak)[0] == pytest.approx(1.0)
    assert plan.cost == pytest.approx(8.0)


def test_below_what_is_metered_already_nothing_is_saved():
    net, peak = shifted(metered=3.0)
    plan = net.solve()
    assert plan.peak(peak)[0] == pytest.approx(3.0)
    assert plan.cost == pytest.approx(24.0)


def test_steps_without_a_group_do_not_count():
    net, _ = shifted(group=np.array([-1, 0, 0, 0]))
    assert net.solve().cost == pytest.approx(0.0, abs=1e-9)


def test_a_block_is_billed_by_its_mean_and_belongs_to_the_group_of_its_first_step():
    net = Network(Horizon.regular(4, 0.25))
    bus = net.node("bus")
    grid = net.source("grid", bus)
    net.sink("load", bus, amount=[2.0, 6.0, 1.0, 3.0])
    peak = net.peak("peak", [grid], price=[1.0, 10.0], group=[0, 1, 1, 0], window=2)
    plan = net.solve()
    np.testing.assert_allclose(plan.peak(peak), [4.0, 2.0])
    assert plan.cost == pytest.approx(24.0)


def test_what_a_block_has_seen_before_the_horizon_is_carried():
    net = Network(Horizon.regular(2, 0.25))
    bus = net.node("bus")
    grid = net.source("grid", bus)
    net.sink("load", bus, amount=[4.0, 4.0])
    peak = net.peak("peak", [grid], price=1.0)
    net.update(peak, carry=[3.0, 0.0])
    assert net.solve().peak(peak)[0] == pytest.approx(7.0)


@pytest.mark.parametrize("window", [0, -2, [0, 1, 0, 1], [0, 0, 1], [-1, 0, 0, 1], [0.0, 0.0, 1.0, 1.0]])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(RequestError) as refused:
        shifted(window=window)
    assert refused.value.code == "network.bad_shape"


# --- budgets ------------------------------------------------------------------------------------------------------------


def test_a_share_of_generation_limits_exports():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    sun = net.source("sun", bus, upper=[10.0, 6.0])
    out = net.sink("export", bus, cost=-1.0)
    net.source("grid", bus, cost=3.0)
    net.sink("load", bus, amount=[2.0, 2.0])
    share = net.budget("export share", [(out, 1.0), (sun, -0.2)], upper=0.0)
    plan = net.solve()
    exported, generated = plan[out].sum(), plan[sun].sum()
    assert exported == pytest.approx(0.2 * generated)
    assert generated - exported == pytest.approx(4.0)
    assert plan.used(share)[0] == pytest.approx(0.0, abs=1e-9)


def test_a_budget_counts_occurrences_hours_and_what_is_built():
    net = Network(Horizon.typical(0.5, 1, [0, 0, 1]))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=1.0)
    roof = net.capacity("roof", lower=2.0, upper=2.0)
    net.sink("load", bus, amount=[4.0, 6.0])
    co2 = net.budget("co2", [(grid, [0.5, 0.25]), (roof, 10.0)], upper=99.0)
    assert net.solve().used(co2)[0] == pytest.approx(0.5 * (2 * 4 * 0.5 + 6 * 0.25) + 20.0)


def test_a_budget_holds_in_every_scenario():
    net = Network(Horizon.regular(1, 1.0), probabilities=[0.5, 0.5])
    bus = net.node("bus")
    cheap, clean = net.source("cheap", bus, cost=1.0), net.source("clean", bus, cost=2.0)
    net.sink("load", bus, amount=np.array([[4.0], [8.0]]))
    net.budget("co2", [(cheap, 1.0)], upper=5.0)
    plan = net.solve()
    np.testing.assert_allclose(plan.rate(cheap).ravel(), [4.0, 5.0])
    np.testing.assert_allclose(plan.rate(clean).ravel(), [0.0, 3.0], atol=1e-9)


# --- what is refused ----------------------------------------------------------------------------------------------------


def fresh():
    net = Network(Horizon.regular(2, 1.0))
    return net, net.node("bus")


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda n, b: n.source("x", b, cost=float("nan")), "network.not_a_number"),
        (lambda n, b: n.source("x", b, cost=np.inf), "network.not_a_number"),
        (lambda n, b: n.source("x", b, upper=-1.0), "network.bounds_crossed"),
        (lambda n, b: n.source("x", b, lower=3.0, upper=[4.0, 2.0]), "network.bounds_crossed"),
        (lambda n, b: n.source("x", b, cost=[1.0, 2.0, 3.0]), "network.bad_shape"),
        (lambda n, b: n.source("x", b, also=[(b, np.inf)]), "network.not_a_number"),
        (lambda n, b: n.source("x", b, capacity=n.capacity("k"), profile=[1.0, np.nan]), "network.not_a_number"),
        (lambda n, b: n.source("x", b, capacity=n.capacity("k"), lower=-0.5), "network.negative"),
        (lambda n, b: n.sink("x", b, amount=[1.0, np.nan]), "network.not_a_number"),
        (lambda n, b: n.sink("x", b, amount=np.inf), "network.not_a_number"),
        (lambda n, b: n.sink("x", b, amount=1.0, tier="urgent"), "network.unknown_tier"),
        (lambda n, b: n.link("x", b, b, loss=1.5), "network.share_range"),
        (lambda n, b: n.link("x", b, b, capacity=-2.0), "network.bounds_crossed"),
        (lambda n, b: n.converter("x", []), "network.no_ports"),
        (lambda n, b: n.converter("x", [(n.node(["p", "q"]), 1.0), (n.node(["r", "s", "t"]), 1.0)]), "network.bad_shape"),
        (lambda n, b: n.node([]), "network.no_ports"),
        (lambda n, b: n.node(["p", "p"]), "network.name_twice"),
        (lambda n, b: n.node("bus"), "network.name_twice"),
        (lambda n, b: n.node(["p", "q"], owner=["one"]), "network.bad_shape"),
        (lambda n, b: n.source("bus", b), "network.name_twice"),
        (lambda n, b: n.peak("x", [], price=np.inf), "network.not_a_number"),
        (lambda n, b: n.peak("x", [], price=1.0, group=[0, 1, 0]), "network.bad_shape"),
        (lambda n, b: n.peak("x", [], price=1.0, metered=-1.0), "network.negative"),
        (lambda n, b: n.budget("x", [], lower=3.0, upper=2.0), "network.bounds_crossed"),
        (lambda n, b: n.budget("x", [(n.source("y", b), np.inf)]), "network.not_a_number"),
        (lambda n, b: n.minimum(n.source("y", b), -1.0), "network.negative"),
        (lambda n, b: n.exclusive(n.source("y", b), n.source("z", n.node(["p", "q"]))), "network.bad_shape"),
    ],
)  # fmt: skip
def test_bad_data_are_refused_by_name_in_both_languages(build, code):
    net, bus = fresh()
    with pytest.raises(RequestError) as refused:
        build(net, bus)
    assert refused.value.code == code
    assert "{" not in refused.value.text("en")
    assert refused.value.text("en") != refused.value.text("vi")


def test_a_refused_name_leaves_the_network_as_it_was():
    net, bus = fresh()
    grid = net.source("grid", bus, cost=2.0)
    net.sink("load", bus, amount=3.0)
    before = net.program.width, net.program.height
    for again in (
        lambda: net.source("grid", bus, cost=-9.0),
        lambda: net.sink("load", bus, amount=9.0),
        lambda: net.store("grid", bus, energy=5.0),
        lambda: net.capacity("grid", cost=-5.0),
        lambda: net.peak("grid", [grid], price=1.0),
        lambda: net.budget("grid", [(grid, 1.0)], upper=0.0),
        lambda: net.sessions("grid", bus, arrive=[0], depart=[1], energy=[1.0], power=[1.0]),
    ):
        with pytest.raises(RequestError):
            again()
    assert (net.program.width, net.program.height) == before
    assert net.solve().cost == pytest.approx(12.0)


def test_what_is_built_after_a_solve_counts_in_the_next():
    net, bus = fresh()
    net.source("grid", bus, cost=2.0)
    net.sink("load", bus, amount=3.0)
    assert net.solve().cost == pytest.approx(12.0)
    sun = net.source("sun", bus, upper=1.0)
    assert net.solve().cost == pytest.approx(8.0)
    net.inject(bus, sun.columns, 1.0)  # now every unit of sun brings two
    assert net.solve().cost == pytest.approx(4.0)


def test_what_belongs_to_another_network_is_refused_and_not_read_as_rows_of_this_one():
    here, there = Network(Horizon.regular(4, 1.0)), Network(Horizon.regular(4, 1.0))
    foreign, own = there.node("x"), here.node(["a", "b"])
    demand = there.sink("load", foreign, amount=1.0)
    size = there.capacity("size", cost=1.0)
    for wrong in (
        lambda: here.source("grid", foreign, cost=1.0),
        lambda: here.source("grid", "a", cost=1.0),
        lambda: here.source("roof", own, capacity=size),
        lambda: here.sink("load", foreign, amount=1.0),
        lambda: here.store("battery", foreign, energy=1.0),
        lambda: here.sessions("ev", foreign, arrive=[0], depart=[1], energy=[1.0], power=[1.0]),
        lambda: here.update(demand, amount=2.0),
        lambda: here.update("load", amount=2.0),
    ):
        with pytest.raises(RequestError) as error:
            wrong()
        assert error.value.code == "network.foreign"
    here.source("grid", own[1], cost=1.0, upper=5.0)  # some of the nodes of a handle are of the network
    here.sink("load", own[[1]], amount=2.0)
    assert here.solve().cost == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"efficiency": 0.9}, "network.bad_shape"),
        ({"efficiency": (1.0, 0.0)}, "network.share_range"),
        ({"wear": -1.0}, "network.negative"),
        ({"start": -1.0}, "network.negative"),
    ],
)
def test_a_store_that_makes_no_sense_is_refused_with_the_name_of_what_is_wrong(values, code):
    net = Network(Horizon.regular(4, 1.0))
    with pytest.raises(RequestError) as error:
        net.store("battery", net.node("a"), energy=10.0, **values)
    assert error.value.code == code
    assert f"battery: {next(iter(values))}" in error.value.text("en")


def test_groups_of_a_peak_that_were_not_counted_from_zero_are_refused_before_they_fill_the_memory():
    net = Network(Horizon.regular(4, 1.0))
    grid = net.source("grid", net.node("a"), cost=1.0, upper=5.0)
    for groups in ([10**12] * 4, [0.5] * 4):
        with pytest.raises(RequestError, match=r"network\.bad_group|counted from 0"):
            net.peak("demand", [grid], price=1.0, group=groups)


def test_a_profile_below_zero_is_refused_and_does_not_take_the_size_away():
    net = Network(Horizon.regular(4, 1.0))
    size = net.capacity("size", cost=1.0)
    with pytest.raises(RequestError, match="must not be negative"):
        net.source("roof", net.node("a"), capacity=size, profile=[0.1, 0.5, -0.001, 0.0])


@pytest.mark.parametrize("how", [{"time_limit": -1.0}, {"time_limit": float("nan")}, {"gap": -1.0}])
def test_a_limit_of_the_search_that_is_no_number_from_zero_up_is_refused(how):
    net = Network(Horizon.regular(4, 1.0))
    net.source("grid", net.node("a"), upper=1.0)
    with pytest.raises(RequestError) as error:
        net.solve(**how)
    assert error.value.code == "network.bad_limit"
