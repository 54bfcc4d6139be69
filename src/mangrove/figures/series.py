# SPDX-License-Identifier: Apache-2.0
"""Figures along time: stacked columns by period, strips of data coverage, and a line small enough for a table cell.

Comes in: amounts or shares by period. Goes out: SVG. A period with a missing amount is marked red; it never looks like
a low one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from mangrove import messages
from mangrove.errors import RequestError
from mangrove.figures import numbers, svg
from mangrove.figures.axis import month_ticks, ticks
from mangrove.figures.palette import (
    ALARM,
    CATEGORIES,
    FAINT,
    GRID,
    INK,
    MUTED,
    Fills,
    category_colors,
    fold_small,
    mix,
)

_HEIGHT, _LEFT = 260.0, 52.0


def stacked_series(
    periods: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    most: int = 8,
    heading: bool = True,
) -> str:
    """Stacked columns, one a period.

    Args:
        periods: the names under the columns ("T1", "T2", ...).
        series: amounts by name, one for each period; NaN where there is no data.
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        most: names drawn on their own; the smaller ones are added up as "others".
        heading: whether the title is drawn (it is always read out).

    Raises:
        RequestError: `figures.series_length` when a series has not one amount for each period.
    """
    for name, amounts in series.items():
        if len(amounts) != len(periods):
            raise RequestError("figures.series_length", name=name, count=len(amounts), periods=len(periods))
    stacks = _fold(series, most, lang)
    tops = [sum(v for s in stacks.values() if (v := s[i]) > 0) for i in range(len(periods))]
    lows = [sum(v for s in stacks.values() if (v := s[i]) < 0) for i in range(len(periods))]
    scaling = numbers.scale(max([*tops, *(-low for low in lows)], default=None), unit, lang)
    marks = ticks(min([0.0, *lows]) / scaling.divisor, max([0.0, *tops]) / scaling.divisor)
    fills, palette = Fills(), category_colors(stacks)
    frame = svg.Frame(width, lang, title, scaling.label, _series_summary(stacks, scaling), heading)
    holes = any(math.isnan(v) for amounts in series.values() for v in amounts)
    items = [(color, name) for name, color in palette.items()]
    items += [(fills.no_data(), messages.render("figures.incomplete", lang))] if holes else []
    key, key_height = svg.legend(items, 0, frame.top + 6, width)
    plane = _Plane(frame.top + 16 + key_height, marks, scaling, width)
    body = key + plane.grid() + _columns(periods, stacks, palette, plane, fills)
    if holes:
        body += _holes(periods, series, plane, fills)
    return frame.document(body, plane.top + _HEIGHT + 26, fills)


@dataclass(frozen=True, slots=True)
class _Plane:
    """The plane of the columns: pixels for amounts and periods."""

    top: float
    marks: Sequence[float]
    scaling: numbers.Scale
    width: float

    def y(self, value: float) -> float:
        low, high = self.marks[0], self.marks[-1]
        return self.top + _HEIGHT * (1 - (value / self.scaling.divisor - low) / (high - low))

    def slot(self, count: int) -> float:
        return (self.width - _LEFT) / max(count, 1)

    def grid(self) -> str:
        parts = []
        for mark in self.marks:
            y = self.y(mark * self.scaling.divisor)
            parts.append(svg.line(_LEFT, y, self.width, y, GRID if mark else MUTED))
            shown = numbers.number(mark, self.scaling.lang)
            parts.append(svg.label(_LEFT - 8, y + 4, shown, size=11, anchor="end", fill=MUTED))
        return "".join(parts)


def _fold(series: Mapping[str, Sequence[float]], most: int, lang: str) -> dict[str, list[float]]:
    """The largest series and the sum of all others; a missing amount counts nothing here and is marked elsewhere."""
    clean = {n: [float(v) if numbers.is_number(v) else 0.0 for v in amounts] for n, amounts in series.items()}
    totals = [(name, sum(map(abs, amounts))) for name, amounts in clean.items()]
    kept, rest = fold_small(totals, most if len(totals) <= most else most - 1)
    folded = {name: clean[name] for name in kept}
    if rest:
        words = messages.render("figures.others", lang, count=len(rest))
        folded[words] = [sum(values) for values in zip(*(clean[name] for name in rest), strict=True)]
    return folded


def _columns(
    periods: Sequence[str],
    stacks: Mapping[str, Sequence[float]],
    palette: Mapping[str, str],
    plane: _Plane,
    fills: Fills,
) -> str:
    slot = plane.slot(len(periods))
    widest = max((svg.text_width(period, 11) for period in periods), default=0.0)
    every = max(1, math.ceil((widest + 3) / slot))
    parts = []
    for index, period in enumerate(periods):
        x, ahead, behind = _LEFT + index * slot + slot * 0.14, 0.0, 0.0
        for name, amounts in stacks.items():
            value = amounts[index]
            base = ahead if value >= 0 else behind
            high, low = sorted((plane.y(base), plane.y(base + value)))
            tip = f"{period}, {name}: {plane.scaling.full(value)}"
            if value:
                parts.append(svg.rect(x, high, slot * 0.72, low - high, fills.fill(palette[name]), tip=tip))
            ahead, behind = (base + value, behind) if value >= 0 else (ahead, base + value)
        if index % every == 0:
            center = _LEFT + (index + 0.5) * slot
            parts.append(
                svg.label(center, plane.top + _HEIGHT + 17, period, size=11, anchor="middle", fill=MUTED)
            )
    return "".join(parts)


def _holes(periods: Sequence[str], series: Mapping[str, Sequence[float]], plane: _Plane, fills: Fills) -> str:
    """A red hatch over the part of a column that is unknown: all of it when no series has a number."""
    slot, parts = plane.slot(len(periods)), []
    for index, period in enumerate(periods):
        names = [name for name, amounts in series.items() if not numbers.is_number(amounts[index])]
        if not names:
            continue
        x, wide = _LEFT + index * slot + slot * 0.14, slot * 0.72
        known = sum(v for a in series.values() if numbers.is_number(v := a[index]) and v > 0)
        floor = plane.y(known)
        high = plane.top if len(names) == len(series) else max(floor - 16, plane.top)
        tip = f"{period}: {', '.join(names)}: {numbers.no_data(plane.scaling.lang)}"
        parts.append(svg.rect(x, high, wide, max(floor - high, 4.0), fills.no_data(), tip=tip))
    return "".join(parts)


def _series_summary(stacks: Mapping[str, Sequence[float]], scaling: numbers.Scale) -> str:
    return "; ".join(f"{name}: {scaling.full(sum(amounts))}" for name, amounts in stacks.items())


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of expected values that one flow delivered, day by day (NaN: none were expected)."""

    label: str
    shares: Sequence[float]


def coverage_strip(
    rows: Sequence[Coverage],
    *,
    start: date,
    title: str,
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """One strip a flow: full days plain, partial days lighter, days without values hatched red.

    Args:
        rows: daily shares from 0 to 1, all from the same first day.
        start: the first day.
        title: what is shown.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).
    """
    days = max((len(row.shares) for row in rows), default=0)
    fills = Fills()
    left = min(max((svg.text_width(r.label) for r in rows), default=0.0) + 12, width * 0.34)
    means = [_mean(row.shares) for row in rows]
    words = [numbers.percent(mean, lang) for mean in means]
    room = width - left - max((svg.text_width(w) for w in words), default=0.0) - 12
    summary = "; ".join(f"{row.label}: {word}" for row, word in zip(rows, words, strict=True))
    frame = svg.Frame(width, lang, title, "", summary, heading)
    key, height = svg.legend(_coverage_key(fills, lang), 0, frame.top + 6, width)
    top = frame.top + 10 + height
    parts = [key]
    for index, (row, word) in enumerate(zip(rows, words, strict=True)):
        y = top + index * 22
        parts.append(svg.label(0, y + 12, row.label, limit=left - 10))
        parts.append(_strip(row.shares, fills, (left, y, room / max(days, 1)), lang))
        parts.append(svg.label(width, y + 12, word, anchor="end"))
    bottom = top + len(rows) * 22
    for offset, name in month_ticks(start, days, lang):
        x = left + room * offset / days
        parts.append(svg.line(x, bottom, x, bottom + 5, FAINT))
        if x + svg.text_width(name, 11) < width:
            parts.append(svg.label(x + 2, bottom + 15, name, size=11, fill=MUTED))
    return frame.document("".join(parts), bottom + 24, fills)


def _mean(shares: Sequence[float]) -> float:
    known = [min(max(share, 0.0), 1.0) for share in shares if math.isfinite(share)]
    return sum(known) / len(known) if known else math.nan


def _level(share: float) -> str:
    """`none` (not expected), `gap`, `part` or `full`."""
    if not math.isfinite(share):
        return "none"
    return "gap" if share <= 0 else "full" if share >= 0.9999 else "part"  # noqa: PLR2004  rounding of sums of shares


def _coverage_fill(level: str, fills: Fills) -> str:
    if level == "gap":
        return fills.no_data()
    return {"full": CATEGORIES[0], "part": mix(CATEGORIES[0], "#ffffff", 0.6), "none": "#f6f8f8"}[level]


def _coverage_key(fills: Fills, lang: str) -> list[tuple[str, str]]:
    levels = ("full", "part", "gap", "none")
    return [
        (_coverage_fill(level, fills), messages.render(f"figures.coverage_{level}", lang)) for level in levels
    ]


def _strip(shares: Sequence[float], fills: Fills, spot: tuple[float, float, float], lang: str) -> str:
    """Runs of days of one level as one box each."""
    x, y, step = spot
    parts = [svg.rect(x, y, step * len(shares), 16, "#f6f8f8")]
    position = 0
    for level, run in groupby(shares, key=_level):
        run_shares = list(run)
        if level != "none":
            tip = f"{numbers.percent(_mean(run_shares), lang)}, " + messages.render(
                "figures.days", lang, count=len(run_shares)
            )
            wide = max(step * len(run_shares), 1.0)
            parts.append(svg.rect(x + position * step, y, wide, 16, _coverage_fill(level, fills), tip=tip))
        position += len(run_shares)
    return "".join(parts)


def sparkline(
    values: Sequence[float], *, title: str, lang: str = "vi", width: float = 96, height: float = 22
) -> str:
    """A line without axes for a table cell; it breaks where data is missing, and a red dash below marks the place.

    Args:
        values: amounts at even steps.
        title: what is shown; read out.
        lang: `vi` or `en`.
        width: pixels.
        height: pixels.
    """
    known = [v for v in values if math.isfinite(v)]
    low, high = min([0.0, *known]), max([0.0, *known])
    reach = high - low or 1.0
    step = (width - 4) / max(len(values) - 1, 1)
    parts, position = [], 0
    for finite, run in groupby(values, key=math.isfinite):
        amounts = list(run)
        xs = [2 + (position + i) * step for i in range(len(amounts))]
        if finite:
            spots = " ".join(
                f"{svg.num(x)},{svg.num(height - 4 - (v - low) / reach * (height - 6))}"
                for x, v in zip(xs, amounts, strict=True)
            )
            parts.append(svg.tag("path", d=f"M{spots}h.1", fill="none", stroke=INK, stroke_width="1.2"))
        else:
            end = max(xs[-1], xs[0] + 2)
            parts.append(svg.line(xs[0], height - 1.5, end, height - 1.5, ALARM, stroke_width=2))
        position += len(amounts)
    summary = (
        numbers.no_data(lang) if not known else f"{numbers.number(low, lang)} – {numbers.number(high, lang)}"
    )
    return svg.Frame(width, lang, title, "", summary, heading=False).document("".join(parts), height)
