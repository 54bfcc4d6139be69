# SPDX-License-Identifier: Apache-2.0
"""The GPC's own order: references, scopes, reporting levels, notation keys, and which reference counts in which total.

Comes in: a number or a notation key for a reference. Goes out: the BASIC, BASIC+ and territorial totals with the parts that
they are sums of. Pure: knows nothing of territories or ledgers.

Source: Global Protocol for Community-Scale Greenhouse Gas Inventories (GPC) 1.1, WRI, C40 and ICLEI, 2021, Table 4.1 to
4.3 and Chapters 6 to 10. Reference II.5.3 is not in the list of GPC 1.1; the CIRIS tool and the C40 database use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from mangrove.errors import RequestError
from mangrove.rules import codes
from mangrove.text import fold

BASIC, BASIC_PLUS, TERRITORIAL, OTHER = "BASIC", "BASIC+", "territorial", "other"
LEVELS = (BASIC, BASIC_PLUS, TERRITORIAL)
NOTATION_KEYS = ("NO", "NE", "IE", "C")
EXTRA = frozenset({"II.5.3"})
"""References outside GPC 1.1 that published inventories use; shown only when they have a value or a key."""

_EXTRA_AS = {"II.5.3": ("II.5.2", "II.1.3")}
"""An extra reference stands after the first of these and counts what the second counts."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One line of a GPC inventory.

    Attributes:
        ref: reference number ("I.3.1"); scope: 1, 2 or 3.
        level: the smallest total that needs it (`BASIC`, `BASIC+`, `territorial`, `other`).
        names: language -> names of sector, subsector and of what is counted.
    """

    ref: str
    scope: int
    level: str
    names: Mapping[str, tuple[str, str, str]]

    @property
    def sector(self) -> str:
        """The number of its sector ("I")."""
        return self.ref.partition(".")[0]

    @property
    def subsector(self) -> str:
        """The number of its subsector ("I.3")."""
        return ".".join(self.ref.split(".")[:2])

    @property
    def imported(self) -> bool:
        """Whether it counts waste from outside the city (III.x.3)."""
        return self.sector == "III" and self.level == TERRITORIAL

    def counts_in(self, level: str) -> bool:
        """Whether the reference is part of the total `level` (GPC 1.1, section 4.2).

        BASIC+ holds all of BASIC. The territorial total holds every scope 1 reference, also those that no reporting
        level asks for: generation for the grid (I.4.4) and waste from outside the city (III.x.3).
        """
        if level == TERRITORIAL:
            return self.scope == 1
        return self.level == BASIC or (level == BASIC_PLUS and self.level == BASIC_PLUS)

    def sector_name(self, lang: str = "en") -> str:
        """The name of its sector."""
        return self.names[lang][0]

    def text(self, lang: str = "en") -> str:
        """The subsector and what is counted, in words."""
        return ": ".join(self.names[lang][1:])


def _build() -> dict[str, Reference]:
    built: dict[str, Reference] = {}
    for row in codes.gpc():
        level = row.level.upper() if row.level.startswith("basic") else row.level
        names = {
            "en": (row.sector_en, row.subsector_en, row.emission_en),
            "vi": (row.sector_vi, row.subsector_vi, row.emission_vi),
        }
        built[row.ref] = Reference(row.ref, row.scope, level, names)
        for extra, (before, like) in _EXTRA_AS.items():
            if row.ref == before:
                model = built[like]
                words = {lang: (*names[lang][:2], model.names[lang][2]) for lang in names}
                built[extra] = Reference(extra, model.scope, model.level, words)
    return built


REFERENCES: Mapping[str, Reference] = _build()
"""All references by number, in the order of the GPC: 53 of GPC 1.1 and II.5.3."""


def sector_name(sector: str, lang: str = "en") -> str:
    """The name of sector I to VI."""
    return next(
        reference.sector_name(lang) for reference in REFERENCES.values() if reference.sector == sector
    )


@dataclass(frozen=True, slots=True)
class Key:
    """A notation key in place of a number; `where` is the rest of what was written (for IE: the other reference)."""

    keys: tuple[str, ...]
    where: str = ""

    def __str__(self) -> str:
        return "; ".join(self.keys) + (f" ({self.where})" if self.where else "")


_KEY = re.compile(r"((?:NO|NE|IE|C)(?:\s*[;,/]\s*(?:NO|NE|IE|C))*)\s*(?:\(([^)]*)\))?")


def entry(written: object) -> float | Key | None:
    """Reads a cell of an inventory: a number, one or more notation keys ("NO; IE", "IE (II.1.1)"), or nothing.

    Raises:
        RequestError: `reports.not_an_entry` for anything else.

    Example:
        >>> entry("IE (II.1.1)").where
        'II.1.1'
        >>> entry(12.5), entry("")
        (12.5, None)
    """
    if isinstance(written, bool) or not isinstance(written, (int, float, str, type(None))):
        raise RequestError("reports.not_an_entry", text=repr(written))
    if written is None or isinstance(written, (int, float)):
        return written
    text = " ".join(written.split())
    if not text:
        return None
    match = _KEY.fullmatch(text)
    if not match:
        raise RequestError("reports.not_an_entry", text=written)
    keys = dict.fromkeys(re.split(r"\s*[;,/]\s*", match[1]))
    return Key(tuple(keys), (match[2] or "").strip())


@dataclass(frozen=True, slots=True)
class Total:
    """A total and its parts; the total is exactly the sum of the parts, added in their order."""

    value: float
    parts: Mapping[str, float]


def total(values: Mapping[str, float], level: str) -> Total:
    """The total `level` of an inventory; references without a value are absent from `values`, not zero.

    References are added into subsectors, subsectors into parts, parts into the total, each in plain double precision and
    in the order of the GPC, so that every printed total is the sum of the printed numbers above it. The parts are the
    sectors I to V; the territorial total lists waste from outside the city as a part of its own ("III imported").

    Raises:
        RequestError: `reports.unknown_reference` or `reports.unknown_level`.

    Example:
        >>> total({"I.1.1": 1.0, "I.1.3": 2.0, "I.4.4": 4.0}, "BASIC").value
        1.0
    """
    if level not in LEVELS:
        raise RequestError("reports.unknown_level", text=level, options=", ".join(LEVELS))
    parts: dict[str, dict[str, list[float]]] = {}
    unknown = [ref for ref in values if ref not in REFERENCES]
    if unknown:
        raise RequestError("reports.unknown_reference", text=", ".join(sorted(unknown)))
    for ref, reference in REFERENCES.items():
        if reference.counts_in(level) and ref in values:
            part, group = _part(reference, level)
            parts.setdefault(part, {}).setdefault(group, []).append(values[ref])
    sums = {part: plain_sum(plain_sum(group) for group in groups.values()) for part, groups in parts.items()}
    return Total(plain_sum(sums.values()), sums)


def _part(reference: Reference, level: str) -> tuple[str, str]:
    """The part of a total that a reference is added into, and the group inside that part."""
    if level != TERRITORIAL:
        return reference.sector, reference.subsector
    part = "III imported" if reference.imported else reference.sector
    return part, reference.ref


def plain_sum(numbers: Iterable[float]) -> float:
    """Left-to-right addition in double precision; the built-in `sum` compensates from Python 3.12 on."""
    return reduce(add, numbers, 0.0)


def key_of(written: str) -> str:
    """The notation key in a declaration, upper case; raises `RequestError` for a word that is none."""
    word = fold(written).upper()
    if word not in NOTATION_KEYS:
        raise RequestError("reports.not_an_entry", text=written)
    return word
