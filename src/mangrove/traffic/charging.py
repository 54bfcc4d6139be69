# SPDX-License-Identifier: Apache-2.0
"""Where and when vehicles charge what they drive: kWh by zone and hour for homes, workplaces, swap stations and depots.

Comes in: kWh driven by hour, where trips begin and end, modes of charging as a planner states them. Goes out: kWh charged by hour and zone. Nothing
is lost on the way: what is charged in a day is what is driven in it, divided by the efficiency of charging. The model knows no state of charge
of single vehicles; it shifts energy by dwell:

- A vehicle leaves home in the first half of the driving of a day and comes back in the second (`halves`; a day begins in its quietest hour).
- `home`: charging begins when it comes back, in the zone where its trip began; `depot`: likewise, in stated zones.
- `work`: charging begins when it arrives in the first half of the day, in the zone where its trip ends.
- `swap`: batteries are exchanged while it drives and charged in stated zones.
- A stated delay (a timer, a queue) comes on top. A charge takes its energy over the power of the charger; arrivals are even within an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.traffic.roads import Floats

DAY = 24
MODES = ("home", "work", "swap", "depot")
_STATED = ("swap", "depot")
"""Modes whose zones are stated."""
_WHOLE = 1e-6


@dataclass(frozen=True)
class Mode:
    """One way to charge, as a planner states it.

    Attributes:
        name: one of `MODES`; share: of the energy of its classes; power: kW of a charger; efficiency: kWh driven per kWh charged.
        classes: of vehicles, empty: all electric ones; zones: where, for swap stations and depots.
        delay: hours between arrival (exchange) and the begin of charging; energy: kWh of one charge; None: what a vehicle uses in a day.
        source: where the numbers come from.
    """

    name: str
    share: float
    power: float
    efficiency: float
    classes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    delay: float = 0.0
    energy: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        limits = {
            "mode": self.name in MODES, "share": 0 <= self.share <= 1, "power": self.power > 0,
            "efficiency": 0 < self.efficiency <= 1, "delay": self.delay >= 0,
            "energy": self.energy is None or self.energy > 0, "zones": bool(self.zones) == (self.name in _STATED),
        }  # fmt: skip
        wrong = next((key for key, good in limits.items() if not good), None)
        if wrong:
            value = (
                self.name
                if wrong == "mode"
                else ", ".join(self.zones) or "-"
                if wrong == "zones"
                else getattr(self, wrong)
            )
            raise RequestError("roads.bad_value", key=f"charging/{wrong}", value=value)


@dataclass(frozen=True)
class Driven:
    """What the vehicles of one class drive in a day.

    Attributes:
        hours: (24,) kWh by hour; begins, ends: (Z,) where the trips begin and end, weighted by their length; trips: of the day.
    """

    hours: Floats
    begins: Floats
    ends: Floats
    trips: float


def charged(driven: Driven, mode: Mode, zones: tuple[str, ...]) -> Floats:
    """(24, Z) kWh that a mode charges by hour and zone.

    Args:
        driven: of one class.
        mode: the whole share of it is charged so.
        zones: ids.

    Raises:
        RequestError: `roads.unknown_zone`.

    Example:
        >>> day = np.zeros(24); day[[7, 17]] = 5.0
        >>> class_ = Driven(day, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 10.0)
        >>> at_home = charged(class_, Mode("home", 1.0, power=1.0, efficiency=0.8), ("a", "b"))
        >>> at_home.sum(axis=0).round(6).tolist(), np.flatnonzero(at_home[:, 0]).tolist()
        ([12.5, 0.0], [17, 18, 19, 20])
    """
    whole = float(driven.hours.sum()) / mode.efficiency
    if whole <= 0:
        return np.zeros((DAY, len(zones)))
    out, back = halves(driven.hours)
    arrivals = {"home": back, "depot": back, "work": out, "swap": driven.hours / driven.hours.sum()}[
        mode.name
    ]
    each = mode.energy or (2 * whole / driven.trips if driven.trips > 0 else mode.power)
    when = _round_the_day(arrivals, spread_of(each / mode.power, mode.delay))
    where = {"home": driven.begins, "work": driven.ends}.get(mode.name)
    if where is None:
        where = _stated(mode, zones)
    elif where.sum() <= 0:
        where = np.ones(len(zones))
    result: Floats = whole * mode.share * np.outer(when, where / where.sum())
    return result


def halves(hours: Floats) -> tuple[Floats, Floats]:
    """(24,) each: the first and the second half of the driving of a day, both of sum 1; the day begins in its quietest hour.

    Example:
        >>> day = np.zeros(24); day[[7, 12, 18]] = 1.0
        >>> out, back = halves(day)
        >>> out[[7, 12]].round(3).tolist(), back[[12, 18]].round(3).tolist()
        ([0.667, 0.333], [0.333, 0.667])
    """
    first = int(np.argmin(hours))
    turned = np.roll(hours, -first) / hours.sum()
    done = np.concatenate([[0.0], np.cumsum(turned)])
    early = np.diff(np.minimum(done, 0.5))
    late = np.maximum(turned - early, 0.0)
    return np.roll(early, first) * 2, np.roll(late, first) * 2


def spread_of(duration: float, delay: float) -> Floats:
    """Part of a charge in each hour after the one of arrival: arrivals are even within it, power is constant for `duration` hours.

    With H(y) the integral of min(max(s, 0), duration) up to y, the mean time charged by hour x is H(x) - H(x - 1).

    Example:
        >>> spread_of(1.0, 0.0).round(3).tolist(), spread_of(0.5, 2.0).round(3).tolist()
        ([0.5, 0.5], [0.0, 0.0, 0.75, 0.25])
    """
    last = int(np.ceil(1 + delay + duration))
    at: Floats = np.arange(last + 1, dtype=np.float64) - delay

    def integral(y: Floats) -> Floats:
        inside = np.clip(y, 0.0, duration)
        whole: Floats = inside**2 / 2 + duration * np.maximum(y - duration, 0.0)
        return whole

    done: Floats = (integral(at) - integral(at - 1.0)) / duration
    return np.diff(done)


def _round_the_day(arrivals: Floats, spread: Floats) -> Floats:
    """(24,) what arrivals charge by hour; what passes midnight is charged in the first hours, as on the day before."""
    found = np.zeros(DAY)
    for after, part in enumerate(spread):
        found += part * np.roll(arrivals, after)
    return found


def _stated(mode: Mode, zones: tuple[str, ...]) -> Floats:
    from mangrove.errors import did_you_mean

    for name in mode.zones:
        if name not in zones:
            raise RequestError("roads.unknown_zone", zone=name, hint=did_you_mean(name, zones))
    return np.isin(zones, mode.zones).astype(np.float64)


def checked(modes: tuple[Mode, ...], classes: tuple[str, ...], zones: tuple[str, ...]) -> None:
    """Refuses shares of a class that do not come to the whole, unknown classes and zones.

    Raises:
        RequestError: `roads.charging_shares`, `roads.unknown_class`, `roads.unknown_zone`.
    """
    for mode in modes:
        for name in mode.classes:
            if name not in classes:
                raise RequestError("roads.unknown_class", text=name, options=", ".join(classes))
        if mode.zones:
            _stated(mode, zones)
    for name in classes:
        own = of_class(modes, name)
        whole = sum(mode.share for mode in own)
        if own and abs(whole - 1) > _WHOLE:
            raise RequestError("roads.charging_shares", vehicle=name, percent=f"{100 * whole:g}")


def of_class(modes: tuple[Mode, ...], name: str) -> tuple[Mode, ...]:
    """The modes in which a class charges."""
    return tuple(mode for mode in modes if not mode.classes or name in mode.classes)
