# SPDX-License-Identifier: Apache-2.0
"""HiGHS, fed with arrays: a program comes in once; afterwards only what changed is passed, and the next solve starts warm.

Costs are scaled by a power of ten before they reach the solver, so that its tolerances mean the same for dong and euro.
The interior-point solver HiPO is an extra (`mangrove[hipo]`); without it IPX of HiGHS does the same, slower.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import MangroveError, RequestError
from mangrove.network.program import Program

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LARGE = 50_000
"""Rows above which an interior-point method beats the simplex (measured on dispatch and sizing years; docs/explanation)."""
SOLVERS = ("auto", "simplex", "hipo", "ipx")
OPTIMAL, INFEASIBLE, UNBOUNDED, LIMIT = "optimal", "infeasible", "unbounded", "limit"
UNKNOWN = "unknown"
_ROUNDING = 1e-7
TYPICAL_COST = 100.0
"""What a typical cost is scaled to: well above the solver's tolerance of 1e-7."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a solve gave: a status; values of columns and rows; duals (money per unit) of rows and of bounds.

    `bound`: of a search over binaries, the cost that no solution can go below; NaN of a linear program.
    """

    status: str
    columns: Floats
    rows: Floats
    row_duals: Floats
    bound_duals: Floats
    solver: str
    iterations: int
    seconds: float
    bound: float = float("nan")


class Solver:
    """One HiGHS instance that holds one program.

    Invariants:
        What HiGHS holds equals the arrays that were passed last; `solve` passes the differences.
    """

    def __init__(self, program: Program, *, integers: Ints | None = None) -> None:
        import highspy

        self._highs = highspy.Highs()
        for option, value in (
            ("output_flag", False), ("threads", 1), ("random_seed", 0), ("dual_feasibility_tolerance", 1e-9)
        ):  # fmt: skip
            self._highs.setOptionValue(option, value)
        self._warm = False
        self.searches = integers is not None
        matrix = program.matrix()
        self.scale = cost_scale(program.cost)
        self._held = _snapshot(program, self.scale)
        cost, lower, upper, row_lower, row_upper = self._held
        if integers is None:
            model = highspy.HighsLp()
            model.num_col_, model.num_row_ = program.width, program.height
            model.col_cost_, model.col_lower_, model.col_upper_ = cost, lower, upper
            model.row_lower_, model.row_upper_ = row_lower, row_upper
            model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
            model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
            model.a_matrix_.value_ = matrix.data
            self._highs.passModel(model)
        else:
            kinds = np.zeros(program.width, dtype=np.int32)
            kinds[integers] = 1
            self._highs.passModel(
                program.width, program.height, matrix.nnz, 1, 1, 0.0, cost, lower, upper, row_lower, row_upper,
                matrix.indptr[:-1].astype(np.int32), matrix.indices.astype(np.int32), matrix.data, kinds,
            )  # fmt: skip

    def solve(
        self, program: Program, *, solver: str = "auto", time_limit: float | None = None, gap: float = 1e-4
    ) -> Outcome:
        """Passes what changed and solves.

        Raises:
            RequestError: `network.unknown_solver`.
        """
        import highspy

        began = time.perf_counter()
        self._pass(program)
        name = self.method(solver, program.height)
        self._set(name, program.height)
        highs = self._highs
        spent = highs.getRunTime()  # HiGHS counts the seconds of all solves of an instance against the limit
        highs.setOptionValue("time_limit", float("inf") if time_limit is None else spent + float(time_limit))
        highs.setOptionValue("mip_rel_gap", gap)
        highs.run()
        status = _status(highs.getModelStatus())
        if status == UNKNOWN:  # a basis or an interior path that led nowhere: once more, from the beginning
            highs.clearSolver()
            highs.setOptionValue("solver", "simplex")
            highs.setOptionValue("presolve", "choose")
            highs.run()
            status = _status(highs.getModelStatus())
        self._warm = True
        if status == OPTIMAL and not program.width and _unmet(program):
            status = INFEASIBLE  # HiGHS does not look at the rows of a program without columns
        solution, info = highs.getSolution(), highs.getInfo()
        known = len(solution.col_value) == program.width and (
            status == OPTIMAL or info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        )
        columns = np.array(solution.col_value) if known else np.full(program.width, np.nan)
        rows = np.array(solution.row_value) if known else np.full(program.height, np.nan)
        dual = len(solution.row_dual) == program.height and len(solution.col_dual) == program.width
        return Outcome(
            LIMIT if status == UNKNOWN else status,
            columns,
            rows,
            np.array(solution.row_dual) / self.scale if dual else np.zeros(program.height),
            np.array(solution.col_dual) / self.scale if dual else np.zeros(program.width),
            name,
            int(max(info.simplex_iteration_count, 0) + max(info.ipm_iteration_count, 0)),
            time.perf_counter() - began,
            float(info.mip_dual_bound) / self.scale if self.searches else float("nan"),
        )

    def begin(self, columns: Floats) -> None:
        """Gives the search a plan to begin with."""
        import highspy

        start = highspy.HighsSolution()
        start.col_value = columns.tolist()
        start.value_valid = True
        self._highs.setSolution(start)

    def method(self, solver: str, height: int) -> str:
        """The method that `solver` means for a program of so many rows.

        Raises:
            RequestError: `network.unknown_solver`.
        """
        if solver not in SOLVERS:
            raise RequestError("network.unknown_solver", text=solver, options=", ".join(SOLVERS))
        name = ("simplex" if height < LARGE else "hipo") if solver == "auto" else solver
        return "ipx" if name == "hipo" and not has_hipo() else name

    def _set(self, name: str, height: int) -> None:
        """Sets the method; a warm start is only worth it for the simplex."""
        highs = self._highs
        highs.setOptionValue("solver", name)
        if name == "simplex":
            highs.setOptionValue("presolve", "off" if self._warm else "choose")
        else:
            highs.setOptionValue("presolve", "choose")
            if name == "hipo":
                # A size stands in a row of every step: normal equations would be dense (2.2 GB for a sizing year, not 0.26).
                highs.setOptionValue("hipo_system", "augmented")
            highs.setOptionValue("run_crossover", "off" if height >= LARGE else "on")

    def _pass(self, program: Program) -> None:
        """Hands over the columns and rows whose data differ from what HiGHS holds."""
        now = _snapshot(program, self.scale)
        held, self._held = self._held, now
        cost, lower, upper, row_lower, row_upper = now
        changed = np.flatnonzero(cost != held[0]).astype(np.int32)
        if len(changed):
            self._highs.changeColsCost(len(changed), changed, cost[changed])
        changed = np.flatnonzero((lower != held[1]) | (upper != held[2])).astype(np.int32)
        if len(changed):
            self._highs.changeColsBounds(len(changed), changed, lower[changed], upper[changed])
        changed = np.flatnonzero((row_lower != held[3]) | (row_upper != held[4])).astype(np.int32)
        if len(changed):
            self._highs.changeRowsBounds(len(changed), changed, row_lower[changed], row_upper[changed])


@cache
def has_hipo() -> bool:
    """Whether the interior-point solver HiPO is installed (the extra `mangrove[hipo]`)."""
    from importlib.util import find_spec

    return find_spec("highspy_extras") is not None or find_spec("highspy.extras") is not None


def _unmet(program: Program) -> bool:
    """Whether a row of a program without columns cannot hold."""
    return bool((program.row_lower > _ROUNDING).any() or (program.row_upper < -_ROUNDING).any())


def _snapshot(program: Program, scale: float) -> tuple[Floats, ...]:
    return (
        program.cost * scale,
        program.lower.copy(),
        program.upper.copy(),
        program.row_lower.copy(),
        program.row_upper.copy(),
    )


def cost_scale(cost: Floats) -> float:
    """The power of ten that brings a typical cost near `TYPICAL_COST`."""
    used = np.abs(cost[cost != 0.0])
    if not len(used):
        return 1.0
    return float(10.0 ** np.round(np.log10(TYPICAL_COST / np.median(used))))


def _status(status: Any) -> str:
    """The word for a status of HiGHS; errors of the solver itself become an exception."""
    import highspy

    known = highspy.HighsModelStatus
    words = {
        known.kOptimal: OPTIMAL,
        known.kModelEmpty: OPTIMAL,
        known.kInfeasible: INFEASIBLE,
        known.kUnbounded: UNBOUNDED,
        known.kUnboundedOrInfeasible: INFEASIBLE,
        known.kTimeLimit: LIMIT,
        known.kIterationLimit: LIMIT,
        known.kUnknown: UNKNOWN,
    }
    if status not in words:
        raise MangroveError("network.solver_failed", reason=str(status).rpartition(".")[2])
    return words[status]
