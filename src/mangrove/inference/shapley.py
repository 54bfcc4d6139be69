# SPDX-License-Identifier: Apache-2.0
"""The Shapley value: what each of several causes adds to a result, as the mean over all orders in which they may come.

Comes in: the value of every coalition (a number or an array, e.g. one per year), as a function or as a table. Goes out: the part
of each cause, which sum to the value of all minus the value of none, and the standard error where orders were sampled.
Notation: v(S) is the value of coalition S of the n causes; x_i = sum over S without i of |S|! (n-|S|-1)! / n! (v(S+i) - v(S))
(L. S. Shapley, A value for n-person games, 1953).
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import RequestError

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

EXACT = 12
"""Causes up to which all coalitions are valued unless a sample is asked for (4,096 values)."""
ORDERS = 200
"""Orders that are sampled beyond, when no number is asked for."""


def shapley(
    value: Callable[[frozenset[int]], float | Floats], n: int, *, samples: int = 0, seed: int = 0
) -> tuple[Floats, Floats]:
    """The Shapley value of causes 0 .. n-1; exact up to `EXACT` of them, or from sampled orders.

    Args:
        value: the value of a coalition; asked once for each coalition needed. Arrays must all have one shape.
        n: number of causes.
        samples: orders to draw, in pairs of an order and its reverse; 0: all coalitions up to `EXACT` causes, else `ORDERS`.
        seed: of the orders.

    Returns:
        values, standard_error: (n, ...) of the shape of the values behind; the error is 0 when it is exact.

    Raises:
        RequestError: `inference.few_orders` below two pairs of orders.

    Example:
        >>> parts, error = shapley(lambda s: 6.0 if {0, 1} <= s else 0.0, 3)
        >>> parts.tolist(), error.tolist()
        ([3.0, 3.0, 0.0], [0.0, 0.0, 0.0])
    """
    known: dict[frozenset[int], Floats] = {}

    def of(members: frozenset[int]) -> Floats:
        if members not in known:
            known[members] = np.asarray(value(members), dtype=float)
        return known[members]

    if not n:
        return (none := np.zeros((0, *of(frozenset()).shape))), none.copy()
    if n <= EXACT and not samples:
        rows = [frozenset(i for i in range(n) if row >> i & 1) for row in range(1 << n)]
        exact = from_table(np.stack([of(members) for members in rows]))
        return exact, np.zeros_like(exact)
    return from_orders(_added(of), n, samples or ORDERS, seed)


def from_table(table: Floats) -> Floats:
    """(2^n, ...) values of all coalitions (bit i of the row says whether cause i is in) to the (n, ...) Shapley value.

    Example:
        >>> from_table(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
        [2.0, 3.0]
    """
    n = len(table).bit_length() - 1
    rows = np.arange(1 << n)
    size = (rows[:, None] >> np.arange(n) & 1).sum(axis=1)
    weights = np.array([factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)])
    parts = np.empty((n, *table.shape[1:]))
    for i in range(n):
        without = rows[(rows >> i & 1) == 0]
        parts[i] = np.tensordot(weights[size[without]], table[without | 1 << i] - table[without], axes=1)
    return parts


def from_orders(
    added: Callable[[NDArray[np.int64]], Floats], n: int, samples: int, seed: int = 0, *, batch: int = 0
) -> tuple[Floats, Floats]:
    """The Shapley value from random orders in antithetic pairs (each order and its reverse), with standard errors.

    Args:
        added: (k, n) orders to (k, n, ...): what each cause adds when they come in that order.
        n: number of causes.
        samples: orders in all.
        seed: of the orders.
        batch: pairs that are asked for at once; 0: all.

    The parts of every single order sum to v(all) - v(none), so their mean does too.

    Raises:
        RequestError: `inference.few_orders` below two pairs.
    """
    pairs = samples // 2
    if pairs < 2:  # noqa: PLR2004 - one pair has no standard error
        raise RequestError("inference.few_orders", count=samples)
    rng, step = np.random.default_rng(seed), batch or pairs
    found = []
    for low in range(0, pairs, step):
        orders = np.array([rng.permutation(n) for _ in range(min(step, pairs - low))])
        found.append((added(orders) + added(orders[:, ::-1])) / 2)
    means = np.concatenate(found)
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(pairs)


def _added(of: Callable[[frozenset[int]], Floats]) -> Callable[[NDArray[np.int64]], Floats]:
    """What each cause adds in each order, by asking the value of every prefix."""

    def added(orders: NDArray[np.int64]) -> Floats:
        none = of(frozenset())
        found = np.empty((*orders.shape, *none.shape))
        for row, order in enumerate(orders.tolist()):
            before = none
            for count, cause in enumerate(order, start=1):
                after = of(frozenset(order[:count]))
                found[row, cause] = after - before
                before = after
        return found

    return added
