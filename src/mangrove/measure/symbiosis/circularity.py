# SPDX-License-Identifier: Apache-2.0
"""How circular a territory is: shares of what comes in and goes out that is recovered, reused or renewable.

Comes in: the flows and verified exchanges of a territory. Goes out: indicators in the manner of ISO 59020:2024 and of the Circular
Transition Indicators of the WBCSD, each with numerator, denominator, coverage and provenance. The text of neither was at hand: the
definitions are recalled, and docs/how-to/verified-exchanges.md states them as they are computed. What is not declared is not known.

A flow says its part with the parameter `circularity`: `inflow` (material brought in), `outflow` (product or waste that leaves), `intake`
(water taken in), `none`; and `circular_share` or `renewable_share` how much of it is recovered or renewable. Without the parameter waste
that no exchange meters is an outflow, and electricity of scope 2, own generation and fuels are energy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from mangrove.errors import Problem, RequestError, RuleError, did_you_mean
from mangrove.ledger import Ledger
from mangrove.measure import question
from mangrove.measure.methods.base import Context, Given, MissingFactError
from mangrove.measure.methods.combustion import to_denominator
from mangrove.measure.symbiosis.meters import Meters, Window, read
from mangrove.measure.symbiosis.nodes import unit_of
from mangrove.measure.symbiosis.verify import Verified, lineage, verify
from mangrove.rules import Rules, load
from mangrove.territory.model import Exchange, Flow, Territory
from mangrove.territory.symbiosis import amount_unit
from mangrove.times import Span, Step
from mangrove.units import Quantity, unit

INFLOW, OUTFLOW, INTAKE, ENERGY = "inflow", "outflow", "intake", "energy"
_FRESH = frozenset({"fresh", "clean", "tap", "raw", "surface", "groundwater"})
"""Codes or levels of water that is taken in, without a parameter that says so."""
_MATERIALS = frozenset({"material", "waste"})
_WATER = frozenset({"water", "wastewater"})
_UNITS = {INFLOW: "t", OUTFLOW: "t", INTAKE: "m3", ENERGY: "kWh"}
_NEEDS = {
    INFLOW: "symbiosis.reason_no_virgin",
    OUTFLOW: "symbiosis.reason_no_linear",
    INTAKE: "symbiosis.reason_no_water",
    ENERGY: "symbiosis.reason_none",
}


@dataclass(frozen=True, slots=True)
class Indicator:
    """One share.

    Attributes:
        name: `circular_inflow`, `circular_outflow`, `material_circularity`, `water_circularity` or `renewable_energy`.
        value: numerator over denominator; None when it is not known, then `reason` says why.
        numerator, denominator: in `unit`; coverage: share of the periods of its flows and exchanges that have complete values.
        flows, exchanges, batches: what it rests on.
    """

    name: str
    value: float | None
    numerator: float | None
    denominator: float | None
    unit: str
    coverage: float | None
    reason: Problem | None = None
    flows: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Circularity:
    """The indicators of a territory or a place in a span.

    Attributes:
        territory, span, place: what was asked; indicators: in a fixed order; problems: flows that could not take part, and why.
    """

    territory: Territory
    span: Span
    place: str
    indicators: tuple[Indicator, ...]
    problems: tuple[Problem, ...] = ()

    def __getitem__(self, name: str) -> Indicator:
        return next(one for one in self.indicators if one.name == name)

    def to_dict(self, lang: str = "en") -> list[dict[str, Any]]:
        """Plain data for JSON."""
        return [
            {
                "name": one.name, "value": one.value, "numerator": one.numerator, "denominator": one.denominator, "unit": one.unit,
                "coverage": one.coverage, "reason": one.reason.text(lang) if one.reason else None, "flows": list(one.flows),
                "exchanges": list(one.exchanges), "batches": list(one.batches),
            }
            for one in self.indicators
        ]  # fmt: skip


def circularity(
    ledger: Ledger,
    territory: Territory,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    place: str = "",
    verified: Verified | None = None,
    rules: Rules | None = None,
) -> Circularity:
    """The indicators of a span.

    Args:
        ledger: of the territory.
        territory: what is declared.
        start: a whole period, or with `end` the first instant.
        end: first instant that no longer counts.
        place: only this place and what lies inside; the root of the declared boundary, or else everything, when empty.
        verified: the exchanges of the same span, when they are verified already.
        rules: calorific values and densities of fuels.

    Raises:
        RequestError: `measure.unknown_place`, or a span that makes no sense.
    """
    if place and place not in territory.places:
        raise RequestError("measure.unknown_place", place=place, hint=did_you_mean(place, territory.places))
    asked = question.resolve(
        territory, start, end, every=Step(months=1), accounts=("avoided",), gwp=territory.gwp or "AR5"
    )
    if verified is None and territory.exchanges:
        verified = verify(ledger, territory, asked.span.start, asked.span.end, gwp=asked.gwp, rules=rules)
    inside = place or _root(territory)
    book = rules or load()
    parts, problems = _parts(territory, inside, book, asked.span)
    with ledger.snapshot() as snapshot:
        names = [flow.id for flows in parts.values() for flow, *_ in flows]
        meters = read(territory, snapshot, names, span=asked.span, every=Step(months=1))
        found = lineage(snapshot, {name: [name] for name in names}, asked.span)
        batches = {name: tuple(one.batch for one in infos) for name, infos in found.items()}
    made = _Made(territory, inside, meters, verified, parts, batches)
    inflow, outflow = made.share("circular_inflow", INFLOW), made.share("circular_outflow", OUTFLOW)
    indicators = (
        inflow, outflow, _together(inflow, outflow), made.share("water_circularity", INTAKE),
        made.share("renewable_energy", ENERGY),
    )  # fmt: skip
    return Circularity(territory, asked.span, inside, indicators, tuple(problems))


@dataclass(frozen=True)
class _Part:
    """One flow of an indicator: amount x `scale` is in the indicator's unit, `share` of it counts as circular."""

    flow: Flow
    scale: float
    share: float

    def __iter__(self) -> Any:
        return iter((self.flow, self.scale, self.share))


@dataclass(frozen=True)
class _Made:
    """All that the indicators are made of."""

    territory: Territory
    inside: str
    meters: Meters
    verified: Verified | None
    parts: Mapping[str, Sequence[_Part]]
    batches: Mapping[str, tuple[int, ...]]

    def share(self, name: str, kind: str) -> Indicator:
        """One indicator: declared flows, and what exchanges bring in or take away."""
        counted, flows = _UNITS[kind], self.parts[kind]
        exchanges = (
            []
            if self.verified is None
            else [one for one in self._exchanges() if _takes_part(self, one, kind)]
        )
        if not flows:
            code = _NEEDS[kind] if exchanges or kind == ENERGY else "symbiosis.reason_none"
            return Indicator(
                name,
                None,
                None,
                None,
                counted,
                None,
                Problem(code),
                exchanges=tuple(one.id for one in exchanges),
            )
        circular = whole = 0.0
        known = periods = 0
        silent = []
        for flow, scale, share in flows:
            amounts, _ = self.meters.amount(flow.id, amount_unit(flow), Window())
            found = ~np.isnan(amounts)
            known, periods = known + int(found.sum()), periods + len(amounts)
            silent += [] if found.any() else [flow.id]
            whole += scale * float(np.nansum(amounts))
            circular += scale * share * float(np.nansum(amounts))
        for one in exchanges:
            amount, with_values, running = self._amount(one, kind)
            known, periods = known + with_values, periods + running
            silent += [] if with_values or not running else [one.id]
            whole, circular = whole + amount, circular + amount
        used = tuple(flow.id for flow, *_ in flows)
        batches = {number for flow in used for number in self.batches[flow]}
        if self.verified:
            batches |= {one.batch for exchange in exchanges for one in self.verified.batches[exchange.id]}
        reason = Problem("symbiosis.reason_no_values", {"flows": ", ".join(silent)}) if silent else None
        value = circular / whole if whole > 0 and reason is None else None
        if value is None and reason is None:
            reason = Problem("symbiosis.reason_no_values", {"flows": ", ".join(used)})
        return Indicator(
            name, value, circular if value is not None else None, whole if value is not None else None, counted,
            known / periods if periods else None, reason, used, tuple(one.id for one in exchanges), tuple(sorted(batches)),
        )  # fmt: skip

    def _exchanges(self) -> Iterable[Exchange]:
        assert self.verified is not None
        ids = [name for name in self.verified.exchanges if name not in self.verified.uncounted]
        return (self.territory.exchanges[name] for name in ids)

    def _amount(self, exchange: Exchange, kind: str) -> tuple[float, int, int]:
        """What was exchanged in the indicator's unit, periods with an amount, periods in which it ran."""
        assert self.verified is not None
        rows = [row for row in self.verified.of(exchange.id) if row.status != "idle"]
        ends = [row.given if kind == OUTFLOW else row.taken for row in rows]
        known = [one.value for one in ends if one is not None]
        return sum(known) * unit_of(exchange, self.territory).to(_UNITS[kind]), len(known), len(rows)


def _takes_part(made: _Made, exchange: Exchange, kind: str) -> bool:
    """Whether an exchange brings recovered material or reused water in, or takes recovered material away."""
    kinds = {INFLOW: _MATERIALS, OUTFLOW: _MATERIALS, INTAKE: _WATER}.get(kind, frozenset())
    place = exchange.place if kind == OUTFLOW else exchange.to_place
    fits = exchange.carrier.kind in kinds and unit_of(exchange, made.territory).converts_to(_UNITS[kind])
    return fits and (not made.inside or made.territory.lies_in(place, made.inside))


def _together(inflow: Indicator, outflow: Indicator) -> Indicator:
    """Circular inflow and outflow over all inflow and outflow, by mass."""
    numbers = [inflow.numerator, outflow.numerator, inflow.denominator, outflow.denominator]
    flows, exchanges = (
        tuple(dict.fromkeys([*getattr(inflow, name), *getattr(outflow, name)]))
        for name in ("flows", "exchanges")
    )
    batches = tuple(sorted({*inflow.batches, *outflow.batches}))
    if any(number is None for number in numbers):
        reason = Problem("symbiosis.reason_part")
        return Indicator(
            "material_circularity", None, None, None, "t", None, reason, flows, exchanges, batches
        )
    a, b, c, d = (number or 0.0 for number in numbers)
    coverage = min(inflow.coverage or 0.0, outflow.coverage or 0.0)
    return Indicator(
        "material_circularity",
        (a + b) / (c + d),
        a + b,
        c + d,
        "t",
        coverage,
        None,
        flows,
        exchanges,
        batches,
    )


def _parts(
    territory: Territory, inside: str, rules: Rules, span: Span
) -> tuple[dict[str, list[_Part]], list[Problem]]:
    """The flows of each indicator, and those that cannot take part."""
    metered = {flow for one in territory.exchanges.values() for flow in (one.sent, one.received)}
    found: dict[str, list[_Part]] = {INFLOW: [], OUTFLOW: [], INTAKE: [], ENERGY: []}
    problems = []
    for flow in territory.flows.values():
        kind = _kind(flow)
        if not kind or flow.id in metered or (inside and not territory.lies_in(flow.place, inside)):
            continue
        scale = _energy(flow, territory, rules, span) if kind == ENERGY else _scale(flow, _UNITS[kind])
        if scale is None:
            data = {
                "exchange": "circularity",
                "flow": flow.id,
                "unit": amount_unit(flow).text,
                "expected": _UNITS[kind],
            }
            problems.append(Problem("symbiosis.other_unit", data, flow.where, "warning"))
            continue
        found[kind].append(_Part(flow, scale, _share(flow, kind, rules)))
    return found, problems


def _kind(flow: Flow) -> str:
    """Which indicator a flow belongs to; empty for none."""
    said = str(flow.parameters.get("circularity", ""))
    if said in (INFLOW, OUTFLOW, INTAKE, ENERGY) or said == "none":
        return "" if said == "none" else said
    if flow.semantics == "state":
        return ""
    carrier = flow.carrier
    if carrier.kind == "waste":
        return OUTFLOW
    if carrier.kind == "water" and {carrier.code, str(carrier.level or "")} & _FRESH:
        return INTAKE
    purchased = carrier.kind == "electricity" and (flow.scope == 2 or flow.method == "own_generation")  # noqa: PLR2004
    return ENERGY if purchased or carrier.kind == "fuel" else ""


def _share(flow: Flow, kind: str, rules: Rules) -> float:
    """How much of a flow is circular or renewable: as declared; else own generation and biogenic fuels, and nothing more."""
    stated = flow.parameters.get("renewable_share" if kind == ENERGY else "circular_share")
    if isinstance(stated, Quantity) and stated.unit.converts_to("1"):
        return stated.to("1")
    if kind != ENERGY:
        return 0.0
    if flow.carrier.kind == "fuel":
        try:
            return float(rules.fuel(flow.carrier.code).biogenic)
        except RuleError:
            return 0.0
    return float(flow.method == "own_generation")


def _scale(flow: Flow, target: str) -> float | None:
    counted = amount_unit(flow)
    return counted.to(target) if counted.converts_to(target) else None


def _energy(flow: Flow, territory: Territory, rules: Rules, span: Span) -> float | None:
    """Kilowatt-hours per unit of a flow: a fuel by its net calorific value and density, as its emissions are reckoned."""
    direct = _scale(flow, "kWh")
    if direct is not None:
        return direct
    first = span.start.astimezone(territory.tz).date()
    context = Context(flow, territory, rules, first, span.last_day(territory.tz))
    counted = amount_unit(flow)
    try:
        terms = to_denominator(context, flow.carrier.code, counted, Given(1.0, unit("kg/TJ")))
    except MissingFactError:
        return None
    made = counted.scale
    for term in terms:
        made *= (term.value * unit(term.unit).scale) ** term.power
    return made / unit("kWh").scale


def _root(territory: Territory) -> str:
    boundary = territory.settings.get("boundary")
    root = boundary.get("root") if isinstance(boundary, Mapping) else None
    return str(root or "")
