# SPDX-License-Identifier: Apache-2.0
"""The worst streets and junctions of the hours that are shown, each with the reason in words.

Comes in: a `Day` and by what to rank. Goes out: rows for the page and its tables. The arithmetic is that of `measure.traffic.ranking`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.figures import numbers
from mangrove.measure.traffic.ranking import Cause, Corridor, Junction, corridors, junctions
from mangrove.serve.pages.traffic_day import Day
from mangrove.territory.model import Territory

EMISSION, DELAY, SUM = "emission", "delay", "sum"
ORDERS = (EMISSION, DELAY, SUM)
"""By emissions per km, by hours lost per km, by the emissions of the whole street."""
TOP = 10
"""Rows on the page and numbers on the map; the tables hold all."""
_PLAIN = 1.05
"""A factor below is no reason."""


@dataclass(frozen=True)
class Street:
    """One corridor with where it lies and its worst link."""

    row: Corridor
    where: str
    worst: int

    @property
    def name(self) -> str:
        """Of the street."""
        return self.row.name


@dataclass(frozen=True)
class Ranks:
    """The worst of a time.

    Attributes:
        streets, junctions: in order; order: one of `ORDERS`; pollutant: by whose emissions; unit: of amounts.
    """

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]
    order: str
    pollutant: str
    unit: str
    lang: str

    @cached_property
    def links(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the links of every street and junction by its name."""
        found = {one.id: one.links for one in self.junctions}
        return found | {one.name: one.row.links for one in self.streets}

    def cause(self, one: Street) -> Cause:
        """Why a street stands where it stands."""
        return one.row.delay if self.order == DELAY else one.row.emission

    def why(self, one: Street) -> str:
        """The reason in words: the product of its factors."""
        cause = self.cause(one)
        if not math.isfinite(cause.times) or cause.times <= 0:
            return ""
        word = messages.render(
            "page_traffic.times", self.lang, times=numbers.number(cause.times, self.lang, digits=2)
        )
        parts = [
            messages.render(
                f"page_traffic.cause_{name}", self.lang, times=numbers.number(value, self.lang, digits=2)
            )
            for name in ("busy", "slow", "mix")
            if math.isfinite(value := float(getattr(cause, name))) and value >= _PLAIN
        ]
        return f"{word}: {', '.join(parts)}" if parts else word

    def main(self, one: Street) -> str:
        """The strongest reason as the end of a code; empty where no factor raises anything."""
        cause = self.cause(one)
        return cause.most if getattr(cause, cause.most) >= _PLAIN else ""

    def title(self, one: Junction) -> str:
        """What people call a junction: the streets that meet there, else its id."""
        return " × ".join(one.streets[:3]) or one.id

    def tables(self) -> dict[str, pa.Table]:
        """All streets, and all junctions."""
        return {"corridors": self._streets(), "junctions": self._junctions()}

    def _streets(self) -> pa.Table:
        rows = [one.row for one in self.streets]
        found: dict[str, list[Any]] = {
            "rank": list(range(1, len(rows) + 1)),
            "street": [one.name for one in rows],
            "where": [one.where for one in self.streets],
            "links": [len(one.links) for one in rows],
            "length_km": [one.length for one in rows],
            f"{self.pollutant}_{_plain(self.unit)}_per_km_h": [one.mass for one in rows],
            f"{self.pollutant}_{_plain(self.unit)}_per_h": [one.mass * one.length for one in rows],
            "lost_vehicle_h_per_km_h": [_known(one.lost) for one in rows],
            "vehicles_per_h": [one.vehicles for one in rows],
            "speed_km_h": [_known(one.speed) for one in rows],
            "speed_over_limit": [_known(one.ratio) for one in rows],
            "leading_class": [one.first for one in rows],
            "leading_share": [one.share for one in rows],
        }
        for name in ("busy", "mix", "slow"):
            found[f"times_{name}"] = [_known(getattr(self.cause(one), name)) for one in self.streets]
        return pa.table(found)

    def _junctions(self) -> pa.Table:
        rows = self.junctions
        return pa.table(
            {
                "rank": list(range(1, len(rows) + 1)),
                "id": [one.id for one in rows],
                "streets": [" × ".join(one.streets) for one in rows],
                "signal": [one.signal for one in rows],
                "counted": [len(one.links) for one in rows],
                "arms": [one.arms for one in rows],
                f"{self.pollutant}_{_plain(self.unit)}_per_h": [one.mass for one in rows],
                "lost_vehicle_h_per_h": [_known(one.lost) for one in rows],
                "vehicles_per_h": [one.vehicles for one in rows],
                "speed_km_h": [_known(one.speed) for one in rows],
                "leading_class": [one.first for one in rows],
            }
        )


def ranks(day: Day, territory: Territory, pollutant: str, order: str, lang: str) -> Ranks:
    """The streets and junctions of a day in order."""
    rate = day.rates(pollutant)
    per_km = rate.mass.sum(axis=1) / rate.length
    lost_km = rate.lost.sum(axis=1) / rate.length
    by = lost_km if order == DELAY else per_km
    found = [
        Street(row, _where(territory, day, row.links), max(row.links, key=lambda link: _low(float(by[link]))))
        for row in corridors(rate, day.names)
    ]
    name = "lost" if order == DELAY else "mass"
    streets = sorted(found, key=lambda one: (-_low(_weight(one.row, order)), one.name))
    crossings = sorted(junctions(rate, day.streets), key=lambda one: (-_low(getattr(one, name)), one.id))
    unit = "kWh" if pollutant == "electricity" else "kg"
    return Ranks(tuple(streets), tuple(crossings), order, pollutant, unit, lang)


def _weight(row: Corridor, order: str) -> float:
    """By what a street is ranked."""
    return {DELAY: row.lost, SUM: row.mass * row.length}.get(order, row.mass)


def _where(territory: Territory, day: Day, links: Sequence[int]) -> str:
    """The places at which its meters stand, two at most."""
    names = list(dict.fromkeys(territory.places[day.streets.places[link]].name for link in links))
    return ", ".join(names[:2]) + (" …" if len(names) > 2 else "")  # noqa: PLR2004 - a cell of a table


def _low(value: float) -> float:
    """What is not known stands last."""
    return value if math.isfinite(value) else -1.0


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(unit: str) -> str:
    return unit.lower()
