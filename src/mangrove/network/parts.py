# SPDX-License-Identifier: Apache-2.0
"""Independent parts of a program: what shares no row is solved apart, and only the part that changed is solved again.

Comes in: a program. Goes out: parts of it, and values and duals put together again. Months without a store between them, codes
that nobody exchanges for each other and clusters far apart are such parts; nobody has to declare them. The simplex and the
search over binaries both take more than twice as long for twice the size, so parts also save time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import MangroveError
from mangrove.network.program import Program
from mangrove.network.solver import OPTIMAL, Solver

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
SIZE = 2_000
"""Columns of a part, as far as small components are put together; one component is never cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some columns and rows of a program, and the program that they make on their own."""

    columns: Ints
    rows: Ints
    program: Program


def split(lp: Program, *, keep: Bools | None = None, size: int = SIZE) -> list[Part]:
    """The program in parts that share no row.

    Args:
        lp: the program.
        keep: (columns,) which columns stay; the others count as zero, and rows that only they enter are left out.
        size: small components are put together until they have so many columns.
    """
    matrix = lp.matrix()
    kept = np.arange(lp.width) if keep is None else np.flatnonzero(keep)
    matrix = matrix[:, kept]
    of_column, of_row = _labels(matrix)
    count = np.bincount(of_column, minlength=int(max(of_column.max(initial=-1), of_row.max(initial=-1))) + 1)
    bucket = np.cumsum(count) // max(size, 1)
    rows = np.arange(lp.height)
    if keep is not None:
        rows = np.flatnonzero(np.diff(matrix.tocsr().indptr) > 0)
    by_column, by_row = bucket[of_column], bucket[of_row[rows]]
    order, row_order = np.argsort(by_column, kind="stable"), np.argsort(by_row, kind="stable")
    matrix = matrix[:, order]
    local = np.zeros(lp.height, np.int64)
    found = []
    for number in np.union1d(by_column, by_row):
        mine = slice(*np.searchsorted(by_column[order], (number, number + 1)))
        held = rows[row_order[slice(*np.searchsorted(by_row[row_order], (number, number + 1)))]]
        local[held] = np.arange(len(held))
        columns = kept[order[mine]]
        program = Program()
        x = program.columns(
            "part", columns.shape, cost=lp.cost[columns], lower=lp.lower[columns], upper=lp.upper[columns]
        )
        program.rows("part", held.shape, lower=lp.row_lower[held], upper=lp.row_upper[held])
        pointer = matrix.indptr[mine.start : mine.stop + 1]
        at = slice(pointer[0], pointer[-1])
        program.terms(local[matrix.indices[at]], np.repeat(x, np.diff(pointer)), matrix.data[at])
        found.append(Part(columns, held, program))
    return found


def components(lp: Program) -> tuple[Ints, Ints]:
    """The number of the component of each column and of each row; rows without terms have one of their own."""
    return _labels(lp.matrix())


def _labels(matrix: npt.NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Components of the graph that joins a row and a column where the matrix has a term."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    height, width = matrix.shape
    terms = sparse.coo_array(matrix)
    joined = sparse.coo_array(
        (np.ones(terms.nnz, np.int8), (terms.row, terms.col + height)), shape=(height + width, height + width)
    )
    _, label = connected_components(joined, directed=False)
    return label[height:].astype(np.int64), label[:height].astype(np.int64)


class Pieces:
    """A program in independent parts, each with a solver that stays warm.

    Attributes:
        parts: the parts. x, row_duals, bound_duals: what the last solve of each part gave, in the order of the program.
        of_column, of_row: the part of each column and row.

    Invariants:
        `solve` reads costs, bounds and right-hand sides from the program; its terms do not change.
    """

    def __init__(self, lp: Program, *, size: int = SIZE) -> None:
        self.lp, self.parts = lp, split(lp, size=size)
        self._solvers: list[Solver | None] = [None] * len(self.parts)
        self.x, self.row_duals, self.bound_duals = np.zeros(lp.width), np.zeros(lp.height), np.zeros(lp.width)
        self.of_column, self.of_row = np.zeros(lp.width, np.int64), np.zeros(lp.height, np.int64)
        for number, part in enumerate(self.parts):
            self.of_column[part.columns] = self.of_row[part.rows] = number

    def solve(self, which: Iterable[int] | None = None, *, solver: str = "auto") -> float:
        """Solves all parts, or some of them, and returns the cost of all columns.

        Raises:
            MangroveError: `network.solver_failed`: a part has no solution.
        """
        lp = self.lp
        for number in range(len(self.parts)) if which is None else which:
            part = self.parts[number]
            mine, at = part.program, part.columns
            mine.cost[:], mine.lower[:], mine.upper[:] = lp.cost[at], lp.lower[at], lp.upper[at]
            mine.row_lower[:], mine.row_upper[:] = lp.row_lower[part.rows], lp.row_upper[part.rows]
            engine = self._solvers[number]
            if engine is None:
                engine = self._solvers[number] = Solver(mine)
            found = engine.solve(mine, solver=solver)
            if found.status != OPTIMAL:
                raise MangroveError("network.solver_failed", reason=found.status)
            self.x[at], self.bound_duals[at] = found.columns, found.bound_duals
            self.row_duals[part.rows] = found.row_duals
        return float(lp.cost @ self.x)
