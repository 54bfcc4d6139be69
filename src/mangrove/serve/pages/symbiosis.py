# SPDX-License-Identifier: Apache-2.0
"""Symbiosis: today's exchanges as their meters prove them, the best new ones, who gains what, what breaks if one leaves, the annual form.

Comes in: declared exchanges with the ledger, the newest stored plan of exchanges, indicators of the eco-industrial park, and a view.
Goes out: one model with its tables and figures. Whoever sees everything sees it all; a company sees the exchanges that it is part of, with its
own side of the savings; the city sees sums only, when companies enough are in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from mangrove import listings, messages
from mangrove.errors import MangroveError, Problem
from mangrove.figures import SankeyLink, sankey
from mangrove.measure.symbiosis.types import Figure
from mangrove.measure.symbiosis.types import total as added
from mangrove.measure.symbiosis.verify import Verified, verify
from mangrove.serve import records
from mangrove.serve.pages.symbiosis_board import Board, Park, board_of, park_of
from mangrove.serve.pages.symbiosis_plan import Planned, planned_of
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, choice
from mangrove.territory.model import Exchange, Place, Territory
from mangrove.times import Step

WIDTHS = ("money", "co2")
"""What the width of a ribbon may stand for, besides the units in which exchanges are metered."""
_MILLION, _KILO = 1e6, 1e3


@dataclass(frozen=True)
class Running:
    """One running exchange in the months looked at.

    Attributes:
        exchange: as declared; giver, taker: names; unit: of the amounts.
        sent, received: sums of the meters, None without a meter or with a gap; taken: reconciled amount.
        saved: money of the sides that the reader may see; co2: kg CO2e avoided, for who sees both sides.
        months, verified, gaps: how many months, how many proved by two meters, how many without values.
        suspects: flows whose meters do not fit.
    """

    exchange: Exchange
    giver: str
    taker: str
    unit: str
    sent: float | None
    received: float | None
    taken: Figure | None
    saved: Figure | None
    co2: Figure | None
    months: int
    verified: int
    gaps: int
    suspects: tuple[str, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.exchange.name or self.exchange.id


@dataclass(frozen=True)
class Symbiosis:
    """The page.

    Attributes:
        view: what is looked at; start, end: the whole months in it (UTC), equal when there is none.
        running: exchanges that the reader may see; count: how many there are; by: width of the ribbons.
        saved, co2: of all of them together, None when not known or not told; told: whether sums may be told to this reader.
        plan: the newest stored plan; board: offers and needs; park: indicators; problems: what to know.
    """

    view: View
    start: datetime
    end: datetime
    running: tuple[Running, ...]
    count: int
    by: str
    saved: Figure | None
    co2: Figure | None
    told: bool
    plan: Planned | None
    board: Board
    park: Park | None
    problems: tuple[Problem, ...] = ()

    @property
    def currency(self) -> str:
        """The territory's money."""
        return self.view.territory.currency

    @property
    def widths(self) -> tuple[str, ...]:
        """What the ribbons can show."""
        return (*WIDTHS, *dict.fromkeys(one.unit for one in self.running))

    @property
    def undrawn(self) -> tuple[str, ...]:
        """Exchanges that have no ribbon in the figure because they have none of what it shows, or less than none."""
        return tuple(one.name for one in self.running if (_width(one, self.by) or 0.0) <= 0)

    @property
    def firms(self) -> tuple[Place, ...]:
        """The companies of which a form can be printed."""
        root = self.view.territory.settings.get("boundary")
        top = root.get("root") if isinstance(root, Mapping) else None
        known = self.view.territory
        return tuple(
            one
            for one in known.places.values()
            if one.kind == "facility" and (not top or known.lies_in(one.id, str(top)))
        )

    @property
    def may_enter(self) -> bool:
        """Whether the reader may put up offers and needs: somebody who signed in, of a role that may."""
        who = self.view.principal
        return who.kind != "guest" and who.role in {"admin", "operator", "tenant"}

    @cached_property
    def _tables(self) -> Mapping[str, pa.Table]:
        found = {"running": _running_table(self.running)}
        if self.plan is not None:
            found |= self.plan.tables()
        found |= self.board.tables()
        if self.park is not None:
            found |= self.park.tables()
        return found

    def tables(self) -> Mapping[str, pa.Table]:
        """Running exchanges, new ones, shares, losses, offers and needs, indicators."""
        return self._tables

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        return {
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "count": self.count,
            "told": self.told,
            "saved": _ends(self.saved),
            "avoided_kg_co2e": _ends(self.co2),
            "currency": self.currency,
            **{name: table.to_pylist() for name, table in self.tables().items()},
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.problems],
        }

    def figures(self, lang: str) -> Mapping[str, str]:
        """Today's exchanges as a Sankey figure; shares and losses of the plan as bars."""
        found = {"exchanges": self._sankey(lang)} if self.running else {}
        if self.plan is not None:
            found |= self.plan.figures(lang, self.currency)
        return found

    def _sankey(self, lang: str) -> str:
        links = []
        for one in self.running:
            width = _width(one, self.by)
            if width is not None:
                # a company may give one thing and take another, so its two sides are two nodes
                links += [
                    SankeyLink(f"{one.giver} ▸", one.name, width),
                    SankeyLink(one.name, f"▸ {one.taker}", width),
                ]
        layers = [
            messages.render(f"page_symbiosis.layer_{name}", lang) for name in ("gives", "what", "takes")
        ]
        title = messages.render(f"page_symbiosis.figure_{self.by if self.by in WIDTHS else 'amount'}", lang)
        return sankey(links, title=title, unit=self._unit(lang), lang=lang, layers=layers, heading=False)

    def _unit(self, lang: str) -> str:
        if self.by == "money":
            return messages.render("page_symbiosis.million", lang, currency=self.currency)
        return "t CO2e" if self.by == "co2" else self.by


def build(live: Live, view: View) -> Symbiosis:
    """The page for one view.

    Raises:
        RequestError: `live.unknown_choice` for a width that there is not.
    """
    start, end = whole_months(view)
    found, problems = _verified(live, start, end)
    whole = view.scope.whole
    shown = () if found is None else tuple(_running(found, one, view) for one in _visible(view))
    told = {what: whole or (view.scope.suppresses and _enough(found, view, what)) for what in WIDTHS}
    return Symbiosis(
        view,
        start,
        end,
        shown,
        len(view.territory.exchanges),
        _by(view, shown),
        found.saved()
        if found and told["money"]
        else added([one.saved for one in shown if one.saved is not None]),
        found.avoided()
        if found and told["co2"]
        else added([one.co2 for one in shown if one.co2 is not None]),
        any(told.values()) or bool(shown),
        planned_of(records.newest(live, "exchange_plan"), view),
        board_of(live, view),
        park_of(live, view) if whole else None,
        tuple(problems) if whole else (),
    )


def whole_months(view: View) -> tuple[datetime, datetime]:
    """The whole months of a view that have passed; both ends are equal when none has."""
    tz = view.tz
    month = Step(months=1)
    first, last = (month.floor(moment, tz) for moment in (view.span.start, view.span.end))
    if first < view.span.start:
        first = month.after(first, tz)
    return first, max(first, last)


def _verified(live: Live, start: datetime, end: datetime) -> tuple[Verified | None, Sequence[Problem]]:
    """The verified exchanges of the months, once for all who look; what stands in the way when there are none."""
    if not live.territory.exchanges or start >= end:
        return None, ()
    cut = live.cut()

    def made() -> Verified:
        with live.park.reader() as ledger:
            return verify(ledger, live.territory, start, end)

    try:
        found = live.kept.get(("exchanges", start, end, cut), made)
    except MangroveError as error:
        return None, error.problems
    return found, found.problems


def _visible(view: View) -> list[Exchange]:
    """The exchanges of which the reader sees one end in detail."""
    scope = view.scope
    return [
        one for one in view.territory.exchanges.values() if scope.sees(one.place) or scope.sees(one.to_place)
    ]


def _enough(found: Verified | None, view: View, what: str) -> bool:
    """Whether no company can be read out of a sum: companies enough have a part in it, in the very months that are looked at."""
    if found is None:
        return False
    parts = [
        (one.place, one.money if what == "money" else one.co2e)
        for one in found.savings
        if one.exchange not in found.uncounted
    ]
    within = {view.scope.company_of(place) for place, figure in parts if figure is not None and figure.value}
    return len(within) >= view.scope.threshold


def _running(found: Verified, one: Exchange, view: View) -> Running:
    rows = found.of(one.id)
    places = found.territory.places
    sides = {end for end, place in (("giver", one.place), ("taker", one.to_place)) if view.scope.sees(place)}
    savings = [
        saving for saving in found.savings if saving.exchange == one.id and saving.side in sides
    ]  # fmt: skip
    return Running(
        one,
        places[one.place].name,
        places[one.to_place].name,
        rows[0].unit if rows else "",
        _sum([row.sent.amount if row.sent else None for row in rows]),
        _sum([row.received.amount if row.received else None for row in rows]),
        found.amount(one.id),
        added([saving.money for saving in savings if saving.money is not None]),
        found.avoided(one.id) if len(sides) == 2 else None,  # noqa: PLR2004 - giver and taker
        len(rows),
        sum(row.status == "reconciled" for row in rows),
        len(found.gaps(one.id)),
        tuple(dict.fromkeys(flow for row in rows for flow in row.suspects)),
    )


def _sum(amounts: Sequence[float | None]) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [one for one in amounts if one is not None]
    return sum(known) if known else None


def _by(view: View, shown: Sequence[Running]) -> str:
    """What the ribbons show: what the address says, else money."""
    units = list(dict.fromkeys(one.unit for one in shown))
    return choice("by", view.params.get("by", ""), (*WIDTHS, *units))


def _width(one: Running, by: str) -> float | None:
    """The width of a ribbon; None for an exchange that has none of it."""
    if by == "money":
        return one.saved.value / _MILLION if one.saved is not None else None
    if by == "co2":
        return one.co2.value / _KILO if one.co2 is not None else None
    return one.taken.value if one.taken is not None and one.unit == by else None


def _ends(figure: Figure | None) -> dict[str, float | None] | None:
    return None if figure is None else {"value": figure.value, "low": figure.low, "high": figure.high}


def _running_table(rows: Sequence[Running]) -> pa.Table:
    numbers: dict[str, list[float | None]] = {
        "sent": [one.sent for one in rows],
        "received": [one.received for one in rows],
    }
    for name in ("taken", "saved", "co2"):
        figures = [getattr(one, name) for one in rows]
        label = {"co2": "avoided_kg_co2e"}.get(name, name)
        numbers[label] = [figure.value if figure else None for figure in figures]
        numbers[f"{label}_low"] = [figure.low if figure else None for figure in figures]
        numbers[f"{label}_high"] = [figure.high if figure else None for figure in figures]
    words = {
        "exchange": [one.exchange.id for one in rows],
        "name": [one.name for one in rows],
        "giver": [one.giver for one in rows],
        "taker": [one.taker for one in rows],
        "unit": [one.unit for one in rows],
    }
    counts = {name: [getattr(one, name) for one in rows] for name in ("months", "verified", "gaps")}
    return pa.table(
        {name: pa.array(cells, pa.string()) for name, cells in words.items()}
        | {name: pa.array(cells, pa.float64()) for name, cells in numbers.items()}
        | {name: pa.array(cells, pa.int64()) for name, cells in counts.items()}
    )


def fits(territory: Territory) -> bool:
    """Whether a territory declares anything of this page."""
    return bool(territory.exchanges or territory.offers or territory.needs)


def moves(live: Live) -> object:
    """The newest listing and the newest plan: records do not move the cut of the ledger."""
    return listings.revision(live.park), tuple(one.id for one in records.newest(live, "exchange_plan"))


SCREEN = Screen(
    "symbiosis",
    order=47,
    model=build,
    template="symbiosis.html",
    period="year",
    keeps=("by", "table", "figure"),
    fits=fits,
    moves=moves,
)
