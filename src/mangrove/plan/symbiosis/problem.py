# SPDX-License-Identifier: Apache-2.0
"""From declared offers and needs, and the pairs that were proposed, to a case: arrays that say what each exchange is worth.

Comes in: a territory, candidate pairs, terms, what runs already, factors. Goes out: a `Case`. A pair that cannot be (units that do not
convert, a property that the offer does not state, heat that is too cold) is left out and named; a limit that a mix may meet stays,
as a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mangrove.errors import InfeasibleError, Problem, RequestError
from mangrove.messages import LANGUAGES
from mangrove.plan.symbiosis import amounts
from mangrove.plan.symbiosis.model import (
    MONTHS,
    PARTS,
    Blend,
    Case,
    Floats,
    Group,
    Ints,
    Party,
    Terms,
    Unit,
)
from mangrove.territory.model import Carrier, Link, Listing, Quality, Territory
from mangrove.text import fold
from mangrove.units import Quantity

TRUCKED = frozenset(("material", "waste", "fuel", "livestock"))
"""Kinds of carriers that trucks bring; water, heat and electricity come through links."""
UNMIXED = frozenset(("ph", "temperature", "pressure"))
"""Properties (folded) that a mix does not average by amount: each source has to meet the limit itself, which the matcher asks."""
_DEGREES = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:degC|°C|C)")
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Pairs:
    """Proposed pairs as arrays.

    Attributes:
        offers, needs: ids of what was compared.
        offer, need: (A,) positions; distance: km; score; reasons: of each pair, by language.
        refused: by id of a listing without any pair, why the likeliest one is refused, by language.
    """

    offers: Sequence[str]
    needs: Sequence[str]
    offer: Ints
    need: Ints
    distance: Floats
    score: Floats
    reasons: tuple[Mapping[str, tuple[str, ...]], ...] = ()
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(eq=False)
class _Row:
    """One arc under construction."""

    offer: int
    need: int
    unit: int = -1
    ratio: float = 1.0
    distance: float = 0.0
    score: float = 0.0
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    money: dict[str, float] = field(default_factory=dict)
    power: float = 0.0
    carbon: float = 0.0
    fixed: float = 0.0


def assemble(
    territory: Territory,
    pairs: Pairs,
    *,
    terms: Terms,
    used: Mapping[str, Floats] | None = None,
    carbon: Mapping[str, float | None] | None = None,
    units: Sequence[Unit] = (),
) -> Case:
    """The case of a territory.

    Args:
        territory: with offers, needs and links.
        pairs: what may go where.
        terms: prices and limits.
        used: (12,) units a month that run already, by id of the offer or need.
        carbon: kg CO2e per unit of what happens without an exchange, by id.
        units: treatment units and heat pumps that may be used.

    Raises:
        RequestError: `exchange.no_offers`, `exchange.no_needs`.
        InfeasibleError: `exchange.minimum_above`, a least amount that supply or need cannot meet.
    """
    offers, said = amounts.parties(tuple(territory.offers.values()), used=used or {}, carbon=carbon or {})
    needs, more = amounts.parties(tuple(territory.needs.values()), used=used or {}, carbon=carbon or {})
    if not offers:
        raise RequestError("exchange.no_offers", file="offers.csv")
    if not needs:
        raise RequestError("exchange.no_needs", file="needs.csv")
    maker = _Maker(territory, (offers, needs, tuple(units)), terms, [*said, *more])
    rows = [*maker.direct(pairs), *maker.through(), *maker.powered()]
    return maker.case(rows, pairs.refused)


class _Maker:
    """Builds rows one by one and the case from all of them."""

    def __init__(
        self,
        territory: Territory,
        ends: tuple[tuple[Party, ...], tuple[Party, ...], tuple[Unit, ...]],
        terms: Terms,
        notes: list[Problem],
    ) -> None:
        self.territory = territory
        self.offers, self.needs, self.units = ends
        self.terms, self.notes = terms, notes
        self.lost: dict[str, Problem] = {}
        self.links: dict[tuple[str, str], list[Link]] = {}
        for link in territory.links.values():
            self.links.setdefault((link.place, link.to_place), []).append(link)

    def direct(self, pairs: Pairs) -> Iterator[_Row]:
        """Arcs of the proposed pairs."""
        offer_at = {one.id: i for i, one in enumerate(self.offers)}
        need_at = {one.id: j for j, one in enumerate(self.needs)}
        for a, (i, j) in enumerate(zip(pairs.offer.tolist(), pairs.need.tolist(), strict=True)):
            at = offer_at.get(pairs.offers[i], -1), need_at.get(pairs.needs[j], -1)
            if min(at) < 0:
                continue
            row = _Row(*at, distance=float(pairs.distance[a]), score=float(pairs.score[a]))
            row.reasons = pairs.reasons[a] if pairs.reasons else {}
            if self._priced(row) and self._warm(row) and self._stated(row):
                yield row

    def through(self) -> Iterator[_Row]:
        """Arcs through a unit: every offer that it takes to every need that its outlet meets."""
        for u, unit in enumerate(self.units):
            for i, offer in enumerate(self.offers):
                if not _taken(offer.listing.carrier, unit) or offer.unit != unit.unit:
                    continue
                for j, need in enumerate(self.needs):
                    fits = need.listing.carrier.kind in unit.gives and need.unit == unit.unit
                    if not fits or not _meets(unit, offer.listing, need.listing):
                        continue
                    row = _Row(i, j, u, distance=self._way(offer.place, unit.place, need.place))
                    if self._priced(row):
                        yield row

    def powered(self) -> Iterator[_Row]:
        """Arcs of offered electricity to units, in the place of what they would buy."""
        if self.terms.power_price is None:
            return
        for u, unit in enumerate(self.units):
            for i, offer in enumerate(self.offers):
                if offer.listing.carrier.kind != "electricity" or not unit.power:
                    continue
                row = _Row(i, -1, u, distance=self._way(offer.place, unit.place))
                row.money = {
                    "purchase": 1000.0 * self.terms.power_price,
                    offer.part: offer.worth,
                    "carbon": self.terms.power_carbon * self.terms.carbon_price,
                }
                row.carbon = 1000.0 * self.terms.power_carbon
                yield row

    def case(self, rows: list[_Row], refused: Mapping[str, Mapping[str, str]]) -> Case:
        """The arrays of all rows."""
        made = Case(
            self.offers, self.needs, self.units,
            offer=_positions(rows, "offer"), need=_positions(rows, "need"), unit=_positions(rows, "unit"),
            ratio=_column(rows, "ratio"),
            money={part: np.array([row.money.get(part, 0.0) for row in rows]) for part in PARTS},
            power=_column(rows, "power"), carbon=_column(rows, "carbon"),
            capacity=np.array([self._capacity(row) for row in rows]).reshape(-1, MONTHS),
            least=np.array([self._least(row) for row in rows]).reshape(-1, MONTHS),
            fixed=_column(rows, "fixed"), distance=_column(rows, "distance"), score=_column(rows, "score"),
            reasons=tuple(row.reasons for row in rows),
            blends=tuple(self._blends(rows)), groups=tuple(self._groups(rows)), terms=self.terms,
            notes=tuple(self.notes), refused={**refused, **{one: {lang: said.text(lang) for lang in LANGUAGES} for one, said in self.lost.items()}},
        )  # fmt: skip
        _check_minimum(made)
        return made

    def _priced(self, row: _Row) -> bool:
        """Fills ratio, money and carbon of an arc; False, with a note, when the units do not convert."""
        offer, need = self.offers[row.offer], self.needs[row.need]
        unit = self.units[row.unit] if row.unit >= 0 else None
        per = amounts.ratio(offer, need)
        if per is None:
            data = {"offer": offer.id, "offered": offer.unit, "need": need.id, "needed": need.unit}
            self._drop(Problem("exchange.units", data, offer.listing.where, "warning"), offer.id, need.id)
            return False
        row.ratio = per * (unit.recovery if unit else 1.0)
        row.links = self._between(offer, need) if unit is None else ()
        length, cost, fixed = self._link_terms(row) if unit is None else (None, self._legs(row, unit), None)
        row.distance = row.distance if length is None else length
        row.fixed = (fixed or 0.0) if row.links else self.terms.fixed_cost
        row.money = {"purchase": need.worth * row.ratio, offer.part: offer.worth, "link": -cost}
        row.carbon = (need.carbon or 0.0) * row.ratio + (offer.carbon or 0.0)
        if unit is not None:
            row.money["treatment"] = -unit.cost * unit.recovery
            row.power = unit.power * unit.recovery
        self._truck(row, offer)
        row.money["carbon"] = self.terms.carbon_price * row.carbon / 1000.0
        return True

    def _drop(self, problem: Problem, *ends: str) -> None:
        """Leaves a pair out and remembers why, for those whom nothing else serves."""
        self.notes.append(problem)
        for one in ends:
            self.lost.setdefault(one, problem)

    def _truck(self, row: _Row, offer: Party) -> None:
        """Transport and handling of what trucks bring; nothing where a link has a price of its own."""
        if offer.listing.carrier.kind not in TRUCKED or row.money.get("link"):
            return
        mass = amounts.tonnes(offer)
        if mass is None:
            self.notes.append(
                Problem("exchange.no_density", {"offer": offer.id}, offer.listing.where, "note")
            )
            return
        row.money["transport"] = -(self.terms.transport or 0.0) * row.distance * mass
        row.money["handling"] = -self.terms.handling * mass
        row.carbon -= self.terms.transport_carbon * row.distance * mass

    def _between(self, offer: Party, need: Party) -> tuple[Link, ...]:
        """The declared links that may carry a pair."""
        kinds = {offer.listing.carrier.kind, need.listing.carrier.kind}
        found = self.links.get((offer.place, need.place), ())
        return tuple(link for link in found if link.carrier.kind in kinds)

    def _link_terms(self, row: _Row) -> tuple[float | None, float, float | None]:
        """Length in km, VND per unit and VND/yr of the declared link of an arc."""
        length, cost, fixed = None, 0.0, None
        per = self.offers[row.offer].unit
        for link in row.links:
            distance, price = link.parameters.get("distance"), link.parameters.get("cost")
            if isinstance(distance, Quantity):
                length = distance.to("km")
            if isinstance(price, Quantity):
                if price.unit.converts_to("VND/yr"):
                    fixed = (fixed or 0.0) + price.to("VND/yr")
                elif price.unit.converts_to(f"VND/{per}"):
                    cost += price.to(f"VND/{per}")
                else:
                    data = {"link": link.id, "text": str(price), "unit": per}
                    self.notes.append(Problem("exchange.link_cost", data, link.where, "warning"))
        return length, cost, fixed

    def _legs(self, row: _Row, unit: Unit) -> float:
        """VND per unit of the offer of the declared links to a unit and on from it; what a year they cost is said to be left out."""
        offer, need, total = self.offers[row.offer], self.needs[row.need], 0.0
        legs = (
            (offer.place, unit.place, offer.listing.carrier.kind, 1.0),
            (unit.place, need.place, need.listing.carrier.kind, unit.recovery),
        )
        for start, end, kind, share in legs:
            for link in self.links.get((start, end), ()):
                if link.carrier.kind != kind:
                    continue
                total += share * self._leg(link, unit.unit)
        return total

    def _leg(self, link: Link, per: str) -> float:
        """VND per unit over one link; a yearly cost and limits, which several offers would share, are named once."""
        price = link.parameters.get("cost")
        known = isinstance(price, Quantity) and price.unit.converts_to(f"VND/{per}")
        for name in ("cost", "capacity", "minimum"):
            if name in link.parameters and not (name == "cost" and known):
                data = {"link": link.id, "name": name, "unit": per}
                problem = Problem("exchange.link_leg", data, link.where, "warning")
                if problem not in self.notes:
                    self.notes.append(problem)
        return price.to(f"VND/{per}") if known and isinstance(price, Quantity) else 0.0

    def _monthly(self, row: _Row, name: str) -> float | None:
        """A rate of the declared link, in units of the offer a month."""
        per = self.offers[row.offer].unit
        rates = [link.parameters.get(name) for link in row.links]
        known = [
            one.to(f"{per}/yr") / MONTHS
            for one in rates
            if isinstance(one, Quantity) and one.unit.converts_to(f"{per}/yr")
        ]
        return min(known) if known else None

    def _capacity(self, row: _Row) -> Floats:
        most = self._monthly(row, "capacity")
        return np.full(MONTHS, np.inf if most is None else most)

    def _least(self, row: _Row) -> Floats:
        return np.full(MONTHS, self._monthly(row, "minimum") or 0.0)

    def _way(self, *places: str) -> float:
        """Kilometers from place to place, as the crow flies; 0 where a place has no coordinates."""
        at = [self.territory.places[place] for place in places]
        total = 0.0
        for here, there in pairwise(at):
            if None not in (here.lon, here.lat, there.lon, there.lat):
                total += _great_circle(here.lon, here.lat, there.lon, there.lat)  # type: ignore[arg-type]
        return total

    def _warm(self, row: _Row) -> bool:
        """Whether offered heat is warm enough, by the approach of the heat exchanger."""
        offer, need = self.offers[row.offer].listing, self.needs[row.need].listing
        have, wanted = degrees(offer.carrier), degrees(need.carrier)
        if have is None or wanted is None or have >= wanted + self.terms.approach - _TOLERANCE:
            return True
        data = {
            "offer": offer.id,
            "have": have,
            "need": need.id,
            "wanted": wanted,
            "approach": self.terms.approach,
        }
        self._drop(Problem("exchange.too_cold", data, offer.where, "note"), offer.id, need.id)
        return False

    def _stated(self, row: _Row) -> bool:
        """Whether the offer states every property that the need limits, in a unit that can be compared."""
        offer, need = self.offers[row.offer].listing, self.needs[row.need].listing
        have = {fold(one.name): one.value for one in offer.quality}
        for limit in _mixing(need):
            value = have.get(fold(limit.name))
            data = {
                "offer": offer.id,
                "need": need.id,
                "name": limit.name,
                "limit": f"{limit.sense} {limit.value}",
            }
            if value is None:
                self._drop(Problem("exchange.not_stated", data, offer.where, "note"), offer.id, need.id)
                return False
            if not value.unit.converts_to(limit.value.unit):
                data |= {"have": str(value)}
                self._drop(Problem("exchange.quality_units", data, offer.where, "warning"), offer.id, need.id)
                return False
        return True

    def _blends(self, rows: list[_Row]) -> Iterator[Blend]:
        """One limit on the mix for each need and property that some of its sources do not meet alone."""
        by_need: dict[int, list[int]] = {}
        for a, row in enumerate(rows):
            if row.need >= 0:
                by_need.setdefault(row.need, []).append(a)
        for j, arcs in by_need.items():
            for limit in _mixing(self.needs[j].listing):
                excess = np.array([self._content(rows[a], limit) * rows[a].ratio for a in arcs])
                if (excess > _TOLERANCE).any():
                    yield Blend(j, limit.name, np.array(arcs), excess)

    def _content(self, row: _Row, limit: Quality) -> float:
        """Excess of what an arc brings over the limit of its need, in the limit's unit."""
        offer = self.offers[row.offer].listing
        if row.unit >= 0:
            # behind a unit without an outlet all that goes in is mixed: it meets the limit, but nobody knows by how much
            outlet = self.units[row.unit].outlet.get(fold(limit.name))
            return 0.0 if outlet is None else _excess(outlet, limit)
        have = next(one for one in offer.quality if fold(one.name) == fold(limit.name))
        return _excess(have.value, limit)

    def _groups(self, rows: list[_Row]) -> Iterator[Group]:
        """The limit on dependence: of each need, what one giving place may cover at most."""
        if self.terms.most_share is None:
            return
        by_pair: dict[tuple[str, int], list[int]] = {}
        for a, row in enumerate(rows):
            if row.need >= 0:
                by_pair.setdefault((self.offers[row.offer].place, row.need), []).append(a)
        for (_, j), arcs in by_pair.items():
            yield Group(np.array(arcs), self.terms.most_share * self.needs[j].declared)


def degrees(carrier: Carrier) -> float | None:
    """The temperature of a carrier's level in degrees Celsius; None when its level is none.

    Example:
        >>> degrees(Carrier.parse("heat@90degC"))
        90.0
    """
    match = _DEGREES.fullmatch(carrier.level.strip())
    return float(match[1]) if match else None


def _excess(value: Quantity, limit: Quality) -> float:
    """By how much a property is beyond its limit, in the limit's unit."""
    beyond = value.to(limit.value.unit) - limit.value.value
    return -beyond if limit.sense == ">=" else beyond


def _mixing(need: Listing) -> list[Quality]:
    """The limits of a need on what a mix averages."""
    return [one for one in need.quality if fold(one.name) not in UNMIXED]


def _taken(carrier: Carrier, unit: Unit) -> bool:
    """Whether a unit takes a carrier; a heat source must be as warm as the unit needs it."""
    have = degrees(carrier)
    warm = unit.source_temperature is None or have is None or have >= unit.source_temperature - _TOLERANCE
    return carrier.kind in unit.takes and warm


def _meets(unit: Unit, offer: Listing, need: Listing) -> bool:
    """Whether what leaves a unit meets every limit of a need; a limit of which nobody knows is not met."""
    wanted = degrees(need.carrier)
    if unit.temperature is not None and wanted is not None and unit.temperature < wanted - _TOLERANCE:
        return False
    for limit in _mixing(need):
        value = _behind(unit, offer, limit)
        if (
            value is None
            or not value.unit.converts_to(limit.value.unit)
            or _excess(value, limit) > _TOLERANCE
        ):
            return False
    return True


def _behind(unit: Unit, offer: Listing, limit: Quality) -> Quantity | None:
    """A property behind a unit: its outlet, or what its removal (none: as it came) leaves of the offer's own."""
    name = fold(limit.name)
    if name in unit.outlet:
        return unit.outlet[name]
    have = next((one.value for one in offer.quality if fold(one.name) == name), None)
    return None if have is None else Quantity(have.value * (1.0 - unit.removal.get(name, 0.0)), have.unit)


def _check_minimum(case: Case) -> None:
    """Refuses a least amount that what is offered or needed cannot meet in some month.

    Raises:
        InfeasibleError: `exchange.minimum_above`, at the link or listing that says it.
    """
    if not len(case):
        return
    supply = case.supply[case.offer]
    wanted = np.where((case.need >= 0)[:, None], case.demand[case.need] / case.ratio[:, None], np.inf)
    most = np.minimum(np.minimum(supply, wanted), case.capacity)
    short = case.least > most * (1 + _TOLERANCE) + _TOLERANCE
    for arc in np.flatnonzero(short.any(axis=1)):
        offer, need = case.offers[case.offer[arc]], case.needs[case.need[arc]]
        month = int(np.argmax(short[arc]))
        data = {
            "offer": offer.id, "need": need.id, "least": float(case.least[arc, month]), "most": float(most[arc, month]),
            "unit": offer.unit, "month": month + 1,
        }  # fmt: skip
        raise InfeasibleError("exchange.minimum_above", where=offer.listing.where, **data)
    for parties, at, least in (
        (case.offers, case.offer, case.least), (case.needs, case.need, case.least * case.ratio[:, None])
    ):  # fmt: skip
        for n, one in enumerate(parties):
            together = least[at == n].sum(axis=0)
            short_months = np.flatnonzero(together > one.amounts * (1 + _TOLERANCE) + _TOLERANCE)
            if len(short_months):
                month = int(short_months[0])
                data = {
                    "id": one.id,
                    "least": float(together[month]),
                    "most": float(one.amounts[month]),
                    "unit": one.unit,
                }
                raise InfeasibleError(
                    "exchange.minimum_sum", where=one.listing.where, month=month + 1, **data
                )


def _positions(rows: Sequence[_Row], name: str) -> Ints:
    return np.array([getattr(row, name) for row in rows], dtype=np.int64)


def _column(rows: Sequence[_Row], name: str) -> Floats:
    return np.array([getattr(row, name) for row in rows], dtype=float)


def _great_circle(lon: float, lat: float, lon2: float, lat2: float) -> float:
    """Kilometers on a sphere of 6,371.0088 km, the mean radius of the Earth (Moritz 2000, GRS80)."""
    a, b = np.radians([lat, lat2])
    step = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon2 - lon) / 2) ** 2
    return float(2 * 6371.0088 * np.arcsin(np.sqrt(step)))
