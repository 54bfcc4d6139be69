# SPDX-License-Identifier: Apache-2.0
"""Where most of it comes from: groups of a measurement ranked with the doubt that their errors leave.

Comes in: a measurement, columns to group by. Goes out: the groups with their tonnes, the interval of their ranks, the chance to be among
the first, and the smallest set that covers half. Errors that groups share (a factor, a provider) move them together and so change no
rank; what is spread over places by population or area has an error of its own at each place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import Problem, RequestError
from mangrove.inference import ranking
from mangrove.measure.nowcast.priors import Priors
from mangrove.measure.result import Emissions, nothing_in

Floats = npt.NDArray[np.float64]

PROXY = Priors().zone_sd
"""Standard deviation of the logarithm with which a place's share of a spread value is known; its source stands with the priors."""
_SAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Hotspots:
    """Groups by size.

    Attributes:
        by: the columns; keys: (G,) of each group, largest first; kg, low, high: (G,) kg CO2e with 95 % interval of the samples.
        rank_low, rank_high: (G,) 95 % interval of the rank; in_top: (G,) chance to be among the first `top`.
        cover: the smallest set that holds `share` of the total; its indices are those of `keys`.
        problems: what is missing from the measurement, and so from every rank.
    """

    by: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    kg: Floats
    low: Floats
    high: Floats
    rank_low: npt.NDArray[np.int64]
    rank_high: npt.NDArray[np.int64]
    in_top: Floats
    top: int
    cover: ranking.Cover
    problems: tuple[Problem, ...] = ()

    def table(self) -> pa.Table:
        """One row a group: its columns, co2e_kg, co2e_low, co2e_high, share, rank_low, rank_high, in_top, in_cover."""
        chosen = np.zeros(len(self.kg), np.bool_)
        chosen[self.cover.members] = True
        return pa.table(
            {
                **{name: [key[i] for key in self.keys] for i, name in enumerate(self.by)},
                "co2e_kg": self.kg,
                "co2e_low": self.low,
                "co2e_high": self.high,
                "share": self.kg / self.kg.sum(),
                "rank_low": self.rank_low,
                "rank_high": self.rank_high,
                "in_top": self.in_top,
                "in_cover": chosen,
            }
        )


def hotspots(
    result: Emissions, by: Sequence[str], *, top: int = 10, share: float = 0.5, seed: int = 0
) -> Hotspots:
    """Ranks the groups of a measurement.

    Args:
        result: a measurement with a GWP set.
        by: columns to group by: kinds of places, sector, flow, ...
        top: how many groups are the first.
        share: of the total that the smallest set is to hold.
        seed: of the samples.

    Raises:
        RequestError: `why.no_gwp`, `why.nothing` when nothing was measured.
    """
    if not result.plan.question.gwp:
        raise RequestError("why.no_gwp")
    keys, kg = result.by_line(by)
    there = (kg != 0).any(axis=1)  # a group of which nothing was measured is unknown, not zero
    keys, kg = [key for key, seen in zip(keys, there.tolist(), strict=True) if seen], kg[there]
    if not keys or not kg.sum() > 0:
        raise nothing_in("why.nothing", result)
    drawn = samples(result, kg, seed=seed)
    found = ranked(tuple(by), keys, kg.sum(axis=1), drawn, top=top, share=share)
    return replace(found, problems=result.problems)


def ranked(
    by: tuple[str, ...],
    keys: Sequence[tuple[str, ...]],
    mean: Floats,
    drawn: Floats,
    *,
    top: int,
    share: float,
) -> Hotspots:
    """Groups ranked from samples of them, whoever drew these.

    Args:
        by: the columns of the keys.
        keys: of the groups, (G,).
        mean: kg CO2e, (G,).
        drawn: samples, (S, G).
        top: how many groups are the first.
        share: of the total that the smallest set is to hold.
    """
    order = np.argsort(-mean, kind="stable")
    sorted_ = drawn[:, order]
    low, high = np.quantile(sorted_, [0.025, 0.975], axis=0, method="weibull")
    rank_low, rank_high = ranking.rank_interval(sorted_)
    return Hotspots(
        by,
        tuple(tuple(keys[i]) for i in order),
        mean[order],
        low,
        high,
        rank_low,
        rank_high,
        ranking.in_top(sorted_, top),
        top,
        ranking.cover(sorted_, share),
    )


def samples(result: Emissions, kg: Floats, *, count: int = _SAMPLES, seed: int = 0) -> Floats:
    """Joint samples of the groups of a measurement, shape (count, G), each line with its shared lognormal errors of mean 1.

    Args:
        result: the measurement.
        kg: (G, L) by group and line, see `Emissions.by_line`.
        count: number of samples.
        seed: of the random generator.
    """
    rng = np.random.default_rng(seed)
    errors = result.plan.errors()
    names = {name: i for i, name in enumerate(dict.fromkeys(name for _, name, _ in errors))}
    normal = rng.standard_normal((count, max(len(names), 1)))
    exponent = np.zeros((count, kg.shape[1]))
    for line, name, deviation in errors:
        size = math.sqrt(math.log1p(deviation**2))
        exponent[:, line] += math.copysign(1.0, deviation) * (size * normal[:, names[name]] - size**2 / 2)
    drawn = np.exp(exponent) @ kg.T
    spread = np.array([bool(result.plan.flows[line.flow].spread) for line in result.plan.lines], np.float64)
    proxy = np.divide(kg @ spread, kg.sum(axis=1), out=np.zeros(len(kg)), where=kg.sum(axis=1) != 0)
    width = PROXY * np.clip(proxy, 0, 1) if len(kg) > 1 else np.zeros(len(kg))
    moved = drawn * np.exp(width * rng.standard_normal(drawn.shape) - width**2 / 2)
    total = moved.sum(axis=1, keepdims=True)
    return np.asarray(
        moved * np.divide(drawn.sum(axis=1, keepdims=True), total, out=np.ones_like(total), where=total != 0)
    )
