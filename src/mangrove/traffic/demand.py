# SPDX-License-Identifier: Apache-2.0
"""Trips between zones without a survey: a four-step default from population and jobs, and trips that fit counts.

Comes in: population and jobs by zone, travel times, rates. Goes out: a `Demand`: trips of one hour in motorcycle units with the shares of
vehicle classes. Generation: P = rate x population; distribution: a doubly constrained gravity model with exponential decay, balanced by
Furness (1965, "Time function iteration"); mode: shares and occupancies; assignment is `equilibrium`. Rates of the default
carry their rows (`rules.roads`): several are assumed, and counts say how far off they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mangrove.errors import RequestError
from mangrove.rules import roads as rules
from mangrove.traffic.roads import Floats, Ints, Roads
from mangrove.traffic.trips import Estimate, Spread, estimate_trips

_ROUNDS = 500
_CLOSE = 1e-9
_LONGEST_DECAY = 5.0
"""Steepest decay that is tried, per minute."""


@dataclass(frozen=True)
class Demand:
    """Trips of one hour.

    Attributes:
        trips: (Z, Z) motorcycle units per hour; shares: part of all vehicles that each class is, they add up to one.
        rows: keys of the default rates that were used (`rules.roads`), so that whoever shows the trips can show them.
    """

    trips: Floats
    shares: Mapping[str, float]
    rows: tuple[str, ...] = ()

    @property
    def vehicles(self) -> float:
        """Vehicles per hour behind the motorcycle units."""
        return float(self.trips.sum() / units_per_vehicle(self.shares))


@dataclass(frozen=True)
class Rates:
    """How trips come about; what is left out is the default of `rules.roads`.

    Attributes:
        person_day: trips of a person on a day; hour: part of them in the hour that is looked at.
        outward: part of these that leads from home to work; the rest leads back.
        decay: per minute of travel time; None: so that trips take `mean_minutes` on the empty network.
        person_share: part of the trips of persons by vehicle class; the rest walks, cycles or takes transit.
        occupancy: persons in a vehicle, by class.
    """

    person_day: float | None = None
    hour: float | None = None
    outward: float | None = None
    decay: float | None = None
    mean_minutes: float | None = None
    person_share: Mapping[str, float] = field(default_factory=dict)
    occupancy: Mapping[str, float] = field(default_factory=dict)


def four_step(population: Floats, jobs: Floats, minutes: Floats, rates: Rates | None = None) -> Demand:
    """Trips of one hour between zones.

    Args:
        population: (Z,) persons.
        jobs: (Z,).
        minutes: (Z, Z) travel times; a pair that no road connects is infinite.
        rates: what is known better than the defaults.

    Raises:
        RequestError: `roads.bad_zones` (a zone with less than no people, or no jobs at all).
    """
    rates, rows = _filled(rates or Rates())
    people, work = (np.asarray(a, dtype=np.float64) for a in (population, jobs))
    if not ((people >= 0).all() and (work >= 0).all() and people.sum() > 0 and work.sum() > 0):
        raise RequestError("roads.bad_zones")
    assert rates.person_day is not None
    assert rates.hour is not None
    assert rates.outward is not None
    produced = people * rates.person_day * rates.hour
    attracted = work * produced.sum() / work.sum()
    decay = rates.decay
    if decay is None:
        assert rates.mean_minutes is not None
        decay = fitted_decay(produced, attracted, minutes, rates.mean_minutes)
    away = gravity(produced, attracted, minutes, decay)
    persons = rates.outward * away + (1 - rates.outward) * away.T
    vehicles = {c: share / rates.occupancy[c] for c, share in rates.person_share.items()}
    whole = sum(vehicles.values())
    units = sum(count * rules.motorcycle_units(c) for c, count in vehicles.items())
    return Demand(persons * units, {c: count / whole for c, count in vehicles.items()}, rows)


def from_counts(
    roads: Roads, prior: Demand, links: Ints, counts: Floats, error: float | Floats = 0.05,
    spread: Spread | None = None,
) -> tuple[Demand, Estimate]:  # fmt: skip
    """Trips that fit counts in motorcycle units, with the shares of classes of the prior; see `trips.estimate_trips`."""
    found = estimate_trips(roads, prior.trips, links, counts, error, spread=spread)
    return replace(prior, trips=found.trips), found


def gravity(produced: Floats, attracted: Floats, minutes: Floats, decay: float) -> Floats:
    """(Z, Z) trips T = a_i P_i b_j A_j exp(-decay c_ij) with the wished sums of rows and columns; none within a zone.

    Example:
        >>> far = np.array([[0.0, 5.0, 9.0], [5.0, 0.0, 7.0], [9.0, 7.0, 0.0]])
        >>> gravity(np.array([8.0, 6, 4]), np.array([5.0, 6, 7]), far, 0.1).sum(axis=0).round(6).tolist()
        [5.0, 6.0, 7.0]
    """
    pull = np.exp(-decay * (minutes - np.min(minutes[np.isfinite(minutes)], initial=0.0)))
    pull[~np.isfinite(minutes)] = 0.0
    np.fill_diagonal(pull, 0.0)
    return furness(produced, attracted, pull)


def furness(rows: Floats, columns: Floats, seed: Floats) -> Floats:
    """(Z, Z) the seed with rows and columns scaled in turn until both have their sums; columns are first scaled to the sum of rows.

    Raises:
        RequestError: `roads.no_balance`: no scaling reaches the sums (a zone with trips whose row or column of the seed is empty, ...).
    """
    wanted = columns * rows.sum() / columns.sum() if columns.sum() > 0 else columns
    left, right = np.ones(len(rows)), np.ones(len(wanted))
    with np.errstate(over="ignore", invalid="ignore"):  # sums that nothing reaches leave no finite scaling
        for _ in range(_ROUNDS):
            left = _divided(rows, seed @ right)
            right = _divided(wanted, seed.T @ left)
            off = np.abs(left * (seed @ right) - rows).max(initial=0.0)
            if not off > _CLOSE * max(rows.max(initial=0.0), 1e-300):
                break
        trips: Floats = left[:, None] * seed * right
        missed = np.abs(trips.sum(axis=1) - rows).sum() + np.abs(trips.sum(axis=0) - wanted).sum()
    if not (missed <= 1e-3 * max(rows.sum(), 1e-300) and np.isfinite(rows.sum())):
        worst = int(np.abs(trips.sum(axis=1) - rows).argmax())
        raise RequestError("roads.no_balance", zone=worst)
    return trips


def fitted_decay(produced: Floats, attracted: Floats, minutes: Floats, mean: float) -> float:
    """Decay at which trips take `mean` minutes on average (per minute), 0 when they never take so long; by bisection.

    The mean falls as the decay grows (Evans 1971, "The calibration of trip distribution models with exponential cost functions").
    """
    finite = np.where(np.isfinite(minutes), minutes, 0.0)

    def taken(decay: float) -> float:
        trips = gravity(produced, attracted, minutes, decay)
        return float((trips * finite).sum() / trips.sum())

    low, high = 0.0, _LONGEST_DECAY
    if taken(low) <= mean:
        return 0.0
    while high - low > 1e-4 * max(high, 1e-2):
        middle = (low + high) / 2
        low, high = (middle, high) if _falls_short(taken, middle, mean) else (low, middle)
    return (low + high) / 2


def _falls_short(taken: object, decay: float, mean: float) -> bool:
    """Whether trips still take longer than the mean; a decay so steep that no balance exists is too steep."""
    try:
        return bool(taken(decay) > mean)  # type: ignore[operator]
    except RequestError:
        return False


def grown(trips: Floats, population: Floats, jobs: Floats, outward: float | None = None) -> Floats:
    """(Z, Z) trips after population and jobs by zone were multiplied: ends grow, Furness balances.

    Args:
        trips: (Z, Z) before.
        population: (Z,) factors.
        jobs: (Z,) factors.
        outward: part of the trips that leads from home to work; None: the default.
    """
    home = rules.value("trips", "outward") if outward is None else outward
    rows = trips.sum(axis=1) * (home * population + (1 - home) * jobs)
    columns = trips.sum(axis=0) * (home * jobs + (1 - home) * population)
    whole = (rows.sum() + columns.sum()) / 2
    return furness(rows * whole / rows.sum(), columns, trips) if whole > 0 else trips


def units_per_vehicle(shares: Mapping[str, float]) -> float:
    """Motorcycle units of the average vehicle.

    Example:
        >>> round(units_per_vehicle({"motorbike": 0.9, "car": 0.1}), 2)
        1.24
    """
    return sum(share * rules.motorcycle_units(c) for c, share in shares.items())


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _filled(rates: Rates) -> tuple[Rates, tuple[str, ...]]:
    """Rates without gaps, and the rows that filled them."""
    rows: list[str] = []

    def value(name: str, subject: str) -> float:
        row = rules.parameter(name, subject)
        rows.append(row.row)
        return row.value

    changes: dict[str, object] = {
        name: value("trips", name)
        for name in ("person_day", "hour", "outward")
        if getattr(rates, name) is None
    }
    if rates.decay is None and rates.mean_minutes is None:
        changes["mean_minutes"] = value("trips", "mean_minutes")
    shares = rates.person_share or {c: value("person_share", c) for c in rules.subjects("person_share")}
    people = {c: rates.occupancy.get(c) or value("occupancy", c) for c in shares}
    return replace(rates, person_share=shares, occupancy=people, **changes), tuple(rows)  # type: ignore[arg-type]
