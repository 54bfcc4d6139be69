# SPDX-License-Identifier: Apache-2.0
"""What the rows of a table stand for: which flows make a group, and which lines a label.

Comes in: a plan and a question. Goes out: a `View` for the engine, and the way back from a row to its flows and lines. A flow
that stands for many places belongs to several groups with shares that add up to one, so groups always add up to the total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeAlias

from mangrove.errors import RequestError
from mangrove.ledger.types import HAPPENED
from mangrove.measure.engine import View
from mangrove.measure.plan import Line, Plan
from mangrove.measure.question import GAS_COLUMNS, Question
from mangrove.territory import Flow, Territory, level_of, shares

Key: TypeAlias = tuple[str, ...]

_FLOW_VALUES: dict[str, Callable[[Flow], str]] = {
    "flow": lambda flow: flow.id,
    "place": lambda flow: flow.place,
    "sector": lambda flow: flow.sector,
    "scope": lambda flow: "" if flow.scope is None else str(flow.scope),
    "gpc": lambda flow: flow.gpc,
    "category": lambda flow: flow.category,
    "carrier": lambda flow: str(flow.carrier),
    "basis": lambda flow: flow.basis,
    "meter": lambda flow: flow.meter,
    "method": lambda flow: flow.method,
}


class Grouping:
    """The groups (of flows) and labels (of lines) of one table.

    Attributes:
        flow_columns, gas_columns: the columns of the question, by what they belong to.
        groups, labels: their keys in the order of their numbers.
        view: the same as numbers, for the engine.
    """

    def __init__(self, plan: Plan, question: Question) -> None:
        self.plan = plan
        self.question = question
        self.flow_columns = tuple(column for column in question.by if column not in GAS_COLUMNS)
        self.gas_columns = tuple(column for column in question.by if column in GAS_COLUMNS)
        self.groups: dict[Key, int] = {}
        self.labels: dict[Key, int] = {}
        self.view = View(list(self._members()), [self._label(line) for line in plan.lines])

    def sizes(self) -> list[int]:
        """The number of flows with a declared step in each group."""
        found = [0] * len(self.groups)
        for flow, group, _ in self.view.members:
            found[group] += self.plan.flows[flow].step is not None
        return found

    def flows_of(self, row: Mapping[str, Any]) -> dict[str, float]:
        """The flows of a row, each with the share that stands for the row's group."""
        wanted = self.groups[tuple(row[column] for column in self.flow_columns)]
        found: dict[str, float] = {}
        for flow, group, share in self.view.members:
            if group == wanted:
                found[flow] = found.get(flow, 0.0) + share
        return found

    def lines_of(self, row: Mapping[str, Any]) -> set[int]:
        """The lines whose emissions a row adds up."""
        wanted = self.labels[tuple(row[column] for column in self.gas_columns)]
        return {index for index, label in enumerate(self.view.labels) if label == wanted}

    def _members(self) -> Iterator[tuple[str, int, float]]:
        territory = self.plan.territory
        levels = _deepest_first(
            territory, [column for column in self.flow_columns if column not in _FLOW_VALUES]
        )
        for flow in self.plan.flows.values():
            for place, share in self._places(flow, levels):
                key = tuple(self._value(flow, place, column) for column in self.flow_columns)
                yield flow.id, self.groups.setdefault(key, len(self.groups)), share

    def _places(self, flow: Flow, levels: Sequence[str]) -> list[tuple[str, float]]:
        """The places that a flow stands for, of the deepest kind that it has; or no place at all."""
        for level in levels:
            places = _places(self.plan.territory, flow, level, self.question.borders)
            if places:
                return places
        return [("", 1.0)]

    def _value(self, flow: Flow, place: str, column: str) -> str:
        if column == "basis" and self.question.run not in HAPPENED:
            return self.question.run
        if column in _FLOW_VALUES:
            return _FLOW_VALUES[column](flow)
        return level_of(self.plan.territory, place or flow.place, column, self.question.borders) or ""

    def _label(self, line: Line) -> int | None:
        if line.account not in self.question.accounts:
            return None
        key = tuple(str(getattr(line, column)) for column in self.gas_columns)
        return self.labels.setdefault(key, len(self.labels))


def _deepest_first(territory: Territory, levels: Sequence[str]) -> list[str]:
    """Kinds of places in the order of their depth in the tree: a place knows those of all other kinds above it."""
    depth = dict.fromkeys(levels, 0)
    for place in territory.places.values() if len(levels) > 1 else ():
        if place.kind in depth:
            depth[place.kind] = max(depth[place.kind], sum(1 for _ in territory.ancestors(place.id)))
    return sorted(levels, key=lambda level: -depth[level])


def _places(territory: Territory, flow: Flow, level: str, day: date) -> list[tuple[str, float]]:
    """The places of kind `level` that a flow stands for on `day`, with their shares; none when it has none there."""
    if flow.spread:
        return _shares(territory, flow.place, level, day, flow.spread)
    place = level_of(territory, flow.place, level, day)
    if place is not None:
        return [(place, 1.0)]
    own = territory.places[flow.place]
    then = own.valid_to - timedelta(days=1) if own.valid_to else own.valid_from
    gone = None if then is None else level_of(territory, flow.place, level, then)
    return [] if gone is None else _shares(territory, gone, level, day, "population")


def _shares(territory: Territory, place: str, level: str, day: date, by: str) -> list[tuple[str, float]]:
    """The shares of the places of kind `level`; none where `place` holds none, or became nothing that is known."""
    try:
        return shares(territory, place, level, day, by=by)
    except RequestError as error:
        if error.code in ("territory.no_level", "territory.no_successor"):
            return []
        raise
