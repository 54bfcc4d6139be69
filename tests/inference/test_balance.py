"""Reconciliation of meters that must close a balance: published cases, closed forms, the KKT system, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mangrove.errors import RequestError
from mangrove.inference.balance import reconcile
from mangrove.inference.gaussian import Prior, posterior

# Heat exchanger with a bypass: Narasimhan and Jordache (2000), Data Reconciliation and Gross Error Detection, section 1.4.
BYPASS = np.array([[1, -1, -1, 0, 0, 0], [0, 1, 0, -1, 0, 0], [0, 0, 1, 0, -1, 0], [0, 0, 0, 1, 1, -1.0]])
READ = np.array([101.91, 64.45, 34.65, 64.20, 36.44, 98.88])


def test_the_published_bypass_with_all_flows_measured():
    found = reconcile(BYPASS, READ, np.ones(6))
    assert found.estimate[0] == pytest.approx([100.22, 64.50, 35.72, 64.50, 35.72, 100.22], abs=0.006)
    assert found.freedom[0] == 4


def test_the_published_bypass_with_two_flows_that_nobody_measures():
    read = np.where([0, 0, 1, 1, 0, 0], np.nan, READ)
    found = reconcile(BYPASS, read, np.ones(6))
    assert found.estimate[0] == pytest.approx([100.49, 64.25, 36.24, 64.25, 36.24, 100.49], abs=0.006)
    assert found.observable.all()


def test_what_no_balance_determines_is_said_and_never_guessed():
    read = np.array([101.91, np.nan, np.nan, np.nan, np.nan, 98.88])
    found = reconcile(BYPASS, read, np.ones(6))
    assert found.estimate[0, [0, 5]] == pytest.approx([100.395, 100.395])
    assert not found.observable[0, 1:5].any()
    assert np.isnan(found.estimate[0, 1:5]).all()


def test_two_meters_in_series_give_the_inverse_variance_mean():
    found = reconcile([[1.0, -1.0]], [10.0, 13.0], [1.0, 2.0])
    mean = (10 / 1 + 13 / 4) / (1 + 1 / 4)
    assert found.estimate[0] == pytest.approx([mean, mean])
    assert found.sd[0] ** 2 == pytest.approx(1 / (1 + 1 / 4))
    assert found.chi2[0] == pytest.approx(3**2 / 5)
    assert found.p[0] == pytest.approx(0.17971249)  # chi-square of one degree: P(X > 1.8)


def test_a_single_balance_cannot_tell_which_of_its_meters_is_wrong():
    found = reconcile([[1.0, -1.0]], [[10.0, 20.0], [10.0, 10.1]], [1.0, 1.0])
    assert found.suspects().tolist() == [[True, True], [False, False]]


def test_a_second_balance_tells_which_meter_is_wrong():
    true = np.array([100.0, 64, 36, 64, 36, 100])
    wrong = true + np.array([0, 0, 0, 9.0, 0, 0])
    # Stream 4 stands in two balances with different neighbors, so its own test is the largest.
    found = reconcile(BYPASS, wrong, np.ones(6))
    assert np.flatnonzero(found.suspects()[0]).tolist() in ([3], [1, 3])
    assert found.score[0].argmax() in (1, 3)
    assert found.p[0] < 0.001


def test_the_lagrange_system_gives_the_same_numbers():
    random = np.random.default_rng(3)
    a, y, sd = random.normal(size=(3, 7)), random.normal(5, 1, 7), random.uniform(0.2, 2, 7)
    b = random.normal(size=3)
    root = random.normal(size=(7, 7)) * sd[:, None]
    v = root @ root.T
    found = reconcile(a, y, v[None], b)
    weight = np.linalg.inv(v)
    system = np.block([[weight, a.T], [a, np.zeros((3, 3))]])
    expected = np.linalg.solve(system, np.concatenate([weight @ y, b]))[:7]
    assert found.estimate[0] == pytest.approx(expected)
    assert found.covariance[0] == pytest.approx(np.linalg.inv(system)[:7, :7], abs=1e-9)
    assert found.chi2[0] == pytest.approx((y - expected) @ weight @ (y - expected))


def test_the_linear_gaussian_engine_gives_the_same_numbers_when_balances_are_nearly_exact():
    sd = np.array([1.0, 2, 0.5, 1, 3, 1])
    found = reconcile(BYPASS, READ, sd)
    beside = posterior(BYPASS, np.zeros(4), np.full(4, 1e-8), Prior.independent(READ, sd**2))
    assert found.estimate[0] == pytest.approx(beside.mean, abs=1e-6)
    assert found.sd[0] == pytest.approx(beside.sd(), abs=1e-6)


def test_periods_with_different_gaps_are_those_solved_alone():
    random = np.random.default_rng(5)
    y = READ + random.normal(size=(40, 6))
    y[random.random((40, 6)) < 0.25] = np.nan
    together = reconcile(BYPASS, y, np.ones(6))
    for row in range(40):
        alone = reconcile(BYPASS, y[row], np.ones(6))
        np.testing.assert_allclose(together.estimate[row], alone.estimate[0])
        np.testing.assert_allclose(together.covariance[row], alone.covariance[0], atol=1e-12)
        np.testing.assert_allclose(together.score[row], alone.score[0])


def test_a_period_in_which_nothing_flows_closes_without_a_test():
    found = reconcile([[1.0, -1.0]], [0.0, 0.0], [0.0, 0.0])
    assert found.estimate.tolist() == [[0.0, 0.0]]
    assert found.freedom[0] == 0
    assert np.isnan(found.p[0])


def test_exact_meters_that_contradict_each_other_have_no_estimate():
    found = reconcile([[1.0, -1.0]], [5.0, 7.0], [0.0, 0.0])
    assert np.isnan(found.estimate).all()
    assert found.chi2[0] == np.inf
    assert found.p[0] == 0
    assert found.suspects().all()


def test_an_exact_meter_decides():
    found = reconcile([[1.0, -1.0]], [5.0, 7.0], [0.0, 1.0])
    assert found.estimate[0] == pytest.approx([5, 5])
    assert found.chi2[0] == pytest.approx(4)


def test_meters_with_one_error_cannot_check_each_other_but_a_third_can():
    v = np.array([[[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]])
    found = reconcile([[1.0, -1, 0], [0, 1, -1]], [10.0, 10, 14], v)
    assert found.estimate[0] == pytest.approx([12, 12, 12])  # the twins count as one meter
    assert found.freedom[0] == 1


def test_coefficients_may_change_from_period_to_period():
    a = np.array([[[0.98, -1.0]], [[0.9, -1.0]]])
    found = reconcile(a, [[100.0, 98.0], [100.0, 90.0]], [1.0, 1.0])
    assert found.adjustment == pytest.approx(np.zeros((2, 2)), abs=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(RequestError, match="do not fit"):
        reconcile([[1.0, -1.0, 1.0]], [1.0, 2.0], [1.0, 1.0])
    with pytest.raises(RequestError, match="do not fit"):
        reconcile([[1.0, -1.0]], [1.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(RequestError, match="finite"):
        reconcile([[1.0, -1.0]], [1.0, 2.0], [1.0, np.inf])
    with pytest.raises(RequestError, match="contradict"):
        reconcile([[1.0, -1.0], [1.0, -1.0]], [1.0, 2.0], [1.0, 1.0], [0.0, 1.0])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(2, 8))
def test_balances_close_and_adjusting_never_widens_an_interval(seed, rows, columns):
    random = np.random.default_rng(seed)
    a = random.integers(-1, 2, (rows, columns)).astype(float)
    y = random.lognormal(3, 1, (3, columns)) * np.where(random.random((3, columns)) < 0.2, np.nan, 1)
    sd = random.choice([0.01, 0.02, 0.05], columns) * np.nan_to_num(y, nan=1.0)
    found = reconcile(a, y, sd)
    known = ~np.isnan(found.estimate)
    closes = (a != 0)[None] & ~known[:, None, :]
    whole = ~closes.any(axis=2)
    residual = np.nan_to_num(found.estimate) @ a.T
    scale = np.nan_to_num(np.abs(y)).sum(axis=1, keepdims=True) + 1
    assert (np.abs(residual)[whole] <= (1e-9 * scale * np.ones(rows))[whole]).all()
    read = ~np.isnan(y)
    assert (found.sd[read] <= sd[read] * (1 + 1e-9)).all()
    assert (found.chi2 >= -1e-9).all()
