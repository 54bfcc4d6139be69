# SPDX-License-Identifier: Apache-2.0
"""Rules that operate a site without a plan: what people do today, to compare a plan with.

Comes in: what a controller sees in a step. Goes out: orders. A rule knows no forecast; like the controllers that are sold it sees the
load and the generation of the moment. Vehicles charge at once, as far as the connection allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mangrove.operate.execute import Orders
from mangrove.operate.site import Battery, Site
from mangrove.operate.state import SECOND, State

OFFPEAK, NORMAL, PEAK = 0, 1, 2
SHAVE = 0.8
"""A peak-shaving controller aims at this share of the highest load that it has seen (a common setting, not a measured one)."""


@dataclass(frozen=True, slots=True)
class View:
    """What a controller sees in a step.

    Attributes:
        state: what is carried; seconds: length of the step.
        load, generated: kW of the moment, what nobody controls and what own generation could give.
        period: 0 off-peak, 1 normal, 2 peak; next_peak: whether the next period that is not this one is the peak.
        highest: kW, the highest load less generation seen so far.
    """

    state: State
    seconds: int
    load: float
    generated: float
    period: int = NORMAL
    highest: float = 0.0

    @property
    def hours(self) -> float:
        """Length of the step in hours."""
        return self.seconds / 3600


Rule = Callable[[Site, View], Orders]


def no_storage(site: Site, view: View) -> Orders:
    """The batteries rest."""
    return Orders(at_once(site, view), by="no_storage")


def self_consumption(site: Site, view: View) -> Orders:
    """Surplus of own generation is stored and used as soon as the load exceeds the generation."""
    powers = at_once(site, view)
    powers.update(follow(site, view, view.load + sum(powers.values()) - view.generated))
    return Orders(powers, by="self_consumption")


def time_of_use(site: Site, view: View) -> Orders:
    """Charges at full power in off-peak hours (and from surplus), gives in peak hours what the load takes, rests otherwise."""
    powers = at_once(site, view)
    net = view.load + sum(powers.values()) - view.generated
    if view.period == OFFPEAK:
        powers.update({b.id: most for b, (_, most) in rooms(site, view)})
    elif view.period == PEAK or net < 0:
        powers.update(follow(site, view, net))
    return Orders(powers, by="time_of_use")


def peak_shaving(site: Site, view: View, threshold: float | None = None) -> Orders:
    """Gives what the load has above a threshold, and charges below it.

    Args:
        site: what is operated.
        view: what is seen.
        threshold: kW; None: a share of the highest load seen so far, and never below the peak that is billed already.
    """
    aim = max(SHAVE * view.highest, view.state.peak) if threshold is None else threshold
    powers = at_once(site, view)
    powers.update(follow(site, view, view.load + sum(powers.values()) - view.generated - aim))
    return Orders(powers, ceiling=aim if aim > 0 else math.inf, by="peak_shaving")


RULES: Mapping[str, Rule] = {
    "no_storage": no_storage,
    "self_consumption": self_consumption,
    "time_of_use": time_of_use,
    "peak_shaving": peak_shaving,
}
"""The alternatives that a back-test reports beside the plan."""


def at_once(site: Site, view: View) -> dict[str, float]:
    """KW by session: every vehicle that is there charges at full power, in order of departure, within the connection."""
    at, end = view.state.at, view.state.at + view.seconds * SECOND
    chargers = {charger.id: charger for charger in site.chargers}
    left = max(site.importing - max(view.load - view.generated, 0.0), 0.0)
    powers = {}
    for one in sorted(view.state.sessions, key=lambda one: (one.depart, one.id)):
        if one.arrive <= at and end <= one.depart and one.missing > 0:
            charger = chargers[one.charger]
            most = charger.power if one.power is None else min(one.power, charger.power)
            power = min(most, one.missing / charger.efficiency / view.hours, left)
            powers[one.id] = power
            left -= power
    return powers


def follow(site: Site, view: View, net: float, reserve: float = 0.0) -> dict[str, float]:
    """KW by battery that takes a surplus (net < 0) or covers a load (net > 0), the batteries one after the other.

    Args:
        site: what is operated.
        view: what is seen.
        net: kW to be covered, or a surplus when negative.
        reserve: share of the energy that is not given away.
    """
    powers = {}
    for battery, (least, most) in rooms(site, view, reserve):
        powers[battery.id] = min(max(-net, least), most)
        net += powers[battery.id]
    return powers


def rooms(site: Site, view: View, reserve: float = 0.0) -> list[tuple[Battery, tuple[float, float]]]:
    """The batteries, each with the least and greatest kW that its level allows for the step."""
    found = []
    for b in site.batteries:
        level = view.state.levels.get(b.id, b.floor)
        floor = max(b.floor, reserve * b.energy)
        least = -min(b.discharge, max(level - floor, 0.0) * b.efficiency[1] / view.hours)
        most = min(b.acceptance(level), max(b.energy - level, 0.0) / b.efficiency[0] / view.hours)
        found.append((b, (least, most)))
    return found


def highest_so_far(net: np.ndarray) -> np.ndarray:
    """(T,) the highest net load seen before each step, kW."""
    seen: np.ndarray = np.maximum.accumulate(np.r_[0.0, net[:-1]])
    return seen
