# SPDX-License-Identifier: Apache-2.0
"""Form 06 itself: the eleven items of the outline, filled from a facility report.

Comes in: a `FacilityReport`. Goes out: a `Document`. The headings are those of Decree 06/2022/NĐ-CP, Appendix II, Form 06, which
prescribes no tables; the tables under III.2 are those of Circular 38/2023/TT-BCT, Appendix II, Section 1. Every sentence
states what was declared or computed; judgement is left to the facility as a blank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mangrove.measure.activity_tables import activity_tables
from mangrove.measure.cells import Cell, add, gas_group, gas_order
from mangrove.measure.circular38 import (
    DIRECT,
    INDIRECT,
    NO_FORMULA,
    SOURCE_TYPES,
    FacilityReport,
    YearResult,
    source_type,
)
from mangrove.measure.report_model import DASH, Document, Grid, Section, Value, number, say
from mangrove.territory.model import Flow

_DECIMALS = 2
"""Decimals of tonnes of CO2e and of percentages in tables of results: 10 kg."""
_ASPECTS = ("completeness", "suitability", "sufficiency", "representativeness", "anomalies", "transparency")
"""Circular 38/2023/TT-BCT, Article 11, clause 1, points a, b, c, d, đ, e."""


def form06(report: FacilityReport) -> Document:
    """The report as a document of eleven items in three parts."""
    lang = report.lang
    years = say("form_years", lang).join(str(result.year) for result in report.years)
    return Document(
        form=say("form_number", lang),
        left=(report.facts["name"].upper(), "———————"),
        right=(say("form_country", lang), say("form_motto", lang), "———————————"),
        title=(say("form_report", lang), say("form_title", lang, years=years), "———————"),
        sections=(*_part_one(report), *_part_two(report), *_part_three(report)),
        signature=say("form_signature", lang) + "\n\n\n" + report.fact("legal_representative"),
        sources=(_trace(report),),
        lang=lang,
    )


def _part_one(report: FacilityReport) -> Iterator[Section]:
    """I. Who reports."""
    lang, fact = report.lang, report.fact
    yield Section(say("form_1", lang), 1)
    lines = [say(f"fact_{name}", lang, value=fact(name)) for name in ("name", "address", "licence")]
    yield Section(say("form_1_1", lang), 2, tuple(lines))
    lines = [say(f"fact_{name}", lang, value=fact(name)) for name in ("legal_representative", "legal_title")]
    yield Section(say("form_1_2", lang), 2, tuple(lines))
    yield Section(say("form_1_3", lang), 2, (fact("field"),))


def _part_two(report: FacilityReport) -> Iterator[Section]:
    """II. What it does."""
    lang, fact = report.lang, report.fact
    yield Section(say("form_2", lang), 1)
    places = [p for p in report.territory.places.values() if p.id in report.inside and p.id != report.place]
    named = ", ".join(place.name for place in places[:30]) + (" …" if len(places) > 30 else "")  # noqa: PLR2004
    scope = say("form_boundary", lang, count=len(places), places=named or DASH)
    yield Section(say("form_2_1", lang), 2, (fact("boundary"), scope))
    kinds = Counter(asset.type for asset in report.territory.assets.values() if asset.place in report.inside)
    listed = "; ".join(f"{kind}: {count}" for kind, count in kinds.items())
    assets = say("form_assets", lang, assets=listed or DASH)
    yield Section(say("form_2_2", lang), 2, (fact("infrastructure"), assets))
    yield Section(say("form_2_3", lang), 2, (_sinks(report),), (_sources(report),))
    problems = tuple(f"– {problem.text(lang)}" for problem in report.problems) or (DASH,)
    limits = say("form_limits", lang, value=fact("limitations"))
    lines = (fact("data_system"), limits, say("form_found", lang), *problems)
    yield Section(say("form_2_4", lang), 2, lines)


def _sinks(report: FacilityReport) -> str:
    lang = report.lang
    measured = [result for result in report.years if result.removals.cells]
    if measured:
        text = "; ".join(
            f"{r.year}: {number(r.removals.co2e, lang, 1)} {say('tco2e', lang)}" for r in measured
        )
        return say("form_sinks", lang, value=text)
    return say("form_sinks", lang, value=report.fact("sinks"))


def _sources(report: FacilityReport) -> Grid:
    """The declared sources, by type of Article 16; a type without any says so."""
    lang, flows = report.lang, report.flows()
    rows: list[tuple[Value, ...]] = []
    for index, source in enumerate(SOURCE_TYPES, start=1):
        mine = [flow for flow in flows if source_type(flow) == source]
        names = "; ".join(flow_name(flow) for flow in mine) or say("form_none_declared", lang)
        rows.append((index, say(f"article_{source}", lang), say(f"source_{source}", lang), names))
    columns = tuple(say(f"column_{name}", lang) for name in ("number", "article", "source", "flows"))
    return Grid(say("grid_sources", lang), columns, tuple(rows), (), say("sheet_sources", lang))


def flow_name(flow: Flow) -> str:
    """The declared name of a flow, or its id."""
    return flow.name or flow.id


def _part_three(report: FacilityReport) -> Iterator[Section]:
    """III. What came out."""
    lang = report.lang
    yield Section(say("form_3", lang), 1)
    yield Section(say("form_3_1", lang), 2, tuple(_methods(report)), (_factors(report),))
    yield Section(say("form_3_2", lang), 2, (say("form_activity", lang),), tuple(activity_tables(report)))
    grids = [
        grid for result in report.years for grid in (_by_source(report, result), _by_gas(report, result))
    ]
    if len(report.years) > 1:
        grids.append(_comparison(report))
    yield Section(say("form_3_3", lang), 2, tuple(_totals(report)), tuple(grids))
    yield Section(say("form_3_4", lang), 2, tuple(_uncertainty(report)), ())


def _methods(report: FacilityReport) -> Iterator[str]:
    lang = report.lang
    yield say("form_method", lang)
    yield say("form_priority", lang)
    yield say("form_gwp", lang, gwp=report.gwp)
    used = {source for result in report.years for source in result.sources}
    for source in SOURCE_TYPES:
        if source in used:
            yield f"– {say(f'source_{source}', lang)}: {say(f'formula_{source}', lang)}"


def _factors(report: FacilityReport) -> Grid:
    """The factors behind every source, each with its document and its own status."""
    lang = report.lang
    rows: dict[tuple[str, str], set[str]] = {}
    for result in report.years:
        for source, cells in result.cells.items():
            for cell in cells:
                for factor in cell.factor_ids or (DASH,):
                    rows.setdefault((source, factor), set()).add(cell.gas)
    body: list[tuple[Value, ...]] = []
    for (source, factor), gases in rows.items():
        rule = report.documents.get(factor)
        own = say("factor_own", lang) if factor.startswith("local:") else DASH
        document, status = (str(rule.source), _status(rule.status, lang)) if rule else (own, DASH)
        listed = ", ".join(sorted(gases, key=gas_order))
        body.append((say(f"source_{source}", lang), factor, listed, document, status))
    columns = tuple(
        say(f"column_{name}", lang) for name in ("source", "factor", "gases", "document", "status")
    )
    return Grid(say("grid_factors", lang), columns, tuple(body), (), say("sheet_factors", lang))


def _status(status: str, lang: str) -> str:
    """The status of a rule in words."""
    return say(f"status_{status}", lang) if status else DASH


def _totals(report: FacilityReport) -> Iterator[str]:
    lang = report.lang
    for result in report.years:
        data = {name: number(getattr(result, name), lang, 1) for name in ("direct", "indirect", "total")}
        yield say("form_total", lang, year=result.year, gwp=report.gwp, **data)
        if result.biogenic.cells:
            yield say("form_biogenic", lang, year=result.year, value=number(result.biogenic.co2e, lang, 1))


def _by_source(report: FacilityReport, result: YearResult) -> Grid:
    """Tonnes of CO2e by source type and group of gases; rows and columns add up to the total."""
    lang, weights = report.lang, report.weights
    groups = sorted({gas_group(cell.gas) for cell in result.counted}, key=gas_order)
    rows: list[tuple[Value, ...]] = []

    def line(label: str, name: str, cells: tuple[Cell, ...], value: float) -> None:
        by_group = [[cell for cell in cells if gas_group(cell.gas) == group] for group in groups]
        amounts = [weights.tonnes(group) if group else DASH for group in by_group]
        width = add(cells, weights).spread
        percent = 100 * width.half_width / abs(value) if width and value else DASH
        rows.append((label, name, *amounts, value if cells else DASH, percent))

    for kind, sources in (("direct", DIRECT), ("indirect", INDIRECT)):
        for source in sources:
            cells = result.cells.get(source, ())
            value = result.sources[source].co2e if cells else 0.0
            line(say(f"article_{source}", lang), say(f"source_{source}", lang), cells, value)
        both = tuple(cell for source in sources for cell in result.cells.get(source, ()))
        line("", say(kind, lang), both, getattr(result, kind))
    line("", say("total", lang), result.counted, result.total)
    heads = [say(f"column_{name}", lang) for name in ("article", "source")]
    tail = [say(f"column_{name}", lang) for name in ("total", "uncertainty")]
    notes = [say(f"no_formula_{source}", lang, year=result.year) for source in NO_FORMULA]
    title = say("grid_results", lang, year=result.year, gwp=report.gwp)
    return Grid(
        title,
        (*heads, *groups, *tail),
        tuple(rows),
        tuple(notes),
        f"{say('sheet_results', lang)} {result.year}",
        _DECIMALS,
    )


def _by_gas(report: FacilityReport, result: YearResult) -> Grid:
    """Mass, GWP and CO2e of every gas."""
    lang, weights = report.lang, report.weights
    rows: list[tuple[Value, ...]] = []
    gases = sorted(
        {(cell.gas, cell.note if cell.gas == "CO2e" else "") for cell in result.counted},
        key=lambda g: gas_order(g[0]),
    )
    for index, (gas, note) in enumerate(gases, start=1):
        cells = [cell for cell in result.counted if cell.gas == gas]
        weight = weights.weight(gas, note)
        mass = add(cells, weights).gases[gas]
        rows.append((index, gas, mass, weight, None if weight is None else weights.tonnes(cells)))
    rows.append(("", say("total", lang), "", "", result.total))
    columns = tuple(say(f"column_{name}", lang) for name in ("number", "gas", "mass", "gwp", "total"))
    title = say("grid_gases", lang, year=result.year, gwp=report.gwp)
    return Grid(title, columns, tuple(rows), (), f"{say('sheet_gases', lang)} {result.year}")


def _comparison(report: FacilityReport) -> Grid:
    """Both years beside each other."""
    lang, (first, second) = report.lang, report.years
    rows: list[tuple[Value, ...]] = []

    def line(name: str, old: float | None, new: float | None) -> None:
        change = 100 * (new - old) / abs(old) if old and new is not None else DASH
        rows.append((name, DASH if old is None else old, DASH if new is None else new, change))

    for source in SOURCE_TYPES:
        pair = [result.sources[source].co2e if source in result.sources else None for result in report.years]
        line(say(f"source_{source}", lang), *pair)
    line(say("total", lang), first.total, second.total)
    columns = (say("column_source", lang), str(first.year), str(second.year), say("column_change", lang))
    return Grid(
        say("grid_comparison", lang, gwp=report.gwp),
        columns,
        tuple(rows),
        (),
        say("sheet_comparison", lang),
        _DECIMALS,
    )


def _uncertainty(report: FacilityReport) -> Iterator[str]:
    """The six aspects of Article 11, each with what the data show and room for the facility's view; then the numbers."""
    lang = report.lang
    yield say("form_aspects", lang)
    for aspect in _ASPECTS:
        yield f"{say(f'aspect_{aspect}', lang)} {_evidence(report, aspect)}"
        yield say("form_remark", lang, value=report.fact(aspect))
    yield say("form_approach_1", lang)
    for result in report.years:
        if result.spread is None:
            yield say("form_no_interval", lang, year=result.year)
            continue
        width, size = result.spread.half_width, abs(result.total)
        data = {
            "width": number(width, lang, 1),
            "percent": number(100 * width / size if size else None, lang, 1),
            "covered": number(100 * result.spread.covered, lang, 1),
        }
        yield say("form_interval", lang, year=result.year, **data)


def _evidence(report: FacilityReport, aspect: str) -> str:
    """What the data show for one aspect."""
    lang = report.lang
    cells = [cell for result in report.years for cell in result.counted]
    flows = {cell.flow for cell in cells}
    if aspect == "completeness":
        types = {source for result in report.years for source in result.sources}
        return say(
            "evidence_completeness", lang, types=len(types), flows=len(flows), declared=len(report.flows())
        )
    if aspect == "suitability":
        origins = Counter(
            factor.partition(":")[0] for factor in {f for cell in cells for f in cell.factor_ids}
        )
        listed = "; ".join(f"{origin}: {count}" for origin, count in sorted(origins.items()))
        return say("evidence_suitability", lang, origins=listed or DASH)
    if aspect == "sufficiency":
        return say("evidence_sufficiency", lang, problems=len(report.problems))
    if aspect == "representativeness":
        weak = [f for f in report.flows() if f.id in flows and f.basis in ("assumed", "generated")]
        return say(
            "evidence_representativeness",
            lang,
            count=len(weak),
            flows=", ".join(map(flow_name, weak)) or DASH,
        )
    if aspect == "anomalies":
        return say("evidence_anomalies", lang, changes=_changes(report))
    outside = sorted({cell.flow for result in report.years for cell in result.outside})
    weak_rules = sorted({cell.status for cell in cells} - {"official", ""})
    statuses = ", ".join(_status(status, lang) for status in weak_rules)
    data = {"outside": ", ".join(outside) or DASH, "statuses": statuses or DASH}
    return say("evidence_transparency", lang, **data)


def _changes(report: FacilityReport) -> str:
    """The change of every source type from the first year to the second."""
    if len(report.years) == 1:
        return DASH
    rows = _comparison(report).rows
    found = [
        f"{row[0]}: {'+' if row[3] > 0 else ''}{number(row[3], report.lang, 1)} %"
        for row in rows
        if isinstance(row[3], float)
    ]
    return "; ".join(found) or DASH


def _trace(report: FacilityReport) -> Grid:
    """Every number behind the totals: one row per year, flow and gas."""
    lang, weights = report.lang, report.weights
    names = (
        "year",
        "flow",
        "name",
        "place",
        "source",
        "activity",
        "unit",
        "gas",
        "kg",
        "sd",
        "gwp",
        "total",
        "factor",
        "status",
    )
    rows: list[tuple[Value, ...]] = []
    for result in report.years:
        for source, cells in result.cells.items():
            for cell in cells:
                flow, weight = report.territory.flows[cell.flow], weights.weight(cell.gas, cell.note)
                amount = None if weight is None else weights.tonnes([cell])
                label = say(f"source_{source}", lang)
                row = (
                    result.year,
                    cell.flow,
                    flow.name,
                    cell.place,
                    label,
                    cell.activity,
                    cell.activity_unit,
                    cell.gas,
                )
                rows.append((*row, cell.kg, cell.sd, weight, amount, " ".join(cell.factor_ids), cell.status))
    columns = tuple(say(f"column_{name}", lang) for name in names)
    return Grid(say("grid_trace", lang), columns, tuple(rows), (), say("sheet_trace", lang))
