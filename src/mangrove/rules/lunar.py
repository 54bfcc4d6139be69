# SPDX-License-Identifier: Apache-2.0
"""The lunar calendar of Việt Nam, as far as public holidays need it: the first day of the lunar year and of its third month.

Comes in: a year. Goes out: dates. Months begin on the day of the new moon and the eleventh month holds the winter solstice, both in the
time of the 105th meridian (UTC+7); of thirteen months between two solstices the first in which the sun enters no new sign is a leap month.
New moons and the sun's longitude: J. Meeus, Astronomical Algorithms, 2nd edition (1998), chapters 49 and 25, to about a minute.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from math import floor, radians, sin

_EPOCH = date(2000, 1, 1)
_J2000 = 2451544.5
"""Julian day of the beginning of 1 January 2000, UT."""
_OFFSET = 7 / 24
_DELTA_T = 69 / 86_400
"""Terrestrial time minus universal time in 2020, in days; it changes by half a minute in the half century around it."""
_NEW_MOON = (  # coefficient (days), power of E, multiples of M, M', F: Meeus table 49.A, new moon, terms above 10 s
    (-0.40720, 0, 0, 1, 0), (0.17241, 1, 1, 0, 0), (0.01608, 0, 0, 2, 0), (0.01039, 0, 0, 0, 2), (0.00739, 1, -1, 1, 0),
    (-0.00514, 1, 1, 1, 0), (0.00208, 2, 2, 0, 0), (-0.00111, 0, 0, 1, -2), (-0.00057, 0, 0, 1, 2), (0.00056, 1, 1, 2, 0),
    (-0.00042, 0, 0, 3, 0), (0.00042, 1, 1, 0, 2), (0.00038, 1, 1, 0, -2), (-0.00024, 1, -1, 2, 0),
)  # fmt: skip
_FIRST_MONTH = 2
"""Months after the eleventh at which a lunar year begins."""


@cache
def new_year(year: int) -> date:
    """The first day of the lunar year that begins in `year`.

    Example:
        >>> new_year(2024), new_year(2025)
        (datetime.date(2024, 2, 10), datetime.date(2025, 1, 29))
    """
    return _month_start(year, 1)


@cache
def hung_kings(year: int) -> date:
    """The tenth day of the third lunar month.

    Example:
        >>> hung_kings(2024)
        datetime.date(2024, 4, 18)
    """
    return _month_start(year, 3) + timedelta(days=9)


def _month_start(year: int, month: int) -> date:
    """The first day of a month (1 to 10, no leap month) of the lunar year that begins in `year`."""
    first, last = _eleventh(year - 1), _eleventh(year)
    begins = [_new_moon(first + i) for i in range(last - first + 1)]
    leap = next(
        (i for i in range(1, len(begins) - 1) if _sign(begins[i]) == _sign(begins[i + 1])), len(begins)
    )
    at = month + 1
    if last - first == 13 and leap <= at:  # noqa: PLR2004 - thirteen months between two solstices
        at += 1
    return begins[at]


@cache
def _eleventh(year: int) -> int:
    """The number of the new moon that begins the month of the winter solstice of `year`."""
    number = round((date(year, 12, 31) - _EPOCH).days / 29.530588861)
    while _new_moon(number) > date(year, 12, 31):
        number -= 1
    if _sign(_new_moon(number)) >= 9:  # noqa: PLR2004 - the solstice (270 degrees) lies before it
        number -= 1
    return number


@cache
def _new_moon(number: int) -> date:
    """The day in Việt Nam of a new moon; number 0 is that of 6 January 2000."""
    t = number / 1236.85
    e = 1 - 0.002516 * t - 0.0000074 * t * t
    m = radians(2.5534 + 29.10535670 * number - 0.0000014 * t * t)
    moon = radians(201.5643 + 385.81693528 * number + 0.0107582 * t * t)
    f = radians(160.7108 + 390.67050284 * number - 0.0016118 * t * t)
    omega = radians(124.7746 - 1.56375588 * number)
    day = 2451550.09766 + 29.530588861 * number + 0.00015437 * t * t - 0.00017 * sin(omega)
    day += sum(c * e**p * sin(a * m + b * moon + d * f) for c, p, a, b, d in _NEW_MOON)
    return _EPOCH + timedelta(days=floor(day - _DELTA_T + _OFFSET - _J2000))


def _sign(day: date) -> int:
    """The twelfth of the circle in which the sun stands at the beginning of a day in Việt Nam: 0 from the spring equinox on."""
    t = ((day - _EPOCH).days - 0.5 - _OFFSET + _DELTA_T) / 36_525
    m = radians(357.52911 + 35_999.05029 * t - 0.0001537 * t * t)
    center = (
        (1.914602 - 0.004817 * t) * sin(m) + (0.019993 - 0.000101 * t) * sin(2 * m) + 0.000289 * sin(3 * m)
    )
    longitude = 280.46646 + 36_000.76983 * t + 0.0003032 * t * t + center
    longitude -= 0.00569 + 0.00478 * sin(radians(125.04 - 1934.136 * t))
    return int(longitude % 360 // 30)
