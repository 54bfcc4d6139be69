# SPDX-License-Identifier: Apache-2.0
"""Two boards of the page of symbiosis: what is offered and needed in the park, and where it stands as an eco-industrial park.

Comes in: declared and entered listings, indicators of a year, a view. Goes out: rows with their tables. What a listing says to others
(what, where, how much, how good, at which price) is seen by every company; what it costs its owner otherwise is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from mangrove import listings
from mangrove.errors import MangroveError
from mangrove.measure.eip.indicators import indicators, written
from mangrove.measure.eip.types import VERDICTS, Indicators, Reading
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.territory.model import Listing

SIDES = ("offer", "need")


@dataclass(frozen=True, slots=True)
class Posted:
    """One listing: `year` is its amount in a year in `unit`, None for a service; `own` says whether the reader may withdraw it."""

    id: str
    side: str
    name: str
    text: str
    place: str
    carrier: str
    codes: str
    year: float | None
    unit: str
    quality: str
    price: str
    entered: bool
    own: bool


@dataclass(frozen=True)
class Board:
    """Offers and needs; only how many there are for who sees no company."""

    listings: tuple[Posted, ...]
    offers: int
    needs: int

    def side(self, side: str) -> tuple[Posted, ...]:
        """The listings of one side."""
        return tuple(one for one in self.listings if one.side == side)

    def tables(self) -> Mapping[str, pa.Table]:
        """All listings."""
        names = ("id", "side", "name", "text", "place", "carrier", "codes", "quality", "price")
        columns: dict[str, Any] = {
            name: pa.array([getattr(one, name) for one in self.listings], pa.string()) for name in names
        }
        columns["amount_per_year"] = pa.array([one.year for one in self.listings], pa.float64())
        columns["unit"] = pa.array([one.unit for one in self.listings], pa.string())
        return {"listings": pa.table(columns)}


@dataclass(frozen=True)
class Park:
    """Where the park stands on the way to its certificate: the indicators of a year."""

    found: Indicators
    lang: str

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """How many indicators are met, missed, unknown and reported, by framework."""
        return {
            name: {verdict: self.found.count(verdict, name) for verdict in VERDICTS}
            for name in self.found.frameworks
        }

    def value(self, one: Reading) -> str:
        """The value of an indicator in words."""
        return written(one.value, one.indicator.unit, self.lang)

    def tables(self) -> Mapping[str, pa.Table]:
        """All indicators."""
        rows = self.found.readings
        words = {
            "code": [one.indicator.code for one in rows],
            "framework": [one.indicator.framework for one in rows],
            "text": [one.indicator.name(self.lang) for one in rows],
            "value": [self.value(one) for one in rows],
            "origin": [one.origin for one in rows],
            "verdict": [one.verdict for one in rows],
        }
        return {"indicators": pa.table({name: pa.array(cells, pa.string()) for name, cells in words.items()})}


def board_of(live: Live, view: View) -> Board:
    """What is offered and needed now."""
    found = live.kept.get(("listings", listings.revision(live.park)), lambda: listings.known(live.park))
    today = live.clock.now().astimezone(view.tz).date()
    offers, needs = listings.current(found.offers, today), listings.current(found.needs, today)
    if not (view.scope.whole or view.principal.role == "tenant"):
        return Board((), len(offers), len(needs))
    declared = {*live.territory.offers, *live.territory.needs}
    rows = [
        _posted(one, view, entered=one.id not in declared)
        for side in (offers, needs)
        for one in side.values()
    ]
    return Board(tuple(rows), len(offers), len(needs))


def _posted(one: Listing, view: View, *, entered: bool) -> Posted:
    place = view.territory.places[one.place]
    amount = one.quantity
    per = amount.unit.text.split("/", 1)[0] if amount else ""
    signs = {"<=": "≤", ">=": "≥", "=": "="}
    return Posted(
        one.id, one.side, one.name or one.id, one.text, place.name, str(one.carrier),
        " ".join(f"{scheme.upper()} {code}" for scheme, codes in one.codes.items() for code in codes),
        sum(amount.months(per)) if amount else None, per,
        "; ".join(f"{prop.name} {signs[prop.sense]} {prop.value}" for prop in one.quality),
        str(one.price) if one.price is not None else "", entered,
        entered and view.scope.sees(one.place),
    )  # fmt: skip


def park_of(live: Live, view: View) -> Park | None:
    """The indicators of the year that the view begins in; None for what is no park, or when answers make no sense."""
    if live.territory.kind != "park":
        return None
    year = view.span.start.astimezone(view.tz).year
    try:
        found = live.kept.get(("eip", year, live.cut()), lambda: indicators(live.park, year))
    except MangroveError:
        return None
    return Park(found, view.lang)
