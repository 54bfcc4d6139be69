# SPDX-License-Identifier: Apache-2.0
"""Why a sum of products changed: the additive logarithmic mean Divisia index (LMDI-I), which leaves no remainder.

Comes in: components (sectors, flows) as products of factors at two times. Goes out: the part of the change of each component that each
factor made; the parts add up to the change. B. W. Ang, "LMDI decomposition approach: a guide for implementation", Energy Policy 86
(2015) 233-238; zeros by their analytical limits, B. W. Ang and N. Liu, Energy Policy 35 (2007) 238-246.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
_NEAR = 1e-4


def decompose(before: npt.ArrayLike, after: npt.ArrayLike) -> Floats:
    """The effect of each factor on each component, `L(E_after, E_before) ln(x_after / x_before)`.

    A component that appears or disappears is due to the factors that are zero at one end, in equal parts; the others leave nothing.

    Args:
        before: factors of each component at the first time, shape (..., K, F), none negative.
        after: the same at the second time, same shape.

    Returns:
        Effects, shape (..., K, F), in the unit of the product; their sum over F is the change of each component.

    Raises:
        RequestError: `why.negative` for a negative or missing factor, `why.shapes` for shapes that differ.

    Example:
        >>> decompose([[2.0, 3.0]], [[4.0, 3.0]]).tolist()
        [[6.0, 0.0]]
        >>> decompose([[0.0, 3.0]], [[4.0, 5.0]]).tolist()
        [[20.0, 0.0]]
    """
    x, y = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if x.shape != y.shape or x.ndim < 2:  # noqa: PLR2004 - components and factors
        raise RequestError("why.shapes", before=str(x.shape), after=str(y.shape))
    if not ((x >= 0).all() and (y >= 0).all() and np.isfinite(x).all() and np.isfinite(y).all()):
        raise RequestError("why.negative")
    first, last = x.prod(axis=-1), y.prod(axis=-1)
    positive = (first > 0) & (last > 0)
    ratio = np.divide(y, x, out=np.ones_like(x), where=positive[..., None])
    effects = log_mean(np.where(positive, last, 1.0), np.where(positive, first, 1.0))[..., None] * np.log(
        ratio
    )
    blame = np.where((first > 0)[..., None], y == 0, x == 0) & ~positive[..., None]
    count = np.maximum(blame.sum(axis=-1, keepdims=True), 1)
    return np.asarray(np.where(positive[..., None], effects, (last - first)[..., None] * blame / count))


def log_mean(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """The logarithmic mean `(a - b) / (ln a - ln b)` of positive numbers, `a` where they are equal.

    Near equality the series of `(a + b) / 2` is used, where the quotient would lose its digits.

    Example:
        >>> float(log_mean(2.0, 2.0)), round(float(log_mean(1.0, np.e)), 6)
        (2.0, 1.718282)
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    middle = (x + y) / 2
    d = (x - y) / (x + y)
    close = np.abs(d) < _NEAR
    safe = np.where(close, 2.0, x / y)
    # ln(x/y) = 2 artanh(d), so L = middle d / artanh(d) = middle (1 - d^2/3 - 4 d^4/45 - ...)
    return np.asarray(np.where(close, middle * (1 - d * d / 3 - 4 * d**4 / 45), (x - y) / np.log(safe)))
