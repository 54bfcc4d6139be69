# SPDX-License-Identifier: Apache-2.0
"""Why a number is what it is: the arithmetic of one row, down to batches, factors and documents.

Comes in: a result and one of its rows. Goes out: an `Explanation` that lists every flow behind the row with its amount, the
terms of its coefficient, the document of each term, what else was on offer, and the batches that its values came in.
The parts of an explanation add up to the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mangrove import messages, rules
from mangrove.errors import RuleError
from mangrove.ledger import BatchInfo, Ledger
from mangrove.measure import methods
from mangrove.measure.engine import Engine, View
from mangrove.measure.plan import Line, is_rate
from mangrove.measure.types import Term
from mangrove.rules import Factor
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.measure.result import Emissions


@dataclass(frozen=True, slots=True)
class Part:
    """One product: amount x terms x share, of one flow and one gas.

    Attributes:
        flow, name, place, method, equation: what it is and how it is computed ("name@version").
        amount, unit: of the flow in the bucket; share: the part that stands for the row's place.
        kg: of the gas; weight: kg CO2e per kg in the GWP set; co2e_kg: their product.
        terms: the factors of the coefficient; alternatives: other rows that the rules hold for the same thing.
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
    weight: float
    co2e_kg: float
    terms: tuple[Term, ...]
    alternatives: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of one row, the batches behind them, and the ids that bind them.

    Attributes:
        row: the row explained; start, end: its time in UTC; parts: products that add up to it.
        batches: every batch that the values came in, with its source and hash.
        gwp, record, cut: name of the GWP set, id of the stored measurement, last batch that counts.
    """

    row: dict[str, Any]
    start: datetime
    end: datetime
    parts: tuple[Part, ...]
    batches: tuple[BatchInfo, ...]
    gwp: str | None
    record: str
    cut: int
    gaps: tuple[str, ...] = ()

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
            "gaps": list(self.gaps),
        }

    def text(self, lang: str = "en") -> str:
        """The explanation as text for people."""
        return "\n".join(_Writer(self, lang).lines())

    def __str__(self) -> str:
        return self.text()


def explain_row(result: Emissions, row: Mapping[str, Any]) -> Explanation:
    """The explanation of `row`, a row of `result.to_arrow()`; see `Emissions.explain`."""
    from mangrove.measure.result import _Tabulator

    plan, question = result.plan, result.plan.question
    span = _bucket_span(result, row)
    small = replace(plan, question=replace(question, span=span, every=None))
    with Ledger.open(result.folder, read_only=True) as ledger, ledger.snapshot(cut=result.cut) as snapshot:
        tabulator = _Tabulator(Engine(plan, snapshot), question, None)
        members = _members_of(tabulator, row)
        wanted = {
            line.index
            for line in plan.lines
            if _line_matches(line, row) and line.account in question.accounts
        }
        labels = [line.index if line.index in wanted else -1 for line in plan.lines]
        flows = list(members)
        view = View([(flow, number, members[flow]) for number, flow in enumerate(flows)], labels)
        sums = Engine(small, snapshot).emissions(view).to_pylist()
        parts = [
            _part(result, plan.lines[r["label"]], flows[r["grp"]], members, r)
            for r in sums
            if r["label"] >= 0
        ]
        batches = tuple(snapshot.lineage([part.flow for part in parts], span.start, span.end))
    order = {flow: number for number, flow in enumerate(plan.flows)}
    parts.sort(key=lambda part: (order[part.flow], part.gas))
    gaps = tuple(problem.code for problem in result.problems if problem.data.get("flow") in members)
    return Explanation(
        dict(row), span.start, span.end, tuple(parts), batches, question.gwp, result.record, result.cut, gaps
    )


def _bucket_span(result: Emissions, row: Mapping[str, Any]) -> Span:
    question = result.plan.question
    if question.every is None:
        return question.span
    start = row["start"]
    floor = question.every.floor(start, result.plan.territory.tz)
    return Span(start, min(question.every.after(floor, result.plan.territory.tz), question.span.end))


def _members_of(tabulator: Any, row: Mapping[str, Any]) -> dict[str, float]:
    """The flows of the row's group with the share of each."""
    key = tuple(row[column] for column in tabulator.flow_columns)
    group = tabulator.groups[key]
    members: dict[str, float] = {}
    for flow, number, share in tabulator.view.members:
        if number == group:
            members[flow] = members.get(flow, 0.0) + share
    return members


def _line_matches(line: Line, row: Mapping[str, Any]) -> bool:
    return all(row[column] == getattr(line, column) for column in ("gas", "account") if column in row)


def _part(
    result: Emissions, line: Line, flow_id: str, members: Mapping[str, float], sums: Mapping[str, Any]
) -> Part:
    flow, share = result.plan.flows[flow_id], members[flow_id]
    method = methods.method_for(flow)
    unit = f"{flow.unit.text}·h" if is_rate(flow) else flow.unit.text
    return Part(
        flow=flow.id,
        name=flow.name,
        place=flow.place,
        gas=line.gas,
        method=f"{method.name}@{method.version}" if method else "",
        equation=method.equation if method else "",
        amount=sums["kg"] / line.kg / share if line.kg and share else 0.0,
        unit="kg" if line.response else unit,
        share=share,
        kg=sums["kg"],
        weight=line.weight,
        co2e_kg=sums["co2e"],
        terms=line.terms,
        alternatives=alternatives(result, line),
    )


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

    def lines(self) -> list[str]:
        e = self.explanation
        keys = ", ".join(f"{k}={_short(v)}" for k, v in e.row.items() if isinstance(v, str | datetime))
        lines = [self.say("row", keys=keys or "-", start=e.start.isoformat(), end=e.end.isoformat())]
        for part in e.parts:
            lines.extend(self._part(part))
        if e.gwp:
            lines.append(self.say("sum", value=f"{e.co2e_kg:,.6g}", gwp=e.gwp, parts=len(e.parts)))
        lines.extend(self._batch(batch) for batch in e.batches[:_SHOWN])
        if len(e.batches) > _SHOWN:
            lines.append(self.say("more_batches", count=len(e.batches) - _SHOWN))
        lines.append(self.say("bound", record=e.record or "-", cut=e.cut))
        return lines

    def _batch(self, batch: BatchInfo) -> str:
        return self.say(
            "batch",
            id=batch.batch,
            source=batch.source,
            run=batch.run,
            used=batch.used,
            recorded_at=batch.recorded_at.isoformat(timespec="seconds"),
            hash=batch.hash[:12],
        )

    def _part(self, part: Part) -> list[str]:
        product = " ".join(
            f"{'×' if term.power > 0 else '÷'} {term.value:.6g} {term.unit} [{term.symbol}]"
            for term in part.terms
        )
        share = f" × {part.share:.6g} [{self.say('share')}]" if part.share != 1.0 else ""
        lines = [
            self.say("flow", flow=part.flow, name=part.name or part.flow, place=part.place),
            self.say("method", method=part.method, equation=part.equation),
            f"    {part.amount:,.6g} {part.unit} {product}{share} = {part.kg:,.6g} kg {part.gas}",
        ]
        if self.explanation.gwp:
            lines.append(
                f"    × {part.weight:g} kg CO2e/kg [{self.explanation.gwp}] = {part.co2e_kg:,.6g} kg CO2e"
            )
        lines.extend(self._term(term) for term in part.terms if term.origin != "unit")
        lines.extend(
            self.say(
                "alternative",
                value=f"{other.value:g}",
                unit=other.unit,
                source=other.source,
                status=other.status,
                id=other.id,
            )
            for other in part.alternatives
        )
        return lines

    def _term(self, term: Term) -> str:
        if term.factor is None:
            return self.say(
                f"origin_{term.origin}",
                symbol=term.symbol,
                value=f"{term.value:g}",
                unit=term.unit,
                note=term.note,
            )
        factor = term.factor
        interval = f" ± {100 * term.uncertainty:g} %" if term.uncertainty else ""
        return self.say(
            "rule",
            symbol=term.symbol,
            printed=f"{factor.printed_value or factor.value} {factor.printed_unit or factor.unit}",
            interval=interval,
            source=factor.source,
            status=factor.status,
            id=factor.id,
        )


_SHOWN = 8


def _short(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


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
