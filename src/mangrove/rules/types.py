# SPDX-License-Identifier: Apache-2.0
"""The shape of a dated external fact: factor, GWP value, parameter; each with status and source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property

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
        value, unit: the number that formulas use, in a unit of `mangrove.units` ("kg CO2/TJ", "TJ/Gg", "1").
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
