# SPDX-License-Identifier: Apache-2.0
"""The stored plan of exchanges as a page shows it: what is new and worth most, who gains what, what breaks if one leaves.

Comes in: the newest record of the kind `exchange_plan` and a view. Goes out: rows that the reader may see, tables and figures.
Nothing is solved here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.figures import Bar, interval_bars
from mangrove.serve.records import Record
from mangrove.serve.view import View

RULES = ("shapley", "core", "duals")
"""Rules of sharing, in the order of the columns: see `mangrove.settle.gains`."""
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Idea:
    """One new exchange: amounts and money are per year, `co2` is t CO2e avoided, None when no factor is stated.

    `worth`, `price` and `parts` are for who sees both ends: with its own cost, one end could compute the other's from them.
    """

    id: str
    what: str
    giver: str
    taker: str
    amount: float
    unit: str
    worth: float | None
    parts: Mapping[str, float]
    co2: float | None
    distance: float
    reasons: Sequence[str]
    price: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """One company: what it gains under each rule, what all lose when it leaves, what the others lose then; money per year."""

    place: str
    name: str
    shares: Mapping[str, float]
    loss: float
    others: float
    stops: Sequence[str]


@dataclass(frozen=True)
class Planned:
    """The plan.

    Attributes:
        stored: when; worth: money per year of all new exchanges, bound: what no plan can exceed, gap: between both, as a fraction.
        co2: t CO2e avoided a year, None when no factor says it; ideas, members: what the reader may see; whole: whether that is everything.
        core_is_empty: whether every way to share leaves somebody better off outside; notes: what is not reckoned.
    """

    stored: datetime
    worth: float
    bound: float
    gap: float
    co2: float | None
    ideas: tuple[Idea, ...]
    members: tuple[Member, ...]
    whole: bool
    core_is_empty: bool
    notes: tuple[str, ...]

    def tables(self) -> Mapping[str, pa.Table]:
        """New exchanges, and members with their shares and losses."""
        ideas = self.ideas
        texts = {
            "id": [one.id for one in ideas],
            "what": [one.what for one in ideas],
            "giver": [one.giver for one in ideas],
            "taker": [one.taker for one in ideas],
            "unit": [one.unit for one in ideas],
            "reasons": ["; ".join(one.reasons) for one in ideas],
        }
        numbers = {
            name: [getattr(one, name) for one in ideas]
            for name in ("amount", "worth", "co2", "distance", "price")
        }
        shares = {f"share_{rule}": [one.shares.get(rule) for one in self.members] for rule in RULES}
        lost = {name: [getattr(one, name) for one in self.members] for name in ("loss", "others")}
        return {
            "new": _table(texts, numbers),
            "members": _table(
                {"place": [one.place for one in self.members], "name": [one.name for one in self.members]},
                shares | lost,
            ),
        }

    def figures(self, lang: str, currency: str) -> Mapping[str, str]:
        """What each company gains (Shapley value), and what is lost when it leaves."""
        if not self.whole or not self.members:
            return {}
        unit = messages.render("page_symbiosis.million", lang, currency=currency)
        return {
            name: interval_bars(
                [Bar(one.name, _value(one, name) / _MILLION) for one in self.members],
                title=messages.render(f"page_symbiosis.figure_{name}", lang), unit=unit, lang=lang, heading=False,
            )
            for name in ("gains", "losses")
        }  # fmt: skip


def planned_of(found: Sequence[Record], view: View) -> Planned | None:
    """The newest plan as the reader may see it; None without any, or for who sees no company."""
    if not found or view.scope.suppresses:
        return None
    document, lang, scope = found[0].document, view.lang, view.scope
    places = document["places"]
    prices = _prices(document)
    seen = [
        one
        for one in document["exchanges"]
        if any(scope.sees(one[end]) for end in ("giver", "taker") if one[end] in view.territory.places)
    ]
    ideas = tuple(
        _idea(one, places, prices, lang, told=scope.whole)
        for one in sorted(seen, key=lambda one: -one["total"])
    )
    return Planned(
        found[0].stored, document["worth"], document["bound"], document["gap"], document["co2"], ideas,
        tuple(_members(document, view)), scope.whole, bool(document["shares"] and document["shares"]["core_is_empty"]),
        tuple(one[lang] for one in document["notes"]),
    )  # fmt: skip


def _idea(
    one: Mapping[str, Any], places: Mapping[str, str], prices: Mapping[str, float], lang: str, *, told: bool
) -> Idea:
    return Idea(
        one["id"], one["name"] or one["offer"], places.get(one["giver"], one["giver"]), places.get(one["taker"], one["taker"]),
        one["amount"], one["counted"], one["total"] if told else None, one["worth"] if told else {}, one["co2"] if one["co2"] or one["known_co2"] else None,
        one["distance_km"], one["reasons"].get(lang, ()), prices.get(one["id"]) if told else None,
    )  # fmt: skip


def _prices(document: Mapping[str, Any]) -> dict[str, float]:
    """The price of each exchange that realizes the Shapley value."""
    rule = (document["shares"] or {"rules": {}})["rules"].get(RULES[0], {})
    return {one["id"]: one["price"] for one in rule.get("prices", ()) if one["price"] is not None}


def _members(document: Mapping[str, Any], view: View) -> list[Member]:
    """The companies with what they gain, the one that gains most first; only for who sees all: a share tells a partner's cost."""
    if not view.scope.whole:
        return []
    shares = document["shares"] or {
        "members": (),
        "rules": {},
    }  # a plan of very many companies is stored without them
    lost = {one["place"]: one for one in document["without"] or ()}
    found = []
    for i, place in enumerate(shares["members"]):
        # a share of less than one đồng is rounding of the solver
        by_rule = {
            rule: float(round(shares["rules"][rule]["shares"][i]))
            for rule in RULES
            if rule in shares["rules"]
        }
        leaves = lost.get(place, {"loss": 0.0, "others": 0.0, "stops": ()})
        name = document["places"].get(place, place)
        found.append(Member(place, name, by_rule, leaves["loss"], leaves["others"], leaves["stops"]))
    return sorted(found, key=lambda one: -one.shares.get(RULES[0], 0.0))


def _value(one: Member, figure: str) -> float:
    return one.loss if figure == "losses" else one.shares.get(RULES[0], 0.0)


def _table(texts: Mapping[str, list[str]], numbers: Mapping[str, list[float | None]]) -> pa.Table:
    return pa.table(
        {name: pa.array(cells, pa.string()) for name, cells in texts.items()}
        | {name: pa.array(cells, pa.float64()) for name, cells in numbers.items()}
    )
