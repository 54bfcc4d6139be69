# SPDX-License-Identifier: Apache-2.0
"""Random shapes for the tests of the gridding room, and the exact shares that GEOS finds for them."""

import math
from fractions import Fraction

import numpy as np
import shapely
from hypothesis import strategies as st

from mangrove.gridding import Grid

GRID = Grid(-30.0, 10.0, 10.0, 7.0, 9, 8)
"""Oblong cells; the shapes below lie in it, across its edges, and beside it."""
NUMBERS = st.floats(-80, 120, allow_nan=False).map(lambda x: round(x, 3))
LATTICE = st.integers(-8, 12).map(lambda i: i * 5.0)
"""Coordinates that often fall on lines and corners of the grid."""
PLACES = st.tuples(NUMBERS | LATTICE, NUMBERS | LATTICE)


@st.composite
def rings(draw):
    """A star-shaped ring around a place, in either direction, of three to eleven corners."""
    x, y = draw(PLACES)
    turns = sorted(draw(st.sets(st.integers(0, 359), min_size=3, max_size=11)))
    radii = [draw(st.floats(0.01, 60)) for _ in turns]
    ring = [
        (x + r * math.cos(math.radians(t)), y + r * math.sin(math.radians(t)))
        for t, r in zip(turns, radii, strict=True)
    ]
    return ring if draw(st.booleans()) else ring[::-1]


@st.composite
def polygons(draw):
    """A valid polygon, with a hole or of several parts as it happens."""
    shape = shapely.make_valid(shapely.Polygon(draw(rings())))
    if draw(st.booleans()):
        other = shapely.make_valid(shapely.Polygon(draw(rings())))
        shape = draw(st.sampled_from([shapely.difference, shapely.union]))(shape, other)
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1e-3]
    return shapely.MultiPolygon(parts) if len(parts) > 1 else parts[0] if parts else shapely.box(0, 20, 3, 29)


def lines():
    """A line of two to six corners, or two of them."""
    single = st.lists(PLACES, min_size=2, max_size=6, unique=True).map(shapely.LineString)
    return single | st.tuples(single, single).map(lambda pair: shapely.MultiLineString(list(pair)))


def exact(shape, cells):
    """Shares by intersection with each cell, computed by GEOS; of lines edge by edge, for GEOS counts what runs twice once."""
    if shape.area:
        return shapely.area(shapely.intersection(shape, cells)) / shape.area
    corners = [shapely.get_coordinates(part) for part in shapely.get_parts(shape)]
    edges = np.concatenate([np.stack([xy[:-1], xy[1:]], axis=1) for xy in corners])
    pieces = shapely.intersection(shapely.linestrings(edges)[:, None], cells[None, :])
    return shapely.length(pieces).sum(axis=0) / shape.length


def dense(matrix):
    """A sparse matrix as an array."""
    return np.asarray(matrix.toarray())


def exact_rational(corners, west, south, east, north):
    """Share of a polygon without holes in a box, in rational arithmetic: clipped at the four sides (Sutherland and Hodgman)."""
    ring = [(Fraction(x), Fraction(y)) for x, y in corners]
    kept = ring
    for axis, side, sign in ((0, west, 1), (0, east, -1), (1, south, 1), (1, north, -1)):
        kept = list(_clipped(kept, axis, Fraction(side), sign))
    return float(_area(kept) / _area(ring))


def _clipped(ring, axis, side, sign):
    for a, b in zip(ring, [*ring[1:], *ring[:1]], strict=True):
        inside_a, inside_b = sign * (a[axis] - side) >= 0, sign * (b[axis] - side) >= 0
        if inside_a:
            yield a
        if inside_a != inside_b:
            t = (side - a[axis]) / (b[axis] - a[axis])
            yield tuple(p + t * (q - p) for p, q in zip(a, b, strict=True))


def _area(ring):
    pairs = zip(ring, [*ring[1:], *ring[:1]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs))
