# SPDX-License-Identifier: Apache-2.0
"""`mangrove transit`: timetables of public transport and what really ran, into the ledger of a territory.

Comes in: an opened territory, a GTFS feed, a period, and perhaps GTFS-Realtime messages. Goes out: values through the ledger's writer
like those of any source (see `sources.gtfs_flows`), and what people should know of them as text or JSON.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove import messages
from mangrove.times import Span

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.sources.gtfs_flows import TransitReport


def take(
    park: Handle,
    path: str | Path,
    start: str | date | datetime,
    end: str | date | datetime | None = None,
    *,
    realtime: str | Path | None = None,
    live: bool = False,
) -> TransitReport:
    """Stores the service of a period: scheduled as run `schedule/gtfs`, driven as measured.

    Args:
        park: an opened territory with flows of `vehicle_km`, `index:delay` or `index:service`.
        path: the timetable, a zip or a folder.
        start: a period, or the first instant when `end` is given; local time.
        end: the first instant that no longer counts.
        realtime: a GTFS-Realtime message, or a folder of them.
        live: the messages are of now: old ones are a problem.

    Raises:
        SourceError: the feed or a message cannot be read; with file and line.
        LedgerError: the store refuses; nothing of the batch was acknowledged.
    """
    from mangrove.sources import gtfs_flows

    span = Span.asked(start, end, park.territory.tz)
    with park.writer() as ledger:
        return gtfs_flows.ingest(
            ledger, park.territory, Path(path), span,
            realtime=Path(realtime) if realtime else None, now=datetime.now(UTC) if live else None,
        )  # fmt: skip


def as_text(report: TransitReport, lang: str = "en") -> str:
    """The report for people."""
    from mangrove.figures.numbers import number
    from mangrove.printing import grid

    lines = [
        messages.render(
            "gtfs.summary", lang, routes=report.routes, trips=report.trips, stops=report.stops,
            km=number(report.scheduled_km, lang), runs=number(report.scheduled_trips, lang),
        )
    ]  # fmt: skip
    if report.driven_km:
        lines.append(messages.render("gtfs.driven", lang, km=number(report.driven_km, lang)))
    if report.flows:
        head = [messages.render(f"gtfs.{word}", lang) for word in ("flow", "routes")]
        body = [[flow, _some(routes)] for flow, routes in report.flows.items()]
        lines += ["", *grid(head, body, left={0, 1}), ""]
    for one in report.alerts:
        lines.append(
            messages.render("gtfs.alert", lang, effect=one.effect, routes=_some(one.routes), text=one.text)
        )
    code = "gtfs.nothing_new" if report.duplicate and not report.rows else "gtfs.stored"
    return "\n".join([*lines, messages.render(code, lang, rows=report.rows)])


def as_json(report: TransitReport) -> str:
    """The report as JSON."""
    found = {
        "routes": report.routes, "trips": report.trips, "stops": report.stops, "scheduled_km": report.scheduled_km,
        "scheduled_trips": report.scheduled_trips, "driven_km": report.driven_km, "flows": report.flows, "rows": report.rows,
        "duplicate": report.duplicate,
        "alerts": [
            {"routes": one.routes, "text": one.text, "cause": one.cause, "effect": one.effect,
             "start": one.start.isoformat() if one.start else None, "end": one.end.isoformat() if one.end else None}
            for one in report.alerts
        ],
    }  # fmt: skip
    return json.dumps(found, ensure_ascii=False, indent=1)


def _some(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" (+{len(names) - most})" if len(names) > most else "") or "-"
