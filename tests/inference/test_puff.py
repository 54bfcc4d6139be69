# SPDX-License-Identifier: Apache-2.0
"""Puffs are tested against the plume in a steady wind, and by the mass that they hold."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.plume import Winds, footprint
from mangrove.inference.puff import concentrations, response


def steady(times, speed=3.0, degrees=270.0, mixing=400.0):
    return Winds.coming_from(
        np.full(times, speed), np.full(times, degrees), mixing=mixing, stability=3, terrain="rural"
    )


@pytest.mark.parametrize("at", [(300.0, 0.0, 2.0), (400.0, 25.0, 5.0), (600.0, -40.0, 0.0)])
def test_a_train_of_puffs_in_a_steady_wind_is_the_plume(at):
    winds = steady(12)
    found = concentrations(response([at], (0.0, 0.0, 5.0), winds, seconds=60, reach=12), 2.0)
    expected = 2.0 * footprint([at], [(0.0, 0.0, 5.0)], winds)[0, -1, 0]
    assert found[0, -1] == pytest.approx(expected, rel=0.03)


def test_nothing_arrives_before_the_wind_has_carried_it_there():
    found = response([(600.0, 0.0, 2.0)], (0.0, 0.0, 2.0), steady(12), seconds=60, reach=10)
    assert found[0, 0, :2].max() < 1e-3 * found[0, 0].max()
    assert found[0, 0].argmax() == 3


def test_what_was_released_is_all_in_the_air():
    # The mass of what was released in the first minute, two minutes later: the sum over a box around it.
    winds = Winds.coming_from(
        [1.0, 1.0, 1.5], [270.0, 200.0, 300.0], mixing=60.0, stability=1, terrain="rural"
    )
    x, y, z = np.arange(-28, 268, 10.0), np.arange(-118, 150, 10.0), np.arange(5.0, 60, 10.0)
    box = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    away = np.hypot(box[:, 0], box[:, 1]) > 15
    found = response(box[away], (0.0, 0.0, 10.0), winds, seconds=60, reach=3)
    assert found[:, 0, 2].sum() * 10 * 10 * 10 == pytest.approx(60.0, rel=0.01)


def test_a_puff_follows_a_wind_that_turns():
    winds = Winds.coming_from(
        [2.0] * 4, [270.0, 270.0, 180.0, 180.0], mixing=500.0, stability=3, terrain="rural"
    )
    corner, ahead = (200.0, 180.0, 2.0), (420.0, 0.0, 2.0)
    found = response([corner, ahead], (0.0, 0.0, 2.0), winds, seconds=60, reach=4)
    assert found[0, 0].sum() > 50 * found[1, 0].sum()


def test_in_calm_air_gas_stays_and_spreads():
    winds = Winds.coming_from([0.0] * 10, [0.0] * 10, mixing=200.0, stability=5)
    found = concentrations(
        response([(8.0, 0, 2.0), (-8.0, 0, 2.0)], (0.0, 0, 2.0), winds, seconds=60, reach=10), 1.0
    )
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    assert found[0, -1] > found[0, 2] > 0


def test_a_step_of_nothing_is_refused():
    with pytest.raises(RequestError):
        response([(1.0, 0, 0)], (0.0, 0, 0), steady(2), seconds=0)
