# SPDX-License-Identifier: Apache-2.0
"""The fast loop of a site: energy is conserved, and limits hold as far as devices can."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.operate.worlds import START, charging, workshop

from mangrove.operate.execute import Orders, Plant, balance, react
from mangrove.operate.site import Battery
from mangrove.operate.state import SECOND, Session

KW = st.floats(-300, 300)
ROOM = st.tuples(st.floats(-200, 0), st.floats(0, 200))


@given(
    orders=st.lists(KW, max_size=3),
    rooms=st.lists(ROOM, min_size=3, max_size=3),
    net=KW,
    limits=st.tuples(st.floats(0, 300), st.floats(0, 300)),
)
def test_the_fast_loop_keeps_rooms_and_reaches_what_can_be_reached(orders, rooms, net, limits):
    ceiling, exporting = limits
    room = {str(i): one for i, one in enumerate(rooms)}
    found = balance({str(i): one for i, one in enumerate(orders)}, room, net, ceiling, exporting)
    assert all(low - 1e-9 <= found[id_] <= high + 1e-9 for id_, (low, high) in room.items())
    total = net + sum(found.values())
    least, most = (net + sum(one[side] for one in rooms) for side in (0, 1))
    assert total <= max(ceiling, least) + 1e-6
    assert total >= min(-exporting, most, max(ceiling, least)) - 1e-6


@given(
    load=st.floats(0, 400),
    sun=st.floats(0, 120),
    order=KW,
    level=st.floats(0, 200),
    ceiling=st.floats(0, 400),
)
def test_what_comes_in_goes_out(load, sun, order, level, ceiling):
    plant = Plant(workshop(), levels={"battery": level})
    done = plant.step(START, 900, load, sun, Orders({"battery": order}, ceiling))
    flowed = done.powers["battery"]
    assert done.imported + done.generated == pytest.approx(load + flowed + done.exported, abs=1e-6)
    assert min(done.imported, done.exported) == 0.0
    assert 0.0 <= done.generated <= sun
    assert done.exported <= 60.0 + 1e-9
    assert done.overload == pytest.approx(max(done.imported - 400.0, 0.0))
    assert all(-100.0 <= written.sent <= 80.0 for written in done.written)


def test_surplus_is_stored_before_generation_is_turned_down():
    plant = Plant(workshop(exporting=0.0), levels={"battery": 0.0})
    done = plant.step(START, 900, 10.0, 100.0, Orders({"battery": 0.0}))
    assert (done.powers["battery"], done.generated, done.exported) == (80.0, 90.0, 0.0)


def test_the_import_stays_below_the_ceiling_while_the_battery_can():
    plant = Plant(workshop(), levels={"battery": 200.0})
    done = plant.step(START, 900, 150.0, 0.0, Orders({"battery": 0.0}, ceiling=90.0))
    assert done.imported == pytest.approx(90.0)


def test_a_ramp_holds_also_in_the_fast_loop():
    plant = Plant(workshop(), levels={"battery": 200.0}, ramp=10.0)
    powers = [
        plant.step(START, 900, 150.0, 0.0, Orders({"battery": -100.0})).powers["battery"] for _ in range(4)
    ]
    assert np.allclose(np.diff(powers), -10.0)


def test_a_battery_that_is_worse_than_declared_gives_what_it_has():
    site = workshop()
    worn = Battery("battery", 100.0, 80.0, 100.0, (0.8, 0.8))
    plant = Plant(site, batteries=[worn], levels={"battery": 10.0})
    done = plant.step(START, 900, 150.0, 0.0, Orders({"battery": -100.0}))
    assert done.powers["battery"] == pytest.approx(-10.0 * 0.8 / 0.25)
    assert plant.levels["battery"] == pytest.approx(0.0)


def test_a_vehicle_charges_in_whole_steps_of_its_stay_and_never_too_much():
    stay = Session("a", "plugs", START + 60 * SECOND, START + 3600 * SECOND, energy=2.0)
    plant = Plant(charging())
    early = plant.step(START, 900, 0.0, 0.0, Orders({"a": 99.0}), [stay])
    assert early.delivered == {}
    done = plant.step(START + 900 * SECOND, 900, 0.0, 0.0, Orders({"a": 99.0}), [stay])
    assert done.delivered["a"] == pytest.approx(7.0 * 0.92 * 0.25)
    assert done.imported == pytest.approx(7.0)


PACK = Battery("b", energy=100.0, charge=50.0, discharge=50.0, efficiency=(0.9, 0.9), wear=10.0)


@pytest.mark.parametrize(
    ("power", "net", "worth", "after"),
    [
        (-20.0, 35.0, 1000.0, -35.0),  # energy worth 1111 + 10 a kWh covers what would cost 2000
        (-20.0, 35.0, 1900.0, -20.0),  # worth 2121: it is kept, the rest is bought
        (0.0, -30.0, 1000.0, 30.0),  # a surplus that earns 500 is kept: 900
        (0.0, -30.0, 400.0, 0.0),  # worth 360: it is sold
        (30.0, -10.0, 1000.0, 10.0),  # no charging from the grid at 2000 for 900
        (30.0, -10.0, 2500.0, 30.0),  # but for 2250
        (-30.0, 10.0, 1000.0, -10.0),  # nothing is sold at 500 that is worth 1121
        (-30.0, 10.0, 400.0, -30.0),
        (20.0, 60.0, 1000.0, -50.0),  # as far as the battery can
    ],
)
def test_the_fast_loop_acts_on_what_was_not_foreseen_as_far_as_it_pays(power, net, worth, after):
    orders = Orders(worth={"b": worth}, buy=2000.0, sell=500.0)
    assert react(PACK, power, net, orders, (-50.0, 50.0)) == after
