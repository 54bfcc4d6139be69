# SPDX-License-Identifier: Apache-2.0
"""The public holidays of Việt Nam, Tết included, as days on which offices and most factories stand still.

Comes in: a year. Goes out: its days off, from the table `holidays.csv` (Labor Code and the yearly announcements, each row with its
source). Years that the table does not hold have no holidays here: Tết follows the moon and the days beside it are announced.
"""

from __future__ import annotations

from datetime import date
from functools import cache

from mangrove.rules import tables

ZONES = ("Asia/Ho_Chi_Minh", "Asia/Saigon")
"""The time zones in which these holidays hold (the second is the old name of the first)."""


def of(year: int) -> frozenset[date]:
    """The days off of `year`; empty when the table does not hold the year.

    Example:
        >>> date(2024, 2, 10) in of(2024)  # the first day of the lunar year
        True
    """
    return frozenset(day for day in _days() if day.year == year)


def years() -> tuple[int, ...]:
    """The years that the table holds, ascending.

    Example:
        >>> 2024 in years()
        True
    """
    return tuple(sorted({day.year for day in _days()}))


def days(zone: str) -> frozenset[date]:
    """All known days off of the country whose time zone is `zone`; empty for other countries.

    Example:
        >>> days("Europe/Berlin")
        frozenset()
    """
    return _days() if zone in ZONES else frozenset()


@cache
def _days() -> frozenset[date]:
    return frozenset(date.fromisoformat(row["date"]) for row in tables.rows("holidays"))
