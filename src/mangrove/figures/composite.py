# SPDX-License-Identifier: Apache-2.0
"""Temperature-heat diagrams: composite curves, the grand composite curve, and site profiles.

Comes in: points of curves as plain numbers (heat, temperature), utilities and pinches. Goes out: SVG. What is hot is drawn in one color and
solid, what is cold in another and dashed, so that a gray print still tells them apart. Heat between the curves that stand above
each other is recovered; where only one stands, a utility works, and its amount is written there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.axis import ticks
from mangrove.figures.palette import ALARM, CATEGORIES, GRID, INK, MUTED, PAPER, mix

_LEFT, _RIGHT, _HEIGHT, _BELOW = 62.0, 24.0, 300.0, 40.0
_HOT, _COLD, _FREE = CATEGORIES[3], CATEGORIES[1], CATEGORIES[0]
_DASH = "7 4"
Points = tuple[Sequence[float], Sequence[float]]
"""Heat and temperature, point by point."""


@dataclass(frozen=True, slots=True)
class UtilityStep:
    """A utility of a grand composite curve or a site profile.

    Attributes:
        label: its name.
        heat: how much it gives or takes.
        upper, lower: its temperatures; the same for steam.
        heats: whether it gives heat.
    """

    label: str
    heat: float
    upper: float
    lower: float
    heats: bool


def composite_curves(
    hot: Points,
    cold: Points,
    *,
    title: str,
    unit: str = "kW",
    pinches: Sequence[tuple[float, float]] = (),
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """Hot and cold composite curve at real temperatures.

    Args:
        hot: heat and temperature of the streams that give heat; heat from 0 up.
        cold: of those that take it; heat begins at the cold utility.
        title: what is shown.
        unit: unit of the heat flows.
        pinches: temperatures of the hot and the cold side at each pinch.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> drawn = composite_curves(([0, 30], [40, 90]), ([10, 60], [20, 80]), title="t", lang="en")
        >>> "hot utility: 30 kW" in drawn and "cold utility: 10 kW" in drawn
        True
    """
    hot, cold = _finite(hot), _finite(cold)
    plane = _plane([*hot[0], *cold[0], 0.0], [*hot[1], *cold[1]], unit, width, lang)
    ends = {"hot": (hot[0][-1] if hot[0] else 0.0), "cold": (cold[0][-1] if cold[0] else 0.0)}
    needs = (ends["cold"] - ends["hot"], cold[0][0] if cold[0] else ends["hot"])
    shared = ends["hot"] - needs[1]
    told = [_said(word, amount, plane) for word, amount in zip(("hot", "cold", "recovered"), (*needs, shared), strict=True)]  # fmt: skip
    told += [_pinch_words(pair, lang) for pair in pinches]
    frame = svg.Frame(width, lang, title, _axis(lang), "; ".join(told), heading)
    key, key_height = _key(("hot_curve", "cold_curve"), frame.top + 6, lang)
    plane.top = frame.top + 16 + key_height
    body = key + plane.axes() + _between(needs[1], ends["hot"], told[2], plane)
    body += _line(cold, plane, _COLD, _DASH) + _line(hot, plane, _HOT)
    body += "".join(_pinch(pair, hot, plane) for pair in pinches)
    body += _reach(needs[1], 0.0, told[1], plane, _COLD) + _reach(
        ends["hot"], ends["cold"], told[0], plane, _HOT
    )
    return frame.document(body, plane.top + _HEIGHT + _BELOW)


def grand_composite(
    curve: Points,
    *,
    title: str,
    utilities: Sequence[UtilityStep] = (),
    unit: str = "kW",
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """The grand composite curve at shifted temperatures, with utilities as steps beside it.

    Args:
        curve: heat that passes each level, and the level, from cold to hot.
        title: what is shown.
        utilities: at shifted temperatures; those that heat are drawn from the pinch upward, those that cool downward.
        unit: unit of the heat flows.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> drawn = grand_composite(([60, 0, 20], [25, 85, 145]), title="t", lang="en")
        >>> drawn.count("<path")
        1
    """
    curve = _finite(curve)
    steps = [one for one in utilities if one.heat > 0 and math.isfinite(one.heat + one.upper + one.lower)]
    temperatures = [*curve[1], *(t for one in steps for t in (one.upper, one.lower))]
    plane = _plane([*curve[0], 0.0], temperatures, unit, width, lang)
    told = [f"{one.label}: {plane.scale.full(one.heat)}" for one in steps]
    ends = [_said(word, curve[0][at], plane) for word, at in (("hot", -1), ("cold", 0)) if curve[0]]
    frame = svg.Frame(width, lang, title, _axis(lang, shifted=True), "; ".join([*ends, *told]), heading)
    words = ("grand_curve", *(w for w, side in (("heats", True), ("cools", False)) if any(s.heats is side for s in steps)))  # fmt: skip
    key, key_height = _key(words, frame.top + 6, lang)
    plane.top = frame.top + 16 + key_height
    body = key + plane.axes() + _line(curve, plane, _FREE) + _steps(steps, plane, 1.0)
    return frame.document(body, plane.top + _HEIGHT + _BELOW)


def site_profile(
    source: Points,
    sink: Points,
    *,
    title: str,
    utilities: Sequence[UtilityStep] = (),
    unit: str = "kW",
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """Heat that plants want to lose (to the left) and to get (to the right), with the mains between them.

    Args:
        source: heat from 0 up and shifted temperature.
        sink: likewise.
        title: what is shown.
        utilities: at shifted temperatures; those that heat stand on the right.
        unit: unit of the heat flows.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> drawn = site_profile(([0, 60], [25, 85]), ([0, 20], [85, 145]), title="t", lang="en")
        >>> drawn.count("<path")
        2
    """
    source, sink = _finite(source), _finite(sink)
    steps = [one for one in utilities if one.heat > 0 and math.isfinite(one.heat + one.upper + one.lower)]
    left = ([-(source[0][-1] - heat) for heat in source[0]], source[1])
    temperatures = [*source[1], *sink[1], *(t for one in steps for t in (one.upper, one.lower))]
    plane = _plane([*left[0], *sink[0], 0.0], temperatures, unit, width, lang)
    told = [_said(word, line[0][-1], plane) for word, line in (("source", source), ("sink", sink)) if line[0]]
    told += [f"{one.label}: {plane.scale.full(one.heat)}" for one in steps]
    frame = svg.Frame(width, lang, title, _axis(lang, shifted=True), "; ".join(told), heading)
    key, key_height = _key(("source_curve", "sink_curve"), frame.top + 6, lang)
    plane.top = frame.top + 16 + key_height
    zero = svg.line(plane.x(0.0), plane.top, plane.x(0.0), plane.top + _HEIGHT, MUTED)
    body = key + plane.axes() + zero + _line(left, plane, _HOT) + _line(sink, plane, _COLD, _DASH)
    body += _steps([one for one in steps if one.heats], plane, 1.0)
    body += _steps([one for one in steps if not one.heats], plane, -1.0)
    return frame.document(body, plane.top + _HEIGHT + _BELOW)


@dataclass(slots=True)
class _Plane:
    """The plane: pixels for heat and temperature, and how both read."""

    across: Sequence[float]
    up: Sequence[float]
    width: float
    scale: numbers.Scale
    top: float = 0.0

    def x(self, heat: float) -> float:
        """Pixels from the left."""
        share = (heat / self.scale.divisor - self.across[0]) / (self.across[-1] - self.across[0])
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, temperature: float) -> float:
        """Pixels from above."""
        return self.top + _HEIGHT * (1 - (temperature - self.up[0]) / (self.up[-1] - self.up[0]))

    def axes(self) -> str:
        """Grid lines, their numbers, and the name of the axis across."""
        lang, low, parts = self.scale.lang, self.top + _HEIGHT, []
        for mark in self.up:
            y = self.y(mark)
            parts.append(svg.line(_LEFT, y, self.width - _RIGHT, y, GRID))
            parts.append(svg.label(_LEFT - 8, y + 4, numbers.number(mark, lang, digits=5), size=11, anchor="end", fill=MUTED))  # fmt: skip
        for mark in self.across:
            x = self.x(mark * self.scale.divisor)
            parts.append(svg.line(x, low, x, low + 4, MUTED))
            shown = numbers.number(abs(mark), lang, digits=5)
            parts.append(svg.label(x, low + 17, shown, size=11, anchor="middle", fill=MUTED))
        words = f"{messages.render('figures.heat_flow', lang)} ({self.scale.label})"
        parts.append(svg.label(self.width - _RIGHT, low + 34, words, anchor="end", fill=MUTED))
        return "".join(parts)


def _plane(
    heat: Sequence[float], temperatures: Sequence[float], unit: str, width: float, lang: str
) -> _Plane:
    low, high = min(heat), max(heat)
    cold, hot = min(temperatures, default=0.0), max(temperatures, default=1.0)
    if hot - cold <= abs(hot) * 1e-9:
        cold, hot = cold - 1.0 - abs(cold) * 1e-3, hot + 1.0 + abs(hot) * 1e-3
    scale = numbers.scale(max(high, -low), unit, lang)
    return _Plane(ticks(low / scale.divisor, high / scale.divisor, 6), ticks(cold, hot), width, scale)


def _finite(points: Points) -> tuple[list[float], list[float]]:
    """The points that can be drawn."""
    kept = [
        (float(x), float(y)) for x, y in zip(*points, strict=True) if math.isfinite(x) and math.isfinite(y)
    ]
    return [x for x, _ in kept], [y for _, y in kept]


def _axis(lang: str, *, shifted: bool = False) -> str:
    return messages.render("figures.shifted_temperature" if shifted else "figures.temperature", lang)


def _said(word: str, amount: float, plane: _Plane) -> str:
    """An amount in words; rounding may leave a breath below zero."""
    return f"{messages.render(f'figures.heat_{word}', plane.scale.lang)}: {plane.scale.full(max(amount, 0.0), digits=4)}"


def _pinch_words(pair: tuple[float, float], lang: str) -> str:
    hot, cold = (numbers.number(one, lang, digits=4) for one in pair)
    return messages.render("figures.heat_pinch", lang, hot=hot, cold=cold)


def _key(words: Sequence[str], top: float, lang: str) -> tuple[str, float]:
    """The legend: a piece of each line with its name."""
    styles = {
        "hot_curve": (_HOT, None), "cold_curve": (_COLD, _DASH), "grand_curve": (_FREE, None), "source_curve": (_HOT, None),
        "sink_curve": (_COLD, _DASH), "heats": (_HOT, None), "cools": (_COLD, _DASH),
    }  # fmt: skip
    parts, left = [], 0.0
    for word in words:
        color, dash = styles[word]
        text = messages.render(f"figures.heat_{word}", lang)
        parts.append(
            svg.line(left, top + 7, left + 26, top + 7, color, stroke_width="2.5", stroke_dasharray=dash)
        )
        parts.append(svg.label(left + 32, top + 11, text))
        left += 32 + svg.text_width(text) + 22
    return "".join(parts), 20.0


def _line(points: tuple[list[float], list[float]], plane: _Plane, color: str, dash: str | None = None) -> str:
    """A curve."""
    if len(points[0]) < 2:  # noqa: PLR2004  a line has two ends
        return ""
    path = "L".join(f"{svg.num(plane.x(x))},{svg.num(plane.y(y))}" for x, y in zip(*points, strict=True))
    tags = {"fill": "none", "stroke": color, "stroke_width": "2.5", "stroke_linejoin": "round"}
    return svg.tag("path", d=f"M{path}", stroke_dasharray=dash, **tags)


def _between(start: float, end: float, words: str, plane: _Plane) -> str:
    """A pale band over the heat that is recovered, with its amount."""
    if end <= start:
        return ""
    left, right = plane.x(start), plane.x(end)
    band = svg.rect(left, plane.top, right - left, _HEIGHT, mix(_FREE, PAPER, 0.9))
    return band + svg.label(left + 6, plane.top + 18, words, size=11, limit=max(right - left - 12, 1.0))


def _pinch(pair: tuple[float, float], hot: tuple[list[float], list[float]], plane: _Plane) -> str:
    """A line up at the pinch, with both temperatures beside it."""
    heat = next(
        (
            a + (b - a) * ((pair[0] - s) / (t - s) if t > s else 1.0)
            for a, b, s, t in zip(hot[0][:-1], hot[0][1:], hot[1][:-1], hot[1][1:], strict=True)
            if s <= pair[0] <= t
        ),
        None,
    )
    if heat is None:
        return ""
    x, words = plane.x(heat), _pinch_words(pair, plane.scale.lang)
    line = svg.line(x, plane.y(pair[0]), x, plane.y(pair[1]), ALARM, stroke_width="2")
    right = x < plane.width * 0.6
    label = svg.label(x + (8 if right else -8), plane.y(pair[1]) + 16, words, size=11, anchor="start" if right else "end", fill=ALARM, halo=True)  # fmt: skip
    return line + label


def _reach(start: float, end: float, words: str, plane: _Plane, color: str) -> str:
    """A bracket over the heat of a utility, with its amount; both on top, where curves leave the most room."""
    left, right = sorted((plane.x(start), plane.x(end)))
    if right - left < 0.5:  # noqa: PLR2004  half a pixel is nothing to see
        return ""
    y = plane.top + 6
    parts = [svg.line(left, y, right, y, color, stroke_width="2")]
    parts += [svg.line(x, y - 4, x, y + 4, color, stroke_width="2") for x in (left, right)]
    at, row, anchor = (right, 18.0, "end") if color == _HOT else (left + 6, 36.0, "start")
    parts.append(svg.label(at, y + row, words, size=11, anchor=anchor, fill=INK, halo=True))
    return "".join(parts)


def _steps(steps: Sequence[UtilityStep], plane: _Plane, side: float) -> str:
    """Utilities as a staircase from no heat outward; those that heat from cold to hot, those that cool from hot to cold."""
    parts = []
    for heats in (True, False):
        reached = 0.0
        ranked = sorted(
            (one for one in steps if one.heats is heats), key=lambda one: one.lower if heats else -one.upper
        )
        for one in ranked:
            ends = (one.lower, one.upper) if heats else (one.upper, one.lower)
            color, dash = (_HOT, None) if heats else (_COLD, _DASH)
            xs = [plane.x(side * reached), plane.x(side * (reached + one.heat))]
            ys = [plane.y(end) for end in ends]
            tip = svg.title(f"{one.label}: {plane.scale.full(one.heat)}")
            parts.append(svg.tag("line", tip, x1=svg.num(xs[0]), y1=svg.num(ys[0]), x2=svg.num(xs[1]), y2=svg.num(ys[1]), stroke=color, stroke_width="3", stroke_dasharray=dash))  # fmt: skip
            words = f"{one.label} {plane.scale.full(one.heat)}"
            y = min(ys) - 5 if heats else max(ys) + 13
            parts.append(svg.label(max(min(xs) + 4, _LEFT), y, words, size=11, fill=INK, halo=True))
            reached += one.heat
    return "".join(parts)
