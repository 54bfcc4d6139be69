# SPDX-License-Identifier: Apache-2.0
"""Areas of a park by use of the land, from its places.

Comes in: places with their areas; a use is the place's kind or its column `land_use`. Goes out: hectares by use. A place's area counts for
its own use less the places inside it that declare another one, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from mangrove.territory.model import Place, Territory

GREEN, ROAD, TECHNICAL, SOCIAL, NATIVE = "green", "road", "technical", "social", "native"
SHARED = (GREEN, NATIVE, ROAD, TECHNICAL, SOCIAL)
"""Uses that count for the shared land of Decree 35/2022; native planting is green as well."""
USES = (*SHARED, "industry", "water", "other")
HA_PER_KM2 = 100.0


@dataclass(frozen=True, slots=True)
class Land:
    """Areas in hectares.

    Attributes:
        total: of the park; None when it declares none. by_use: of what is declared; places: ids by use.
        without_area: places that declare a use and no area.
    """

    total: float | None
    by_use: Mapping[str, float]
    places: Mapping[str, tuple[str, ...]]
    without_area: tuple[str, ...] = ()

    def area(self, *uses: str) -> float | None:
        """The area of some uses together; None when no place declares any of them."""
        found = [self.by_use[use] for use in uses if use in self.by_use]
        return sum(found) if found else None

    def share(self, *uses: str) -> float | None:
        """Their share of the park in percent; None without a total."""
        area = self.area(*uses)
        return None if area is None or not self.total else 100 * area / self.total

    def of(self, *uses: str) -> tuple[str, ...]:
        """The places of some uses."""
        return tuple(place for use in uses for place in self.places.get(use, ()))


def land(territory: Territory, day: date, inside: Callable[[str], bool], root: str | None) -> Land:
    """The areas on a day.

    Args:
        territory: as declared.
        day: whose places exist.
        inside: whether a place lies in the park.
        root: the park's place; None: the only place at the top.

    Example:
        >>> from mangrove import api
        >>> park = api.open("examples/park").territory
        >>> land(park, date(2024, 12, 31), lambda place: park.lies_in(place, "songduoc"), "songduoc").total
        205.0
    """
    here = {p.id: p for p in territory.places.values() if p.valid_on(day) and inside(p.id)}
    top = here.get(root or "")
    if top is None:
        tops = [p for p in here.values() if p.parent not in here]
        top = tops[0] if len(tops) == 1 else None
    by_use: dict[str, float] = {}
    places: dict[str, tuple[str, ...]] = {}
    missing = []
    for place in here.values():
        use = use_of(place)
        if use is None:
            continue
        if place.area is None:
            missing.append(place.id)
            continue
        own = HA_PER_KM2 * (place.area - _others_inside(place, here))
        by_use[use] = round(by_use.get(use, 0.0) + own, 6)
        places[use] = (*places.get(use, ()), place.id)
    total = None if top is None or top.area is None else round(HA_PER_KM2 * top.area, 6)
    return Land(total, by_use, places, tuple(missing))


def use_of(place: Place) -> str | None:
    """The use of a place's land: its column `land_use`, else its kind when that is a use; None otherwise."""
    use = str(place.props.get("land_use") or "") or place.kind
    return use if use in USES else None


def _others_inside(place: Place, here: Mapping[str, Place]) -> float:
    """The area of the nearest places inside that declare a use of their own."""
    total, waiting = 0.0, [p for p in here.values() if p.parent == place.id]
    while waiting:
        inner = waiting.pop()
        if use_of(inner) is not None and inner.area is not None:
            total += inner.area
        else:
            waiting += [p for p in here.values() if p.parent == inner.id]
    return total
