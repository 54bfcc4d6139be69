# SPDX-License-Identifier: Apache-2.0
"""Global warming potentials over 100 years: named sets, gas names in any spelling, blends from their composition.

CO2e exists only with a named set. Comes in: "AR5" and a gas as people write it ("HFC134a", "R-410A", "CH4 fossil"). Goes
out: the value with its source and status. Blends are computed from mass fractions (ASHRAE Standard 34), never typed in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from mangrove import text
from mangrove.errors import RuleError
from mangrove.rules import tables

_OTHER_NAMES = {
    "r32": "HFC-32", "r125": "HFC-125", "r134a": "HFC-134a", "r143a": "HFC-143a", "r152a": "HFC-152a", "r23": "HFC-23",
    "r227ea": "HFC-227ea", "r236fa": "HFC-236fa", "r245fa": "HFC-245fa", "r22": "HCFC-22", "r123": "HCFC-123",
    "r11": "CFC-11", "r12": "CFC-12", "r744": "CO2", "pfc14": "CF4", "pfc116": "C2F6", "methane": "CH4",
    "carbondioxide": "CO2", "nitrousoxide": "N2O", "fossilch4": "CH4_fossil", "nonfossilch4": "CH4_nonfossil",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GwpValue:
    """kg CO2e per kg of gas, with where it comes from.

    `alternatives` are values that other sources print for the same set and gas (SF6 in AR6).
    """

    value: float
    source: str
    status: str
    note: str = ""
    alternatives: tuple[GwpValue, ...] = ()


@dataclass(frozen=True)
class GwpSet:
    """One set of GWPs over 100 years.

    Attributes:
        name: `SAR`, `AR4`, `AR5` or `AR6`.
        values: by canonical gas name, blends included.
        content_hash: SHA-256 (hex) over name and values: what a CO2e number binds.
    """

    name: str
    values: Mapping[str, GwpValue]
    content_hash: str

    def value(self, gas: str) -> GwpValue:
        """The GWP of `gas`, in any spelling.

        Raises:
            RuleError: `rules.unknown_gas` (with the nearest gas), or `rules.gas_not_in_set` when this set prints none.

        Example:
            >>> load("AR5").value("HFC134a").value
            1300.0
        """
        name = canonical_gas(gas)
        if name not in self.values:
            raise RuleError("rules.gas_not_in_set", gas=name, set=self.name)
        return self.values[name]


@lru_cache(maxsize=1024)
def canonical_gas(written: str) -> str:
    """The one spelling of a gas: `HFC134a`, `hfc-134a` and `R-134a` are `HFC-134a`.

    Raises:
        RuleError: `rules.unknown_gas`.
    """
    spellings = _spellings()
    key = _squeeze(written)
    if key not in spellings:
        near = text.suggest(key, spellings)
        raise RuleError("rules.unknown_gas", text=written, near=spellings[near] if near else "-")
    return spellings[key]


def load(name: str) -> GwpSet:
    """The set `name`, in any case; `RuleError` (`rules.unknown_gwp_set`) with the nearest one otherwise."""
    sets = _sets()
    key = name.strip().upper()
    if key not in sets:
        near = text.suggest(name, sets) or "-"
        raise RuleError("rules.unknown_gwp_set", text=name, near=near, options=", ".join(sets))
    return sets[key]


def _squeeze(written: str) -> str:
    """Letters and digits only, lower case."""
    return re.sub(r"[^0-9a-z]", "", text.fold(written))


@cache
def _spellings() -> dict[str, str]:
    """Squeezed spelling to canonical gas name."""
    canonical = {row["gas"] for row in tables.rows("gwp")} | {row["blend"] for row in tables.rows("blends")}
    return {_squeeze(gas): gas for gas in sorted(canonical)} | _OTHER_NAMES


@cache
def _sets() -> dict[str, GwpSet]:
    """All sets by name, in order of publication."""
    printed: dict[str, dict[str, list[GwpValue]]] = {}
    for row in tables.rows("gwp"):
        entry = GwpValue(float(row["value"]), row["source"], row["status"], row["note"])
        printed.setdefault(row["set"], {}).setdefault(row["gas"], []).append(entry)
    sets = {}
    for name, gases in printed.items():
        values = {gas: _first(entries) for gas, entries in gases.items()}
        values.update(_blends(values))
        listing = ";".join(f"{gas}={values[gas].value!r}" for gas in sorted(values))
        sets[name] = GwpSet(name, values, hashlib.sha256(f"{name};{listing}".encode()).hexdigest())
    return sets


def _first(entries: list[GwpValue]) -> GwpValue:
    """The first printed value, carrying the others as alternatives."""
    best, *others = entries
    return GwpValue(best.value, best.source, best.status, best.note, tuple(others))


def _blends(values: Mapping[str, GwpValue]) -> dict[str, GwpValue]:
    """The blends whose components all have a value: sum of mass fraction x GWP."""
    parts: dict[str, list[tuple[str, float]]] = {}
    for row in tables.rows("blends"):
        parts.setdefault(row["blend"], []).append((row["component"], float(row["mass_fraction"])))
    found = {}
    for blend, components in parts.items():
        if all(gas in values for gas, _ in components):
            total = sum(share * values[gas].value for gas, share in components)
            recipe = " + ".join(f"{share:g} {gas}" for gas, share in components)
            found[blend] = GwpValue(total, "ANSI/ASHRAE Standard 34 composition by mass", "recalled", recipe)
    return found
