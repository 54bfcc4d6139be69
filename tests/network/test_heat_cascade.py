# SPDX-License-Identifier: Apache-2.0
"""Heat as nodes of a network: the pinch targets again, plants through mains, heat pumps, and all carriers in one program."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.heat_cases import PUBLISHED, random_streams

from mangrove.errors import RequestError
from mangrove.network import Horizon, Network
from mangrove.network.assets.heat_pump import cop
from mangrove.network.heat import Streams, pinch
from mangrove.network.heat_cascade import (
    Main,
    add_streams,
    cascade,
    heat_pump,
    join,
    levels_of,
    main,
    program_targets,
    stream,
    utility,
)


def one_hour():
    """A network of one step of an hour."""
    return Network(Horizon.regular(1, 1.0))


def priced(net, plant, hot=1.0, cold=0.0):
    """A hot and a cold utility beyond all levels of a plant."""
    ends = (float(plant.levels[-1]), float(plant.levels[0]))
    heat = utility(net, plant, f"{plant.name} hot", ends[0], gives=True, contribution=0.0, cost=hot)
    cool = utility(net, plant, f"{plant.name} cold", ends[1], gives=False, contribution=0.0, cost=cold)
    return heat, cool


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case.source)
def test_the_program_finds_published_targets(case):
    assert program_targets(case.streams, case.dt) == pytest.approx((case.hot, case.cold), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(random_streams(), st.sampled_from([0.0, 10.0, 25.0]))
def test_the_program_finds_the_pinch_targets(streams, dt):
    found = pinch(streams, dt)
    scale = max(float(streams.heat.sum()), 1.0)
    difference = np.subtract(program_targets(streams, dt), (found.hot_utility, found.cold_utility))
    assert np.abs(difference).max() <= 1e-7 * scale


@settings(max_examples=25, deadline=None)
@given(random_streams(most=5))
def test_streams_one_by_one_are_the_same_as_all_at_once(streams):
    net = one_hour()
    plant = cascade(net, "plant", levels_of(streams))
    hot, _ = priced(net, plant)
    for i in range(len(streams)):
        own = 5.0 if np.isnan(streams.contribution[i]) else float(streams.contribution[i])
        stream(
            net, plant, f"stream {i}", float(streams.supply[i]), float(streams.target[i]),
            heat=float(streams.heat[i]), contribution=own, gives=bool(streams.gives[i]),
        )  # fmt: skip
    assert net.solve()[hot][0] == pytest.approx(pinch(streams).hot_utility, abs=1e-6)


def test_the_price_of_heat_falls_at_the_pinch():
    net, streams = one_hour(), PUBLISHED[0].streams
    plant = cascade(net, "plant", levels_of(streams))
    add_streams(net, plant, "streams", streams)
    priced(net, plant, hot=3.0, cold=1.0)
    prices = net.solve().price(plant.nodes)[::2, 0, 0]
    assert prices[plant.levels > 85].tolist() == pytest.approx([3.0] * int((plant.levels > 85).sum()))
    assert prices[plant.levels < 85].tolist() == pytest.approx([-1.0] * int((plant.levels < 85).sum()))


def test_heat_flows_follow_the_hours():
    net = Network(Horizon.regular(3, 1.0))
    streams = Streams.of([150, 20], [50, 100], heat=[40, 100])
    plant = cascade(net, "plant", levels_of(streams))
    hot, cold = priced(net, plant)
    add_streams(net, plant, "streams", streams, profile=[1.0, 0.5, 0.0])
    plan = net.solve()
    assert plan[hot].tolist() == pytest.approx([60, 30, 0])
    assert plan[cold].tolist() == pytest.approx([0, 0, 0])


def test_waste_heat_that_may_go_up_the_chimney_is_taken_as_far_as_it_helps():
    net = one_hour()
    plant = cascade(net, "plant", [15, 25, 85, 95, 195])
    hot, _ = priced(net, plant, hot=1.0, cold=10.0)
    stream(net, plant, "bath", 20, 80, heat=60)
    gas = stream(net, plant, "gas", 200, 100, heat=500, optional=True)
    plan = net.solve()
    assert (plan[hot][0], plan[gas][0]) == pytest.approx((0, 60))


def two_plants():
    """A mill that has heat to spare at 200 and a town that lacks some at 80, each with its levels."""
    mill = Streams.of([210, 30], [150, 90], heat=[300, 60], names=["gas", "bath"])
    town = Streams.of([30], [80], heat=[400], names=["heating"])
    return mill, town


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_plants_exchange_through_a_main_and_lose_on_the_way(loss):
    mill, town = two_plants()
    net = one_hour()
    steam = main(net, "steam", 140)
    mill_cascade = cascade(net, "mill", levels_of(mill, mains=[steam]))
    town_cascade = cascade(net, "town", levels_of(town, mains=[steam]))
    add_streams(net, mill_cascade, "mill streams", mill)
    add_streams(net, town_cascade, "town streams", town)
    hots = [priced(net, one)[0] for one in (mill_cascade, town_cascade)]
    _, raised = join(net, steam, mill_cascade, loss=loss)
    used, _ = join(net, steam, town_cascade, loss=loss)
    plan = net.solve()
    assert plan[raised][0] == pytest.approx(240)  # what the bath does not take itself
    assert plan[used][0] == pytest.approx(240 * (1 - loss))
    assert sum(plan[hot][0] for hot in hots) == pytest.approx(400 - 240 * (1 - loss) ** 2)


def test_a_main_carries_no_more_than_its_capacity_and_its_dual_says_what_more_would_save():
    mill, town = two_plants()
    net = one_hour()
    steam = main(net, "steam", 140)
    plants = [cascade(net, n, levels_of(s, mains=[steam])) for n, s in (("mill", mill), ("town", town))]
    for plant, streams in zip(plants, (mill, town), strict=True):
        add_streams(net, plant, f"{plant.name} streams", streams)
        priced(net, plant, hot=2.0)
    join(net, steam, plants[0], raises=100.0)
    join(net, steam, plants[1])
    plan = net.solve()
    assert plan.cost == pytest.approx(2.0 * 300)
    assert {one.name: one.value for one in plan.shadows()}["mill raises steam"] == pytest.approx(2.0)


def test_hot_water_with_flow_and_return_heats_only_what_is_colder_all_along():
    net = one_hour()
    water = main(net, "water", 90, 50)
    town = Streams.of([40], [100], heat=[60], contribution=5.0)
    plant = cascade(net, "town", levels_of(town, mains=[water]))
    add_streams(net, plant, "town streams", town)
    hot, _ = priced(net, plant)
    net.source("solar", water.node, upper=1000.0)
    used, _ = join(net, water, plant)
    plan = net.solve()
    assert (plan[used][0], plan[hot][0]) == pytest.approx((40, 20))  # as `place` finds it


def test_a_boiler_and_a_store_on_a_main_serve_the_night():
    net = Network(Horizon.regular(2, 1.0))
    steam = main(net, "steam", 150)
    streams = Streams.of([20], [100], heat=[100])
    plant = cascade(net, "plant", levels_of(streams, mains=[steam]))
    add_streams(net, plant, "streams", streams, profile=[0.0, 1.0])
    fuel = net.node("fuel")
    bought = net.source("fuel bought", fuel, cost=[1.0, 5.0])
    net.converter("boiler", [(fuel, -1 / 0.8), (steam.node, 1.0)], upper=200.0)
    net.store("accumulator", steam.node, energy=60.0)
    join(net, steam, plant)
    plan = net.solve()
    assert plan[bought].tolist() == pytest.approx([60 / 0.8, 40 / 0.8])


def test_a_heat_pump_across_the_pinch_saves_its_heat_for_the_price_of_its_electricity():
    streams = PUBLISHED[0].streams
    net = one_hour()
    plant = cascade(net, "plant", levels_of(streams, also=[65.0, 105.0]))
    add_streams(net, plant, "streams", streams)
    hot, cold = priced(net, plant)
    power = net.node("power")
    grid = net.source("grid", power, cost=0.1)
    gain = float(cop(110, 60))
    pump = heat_pump(net, "pump", source=(plant, 60), sink=(plant, 110), electricity=power, capacity=5.0)
    plan = net.solve()
    assert plan[pump][0] == pytest.approx(5.0)
    assert plan[grid][0] == pytest.approx(5.0 / gain)
    assert (plan[hot][0], plan[cold][0]) == pytest.approx((20 - 5, 60 - 5 * (1 - 1 / gain)))


def test_a_heat_pump_above_the_pinch_only_turns_electricity_into_heat():
    streams = PUBLISHED[0].streams
    net = one_hour()
    plant = cascade(net, "plant", levels_of(streams, also=[95.0, 135.0]))
    add_streams(net, plant, "streams", streams)
    hot, cold = priced(net, plant)
    power = net.node("power")
    grid = net.source("grid", power)
    pump = heat_pump(net, "pump", source=(plant, 90), sink=(plant, 140), electricity=power, capacity=5.0)
    plan = net.solve()
    assert plan[hot][0] == pytest.approx(20 - plan[grid][0])
    assert plan[cold][0] == pytest.approx(60)
    assert plan[pump][0] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("heat.pump_reversed", {"source": 110.0, "sink": 60.0}),
        ("heat.off_level", {"source": 61.0, "sink": 110.0}),
        ("heat.pump_main", {"source": 60.0, "sink": 100.0, "steam": True}),
    ],
)
def test_a_heat_pump_without_sense_is_refused(code, wrong):
    net = one_hour()
    plant = cascade(net, "plant", [65.0, 105.0])
    steam = main(net, "steam", 120)
    sink = steam if wrong.get("steam") else plant
    with pytest.raises(RequestError) as raised:
        heat_pump(
            net,
            "pump",
            source=(plant, wrong["source"]),
            sink=(sink, wrong["sink"]),
            electricity=net.node("power"),
        )
    assert raised.value.code == code
    assert "{" not in raised.value.text("vi")


def test_a_stream_off_the_levels_is_refused_and_so_is_a_cascade_without_any():
    net = one_hour()
    plant = cascade(net, "plant", [25.0, 85.0])
    with pytest.raises(RequestError, match=r"26 degC \(shifted\) is no level of the cascade plant"):
        add_streams(net, plant, "streams", Streams.of([21], [80], heat=[1]))
    with pytest.raises(RequestError, match="no level of the cascade"):
        stream(net, plant, "stream", 20, 70, heat=1)
    with pytest.raises(RequestError, match="at least one temperature level"):
        cascade(net, "nothing", [])
    with pytest.raises(RequestError, match="loss"):
        join(net, Main(net.node("m"), 100, 100), plant, loss=1.5)


def test_power_water_heat_and_a_by_product_balance_in_one_program():
    """A mill's wastewater is treated with electricity and reused, a heat pump lifts its warmth, its slag replaces clinker."""
    hours = Network(Horizon.regular(4, 1.0))
    net, price = hours, np.array([1.0, 3.0, 3.0, 1.0])
    power, carbon = net.node("power"), net.node("carbon")
    waste, clean, slag = net.node("wastewater"), net.node("clean water"), net.node("slag")
    grid = net.source("grid", power, cost=price, also=[(carbon, 0.6)])
    emitted = net.sink("emitted", carbon, cost=0.02)

    effluent = net.sink("effluent", waste, amount=-np.full(4, 10.0), tier=None)
    treated = net.converter("treatment", [(waste, -1.0), (clean, 0.9), (power, -0.8)], upper=8.0)
    dumped = net.sink("dumped", waste, cost=5.0)
    fresh = net.source("fresh", clean, cost=2.0)
    rinse = net.sink("rinse", clean, amount=np.full(4, 9.0), tier=None)
    net.blend("salt", clean, [(treated, [1.2 / 0.9]), (fresh, [0.1])], [1.0])

    streams = Streams.of([60, 20], [30, 85], heat=[120, 130])
    plant = cascade(net, "plant", levels_of(streams, also=[45.0, 90.0]))
    process = add_streams(net, plant, "streams", streams)
    steam = utility(net, plant, "gas steam", 90, gives=True, contribution=0, cost=1.0, also=[(carbon, 0.25)])
    river = utility(net, plant, "river", float(plant.levels[0]), gives=False, contribution=0)
    pump = heat_pump(net, "pump", source=(plant, 40), sink=(plant, 95), electricity=power, capacity=30.0)

    made = net.sink("made", slag, amount=-np.full(4, 2.0), tier=None)
    lorry = net.sink("to the cement works", slag, cost=-4.0, upper=1.5, also=[(power, -0.1), (carbon, -0.8)])
    yard = net.store("yard", slag, energy=100.0, start=0.0, end="free")
    tip = net.sink("tip", slag, cost=6.0)

    plan = net.solve()
    rate = {
        one.name: plan[one] for one in (grid, emitted, treated, dumped, fresh, steam, river, pump, lorry, tip)
    }
    gain = float(cop(95, 40))
    near = lambda value: pytest.approx(value, abs=1e-6)  # noqa: E731
    assert rate["grid"] == near(
        0.8 * rate["treatment"] + rate["pump"] / gain + 0.1 * rate["to the cement works"]
    )
    assert rate["treatment"] + rate["dumped"] == near(np.full(4, 10.0))
    assert 0.9 * rate["treatment"] + rate["fresh"] == near(np.full(4, 9.0))
    assert 120 + rate["gas steam"] + rate["pump"] == near(130 + rate["river"] + rate["pump"] * (1 - 1 / gain))
    level = plan.level(yard)[0, 0]
    assert np.diff(level, prepend=0.0) == near(2.0 - rate["to the cement works"] - rate["tip"])
    avoided = 0.8 * rate["to the cement works"]
    assert rate["emitted"] == near(0.6 * rate["grid"] + 0.25 * rate["gas steam"] - avoided)
    salt = 1.2 * rate["treatment"] + 0.1 * rate["fresh"]
    assert (salt <= 1.0 * 9.0 + 1e-6).all()
    money = {
        "grid": price * rate["grid"], "emitted": 0.02 * rate["emitted"], "dumped": 5 * rate["dumped"], "fresh": 2 * rate["fresh"],
        "gas steam": rate["gas steam"], "to the cement works": -4 * rate["to the cement works"], "tip": 6 * rate["tip"],
    }  # fmt: skip
    assert plan.cost == pytest.approx(sum(float(part.sum()) for part in money.values()), abs=1e-6)
    assert rate["pump"][0] > 0
    assert {effluent.name, rinse.name, process.name, made.name} <= set(net.handles)


def test_a_heat_flow_below_zero_in_any_hour_is_refused():
    net = Network(Horizon.regular(2, 1.0))
    plant = cascade(net, "plant", [25.0, 85.0])
    with pytest.raises(RequestError, match="must not be negative"):
        stream(net, plant, "stream", 20, 80, heat=[5.0, -1.0])
