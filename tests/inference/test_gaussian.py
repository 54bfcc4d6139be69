# ruff: noqa: N806 - the letters of the equations
"""The linear-Gaussian core against closed forms, dense formulas, scipy and a strict array library."""

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from mangrove.errors import RequestError
from mangrove.inference.covariance import Dense, Prior, Separable, Stacked, exponential
from mangrove.inference.gaussian import Noise, posterior


def problem(seed=1, n=9, m=6, r=2):
    random = np.random.default_rng(seed)
    prior = Prior(
        random.normal(size=m),
        random.normal(size=(m, r)),
        random.uniform(0.5, 2, r),
        random.uniform(0.2, 1, m),
    )
    return random.normal(size=(n, m)), random.normal(size=n), random.uniform(0.3, 1, n), prior


def dense_of(prior):
    return prior.factors @ np.diag(prior.scales) @ prior.factors.T + np.diag(prior.own)


def test_one_fact_about_one_number_is_weighed_by_precision():
    found = posterior(
        np.ones((1, 1)), np.array([3.0]), np.array([0.5]), Prior.independent(np.array([1.0]), np.array([2.0]))
    )
    assert found.mean[0] == pytest.approx((1 / 2 + 3 / 0.5) / (1 / 2 + 1 / 0.5))
    assert found.sd()[0] ** 2 == pytest.approx(1 / (1 / 2 + 1 / 0.5))


def test_two_facts_about_one_number_add_their_precisions():
    prior = Prior.independent(np.array([0.0]), np.array([4.0]))
    found = posterior(np.ones((2, 1)), np.array([1.0, 2.0]), np.array([1.0, 0.25]), prior)
    precision = 1 / 4 + 1 + 4
    assert found.mean[0] == pytest.approx((1 + 2 * 4) / precision)
    assert found.sd()[0] == pytest.approx(precision**-0.5)
    assert found.dofs == pytest.approx(1 - (1 / precision) / 4)


@pytest.mark.parametrize("form", ["observation", "information"])
def test_both_forms_equal_the_dense_formulas(form):
    H, y, noise, prior = problem()
    B = dense_of(prior)
    S = H @ B @ H.T + np.diag(noise)
    gain = B @ H.T @ np.linalg.inv(S)
    after = B - gain @ H @ B
    found = posterior(H, y, noise, prior, form=form)
    d = y - H @ prior.mean
    A = np.random.default_rng(3).normal(size=(2, len(B)))
    np.testing.assert_allclose(found.mean, prior.mean + gain @ d, atol=1e-12)
    np.testing.assert_allclose(found.covariance(), after, atol=1e-12)
    np.testing.assert_allclose(found.covariance(A), A @ after @ A.T, atol=1e-12)
    np.testing.assert_allclose(found.sd(A), np.sqrt(np.diag(A @ after @ A.T)), atol=1e-12)
    np.testing.assert_allclose(found.averaging_kernel(), gain @ H, atol=1e-12)
    assert found.dofs == pytest.approx(np.trace(np.eye(len(B)) - after @ np.linalg.inv(B)))
    assert found.chi2 == pytest.approx(d @ np.linalg.solve(S, d) / len(d))
    assert found.log_evidence == pytest.approx(stats.multivariate_normal(H @ prior.mean, S).logpdf(y))
    np.testing.assert_allclose(found.residual, (y - H @ found.mean) / np.sqrt(noise), atol=1e-12)
    assert float(np.sum(found.resolved)) == pytest.approx(found.dofs)


def test_the_form_follows_the_smaller_system():
    H, y, noise, prior = problem(n=30)
    assert posterior(H, y, noise, prior).form == "information"
    assert posterior(H[:3], y[:3], noise[:3], prior).form == "observation"


@pytest.mark.parametrize("form", ["observation", "information"])
def test_noise_that_a_group_shares_is_part_of_the_covariance(form):
    H, y, noise, prior = problem()
    G = np.zeros((len(y), 2))
    G[:4, 0], G[4:, 1] = 1, 1
    scales = np.array([0.7, 1.3])
    S = H @ dense_of(prior) @ H.T + np.diag(noise) + G @ np.diag(scales) @ G.T
    gain = dense_of(prior) @ H.T @ np.linalg.inv(S)
    found = posterior(H, y, Noise(noise, G, scales), prior, form=form)
    np.testing.assert_allclose(found.mean, prior.mean + gain @ (y - H @ prior.mean), atol=1e-12)
    np.testing.assert_allclose(found.covariance(), dense_of(prior) - gain @ H @ dense_of(prior), atol=1e-12)
    assert found.dofs == pytest.approx(np.trace(gain @ H))
    assert found.log_evidence == pytest.approx(stats.multivariate_normal(H @ prior.mean, S).logpdf(y))


@pytest.mark.parametrize("form", ["observation", "information"])
def test_leaving_a_group_out_equals_estimating_without_it(form):
    H, y, noise, prior = problem(n=12)
    groups = np.repeat([0, 1, 2], 4)
    for group, left in posterior(H, y, noise, prior, form=form).leave_out(groups).items():
        here, rest = groups == group, groups != group
        without = posterior(H[rest], y[rest], noise[rest], prior)
        expected = without.covariance(H[here]) + np.diag(noise[here])
        misfit = y[here] - H[here] @ without.mean
        np.testing.assert_allclose(left.misfit, misfit, atol=1e-10)
        np.testing.assert_allclose(left.sd, np.sqrt(np.diag(expected)), atol=1e-10)
        assert left.chi2 == pytest.approx(misfit @ np.linalg.solve(expected, misfit) / 4)
        assert left.log_score == pytest.approx(stats.multivariate_normal(cov=expected).logpdf(misfit))


@pytest.mark.parametrize("form", ["observation", "information"])
def test_samples_have_the_mean_and_the_covariance_of_the_posterior(form):
    found = posterior(*problem(m=3), form=form)
    drawn = found.samples(200_000, seed=5)
    np.testing.assert_allclose(drawn.mean(axis=0), found.mean, atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), found.covariance(), atol=0.01)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("form", ["observation", "information"])
def test_a_strict_array_library_gives_the_same_in_both_precisions(form, dtype):
    xp, at = array_api_strict, getattr(array_api_strict, dtype)
    H, y, noise, prior = problem()
    G, scales = np.ones((len(y), 1)), np.array([0.4])
    here = posterior(H, y, Noise(noise, G, scales), prior, form=form)

    def move(array):
        return xp.asarray(array, dtype=at)

    there_prior = Prior(*(move(part) for part in (prior.mean, prior.factors, prior.scales, prior.own)))
    there = posterior(move(H), move(y), Noise(move(noise), move(G), move(scales)), there_prior, form=form)
    close = {"rtol": 1e-9} if dtype == "float64" else {"rtol": 2e-3, "atol": 2e-4}
    assert there.mean.dtype == at
    np.testing.assert_allclose(np.asarray(there.mean), here.mean, **close)
    np.testing.assert_allclose(np.asarray(there.sd()), here.sd(), **close)
    np.testing.assert_allclose(np.asarray(there.averaging_kernel()), here.averaging_kernel(), **close)
    np.testing.assert_allclose(
        [there.log_evidence, there.chi2, there.dofs], [here.log_evidence, here.chi2, here.dofs], rtol=1e-3
    )
    ours, theirs = here.leave_out([0] * 4 + [1] * 5), there.leave_out([0] * 4 + [1] * 5)
    np.testing.assert_allclose(np.asarray(theirs[1].misfit), ours[1].misfit, **close)
    np.testing.assert_allclose(np.asarray(there.samples(3)), here.samples(3), rtol=1e-2, atol=1e-2)


def test_cells_and_nuisances_stand_beside_each_other():
    sd = np.array([0.5, 1.0, 0.5, 2.0, 1.0, 1.0])
    blocks = (exponential(np.arange(2.0), 1.5), exponential(np.arange(3.0), 2.0))
    cells = Separable(np.ones(6), sd, blocks)
    full = np.diag(sd) @ np.kron(*blocks) @ np.diag(sd)
    H, y, noise, _ = problem(m=8, n=5)
    both = posterior(H, y, noise, Stacked((cells, Prior.independent(np.zeros(2), np.ones(2)))))
    B = np.block([[full, np.zeros((6, 2))], [np.zeros((2, 6)), np.eye(2)]])
    expected = posterior(H, y, noise, Dense.of(np.r_[np.ones(6), 0, 0], B))
    np.testing.assert_allclose(both.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(both.covariance(), expected.covariance(), atol=1e-12)


def test_an_annual_total_benchmarks_monthly_values_as_chow_and_lin_do():
    """A = X b + V C' (C V C')^-1 (y - C X b), for AR(1) errors: the closed form of Chow and Lin (1971)."""
    months = np.arange(24)
    indicator = 10 + 2 * np.sin(months / 12 * 2 * np.pi)
    V = 0.8 ** np.abs(months[:, None] - months[None, :])
    C = np.kron(np.eye(2), np.ones(12))
    totals = np.array([130.0, 118.0])
    closed = indicator + V @ C.T @ np.linalg.solve(C @ V @ C.T, totals - C @ indicator)
    found = posterior(C, totals, np.full(2, 1e-9), Dense.of(indicator, V))
    np.testing.assert_allclose(found.mean, closed, atol=1e-6)
    np.testing.assert_allclose(C @ found.mean, totals, atol=1e-6)


def test_what_does_not_fit_together_is_refused_by_name():
    H, y, noise, prior = problem()
    with pytest.raises(RequestError, match="shapes do not fit"):
        posterior(H[:, :2], y, noise, prior)
    with pytest.raises(RequestError, match="positive variance"):
        posterior(H, y, noise * 0, prior)
    with pytest.raises(RequestError, match="no form"):
        posterior(H, y, noise, prior, form="dual")
    with pytest.raises(RequestError, match="one library"):
        posterior(array_api_strict.asarray(H), y, noise, prior)
