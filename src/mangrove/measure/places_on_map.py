# SPDX-License-Identifier: Apache-2.0
"""Where flows lie on a map: the outline or the point of each place, and the share of each flow in it.

Comes in: a measurement. Goes out: shapes in WGS84 and, for every flow, places with shares that add up to one. A flow that stands for many
places (`spread`) lies in the outlines of the places of one kind, as `measure --by` shares it out; a flow of a declared asset lies where the
asset is; any other lies at its place, or, where that is not drawn, evenly in the nearest place around it that is. What was decided is
counted, so that a map says what of it is a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mangrove.errors import DeclarationError, Problem, RequestError, did_you_mean
from mangrove.measure.grouping import Grouping
from mangrove.measure.plan import Plan
from mangrove.territory.model import Flow, Place, Territory

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mangrove.gridding.grid import Shapes

_NAMED = 5
_AREAS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True)
class Layout:
    """Shapes, and the share of each flow in each of them.

    Attributes:
        names: what each shape is called (the id of a place or an asset); shapes: in WGS84 degrees, shape (P,).
        shares: flow -> positions in `shapes` with the share in each; a flow that is nowhere has none.
        problems: what is a model or has no position.
    """

    names: tuple[str, ...]
    shapes: Shapes
    shares: Mapping[str, Sequence[tuple[int, float]]]
    problems: tuple[Problem, ...]


def layout(plan: Plan, flows: Sequence[str]) -> Layout:
    """Where the named flows of a measurement lie."""
    return _Layout(plan).of(flows)


def zones(plan: Plan, kind: str) -> tuple[Place, ...]:
    """The places of a kind that exist under the borders of the measurement, in file order.

    Raises:
        RequestError: `gridding.no_such_kind`.
    """
    territory = plan.territory
    found = tuple(
        p for p in territory.places.values() if p.kind == kind and p.valid_on(plan.question.borders)
    )
    if not found:
        kinds = dict.fromkeys(place.kind for place in territory.places.values())
        hint = did_you_mean(kind, kinds)
        raise RequestError("gridding.no_such_kind", kind=kind, options=", ".join(kinds), hint=hint)
    return found


def in_zones(plan: Plan, kind: str, flows: Sequence[str]) -> dict[str, dict[str, float]]:
    """For every flow its shares in the places of a kind, as `measure --by` groups them; what lies in none is left out."""
    question = replace(plan.question, by=("flow", kind), every=None)
    grouping = Grouping(plan, question)
    keys = list(grouping.groups)
    found: dict[str, dict[str, float]] = {flow: {} for flow in flows}
    for flow, group, share in grouping.view.members:
        place = keys[group][1]
        if flow in found and place:
            # The key holds the id of the place; two groups of one flow and place do not exist.
            found[flow][place] = found[flow].get(place, 0.0) + share
    return found


def crossing(plan: Plan, flows: Sequence[str], zones: Sequence[Place]) -> tuple[Shapes, Shapes]:
    """The drawings of the places of flows, shape (n,), and of the zones that they may cross, shape (Z,).

    A place that holds zones in the tree has no drawing here: what it emits is not known to be even over them.
    """
    above = {node.id for zone in zones for node in plan.territory.ancestors(zone.id)}
    places = [plan.territory.places[plan.flows[flow].place] for flow in flows]
    shapes, outlines = np.empty(len(flows), dtype=object), np.empty(len(zones), dtype=object)
    shapes[:] = [None if place.id in above else outline(place) for place in places]
    outlines[:] = [outline(zone) if zone.geometry is not None else None for zone in zones]
    return shapes, outlines


def outline(place: Place) -> BaseGeometry | None:
    """The shape of a place in WGS84 degrees: what is drawn, or else its point; None without any.

    Raises:
        DeclarationError: `gridding.bad_geometry` when what is declared is no shape.
    """
    if place.geometry is not None:
        try:
            return shapely.geometry.shape(place.geometry)
        except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError) as error:
            problem = Problem("gridding.bad_geometry", {"place": place.id, "reason": str(error)}, place.where)
            raise DeclarationError([problem]) from None
    if place.lon is not None and place.lat is not None:
        return shapely.Point(place.lon, place.lat)
    return None


def drawn_kind(territory: Territory, day: Any) -> str:
    """The kind of the smallest places that are drawn as areas on a day: the one of which most are; empty when there is none."""
    counts: dict[str, int] = {}
    for place in territory.places.values():
        if place.geometry is not None and place.geometry.get("type") in _AREAS and place.valid_on(day):
            counts[place.kind] = counts.get(place.kind, 0) + 1
    return max(counts, key=lambda kind: counts[kind], default="")


class _Layout:
    """Collects the shapes of one measurement."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.territory = plan.territory
        self.numbers: dict[str, int] = {}
        self.shapes: list[BaseGeometry] = []
        self.above: list[str] = []
        self.nowhere: list[str] = []
        self.outlines: dict[str, BaseGeometry | None] = {}

    def of(self, flows: Sequence[str]) -> Layout:
        kind = drawn_kind(self.territory, self.plan.question.borders)
        spread = [flow for flow in flows if self.plan.flows[flow].spread]
        shared = in_zones(self.plan, kind, spread) if kind and spread else {}
        assets = self._assets()
        shares = {}
        for flow in flows:
            found = self._spread(shared.get(flow, {})) if flow in shared else []
            shares[flow] = found or assets.get(flow) or self._single(self.plan.flows[flow])
        shapes = np.empty(len(self.shapes), dtype=object)
        shapes[:] = self.shapes
        shapes, mended = _mended(tuple(self.numbers), shapes)
        return Layout(tuple(self.numbers), shapes, shares, (*mended, *self._problems()))

    def _spread(self, shares: Mapping[str, float]) -> list[tuple[int, float]]:
        """The places that a flow is spread over; none when any of them is not drawn, for a part would stand for all."""
        found = [(self._number(place), share) for place, share in shares.items()]
        if any(number is None for number, _ in found):
            return []
        return [(number, share) for number, share in found if number is not None]

    def _assets(self) -> dict[str, list[tuple[int, float]]]:
        """Flows that assets with a position of their own name as theirs; several assets of a flow share it alike."""
        found: dict[str, list[int]] = {}
        for asset in self.territory.assets.values():
            flow = asset.parameters.get("flow")
            if isinstance(flow, str) and asset.lon is not None and asset.lat is not None:
                point = shapely.Point(asset.lon, asset.lat)
                found.setdefault(flow, []).append(self._add(f"asset {asset.id}", point))
        return {flow: [(number, 1 / len(at)) for number in at] for flow, at in found.items()}

    def _single(self, flow: Flow) -> list[tuple[int, float]]:
        """The place of a flow, or the nearest one around it that is drawn."""
        for place in self.territory.ancestors(flow.place):
            number = self._number(place.id)
            if number is not None:
                if place.id != flow.place or flow.spread:
                    self.above.append(flow.id)
                return [(number, 1.0)]
        self.nowhere.append(flow.id)
        return []

    def _number(self, place: str) -> int | None:
        """The number of the shape of a place; None when it is not drawn."""
        if place not in self.outlines:
            self.outlines[place] = outline(self.territory.places[place])
        shape = self.outlines[place]
        return None if shape is None else self._add(place, shape)

    def _add(self, name: str, shape: BaseGeometry) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.shapes)
            self.shapes.append(shape)
        return self.numbers[name]

    def _problems(self) -> list[Problem]:
        found = []
        for code, flows, severity in (
            ("gridding.placed_around", self.above, "note"),
            ("gridding.nowhere", self.nowhere, "warning"),
        ):
            if flows:
                listed = ", ".join(flows[:_NAMED]) + (", …" if len(flows) > _NAMED else "")
                found.append(Problem(code, {"count": len(flows), "flows": listed}, severity=severity))
        return found


def _mended(names: Sequence[str], shapes: Shapes) -> tuple[Shapes, list[Problem]]:
    """The shapes, polygons that cross themselves mended, and a warning that names them."""
    wrong = np.flatnonzero(~shapely.is_valid(shapes) & (shapely.get_dimensions(shapes) > 1))
    if not wrong.size:
        return shapes, []
    listed = ", ".join(names[i] for i in wrong[:_NAMED]) + (", …" if wrong.size > _NAMED else "")
    problem = Problem("gridding.mended", {"count": int(wrong.size), "places": listed}, severity="warning")
    mended = shapes.copy()
    mended[wrong] = shapely.make_valid(mended[wrong], method="structure", keep_collapsed=False)
    return mended, [problem]
