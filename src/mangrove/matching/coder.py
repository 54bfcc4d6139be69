# SPDX-License-Identifier: Apache-2.0
"""From words to waste codes: a description and the industry that it comes from give a ranking of the European list of waste.

Comes in: descriptions in Vietnamese or English, industries by NACE code, and past exchanges as memory. Goes out: codes with
probabilities. Twelve kinds of evidence (likeness of the words to labels, what the industry usually has, what similar words meant in
past exchanges) are weighed by a conditional logit. It proposes; who knows the waste decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.matching import catalog
from mangrove.matching.learn import conditional_logit, softmax
from mangrove.matching.types import Case, industry_likeness
from mangrove.matching.words import by_products, glossary, pivot
from mangrove.text import fold

if TYPE_CHECKING:
    from mangrove.matching.types import Floats, Ints, Mask

FEATURES = (
    "label", "chapter_text", "glossary", "usual_chapter", "memory", "memory_industry", "frequency", "code_industry",
    "group_industry", "chapter_industry", "other", "hazardous",
)  # fmt: skip
"""Kinds of evidence, in the order of the weights."""
WEIGHTS = (6.422, 5.577, 2.258, 2.426, 3.909, 1.687, 0.337, 0.132, 0.081, 0.379, 0.862, -0.159)
_ROWS = 128
"""Questions whose evidence is held at a time: 128 x 842 x 12 numbers are 10 MB."""
_SECOND = 0.3
"""The second code of a glossary phrase counts 1/1.3, the third 1/1.6: what is written first is likelier."""

_PHRASE = 0.5
"""Share of the chance that goes to what a phrase of the glossary means. A choice: past exchanges in Vietnamese are not at hand."""


@dataclass(frozen=True)
class Ranked:
    """Codes by probability: `codes[n][k]` is the k-th likeliest for text n, `chance` (N, keep) its probability."""

    codes: tuple[tuple[str, ...], ...]
    chance: Floats


class EwcCoder:
    """Ranks waste codes for descriptions, with past exchanges as memory.

    Args:
        cases: what is remembered; none is fine (then labels, glossary and industries speak alone).
        weights: one for each of `FEATURES`; the default was fitted on the 305 exchanges of the MAESTRI database (see
            benchmarks/matching.py, where tests never use weights that saw what they rank).

    Example:
        >>> EwcCoder().rank(["Mùn cưa, dăm bào gỗ"], keep=1).codes
        (('030105',),)
    """

    def __init__(self, cases: Sequence[Case] = (), *, weights: Sequence[float] | Floats = WEIGHTS) -> None:
        self.cases = [case for case in cases if case.ewc]
        self.weights = np.asarray(weights, dtype=float)
        self.memory = _Memory(self.cases)

    def rank(
        self, texts: Sequence[str], industries: Sequence[Sequence[str]] = (), *, keep: int = 10
    ) -> Ranked:
        """The `keep` likeliest codes of each text.

        Args:
            texts: N descriptions, Vietnamese (with or without tone marks) or English; an empty one is ranked by industry alone.
            industries: for each text the NACE codes of its giver, none or several; all unknown when left out.
            keep: how many codes.
        """
        known = _static()
        asked = list(zip(texts, map(tuple, industries or [()] * len(texts)), strict=True))
        once = {question: row for row, question in enumerate(dict.fromkeys(asked))}
        best = np.empty((len(once), min(keep, len(known.codes))), dtype=np.int64)
        chance = np.empty(best.shape)
        questions = list(once)
        for first in range(0, len(questions), _ROWS):
            some = questions[first : first + _ROWS]
            asked_texts, trades = zip(*some, strict=True)
            likely = _with_phrases(softmax(self.evidence(asked_texts, trades) @ self.weights), asked_texts)
            order = np.argsort(-likely, axis=1, kind="stable")[:, : best.shape[1]]
            best[first : first + len(some)] = order
            chance[first : first + len(some)] = np.take_along_axis(likely, order, axis=1)
        rows = np.array([once[question] for question in asked], dtype=np.int64)
        named = [tuple(known.codes[code] for code in codes) for codes in best.tolist()]
        return Ranked(tuple(named[row] for row in rows), chance[rows] if len(rows) else chance[:0])

    def evidence(
        self, texts: Sequence[str], industries: Sequence[Sequence[str]], remembered: Mask | None = None
    ) -> Floats:
        """The evidence (N, codes, 12) for each code of `catalog.wastes()`.

        Args:
            texts: N descriptions.
            industries: their NACE codes.
            remembered: (N, cases with a code) which cases each text may remember; all when None.
        """
        known = _static()
        pivoted = [pivot(text) for text in texts]
        words = known.short.transform(pivoted)
        label = np.maximum((words @ known.labels.T).toarray(), (words @ known.labels_vi.T).toarray())
        told = [f"{text} {_industry_words(codes)}" for text, codes in zip(pivoted, industries, strict=True)]
        chapter = (known.long.transform(told) @ known.chapters.T).toarray()
        usual = np.stack([_usual(tuple(codes)) for codes in industries])
        past = self.memory.evidence(words, industries, remembered)
        fixed = [np.broadcast_to(one, label.shape) for one in (known.other, known.hazardous)]
        return np.stack([label, chapter, known.named(words), usual, *past, *fixed], axis=-1)


def _with_phrases(likely: Floats, texts: Sequence[str]) -> Floats:
    """Chances, half of them given to what the phrases of the glossary mean where a text has one: it names the by-product itself."""
    at = {code: column for column, code in enumerate(_static().codes)}
    mixed = likely.copy()
    for row, text in enumerate(texts):
        meant = [phrase.ewc for phrase in by_products(text) if phrase.ewc]
        if not meant:
            continue
        said = np.zeros(likely.shape[1])
        for codes in meant:
            for rank, code in enumerate(codes):
                said[at[code]] += 1 / (1 + _SECOND * rank)
        mixed[row] = (1 - _PHRASE) * likely[row] + _PHRASE * said / said.sum()
    return mixed


def words_of(texts: Sequence[str]) -> Any:
    """Unit vectors of texts over the n-grams of the list of waste: what the coder compares."""
    from scipy import sparse

    short = _static().short
    return (
        short.transform([pivot(text) for text in texts])
        if texts
        else sparse.csr_array((0, len(short.vocabulary_)))
    )


def fit_weights(cases: Sequence[Case]) -> Floats:
    """Weights from past exchanges, each ranked with the memory of the other studies only."""
    coder = EwcCoder(cases)
    study = np.array([case.study for case in coder.cases])
    evidence = coder.evidence(
        [case.text for case in coder.cases],
        [case.nace_from for case in coder.cases],
        study[:, None] != study[None, :],
    )
    return conditional_logit(evidence, coder.memory.truth.toarray())


@dataclass(frozen=True)
class _Static:
    """What does not depend on cases: vectors of labels and phrases, and marks of codes."""

    codes: tuple[str, ...]
    short: Any
    labels: Any
    labels_vi: Any
    long: Any
    chapters: Any
    phrases: Any
    means: Floats
    other: Floats
    hazardous: Floats

    def named(self, words: Any) -> Floats:
        """(N, codes) likeness to the glossary's nearest phrase that means a code."""
        alike = (words @ self.phrases.T).toarray()
        found = np.zeros((len(alike), len(self.codes)))
        for phrase, code in zip(*self.means.nonzero(), strict=True):
            np.maximum(found[:, code], alike[:, phrase] * self.means[phrase, code], out=found[:, code])
        return found


@cache
def _static() -> _Static:
    wastes = catalog.wastes()
    codes = tuple(one.code for one in wastes)
    at = {code: row for row, code in enumerate(codes)}
    phrases = [one for one in glossary() if one.ewc]
    means = np.zeros((len(phrases), len(codes)))
    for row, phrase in enumerate(phrases):
        for rank, code in enumerate(phrase.ewc):
            means[row, at[code]] = 1 / (1 + _SECOND * rank)
    labels = [fold(one.en) for one in wastes]
    detailed = [fold(one.detailed) for one in wastes]
    english = [fold(phrase.en) for phrase in phrases]
    short, long = _vectorizer(2, 5).fit(labels + english), _vectorizer(3, 5).fit(detailed)
    return _Static(
        codes=codes, short=short, labels=short.transform(labels),
        labels_vi=short.transform([fold(one.vi) for one in wastes]), long=long, chapters=long.transform(detailed),
        phrases=short.transform(english), means=means,
        other=np.array([code.endswith("99") for code in codes], dtype=float),
        hazardous=np.array([one.hazardous is True for one in wastes], dtype=float),
    )  # fmt: skip


def _vectorizer(low: int, high: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer="char_wb", ngram_range=(low, high), sublinear_tf=True, dtype=np.float64, lowercase=False
    )


def _industry_words(codes: Sequence[str]) -> str:
    return fold(" ".join(catalog.industry(code) for code in codes))


@cache
def _usual(industries: tuple[str, ...]) -> Floats:
    """(codes,) 1 where the list of waste itself keeps the chapter for such an industry (see `data/industry_chapters.csv`)."""
    starts = {start for code in industries for start in catalog.usual_groups(code)}
    return np.array([float(code[:4] in starts) for code in _static().codes])


class _Memory:
    """Past exchanges as evidence: what similar words meant, what such industries had."""

    def __init__(self, cases: Sequence[Case]) -> None:
        from scipy import sparse

        known = _static()
        at = {code: column for column, code in enumerate(known.codes)}
        pairs = [(row, at[code]) for row, case in enumerate(cases) for code in case.ewc if code in at]
        rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self.truth = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(cases), len(at)))
        self._groups = [self._shared(digits) for digits in (4, 2)]
        self._industries = [case.nace_from for case in cases]
        self._words = known.short.transform([pivot(case.text) for case in cases]) if cases else None

    def _shared(self, digits: int) -> Floats:
        """(cases, codes): whether a case has a code with the same first digits."""
        starts = np.unique([code[:digits] for code in _static().codes], return_inverse=True)[1]
        groups = np.zeros((len(starts), starts.max() + 1))
        groups[np.arange(len(starts)), starts] = 1
        shared: Floats = ((self.truth @ groups) > 0).astype(float)[:, starts]
        return shared

    def evidence(
        self, words: Any, industries: Sequence[Sequence[str]], remembered: Mask | None
    ) -> list[Floats]:
        """Six arrays (N, codes): likeness alone, likeness with industry, how often, and logs of three shares by industry."""
        shape = (words.shape[0], self.truth.shape[1])
        if self._words is None:
            return [np.zeros(shape) for _ in range(6)]
        allowed = np.ones((shape[0], self.truth.shape[0])) if remembered is None else remembered.astype(float)
        alike = (words @ self._words.T).toarray() * allowed
        near = self._near(industries) * allowed
        codes: Ints = np.unique(self.truth.nonzero()[1])
        best, both = np.zeros(shape), np.zeros(shape)
        joined, held = alike * (0.5 + 0.5 * near), self.truth.toarray() > 0
        for code in codes:
            best[:, code] = alike[:, held[:, code]].max(axis=1)
            both[:, code] = joined[:, held[:, code]].max(axis=1)
        often = allowed @ self.truth
        shares = zip(
            (self.truth.toarray(), *self._groups), ((0.2, 0.02), (0.2, 0.05), (0.5, 0.05)), strict=True
        )
        all_ = np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        by_industry = [
            np.log(
                (near @ one + prior * (allowed @ one) / all_ + floor) / (near.sum(axis=1, keepdims=True) + 1)
            )
            for one, (prior, floor) in shares
        ]
        return [best, both, np.log1p(often), *by_industry]

    def _near(self, industries: Sequence[Sequence[str]]) -> Floats:
        """(N, cases) likeness of industries; of several codes the most alike pair."""
        own = {codes: row for row, codes in enumerate(dict.fromkeys(map(tuple, industries)))}
        past = {codes: row for row, codes in enumerate(dict.fromkeys(self._industries))}
        table = np.array([
            [max((industry_likeness(a, b) for a in one for b in other), default=0.0) for other in past] for one in own
        ])  # fmt: skip
        rows = [own[tuple(codes)] for codes in industries]
        near: Floats = table[np.ix_(rows, [past[codes] for codes in self._industries])]
        return near
