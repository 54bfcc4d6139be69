# SPDX-License-Identifier: Apache-2.0
"""Figures of two amounts against each other: a frontier from one wish to another, such as cost against carbon.

Comes in: points with two amounts and a name. Goes out: SVG with both axes, the line through the points, and a tooltip at each.
Axes begin where the points do, not at zero, and the figure says so: the line shows a trade, not a size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.axis import ticks
from mangrove.figures.palette import CATEGORIES, GRID, INK, MUTED, PAPER

_HEIGHT, _LEFT, _RIGHT, _BELOW, _RADIUS = 260.0, 78.0, 24.0, 46.0, 5.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a frontier.

    Attributes:
        x, y: amounts.
        label: its name, drawn beside it; empty for none.
        note: what a tooltip adds ("battery: 400 kWh").
        strong: whether it is filled with another color (today, the plan that was chosen).
    """

    x: float
    y: float
    label: str = ""
    note: str = ""
    strong: bool = False


def frontier(
    spots: Sequence[Spot],
    *,
    title: str,
    across: tuple[str, str],
    up: tuple[str, str],
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """A line through points in the order of their first amount; strong points stand beside the line.

    Args:
        spots: the points; those with an amount that is not a number are named in the description, not drawn.
        title: what is shown.
        across: name and unit of the first amount ("emissions", "t CO2e").
        up: name and unit of the second amount.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> drawn = frontier([Spot(2, 1), Spot(1, 3)], title="t", across=("a", "kWh"), up=("b", "m3"), lang="en")
        >>> drawn.count("<circle")
        2
    """
    known = [spot for spot in spots if math.isfinite(spot.x) and math.isfinite(spot.y)]
    scales = [
        numbers.scale(max((abs(v) for v in amounts), default=None), unit, lang)
        for amounts, (_, unit) in (([s.x for s in known], across), ([s.y for s in known], up))
    ]
    plane = _Plane(
        _marks([spot.x / scales[0].divisor for spot in known]),
        _marks([spot.y / scales[1].divisor for spot in known]),
        width,
        *scales,
    )
    told = [_told(spot, across[0], up[0], plane) for spot in known]
    lost = [spot.label or "?" for spot in spots if spot not in known]
    summary = "; ".join(told + ([f"{', '.join(lost)}: {numbers.no_data(lang)}"] if lost else []))
    subtitle = f"{up[0]} ({scales[1].label})"
    frame = svg.Frame(width, lang, title, subtitle, summary or numbers.no_data(lang), heading)
    top = frame.top + 14
    body = plane.axes(top, f"{across[0]} ({scales[0].label})") + _line(known, plane, top)
    body += "".join(_spot(spot, tip, plane, top) for spot, tip in zip(known, told, strict=True))
    note = messages.render("figures.not_from_zero", lang)
    body += svg.label(0, top + _HEIGHT + _BELOW, note, size=11, fill=MUTED)
    return frame.document(body, top + _HEIGHT + _BELOW + 8)


@dataclass(frozen=True, slots=True)
class _Plane:
    """The plane of the points: pixels for amounts."""

    across: Sequence[float]
    up: Sequence[float]
    width: float
    x_scale: numbers.Scale
    y_scale: numbers.Scale

    def x(self, value: float) -> float:
        """Pixels from the left."""
        share = (value / self.x_scale.divisor - self.across[0]) / (self.across[-1] - self.across[0])
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float, top: float) -> float:
        """Pixels from above."""
        return top + _HEIGHT * (1 - (value / self.y_scale.divisor - self.up[0]) / (self.up[-1] - self.up[0]))

    def axes(self, top: float, words: str) -> str:
        """Grid lines, their numbers, and the name of the amount across."""
        lang, parts = self.x_scale.lang, []
        for mark in self.up:
            y = self.y(mark * self.y_scale.divisor, top)
            parts.append(svg.line(_LEFT, y, self.width - _RIGHT, y, GRID))
            shown = numbers.number(mark, lang, digits=5)
            parts.append(svg.label(_LEFT - 8, y + 4, shown, size=11, anchor="end", fill=MUTED))
        for mark in self.across:
            x = self.x(mark * self.x_scale.divisor)
            parts.append(svg.line(x, top, x, top + _HEIGHT, GRID))
            shown = numbers.number(mark, lang, digits=5)
            parts.append(svg.label(x, top + _HEIGHT + 15, shown, size=11, anchor="middle", fill=MUTED))
        parts.append(
            svg.label(self.width - _RIGHT, top + _HEIGHT + 31, words, size=12, anchor="end", fill=MUTED)
        )
        return "".join(parts)


def _marks(values: Sequence[float]) -> list[float]:
    """Round numbers around the values, at least two."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high - low <= abs(high) * 1e-9:
        low, high = low - max(abs(low) * 0.05, 0.5), high + max(abs(high) * 0.05, 0.5)
    return ticks(low, high)


def _told(spot: Spot, across: str, up: str, plane: _Plane) -> str:
    """A point in words."""
    name = f"{spot.label}: " if spot.label else ""
    note = f"; {spot.note}" if spot.note else ""
    x, y = plane.x_scale.full(spot.x, digits=4), plane.y_scale.full(spot.y, digits=4)
    return f"{name}{across} {x}, {up} {y}{note}"


def _line(spots: Sequence[Spot], plane: _Plane, top: float) -> str:
    ordered = sorted((spot.x, spot.y) for spot in spots if not spot.strong)
    if len(ordered) < 2:  # noqa: PLR2004  a line has two ends
        return ""
    path = "L".join(f"{svg.num(plane.x(x))},{svg.num(plane.y(y, top))}" for x, y in ordered)
    return svg.tag("path", d=f"M{path}", fill="none", stroke=CATEGORIES[0], stroke_width="2")


def _spot(spot: Spot, tip: str, plane: _Plane, top: float) -> str:
    x, y = plane.x(spot.x), plane.y(spot.y, top)
    fill = CATEGORIES[3] if spot.strong else CATEGORIES[0]
    drawn = svg.tag(
        "circle", svg.title(tip), cx=svg.num(x), cy=svg.num(y), r=svg.num(_RADIUS), fill=fill, stroke=PAPER
    )
    if not spot.label:
        return drawn
    right = x < plane.width * 0.7
    anchor, offset = ("start", 9.0) if right else ("end", -9.0)
    return drawn + svg.label(x + offset, y - 6, spot.label, size=11, anchor=anchor, fill=INK, halo=True)
