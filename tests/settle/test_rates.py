# SPDX-License-Identifier: Apache-2.0
"""Price rules: nothing is lost between members and the grid, and the published formulas hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.settle.pool import Pool
from mangrove.settle.rates import coincident_peak, mid_market_rate, pro_rata, supply_demand_ratio


def pool_of(seed: int, n: int = 6, steps: int = 48, fee: float = 0.0) -> Pool:
    rng = np.random.default_rng(seed)
    net = rng.normal(0.5, 3.0, (n, steps)) * rng.integers(0, 2, (n, steps))
    buy = rng.uniform(1000.0, 3500.0, steps)
    names = tuple(f"m{i}" for i in range(n))
    return Pool(
        names, np.maximum(net, 0.0), np.maximum(-net, 0.0), buy, np.full(steps, 671.0), fee, rng.uniform(0, 10, n)
    )  # fmt: skip


@given(st.integers(0, 10_000), st.sampled_from([0.0, 50.0, 2000.0]))
@settings(max_examples=60, deadline=None)
def test_every_rule_divides_exactly_what_the_pool_pays(seed, fee):
    pool = pool_of(seed, fee=fee)
    for rule in (mid_market_rate, supply_demand_ratio):
        assert rule(pool).total == pytest.approx(pool.cost, rel=1e-12, abs=1e-6)
    assert pro_rata(pool.members, pool.cost, pool.alone).total == pytest.approx(
        pool.cost, rel=1e-12, abs=1e-6
    )


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_what_is_given_in_the_pool_is_received_in_every_step(seed):
    pool = pool_of(seed)
    assert pool.received.sum(axis=0) == pytest.approx(pool.shared)
    assert pool.given.sum(axis=0) == pytest.approx(pool.shared)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_without_a_fee_no_price_rule_leaves_a_member_worse_off_than_alone(seed):
    pool = pool_of(seed)
    for rule in (mid_market_rate, supply_demand_ratio):
        assert (rule(pool).shares <= pool.alone + 1e-6).all()


def by_formula(pool: Pool, rule: str) -> np.ndarray:
    """Prices as the papers write them, one step at a time."""
    pays = np.zeros(len(pool.members))
    for t, (p, e) in enumerate(zip(pool.buy, pool.sell, strict=True)):
        demand, surplus, m = pool.demand[:, t].sum(), pool.surplus[:, t].sum(), (p + e) / 2
        if rule == "mmr":
            buy, sell = (m, (m * demand + e * (surplus - demand)) / surplus) if 0 < surplus >= demand else (
                ((m * surplus + p * (demand - surplus)) / demand, m) if demand else (m, m)
            )  # fmt: skip
        else:
            ratio = surplus / demand if demand else np.inf
            sell = p * e / ((p - e) * ratio + e) if ratio <= 1.0 else e
            buy = sell * ratio + p * (1.0 - ratio) if ratio <= 1.0 else e
        pays += pool.demand[:, t] * buy - pool.surplus[:, t] * sell
    return pays + pool.own


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_those_of_the_papers(seed):
    pool = pool_of(seed)
    assert mid_market_rate(pool).shares == pytest.approx(by_formula(pool, "mmr"), rel=1e-12)
    assert supply_demand_ratio(pool).shares == pytest.approx(by_formula(pool, "sdr"), rel=1e-12)


def test_a_fee_above_the_gain_stops_the_sharing():
    pool = pool_of(1, fee=5000.0)
    assert pool.shared.sum() == 0.0
    assert pool.cost == pytest.approx(pool.alone.sum())


def test_the_demand_charge_follows_the_coincident_peak_not_each_members_own():
    load = np.array(
        [[0.0, 9.0, 2.0, 2.0], [8.0, 0.0, 6.0, 8.0]]
    )  # peaks 9 and 8 kW, together 10 kW in the last step
    assert coincident_peak(load, 900.0).tolist() == [180.0, 720.0]
    assert coincident_peak(load, 900.0, window=2).tolist() == pytest.approx([200.0, 700.0])


def test_a_pool_that_takes_nothing_has_its_demand_charge_divided_evenly():
    assert coincident_peak(np.zeros((2, 1)), 10.0).tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"demand": np.full((6, 48), np.nan)}, "settle.not_amounts"),
        ({"surplus": np.full((6, 48), -1.0)}, "settle.not_amounts"),
        ({"demand": np.zeros((5, 48))}, "settle.wrong_shape"),
        ({"buy": np.ones(3)}, "settle.wrong_length"),
        ({"sell": np.full(48, 1e9)}, "settle.sells_above_buys"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(change, code):
    good = pool_of(0)
    given_ = {"demand": good.demand, "surplus": good.surplus, "buy": good.buy, "sell": good.sell} | change
    with pytest.raises(RequestError) as error:
        Pool(good.members, **given_)
    assert error.value.code == code


def test_the_supply_demand_ratio_needs_an_export_price():
    good = pool_of(0)
    free = Pool(good.members, good.demand, good.surplus, good.buy, np.zeros(48))
    with pytest.raises(RequestError, match="above zero"):
        supply_demand_ratio(free)
