"""New data for an old structure: a warm solve equals a network built anew, whatever came before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network

STEPS, HOURS = 10, 0.5


def draw(rng):
    """All data of a site that an update may change."""
    arrive = rng.integers(0, STEPS, 3)
    depart = np.minimum(arrive + rng.integers(0, 6, 3), STEPS)
    tight = rng.random() < 0.3  # sometimes too little for everybody
    return {
        "grid": {"cost": rng.uniform(-0.5, 4.0, STEPS), "upper": 4.0 if tight else 30.0},
        "load": {"amount": rng.uniform(0.0, 9.0, STEPS)},
        "sun": {"upper": rng.uniform(0.0, 6.0, STEPS)},
        "battery": {
            "start": rng.uniform(1.0, 6.0), "end": rng.uniform(0.0, 4.0), "energy": rng.uniform(6.0, 9.0),
            "charge": rng.uniform(1.0, 5.0), "discharge": rng.uniform(1.0, 5.0), "wear": rng.uniform(0.0, 0.5),
        },
        "tank": {"start": rng.uniform(1.0, 6.0), "energy": rng.uniform(6.0, 9.0)},
        "ev": {
            "arrive": arrive, "depart": depart, "energy": rng.uniform(0.0, 1.0, 3) * (depart - arrive) * HOURS * 3.0,
            "power": 4.0, "cost": rng.uniform(0.0, 0.2),
        },
        "peak": {"metered": rng.uniform(0.0, 5.0, 2), "price": rng.uniform(0.0, 9.0, 2)},
        "co2": {"upper": rng.uniform(20.0, 90.0)},
        "roof": {"cost": rng.uniform(1.0, 9.0), "upper": rng.uniform(0.0, 5.0)},
    }  # fmt: skip


def build(data):
    net = Network(Horizon.regular(STEPS, HOURS))
    bus = net.node("bus")
    grid = net.source("grid", bus, **data["grid"])
    net.sink("load", bus, **data["load"])
    net.source("sun", bus, **data["sun"])
    net.store("battery", bus, efficiency=(0.9, 0.9), loss=0.01, floor=0.5, **data["battery"])
    net.store("tank", bus, charge=3.0, discharge=3.0, **data["tank"])
    net.sessions("ev", bus, efficiency=0.9, **data["ev"])
    net.peak("peak", [grid], group=np.arange(STEPS) // 6, window=2, **data["peak"])
    net.budget("co2", [(grid, 1.0)], **data["co2"])
    roof = net.capacity("roof", existing=1.0, **data["roof"])
    net.source("panels", bus, capacity=roof, profile=np.linspace(0.0, 1.0, STEPS))
    return net


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 6))
def test_after_any_updates_the_plan_is_that_of_a_network_built_anew(seed, rounds):
    rng = np.random.default_rng(seed)
    net = build(draw(rng))
    current = draw(rng)
    for name, data in current.items():
        net.update(net.handles[name], **data)
    for _ in range(rounds):
        net.solve()
        fresh = draw(rng)
        for name in rng.choice(list(fresh), 4, replace=False):
            kept = rng.choice(list(fresh[name]), rng.integers(1, len(fresh[name]) + 1), replace=False)
            if name == "ev":
                kept = np.array(list(fresh[name]))
            part = {what: fresh[name][what] for what in kept}
            net.update(net.handles[name], **part)
            current[name] = current[name] | part
    warm, cold = net.solve(), build(current).solve()
    assert warm.cost == pytest.approx(cold.cost, rel=1e-9, abs=1e-9)
    assert [r.name for r in warm.relaxed] == [r.name for r in cold.relaxed]
    np.testing.assert_allclose([r.amount for r in warm.relaxed], [r.amount for r in cold.relaxed], rtol=1e-6)
    for name in ("grid", "sun", "panels"):
        handle = net.handles[name]
        np.testing.assert_allclose(
            warm[handle], cold[handle], atol=1e-5
        )  # the tie-break: not only the cost is equal


def test_an_end_that_is_at_least_the_start_follows_the_start():
    def store(start):
        net = Network(Horizon.regular(2, 1.0))
        bus = net.node("bus")
        net.source("grid", bus, cost=1.0)
        net.sink("vent", bus, cost=-0.5)
        return net, net.store("battery", bus, energy=9.0, charge=9.0, discharge=9.0, start=start)

    net, battery = store(2.0)
    net.solve()
    net.update(battery, start=7.0)
    assert net.solve().cost == pytest.approx(store(7.0)[0].solve().cost, abs=1e-9)
    assert net.solve().level(battery)[0, 0, -1] == pytest.approx(7.0)


def test_a_size_over_several_years_gets_new_limits_where_they_belong():
    def build(upper):
        net = Network(Horizon.chronological([1.0, 1.0], year=[0, 1]))
        bus = net.node("bus")
        unit = net.capacity("unit", cost=[1.0, 1.0], existing=[1.0, 0.0], upper=upper)
        net.source("engine", bus, capacity=unit)
        net.source("grid", bus, cost=5.0)
        net.sink("load", bus, amount=[6.0, 6.0])
        return net, unit

    net, unit = build(6.0)
    net.solve()
    net.update(unit, upper=[3.0, 4.0])
    plan = net.solve()
    np.testing.assert_allclose(plan.size(unit), [[3.0, 4.0]])
    assert plan.cost == pytest.approx(build([3.0, 4.0])[0].solve().cost)


def test_an_open_side_of_a_budget_may_be_set_later_and_gives_way_like_the_other():
    net = Network(Horizon.regular(1, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=1.0)
    net.sink("load", bus, amount=5.0)
    limit = net.budget("co2", [(grid, 1.0)], lower=0.0)
    net.solve()
    net.update(limit, upper=3.0)
    (found,) = net.solve().relaxed
    assert (found.name, found.amount) == ("co2", pytest.approx(2.0))


def test_a_two_way_fleet_moves_its_stays():
    def build(stay):
        net = Network(Horizon.regular(4, 1.0))
        bus = net.node("bus")
        net.source("grid", bus, cost=[3.0, 1.0, 4.0, 2.0])
        net.sink("load", bus, amount=2.0)
        return net, net.sessions("ev", bus, power=3.0, usable=9.0, **stay)

    first = {
        "arrive": [0, 1],
        "depart": [2, 4],
        "energy": [2.0, 3.0],
        "discharge": [2.0, 0.0],
        "level": [1.0, 1.0],
    }
    then = {
        "arrive": [1, 2],
        "depart": [4, 2],
        "energy": [4.0, 0.0],
        "discharge": [0.0, 3.0],
        "level": [2.0, 0.0],
    }
    net, ev = build(first)
    net.solve()
    net.update(ev, **then)
    assert net.solve().cost == pytest.approx(build(then)[0].solve().cost, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("grid", {"cots": 1.0}, "network.cannot_update"),
        ("grid", {"cost": np.nan}, "network.not_a_number"),
        ("grid", {"upper": -1.0}, "network.bounds_crossed"),
        ("grid", {"lower": 40.0}, "network.bounds_crossed"),
        ("grid", {"cost": np.ones(3)}, "network.bad_shape"),
        ("load", {"amount": np.inf}, "network.not_a_number"),
        ("load", {"amount": np.ones(3)}, "network.bad_shape"),
        ("load", {"tier": "comfort"}, "network.cannot_update"),
        ("battery", {"start": -1.0}, "network.negative"),
        ("battery", {"efficiency": 0.5}, "network.cannot_update"),
        ("battery", {"energy": 0.1}, "network.bounds_crossed"),
        ("battery", {"end": np.nan}, "network.not_a_number"),
        ("ev", {"arrive": 9.0, "depart": 3.0}, "network.session_reversed"),
        ("ev", {"discharge": 3.0}, "network.cannot_update"),
        ("peak", {"metered": -1.0}, "network.negative"),
        ("peak", {"price": np.inf}, "network.not_a_number"),
        ("peak", {"carry": np.ones(9)}, "network.bad_shape"),
        ("co2", {"upper": [1.0, 2.0]}, "network.bad_shape"),
        ("co2", {"lower": 1e9}, "network.bounds_crossed"),
        ("roof", {"upper": -1.0}, "network.negative"),
        ("roof", {"lower": 99.0}, "network.bounds_crossed"),
        ("panels", {"upper": 3.0}, "network.cannot_update"),
        ("bus", {"owner": "x"}, "network.cannot_update"),
    ],
)  # fmt: skip
def test_a_refused_update_is_named_and_changes_nothing(name, data, code):
    net = build(draw(np.random.default_rng(1)))
    before = net.solve().cost
    with pytest.raises(RequestError) as refused:
        net.update(net.handles[name], **data)
    assert refused.value.code == code
    assert "{" not in refused.value.text("vi")
    assert net.solve().cost == before


def test_a_misspelled_word_is_answered_with_the_right_one():
    net = build(draw(np.random.default_rng(1)))
    with pytest.raises(RequestError, match="amount"):
        net.update(net.handles["load"], amuont=3.0)


@pytest.mark.parametrize("what", ["energy", "charge", "discharge"])
def test_a_store_of_chosen_size_keeps_its_size(what):
    net = Network(Horizon.regular(2, 1.0))
    size = net.capacity("size", cost=1.0)
    store = net.store("battery", net.node("bus"), energy=size, charge=size, discharge=size)
    with pytest.raises(RequestError) as refused:
        net.update(store, **{what: 3.0})
    assert refused.value.code == "network.cannot_update"
