# SPDX-License-Identifier: Apache-2.0
"""Which streets and junctions are worst, and why: sums of a `LinkState` by corridor and by junction.

Comes in: the state of streets and what they emit. Goes out: `Rates` of each link, `Corridor` rows (links of one street name) and `Junction`
rows (what drives toward a signal or a crossing). Nothing is drawn at random here: intervals are the business of `traffic.emissions.roll_up`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mangrove.measure.traffic.cells import SECONDS
from mangrove.measure.traffic.state import Basis, LinkState
from mangrove.measure.traffic.streets import Floats, Streets

if TYPE_CHECKING:
    from mangrove.traffic.sumo_net import SumoNet

_GRAMS = 1000.0


@dataclass(frozen=True)
class Rates:
    """Means of L links and C classes over the cells in which their state is known, per hour.

    Attributes:
        length: (L,) km; limit: (L,) km/h, NaN where unknown; classes: (C,).
        km: (L, C) vehicle-km; hours: (L, C) vehicle-hours driven; lost: (L, C) vehicle-hours more than at the limit, NaN where that is unknown.
        mass: (L, C) kg (kWh); known: (L,) share of the cells that is known.
    """

    length: Floats
    limit: Floats
    classes: tuple[str, ...]
    km: Floats
    hours: Floats
    lost: Floats
    mass: Floats
    known: Floats


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a street emits more (or loses more hours) per km than the mean street: factors whose product is how many times more.

    Attributes:
        busy: vehicles relative to the mean; mix: by which classes drive there; slow: by how they drive there.
    """

    busy: float
    mix: float
    slow: float

    @property
    def times(self) -> float:
        """How many times the mean."""
        return self.busy * self.mix * self.slow

    @property
    def most(self) -> str:
        """The factor that raises it most: `busy`, `mix` or `slow`.

        Example:
            >>> Cause(1.2, 0.9, 1.5).most
            'slow'
        """
        return max(("busy", "mix", "slow"), key=lambda name: np.nan_to_num(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Corridor:
    """The links of one street name.

    Attributes:
        name: of the street, or the id of a link without a name; links: their numbers; length: km of all directions together.
        mass: kg (kWh) per km and hour; lost: vehicle-hours lost per km and hour, NaN where no limit is known.
        vehicles: an hour; speed: km/h, NaN without traffic; ratio: of the speed to the limit.
        first, share: class with the largest part of `mass`, and that part; emission, delay: why.
    """

    name: str
    links: tuple[int, ...]
    length: float
    mass: float
    lost: float
    vehicles: float
    speed: float
    ratio: float
    first: str
    share: float
    emission: Cause
    delay: Cause


@dataclass(frozen=True, slots=True)
class Junction:
    """What drives toward a signal, or a crossing without one.

    Attributes:
        id: of the signal or the junction; signal: whether it is a signal; streets: names of what meets there; nodes: numbers of junctions.
        links: numbers of the counted links that end there; arms: how many streets lead there in all.
        mass: kg (kWh) per hour; lost: vehicle-hours lost per hour; vehicles: an hour; speed: km/h; first, share: as of a corridor.
    """

    id: str
    signal: bool
    streets: tuple[str, ...]
    nodes: tuple[int, ...]
    links: tuple[int, ...]
    arms: int
    mass: float
    lost: float
    vehicles: float
    speed: float
    first: str
    share: float


def rates(state: LinkState, mass: Floats, cells: slice = slice(None), *, grams: bool = True) -> Rates:
    """Means per hour over some cells.

    Args:
        state: T cells, L links, C classes.
        mass: (T, L, C) grams (kWh).
        cells: which of the T.
        grams: whether `mass` is in grams and becomes kg.
    """
    known = state.basis[cells] != Basis.MISSING
    hours = known.sum(axis=0) * SECONDS / 3600
    km = state.vehicle_km[cells]
    time, lost = travel(state, cells)

    def mean(amount: Floats, scale: float = 1.0) -> Floats:
        whole = amount.sum(axis=0) / scale
        found: Floats = np.divide(whole, hours[:, None], out=np.zeros_like(whole), where=hours[:, None] > 0)
        return found

    lost_rate = np.where(np.isfinite(state.streets.limit)[:, None], mean(np.nan_to_num(lost)), np.nan)
    return Rates(
        state.streets.length, state.streets.limit, state.classes, mean(km), mean(time), lost_rate,
        mean(mass[cells], _GRAMS if grams else 1.0), known.mean(axis=0),
    )  # fmt: skip


def travel(state: LinkState, cells: slice = slice(None)) -> tuple[Floats, Floats]:
    """(T, L, C) vehicle-hours driven, and those lost against the speed limit: km (1/v - 1/v_limit), never below zero.

    The limit stands for the free-flow speed, which nobody measures on streets with signals; lost hours are NaN where it is unknown.
    """
    km, speed = state.vehicle_km[cells], state.speed[cells]
    time = np.divide(km, speed, out=np.zeros_like(km), where=(km > 0) & (speed > 0))
    return time, np.maximum(time - km / state.streets.limit[:, None], 0.0)


def mean_speed(state: LinkState) -> Floats:
    """(T, L) km/h of all vehicles: kilometers over hours; where nobody drives the mean of what was read, NaN where nothing was."""
    km, (time, _) = state.vehicle_km.sum(axis=2), travel(state)
    hours = time.sum(axis=2)
    read = np.isfinite(state.speed)
    number = read.sum(axis=2)
    idle = np.divide(
        np.where(read, state.speed, 0.0).sum(axis=2), number, out=np.full(km.shape, np.nan), where=number > 0
    )
    found: Floats = np.divide(km, hours, out=idle, where=hours > 0)
    return found


def corridors(rate: Rates, names: Sequence[str]) -> tuple[Corridor, ...]:
    """One row for each street name; links whose state is never known are left out.

    Args:
        rate: of L links.
        names: (L,) of their streets.
    """
    groups: dict[str, list[int]] = {}
    for link, name in enumerate(names):
        if rate.known[link] > 0:
            groups.setdefault(name, []).append(link)
    return tuple(_corridor(rate, name, np.array(links)) for name, links in groups.items())


def _corridor(rate: Rates, name: str, links: npt.NDArray[np.int64]) -> Corridor:
    own = _Part.of(rate, links)
    whole = _Part.of(rate, np.flatnonzero(rate.known > 0))
    limit = _over(own.km.sum(), float((rate.km[links].sum(axis=1) / rate.limit[links]).sum()))
    first, share = own.leading(rate.classes)
    return Corridor(
        name, tuple(links.tolist()), own.length, own.mass.sum() / own.length, own.lost / own.length,
        own.km.sum() / own.length, own.speed, _over(own.speed, limit), first, share,
        _emission(own, whole), _delay(own, whole),
    )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """Sums of some links by class, per hour."""

    length: float
    km: Floats
    hours: float
    lost: float
    mass: Floats

    @classmethod
    def of(cls, rate: Rates, links: npt.NDArray[np.int64]) -> _Part:
        return cls(
            float(rate.length[links].sum()),
            rate.km[links].sum(axis=0),
            float(rate.hours[links].sum()),
            float(rate.lost[links].sum()),
            rate.mass[links].sum(axis=0),
        )

    @property
    def speed(self) -> float:
        return _over(float(self.km.sum()), self.hours)

    def leading(self, classes: tuple[str, ...]) -> tuple[str, float]:
        """The class with the most emissions (the most kilometers where there are none), and its share."""
        parts = self.mass if self.mass.sum() > 0 else self.km
        if not parts.sum() > 0:
            return "", 0.0
        first = int(parts.argmax())
        return classes[first], float(parts[first] / parts.sum())


def _emission(own: _Part, whole: _Part) -> Cause:
    """Emissions per km = vehicles x factor of the mix x how they drive, each relative to all links together."""
    busy = _over(own.km.sum() / own.length, whole.km.sum() / whole.length)
    usual = np.divide(whole.mass, whole.km, out=np.zeros_like(whole.km), where=whole.km > 0)
    expected = float(own.km @ usual)
    mix = _over(_over(expected, float(own.km.sum())), _over(float(whole.mass.sum()), float(whole.km.sum())))
    return Cause(busy, mix, _over(float(own.mass.sum()), expected))


def _delay(own: _Part, whole: _Part) -> Cause:
    """Hours lost per km = vehicles x hours lost by each of their kilometers."""
    busy = _over(own.km.sum() / own.length, whole.km.sum() / whole.length)
    slow = _over(_over(own.lost, float(own.km.sum())), _over(whole.lost, float(whole.km.sum())))
    return Cause(busy, 1.0, slow)


def _over(part: float, whole: float) -> float:
    """A quotient; NaN where there is nothing to divide by."""
    return float(part / whole) if whole > 0 else float("nan")


def junctions(rate: Rates, streets: Streets) -> tuple[Junction, ...]:
    """One row for each signal, and for each crossing without one, toward which counted links lead; none without a network."""
    net = streets.net
    if net is None:
        return ()
    signal = signal_of(net)
    groups: dict[tuple[bool, int], list[int]] = {}
    for link, edge in enumerate(streets.edges.tolist()):
        if rate.known[link] > 0:
            own = int(signal[edge])
            groups.setdefault((own >= 0, own if own >= 0 else int(net.end[edge])), []).append(link)
    return tuple(_junction(rate, net, signal, key, np.array(links)) for key, links in groups.items())


def signal_of(net: SumoNet) -> npt.NDArray[np.int32]:
    """(E,) number of the signal that an edge leads to, -1 where none stands."""
    found = np.full(len(net), -1, dtype=np.int32)
    held = net.connections.signal >= 0
    found[net.connections.source[held]] = net.connections.signal[held]
    return found


def _junction(
    rate: Rates, net: SumoNet, signal: npt.NDArray[np.int32], key: tuple[bool, int], links: npt.NDArray[np.int64]
) -> Junction:  # fmt: skip
    held, number = key
    arms = np.flatnonzero(signal == number) if held else np.flatnonzero(net.end == number)
    nodes = np.unique(net.end[arms]) if held else np.array([number])
    around = np.flatnonzero(np.isin(net.end, nodes) | np.isin(net.start, nodes))
    names = dict.fromkeys(net.names[edge] for edge in around if net.names[edge])
    own = _Part.of(rate, links)
    first, share = own.leading(rate.classes)
    vehicles = float((rate.km[links].sum(axis=1) / rate.length[links]).sum())
    return Junction(
        net.signals[number].id if held else net.junctions[number], held, tuple(names),
        tuple(int(node) for node in nodes), tuple(links.tolist()), len(arms),
        float(own.mass.sum()), own.lost, vehicles, own.speed, first, share,
    )  # fmt: skip
