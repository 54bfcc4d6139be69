# SPDX-License-Identifier: Apache-2.0
"""Wedges: what each action takes from a baseline, year by year, down to what is left.

Comes in: a baseline by year and the reduction of each action. Goes out: SVG. Reductions hang from the baseline in the order given; an
action that raises emissions stands on top of it. Each wedge is named at its right end with its amount in the last year, so that nobody
has to match colors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures import numbers, svg
from mangrove.figures.axis import ticks
from mangrove.figures.palette import ALARM, CATEGORIES, GRID, INK, MUTED, PAPER, Fills, category_colors, mix

_LEFT, _LINE = 64.0, 15.0
_LEFTOVER = mix(CATEGORIES[1], PAPER, 0.82)
_MOST_YEARS = 12

Strip = tuple[str, list[float], list[float]]


def wedges(
    years: Sequence[int],
    baseline: Sequence[float],
    actions: Mapping[str, Sequence[float]],
    *,
    title: str,
    unit: str = "t CO2e",
    targets: Mapping[int, float] | None = None,
    basis: Mapping[str, str] | None = None,
    lang: str = "vi",
    width: float = 800,
    height: float = 300,
    heading: bool = True,
) -> str:
    """A baseline, the wedges that actions cut from it, and what is left.

    Args:
        years: calendar years, rising.
        baseline: amounts without the actions, one a year; NaN where it is not known.
        actions: reductions by name, one a year; negative ones raise the amount.
        title: what is shown.
        unit: unit of the amounts.
        targets: wanted amounts by year, drawn as marks.
        basis: how each action's number came about, by name: drawn as a texture.
        lang: `vi` or `en`.
        width: pixels.
        height: of the plot, pixels.
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.series_length` when a series has not one amount for each year.

    Example:
        >>> drawn = wedges([2025, 2030], [10, 12], {"sun": [0, 3]}, title="t", lang="en", targets={2030: 8})
        >>> "sun: −3 t" in drawn, "2030: 8 t" in drawn
        (True, True)
    """
    for name, amounts in (("baseline", baseline), *actions.items()):
        if len(amounts) != len(years):
            raise RequestError("figures.series_length", name=name, count=len(amounts), periods=len(years))
    known = [all(numbers.is_number(a[i]) for a in (baseline, *actions.values())) for i in range(len(years))]
    strips = list(_strips(baseline, actions, known))
    targets = {year: amount for year, amount in (targets or {}).items() if numbers.is_number(amount)}
    reach = [v for _, lows, tops in strips for v in (*lows, *tops) if math.isfinite(v)]
    reach += [*targets.values(), 0.0]
    scaling = numbers.scale(max(map(abs, reach)), unit, lang)
    palette = category_colors(actions)
    words = [_told(strip[0], actions, baseline, known, scaling) for strip in strips]
    short = [_told(strip[0], actions, baseline, known, scaling, unit=False) for strip in strips]
    right = width - min(max((svg.text_width(text, 11) for text in short), default=0.0) + 22, width * 0.42)
    span = [*years, *targets] or [0]
    up = ticks(min(reach) / scaling.divisor, max(reach) / scaling.divisor)
    plane = _Plane((min(span), max(span)), up, right, height, scaling)
    marks = [f"{year}: {scaling.full(amount)}" for year, amount in sorted(targets.items())]
    told = "; ".join(words + [f"{messages.render('figures.target', lang)} {mark}" for mark in marks])
    frame = svg.Frame(width, lang, title, scaling.label, told or numbers.no_data(lang), heading)
    plane.top = frame.top + 14
    fills = Fills()
    tints = [fills.fill(palette.get(s[0], _LEFTOVER), (basis or {}).get(s[0], "")) for s in strips]
    body = plane.grid(years)
    for strip, fill, tip in zip(strips, tints, words, strict=True):
        body += _area(plane, years, strip, fill, tip)
    body += _net(plane, years, baseline, actions, known) + _top(plane, years, baseline)
    body += plane.lost(years, known) + _names(plane, strips, short, tints, width)
    body += "".join(_target(plane, year, amount) for year, amount in sorted(targets.items()))
    textures = svg.textures(fills, _LEFTOVER, set((basis or {}).values()), lang)
    lines = [(INK, messages.render("figures.baseline", lang))]
    key, key_height = svg.legend(lines + textures, _LEFT, plane.bottom + 30, width - _LEFT)
    return frame.document(body + key, plane.bottom + 30 + key_height, fills)


def _strips(
    baseline: Sequence[float], actions: Mapping[str, Sequence[float]], known: Sequence[bool]
) -> Iterator[Strip]:
    """Name, lower and upper edge of each wedge, then of what is left (with an empty name); NaN in years not known.

    Rises stand on the baseline and reductions hang from it. What is left lies below the wedges, together with the rises.
    """
    start = np.where(known, np.asarray(baseline, float), np.nan)
    edge = start
    for name, amounts in actions.items():
        rise = np.maximum(-np.asarray(amounts, float), 0.0)
        if np.any(rise[list(known)] > 0):
            yield name, edge.tolist(), (edge + rise).tolist()
            edge = edge + rise
    edge = start
    for name, amounts in actions.items():
        cut = np.maximum(np.asarray(amounts, float), 0.0)
        if np.any(cut[list(known)] > 0):
            yield name, (edge - cut).tolist(), edge.tolist()
            edge = edge - cut
    yield "", np.where(known, 0.0, np.nan).tolist(), edge.tolist()


def _told(
    name: str,
    actions: Mapping[str, Sequence[float]],
    baseline: Sequence[float],
    known: Sequence[bool],
    scaling: numbers.Scale,
    *,
    unit: bool = True,
) -> str:
    """A wedge, or what is left, with its amount in the last year that is known."""
    write = scaling.full if unit else scaling.text
    last = next((i for i in reversed(range(len(known))) if known[i]), None)
    label = name or messages.render("figures.left_over", scaling.lang)
    if last is None:
        return f"{label}: {numbers.no_data(scaling.lang)}"
    if name:
        change = -actions[name][last]
        return f"{label}: {'+' if change > 0 else ''}{write(change)}"
    return f"{label}: {write(baseline[last] - math.fsum(a[last] for a in actions.values()))}"


@dataclass(slots=True)
class _Plane:
    """The plane: pixels for years and amounts."""

    span: tuple[int, int]
    up: Sequence[float]
    right: float
    height: float
    scaling: numbers.Scale
    top: float = 0.0

    @property
    def bottom(self) -> float:
        """Where the axis of years lies."""
        return self.top + self.height

    def x(self, year: float) -> float:
        """Pixels from the left."""
        return _LEFT + (year - self.span[0]) / ((self.span[1] - self.span[0]) or 1) * (self.right - _LEFT)

    def y(self, value: float) -> float:
        """Pixels from above."""
        share = (value / self.scaling.divisor - self.up[0]) / (self.up[-1] - self.up[0])
        return self.top + self.height * (1 - share)

    def grid(self, years: Sequence[int]) -> str:
        """Lines across with their numbers, and the years below."""
        parts = []
        for mark in self.up:
            y = self.y(mark * self.scaling.divisor)
            parts.append(svg.line(_LEFT, y, self.right, y, GRID if mark else MUTED))
            shown = numbers.number(mark, self.scaling.lang, digits=5)
            parts.append(svg.label(_LEFT - 8, y + 4, shown, size=11, anchor="end", fill=MUTED))
        step = max(1, math.ceil(len(years) / _MOST_YEARS))
        for year in [*years[:-1:step], *years[-1:]]:
            x = self.x(year)
            parts.append(svg.line(x, self.bottom, x, self.bottom + 4, MUTED))
            parts.append(svg.label(x, self.bottom + 16, str(year), size=11, anchor="middle", fill=MUTED))
        return "".join(parts)

    def lost(self, years: Sequence[int], known: Sequence[bool]) -> str:
        """Red dots on the axis under years in which an amount is missing."""
        return "".join(
            svg.tag(
                "circle",
                svg.title(f"{year}: {numbers.no_data(self.scaling.lang)}"),
                cx=svg.num(self.x(year)),
                cy=svg.num(self.bottom),
                r=4,
                fill=ALARM,
            )
            for year, ok in zip(years, known, strict=True)
            if not ok
        )


def _runs(levels: Sequence[float]) -> Iterator[list[int]]:
    """Stretches of years with a number."""
    for drawn, run in groupby(range(len(levels)), key=lambda i: math.isfinite(levels[i])):
        if drawn:
            yield list(run)


def _path(plane: _Plane, spots: Sequence[tuple[int, float]]) -> str:
    return "M" + "L".join(f"{svg.num(plane.x(x))},{svg.num(plane.y(y))}" for x, y in spots)


def _area(plane: _Plane, years: Sequence[int], strip: Strip, fill: str, tip: str) -> str:
    """The area between two lines, in pieces where a year has no number."""
    _, lows, tops = strip
    parts = []
    for run in _runs(tops):
        there = [(years[i], tops[i]) for i in run]
        back = [(years[i], lows[i]) for i in reversed(run)]
        path = _path(plane, [*there, *back]) + "Z"
        parts.append(svg.tag("path", svg.title(tip), d=path, fill=fill, stroke=PAPER, stroke_width="0.8"))
    return "".join(parts)


def _top(plane: _Plane, years: Sequence[int], baseline: Sequence[float]) -> str:
    """The baseline as a dark line."""
    name = svg.title(messages.render("figures.baseline", plane.scaling.lang))
    return "".join(
        svg.tag(
            "path", name, d=_path(plane, [(years[i], baseline[i]) for i in run]), fill="none", stroke=INK,
            stroke_width="2",
        )
        for run in _runs(baseline)
    )  # fmt: skip


def _net(
    plane: _Plane,
    years: Sequence[int],
    baseline: Sequence[float],
    actions: Mapping[str, Sequence[float]],
    known: Sequence[bool],
) -> str:
    """A dashed line at what is left in all, where rises make that more than what lies below the wedges."""
    if not any(amount < 0 for amounts in actions.values() for amount in amounts):
        return ""
    left = [
        baseline[i] - math.fsum(a[i] for a in actions.values()) if ok else math.nan
        for i, ok in enumerate(known)
    ]
    name = svg.title(messages.render("figures.left_over", plane.scaling.lang))
    drawn = {"fill": "none", "stroke": INK, "stroke_width": "1.5", "stroke_dasharray": "5 3"}
    return "".join(
        svg.tag("path", name, d=_path(plane, [(years[i], left[i]) for i in run]), **drawn)
        for run in _runs(left)
    )


def _names(
    plane: _Plane, strips: Sequence[Strip], words: Sequence[str], tints: Sequence[str], width: float
) -> str:
    """The names right of the wedges, in their order, moved apart where they would touch."""
    middles = []
    for _, lows, tops in strips:
        last = next((i for i in reversed(range(len(tops))) if math.isfinite(tops[i])), None)
        middles.append(plane.bottom if last is None else plane.y((lows[last] + tops[last]) / 2))
    order = sorted(range(len(strips)), key=lambda i: (middles[i], i))
    parts, floor = [], plane.top
    room = max(plane.bottom - (len(strips) - 1) * _LINE, plane.top)
    for rank, i in enumerate(order):
        y = max(min(middles[i], room + rank * _LINE), floor)
        floor = y + _LINE
        parts.append(svg.rect(plane.right + 6, y - 4.5, 9, 9, tints[i], stroke=MUTED, stroke_width="0.5"))
        parts.append(svg.label(plane.right + 18, y + 4, words[i], size=11, limit=width - plane.right - 18))
    return "".join(parts)


def _target(plane: _Plane, year: int, amount: float) -> str:
    """A diamond where the amount is wanted, with its number."""
    x, y = plane.x(year), plane.y(amount)
    tip = f"{messages.render('figures.target', plane.scaling.lang)} {year}: {plane.scaling.full(amount)}"
    path = f"M{svg.num(x)},{svg.num(y - 6)}l6,6l-6,6l-6,-6Z"
    drawn = svg.tag("path", svg.title(tip), d=path, fill=PAPER, stroke=ALARM, stroke_width="2")
    words = f"{year}: {plane.scaling.full(amount)}"
    return drawn + svg.label(x - 9, y + 4, words, size=11, anchor="end", fill=ALARM, halo=True)
