# SPDX-License-Identifier: Apache-2.0
"""Water of several qualities on a `Network`: levels as nodes, mixing and treatment as converters, so that water and power are one plan.

Comes in: a network, a place and the levels with their ppm. Goes out: nodes `place/water@level` joined by cascade links (cleaner water may
serve a dirtier use) and, where wanted, exact mixing of two levels into one between them; and treatment that lifts a level and takes
kWh per cubic meter from an electricity node, hour by hour. Rates are m3/h. With every concentration of a problem as a level, the
steady state is that of `water_reuse`; with few levels it is on the safe side, because water counts as the next dirtier level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, did_you_mean
from mangrove.network.core import Limited
from mangrove.network.handles import Capacity, Node, Stream
from mangrove.network.model import Network
from mangrove.network.program import FREE

Floats = npt.NDArray[np.float64]


def water_levels(
    net: Network, place: str, levels: Mapping[str, float], *, mix: bool = True, owner: str = ""
) -> WaterLevels:
    """Nodes for each level of water at a place, cleanest first, with their cascade.

    Args:
        net: the network.
        place: prefix of the names.
        levels: name to ppm, all different.
        mix: whether two levels may be mixed into one between them: (c_b - c_m) / (c_b - c_a) of a, the rest of b. Exact for one
            contaminant; without it water only goes down.
        owner: to whom the nodes belong.

    Raises:
        RequestError: `reuse.levels` for no level, negative ppm or two equal ones.

    Example:
        >>> from mangrove.network import Horizon
        >>> net = Network(Horizon.regular(1, 1.0))
        >>> water = water_levels(net, "mill", {"clean": 0.0, "grey": 50.0, "waste": 100.0})
        >>> tap = net.source("tap", water["clean"], cost=1.0)
        >>> rinse = net.source("rinse", water["waste"], upper=4.0)
        >>> wash = net.sink("wash", water.for_use(60.0), amount=10.0)
        >>> round(float(net.solve()[tap][0]), 6)
        6.0
    """
    order = sorted(levels, key=lambda name: levels[name])
    ppm = np.array([levels[name] for name in order], dtype=np.float64)
    if not len(ppm) or not np.isfinite(ppm).all() or (ppm < 0).any() or (np.diff(ppm) <= 0).any():
        raise RequestError("reuse.levels", name=place)
    nodes = net.node([f"{place}/water@{name}" for name in order], owner=owner)
    n = len(order)
    if n > 1:
        net.link(f"{place} water down", nodes[: n - 1], nodes[1:])
    made = WaterLevels(net, place, tuple(order), ppm, nodes)
    if mix:
        made._mix()  # noqa: SLF001 - its own part
    return made


@dataclass(frozen=True, eq=False)
class WaterLevels:
    """The levels of one place: names and ppm (n,), cleanest first; `nodes` n nodes of the network."""

    net: Network
    place: str
    names: tuple[str, ...]
    ppm: Floats
    nodes: Node

    def __getitem__(self, name: str) -> Node:
        """The node of a level.

        Raises:
            RequestError: `reuse.unknown_level`.
        """
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            raise RequestError("reuse.unknown_level", text=name, options=", ".join(self.names), hint=hint)
        return self.nodes[self.names.index(name)]

    def for_use(self, most: float) -> Node:
        """The dirtiest level that somebody may take who accepts at most `most` ppm.

        Raises:
            RequestError: `reuse.too_clean` when no level is as clean.
        """
        fits = np.flatnonzero(self.ppm <= most)
        if not len(fits):
            raise RequestError("reuse.too_clean", name=self.place, ppm=float(most), best=float(self.ppm[0]))
        return self.nodes[int(fits[-1])]

    def of_water(self, ppm: float) -> Node:
        """The cleanest level that water of `ppm` meets.

        Raises:
            RequestError: `reuse.too_dirty` when it is dirtier than every level.
        """
        fits = np.flatnonzero(self.ppm >= ppm)
        if not len(fits):
            raise RequestError("reuse.too_dirty", name=self.place, ppm=float(ppm), worst=float(self.ppm[-1]))
        return self.nodes[int(fits[0])]

    def treat(
        self,
        name: str,
        start: str,
        end: str,
        *,
        electricity: Node | None = None,
        consumption: Any = 0.0,
        recovery: float = 1.0,
        reject: Node | None = None,
        cost: Any = 0.0,
        upper: Limited = FREE,
    ) -> Stream:
        """Treatment that takes water of level `start` and gives `recovery` of it at level `end`; the stream is m3/h taken.

        Args:
            name: unique in the network.
            start: level that it takes.
            end: level that it gives.
            electricity: node that pays `consumption` kWh per m3 taken (a number, or a series).
            consumption: see `electricity`.
            recovery: treated water per water taken.
            reject: node of what is left; None: it leaves the network.
            cost: money per m3 taken.
            upper: largest rate, or a `Capacity` that the plan chooses.

        Raises:
            RequestError: `reuse.unknown_level`; `reuse.range` for a recovery outside (0, 1].
        """
        if not 0 < recovery <= 1:
            raise RequestError("reuse.range", name=name, what="recovery", value=float(recovery))
        ports: list[tuple[Node, Any]] = [(self[start], -1.0), (self[end], recovery)]
        if electricity is not None:
            ports.append((electricity, -np.asarray(consumption, dtype=np.float64)))
        if reject is not None and recovery < 1:
            ports.append((reject, 1.0 - recovery))
        size: dict[str, Any] = {"capacity": upper} if isinstance(upper, Capacity) else {"upper": upper}
        return self.net.converter(name, ports, cost=cost, **size)

    def _mix(self) -> None:
        """Of levels i < j < k: share a of i and 1 - a of k give 1 of j, a = (c_k - c_j) / (c_k - c_i)."""
        triples = np.array(list(combinations(range(len(self.names)), 3)), dtype=np.int64)
        if not len(triples):
            return
        i, j, k = triples.T
        share = ((self.ppm[k] - self.ppm[j]) / (self.ppm[k] - self.ppm[i]))[:, None, None]
        clean, mixed, dirty = (self.nodes[at.tolist()] for at in (i, j, k))
        ports = [(clean, -share), (dirty, share - 1.0), (mixed, 1.0)]
        self.net.converter(f"{self.place} water mixed", ports)
