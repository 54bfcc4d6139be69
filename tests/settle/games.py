# SPDX-License-Identifier: Apache-2.0
"""Small cost games: a published one, one from a table, one whose answers have a formula."""

import numpy as np
from hypothesis import strategies as st

from mangrove.settle.game import Game

TVA = {
    "1": 163_520, "2": 140_826, "3": 250_096, "12": 301_607, "13": 378_821, "23": 367_370, "123": 412_584,
}  # fmt: skip
"""Tennessee Valley Authority, navigation, flood control and power in thousand dollars (Ransmeier 1942), as in Straffin and
Heaney 1981, "Game theory and the Tennessee Valley Authority", International Journal of Game Theory 10(1)."""


def tennessee() -> Game:
    return Game(("1", "2", "3"), lambda s: float(TVA["".join(sorted(s))]))


def tabled(costs) -> Game:
    """A game whose costs stand in a table of 2^n numbers (bit i of the index is member i)."""
    n = (len(costs) - 1).bit_length()
    table = np.asarray(costs, dtype=float)
    return Game(tuple("abcdefghijkl"[:n]), many=lambda masks: table[masks @ (1 << np.arange(n))])


def tables(n):
    return st.lists(st.integers(-50, 1000), min_size=2**n - 1, max_size=2**n - 1).map(lambda c: [0, *c])


def concave(n: int, seed: int = 3) -> Game:
    """An airport game: a coalition pays for its longest runway (Littlechild and Owen 1973)."""
    needs = np.random.default_rng(seed).uniform(1.0, 10.0, n)
    names = tuple(f"m{i:02d}" for i in range(n))
    return Game(names, many=lambda masks: np.where(masks, needs, 0.0).max(axis=1))
