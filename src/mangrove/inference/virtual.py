# SPDX-License-Identifier: Apache-2.0
"""A stack or a process without an analyser, estimated from process data: fitted, validated by time, watched, recalibrated.

Comes in: rows in order of time: inputs, and reference measurements where there are any. Goes out: a meter that estimates the reading with
80 and 95 % intervals, says how good it was on stretches of time it had not seen, follows the level and the gain that reference
campaigns show, calls when it is out of its depth, and asks for the next campaign.

Rows next to each other are alike, so a random split would let a model look up its neighbors and promise what it cannot keep. There is no
random split here: every figure comes from whole blocks of time that were not seen, later than what was learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from mangrove.errors import DataQualityError
from mangrove.inference.drift import Domain, domain
from mangrove.inference.misses import DAY, Memory, memory

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEVELS = (0.025, 0.1, 0.9, 0.975)
"""Edges of the 95 % and the 80 % interval."""
FEWEST = 96
"""Rows with a reference that a meter needs: four days by the hour."""
BLOCKS = 10
_FIRST = 3
"""Blocks that the first validation learns from."""
_VARIES = 1e-9
"""Range of the readings, as a share of the largest, below which they are those of a stuck analyser."""
_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
_PRODUCTS = 16
"""With more inputs than this, squares are taken but no products."""
_TREES: dict[str, Any] = {
    "objective": "quantile", "alpha": 0.5, "learning_rate": 0.05, "num_leaves": 24, "min_data_in_leaf": 30, "max_bin": 127,
    "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 1.0, "seed": 1, "num_threads": 1,
    "deterministic": True, "force_col_wise": True, "verbosity": -1,
}  # fmt: skip
_ROUNDS = 250
_SCALE_TREES = {
    **_TREES,
    "objective": "l1",
    "alpha": 0.9,
    "num_leaves": 6,
    "min_data_in_leaf": 100,
    "learning_rate": 0.1,
}
_SCALE_ROUNDS = 40
_LEAST_SCALE = 0.3
"""Least local size of misses, as a share of the usual one."""


class Regression(Protocol):
    """What a candidate can do: learn from rows, and say something of others."""

    def fit(self, x: Floats, y: Floats, block: Ints) -> None:
        """Learns from rows (n, p) without holes."""

    def predict(self, x: Floats) -> Floats:
        """(n,)."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One block of time, predicted by what was fitted to the blocks before it.

    Attributes:
        first, last: rows; mae: mean absolute miss; bias: mean of prediction less reading; constant: miss of the mean of all before;
        latest: miss of the mean of the block before, which stands for a campaign just finished; covered: shares in the 80 and
            95 % intervals learnt from the other folds.
    """

    first: int
    last: int
    mae: float
    bias: float
    constant: float
    latest: float
    covered: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Meter:
    """A fitted virtual meter; build it with `fit`.

    Attributes:
        name: the chosen candidate; misses: mean absolute miss of every candidate on blocks not seen.
        folds: how it did, block by block; domain: where it knows its way.
        memory: how misses hang together in time; length: rows of a block.
        scores, weights: (m,) misses of validation in units of their standard deviation, and what each counts.
        center, spread: mean and standard deviation of the readings learnt from; lower: no estimate is below it.
    """

    name: str
    misses: dict[str, float]
    folds: tuple[Fold, ...]
    domain: Domain
    memory: Memory
    scores: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    length: float
    center: float
    spread: float
    lower: float
    _model: Regression = field(repr=False)
    _scale: Any = field(repr=False)
    _usual: float = 1.0

    @property
    def groups(self) -> int:
        """Blocks of time that the intervals were learnt from."""
        return len(self.folds)

    @property
    def skill(self) -> float:
        """1 - miss / miss of the mean of the block before, over all folds."""
        return 1 - sum(one.mae for one in self.folds) / max(sum(one.latest for one in self.folds), 1e-300)

    def raw(self, x: Floats) -> Floats:
        """What the fitted model says, (n,), before any recalibration; NaN where an input is missing."""
        found = np.full(len(x), np.nan)
        whole = np.isfinite(x).all(axis=1)
        if whole.any():
            found[whole] = self._model.predict(x[whole])
        return found

    def size(self, x: Floats) -> Floats:
        """The usual size of misses within a block at these inputs, (n,)."""
        found = np.full(len(x), np.nan)
        whole = np.isfinite(x).all(axis=1)
        if whole.any():
            found[whole] = _sizes(self._scale, x[whole], self._usual)
        return found


def fit(x: Floats, y: Floats, blocks: int = BLOCKS) -> Meter:
    """Fits the candidates, takes the one that misses least on later blocks of time, and learns its intervals there.

    Args:
        x: (n, p) inputs in order of time.
        y: (n,) reference readings, NaN where there are none.
        blocks: stretches of time with equally many readings.

    Raises:
        DataQualityError: `virtual.too_few`: fewer than `FEWEST` rows have all inputs and a reading; `virtual.constant`: the readings
            never vary.
    """
    use = np.isfinite(x).all(axis=1) & np.isfinite(y)
    if use.sum() < FEWEST:
        raise DataQualityError("virtual.too_few", flow="y", rows=int(use.sum()), fewest=FEWEST)
    row = np.flatnonzero(use)
    x, y = x[use], y[use]
    if np.ptp(y) <= _VARIES * np.abs(y).max():
        raise DataQualityError("virtual.constant", flow="y", rows=len(y), value=float(y[0]))
    block = np.arange(len(y)) * blocks // len(y)
    with threadpool_limits(limits=1, user_api="blas"):
        ahead = {name: _forward(make, x, y, block) for name, make in CANDIDATES.items()}
        tested = block >= _FIRST
        ahead["mean of both"] = np.mean(list(ahead.values()), axis=0)
        misses = {name: float(np.abs(said - y)[tested].mean()) for name, said in ahead.items()}
        name = min(misses, key=lambda one: misses[one])
        model = _chosen(name)
        model.fit(x, y, block)
        missed = (y - ahead[name])[tested]
        parts = memory(missed, row[tested])
        scale, usual = _scale_of(x[tested], missed, row[tested] // DAY)
        size = _sizes(scale, x[tested], usual)
    scores = missed / np.hypot(size, parts.level)
    lower = 0.0 if y.min() >= 0 else -np.inf
    folds = _folds(y, ahead[name], scores, block)
    return Meter(
        name, misses, folds, domain(x, block), parts, scores, _even(block[tested]),
        len(y) / blocks, float(y.mean()), float(max(y.std(), 1e-3 * abs(y.mean()), 1e-12)), lower, model, scale, usual,
    )  # fmt: skip


class Ridge:
    """Ridge regression on standardized inputs, their squares and products; the penalty misses least on blocks left out."""

    def fit(self, x: Floats, y: Floats, block: Ints) -> None:
        """Solves the normal equations for each penalty and each block left out."""
        self._low, self._high = x.min(axis=0), x.max(axis=0)
        self._mean, self._scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
        z = self._columns(x)
        self._center, self._spread = z.mean(axis=0), np.maximum(z.std(axis=0), 1e-12)
        z, self._level = (z - self._center) / self._spread, float(y.mean())
        normal, cross = z.T @ z, z.T @ (y - self._level)
        same = np.eye(z.shape[1])
        missed = np.zeros(len(_PENALTIES))
        for one in np.unique(block):
            out = block == one
            others, wanted = normal - z[out].T @ z[out], cross - z[out].T @ (y[out] - self._level)
            for k, penalty in enumerate(_PENALTIES):
                slope = np.linalg.solve(others + penalty * same, wanted)
                missed[k] += np.abs(y[out] - self._level - z[out] @ slope).sum()
        self.penalty = _PENALTIES[int(np.argmin(missed))]
        self._slope = np.linalg.solve(normal + self.penalty * same, cross)

    def predict(self, x: Floats) -> Floats:
        """(n,); inputs beyond those seen count as the nearest seen, so that squares do not run away."""
        z = (self._columns(np.clip(x, self._low, self._high)) - self._center) / self._spread
        return np.asarray(self._level + z @ self._slope)

    def _columns(self, x: Floats) -> Floats:
        z = (x - self._mean) / self._scale
        if x.shape[1] > _PRODUCTS:
            return np.column_stack([z, z**2])
        one, other = np.triu_indices(x.shape[1])
        return np.column_stack([z, z[:, one] * z[:, other]])


class Trees:
    """Gradient-boosted trees (LightGBM) for the median."""

    def fit(self, x: Floats, y: Floats, block: Ints) -> None:  # noqa: ARG002 - trees have nothing to choose by blocks
        """Grows the ensemble."""
        self._ensemble = _grow(x, y, _TREES, _ROUNDS)

    def predict(self, x: Floats) -> Floats:
        """(n,)."""
        return np.asarray(self._ensemble.predict(x, num_threads=1))


class Both:
    """The mean of the two."""

    def __init__(self) -> None:
        self._parts: tuple[Regression, ...] = (Ridge(), Trees())

    def fit(self, x: Floats, y: Floats, block: Ints) -> None:
        """Fits both."""
        for one in self._parts:
            one.fit(x, y, block)

    def predict(self, x: Floats) -> Floats:
        """(n,)."""
        return np.asarray(np.mean([one.predict(x) for one in self._parts], axis=0))


CANDIDATES: dict[str, type[Ridge | Trees]] = {"ridge": Ridge, "trees": Trees}


def _chosen(name: str) -> Regression:
    return CANDIDATES[name]() if name in CANDIDATES else Both()


def _grow(x: Floats, y: Floats, parameters: dict[str, Any], rounds: int) -> Any:
    import lightgbm

    least = max(min(int(parameters["min_data_in_leaf"]), len(y) // 8), 2)
    parameters = {**parameters, "min_data_in_leaf": least}
    return lightgbm.train(parameters, lightgbm.Dataset(x, y, params=parameters, free_raw_data=False), rounds)


def _forward(make: type[Ridge | Trees], x: Floats, y: Floats, block: Ints) -> Floats:
    """What a candidate says of each block after a fit to all blocks before, (n,); of the first few blocks nothing (NaN)."""
    found = np.full(len(y), np.nan)
    for one in range(_FIRST, int(block.max()) + 1):
        before, now = block < one, block == one
        model = make()
        model.fit(x[before], y[before], block[before])
        found[now] = model.predict(x[now])
    return found


def _scale_of(x: Floats, missed: Floats, day: Ints) -> tuple[Any, float]:
    """Trees for the local size of misses around the mean miss of their day, and the usual size."""
    day = np.unique(day, return_inverse=True)[1]
    around = np.abs(missed - (np.bincount(day, missed) / np.bincount(day))[day])
    usual = float(max(np.sqrt(np.mean(around**2)), 1e-12))
    return _grow(x, around, _SCALE_TREES, _SCALE_ROUNDS), usual


def _sizes(scale: Any, x: Floats, usual: float) -> Floats:
    """The local size, brought to a standard deviation (1.25 mean absolute misses of a normal one), within sane bounds."""
    found = 1.25 * np.asarray(scale.predict(x, num_threads=1))
    return np.asarray(np.clip(found, _LEAST_SCALE * usual, usual / _LEAST_SCALE))


def edges(scores: Floats, weights: Floats, groups: int) -> Floats:
    """Weighted quantiles of scores at `LEVELS`, (4,), with a guard for few groups.

    With weights that make every block of time count the same, the next block is one more of them, not more rows (after R. Dunn, L.
    Wasserman, A. Ramdas, J. Am. Stat. Assoc. 118, 2023, pooling over groups). A few blocks know their own spread badly: the quantiles are
    widened as Student's t with `groups` - 1 degrees of freedom is wider than the normal distribution.
    """
    from scipy.stats import norm, t

    order = np.argsort(scores)
    share = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    guard = t.ppf(LEVELS, max(groups - 1, 2)) / norm.ppf(LEVELS)
    return np.asarray(guard * np.interp(LEVELS, share, scores[order]))


def _even(block: Ints) -> Floats:
    """Weights of rows with which every block counts the same, 1 in all."""
    _, at, counts = np.unique(block, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[at] / len(counts))


def _folds(y: Floats, said: Floats, scores: Floats, block: Ints) -> tuple[Fold, ...]:
    """One row a validated block; its coverage is that of intervals learnt from the other blocks."""
    tested = block[block >= _FIRST]
    folds = []
    for one in range(_FIRST, int(block.max()) + 1):
        now, mine = block == one, tested == one
        low95, low80, high80, high95 = edges(scores[~mine], _even(tested[~mine]), len(np.unique(tested)) - 1)
        inside = tuple(
            float(np.mean((scores[mine] >= low) & (scores[mine] <= high)))
            for low, high in ((low80, high80), (low95, high95))
        )
        rows = np.flatnonzero(now)
        constant = float(np.abs(y[now] - y[block < one].mean()).mean())
        latest = float(np.abs(y[now] - y[block == one - 1].mean()).mean())
        missed = said[now] - y[now]
        folds.append(
            Fold(
                int(rows[0]), int(rows[-1]), float(np.abs(missed).mean()), float(missed.mean()), constant, latest,
                (inside[0], inside[1]),
            )
        )  # fmt: skip
    return tuple(folds)


def campaigns(y: Floats, longest: int = 24, gap: int = 24) -> list[Ints]:
    """The rows of each reference campaign: readings less than `gap` rows apart, cut after `longest` readings.

    Example:
        >>> y = np.full(60, np.nan)
        >>> y[[1, 2, 3, 50, 51]] = 1.0
        >>> [rows.tolist() for rows in campaigns(y)]
        [[1, 2, 3], [50, 51]]
    """
    rows = np.flatnonzero(np.isfinite(y))
    if not len(rows):
        return []
    apart = np.split(rows, np.flatnonzero(np.diff(rows) >= gap) + 1)
    return [part for one in apart for part in np.array_split(one, -(-len(one) // longest))]


def names_of(levels: Sequence[float] = LEVELS) -> tuple[str, ...]:
    """The columns of the edges: `low95`, `low80`, `high80`, `high95`."""
    return tuple(
        f"{'low' if level < 0.5 else 'high'}{round(100 * abs(1 - 2 * level))}"  # noqa: PLR2004
        for level in levels
    )
