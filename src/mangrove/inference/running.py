# SPDX-License-Identifier: Apache-2.0
"""An estimate that follows single facts as they come: a meter's new value moves the city total in a fraction of a millisecond.

Comes in: a mean, a covariance (dense, or a factor model), facts about a few states each. Goes out: the mean, any total with its standard
deviation, after each fact; facts can be taken back and corrected.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.inference.covariance import Prior

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
_PENDING = 64
"""Facts that wait as columns before a dense covariance absorbs them in one product."""


class Running:
    """A Gaussian state that takes facts one by one.

    Facts are columns beside the covariance that it began with, `C = C0 - U U' + V V'` (V: facts taken back), so that one costs O(m k)
    for m states and k facts; a dense `C0` absorbs 64 of them at a time.

    Example:
        >>> state = Running.factors(Prior.independent(np.ones(3), np.ones(3)))
        >>> state.watch("city", np.ones(3))
        >>> state.observe([0], [1.0], 3.0, 1.0)
        >>> state.total("city")  # the first state moves half-way, and half of its variance is gone
        (4.0, 1.5811388300841898)
    """

    def __init__(self, mean: Floats, base: Floats | Prior) -> None:
        self.mean: Floats = np.array(mean, dtype=np.float64)
        self._base = base
        self._columns: Floats = np.zeros((_PENDING, len(self.mean)))
        self._signs: Floats = np.zeros(_PENDING)
        self._count = 0
        self._watched: dict[str, Floats] = {}
        self._moved: dict[str, float] = {}
        self._variance: dict[str, float] = {}

    @classmethod
    def dense(cls, mean: Floats, covariance: Floats) -> Running:
        """From a full covariance, (m, m): up to some thousand states."""
        return cls(mean, np.array(covariance, dtype=np.float64))

    @classmethod
    def factors(cls, prior: Prior) -> Running:
        """From a factor model: any number of states."""
        return cls(prior.mean, prior)

    def watch(self, name: str, weights: Floats) -> None:
        """Names a total `weights @ state` that is kept up to date."""
        weights = np.asarray(weights, dtype=np.float64)
        self._watched[name] = weights
        self._moved[name] = float(weights @ self.mean)
        self._variance[name] = float(weights @ self._times(weights))

    def total(self, name: str) -> tuple[float, float]:
        """A watched total and its standard deviation."""
        return self._moved[name], math.sqrt(max(self._variance[name], 0.0))

    def observe(self, states: Any, weights: Any, value: float, variance: float) -> None:
        """One fact: `weights @ state[states]` was measured as `value` with an error of `variance`."""
        self._take(np.asarray(states), np.asarray(weights, dtype=np.float64), value, variance)

    def withdraw(self, states: Any, weights: Any, value: float, variance: float) -> None:
        """Takes an earlier fact back exactly: estimate and covariance are those without it.

        Raises:
            RequestError: the fact is not in the estimate, or nothing would be known without it.
        """
        self._take(np.asarray(states), np.asarray(weights, dtype=np.float64), value, -variance)

    def revise(self, states: Any, weights: Any, change: float, variance: float) -> None:
        """Corrects the value of an earlier fact by `change`: the mean moves, what is known does not."""
        column = self._column(np.asarray(states), np.asarray(weights, dtype=np.float64))
        self._shift(column * (change / variance))

    def _take(self, states: Indices, weights: Floats, value: float, variance: float) -> None:
        column = self._column(states, weights)
        innovation = float(weights @ column[states]) + variance
        if innovation * variance <= 0:
            raise RequestError("sensing.not_in_the_estimate")
        surprise = value - float(weights @ self.mean[states])
        for name, total in self._watched.items():
            self._variance[name] -= float(total @ column) ** 2 / innovation
        self._shift(column * (surprise / innovation))
        self._append(column / math.sqrt(abs(innovation)), -math.copysign(1.0, innovation))

    def _shift(self, step: Floats) -> None:
        self.mean += step
        for name, total in self._watched.items():
            self._moved[name] += float(total @ step)

    def _column(self, states: Indices, weights: Floats) -> Floats:
        """`C h` of a sparse `h`."""
        if isinstance(self._base, Prior):
            prior = self._base
            column: Floats = prior.factors @ (prior.scales * (weights @ prior.factors[states]))
            np.add.at(column, states, prior.own[states] * weights)
        else:
            column = weights @ self._base[states]
        return self._with_facts(column, self._columns[: self._count][:, states] @ weights)

    def _times(self, weights: Floats) -> Floats:
        """`C a` of a dense `a`."""
        if isinstance(self._base, Prior):
            prior = self._base
            column: Floats = prior.factors @ (prior.scales * (weights @ prior.factors)) + prior.own * weights
        else:
            column = self._base @ weights
        return self._with_facts(column, self._columns[: self._count] @ weights)

    def _with_facts(self, column: Floats, shares: Floats) -> Floats:
        if self._count:
            column = column + (self._signs[: self._count] * shares) @ self._columns[: self._count]
        return column

    def _append(self, column: Floats, sign: float) -> None:
        if self._count == len(self._signs):
            if isinstance(self._base, Prior):
                self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)])
                self._signs = np.concatenate([self._signs, np.zeros_like(self._signs)])
            else:
                self._base += (self._columns.T * self._signs) @ self._columns
                self._count = 0
        self._columns[self._count], self._signs[self._count] = column, sign
        self._count += 1
