# SPDX-License-Identifier: Apache-2.0
"""Stability classes are compared with the cells of EPA's table, the sun with an almanac."""

import numpy as np
import pytest

from mangrove.inference.dispersion_classes import by_hour, classes, sine_of_elevation


@pytest.mark.parametrize(
    ("speed", "sun", "letter"),
    [
        (1.9, 925, "A"), (1.9, 700, "A"), (1.9, 200, "B"), (1.9, 100, "D"), (2.5, 925, "A"), (2.5, 700, "B"), (2.5, 300, "C"),
        (4, 925, "B"), (4, 700, "B"), (4, 300, "C"), (5.5, 1000, "C"), (5.5, 700, "C"), (5.5, 300, "D"), (6, 1000, "C"),
        (6, 700, "D"), (8, 100, "D"), (1, 0, "F"), (2.2, 0, "E"), (3, 0, "D"),
    ],
)  # fmt: skip
def test_a_class_is_the_cell_of_the_table(speed, sun, letter):
    assert "ABCDEF"[int(classes(speed, sun))] == letter


def test_a_cloudy_night_is_one_class_less_stable():
    assert classes([1.0, 2.2, 3.0], 0.0, clear_nights=False).tolist() == [4, 3, 3]


def test_the_sun_over_ho_chi_minh_city_stands_as_the_almanac_says():
    # 10.82 N: at local noon of the June solstice the sun stands 90 - (23.44 - 10.82) = 77.4 degrees high.
    day = np.arange(
        np.datetime64("2024-06-21T00:00"), np.datetime64("2024-06-22T00:00"), np.timedelta64(5, "m")
    )
    height = np.degrees(np.arcsin(sine_of_elevation(day, 106.63, 10.82)))
    assert height.max() == pytest.approx(77.4, abs=0.3)
    assert abs(day[height.argmax()] - np.datetime64("2024-06-21T04:55")) <= np.timedelta64(6, "m")


def test_without_irradiance_noon_is_unstable_and_midnight_stable():
    moments = np.array(["2024-03-01T05:00", "2024-03-01T17:00"], dtype="datetime64[m]")
    assert by_hour([1.0, 1.0], moments, 106.63, 10.82).tolist() == [0, 5]
