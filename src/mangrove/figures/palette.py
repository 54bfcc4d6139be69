# SPDX-License-Identifier: Apache-2.0
"""The colors and textures of all figures: few, color-blind safe, and ordered by lightness where they mean an amount.

Comes in: a class, a category or a basis. Goes out: a fill. Texture, not color, says how a number came about, so that
a printed gray page still tells measured from modelled from assumed; missing data has a red hatch of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

INK, MUTED, FAINT, GRID, PAPER = "#1b2425", "#4a5859", "#8a9899", "#d9e0df", "#ffffff"
ALARM, NO_DATA = "#b3261e", "#ececec"
REMOVAL = "#c994c7"
"""Negative amounts (removals): the pink of ColorBrewer PuRd, which stands in no sequential class."""

SEQUENTIAL = (
    "#ffffd9",
    "#edf8b1",
    "#c7e9b4",
    "#7fcdbb",
    "#41b6c4",
    "#1d91c0",
    "#225ea8",
    "#253494",
    "#081d58",
)
"""ColorBrewer 2.0 YlGnBu, nine classes (C. Brewer, colorbrewer2.org): lightness falls from end to end."""

CATEGORIES = (
    "#44aa99", "#332288", "#ddcc77", "#cc6677", "#88ccee", "#117733", "#882255", "#999933", "#aa4499",
)  # fmt: skip
"""Paul Tol, "Colour Schemes", SRON/EPS/TN/09-002, scheme "muted": nine hues that color-blind readers tell apart."""

SCOPES = {"1": "#882255", "2": "#44aa99", "3": "#ddcc77"}
"""Colors of scopes 1 to 3, from `CATEGORIES`."""

TEXTURES = {
    "fact": "plain", "measured": "plain", "derived": "plain", "": "plain",
    "modelled": "stripes", "assumed": "dots", "generated": "grid", "no_data": "hatch",
}  # fmt: skip
"""The texture of each basis of a number; an unknown basis is drawn as an assumption."""

BASES = ("fact", "measured", "derived", "modelled", "assumed", "generated")

FONT = "'Segoe UI','Noto Sans',Roboto,'Helvetica Neue',Arial,sans-serif"


def rgb(color: str) -> tuple[int, int, int]:
    """The three channels (0 to 255) of `#rrggbb`."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def mix(first: str, second: str, share: float) -> str:
    """The color that lies `share` (0 to 1) of the way from `first` to `second`."""
    pairs = zip(rgb(first), rgb(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def luminance(color: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2, definition of relative luminance)."""
    linear = [_linear(channel / 255) for channel in rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _linear(channel: float) -> float:
    """One sRGB channel without its transfer curve (IEC 61966-2-1)."""
    knee = 0.04045
    return channel / 12.92 if channel <= knee else ((channel + 0.055) / 1.055) ** 2.4


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colors, 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def ink_on(color: str) -> str:
    """The text color (dark or white) that reads better on `color`."""
    return INK if contrast(INK, color) >= contrast(PAPER, color) else PAPER


def ramp(share: float) -> str:
    """The sequential color at `share` (0 lightest, 1 darkest), interpolated between the nine stops."""
    position = min(max(share, 0.0), 1.0) * (len(SEQUENTIAL) - 1)
    index = min(int(position), len(SEQUENTIAL) - 2)
    return mix(SEQUENTIAL[index], SEQUENTIAL[index + 1], position - index)


def classes(count: int) -> tuple[str, ...]:
    """`count` sequential colors from light to dark; the very lightest is left out because paper is white."""
    if count <= 1:
        return (ramp(0.5),)
    return tuple(ramp(0.12 + 0.88 * i / (count - 1)) for i in range(count))


def category_colors(names: Iterable[str]) -> dict[str, str]:
    """A color for each name in the order given; beyond nine names the colors return, paler."""
    unique = list(dict.fromkeys(names))
    return {name: _category(index) for index, name in enumerate(unique)}


def _category(index: int) -> str:
    lap, position = divmod(index, len(CATEGORIES))
    return mix(CATEGORIES[position], PAPER, min(0.35 * lap, 0.7))


class Fills:
    """The fills of one figure: plain colors and, for each texture in use, one SVG pattern."""

    def __init__(self) -> None:
        self._patterns: dict[str, str] = {}

    def fill(self, color: str, basis: str = "") -> str:
        """The value of a `fill` attribute for `color` with the texture of `basis`."""
        texture = TEXTURES.get(basis, "dots")
        if texture == "plain":
            return color
        if texture == "hatch":
            return self.no_data()
        key = f"{texture}-{color[1:]}"
        line = ink_on(color)
        self._patterns.setdefault(key, _pattern(color, line, _MARKS[texture]))
        return f"url(#\x01-{key})"

    def no_data(self) -> str:
        """The fill of missing data: a red hatch on gray."""
        self._patterns.setdefault("none", _pattern(NO_DATA, ALARM, _MARKS["hatch"], opacity=0.9))
        return "url(#\x01-none)"

    def defs(self) -> str:
        """The `<defs>` element of all patterns in use, or nothing."""
        if not self._patterns:
            return ""
        body = "".join(pattern.format(id=f"\x01-{key}") for key, pattern in sorted(self._patterns.items()))
        return f"<defs>{body}</defs>"


_MARKS: dict[str, str] = {
    "stripes": '<path d="M-1,1l2,-2M0,8l8,-8M7,9l2,-2" stroke="{line}" stroke-width="1.1" stroke-opacity="{o}"/>',
    "dots": '<circle cx="2" cy="2" r="1.1" fill="{line}" fill-opacity="{o}"/>'
    '<circle cx="6" cy="6" r="1.1" fill="{line}" fill-opacity="{o}"/>',
    "grid": '<path d="M0,4h8M4,0v8" stroke="{line}" stroke-width="1" stroke-opacity="{o}"/>',
    "hatch": '<path d="M-1,7l2,2M0,0l8,8M7,-1l2,2" stroke="{line}" stroke-width="1.4" stroke-opacity="{o}"/>',
}


def _pattern(color: str, line: str, marks: str, opacity: float = 0.55) -> str:
    drawn = marks.format(line=line, o=opacity)
    return (
        '<pattern id="{id}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect width="8" height="8" fill="{color}"/>{drawn}</pattern>'
    )


def fold_small(totals: Sequence[tuple[str, float]], keep: int) -> tuple[list[str], list[str]]:
    """Splits names into the `keep` largest by absolute total (in the order given) and the rest."""
    ranked = sorted(totals, key=lambda pair: (-abs(pair[1]), pair[0]))
    chosen = {name for name, _ in ranked[:keep]} if len(totals) > keep else {name for name, _ in totals}
    names = [name for name, _ in totals]
    return [n for n in names if n in chosen], [n for n in names if n not in chosen]
