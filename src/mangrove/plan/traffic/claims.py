# SPDX-License-Identifier: Apache-2.0
"""Claims in a proposal that do not add up: tonnes (or kWh) per vehicle and year against kilometers times factor.

Comes in: a claim as a proposal states it. Goes out: a `Finding`: what one vehicle can avoid at most, between which values, and how far each
would have to drive for the claim to hold. Factors are all curves that the tables know for the class, so that no single source decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.rules import roads as rules
from mangrove.rules import vehicles

SPEED = 20.0
"""km/h at which factors are taken: the mean speed of a motorbike in a large Vietnamese city; HBEFA and COPERT differ little around it."""


@dataclass(frozen=True)
class Claim:
    """What a proposal says: so many vehicles of a class avoid so many tonnes a year, driving so many km a year each (if it says so)."""

    id: str
    vehicle: str
    vehicles: float
    tonnes: float
    pollutant: str = "CO2"
    kilometers: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Finding:
    """What the claim comes to.

    Attributes:
        claim: the claim; each: tonnes per vehicle and year that it says.
        low, high: tonnes per vehicle and year that the distance gives, over all known factors; kilometers: that distance.
        needed: kilometers per year that the claim needs with the highest factor; sources: of the factors.
        holds: whether `each` is not above `high`.
    """

    claim: Claim
    each: float
    low: float
    high: float
    kilometers: float
    needed: float
    sources: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the claim can be."""
        return self.each <= self.high


def judge(claim: Claim) -> Finding:
    """Judges a claim.

    Raises:
        RequestError: `roads.bad_claim` (no vehicles, or numbers that cannot be); RuleError: no factor for the class.

    Example:
        >>> found = judge(Claim("swap", "motorbike", 30_000, 60_000))
        >>> found.each, found.holds
        (2.0, False)
    """
    if not (claim.vehicles > 0 and np.isfinite(claim.tonnes) and claim.tonnes >= 0):
        raise RequestError("roads.bad_claim", claim=claim.id)
    distance = claim.kilometers
    if distance is None:
        distance = rules.value("distance_year", vehicles.vehicle_class(claim.vehicle).key)
    known = vehicles.curves(claim.vehicle, claim.pollutant)
    factors = np.array([float(curve.at(np.array([SPEED]))[0]) for curve in known])
    if not len(factors):
        raise RequestError("roads.bad_claim", claim=claim.id)
    each = claim.tonnes / claim.vehicles
    return Finding(
        claim, each, float(factors.min()) * distance / 1e6, float(factors.max()) * distance / 1e6, distance,
        1e6 * each / float(factors.max()), tuple(dict.fromkeys(curve.source for curve in known)),
    )  # fmt: skip
