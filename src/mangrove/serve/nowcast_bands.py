# SPDX-License-Identifier: Apache-2.0
"""The 95 % interval of a nowcast for places and steps, from what its record keeps.

Comes in: the newest record of kind `nowcast` (standard deviations of the logarithms by flow and day, the covariance of the logarithms of the
flows' totals, the total with its interval) and the amounts of a map. Goes out: ends of intervals by place.

For a place z and a step, with a_k the tonnes of flow k there, s_k its standard deviation of the logarithm on those days (the days of one flow
taken as moving together, so that no interval is too narrow) and R the correlations of the flows' totals:
s^2 = (sum over k, l of a_k s_k R_kl s_l a_l + sum over g of v_g (sum over k in g of a_k)^2) / (sum of a)^2 + c^2.
The second part is the error of maps: flows of one sector that are spread by one proxy have the same map, whose shares w add up to one,
so v_g = m^2 ((1 - w_z)^2 + sum over other places j of w_j^2) with the nowcast's own m. Where the record's total is wider than its amounts alone,
because factors are uncertain too, c^2 is what is missing there: a factor's error is the same in all places. What sensors said of single zones
stands in the nowcast's tables and not in its stored values, so it is not here either.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from mangrove.serve import records
from mangrove.serve.state import Live
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.serve.map_values import Field

Floats = npt.NDArray[np.float64]
KIND = "nowcast"
_Z95 = 1.959964


@dataclass(frozen=True)
class Known:
    """What a record keeps.

    Attributes:
        at: the moment of the nowcast; start: of its window; total: t CO2e with low and high.
        flows: ids; days: (D + 1,) edges of its local days, seconds since 1970; sd: (K, D); correlation: (K, K); zone_sd: m; common: c^2.
    """

    at: datetime
    start: datetime
    total: tuple[float, float, float]
    flows: tuple[str, ...]
    days: Floats
    sd: Floats
    mean: Floats
    correlation: Floats
    zone_sd: float
    common: float

    def spread(self, span: Span) -> Floats:
        """(K,) standard deviations of the logarithms over a span: the mean of those of its days, by amount; NaN outside."""
        low, high = span.start.timestamp(), span.end.timestamp()
        hours = np.clip(np.minimum(self.days[1:], high) - np.maximum(self.days[:-1], low), 0, None)
        weight = np.abs(self.mean) * hours / np.diff(self.days)
        total = weight.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weight * self.sd).sum(axis=1) / total)


def known(live: Live, tz: ZoneInfo) -> Known | None:
    """The newest nowcast; None without one."""
    for record in records.newest(live, KIND):
        return live.kept.get(("nowcast", record.id), lambda found=record: _read(found, tz))  # type: ignore[misc]
    return None


def bands(
    field: Field, stakes: Mapping[str, Mapping[str, float]], rows: Sequence[str]
) -> list[tuple[float, float]]:
    """The ends of the 95 % interval of each place, t CO2e; NaN where the record says nothing."""
    found = known(field.live, field.view.tz)
    nothing = [(math.nan, math.nan)] * len(rows)
    if found is None:
        return nothing
    spread = found.spread(field.view.span)
    where = {name: number for number, name in enumerate(found.flows)}
    ends = []
    for place in rows:
        inside = {
            where[name]: field.amounts[name] * stake[place]
            for name, stake in stakes.items()
            if place in stake and name in field.amounts and name in where
        }
        picked = np.array(list(inside), dtype=int)
        amounts = np.array(list(inside.values()))
        maps = found.zone_sd**2 * _maps(field, stakes, place)
        correlation = found.correlation[np.ix_(picked, picked)]
        ends.append(_ends(amounts, spread[picked], correlation, maps, found.common))
    return ends


def _maps(field: Field, stakes: Mapping[str, Mapping[str, float]], place: str) -> float:
    """The second part of the variance without m^2, t^2: flows of one sector and proxy are wrong together."""
    groups: dict[tuple[str, str], tuple[float, float]] = {}
    for name, stake in stakes.items():
        flow = field.flows[name]
        if place not in stake or name not in field.amounts or not flow.spread or len(stake) < 2:  # noqa: PLR2004 - one place is no map
            continue
        whole = math.fsum(stake.values())
        rest = math.fsum((share / whole) ** 2 for other, share in stake.items() if other != place)
        variance = (1 - stake[place] / whole) ** 2 + rest
        amount, _ = groups.get((flow.sector, flow.spread), (0.0, 0.0))
        groups[flow.sector, flow.spread] = amount + field.amounts[name] * stake[place], variance
    return math.fsum(variance * amount**2 for amount, variance in groups.values())


def _ends(
    amounts: Floats, spread: Floats, correlation: Floats, maps: float, common: float
) -> tuple[float, float]:
    total = float(amounts.sum())
    if not len(amounts) or total <= 0 or not np.isfinite(spread[amounts != 0]).all():
        return math.nan, math.nan
    moved = amounts * np.nan_to_num(spread)
    deviation = math.sqrt((max(float(moved @ correlation @ moved), 0.0) + maps) / total**2 + common)
    return total * math.exp(-_Z95 * deviation), total * math.exp(_Z95 * deviation)


def _read(record: records.Record, tz: ZoneInfo) -> Known:
    document = record.document
    with np.load(io.BytesIO(record.payload)) as kept:
        mean, sd = kept["mean"].astype(float), kept["sd"].astype(float)
        covariance, first = kept["covariance"], int(kept["start"][0]) // 1_000_000
        kg = np.asarray(kept["kg"][:, 0], dtype=float)
    scale = np.sqrt(np.diagonal(covariance))
    outer = np.outer(scale, scale)
    correlation = np.divide(covariance, outer, out=np.eye(len(scale)), where=outer > 0)
    at, start = (datetime.fromisoformat(str(document[name])) for name in ("at", "start"))
    total = tuple(float(document["total"][name]) / 1000 for name in ("co2e_kg", "low95", "high95"))
    days = _days(first, mean.shape[1], tz)
    zone_sd = float(document["priors"]["zone_sd"])
    made = Known(
        at, start, total, tuple(document["flows"]), days, sd, mean, correlation, zone_sd, 0.0  # type: ignore[arg-type]
    )  # fmt: skip
    return _with_common(made, kg)


def _with_common(made: Known, kg: Floats) -> Known:
    """Adds what the interval of the total has beyond that of the amounts."""
    amounts = made.mean.sum(axis=1) * kg / 1000
    _, low, high = made.total
    if not (0 < low < high):
        return made
    spread = np.nan_to_num(made.spread(Span(made.start, made.at)))
    moved = amounts * spread
    own = max(float(moved @ made.correlation @ moved), 0.0) / max(float(amounts.sum()) ** 2, 1e-300)
    whole = (math.log(high / low) / (2 * _Z95)) ** 2
    return replace(made, common=max(whole - own, 0.0))


def _days(first: int, count: int, tz: ZoneInfo) -> Floats:
    """Edges of local days from the one that holds the first hour."""
    begin = datetime.fromtimestamp(first, UTC).astimezone(tz).date()
    edges = [
        datetime(*(begin + timedelta(days=n)).timetuple()[:3], tzinfo=tz).timestamp()
        for n in range(count + 1)
    ]
    return np.array(edges)
