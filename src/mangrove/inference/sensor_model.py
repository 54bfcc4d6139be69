# SPDX-License-Identifier: Apache-2.0
"""The forward model of sensors: what instruments would say if emissions, background and drift were so.

Comes in: readings with what each source adds to them (`Scene`), what is believed beforehand (`Beliefs`). Goes out: predictions, their
derivatives and the prior of the state, block by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError
from mangrove.inference.covariance import Prior, Root, exponential
from mangrove.inference.gaussian import Posterior
from mangrove.inference.nuisance import Floats, Ints, by_label, one_hot, walk_basis, walk_sd
from mangrove.inference.robust import hour_factor

DAY = 24.0
WIND_SECTORS = 8


@dataclass(frozen=True, eq=False)
class Scene:
    """Readings and what could explain them; n readings, K sources.

    Attributes:
        reading: (n,) in the unit of the species; response: (n, K) what each source at its prior rate adds.
        series: (n,) number of the instrument (one species at one station); hour: (n,) hours since the start of the period.
        local_hour: (n,) hour of the day; wind: (n,) number of the wind sector, 0 to 7.
        noise: (n,) standard deviation of the instrument; background: (n,) first guess of the background, 0 without one.
        station, species: (series,) numbers; sector, zone: (K,) numbers of the sources.
        prior: (K,) prior emissions of the period, any one unit: weights of totals.
        positions: (zones, 2) km, for correlation between near zones; None: zones are independent.
    """

    reading: Floats
    response: Floats
    series: Ints
    hour: Floats
    local_hour: Ints
    wind: Ints
    noise: Floats
    background: Floats
    station: Ints
    species: Ints
    sector: Ints
    zone: Ints
    prior: Floats
    positions: Floats | None = None

    def __post_init__(self) -> None:
        n, k = self.response.shape
        per_reading = (
            self.reading,
            self.series,
            self.hour,
            self.local_hour,
            self.wind,
            self.noise,
            self.background,
        )
        if any(len(one) != n for one in per_reading) or any(
            len(one) != k for one in (self.sector, self.zone, self.prior)
        ):
            raise RequestError(
                "sensing.shapes", expected=f"({n},), ({k},)", got=f"{len(self.reading)}, {len(self.prior)}"
            )
        if not np.isfinite(self.reading).all() or not np.isfinite(self.response).all():
            raise RequestError("sensing.not_finite")

    @property
    def stations(self) -> Ints:
        """(n,) the station of each reading."""
        return self.station[self.series]


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed before the readings; standard deviations of logarithms unless a unit is said.

    Attributes:
        sector: shared by all zones of a sector; zone: shared by all sectors of a zone; own: of each source alone.
        length: km over which zones are alike (needs positions); lengths: candidates, of which the evidence chooses.
        change: of a sector in a day; ratio: of species to activity, (species, sectors) or one number; the first species has none when
            `reference` says that emissions are counted in it.
        mixing: of the common factor of dilution, day by day.
        gain, gain_rate: of an instrument at the start, and per square root of a day; offset, offset_rate: likewise, per species, in
            units of the reading; freedom: degrees of freedom of the tails of drift.
        background, background_rate: of the level, and per square root of an hour, per species, in units of the reading; by_wind: of the
            difference between wind sectors, likewise; background_step: hours between its knots.
        transport: error of the plume as a fraction of what is expected, in the well-mixed afternoon; more at other hours.
        likelihood: `huber`, `student` or `gaussian`; fit: read scales of prior, background, drift and noise from the data.
    """

    sector: float = 0.3
    zone: float = 0.15
    own: float = 0.3
    length: float = 0.0
    lengths: tuple[float, ...] = ()
    change: float = 0.05
    ratio: float | Floats = 0.4
    reference: bool = True
    mixing: float = 0.1
    gain: float = 0.03
    gain_rate: float = 0.01
    offset: Floats | float = 0.5
    offset_rate: Floats | float = 0.1
    freedom: float = 2.0
    background: Floats | float = 5.0
    background_rate: Floats | float = 0.5
    by_wind: Floats | float = 1.0
    background_step: float = 1.0
    transport: float = 0.2
    likelihood: str = "huber"
    fit: bool = True


class Model:
    """The forward model of a scene: prediction, Jacobian, prior and the layout of the state."""

    def __init__(self, scene: Scene, beliefs: Beliefs) -> None:
        self.scene, self.beliefs = scene, beliefs
        self.sectors, self.zones = int(scene.sector.max()) + 1, int(scene.zone.max()) + 1
        self.n_species, self.n_series = int(scene.species.max()) + 1, len(scene.species)
        self._species = scene.species[scene.series]
        self._in_sector = one_hot(scene.sector, self.sectors)
        span = float(scene.hour.max()) if len(scene.hour) else 0.0
        days = walk_basis(scene.hour, DAY, span)
        self.days = days
        self._gain = by_label(days, scene.series, self.n_series)
        hours = walk_basis(scene.hour, beliefs.background_step, span)
        winds = one_hot(scene.wind, WIND_SECTORS)
        self.air = np.concatenate(
            [by_label(hours, self._species, self.n_species), by_label(winds, self._species, self.n_species)],
            axis=1,
        )
        self._hours, self.knots = hours.shape[1], days.shape[1]
        self.parts: dict[str, Root] = self._parts()
        self.slices: dict[str, slice] = {}
        at = 0
        for name, part in self.parts.items():
            self.slices[name] = slice(at, at + part.mean.shape[0])
            at += part.mean.shape[0]
        self.noise = self._noise()

    def _parts(self) -> dict[str, Root]:
        """The prior of each block of the state."""
        b = self.beliefs

        def species(value: Floats | float) -> Floats:
            return np.broadcast_to(np.asarray(value, dtype=float), (self.n_species,))

        def free(sd: Floats) -> Prior:
            return Prior.independent(np.zeros(len(sd)), sd**2)

        of = self.scene.species
        ratio = np.array(np.broadcast_to(np.asarray(b.ratio, dtype=float), (self.n_species, self.sectors)))
        if b.reference:
            ratio[0] = 0.0
        mixing = np.full(self.knots, b.mixing)
        gains = walk_sd(self.knots, np.full(self.n_series, b.gain), np.full(self.n_series, b.gain_rate))
        offsets = walk_sd(self.knots, species(b.offset)[of], species(b.offset_rate)[of])
        step = math.sqrt(b.background_step)
        air = walk_sd(self._hours, species(b.background), species(b.background_rate) * step)
        winds = np.repeat(species(b.by_wind), WIND_SECTORS)
        return {
            "multipliers": self.multipliers(b.length),
            "ratio": free(ratio.reshape(-1)),
            "change": free(np.full((self.knots - 1) * self.sectors, b.change)),
            "mixing": free(mixing),
            "gain": free(gains),
            "offset": free(offsets),
            "background": free(np.concatenate([air, winds])),
        }

    def multipliers(self, length: float) -> Prior:
        """Logarithms of multipliers with mean 1: shared by sector, by zone (alike over `length` km), and own."""
        b, scene = self.beliefs, self.scene
        zones = one_hot(scene.zone, self.zones)
        if length > 0 and scene.positions is not None:
            zones = zones @ np.linalg.cholesky(exponential(scene.positions, length))
        factors = np.concatenate([self._in_sector, zones], axis=1)
        scales = np.concatenate([np.full(self.sectors, b.sector**2), np.full(zones.shape[1], b.zone**2)])
        variance = b.sector**2 + b.zone**2 + b.own**2
        k = len(scene.prior)
        return Prior(np.full(k, -variance / 2), factors, scales, np.full(k, b.own**2))

    def _noise(self) -> Floats:
        """(n,) variances: the instrument, and transport as a share of what the prior expects, wider outside the afternoon."""
        scene = self.scene
        expected = scene.response.sum(axis=1)
        transport = self.beliefs.transport * hour_factor(scene.local_hour) * expected
        variance: Floats = scene.noise**2 + transport**2
        return variance

    def predict(self, state: Floats, half: Floats | float = 0.0) -> Floats:
        """(n,) what the instruments would say; `half` as in `linearized`."""
        return self._linear(state, half, jacobian=False)[0]

    def linearized(self, state: Floats, half: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """The prediction and its derivatives by the state, (n, m).

        `half`: half the variance of each source's logarithm at each reading, (n, K): with it both are means over the uncertain state
        and no longer those at its middle, so that a source of which little is known is not overestimated.
        """
        return self._linear(state, half, jacobian=True)

    def half_variances(self, estimate: Posterior) -> Floats:
        """(n, K): half the posterior variance of the logarithm of what each source adds to each reading."""
        scene, k = self.scene, len(self.scene.prior)
        day = np.minimum(scene.hour // DAY, self.knots - 1).astype(np.int64)
        found = np.zeros((self.n_species, self.knots, k))
        at = {name: where.start for name, where in self.slices.items()}
        for species in range(self.n_species):
            pick = np.zeros((self.knots, k, len(estimate.mean)))
            pick[:, np.arange(k), np.arange(k)] = 1.0
            pick[:, np.arange(k), at["ratio"] + species * self.sectors + scene.sector] = 1.0
            pick[:, :, at["mixing"]] = 1.0
            for knot in range(1, self.knots):
                pick[knot:, :, at["mixing"] + knot] = 1.0
                pick[knot:, np.arange(k), at["change"] + (knot - 1) * self.sectors + scene.sector] = 1.0
            found[species] = estimate.sd(pick.reshape(-1, len(estimate.mean))).reshape(self.knots, k) ** 2 / 2
        by_reading: Floats = found[self._species, day]
        return by_reading

    def _linear(self, state: Floats, half: Floats | float, *, jacobian: bool) -> tuple[Floats, Floats]:
        x = {name: state[where] for name, where in self.slices.items()}
        scene = self.scene
        by_sector = x["ratio"].reshape(self.n_species, self.sectors)[self._species]
        by_sector = by_sector + self.days[:, 1:] @ x["change"].reshape(-1, self.sectors)
        each = scene.response * np.exp(by_sector[:, scene.sector] + x["multipliers"][None, :] + half)
        mix, gain = np.exp(self.days @ x["mixing"]), np.exp(self._gain @ x["gain"])
        signal = mix * each.sum(axis=1)
        core = signal + scene.background + self.air @ x["background"]
        predicted = gain * core + self._gain @ x["offset"]
        if not jacobian:
            return predicted, predicted
        lift = (gain * mix)[:, None]
        sums = lift * (each @ self._in_sector)
        ramps = self.days[:, 1:]
        columns = {
            "multipliers": lift * each,
            "ratio": by_label(sums, self._species, self.n_species),
            "change": (ramps[:, :, None] * sums[:, None, :]).reshape(len(sums), -1),
            "mixing": (gain * signal)[:, None] * self.days,
            "gain": (gain * core)[:, None] * self._gain,
            "offset": self._gain,
            "background": gain[:, None] * self.air,
        }
        return predicted, np.concatenate([columns[name] for name in self.slices], axis=1)
