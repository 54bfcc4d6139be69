# SPDX-License-Identifier: Apache-2.0
"""`mangrove grid`: what the national grid emits in each hour, beside the official factor.

Comes in: a territory that declares the daily generation of its country, a period, and perhaps a folder of the dispatch center's
files to take in first. Goes out: a table on stdout, and on stderr what it rests on and why the two numbers differ.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove import api, messages
from mangrove.times import Span

if TYPE_CHECKING:
    import pyarrow as pa

    from mangrove.handle import Handle
    from mangrove.ledger.types import Origin, Receipt, Rejected
    from mangrove.sources.convert import Values

Say = Callable[[str], None]
_KG_COLUMNS = ("physical_kg_per_kwh", "low", "high")


def grid_carbon(
    folder: Path,
    start: str,
    end: str | None = None,
    *,
    files: Path | None = None,
    allow: Sequence[str] = (),
    voltage: str = "",
    forecast: int = 0,
    zones: bool = False,
    store: bool = True,
    as_json: bool = False,
    say: Say,
    out: Say,
    lang: str = "en",
) -> None:
    """The intensity of each hour of a period, of the days after it, or of each zone.

    Args:
        folder: of the territory.
        start: a period, or its first instant.
        end: first instant that no longer counts.
        files: folder of the dispatch center's files; what is new in it is stored first.
        allow: statuses or ids of official factors to accept besides official ones.
        voltage: of the meter; the losses on the way to it are then added to the physical intensity.
        forecast: days to forecast after the last published day of the period, instead of the period itself.
        zones: the zones of the grid, with their exchanges traced, instead of the country.
        store: keep a record of the forecast.
        as_json: JSON instead of CSV.
        say: takes lines for people.
        out: takes the table.
        lang: of the lines.
    """
    from mangrove.measure import grid_intensity

    park = api.open(folder)
    if files is not None:
        _take_in(park, files, say, lang)
    tz = park.territory.tz
    span = Span.asked(start, end, tz)
    factor, document = grid_intensity.delivered(voltage) if voltage else (1.0, "")
    if forecast or zones:
        _other(park, span, forecast, factor=factor, store=store, as_json=as_json, say=say, out=out, lang=lang)
        return
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        table = grid_intensity.hourly_intensity(
            snapshot, span, tz, territory=park.territory, allow=tuple(allow)
        )
    rows = table.to_pylist()
    for row in rows:
        row["start"] = row["start"].astimezone(tz).isoformat()
        for name in _KG_COLUMNS:
            row[name] = None if row[name] is None else row[name] * factor
    out(_written(rows, table.column_names, as_json=as_json))
    for line in summary(table, factor, document, lang, allow):
        say(line)


def summary(table: pa.Table, factor: float, document: str, lang: str, allow: Sequence[str] = ()) -> list[str]:
    """What people should know of a table of intensities."""
    import pyarrow.compute as pc

    hours, known = table.num_rows, table.num_rows - table["physical_kg_per_kwh"].null_count
    found = []
    if known:
        mean, low, high = (float(pc.mean(table[name]).as_py()) * factor for name in _KG_COLUMNS)
        found.append(messages.render("grid.physical", lang, value=mean, low=low, high=high, hours=known))
    if known < hours:
        found.append(messages.render("grid.gaps", lang, hours=hours - known, all=hours))
    official = pc.mean(table["official_kg_per_kwh"]).as_py()
    if official is None:
        found.append(messages.render("grid.no_official", lang))
    elif allow:
        found.append(messages.render("grid.accepted", lang, value=float(official), allow=", ".join(allow)))
    else:
        found.append(messages.render("grid.official", lang, value=float(official)))
    found.append(messages.render("grid.two_numbers", lang))
    if document:
        found.append(messages.render("grid.losses", lang, factor=factor, document=document))
    else:
        found.append(messages.render("grid.no_loss_added", lang))
    return found


def _other(
    park: Handle,
    span: Span,
    days: int,
    *,
    factor: float,
    store: bool,
    as_json: bool,
    say: Say,
    out: Say,
    lang: str,
) -> None:
    """The days after the period (`days` of them), or the zones of the grid."""
    from mangrove import grid_ahead

    if days:
        found = grid_ahead.ahead(park, span, days, factor=factor, store=store)
        rows, lines = found.rows, found.lines(lang)
        names = list(rows[0])
    else:
        rows, names = grid_ahead.zone_rows(park, span, factor)
        lines = grid_ahead.zone_summary(rows, lang)
    out(_written(rows, names, as_json=as_json))
    for line in lines:
        say(line)


def _take_in(park: Handle, files: Path, say: Say, lang: str) -> None:
    from mangrove.sources import dispatch_center

    with park.writer() as ledger:

        def put(values: Values, origin: Origin, rejected: list[Rejected]) -> Receipt:
            return ledger.append(values.table(), origin, rejected=rejected)

        report = dispatch_center.replay(put, park.territory, files, datetime.now(UTC))
    for problem in report.problems:
        say(problem.line(lang))
    say(
        messages.render(
            "grid.taken_in",
            lang,
            files=report.files,
            days=report.days,
            stored=report.stored,
            rejected=report.rejected,
        )
    )


def _written(rows: Sequence[dict[str, object]], names: Sequence[str], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(rows)
    sink = io.StringIO()
    writer = csv.DictWriter(sink, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().rstrip("\n")
