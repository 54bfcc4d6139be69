"""Vehicles that come and go: what they get, what they may give back, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network

STAYS = {"arrive": [0, 2], "depart": [3, 4], "energy": [4.5, 1.8], "power": [3.0, 2.0], "efficiency": 0.9}


def garage(price=(4.0, 1.0, 2.0, 3.0), upper=np.inf, **terms):
    net = Network(Horizon.regular(4, 1.0))
    bus = net.node("bus")
    grid = net.source("grid", bus, cost=np.array(price), upper=upper)
    return net, grid, net.sessions("ev", bus, **STAYS | terms)


def test_vehicles_charge_in_the_cheapest_steps_of_their_stay():
    net, _, ev = garage()
    plan = net.solve()
    np.testing.assert_allclose(plan[ev.charging], [[0, 3, 2, 0], [0, 0, 2, 0]], atol=1e-9)
    assert plan.cost == pytest.approx(3 * 1 + 2 * 2 + 2 * 2)
    np.testing.assert_allclose(plan.shortfall(ev), 0.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_nobody_charges_outside_a_stay_and_everybody_gets_what_was_promised(seed):
    rng = np.random.default_rng(seed)
    arrive = rng.integers(0, 8, 6)
    depart = arrive + rng.integers(1, 5, 6)
    net = Network(Horizon.regular(12, 0.5))
    bus = net.node("bus")
    net.source("grid", bus, cost=rng.uniform(1, 3, 12))
    energy = 0.5 * 0.9 * 7.0 * (depart - arrive) * rng.uniform(0, 1, 6)
    two_way = rng.choice([0.0, 5.0], 6)
    ev = net.sessions(
        "ev", bus, arrive=arrive, depart=depart, energy=energy, power=7.0, efficiency=0.9, discharge=two_way,
        level=1.0, usable=40.0,
    )  # fmt: skip
    plan = net.solve()
    assert not plan.relaxed
    into = plan.rate(ev.charging)[:, 0]
    out = 0.0 if ev.discharging is None else plan.rate(ev.discharging)[:, 0]
    step = np.arange(12)
    away = (step < arrive[:, None]) | (step >= depart[:, None])
    assert np.abs(into[away]).max() == 0.0
    got = (0.5 * 0.9 * into - 0.5 * np.asarray(out) / 0.9).sum(axis=1)
    assert (got >= energy - 1e-6).all()


def test_a_two_way_vehicle_serves_the_load_when_it_is_dear_and_leaves_with_its_need():
    net = Network(Horizon.regular(3, 1.0))
    bus = net.node("bus")
    net.source("grid", bus, cost=[1.0, 9.0, 1.0], upper=9.0)
    net.sink("load", bus, amount=[0.0, 2.0, 0.0])
    ev = net.sessions(
        "ev",
        bus,
        arrive=[0],
        depart=[3],
        energy=[1.0],
        power=[4.0],
        discharge=[4.0],
        level=[2.0],
        usable=[6.0],
    )
    plan = net.solve()
    assert plan[ev.discharging][1] == pytest.approx(2.0)
    assert plan.level(ev)[0, 0, -1] == pytest.approx(3.0)
    assert plan.cost == pytest.approx(3.0)  # 2 given, 1 more wanted


def test_wear_is_paid_for_what_is_given_back():
    def cost(wear):
        net = Network(Horizon.regular(2, 1.0))
        bus = net.node("bus")
        net.source("grid", bus, cost=[1.0, 9.0])
        net.sink("load", bus, amount=[0.0, 2.0])
        net.sessions(
            "ev",
            bus,
            arrive=[0],
            depart=[2],
            energy=[0.0],
            power=[4.0],
            discharge=[4.0],
            usable=[6.0],
            wear=wear,
        )
        return net.solve().cost

    assert cost(3.0) == pytest.approx(2.0 * 1 + 2.0 * 3)
    assert cost(20.0) == pytest.approx(2.0 * 9)


def test_a_slot_that_is_not_used_needs_nothing():
    for discharge in (0.0, 2.0):
        net, _, ev = garage(arrive=[0, 2], depart=[3, 2], discharge=discharge)
        plan = net.solve()
        assert not plan.relaxed
        np.testing.assert_allclose(plan.rate(ev.charging)[1], 0.0)


def test_a_vehicle_with_room_takes_more_when_it_is_paid_for_it():
    net, _, ev = garage(price=(1.0, 1.0, -1.0, 1.0), usable=[9.0, 9.0], power=[9.0, 9.0])
    got = 0.9 * net.solve()[ev.charging].sum(axis=1)
    np.testing.assert_allclose(got, [8.1, 8.1])
    net, _, ev = garage(price=(1.0, 1.0, -1.0, 1.0), power=[9.0, 9.0])
    np.testing.assert_allclose(0.9 * net.solve()[ev.charging].sum(axis=1), [4.5, 1.8])


@pytest.mark.parametrize(
    ("terms", "code", "word"),
    [
        ({"depart": [3, 1]}, "network.session_reversed", "session 2"),
        ({"depart": [3, 5]}, "network.session_outside", "session 2"),
        ({"efficiency": 1.2}, "network.session_efficiency", "session 1"),
        ({"efficiency": 0.0}, "network.session_efficiency", "session 1"),
        ({"level": [0.0, 9.0], "usable": 10.0}, "network.session_too_much", "session 2"),
        ({"arrive": [0, 2.5]}, "network.not_a_step", "arrive of session 2 is 2.5"),
        ({"energy": [np.inf, 1.0]}, "network.not_a_number", "energy"),
        ({"energy": [np.nan, 1.0]}, "network.not_a_number", "energy"),
        ({"power": [-1.0, 1.0]}, "network.negative", "power"),
        ({"arrive": [-1, 1]}, "network.negative", "arrive"),
        ({"power": [1.0, 1.0, 1.0]}, "network.bad_shape", "arrive"),
    ],
)
def test_an_impossible_stay_is_refused_with_its_number(terms, code, word):
    with pytest.raises(RequestError) as refused:
        garage(**terms)
    assert refused.value.code == code
    assert word in refused.value.text()
    assert refused.value.text("vi") != refused.value.text()
