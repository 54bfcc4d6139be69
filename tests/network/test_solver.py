"""HiGHS fed with arrays: warm data, methods, scales, and outcomes that are no plan."""

import numpy as np
import pytest

from mangrove.errors import RequestError
from mangrove.network.program import Program
from mangrove.network.solver import (
    INFEASIBLE,
    LARGE,
    OPTIMAL,
    UNBOUNDED,
    Solver,
    cost_scale,
    has_hipo,
)


def diet(scale=1.0):
    """Two foods at 2 and 3, two needs: x + y >= 4, x + 3 y >= 6."""
    lp = Program()
    x = lp.columns("food", (2,), cost=np.array([2.0, 3.0]) * scale)
    rows = lp.rows("need", (2,), lower=[4.0, 6.0])
    lp.terms(rows[:, None], x[None], np.array([[1.0, 1.0], [1.0, 3.0]]))
    return lp


def test_a_program_solved_by_hand_has_its_values_and_duals():
    # both needs bind: x + y = 4, x + 3 y = 6 -> x = 3, y = 1, cost 9; duals: u + v = 2, u + 3 v = 3 -> u = 1.5, v = 0.5
    found = Solver(diet()).solve(diet())
    assert found.status == OPTIMAL
    np.testing.assert_allclose(found.columns, [3.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(found.row_duals, [1.5, 0.5], atol=1e-9)
    np.testing.assert_allclose(found.bound_duals, 0.0, atol=1e-9)


@pytest.mark.parametrize("solver", ["simplex", "hipo", "ipx", "auto"])
def test_every_method_finds_the_same(solver):
    lp = diet()
    found = Solver(lp).solve(lp, solver=solver)
    np.testing.assert_allclose(found.columns, [3.0, 1.0], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 235_414.0, 1e9])
def test_prices_of_any_currency_give_the_same_plan_and_duals_in_that_currency(scale):
    lp = diet(scale)
    found = Solver(lp).solve(lp)
    np.testing.assert_allclose(found.columns, [3.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(found.row_duals, np.array([1.5, 0.5]) * scale, rtol=1e-9)


def test_changed_data_are_passed_and_nothing_else_is_left_from_before():
    lp = diet()
    solver = Solver(lp)
    solver.solve(lp)
    lp.cost[:], lp.row_lower[:], lp.upper[:] = [1.0, 9.0], [4.0, 6.0], [5.0, 9.0]
    warm, cold = solver.solve(lp), Solver(lp).solve(lp)
    np.testing.assert_allclose(warm.columns, cold.columns, atol=1e-9)
    assert warm.columns @ lp.cost == pytest.approx(5.0 + 9.0 / 3.0)  # x at its limit of 5, y = 1/3


def test_outcomes_that_are_no_plan_are_named():
    lp = diet()
    solver = Solver(lp)
    lp.upper[:] = 1.0
    assert solver.solve(lp).status == INFEASIBLE
    lp.upper[:], lp.cost[:] = np.inf, -1.0
    assert solver.solve(lp).status in (UNBOUNDED, INFEASIBLE)
    lp.cost[:] = [2.0, 3.0]
    assert solver.solve(lp).status == OPTIMAL


def test_rows_without_columns_hold_or_do_not():
    lp = Program()
    assert Solver(lp).solve(lp).status == OPTIMAL
    lp.rows("balance", (1,), lower=0.0, upper=0.0)
    assert Solver(lp).solve(lp).status == OPTIMAL
    lp.row_lower[:] = lp.row_upper[:] = 5.0
    assert Solver(lp).solve(lp).status == INFEASIBLE


def test_integers_are_searched():
    lp = diet()
    lp.row_lower[:] = [3.5, 6.0]
    found = Solver(lp, integers=np.array([0, 1])).solve(lp, gap=0.0)
    np.testing.assert_allclose(found.columns, [3.0, 1.0], atol=1e-6)


def test_a_large_program_goes_to_an_interior_point_method_and_an_unknown_word_is_refused():
    solver = Solver(diet())
    assert solver.method("auto", LARGE - 1) == "simplex"
    assert solver.method("auto", LARGE) == ("hipo" if has_hipo() else "ipx")
    with pytest.raises(RequestError) as refused:
        solver.method("cplex", 1)
    assert refused.value.code == "network.unknown_solver"


def test_the_scale_brings_a_typical_cost_near_a_hundred():
    for typical in (1e-6, 0.15, 1833.0, 3e8):
        assert 30.0 < cost_scale(np.array([0.0, typical, typical])) * typical < 320.0
    assert cost_scale(np.zeros(3)) == 1.0
