# SPDX-License-Identifier: Apache-2.0
"""Possible futures: samples that have the quantiles of the forecast and the course of days that really were.

Comes in: quantiles by step, and what past forecasts missed, day by day. Goes out: samples. Each sample follows one block of past days:
its rank among the drawn days at each step says which quantile of the forecast it takes there (the Schaake shuffle; M. Clark et al.,
Journal of Hydrometeorology 5 (2004), 243-262). So every step has the forecast's own distribution, a sample that is high in the morning
stays high as real days do, and several flows that draw the same days move together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.forecast.calendar import Floats, Ints

FEWEST_DAYS = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What a sampler needs of one forecast; T steps, Q quantiles, n past days of S slots.

    Attributes:
        levels: probabilities, shape (Q,), ascending; quantiles: shape (Q, T), ascending in Q.
        misses: relative misses of past days `(y - median) / width`, shape (n, S); NaN where unknown.
        days: numbers of these days, ascending and without holes, shape (n,).
        day, slot: where each step lies, relative to the first day: shape (T,).
        lower: no sample is below it.
    """

    levels: Floats
    quantiles: Floats
    misses: Floats
    days: Ints
    day: Ints
    slot: Ints
    lower: float | None


def sample(shapes: Sequence[Shape], count: int, seed: int) -> Floats:
    """Draws `count` joint samples of several flows, shape (F, count, T).

    Args:
        shapes: one for each flow; all have the same steps.
        count: samples; at least one.
        seed: the same seed gives the same samples.

    Raises:
        RequestError: `forecast.bad_count`; `forecast.other_steps`, the flows' steps differ.
    """
    if count < 1:
        raise RequestError("forecast.bad_count", count=count)
    if any(len(one.day) != len(shapes[0].day) for one in shapes):
        raise RequestError("forecast.other_steps")
    rng = np.random.Generator(np.random.PCG64(seed))
    reach = int(max(one.day.max() for one in shapes))
    starts = _blocks(shapes, reach)
    noise = rng.random((count, len(shapes[0].day)))
    if len(starts) < FEWEST_DAYS:  # nothing to follow: every sample keeps its own quantile
        noise = np.repeat(rng.permutation(count)[:, None] / count, noise.shape[1], axis=1)
        return np.stack([_at(one, _ranks(noise)) for one in shapes])
    rounds = -(-count // len(starts))
    drawn = np.concatenate([rng.permutation(starts) for _ in range(rounds)])[:count]
    found = []
    for one in shapes:
        rows = drawn[:, None] - one.days[0] + one.day
        course = one.misses[rows, one.slot]
        found.append(_at(one, _ranks(np.where(np.isnan(course), 0.0, course), noise)))
    return np.stack(found)


def _blocks(shapes: Sequence[Shape], reach: int) -> Ints:
    """First days of blocks of `reach + 1` days that every flow knows, mostly."""
    low = max(int(one.days[0]) if len(one.days) else 1 for one in shapes)
    high = min(int(one.days[-1]) if len(one.days) else 0 for one in shapes) - reach
    if high < low:
        return np.empty(0, dtype=np.int64)
    starts = np.arange(low, high + 1)
    good = np.ones(len(starts), dtype=bool)
    for one in shapes:
        known = (~np.isnan(one.misses)).mean(axis=1) >= 0.5  # noqa: PLR2004 - half a day
        rows = starts[:, None] - one.days[0] + np.arange(reach + 1)
        good &= known[rows].all(axis=1)
    return starts[good]


def _ranks(course: Floats, noise: Floats | None = None) -> Floats:
    """The rank of each sample at each step as a probability, shape (S, T); ties are broken by `noise`."""
    order = np.lexsort((noise, course), axis=0) if noise is not None else np.argsort(course, axis=0)
    ranks = np.empty(course.shape)
    places = np.broadcast_to((np.arange(len(course)) + 0.5)[:, None] / len(course), course.shape)
    np.put_along_axis(ranks, order, places, axis=0)
    return ranks


def _at(shape: Shape, ranks: Floats) -> Floats:
    """The forecast's quantile at each rank: linear between the known ones, beyond them by the misses of past days."""
    levels, q = shape.levels, shape.quantiles
    found = np.empty(ranks.shape)
    right = np.clip(np.searchsorted(levels, ranks), 1, max(len(levels) - 1, 1))
    steps = np.arange(q.shape[1])
    if len(levels) > 1:
        low, high = levels[right - 1], levels[right]
        share = np.clip((ranks - low) / (high - low), 0, 1)
        found = q[right - 1, steps] * (1 - share) + q[right, steps] * share
        found += _tail(shape, ranks, 0) + _tail(shape, ranks, -1)
    else:
        found = np.broadcast_to(q[0], ranks.shape).copy()
    return found if shape.lower is None else np.maximum(found, shape.lower)


def _tail(shape: Shape, ranks: Floats, end: int) -> npt.NDArray[np.float64]:
    """What lies beyond the outermost quantile, relative to the band: from the tail of past misses."""
    level = shape.levels[end]
    outside = ranks < level if end == 0 else ranks > level
    known = shape.misses[~np.isnan(shape.misses)]
    if not outside.any() or len(known) < 20:  # noqa: PLR2004 - too few for a tail
        return np.zeros(ranks.shape)
    grid = np.linspace(0, level, 17) if end == 0 else np.linspace(level, 1, 17)
    beyond = np.quantile(known, grid) - np.quantile(known, level)
    width = shape.quantiles[-1] - shape.quantiles[0]
    return np.where(outside, np.interp(ranks, grid, beyond) * width, 0.0)
