# SPDX-License-Identifier: Apache-2.0
"""What an industry typically gives and takes: by-products, heat, water and inputs by activity of ISIC Rev. 4, each with its source.

Comes in: an activity. Goes out: carriers with the document that names them, and how often a waste went from one industry to another in
published cases. These are places to start asking, never quantities: `typical_outputs.csv`, `typical_inputs.csv`,
`exchange_counts.csv` and `sector_sources.csv` in `rules/data/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mangrove.rules import classifications, tables

_WASTE = "waste:"
PUBLISHED = "maestri"
"""Source of `cases`."""
_DIVISION, _GROUP = 2, 4


@dataclass(frozen=True, slots=True)
class Typical:
    """A carrier that an activity typically gives or takes.

    Attributes:
        carrier: `waste:100202`, `wastewater`, `heat`, `electricity`, `CO2`, ...
        activity: the activity of the table, which is the asked one or stands above it.
        source: key of the document that says so (see `document`).
    """

    carrier: str
    activity: str
    source: str

    @property
    def ewc(self) -> str:
        """The waste code; empty for what is no waste."""
        return self.carrier.removeprefix(_WASTE) if self.carrier.startswith(_WASTE) else ""


def outputs(activity: str) -> tuple[Typical, ...]:
    """What an activity of ISIC Rev. 4 typically gives, the most specific first; a carrier once.

    Example:
        >>> [one.carrier for one in outputs("2396")][:2]
        ['waste:010413', 'waste:150101']
    """
    return _typical("typical_outputs", activity)


def inputs(activity: str) -> tuple[Typical, ...]:
    """What an activity of ISIC Rev. 4 typically takes, the most specific first; a carrier once.

    Example:
        >>> "waste:100202" in [one.carrier for one in inputs("2394")]
        True
    """
    return _typical("typical_inputs", activity)


def cases(giver: str, ewc: str, taker: str) -> int:
    """How many published exchanges went from the division of `giver` with the sub-chapter of `ewc` to the division of `taker`.

    Example:
        >>> cases("2410", "100202", "2394")
        15
    """
    return _counts().get((giver[:_DIVISION], ewc[:_GROUP], taker[:_DIVISION]), 0)


def document(source: str, lang: str = "en") -> str:
    """The title of a source.

    Example:
        >>> document("wt")
        'JRC, BAT reference document: Waste treatment (2018)'
    """
    return _sources()[source]["document_vi" if lang == "vi" else "document"]


def status(source: str) -> str:
    """How surely a source says what is taken from it: `official`, `unofficial`, `recalled`."""
    return _sources()[source]["status"]


@cache
def _typical(table: str, activity: str) -> tuple[Typical, ...]:
    family = (classifications.canonical(activity), *classifications.ancestors(classifications.ISIC, activity))
    found: dict[str, Typical] = {}
    for level in family:
        for row in tables.rows(table):
            if row["activity"] != level:
                continue
            for carrier in row["carriers"].split():
                found.setdefault(carrier, Typical(carrier, level, row["source"]))
    return tuple(found.values())


@cache
def _sources() -> Mapping[str, Mapping[str, str]]:
    return {row["key"]: row for row in tables.rows("sector_sources")}


@cache
def _counts() -> Mapping[tuple[str, str, str], int]:
    return {
        (row["from_division"], row["ewc"], row["to_division"]): int(row["cases"])
        for row in tables.rows("exchange_counts")
    }
