# SPDX-License-Identifier: Apache-2.0
"""Words of by-products: Vietnamese free text becomes English key words and waste codes, with or without tone marks.

Comes in: what people write ("xi lo ho quang", "Xỉ lò hồ quang đã nguội"). Goes out: the phrases of the glossary in it, with
their English words and codes. The glossary (`data/by_products.csv`) is common trade knowledge, written from memory for this program
(status: recalled); its codes, entries of the European list of waste (Decision 2014/955/EU), were written down before any test on past
exchanges was run.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mangrove.text import canonical, fold

_WORD = re.compile(r"[^\W_]+")
_LONGEST = 6


@dataclass(frozen=True, slots=True)
class ByProduct:
    """One phrase of the glossary.

    Attributes:
        vi: the words as people write them; en: English key words; ewc: waste codes, likeliest first (none for heat, water, gas).
    """

    vi: str
    en: str
    ewc: tuple[str, ...]


@cache
def glossary() -> tuple[ByProduct, ...]:
    """All phrases, in file order."""
    text = (resources.files("mangrove.matching") / "data" / "by_products.csv").read_text(encoding="utf-8")
    return tuple(
        ByProduct(row["vi"], row["en"], tuple(row["ewc"].split()))
        for row in csv.DictReader(text.splitlines())
    )


@cache
def _phrases() -> dict[tuple[str, ...], list[tuple[tuple[str, ...], ByProduct]]]:
    """Phrases by their folded words: phrases that differ in tones only stand together."""
    found: dict[tuple[str, ...], list[tuple[tuple[str, ...], ByProduct]]] = {}
    for one in glossary():
        spelled = tuple(words(one.vi))
        found.setdefault(tuple(map(fold, spelled)), []).append((spelled, one))
    return found


def words(text: str) -> list[str]:
    """The words of a text in one spelling, in lower case; signs and pictures are no words.

    Example:
        >>> words("Bã bia, TƯƠI!")
        ['bã', 'bia', 'tươi']
    """
    return _WORD.findall(canonical(text).casefold())


def by_products(text: str) -> list[ByProduct]:
    """The phrases of the glossary in a text, left to right, the longest at each place.

    A word with tone marks must be that word; one without any may be each word that differs in marks only: `bã` is not `bả`,
    but `ba` may be `bã` inside a longer phrase.

    Example:
        >>> [one.en for one in by_products("Can ban xi lo dien")]
        ['electric arc furnace slag']
    """
    return [one for one in _read(text) if isinstance(one, ByProduct)]


def pivot(text: str) -> str:
    """A text, folded, with the English key words in the place of what the glossary knows: ready for n-grams.

    Example:
        >>> pivot("Mùn cưa khô")
        'sawdust wood kho'
    """
    return " ".join(one.en if isinstance(one, ByProduct) else one for one in _read(text))


def _read(text: str) -> list[ByProduct | str]:
    """A text as phrases of the glossary and, between them, folded words."""
    spelled = words(text)
    folded = [fold(word) for word in spelled]
    table, at = _phrases(), 0
    found: list[ByProduct | str] = []
    while at < len(spelled):
        for length in range(min(_LONGEST, len(spelled) - at), 0, -1):
            written = spelled[at : at + length]
            same = [one for vi, one in table.get(tuple(folded[at : at + length]), ()) if _may_be(written, vi)]
            if same:
                found.append(same[0])
                at += length
                break
        else:
            found.append(folded[at])
            at += 1
    return found


def _may_be(written: list[str], meant: tuple[str, ...]) -> bool:
    """Whether each word is the one meant, or has no marks and could be; a phrase of one word needs its marks."""
    if len(written) == 1:
        return written[0] == meant[0]
    return all(word == other or word.isascii() for word, other in zip(written, meant, strict=True))
