"""The plan hour by hour: the same as by month where nothing changes, cheap hours with a tank, and nothing lost on the way."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.symbiosis.parks import asset, best, need, offer, park

from mangrove.plan.symbiosis import hours
from mangrove.plan.symbiosis.hours import Course

MONTH = 730.5
BUT = {("drain", "cooling")}


def course(steps=24, shapes=None, price=2000.0, carbon=0.0, month=5):
    start = datetime(2024, 6, 5, tzinfo=UTC)
    return Course(
        tuple(start + timedelta(hours=t) for t in range(steps)), np.full(steps, month), shapes or {},
        {"works": np.broadcast_to(np.asarray(price, float), (steps,))}, np.broadcast_to(np.asarray(carbon, float), (steps,)),
    )  # fmt: skip


def water(tanks="", *others, **unit):
    """Ten cubic meters an hour of drain and of need, and a plant that can treat twenty of them."""
    words = {"storage": tanks} if tanks else {}
    plant = asset(
        "uf",
        "works",
        "water_treatment",
        consumption="2 kWh/m3",
        outlets="COD=30 mg/L",
        **{"capacity": "20 m3/h", **unit},
    )
    listings = [
        offer(
            "drain", "mill", "7305 m3/month", "1000 VND/m3", carrier="wastewater", has="COD=300 mg/L", **words
        ),
        need(
            "cooling",
            "tower",
            "7305 m3/month",
            "10000 VND/m3",
            carrier="water@reuse",
            bears="COD<=40 mg/L",
            **words,
        ),
    ]
    return best(
        park(*listings, *others, assets=[plant]),
        but=BUT,
        power_price=2000.0,
        power_carbon=0.6,
        carbon_price=100_000.0,
    )


def test_hours_without_a_course_at_constant_prices_are_the_months_plan():
    made = water()
    found = hours(made, course(carbon=0.6))
    assert found.worth == pytest.approx(made.worth / 12 * 24 / MONTH, rel=1e-9)
    assert found.co2 == pytest.approx(made.co2 / 12 * 24 / MONTH, rel=1e-9)
    for part, money in made.parts().items():
        assert found.parts().get(part, 0.0) == pytest.approx(money / 12 * 24 / MONTH, abs=1e-6)
    assert found.exchanges[0].amounts == pytest.approx((10.0,) * 24)
    assert found.units[0].bought == pytest.approx((20.0,) * 24)


def test_seasons_and_mixes_of_the_month_hold_in_its_hours():
    made = best(
        park(offer("dirty", "a", "10 10 10 10 10 20 10 10 10 10 10 10 t/month", "50 VND/t", has="chloride=4 %"),
             offer("clean", "b", "5 t/month", "0 VND/t", has="chloride=1 %"),
             need("stone", "works", "100 t/month", "0 VND/t", bears="chloride<=2 %")), most_share=0.9,
    )  # fmt: skip
    found = hours(made, course(48))
    june = {one.id: one.amounts[5] for one in made.exchanges}
    for one in found.exchanges:
        assert one.amount == pytest.approx(june[one.id] * 48 / MONTH)
    assert sum(found.offers[0].left) == pytest.approx(17.5 * 48 / MONTH)
    assert found.offers[1].price == pytest.approx(
        (25.0,) * 48
    )  # one more clean tonne takes half a dirty one along


def test_electricity_moves_to_the_cheap_hours_with_tanks():
    price = np.where(np.arange(24) < 8, 1000.0, 3000.0)
    rigid, loose = hours(water(), course(price=price)), hours(water("80 m3"), course(price=price))
    night = np.arange(24) < 8
    assert np.array(rigid.units[0].leaves) == pytest.approx(np.full(24, 10.0))
    leaves = np.array(loose.units[0].leaves)
    # eighty cubic meters more than the need are treated by night, from a full tank of drain into an empty one of clean water
    assert leaves[night].sum() == pytest.approx(160.0)
    assert leaves[~night].sum() == pytest.approx(80.0)
    assert loose.worth - rigid.worth == pytest.approx(80 * 2 * 2000.0)
    assert loose.needs[0].stored[7] == pytest.approx(80.0)
    assert loose.offers[0].stored[7] == pytest.approx(0.0, abs=1e-6)


def test_a_plant_that_is_built_stands_with_its_size_and_costs_nothing_more():
    made = water(
        capacity="0 m3/h",
        max_capacity="6 m3/h",
        cost="1000000 VND*h/m3",
        life="10 yr",
        cost_fixed="50000000 VND",
    )
    assert made.units[0].size == pytest.approx(6.0)
    found = hours(made, course(carbon=0.6))
    assert found.units[0].leaves == pytest.approx((6.0,) * 24)
    assert found.worth == pytest.approx((made.worth + made.units[0].cost) / 12 * 24 / MONTH)
    assert sum(found.needs[0].left) == pytest.approx(4.0 * 24)


def test_sun_runs_the_plant_when_it_shines():
    sun = offer("sun", "roof", "7.305 MWh/month", "0 VND/kWh", carrier="electricity")
    shape = np.where((np.arange(24) >= 6) & (np.arange(24) < 18), 2.0, 0.0)
    found = hours(water("", sun), course(shapes={"sun": shape}))
    assert np.array(found.units[0].bought) == pytest.approx(np.where(shape > 0, 0.0, 20.0))
    by_id = {one.id: one for one in found.exchanges}
    assert by_id["sun>uf"].worth["purchase"] == pytest.approx(12 * 20 * 2000.0)
    assert sum(found.parts().values()) == pytest.approx(found.worth)


def test_nothing_open_is_nothing_flowing():
    made = best(park(offer("o", "a", "1 t/month", "-9 VND/t"), need("n", "b", "1 t/month", "1 VND/t")))
    found = hours(made, course())
    assert found.worth == 0.0
    assert found.offers[0].left == pytest.approx((1 / MONTH,) * 24)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(("", "15 m3", "60 m3")))
def test_what_comes_in_goes_out_or_stays_and_the_parts_add_up(seed, tanks):
    rng = np.random.default_rng(seed)
    shapes = {name: rng.uniform(0, 2, 24) for name in ("drain", "cooling")}
    made = water(tanks, recovery="80 %")
    found = hours(
        made, course(shapes=shapes, price=rng.uniform(500, 4000, 24), carbon=rng.uniform(0.2, 0.9, 24))
    )
    amount = np.sum([one.amounts for one in found.exchanges], axis=0)
    (drain,), (cooling,) = found.offers, found.needs
    stored = np.array(drain.stored)
    assert np.array(drain.flowing) == pytest.approx(amount + stored - np.roll(stored, 1), abs=1e-6)
    kept = np.array(cooling.stored)
    assert np.array(cooling.flowing) == pytest.approx(0.8 * amount - kept + np.roll(kept, 1), abs=1e-6)
    assert np.array(drain.flowing) + np.array(drain.left) == pytest.approx(10.0 * shapes["drain"], abs=1e-6)
    assert np.array(found.units[0].leaves) == pytest.approx(0.8 * amount, abs=1e-6)
    assert max(found.units[0].leaves) <= 20.0 + 1e-6
    assert sum(found.parts().values()) == pytest.approx(found.worth, rel=1e-9, abs=1e-3)
