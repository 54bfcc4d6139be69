# SPDX-License-Identifier: Apache-2.0
"""What all building verbs of a network share: its program, its lists of wishes and limits, and how a stream becomes columns.

Comes in: names, nodes, prices and limits as numbers or time series. Goes out: columns with their costs and bounds, kept
under a name that is unique in the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.network import constraints
from mangrove.network.arrays import cube, finite, ordered, per_item
from mangrove.network.handles import (
    TIERS,
    Capacity,
    Demand,
    Fixed,
    Handle,
    Limit,
    Minimum,
    Node,
    Pair,
    Stream,
    Wish,
)
from mangrove.network.horizon import Horizon
from mangrove.network.program import FREE, Program

if TYPE_CHECKING:
    from mangrove.network.solver import Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Port = tuple[Node, Any]
Limited = float | Floats | Sequence[float] | Capacity
H = TypeVar("H", bound=Handle)


class Core:
    """The state of a network under construction, for the modules that add to it.

    Attributes:
        horizon, probabilities, here_and_now: see `Network`.
        program: rows, columns and terms.
        wishes: what may give way; limits: what has a shadow price; pairs, minima, fixes: what may need binaries.
        handles: by name. earlier: columns that get the tie-break. money: (S, T) amount of a rate x its probability.
        solver: holds the program after the first solve; None when the structure has changed since.
    """

    def __init__(
        self, horizon: Horizon, *, probabilities: Sequence[float] | Floats = (1.0,), here_and_now: int = 0
    ) -> None:
        self.horizon = horizon
        self.program = Program()
        self.probabilities = per_item(
            "scenarios", "probability", probabilities, len(probabilities), least=0.0
        )
        if abs(self.probabilities.sum() - 1.0) > 1e-9:  # noqa: PLR2004 - rounding of shares
            raise RequestError("network.probabilities", total=float(self.probabilities.sum()))
        self.here_and_now = min(max(here_and_now, 0), horizon.steps)
        self.wishes: list[Wish] = []
        self.limits: list[Limit] = []
        self.pairs: list[Pair] = []
        self.minima: list[Minimum] = []
        self.fixes: list[Fixed] = []
        self.handles: dict[str, Handle] = {}
        self.solver: Solver | None = None
        self.money = self.probabilities[:, None] * horizon.amount
        self.earlier: list[Ints] = []

    @property
    def scenarios(self) -> int:
        """S, the number of scenarios."""
        return len(self.probabilities)

    def shape(self, items: int) -> tuple[int, int, int]:
        """(items, S, T)."""
        return items, self.scenarios, self.horizon.steps

    def claim(self, name: str) -> None:
        """Refuses a name that is taken, before anything is built under it."""
        if name in self.handles:
            raise RequestError("network.name_twice", name=name)

    def keep(self, handle: H) -> H:
        """Registers a handle under its name; the structure has changed, so the next solve is cold."""
        self.claim(handle.name)
        self.handles[handle.name] = handle
        self.solver = None
        return handle

    def own(self, name: str, what: str, *handles: object) -> None:
        """Refuses what is no handle of this network: its rows or columns would mean something else here.

        Raises:
            RequestError: `network.foreign`. Some of the nodes of a handle count as the handle.
        """
        for handle in handles:
            kept = self.handles.get(getattr(handle, "name", ""))
            if kept is not None and (kept is handle or _part(handle, kept)):
                continue
            raise RequestError(
                "network.foreign", name=name, what=what, given=str(getattr(handle, "name", handle))
            )

    def shift(self, rows: Ints, amount: Floats) -> None:
        """Adds to the right-hand side of balances; rows may repeat (several items at one node)."""
        for side in (self.program.row_lower, self.program.row_upper):
            np.add.at(side, rows.ravel(), np.broadcast_to(amount, rows.shape).ravel())

    def wish(
        self,
        name: str,
        tier: str | None,
        items: tuple[str, ...],
        side: str,
        at: Ints,
        *,
        most: Demand | None = None,
    ) -> None:
        """Lets something give way in its tier (None or `safety`: never). See `Wish`.

        A balance is in rates, so its violation lasts for the hours of its step; everything else is in amounts already.
        """
        if tier is None or tier == TIERS[0]:
            return
        if tier not in TIERS:
            raise RequestError("network.unknown_tier", name=name, text=tier, options=", ".join(TIERS))
        weight = np.broadcast_to(self.horizon.amount if side == "both" else 1.0, at.shape)
        self.wishes.append(Wish(name, tier, items, side, at, weight, most))

    def rates(self, name: str, items: int, owners: tuple[str, ...], *, decided: bool) -> Ints:
        """Columns (n, S, T); those of the first steps are the same in all scenarios when they are decided."""
        now = self.here_and_now if decided and self.scenarios > 1 else 0
        if not now:
            return self.program.columns(name, self.shape(items), owners=owners)
        later = self.horizon.steps - now
        width = now + self.scenarios * later
        flat = self.program.columns(name, (items, width), owners=owners)
        shared = np.broadcast_to(flat[:, None, :now], (items, self.scenarios, now))
        return np.concatenate([shared, flat[:, now:].reshape(items, self.scenarios, later)], axis=2)

    def set_cost(self, stream: Stream, cost: Any) -> None:
        """Money per column: cost x hours x occurrences x probability, added up where scenarios share a column."""
        money = cube(stream.name, "cost", cost, stream.columns.shape) * self.money
        finite(stream.name, "cost", money)
        if stream.decided and self.here_and_now and self.scenarios > 1:
            self.program.cost[stream.columns] = 0.0
            np.add.at(self.program.cost, stream.columns, money)
        else:
            self.program.cost[stream.columns] = money

    def set_bounds(self, stream: Stream, lower: Any, upper: Any) -> None:
        """Limits of the rate; they may not cross."""
        low = cube(stream.name, "lower", lower, stream.columns.shape)
        high = cube(stream.name, "upper", upper, stream.columns.shape)
        ordered(stream.name, low, high)
        if (
            stream.decided and self.here_and_now and self.scenarios > 1
        ):  # shared columns keep the tightest limit
            self.program.lower[stream.columns], self.program.upper[stream.columns] = -FREE, FREE
            np.maximum.at(self.program.lower, stream.columns, low)
            np.minimum.at(self.program.upper, stream.columns, high)
            return
        self.program.lower[stream.columns] = low
        self.program.upper[stream.columns] = high

    def stream(
        self,
        name: str,
        ports: Sequence[Port],
        *,
        cost: Any = 0.0,
        upper: Any = FREE,
        lower: Any = 0.0,
        capacity: Capacity | None = None,
        profile: Any = 1.0,
        decided: bool = False,
    ) -> Stream:
        """Columns with their ports, cost and limits: every source, sink, link and converter is one."""
        self.claim(name)
        if not ports:
            raise RequestError("network.no_ports", name=name)
        self.own(name, "node", *(node for node, _ in ports), *([] if capacity is None else [capacity]))
        items = max(len(node) for node, _ in ports)
        for what, count in [*(("nodes", len(node)) for node, _ in ports), *_sizes(capacity)]:
            if count not in (1, items):
                raise RequestError(
                    "network.bad_shape", name=name, what=what, got=str(count), wanted=str(items)
                )
        coefficients = [cube(name, "coefficient", given, self.shape(items)) for _, given in ports]
        share = cube(name, "profile", profile, self.shape(items), least=0.0)
        for what, array in (*(("coefficient", c) for c in coefficients), ("profile", share)):
            finite(name, what, array)
        owner = next(node.owners for node, _ in ports if len(node) == items)
        columns = self.rates(name, items, owner, decided=decided)
        flows = tuple((node, value) for (node, _), value in zip(ports, coefficients, strict=True))
        stream = Stream(name, columns, capacity, decided, flows)
        self.set_cost(stream, cost)
        for (node, _), value in zip(ports, coefficients, strict=True):
            self.program.terms(node.rows, columns, value)
        if capacity is None:
            self.set_bounds(stream, lower, upper)
            self.limits.append(Limit(name, "capacity", columns, rows=False))
            return self.keep(stream)
        constraints.within_capacity(
            self.program, name, columns, capacity=capacity, profile=share, horizon=self.horizon, owners=owner
        )
        least = cube(name, "lower", lower, columns.shape, least=0.0)
        if (least > 0).any():
            constraints.at_least_capacity(
                self.program,
                f"{name} least",
                columns,
                capacity=capacity,
                share=least,
                horizon=self.horizon,
                owners=owner,
            )
        return self.keep(stream)


def _part(handle: object, kept: Handle) -> bool:
    """Whether a handle is some of the nodes of another one."""
    if (
        not (isinstance(handle, Node) and isinstance(kept, Node))
        or handle.rows.shape[1:] != kept.rows.shape[1:]
    ):
        return False
    return bool(np.isin(handle.rows[:, 0, 0], kept.rows[:, 0, 0]).all())


def _sizes(capacity: Capacity | None) -> list[tuple[str, int]]:
    """How many sizes a stream hangs on, for the check of shapes."""
    return [] if capacity is None else [("capacity", len(capacity.columns))]
