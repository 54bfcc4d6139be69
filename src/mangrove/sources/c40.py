# SPDX-License-Identifier: Apache-2.0
"""The C40 database of city inventories: what cities publish under the GPC, as numbers and notation keys.

Comes in: the workbook of the C40 Greenhouse Gas Emissions Dashboard (version 30.05.2023, sheet "GHG Dashboard Data -
Inventory"). Goes out: one `CityInventory` per row, with every reference as it was written and the totals that the
workbook prints, so that they can be recomputed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mangrove.errors import SourceError, Where

SHEET = "GHG Dashboard Data - Inventory"
TOTALS = ("BASIC", "BASIC+", "BASIC+S3", "Territorial")
_REFERENCE = re.compile(r"(?:I|II|III)\.\d\.\d|IV\.\d|V\.\d|VI\.1")
_SUBSECTOR = re.compile(r"(BASIC\+?) +((?:I|II|III|IV|V)\.\d)")


@dataclass(frozen=True, slots=True)
class CityInventory:
    """One inventory of one city and year, in tonnes of CO2e.

    Attributes:
        city, country, year, level: as printed.
        population, area (km2), gdp: None when not given.
        entries: reference -> a number, the text of a notation key, or None when the cell is empty.
        totals: the headline columns `BASIC`, `BASIC+`, `BASIC+S3`, `Territorial`.
        subsectors: level (`BASIC`, `BASIC+`) -> subsector ("I.1") -> the workbook's own subtotal; empty cells are absent.
    """

    city: str
    country: str
    year: int
    level: str
    population: float | None
    area: float | None
    gdp: float | None
    entries: Mapping[str, float | str | None]
    totals: Mapping[str, float]
    subsectors: Mapping[str, Mapping[str, float]]


def read_c40(path: Path) -> list[CityInventory]:
    """Reads all inventories of the workbook, in its order.

    Raises:
        SourceError: `reports.c40_unreadable` when the file is no such workbook.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(book[SHEET].iter_rows(values_only=True))
        book.close()
    except (OSError, KeyError, ValueError) as error:
        raise SourceError("reports.c40_unreadable", where=Where(str(path)), reason=str(error)) from None
    header = [" ".join(str(cell).split()) if cell else "" for cell in rows[0]]
    first: dict[str, int] = {}
    for index, name in enumerate(header):
        first.setdefault(name, index)
    if not {"City", "Year_calendar", *TOTALS} <= first.keys():
        raise SourceError("reports.c40_unreadable", where=Where(str(path)), reason=", ".join(header[:12]))
    return [_inventory(row, header, first) for row in rows[1:] if row[first["City"]]]


def _inventory(row: tuple[object, ...], header: list[str], first: Mapping[str, int]) -> CityInventory:
    def number(name: str) -> float | None:
        cell = row[first[name]]
        return cell if isinstance(cell, (int, float)) and cell else None

    def text(name: str) -> str:
        return " ".join(str(row[first[name]] or "").split())

    subsectors: dict[str, dict[str, float]] = {"BASIC": {}, "BASIC+": {}}
    for name, cell in zip(header, row, strict=True):
        match = _SUBSECTOR.fullmatch(name)
        if match and isinstance(cell, (int, float)):
            subsectors[match[1]][match[2]] = cell
    return CityInventory(
        city=text("City"),
        country=text("Country"),
        year=int(text("Year_calendar")),
        level=text("Level"),
        population=number("Population"),
        area=number("Area"),
        gdp=number("GDP"),
        entries={name: _entry(row[index]) for name, index in first.items() if _REFERENCE.fullmatch(name)},
        totals={name: float(str(row[first[name]])) for name in TOTALS},
        subsectors=subsectors,
    )


def _entry(cell: object) -> float | str | None:
    if isinstance(cell, (int, float)):
        return cell
    return str(cell).strip() or None if cell is not None else None
