# SPDX-License-Identifier: Apache-2.0
"""The estimate itself: what the facts say of the logs of daily emissions, exactly for a linear model, and sums of exponentials by iteration.

Comes in: a `Model`. Goes out: a `Posterior`: means and variances of every target and day, samples, the covariance of any two sums, what
each fact has contributed and what a further one would. The prior covariance is never formed: with few facts (hundreds) everything is
`B - B H' S^-1 H B` with `S = H B H' + R`, `H B` from products with the AR(1) covariances that take one pass each.

An annual total is the log of a sum of exponentials. It is linearized at the expected emissions, `log T ~ log sum E - V/2 + sum E (x - m) / T`
with E = exp(m + v/2) and V the variance of the total, so that the expected total is the inventory's number (Gauss-Newton with matched
moments, repeated until nothing moves).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.inference.state_space import ar1_covariance, ar1_paths
from mangrove.measure.nowcast.inputs import Floats, Ints
from mangrove.measure.nowcast.model import Fact, Model

_ROUNDS = 30
_STILL = 1e-10
_STEADY = 0.75
"""Sums per pair of samples up to which their covariance is made exact."""


@dataclass(frozen=True)
class Functional:
    """A weighted sum of logs of emissions: `(target, weights (D,))`, and columns of theta that belong to it alone."""

    terms: tuple[tuple[int, Floats], ...]
    extra: tuple[tuple[int, float], ...] = ()


@dataclass
class Block:
    """Functionals prepared for products with the prior covariance.

    Attributes:
        theta: shape (n, p); rows: by process, which functionals see it, shape (r,); loads: what they see, shape (r, D); spread: the same
            times its covariance.
    """

    theta: Floats
    rows: dict[int, Ints]
    loads: dict[int, Floats]
    spread: dict[int, Floats]


class Posterior:
    """What is known after all facts.

    Attributes:
        model: what was asked; mean, variance: of the logs, shape (K, D).
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._q = np.array(model.sd) ** 2
        self._prior_mean = model.base + np.array(
            [self._of_theta(number, np.array(model.mean)) for number in range(len(model.targets))]
        ).reshape(model.base.shape)
        self._prior_variance = self._prior_variances()
        self.mean, self.variance = self._prior_mean, np.zeros_like(model.base)
        self._solve()

    # Products with the prior covariance

    def _of_theta(self, number: int, theta: Floats) -> Floats:
        """What columns add to a target: `theta` of shape (p,) gives (D,), of shape (n, p) gives (n, D)."""
        found = np.zeros((*theta.shape[:-1], len(self.model.days)))
        for column, values in self.model.columns[number]:
            found += theta[..., column, None] * values
        return found

    def _prior_variances(self) -> Floats:
        found = np.zeros_like(self.model.base)
        for number, columns in enumerate(self.model.columns):
            for column, values in columns:
                found[number] += self._q[column] * values**2
        for process in self.model.processes:
            for number, scale in process.scale.items():
                found[number] += scale**2
        return found

    def block(self, functionals: list[Functional]) -> Block:
        """Prepares functionals."""
        model = self.model
        theta = np.zeros((len(functionals), len(self._q)))
        for row, one in enumerate(functionals):
            for number, weights in one.terms:
                for column, values in model.columns[number]:
                    theta[row, column] += values @ weights
            for column, weight in one.extra:
                theta[row, column] += weight
        made = Block(theta, {}, {}, {})
        for at, process in enumerate(model.processes):
            rows = [
                row
                for row, one in enumerate(functionals)
                if any(number in process.scale for number, _ in one.terms)
            ]
            if rows:
                loads = np.zeros((len(rows), len(model.days)))
                for place, row in enumerate(rows):
                    for number, weights in functionals[row].terms:
                        if number in process.scale:
                            loads[place] += weights * process.scale[number]
                made.rows[at], made.loads[at] = np.array(rows), loads
                made.spread[at] = ar1_covariance(process.phi, 1.0, model.gaps, loads)
        return made

    def _between(self, one: Block, other: Block) -> Floats:
        """Prior covariances of two blocks of functionals, shape (n, m)."""
        found = (one.theta * self._q) @ other.theta.T
        for at, loads in one.loads.items():
            if at in other.spread:
                found[np.ix_(one.rows[at], other.rows[at])] += loads @ other.spread[at].T
        return np.asarray(found)

    def _across(self, block: Block, number: int) -> Floats:
        """Prior covariances of a block with every day of one target, shape (n, D)."""
        found = np.zeros((len(block.theta), len(self.model.days)))
        for column, values in self.model.columns[number]:
            found += np.outer(block.theta[:, column] * self._q[column], values)
        for at, process in enumerate(self.model.processes):
            if number in process.scale and at in block.spread:
                found[block.rows[at]] += block.spread[at] * process.scale[number]
        return found

    # The estimate

    def _solve(self) -> None:
        facts = self.model.facts
        if not facts:
            self.variance = self._prior_variance
            return
        self._noise = _noise(facts)
        spread = np.zeros(len(facts))
        for round_ in range(_ROUNDS):
            plain = [self._functional(one) for one in facts]
            sums = self.block(plain)
            self._facts = self.block(
                [Functional(f.terms, one.extra) for f, one in zip(plain, facts, strict=True)]
            )
            self._system = self._between(self._facts, self._facts) + self._noise
            self._lower = np.linalg.cholesky(self._system)
            self._weights = self._inverse(self._residual(plain, spread))
            seen = self._between(self._facts, sums)
            spread = np.diag(self._between(sums, sums)) - (self._whiten(seen) ** 2).sum(axis=0)
            moved = self._update()
            if moved < _STILL and round_ > 1:
                break

    def _update(self) -> float:
        """Means and variances of all days with the present weights; how far the means moved at most."""
        before = self.mean
        self.mean, self.variance = np.empty_like(before), np.empty_like(before)
        for number in range(len(self.model.targets)):
            seen = self._across(self._facts, number)
            self.mean[number] = self._prior_mean[number] + self._weights @ seen
            known = (self._whiten(seen) ** 2).sum(axis=0)
            self.variance[number] = np.maximum(self._prior_variance[number] - known, 0.0)
        return float(np.abs(self.mean - before).max())

    def _functional(self, fact: Fact) -> Functional:
        """The fact as a weighted sum of logs, linearized at the expected emissions."""
        terms = []
        for number, at, share in fact.terms:
            weights = np.zeros(len(self.model.days))
            weights[at] = share / len(at) if fact.direct else self._expected(number, at)
            terms.append((number, weights))
        if not fact.direct:
            total = sum(weights.sum() for _, weights in terms)
            terms = [(number, weights / total) for number, weights in terms]
        return Functional(tuple(terms))

    def _expected(self, number: int, at: Ints) -> Floats:
        return np.asarray(np.exp(self.mean[number, at] + self.variance[number, at] / 2))

    def _residual(self, plain: list[Functional], spread: Floats) -> Floats:
        """The facts less what the model without facts says of them."""
        found = np.empty(len(plain))
        for row, (one, fact) in enumerate(zip(plain, self.model.facts, strict=True)):
            if fact.direct:
                found[row] = fact.value
                continue
            total = sum(self._expected(number, at).sum() for number, at, _ in fact.terms)
            moved = sum(w @ (self._prior_mean[number] - self.mean[number]) for number, w in one.terms)
            found[row] = fact.value - (np.log(total) - spread[row] / 2 + moved)
        return found

    def _whiten(self, rows: Floats) -> Floats:
        """`L^-1 rows` for rows of shape (facts, n)."""
        from scipy.linalg import solve_triangular

        return np.asarray(solve_triangular(self._lower, rows, lower=True, check_finite=False))

    def _inverse(self, rows: Floats) -> Floats:
        """`S^-1 rows`."""
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve((self._lower, True), rows, check_finite=False))

    # What follows from it

    @property
    def theta(self) -> Floats:
        """The posterior mean of theta, shape (p,)."""
        mean = np.array(self.model.mean)
        return mean + self._q * (self._weights @ self._facts.theta) if self.model.facts else mean

    def samples(self, pairs: int, seed: int, windows: Sequence[Ints]) -> tuple[list[Floats], Floats]:
        """Deviations from the mean, for antithetic use: plus and minus each is one sample of the posterior.

        The random numbers of a column or process depend on its name and on the day alone: a later run with more days draws the same.

        Returns:
            For each window (positions of days) deviations of the logs, shape (pairs, K, days), and of theta, shape (pairs, p).
        """
        model, at = self.model, np.concatenate(windows)
        theta = np.array([_normal(seed, name, (pairs,)) for name in model.names]).reshape(-1, pairs).T
        theta = theta * np.array(model.sd)
        paths = []
        for process in model.processes:
            shape = (len(model.days), pairs)
            paths.append(ar1_paths(process.phi, 1.0, model.gaps, _normal(seed, process.name, shape)).T)
        weights = np.zeros((0, pairs))
        if model.facts:
            errors = np.array([_normal(seed, f"fact {one.name}", (pairs,)) for one in model.facts])
            seen = self._facts.theta @ theta.T + np.linalg.cholesky(self._noise) @ errors
            for number, loads in self._facts.loads.items():
                seen[self._facts.rows[number]] += loads @ paths[number].T
            weights = self._inverse(-seen)
            moved = theta + (self._q * self._facts.theta).T.dot(weights).T
        else:
            moved = theta
        found = np.empty((pairs, len(model.targets), len(at)))
        for number in range(len(model.targets)):
            free = self._of_theta(number, theta)[:, at]
            for path, process in zip(paths, model.processes, strict=True):
                if number in process.scale:
                    free += path[:, at] * process.scale[number][at]
            if model.facts:
                free += weights.T @ self._across(self._facts, number)[:, at]
            found[:, number] = free
        parts = np.split(found, np.cumsum([len(one) for one in windows])[:-1], axis=2)
        self._steady(parts, windows)
        return parts, moved

    def _steady(self, parts: list[Floats], windows: Sequence[Ints]) -> None:
        """Shifts each target's samples so that the means over the windows have exactly the covariance of the estimate, in place.

        Few samples have chance correlations, and bands of sums would be off by a tenth; the rest of a path is left as drawn.
        """
        functionals = []
        for at in windows:
            weights = np.zeros(len(self.model.days))
            weights[at] = 1 / len(at)
            functionals += [Functional(((number, weights),)) for number in range(len(self.model.targets))]
        pairs, count = len(parts[0]), len(functionals)
        if not count or count > _STEADY * pairs:
            return
        drawn = np.concatenate([part.mean(axis=2) for part in parts], axis=1)
        block = self.block(functionals)
        wanted = self.covariance(block, block)
        jitter = 1e-9 * np.diag(np.diag(wanted))
        have = np.linalg.cholesky(drawn.T @ drawn / pairs + jitter)
        moved = np.linalg.solve(have, drawn.T).T @ np.linalg.cholesky(wanted + jitter).T - drawn
        for part, shift in zip(parts, np.split(moved, len(windows), axis=1), strict=True):
            np.add(part, shift[:, :, None], out=part)

    def gains(self, block: Block) -> Floats:
        """`S^-1 H B g` of functionals: how the estimate of each moves with each fact, shape (facts, n)."""
        return self._inverse(self._between(self._facts, block))

    def covariance(self, one: Block, other: Block) -> Floats:
        """Posterior covariances of two blocks of functionals, shape (n, m)."""
        prior = self._between(one, other)
        if not self.model.facts:
            return prior
        return np.asarray(
            prior - self._between(one, self._facts) @ self._inverse(self._between(self._facts, other))
        )

    def seen(self, at: Ints) -> Floats:
        """What the facts know of each target's days, whitened: products of two are what they share, shape (K, facts, len(at))."""
        if not self.model.facts:
            return np.zeros((len(self.model.targets), 0, len(at)))
        return np.array(
            [
                self._whiten(self._across(self._facts, number)[:, at])
                for number in range(len(self.model.targets))
            ]
        )

    def seen_of(self, block: Block) -> Floats:
        """The same of one functional, shape (facts,)."""
        if not self.model.facts:
            return np.zeros(0)
        return self._whiten(self._between(self._facts, block))[:, 0]

    def prior_with(self, block: Block, at: Ints) -> Floats:
        """Prior covariance of one functional with each target's days, shape (K, len(at))."""
        return np.array([self._across(block, number)[0, at] for number in range(len(self.model.targets))])

    def prior_between(self, number: int, day: int, other: int, at: int) -> float:
        """Prior covariance of two targets' days, by positions in the model."""
        known = dict(self.model.columns[other])
        found = sum(
            self._q[column] * values[day] * known[column][at]
            for column, values in self.model.columns[number]
            if column in known
        )
        steps = abs(int(self.model.days[day]) - int(self.model.days[at]))
        for process in self.model.processes:
            if number in process.scale and other in process.scale:
                found += process.scale[number][day] * process.scale[other][at] * process.phi**steps
        return float(found)

    def without(self, block: Block) -> Floats:
        """By how much the variance of one functional would grow without each fact, shape (facts,).

        Leaving fact i out of a Gaussian estimate adds `(S^-1 H B g)_i^2 / (S^-1)_ii`.
        """
        if not self.model.facts:
            return np.zeros(0)
        precision = np.diag(self._inverse(np.eye(len(self.model.facts))))
        return np.asarray(self.gains(block)[:, 0] ** 2 / precision)


def _normal(seed: int, name: str, shape: tuple[int, ...]) -> Floats:
    """Standard normal numbers that depend on the seed and the name."""
    return np.random.default_rng((seed, zlib.crc32(name.encode()))).standard_normal(shape)


def _noise(facts: list[Fact]) -> Floats:
    """Covariance of the own errors of the facts; those of one inversion are correlated."""
    found = np.diag([one.noise**2 for one in facts])
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(facts):
        if one.noise_with is not None:
            groups.setdefault(one.noise_with[0], []).append(at)
    for rows in groups.values():
        for at in rows:
            row = facts[at].noise_with
            if row is not None:
                found[at, rows] = row[1]
    return np.asarray(found)
