# SPDX-License-Identifier: Apache-2.0
"""A nowcast as people ask it: tables by ward, sector and hour with intervals, what each fact did, what a further fact would do.

Comes in: daily means and samples of every flow, shares of hours in days, coefficients, shares of places. Goes out: Arrow tables. Nothing is
ever spread into a cube: an hour of a ward is level x share of the hour x share of the ward, and only sums of what is asked for are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.measure.grouping import Grouping
from mangrove.measure.nowcast.inputs import Floats, Ints, Total
from mangrove.measure.nowcast.live import Fact, Figure, Live
from mangrove.measure.nowcast.posterior import Posterior
from mangrove.measure.nowcast.zones import Zones
from mangrove.measure.plan import Plan
from mangrove.measure.question import GAS_COLUMNS, column_names
from mangrove.measure.timeline import EPOCH
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span, Step, to_us

_CHUNK = 8_000_000
"""Numbers held at once while intervals are made: 64 MB."""
_BANDS = (("co2e_low95", 0.025), ("co2e_low80", 0.1), ("co2e_high80", 0.9), ("co2e_high95", 0.975))


@dataclass(frozen=True, slots=True)
class Known:
    """A fact that the nowcast rests on.

    Attributes:
        name, kind: `total`, `meter`, `index` or `inversion`; target: flow, or what it drives; until: end of the newest value it has.
        age: hours from that to the moment of the nowcast; late: hours from its end until it was recorded, None when not known.
    """

    name: str
    kind: str
    target: str
    until: datetime
    age: float
    late: float | None = None


@dataclass(frozen=True, slots=True)
class Days:
    """Every flow on the days of one window.

    Attributes:
        mean: expected amounts, shape (K, D); samples: shape (S, K, D).
        shares: of each hour in its day, shape (K, T); day: position of each hour's day, shape (T,); start: UTC microseconds, shape (T,).
        kg: kg CO2e per unit of each flow at each hour, shape (K, T).
    """

    mean: Floats
    samples: Floats
    shares: Floats
    day: Ints
    start: Ints
    kg: Floats


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of days in buckets.

    Attributes:
        day: position of the day of each, shape (P,); weights: kg CO2e per unit of a flow's day, shape (K, P).
        edges: the first piece of each bucket, shape (B,).
    """

    day: Ints
    weights: Floats
    edges: Ints


@dataclass
class Nowcast:
    """Hourly emissions to the present, with intervals.

    Attributes:
        territory, plan: what was asked; span: the window, which ends at the present; seed: of the samples.
        flows: K of them, modeled ones first; modeled: how many.
        days, earlier: the window and the same time a year before (None when nothing is known of it).
        posterior: of the modeled flows; factors: samples of the errors of factors, shape (S, K).
        facts: what it rests on; notes: what to know; record: id of what was stored; cut: last batch of the ledger that was seen.
    """

    territory: Territory
    plan: Plan
    span: Span
    seed: int
    flows: tuple[Flow, ...]
    modeled: int
    days: Days
    earlier: Days | None
    posterior: Posterior
    factors: Floats
    zones: Zones
    live: Live
    missing: list[Total] = field(default_factory=list)
    facts: tuple[Known, ...] = ()
    notes: list[Problem] = field(default_factory=list)
    record: str = ""
    cut: int = 0

    def __repr__(self) -> str:
        return f"<Nowcast {self.territory.name}: {len(self.flows)} flows, {len(self.days.start)} hours to {self.at.isoformat()}>"

    @property
    def at(self) -> datetime:
        """The present: the end of the window."""
        return self.span.end

    @property
    def samples(self) -> Floats:
        """Amounts by sample, flow and local day of the window, shape (S, K, D), in the units of the flows."""
        return self.days.samples

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids of the flows, in the order of all arrays."""
        return tuple(flow.id for flow in self.flows)

    def table(self, by: Sequence[str] = (), every: str | Step | None = None) -> pa.Table:
        """Emissions by columns and time, as expected and with intervals.

        Args:
            by: columns of the flow (`flow`, `sector`, `scope`, `gpc`, `place`, ...) and kinds of places (`ward`).
            every: an hour or more; None for the window as a whole.

        Returns:
            Columns of `by`, `start` (with `every`), `co2e_kg` (the mean), `co2e_low95`, `co2e_low80`, `co2e_high80`,
            `co2e_high95`, all in kg CO2e.

        Raises:
            RequestError: `nowcast.unknown_column`, `nowcast.step_too_short`, and those of borders without weights.
        """
        return self._table(self.days, tuple(by), whole_hours(every))

    def change(self) -> tuple[float, float, float] | None:
        """The window against the same one a year earlier: expected ratio less one, and its 95 % interval; None when unknown."""
        if self.earlier is None:
            return None
        now, then = (self._totals(days) for days in (self.days, self.earlier))
        if (then <= 0).any():
            return None
        ratio = now / then - 1
        mean = self._mean(self.days).sum() / self._mean(self.earlier).sum() - 1
        return float(mean), *map(float, _quantiles(ratio[:, None], (0.025, 0.975))[:, 0])  # type: ignore[return-value]

    def total(self) -> Figure:
        """The window as a whole with all flows, from the samples."""
        samples = self._totals(self.days)
        low, high = _quantiles(samples[:, None], (0.025, 0.975))[:, 0]
        return Figure(float(self._mean(self.days).sum()), float(low), float(high))

    def series(self, place: str | None = None, sector: str | None = None, level: str = "ward") -> Floats:
        """Expected kg CO2e of every hour of the window for one place and sector, shape (T,).

        Args:
            place: id of a place of kind `level`; None for all.
            sector: a sector word; None for all.
            level: the kind of place.
        """
        chosen = np.array([sector is None or flow.sector == sector for flow in self.flows])
        share = np.ones(len(self.flows)) if place is None else self._place_shares(level)[place]
        weight = np.where(chosen, share, 0.0)
        rows = np.flatnonzero(weight)
        found = np.zeros(len(self.days.start))
        for row in rows:
            found += weight[row] * self._hourly[row]
        return found

    @cached_property
    def _hourly(self) -> Floats:
        return np.asarray(self.hourly() * self.days.kg)

    def _place_shares(self, level: str) -> dict[str, Floats]:
        if level not in self._shares:
            found: dict[str, Floats] = {}
            for name, place, share in self._members((level,))[1]:
                found.setdefault(place[0], np.zeros(len(self.flows)))[self.targets.index(name)] += share
            self._shares[level] = found
        return self._shares[level]

    @cached_property
    def _shares(self) -> dict[str, dict[str, Floats]]:
        return {}

    def hourly(self) -> Floats:
        """Expected amounts of every flow and hour in the units of the flows, shape (K, T): what is stored."""
        return np.asarray(self.days.mean[:, self.days.day] * self.days.shares)

    def groups(self, by: Sequence[str]) -> tuple[list[tuple[str, ...]], Floats, Floats]:
        """The window by groups: their keys, the mean (G,) and joint samples (S, G), kg CO2e; what flows share moves groups together.

        Args:
            by: columns, as in `table`.
        """
        keys, lists = self._lists(tuple(by))
        weights = day_weights(self.days)
        means = (self.days.mean * weights).sum(axis=1)
        drawn = np.einsum("skd,kd->sk", self.days.samples, weights, optimize=True) * self.factors
        mean = np.array([sum(means[row] * np.mean(share) for row, share in rows) for rows in lists])
        samples = [
            sum((drawn[:, row] * share for row, share in rows), np.zeros(len(drawn))) for rows in lists
        ]
        return keys, mean, np.stack(samples, axis=1)

    def contributions(self) -> pa.Table:
        """What each fact does to the total of the window.

        Columns: fact, kind, target; weight: percent by which the total moves when the fact moves by one percent; narrows: by how much
        the variance (of the log of the total) would grow without it, as a share of the variance with it.
        """
        facts = self.posterior.model.facts
        weights, removed = self.live.weights(), self.live.removed()
        names = {
            "fact": [one.name for one in facts],
            "kind": [one.kind for one in facts],
            "target": [one.target for one in facts],
        }
        columns = {key: pa.array(words, pa.string()) for key, words in names.items()}
        numbers = {"weight": weights, "narrows": removed}
        made = pa.table({**columns, **{key: pa.array(array) for key, array in numbers.items()}})
        return made.sort_by([("narrows", "descending")])

    def what_would_narrow(self, top: int = 10) -> pa.Table:
        """The facts that are missing, by the share of the variance of the total that each alone would remove.

        Columns: fact (`inventory` of the last whole year, or `meter` over the window), target, sd of its error, removes.
        """
        rows = self.live.candidates(self.missing)[:top]
        return pa.table(
            {
                "fact": pa.array([row[0] for row in rows], pa.string()),
                "target": pa.array([row[1] for row in rows], pa.string()),
                "sd": pa.array([row[2] for row in rows], pa.float64()),
                "removes": pa.array([row[3] for row in rows], pa.float64()),
            }
        )

    def update(self, fact: Fact) -> Figure:
        """Takes one more fact and gives the new total of the window: one product a fact, no other model is solved.

        The facts of earlier calls stay. Tables and samples stay as they are: ask for a new nowcast when the fact is in the ledger.
        """
        return self.live.take(fact)

    # How sums are made

    def _mean(self, days: Days) -> Floats:
        """Expected kg CO2e by flow and day, shape (K, D)."""
        return days.mean * day_weights(days)

    def _totals(self, days: Days) -> Floats:
        weights = day_weights(days)
        return np.asarray(np.einsum("skd,kd,sk->s", days.samples, weights, self.factors, optimize=True))

    def _members(
        self, by: tuple[str, ...]
    ) -> tuple[list[tuple[str, ...]], list[tuple[str, tuple[str, ...], float]]]:
        """The groups, and `(flow, group, share)`."""
        require_columns(self.territory, by)
        grouping = Grouping(self.plan, replace(self.plan.question, by=by, every=None))
        groups = list(grouping.groups)
        members = [
            (flow, groups[group], share)
            for flow, group, share in grouping.view.members
            if flow in self._numbers
        ]
        present = {group for _, group, _ in members}
        return [group for group in groups if group in present], members

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {flow.id: number for number, flow in enumerate(self.flows)}

    def _table(self, days: Days, by: tuple[str, ...], every: Step | None) -> pa.Table:
        groups, lists = self._lists(by)
        bucket, starts = self._buckets(days, every)
        pieces = _pieces(days, bucket)
        sums = np.add.reduceat(pieces.weights * days.mean[:, pieces.day], pieces.edges, axis=1)
        mean = np.zeros((len(groups), len(starts)))
        for number, rows in enumerate(lists):
            for row, share in rows:
                mean[number] += sums[row] * np.mean(share)
        bands = np.zeros((len(_BANDS), len(groups), len(starts)))
        chunk = max(1, _CHUNK // (len(self.factors) * len(self.flows)))
        for low in range(0, len(starts), chunk):
            part = slice(low, min(low + chunk, len(starts)))
            bands[:, :, part] = self._bands(days, pieces, lists, part)
        return _arrow(by, groups, starts if every is not None else None, mean, bands)

    def _lists(
        self, by: tuple[str, ...]
    ) -> tuple[list[tuple[str, ...]], list[list[tuple[int, float | Floats]]]]:
        """The groups, and for each its flows with their share: a number, or samples where a map is unsure."""
        groups, members = self._members(by)
        level = self.zones.level(by, self.territory)
        unsure = self.zones.multipliers(level, members, by, self.flows) if level else {}
        index = {group: number for number, group in enumerate(groups)}
        lists: list[list[tuple[int, float | Floats]]] = [[] for _ in groups]
        for flow, group, share in members:
            lists[index[group]].append((self._numbers[flow], unsure.get((flow, group), share)))
        return groups, lists

    def _bands(
        self, days: Days, pieces: Pieces, lists: list[list[tuple[int, float | Floats]]], part: slice
    ) -> Floats:
        """Quantiles of every group in some of the buckets, shape (bands, groups, buckets)."""
        edges = np.append(pieces.edges, len(pieces.day))[part.start : part.stop + 1]
        inside = slice(int(edges[0]), int(edges[-1]))
        at, cut = pieces.day[inside], edges[:-1] - edges[0]
        drawn = {
            row: np.add.reduceat(days.samples[:, row, at] * pieces.weights[row, inside], cut, axis=1)
            * self.factors[:, row, None]
            for row in {row for rows in lists for row, _ in rows}
        }
        found = np.zeros((len(_BANDS), len(lists), part.stop - part.start))
        for number, rows in enumerate(lists):
            samples = np.zeros((len(self.factors), part.stop - part.start))
            for row, share in rows:
                samples += drawn[row] * (share[:, None] if isinstance(share, np.ndarray) else share)
            found[:, number] = _quantiles(samples, tuple(level for _, level in _BANDS))
        return found

    def _buckets(self, days: Days, every: Step | None) -> tuple[Ints, list[datetime]]:
        """The bucket of every hour, and the starts of the buckets."""
        first = EPOCH + timedelta(microseconds=int(days.start[0]))
        end = EPOCH + timedelta(microseconds=int(days.start[-1])) + timedelta(hours=1)
        starts = every.starts(Span(first, end), self.territory.tz) if every is not None else [first]
        edges = np.array([to_us(one) for one in starts])
        return np.searchsorted(edges, days.start, side="right") - 1, starts


def require_columns(territory: Territory, by: Sequence[str]) -> None:
    """Raises `RequestError` (`nowcast.unknown_column`) unless tables of a nowcast can be grouped by these columns."""
    known = [name for name in column_names(territory) if name not in GAS_COLUMNS]
    for column in by:
        if column not in known:
            hint, options = did_you_mean(column, known), ", ".join(known)
            raise RequestError("nowcast.unknown_column", column=column, hint=hint, options=options)


def whole_hours(every: str | Step | None) -> Step | None:
    """The step of a table; raises `RequestError` (`nowcast.step_too_short`) unless it is a number of hours."""
    step = Step.parse(every) if isinstance(every, str) else every
    if step is not None and step.seconds and step.seconds % 3600:
        raise RequestError("nowcast.step_too_short", step=str(step))
    return step


def day_weights(days: Days) -> Floats:
    """Kg CO2e per unit of each flow's day, as far as the day lies in the window, shape (K, D)."""
    count, length = days.mean.shape
    found = np.zeros((count, length))
    for row in range(count):
        found[row] = np.bincount(days.day, weights=days.shares[row] * days.kg[row], minlength=length)
    return found


def _pieces(days: Days, bucket: Ints) -> Pieces:
    """The parts of days that lie in one bucket each; there is at least one hour, so every bucket has one."""
    edges = np.flatnonzero(np.diff(bucket * days.mean.shape[1] + days.day, prepend=-1))
    weights = np.add.reduceat(days.shares * days.kg, edges, axis=1)
    return Pieces(days.day[edges], weights, np.flatnonzero(np.diff(bucket[edges], prepend=-1)))


def _quantiles(samples: Floats, levels: tuple[float, ...]) -> Floats:
    """Quantiles over the first axis at (n + 1) p, which cover as much as they say also with few samples."""
    ordered = np.sort(samples, axis=0)
    count = len(ordered)
    at = np.clip((count + 1) * np.array(levels) - 1, 0, count - 1)
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    return np.asarray(ordered[low] * (1 - part) + ordered[np.minimum(low + 1, count - 1)] * part)


def _arrow(
    by: Sequence[str],
    groups: Sequence[tuple[str, ...]],
    starts: Sequence[datetime] | None,
    mean: Floats,
    bands: Floats,
) -> pa.Table:
    """Rows by group, then time."""
    buckets = mean.shape[1]
    columns: Mapping[str, object] = {
        name: np.repeat(np.array([group[i] for group in groups], dtype=object), buckets)
        for i, name in enumerate(by)
    }
    made = {name: pa.array(words, pa.string()) for name, words in columns.items()}
    if starts is not None:
        made["start"] = pa.array([*starts] * len(groups), pa.timestamp("us", tz="UTC"))
    made["co2e_kg"] = pa.array(mean.ravel())
    for (name, _), values in zip(_BANDS, bands, strict=True):
        made[name] = pa.array(values.ravel())
    return pa.table(made)
