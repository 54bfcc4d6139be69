# SPDX-License-Identifier: Apache-2.0
"""Reports on request: the HTML overview and the official tables, from one measurement to one file.

Comes in: an opened territory, a period and a kind of report. Goes out: a file, or the table as text when no file is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mangrove import api, messages, rules
from mangrove.errors import RequestError
from mangrove.handle import Handle
from mangrove.measure import circular38, gpc, leaves, standards
from mangrove.measure.result import Emissions

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
    result = api.measure(park, start, end, gwp=gwp)
    if kind == "html":
        from mangrove.serve import overview

        target = out or Path(f"{park.territory.path.name}-{start}.html")
        overview.write(result, target, lang=lang)
        return _written(target, lang)
    table = _table(result, kind, lang)
    if out is None:
        return str(table.text(lang))
    if out.suffix == ".xlsx":
        table.write_xlsx(out) if kind == "circular38" else table.write_xlsx(out, lang)
    elif out.suffix == ".docx" and kind == "circular38":
        table.write_docx(out)
    else:
        raise RequestError("cli.unknown_file", file=out, kind=kind)
    return _written(out, lang)


def _written(path: Path, lang: str) -> str:
    return messages.render("cli.written", lang, path=path)


def _table(result: Emissions, kind: str, lang: str) -> Any:
    book = rules.load()
    plan = result.plan
    gwp = str(plan.question.gwp)
    period = plan.question.span.start.astimezone(plan.territory.tz).strftime("%Y")
    cells = leaves.cells_of(result, book)
    if kind == "gpc":
        return gpc.gpc_table(cells, plan.territory, book, gwp, period=period)
    if kind == "scopes":
        return standards.scopes_table(cells, plan.territory, book, gwp, period=period)
    if kind == "iso14064":
        return standards.iso14064_table(cells, plan.territory, book, gwp, period=period)
    return circular38.circular38_report(
        {int(period): cells},
        plan.territory,
        book,
        gwp,
        ncv=leaves.calorific_values(result),
        gaps=result.problems,
        lang=lang,
    )
