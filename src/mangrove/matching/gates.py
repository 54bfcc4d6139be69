# SPDX-License-Identifier: Apache-2.0
"""What no score can buy: dates, hazard and permits, quality, temperature and distance decide whether a pair may be a candidate at all.

Comes in: listings, profiles and pairs of them. Goes out: for each pair the gates that refuse it, and how many limits nobody can answer
yet. What is not stated is unknown, never good and never bad: the pair stays, and the reasons say what to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

from mangrove.matching.profile import Profile
from mangrove.text import fold

if TYPE_CHECKING:
    from mangrove.matching.types import Floats, Ints, Mask
    from mangrove.territory.model import Listing, Quality
    from mangrove.units import Dimension

_EPSILON = 1e-9
_LAST = 10**7
"""A day after all days."""


class Gate(IntFlag):
    """Why a pair is refused; several may hold."""

    DATES = 1
    HAZARD = 2
    PERMIT = 4
    QUALITY = 8
    LEVEL = 16
    RADIUS = 32


@dataclass(frozen=True)
class Sides:
    """Both sides as arrays, made once for all pairs.

    Attributes:
        first, last: (O,), (N,) day numbers; covered: (waste profiles, permit profiles) whether all codes are permitted;
        waste, permit: which profile each listing has; hazardous, unwanted: flags; limits: per property the arrays of both sides.
    """

    first: tuple[Ints, Ints]
    last: tuple[Ints, Ints]
    waste: Ints
    permit: Ints
    covered: Mask
    has_permits: Mask
    has_codes: Mask
    hazardous: Mask
    unwanted: Mask
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Limit:
    """One property: what offers have (in base units, NaN unknown), and between what needs bear it (-inf, inf: no limit).

    `kind` and `kinds` number the physical dimensions of both sides: percent cannot be compared with milligrams per liter.
    """

    value: Floats
    kind: Ints
    low: Floats
    high: Floats
    kinds: Ints


def sides(offers: Sequence[Listing], needs: Sequence[Listing], giving: Sequence[Profile]) -> Sides:
    """The arrays of both sides; `giving` are the profiles of the offers."""
    wastes = list(dict.fromkeys(one.waste for one in giving))
    permits = list(dict.fromkeys(need.permits for need in needs))
    at_waste, at_permit = ({key: row for row, key in enumerate(keys)} for keys in (wastes, permits))
    return Sides(
        first=(_days([one.valid_from for one in offers], 0), _days([one.valid_from for one in needs], 0)),
        last=(_days([one.valid_to for one in offers], _LAST), _days([one.valid_to for one in needs], _LAST)),
        waste=np.array([at_waste[one.waste] for one in giving], dtype=np.int64),
        permit=np.array([at_permit[one.permits] for one in needs], dtype=np.int64),
        covered=_covered(wastes, permits),
        has_permits=np.array([bool(one.permits) for one in needs], dtype=bool),
        has_codes=np.array([bool(one.waste) for one in giving], dtype=bool),
        hazardous=np.array([one.hazardous is True for one in giving], dtype=bool),
        unwanted=np.array([one.hazardous is False for one in needs], dtype=bool),
        limits=tuple(_limits(offers, needs)),
    )


def _days(days: Sequence[object], blank: int) -> Ints:
    return np.array([blank if day is None else day.toordinal() for day in days], dtype=np.int64)  # type: ignore[attr-defined]


def covers(permits: Sequence[str], code: str) -> bool:
    """Whether a permit names a code or its beginning.

    Example:
        >>> covers(("1002", "170107"), "100202"), covers(("1002",), "100903")
        (True, False)
    """
    return code.startswith(tuple(permits)) if permits else False


def _covered(wastes: Sequence[tuple[str, ...]], permits: Sequence[tuple[str, ...]]) -> Mask:
    """(wastes, permits): whether all codes of a waste are permitted; a waste without a code never is."""
    codes = sorted({code for waste in wastes for code in waste})
    at = {code: row for row, code in enumerate(codes)}
    single = np.array([[covers(permit, code) for permit in permits] for code in codes], dtype=bool).reshape(
        len(codes), len(permits)
    )
    none = np.zeros(len(permits), dtype=bool)
    rows = [single[[at[code] for code in waste]].all(axis=0) if waste else none for waste in wastes]
    return np.array(rows, dtype=bool).reshape(len(wastes), len(permits))


def _limits(offers: Sequence[Listing], needs: Sequence[Listing]) -> list[Limit]:
    names = sorted(
        {fold(quality.name) for need in needs for quality in need.quality} - {"temperature", "pressure"}
    )
    numbers: dict[Dimension, int] = {}
    return [_limit(name, offers, needs, numbers) for name in names]


def _limit(
    name: str, offers: Sequence[Listing], needs: Sequence[Listing], numbers: dict[Dimension, int]
) -> Limit:
    value, kind = np.full(len(offers), np.nan), np.full(len(offers), -1)
    low, high, kinds = np.full(len(needs), -np.inf), np.full(len(needs), np.inf), np.full(len(needs), -1)
    for row, offer in enumerate(offers):
        for one in offer.quality:
            if fold(one.name) == name:
                value[row], kind[row] = _base(one), numbers.setdefault(one.value.unit.dimension, len(numbers))
    for row, need in enumerate(needs):
        for one in need.quality:
            if fold(one.name) == name:
                kinds[row] = numbers.setdefault(one.value.unit.dimension, len(numbers))
                if one.sense == "<=":
                    high[row] = _base(one)
                else:
                    low[row] = _base(one)
    return Limit(value, kind, low, high, kinds)


def _base(one: Quality) -> float:
    return one.value.value * one.value.unit.scale


def refusals(both: Sides, offer: Ints, need: Ints, *, matter: bool) -> tuple[Ints, Ints, Ints]:
    """The gates that refuse pairs, how many limits the needs have, and how many of them the offers do not answer.

    Args:
        both: the sides.
        offer: (P,) rows of the offers.
        need: (P,) rows of the needs.
        matter: whether they are goods, which need permits.

    Returns:
        (P,) flags of `Gate`, (P,) limits, (P,) unknown limits.
    """
    first = np.maximum(both.first[0][offer], both.first[1][need])
    last = np.minimum(both.last[0][offer], both.last[1][need])
    found = np.where(first < last, 0, int(Gate.DATES))
    if matter:
        hazardous, permits = both.hazardous[offer], both.has_permits[need]
        covered = both.covered[both.waste[offer], both.permit[need]]
        refused = hazardous & (~covered | both.unwanted[need])
        found |= np.where(refused, int(Gate.HAZARD), 0)
        found |= np.where(permits & both.has_codes[offer] & ~covered & ~hazardous, int(Gate.PERMIT), 0)
    limits, unknown = np.zeros(len(offer), dtype=np.int64), np.zeros(len(offer), dtype=np.int64)
    for one in both.limits:
        asked = one.kinds[need] >= 0
        known = asked & (one.kind[offer] == one.kinds[need])
        value = np.where(known, one.value[offer], 0.0)
        slack = _EPSILON * np.maximum(np.abs(value), 1e-30)
        bad = known & ((value > one.high[need] + slack) | (value < one.low[need] - slack))
        found |= np.where(bad, int(Gate.QUALITY), 0)
        limits += asked
        unknown += asked & ~known
    return found, limits, unknown


def broken(offer: Listing, need: Listing) -> list[tuple[Quality, Quality]]:
    """The limits of a need that an offer breaks, with what the offer has."""
    return [
        (limit, had) for limit, had in _answered(offer, need) if had is not None and not _held(limit, had)
    ]


def unanswered(offer: Listing, need: Listing) -> list[Quality]:
    """The limits of a need to which an offer says nothing that can be compared."""
    return [limit for limit, had in _answered(offer, need) if had is None]


def answered(offer: Listing, need: Listing) -> list[tuple[Quality, Quality]]:
    """The limits of a need that an offer holds, with what the offer has."""
    return [(limit, had) for limit, had in _answered(offer, need) if had is not None and _held(limit, had)]


def _answered(offer: Listing, need: Listing) -> list[tuple[Quality, Quality | None]]:
    had = {fold(one.name): one for one in offer.quality}
    pairs: list[tuple[Quality, Quality | None]] = []
    for limit in need.quality:
        if fold(limit.name) in ("temperature", "pressure"):
            continue
        own = had.get(fold(limit.name))
        same = own is not None and own.value.unit.dimension == limit.value.unit.dimension
        pairs.append((limit, own if same else None))
    return pairs


def _held(limit: Quality, had: Quality) -> bool:
    value, bound = _base(had), _base(limit)
    slack = _EPSILON * max(abs(value), 1e-30)
    return value <= bound + slack if limit.sense == "<=" else value >= bound - slack
