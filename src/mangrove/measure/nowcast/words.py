# SPDX-License-Identifier: Apache-2.0
"""A nowcast in words and tables for the command line.

Comes in: a `Nowcast`. Goes out: text in the reader's language, or JSON with full precision.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from math import isfinite
from typing import Any

import pyarrow as pa

from mangrove import messages
from mangrove.figures.numbers import number
from mangrove.measure.nowcast.result import Nowcast

_TWO_DAYS = 48
_NAMED = 3


def summary(made: Nowcast, lang: str, top: int) -> list[str]:
    """The total, the change against a year earlier, what the nowcast rests on and what would narrow it."""
    tz = made.territory.tz
    figure = made.total()
    tonnes = {key: number(getattr(figure, key) / 1000, lang) for key in ("mean", "low", "high")}
    start, end = (one.astimezone(tz).strftime("%Y-%m-%d %H:%M") for one in (made.span.start, made.span.end))
    lines = [
        messages.render(
            "nowcast.total",
            lang,
            name=made.territory.name,
            start=start,
            end=end,
            gwp=made.plan.question.gwp,
            **tonnes,
        )
    ]
    change = made.change()
    if change is None:
        lines.append(messages.render("nowcast.change_unknown", lang))
    else:
        words = [("+" if part > 0 else "") + number(round(100 * part, 1), lang) for part in change]
        lines.append(
            messages.render("nowcast.change", lang, **dict(zip(("mean", "low", "high"), words, strict=True)))
        )
    lines += ["", messages.render("nowcast.ages", lang), *_ages(made, lang, top)]
    narrow = made.what_would_narrow(3).to_pylist()
    if narrow:
        lines += ["", messages.render("nowcast.narrow", lang)]
    for row in narrow:
        fact = messages.render(f"nowcast.fact_{row['fact']}", lang)
        percent = number(round(100 * row["removes"], 1), lang)
        lines.append(
            "  " + messages.render("nowcast.narrows", lang, fact=fact, target=row["target"], percent=percent)
        )
    return lines


def _ages(made: Nowcast, lang: str, top: int) -> list[str]:
    """The facts, the freshest first; inventories of one day share a line."""
    groups: dict[tuple[str, float], list[str]] = {}
    for one in made.facts:
        names = groups.setdefault((one.kind, one.age), [])
        if one.name not in names:
            names.append(one.name)
    lines = []
    for (kind, age), names in sorted(groups.items(), key=lambda item: item[0][1])[:top]:
        old = ("nowcast.hours", round(age)) if age <= _TWO_DAYS else ("nowcast.days", round(age / 24))
        written = messages.render(old[0], lang, count=number(old[1], lang))
        word = messages.render(f"nowcast.kind_{kind}", lang)
        more = len(names) - _NAMED
        name = ", ".join(names[:_NAMED]) + (f", … (+{more})" if more > 0 else "")
        lines.append("  " + messages.render("nowcast.age", lang, kind=word, name=name, age=written))
    return lines


def largest(table: pa.Table, by: Sequence[str], top: int) -> pa.Table:
    """The rows of the largest groups; with time buckets all buckets of these groups."""
    if not by or not table.num_rows:
        return table
    sums = table.group_by(list(by)).aggregate([("co2e_kg", "sum")])
    kept = sums.sort_by([("co2e_kg_sum", "descending")]).slice(0, top)
    ranked = kept.append_column("rank", pa.array(range(kept.num_rows)))
    joined = table.join(ranked.drop(["co2e_kg_sum"]), list(by), join_type="inner")
    order = [("rank", "ascending"), *([("start", "ascending")] if "start" in table.column_names else [])]
    return joined.sort_by(order).drop(["rank"])


def as_json(made: Nowcast, table: pa.Table, lang: str) -> str:
    """Everything as one JSON object; a number that is not known is null."""
    figure, change = made.total(), made.change()
    document: dict[str, Any] = {
        "territory": made.territory.name,
        "start": made.span.start.isoformat(),
        "at": made.at.isoformat(),
        "gwp": made.plan.question.gwp,
        "co2e_kg": figure.mean,
        "low95": figure.low,
        "high95": figure.high,
        "change": None if change is None else dict(zip(("mean", "low95", "high95"), change, strict=True)),
        "rows": [{key: _plain(value) for key, value in row.items()} for row in table.to_pylist()],
        "facts": [
            {
                "name": f.name,
                "kind": f.kind,
                "target": f.target,
                "until": f.until.isoformat(),
                "age_h": f.age,
                "late_h": f.late,
            }
            for f in made.facts
        ],
        "would_narrow": made.what_would_narrow().to_pylist(),
        "notes": [{"code": one.code, "text": one.text(lang)} for one in made.notes],
        "record": made.record,
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _plain(value: Any) -> Any:
    if hasattr(value, "astimezone"):
        return value.astimezone(UTC).isoformat()
    return None if isinstance(value, float) and not isfinite(value) else value
