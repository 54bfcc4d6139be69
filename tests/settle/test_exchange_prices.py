"""Prices of exchanges: by hand, and so that every member keeps its share whatever the shares are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.settle.exchange_prices import Deal, prices


def test_the_price_splits_a_deal_between_the_two_reservation_prices():
    made = prices(
        [Deal("mill", "works", 10.0, giver_gain=40.0, taker_gain=60.0, loss=100.0)],
        {"mill": 70.0, "works": 30.0},
    )
    (one,) = made.deals
    assert (one.low, one.high) == (-4.0, 6.0)
    assert one.price == pytest.approx(3.0)
    assert (one.giver, one.taker) == (pytest.approx(70.0), pytest.approx(30.0))
    assert one.if_taker_stops == pytest.approx(7.0)  # what the giver keeps of each unit
    assert one.if_giver_stops == pytest.approx(3.0)


def test_a_partner_that_can_be_replaced_owes_only_what_is_lost():
    made = prices([Deal("mill", "works", 10.0, 40.0, 60.0, loss=25.0)], {"mill": 50.0, "works": 50.0})
    assert made.deals[0].if_taker_stops == pytest.approx(50.0 * 0.25 / 10)


def test_the_owner_of_a_unit_gets_its_cost_and_its_share_as_a_fee():
    deal = Deal("mill", "tower", 10.0, giver_gain=10.0, taker_gain=100.0, owner="works", owner_gain=-20.0)
    made = prices([deal], {"mill": 30.0, "tower": 30.0, "works": 30.0})
    (one,) = made.deals
    assert one.price == pytest.approx(2.0)
    assert one.fee == pytest.approx(5.0)
    assert one.taker == pytest.approx(100.0 - 20.0 - 50.0)


def test_what_an_exchange_makes_possible_is_paid_besides_by_its_taker():
    deals = [Deal("clean", "mill", 1.0, 0.0, 10.0), Deal("dirty", "mill", 1.0, 0.0, 20.0)]
    made = prices(deals, {"clean": 15.0, "dirty": 5.0, "mill": 10.0})
    assert made.deals[0].price == pytest.approx(10.0)
    assert made.deals[0].beside == pytest.approx(5.0)
    assert made.deals[1].giver == pytest.approx(5.0)
    assert made.aside == {}


def test_who_delivers_what_makes_others_possible_owes_their_loss_too():
    made = prices([Deal("clean", "mill", 2.0, 0.0, 10.0, loss=30.0)], {"clean": 4.0, "mill": 6.0})
    assert made.deals[0].if_giver_stops == pytest.approx((6.0 + 20.0) / 2)
    assert made.deals[0].if_taker_stops == pytest.approx(4.0 / 2)


def test_who_only_stands_by_is_paid_aside():
    made = prices([Deal("l0", "r0", 1.0, 0.0, 6.0)], {"l0": 4.0, "r0": 1.0, "r1": 1.0})
    assert made.aside["r1"] == pytest.approx(1.0)
    assert sum(made.aside.values()) == pytest.approx(0.0, abs=1e-6)
    known = prices([Deal("l0", "r0", 1.0, 0.0, 6.0)], {"l0": 4.0, "r0": 1.0, "r1": 1.0}, [("l0", "r1")])
    assert known.aside == {}
    assert known.standby == {("l0", "r1"): pytest.approx(1.0)}
    assert known.deals[0].giver == pytest.approx(5.0)  # of which it passes one on


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 50), st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=6),
       st.lists(st.integers(1, 10), min_size=8, max_size=8))  # fmt: skip
def test_prices_and_payments_give_every_member_its_share(rows, weights):
    deals = [
        Deal(f"g{i}", f"t{j}", float(q), float(a), float(b), loss=float(a + b)) for i, j, q, a, b in rows
    ]
    names = sorted({name for deal in deals for name in (deal.giver, deal.taker)})
    total = sum(deal.worth for deal in deals)
    shares = {name: total * weights[k] / sum(weights[: len(names)]) for k, name in enumerate(names)}
    made = prices(deals, shares)
    got = dict.fromkeys(names, 0.0)
    for deal, price in zip(deals, made.deals, strict=True):
        got[deal.giver] += deal.giver_gain + price.price * deal.amount + price.beside
        got[deal.taker] += deal.taker_gain - price.price * deal.amount - price.beside
        assert price.low - 1e-4 <= price.price <= price.high + 1e-4
    for name in names:
        assert got[name] + made.aside.get(name, 0.0) == pytest.approx(
            shares[name], abs=1e-4 * max(total, 1.0)
        )
