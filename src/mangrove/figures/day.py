# SPDX-License-Identifier: Apache-2.0
"""Figures along the hours of a day: what comes in above zero and where it goes below, and lines with a band of what was expected.

Comes in: amounts on steps, each constant over its step, and stretches of hours with a name (prices). Goes out: SVG. Steps are drawn as
steps, because the amounts are means over them; a step without a number breaks its line and leaves a red mark on the axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby, pairwise

from mangrove.errors import RequestError
from mangrove.figures import numbers, svg
from mangrove.figures.axis import ticks
from mangrove.figures.palette import ALARM, CATEGORIES, GRID, INK, MUTED, category_colors, mix

_LEFT, _STRIP = 56.0, 15.0
_HOURS = (3, 6, 12, 24, 72, 168, 744, 8_784, 1_000_000)
"""Hours between two labels below a plot: the first with which they are few enough is taken."""
_MOST_HOURS = 26
_SHORT = 8
"""Hours that are short enough for a label at each of them."""
_SHADES = ("#e3eef9", "#f6f8f8", "#fbe3d3")
"""Behind hours of a low, a middle and a high price: light enough to leave the areas in front their colors."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours with a name, drawn behind the plot: `level` 0 (low), 1 (middle) or 2 (high) chooses the shade."""

    first: float
    last: float
    label: str
    level: int


def balance_areas(
    edges: Sequence[float],
    above: Mapping[str, Sequence[float]],
    below: Mapping[str, Sequence[float]],
    *,
    title: str,
    unit: str = "kW",
    behind: Sequence[Stretch] = (),
    colors: Mapping[str, str] | None = None,
    lang: str = "vi",
    width: float = 800,
    height: float = 280,
    heading: bool = True,
) -> str:
    """Stacked areas: sources above zero, uses below it, both in the order given from the axis outward.

    Args:
        edges: hours since midnight at which the steps begin, and the end of the last one.
        above: amounts by name, one a step, not negative.
        below: the same for uses; a balance is as high as it is deep.
        title: what is shown.
        unit: unit of the amounts.
        behind: stretches of hours with a name.
        colors: `#rrggbb` by name; names not in it get the next color of the palette.
        lang: `vi` or `en`.
        width: pixels.
        height: of the plot, pixels.
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.series_length` when a series has not one amount for each step.

    Example:
        >>> drawn = balance_areas([0, 1, 2], {"sun": [1, 2]}, {"load": [1, 2]}, title="t", lang="en")
        >>> drawn.count("<path")
        2
    """
    for name, amounts in (*above.items(), *below.items()):
        _same(name, amounts, len(edges) - 1)
    stacks = [_stacked(above, 1.0), _stacked(below, -1.0)]
    ends = [level for stack in stacks for _, lows, tops in stack for level in (*lows, *tops)]
    palette = category_colors((*above, *below)) | dict(colors or {})
    plane = _Plane(edges, ticks(min([0.0, *ends]), max([0.0, *ends]), 7), width, height, lang)
    hours = [last - first for first, last in pairwise(edges)]
    told = [
        f"{name}: {numbers.number(_sum(amounts, hours), lang)}"
        for name, amounts in (*above.items(), *below.items())
    ]
    label = numbers.unit_label(unit, lang)
    frame = svg.Frame(width, lang, title, label, f"{label} x h. " + "; ".join(told), heading)
    key, key_height = svg.legend(
        [(palette[name], name) for name in (*above, *below)], 0, frame.top + 6, width
    )
    plane.top = frame.top + 18 + key_height
    drawn = [_area(plane, name, lows, tops, palette[name]) for stack in stacks for name, lows, tops in stack]
    lost = [
        i
        for i in range(len(edges) - 1)
        if any(not numbers.is_number(a[i]) for a in (*above.values(), *below.values()))
    ]
    body = key + plane.behind(behind) + plane.grid() + "".join(drawn) + plane.zero() + plane.marks(lost)
    return frame.document(body + plane.clock(), plane.bottom + 24)


def band_lines(
    edges: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    title: str,
    unit: str = "kW",
    ribbon: tuple[str, Sequence[float], Sequence[float]] | None = None,
    behind: Sequence[Stretch] = (),
    until: float = math.inf,
    first: date | None = None,
    lang: str = "vi",
    width: float = 800,
    height: float = 170,
    heading: bool = True,
) -> str:
    """Lines over the hours of a day, with a ribbon (name, lower ends, upper ends) of what was expected.

    Args:
        edges: as in `balance_areas`.
        lines: amounts by name, one a step; NaN breaks the line. The first is drawn dark, the next in the colors of the palette.
        title: what is shown.
        unit: unit of the amounts.
        ribbon: drawn behind the lines.
        behind: stretches of hours with a name.
        until: steps from here on lie ahead: a line without a number there is not marked as lost.
        first: the day at hour 0; then midnights carry their date.
        lang: `vi` or `en`.
        width: pixels.
        height: of the plot, pixels.
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.series_length` when a series has not one amount for each step.

    Example:
        >>> drawn = band_lines([0, 1, 2], {"load": [1, 2]}, title="t", ribbon=("q10 to q90", [0, 1], [2, 3]), lang="en")
        >>> drawn.count("<path")
        2
    """
    extra = {} if ribbon is None else {f"{ribbon[0]} 1": ribbon[1], f"{ribbon[0]} 2": ribbon[2]}
    for name, amounts in (*lines.items(), *extra.items()):
        _same(name, amounts, len(edges) - 1)
    known = [a for amounts in (*lines.values(), *extra.values()) for a in amounts if numbers.is_number(a)]
    plane = _Plane(edges, ticks(min([0.0, *known]), max([0.0, *known])), width, height, lang, first=first)
    inks = dict(zip(lines, (INK, *CATEGORIES[1:]), strict=False))
    shade = mix(CATEGORIES[0], "#ffffff", 0.45)
    items = ([(shade, ribbon[0])] if ribbon else []) + [(inks[name], name) for name in lines]
    told = [f"{name}: {_reach(amounts, lang)}" for name, amounts in lines.items()]
    frame = svg.Frame(width, lang, title, numbers.unit_label(unit, lang), "; ".join(told), heading)
    key, key_height = svg.legend(items, 0, frame.top + 6, width)
    plane.top = frame.top + 18 + key_height
    drawn = _area(plane, ribbon[0], ribbon[1], ribbon[2], shade) if ribbon else ""
    drawn += "".join(_line(plane, name, amounts, inks[name]) for name, amounts in lines.items())
    lost = [
        i
        for i, edge in enumerate(edges[:-1])
        if edge < until and any(not numbers.is_number(a[i]) for a in lines.values())
    ]
    body = key + plane.behind(behind) + plane.grid() + drawn + plane.zero() + plane.marks(lost)
    return frame.document(body + plane.clock(), plane.bottom + 24)


@dataclass(slots=True)
class _Plane:
    """The plane: pixels for hours and amounts."""

    edges: Sequence[float]
    up: Sequence[float]
    width: float
    height: float
    lang: str
    top: float = 0.0
    first: date | None = None

    @property
    def bottom(self) -> float:
        """Where the axis of hours lies."""
        return self.top + self.height

    def x(self, hour: float) -> float:
        """Pixels from the left."""
        reach = (self.edges[-1] - self.edges[0]) or 1.0
        return _LEFT + (hour - self.edges[0]) / reach * (self.width - _LEFT)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return self.top + self.height * (1 - (value - self.up[0]) / (self.up[-1] - self.up[0]))

    def behind(self, stretches: Sequence[Stretch]) -> str:
        """Shades behind the plot, with their names in a strip above it where they fit."""
        parts = []
        for one in stretches:
            first, last = max(one.first, self.edges[0]), min(one.last, self.edges[-1])
            if last <= first:
                continue
            x, wide = self.x(first), self.x(last) - self.x(first)
            shade = _SHADES[min(max(one.level, 0), 2)]
            tip = f"{clock(one.first)}–{clock(one.last)}: {one.label}"
            parts.append(svg.rect(x, self.top - _STRIP, wide, self.height + _STRIP, shade, tip=tip))
            if svg.text_width(one.label, 10) + 6 <= wide:
                parts.append(
                    svg.label(x + wide / 2, self.top - 4, one.label, size=10, anchor="middle", fill=MUTED)
                )
        return "".join(parts)

    def grid(self) -> str:
        """Lines across with their numbers."""
        parts = []
        for mark in self.up:
            y = self.y(mark)
            parts.append(svg.line(_LEFT, y, self.width, y, GRID))
            shown = numbers.number(abs(mark), self.lang)
            parts.append(svg.label(_LEFT - 8, y + 4, shown, size=11, anchor="end", fill=MUTED))
        return "".join(parts)

    def zero(self) -> str:
        """The line of nothing, in front of the areas."""
        return svg.line(_LEFT, self.y(0.0), self.width, self.y(0.0), MUTED)

    def clock(self) -> str:
        """The hours below the plot, every three of them or each of a few; fewer over many days, which then begin with their date."""
        parts = []
        several = self.edges[-1] > 24  # noqa: PLR2004 - a day; then each one begins at 00:00
        reach = self.edges[-1] - self.edges[0]
        every = 1 if reach <= _SHORT else next(step for step in _HOURS if reach / step <= _MOST_HOURS)
        for hour in range(math.ceil(self.edges[0] / every) * every, math.floor(self.edges[-1]) + 1, every):
            x = self.x(hour)
            parts.append(svg.line(x, self.bottom, x, self.bottom + 4, MUTED))
            anchor = "end" if x > self.width - 12 else "middle"
            parts.append(
                svg.label(
                    x,
                    self.bottom + 16,
                    self._hour(hour, several=several),
                    size=11,
                    anchor=anchor,
                    fill=MUTED,
                )
            )
        return "".join(parts)

    def _hour(self, hour: int, *, several: bool) -> str:
        """An hour below the plot: the date at midnight where the first day is known."""
        if self.first is not None and hour % 24 == 0:
            return f"{self.first + timedelta(days=hour // 24):%d/%m}"
        return clock(hour % 24 if several else hour)

    def marks(self, lost: Sequence[int]) -> str:
        """Red dashes on the axis under steps without a number."""
        return "".join(
            svg.line(
                self.x(self.edges[i]),
                self.bottom,
                self.x(self.edges[i + 1]),
                self.bottom,
                ALARM,
                stroke_width=4,
            )
            for i in lost
        )


def clock(hour: float) -> str:
    """An hour since midnight as the clock shows it.

    Example:
        >>> clock(17.5), clock(24)
        ('17:30', '24:00')
    """
    minutes = round(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _same(name: str, amounts: Sequence[float], steps: int) -> None:
    if len(amounts) != steps:
        raise RequestError("figures.series_length", name=name, count=len(amounts), periods=steps)


def _sum(amounts: Sequence[float], hours: Sequence[float]) -> float:
    """The known amounts times the hours that they last."""
    return math.fsum(a * h for a, h in zip(amounts, hours, strict=True) if numbers.is_number(a))


def _stacked(
    series: Mapping[str, Sequence[float]], sign: float
) -> list[tuple[str, list[float], list[float]]]:
    """Name, inner and outer edge of each layer; a missing amount is a layer without thickness."""
    found = []
    inner = [0.0] * len(next(iter(series.values()), ()))
    for name, amounts in series.items():
        outer = [
            base + (sign * max(float(amount), 0.0) if numbers.is_number(amount) else 0.0)
            for base, amount in zip(inner, amounts, strict=True)
        ]
        found.append((name, inner, outer))
        inner = outer
    return found


def _area(plane: _Plane, name: str, lows: Sequence[float], tops: Sequence[float], color: str) -> str:
    """The area between two staircases, in pieces where one of them has no number or there is nothing between them."""
    parts = []
    thick = [
        numbers.is_number(a) and numbers.is_number(b) and a != b for a, b in zip(lows, tops, strict=True)
    ]
    for drawn, run in groupby(range(len(thick)), key=thick.__getitem__):
        steps = list(run)
        if drawn:
            there = _stairs(plane, tops, steps)
            back = list(reversed(_stairs(plane, lows, steps)))
            path = "M" + "L".join(f"{svg.num(x)},{svg.num(y)}" for x, y in (*there, *back)) + "Z"
            parts.append(svg.tag("path", svg.title(name), d=path, fill=color))
    return "".join(parts)


def _line(plane: _Plane, name: str, amounts: Sequence[float], color: str) -> str:
    parts = []
    for drawn, run in groupby(range(len(amounts)), key=lambda i: numbers.is_number(amounts[i])):
        if drawn:
            spots = "L".join(f"{svg.num(x)},{svg.num(y)}" for x, y in _stairs(plane, amounts, list(run)))
            parts.append(
                svg.tag("path", svg.title(name), d=f"M{spots}", fill="none", stroke=color, stroke_width="1.6")
            )
    return "".join(parts)


def _stairs(plane: _Plane, levels: Sequence[float], steps: Sequence[int]) -> list[tuple[float, float]]:
    """Corners of a staircase; corners inside a flat stretch are left out."""
    found: list[tuple[float, float]] = []
    for step in steps:
        y = plane.y(levels[step])
        begin, end = plane.x(plane.edges[step]), plane.x(plane.edges[step + 1])
        if found and found[-1][1] == y:
            found[-1] = (end, y)
        else:
            found += [(begin, y), (end, y)]
    return found


def _reach(amounts: Sequence[float], lang: str) -> str:
    known = [a for a in amounts if numbers.is_number(a)]
    if not known:
        return numbers.no_data(lang)
    return f"{numbers.number(min(known), lang)} – {numbers.number(max(known), lang)}"
