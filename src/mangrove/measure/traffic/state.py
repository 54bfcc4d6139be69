# SPDX-License-Identifier: Apache-2.0
"""The state of observed streets: flow and speed by link, class and five minutes, complete or said to be not.

Comes in: a ledger, a territory, a span. Goes out: a `LinkState`. Gaps are closed in this order, each time with a larger error and a mark
(`Basis`): a class from its share of the total, a count from the same clock time of the last four weeks, a speed from that of all vehicles,
from the same clock time, or from how slow the other streets are against their limits. What none of them closes stays a gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from mangrove.errors import DataQualityError, Problem, RequestError
from mangrove.ledger import Snapshot
from mangrove.measure.traffic.cells import SECONDS, Cells, read
from mangrove.measure.traffic.streets import Floats, Streets
from mangrove.rules.vehicles import vehicle_class
from mangrove.territory.model import Territory
from mangrove.times import Span, to_us

HISTORY = timedelta(days=28)
LEAST = 3
"""Days on which a clock time was read before its mean stands for a gap."""
PARTIAL = 0.5
"""Standard deviation of a count as a measure of the vehicle-kilometers of its cell, vehicles: some are on the link at both bounds. With
it, 88 to 90 % of the cells of simulated streets lay in their 90 % intervals (benchmarks/traffic_emissions.py)."""
_LEAST_ERROR = 0.2
"""Least relative standard deviation of a filled value: a mean over days does not know what happens today."""
MOST_NUMBERS = 2e7
"""Cells x streets x classes of one state: 160 MB an array, about 20 of them. A week of 500 streets in five classes, six hours of a large city."""
_HOUR, _DAY = 3600, 86_400


class Basis(IntEnum):
    """Where the state of a cell comes from, the worst of its parts."""

    READ = 0
    SHARED = 1
    FILLED = 2
    ESTIMATED = 3
    MISSING = 9


@dataclass(frozen=True)
class LinkState:
    """Traffic of L links, C classes, T cells of five minutes.

    Attributes:
        streets: the links; starts: (T,) microseconds since 1970; classes: (C,).
        flow: (T, L, C) vehicles, 0 where missing; speed: (T, L, C) km/h, NaN where missing.
        flow_error, speed_error: (T, L, C) relative standard deviations.
        by_total: (L,) links that are counted without classes; shares: (C,) by which they are split, with dispersion and mix error.
        link_error: (L,) relative standard deviation that stays with a link; common_error: (L,) that all such links share.
        basis: (T, L) `Basis`; problems: what was left out or assumed.
    """

    streets: Streets
    starts: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    flow: Floats
    speed: Floats
    flow_error: Floats
    speed_error: Floats
    by_total: npt.NDArray[np.bool_]
    shares: Floats
    mix_error: Floats
    link_error: Floats
    common_error: Floats
    basis: npt.NDArray[np.uint8]
    problems: tuple[Problem, ...]

    @property
    def vehicle_km(self) -> Floats:
        """(T, L, C)."""
        return self.flow * self.streets.length[:, None]

    def during(self, start: datetime, end: datetime) -> LinkState:
        """The cells that begin in `[start, end)`."""
        inside = (self.starts >= to_us(start)) & (self.starts < to_us(end))
        return replace(
            self,
            starts=self.starts[inside],
            flow=self.flow[inside],
            speed=self.speed[inside],
            flow_error=self.flow_error[inside],
            speed_error=self.speed_error[inside],
            basis=self.basis[inside],
        )


def observe(territory: Territory, streets: Streets, span: Span, snapshot: Snapshot) -> LinkState:
    """The state of the observed streets in a span.

    Raises:
        DataQualityError: `vehicles.no_values`, `vehicles.no_shares` (a street counts vehicles without classes, and nothing says which
            classes drive there).
        RuleError: `vehicles.unknown_class` in the declared shares.
        RequestError: `vehicles.too_long`.
    """
    declared = _declared_shares(territory)
    classes = tuple(dict.fromkeys([*streets.classes, *declared]))
    by_total = _by_total(streets)
    if not classes:
        raise DataQualityError("vehicles.no_shares", link=streets.ids[int(np.flatnonzero(by_total)[0])])
    bearable(math.ceil(span.hours * 3600 / SECONDS), len(streets.ids), len(classes))
    now = read(streets, classes, span, snapshot)
    if not (np.isfinite(now.count).any() or np.isfinite(now.total).any()):
        raise DataQualityError(
            "vehicles.no_values", start=f"{span.start:%Y-%m-%d %H:%M}Z", end=f"{span.end:%Y-%m-%d %H:%M}Z"
        )
    filler = _Filler(territory, streets, classes, span, snapshot)
    count, count_error, filled = filler.closed(now.count, _spread_of(now.count_error, now.count), "count")
    total, total_error, filled_total = filler.closed(
        now.total, _spread_of(now.total_error, now.total), "total"
    )
    shares, mix_error = _shares(streets, count, declared, classes, by_total)
    flow = np.where(by_total[:, None], total[..., None] * shares, _counted(count, streets, classes))
    error = np.where(by_total[:, None], total_error[..., None], count_error)
    speed, speed_error, slow = _speeds(now, flow, filler, streets)
    filled_counts = np.where(by_total, filled_total, filled.any(axis=2))
    basis = _basis(flow, speed, by_total, filled_counts | slow | now.repaired)
    error = np.where(now.repaired[..., None], np.maximum(np.nan_to_num(error), _LEAST_ERROR), error)
    known = basis != Basis.MISSING
    flow = np.where(known[..., None], np.nan_to_num(flow), 0.0)
    error = np.hypot(np.nan_to_num(error), PARTIAL / np.maximum(flow, PARTIAL))
    none = np.zeros(len(streets.ids))
    return LinkState(
        streets, now.starts, classes, flow, speed, error, speed_error, by_total, shares, mix_error, none, none, basis,
        (*now.problems, *_said(basis, streets)),
    )  # fmt: skip


def bearable(cells: int, links: int, classes: int) -> None:
    """Refuses what does not fit in memory.

    Raises:
        RequestError: `vehicles.too_long`.
    """
    if cells * links * classes > MOST_NUMBERS:
        raise RequestError("vehicles.too_long", cells=cells, links=links, classes=classes)


def _declared_shares(territory: Territory) -> dict[str, float]:
    """The shares of classes that the territory states."""
    settings = territory.settings.get("traffic")
    stated = settings.get("shares") if isinstance(settings, Mapping) else None
    return {vehicle_class(name).key: float(share) for name, share in (stated or {}).items()}


def _by_total(streets: Streets) -> npt.NDArray[np.bool_]:
    """(L,) links that only count all vehicles together."""
    classed = {meter.link for meter in streets.meters if meter.kind == "vehicles" and meter.vehicle}
    return np.array([link not in classed for link in range(len(streets.ids))])


def _counted(count: Floats, streets: Streets, classes: Sequence[str]) -> Floats:
    """Counts by class; a class that a link does not count is not there, one that it counts and did not read is a gap."""
    has = np.zeros(count.shape[1:], dtype=bool)
    at = {name: number for number, name in enumerate(classes)}
    for meter in streets.meters:
        if meter.kind == "vehicles" and meter.vehicle:
            has[meter.link, at[meter.vehicle]] = True
    return np.where(has, count, 0.0)


def _shares(
    streets: Streets, count: Floats, declared: Mapping[str, float], classes: Sequence[str], by_total: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:  # fmt: skip
    """(C,) shares of the vehicle-kilometers of links that are counted by class, or the declared ones; (C,) how they differ by link."""
    none = np.zeros(len(classes))
    if not by_total.any():
        return none, none
    km = np.nansum(count, axis=0) * streets.length[:, None]
    whole = km.sum(axis=1)
    counted = whole > 0
    if declared:
        shares = np.array([declared.get(name, 0.0) for name in classes])
        if not np.isclose(shares.sum(), 1.0, atol=0.005):
            raise DataQualityError("vehicles.shares_sum", total=f"{shares.sum():.1%}")
        shares = shares / shares.sum()
    elif counted.any():
        shares = km[counted].sum(axis=0) / whole[counted].sum()
    else:
        raise DataQualityError("vehicles.no_shares", link=streets.ids[int(np.flatnonzero(by_total)[0])])
    if counted.sum() < LEAST:
        return shares, none
    each = km[counted] / whole[counted, None]
    apart = np.sqrt(np.average((each - shares) ** 2, axis=0, weights=whole[counted]))
    return shares, np.divide(apart, shares, out=none.copy(), where=shares > 0)


class _Filler:
    """Closes gaps from the same clock time of earlier days; earlier values are read when the first gap is met."""

    def __init__(
        self, territory: Territory, streets: Streets, classes: tuple[str, ...], span: Span, snapshot: Snapshot
    ) -> None:
        self.tz, self.streets, self.classes = territory.tz, streets, classes
        self.span, self.snapshot = span, snapshot
        self._earlier: Cells | None = None

    def closed(
        self, values: Floats, errors: Floats, part: str
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Values and errors with gaps filled where earlier days allow, and where that was."""
        open_ = np.isnan(values) & self._metered(part, values.shape[1:])
        if not open_.any():
            return values, errors, np.zeros(values.shape, dtype=bool)
        mean, spread = self._usual(part, values)
        filled = open_ & np.isfinite(mean)
        return np.where(filled, mean, values), np.where(filled, spread, errors), filled

    def _metered(self, part: str, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Where something should have been read."""
        has = np.zeros(shape, dtype=bool)
        at = {name: number for number, name in enumerate(self.classes)}
        for meter in self.streets.meters:
            kind = {"vehicles": ("total", "count"), "speed": ("common", "speed")}[meter.kind][
                bool(meter.vehicle)
            ]
            if kind == part:
                has[(meter.link, at[meter.vehicle]) if meter.vehicle else meter.link] = True
        return has

    def _usual(self, part: str, values: Floats) -> tuple[Floats, Floats]:
        """Mean and relative spread of the clock times of the span, over earlier days of the same kind (work or weekend)."""
        if self._earlier is None:
            before = Span(self.span.start - HISTORY, self.span.start)
            self._earlier = read(self.streets, self.classes, before, self.snapshot)
        old = getattr(self._earlier, part)
        then, now = self._slots(self._earlier.starts), self._slots(_starts_of(self.span, len(values)))
        mean, spread = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        for slot in np.unique(now):
            rows = old[then == slot]
            number = np.isfinite(rows).sum(axis=0)
            enough = number >= LEAST
            middle = np.divide(
                np.nansum(rows, axis=0), number, out=np.full(number.shape, np.nan), where=enough
            )
            square = np.divide(
                np.nansum((rows - middle) ** 2, axis=0), number, out=np.zeros(number.shape), where=enough
            )
            apart = np.divide(
                np.sqrt(square),
                middle,
                out=np.zeros(number.shape),
                where=enough & (np.nan_to_num(middle) > 0),
            )
            mean[now == slot] = middle
            spread[now == slot] = np.maximum(apart, _LEAST_ERROR)
        return mean, spread

    def _slots(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Number of the clock time, with weekends apart."""
        if not len(starts):
            return np.zeros(0, dtype=np.int64)
        seconds = starts // 1_000_000
        hours, at = np.unique(seconds // _HOUR, return_inverse=True)  # clocks change at whole hours
        ahead = [
            datetime.fromtimestamp(hour * _HOUR, self.tz).utcoffset() or timedelta(0)
            for hour in hours.tolist()
        ]
        local = seconds + np.array([int(one.total_seconds()) for one in ahead])[at]
        weekend = (local // _DAY + 3) % 7 >= 5  # noqa: PLR2004 - 1 January 1970 was a Thursday
        slots: npt.NDArray[np.int64] = (local % _DAY) // SECONDS + np.where(weekend, _DAY // SECONDS, 0)
        return slots


def _speeds(
    now: Cells, flow: Floats, filler: _Filler, streets: Streets
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """(T, L, C) speeds and errors, and (T, L) where they were filled: by class, of all vehicles, of earlier days, of other streets."""
    speed, error, _ = filler.closed(now.speed, _spread_of(now.speed_error, now.speed), "speed")
    common, common_error, usual = filler.closed(
        now.common, _spread_of(now.common_error, now.common), "common"
    )
    slowness, apart = _slowness(
        np.where(np.isfinite(now.common), now.common, _mean_of(now.speed)), streets.limit
    )
    guessed = np.isnan(common) & np.isfinite(slowness[:, None] * streets.limit)
    common = np.where(guessed, slowness[:, None] * streets.limit, common)
    common_error = np.where(guessed, np.maximum(apart, _LEAST_ERROR)[:, None], common_error)
    other = np.isnan(speed)
    whole = np.where(other, common[..., None], speed)
    errors = np.where(other, common_error[..., None], error)
    estimated = (np.isnan(now.speed) & ~other) | (other & (usual | guessed)[..., None])
    filled: npt.NDArray[np.bool_] = np.asarray((estimated & (flow > 0)).any(axis=2))
    return whole, np.nan_to_num(errors), filled


def _mean_of(speed: Floats) -> Floats:
    """(T, L) mean over the classes that were read."""
    number = np.isfinite(speed).sum(axis=2)
    mean = np.full(number.shape, np.nan)
    np.divide(np.nansum(speed, axis=2), number, out=mean, where=number > 0)
    return mean


def _slowness(common: Floats, limit: Floats) -> tuple[Floats, Floats]:
    """(T,) mean of speed over limit, over the streets that were read (three at least), and how it differs among them."""
    ratio = common / limit
    number = np.isfinite(ratio).sum(axis=1)
    enough = number >= LEAST
    mean = np.divide(np.nansum(ratio, axis=1), number, out=np.full(len(ratio), np.nan), where=enough)
    square = np.divide(
        np.nansum((ratio - mean[:, None]) ** 2, axis=1), number, out=np.zeros(len(ratio)), where=enough
    )
    return mean, np.divide(np.sqrt(square), mean, out=np.zeros(len(ratio)), where=enough)


def _basis(
    flow: Floats, speed: Floats, by_total: npt.NDArray[np.bool_], filled: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """(T, L) where cells come from."""
    gap = np.isnan(flow).any(axis=2) | ((np.nan_to_num(flow) > 0) & np.isnan(speed)).any(axis=2)
    basis = np.where(by_total, Basis.SHARED, Basis.READ) * np.ones(gap.shape, dtype=np.uint8)
    basis = np.where(filled, Basis.FILLED, basis)
    return np.where(gap, Basis.MISSING, basis).astype(np.uint8)


def _said(basis: npt.NDArray[np.uint8], streets: Streets) -> list[Problem]:
    """How much was filled, and which streets miss how much."""
    found = []
    share = float((basis == Basis.FILLED).mean())
    if share:
        found.append(Problem("vehicles.filled", {"share": f"{share:.1%}"}, severity="note"))
    missing = (basis == Basis.MISSING).sum(axis=0)
    for link in np.flatnonzero(missing):
        data = {"link": streets.ids[link], "count": int(missing[link]), "cells": len(basis)}
        found.append(Problem("vehicles.missing", data, severity="warning"))
    return found


def _spread_of(errors: Floats, values: Floats) -> Floats:
    """Errors of meters for every cell."""
    return np.broadcast_to(errors, values.shape).copy()


def _starts_of(span: Span, count: int) -> npt.NDArray[np.int64]:
    step = SECONDS * 1_000_000
    first = to_us(span.start)
    return first - first % step + step * np.arange(count, dtype=np.int64)
