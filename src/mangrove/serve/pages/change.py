# SPDX-License-Identifier: Apache-2.0
"""Why did it change, and where does it come from: two periods compared cause by cause, and the first places with their doubt.

Comes in: a view with a comparison (the period before, or the same a year ago). Goes out: the change with its interval, its causes as a
waterfall and as a table of groups, what was left out, and the smallest set of places that holds half of the tonnes. A reader who sees one
place gets the change of that place; the city gets only causes over all companies together and rows that tell no single one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.measure.nowcast import nowcast
from mangrove.measure.plan import NOWCAST
from mangrove.measure.why.causes import CAUSES
from mangrove.measure.why.verb import Why, explain_change
from mangrove.measure.why.where import Hotspots, hotspots, ranked
from mangrove.printing_city import cause_name, why_figure
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Territory
from mangrove.times import Span

ROWS = ("sector", "place", "flow")
"""What the rows of the table may be."""
_TOP = 10
_LONGEST = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One group: t CO2e before, after, and by cause; `shown` is false where it may not be told."""

    key: str
    label: str
    before: float
    after: float
    causes: tuple[float, ...]
    shown: bool = True

    @property
    def change(self) -> float:
        """T CO2e."""
        return self.after - self.before


@dataclass(frozen=True)
class Change:
    """The page.

    Attributes:
        view: what is looked at; other: the span that it is compared with; by: one of `ROWS`.
        why: the causes, None when the two periods have nothing in common; rows: largest change first.
        level: the kind of places that are ranked; spots: the ranking, None when it may not be seen or nothing was measured.
        names: of the ranked places; problems: what to know.
    """

    view: View
    other: Span
    by: str
    why: Why | None
    rows: tuple[Row, ...]
    level: str
    spots: Hotspots | None
    names: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def causes(self) -> Mapping[str, float]:
        """T CO2e by cause, those that moved anything."""
        if self.why is None:
            return {}
        return {name: kg / 1000 for name, kg in self.why.causes().items() if self.why.counts(kg)}

    @property
    def totals(self) -> tuple[float, float]:
        """T CO2e before and after, of the flows that are compared."""
        if self.why is None:
            return (0.0, 0.0)
        return float(self.why.kg_before.sum()) / 1000, float(self.why.kg_after.sum()) / 1000

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the change, t CO2e."""
        why = self.why
        if why is None or why.low != why.low:
            return None
        return why.low / 1000, why.high / 1000

    def cause(self, name: str) -> str:
        """A cause in the reader's language."""
        return cause_name(name, self.view.lang)

    def number(self, name: str) -> int:
        """The position of a cause in a row."""
        return CAUSES.index(name)

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        before, after = self.totals
        return {
            "period": {"start": self.view.span.start, "end": self.view.span.end},
            "against": {"start": self.other.start, "end": self.other.end},
            "before_t_co2e": before,
            "after_t_co2e": after,
            "interval_t_co2e": self.interval,
            "causes_t_co2e": dict(self.causes),
            "rows": self.tables()["causes"].to_pylist(),
            "hotspots": self.tables()["hotspots"].to_pylist() if self.spots is not None else None,
            "left_out": list(self.why.left_out) if self.why and self.view.scope.whole else [],
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.problems],
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """Causes by row, and the ranking."""
        rows = [row for row in self.rows if row.shown]
        columns: dict[str, Any] = {
            self.by: pa.array([row.key for row in rows], pa.string()),
            "name": pa.array([row.label for row in rows], pa.string()),
            "before_t_co2e": pa.array([row.before for row in rows], pa.float64()),
            "after_t_co2e": pa.array([row.after for row in rows], pa.float64()),
        }
        columns |= {
            f"{cause}_t_co2e": pa.array([row.causes[i] for row in rows], pa.float64())
            for i, cause in enumerate(CAUSES)
        }
        found = {"causes": pa.table(columns)}
        if self.spots is not None:
            found["hotspots"] = self.spots.table().append_column("name", pa.array(self.names, pa.string()))
        return found

    def figures(self, lang: str) -> Mapping[str, str]:
        """The waterfall."""
        return {} if self.why is None else {"causes": why_figure(self.why, lang, heading=False)}


def build(live: Live, view: View) -> Change:
    """The page for one view.

    Raises:
        RequestError: `page_change.unknown_rows`, `live.not_yours`.
    """
    by = view.params.get("by") or "sector"
    options = ROWS[:1] if view.scope.suppresses else ROWS
    if by not in options:
        hint = did_you_mean(by, options)
        raise RequestError("page_change.unknown_rows", word=by[:40], options=", ".join(options), hint=hint)
    place = _place(view)
    other = view.span_before
    after, before = (live.measure(span, run=view.scenario, place=place) for span in (view.span, other))
    problems: tuple[Problem, ...] = ()
    found: Why | None = None
    try:
        with live.park.reader() as ledger:
            found = explain_change(ledger, before, after)
        problems = found.notes if view.scope.whole else ()
    except RequestError as error:
        problems = (error.problem,)
    rows = () if found is None else _rows(live.territory, view, found, by)
    level = _level(live.territory)
    spots = None
    if found is not None and not view.scope.suppresses:
        spots = _ranked(live, view, level, place)
    names = () if spots is None else tuple(_name(live.territory, key[0]) for key in spots.keys)
    return Change(view, other, by, found, rows, level, spots, names, problems)


def _place(view: View) -> str:
    """The place that the page is about: the one in focus, or all that the reader sees."""
    scope = view.scope
    if scope.whole:
        return view.place
    if scope.suppresses:
        if view.place:
            raise RequestError("live.not_yours", cell=view.place)
        return ""
    place = view.place or view.principal.place
    if not place or not scope.sees(place):
        raise RequestError("live.not_yours", cell=place)
    return place


def _rows(territory: Territory, view: View, found: Why, by: str) -> tuple[Row, ...]:
    table = found.table(by).to_pylist()
    declared = found.after.plan.flows
    totals = {row[by]: row["before"] + row["after"] for row in table}
    members: dict[str, list[str]] = {}
    for name in found.flows:
        key = name if by == "flow" else str(getattr(declared[name], by) or "")
        members.setdefault(key, []).append(name)
    shown = view.scope.disclosed(totals, members)
    return tuple(
        Row(
            row[by],
            _label(territory, by, row[by], view.lang),
            row["before"] / 1000,
            row["after"] / 1000,
            tuple(row[cause] / 1000 if found.counts(row[cause]) else 0.0 for cause in CAUSES),
            row[by] in shown,
        )
        for row in table[:_LONGEST]
    )


def _label(territory: Territory, by: str, key: str, lang: str) -> str:
    if not key:
        return messages.render("page_inventory.unnamed", lang)
    if by == "sector":
        return territory.sectors.get(key, key)
    if by == "flow":
        return territory.flows[key].name or key
    return _name(territory, key)


def _name(territory: Territory, key: str) -> str:
    return territory.places[key].name if key in territory.places else key or "–"


def _level(territory: Territory) -> str:
    """The kind of places that are ranked: wards of a city, single places of a park."""
    return "ward" if any(place.kind == "ward" for place in territory.places.values()) else "place"


def _ranked(live: Live, view: View, level: str, place: str) -> Hotspots | None:
    try:
        if view.scenario == NOWCAST and not place:
            return _nowcast_ranks(live, view, level)
        result = live.measure(view.span, by=(level,), run=view.scenario, place=place)
        return hotspots(result, (level,), top=_TOP)
    except RequestError:  # nothing was measured, or it cannot be spread over such places: there is no ranking
        return None


def _nowcast_ranks(live: Live, view: View, level: str) -> Hotspots:
    """Ranks that carry the doubt of the nowcast itself, made again from what the ledger holds."""
    with live.park.reader() as ledger:
        made = nowcast(ledger, live.territory, live.book, view.span.end, view.span.start, stored=False)
    keys, mean, drawn = made.groups((level,))
    return ranked((level,), keys, mean, drawn, top=_TOP, share=0.5)


SCREEN = Screen("change", order=25, model=build, template="change.html", keeps=("by",))
