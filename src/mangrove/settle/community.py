# SPDX-License-Identifier: Apache-2.0
"""A community: members behind a park node, with load, generation, storage, wires and prices, as one flow network.

Comes in: arrays of power (kW) over time and prices. Goes out: the network of any coalition, what it costs, and what each
member brought to the pool. Members meet in the park's node; each reaches it over its own wire, and a fee is due on every
kWh that a member gives into the wires.

- `meter="own"`: each member has its own contract and its own connection to the grid; the park's wires carry only what members
  give to each other, and a member gives no more than what its own load leaves of its generation, and what it has stored
  (nobody resells grid energy).
- `meter="park"`: one meter for all: the grid is at the park's node, demand charges are for the common peak.

Without storage and without demand charges on each member's own meter, everything has a formula (see `pool.py`); otherwise
the linear program of `mangrove.network` is solved. A limit on the park's connection belongs to the members by their rights,
so a coalition brings its part of it along and shares still lie in the core.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import RequestError
from mangrove.settle.game import Bools, Floats, Game
from mangrove.settle.pool import Pool, block_means

METERS = ("own", "park")


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A battery for each member (zeros for those without).

    Attributes:
        energy: (n,) kWh; charge, discharge: (n,) kW at the node.
        efficiency: (into, out of), numbers or (n,).
        wear: money per kWh discharged, number or (n,).
    """

    energy: Floats
    charge: Floats
    discharge: Floats
    efficiency: tuple[float | Floats, float | Floats] = (0.95, 0.95)
    wear: float | Floats = 0.0

    def of(self, mask: Bools | NDArray[np.int64]) -> Storage:
        """The batteries of some members."""
        into, out = (np.broadcast_to(eta, self.energy.shape)[mask] for eta in self.efficiency)
        wear = np.broadcast_to(self.wear, self.energy.shape)[mask]
        return Storage(self.energy[mask], self.charge[mask], self.discharge[mask], (into, out), wear)


@dataclass(frozen=True, eq=False)
class Community:
    """Members who share energy over one horizon.

    Attributes:
        members: n names.
        load: (n, T) kW that must be served; generation: (n, T) kW that may be used, given, sold or left.
        buy: (T,) or (n, T) money/kWh from the grid; sell: (T,) money/kWh to the grid.
        hours: length of a step.
        storage: batteries, or None.
        wire: (n,) kW that each member's wire to the park carries either way; None: no limit.
        fee: money per kWh that a member gives into the park's wires.
        meter: `own` or `park`.
        demand: money per kW of the highest mean power over `window` steps, for each group of steps (a month).
        group: (T,) group of each step from 0; None: one group.
        window: steps that a demand meter averages.
        limit: kW of the park's connection to the grid (`park` only).
        rights: (n,) parts of that limit that belong to each member (sum 1); None: in proportion to the highest load.
        surplus: (n, T) kW that a member with its own meter may give besides what it stored; None: what its load leaves of its
            generation. A member that stands for several gives what each of them has left.

    Raises:
        RequestError: shapes that do not fit, NaN, negative amounts, unknown meter, an export price above a retail price.

    Example:
        >>> two = Community(("a", "b"), np.array([[2.0], [0.0]]), np.array([[0.0], [1.0]]), np.array([10.0]), np.array([4.0]))
        >>> two.cost(["a"]), two.cost(["b"]), two.cost(["a", "b"])
        (20.0, -4.0, 10.0)
    """

    members: tuple[str, ...]
    load: Floats
    generation: Floats
    buy: Floats
    sell: Floats
    hours: float = 1.0
    storage: Storage | None = None
    wire: Floats | None = None
    fee: float = 0.0
    meter: str = "own"
    demand: float = 0.0
    group: NDArray[np.int64] | None = None
    window: int = 1
    limit: float = np.inf
    rights: Floats | None = None
    surplus: Floats | None = None

    def __post_init__(self) -> None:
        n, shape = len(self.members), np.shape(self.load)
        if not n or len(set(self.members)) < n:
            raise RequestError("settle.members", count=n)
        if self.meter not in METERS:
            raise RequestError("settle.unknown_meter", word=self.meter, options=", ".join(METERS))
        for name, array in (("load", self.load), ("generation", self.generation)):
            if np.ndim(array) != 2 or array.shape != shape or len(array) != n or not array.size:  # noqa: PLR2004 - a table
                raise RequestError(
                    "settle.wrong_shape", name=name, found=str(np.shape(array)), expected=f"({n}, T)"
                )
            if not np.isfinite(array).all() or (array < 0.0).any():
                raise RequestError("settle.not_amounts", name=name)
        if self.surplus is not None and np.shape(self.surplus) != shape:
            raise RequestError(
                "settle.wrong_shape", name="surplus", found=str(np.shape(self.surplus)), expected=str(shape)
            )
        for name, number in (("fee", self.fee), ("demand", self.demand), ("hours", self.hours), ("limit", self.limit)):  # fmt: skip
            if np.isnan(number) or number < 0.0 or (name == "hours" and number == 0.0):
                raise RequestError("settle.not_amounts", name=name)
        self._check_members(n)
        self._check_prices(shape[1])

    def _check_members(self, n: int) -> None:
        parts = {"wire": self.wire, "rights": self.rights}
        if self.storage is not None:
            parts |= {name: getattr(self.storage, name) for name in ("energy", "charge", "discharge")}
        for name, part in parts.items():
            if part is None:
                continue
            if np.shape(part) != (n,):
                raise RequestError("settle.wrong_length", name=name, count=np.size(part), expected=n)
            if np.isnan(part).any() or (part < 0.0).any():
                raise RequestError("settle.not_amounts", name=name)
        if self.meter == "own" and np.isfinite(self.limit):
            raise RequestError("settle.limit_needs_park")

    def _check_prices(self, steps: int) -> None:
        if self.group is not None and np.shape(self.group) != (steps,):
            raise RequestError("settle.wrong_length", name="group", count=np.size(self.group), expected=steps)
        if not 1 <= self.window <= steps:
            raise RequestError("settle.wrong_length", name="window", count=self.window, expected=steps)
        if self.meter == "park" and np.ndim(self.buy) != 1:
            raise RequestError("settle.one_price_at_park")
        nothing = np.zeros_like(self.load)
        Pool(self.members, nothing, nothing, np.asarray(self.buy), self.export)

    @cached_property
    def export(self) -> Floats:
        """(T,) what a kWh of surplus earns: the export price (less the fee of the wire at a park meter), nothing if negative."""
        return np.maximum(self.sell - (self.fee if self.meter == "park" else 0.0), 0.0)

    @cached_property
    def right(self) -> Floats:
        """(n,) parts of the common limit."""
        given = self.load.max(axis=1) if self.rights is None else self.rights
        whole = given.sum()
        part: Floats = given / whole if whole else np.full(len(given), 1.0 / len(given))
        return part

    @property
    def has_formula(self) -> bool:
        """Whether costs and duals need no solver."""
        if self.storage is not None or self.surplus is not None or np.isfinite(self.limit):
            return False
        if self.meter == "own":
            return self.demand == 0.0
        served = self.wire is None or (self.load - self.generation <= self.wire[:, None]).all()
        return bool(served and (self.buy - self.export > self.fee).all())

    def subset(self, mask: Bools) -> Community:
        """The coalition of the members in `mask`, with its part of the common limit."""
        return replace(
            self,
            members=tuple(name for name, inside in zip(self.members, mask, strict=True) if inside),
            load=self.load[mask],
            generation=self.generation[mask],
            buy=self.buy if np.ndim(self.buy) == 1 else self.buy[mask],
            storage=None
            if self.storage is None or not self.storage.energy[mask].any()
            else self.storage.of(mask),
            wire=None if self.wire is None else self.wire[mask],
            limit=self.limit * float(self.right[mask].sum()) if np.isfinite(self.limit) else np.inf,
            rights=self.right[mask],
            surplus=None if self.surplus is None else self.surplus[mask],
        )

    def cost(self, coalition: Collection[str] | None = None) -> float:
        """What a coalition pays on its own; all members when none is named."""
        return self.game.cost(self.members if coalition is None else coalition)

    @cached_property
    def game(self) -> Game:
        """The cost game of the members; infinite for a coalition that cannot serve itself."""
        if self.has_formula:
            return Game(self.members, many=self.costs)
        from mangrove.settle.programs import coalition_cost

        return Game(self.members, lambda names: coalition_cost(self.subset(self.game.mask(names))))

    @cached_property
    def brought(self) -> Pool:
        """What members bring to the pool without storage."""
        return self.pool(self.load - self.generation)

    def costs(self, masks: Bools) -> Floats:
        """(k,) costs of (k, n) coalitions by the formula; only where `has_formula`."""
        pool = self.brought
        energy = pool.costs(masks)
        if not self.demand:
            return energy
        inside = masks.astype(float)
        taken = np.maximum(inside @ (pool.demand - pool.surplus), 0.0) / self.hours
        found: Floats = energy + self.demand * self.peaks(taken).sum(axis=0)
        return found

    def peaks(self, power: Floats) -> Floats:
        """(groups, ...) highest mean power over a window, for each group of steps; `power` is (..., T) kW."""
        group = np.zeros(self.load.shape[1], np.int64) if self.group is None else self.group
        means = block_means(power, self.window)
        of_block = group[:: self.window]
        return np.array([np.where(of_block == g, means, 0.0).max(axis=-1) for g in np.unique(of_block)])

    def pool(self, net: Floats) -> Pool:
        """What members bring to the pool when they take `net` (n, T) kW (negative: have left) from it or from the grid."""
        need, left = np.maximum(net, 0.0) * self.hours, np.maximum(-net, 0.0) * self.hours
        if self.wire is None:
            return Pool(self.members, need, left, self.buy, self.export, self.fee)
        most = self.wire[:, None] * self.hours
        if self.meter == "park":  # what the wire cannot carry out is not generated
            return Pool(self.members, need, np.minimum(left, most), self.buy, self.export, self.fee)
        prices = np.broadcast_to(self.buy, need.shape)
        over = (np.maximum(need - most, 0.0) * prices).sum(axis=1) - np.maximum(
            left - most, 0.0
        ) @ self.export
        return Pool(
            self.members,
            np.minimum(need, most),
            np.minimum(left, most),
            self.buy,
            self.export,
            self.fee,
            over,
        )
