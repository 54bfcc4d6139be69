# SPDX-License-Identifier: Apache-2.0
"""Ranks and covers against enumeration and closed forms."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.inference.ranking import cover, in_top, rank_interval


def test_two_normal_parts_are_first_as_often_as_the_normal_distribution_says():
    rng = np.random.default_rng(3)
    drawn = rng.standard_normal((200_000, 2)) + np.array([1.0, 0.0])
    assert in_top(drawn, 1)[0] == pytest.approx(0.7602, abs=0.004)  # Phi(1 / sqrt 2)


def test_an_error_that_all_share_changes_no_rank():
    shared = np.exp(np.random.default_rng(4).standard_normal((500, 1)))
    drawn = shared * np.array([[5.0, 4.0, 3.0]])
    assert in_top(drawn, 2).tolist() == [1.0, 1.0, 0.0]
    assert rank_interval(drawn)[0].tolist() == rank_interval(drawn)[1].tolist() == [1, 2, 3]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=7), st.sampled_from([0.1, 0.5, 0.8, 1.0]))
def test_no_smaller_set_covers_the_share(parts, share):
    if not sum(parts):
        return
    found = cover([parts], share)
    wanted = share * sum(parts)
    assert sum(parts[i] for i in found.members) >= wanted * (1 - 1e-9)
    size = len(found.members)
    smaller = combinations(parts, size - 1) if size > 1 else [(0,)]
    assert all(sum(chosen) < wanted * (1 - 1e-12) or sum(chosen) < wanted for chosen in smaller)


def test_chances_of_the_first_add_up_to_their_number():
    drawn = np.random.default_rng(5).lognormal(size=(400, 12))
    assert in_top(drawn, 10).sum() == pytest.approx(10)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: cover([[1.0, 2.0]], 0.0), "why.share"),
        (lambda: cover([[0.0, 0.0]]), "why.nothing"),
        (lambda: in_top([[np.nan, 1.0]]), "why.samples"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, code):
    with pytest.raises(RequestError) as caught:
        call()
    assert caught.value.code == code
