# SPDX-License-Identifier: Apache-2.0
"""What an offer or a need is, as numbers and keys that can be compared: family, codes with weights, words, industries, level.

Comes in: listings. Goes out: one profile each. Codes are the pivot: declared ones count fully, those that correspond to them in
another classification nearly so, and where none is declared the coder reads the words and its probability is the weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mangrove.errors import RuleError
from mangrove.matching import catalog
from mangrove.matching.words import pivot
from mangrove.text import fold
from mangrove.units import Quantity

if TYPE_CHECKING:
    from mangrove.matching.coder import EwcCoder
    from mangrove.territory.model import Carrier, Listing

FAMILIES = {
    "waste": "matter", "material": "matter", "fuel": "matter", "water": "water", "wastewater": "water", "heat": "heat",
    "steam": "heat", "cooling": "cooling", "service": "service",
}  # fmt: skip
"""Kinds of carriers among which an offer may meet a need; every other kind meets only itself."""
GOODS = ("ewc", "cpa", "cpc", "hs")
INDUSTRIES = ("nace", "isic", "vsic")
DECLARED, CORRESPONDS, READ = "declared", "corresponds", "read"
_CORRESPONDS = 0.9
"""Weight of a code that corresponds to a declared one: correspondence tables are rarely one to one."""
_READ_LEAST, _READ_MOST = 0.15, 3
"""Codes that the coder reads from words count from this probability, the three likeliest of them."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code of a listing: its weight (0..1) and how it came there (`declared`, `corresponds`, `read`)."""

    scheme: str
    code: str
    weight: float
    how: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A listing, ready to be compared.

    Attributes:
        family: kinds that may meet (see `FAMILIES`); word: the carrier's own code where it is no waste code.
        codes: for goods their codes, for services the codes of the problem; industries: NACE codes of the place's trade.
        words: folded text with English key words; waste: declared waste codes; hazardous: None when nobody knows.
        is_written: whether somebody wrote the words; else they are the labels of the waste codes.
        celsius: temperature of heat, steam or cooling; bar: pressure of steam; grade: word of a water level.
    """

    family: str
    word: str
    codes: tuple[Code, ...]
    industries: tuple[str, ...]
    words: str
    waste: tuple[str, ...]
    hazardous: bool | None
    celsius: float | None = None
    bar: float | None = None
    grade: str = ""
    is_written: bool = True


def profiles(
    listings: Sequence[Listing], coder: EwcCoder | None, trades: Mapping[str, tuple[str, ...]]
) -> list[Profile]:
    """One profile a listing.

    Args:
        listings: offers or needs.
        coder: reads codes from words where a good has none; None: words stay words.
        trades: NACE codes by place, where the listing itself names no industry.
    """
    made = [_profile(one, trades.get(one.place, ())) for one in listings]
    blank = [row for row, one in enumerate(made) if one.family == "matter" and not one.codes and one.words]
    if coder is None or not blank:
        return made
    texts = [f"{listings[row].name} {listings[row].text}" for row in blank]
    ranked = coder.rank(texts, [made[row].industries for row in blank], keep=_READ_MOST)
    for row, codes, chances in zip(blank, ranked.codes, ranked.chance.tolist(), strict=True):
        read = [
            Code("ewc", code, chance, READ)
            for code, chance in zip(codes, chances, strict=True)
            if chance >= _READ_LEAST
        ]
        made[row] = replace(made[row], codes=tuple(read))
    return made


def _profile(one: Listing, trade: tuple[str, ...]) -> Profile:
    carrier = one.carrier
    family = FAMILIES.get(carrier.kind, carrier.kind)
    declared = {scheme: tuple(codes) for scheme, codes in one.codes.items()}
    own = (carrier.code.replace(" ", ""),) if carrier.kind == "waste" and carrier.code else ()
    waste = tuple(dict.fromkeys((*own, *declared.get("ewc", ())))) if family == "matter" else ()
    trades = tuple(
        dict.fromkeys(
            nace for scheme in INDUSTRIES for code in declared.get(scheme, ()) for nace in _nace(scheme, code)
        )
    )
    if waste:
        declared["ewc"] = waste
    codes = _codes(declared, trades if family == "service" else ()) if family in ("matter", "service") else ()
    celsius, bar = _level(one, carrier) if family in ("heat", "cooling") else (None, None)
    written = f"{one.name} {one.text}".strip()
    return Profile(
        family=family, word="" if own or family == "service" else fold(carrier.code), codes=codes, industries=trades or trade,
        words=_words(written, waste), waste=waste, hazardous=_hazardous(one, waste), celsius=celsius, bar=bar,
        grade=fold(carrier.level) if family == "water" else "", is_written=bool(written),
    )  # fmt: skip


def _codes(declared: Mapping[str, tuple[str, ...]], trades: Sequence[str]) -> tuple[Code, ...]:
    """Codes of goods with what corresponds to them; for a service the industries of its problem belong to them as well (goods carry no trade)."""
    found = {
        (scheme, code): Code(scheme, code, 1.0, DECLARED)
        for scheme in GOODS
        for code in declared.get(scheme, ())
    }
    for one in list(found.values()):
        for other in GOODS:
            for code in catalog.equivalents(one.scheme, one.code, other) if other != one.scheme else ():
                found.setdefault((other, code), Code(other, code, _CORRESPONDS, CORRESPONDS))
    for nace in trades:
        found[("nace", nace)] = Code("nace", nace, 1.0, DECLARED)
    return tuple(found.values())


def _nace(scheme: str, code: str) -> tuple[str, ...]:
    return (code,) if scheme == "nace" else catalog.equivalents(scheme, code, "nace")


def _words(written: str, waste: Sequence[str]) -> str:
    """Name and text; where nobody wrote any, the label of the code, so that it may be compared with what others wrote."""
    return pivot(written) if written else fold(" ".join(catalog.label_of("ewc", code) for code in waste))


def _hazardous(one: Listing, waste: Sequence[str]) -> bool | None:
    """As declared; else as the codes say: one hazardous code is enough, one unknown leaves it open."""
    if one.hazardous is not None:
        return one.hazardous
    said = [catalog.hazardous(code) for code in waste]
    if any(said):
        return True
    return None if None in said or not said else False


def _level(one: Listing, carrier: Carrier) -> tuple[float | None, float | None]:
    """Temperature (degrees Celsius) and pressure (bar) from the carrier's level, else from a property or a parameter."""
    celsius = bar = None
    told = [_parsed(carrier.level)] + [
        quality.value for quality in one.quality if fold(quality.name) in ("temperature", "pressure")
    ]
    told += [
        value
        for key, value in one.parameters.items()
        if fold(key) in ("temperature", "pressure") and isinstance(value, Quantity)
    ]
    for value in told:
        if value is None:
            continue
        if value.unit.converts_to("degC"):
            celsius = value.to("degC") if celsius is None else celsius
        elif value.unit.converts_to("bar"):
            bar = value.to("bar") if bar is None else bar
    return celsius, bar


def _parsed(level: str) -> Quantity | None:
    """`90degC` as a quantity; None for a word."""
    try:
        return Quantity.parse(level) if level else None
    except RuleError:
        return None
