# SPDX-License-Identifier: Apache-2.0
"""Utilities on the grand composite curve, and several plants that exchange heat through shared mains only.

Comes in: streams with their plants, and utilities with their temperatures (steam, hot water, cooling water). Goes out: the load
of each utility, the targets of each plant alone, of the plants through the mains, and of all streams joined directly. Method:
total site analysis (Dhole & Linnhoff 1993, Comput. Chem. Eng. 17:S101): the coldest hot utility and the hottest cold utility
are used first; what one plant raises at a main serves what another takes from the same main or a colder one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.heat import SAME, Curve, Streams, Targets, curve, grid, pinch, spread

Floats = npt.NDArray[np.float64]
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Utility:
    """A utility or a main.

    Attributes:
        name: unique among the utilities.
        upper, lower: degrees Celsius at its hot and its cold end; the same for steam.
        contribution: K that it adds to the least difference.
        heats: whether it can give heat to a plant.
        cools: whether it can take heat from a plant; with `heats` it is a main that joins plants.
    """

    name: str
    upper: float
    lower: float
    contribution: float = 5.0
    heats: bool = True
    cools: bool = False


@dataclass(frozen=True, slots=True)
class Loads:
    """What each utility gives (`hot`) and takes (`cold`), by name; `unmet`: what none is hot or cold enough for, (hot, cold)."""

    hot: Mapping[str, float]
    cold: Mapping[str, float]
    unmet: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """Plants alone, joined through mains, and joined directly.

    Attributes:
        plants: targets of each plant alone.
        loads: utilities of each plant alone.
        alone: (hot, cold) utility of all plants, each for itself.
        mains: the same when mains carry what one plant raises to another; `shared`: the utilities then needed.
        joined: targets of all streams as one plant.
        source, sink: site profiles at shifted temperatures: heat that plants want to lose, and to get, without what they
            recover themselves.
    """

    plants: Mapping[str, Targets]
    loads: Mapping[str, Loads]
    alone: tuple[float, float]
    mains: tuple[float, float]
    shared: Loads
    joined: Targets
    source: Curve
    sink: Curve


def total_site(streams: Streams, utilities: Sequence[Utility], dt_min: float = 10.0) -> Site:
    """Targets of plants that share mains.

    Args:
        streams: with their plants.
        utilities: in any order.
        dt_min: least difference in K of streams without a contribution.

    Raises:
        RequestError: `heat.utility_twice`, `heat.bad_utility`, `heat.bad_difference`.

    Example:
        >>> two = Streams.of([200, 30], [190, 90], heat=[100, 80], plants=["mill", "town"])
        >>> steam = Utility("steam", 150, 150, heats=True, cools=True)
        >>> site = total_site(two, [steam, Utility("fire", 500, 490), Utility("river", 10, 5, heats=False, cools=True)])
        >>> site.alone, site.mains, (site.joined.hot_utility, site.joined.cold_utility)
        ((80.0, 100.0), (0.0, 20.0), (0.0, 20.0))
    """
    names = list(dict.fromkeys(streams.plants))
    parts = {name: streams.of_plant(name) for name in names}
    plants = {name: pinch(part, dt_min) for name, part in parts.items()}
    loads = {name: place(part, utilities, dt_min) for name, part in parts.items()}
    shared = _through_mains(loads.values(), utilities)
    source, sink = _profiles(plants.values())
    return Site(
        plants=plants,
        loads=loads,
        alone=(sum(t.hot_utility for t in plants.values()), sum(t.cold_utility for t in plants.values())),
        mains=(
            sum(shared.hot.values()) + shared.unmet[0],
            sum(shared.cold.values()) + shared.unmet[1],
        ),
        shared=shared,
        joined=pinch(streams, dt_min),
        source=source,
        sink=sink,
    )


def place(streams: Streams, utilities: Sequence[Utility], dt_min: float = 10.0) -> Loads:
    """The load of each utility on the grand composite curve: as much of the coldest hot one as fits, then of the next.

    A utility with load Q that gives the share f(T) of it below the level T fits while, with all others,
    sum of Q f(T) <= cascade(T) at every level; all are linear between levels, so the levels are enough.

    Raises:
        RequestError: `heat.utility_twice`, `heat.bad_utility`, `heat.bad_difference`.
    """
    _check(utilities)
    low, high = streams.shifted(dt_min)
    hot, cold = [u for u in utilities if u.heats], [u for u in utilities if u.cools]
    ends = [(u.lower - u.contribution, u.upper - u.contribution) for u in hot]
    ends += [(u.lower + u.contribution, u.upper + u.contribution) for u in cold]
    at = np.array(ends, dtype=np.float64).reshape(-1, 2)
    at[at[:, 1] - at[:, 0] < SAME, 1] = at[at[:, 1] - at[:, 0] < SAME, 0]
    levels = grid(np.concatenate([low, at[:, 0]]), np.concatenate([high, at[:, 1]]))
    net = spread(levels, low, high, np.where(streams.gives, streams.heat, -streams.heat))
    cascade = np.concatenate([np.cumsum(net[::-1])[::-1], [0.0]])
    cascade = np.maximum(cascade - min(float(cascade.min()), 0.0), 0.0)
    small = _ROUNDING * max(float(streams.heat.sum()), 1e-300)
    below = [np.concatenate([[0.0], np.cumsum(spread(levels, a[:1], a[1:], np.ones(1)))]) for a in at]
    above = [1.0 - share for share in below[len(hot) :]]
    cheap = sorted(zip(at[: len(hot), 0], hot, below, strict=False), key=lambda one: float(one[0]))
    given, lost_hot = _filled([(u.name, share) for _, u, share in cheap], cascade, float(cascade[-1]), small)
    warm = sorted(zip(-at[len(hot) :, 1], cold, above, strict=True), key=lambda one: float(one[0]))
    taken, lost_cold = _filled([(u.name, share) for _, u, share in warm], cascade, float(cascade[0]), small)
    return Loads(given, taken, (lost_hot, lost_cold))


def _filled(
    utilities: Sequence[tuple[str, Floats]], cascade: Floats, wanted: float, small: float
) -> tuple[dict[str, float], float]:
    """Loads in the order given, each as large as what is left of the cascade allows; and what remains without one."""
    loads = {name: 0.0 for name, _ in utilities}
    left = cascade.copy()
    for name, share in utilities:
        used = share > _ROUNDING
        room = max(float((left[used] / share[used]).min()), 0.0)
        load = min(room, wanted)
        if load <= small:
            continue
        loads[name] = load
        left = np.maximum(left - load * share, 0.0)
        left[left < small] = 0.0
        wanted -= load
    return loads, wanted if wanted > small else 0.0


def _through_mains(parts: Iterable[Loads], utilities: Sequence[Utility]) -> Loads:
    """Utilities after the mains have carried heat: from hot to cold, what is raised serves its own level, then lower ones."""
    loads = list(parts)
    hot = {u.name: sum(one.hot[u.name] for one in loads) for u in utilities if u.heats}
    cold = {u.name: sum(one.cold[u.name] for one in loads) for u in utilities if u.cools}
    carried: list[str] = []
    for utility in sorted(utilities, key=lambda u: -u.upper):
        name = utility.name
        if utility.heats and utility.cools:
            carried.append(name)
        if not utility.heats:
            continue
        for source in reversed(carried):
            moved = min(cold[source], hot[name])
            cold[source] -= moved
            hot[name] -= moved
    lost = tuple(sum(one.unmet[side] for one in loads) for side in (0, 1))
    return Loads(hot, cold, (lost[0], lost[1]))


def _profiles(plants: Iterable[Targets]) -> tuple[Curve, Curve]:
    """Site source and sink profiles: the parts of each grand composite curve that no pocket covers, added up."""
    sources, sinks = [np.zeros((3, 0))], [np.zeros((3, 0))]
    for one in plants:
        sinks.append(_uncovered(one.levels, one.cascade))
        below = _uncovered(-one.levels[::-1], one.cascade[::-1])
        sources.append(np.stack([-below[1], -below[0], below[2]]))
    source, sink = (np.concatenate(side, axis=1) for side in (sources, sinks))
    return curve(*source), curve(*sink)


def _uncovered(levels: Floats, cascade: Floats) -> Floats:
    """(3, m) lower end, upper end and heat of the parts of a rising curve that nothing later falls below: no pocket covers them."""
    least = np.minimum.accumulate(cascade[::-1])[::-1]
    gain = np.diff(least)
    rise = np.diff(cascade)
    kept = gain > 0
    reach = np.ones(len(gain))
    np.divide(
        gain, rise, out=reach, where=kept
    )  # the curve leaves its pocketless part where it rises above what comes later
    upper = levels[:-1] + np.diff(levels) * reach
    return np.stack([levels[:-1][kept], upper[kept], gain[kept]])


def _check(utilities: Sequence[Utility]) -> None:
    """Refuses utilities without sense."""
    names = [u.name for u in utilities]
    for utility in utilities:
        if names.count(utility.name) > 1:
            raise RequestError("heat.utility_twice", name=utility.name)
        numbers = (utility.upper, utility.lower, utility.contribution)
        if not all(np.isfinite(numbers)) or utility.lower > utility.upper or utility.contribution < 0:
            raise RequestError("heat.bad_utility", name=utility.name)
