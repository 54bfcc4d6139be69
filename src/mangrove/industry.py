# SPDX-License-Identifier: Apache-2.0
"""What industry a firm belongs to, from words in Vietnamese or English: the likeliest classes of ISIC Rev. 4 with a score.

Comes in: texts of one firm with weights (its products, its sector, its name). Goes out: classes, best first. Two kinds of evidence
count: a phrase of the glossary (`codes/activity_words.csv`) that stands in the text word for word, and the likeness of character
n-grams to labels of ISIC and VSIC. It ranks; a person decides. The weights below are choices, made on sectors common in industrial
parks, and no probability.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mangrove.rules import classifications, tables
from mangrove.text import canonical, fold

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SPLIT = re.compile(r"[\n\r|;:,.()]|\s[-+–]\s|^\s*[-+–]")
_WORD = re.compile(r"[^\W_]+")
_MAKES = re.compile(
    r"\b(sản xuất|san xuat|sx|chế tạo|che tao|nhà máy|nha may|gia công|lắp ráp|manufactur\w*|factory)\b"
)
_MAKER, _OTHER = 1.15, 0.9
"""Factors for manufacturing and for the rest when the words speak of making things."""
_LATER = 0.97
"""Every further sentence of a text counts so much less: what a firm does stands first."""
_FURTHER = 0.15
"""Share that a second piece of evidence for the same class adds."""
_LIKE = 0.85
"""Weight of likeness beside a phrase that stands in the text word for word."""
_CLASS = 4


@dataclass(frozen=True, slots=True)
class Guess:
    """A class of ISIC Rev. 4 with its score, 0 to 1; `words`: the phrase or label that spoke for it."""

    isic: str
    score: float
    words: str

    def label(self, lang: str = "en") -> str:
        """What the class means."""
        return classifications.label(classifications.ISIC, self.isic, lang)


def guess(texts: Iterable[tuple[str, float]], keep: int = 3) -> tuple[Guess, ...]:
    """The `keep` likeliest classes, best first; empty when no words were given.

    Args:
        texts: texts with weights, 0 to 1.
        keep: how many.

    Example:
        >>> guess([("sản xuất thùng carton", 1.0)])[0].isic
        '1702'
    """
    texts = list(texts)
    pieces = [
        (part, weight * _LATER**order)
        for text, weight in texts
        for order, part in enumerate(filter(None, (piece.strip() for piece in _SPLIT.split(text))))
    ]
    evidence: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for part, weight in pieces:
        for isic, score, words in (*_phrases_in(part), *_alike(part)):
            evidence[isic].append((score * weight, words))
    makes = any(_MAKES.search(text.casefold()) for text, _ in texts)
    found = [_weighed(isic, listed, makes=makes) for isic, listed in evidence.items()]
    return tuple(sorted(found, key=lambda one: (-one.score, one.isic))[:keep])


def _weighed(isic: str, evidence: Sequence[tuple[float, str]], *, makes: bool) -> Guess:
    """The best evidence of a class and a share of the next one by other words."""
    best = max(evidence)
    second = max((score for score, words in evidence if words != best[1]), default=0.0)
    made = _MAKER if classifications.ancestors(classifications.ISIC, isic)[-1:] == ("C",) else _OTHER
    score = (best[0] + _FURTHER * second) * (made if makes else 1.0)
    return Guess(isic, round(min(score, 1.0), 3), best[1])


def _phrases_in(text: str) -> list[tuple[str, float, str]]:
    """Phrases of the glossary that stand in a text word for word; longer ones say more: 1 - 0.4 / words."""
    toned = [word.casefold() for word in _WORD.findall(canonical(text))]
    bare = not any(ord(letter) > 127 for letter in text)  # noqa: PLR2004 - the last ASCII character
    known = _glossary(folded=bare)
    words = [fold(word) for word in toned] if bare else toned
    found = []
    for start in range(len(words)):
        for size in range(1, min(_longest(), len(words) - start) + 1):
            for isic, phrase in known.get(tuple(words[start : start + size]), ()):
                found.append((isic, 1 - 0.4 / size, phrase))
    return found


@cache
def _glossary(*, folded: bool) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    known: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for isic, phrase in _written():
        words = tuple(word.casefold() for word in _WORD.findall(canonical(phrase)))
        known[tuple(map(fold, words)) if folded else words].append((isic, phrase))
    return known


@cache
def _longest() -> int:
    return max(map(len, _glossary(folded=False)))


def _written() -> list[tuple[str, str]]:
    """Class and phrase of every row of the glossary, in both languages."""
    return [
        (row["isic"], phrase.strip())
        for row in tables.rows("codes/activity_words")
        for lang in ("vi", "en")
        for phrase in row[lang].split(";")
        if phrase.strip()
    ]


def _alike(text: str, keep: int = 12) -> list[tuple[str, float, str]]:
    """Labels and phrases whose n-grams are like those of a text; without tones where the text has none."""
    import numpy as np

    documents = _documents()
    vectorizer, matrix = _index(folded=text.isascii())
    likeness = np.asarray((vectorizer.transform([text]) @ matrix).todense())[0]
    best: npt.NDArray[np.int64] = np.argsort(-likeness, kind="stable")[:keep]
    return [(documents[i][0], _LIKE * float(likeness[i]), documents[i][1]) for i in best if likeness[i] > 0]


@cache
def _documents() -> tuple[tuple[str, str], ...]:
    """Class and text: labels of the classes of ISIC, of the classes and sub-classes of VSIC below them, and the glossary."""
    found = []
    for code in classifications.codes(classifications.ISIC, _CLASS):
        entry = classifications.entry(classifications.ISIC, code)
        found += [(code, entry.en), (code, entry.vi)]
    for code in classifications.codes(classifications.VSIC):
        classes = classifications.equivalents(classifications.VSIC, code, classifications.ISIC)
        if len(code) >= _CLASS and classes and len(classes[0]) == _CLASS:
            found.append((classes[0], classifications.label(classifications.VSIC, code, "vi")))
    return tuple(dict.fromkeys([*found, *_written()]))


@cache
def _index(*, folded: bool) -> tuple[Any, Any]:
    """The vectorizer and the transposed matrix of all documents, shape (n-grams, documents)."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    prepare = fold if folded else _toned
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), preprocessor=prepare, sublinear_tf=True
    )
    return vectorizer, vectorizer.fit_transform([text for _, text in _documents()]).T.tocsr()


def _toned(text: str) -> str:
    return canonical(text).casefold()
