# SPDX-License-Identifier: Apache-2.0
"""Horizontal bars: one amount a row with its 95 % interval, whole or stacked by scope, gas or sector.

Comes in: labeled amounts. Goes out: one SVG with the numbers written beside the bars. Removals go to the left of zero;
a row without a number is a red hatch with the words for "no data".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.axis import extent, ticks
from mangrove.figures.palette import (
    ALARM,
    CATEGORIES,
    INK,
    MUTED,
    REMOVAL,
    Fills,
    category_colors,
)
from mangrove.figures.rows import BAR, ROW, Plane, room


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a label, an amount, and the ends of its 95 % interval (None when it has none).

    Attributes:
        basis: how the number came about; drawn as a texture.
        parts: for stacked bars, the amount of each part by name; they replace `value` in the drawing.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    basis: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)


def interval_bars(
    rows: Sequence[Bar],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """Bars with whiskers that span the 95 % interval.

    Args:
        rows: the amounts, drawn in the order given.
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).
    """
    plain = [Bar(r.label, r.value, r.low, r.high, r.basis) for r in rows]
    return _chart(plain, {}, title=title, unit=unit, lang=lang, width=width, heading=heading)


def stacked_bars(
    rows: Sequence[Bar],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    colors: Mapping[str, str] | None = None,
    heading: bool = True,
) -> str:
    """Bars made of `parts` (scopes, gases, sectors); negative parts stand left of zero, whiskers show the interval.

    Args:
        rows: the amounts, drawn in the order given.
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        colors: `#rrggbb` by part; parts not named get the next color of the palette.
        heading: whether the title is drawn (it is always read out).
    """
    palette = category_colors(name for row in rows for name in row.parts) | dict(colors or {})
    return _chart(rows, palette, title=title, unit=unit, lang=lang, width=width, heading=heading)


@dataclass(frozen=True, slots=True)
class _Plot(Plane):
    """The plane of a bar chart, and the color of each part."""

    palette: Mapping[str, str]


def _chart(
    rows: Sequence[Bar],
    palette: Mapping[str, str],
    *,
    title: str,
    unit: str,
    lang: str,
    width: float,
    heading: bool,
) -> str:
    low, high = extent(v for row in rows for v in _reach(row))
    scaling = numbers.scale(max(high, -low), unit, lang)
    marks = ticks(low / scaling.divisor, high / scaling.divisor)
    left = min(max((svg.text_width(r.label) for r in rows), default=0.0) + 14, width * 0.34)
    texts = [_texts(row, scaling) for row in rows]
    ends_width, right = room(texts, width)
    fills = Fills()
    ends = (marks[0] * scaling.divisor, marks[-1] * scaling.divisor)
    plot = _Plot(left, right, *ends, scaling, fills, palette)
    frame = svg.Frame(width, lang, title, scaling.label, _summary(rows, texts, scaling), heading)
    key, key_height = svg.legend(_legend(rows, plot), 0, frame.top + 6, width)
    top = frame.top + 10 + key_height
    bottom = top + len(rows) * ROW
    body = key + plot.grid(marks, top, bottom)
    for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
        body += _row(row, text, plot, top + index * ROW, (width - ends_width, width))
    body += svg.line(plot.x(0.0), top, plot.x(0.0), bottom, MUTED)
    return frame.document(body, bottom + 24, fills)


def _reach(row: Bar) -> tuple[float | None, ...]:
    """Every number that the row's drawing must hold."""
    parts = [v for v in row.parts.values() if numbers.is_number(v)]
    ends = (sum(v for v in parts if v > 0), sum(v for v in parts if v < 0))
    return (row.value, row.low, row.high, *ends)


def _texts(row: Bar, scaling: numbers.Scale) -> tuple[str, str]:
    value, ends = numbers.interval(_total(row), row.low, row.high, scaling)
    return value, f"({ends})" if ends else ""


def _total(row: Bar) -> float | None:
    """The row's amount; without one, the sum of its parts, which is unknown when one of them is."""
    if row.value is not None or not row.parts:
        return row.value
    return sum(row.parts.values())


def _row(row: Bar, text: tuple[str, str], plot: _Plot, y: float, columns: tuple[float, float]) -> str:
    """The label, the bar or its hatch, the whiskers and the numbers of one row."""
    level = y + ROW / 2 + 4
    top = y + (ROW - BAR) / 2
    parts = [svg.label(0, level, row.label, limit=plot.left - 12)]
    known = numbers.is_number(_total(row))
    if not known and not any(numbers.is_number(v) for v in row.parts.values()):
        parts.append(svg.rect(plot.x(0), top, plot.right - plot.x(0), BAR, plot.fills.no_data()))
        parts.append(svg.label(columns[1], level, text[0], anchor="end", fill=ALARM, bold=True))
        return "".join(parts)
    parts.append(_stack(row, plot, top) if plot.palette else _whole(row, plot, top))
    parts.append(_whisker(row, plot, y + ROW / 2))
    if text[1]:
        parts.append(svg.label(columns[1], level, text[1], size=11, anchor="end", fill=MUTED))
    place = columns[0] if known else columns[1]
    parts.append(svg.label(place, level, text[0], anchor="end", bold=True, fill=INK if known else ALARM))
    return "".join(parts)


def _whole(row: Bar, plot: _Plot, top: float) -> str:
    value = row.value or 0.0
    start, end = sorted((plot.x(0.0), plot.x(value)))
    fill = plot.fills.fill(REMOVAL if value < 0 else CATEGORIES[0], row.basis)
    return svg.rect(
        start, top, max(end - start, 0.5), BAR, fill, tip=f"{row.label}: {plot.scaling.full(value)}"
    )


def _stack(row: Bar, plot: _Plot, top: float) -> str:
    """The parts one after another; a part without a number is a short hatch at the end."""
    drawn, ahead, behind = [], 0.0, 0.0
    for name, value in row.parts.items():
        tip = f"{row.label}, {name}: {plot.scaling.full(value)}"
        if not numbers.is_number(value):
            drawn.append(svg.rect(plot.x(ahead), top, 10, BAR, plot.fills.no_data(), tip=tip))
            continue
        base = ahead if value >= 0 else behind
        start, end = sorted((plot.x(base), plot.x(base + value)))
        fill = plot.fills.fill(plot.palette[name], row.basis)
        drawn.append(svg.rect(start, top, end - start, BAR, fill, tip=tip))
        ahead, behind = (base + value, behind) if value >= 0 else (ahead, base + value)
    return "".join(drawn)


def _whisker(row: Bar, plot: _Plot, y: float) -> str:
    if row.low is None or row.high is None or not numbers.is_number(row.high - row.low):
        return ""
    return plot.whisker(min(row.low, row.high), max(row.low, row.high), y)


def _legend(rows: Sequence[Bar], plot: _Plot) -> list[tuple[str, str]]:
    """Parts, then the textures in use, then what the whiskers mean."""
    lang = plot.scaling.lang
    items = (
        [(plot.palette[name], name) for name in dict.fromkeys(n for row in rows for n in row.parts)]
        if plot.palette
        else []
    )
    items += svg.textures(plot.fills, CATEGORIES[0], {row.basis for row in rows}, lang)
    if any(row.value is not None and row.value < 0 for row in rows) and not plot.palette:
        items.append((REMOVAL, messages.render("figures.removal", lang)))
    return items


def _summary(rows: Sequence[Bar], texts: Sequence[tuple[str, str]], scaling: numbers.Scale) -> str:
    shown = [f"{row.label}: {' '.join(t for t in text if t)}" for row, text in zip(rows, texts, strict=True)]
    return f"{scaling.label}. " + "; ".join(shown[:12])
