# SPDX-License-Identifier: Apache-2.0
"""The map: which places emit, take energy or take water most, as areas, as a ranked list, and as data.

Comes in: the live state and a view; in its address also what to show (`metric`, `norm`, `level`, `sector`), the order of the list (`sort`)
and a name to look for (`q`), a step (`every`) and an instant (`t`) of a map in time. Goes out: one model for the page and its twins. The
drawn map is in the page from the start; a script replaces it by one that can be moved where the machine can draw that, and plays the
steps; both take colors, classes and textures from the same model, and the classes are those of all steps together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa

from mangrove import messages
from mangrove import text as words
from mangrove.errors import RequestError, did_you_mean
from mangrove.figures import Shape, choropleth, numbers
from mangrove.figures.maps import class_breaks
from mangrove.figures.palette import NO_DATA, REMOVAL, TEXTURES, classes
from mangrove.measure.plan import NOWCAST
from mangrove.measure.result import Emissions
from mangrove.serve import nowcast_bands
from mangrove.serve.basemap import default_path, outlines
from mangrove.serve.basemap.route import BASEMAP, PLACES
from mangrove.serve.map_frames import Frames, frames, steps_of
from mangrove.serve.map_pins import Points, points
from mangrove.serve.map_values import (
    NORMS,
    Asked,
    Cell,
    Field,
    MapValues,
    amount_unit,
    area_of,
    laid,
    levels_of,
    metrics_of,
    values,
)
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice, written
from mangrove.territory.model import Flow, Place
from mangrove.times import Span

SORTS = ("amount", "name")
METRIC = "emission"
"""What is shown in time: the other metrics are amounts of a whole period."""
_OWN = ("metric", "norm", "level", "sector", "sort", "q", "every", "t")
_LONGEST = 80


@dataclass(frozen=True)
class FlowRow:
    """A flow of the place in focus: its amount over the span in its own unit, and what it emits (t CO2e); NaN when not known."""

    flow: Flow
    amount: float
    unit: str
    tonnes: float


class Look:
    """How amounts become colors, textures and words of a legend; the same for the drawing and for the map that can be moved."""

    def __init__(
        self, cells: Sequence[Cell], scaling: numbers.Scale, like: Sequence[float] | None = None
    ) -> None:
        self.cells = cells
        self.scaling = scaling
        self.like = [cell.value for cell in cells] if like is None else like

    @cached_property
    def _known(self) -> list[float]:
        """The amounts that rule the classes."""
        return [value for value in self.like if math.isfinite(value) and value >= 0]

    @cached_property
    def breaks(self) -> tuple[float, ...]:
        """Inner limits of the classes of color."""
        return tuple(class_breaks(self._known))

    def color(self, cell: Cell) -> str:
        """The color of a place."""
        if not math.isfinite(cell.value):
            return NO_DATA
        if cell.value < 0:
            return REMOVAL
        return classes(len(self.breaks) + 1)[sum(cell.value >= limit for limit in self.breaks)]

    def texture(self, cell: Cell) -> str:
        """The texture of a place: how its number came about, that it has none, or that it is not shown."""
        if cell.hidden:
            return "hidden"
        return TEXTURES.get(cell.basis, "dots") if math.isfinite(cell.value) else "hatch"

    @cached_property
    def legend(self) -> Sequence[tuple[str, str, str]]:
        """Color, texture and words of each class, the largest first, then of each texture in use."""
        lang, cells = self.scaling.lang, self.cells
        known, rows = self._known, []
        if known:
            edges = [self.scaling.text(edge) for edge in (min(known), *self.breaks, max(known))]
            colors = classes(len(self.breaks) + 1)
            rows = [
                (color, "plain", f"{a} – {b}" if a != b else a)
                for color, a, b in zip(colors, edges, edges[1:], strict=False)
            ][::-1]
        if any(cell.value < 0 for cell in cells):
            rows.append((REMOVAL, "plain", messages.render("figures.removal", lang)))
        used = dict.fromkeys(self.texture(cell) for cell in cells)
        middle = classes(3)[1]
        named: dict[str, list[str]] = {}
        for basis in dict.fromkeys(cell.basis for cell in cells if cell.basis and math.isfinite(cell.value)):
            named.setdefault(TEXTURES.get(basis, "dots"), []).append(
                messages.render(f"figures.basis_{basis}", lang)
            )
        rows += [(middle, texture, ", ".join(said)) for texture, said in named.items()]
        if "hatch" in used:
            rows.append((NO_DATA, "hatch", numbers.no_data(lang)))
        if "hidden" in used:
            rows.append((NO_DATA, "hidden", messages.render("figures.not_shown", lang)))
        return rows


@dataclass(frozen=True)
class MapPage:
    """What the map shows.

    Attributes:
        view: what the address says; found: the amounts by place; asked: what is shown.
        sort, search: the order of the list, and the name looked for.
        metrics, levels: what can be chosen here; sectors: ids and names.
        flows: those of the place in focus that the reader may see, the largest first.
        above: the place above the focus, None at the top; tiles: whether there is a basemap.
        points: sensors and located sources; frames: the steps of a map in time; steps: words of the steps that can be chosen.
        nowcast: what is kept of the nowcast that is shown, None for other runs.
    """

    view: View
    found: MapValues
    sort: str
    search: str
    metrics: tuple[str, ...]
    levels: tuple[str, ...]
    sectors: Mapping[str, str]
    flows: tuple[FlowRow, ...]
    above: Place | None
    tiles: bool
    points: Points
    frames: Frames | None = None
    steps: tuple[str, ...] = ()
    nowcast: nowcast_bands.Known | None = None

    # What the page shows

    @property
    def asked(self) -> Asked:
        """What is shown."""
        return self.found.asked

    @property
    def shown(self) -> Span:
        """The time whose amounts are shown: the whole span, or one step of it."""
        return self.frames.span if self.frames else self.view.span

    @cached_property
    def _like(self) -> list[float]:
        """The amounts that rule unit and classes: of all steps, or of the places."""
        if self.frames:
            return list(self.frames.values.ravel().tolist())
        return [cell.value for cell in self.found.cells]

    @cached_property
    def scaling(self) -> numbers.Scale:
        """The unit of all numbers of the page: kt rather than t when four fifths of the places are as large."""
        sizes = sorted(abs(value) for value in self._like if math.isfinite(value))
        usual = sizes[round(0.8 * (len(sizes) - 1))] if sizes else None
        return numbers.scale(usual, self.asked.unit, self.view.lang)

    @property
    def empty(self) -> bool:
        """Whether the period has no values."""
        return not any(cell.hidden or math.isfinite(cell.value) for cell in self.found.cells)

    @property
    def label(self) -> str:
        """The unit of all numbers of the page, for people."""
        return numbers.typeset(self.scaling.label)

    @property
    def total(self) -> str:
        """The total of the focus with its unit, before dividing."""
        unit = Asked(self.asked.metric).unit
        return numbers.typeset(numbers.scale(self.found.total, unit, self.view.lang).full(self.found.total))

    @property
    def norms(self) -> tuple[str, ...]:
        """What the amounts can be divided by: only what some place has a number for."""
        places = [cell.place for cell in self.found.cells]
        known = {
            "none": True,
            "person": any(place.population for place in places),
            "area": any(area_of(place) for place in places),
        }
        return tuple(norm for norm in NORMS if known[norm])

    @property
    def schematic(self) -> bool:
        """Whether the outlines are made up around centers."""
        return any(one.schematic for one in self.shapes)

    @cached_property
    def shapes(self) -> Sequence[Shape]:
        """The outlines of the places."""
        drawn = outlines.shapes(self.view.territory, [cell.place.id for cell in self.found.cells])
        names = {cell.place.id: self.name(cell) for cell in self.found.cells}
        return [replace(one, name=names[one.id]) for one in drawn]

    @cached_property
    def look(self) -> Look:
        """Colors, textures and legend."""
        return Look(self.found.cells, self.scaling, self._like)

    @cached_property
    def ranks(self) -> Mapping[str, int]:
        """The rank of each place by amount, 1 the largest."""
        known = [cell for cell in self.found.cells if math.isfinite(cell.value)]
        ordered = sorted(known, key=lambda cell: (-cell.value, cell.place.id))
        return {cell.place.id: rank for rank, cell in enumerate(ordered, start=1)}

    @cached_property
    def listed(self) -> Sequence[Cell]:
        """The list beside the map: in the order asked for, and only names that hold what is looked for."""
        wanted = words.fold(self.search)
        known = [cell for cell in self.found.cells if self._named(cell)]
        found = [cell for cell in known if wanted in words.fold(cell.place.name)]
        last = len(self.found.cells) + 1
        if self.sort == "name":
            return sorted(found, key=lambda cell: (words.sort_key(cell.place.name), cell.place.id))
        return sorted(
            found, key=lambda cell: (self.ranks.get(cell.place.id, last), words.sort_key(cell.place.name))
        )

    def _named(self, cell: Cell) -> bool:
        """Whether the reader may know whose place it is; the others of a park are one row and nameless areas to a tenant."""
        return not cell.hidden or self.view.scope.suppresses

    def name(self, cell: Cell) -> str:
        """The name of a place for the reader."""
        return cell.place.name if self._named(cell) else messages.render("page_map.another", self.view.lang)

    def link(self, **changes: str) -> str:
        """The address of this map with one thing changed."""
        return self.view.link("map", **(self._own() | changes))

    def twin(self, path: str) -> str:
        """The address of data for the script: the same question, nothing of the list."""
        said = {name: text for name, text in self._own().items() if name not in {"sort", "q"}}
        return f"/{path}?{self.view.query(**said)}"

    def _geometry(self) -> str:
        """The address of the outlines."""
        if self.tiles:
            return BASEMAP
        return f"{PLACES}?" + urlencode({"place": self.view.place, "level": self.asked.level})

    def _own(self) -> dict[str, str]:
        return {name: self.view.params[name] for name in _OWN if self.view.params.get(name)}

    def why(self, cell: Cell) -> str:
        """The address of the proof of an emission; empty for what no single row of a measurement shows, or the reader may not open."""
        proved = self.asked.metric == "emission" and self.found.column and math.isfinite(cell.low)
        if not proved or not self.view.scope.sees(cell.place.id):
            return ""
        period = written(self.shown, self.view.tz)
        if self.asked.sector:
            key = f"{cell.place.id},{self.asked.sector}"
            return self.view.why(by=f"{self.found.column},sector", key=key, period=period)
        return self.view.why(by=self.found.column, key=cell.place.id, period=period)

    def title(self, lang: str) -> str:
        """What the map shows, in words."""
        what = messages.render(f"page_map.metric_{self.asked.metric}", lang)
        per = "" if self.asked.norm == "none" else messages.render(f"page_map.per_{self.asked.norm}", lang)
        sector = self.sectors.get(self.asked.sector, "")
        return ", ".join(part for part in (f"{what} {per}".strip(), sector) if part)

    # Its twins

    def json(self) -> dict[str, Any]:
        """Values keyed by place, with colors and classes; no outlines."""
        found = self.found
        return {
            "metric": self.asked.metric,
            "norm": self.asked.norm,
            "level": self.asked.level,
            "sector": self.asked.sector,
            "unit": self.asked.unit,
            "span": {"start": self.shown.start, "end": self.shown.end},
            "run": self.view.scenario,
            "focus": found.focus.id if found.focus else None,
            "total": found.total,
            "total_unit": Asked(self.asked.metric).unit,
            "elsewhere": found.elsewhere,
            "others": found.rest,
            "breaks": self.look.breaks,
            "geometry": {
                "kind": "pmtiles" if self.tiles else "geojson",
                "address": self._geometry(),
                "bounds": outlines.frame(self.shapes),
            },
            "places": {cell.place.id: self._cell(cell) for cell in found.cells},
            "sources": [one.json() for one in self.points.sources],
            "pins": self.points.geojson(self.view.lang),
            "frames": self._frames(),
        }

    def _frames(self) -> dict[str, Any] | None:
        """The steps as data, with what a script needs to color and write them."""
        if self.frames is None:
            return None
        look, scaling = self.look, self.scaling
        said = {"divisor": scaling.divisor, "label": numbers.typeset(scaling.label)}
        colors = classes(len(look.breaks) + 1)
        more = {
            "colors": colors,
            "breaks": look.breaks,
            "no_data": NO_DATA,
            "removal": REMOVAL,
            "scale": said,
        }
        return (
            self.frames.json() | more | {"instants": [word for word, _ in self.frames.instants(self.view.tz)]}
        )

    def _cell(self, cell: Cell) -> dict[str, Any]:
        return {
            "name": self.name(cell),
            "kind": cell.place.kind,
            "value": cell.value,
            "low": cell.low,
            "high": cell.high,
            "shown": messages.render("figures.not_shown", self.view.lang)
            if cell.hidden
            else numbers.typeset(self.scaling.full(cell.value)),
            "rank": self.ranks.get(cell.place.id),
            "basis": cell.basis,
            "coverage": cell.coverage,
            "hidden": cell.hidden,
            "named": self._named(cell),
            "color": self.look.color(cell),
            "texture": self.look.texture(cell),
        }

    def tables(self) -> dict[str, pa.Table]:
        """The list, and the flows of the place in focus."""
        cells = self.listed
        columns: dict[str, Sequence[Any]] = {
            "place": [cell.place.id for cell in cells],
            "name": [cell.place.name for cell in cells],
            "value": [_known(cell.value) for cell in cells],
            "low": [_known(cell.low) for cell in cells],
            "high": [_known(cell.high) for cell in cells],
            "unit": [self.asked.unit] * len(cells),
            "basis": [cell.basis for cell in cells],
            "coverage": [_known(cell.coverage) for cell in cells],
            "hidden": [cell.hidden for cell in cells],
        }
        flows: dict[str, Sequence[Any]] = {
            "flow": [row.flow.id for row in self.flows],
            "name": [row.flow.name for row in self.flows],
            "amount": [_known(row.amount) for row in self.flows],
            "unit": [row.unit for row in self.flows],
            "t_co2e": [_known(row.tonnes) for row in self.flows],
        }
        sources = [
            {name: value for name, value in one.json().items() if isinstance(value, str | int | float)}
            for one in self.points.sources
        ]
        found = {"places": _table(columns), "flows": _table(flows)}
        if sources:
            found["sources"] = pa.Table.from_pylist(sources)
        if self.frames is not None:
            found["frames"] = self._courses(self.frames)
        return found

    def _courses(self, found: Frames) -> pa.Table:
        """All steps of all places that may be shown, one row each."""
        times, rows = found.values.shape
        return pa.table(
            {
                "start": pa.array([start for start in found.starts for _ in range(rows)]),
                "place": pa.array(list(found.places) * times),
                "value": pa.array(found.values.ravel(), from_pandas=True),
            }
        ).filter(pa.array(found.values.ravel() == found.values.ravel()))

    def figures(self, lang: str) -> dict[str, str]:
        """The drawn map."""
        if lang not in self._drawn:
            self._drawn[lang] = self._draw(lang)
        return {"map": self._drawn[lang]}

    @cached_property
    def _drawn(self) -> dict[str, str]:
        return {}

    def _draw(self, lang: str) -> str:
        cells = self.found.cells
        return choropleth(
            self.shapes,
            {cell.place.id: cell.value for cell in cells if math.isfinite(cell.value)},
            title=self.title(lang),
            unit=self.asked.unit,
            lang=lang,
            basis={cell.place.id: cell.basis for cell in cells},
            hidden=[cell.place.id for cell in cells if cell.hidden],
            keyed=True,
            heading=False,
            like=self._like if self.frames else (),
            pins=self.points.pins(lang),
        )


def build(live: Live, view: View) -> MapPage:
    """The map that an address asks for.

    Raises:
        RequestError: `live.unknown_choice` for something to show that there is not.
    """
    territory = live.territory
    metrics = metrics_of(territory)
    levels = levels_of(territory)
    asked = Asked(
        metric=choice("metric", view.params.get("metric", ""), metrics),
        norm=choice("norm", view.params.get("norm", ""), NORMS),
        level=choice("level", view.params.get("level", ""), levels),
        sector=view.params.get("sector") or "",
    )
    names = territory.sectors
    known = sorted({flow.sector for flow in territory.flows.values()} - {""})
    if asked.sector and asked.sector not in known:
        _refuse("sector", asked.sector, known)
    found, steps = values(live, view, asked), steps_of(view.span) if asked.metric == METRIC else ()
    cut = _cut(live, view, asked, found)
    if cut is not None:
        found = values(live, replace(view, span=cut.span), asked)
    sectors = {id_: str(names.get(id_, id_)) for id_ in (*found.sectors, asked.sector) if id_}
    drawn = all(cell.place.geometry for cell in found.cells)
    focus = territory.places.get(view.place)
    return MapPage(
        view=view,
        found=found,
        sort=choice("sort", view.params.get("sort", ""), SORTS),
        search=(view.params.get("q") or "")[:_LONGEST],
        metrics=metrics,
        levels=levels,
        sectors=dict(sorted(sectors.items(), key=lambda item: words.sort_key(item[1]))),
        flows=tuple(_flows(live, view, focus)) if focus is not None else (),
        above=territory.places.get(focus.parent or "") if focus is not None else None,
        tiles=drawn and view.scope.whole and default_path(territory).is_file(),
        points=points(live, view),
        frames=cut,
        steps=steps,
        nowcast=nowcast_bands.known(live, view.tz)
        if view.scenario == NOWCAST and view.scope.totals
        else None,
    )


def _cut(live: Live, view: View, asked: Asked, found: MapValues) -> Frames | None:
    """The steps of the map, when the address asks for them and emissions are shown."""
    every = view.params.get("every", "")
    if not every or asked.metric != METRIC:
        return None
    field, _, _, stakes = laid(live, view, asked)
    return frames(field, found, stakes, every)


def _refuse(name: str, word: str, options: Sequence[str]) -> None:
    hint = did_you_mean(word, options)
    raise RequestError(
        "live.unknown_choice", name=name, word=word[:40], options=", ".join(options), hint=hint
    )


def _flows(live: Live, view: View, focus: Place) -> Sequence[FlowRow]:
    """The flows at or below the focus that the reader may see, the largest emission first."""
    field = Field(live, view, Asked())
    result: Emissions = field.result
    amounts = {count.flow: count.amount for count in result.flows}
    inside = [
        flow
        for flow in live.territory.flows.values()
        if flow.id in view.scope.flows and live.territory.lies_in(flow.place, focus.id)
    ]
    rows = [
        FlowRow(
            flow, amounts.get(flow.id, math.nan), str(amount_unit(flow)), field.amounts.get(flow.id, math.nan)
        )
        for flow in inside
    ]
    return sorted(rows, key=lambda row: (-row.tonnes if math.isfinite(row.tonnes) else math.inf, row.flow.id))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    kinds = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64(), "coverage": pa.float64()}
    kinds |= {"amount": pa.float64(), "t_co2e": pa.float64(), "hidden": pa.bool_()}
    return pa.table({name: pa.array(cells, kinds.get(name, pa.string())) for name, cells in columns.items()})


SCREEN = Screen(
    "map",
    order=25,
    model=build,
    template="map.html",
    keeps=_OWN,
)
