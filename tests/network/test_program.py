"""The sparse program: blocks, terms and copies."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mangrove.network.program import Program, owners_of


@given(arrays(np.float64, (3, 4), elements=st.floats(-5, 5, allow_subnormal=False)))
def test_a_matrix_given_as_terms_comes_back(dense):
    lp = Program()
    columns, rows = lp.columns("x", (4,)), lp.rows("r", (3,))
    lp.terms(rows[:, None], columns[None, :], dense)
    np.testing.assert_array_equal(lp.matrix().toarray(), dense)


def test_terms_at_one_position_are_added_and_zeros_are_left_out():
    lp = Program()
    x, row = lp.columns("x", (2,)), lp.rows("r", (1,))
    lp.terms(row, x[:1], 2.0)
    lp.terms(row[:, None], x[None], np.array([[3.0, 0.0]]))
    assert lp.matrix().nnz == 1
    assert lp.matrix().toarray().tolist() == [[5.0, 0.0]]


def test_data_of_blocks_survive_growth():
    lp = Program()
    for i in range(30):
        lp.columns(f"x{i}", (7,), cost=float(i), lower=-float(i), upper=i + np.arange(7.0))
    assert lp.width == 210
    np.testing.assert_array_equal(lp.cost, np.repeat(np.arange(30.0), 7))
    assert [block.stop for block in lp.column_blocks] == list(range(7, 217, 7))
    np.testing.assert_array_equal(lp.upper[-7:], 29 + np.arange(7.0))


def test_a_copy_can_grow_without_touching_the_original():
    lp = Program()
    lp.terms(lp.rows("r", (2,), lower=1.0), lp.columns("x", (2,), cost=3.0), 1.0)
    twin = lp.copy()
    twin.lower[:] = 7.0
    twin.terms(twin.rows("s", (1,)), twin.columns("y", (1,)), 1.0)
    assert (lp.width, lp.height, lp.matrix().nnz) == (2, 2, 2)
    assert (twin.width, twin.height, twin.matrix().nnz) == (3, 3, 3)
    np.testing.assert_array_equal(lp.lower, 0.0)
    np.testing.assert_array_equal(twin.cost, 0.0)


def test_an_empty_program_has_an_empty_matrix():
    assert Program().matrix().shape == (0, 0)


def test_one_owner_stands_for_all_items():
    assert owners_of("firm", 3) == ("firm",) * 3
    assert owners_of(("a", "b"), 2) == ("a", "b")
