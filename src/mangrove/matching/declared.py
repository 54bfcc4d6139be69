# SPDX-License-Identifier: Apache-2.0
"""What a territory says that matching needs besides its listings: where places are, what their trade is, what already runs.

Comes in: a territory. Goes out: coordinates and NACE codes by place, running exchanges as cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mangrove.matching import catalog
from mangrove.matching.profile import INDUSTRIES
from mangrove.matching.types import Case

if TYPE_CHECKING:
    from mangrove.territory.model import Listing, Place, Territory


def coordinates(territory: Territory) -> dict[str, tuple[float, float]]:
    """Longitude and latitude by place: its own, else the middle of its boundary, else those of the place around it."""
    found: dict[str, tuple[float, float]] = {}
    for place in territory.places.values():
        for one in territory.ancestors(place.id):
            at = _at(one)
            if at is not None:
                found[place.id] = at
                break
    return found


def _at(place: Place) -> tuple[float, float] | None:
    if place.lon is not None and place.lat is not None:
        return place.lon, place.lat
    if place.geometry is None:
        return None
    from shapely.geometry import shape

    middle = shape(place.geometry).centroid
    return None if middle.is_empty else (float(middle.x), float(middle.y))


def trades(territory: Territory, listings: Iterable[Listing] = ()) -> dict[str, tuple[str, ...]]:
    """NACE codes by place, from a column `nace`, `isic` or `vsic` of the places, or from codes of listings that stand there."""
    told: dict[str, list[str]] = {}
    for place in territory.places.values():
        for scheme in INDUSTRIES:
            for code in str(place.props.get(scheme, "")).replace(".", "").split():
                told.setdefault(place.id, []).extend(_nace(scheme, code))
    for one in (*listings, *territory.offers.values(), *territory.needs.values()):
        if one.carrier.kind == "service":
            continue
        for scheme in INDUSTRIES:
            for code in one.codes.get(scheme, ()):
                told.setdefault(one.place, []).extend(_nace(scheme, code))
    return {place: tuple(dict.fromkeys(codes)) for place, codes in told.items()}


def _nace(scheme: str, code: str) -> tuple[str, ...]:
    return (code,) if scheme == "nace" else catalog.equivalents(scheme, code, "nace")


def running(territory: Territory, known: Mapping[str, tuple[str, ...]]) -> list[Case]:
    """Running exchanges as cases; `known` are the trades of places."""
    cases = []
    for one in territory.exchanges.values():
        own = (one.carrier.code,) if one.carrier.kind == "waste" and one.carrier.code else ()
        ewc = tuple(dict.fromkeys((*own, *one.codes.get("ewc", ()))))
        ends = known.get(one.place, ()), known.get(one.to_place, ())
        cases.append(Case(*ends, one.name, ewc, id=one.id, study=one.id, giver=one.place, taker=one.to_place))
    return cases
