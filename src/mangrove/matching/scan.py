# SPDX-License-Identifier: Apache-2.0
"""The search for pairs: near ones by a tree, scored part by part in blocks, gated, and the best of each offer and of each need kept.

Comes in: listings with coordinates, and past exchanges. Goes out: arrays of pairs. Ten thousand offers and needs are a hundred million
pairs; at no time are more than two million of them in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mangrove.matching import agree, gates
from mangrove.matching.profile import Profile, profiles
from mangrove.matching.types import Case

if TYPE_CHECKING:
    from mangrove.matching.coder import EwcCoder
    from mangrove.matching.types import Floats, Ints
    from mangrove.territory.model import Listing

PARTS = ("codes", "memory", "words")
SHARES: Mapping[str, tuple[float, float, float]] = {"matter": (0.6, 0.2, 0.2), "service": (0.4, 0.1, 0.5)}
"""How much each of `PARTS` counts in the score: codes first for goods, words first for technologies, which few codes describe."""
_LEVELED = (0.8, 0.1, 0.1)
"""Heat, cooling, water and the rest: the level (in the place of codes) is nearly everything."""
AGREEMENT: Mapping[str, Callable[[Sequence[Profile], Sequence[Profile]], Floats]] = {
    "matter": agree.codes, "service": agree.codes, "water": agree.water,
}  # fmt: skip
"""What stands in the place of codes; for the kinds that are not named here the carrier's own word."""
LEAST = 0.1
"""A pair below this score is no candidate: less than the same chapter of waste alone, or words that are half alike."""
EARTH = 6371.0088
"""Mean radius of the Earth, km (IUGG)."""
_PAIRS = 2_000_000
_NEARER = 1e-3
_HALF = 50.0
"""Among equal scores the nearer pair comes first: at 50 km a pair loses half a thousandth."""


class Pairs(NamedTuple):
    """Pairs as arrays (A,): rows of both sides, score, its three parts, km (NaN: unknown), and the gates that refuse it (0: none)."""

    offer: Ints
    need: Ints
    score: Floats
    codes: Floats
    memory: Floats
    words: Floats
    km: Floats
    refused: Ints


class _Ask(NamedTuple):
    """What is searched: within how many km, how many of each side, and whether the refused ones."""

    radius: float
    keep: int
    refused: bool


@dataclass(frozen=True)
class World:
    """Both sides, ready to be searched: what `prepare` makes and `scan` reads."""

    offers: tuple[Listing, ...]
    needs: tuple[Listing, ...]
    giving: list[Profile]
    taking: list[Profile]
    points: tuple[Floats, Floats]
    reach: tuple[Floats, Floats]
    homes: tuple[Ints, Ints]
    sides: gates.Sides
    words: tuple[Any, Ints, Any, Ints]
    memory: agree.Memory


def prepare(
    offers: Sequence[Listing], needs: Sequence[Listing], where: Mapping[str, tuple[float, float]], *,
    cases: Sequence[Case], coder: EwcCoder | None, trades: Mapping[str, tuple[str, ...]],
) -> World:  # fmt: skip
    """Profiles, vectors of words, coordinates and limits of both sides."""
    giving, taking = profiles(offers, coder, trades), profiles(needs, coder, trades)
    vector = _vectors([one.words for one in (*giving, *taking)], agree.case_words(cases))
    told = [_unique([one.words for one in side]) for side in (giving, taking)]
    past = vector(agree.case_words(cases))
    return World(
        tuple(offers), tuple(needs), giving, taking,
        (_points(offers, where), _points(needs, where)), (_reach(offers), _reach(needs)), _homes(offers, needs),
        gates.sides(offers, needs, giving),
        (vector(told[0][0]), told[0][1], vector(told[1][0]), told[1][1]),
        agree.Memory(cases, lambda some: (vector([one.words for one in some]) @ past.T).toarray()),
    )  # fmt: skip


def _vectors(texts: Sequence[str], further: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """A function that gives unit vectors of character n-grams; texts without a letter give zeros."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    corpus = sorted({text for text in (*texts, *further) if any(map(str.isalnum, text))})
    if not corpus:
        return lambda some: sparse.csr_array((len(some), 1))
    fitted = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32, lowercase=False
    ).fit(corpus)
    return lambda some: (
        fitted.transform(some) if len(some) else sparse.csr_array((0, len(fitted.vocabulary_)))
    )


def _unique(keys: Sequence[Any]) -> tuple[list[Any], Ints]:
    """Different keys in order of first appearance, and which of them each row has."""
    at: dict[Any, int] = {}
    rows = np.array([at.setdefault(key, len(at)) for key in keys], dtype=np.int64)
    return list(at), rows


def _points(listings: Sequence[Listing], where: Mapping[str, tuple[float, float]]) -> Floats:
    """(n, 3) points on the unit sphere; NaN where a place has no coordinates."""
    degrees = np.array([where.get(one.place, (np.nan, np.nan)) for one in listings], dtype=float).reshape(
        -1, 2
    )
    lon, lat = np.radians(degrees).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _homes(offers: Sequence[Listing], needs: Sequence[Listing]) -> tuple[Ints, Ints]:
    """Numbers of the places of both sides: what a company keeps for itself is no exchange."""
    home = _unique([one.place for one in (*offers, *needs)])[1]
    return home[: len(offers)], home[len(offers) :]


def _reach(listings: Sequence[Listing]) -> Floats:
    """Farthest partner of each listing, km; inf where none is stated."""
    return np.array([np.inf if one.radius is None else one.radius.to("km") for one in listings])


def kilometers(one: Floats, other: Floats) -> Floats:
    """Great-circle distance of points on the unit sphere, km."""
    chord = np.sqrt(((one - other) ** 2).sum(axis=-1))
    found: Floats = 2 * EARTH * np.arcsin(np.clip(chord / 2, 0, 1))
    return found


def scan(world: World, radius: float, keep: int, *, refused: bool = False) -> Pairs:
    """The best pairs of each offer and of each need within a radius.

    Args:
        world: both sides.
        radius: km; what either side states may be less.
        keep: how many of each offer and of each need.
        refused: gives the pairs that a gate refuses, those out of reach up to twice the radius among them.
    """
    found: list[Pairs] = []
    for family in dict.fromkeys(one.family for one in world.giving):
        rows, columns = (
            np.flatnonzero([one.family == family for one in side]) for side in (world.giving, world.taking)
        )
        if len(columns):
            found += _family(world, family, (rows, columns), _Ask(radius, keep, refused))
    pairs = Pairs._make(map(np.concatenate, zip(*found, strict=True))) if found else _none()
    once = np.unique(pairs.offer * max(len(world.needs), 1) + pairs.need, return_index=True)[1]
    pairs = _take(pairs, once)
    return _take(pairs, np.lexsort((pairs.need, pairs.offer, -_order(pairs.score, pairs.km))))


def _none() -> Pairs:
    whole, real = np.empty(0, dtype=np.int64), np.empty(0)
    return Pairs(whole, whole, real, real, real, real, real, whole)


def _take(pairs: Pairs, rows: Ints) -> Pairs:
    return Pairs._make(column[rows] for column in pairs)


def _order(score: Floats, km: Floats) -> Floats:
    """The score, a hair less for distance; an unknown distance counts as the farthest."""
    far = np.where(np.isnan(km), 1.0, km / (km + _HALF))
    return score - _NEARER * far


def _family(world: World, family: str, ends: tuple[Ints, Ints], ask: _Ask) -> list[Pairs]:
    """The pairs of one family, block by block of its offers."""
    rows, columns = ends
    found, best = [], _Best(len(columns), ask.keep)
    size = max(1, _PAIRS // len(columns))
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        block = _Block(world, family, some, columns)
        offer, need, km = _near(world, some, columns, ask.radius * (2 if ask.refused else 1))
        pairs = block.score(offer, need, km, ask.radius)
        pairs = _take(pairs, np.flatnonzero((pairs.refused != 0) == ask.refused))
        if not len(pairs.offer):
            continue
        key, at = (
            np.full((len(some), len(columns)), -np.inf),
            np.zeros((len(some), len(columns)), dtype=np.int64),
        )
        key[pairs.offer, pairs.need] = _order(pairs.score, pairs.km)
        at[pairs.offer, pairs.need] = np.arange(len(pairs.offer))
        named = pairs._replace(offer=some[pairs.offer], need=columns[pairs.need])
        found.append(_take(named, _best_of_rows(key, at, ask.keep)))
        best.add(key, at, named)
    return [*found, *best.pairs()]


def _best_of_rows(key: Floats, at: Ints, keep: int) -> Ints:
    """The pairs of the `keep` highest keys of each row."""
    if keep < key.shape[1]:
        columns = np.argpartition(-key, keep, axis=1)[:, :keep]
        key, at = np.take_along_axis(key, columns, axis=1), np.take_along_axis(at, columns, axis=1)
    chosen: Ints = at[np.isfinite(key)]
    return chosen


class _Best:
    """The best offers of each need, over blocks."""

    def __init__(self, needs: int, keep: int) -> None:
        self._keep = keep
        self._key = np.full((0, needs), -np.inf)
        self._pair = np.zeros((0, needs), dtype=np.int64)
        self._stored: list[Pairs] = []
        self._count = 0

    def add(self, key: Floats, at: Ints, pairs: Pairs) -> None:
        """Takes a block: keys (offers, needs), which pair stands there, and the pairs."""
        if self._keep < len(key):
            rows = np.argpartition(-key, self._keep, axis=0)[: self._keep]
            key, at = np.take_along_axis(key, rows, axis=0), np.take_along_axis(at, rows, axis=0)
        chosen = np.unique(at[np.isfinite(key)])
        place = np.zeros(len(pairs.offer), dtype=np.int64)
        place[chosen] = np.arange(len(chosen)) + self._count
        self._stored.append(_take(pairs, chosen))
        self._count += len(chosen)
        keys, where = np.concatenate([self._key, key]), np.concatenate([self._pair, place[at]])
        if self._keep < len(keys):
            rows = np.argpartition(-keys, self._keep, axis=0)[: self._keep]
            keys, where = np.take_along_axis(keys, rows, axis=0), np.take_along_axis(where, rows, axis=0)
        self._key, self._pair = keys, where

    def pairs(self) -> list[Pairs]:
        """What was kept."""
        if not self._stored:
            return []
        stored = Pairs._make(map(np.concatenate, zip(*self._stored, strict=True)))
        return [_take(stored, np.unique(self._pair[np.isfinite(self._key)]))]


def _near(world: World, rows: Ints, columns: Ints, radius: float) -> tuple[Ints, Ints, Floats]:
    """Pairs (positions in `rows` and `columns`) within a radius with their km; those whose distance nobody knows belong to them."""
    from scipy.spatial import cKDTree

    giving, taking = world.points[0][rows], world.points[1][columns]
    known, drawn = (np.flatnonzero(np.isfinite(points).all(axis=1)) for points in (giving, taking))
    lost, blank = (np.flatnonzero(~np.isfinite(points).all(axis=1)) for points in (giving, taking))
    every = np.arange(len(columns))
    offer = [np.repeat(lost, len(columns)), np.repeat(known, len(blank))]
    need = [np.tile(every, len(lost)), np.tile(blank, len(known))]
    km = [np.full(len(offer[0]) + len(offer[1]), np.nan)]
    if len(known) and len(drawn):
        chord = 2 * np.sin(min(radius / EARTH, np.pi) / 2)
        found = cKDTree(giving[known]).sparse_distance_matrix(
            cKDTree(taking[drawn]), chord * (1 + 1e-9) + 1e-12, output_type="ndarray"
        )
        offer.append(known[found["i"]])
        need.append(drawn[found["j"]])
        km.append(2 * EARTH * np.arcsin(np.clip(found["v"] / 2, 0, 1)))
    return np.concatenate(offer), np.concatenate(need), np.concatenate(km)


class _Block:
    """Some offers of a family against all its needs: agreement of what differs, looked up pair by pair."""

    def __init__(self, world: World, family: str, rows: Ints, columns: Ints) -> None:
        self.world, self.family, self.rows, self.columns = world, family, rows, columns
        giving, taking = [world.giving[row] for row in rows], [world.taking[column] for column in columns]
        level = family in ("heat", "cooling")
        (_, self._one), (_, self._other) = (
            _unique([(p.codes, p.word, p.grade) for p in side]) for side in (giving, taking)
        )
        first, second = (
            [side[n] for n in np.unique(index, return_index=True)[1]] if len(index) else []
            for side, index in ((giving, self._one), (taking, self._other))
        )
        self._agreed = AGREEMENT.get(family, agree.same_word)(first, second)
        self._spare = agree.temperatures(giving), agree.temperatures(taking)
        self._leveled = level
        told, self._told = np.unique(world.words[1][rows], return_inverse=True)
        heard, self._heard = np.unique(world.words[3][columns], return_inverse=True)
        self._alike = (world.words[0][told] @ world.words[2][heard].T).toarray()
        self._silent = tuple(
            np.array([not one.is_written for one in side], dtype=bool) for side in (giving, taking)
        )
        self._remember(giving, taking)

    def _remember(self, giving: list[Profile], taking: list[Profile]) -> None:
        """(different givers, different takers) the likest past exchange."""
        keys, self._giver = _unique([(p.codes, p.words, p.industries) for p in giving])
        first = [giving[n] for n in np.unique(self._giver, return_index=True)[1]]
        takers = {case.taker for case in self.world.memory.cases} - {""}
        places = [self.world.needs[column].place for column in self.columns]
        ends, self._taker = _unique([
            (p.industries, place if place in takers else "") for p, place in zip(taking, places, strict=True)
        ])  # fmt: skip
        given = self.world.memory.giving(first)
        self._known = np.zeros((len(keys), len(ends)))
        for number, (trade, place) in enumerate(ends if given.shape[1] else ()):
            took = self.world.memory.taking(trade, place)
            cases = np.flatnonzero(took)
            if len(cases):
                self._known[:, number] = (given[:, cases] * took[cases]).max(axis=1)

    def score(self, offer: Ints, need: Ints, km: Floats, radius: float) -> Pairs:
        """Pairs (positions in this block) with a score that suffices, scored and gated; pairs at one place are none."""
        refused: Ints = np.zeros(len(offer), dtype=np.int64)
        if self._leveled:
            agreed, refused = self._heat(offer, need)
        else:
            agreed = self._agreed[self._one[offer], self._other[need]]
        # labels of codes on both sides say no more than the codes, which count already
        unwritten = self._silent[0][offer] & self._silent[1][need]
        words = np.where(unwritten, 0.0, self._alike[self._told[offer], self._heard[need]])
        memory = self._known[self._giver[offer], self._taker[need]]
        shares = SHARES.get(self.family, _LEVELED)
        most = (
            shares[0] * (agreed + (0.4 if self.family == "water" else 0.0))
            + shares[1] * memory
            + shares[2] * words
        )
        kept = np.flatnonzero(most >= LEAST)
        offer, need, km, refused = offer[kept], need[kept], km[kept], refused[kept]
        agreed, memory, words = agreed[kept], memory[kept], words[kept]
        world, one, other = self.world, self.rows[offer], self.columns[need]
        gated, limits, unknown = gates.refusals(world.sides, one, other, matter=self.family == "matter")
        if self.family == "water":
            agreed = agree.known_limits(agreed, limits, unknown)
        score = shares[0] * agreed + shares[1] * memory + shares[2] * words
        reach = np.minimum(np.minimum(world.reach[0][one], world.reach[1][other]), radius)
        far = np.where(km > reach * (1 + 1e-9), int(gates.Gate.RADIUS), 0)
        at_home = world.homes[0][one] == world.homes[1][other]
        pairs = Pairs(offer, need, score, agreed, memory, words, km, refused | gated | far)
        return _take(pairs, np.flatnonzero((score >= LEAST) & ~at_home))

    def _heat(self, offer: Ints, need: Ints) -> tuple[Floats, Ints]:
        """Agreement of temperatures, and the gate of those that are too low (of cooling: too high; of steam: pressure too low)."""
        (celsius, bar), (wanted, pressed) = self._spare
        spare = celsius[offer] - wanted[need] if self.family == "heat" else wanted[need] - celsius[offer]
        low = (spare < 0) | (bar[offer] < pressed[need])
        return agree.heat(spare), np.where(low, int(gates.Gate.LEVEL), 0)
