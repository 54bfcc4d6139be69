# SPDX-License-Identifier: Apache-2.0
"""Edits of a case as data: dated rows, each of a type, applied in the order of their dates.

Comes in: a `Case`, edits, a day. Goes out: the case on that day, or one for each part of the day when edits hold in some hours only. A type
is a function that makes a case of a case; what keys it needs and takes stands beside it in `KINDS`. Types that change streets stand in
`street_edits`, buses in `bus_routes`, those that change who drives in `trip_edits`, where people live in `development`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from mangrove.errors import MangroveError, Problem, RequestError, Where, did_you_mean
from mangrove.plan.traffic import bus_routes, development, street_edits, trip_edits
from mangrove.plan.traffic.case import HOURS, Case
from mangrove.traffic.roads import Ints

SD = 1.959963984540054
"""Half-widths of the 95 % interval of a normal distribution over its standard deviation."""
DAY = (True,) * HOURS
_ABOUT = {
    "roads.bad_points": ("points", "stations"), "roads.point_far": ("points",), "roads.same_junction": ("points",),
    "roads.too_short": ("length",), "roads.no_radius": ("share",), "roads.no_into": ("switch",),
}  # fmt: skip
"""Keys that problems are about which do not name them."""


@dataclass(frozen=True)
class Edit:
    """One dated change.

    Attributes:
        id: unique in a plan; type: a key of `KINDS`; values: its keys.
        first, last: from when until when (the first day on which it no longer holds); None: always.
        error: half-width of the 95 % interval of its shares, relative to them.
        source, status: where its numbers come from.
        hours: (24,) whether it holds in each hour of the day; None: in all.
        days: weekdays on which it holds, Monday is 0; None: all.
        places: where its keys stand in a file: by key, and by key and number for items of lists.
    """

    id: str
    type: str
    values: Mapping[str, Any]
    first: date | None = None
    last: date | None = None
    error: float = 0.0
    source: str = ""
    status: str = "assumed"
    hours: tuple[bool, ...] | None = None
    days: frozenset[int] | None = None
    places: Mapping[Any, Where] = field(default_factory=dict, compare=False, repr=False)

    def holds(self, on: date | None) -> bool:
        """Whether it is in force on a day; without a day all are."""
        if on is None:
            return True
        dated = (self.first is None or self.first <= on) and (self.last is None or on < self.last)
        return dated and (self.days is None or on.weekday() in self.days)

    def located(self, error: MangroveError) -> MangroveError:
        """The error with its place in the file: that of the item or key that it names, else its own, else that of the type."""
        problem = error.problem
        where = self._point(problem) or self._place(problem.data) or problem.where or self.places.get("type")
        return type(error)(problem.code, where=where, **problem.data)

    def _point(self, problem: Problem) -> Where | None:
        """The place of a point that a problem counts (from 1), or of the key that a problem of its code is about."""
        for key in _ABOUT.get(problem.code, ()):
            found = self.places.get((key, int(problem.data.get("number", 0)) - 1)) or self.places.get(key)
            if found:
                return found
        return None

    def _place(self, data: Mapping[str, Any]) -> Where | None:
        told = {str(value) for value in data.values()}
        for key, value in self.values.items():
            for number, item in enumerate(value if isinstance(value, list | tuple) else ()):
                if isinstance(item, str) and item in told and (key, number) in self.places:
                    return self.places[key, number]
            if key in self.places and (key in told or (isinstance(value, str | date) and str(value) in told)):
                return self.places[key]
        return self.places.get(str(data.get("key")))


@dataclass(frozen=True)
class Kind:
    """A type of edit: what it does, the keys it needs, those that it takes besides, and whether it can hold in some hours only."""

    apply: Callable[[Case, Mapping[str, Any], float], Case]
    needs: tuple[str, ...]
    takes: tuple[str, ...] = field(default=())
    timed: bool = False


@dataclass(frozen=True)
class Period:
    """A case and the hours of the day in which it holds."""

    case: Case
    hours: Ints


_BUSES = ("edges", "points", "per_hour", "gtfs", "routes", "day", "class", "share", "radius")
KINDS: Mapping[str, Kind] = {
    "add_road": Kind(street_edits.add_road, ("points", "lanes"), ("speed", "one_way", "length")),
    "change_lanes": Kind(street_edits.change_lanes, ("edges", "lanes"), ("speed",), timed=True),
    "signal_plan": Kind(street_edits.signal_plan, ("file",), timed=True),
    "toll": Kind(street_edits.toll, ("amount", "value_of_time"), ("edges", "zones", "classes"), timed=True),
    "bus_lane": Kind(bus_routes.bus_lane, (), ("lane", *_BUSES), timed=True),
    "bus_line": Kind(bus_routes.bus_line, (), _BUSES),
    "electric_buses": Kind(bus_routes.electric_buses, ("share",), ("lines", "gtfs", "routes", "day")),
    "transit_line": Kind(trip_edits.transit_line, ("stations", "share", "radius"), ("speed", "headway")),
    "low_emission_zone": Kind(
        trip_edits.low_emission_zone, ("zones", "classes"), ("into", "switch", "leave"), timed=True
    ),
    "electrify": Kind(trip_edits.electrify, ("class", "into", "share")),
    "develop": Kind(development.develop, ("zones",), ("population", "jobs", "near", "share", "within")),
}
"""Every type of edit."""
LINES = ("transit_line", "bus_line", "bus_lane")
"""Types that trips move to."""


def apply(
    case: Case,
    edits: Sequence[Edit],
    on: date | None = None,
    scales: Mapping[str, float] | None = None,
    hour: int | None = None,
) -> Case:
    """The case once the edits that hold are made.

    Args:
        case: before.
        edits: in any order; those of earlier days come first, electric buses after lines of their day, what is built beside lines last.
        on: a day; None: all edits hold.
        scales: by id, what uncertain shares are multiplied with in one draw.
        hour: of the day; None: those that hold in any hour.

    Raises:
        RequestError: `roads.unknown_edit`, `roads.edit_key` (a key that is missing or does not belong), what `contradictions` finds, and
            what the edits themselves refuse, with its place in the file of the plan.
    """
    for _, error in contradictions(edits):
        raise error
    for edit in sorted(edits, key=_turn):
        kind = checked(edit)
        if not edit.holds(on) or (hour is not None and edit.hours is not None and not edit.hours[hour]):
            continue
        try:
            case = kind.apply(
                case, {**edit.values, "id": edit.id, "on": on}, (scales or {}).get(edit.id, 1.0)
            )
        except MangroveError as error:
            raise edit.located(error) from None
    return case


def _turn(edit: Edit) -> tuple[bool, date, bool, str]:
    """When an edit is made among the others."""
    return "near" in edit.values, edit.first or date.min, edit.type == "electric_buses", edit.id


def through_day(
    case: Case, edits: Sequence[Edit], on: date | None = None, scales: Mapping[str, float] | None = None
) -> tuple[Period, ...]:
    """Cases of the parts of a day in which the same edits hold; see `apply`.

    Raises:
        RequestError: `roads.no_hours`: an edit holds in some hours, and the case knows none.
    """
    timed = [edit for edit in edits if edit.hours is not None and edit.holds(on)]
    every = np.arange(HOURS if case.hours is not None else 1, dtype=np.int32)
    if not timed:
        return (Period(apply(case, edits, on, scales), every),)
    if case.hours is None:
        raise RequestError("roads.no_hours", where=timed[0].places.get("hours"), edit=timed[0].id)
    parts: dict[tuple[bool, ...], list[int]] = {}
    for hour in range(HOURS):
        parts.setdefault(tuple((edit.hours or DAY)[hour] for edit in timed), []).append(hour)
    return tuple(
        Period(apply(case, edits, on, scales, hours[0]), np.array(hours, dtype=np.int32))
        for hours in parts.values()
    )


def checked(edit: Edit) -> Kind:
    """The kind of an edit whose keys are those of its type; see `apply`."""
    kind = KINDS.get(edit.type)
    if kind is None:
        hint = did_you_mean(edit.type, KINDS)
        raise RequestError(
            "roads.unknown_edit", edit=edit.id, text=edit.type, options=", ".join(KINDS), hint=hint
        )
    given = {key for key, value in edit.values.items() if value is not None}
    wrong = sorted({*kind.needs} - given) + sorted(given - {*kind.needs, *kind.takes})
    if edit.hours is not None and not kind.timed:
        wrong.append("hours")
    if wrong:
        takes = ", ".join((*kind.needs, *kind.takes, *(("hours",) if kind.timed else ())))
        raise RequestError("roads.edit_key", edit=edit.id, key=wrong[0], type=edit.type, options=takes)
    return kind


def contradictions(edits: Sequence[Edit]) -> Iterator[tuple[Edit, RequestError]]:
    """What is wrong with edits before any street is looked at, each with the edit that it is about.

    `roads.edit_twice`, `roads.dates_reversed`, `roads.twice` (an edge, zone, class or route stands twice in a list), `roads.unknown_near`,
    `roads.edits_overlap` (two edits say how many lanes an edge has at the same time).
    """
    lines = [edit.id for edit in edits if edit.type in LINES]
    seen: dict[str, Edit] = {}
    for edit in edits:
        if edit.id in seen:
            yield edit, RequestError("roads.edit_twice", where=edit.places.get("id"), edit=edit.id)
        seen[edit.id] = edit
        if edit.first is not None and edit.last is not None and edit.last <= edit.first:
            data = {"edit": edit.id, "first": edit.first.isoformat(), "last": edit.last.isoformat()}
            yield edit, RequestError("roads.dates_reversed", where=edit.places.get("to"), **data)
        for key in ("edges", "zones", "classes", "lines", "routes"):
            items = edit.values.get(key)
            items = list(items) if isinstance(items, list | tuple) else []
            again = next((at for at, item in enumerate(items) if item in items[:at]), None)
            if again is not None:
                data = {"edit": edit.id, "key": key, "text": items[again]}
                yield edit, RequestError("roads.twice", where=edit.places.get((key, again)), **data)
        near = edit.values.get("near")
        if near is not None and near not in lines:
            where, hint = edit.places.get("near"), did_you_mean(near, lines)
            options = ", ".join(lines) or "-"
            yield edit, RequestError("roads.unknown_near", where=where, text=near, options=options, hint=hint)
    yield from _overlaps([edit for edit in edits if edit.type == "change_lanes"])


def _overlaps(edits: Sequence[Edit]) -> Iterator[tuple[Edit, RequestError]]:
    """Edges whose lanes two edits change at the same time."""
    said: dict[str, list[Edit]] = {}
    for edit in edits:
        for number, edge in enumerate(edit.values.get("edges") or ()):
            other = next(
                (one for one in said.get(edge, ()) if one is not edit and _together(one, edit)), None
            )
            if other is not None:
                data = {"edit": edit.id, "other": other.id, "edge": edge}
                yield (
                    edit,
                    RequestError("roads.edits_overlap", where=edit.places.get(("edges", number)), **data),
                )
            said.setdefault(edge, []).append(edit)


def _together(one: Edit, other: Edit) -> bool:
    """Whether there is an hour of a day on which both hold."""
    low = max(one.first or date.min, other.first or date.min)
    high = min(one.last or date.max, other.last or date.max)
    days = one.days is None or other.days is None or bool(one.days & other.days)
    hours = any(a and b for a, b in zip(one.hours or DAY, other.hours or DAY, strict=True))
    return low < high and days and hours
