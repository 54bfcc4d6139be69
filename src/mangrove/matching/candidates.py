# SPDX-License-Identifier: Apache-2.0
"""Candidates: who could take what, ranked, each with its reasons. Whether they do is for people to decide.

Comes in: offers, needs, coordinates and past exchanges. Goes out: arrays of pairs with scores, sentences that say each part of a
score, and the pairs that a gate refuses. Codes come first, then what went where before, then words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mangrove.errors import RequestError
from mangrove.matching import explain
from mangrove.matching.coder import EwcCoder
from mangrove.matching.scan import Pairs, World, prepare, scan
from mangrove.matching.types import Case

if TYPE_CHECKING:
    from mangrove.matching.types import Floats, Ints
    from mangrove.territory.model import Listing

KEEP, RADIUS = 20, 50.0


def candidates(
    offers: Sequence[Listing], needs: Sequence[Listing], *, where: Mapping[str, tuple[float, float]],
    cases: Sequence[Case] = (), keep: int = KEEP, radius_km: float = RADIUS,
    trades: Mapping[str, tuple[str, ...]] | None = None, coder: EwcCoder | None = None,
) -> Candidates:  # fmt: skip
    """The best partners of each offer and of each need.

    A pair's score (0..1) is a weighted sum of agreement of codes (of temperature or quality level for heat and water), of the
    likest past exchange, and of character n-grams. Before it is ranked a pair must pass every gate: dates overlap, hazard and
    permits, every limit that the offer answers, temperature, and the radius of both sides and the asked one.

    Args:
        offers: listings; ids are unique.
        needs: listings likewise.
        where: longitude and latitude (WGS84 degrees) by place; a place that is absent stays, and its distance is unknown.
        cases: past and running exchanges as memory.
        keep: how many partners of each offer and of each need.
        radius_km: farthest partner.
        trades: NACE codes by place, for listings that name no industry.
        coder: reads waste codes from words where a good has none; by default one with `cases` as memory.

    Raises:
        RequestError: `match.keep` or `match.radius` for a number that is not above zero.
    """
    if keep < 1:
        raise RequestError("match.keep", keep=keep)
    if not radius_km > 0:
        raise RequestError("match.radius", radius=radius_km)
    reader = EwcCoder(cases) if coder is None else coder
    world = prepare(offers, needs, where, cases=cases, coder=reader, trades=trades or {})
    return Candidates(world, float(radius_km), keep, scan(world, float(radius_km), keep))


@dataclass(frozen=True)
class Candidates:
    """Ranked pairs: `offer` and `need` (rows of the listings), `score`, `distance_km` (NaN: unknown), all (A,), best first."""

    world: World
    radius_km: float
    keep: int
    pairs: Pairs

    @property
    def offer(self) -> Ints:
        """(A,) rows of the offers."""
        return self.pairs.offer

    @property
    def need(self) -> Ints:
        """(A,) rows of the needs."""
        return self.pairs.need

    @property
    def score(self) -> Floats:
        """(A,) scores from 0 to 1."""
        return self.pairs.score

    @property
    def distance_km(self) -> Floats:
        """(A,) distances as the crow flies; NaN where a place has no coordinates."""
        return self.pairs.km

    def __len__(self) -> int:
        return len(self.pairs.offer)

    def reasons(self, a: int, lang: str = "en") -> list[str]:
        """Why pair `a` is a candidate: one sentence for each part of its score and for each limit that holds."""
        return [one.text(lang) for one in explain.reasons(self.world, self.pairs, a)]

    def asks(self, a: int, lang: str = "en") -> list[str]:
        """What to ask before pair `a` is agreed: limits that the offer does not answer, hazard, place, code."""
        return [one.text(lang) for one in explain.asks(self.world, self.pairs, a)]

    @cached_property
    def _refused(self) -> Pairs:
        return scan(self.world, self.radius_km, self.keep, refused=True)

    def refused(self, lang: str = "en", *, most: int = 20) -> list[Refusal]:
        """The pairs that would rank highest if no gate refused them, with the reasons; searched when first asked for."""
        pairs = self._refused
        return [
            Refusal(
                int(pairs.offer[a]), int(pairs.need[a]), float(pairs.score[a]), float(pairs.km[a]),
                tuple(one.text(lang) for one in explain.refusals(self.world, pairs, a, self.radius_km)),
            )
            for a in range(min(most, len(pairs.offer)))
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """A pair that may not be a candidate: rows, the score that it would have, km, and why not in words."""

    offer: int
    need: int
    score: float
    distance_km: float
    reasons: tuple[str, ...]
