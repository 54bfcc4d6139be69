# SPDX-License-Identifier: Apache-2.0
"""Codes of wastes, activities and products: whether a code exists, what it means, what stands above it, and how near two of them are.

Comes in: the word of a scheme and a code, with or without dots and spaces. Goes out: entries with their labels in English and
Vietnamese, the flag of hazard of wastes, equivalent codes of other schemes, similarities. The schemes and the documents behind them
stand in `rules/data/classification_schemes.csv`, the codes below it in `codes/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from mangrove import text as words
from mangrove.errors import Hint, RuleError, did_you_mean
from mangrove.rules import tables

EWC, ISIC, VSIC, NACE, CPA, CPC, HS = "ewc", "isic", "vsic", "nace", "cpa", "cpc", "hs"
SCHEMES = (EWC, CPA, CPC, HS, VSIC, ISIC, NACE)
_ACTIVITIES = (ISIC, VSIC, NACE)
_DIVISION = 2
_WRITTEN = re.compile(r"[.\s*]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One code of a classification.

    Attributes:
        scheme, code: the code without dots and spaces.
        en, vi: labels; one of them is empty where no source has it.
        parent: the code above it; empty at the top.
        hazardous: of a waste; None for what is no waste, and for a group of wastes that holds both kinds.
        status: of the label: `official`, `unofficial`, `recalled`, `derived` (from the labels below), `own translation`.
    """

    scheme: str
    code: str
    en: str
    vi: str
    parent: str
    hazardous: bool | None
    status: str

    def label(self, lang: str = "en") -> str:
        """The label in `lang`, or in the other language where there is none."""
        return (self.vi or self.en) if lang == "vi" else (self.en or self.vi)


def entry(scheme: str, code: str) -> Entry:
    """The entry of a code; a code longer than the list goes has the label of its heading.

    Raises:
        RuleError: `rules.unknown_scheme`, `rules.unknown_code` with the nearest code.

    Example:
        >>> entry("ewc", "10 02 02").en
        'unprocessed slag'
        >>> entry("ewc", "05 01 03*").hazardous
        True
    """
    key = canonical(code)
    listed = _heading(scheme, key)
    if listed is None:
        raise RuleError("rules.unknown_code", scheme=scheme, text=code, hint=near(scheme, code))
    row = _table(scheme)[listed]
    above = listed if listed != key else _parent(scheme, key)
    status = row.get("status") or _schemes()[scheme]["status"]
    danger = _dangerous(key) if scheme == EWC else None
    return Entry(scheme, key, row.get("en", ""), row.get("vi", ""), above, danger, status)


def exists(scheme: str, code: str) -> bool:
    """Whether the scheme has the code, or the heading that a longer code begins with.

    Example:
        >>> exists("hs", "7204.41"), exists("ewc", "100204")
        (True, False)
    """
    return _heading(scheme, canonical(code)) is not None


def label(scheme: str, code: str, lang: str = "en") -> str:
    """What a code means, in `lang`.

    Example:
        >>> label("ewc", "100202", "vi")
        'xỉ chưa chế biến'
    """
    return entry(scheme, code).label(lang)


def ancestors(scheme: str, code: str) -> tuple[str, ...]:
    """The codes above a code, nearest first.

    Example:
        >>> ancestors("ewc", "100202"), ancestors("isic", "2410")
        (('1002', '10'), ('241', '24', 'C'))
    """
    found, above = [], entry(scheme, code).parent
    while above:
        found.append(above)
        above = _parent(scheme, above)
    return tuple(found)


def hazardous(ewc: str) -> bool | None:
    """Whether a waste is hazardous by its entry; None for a chapter or sub-chapter that holds both kinds.

    Example:
        >>> hazardous("130205"), hazardous("150101"), hazardous("1302"), hazardous("10")
        (True, False, True, None)
    """
    return entry(EWC, ewc).hazardous


def equivalents(scheme: str, code: str, other: str) -> tuple[str, ...]:
    """The codes of scheme `other` that mean the same, or that the code is part of or made of; empty where no map is known.

    Activities go through ISIC Rev. 4 (the correspondence table of NACE Rev. 2, the classes of VSIC); a product of CPA belongs to the
    NACE class of its first four digits. No map between HS, CPC and the others is shipped.

    Example:
        >>> equivalents("nace", "24.10", "isic"), equivalents("cpa", "24.10.11", "nace")
        (('2410',), ('2410',))
    """
    key = entry(scheme, code).code
    _known(other)
    if scheme == other:
        return (key,)
    if CPA in (scheme, other):
        return _through_cpa(scheme, key, other)
    if scheme in _ACTIVITIES and other in _ACTIVITIES:
        middle = _to_isic(scheme, key)
        return middle if other == ISIC else tuple(sorted({c for i in middle for c in _from_isic(other, i)}))
    return ()


def similarity(scheme_a: str, code_a: str, scheme_b: str, code_b: str) -> float:
    """How near two codes are, 0 to 1: twice the depth of what they share over the sum of their depths (Wu and Palmer 1994).

    Two wastes of one sub-chapter score 2/3, of one chapter 1/3. Codes of different schemes are compared where they are equivalent.

    Example:
        >>> similarity("ewc", "100202", "ewc", "10 02 01"), similarity("ewc", "100202", "ewc", "030105")
        (0.6666666666666666, 0.0)
    """
    candidates = equivalents(scheme_a, code_a, scheme_b)
    return max((_alike(scheme_b, one, code_b) for one in candidates), default=0.0)


def beginning(scheme: str, text: str) -> bool:
    """Whether any code of the scheme begins so: what permits name.

    Example:
        >>> beginning("ewc", "1002"), beginning("ewc", "100"), beginning("ewc", "21")
        (True, True, False)
    """
    key = canonical(text)
    return bool(key) and any(code.startswith(key) for code in _table(scheme))


def codes(scheme: str, digits: int | None = None) -> tuple[str, ...]:
    """All listed codes of a scheme, or those of one length, sorted.

    Example:
        >>> len(codes("ewc", 6)), len(codes("ewc", 2))
        (842, 20)
    """
    return tuple(code for code in sorted(_table(scheme)) if digits in (None, len(code)))


def canonical(code: str) -> str:
    """A code without dots, spaces and the asterisk of hazardous wastes.

    Example:
        >>> canonical("05 01 03*"), canonical("24.10.11")
        ('050103', '241011')
    """
    return _WRITTEN.sub("", code).upper()


def near(scheme: str, code: str) -> Hint | str:
    """The hint that names the nearest code: the one next to it under the same heading, or the one whose label or digits look alike."""
    key, table = canonical(code), _table(scheme)
    for size in range(len(key) - 1, 0, -1):
        if key.isdigit() and key[:size] in table:
            inside = [c for c in table if c.startswith(key[:size]) and len(c) == len(key)]
            if inside:
                return Hint(min(inside, key=lambda c: (abs(int(c) - int(key)), c)))
    if not any(letter.isdigit() for letter in code):
        named = {row[lang]: c for c, row in table.items() for lang in ("en", "vi") if row.get(lang)}
        likely = words.suggest(code, named)
        return Hint(named[likely]) if likely else ""
    return did_you_mean(key, table)


@cache
def _schemes() -> Mapping[str, Mapping[str, str]]:
    return {row["scheme"]: row for row in tables.rows("classification_schemes")}


def _known(scheme: str) -> None:
    if scheme not in _schemes():
        hint = did_you_mean(scheme, SCHEMES)
        raise RuleError("rules.unknown_scheme", text=scheme, options=", ".join(SCHEMES), hint=hint)


@cache
def _table(scheme: str) -> Mapping[str, Mapping[str, str]]:
    """Code to row, in the order of the list: sections before their divisions."""
    _known(scheme)
    if scheme == EWC:
        return {row["code"]: row for row in tables.rows("codes/ewc")}
    if scheme in (ISIC, VSIC):
        found = {
            row["code"]: row for row in tables.rows("codes/activities") if scheme in row["schemes"].split()
        }
        below = tables.rows("codes/vsic_subclasses") if scheme == VSIC else ()
        return found | {row["code"]: row for row in below}
    activities = {row["code"]: _translated(row) for row in tables.rows("codes/nace")}
    if scheme == NACE:
        return activities
    listed = {row["code"]: row for row in tables.rows(f"codes/{scheme}")}
    if scheme == CPA:
        return activities | listed
    chapters = {chapter: {"en": "", "vi": ""} for chapter in sorted({code[:_DIVISION] for code in listed})}
    return chapters | listed if scheme == HS else listed


def _translated(row: dict[str, str]) -> dict[str, str]:
    """A row of NACE with the Vietnamese label of its ISIC code, where both mean the same."""
    same = _table(ISIC).get(row["isic"] or row["code"], {})
    return row | {"vi": same.get("vi", "") if same.get("en") == row["en"] else ""}


def _heading(scheme: str, key: str) -> str | None:
    """The listed code that `key` is, or that it begins with when it goes deeper than the list; None when there is none."""
    table, scheme_row = _table(scheme), _schemes()[scheme]
    if key in table:
        return key
    deepest = 4 if scheme in (HS, VSIC, CPC) else 5
    deeper = deepest < len(key) <= int(scheme_row["longest"]) and scheme in (HS, VSIC, CPC, CPA)
    return key[:deepest] if deeper and key.isdigit() and key[:deepest] in table else None


def _parent(scheme: str, key: str) -> str:
    """The code above: two digits fewer for wastes and headings of HS, else one; a division stands in its section."""
    if not key.isdigit():
        return ""
    if scheme in (EWC, HS):
        return key[: max(2, 2 * ((len(key) - 1) // 2))] if len(key) > _DIVISION else ""
    if scheme == CPC:
        return key[:-1]
    return key[:-1] if len(key) > _DIVISION else _sections().get(key, "")


@cache
def _sections() -> Mapping[str, str]:
    """The section letter of every division; all activity lists share those of ISIC Rev. 4."""
    found: dict[str, str] = {}
    letter = ""
    for row in tables.rows("codes/activities"):
        letter = row["code"] if row["code"].isalpha() else letter
        if len(row["code"]) == _DIVISION:
            found.setdefault(row["code"], letter)
    return found


@cache
def _dangerous(key: str) -> bool | None:
    flags = {row["hazardous"] for code, row in _table(EWC).items() if code.startswith(key)} - {""}
    return flags == {"yes"} if len(flags) == 1 else None


def _to_isic(scheme: str, key: str) -> tuple[str, ...]:
    table = _table(scheme)
    row = table.get(key) or table.get(key[:4], {})
    if scheme == VSIC and "schemes" not in row:
        return _to_isic(VSIC, key[:4])
    target = row.get("isic") or (key if scheme != VSIC else row["code"])
    return (target,) if target in _table(ISIC) else ()


@cache
def _pairs(scheme: str) -> Mapping[str, tuple[str, ...]]:
    """Codes of ISIC to those of `scheme` whose own target they are."""
    found: dict[str, list[str]] = {}
    for code in _table(scheme):
        for target in _to_isic(scheme, code):
            if len(code) == len(target):
                found.setdefault(target, []).append(code)
    return {target: tuple(sorted(listed)) for target, listed in found.items()}


def _from_isic(scheme: str, key: str) -> tuple[str, ...]:
    return _pairs(scheme).get(key, ())


def _through_cpa(scheme: str, key: str, other: str) -> tuple[str, ...]:
    """CPA shares the first four digits with NACE."""
    if scheme == CPA:
        activity = key[:4]
        return equivalents(NACE, activity, other) if exists(NACE, activity) and other in _ACTIVITIES else ()
    return equivalents(scheme, key, NACE) if scheme in _ACTIVITIES else ()


def _alike(scheme: str, left: str, right: str) -> float:
    """Twice the shared depth over the sum of the depths."""
    lines = [(*reversed(ancestors(scheme, code)), canonical(code)) for code in (left, right)]
    shared = 0
    for one, two in zip(*lines, strict=False):
        if one != two:
            break
        shared += 1
    return 2 * shared / (len(lines[0]) + len(lines[1]))
