# SPDX-License-Identifier: Apache-2.0
"""Screening: finds what is wrong with values and says so as quality codes; it never changes a value.

Comes in: one series of a flow as arrays, its step and its limits. Goes out: a quality code per row, rows for steps that
have none, and findings with their span. The rules are conservative: a false alarm takes a true value out of the sums, so
each rule asks for more than one sign. What a rule flags is decided on the whole series at once, so the order in which the
data came does not matter.

Rule by rule (thresholds are module constants, each with its reason):

    gap         a step of the grid without a row                                     MISSING
    range       below the minimum, above the maximum                                 RANGE
    stuck       the same non-zero value for too long for this meter                  STUCK
    spike       far from its hour of the week, from its neighbors and from the       SPIKE
                usual range, for a few steps only
    clock       days whose profile fits the weeks before only when moved by hours    CLOCK
    zero run    a flow that is never zero is zero for a day                          (reported only)
    level       the median of a day is a hundred times the usual one, or a hundredth (reported only)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from mangrove.inference import clock_shift
from mangrove.inference.series import (
    DAY,
    SECOND,
    Bools,
    Codes,
    Floats,
    Ints,
    Series,
    local_time,
    median_by,
    on_grid,
    runs_of,
    slot_of_week,
    usual_distance,
)
from mangrove.ledger.types import Quality

VERSION = "2"
"""Raised when a rule or a threshold changes; stored with every batch of findings."""

STUCK_SAMPLES = 8
"""A run of equal values shorter than this is never stuck: rounding makes short runs in steady loads."""
STUCK_HOURS = 12.0
"""... nor one shorter than twelve hours: a process can hold a set point for a whole shift."""
STUCK_CHANCE = 1e-6
"""The run must be this unlikely, given how often neighboring values of this flow are equal otherwise."""
STUCK_HABIT = 0.05
"""When runs of that length happen on more than 5 % of the days, the flow is a set point, and nothing is stuck."""

SPIKE_STEPS = 3
"""A spike lasts at most three steps; what lasts longer is operation."""
SPIKE_SCALES = 8.0
"""Distance from the median of its hour of the week, in robust standard deviations of that hour."""
SPIKE_RANGE = 1.0
"""Distance beyond the usual range (1st to 99th percentile), in widths of that range: motors start, meters jump further."""
SPIKE_FLOOR = 0.02
"""The robust standard deviation counts as at least 2 % of the usual range, for hours that are always the same."""
SPIKE_DAYS = 14
"""Days of data before an hour of the week has a usual value."""
MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution: 1 / Phi^-1(3/4)."""

ZERO_HOURS = 24.0
ZERO_SHARE = 0.001
"""A zero run is reported when it lasts a day and less than 0.1 % of the other values are zero."""
ZERO_MOST = 0.1
"""A flow that is zero for more than a tenth of the time is used to standing still: nothing is reported."""
LEVEL = 100.0
"""A jump of the daily median by this factor is reported: kWh sent as MWh are a thousand times off, a holiday is not."""
LEVEL_DAYS = 28
LEVEL_LEAST = 3
"""Days whose median is the usual one, and how many there must be at least."""
_HOUR = 3600 * SECOND
RULES = ("stuck", "spike", "zero", "level", "clock")
"""Rules beside gaps and bounds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found: a rule, the half-open span in microseconds UTC, how many rows, and a telling number."""

    rule: str
    start: int
    end: int
    rows: int
    detail: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What a flow can be: bounds on a value in the flow's unit (None: no bound), whether amounts add up, and which rules ask.

    `rules` names those of `RULES` that make sense for what is measured; None: none for a state, all for everything else.
    """

    minimum: float | None = None
    maximum: float | None = None
    semantics: str = "sum"
    rules: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Screened:
    """The series with codes, on a complete grid, and the findings.

    Attributes:
        series: all rows, those of gaps too; `quality` holds the new codes.
        changed: the rows whose code is not the one that came in (gaps included).
        findings: in order of rule and time.
    """

    series: Series
    changed: Bools
    findings: tuple[Finding, ...] = field(default=())


def screen(
    series: Series,
    step: int,
    limits: Limits,
    tz: ZoneInfo,
    *,
    low: int | None = None,
    high: int | None = None,
) -> Screened:
    """Screens one series.

    Args:
        series: sorted by start; rows with a code other than GOOD keep it and inform no rule.
        step: declared length of an interval in microseconds. When the data is regular at a multiple of it, that
            distance counts instead, and a finding `step` says so.
        limits: bounds.
        tz: the zone in which days and weeks are meant.
        low: begin of the asked span: gaps before the first row are looked for from here.
        high: end of the asked span: gaps after the last row are looked for up to here.

    Returns:
        The screened series.
    """
    findings: list[Finding] = []
    if not len(series) and (low is None or high is None):
        return Screened(series, np.empty(0, dtype=bool))
    usual = usual_distance(series.start)
    if usual > step and usual % step == 0:
        findings.append(
            Finding("step", int(series.start[0]), int(series.start[-1]) + usual, len(series), usual / SECOND)
        )
        step = usual
    grid = on_grid(series, step, low, high)
    quality = grid.quality.copy()
    gaps = ~np.isin(grid.start, series.start, assume_unique=True)
    _report(findings, "gap", grid, gaps, step=step)
    _mark(quality, out_of_range(grid, quality == Quality.GOOD, limits), Quality.RANGE)
    _report(findings, "range", grid, quality != grid.quality, step=step)
    rules = limits.rules if limits.rules is not None else () if limits.semantics == "state" else RULES
    if rules:
        _ask(rules, grid, quality, findings, step=step, tz=tz)
    return Screened(
        Series(grid.start, grid.value, quality), gaps | (quality != grid.quality), tuple(findings)
    )


def _ask(
    rules: tuple[str, ...], grid: Series, quality: Codes, findings: list[Finding], *, step: int, tz: ZoneInfo
) -> None:
    """Asks the rules beside gaps and bounds; writes their codes into `quality`."""
    local = local_time(grid.start, tz)
    for rule, code in (("stuck", Quality.STUCK), ("spike", Quality.SPIKE)):
        if rule in rules:
            good = quality == Quality.GOOD
            found = stuck(grid, good, step) if rule == "stuck" else spikes(grid, good, local, step)
            _mark(quality, found, code)
            _report(findings, rule, grid, found, step=step)
    if "zero" in rules:
        _report(findings, "zero", grid, zero_run(grid, quality == Quality.GOOD, step), step=step)
    if "level" in rules:
        for first, last, ratio in level_shifts(grid, quality == Quality.GOOD, local):
            span = int(grid.start[first]), int(grid.start[last]) + step
            findings.append(Finding("level", *span, last - first + 1, ratio))
    if "clock" in rules:
        good_value = np.where(quality == Quality.GOOD, grid.value, np.nan)
        for shift in clock_shift.find(local, good_value, step, local - grid.start):
            days = (local >= shift.first) & (local < shift.last)
            _mark(quality, days & (quality == Quality.GOOD), Quality.CLOCK)
            _report(findings, "clock", grid, days, step=step, detail=shift.hours)


def _mark(quality: Codes, where: Bools, code: Quality) -> None:
    quality[where] = code


def _report(
    findings: list[Finding], rule: str, grid: Series, where: Bools, *, step: int, detail: float = 0.0
) -> None:
    for first, last in runs_of(where):
        rows = last - first
        told = detail or float(grid.value[first]) if rule != "gap" else rows * step / SECOND
        findings.append(Finding(rule, int(grid.start[first]), int(grid.start[last - 1]) + step, rows, told))


def out_of_range(series: Series, good: Bools, limits: Limits) -> Bools:
    """Values outside the bounds: `value < minimum` or `value > maximum`. An amount without a minimum has the minimum 0."""
    minimum = 0.0 if limits.minimum is None and limits.semantics == "sum" else limits.minimum
    found = np.zeros(len(series), dtype=bool)
    if minimum is not None:
        found |= good & (series.value < minimum)
    if limits.maximum is not None:
        found |= good & (series.value > limits.maximum)
    return found


def stuck(series: Series, good: Bools, step: int) -> Bools:
    """Rows that repeat a non-zero value for too long; the first row of the run is a true reading and stays.

    Let p be the share of neighboring pairs with equal values outside long runs. A run of k repetitions among n rows is
    stuck when k is at least `STUCK_SAMPLES` and `STUCK_HOURS`, `n p^k < STUCK_CHANCE`, and such runs are no habit.
    Zeros are never stuck: plants stand still and the sun sets (see `zero_run`).
    """
    n = len(series)
    found = np.zeros(n, dtype=bool)
    if n < STUCK_SAMPLES:
        return found
    equal = good[1:] & good[:-1] & (series.value[1:] == series.value[:-1]) & (series.value[1:] != 0)
    enough = max(STUCK_SAMPLES, int(np.ceil(STUCK_HOURS * _HOUR / step)))
    long = [(first, last) for first, last in runs_of(equal) if last - first + 1 >= enough]
    if not long:
        return found
    pairs = int(np.sum(good[1:] & good[:-1])) - sum(last - first for first, last in long)
    chance = (int(equal.sum()) - sum(last - first for first, last in long) + 1) / (pairs + 2)
    days = max(1.0, n * step / DAY)
    touched = {int(series.start[first]) // DAY for first, _ in long}
    if len(touched) > 1 and len(touched) / days > STUCK_HABIT:
        return found
    for first, last in long:
        if n * chance ** (last - first) < STUCK_CHANCE:
            found[first + 1 : last + 1] = True
    return found


def spikes(series: Series, good: Bools, local: Ints, step: int) -> Bools:
    """Rows far from everything usual, for at most `SPIKE_STEPS` steps.

    With m and s the median and robust standard deviation (1.4826 MAD) of the row's hour of the week, and q01, q99 the
    percentiles of the whole series, a row is a spike when all hold: `|x - m| > 8 max(s, 0.02 (q99 - q01))`; x lies
    outside `[q01 - (q99 - q01), q99 + (q99 - q01)]`; and `|x - median of the six neighbors|` exceeds `q99 - q01`.
    """
    found = np.zeros(len(series), dtype=bool)
    rows = np.flatnonzero(good)
    if len(rows) < 2 * SPIKE_STEPS + 1 or len(rows) * step < SPIKE_DAYS * DAY:
        return found
    value = series.value[rows]
    q01, q99 = np.quantile(value, [0.01, 0.99])
    width = float(q99 - q01)
    outside = (value < q01 - SPIKE_RANGE * width) | (value > q99 + SPIKE_RANGE * width)
    if width <= 0 or not outside.any():
        return found
    hour = slot_of_week(local[rows], _HOUR)
    middle = median_by(hour, value, 168)[hour]
    spread = MAD_TO_SIGMA * median_by(hour, np.abs(value - middle), 168)[hour]
    far = np.abs(value - middle) > SPIKE_SCALES * np.maximum(spread, SPIKE_FLOOR * width)
    found[rows] = outside & far & (np.abs(value - _neighbors(value)) > width)
    for first, last in runs_of(found):
        if last - first > SPIKE_STEPS:
            found[first:last] = False
    return found


def _neighbors(value: Floats) -> Floats:
    """The median of the rows around each row, itself and `SPIKE_STEPS` - 1 on each side left out."""
    reach = 2 * SPIKE_STEPS
    padded = np.pad(value, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    keep = [i for i in range(2 * reach + 1) if abs(i - reach) >= SPIKE_STEPS]
    return np.asarray(np.median(windows[:, keep], axis=1))


def level_shifts(series: Series, good: Bools, local: Ints) -> list[tuple[int, int, float]]:
    """First and last row and the ratio of every stretch of days that begins with a jump of the level by `LEVEL`.

    The level of a day is the median of the sizes of its good values that are not zero; the usual level is the median over
    the days before. Nothing is marked: the values may be right, with another meter or another plant behind them.
    """
    rows = np.flatnonzero(good & (series.value != 0))
    days, at = np.unique(local[rows] // DAY, return_index=True)
    ends = np.append(at, len(rows))
    levels = np.array([np.median(np.abs(series.value[rows[a:b]])) for a, b in pairwise(ends)])
    found: list[tuple[int, int, float]] = []
    for day in np.flatnonzero(np.abs(np.diff(np.log(levels))) > np.log(LEVEL / 2)) + 1:
        if day < LEVEL_LEAST or (found and rows[at[day]] <= found[-1][1]):
            continue
        ratio = levels[day:] / np.median(levels[max(0, day - LEVEL_DAYS) : day])
        off = (ratio >= LEVEL) | (ratio <= 1 / LEVEL)
        run = len(days) - day if off.all() else int(np.argmin(off))
        if run:
            found.append((int(rows[at[day]]), int(rows[ends[day + run] - 1]), float(ratio[0])))
    return found


def zero_run(series: Series, good: Bools, step: int) -> Bools:
    """Rows of zero runs of a day or more in a flow that is otherwise never zero: a dead meter or a standstill."""
    zero = good & (series.value == 0)
    found = np.zeros(len(series), dtype=bool)
    for first, last in runs_of(zero):
        if (last - first) * step >= ZERO_HOURS * _HOUR:
            found[first:last] = True
    others = int(np.sum(good & ~found))
    if (
        not found.any()
        or int(np.sum(found)) > ZERO_MOST * int(np.sum(good))
        or int(np.sum(zero & ~found)) > ZERO_SHARE * others
        or others * step < SPIKE_DAYS * DAY
    ):
        return np.zeros(len(series), dtype=bool)
    return found
