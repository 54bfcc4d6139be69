# SPDX-License-Identifier: Apache-2.0
"""Grids: corners, numbers, sizes; degrees to meters and back."""

import numpy as np
import pytest
import shapely

from mangrove.errors import RequestError
from mangrove.gridding import Grid, project, unproject, utm


def test_a_grid_around_shapes_holds_them_and_lies_on_whole_multiples_of_the_cell():
    grid = Grid.around([shapely.box(1230, -450, 2000, 980), shapely.Point(2600, 0)], 500)
    assert (grid.x0, grid.y0, grid.nx, grid.ny) == (1000, -500, 4, 3)
    assert shapely.Point(2600, 0).within(shapely.union_all(grid.boxes()))


def test_the_point_on_the_far_corner_still_lies_in_a_cell():
    grid = Grid.around([shapely.box(0, 0, 1000, 1000)], 500)
    assert (grid.nx, grid.ny) == (3, 3)


def test_cells_are_numbered_by_row_from_the_south_west():
    grid = Grid(0, 0, 10, 5, 3, 2)
    assert grid.boxes([4])[0].bounds == (10, 5, 20, 10)
    assert [part.tolist() for part in grid.centers()] == [[5, 15, 25], [2.5, 7.5]]


@pytest.mark.parametrize(
    ("lon", "lat", "zone"),
    [(106.7, 10.8, 32648), (108.2, 16.0, 32649), (-70.6, -33.4, 32719), (180.0, 5.0, 32660)],
)
def test_the_zone_is_that_of_the_middle(lon, lat, zone):
    assert utm([shapely.Point(lon, lat)]) == zone


def test_the_central_meridian_has_an_easting_of_500_km_and_degrees_come_back():
    """UTM by definition: false easting 500,000 m, scale 0.9996 on the central meridian (105 E in zone 48)."""
    line = shapely.LineString([(105.0, 0.0), (105.0, 10.8)])
    moved = project([line], 32648)
    assert shapely.get_coordinates(moved)[:, 0] == pytest.approx([500_000, 500_000], abs=1e-6)
    assert shapely.get_coordinates(moved)[0, 1] == pytest.approx(0, abs=1e-6)
    assert shapely.get_coordinates(unproject(moved, 32648)) == pytest.approx(
        shapely.get_coordinates(line), abs=1e-9
    )


def test_middles_in_degrees_lie_inside_their_corners():
    grid = Grid(680_000, 1_190_000, 1000, 1000, 3, 2, 32648)
    lon, lat = grid.degrees()
    corners = np.stack(grid.degrees(corners=True), axis=-1)
    assert lon.shape == (2, 3)
    assert shapely.contains_xy(shapely.polygons(corners), lon, lat).all()
    assert shapely.is_ccw(shapely.linearrings(corners)).all()


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("gridding.nothing_drawn", lambda: utm([shapely.Point()])),
        ("gridding.not_degrees", lambda: utm([shapely.Point(680_000, 1_190_000)])),
        ("gridding.not_degrees", lambda: project([shapely.Point(10.8, 106.7)], 32648)),
        ("gridding.nothing_drawn", lambda: Grid.around([], 100)),
        ("gridding.bad_cell", lambda: Grid.around([shapely.Point(1, 1)], 0)),
        ("gridding.bad_grid", lambda: Grid(0, 0, -1, 1, 2, 2)),
        ("gridding.too_many_cells", lambda: Grid.around([shapely.box(0, 0, 1e6, 1e6)], 10)),
        ("gridding.no_projection", lambda: Grid(0, 0, 1, 1, 2, 2).degrees()),
    ],
)
def test_what_makes_no_grid_is_said_by_name(code, call):
    with pytest.raises(RequestError) as caught:
        call()
    assert caught.value.code == code
    assert "{" not in caught.value.text("vi")
