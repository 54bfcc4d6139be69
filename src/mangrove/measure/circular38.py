# SPDX-License-Identifier: Apache-2.0
"""The facility report of Circular 38/2023/TT-BCT in the outline of Form 06, for one or two years.

Comes in: the cells of each year, the territory (or one facility in it) and a named GWP set. Goes out: a `FacilityReport`:
results by the eight source types of Article 16 and by gas, the activity tables of Appendix II, the uncertainty that Article 21
asks for, and the document of Form 06 (Decree 06/2022/NĐ-CP, Appendix II) as .docx and .xlsx. What the declaration does not
say (the legal representative, the licence) is a visible blank in the file.

Sources: Circular 38/2023/TT-BCT, Articles 11, 15 to 21 and Appendix II as corrected by Decision 334/QĐ-BCT (6/2/2025);
Decree 06/2022/NĐ-CP, Article 11 and Appendix II, Form 06, as amended by Decree 119/2025/NĐ-CP (two consecutive years in one
report, Article 11(1)(e)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mangrove.errors import Problem, RequestError
from mangrove.measure.cells import Cell, Spread, Sum, Weights, add, greenhouse_gases, in_view, spread
from mangrove.measure.gpc_structure import plain_sum
from mangrove.measure.report_model import BLANK, Document, number, say
from mangrove.rules import Factor, Rules
from mangrove.territory.model import Flow, Territory

DIRECT = ("stationary", "mobile", "process", "fugitive", "refrigerant", "waste")
INDIRECT = ("electricity", "steam")
SOURCE_TYPES = DIRECT + INDIRECT
"""The source types of Article 16: clause 1, points a, b, c, d, đ, e; clause 2, points a, b."""
NO_FORMULA = ("process", "waste")
"""Types for which Circular 38 prints no formula: processes have none, waste refers to Circular 17/2022/TT-BTNMT."""
FACTS = (
    "name", "address", "licence", "legal_representative", "legal_title", "field", "boundary", "infrastructure", "sinks",
    "data_system", "limitations", "completeness", "suitability", "sufficiency", "representativeness", "anomalies",
    "transparency",
)  # fmt: skip
"""What a facility may declare about itself in words; every fact that is absent stays a blank in the report."""
_MOBILE_USES = frozenset({"road", "rail", "waterway", "aviation", "off_road"})
_TYPE_OF_CARRIER = {
    "fuel": "stationary", "hydrogen": "stationary", "vehicle_km": "mobile", "process": "process", "material": "process",
    "refrigerant": "refrigerant", "waste": "waste", "wastewater": "waste", "gas": "fugitive",
}  # fmt: skip
_TYPE_OF_ENERGY = {"electricity": "electricity", "steam": "steam", "heat": "steam"}
_TYPE_OF_KEY = {
    "fugitive": "fugitive", "process": "process", "refrigerant": "refrigerant", "landfill": "waste", "incineration": "waste",
    "biological": "waste", "wastewater": "waste", "vehicle": "mobile",
}  # fmt: skip
_YEARS = 2


def source_type(flow: Flow) -> str:
    """The source type of Article 16 that a flow belongs to; empty when the article has none for it.

    The word `source_type` among the flow's parameters decides when it is there; then the activity key of the factor; then
    the carrier. Only scope 1 is direct and only scope 2 is indirect.

    Example:
        >>> from mangrove.territory.model import Carrier
        >>> from mangrove.units import unit
        >>> diesel = Flow("d", "yard", Carrier.parse("fuel:diesel"), unit("L"), scope=1, factor="combustion/road/diesel")
        >>> source_type(diesel)
        'mobile'
    """
    stated = flow.parameters.get("source_type")
    if isinstance(stated, str) and stated in SOURCE_TYPES:
        return stated
    if flow.scope == 2:  # noqa: PLR2004 - the scope itself
        return _TYPE_OF_ENERGY.get(flow.carrier.kind, "")
    if flow.scope != 1:
        return ""
    key, _, rest = flow.factor.partition("/")
    use = flow.parameters.get("use", "")
    if key == "combustion" or (flow.carrier.kind == "fuel" and not key):
        return "mobile" if {rest.partition("/")[0], use} & _MOBILE_USES else "stationary"
    return _TYPE_OF_KEY.get(key) or _TYPE_OF_CARRIER.get(flow.carrier.kind, "")


@dataclass(frozen=True, slots=True)
class YearResult:
    """The inventory of one year.

    Attributes:
        year: calendar year; sources: source type -> sum, only for types with a number; cells: source type -> its cells.
        direct, indirect, total: tonnes of CO2e; each is exactly the sum of the sources, added in the order of Article 16.
        spread: 95 % interval of the total (IPCC Approach 1), None when no error is stated.
        removals, biogenic: beside the total, never in it.
        outside: cells of flows that Article 16 does not know, or of scope 3.
    """

    year: int
    sources: Mapping[str, Sum]
    cells: Mapping[str, tuple[Cell, ...]]
    direct: float
    indirect: float
    total: float
    spread: Spread | None
    removals: Sum
    biogenic: Sum
    outside: tuple[Cell, ...]

    @property
    def counted(self) -> tuple[Cell, ...]:
        """All cells in the total, in the order of Article 16."""
        return tuple(cell for cells in self.cells.values() for cell in cells)


@dataclass(frozen=True)
class FacilityReport:
    """A facility's report: results, facts, and what is missing.

    Attributes:
        territory: what was declared; place: the facility's place, None for the whole territory.
        facts: declared words by the names in `FACTS`; absent ones are blanks.
        gwp: name of the GWP set; weights: of the gases in it.
        years: one or two consecutive results.
        ncv: flow -> TJ per unit of its activity, as the measurement used it; absent ones are blanks.
        documents: id -> rule, for the factors behind the cells; the territory's own factors are not among them.
        problems: what the reader must know: gaps of the measurement, flows left out, flows without a number.
        lang: language of the files.
    """

    territory: Territory
    place: str | None
    facts: Mapping[str, str]
    gwp: str
    weights: Weights
    years: tuple[YearResult, ...]
    ncv: Mapping[str, float]
    documents: Mapping[str, Factor]
    problems: tuple[Problem, ...]
    lang: str = "vi"

    @cached_property
    def document(self) -> Document:
        """The report in the outline of Form 06."""
        from mangrove.measure.form06 import form06

        return form06(self)

    def write_docx(self, path: Path) -> None:
        """Writes the report as a Word document."""
        from mangrove.measure.writers import write_document_docx

        write_document_docx(path, self.document)

    def write_xlsx(self, path: Path) -> None:
        """Writes every table of the report, and the cells behind them, as a workbook."""
        from mangrove.measure.writers import write_document_xlsx

        write_document_xlsx(path, self.document)

    def fact(self, name: str) -> str:
        """What was declared under `name`, or a visible blank."""
        return self.facts.get(name, BLANK)

    def text(self, lang: str | None = None) -> str:
        """The report for a terminal: totals, sources and problems; the files hold the rest."""
        lang = lang or self.lang
        lines = [self.fact("name")]
        for result in self.years:
            data = {name: number(getattr(result, name), lang, 1) for name in ("direct", "indirect", "total")}
            lines.append(say("form_total", lang, year=result.year, gwp=self.gwp, **data))
            for source, found in result.sources.items():
                lines.append(f"{number(found.co2e, lang, 1):>18}  {say(f'source_{source}', lang)}")
        return "\n".join([*lines, *(f"- {problem.text(lang)}" for problem in self.problems)])

    def flows(self) -> list[Flow]:
        """The declared flows of the facility that belong to a source type of Article 16."""
        inside = self.inside
        return [flow for flow in self.territory.flows.values() if flow.place in inside and source_type(flow)]

    @cached_property
    def inside(self) -> frozenset[str]:
        """Ids of the places that the report covers."""
        return _inside(self.territory, self.place)


def circular38_report(
    cells: Mapping[int, Sequence[Cell]],
    territory: Territory,
    rules: Rules,
    gwp: str,
    *,
    place: str | None = None,
    ncv: Mapping[str, float] | None = None,
    gaps: Sequence[Problem] = (),
    lang: str = "vi",
) -> FacilityReport:
    """The facility report of one year, or of two consecutive years as Decree 119/2025 asks.

    Purchased electricity is counted location-based, with the factor of the national grid (Appendix II, point 3).

    Args:
        cells: calendar year -> cells of that year, of the whole territory or of the facility.
        territory: what is declared. The facility's own words come from `facility` in `territory.yaml` or, for a `place`,
            from the further columns of the place.
        rules: where GWP sets are found.
        gwp: name of the set (Circular 38 prints none).
        place: narrows the report to one place and all that it contains.
        ncv: flow -> TJ per unit of its activity.
        gaps: of the measurement, shown among the limitations.
        lang: language of the files.

    Raises:
        RequestError: `reports.years`, `reports.unknown_place`.
        RuleError: the GWP set does not exist.
    """
    years = sorted(cells)
    if not years or len(years) > _YEARS or years[-1] - years[0] != len(years) - 1:
        raise RequestError("reports.years", years=", ".join(map(str, years)))
    inside = _inside(territory, place)
    weights = Weights(rules, gwp)
    chosen = {year: [cell for cell in cells[year] if cell.place in inside] for year in years}
    results = tuple(_result(year, chosen[year], territory, weights) for year in years)
    used = {factor for result in results for cell in result.counted for factor in cell.factor_ids}
    report = FacilityReport(
        territory=territory,
        place=place,
        facts=_facts(territory, place),
        gwp=gwp,
        weights=weights,
        years=results,
        ncv=ncv or {},
        documents={factor.id: factor for factor in rules.factors if factor.id in used},
        problems=(),
        lang=lang,
    )
    return replace(report, problems=(*_problems(report), *gaps))


def _inside(territory: Territory, place: str | None) -> frozenset[str]:
    if place is None:
        return frozenset(territory.places)
    if place not in territory.places:
        raise RequestError("reports.unknown_place", text=place)
    return frozenset(p for p in territory.places if territory.lies_in(p, place))


def _facts(territory: Territory, place: str | None) -> dict[str, str]:
    """What is declared in words: `facility` of the settings for the whole, the further columns of the place for a part."""
    declared = territory.settings.get("facility") if place is None else territory.places[place].props
    words = (
        {key: str(value or "") for key, value in declared.items()} if isinstance(declared, Mapping) else {}
    )
    name = territory.name if place is None else territory.places[place].name
    return {"name": name, **{key: value for key, value in words.items() if key in FACTS and value.strip()}}


def _result(year: int, cells: Sequence[Cell], territory: Territory, weights: Weights) -> YearResult:
    located = in_view(greenhouse_gases(cells), "location")
    types = {flow.id: source_type(flow) for flow in territory.flows.values()}
    placed: dict[str, list[Cell]] = {source: [] for source in SOURCE_TYPES}
    outside: list[Cell] = []
    for cell in located:
        if cell.account == "inventory":
            placed.get(types.get(cell.flow, ""), outside).append(cell)
    sources = {source: add(group, weights) for source, group in placed.items() if group}
    direct = plain_sum(sources[source].co2e for source in DIRECT if source in sources)
    indirect = plain_sum(sources[source].co2e for source in INDIRECT if source in sources)
    return YearResult(
        year=year,
        sources=sources,
        cells={source: tuple(group) for source, group in placed.items() if group},
        direct=direct,
        indirect=indirect,
        total=direct + indirect,
        spread=spread([cell for group in placed.values() for cell in group], weights),
        removals=add([cell for cell in located if cell.account == "removal"], weights),
        biogenic=add([cell for cell in located if cell.account == "memo"], weights),
        outside=tuple(outside),
    )


def _problems(report: FacilityReport) -> list[Problem]:
    """What the report leaves out, and what it lacks."""
    problems: list[Problem] = []
    if len(report.years) < _YEARS:
        problems.append(Problem("reports.one_year", {"year": report.years[0].year}, severity="warning"))
    for result in report.years:
        problems += report.weights.problems(result.counted)
        silent = [flow.id for flow in report.flows() if flow.id not in {cell.flow for cell in result.counted}]
        silent = [flow for flow in silent if report.territory.flows[flow].account == "inventory"]
        if silent:
            data: dict[str, object] = {"year": result.year, "flows": ", ".join(silent)}
            problems.append(Problem("reports.no_number", data, severity="warning"))
        if result.outside:
            flows = ", ".join(dict.fromkeys(cell.flow for cell in result.outside))
            data = {"year": result.year, "flows": flows, "kg": report.weights.kilograms(result.outside)}
            problems.append(Problem("reports.outside_article_16", data, severity="note"))
        for source in NO_FORMULA:
            if source in result.sources:
                problems.append(
                    Problem(f"reports.no_formula_{source}", {"year": result.year}, severity="note")
                )
    return problems
