# SPDX-License-Identifier: Apache-2.0
"""What a report says, as plain data: amounts, rows, figures' inputs, gaps, factors, identities.

Comes in: results that a caller took from a measurement. Goes out: one frozen `ReportModel` that `write_report` prints
in either language. Wherever a word is asked for (`label`, `note`, `text`, a layer's name), the code of a message
(`report.scope_1`) may stand instead; it is then shown in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from numpy.typing import ArrayLike

from mangrove.errors import Problem
from mangrove.figures import Bar, Coverage, SankeyLink, Shape
from mangrove.ledger.types import Quality
from mangrove.rules.types import Factor


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its 95 % interval and where it comes from.

    Attributes:
        value: tonnes of CO2e unless a card names another unit; None or NaN when unknown.
        low, high: ends of the 95 % interval, None when it has none.
        basis: `fact`, `measured`, `derived`, `modelled`, `assumed` or `generated`.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A headline number beside the total."""

    label: str
    amount: Amount
    unit: str = "t CO2e"
    note: str = ""
    digits: int = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table of amounts.

    Attributes:
        label: the place, sector, scope or account.
        coverage: share of the expected values that stand behind it, None when not known.
        trend: amounts by month, for a small line in the table.
    """

    label: str
    amount: Amount
    coverage: float | None = None
    trend: Sequence[float] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class GasRow:
    """One gas: its mass in tonnes, the GWP used, and its share of the total in CO2e (as `co2e`)."""

    gas: str
    mass: float | None
    gwp: float | None
    co2e: Amount


@dataclass(frozen=True, slots=True)
class GpcRow:
    """A line of the GPC table: an amount, or the notation key that stands for it with its reason."""

    ref: str
    name: str
    scope: str
    co2e: float | None = None
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MapFigure:
    """Areas and their amounts; `basis` by area id; a map of `schematic` shapes says so itself."""

    shapes: Sequence[Shape]
    values: Mapping[str, float]
    basis: Mapping[str, str] = field(default_factory=dict)
    unit: str = "t CO2e"
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CarpetFigure:
    """Hourly amounts, shape (24, days), local time; NaN where there is no data."""

    matrix: ArrayLike
    start: date
    basis: str = ""
    unit: str = "t CO2e/h"
    note: str = ""


@dataclass(frozen=True, slots=True)
class FlowFigure:
    """Links from carriers over sectors to scopes or gases, with the words above the layers."""

    links: Sequence[SankeyLink]
    layers: Sequence[str] = ()
    basis: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class MonthFigure:
    """Amounts by period and sector; NaN where there is no data."""

    periods: Sequence[str]
    series: Mapping[str, Sequence[float]]
    basis: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class CoverageFigure:
    """Daily shares of the expected values by flow."""

    rows: Sequence[Coverage]
    start: date


@dataclass(frozen=True, slots=True)
class GapRow:
    """Something missing: what, where, when, and how much of the total hangs on it.

    Attributes:
        problem: the finding; its sentence is shown in the reader's language.
        where: the place or flow, in words.
        start, end: the days it lasts, `end` being the first day after it.
        hours: how long in all.
        touches: tonnes of CO2e that are computed from this input, None when not known.
    """

    problem: Problem
    where: str = ""
    start: date | None = None
    end: date | None = None
    hours: float | None = None
    touches: float | None = None


@dataclass(frozen=True, slots=True)
class ExcludedRow:
    """Values that were stored but not summed, by quality code."""

    quality: Quality
    values: int
    flows: int


@dataclass(frozen=True, slots=True)
class FactorUse:
    """A factor that was used, the tonnes of CO2e computed with it, and what other sources say instead."""

    factor: Factor
    co2e: float | None = None
    others: Sequence[Factor] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """What a kind of number in this report is: published, derived, modelled, assumed or generated."""

    basis: str
    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A hash or key that pins what was computed."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that opens or repeats the computation."""

    label: str
    line: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportModel:
    """Everything a report prints. Parts left out are left out of the report; nothing is invented for them.

    Attributes:
        territory: its name; kind: `city` or `park`.
        start, end: the period, `end` being the first day after it; timezone: IANA name.
        gwp: the named GWP set; boundary: the borders reported, in words.
        as_of: the instant up to which records count, None for "everything known".
        total: the inventory total (account `inventory` only).
        accounts: what stands beside the inventory and is never part of the total.
        place_count: how many places there are when `places` lists only the largest.
        uncertainty: bars with intervals; version: of the program.
    """

    territory: str
    kind: str
    start: date
    end: date
    gwp: str
    total: Amount
    timezone: str = "Asia/Ho_Chi_Minh"
    boundary: str = ""
    as_of: datetime | None = None
    cards: Sequence[Card] = ()
    scopes: Sequence[Row] = ()
    gases: Sequence[GasRow] = ()
    places: Sequence[Row] = ()
    place_count: int | None = None
    sectors: Sequence[Row] = ()
    accounts: Sequence[Row] = ()
    gpc: Sequence[GpcRow] = ()
    map: MapFigure | None = None
    carpet: CarpetFigure | None = None
    sankey: FlowFigure | None = None
    months: MonthFigure | None = None
    uncertainty: Sequence[Bar] = ()
    coverage: CoverageFigure | None = None
    gaps: Sequence[GapRow] = ()
    excluded: Sequence[ExcludedRow] = ()
    factors: Sequence[FactorUse] = ()
    conditions: Sequence[Condition] = ()
    identities: Sequence[Identity] = ()
    commands: Sequence[Command] = ()
    version: str = ""
