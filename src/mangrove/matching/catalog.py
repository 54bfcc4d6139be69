# SPDX-License-Identifier: Apache-2.0
"""The classifications as matching reads them: the six-digit wastes with their chapters, words of industries, correspondences.

Comes in: codes. Goes out: entries and labels of `rules.classifications`, and the groups of waste that the list itself keeps for an
industry. A code that no classification has gives nothing here; the declaration of a territory refuses it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mangrove.errors import RuleError
from mangrove.rules import classifications

_ENTRY = 6


@dataclass(frozen=True, slots=True)
class Waste:
    """A six-digit entry of the list of waste: labels, its chapter and group before its own words, and whether it is hazardous."""

    code: str
    en: str
    vi: str
    detailed: str
    hazardous: bool | None


@cache
def wastes() -> tuple[Waste, ...]:
    """All entries of six digits, in the order of the list.

    Example:
        >>> [one.detailed for one in wastes() if one.code == "020401"][0].count(" - ")
        2
    """
    return tuple(
        Waste(
            code, label_of("ewc", code), label_of("ewc", code, "vi"),
            " - ".join(label_of("ewc", code[:digits]) for digits in (2, 4, _ENTRY)), classifications.hazardous(code),
        )
        for code in classifications.codes("ewc", _ENTRY)
    )  # fmt: skip


@cache
def industry(nace: str, lang: str = "en") -> str:
    """What an industry is called; empty for a code that does not exist.

    Example:
        >>> industry("2410")[:28]
        'Manufacture of basic iron an'
    """
    return label_of("nace", nace, lang)


@cache
def label_of(scheme: str, code: str, lang: str = "en") -> str:
    """What a code means; empty for a code that does not exist."""
    try:
        return classifications.label(scheme, code, lang)
    except RuleError:
        return ""


@cache
def hazardous(code: str) -> bool | None:
    """Whether a waste code is hazardous; None for a code that does not exist or holds both kinds."""
    try:
        return classifications.hazardous(code)
    except RuleError:
        return None


@cache
def equivalents(scheme: str, code: str, other: str) -> tuple[str, ...]:
    """The codes of another scheme that mean the same; none for a code that does not exist."""
    try:
        return classifications.equivalents(scheme, code, other)
    except RuleError:
        return ()


@cache
def usual_groups(nace: str) -> tuple[str, ...]:
    """The four-digit groups that the list of waste keeps for an industry: most of its chapters are named after industries.

    `data/industry_chapters.csv` reads those titles (Decision 2014/955/EU) against the divisions of NACE Rev. 2; a table of this program, not
    an official correspondence.

    Example:
        >>> usual_groups("2410"), usual_groups("9999")
        (('1002',), ())
    """
    for start, groups in _usual():
        if nace.startswith(start):
            return groups
    return ()


@cache
def _usual() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Rows of `data/industry_chapters.csv`, the longest industry codes first."""
    path = resources.files("mangrove.matching") / "data" / "industry_chapters.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    table = [(row["nace"].replace(".", ""), tuple(row["ewc"].split())) for row in rows]
    return tuple(sorted(table, key=lambda row: -len(row[0])))
