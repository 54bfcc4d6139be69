# SPDX-License-Identifier: Apache-2.0
"""Where a source is and how much it emits, from a few sensors and the wind.

Comes in: readings of points and open paths, and the wind. Goes out: draws of the position and the rate of each source, of how wide
plumes were and how far the wind vane is turned, and the evidence for a source being there at all.

The model: reading = background of the sensor + sum over sources of rate x footprint + error. The footprint is the plume's, with its widths
scaled and its wind turned by unknowns; the background is integrated out for each sensor; the error follows Student's t, grows with the plume
(a minute's plume is not the mean plume) and remembers itself from one reading to the next, so that many readings of the same gust do
not count as many facts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, RequestError
from mangrove.inference import tempering
from mangrove.inference.plume import Winds, _along, _plume, compiled

Floats = npt.NDArray[np.float64]

FREEDOM = 4.0
"""Degrees of freedom of the errors."""
LEAST = 20
"""Readings below which nothing is located."""
WIDEST = 100_000.0
"""m: widest area that is searched: a source in its middle is then at most 50 km from an edge, and the US EPA applies steady plumes
up to 50 km (Guideline on Air Quality Models, 40 CFR 51 appendix W, section 4)."""
HIGHEST = 1000.0
"""m: highest release that is asked for; assumed: above it air is no longer that of the mixing layer (`MIXING` of `mangrove.locate`)."""
_COMMON = ("width", "depth", "turn", "noise", "gusts", "memory")
_OF_SOURCE = 3
_PIECES = 12
_BLOCKS = 15


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed before the readings are seen.

    Attributes:
        width, depth: standard deviation of the log of the factors on sigma_y and sigma_z.
        turn: standard deviation, in degrees, of the wind vane's misalignment.
        rate: standard deviation of the log of the rate around one that would make the readings vary as they do.
        gusts: standard deviation of the plume's error in shares of the plume, its most likely value.
        height: of the release above the ground, m, 0 to `HIGHEST`; `RequestError` (`locate.bad_height`) otherwise.
    """

    width: float = 0.5
    depth: float = 0.5
    turn: float = 5.0
    rate: float = 3.0
    gusts: float = 0.5
    height: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.height <= HIGHEST:
            raise RequestError("locate.bad_height", height=float(self.height), most=round(HIGHEST))


@dataclass(frozen=True, slots=True)
class Readings:
    """What m sensors say at T times.

    Attributes:
        values: (m, T) kg/m3; NaN where there is none.
        starts, ends: (m, 3) positions in m; a point has the same twice.
    """

    values: Floats
    starts: Floats
    ends: Floats


@dataclass(frozen=True, slots=True)
class Located:
    """Draws of the posterior, all of equal weight.

    Attributes:
        x, y: (n, k) m of the k sources, rate: (n, k) kg/s; the source with the largest mean rate first.
        common: the other unknowns by name, (n,): factors `width` and `depth`, `turn` (degrees), `noise` (kg/m3), `gusts`, `memory`.
        log_evidence: of k sources; log_evidence_none: of none.
        box: x0, y0, x1, y1 of the searched area in m.
        inflation: factor by which the variance was widened because errors hang together; 1: not at all.
        residual: root mean square of reading minus what the best draw gives, kg/m3.
    """

    x: Floats
    y: Floats
    rate: Floats
    common: dict[str, Floats]
    log_evidence: float
    log_evidence_none: float
    box: tuple[float, float, float, float]
    residual: float
    inflation: float = 1.0

    @property
    def probability(self) -> float:
        """Probability that there is a source (or k), when that and none were equally likely before.

        The evidence is divided by the inflation: facts that hang together are not counted twice.
        """
        gain = (self.log_evidence - self.log_evidence_none) / self.inflation
        return 1.0 / (1.0 + math.exp(min(max(-gain, -700.0), 700.0)))

    def mean(self, source: int = 0) -> tuple[float, float]:
        """The mean position of a source, m."""
        return float(self.x[:, source].mean()), float(self.y[:, source].mean())

    def covariance(self, source: int = 0) -> Floats:
        """(2, 2) covariance of the position of a source, m2."""
        return np.atleast_2d(np.cov(self.x[:, source], self.y[:, source]))

    def interval(self, level: float = 0.95, source: int = 0) -> tuple[float, float, float]:
        """Median and equal-tailed interval of the rate of a source, kg/s."""
        tail = (1 - level) / 2
        low, middle, high = np.quantile(self.rate[:, source], [tail, 0.5, 1 - tail])
        return float(middle), float(low), float(high)

    def density(self, cells: int = 50, source: int = 0) -> tuple[Floats, Floats, Floats]:
        """Edges in x and y (cells + 1) and the probability in each cell, (cells, cells), rows from south to north."""
        x0, y0, x1, y1 = self.box
        edges = np.linspace(x0, x1, cells + 1), np.linspace(y0, y1, cells + 1)
        share = np.histogram2d(self.y[:, source], self.x[:, source], (edges[1], edges[0]))[0] / len(self.x)
        return edges[0], edges[1], share

    def rank_of(self, x: float, y: float, source: int = 0) -> float:
        """The probability of all places at least as likely as (x, y): a truth is inside the 95 % region when it is below 0.95.

        By a kernel density of the draws.
        """
        from scipy import stats

        draws = np.vstack([self.x[:, source], self.y[:, source]])
        density = stats.gaussian_kde(draws)
        return float((density(draws) >= density(np.array([[x], [y]]))[0]).mean())


def locate(
    readings: Readings,
    winds: Winds,
    box: tuple[float, float, float, float],
    *,
    sources: int = 1,
    beliefs: Beliefs | None = None,
    draws: int = 600,
    seed: int = 0,
) -> Located:
    """Finds `sources` unknown sources in `box`.

    Args:
        readings: at least `LEAST` values of sensors that saw both the plume and clean air.
        winds: at the times of the readings.
        box: x0, y0, x1, y1 of the area to search, m; every place in it is equally likely before.
        sources: how many; compare `log_evidence` between numbers.
        beliefs: about widths, wind and rate.
        draws: of the posterior.
        seed: of the sampler.

    Raises:
        RequestError: shapes differ, or the box is empty or wider than `WIDEST`.
        DataQualityError: too few readings, or they do not vary.
    """
    belief = beliefs or Beliefs()
    scale = _checked(readings, winds, box)
    problem = _Problem.of(readings, winds, box, sources, belief, scale)
    made = tempering.temper(
        problem.prior_draws(draws, seed), problem.log_prior, problem.likelihood, seed=seed
    )
    inflation = problem.inflation(made.rows)
    rows = problem.widened(made.rows, inflation)
    empty = _Problem.of(readings, winds, box, 0, belief, scale)
    none = tempering.temper(empty.prior_draws(draws // 2, seed), empty.log_prior, empty.likelihood, seed=seed)
    return problem.told(made, rows, none.log_evidence, inflation)


def require_area(box: tuple[float, float, float, float]) -> None:
    """Raises `RequestError` unless an area (x0, y0, x1, y1 in m) can be searched: `locate.empty_area`, `locate.area_too_wide`."""
    if not (box[0] < box[2] and box[1] < box[3]):
        raise RequestError("locate.empty_area")
    wide = max(box[2] - box[0], box[3] - box[1])
    if wide > WIDEST:
        raise RequestError("locate.area_too_wide", km=math.ceil(wide / 1000), most=round(WIDEST / 1000))


def _checked(readings: Readings, winds: Winds, box: tuple[float, float, float, float]) -> float:
    """The scale of the readings' variation, kg/m3, when they can be used at all."""
    shape = readings.values.shape
    sides = {np.shape(readings.starts), np.shape(readings.ends)}
    if len(shape) != 2 or shape[1] != len(winds) or sides != {(shape[0], 3)}:  # noqa: PLR2004 - axes
        raise RequestError("locate.bad_positions")
    require_area(box)
    there = np.isfinite(readings.values)
    if int(there.sum()) < LEAST:
        raise DataQualityError("locate.too_few", count=int(there.sum()), least=LEAST)
    clean = readings.values - np.nanmedian(readings.values, axis=1, keepdims=True)
    scale = float(np.sqrt(np.mean(clean[there] ** 2)))
    if not scale > 0:
        raise DataQualityError("locate.constant")
    return scale


@dataclass(frozen=True, slots=True)
class _Problem:
    """One question to the sampler; readings are divided by their scale, so that every unknown is of order one."""

    values: Floats
    starts: Floats
    ends: Floats
    rows: Floats
    base: Floats
    loose: Floats
    box: tuple[float, float, float, float]
    sources: int
    belief: Beliefs
    scale: float
    reference: float

    @classmethod
    def of(  # noqa: PLR0917 - private
        cls,
        readings: Readings,
        winds: Winds,
        box: tuple[float, float, float, float],
        sources: int,
        belief: Beliefs,
        scale: float,
    ) -> _Problem:
        """The question in scaled numbers."""
        values = np.ascontiguousarray(readings.values / scale)
        starts = np.ascontiguousarray(readings.starts, dtype=float)
        ends = np.ascontiguousarray(readings.ends, dtype=float)
        base = np.nanquantile(values, 0.25, axis=1)
        loose = np.maximum(np.nanstd(values, axis=1), 0.1) * 3
        rows = winds.rows()
        spots = np.random.default_rng(0).uniform(box[:2], box[2:], (64, 2))
        places = np.column_stack([spots, np.full(64, belief.height)])
        seen = np.array([_model(place, starts, ends, rows).std() for place in places])
        seen = seen[seen > 0]
        reference = 1.0 / float(np.exp(np.log(seen).mean())) if len(seen) else 1.0
        return cls(values, starts, ends, rows, base, loose, box, sources, belief, scale, reference)

    def prior_draws(self, count: int, seed: int) -> Floats:
        """(count, d) independent draws of the prior."""
        rng = np.random.default_rng([seed, 1])
        x0, y0, x1, y1 = self.box
        b = self.belief
        columns = []
        for _ in range(self.sources):
            columns += [rng.uniform(x0, x1, count), rng.uniform(y0, y1, count), rng.normal(0, b.rate, count)]
        if self.sources:
            columns += [rng.normal(0, s, count) for s in (b.width, b.depth, b.turn)]
        columns.append(rng.normal(-1.0, 1.5, count))
        if self.sources:
            columns.append(rng.normal(math.log(b.gusts), 0.7, count))
        columns.append(rng.normal(0.0, 1.5, count))
        return np.column_stack(columns)

    def log_prior(self, rows: Floats) -> Floats:
        """(n,) up to a constant; -inf outside the searched area."""
        x0, y0, x1, y1 = self.box
        b, k = self.belief, self.sources
        total: Floats = np.zeros(len(rows))
        for s in range(k):
            x, y, rate = rows[:, _OF_SOURCE * s : _OF_SOURCE * (s + 1)].T
            total -= 0.5 * (rate / b.rate) ** 2
            total[(x < x0) | (x > x1) | (y < y0) | (y > y1)] = -np.inf
        if k:
            for column, sd in zip(rows[:, _OF_SOURCE * k :].T, (b.width, b.depth, b.turn), strict=False):
                total -= 0.5 * (column / sd) ** 2
            total -= 0.5 * ((rows[:, -2] - math.log(b.gusts)) / 0.7) ** 2
        total -= 0.5 * ((rows[:, -3 if k else -2] + 1.0) / 1.5) ** 2
        return total - 0.5 * (rows[:, -1] / 1.5) ** 2

    def natural(self, rows: Floats) -> tuple[Floats, Floats]:
        """The sources (n, k, 3: x, y, scaled rate) and the six common unknowns (n, 6) that rows stand for."""
        k = self.sources
        places = rows[:, : _OF_SOURCE * k].reshape(len(rows), k, _OF_SOURCE).copy()
        if k:
            places[..., 2] = np.exp(places[..., 2]) * self.reference
        common = np.zeros((len(rows), len(_COMMON)))
        common[:, :2] = 1.0
        if k:
            common[:, :2] = np.exp(rows[:, _OF_SOURCE * k : _OF_SOURCE * k + 2])
            common[:, 2] = rows[:, _OF_SOURCE * k + 2]
            common[:, 4] = np.exp(rows[:, -2])
        common[:, 3] = np.exp(rows[:, -3 if k else -2])
        common[:, 5] = 0.98 / (1 + np.exp(-rows[:, -1]))
        return places, common

    def likelihood(self, rows: Floats) -> Floats:
        """(n,) log-likelihood with the backgrounds integrated out."""
        places, common = self.natural(rows)
        found = np.empty(len(rows))
        _likelihoods(
            places, common, self.belief.height, self.values, self.starts, self.ends, self.rows, self.base, self.loose,
            found,
        )  # fmt: skip
        return found

    def inflation(self, rows: Floats) -> float:
        """How many times too small the variance of position and rate is, because errors hang together.

        The infinitesimal jackknife over blocks of time (Giordano and Broderick 2023, arXiv:2305.06466): a block's influence on an unknown
        is the covariance, over the draws, of the unknown and the block's log-likelihood. Blocks hold all sensors, so that errors shared
        by sensors (a wind vane that is wrong for everybody) count once.
        """
        whole = self.likelihood(rows)
        wanted = rows[:, : _OF_SOURCE * self.sources]
        wanted = wanted - wanted.mean(axis=0)
        edges = np.linspace(0, self.values.shape[1], _BLOCKS + 1).astype(int)
        influence = []
        for low, high in pairwise(edges):
            left = self.values.copy()
            left[:, low:high] = np.nan
            part = whole - replace(self, values=left).likelihood(rows)
            influence.append((part - part.mean()) @ wanted / len(rows))
        pushed = np.array(influence)
        spread = np.cov(wanted.T)
        factor = np.trace(np.linalg.solve(spread, pushed.T @ pushed)) / wanted.shape[1]
        return float(max(1.0, factor * _BLOCKS / (_BLOCKS - 1)))

    def widened(self, rows: Floats, inflation: float) -> Floats:
        """Draws whose places and log rates lie further from their mean, so that their variance is `inflation` times as large.

        The open-faced sandwich of Shaby (2014, J. Comput. Graph. Stat. 23:853). A place beyond an edge of the area is mirrored at it.
        """
        made = rows.copy()
        wide = _OF_SOURCE * self.sources
        middle = made[:, :wide].mean(axis=0)
        made[:, :wide] = middle + math.sqrt(inflation) * (made[:, :wide] - middle)
        for s in range(self.sources):
            for axis in (0, 1):
                low, high = self.box[axis], self.box[axis + 2]
                over = np.mod(made[:, _OF_SOURCE * s + axis] - low, 2 * (high - low))
                made[:, _OF_SOURCE * s + axis] = low + np.minimum(over, 2 * (high - low) - over)
        return made

    def told(self, made: tempering.Draws, rows: Floats, none: float, inflation: float) -> Located:
        """The draws in meters, kg/s and degrees."""
        places, common = self.natural(rows)
        order = (
            np.argsort(-places[..., 2], axis=1)[..., None] if self.sources > 1 else np.zeros((1, 1, 1), int)
        )
        if self.sources > 1:
            places = np.take_along_axis(places, order, axis=1)
        best = tuple(one[0] for one in self.natural(made.rows[[int(np.argmax(made.log_likelihood))]]))
        named = {name: common[:, i].copy() for i, name in enumerate(_COMMON)}
        named["noise"] *= self.scale
        return Located(
            places[..., 0], places[..., 1], places[..., 2] * self.scale, named, made.log_evidence, none, self.box,
            self._residual(*best), inflation,
        )  # fmt: skip

    def _residual(self, places: Floats, common: Floats) -> float:
        turned = _turned(self.rows, common[0], common[1], common[2])
        left = self.values.copy()
        for x, y, rate in places:
            left -= rate * _model(np.array([x, y, self.belief.height]), self.starts, self.ends, turned)
        left -= np.nanmedian(left, axis=1, keepdims=True)
        return float(np.sqrt(np.nanmean(left**2))) * self.scale


def _model(place: Floats, starts: Floats, ends: Floats, rows: Floats) -> Floats:
    """(m, T) footprint of one place at every sensor."""
    found = np.empty((len(starts), len(rows)))
    _see(place, starts, ends, rows, found)
    return found


@compiled
def _see(place: Any, starts: Any, ends: Any, rows: Any, found: Any) -> None:
    """Fills (m, T) with the footprint of one place, for points and paths."""
    for i in range(starts.shape[0]):
        a, b = starts[i], ends[i]
        length = math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
        for t in range(rows.shape[0]):
            if length == 0.0:
                found[i, t] = _plume(a[0] - place[0], a[1] - place[1], a[2], place[2], rows[t], 0.0)
            else:
                found[i, t] = _along(a, b, place, rows[t], 0.0, _PIECES)


@compiled
def _turned(rows: Any, width: float, depth: float, degrees: float) -> Any:
    """Winds as `Winds.rows()` gives them, with widths scaled and directions turned clockwise."""
    made = rows.copy()
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    made[:, 1] = rows[:, 1] * cos + rows[:, 2] * sin
    made[:, 2] = rows[:, 2] * cos - rows[:, 1] * sin
    made[:, 4] = rows[:, 4] * width
    made[:, 7] = rows[:, 7] * depth
    return made


@compiled
def _likelihoods(  # noqa: PLR0917 - compiled functions take no keywords
    places: Any,
    common: Any,
    height: float,
    values: Any,
    starts: Any,
    ends: Any,
    rows: Any,
    base: Any,
    loose: Any,
    found: Any,
) -> None:
    """Fills the log-likelihood of every candidate."""
    sensors, times = values.shape
    seen, signal = np.empty((sensors, times)), np.empty((sensors, times))
    place = np.empty(3)
    place[2] = height
    for n in range(common.shape[0]):
        signal[:] = 0.0
        if places.shape[1]:
            wind = _turned(rows, common[n, 0], common[n, 1], common[n, 2])
        for k in range(places.shape[1]):
            place[0], place[1] = places[n, k, 0], places[n, k, 1]
            _see(place, starts, ends, wind, seen)
            signal += places[n, k, 2] * seen
        total = 0.0
        for i in range(sensors):
            total += _sensor(
                values[i], signal[i], common[n, 3], common[n, 4], common[n, 5], base[i], loose[i]
            )
        found[n] = total


@compiled
def _sensor(  # noqa: PLR0917 - compiled functions take no keywords
    value: Any, signal: Any, noise: float, gusts: float, memory: float, base: float, loose: float
) -> float:
    """Log-likelihood of one sensor: Student's t innovations of a first-order memory, the background by Laplace's method.

    With s_t the error's scale, u_t = (value - background - signal) / s_t and e_t = (u_t - r u_(t-1)) / sqrt(1 - r^2), every e_t is linear in
    the background: e_t = c_t - background d_t.
    """
    times = value.shape[0]
    c, d = np.empty(times), np.empty(times)
    fade = math.sqrt(1 - memory * memory)
    total, count, last = 0.0, 0, False
    before_c = before_d = 0.0
    for t in range(times):
        if math.isnan(value[t]):
            last = False
            continue
        scale = math.sqrt(noise * noise + (gusts * signal[t]) ** 2)
        now_c, now_d = (value[t] - signal[t]) / scale, 1.0 / scale
        total -= math.log(scale)
        if last:
            c[count], d[count] = (now_c - memory * before_c) / fade, (now_d - memory * before_d) / fade
            total -= math.log(fade)
        else:
            c[count], d[count] = now_c, now_d
        count += 1
        before_c, before_d, last = now_c, now_d, True
    level, precision = base, 1.0 / (loose * loose)
    for _ in range(6):
        above, below = base * precision, precision
        for j in range(count):
            error = c[j] - level * d[j]
            weight = (FREEDOM + 1) / (FREEDOM + error * error)
            above += weight * c[j] * d[j]
            below += weight * d[j] * d[j]
        level = above / below
    for j in range(count):
        error = c[j] - level * d[j]
        total -= 0.5 * (FREEDOM + 1) * math.log1p(error * error / FREEDOM)
    total -= 0.5 * precision * (level - base) ** 2 + 0.5 * math.log(below) + math.log(loose)
    return total
