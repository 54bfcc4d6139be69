# SPDX-License-Identifier: Apache-2.0
"""What sensors say about an inventory, for a page: the newest record of an inversion, as far as its reader may see it.

Comes in: the newest record of kind `inversion`. Goes out: multipliers of the inventory by sector and zone with intervals, what cannot be told
apart, instruments that drift, diagnostics. Whoever sees everything sees it all; the city sees sectors and zones that tell no single company,
and no instruments; others see nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.figures import Bar, interval_bars
from mangrove.serve import records
from mangrove.serve.records import Record
from mangrove.serve.state import Live
from mangrove.serve.view import View

KIND = "inversion"
_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Amount:
    """One sector or zone: tonnes before and after with the 95 % interval, and the share of the prior's variance that was resolved."""

    key: str
    name: str
    before: float
    after: float
    low: float
    high: float
    learned: float
    known: bool
    shown: bool = True

    @property
    def multiplier(self) -> float:
        """After over before."""
        return self.after / self.before if self.before else float("nan")

    @property
    def ends(self) -> tuple[float, float]:
        """The interval of the multiplier."""
        return (self.low / self.before, self.high / self.before) if self.before else (float("nan"),) * 2


@dataclass(frozen=True)
class Sensed:
    """An inversion.

    Attributes:
        record: it; view: for whom; total: of everything; sectors, zones: by id, the largest first.
        instruments: rows of the record, those that drift first; notes: what to know, in English as it was stored.
    """

    record: Record
    view: View
    total: Amount
    sectors: tuple[Amount, ...]
    zones: tuple[Amount, ...]
    instruments: tuple[Mapping[str, Any], ...]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when to when."""
        first, last = (datetime.fromisoformat(str(self.record.document[name])) for name in ("from", "to"))
        return first, last

    @property
    def diagnostics(self) -> Mapping[str, Any]:
        """Readings, reduced chi-square, degrees of freedom for signal."""
        found: Mapping[str, Any] = self.record.document.get("diagnostics", {})
        return found

    @property
    def drifting(self) -> list[Mapping[str, Any]]:
        """Instruments whose factor moved."""
        return [one for one in self.instruments if one["drifts"]]

    @property
    def unknown(self) -> list[str]:
        """Names of what the sensors cannot tell."""
        return [one.name for one in (*self.sectors, *self.zones) if one.shown and not one.known]

    def json(self) -> dict[str, Any]:
        """Everything that the reader may see."""
        return {
            "record": self.record.id,
            "from": self.span[0],
            "to": self.span[1],
            "species": self.record.document.get("species", []),
            "prior": self.record.document.get("prior", ""),
            "total": _row(self.total),
            "sectors": [_row(one) for one in self.sectors if one.shown],
            "zones": [_row(one) for one in self.zones if one.shown],
            "not_identifiable": self.unknown,
            "instruments": list(self.instruments),
            "diagnostics": dict(self.diagnostics) if self.view.scope.whole else {},
        }

    def tables(self) -> dict[str, pa.Table]:
        """Multipliers, and instruments."""
        amounts = [
            {"by": kind, **_row(one)}
            for kind, rows in (("total", (self.total,)), ("sector", self.sectors), ("zone", self.zones))
            for one in rows
            if one.shown
        ]
        found = {"inversion": pa.Table.from_pylist(amounts)}
        if self.instruments:
            found["instruments"] = pa.Table.from_pylist([dict(one) for one in self.instruments])
        return found

    def figures(self, lang: str) -> dict[str, str]:
        """The multipliers of what can be told, with their intervals."""
        rows = [one for one in (self.total, *self.sectors, *self.zones) if one.shown and one.known]
        if not rows:
            return {}
        bars = [Bar(one.name, one.multiplier, *one.ends) for one in rows[:_SHOWN]]
        title = messages.render("page_surroundings.multipliers", lang)
        return {"multipliers": interval_bars(bars, title=title, unit="", lang=lang, heading=False)}


def sensed(live: Live, view: View) -> Sensed | None:
    """The newest inversion; None without one, or when the reader sees no totals of several companies."""
    scope = view.scope
    if not (scope.whole or scope.suppresses):
        return None
    for record in records.newest(live, KIND):
        if "total_kg" not in record.document:
            continue
        document = record.document
        sectors = live.territory.sectors
        places = {id_: place.name for id_, place in live.territory.places.items()}
        total = _amount("", messages.render("sensing.everything", view.lang), document["total_kg"])
        found = Sensed(
            record,
            view,
            total,
            _amounts(view, document.get("sectors", {}), sectors, _by_sector(view)),
            _amounts(view, document.get("zones", {}), places, _by_zone(view, document.get("zones", {}))),
            tuple(sorted(document.get("instruments", ()), key=lambda one: not one["drifts"]))
            if scope.whole
            else (),
        )
        return found if scope.whole or scope.tells(_direct(view)) else None
    return None


def _amounts(
    view: View,
    rows: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, Any],
    members: Mapping[str, Sequence[str]],
) -> tuple[Amount, ...]:
    shown = view.scope.disclosed({key: float(row["mean"]) for key, row in rows.items()}, members)
    found = [
        _amount(key, str(names.get(key, key)), row, shown=key in shown)
        for key, row in rows.items()
        if row["prior"]
    ]
    return tuple(sorted(found, key=lambda one: (-one.before, one.key)))


def _amount(key: str, name: str, row: Mapping[str, Any], *, shown: bool = True) -> Amount:
    before, after, low, high = (float(row[part]) / 1000 for part in ("prior", "mean", "low", "high"))
    return Amount(
        key,
        name,
        before,
        after,
        low,
        high,
        float(row["learned"]),
        known=bool(row["identifiable"]),
        shown=shown,
    )


def _direct(view: View) -> list[str]:
    """The flows that emit where they are: what sensors can see."""
    return [flow.id for flow in view.territory.flows.values() if flow.scope == 1]


def _by_sector(view: View) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id_ in _direct(view):
        found.setdefault(view.territory.flows[id_].sector, []).append(id_)
    return found


def _by_zone(view: View, zones: Mapping[str, Any]) -> dict[str, list[str]]:
    """The flows behind each zone: those that lie in it, and those that are spread over all."""
    territory = view.territory
    found: dict[str, list[str]] = {zone: [] for zone in zones}
    for id_ in _direct(view):
        flow = territory.flows[id_]
        inside = [node.id for node in territory.ancestors(flow.place) if node.id in found]
        for zone in inside[:1] or list(found):
            found[zone].append(id_)
    return found


def _row(one: Amount) -> dict[str, Any]:
    low, high = one.ends
    return {
        "key": one.key, "name": one.name, "multiplier": one.multiplier, "low": low, "high": high, "before_t": one.before,
        "after_t": one.after, "learned": one.learned, "identifiable": one.known,
    }  # fmt: skip
