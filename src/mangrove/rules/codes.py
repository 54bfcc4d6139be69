# SPDX-License-Identifier: Apache-2.0
"""Code lists and dated legal facts: GPC references, categories, notation keys, law, duties, quotas, targets.

Each function gives one shipped table as a tuple of small frozen rows, in file order. Every row says where it comes from
and with what status; names stand in English and in Vietnamese.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

from mangrove import text
from mangrove.errors import RuleError
from mangrove.rules import tables

LEVELS = ("basic", "basic+", "territorial", "other")
"""Reporting levels of the GPC; BASIC+ contains BASIC, territorial and other stand apart."""


@dataclass(frozen=True, slots=True)
class GpcReference:
    """One reference of the Global Protocol for Community-Scale inventories (GPC v1.1).

    Attributes:
        ref: reference number ("I.1.1"); scope: 1, 2 or 3; level: one of `LEVELS`.
        sector_en, sector_vi, subsector_en, subsector_vi, emission_en, emission_vi: names.
    """

    ref: str
    scope: int
    level: str
    sector_en: str
    sector_vi: str
    subsector_en: str
    subsector_vi: str
    emission_en: str
    emission_vi: str
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class NotationKey:
    """A key that stands in place of a number: IE, NE, NO, C (GPC) or NA (UNFCCC only)."""

    key: str
    name_en: str
    name_vi: str
    use_en: str
    use_vi: str
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class Category:
    """A category of a reporting scheme: `ISO14064-1`, `GHGP`, `GHGP-3`, `TT38-direct`, `TT38-indirect`."""

    scheme: str
    code: str
    name_en: str
    name_vi: str
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class Law:
    """A legal text; `amends` and `replaces` hold ids of other texts; `in_force` is None when it was not read."""

    id: str
    title_en: str
    title_vi: str
    in_force: date | None
    amends: tuple[str, ...]
    replaces: tuple[str, ...]
    status: str
    note: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """Who must do what by when, on which article of which law (an id of `laws`)."""

    key: str
    who_en: str
    who_vi: str
    what_en: str
    what_vi: str
    deadline_en: str
    deadline_vi: str
    law: str
    article: str
    status: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """The pilot quota of one facility, t CO2e a year; `sector` is `thermal_power`, `steel` or `cement`."""

    sector: str
    number: int
    facility: str
    province: str
    tax_code: str
    quota_2025: int
    quota_2026: int
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class Target:
    """A national target, ceiling or past total; `gwp` names its set when the source says so."""

    key: str
    year: int
    value: float
    unit: str
    gwp: str
    name_en: str
    name_vi: str
    status: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class FacilityCount:
    """How many facilities are listed by `dimension` (`ministry`, `industry`, `province`, `ministry_2024`)."""

    dimension: str
    name: str
    count: int
    valid_from: date | None
    valid_to: date | None
    status: str
    source: str


@dataclass(frozen=True, slots=True)
class CbamDefault:
    """Default embedded emissions of a good from Viet Nam, t CO2e per t; None where no value is printed."""

    cn: str
    good: str
    direct: float | None
    indirect: float | None
    total: float | None
    route: str
    status: str
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class SchemeRule:
    """A rule of an international scheme (SBTi, CBAM, Article 6, I-REC, ...), in words."""

    scheme: str
    rule: str
    value: str
    status: str
    source: str


@cache
def gpc() -> tuple[GpcReference, ...]:
    """The 53 references of GPC v1.1.

    Example:
        >>> len(gpc())
        53
    """
    return tuple(
        GpcReference(**{**row, "scope": int(row["scope"])})  # type: ignore[arg-type]
        for row in tables.rows("gpc")
    )


def gpc_reference(ref: str) -> GpcReference:
    """The reference `ref`; raises `RuleError` (`rules.unknown_gpc`) with the nearest one."""
    known = {entry.ref: entry for entry in gpc()}
    if ref not in known:
        raise RuleError("rules.unknown_gpc", text=ref, near=text.suggest(ref, known) or "-")
    return known[ref]


@cache
def notation_keys() -> tuple[NotationKey, ...]:
    """The notation keys of the GPC, and NA of the UNFCCC."""
    return tuple(NotationKey(**row) for row in tables.rows("notation"))


@cache
def categories(scheme: str | None = None) -> tuple[Category, ...]:
    """The categories of all schemes, or of one."""
    rows = (Category(**row) for row in tables.rows("categories"))
    return tuple(row for row in rows if scheme in (None, row.scheme))


@cache
def laws() -> tuple[Law, ...]:
    """The legal texts that the tables rest on, with what amends and replaces what."""
    return tuple(
        Law(
            row["id"],
            row["title_en"],
            row["title_vi"],
            tables.day(row["in_force"]),
            tuple(row["amends"].split()),
            tuple(row["replaces"].split()),
            row["status"],
            row["note"],
        )
        for row in tables.rows("laws")
    )


@cache
def obligations() -> tuple[Obligation, ...]:
    """Who must do what, by when, on which article."""
    return tuple(Obligation(**row) for row in tables.rows("obligations"))


@cache
def allocations() -> tuple[Allocation, ...]:
    """The 110 pilot quotas of Decision 699/QD-BNNMT."""
    numbers = ("number", "quota_2025", "quota_2026")
    return tuple(
        Allocation(**{**row, **{name: int(row[name]) for name in numbers}})  # type: ignore[arg-type]
        for row in tables.rows("allocations")
    )


@cache
def targets() -> tuple[Target, ...]:
    """National targets, sector ceilings and past totals."""
    return tuple(
        Target(**{**row, "year": int(row["year"]), "value": float(row["value"])})  # type: ignore[arg-type]
        for row in tables.rows("targets")
    )


@cache
def facility_counts() -> tuple[FacilityCount, ...]:
    """Counts of the facilities that must inventory."""
    return tuple(
        FacilityCount(
            row["dimension"],
            row["name"],
            int(row["count"]),
            tables.day(row["valid_from"]),
            tables.day(row["valid_to"]),
            row["status"],
            row["source"],
        )
        for row in tables.rows("facilities")
    )


@cache
def cbam_defaults() -> tuple[CbamDefault, ...]:
    """The CBAM default values for goods from Viet Nam."""
    numbers = ("direct", "indirect", "total")
    return tuple(
        CbamDefault(**{**row, **{name: tables.number(row[name]) for name in numbers}})  # type: ignore[arg-type]
        for row in tables.rows("cbam")
    )


@cache
def scheme_rules() -> tuple[SchemeRule, ...]:
    """Rules of international schemes."""
    return tuple(SchemeRule(**row) for row in tables.rows("schemes"))
