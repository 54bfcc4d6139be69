"""Who gains what: games whose answers have a formula, enumerated coalitions, and laws of every share and price."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.settle import gains
from mangrove.settle.exchange_prices import Deal, prices
from mangrove.settle.gains import Joined


def glove(left, right):
    """Owners of one left or one right glove each; a pair is worth 1 (Shapley and Shubik 1969)."""
    names = (*(f"l{i}" for i in range(left)), *(f"r{i}" for i in range(right)))
    return Joined(
        names,
        lambda masks: np.minimum(masks[:, :left].sum(axis=1), masks[:, left:].sum(axis=1)).astype(float),
    )


def tabled(names, worth):
    """A game from worths by coalition, written as joined names."""
    return Joined(
        tuple(names),
        lambda masks: np.array(
            [worth.get("".join(n for n, m in zip(names, row, strict=True) if m), 0.0) for row in masks]
        ),
    )


def test_the_glove_game_has_its_published_shapley_value_and_core():
    made = gains.gains([glove(1, 2)], duals={"l0": 1.0, "r0": 0.0, "r1": 0.0})
    assert made.shares["shapley"] == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert made.shares["core"] == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)  # the core is this one point
    assert set(made.objections["shapley"].coalition) in ({"l0", "r0"}, {"l0", "r1"})
    assert made.objections["shapley"].gets == pytest.approx(5 / 6)
    assert made.objections["shapley"].alone == pytest.approx(1.0)
    assert not made.objections["duals"].objects
    assert made.losses == pytest.approx([1.0, 0.0, 0.0])
    assert made.at_risk("shapley") == pytest.approx([1 / 3, 0.0, 0.0])


def test_a_game_with_an_empty_core_says_so():
    majority = tabled("abc", {"ab": 1.0, "ac": 1.0, "bc": 1.0, "abc": 1.0})
    made = gains.gains([majority])
    assert made.core_is_empty
    assert made.objections["core"].objects
    assert made.shares["core"] == pytest.approx([1 / 3] * 3)
    assert "duals" not in made.shares


def test_groups_that_nothing_joins_are_shared_apart():
    both = gains.gains(
        [Joined(("a", "b"), glove(1, 1).worth), Joined(("c",), lambda masks: 5.0 * masks[:, 0])]
    )
    assert both.members == ("a", "b", "c")
    assert both.shares["shapley"] == pytest.approx([0.5, 0.5, 5.0])
    assert both.shares["core"] == pytest.approx([0.5, 0.5, 5.0])
    assert both.losses == pytest.approx([1.0, 1.0, 5.0])


def test_more_than_twelve_members_are_sampled_with_errors_that_cover_the_truth():
    made = gains.gains([glove(7, 7)], permutations=400, rules=("shapley",))
    assert made.found[0].how == "sample"
    assert made.shares["shapley"].sum() == pytest.approx(7.0)
    assert (
        np.abs(made.shares["shapley"] - 0.5) < 4 * made.errors + 1e-9
    ).all()  # by symmetry each has a half


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=15, max_size=15))
def test_shapley_is_the_mean_over_all_orders_and_every_rule_adds_up(numbers):
    worth = {}
    for row in range(
        1, 16
    ):  # of four members; joined by the largest of their parts, so that nobody does harm
        name = "".join("abcd"[i] for i in range(4) if row >> i & 1)
        worth[name] = numbers[row - 1] + max(
            (worth.get(name.replace(one, ""), 0.0) for one in name), default=0.0
        )
    made = gains.gains([tabled("abcd", worth)])
    order_means = dict.fromkeys("abcd", 0.0)
    for order in permutations("abcd"):
        before = 0.0
        for k in range(4):
            after = worth["".join(sorted(order[: k + 1]))]
            order_means[order[k]] += (after - before) / 24
            before = after
    assert dict(zip(made.members, made.shares["shapley"], strict=True)) == pytest.approx(
        order_means, abs=1e-6
    )
    for shares in made.shares.values():
        assert shares.sum() == pytest.approx(worth["abcd"], abs=1e-5)
    assert (made.losses >= 0).all()
    if not made.core_is_empty:
        core = made.shares["core"]
        for name, alone in worth.items():
            assert sum(core["abcd".index(one)] for one in name) >= alone - 1e-4 * max(worth["abcd"], 1.0)


def test_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(RequestError) as raised:
        gains.gains([glove(1, 1)], rules=("nucleolus",))
    assert raised.value.code == "exchange.unknown_rule"


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
