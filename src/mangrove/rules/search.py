# SPDX-License-Identifier: Apache-2.0
"""Search over the factors: two languages, no accents needed, typing mistakes forgiven.

Comes in: words as a person types them ("than antraxit", "anthracit", "dau do"). Goes out: activities with their rows
from all sources, best match first, and where these sources disagree.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from mangrove import text
from mangrove.rules.choose import conflicts_of, rank
from mangrove.rules.types import Factor, Match

_WORD = re.compile(r"[0-9a-z]+")
_EXACT, _PREFIX, _FUZZY = 1.0, 0.9, 0.8
_ENOUGH = 0.6
_NEAR = 0.75
_SHORTEST_PREFIX = 3
_SHORTEST_TYPO = 4


def find(factors: Sequence[Factor], query: str, lang: str | None = None, limit: int = 20) -> list[Match]:
    """The activities that match `query`, at most `limit`, best first."""
    words = _words(query)
    if not words or limit <= 0:
        return []
    groups: dict[str, list[Factor]] = {}
    for factor in factors:
        groups.setdefault(factor.activity, []).append(factor)
    documents = {activity: _document(activity, rows, lang) for activity, rows in groups.items()}
    weights = _weights(words, {word for bag in documents.values() for word in bag})
    phrase = " ".join(words)
    scored = []
    for activity, rows in groups.items():
        score = _score(words, documents[activity], weights)
        if score >= _ENOUGH:
            named = any(phrase in " ".join(_words(name)) for row in rows for name in _names(row, lang))
            first = min(
                rank(row) for row in rows
            )  # what Vietnamese law names comes before what only others name
            scored.append((-round(score, 6), not named, first, len(documents[activity]), activity))
    return [_match(groups[activity], activity, -score) for score, *_, activity in sorted(scored)[:limit]]


def _match(rows: list[Factor], activity: str, score: float) -> Match:
    best = sorted(rows, key=rank)
    named = max(
        (row for row in rows if rank(row)[:1] == rank(best[0])[:1]), key=lambda row: str(row.valid_from or "")
    )
    return Match(activity, named.name_en, named.name_vi, score, tuple(best), tuple(conflicts_of(rows)))


def _words(written: str) -> list[str]:
    return _WORD.findall(text.fold(written))


def _names(row: Factor, lang: str | None) -> tuple[str, ...]:
    names = {"en": (row.name_en,), "vi": (row.name_vi,)}
    return names.get(lang or "", (row.name_en, row.name_vi))


def _document(activity: str, rows: Iterable[Factor], lang: str | None) -> set[str]:
    """All words under which an activity may be found."""
    words = set(_words(activity))
    for row in rows:
        for part in (*_names(row, lang), row.gas, row.id, row.source.document):
            words.update(_words(part))
    return words


def _weights(words: Iterable[str], vocabulary: set[str]) -> dict[str, dict[str, float]]:
    """For each word asked: the words of the vocabulary that it may mean, with how sure that is."""
    listed = sorted(vocabulary)
    weights: dict[str, dict[str, float]] = {}
    for word in words:
        means: dict[str, float] = {}
        if len(word) >= _SHORTEST_TYPO and word not in vocabulary:
            for near in difflib.get_close_matches(word, listed, n=5, cutoff=_NEAR):
                means[near] = _FUZZY * difflib.SequenceMatcher(None, word, near).ratio()
        if len(word) >= _SHORTEST_PREFIX:
            means |= {known: _PREFIX for known in listed if known.startswith(word)}
        if word in vocabulary:
            means[word] = _EXACT
        weights[word] = means
    return weights


def _score(words: Sequence[str], bag: set[str], weights: Mapping[str, Mapping[str, float]]) -> float:
    """Mean over the words asked of the best meaning present; 0 when a word is missing altogether."""
    best = [
        max((weight for known, weight in weights[word].items() if known in bag), default=0.0)
        for word in words
    ]
    return sum(best) / len(best) if all(best) else 0.0
