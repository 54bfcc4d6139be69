# SPDX-License-Identifier: Apache-2.0
"""From two measurements to the causes of their difference, flow by flow, without a remainder.

Comes in: amounts, emissions, coverage and what calendar, weather and drivers say of two periods. Goes out: kilograms by flow and cause.
Each flow is the product

    E = length x data x calendar x weather x activity x intensity x structure x factor

where length is the days of the period, data the share of them with values, calendar and weather what the days lead one to expect,
activity the declared driver of the flow (or, without one, what all flows of its sector and carrier have in common), intensity the flows of
the sector per unit of that driver, structure the part of this flow among them, and factor the emissions per unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.inference.lmdi import decompose

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CAUSES = ("length", "data", "calendar", "weather", "activity", "intensity", "structure", "factor")
"""What a change is due to, in the order in which people ask."""


@dataclass(frozen=True, eq=False)
class Period:
    """What is known of K flows in one period; all arrays have shape (K,).

    Attributes:
        days: length in days; amount: in the unit of each flow; co2e: kg; coverage: share of the period with values, 1 where unknown.
        calendar, weather: mean factor of the days; driver: mean of the declared drivers to the power of their elasticities, NaN: none.
    """

    days: float
    amount: Floats
    co2e: Floats
    coverage: Floats
    calendar: Floats
    weather: Floats
    driver: Floats


def split(before: Period, after: Period, groups: Sequence[object]) -> Floats:
    """Kilograms by flow and cause, shape (K, len(CAUSES)); rows add up to `after.co2e - before.co2e`.

    A flow whose emissions change their sign is due to its activity as a whole: no product of positive factors does that.

    Args:
        before: the period that is compared with.
        after: the period that is explained, the same flows in the same order.
        groups: what each flow is compared within (sector, carrier, unit), K hashable values.
    """
    sign = np.where(before.co2e + after.co2e < 0, -1.0, 1.0)
    turned = (before.co2e * sign < 0) | (after.co2e * sign < 0)
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group = np.array([number[one] for one in groups], dtype=np.int64)
    driven = ~(np.isnan(before.driver) | np.isnan(after.driver))
    driven &= (before.driver > 0) & (after.driver > 0)
    factors = [_factors(one, other, group, driven, sign) for one, other in ((before, after), (after, before))]
    effects = decompose(
        np.where(turned[:, None], 1.0, factors[0]), np.where(turned[:, None], 1.0, factors[1])
    )
    effects = effects * sign[:, None]
    whole = np.zeros_like(effects)
    whole[:, CAUSES.index("activity")] = after.co2e - before.co2e
    return np.asarray(np.where(turned[:, None], whole, effects))


def _factors(one: Period, other: Period, group: Ints, driven: npt.NDArray[np.bool_], sign: Floats) -> Floats:
    """The factors of one period, (K, len(CAUSES)), whose product is `|co2e|`; `other` lends what a silent flow cannot say."""
    expected = one.days * one.coverage * one.calendar * one.weather
    rate = _over(np.abs(one.amount), expected, 0.0)
    factor = _over(one.co2e * sign, np.abs(one.amount), _over(other.co2e * sign, np.abs(other.amount), 0.0))
    others = _over(np.abs(other.amount), other.days * other.coverage * other.calendar * other.weather, 0.0)
    total, total_other = (np.bincount(group, each).astype(np.float64)[group] for each in (rate, others))
    structure = _over(rate, total, _over(others, total_other, 1.0))
    activity = np.where(driven, one.driver, total)
    intensity = np.where(driven, _over(total, np.where(driven, one.driver, 1.0), 0.0), 1.0)
    ones = np.ones_like(rate)
    return np.column_stack(
        [one.days * ones, one.coverage, one.calendar, one.weather, activity, intensity, structure, factor]
    )


def _over(top: Floats, bottom: Floats | float, otherwise: Floats | float) -> Floats:
    """`top / bottom`, `otherwise` where the bottom is zero."""
    below = np.broadcast_to(np.asarray(bottom, np.float64), top.shape)
    instead = np.array(np.broadcast_to(np.asarray(otherwise, np.float64), top.shape))
    return np.asarray(np.divide(top, below, out=instead, where=below > 0))
