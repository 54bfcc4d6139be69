# SPDX-License-Identifier: Apache-2.0
"""Words in files of street plans: what a value of a key says, and where it stands.

Comes in: the text of one value. Goes out: numbers, hours, days, points; what is none of these is refused with a code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mangrove.errors import MangroveError, RequestError, Where
from mangrove.territory import cells
from mangrove.units import Quantity

SIDES, DAY = 4, 24
"""Edges of a box, hours of a day."""
_PAIR = 2
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def point(text: str) -> tuple[float, float]:
    """`106.70 10.77`: longitude and latitude in degrees."""
    parts = [cells.number(part) for part in text.replace(",", " ").split()]
    if len(parts) != _PAIR or abs(parts[0]) > 180 or abs(parts[1]) > 90:  # noqa: PLR2004 - degrees of a sphere
        raise RequestError("roads.bad_points")
    return parts[0], parts[1]


def box_of(text: str) -> tuple[float, float, float, float]:
    """`106.69,10.77,106.71,10.79`: west, south, east, north in degrees."""
    parts = [cells.number(part.strip()) for part in text.split(",")]
    if len(parts) != SIDES:
        raise RequestError("roads.bad_box", box=text)
    return parts[0], parts[1], parts[2], parts[3]


def measured(unit: str) -> Callable[[str], float]:
    """A quantity as a number in `unit`: `800 m` as 0.8 of km."""

    def read(text: str) -> float:
        return Quantity.parse(text).to(unit)

    return read


def change(text: str) -> float:
    """`-20 %` as -0.2; a bare number is refused."""
    if not text.endswith("%"):
        raise MangroveError("territory.percent_missing", text=text)
    return cells.number(text[:-1].strip()) / 100


def part(text: str) -> float:
    """`30 %` as 0.3; nothing above 100 %."""
    value = cells.percentage(text)
    if value > 1:
        raise MangroveError("territory.out_of_range", text=text, low="0 %", high="100 %")
    return value


def whole(text: str) -> int:
    """A number of things."""
    value = cells.not_negative(text)
    if not value.is_integer():
        raise MangroveError("territory.not_a_number", text=text)
    return int(value)


def hours_of(text: str) -> tuple[int, ...]:
    """`6-9`: the hours that begin at 6, 7 and 8; `22-5` goes past midnight; `7` is one hour.

    Example:
        >>> hours_of("22-1"), hours_of("7")
        ((22, 23, 0), (7,))
    """
    ends = [word.strip().removesuffix(":00") for word in text.split("-")]
    if len(ends) not in (1, 2) or not all(
        word.isascii() and word.isdecimal() and len(word) <= len(str(DAY)) and int(word) <= DAY
        for word in ends
    ):
        raise RequestError("roads.bad_times", text=text)
    first, last = int(ends[0]), int(ends[-1]) if len(ends) > 1 else int(ends[0]) + 1
    count = last - first if last > first else last - first + DAY
    if first == DAY or (len(ends) > 1 and last == first):
        raise RequestError("roads.bad_times", text=text)
    return tuple((first + hour) % DAY for hour in range(count))


def days_of(text: str) -> tuple[int, ...]:
    """`mon-fri` as 0 to 4; `sat` as 5."""
    ends = [word.strip().lower() for word in text.split("-")]
    if len(ends) not in (1, 2) or not set(ends) <= set(_WEEK):
        raise RequestError("roads.bad_days", text=text)
    first, last = _WEEK.index(ends[0]), _WEEK.index(ends[-1])
    return tuple((first + day) % len(_WEEK) for day in range((last - first) % len(_WEEK) + 1))


def flag(text: str) -> bool:
    """`yes` or `no`."""
    return cells.choice(("yes", "no", "true", "false"))(text) in ("yes", "true")


def under(places: Mapping[Any, Where], name: str, number: int) -> dict[Any, Where]:
    """Where the keys of a row stand: by key, and by key and number for items of its lists."""
    found: dict[Any, Where] = {at[2:]: where for at, where in places.items() if at[:2] == (name, number)}
    return found | {at[0]: where for at, where in found.items() if len(at) == 1}
