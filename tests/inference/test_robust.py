"""Weights and losses belong together; hours and heavy tails."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.robust import heavy_tails, hour_factor, loss, weights


@pytest.mark.parametrize("likelihood", ["gaussian", "huber", "student"])
@pytest.mark.parametrize("at", [0.3, 2.0, 4.0, 20.0])
def test_a_weight_is_the_slope_of_the_loss_over_twice_the_residual(likelihood, at):
    slope = (loss(np.array([at + 1e-6]), likelihood) - loss(np.array([at - 1e-6]), likelihood)) / 2e-6
    assert weights(np.array([at]), likelihood)[0] == pytest.approx(slope / (2 * at), rel=1e-5)


def test_afternoons_count_in_full_and_nights_least():
    assert hour_factor(np.arange(24)).tolist() == [3.0] * 9 + [1.5] * 3 + [1.0] * 4 + [1.5] * 2 + [3.0] * 6


def test_only_the_instrument_that_must_move_is_given_room():
    scale = heavy_tails(np.array([1.0, 0.2, 30.0, 0.5]), np.array([0, 0, 1, 1]), 2, 2.0)
    assert scale[0] == 1.0
    assert scale[1] == pytest.approx(np.sqrt((2 + 30.5) / 4))


def test_an_unknown_likelihood_is_refused_by_name():
    with pytest.raises(RequestError, match="cauchy"):
        weights(np.zeros(1), "cauchy")
