# SPDX-License-Identifier: Apache-2.0
"""The decomposition closes exactly, treats zeros by their limits and agrees with the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mangrove.errors import RequestError
from mangrove.inference.lmdi import decompose, log_mean

FACTORS = arrays(np.float64, (5, 4), elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)))


@given(FACTORS, FACTORS)
def test_effects_add_up_to_the_change_whatever_the_factors(before, after):
    change = after.prod(axis=1) - before.prod(axis=1)
    scale = max(after.prod(axis=1).max(), before.prod(axis=1).max(), 1.0)
    assert np.abs(decompose(before, after).sum(axis=1) - change).max() <= 1e-9 * scale


@given(FACTORS, FACTORS)
def test_going_back_undoes_every_effect(before, after):
    there, back = decompose(before, after), decompose(after, before)
    assert np.allclose(there, -back, rtol=1e-9, atol=1e-9 * np.abs(there).max())


def test_the_effect_is_the_logarithmic_mean_times_the_logarithm_of_the_ratio():
    before, after = np.array([[2.0, 5.0, 0.3]]), np.array([[3.0, 4.0, 0.6]])
    e0, e1 = before.prod(), after.prod()
    wanted = (e1 - e0) / np.log(e1 / e0) * np.log(after / before)
    assert np.allclose(decompose(before, after), wanted, rtol=1e-13)


@pytest.mark.parametrize("step", [1e-12, 1e-8, 1e-5, 9e-5, 1.1e-4, 1e-3])
def test_the_logarithmic_mean_keeps_its_digits_where_the_numbers_are_nearly_equal(step):
    from decimal import Decimal, getcontext

    getcontext().prec = 60
    a, b = Decimal(1) + Decimal(step), Decimal(1)
    exact = float((a - b) / (a.ln() - b.ln()))
    assert float(log_mean(1 + step, 1.0)) == pytest.approx(exact, rel=1e-12)


def test_a_new_component_is_the_limit_of_a_tiny_one():
    tiny = decompose([[1e-300, 4.0]], [[3.0, 5.0]])
    assert decompose([[0.0, 4.0]], [[3.0, 5.0]]).tolist() == [[15.0, 0.0]]
    assert tiny[0, 0] == pytest.approx(15.0, rel=0.02)


def test_components_are_taken_apart_along_any_leading_axes():
    rng = np.random.default_rng(1)
    before, after = rng.uniform(1, 2, (3, 7, 4)), rng.uniform(1, 2, (3, 7, 4))
    assert np.allclose(decompose(before, after)[2], decompose(before[2], after[2]))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_what_is_no_factor_is_refused(bad):
    with pytest.raises(RequestError, match="negative or missing"):
        decompose([[bad, 1.0]], [[1.0, 1.0]])
