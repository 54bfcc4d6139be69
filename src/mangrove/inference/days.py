# SPDX-License-Identifier: Apache-2.0
"""What kind of day a day is: everything that looks at working life (forecasts, the nowcast, causes of a change) counts days alike.

Comes in: days and days off. Goes out: day numbers since 1970 and kinds of days.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from mangrove.inference.series import Ints

WORK, SATURDAY, SUNDAY, CLOSED = range(4)
"""Kinds of days; a day off is `CLOSED` whatever its weekday."""


def day_numbers(days: Iterable[date]) -> Ints:
    """Days as sorted numbers since 1970, shape (n,)."""
    return np.array(sorted(days), dtype="datetime64[D]").astype(np.int64)


def kinds(days: Ints, off: Ints) -> Ints:
    """The kind of each day: `WORK`, `SATURDAY`, `SUNDAY` or `CLOSED`.

    Args:
        days: day numbers, shape (n,).
        off: sorted numbers of the days off.

    Example:
        >>> kinds(np.array([19723, 19728, 19729]), np.array([19723])).tolist()  # 1, 6 and 7 January 2024
        [3, 1, 2]
    """
    found = np.maximum(weekdays(days) - 4, 0)
    return np.where(np.isin(days, off), CLOSED, found)


def weekdays(days: Ints) -> Ints:
    """0 for Monday to 6 for Sunday; 1 January 1970 was a Thursday."""
    return (days + 3) % 7
