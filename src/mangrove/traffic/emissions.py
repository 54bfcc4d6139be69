# SPDX-License-Identifier: Apache-2.0
"""What traffic emits: flow x length x factor(class, speed), the one arithmetic for measured, simulated and planned traffic.

Comes in: vehicles by class and mean speeds on links, lengths, factor curves. Goes out: grams (or kWh) by link, class and pollutant, their
variance, and sums over streets, wards and a city with 90 % intervals. Three kinds of errors are kept apart because they add up in
different ways: each cell's own (counts, speeds, how a signal happened to fall), those that stay with a link, and those of the factors,
which all links of a class share and which the same seed repeats from plan to plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, RuleError
from mangrove.rules import vehicles
from mangrove.rules.vehicles import Curve

Floats = npt.NDArray[np.float64]

LEVELS = (0.05, 0.95)
"""Quantiles of the intervals."""
DRAWS = 400
"""How many draws of the factors an interval is made from."""
_LEAST_KM = 0.01
"""Vehicle-kilometers below which the scatter of a cell is taken as that of so many: a fraction of one vehicle on a short link."""


def emissions(flow: Any, speed: Any, length: Any, factors: Factors, *, limit: Any = None) -> Floats:
    """Grams (kWh of electricity) on each link.

    E[l, p] = sum over c of flow[l, c] x length[l] x EF[c, p](speed[l, c], limit[l])

    Args:
        flow: (..., L, C) vehicles in the interval.
        speed: (..., L, C) mean speeds, km/h, or (..., L) of all vehicles; NaN only where the flow is 0.
        length: (L,) km, of the link with the crossing behind it.
        factors: of the C classes and P pollutants.
        limit: (L,) km/h, speed limits; NaN or None where nobody states them.

    Returns:
        (..., L, P).

    Raises:
        RequestError: `vehicles.shape`, `vehicles.bad_flow`, `vehicles.bad_speed`, `vehicles.bad_length`.

    Example:
        >>> made = factors(["motorbike", "car"], ["CO2"])
        >>> emissions([[600, 40]], [[20, 18]], [0.5], made).round(-1).tolist()
        [[22190.0]]
    """
    total: Floats = by_class(flow, speed, length, factors, limit=limit).sum(axis=-2)
    return total


def by_class(flow: Any, speed: Any, length: Any, factors: Factors, *, limit: Any = None) -> Floats:
    """Grams (kWh) on each link by class: (..., L, C, P); see `emissions`."""
    flow, speed, length = _checked(flow, speed, length, len(factors.classes))
    mass: Floats = (flow * length[:, None])[..., None] * factors.at(speed, _limits(limit, len(length)))
    return mass


@dataclass(frozen=True)
class Factors:
    """Curves of C classes and P pollutants; None where a class emits nothing of a pollutant.

    Attributes:
        classes, pollutants: their keys; curves: (C)(P); on: the day they were taken for, None: today.
    """

    classes: tuple[str, ...]
    pollutants: tuple[str, ...]
    curves: tuple[tuple[Curve | None, ...], ...]
    on: date | None = None

    def at(self, speed: Floats, limit: Any = None) -> Floats:
        """(..., C, P) grams (kWh) per kilometer at speeds (..., L, C), and limits (L,)."""
        return self._stacked(speed, limit, Curve.at)

    def slope(self, speed: Floats, limit: Any = None) -> Floats:
        """(..., C, P) change per km/h at speeds (..., L, C), and limits (L,)."""
        return self._stacked(speed, limit, Curve.slope)

    def draws(self, count: int = DRAWS, seed: int = 0) -> Floats:
        """(count, C, P) multipliers of the factors, the same for all links, times and plans that use the seed."""
        ones = np.ones(count)
        rows = [[one.draw(count, seed) if one else ones for one in row] for row in self.curves]
        return np.moveaxis(np.array(rows), -1, 0)

    @cached_property
    def link_scatter(self) -> Floats:
        """(C, P) relative standard deviation that stays with a link."""
        return np.array([[one.link_scatter if one else 0.0 for one in row] for row in self.curves])

    @cached_property
    def scatter(self) -> Floats:
        """(C, P) relative standard deviation of one vehicle-kilometer in a cell."""
        return np.array([[one.scatter if one else 0.0 for one in row] for row in self.curves])

    def others(self, source: str) -> tuple[Curve, ...]:
        """The curves that are not of this source."""
        return tuple(one for row in self.curves for one in row if one and one.source != source)

    def _stacked(self, speed: Floats, limit: Any, ask: Any) -> Floats:
        found = np.zeros((*speed.shape, len(self.pollutants)))
        for c, row in enumerate(self.curves):
            for p, one in enumerate(row):
                if one:
                    found[..., c, p] = ask(one, speed[..., c], limit)
        return found


def factors(
    classes: Sequence[str], pollutants: Sequence[str], *, source: str = "",
    technologies: Mapping[str, str] | None = None, on: date | None = None,
) -> Factors:  # fmt: skip
    """The curves of some classes and pollutants.

    Args:
        classes: classes of vehicles.
        pollutants: see `rules.vehicles.POLLUTANTS`.
        source: taken wherever it has the class, technology and pollutant; the most trusted one of each elsewhere (`Factors.others` says
            where), and everywhere when empty.
        technologies: emission standards by class; those assumed in the table when not named.
        on: the day on which they hold.

    Raises:
        RuleError: `vehicles.unknown_class`, `vehicles.unknown_pollutant`, `vehicles.unknown_source`, `vehicles.no_curve`.
    """
    known = [vehicles.vehicle_class(name) for name in classes]
    stated = {vehicles.vehicle_class(name).key: word for name, word in (technologies or {}).items()}
    rows = []
    for one in known:
        row: list[Curve | None] = []
        for pollutant in pollutants:
            electric = pollutant == "electricity"
            if not one.energy or electric != (one.energy == "electricity"):
                vehicles.curves(one.key, pollutant)  # refuses what is no pollutant
                row.append(None)
            else:
                row.append(_curve(one.key, pollutant, source, stated.get(one.key, ""), on))
        rows.append(tuple(row))
    return Factors(tuple(one.key for one in known), tuple(pollutants), tuple(rows), on)


def _curve(vehicle: str, pollutant: str, source: str, technology: str, on: date | None) -> Curve:
    """The curve of the wished source, or the most trusted one where that source has none."""
    try:
        return vehicles.curve(vehicle, pollutant, source=source, technology=technology, on=on)
    except RuleError as error:
        if not source or error.code != "vehicles.no_curve":
            raise
        return vehicles.curve(vehicle, pollutant, technology=technology, on=on)


@dataclass(frozen=True)
class Amounts:
    """What a stretch of time emits, by link and class, and how well it is known apart from the factors.

    Attributes:
        mass: (T, L, C, P) grams (kWh); own: (T, L, P) variance of each cell's own errors; link: (T, L, P) standard deviation that stays
            with a link from cell to cell; shared: (T, L, P) that links have in common (of streets that nobody counts), None: none.
    """

    mass: Floats
    own: Floats
    link: Floats
    shared: Floats | None = None

    @property
    def by_link(self) -> Floats:
        """(T, L, P) grams (kWh) of all classes."""
        total: Floats = self.mass.sum(axis=2)
        return total

    @property
    def sd(self) -> Floats:
        """(T, L, P) standard deviations of cells, without the factors."""
        common = 0.0 if self.shared is None else self.shared**2
        return np.sqrt(self.own + self.link**2 + common)


def of_classes(
    flow: Any, speed: Any, length: Any, factors: Factors, *,
    limit: Any = None, flow_error: Any = 0.0, speed_error: Any = 0.0,
) -> Amounts:  # fmt: skip
    """Emissions of counted classes, with the errors of cells and links.

    Var own = sum over c of E_c^2 (flow_error^2 + (EF' v / EF)^2 speed_error^2 + scatter^2 / vehicle-km)
    sd link = sum over c of E_c link_scatter: where a signal stands and how long the link is, all classes share.

    Args:
        flow: (T, L, C) vehicles.
        speed: (T, L, C) or (T, L), km/h.
        length: (L,) km.
        factors: of the C classes.
        limit: (L,) km/h, see `emissions`.
        flow_error: relative standard deviations of the flows, broadcast to (T, L, C).
        speed_error: of the speeds.
    """
    flow, speed, length = _checked(flow, speed, length, len(factors.classes))
    km, limit = flow * length[:, None], _limits(limit, len(length))
    factor = factors.at(speed, limit)
    mass = km[..., None] * factor
    steep = factors.slope(speed, limit) * speed[..., None]
    relative = np.divide(steep, factor, out=np.zeros_like(factor), where=factor > 0)
    errors = [
        np.broadcast_to(np.asarray(one, dtype=np.float64), flow.shape) for one in (flow_error, speed_error)
    ]
    apart = factors.scatter**2 / np.maximum(km, _LEAST_KM)[..., None]
    own = mass**2 * (errors[0][..., None] ** 2 + (relative * errors[1][..., None]) ** 2 + apart)
    return Amounts(mass, own.sum(axis=2), (mass * factors.link_scatter).sum(axis=2))


def of_total(
    total: Any, shares: Any, speed: Any, length: Any, factors: Factors, *,
    limit: Any = None, flow_error: Any = 0.0, speed_error: Any = 0.0, dispersion: float = 1.0, mix_error: Any = 0.0,
) -> Amounts:  # fmt: skip
    """Emissions of a total flow that is split by shares: how a cell's vehicles happen to fall into classes adds to its error.

    Var += length^2 total dispersion (sum s EF^2 - (sum s EF)^2), the variance of a multinomial draw of classes; and where the mix of a
    link differs from that of the city for good, sd link += E_c mix_error_c, classes apart (root of the sum of squares).

    Args:
        total: (T, L) vehicles.
        shares: (C,) of the vehicle-kilometers, or (L, C).
        speed: (T, L) km/h of all vehicles.
        length: (L,) km.
        factors: of the C classes.
        limit: (L,) km/h, see `emissions`.
        flow_error: relative standard deviation of the total.
        speed_error: of the speed.
        dispersion: how much more classes bunch than single draws would; 1: not at all.
        mix_error: (C,) relative standard deviation of a link's share against the city's.
    """
    total, speed = np.asarray(total, dtype=np.float64), np.asarray(speed, dtype=np.float64)
    shares = np.asarray(shares, dtype=np.float64)
    if shares.shape[-1:] != (len(factors.classes),) or not np.allclose(shares.sum(axis=-1), 1, atol=1e-6):
        raise RequestError("vehicles.bad_shares", expected=len(factors.classes))
    flow = total[..., None] * shares
    common = np.broadcast_to(speed[..., None], flow.shape) if speed.ndim == total.ndim else speed
    made = of_classes(flow, common, length, factors, limit=limit, speed_error=speed_error)
    long = np.asarray(length, dtype=np.float64)
    per_vehicle = np.divide(
        made.mass.sum(axis=2), total[..., None], out=np.zeros_like(made.own), where=total[..., None] > 0
    )
    each = factors.at(np.where(flow > 0, common, vehicles.USUAL_SPEED), limit) * long[:, None, None]
    chance = (shares[..., None] * each**2).sum(axis=2) - per_vehicle**2
    drawn = np.maximum(chance, 0.0) * total[..., None] * dispersion
    whole = np.broadcast_to(np.asarray(flow_error, dtype=np.float64), total.shape)
    own = made.own + drawn + (made.by_link * whole[..., None]) ** 2
    mixed = ((made.mass * np.asarray(mix_error, dtype=np.float64).reshape(-1, 1)) ** 2).sum(axis=2)
    return Amounts(made.mass, own, np.sqrt(made.link**2 + mixed))


@dataclass(frozen=True)
class Sum:
    """Emissions of groups of links over the whole time.

    Attributes:
        mass: (Z, P) grams (kWh); by_class: (Z, C, P); low, high: (Z, P) of the 90 % interval with the errors of the factors;
        state_sd: (Z, P) standard deviation from counts, speeds and streets alone.
    """

    mass: Floats
    by_class: Floats
    low: Floats
    high: Floats
    state_sd: Floats


def roll_up(amounts: Amounts, weights: Any, factors: Factors, *, seed: int = 0, draws: int = DRAWS) -> Sum:
    """Sums over groups of links: streets, wards, a city.

    Args:
        amounts: of cells.
        weights: (Z, L), dense or sparse: the share of each link that belongs to each group.
        factors: with which the amounts were made.
        seed: of the draws of factors: the same seed for what is compared.
        draws: how many.
    """
    rows = weights.toarray() if hasattr(weights, "toarray") else np.asarray(weights, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != amounts.mass.shape[1]:  # noqa: PLR2004 - groups by links
        raise RequestError(
            "vehicles.shape", name="weights", shape=str(rows.shape), expected=f"(., {amounts.mass.shape[1]})"
        )
    by_group = np.einsum("zl,lcp->zcp", rows, amounts.mass.sum(axis=0))
    variance = np.einsum("zl,lp->zp", rows**2, amounts.own.sum(axis=0) + amounts.link.sum(axis=0) ** 2)
    if amounts.shared is not None:
        variance += (rows @ amounts.shared.sum(axis=0)) ** 2
    drawn = np.einsum("ncp,zcp->nzp", factors.draws(draws, seed), by_group)
    noise = np.random.default_rng([seed, 1]).standard_normal((draws, 1, 1))
    low, high = np.quantile(drawn + noise * np.sqrt(variance), LEVELS, axis=0)
    mass = by_group.sum(axis=1)
    # The amount is that of a source, often of the lowest or highest: draws must not leave it outside.
    return Sum(mass, by_group, np.clip(low, 0.0, mass), np.maximum(high, mass), np.sqrt(variance))


def _checked(flow: Any, speed: Any, length: Any, classes: int) -> tuple[Floats, Floats, Floats]:
    """Arrays that make sense: flows not below zero, a speed above zero wherever something drives."""
    flow = np.asarray(flow, dtype=np.float64)
    length = np.asarray(length, dtype=np.float64)
    speed = np.asarray(speed, dtype=np.float64)
    if flow.ndim < 2 or flow.shape[-1] != classes or flow.shape[-2] != len(length):  # noqa: PLR2004 - links by classes
        raise RequestError(
            "vehicles.shape", name="flow", shape=str(flow.shape), expected=f"(..., {len(length)}, {classes})"
        )
    if speed.shape == flow.shape[:-1] and speed.shape != flow.shape:
        speed = np.broadcast_to(speed[..., None], flow.shape)
    if speed.shape != flow.shape:
        raise RequestError("vehicles.shape", name="speed", shape=str(speed.shape), expected=str(flow.shape))
    _refuse(length, ~(np.isfinite(length) & (length > 0)), "vehicles.bad_length", 1)
    _refuse(flow, ~(np.isfinite(flow) & (flow >= 0)), "vehicles.bad_flow", 2)
    _refuse(speed, (flow > 0) & ~(np.isfinite(speed) & (speed > 0)), "vehicles.bad_speed", 2)
    return flow, np.where(flow > 0, speed, vehicles.USUAL_SPEED), length


def _limits(limit: Any, links: int) -> Floats | None:
    """(L,) limits, of the links."""
    if limit is None:
        return None
    found: Floats = np.asarray(limit, dtype=np.float64)
    if found.shape != (links,):
        raise RequestError("vehicles.shape", name="limit", shape=str(found.shape), expected=f"({links},)")
    return found


def _refuse(values: Floats, bad: npt.NDArray[np.bool_], code: str, axes: int) -> None:
    """Names the first link with a value that cannot be."""
    if bad.any():
        at = np.unravel_index(int(np.flatnonzero(bad)[0]), values.shape)
        raise RequestError(code, link=int(at[-axes]), value=f"{values[at]:g}")
