# SPDX-License-Identifier: Apache-2.0
"""Prior covariances that are never formed: each knows a square root `L` with `B = L L'` and multiplies with it.

Comes in: standard deviations, shared factors, correlations along axes, rates of random walks. Goes out: the products `V L` and `L Z`, which
are all that estimation, sampling and evidence need. Arrays may be of any library of the array API (NumPy, PyTorch, CuPy), in either
precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mangrove.errors import RequestError

Array = Any
"""An array of any library that follows the array API."""


class Root(Protocol):
    """A Gaussian `N(mean, L L')`: `mean` has shape (n,), `L` (n, q)."""

    @property
    def mean(self) -> Array:
        """(n,)."""
        ...

    @property
    def columns(self) -> int:
        """The number q of columns of `L`."""
        ...

    def left(self, rows: Array) -> Array:
        """`rows @ L`: (k, n) to (k, q)."""
        ...

    def right(self, columns: Array) -> Array:
        """`L @ columns`: (q, k) to (n, k)."""
        ...


def namespace(*arrays: Array) -> Any:
    """The array library of some arrays; `RequestError` when they come from different ones."""
    from array_api_compat import array_namespace

    try:
        return array_namespace(*arrays)
    except TypeError:
        kinds = ", ".join(sorted({type(one).__module__.split(".")[0] for one in arrays}))
        raise RequestError("sensing.mixed_arrays", kinds=kinds) from None


def like(array: Array) -> dict[str, Any]:
    """The type and the device that a new array needs to meet `array`: on a GPU, what is made without them lies elsewhere."""
    from array_api_compat import device

    return {"dtype": array.dtype, "device": device(array)}


@dataclass(frozen=True, eq=False)
class Prior:
    """A factor model: `B = F diag(S) F' + diag(D)`. What shares a factor, a provider or a proxy moves together.

    Attributes:
        mean: (n,); factors: F, (n, r); scales: S, (r,) variances of the factors; own: D, (n,) variances that nothing shares.

    Example:
        >>> import numpy as np
        >>> shared = Prior(np.ones(3), np.ones((3, 1)), np.array([0.04]), np.full(3, 0.01))
        >>> round(float(np.sum(shared.left(np.ones((1, 3))) ** 2)), 2)  # 9 x 0.04 + 3 x 0.01
        0.39
    """

    mean: Array
    factors: Array
    scales: Array
    own: Array

    def __post_init__(self) -> None:
        n = self.mean.shape[0]
        if self.factors.shape != (n, self.scales.shape[0]) or self.own.shape != (n,):
            raise RequestError(
                "sensing.shapes",
                expected=f"({n}, {self.scales.shape[0]}), ({n},)",
                got=f"{tuple(self.factors.shape)}, {tuple(self.own.shape)}",
            )

    @classmethod
    def independent(cls, mean: Array, variance: Array) -> Prior:
        """Without shared factors."""
        xp = namespace(mean, variance)
        nothing = xp.zeros((mean.shape[0], 0), **like(mean))
        return cls(mean, nothing, xp.zeros((0,), **like(mean)), variance)

    @property
    def columns(self) -> int:
        """R + n."""
        return int(self.factors.shape[1] + self.mean.shape[0])

    def left(self, rows: Array) -> Array:
        """`rows @ [F sqrt(S), sqrt(D)]`, at the cost of the factors alone."""
        xp = namespace(rows, self.mean)
        shared = (rows @ self.factors) * xp.sqrt(self.scales)[None, :]
        return xp.concat([shared, rows * xp.sqrt(self.own)[None, :]], axis=1)

    def right(self, columns: Array) -> Array:
        """`[F sqrt(S), sqrt(D)] @ columns`: one draw costs O(n r)."""
        xp = namespace(columns, self.mean)
        r = self.factors.shape[1]
        shared = self.factors @ (xp.sqrt(self.scales)[:, None] * columns[:r, :])
        return shared + xp.sqrt(self.own)[:, None] * columns[r:, :]


@dataclass(frozen=True, eq=False)
class Dense:
    """A covariance given by any square root: `B = root root'`."""

    mean: Array
    root: Array

    @classmethod
    def of(cls, mean: Array, covariance: Array) -> Dense:
        """From a positive definite covariance, (n, n)."""
        xp = namespace(mean, covariance)
        return cls(mean, xp.linalg.cholesky(covariance))

    @property
    def columns(self) -> int:
        """The columns of the root."""
        return int(self.root.shape[1])

    def left(self, rows: Array) -> Array:
        """`rows @ root`."""
        return rows @ self.root

    def right(self, columns: Array) -> Array:
        """`root @ columns`."""
        return self.root @ columns


@dataclass(frozen=True, eq=False)
class Separable:
    """`B = diag(s) (C_1 (x) C_2 (x) ...) diag(s)`: time by north by east, the last axis fastest; B is never formed.

    The root is `diag(s) (L_1 (x) L_2 (x) ...)` with the Cholesky factor of each axis, applied axis by axis as small products.

    Attributes:
        mean: (n,) with n the product of the sizes; sd: (n,); blocks: a correlation matrix for each axis.
    """

    mean: Array
    sd: Array
    blocks: tuple[Array, ...]
    _roots: tuple[Array, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        xp = namespace(self.mean, *self.blocks)
        size = 1
        for block in self.blocks:
            size *= block.shape[0]
        if self.mean.shape != (size,) or self.sd.shape != (size,):
            raise RequestError("sensing.shapes", expected=f"({size},)", got=f"{tuple(self.mean.shape)}")
        object.__setattr__(self, "_roots", tuple(xp.linalg.cholesky(block) for block in self.blocks))

    @property
    def columns(self) -> int:
        """n: the root is square."""
        return int(self.mean.shape[0])

    def left(self, rows: Array) -> Array:
        """`rows @ L`."""
        return self._along(rows * self.sd[None, :], transposed=True)

    def right(self, columns: Array) -> Array:
        """`L @ columns`."""
        xp = namespace(columns)
        spread = xp.matrix_transpose(self._along(xp.matrix_transpose(columns), transposed=False))
        return spread * self.sd[:, None]

    def _along(self, rows: Array, *, transposed: bool) -> Array:
        """Each axis of each row multiplied with its root: `L' v` when transposed, which is `(v' L)'`, else `L v`."""
        xp = namespace(rows)
        count, size = rows.shape
        before = count
        for root in self._roots:
            n = root.shape[0]
            after = size * count // (before * n)
            factor = xp.matrix_transpose(root) if transposed else root
            if after == 1:
                rows = xp.reshape(rows, (before, n)) @ xp.matrix_transpose(factor)
            else:
                rows = xp.matmul(factor[None, :, :], xp.reshape(rows, (before, n, after)))
            before *= n
        return xp.reshape(rows, (count, size))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Independent parts one after the other: `B` is block diagonal."""

    parts: tuple[Root, ...]

    @property
    def mean(self) -> Array:
        """The means, joined."""
        xp = namespace(*(part.mean for part in self.parts))
        return xp.concat([part.mean for part in self.parts])

    @property
    def columns(self) -> int:
        """The sum over the parts."""
        return sum(part.columns for part in self.parts)

    def left(self, rows: Array) -> Array:
        """`rows @ L`, part by part."""
        xp = namespace(rows)
        sizes = [part.mean.shape[0] for part in self.parts]
        return xp.concat(
            [part.left(rows[:, a:b]) for part, (a, b) in zip(self.parts, spans(sizes), strict=True)], axis=1
        )

    def right(self, columns: Array) -> Array:
        """`L @ columns`, part by part."""
        xp = namespace(columns)
        sizes = [part.columns for part in self.parts]
        return xp.concat(
            [part.right(columns[a:b, :]) for part, (a, b) in zip(self.parts, spans(sizes), strict=True)]
        )


@dataclass(frozen=True, eq=False)
class Scaled:
    """A prior whose root has its columns multiplied: standard deviations that the data decided."""

    root: Root
    scale: Array

    @property
    def mean(self) -> Array:
        """That of the root."""
        return self.root.mean

    @property
    def columns(self) -> int:
        """Those of the root."""
        return self.root.columns

    def left(self, rows: Array) -> Array:
        """`rows @ L diag(scale)`."""
        return self.root.left(rows) * self.scale[None, :]

    def right(self, columns: Array) -> Array:
        """`L diag(scale) @ columns`."""
        return self.root.right(self.scale[:, None] * columns)


def spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of parts that stand one after the other.

    Example:
        >>> spans([2, 3])
        [(0, 2), (2, 5)]
    """
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def exponential(positions: Array, length: float) -> Array:
    """Correlations `exp(-distance / length)` between positions: (n,) along an axis or (n, d) in space, to (n, n).

    Example:
        >>> import numpy as np
        >>> exponential(np.array([0.0, 5.0]), 5.0).round(3).tolist()
        [[1.0, 0.368], [0.368, 1.0]]
    """
    xp = namespace(positions)
    points = positions[:, None] if positions.ndim == 1 else positions
    apart = points[:, None, :] - points[None, :, :]
    return xp.exp(-xp.sqrt(xp.sum(apart * apart, axis=2)) / length)


def random_walk(steps: int, initial: float, step: float, beside: Array) -> Array:
    """The root of a random walk: (steps, steps), lower triangular.

    The first value has the standard deviation `initial`, every later one adds an independent step of the standard deviation `step`: the
    same Gaussian that a Kalman filter carries, as one block of the linear system. It has the type and the device of `beside`.
    """
    xp = namespace(beside)
    ones = xp.tril(xp.ones((steps, steps), **like(beside)))
    sizes = xp.concat([xp.full((1,), initial, **like(beside)), xp.full((steps - 1,), step, **like(beside))])
    return ones * sizes[None, :]
