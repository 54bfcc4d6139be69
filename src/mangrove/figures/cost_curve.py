# SPDX-License-Identifier: Apache-2.0
"""Marginal abatement cost curves: actions side by side from the cheapest to the dearest, as wide as what they avoid.

Comes in: for each action the amount that it avoids and its cost for each tonne. Goes out: SVG. The area of a block is money; blocks below
zero pay for themselves. Blocks are numbered, and a list below names them, because narrow blocks have no room for words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.axis import extent, ticks
from mangrove.figures.palette import ALARM, CATEGORIES, GRID, INK, MUTED, PAPER, Fills, ink_on

_LEFT, _HEIGHT, _BELOW, _LINE = 78.0, 240.0, 46.0, 20.0
_PAYS, _COSTS = CATEGORIES[0], CATEGORIES[2]


@dataclass(frozen=True, slots=True)
class Block:
    """One action of a cost curve.

    Attributes:
        label: its name.
        amount: what it avoids (tonnes, say); only amounts above zero have a width.
        cost: money for each unit of the amount; negative when it pays for itself.
        basis: how the numbers came about; drawn as a texture.
    """

    label: str
    amount: float
    cost: float
    basis: str = ""


def cost_curve(
    blocks: Sequence[Block],
    *,
    title: str,
    unit: str = "t CO2e",
    money: str = "VND/t CO2e",
    price: tuple[str, float] | None = None,
    wanted: tuple[str, float] | None = None,
    lang: str = "vi",
    width: float = 800,
    heading: bool = True,
) -> str:
    """Blocks in the order of their cost: width is the amount avoided, height its cost.

    Args:
        blocks: the actions in any order; one without an amount above zero or without a cost is named below, not drawn.
        title: what is shown.
        unit: unit of the amounts.
        money: unit of the costs.
        price: name and height of a line across, such as the price of carbon.
        wanted: name and place of a line up, such as the reduction that is asked for.
        lang: `vi` or `en`.
        width: pixels.
        heading: whether the title is drawn (it is always read out).

    Example:
        >>> found = [Block("boiler", 30.0, 12.0), Block("lamps", 10.0, -5.0)]
        >>> drawn = cost_curve(found, title="t", unit="t", money="USD/t", lang="en")
        >>> drawn.index("lamps") < drawn.index("boiler")
        True
    """
    drawn = [b for b in blocks if math.isfinite(b.cost) and math.isfinite(b.amount) and b.amount > 0]
    drawn.sort(key=lambda b: (b.cost, b.label))
    lost = [b.label for b in blocks if b not in drawn]
    total = math.fsum(b.amount for b in drawn)
    longest = max(total, wanted[1] if wanted and math.isfinite(wanted[1]) else 0.0)
    plane = _plane(
        [b.cost for b in drawn] + ([price[1]] if price else []), longest, (unit, money), width, lang
    )
    told = "; ".join(plane.told(block) for block in drawn)
    summary = f"{told or numbers.no_data(lang)}. {plane.across_scale.full(total)}"
    frame = svg.Frame(width, lang, title, plane.up_scale.label, summary, heading)
    fills = Fills()
    key, key_height = svg.legend(_legend(drawn, fills, lang), 0, frame.top + 6, width)
    plane.top = frame.top + 14 + key_height
    body = key + plane.axes()
    begin = 0.0
    for rank, block in enumerate(drawn, start=1):
        body += _block(rank, block, begin, plane, fills)
        begin += block.amount
    body += svg.line(_LEFT, plane.y(0.0), width - 12, plane.y(0.0), INK)
    body += _lines(plane, price, wanted)
    listed, list_height = _list(drawn, lost, plane, plane.top + _HEIGHT + _BELOW)
    return frame.document(body + listed, plane.top + _HEIGHT + _BELOW + list_height, fills)


@dataclass(slots=True)
class _Plane:
    """The plane: pixels for amounts and costs, and how both read."""

    across: Sequence[float]
    up: Sequence[float]
    width: float
    across_scale: numbers.Scale
    up_scale: numbers.Scale
    top: float = 0.0

    def x(self, amount: float) -> float:
        """Pixels from the left."""
        share = amount / self.across_scale.divisor / self.across[-1]
        return _LEFT + share * (self.width - _LEFT - 12)

    def y(self, cost: float) -> float:
        """Pixels from above."""
        share = (cost / self.up_scale.divisor - self.up[0]) / (self.up[-1] - self.up[0])
        return self.top + _HEIGHT * (1 - share)

    def told(self, block: Block) -> str:
        """A block in words."""
        return f"{block.label}: {self.across_scale.full(block.amount)}, {self.up_scale.full(block.cost)}"

    def axes(self) -> str:
        """Grid lines, their numbers, and the unit across."""
        lang, low, parts = self.across_scale.lang, self.top + _HEIGHT, []
        for mark in self.up:
            y = self.y(mark * self.up_scale.divisor)
            parts.append(svg.line(_LEFT, y, self.width - 12, y, GRID))
            shown = numbers.number(mark, lang, digits=5)
            parts.append(svg.label(_LEFT - 8, y + 4, shown, size=11, anchor="end", fill=MUTED))
        for mark in self.across:
            x = self.x(mark * self.across_scale.divisor)
            parts.append(svg.line(x, low, x, low + 4, MUTED))
            shown = numbers.number(mark, lang, digits=5)
            parts.append(svg.label(x, low + 16, shown, size=11, anchor="middle", fill=MUTED))
        label = self.across_scale.label
        parts.append(svg.label(self.width - 12, low + 32, label, anchor="end", fill=MUTED))
        return "".join(parts)


def _plane(costs: Sequence[float], longest: float, units: tuple[str, str], width: float, lang: str) -> _Plane:
    low, high = extent(costs)
    across = numbers.scale(longest, units[0], lang)
    up = numbers.scale(max(high, -low), units[1], lang)
    steps, heights = ticks(0.0, longest / across.divisor), ticks(low / up.divisor, high / up.divisor)
    return _Plane(steps, heights, width, across, up)


def _block(rank: int, block: Block, begin: float, plane: _Plane, fills: Fills) -> str:
    """One block with its number, which stands above it (or below) when it has no room inside."""
    left, right = plane.x(begin), plane.x(begin + block.amount)
    ends = sorted((plane.y(0.0), plane.y(block.cost)))
    color = _PAYS if block.cost < 0 else _COSTS
    tip = f"{rank}. {plane.told(block)}"
    fill = fills.fill(color, block.basis)
    drawn = svg.rect(
        left,
        ends[0],
        right - left,
        max(ends[1] - ends[0], 0.5),
        fill,
        tip=tip,
        stroke=PAPER,
        stroke_width="0.8",
    )
    text, wide = str(rank), svg.text_width(str(rank), 11, bold=True)
    if right - left < wide + 2:
        return drawn
    inside = ends[1] - ends[0] > 16 and not block.basis  # noqa: PLR2004  the height of a line of text
    outer = ends[1] + 12 if block.cost < 0 else ends[0] - 4
    y = sum(ends) / 2 + 4 if inside else outer
    ink = ink_on(color) if inside else INK
    return drawn + svg.label((left + right) / 2, y, text, size=11, anchor="middle", bold=True, fill=ink)


def _lines(plane: _Plane, price: tuple[str, float] | None, wanted: tuple[str, float] | None) -> str:
    """The line of a price across and that of a wanted amount up, with their names."""
    parts = []
    dash = {"stroke_width": "1.5", "stroke_dasharray": "6 3"}
    if price and math.isfinite(price[1]):
        y = plane.y(price[1])
        parts.append(svg.line(_LEFT, y, plane.width - 12, y, ALARM, **dash))
        words = f"{price[0]}: {plane.up_scale.full(price[1])}"
        parts.append(svg.label(_LEFT + 4, y - 5, words, size=11, fill=ALARM, halo=True))
    if wanted and math.isfinite(wanted[1]) and wanted[1] >= 0:
        x = plane.x(wanted[1])
        parts.append(svg.line(x, plane.top, x, plane.top + _HEIGHT, ALARM, **dash))
        words = f"{wanted[0]}: {plane.across_scale.full(wanted[1])}"
        anchor = "end" if x > plane.width / 2 else "start"
        shift = -5.0 if anchor == "end" else 5.0
        parts.append(
            svg.label(x + shift, plane.top + 12, words, size=11, anchor=anchor, fill=ALARM, halo=True)
        )
    return "".join(parts)


def _list(drawn: Sequence[Block], lost: Sequence[str], plane: _Plane, top: float) -> tuple[str, float]:
    """The names with their numbers in two columns, and what could not be drawn; the SVG and its height."""
    parts, half = [], math.ceil(len(drawn) / 2)
    column = plane.width / 2
    for index, block in enumerate(drawn):
        x, y = (index // half) * column, top + (index % half) * _LINE
        amounts = f"{plane.across_scale.full(block.amount)} · {plane.up_scale.full(block.cost)}"
        room = column - 34 - svg.text_width(amounts, 11) - 16
        parts.append(svg.label(x + 18, y, f"{index + 1}", size=11, anchor="end", bold=True))
        parts.append(svg.label(x + 26, y, block.label, limit=room))
        parts.append(svg.label(x + column - 16, y, amounts, size=11, anchor="end", fill=MUTED))
    height = half * _LINE
    if lost:
        words = messages.render("figures.not_drawn", plane.across_scale.lang, links=", ".join(lost))
        for text in svg.wrap(words, plane.width, 11.5, lines=3):
            parts.append(svg.label(0, top + height, text, size=11.5, fill=ALARM))
            height += 16
    return "".join(parts), height


def _legend(drawn: Sequence[Block], fills: Fills, lang: str) -> list[tuple[str, str]]:
    items = []
    if any(b.cost < 0 for b in drawn):
        items.append((_PAYS, messages.render("figures.pays_for_itself", lang)))
    if any(b.cost >= 0 for b in drawn):
        items.append((_COSTS, messages.render("figures.costs", lang)))
    return items + svg.textures(fills, _COSTS, {b.basis for b in drawn}, lang)
