# SPDX-License-Identifier: Apache-2.0
"""Waterfalls: how one amount becomes another, step by step, such as a plan and what was measured afterwards.

Comes in: totals and the contributions between them. Goes out: one SVG, a row for each. Contributions hang from where the one above
ended. What they leave open before a total is a row of its own ("not explained"), so that the steps always meet their totals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.axis import extent, ticks
from mangrove.figures.palette import ALARM, CATEGORIES, FAINT, INK, MUTED, NO_DATA, PAPER, Fills
from mangrove.figures.rows import BAR, ROW, Plane, room

_BREAK = 8.0
_NEAR = 0.35
"""Contributions are drawn on an axis that leaves zero out when they span less than this share of the largest total."""
_ROUNDING = 1e-9
_TOTAL, _RISE, _FALL, _OPEN = CATEGORIES[1], CATEGORIES[3], CATEGORIES[0], FAINT


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of a waterfall.

    Attributes:
        label: its name.
        value: a contribution, negative when it lowers the amount; of a total, the amount itself. None or NaN when it is not known.
        low, high: ends of its 95 % interval.
        basis: how the number came about; drawn as a texture.
        total: whether the row is a total, which stands on zero.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    basis: str = ""
    total: bool = False


def waterfall(
    stages: Sequence[Stage],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """Totals and what lies between them, one below the other.

    A total whose amount is not what the rows above it add up to is preceded by a row with the difference. When the contributions are
    small beside the totals, the axis begins near them, the bars of the totals are cut open, and the figure says so.

    Args:
        stages: from the first total to the last; rows before the first total begin at zero.
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> rows = [Stage("plan", 100.0, total=True), Stage("weather", 12.0), Stage("actual", 105.0, total=True)]
        >>> drawn = waterfall(rows, title="t", lang="en")
        >>> "not explained" in drawn, "−7" in drawn
        (True, True)
    """
    levels = list(_levels(stages, messages.render("figures.unexplained", lang)))
    known = [v for level in levels for v in level.reach() if numbers.is_number(v)]
    sizes = [abs(x.stage.value) for x in levels if x.stage.value is not None and x.known]
    scaling = numbers.scale(median(sizes) if sizes else None, unit, lang)  # contributions keep their digits
    low, high = _range(levels, known)
    marks = ticks(low / scaling.divisor, high / scaling.divisor)
    texts = [_texts(level, scaling) for level in levels]
    left = min(
        max((svg.text_width(x.stage.label, bold=True) for x in levels), default=0.0) + 14, width * 0.34
    )
    ends_width, right = room(texts, width)
    fills = Fills()
    plot = Plane(left, right, marks[0] * scaling.divisor, marks[-1] * scaling.divisor, scaling, fills)
    told = "; ".join(
        f"{x.stage.label}: {' '.join(t for t in text if t)}" for x, text in zip(levels, texts, strict=True)
    )
    cut = "" if plot.holds_zero else messages.render("figures.cut_axis", lang)
    frame = svg.Frame(width, lang, title, " · ".join(filter(None, (scaling.label, cut))), told, heading)
    key, key_height = svg.legend(_legend(levels, plot), 0, frame.top + 6, width)
    top = frame.top + 10 + key_height
    bottom = top + len(levels) * ROW
    body = key + plot.grid(marks, top, bottom, digits=5)
    for index, (level, text) in enumerate(zip(levels, texts, strict=True)):
        body += _row(level, text, plot, top + index * ROW, (width - ends_width, width))
        body += _joint(plot.x(level.end), top + index * ROW) if index < len(levels) - 1 else ""
    if plot.holds_zero:
        body += svg.line(plot.x(0.0), top, plot.x(0.0), bottom, MUTED)
    return frame.document(body, bottom + 24, fills)


@dataclass(frozen=True, slots=True)
class _Level:
    """A row with the amounts at which its bar begins and ends; `open` marks what nothing explains."""

    stage: Stage
    start: float
    end: float
    open: bool = False

    @property
    def known(self) -> bool:
        return numbers.is_number(self.stage.value)

    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval where they lie on the axis."""
        low, high = self.stage.low, self.stage.high
        if low is None or high is None or not math.isfinite(high - low):
            return None
        return self.start + min(low, high), self.start + max(low, high)

    def reach(self) -> tuple[float, ...]:
        """Every amount that the row's drawing must hold, but for the zero on which a total stands."""
        ends = (self.end,) if self.stage.total else (self.start, self.end)
        return (*(ends if self.known else ()), *(self.interval() or ()))


def _levels(stages: Sequence[Stage], unexplained: str) -> Iterator[_Level]:
    """The rows one after another; a row with the rest goes before a total that the rows above do not add up to."""
    level, begun = 0.0, False
    for stage in stages:
        value = stage.value if stage.value is not None and math.isfinite(stage.value) else None
        if not stage.total:
            end = level + (value or 0.0)
            yield _Level(stage, level, end)
            level, begun = end, True
            continue
        if value is not None:
            rest = value - level
            if begun and abs(rest) > _ROUNDING * max(abs(value), abs(level)):
                yield _Level(Stage(unexplained, rest), level, value, open=True)
            level, begun = value, True
        yield _Level(stage, 0.0, level)


def _range(levels: Sequence[_Level], known: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: zero and everything, or only what lies near the contributions when they are small."""
    low, high = extent(known)
    if not known or not any(x.stage.total and x.known for x in levels) or min(known) < 0 < max(known):
        return low, high
    spread = max(known) - min(known)
    if 0 < spread < _NEAR * max(abs(low), abs(high)):
        return min(known) - spread * 0.25, max(known)
    return low, high


def _color(level: _Level) -> str:
    if level.stage.total:
        return _TOTAL
    if level.open:
        return _OPEN
    return _RISE if level.end >= level.start else _FALL


def _texts(level: _Level, scaling: numbers.Scale) -> tuple[str, str]:
    """The number, with its sign when it is a contribution, and its interval."""
    stage = level.stage
    value, ends = numbers.interval(stage.value, stage.low, stage.high, scaling)
    plus = "+" if level.known and not stage.total and (stage.value or 0.0) > 0 else ""
    return plus + value, f"({ends})" if ends else ""


def _row(level: _Level, text: tuple[str, str], plot: Plane, y: float, columns: tuple[float, float]) -> str:
    """The label, the bar, the whiskers and the numbers of one row."""
    base, top = y + ROW / 2 + 4, y + (ROW - BAR) / 2
    ink = INK if level.known else ALARM
    parts = [svg.label(0, base, level.stage.label, bold=level.stage.total, limit=plot.left - 12)]
    parts.append(_bar(level, plot, top) + _whisker(level, plot, y + ROW / 2))
    if text[1]:
        parts.append(svg.label(columns[1], base, text[1], size=11, anchor="end", fill=MUTED))
    parts.append(svg.label(columns[0], base, text[0], anchor="end", bold=True, fill=ink))
    return "".join(parts)


def _joint(x: float, y: float) -> str:
    """The dashed line from where a row ends to where the next begins."""
    return svg.line(x, y + (ROW + BAR) / 2, x, y + ROW + (ROW - BAR) / 2, MUTED, stroke_dasharray="2 2")


def _bar(level: _Level, plot: Plane, top: float) -> str:
    """The bar; a contribution ends in the point of an arrow, so that its direction does not hang on color."""
    tip = f"{level.stage.label}: {plot.scaling.full(level.stage.value)}"
    if not level.known:
        x = min(plot.x(level.end), plot.right - 24)
        return svg.rect(x, top, 24, BAR, plot.fills.no_data(), tip=tip)
    start, end = plot.x(level.start), plot.x(level.end)
    fill = plot.fills.fill(_color(level), level.stage.basis)
    if level.stage.total:
        drawn = svg.rect(min(start, end), top, max(abs(end - start), 0.5), BAR, fill, tip=tip)
        return drawn + ("" if plot.holds_zero else _cut(start, top))
    tip += f" ({plot.scaling.text(level.start)} → {plot.scaling.text(level.end)})"
    tilt = math.copysign(min(5.0, abs(end - start)), end - start)
    corners = [
        (start, top), (end - tilt, top), (end, top + BAR / 2), (end - tilt, top + BAR), (start, top + BAR),
    ]  # fmt: skip
    path = "M" + "L".join(f"{svg.num(x)},{svg.num(y)}" for x, y in corners) + "Z"
    return svg.tag("path", svg.title(tip), d=path, fill=fill, stroke=_color(level), stroke_width="0.6")


def _cut(x: float, top: float) -> str:
    """White waves across the foot of a bar that does not begin at zero."""
    step = BAR / 4
    path = f"M{svg.num(x + _BREAK)},{svg.num(top - 1)}" + "".join(
        f"l{3 if i % 2 == 0 else -3},{svg.num(step + 0.5)}" for i in range(4)
    )
    return svg.tag("path", d=path, fill="none", stroke=PAPER, stroke_width="3")


def _whisker(level: _Level, plot: Plane, y: float) -> str:
    ends = level.interval()
    return plot.whisker(*ends, y) if ends is not None and level.known else ""


def _legend(levels: Sequence[_Level], plot: Plane) -> list[tuple[str, str]]:
    """What rises, what falls, what is open; then the textures in use."""
    lang = plot.scaling.lang
    steps = [x for x in levels if not x.stage.total and x.known and not x.open]
    items = []
    if any(x.end >= x.start for x in steps):
        items.append((_RISE, messages.render("figures.rise", lang)))
    if any(x.end < x.start for x in steps):
        items.append((_FALL, messages.render("figures.fall", lang)))
    if any(x.open for x in levels):
        items.append((_OPEN, messages.render("figures.unexplained", lang)))
    return items + svg.textures(plot.fills, NO_DATA, {x.stage.basis for x in levels}, lang)
