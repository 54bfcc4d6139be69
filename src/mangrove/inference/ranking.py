# SPDX-License-Identifier: Apache-2.0
"""Where it comes from, with the doubt that belongs to it: ranks, the chance of a place among the first, the smallest set that covers half.

Comes in: samples of what each part emits (wards, sectors, or pairs of both), drawn together so that shared errors move together. Goes out:
probabilities and sets. A rank without its probability is a guess: parts whose intervals overlap change places from sample to sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cover:
    """The smallest set of parts whose means add up to a share of the total.

    Attributes:
        members: indices, largest first; share: of the total that they hold; probability: (n,) chance that each part belongs to the
            smallest set of a sample; size_low, size_high: central 95 % interval of the size of that set.
    """

    members: Ints
    share: float
    probability: Floats
    size_low: int
    size_high: int


def in_top(samples: npt.ArrayLike, count: int = 10) -> Floats:
    """The probability that each part is among the `count` largest, shape (n,).

    Args:
        samples: shape (S, n); ties are broken by the order of the parts.
        count: how many parts are the first.

    Example:
        >>> in_top([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]], 1).tolist()
        [0.5, 0.0, 0.5]
    """
    drawn = _checked(samples)
    parts = drawn.shape[1]
    if count >= parts:
        return np.ones(parts)
    first = np.argsort(-drawn, axis=1, kind="stable")[:, : max(count, 0)]
    return np.bincount(first.ravel(), minlength=parts) / len(drawn)


def rank_interval(samples: npt.ArrayLike, level: float = 0.95) -> tuple[Ints, Ints]:
    """The central interval of the rank of each part (1 is the largest), two arrays of shape (n,).

    Example:
        >>> low, high = rank_interval([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
        >>> low.tolist(), high.tolist()
        ([1, 2, 1], [3, 2, 3])
    """
    drawn = _checked(samples)
    order = np.argsort(-drawn, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, drawn.shape[1] + 1)[None, :], axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return low.astype(np.int64), high.astype(np.int64)


def cover(samples: npt.ArrayLike, share: float = 0.5) -> Cover:
    """The smallest set of parts that holds `share` of the total.

    Largest first is optimal here: any set of the same size holds no more. Parts that take away (negative) never belong to it.

    Args:
        samples: shape (S, n); the set itself is that of the means.
        share: of the total, above 0 and at most 1.

    Raises:
        RequestError: `why.share` for a share outside (0, 1], `why.nothing` when the total is not positive.

    Example:
        >>> cover([[5.0, 3.0, 2.0]]).members.tolist(), cover([[5.0, 3.0, 2.0]], 0.6).members.tolist()
        ([0], [0, 1])
    """
    drawn = _checked(samples)
    if not 0 < share <= 1:
        raise RequestError("why.share", share=share)
    mean = drawn.mean(axis=0)
    if not mean.sum() > 0:
        raise RequestError("why.nothing")
    sizes, belongs = _smallest(drawn, share)
    (size,), _ = _smallest(mean[None], share)
    members = np.argsort(-mean, kind="stable")[:size]
    low, high = np.quantile(sizes, [0.025, 0.975], method="inverted_cdf")
    return Cover(members, float(mean[members].sum() / mean.sum()), belongs.mean(axis=0), int(low), int(high))


def _smallest(drawn: Floats, share: float) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The size of the smallest set of each sample, and who belongs to it."""
    order = np.argsort(-drawn, axis=1, kind="stable")
    held = np.cumsum(np.take_along_axis(np.maximum(drawn, 0), order, axis=1), axis=1)
    wanted = share * drawn.sum(axis=1, keepdims=True)
    sizes = np.minimum((held < wanted * (1 - 1e-12)).sum(axis=1) + 1, drawn.shape[1])
    belongs = np.zeros(drawn.shape, np.bool_)
    np.put_along_axis(belongs, order, np.arange(drawn.shape[1])[None, :] < sizes[:, None], axis=1)
    return sizes, belongs


def _checked(samples: npt.ArrayLike) -> Floats:
    drawn = np.atleast_2d(np.asarray(samples, np.float64))
    if drawn.ndim != 2 or not drawn.size or not np.isfinite(drawn).all():  # noqa: PLR2004 - samples x parts
        raise RequestError("why.samples", shape=str(drawn.shape))
    return drawn
