# SPDX-License-Identifier: Apache-2.0
"""From readings of sensors to multipliers of emissions: which sectors and zones emit more or less than the inventory says.

Comes in: readings, what each source at its prior rate adds to each of them (footprints times emissions), what is believed about
instruments, background and ratios of species (`Beliefs`). Goes out: an `Inversion`: lognormal multipliers with their covariance, the state
of each instrument, and how far all of it may be trusted (`diagnostics.py`).

A reading of series s (one species at one station) at time t is
`exp(gain_s(t)) (exp(mix(t)) sum_k A_k exp(u_k + ratio_gk + change_k(t)) + background_g(t, wind)) + offset_s(t) + e`.
Gains, offsets, changes and backgrounds are random walks. A real change of a sector has the shape of its day and shows in every
species at every station that it reaches; a drift moves all hours of one series: the two can be told apart, and the prior lets one
series drift far (heavy tails) before all others must have changed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mangrove.inference.covariance import Root, Scaled, Stacked
from mangrove.inference.diagnostics import Inversion
from mangrove.inference.evidence import Evidence, Scales, fit_scales
from mangrove.inference.gaussian import Posterior, posterior
from mangrove.inference.nuisance import Floats, Ints
from mangrove.inference.robust import heavy_tails, loss, weights
from mangrove.inference.sensor_model import Beliefs, Model, Scene

__all__ = ["Beliefs", "Inversion", "Model", "Scene", "invert"]
_LEAST_STEPS, _STILL = 4, 0.01
_LEAST_SHARE = 1 / 64
_MOST_LOGARITHMS = 20_000
"""Sources times days up to which means are taken over the uncertain logarithms; cells of a grid stay at their middle."""
_FITTED = ("multipliers", "background")
"""Blocks whose scale the data decide; drift has tails of its own for each instrument."""


def invert(scene: Scene, beliefs: Beliefs | None = None, *, iterations: int = 12) -> Inversion:
    """Estimates multipliers and nuisances together: Gauss-Newton on the logarithms, reweighted, scales by marginal likelihood.

    Args:
        scene: the readings and their explanations.
        beliefs: the priors; documented defaults when left out.
        iterations: Gauss-Newton steps at most; it stops when no state moves by more than a hundredth of its prior deviation.

    Raises:
        RequestError: shapes that do not fit, an unknown likelihood.
    """
    from threadpoolctl import threadpool_limits

    model = Model(scene, beliefs or Beliefs())
    with threadpool_limits(
        limits=1, user_api="blas"
    ):  # systems of some hundred states lose more to threads than they gain
        return _solved(model, iterations)


def _solved(model: Model, iterations: int) -> Inversion:
    solver = _Solver(model)
    for step in range(iterations):
        moved = solver.advance()
        if model.beliefs.fit and step in (1, 3):
            solver.rescale()
        elif step > _LEAST_STEPS and moved < _STILL:
            break
    return solver.finish()


class _Solver:
    """Gauss-Newton with reweighting; the state lives in the whitened coordinates of the unscaled prior."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.root = Stacked(tuple(model.parts.values()))
        sizes = [part.columns for part in model.parts.values()]
        self._names = np.repeat(np.arange(len(sizes)), sizes)
        self.z = np.zeros(self.root.columns)
        self.scale = np.ones(self.root.columns)
        self.noise = 1.0
        self.weight = np.ones(len(model.scene.reading))
        self.estimate: Posterior | None = None
        self.half: Floats | float = 0.0
        self._small = len(model.scene.prior) * model.knots <= _MOST_LOGARITHMS
        self._choose_length()

    def _columns(self, name: str) -> Ints:
        return np.flatnonzero(self._names == list(self.model.parts).index(name))

    def state(self, z: Floats) -> Floats:
        found: Floats = self.root.mean + self.root.right((self.scale * z)[:, None])[:, 0]
        return found

    def advance(self) -> float:
        """One step; returns how far a state moved, in prior standard deviations."""
        model, reading = self.model, self.model.scene.reading
        here = self.state(self.z)
        predicted, slope = model.linearized(here, self.half)
        variance = model.noise * self.noise**2
        self.weight = weights((reading - predicted) / np.sqrt(variance), model.beliefs.likelihood)
        self.estimate = posterior(
            slope, reading - predicted + slope @ here, variance / self.weight, Scaled(self.root, self.scale)
        )
        step = self.estimate.whitened - self.z
        before, share = self._cost(self.z), 1.0
        while share > _LEAST_SHARE and self._cost(self.z + share * step) > before:
            share /= 2
        self.z = self.z + share * step
        self._widen_drifting()
        if self._small:
            self.half = model.half_variances(self.estimate)
        return float(np.max(np.abs(share * step)))

    def _cost(self, z: Floats) -> float:
        model = self.model
        rest = (model.scene.reading - model.predict(self.state(z), self.half)) / np.sqrt(
            model.noise * self.noise**2
        )
        return loss(rest, model.beliefs.likelihood) + float(z @ z)

    def _widen_drifting(self) -> None:
        """Series whose gain or offset must move far get room for it; the others keep close."""
        assert self.estimate is not None
        model, b = self.model, self.model.beliefs
        learned = self.estimate.resolved
        labels = np.repeat(np.arange(model.n_series), model.knots)
        for name in ("gain", "offset"):
            mine = self._columns(name)
            squares = self.scale[mine] ** 2 * (self.z[mine] ** 2 + 1 - learned[mine])
            tail = heavy_tails(squares, labels, model.n_series, b.freedom)[labels]
            self._set(mine, tail)

    def _set(self, columns: Ints, scale: Floats) -> None:
        """Another scale of some columns, with the state where it was."""
        self.z[columns] *= self.scale[columns] / scale
        self.scale[columns] = scale

    def rescale(self) -> None:
        """Scales of multipliers, background and noise by marginal likelihood at the present linearization."""
        evidence = self._evidence(self.root)
        labels = [self._columns(name) for name in _FITTED]
        start = np.array([*(self.scale[mine][0] for mine in labels), self.noise])
        found = fit_scales(evidence, start)
        for mine, scale in zip(labels, found.groups, strict=True):
            self._set(mine, np.full(len(mine), scale))
        self.noise = found.noise

    def _evidence(self, root: Root) -> Evidence:
        here = self.state(self.z)
        predicted, slope = self.model.linearized(here, self.half)
        weight = np.sqrt(self.weight / self.model.noise)
        names = list(self.model.parts)
        fixed = np.where(np.isin(self._names, [names.index(name) for name in _FITTED]), 1.0, self.scale)
        matrix = root.left(slope) * fixed[None, :] * weight[:, None]
        misfit = (self.model.scene.reading - predicted + slope @ (here - root.mean)) * weight
        labels = np.full(len(self._names), -1)
        for number, name in enumerate(_FITTED):
            labels[self._columns(name)] = number
        return Evidence(matrix, misfit, labels, len(_FITTED))

    def _choose_length(self) -> None:
        """The correlation length between zones that makes the readings most likely, of the candidates."""
        model, b = self.model, self.model.beliefs
        if not b.lengths or model.scene.positions is None:
            return
        self.advance()
        found: list[tuple[float, float]] = []
        for length in b.lengths:
            parts = {**model.parts, "multipliers": model.multipliers(length)}
            value, _ = self._evidence(Stacked(tuple(parts.values())))(np.zeros(len(_FITTED) + 1))
            found.append((value, length))
        chosen = max(found)[1]
        model.beliefs = replace(b, length=chosen)
        model.parts["multipliers"] = model.multipliers(chosen)
        self.root = Stacked(tuple(model.parts.values()))
        self.z[:] = 0.0

    def finish(self) -> Inversion:
        """The posterior at the last linearization."""
        self.advance()
        assert self.estimate is not None
        model = self.model
        k = len(model.scene.prior)
        states = np.zeros((k, len(self.estimate.mean)))
        states[:, model.slices["multipliers"]] = np.eye(k)
        mean_day = model.days[:, 1:].mean(axis=0)
        for knot, share in enumerate(mean_day):
            at = model.slices["change"].start + knot * model.sectors + model.scene.sector
            states[np.arange(k), at] = share
        prior = Scaled(self.root, self.scale)
        return Inversion(
            scene=model.scene,
            model=model,
            state=self.state(self.z),
            estimate=self.estimate,
            prior=prior,
            sources=states,
            weight=self.weight,
            scales=Scales(
                np.array([self.scale[self._columns(name)][0] for name in _FITTED]),
                self.noise,
                self.estimate.log_evidence,
            ),
        )
