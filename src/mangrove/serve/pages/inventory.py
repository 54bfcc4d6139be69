# SPDX-License-Identifier: Apache-2.0
"""The inventory: the number that somebody signs, by sector and gas, year by year, and the proof of every cell.

Comes in: the measurement of a period. Goes out: a table of rows (sectors, scopes, references of the GPC or flows) by gases in t CO2e,
the same rows year by year, what stands beside the inventory, what is missing from it, and the official forms that can be made of it.
A reader who sees only some companies gets the inventory of these; the city gets totals in which no single company can be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.errors import Problem, RequestError, did_you_mean
from mangrove.figures import SankeyLink, sankey, stacked_series
from mangrove.measure.gpc_structure import REFERENCES, key_of
from mangrove.measure.result import Emissions
from mangrove.official import KINDS as FORMS
from mangrove.serve import grid_hours, reporting
from mangrove.serve.grid_hours import GridHours
from mangrove.serve.reporting import Reported
from mangrove.serve.screens import Screen
from mangrove.serve.state import Live
from mangrove.serve.view import View, quarter
from mangrove.territory.model import Flow
from mangrove.times import Span, Step

ROWS = ("sector", "scope", "gpc", "category", "flow")
"""What the rows of the table may be."""
GASES = ("CO2", "CH4", "N2O")
"""Gases that come first, in this order; others follow by name."""
_MOST_YEARS = 12
_YEAR = Step(months=12)
_HIDDEN = 20
"""Findings listed on the page; all of them stand in the JSON twin."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its key, its name, t CO2e by gas, its total with the 95 % interval; `shown` is false where it may not be told.

    `mass` is t of the gas itself; `share` of the total of the table; `notation` is the key (NO, NE, IE, C) that stands where there is no
    number, `reason` why.
    """

    key: str
    label: str
    gases: Mapping[str, float]
    mass: Mapping[str, float]
    total: float
    low: float | None = None
    high: float | None = None
    share: float | None = None
    shown: bool = True
    notation: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Inventory:
    """The page.

    Attributes:
        by: one of `ROWS`; lines: largest first; total: of all; gases: columns.
        years: the years with values; history: t CO2e by year for each line's key; partial: the year that is not over.
        beside: t CO2e of the accounts that are not part of the inventory; problems: what is missing or weak.
        gwp: name of the GWP set; forms: kinds of official forms that can be made.
        parks: parks whose replicas lie here, beside the inventory; grid: some days of the national grid, None where it is not declared.
    """

    by: str
    lines: tuple[Line, ...]
    total: Line
    gases: tuple[str, ...]
    years: tuple[int, ...]
    history: Mapping[str, tuple[float, ...]]
    partial: int | None
    beside: Mapping[str, float]
    problems: tuple[Problem, ...]
    gwp: str
    forms: tuple[str, ...]
    view: View
    links: tuple[SankeyLink, ...] = ()
    parks: tuple[Reported, ...] = ()
    grid: GridHours | None = None

    @property
    def notations(self) -> Sequence[str]:
        """The notation keys on the page."""
        return sorted({line.notation for line in self.lines if line.notation})

    @property
    def empty(self) -> bool:
        """Whether the period has no values."""
        return not self.lines

    @property
    def listed(self) -> Sequence[Problem]:
        """The first findings."""
        return self.problems[:_HIDDEN]

    def json(self) -> dict[str, Any]:
        """Everything as data."""
        return {
            "period": {"start": self.view.span.start, "end": self.view.span.end},
            "by": self.by,
            "gwp": self.gwp,
            "total_t_co2e": self.total.total,
            "low": self.total.low,
            "high": self.total.high,
            "rows": [
                {
                    "key": line.key,
                    "name": line.label,
                    "shown": line.shown,
                    "notation": line.notation or None,
                    "reason": line.reason or None,
                    "t_co2e": line.total if line.shown else None,
                    "by_gas_t_co2e": dict(line.gases) if line.shown else None,
                    "by_gas_t": dict(line.mass) if line.shown else None,
                }
                for line in self.lines
            ],
            "years": list(self.years),
            "history_t_co2e": {key: list(amounts) for key, amounts in self.history.items()},
            "beside_t_co2e": dict(self.beside),
            "problems": [{"code": one.code, "text": one.text(self.view.lang)} for one in self.problems],
            "parks": self._parks().to_pylist(),
            "grid": None if self.grid is None else self.grid.table.to_pylist(),
            "grid_ahead": self.grid.ahead.to_pylist() if self.grid and self.grid.ahead is not None else None,
        }

    def tables(self) -> Mapping[str, pa.Table]:
        """The inventory, and the years."""
        lines = [line for line in self.lines if line.shown or line.notation]
        columns: dict[str, Any] = {
            self.by: pa.array([line.key for line in lines], pa.string()),
            "name": pa.array([line.label for line in lines], pa.string()),
        }
        if any(line.notation for line in lines):
            columns["notation"] = pa.array([line.notation for line in lines], pa.string())
        nothing = [bool(line.notation) for line in lines]

        def amounts(found: Iterable[float]) -> pa.Array:
            return pa.array(
                [None if none else one for none, one in zip(nothing, found, strict=True)], pa.float64()
            )

        for gas in self.gases:
            columns[f"{gas}_t"] = amounts(line.mass.get(gas, 0.0) for line in lines)
            columns[f"{gas}_t_co2e"] = amounts(line.gases.get(gas, 0.0) for line in lines)
        columns["total_t_co2e"] = amounts(line.total for line in lines)
        columns["low_t_co2e"] = pa.array([line.low for line in lines], pa.float64())
        columns["high_t_co2e"] = pa.array([line.high for line in lines], pa.float64())
        years: dict[str, Any] = {self.by: pa.array(list(self.history), pa.string())}
        for index, year in enumerate(self.years):
            years[f"{year}_t_co2e"] = pa.array(
                [amounts[index] for amounts in self.history.values()], pa.float64()
            )
        found = {"inventory": pa.table(columns), "years": pa.table(years)}
        if self.parks:
            found["parks"] = self._parks()
        if self.grid is not None:
            found["grid"] = self.grid.table
        if self.grid is not None and self.grid.ahead is not None:
            found["grid_ahead"] = self.grid.ahead
        return found

    def _parks(self) -> pa.Table:
        return pa.table(
            {
                "park": pa.array([one.name for one in self.parks], pa.string()),
                "year": pa.array([one.year or None for one in self.parks], pa.int64()),
                "total_t_co2e": pa.array([one.total for one in self.parks], pa.float64(), from_pandas=True),
                "low_t_co2e": pa.array([one.low for one in self.parks], pa.float64(), from_pandas=True),
                "high_t_co2e": pa.array([one.high for one in self.parks], pa.float64(), from_pandas=True),
                "gwp": pa.array([one.gwp for one in self.parks], pa.string()),
                "as_of": pa.array([one.as_of for one in self.parks], pa.timestamp("us", "UTC")),
                "verified": pa.array([one.verified for one in self.parks], pa.bool_()),
            }
        )

    def figures(self, lang: str) -> Mapping[str, str]:
        """Years by row, and the way from carriers over sectors to scopes."""
        found: dict[str, str] = {}
        names = {line.key: line.label for line in self.lines}
        if len(self.years) > 1 and self.history:
            series = {names.get(key, key): list(amounts) for key, amounts in self.history.items()}
            title = messages.render("page_inventory.figure_years", lang)
            found["years"] = stacked_series(
                [str(year) for year in self.years], series, title=title, lang=lang, heading=False
            )
        if self.links:
            layers = [messages.render(f"report.{name}", lang) for name in ("sectors_layer", "scopes_layer")]
            title = messages.render("page_inventory.figure_flows", lang)
            found["flows"] = sankey(self.links, title=title, layers=layers, lang=lang, heading=False)
        if self.grid is not None:
            found["grid"] = self.grid.figure(lang)
        return found


def build(live: Live, view: View) -> Inventory:
    """The page for one view.

    Raises:
        RequestError: `page_inventory.unknown_rows`, `live.not_yours`.
    """
    by = view.params.get("by") or ("gpc" if live.territory.kind == "city" else "sector")
    if by not in ROWS or (by == "flow" and view.scope.suppresses):
        raise RequestError(
            "page_inventory.unknown_rows", word=by[:40], options=", ".join(ROWS), hint=did_you_mean(by, ROWS)
        )
    making = _Making(live, view, by)
    if not view.scope.tells(making.seen):
        raise RequestError("live.not_yours", cell=view.place)
    return making.page()


class _Making:
    def __init__(self, live: Live, view: View, by: str) -> None:
        self.live, self.view, self.by = live, view, by
        self.flows = live.territory.flows
        seen = view.scope.flows if not view.scope.suppresses else frozenset(self.flows)
        self.seen = {id_ for id_ in seen if self._inside(self.flows[id_])}
        self.everything = self.seen == set(self.flows)

    def _inside(self, flow: Flow) -> bool:
        place = self.view.place
        return not place or self.live.territory.lies_in(flow.place, place)

    def page(self) -> Inventory:
        run = self.view.scenario
        result = self.live.measure(
            self.view.span, run=run, accounts=("inventory", "memo", "avoided", "removal")
        )
        lines, total, gases = self._lines(result)
        years, history, partial = self._history([line.key for line in lines if line.shown])
        return Inventory(
            by=self.by,
            lines=lines,
            total=total,
            gases=gases,
            years=years,
            history=history,
            partial=partial,
            beside=self._beside(result),
            problems=self._problems(result),
            gwp=str(result.plan.question.gwp),
            forms=self._forms(),
            view=self.view,
            links=self._links(result),
            parks=reporting.parks(self.live, self.view),
            grid=grid_hours.days(self.live, self.view),
        )

    def _forms(self) -> tuple[str, ...]:
        """The forms that this reader may have: they hold every row."""
        if not self.view.scope.whole:
            return ()
        return tuple(kind for kind in FORMS if kind != "gpc" or self.live.territory.kind == "city")

    # The table

    def _lines(self, result: Emissions) -> tuple[tuple[Line, ...], Line, tuple[str, ...]]:
        sums: dict[str, dict[str, float]] = {}
        mass: dict[str, dict[str, float]] = {}
        members: dict[str, set[str]] = {}
        for leaf in result.leaves:
            if leaf.account != "inventory" or leaf.flow not in self.seen:
                continue
            key = self._key(self.flows[leaf.flow])
            sums.setdefault(key, {})
            mass.setdefault(key, {})
            sums[key][leaf.gas] = sums[key].get(leaf.gas, 0.0) + leaf.co2e / 1000
            mass[key][leaf.gas] = mass[key].get(leaf.gas, 0.0) + leaf.kg / 1000
            members.setdefault(key, set()).add(leaf.flow)
        totals = {key: math.fsum(amounts.values()) for key, amounts in sums.items()}
        shown = self.view.scope.disclosed(totals, {key: sorted(flows) for key, flows in members.items()})
        bounds = self._bounds(result)
        whole = math.fsum(totals.values()) if totals else math.nan
        lines = tuple(
            Line(
                key,
                self._label(key),
                sums[key] if key in shown else {},
                mass[key] if key in shown else {},
                totals[key] if key in shown else math.nan,
                *bounds.get(key, (None, None)),
                share=totals[key] / whole if key in shown and whole > 0 else None,
                shown=key in shown,
            )
            for key in sorted(
                totals,
                key=lambda key: (key not in shown, -totals[key] if key in shown else 0.0, self._label(key)),
            )
        )
        found = {gas for amounts in sums.values() for gas in amounts}
        gases = (*(gas for gas in GASES if gas in found), *sorted(found - set(GASES)))
        by_gas = {gas: math.fsum(amounts.get(gas, 0.0) for amounts in sums.values()) for gas in gases}
        tonnes = {gas: math.fsum(amounts.get(gas, 0.0) for amounts in mass.values()) for gas in gases}
        ends = self._whole_bounds(result)
        if not self._tells_gases(result, shown):
            lines, gases = tuple(replace(line, gases={}, mass={}) for line in lines), ()
        if self.by == "gpc" and lines and not self.view.place:
            lines = self._noted(lines)
        return lines, Line("", "", by_gas if gases else {}, tonnes if gases else {}, whole, *ends), gases

    def _noted(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """The lines in the order of the GPC, with the declared notation keys of references without a number."""
        there, nan = {line.key for line in lines}, math.nan
        keyed = [
            Line(x.gpc, self._label(x.gpc), {}, {}, nan, shown=False, notation=key_of(x.key), reason=x.reason)
            for x in self.live.territory.notation
            if x.gpc not in there
        ]
        order = {ref: index for index, ref in enumerate(REFERENCES)}
        return tuple(sorted([*lines, *keyed], key=lambda line: (order.get(line.key, len(order)), line.key)))

    def _tells_gases(self, result: Emissions, shown: frozenset[str]) -> bool:
        """Whether the columns of the gases tell nobody's figure: of each, every cell that is shown and all others together."""
        scope = self.view.scope
        if not scope.suppresses:
            return True
        cells: dict[tuple[str, str], set[str]] = {}
        for leaf in result.leaves:
            if leaf.account == "inventory" and leaf.flow in self.seen:
                key = self._key(self.flows[leaf.flow])
                cells.setdefault((key if key in shown else "", leaf.gas), set()).add(leaf.flow)
        return all(scope.enough(flows) for flows in cells.values())

    def _key(self, flow: Flow) -> str:
        return flow.id if self.by == "flow" else str(getattr(flow, self.by) or "")

    def _bounds(self, result: Emissions) -> dict[str, tuple[float | None, float | None]]:
        """The 95 % intervals of the rows, for readers who see all that is behind them."""
        if not self.everything or self.view.scope.suppresses:
            return {}
        table = self.live.table(result, by=[self.by], accounts=("inventory",)).to_pylist()
        return {str(row[self.by] or ""): (_known(row["co2e_low"]), _known(row["co2e_high"])) for row in table}

    def _whole_bounds(self, result: Emissions) -> tuple[float | None, float | None]:
        if not self.everything:
            return None, None
        total = result.total()
        return _known(total["co2e_low"]), _known(total["co2e_high"])

    def _label(self, key: str) -> str:
        lang = self.view.lang
        if not key:
            return messages.render("page_inventory.unnamed", lang)
        if self.by == "sector":
            return self.live.territory.sectors.get(key, key)
        if self.by == "scope":
            return messages.render(f"report.scope_{key}", lang)
        if self.by == "flow":
            return self.flows[key].name or key
        return _reference(key, lang) if self.by == "gpc" else key

    # Beside the table

    def _history(
        self, keys: Sequence[str]
    ) -> tuple[tuple[int, ...], dict[str, tuple[float, ...]], int | None]:
        """T CO2e of every year with values, by row."""
        tz, now = self.view.tz, self.view.now
        with self.live.snapshot() as snapshot:
            low, high = snapshot.span()
        if high <= low:
            return (), {}, None
        first = max(datetime.fromtimestamp(low / 1e6, tz).year, now.astimezone(tz).year - _MOST_YEARS + 1)
        last = min(datetime.fromtimestamp((high - 1) / 1e6, tz).year, now.astimezone(tz).year)
        if last < first:
            return (), {}, None
        end = min(Span.parse(str(last), tz).end, quarter(now))
        span = Span(
            Span.parse(str(first), tz).start, max(end, Span.parse(str(last), tz).start + timedelta(hours=1))
        )
        result = self.live.measure(span, by=("flow",), every=_YEAR, run=self.view.scenario)
        amounts: dict[str, dict[int, float]] = {}
        members: dict[int, dict[str, list[str]]] = {}
        table = self.live.table(
            result, by=["flow"], every=_YEAR, with_uncertainty=False, accounts=("inventory",)
        )
        for row in table.select(["flow", "start", "co2e_kg"]).to_pylist():
            if row["flow"] in self.seen and math.isfinite(row["co2e_kg"]):
                years = amounts.setdefault(self._key(self.flows[row["flow"]]), {})
                year = row["start"].astimezone(tz).year
                members.setdefault(year, {}).setdefault(self._key(self.flows[row["flow"]]), []).append(
                    row["flow"]
                )
                years[year] = years.get(year, 0.0) + row["co2e_kg"] / 1000
        for year, flows in members.items():
            told = self.view.scope.disclosed({key: amounts[key][year] for key in flows}, flows)
            for key in flows.keys() - told:
                amounts[key][year] = math.nan
        named = tuple(
            year for year in range(first, last + 1) if any(year in years for years in amounts.values())
        )
        history = {key: tuple(amounts.get(key, {}).get(year, math.nan) for year in named) for key in keys}
        partial = last if named and named[-1] == last and end < Span.parse(str(last), tz).end else None
        return named, history, partial

    def _beside(self, result: Emissions) -> dict[str, float]:
        if self.view.scope.suppresses:
            return {}
        found: dict[str, float] = {}
        for leaf in result.leaves:
            if leaf.account != "inventory" and leaf.flow in self.seen:
                found[leaf.account] = found.get(leaf.account, 0.0) + leaf.co2e / 1000
        return {account: tonnes for account, tonnes in found.items() if tonnes}

    def _problems(self, result: Emissions) -> tuple[Problem, ...]:
        if self.view.scope.suppresses:
            return ()
        return tuple(one for one in result.problems if self._may_read(str(one.data.get("flow", ""))))

    def _may_read(self, flows: str) -> bool:
        named = [name.strip() for name in flows.split(",") if name.strip()]
        return all(name in self.seen for name in named if name in self.flows)

    def _links(self, result: Emissions) -> tuple[SankeyLink, ...]:
        """From sectors to scopes, in t CO2e; what takes away has no ribbon."""
        if self.view.scope.suppresses:
            return ()
        names = self.live.territory.sectors
        found: dict[tuple[str, str], float] = {}
        for leaf in _positive(result, self.seen):
            flow = self.flows[leaf.flow]
            scope = messages.render(f"report.scope_{flow.scope}", self.view.lang) if flow.scope else "–"
            pair = (names.get(flow.sector, flow.sector) or "–", scope)
            found[pair] = found.get(pair, 0.0) + leaf.co2e / 1000
        return tuple(SankeyLink(a, b, tonnes) for (a, b), tonnes in found.items())


def _positive(result: Emissions, seen: set[str]) -> Iterable[Any]:
    return (x for x in result.leaves if x.account == "inventory" and x.co2e > 0 and x.flow in seen)


def _reference(ref: str, lang: str) -> str:
    """A reference of the GPC with its name."""
    return f"{ref} {REFERENCES[ref].text(lang)}" if ref in REFERENCES else ref


def _known(kilograms: float | None) -> float | None:
    return None if kilograms is None or not math.isfinite(kilograms) else kilograms / 1000


SCREEN = Screen("inventory", order=30, model=build, template="inventory.html", period="year", keeps=("by",))
