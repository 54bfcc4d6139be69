# SPDX-License-Identifier: Apache-2.0
"""The tables that the package ships, read once: CSV text in, typed rows out.

Only the standard library is used, so that importing the room stays cheap. A table is a file in `rules/data/` with a
header; every table that holds facts has a `source` (or `document`) and a `status` column.
"""

from __future__ import annotations

import csv
import hashlib
import math
from datetime import date
from functools import cache
from importlib import resources

from mangrove.rules.types import Factor, Fuel, Source

_FOLDER = resources.files("mangrove.rules") / "data"


@cache
def text_of(name: str) -> str:
    """The text of table `name` (without `.csv`), with line ends folded to a line feed."""
    return (_FOLDER / f"{name}.csv").read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of table `name`, column by column, in file order."""
    return tuple(csv.DictReader(text_of(name).splitlines()))


def names() -> list[str]:
    """The names of all shipped tables, sorted."""
    files = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(".csv") for name in files if name.endswith(".csv"))


def digest(*tables: str) -> str:
    """SHA-256 (hex) over the text of `tables`, in the order given."""
    joined = "\f".join(text_of(name) for name in tables)
    return hashlib.sha256(joined.encode()).hexdigest()


def number(written: str) -> float | None:
    """The number in a cell, or None when the cell is empty."""
    return float(written) if written else None


def day(written: str) -> date | None:
    """The date in a cell, or None when the cell is empty."""
    return date.fromisoformat(written) if written else None


@cache
def factors() -> tuple[Factor, ...]:
    """Every factor, correction and parameter of `factors.csv`, in file order."""
    return tuple(_factor(row) for row in rows("factors"))


def _factor(row: dict[str, str]) -> Factor:
    return Factor(
        id=row["id"],
        activity=row["activity"],
        gas=row["gas"],
        value=float(row["value"]) if row["value"] else math.nan,
        unit=row["unit"],
        kind=row["kind"],
        status=row["status"],
        source=Source(row["document"], row["article"], row["item"]),
        printed_value=row["printed_value"],
        printed_unit=row["printed_unit"],
        valid_from=day(row["valid_from"]),
        valid_to=day(row["valid_to"]),
        uncertainty=number(row["uncertainty"]),
        shared=row["shared"] or row["id"],
        name_en=row["name_en"],
        name_vi=row["name_vi"],
        sector=row["sector"],
        note=row["note"],
    )


@cache
def fuels() -> dict[str, Fuel]:
    """The fuels by key, with their names and the band of plausible densities."""
    return {
        row["key"]: Fuel(
            key=row["key"],
            name_en=row["name_en"],
            name_vi=row["name_vi"],
            biogenic=row["biogenic"] == "yes",
            density_low=number(row["density_low"]),
            density_high=number(row["density_high"]),
            density_unit=row["density_unit"],
            status=row["status"],
            source=row["source"],
        )
        for row in rows("fuels")
    }


@cache
def aliases() -> dict[str, str]:
    """Second names of activity keys: alias to activity."""
    return {row["alias"]: row["activity"] for row in rows("aliases")}
