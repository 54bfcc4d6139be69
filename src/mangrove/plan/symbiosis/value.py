# SPDX-License-Identifier: Apache-2.0
"""What any group of companies is worth together: the optimum with only their offers, needs and units.

Comes in: a case. Goes out: `Values`: worth of coalitions, of the case without a place and without an exchange. Exchanges that share no offer,
no need and no unit do not change each other's worth, though one company may have a part in many of them. So the worth of a coalition is
the sum over such blocks, v(S) = sum_b v_b(S and b), and each block has a small program of its own, solved warm from coalition to coalition:
only the limits of arcs change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import InfeasibleError
from mangrove.network.design import open_
from mangrove.network.solver import INFEASIBLE, Solver
from mangrove.plan.symbiosis.build import build
from mangrove.plan.symbiosis.model import Bools, Case, Floats, Ints

PROVEN = 1e-9
"""Relative gap of the searches over links with fixed costs: values of coalitions are compared with each other."""
TABLED = 12
"""Members of a block up to which the worth of all its coalitions is found at once (4,096 programs)."""


@dataclass(eq=False)
class Block:
    """Exchanges that share offers, needs or units: positions of their members and of their arcs, and who is needed for each arc."""

    case: Case
    members: Ints
    arcs: Ints
    seats: Bools
    _known: dict[bytes, float] = field(default_factory=dict, repr=False)

    @cached_property
    def program(self) -> _Warm:
        """The program of the exchanges, made when first asked for."""
        return _Warm(self.case, self.arcs)

    @cached_property
    def table(self) -> Floats:
        """(2^m,) worth of every coalition of the members; bit i says whether member i is in it."""
        m = len(self.members)
        return np.array(
            [self.of(row) for row in (np.arange(1 << m)[:, None] >> np.arange(m) & 1).astype(bool)]
        )

    def many(self, masks: Bools) -> Floats:
        """(k, m) coalitions of the block's members to (k,) VND/yr."""
        if len(self.members) <= TABLED:
            return self.table[masks @ (1 << np.arange(len(self.members)))]
        return np.array([self.of(row) for row in masks])

    def of(self, row: Bools) -> float:
        """One coalition (m,)."""
        key = np.packbits(row).tobytes()
        if key not in self._known:
            able = np.asarray(~(self.seats & ~row).any(axis=1), dtype=bool)
            self._known[key] = self.program.worth(able) if able.any() else 0.0
        return self._known[key]


@dataclass(eq=False)
class Values:
    """Worth of coalitions of the members of a case, VND/yr; each part computed at most once.

    Attributes:
        case: the case.
        open_only: (A,) arcs that may be used; None: all. The game of a plan whose links cost once is played on the links it opens.
    """

    case: Case
    open_only: Bools | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The places that take part."""
        return self.case.members

    @cached_property
    def usable(self) -> Ints:
        """Positions of the arcs that may be used."""
        return np.arange(len(self.case)) if self.open_only is None else np.flatnonzero(self.open_only)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The exchanges that depend on each other, block by block."""
        case, arcs = self.case, self.usable
        if not len(arcs):
            return ()
        offers, needs = len(case.offers), len(case.needs)
        ends = [(arcs, case.offer[arcs])]
        ends.append((arcs[case.need[arcs] >= 0], offers + case.need[arcs][case.need[arcs] >= 0]))
        ends.append((arcs[case.unit[arcs] >= 0], offers + needs + case.unit[arcs][case.unit[arcs] >= 0]))
        first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
        label = _components(first, second, len(case), offers + needs + len(case.units))[arcs]
        return tuple(self._block(arcs[label == one]) for one in dict.fromkeys(label.tolist()))

    def _block(self, arcs: Ints) -> Block:
        members = np.flatnonzero(self.case.seats[arcs].any(axis=0))
        return Block(self.case, members, arcs, self.case.seats[np.ix_(arcs, members)])

    @cached_property
    def groups(self) -> tuple[Ints, ...]:
        """Positions of the members of each group that exchanges join, largest first; who has none is a group alone."""
        arc, member = np.nonzero(self.case.seats[self.usable])
        label = _components(arc, member, len(self.usable), len(self.members))[len(self.usable) :]
        found = [np.flatnonzero(label == one) for one in np.unique(label)]
        return tuple(sorted(found, key=lambda at: (-len(at), at[0])))

    def blocks_of(self, group: Ints) -> tuple[Block, ...]:
        """The blocks whose members are in a group."""
        return tuple(block for block in self.blocks if block.members[0] in group)

    def many(self, masks: Bools) -> Floats:
        """(k, n) coalitions to (k,) VND/yr."""
        total = np.zeros(len(masks))
        for block in self.blocks:
            total += block.many(masks[:, block.members])
        return total

    @cached_property
    def all(self) -> float:
        """Worth of everybody together."""
        return float(self.many(np.ones((1, len(self.members)), bool))[0])

    def losses(self) -> Floats:
        """(n,) VND/yr that are lost when one member leaves and the others make the best of it; never negative."""
        without = self.many(~np.eye(len(self.members), dtype=bool))
        return np.maximum(self.all - without, 0.0)

    def losses_of_arcs(self, arcs: Ints) -> Floats:
        """(k,) VND/yr that are lost when one exchange (the same offer, need and unit) stops and the rest makes the best of it."""
        of_arc = {int(arc): block for block in self.blocks for arc in block.arcs}
        found = []
        for arc in arcs.tolist():
            block = of_arc[arc]
            able = block.arcs != arc
            whole = block.of(np.ones(len(block.members), bool))
            found.append(max(whole - (block.program.worth(able) if able.any() else 0.0), 0.0))
        return np.array(found)


def _components(first: Ints, second: Ints, left: int, right: int) -> NDArray[Any]:
    """(left + right,) numbers of the connected components of a two-sided graph with an edge for each pair."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = left + right
    edges = coo_array((np.ones(len(first)), (first, left + np.asarray(second))), shape=(size, size))
    found: NDArray[Any] = connected_components(edges, directed=False)[1]
    return found


class _Warm:
    """The program of some arcs, kept in the solver."""

    def __init__(self, case: Case, arcs: Ints) -> None:
        self.part = only(case, arcs, small=True)
        built = build(self.part)
        self.columns, self.lp = built.columns, built.net.program
        self.upper, self.lower = self.part.capacity, self.part.least
        integers, openings = None, built.openings()
        if len(openings.cost):
            integers = self.lp.columns("opened", openings.cost.shape, cost=openings.cost, upper=1.0)
            open_(self.lp, openings.columns, integers[openings.item], openings.most)
        self.solver = Solver(self.lp, integers=integers)

    def worth(self, able: Bools) -> float:
        """VND/yr when only some of the arcs can be used.

        Raises:
            InfeasibleError: `exchange.no_plan`, least amounts contradict limits.
        """
        self.lp.upper[self.columns] = np.where(able[:, None], self.upper, 0.0)
        self.lp.lower[self.columns] = np.where(able[:, None], self.lower, 0.0)
        outcome = self.solver.solve(self.lp, gap=PROVEN)
        if outcome.status == INFEASIBLE:
            raise InfeasibleError("exchange.no_plan", places=", ".join(self.part.members))
        return (
            max(-float(self.lp.cost @ outcome.columns), 0.0)
            if not self.lower.any()
            else -float(self.lp.cost @ outcome.columns)
        )


def only(case: Case, arcs: Ints, *, small: bool = False) -> Case:
    """The case with some of its arcs; `small`: and with their offers and needs alone, else positions mean the same."""
    at = np.full(len(case), -1)
    at[arcs] = np.arange(len(arcs))
    blends = [
        replace(one, arcs=at[one.arcs[kept]], excess=one.excess[kept])
        for one in case.blends
        if (kept := at[one.arcs] >= 0).any()
    ]
    groups = [
        replace(one, arcs=at[one.arcs[kept]]) for one in case.groups if (kept := at[one.arcs] >= 0).any()
    ]
    arrays = (
        "offer", "need", "unit", "ratio", "power", "carbon", "capacity", "least", "fixed", "distance", "score",
    )  # fmt: skip
    found = replace(
        case,
        **{name: getattr(case, name)[arcs] for name in arrays},
        money={part: values[arcs] for part, values in case.money.items()},
        reasons=tuple(case.reasons[a] for a in arcs.tolist()) if case.reasons else (),
        blends=tuple(blends),
        groups=tuple(groups),
    )
    return _pruned(found) if small else found


def _pruned(case: Case) -> Case:
    """The case without offers and needs that no arc ends at."""
    offers, offer = np.unique(case.offer, return_inverse=True)
    needs, need = np.unique(case.need[case.need >= 0], return_inverse=True)
    ends = np.full(len(case), -1)
    ends[case.need >= 0] = need
    place = {int(old): new for new, old in enumerate(needs)}
    return replace(
        case,
        offers=tuple(case.offers[i] for i in offers),
        needs=tuple(case.needs[j] for j in needs) or case.needs[:1],
        offer=offer,
        need=ends,
        blends=tuple(replace(one, need=place[one.need]) for one in case.blends),
    )
