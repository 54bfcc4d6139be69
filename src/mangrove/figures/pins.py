# SPDX-License-Identifier: Apache-2.0
"""Points on a map: sensors as small discs, located sources as numbered diamonds with the region that they lie in.

Comes in: pins in WGS84 degrees, and how a map lays degrees out. Goes out: SVG for the top of the map; a pin outside its frame is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mangrove.figures import svg
from mangrove.figures.palette import ALARM, INK, PAPER

Placer = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_SENSOR, _SOURCE = 3.4, 8.0


@dataclass(frozen=True, slots=True)
class Pin:
    """A point.

    Attributes:
        id: unique on the map; label: what it is, read out and shown as a tooltip; mark: written in a source, empty for a sensor.
        lon, lat: WGS84 degrees; ring: corners of the region that holds it with 95 %.
    """

    id: str
    label: str
    lon: float
    lat: float
    mark: str = ""
    ring: tuple[tuple[float, float], ...] = ()


def draw_pins(pins: Sequence[Pin], place: Placer, frame: tuple[float, float, float, float]) -> str:
    """The pins that lie inside `frame` (left, top, right, bottom in pixels), sensors below sources.

    Args:
        pins: the points.
        place: degrees (n, 2) to pixels (n, 2).
        frame: the drawn map.
    """
    left, top, right, bottom = frame
    parts = []
    for pin in sorted(pins, key=lambda one: bool(one.mark)):
        x, y = (float(part) for part in place(np.array([[pin.lon, pin.lat]]))[0])
        if left <= x <= right and top <= y <= bottom:
            parts.append(_source(pin, place, x, y) if pin.mark else _sensor(pin, x, y))
    return svg.tag("g", *parts) if parts else ""


def _sensor(pin: Pin, x: float, y: float) -> str:
    return svg.tag(
        "circle", svg.title(pin.label), cx=x, cy=y, r=_SENSOR, fill=INK, stroke=PAPER, stroke_width="1.4"
    )


def _source(pin: Pin, place: Placer, x: float, y: float) -> str:
    """The region, then the diamond with its mark; both say the same to a reader."""
    region = ""
    if pin.ring:
        corners = place(np.array(pin.ring, dtype=float))
        path = "M" + "L".join(f"{svg.num(float(a))},{svg.num(float(b))}" for a, b in corners) + "Z"
        region = svg.tag("path", d=path, fill=ALARM, fill_opacity="0.18", stroke=ALARM, stroke_width="1.2")
    size = _SOURCE
    corners_of = [(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
    shape = "M" + "L".join(f"{svg.num(a)},{svg.num(b)}" for a, b in corners_of) + "Z"
    diamond = svg.tag("path", d=shape, fill=ALARM, stroke=PAPER, stroke_width="1.2")
    mark = svg.label(x, y + 3.6, pin.mark, size=10, anchor="middle", bold=True, fill=PAPER)
    return svg.tag("g", svg.title(pin.label), region, diamond, mark, data_pin=pin.id)
