# SPDX-License-Identifier: Apache-2.0
"""Traffic: what the streets emit now, by street and five minutes on a map, which are worst and why, what signal plans and road plans change.

Comes in: counts and speeds of a day, stored comparisons, a view; in its address what colors the map (`show`), the step (`t`), the order of the
worst (`rank`), the street that the map is cut to (`at`), and the plans looked at (`study`, `way`, `look`, `plan`). Goes out: one model with tables
and figures. See `traffic_day` for who sees which street; comparisons of plans are for who sees the whole territory, or its totals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.figures import balance_areas, band_lines, numbers
from mangrove.serve import records
from mangrove.serve.pages.traffic_day import CARBON, Day, counts, day, last_count
from mangrove.serve.pages.traffic_map import StreetMap, options, shown_of, street_map
from mangrove.serve.pages.traffic_ranks import ORDERS, TOP, Ranks, ranks
from mangrove.serve.pages.traffic_roads import Plans, plans_of
from mangrove.serve.pages.traffic_signals import Study, study_of
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice, written
from mangrove.signals import KIND as SIGNALS
from mangrove.street_plans import KIND as PLANS
from mangrove.territory.model import Territory
from mangrove.times import Span, to_us

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mangrove.traffic_state import Edition

    Floats = npt.NDArray[np.float64]

_OWN = ("show", "t", "rank", "at", "study", "way", "look", "plan")
_PER_HOUR = 12
_MISSING = "vehicles.missing"
_Z90 = 1.6448536269514722
"""Half-width of a normal distribution's 90 % interval, in standard deviations."""
_PARTS = (("morning", 6, 9), ("noon", 10, 14), ("evening", 16, 19))
"""Hours of a day that people ask about."""

_SOURCES = ("class", "source", "per_km_at_20_km_h", "edition", "published")
"""Columns of the table of sources, before the unit."""
_NOW = {
    "km": "vehicle_km/h",
    "speed": "km/h",
    "lost": "vehicle_h/h",
    "mass": "kg/h",
    "low": "kg/h",
    "high": "kg/h",
    "sum": "t",
}


@dataclass(frozen=True, slots=True)
class Now:
    """The newest five minutes, per hour.

    Attributes:
        at: their start; km: vehicle-km; speed: km/h, NaN without traffic; lost: vehicle-hours; mass, low, high: kg CO2 with the 90 % interval.
        doubt: share of the variance of that sum by what it comes from: the factor of each class, `streets` for counts, speeds and streets.
        sum: t CO2 of all cells with their 90 % interval; counting: half of the 90 % interval from counts, speeds and streets alone, relative to `mass`; shares: of streets by where they come from.
    """

    at: datetime
    km: float
    speed: float
    lost: float
    mass: float
    low: float
    high: float
    sum: tuple[float, float, float]
    counting: float
    doubt: Mapping[str, float]
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Traffic:
    """The page.

    Attributes:
        view: what is looked at; found: the streets of the day, None when there are none; problems: what to know, or what stands in the way.
        shown: what colors the map; options: what can; map, worst, now: of the day; sources: g/km at 20 km/h by class and source; editions:
            of them; used: curve of each class; newest: the newest day with counts, when this one has none; study, plans: stored comparisons;
            left_out: those that cannot be read, by where they would stand (`signals`, `roads`).
    """

    view: View
    found: Day | None
    problems: tuple[Problem, ...]
    shown: str
    options: tuple[str, ...]
    map: StreetMap | None
    worst: Ranks | None
    now: Now | None
    sources: Mapping[str, Mapping[str, float]]
    editions: Mapping[str, Mapping[str, Edition]]
    used: Mapping[str, str]
    newest: str
    study: Study | None
    plans: Plans | None
    drawn: Mapping[str, str]
    left_out: Mapping[str, tuple[records.LeftOut, ...]]

    @property
    def pollutant(self) -> str:
        """What curves and ranks are of: that of the map, CO2 when it shows speeds."""
        return shown_of(self.shown)

    @property
    def declared(self) -> bool:
        """Whether anything counts vehicles here."""
        return counts(self.view.territory)

    @property
    def whole(self) -> bool:
        """Whether the reader sees the whole territory, or its totals."""
        return self.view.scope.whole or self.view.scope.suppresses

    def published(self, source: str) -> list[date]:
        """The days on which the editions of a source came out, over the classes of vehicles."""
        days = {each[source].published for each in self.editions.values() if source in each}
        return [date.fromisoformat(day) for day in sorted(days) if day]

    def name(self, vehicle: str) -> str:
        """What people call a class of vehicles."""
        return messages.render(f"page_traffic.class_{vehicle}", self.view.lang) if vehicle else "–"

    def link(self, **changes: str) -> str:
        """The address of this page with one thing changed."""
        return self.view.link("traffic", **changes)

    def step(self, by: int) -> str:
        """The address of the step so many cells later (earlier: below zero), empty outside the day."""
        assert self.map is not None
        at = self.map.index + by
        instants = self.map.instants(self.view)
        return self.link(t=instants[at][0]) if 0 <= at < len(instants) else ""

    @property
    def periods(self) -> list[tuple[str, str, bool]]:
        """Words and addresses of other hours, and whether they are shown now: the day before and after, the whole day, parts of it."""
        if self.found is None:
            return []
        tz, one = self.view.tz, timedelta(days=1)
        midnight = self.found.span.start.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [("before", midnight - one), ("whole", midnight), ("after", midnight + one)]
        spans = [(word, Span(start, start + one), f"{start:%Y-%m-%d}") for word, start in days]
        for word, first, last in _PARTS:
            span = Span(midnight.replace(hour=first), midnight.replace(hour=last))
            spans.append((word, span, written(span, tz)))
        shown = (self.view.period.start, self.view.period.end)
        return [
            (word, self.link(period=period, t="", at=""), (span.start, span.end) == shown)
            for word, span, period in spans
            if span.start < self.view.now
        ]

    @property
    def partly(self) -> bool:
        """Whether only the last day of a longer period is shown."""
        return self.found is not None and self.view.period.end - self.view.period.start > timedelta(hours=26)

    # Its twins

    @cached_property
    def _tables(self) -> Mapping[str, pa.Table]:
        found: dict[str, pa.Table] = {}
        if self.found is not None and self.map is not None and self.worst is not None:
            found = {
                "links": _links(self.map),
                "curve": _curve(self.found, self.pollutant),
                **self.worst.tables(),
            }
        if self.sources:
            rows = [
                (name, source, value, *self.editions[name][source])
                for name, each in self.sources.items()
                for source, value in each.items()
            ]
            columns = zip(*rows, strict=True) if rows else ((),) * len(_SOURCES)
            found["sources"] = pa.table(
                dict(zip(_SOURCES, map(list, columns), strict=True))
                | {"unit": ["kWh" if self.pollutant == "electricity" else "g"] * len(rows)}
            )
        if self.study is not None:
            found |= self.study.tables()
        if self.plans is not None:
            found |= self.plans.tables()
        return found

    def tables(self) -> Mapping[str, pa.Table]:
        """Streets at the step, the day's curve, the worst, sources, and the rows of stored comparisons."""
        return self._tables

    def json(self) -> dict[str, Any]:
        """Everything as data; `frames` holds all steps of the map."""
        now = self.now
        return {
            "from": self.found.span.start if self.found else None,
            "to": self.found.span.end if self.found else None,
            "show": self.shown,
            "unit": self.map.unit if self.map else None,
            "now": None
            if now is None
            else {name: getattr(now, name) for name in Now.__dataclass_fields__} | {"units": dict(_NOW)},
            "at": self.map.at if self.map else None,
            "sources_at_20_km_h": self.sources,
            "curves": self.used,
            "frames": self.map.frames() if self.map else None,
            **{name: table.to_pylist() for name, table in self.tables().items()},
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.problems],
            "left_out": [
                {
                    "part": part,
                    "record": one.id,
                    "name": one.name,
                    "stored": one.stored,
                    "text": one.why.text(self.view.lang),
                }
                for part, rows in {"map": self.map.left_out if self.map else (), **self.left_out}.items()
                for one in rows
            ],
        }

    def figures(self, lang: str) -> Mapping[str, str]:
        """The map of the step, curves over the day, maps of a signal plan, electricity of road plans."""
        found: dict[str, str] = {}
        if self.map is not None and self.map.plan is not None:
            found["map"] = self.map.draw(self.title(lang))
        found |= self.drawn
        if self.study is not None:
            found |= self.study.figures
        if self.plans is not None:
            found |= self.plans.figures(lang)
        return found

    def bare_map(self) -> str:
        """The map without its legend, which the page writes below it."""
        return self.map.draw(self.title(self.view.lang), key=False) if self.map else ""

    def title(self, lang: str) -> str:
        """What the map shows, in words."""
        return numbers.typeset(messages.render(f"page_traffic.map_{self.shown}", lang))

    @property
    def doubts(self) -> list[tuple[str, float]]:
        """What makes the interval wide, the most first: a class of vehicles whose factor it is, or counting."""
        if self.now is None:
            return []
        ranked = sorted(self.now.doubt.items(), key=lambda one: -one[1])
        counting = messages.render("page_traffic.counting", self.view.lang)
        return [(counting if name == "streets" else self.name(name), share) for name, share in ranked]

    @property
    def notes(self) -> list[Problem]:
        """What to know, without a line for each street that misses cells."""
        return [one for one in self.problems if one.code != _MISSING]

    @property
    def gaps(self) -> list[str]:
        """Streets that miss cells, those that miss most first."""
        found = [one for one in self.problems if one.code == _MISSING]
        return [str(one.data["link"]) for one in sorted(found, key=lambda one: -int(one.data["count"]))]


def build(live: Live, view: View) -> Traffic:
    """The page for one view.

    Raises:
        RequestError: `live.unknown_choice`, `page_map.bad_instant`, `page_traffic.no_street`.
    """
    order = choice("rank", view.params.get("rank", ""), ORDERS)
    wished = view.params.get("show", "")
    found, problems = day(live, view, shown_of(wished))
    known = options(found) if found else ()
    shown = choice("show", wished, known) if known else CARBON
    if found is not None and shown_of(shown) not in found.factors.pollutants:
        found, problems = day(live, view, shown_of(shown))
    study, unread = study_of(live, view)
    plans, torn = plans_of(live, view, shown_of(shown))
    left = {"signals": unread, "roads": torn}
    if found is None:
        return Traffic(
            view, None, problems, shown, known, None, None, None, {}, {}, {}, _newest(live, view), study, plans, {}, left
        )  # fmt: skip
    key = (found.span, live.cut(), found.streets.ids, shown_of(shown), view.lang)
    worst = live.kept.get(
        ("traffic ranks", *key, order),
        lambda: ranks(found, live.territory, shown_of(shown), order, view.lang),
    )
    drawn = live.kept.get(("traffic curves", *key), lambda: _curves(found, shown_of(shown), view))
    return Traffic(
        view, found, found.problems, shown, known, _mapped(live, view, found, shown, worst), worst, _now(found), *_doubt(found), "",
        study, plans, drawn, left,
    )  # fmt: skip


def _mapped(live: Live, view: View, found: Day, shown: str, worst: Ranks) -> StreetMap:
    """The map with the numbers of the worst streets, cut to one when the address names it."""
    marked = [(one.worst, f"{rank}. {one.name}") for rank, one in enumerate(worst.streets[:TOP], start=1)]
    at = view.params.get("at", "")
    if at and at not in worst.links:
        raise RequestError("page_traffic.no_street", text=at[:60], hint=did_you_mean(at, worst.links))
    focus = frozenset(found.streets.ids[link] for link in worst.links.get(at, ()))
    return street_map(live, view, found, shown, marked, focus)


def _now(found: Day) -> Now:
    """The newest cell, and how well it is known."""
    import numpy as np

    from mangrove.measure.traffic.ranking import travel
    from mangrove.measure.traffic.state import Basis
    from mangrove.traffic.emissions import roll_up
    from mangrove.traffic_state import variance_shares

    at = slice(found.newest, found.newest + 1)
    state, amounts = found.state, found.amounts
    shared = None if amounts.shared is None else amounts.shared[at]
    cell = replace(amounts, mass=amounts.mass[at], own=amounts.own[at], link=amounts.link[at], shared=shared)
    every = np.ones((1, len(found.streets.ids)))
    summed, whole = roll_up(cell, every, found.factors), roll_up(amounts, every, found.factors)
    scale = _PER_HOUR / 1000
    mass, low, high, sd = (
        float(one[0, 0]) for one in (summed.mass, summed.low, summed.high, summed.state_sd)
    )
    hours, lost = (float(one.sum()) for one in travel(state, at))
    km = float(state.vehicle_km[at].sum())
    basis = state.basis[found.newest]
    named = {"read": (Basis.READ, Basis.SHARED), "filled": (Basis.FILLED,), "missing": (Basis.MISSING,)}
    return Now(
        found.starts[found.newest], km * _PER_HOUR, km / hours if hours > 0 else math.nan, lost * _PER_HOUR,
        mass * scale, low * scale, high * scale,
        (float(whole.mass[0, 0]) / 1e6, float(whole.low[0, 0]) / 1e6, float(whole.high[0, 0]) / 1e6), _Z90 * sd / mass if mass > 0 else math.nan, variance_shares(amounts, found.factors),
        {name: float(np.isin(basis, [int(one) for one in kinds]).mean()) for name, kinds in named.items()},
    )  # fmt: skip


def _course(found: Day, pollutant: str) -> tuple[Floats, Floats, Floats]:
    """(T, C) kg (kWh) per hour, (T,) km/h, (T,) vehicle-km per hour."""
    import numpy as np

    from mangrove.measure.traffic.ranking import travel
    from mangrove.measure.traffic.state import Basis

    scale = _PER_HOUR / (1.0 if pollutant == "electricity" else 1000.0)
    mass = found.mass(pollutant).sum(axis=1) * scale
    km = found.state.vehicle_km.sum(axis=(1, 2))
    hours = travel(found.state)[0].sum(axis=(1, 2))
    gone = (found.state.basis == Basis.MISSING).all(axis=1)
    speed = np.divide(km, hours, out=np.full(len(km), np.nan), where=hours > 0)
    mass = np.where(gone[:, None], np.nan, mass)
    return mass, speed, np.where(gone, np.nan, km * _PER_HOUR)


def _edges(found: Day, view: View) -> list[float]:
    """Hours since local midnight at which cells begin, and the end of the last."""
    midnight = found.span.start.astimezone(view.tz).replace(hour=0, minute=0, second=0, microsecond=0)
    first = to_us(midnight)
    edges = [(int(one) - first) / 3.6e9 for one in found.state.starts]
    return [*edges, edges[-1] + 1 / _PER_HOUR]


def _curves(found: Day, pollutant: str, view: View) -> dict[str, str]:
    """Emissions by class and speed over the day."""
    edges, lang = _edges(found, view), view.lang
    mass, speed, _ = _course(found, pollutant)
    classes = sorted(range(len(found.state.classes)), key=lambda c: -float(mass[:, c][mass[:, c] > 0].sum()))
    named = {
        messages.render(f"page_traffic.class_{found.state.classes[c]}", lang): mass[:, c].tolist()
        for c in classes
        if (mass[:, c] > 0).any()
    }
    unit = "kWh/h" if pollutant == "electricity" else f"kg {pollutant}/h"
    titles = [
        messages.render(f"page_traffic.figure_{name}", lang, pollutant=pollutant)
        for name in ("classes", "speed")
    ]
    line = {messages.render("page_traffic.speed_all", lang): speed.tolist()}
    drawn = {"speed": band_lines(edges, line, title=titles[1], unit="km/h", lang=lang, heading=False)}
    if named:
        areas = balance_areas(
            edges, named, {}, title=titles[0], unit=unit, lang=lang, height=220, heading=False
        )
        drawn = {"classes": areas} | drawn
    return drawn


def _curve(found: Day, pollutant: str) -> pa.Table:
    """The day by cells: kilometers, speed, emissions by class, share of streets that were read."""
    from mangrove.measure.traffic.state import Basis

    mass, speed, km = _course(found, pollutant)
    unit = "kwh" if pollutant == "electricity" else "kg"
    columns: dict[str, Any] = {
        "start": pa.array(found.state.starts).cast(pa.timestamp("us", tz="UTC")),
        "vehicle_km_per_h": km,
        "speed_km_h": speed,
    }
    for c, name in enumerate(found.state.classes):
        columns[f"{pollutant}_{unit}_per_h_{name}"] = mass[:, c]
    columns["share_read"] = (found.state.basis <= Basis.SHARED).mean(axis=1)
    columns["share_filled"] = (found.state.basis == Basis.FILLED).mean(axis=1)
    return pa.table(columns)


def _links(drawn: StreetMap) -> pa.Table:
    """Every street at the step of the map."""
    from mangrove.measure.traffic.state import Basis

    found, at = drawn.day, drawn.index
    state = found.state
    return pa.table(
        {
            "link": list(found.streets.ids),
            "street": list(found.names),
            "length_km": found.streets.length,
            "vehicles_per_h": state.flow[at].sum(axis=1) * _PER_HOUR,
            "speed_km_h": found.speed[at],
            "limit_km_h": found.streets.limit,
            f"{drawn.shown}": drawn.values[at],
            "unit": [drawn.unit] * len(found.streets.ids),
            "basis": [Basis(int(one)).name.lower() for one in state.basis[at]],
        }
    )


def _doubt(found: Day) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Edition]], dict[str, str]]:
    """What a kilometer at 20 km/h emits by class and source, of which editions, and which curve was used: of CO2."""
    from mangrove.traffic_state import at_usual_speed, editions

    used = {
        name: row[0].id
        for name, row in zip(found.factors.classes, found.factors.curves, strict=True)
        if row[0]
    }
    return at_usual_speed(found.factors), editions(found.factors), used


def _newest(live: Live, view: View) -> str:
    """The newest local day with counts; empty when there is none."""
    seen = live.territory.flows if view.scope.whole or view.scope.suppresses else view.scope.flows
    last = last_count(live, seen, None, view.now)
    return f"{last.astimezone(view.tz):%Y-%m-%d}" if last else ""


def fits(territory: Territory) -> bool:
    """Whether a territory counts vehicles, declares a network, or has roads to plan for."""
    return (
        counts(territory)
        or bool(territory.settings.get("traffic"))
        or (Path(territory.path) / "roads" / "roads.yaml").is_file()
    )


def moves(live: Live) -> object:
    """The newest records of comparisons: they do not move the cut of the ledger."""
    return tuple(one.id for kind in (SIGNALS, PLANS, "traffic") for one in records.newest(live, kind))


SCREEN = Screen(
    "traffic",
    order=27,
    model=build,
    template="traffic.html",
    period="today",
    keeps=(*_OWN, "table", "figure"),
    fits=fits,
    moves=moves,
)
