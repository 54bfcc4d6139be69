# SPDX-License-Identifier: Apache-2.0
"""Reasons in words: why a pair is a candidate, what to ask before it is agreed, and why another pair is refused.

Comes in: the searched world and one pair. Goes out: sentences (code and data), which the reader's language turns into text.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mangrove.errors import Sentence
from mangrove.figures import numbers
from mangrove.matching import agree, catalog, gates
from mangrove.matching.profile import CORRESPONDS, READ, Profile

if TYPE_CHECKING:
    from mangrove.matching.scan import Pairs, World
    from mangrove.territory.model import Listing, Quality

_ALIKE, _NEAR = 0.15, 0.1
"""Likeness of words, and agreement with a past exchange, from which they are worth a sentence."""


def reasons(world: World, pairs: Pairs, a: int) -> list[Sentence]:
    """One sentence for each part of the score, then the limits that hold, then the distance."""
    offer, need, giving, taking = _ends(world, pairs, a)
    said = _agreement(giving, taking)
    if pairs.memory[a] >= _NEAR:
        said += _memory(world, giving, taking, need)
    if pairs.words[a] >= _ALIKE:
        said.append(_say("words", percent=round(100 * float(pairs.words[a]))))
    said += _amounts(offer, need)
    held = gates.answered(offer, need)
    if held:
        said.append(
            _say(
                "limits_held",
                limits=_Listed(
                    "match.limit_held", tuple((str(n), _compared(*one)) for n, one in enumerate(held))
                ),
            )
        )
    if giving.hazardous:
        said.append(_say("permitted", permits=" ".join(need.permits)))
    if offer.place == need.place or not math.isnan(pairs.km[a]):
        said.append(_say("distance", km=_number(pairs.km[a], 2)))
    return said


def asks(world: World, pairs: Pairs, a: int) -> list[Sentence]:
    """What nobody has stated and somebody must before the pair can be agreed."""
    offer, need, giving, taking = _ends(world, pairs, a)
    said = [_say("ask_quality", name=one.name, limit=_limit(one)) for one in gates.unanswered(offer, need)]
    if giving.family == "matter":
        if giving.hazardous is None and (
            giving.waste or offer.carrier.kind == "waste" or _read_hazard(giving)
        ):
            said.append(_say("ask_hazard"))
        if need.permits and not giving.waste:
            said.append(_say("ask_code", permits=" ".join(need.permits)))
    if offer.quantity and need.quantity and not offer.quantity.unit.converts_to(need.quantity.unit):
        said.append(_say("ask_density", given=offer.quantity.unit.text, wanted=need.quantity.unit.text))
    if giving.family == "water" and not need.quality:
        said.append(_say("ask_limits", id=need.id))
    if giving.family in ("heat", "cooling"):
        for one, listing in ((giving, offer), (taking, need)):
            if one.celsius is None and one.bar is None:
                said.append(_say("ask_temperature", id=listing.id))
    if math.isnan(pairs.km[a]):
        lost = [
            listing.place for points, row, listing in ((world.points[0], pairs.offer[a], offer), (world.points[1], pairs.need[a], need))
            if not np.isfinite(points[row]).all()
        ]  # fmt: skip
        said.append(_say("ask_place", places=", ".join(dict.fromkeys(lost))))
    return said


def refusals(world: World, pairs: Pairs, a: int, radius: float) -> list[Sentence]:
    """Each gate that refuses a pair, with what would open it."""
    offer, need, giving, _ = _ends(world, pairs, a)
    flags, said = gates.Gate(int(pairs.refused[a])), []
    if gates.Gate.DATES in flags:
        said.append(_say("refused_dates", offer=_dates(offer), need=_dates(need)))
    if gates.Gate.HAZARD in flags:
        said.append(_hazard(need, giving))
    if gates.Gate.PERMIT in flags:
        missing = [code for code in giving.waste if not gates.covers(need.permits, code)]
        said.append(_say("refused_permit", codes=" ".join(missing), permits=" ".join(need.permits)))
    if gates.Gate.QUALITY in flags:
        for limit, had in gates.broken(offer, need):
            said.append(_say("refused_quality", name=limit.name, had=_written(had), limit=_limit(limit)))
    if gates.Gate.LEVEL in flags:
        said.append(_say("refused_level", had=offer.carrier.level, wanted=need.carrier.level))
    if gates.Gate.RADIUS in flags:
        reach = min(radius, float(world.reach[0][pairs.offer[a]]), float(world.reach[1][pairs.need[a]]))
        said.append(_say("refused_radius", km=_number(pairs.km[a], 3), reach=_number(reach, 3)))
    return said


def _ends(world: World, pairs: Pairs, a: int) -> tuple[Listing, Listing, Profile, Profile]:
    one, other = int(pairs.offer[a]), int(pairs.need[a])
    return world.offers[one], world.needs[other], world.giving[one], world.taking[other]


def _say(name: str, /, **data: Any) -> Sentence:
    return Sentence(f"match.{name}", tuple(data.items()))


def _agreement(giving: Profile, taking: Profile) -> list[Sentence]:
    """Codes of goods and services; temperature of heat; level of water; the word of everything else."""
    if giving.family in ("heat", "cooling"):
        had, wanted = (_celsius(one) for one in (giving, taking))
        return [] if had is None or wanted is None else [_say(giving.family, had=had, wanted=wanted)]
    if giving.family == "water":
        same = giving.grade == taking.grade
        return [
            _say("water_same" if same else "water_other", had=giving.grade or "?", wanted=taking.grade or "?")
        ]
    if giving.family not in ("matter", "service"):
        return [_say("kind", kind=giving.family)]
    if giving.word and giving.word == taking.word and agree.best_codes(giving, taking) is None:
        return [_say("kind", kind=giving.word)]
    return _codes(giving, taking)


def _codes(giving: Profile, taking: Profile) -> list[Sentence]:
    best = agree.best_codes(giving, taking)
    if best is None:
        return []
    one, other, digits = best
    code = one.code[:digits]
    name = "same_code" if one.code == other.code else "same_group"
    said = [_say(name, scheme=one.scheme.upper(), key=code, label=_label(one.scheme, code))]
    for side, end in ((one, "offer"), (other, "need")):
        if side.how == READ:
            said.append(_say(f"read_{end}", key=side.code, percent=round(100 * side.weight)))
        elif side.how == CORRESPONDS:
            said.append(_say(f"corresponds_{end}", key=side.code))
    return said


def _memory(world: World, giving: Profile, taking: Profile, need: Listing) -> list[Sentence]:
    """The past exchange that is most like the pair."""
    memory = world.memory
    alike = memory.giving([giving])[0] * memory.taking(taking.industries, need.place)
    case = memory.cases[int(alike.argmax())]
    if case.giver:
        return [_say("memory_running", id=case.id, giver=case.giver, taker=case.taker)]
    trade = case.nace_to[0] if case.nace_to else ""
    said = _say("memory", text=case.text, trade=_label("nace", trade), nace=trade, id=case.id)
    return [said]


def _read_hazard(profile: Profile) -> bool:
    """Whether the likeliest code that was read from words is hazardous."""
    return bool(profile.codes) and catalog.hazardous(profile.codes[0].code) is True


def _hazard(need: Listing, giving: Profile) -> Sentence:
    if need.hazardous is False:
        return _say("refused_unwanted")
    missing = [code for code in giving.waste if not gates.covers(need.permits, code)]
    if not giving.waste:
        return _say("refused_hazard_code")
    return _say("refused_hazard", codes=" ".join(missing), permits=" ".join(need.permits) or "-")


def _amounts(offer: Listing, need: Listing) -> list[Sentence]:
    """How much is offered and needed on average, in the unit of the offer."""
    if offer.quantity is None or need.quantity is None:
        return []
    unit = offer.quantity.unit
    if not need.quantity.unit.converts_to(unit):
        return []
    offered, needed = (
        sum(one.values) / len(one.values) * one.unit.to(unit) for one in (offer.quantity, need.quantity)
    )
    return [_say("amounts", offered=_number(offered, 3), needed=_number(needed, 3), unit=unit.text)]


def _celsius(one: Profile) -> float | None:
    if one.celsius is not None:
        return one.celsius
    return None if one.bar is None else float(round(agree.saturated(one.bar)))


def _dates(one: Listing) -> str:
    return f"{one.valid_from or '...'} - {one.valid_to or '...'}"


def _written(one: Quality) -> Sentence:
    return _say("value", value=_number(one.value.value, 6), unit=one.value.unit.text)


def _limit(one: Quality) -> Sentence:
    return _say("limit", sense=one.sense, value=_number(one.value.value, 6), unit=one.value.unit.text)


def _compared(limit: Quality, had: Quality) -> Sentence:
    return _say("limit_held", name=limit.name, had=_written(had), limit=_limit(limit))


class _Listed(Sentence):
    """Several sentences in a row."""

    __slots__ = ()

    def text(self, lang: str = "en") -> str:
        """The sentences with semicolons between them."""
        return "; ".join(one.text(lang) for _, one in self.data)


class _Number(Sentence):
    """A number with the separators of the reader's language."""

    __slots__ = ()

    def text(self, lang: str = "en") -> str:
        """The number to its significant digits."""
        told = dict(self.data)
        return numbers.number(told["value"], lang, digits=told["digits"])


def _number(value: float, digits: int) -> Sentence:
    return _Number("", (("value", float(value)), ("digits", digits)))


class _Label(Sentence):
    """The label of a code, in the reader's language where the classification has it."""

    __slots__ = ()

    def text(self, lang: str = "en") -> str:
        """The label; empty for a code that does not exist."""
        return catalog.label_of(self.code, str(dict(self.data)["code"]), lang)


def _label(scheme: str, code: str) -> Sentence:
    return _Label(scheme, (("code", code),))
