# SPDX-License-Identifier: Apache-2.0
"""What an inversion found, and how far it may be trusted: totals with intervals, drift, what these sensors cannot tell.

Comes in: a solved inversion. Goes out: multipliers and totals of sources, the state of each instrument, reduced chi-square, degrees of
freedom, averaging kernel, and how well each station is predicted by the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mangrove.inference import lognormal
from mangrove.inference.covariance import Scaled
from mangrove.inference.evidence import Scales
from mangrove.inference.gaussian import LeftOut, Posterior
from mangrove.inference.nuisance import Floats, Ints
from mangrove.inference.sensor_model import Model, Scene

IDENTIFIABLE = 0.2
"""Share of the prior variance that readings must take away before a number counts as identified: its standard deviation then is at
most 0.89 of what it was. Below, the estimate is the inventory's, and we say so."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Emissions of some sources, in the unit of `Scene.prior`.

    Attributes:
        prior, prior_sd: before; mean, sd, low, high: after, with the central 95 % interval.
        learned: share of the prior's variance (of the logarithm) that the readings took away: the averaging kernel of this number.
    """

    prior: float
    prior_sd: float
    mean: float
    sd: float
    low: float
    high: float
    learned: float

    @property
    def multiplier(self) -> float:
        """After over before."""
        return self.mean / self.prior if self.prior else float("nan")

    @property
    def identifiable(self) -> bool:
        """Whether the sensors say something about it."""
        return self.learned >= IDENTIFIABLE


@dataclass(frozen=True, slots=True)
class Drift:
    """One instrument: factor on its readings and offset, each with its standard deviation.

    Attributes:
        gain_start, gain_end: at the start and at the end; gain_change: logarithm of the end over the start.
        offset_start, offset_end: in the unit of the readings.
    """

    gain_start: tuple[float, float]
    gain_end: tuple[float, float]
    gain_change: tuple[float, float]
    offset_start: tuple[float, float]
    offset_end: tuple[float, float]

    @property
    def significance(self) -> float:
        """The larger of the change and the level of the gain, in its standard deviations."""
        level = max(
            (abs(np.log(gain)) * gain / sd for gain, sd in (self.gain_start, self.gain_end)), default=0.0
        )
        return float(max(abs(self.gain_change[0]) / self.gain_change[1], level))

    @property
    def size(self) -> float:
        """The largest departure of the gain from one, or change of it."""
        return max(
            abs(self.gain_start[0] - 1), abs(self.gain_end[0] - 1), abs(float(np.expm1(self.gain_change[0])))
        )


@dataclass(frozen=True, eq=False)
class Inversion:
    """A solved inversion.

    Attributes:
        scene, model: what was asked; state: (m,); estimate: the linear posterior at the solution; prior: the scaled prior.
        sources: (K, m): the mean logarithm of each source over the period, as functionals of the state.
        weight: (n,) robust weights; scales: factors that the data gave the prior deviations and the noise.
    """

    scene: Scene
    model: Model
    state: Floats
    estimate: Posterior
    prior: Scaled
    sources: Floats
    weight: Floats
    scales: Scales

    @cached_property
    def log_mean(self) -> Floats:
        """(K,) means of the logarithms of the multipliers."""
        found: Floats = self.sources @ self.estimate.mean
        return found

    @cached_property
    def log_covariance(self) -> Floats:
        """(K, K)."""
        found: Floats = self.estimate.covariance(self.sources)
        return found

    @cached_property
    def _log_prior(self) -> Floats:
        spread = self.prior.left(self.sources)
        found: Floats = spread @ spread.T
        return found

    def told(self, rows: Ints) -> tuple[Floats, Floats]:
        """What the readings alone say of some sources, (n,) means of logarithms and (n, n) covariance: the posterior without its prior.

        With the prior B = C C' and the posterior P, the eigenvalues w of C^-1 P C^-T give the information 1/w - 1 that came from readings. Whoever
        has a prior of its own multiplies it with this and counts none twice. Directions of which nothing was learned get a huge variance.
        """
        after, before = self.log_covariance[np.ix_(rows, rows)], self._log_prior[np.ix_(rows, rows)]
        root = np.linalg.cholesky(before)
        white = np.linalg.solve(root, np.linalg.solve(root, after).T)
        share, axes = np.linalg.eigh((white + white.T) / 2)
        gained = np.maximum(1.0 / np.clip(share, np.finfo(float).tiny, 1.0) - 1.0, _NOTHING)
        mean = -0.5 * np.diag(self._log_prior)[rows]
        moved = axes.T @ np.linalg.solve(root, self.log_mean[rows] - mean)
        moved = np.where(gained > _NOTHING, moved * (1.0 + gained) / gained, 0.0)
        spread = root @ axes
        return mean + spread @ moved, (spread / gained) @ spread.T

    @cached_property
    def learned(self) -> Floats:
        """(K,) share of each source's prior variance that the readings took away."""
        return _learned(np.diag(self.log_covariance), np.diag(self._log_prior))

    @cached_property
    def multipliers(self) -> tuple[Floats, Floats, Floats]:
        """(K,) means, lower and upper bounds of the central 95 % intervals."""
        sd = np.sqrt(np.diag(self.log_covariance))
        low, high = lognormal.intervals(self.log_mean, sd)
        return lognormal.means(self.log_mean, sd), low, high

    def amount(self, share: Floats | None = None) -> Amount:
        """Emissions of all sources, or of `share` (K,) of them."""
        weight = self.scene.prior * (1.0 if share is None else share)
        before = float(weight.sum())
        before_sd = lognormal.total(weight, -0.5 * np.diag(self._log_prior), self._log_prior)[1]
        mean, sd = lognormal.total(weight, self.log_mean, self.log_covariance)
        if not mean > 0:
            return Amount(before, before_sd, mean, sd, mean, mean, 0.0)
        low, high = lognormal.interval_of_total(mean, sd)
        relative = weight / max(float(weight.sum()), np.finfo(float).tiny)
        after_variance, before_variance = (
            float(relative @ covariance @ relative) for covariance in (self.log_covariance, self._log_prior)
        )
        learned = float(_learned(np.array([after_variance]), np.array([before_variance]))[0])
        return Amount(before, before_sd, mean, sd, low, high, learned)

    def by(self, labels: Ints) -> list[Amount]:
        """Emissions of the sources with each label, from 0 on."""
        return [self.amount((labels == label).astype(float)) for label in range(int(labels.max()) + 1)]

    @cached_property
    def drift(self) -> list[Drift]:
        """The instruments, in the order of the series."""
        model, columns = self.model, len(self.state)
        starts = {name: model.slices[name].start for name in ("gain", "offset")}
        picks = np.zeros((model.n_series, 5, columns))
        for series in range(model.n_series):
            gain, offset = (at + series * model.knots for at in starts.values())
            picks[series, 0, gain] = picks[series, 3, offset] = 1.0
            picks[series, 1, gain : gain + model.knots] = 1.0
            picks[series, 2, gain + 1 : gain + model.knots] = 1.0
            picks[series, 4, offset : offset + model.knots] = 1.0
        flat = picks.reshape(-1, columns)
        values, sds = (one.reshape(-1, 5) for one in (flat @ self.estimate.mean, self.estimate.sd(flat)))
        values[:, :2] = np.exp(values[:, :2])
        sds[:, :2] *= values[:, :2]
        return [
            Drift(*zip(value, sd, strict=True))
            for value, sd in zip(values.tolist(), sds.tolist(), strict=True)
        ]

    @cached_property
    def residual(self) -> Floats:
        """(n,) reading less what the model says at the solution, in the unit of the reading."""
        return self.scene.reading - self.model.predict(self.state)

    @property
    def chi2(self) -> float:
        """Reduced chi-square of the misfit to the prior, robust weights and fitted scales included."""
        return self.estimate.chi2

    @property
    def dofs(self) -> float:
        """Degrees of freedom for signal of the whole state."""
        return self.estimate.dofs

    @cached_property
    def averaging_kernel(self) -> Floats:
        """(K, K): what a unit of each true logarithm adds to each estimated one."""
        at = self.model.slices["multipliers"]
        found: Floats = self.estimate.averaging_kernel(self.sources)[:, at]
        return found

    @cached_property
    def left_out(self) -> dict[int, LeftOut]:
        """By station: how well the others predict it."""
        return self.estimate.leave_out(self.scene.stations)


_NOTHING = 1e-3
"""Information over that of the prior that counts as none."""


def _learned(after: Floats, before: Floats) -> Floats:
    return np.where(before > 0, 1.0 - after / np.where(before > 0, before, 1.0), 0.0)
