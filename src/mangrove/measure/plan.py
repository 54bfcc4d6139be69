# SPDX-License-Identifier: Apache-2.0
"""From a question to the numbers that it needs: which flows, which coefficients, which errors they share.

Comes in: a territory, the rules and a `Question`. Goes out: a `Plan` of plain rows that holds everything but the values:
coefficients with their terms, GWP weights, shared errors, and the gaps that no value can close. A plan is what a
measurement stores, so that it can be computed again when laws and declarations have long changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mangrove.errors import RuleError
from mangrove.ledger.types import HAPPENED, series
from mangrove.measure import methods
from mangrove.measure.question import BOTH_VIEWS, Question
from mangrove.measure.types import Coefficient, Gap, MethodResult, Response, Term
from mangrove.measure.uncertainty import Z95
from mangrove.rules import GwpSet, Rules
from mangrove.territory.model import Flow, Territory
from mangrove.times import Step

POLLUTANTS = frozenset({
    "CO", "NO", "NO2", "NOx", "SO2", "SOx", "PM", "PM10", "PM2.5", "BC", "HC", "NMVOC", "VOC", "NH3", "O3", "H2S", "VHg",
})  # fmt: skip
"""Air pollutants: measured by the same formula, never part of CO2 equivalents."""

NOWCAST = "estimate/nowcast"
"""The run of a nowcast: hourly values of the flows of an inventory."""
TRAFFIC = "estimate/traffic"
"""The run of observed traffic: hourly values of the flows that take what vehicles do at their place."""


@dataclass(frozen=True, slots=True)
class Line:
    """One coefficient of the plan.

    Attributes:
        index: position in `Plan.lines`; flow, gas, account: what it belongs to.
        kg: kilograms of the gas per unit of the flow's amount; weight: kg CO2e per kg of the gas; 0 for an air pollutant,
            None when the set has no value, so that its CO2e is unknown.
        valid_from, valid_to: UTC, half-open, inside the span of the question.
        terms: the product that makes `kg`; response: the release over the years after a deposit, for methods with memory.
        view: empty, or the view of purchased electricity that the line belongs to.
    """

    index: int
    flow: str
    gas: str
    account: str
    kg: float
    weight: float | None
    valid_from: datetime
    valid_to: datetime
    terms: tuple[Term, ...]
    response: Response | None = None
    note: str = ""
    view: str = ""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a model says of the error of the values that it stored for a flow: one shared error.

    Attributes:
        flow: whose values; name: flows with errors of one name move together; sd: relative standard deviation.
        shift: how far the mean of what the model holds possible lies above its value, relative: values may stand at the edge of what
            sources say.
    """

    flow: str
    name: str
    sd: float
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a measurement needs besides the values.

    Attributes:
        question: what is asked; territory: what is declared; gwp: the set used, or None.
        flows: the flows that take part, by id; lines: their coefficients; products: flow -> the flow it is multiplied with.
        methods: name@version of every method used; gaps: what could not be computed, and why.
        doubts: errors of values that a model stored.
    """

    question: Question
    territory: Territory
    gwp: GwpSet | None
    flows: dict[str, Flow]
    lines: tuple[Line, ...]
    products: dict[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    def errors(self) -> list[tuple[int, str, float]]:
        """`(line, shared error, relative standard deviation)`; errors that one line meets twice are added up, signed."""
        rows: list[tuple[int, str, float]] = []
        doubts: dict[str, list[Doubt]] = {}
        for one in self.doubts:
            doubts.setdefault(one.flow, []).append(one)
        for line in self.lines:
            own: dict[str, float] = {}
            for term in line.terms:
                if term.uncertainty:
                    name = term.shared or f"own:{line.flow}:{term.symbol}"
                    own[name] = own.get(name, 0.0) + term.power * term.uncertainty / Z95
            for flow in self.measured_by(line.flow):
                if flow.uncertainty:
                    name = f"meter:{flow.meter or flow.id}"
                    own[name] = own.get(name, 0.0) + flow.uncertainty / Z95
            for one in doubts.get(line.flow, ()):
                own[one.name] = own.get(one.name, 0.0) + one.sd
            rows.extend((line.index, name, sd) for name, sd in own.items())
        return rows

    def shifts(self) -> dict[str, float]:
        """How far the middle of what is possible lies above the value, relative, by flow; most have none."""
        found: dict[str, float] = {}
        for one in self.doubts:
            found[one.flow] = found.get(one.flow, 0.0) + one.shift
        return found

    def measured_by(self, flow: str) -> tuple[Flow, ...]:
        """The declared flows whose values make the amount of `flow`: itself, and what it is multiplied with."""
        other = self.products.get(flow)
        return (self.flows[flow], *([self.territory.flows[other]] if other else []))

    def series(self, flow: str) -> str:
        """The key of the ledger under which the values of `flow` stand in the run that is asked about."""
        return series(flow, self.question.run)

    def amount_unit(self, flow: str) -> str:
        """The unit of the amounts of `flow`, as text: `kWh`, `kW·h`, `mg/Nm3·Nm3/h·h`."""
        units = [part.unit.text for part in self.measured_by(flow)]
        return "·".join([*units, "h"] if is_rate(self.flows[flow]) else units)

    def sources(self) -> dict[str, int]:
        """The number of every flow: its position."""
        return {name: number for number, name in enumerate(self.flows)}

    def source_of(self, line: Line) -> int:
        """The number under which the releases of a response stand: behind those of all flows."""
        return len(self.flows) + line.index

    def edges(self) -> list[datetime]:
        """The instants inside the span at which a coefficient starts or stops."""
        span = self.question.span
        instants = {moment for line in self.lines for moment in (line.valid_from, line.valid_to)}
        return sorted(moment for moment in instants if span.start < moment < span.end)


def build(territory: Territory, rules: Rules, question: Question) -> Plan:
    """Applies the method of every declared flow and keeps what the question asks for.

    Raises:
        RuleError: the GWP set does not exist.
    """
    gwp = rules.gwp(question.gwp) if question.gwp else None
    first = question.span.start.astimezone(territory.tz).date()
    after = question.span.last_day(territory.tz) + timedelta(days=1)
    builder = _Builder(question, gwp)
    known: dict[tuple[Any, ...] | None, MethodResult] = {}
    for flow in territory.flows.values():
        if question.place and not territory.lies_in(flow.place, question.place):
            if flow.spread and territory.lies_in(question.place, flow.place):
                builder.gaps.append(Gap("measure.spread_around", flow.id, {"place": question.place}))
            continue
        method = methods.method_for(flow)
        if method is None:
            builder.silent(flow)
            continue
        shape = _shape(flow)
        if shape is None or shape not in known:
            known[shape] = methods.apply(flow, territory, rules, first, after, allow=question.allow)
        if builder.take(flow, _of_flow(known[shape], flow)):
            builder.methods.add(f"{method.name}@{method.version}")
    return Plan(
        question=question,
        territory=territory,
        gwp=gwp,
        flows={name: in_run(territory.flows[name], question.run) for name in builder.flows},
        lines=tuple(builder.lines),
        products=builder.products,
        methods=tuple(sorted(builder.methods)),
        gaps=tuple(builder.gaps),
    )


def _shape(flow: Flow) -> tuple[Any, ...] | None:
    """All that a method reads of a flow without parameters: flows of one shape share one result. None with parameters."""
    if flow.parameters:
        return None
    return (
        flow.method,
        flow.carrier,
        flow.unit,
        flow.step,
        flow.semantics,
        flow.scope,
        flow.factor,
        flow.account,
    )


def _of_flow(result: MethodResult, flow: Flow) -> MethodResult:
    """A shared result with the gaps of this flow."""
    if not result.gaps:
        return result
    return replace(result, gaps=tuple(replace(gap, flow=flow.id) for gap in result.gaps))


class _Builder:
    """Collects the lines of one plan."""

    def __init__(self, question: Question, gwp: GwpSet | None) -> None:
        self.question = question
        self.gwp = gwp
        self.flows: dict[str, None] = {}
        self.lines: list[Line] = []
        self.products: dict[str, str] = {}
        self.methods: set[str] = set()
        self.gaps: list[Gap] = []

    def take(self, flow: Flow, result: MethodResult) -> bool:
        """Adds what `result` says of `flow`; whether the flow takes part in the measurement at all."""
        kept = [c for c in result.coefficients if self._wanted(flow, c.account, c.view)]
        responses = [r for r in result.responses if self._wanted(flow, r.account, "")]
        gaps = result.gaps if self._wanted(flow, "", "") else ()
        if kept and flow.step is None and (is_rate(flow) or result.product_with):
            # Without the time that a value stands for, a rate has no amount.
            kept, gaps = [], (*gaps, Gap("measure.needs_step", flow.id, {"semantics": flow.semantics}))
        self.gaps.extend(gaps)
        for coefficient in kept:
            self._add(flow, coefficient)
        for response in responses:
            self._add_response(flow, response)
        if responses and self.question.run not in HAPPENED:
            self.gaps.append(Gap("measure.past_deposits", flow.id, {"run": self.question.run}))
        if kept or responses or gaps:
            self.flows[flow.id] = None
        if result.product_with and kept:
            self.products[flow.id] = result.product_with
        return bool(kept or responses)

    def silent(self, flow: Flow) -> None:
        """Notes a flow that says its scope but that no method measures: somebody expects a number."""
        if flow.scope is not None and flow.account in self.question.accounts and flow.semantics != "state":
            self.gaps.append(Gap("measure.no_method", flow.id, {"carrier": str(flow.carrier)}))

    def _wanted(self, flow: Flow, account: str, view: str) -> bool:
        return (account or flow.account) in self.question.accounts and (
            self.question.view == BOTH_VIEWS or view in ("", self.question.view)
        )

    def _add(self, flow: Flow, coefficient: Coefficient) -> None:
        span = self.question.span
        start = max(coefficient.valid_from or span.start, span.start)
        end = min(coefficient.valid_to or span.end, span.end)
        if start >= end:
            return
        self._line(flow, coefficient, coefficient.value, (start, end), note=coefficient.note)

    def _add_response(self, flow: Flow, response: Response) -> None:
        span = self.question.span
        self._line(flow, response, 1.0, (span.start, span.end))

    def _line(
        self,
        flow: Flow,
        made: Coefficient | Response,
        kg: float,
        valid: tuple[datetime, datetime],
        *,
        note: str = "",
    ) -> None:
        line = Line(
            index=len(self.lines),
            flow=flow.id,
            gas=made.gas,
            account=made.account or flow.account,
            kg=kg,
            weight=self._weight(flow, made.gas, note),
            valid_from=valid[0].astimezone(UTC),
            valid_to=valid[1].astimezone(UTC),
            terms=made.terms,
            response=made if isinstance(made, Response) else None,
            note=note,
            view=made.view if isinstance(made, Coefficient) else "",
        )
        self.lines.append(line)

    def _weight(self, flow: Flow, gas: str, reported_in: str) -> float | None:
        """CO2 equivalents of one kilogram; a gas without a value in the set is a gap, and its weight is unknown."""
        if self.gwp is None or gas in POLLUTANTS:
            return 0.0
        if gas == "CO2e":
            if reported_in == self.gwp.name:
                return 1.0
            self.gaps.append(
                Gap(
                    "measure.reported_in_another_set",
                    flow.id,
                    {"reported": reported_in, "gwp": self.gwp.name},
                )
            )
            return None
        try:
            return self.gwp.value(gas).value
        except RuleError:
            self.gaps.append(Gap("measure.no_gwp", flow.id, {"gas": gas, "gwp": self.gwp.name}))
            return None


def in_run(flow: Flow, run: str) -> Flow:
    """The flow as the values of `run` have it: a nowcast and traffic are hourly, whatever the step of the inventory that they follow.

    Example:
        >>> from mangrove.territory.model import Carrier
        >>> from mangrove.units import unit
        >>> flow = Flow("homes", "city", Carrier("electricity"), unit("MWh"), Step(months=12))
        >>> str(in_run(flow, NOWCAST).step), str(in_run(flow, "measured").step)
        ('1h', '1y')
    """
    return replace(flow, step=Step(seconds=3600)) if run in (NOWCAST, TRAFFIC) else flow


def hours_per_value(flow: Flow) -> float | None:
    """Length of one value's interval in hours; None when it varies."""
    return flow.step.hours if flow.step else None


def is_rate(flow: Flow) -> bool:
    """Whether an amount is value x hours (a mean power, a standing stock) rather than the value itself."""
    return flow.semantics in ("mean", "state")
