# SPDX-License-Identifier: Apache-2.0
"""A road network as arrays: links with travel-time functions, zones where trips begin and end.

Comes in: columns of links. Goes out: a checked `Roads`, with the links of each node in compressed form. Zones are the first nodes.
Travel time of a link: t(x) = time (1 + b (x / capacity)^power) + toll, the function of the Bureau of Public Roads (1964).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

LEAST_TIME = 1e-6
LEAST_CAPACITY = 1e-3
"""Links of published networks may have no free-flow time or no capacity; these floors (in their units) keep costs finite."""


@dataclass(frozen=True)
class Roads:
    """Links between nodes 0 to N - 1, the first Z of which are zones.

    Args:
        tail: (A,) node at which a link begins; head: (A,) node at which it ends.
        time: (A,) free-flow time; capacity: (A,) flow per hour; b, power: (A,) of the time function.
        zones: Z.
        nodes: N.
        first_thru: first node that paths may lead through; below it they only begin and end. Z where zones are no crossings.
        toll: (A,) in units of time; None: none.
        length: (A,) km; None: not known.
        fixed: (A,) flow that is there whatever others choose, such as buses on their routes; None: none.

    Raises:
        RequestError: `traffic.bad_links`, with the column and the first link (counted from 0) that cannot be.
    """

    tail: Ints
    head: Ints
    time: Floats
    capacity: Floats
    b: Floats
    power: Floats
    zones: int
    nodes: int
    first_thru: int = 0
    toll: Floats | None = None
    length: Floats | None = None
    fixed: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.tail)
        for name in ("tail", "head"):
            column = np.asarray(getattr(self, name))
            _check(name, column, (column >= 0) & (column < self.nodes), count)
            object.__setattr__(self, name, np.ascontiguousarray(column, dtype=np.int32))
        for name in ("time", "capacity", "b", "power", "toll", "length", "fixed"):
            given = getattr(self, name)
            if given is not None:
                column = np.ascontiguousarray(np.broadcast_to(np.asarray(given, dtype=np.float64), (count,)))
                _check(name, column, np.isfinite(column) & (column >= 0), count)
                object.__setattr__(self, name, column)
        if not 0 < self.zones <= self.nodes:
            raise RequestError("traffic.bad_zones", zones=self.zones, nodes=self.nodes)

    def __len__(self) -> int:
        return len(self.tail)

    @cached_property
    def leaving(self) -> tuple[Ints, Ints]:
        """Links that leave each node: pointers (N + 1,) and links (A,)."""
        return compressed(self.tail, self.nodes)

    @cached_property
    def entering(self) -> tuple[Ints, Ints]:
        """Links that enter each node."""
        return compressed(self.head, self.nodes)

    @cached_property
    def function(self) -> tuple[Floats, Floats, Floats, Floats]:
        """(t0, b, capacity, power) of the generalized cost: a toll is part of t0, and b shrinks with it."""
        free = np.maximum(self.time, LEAST_TIME)
        toll = 0.0 if self.toll is None else self.toll
        whole = free + toll
        return whole, self.b * free / whole, np.maximum(self.capacity, LEAST_CAPACITY), self.power

    @cached_property
    def standing(self) -> Floats:
        """(A,) the fixed flow, zeros where there is none."""
        return np.zeros(len(self)) if self.fixed is None else self.fixed

    def only(self, kept: Any) -> Roads:
        """The same network with some of its links (flags or numbers)."""
        names = ("tail", "head", "time", "capacity", "b", "power", "toll", "length", "fixed")
        columns: dict[str, Any] = {name: getattr(self, name) for name in names}
        cut: dict[str, Any] = {
            name: None if column is None else column[kept] for name, column in columns.items()
        }
        return replace(self, **cut)

    def cost(self, flow: Floats) -> Floats:
        """(A,) generalized time at the flows."""
        whole, b, capacity, power = self.function
        ratio = flow / capacity
        grown: Floats = whole * (1.0 + b * np.where((power == 0) | (b == 0), 1.0, ratio**power))
        return grown

    def potential(self, flow: Floats) -> float:
        """Beckmann's objective: the sum of the integrals of the cost functions, least in equilibrium (Beckmann and others 1956)."""
        whole, b, capacity, power = self.function
        ratio = np.where((power == 0) | (b == 0), 1.0, (flow / capacity) ** power)
        return float((whole * flow * (1.0 + b * ratio / np.where(b == 0, 1.0, power + 1.0))).sum())


def _check(name: str, column: Any, good: Any, count: int) -> None:
    if column.shape != (count,):
        raise RequestError("traffic.link_count", name=name, count=column.size, expected=count)
    if not good.all():
        link = int(np.flatnonzero(~good)[0])
        raise RequestError("traffic.bad_links", name=name, link=link, value=f"{column[link]:g}")


def compressed(ends: Ints, nodes: int, kept: npt.NDArray[np.bool_] | None = None) -> tuple[Ints, Ints]:
    """Links by their nodes: pointers (N + 1,) and links (A,); of some links only when asked, the rest of the numbers is then not used."""
    if kept is None:
        order = np.argsort(ends, kind="stable").astype(np.int32)
        return np.searchsorted(ends[order], np.arange(nodes + 1)).astype(np.int32), order
    chosen = np.flatnonzero(kept)
    pointers, order = compressed(ends[chosen], nodes)
    padded: Ints = np.zeros(len(ends), dtype=np.int32)
    padded[: len(chosen)] = chosen[order]
    return pointers, padded
