"""Stores: levels that carry over, losses, ends, lean stores, and representative days against the chronological year."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network

SEEDS = st.integers(0, 10_000)


def trade(prices, hours=1.0, **terms):
    """Buys at a price, sells for it, with a store in between."""
    net = Network(Horizon.regular(len(prices), hours))
    bus = net.node("bus")
    net.source("buy", bus, cost=prices, upper=100.0)
    net.sink("sell", bus, cost=-np.asarray(prices), upper=100.0)
    store = net.store("battery", bus, **{"energy": 10.0, "charge": 4.0, "discharge": 5.0} | terms)
    return net, store


def test_a_store_buys_low_and_sells_high_as_far_as_its_power_goes():
    net, store = trade([1.0, 3.0], efficiency=(0.5, 0.8))
    plan = net.solve()
    # 4 in, 2 stored, 1.6 out
    assert plan[store.charging][0] == pytest.approx(4.0)
    assert plan[store.discharging][1] == pytest.approx(1.6)
    assert plan.cost == pytest.approx(4 * 1.0 - 1.6 * 3.0)


def test_a_lossy_store_keeps_a_share_of_its_level_each_hour():
    net, store = trade([1.0, 1.5, 9.0], hours=2.0, loss=0.1, energy=8.0)
    plan = net.solve()
    level = plan.level(store)[0, 0]
    assert level[0] == pytest.approx(8.0)
    assert level[1] == pytest.approx(8.0)  # refilled: what 1.5 buys is worth 9 x 0.81
    assert plan[store.discharging][2] * 2.0 == pytest.approx(8.0 * 0.9**2)


def test_wear_stops_trade_that_earns_less_than_it_costs():
    assert trade([1.0, 3.0], wear=2.1)[0].solve().cost == pytest.approx(0.0, abs=1e-9)
    assert trade([1.0, 3.0], wear=1.9)[0].solve().cost == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("start", "end", "last"), [(6.0, "free", 0.0), (6.0, "cyclic", 6.0), (6.0, 2.0, 2.0), (None, 3.0, 3.0)]
)
def test_the_end_is_as_declared(start, end, last):
    net, store = trade([2.0, 2.0], start=start, end=end, wear=0.0, efficiency=(1.0, 0.9))
    net.update(net.handles["sell"], cost=-1.9)
    level = net.solve().level(store)[0, 0]
    assert level[-1] == pytest.approx(last, abs=1e-9)


def test_a_store_without_a_start_cannot_create_energy():
    net, _ = trade([1.0, 1.0, 1.0], end="free")
    assert net.solve().cost == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.booleans())
def test_a_lean_store_costs_what_a_lossless_store_without_limits_costs(seed, begins):
    rng = np.random.default_rng(seed)
    price, load = rng.uniform(1, 5, 10), rng.uniform(0, 4, 10)

    def cost(**kind):
        net = Network(Horizon.regular(10, 0.5))
        bus = net.node("bus")
        net.source("grid", bus, cost=price, upper=6.0)
        net.sink("load", bus, amount=load)
        start = 2.0 if begins else None
        net.store("tank", bus, energy=5.0, start=start, **kind)
        return net.solve().cost

    assert cost(charge=None, discharge=None) == pytest.approx(cost(), rel=1e-9)


# --- representative days ------------------------------------------------------------------------------------------------


def year(seed, horizon, days, **terms):
    """Drawn prices and loads of some days; `days` says which day each step of the horizon belongs to."""
    rng = np.random.default_rng(seed)
    price, load = rng.uniform(1, 6, (4, 6)), rng.uniform(0, 4, (4, 6))
    net = Network(horizon)
    bus = net.node("bus")
    net.source("grid", bus, cost=price[days].ravel(), upper=7.0)
    net.sink("load", bus, amount=load[days].ravel())
    store = net.store(
        "battery", bus, **{"energy": 9.0, "charge": 2.0, "discharge": 2.0, "efficiency": (0.9, 0.9)} | terms
    )
    return net.solve(), store


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_days_that_each_stand_for_themselves_are_the_chronological_year(seed):
    typical, _ = year(seed, Horizon.typical(1.0, 6, [0, 1, 2, 3]), [0, 1, 2, 3])
    whole, _ = year(seed, Horizon.regular(24, 1.0), [0, 1, 2, 3])
    assert typical.cost == pytest.approx(whole.cost, rel=1e-9)
    assert not typical.relaxed


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_with_losses_representative_days_err_on_the_safe_side(seed):
    typical, store = year(seed, Horizon.typical(1.0, 6, [0, 1, 2, 3]), [0, 1, 2, 3], loss=0.03)
    whole, _ = year(seed, Horizon.regular(24, 1.0), [0, 1, 2, 3], loss=0.03)
    assert typical.cost >= whole.cost * (1 - 1e-9)
    begin = typical._x[store.days][0, 0]
    within = typical.level(store)[0, 0].reshape(4, 6)
    true = begin[:, None] * 0.97 ** np.arange(1, 7) + within
    assert true.min() > -1e-6
    assert true.max() < 9 + 1e-6


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_day_that_stands_for_two_costs_no_less_than_the_two_days_one_by_one(seed):
    order = [0, 1, 0, 1]
    typical, _ = year(seed, Horizon.typical(1.0, 6, order), [0, 1])
    whole, _ = year(seed, Horizon.regular(24, 1.0), order)
    assert typical.cost >= whole.cost * (1 - 1e-9)


def test_what_is_stored_on_one_day_serves_another():
    # day A costs 1, day B costs 9; order A B: 4 of B's load of 12 comes from A, as much as the store holds
    net = Network(Horizon.typical(1.0, 2, [0, 1]))
    bus = net.node("bus")
    net.source("grid", bus, cost=[1.0, 1.0, 9.0, 9.0])
    net.sink("load", bus, amount=[0.0, 0.0, 6.0, 6.0])
    net.store("battery", bus, energy=4.0, charge=3.0, discharge=3.0)
    assert net.solve().cost == pytest.approx(4 * 1.0 + 8 * 9.0)


def test_the_tightest_hour_of_a_floor_or_a_size_counts_over_representative_days():
    net = Network(Horizon.typical(1.0, 2, [0, 1]))
    bus = net.node("bus")
    net.source("grid", bus, cost=[1.0, 1.0, 9.0, 9.0])
    net.sink("load", bus, amount=[0.0, 0.0, 6.0, 6.0])
    net.store("battery", bus, energy=[4.0, 4.0, 4.0, 3.0], floor=[0.0, 1.0, 0.0, 0.0])
    assert net.solve().cost == pytest.approx(2 * 1.0 + 10 * 9.0)


@pytest.mark.parametrize("terms", [{"start": 1.0}, {"end": 1.0}])
def test_a_start_over_representative_days_is_refused(terms):
    net = Network(Horizon.typical(1.0, 2, [0, 1]))
    with pytest.raises(RequestError) as refused:
        net.store("battery", net.node("bus"), energy=4.0, **terms)
    assert refused.value.code == "network.across_days"


# --- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"energy": -1.0}, "network.negative"),
        ({"energy": np.nan}, "network.not_a_number"),
        ({"charge": -1.0}, "network.bounds_crossed"),
        ({"efficiency": (1.1, 1.0)}, "network.share_range"),
        ({"efficiency": (0.9, 0.0)}, "network.share_range"),
        ({"efficiency": (-0.1, 1.0)}, "network.negative"),
        ({"loss": 1.0}, "network.share_range"),
        ({"loss": -0.1}, "network.share_range"),
        ({"loss": float("nan")}, "network.share_range"),
        ({"floor": 11.0}, "network.bounds_crossed"),
        ({"floor": -1.0}, "network.negative"),
        ({"start": -1.0}, "network.negative"),
        ({"start": np.inf}, "network.not_a_number"),
        ({"start": [1.0, 2.0]}, "network.bad_shape"),
        ({"start": 1.0, "end": "empty"}, "network.unknown_end"),
        ({"start": 1.0, "end": -2.0}, "network.negative"),
        ({"start": 1.0, "end": np.inf}, "network.not_a_number"),
        ({"charge": None, "discharge": None, "efficiency": (0.9, 1.0)}, "network.lean_store"),
    ],
)
def test_an_impossible_store_is_refused(terms, code):
    with pytest.raises(RequestError) as refused:
        trade([1.0, 2.0], **terms)
    assert refused.value.code == code
    assert "battery" in refused.value.text("vi")
