# SPDX-License-Identifier: Apache-2.0
"""Which declared flows are totals of others, and a report's forecasts made to add up.

Comes in: a territory, the values that were known, forecasts of single flows. Goes out: the tree of totals, and reconciled forecasts.
Nobody declares that a meter is a total: a flow counts as one when the only flow of its carrier, unit, step and meaning at a place has flows
of the same kind at places inside, and when what they measured adds up to what it measured. One that does not (a feeder with customers
that nobody meters) is left alone and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mangrove.errors import Problem
from mangrove.forecast.calendar import Floats
from mangrove.forecast.forecaster import Forecast
from mangrove.forecast.reconcile import MOST_DENSE, Hierarchy, reconcile, shrunk
from mangrove.forecast.scenarios import sample
from mangrove.inference.series import Series
from mangrove.territory.model import Flow, Territory

CLOSED = 0.01
"""What parts may miss of their total, as a share of its mean size, for it to be their sum: meters of class 1 (IEC 62053-21) each err by
one percent at most."""
_FAR = 4.0
_TINY = 1e-3
_HELD = 0.1
"""How far a total moves for the gap that medians usually leave, relative to its parts."""
_NORMAL = 1 / 2.5631
"""Standard deviation of a normal distribution over the distance of its tenth and ninetieth percentile."""
_NAMED = 5
"""Parts that a note names at most."""
_FEWEST = 48
"""Common steps that show whether parts add up."""
SAMPLES = 400
_ROOM = 40_000_000
"""Numbers held at once at most: 320 MB."""


@dataclass(frozen=True)
class Reconciler:
    """Makes forecasts of one report add up.

    Attributes:
        tree: the totals; base: the forecasts as each flow's own models made them, in the order of the tree.
        scale, usual: root mean square and mean miss of each series, in widths of its band, shape (n,).
        method: `mint`, or `wls` where there are too many series or too few days; share: of independence in the correlation.
    """

    tree: Hierarchy
    base: tuple[Forecast, ...]
    scale: Floats
    usual: Floats
    method: str = "wls"
    share: float = 1.0
    correlation: Floats | None = None

    @classmethod
    def of(cls, tree: Hierarchy, forecasts: Mapping[str, Forecast]) -> Reconciler:
        """Learns from the misses of the forecasts how far each is to be believed."""
        base = tuple(forecasts[name] for name in tree.names)
        scale, usual = np.array([_size(one.shape.misses) for one in base]).T
        low = max((int(one.shape.days[0]) for one in base if len(one.shape.days)), default=1)
        high = min((int(one.shape.days[-1]) if len(one.shape.days) else 0 for one in base), default=0) + 1
        if len(base) > MOST_DENSE or high <= low:
            return cls(tree, base, scale, usual)
        common = [one.shape.misses[low - one.shape.days[0] : high - one.shape.days[0]] for one in base]
        correlation, share = shrunk(np.clip(np.stack(common, axis=2), -_FAR, _FAR))
        return cls(tree, base, scale, usual, "mint" if share < 1 else "wls", share, correlation)

    def samples(self, count: int, seed: int = 0) -> Floats:
        """Possible futures that add up, shape (n, count, T)."""
        return self.reconciled(sample([one.shape for one in self.base], count, seed))

    def forecasts(self, seed: int = 0) -> dict[str, Forecast]:
        """The forecasts that add up: the middle ones exactly, the other quantiles as those of samples that do.

        Quantiles of a sum are not sums of quantiles: two meters are seldom both at their upper ends. So the band of a total is what
        `SAMPLES` joint futures say, each of which adds up.
        """
        middle = self._middle()
        size = len(self.base) * middle.shape[1]
        drawn = self.samples(int(np.clip(_ROOM // size, 50, SAMPLES)), seed)
        found = {}
        for name, one, futures, median in zip(self.tree.names, self.base, drawn, middle, strict=True):
            quantiles = np.quantile(futures, one.levels, axis=0)
            at = int(np.argmin(np.abs(np.asarray(one.levels) - 0.5)))
            quantiles[:at] = np.minimum(quantiles[:at], median)
            quantiles[at] = median
            quantiles[at + 1 :] = np.maximum(quantiles[at + 1 :], median)
            found[name] = replace(one, quantiles=quantiles, shape=replace(one.shape, quantiles=quantiles))
        return found

    def _middle(self) -> Floats:
        """Middle values that add up, shape (n, T).

        Medians of skewed parts add up to less than the median of their total. That gap is no news about either: what is usual of it goes
        to the parts, and only the rest is shared out by how far each series is to be believed.
        """
        median, widths = np.stack([one.median for one in self.base]), self._widths
        usual = self.usual[:, None] * widths
        fair = reconcile(
            median + usual, self.tree, widths * self.scale[:, None], self.correlation, method=self.method
        )
        held = np.array([_HELD if name in self.tree.parts else 1.0 for name in self.tree.names])
        lower = [one.shape.lower for one in self.base]
        return reconcile(fair - usual, self.tree, widths * (self.scale * held)[:, None], lower=lower)

    @property
    def _widths(self) -> Floats:
        return np.stack([one.quantiles[-1] - one.quantiles[0] for one in self.base])

    def as_dict(self) -> dict[str, object]:
        """What is kept of it with the forecasts."""
        parts = {total: list(group) for total, group in self.tree.parts.items()}
        return {"method": self.method, "independence": self.share, "parts": parts}

    def reconciled(self, values: Floats) -> Floats:
        """Values (n, ..., T) of the series of the tree, made to add up."""
        widths = self._widths * self.scale[:, None]
        lower = [one.shape.lower for one in self.base]
        return reconcile(values, self.tree, widths, self.correlation, lower=lower, method=self.method)


def _size(misses: Floats) -> tuple[float, float]:
    """Root mean square and mean of misses, those beyond `_FAR` widths counted as that; those of a normal band of 80 % without any."""
    known = np.clip(misses[~np.isnan(misses)], -_FAR, _FAR)
    return (
        (max(float(np.sqrt((known**2).mean())), _TINY), float(known.mean())) if len(known) else (_NORMAL, 0.0)
    )


def totals(
    territory: Territory, histories: Mapping[str, Series], forecasts: Mapping[str, Forecast]
) -> tuple[list[Hierarchy], list[Problem]]:
    """The trees of totals among the forecast flows, one for each time grid, and notes on flows that look like totals and are none."""
    parts: dict[str, tuple[str, ...]] = {}
    notes: list[Problem] = []
    for name, inside in candidates(territory, list(forecasts)).items():
        gap = misfit(histories[name], [histories[one] for one in inside])
        if gap is not None and gap <= CLOSED:
            parts[name] = inside
            continue
        data = {"flow": name, "parts": ", ".join(inside[:_NAMED]) + ", ..." * (len(inside) > _NAMED)}
        if gap is None:
            notes.append(Problem("forecast.sum_unknown", data, severity="note"))
        else:
            data["share"] = f"{100 * gap:.1f}"
            notes.append(Problem("forecast.not_a_sum", data, severity="note"))
    grids: dict[tuple[int, int], list[str]] = {}
    taken = {name for total, group in parts.items() for name in (total, *group)}
    for name in (one for one in forecasts if one in taken):
        starts = forecasts[name].starts
        grids.setdefault((int(starts[0].astype(np.int64)), len(starts)), []).append(name)
    trees = []
    for names in grids.values():
        whole = {total: group for total, group in parts.items() if {total, *group} <= set(names)}
        used = {name for total, group in whole.items() for name in (total, *group)}
        if whole:
            trees.append(Hierarchy(tuple(name for name in names if name in used), whole))
    return trees, notes


def candidates(territory: Territory, flows: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Flows that may be totals, each with the topmost flows of the same kind inside its place, outermost first."""
    kinds: dict[tuple[object, ...], dict[str, list[str]]] = {}
    for name in flows:
        flow = territory.flows[name]
        if flow.semantics in ("sum", "mean") and flow.to_place is None:
            kinds.setdefault(_kind(flow), {}).setdefault(flow.place, []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for at in kinds.values():
        inside: dict[str, list[str]] = {}
        for place, names in at.items():
            above = [node.id for node in territory.ancestors(place)][1:]
            outer = next((one for one in above if one in at), None)
            if outer is not None:
                inside.setdefault(outer, []).extend(names)
        found.update({at[place][0]: tuple(names) for place, names in inside.items() if len(at[place]) == 1})
    return found


def misfit(total: Series, parts: Sequence[Series]) -> float | None:
    """The mean absolute difference between a total and the sum of its parts over its mean size; None with too few common values."""
    common = total.start
    for one in parts:
        common = np.intersect1d(common, one.start, assume_unique=True)
    if len(common) < _FEWEST:
        return None
    gap = total.value[np.searchsorted(total.start, common)].astype(np.float64)
    size = float(np.abs(gap).mean())
    for one in parts:
        gap = gap - one.value[np.searchsorted(one.start, common)]
    missed = float(np.abs(gap).mean())
    return missed / size if size > 0 else (0.0 if missed == 0 else float("inf"))


def _kind(flow: Flow) -> tuple[object, ...]:
    return (str(flow.carrier), flow.unit.text, flow.step, flow.semantics, flow.account)
