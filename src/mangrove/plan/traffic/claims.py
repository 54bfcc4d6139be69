# SPDX-License-Identifier: Apache-2.0
"""Claims in a proposal that do not add up: tonnes or kWh per vehicle and year, tonnes of a new line, numbers of vehicles.

Comes in: a claim as a proposal states it. Goes out: a `Finding` for each statement that can be checked: what it says, between which values
it can be, and what it would need to hold. Factors are all curves that the tables know for the class, so that no single source decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mangrove.errors import RequestError, RuleError
from mangrove.rules import roads as rules
from mangrove.rules import vehicles

SPEED = 20.0
"""km/h at which factors are taken: traffic in the center of Ho Chi Minh City has 20.7 in the morning peak, 19.3 in the evening and 20.9
between them (department of transport of the city, in plo.vn, article 672908); factors change little around it."""
DAYS = 365.0
"""Days of a year on which a line is used: the most there are."""
_ROUNDED = 0.05
"""Numbers of people are rounded: a count of vehicles that is off by less is the count."""
_ELECTRIC = "electric_"


@dataclass(frozen=True)
class Claim:
    """What a proposal says; what it does not say is None.

    Attributes:
        id: unique in a plan; vehicle: class of the vehicles that are replaced, electric ones or those that trips took; source: who says so.
        vehicles: how many; tonnes: that they avoid in a year, of the pollutant; kilometers: that each drives in a year.
        electricity: kWh that the vehicles use in a year.
        fleet, share: of how many vehicles what part the vehicles are.
        line: km of a new line; trips: a day that it takes off the road; trip: km of each; occupancy: persons in a vehicle.
    """

    id: str
    vehicle: str
    vehicles: float | None = None
    tonnes: float | None = None
    pollutant: str = "CO2"
    kilometers: float | None = None
    source: str = ""
    electricity: float | None = None
    fleet: float | None = None
    share: float | None = None
    line: float | None = None
    trips: float | None = None
    trip: float | None = None
    occupancy: float | None = None


@dataclass(frozen=True)
class Finding:
    """What a statement of a claim comes to.

    Attributes:
        claim: the claim; kind: what is stated, `vehicles` (t per vehicle and year), `electricity` (kWh per vehicle and year), `line` (t per
            km of line and year) or `fleet` (vehicles).
        each: what it says; low, high: what can be, over all known factors; kilometers: that a vehicle drives (all of them, for a line).
        needed: kilometers a year of each vehicle that it takes (trips a day, for a line; share of the fleet); sources: of the factors.
        holds: whether it can be.
    """

    claim: Claim
    each: float
    low: float
    high: float
    kilometers: float
    needed: float
    sources: tuple[str, ...]
    kind: str = "vehicles"
    stated: bool = False

    @property
    def holds(self) -> bool:
        """Whether the claim can be. Less than what can be is modest, unless it is power that vehicles are said to need, or a count."""
        low = (
            self.low * (1 - _ROUNDED)
            if self.kind == "fleet" or (self.kind == "electricity" and self.stated)
            else 0.0
        )
        high = self.high * (1 + _ROUNDED) if self.kind == "fleet" else self.high
        return low <= self.each <= high

    def line(self, lang: str = "en") -> str:
        """The finding as a sentence."""
        from mangrove import messages
        from mangrove.figures.numbers import number, percent

        needed = percent(self.needed, lang, decimals=1) if self.kind == "fleet" else number(self.needed, lang)
        code = f"roads.claim{'' if self.kind == 'vehicles' else f'_{self.kind}'}_{'holds' if self.holds else 'fails'}"
        return messages.render(
            code, lang, claim=self.claim.id, each=number(self.each, lang), low=number(self.low, lang),
            high=number(self.high, lang), distance=number(self.kilometers, lang), needed=needed,
            pollutant=self.claim.pollutant, sources=", ".join(self.sources), vehicle=self.claim.vehicle,
        )  # fmt: skip


def judged(claim: Claim) -> tuple[Finding, ...]:
    """Judges every statement of a claim.

    Raises:
        RequestError: `roads.bad_claim` (numbers that cannot be), `roads.claim_nothing` (no statement can be checked),
            `roads.claim_distance`, `roads.claim_occupancy` (neither the claim nor the tables say it). RuleError: no such class.

    Example:
        >>> [(found.kind, found.holds) for found in judged(Claim("a", "motorbike", 30, 9, fleet=1_000, share=0.3))]
        [('vehicles', True), ('fleet', False)]
    """
    vehicles.vehicle_class(claim.vehicle)
    for key in ("vehicles", "kilometers", "fleet", "line", "trips", "trip", "occupancy"):
        value = getattr(claim, key)
        if value is not None and not 0 < value < np.inf:
            raise RequestError("roads.bad_claim", claim=claim.id)
    for key in ("tonnes", "electricity", "share"):
        value = getattr(claim, key)
        if value is not None and not 0 <= value < np.inf:
            raise RequestError("roads.bad_claim", claim=claim.id)
    checks: list[tuple[Callable[[Claim], Finding], tuple[Any, ...]]] = [
        (_avoided, (claim.vehicles, claim.tonnes)),
        (_powered, (claim.vehicles, claim.electricity)),
        (_of_line, (claim.line, claim.trips, claim.trip, claim.tonnes)),
        (_counted, (claim.vehicles, claim.fleet, claim.share)),
    ]
    found = tuple(check(claim) for check, said in checks if None not in said)
    if not found:
        raise RequestError("roads.claim_nothing", claim=claim.id)
    return found


def judge(claim: Claim) -> Finding:
    """Judges the first statement of a claim; see `judged`.

    Example:
        >>> found = judge(Claim("swap", "motorbike", 30_000, 60_000))
        >>> found.each, found.holds
        (2.0, False)
    """
    return judged(claim)[0]


def _avoided(claim: Claim) -> Finding:
    """Tonnes per vehicle and year: at most kilometers x factor."""
    assert claim.tonnes is not None
    assert claim.vehicles is not None
    factors, sources = _factors(claim)
    distance, each = _distance(claim), claim.tonnes / claim.vehicles
    low, high = float(factors.min()), float(factors.max())
    return Finding(
        claim, each, low * distance / 1e6, high * distance / 1e6, distance, 1e6 * each / high, sources
    )


def _powered(claim: Claim) -> Finding:
    """Electricity per vehicle and year: kilometers x kWh per km, between 5 and 95 % of what sources give."""
    assert claim.electricity is not None
    assert claim.vehicles is not None
    curve = vehicles.curve(claim.vehicle, "electricity")
    per_km, distance = float(curve.at(np.array([SPEED]))[0]), _distance(claim)
    each = claim.electricity / claim.vehicles
    return Finding(
        claim, each, per_km * curve.low * distance, per_km * curve.high * distance, distance, each / (per_km * curve.median),
        (curve.source,), "electricity", claim.kilometers is not None,
    )  # fmt: skip


def _of_line(claim: Claim) -> Finding:
    """Tonnes per km of line and year: trips x days x km / persons in a vehicle x factor, over the length of the line."""
    assert claim.tonnes is not None
    assert claim.line is not None
    assert claim.trips is not None
    assert claim.trip is not None
    factors, sources = _factors(claim)
    per_trip = DAYS * claim.trip / _occupancy(claim)
    driven, each = claim.trips * per_trip, claim.tonnes / claim.line
    low, high = (float(factor) * driven / 1e6 / claim.line for factor in (factors.min(), factors.max()))
    return Finding(
        claim, each, low, high, driven, claim.trips * each / high if high else np.inf, sources, "line"
    )


def _counted(claim: Claim) -> Finding:
    """Vehicles: the share of the fleet."""
    assert claim.fleet is not None
    assert claim.share is not None
    assert claim.vehicles is not None
    whole = claim.fleet * claim.share
    return Finding(claim, claim.vehicles, whole, whole, 0.0, claim.vehicles / claim.fleet, (), "fleet")


def _factors(claim: Claim) -> tuple[np.ndarray[Any, np.dtype[np.float64]], tuple[str, ...]]:
    """Grams per km of all curves of the class, and their sources."""
    known = vehicles.curves(claim.vehicle, claim.pollutant)
    factors = np.array([float(curve.at(np.array([SPEED]))[0]) for curve in known])
    if not len(factors) or not factors.max() > 0:
        raise RequestError("roads.bad_claim", claim=claim.id)
    return factors, tuple(dict.fromkeys(curve.source for curve in known))


def _distance(claim: Claim) -> float:
    if claim.kilometers is not None:
        return claim.kilometers
    return _default(claim, "distance_year", "roads.claim_distance")


def _occupancy(claim: Claim) -> float:
    return (
        claim.occupancy
        if claim.occupancy is not None
        else _default(claim, "occupancy", "roads.claim_occupancy")
    )


def _default(claim: Claim, name: str, code: str) -> float:
    """What the tables say of a class; an electric vehicle is driven like the one it takes the place of."""
    key = vehicles.vehicle_class(claim.vehicle).key.removeprefix(_ELECTRIC)
    try:
        return rules.value(name, key)
    except RuleError:
        raise RequestError(code, claim=claim.id, vehicle=claim.vehicle) from None
