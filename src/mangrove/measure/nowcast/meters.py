# SPDX-License-Identifier: Apache-2.0
"""Flows of the inventory that are metered: what was read stands, what is missing is bridged with its error.

Comes in: the daily series of a metered flow. Goes out: its daily amounts on the days of the window, samples of them, and the share of each
hour: read hours are kept as they are.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from mangrove.inference.state_space import Fit, ar1_paths, fit
from mangrove.measure.nowcast.hours import Hours
from mangrove.measure.nowcast.inputs import Daily, Floats, usual_day
from mangrove.measure.plan import is_rate
from mangrove.measure.uncertainty import Z95
from mangrove.territory.model import Flow


@dataclass(frozen=True, slots=True)
class Metered:
    """A metered flow in the window.

    Attributes:
        flow: as declared; mean: daily amounts, shape (D,); samples: shape (S, D); shares: of hours in days, shape (T,).
        missing: days that were not read in full.
    """

    flow: Flow
    mean: Floats
    samples: Floats
    shares: Floats
    missing: int


def metered(flow: Flow, daily: Daily, hours: Hours, columns: Floats, *, pairs: int, seed: int) -> Metered:
    """A metered flow on the days of `hours`.

    Args:
        flow: as declared.
        daily: its series.
        hours: the window.
        columns: what explains a day, from the first day of the series to the last of the window, shape (D', p).
        pairs: half the number of samples.
        seed: of the random numbers.
    """
    y = np.full(len(columns), np.nan)
    y[: len(daily.value)] = daily.value
    logs = bool((y[np.isfinite(y)] > 0).all())
    variance = np.full(columns.shape[1], 0.25)
    variance[0] = 1e6
    scale = float(np.nanmean(np.abs(y))) if np.isfinite(y).any() else 1.0
    found = fit(np.log(y) if logs else y / (scale or 1.0), columns, variance=variance)
    at = hours.days - daily.first
    draws = _bridge(found, at, flow, pairs, seed)
    middle = found.mean[np.maximum(at, 0)]
    spread = found.spread[np.maximum(at, 0)]
    whole = np.exp(middle + spread**2 / 2) if logs else middle * scale
    missing = np.isnan(y[np.maximum(at, 0)]) | (at < 0)
    hour = flow.step is not None and flow.step.hours <= 1
    amount = 24.0 if is_rate(flow) else 1.0  # a mean over the day is an amount per hour
    known, kept = (
        _known_hours(daily, hours) if hour else (np.zeros(len(hours.start)), np.zeros(len(hours.start)))
    )
    habit = usual_day(daily.value, daily.hours) if hour else None
    usual = habit[hours.clock] if habit is not None else np.full(len(hours.start), 1 / 24)
    filled = np.where(kept > 0, known, usual * (whole * amount)[hours.day])
    mean: Floats = np.bincount(hours.day, weights=filled, minlength=len(hours.days)).astype(float)
    open_ = np.bincount(hours.day, weights=usual * (kept == 0), minlength=len(hours.days))
    push = np.exp(spread * draws[0] - spread**2 / 2) - 1.0 if logs else spread * draws[0]
    samples = mean + np.where(missing, push * (whole if logs else scale) * amount * open_, 0.0)
    error = (flow.uncertainty or 0.0) / Z95
    samples = samples * np.exp(error * draws[1] - error**2 / 2)
    return Metered(flow, mean, samples, hours.shares(filled), int(missing.sum()))


def _bridge(found: Fit, at: object, flow: Flow, pairs: int, seed: int) -> tuple[Floats, Floats]:
    """Paths of the error of a bridge, shape (S, D), and the error of the meter, shape (S, 1); both antithetic."""
    steps = np.asarray(at)
    draw = np.random.default_rng((seed, zlib.crc32(f"bridge {flow.id}".encode())))
    gaps = np.diff(steps, prepend=steps[:1] - 1).astype(float)
    paths = ar1_paths(
        float(np.clip(found.phi, 0.0, 0.999)), 1.0, gaps, draw.standard_normal((len(steps), pairs))
    ).T
    draw = np.random.default_rng((seed, zlib.crc32(f"meter {flow.meter or flow.id}".encode())))
    error = draw.standard_normal((pairs, 1))
    return np.concatenate([paths, -paths]), np.concatenate([error, -error])


def _known_hours(daily: Daily, hours: Hours) -> tuple[Floats, Floats]:
    """The values that were read at hours (0 where none was), and where, shape (T,) each."""
    table = daily.hours_on(hours.days)[hours.day, hours.clock]
    kept = np.isfinite(table)
    return np.where(kept, table, 0.0), kept.astype(float)
