# SPDX-License-Identifier: Apache-2.0
"""What is known of a national grid at the end of a day, and what the calendar says of the day that is asked for.

Comes in: the daily energy by source and the daily carbon intensity, days without publication as NaN. Goes out: one row of columns for
each day as an origin: inertia of the intensity over days, weeks and a month, where each source stands beside its own recent level
(hydrology, wind, sun, gas), the demand, and weekday, day off, Tết and season of the origin and of the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from mangrove.rules import holidays, lunar

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHARES = ("hydro", "coal", "gas", "wind", "solar")
"""Sources whose part moves the intensity; the others are small."""
_BEFORE_TET, _AFTER_TET, _TET = 7.0, 9.0, 2
"""Days over which demand falls before and grows after the lunar year, and the days it stays low."""
_YEAR = 365.2425


@dataclass(frozen=True, eq=False)
class DailyMix:
    """D days of a grid in a row.

    Attributes:
        first: the first local day; energy: by source, (D,) GWh; intensity: (D,) emissions per kWh. NaN where a day was not published.
        zone: IANA zone, whose days off hold.
    """

    first: date
    energy: Mapping[str, Floats]
    intensity: Floats
    zone: str = "Asia/Ho_Chi_Minh"

    @property
    def numbers(self) -> Ints:
        """(D,) days since 1970."""
        return int(np.datetime64(self.first, "D").astype(np.int64)) + np.arange(len(self.intensity))


def describe(mix: DailyMix, lead: int) -> Floats:
    """The columns of each day as the origin of a forecast `lead` days ahead, (D, p); NaN where a column is not known.

    Row t holds nothing that was not known at the end of day t, except the calendar of day t + lead.
    """
    log = np.log(mix.intensity)
    days = mix.numbers
    usual = log - trailing(log, 7, 3)
    alike = [usual if 7 * k == lead else _lag(usual, 7 * k - lead) for k in range(1, 5) if 7 * k >= lead]
    here, there = _calendar(days, mix.zone), _calendar(days + lead, mix.zone)
    angle = 2 * np.pi * (days + lead) / _YEAR
    season = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    week = ((days[:, None] + 3) % 7 == np.arange(6)).astype(np.float64)
    parts = [*_inertia(log), *_sources(mix), _mean(alike), *season]
    return np.column_stack([*parts, here, there, there - here, week])


def trailing(values: Floats, days: int, fewest: int) -> Floats:
    """The mean of the last `days` days, this one included; NaN where fewer than `fewest` are known."""
    known = np.isfinite(values)
    total = np.cumsum(np.append(0.0, np.where(known, values, 0.0)))
    count = np.cumsum(np.append(0, known))
    last = np.arange(len(values)) + 1
    begin = np.maximum(last - days, 0)
    many = count[last] - count[begin]
    return np.where(many >= fewest, (total[last] - total[begin]) / np.maximum(many, 1), np.nan)


def _inertia(log: Floats) -> list[Floats]:
    """The level of the day beside those of the days, weeks and the month before."""
    week, month = trailing(log, 7, 3), trailing(log, 28, 7)
    back = [log - _lag(log, k) for k in (1, 2, 6, 7, 14)]
    return [log, log - week, trailing(log, 3, 1) - week, week - month, *back]


def _sources(mix: DailyMix) -> list[Floats]:
    """The demand, and the share of each source, beside their own week and month."""
    whole = np.sum([np.nan_to_num(one) for one in mix.energy.values()], axis=0)
    whole = np.where(np.isfinite(mix.intensity) & (whole > 0), whole, np.nan)
    demand = np.log(whole)
    found = [demand - trailing(demand, 7, 3), demand - _lag(demand, 7)]
    found.append(trailing(demand, 7, 3) - trailing(demand, 28, 7))
    for name in _SHARES:
        share = mix.energy[name] / whole
        week, month = trailing(share, 7, 3), trailing(share, 28, 7)
        found += [share, share - week, week - month, share - month]
    return found


def _calendar(days: Ints, zone: str) -> Floats:
    """Weekday, day off, day beside one, and how deep in Tết a day is, (D, 8)."""
    off = np.array(sorted(holidays.days(zone)), dtype="datetime64[D]").astype(np.int64)
    closed = np.isin(days, off)
    beside = (np.isin(days + 1, off) | np.isin(days - 1, off)) & ~closed
    tet = _tet(days) if zone in holidays.ZONES else np.zeros(len(days))
    weekday = (days + 3) % 7
    columns = [(weekday == k) & ~closed for k in (0, 4, 5, 6)]
    return np.column_stack([*columns, closed, closed & (tet == 0), beside, tet]).astype(np.float64)


def _tet(days: Ints) -> Floats:
    """1 in the days of the lunar new year, falling to 0 within about a week on both sides."""
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    asked = range(int(years.min()) - 1, int(years.max()) + 2) if len(days) else range(0)
    starts = np.array([lunar.new_year(year) for year in asked], dtype="datetime64[D]").astype(np.int64)
    apart = days[:, None] - starts[None, :]
    depth = 1 - np.where(apart < 0, -apart / _BEFORE_TET, np.maximum(apart - _TET, 0) / _AFTER_TET)
    return np.asarray(np.maximum(depth, 0.0).max(axis=1, initial=0.0))


def _lag(values: Floats, days: int) -> Floats:
    return np.concatenate([np.full(min(days, len(values)), np.nan), values[: max(len(values) - days, 0)]])


def _mean(parts: list[Floats]) -> Floats:
    """The mean of what is known in each row."""
    stack = np.stack(parts)
    known = np.isfinite(stack)
    total = np.where(known, stack, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
