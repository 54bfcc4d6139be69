# SPDX-License-Identifier: Apache-2.0
"""The conditional logit against closed forms."""

from math import log

import numpy as np
import pytest

from mangrove.matching.learn import conditional_logit, softmax


def test_two_options_chosen_three_times_of_four_weigh_the_log_of_three():
    features = np.tile(np.array([[1.0], [0.0]]), (400, 1, 1))
    right = np.zeros((400, 2))
    right[:300, 0], right[300:, 1] = 1, 1
    assert conditional_logit(features, right, ridge=1e-9)[0] == pytest.approx(log(3), rel=1e-4)


def test_a_feature_that_never_varies_weighs_nothing():
    features = np.ones((10, 3, 2))
    features[:, :, 1] = [1, 0, 0]
    right = np.zeros((10, 3))
    right[:, 0] = 1
    weights = conditional_logit(features, right)
    assert weights[0] == 0
    assert weights[1] > 0


def test_the_slope_of_the_penalized_likelihood_is_zero_at_the_weights():
    rng = np.random.default_rng(3)
    features, right = rng.normal(size=(60, 5, 3)), np.zeros((60, 5))
    right[np.arange(60), rng.integers(5, size=60)] = 1
    weights = conditional_logit(features, right, ridge=2.0)
    scale = features.reshape(-1, 3).std(axis=0)

    def loss(w):
        return 2.0 / 2 * ((w * scale) ** 2).sum() - np.log((softmax(features @ w) * right).sum(axis=1)).sum()

    step = 1e-5
    for axis in np.eye(3):
        assert abs(loss(weights + step * axis) - loss(weights - step * axis)) / (2 * step) < 1e-2
    assert softmax(features @ weights).sum(axis=1) == pytest.approx(np.ones(60))
