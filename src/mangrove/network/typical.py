# SPDX-License-Identifier: Apache-2.0
"""Typical days: a year of profiles as a dozen representative days, for answers in a fraction of a second.

Comes in: profiles of whole days (load, sun, wind, prices) at one step. Goes out: which representative day stands for each
day of the year, how often each occurs, and the profiles of the representative days with the mean of the year kept. The days
are clustered by Ward's method on profiles scaled to [0, 1]; a cluster is shown by the real day nearest to its mean; days of
extremes (highest load) stand for themselves. Method: Kotzur et al., "Impact of different time series aggregation methods on
optimal energy system design", Renewable Energy 117 (2018) 474-487. The same input gives the same days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mangrove.errors import RequestError, did_you_mean
from mangrove.network.horizon import Floats, Horizon, Ints

_APART = 1e3
"""Distance put between days of different kinds, far above any distance of scaled profiles."""
_ROUNDS = 30
"""Rounds in which what a clipped profile lacks is spread over its other steps."""


@dataclass(frozen=True, slots=True, eq=False)
class TypicalDays:
    """Representative days of a year.

    Attributes:
        steps: steps of a day; hours: length of a step (h).
        order: (D,) the representative day of each day, in order of time.
        days: (K,) number of the real day that each representative day was taken from.
        profiles: by name, (K x steps,) values with the mean over the year kept.

    Invariants:
        every representative day occurs at least once; they are numbered in the order in which they first occur.
    """

    steps: int
    hours: float
    order: Ints
    days: Ints
    profiles: Mapping[str, Floats]

    @property
    def counts(self) -> Floats:
        """How many days each representative day stands for, (K,); they add up to D."""
        return np.bincount(self.order, minlength=len(self.days)).astype(np.float64)

    @property
    def horizon(self) -> Horizon:
        """The time axis of a network over these days."""
        return Horizon.typical(self.hours, self.steps, self.order)

    def spread(self, values: Floats) -> Floats:
        """Values of the representative days (..., K x steps) written out over all days (..., D x steps)."""
        shaped = values.reshape(*values.shape[:-1], len(self.days), self.steps)
        return shaped[..., self.order, :].reshape(*values.shape[:-1], -1)

    def occurs(self, labels: Ints) -> dict[int, Ints]:
        """Which representative days occur in each group of days, such as the days of a billing month.

        Args:
            labels: (D,) the group of each day; negative for none.

        Returns:
            By group, the steps (positions in the representative days) that belong to it.
        """
        inside = np.arange(self.steps)
        found: dict[int, Ints] = {}
        for label in np.unique(labels[labels >= 0]):
            days = np.unique(self.order[labels == label])
            found[int(label)] = (days[:, None] * self.steps + inside).ravel()
        return found


def typical_days(
    profiles: Mapping[str, Floats],
    *,
    count: int = 12,
    hours: float = 1.0,
    highest: Sequence[str] = (),
    kinds: Ints | None = None,
    exact: Sequence[str] = (),
) -> TypicalDays:
    """Finds representative days.

    Args:
        profiles: by name, (D x steps,) values at steps of `hours`; a constant profile does not influence the choice.
        count: clusters; the days of extremes come on top.
        hours: length of a step (h); a day must be a whole number of steps.
        highest: names of profiles whose highest day stands for itself.
        kinds: (D,) days of different kinds (working day, Sunday) never share a representative day.
        exact: names of profiles that are not scaled to the mean of the year, such as prices.

    Raises:
        RequestError: `network.not_whole_days`, `network.bad_profile`, `network.unknown_profile`, `network.bad_count`.

    Example:
        >>> load = np.concatenate([np.full(24, 1.0), np.full(24, 5.0), np.full(24, 1.0)])
        >>> found = typical_days({"load": load}, count=2)
        >>> found.order.tolist(), found.counts.tolist(), found.profiles["load"][::24].tolist()
        ([0, 1, 0], [2.0, 1.0], [1.0, 5.0])
    """
    tables, steps = _tables(profiles, hours)
    total = len(next(iter(tables.values())))
    if count < 1:
        raise RequestError("network.bad_count", count=count)
    for name in (*highest, *exact):
        if name not in tables:
            raise RequestError("network.unknown_profile", name=name, hint=did_you_mean(name, tables))
    alone = sorted({int(tables[name].max(axis=1).argmax()) for name in highest})
    clusters = max(count, 0 if kinds is None else len(np.unique(kinds)))
    groups = _groups(_features(tables, kinds), clusters, alone)
    days, order = _first_seen(groups, total)
    scaled = {
        name: table[days].ravel() if name in exact else _kept_mean(table, days, order, alone)
        for name, table in tables.items()
    }
    return TypicalDays(steps, hours, order, days, scaled)


def _tables(profiles: Mapping[str, Floats], hours: float) -> tuple[dict[str, Floats], int]:
    """The profiles as (D, steps) and the steps of a day."""
    steps = round(24 / hours) if hours > 0 else 0
    if not steps or abs(steps * hours - 24) > 1e-9 or not profiles:  # noqa: PLR2004  hours of a day
        raise RequestError("network.not_whole_days", name="", steps=0, hours=hours)
    tables: dict[str, Floats] = {}
    sizes = {len(np.atleast_1d(values)) for values in profiles.values()}
    for name, values in profiles.items():
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 1 or not array.size or array.size % steps or len(sizes) > 1:
            raise RequestError("network.not_whole_days", name=name, steps=int(array.size), hours=hours)
        if not np.isfinite(array).all():
            raise RequestError("network.bad_profile", name=name, step=int(np.argmin(np.isfinite(array))))
        tables[name] = array.reshape(-1, steps)
    return tables, steps


def _features(tables: Mapping[str, Floats], kinds: Ints | None) -> Floats:
    """What distances between days are measured on: profiles scaled to [0, 1], and a far corner for each kind."""
    parts = []
    for table in tables.values():
        low, high = table.min(), table.max()
        if high > low:
            parts.append((table - low) / (high - low))
    if kinds is not None:
        parts.append((kinds[:, None] == np.unique(kinds)[None, :]) * _APART)
    return np.hstack(parts) if parts else np.zeros((len(next(iter(tables.values()))), 1))


def _groups(features: Floats, count: int, alone: Sequence[int]) -> list[tuple[int, Ints]]:
    """Clusters as (day that stands for them, their days); the days `alone` are clusters of their own."""
    from scipy.cluster.hierarchy import fcluster, linkage

    rest = np.setdiff1d(np.arange(len(features)), np.asarray(alone, dtype=np.int64))
    found = [(day, np.array([day])) for day in alone]
    if len(rest) == 1:
        labels = np.array([1])
    elif len(rest):
        labels = fcluster(linkage(features[rest], "ward"), min(count, len(rest)), "maxclust")
    else:
        return found
    for label in np.unique(labels):
        days = rest[labels == label]
        away = ((features[days] - features[days].mean(axis=0)) ** 2).sum(axis=1)
        nearest = int(np.flatnonzero(away <= away.min() * (1 + 1e-9) + 1e-12)[0])  # the earliest of equals
        found.append((int(days[nearest]), days))
    return found


def _first_seen(groups: Sequence[tuple[int, Ints]], total: int) -> tuple[Ints, Ints]:
    """Representative days (K,) numbered by their first occurrence, and the order (D,)."""
    ranked = sorted(groups, key=lambda group: int(group[1][0]))
    order = np.empty(total, dtype=np.int64)
    for number, (_, days) in enumerate(ranked):
        order[days] = number
    return np.array([day for day, _ in ranked], dtype=np.int64), order


def _kept_mean(table: Floats, days: Ints, order: Ints, alone: Sequence[int]) -> Floats:
    """The representative profiles scaled so that the year keeps its sum, without leaving the range of the profile.

    Days that stand for themselves are not touched. What clipping takes away is spread over the steps that have room.
    """
    chosen = table[days].copy()
    counts = np.bincount(order, minlength=len(days)).astype(np.float64)
    free = ~np.isin(days, np.asarray(alone, dtype=np.int64))
    wanted = float(table.sum() - (counts[~free, None] * chosen[~free]).sum())
    if table.min() < 0 or not free.any() or wanted <= 0:
        return chosen.ravel()
    high = table.max()
    for _ in range(_ROUNDS):
        have = float((counts[free, None] * chosen[free]).sum())
        if have <= 0 or abs(have - wanted) <= 1e-12 * wanted:
            break
        room = free[:, None] & (chosen < high)
        movable = float((counts[:, None] * chosen * room).sum())
        if movable <= 0:
            break
        factor = max(0.0, 1.0 + (wanted - have) / movable)
        chosen = np.where(room, np.minimum(chosen * factor, high), chosen)
    return chosen.ravel()
