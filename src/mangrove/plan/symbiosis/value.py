# SPDX-License-Identifier: Apache-2.0
"""What any group of companies is worth together: the optimum with only their offers, needs and units.

Comes in: a case. Goes out: `Values`: worth of coalitions, of the case without a place and without an exchange. Companies that no chain
of arcs joins do not change each other's worth, so each group of joined companies has a program of its own, solved warm from
coalition to coalition: only the limits of arcs change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import InfeasibleError
from mangrove.network.solver import INFEASIBLE, Solver
from mangrove.plan.symbiosis.build import build
from mangrove.plan.symbiosis.model import Case, Floats, Ints

Bools = NDArray[np.bool_]
PROVEN = 1e-9
"""Relative gap of the searches over links with fixed costs: values of coalitions are compared with each other."""


@dataclass(eq=False)
class Values:
    """Worth of coalitions of the members of a case, VND/yr; each computed at most once.

    Attributes:
        case: the case.
        open_only: arcs that may be used; None: all. The game of a plan whose links cost once is played on the links it opens.
    """

    case: Case
    open_only: Bools | None = None
    _known: dict[tuple[int, bytes], float] = field(default_factory=dict, repr=False)

    @property
    def members(self) -> tuple[str, ...]:
        """The places that take part."""
        return self.case.members

    @cached_property
    def groups(self) -> tuple[Ints, ...]:
        """Positions of the members of each group that arcs join, largest first."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        seats = self.case.seats if self.open_only is None else self.case.seats[self.open_only]
        arc, member = np.nonzero(seats)
        count, n = seats.shape
        joined = coo_array((np.ones(len(arc)), (arc, count + member)), shape=(count + n, count + n))
        _, label = connected_components(joined, directed=False)
        of_member = label[count:]
        found = [np.flatnonzero(of_member == one) for one in np.unique(of_member)]
        return tuple(sorted(found, key=lambda at: (-len(at), at[0])))

    @cached_property
    def _programs(self) -> tuple[_Warm | None, ...]:
        found: list[_Warm | None] = []
        usable = np.ones(len(self.case), bool) if self.open_only is None else self.open_only
        for group in self.groups:
            inside = np.zeros(len(self.members), bool)
            inside[group] = True
            arcs = np.flatnonzero(usable & ~(self.case.seats & ~inside).any(axis=1))
            found.append(_Warm(self.case, arcs) if len(arcs) else None)
        return tuple(found)

    def many(self, masks: Bools) -> Floats:
        """(k, n) coalitions to (k,) VND/yr."""
        total = np.zeros(len(masks))
        for g, (group, program) in enumerate(zip(self.groups, self._programs, strict=True)):
            if program is not None:
                total += [self._of(g, program, row) for row in masks[:, group]]
        return total

    def of_group(self, group: int, masks: Bools) -> Floats:
        """(k, m) coalitions of one group's members to (k,) VND/yr."""
        program = self._programs[group]
        if program is None:
            return np.zeros(len(masks))
        return np.array([self._of(group, program, row) for row in masks])

    def _of(self, group: int, program: _Warm, row: Bools) -> float:
        key = group, np.packbits(row).tobytes()
        if key not in self._known:
            inside = np.zeros(len(self.members), bool)
            inside[self.groups[group][row]] = True
            able = ~(self.case.seats[program.arcs] & ~inside).any(axis=1)
            self._known[key] = program.worth(able) if able.any() else 0.0
        return self._known[key]

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
        found = []
        for arc in arcs.tolist():
            member = np.flatnonzero(self.case.seats[arc])[0]
            g = next(g for g, group in enumerate(self.groups) if member in group)
            program = self._programs[g]
            assert program is not None
            able = program.arcs != arc
            everybody = np.ones(len(self.groups[g]), bool)
            whole = self._of(g, program, everybody)
            found.append(max(whole - (program.worth(able) if able.any() else 0.0), 0.0))
        return np.array(found)


class _Warm:
    """The program of some arcs, kept in the solver."""

    def __init__(self, case: Case, arcs: Ints) -> None:
        self.arcs = arcs
        self.part = only(case, arcs)
        built = build(self.part)
        self.columns, self.lp = built.columns, built.net.program
        self.upper, self.lower = self.part.capacity, self.part.least
        fixed = np.flatnonzero(self.part.fixed > 0)
        integers = None
        if len(fixed):
            y = self.lp.columns("opened", (len(fixed),), cost=self.part.fixed[fixed], upper=1.0)
            rows = self.lp.rows("opening", (len(fixed), built.columns.shape[1]), upper=0.0)
            self.lp.terms(rows, built.columns[fixed], 1.0)
            self.lp.terms(rows, y[:, None], -built.most()[fixed])
            integers = y
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


def only(case: Case, arcs: Ints) -> Case:
    """The case with some of its arcs; offers, needs and units stay, so that positions mean the same."""
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
    return replace(
        case,
        **{name: getattr(case, name)[arcs] for name in arrays},
        money={part: values[arcs] for part, values in case.money.items()},
        reasons=tuple(case.reasons[a] for a in arcs.tolist()) if case.reasons else (),
        blends=tuple(blends),
        groups=tuple(groups),
    )
