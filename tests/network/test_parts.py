"""Independent parts of a program, and the neighborhoods of a design: put together again they are the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.exchanges import drawn

from mangrove.errors import MangroveError
from mangrove.network.design import Openings, design
from mangrove.network.exchange import _Built, exchange_lp
from mangrove.network.exchange_problem import checked
from mangrove.network.neighborhoods import Neighborhoods
from mangrove.network.parts import Pieces, components, split
from mangrove.network.program import Program
from mangrove.network.solver import Solver


def three_blocks():
    """x0 + x1 >= 2 and x2 + x3 >= 3 and nothing about x4; row 2 has no terms."""
    lp = Program()
    x = lp.columns("x", (5,), cost=[1.0, 2.0, 3.0, 1.0, 1.0], upper=5.0)
    rows = lp.rows("need", (3,), lower=[2.0, 3.0, 0.0])
    lp.terms(rows[[0, 0, 1, 1]], x[:4], 1.0)
    return lp


def test_columns_that_share_no_row_are_in_different_components():
    column, row = components(three_blocks())
    assert column[0] == column[1] == row[0]
    assert column[2] == column[3] == row[1]
    assert len({*column.tolist(), *row.tolist()}) == 4


def test_every_column_and_row_is_in_one_part():
    lp = three_blocks()
    for size in (1, 3, 100):
        parts = split(lp, size=size)
        for side, count in (("columns", 5), ("rows", 3)):
            every = np.concatenate([getattr(part, side) for part in parts])
            assert sorted(every.tolist()) == list(range(count))


def test_columns_that_are_left_out_take_their_empty_rows_with_them():
    parts = split(three_blocks(), keep=np.array([False, False, True, True, False]))
    assert [part.columns.tolist() for part in parts] == [[2, 3]]
    assert parts[0].rows.tolist() == [1]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 30))
def test_the_parts_have_the_values_and_duals_of_the_whole(seed, size):
    lp = _Built(checked(drawn(seed, steps=3, links=8))).lp
    whole = Solver(lp).solve(lp)
    pieces = Pieces(lp, size=size)
    assert pieces.solve() == pytest.approx(float(lp.cost @ whole.columns), rel=1e-9, abs=1e-9)
    assert lp.row_upper @ pieces.row_duals == pytest.approx(
        lp.row_upper @ whole.row_duals, rel=1e-7, abs=1e-7
    )


def test_only_the_part_that_is_named_is_solved_again():
    lp = three_blocks()
    pieces = Pieces(lp, size=1)
    assert pieces.solve() == pytest.approx(5.0)
    lp.row_lower[:2] = [4.0, 4.0]
    assert pieces.solve([pieces.of_row[1]]) == pytest.approx(6.0)
    assert pieces.solve() == pytest.approx(8.0)


def test_a_part_without_a_solution_is_an_error():
    lp = three_blocks()
    lp.row_lower[0] = 11.0
    with pytest.raises(MangroveError) as error:
        Pieces(lp).solve()
    assert error.value.code == "network.solver_failed"


@pytest.mark.parametrize("seed", range(3))
def test_neighborhoods_make_a_plan_better_and_keep_its_rows(seed):
    rng = np.random.default_rng(seed)
    problem = drawn(seed, gives=40, takes=40, links=600, fixed=rng.uniform(5, 15, 600))
    built = _Built(checked(problem))
    lp, openings = built.lp, built.openings()
    start = exchange_lp(problem).amount.ravel()  # everything that is worth it without fixed costs
    twin = lp.copy()
    twin.cost[: lp.width] = lp.cost
    y = twin.columns("y", (600,), upper=1.0, cost=openings.cost)
    rows = twin.rows("open", (600,), upper=0.0)
    twin.terms(rows, openings.columns, 1.0)
    twin.terms(rows, y, -openings.most)
    owner, integer = np.full(twin.width, -1), np.zeros(twin.width, bool)
    owner[openings.columns] = owner[y] = np.arange(600)
    integer[y] = True
    plan = np.r_[start, start > 0]
    search = Neighborhoods(twin, integer, owner, plan.astype(float))
    before = search.cost
    found = search.search(np.flatnonzero(start > 0), lambda _: True)
    assert search.cost < before
    assert twin.cost @ found == pytest.approx(search.cost)
    activity = twin.matrix() @ found
    assert (activity <= twin.row_upper + 1e-6).all()
    assert (activity >= twin.row_lower - 1e-6).all()
    assert set(np.unique(found[y])) <= {0.0, 1.0}


def test_a_design_leaves_the_program_as_it_was():
    lp = three_blocks()
    held = [side.copy() for side in (lp.cost, lp.lower, lp.upper, lp.row_lower, lp.row_upper)]
    openings = Openings(
        np.arange(4), np.arange(4), np.full(4, 5.0), np.array([9.0, 1.0, 0.0, 0.0]), np.zeros(4)
    )
    found = design(lp, openings, gap=0.0)
    assert found.opened.tolist() == [False, True, False, True]  # 2 x 2 + 1, not 2 x 1 + 9
    assert (found.cost, found.bound) == pytest.approx((8.0, 8.0))
    for side, old in zip((lp.cost, lp.lower, lp.upper, lp.row_lower, lp.row_upper), held, strict=True):
        assert (side == old).all()
