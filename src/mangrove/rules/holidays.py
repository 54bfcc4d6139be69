# SPDX-License-Identifier: Apache-2.0
"""The public holidays of Việt Nam, Tết included, as days on which offices and most factories stand still.

Comes in: a year or a time zone. Goes out: days off: of the years in the table `holidays.csv` all that were announced (each row with its
source), of other years those that the law itself fixes, by the sun or by the moon.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

from mangrove.rules import lunar, tables

ZONES = ("Asia/Ho_Chi_Minh", "Asia/Saigon")
"""The time zones in which these holidays hold (the second is the old name of the first)."""
FIXED = ((1, 1), (4, 30), (5, 1), (9, 2))
"""Month and day of the holidays of the sun: Labor Code 2019, Article 112."""
_SPAN = range(2007, 2101)
"""Years whose days off are computed: since the day of the Hùng kings is one."""


def of(year: int) -> frozenset[date]:
    """The days off of `year` as announced; empty when the table does not hold the year.

    Example:
        >>> date(2024, 2, 10) in of(2024)  # the first day of the lunar year
        True
    """
    return frozenset(day for day in _announced() if day.year == year)


def years() -> tuple[int, ...]:
    """The years that the table holds, ascending.

    Example:
        >>> 2024 in years()
        True
    """
    return tuple(sorted({day.year for day in _announced()}))


def by_law(year: int) -> frozenset[date]:
    """The days off of `year` that the law fixes: four of the sun, Tết, the day of the Hùng kings.

    Of Tết the day before the lunar year and its first three days: of the five days of the law (Labor Code 2019, Article 112) those that
    are off however the year's announcement lays them. Days that move because they fall on a weekend are left out too.

    Example:
        >>> date(2026, 2, 17) in by_law(2026)
        True
    """
    tet = {lunar.new_year(year) + timedelta(days=i) for i in range(-1, 3)}
    return frozenset(tet | {lunar.hung_kings(year)} | {date(year, month, day) for month, day in FIXED})


@cache
def days(zone: str) -> frozenset[date]:
    """All days off, announced or else by law, of the country whose time zone is `zone`; empty for other countries.

    Example:
        >>> days("Europe/Berlin")
        frozenset()
    """
    if zone not in ZONES:
        return frozenset()
    known = set(years())
    return _announced().union(*(by_law(year) for year in _SPAN if year not in known))


@cache
def _announced() -> frozenset[date]:
    return frozenset(date.fromisoformat(row["date"]) for row in tables.rows("holidays"))
