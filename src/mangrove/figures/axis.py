# SPDX-License-Identifier: Apache-2.0
"""Axes: round tick values, and months along a row of days.

Comes in: a range of numbers or dates. Goes out: the ticks to draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta

from mangrove.figures import numbers


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten apart) that cover `low` to `high`, about `count` of them.

    Example:
        >>> ticks(0, 97)
        [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high - low <= abs(high) * 1e-12:
        center = low if math.isfinite(low) else 0.0
        low, high = min(center, 0.0), max(center, 0.0) or 1.0
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    if not power:  # the range is smaller than the smallest float
        return [0.0, 1.0]
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def extent(values: Iterable[float | None]) -> tuple[float, float]:
    """The smallest range that holds zero and every finite value."""
    found = [float(v) for v in values if v is not None and math.isfinite(v)]
    return min([0.0, *found]), max([0.0, *found])


def month_ticks(start: date, days: int, lang: str) -> list[tuple[int, str]]:
    """The first day of each month as (days since `start`, name); the first one and each January show the year.

    A first month of which less than half is shown has no room for a name and is left out.

    Example:
        >>> month_ticks(date(2024, 12, 20), 60, "en")
        [(12, 'Jan 2025'), (43, 'Feb')]
    """
    offsets = [i for i in range(days) if i == 0 or (start + timedelta(days=i)).day == 1]
    if len(offsets) > 1 and offsets[1] < 15:  # noqa: PLR2004  half a month
        del offsets[0]
    joiner = "/" if lang == "vi" else " "
    found: list[tuple[int, str]] = []
    for offset in offsets[:: max(1, math.ceil(len(offsets) / 13))]:
        day = start + timedelta(days=offset)
        name = numbers.month(day.month, lang)
        found.append((offset, f"{name}{joiner}{day.year}" if not found or day.month == 1 else name))
    return found
