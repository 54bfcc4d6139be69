# SPDX-License-Identifier: Apache-2.0
"""What `mangrove traffic` says, as text and JSON.

Comes in: a `TrafficReport`. Goes out: a table of amounts with intervals, the curves beside all sources, where the doubt comes from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mangrove import messages
from mangrove.errors import Problem
from mangrove.figures.numbers import number, percent
from mangrove.printing import grid
from mangrove.traffic_state import KILO, Edition, Row, TrafficReport

STREETS = "streets"


_NAMED, _ALIKE = 5, 3
"""Streets with gaps that are named; findings of one kind that are told one by one."""


def summed(problems: Sequence[Problem]) -> list[Problem]:
    """What people should know: streets with gaps in one line, those that miss most by name, and of many findings of one kind the first.

    The rest of them is in the JSON, and streets with gaps are dashed on the page Traffic.
    """
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.code, []).append(problem)
    found: list[Problem] = []
    for code, alike in kinds.items():
        if len(alike) <= _ALIKE:
            found += alike
        elif code == "vehicles.missing":
            found.append(_gaps(alike))
        else:
            more = {"count": len(alike) - _ALIKE, "kind": code}
            found += [*alike[:_ALIKE], Problem("vehicles.more", more, severity="note")]
    return found


def _gaps(missing: Sequence[Problem]) -> Problem:
    """All streets that miss cells in one line."""
    worst = sorted(missing, key=lambda one: (-int(one.data["count"]), str(one.data["link"])))
    named = ", ".join(f"{one.data['link']} ({one.data['count']})" for one in worst[:_NAMED])
    cells = int(worst[0].data["cells"])
    share = sum(int(one.data["count"]) for one in missing) / (len(missing) * cells)
    data = {"count": len(missing), "cells": cells, "share": f"{share:.0%}", "links": named}
    return Problem("vehicles.gaps", data, severity="warning")


def as_text(report: TrafficReport, lang: str = "en") -> str:
    """The report for people."""

    def say(code: str, **data: Any) -> str:
        return messages.render(f"vehicles.{code}", lang, **data)

    def cells(row: Row, name: str) -> list[str]:
        speed = "" if row.speed is None else number(row.speed, lang)
        return [
            name,
            number(row.vehicle_km, lang),
            speed,
            *(number(x, lang) for x in (row.amount, row.low, row.high)),
        ]

    head = [
        say("group"),
        say("km"),
        say("speed"),
        f"{report.pollutant} ({report.unit})",
        say("low"),
        say("high"),
    ]
    rows = [cells(row, row.id) for row in report.rows] + [cells(report.total, say("total"))]
    parts = [
        [
            say(
                "summary",
                streets=report.streets,
                cells=report.cells,
                read=percent(report.read, lang, decimals=0),
            )
        ],
        grid(head, rows, left={0}),
    ]
    if report.sources:
        parts.append(_curves(report, lang))
    if report.doubt:
        parts.append([_doubt(report, lang)])
    return "\n\n".join("\n".join(part) for part in parts)


def _curves(report: TrafficReport, lang: str) -> list[str]:
    """The curve of each class, the range of the sources, and each of them."""
    unit = "kWh/km" if report.pollutant in KILO else "g/km"
    title = [
        messages.render(f"vehicles.{code}", lang, unit=unit)
        for code in ("vehicle", "curve", "range", "at_20")
    ]
    told = [
        [
            name,
            report.used.get(name, ""),
            "–".join(number(end, lang) for end in report.ranges[name]),
            ", ".join(
                f"{key} ({_year(report.editions[name][key], lang)}) {number(value, lang)}"
                for key, value in values.items()
            ),
        ]
        for name, values in report.sources.items()
    ]
    return grid(title, told, left={0, 1, 2, 3})


def _year(edition: Edition, lang: str) -> str:
    """The year in which an edition came out."""
    return edition.published[:4] or messages.render("vehicles.undated", lang)


def _doubt(report: TrafficReport, lang: str) -> str:
    """What most of the interval comes from."""
    shares = sorted(report.doubt.items(), key=lambda one: -one[1])
    named = [
        f"{messages.render('vehicles.doubt_streets', lang) if name == STREETS else name} {percent(share, lang, decimals=0)}"
        for name, share in shares
    ]
    return messages.render("vehicles.doubt", lang, parts=", ".join(named))


def as_json(report: TrafficReport) -> str:
    """The report for programs."""

    def row(one: Row) -> dict[str, Any]:
        return {name: getattr(one, name) for name in Row.__slots__}

    return json.dumps(
        {
            "start": report.span.start.isoformat(), "end": report.span.end.isoformat(), "by": report.by,
            "pollutant": report.pollutant, "unit": report.unit, "rows": [row(one) for one in report.rows],
            "total": row(report.total), "streets": report.streets, "cells": report.cells, "read": report.read,
            "sources_at_20_km_h": report.sources, "editions": _editions(report), "curves": report.used, "range_at_20_km_h": report.ranges,
            "share_of_variance": report.doubt, "record": report.record, "stored": report.stored,
            "problems": [{"code": one.code, "text": one.text()} for one in report.problems],
        },
        ensure_ascii=False, indent=2,
    )  # fmt: skip


def _editions(report: TrafficReport) -> dict[str, dict[str, dict[str, str]]]:
    """By class and source, which edition the curve is of and when it came out."""
    return {
        name: {key: edition._asdict() for key, edition in each.items()}
        for name, each in report.editions.items()
    }
