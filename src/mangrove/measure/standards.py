# SPDX-License-Identifier: Apache-2.0
"""The same cells in the order of the corporate standards: GHG Protocol scopes and ISO 14064-1 categories.

Comes in: cells of one period and a named GWP set. Goes out: a `StandardTable` with one line per scope or category, by gas,
and beside them, never inside a total, removals, biogenic CO2 and avoided emissions.

Sources: GHG Protocol Corporate Standard (2004) and Scope 2 Guidance (2015), which asks for the location-based and the
market-based total side by side; ISO 14064-1:2018, clauses 5.2.4 and 6, Annex B and D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mangrove.errors import Problem
from mangrove.measure.cells import Cell, Sum, Weights, add, gas_order, greenhouse_gases, in_view
from mangrove.measure.report_model import DASH, Grid, Value, dashed, number, say
from mangrove.rules import Rules, codes
from mangrove.territory.model import Territory

CATEGORIES = ("1", "2", "3", "4", "5", "6")
_SCOPE_2 = 2
_CATEGORY_OF_SCOPE = {1: "1", _SCOPE_2: "2"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `code` names it ("scope_1", "category_3"), `sum` is its emissions; `inside` whether a total holds it."""

    code: str
    sum: Sum
    inside: bool = True

    def name(self, lang: str = "en") -> str:
        """The line in words."""
        if not self.code.startswith("category_"):
            return say(f"line_{self.code}", lang)
        number_of = self.code.removeprefix("category_")
        category = next(c for c in codes.categories("ISO14064-1") if c.code == number_of)
        words = category.name_vi if lang == "vi" else category.name_en
        return say("line_category", lang, number=number_of, name=words)


@dataclass(frozen=True, slots=True)
class StandardTable:
    """A table of scopes or categories; masses in tonnes.

    Attributes:
        kind: `scopes` or `iso14064`; title: name of the territory and period; gwp: the GWP set.
        lines: in the order of the standard; totals among them where the standard has one.
        problems: what no line holds, and flows for which the market-based total had to use the grid average.
    """

    kind: str
    title: str
    gwp: str
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...] = ()

    def line(self, code: str) -> Line:
        """The line `code`; raises KeyError when there is none."""
        return {line.code: line for line in self.lines}[code]

    def to_rows(self, lang: str = "en") -> list[dict[str, Value]]:
        """One dict per line: code, name, one `<gas>_t` per gas, co2e_t, half_width_t, inside."""
        gases = sorted({gas for line in self.lines for gas in line.sum.gases}, key=gas_order)
        return [
            {
                "code": line.code,
                "name": line.name(lang),
                **{f"{gas}_t": line.sum.gases.get(gas) for gas in gases},
                "co2e_t": line.sum.co2e if line.sum.cells else None,
                "half_width_t": line.sum.spread.half_width if line.sum.spread else None,
                "inside": "yes" if line.inside else "no",
            }
            for line in self.lines
        ]

    def grids(self, lang: str = "en") -> tuple[Grid, ...]:
        """The table as one printable grid."""
        rows = self.to_rows(lang)
        heads = [name for name in rows[0] if name not in ("code", "inside")]
        columns = tuple(_heading(name, lang) for name in heads)
        body = tuple(dashed(row[name] for name in heads) for row in rows)
        title = say(f"{self.kind}_title", lang, title=self.title, gwp=self.gwp)
        notes = tuple(problem.text(lang) for problem in self.problems)
        return (Grid(title, columns, body, notes, say(f"{self.kind}_sheet", lang)),)

    def text(self, lang: str = "en") -> str:
        """The table for a terminal."""
        lines = [say(f"{self.kind}_title", lang, title=self.title, gwp=self.gwp)]
        for line in self.lines:
            shown = number(line.sum.co2e, lang, 1) if line.sum.cells else DASH
            width = f" ± {number(line.sum.spread.half_width, lang, 1)}" if line.sum.spread else ""
            lines.append(f"{shown:>18}{width}  {line.name(lang)}")
        return "\n".join([*lines, *(f"- {problem.text(lang)}" for problem in self.problems)])

    def write_xlsx(self, path: Path, lang: str = "en") -> None:
        """Writes the table as a workbook."""
        from mangrove.measure.writers import write_xlsx

        write_xlsx(path, self.grids(lang))


def _heading(column: str, lang: str) -> str:
    if column in ("name", "co2e_t", "half_width_t"):
        return say(f"column_{column}", lang)
    return f"{column.removesuffix('_t')} (t)"


def scopes_table(
    cells: Sequence[Cell], territory: Territory, rules: Rules, gwp: str, *, period: str = ""
) -> StandardTable:
    """Scopes 1, 2 (location- and market-based) and 3 of the GHG Protocol, with removals and biogenic CO2 apart.

    There are two totals, one per view of scope 2; they are never added to each other.

    Raises:
        RuleError: the GWP set does not exist.
    """
    weights = Weights(rules, gwp)
    cells = greenhouse_gases(cells)
    inventory = [cell for cell in cells if cell.account == "inventory"]
    location, market = in_view(inventory, "location"), in_view(inventory, "market")
    lines = [Line("scope_1", add(_of_scope(location, 1), weights))]
    lines.append(Line("scope_2_location", add(_of_scope(location, _SCOPE_2), weights)))
    lines.append(Line("scope_2_market", add(_of_scope(market, _SCOPE_2), weights)))
    lines.append(Line("scope_3", add(_of_scope(location, 3), weights)))
    lines.append(Line("total_location", add([c for c in location if c.scope], weights)))
    lines.append(Line("total_market", add([c for c in market if c.scope], weights)))
    lines += _apart(cells, weights)
    outside = [cell for cell in location if not cell.scope]
    problems = (
        weights.problems(inventory) + _left_out(outside, weights, "reports.no_scope") + _averaged(inventory)
    )
    return StandardTable("scopes", _title(territory, period), gwp, tuple(lines), tuple(problems))


def iso14064_table(
    cells: Sequence[Cell], territory: Territory, rules: Rules, gwp: str, *, period: str = ""
) -> StandardTable:
    """The six categories of ISO 14064-1:2018, with removals and biogenic CO2 quantified separately.

    A cell without a declared category takes 1 for scope 1 and 2 for scope 2; scope 3 needs a declaration, because the
    standard has four categories for it. Purchased energy is counted location-based (Annex E).

    Raises:
        RuleError: the GWP set does not exist.
    """
    weights = Weights(rules, gwp)
    cells = greenhouse_gases(cells)
    inventory = in_view((cell for cell in cells if cell.account == "inventory"), "location")
    placed: dict[str, list[Cell]] = {category: [] for category in CATEGORIES}
    outside: list[Cell] = []
    for cell in inventory:
        placed.get(category_of(cell), outside).append(cell)
    lines = [Line(f"category_{category}", add(placed[category], weights)) for category in CATEGORIES]
    lines.append(Line("direct_and_indirect", add([c for group in placed.values() for c in group], weights)))
    lines += _apart(cells, weights)
    problems = weights.problems(inventory) + _left_out(outside, weights, "reports.no_category")
    return StandardTable("iso14064", _title(territory, period), gwp, tuple(lines), tuple(problems))


def category_of(cell: Cell) -> str:
    """The ISO 14064-1 category of a cell, empty when it cannot be told."""
    return cell.category or _CATEGORY_OF_SCOPE.get(cell.scope or 0, "")


def _title(territory: Territory, period: str) -> str:
    return f"{territory.name} {period}".strip()


def _of_scope(cells: Sequence[Cell], scope: int) -> list[Cell]:
    return [cell for cell in cells if cell.scope == scope]


def _apart(cells: Sequence[Cell], weights: Weights) -> list[Line]:
    """Removals, biogenic CO2 and avoided emissions: shown, in no total."""
    apart = {"removals": "removal", "biogenic": "memo", "avoided": "avoided"}
    located = in_view(cells, "location")
    return [
        Line(code, add([cell for cell in located if cell.account == account], weights), inside=False)
        for code, account in apart.items()
    ]


def _left_out(cells: Sequence[Cell], weights: Weights, code: str) -> list[Problem]:
    if not cells:
        return []
    flows = ", ".join(dict.fromkeys(cell.flow for cell in cells))
    return [Problem(code, {"flows": flows, "kg": weights.kilograms(cells)}, severity="warning")]


def _averaged(inventory: Sequence[Cell]) -> list[Problem]:
    """Flows of scope 2 without a contractual instrument, in a territory where others have one."""
    contracted = {cell.flow for cell in inventory if cell.view == "market"}
    rest = dict.fromkeys(
        c.flow for c in inventory if c.scope == _SCOPE_2 and c.view == "location" and c.flow not in contracted
    )
    if not contracted or not rest:
        return []
    return [Problem("reports.grid_average_in_market", {"flows": ", ".join(rest)}, severity="note")]
