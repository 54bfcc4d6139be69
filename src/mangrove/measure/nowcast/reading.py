# SPDX-License-Identifier: Apache-2.0
"""Which flows are nowcast, and everything that is read of them, once.

Comes in: a ledger, a territory, rules, a window. Goes out: a `Reading`: the plan of the measurement (methods, factors), the flows of the
inventory with totals, those with meters, the series of all indices, the inversions of sensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mangrove.ledger import Ledger
from mangrove.measure import plan as plans
from mangrove.measure import question as questions
from mangrove.measure.nowcast import inputs
from mangrove.measure.nowcast.inputs import LOOK_BACK, Daily, Sensed, Total
from mangrove.measure.plan import NOWCAST, Plan
from mangrove.rules import Rules
from mangrove.territory.model import Flow, Territory
from mangrove.times import Span

_SERIES_YEARS = 6
"""Years of a live series that are read before the window."""
_DAY = 24
LEAST_DAYS = 7
"""Whole days that a series needs: with fewer its usual week, by which gaps are bridged, is not known."""


@dataclass(frozen=True)
class Reading:
    """Everything that was read for one nowcast.

    Attributes:
        plan: methods, coefficients and errors of the window; targets: flows with totals; meters: flows that are read daily or finer.
        totals: by target, oldest first; read: by target, the weeks that meters beside the inventory read; series: of indices and meters, by flow; inversions: of sensors.
        cut: the last batch of the ledger that was seen.
    """

    territory: Territory
    span: Span
    plan: Plan
    targets: tuple[Flow, ...]
    meters: tuple[Flow, ...]
    totals: Mapping[str, list[Total]]
    read: Mapping[str, list[Total]]
    series: Mapping[str, Daily]
    inversions: Sequence[Sensed]
    cut: int


def read(ledger: Ledger, territory: Territory, rules: Rules, span: Span, as_of: datetime | None) -> Reading:
    """Reads the ledger as of a moment of knowledge."""
    question = questions.resolve(territory, span.start, span.end, run=NOWCAST)
    plan = plans.build(territory, rules, question)
    flows = _linear(plan, territory)
    tz, first = territory.tz, inputs.day_number(span.start, territory.tz)
    live = [territory.flows[name] for name in dict.fromkeys(one.index for one in territory.drivers)]
    with ledger.snapshot(as_of=as_of) as snapshot:
        targets = [flow for flow in flows if inputs.is_inventory(flow)]
        meters = [flow for flow in flows if flow.step is not None and flow.step.hours <= _DAY]
        series = inputs.daily(snapshot, live, first - _SERIES_YEARS * 366, span.end, tz)
        fresh = [flow for flow in meters if flow.id not in series]
        series |= inputs.daily(snapshot, fresh, first - LOOK_BACK, span.end, tz)
        totals: dict[str, list[Total]] = {}
        for total in inputs.totals(snapshot, targets, span.end, tz):
            totals.setdefault(total.flow, []).append(total)
        targets = [flow for flow in targets if flow.id in totals]
        beside = _beside(territory, targets)
        series |= inputs.daily(
            snapshot,
            {m.id: m for those in beside.values() for m in those}.values(),
            first - LOOK_BACK,
            span.end,
            tz,
        )
        return Reading(
            territory,
            span,
            plan,
            tuple(targets),
            tuple(flow for flow in meters if flow.id in series and series[flow.id].whole >= LEAST_DAYS),
            totals,
            _weeks(beside, totals, series, territory, span.end),
            series,
            inputs.sensed(ledger, span.end, as_of, tz),
            snapshot.cut,
        )


def _linear(plan: Plan, territory: Territory) -> list[Flow]:
    """The flows whose emissions are their amount times a coefficient of the same hour."""
    found = {line.flow for line in plan.lines if line.response is None and line.weight}
    return [territory.flows[name] for name in plan.flows if name in found and name not in plan.products]


def _beside(territory: Territory, targets: Sequence[Flow]) -> dict[str, list[Flow]]:
    """The meters of each target that stand beside the inventory; one that drives the target already is not counted twice."""
    driving = {(one.target, one.index) for one in territory.drivers}
    return {
        target.id: [
            meter
            for meter in territory.flows.values()
            if inputs.measures(meter, target)
            and not driving & {(name, meter.id) for name in (target.id, target.gpc, target.sector)}
        ]
        for target in targets
    }


def _weeks(
    beside: Mapping[str, list[Flow]],
    totals: Mapping[str, list[Total]],
    series: Mapping[str, Daily],
    territory: Territory,
    at: datetime,
) -> dict[str, list[Total]]:
    """What these meters read, of the sign of the inventory."""
    found = {}
    for name, meters in beside.items():
        weeks = [
            week
            for meter in meters
            if meter.id in series
            for week in inputs.read_totals(territory.flows[name], meter, series[meter.id], at, territory.tz)
        ]
        found[name] = [week for week in weeks if week.value * totals[name][-1].value > 0]
    return found
