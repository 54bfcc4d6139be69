# SPDX-License-Identifier: Apache-2.0
"""The sections of a report that say what was emitted: where, from what, when, and how sure that is.

Comes in: a page and a model. Goes out: HTML of one section, empty when the model has nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mangrove import figures
from mangrove.figures import numbers
from mangrove.figures.palette import SCOPES
from mangrove.serve.html import Column, Page, el, text
from mangrove.serve.report_model import Amount, GasRow, ReportModel, Row

WIDTH = 800.0
"""Width of all figures in pixels: the text column on a screen, so that 12 px stay 12 px."""


def where(page: Page, model: ReportModel) -> str:
    """The map and the largest places."""
    parts = []
    if model.map:
        drawn = figures.choropleth(
            model.map.shapes,
            model.map.values,
            title=page.word("report.map_title"),
            unit=model.map.unit,
            lang=page.lang,
            width=WIDTH,
            basis=model.map.basis,
            heading=False,
        )
        bases = {model.map.basis.get(shape.id, "") for shape in model.map.shapes}
        parts.append(
            page.figure(drawn, page.word("report.map_title"), basis=bases, note=page.word(model.map.note))
        )
    if model.places:
        many = model.place_count is not None and model.place_count > len(model.places)
        title = "places_of" if many else "places"
        caption = page.words(title, shown=len(model.places), count=model.place_count)
        parts.append(amounts(page, caption, page.word("report.place"), model.places, model.total))
    return "".join(parts)


def what(page: Page, model: ReportModel) -> str:
    """Carriers to gases, then sectors, scopes, gases, the GPC table and the accounts beside the inventory."""
    parts = []
    if model.sankey:
        words = [
            figures.SankeyLink(page.word(k.source), page.word(k.target), k.value) for k in model.sankey.links
        ]
        layers = [page.word(layer) for layer in model.sankey.layers]
        title = page.word("report.sankey_title")
        drawn = figures.sankey(words, title=title, lang=page.lang, width=WIDTH, layers=layers, heading=False)
        parts.append(page.figure(drawn, title, basis=model.sankey.basis, note=page.word(model.sankey.note)))
    for rows, caption, head in ((model.sectors, "sectors", "sector"), (model.scopes, "scopes", "scope")):
        if rows:
            parts.append(amounts(page, page.words(caption), page.words(head), rows, model.total, whole=True))
    if model.gases:
        parts.append(gases(page, model.gases, model))
    if model.gpc:
        parts.append(gpc(page, model))
    if model.accounts:
        note = page.words("accounts_note")
        table = amounts(page, page.words("accounts"), page.words("account"), model.accounts, None, note=note)
        parts.append(table)
    return "".join(parts)


def when(page: Page, model: ReportModel) -> str:
    """Months by sector, then every hour of the period."""
    parts = []
    if model.months:
        title = page.word("report.months_title")
        series = {page.word(name): values for name, values in model.months.series.items()}
        drawn = figures.stacked_series(
            model.months.periods, series, title=title, lang=page.lang, width=WIDTH, heading=False
        )
        parts.append(page.figure(drawn, title, basis=model.months.basis, note=page.word(model.months.note)))
    if model.carpet:
        title = page.word("report.carpet_title")
        drawn = figures.carpet(
            model.carpet.matrix,
            start=model.carpet.start,
            title=title,
            unit=model.carpet.unit,
            lang=page.lang,
            width=WIDTH,
            heading=False,
        )
        note = " ".join(
            n for n in (page.words("carpet_note", zone=model.timezone), page.word(model.carpet.note)) if n
        )
        parts.append(page.figure(drawn, title, basis=[model.carpet.basis], note=note))
    return "".join(parts)


def sure(page: Page, model: ReportModel) -> str:
    """The interval bars and how the interval of the total comes about."""
    if not model.uncertainty:
        return ""
    title = page.word("report.uncertainty_title")
    bars = [
        figures.Bar(page.word(bar.label), bar.value, bar.low, bar.high, bar.basis)
        for bar in model.uncertainty
    ]
    drawn = figures.interval_bars(bars, title=title, lang=page.lang, width=WIDTH, heading=False)
    shown = page.figure(drawn, title, basis=[bar.basis for bar in bars])
    return el("p", page.say("uncertainty_text")) + shown


def scope_bar(page: Page, rows: Sequence[Row]) -> str:
    """The scopes as one stacked bar for the summary."""
    names = {row.label: page.word(row.label) for row in rows}
    parts = {names[row.label]: np.nan if row.amount.value is None else row.amount.value for row in rows}
    colors = {names[row.label]: SCOPES[key] for row in rows if (key := row.label.rstrip()[-1:]) in SCOPES}
    title = page.word("report.scopes")
    bar = figures.Bar(page.word("report.total_short"), None, parts=parts)
    drawn = figures.stacked_bars(
        [bar], title=title, lang=page.lang, width=WIDTH, colors=colors, heading=False
    )
    return page.figure(drawn, title, basis={row.amount.basis for row in rows})


def amounts(
    page: Page,
    caption: str,
    head: str,
    rows: Sequence[Row],
    total: Amount | None,
    *,
    whole: bool = False,
    note: str = "",
) -> str:
    """A table of amounts with intervals, shares, trends and bases; columns that no row fills are left out.

    With `whole` the rows are all there is: what they leave of the total is shown as a difference when it is visible.
    """
    scaling, decimals = column_scale([row.amount for row in rows], page.lang)
    columns = [Column(head), Column(page.words("emissions"), "number", scaling.label)]
    has = _filled(rows)
    columns += [Column(page.words("interval"), "number", scaling.label)] if has["interval"] else []
    columns += [Column(page.words("share"), "share")] if total else []
    columns += [Column(page.words("trend"))] if has["trend"] else []
    columns += [Column(page.words("coverage"), "number")] if has["coverage"] else []
    columns += [Column(page.words("basis"))] if has["basis"] else []
    lines = []
    for row in rows:
        label = text(page.word(row.label))
        if row.note:
            label += f"<br>{el('small', text(page.word(row.note)), class_='source')}"
        line = [label, number_cell(page, row.amount.value, scaling, decimals)]
        line += [interval_cell(row.amount, scaling, decimals)] if has["interval"] else []
        line += [page.share(row.amount.value, total.value)] if total else []
        line += [_trend(page, row)] if has["trend"] else []
        line += (
            [text(numbers.percent(row.coverage, page.lang)) if row.coverage is not None else "–"]
            if has["coverage"]
            else []
        )
        line += [page.basis(row.amount.basis)] if has["basis"] else []
        lines.append(line)
    if whole and total:
        note = " ".join(part for part in (note, _difference(page, rows, total)) if part)
    return page.table(caption, columns, lines, note=note)


def _filled(rows: Sequence[Row]) -> Mapping[str, bool]:
    return {
        "interval": any(row.amount.low is not None and row.amount.high is not None for row in rows),
        "trend": any(row.trend for row in rows),
        "coverage": any(row.coverage is not None for row in rows),
        "basis": any(row.amount.basis for row in rows),
    }


def _difference(page: Page, rows: Sequence[Row], total: Amount) -> str:
    """A sentence when the rows do not add up to the total, as they should."""
    known = [row.amount.value for row in rows if numbers.is_number(row.amount.value)]
    added = sum(value for value in known if value is not None)
    if (
        total.value is None
        or not numbers.is_number(total.value)
        or abs(added - total.value) <= 1e-6 * abs(total.value)
    ):
        return ""
    scaling = numbers.scale(abs(total.value), "t CO2e", page.lang)
    return page.words("difference", amount=scaling.full(total.value - added))


def _trend(page: Page, row: Row) -> str:
    if not row.trend:
        return "–"
    title = page.words("trend_of", name=page.word(row.label))
    drawn = figures.sparkline([float(v) for v in row.trend], title=title, lang=page.lang)
    return drawn.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)


def column_scale(found: Iterable[Amount], lang: str) -> tuple[numbers.Scale, int]:
    """The unit and the decimals of a column: three digits for the largest, at least one for most of the others."""
    sizes = sorted(
        abs(a.value) for a in found if a.value is not None and numbers.is_number(a.value) and a.value
    )
    if not sizes:
        return numbers.scale(None, "t CO2e", lang), 0
    scaling = numbers.scale(sizes[-1], "t CO2e", lang)
    middle = sizes[len(sizes) // 4]
    decimals = max(scaling.decimals(sizes[-1]), scaling.decimals(middle, digits=2))
    return scaling, min(decimals, 3)


def number_cell(page: Page, value: float | None, scaling: numbers.Scale, decimals: int) -> str:
    """A number of a column; a missing one in red words, one too small for the decimals as "< 0,001"."""
    if value is None or not numbers.is_number(value):
        return page.missing()
    shown = scaling.column(value, decimals=decimals)
    if value > 0 and not any(char in "123456789" for char in shown):
        return text("< " + numbers.fixed(10.0**-decimals, page.lang, decimals=decimals))
    return text(shown)


def interval_cell(amount: Amount, scaling: numbers.Scale, decimals: int) -> str:
    """The two ends of an interval, or a dash."""
    if amount.low is None or amount.high is None or not numbers.is_number(amount.high - amount.low):
        return "–"
    low, high = (scaling.column(end, decimals=decimals) for end in (amount.low, amount.high))
    return text(f"{low} … {high}" if min(amount.low, amount.high) < 0 else f"{low} – {high}")


def gases(page: Page, rows: Sequence[GasRow], model: ReportModel) -> str:
    """Gases in their own mass, with the GWP that turns each into CO2e."""
    scaling, decimals = column_scale([row.co2e for row in rows], page.lang)
    columns = [
        Column(page.words("gas")),
        Column(page.words("mass"), "number", numbers.unit_label("t", page.lang)),
        Column("GWP", "number", model.gwp),
        Column(page.words("emissions"), "number", scaling.label),
        Column(page.words("share"), "share"),
    ]
    lines = [
        [
            text(row.gas),
            text(numbers.number(row.mass, page.lang, digits=5)) if row.mass is not None else page.missing(),
            text(numbers.number(row.gwp, page.lang, digits=6)) if row.gwp is not None else "–",
            number_cell(page, row.co2e.value, scaling, decimals),
            page.share(row.co2e.value, model.total.value),
        ]
        for row in rows
    ]
    return page.table(page.words("gases"), columns, lines, note=page.words("gases_note", gwp=model.gwp))


def gpc(page: Page, model: ReportModel) -> str:
    """The GPC table: amounts, or notation keys with their reasons."""
    scaling, decimals = column_scale([Amount(row.co2e) for row in model.gpc], page.lang)
    columns = [
        Column(page.words("gpc_ref")),
        Column(page.words("gpc_name")),
        Column(page.words("scope")),
        Column(page.words("emissions"), "number", scaling.label),
        Column(page.words("gpc_key")),
    ]
    lines = []
    for row in model.gpc:
        key = text(" ".join(part for part in (row.key, page.word(row.reason)) if part))
        amount = "–" if row.key and row.co2e is None else number_cell(page, row.co2e, scaling, decimals)
        lines.append([text(row.ref), text(page.word(row.name)), text(page.word(row.scope)), amount, key])
    return page.table(page.words("gpc"), columns, lines, note=page.words("gpc_note"))
