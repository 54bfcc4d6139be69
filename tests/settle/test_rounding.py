# SPDX-License-Identifier: Apache-2.0
"""Whole đồng: the sum is exact, nobody moves by more than one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.settle.rounding import half_up, minor_unit, whole

money = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(money, min_size=1, max_size=60))
def test_whole_amounts_sum_to_the_rounded_sum(amounts):
    assert int(whole(amounts).sum()) == half_up(math.fsum(amounts))


@given(st.lists(money, min_size=1, max_size=60))
def test_nobody_moves_by_more_than_one(amounts):
    assert (np.abs(whole(amounts) - np.asarray(amounts)) <= 1.0 + 1e-3).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(-5, 5))
def test_a_total_rounded_before_is_kept(amounts, more):
    total = half_up(math.fsum(amounts)) + (more if abs(more) < len(amounts) else 0)
    assert int(whole(amounts, total=total).sum()) == total


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30))
def test_whole_amounts_stay_as_they_are(amounts):
    assert whole(amounts).tolist() == amounts


def test_the_last_bits_of_a_float_decide_nothing():
    amounts = np.array([10.0 / 3, 10.0 / 3, 10.0 / 3])
    assert whole(amounts).tolist() == whole(amounts + np.array([-1e-9, 0.0, 1e-9])).tolist() == [4, 3, 3]


def test_cents_add_up_too():
    assert whole([0.333, 0.333, 0.334], unit=minor_unit("USD")).tolist() == [33, 33, 34]


@pytest.mark.parametrize("bad", [[math.nan], [math.inf], [1e17]])
def test_what_is_no_money_is_refused(bad):
    with pytest.raises(RequestError) as error:
        whole(bad)
    assert error.value.code == "settle.not_money"


def test_a_total_that_the_amounts_do_not_support_is_refused():
    with pytest.raises(RequestError) as error:
        whole([1.0, 2.0], total=10)
    assert error.value.code == "settle.total_differs"
