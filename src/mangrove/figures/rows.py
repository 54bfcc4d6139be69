# SPDX-License-Identifier: Apache-2.0
"""What figures with one row for each amount share: the plane on which amounts lie, its grid, and whiskers.

Comes in: amounts. Goes out: pixels and pieces of SVG, for bars and waterfalls alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mangrove.figures import numbers, svg
from mangrove.figures.palette import GRID, INK, MUTED, PAPER, Fills

ROW, BAR = 28.0, 16.0
"""Height of a row and of the bar in it, pixels."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where an amount lies, how numbers read, which fills are in use.

    Attributes:
        left, right: pixels; low, high: the amounts there.
    """

    left: float
    right: float
    low: float
    high: float
    scaling: numbers.Scale
    fills: Fills

    @property
    def holds_zero(self) -> bool:
        """Whether zero lies on the axis."""
        return self.low <= 0.0 <= self.high

    def x(self, value: float) -> float:
        """Pixels from the left, inside the plane."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.left + share * (self.right - self.left)

    def grid(self, marks: Sequence[float], top: float, bottom: float, digits: int = 3) -> str:
        """A line and a number at each mark (in units of the scale)."""
        parts = []
        for mark in marks:
            x = self.x(mark * self.scaling.divisor)
            parts.append(svg.line(x, top, x, bottom, GRID))
            shown = numbers.number(mark, self.scaling.lang, digits=digits)
            parts.append(svg.label(x, bottom + 15, shown, size=11, anchor="middle", fill=MUTED))
        return "".join(parts)

    def whisker(self, low: float, high: float, y: float) -> str:
        """The interval around an amount."""
        a, b = (svg.num(self.x(end)) for end in (low, high))
        top, bottom, middle = svg.num(y - 4), svg.num(y + 4), svg.num(y)
        shape = f"M{a},{top}V{bottom}M{b},{top}V{bottom}M{a},{middle}H{b}"
        under = svg.tag("path", d=shape, fill="none", stroke=PAPER, stroke_width=4, stroke_opacity="0.8")
        return under + svg.tag("path", d=shape, fill="none", stroke=INK, stroke_width="1.4")


def room(texts: Sequence[tuple[str, str]], width: float) -> tuple[float, float]:
    """Pixels of the column with intervals, and the right end of the plane before the columns of numbers."""
    ends = max((svg.text_width(text[1], 11) + 8 for text in texts if text[1]), default=0.0)
    values = max((svg.text_width(text[0], bold=True) for text in texts), default=0.0)
    return ends, width - ends - values - 14
