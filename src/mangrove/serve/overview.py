# SPDX-License-Identifier: Apache-2.0
"""The overview of one measurement: from a result to the report that people read and print.

Comes in: an `Emissions` result. Goes out: a `ReportModel` (plain data) and, from it, one self-contained HTML file. Every number
is a view of the same measurement; what is missing is listed with the tonnes that hang on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mangrove import messages, rules
from mangrove.errors import RuleError
from mangrove.figures import Bar, Coverage, Point, SankeyLink, Shape, voronoi_cells
from mangrove.ledger import COUNTED, Ledger, Quality
from mangrove.measure import gpc, leaves
from mangrove.measure.explain import alternatives
from mangrove.measure.question import ACCOUNTS
from mangrove.measure.result import Emissions
from mangrove.printing import shown_coverage
from mangrove.rules import Factor
from mangrove.rules.choose import differ
from mangrove.serve.report import write_report
from mangrove.serve.report_model import (
    Amount,
    Card,
    CarpetFigure,
    Command,
    Condition,
    CoverageFigure,
    ExcludedRow,
    FactorUse,
    FlowFigure,
    GapRow,
    GasRow,
    GpcRow,
    Identity,
    MapFigure,
    MonthFigure,
    ReportModel,
    Row,
)
from mangrove.territory.model import Carrier, Territory
from mangrove.times import HOUR, Step

_LISTED_PLACES = 15
_LISTED_FLOWS = 24
_DAY = timedelta(days=1)
_YEAR = Step(months=12)
_SHORTEST_YEAR = 24 * 62
"""Hours of two months: shorter periods get no month by month figure."""


def write(result: Emissions, path: Path, *, lang: str = "vi") -> Path:
    """Writes the overview of `result` as one HTML file and gives its path back."""
    return write_report(Overview(result, lang).model(), path, lang)


class Overview:
    """Builds the parts of a report from one result; each method is one part."""

    def __init__(self, result: Emissions, lang: str) -> None:
        self.result = result
        self.lang = lang
        self.question = result.plan.question
        self.territory: Territory = result.plan.territory
        self.tz = self.territory.tz
        self.flows = result.plan.flows
        self.tonnes: dict[str, float] = {}
        for leaf in result.leaves:
            self.tonnes[leaf.flow] = self.tonnes.get(leaf.flow, 0.0) + leaf.co2e / 1000
        self.level = _place_level(self.territory)

    def model(self) -> ReportModel:
        """The whole report as plain data."""
        span, total = self.question.span, self.result.total()
        places = self.places()
        return ReportModel(
            territory=self.territory.name,
            kind=self.territory.kind,
            start=span.start.astimezone(self.tz).date(),
            end=span.last_day(self.tz) + _DAY,
            gwp=str(self.question.gwp),
            total=_amount(total, self._basis(self.tonnes)) if self._is_measured() else Amount(None),
            timezone=self.territory.timezone,
            boundary=self._boundary(),
            as_of=self.question.as_of,
            cards=self.cards(total),
            scopes=self.rows("scope", {"1": "report.scope_1", "2": "report.scope_2", "3": "report.scope_3"}),
            gases=self.gases(),
            places=places[:_LISTED_PLACES],
            place_count=len(places),
            sectors=self.rows("sector", self._sector_names()),
            accounts=self.accounts(),
            gpc=self.gpc_rows() if self.territory.kind == "city" else (),
            map=self.map(),
            carpet=self.carpet(),
            sankey=self.sankey(),
            months=self.months(),
            uncertainty=self.uncertainty(),
            coverage=self.coverage(),
            gaps=self.gaps(),
            excluded=self.excluded(),
            factors=self.factors(),
            conditions=self.conditions(),
            identities=self.identities(),
            commands=self.commands(),
            version=version("mangrove"),
        )

    # Tables

    def rows(self, column: str, names: Mapping[str, str]) -> list[Row]:
        """The inventory by `scope` or `sector`, largest first; `names` gives the words for the keys."""
        table = self.result.table(by=[column], accounts=("inventory",)).to_pylist()
        found = []
        for row in sorted(table, key=lambda row: -row["co2e_kg"]):
            members = {
                flow: t
                for flow, t in self.tonnes.items()
                if str(getattr(self.flows[flow], column) or "") == row[column]
            }
            label = names.get(row[column], row[column]) or "–"
            found.append(Row(label, _amount(row, self._basis(members)), _known(row["coverage"])))
        return found

    def places(self) -> list[Row]:
        """The inventory by place, largest first."""
        table = self.result.table(by=[self.level], accounts=("inventory",)).to_pylist()
        found = []
        for row in sorted(table, key=lambda row: -row["co2e_kg"]):
            place = self.territory.places.get(row[self.level])
            basis = "modelled" if self._is_spread() else self._basis(self._at(row[self.level]))
            found.append(Row(place.name if place else "–", _amount(row, basis), _known(row["coverage"])))
        return found

    def gases(self) -> list[GasRow]:
        """The inventory by gas."""
        table = self.result.table(by=["gas"], accounts=("inventory",)).to_pylist()
        weights = {line.gas: line.weight for line in self.result.plan.lines}
        return [
            GasRow(row["gas"], row["kg"] / 1000, weights.get(row["gas"]), _amount(row))
            for row in sorted(table, key=lambda row: -row["co2e_kg"])
        ]

    def accounts(self) -> list[Row]:
        """What stands beside the inventory: memo items, removals, avoided emissions."""
        beside = leaves.in_accounts(
            self.result, rules.load(), [name for name in ACCOUNTS if name != "inventory"]
        )
        return [
            Row(f"report.account_{row['account']}", _amount(row))
            for row in beside.table(by=["account"]).to_pylist()
            if row["co2e_kg"]
        ]

    def gpc_rows(self) -> list[GpcRow]:
        """The references of the GPC with their amounts or notation keys."""
        table = gpc.gpc_table(
            leaves.cells_of(self.result, rules.load()), self.territory, rules.load(), str(self.question.gwp)
        )
        return [_gpc_row(row, self.lang) for row in table.rows]

    def cards(self, total: Mapping[str, float]) -> list[Card]:
        """Headline numbers beside the total."""
        cards = []
        population = sum(p.population or 0.0 for p in self._level_places())
        if population and self.territory.kind == "city" and not self._is_spread() and self._is_measured():
            cards.append(
                Card("report.card_person", Amount(total["co2e_kg"] / 1000 / population), "t CO2e/person")
            )
        shares = [count.coverage for count in self.result.flows if count.coverage is not None]
        if shares:
            cards.append(
                Card(
                    "report.card_coverage",
                    Amount(100 * (_known(float(np.mean(shares))) or 0.0)),
                    "%",
                    digits=4,
                )
            )
        values = sum(count.counted for count in self.result.flows)
        cards.append(Card("report.card_flows", Amount(float(len(self.flows))), ""))
        cards.append(Card("report.card_values", Amount(float(values)), "", digits=7))
        return cards

    # Figures

    def map(self) -> MapFigure | None:
        """The places of the level as areas, true or schematic, colored by emissions."""
        places = [p for p in self._level_places() if p.geometry or (p.lon is not None and p.lat is not None)]
        if self.territory.kind != "city" or not places:
            return None
        table = self.result.table(by=[self.level], accounts=("inventory",)).to_pylist()
        amounts = {row[self.level]: row["co2e_kg"] / 1000 for row in table if row[self.level]}
        if all(p.geometry for p in places):
            shapes: Sequence[Shape] = [Shape(p.id, p.name, p.geometry) for p in places]
        else:
            shapes = voronoi_cells(
                [Point(p.id, p.name, float(p.lon or 0), float(p.lat or 0)) for p in places]
            )
        basis = dict.fromkeys(amounts, "modelled") if self._is_spread() else {}
        return MapFigure(shapes, amounts, basis)

    def carpet(self) -> CarpetFigure | None:
        """Hour by day, when readings are at least hourly."""
        if not any(f.step and f.step.hours <= 1 and f.id in self.tonnes for f in self.flows.values()):
            return None
        span = self.question.span
        table = self.result.table(every="1h", with_uncertainty=False, accounts=("inventory",))
        first = span.start.astimezone(self.tz).date()
        matrix = np.full((24, math.ceil(span.hours / 24)), np.nan)
        for start, amount in zip(
            table.column("start").to_pylist(), table.column("co2e_kg").to_pylist(), strict=True
        ):
            local = start.astimezone(self.tz)
            matrix[local.hour, (local.date() - first).days] = amount / 1000
        return CarpetFigure(matrix, first, self._basis(self.tonnes))

    def sankey(self) -> FlowFigure | None:
        """From carriers over sectors to scopes, in t CO2e; what takes away has no ribbon."""
        names = self._sector_names()
        links: dict[tuple[str, str], float] = {}
        for leaf in self.result.leaves:
            flow = self.flows[leaf.flow]
            if leaf.account != "inventory" or leaf.co2e <= 0:
                continue
            sector = names.get(flow.sector, flow.sector) or "–"
            scope = f"report.scope_{flow.scope}" if flow.scope else "–"
            for pair in ((self._carrier_name(flow.carrier), sector), (sector, scope)):
                links[pair] = links.get(pair, 0.0) + leaf.co2e / 1000
        if not links:
            return None
        layers = ("report.carriers", "report.sectors_layer", "report.scopes_layer")
        return FlowFigure([SankeyLink(a, b, amount) for (a, b), amount in links.items()], layers)

    def months(self) -> MonthFigure | None:
        """Sectors month by month, for a period of several months whose values are finer than a year."""
        if self.question.span.hours < _SHORTEST_YEAR or all(f.step == _YEAR for f in self.flows.values()):
            return None
        table = self.result.table(
            by=["sector"], every="1mo", with_uncertainty=False, accounts=("inventory",)
        ).to_pylist()
        if not table:
            return None
        starts = sorted({row["start"] for row in table})
        names = self._sector_names()
        series: dict[str, list[float]] = {}
        for row in table:
            amounts = series.setdefault(
                names.get(row["sector"], row["sector"]) or "–", [math.nan] * len(starts)
            )
            amounts[starts.index(row["start"])] = row["co2e_kg"] / 1000
        periods = [start.astimezone(self.tz).strftime("%m/%Y") for start in starts]
        return MonthFigure(periods, series)

    def uncertainty(self) -> list[Bar]:
        """The sectors with their 95 % intervals."""
        return [
            Bar(row.label, row.amount.value, row.amount.low, row.amount.high, row.amount.basis)
            for row in self.rows("sector", self._sector_names())
        ]

    # What is missing

    def coverage(self) -> CoverageFigure | None:
        """Daily coverage of the flows with readings, the incomplete ones first."""
        days = self._daily
        if not days:
            return None
        ranked = sorted(
            days, key=lambda flow: (min(float(np.nanmean(days[flow])), 0.999), -self.tonnes.get(flow, 0.0))
        )
        rows = [Coverage(self.flows[f].name or f, list(days[f])) for f in ranked[:_LISTED_FLOWS]]
        return CoverageFigure(rows, self.question.span.start.astimezone(self.tz).date())

    @cached_property
    def _daily(self) -> dict[str, np.ndarray[Any, Any]]:
        """Share of each day with values, for flows whose step is a day or less."""
        fine = {f.id for f in self.flows.values() if f.step and f.step.hours <= _DAY / HOUR}
        count = math.ceil(self.question.span.hours / 24)
        first = self.question.span.start.astimezone(self.tz).date()
        found = {flow: np.zeros(count) for flow in fine}
        table = self.result.table(by=["flow"], every="1d", with_uncertainty=False)
        for flow, start, share in zip(
            *(table.column(name).to_pylist() for name in ("flow", "start", "coverage")), strict=True
        ):
            if flow in fine:
                found[flow][(start.astimezone(self.tz).date() - first).days] = share
        return found

    def gaps(self) -> list[GapRow]:
        """Findings of the measurement, those that touch the most tonnes first."""
        rows = [self._gap(problem) for problem in self.result.problems]
        return sorted(rows, key=lambda row: -(row.touches or 0.0))

    def _gap(self, problem: Any) -> GapRow:
        flow = str(problem.data.get("flow", ""))
        where = self.flows[flow].name if flow in self.flows else flow
        touches = self.tonnes.get(flow)
        if problem.code != "measure.incomplete" or flow not in self._daily:
            return GapRow(problem, where or flow, touches=touches)
        missing = np.flatnonzero(self._daily[flow] < 1 - 1e-9)
        first = self.question.span.start.astimezone(self.tz).date()
        hours = float(24 * np.sum(1 - self._daily[flow]))
        start, end = first + int(missing[0]) * _DAY, first + (int(missing[-1]) + 1) * _DAY
        return GapRow(problem, where or flow, start, end, hours, touches)

    def excluded(self) -> list[ExcludedRow]:
        """Values stored with a quality code that is not counted."""
        span = self.question.span
        with (
            Ledger.open(self.result.folder, read_only=True) as ledger,
            ledger.snapshot(cut=self.result.cut) as snapshot,
        ):
            table = snapshot.values(list(self.flows), span.start, span.end)
        quality, flow = (table.column(name).to_numpy(zero_copy_only=False) for name in ("quality", "flow"))
        return [
            ExcludedRow(code, int(np.sum(quality == code)), len(set(flow[quality == code])))
            for code in Quality
            if code not in COUNTED and code != Quality.MISSING and np.any(quality == code)
        ]

    # Proof

    def factors(self) -> list[FactorUse]:
        """Every rule that entered, by the tonnes computed with it, with what other sources say."""
        tonnes: dict[str, float] = {}
        rows: dict[str, Factor] = {}
        others: dict[str, Sequence[Factor]] = {}
        by_line = {leaf.line: leaf.co2e / 1000 for leaf in self.result.leaves}
        for line in self.result.plan.lines:
            for term in line.terms:
                if term.factor is not None:
                    rows[term.factor.id] = term.factor
                    tonnes[term.factor.id] = tonnes.get(term.factor.id, 0.0) + by_line.get(line.index, 0.0)
                    if term.factor.kind == "direct" and term.factor.id not in others:
                        others[term.factor.id] = [
                            other for other in alternatives(self.result, line) if differ(term.factor, other)
                        ]
        ordered = sorted(rows, key=lambda key: -tonnes[key])
        return [FactorUse(rows[key], tonnes[key], others.get(key, ())) for key in ordered]

    def conditions(self) -> list[Condition]:
        """What share of the numbers is fact, measured, derived, modelled, assumed or generated; a sink counts by its size."""
        shares: dict[str, float] = {}
        for flow, tonnes in self.tonnes.items():
            shares[self._flow_basis(flow)] = shares.get(self._flow_basis(flow), 0.0) + abs(tonnes)
        whole = sum(shares.values()) or 1.0
        note = str(self.territory.settings.get("note") or "")
        found = [
            Condition(basis, f"report.condition_{basis}", share / whole) for basis, share in shares.items()
        ]
        return [*found, Condition("", note)] if note else found

    def identities(self) -> list[Identity]:
        """The hashes that bind the numbers."""
        plan = self.result.plan
        return [
            Identity("report.id_measurement", self.result.record or "–"),
            Identity("report.id_cut", str(self.result.cut)),
            Identity("report.id_rules", rules.load().content_hash),
            Identity("report.id_declaration", plan.territory.content_hash),
            Identity("report.id_formula", ", ".join(plan.methods)),
        ]

    def commands(self) -> list[Command]:
        """How to open and repeat the computation."""
        if not self.result.record:
            return []
        where, record = self.territory.path, self.result.record[:12]
        return [
            Command("report.command_explain", f"mangrove explain {where} {record} --row 0"),
            Command("report.command_replay", f"mangrove replay {where} {record}"),
            Command("report.command_diff", f"mangrove diff {where} {record}"),
        ]

    # Small facts

    def _sector_names(self) -> dict[str, str]:
        return dict(self.territory.sectors)

    def _carrier_name(self, carrier: Carrier) -> str:
        """A carrier in words: the fuel by its name, the others by their kind and code."""
        if carrier.kind == "fuel":
            with suppress(RuleError):
                fuel = rules.load().fuel(carrier.code)
                return fuel.name_vi if self.lang == "vi" else fuel.name_en
        kind = messages.render(f"report.carrier_{carrier.kind}", self.lang)
        return f"{kind}: {carrier.code.replace('_', ' ')}" if carrier.code else kind

    def _level_places(self) -> list[Any]:
        kind = self.level
        return [
            p for p in self.territory.places.values() if p.kind == kind and p.valid_on(self.question.borders)
        ]

    def _is_measured(self) -> bool:
        """Whether the inventory has any number at all; a total of nothing is a gap and not zero."""
        return any(leaf.account == "inventory" for leaf in self.result.leaves)

    def _is_spread(self) -> bool:
        return self.level != "place" and any(flow.spread for flow in self.flows.values())

    def _at(self, place: str) -> dict[str, float]:
        return {flow: t for flow, t in self.tonnes.items() if self.flows[flow].place == place}

    def _flow_basis(self, flow: str) -> str:
        return self.flows[flow].basis or "measured"

    def _basis(self, tonnes: Mapping[str, float]) -> str:
        """The basis of most of the tonnes."""
        sums: dict[str, float] = {}
        for flow, amount in tonnes.items():
            sums[self._flow_basis(flow)] = sums.get(self._flow_basis(flow), 0.0) + abs(amount)
        return max(sums, key=lambda name: sums[name]) if sums else ""

    def _boundary(self) -> str:
        boundary = self.territory.settings.get("boundary")
        root = boundary.get("root") if isinstance(boundary, Mapping) else None
        place = self.territory.places.get(str(root))
        name = place.name if place else self.territory.name
        return f"{name}, {self.question.borders:%d/%m/%Y}"


def _place_level(territory: Territory) -> str:
    """The kind of place that a report ranks: wards of a city when it has any, else the declared places themselves."""
    kinds = {place.kind for place in territory.places.values()}
    return "ward" if territory.kind == "city" and "ward" in kinds else "place"


def _amount(row: Mapping[str, Any], basis: str = "") -> Amount:
    return Amount(row["co2e_kg"] / 1000, _tonnes(row["co2e_low"]), _tonnes(row["co2e_high"]), basis)


def _tonnes(kilograms: float | None) -> float | None:
    return None if kilograms is None or not math.isfinite(kilograms) else kilograms / 1000


def _known(share: float | None) -> float | None:
    """A coverage for people, None when not known."""
    return None if share is None or math.isnan(share) else shown_coverage(share)


def _gpc_row(row: Any, lang: str) -> GpcRow:
    return GpcRow(
        row.ref,
        ": ".join(row.reference.names[lang][1:]),
        str(row.reference.scope),
        row.co2e,
        str(row.key or ""),
        row.reason,
    )
