# SPDX-License-Identifier: Apache-2.0
"""How well offers and needs agree, part by part: codes, temperature, water, what went where before, words.

Comes in: profiles. Goes out: matrices (offers, needs) of agreement from 0 to 1. Every part is computed on different profiles only,
so that ten thousand listings of two hundred codes cost two hundred rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.matching.profile import Code, Profile
from mangrove.matching.types import Case, industry_likeness
from mangrove.matching.words import pivot

if TYPE_CHECKING:
    from mangrove.matching.types import Floats, Ints

LEVELS = {
    "ewc": ((6, 1.0), (4, 0.6), (2, 0.25)), "hs": ((6, 1.0), (4, 0.7), (2, 0.2)), "cpa": ((6, 1.0), (4, 0.6), (2, 0.2)),
    "cpc": ((5, 1.0), (3, 0.6), (2, 0.2)), "nace": ((4, 1.0), (3, 0.8), (2, 0.5)),
}  # fmt: skip
"""Agreement by how many first digits are the same: whole code, group, chapter. A choice of this program, in the order of the classifications."""
_WORD, _OTHER_WORD = 0.9, 0.3
"""Agreement of carriers that bear the same word (`material:gypsum`), and of another word of the same kind."""
_GRADE, _OTHER_GRADE, _KNOWN = 0.6, 0.35, 0.4
"""Water: agreement of the same and of another quality level, and what is added when every limit is answered."""
_EXCESS, _WIDE = 0.3, 200.0
"""Heat: an offer much hotter than needed agrees up to 0.3 less (at 200 K more): hot heat is kept for who needs it."""


def codes(offers: Sequence[Profile], needs: Sequence[Profile]) -> Floats:
    """(O, N) agreement of codes: the best pair of codes of one scheme, by digits, times both weights."""
    found = np.zeros((len(offers), len(needs)))
    giving, taking = _keys(offers), _keys(needs)
    for key, (rows, weights) in giving.items():
        if key not in taking:
            continue
        columns, others = taking[key]
        block = np.ix_(rows, columns)
        found[block] = np.maximum(found[block], key[2] * np.outer(weights, others))
    return found


def _keys(profiles: Sequence[Profile]) -> dict[tuple[str, str, float], tuple[Ints, Floats]]:
    """Rows and weights by (scheme, first digits, agreement)."""
    listed: dict[tuple[str, str, float], dict[int, float]] = defaultdict(dict)
    for row, profile in enumerate(profiles):
        for code in profile.codes:
            for digits, worth in LEVELS[code.scheme]:
                if len(code.code) >= digits:
                    key = (code.scheme, code.code[:digits], worth)
                    listed[key][row] = max(code.weight, listed[key].get(row, 0.0))
        if profile.word:
            listed["word", profile.word, _WORD][row] = 1.0
    return {
        key: (np.fromiter(rows, np.int64, len(rows)), np.fromiter(rows.values(), float, len(rows)))
        for key, rows in listed.items()
    }


def best_codes(offer: Profile, need: Profile) -> tuple[Code, Code, int] | None:
    """The pair of codes by which two listings agree best, and how many first digits are the same."""
    pairs = [
        (worth * one.weight * other.weight, one, other, digits)
        for one in offer.codes
        for other in need.codes
        if one.scheme == other.scheme
        for digits, worth in LEVELS[one.scheme]
        if len(one.code) >= digits and one.code[:digits] == other.code[:digits]
    ]
    if not pairs:
        return None
    _, one, other, digits = max(pairs, key=lambda pair: pair[0])
    return one, other, digits


def saturated(bar: float) -> float:
    """Temperature (degrees Celsius) of saturated steam at a pressure (bar, absolute).

    Antoine equation with A 8.14019, B 1810.94, C 244.485 (mmHg, 99 to 374 degrees Celsius; Dortmund Data Bank as printed in the
    article "Antoine equation"): within 1 K of steam tables from 1 to 40 bar.

    Example:
        >>> round(saturated(1.01325)), round(saturated(10.0))
        (100, 180)
    """
    millimeters = max(bar, 1e-3) * 750.0617
    return float(1810.94 / (8.14019 - np.log10(millimeters)) - 244.485)


def temperatures(profiles: Sequence[Profile]) -> tuple[Floats, Floats]:
    """Degrees Celsius (from the pressure where only that is known) and bar of each profile; NaN where unknown."""
    bar = np.array([np.nan if one.bar is None else one.bar for one in profiles])
    celsius = np.array([
        one.celsius if one.celsius is not None else np.nan if one.bar is None else saturated(one.bar) for one in profiles
    ])  # fmt: skip
    return celsius, bar


def heat(spare: Floats) -> Floats:
    """Agreement by how many kelvins an offer is better than the need; unknown temperatures agree by half."""
    agreed = 1 - _EXCESS * np.clip(spare, 0, _WIDE) / _WIDE
    return np.where(np.isnan(spare), 0.5, agreed)


def water(offers: Sequence[Profile], needs: Sequence[Profile]) -> Floats:
    """(O, N) agreement of quality levels; what is known of the limits is added pair by pair (see `known_limits`)."""
    giving, taking = (np.array([one.grade for one in side], dtype=object) for side in (offers, needs))
    return np.where(giving[:, None] == taking[None, :], _GRADE, _OTHER_GRADE)


def same_word(offers: Sequence[Profile], needs: Sequence[Profile]) -> Floats:
    """(O, N) agreement of carriers of one kind by their own word: the same, else less (`gas:biogas`, `gas:coke_oven`)."""
    giving, taking = (np.array([one.word for one in side], dtype=object) for side in (offers, needs))
    return np.where(giving[:, None] == taking[None, :], _WORD, _OTHER_WORD)


def known_limits(agreement: Floats, limits: Ints, unknown: Ints) -> Floats:
    """Agreement of water with what is added for limits that the offer answers (all answered: 0.4; no limits: half of it)."""
    share = np.where(limits > 0, 1 - unknown / np.maximum(limits, 1), 0.5)
    return agreement + _KNOWN * share


class Memory:
    """What went where before: the likest past exchange of a pair."""

    def __init__(self, cases: Sequence[Case], likeness: Any) -> None:
        """Takes the cases, and a function that gives the likeness (profiles, cases) of words."""
        self.cases = list(cases)
        self._likeness = likeness
        self._as_profiles = [
            Profile("matter", "", tuple(Code("ewc", code, 1.0, "declared") for code in case.ewc), case.nace_from, "", (), None)
            for case in self.cases
        ]  # fmt: skip

    def giving(self, offers: Sequence[Profile]) -> Floats:
        """(O, cases) how like an offer is to what was given: codes or words, half of it for another industry."""
        if not self.cases:
            return np.zeros((len(offers), 0))
        alike = np.maximum(codes(offers, self._as_profiles), self._likeness(offers))
        trades = {trade: row for row, trade in enumerate(dict.fromkeys(one.industries for one in offers))}
        near = np.array([[_nearest(trade, case.nace_from) for case in self.cases] for trade in trades])
        rows = [trades[one.industries] for one in offers]
        likely: Floats = alike * (0.5 + 0.5 * near[rows])
        return likely

    def taking(self, trade: tuple[str, ...], place: str) -> Floats:
        """(cases,) how like a need's place is to who took: its industry, or the very place."""
        return np.array([
            max(_nearest(trade, case.nace_to), float(bool(place) and place == case.taker)) for case in self.cases
        ])  # fmt: skip


def _nearest(ones: Sequence[str], others: Sequence[str]) -> float:
    return max((industry_likeness(one, other) for one in ones for other in others), default=0.0)


def case_words(cases: Sequence[Case]) -> list[str]:
    """The words of cases as profiles have them."""
    return [pivot(case.text) for case in cases]
