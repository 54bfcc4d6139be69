# SPDX-License-Identifier: Apache-2.0
"""`match`: who in and around the territory could use whose by-product, water or heat, and which technology answers which wish.

Comes in: an opened territory, a file of past exchanges where there is one. Goes out: ranked proposals with reasons, what to ask, and
why other pairs are refused, as text and as JSON. It ranks candidates; people decide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.listings import current
from mangrove.listings import known as known_listings

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.matching import Candidates
    from mangrove.territory.model import Listing, Territory

__all__ = ["Matches", "listings", "match"]

_SHOWN, _NAMED = 40, 10
_SERVICE = "service"
_ANYWHERE = 20_016.0
"""Half the circumference of the Earth, km: knowledge travels."""


def match(
    handle: Handle, *, offer: str | None = None, need: str | None = None, radius: str | None = None, keep: int = 20,
    cases: Path | None = None, service: bool = False,
) -> Matches:  # fmt: skip
    """Ranks the pairs of offers and needs of a territory, declared and entered ones.

    Running exchanges and the rows of `cases` are its memory of what went where.

    Args:
        handle: an opened territory.
        offer: id of the only offer to be matched; all when None.
        need: id of the only need likewise.
        radius: farthest partner, as a length; 50 km when None, and any distance for services.
        keep: how many partners of each offer and of each need.
        cases: CSV file of past exchanges (see `mangrove.matching.cases`).
        service: matches technologies, experts and laboratories instead of what flows.

    Raises:
        RequestError: no such offer or need, or a number that makes no sense.
        DeclarationError: problems of the file of past exchanges.

    Example:
        >>> import mangrove as mg
        >>> found = match(mg.open("examples/park"), offer="cooking_oil")
        >>> found.needs[found.candidates.need[0]].id
        'biodiesel_oil'
    """
    from mangrove.matching.candidates import RADIUS, candidates
    from mangrove.matching.cases import read_cases
    from mangrove.matching.declared import coordinates, running, trades
    from mangrove.units import Quantity

    territory, known = handle.territory, known_listings(handle)
    asked = ((known.offers, offer), (known.needs, need))
    service = service or any(id_ in side and side[id_].carrier.kind == _SERVICE for side, id_ in asked if id_)
    today = datetime.now(territory.tz).date()
    # what is over finds nobody any more, unless it is asked for by name
    held = [(side if id_ else current(side, today), id_) for side, id_ in asked]
    offers, needs = (_chosen(side, id_, service=service) for side, id_ in held)
    usual = _ANYWHERE if service else RADIUS
    kilometers = usual if radius is None else Quantity.parse(radius, expected="km").to("km")
    industries = trades(territory, (*known.offers.values(), *known.needs.values()))
    memory = [*(read_cases(cases) if cases else ()), *running(territory, industries)]
    found = candidates(
        offers,
        needs,
        where=coordinates(territory),
        cases=memory,
        keep=keep,
        radius_km=kilometers,
        trades=industries,
    )
    problems = list(known.problems)
    over = [
        id_ for (side, _), (still, _) in zip(asked, held, strict=True) for id_ in side if id_ not in still
    ]
    if over:
        named = ", ".join(over[:_NAMED]) + (" …" if len(over) > _NAMED else "")
        problems.append(Problem("match.over", {"count": len(over), "ids": named}, severity="warning"))
    if not known.offers or not known.needs:
        problems.append(Problem("match.no_listings", {}, severity="warning"))
    return Matches(territory, offers, needs, found, _running(territory), tuple(problems))


def listings(handle: Handle) -> tuple[Mapping[str, Listing], Mapping[str, Listing]]:
    """Offers and needs by id, declared ones and those that were entered on a page."""
    found = known_listings(handle)
    return found.offers, found.needs


def _chosen(known: Mapping[str, Listing], id_: str | None, *, service: bool) -> list[Listing]:
    """The one asked for, or all of what flows (of the services, when they are asked for)."""
    if id_ is None:
        return [one for one in known.values() if (one.carrier.kind == _SERVICE) == service]
    if id_ not in known:
        raise RequestError("match.no_listing", text=id_, hint=did_you_mean(id_, known))
    return [known[id_]]


def _running(territory: Territory) -> dict[tuple[str, str], str]:
    """Running exchanges by the offer and the need that their parameters name."""
    named = {}
    for one in territory.exchanges.values():
        ends = one.parameters.get("offer"), one.parameters.get("need")
        if isinstance(ends[0], str) and isinstance(ends[1], str):
            named[ends[0], ends[1]] = one.id
    return named


@dataclass(frozen=True)
class Matches:
    """Ranked proposals.

    Attributes:
        offers, needs: what was matched; `candidates` counts their rows.
        candidates: pairs, scores, distances, reasons (see `mangrove.matching.Candidates`).
        running: id of the exchange that already runs, by ids of offer and need.
        problems: what people should know.
    """

    territory: Territory
    offers: list[Listing]
    needs: list[Listing]
    candidates: Candidates
    running: Mapping[tuple[str, str], str]
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        return len(self.candidates)

    def document(self, lang: str = "en", *, refused: bool = False) -> dict[str, Any]:
        """Everything as plain data; a distance that is not known is null."""
        found = self.candidates
        rows = [
            {
                **self._pair(int(found.offer[a]), int(found.need[a]), float(found.score[a]), float(found.distance_km[a])),
                "codes": round(float(found.pairs.codes[a]), 4), "memory": round(float(found.pairs.memory[a]), 4),
                "words": round(float(found.pairs.words[a]), 4), "reasons": found.reasons(a, lang), "asks": found.asks(a, lang),
            }
            for a in range(len(found))
        ]  # fmt: skip
        said: dict[str, Any] = {"proposals": rows, "note": messages.render("match.decides", lang)}
        if refused:
            said["refused"] = [
                {**self._pair(one.offer, one.need, one.score, one.distance_km), "reasons": list(one.reasons)}
                for one in found.refused(lang)
            ]
        return said

    def _pair(self, offer: int, need: int, score: float, km: float) -> dict[str, Any]:
        one, other = self.offers[offer], self.needs[need]
        return {
            "offer": one.id, "need": other.id, "place": one.place, "to_place": other.place, "score": round(score, 4),
            "distance_km": None if math.isnan(km) else round(km, 3), "running": self.running.get((one.id, other.id)),
        }  # fmt: skip

    def json(self, lang: str = "en", *, refused: bool = False) -> str:
        """The document as JSON."""
        return json.dumps(self.document(lang, refused=refused), ensure_ascii=False, indent=1)

    def text(self, lang: str = "en", *, refused: bool = False) -> str:
        """For people: the best proposals with reasons and questions, then what is refused, then who decides."""
        found = self.candidates
        lines = [] if len(found) else [messages.render("match.nothing", lang)]
        for a in range(min(len(found), _SHOWN)):
            one, other = self.offers[found.offer[a]], self.needs[found.need[a]]
            lines.append(self._title(one, other, float(found.score[a]), lang))
            lines += [f"    - {said}" for said in self._runs(one, other, lang) + found.reasons(a, lang)]
            lines += [f"    ? {said}" for said in found.asks(a, lang)]
        if len(found) > _SHOWN:
            lines.append(messages.render("match.more", lang, count=len(found) - _SHOWN))
        if refused:
            lines += ["", messages.render("match.refused", lang)]
            for no in found.refused(lang):
                lines.append(self._title(self.offers[no.offer], self.needs[no.need], no.score, lang))
                lines += [f"    ! {said}" for said in no.reasons]
        return "\n".join([*lines, "", messages.render("match.decides", lang)])

    def _title(self, one: Listing, other: Listing, score: float, lang: str) -> str:
        names = [self.territory.places[end.place].name for end in (one, other)]
        what = [" ".join((end.name or end.text[:60] or str(end.carrier)).split()) for end in (one, other)]
        return messages.render(
            "match.title", lang, score=f"{score:.2f}".replace(".", "," if lang == "vi" else "."), offer=one.id, need=other.id,
            giver=names[0], taker=names[1], given=what[0], wanted=what[1],
        )  # fmt: skip

    def _runs(self, one: Listing, other: Listing, lang: str) -> list[str]:
        id_ = self.running.get((one.id, other.id))
        return [messages.render("match.runs", lang, id=id_)] if id_ else []
