# SPDX-License-Identifier: Apache-2.0
"""Live indices as regressors: the log of each series by day, its gaps bridged, its error, and what kind of day it is.

Comes in: the declared drivers and the daily series of their indices. Goes out: one `Index` a series, relative to the year that the
inventory stands for, and notes on what is silent, short or not positive. An index already holds the calendar: Sundays and Tết enter
through it, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from mangrove.errors import Problem
from mangrove.inference import state_space
from mangrove.measure.nowcast.inputs import Daily, Floats, Ints
from mangrove.measure.nowcast.reading import LEAST_DAYS, Reading
from mangrove.measure.timeline import EPOCH
from mangrove.measure.uncertainty import Z95
from mangrove.rules import holidays, lunar
from mangrove.territory.model import Flow

YEAR = 365
_ENOUGH = 0.8
"""Share of a year's days with values from which a mean stands for the year."""
_SILENT = timedelta(days=7)
_RECENT = 28
"""Days that must lie far from the reference before a leap is said: four whole weeks, so that days off alone are none."""
_LEAP = float(np.log(5))
"""Change of the mean log that no city shows: a factor of five either way; a thousand (W for kW) is far beyond it."""
_EFFECT_SD = 0.5
"""Standard deviation of the log effect of a weekday, a day off or Tết on a series that has not shown it yet: a factor of 1.6 either way."""
_TET_BEFORE, _TET_AFTER = 3, 7
"""Days around the first of the lunar year in which life stands still, whether or not offices are closed."""


@dataclass(frozen=True, slots=True)
class Index:
    """One live series as a regressor, on the days of the model.

    Attributes:
        flow: its id; log: log of the series less its reference, shape (D,); spread: sd of that where it was bridged, shape (D,).
        phi: memory of the error in a gap; drift: sd of the provider's error, 0 when none is stated.
        reference: first and end of the days whose mean log is zero; whole: whether they are the anchor year itself.
        daily: the series; filled: days of the window without values.
    """

    flow: str
    log: Floats
    spread: Floats
    phi: float
    drift: float
    reference: tuple[int, int]
    whole: bool
    daily: Daily


def calendar(days: Ints, zone: str) -> dict[str, Floats]:
    """1 on days off (`holiday`) and on the days around the lunar new year (`tet`), else 0; each of shape (D,).

    Example:
        >>> made = calendar(np.array([20499, 20501, 20575]), "Asia/Ho_Chi_Minh")  # 15 and 17 February, 2 May 2026
        >>> made["tet"].tolist(), made["holiday"].tolist()
        ([1.0, 1.0, 0.0], [0.0, 0.0, 0.0])
    """
    off = holidays.days(zone)
    tet = np.zeros(len(days))
    if off and len(days):
        years = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(int)) + 1970
        for year in years.tolist():
            first = (lunar.new_year(year) - EPOCH.date()).days
            tet[(days >= first - _TET_BEFORE) & (days < first + _TET_AFTER)] = 1.0
    closed = np.array([(day - EPOCH.date()).days for day in off], dtype=np.int64)
    return {"tet": tet, "holiday": np.isin(days, closed) * (1.0 - tet)}


def indices(reading: Reading, days: Ints, anchor: tuple[int, int]) -> tuple[dict[str, Index], list[Problem]]:
    """The indices of all drivers on `days`, and what to know about them.

    Args:
        reading: the declared drivers and the series of their indices.
        days: the day numbers of the model, ascending.
        anchor: the days of the newest inventory, half-open.
    """
    territory, at = reading.territory, reading.span.end
    found: dict[str, Index] = {}
    notes: list[Problem] = []
    for name in dict.fromkeys(one.index for one in territory.drivers):
        flow = territory.flows[name]
        given = reading.series.get(name)
        if given is None:
            notes.append(Problem("nowcast.index_without_values", {"index": name}, severity="warning"))
            continue
        values, bad = _positive(given)
        if bad:
            data = {"index": name, "count": bad}
            notes.append(Problem("nowcast.index_not_positive", data, severity="warning"))
        if np.isfinite(values).sum() < LEAST_DAYS:
            data = {"index": name, "count": int(np.isfinite(values).sum()), "least": LEAST_DAYS}
            notes.append(Problem("nowcast.index_too_short", data, severity="warning"))
            continue
        found[name] = _index(flow, given, values, days, anchor=anchor, zone=territory.timezone)
        notes += _leaps(name, values, found[name])
        if at - given.last > _SILENT:
            data = {"index": name, "days": (at - given.last).days}
            notes.append(Problem("nowcast.index_silent", data, severity="warning"))
        if flow.uncertainty is None:
            notes.append(Problem("nowcast.index_without_error", {"index": name}, severity="note"))
    return found, notes


def _leaps(name: str, values: Floats, index: Index) -> list[Problem]:
    """Whether the last weeks lie so far from the reference that the unit, not the city, may have changed; since when, and how far."""
    days = index.daily.first + np.arange(len(values))
    seen = np.isfinite(values)
    inside = seen & (days >= index.reference[0]) & (days < index.reference[1])
    late = seen & (days > days[seen][-1] - _RECENT)
    usual, now = float(values[inside].mean()), float(values[late].mean())
    if abs(now - usual) <= _LEAP:
        return []
    near = seen & (np.sign(now - usual) * (values - (usual + now) / 2) <= 0)
    last = int(np.flatnonzero(near)[-1]) if near.any() else -1
    after = np.flatnonzero(seen[last + 1 :]) + last + 1
    if not len(after):  # the last day is back at the reference: the weeks before it stand for themselves
        after = np.flatnonzero(late)
    data = {
        "index": name,
        "factor": float(np.exp(np.clip(values[after].mean() - usual, -700, 700))),
        "start": str(np.datetime64(int(days[after[0]]), "D")),
    }
    return [Problem("nowcast.index_leaps", data, severity="warning")]


def _positive(given: Daily) -> tuple[Floats, int]:
    """Logs of the days, NaN where there is none, and how many days are not positive."""
    bad = given.value <= 0
    return np.log(np.where(bad, np.nan, given.value)), int(bad.sum())


def _index(
    flow: Flow, given: Daily, values: Floats, days: Ints, *, anchor: tuple[int, int], zone: str
) -> Index:
    """Fits the series, bridges its gaps and sets its reference."""
    end = max(int(days[-1]) + 1, given.first + len(values))
    span = np.arange(given.first, end)
    y = np.concatenate([values, np.full(len(span) - len(values), np.nan)])
    shown = columns(span, zone, int(np.isfinite(y).sum()))
    variance = np.full(shown.shape[1], _EFFECT_SD**2)
    variance[0] = state_space.VAGUE
    fitted = state_space.fit(y, shown, variance=variance)
    before = days[days < given.first]
    reference, whole = _reference(span, y, anchor)
    inside = (span >= reference[0]) & (span < reference[1])
    level = float(fitted.mean[inside].mean())
    usual = float((shown[inside] @ fitted.coefficients).mean())
    early = columns(before, zone, int(np.isfinite(y).sum())) @ fitted.coefficients - usual
    late = days[days >= given.first] - given.first
    return Index(
        flow.id,
        np.concatenate([early, fitted.mean[late] - level]),
        np.concatenate([np.full(len(before), fitted.sd), fitted.spread[late]]),
        fitted.phi,
        (flow.uncertainty or 0.0) / Z95,
        reference,
        whole,
        given,
    )


def columns(days: Ints, zone: str, known: int) -> Floats:
    """What explains a series besides its memory: a level, weekdays, days off, Tết; the year once two of them are known."""
    weekday = (days + 3) % 7
    parts = [np.ones(len(days)), *(weekday == one for one in range(6))]
    kinds = calendar(days, zone)
    parts += [kinds["holiday"], kinds["tet"]]
    if known >= 2 * YEAR * _ENOUGH:
        angle = 2 * np.pi * days / 365.2425
        parts += [np.sin(angle), np.cos(angle)]
    return np.column_stack(parts).astype(float)


def _reference(span: Ints, y: Floats, anchor: tuple[int, int]) -> tuple[tuple[int, int], bool]:
    """The days whose mean is the reference: the anchor year when enough of it was seen, else the first year of the series."""
    inside = (span >= anchor[0]) & (span < anchor[1])
    if anchor[1] > anchor[0] and np.isfinite(y[inside]).sum() >= _ENOUGH * (anchor[1] - anchor[0]):
        return anchor, True
    first = int(span[np.isfinite(y)][0])
    last = int(span[np.isfinite(y)][-1]) + 1
    return (first, min(first + YEAR, last)), False
