# SPDX-License-Identifier: Apache-2.0
"""Comparisons of scenarios as text, JSON and figures for the command line.

Comes in: a `Comparison`, adopted scenarios. Goes out: text for stdout, SVG. Numbers for people are tonnes in the form of the language;
JSON keeps full precision, in kilograms.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mangrove import messages
from mangrove.figures.numbers import number
from mangrove.printing import grid

if TYPE_CHECKING:
    from datetime import tzinfo

    from mangrove.compare import Comparison, Part
    from mangrove.plan.scenario_store import Stored

_KG = 1000.0
_INVENTORY = "inventory"


def comparison_text(found: Comparison, lang: str, tz: tzinfo) -> str:
    """The table of both sides and their difference in t CO2e, then what each action does."""
    rows = _worth_showing(found.to_arrow().to_pylist())
    names = found.names
    first, last = (moment.astimezone(tz) for moment in (found.span.start, found.span.end))
    data = {
        "a": _name(names[0], lang),
        "b": _name(names[1], lang),
        "first": f"{first:%Y-%m}",
        "last": f"{last:%Y-%m}",
    }
    title = _say("title", lang, gwp=found.gwp, **data)
    words = [name for name in rows[0] if isinstance(rows[0][name], str) and name != "verdict"] if rows else []
    verdict = bool(rows) and "verdict" in rows[0]
    header = [
        *(_column(word, lang) for word in words),
        _say("years", lang),
        *(_name(name, lang) for name in names),
        _say("difference", lang),
        "95 %",
        *([_say("verdict", lang)] if verdict else []),
    ]
    body = [
        [
            *(row[word] for word in words),
            _when(row["start"].astimezone(tz), found),
            *(number(row[side] / _KG, lang) for side in ("a", "b", "difference")),
            _ends(row["difference_low"], row["difference_high"], lang),
            *([_say(row["verdict"] or "unknown_error", lang)] if verdict else []),
        ]
        for row in rows
    ]
    lines = [f"{title} (t CO2e)", "", *grid(header, body, left=set(range(len(words))))]
    return "\n".join([*lines, *_parts_text(found.parts(), found, lang, tz)])


def comparison_json(found: Comparison, lang: str) -> str:
    """Everything as JSON: rows, parts and problems; masses in kg CO2e, a bound that is not known is null."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in found.to_arrow().to_pylist()]
    parts = [
        {
            "scenario": one.scenario, "action": one.action, "account": one.account, "start": one.start.isoformat(),
            "shapley": one.value, "standard_error": one.error, "last_in": one.last_in, "alone": one.alone,
        }
        for one in found.parts()
    ]  # fmt: skip
    problems = [
        {"code": one.code, "severity": one.severity, "text": one.text(lang)} for one in found.problems
    ]
    document = {
        "a": found.names[0], "b": found.names[1], "unit": "kg CO2e", "gwp": found.gwp, "start": found.span.start.isoformat(),
        "end": found.span.end.isoformat(), "every": str(found.every), "rows": rows, "actions": parts, "problems": problems,
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, indent=1)


def comparison_figure(found: Comparison, lang: str, tz: tzinfo) -> str:
    """SVG: wedges of the actions of a against its baseline over years; else the two sides with their intervals."""
    from mangrove.figures import Stage, waterfall, wedges

    years = [start.astimezone(tz).year for start in found.starts]
    totals, labels = _totals(found), found.labels
    a, b = found.names
    parts = [one for one in found.parts() if one.scenario == a and one.account == _INVENTORY]
    if b == "baseline" and parts and len(years) > 1 and len(set(years)) == len(years):
        cuts: dict[str, list[float]] = {}
        for one in parts:
            cuts.setdefault(labels[one.action], []).append(-one.value / _KG)
        base = [row["b"] / _KG for row in totals]
        return wedges(years, base, cuts, title=_say("figure_wedges", lang, name=a), lang=lang)
    last = totals[-1]
    stages = [
        Stage(_name(b, lang), last["b"] / _KG, total=True),
        *(
            Stage(labels[one.action], one.value / _KG)
            for one in parts
            if one.start == found.starts[-1] and b == "baseline"
        ),
        Stage(_name(a, lang), last["a"] / _KG, last["a_low"] / _KG, last["a_high"] / _KG, total=True),
    ]
    title = _say(
        "figure_waterfall",
        lang,
        a=_name(a, lang),
        b=_name(b, lang),
        year=_when(found.starts[-1].astimezone(tz), found),
    )
    return waterfall(stages, title=title, lang=lang)


def plans_text(plans: Sequence[Stored], lang: str, tz: tzinfo) -> str:
    """Adopted scenarios, one a line."""
    if not plans:
        return _say("none", lang)
    header = [_say(word, lang) for word in ("name", "years", "actions", "batch", "adopted_at")]
    body = [
        [
            one.name,
            f"{one.document['first']}-{one.document['last']}",
            str(len(one.document["actions"])),
            str(one.document["batch"]),
            f"{one.adopted_at.astimezone(tz):%Y-%m-%d %H:%M}",
            one.document["title"],
        ]
        for one in plans
    ]
    return "\n".join(grid([*header, ""], body, left={0, 1, 4, 5}))


def plans_json(plans: Sequence[Stored]) -> str:
    """Adopted scenarios with their records."""
    rows = [{"record": one.record, "adopted_at": one.adopted_at.isoformat(), **one.document} for one in plans]
    return json.dumps(rows, ensure_ascii=False, indent=1)


def _parts_text(parts: Sequence[Part], found: Comparison, lang: str, tz: tzinfo) -> list[str]:
    shown = [one for one in parts if one.value or one.last_in or one.alone]
    if not shown:
        return []
    words = ("scenario", "action", "account", "years", "shapley", "last_in", "alone")
    body = [
        [
            one.scenario,
            one.action,
            one.account,
            _when(one.start.astimezone(tz), found),
            number(one.value / _KG, lang) + (f" ± {number(one.error / _KG, lang)}" if one.error else ""),
            number(one.last_in / _KG, lang),
            number(one.alone / _KG, lang),
        ]
        for one in shown
    ]
    return ["", _say("by_action", lang), *grid([_say(word, lang) for word in words], body, left={0, 1, 2})]


def _worth_showing(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The inventory, and of the other accounts those in which anything differs."""
    moved = {row["account"] for row in rows if row["difference"]} | {_INVENTORY}
    return [row for row in rows if row["account"] in moved]


def _totals(found: Comparison) -> list[dict[str, Any]]:
    """One row a bucket: the inventory of both sides."""
    rows = [row for row in found.total().to_pylist() if row["account"] == _INVENTORY]
    return sorted(rows, key=lambda row: row["start"])


def _when(local: Any, found: Comparison) -> str:
    return f"{local:%Y}" if found.every.months % 12 == 0 else f"{local:%Y-%m}"


def _ends(low: float, high: float, lang: str) -> str:
    if math.isnan(low):
        return _say("unknown_error", lang)
    return f"{number(low / _KG, lang)} … {number(high / _KG, lang)}"


def _column(name: str, lang: str) -> str:
    """The heading of a column; a kind of place stands for itself."""
    code = f"column.{name}"
    return messages.render(code, lang) if code in messages.codes("column") else name


def _name(name: str, lang: str) -> str:
    return _say(name, lang) if name in ("baseline", "measured") else name


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value.isoformat() if hasattr(value, "isoformat") else value


def _say(word: str, lang: str, **data: Any) -> str:
    return messages.render(f"scenario.{word}", lang, **data)
