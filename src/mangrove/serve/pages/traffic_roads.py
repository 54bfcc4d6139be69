# SPDX-License-Identifier: Apache-2.0
"""Plans for streets compared, on the page Traffic: what each changes, who gains, electricity by hour, claims that do not add up.

Comes in: the newest stored record of the kind `street_plans`, as `mangrove roads compare` writes it. Goes out: rows and a figure. Nothing is
computed again here but sums over zones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.errors import RequestError, did_you_mean
from mangrove.figures import band_lines, numbers
from mangrove.plan.traffic.verdict import TIE, TODAY
from mangrove.rules.vehicles import POLLUTANTS
from mangrove.serve import records
from mangrove.serve.state import Live
from mangrove.serve.view import View
from mangrove.street_plans import KIND

_FEW = 6
_SURE = 0.95
_GRAM = "g/"
_HOURS = 24
_MOST = 8
"""Newest records of which the first that can be read is shown."""
_WORDS = ("min", "trip", "jobs", "d")


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan changes of a measure against another plan; `confidence` that it is better, None where neither is."""

    measure: str
    unit: str
    plan: str
    against: str
    base: float
    mean: float
    low: float
    high: float
    relative: float
    confidence: float | None

    @property
    def sure(self) -> str:
        """`good` or `alarm` when nearly all draws agree."""
        if self.confidence is None:
            return ""
        return "good" if self.confidence >= _SURE else "alarm" if self.confidence <= 1 - _SURE else ""


@dataclass(frozen=True, slots=True)
class Zone:
    """Emissions of a zone today and under a plan, kg (kWh)."""

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Plans:
    """A stored comparison.

    Attributes:
        made: when; on: the day that is looked at; daily: whether sums are of a day; names: plans with their titles; plan: the one whose zones are shown.
        changes: all measures of all pairs; zones: of the plan, who gains most first; pollutant, unit: of the zones.
        kwh, charged: electricity driven and charged by plan and hour; claims, assumptions, problems: as stored.
    """

    made: datetime
    on: str
    daily: bool
    names: Mapping[str, str]
    plan: str
    changes: tuple[Change, ...]
    zones: tuple[Zone, ...]
    pollutant: str
    unit: str
    kwh: Mapping[str, Sequence[float]]
    charged: Mapping[str, Sequence[float]]
    claims: Sequence[Mapping[str, Any]]
    assumptions: Sequence[str]
    problems: Sequence[str]
    lang: str

    @cached_property
    def pairs(self) -> Mapping[tuple[str, str], tuple[Change, ...]]:
        """Changes by plan and what it is compared with, those against today first."""
        found: dict[tuple[str, str], list[Change]] = {}
        for one in sorted(self.changes, key=lambda one: one.against != TODAY):
            found.setdefault((one.plan, one.against), []).append(one)
        return {pair: tuple(rows) for pair, rows in found.items()}

    @property
    def gain(self) -> tuple[Zone, ...]:
        """Zones with less of it."""
        return tuple(one for one in self.zones[:_FEW] if one.change < 0)

    @property
    def lose(self) -> tuple[Zone, ...]:
        """Zones with more of it."""
        return tuple(one for one in self.zones[::-1][:_FEW] if one.change > 0)

    def told(self, claim: Mapping[str, Any]) -> str:
        """What a claim comes to, in the words of the verdict."""
        return numbers.typeset(claim.get("text", {}).get(self.lang, claim["id"]))

    def said(self, unit: str, lang: str) -> str:
        """A unit of a comparison as people read it: `min/trip` becomes `phút/chuyến`."""
        parts = (
            messages.render(f"page_traffic.unit_{part}", lang)
            if part in _WORDS
            else numbers.unit_label(part, lang)
            for part in unit.split("/")
        )
        return numbers.typeset("/".join(parts))

    def figures(self, lang: str) -> dict[str, str]:
        """Electricity driven by hour, and charged by hour where the plans say when vehicles charge."""
        found = {}
        for name, course in (("kwh", self.kwh), ("charged", self.charged)):
            if not _drawable(course):
                continue
            lines = {
                messages.render("page_traffic.today", lang)
                if plan == TODAY
                else self.names.get(plan, plan): hours
                for plan, hours in course.items()
            }
            title = messages.render(f"page_traffic.figure_{name}", lang)
            found[f"road_{name}"] = band_lines(
                range(_HOURS + 1), lines, title=title, unit="kWh/h", lang=lang, heading=False
            )
        return found

    def tables(self) -> dict[str, pa.Table]:
        """Measures, zones, claims, electricity by hour."""
        fields = Change.__slots__
        claims = [
            dict(one) | {"sources": ", ".join(one["sources"]), "text": self.told(one)} for one in self.claims
        ]
        found = {
            "plans": pa.table({name: [getattr(one, name) for one in self.changes] for name in fields}),
            "zones": pa.table(
                {
                    name: [getattr(one, name) for one in self.zones]
                    for name in ("name", "before", "after", "change")
                }
                | {"unit": [f"{self.unit}/{'d' if self.daily else 'h'}"] * len(self.zones)}
            ),
        }
        if claims:
            found["claims"] = pa.Table.from_pylist(claims)
        for name, course in (("road_kwh", self.kwh), ("road_charged", self.charged)):
            if any(sum(hours) > 0 for hours in course.values()):
                hours = list(range(max(len(row) for row in course.values())))
                found[name] = pa.table({"hour": hours} | {plan: list(row) for plan, row in course.items()})
        return found


def plans_of(live: Live, view: View, pollutant: str) -> tuple[Plans | None, tuple[records.LeftOut, ...]]:
    """The newest comparison that can be read, and newer ones that cannot; nothing for who sees no totals of the territory.

    Raises:
        RequestError: `live.unknown_choice` for a plan that there is not.
    """
    if not (view.scope.whole or view.scope.suppresses):
        return None, ()
    return records.first(live, KIND, _MOST, lambda record: _plans(view, record, pollutant))


def _plans(view: View, record: records.Record, pollutant: str) -> Plans:
    """A record as the page shows it."""
    document = record.document
    names = {one["name"]: one.get("title") or one["name"] for one in document["plans"]}
    if not names:
        raise KeyError("plans")
    word = view.params.get("plan", "") or next(iter(names))
    if word not in names:
        hint = did_you_mean(word, names)
        raise RequestError(
            "live.unknown_choice", name="plan", word=word[:40], options=", ".join(names), hint=hint
        )
    _check(document)
    made = document.get("made")
    shown, zones = _zones(view, document, word, pollutant)
    return Plans(
        datetime.fromisoformat(made) if made else record.stored, document.get("on") or "", document.get("per") == "day",
        names, word, tuple(_changes(document)), zones, shown, "kWh" if shown == "electricity" else "kg", _by_hour(document, "kwh_by_hour"),
        _by_hour(document, "kwh_charged_by_hour"),
        document.get("claims", ()), document.get("assumptions", ()), document.get("problems", ()), view.lang,
    )  # fmt: skip


def _check(document: Mapping[str, Any]) -> None:
    """Raises LookupError, TypeError or ValueError unless what is shown as it is stored has the form that it needs."""
    for claim in document.get("claims", ()):
        fine = isinstance(claim["id"], str) and isinstance(claim["holds"], bool)
        if not (fine and isinstance(claim.get("text", {}), dict)):
            raise TypeError
        ", ".join(claim["sources"])
    for lines in ("assumptions", "problems"):
        "".join(document.get(lines, ()))
    "".join((document.get("on") or "", document.get("per", "")))


def _changes(document: Mapping[str, Any]) -> list[Change]:
    found = []
    for one in document["measures"]:
        scale, unit = (1e-3, f"k{one['unit']}") if one["unit"].startswith(_GRAM) else (1.0, one["unit"])
        for row in one["differences"]:
            base = one["mean"][row["against"]] * scale
            mean, low, high = (_shift(row[name], scale, base) for name in ("mean", "low", "high"))
            found.append(
                Change(
                    one["key"], unit, row["plan"], row["against"], base, mean, low, high, float(row["relative"]),
                    None if row["confidence"] is None else float(row["confidence"]),
                )
            )  # fmt: skip
    return found


def _shift(value: float | None, scale: float, base: float) -> float:
    """A difference; what the verdict takes for rounding is nothing."""
    if value is None:
        return math.nan
    return 0.0 if abs(value * scale) <= TIE * abs(base) else value * scale


def _zones(
    view: View, document: Mapping[str, Any], plan: str, pollutant: str
) -> tuple[str, tuple[Zone, ...]]:
    """The pollutant that the record has, and the zones of a plan, who gains most first."""
    rows = document.get("zones", ())
    known = [key for key in (rows[0] if rows else {}) if key in POLLUTANTS]
    if not known:
        return pollutant, ()
    shown = pollutant if pollutant in known else "CO2" if "CO2" in known else known[0]
    scale = 1.0 if shown == "electricity" else 1e-3
    places = view.territory.places
    outside = messages.render("page_traffic.outside", view.lang)
    found = [
        Zone(
            outside
            if not one["zone"]
            else places[one["zone"]].name
            if one["zone"] in places
            else one["zone"],
            one[shown][TODAY] * scale,
            one[shown][plan] * scale,
        )
        for one in rows
    ]
    return shown, tuple(sorted(found, key=lambda one: (one.change, one.name)))


def _by_hour(document: Mapping[str, Any], key: str) -> dict[str, list[float]]:
    """Electricity of all zones by plan and hour."""
    found: dict[str, list[float]] = {}
    for one in document.get("zones", ()):
        for plan, hours in one.get(key, {}).items():
            before = found.get(plan) or [0.0] * len(hours)
            found[plan] = [a + float(b) for a, b in zip(before, hours, strict=True)]
    return found


def _drawable(course: Mapping[str, Sequence[float]]) -> bool:
    """Whether there is a day of something to draw."""
    return any(sum(hours) > 0 for hours in course.values()) and all(
        len(hours) == _HOURS for hours in course.values()
    )
