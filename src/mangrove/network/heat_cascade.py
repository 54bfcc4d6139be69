# SPDX-License-Identifier: Apache-2.0
"""Heat inside a `Network`: temperature levels as nodes, so that streams, mains, heat pumps, power and water are one program.

Comes in: a network, shifted temperature levels, streams, mains, heat pumps. Goes out: nodes and streams of that network. Heat
passes from each level to the next colder one for free and never back, so that the least cost of hot and cold utility is the
pinch target (Papoulias & Grossmann 1983, Comput. Chem. Eng. 7:707, transshipment model). Each plant has a cascade of its own;
what is joined to a main exchanges through it, and only so.

    passing(k) = passing(k + 1) + heat given at k - heat taken at k >= 0          for each level and interval k, in each step
    heat pump at activity z (heat that it gives, kW):  z / COP of electricity,  z (1 - 1 / COP) of heat from its source
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network.assets.heat_pump import QUALITY, cop
from mangrove.network.core import Port
from mangrove.network.handles import Demand, Node, Stream
from mangrove.network.heat import SAME, Streams, spread
from mangrove.network.horizon import Horizon
from mangrove.network.model import Network
from mangrove.network.program import FREE

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cascade:
    """The temperature levels of one plant.

    Attributes:
        name: of the plant.
        levels: (L,) shifted temperatures, degrees Celsius, from cold to hot.
        nodes: 2 L - 1 nodes: item 2k is the level k itself, item 2k + 1 the interval from there to level k + 1.
        down: what passes from each node to the next colder one.
    """

    name: str
    levels: Floats
    nodes: Node
    down: Stream

    def shares(self, what: str, low: float, high: float) -> tuple[npt.NDArray[np.int64], Floats]:
        """Items of `nodes` and the share of an even heat between two shifted temperatures that each one has.

        Raises:
            RequestError: `heat.off_level`: an end is none of the levels.
        """
        ends = [int(np.argmin(np.abs(self.levels - one))) for one in (low, high)]
        for at, one in zip(ends, (low, high), strict=True):
            if abs(self.levels[at] - one) > SAME:
                raise RequestError("heat.off_level", name=what, cascade=self.name, temperature=f"{one:g}")
        first, last = ends
        if first == last:
            return np.array([2 * first]), np.ones(1)
        widths = np.diff(self.levels[first : last + 1])
        return 2 * np.arange(first, last) + 1, widths / widths.sum()


@dataclass(frozen=True, slots=True, eq=False)
class Main:
    """A pipe with steam or hot water: a node that boilers, stores and plants may share, and its temperatures."""

    node: Node
    upper: float
    lower: float

    def levels(self, contribution: float) -> tuple[float, ...]:
        """The shifted temperatures at which a plant takes from it and raises for it; its cascade needs them."""
        ends = (self.upper, self.lower)
        return tuple(one + side * contribution for one in ends for side in (-1.0, 1.0))


def cascade(net: Network, name: str, levels: Sequence[float] | Floats, *, owner: str = "") -> Cascade:
    """A plant's temperature levels: nodes, and the free way down between them.

    Args:
        net: the network.
        name: unique in the network.
        levels: shifted temperatures (see `levels_of`), in any order; those nearer than a millionth of a kelvin are one.
        owner: to whom the heat belongs (see `Plan.shares`).

    Raises:
        RequestError: `heat.no_levels`.

    Example:
        >>> net = Network(Horizon.regular(1, 1.0))
        >>> mill = cascade(net, "mill", [85, 145, 25])
        >>> hot = utility(net, mill, "steam", 145, gives=True, contribution=0, cost=2.0)
        >>> cold = utility(net, mill, "river", 25, gives=False, contribution=0)
        >>> drier = stream(net, mill, "drier", 25, 85, heat=30, contribution=0)
        >>> oven = stream(net, mill, "oven", 85, 25, heat=10, contribution=0)
        >>> net.solve().cost
        40.0
    """
    known = np.unique(np.asarray(levels, dtype=np.float64))
    if not len(known) or not np.isfinite(known).all():
        raise RequestError("heat.no_levels", name=name)
    known = known[np.concatenate([[True], np.diff(known) > SAME])]
    names = [f"{name} {one:.10g}" for one in known]
    between = [f"{name} {a:.10g}..{b:.10g}" for a, b in itertools.pairwise(known)]
    titles = [word for pair in itertools.zip_longest(names, between) for word in pair][: 2 * len(known) - 1]
    nodes = net.node(titles, owner=owner)
    count = len(titles)
    if count == 1:
        down = net.sink(f"{name} down", nodes, upper=0.0)
    else:
        down = net.link(f"{name} down", nodes[1:], nodes[: count - 1])
    return Cascade(name, known, nodes, down)


def levels_of(
    streams: Streams, dt_min: float = 10.0, *, mains: Sequence[Main] = (), also: Sequence[float] = ()
) -> Floats:
    """The shifted temperatures that a cascade needs for these streams, for mains joined with half of `dt_min`, and `also`."""
    shared = [one for main_ in mains for one in main_.levels(dt_min / 2)]
    return np.unique(
        np.concatenate([*streams.shifted(dt_min), np.asarray([*shared, *also], dtype=np.float64)])
    )


def add_streams(
    net: Network, plant: Cascade, name: str, streams: Streams, dt_min: float = 10.0, *, profile: Any = 1.0
) -> Demand:
    """All streams of a plant at once, fixed: what they take less what they give stands on the right-hand side.

    Args:
        net: the network.
        plant: its levels hold every end of the streams.
        name: unique in the network.
        streams: heat flows in the unit of the network's rates.
        dt_min: least difference in K of streams without a contribution.
        profile: (T,) share of the heat flows in each step.
    """
    low, high = streams.shifted(dt_min)
    near = [_nearest(plant, name, ends) for ends in (low, high)]
    start, end = (plant.levels[at] for at in near)
    twice = np.repeat(plant.levels, 2)  # between equal ones lies the level itself
    net_heat = spread(twice, start, end, np.where(streams.gives, -streams.heat, streams.heat))
    share = np.broadcast_to(np.asarray(profile, dtype=np.float64), (net.horizon.steps,))
    demand: Demand = net.sink(name, plant.nodes, amount=net_heat[:, None, None] * share, tier=None)
    return demand


def stream(
    net: Network,
    plant: Cascade,
    name: str,
    supply: float,
    target: float,
    *,
    heat: Any,
    contribution: float = 5.0,
    gives: bool | None = None,
    optional: bool = False,
    cost: Any = 0.0,
) -> Demand | Stream:
    """One stream.

    Args:
        net: the network.
        plant: where it runs.
        name: unique in the network.
        supply: degrees Celsius.
        target: degrees Celsius.
        heat: heat flow, a number or (T,).
        contribution: K.
        gives: only asked where supply and target are the same.
        optional: the plan may take any part of it (waste heat that may also go up the chimney).
        cost: money per unit, where it is optional.

    Raises:
        RequestError: as `Streams.of`; `heat.off_level`.
    """
    level = np.asarray(heat, dtype=np.float64)
    sense = None if gives is None else [gives]
    one = Streams.of([supply], [target], heat=[float(level.min())], gives=sense, contribution=contribution, names=[name])  # fmt: skip
    low, high = (float(end[0]) for end in one.shifted(0.0))
    sign = 1.0 if one.gives[0] else -1.0
    at, share = plant.shares(name, low, high)
    if optional:
        return _spread(net, name, [], (plant, at, sign * share), cost=cost, upper=heat)
    amount = -sign * share[:, None, None] * np.broadcast_to(level, (net.horizon.steps,))
    demand: Demand = net.sink(name, plant.nodes[[int(i) for i in at]], amount=amount, tier=None)
    return demand


def utility(
    net: Network,
    plant: Cascade,
    name: str,
    upper: float,
    lower: float | None = None,
    *,
    gives: bool,
    contribution: float = 5.0,
    cost: Any = 0.0,
    limit: Any = FREE,
    also: Sequence[Port] = (),
) -> Stream:
    """Heat bought for a plant (`gives`) or cooling of it, between two real temperatures.

    Args:
        net: the network.
        plant: the plant.
        name: unique in the network.
        upper: degrees Celsius at the hot end.
        lower: at the cold end; as `upper` when left out (steam).
        gives: whether it heats.
        contribution: K.
        cost: money per unit of heat.
        limit: highest rate.
        also: further (node, coefficient) per unit of heat: fuel, CO2, cooling water.
    """
    shift = -contribution if gives else contribution
    at, share = plant.shares(name, (upper if lower is None else lower) + shift, upper + shift)
    sign = 1.0 if gives else -1.0
    return _spread(net, name, also, (plant, at, sign * share), cost=cost, upper=limit)


def main(net: Network, name: str, upper: float, lower: float | None = None, *, owner: str = "") -> Main:
    """A steam main (one temperature), or flow and return of hot water. Boilers and stores hang on its node."""
    return Main(net.node(name, owner=owner), upper, upper if lower is None else lower)


def join(
    net: Network,
    pipe: Main,
    plant: Cascade,
    *,
    contribution: float = 5.0,
    uses: Any = FREE,
    raises: Any = FREE,
    loss: float = 0.0,
    cost: Any = 0.0,
) -> tuple[Stream, Stream]:
    """Connects a plant with a main: it may take heat from it, and raise heat for it.

    Args:
        net: the network.
        pipe: the main.
        plant: the plant; its levels hold `pipe.levels(contribution)`.
        contribution: K between main and plant.
        uses: most heat that leaves the main for the plant.
        raises: most heat that leaves the plant for the main.
        loss: share lost on the way, either way.
        cost: money per unit sent.

    Returns:
        What leaves the main, and what leaves the plant for it.

    Raises:
        RequestError: `heat.off_level`, `network.share_range`.
    """
    if not 0.0 <= loss <= 1.0:
        raise RequestError("network.share_range", name=pipe.node.name, what="loss", value=float(loss))
    using, raising = f"{plant.name} uses {pipe.node.name}", f"{plant.name} raises {pipe.node.name}"
    at, share = plant.shares(using, pipe.lower - contribution, pipe.upper - contribution)
    used = _spread(net, using, [(pipe.node, -1.0)], (plant, at, (1.0 - loss) * share), cost=cost, upper=uses)
    at, share = plant.shares(raising, pipe.lower + contribution, pipe.upper + contribution)
    raised = _spread(net, raising, [(pipe.node, 1.0 - loss)], (plant, at, -share), cost=cost, upper=raises)
    return used, raised


def heat_pump(
    net: Network,
    name: str,
    *,
    source: tuple[Cascade | Main, float],
    sink: tuple[Cascade | Main, float],
    electricity: Node,
    contribution: float = 5.0,
    quality: float = QUALITY,
    capacity: Any = FREE,
    cost: Any = 0.0,
    also: Sequence[Port] = (),
) -> Stream:
    """A heat pump between two temperatures of a plant, of two plants, or of mains.

    Args:
        net: the network.
        name: unique in the network.
        source: where heat comes from, and the temperature at which the pump evaporates (below that of the source).
        sink: where heat goes, and the temperature at which it condenses.
        electricity: the node that drives it, with its price and its carbon.
        contribution: K between pump and plant on either side; a cascade needs the levels evaporating + contribution and
            condensing - contribution.
        quality: share of Carnot's limit that it reaches; its default and source are those of the asset `heat_pump`.
        capacity: most heat that it gives.
        cost: money per unit of heat given.
        also: further (node, coefficient) per unit of heat given.

    Returns:
        The heat given.

    Raises:
        RequestError: `heat.pump_reversed`: it condenses no hotter than it evaporates; `heat.pump_main`: it is not warm
            (cold) enough for a main; `heat.off_level`.
    """
    (start, cold), (end, hot) = source, sink
    if not hot > cold:
        raise RequestError("heat.pump_reversed", name=name, cold=f"{cold:g}", hot=f"{hot:g}")
    drive = 1.0 / float(cop(hot, cold, quality))
    ports = [
        (electricity, -drive),
        (_point(start, name, cold + contribution, gives=True), -(1.0 - drive)),
        (_point(end, name, hot - contribution, gives=False), 1.0),
    ]
    return net.converter(name, [*ports, *also], cost=cost, upper=capacity)


def program_targets(streams: Streams, dt_min: float = 10.0) -> tuple[float, float]:
    """Hot and cold utility of least sum, by the linear program: the same as `heat.pinch`, found another way.

    Example:
        >>> program_targets(Streams.of([170, 150, 20, 80], [60, 30, 135, 140], cp=[3, 1.5, 2, 4]))
        (20.0, 60.0)
    """
    net = Network(Horizon.regular(1, 1.0))
    levels = levels_of(streams, dt_min)
    plant = cascade(net, "plant", levels)
    add_streams(net, plant, "streams", streams, dt_min)
    ends = (float(plant.levels[-1]), float(plant.levels[0]))
    hot = utility(net, plant, "hot", ends[0], gives=True, contribution=0.0, cost=1.0)
    cold = utility(net, plant, "cold", ends[1], gives=False, contribution=0.0, cost=1.0)
    plan = net.solve()
    return float(plan[hot][0]), float(plan[cold][0])


def _spread(
    net: Network,
    name: str,
    ports: Sequence[Port],
    reach: tuple[Cascade, npt.NDArray[np.int64], Floats],
    **limits: Any,
) -> Stream:
    """A stream whose activity reaches nodes of a plant: the plant, the items of its nodes, and their fixed shares."""
    plant, at, share = reach
    items = [int(i) for i in at]
    made = net.converter(name, [*ports, (plant.nodes[items[:1]], float(share[0]))], **limits)
    if len(items) > 1:
        net.inject(plant.nodes[items[1:]], made.columns, share[1:, None, None])
    return made


def _point(place: Cascade | Main, name: str, temperature: float, *, gives: bool) -> Node:
    """The node of one temperature; a main has only one, and must be at least as hot (cold) as what it gives to (takes from)."""
    if isinstance(place, Main):
        if (place.lower < temperature - SAME) if gives else (place.upper > temperature + SAME):
            shown = f"{place.lower if gives else place.upper:g}"
            raise RequestError("heat.pump_main", name=name, main=place.node.name, have=shown, temperature=f"{temperature:g}")  # fmt: skip
        return place.node
    at, _ = place.shares(name, temperature, temperature)
    return place.nodes[[int(at[0])]]


def _nearest(plant: Cascade, name: str, ends: Floats) -> npt.NDArray[np.int64]:
    """(n,) level of each end.

    Raises:
        RequestError: `heat.off_level`.
    """
    right = np.clip(np.searchsorted(plant.levels, ends), 0, len(plant.levels) - 1)
    left = np.maximum(right - 1, 0)
    near = np.where(np.abs(plant.levels[left] - ends) < np.abs(plant.levels[right] - ends), left, right)
    far = np.abs(plant.levels[near] - ends) > SAME
    if far.any():
        temperature = f"{ends[int(np.argmax(far))]:g}"
        raise RequestError("heat.off_level", name=name, cascade=plant.name, temperature=temperature)
    return near
