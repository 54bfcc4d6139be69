# SPDX-License-Identifier: Apache-2.0
"""Now: are we above or below plan, and what moved it?

Comes in: what was measured so far in the chosen period, and a plan or another time to compare it with. Goes out: the model of the
screen: one answer with its interval, what moved the total by tenant, sector and cause, what is missing, what the period will come
to, and the last hours. The default period is the month: plans are made by month, and a day alone is too short for flows that are
billed by month.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from mangrove.errors import RequestError
from mangrove.ledger.types import HAPPENED
from mangrove.measure.grouping import Grouping
from mangrove.serve.pages import now_model
from mangrove.serve.pages.now_model import MOST, THRESHOLD, Comparison, Floats, Grid, Hours, Runs
from mangrove.serve.pages.now_page import Answer, Card, Now, Row
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.times import Span, Step

_BACK, _AHEAD = timedelta(hours=36), timedelta(hours=12)
"""What the curve of the hours shows: yesterday, today until now, and the next half day."""
_DAY = Step(seconds=86_400)
_BOUGHT = 2
"""Scope of electricity that comes from the grid."""
_SHOWN = 8
"""Contributors drawn and listed by name; the others are added up."""


def build(live: Live, view: View) -> Now:
    """The model of the screen for one view.

    Raises:
        RequestError: `live.not_yours`: the place belongs to another tenant; `live.future_period`.
    """
    return _Builder(live, view).build()


class _Builder:
    """Puts one model together."""

    def __init__(self, live: Live, view: View) -> None:
        self.live, self.view = live, view
        self.territory, self.scope = live.territory, view.scope
        self.runs: Runs = now_model.runs(live)
        planned = view.scenario.partition("/")[0] == "plan"
        self.run = "measured" if planned else view.scenario
        self.plan_run = view.scenario if planned else self.runs.plan
        self.span = self._span()
        self.focus = self._focus()

    def _span(self) -> Span:
        """The whole hours of the period that are over."""
        period, end = self.view.period, self.view.span.end
        if self.run in HAPPENED:
            end = min(end, self.view.now)
            if end <= period.start:
                raise RequestError("live.future_period", period=self.view.word)
        whole = now_model.floor_hour(end) if end < period.end else end
        return Span(period.start, whole if whole > period.start else end)

    def _focus(self) -> str:
        """The place that the answer is about; empty for the whole territory."""
        place = self.view.place
        if not place and not self.scope.whole:
            place = "" if self.scope.suppresses else self.view.principal.place
        if not place or self.territory.places[place].parent is None:
            return ""
        if self.scope.sees(place):
            return place
        inside, outside = self._apart(place)
        if not self.scope.suppresses or not self._may_total(inside) or not self._may_total(outside):
            raise RequestError("live.not_yours", cell=place)
        return place

    def _apart(self, place: str) -> tuple[list[str], list[str]]:
        """The flows inside a place, and the others."""
        inside = [x.id for x in self.territory.flows.values() if self.territory.lies_in(x.place, place)]
        return inside, [flow for flow in self.territory.flows if flow not in set(inside)]

    def _may_total(self, flows: Sequence[str]) -> bool:
        """Whether a total over flows may be shown: to the city, only one with companies enough."""
        return not self.scope.suppresses or self.scope.enough(flows)

    def build(self) -> Now:
        actual = self._grid(Span(now_model.before(self.span, _BACK), self.span.end), self.run)
        plan = self._plan(actual)
        whole = np.ones(len(actual.flows))
        counted = {line.flow for line in actual.plan.lines if line.account == "inventory"}
        inside = self._inside(actual)
        mine = inside * np.array([flow in counted for flow in actual.flows])
        compared, base_run, base_span, reason = self._compared(actual, plan, mine)
        groups, sectors, flows = self._rows(actual, compared, mine)
        projection = None
        if plan is not None and self.run in HAPPENED and self.span.end < self.view.period.end:
            forecast = self._ahead("forecast", plan.span)
            projection = now_model.project(
                actual, plan, forecast, mine, whole=self.view.period, until=self.span.end
            )
        hidden = projection is not None and not self._all_seen(projection.unknown)
        causes = mine @ compared.causes
        return Now(
            view=self.view,
            span=self.span,
            base_run=base_run,
            base_span=base_span,
            focus=self.focus,
            focus_name=self.territory.places[self.focus].name if self.focus else self.territory.name,
            answer=self._answer(compared, mine, reason),
            whole=self._answer(compared, whole, reason) if self.focus and self.scope.totals else None,
            groups=groups,
            sectors=sectors,
            flows=flows,
            causes=(float(causes[0]), float(causes[1])),
            unplanned=compared.total(mine, "alone"),
            projection=replace(projection, unknown=()) if projection is not None and hidden else projection,
            hours=self._hours(actual, plan, mine),
            hourly=bool(((mine > 0) & now_model.fine(actual)).any()),
            cards=tuple(self._cards(actual, inside, mine)),
            run=self.run,
            health=_has_screen("health"),
        )

    def _inside(self, actual: Grid) -> Floats:
        """How much of each flow belongs to the focus, (F,): in a city, flows that stand for many wards have shares in each."""
        if not self.focus:
            return np.ones(len(actual.flows))
        if self.territory.kind != "city":
            places = [self.territory.flows[flow].place for flow in actual.flows]
            return np.array([self.territory.lies_in(place, self.focus) for place in places], dtype=float)
        found = np.zeros(len(actual.flows))
        for flow, key, share in self._members(actual, self.territory.places[self.focus].kind):
            found[actual.row[flow]] += share if key == self.focus else 0.0
        return found

    def _members(self, actual: Grid, column: str) -> list[tuple[str, str, float]]:
        """Flow, place of a kind, share of the flow that stands for it."""
        question = replace(actual.plan.question, by=(column,), every=None, accounts=("inventory",))
        grouping = Grouping(actual.plan, question)
        keys = list(grouping.groups)
        return [(flow, keys[group][0], share) for flow, group, share in grouping.view.members]

    def _all_seen(self, flows: Sequence[str]) -> bool:
        return self.scope.whole or set(flows) <= self.scope.flows

    # Grids

    def _grid(self, span: Span, run: str) -> Grid:
        return now_model.grid(self.live, span, run, self.runs.stamp(run))

    def _plan(self, actual: Grid) -> Grid | None:
        """The plan from where the curve begins to the end of the period."""
        if not self.plan_run or not self.runs.stamp(self.plan_run):
            return None
        return self._grid(Span(actual.span.start, self.view.period.end), self.plan_run)

    def _ahead(self, run: str, span: Span) -> Grid | None:
        """A forecast over the hours of the plan."""
        return self._grid(span, run) if self.runs.stamp(run) else None

    def _compared(
        self, actual: Grid, plan: Grid | None, mine: Floats
    ) -> tuple[Comparison, str, Span | None, str]:
        """The comparison, its base (run and span), and why there is none: `none`, `plan` or `base`."""
        word, run, span, base = self.view.compare, self.run, self.span, plan
        if word == "none" or (word == "plan" and plan is None):
            return now_model.alone(actual, self.span), "", None, word
        if word == "plan":
            run = self.plan_run
        else:
            earlier = self.view.span_before
            span = Span(earlier.start, min(earlier.end, earlier.start + (self.span.end - self.span.start)))
            base = self._grid(span, run)
        assert base is not None
        found = now_model.compare(actual, base, self.span, span.start, self.view.now)
        if not any(found.total(mine, part) for part in ("base", "waiting", "early")):
            return now_model.alone(actual, self.span), "", None, "base"
        return found, run, span, ""

    def _answer(self, compared: Comparison, shares: Floats, reason: str) -> Answer:
        """How a group of flows stands."""
        difference, low, high = compared.difference(shares)
        actual, base = compared.total(shares, "actual"), compared.total(shares, "base")
        share, counted = (compared.share(shares, due=due) for due in (True, False))
        if not reason:
            if not compared.total(shares, "alone") and not actual:
                reason = "values"
            elif share < THRESHOLD:
                reason = "coverage"
            elif not counted >= MOST:
                reason = "early"
        elif not actual:
            reason = "values"
        status = "alone" if reason == "none" else "unknown" if reason else _side(difference, low, high, base)
        return Answer(
            status, "" if reason == "none" else reason, actual, base, difference, low, high, share, counted
        )

    # Contributors

    def _rows(
        self, actual: Grid, compared: Comparison, mine: Floats
    ) -> tuple[tuple[Row, ...], tuple[Row, ...], tuple[Row, ...]]:
        """By tenant or ward or flow; by sector; by flow for those who may read the flows."""
        flows = {flow: self.territory.flows[flow] for flow in actual.flows}
        sectors = self._listed(compared, mine, {flow: (x.sector, 1.0) for flow, x in flows.items()}, "sector")
        seen = {flow: (flow, 1.0) for flow in flows if self.scope.whole or flow in self.scope.flows}
        single = self._listed(compared, mine, seen, "flow", most=len(seen) or 1)
        column, members = self._level(actual, mine)
        groups = self._listed(compared, mine, members, column)
        return groups if any(not row.merged for row in groups) else (), sectors, single

    def _level(self, actual: Grid, mine: Floats) -> tuple[str, Any]:
        """By what the first table groups: wards of a city, the companies of a park, or the flows of one company."""
        inside = [flow for flow, one in zip(actual.flows, mine, strict=True) if one]
        if self.territory.kind == "city" and any(x.kind == "ward" for x in self.territory.places.values()):
            if not self.focus or self.territory.places[self.focus].kind != "ward":
                return "ward", self._members(actual, "ward")
            return "flow", {flow: (flow, 1.0) for flow in inside}
        companies = {flow: self.scope.company_of(self.territory.flows[flow].place) for flow in inside}
        if self.scope.companies(inside) <= 1 and self._all_seen(inside):
            return "flow", {flow: (flow, 1.0) for flow in inside}
        return "place", {flow: (place, 1.0) for flow, place in companies.items()}

    def _listed(
        self, compared: Comparison, mine: Floats, members: Any, column: str, most: int = _SHOWN
    ) -> tuple[Row, ...]:
        """The rows of one table: largest differences first, the small ones and those that may not be shown added up."""
        listed = (
            members if isinstance(members, list) else [(f, key, share) for f, (key, share) in members.items()]
        )
        number = {flow: index for index, flow in enumerate(compared.flows)}
        shares: dict[str, Floats] = {}
        names: dict[str, list[str]] = {}
        for flow, key, share in listed:
            if mine[number[flow]]:
                part = shares.setdefault(key, np.zeros(len(compared.flows)))
                part[number[flow]] += share * mine[number[flow]]
                names.setdefault(key, []).append(flow)
        sizes = {
            key: sum(compared.total(part, x) for x in ("actual", "waiting", "early"))
            for key, part in shares.items()
        }
        shown = self.scope.disclosed(sizes, names)
        if not self.scope.whole and not self.scope.suppresses:
            shown = frozenset(key for key in shown if self._all_seen(names[key]))
        ranked = sorted(shown, key=lambda key: -abs(compared.difference(shares[key])[0]))
        kept = ranked if len(ranked) == len(shares) <= most + 1 else ranked[:most]
        rows = [self._row(compared, shares[key], column, key) for key in kept]
        rest = [part for key, part in shares.items() if key not in kept]
        if rest:
            rows.append(self._row(compared, np.sum(rest, axis=0), column, "", merged=True))
        return tuple(rows)

    def _row(
        self, compared: Comparison, shares: Floats, column: str, key: str, *, merged: bool = False
    ) -> Row:
        value, low, high = compared.difference(shares)
        places = self.territory.places
        name, place = key, ""
        if column in {"place", "ward"} and key in places:
            name, place = places[key].name, key
            column = places[key].kind
        elif column == "flow" and key:
            flow = self.territory.flows[key]
            name, place = flow.name or key, flow.place
        elif column == "sector":
            name = self.territory.sectors.get(key, key)
        return Row(
            column,
            key,
            name,
            compared.total(shares, "actual"),
            compared.total(shares, "base"),
            value,
            low,
            high,
            compared.total(shares, "waiting"),
            compared.total(shares, "early"),
            place,
            merged,
        )

    # Hours and cards

    def _hours(self, actual: Grid, plan: Grid | None, mine: Floats) -> Hours:
        start = max(now_model.floor_hour(self.span.end - _BACK), actual.span.start)
        end = min(now_model.floor_hour(self.span.end) + _AHEAD, max(self.view.period.end, self.span.end))
        if plan is None:
            end = self.span.end
        bands = {}
        if plan is not None and self.run in HAPPENED:
            for name, run in (("low", "forecast/q10"), ("middle", "forecast"), ("high", "forecast/q90")):
                one = self._ahead(run, plan.span)
                if one is not None:
                    bands[name] = one
        return now_model.hours(actual, plan, bands, mine, span=Span(start, end), until=self.span.end)

    def _cards(self, actual: Grid, inside: Floats, mine: Floats) -> list[Card]:
        """Electricity of today, its renewable share and intensity, and how much of the values came in."""
        flows = [self.territory.flows[name] for name in actual.flows]
        if not self._may_total([x.id for x, one in zip(flows, inside, strict=True) if one]):
            return []
        today = max(_DAY.floor(self.span.end - timedelta(microseconds=1), self.view.tz), actual.span.start)
        now = actual.window(today, self.span.end)
        power = np.array([x.carrier.kind == "electricity" for x in flows], dtype=bool)
        bought = power & (mine > 0) & np.array([x.scope == _BOUGHT for x in flows], dtype=bool)
        own = power & (inside > 0) & np.array([x.method == "own_generation" for x in flows], dtype=bool)
        grid, sun = (float(x[now].sum()) for x in (actual.energy(bought), actual.energy(own, "avoided")))
        kg, used = float(actual.co2e[bought][:, now].sum()), grid + sun
        cards = []
        if bought.any():
            parts = {"grid": grid, "sun": sun}
            cards.append(Card("electricity", used or None, "kWh", "electricity_more" if used else "", parts))
            if own.any():
                cards.append(
                    Card("renewable", sun / used if used else None, "", "renewable_more", percent=True)
                )
            cards.append(Card("intensity", kg / used if used else None, "kg CO2e/kWh", "intensity_more"))
        metered = (mine > 0) & now_model.fine(actual)
        cover = actual.cover[metered][:, actual.window(self.span.start, self.span.end)]
        data = {"flows": len(cover), "silent": int((cover.sum(axis=1) == 0).sum())}
        came = float(cover.mean()) if cover.size else None
        if metered.any():
            cards.append(Card("coverage", came, "", "coverage_more", data, percent=True))
        return cards


def _side(difference: float, low: float, high: float, base: float) -> str:
    """Above, below, or so near that the meters cannot tell; without an interval, so near that it prints as 0.0 %."""
    if math.isfinite(low) and low <= 0.0 <= high:
        return "on"
    if not math.isfinite(low) and abs(difference) < 0.0005 * abs(base):
        return "on"
    return "above" if difference > 0 else "below"


def _has_screen(name: str) -> bool:
    from mangrove.serve.screens import screens

    return any(screen.name == name for screen in screens())


SCREEN = Screen("now", order=10, model=build, template="now.html")
