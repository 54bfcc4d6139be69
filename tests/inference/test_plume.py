# SPDX-License-Identifier: Apache-2.0
"""The plume is tested against closed forms, conservation of mass and quadrature; none of it against its own output."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
from scipy import integrate

from mangrove.errors import RequestError
from mangrove.inference.plume import Winds, footprint, footprint_array, path_footprint, projected

SOURCE = [[0.0, 0.0, 20.0]]


def west(speed=3.0, *, mixing=math.inf, stability=3, terrain="rural"):
    return Winds.coming_from([speed], [270.0], mixing=mixing, stability=stability, terrain=terrain)


def some_winds(count, rng):
    return Winds.coming_from(
        rng.uniform(0.2, 7, count), rng.uniform(0, 360, count), mixing=rng.uniform(150, 1500, count),
        stability=rng.integers(0, 6, count),
    )  # fmt: skip


def flux(winds, x, cell_size=0.0):
    """kg/s through the plane across the wind at x for a source of 1 kg/s, by an independent quadrature."""
    lid = min(float(winds.mixing[0]), 3000.0)
    nodes, weights = np.polynomial.legendre.leggauss(240)
    y, wy = 4000 * nodes, 4000 * weights
    z, wz = lid * (nodes + 1) / 2, lid * weights / 2
    plane = np.stack(np.meshgrid([x], y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    density = footprint(plane, SOURCE, winds, cell_size=cell_size)[:, 0, 0].reshape(len(y), len(z))
    return float(wy @ density @ wz) * max(float(winds.speed[0]), winds.calm)


@pytest.mark.parametrize(
    ("mixing", "x"), [(math.inf, 2500.0), (300.0, 2500.0), (300.0, 9000.0), (120.0, 4000.0)]
)
def test_what_passes_a_plane_across_the_wind_is_what_the_source_emits(mixing, x):
    assert flux(west(mixing=mixing), x) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("stability", range(6))
@pytest.mark.parametrize("terrain", ["urban", "rural"])
def test_mass_is_kept_in_every_class_under_a_lid(stability, terrain):
    assert flux(west(mixing=500.0, stability=stability, terrain=terrain), 3000.0) == pytest.approx(
        1.0, abs=1e-6
    )


def test_a_cell_gives_all_its_mass_downwind_and_the_upwind_part_inside():
    assert flux(west(mixing=400.0), 3000.0, cell_size=1000.0) == pytest.approx(1.0, abs=1e-6)
    assert flux(west(mixing=400.0), 250.0, cell_size=1000.0) == pytest.approx(0.75, abs=1e-6)


def test_the_axis_on_the_ground_follows_the_closed_form():
    # Class D, open country, 1 km (Briggs): sigma_y = 80/sqrt(1.1), sigma_z = 60/sqrt(2.5).
    y, z = 80 / math.sqrt(1.1), 60 / math.sqrt(2.5)
    expected = math.exp(-(20.0**2) / (2 * z * z)) / (math.pi * y * z * 3.0)
    assert footprint([[1000.0, 0, 0]], SOURCE, west())[0, 0, 0] == pytest.approx(expected, rel=1e-12)


def test_far_away_the_plume_fills_the_mixing_layer_evenly():
    heights = [[40_000.0, 0, z] for z in (0.0, 50.0, 199.0)]
    found = footprint(heights, SOURCE, west(mixing=200.0, stability=2))[:, 0, 0]
    y = 0.11 * 40_000 / math.sqrt(1 + 4.0)
    assert found == pytest.approx([1 / (math.sqrt(2 * math.pi) * y * 3.0 * 200.0)] * 3, rel=1e-9)


def test_images_and_cosine_series_meet_without_a_step():
    x = np.linspace(500, 20_000, 4001)
    found = footprint(np.column_stack([x, 0 * x, 0 * x + 30.0]), SOURCE, west(mixing=350.0))[:, 0, 0]
    steps = np.diff(np.log(found))
    assert np.abs(np.diff(steps)).max() < 2e-4


def test_sensor_and_source_change_places_when_the_wind_turns_round():
    rng = np.random.default_rng(1)
    winds = some_winds(40, rng)
    back = Winds(winds.speed, -winds.toward_x, -winds.toward_y, winds.mixing, winds.stability, winds.terrain)
    sensors = np.column_stack([rng.uniform(-3000, 3000, (6, 2)), rng.uniform(0, 120, 6)])
    cells = np.column_stack([rng.uniform(-3000, 3000, (5, 2)), rng.uniform(0, 120, 5)])
    there = footprint(sensors, cells, winds)
    assert there == pytest.approx(footprint(cells, sensors, back).transpose(2, 1, 0), rel=1e-9)


def test_nothing_goes_upwind_and_nothing_crosses_the_lid():
    assert footprint([[-10.0, 0, 0]], SOURCE, west())[0, 0, 0] == 0.0
    assert footprint([[900.0, 0, 160.0]], SOURCE, west(mixing=150.0))[0, 0, 0] == 0.0


def test_calm_air_dilutes_as_the_floor_does():
    ones = [footprint([[500.0, 0, 0]], SOURCE, west(speed=s))[0, 0, 0] for s in (0.0, 0.3, 1.0)]
    assert ones[0] == ones[1] == ones[2] > 0


def test_a_cell_is_the_mean_of_the_points_in_it():
    grid = (np.arange(60) + 0.5) / 60 - 0.5
    x, y = np.meshgrid(400 * grid, 400 * grid)
    points = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, 20.0)])
    for at, near in (
        ([2000.0, 100.0, 2.0], 0.05),
        ([1500.0, 400.0, 2.0], 0.25),
    ):  # the flank of a box is no Gaussian
        mean = footprint([at], points, west())[0, 0].mean()
        assert footprint([at], SOURCE, west(), cell_size=400.0)[0, 0, 0] == pytest.approx(mean, rel=near)


@pytest.mark.parametrize("size", [0.0, 500.0])
def test_the_array_form_gives_the_same_numbers_in_a_strict_array_library(size):
    rng = np.random.default_rng(2)
    winds = some_winds(12, rng)
    at = np.column_stack([rng.uniform(0, 5000, (7, 2)), rng.uniform(0, 300, 7)])
    of = np.column_stack([rng.uniform(0, 5000, (50, 2)), rng.uniform(0, 300, 50)])
    rows = [array_api_strict.asarray(a) for a in (at, of, winds.rows())]
    found = np.asarray(footprint_array(*rows, cell_size=size))
    expected = footprint(at, of, winds, cell_size=size)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * expected.max())


def test_the_array_form_knows_air_without_a_lid():
    at, of = np.array([[900.0, 10.0, 2.0]]), np.array(SOURCE)
    assert footprint_array(at, of, west().rows()) == pytest.approx(footprint(at, of, west()), rel=1e-12)


def test_projecting_in_the_kernel_equals_projecting_the_matrix():
    rng = np.random.default_rng(3)
    winds = some_winds(9, rng)
    at = np.column_stack([rng.uniform(0, 5000, (4, 2)), np.full(4, 3.0)])
    of = np.column_stack([rng.uniform(0, 5000, (80, 2)), np.zeros(80)])
    maps = rng.random((80, 3))
    expected = footprint(at, of, winds, cell_size=300.0) @ maps
    assert projected(at, of, winds, maps, cell_size=300.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("degrees", [270.0, 255.0, 200.0, 181.0])
def test_an_open_path_reads_the_mean_of_the_points_on_it(degrees):
    winds = Winds.coming_from([2.0], [degrees], stability=3, terrain="rural", mixing=200.0)
    start, end = np.array([-20.0, -60.0, 1.6]), np.array([35.0, 70.0, 2.6])

    def point(s):
        return float(footprint([start + s * (end - start)], SOURCE, winds)[0, 0, 0])

    expected = integrate.quad(point, 0, 1, limit=500, epsabs=1e-12)[0]
    found = path_footprint([start], [end], SOURCE, winds, pieces=96)[0, 0, 0]
    assert found == pytest.approx(expected, rel=5e-3, abs=1e-9)


def test_a_narrow_plume_across_a_long_path_is_not_missed():
    # 2 m from the source the plume is 0.2 m wide, and the path is 200 m long: the crosswind integral is exact.
    winds = west(stability=3)
    found = path_footprint([[2.0, -100.0, 20.0]], [[2.0, 100.0, 20.0]], SOURCE, winds)[0, 0, 0]
    z = 0.06 * 2 / math.sqrt(1 + 0.0015 * 2)
    assert found == pytest.approx(1 / (math.sqrt(2 * math.pi) * z * 3.0 * 200.0), rel=1e-9)


def test_measured_turbulence_takes_the_place_of_the_curves():
    winds = west()
    own = Winds(
        winds.speed, winds.toward_x, winds.toward_y, winds.mixing, winds.stability, "rural",
        np.array([[0.2, 0, 0, 0.1, 0, 0]]),
    )  # fmt: skip
    assert footprint([[100.0, 0, 20.0]], SOURCE, own)[0, 0, 0] == pytest.approx(
        (1 + math.exp(-0.5 * 4.0**2)) / (2 * math.pi * 20 * 10 * 3.0), rel=1e-12
    )


def test_a_wind_turned_by_ten_degrees_comes_from_ten_degrees_further():
    turned, direct = west().turned(10), Winds.coming_from([3.0], [280.0])
    assert (turned.toward_x[0], turned.toward_y[0]) == pytest.approx((direct.toward_x[0], direct.toward_y[0]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"speed": [-1.0]}, "locate.winds_not_numbers"),
        ({"speed": [math.nan]}, "locate.winds_not_numbers"),
        ({"degrees": [math.nan]}, "locate.winds_not_numbers"),
        ({"mixing": 0.0}, "locate.winds_not_numbers"),
        ({"stability": 6}, "locate.no_such_stability"),
        ({"terrain": "sea"}, "locate.no_such_terrain"),
    ],
)
def test_winds_that_cannot_be_are_named(change, code):
    with pytest.raises(RequestError) as caught:
        Winds.coming_from(**{"speed": [3.0], "degrees": [270.0]} | change)
    assert caught.value.code == code


def test_positions_that_are_not_are_named():
    with pytest.raises(RequestError) as caught:
        footprint([[1.0, 2.0]], SOURCE, west())
    assert caught.value.code == "locate.bad_positions"
