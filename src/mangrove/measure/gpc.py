# SPDX-License-Identifier: Apache-2.0
"""The inventory of a city as the GPC asks for it: every reference with its gases, CO2 equivalents or notation key.

Comes in: cells of one period, the territory with its declared notation keys, a named GWP set. Goes out: a `GpcTable` with the
BASIC, BASIC+ and territorial totals. A reference that is neither estimated nor keyed is shown as that and never as zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mangrove.errors import Problem
from mangrove.measure.cells import (
    Cell,
    Spread,
    Sum,
    Weights,
    add,
    gas_order,
    greenhouse_gases,
    in_view,
    masses,
)
from mangrove.measure.gpc_structure import (
    BASIC,
    BASIC_PLUS,
    EXTRA,
    LEVELS,
    REFERENCES,
    Key,
    Reference,
    Total,
    key_of,
    plain_sum,
    sector_name,
    total,
)
from mangrove.measure.report_model import Grid, Value, dashed, number, say
from mangrove.rules import Rules
from mangrove.territory.model import Territory

_REF_IN_TEXT = re.compile(r"\b(?:I{1,3}|IV|VI?)\.\d(?:\.\d)?\b")
_LAND = "V.2"
"""The reference whose removals are deducted: land is reported net (GPC 1.1, section 10.4)."""
_RANKS = "HML"
_FACTOR_QUALITY = {
    "H": ("local",),
    "M": ("qd", "dcc", "tcsj", "hust", "app"),
    "L": ("ipcc", "ghgp", "efdb", "copert", "hbefa"),
}
"""Ranks by the source that an id names: the territory's own; Vietnamese; international defaults."""
_ACTIVITY_QUALITY = {"fact": "H", "derived": "M", "assumed": "L", "generated": "L"}


@dataclass(frozen=True, slots=True)
class GpcRow:
    """One reference of the inventory.

    Attributes:
        reference: its place in the GPC.
        key: the declared notation key, or None; reason: its reason as declared.
        sum: tonnes by gas, tonnes of CO2e and interval; None when the reference has no number.
        biogenic: tonnes of biogenic CO2, outside all totals (GPC 1.1, section 4.3).
        activity_quality, factor_quality: the lowest of H, M, L among its cells (GPC 1.1, Table 5.3); empty when unknown.
        flows: ids of the flows in it; statuses: of the factors used.
        problems: contradictions and omissions, each once.
    """

    reference: Reference
    key: Key | None = None
    reason: str = ""
    sum: Sum | None = None
    biogenic: float = 0.0
    activity_quality: str = ""
    factor_quality: str = ""
    flows: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def ref(self) -> str:
        """The reference number."""
        return self.reference.ref

    @property
    def co2e(self) -> float | None:
        """Tonnes of CO2e, or None when there is no number."""
        return self.sum.co2e if self.sum else None

    @property
    def is_gap(self) -> bool:
        """Whether the reference is neither estimated nor keyed."""
        return self.sum is None and self.key is None


@dataclass(frozen=True, slots=True)
class GpcTable:
    """A GPC inventory; all masses in tonnes.

    Attributes:
        title: name of the territory and period; gwp: the GWP set of all CO2 equivalents.
        rows: all references in the order of the GPC.
        totals: level (`BASIC`, `BASIC+`, `territorial`) -> total and its parts.
        gases: level -> tonnes by gas; spreads: level -> 95 % interval, None when no error is stated.
        population: of the territory, or None.
        problems: what the table leaves out or doubts; references without number and key are in `missing`.
    """

    title: str
    gwp: str
    rows: tuple[GpcRow, ...]
    totals: Mapping[str, Total]
    gases: Mapping[str, Mapping[str, float]]
    spreads: Mapping[str, Spread | None]
    population: float | None = None
    problems: tuple[Problem, ...] = ()

    def row(self, ref: str) -> GpcRow:
        """The row of reference `ref`; raises KeyError when the table does not show it."""
        return next(row for row in self.rows if row.ref == ref)

    def missing(self, level: str) -> tuple[str, ...]:
        """References of a level that are neither estimated nor keyed: its total is a lower bound while there are any."""
        return tuple(row.ref for row in self.rows if row.is_gap and row.reference.counts_in(level))

    def to_rows(self, lang: str = "en") -> list[dict[str, Value]]:
        """One dict per reference: ref, sector, name, scope, level, key, co2e_t, one `<gas>_t` per gas, and so on."""
        names = sorted({gas for row in self.rows if row.sum for gas in row.sum.gases}, key=gas_order)
        return [self._row(row, names, lang) for row in self.rows]

    def _row(self, row: GpcRow, gases: Sequence[str], lang: str) -> dict[str, Value]:
        masses_here = row.sum.gases if row.sum else {}
        spread = row.sum.spread if row.sum else None
        return {
            "ref": row.ref,
            "sector": row.reference.sector_name(lang),
            "name": row.reference.text(lang),
            "scope": row.reference.scope,
            "level": level_name(row.reference.level, lang),
            "key": str(row.key) if row.key else ("" if row.sum else say("gpc_gap", lang)),
            **{f"{gas}_t": masses_here.get(gas) for gas in gases},
            "co2e_t": row.co2e,
            "half_width_t": spread.half_width if spread else None,
            "biogenic_co2_t": row.biogenic or None,
            "activity_quality": row.activity_quality,
            "factor_quality": row.factor_quality,
            "status": " ".join(row.statuses),
            "note": "; ".join(
                [row.reason] * bool(row.reason) + [p.text(lang) for p in row.problems if not row.is_gap]
            ),
        }

    def grids(self, lang: str = "en") -> tuple[Grid, ...]:
        """The table as printable grids: the references, then the totals by part."""
        rows = self.to_rows(lang)
        columns = tuple(_heading(name, lang) for name in rows[0])
        title = say("gpc_title", lang, title=self.title, gwp=self.gwp)
        body = tuple(dashed(row.values()) for row in rows)
        notes = tuple(problem.text(lang) for problem in self.problems)
        return Grid(title, columns, body, notes, "GPC"), self._totals(lang)

    def _totals(self, lang: str) -> Grid:
        """One row per part and level, with the level itself below its parts."""
        heads = ("level", "part", "co2e_t", "half_width_t", "per_capita_t", "missing")
        rows: list[tuple[Value, ...]] = []
        for level, whole in self.totals.items():
            rows += [
                (level_name(level, lang), part_name(part, lang), value, None, None, "")
                for part, value in whole.parts.items()
            ]
            spread = self.spreads[level]
            per_capita = whole.value / self.population if self.population else None
            width = spread.half_width if spread else None
            rows.append(
                (
                    "",
                    f"{say('total', lang)} {level_name(level, lang)}",
                    whole.value,
                    width,
                    per_capita,
                    " ".join(self.missing(level)),
                )
            )
        columns = tuple(_heading(name, lang) for name in heads)
        return Grid(
            say("gpc_totals", lang, gwp=self.gwp),
            columns,
            tuple(map(dashed, rows)),
            (),
            say("gpc_totals_sheet", lang),
        )

    def text(self, lang: str = "en") -> str:
        """The table for a terminal: references with a number or a key, then totals, then what is missing."""
        lines = [say("gpc_title", lang, title=self.title, gwp=self.gwp)]
        for row in self.rows:
            shown = number(row.co2e, lang, 1) if row.sum else str(row.key or say("gpc_gap", lang))
            lines.append(f"{row.ref:8} {row.reference.scope} {shown:>20}  {row.reference.text(lang)}")
        for level, whole in self.totals.items():
            spread = self.spreads[level]
            width = f" ± {number(spread.half_width, lang, 1)}" if spread else ""
            lines.append(
                f"{level_name(level, lang):12} {number(whole.value, lang, 1):>18}{width} {say('tco2e', lang)}"
            )
            if self.missing(level):
                lines.append(
                    "    "
                    + say("gpc_missing", lang, count=len(self.missing(level)), level=level_name(level, lang))
                )
        return "\n".join([*lines, *(f"- {problem.text(lang)}" for problem in self.problems)])

    def write_xlsx(self, path: Path, lang: str = "en") -> None:
        """Writes both grids as sheets of one workbook."""
        from mangrove.measure.writers import write_xlsx

        write_xlsx(path, self.grids(lang))


def gpc_table(
    cells: Sequence[Cell],
    territory: Territory,
    rules: Rules,
    gwp: str,
    *,
    population: float | None = None,
    period: str = "",
) -> GpcTable:
    """The GPC inventory of one period.

    Purchased energy is counted location-based; memo cells are shown as biogenic CO2 beside the totals; removals are
    deducted from land (V.2) only; avoided emissions never enter. A reference with the key C shows no number, and its number
    enters no total, because it could be found by subtraction.

    Args:
        cells: of the period, one GWP-free number per flow and gas.
        territory: gives the name and the declared notation keys.
        rules: where GWP sets are found.
        gwp: name of the set.
        population: of the period, for per-capita numbers; None leaves them out.
        period: "2024", for the title.

    Raises:
        RuleError: the GWP set does not exist.
        RequestError: a declared notation key is none.
    """
    weights = Weights(rules, gwp)
    keys, problems = _declared(territory)
    chosen = in_view((c for c in greenhouse_gases(cells) if c.account != "avoided"), "location")
    problems += weights.problems(cell for cell in chosen if cell.account == "inventory")
    by_ref: dict[str, list[Cell]] = {}
    for cell in chosen:
        by_ref.setdefault(cell.gpc, []).append(cell)
    problems += _unplaced(by_ref, weights)
    wanted = [r for ref, r in REFERENCES.items() if ref not in EXTRA or ref in by_ref or ref in keys]
    rows = tuple(_build(r, by_ref.get(r.ref, []), keys.get(r.ref), territory, weights) for r in wanted)
    values = {row.ref: row.sum.co2e for row in rows if row.sum}
    counted = {level: _counted(rows, by_ref, level) for level in LEVELS}
    return GpcTable(
        title=f"{territory.name} {period}".strip(),
        gwp=gwp,
        rows=rows,
        totals={level: total(values, level) for level in LEVELS},
        gases={level: _gases(rows, level) for level in LEVELS},
        spreads={level: add(counted[level], weights).spread for level in LEVELS},
        population=population,
        problems=tuple(problems + [p for row in rows if not row.is_gap for p in row.problems]),
    )


def _declared(territory: Territory) -> tuple[dict[str, tuple[Key, str]], list[Problem]]:
    """The declared notation keys by reference, and what is wrong with them."""
    keys: dict[str, tuple[Key, str]] = {}
    problems: list[Problem] = []
    for declared in territory.notation:
        if declared.gpc not in REFERENCES:
            problems.append(Problem("reports.unknown_reference", {"text": declared.gpc}))
            continue
        word = key_of(declared.key)
        named = _REF_IN_TEXT.findall(declared.reason) if word == "IE" else []
        keys[declared.gpc] = Key((word,), ", ".join(named)), declared.reason
    return keys, problems


def _unplaced(by_ref: Mapping[str, list[Cell]], weights: Weights) -> list[Problem]:
    """Cells that no reference takes: their amount is named, because no total holds it."""
    problems = []
    for ref, cells in by_ref.items():
        if ref in REFERENCES:
            continue
        inventory = [cell for cell in cells if cell.account == "inventory"]
        flows = ", ".join(dict.fromkeys(cell.flow for cell in inventory))
        if inventory:
            code = "reports.gpc_unknown" if ref else "reports.gpc_unassigned"
            data = {"text": ref, "flows": flows, "kg": weights.kilograms(inventory)}
            problems.append(Problem(code, data))
    return problems


def _build(
    reference: Reference,
    cells: Sequence[Cell],
    declared: tuple[Key, str] | None,
    territory: Territory,
    weights: Weights,
) -> GpcRow:
    """One row; the contradictions between its cells and its key are problems of the row."""
    key, reason = declared or (None, "")
    counted = _net(reference.ref, cells)
    weighed = [cell for cell in counted if weights.weight(cell.gas, cell.note) is not None]
    hidden = key is not None and "C" in key.keys
    result = add(weighed, weights) if weighed and not hidden else None
    return GpcRow(
        reference=reference,
        key=key,
        reason=reason,
        sum=result,
        biogenic=0.0 if hidden else masses(c for c in cells if c.account == "memo").get("CO2", 0.0),
        activity_quality=_lowest(_activity_quality(cell, territory) for cell in counted),
        factor_quality=_lowest(factor_quality(factor) for cell in counted for factor in cell.factor_ids),
        flows=tuple(dict.fromkeys(cell.flow for cell in counted)),
        statuses=tuple(sorted({cell.status for cell in counted if cell.status})),
        problems=tuple(_contradictions(reference, key, weighed, cells)),
    )


def _net(ref: str, cells: Sequence[Cell]) -> list[Cell]:
    """What counts in a reference: its inventory cells and, for land, its removals as negative masses."""
    taken = (
        [replace(cell, kg=-cell.kg) for cell in cells if cell.account == "removal"] if ref == _LAND else []
    )
    return [cell for cell in cells if cell.account == "inventory"] + taken


def _contradictions(
    reference: Reference, key: Key | None, weighed: Sequence[Cell], cells: Sequence[Cell]
) -> list[Problem]:
    problems = []
    data = {"ref": reference.ref, "key": str(key)}
    if key is None and not weighed:
        problems.append(Problem("reports.gpc_neither", data, severity="warning"))
    if key is not None and "IE" in key.keys and not key.where:
        problems.append(Problem("reports.gpc_ie_where", data, severity="warning"))
    if key is not None and weighed:
        code = "reports.gpc_confidential" if "C" in key.keys else "reports.gpc_both"
        problems.append(Problem(code, data, severity="warning"))
    taken = masses(cell for cell in cells if cell.account == "removal").get("CO2", 0.0)
    if taken:
        code = "reports.gpc_land_net" if reference.ref == _LAND else "reports.gpc_removal"
        problems.append(Problem(code, {**data, "kg": round(1000 * taken)}, severity="note"))
    scopes = {cell.scope for cell in weighed if cell.scope is not None} - {reference.scope}
    if scopes:
        found = ", ".join(str(scope) for scope in sorted(scopes))
        problems.append(
            Problem(
                "reports.gpc_scope", {**data, "scope": reference.scope, "found": found}, severity="warning"
            )
        )
    return problems


def _activity_quality(cell: Cell, territory: Territory) -> str:
    flow = territory.flows.get(cell.flow)
    return _ACTIVITY_QUALITY.get(flow.basis, "") if flow else ""


def factor_quality(factor: str) -> str:
    """H, M or L of a factor by its id: specific, national, or an international default; empty when the id tells nothing.

    GPC 1.1, Table 5.3: high for specific, medium for more general, low for default emission factors.
    """
    origin = factor.partition(":")[0].casefold()
    return next((rank for rank, names in _FACTOR_QUALITY.items() if origin.startswith(names)), "")


def _lowest(ranks: Iterable[str]) -> str:
    known = [rank for rank in ranks if rank]
    return max(known, key=_RANKS.index) if known else ""


def _counted(rows: Sequence[GpcRow], by_ref: Mapping[str, list[Cell]], level: str) -> list[Cell]:
    shown = [row.ref for row in rows if row.sum and row.reference.counts_in(level)]
    return [cell for ref in shown for cell in _net(ref, by_ref.get(ref, []))]


def _gases(rows: Sequence[GpcRow], level: str) -> dict[str, float]:
    """Tonnes by gas of a level."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.sum and row.reference.counts_in(level):
            for gas, mass in row.sum.gases.items():
                found.setdefault(gas, []).append(mass)
    return {gas: plain_sum(found[gas]) for gas in sorted(found, key=gas_order)}


def part_name(part: str, lang: str = "en") -> str:
    """The name of a part of a total: a sector, or waste from outside the city."""
    if part == "III imported":
        return say("gpc_part_imported", lang)
    return f"{part} {sector_name(part, lang)}"


def level_name(level: str, lang: str = "en") -> str:
    """The name of a reporting level."""
    return level if level in (BASIC, BASIC_PLUS) else say(f"gpc_level_{level}", lang)


def _heading(column: str, lang: str) -> str:
    """The heading of a column; a column of a gas is named by the gas itself."""
    gas, _, unit = column.rpartition("_")
    code = f"column_{column}"
    return say(code, lang) if column in _COLUMNS else f"{gas} ({unit})"


_COLUMNS = frozenset(
    (
        "ref", "sector", "name", "scope", "level", "key", "co2e_t", "half_width_t", "biogenic_co2_t", "activity_quality",
        "factor_quality", "status", "note", "part", "per_capita_t", "missing",
    )
)  # fmt: skip
