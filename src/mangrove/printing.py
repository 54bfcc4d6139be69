# SPDX-License-Identifier: Apache-2.0
"""Tables as text, CSV, JSON and Parquet for the command line.

Comes in: Arrow tables and results of the verbs. Goes out: text for stdout. Numbers for people follow the language
(1,234.5 or 1.234,5); CSV and JSON keep full precision.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number, percent

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.measure.record import Change
    from mangrove.rules import Conflict, DensityCheck, Match

_COMPUTED = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that spreadsheets compute."""
_LONGEST = 40
_NEARLY = 0.999


def as_csv(table: pa.Table, *, guarded: bool = False) -> str:
    """The table as CSV with a header; instants in ISO 8601, UTC.

    Args:
        table: what is written.
        guarded: whether a text that a spreadsheet would compute gets an apostrophe before it (see `harmless`).
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        cells = [_plain(value) for value in row.values()]
        writer.writerow([harmless(cell) for cell in cells] if guarded else cells)
    return sink.getvalue()


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: names of places and devices are chosen by people (OWASP, CSV Injection).

    Example:
        >>> harmless("=1+1"), harmless("Lò 1"), harmless(-2.5)
        ("'=1+1", 'Lò 1', -2.5)
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in _COMPUTED else value


def as_json(table: pa.Table) -> str:
    """The table as a JSON array of objects; a number that is not known is null."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in table.to_pylist()]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def write_parquet(table: pa.Table, path: Path) -> None:
    """Writes the table as Parquet (zstd)."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def as_text(table: pa.Table, lang: str = "en", tz: tzinfo = UTC) -> str:
    """The table for people: masses in tonnes, times in `tz`, at most 40 rows, the rest counted."""
    if not table.num_rows:
        return messages.render("cli.no_rows", lang)
    rows = table.slice(0, _LONGEST).to_pylist()
    header = [_title(name, lang) for name in table.column_names]
    body = [[_cell(name, row[name], lang, tz) for name in table.column_names] for row in rows]
    lines = grid(
        header, body, left={i for i, name in enumerate(table.column_names) if isinstance(rows[0][name], str)}
    )
    if table.num_rows > _LONGEST:
        lines.append(f"... +{table.num_rows - _LONGEST}")
    return "\n".join(lines)


def grid(header: Sequence[str], body: Sequence[Sequence[str]], *, left: set[int]) -> list[str]:
    """Columns of text with the header above; columns in `left` are aligned left, the others right."""
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            c.ljust(w) if i in left else c.rjust(w)
            for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    return [line(header), "  ".join("-" * width for width in widths), *(line(cells) for cells in body)]


def changes_text(changes: Sequence[Change], lang: str = "en") -> str:
    """The difference between two measurements, flow by flow, in t CO2e."""
    moved = [change for change in changes if change.moved]
    if not moved:
        return messages.render("cli.no_change", lang)
    words = ("flow", "before", "after", "activity", "factor")
    header = [
        *(messages.render(f"cli.{word}", lang) for word in words[:1]),
        "",
        *(messages.render(f"cli.{w}", lang) for w in words[1:]),
        "GWP",
    ]
    body = [
        [
            c.flow,
            c.gas,
            *(number(value / 1000, lang) for value in (c.before, c.after, c.activity, c.factor, c.gwp)),
        ]
        for c in moved
    ]
    total = number(sum(c.after - c.before for c in moved) / 1000, lang)
    return "\n".join(
        [
            *grid(header, body, left={0, 1}),
            messages.render("cli.changes", lang, count=len({c.flow for c in moved}), total=total),
        ]
    )


def changes_json(changes: Iterable[Change]) -> str:
    """The difference as JSON, in kg CO2e."""
    from dataclasses import asdict

    return json.dumps([asdict(change) for change in changes], ensure_ascii=False, indent=1)


def records_text(records: Sequence[tuple[str, datetime, dict[str, Any]]], lang: str = "en") -> str:
    """The stored measurements, one a line, times in UTC as stored."""
    if not records:
        return messages.render("cli.nothing_found", lang)
    body = [
        [
            id_[:12],
            when.isoformat(timespec="minutes"),
            f"{question['start'][:16]} - {question['end'][:16]}",
            ",".join(question["by"]) or "-",
            question["every"] or "-",
            question["gwp"] or "-",
        ]
        for id_, when, question in records
    ]
    return "\n".join(grid(["id", "recorded", "period (UTC)", "by", "every", "GWP"], body, left=set(range(6))))


def matches_text(matches: Sequence[Match], lang: str = "en") -> str:
    """What `rules find` found: activities, their rows by source, conflicts marked."""
    if not matches:
        return messages.render("cli.nothing_found", lang)
    lines: list[str] = []
    for match in matches:
        name = match.name_vi if lang == "vi" else match.name_en
        lines.append(f"{match.activity}: {name}")
        clashes = {conflict.gas for conflict in match.conflicts}
        for factor in match.rows:
            value = factor.printed_value or f"{factor.value:g}"
            mark = f"  <- {messages.render('cli.conflict', lang)}" if factor.gas in clashes else ""
            lines.append(
                f"  {factor.gas or '-':8} {value} {factor.printed_unit or factor.unit}  {factor.source} ({_status(factor.status, lang)}) [{factor.id}]{mark}"
            )
    return "\n".join(lines)


def conflicts_text(conflicts: Sequence[Conflict], lang: str = "en") -> str:
    """Activities whose sources differ."""
    if not conflicts:
        return messages.render("cli.nothing_found", lang)
    lines = []
    for conflict in conflicts:
        lines.append(f"{conflict.activity} {conflict.gas}")
        lines.extend(
            f"  {f.value:g} {f.unit}  {f.source} ({_status(f.status, lang)}) [{f.id}]" for f in conflict.rows
        )
    return "\n".join(lines)


def volumetric_text(checks: Sequence[DensityCheck], lang: str = "en") -> str:
    """Implied densities of volumetric factors, those outside their fuel's band first."""
    lines = []
    for check in sorted(checks, key=lambda check: check.plausible):
        verdict = messages.render("cli.plausible" if check.plausible else "cli.implausible", lang)
        lines.append(
            f"{verdict}: {check.fuel} {check.density:.4g} {check.unit} ({check.low:g} - {check.high:g})  {check.factor.source} [{check.factor.id}]"
        )
    return "\n".join(lines)


def _status(status: str, lang: str) -> str:
    return messages.render(f"base.status_{status}", lang)


def _title(name: str, lang: str) -> str:
    """The heading of a column; a kind of place stands for itself."""
    code = f"column.{name}"
    return messages.render(code, lang) if code in messages.codes("column") else name


def _cell(name: str, value: Any, lang: str, tz: tzinfo) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN is the number that is not itself
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(tz).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        if name == "coverage":
            return percent(shown_coverage(value), lang)
        return number(value / 1000 if name.startswith(("kg", "co2e")) else value, lang)
    return str(value)


def shown_coverage(share: float) -> float:
    """A coverage as it is printed with one decimal: only what is complete shows as 100.0 %."""
    return min(share, _NEARLY) if share < 1 else share


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - NaN is the number that is not itself
        return None
    return value
