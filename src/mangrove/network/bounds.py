# SPDX-License-Identifier: Apache-2.0
"""The most that each column of a program can be, as its rows imply: what a supply holds and a demand takes bounds every link.

Comes in: a program. Goes out: upper bounds, as tight as passing them along the rows makes them. A fixed cost needs them: the
tighter the bound of a link, the better the linear program knows what opening it costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.network.program import Program

Floats = npt.NDArray[np.float64]
ROUNDS = 8
"""Times that bounds are passed on: rows between the two ends of the longest chain that matters."""


def most(lp: Program) -> Floats:
    """(columns,) the largest value that any solution can have, or a little more; infinite when nothing limits it.

    Of a row L <= sum_k a_k x_k <= U follows x_j <= (U - least of the rest) / a_j for a_j > 0, and
    x_j <= (most of the rest - L) / |a_j| for a_j < 0 (Brearley, Mitra, Williams, Mathematical Programming 8 (1975) 54).

    Example:
        >>> lp = Program()
        >>> x = lp.columns("x", (2,))
        >>> row = lp.rows("supply", (1,), upper=3.0)
        >>> lp.terms(row[:, None], x[None, :], [[1.0, 2.0]])
        >>> most(lp).tolist()
        [3.0, 1.5]
    """
    terms = lp.matrix().tocoo()
    upper = lp.upper.copy()
    for _ in range(ROUNDS):
        tighter = np.minimum(upper, _implied(lp, terms, upper))
        done = (
            tighter >= upper - 1e-9 * np.maximum(np.abs(np.where(np.isfinite(upper), upper, 0.0)), 1.0)
        ).all()
        upper = tighter
        if done:
            break
    return np.maximum(upper, lp.lower)


def _implied(lp: Program, terms: Any, upper: Floats) -> Floats:
    """What one pass over all rows says of every column."""
    row, column, a = terms.row, terms.col, terms.data
    implied = np.full(lp.width, np.inf)
    low, high = a * lp.lower[column], a * upper[column]
    side = np.where(a > 0, lp.row_upper[row], -lp.row_lower[row])
    for positive in (True, False):
        # least of the rest for a > 0; of the negated row, whose terms are -a, for a < 0
        least = np.where(a > 0, low, high) if positive else -np.where(a > 0, high, low)
        endless = ~np.isfinite(least)
        known = np.where(endless, 0.0, least)
        total = np.bincount(row, known, minlength=lp.height)
        open_ = np.bincount(row, endless, minlength=lp.height)
        rest = total[row] - known
        mine = ((a > 0) == positive) & (open_[row] - endless == 0) & np.isfinite(side)
        np.minimum.at(implied, column[mine], (side[mine] - rest[mine]) / np.abs(a[mine]))
    return implied
