# SPDX-License-Identifier: Apache-2.0
"""The factor model of uncertainty against closed forms, IPCC worked numbers and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mangrove.measure.uncertainty import (
    NORMAL_LIMIT,
    Z95,
    combine_product,
    combine_sum,
    group_variance,
    interval,
    intervals,
    monte_carlo,
)


def test_the_product_rule_gives_the_published_twelve_percent():
    """UNC-01: 5, 10 and 5 percent combine to 12.247 percent (IPCC 2006 V1 Ch3, Eq 3.1)."""
    assert combine_product([5, 10, 5]) == pytest.approx(12.24744871391589, rel=1e-12)


def test_the_sum_rule_is_the_root_of_squared_absolute_widths():
    """IPCC 2006 V1 Ch3, Eq 3.2, by hand: sqrt(10^2 + 40^2) / 300."""
    assert combine_sum([100, 200], [0.1, 0.2]) == pytest.approx(math.sqrt(10**2 + 40**2) / 300)


def test_two_meters_on_one_grid_factor_have_a_wider_total_than_two_independent_ones():
    independent = combine_sum([500, 500], [0.08, 0.08])
    correlated = combine_sum([500, 500], [0.08, 0.08], ["grid/vn", "grid/vn"])
    assert correlated == pytest.approx(0.08)
    assert independent == pytest.approx(0.08 / math.sqrt(2))


def test_an_empty_id_is_an_error_of_its_own():
    assert combine_sum([1, 1], [0.1, 0.1], ["", ""]) == pytest.approx(combine_sum([1, 1], [0.1, 0.1]))


def test_a_sum_of_zero_has_no_relative_width():
    assert combine_sum([1, -1], [0.1, 0.1]) == math.inf
    assert combine_sum([0, 0], [0.1, 0.1]) == 0.0


@given(
    values=st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40),
    own=st.floats(0, 1),
    common=st.floats(0, 1),
)
def test_shared_and_independent_errors_have_the_closed_form(values, own, common):
    """N sources with a shared and an own error: Var = (common sum E)^2 + own^2 sum E^2."""
    amounts = np.array(values)
    n = len(amounts)
    group = np.zeros(2 * n, int)
    source = np.r_[np.zeros(n, int), 1 + np.arange(n)]
    contribution = np.r_[common * amounts, own * amounts]
    expected = (common * amounts.sum()) ** 2 + own**2 * (amounts**2).sum()
    assert group_variance(group, source, contribution, 1)[0] == pytest.approx(expected)


def test_independence_hides_the_error_of_a_shared_sector_factor():
    """100,000 equal sources of 50 % each: 0.158 % when independent; a 15 % factor shared by all makes it 15 %."""
    n = 100_000
    zeros, each = np.zeros(n, int), np.arange(n)
    alone = group_variance(zeros, each, np.full(n, 0.5), 1)[0]
    both = group_variance(np.zeros(2 * n, int), np.r_[each, zeros + n], np.repeat([0.5, 0.15], n), 1)[0]
    assert math.sqrt(alone) / n == pytest.approx(0.5 / math.sqrt(n))
    assert math.sqrt(both) / n == pytest.approx(math.hypot(0.5 / math.sqrt(n), 0.15))


def test_an_error_that_multiplies_one_flow_and_divides_another_cancels():
    assert group_variance([0, 0, 1, 1], [0, 0, 0, 0], [2.0, -2.0, 2.0, 2.0], 2) == pytest.approx([0.0, 16.0])


def test_groups_without_entries_have_no_variance():
    assert group_variance([], [], [], 3).tolist() == [0.0, 0.0, 0.0]
    assert group_variance([2], [5], [3.0], 4).tolist() == [0.0, 0.0, 9.0, 0.0]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(-100, 100)),
        min_size=1,
        max_size=60,
    )
)
def test_the_sparse_variance_equals_the_dense_matrix_form(entries):
    """`diag(G F F' G')` with dense matrices gives the same numbers."""
    group, source, contribution = map(np.array, zip(*entries, strict=True))
    dense = np.zeros((4, 5))
    np.add.at(dense, (group, source), contribution)
    assert group_variance(group, source, contribution, 4) == pytest.approx((dense**2).sum(axis=1), abs=1e-9)


def test_a_narrow_interval_is_symmetric_and_a_wide_one_keeps_its_sign():
    low, high = interval(100.0, 10.0**2)
    assert (low, high) == (pytest.approx(100 - 10 * Z95), pytest.approx(100 + 10 * Z95))
    low, high = interval(100.0, 80.0**2)
    assert 0 < low < 100 < high
    assert interval(-100.0, 80.0**2) == (pytest.approx(-high), pytest.approx(-low))
    assert interval(0.0, 4.0) == (pytest.approx(-2 * Z95), pytest.approx(2 * Z95))


@given(mean=st.floats(1, 1e6), relative=st.floats(NORMAL_LIMIT * 1.01, 3))
def test_the_wide_interval_belongs_to_a_lognormal_with_that_mean_and_variance(mean, relative):
    """The bounds give back location and spread, and those give back mean and variance."""
    low, high = interval(mean, (relative * mean) ** 2)
    location, spread = (math.log(high) + math.log(low)) / 2, (math.log(high) - math.log(low)) / (2 * Z95)
    assert math.exp(location + spread**2 / 2) == pytest.approx(mean)
    assert math.expm1(spread**2) == pytest.approx(relative**2)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_an_interval_holds_its_total_and_mirrors_with_the_sign(rows):
    totals, variances = map(np.array, zip(*rows, strict=True))
    low, high = intervals(totals, variances)
    mirrored_low, mirrored_high = intervals(-totals, variances)
    assert np.all(low <= high)
    assert mirrored_low == pytest.approx(-high)
    assert mirrored_high == pytest.approx(-low)


def test_a_net_of_sources_and_sinks_may_have_either_sign():
    low, high = interval(20.0, 30.0**2, net=True)
    assert (low, high) == (pytest.approx(20 - 30 * Z95), pytest.approx(20 + 30 * Z95))
    low, high = interval(1e-9, 30.0**2)
    assert (low, high) == (pytest.approx(-30 * Z95), pytest.approx(30 * Z95))


def test_monte_carlo_agrees_with_the_analytic_variance():
    """Three flows, a shared factor and own errors: the sampled sd is within 4 standard errors of the analytic one."""
    values = np.array([100.0, 250.0, 60.0])
    flow, source = np.array([0, 1, 0, 1, 2, 2]), np.array([0, 0, 1, 2, 0, 3])
    deviation = np.array([0.06, 0.06, 0.04, 0.05, 0.06, 0.08])
    n = 40_000
    totals = monte_carlo(values, flow, source, deviation, n=n, seed=7)
    sd = math.sqrt(group_variance(np.zeros(6, int), source, values[flow] * deviation, 1)[0])
    assert totals.mean() == pytest.approx(values.sum(), abs=4 * sd / math.sqrt(n))
    # products of errors add less than 0.5 % of the variance here; a sampled sd has a standard error of sd/sqrt(2n)
    assert totals.std() == pytest.approx(sd, rel=4 / math.sqrt(2 * n) + 0.005)
    low, high = interval(values.sum(), sd**2)
    assert np.mean((totals > low) & (totals < high)) == pytest.approx(0.95, abs=0.006)


def test_monte_carlo_divides_by_a_term_with_negative_power():
    """E / eta with eta lognormal of mean 1: the mean of the quotient is E (1 + u^2), its relative variance u^2."""
    u = 0.2
    totals = monte_carlo([50.0], [0], [0], [u], power=[-1], n=200_000, seed=3)
    assert totals.mean() == pytest.approx(50 * (1 + u**2), rel=0.003)
    assert totals.std() / totals.mean() == pytest.approx(u, rel=0.01)


def test_a_factor_over_itself_has_no_error():
    totals = monte_carlo([10.0], [0, 0], [0, 0], [0.3, 0.3], power=[1, -1], n=100, seed=1)
    assert totals == pytest.approx(np.full(100, 10.0))


def test_flows_without_errors_stay_as_they_are():
    assert monte_carlo([1.0, 2.0], [], [], [], n=5) == pytest.approx(np.full(5, 3.0))


def test_the_same_seed_gives_the_same_samples():
    first = monte_carlo([1.0], [0], [0], [0.5], n=50, seed=11)
    assert np.array_equal(first, monte_carlo([1.0], [0], [0], [0.5], n=50, seed=11))


def test_an_interval_that_is_said_to_be_skewed_is_lognormal_however_narrow():
    draws = np.random.default_rng(2).lognormal(0.0, 0.1, 400_000)
    low, high = intervals([draws.mean()] * 2, [draws.var()] * 2, skewed=[True, False])
    assert [low[0], high[0]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=0.003)
    assert high[1] - draws.mean() == pytest.approx(draws.mean() - low[1])
    assert intervals([0.0], [1.0], skewed=[True])[0][0] < 0, "a net zero has no logarithm"
