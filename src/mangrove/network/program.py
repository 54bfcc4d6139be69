# SPDX-License-Identifier: Apache-2.0
"""A sparse linear program as arrays: columns, rows and terms come in; what HiGHS needs goes out.

Everything is a block: a name, an index array of some shape, and data of that shape. Terms are kept as coordinates until
`matrix` sorts them into compressed columns, once; afterwards only costs, bounds and right-hand sides change.
Blocks remember the owner of each item, so that the dual value of every row and bound can be given to somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Shape = tuple[int, ...]
FREE = np.inf


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive columns or rows with one name: `[start, start + size)` in the order of `shape`; `owners` one per item."""

    name: str
    start: int
    shape: Shape
    owners: tuple[str, ...]

    @property
    def stop(self) -> int:
        """The first index after the block."""
        return self.start + prod(self.shape)


class _Side:
    """The columns or the rows: blocks and their data, grown block by block into plain arrays."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.blocks: list[Block] = []
        self.size = 0
        self.data = {name: np.empty(64) for name in fields}

    def add(self, name: str, shape: Shape, owners: tuple[str, ...], **values: Any) -> Ints:
        """Appends a block and returns its indices in `shape`."""
        count = prod(shape)
        start, stop = self.size, self.size + count
        for field, given in values.items():
            array = self.data[field]
            if stop > len(array):
                grown = np.empty(max(stop, 2 * len(array)))
                grown[:start] = array[:start]
                self.data[field] = array = grown
            array[start:stop].reshape(shape)[...] = given
        self.blocks.append(Block(name, start, shape, owners))
        self.size = stop
        return np.arange(start, stop).reshape(shape)

    def array(self, field: str) -> Floats:
        """A view of the data of all blocks."""
        return self.data[field][: self.size]


class Program:
    """A linear program under construction, and its data afterwards.

    Example:
        >>> lp = Program()
        >>> x = lp.columns("x", (2,), cost=[1.0, 2.0])
        >>> row = lp.rows("need", (1,), lower=3.0)
        >>> lp.terms(row[:, None], x[None, :], 1.0)
        >>> lp.matrix().shape
        (1, 2)
    """

    def __init__(self) -> None:
        self._columns = _Side(("cost", "lower", "upper"))
        self._rows = _Side(("lower", "upper"))
        self._terms: list[tuple[Ints, Ints, Floats]] = []

    def columns(
        self,
        name: str,
        shape: Shape,
        *,
        lower: Any = 0.0,
        upper: Any = FREE,
        cost: Any = 0.0,
        owners: tuple[str, ...] = ("",),
    ) -> Ints:
        """New columns of `shape`; data broadcast to it. Returns their indices in `shape`."""
        return self._columns.add(name, shape, owners, cost=cost, lower=lower, upper=upper)

    def rows(
        self,
        name: str,
        shape: Shape,
        *,
        lower: Any = -FREE,
        upper: Any = FREE,
        owners: tuple[str, ...] = ("",),
    ) -> Ints:
        """New rows of `shape`: lower <= terms <= upper. Returns their indices in `shape`."""
        return self._rows.add(name, shape, owners, lower=lower, upper=upper)

    def terms(self, rows: Ints, columns: Ints, coefficients: Any) -> None:
        """Adds coefficient x column to row, for all three broadcast against each other."""
        if np.shape(coefficients) == () and np.shape(rows) == np.shape(columns):
            self._terms.append((rows.ravel(), columns.ravel(), np.full(rows.size, float(coefficients))))
            return
        shape = np.broadcast_shapes(np.shape(rows), np.shape(columns), np.shape(coefficients))
        values = np.broadcast_to(np.asarray(coefficients, dtype=np.float64), shape).ravel()
        at = np.broadcast_to(rows, shape).ravel(), np.broadcast_to(columns, shape).ravel()
        used = values != 0.0
        if used.all():
            self._terms.append((*at, values))
        else:
            self._terms.append((at[0][used], at[1][used], values[used]))

    @property
    def width(self) -> int:
        """The number of columns."""
        return self._columns.size

    @property
    def height(self) -> int:
        """The number of rows."""
        return self._rows.size

    @property
    def cost(self) -> Floats:
        """Money per unit of each column (a view that may be written)."""
        return self._columns.array("cost")

    @property
    def lower(self) -> Floats:
        """Lower bound of each column (a view that may be written)."""
        return self._columns.array("lower")

    @property
    def upper(self) -> Floats:
        """Upper bound of each column (a view that may be written)."""
        return self._columns.array("upper")

    @property
    def row_lower(self) -> Floats:
        """Lower side of each row (a view that may be written)."""
        return self._rows.array("lower")

    @property
    def row_upper(self) -> Floats:
        """Upper side of each row (a view that may be written)."""
        return self._rows.array("upper")

    @property
    def column_blocks(self) -> Sequence[Block]:
        """The blocks of columns, in order."""
        return self._columns.blocks

    @property
    def row_blocks(self) -> Sequence[Block]:
        """The blocks of rows, in order."""
        return self._rows.blocks

    def copy(self) -> Program:
        """The same rows, columns and terms, without costs and names; blocks may be added to the copy."""
        twin = Program()
        twin.columns("all", (self.width,), lower=self.lower, upper=self.upper)
        twin.rows("all", (self.height,), lower=self.row_lower, upper=self.row_upper)
        twin._terms = list(self._terms)
        return twin

    def matrix(self) -> Any:
        """The terms as a `scipy.sparse.csc_array` (rows x columns); equal positions are added."""
        from scipy import sparse

        if self._terms:
            rows, columns, values = (np.concatenate(part) for part in zip(*self._terms, strict=True))
        else:
            rows = columns = np.empty(0, dtype=np.int64)
            values = np.empty(0)
        at = rows.astype(np.int32), columns.astype(np.int32)
        return sparse.coo_array((values, at), shape=(self.height, self.width)).tocsc()


@lru_cache(maxsize=256)
def owners_of(owner: str | tuple[str, ...], count: int) -> tuple[str, ...]:
    """One owner for each of `count` items."""
    return (owner,) * count if isinstance(owner, str) else owner
