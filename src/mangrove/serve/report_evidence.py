# SPDX-License-Identifier: Apache-2.0
"""The sections of a report that let others check it: data health, factors and their documents, conditions, identities.

Comes in: a page and a model. Goes out: HTML of one section, empty when the model has nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from mangrove import figures
from mangrove.figures import numbers
from mangrove.rules.types import Factor
from mangrove.serve.html import Column, Page, el, text
from mangrove.serve.report_model import FactorUse, GapRow, ReportModel
from mangrove.serve.report_sections import WIDTH


def data(page: Page, model: ReportModel) -> str:
    """Coverage over time, gaps ordered by what hangs on them, values that were not summed."""
    parts = []
    if model.coverage and model.coverage.rows:
        title = page.word("report.coverage_title")
        drawn = figures.coverage_strip(
            model.coverage.rows,
            start=model.coverage.start,
            title=title,
            lang=page.lang,
            width=WIDTH,
            heading=False,
        )
        parts.append(page.figure(drawn, title))
    if model.gaps:
        parts.append(_gaps(page, model))
    else:
        parts.append(el("p", page.say("no_gaps"), class_="good"))
    if model.excluded:
        columns = [
            Column(page.words("reason")),
            Column(page.words("values"), "number"),
            Column(page.words("flows"), "number"),
        ]
        lines = [
            [
                page.say(f"quality_{row.quality.name.lower()}"),
                text(numbers.fixed(row.values, page.lang)),
                text(numbers.fixed(row.flows, page.lang)),
            ]
            for row in model.excluded
        ]
        parts.append(page.table(page.words("excluded"), columns, lines, note=page.words("excluded_note")))
    return "".join(parts)


def _gaps(page: Page, model: ReportModel) -> str:
    """Problems, the one on which most of the total hangs first."""
    whole = model.total.value
    rows = sorted(model.gaps, key=lambda gap: -(gap.touches or 0.0))
    columns = [
        Column(page.words("place_or_flow")),
        Column(page.words("finding")),
        Column(page.words("period")),
    ]
    shows_hours = any(gap.hours is not None for gap in rows)
    shows_touch = any(gap.touches is not None for gap in rows)
    columns += [Column(page.words("hours"), "number")] if shows_hours else []
    columns += [Column(page.words("touches"), "share")] if shows_touch else []
    lines = []
    for gap in rows:
        line = [
            text(page.word(gap.where)) or "–",
            _finding(page, gap),
            text(span(gap.start, gap.end, page.lang)) or "–",
        ]
        if shows_hours:
            line.append("–" if gap.hours is None else text(numbers.number(gap.hours, page.lang, digits=6)))
        if shows_touch:
            line.append(page.share(gap.touches, whole))
        lines.append(line)
    return page.table(page.words("gaps"), columns, lines, note=page.words("gaps_note"))


def _finding(page: Page, gap: GapRow) -> str:
    """The sentence of a problem; an error is red, a note is plain."""
    alarm = "missing" if gap.problem.severity == "error" else None
    return el("span", text(gap.problem.text(page.lang)), class_=alarm)


def span(start: date | None, end: date | None, lang: str) -> str:
    """Days as a reader counts them: the last day is part of the span."""
    if start is None:
        return ""
    last = end - timedelta(days=1) if end else None
    if last is None or last <= start:
        return numbers.day(start, lang)
    return f"{numbers.day(start, lang)} – {numbers.day(last, lang)}"


def factors(page: Page, model: ReportModel) -> str:
    """The factors used, each with its document and status, and what other sources say instead."""
    if not model.factors:
        return ""
    shows_share = any(use.co2e is not None for use in model.factors)
    columns = [
        Column(page.words("factor")),
        Column(page.words("gas")),
        Column(page.words("value"), "number"),
        Column(page.words("source")),
        Column(page.words("valid")),
    ]
    columns += [Column(page.words("share"), "share")] if shows_share else []
    lines = []
    for use in model.factors:
        line = [
            _factor_name(page, use.factor),
            text(use.factor.gas or "–"),
            _factor_value(page, use.factor),
            _source(page, use),
            text(_validity(page, use.factor)),
        ]
        line += [page.share(use.co2e, model.total.value)] if shows_share else []
        lines.append(line)
    conflicts = sum(bool(use.others) for use in model.factors)
    lead = el("p", page.say("factors_text", count=len(model.factors), conflicts=conflicts))
    return lead + page.table(
        page.words("factors"), columns, lines, kind="factors", note=page.words("factors_note")
    )


def _factor_name(page: Page, factor: Factor) -> str:
    name = (factor.name_vi if page.lang == "vi" else factor.name_en) or factor.name_en or factor.name_vi
    key = el("small", text(factor.activity), class_="source")
    return f"{text(name)}<br>{key}" if name else key


def _factor_value(page: Page, factor: Factor) -> str:
    """The number with its unit and the 95 % half-width that the source states."""
    spread = (
        f" ± {numbers.percent(factor.uncertainty, page.lang, decimals=0)}"
        if factor.uncertainty is not None
        else ""
    )
    unit = el("small", text(factor.unit), class_="source")
    return f"{text(numbers.number(factor.value, page.lang, digits=6) + spread)}<br>{unit}"


def _source(page: Page, use: FactorUse) -> str:
    """Document, article and item with the status; below it what disagrees."""
    own = text(str(use.factor.source)) + " " + _status(page, use.factor)
    note = el("small", text(use.factor.source.note), class_="source") if use.factor.source.note else ""
    others = "".join(
        el(
            "p",
            page.say("instead"),
            " ",
            el("b", text(numbers.number(other.value, page.lang, digits=6))),
            f" {text(other.unit)}: {text(str(other.source))} ",
            _status(page, other),
            class_="conflict",
        )
        for other in use.others
    )
    return own + (f"<br>{note}" if note else "") + others


def _status(page: Page, factor: Factor) -> str:
    return el(
        "span", text(page.word(f"base.status_{factor.status}")), class_=f"status status-{factor.status}"
    )


def _validity(page: Page, factor: Factor) -> str:
    if factor.valid_from is None and factor.valid_to is None:
        return page.words("valid_open")
    if factor.valid_to is None and factor.valid_from is not None:
        return page.words("valid_from", day=numbers.day(factor.valid_from, page.lang))
    if factor.valid_from is None and factor.valid_to is not None:
        return page.words("valid_until", day=numbers.day(factor.valid_to - timedelta(days=1), page.lang))
    return span(factor.valid_from, factor.valid_to, page.lang)


def conditions(page: Page, model: ReportModel) -> str:
    """What the numbers are: published, derived, modelled, assumed or generated."""
    if not model.conditions:
        return ""
    items = []
    for condition in model.conditions:
        share = f" ({numbers.percent(condition.share, page.lang)})" if condition.share is not None else ""
        mark = el("span", page.basis(condition.basis), text(share))
        items.append(el("li", mark, el("span", text(page.word(condition.text)))))
    return el("p", page.say("conditions_text")) + el("ul", *items, class_="conditions")


def checking(page: Page, model: ReportModel) -> str:
    """Identities that pin the computation, and the commands that open or repeat it."""
    parts: list[str] = []
    if model.identities:
        lines: Sequence[Sequence[str]] = [
            [text(page.word(item.label)), el("code", text(item.value))] for item in model.identities
        ]
        columns = [Column(page.words("identity")), Column(page.words("value"), "code")]
        parts.append(page.table(page.words("identities"), columns, lines, note=page.words("identities_note")))
    if model.commands:
        items = [
            el("dt", text(page.word(command.label))) + el("dd", el("pre", el("code", text(command.line))))
            for command in model.commands
        ]
        parts += [el("h3", page.say("commands")), el("dl", *items, class_="commands")]
    return "".join(parts)
