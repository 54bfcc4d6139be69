# SPDX-License-Identifier: Apache-2.0
"""Who may see what: from a person or a device to the places, flows and totals that it may know.

Comes in: a principal (who asks, in which role, for which subtree of places) and the territory. Goes out: a `Scope` that every page
and every route asks, and rows of totals in which nothing is shown that would tell one company's figures to another. Nothing here
knows of passwords: see `mangrove.serve.access`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from mangrove.measure.traffic.doubts import PARAMETER
from mangrove.measure.traffic.streets import COUNT
from mangrove.territory.model import Flow, Territory

ROLES = ("admin", "operator", "tenant", "city", "device", "worker")
WHOLE = frozenset({"admin", "operator", "worker"})
"""Roles that see everything in their subtree of places."""
THRESHOLD = 3
"""A total is shown to the city when at least so many companies are in it: the minimum frequency rule with n = 3, the usual
lower bound of statistical offices (Hundepool and others, Handbook on Statistical Disclosure Control, 2010, chapter 4)."""
_COMPANIES = frozenset({"facility", "building", "lot"})
_PUBLIC = frozenset({"country", "province", "city", "district", "ward"})
"""Kinds of places that are nobody's company: what is known of a whole ward tells nothing of one of its companies."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        id: unique among its kind; name: for people; kind: `user`, `key` or `guest`.
        role: one of `ROLES`; place: root of the subtree that it belongs to, empty for the whole territory.
        device: id of the declared device that a key belongs to, empty for others.
    """

    id: str
    name: str
    kind: str
    role: str
    place: str = ""
    device: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What decides about what is seen: two principals with the same key see the same pages."""
        return (self.role, self.place, self.device)


class Guard(Protocol):
    """Who may pass: what `mangrove.serve.access.Access` is, or `Fixed`."""

    @property
    def caller(self) -> Callable[..., Any]:
        """A dependency of FastAPI that gives the `Principal` of a request, or refuses it."""

    def need(self, *roles: str, guests: bool = True) -> Callable[..., Any]:
        """The same for principals with one of the roles only; without `guests` also only for those who signed in."""

    def alive(self, principal: Principal) -> bool:
        """Whether a principal that was let in may still stay."""


GUEST = "guest"


def guest(role: str) -> Principal:
    """Whoever looks without signing in, where the server allows that."""
    return Principal(GUEST, GUEST, GUEST, role)


class Scope:
    """What one principal may see of a territory.

    Example:
        >>> import tempfile, mangrove as mg
        >>> from pathlib import Path
        >>> from mangrove.testing import two_factory_park
        >>> territory = mg.open(two_factory_park(Path(tempfile.mkdtemp()))).territory
        >>> scope = Scope(territory, Principal("1", "An", "user", "tenant", "mill"))
        >>> scope.sees("mill"), scope.sees("shop"), sorted(scope.flows)
        (True, False, ['mill.coal', 'mill.power'])
    """

    def __init__(self, territory: Territory, principal: Principal, *, threshold: int = THRESHOLD) -> None:
        self.territory = territory
        self.principal = principal
        self.threshold = threshold
        self._company: dict[str, str] = {}

    @cached_property
    def whole(self) -> bool:
        """Whether everything is seen in detail."""
        role, place = self.principal.role, self.principal.place
        return role in WHOLE and (not place or self.territory.places[place].parent is None)

    @property
    def totals(self) -> bool:
        """Whether totals of the territory are seen; a device reads nothing."""
        return self.principal.role != "device"

    @property
    def suppresses(self) -> bool:
        """Whether totals with few companies in them are held back."""
        return self.principal.role == "city"

    def sees(self, place: str) -> bool:
        """Whether `place` is seen in detail: its flows, its readings, its own totals."""
        if self.whole:
            return True
        if self.principal.role in {"city", "device"}:
            return False
        root = self.principal.place
        return bool(root) and self.territory.lies_in(place, root)

    def knows(self, place: str) -> bool:
        """Whether a page may be about `place`: it is seen in detail, or above what is seen; the city looks at totals of any."""
        if place not in self.territory.places or not self.totals:
            return False
        if self.sees(place) or self.suppresses:
            return True
        root = self.principal.place
        return bool(root) and self.territory.lies_in(root, place)

    @cached_property
    def flows(self) -> frozenset[str]:
        """Ids of the flows whose readings may be read."""
        return frozenset(flow.id for flow in self.territory.flows.values() if self._of(flow))

    def _of(self, flow: Flow) -> bool:
        return self.sees(flow.place) or (flow.to_place is not None and self.sees(flow.to_place))

    @cached_property
    def writes(self) -> frozenset[str]:
        """Ids of the flows whose values may be written."""
        role = self.principal.role
        if role == "device":
            device = self.principal.device
            named = {point.flow for point in self.territory.points if point.device == device}
            declared = self.territory.devices.get(device)
            if (
                not named and declared is not None
            ):  # a device without points writes what is measured at its place
                named = {flow.id for flow in self.territory.flows.values() if flow.place == declared.place}
            return frozenset(named)
        if role == "city":
            return frozenset()
        return self.flows

    def company_of(self, place: str) -> str:
        """The company that a place belongs to: the highest facility, building or lot above it, else the place itself."""
        if place not in self._company:
            found = place
            for node in self.territory.ancestors(place):
                if node.kind in _COMPANIES and node.kind != "lot":
                    found = node.id
            self._company[place] = found
        return self._company[place]

    def companies(self, flows: Iterable[str]) -> int:
        """How many companies stand behind a total over `flows`; wards, cities and countries are none.

        What streets emit in a ward is reckoned from counts: who counts vehicles at a gate of its own there stands behind it, too, because the
        other streets are shown one by one.
        """
        found = {company for flow in flows for company in (self._place_of[flow], *self._gates.get(flow, ()))}
        return sum(self.territory.places[place].kind not in _PUBLIC for place in found)

    @cached_property
    def _place_of(self) -> Mapping[str, str]:
        """The company of each flow's place, or the place."""
        return {flow.id: self.company_of(flow.place) for flow in self.territory.flows.values()}

    @cached_property
    def _gates(self) -> Mapping[str, frozenset[str]]:
        """The companies that count vehicles inside the place of a flow that takes what streets emit."""
        every = self.territory.flows.values()
        counted = {self.company_of(flow.place) for flow in every if flow.carrier.kind == COUNT}
        return {
            flow.id: frozenset(own for own in counted if self.territory.lies_in(own, flow.place))
            for flow in every
            if counted and PARAMETER in flow.parameters
        }

    def enough(self, flows: Iterable[str]) -> bool:
        """Whether nobody can read one company's figure in a total over `flows`: companies enough are in it, or none at all."""
        return self.companies(flows) not in range(1, self.threshold)

    def tells(self, flows: Collection[str]) -> bool:
        """Whether a total over `flows` may be told beside the one of all flows: companies enough are in it, and in what is left."""
        rest = self.territory.flows.keys() - set(flows)
        return not self.suppresses or not rest or (self.enough(flows) and self.enough(rest))

    def disclosed(self, totals: Mapping[str, float], members: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """The keys of a one-way table that may be shown, beside its sum.

        Args:
            totals: amount of each cell.
            members: the flows behind each cell.

        Returns:
            All keys, unless this scope suppresses: then those that tell nobody's figure. What is held back can be computed together
            from the sum, so the smallest other cells are held back with it until companies enough are in that too: of two that
            are held back alone, each would read the other's figure. Cells of nothing hide nothing and do not count.
        """
        if not self.suppresses:
            return frozenset(totals)
        shown = {key for key in totals if self.enough(members.get(key, ()))}
        hidden = set(totals) - shown
        while shown and hidden and self.companies(_behind(totals, members, hidden)) < self.threshold:
            least = min(shown, key=lambda key: (not _weighs(totals[key]), abs(totals[key]), key))
            shown.remove(least)
            hidden.add(least)
        return frozenset(shown)


def _behind(
    totals: Mapping[str, float], members: Mapping[str, Sequence[str]], keys: Collection[str]
) -> list[str]:
    """The flows behind the cells that hold something."""
    return [flow for key in keys if _weighs(totals[key]) for flow in members.get(key, ())]


def _weighs(total: float) -> bool:
    return math.isfinite(total) and total != 0.0
