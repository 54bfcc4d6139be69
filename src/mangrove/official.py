# SPDX-License-Identifier: Apache-2.0
"""Reports on request: the HTML overview and the official tables, from one measurement to one file.

Comes in: an opened territory, a period and a kind of report. Goes out: a file, or the table as text when no file is named.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from mangrove import api, messages, rules
from mangrove.errors import RequestError
from mangrove.handle import Handle
from mangrove.measure import circular38, gpc, leaves, standards
from mangrove.measure.result import Emissions
from mangrove.times import Span

KINDS = ("html", "gpc", "scopes", "iso14064", "circular38")


def write(
    park: Handle, start: str, end: str | None, *, kind: str, out: Path | None, gwp: str | None, lang: str
) -> str:
    """Makes one report and writes it to `out`, or gives its text when `out` is None.

    Raises:
        RequestError: `cli.unknown_report`, `cli.unknown_file`, or a question that makes no sense.
    """
    if kind not in KINDS:
        raise RequestError("cli.unknown_report", kind=kind, options=", ".join(KINDS))
    if kind == "circular38":
        return _facility(park, start, end, out=out, gwp=gwp, lang=lang)
    result = api.measure(park, start, end, gwp=gwp)
    if kind == "html":
        from mangrove.serve import overview

        if out is not None and out.suffix not in (".html", ".htm"):
            raise RequestError("cli.unknown_file", file=out, kind=kind)
        target = out or Path(f"{park.territory.path.name}-{start}.html")
        overview.write(result, target, lang=lang)
        return _written(target, lang)
    table = _table(result, kind)
    if out is None:
        return str(table.text(lang))
    if out.suffix != ".xlsx":
        raise RequestError("cli.unknown_file", file=out, kind=kind)
    table.write_xlsx(out, lang)
    return _written(out, lang)


def _facility(
    park: Handle, start: str, end: str | None, *, out: Path | None, gwp: str | None, lang: str
) -> str:
    """The facility report of Circular 38: each calendar year of the period on its own (Decree 119/2025 asks for two)."""
    book, tz = rules.load(), park.territory.tz
    span = Span.asked(start, end, tz)
    first, last = span.start.astimezone(tz), span.last_day(tz).year
    if (span.start, span.end) != (Span.parse(f"{first.year:04}", tz).start, Span.parse(f"{last:04}", tz).end):
        raise RequestError("cli.whole_years", start=start, end=end or "-")
    years = range(first.year, last + 1)
    results = {year: api.measure(park, str(year), gwp=gwp) for year in years}
    report = circular38.circular38_report(
        {year: leaves.cells_of(result, book) for year, result in results.items()},
        park.territory,
        book,
        str(results[last].plan.question.gwp),
        ncv=leaves.calorific_values(results[last]),
        gaps=[problem for result in results.values() for problem in result.problems],
        lang=lang,
    )
    if out is None:
        return str(report.text(lang))
    if out.suffix == ".xlsx":
        report.write_xlsx(out)
    elif out.suffix == ".docx":
        report.write_docx(out)
    else:
        raise RequestError("cli.unknown_file", file=out, kind="circular38")
    return _written(out, lang)


def _period(span: Span, tz: ZoneInfo) -> str:
    """The period for a title: the year when it is one, the day when it is one, else its first and last day."""
    first, last = span.start.astimezone(tz), span.last_day(tz)
    whole = Span.parse(f"{first.year:04}", tz)
    if span == whole:
        return f"{first.year}"
    days = dict.fromkeys((f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"))
    return " – ".join(days)


def _written(path: Path, lang: str) -> str:
    return messages.render("cli.written", lang, path=path)


def _table(result: Emissions, kind: str) -> gpc.GpcTable | standards.StandardTable:
    book = rules.load()
    plan = result.plan
    gwp = str(plan.question.gwp)
    period = _period(plan.question.span, plan.territory.tz)
    cells = leaves.cells_of(result, book)
    if kind == "gpc":
        return gpc.gpc_table(cells, plan.territory, book, gwp, period=period)
    make = standards.scopes_table if kind == "scopes" else standards.iso14064_table
    return make(cells, plan.territory, book, gwp, period=period)
