# SPDX-License-Identifier: Apache-2.0
"""Ways to control the same signals, compared: every one on the same draws of the demand with the same seeds.

Comes in: a network, draws of its demand, and for each way its programs or its controller. Goes out: every measure of every run, their
means and spread, how sure the difference to the first way is, and what each way does on each street when the runs tell of streets. Teleports, collisions and unfinished trips always stand beside delay
and CO2: a plan that gains by losing vehicles shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.traffic.links import Links
from mangrove.traffic.outcome import Outcome
from mangrove.traffic.simulate import Control, Run, many

Floats = npt.NDArray[np.float64]

MEASURES = (
    "delay",
    "co2",
    "stops",
    "unfinished",
    "never_departed",
    "jam_teleports",
    "teleports",
    "collisions",
)
"""s, g and times per vehicle; then counts of vehicles and events."""
_HOUR, _KMH, _GRAMS = 3600.0, 3.6, 1000.0
_FEWEST = 2
"""Draws below which nothing is known of the spread."""


@dataclass(frozen=True)
class Way:
    """A way to control the signals: the installed programs, changed by additional files, or a controller."""

    name: str
    additional: tuple[Path, ...] = ()
    control: Callable[[], Control] | None = None
    """Makes a fresh controller for each run."""


@dataclass(frozen=True, eq=False)
class Streets:
    """What W ways did on L streets, in an hour of simulated time, mean over the draws; crossings belong to the street that leads in.

    Attributes:
        ids: (L,) edges of the network.
        co2: (W, L) kg/h; delay: (W, L) vehicle-hours lost per hour, without waiting to enter; speed: (W, L) km/h, meters over seconds of all
            draws, NaN where nobody was.
    """

    ids: tuple[str, ...]
    co2: Floats
    delay: Floats
    speed: Floats


@dataclass(frozen=True, eq=False)
class Comparison:
    """What W ways did on K draws.

    Attributes:
        names: (W,); the first is what the others are compared with.
        values: (W, K, len(MEASURES)).
        vehicles: (W, K) that wanted to drive.
        seeds: (K,) of draws and simulation.
        seconds: of CPU, all told.
        streets: what happened where, when the runs told of streets (`Run.cells`).
    """

    names: tuple[str, ...]
    values: Floats
    vehicles: Floats
    seeds: tuple[int, ...]
    seconds: float
    streets: Streets | None = None

    def mean(self, way: str, measure: str) -> float:
        """Mean over the draws."""
        return float(self._of(way, measure).mean())

    def spread(self, way: str, measure: str) -> float:
        """Standard deviation over the draws; NaN for one draw."""
        values = self._of(way, measure)
        return float(values.std(ddof=1)) if len(values) >= _FEWEST else math.nan

    def change(self, way: str, measure: str) -> float:
        """Relative change of the mean against the first way; NaN when that is 0."""
        base = self.mean(self.names[0], measure)
        return self.mean(way, measure) / base - 1 if base else math.nan

    def interval(self, way: str, measure: str, level: float = 0.9) -> tuple[float, float]:
        """Interval of the relative change, by Student's t on the differences of pairs of runs; NaN for one draw."""
        difference = self._pairs(way, measure)
        base = self.mean(self.names[0], measure)
        if len(difference) < _FEWEST or not base:
            return math.nan, math.nan
        from scipy import stats

        half = float(stats.t.ppf((1 + level) / 2, len(difference) - 1)) * _error(difference)
        return (float(difference.mean()) - half) / base, (float(difference.mean()) + half) / base

    def better(self, way: str, measure: str) -> float:
        """Probability that the way has less of the measure than the first way; NaN for one draw.

        With a flat prior the mean of the K differences has Student's t with K - 1 degrees of freedom as its posterior.
        """
        difference = self._pairs(way, measure)
        if len(difference) < _FEWEST:
            return math.nan
        error = _error(difference)
        if error == 0:
            return 0.5 if difference.mean() == 0 else float(difference.mean() < 0)
        from scipy import stats

        return float(stats.t.cdf(-difference.mean() / error, len(difference) - 1))

    def _of(self, way: str, measure: str) -> Floats:
        values: Floats = self.values[self.names.index(way), :, MEASURES.index(measure)]
        return values

    def _pairs(self, way: str, measure: str) -> Floats:
        return self._of(way, measure) - self._of(self.names[0], measure)


def compare(
    runs: Sequence[Run],
    ways: Sequence[Way],
    *,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Runs every way on every run.

    Args:
        runs: one for each draw of the demand, with its seed; what a way adds is appended to `additional`.
        ways: the first is what the others are compared with.
        workers: simulations at a time.
        progress: is called with the share that is done.

    Raises:
        RequestError: `signals.no_runs`, `traffic.workers`. SourceError: files or a simulation fail.
    """
    if not runs or not ways:
        raise RequestError("signals.no_runs")
    changed = [replace(run, additional=(*run.additional, *way.additional)) for way in ways for run in runs]
    controls = [way.control() if way.control else None for way in ways for _ in runs]
    done = many(changed, workers, controls=controls, progress=progress)
    rows = [done[at : at + len(runs)] for at in range(0, len(done), len(runs))]
    values = np.array([[measures(outcome) for outcome in row] for row in rows])
    vehicles = np.array([[float(len(outcome.trips.ids)) for outcome in row] for row in rows])
    seconds = sum(outcome.seconds for outcome in done)
    seeds = tuple(run.seed for run in runs)
    return Comparison(tuple(way.name for way in ways), values, vehicles, seeds, seconds, _streets(runs, rows))


def measures(outcome: Outcome) -> tuple[float, ...]:
    """The `MEASURES` of a run."""
    return (
        outcome.delay,
        outcome.co2_g_per_vehicle,
        outcome.stops,
        float(outcome.unfinished),
        float(outcome.never_departed),
        float(outcome.teleports.jam),
        float(outcome.teleports.total),
        float(outcome.collisions),
    )


def _streets(runs: Sequence[Run], rows: Sequence[Sequence[Outcome]]) -> Streets | None:
    """Sums of streets as rates of an hour; None unless every run tells of streets."""
    told = [[outcome.links for outcome in row if outcome.links is not None] for row in rows]
    if any(len(links) < len(runs) for links in told):
        return None
    hours = sum(run.end - run.begin for run in runs) / _HOUR

    def each(amount: Callable[[Links], Floats]) -> Floats:
        return np.array([sum(amount(links).sum(axis=(0, 2)) for links in row) for row in told])

    meters, spent = each(lambda links: links.distance), each(lambda links: links.vehicle_seconds)
    speed = np.divide(_KMH * meters, spent, out=np.full(meters.shape, np.nan), where=spent > 0)
    co2 = each(lambda links: links.emissions[..., 0]) / _GRAMS / hours
    return Streets(told[0][0].ids, co2, each(lambda links: links.time_loss) / _HOUR / hours, speed)


def _error(difference: Floats) -> float:
    return float(difference.std(ddof=1)) / math.sqrt(len(difference))
