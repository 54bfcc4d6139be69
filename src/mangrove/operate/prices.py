# SPDX-License-Identifier: Apache-2.0
"""The prices of a contract on the grid of steps on which a site is operated, read once and sliced many times.

Comes in: a contract (see `mangrove.rules.contracts`) and a span of steps. Goes out: arrays of money per kWh, billing months, demand
prices and the export cap, all before VAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.errors import RequestError
from mangrove.operate.state import HOUR_SECONDS, SECOND

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Tariff(Protocol):
    """What this verb asks of a contract."""

    def terms(self, starts: npt.ArrayLike, hours: float, tz: ZoneInfo | str) -> Any:
        """Prices for each step."""

    def bills(  # noqa: PLR0917 - the call of `Contract.bills`
        self,
        starts: npt.ArrayLike,
        hours: float,
        tz: ZoneInfo | str,
        imported: npt.ArrayLike,
        exported: npt.ArrayLike | None = None,
        generated: npt.ArrayLike | None = None,
    ) -> Sequence[Any]:
        """One bill a month."""


@dataclass(frozen=True, eq=False)
class Prices:
    """Prices of T steps.

    Attributes:
        start: of the first step (UTC); seconds: length of a step.
        buy, sell: (T,) money per kWh; period: (T,) 0 off-peak, 1 normal, 2 peak.
        month: (T,) billing month, counted from the first step; months: their names; demand: (months,) money per kW.
        cap: share of the generation that may be sold, now; None: all of it.
        window: steps over which the demand meter averages; 1 when nobody bills the highest power.
        year: (T,) calendar year on the meter's clock, in which the export cap counts.
        offset: seconds by which that clock is ahead of UTC at the first step; days and windows of flexible loads begin by it.
    """

    start: np.datetime64
    seconds: int
    buy: Floats
    sell: Floats
    period: Ints
    month: Ints
    months: tuple[str, ...]
    demand: Floats
    cap: Floats | None
    window: int
    year: Ints
    offset: int = 0

    @classmethod
    def of(cls, contract: Tariff, start: np.datetime64, steps: int, seconds: int, tz: ZoneInfo) -> Prices:
        """The prices of a contract for `steps` steps of `seconds` from `start` on.

        Raises:
            RequestError: `operate.window`, the demand meter's window is no multiple of the step.
        """
        starts = start + np.arange(steps) * (seconds * SECOND)
        terms = contract.terms(starts, seconds / HOUR_SECONDS, tz)
        billed = bool(np.any(np.asarray(terms.demand) > 0))
        window = terms.window * HOUR_SECONDS / seconds if billed else 1.0
        if window < 1 or abs(window - round(window)) > 1e-9:  # noqa: PLR2004 - rounding of a quotient
            raise RequestError("operate.window", window=terms.window, step=seconds)
        months = tuple(str(name) for name in terms.months)
        cap = terms.export_cap
        return cls(
            start,
            seconds,
            np.asarray(terms.buy, dtype=np.float64),
            np.nan_to_num(np.asarray(terms.sell, dtype=np.float64)),
            np.asarray(terms.period),
            np.asarray(terms.month),
            months,
            np.broadcast_to(np.asarray(terms.demand, dtype=np.float64), (len(months),)),
            None if cap is None else np.broadcast_to(np.asarray(cap, dtype=np.float64), (steps,)),
            round(window),
            np.array([int(name[:4]) for name in months])[np.asarray(terms.month)],
            _ahead(start, tz),
        )

    @property
    def hours(self) -> float:
        """Length of a step in hours."""
        return self.seconds / HOUR_SECONDS

    def index(self, at: np.datetime64) -> int:
        """The number of the step that begins at `at`; raises `RequestError` when the prices do not hold then."""
        away = int((at - self.start) / SECOND)
        if away % self.seconds or not 0 <= away // self.seconds < len(self.buy):
            raise RequestError("operate.off_grid", at=str(at), start=str(self.start), seconds=self.seconds)
        return away // self.seconds

    def has_demand(self) -> bool:
        """Whether the highest power of a month is billed."""
        return bool((self.demand > 0).any())


def _ahead(at: np.datetime64, tz: ZoneInfo | str) -> int:
    """Seconds by which a clock is ahead of UTC at a moment."""
    zone = ZoneInfo(tz) if isinstance(tz, str) else tz
    offset = datetime.fromtimestamp(int(at.astype("datetime64[s]").astype(np.int64)), zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())
