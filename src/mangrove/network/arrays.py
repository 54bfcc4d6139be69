# SPDX-License-Identifier: Apache-2.0
"""What callers hand to a network, checked and shaped: numbers, time series, one value an item, scenario arrays.

Comes in: anything array-like. Goes out: float arrays that broadcast to (items, scenarios, steps), or a `RequestError` that names
the element, the quantity and the first bad position.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError

Floats = npt.NDArray[np.float64]
Cube = tuple[int, int, int]
"""(items n, scenarios S, steps T)."""


def cube(name: str, what: str, value: Any, shape: Cube, *, least: float | None = None) -> Floats:
    """`value` as an array that broadcasts to `shape` = (n, S, T).

    One-dimensional values are over time when they have T elements, else one an item; two-dimensional ones are
    (n, T) when there are n rows, else (S, T).

    Raises:
        RequestError: `network.not_a_number` (NaN or text), `network.bad_shape`, `network.negative`; `network.ambiguous_shape`
            when the values could be over items or over time: give three dimensions then.
    """
    if type(value) is float:  # the common case: one good number
        if value != value or (least is not None and value < least):  # noqa: PLR0124 - NaN differs from itself
            _refuse(name, what, np.array([value]), least)
        return np.full((1, 1, 1), value)
    array = numbers(name, what, value)
    items, scenarios, steps = shape
    if array.ndim == 0:
        array = array.reshape(1, 1, 1)
    elif _two_ways(array, shape):
        raise RequestError("network.ambiguous_shape", name=name, what=what, count=len(array))
    elif array.ndim == 1:
        array = array.reshape((1, 1, -1) if len(array) == steps else (-1, 1, 1))
    elif array.ndim == 2:  # noqa: PLR2004 - a table
        array = array[:, None, :] if len(array) == items else array[None]
    fits = array.ndim == len(shape) and all(
        own in (1, wanted) for own, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = f"{items} x {scenarios} x {steps}"
        got = " x ".join(map(str, np.shape(value)))
        raise RequestError("network.bad_shape", name=name, what=what, got=got, wanted=wanted)
    if least is not None and (array < least).any():
        _refuse(name, what, array, least)
    return array


def _two_ways(array: Floats, shape: Cube) -> bool:
    """Whether the first axis could be two things, with different results: items or steps, items or scenarios."""
    items, scenarios, steps = shape
    if items == 1 or array.ndim not in (1, 2) or len(array) != items:
        return False
    if items != (steps if array.ndim == 1 else scenarios) or array.shape[1:] == (1,):  # (n, 1): one an item
        return False
    return bool((array != array[0]).any())


def per_item(name: str, what: str, value: Any, count: int, *, least: float | None = None) -> Floats:
    """`value` as (count,) numbers, one an item."""
    array = numbers(name, what, value)
    if array.ndim > 1 or (array.ndim == 1 and len(array) not in (1, count)):
        got = " x ".join(map(str, array.shape))
        raise RequestError("network.bad_shape", name=name, what=what, got=got, wanted=str(count))
    if least is not None and (array < least).any():
        _refuse(name, what, array, least)
    return np.broadcast_to(array, (count,)).astype(np.float64)


def by_year(
    name: str, what: str, value: Any, count: int, years: int, *, least: float | None = None
) -> Floats:
    """`value` as (count, years) numbers; one-dimensional values are over the years when they are as many, else one an item."""
    array = cube(name, what, value, (count, 1, years), least=least)
    return np.broadcast_to(array, (count, 1, years))[:, 0].astype(np.float64)


def numbers(name: str, what: str, value: Any) -> Floats:
    """`value` as floats without NaN; infinity is a number here (no limit)."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise RequestError("network.not_a_number", name=name, what=what, first=0) from None
    if np.isnan(array).any():
        _refuse(name, what, array, None)
    return array


def finite(name: str, what: str, array: Floats) -> None:
    """Raises `network.not_a_number` when something is infinite or NaN."""
    good = np.isfinite(array)
    if not good.all():
        raise RequestError("network.not_a_number", name=name, what=what, first=int(np.argmin(good.ravel())))


def ordered(name: str, lower: Floats, upper: Floats) -> None:
    """Raises `network.bounds_crossed` when a lower bound lies above its upper bound."""
    crossed = lower > upper
    if crossed.any():
        raise RequestError("network.bounds_crossed", name=name, first=int(np.argmax(crossed.ravel())))


def _refuse(name: str, what: str, array: Floats, least: float | None) -> None:
    """Says which position is bad, and how."""
    bad = np.isnan(array)
    if bad.any():
        raise RequestError("network.not_a_number", name=name, what=what, first=int(np.argmax(bad.ravel())))
    assert least is not None
    at = int(np.argmax((array < least).ravel()))
    raise RequestError("network.negative", name=name, what=what, first=at, value=float(array.ravel()[at]))
