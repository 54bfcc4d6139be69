"""The time axis: steps, weights and what is refused."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.network import Horizon


def test_a_regular_horizon_has_equal_steps_that_occur_once():
    found = Horizon.regular(4, 0.25)
    assert found.steps == 4
    assert found.years == 1
    np.testing.assert_array_equal(found.amount, [0.25] * 4)


def test_a_typical_day_weighs_as_many_days_as_it_stands_for():
    found = Horizon.typical(2.0, 12, [1, 0, 1, 1])
    assert found.steps == 24
    assert found.amount.sum() == 4 * 24.0
    np.testing.assert_array_equal(found.weights, [1.0] * 12 + [3.0] * 12)


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: Horizon.regular(0, 1.0), "network.bad_step"),
        (lambda: Horizon.regular(-3, 1.0), "network.bad_step"),
        (lambda: Horizon.regular(3, 0.0), "network.bad_step"),
        (lambda: Horizon.regular(3, float("nan")), "network.bad_step"),
        (lambda: Horizon.chronological([1.0, -1.0]), "network.bad_step"),
        (lambda: Horizon.chronological([1.0, np.inf]), "network.bad_step"),
        (lambda: Horizon.chronological([1.0, 1.0], year=[0]), "network.bad_shape"),
        (lambda: Horizon.chronological([1.0, 1.0], year=[0, -1]), "network.bad_step"),
        (lambda: Horizon.chronological([[1.0, 1.0]]), "network.bad_shape"),
        (lambda: Horizon.typical(1.0, 24, []), "network.bad_step"),
        (lambda: Horizon.typical(1.0, 24, [0, -1]), "network.bad_step"),
        (lambda: Horizon.typical(1.0, 24, [0, 2]), "network.bad_step"),
        (lambda: Horizon.typical(1.0, 0, [0, 1]), "network.bad_step"),
    ],
)
def test_a_horizon_that_is_no_time_axis_is_refused(build, code):
    with pytest.raises(RequestError) as refused:
        build()
    assert refused.value.code == code
    assert refused.value.text("vi") != refused.value.text("en")


def test_the_first_bad_step_is_named():
    with pytest.raises(RequestError, match="first: 2"):
        Horizon.chronological([1.0, 1.0, 0.0, 1.0])
