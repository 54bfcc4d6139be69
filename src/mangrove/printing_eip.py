# SPDX-License-Identifier: Apache-2.0
"""Indicators, gaps and forms of eco-industrial parks as text and JSON for the command line.

Comes in: `Indicators`, gaps, a `Form`, checks of effluents. Goes out: text for stdout.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number
from mangrove.measure.eip.gaps import Gap
from mangrove.measure.eip.indicators import written
from mangrove.measure.eip.types import VERDICTS, Indicators, Reading
from mangrove.measure.report_model import BLANK, significant
from mangrove.printing import grid

if TYPE_CHECKING:
    from mangrove.measure.eip.effluent import Outlet
    from mangrove.measure.eip.forms import Form

_OFFICIAL = "official"


def indicators_text(found: Indicators, outlets: Sequence[Outlet], lang: str) -> str:
    """A summary of each framework, then one row for each indicator, then the effluents."""
    lines = [messages.render("eip.heading", lang, territory=found.territory, year=found.year, day=found.day)]
    lines += [_summary(found, framework, lang) for framework in found.frameworks]
    weak = Counter(one.indicator.status for one in found if one.indicator.status != _OFFICIAL)
    if weak:
        statuses = ", ".join(_status(status, lang) for status in weak)
        data = {"count": sum(weak.values()), "total": len(found), "statuses": statuses}
        lines.append(messages.render("eip.weak_rules", lang, **data))
    heads = [_head(name, lang) for name in ("code", "value", "target", "verdict", "origin", "name")]
    rows = [
        [
            one.indicator.code, written(one.value, one.indicator.unit, lang), target_text(one, lang),
            messages.render(f"eip.verdict_{one.verdict}", lang), messages.render(f"eip.origin_{one.origin}", lang),
            one.indicator.name(lang),
        ]
        for one in found
    ]  # fmt: skip
    text = "\n".join([*lines, "", *grid(heads, rows, left={0, 3, 4, 5})])
    return f"{text}\n\n{effluents_text(outlets, lang)}" if outlets else text


def _summary(found: Indicators, framework: str, lang: str) -> str:
    counts = {verdict: found.count(verdict, framework) for verdict in VERDICTS}
    name = messages.render(f"eip.framework_{framework.replace('.', '_')}", lang)
    return messages.render("eip.summary", lang, framework=name, count=sum(counts.values()), **counts)


def target_text(one: Reading, lang: str) -> str:
    """The target with its sense: `>= 25 %`, `yes`, a dash without one."""
    if not one.indicator.target:
        return "–"
    if isinstance(one.target, bool) or one.target is None:
        return written(one.target, "", lang)
    return f"{one.indicator.sense} {written(one.target, one.indicator.unit, lang)}"


def gaps_text(found: Indicators, listed: Sequence[Gap], lang: str) -> str:
    """One paragraph for each gap, by framework."""
    if not listed:
        return messages.render("eip.no_gaps", lang)
    lines = [messages.render("eip.heading", lang, territory=found.territory, year=found.year, day=found.day)]
    for framework in found.frameworks:
        mine = [gap for gap in listed if gap.reading.indicator.framework == framework]
        lines += ["", _summary(found, framework, lang)] if mine else []
        lines += [_gap_line(gap, lang) for gap in mine]
    return "\n".join(lines)


def _gap_line(gap: Gap, lang: str) -> str:
    one = gap.reading
    value = written(one.value, one.indicator.unit, lang)
    verdict = messages.render(f"eip.verdict_{one.verdict}", lang)
    state = f"{value} / {target_text(one, lang)}" if one.value is not None else target_text(one, lang)
    return f"  {one.indicator.code}  {verdict}: {one.indicator.name(lang)} ({state}). {gap.text(lang)}"


def effluents_text(outlets: Sequence[Outlet], lang: str) -> str:
    """Each parameter of each outlet against its limit."""
    names = ("place", "parameter", "limit", "mean", "days", "hours", "worst", "status")
    rows = []
    for outlet in outlets:
        for check in outlet.checks:
            limit = check.limit
            mark = "" if limit is None else _status(limit.status, lang)
            worst = BLANK if check.worst is None else f"{number(check.worst, lang)} ({check.worst_day})"
            rows.append(
                [
                    outlet.place, check.parameter, BLANK if limit is None else limit.text(),
                    BLANK if check.mean is None else number(check.mean, lang),
                    _of(check.days_within, check.days, limit is None, lang),
                    _of(check.hours_within, check.hours, limit is None, lang), worst, mark,
                ]
            )  # fmt: skip
    heads = [_head(name, lang) for name in names]
    return "\n".join([messages.render("eip.limits", lang), *grid(heads, rows, left={0, 1, 7})])


def _of(within: int, every: int, unknown: bool, lang: str) -> str:  # noqa: FBT001 - one place calls it
    return BLANK if unknown else messages.render("eip.of_days", lang, within=within, all=every)


def form_text(form: Form, lang: str) -> str:
    """The form as a table with its notes."""
    heads = [_head(name, lang) for name in ("field", "value", "unit", "origin", "name")]
    rows = [
        [
            line.field, significant(line.cell(lang), lang), form.unit_text(line, lang),
            messages.render(f"eip.origin_{line.origin}", lang), line.name(lang),
        ]
        for line in form.lines
    ]  # fmt: skip
    head = messages.render("eip.grid_form", lang, form=form.form, year=form.year)
    return "\n".join([f"{form.owner}: {head}", *grid(heads, rows, left={0, 2, 3, 4}), "", *form.notes(lang)])


def indicators_json(found: Indicators, listed: Sequence[Gap], outlets: Sequence[Outlet], lang: str) -> str:
    """Everything, with provenance, as JSON; a number that is not known is null."""
    closes = {gap.reading.indicator.code: gap.text(lang) for gap in listed}
    document = {
        "territory": found.territory, "year": found.year, "rules_of": found.day,
        "frameworks": {
            name: {verdict: found.count(verdict, name) for verdict in VERDICTS} for name in found.frameworks
        },
        "indicators": [_reading_json(one, closes, lang) for one in found],
        "effluents": [_outlet_json(outlet) for outlet in outlets],
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, indent=1)


def _reading_json(one: Reading, closes: dict[str, str], lang: str) -> dict[str, Any]:
    entry, measure = one.indicator, one.measure
    said: dict[str, Any] = {
        "code": entry.code, "framework": entry.framework, "kind": entry.kind, "name": entry.name(lang), "unit": entry.unit,
        "value": one.value, "target": one.target, "sense": entry.sense, "verdict": one.verdict, "origin": one.origin,
        "gap": one.gap, "amount": one.amount, "closes": closes.get(entry.code, ""), "document": entry.document,
        "article": entry.article, "status": entry.status, "evidence": one.evidence,
    }  # fmt: skip
    if measure is not None:
        said |= {
            "part": measure.part, "whole": measure.whole, "of": measure.unit, "flows": measure.flows,
            "exchanges": measure.exchanges, "places": measure.places, "batches": measure.batches,
            "remarks": [text.text(lang) for text in measure.remarks], "lacking": [text.text(lang) for text in measure.lacking],
        }  # fmt: skip
    return said


def _outlet_json(outlet: Outlet) -> dict[str, Any]:
    return {
        "place": outlet.place, "discharge_m3_day": outlet.discharge, "averaging": outlet.averaging,
        "volume_m3": outlet.volume, "within_m3": outlet.within,
        "checks": [
            {
                "parameter": one.parameter, "flow": one.flow, "limit": None if one.limit is None else one.limit.text(),
                "version": None if one.limit is None else one.limit.version,
                "document": None if one.limit is None else one.limit.document,
                "status": None if one.limit is None else one.limit.status,
                "days": one.days, "days_within": one.days_within, "hours": one.hours, "hours_within": one.hours_within,
                "mean": one.mean, "worst": one.worst, "worst_day": None if one.worst_day is None else str(one.worst_day),
            }
            for one in outlet.checks
        ],
    }  # fmt: skip


def form_json(form: Form, lang: str) -> str:
    """The form as JSON."""
    head = {
        "form": form.form,
        "owner": form.owner,
        "place": form.place,
        "year": form.year,
        "currency": form.currency,
    }
    lines = [
        {**row, "value": line.cell(lang) if line.parts else line.value, "sd": line.sd}
        for row, line in zip(form.rows(lang), form.lines, strict=True)
    ]
    return json.dumps({**head, "lines": lines, "notes": form.notes(lang)}, ensure_ascii=False, indent=1)


def _status(status: str, lang: str) -> str:
    """The status of a row in words; a limit of a permit is declared."""
    return messages.render("eip.status_declared" if status == "declared" else f"base.status_{status}", lang)


def _head(name: str, lang: str) -> str:
    return messages.render(f"eip.column_{name}", lang)
