# SPDX-License-Identifier: Apache-2.0
"""Textures of large areas as real lines and dots, clipped to the areas.

Comes in: polygons in pixels and the name of a texture. Goes out: SVG paths. A pattern fill would look the same on a
screen, but printers and PDF writers turn each patterned area into a bitmap; lines stay sharp and small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from mangrove.figures import svg

_STEP = 7.0


def marks(polygons: Sequence[shapely.Polygon], texture: str, ink: str, *, strength: float = 0.6) -> str:
    """The marks of `texture` (`stripes`, `hatch`, `grid`, `dots`) inside `polygons`, one path; empty for `plain`."""
    area = shapely.union_all(shapely.buffer(shapely.simplify(np.asarray(polygons, object), 0.3), 0))
    if texture == "plain" or area.is_empty:
        return ""
    if texture == "dots":
        return svg.tag(
            "path", d=_dots(area), fill="none", stroke=ink, stroke_width="2.2", stroke_linecap="round",
            stroke_opacity=f"{strength}",
        )  # fmt: skip
    width = "1.4" if texture == "hatch" else "1"
    return svg.tag(
        "path",
        d=_lines(area, texture),
        fill="none",
        stroke=ink,
        stroke_width=width,
        stroke_opacity=f"{strength}",
    )


def _lines(area: shapely.Geometry, texture: str) -> str:
    """Parallel lines, cut by the outline; a grid has two sets."""
    west, south, east, north = area.bounds
    if texture == "grid":
        runs = [((x, south), (x, north)) for x in _levels(west, east)]
        runs += [((west, y), (east, y)) for y in _levels(south, north)]
    else:
        slope = 1.0 if texture == "hatch" else -1.0
        # y = slope * x + c, a step of sqrt(2) along y is one step across the lines
        offsets = sorted(
            (south - slope * east, south - slope * west, north - slope * east, north - slope * west)
        )
        levels = _levels(offsets[0], offsets[-1], _STEP * 2**0.5)
        runs = [((west, slope * west + c), (east, slope * east + c)) for c in levels]
    if not runs:
        return "M0,0"
    cut = shapely.intersection(shapely.multilinestrings([shapely.linestrings(runs)])[0], area)
    segments = [part for part in shapely.get_parts(cut) if part.geom_type == "LineString"]
    return "".join(_segment(part) for part in segments) or "M0,0"


def _segment(part: shapely.LineString) -> str:
    (x1, y1), (x2, y2) = part.coords[0], part.coords[-1]
    start = f"M{svg.num(x1)},{svg.num(y1)}"
    across, down = svg.num(x2 - x1), svg.num(y2 - y1)
    if across == "0":
        return f"{start}v{down}"
    return f"{start}h{across}" if down == "0" else f"{start}l{across},{down}"


def _dots(area: shapely.Geometry) -> str:
    """Dots on a staggered grid of the whole page, so that neighbors continue each other."""
    west, south, east, north = area.bounds
    spots = [
        (x + (_STEP / 2 if round(y / _STEP) % 2 else 0.0), y)
        for y in _levels(south, north)
        for x in _levels(west, east)
    ]
    shapely.prepare(area)
    inside = [spot for spot in spots if shapely.contains_xy(area, *spot)]
    return "".join(f"M{svg.num(x)},{svg.num(y)}h0" for x, y in inside) or "M0,0"


def _levels(low: float, high: float, step: float = _STEP) -> list[float]:
    """Multiples of `step` between two limits."""
    return [index * step for index in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
