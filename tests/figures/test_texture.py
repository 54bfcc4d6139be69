# SPDX-License-Identifier: Apache-2.0
"""Textures are lines and dots that stay inside their areas and cover all of them."""

import re
from itertools import pairwise

import pytest
import shapely

from mangrove.figures.texture import marks

AREAS = [
    shapely.box(3, 5, 80, 60),
    shapely.Point(150, 40).buffer(25),
    shapely.box(300.2, 300.2, 300.4, 300.4),
]


def segments(drawn):
    """The lines of a texture as shapely lines."""
    (d,) = re.findall(r' d="([^"]*)"', drawn)
    found = []
    for x, y, step, rest in re.findall(r"M([-\d.]+),([-\d.]+)([hvl])([-\d.,]+)", d):
        start = (float(x), float(y))
        numbers = [float(v) for v in rest.split(",")]
        dx, dy = {"h": (numbers[0], 0), "v": (0, numbers[0]), "l": tuple(numbers[:2])}[step]
        found.append(shapely.LineString([start, (start[0] + dx, start[1] + dy)]))
    return found


@pytest.mark.parametrize("texture", ["stripes", "hatch", "grid", "dots"])
def test_marks_stay_inside_and_reach_everywhere(texture):
    lines = segments(marks(AREAS, texture, "#000000"))
    area = shapely.union_all(AREAS)
    assert len(lines) > 15
    assert all(area.buffer(0.3).covers(line) for line in lines)
    reach = shapely.union_all([line.buffer(9) for line in lines])
    assert reach.covers(shapely.union_all(AREAS[:2]))


def test_stripes_are_evenly_spaced_across():
    lines = segments(marks([shapely.box(0, 0, 100, 100)], "stripes", "#000000"))
    levels = sorted(line.coords[0][0] + line.coords[0][1] for line in lines)
    steps = {round((b - a) / 2**0.5, 1) for a, b in pairwise(levels)}
    assert steps <= {6.9, 7.0, 7.1}


def test_a_plain_texture_and_an_empty_area_draw_nothing():
    assert marks(AREAS, "plain", "#000000") == ""
    assert marks([], "stripes", "#000000") == ""
