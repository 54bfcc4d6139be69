# SPDX-License-Identifier: Apache-2.0
"""Exact shares of shapes in cells: beside GEOS, by conservation, in any direction; and what is refused."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.gridding.shapes import GRID, PLACES, dense, exact, exact_rational, lines, polygons

from mangrove.errors import RequestError
from mangrove.gridding import Grid, weights
from mangrove.gridding import cache as kept

BOXES = GRID.boxes()
FRAME = shapely.box(-30, 10, 60, 66)
LINES = shapely.union_all(shapely.boundary(BOXES))


def along_the_grid(shape):
    """Whether a stretch of a line lies on the lines of the grid."""
    return shapely.length(shapely.intersection(shape, LINES)) > 0


@settings(max_examples=200, deadline=None)
@given(polygons())
def test_a_polygon_has_the_areas_that_geos_cuts(shape):
    found = dense(weights([shape], GRID))[0]
    assert np.abs(found - exact(shape, BOXES)).max() < 1e-9
    assert found.sum() == pytest.approx(shapely.intersection(shape, FRAME).area / shape.area, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(lines())
def test_a_line_has_the_lengths_that_geos_cuts(shape):
    assume(not along_the_grid(shape))  # there closed cells count twice
    assert np.abs(dense(weights([shape], GRID))[0] - exact(shape, BOXES)).max() < 1e-9


@settings(max_examples=100, deadline=None)
@given(st.lists(polygons() | lines() | PLACES.map(shapely.Point), min_size=1, max_size=6))
def test_direction_and_order_do_not_matter(shapes):
    found = dense(weights(shapes, GRID))
    assert np.abs(found - dense(weights(shapely.reverse(np.array(shapes, dtype=object)), GRID))).max() < 1e-12
    assert np.array_equal(found[::-1], dense(weights(shapes[::-1], GRID)))


@settings(max_examples=50, deadline=None)
@given(lines() | PLACES.map(shapely.Point))
def test_half_open_cells_share_out_all_that_lies_inside(shape):
    wide = Grid(-300.0, -290.0, 10.0, 7.0, 90, 90)
    assert weights([shape], wide).sum() == pytest.approx(1, abs=1e-12)


def test_a_stretch_along_a_line_of_the_grid_belongs_to_the_cells_above_and_to_the_right():
    grid = Grid(0, 0, 10, 10, 3, 3)
    along = shapely.LineString([(0, 10), (30, 10)])
    up = shapely.LineString([(10, 0), (10, 30)])
    assert dense(weights([along, up], grid)).nonzero()[1].tolist() == [3, 4, 5, 1, 4, 7]


def test_a_point_on_a_corner_lies_in_one_cell_and_one_on_the_far_edge_lies_outside():
    grid = Grid(0, 0, 10, 10, 2, 2)
    points = [
        shapely.Point(10, 10),
        shapely.Point(0, 0),
        shapely.Point(20, 5),
        shapely.MultiPoint([(1, 1), (99, 1)]),
    ]
    assert dense(weights(points, grid)).tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0]]


def test_a_small_shape_far_from_the_origin_keeps_its_digits():
    grid = Grid(600_000, 1_100_000, 1000, 1000, 90, 90)
    x, y = 685_000.0, 1_187_000.0
    square = shapely.box(x - 0.25, y - 0.125, x + 0.75, y + 0.375)
    road = shapely.LineString([(x - 0.25, y + 0.5), (x + 0.75, y + 0.5)])
    found = weights([square, road], grid)
    cell = 87 * 90 + 85
    assert found[0, cell] == pytest.approx(0.75 * 0.75, abs=1e-12)
    assert found[1, cell] == pytest.approx(0.75, abs=1e-12)
    assert found[0, [cell - 1]][0] == pytest.approx(0.25 * 0.75, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.002, 0.5), st.floats(0, 1), st.floats(0, 1), st.floats(-0.5, 0.5))
def test_a_sliver_far_from_the_origin_has_the_shares_of_rational_arithmetic(width, left, right, slope):
    """A strip of millimeters 1,190 km from the equator: GEOS rounds where it cuts there, and misses by up to 1e-7 of it."""
    y = 1_190_000.0
    strip = [
        (left, y + 8),
        (50 + right, y + 8 + slope),
        (50 + right, y + 8 + slope + width),
        (left, y + 8 + width / 3),
    ]
    grid = Grid(0.0, y, 17.0, 17.0, 4, 1)
    found = dense(weights([shapely.Polygon(strip)], grid))[0]
    wanted = [exact_rational(strip, 17 * i, y, 17 * i + 17, y + 17) for i in range(4)]
    assert found == pytest.approx(wanted, abs=1e-11)


def test_cells_inside_a_large_polygon_are_exactly_whole_and_cells_in_its_hole_are_empty():
    shape = shapely.box(0.5, 0.5, 99.5, 99.5).difference(shapely.box(20.5, 20.5, 79.5, 79.5))
    found = dense(weights([shape], Grid(0, 0, 1, 1, 100, 100)))[0].reshape(100, 100) * shape.area
    assert (found[30:70, 30:70] == 0).all()
    assert np.abs(found[1:20, 1:99] - 1).max() < 1e-12
    assert found[0, 5] == pytest.approx(0.5, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(polygons() | lines(), min_size=1, max_size=4))
def test_polygons_as_target_give_what_a_grid_gives(shapes):
    assume(not any(along_the_grid(shape) for shape in shapes if not shape.area))
    assert np.abs(dense(weights(shapes, GRID)) - dense(weights(shapes, BOXES))).max() < 1e-9


def test_what_zones_share_belongs_to_the_first():
    left, right = shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)
    over = shapely.box(5, 0, 20, 10)
    border = shapely.LineString([(10, 0), (10, 10)])
    point = shapely.Point(10, 5)
    across = shapely.box(0, 0, 20, 10)
    several = shapely.MultiPoint([(1, 1), (10, 1), (15, 1), (50, 1)])
    found = dense(weights([border, point, across, several], [left, right]))
    assert np.allclose(found, [[1, 0], [1, 0], [0.5, 0.5], [0.5, 0.25]], atol=1e-12)
    assert np.allclose(dense(weights([across], [left, over])), [[0.5, 0.5]], atol=1e-12)


def test_a_line_that_runs_a_stretch_twice_counts_it_twice():
    there_and_back = shapely.LineString([(0, 5), (20, 5), (5, 5)])
    halves = [shapely.box(0, 0, 10, 10), shapely.box(10, 0, 20, 10)]
    for target in (halves, Grid(0, 0, 10, 10, 2, 1)):
        assert np.allclose(dense(weights([there_and_back], target)), [[15 / 35, 20 / 35]], atol=1e-12)


BOWTIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
BAD = {
    "gridding.crosses_itself": BOWTIE,
    "gridding.no_position": shapely.Polygon(),
    "gridding.no_size": shapely.LineString([(1, 1), (1, 1)]),
    "gridding.collection": shapely.GeometryCollection([shapely.Point(0, 0), shapely.box(0, 0, 1, 1)]),
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_shape_is_refused_by_name(code):
    with pytest.raises(RequestError) as caught:
        weights([shapely.Point(1, 1), BAD[code]], GRID, names=["kiln", "quarry"])
    assert caught.value.code == code
    for lang in ("en", "vi"):
        assert "quarry" in caught.value.text(lang)
        assert "kiln" not in caught.value.text(lang)


def test_a_coordinate_that_is_no_number_is_refused_and_an_unnamed_shape_has_its_position():
    with pytest.raises(RequestError, match="#1"):
        weights([shapely.Point(1, 1), shapely.from_wkt("POINT (3 nan)")], GRID)
    with pytest.raises(RequestError, match="#0"):
        weights([shapely.from_wkt("LINESTRING (0 0, inf 3)")], GRID)


def test_repair_mends_what_crosses_itself_and_leaves_the_rest_empty():
    grid = Grid(0, 0, 5, 5, 2, 2)
    found = dense(weights([BOWTIE, shapely.Polygon(), BAD["gridding.no_size"]], grid, repair=True))
    assert np.allclose(found, [[0.25] * 4, [0] * 4, [0] * 4])


def test_no_shapes_give_an_empty_matrix():
    assert weights([], GRID).shape == (0, GRID.cells)


def test_weights_come_from_the_cache_until_anything_changes(tmp_path, monkeypatch):
    shapes = [shapely.box(0, 20, 15, 40), shapely.Point(3, 30)]
    first = weights(shapes, GRID, cache=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("mangrove.gridding.shares._computed", lambda *_, **__: pytest.fail("computed again"))
        assert (weights(shapes, GRID, cache=tmp_path) != first).nnz == 0
    other = weights(shapes, Grid(-30.0, 10.0, 10.0, 7.0, 9, 9), cache=tmp_path)
    moved = weights([shapes[1], shapes[0]], GRID, cache=tmp_path)
    assert other.shape != first.shape
    assert np.array_equal(dense(moved), dense(first)[::-1])
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04nonsense", "flip"])
def test_a_damaged_cache_is_computed_again(tmp_path, damage):
    shapes = np.array([shapely.box(0, 20, 15, 40)], dtype=object)
    first = weights(shapes, GRID, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content) if damage == "flip" else damage)
    assert np.array_equal(dense(weights(shapes, GRID, cache=tmp_path)), dense(first))
    assert kept.load(tmp_path, kept.key(shapes, GRID, repair=False)) is not None


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert weights([shapely.Point(3, 30)], GRID, cache=tmp_path / "file").nnz == 1
