# SPDX-License-Identifier: Apache-2.0
"""The nouns of a network: what its building verbs return, and what a plan is asked about.

Each one holds index arrays into the program, shaped (items, scenarios, steps), and nothing else; values live in the program
and in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mangrove.network.program import Program

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TIERS = ("safety", "promised", "comfort", "contract", "preference")
"""What must hold first; `safety` is never given up."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Places where one carrier must balance: `rows` (n, S, T) are the balances, rates in = rates out."""

    name: str
    names: tuple[str, ...]
    rows: Ints
    owners: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, item: int | slice | Sequence[int]) -> Node:
        """Some of the nodes."""
        at = np.atleast_1d(np.arange(len(self))[item])
        return replace(
            self,
            names=tuple(self.names[i] for i in at),
            rows=self.rows[at],
            owners=tuple(self.owners[i] for i in at),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Capacity:
    """Sizes that the plan chooses: `columns` (n, Y) are what is built in each investment year.

    In year y the size is existing (n, Y) plus what was built in the years v with `alive[v, y]`.
    """

    name: str
    columns: Ints
    existing: Floats
    alive: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Rates that the plan chooses: `columns` (n, S, T), never negative unless declared so.

    `ports`: the nodes that it flows into (coefficient above zero, broadcasts to `columns`) and out of.
    """

    name: str
    columns: Ints
    capacity: Capacity | None = None
    decided: bool = False
    ports: tuple[tuple[Node, Floats], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A fixed demand: `rows` (n, S, T) of its nodes carry it on their right-hand side; `amount` holds it now."""

    name: str
    rows: Ints
    amount: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """A store: the level (amount) at the end of each step, and the streams in and out of it.

    A lean store has no streams: its level stands in the node's balance itself.
    `first` (n, S) are the rows that carry the start level; None when the store is cyclic. `follows`: the level at the end
    must be at least the start. `size`: the level's limit, when the plan chooses it.
    """

    name: str
    level: Ints
    charging: Stream | None
    discharging: Stream | None
    first: Ints | None
    keep: Floats
    end: Ints | None = None
    days: Ints | None = None
    follows: bool = False
    size: Capacity | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Connected vehicles: charging (and discharging) streams inside their stay, and what they must have got by the end."""

    name: str
    charging: Stream
    discharging: Stream | None
    need: Ints
    level: Ints | None
    settings: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """Billed peaks: `columns` (S, G), one a group (a month, or a month and a band of hours); `rows` (S, blocks)."""

    name: str
    columns: Ints
    rows: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """A limit on a weighted sum over all steps: `rows` (S,)."""

    name: str
    rows: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What must hold for all that flows into a node together: `rows` (K, S, T)."""

    name: str
    rows: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """Money for having each item of a stream at all: `cost` (n,); `most` broadcasts to its columns, None when it follows."""

    name: str
    stream: Stream
    cost: Floats
    most: Floats | None = None


Handle = Node | Stream | Demand | Store | Sessions | Capacity | Peak | Budget | Condition | Fixed


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """Something that gives way rather than make the plan impossible.

    Attributes:
        name, tier: for people; `items` one name an item.
        side: `both` (right-hand side of a balance), `lower` or `upper` (of a row), `floor` or `ceiling` (of a column).
        at: (n, S, T) or (n, S) indices of the rows or columns.
        weight: broadcasts to `at`; amount (in units) of one unit of violation.
        most: broadcasts to `at`; how far it can give way (infinite when not limited); read when needed.
    """

    name: str
    tier: str
    items: tuple[str, ...]
    side: str
    at: Ints
    weight: Floats
    most: Demand | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A limit whose shadow price is worth showing: columns at their upper bound, or rows; `kind` says what it is."""

    name: str
    kind: str
    at: Ints
    rows: bool

    def worth(self, lp: Program, row_duals: Floats, bound_duals: Floats) -> Floats:
        """What one more unit of the limit would save, by position of `at` (never negative).

        A column whose upper bound is zero while others of the limit are not (a roof at night, a charger without its
        vehicle) is no limit that could be widened.
        """
        if self.rows:
            return np.abs(row_duals[self.at])
        upper = lp.upper[self.at]
        open_ = (upper > 0.0) | ~(upper > 0.0).any()
        return np.where(open_, np.maximum(-bound_duals[self.at], 0.0), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two streams that must not run at the same time: columns of equal shape."""

    name: str
    first: Ints
    second: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """A stream that is off or at least at `least` (broadcasts to its columns)."""

    name: str
    columns: Ints
    least: Floats
