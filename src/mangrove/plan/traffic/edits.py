# SPDX-License-Identifier: Apache-2.0
"""Edits of a case as data: dated rows, each of a type, applied in the order of their dates.

Comes in: a `Case`, edits, a day. Goes out: the case on that day. A type is a function that makes a case of a case; what keys it needs and
takes stands beside it in `KINDS`. Types that change streets stand in `street_edits`, those that change who drives in `trip_edits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mangrove.errors import RequestError, did_you_mean
from mangrove.plan.traffic import street_edits, trip_edits
from mangrove.plan.traffic.case import Case

SD = 1.959963984540054
"""Half-widths of the 95 % interval of a normal distribution over its standard deviation."""


@dataclass(frozen=True)
class Edit:
    """One dated change.

    Attributes:
        id: unique in a plan; type: a key of `KINDS`; values: its keys.
        first, last: from when until when (the first day on which it no longer holds); None: always.
        error: half-width of the 95 % interval of its shares, relative to them.
        source, status: where its numbers come from.
    """

    id: str
    type: str
    values: Mapping[str, Any]
    first: date | None = None
    last: date | None = None
    error: float = 0.0
    source: str = ""
    status: str = "assumed"

    def holds(self, on: date | None) -> bool:
        """Whether it is in force on a day; without a day all are."""
        return on is None or (
            (self.first is None or self.first <= on) and (self.last is None or on < self.last)
        )


@dataclass(frozen=True)
class Kind:
    """A type of edit: what it does, the keys it needs, and those that it takes besides."""

    apply: Callable[[Case, Mapping[str, Any], float], Case]
    needs: tuple[str, ...]
    takes: tuple[str, ...] = field(default=())


KINDS: Mapping[str, Kind] = {
    "add_road": Kind(street_edits.add_road, ("points", "lanes"), ("speed", "one_way", "length")),
    "change_lanes": Kind(street_edits.change_lanes, ("edges", "lanes"), ("speed",)),
    "signal_plan": Kind(street_edits.signal_plan, ("file",)),
    "toll": Kind(street_edits.toll, ("amount", "value_of_time"), ("edges", "zones", "classes")),
    "bus_lane": Kind(
        street_edits.bus_lane, ("per_hour",), ("edges", "points", "lane", "class", "share", "radius")
    ),
    "electric_buses": Kind(trip_edits.electric_buses, ("lines", "share")),
    "transit_line": Kind(trip_edits.transit_line, ("stations", "share", "radius"), ("speed", "headway")),
    "low_emission_zone": Kind(
        trip_edits.low_emission_zone, ("zones", "classes"), ("into", "switch", "leave")
    ),
    "electrify": Kind(trip_edits.electrify, ("class", "into", "share")),
    "develop": Kind(trip_edits.develop, ("zones",), ("population", "jobs")),
}
"""Every type of edit."""


def apply(
    case: Case, edits: Sequence[Edit], on: date | None = None, scales: Mapping[str, float] | None = None
) -> Case:
    """The case once the edits that hold are made.

    Args:
        case: before.
        edits: in any order; those of earlier days come first.
        on: a day; None: all edits hold.
        scales: by id, what uncertain shares are multiplied with in one draw.

    Raises:
        RequestError: `roads.unknown_edit`, `roads.edit_key` (a key that is missing or does not belong), `roads.edit_twice`, and what the
            edits themselves refuse, with the id of the edit.
    """
    seen: set[str] = set()
    for edit in sorted(edits, key=lambda e: (e.first or date.min, e.id)):
        if edit.id in seen:
            raise RequestError("roads.edit_twice", edit=edit.id)
        seen.add(edit.id)
        kind = checked(edit)
        if edit.holds(on):
            case = kind.apply(case, edit.values, (scales or {}).get(edit.id, 1.0))
    return case


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
    if wrong:
        takes = ", ".join((*kind.needs, *kind.takes))
        raise RequestError("roads.edit_key", edit=edit.id, key=wrong[0], type=edit.type, options=takes)
    return kind
