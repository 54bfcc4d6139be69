# SPDX-License-Identifier: Apache-2.0
"""Geometry of maps: true distances, far parts told apart, Voronoi cells that hold their centers."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import shape as from_geojson

from mangrove.figures.geo import Point, Shape, panels, parts_of, path, project, voronoi_cells


def haversine_km(lon1, lat1, lon2, lat2):
    """Great-circle distance on the mean Earth radius: an independent check of the flat projection."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    h = (
        math.sin((p2 - p1) / 2) ** 2
        + math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    )
    return 2 * 6371.0088 * math.asin(math.sqrt(h))


def box(west, south, size=0.1):
    return {
        "type": "Polygon",
        "coordinates": [
            [
                [west, south],
                [west + size, south],
                [west + size, south + size],
                [west, south + size],
                [west, south],
            ]
        ],
    }


@pytest.mark.parametrize("end", [(106.9, 10.8), (106.7, 11.2), (106.4, 10.5)])
def test_flat_distances_across_a_city_are_true_to_half_a_percent(end):
    flat = project(np.array([[106.7, 10.78], end]), 10.78)
    assert np.hypot(*(flat[1] - flat[0])) == pytest.approx(haversine_km(106.7, 10.78, *end), rel=5e-3)


def test_a_far_island_is_a_panel_of_its_own_and_near_ones_are_not():
    main = [Shape(f"m{i}", "", box(106 + 0.1 * (i % 5), 10 + 0.1 * (i // 5))) for i in range(25)]
    near = Shape("n", "", box(106.52, 10.2, 0.03))
    far = Shape(
        "f",
        "",
        {
            "type": "MultiPolygon",
            "coordinates": [box(106.6, 8.7)["coordinates"], box(106.72, 8.7, 0.01)["coordinates"]],
        },
    )
    groups = panels(parts_of([*main, near, far]))
    assert [len(group.parts) for group in groups] == [26, 2]
    assert panels([]) == []


def test_many_scattered_islands_stay_on_one_map():
    shapes = [Shape(str(i), "", box(100 + 3 * i, 10, 0.01)) for i in range(8)]
    assert len(panels(parts_of(shapes))) == 1


def test_a_place_without_polygons_has_no_parts():
    shapes = [
        Shape("a", "", None),
        Shape("b", "", {"type": "Point", "coordinates": [1, 2]}),
        Shape("c", "", box(1, 2)),
    ]
    assert [part.owner for part in parts_of(shapes)] == [2]


def test_a_path_returns_to_the_pixels_that_went_in():
    polygon = shapely.box(0, 0, 10, 4)
    assert path([polygon], lambda xy: xy) == "M10,0l0,4 -10,0 0,-4z"
    assert path([shapely.box(1, 1, 1.001, 1.001)], lambda xy: xy) == "M1,1h.1z"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(106, 107), st.floats(10, 11)), min_size=1, max_size=25))
def test_every_center_gets_a_cell_and_cells_do_not_overlap(spots):
    cells = voronoi_cells([Point(str(i), "", lon, lat) for i, (lon, lat) in enumerate(spots)])
    shapes = [from_geojson(cell.geometry) for cell in cells]
    assert len(shapes) == len(spots)
    assert all(cell.schematic for cell in cells)
    union = shapely.union_all(shapely.buffer(shapes, 0)).area
    assert sum(s.area for s in shapes) == pytest.approx(union, rel=1e-3)


def test_a_cell_holds_its_center_and_nearer_ground_only():
    rng = np.random.default_rng(3)
    points = [
        Point(str(i), "", float(x), float(y))
        for i, (x, y) in enumerate(rng.uniform((106, 10), (106.5, 10.5), (60, 2)))
    ]
    for point, cell in zip(points, voronoi_cells(points), strict=True):
        outline = from_geojson(cell.geometry)
        assert outline.covers(shapely.Point(point.lon, point.lat))
        probe = outline.representative_point()
        nearest = min(points, key=lambda p: haversine_km(p.lon, p.lat, probe.x, probe.y))
        assert nearest.id == point.id


def test_a_known_outline_cuts_the_cells_exactly():
    outline = box(106, 10, 1.0)
    points = [Point("a", "", 106.2, 10.5), Point("b", "", 106.8, 10.5)]
    areas = [from_geojson(cell.geometry).area for cell in voronoi_cells(points, outline)]
    assert areas == pytest.approx([0.5, 0.5], rel=1e-6)


def test_a_center_without_coordinates_has_no_outline_rather_than_a_wrong_one():
    cells = voronoi_cells([Point("a", "A", math.nan, 10.0), Point("b", "B", 106.0, 10.0)])
    assert cells[0].geometry is None
    assert cells[1].geometry is not None
    assert voronoi_cells([]) == []
