"""Who gains what: games whose answers have a formula, enumerated coalitions, and laws of every share and price."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.settle import gains
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
