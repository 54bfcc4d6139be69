"""What readings alone say is the posterior without its prior: closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest

from mangrove.inference.diagnostics import Inversion


def told(prior, information, mean):
    """The readings' part of a posterior that was made from a prior covariance and readings of known information and mean."""
    start = -0.5 * np.diag(prior)
    after = np.linalg.inv(np.linalg.inv(prior) + information)
    log_mean = after @ (np.linalg.inv(prior) @ start + information @ mean)
    made = SimpleNamespace(log_covariance=after, _log_prior=prior, log_mean=log_mean)
    return Inversion.told(made, np.arange(len(prior)))


def test_one_reading_gives_back_its_own_mean_and_variance():
    mean, covariance = told(np.array([[0.2]]), np.array([[25.0]]), np.array([0.14]))
    assert mean[0] == pytest.approx(0.14)
    assert covariance[0, 0] == pytest.approx(1 / 25)


def test_correlated_sources_give_back_the_likelihood():
    prior = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.4]])
    rows = np.array([[3.0, 1.0, 0.5], [0.0, 2.0, 1.0], [1.0, 0.0, 4.0]])
    truth = np.array([0.2, -0.1, 0.3])
    mean, covariance = told(prior, rows.T @ rows, truth)
    assert mean == pytest.approx(truth)
    assert covariance == pytest.approx(np.linalg.inv(rows.T @ rows))


def test_what_was_not_seen_gets_a_huge_variance_and_stays_where_the_prior_was():
    prior = np.diag([0.2, 0.3])
    mean, covariance = told(prior, np.diag([25.0, 0.0]), np.array([0.14, 0.0]))
    assert covariance[1, 1] > 100 * prior[1, 1]
    assert mean[1] == pytest.approx(-0.15)
    assert covariance[0, 0] == pytest.approx(1 / 25)
