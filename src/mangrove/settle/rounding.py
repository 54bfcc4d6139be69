# SPDX-License-Identifier: Apache-2.0
"""Amounts to whole đồng that still add up: the largest remainder gets the last đồng.

Comes in: amounts of money. Goes out: whole numbers of the smallest unit of the currency whose sum is exactly the rounded
total. The same amounts always give the same result, whatever machine computed them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mangrove.errors import RequestError

_LARGEST = 2.0**53
"""Above this a float no longer holds every whole number."""
MINOR = {"VND": 1.0, "JPY": 1.0, "KRW": 1.0}
"""Smallest unit in use, in the currency (ISO 4217 minor units: 0 digits for these); every other currency here has cents."""


def whole(
    amounts: Sequence[float] | NDArray[Any], *, total: int | None = None, unit: float = 1.0
) -> NDArray[np.int64]:
    """Amounts as whole numbers of `unit` that sum to `total` (by default to the rounded sum), each within one unit of itself.

    Every amount is rounded down; the units left over go to the largest remainders, and among equal remainders (to 1e-6 of a
    unit, so that the last bits of a float decide nothing) to the first.

    Args:
        amounts: (n,) money; negative amounts (who is paid) as well.
        total: units to distribute, when it was rounded before; must be within n units of the sum.
        unit: the smallest unit (1 for đồng, 0.01 for cents).

    Raises:
        RequestError: `settle.not_money` for NaN, infinities and amounts too large; `settle.total_differs` for a total that the
            amounts do not support.

    Example:
        >>> whole([1 / 3, 1 / 3, 1 / 3], total=1).tolist()
        [1, 0, 0]
        >>> whole([1000.4, -200.4, 0.4]).tolist()
        [1000, -200, 0]
    """
    scaled = np.asarray(amounts, dtype=float) / unit
    if not np.isfinite(scaled).all() or (np.abs(scaled) >= _LARGEST).any():
        raise RequestError("settle.not_money")
    exact = math.fsum(scaled)
    wanted = half_up(exact) if total is None else total
    if abs(wanted - exact) > max(len(scaled), 1):
        raise RequestError("settle.total_differs", total=wanted, sum=float(exact))
    down = np.floor(scaled + 1e-6).astype(np.int64)
    rest = np.round(scaled - down, 6)
    left = wanted - int(down.sum())
    order = np.argsort(-rest, kind="stable")
    if len(order):
        down[order] += left // len(order)
        down[order[: left % len(order)]] += 1
    return down


def half_up(amount: float) -> int:
    """An amount to the nearest whole number, halves away from zero, as people round money.

    Example:
        >>> half_up(0.5), half_up(-0.5), half_up(1.4)
        (1, -1, 1)
    """
    return int(math.copysign(math.floor(abs(amount) + 0.5), amount))


def minor_unit(currency: str) -> float:
    """The smallest unit of a currency in use.

    Example:
        >>> minor_unit("VND"), minor_unit("USD")
        (1.0, 0.01)
    """
    return MINOR.get(currency, 0.01)
