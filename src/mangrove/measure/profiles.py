# SPDX-License-Identifier: Apache-2.0
"""When emissions happen that nobody meters by the hour: shapes of the year, the week and the day, by GPC reference.

Comes in: a GPC reference, UTC hours, a time zone. Goes out: a factor for each hour whose mean over every whole local year is one. The
shapes are those that European air-quality models use (`temporal_shapes.csv`: twelve GNFR categories; `temporal_categories.csv`: which
reference follows which): a prior of habits, never a measurement. The shapes of the day and the week stand for how people live and
work and are used everywhere; those of the months follow European winters, crops and holidays, and are used in time zones of Europe only,
unless they are asked for. Public holidays count as Sundays.

`shape(t) = m[month(t)] w[weekday(t)] h[hour(t)] / mean of the same over the hours of the local year`
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError, did_you_mean
from mangrove.inference.days import day_numbers, weekdays
from mangrove.inference.series import local_time
from mangrove.rules import holidays as days_off
from mangrove.rules import tables

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Times: TypeAlias = npt.NDArray[np.datetime64]

_HOUR = 3_600_000_000  # microseconds
_HOURS, _SUNDAY = 24, 6
_YEARS_KEPT = 512
_CYCLES = {"month": 12, "weekday": 7, "hour": 24}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the shape of a reference comes from.

    Attributes:
        category: letter of the GNFR category; empty when there is no shape, so that emissions are even.
        name: its name; status and source of the numbers; note: why this category.
    """

    category: str
    name: str
    status: str
    source: str
    note: str


def shape(
    gpc: str, starts: Times, tz: ZoneInfo, *, seasons: bool | None = None, holidays: bool = True
) -> Floats:
    """The factor of each hour, shape (T,); its mean over every whole local year is one.

    Args:
        gpc: a GPC reference ("II.1.1"); an empty one has an even shape.
        starts: UTC starts of hours or of shorter steps, shape (T,).
        tz: the zone in which people live.
        seasons: whether the shapes of the months count; None: only in time zones of Europe.
        holidays: whether public holidays count as Sundays, where the rules know them.

    Raises:
        RequestError: `gridding.unknown_gpc`.

    Example:
        >>> hours = np.arange("2024-06-03T17", "2024-06-04T17", dtype="datetime64[h]")  # a Tuesday in Việt Nam
        >>> road = shape("II.1.1", hours, ZoneInfo("Asia/Ho_Chi_Minh"))
        >>> int(road.argmax()), int(road.argmin())
        (17, 3)
    """
    category = origin(gpc).category
    if not category:
        return np.ones(len(starts))
    wants = tz.key.startswith("Europe/") if seasons is None else seasons
    local = local_time(starts.astype("datetime64[us]").astype(np.int64), tz)
    years = local.view("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
    found = _raw(category, local, tz.key, seasons=wants, holidays=holidays)
    for year in np.unique(years).tolist():
        found[years == year] /= _mean(category, year, tz, seasons=wants, holidays=holidays)
    return found


def origin(gpc: str) -> Origin:
    """The category that a reference follows, with its source and status.

    Raises:
        RequestError: `gridding.unknown_gpc`.
    """
    if not gpc:
        return Origin("", "", "", "", "")
    known = _categories()
    if gpc not in known:
        raise RequestError("gridding.unknown_gpc", gpc=gpc, hint=did_you_mean(gpc, known))
    return known[gpc]


@lru_cache(maxsize=1)
def _categories() -> dict[str, Origin]:
    shapes = {row["category"]: row for row in tables.rows("temporal_shapes")}
    found = {}
    for row in tables.rows("temporal_categories"):
        of = shapes.get(row["category"])
        source = of["source"] if of else row["source"]
        found[row["gpc"]] = Origin(row["category"], row["category_name"], row["status"], source, row["note"])
    return found


@lru_cache(maxsize=1)
def _cycles() -> dict[tuple[str, str], Floats]:
    """The numbers of each category and cycle as published."""
    found = {
        (row["category"], row["cycle"]): np.array(row["values"].split(), dtype=float)
        for row in tables.rows("temporal_shapes")
    }
    assert all(len(values) == _CYCLES[cycle] for (_, cycle), values in found.items())
    return found


def _raw(category: str, local: Ints, zone: str, *, seasons: bool, holidays: bool) -> Floats:
    """The product of the cycles at local times (microseconds on the wall since 1970)."""
    cycles = _cycles()
    hour = local // _HOUR
    day = hour // _HOURS
    weekday = weekdays(day)
    if holidays:
        weekday = np.where(np.isin(day, day_numbers(days_off.days(zone))), _SUNDAY, weekday)
    found = cycles[category, "weekday"][weekday] * cycles[category, "hour"][hour % _HOURS]
    if seasons:
        month = day.view("datetime64[D]").astype("datetime64[M]").astype(np.int64) % _CYCLES["month"]
        found = found * cycles[category, "month"][month]
    return np.asarray(found)


@lru_cache(maxsize=_YEARS_KEPT)
def _mean(category: str, year: int, tz: ZoneInfo, *, seasons: bool, holidays: bool) -> float:
    """The mean over the hours of a local year."""
    first, last = (
        int(datetime(at, 1, 1, tzinfo=tz).astimezone(UTC).timestamp()) * 1_000_000 for at in (year, year + 1)
    )
    local = local_time(np.arange(first, last, _HOUR), tz)
    return float(_raw(category, local, tz.key, seasons=seasons, holidays=holidays).mean())
