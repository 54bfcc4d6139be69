# SPDX-License-Identifier: Apache-2.0
"""The shape of a dated external fact: factor, GWP value, parameter; each with status and source."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property

from mangrove import messages

STATUSES = ("official", "unofficial", "alternate", "recalled")
KINDS = ("direct", "correction", "parameter")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number is printed: document, article or table, item number, and how it was read."""

    document: str
    article: str = ""
    item: str = ""
    note: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.document, self.article, self.item) if part)


@dataclass(frozen=True)
class Factor:
    """Mass of one gas per unit of activity, or a correction or parameter that a formula needs.

    Attributes:
        id: unique key, stable across releases ("QD2626:I.1.1").
        activity: key shared by all sources that speak of the same thing ("combustion/manufacturing/anthracite").
        gas: "CO2", "CH4", "N2O", "HFC-134a", ...; empty for a parameter without a gas (an NCV, a density).
        value, unit: the number that formulas use, in a unit of `mangrove.units` ("kg CO2/TJ", "TJ/Gg", "1"); the value is
            NaN when the source prints no number (see `printed`).
        printed_value, printed_unit: verbatim.
        kind: `direct` (may be multiplied by an activity), `correction` (must not), `parameter` (enters a formula).
        valid_from, valid_to: half-open validity (`valid_to` is the first day it no longer holds); None is open.
        status: `official`, `unofficial`, `alternate` or `recalled`.
        uncertainty: half-width of the 95 % interval as a fraction; None when the source states none.
        shared: id of the error that rows share; rows with the same id move together. Default: the row's own id.
        name_en, name_vi: what it is, for people and for search.
    """

    id: str
    activity: str
    gas: str
    value: float
    unit: str
    kind: str
    status: str
    source: Source
    printed_value: str = ""
    printed_unit: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    uncertainty: float | None = None
    shared: str = ""
    name_en: str = ""
    name_vi: str = ""
    sector: str = ""
    note: str = ""

    def valid_on(self, day: date) -> bool:
        """Whether the rule holds on `day`."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) over every field: what a measurement binds."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def printed(self) -> bool:
        """Whether the source prints a number at all (it may print "negligible" instead)."""
        return not math.isnan(self.value)


@dataclass(frozen=True, slots=True)
class Selection:
    """The factor that holds, and what else was on offer.

    Attributes:
        chosen: the factor to use.
        alternatives: all other rows of the same activity and gas that hold on the day, best first.
        conflict: whether one of them differs by more than 0.5 %.
        caution: code of a message (`rules.caution_recalled`, `rules.caution_alternate`, `rules.caution_unofficial`)
            when the chosen row is not an official one; empty otherwise.
    """

    chosen: Factor
    alternatives: tuple[Factor, ...] = ()
    conflict: bool = False
    caution: str = ""

    def caution_text(self, lang: str = "en") -> str:
        """The caution as a sentence; empty when there is none."""
        if not self.caution:
            return ""
        return messages.render(
            self.caution, lang, activity=self.chosen.activity, gas=self.chosen.gas, source=self.chosen.source
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows for the same activity and gas that hold at the same time and differ by more than 0.5 %.

    `spread` is (largest - smallest) / largest of the values, in a common unit.
    """

    activity: str
    gas: str
    rows: tuple[Factor, ...]
    spread: float


@dataclass(frozen=True, slots=True)
class Match:
    """One activity that a search found: its rows from all sources and where they disagree.

    `score` is 1 for a perfect match of every word and falls towards 0.
    """

    activity: str
    name_en: str
    name_vi: str
    score: float
    rows: tuple[Factor, ...]
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True, slots=True)
class Fuel:
    """A fuel: its names, whether its CO2 is biogenic, and the densities that are plausible for it.

    `density_low` and `density_high` are in `density_unit` (kg/L for liquids, kg/m3 for gases); None when no band
    is known.
    """

    key: str
    name_en: str
    name_vi: str
    biogenic: bool
    density_low: float | None = None
    density_high: float | None = None
    density_unit: str = ""
    status: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class DensityCheck:
    """The density behind a volumetric factor, or a printed density, against the plausible band of the fuel.

    `density`, `low` and `high` are in `unit`; `plausible` is false outside the band.
    """

    factor: Factor
    fuel: str
    density: float
    low: float
    high: float
    unit: str

    @property
    def plausible(self) -> bool:
        """Whether the density lies in the band."""
        return self.low <= self.density <= self.high
