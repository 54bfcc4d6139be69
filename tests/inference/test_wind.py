# SPDX-License-Identifier: Apache-2.0
"""Wind conventions are tested on synthetic plumes written in each of them."""

from __future__ import annotations

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.inference.plume import Winds, footprint
from mangrove.inference.wind import CONVENTIONS, conventions, toward

SENSORS = np.array([[-200.0, -150, 3], [210, -180, 3], [180, 220, 3], [-230, 190, 3], [20, -260, 3]])
BOX = (-300.0, -300.0, 300.0, 300.0)


def written(degrees, convention, unit):
    """What an instrument of a convention writes when the wind comes from `degrees` (meteorological)."""
    value = {
        "from": degrees,
        "toward": degrees + 180,
        "angle_toward": 270 - degrees,
        "angle_from": 90 - degrees,
    }[convention] % 360
    return value if unit == "deg" else np.radians(value)


def world(seed=0, times=120, rate=0.003):
    rng = np.random.default_rng(seed)
    degrees = np.linspace(0, 700, times) + rng.normal(0, 20, times)
    winds = Winds.coming_from(rng.uniform(1, 4, times), degrees, mixing=800.0, stability=2)
    signal = rate * footprint(SENSORS, [(30.0, -40.0, 1.0)], winds)[..., 0]
    noise = 0.4 * signal * rng.standard_normal(signal.shape) + 2e-8 * rng.standard_normal(signal.shape)
    return 1.3e-6 + signal + noise, degrees, winds


@pytest.mark.parametrize("unit", ["deg", "rad"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_vectors_of_all_conventions_agree_on_one_wind(convention, unit):
    degrees = np.arange(0.0, 360.0, 15.0)
    assert np.allclose(toward(written(degrees, convention, unit), convention, unit), toward(degrees))


@pytest.mark.parametrize("unit", ["deg", "rad"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_convention_of_the_data_is_named(convention, unit):
    values, degrees, winds = world()
    found = conventions(
        values,
        SENSORS,
        SENSORS,
        written(degrees, convention, unit),
        winds,
        box=BOX,
        unit=unit,
        declared="from",
    )
    assert (found.best.convention, found.best.unit) == (convention, unit)
    assert found.wrong == (convention != "from")
    assert found.decided == (convention == "from")
    text = found.problem().text("en")
    assert ("Nothing was turned" in text) == found.wrong


def test_a_right_declaration_is_not_called_wrong():
    false = 0
    for seed in range(25):
        values, degrees, winds = world(seed, times=60, rate=0.0006)
        false += conventions(values, SENSORS, SENSORS, degrees % 360, winds, box=BOX).wrong
    assert false <= 1


def test_one_sensor_cannot_tell_from_where_to():
    values, degrees, winds = world()
    found = conventions(
        values[:1],
        SENSORS[:1],
        SENSORS[:1],
        (degrees + 180) % 360,
        winds,
        box=(-800, -800, 400, 500),
        declared="from",
    )
    assert not found.wrong
    assert found.problem().code == "locate.convention_open"


def test_one_sensor_can_when_the_source_is_known():
    values, degrees, winds = world()
    found = conventions(
        values[:1], SENSORS[:1], SENSORS[:1], (degrees + 180) % 360, winds, places=[(30, -40, 1)]
    )
    assert found.wrong
    assert found.best.convention == "toward"


def test_noise_decides_nothing():
    values, degrees, winds = world(rate=0.0)
    assert (
        conventions(values, SENSORS, SENSORS, degrees % 360, winds, box=BOX).problem().code
        == "locate.convention_open"
    )


def test_a_convention_is_never_compared_with_itself():
    """Whatever was declared and whatever fits best, the other one in the sentence is another one."""
    values, degrees, winds = world(rate=0.0)
    for name in CONVENTIONS:
        found = conventions(values, SENSORS, SENSORS, degrees % 360, winds, box=BOX, declared=name)
        said = found.problem().data
        assert said["declared"] != said["best"]
        others = [fit.explained for fit in found.fits if fit is not found.declared]
        assert said["best_share"] == round(100 * max(others))


def test_an_unknown_convention_is_named():
    with pytest.raises(RequestError, match="did you mean 'toward'"):
        toward([1.0], "towards")
