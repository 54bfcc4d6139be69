# SPDX-License-Identifier: Apache-2.0
"""The total of the window, kept ready: one more fact moves and narrows it by a single product.

Comes in: the posterior and how the total depends on every target and day. Goes out: the weight of each fact, the variance that a missing one
would remove, and the new total after a fact (rank one: `log T += c / v (y - x)`, `var -= c^2 / v` with c the covariance of the fact with
the total and v the variance of the fact and its error).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, log1p, sqrt

import numpy as np
from scipy.linalg import solve_triangular

from mangrove.errors import RequestError, did_you_mean
from mangrove.measure.nowcast.inputs import METER_SD, Floats, Ints, Total
from mangrove.measure.nowcast.posterior import Functional, Posterior
from mangrove.measure.uncertainty import Z95


@dataclass(frozen=True, slots=True)
class Fact:
    """One more fact: what a target emitted on a local day, in the unit of its flow.

    Attributes:
        target: id of the flow; day: local day number (days since 1970); value: amount of that day, of the sign of the flow.
        sd: standard deviation of the log of its error.
    """

    target: str
    day: int
    value: float
    sd: float = METER_SD


@dataclass(frozen=True, slots=True)
class Figure:
    """An expected amount and its 95 % interval, in kg CO2e."""

    mean: float
    low: float
    high: float


@dataclass
class Live:
    """See the head of this module.

    Attributes:
        posterior: of the modeled flows; names: their ids, in its order; signs: of the flows.
        days: local day numbers of the window; position: of these in the model.
        weights_kg: kg CO2e per unit by target and day of the window, shape (K, D); read: expected amounts and
            kg CO2e per unit by day of the window for each flow that is metered, shape (D,) each.
        other: variance of the total (kg2) from factors and meters, which no fact about an amount removes.
    """

    posterior: Posterior
    names: tuple[str, ...]
    signs: Floats
    days: Ints
    position: Ints
    weights_kg: Floats
    read: Mapping[str, tuple[Floats, Floats]]
    other: float
    _rows: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    _points: list[tuple[int, int]] = field(default_factory=list)
    _news: list[float] = field(default_factory=list)
    _pulls: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepares the covariance of the total with every target and day."""
        self._read = {name: mean.copy() for name, (mean, _) in self.read.items()}
        self.metered = float(sum(mean @ weights for mean, weights in self.read.values()))
        self._mean = self.posterior.mean[:, self.position]
        expected = np.exp(self._mean + self.posterior.variance[:, self.position] / 2)
        expected = expected * self.weights_kg * self.signs[:, None]
        self.modeled = float(expected.sum())
        terms = []
        for number in range(len(self.names)):
            weights = np.zeros(len(self.posterior.model.days))
            weights[self.position] = expected[number] / self.modeled if self.modeled else 0.0
            terms.append((number, weights))
        self._total = self.posterior.block([Functional(tuple(terms))])
        self._first = self.variance = float(self.posterior.covariance(self._total, self._total)[0, 0])
        self.shift = 0.0
        self._seen = self.posterior.seen(self.position)
        pull = self.posterior.seen_of(self._total)
        known = np.einsum("m,kmd->kd", pull, self._seen)
        self._with_total = self.posterior.prior_with(self._total, self.position).reshape(known.shape) - known

    def figure(self) -> Figure:
        """The total as it stands, all flows."""
        moved = self.modeled * exp(self.shift + (self.variance - self._first) / 2)
        sd = sqrt(self.variance * moved**2 + self.other)
        total = moved + self.metered
        if total <= 0:
            return Figure(total, total - Z95 * sd, total + Z95 * sd)
        width = sqrt(log1p((sd / total) ** 2))
        middle = log(total) - width**2 / 2
        return Figure(total, exp(middle - Z95 * width), exp(middle + Z95 * width))

    def take(self, fact: Fact) -> Figure:
        """One more fact; see `Nowcast.update`.

        A metered flow takes the new amount of the day in the place of the old one; for the others the factor of the covariance of the
        facts taken grows by one row.
        """
        at = self._day(fact)
        if fact.target in self._read:
            self.metered += (fact.value - self._read[fact.target][at]) * self.read[fact.target][1][at]
            self._read[fact.target][at] = fact.value
            return self.figure()
        number = self._number(fact)
        point = (number, at)
        with_taken = np.array([self._between(point, other) for other in self._points])
        row = solve_triangular(self._rows, with_taken, lower=True) if self._points else with_taken
        size = sqrt(max(self._between(point, point) - float(row @ row), 0.0) + fact.sd**2)
        guess = float(self._mean[point] + row @ np.array(self._news))
        off = log(abs(fact.value)) - fact.sd**2 / 2 - guess
        pull = (float(self._with_total[point]) - float(row @ np.array(self._pulls))) / size
        self.shift += pull * off / size
        self.variance = max(self.variance - pull**2, 0.0)
        grown = np.zeros((len(self._points) + 1, len(self._points) + 1))
        grown[:-1, :-1], grown[-1, :-1], grown[-1, -1] = self._rows, row, size
        self._rows = grown
        self._points.append(point)
        self._news.append(off / size)
        self._pulls.append(pull)
        return self.figure()

    def _day(self, fact: Fact) -> int:
        """The position of a fact's day in the window."""
        at = int(np.searchsorted(self.days, fact.day))
        if at >= len(self.days) or self.days[at] != fact.day:
            raise RequestError("nowcast.not_in_window", day=str(np.datetime64(fact.day, "D")))
        return at

    def _number(self, fact: Fact) -> int:
        """The number of a fact's target."""
        if fact.target not in self.names:
            hint = did_you_mean(fact.target, [*self.names, *self.read])
            raise RequestError("nowcast.not_a_target", target=fact.target, hint=hint)
        number = self.names.index(fact.target)
        if fact.value * self.signs[number] <= 0:
            raise RequestError("nowcast.wrong_sign", target=fact.target, value=fact.value)
        return number

    def _between(self, one: tuple[int, int], other: tuple[int, int]) -> float:
        """Posterior covariance of two targets' days, by positions in the window."""
        prior = self.posterior.prior_between(one[0], self.position[one[1]], other[0], self.position[other[1]])
        return prior - float(self._seen[one[0], :, one[1]] @ self._seen[other[0], :, other[1]])

    def weights(self) -> Floats:
        """Percent by which the modeled total moves with one percent of each fact, shape (facts,)."""
        return self.posterior.gains(self._total)[:, 0] if self.posterior.model.facts else np.zeros(0)

    def removed(self) -> Floats:
        """Growth of the variance of the modeled total without each fact, as a share of the variance, shape (facts,)."""
        return self.posterior.without(self._total) / max(self._first, 1e-300)

    def candidates(self, totals: Sequence[Total]) -> list[tuple[str, str, float, float]]:
        """Facts that are missing: `(kind, target, sd, share of the variance removed)`, the best first."""
        names, functionals, errors = [], [], []
        for total in totals:
            number = self.names.index(total.flow)
            at = np.searchsorted(self.posterior.model.days, total.days)
            weights = np.zeros(len(self.posterior.model.days))
            weights[at] = 1 / len(at)
            functionals.append(Functional(((number, weights),)))
            names.append(("inventory", total.flow))
            errors.append(total.sd or 0.0)
        for number, name in enumerate(self.names):
            weights = np.zeros(len(self.posterior.model.days))
            weights[self.position] = 1 / len(self.position)
            functionals.append(Functional(((number, weights),)))
            names.append(("meter", name))
            errors.append(METER_SD)
        if not functionals:
            return []
        block = self.posterior.block(functionals)
        with_total = self.posterior.covariance(block, self._total)[:, 0]
        own = np.diag(self.posterior.covariance(block, block))
        share = with_total**2 / (own + np.array(errors) ** 2) / max(self._first, 1e-300)
        order = np.argsort(-share, kind="stable")
        return [(*names[i], errors[i], float(share[i])) for i in order]
