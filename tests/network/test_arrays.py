"""What callers may hand over, and how a bad value is named."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.network.arrays import by_year, cube, per_item

SHAPE = (2, 3, 4)  # items, scenarios, steps


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (1.0, (1, 1, 1)),
        (1, (1, 1, 1)),
        (np.ones(4), (1, 1, 4)),
        (np.ones(2), (2, 1, 1)),
        (np.ones((2, 4)), (2, 1, 4)),
        (np.ones((3, 4)), (1, 3, 4)),
        (np.ones((2, 3, 4)), (2, 3, 4)),
        ([np.inf], (1, 1, 1)),
    ],
)
def test_numbers_series_items_and_scenarios_find_their_axis(value, shape):
    assert cube("x", "cost", value, SHAPE).shape == shape


@pytest.mark.parametrize(
    "value", [np.ones(3), np.ones(5), np.ones((4, 4)), np.ones((2, 3, 5)), np.ones((1, 2, 3, 4)), []]
)
def test_a_shape_that_fits_nowhere_is_refused_with_both_shapes(value):
    with pytest.raises(RequestError) as refused:
        cube("pump", "cost", value, SHAPE)
    assert refused.value.code == "network.bad_shape"
    assert "2 x 3 x 4" in refused.value.text()


@pytest.mark.parametrize("value", [float("nan"), [1.0, 1.0, float("nan"), 1.0], None, "many", ["a", "b"]])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(RequestError) as refused:
        cube("pump", "cost", value, SHAPE)
    assert refused.value.code == "network.not_a_number"
    assert "pump" in refused.value.text("vi")


def test_the_first_bad_position_is_named():
    with pytest.raises(RequestError, match="position 2"):
        cube("pump", "cost", [1.0, 1.0, float("nan"), 1.0], SHAPE)
    with pytest.raises(RequestError, match="-5 at position 1"):
        per_item("pump", "power", [1.0, -5.0], 2, least=0.0)


def test_one_value_stands_for_all_items_and_a_wrong_count_is_refused():
    np.testing.assert_array_equal(per_item("pump", "power", 3.0, 2), [3.0, 3.0])
    with pytest.raises(RequestError, match="shape 3, where 2"):
        per_item("pump", "power", np.ones(3), 2)


def test_sizes_go_over_the_years_or_over_the_items():
    np.testing.assert_array_equal(by_year("x", "cost", [1.0, 2.0, 3.0], 2, 3), [[1, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(by_year("x", "cost", [1.0, 2.0], 2, 3), [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(by_year("x", "cost", [[1.0], [2.0]], 2, 3), [[1, 1, 1], [2, 2, 2]])
