"""Levels of water on a network: the steady state is the pinch, and treatment follows prices and carbon of the hours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.water_cases import POLLEY, SORIN_BEDARD, flows

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.network.water_levels import water_levels
from mangrove.network.water_pinch import water_target

PPM = st.integers(0, 8).map(lambda k: 25.0 * k)
SIDES = st.lists(st.tuples(st.integers(1, 200).map(float), PPM), min_size=1, max_size=5)


def fresh_of(sinks, sources, *, mix=True):
    """Least fresh water when every concentration of the problem is a level."""
    net = Network(Horizon.regular(1, 1.0))
    levels = {f"{ppm:g}": ppm for ppm in {0.0, *(c for _, c in (*sinks, *sources))}}
    water = water_levels(net, "site", levels, mix=mix)
    tap = net.source("tap", water["0"], cost=1.0)
    for k, (flow, ppm) in enumerate(sources):
        net.source(f"source {k}", water.of_water(ppm), upper=flow)
    for k, (flow, ppm) in enumerate(sinks):
        net.sink(f"sink {k}", water.for_use(ppm), amount=flow, tier=None)
    return float(net.solve()[tap].item())


@pytest.mark.parametrize(("case", "fresh"), [(POLLEY, 70.0), (SORIN_BEDARD, 200.0)])
def test_levels_that_may_mix_give_the_published_fresh_water(case, fresh):
    assert fresh_of(*case) == pytest.approx(fresh, rel=1e-6)
    assert fresh_of(*case, mix=False) >= fresh - 1e-6


@settings(max_examples=15, deadline=None)
@given(SIDES, SIDES)
def test_levels_that_may_mix_are_the_pinch(sinks, sources):
    assert fresh_of(sinks, sources) == pytest.approx(
        water_target(flows(sinks, sources)).fresh, rel=1e-6, abs=1e-6
    )


def plant(price, carbon=0.0, factor=0.0):
    """Ten m3/h of wastewater, ten m3/h of clean water wanted, tanks on both sides, treatment of 30 m3/h at 0.5 kWh/m3."""
    net = Network(Horizon.regular(24, 1.0))
    power = net.node("power")
    grid = net.source("grid", power, cost=np.asarray(price) + carbon * np.asarray(factor))
    net.sink("load", power, amount=np.full(24, 7.0))
    water = water_levels(net, "works", {"clean": 0.0, "waste": 300.0})
    net.source("drain", water["waste"], upper=10.0, lower=10.0)
    net.sink("process", water["clean"], amount=np.full(24, 8.0))
    net.sink("river", water["waste"], cost=50.0)
    net.source("tap", water["clean"], cost=40.0)
    for level in ("waste", "clean"):
        net.store(f"{level} tank", water[level], energy=500.0)
    run = water.treat(
        "membrane", "waste", "clean", electricity=power, consumption=0.5, recovery=0.8, upper=30.0
    )
    return net.solve(), grid, run


def test_treatment_runs_in_the_cheap_hours_with_tanks_on_both_sides():
    price = np.where(np.arange(24) < 8, 1.0, 3.0)
    plan, grid, run = plant(price)
    assert plan[run][:8] == pytest.approx(np.full(8, 30.0))  # 240 m3 a day through 30 m3/h
    assert plan[run][8:] == pytest.approx(np.zeros(16), abs=1e-6)
    assert plan[grid] == pytest.approx(7.0 + 0.5 * plan[run])
    surplus = 240 * 0.8 - 24 * 8.0  # nothing is bought, nothing discharged
    assert surplus == pytest.approx(0.0)
    assert plan.cost == pytest.approx(7.0 * price.sum() + 0.5 * 240 * 1.0)


def test_treatment_follows_the_carbon_of_the_hours_where_the_price_is_flat():
    factor = np.where((np.arange(24) >= 9) & (np.arange(24) < 17), 0.2, 0.8)
    plan, _, run = plant(np.full(24, 2.0), carbon=1.0, factor=factor)
    assert plan[run][9:17] == pytest.approx(np.full(8, 30.0))
    assert plan[run].sum() == pytest.approx(240.0)


def test_reject_water_stays_in_the_balance_when_it_has_a_node():
    net = Network(Horizon.regular(2, 1.0))
    water = water_levels(net, "w", {"clean": 0.0, "grey": 50.0, "brine": 900.0})
    net.source("grey", water["grey"], upper=10.0)
    out = net.sink("out", water["brine"])
    net.sink("use", water["clean"], amount=np.full(2, 6.0))
    run = water.treat("ro", "grey", "clean", recovery=0.75, reject=water["brine"])
    plan = net.solve()
    assert plan[run] == pytest.approx(np.full(2, 8.0))
    assert (plan[out] >= 2.0 - 1e-9).all()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda net: water_levels(net, "w", {}), "reuse.levels"),
        (lambda net: water_levels(net, "w", {"a": 1.0, "b": 1.0}), "reuse.levels"),
        (lambda net: water_levels(net, "w", {"a": -1.0}), "reuse.levels"),
        (lambda net: water_levels(net, "w", {"clean": 0.0})["claen"], "reuse.unknown_level"),
        (lambda net: water_levels(net, "w", {"a": 5.0}).for_use(1.0), "reuse.too_clean"),
        (lambda net: water_levels(net, "w", {"a": 5.0}).of_water(9.0), "reuse.too_dirty"),
        (
            lambda net: water_levels(net, "w", {"a": 5.0, "b": 9.0}).treat("t", "b", "a", recovery=0.0),
            "reuse.range",
        ),
    ],
)
def test_levels_that_mean_nothing_are_refused(make, code):
    with pytest.raises(RequestError) as raised:
        make(Network(Horizon.regular(1, 1.0)))
    assert raised.value.code == code
    for lang in ("en", "vi"):
        assert "{" not in raised.value.text(lang)
