# SPDX-License-Identifier: Apache-2.0
"""Maps of places by amount: classes of color, textures for the basis, the largest places numbered and listed.

Comes in: areas with GeoJSON outlines (or schematic cells) and a number for each. Goes out: one SVG. Far islands stand
in a frame of their own; a place without a number is hatched red, never drawn as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mangrove import messages
from mangrove.figures import numbers, svg
from mangrove.figures.geo import Panel, Part, Shape, middle_of, panels, parts_of, path, project
from mangrove.figures.palette import (
    ALARM,
    FAINT,
    INK,
    MUTED,
    NO_DATA,
    PAPER,
    REMOVAL,
    TEXTURES,
    Fills,
    classes,
    ink_on,
)
from mangrove.figures.pins import Pin, draw_pins
from mangrove.figures.texture import marks

Placer = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_SIDE, _GUTTER = 236.0, 20.0
_TALLEST, _INSET_TALLEST = 640.0, 130.0
_BADGE, _SLACK = 8.5, 4.0


def choropleth(
    shapes: Sequence[Shape],
    values: Mapping[str, float],
    *,
    title: str,
    unit: str = "t CO2e",
    lang: str = "vi",
    width: float = 800,
    basis: Mapping[str, str] | None = None,
    class_count: int = 5,
    top: int = 10,
    hidden: Collection[str] = (),
    keyed: bool = False,
    heading: bool = True,
    like: Collection[float] = (),
    pins: Sequence[Pin] = (),
) -> str:
    """A map of areas colored by amount.

    Args:
        shapes: the areas; those without a geometry are counted in a note.
        values: amount by area id; a missing or non-finite amount is hatched as "no data".
        title: what is shown.
        unit: unit of the amounts.
        lang: `vi` or `en`.
        width: pixels.
        basis: how each number came about, by area id (`measured`, `modelled`, ...): drawn as a texture.
        class_count: number of color classes, 2 to 7.
        top: how many of the largest places are numbered and listed.
        hidden: ids of areas whose amount is known but may not be shown; they have a gray grid and no number.
        keyed: whether each area carries its id as `data-place`, so that a page can find it.
        heading: whether the title is drawn (it is always read out).
        like: amounts whose unit and classes this map takes over, so that several maps can be compared; its own when empty.
        pins: points drawn on top of the main body.
    """
    shown = [shape for shape in shapes if shape.id not in hidden]
    finite = {s.id: float(values[s.id]) for s in shown if numbers.is_number(values.get(s.id))}
    ruling = [v for v in like if numbers.is_number(v)] or list(finite.values())
    scaling = numbers.scale(_usual(ruling), unit, lang)
    ranked = sorted((s for s in shapes if finite.get(s.id, 0.0) > 0), key=lambda s: (-finite[s.id], s.id))
    ruling = [v for v in ruling if v >= 0]
    breaks = class_breaks(ruling, class_count)
    reach = (min(ruling), max(ruling)) if ruling else None
    sheet = _Sheet(
        shapes, finite, basis or {}, ranked[:top], breaks, scaling, Fills(), frozenset(hidden), keyed=keyed,
        reach=reach, pins=tuple(pins),
    )  # fmt: skip
    frame = svg.Frame(width, lang, title, sheet.subtitle(), sheet.summary(), heading)
    groups = panels(parts_of(shapes))
    start, side_x = frame.top + 4, width - _SIDE
    main, main_height = sheet.main(groups, 0, start, side_x - _GUTTER)
    side, side_height = sheet.side(side_x, start)
    insets, inset_height = sheet.insets(groups[1:], side_x, start + side_height)
    bottom = start + max(main_height, side_height + inset_height)
    notes, note_height = _notes(
        shown, {k: v for k, v in values.items() if k not in hidden}, scaling, bottom, width
    )
    return frame.document(main + side + insets + notes, bottom + note_height + 4, sheet.fills)


def _usual(values: Iterable[float]) -> float | None:
    """An amount that four fifths of the places stay below: it chooses the unit better than the single largest."""
    found = [abs(value) for value in values]
    return float(np.quantile(found, 0.8)) if found else None


def class_breaks(values: Sequence[float], count: int = 5) -> list[float]:
    """Inner class limits at equal counts, rounded to two significant digits, strictly rising.

    Example:
        >>> class_breaks([1, 2, 3, 4, 5, 6, 7, 8, 9, 1000], 2)
        [5.5]
    """
    if not values:
        return []
    wanted = min(max(count, 2), 7)
    edges = np.quantile(np.asarray(values, float), np.arange(1, wanted) / wanted)
    rising: list[float] = []
    for edge in (numbers.significant(float(e), 2) for e in edges):
        if min(values) < edge <= max(values) and (not rising or edge > rising[-1]):
            rising.append(edge)
    return rising


@dataclass(frozen=True)
class _Sheet:
    """One map being drawn: areas, amounts, and how amounts become fills."""

    shapes: Sequence[Shape]
    values: Mapping[str, float]
    basis: Mapping[str, str]
    listed: Sequence[Shape]
    breaks: Sequence[float]
    scaling: numbers.Scale
    fills: Fills
    hidden: frozenset[str] = frozenset()
    keyed: bool = False
    reach: tuple[float, float] | None = None
    pins: tuple[Pin, ...] = ()

    @property
    def lang(self) -> str:
        return self.scaling.lang

    def summary(self) -> str:
        """The map in words: how many places, the largest ones, how many have no data."""
        largest = "; ".join(f"{s.name} {self.scaling.full(self.values[s.id])}" for s in self.listed[:3])
        return messages.render(
            "figures.map_summary",
            self.lang,
            places=len(self.shapes),
            largest=largest or numbers.no_data(self.lang),
            missing=sum(s.id not in self.values and s.id not in self.hidden for s in self.shapes),
        )

    def subtitle(self) -> str:
        """The unit, and whether the outlines are made up."""
        made_up = any(shape.schematic for shape in self.shapes)
        words = messages.render("figures.schematic_short", self.lang) if made_up else ""
        return " · ".join(part for part in (self.scaling.label, words) if part)

    def color(self, shape: Shape) -> str:
        """The plain color of an area: its class, removals, or the gray under "no data"."""
        value = self.values.get(shape.id)
        if value is None:
            return NO_DATA
        if value < 0:
            return REMOVAL
        return classes(len(self.breaks) + 1)[int(np.searchsorted(self.breaks, value, side="right"))]

    def texture(self, shape: Shape) -> tuple[str, str]:
        """Texture and ink of an area: the red hatch of "no data", else the marks of its basis."""
        if shape.id in self.hidden:
            return "grid", MUTED
        if shape.id not in self.values:
            return "hatch", ALARM
        return TEXTURES.get(self.basis.get(shape.id, ""), "dots"), ink_on(self.color(shape))

    def main(self, groups: Sequence[Panel], x: float, y: float, room: float) -> tuple[str, float]:
        """The main body with its badges and its scale bar; the SVG and its height."""
        if not groups:
            return "", 0.0
        wide, high = groups[0].size
        factor = min((room - 4) / wide, _TALLEST / high)
        place = _placer(groups[0], factor, x + 2 + (room - 4 - wide * factor) / 2, y)
        height = high * factor + 26
        body = self.areas(groups[0].parts, place) + self.badges(groups[0].parts, place)
        if self.pins:
            middle = middle_of(self.shapes)
            box = (x, y - _SLACK, x + room, y + high * factor + _SLACK)
            body += draw_pins(self.pins, lambda spots: place(project(spots, middle)), box)
        return body + _scale_bar(factor, x, y + height - 6, self.lang), height

    def areas(self, parts: Sequence[Part], place: Placer) -> str:
        """One path for each area with its name and number as tooltip, then the textures over all of them."""
        owned: dict[int, list[shapely.Polygon]] = {}
        textured: dict[tuple[str, str], list[shapely.Polygon]] = {}
        for part in parts:
            owned.setdefault(part.owner, []).append(part.polygon)
            textured.setdefault(self.texture(self.shapes[part.owner]), []).append(part.polygon)
        drawn = []
        for owner, polygons in owned.items():
            shape = self.shapes[owner]
            tip = svg.title(f"{shape.name}: {self.told(shape)}")
            key = shape.id if self.keyed else None
            drawn.append(
                svg.tag("path", tip, d=path(polygons, place), fill=self.color(shape), data_place=key)
            )
        over = [
            marks([shapely.transform(p, place) for p in polygons], texture, ink)
            for (texture, ink), polygons in sorted(textured.items(), key=lambda item: item[0])
            if texture != "plain"
        ]
        areas = svg.tag(
            "g", *drawn, stroke=PAPER, stroke_width="0.6", stroke_linejoin="round", fill_rule="evenodd"
        )
        return areas + (svg.tag("g", *over, pointer_events="none") if over else "")

    def told(self, shape: Shape) -> str:
        """The amount of an area in words."""
        if shape.id in self.hidden:
            return messages.render("figures.not_shown", self.lang)
        return self.scaling.full(self.values.get(shape.id))

    def badges(self, parts: Sequence[Part], place: Placer) -> str:
        """The rank of each listed place inside its largest part, moved apart where they would touch."""
        rank = {shape.id: index for index, shape in enumerate(self.listed, start=1)}
        largest: dict[str, shapely.Polygon] = {}
        for part in parts:
            key = self.shapes[part.owner].id
            if key in rank and (key not in largest or part.polygon.area > largest[key].area):
                largest[key] = part.polygon
        if not largest:
            return ""
        spots = np.array([shapely.point_on_surface(polygon).coords[0] for polygon in largest.values()])
        anchors = place(spots)
        drawn = "".join(
            _badge(rank[key], anchor, center)
            for key, anchor, center in zip(largest, anchors, spread(anchors, 2 * _BADGE + 1), strict=True)
        )
        return self._ranked(drawn)

    def _ranked(self, drawn: str) -> str:
        """What hangs on the order of the places, marked so that a page can hide it while other amounts are shown."""
        return svg.tag("g", drawn, data_ranks="1") if self.keyed and drawn else drawn

    def side(self, x: float, y: float) -> tuple[str, float]:
        """The legend and the ranked list; the SVG and its height."""
        parts, top = [], y
        for fill, words in self.classes() + self.textures():
            parts.append(svg.rect(x, top, 22, 14, fill, stroke=FAINT, stroke_width="0.5"))
            parts.append(svg.label(x + 30, top + 11, words, limit=_SIDE - 30))
            top += 20
        ranked: list[str] = []
        if self.listed:
            top += 14
            head = messages.render("figures.largest", self.lang, count=len(self.listed))
            ranked.append(svg.label(x, top + 8, head, bold=True, limit=_SIDE))
            top += 18
        decimals = self.scaling.decimals(self.values[self.listed[-1].id]) if self.listed else 0
        for rank, shape in enumerate(self.listed, start=1):
            shown = self.scaling.column(self.values[shape.id], decimals=decimals)
            room = _SIDE - 24 - svg.text_width(shown) - 10
            ranked.append(_badge(rank, (x + _BADGE, top + 7), (x + _BADGE, top + 7)))
            ranked.append(svg.label(x + 24, top + 11, shape.name, limit=room))
            ranked.append(svg.label(x + _SIDE, top + 11, shown, anchor="end"))
            top += 20
        return "".join(parts) + self._ranked("".join(ranked)), top - y

    def classes(self) -> list[tuple[str, str]]:
        """Fill and words of each class in use, largest first, then removals and "no data"."""
        numbers_ = [v for v in self.values.values() if v >= 0]
        rows = []
        if self.reach is not None:
            edges = [self.reach[0], *self.breaks, self.reach[1]]
            colors = classes(len(self.breaks) + 1)
            text = [self.scaling.text(edge) for edge in edges]
            rows = [
                (color, f"{a} – {b}" if a != b else a)
                for color, a, b in zip(colors, text, text[1:], strict=False)
            ]
        rows.reverse()
        if len(numbers_) < len(self.values):
            rows.append((REMOVAL, messages.render("figures.removal", self.lang)))
        if any(shape.id not in self.values and shape.id not in self.hidden for shape in self.shapes):
            rows.append((self.fills.no_data(), numbers.no_data(self.lang)))
        if any(shape.id in self.hidden for shape in self.shapes):
            rows.append(
                (self.fills.fill(NO_DATA, "generated"), messages.render("figures.not_shown", self.lang))
            )
        return rows

    def textures(self) -> list[tuple[str, str]]:
        """Fill and words of each textured basis in use."""
        used = {self.basis.get(shape.id, "") for shape in self.shapes if shape.id in self.values}
        return svg.textures(self.fills, classes(3)[1], used, self.lang)

    def insets(self, groups: Sequence[Panel], x: float, y: float) -> tuple[str, float]:
        """Far groups, each in a frame with its own scale; the SVG and its height."""
        parts, top = [], y + 12
        for group in groups:
            wide, high = group.size
            factor = min((_SIDE - 24) / wide, _INSET_TALLEST / high)
            height = max(high * factor, 30.0) + 48
            left = x + 12 + (_SIDE - 24 - wide * factor) / 2
            place = _placer(group, factor, left, top + 24 + (height - 48 - high * factor) / 2)
            names = ", ".join(dict.fromkeys(self.shapes[part.owner].name for part in group.parts))
            parts.append(svg.rect(x, top, _SIDE, height, "none", stroke=FAINT, stroke_dasharray="3 3"))
            parts.append(svg.label(x + 8, top + 15, names, size=11, limit=_SIDE - 16))
            parts.append(self.areas(group.parts, place) + self.badges(group.parts, place))
            parts.append(_scale_bar(factor, x + 8, top + height - 7, self.lang, longest=_SIDE / 3))
            top += height + 10
        return "".join(parts), top - y


def _placer(panel: Panel, factor: float, x: float, y: float) -> Placer:
    """A function from kilometers to pixels, north up, the panel's corner at (x, y)."""
    west, _, _, north = panel.bounds

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([(points[:, 0] - west) * factor + x, (north - points[:, 1]) * factor + y])

    return place


def spread(anchors: NDArray[np.float64], distance: float, rounds: int = 60) -> NDArray[np.float64]:
    """Positions near `anchors` (n, 2) that are at least about `distance` apart; the same for the same input."""
    spots = anchors.astype(float).copy()
    spots += np.outer(np.arange(len(spots)), (0.013, 0.007))  # two at one spot need a direction to part
    for _ in range(rounds):
        gap = spots[:, None] - spots[None, :]
        length = np.hypot(gap[..., 0], gap[..., 1])
        np.fill_diagonal(length, np.inf)
        overlap = np.maximum(distance - length, 0.0)  # zero on the diagonal, where the length is infinite
        push = overlap / 2 / np.maximum(length, 1e-9)
        if not push.any():
            break
        spots += (gap * push[..., None]).sum(axis=1) * 0.9
    return spots


def _badge(rank: int, anchor: Sequence[float], center: Sequence[float]) -> str:
    """A numbered disc; a thin line leads to its place when it had to move."""
    (ax, ay), (cx, cy) = (float(anchor[0]), float(anchor[1])), (float(center[0]), float(center[1]))
    moved = math.hypot(cx - ax, cy - ay) > _BADGE
    lead = (
        svg.line(ax, ay, cx, cy, INK, stroke_width="0.8") + svg.tag("circle", cx=ax, cy=ay, r=1.6)
        if moved
        else ""
    )
    disc = svg.tag("circle", cx=cx, cy=cy, r=_BADGE, fill=PAPER, stroke=INK, stroke_width="0.9")
    return lead + disc + svg.label(cx, cy + 3.6, str(rank), size=10, anchor="middle", bold=True)


def _scale_bar(factor: float, x: float, y: float, lang: str, longest: float = 110) -> str:
    """A bar of 1, 2 or 5 times a power of ten kilometers, at most `longest` pixels."""
    room = longest / factor
    power = 10.0 ** math.floor(math.log10(room))
    length = max(step * power for step in (1, 2, 5) if step * power <= room)
    end = x + length * factor
    bar = svg.tag("path", d=f"M{svg.num(x)},{svg.num(y - 4)}v4H{svg.num(end)}v-4", fill="none", stroke=MUTED)
    shown = f"{length * 1000:g} m" if length < 1 else f"{numbers.number(length, lang)} km"
    return bar + svg.label(end + 6, y, shown, size=11, fill=MUTED)


def _notes(
    shapes: Sequence[Shape], values: Mapping[str, float], scaling: numbers.Scale, y: float, width: float
) -> tuple[str, float]:
    """What the map cannot show: schematic outlines, places without an outline, amounts without a place."""
    rows = []
    if any(shape.schematic for shape in shapes):
        rows.append(messages.render("figures.schematic", scaling.lang))
    hidden = [shape for shape in shapes if shape.geometry is None]
    if hidden:
        amount = sum(v for s in hidden if numbers.is_number(v := values.get(s.id, math.nan)))
        rows.append(
            messages.render("figures.unplaced", scaling.lang, count=len(hidden), amount=scaling.full(amount))
        )
    known = {shape.id for shape in shapes}
    strays = [v for key, v in values.items() if key not in known and numbers.is_number(v)]
    if strays:
        shown = scaling.full(sum(strays))
        rows.append(messages.render("figures.elsewhere", scaling.lang, count=len(strays), amount=shown))
    parts, top = [], y + 14
    for row in rows:
        for text in svg.wrap(row, width - 10, 11.5, lines=3):
            parts.append(svg.label(0, top, text, size=11.5, fill=ALARM))
            top += 16
    return "".join(parts), top - y - 10
