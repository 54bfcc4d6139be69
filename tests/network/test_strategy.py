"""How a network is solved: binaries only where the linear program cheats, ties broken alike, errors that name the cause."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from mangrove.errors import InfeasibleError, MangroveError, RequestError
from mangrove.network import Horizon, Network, strategy
from mangrove.network.solver import Solver

SEEDS = st.integers(0, 10_000)


@pytest.fixture
def searches(monkeypatch):
    """How many binaries each search had."""
    counted = []
    bind = strategy._Flagged.bind

    def counting(self, twin):
        found = bind(self, twin)
        counted.append(len(found))
        return found

    monkeypatch.setattr(strategy._Flagged, "bind", counting)
    return counted


def battery_market(price, **terms):
    net = Network(Horizon.regular(len(price), 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=price, upper=10.0)
    net.sink("vent", bus, cost=-np.asarray(price), upper=10.0)
    limits = {
        "energy": 5.0,
        "charge": 4.0,
        "discharge": 4.0,
        "efficiency": (0.9, 0.9),
        "start": 5.0,
        "end": "free",
    }
    store = net.store("battery", bus, **limits | terms)
    return net, grid, store


def test_positive_prices_need_no_binaries(searches):
    net, _, store = battery_market([3.0, 1.0, 5.0, 2.0])
    plan = net.solve()
    assert searches == []
    assert plan.solver == "simplex"
    assert np.minimum(plan[store.charging], plan[store.discharging]).max() < 1e-9


def paid_to_burn(price, load=2.0):
    """No export: a full battery would burn energy by charging and discharging at once where the price is negative."""
    net = Network(Horizon.regular(len(price), 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=price, upper=10.0)
    net.sink("load", bus, amount=load)
    store = net.store(
        "battery", bus, energy=5.0, charge=4.0, discharge=4.0, efficiency=(0.9, 0.9), start=5.0, end="free"
    )
    return net, store


def test_a_negative_price_does_not_make_a_battery_burn_energy_and_only_those_steps_are_searched(searches):
    price = [3.0, -1.0, 3.0, -2.0, 3.0, 3.0]
    net, store = paid_to_burn(price)
    plan = net.solve()
    assert np.minimum(plan[store.charging], plan[store.discharging]).max() < 1e-9
    assert plan.solver == "simplex+milp"
    assert searches == sorted(searches)
    assert (
        1 <= searches[-1] <= 3
    )  # of 6: the two with a negative price, and one that would burn to make room for them
    assert plan.cost == pytest.approx(enumerated(price), abs=1e-6)
    assert np.isfinite(plan.price(net.handles["bus"])).all()
    assert sum(plan.shares().values()) == pytest.approx(plan.cost, rel=1e-9)


def enumerated(price, load=2.0):
    """The same with a binary in every step, written with matrices: x = (grid, charge, discharge, level, either)."""
    steps = len(price)
    eye, zero = np.eye(steps), np.zeros((steps, steps))
    before = np.eye(steps, k=-1)
    start = np.zeros(steps)
    start[0] = 5.0
    rows = [
        LinearConstraint(np.hstack([eye, -eye, eye, zero, zero]), load, load),
        LinearConstraint(np.hstack([zero, -0.9 * eye, eye / 0.9, eye - before, zero]), start, start),
        LinearConstraint(np.hstack([zero, eye, zero, zero, -4.0 * eye]), -np.inf, 0.0),
        LinearConstraint(np.hstack([zero, zero, eye, zero, 4.0 * eye]), -np.inf, 4.0),
    ]
    most = np.repeat([10.0, 4.0, 4.0, 5.0, 1.0], steps)
    cost = np.r_[price, np.zeros(4 * steps)]
    kinds = np.repeat([0, 0, 0, 0, 1], steps)
    return milp(
        cost, constraints=rows, bounds=Bounds(0, most), integrality=kinds, options={"mip_rel_gap": 0}
    ).fun


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_binaries_where_the_program_cheats_find_what_binaries_everywhere_find(seed):
    price = np.random.default_rng(seed).uniform(-3.0, 3.0, 8)
    net, store = paid_to_burn(price)
    plan = net.solve(gap=0.0)
    assert np.minimum(plan[store.charging], plan[store.discharging]).max() < 1e-6
    assert plan.cost == pytest.approx(enumerated(price), abs=1e-6)


def test_sun_is_curtailed_rather_than_sold_at_a_negative_price():
    net = Network(Horizon.regular(3, 1.0))
    bus = net.node("bus")
    sun = net.source("sun", bus, upper=6.0)
    net.sink("export", bus, cost=[-1.0, 2.0, -1.0])
    net.sink("load", bus, amount=2.0)
    plan = net.solve()
    np.testing.assert_allclose(plan[sun], [6.0, 2.0, 6.0], atol=1e-9)
    assert plan.cost == pytest.approx(-8.0)


def test_two_streams_that_exclude_each_other_do_not_meet(searches):
    net = Network(Horizon.regular(3, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=1.0, upper=9.0)
    sell = net.sink("export", bus, cost=[0.5, -2.0, 0.5], upper=9.0)  # selling dearer than buying in step 1
    net.sink("load", bus, amount=1.0)
    net.source("own", bus, cost=1.5, upper=4.0)
    net.exclusive(grid, sell)
    plan = net.solve()
    assert searches == [1]
    # step 1: import for the load (1), or generate 4, use 1 and sell 3 (6 - 6 = 0)
    assert plan.cost == pytest.approx(1.0 + 0.0 + 1.0)
    assert plan[grid][1] == pytest.approx(0.0)
    assert plan[sell][1] == pytest.approx(3.0)


def test_a_stream_with_a_minimum_is_off_or_above_it(searches):
    net = Network(Horizon.regular(4, 1.0))
    bus = net.node("bus")
    unit = net.source("unit", bus, cost=1.0, upper=10.0)
    net.source("grid", bus, cost=1.3)
    net.sink("vent", bus)
    net.minimum(unit, 5.0)
    net.sink("load", bus, amount=[6.0, 4.5, 3.0, 0.0])
    plan = net.solve()
    # 6 by the unit; 4.5: 5 of the unit, 0.5 vented (5 < 5.85); 3: grid (3.9 < 5); 0: off
    np.testing.assert_allclose(plan[unit], [6.0, 5.0, 0.0, 0.0], atol=1e-9)
    assert plan.cost == pytest.approx(6.0 + 5.0 + 3.9)
    assert searches[-1] == 2
    assert plan.price(bus)[0, 0, 1] == pytest.approx(0.0)  # running at its minimum, more costs nothing


def test_after_a_search_the_network_is_as_it_was():
    net, _ = paid_to_burn([3.0, -1.0, 3.0, -2.0])
    lower, upper = net.program.lower.copy(), net.program.upper.copy()
    first = net.solve()
    np.testing.assert_array_equal(net.program.lower, lower)
    np.testing.assert_array_equal(net.program.upper, upper)
    assert net.solve().cost == pytest.approx(first.cost, abs=1e-9)
    net.update(net.handles["grid"], cost=[3.0, 1.0, 3.0, 2.0])
    again = net.solve()
    assert again.solver == "simplex"
    assert again.cost == pytest.approx(paid_to_burn([3.0, 1.0, 3.0, 2.0])[0].solve().cost)


# --- errors -------------------------------------------------------------------------------------------------------------


def test_a_cost_without_an_end_is_named_by_what_grows_and_by_nothing_else():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=1.0)
    net.sink("export", bus, cost=-2.0)
    net.source("sun", bus, upper=4e7)
    net.sink("load", bus, amount=3e7)
    net.store("tank", bus, energy=9e7, charge=5e7, discharge=5e7)
    for lang, words in (("en", "no lower end"), ("vi", "giới hạn dưới")):
        with pytest.raises(RequestError) as refused:
            net.solve()
        assert refused.value.code == "network.unbounded"
        assert "grid, export" in refused.value.text(lang)
        assert words in refused.value.text(lang)
        for innocent in ("sun", "tank", "load"):
            assert innocent not in refused.value.text(lang)


def test_a_rate_without_a_lower_end_is_named_too():
    net = Network(Horizon.regular(1, 1.0))
    bus = net.node("bus")
    net.source("trade", bus, cost=2.0, lower=-np.inf)
    net.source("grid", bus, cost=1.0)
    with pytest.raises(RequestError, match="trade, grid"):
        net.solve()


def test_buying_and_selling_at_one_price_without_limits_is_no_error():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=2.0)
    net.sink("export", bus, cost=-2.0)
    net.sink("load", bus, amount=1.0)
    plan = net.solve()
    assert plan.cost == pytest.approx(4.0)
    np.testing.assert_allclose(plan[grid], 1.0)  # and nothing goes in circles


def test_a_contradiction_names_its_rows_in_both_languages():
    net = Network(Horizon.regular(2, 1.0))
    bus = net.node("kiln")
    net.source("burner", bus, lower=5.0, upper=9.0)
    net.sink("load", bus, amount=2.0, tier=None)
    with pytest.raises(InfeasibleError) as refused:
        net.solve()
    assert "kiln" in refused.value.text("en") or "burner" in refused.value.text("en")
    assert "mâu thuẫn" in refused.value.text("vi")


def test_no_time_is_an_error_and_not_half_a_plan():
    rng = np.random.default_rng(0)
    net = Network(Horizon.regular(3000, 1.0))
    bus = net.node(["a", "b", "c", "d"])
    net.source("grid", bus, cost=rng.uniform(1, 3, (4, 3000)))
    net.sink("load", bus, amount=rng.uniform(1, 3, (4, 3000)))
    net.store("battery", bus, energy=9.0, charge=2.0, discharge=2.0, efficiency=(0.9, 0.9))
    with pytest.raises(RequestError) as refused:
        net.solve(time_limit=1e-3)
    assert refused.value.code == "network.time_limit"
    assert "0,001" in refused.value.text("vi")


def test_an_unknown_solver_is_refused():
    net, _, _ = battery_market([1.0, 2.0])
    with pytest.raises(RequestError, match="gurobi"):
        net.solve(solver="gurobi")
    assert isinstance(net.solve().cost, float)


def test_when_a_solve_breaks_the_prices_are_as_before(monkeypatch):
    net, _, _ = battery_market([1.0, 2.0])
    cost = net.program.cost.copy()

    def broken(*_, **__):
        raise MangroveError("network.solver_failed", reason="test")

    monkeypatch.setattr(Solver, "solve", broken)
    with pytest.raises(MangroveError):
        net.solve()
    np.testing.assert_array_equal(net.program.cost, cost)


# --- ties ---------------------------------------------------------------------------------------------------------------


def twins(seed, unit=1.0, money=1.0, *, free=False):
    """Two equal batteries, vehicles and a tariff with long flat hours: many plans cost the same."""
    rng = np.random.default_rng(seed)
    hour = np.arange(48) / 2 % 24
    buy = np.where(hour < 6, 1190.0, np.where((hour >= 17.5) & (hour < 22.5), 3398.0, 1833.0)) * money / unit
    net = Network(Horizon.regular(48, 0.5))
    bus = net.node("bus")
    paid = 0.0 if free else 1.0
    grid = net.source("grid", bus, cost=buy * paid, upper=5000.0 * unit)
    net.sink("export", bus, cost=-671.0 * money / unit * paid, upper=2000.0 * unit)
    net.source("sun", bus, upper=np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * 800 * unit)
    net.sink("load", bus, amount=rng.uniform(400, 600, 48) * unit)
    for name in ("one", "two"):
        net.store(
            name, bus, energy=500.0 * unit, charge=250.0 * unit, discharge=250.0 * unit, efficiency=(0.95, 0.95),
            start=100.0 * unit,
        )  # fmt: skip
    arrive = rng.integers(0, 36, 8)
    net.sessions(
        "ev", bus, arrive=arrive, depart=arrive + 12, energy=rng.uniform(5, 12, 8) * unit, power=7.0 * unit
    )
    net.peak("peak", [grid], price=235_414.0 * money / unit * paid, window=1)
    return net


def rates(plan, net, unit):
    return np.concatenate([
        plan.rate(handle).ravel() / unit
        for name in ("grid", "export", "sun")
        for handle in [net.handles[name]]
    ] + [
        plan.rate(stream).ravel() / unit
        for name in ("one", "two")
        for stream in (net.handles[name].charging, net.handles[name].discharging)
    ] + [plan.rate(net.handles["ev"].charging).ravel() / unit])  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "money", "free"),
    [
        (1.0, 1.0, False),  # kW and dong
        (1e-3, 1.0, False),  # MW
        (1e3, 1.0, False),  # W
        (1.0, 1e-6 / 1.833, False),  # 1e-6 euro
        (1e3, 1e9, False),
        (1.0, 1.0, True),  # nothing costs anything
    ],
)
@settings(max_examples=4, deadline=None)
@given(seed=SEEDS)
def test_of_many_equal_plans_a_warm_and_a_cold_solve_take_the_same_in_any_unit(unit, money, free, seed):
    warm, cold = twins(seed, unit, money, free=free), twins(seed, unit, money, free=free)
    changed = np.random.default_rng(seed + 1).uniform(300, 700, 48) * unit
    warm.solve()
    for net in (warm, cold):
        net.update(net.handles["load"], amount=changed)
        net.update(net.handles["one"], start=200.0 * unit)
    one, two = warm.solve(), cold.solve()
    assert one.cost == pytest.approx(two.cost, rel=1e-9)
    np.testing.assert_allclose(rates(one, warm, unit), rates(two, cold, unit), atol=1e-6)


@settings(max_examples=6, deadline=None)
@given(seed=SEEDS)
def test_the_unit_of_rates_and_money_changes_no_plan(seed):
    base = twins(seed)
    plan = base.solve()
    for unit, money in ((1e-3, 1.0), (1e3, 1.0), (1.0, 1e-6), (1e3, 1e6)):
        other = twins(seed, unit, money)
        found = other.solve()
        assert found.cost == pytest.approx(plan.cost * money, rel=1e-9)
        np.testing.assert_allclose(rates(found, other, unit), rates(plan, base, 1.0), atol=1e-4)


@pytest.mark.parametrize("solver", ["hipo", "ipx"])
def test_an_interior_point_method_starts_from_scratch_so_that_its_plans_are_equal_to_the_bit(solver):
    warm, cold = twins(1), twins(1)
    warm.solve(solver=solver)
    changed = np.random.default_rng(2).uniform(300, 700, 48)
    for net in (warm, cold):
        net.update(net.handles["load"], amount=changed)
    one, two = warm.solve(solver=solver), cold.solve(solver=solver)
    assert one.cost == two.cost
    np.testing.assert_array_equal(rates(one, warm, 1.0), rates(two, cold, 1.0))


def test_of_two_equal_hours_a_battery_charges_in_the_earlier():
    net = Network(Horizon.regular(6, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=[2.0, 1.0, 1.0, 1.0, 1.0, 9.0])
    net.sink("load", bus, amount=[0.0, 0.0, 0.0, 0.0, 0.0, 4.0])
    store = net.store("battery", bus, energy=4.0, charge=4.0, discharge=4.0, start=0.0, end="free")
    np.testing.assert_allclose(net.solve()[store.charging], [0, 4, 0, 0, 0, 0], atol=1e-9)


def test_a_tie_break_never_beats_a_price():
    net = Network(Horizon.regular(6, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=[1.0, 1.0, 1.0, 1.0, 1.0 - 1e-5, 9.0])
    net.sink("load", bus, amount=[0.0, 0.0, 0.0, 0.0, 0.0, 4.0])
    store = net.store("battery", bus, energy=4.0, charge=4.0, discharge=4.0, start=0.0, end="free")
    assert net.solve()[store.charging][4] == pytest.approx(4.0)
