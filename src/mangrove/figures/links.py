# SPDX-License-Identifier: Apache-2.0
"""Maps of streets: lines colored by class over pale outlines of places, thin gray lines where nobody counts, numbered marks.

Comes in: lines in WGS84 degrees (or kilometers of a plane of their own), colors by line. Goes out: one SVG. The two directions of a street
lie side by side, on the right of their way; what does not change from step to step is drawn once for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from mangrove.figures import svg
from mangrove.figures.geo import Shape, middle_of, parts_of, path, project
from mangrove.figures.maps import spread
from mangrove.figures.numbers import number, significant
from mangrove.figures.palette import INK, MUTED, PAPER

Floats = NDArray[np.float64]
HEAT = ("#ffffb2", "#fed976", "#feb24c", "#fd8d3c", "#f03b20", "#bd0026")
"""ColorBrewer 2.0 YlOrRd, six classes: lightness falls from few to many."""
PACE = ("#a50026", "#f46d43", "#fdae61", "#e0f3f8", "#74add1", "#313695")
"""From ColorBrewer 2.0 RdYlBu: slow is red, fast is blue, told apart by color-blind readers."""
CHANGE = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
"""ColorBrewer 2.0 RdBu, seven classes, turned round: less is blue, more is red."""
_SHARES = (0.2, 0.4, 0.6, 0.8, 0.95)
"""Quantiles at which the classes of amounts begin: the last holds the worst twentieth."""
_LAND, _BORDER, _IDLE, _CASE = "#f4f6f3", "#9fb2b6", "#c9cfcc", "#56666a"
_HALO = "#9ed3ec"
"""Around the streets that a map is cut to."""
_BADGE, _MARGIN = 8.5, 0.05


@dataclass(frozen=True, slots=True)
class Road:
    """A line of a map: its key, its name for people, its (k, 2) points in the direction of traffic."""

    id: str
    name: str
    points: Floats


@dataclass(frozen=True, slots=True)
class Mark:
    """A numbered disc at the middle of a line, or at a point (same coordinates as the lines)."""

    text: str
    label: str
    road: str = ""
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes of color: rising limits between them, one color more than limits, and words for each of them."""

    breaks: tuple[float, ...]
    colors: tuple[str, ...]
    words: tuple[str, ...]

    def index(self, value: float) -> int:
        """The class of a value; -1 for what is not a number.

        Example:
            >>> Classes((1.0, 2.0), ("a", "b", "c"), ("", "", "")).index(2.0)
            2
        """
        return sum(value >= limit for limit in self.breaks) if math.isfinite(value) else -1

    def color(self, value: float) -> str:
        """The color of a value, empty for what is not a number."""
        at = self.index(value)
        return self.colors[at] if at >= 0 else ""


def amount_classes(values: Floats, lang: str) -> Classes:
    """Six classes of amounts with limits of two digits at fixed quantiles of all that is above zero."""
    known = values[np.isfinite(values) & (values > 0)]
    rising: list[float] = []
    for edge in np.quantile(known, _SHARES) if known.size else ():
        limit = significant(float(edge), 2)
        if limit > (rising[-1] if rising else 0.0):
            rising.append(limit)
    colors = [HEAT[round(i * (len(HEAT) - 1) / max(len(rising), 1))] for i in range(len(rising) + 1)]
    return Classes(tuple(rising), tuple(colors), _ranges(rising, lang))


def fixed_classes(breaks: Sequence[float], colors: Sequence[str], lang: str, scale: float = 1.0, unit: str = "") -> Classes:  # fmt: skip
    """Classes with limits that are given; words show them times `scale`."""
    return Classes(tuple(breaks), tuple(colors), _ranges([limit * scale for limit in breaks], lang, unit))


def change_classes(values: Floats, lang: str) -> Classes:
    """Seven classes around zero, alike on both sides: limits at the middle and the nine tenths of the sizes of change."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size:
        return Classes((), (CHANGE[3],), ("0",))
    inner, middle, outer = (significant(float(v), 2) for v in np.quantile(sizes, (0.25, 0.6, 0.9)))
    middle, outer = max(middle, inner * 1.5), max(outer, inner * 3, middle * 1.2)
    edges = [significant(v, 2) for v in (-outer, -middle, -inner, inner, middle, outer)]
    return Classes(tuple(edges), CHANGE, _ranges(edges, lang))


def _ranges(limits: Sequence[float], lang: str, unit: str = "") -> tuple[str, ...]:
    """Words of the classes between limits."""
    said = [number(limit, lang) + unit for limit in limits]
    if not said:
        return ("",)
    return (f"< {said[0]}", *(f"{a} – {b}" for a, b in pairwise(said)), f"≥ {said[-1]}")


@dataclass(frozen=True)
class LinkMap:
    """A map of lines without its colors; `draw` gives it some.

    Attributes:
        roads: that can have a color; idle: drawn thin and gray; areas: outlines below them.
        degrees: whether coordinates are longitude and latitude, else kilometers; focus: ids of lines that the map is cut to, all when empty.
        width, tallest: pixels; stroke: width of a line, pixels.
    """

    roads: tuple[Road, ...]
    idle: tuple[Road, ...] = ()
    areas: tuple[Shape, ...] = ()
    degrees: bool = True
    focus: frozenset[str] = frozenset()
    width: float = 760.0
    tallest: float = 560.0
    stroke: float = 4.4

    def draw(
        self, values: Mapping[str, float], classes: Classes, *, title: str, lang: str, subtitle: str = "", tips: Mapping[str, str] | None = None,
        estimated: Mapping[str, float] | None = None, marks: Sequence[Mark] = (), key: bool = True, summary: str = "", most: int = 0,
    ) -> str:  # fmt: skip
        """The map as SVG.

        Args:
            values: by id of line; a line without a number is drawn dashed, so that a gap does not look like nothing.
            classes: of the colors.
            title: what is shown.
            lang: `vi` or `en`.
            subtitle: the unit, above the map when the legend is drawn.
            summary: the map in words.
            tips: words about a line, shown and read out.
            estimated: values of `idle` lines: thinner, without a border.
            marks: numbered discs.
            key: whether the legend is drawn.
            most: lines with words of their own, those with the largest values; all when 0.
        """
        frame = svg.Frame(self.width, lang, title, subtitle if key else "", summary, heading=False)
        top, said = frame.top, tips or {}
        body = [self._estimates(estimated or {}, classes)]
        shown = [road for road in self.roads if road.id in self.lines]
        near = "".join(self.lines[road.id] for road in shown if road.id in self.focus)
        body.append(_stroke(near, _HALO, self.stroke + 10, cap="round"))
        case = "".join(self.lines[road.id] for road in shown)
        body.append(_stroke(case, _CASE, self.stroke + 1.6, cap="round"))
        if most and len(shown) > most:
            ranked = sorted(shown, key=lambda road: -abs(np.nan_to_num(values.get(road.id, 0.0))))
            shown = ranked[:most]
            body += self._together(ranked[most:], values, classes, self.stroke)
        body += [self._road(road, values.get(road.id, math.nan), classes, said) for road in shown]
        drawn = self.ground + "".join(body) + self._marks(marks)
        clip = f'<clipPath id="\x01-clip"><rect width="{svg.num(self.width)}" height="{svg.num(self.height)}"/></clipPath>'
        inside = f'<g clip-path="url(#\x01-clip)">{drawn}</g>'
        border = svg.rect(0.5, 0.5, self.width - 1, self.height - 1, "none", stroke=_BORDER)
        bar = self.scale_bar(lang) if self.factor else ""
        moved = f'<g transform="translate(0 {svg.num(top)})">{clip}{inside}{border}{bar}</g>'
        below = top + self.height + 10
        if key:
            items = [(color, words) for color, words in zip(classes.colors, classes.words, strict=True)]
            legend, high = svg.legend(items, 0, below, self.width)
            moved, below = moved + legend, below + high
        return frame.document(moved, below)

    def _road(self, road: Road, value: float, classes: Classes, tips: Mapping[str, str]) -> str:
        color = classes.color(value)
        tip = svg.title(tips.get(road.id, road.name))
        dash = None if color else "3 4"
        return svg.tag(
            "path", tip, d=self.lines[road.id], fill="none", stroke=color or PAPER, stroke_width=self.stroke,
            stroke_linecap="butt" if dash else "round", stroke_dasharray=dash, vector_effect="non-scaling-stroke",
            data_link=road.id,
        )  # fmt: skip

    def _estimates(self, values: Mapping[str, float], classes: Classes) -> str:
        thin = [road for road in self.idle if road.id in values and road.id in self.lines]
        if not thin:
            return ""
        case = _stroke("".join(self.lines[road.id] for road in thin), _IDLE, self.stroke / 2 + 1.2)
        return svg.tag("g", case, *self._together(thin, values, classes, self.stroke / 2), data_estimated="1")

    def _together(
        self, roads: Sequence[Road], values: Mapping[str, float], classes: Classes, width: float
    ) -> list[str]:
        """Lines without words, one path for each color."""
        found: dict[str, list[str]] = {}
        for road in roads:
            color = classes.color(values.get(road.id, math.nan)) or _IDLE
            found.setdefault(color, []).append(self.lines[road.id])
        return [_stroke("".join(lines), color, width, cap="round") for color, lines in found.items()]

    def _marks(self, marks: Sequence[Mark]) -> str:
        """Discs, moved apart where they would touch, each with a thin line to its place."""
        found = [(mark, spot) for mark in marks if (spot := self._spot(mark)) is not None]
        if not found:
            return ""
        anchors = np.array([spot for _, spot in found])
        parts = [
            _disc(mark, anchor, center)
            for (mark, _), anchor, center in zip(found, anchors, spread(anchors, 2 * _BADGE + 2), strict=True)
        ]
        return svg.tag("g", *parts, data_ranks="1")

    def _spot(self, mark: Mark) -> Floats | None:
        """Pixels of a mark; None outside the frame."""
        if mark.point is not None:
            spot = self.place(self._flat(np.array([mark.point])))[0]
        elif mark.road in self.lines:
            spot = np.asarray(
                shapely.LineString(self._pixels[mark.road]).interpolate(0.5, normalized=True).coords[0]
            )
        else:
            return None
        inside = 0 <= spot[0] <= self.width and 0 <= spot[1] <= self.height
        return spot if inside else None

    # What stays the same from step to step

    @cached_property
    def _middle(self) -> float:
        """The latitude of true scale."""
        return (
            float(np.median(np.concatenate([road.points[:, 1] for road in self.roads])))
            if self.roads
            else 0.0
        )

    def _flat(self, points: Floats) -> Floats:
        """Kilometers, north up."""
        return project(points, self._middle) if self.degrees else points

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in kilometers, with a margin."""
        kept = [road for road in self.roads if road.id in self.focus] or list(self.roads)
        if not kept:
            return 0.0, 0.0, 1.0, 1.0
        points = self._flat(np.concatenate([road.points for road in kept]))
        (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
        edge = (
            max(east - west, north - south, 0.2 if self.focus else 0.02) * _MARGIN * (6 if self.focus else 1)
        )
        return west - edge, south - edge, east + edge, north + edge

    @cached_property
    def factor(self) -> float:
        """Pixels per kilometer."""
        west, south, east, north = self.bounds
        return float(min(self.width / (east - west), self.tallest / (north - south)))

    @cached_property
    def height(self) -> float:
        """Pixels: as high as the lines are, but not flatter than a half of its width."""
        _, south, _, north = self.bounds
        return float(min(max((north - south) * self.factor, self.width * 0.5), self.tallest))

    def place(self, flat: Floats) -> Floats:
        """Pixels of points in kilometers."""
        west, south, east, north = self.bounds
        x = self.width / 2 + (flat[:, 0] - (west + east) / 2) * self.factor
        y = self.height / 2 - (flat[:, 1] - (south + north) / 2) * self.factor
        return np.column_stack([x, y])

    @cached_property
    def _pixels(self) -> Mapping[str, Floats]:
        """Pixels of the lines in the frame; those with a twin of the other direction are moved to the right of their way."""
        ends = {
            road.id: tuple(np.round(road.points[[0, -1]], 6).ravel().tolist())
            for road in (*self.roads, *self.idle)
        }
        known, found = set(ends.values()), {}
        busy = {road.id for road in self.roads}
        for road in (*self.roads, *self.idle):
            spots = self.place(self._flat(road.points))
            low, high = spots.min(axis=0), spots.max(axis=0)
            if high[0] < 0 or high[1] < 0 or low[0] > self.width or low[1] > self.height:
                continue
            spots = np.asarray(shapely.LineString(spots).simplify(0.4).coords)
            a, b, c, d = ends[road.id]
            found[road.id] = (
                aside(spots, self.stroke / 2 + 0.6) if road.id in busy and (c, d, a, b) in known else spots
            )
        return found

    @cached_property
    def lines(self) -> Mapping[str, str]:
        """The `d` attribute of every line in the frame."""
        return {
            name: "M" + "L".join(f"{svg.num(x)},{svg.num(y)}" for x, y in spots.tolist())
            for name, spots in self._pixels.items()
        }

    @cached_property
    def ground(self) -> str:
        """Outlines of places with their names, then all lines that nobody counts as one path."""
        parts: list[str] = []
        named: list[tuple[str, Collection[shapely.Polygon]]] = []
        frame = shapely.box(0, 0, self.width, self.height)
        for part in parts_of(self.areas) if self.areas and self.degrees else []:
            shape = self.areas[part.owner]
            moved = shapely.transform(part.polygon, lambda xy: self.place(xy * self._turn))
            seen = moved.intersection(frame) if moved.intersects(frame) else None
            if seen is None or seen.is_empty:
                continue
            pieces = [one for one in shapely.get_parts(seen) if one.geom_type == "Polygon"]
            parts.append(svg.tag("path", svg.title(shape.name), d=path(pieces, np.asarray), fill=_LAND))
            named.append((shape.name, pieces))
        idle = "".join(self.lines[road.id] for road in self.idle if road.id in self.lines)
        areas = (
            svg.tag(
                "g", *parts, stroke=_BORDER, stroke_width="1", stroke_dasharray="5 3", stroke_linejoin="round"
            )
            if parts
            else ""
        )
        names = _names(named, self.width, self.height)
        back = svg.rect(0, 0, self.width, self.height, "#fbfcfb")
        return (
            back + areas + _stroke(idle, _IDLE, 1.5) + (svg.tag("g", *names, data_names="1") if names else "")
        )

    @cached_property
    def _turn(self) -> Floats:
        """From the plane of `parts_of`, true at the middle of the areas, to that of the lines."""
        own = middle_of(self.areas)
        return np.array([math.cos(math.radians(self._middle)) / math.cos(math.radians(own)), 1.0])

    def scale_bar(self, lang: str) -> str:
        """A bar of 1, 2 or 5 times a power of ten kilometers."""
        room = 110 / self.factor
        power = 10.0 ** math.floor(math.log10(room))
        length = max(step * power for step in (1, 2, 5) if step * power <= room)
        y, end = self.height - 10, 12 + length * self.factor
        bar = svg.tag("path", d=f"M12,{svg.num(y - 4)}v4H{svg.num(end)}v-4", fill="none", stroke=INK)
        shown = f"{length * 1000:g} m" if length < 1 else f"{number(length, lang)} km"
        return svg.tag("g", bar, svg.label(end + 6, y, shown, size=11, halo=True), data_names="1")


def aside(spots: Floats, distance: float) -> Floats:
    """A line moved to the right of its direction on a screen (y down), corners by the mean of their two normals.

    Example:
        >>> aside(np.array([[0.0, 0.0], [10.0, 0.0]]), 2.0).tolist()
        [[0.0, 2.0], [10.0, 2.0]]
    """
    steps = np.diff(spots, axis=0)
    length = np.hypot(steps[:, 0], steps[:, 1])
    kept = length > 0
    if not kept.any():
        return spots
    normals = np.column_stack([-steps[kept, 1], steps[kept, 0]]) / length[kept, None]
    line = spots[np.concatenate([[True], kept])]
    around = np.concatenate([normals[:1], normals]) + np.concatenate([normals, normals[-1:]])
    size = np.hypot(around[:, 0], around[:, 1])
    unit = around / np.maximum(size, 1e-9)[:, None]
    moved: Floats = line + unit * (distance / np.maximum(size / 2, 0.5))[:, None]
    return moved


def _stroke(lines: str, color: str, width: float, cap: str = "") -> str:
    """Many lines as one path."""
    if not lines:
        return ""
    return svg.tag(
        "path", d=lines, fill="none", stroke=color, stroke_width=width, stroke_linecap=cap or None, stroke_linejoin="round",
        vector_effect="non-scaling-stroke",
    )  # fmt: skip


def _disc(mark: Mark, anchor: Floats, center: Floats) -> str:
    (ax, ay), (cx, cy) = anchor.tolist(), center.tolist()
    lead = svg.line(ax, ay, cx, cy, INK, stroke_width="0.8") if math.hypot(cx - ax, cy - ay) > _BADGE else ""
    disc = svg.tag("circle", cx=cx, cy=cy, r=_BADGE, fill=INK, stroke=PAPER, stroke_width="1.2")
    number_ = svg.label(cx, cy + 3.6, mark.text, size=10, anchor="middle", bold=True, fill=PAPER)
    return svg.tag("g", svg.title(mark.label), lead, disc, number_)


def _names(
    places: Sequence[tuple[str, Collection[shapely.Polygon]]], width: float, height: float
) -> list[str]:
    """Names of places, the largest first, where they have room inside their outline, the frame and beside each other."""
    taken: list[shapely.Polygon] = []
    drawn = []
    ranked = [(name, max(pieces, key=lambda one: one.area)) for name, pieces in places if name and pieces]
    for name, largest in sorted(ranked, key=lambda one: -one[1].area):
        spot, half = shapely.point_on_surface(largest), svg.text_width(name, 11) / 2
        box = shapely.box(spot.x - half, spot.y - 11, spot.x + half, spot.y + 4)
        inside = spot.x - half > 0 and spot.x + half < width and spot.y < height - 4
        if (
            inside
            and box.intersection(largest).area > box.area * 0.7
            and not any(box.intersects(one) for one in taken)
        ):
            taken.append(box)
            drawn.append(svg.label(spot.x, spot.y, name, size=11, anchor="middle", fill=MUTED, halo=True))
    return drawn
