# SPDX-License-Identifier: Apache-2.0
"""Why a number is what it is: the arithmetic of one row, down to batches, factors and documents.

Comes in: a result and one of its rows. Goes out: an `Explanation` that lists every flow behind the row with its amount, the
terms of its coefficient, the document of each term, what else was on offer, and the batches that its values came in.
The parts of an explanation add up to the row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mangrove import messages, rules
from mangrove.errors import Problem, RuleError
from mangrove.figures.numbers import number
from mangrove.ledger import BatchInfo, Snapshot
from mangrove.ledger.types import HAPPENED
from mangrove.measure import amounts, methods
from mangrove.measure.engine import View, on_ledger
from mangrove.measure.grouping import Grouping
from mangrove.measure.plan import Line, Plan
from mangrove.measure.timeline import EPOCH, bucket_of
from mangrove.measure.types import Term
from mangrove.rules import Factor
from mangrove.times import HOUR, Span

if TYPE_CHECKING:
    from mangrove.measure.result import Emissions


@dataclass(frozen=True, slots=True)
class Release:
    """What one year of deposits still releases: amount x kg per unit in a year, for the part of that year in the row.

    Attributes:
        deposited, year: calendar years of the deposit and of the release.
        amount: deposited, in the flow's unit; kg_per_unit: of gas released in the whole `year`.
        part: the part of that year that the row holds; kg: amount x kg_per_unit x part.
    """

    deposited: int
    year: int
    amount: float
    kg_per_unit: float
    part: float
    kg: float


@dataclass(frozen=True, slots=True)
class Part:
    """One product: amount x terms x share, of one flow and one gas.

    Attributes:
        flow, name, place, method, equation: what it is and how it is computed ("name@version").
        amount, unit: of the flow in the bucket; share: the part that stands for the row's place.
        kg: of the gas; weight: kg CO2e per kg in the GWP set, None when it has no value; co2e_kg: their product, or 0.
        terms: the factors of the coefficient; alternatives: other rows that the rules hold for the same thing.
        releases: for a method with memory, the deposits behind `amount`, which is then in kg and already holds the terms.
    """

    flow: str
    name: str
    place: str
    gas: str
    method: str
    equation: str
    amount: float
    unit: str
    share: float
    kg: float
    weight: float | None
    co2e_kg: float
    terms: tuple[Term, ...]
    alternatives: tuple[Factor, ...]
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of one row, the batches behind them, and the ids that bind them.

    Attributes:
        row: the row explained; start, end: its time, on the territory's clock; parts: products that add up to it.
        batches: every batch that the values came in, with its source and hash.
        gwp, record, cut: name of the GWP set, id of the stored measurement, last batch that counts.
        run: whose values they are: `measured`, or a forecast, schedule or plan, whose basis is never a measurement.
    """

    row: dict[str, Any]
    start: datetime
    end: datetime
    parts: tuple[Part, ...]
    batches: tuple[BatchInfo, ...]
    gwp: str | None
    record: str
    cut: int
    gaps: tuple[Problem, ...] = ()
    run: str = "measured"

    @property
    def kg(self) -> float:
        """Sum of the parts in kg of gas (meaningful when the row is of one gas)."""
        return sum(part.kg for part in self.parts)

    @property
    def co2e_kg(self) -> float:
        """Sum of the parts in kg CO2e."""
        return sum(part.co2e_kg for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "row": {key: _plain(value) for key, value in self.row.items()},
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "gwp": self.gwp,
            "record": self.record,
            "cut": self.cut,
            "parts": [_plain(asdict(part)) for part in self.parts],
            "batches": [_plain(asdict(batch)) for batch in self.batches],
            "gaps": [problem.code for problem in self.gaps],
            "run": self.run,
        }

    def text(self, lang: str = "en") -> str:
        """The explanation as text for people."""
        return "\n".join(_Writer(self, lang).lines())

    def __str__(self) -> str:
        return self.text()


def explain_row(result: Emissions, row: Mapping[str, Any]) -> Explanation:
    """The explanation of `row`, a row of `result.to_arrow()`; see `Emissions.explain`."""
    plan, question = result.plan, result.plan.question
    span = bucket_of(plan, row["start"]) if question.every else question.span
    grouping = Grouping(plan, question)
    shares, lines = grouping.flows_of(row), grouping.lines_of(row)
    flows = list(shares)
    view = View(
        [(flow, number, shares[flow]) for number, flow in enumerate(flows)],
        [line.index if line.index in lines else None for line in plan.lines],
    )
    with on_ledger(plan, result.folder, result.cut, window=span) as (engine, snapshot):
        sums = engine.emissions(view, with_uncertainty=False).to_pylist()
        parts = []
        for found in sums:
            line = plan.lines[found["label"]]
            releases = _releases(plan, snapshot, line, span) if line.response else ()
            parts.append(_part(result, line, shares[line.flow], found, releases))
        batches = _batches(plan, snapshot, {part.flow for part in parts}, span)
    order = plan.sources()
    parts.sort(key=lambda part: (order[part.flow], part.gas))
    gaps = tuple(
        problem
        for problem in result.problems
        if not shares.keys().isdisjoint(str(problem.data.get("flow", "")).split(", "))
    )
    start, end = (moment.astimezone(plan.territory.tz) for moment in (span.start, span.end))
    return Explanation(
        dict(row),
        start,
        end,
        tuple(parts),
        batches,
        question.gwp,
        result.record,
        result.cut,
        gaps,
        question.run,
    )


def _part(
    result: Emissions, line: Line, share: float, sums: Mapping[str, Any], releases: Sequence[Release]
) -> Part:
    plan = result.plan
    flow = plan.flows[line.flow]
    method = methods.method_for(flow)
    return Part(
        flow=flow.id,
        name=flow.name,
        place=flow.place,
        gas=line.gas,
        method=f"{method.name}@{method.version}" if method else "",
        equation=method.equation if method else "",
        amount=sums["amount"] / share if share else 0.0,
        unit="kg" if line.response else plan.amount_unit(flow.id),
        share=share,
        kg=sums["kg"],
        weight=line.weight,
        co2e_kg=sums["co2e"] or 0.0,
        terms=line.terms,
        alternatives=alternatives(result, line),
        releases=tuple(releases),
    )


def _releases(plan: Plan, snapshot: Snapshot, line: Line, span: Span) -> tuple[Release, ...]:
    """The deposits behind the releases of a response in `span`, oldest first."""
    kernel = line.response.kernel if line.response else ()
    years = amounts.calendar_years(span.start, span.end, plan.territory.tz)
    history = amounts.deposits(plan, snapshot, {line.flow}, years[-1][2])[line.flow]
    found = []
    for year, start, stop in years:
        part = (min(stop, span.end) - max(start, span.start)) / (stop - start)
        for then, amount in sorted(history.items()):
            if 0 <= year - then < len(kernel):
                per_unit = kernel[year - then]
                found.append(Release(then, year, amount, per_unit, part, amount * per_unit * part))
    return tuple(found)


def _batches(plan: Plan, snapshot: Snapshot, flows: Collection[str], span: Span) -> tuple[BatchInfo, ...]:
    """The batches of all values behind a row: those in it, longer ones that reach into it, and all deposits before."""
    windows: dict[datetime, set[str]] = {}
    responses = {line.flow for line in plan.lines if line.response}
    for name in flows:
        first = EPOCH if name in responses else _first_value(plan, snapshot, name, span)
        windows.setdefault(first, set()).update(flow.id for flow in plan.measured_by(name))
    found: dict[int, BatchInfo] = {}
    for first, names in windows.items():
        for batch in snapshot.lineage(sorted(map(plan.series, names)), first, span.end):
            known = found.get(batch.batch)
            found[batch.batch] = replace(batch, used=batch.used + known.used) if known else batch
    return tuple(found[number] for number in sorted(found))


def _first_value(plan: Plan, snapshot: Snapshot, flow: str, span: Span) -> datetime:
    """The start of the earliest value of a flow that reaches into `span`."""
    step = plan.flows[flow].step
    every = plan.question.every
    if step is None or (step.hours * HOUR <= HOUR and not (every and 0 < every.seconds < step.seconds)):
        return span.start
    reach = span.start - 2 * step.hours * HOUR
    earlier = snapshot.values([plan.series(flow)], reach, span.start).column("start").to_pylist()
    tz = plan.territory.tz
    return min((start for start in earlier if step.after(start, tz) > span.start), default=span.start)


def alternatives(result: Emissions, line: Line) -> tuple[Factor, ...]:
    """Other rows for the same activity and gas that hold on the same day."""
    day = line.valid_from.astimezone(result.plan.territory.tz).date()
    found: list[Factor] = []
    for term in line.terms:
        if term.factor is None or term.factor.kind != "direct":
            continue
        try:
            selection = rules.load().select(
                term.factor.activity,
                term.factor.gas,
                day,
                local=result.plan.territory.factors,
                allow=result.plan.question.allow,
            )
        except RuleError:
            continue
        found.extend(
            factor for factor in (selection.chosen, *selection.alternatives) if factor.id != term.factor.id
        )
    return tuple(found)


class _Writer:
    """Lays an explanation out as text."""

    def __init__(self, explanation: Explanation, lang: str) -> None:
        self.explanation = explanation
        self.lang = lang

    def say(self, code: str, **data: Any) -> str:
        return messages.render(f"explain.{code}", self.lang, **data)

    def number(self, value: float, digits: int = 6) -> str:
        return number(value, self.lang, digits=digits)

    def amount(self, value: float, unit: str) -> str:
        """A number with its unit; the unit 1 is not written."""
        return self.number(value) if unit == "1" else f"{self.number(value)} {unit}"

    def status(self, status: str) -> str:
        return messages.render(f"base.status_{status}", self.lang)

    def lines(self) -> list[str]:
        e = self.explanation
        keys = ", ".join(f"{k}={_short(v)}" for k, v in e.row.items() if isinstance(v, str | datetime))
        lines = [self.say("row", keys=keys or "-", start=_short(e.start), end=_short(e.end))]
        if e.run not in HAPPENED:
            lines.append(self.say("run", run=self.run(e.run)))
        for part in e.parts:
            lines.extend(self._part(part))
        if e.gwp:
            lines.append(self.say("sum", value=self.number(e.co2e_kg), gwp=e.gwp, parts=len(e.parts)))
        lines.extend(self._batch(batch) for batch in e.batches[:_SHOWN])
        if len(e.batches) > _SHOWN:
            lines.append(self.say("more_batches", count=len(e.batches) - _SHOWN))
        lines.append(self.say("bound", record=e.record or "-", cut=e.cut))
        return lines

    def run(self, run: str) -> str:
        """A run in words, with the name that it carries."""
        kind, _, name = run.partition("/")
        return self.say(f"run_{kind}") + (f" {name}" if name else "")

    def _batch(self, batch: BatchInfo) -> str:
        return self.say(
            "batch",
            id=batch.batch,
            source=batch.source,
            run=self.run(batch.run),
            used=batch.used,
            recorded_at=batch.recorded_at.isoformat(timespec="seconds"),
            hash=batch.hash[:12],
        )

    def _part(self, part: Part) -> list[str]:
        product = " ".join(
            f"{'×' if term.power > 0 else '÷'} {self.amount(term.value, term.unit)} [{term.symbol}]"
            for term in part.terms
        )
        share = f" × {self.number(part.share)} [{self.say('share')}]" if part.share != 1.0 else ""
        lines = [
            self.say("flow", flow=part.flow, name=part.name or part.flow, place=part.place),
            self.say("method", method=part.method, equation=part.equation),
        ]
        if part.releases:
            lines.extend(self._release(release) for release in part.releases[-_SHOWN:])
            product = ""
        amount = self.amount(part.amount, part.unit)
        lines.append(f"    {amount} {product}{share} = {self.number(part.kg)} kg {part.gas}")
        if part.weight is None:
            lines.append(self.say("no_weight", gas=part.gas, gwp=self.explanation.gwp or "-"))
        elif self.explanation.gwp:
            lines.append(
                f"    × {self.number(part.weight)} kg CO2e/kg [{self.explanation.gwp}] = {self.number(part.co2e_kg)} kg CO2e"
            )
        lines.extend(self._term(term) for term in part.terms if term.origin != "unit")
        lines.extend(
            self.say(
                "alternative",
                value=self.amount(other.value, other.unit),
                source=other.source,
                status=self.status(other.status),
                id=other.id,
            )
            for other in part.alternatives
        )
        return lines

    def _release(self, release: Release) -> str:
        return self.say(
            "release",
            deposited=release.deposited,
            year=release.year,
            amount=self.number(release.amount),
            per_unit=self.number(release.kg_per_unit),
            part=self.number(release.part, 4),
            kg=self.number(release.kg),
        )

    def _term(self, term: Term) -> str:
        if term.factor is None:
            return self.say(
                f"origin_{term.origin}",
                symbol=term.symbol,
                value=self.amount(term.value, term.unit),
                note=f" ({term.note})" if term.note else "",
            )
        factor = term.factor
        interval = f" ± {self.number(100 * term.uncertainty)} %" if term.uncertainty else ""
        return self.say(
            "rule",
            symbol=term.symbol,
            printed=f"{factor.printed_value or factor.value} {factor.printed_unit or factor.unit}",
            interval=interval,
            source=factor.source,
            status=self.status(factor.status),
            id=factor.id,
        )


_SHOWN = 8


def _short(value: object) -> str:
    return value.strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> Any:
    """Plain JSON data: dates as text, dataclasses as dictionaries already."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
