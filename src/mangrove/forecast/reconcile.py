# SPDX-License-Identifier: Apache-2.0
"""Forecasts that add up: what a ward is expected to take is the sum of what its meters are.

Comes in: forecasts of totals and of their parts, each made by itself, which series adds up to which, and how the forecasts missed lately.
Goes out: the nearest forecasts that add up exactly, nearest where "near" counts a series the less the worse it is known (MinT: S. L.
Wickramasuriya, G. Athanasopoulos, R. J. Hyndman, Journal of the American Statistical Association 114 (2019), 804-819). With C y = 0
for all totals and W the covariance of the misses the answer is `y - W C' (C W C')^-1 C y`, a projection: what adds up already stays
as it is, and what is right on average stays so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from mangrove.errors import RequestError
from mangrove.forecast.calendar import Floats

METHODS = ("mint", "wls", "bottom_up")
MOST_DENSE = 400
"""Series up to which their whole covariance is used; of more, only the variances: `mint` becomes `wls`."""
_RIDGE = 1e-10
"""Share of the largest variance of a total that is added to all: at night the sun's forecasts have none."""
_FEWEST_DAYS = 7


@dataclass(frozen=True)
class Hierarchy:
    """Which series is the sum of which others; n series, m of them totals.

    Attributes:
        names: of all series, in the order of every array here.
        parts: total -> its parts; a part may be a total itself, a series has one total at most.

    Example:
        >>> tree = Hierarchy(("park", "a", "b"), {"park": ("a", "b")})
        >>> tree.constraints.toarray().tolist(), tree.summing.toarray().tolist()
        ([[1.0, -1.0, -1.0]], [[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    """

    names: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for total, parts in self.parts.items():
            for name in (total, *parts):
                if name not in self.names:
                    raise RequestError("forecast.unknown_part", name=name)
            again = [name for name in parts if name in seen or name == total]
            if again or not parts:
                raise RequestError("forecast.not_a_tree", name=again[0] if again else total)
            seen.update(parts)
        above = {part: total for total, parts in self.parts.items() for part in parts}
        for name in self.parts:
            here: str | None = name
            for _ in self.names:
                here = above.get(here) if here is not None else None
            if here is not None:  # still inside something after as many steps as there are series
                raise RequestError("forecast.not_a_tree", name=name)

    @cached_property
    def constraints(self) -> sparse.csr_array:
        """C of shape (m, n): a row says total minus parts."""
        place = {name: index for index, name in enumerate(self.names)}
        row, column, value = [], [], []
        for number, (total, parts) in enumerate(self.parts.items()):
            row += [number] * (1 + len(parts))
            column += [place[total], *(place[name] for name in parts)]
            value += [1.0, *[-1.0] * len(parts)]
        return sparse.csr_array((value, (row, column)), shape=(len(self.parts), len(self.names)))

    @cached_property
    def bottom(self) -> npt.NDArray[np.int64]:
        """Positions of the series that are no totals, shape (b,)."""
        return np.array([i for i, name in enumerate(self.names) if name not in self.parts], dtype=np.int64)

    @cached_property
    def summing(self) -> sparse.csr_array:
        """S of shape (n, b): every series as a sum of those that are no totals."""
        rows = {self.names[at]: {index} for index, at in enumerate(self.bottom)}

        def of(name: str) -> set[int]:
            if name not in rows:
                rows[name] = set().union(*(of(part) for part in self.parts[name]))
            return rows[name]

        pairs = [(i, index) for i, name in enumerate(self.names) for index in sorted(of(name))]
        at = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return sparse.csr_array(
            (np.ones(len(at)), (at[:, 0], at[:, 1])), shape=(len(self.names), len(self.bottom))
        )


def reconcile(
    base: Floats,
    tree: Hierarchy,
    widths: Floats,
    correlation: Floats | None = None,
    *,
    lower: Sequence[float | None] = (),
    method: str = "mint",
) -> Floats:
    """The nearest values that add up.

    Args:
        base: shape (n, ..., T): forecasts, or samples of them, made each by itself.
        tree: which series adds up to which.
        widths: how uncertain each series is at each step, shape (n, T): standard deviations, or anything in proportion to them. A series
            that is certain (0) does not move.
        correlation: of the misses, shape (n, n), see `shrunk`; None: independent (`wls`).
        lower: bounds by series; a part that would fall below its bound is set to it and the totals are added up again.
        method: one of `METHODS`; `bottom_up` adds up the parts and believes no total.

    Returns:
        Shape of `base`; `tree.constraints @ result` is 0.

    Raises:
        RequestError: `forecast.unknown_method`.

    Example:
        >>> tree = Hierarchy(("park", "a", "b"), {"park": ("a", "b")})
        >>> reconcile(np.array([[13.0], [4.0], [6.0]]), tree, np.ones((3, 1))).ravel().round(6).tolist()
        [12.0, 5.0, 7.0]
    """
    if method not in METHODS:
        raise RequestError("forecast.unknown_method", text=method, options=", ".join(METHODS))
    found = np.array(base, dtype=np.float64)
    if tree.parts and method != "bottom_up":
        dense = correlation if method == "mint" else None
        for step in range(base.shape[-1]):
            found[..., step] -= _missing(found[..., step], tree, widths[:, step], dense)
    parts = found[tree.bottom]
    if lower:
        bounds = np.array([-np.inf if lower[at] is None else lower[at] for at in tree.bottom])
        parts = np.maximum(parts, bounds.reshape(-1, *[1] * (parts.ndim - 1)))
    return np.asarray((tree.summing @ parts.reshape(len(parts), -1)).reshape(found.shape))


def _missing(values: Floats, tree: Hierarchy, width: Floats, correlation: Floats | None) -> Floats:
    """`W C' (C W C')^-1 C y` of one step, shape of `values` (n, ...)."""
    c = tree.constraints
    if correlation is None:
        across = sparse.csc_array(c.multiply(width**2).T)
    else:
        across = width[:, None] * (correlation @ (width[:, None] * c.T.toarray()))
    between = c @ across
    between = np.asarray(between.toarray() if sparse.issparse(between) else between)
    if not between.any():
        return np.zeros_like(values)
    between += _RIDGE * np.diag(between).max() * np.eye(len(between))
    gap = c @ values.reshape(len(values), -1)
    return np.asarray((across @ np.linalg.solve(between, gap)).reshape(values.shape))


def shrunk(misses: Floats) -> tuple[Floats, float]:
    """The correlation of misses, drawn towards independence as far as the days are few.

    The share is that of J. Schäfer and K. Strimmer (Statistical Applications in Genetics and Molecular Biology 4 (2005), 32), with whole
    days as the independent pieces: steps of a day miss together.

    Args:
        misses: shape (days, S, n), NaN where unknown.

    Returns:
        The matrix of shape (n, n), positive definite, and the share of independence in it, 0 to 1.
    """
    z = np.where(np.isnan(misses), 0.0, misses)
    days, _, n = z.shape
    scale = np.sqrt((z**2).mean(axis=(0, 1)))
    z = z / np.where(scale > 0, scale, 1.0)
    if days < _FEWEST_DAYS or n < 2:  # noqa: PLR2004 - nothing to correlate
        return np.eye(n), 1.0
    daily = np.einsum("dsi,dsj->dij", z, z, optimize=True) / z.shape[1]
    r = daily.mean(axis=0)
    spread = ((daily - r) ** 2).sum(axis=0) / (days * (days - 1))
    off = ~np.eye(n, dtype=bool)
    total = float((r[off] ** 2).sum())
    share = float(np.clip(spread[off].sum() / total, 0.05, 1)) if total > 0 else 1.0
    return np.where(off, (1 - share) * r, 1.0), share
