# SPDX-License-Identifier: Apache-2.0
"""Daily values of flows, and how much of them the calendar and the weather lead one to expect.

Comes in: a snapshot and flows whose step is a day or less. Goes out: values by local day, and for each day the factor by which its kind
(workday, Saturday, Sunday, day off) and its warmth move the flow. An effect that cannot be told from chance is no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from mangrove.inference.days import CLOSED, SATURDAY, SUNDAY, day_numbers, kinds
from mangrove.inference.series import DAY, local_time
from mangrove.ledger import Snapshot
from mangrove.ledger.types import series
from mangrove.rules import holidays
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span, to_us

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HISTORY = timedelta(days=400)
"""What is read before the earlier period, so that every kind of day and more than a year's warmth is in it."""
FEWEST = 56
"""Days from which an effect may be learned: eight weeks."""
CDD_BASE = 18.3
"""Base of cooling degree days in degC: 65 degF, ASHRAE Handbook of Fundamentals (2021), chapter 14."""
_TOLD = 2.0
"""An effect counts when it is this many standard errors from zero (about 95 %)."""
_WHOLE = 0.75
"""Share of a day's values that must be there for the day to be learned from."""


@dataclass(frozen=True, eq=False)
class Days:
    """Values by local day.

    Attributes:
        days: (D,) numbers since 1970, every day of the window; total: (D,) sums, count: (D,) values that count.
    """

    days: Ints
    total: Floats
    count: Ints

    @property
    def mean(self) -> Floats:
        """(D,) mean of the values of each day, NaN where there is none."""
        return np.asarray(
            np.divide(self.total, self.count, out=np.full(len(self.days), np.nan), where=self.count > 0)
        )

    def whole(self) -> npt.NDArray[np.bool_]:
        """(D,) whether nearly all values of the day are there, by what a day of this flow usually has."""
        usual = np.median(self.count[self.count > 0]) if (self.count > 0).any() else 1
        return np.asarray(self.count >= _WHOLE * usual)


def read(
    snapshot: Snapshot, territory: Territory, flows: Sequence[Flow], window: Span, run: str = "measured"
) -> dict[str, Days]:
    """Daily sums and counts of flows with a step of at most a day; flows without values are not in it."""
    keys = {
        series(flow.id, run): flow.id
        for flow in flows
        if flow.step is not None and 0 < flow.step.seconds <= DAY // 1_000_000
    }
    ids = {number: keys[key] for key, number in snapshot.flow_ids().items() if key in keys}
    if not ids:
        return {}
    view = snapshot.activity(window.start, window.end, flows=list(keys), view="daily_amounts")
    rows = snapshot.connection.sql(
        f"select flow, epoch_us(start) as start, total, n from {view} where n > 0"
    ).to_arrow_table()
    flow, start = rows["flow"].to_numpy(), rows["start"].to_numpy()
    total, count = rows["total"].to_numpy(), rows["n"].to_numpy()
    first, last = (int(local_time(np.array([at]), territory.tz)[0]) // DAY for at in _edges(window))
    days = np.arange(first, last + 1)
    day = local_time(start, territory.tz) // DAY - first
    found = {}
    for number, name in ids.items():
        mine = flow == number
        if mine.any():
            found[name] = Days(
                days,
                np.bincount(day[mine], total[mine], len(days)).astype(np.float64),
                np.bincount(day[mine], count[mine], len(days)).astype(np.int64),
            )
    return found


def effects(amounts: Days, off: Ints, temperature: Floats | None) -> tuple[Floats, Floats]:
    """What the kind of day and the warmth multiply the flow with, two arrays of shape (D,); 1 where no effect can be told.

    The logarithm of whole days is regressed on kinds of days, cooling degree days and a straight trend. Standard errors are widened for
    the persistence of the remainder (Newey-West would be the longer word): `n (1 - r) / (1 + r)` days count.

    Args:
        amounts: of the flow.
        off: sorted numbers of the days off.
        temperature: (D,) daily mean temperature, degC, NaN where unknown; None: none is known.
    """
    neutral = np.ones(len(amounts.days))
    good = amounts.whole() & (amounts.total > 0)
    warmth = np.zeros(len(neutral)) if temperature is None else np.maximum(temperature - CDD_BASE, 0)
    good &= ~np.isnan(warmth)
    if good.sum() < FEWEST:
        return neutral, neutral
    kind = kinds(amounts.days, off)
    columns = [kind == which for which in (SATURDAY, SUNDAY, CLOSED)] + [warmth]
    x = np.column_stack([np.asarray(one, np.float64) for one in columns])
    useful = [i for i in range(x.shape[1]) if x[good, i].std() > 0]
    slope = _told(x[good][:, useful], amounts.days[good], np.log(amounts.total[good]))
    full = np.zeros(x.shape[1])
    full[useful] = slope
    calendar = np.exp(x[:, :3] @ full[:3])
    weather = np.exp(np.nan_to_num(x[:, 3]) * full[3])
    return calendar, weather


def _told(x: Floats, days: Ints, log: Floats) -> Floats:
    """Coefficients of `x`, those that cannot be told from zero set to it, shape (C,)."""
    trend = (days - days.mean()) / max(np.ptp(days), 1)
    full = np.column_stack([x, trend, np.ones(len(days))])
    inverse = np.linalg.pinv(full.T @ full)
    slope = inverse @ full.T @ log
    rest = log - full @ slope
    persistence = float(np.clip(np.corrcoef(rest[1:], rest[:-1])[0, 1], 0, 0.99)) if rest.std() > 0 else 0.0
    free = max(len(log) * (1 - persistence) / (1 + persistence) - full.shape[1], 1.0)
    error = np.sqrt(np.maximum(np.diag(inverse), 0) * (rest @ rest) / free)
    count = x.shape[1]
    return np.asarray(np.where(np.abs(slope[:count]) > _TOLD * error[:count], slope[:count], 0.0))


def days_off(territory: Territory) -> Ints:
    """Sorted numbers of the public holidays where the territory lies."""
    return day_numbers(holidays.days(territory.timezone))


def _edges(window: Span) -> tuple[int, int]:
    """The first and the last microsecond of a window."""
    first, last = (to_us(moment) for moment in (window.start, window.end))
    return first, last - 1
