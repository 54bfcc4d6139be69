# SPDX-License-Identifier: Apache-2.0
"""Vietnamese text: one spelling for names, folding for search, and suggestions for typing mistakes.

The same Vietnamese name arrives in several spellings: composed or decomposed Unicode, and the tone mark on either
vowel of `oa`, `oe`, `uy` (`hoà`/`hòa`, `thuỷ`/`thủy`). `canonical` brings them to one form; `fold` goes further and
drops case, tone marks and `đ`, so that "nam cau kien" finds "Nam Cầu Kiền".
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # huyền, sắc, ngã, hỏi, nặng
_OLD_TONE = re.compile(
    rf"(?:([oO])([{_TONES}])([aAeE])|(?<![qQ])([uU])([{_TONES}])([yY]))(?![\w\u0300-\u036f])"
)
_D = str.maketrans({"đ": "d", "Đ": "D", "ð": "d", "Ð": "D"})


def canonical(text: str) -> str:
    """`text` in NFC with the tone mark of `oa`, `oe`, `uy` at a syllable's end on the second vowel, spaces folded.

    Example:
        >>> canonical("Hòa  Bình") == canonical("Hoà Bình")
        True
    """
    decomposed = unicodedata.normalize("NFD", text)
    moved = _OLD_TONE.sub(r"\1\3\2\4\6\5", decomposed)
    return unicodedata.normalize("NFC", " ".join(moved.split()))


def fold(text: str) -> str:
    """`text` for search: no case, no tone or vowel marks, `đ` as `d`, spaces folded.

    Example:
        >>> fold("Nam Cầu Kiền, Đống Đa")
        'nam cau kien, dong da'
    """
    decomposed = unicodedata.normalize("NFD", text.translate(_D))
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.casefold().split())


def same_name(left: str, right: str) -> bool:
    """Whether two Vietnamese names are the same but for Unicode form, tone placement, case and spacing."""
    return canonical(left).casefold() == canonical(right).casefold()


def suggest(word: str, options: Iterable[str]) -> str | None:
    """The option nearest to `word`, or None when nothing is near; accents do not count as differences.

    Example:
        >>> suggest("efficency", ["efficiency", "energy"])
        'efficiency'
    """
    folded = {fold(option): option for option in options}
    near = difflib.get_close_matches(fold(word), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


_VI_RANK = {letter: index for index, letter in enumerate("aăâbcdđeêfghijklmnoôơpqrstuưvwxyz", start=1)}
_TONE_RANK = {"\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}


def sort_key(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A key that sorts Vietnamese words as a dictionary does: letters first, then tones.

    Example:
        >>> sorted(["Đống Đa", "Ấp Bắc", "Dĩ An"], key=sort_key)
        ['Ấp Bắc', 'Dĩ An', 'Đống Đa']
    """
    letters: list[int] = []
    tones: list[int] = []
    for char in unicodedata.normalize("NFC", text).casefold():
        parts = unicodedata.normalize("NFD", char)
        tone = next((_TONE_RANK[p] for p in parts if p in _TONE_RANK), 0)
        base = unicodedata.normalize("NFC", "".join(p for p in parts if p not in _TONE_RANK)) or char
        letters.append(_VI_RANK.get(base, 0 if base.isspace() else 1000 + ord(base[0])))
        tones.append(tone)
    return tuple(letters), tuple(tones)
