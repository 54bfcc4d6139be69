# SPDX-License-Identifier: Apache-2.0
"""Why did it change? Two measurements of the same territory, and the causes that lie between them.

Comes in: a handle's ledger and two periods. Goes out: a `Why`: emissions of both periods by flow, the causes of the difference by flow,
sector or place, which add up to it exactly, and the interval of the difference, in which errors that both periods share cancel. Flows
that were silent in one of the periods are named and left out: silence is no reduction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.ledger import Ledger, Snapshot
from mangrove.measure.result import Emissions, nothing_in
from mangrove.measure.uncertainty import interval
from mangrove.measure.why.causes import CAUSES, Period, split
from mangrove.measure.why.days import HISTORY, Days, days_off, effects, read
from mangrove.territory.model import Driver, Flow, Territory
from mangrove.times import Span

Floats = npt.NDArray[np.float64]
GROUPS = ("flow", "sector", "place", "scope", "gpc", "carrier")
"""What causes can be told by."""
_EPOCH, _TICK = date(1970, 1, 1), timedelta(microseconds=1)
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Why:
    """The causes of a change.

    Attributes:
        before, after: the two measurements; flows: ids of the flows that are compared.
        kg_before, kg_after: kg CO2e by flow, (K,); effects: kg CO2e by flow and cause, (K, len(CAUSES)).
        low, high: 95 % interval of the whole change, kg CO2e; errors that both periods share cancel in it.
        left_out: flows that were silent in one period; notes: what to know.
    """

    before: Emissions
    after: Emissions
    flows: tuple[str, ...]
    kg_before: Floats
    kg_after: Floats
    effects: Floats
    low: float
    high: float
    left_out: tuple[str, ...] = ()
    notes: tuple[Problem, ...] = field(default_factory=tuple)

    @property
    def change(self) -> float:
        """Kg CO2e, after minus before, of the flows that are compared."""
        return float(self.kg_after.sum() - self.kg_before.sum())

    def counts(self, kg: float) -> bool:
        """Whether an amount is more than rounding beside what was emitted."""
        return abs(kg) > _ROUNDING * max(
            float(np.abs(self.kg_before).sum()), float(np.abs(self.kg_after).sum())
        )

    def causes(self) -> dict[str, float]:
        """Kg CO2e by cause, in the order of `CAUSES`; they add up to `change`."""
        return dict(zip(CAUSES, self.effects.sum(axis=0).tolist(), strict=True))

    def table(self, by: str = "sector") -> pa.Table:
        """One row a group, the largest change first: the group, `before`, `after`, `change` and one column a cause, kg CO2e.

        Raises:
            RequestError: `why.unknown_group`.
        """
        if by not in GROUPS:
            raise RequestError(
                "why.unknown_group", text=by, options=", ".join(GROUPS), hint=did_you_mean(by, GROUPS)
            )
        declared = self.after.plan.flows
        keys = [_key(declared[name], by) for name in self.flows]
        names = list(dict.fromkeys(keys))
        rows = np.zeros((len(names), 2 + len(CAUSES)))
        np.add.at(
            rows,
            [names.index(key) for key in keys],
            np.column_stack([self.kg_before, self.kg_after, self.effects]),
        )
        change = rows[:, 1] - rows[:, 0]
        order = np.argsort(-np.abs(change), kind="stable")
        columns = {by: [names[i] for i in order], "before": rows[order, 0], "after": rows[order, 1]}
        causes = {cause: rows[order, 2 + i] for i, cause in enumerate(CAUSES)}
        return pa.table({**columns, "change": change[order], **causes})

    def as_dict(self) -> dict[str, Any]:
        """Plain data: both totals, the change with its interval, causes, and the tables by sector, place and flow."""
        return {
            "before_kg": float(self.kg_before.sum()),
            "after_kg": float(self.kg_after.sum()),
            "change_kg": self.change,
            "change_low_kg": None if math.isnan(self.low) else self.low,
            "change_high_kg": None if math.isnan(self.high) else self.high,
            "causes_kg": self.causes(),
            "left_out": list(self.left_out),
            **{f"by_{by}": self.table(by).to_pylist() for by in ("sector", "place", "flow")},
        }


def explain_change(ledger: Ledger, before: Emissions, after: Emissions) -> Why:
    """The causes that lie between two measurements of one territory, asked alike but for the period.

    Args:
        ledger: open for reading; holds the values of both and of the year before them.
        before: the earlier (or compared-with) measurement.
        after: the measurement that is to be explained.

    Raises:
        RequestError: `why.nothing_common`: no flow has values in both periods.
    """
    territory = after.plan.territory
    flows, left_out = _common(before, after)
    if not flows:
        raise nothing_in("why.nothing_common", after, before)
    with ledger.snapshot(cut=after.cut) as snapshot:
        world = _World.read(snapshot, territory, before, after, flows)
    periods = [world.period(result, flows) for result in (before, after)]
    groups = [_group(after.plan.flows[name]) for name in flows]
    found = split(periods[0], periods[1], groups)
    low, high = _interval(before, after, set(flows), float(periods[1].co2e.sum() - periods[0].co2e.sum()))
    notes = (*world.notes(flows), *_silent(left_out, before, after))
    return Why(
        before,
        after,
        flows,
        periods[0].co2e,
        periods[1].co2e,
        found,
        low,
        high,
        tuple(left_out),
        tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _World:
    """What the days say: amounts by day, drivers by day, warmth."""

    territory: Territory
    amounts: Mapping[str, Days]
    factors: Mapping[str, tuple[Floats, Floats]]
    drivers: Mapping[str, Days]
    warm: bool

    @classmethod
    def read(
        cls,
        snapshot: Snapshot,
        territory: Territory,
        before: Emissions,
        after: Emissions,
        flows: Sequence[str],
    ) -> _World:
        spans = [one.plan.question.span for one in (before, after)]
        window = Span(min(s.start for s in spans) - HISTORY, max(s.end for s in spans))
        declared = [territory.flows[name] for name in flows]
        amounts = read(snapshot, territory, declared, window, after.plan.question.run)
        driving = {one.index for one in territory.drivers}
        warmth = [flow for flow in territory.flows.values() if str(flow.carrier) == "weather:temperature"]
        outside = read(
            snapshot, territory, [*(territory.flows[name] for name in sorted(driving)), *warmth], window
        )
        temperature = _mean_over([outside[flow.id].mean for flow in warmth if flow.id in outside])
        off = days_off(territory)
        factors = {name: effects(days, off, temperature) for name, days in amounts.items()}
        drivers = {name: outside[name] for name in driving if name in outside}
        return cls(territory, amounts, factors, drivers, temperature is not None)

    def period(self, result: Emissions, flows: Sequence[str]) -> Period:
        """The numbers of one measurement, flow by flow."""
        span = result.plan.question.span
        counts = {count.flow: count for count in result.flows}
        kg = _kg(result)
        coverage = [counts[name].coverage for name in flows]
        days = [self._days(span, self.amounts.get(name)) for name in flows]
        means = [
            tuple(float(one[chosen].mean()) for one in self.factors[name])
            if name in self.factors and chosen.any()
            else (1.0, 1.0)
            for name, chosen in zip(flows, days, strict=True)
        ]
        return Period(
            span.hours / 24,
            np.array([counts[name].amount for name in flows]),
            np.array([kg[name] for name in flows]),
            np.array([1.0 if share is None else share for share in coverage]),
            np.array([calendar for calendar, _ in means]),
            np.array([weather for _, weather in means]),
            np.array([self._driver(result.plan.flows[name], span) for name in flows]),
        )

    def _days(self, span: Span, amounts: Days | None) -> npt.NDArray[np.bool_]:
        """Which days of the window lie in a period."""
        if amounts is None:
            return np.zeros(0, np.bool_)
        first, last = (
            (moment.astimezone(self.territory.tz).date() - _EPOCH).days
            for moment in (span.start, span.end - _TICK)
        )
        return np.asarray((amounts.days >= first) & (amounts.days <= last))

    def _driver(self, flow: Flow, span: Span) -> float:
        """The product of the declared drivers of a flow in a period, NaN without one."""
        total, any_known = 1.0, False
        for driver in drivers_of(self.territory, flow):
            days = self.drivers.get(driver.index)
            chosen = self._days(span, days)
            if days is None or not chosen.any():
                return math.nan
            index = self.territory.flows[driver.index]
            level = (
                days.mean
                if index.semantics in ("state", "mean")
                else np.where(days.count > 0, days.total, np.nan)
            )
            mean = float(np.nanmean(level[chosen])) if (~np.isnan(level[chosen])).any() else math.nan
            if not mean > 0:
                return math.nan
            total, any_known = total * mean**driver.elasticity, True
        return total if any_known else math.nan

    def notes(self, flows: Sequence[str]) -> Iterator[Problem]:
        """What could not be told apart."""
        coarse = [name for name in flows if name not in self.amounts]
        if coarse:
            yield Problem("why.coarse", {"count": len(coarse), "all": len(flows)}, severity="note")
        if not self.warm:
            yield Problem("why.no_temperature", {}, severity="note")
        undriven = [
            name for name in flows if not list(drivers_of(self.territory, self.territory.flows[name]))
        ]
        if undriven:
            yield Problem("why.no_driver", {"count": len(undriven), "all": len(flows)}, severity="note")


def drivers_of(territory: Territory, flow: Flow) -> Iterator[Driver]:
    """The declared drivers of a flow: those that name it, else its GPC reference, else its sector, at a place that holds it."""
    here = [one for one in territory.drivers if one.place is None or territory.lies_in(flow.place, one.place)]
    for name in (flow.id, flow.gpc, flow.sector):
        found = [one for one in here if name and one.target == name]
        if found:
            yield from found
            return


def _common(before: Emissions, after: Emissions) -> tuple[tuple[str, ...], list[str]]:
    """Flows with emissions in both periods, and those that were silent in one of them."""
    kg = [_kg(one) for one in (before, after)]
    covered = [{count.flow: count for count in one.flows} for one in (before, after)]
    flows, silent = [], []
    for name in after.plan.flows:
        spoke = [
            name in masses and name in counts and counts[name].counted > 0
            for masses, counts in zip(kg, covered, strict=True)
        ]
        if all(spoke):
            flows.append(name)
        elif any(spoke):
            silent.append(name)
    return tuple(flows), silent


def _kg(result: Emissions) -> dict[str, float]:
    """Kg CO2e of the inventory by flow."""
    found: dict[str, float] = {}
    for leaf in result.leaves:
        if leaf.account == "inventory":
            found[leaf.flow] = found.get(leaf.flow, 0.0) + leaf.co2e
    return found


def _interval(before: Emissions, after: Emissions, flows: set[str], change: float) -> tuple[float, float]:
    """95 % interval of the change: an error moves both periods alike, so only the difference of what it moves counts."""
    moved: dict[str, float] = {}
    for sign, result in ((-1.0, before), (1.0, after)):
        kg = {
            leaf.line: leaf.co2e
            for leaf in result.leaves
            if leaf.flow in flows and leaf.account == "inventory"
        }
        for line, name, deviation in result.plan.errors():
            moved[name] = moved.get(name, 0.0) + sign * kg.get(line, 0.0) * deviation
    if not moved:
        return math.nan, math.nan
    return interval(change, sum(one * one for one in moved.values()), net=True)


def _silent(names: Sequence[str], before: Emissions, after: Emissions) -> Iterator[Problem]:
    if names:
        kg = [_kg(one) for one in (before, after)]
        size = sum(abs(masses.get(name, 0.0)) for name in names for masses in kg) / 1000
        data = {"flows": ", ".join(names), "count": len(names), "t": f"{size:.6g}"}
        yield Problem("why.left_out", data, severity="warning")


def _group(flow: Flow) -> tuple[str, str, str]:
    return flow.sector, str(flow.carrier), flow.unit.text


def _key(flow: Flow, by: str) -> str:
    value = getattr(flow, by if by != "flow" else "id")
    return "" if value is None else str(value)


def _mean_over(series: Sequence[Floats]) -> Floats | None:
    """The mean over stations of each day; None without stations."""
    if not series:
        return None
    stacked = np.stack(series)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(stacked.shape[1], np.nan), where=count > 0))
