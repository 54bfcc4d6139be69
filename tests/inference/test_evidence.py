"""The marginal likelihood of scales against scipy's normal distribution and against finite differences."""

import numpy as np
import pytest
from scipy import stats

from mangrove.inference.evidence import Evidence, fit_scales


def problem(n=40, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 9)), random.normal(size=n), np.array([0, 0, 0, 0, 1, 1, 1, -1, -1])


def test_evidence_is_the_density_of_the_misfit():
    matrix, misfit, labels = problem()
    value, _ = Evidence(matrix, misfit, labels, 2)(np.log([1.5, 0.5, 1.2]))
    scale = np.array([1.5] * 4 + [0.5] * 3 + [1.0] * 2)
    cov = 1.44 * np.eye(40) + (matrix * scale**2) @ matrix.T
    assert value == pytest.approx(stats.multivariate_normal(np.zeros(40), cov).logpdf(misfit))


def test_the_gradient_is_exact():
    evidence = Evidence(*problem(), 2)
    at = np.log([1.5, 0.5, 1.2])
    _, slope = evidence(at)
    near = [(evidence(at + h)[0] - evidence(at - h)[0]) / 2e-6 for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(slope, near, rtol=1e-6)


def test_scales_of_a_known_truth_are_found():
    random = np.random.default_rng(3)
    matrix = random.normal(size=(3000, 120))
    labels = np.repeat([0, 1], 60)
    state = np.repeat([2.0, 0.5], 60) * random.standard_normal(120)
    misfit = matrix @ state + 1.5 * random.standard_normal(3000)
    found = fit_scales(Evidence(matrix, misfit, labels, 2), np.ones(3), spread=10.0, steps=50)
    np.testing.assert_allclose(found.groups, [2.0, 0.5], rtol=0.25)
    assert found.noise == pytest.approx(1.5, rel=0.05)


def test_a_group_that_the_data_say_nothing_about_keeps_its_prior():
    matrix, misfit, labels = problem()
    matrix[:, labels == 1] = 0.0
    assert fit_scales(Evidence(matrix, misfit, labels, 2), np.array([1.0, 2.0, 1.0])).groups[
        1
    ] == pytest.approx(1.0, abs=0.01)
