# SPDX-License-Identifier: Apache-2.0
"""The nouns of a plan of exchanges: parties, treatment units, terms, arcs, and the case that holds them as arrays.

Comes in: numbers that `problem.py` took from the declaration. Goes out: frozen values that `build.py` turns into a network. Amounts are
per month, January first, in each party's own unit (t, m3, MWh, ...); money is VND; masses of CO2e are kg.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mangrove import errors
from mangrove.territory.model import Listing
from mangrove.units import Quantity

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
MONTHS = 12
PARTS = ("purchase", "disposal", "asked", "transport", "handling", "link", "treatment", "carbon")
"""What the worth of an exchange consists of: what is no longer bought and no longer disposed of, less what the giver asks where nobody
said what happens otherwise, and what the way and the treatment cost."""
APPROACH = 10.0
"""Kelvin by which offered heat must be warmer than what is needed: the least temperature difference of the published pinch cases
(Linnhoff and Hindmarsh 1983; Smith 2005), so an assumption of design, not a law."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan of exchanges reckons with besides the declaration.

    Attributes:
        carbon_price: VND/t CO2e; 0: avoided emissions are counted, not paid for.
        transport: VND/t/km by truck; None: transport is not reckoned, and the plan says so.
        transport_carbon: kg CO2e/t/km by truck.
        handling: VND/t, loading and unloading.
        fixed_cost: VND/yr for each link that is opened.
        most_share: largest share of a need that one giving place may cover; None: no limit.
        approach: K by which offered heat must be warmer than the need.
        power_price: VND/kWh of electricity for treatment; None: it is not reckoned, and the plan says so.
        power_carbon: kg CO2e/kWh of that electricity.
    """

    carbon_price: float = 0.0
    transport: float | None = None
    transport_carbon: float = 0.0
    handling: float = 0.0
    fixed_cost: float = 0.0
    most_share: float | None = None
    approach: float = APPROACH
    power_price: float | None = None
    power_carbon: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """An offer or a need as the program sees it.

    Attributes:
        listing: as declared; unit: in which it is counted (`t`, `m3`, `MWh`, ...).
        amounts: (12,) what is left of it a month after what runs already; declared: (12,) before.
        worth: VND per unit of what happens without an exchange: disposal of an offer, purchase of a need.
        worth_from: the column it comes from: `otherwise_cost`, `price`, or empty when neither is declared.
        carbon: kg CO2e per unit of what happens without an exchange; None: not stated or no factor.
    """

    listing: Listing
    unit: str
    amounts: Floats
    declared: Floats
    worth: float = 0.0
    worth_from: str = ""
    carbon: float | None = None

    @property
    def part(self) -> str:
        """The part of the worth that an offer brings: what disposal no longer costs, or what is asked for it."""
        return "asked" if self.worth_from == "price" else "disposal"

    @property
    def id(self) -> str:
        """Id of the listing."""
        return self.listing.id

    @property
    def place(self) -> str:
        """Id of the place."""
        return self.listing.place


@dataclass(frozen=True, slots=True)
class Unit:
    """A treatment unit or a heat pump: what it takes at one place and gives at a better quality. It stands, or may be built.

    Attributes:
        id, place: of the asset; takes, gives: kinds of carriers.
        capacity: most that leaves it in a month, in `unit`; of a candidate what stands already.
        recovery: what leaves per unit that goes in (above 1 for a heat pump: its electricity leaves as heat, too).
        power: kWh per unit that leaves; cost: VND per unit that leaves.
        outlet: quality that leaves it, by folded name, whatever goes in; removal: share of what goes in that it removes.
        temperature: of the heat that leaves it, source_temperature: that it needs at least, degC.
        most: largest capacity when it is built, what stands included; None: nothing is to be built.
        price: VND/yr for each new unit of the capacity, upkeep included; fixed: VND/yr when anything is built at all.
        name: for people.
    """

    id: str
    place: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    unit: str
    capacity: float
    recovery: float = 1.0
    power: float = 0.0
    cost: float = 0.0
    outlet: Mapping[str, Quantity] = field(default_factory=dict)
    removal: Mapping[str, float] = field(default_factory=dict)
    temperature: float | None = None
    source_temperature: float | None = None
    most: float | None = None
    price: float = 0.0
    fixed: float = 0.0
    name: str = ""

    @property
    def is_once(self) -> bool:
        """Whether building any of it costs something at once."""
        return self.most is not None and self.fixed > 0

    @property
    def largest(self) -> float:
        """The most that can leave it in a month."""
        return self.capacity if self.most is None else self.most


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """A limit of one need on one property of the mix that it takes: sum over its arcs of excess x amount <= 0.

    `excess` (k,) is (content - limit) x what arrives per unit of the offer; for a least content it is (limit - content).
    """

    need: int
    name: str
    arcs: Ints
    excess: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Arcs from one giving place to one need: together at most `limit` (12,) units of the need (limit on dependence)."""

    arcs: Ints
    limit: Floats


@dataclass(frozen=True, eq=False)
class Case:
    """A plan of exchanges as arrays over A arcs, each from an offer to a need, some through a unit.

    Attributes:
        offers, needs, units: the ends.
        offer, need, unit: (A,) positions; unit is -1 where there is none; need is -1 where electricity is given to a unit.
        ratio: (A,) units of the need (or MWh to the unit) per unit of the offer.
        money: (A,) VND per unit of the offer, by part (see `PARTS`), electricity of treatment not included.
        power: (A,) kWh of treatment per unit of the offer.
        carbon: (A,) kg CO2e avoided per unit of the offer, electricity of treatment not included.
        capacity, least: (A, 12) units of the offer a month; fixed: (A,) VND/yr when the arc is used at all.
        distance: (A,) km; score: (A,) of the match; reasons: of each arc, by language.
        blends, groups: further limits; terms: what was reckoned with; notes: what people should know.
        refused: by id of a listing without an arc, why its likeliest partner is refused, by language.
        electricity: (U, T) VND/kWh of each unit in each step, carbon price included; None: what the terms say, always.

    A case of hours has T columns where that of a year has twelve.
    """

    offers: tuple[Party, ...]
    needs: tuple[Party, ...]
    units: tuple[Unit, ...]
    offer: Ints
    need: Ints
    unit: Ints
    ratio: Floats
    money: Mapping[str, Floats]
    power: Floats
    carbon: Floats
    capacity: Floats
    least: Floats
    fixed: Floats
    distance: Floats
    score: Floats
    reasons: tuple[Mapping[str, tuple[str, ...]], ...]
    blends: tuple[Blend, ...]
    groups: tuple[Group, ...]
    terms: Terms
    notes: tuple[errors.Problem, ...] = ()
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    electricity: Floats | None = None

    def __len__(self) -> int:
        return len(self.offer)

    @property
    def steps(self) -> int:
        """T, twelve months or a number of hours."""
        return int(self.capacity.shape[1])

    @cached_property
    def worth(self) -> Floats:
        """(A,) VND per unit of the offer, without electricity of treatment and fixed costs."""
        total: Floats = sum((self.money[part] for part in PARTS), np.zeros(len(self)))
        return total

    @cached_property
    def supply(self) -> Floats:
        """(I, T) what is offered."""
        return np.array([one.amounts for one in self.offers]).reshape(-1, self.steps)

    @cached_property
    def demand(self) -> Floats:
        """(J, T) what is needed."""
        return np.array([one.amounts for one in self.needs]).reshape(-1, self.steps)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The places that take part in an arc, in order of their names."""
        return tuple(sorted({place for a in range(len(self)) for place in self.places(a)}))

    def places(self, arc: int) -> tuple[str, ...]:
        """The places without which an arc cannot be used: who gives, who takes, who owns the unit."""
        found = [self.offers[self.offer[arc]].place]
        if self.need[arc] >= 0:
            found.append(self.needs[self.need[arc]].place)
        if self.unit[arc] >= 0:
            found.append(self.units[self.unit[arc]].place)
        return tuple(dict.fromkeys(found))

    @cached_property
    def seats(self) -> NDArray[np.bool_]:
        """(A, n) which members an arc cannot do without."""
        at = {name: i for i, name in enumerate(self.members)}
        found = np.zeros((len(self), len(at)), dtype=bool)
        for arc in range(len(self)):
            found[arc, [at[place] for place in self.places(arc)]] = True
        return found

    @property
    def has_choices(self) -> bool:
        """Whether anything costs once: links that open, or units that are built."""
        return bool((self.fixed > 0).any()) or any(one.is_once for one in self.units)

    @property
    def power_price(self) -> float:
        """VND/kWh of electricity for treatment, with the carbon price on its emissions."""
        return (self.terms.power_price or 0.0) + self.terms.power_carbon * self.terms.carbon_price / 1000.0

    @property
    def power_cost(self) -> Floats | float:
        """(U, 1, T) VND/kWh of each unit in each step, or the same number for all."""
        return self.power_price if self.electricity is None else self.electricity[:, None, :]
