# SPDX-License-Identifier: Apache-2.0
"""A good plan made better: small neighborhoods of a large design are searched whole, everything around them held as it is.

Comes in: a program with its binaries, a plan, and the openings whose components are too large to search at once. Goes out: a plan that
costs no more. A neighborhood is what lies around one opening: the rows that it enters, the openings that enter these, and so on.
Large neighborhood search after Shaw (CP 1998, LNCS 1520, 417), with an exact search inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.network.program import Program
from mangrove.network.solver import Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
SIZE = 60
"""Openings of a neighborhood: most are searched in two hundredths of a second (40 to 150 give plans within 0.2 %)."""
_LONGEST = 1.0
"""Seconds for one neighborhood."""
_GAP = 1e-3


class Neighborhoods:
    """The search around one opening after the other, in a fixed random order.

    Args:
        twin: the program with its binaries. integer: (columns,) bool. owner: (columns,) the opening of each column, -1: none.
        plan: (columns,) values of a plan that holds.

    Attributes:
        plan: the best plan so far. cost: what it costs.
    """

    def __init__(self, twin: Program, integer: Bools, owner: Ints, plan: Floats) -> None:
        from scipy import sparse

        self.twin, self.integer, self.plan = twin, integer, plan
        self.by_column = twin.matrix()
        self.by_row = self.by_column.tocsr()
        self.activity = self.by_column @ plan
        self.owner, self.cost = owner, float(twin.cost @ plan)
        mine = np.flatnonzero(owner >= 0)
        count = int(owner.max(initial=-1)) + 1
        self.columns = sparse.csr_array((np.ones(len(mine)), (owner[mine], mine)), shape=(count, twin.width))

    def search(self, centers: Ints, more: Callable[[float], bool]) -> Floats:
        """Searches around the openings `centers` until all have been in a neighborhood that could not be improved.

        Args:
            centers: openings, in the order in which they are tried.
            more: whether there is time and need for another one, told the cost so far.
        """
        settled = np.zeros(self.columns.shape[0], bool)
        for center in centers:
            if settled[center]:
                continue
            if not more(self.cost):
                break
            items = self._around(int(center))
            if self._improve(items):
                settled[items] = False
            settled[items] = True
        return self.plan

    def _around(self, center: int) -> Ints:
        """The openings nearest to one, at most `SIZE`."""
        items = np.array([center])
        while True:
            columns = _entries(self.columns, items)
            rows = np.unique(_entries(self.by_column.T, columns))
            near = self.owner[np.unique(_entries(self.by_row, rows))]
            grown = np.unique(near[near >= 0])
            if len(grown) == len(items):
                return items
            if len(grown) > SIZE:
                new = np.setdiff1d(grown, items)
                return np.concatenate([items, new[: max(SIZE - len(items), 0)]])
            items = grown

    def _improve(self, items: Ints) -> bool:
        """Searches the openings and the columns without fixed cost beside them; whether the plan became cheaper."""
        twin = self.twin
        columns = np.unique(_entries(self.columns, items))
        rows = np.unique(_entries(self.by_column.T, columns))
        beside = np.unique(_entries(self.by_row, rows))
        columns = np.union1d(columns, beside[self.owner[beside] < 0])
        inside = self.by_column[:, columns].tocsr()
        rows = np.flatnonzero(np.diff(inside.indptr))
        terms = inside[rows].tocoo()
        held = self.activity[rows] - inside[rows] @ self.plan[columns]
        part = Program()
        x = part.columns(
            "near",
            columns.shape,
            cost=twin.cost[columns],
            lower=twin.lower[columns],
            upper=twin.upper[columns],
        )
        part.rows("near", rows.shape, lower=twin.row_lower[rows] - held, upper=twin.row_upper[rows] - held)
        part.terms(terms.row.astype(np.int64), x[terms.col], terms.data)
        engine = Solver(part, integers=np.flatnonzero(self.integer[columns]))
        engine.begin(self.plan[columns])
        found = engine.solve(part, time_limit=_LONGEST, gap=_GAP).columns
        now = float(part.cost @ self.plan[columns])
        if not np.isfinite(found).all() or float(part.cost @ found) >= now - 1e-9 * max(abs(now), 1.0):
            return False
        whole = self.integer[columns]
        found[whole] = np.round(found[whole])
        self.plan[columns] = found
        self.cost += float(part.cost @ found) - now
        self.activity[rows] = held + inside[rows] @ found
        return True


def _entries(table: Any, lines: Ints) -> Ints:
    """The positions of all terms in some lines of a compressed table (rows of csr, or rows of a transposed csc)."""
    start, stop = table.indptr[lines], table.indptr[lines + 1]
    length = stop - start
    at = np.repeat(start - np.r_[0, np.cumsum(length)[:-1]], length) + np.arange(int(length.sum()))
    found: Ints = table.indices[at].astype(np.int64)
    return found
